//! What a lost page led to is hung where people find it, once, and only what still is what it was (MECHANISMS B23, B27).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use machine::Machine;
use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress, PageIndex};
use revenant_vm::counting::audit::audit;
use revenant_vm::counting::class_at;
use revenant_vm::heap::{AllocationError, Allocator};
use revenant_vm::memory::layout::{area, object};
use revenant_vm::memory::{AddressExt, Attempts};
use revenant_vm::object::array;
use revenant_vm::{Hanging, Lost, PageVerdict};

const SLEEPER: &str = r#"
module sleeper version 1

export function main(environment: Environment) -> i64 {
again:
    native thread.yield()
    jump again
}
"#;
const REPORT: &str = "1 page was lost";

/// A machine, and two arrays in it that refer to each other and that nobody knows.
fn machine() -> (Machine, [ObjectAddress; 2]) {
    let mut machine = Machine::new(SLEEPER, &[]);
    for _ in 0..10 {
        let _ = machine.turn(10);
    }
    let space = machine.host.space();
    let class = class_at(space, Builtin::ObjectArray as u32);
    let made = [(); 2].map(|()| {
        let made = array::allocate(space, Allocator::of_group(0), class, 2).unwrap();
        space.end_step();
        made
    });
    for (from, to) in [(0, 1), (1, 0)] {
        assert!(array::set_reference(space, made[from], 0, made[to]));
        space.end_step();
    }
    machine.audit();
    (machine, made)
}

fn birth(machine: &Machine, subject: ObjectAddress) -> Epoch {
    let word: u64 = machine.host.space().load(subject.plus(object::BIRTH_AND_FLAGS));
    Epoch(word & object::BIRTH_MASK)
}

fn hang(machine: &mut Machine, epoch: Epoch, number: u64, root: ObjectAddress) -> Hanging {
    let lost = Lost { epoch, number, root };
    machine.vm.hang(&lost, &mut machine.environment).unwrap().unwrap()
}

fn objects(machine: &mut Machine) -> u64 {
    machine.audit();
    audit(machine.host.space()).object_count()
}

#[test]
fn what_hangs_there_is_found_by_its_path_and_hung_once() {
    let (mut machine, [first, second]) = machine();
    let epoch = birth(&machine, first);
    for expected in [Hanging::Hung, Hanging::There] {
        assert_eq!(hang(&mut machine, epoch, 1, first), expected);
        machine.audit();
    }
    assert_eq!(hang(&mut machine, epoch, 2, second), Hanging::Hung);
    assert_eq!(hang(&mut machine, epoch, 2, first), Hanging::Refused, "another one is there");
    let pages = [PageIndex(77), PageIndex(78)];
    let known = |machine: &mut Machine, page| {
        machine.vm.knows_lost(PageIndex(page), &mut machine.environment).unwrap().unwrap()
    };
    assert!(!known(&mut machine, 77));
    for _ in 0..2 {
        let kept = machine.vm.keep_lost(epoch, &pages, REPORT, &mut machine.environment);
        assert_eq!(kept, Some(Ok(())));
        machine.audit();
        assert!(known(&mut machine, 77) && known(&mut machine, 78) && !known(&mut machine, 79));
    }
    let kept = machine.vm.keep_lost(epoch, &[PageIndex(9)], REPORT, &mut machine.environment);
    assert_eq!(kept, Some(Ok(())));
    let kept = machine.vm.inspect("directory/lost+found/pages").unwrap();
    let kept: Vec<_> = kept.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(kept[1..], ["9", "77", "78"], "each once, the newest first");
    let path = format!("directory/lost+found/{epoch}");
    let shown = machine.vm.inspect(&path).unwrap();
    for expected in ["1: ", "2: ", &format!("report: \"{REPORT}\"")] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    let one = machine.vm.inspect(&format!("{path}/1")).unwrap();
    assert!(one.contains("[0]: "), "{one}");
}

