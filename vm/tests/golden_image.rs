//! The golden image of an object space: the digest of what `Vm::create` makes of the smallest sample. With the layout's image
//! (`memory/layout`) it holds what disks contain: an old disk is read by this kernel as it was meant.

mod machine;

use machine::Machine;
use revenant_vm::memory::layout::ABI_VERSION;

const ADVICE: &str = "The object space that is made of samples/hello.rasm has other bytes than it had. If a disk made before would be \
    misread by this kernel, or one made now by the kernel before: raise ABI_VERSION (vm/src/memory/layout/mod.rs), say in its comment \
    what was different, correct OBJECTS.md. If it only has more (a built-in class, say): the number stays. Then run this test with \
    REVENANT_BLESS=1 and commit vm/golden/hello.txt.";

#[test]
fn the_first_object_space_is_that_of_its_number() {
    let mut machine = Machine::new(include_str!("../../samples/hello.rasm"), &["argument"]);
    let digest = machine.digest();
    let text = format!("ABI version {ABI_VERSION}\ndigest {digest:016x}\n");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/hello.txt");
    if std::env::var_os("REVENANT_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, golden, "{ADVICE}");
}
