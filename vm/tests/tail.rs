//! Calls in tail position are jumps: 10^8 instructions on a stack of 64 KiB. In release builds this runs the back end of jumps, in
//! debug builds the loop and fewer instructions.

use core::sync::atomic::AtomicBool;

use revenant_bytecode::{assemble, encode};
use revenant_hal::{Epoch, Nanoseconds};
use revenant_vm::memory::HostSpace;
use revenant_vm::{Creation, DiskSpace, Environment, Turn, TurnLimits, Vm};

const ENDLESS: &str = "
module endless version 1
export function main(environment: Environment) -> i64 {
    i64.set sum, 0
    i64.set i, 0
again:
    i64.add sum, sum, i
    i64.xor.imm sum, sum, 5
    i64.add.imm i, i, 1
    jump again
}
";

struct Still;

impl Environment for Still {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(1)
    }
    fn wall(&self) -> Nanoseconds {
        Nanoseconds(1)
    }
    fn epoch(&self) -> Epoch {
        Epoch(1)
    }
    fn disk_space(&self) -> DiskSpace {
        DiskSpace::Enough
    }
    fn entropy(&mut self) -> u64 {
        4
    }
}

#[test]
fn a_hundred_million_instructions_fit_a_small_stack() {
    // Four instructions a poll.
    let polls = if cfg!(debug_assertions) { 250_000 } else { 25_000_000 };
    let host = HostSpace::take().unwrap();
    let file = encode(&assemble(ENDLESS, "endless.rasm").unwrap());
    let creation = Creation { modules: &[&file], arguments: &[], epoch: Epoch(1) };
    drop(Vm::create(&creation, &mut Still).unwrap());
    let small = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || {
        let mut vm = Vm::resume(&mut Still).unwrap();
        let quiet = AtomicBool::new(false);
        vm.turn(&mut Still, &quiet, TurnLimits { polls })
    });
    let turn = small.unwrap().join().unwrap();
    assert!(matches!(turn, Turn::Ran(_)), "{turn:?}");
    drop(host);
}
