//! How lists of threads are made whole where lost threads stood in them.
//!
//! A list is stretches of survivors with stretches of lost threads between them. Of the latter the two ends are known: the
//! survivor before the one and the survivor behind the other name them. Which two belong together is not known, and does not
//! matter: any order of the stretches is a list that has everybody in it, if the one that leads to the list's end comes last.
//! Lost threads that no survivor names stand in no list any more.

use revenant_hal::ObjectAddress;

use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::system::{console, root, scheduler};
use crate::memory::layout::thread::WAIT_NEXT;
use crate::scheduler::{RUN_QUEUE, word};
use crate::thread::at;

use super::{CELLS, Lost};

/// The links with which a lost thread stands in a list, and those of the list of who joins it.
#[derive(Clone, Copy, Default)]
pub(super) struct Links {
    /// The first word of the list, 0 for none.
    pub(super) queue: u64,
    pub(super) next: u64,
    pub(super) previous: u64,
    /// First and last.
    pub(super) joiners: (u64, u64),
}

/// Connects the stretches of survivors of each list through the lost threads at their ends.
pub(super) struct Joints<'a> {
    space: Space,
    lost: &'a Lost,
    links: [Links; CELLS],
}

/// The ends of one list that lost threads have to connect: each set is a number of bits, one a cell.
struct Ends {
    /// Named by the survivor before it, or by the list as its first; not by one behind it.
    entries: u32,
    /// Named by the survivor behind it, or by the list as its last; not by one before it.
    exits: u32,
}

fn cells_in(set: u32) -> impl Iterator<Item = usize> {
    (0..CELLS).filter(move |cell| set >> cell & 1 != 0)
}

impl<'a> Joints<'a> {
    pub(super) fn new(space: Space, lost: &'a Lost) -> Self {
        Self { space, lost, links: [Links::default(); CELLS] }
    }

    /// The links of all lost threads.
    pub(super) fn connected(mut self) -> [Links; CELLS] {
        let fixed = [
            RUN_QUEUE.word(),
            word(scheduler::COMMIT_HEAD).0,
            area::CONSOLE + console::READER_HEAD,
            area::CONSOLE + console::WRITER_HEAD,
        ];
        for queue in fixed {
            self.connect(queue);
        }
        for cell in 0..CELLS {
            let trace = self.lost.trace(cell);
            // Those whose list was connected before have it noted.
            let is_done = self.links.get(cell).is_none_or(|links| links.queue != 0);
            if trace.queue != 0 && !is_done {
                self.connect(trace.queue);
            }
        }
        for cell in 0..CELLS {
            let trace = self.lost.trace(cell);
            if let Some(links) = self.links.get_mut(cell) {
                let (first, last) = &mut links.joiners;
                *first = if *first == 0 { trace.first_joiner } else { *first };
                *last = if *last == 0 { trace.last_joiner } else { *last };
            }
        }
        self.links
    }

    /// The first and the last thread of a list. Of one that was lost itself, as far as survivors say.
    fn bounds(&self, queue: u64) -> (u64, u64) {
        match self.lost.joined(queue) {
            Some(cell) => {
                let trace = self.lost.trace(cell);
                (trace.first_joiner, trace.last_joiner)
            }
            None => {
                let load = |address| self.space.load(ObjectAddress(address));
                (load(queue), load(queue.wrapping_add(8)))
            }
        }
    }

    fn ends(&self, queue: u64, (first, last): (u64, u64)) -> (u32, u32) {
        let bit = |address| self.lost.cell_of(address).map_or(0, |cell| 1_u32 << cell);
        let (mut named_before, mut named_behind) = (bit(first), bit(last));
        for cell in 0..CELLS {
            let trace = self.lost.trace(cell);
            if trace.queue == queue {
                named_before |= u32::from(trace.before != 0) << cell;
                named_behind |= u32::from(trace.after != 0) << cell;
            }
        }
        (named_before, named_behind)
    }

