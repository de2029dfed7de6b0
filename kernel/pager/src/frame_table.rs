//! The frame table: what every frame of RAM is, in 24 bytes, and the lists that frames stand on.
//!
//! This table is the truth about pages; page tables only repeat it to the processor. Invariants:
//! - a frame stands on exactly one list, or on none while it is clean, being filled, or a page table;
//! - the dirty list holds the pages made writable in the running epoch, the cleaning list pages of that epoch and of the snapshot
//!   in the making, which is not durable before it has none of its own there; the others (but the free lists) belong to the one snapshot in the making;
//! - nothing here walks all frames: the flip moves a list, the commit forgets one.
//!
//! Neighbours: `fault` and `writer` change states; `pager` owns the table.

mod of_pages;
mod of_tables;

use crate::replacement::Group;
use alloc::vec::Vec;
use revenant_hal::{Epoch, FrameIndex, PageIndex};

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FrameState {
    /// Nothing. On the free list.
    Free,
    /// A device is filling it with a page that is not mapped yet.
    Filling,
    /// Holds a page that the disk holds too.
    Clean,
    /// Holds a page made writable in the epoch of its stamp. If that epoch has ended the page is frozen and waits for the
    /// writer; else it stands on the dirty list.
    Dirty,
    /// Holds a frozen page that a device is writing.
    Writing,
    /// Holds a page of the snapshot in the making that was written and is not durable yet.
    Written,
    /// Holds a page that was stored to in the epoch of its stamp and that a device is writing before the flip of that epoch.
    Cleaning,
    /// Holds an old copy of such a page; mapped nowhere.
    SplitCleaning,
    /// Holds the old copy of a page; mapped nowhere; waits for the writer.
    SplitQueued,
    /// Holds the old copy of a page that a device is writing.
    SplitWriting,
    /// Is a page table, last protected in the epoch of its stamp.
    Table,
}

/// Number of states.
const STATES: usize = 11;

impl FrameState {
    const ALL: [Self; STATES] = [
        Self::Free,
        Self::Filling,
        Self::Clean,
        Self::Dirty,
        Self::Writing,
        Self::Written,
        Self::Cleaning,
        Self::SplitCleaning,
        Self::SplitQueued,
        Self::SplitWriting,
        Self::Table,
    ];
}

/// The lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum ListName {
    /// Free frames, with whatever was in them.
    Free,
    /// Free frames that hold zeros.
    Zeroed,
    /// Dirty in the running epoch.
    Dirty,
    /// Frozen by the last flip, not given to the store yet.
    Frozen,
    /// To be given to the store before the rest: old copies, and pages that somebody waits for.
    Front,
    /// Given to the store.
    InFlight,
    /// Written for the snapshot in the making.
    Written,
    /// Given to the store before their flip.
    Cleaning,
}

const LISTS: usize = 8;
const NONE: u32 = u32::MAX;

/// Stands on the front list although its state is `Dirty`.
const FLAG_FRONT: u32 = 1;
/// Somebody waits until the frame's write has completed.
const FLAG_AWAITED: u32 = 2;

/// Holds a page, or waits for one, that was read ahead; nobody is known to have touched it.
const FLAG_AHEAD: u32 = 4;
/// Waits for a page that its group had when it was suspended.
const FLAG_BACK: u32 = 8;
/// Is a last table: its entries are pages.
const FLAG_LEAF: u32 = 16;
/// Is a table that a page was asked for below, or came to, since the flag was cleared.
const FLAG_RECENT: u32 = 32;
/// Was touched, and the bit that said so was cleared before the replacement has seen it.
const FLAG_TOUCHED: u32 = 64;
/// Was taken for settled and given to the store before its flip.
const FLAG_SETTLED: u32 = 128;
/// Where the group stands in the flags' word: in its upper half.
const GROUP_SHIFT: u32 = 16;
const FLAGS_MASK: u32 = (1 << GROUP_SHIFT) - 1;

#[derive(Clone, Copy)]
struct Record {
    /// Epoch in the upper 56 bits, state in the lowest 8.
    stamp_and_state: u64,
    /// The page in the frame; of a table, the first that it leads to.
    page: u32,
    next: u32,
    previous: u32,
    /// Flags below; above, the group that brings the page in, or how many entries of a table are used.
    flags: u32,
}

const _: () = assert!(size_of::<Record>() == 24, "24 bytes a frame");

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    length: u32,
}

const EMPTY: List = List { head: NONE, tail: NONE, length: 0 };

