//! Object space under flips, copy-on-write and power cuts, without any program: the kernel's `test=paging`.
//!
//! The kernel's worker stores a pattern from which the state of object space at any instant can be told. After each cut the
//! kernel checks every page against the worker's place, and here that place is compared with what was printed at the
//! flip of the snapshot resumed: not one store more, not one less.

use core::time::Duration;
use revenant_tests::cuts::Random;
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, Firmware, Machine};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

type Outcome = Result<(), String>;

/// Steps by thread as the log prints them.
type Steps = BTreeMap<u64, u64>;

const CUTS: u32 = 20;
const SEED: u64 = 0x2026_1122;

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
}

/// One boot: checks what was resumed against the last boot, runs, cuts.
fn boot(
    name: &str,
    machine: &Machine,
    run: Duration,
    before: Option<&Boot>,
) -> Result<Boot, String> {
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
    let mut boot = Boot { flips: BTreeMap::new(), durable: resumed };
    let end = std::time::Instant::now() + run;
    let mut take = |line: &revenant_tests::harness::TimedLine| {
        let parsed = line.parse();
        match (parsed.word, parsed.number("epoch")) {
            ("flip", Some(epoch)) => {
                boot.flips.insert(epoch, parsed.pairs("steps").unwrap_or_default());
            }
            ("durable", Some(epoch)) => boot.durable = boot.durable.max(epoch),
            _ => {}
        }
    };
    while let Some(line) =
        running.next_line(end.saturating_duration_since(std::time::Instant::now()))
    {
        take(&line);
    }
    let (_, rest) = running.cut()?;
    rest.iter().for_each(take);
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
        before = Some(
            boot(&name, &machine, run, before.as_ref())
                .map_err(|error| format!("seed {SEED:#x}: {error}"))?,
        );
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

#[test]
#[ignore = "boots QEMU: make test"]
fn the_disk_driver_keeps_its_queue_full_and_reads_what_it_wrote() -> Outcome {
    let image = scratch_file("virtio.img")?;
    empty_disk(&image, 64 << 20)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "test=virtio".to_owned();
    machine.disks.push(Disk::new(image));
    Running::start("virtio", &machine)?.wait_success(Duration::from_secs(120))
}
