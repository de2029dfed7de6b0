//! What the machine really writes and flushes, replayed to cuts between any two flushes: each leaves the last snapshot whose commit was
//! flushed, or the next, whole. A kill of QEMU cannot show this, because what was written stays written; the simulator's
//! crash matrix does, but knows nothing of the driver. QEMU's `blklogwrites` records every write and flush of a run with programs.
//!
//! Planted: the flush before the superblock is left out of the recording; a cut must then lose something.

use core::time::Duration;
use revenant_store::{Layout, RING_SLOTS, SLOT_BLOCKS};
use revenant_tests::disks::disk_with;
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine, scratch_file};
use revenant_tools::disk::{FileDisk, Image, Mode, VM_ABI, check, read_ring};
use revenant_tools::qemu::{Disk, DiskFilter, Firmware};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(60);
const SNAPSHOTS: usize = 10;
/// Cuts tried between two flushes, besides the one before the first write of them.
const CUTS: u32 = 6;
const SECTOR: usize = 512;
/// First word of a recording, and flags of an entry: the format of Linux's dm-log-writes.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLAG_FLUSH: u64 = 1;
const FLAG_DISCARD: u64 = 4;

/// One entry of a recording.
enum Entry {
    /// Bytes to a place of the disk.
    Write { place: u64, bytes: Vec<u8> },
    /// All before is on the medium.
    Flush,
}

fn say(path: &Path, error: &impl core::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn bytes_of(sectors: u64) -> usize {
    usize::try_from(sectors).map_or(usize::MAX, |sectors| sectors.saturating_mul(SECTOR))
}

/// Reads what `blklogwrites` has recorded, up to the last flush that it has noted.
fn recording(path: &Path) -> Result<Vec<Entry>, String> {
    let file = File::open(path).map_err(|error| say(path, &error))?;
    let read = |place: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, place).map_err(|error| say(path, &error))?;
        Ok::<_, String>(bytes)
    };
    let words = |bytes: &[u8]| -> Vec<u64> {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
        bytes.chunks_exact(8).map(word).collect()
    };
    let head = words(&read(0, SECTOR)?);
    let sector = (head[3] & 0xffff_ffff) as usize;
    if head[0] != MAGIC || sector != SECTOR {
        return Err(format!("{}: no recording of sectors of {SECTOR} bytes", path.display()));
    }
    let mut entries = Vec::new();
    let mut place = SECTOR as u64;
    for _ in 0..head[2] {
        let entry = words(&read(place, 32)?);
        place += SECTOR as u64;
        if entry[2] & FLAG_DISCARD != 0 {
            return Err("a discard was not to be offered".into());
        }
        let length = bytes_of(entry[1]);
        if length > 0 {
            let bytes = read(place, length)?;
            entries.push(Entry::Write { place: entry[0] * SECTOR as u64, bytes });
            place += length as u64;
        }
        if entry[2] & FLAG_FLUSH != 0 {
            entries.push(Entry::Flush);
        }
    }
    Ok(entries)
}

/// A small generator; the seed is in the failure's text.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// The disk as of some flush, and what was written since.
struct Replay<'r> {
    path: &'r Path,
    file: File,
    outstanding: Vec<(u64, &'r [u8])>,
    /// The newest generation that has been flushed.
    promised: u64,
    random: Random,
    cuts: u32,
    commits: u32,
}

impl<'r> Replay<'r> {
    fn write(&self, place: u64, bytes: &[u8]) -> Outcome {
        self.file.write_all_at(bytes, place).map_err(|error| say(self.path, &error))
    }

    fn newest(&self) -> Result<u64, String> {
        let mut disk = FileDisk::open(self.path, Mode::Read).map_err(|e| say(self.path, &e))?;
        let ring = read_ring(&mut disk).map_err(|error| say(self.path, &error))?;
        ring.newest().map(|slot| slot.generation.0).ok_or_else(|| "no superblock".into())
    }

    /// The power goes now: each outstanding write is on the medium, is not, or has got as far as some sector.
    fn cut(&mut self) -> Outcome {
        let mut before = Vec::new();
        for (place, bytes) in &self.outstanding {
            let sectors = (bytes.len() / SECTOR) as u64;
            let kept = match self.random.below(8) {
                0..4 => sectors,
                4..7 => 0,
                _ => self.random.below(sectors + 1),
            };
            let kept = bytes_of(kept);
            let mut old = vec![0; kept];
            self.file.read_exact_at(&mut old, *place).map_err(|error| say(self.path, &error))?;
            self.write(*place, &bytes[..kept])?;
            before.push((*place, old));
        }
        let found = self.look();
        for (place, old) in before.iter().rev() {
            self.write(*place, old)?;
        }
        self.cuts += 1;
        found
    }

