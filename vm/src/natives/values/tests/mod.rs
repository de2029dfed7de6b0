//! Every native on values: what it answers, and that it answers the same when its attempts end at every touch.
//!
//! A [`Case`] sets up arguments in an object space made by the loader, calls one native until it is done and describes, without
//! addresses, what came back and what became of the arguments. Then the space is put back and the same call is
//! disturbed: its attempt ended at the n-th touch, once, for every n; and at a later touch each time, until it gets through. Each
//! time the description must be the same, and the exact checker must find the heap sound at every stop.

mod cases;
mod long;
mod world;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{NATIVES, Native, NativeKind};

use crate::counting::doubt::{self, Wish};
use crate::memory::{Attempts, HostSpace};
use world::{Case, World};

/// Touches after which a case counts as undisturbed.
const TOUCHES_MAX: u64 = 100_000;

fn cases() -> impl Iterator<Item = Case> {
    cases::TEXT
        .iter()
        .chain(cases::BUILDER)
        .chain(cases::LIST)
        .chain(cases::ARRAY)
        .chain(cases::OBJECT)
        .chain(cases::COLLECTOR)
        .chain(cases::MATH)
        .chain(long::LONG)
        .copied()
}

/// Whether the cases are to cover a native. Those of the past have tests of their own (tests/past.rs).
fn is_on_values(native: Native) -> bool {
    native.number() >= 36 && !matches!(native, Native::PastBefore | Native::PastCopy)
}

#[test]
fn every_native_on_values_has_a_case() {
    let covered: BTreeSet<u16> = cases().map(|case| case.native.number()).collect();
    // Those of the past have tests of their own (tests/past.rs).
    let past = [Native::PastBefore, Native::PastCopy];
    for info in
        NATIVES.iter().filter(|info| info.native.number() >= 36 && !past.contains(&info.native))
    {
        assert!(covered.contains(&info.native.number()), "{} has no case", info.name);
    }
}

#[test]
fn answers() {
    let host = HostSpace::take().unwrap();
    let mut wrong = Vec::new();
    let mut stepped = BTreeSet::new();
    for case in cases().chain(long::VERY_LONG.iter().copied()) {
        let world = World::new(&host, case);
        Attempts::check(true);
        let found = world.run();
        if world.went_in_steps() {
            stepped.insert(case.native);
        }
        Attempts::check(false);
        if found != case.expected {
            wrong.push(format!("{case:?}, not {found}"));
        }
        for violation in Attempts::take_violations() {
            wrong.push(format!("{case:?}: {violation}"));
        }
        world.sound();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let on_values = NATIVES.iter().filter(|info| is_on_values(info.native));
    let promised = on_values.filter(|info| info.kind == NativeKind::Stepped);
    let promised: BTreeSet<Native> = promised.map(|info| info.native).collect();
    assert_eq!(stepped, promised, "natives that go in steps, and those of which the table says so");
}

#[test]
fn an_attempt_that_ends_anywhere_changes_nothing_that_is_seen() {
    let host = HostSpace::take().unwrap();
    for case in cases() {
        let world = World::new(&host, case);
        let start = world.save();
        let mut ended = 0;
        for touches in 0..TOUCHES_MAX {
            // Long operations have thousands of touches in equal steps: all of the first, then fewer and fewer.
            let stride = match touches {
                0..=120 => 1,
                121..=1_500 => 61,
                _ => 1_009,
            };
            if !touches.is_multiple_of(stride) {
                continue;
            }
            world.restore(&start);
            if !world.run_ended_at(touches) {
                break;
            }
            ended += 1;
            if touches.is_multiple_of(13) {
                world.sound();
            }
            assert_eq!(world.run(), case.expected, "{case:?} ended at touch {touches}");
        }
        assert!(ended > 0, "{case:?} touched nothing");
    }
}

#[test]
fn what_is_wanted_of_the_collector_stays_until_it_is_granted() {
    let host = HostSpace::take().unwrap();
    let wish = |pause, start, stop| Wish { pause, start, stop };
    let calls = [
        (Native::CollectorPause, wish(true, false, false)),
        (Native::CollectorStop, wish(true, false, true)),
        (Native::CollectorStart, wish(false, true, true)),
        (Native::CollectorPause, wish(true, true, true)),
        (Native::CollectorResume, wish(false, true, true)),
    ];
    let nothing = |_: &World<'_>| {};
    let mut world =
        World::new(&host, Case { native: calls[0].0, arguments: nothing, expected: "" });
    for (native, wanted) in calls {
        world.case.native = native;
        assert_eq!(world.run(), "");
        assert_eq!(doubt::wish(world.space), wanted, "after {native:?}");
    }
}

#[test]
fn attempts_that_end_again_and_again_get_through() {
    let host = HostSpace::take().unwrap();
    for case in cases().chain(long::VERY_LONG.iter().copied()) {
        let world = World::new(&host, case);
        let mut touches = 0;
        let found = loop {
            if let Some(found) = world.run_until(touches) {
                break found;
            }
            // The page that was waited for is there the next time, and one more, or a few.
            touches += 1 + touches / 32;
            assert!(touches < TOUCHES_MAX, "{case:?} does not get through");
        };
        assert_eq!(found, case.expected, "{case:?}");
        world.sound();
    }
}

#[test]
fn null_where_the_verifier_forbids_it_is_an_exception() {
    let host = HostSpace::take().unwrap();
    for info in NATIVES.iter().filter(|info| {
        info.native.number() >= 36 && info.native.number() < Native::PastBefore.number()
    }) {
        let case = Case {
            native: info.native,
            arguments: |world| {
                world.raws(&[0; 4]);
            },
            expected: "",
        };
        let needs = info.parameters.iter().any(|parameter| {
            matches!(parameter, revenant_bytecode::ValueType::Reference { nullable: false, .. })
        });
        let world = World::new(&host, case);
        let found = world.run();
        assert_eq!(found.contains("NullReferenceException"), needs, "{}: {found}", info.name);
        world.sound();
    }
}
