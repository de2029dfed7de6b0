//! What the handle on programs does at its own limits.

use core::sync::atomic::AtomicBool;

use revenant_bytecode::{assemble, encode};
use revenant_hal::{Epoch, PageIndex};

use super::activity::Activity;
use super::script::Script;
use super::waits::MOST;
use super::{Creation, Turn, TurnLimits, Vm};
use crate::memory::HostSpace;

const LOOP: &str = "
module endless version 1
export function main(environment: Environment) {
again:
    jump again
}
";

/// Each waiting thread is an entry in the kernel's memory: their number is bounded, and beyond it nobody runs before a page has come.
#[test]
fn when_too_many_threads_wait_for_pages_all_do() {
    let _host = HostSpace::take().unwrap();
    let file = encode(&assemble(LOOP, "test.rasm").unwrap());
    let creation = Creation { modules: &[&file], arguments: &[], epoch: Epoch(1) };
    let mut world = Script::new(Epoch(0));
    let mut vm = Vm::create(&creation, &mut world).unwrap();
    let quiet = AtomicBool::new(false);
    let mut turn = |vm: &mut Vm| vm.turn(&mut world, &quiet, TurnLimits { polls: 10 });
    let (early, late) = (PageIndex(1 << 30), PageIndex(1 << 31));
    assert!(matches!(turn(&mut vm), Turn::Ran(_)));
    let most = MOST as u64;
    for number in 1..most {
        vm.waiting.insert(Activity::Thread(number * 16), late);
    }
    assert!(matches!(turn(&mut vm), Turn::Ran(_)), "one more may wait");
    vm.waiting.insert(Activity::Thread(most * 16), early);
    for _ in 0..3 {
        assert_eq!(turn(&mut vm), Turn::Waiting);
    }
    vm.page_arrived(early);
    assert!(matches!(turn(&mut vm), Turn::Ran(_)));
    vm.page_arrived(late);
    assert_eq!(vm.waiting.threads(), 0);
}
