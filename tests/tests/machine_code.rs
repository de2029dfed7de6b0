//! The interpreter's handlers in the kernel as it was built: every one ends in a jump of its own, none piles up on the stack, the hot
//! ones keep everything in registers. Needs the kernel (`make image`) and objdump, which comes with every C compiler.

use revenant_tests::harness::repository;
use revenant_tests::machine_code::{Disassembly, Exceptions};
use std::process::Command;

/// Operations that have no fast path. The linker folds those that are alike into one.
const SLOW: [&str; 9] = [
    "Throw",
    "Unreachable",
    "CallNative",
    "ClosureNew",
    "ArrayNew",
    "BufferNew",
    "ExtensionLoadRaw",
    "ExtensionLoadRef",
    "ExtensionStoreRaw",
];
/// Rounding without SSE4 is a function; a new object is cleared by one when it is large.
const CALLING: [&str; 9] = [
    "F32Ceil",
    "F32Floor",
    "F32Trunc",
    "F32Nearest",
    "F64Ceil",
    "F64Floor",
    "F64Trunc",
    "F64Nearest",
    "ObjectNew",
];
/// What loops are made of.
const HOT: [&str; 14] = [
    "MoveRaw",
    "MoveRef",
    "Jump",
    "I64Add",
    "I64AddImm",
    "I64Sub",
    "I64Mul",
    "I64BranchLtS",
    "I64BranchLeS",
    "F64Add",
    "F64Mul",
    "BranchNull",
    "FieldLoadRaw",
    "FieldLoadRef",
];
/// Handlers that save registers: calls and returns, and those that confine an address and check an index. May only fall.
const PUSHING: usize = 50;

#[test]
#[ignore = "needs the kernel that scripts/image.sh builds"]
fn handlers_of_the_interpreter_end_in_jumps_and_keep_their_state_in_registers() {
    let kernel = repository().join("build/revenant-kernel.elf");
    let output = Command::new("objdump")
        .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
        .arg(&kernel)
        .output()
        .expect("objdump runs");
    assert!(output.status.success(), "objdump {}", kernel.display());
    let disassembly = Disassembly::parse(&String::from_utf8_lossy(&output.stdout));
    assert!(disassembly.handlers() > 200, "{} handlers", disassembly.handlers());
    let exceptions =
        Exceptions { slow: &SLOW, calling: &CALLING, pushing: PUSHING, never_pushing: &HOT };
    let findings = disassembly.findings(&exceptions);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}
