//! Blocks that nobody needs are told to the device (its DISCARD), so that a sparse image shrinks and a solid-state disk knows.
//! Not to be confused with `discard`, which is about pages.
//!
//! Told are blocks that may be handed out: free in the allocators of the two newest superblocks, and so in every snapshot. While
//! a request is under way its blocks are locked: as good as taken, so that no write overtakes it. One request at a time, when
//! the device has nothing else of ours to do, after a look at the guard: another machine that has taken the disk over meanwhile
//! uses what was free here. A pass begins after a commit that has freed enough; it ends after so many requests, and the next
//! one goes on there.
//!
//! Invariants: a locked block is neither allocated nor reached by a superblock; what is locked counts as taken wherever space is
//! promised; nothing is told before a commit of this session is durable, nor once nothing is written any more. A device that
//! fails is not asked again, and that is no error.
//!
//! Neighbours: `allocator` knows what is free and keeps the lock, `guard` the other machine.

use crate::allocator::{Allocator, Run};
use crate::api::{Planted, TrimOptions};
use crate::bitmap::Bitmap;
use crate::layout::{BLOCKS_PER_BITMAP, GUARD_BLOCK};
use crate::reservation;
use crate::store::Store;
use alloc::{collections::BTreeSet, vec::Vec};
use revenant_hal::{BlockIndex, DiscardLimits, DiskCompletion, DiskGeometry, DiskOperation};

/// Bitmaps looked through in one step.
const LEAVES_A_STEP: usize = 16;
/// Blocks that one request names at most, whatever the device takes: 64 MiB. They are out of reach meanwhile.
const MOST_BLOCKS: u64 = 16_384;

/// What of the free blocks the device may still keep. Part of the allocator, which tells it what happens to blocks.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    /// Blocks that have been written, or may have been, since the device was last told that they hold nothing. None if it
    /// does not want to know.
    written: Option<Bitmap>,
    /// Bitmaps in which blocks were freed since they were last looked through.
    leaves: BTreeSet<u64>,
    /// Blocks freed since a pass began.
    freed: u64,
    /// Out of reach while the device is told.
    pub(crate) locked: Option<Run>,
    /// Planted fault: what the second newest superblock alone reaches is told, too.
    pub(crate) early: bool,
}

impl Untold {
    /// A block was handed out.
    pub(crate) fn taken(&mut self, block: u64) {
        if let Some(written) = &mut self.written {
            written.set(block);
        }
    }

    /// The device knows of these.
    fn told(&mut self, run: Run) {
        if let Some(written) = &mut self.written {
            written.clear_range(run.start..run.start + run.length);
        }
    }

    /// Blocks became free, in these bitmaps.
    pub(crate) fn freed(&mut self, leaves: impl IntoIterator<Item = u64>, blocks: u64) {
        if self.written.is_some() {
            self.leaves.extend(leaves);
            self.freed = self.freed.saturating_add(blocks);
        }
    }
}

impl Allocator {
    /// The device wants to be told. What it keeps of blocks that were free before is not known.
    fn track_untold(&mut self, leaves: u64) {
        let mut written = Bitmap::new(leaves);
        written.set_range(0..leaves * BLOCKS_PER_BITMAP);
        self.untold.written = Some(written);
        self.untold.freed(0..leaves, u64::MAX);
    }

    /// The first block in `from..end` that the device is to be told of (or, unless `wanted`, is not); `end` if there is none.
    fn first_untold(&self, from: u64, end: u64, wanted: bool) -> u64 {
        let Some(written) = &self.untold.written else { return end };
        let mut at = from;
        while at < end {
            let word = written.word(at) & self.free_word(at, self.untold.early);
            let word = if wanted { word } else { !word };
            let rest = word & (u64::MAX << (at % 64));
            if rest != 0 {
                return end.min(at / 64 * 64 + u64::from(rest.trailing_zeros()));
            }
            at = (at / 64 + 1) * 64;
        }
        end
    }

    /// Adjacent blocks to tell the device of, `least` to `most`, at a multiple of `alignment` and so many. None yet: some bitmaps were
    /// looked through, or all.
    fn next_untold(&mut self, least: u64, most: u64, alignment: u64) -> Option<Run> {
        let (area_start, area_end) = self.area();
        for _ in 0..LEAVES_A_STEP {
            let leaf = *self.untold.leaves.first()?;
            let end = area_end.min((leaf + 1) * BLOCKS_PER_BITMAP);
            let mut at = area_start.max(leaf * BLOCKS_PER_BITMAP);
            while at < end {
                let first = self.first_untold(at, end, true);
                let behind = self.first_untold(first, area_end.min(first + most), false);
                let start = first.next_multiple_of(alignment);
                let length = behind.saturating_sub(start) / alignment * alignment;
                if length >= least {
                    return Some(Run { start, length });
                }
                at = behind + 1;
            }
            self.untold.leaves.remove(&leaf);
        }
        None
    }
}