#[test]
fn what_is_no_longer_what_it_was_is_left_out() {
    let (mut machine, [first, second]) = machine();
    let epoch = birth(&machine, first);
    assert!(epoch.0 > 0);
    // Something younger stands at the address.
    let older = Epoch(epoch.0 - 1);
    assert_eq!(hang(&mut machine, older, 1, first), Hanging::Refused);
    // Nothing stands there: a granule inside, and a place outside the heap.
    assert_eq!(hang(&mut machine, epoch, 2, first.plus(16)), Hanging::Refused);
    assert_eq!(hang(&mut machine, epoch, 3, ObjectAddress(area::ROOT)), Hanging::Refused);
    // It is counting's to free: new, and in a batch.
    let space = machine.host.space();
    let class = class_at(space, Builtin::ObjectArray as u32);
    let fresh = array::allocate(space, Allocator::of_group(0), class, 1).unwrap();
    space.end_step();
    assert_eq!(hang(&mut machine, epoch, 4, fresh), Hanging::Refused);
    // Freed: both references go.
    assert!(array::set_reference(space, second, 0, ObjectAddress(0)));
    space.end_step();
    assert_eq!(hang(&mut machine, epoch, 5, first), Hanging::Refused, "it waits to be freed");
    machine.audit();
    assert_eq!(hang(&mut machine, epoch, 5, first), Hanging::Refused, "it is freed");
    let shown = machine.vm.inspect(&format!("directory/lost+found/{epoch}")).unwrap();
    assert_eq!(shown.lines().count(), 1, "{shown}");
}

#[test]
fn an_attempt_that_ends_at_any_touch_is_made_again() {
    let run = |disturbed: bool| {
        let (mut machine, [first, second]) = machine();
        let epoch = birth(&machine, first);
        let mut ended = 0;
        for (number, root) in [(1, first), (2, second)] {
            let lost = Lost { epoch, number, root };
            let mut touches = 1;
            loop {
                let (vm, environment) = (&mut machine.vm, &mut machine.environment);
                let limit = if disturbed { touches } else { u64::MAX };
                match Attempts::run(limit, || vm.hang(&lost, environment)) {
                    Some(Some(done)) => {
                        break assert!(matches!(done, Ok(Hanging::Hung)), "{done:?}");
                    }
                    Some(None) => panic!("it waits for nothing"),
                    None => {
                        ended += 1;
                        machine.abandoned(PageIndex(7));
                        machine.vm.page_arrived(PageIndex(7));
                        let _ = machine.turn(10);
                    }
                }
                touches += 1;
            }
        }
        let mut touches = 1;
        loop {
            let (vm, environment) = (&mut machine.vm, &mut machine.environment);
            let limit = if disturbed { touches } else { u64::MAX };
            let keep = || vm.keep_lost(epoch, &[PageIndex(9)], REPORT, environment);
            if let Some(done) = Attempts::run(limit, keep) {
                break assert_eq!(done, Some(Ok(())));
            }
            ended += 1;
            machine.abandoned(PageIndex(7));
            machine.vm.page_arrived(PageIndex(7));
            let _ = machine.turn(10);
            touches += 1;
        }
        let shown = machine.vm.inspect(&format!("directory/lost+found/{epoch}")).unwrap();
        (objects(&mut machine), shown.lines().count(), ended)
    };
    let (objects, lines, none) = run(false);
    assert_eq!((lines, none), (4, 0));
    let (disturbed, lines, ended) = run(true);
    assert_eq!((disturbed, lines), (objects, 4), "nothing is left behind, nothing is missing");
    assert!(ended > 100, "{ended}");
}

#[test]
fn what_cannot_be_read_is_an_error_and_costs_nothing_else() {
    let (mut machine, [first, _]) = machine();
    let lost = Lost { epoch: birth(&machine, first), number: 1, root: first };
    let (vm, environment) = (&mut machine.vm, &mut machine.environment);
    assert!(Attempts::run(20, || vm.hang(&lost, environment)).is_none());
    machine.abandoned(first.page());
    let verdict = machine.vm.page_failed(first.page(), &mut machine.environment);
    assert_eq!(verdict, PageVerdict::BlockStuck);
    machine.vm.page_arrived(first.page());
    let refused = machine.vm.hang(&lost, &mut machine.environment);
    assert!(matches!(refused, Some(Err(AllocationError::Damaged(_)))), "{refused:?}");
    assert_eq!(machine.vm.hang(&lost, &mut machine.environment), Some(Ok(Hanging::Hung)));
}
