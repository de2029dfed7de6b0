//! Ten thousand sleeping threads in 256 MiB (samples/sleepers.rasm): all of them go on after a cut, and the restart costs
//! them nothing.
//!
//! The outside witness follows the first 255 threads. For the rest the program counts, each nap twice and in one total; what it
//! said before the cut is held against what it says after it: a time at which the fewest naps of any sleeper exceed the most
//! that any had when the power failed is one by which every thread has gone on.

use core::time::Duration;
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{Running, TimedLine, built_machine};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, DiskFilter, Firmware, Machine};

type Outcome = Result<(), String>;

/// How many sleep on each disk, and for how many milliseconds at a time.
const FEW: [&str; 2] = ["10", "500"];
const MANY: [&str; 2] = ["10000", "3000"];
/// Time for ten thousand threads to be made, or for all of them to nap, on a slow and busy host.
const LIMIT: Duration = Duration::from_secs(180);
/// Pages read before the first program instruction may differ by so many. While all sleep, the first whose time comes is taken out of
/// the timers: that walks one path of a heap of ten thousand, on at most 12 pages of entries more than with ten, and the threads on
/// it have their places on ten pages. The rest is whether that thread's own pages lie together. No other sleeper's page is among them.
const PAGES: u64 = 32;
/// A disk on which a page takes ten milliseconds: whatever is tried again while it comes is tried often.
const SLOW: DiskFilter =
    DiskFilter::Throttle { bytes_per_second: 100_000_000, requests_per_second: 100 };
/// So much longer a start with many threads may take: more than twice the time of the other is a failure only above this.
const NOISE_US: u64 = 100_000;

/// A machine with a disk of its own on which so many sleepers are about to be made.
fn machine_with(name: &str, arguments: &[&str]) -> Result<Machine, String> {
    let image = disk_with("sleepers", &format!("{name}.img"), "1G", arguments)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=500".to_owned();
    machine.disks.push(Disk::new(image));
    Ok(machine)
}

/// Runs until an audit satisfies `wanted` and a snapshot taken after it is durable, then pulls the plug. Returns what the last
/// audit said the most naps were.
fn run(
    name: &str,
    machine: &Machine,
    witness: &mut Witness,
    start: &mut Option<Start>,
    wanted: impl Fn(u64) -> bool,
) -> Result<u64, String> {
    let mut running = Running::start(name, machine)?;
    let (mut most, mut reached, mut flipped) = (0, false, None);
    let mut failed = None;
    let mut see = |line: &TimedLine| {
        witness.line(&line.text);
        let parsed = line.parse();
        match parsed.word {
            "running" => *start = Start::parse(line),
            "audit" if line.text.starts_with("audit sleepers held ") => {
                most = parsed.number("most").unwrap_or(0).max(most);
                reached |= parsed.number("least").is_some_and(&wanted);
            }
            "audit" | "out_of_memory" => failed = Some(line.text.clone()),
            "flip" if reached && flipped.is_none() => flipped = parsed.number("epoch"),
            "durable" => return flipped.is_some() && parsed.number("epoch") >= flipped,
            _ => {}
        }
        failed.is_some()
    };
    running.wait_for("naps of all, and a durable snapshot", LIMIT, &mut see)?;
    let (_, rest) = running.cut()?;
    for line in &rest {
        see(line);
    }
    witness.cut();
    match failed {
        None => Ok(most),
        Some(line) => Err(running.complaint(&line)),
    }
}

/// What the start costs when the disk is slow; the power is cut then.
fn slow_start(name: &str, machine: &Machine) -> Result<Start, String> {
    let mut slow = machine.clone();
    for disk in &mut slow.disks {
        disk.filter = SLOW;
    }
    let mut running = Running::start(name, &slow)?;
    let mut start = None;
    running.wait_for("the first instruction", LIMIT, |line| {
        start = Start::parse(line).or(start.take());
        start.is_some()
    })?;
    let _ = running.cut()?;
    start.ok_or_else(|| format!("{name}: nothing ever ran"))
}

/// What a resume cost until the first program instruction.
#[derive(Debug)]
struct Start {
    us: u64,
    pages: u64,
}

impl Start {
    /// What the kernel said of it, if that is what the line says.
    fn parse(line: &TimedLine) -> Option<Self> {
        let parsed = line.parse();
        let figure = |key| parsed.number(key).unwrap_or(u64::MAX);
        (parsed.word == "running").then(|| Self { us: figure("us"), pages: figure("pages") })
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn ten_thousand_sleepers_go_on_after_a_cut_and_start_as_fast_as_ten() -> Outcome {
    let mut starts = Vec::new();
    let mut slow_starts = Vec::new();
    for (name, arguments) in [("sleepers-few", FEW), ("sleepers", MANY)] {
        let machine = machine_with(name, &arguments)?;
        let mut witness = Witness::new();
        let mut start = None;
        let first = format!("{name}-first");
        let most = run(&first, &machine, &mut witness, &mut start, |_| true)?;
        let second = format!("{name}-second");
        run(&second, &machine, &mut witness, &mut start, |least| least > most)?;
        if !witness.findings().is_empty() || witness.compared_steps() == 0 {
            let (compared, findings) = (witness.compared_steps(), witness.findings());
            return Err(format!("{name}: {compared} first steps compared; {findings:?}"));
        }
        slow_starts.push(slow_start(&format!("{name}-slow"), &machine)?);
        let image = machine.disks.first().map(|disk| disk.image.clone()).unwrap_or_default();
        check(&image)?;
        let compared = witness.compared_steps();
        starts.push(start.ok_or_else(|| format!("{name}: nothing ever ran"))?);
        println!("{name}: {compared} first steps compared, {starts:?}, slow disk {slow_starts:?}");
    }
    let [few, many] = &starts[..] else { return Err("two disks were to run".to_owned()) };
    // On the slow disk it is the pages that take the time.
    if many.us > few.us * 2 + NOISE_US {
        return Err(format!("the start takes longer with more threads: {starts:?}"));
    }
    for starts in [&starts, &slow_starts] {
        let [few, many] = &starts[..] else { return Err("two disks were to run".to_owned()) };
        if many.pages > few.pages + PAGES {
            return Err(format!("the start reads more pages with more threads: {starts:?}"));
        }
    }
    Ok(())
}
