//! The superblock ring as `disk info` and `disk check` show it, also of a disk that nothing opens: which generations stand
//! in it, which of them are whole, and the word that has the machine open an older one.
//!
//! Invariant: nothing is written; a disk whose ring holds nothing of ours is left to its one line of refusal.

use super::file_disk::{FileDisk, Mode};
use super::image::{ImageError, check, read_ring};
use revenant_hal::Generation;
use revenant_store::{Problem, Ring, SlotContent, Superblock};
use std::path::Path;

/// Prints every slot.
pub(super) fn print(ring: &Ring, opened: Option<Generation>) {
    println!("superblocks");
    for (number, slot) in ring.slots.iter().enumerate() {
        let place = ring.layout.slot(number as u64);
        let text = match slot {
            None => "unreadable".into(),
            Some(SlotContent::Foreign) => "not ours".into(),
            Some(SlotContent::Torn { .. }) => "torn or damaged".into(),
            Some(SlotContent::OtherVersion(version)) => format!("format version {version}"),
            Some(SlotContent::Tombstone { generation, .. }) => {
                format!("tombstone generation={generation}")
            }
            Some(SlotContent::Superblock(found)) => format!(
                "generation={} epoch={} snapshots={}{}",
                found.generation,
                found.epoch,
                found.snapshots.entries().len(),
                if opened == Some(found.generation) { " opened" } else { "" }
            ),
        };
        println!("  slot={number} block={place} {text}");
    }
}

/// The ring of an image that was refused, if anything in it is ours; also the file, for more.
fn of_refused(path: &Path) -> Option<(FileDisk, Ring)> {
    let mut disk = FileDisk::open(path, Mode::Read).ok()?;
    let ring = read_ring(&mut disk).ok()?;
    let ours = ring.slots.iter().flatten().any(|slot| !matches!(slot, SlotContent::Foreign));
    ours.then_some((disk, ring))
}

/// Shows the ring of a refused image, and hands the refusal on.
pub(super) fn show_refused(path: &Path, refusal: ImageError) -> ImageError {
    if let Some((_, ring)) = of_refused(path) {
        print(&ring, None);
    }
    refusal
}

/// Shows the ring of a refused image and verifies every generation in it, newest first: one line each, with the word that
/// opens it if it is whole. Hands the refusal on.
pub(super) fn check_refused(
    path: &Path,
    refusal: ImageError,
    mut progress: impl FnMut(u64, u64),
) -> ImageError {
    let Some((mut disk, ring)) = of_refused(path) else { return refusal };
    print(&ring, None);
    let superblocks = ring.superblocks();
    if !superblocks.is_empty() {
        println!("generations");
    }
    for superblock in superblocks {
        let damage = first_damage(&mut disk, superblock, &mut progress);
        println!("  {}", verdict(superblock, damage.as_ref(), ring.restore_generation()));
    }
    refusal
}

fn first_damage(
    disk: &mut FileDisk,
    superblock: &Superblock,
    progress: impl FnMut(u64, u64),
) -> Option<Problem> {
    check(disk, superblock.clone(), progress).damage().copied()
}

fn verdict(superblock: &Superblock, damage: Option<&Problem>, restores: u64) -> String {
    let Superblock { generation, epoch, .. } = superblock;
    match damage {
        Some(problem) => format!("generation={generation} epoch={epoch} damaged: {problem}"),
        None => format!(
            "generation={generation} epoch={epoch} whole: look at it with `--generation {generation}`; the machine goes back to it with `generation={generation}@{restores}` on its command line"
        ),
    }
}