    /// Makes one list whole. A stretch of survivors begins behind an exit and ends before an entry, or at the list's end: any
    /// order of stretches is a list if the one with the end comes last.
    fn connect(&mut self, queue: u64) {
        let bounds = self.bounds(queue);
        let (named_before, named_behind) = self.ends(queue, bounds);
        for cell in cells_in(named_before | named_behind) {
            let trace = self.lost.trace(cell);
            if let Some(links) = self.links.get_mut(cell) {
                links.queue = queue;
                if trace.queue == queue {
                    (links.previous, links.next) = (trace.before, trace.after);
                }
            }
        }
        let mut ends =
            Ends { entries: named_before & !named_behind, exits: named_behind & !named_before };
        // Of a list that was lost itself the first may be unknown: then any exit begins it.
        let begins_lost = bounds.0 == 0 && self.lost.joined(queue).is_some();
        let mut current = match (begins_lost, ends.entries.count_ones()) {
            (true, _) => None,
            (false, 1) => cells_in(ends.entries).next(),
            _ => self.end_of(queue, bounds.0, &ends),
        };
        while ends.exits != 0 {
            let (exit, end) = self.next_stretch(queue, current, &ends);
            self.join(queue, current, exit);
            ends.exits &= !(1 << exit);
            ends.entries &= !current.map_or(0, |cell| 1 << cell);
            current = end.filter(|cell| ends.entries >> cell & 1 != 0);
            if current.is_none() && ends.exits != 0 {
                // A list that contradicts itself: what is left is connected in some order.
                current = cells_in(ends.entries).next();
                if current.is_none() {
                    break;
                }
            }
        }
        if let (Some(joined), Some(last)) = (self.lost.joined(queue), current) {
            let address = self.lost.address_of(last);
            if let Some(links) = self.links.get_mut(joined) {
                links.joiners.1 = address;
            }
        }
    }

    /// The exit to connect next, and the entry at which its stretch ends: one that leads on, as long as there is one.
    fn next_stretch(
        &self,
        queue: u64,
        current: Option<usize>,
        ends: &Ends,
    ) -> (usize, Option<usize>) {
        // Nearly always: nothing else than the end can be behind it, so nobody has to walk there.
        let is_last =
            ends.exits.count_ones() == 1 && current.is_some_and(|cell| ends.entries == 1 << cell);
        let mut last = (0, None);
        for exit in cells_in(ends.exits) {
            last = (exit, None);
            if is_last {
                break;
            }
            let end = self.end_of(queue, self.lost.trace(exit).after, ends);
            if end.is_some() {
                return (exit, end);
            }
        }
        last
    }

    /// The entry at which the stretch of survivors that begins with this thread ends; none if it is the list's end.
    fn end_of(&self, queue: u64, first: u64, ends: &Ends) -> Option<usize> {
        let mut thread = first;
        let all: u64 = self.space.load(ObjectAddress(area::ROOT + root::NEXT_THREAD));
        for _ in 0..all.min(area::THREAD_TABLE_ENTRIES) {
            if thread == 0 {
                return None;
            }
            thread = match self.lost.cell_of(thread) {
                Some(cell) if ends.entries >> cell & 1 != 0 => return Some(cell),
                Some(cell) if self.lost.trace(cell).queue == queue => self.lost.trace(cell).after,
                Some(_) => return None,
                None if self.lost.holds(thread) => return None,
                None => self.space.load(at(ObjectAddress(thread), WAIT_NEXT)),
            };
            self.space.end_step();
        }
        None
    }

    /// Links an entry to an exit; without an entry the exit is the first of a list of joiners.
    fn join(&mut self, queue: u64, entry: Option<usize>, exit: usize) {
        let exit_address = self.lost.address_of(exit);
        let entry_address = entry.map_or(0, |cell| self.lost.address_of(cell));
        if let Some(links) = self.links.get_mut(exit) {
            links.previous = entry_address;
        }
        if let Some(links) = entry.and_then(|cell| self.links.get_mut(cell)) {
            links.next = exit_address;
        } else if let Some(links) =
            self.lost.joined(queue).and_then(|cell| self.links.get_mut(cell))
        {
            links.joiners.0 = exit_address;
        }
    }
}
