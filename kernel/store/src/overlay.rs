//! Where the pages stand that were written before their flip, until a durable map says so: one overlay for the commit in the making,
//! one for the running epoch.
//!
//! ```text
//!   of the running epoch --flip--> of the commit --it collects--> its updates --> map --durable--> (gone)
//!          ^                            |
//!          +----------given up----------+   read back, verified and written elsewhere by the next commit
//! ```
//!
//! Reads ask in this order: the running epoch's overlay, its discards, what the commit in the making was given, the commit's overlay,
//! its discards, the durable map.
//!
//! Invariants:
//! - an overlay holds pages of one epoch, and only the commit of that epoch merges it; what is newer stays out of its map and bitmaps;
//! - the block of a page that stands in an overlay is held for its snapshot and not handed out, whatever becomes of commits between;
//! - a commit that was given up says nothing about what the device has kept: what stands in either overlay then is read back, verified
//!   and written to other blocks by the next commit, and until that begins nothing more is written early. Where both have a page, the
//!   newer one wins.
//!
//! Neighbours: `early` writes the pages, `commit` runs the phase `Merge`, `store` asks, `allocator::later` holds the blocks.

use crate::allocator::later::Holder;
use crate::api::{Planted, StoreEvent};
use crate::commit::{Commit, Job, Phase};
use crate::discard::Discards;
use crate::error::{AbandonReason, BlockRole, DamagedBlock};
use crate::reference::Reference;
use crate::store::Store;
use alloc::{collections::BTreeMap, vec::Vec};
use revenant_hal::{BlockIndex, DiskCompletion, Event, PageIndex};

/// Pages of the overlay that a commit takes over in one step.
const MERGED_A_STEP: usize = 256;
/// Pages that are copied to other blocks at a time, each through memory of its own.
const RESCUES: usize = 64;
/// So many commits in a row are given up for a page that the device does not give back; then its snapshot is made without it.
const CHANCES: u32 = 2;

/// What an overlay says of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// It is on its way, under this ticket.
    Coming(u64),
    Standing(Reference),
}

/// The pages of one epoch that were written before its flip, or are on their way.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    entries: BTreeMap<PageIndex, Entry>,
    /// A commit was given up since some of it was written.
    unsure: bool,
    /// Blocks written for it.
    pub(crate) blocks_written: u64,
}

impl Overlay {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn is_unsure(&self) -> bool {
        self.unsure
    }

    pub(crate) fn get(&self, page: PageIndex) -> Option<Entry> {
        self.entries.get(&page).copied()
    }

    pub(crate) fn insert(&mut self, page: PageIndex, entry: Entry) -> Option<Entry> {
        self.entries.insert(page, entry)
    }

    pub(crate) fn remove(&mut self, page: PageIndex) -> Option<Entry> {
        self.entries.remove(&page)
    }

    /// Whether nothing has happened to a page since it was given under this ticket.
    pub(crate) fn is_newest(&self, page: PageIndex, ticket: u64) -> bool {
        matches!(self.entries.get(&page), Some(Entry::Coming(coming)) if *coming == ticket)
    }
}

impl Store {
    /// What the running epoch and the snapshot in the making have made of a page, if anything.
    pub(crate) fn updated(&self, page: PageIndex) -> Option<Entry> {
        let zeros = |discards: &Discards| {
            discards.contains(page).then_some(Entry::Standing(Reference::ZERO))
        };
        let early = |overlay: &Overlay| match self.planted {
            Planted::OverlayUnseen => None,
            _ => overlay.get(page),
        };
        let discarded = || match self.planted {
            Planted::DiscardUnseen => None,
            _ => zeros(&self.discards),
        };
        let running = || early(&self.early.overlay).or_else(discarded);
        let Some(commit) = &self.commit else { return running() };
        let written = || commit.data.updates.get(&page).copied().map(Entry::Standing);
        let frozen = || {
            let early = || early(&commit.overlay);
            written().or_else(early).or_else(|| zeros(&commit.discards))
        };
        match self.planted {
            Planted::OlderOverlayFirst => frozen().or_else(running),
            _ => running().or_else(frozen),
        }
    }

    /// Blocks written so far, without those for the snapshot that the next flip begins.
    pub(crate) fn blocks_besides_early(&self) -> u64 {
        self.io.blocks_written - self.early.overlay.blocks_written
    }

    /// The flip: what was written early so far is the commit's. Only swaps, because all programs wait for it.
    pub(crate) fn take_overlay(&mut self, commit: &mut Commit) {
        core::mem::swap(&mut commit.overlay, &mut self.early.overlay);
        self.allocator.held_flipped();
    }

