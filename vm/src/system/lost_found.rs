//! What a page led to that is nowhere to be had, where people find it: `directory/lost+found/SNAPSHOT/N` in the object tree, a `report` beside it,
//! and in `directory/lost+found/pages` the pages of which that was done, so that it is done once (MECHANISMS B23, B27).
//!
//! The collector says which objects are to be hung, after a mark that did without the page; each is looked at once more before, at a safepoint:
//! it must still be what stood there in the snapshot, and nobody's to free. Programs are not told: no program has the root directory.
//!
//! Invariant: each call enters one object or one text, in steps each of which leaves the heap whole; what is there already is not entered again. So a
//! call that a page ends, or that a cut takes back, is made again.

use core::sync::atomic::AtomicBool;

use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress, PageIndex};

use crate::heap::runs::{BlockNumber, run_of};
use crate::heap::{AllocationError, Allocator, metadata};
use crate::memory::layout::object::{BIRTH_AND_FLAGS, BIRTH_MASK, CLASS, LARGE_OFFSET, PAYLOAD};
use crate::memory::layout::system::{counting, root};
use crate::memory::layout::{BLOCK, area, block};
use crate::memory::{AddressExt, Space};
use crate::object::{array, map, string};

use super::activity::Activity;
use super::environment::Environment;
use super::vm::Vm;

const LOST_AND_FOUND: &[u8] = b"lost+found";
const REPORT: &[u8] = b"report";
const PAGES: &[u8] = b"pages";
/// Lost pages that are remembered.
const PAGES_MAX: u64 = 4096;
/// Bytes of a report that are kept.
const REPORT_MAX: usize = 8192;
/// Digits of the largest number.
const DIGITS: usize = 20;

/// A subtree to be hung.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The snapshot in which it was found.
    pub epoch: Epoch,
    /// Its place among those found there, from 1.
    pub number: u64,
    /// The object from which all others can be reached.
    pub root: ObjectAddress,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hanging {
    /// It hangs there now.
    Hung,
    /// It did already.
    There,
    /// Something else stands at the address by now, or it is somebody's to free.
    Refused,
}

impl Vm {
    /// Hangs a subtree in lost+found; none if it cannot be done yet. Costs no group of programs anything. *In an attempt*, which may be made
    /// again.
    ///
    /// # Errors
    /// No memory to be had, or what it needs cannot be read: it does not hang there.
    pub fn hang(
        &mut self,
        lost: &Lost,
        environment: &mut dyn Environment,
    ) -> Option<Result<Hanging, AllocationError>> {
        self.in_lost_found(environment, |space| hang(space, lost))
    }

    /// Keeps the report on a snapshot's lost pages, and remembers them; none if it cannot be done yet. *In an attempt*, likewise.
    ///
    /// # Errors
    /// As [`Vm::hang`].
    pub fn keep_lost(
        &mut self,
        epoch: Epoch,
        pages: &[PageIndex],
        report: &str,
        environment: &mut dyn Environment,
    ) -> Option<Result<(), AllocationError>> {
        self.in_lost_found(environment, |space| keep(space, epoch, pages, report))
    }

    /// Whether a page is one of those remembered; none if that cannot be seen yet. *In an attempt*.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn knows_lost(
        &mut self,
        page: PageIndex,
        environment: &mut dyn Environment,
    ) -> Option<Result<bool, AllocationError>> {
        self.in_lost_found(environment, |space| knows(space, page))
    }

    fn in_lost_found<T>(
        &mut self,
        environment: &mut dyn Environment,
        work: impl FnOnce(Space) -> Result<T, AllocationError>,
    ) -> Option<Result<T, AllocationError>> {
        if self.lost.is_under_way() || self.waiting.contains(Activity::Account) {
            return None;
        }
        if let Some(damaged) = self.account_damaged.take() {
            return Some(Err(AllocationError::Damaged(damaged)));
        }
        let quiet = AtomicBool::new(false);
        self.deeds += 1;
        self.enter(environment, &quiet);
        self.activity.set(Activity::Account);
        let done = work(self.worker.space);
        self.leave();
        Some(done)
    }
}

const SYSTEM: Allocator = Allocator::of_group(0);

fn hang(space: Space, lost: &Lost) -> Result<Hanging, AllocationError> {
    let lost_found = child(space, directory(space), LOST_AND_FOUND)?;
    let mut digits = [0; DIGITS];
    let snapshot = child(space, lost_found, decimal(lost.epoch.0, &mut digits))?;
    let key = text(space, decimal(lost.number, &mut digits))?;
    let there = map::get(space, snapshot, key);
    space.end_step();
    if there == Some(lost.root) {
        return Ok(Hanging::There);
    }
    if there.is_some() || !is_whole(space, lost) {
        return Ok(Hanging::Refused);
    }
    map::set(space, SYSTEM, snapshot, key, lost.root)?;
    space.end_step();
    Ok(Hanging::Hung)
}