    /// What stands there now opens as what was promised, or newer, and every block of it is whole.
    fn look(&self) -> Outcome {
        let opened = Image::open(self.path, Mode::Read, VM_ABI);
        let image = opened.map_err(|error| format!("cut {}: {error}", self.cuts))?;
        let superblock = image.store.superblock().clone();
        drop(image);
        if superblock.generation.0 < self.promised {
            let (found, promised) = (superblock.generation, self.promised);
            return Err(format!("cut {}: generation {found} instead of {promised}", self.cuts));
        }
        let mut disk = FileDisk::open(self.path, Mode::Read).map_err(|e| say(self.path, &e))?;
        let report = check(&mut disk, superblock, |_, _| ());
        match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(format!("cut {}: {problem}", self.cuts)),
        }
    }

    fn flush(&mut self) -> Outcome {
        for _ in 0..if self.outstanding.is_empty() { 0 } else { CUTS } {
            self.cut()?;
        }
        for (place, bytes) in core::mem::take(&mut self.outstanding) {
            self.write(place, bytes)?;
        }
        let newest = self.newest()?;
        self.commits += u32::from(newest > self.promised);
        self.promised = newest;
        self.look()
    }
}

/// Replays a recording over the disk that it began with; cuts tried, commits seen.
fn replay(
    start: &Path,
    entries: &[Entry],
    without_first_flush: bool,
) -> Result<(u32, u32), String> {
    let path = scratch_file("replay-cut.img")?;
    fs::copy(start, &path).map_err(|error| say(&path, &error))?;
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.map_err(|error| say(&path, &error))?;
    let blocks = file.metadata().map_err(|error| say(&path, &error))?.len() / 4096;
    let layout = Layout::new(blocks).ok_or("no store has this size")?;
    let superblocks: Vec<_> = (0..RING_SLOTS)
        .map(|slot| layout.slot(slot).0 * 4096)
        .map(|place| place..place + SLOT_BLOCKS * 4096)
        .collect();
    let random = Random(0x5eed_0000_0001);
    let (promised, outstanding) = (0, Vec::new());
    let mut replay =
        Replay { path: &path, file, outstanding, promised, random, cuts: 0, commits: 0 };
    replay.promised = replay.newest()?;
    for entry in entries {
        match entry {
            Entry::Write { place, bytes } => replay.outstanding.push((*place, bytes)),
            Entry::Flush => {
                let seals = |place: &u64| superblocks.iter().any(|range| range.contains(place));
                let sealed = replay.outstanding.iter().any(|(place, _)| seals(place));
                if !sealed && without_first_flush {
                    continue;
                }
                replay.flush()?;
            }
        }
    }
    Ok((replay.cuts, replay.commits))
}

/// A run of the demonstration: its disk as it was before, and what was written to it.
fn run() -> Result<(PathBuf, Vec<Entry>), String> {
    let image = disk_with("demo", "replay.img", "32M", &[])?;
    let start = scratch_file("replay-start.img")?;
    fs::copy(&image, &start).map_err(|error| say(&start, &error))?;
    let log = scratch_file("replay.log")?;
    File::create(&log).map_err(|error| say(&log, &error))?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=100".to_owned();
    machine.disks.push(Disk { filter: DiskFilter::Log(log.clone()), ..Disk::new(&image) });
    let mut running = Running::start("replay", &machine)?;
    for _ in 0..SNAPSHOTS {
        running.wait_for("durable snapshot", LIMIT + BOOT_LIMIT, |line| {
            line.parse().word == "durable"
        })?;
    }
    running.cut()?;
    let entries = recording(&log)?;
    fs::remove_file(&log).map_err(|error| say(&log, &error))?;
    Ok((start, entries))
}

#[test]
#[ignore = "boots QEMU: make test"]
fn between_any_two_flushes_of_a_real_run_a_cut_leaves_a_whole_snapshot() -> Outcome {
    let (start, entries) = run()?;
    let (cuts, commits) = replay(&start, &entries, false)?;
    println!("{} entries, {commits} commits, {cuts} cuts", entries.len());
    // The recording's head is written now and then: the last commits may be missing in it.
    if commits < 5 || cuts < 10 * CUTS {
        return Err(format!("{commits} commits and {cuts} cuts say too little"));
    }
    match replay(&start, &entries, true) {
        Err(lost) => println!("without the flush before the superblock: {lost}"),
        Ok(_) => return Err("a missing flush went unnoticed".into()),
    }
    Ok(())
}
