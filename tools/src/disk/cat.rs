//! `revenant disk cat`: looks into the object tree of any snapshot of a disk.
//!
//! The snapshot's pages are laid where they stand in object space, and the virtual machine reads them like its own. Nothing runs and
//! nothing is written. Memory is needed for the whole snapshot.

use super::file_disk::Mode;
use super::image::{Image, read_block};
use super::{ImageError, VM_ABI};
use crate::run::HostEnvironment;
use clap::Args;
use revenant_hal::{Epoch, PageIndex};
use revenant_store::{FANOUT, MAP_LEVELS, Node, Reference};
use revenant_vm::Vm;
use revenant_vm::memory::HostSpace;
use std::path::PathBuf;

/// Prints an object of a snapshot.
#[derive(Args, Debug)]
pub struct CatArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it; by default the newest
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// Names, fields and `[index]`, separated by `/`; by default the root
    #[arg(long, default_value = "")]
    pub object: String,
}

/// Runs `revenant disk cat`.
///
/// # Errors
/// The image, the snapshot or the path is refused; one line that says why.
pub(super) fn cat(arguments: &CatArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let say = |error: ImageError| format!("{name}: {error}");
    let mut image = Image::open(&arguments.image, Mode::Read, VM_ABI).map_err(say)?;
    let newest = image.store.durable_epoch();
    let epoch = arguments.snapshot.map_or(newest, Epoch);
    let root = image
        .store
        .snapshots()
        .entries()
        .iter()
        .find(|snapshot| snapshot.epoch == epoch)
        .map(|snapshot| snapshot.root)
        .ok_or_else(|| format!("{name}: there is no snapshot {epoch}; see `disk snapshots`"))?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    collect(&mut image, root, MAP_LEVELS, 0, &mut found)
        .map_err(|()| format!("{name}: a map node cannot be read; run `revenant disk check`"))?;
    for page in found {
        if let Some(bytes) = image.read_page(Some(epoch), page).map_err(say)? {
            space.set_page(page, &bytes);
        }
    }
    let mut environment = HostEnvironment::new(Epoch(epoch.0.saturating_add(1)));
    let vm = Vm::resume(&mut environment).map_err(|error| format!("{name}: {error}"))?;
    let text = vm.inspect(&arguments.object).map_err(|error| format!("{name}: {error}"))?;
    println!("{}", text.trim_end());
    Ok(())
}

/// The pages below a node of `levels` levels that begins at page `first`.
fn collect(
    image: &mut Image,
    reference: Reference,
    levels: u8,
    first: u64,
    found: &mut Vec<PageIndex>,
) -> Result<(), ()> {
    if reference.is_zero() {
        return Ok(());
    }
    let Some(below) = levels.checked_sub(1) else {
        found.push(PageIndex(first));
        return Ok(());
    };
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