fn keep(
    space: Space,
    epoch: Epoch,
    pages: &[PageIndex],
    report: &str,
) -> Result<(), AllocationError> {
    let lost_found = child(space, directory(space), LOST_AND_FOUND)?;
    let mut digits = [0; DIGITS];
    let snapshot = child(space, lost_found, decimal(epoch.0, &mut digits))?;
    let end = (0..=report.len().min(REPORT_MAX)).rev().find(|end| report.is_char_boundary(*end));
    let report = report.get(..end.unwrap_or(0)).unwrap_or_default();
    set(space, snapshot, REPORT, text(space, report.as_bytes())?)?;
    let before = find(space, lost_found, PAGES)?;
    let known = before.map_or(0, |before| array::length(space, before)).min(PAGES_MAX);
    let is_known = |page: &PageIndex| (0..known).any(|place| load(space, before, place) == page.0);
    let fresh = pages.iter().filter(|page| !is_known(page)).count() as u64;
    space.end_step();
    if fresh == 0 {
        return Ok(());
    }
    // The newest come first: of too many, the oldest go.
    let count = (fresh + known).min(PAGES_MAX);
    let class = crate::counting::class_at(space, Builtin::LongArray as u32);
    let after = array::allocate(space, SYSTEM, class, count)?;
    space.end_step();
    let new = pages.iter().filter(|page| !is_known(page)).map(|page| page.0);
    let old = (0..known).map(|place| load(space, before, place));
    for (place, page) in (0..count).zip(new.chain(old)) {
        space.end_step();
        let slot = after.plus(PAYLOAD + 8 * place);
        space.touch_write(slot);
        space.begin_changes();
        space.store(slot, page);
        space.end_step();
    }
    set(space, lost_found, PAGES, after)
}

fn knows(space: Space, page: PageIndex) -> Result<bool, AllocationError> {
    let Some(lost_found) = find(space, directory(space), LOST_AND_FOUND)? else { return Ok(false) };
    let pages = find(space, lost_found, PAGES)?;
    let count = pages.map_or(0, |pages| array::length(space, pages)).min(PAGES_MAX);
    let found = (0..count).any(|place| load(space, pages, place) == page.0);
    space.end_step();
    Ok(found)
}

fn load(space: Space, pages: Option<ObjectAddress>, place: u64) -> u64 {
    pages.map_or(0, |pages| space.load(pages.plus(PAYLOAD + 8 * place)))
}

fn directory(space: Space) -> ObjectAddress {
    space.end_step();
    ObjectAddress(space.load(ObjectAddress(area::ROOT).plus(root::DIRECTORY)))
}

/// Whether the object of the snapshot still stands there, has references, and is not being freed.
fn is_whole(space: Space, lost: &Lost) -> bool {
    let run = run_of(space, BlockNumber::of(lost.root));
    space.end_step();
    let inside = lost.root.0 % BLOCK;
    let holds_objects = run.is_some_and(|(head, entry)| match entry.kind {
        block::KIND_SMALL => true,
        block::KIND_LARGE => head == BlockNumber::of(lost.root) && inside == LARGE_OFFSET,
        _ => false,
    });
    if !holds_objects {
        return false;
    }
    let found = metadata::load(space, lost.root);
    let torn = space.load::<u64>(ObjectAddress(area::COUNTING).plus(counting::TEARDOWN_OBJECT));
    space.end_step();
    let living = found.starts() && !found.is_zero() && found.batch() == 0 && torn != lost.root.0;
    if !living {
        return false;
    }
    let birth = space.load::<u64>(lost.root.plus(BIRTH_AND_FLAGS)) & BIRTH_MASK;
    space.end_step();
    birth <= lost.epoch.0
}

/// The map that hangs in another one, made if there is none.
fn child(
    space: Space,
    parent: ObjectAddress,
    name: &[u8],
) -> Result<ObjectAddress, AllocationError> {
    if let Some(found) = find(space, parent, name)? {
        let class = space.load::<u32>(found.plus(CLASS));
        space.end_step();
        return if class == Builtin::Map as u32 {
            Ok(found)
        } else {
            Err(AllocationError::Damaged(found))
        };
    }
    let made = map::allocate(space, SYSTEM)?;
    space.end_step();
    set(space, parent, name, made)?;
    Ok(made)
}

fn find(
    space: Space,
    parent: ObjectAddress,
    name: &[u8],
) -> Result<Option<ObjectAddress>, AllocationError> {
    let key = text(space, name)?;
    let found = map::get(space, parent, key);
    space.end_step();
    Ok(found.filter(|found| !found.is_null()))
}

fn set(
    space: Space,
    parent: ObjectAddress,
    name: &[u8],
    value: ObjectAddress,
) -> Result<(), AllocationError> {
    let key = text(space, name)?;
    map::set(space, SYSTEM, parent, key, value)?;
    space.end_step();
    Ok(())
}

fn text(space: Space, text: &[u8]) -> Result<ObjectAddress, AllocationError> {
    let made = string::from_bytes(space, SYSTEM, text)?;
    space.end_step();
    Ok(made)
}

/// A number in decimal digits: an attempt takes nothing from the kernel's heap.
fn decimal(number: u64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let (mut rest, mut start) = (number, DIGITS);
    for place in (0..DIGITS).rev() {
        if let (Some(digit), Ok(value)) = (digits.get_mut(place), u8::try_from(rest % 10)) {
            *digit = b'0' + value;
        }
        (rest, start) = (rest / 10, place);
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}