/// All frames and lists.
pub(crate) struct FrameTable {
    records: Vec<Record>,
    lists: [List; LISTS],
    counts: [u32; STATES],
    /// Frames of last tables, by the place of what they lead to: see [`FrameTable::leaf_table`].
    leaves: Vec<u32>,
    /// Free frames that are to hold zeros.
    pub(crate) zeros_wanted: u32,
    /// The running epoch.
    pub(crate) epoch: Epoch,
    /// The snapshot in the making.
    pub(crate) making: Option<Epoch>,
    /// Frames on the cleaning list that hold what its flip has frozen.
    cleaning_for_making: u32,
}

/// Frames by state, at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameCounts {
    /// Free.
    pub free: u32,
    /// Being filled from disk.
    pub filling: u32,
    /// Equal to the disk's content.
    pub clean: u32,
    /// Made writable in the running epoch.
    pub dirty: u32,
    /// Frozen and not given to the store yet, old copies included.
    pub frozen: u32,
    /// Under a device write, old copies included.
    pub writing: u32,
    /// Written, not durable.
    pub written: u32,
    /// Being written before their flip, old copies included.
    pub cleaning: u32,
    /// Old copies, queued or being written.
    pub split: u32,
    /// Page tables.
    pub tables: u32,
    /// All frames.
    pub total: u32,
}

impl FrameCounts {
    /// Frames that hold a page programs can reach.
    #[must_use]
    pub const fn resident(&self) -> u32 {
        self.total - self.free - self.filling - self.split - self.tables
    }

    /// Frames of resident pages that have no room on the disk set aside yet: a store to one may take some.
    #[must_use]
    pub(crate) const fn uncharged(&self) -> u32 {
        self.resident() - self.dirty
    }
}

impl FrameTable {
    /// A table of `count` free frames in an epoch below 2^56.
    pub(crate) fn new(count: u32, epoch: Epoch) -> Self {
        assert!(count < NONE, "frame indices stay below the mark for none");
        assert!(epoch.0 < 1 << 55, "epochs fit beside the state");
        let record = Record { stamp_and_state: 0, page: 0, next: NONE, previous: NONE, flags: 0 };
        let mut table = Self {
            records: alloc::vec![record; count as usize],
            lists: [EMPTY; LISTS],
            counts: [0; STATES],
            leaves: alloc::vec![0; of_tables::places(count)],
            zeros_wanted: u32::MAX,
            epoch,
            making: None,
            cleaning_for_making: 0,
        };
        table.counts[FrameState::Free as usize] = count;
        for frame in 0..count {
            table.push_back(ListName::Free, FrameIndex(frame));
        }
        table
    }

    fn record(&self, frame: FrameIndex) -> &Record {
        &self.records[frame.0 as usize]
    }

    fn record_mut(&mut self, frame: FrameIndex) -> &mut Record {
        &mut self.records[frame.0 as usize]
    }

    /// What the frame is. A page written for a snapshot that is durable by now is clean.
    pub(crate) fn state(&self, frame: FrameIndex) -> FrameState {
        let record = self.record(frame);
        let state = FrameState::ALL[(record.stamp_and_state & 0xff) as usize];
        let stamp = Epoch(record.stamp_and_state >> 8);
        if state == FrameState::Written && self.making != Some(stamp) {
            return FrameState::Clean;
        }
        state
    }

    /// The epoch in which a page was made writable or a table protected.
    pub(crate) fn stamp(&self, frame: FrameIndex) -> Epoch {
        Epoch(self.record(frame).stamp_and_state >> 8)
    }

    /// The page in the frame.
    pub(crate) fn page(&self, frame: FrameIndex) -> PageIndex {
        PageIndex(u64::from(self.record(frame).page))
    }

    pub(crate) fn set_page(&mut self, frame: FrameIndex, page: PageIndex) {
        // Pages of object space are numbered by 32 bits; `fault` refuses all others.
        self.record_mut(frame).page = (page.0 & 0xffff_ffff) as u32;
    }

    /// Changes the state, keeps the stamp.
    pub(crate) fn set_state(&mut self, frame: FrameIndex, state: FrameState) {
        let stamp = self.stamp(frame);
        self.set_state_and_stamp(frame, state, stamp);
    }

    pub(crate) fn set_state_and_stamp(
        &mut self,
        frame: FrameIndex,
        state: FrameState,
        stamp: Epoch,
    ) {
        let before = self.state(frame);
        self.counts[before as usize] -= 1;
        self.counts[state as usize] += 1;
        self.record_mut(frame).stamp_and_state = stamp.0 << 8 | state as u64;
    }

    pub(crate) fn set_stamp(&mut self, frame: FrameIndex, stamp: Epoch) {
        let record = self.record_mut(frame);
        record.stamp_and_state = stamp.0 << 8 | record.stamp_and_state & 0xff;
    }

