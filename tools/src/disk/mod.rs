//! `revenant disk ...`: making, listing, checking and changing disk images.
//!
//! The commands here only print and parse; `image` drives the store over `file_disk`, `usage` counts what snapshots share.
//! Every refusal is one line that says which image, why, and what to do; nothing is written to a refused image.

mod bench;
mod cat;
mod create;
mod digest;
mod file_disk;
mod frames;
mod image;
mod lay;
mod pages;
mod report;
mod retention;
mod ring;
mod usage;
mod verify;

pub use bench::bench;
pub use cat::CatArguments;
pub use create::{CreateArguments, parse_size};
pub use digest::DigestArguments;
pub use file_disk::{FileDisk, Mode, OpenError};
pub use frames::HostFrames;
pub use image::{Image, ImageError, SourcePage, check, format, random, read_ring};
pub use pages::PagesArguments;
pub use report::ReportArguments;
pub use retention::{KeepArguments, RetentionArguments};
pub use usage::{Kinds, Usage, usage};
pub use verify::VerifyArguments;

use crate::modules::finish;
use clap::{Args, Subcommand};
use revenant_hal::{Epoch, Generation, ObjectAddress};
use revenant_store::{BranchId, Snapshot, Superblock};
use revenant_vm::memory::layout::{area, block, system::root};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The version of the virtual machine whose objects these tools make and change.
pub use revenant_vm::VERSION as VM_ABI;

/// What can be done with a disk image.
#[derive(Subcommand, Debug)]
pub enum DiskCommand {
    /// Make a disk image with programs on it
    Create(CreateArguments),
    /// Look into the object tree of a snapshot
    Cat(CatArguments),
    /// List a snapshot's pages: what each holds, and the blocks where it stands
    Pages(PagesArguments),
    /// Make a page about what fills a snapshot: classes, ages, garbage, who holds what, a map
    Report(ReportArguments),
    /// One number for everything that a snapshot holds
    Digest(DigestArguments),
    /// Show superblocks, snapshots, sizes and what they share
    Info(StateArguments),
    /// List snapshots, each with the word that rolls back to it, and why it stays
    Snapshots(StateArguments),
    /// Show or set which snapshots the disk keeps, and why each one stays
    Retention(RetentionArguments),
    /// Read every block, compare every checksum, and the allocator with what is reached
    Check(StateArguments),
    /// Verify all code on the disk again, and what its threads hold, for this version of the machine
    Verify(VerifyArguments),
    /// Keep a snapshot until it is unpinned
    Pin(SnapshotArguments),
    /// Leave a snapshot to retention again
    Unpin(SnapshotArguments),
    /// Delete a snapshot
    Delete(SnapshotArguments),
    /// Delete the snapshots of a branch that was stepped back from
    Release(BranchArguments),
    /// Measure what the store costs the processor, over a disk in memory
    Bench,
}

/// An image as it is, or as it was.
#[derive(Args, Debug)]
pub struct StateArguments {
    /// The disk image
    pub image: PathBuf,
    /// Open this generation instead of the newest, if every block that it reaches is whole; `disk info` lists them
    #[arg(long)]
    pub generation: Option<u64>,
}

/// A snapshot of an image.
#[derive(Args, Debug)]
pub struct SnapshotArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it
    #[arg(long)]
    pub snapshot: u64,
}

/// A branch of an image.
#[derive(Args, Debug)]
pub struct BranchArguments {
    /// The disk image
    pub image: PathBuf,
    /// The branch, as `disk snapshots` lists it
    #[arg(long)]
    pub branch: u32,
}

