//! `test=paging`: object space under flips and copy-on-write without any program. `pages` says over how many pages.
//!
//! A worker stores a pattern over its pages, round after round, in an order that jumps about; where it stands is in object
//! space too, on the first page. So any state of object space that belongs to one instant is recognised: pages that come
//! before the worker's place in the order hold this round's values, the others the last round's. After a resume every
//! page is checked against that before the worker goes on; the line `flip` carries `round` and `place` as steps of thread
//! 0 and 1, and `verified` prints what the resumed pages say, for the harness to compare.
//!
//! A disk that is empty is formatted; one that holds anything but this test's store is refused or fails the check.

use super::Machine;
use super::synthetic::{TEST_ABI, format_if_empty, insist};
use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::world::World;
use crate::{disk, log, space};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use revenant_hal::{ObjectAddress, PageIndex};
use revenant_machine::attention;
use revenant_machine::exit::ExitCode;
use revenant_machine::object_memory::{load, store, touch};
use revenant_vm::{ThreadId, Turn, WitnessRecord};

/// The page with the worker's place: mark, pages, round, place.
const STATE: PageIndex = PageIndex(0);
const MARK: u64 = u64::from_le_bytes(*b"rvpaging");
/// The first page of the pattern; far away, so that other tables map it.
const FIRST: u64 = 1 << 20;
/// Distance between pages of the pattern in units of pages: more than one leaf table is used early.
const STRIDE: u64 = 2;
/// Pages asked for at a time when all are read.
const READ_AHEAD: u64 = 64;
/// Words written on each page.
const WORDS: u64 = 8;
/// Stores between two looks at the attention flag.
const STEPS_PER_TURN: u32 = 2000;

/// Runs until the command line says to stop, or for ever.
pub(super) fn run(machine: Machine) -> Result<ExitCode, String> {
    let Machine { clock, options, frames, tables, .. } = machine;
    let mut disk = disk::find(&frames)?;
    format_if_empty(&mut disk)?;
    let (opened, report) = disk::open(&mut disk, &options, TEST_ABI)?;
    space::install(opened, disk, frames, tables, Vec::new(), || ());
    let pages = options.pages;
    let mut event_loop = EventLoop::new(Worker { pages, round: 0 }, clock, options);
    log!("resumed epoch={}", report.epoch);
    verify(&mut event_loop, pages)?;
    let code = event_loop.run();
    let counters = space::with(|space| space.statistics());
    let (early, room) = space::with(|space| (space.early_statistics(), space.space()));
    log!("paging {counters:?} {early:?} space={room:?}");
    Ok(code)
}

/// The worker; its place is in object space, this is its configuration and what it saw last.
struct Worker {
    pages: u64,
    round: u64,
}

/// The word of a page's state.
fn state_word(index: u64) -> ObjectAddress {
    ObjectAddress(STATE.address().0 + index * 8)
}

/// The page at a place of a round's order. The order is the same in every round: a fixed odd multiple, modulo the count.
fn page_at(place: u64, pages: u64) -> PageIndex {
    let stride = if pages.is_multiple_of(7919) { 1 } else { 7919 };
    PageIndex(FIRST + place * stride % pages * STRIDE)
}

/// The value of a word of a page in a round; before the first round everything is zero.
fn value(page: PageIndex, word: u64, round: u64) -> u64 {
    if round == 0 {
        0
    } else {
        (page.0 << 32 ^ word << 60 ^ round).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

fn word_of(page: PageIndex, word: u64) -> ObjectAddress {
    ObjectAddress(page.address().0 + word * (4096 / WORDS))
}

impl Worker {
    /// One step: touches everything, then stores one page's values and moves the place on.
    fn step(&mut self) {
        touch(state_word(3));
        let (round, place) = (load(state_word(2)), load(state_word(3)));
        let page = page_at(place, self.pages);
        touch(word_of(page, 0));
        for word in 0..WORDS {
            store(word_of(page, word), value(page, word, round + 1));
        }
        let last = place + 1 == self.pages;
        store(state_word(2), if last { round + 1 } else { round });
        store(state_word(3), if last { 0 } else { place + 1 });
        self.round = round;
    }
}

impl Programs for Worker {
    fn turn(&mut self, _world: &mut World) -> Turn {
        for _ in 0..STEPS_PER_TURN {
            self.step();
            if attention::flag().load(Ordering::Relaxed) {
                break;
            }
        }
        Turn::Ran(ThreadId(0))
    }

    fn witness(&mut self, records: &mut [WitnessRecord]) -> usize {
        let words = [load(state_word(2)), load(state_word(3))];
        for ((record, steps), thread) in records.iter_mut().zip(words).zip(0..) {
            *record = WitnessRecord { thread: ThreadId(thread), steps };
        }
        words.len()
    }
}

/// Checks every page against the worker's place; makes the state page of a fresh store.
fn verify(event_loop: &mut EventLoop<Worker>, pages: u64) -> Result<(), String> {
    let [mark, known, round, place] =
        insist(event_loop, || [0, 1, 2, 3].map(|word| load(state_word(word))));
    if mark == 0 && known == 0 && round == 0 && place == 0 {
        insist(event_loop, || {
            touch(state_word(0));
            store(state_word(0), MARK);
            store(state_word(1), pages);
        });
        log!("verified fresh pages={pages}");
        return Ok(());
    }
    if (mark, known) != (MARK, pages) {
        return Err(format!(
            "the store holds {known} pages of mark {mark:#x}, not {pages} of {MARK:#x}"
        ));
    }
    for at in 0..pages {
        if at % READ_AHEAD == 0 {
            // Asked for together, so that the disk has more than one to do; each is waited for below.
            let soon = at..pages.min(at + READ_AHEAD);
            space::with(|space| soon.for_each(|at| _ = space.fault(page_at(at, pages), false)));
        }
        let page = page_at(at, pages);
        let expected = if at < place { round + 1 } else { round };
        let wrong = insist(event_loop, || {
            (0..WORDS).find(|word| load(word_of(page, *word)) != value(page, *word, expected))
        });
        if let Some(word) = wrong {
            return Err(format!(
                "page {page} word {word} is not of round {expected} (place {at} of {place})"
            ));
        }
    }
    log!("verified pages={pages} steps=0:{round},1:{place}");
    Ok(())
}