    /// Whether the frame's page was dirty when the last flip froze it and the writer has not taken it yet.
    pub(crate) fn is_frozen(&self, frame: FrameIndex) -> bool {
        self.state(frame) == FrameState::Dirty && self.stamp(frame) != self.epoch
    }

    pub(crate) fn is_awaited(&self, frame: FrameIndex) -> bool {
        self.record(frame).flags & FLAG_AWAITED != 0
    }

    pub(crate) fn set_awaited(&mut self, frame: FrameIndex, awaited: bool) {
        let flags = &mut self.record_mut(frame).flags;
        *flags = if awaited { *flags | FLAG_AWAITED } else { *flags & !FLAG_AWAITED };
    }

    pub(crate) fn is_ahead(&self, frame: FrameIndex) -> bool {
        self.record(frame).flags & FLAG_AHEAD != 0
    }

    pub(crate) fn set_ahead(&mut self, frame: FrameIndex, ahead: bool) {
        let flags = &mut self.record_mut(frame).flags;
        *flags = if ahead { *flags | FLAG_AHEAD } else { *flags & !FLAG_AHEAD };
    }

    /// The page on its way was in use when its group was suspended.
    pub(crate) fn set_back(&mut self, frame: FrameIndex) {
        self.record_mut(frame).flags |= FLAG_BACK;
    }

    /// Whether it was; not asked again.
    pub(crate) fn take_back_mark(&mut self, frame: FrameIndex) -> bool {
        let flags = &mut self.record_mut(frame).flags;
        let marked = *flags & FLAG_BACK != 0;
        *flags &= !FLAG_BACK;
        marked
    }

    /// The group for which a page is brought into the frame.
    pub(crate) fn group(&self, frame: FrameIndex) -> Group {
        Group::new(self.record(frame).flags >> GROUP_SHIFT)
    }

    pub(crate) fn set_group(&mut self, frame: FrameIndex, group: Group) {
        let flags = &mut self.record_mut(frame).flags;
        *flags = *flags & FLAGS_MASK | group.index() << GROUP_SHIFT;
    }

    /// The queue on which a frozen page waits for the writer.
    pub(crate) fn queue_of_frozen(&self, frame: FrameIndex) -> ListName {
        if self.record(frame).flags & FLAG_FRONT != 0 { ListName::Front } else { ListName::Frozen }
    }

    /// Lets a frozen page overtake the rest of the queue.
    pub(crate) fn move_to_front(&mut self, frame: FrameIndex) {
        if self.queue_of_frozen(frame) == ListName::Frozen {
            self.remove(ListName::Frozen, frame);
            self.push_back(ListName::Front, frame);
            self.record_mut(frame).flags |= FLAG_FRONT;
        }
    }

    pub(crate) fn length(&self, list: ListName) -> u32 {
        self.lists[list as usize].length
    }

    pub(crate) fn free_count(&self) -> u32 {
        self.length(ListName::Free) + self.length(ListName::Zeroed)
    }

    /// Takes a free frame whose content will be overwritten: one that holds zeros only if there are more of these than are wanted,
    /// or no other. A frame taken so is a sign that zeros are wanted less.
    pub(crate) fn take_free(&mut self) -> Option<FrameIndex> {
        let zeroed = self.length(ListName::Zeroed) > self.zeros_wanted;
        self.zeros_wanted = self.zeros_wanted.saturating_sub(1);
        let first = if zeroed { ListName::Zeroed } else { ListName::Free };
        self.pop_front(first).or_else(|| self.pop_front(ListName::Zeroed))
    }

    pub(crate) fn push_back(&mut self, list: ListName, frame: FrameIndex) {
        let tail = self.lists[list as usize].tail;
        let record = self.record_mut(frame);
        (record.previous, record.next) = (tail, NONE);
        record.flags &= !FLAG_FRONT;
        if tail == NONE {
            self.lists[list as usize].head = frame.0;
        } else {
            self.records[tail as usize].next = frame.0;
        }
        let list = &mut self.lists[list as usize];
        list.tail = frame.0;
        list.length += 1;
    }

    /// Takes a frame off the list that it stands on.
    pub(crate) fn remove(&mut self, list: ListName, frame: FrameIndex) {
        let Record { next, previous, .. } = *self.record(frame);
        if previous == NONE {
            assert_eq!(self.lists[list as usize].head, frame.0, "{frame:?} is not on {list:?}");
            self.lists[list as usize].head = next;
        } else {
            self.records[previous as usize].next = next;
        }
        if next == NONE {
            assert_eq!(self.lists[list as usize].tail, frame.0, "{frame:?} is not on {list:?}");
            self.lists[list as usize].tail = previous;
        } else {
            self.records[next as usize].previous = previous;
        }
        self.lists[list as usize].length -= 1;
        self.record_mut(frame).flags &= !FLAG_FRONT;
    }