/// How far the telling of one run has come; by tag of the request under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Nothing,
    Guard(u64),
    Discard(u64),
}

/// What is told, and when.
#[derive(Debug)]
pub(crate) struct Trim {
    /// None: the device does not want to know, or has failed to take it.
    limits: Option<DiscardLimits>,
    options: TrimOptions,
    stage: Stage,
    run: Run,
    /// Requests that the pass may still make.
    left: u32,
    /// The last pass ended before it had looked through everything.
    unfinished: bool,
    /// Blocks told so far.
    pub(crate) blocks: u64,
}

impl Trim {
    pub(crate) fn new(geometry: &DiskGeometry, options: TrimOptions) -> Self {
        Self {
            limits: geometry.discard.filter(|_| options.requests > 0),
            options,
            stage: Stage::Nothing,
            run: Run { start: 0, length: 0 },
            left: 0,
            unfinished: false,
            blocks: 0,
        }
    }

    pub(crate) fn owns(&self, completion: &DiskCompletion) -> bool {
        match self.stage {
            Stage::Nothing => false,
            Stage::Guard(tag) | Stage::Discard(tag) => tag == completion.tag.0,
        }
    }
}

impl Store {
    /// The bitmaps are loaded: from here on it is known what is free.
    pub(crate) fn begin_tracking_untold(&mut self) {
        if self.trim.limits.is_some() && self.read_only.is_none() {
            self.allocator.track_untold(self.superblock.layout.bitmap_leaves());
        }
    }

    /// A commit is durable: begins a pass if it is worth one, or lets the last one go on.
    pub(crate) fn begin_trim(&mut self) {
        let untold = &mut self.allocator.untold;
        if untold.freed >= self.trim.options.batch || self.trim.unfinished {
            untold.freed = 0;
            self.trim.left = self.trim.options.requests;
        }
    }

    /// Looks for the next run if the device has nothing to do; true if there is more to look through.
    pub(crate) fn step_trim(&mut self) -> bool {
        let Some(limits) = self.trim.limits else { return false };
        let ready = self.trim.left > 0
            && self.trim.stage == Stage::Nothing
            && self.read_only.is_none()
            && self.io.is_idle()
            && !self.reads.is_waiting();
        if !ready {
            return false;
        }
        // Whoever asks how much room there is gets the same answer while blocks are locked: there is more than enough.
        let space = self.space();
        let reserve = reservation::allocation_reserve(self.superblock.layout, self.uncharged_pages);
        let spare = space.available.saturating_sub(reserve) / 2;
        let most = MOST_BLOCKS.min(u64::from(limits.blocks)).min(spare);
        let alignment = u64::from(limits.alignment);
        let least = self.trim.options.run.max(1);
        if most < least.max(alignment) {
            self.trim.left = 0;
            return false;
        }
        let Some(run) = self.allocator.next_untold(least, most, alignment) else {
            let more = !self.allocator.untold.leaves.is_empty();
            if !more {
                (self.trim.left, self.trim.unfinished) = (0, false);
            }
            return more;
        };
        if !matches!(self.planted, Planted::TrimmedUnlocked | Planted::TrimmedOneGenerationEarly) {
            self.allocator.lock(run);
        }
        self.trim.left -= 1;
        self.trim.unfinished = self.trim.left == 0;
        self.trim.run = run;
        self.trim.stage = Stage::Guard(self.io.read(GUARD_BLOCK, 1));
        false
    }

    /// Takes a completion that is the trim's.
    pub(crate) fn trim_completion(&mut self, completion: DiskCompletion) {
        match core::mem::replace(&mut self.trim.stage, Stage::Nothing) {
            Stage::Guard(_) => {
                let ours = self.guard_is_ours(completion);
                if ours == Ok(false) {
                    self.stop_for_foreign_session();
                }
                if ours != Ok(true) || self.read_only.is_some() {
                    self.allocator.unlock();
                    self.trim.left = 0;
                    return;
                }
                let Run { start, length } = self.trim.run;
                let operation =
                    DiskOperation::Discard { blocks: u32::try_from(length).unwrap_or(0) };
                self.trim.stage =
                    Stage::Discard(self.io.push(operation, BlockIndex(start), Vec::new()));
            }
            _ => {
                self.allocator.unlock();
                if completion.result.is_ok() {
                    self.allocator.untold.told(self.trim.run);
                    self.trim.blocks += self.trim.run.length;
                } else {
                    self.trim.limits = None;
                }
            }
        }
    }

    /// Nothing is written any more: what the device has not been given, it does not get.
    pub(crate) fn stop_trim(&mut self) {
        if let Stage::Discard(tag) = self.trim.stage
            && self.io.cancel(tag)
        {
            self.trim.stage = Stage::Nothing;
            self.allocator.unlock();
        }
    }

    /// Blocks that the device was told of since the store was opened.
    #[must_use]
    pub fn blocks_trimmed(&self) -> u64 {
        self.trim.blocks
    }
}
