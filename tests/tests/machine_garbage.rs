//! A garbage producer runs in constant memory: garbage.rasm beside this file, on a machine of 64 MiB. What its newest snapshot
//! holds at the end is what it held at the beginning, but for a tenth and for what waits for a grace; what its disk has in use does
//! not grow, and the file of its disk takes little more: what is free again is discarded.
//!
//! A minute in `make test`; the environment's REVENANT_GARBAGE_SECONDS makes it longer.

use core::time::Duration;
use revenant_tests::disks::{allocated_blocks, check, revenant};
use revenant_tests::harness::{BOOT_LIMIT, Running, TimedLine, built_machine, scratch_file};
use revenant_tests::log_line::LogLine;
use revenant_tools::qemu::{Disk, Firmware, Machine};
use std::path::Path;
use std::time::Instant;

type Outcome = Result<(), String>;

/// Seconds of the second boot.
const REST: u64 = 45;
/// Garbage of the small kind, and of the large, in bytes: the least of a boot that is worth something. The first boot goes on
/// until it is made, however slow the host: by then memory has got as large as it gets.
const LEAST: (u64, u64) = (128 << 20, 2 << 30);
/// How long that may take.
const LIMIT: Duration = Duration::from_secs(240);
/// Pages that garbage may take while it waits for a grace, more at one time than at another (8 MiB more were seen on a host
/// with much else to do). What leaks has to come to more than this.
const WAITING: u64 = 4096;

/// What a disk holds after a boot.
#[derive(Debug)]
struct Holding {
    /// Pages of the newest snapshot.
    pages: u64,
    /// Blocks that it reaches.
    blocks: u64,
    /// Blocks in use, all snapshots together.
    used: u64,
}

fn holding(image: &Path) -> Result<Holding, String> {
    let text = revenant(&["disk", "info", &image.to_string_lossy()])?;
    let find = |word: &str, key: &str| {
        let line = text.lines().rev().find(|line| line.contains(word))?;
        LogLine::parse(&format!("line {line}")).number(key)
    };
    let all = || {
        let used = find("store id=", "blocks")?.checked_sub(find("space managed=", "free")?)?;
        Some(Holding { pages: find(" newest", "pages")?, blocks: find(" newest", "blocks")?, used })
    };
    all().ok_or_else(|| format!("what is\n{text}"))
}

/// Runs for so long and until enough garbage was made, and cuts; how many bytes of the small and of the large kind.
fn run(name: &str, machine: &Machine, time: Duration) -> Result<(u64, u64), String> {
    let mut running = Running::start(name, machine)?;
    running.wait_for("resumed line", BOOT_LIMIT, |line| line.parse().word == "resumed")?;
    let mut made: [Option<(u64, u64)>; 2] = [None, None];
    let mut wrong = None;
    let see = |line: &TimedLine, made: &mut [Option<(u64, u64)>; 2], wrong: &mut Option<String>| {
        let parsed = line.parse();
        let kind = match parsed.word {
            "garbage" => usize::from(line.text.contains("large")),
            "audit" | "abandoned" | "out_of_memory" | "page_failed" | "uncaught" => {
                *wrong = Some(line.text.clone());
                return;
            }
            _ => return,
        };
        if let Some(bytes) = parsed.number("bytes") {
            made[kind] = Some((made[kind].map_or(bytes, |(first, _)| first), bytes));
        }
    };
    let end = Instant::now() + time;
    running.wait_for("end of the garbage", time + LIMIT, |line| {
        see(line, &mut made, &mut wrong);
        let (small, large) = bytes(&made);
        wrong.is_some() || small >= LEAST.0 && large >= LEAST.1 && Instant::now() >= end
    })?;
    running.cut()?;
    wrong.map_or(Ok(bytes(&made)), |text| Err(running.complaint(&text)))
}

/// From the first to the last that was told.
fn bytes(made: &[Option<(u64, u64)>; 2]) -> (u64, u64) {
    let of = |kind: usize| made[kind].map_or(0, |(first, last)| last.saturating_sub(first));
    (of(0), of(1))
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_garbage_producer_runs_in_constant_memory() -> Outcome {
    let image = scratch_file("garbage.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/garbage.rasm");
    let name = image.to_string_lossy();
    revenant(&["disk", "create", &name, "--size", "512M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=250 retain=1".to_owned();
    machine.disks.push(Disk::new(&image));
    let asked = std::env::var("REVENANT_GARBAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    let rest = Duration::from_secs(asked.unwrap_or(REST));
    run("garbage-beginning", &machine, Duration::ZERO)?;
    let first = holding(&image)?;
    let made = run("garbage-rest", &machine, rest)?;
    let last = holding(&image)?;
    let allocated = allocated_blocks(&image)?;
    println!(
        "{made:?} bytes of small and large garbage: {first:?}, then {last:?}; the image takes {allocated} blocks"
    );
    for (what, before, after) in [
        ("pages", first.pages, last.pages),
        ("blocks of the newest snapshot", first.blocks, last.blocks),
    ] {
        if after > before + before / 10 + WAITING {
            return Err(format!("{what}: {before} at the beginning, {after} at the end"));
        }
    }
    // How many old snapshots stand varies, because they are deleted several at a time, and so does the garbage that each holds.
    if last.used > first.used + first.used / 2 + 2 * WAITING {
        return Err(format!(
            "{} blocks in use at the beginning, {} at the end",
            first.used, last.used
        ));
    }
    // Without discards the file would soon be as large as the disk: blocks are handed out from one end to the other.
    if allocated > last.used + last.used / 2 + 2 * WAITING {
        return Err(format!("{} blocks in use, {allocated} in the image", last.used));
    }
    check(&image)
}
