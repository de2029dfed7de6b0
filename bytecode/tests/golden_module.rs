//! The golden image of the module file: `golden/everything.rmod` must read, verify and come back byte for byte, for ever.
//!
//! Its source uses every operation and every part of a module, which is checked too. When the format gets a new version, a new
//! image is added beside this one, which stays.

use std::collections::BTreeSet;
use std::path::Path;

use revenant_bytecode::{Instruction, OPCODES, assemble, decode, disassemble, encode, verify};

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_golden_module_is_what_its_source_gives() {
    let text = std::fs::read_to_string(file("tests/corpus/everything.rasm")).unwrap();
    let module = assemble(&text, "everything.rasm").unwrap();
    let bytes = encode(&module);
    let golden = file("golden/everything.rmod");
    if std::env::var_os("REVENANT_BLESS").is_some() {
        std::fs::write(&golden, &bytes).unwrap();
    }
    let golden = std::fs::read(golden).unwrap();
    let read = decode(&golden).unwrap();
    assert_eq!(encode(&read), golden, "decoding and encoding changes the file");
    assert!(read == module && bytes == golden, "the source gives another module than the image");
    verify(read.clone()).unwrap();
    assert_eq!(assemble(&disassemble(&read), "everything.rasm").unwrap(), read);
}

#[test]
fn the_golden_module_uses_every_operation() {
    let module = decode(&std::fs::read(file("golden/everything.rmod")).unwrap()).unwrap();
    let mut used = BTreeSet::new();
    for function in &module.functions {
        let mut position = 0;
        while let Ok(instruction) = Instruction::decode(&function.code, position) {
            used.insert(instruction.opcode);
            position = instruction.next();
        }
    }
    let missing: Vec<_> = OPCODES
        .iter()
        .filter(|info| !used.contains(&info.opcode))
        .map(|info| info.mnemonic)
        .collect();
    assert!(missing.is_empty(), "everything.rasm lacks {missing:?}");
}
