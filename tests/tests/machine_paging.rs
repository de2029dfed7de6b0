//! Object space under flips, copy-on-write and power cuts, without any program: the kernel's `test=paging`.
//!
//! The kernel's worker stores a pattern from which the state of object space at any instant can be told. After each cut the
//! kernel checks every page against the worker's place, and here that place is compared with what was printed at the
//! flip of the snapshot resumed: not one store more, not one less.

use core::time::Duration;
use revenant_tests::cuts::Random;
use revenant_tests::harness::{BOOT_LIMIT, Running, TimedLine, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, Firmware, Machine};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

type Outcome = Result<(), String>;

/// Steps by thread as the log prints them.
type Steps = BTreeMap<u64, u64>;

const CUTS: u32 = 20;
const SEED: u64 = 0x2026_1122;
/// Cuts of a machine whose memory is short, and the longest wait for its first snapshot with pages written before their flip.
const CUTS_WHEN_SHORT: u32 = 2;
const CLEANED_LIMIT: Duration = Duration::from_secs(60);

/// A fresh sparse disk.
fn empty_disk(path: &Path, bytes: u64) -> Outcome {
    File::create(path)
        .and_then(|file| file.set_len(bytes))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// What a boot left behind.
struct Boot {
    /// Counters by epoch.
    flips: BTreeMap<u64, Steps>,
    /// The newest durable epoch.
    durable: u64,
    /// Of epochs in which pages were written before the flip, how many of them their snapshots hold.
    cleaned: BTreeMap<u64, u64>,
    /// The epoch that it began with.
    resumed: u64,
}

impl Boot {
    /// Whether pages of a snapshot were written before its flip.
    fn has_cleaned(&self, epoch: u64) -> bool {
        self.cleaned.get(&epoch).is_some_and(|kept| *kept > 0)
    }

    fn line(&mut self, line: &TimedLine) {
        let parsed = line.parse();
        let Some(epoch) = parsed.number("epoch") else { return };
        match parsed.word {
            "flip" => _ = self.flips.insert(epoch, parsed.pairs("steps").unwrap_or_default()),
            "durable" => self.durable = self.durable.max(epoch),
            "cleaned" => _ = self.cleaned.insert(epoch, parsed.number("kept").unwrap_or(0)),
            _ => {}
        }
    }
}

/// One boot: checks what was resumed against the last boot, runs, cuts.
fn boot(
    name: &str,
    machine: &Machine,
    run: Duration,
    before: Option<&Boot>,
) -> Result<Boot, String> {
    let (running, boot) = start(name, machine, before)?;
    run_and_cut(running, boot, run)
}

/// Starts it, and checks what was resumed against the last boot.
fn start(name: &str, machine: &Machine, before: Option<&Boot>) -> Result<(Running, Boot), String> {
    let mut running = Running::start(name, machine)?;
    let mut resumed = None;
    let verified = running.wait_for("verified line", BOOT_LIMIT, |line| {
        resumed =
            resumed.or(line.parse().number("epoch").filter(|_| line.parse().word == "resumed"));
        line.parse().word == "verified"
    })?;
    let resumed = resumed.ok_or_else(|| running.complaint("verified without a resumed line"))?;
    if let Some(before) = before {
        if resumed < before.durable {
            return Err(running.complaint(&format!("epoch {} was durable", before.durable)));
        }
        let flipped = before.flips.get(&resumed);
        if resumed != before.durable || flipped.is_some() {
            let steps = verified.parse().pairs("steps");
            if steps.is_none() || steps.as_ref() != flipped {
                return Err(running.complaint(&format!("at the flip it stood at {flipped:?}")));
            }
        }
    }
    let (flips, cleaned) = (BTreeMap::new(), BTreeMap::new());
    Ok((running, Boot { flips, durable: resumed, cleaned, resumed }))
}

fn run_and_cut(mut running: Running, mut boot: Boot, run: Duration) -> Result<Boot, String> {
    let end = Instant::now() + run;
    while let Some(line) = running.next_line(end.saturating_duration_since(Instant::now())) {
        boot.line(&line);
    }
    let (_, rest) = running.cut()?;
    rest.iter().for_each(|line| boot.line(line));
    if boot.flips.is_empty() {
        return Err(running.complaint("no snapshot was taken"));
    }
    Ok(boot)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn every_page_is_of_the_instant_of_its_snapshot_after_random_cuts() -> Outcome {
    let image = scratch_file("paging.img")?;
    empty_disk(&image, 512 << 20)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "128M".to_owned();
    machine.command_line = "test=paging pages=4096 snapshot_interval_ms=50".to_owned();
    machine.disks.push(Disk::new(image));
    let mut random = Random::new(SEED);
    let mut before = None;
    for cut in 0..=CUTS {
        let run = random.between(Duration::from_millis(300), Duration::from_millis(1200));
        let name = format!("paging-{cut}");
        let boot = boot(&name, &machine, run, before.as_ref())
            .map_err(|error| format!("seed {SEED:#x}: {error}"))?;
        if !boot.cleaned.is_empty() {
            return Err(format!(
                "{name}: memory sufficed, and pages were written before their flip"
            ));
        }
        before = Some(boot);
    }
    Ok(())
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_disk_goes_on_in_another_machine() -> Outcome {
    let image = scratch_file("paging-moves.img")?;
    empty_disk(&image, 512 << 20)?;
    let command_line = "test=paging pages=4096 snapshot_interval_ms=50";
    let mut first = built_machine(Firmware::Bios)?;
    command_line.clone_into(&mut first.command_line);
    first.disks.push(Disk::new(&image));

    let mut older_board = first.clone();
    older_board.board = "pc".to_owned();
    older_board.memory = "96M".to_owned();
    older_board.processor = Some("Penryn".to_owned());
    let mut other_slot = first.clone();
    other_slot.memory = "384M".to_owned();
    other_slot.processor = Some("max".to_owned());
    other_slot.disks = vec![Disk { slot: Some(0x11), ..Disk::new(&image) }];
    let mut by_uefi = built_machine(Firmware::Uefi)?;
    by_uefi.command_line.clone_from(&first.command_line);
    by_uefi.disks.clone_from(&first.disks);

    let run = Duration::from_millis(600);
    let mut before = boot("moves-first", &first, run, None)?;
    for (name, machine) in [
        ("moves-older-board", &older_board),
        ("moves-other-slot", &other_slot),
        ("moves-uefi", &by_uefi),
        ("moves-back", &first),
    ] {
        before = boot(name, machine, run, Some(&before))?;
    }
    Ok(())
}

/// Twice as many pages as frames are stored to, and a snapshot comes every two seconds: memory is full of modified pages before, and
/// they are written before their flip. The first cut comes right after such a snapshot, the others at any time until the next is being
/// written.
#[test]
#[ignore = "boots QEMU: make test"]
fn pages_written_before_their_flip_are_of_its_instant() -> Outcome {
    let image = scratch_file("paging-short.img")?;
    empty_disk(&image, 512 << 20)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "40M".to_owned();
    machine.command_line = "test=paging pages=9000 snapshot_interval_ms=2000".to_owned();
    machine.disks.push(Disk::new(image));
    let mut random = Random::new(SEED);
    let (mut before, mut resumed_cleaned): (Option<Boot>, u32) = (None, 0);
    for cut in 0..=CUTS_WHEN_SHORT {
        let (mut running, mut boot) =
            start(&format!("paging-short-{cut}"), &machine, before.as_ref())?;
        resumed_cleaned += before.map_or(0, |before| u32::from(before.has_cleaned(boot.resumed)));
        if cut == CUTS_WHEN_SHORT {
            break;
        }
        running.wait_for(
            "a snapshot with pages written before its flip",
            CLEANED_LIMIT,
            |line| {
                boot.line(line);
                boot.has_cleaned(boot.durable)
            },
        )?;
        let longest = if cut == 0 { Duration::ZERO } else { Duration::from_millis(2200) };
        let rest = random.between(Duration::ZERO, longest);
        before = Some(
            run_and_cut(running, boot, rest).map_err(|error| format!("seed {SEED:#x}: {error}"))?,
        );
    }
    println!("{resumed_cleaned} of {CUTS_WHEN_SHORT} resumes had pages written before their flip");
    if resumed_cleaned == 0 { Err("no such snapshot was resumed".to_owned()) } else { Ok(()) }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn the_disk_driver_keeps_its_queue_full_and_reads_what_it_wrote() -> Outcome {
    let image = scratch_file("virtio.img")?;
    empty_disk(&image, 64 << 20)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "test=virtio".to_owned();
    machine.disks.push(Disk::new(&image));
    Running::start("virtio", &machine)?.wait_success(Duration::from_secs(120))?;
    // The parts of each request linked in the queue itself.
    machine.disks = vec![Disk { indirect: false, ..Disk::new(image) }];
    Running::start("virtio-direct", &machine)?.wait_success(Duration::from_secs(120))
}