    pub(crate) fn pop_front(&mut self, list: ListName) -> Option<FrameIndex> {
        let head = self.lists[list as usize].head;
        if head == NONE {
            return None;
        }
        self.remove(list, FrameIndex(head));
        Some(FrameIndex(head))
    }

    /// Returns a frame to the pool. It stands on no list.
    pub(crate) fn release(&mut self, frame: FrameIndex) {
        self.set_state_and_stamp(frame, FrameState::Free, Epoch(0));
        self.record_mut(frame).flags = 0;
        self.push_back(ListName::Free, frame);
    }

    /// The flip: the dirty list becomes the frozen one, and the epoch advances. Constant time.
    pub(crate) fn freeze(&mut self) {
        let snapshot_lists =
            [ListName::Frozen, ListName::Front, ListName::InFlight, ListName::Written];
        assert!(self.making.is_none(), "one snapshot in the making at a time");
        for list in snapshot_lists {
            assert_eq!(self.length(list), 0, "{list:?} is left from the last snapshot");
        }
        self.lists.swap(ListName::Dirty as usize, ListName::Frozen as usize);
        self.making = Some(self.epoch);
        self.cleaning_for_making = self.length(ListName::Cleaning);
        self.epoch = self.epoch.next();
    }

    /// The snapshot is durable: what was written for it is clean. Constant time.
    pub(crate) fn commit(&mut self) {
        let queued = self.length(ListName::Frozen) + self.length(ListName::Front);
        let under_way = self.length(ListName::InFlight) + self.cleaning_for_making;
        assert_eq!(queued + under_way, 0, "committed with pages unwritten");
        self.lists[ListName::Written as usize] = EMPTY;
        self.counts[FrameState::Clean as usize] += self.counts[FrameState::Written as usize];
        self.counts[FrameState::Written as usize] = 0;
        self.making = None;
    }

    /// Planted bug: the pages dirty before the flip are forgotten.
    pub(crate) fn lose_frozen(&mut self) {
        self.lists[ListName::Frozen as usize] = EMPTY;
    }

    /// Frames by state.
    pub(crate) fn counts(&self) -> FrameCounts {
        let count = |state: FrameState| self.counts[state as usize];
        let split = count(FrameState::SplitQueued)
            + count(FrameState::SplitWriting)
            + count(FrameState::SplitCleaning);
        FrameCounts {
            free: count(FrameState::Free),
            filling: count(FrameState::Filling),
            clean: count(FrameState::Clean),
            dirty: self.length(ListName::Dirty),
            frozen: self.length(ListName::Frozen) + self.length(ListName::Front),
            writing: count(FrameState::Writing) + count(FrameState::SplitWriting),
            written: count(FrameState::Written),
            cleaning: self.length(ListName::Cleaning),
            split,
            tables: count(FrameState::Table),
            total: self.len(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(table: &FrameTable, list: ListName) -> Vec<u32> {
        let mut frames = Vec::new();
        let mut at = table.lists[list as usize].head;
        while at != NONE {
            frames.push(at);
            at = table.records[at as usize].next;
        }
        frames
    }

    #[test]
    fn frames_leave_a_list_from_any_place() {
        let mut table = FrameTable::new(4, Epoch(1));
        table.remove(ListName::Free, FrameIndex(1));
        assert_eq!(on(&table, ListName::Free), [0, 2, 3]);
        table.remove(ListName::Free, FrameIndex(3));
        table.remove(ListName::Free, FrameIndex(0));
        assert_eq!((on(&table, ListName::Free), table.free_count()), (alloc::vec![2], 1));
        assert_eq!(table.pop_front(ListName::Free), Some(FrameIndex(2)));
        assert_eq!(table.pop_front(ListName::Free), None);
    }

    #[test]
    fn what_was_written_is_clean_from_the_commit_on_without_being_touched() {
        let mut table = FrameTable::new(2, Epoch(7));
        let frame = table.pop_front(ListName::Free).expect("a frame");
        table.set_state_and_stamp(frame, FrameState::Dirty, Epoch(7));
        table.push_back(ListName::Dirty, frame);
        assert!(!table.is_frozen(frame));
        table.freeze();
        assert!(table.is_frozen(frame));
        table.remove(ListName::Frozen, frame);
        table.set_state(frame, FrameState::Written);
        table.push_back(ListName::Written, frame);
        assert_eq!((table.state(frame), table.counts().written), (FrameState::Written, 1));
        table.commit();
        assert_eq!((table.state(frame), table.counts().clean), (FrameState::Clean, 1));
        assert_eq!(table.epoch, Epoch(8));
    }
}