    /// The commit takes its overlay over: what was not given to it again becomes part of the snapshot, after having been
    /// copied if a commit was given up meanwhile.
    pub(crate) fn step_merge(&mut self, commit: &mut Commit) -> Result<bool, AbandonReason> {
        if commit.target.is_none() {
            commit.phase = Phase::Apply;
            return Ok(true);
        }
        if !self.early.is_idle_for(commit.target) || commit.rescues >= RESCUES {
            return Ok(false);
        }
        if self.planted == Planted::NextOverlayMerged {
            let newer = self.early.overlay.entries.iter();
            let newer = newer.filter(|(_, entry)| matches!(entry, Entry::Standing(_)));
            commit.overlay.entries.extend(newer);
        }
        let unsure = commit.overlay.unsure;
        let most = if unsure { RESCUES - commit.rescues } else { MERGED_A_STEP };
        let part = commit.overlay.entries.range(commit.merged..).take(most);
        let part: Vec<(PageIndex, Entry)> = part.map(|(page, entry)| (*page, *entry)).collect();
        let Some((last, _)) = part.last() else {
            if commit.rescues == 0 {
                commit.phase = Phase::Apply;
            }
            return Ok(false);
        };
        commit.merged = PageIndex(last.0 + 1);
        let believed = self.planted == Planted::EarlyBlocksBelieved;
        for (page, entry) in part {
            let Entry::Standing(reference) = entry else { panic!("{page} is not on its way") };
            if commit.data.updates.contains_key(&page) || self.planted == Planted::OverlayLost {
                commit.early.changed += 1;
                commit.dropped.push(reference);
            } else if unsure && !believed && !reference.is_zero() {
                let tag = self.io.read(reference.block, 1);
                commit.jobs.insert(tag, Job::Rescue(page, reference));
                commit.rescues += 1;
            } else {
                commit.early.kept += 1;
                self.enter_early(commit, page, reference);
                if let Some(written) = commit.written.as_mut().filter(|_| !reference.is_zero()) {
                    written.push((reference.block, reference.checksum));
                }
            }
        }
        Ok(true)
    }

    /// The snapshot says that a page stands where it was written before the flip.
    fn enter_early(&mut self, commit: &mut Commit, page: PageIndex, reference: Reference) {
        if !reference.is_zero() {
            self.allocator.enter(reference.block);
        }
        commit.data.updates.insert(page, reference);
    }

    /// A page of the overlay was read back: it goes to another block, and is read where it was until it stands there. If it is not
    /// what was written, the snapshot says where it should be, and whoever reads it is told; a device that fails may work again, so
    /// then the commit is given up first.
    pub(crate) fn rescue(
        &mut self,
        page: PageIndex,
        reference: Reference,
        completion: DiskCompletion,
    ) -> Option<AbandonReason> {
        let device_error = completion.result.err();
        let content = crate::io::owned(completion.buffers).pop();
        let mut commit = self.commit.take()?;
        let content = content.filter(|page| device_error.is_none() && reference.matches(page));
        let mut reason = None;
        if let Some(content) = content {
            if commit.failure.is_none() {
                let block = self.allocator.allocate(1).map(|run| BlockIndex(run.start));
                match (block, commit.target) {
                    (Some(block), Some(target)) => {
                        self.note_written(&mut commit, block, reference.checksum);
                        let moved = Reference { block, birth: target.epoch, ..reference };
                        let tag = self.io.write(block, alloc::vec![content]);
                        commit.jobs.insert(tag, Job::Rescued(page, moved));
                    }
                    _ => reason = Some(AbandonReason::NoSpace),
                }
            }
        } else {
            let (Reference { block, birth, .. }, role) = (reference, BlockRole::Page(page));
            let limit = self.request.options.failures_until_read_only;
            let more_chances = self.failures < CHANCES && self.failures + 1 < limit;
            if device_error.is_some() && more_chances {
                let damage = DamagedBlock { block, role, device_error, birth };
                reason = Some(AbandonReason::Damaged(damage));
            } else {
                self.events.push_back(StoreEvent::Report(Event::UnreadablePage { page, block }));
                self.enter_early(&mut commit, page, reference);
                commit.rescues -= 1;
            }
        }
        self.commit = Some(commit);
        reason
    }

    /// A page of the overlay stands in another block: the snapshot says so, and from now on reads go there. Where it stood it stays
    /// until that is durable.
    pub(crate) fn rescued(&mut self, page: PageIndex, moved: Reference) {
        let Some(commit) = &mut self.commit else { return };
        commit.rescues -= 1;
        commit.early.kept += 1;
        commit.data.updates.insert(page, moved);
        commit.moved.push(moved.block);
        if let Some(Entry::Standing(reference)) = commit.overlay.get(page) {
            commit.dropped.push(reference);
        }
    }

    /// The commit is durable, and its overlay with it.
    pub(crate) fn overlay_committed(&mut self, commit: &Commit) {
        assert!(self.early.is_idle_for(commit.target), "nothing came in between");
        for reference in &commit.dropped {
            let _ = self.give_up(*reference); // and all that the epoch had charged is over
        }
        self.early.statistics.kept += commit.early.kept;
        self.early.statistics.changed += commit.early.changed;
    }

    /// The commit was given up, with its allocations, and its charges are the running epoch's: so is its overlay, whose blocks stay held
    /// until their content is elsewhere. What was discarded or written again since the flip is not needed any more.
    pub(crate) fn overlay_kept(&mut self, commit: &mut Commit) {
        assert!(self.early.is_idle_for(commit.target), "nothing is on its way any more");
        let older = core::mem::take(&mut commit.overlay);
        self.early.overlay.blocks_written += older.blocks_written;
        for (page, entry) in older.entries {
            if self.discards.contains(page) || self.early.overlay.get(page).is_some() {
                self.supersede(Some(entry));
            } else {
                self.early.overlay.insert(page, entry);
            }
        }
        self.early.overlay.unsure = !self.early.overlay.entries.is_empty();
    }

    /// A commit is given up: blocks of which its bitmaps knew are held as before, and those to which it has moved pages wait for who
    /// reads there.
    pub(crate) fn keep_held(&mut self, commit: &Commit) {
        for block in &commit.moved {
            self.allocator.hold_unread(*block);
            self.early.wait_for_reads(self.io.next_tag(), *block);
        }
        let lost = match self.planted {
            Planted::EarlyBlocksNotKept => Some(Holder::Making),
            Planted::LaterBlocksNotKept => Some(Holder::Running),
            _ => None,
        };
        self.allocator.held_kept(lost);
    }
}
