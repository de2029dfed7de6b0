//! The accounts of collections: texts in object space, the last sixteen in one array that the root page names, the newest last. Programs'
//! snapshots have them like everything else; `revenant disk cat --object collections` shows them.
//!
//! Invariant: the root names the array before or the one after, never one in the making. An attempt that ends in between leaves objects that
//! nobody names, which counting frees.

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::counting::store_reference;
use crate::heap::{self, AllocationError, Allocator};
use crate::loader::layout::ROOT_COLLECTIONS;
use crate::loader::text_of;
use crate::memory::layout::area;
use crate::memory::layout::object::{PAYLOAD, STRING_BYTES};
use crate::memory::{AddressExt, Space};
use crate::object::array;

use super::activity::Activity;
use super::environment::Environment;
use super::vm::Vm;

/// Accounts that are kept.
const KEPT: u64 = 16;
/// Bytes of an account that are kept.
const TEXT_MAX: usize = 4096;

impl Vm {
    /// Adds an account, and drops the oldest of those that are too many; none if it cannot be done yet. Costs no group of programs
    /// anything. *In an attempt*, which may be made again.
    ///
    /// # Errors
    /// No memory to be had, or what it needs cannot be read: nothing has changed, and nothing is missed but the account.
    pub fn keep_account(
        &mut self,
        text: &str,
        environment: &mut dyn Environment,
    ) -> Option<Result<(), AllocationError>> {
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
        let kept = keep(self.worker.space, text);
        self.leave();
        Some(kept)
    }
}

/// The accounts in object space, the oldest first; for the host.
#[must_use]
pub fn accounts(space: Space) -> Vec<String> {
    let kept = ObjectAddress(space.load(ObjectAddress(area::ROOT).plus(ROOT_COLLECTIONS)));
    if kept.is_null() {
        return Vec::new();
    }
    let count = array::length(space, kept).min(KEPT);
    (0..count).map(|place| text_of(space, array::reference(space, kept, place))).collect()
}

fn keep(space: Space, text: &str) -> Result<(), AllocationError> {
    let system = Allocator::of_group(0);
    let slot = ObjectAddress(area::ROOT).plus(ROOT_COLLECTIONS);
    let before = ObjectAddress(space.load(slot));
    let count = if before.is_null() { 0 } else { array::length(space, before).min(KEPT) };
    let dropped = (count + 1).saturating_sub(KEPT);
    let end = (0..=text.len().min(TEXT_MAX)).rev().find(|end| text.is_char_boundary(*end));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let length = text.len() as u64;
    let payload = length + (STRING_BYTES - PAYLOAD);
    let string = heap::allocate_sized(space, system, Builtin::String as u32, length, payload)?;
    space.end_step();
    space.touch_write_range(string.plus(STRING_BYTES), length);
    space.begin_changes();
    space.write(string.plus(STRING_BYTES), text.as_bytes());
    space.end_step();
    let kept = count - dropped + 1;
    let class = Builtin::ObjectArray as u32;
    let after = heap::allocate_sized(space, system, class, kept, kept * 8)?;
    space.end_step();
    for place in 0..kept {
        let old = || array::reference(space, before, place + dropped);
        let element = if place + 1 == kept { string } else { old() };
        store_reference(space, array::slot(after, place), element);
        space.end_step();
    }
    store_reference(space, slot, after);
    space.end_step();
    Ok(())
}
