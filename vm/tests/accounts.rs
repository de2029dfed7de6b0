//! The accounts of collections in object space: the last sixteen, whole whenever the attempt ends, and nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use machine::Machine;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_vm::PageVerdict;
use revenant_vm::counting::audit::audit;
use revenant_vm::heap::AllocationError;
use revenant_vm::memory::Attempts;
use revenant_vm::memory::layout::area;

const SLEEPER: &str = r#"
module sleeper version 1

export function main(environment: Environment) -> i64 {
    i64.set never, 0
again:
    native thread.yield()
    jump again
}
"#;

fn machine() -> Machine {
    let mut machine = Machine::new(SLEEPER, &[]);
    for _ in 0..10 {
        let _ = machine.turn(10);
    }
    machine
}

/// What `disk cat` shows of them.
fn kept(machine: &Machine) -> Vec<String> {
    let text = machine.vm.inspect("collections").unwrap();
    text.lines().skip(1).map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
}

fn keep(machine: &mut Machine, text: &str) -> Option<Result<(), AllocationError>> {
    machine.vm.keep_account(text, &mut machine.environment)
}

#[test]
fn the_last_sixteen_are_kept_the_newest_last() {
    let mut machine = machine();
    assert_eq!(machine.vm.inspect("collections").unwrap().trim(), "null");
    let objects = |machine: &Machine| audit(machine.host.space()).object_count();
    machine.audit();
    let before = objects(&machine);
    for number in 0..40 {
        assert_eq!(keep(&mut machine, &format!("epoch={number}")), Some(Ok(())));
        machine.audit();
        let first = (number + 1_usize).saturating_sub(16);
        let expected: Vec<String> =
            (first..=number).map(|number| format!("\"epoch={number}\"")).collect();
        assert_eq!(kept(&machine), expected);
    }
    assert_eq!(objects(&machine), before + 17, "sixteen texts and their array, nothing else");
    // However long a text is, and wherever it is cut.
    assert_eq!(keep(&mut machine, &"\u{e4}".repeat(5_000)), Some(Ok(())));
    assert!(kept(&machine).last().unwrap().ends_with("(4096 bytes)"));
    let whole = machine.vm.inspect("collections/[15]").unwrap();
    assert_eq!(whole.trim().trim_matches('"'), "\u{e4}".repeat(2_048));
}

#[test]
fn an_attempt_that_ends_at_any_touch_leaves_what_was_there_or_what_will_be() {
    let mut machine = machine();
    for number in 0..17 {
        assert_eq!(keep(&mut machine, &format!("epoch={number}")), Some(Ok(())));
    }
    let before = kept(&machine);
    let mut ended = 0;
    for touches in 1.. {
        let (vm, environment) = (&mut machine.vm, &mut machine.environment);
        let kept_it = Attempts::run(touches, || vm.keep_account("epoch=17", environment));
        if kept_it.is_some() {
            assert_eq!(kept_it, Some(Some(Ok(()))));
            break;
        }
        ended += 1;
        machine.abandoned(PageIndex(7));
        if touches > 4 {
            // Before, it is the system that waits, which enters.
            assert_eq!(keep(&mut machine, "none"), None, "it waits for its page");
        }
        machine.vm.page_arrived(PageIndex(7));
        assert_eq!(kept(&machine), before, "ended at touch {touches}");
        let _ = machine.turn(10);
    }
    assert!(ended > 30, "{ended}");
    assert_eq!(kept(&machine)[..15], before[1..]);
    assert_eq!(kept(&machine)[15], "\"epoch=17\"");
    // What the attempts that ended have left is freed.
    machine.audit();
    let objects = audit(machine.host.space()).object_count();
    let mut fresh = self::machine_again(machine);
    fresh.audit();
    assert_eq!(objects, audit(fresh.host.space()).object_count());
}

/// Another machine with as many accounts, and no attempt that ended.
fn machine_again(old: Machine) -> Machine {
    drop(old);
    let mut fresh = machine();
    for number in 0..18 {
        assert_eq!(keep(&mut fresh, &format!("epoch={number}")), Some(Ok(())));
    }
    fresh
}

#[test]
fn what_cannot_be_read_costs_the_account_and_nothing_else() {
    let mut machine = machine();
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    assert!(Attempts::run(3, || vm.keep_account("epoch=1", environment)).is_none());
    let page = ObjectAddress(area::HEAP).page();
    machine.abandoned(page);
    assert_eq!(machine.vm.page_failed(page, &mut machine.environment), PageVerdict::BlockStuck);
    machine.vm.page_arrived(page);
    let refused = keep(&mut machine, "epoch=1");
    assert!(matches!(refused, Some(Err(AllocationError::Damaged(_)))), "{refused:?}");
    assert_eq!(keep(&mut machine, "epoch=2"), Some(Ok(())), "the next one is tried");
    assert_eq!(kept(&machine), ["\"epoch=2\""]);
}
