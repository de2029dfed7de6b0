//! A snapshot's pages, laid where they stand in object space: what looks into a snapshot, or runs on from one, begins with.
//!
//! Memory is needed for the whole snapshot. Nothing is written to the image here.

use super::image::{Image, read_block};
use super::{ImageError, VM_ABI};
use crate::disk::Mode;
use revenant_hal::{Epoch, PageIndex};
use revenant_store::{FANOUT, MAP_LEVELS, Node, Reference};
use revenant_vm::memory::HostSpace;
use std::path::Path;

/// An image, one of its snapshots, and where each of that snapshot's pages stands.
pub(super) struct Laid {
    /// The image.
    pub(super) image: Image,
    /// The snapshot.
    pub(super) epoch: Epoch,
    /// Its pages in the order of their addresses, each with what the map says of it.
    pub(super) pages: Vec<(PageIndex, Reference)>,
}

impl Laid {
    /// Opens an image and finds a snapshot's pages; the newest snapshot's, without an epoch.
    ///
    /// # Errors
    /// The image or the snapshot is refused, or its map is damaged; one line that says which.
    pub(super) fn open(path: &Path, snapshot: Option<u64>) -> Result<Self, String> {
        Self::open_as(path, snapshot, Mode::Read, VM_ABI)
    }

    /// The same for a change, of a disk that was made for another version of the virtual machine.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub(super) fn open_as(
        path: &Path,
        snapshot: Option<u64>,
        mode: Mode,
        vm_abi: u32,
    ) -> Result<Self, String> {
        let name = path.display();
        let mut image = Image::open(path, mode, vm_abi).map_err(|e| format!("{name}: {e}"))?;
        let newest = image.store.durable_epoch();
        let epoch = snapshot.map_or(newest, Epoch);
        let root = image
            .store
            .snapshots()
            .entries()
            .iter()
            .find(|snapshot| snapshot.epoch == epoch)
            .map(|snapshot| snapshot.root)
            .ok_or_else(|| format!("{name}: there is no snapshot {epoch}; see `disk snapshots`"))?;
        let mut pages = Vec::new();
        collect(&mut image, root, MAP_LEVELS, 0, &mut pages).map_err(|()| {
            format!("{name}: a map node cannot be read; run `revenant disk check`")
        })?;
        Ok(Self { image, epoch, pages })
    }

    /// Copies the pages into object space.
    ///
    /// # Errors
    /// A page is damaged.
    pub(super) fn lay(&mut self, space: &HostSpace) -> Result<(), ImageError> {
        for (page, _) in &self.pages {
            if let Some(bytes) = self.image.read_page(Some(self.epoch), *page)? {
                space.set_page(*page, &bytes);
            }
        }
        Ok(())
    }

    /// Copies the pages into object space, but for those that are damaged, which are left zero and returned.
    pub(super) fn lay_what_can_be_read(&mut self, space: &HostSpace) -> Vec<PageIndex> {
        let mut damaged = Vec::new();
        for (page, _) in &self.pages {
            match self.image.read_page(Some(self.epoch), *page) {
                Ok(Some(bytes)) => space.set_page(*page, &bytes),
                Ok(None) => {}
                Err(_) => damaged.push(*page),
            }
        }
        damaged
    }
}

/// The pages below a node of `levels` levels that begins at page `first`.
fn collect(
    image: &mut Image,
    reference: Reference,
    levels: u8,
    first: u64,
    found: &mut Vec<(PageIndex, Reference)>,
) -> Result<(), ()> {
    if reference.is_zero() {
        return Ok(());
    }
    let Some(below) = levels.checked_sub(1) else {
        found.push((PageIndex(first), reference));
        return Ok(());
    };
    if reference.is_lost() {
        return Err(()); // a whole node's pages: as if it could not be read still
    }
    let disk = image.disk();
    let node = reference
        .blocks()
        .find_map(|block| read_block(disk, block).filter(|page| reference.matches(page)))
        .map(Node)
        .ok_or(())?;
    let width = u64::try_from(FANOUT).unwrap_or(u64::MAX).pow(u32::from(below));
    for (place, child) in (0_u64..).zip(node.references()) {
        let first = first.saturating_add(place.saturating_mul(width));
        collect(image, child, below, first, found)?;
    }
    Ok(())
}