/// Runs a command; 0 if all is well, 1 if the image is not, or cannot be used.
#[must_use]
pub fn run(command: &DiskCommand) -> ExitCode {
    let (path, result) = match command {
        DiskCommand::Bench => return print_bench(),
        DiskCommand::Create(arguments) => return finish(create::create(arguments)),
        DiskCommand::Cat(arguments) => return finish(cat::cat(arguments)),
        DiskCommand::Pages(arguments) => return finish(pages::pages(arguments)),
        DiskCommand::Report(arguments) => return finish(report::report(arguments)),
        DiskCommand::Digest(arguments) => return finish(digest::digest(arguments)),
        DiskCommand::Verify(arguments) => return finish(verify::verify(arguments)),
        DiskCommand::Info(arguments) => (&arguments.image, info(arguments)),
        DiskCommand::Snapshots(arguments) => (&arguments.image, list(arguments)),
        DiskCommand::Retention(arguments) => (&arguments.image, retention::retention(arguments)),
        DiskCommand::Check(arguments) => (&arguments.image, check_image(arguments)),
        DiskCommand::Pin(arguments) => {
            (&arguments.image, change(arguments, |image, epoch| image.store.pin(epoch)))
        }
        DiskCommand::Unpin(arguments) => {
            (&arguments.image, change(arguments, |image, epoch| image.store.unpin(epoch)))
        }
        DiskCommand::Delete(arguments) => {
            (&arguments.image, change(arguments, |image, epoch| image.store.delete(epoch)))
        }
        DiskCommand::Release(arguments) => (&arguments.image, release(arguments)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn print_bench() -> ExitCode {
    let done = bench(|name, value, unit| println!("metric {name} {value:.3} {unit}"));
    finish(if done { Ok(()) } else { Err("the store did not do its work".into()) })
}

fn change(
    arguments: &SnapshotArguments,
    wish: impl FnOnce(&mut Image, Epoch) -> Result<(), revenant_store::SnapshotError>,
) -> Result<ExitCode, ImageError> {
    let mut image = Image::open(&arguments.image, Mode::Write, VM_ABI)?;
    wish(&mut image, Epoch(arguments.snapshot)).map_err(ImageError::Snapshot)?;
    image.commit_requests()?;
    Ok(ExitCode::SUCCESS)
}

fn release(arguments: &BranchArguments) -> Result<ExitCode, ImageError> {
    let mut image = Image::open(&arguments.image, Mode::Write, VM_ABI)?;
    image.store.release_branch(BranchId(arguments.branch)).map_err(ImageError::Snapshot)?;
    image.commit_requests()?;
    Ok(ExitCode::SUCCESS)
}

/// Opens for reading, so that every refusal is told, and hands back the file and the superblock opened: the newest whole one,
/// if no other was asked for.
fn open(arguments: &StateArguments) -> Result<(Image, Superblock), ImageError> {
    let image = match arguments.generation {
        None => Image::open(&arguments.image, Mode::Read, VM_ABI)?,
        Some(generation) => Image::open_generation(&arguments.image, Generation(generation))?,
    };
    let superblock = image.store.superblock().clone();
    Ok((image, superblock))
}

fn list(arguments: &StateArguments) -> Result<ExitCode, ImageError> {
    let (_, superblock) = open(arguments)?;
    for snapshot in superblock.snapshots.entries() {
        println!("{}", snapshot_line(snapshot, &superblock));
    }
    Ok(ExitCode::SUCCESS)
}

fn snapshot_line(snapshot: &Snapshot, superblock: &Superblock) -> String {
    let mut words = vec![
        format!("snapshot={}", snapshot.epoch),
        format!("parent={}", snapshot.parent),
        format!("branch={}", snapshot.branch.0),
        format!("pages={}", snapshot.pages),
        format!("unix_time={}", snapshot.wall_time.0 / 1_000_000_000),
    ];
    if snapshot.epoch == superblock.epoch {
        words.push("newest".into());
    } else if !snapshot.hidden {
        words.push(format!("rollback={}@{}", snapshot.epoch, superblock.restore_generation));
    }
    if snapshot.pinned {
        words.push("pinned".into());
    }
    if snapshot.hidden {
        words.push("hidden".into());
    }
    words.push(retention::reasons(snapshot, superblock));
    words.join(" ")
}

fn info(arguments: &StateArguments) -> Result<ExitCode, ImageError> {
    let path = &arguments.image;
    let opened = open(arguments).map_err(|refusal| ring::show_refused(path, refusal));
    let (mut image, superblock) = opened?;
    let ring = read_ring(image.disk())?;
    print_store(&superblock, &image);
    ring::print(&ring, Some(superblock.generation));
    let (usage, kinds) = usage(image.disk(), &superblock);
    print_kinds(path, &superblock, kinds);
    print_quotas(&mut image, &superblock);
    println!("{}", retention::policy_line(&superblock));
    println!("snapshots");
    for (snapshot, (_, usage)) in superblock.snapshots.entries().iter().zip(usage) {
        print!("  {} blocks={}", snapshot_line(snapshot, &superblock), usage.reached);
        println!(" alone={} shared={}", usage.alone, usage.reached - usage.alone);
        if usage.unreadable > 0 {
            println!("    {} nodes cannot be read: run `revenant disk check`", usage.unreadable);
        }
        if usage.lost > 0 {
            println!("    {} entries of its map are lost: run `revenant disk check`", usage.lost);
        }
    }
    if let Some(epitaph) = &image.report.epitaph {
        println!(
            "epitaph resumed={} epoch={}\n  {}",
            epitaph.resumed,
            epitaph.epoch,
            epitaph.text.replace('\n', "\n  ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print_store(superblock: &Superblock, image: &Image) {
    let space = image.store.space();
    let (region, length) = superblock.layout.collector_region();
    let (taken, managed) = taken(superblock);
    println!(
        "store id={:032x} blocks={} bytes={} vm={}.{} branch={} restore_generation={}",
        superblock.store.0,
        superblock.layout.blocks(),
        superblock.layout.blocks() * 4096,
        superblock.vm_abi >> 16,
        superblock.vm_abi & 0xffff,
        superblock.branch.0,
        superblock.restore_generation
    );
    println!("space managed={} pool={} free={}", space.total, space.pool, managed - taken);
    println!("collector region={region} blocks={length}");
    match superblock.collector_pin {
        Some(pin) => println!("collector pin={} branch={}", pin.epoch, pin.branch.0),
        None => println!("collector pin=none"),
    }
}

/// Blocks in use of those that the allocator hands out, and how many those are.
fn taken(superblock: &Superblock) -> (u64, u64) {
    let (start, end) = superblock.layout.data_area();
    // The bits of all other places, and of those beyond the device, are set.
    let others = superblock.layout.bitmap_leaves() * 8 * 4096 - (end - start);
    (superblock.allocated.saturating_sub(others).min(end - start), end - start)
}

/// Who has the blocks, and how many the image takes of its file system: what the machine has discarded takes none.
fn print_kinds(path: &Path, superblock: &Superblock, kinds: Kinds) {
    let (taken, managed) = taken(superblock);
    let map = kinds.pages + kinds.nodes;
    println!(
        "use pages={} map_nodes={} free_space_tree={} free={} fixed_places={}",
        kinds.pages,
        kinds.nodes,
        taken.saturating_sub(map),
        managed - taken,
        superblock.layout.blocks() - managed
    );
    if let Ok(found) = path.metadata() {
        println!("image blocks={} allocated={}", found.len() / 4096, found.blocks() / 8);
    }
}

/// What the groups of programs have of object space.
fn print_quotas(image: &mut Image, superblock: &Superblock) {
    if superblock.vm_abi >> 16 != revenant_vm::VERSION >> 16 {
        return; // another layout
    }
    let mut word = |address: u64| {
        let address = ObjectAddress(address);
        let page = image.read_page(None, address.page()).ok()?;
        let word = page.map(|page| page.0[(address.0 % 4096) as usize..][..8].try_into());
        Some(word.map_or(0, |word| word.map_or(0, u64::from_le_bytes)))
    };
    let Some(groups) = word(area::ROOT + root::NEXT_GROUP) else {
        println!("groups: the page that counts them cannot be read");
        return;
    };
    println!("groups");
    for group in 0..groups.min(area::ALLOCATOR_COUNT) {
        let mut of = |field| word(area::ALLOCATORS + group * 4096 + field);
        match (of(block::ALLOCATOR_USED), of(block::ALLOCATOR_QUOTA), of(block::ALLOCATOR_REFUSED))
        {
            (Some(used), Some(u64::MAX), Some(refused)) => {
                println!("  group={group} used={used} limit=none refused={refused}");
            }
            (Some(used), Some(limit), Some(refused)) => {
                println!("  group={group} used={used} limit={limit} refused={refused}");
            }
            _ => println!("  group={group}: its page cannot be read"),
        }
    }
}

fn check_image(arguments: &StateArguments) -> Result<ExitCode, ImageError> {
    let mut bar = ProgressBar::new();
    let opened = open(arguments).map_err(|refusal| {
        let refusal =
            ring::check_refused(&arguments.image, refusal, |done, total| bar.show(done, total));
        bar.clear();
        refusal
    });
    let (mut image, superblock) = opened?;
    for generation in &image.report.damaged {
        println!("generation {generation}: its slot is whole but its root is not; passed over");
    }
    let report = check(image.disk(), superblock, |done, total| bar.show(done, total));
    bar.clear();
    for problem in &report.problems {
        println!("{problem}");
    }
    println!(
        "checked blocks={} pages={} nodes={} free_space_blocks={} problems={}",
        report.reached,
        report.pages,
        report.nodes,
        report.free_space_blocks,
        report.problems.len()
    );
    let clean = report.problems.is_empty() && image.report.damaged.is_empty();
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A bar on a terminal; nothing elsewhere.
struct ProgressBar {
    terminal: bool,
    shown: u64,
}

impl ProgressBar {
    const WIDTH: u64 = 50;

    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: u64::MAX }
    }

    fn show(&mut self, done: u64, total: u64) {
        let filled = done * Self::WIDTH / total.max(1);
        if !self.terminal || filled == self.shown {
            return;
        }
        self.shown = filled;
        let bar: String =
            (0..Self::WIDTH).map(|place| if place < filled { '#' } else { '.' }).collect();
        eprint!("\r[{bar}] {done} of {total} blocks");
        // A bar that cannot be shown is no reason to stop a check.
        let _ = std::io::stderr().flush();
    }

    fn clear(&self) {
        if self.terminal {
            eprint!("\r{:80}\r", "");
        }
    }
}
