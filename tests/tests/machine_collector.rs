//! The exact collector in the machine: cycles.rasm beside this file makes more garbage in circles than the disk has room for, which
//! counting never frees. Power is cut while a snapshot is marked, while the heap is swept, and when a sweep has just ended, by turns;
//! the next start goes on with the same collection. And wishes.rasm has it stand still, which outlives a cut, go on, and begin.

use core::time::Duration;
use revenant_tests::disks::{check, revenant};
use revenant_tests::harness::{Running, TimedLine, built_machine, scratch_file};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

/// The disk's size.
const MEBIBYTES: u64 = 192;
/// Collections at least, and before each cut. It goes on until more garbage was made than the disk holds.
const COLLECTIONS: u32 = 30;
const EACH: u32 = 5;
/// Objects alive: what every system has, and, once it has begun, a thousand nodes with an array each and what the program has in hand.
const LIVE: core::ops::Range<u64> = 300..3_000;
const LIVE_IN_THE_END: u64 = 2_300;
/// After which line the power goes, by turns.
const CUTS: [&str; 3] = ["begins", "marked", "swept"];
/// For the collections before one cut.
const LIMIT: Duration = Duration::from_secs(120);

/// What the boots have seen together.
#[derive(Default)]
struct Seen {
    witness: Witness,
    swept: u32,
    objects: u64,
    /// Bytes of garbage made, as the program counts.
    garbage: u64,
    failures: Vec<String>,
}

impl Seen {
    /// Takes a line; the word behind `collect`, if it is such a line.
    fn line<'text>(&mut self, line: &'text TimedLine) -> Option<&'text str> {
        self.witness.line(&line.text);
        let parsed = line.parse();
        match parsed.word {
            "collect" => {
                let what = line.text.split(' ').nth(1)?;
                self.swept += u32::from(what == "swept");
                self.objects += parsed.number("objects").filter(|_| what == "swept").unwrap_or(0);
                let miscounted = || !LIVE.contains(&parsed.number("objects").unwrap_or(0));
                if what == "failed" || what == "statistics" && miscounted() {
                    self.failures.push(line.text.clone());
                }
                return Some(what);
            }
            "cycles" => self.garbage = parsed.number("bytes").unwrap_or(0),
            "audit" | "out_of_memory" | "abandoned" | "read_only" | "unreadable" | "main_ended" => {
                self.failures.push(line.text.clone());
            }
            _ => {}
        }
        None
    }
}

/// The accounts of the last collections stand in the last snapshot, whatever cut came.
fn accounts(image: &str) -> Outcome {
    let cat = |path: &str| revenant(&["disk", "cat", image, "--object", path]);
    let count = cat("collections")?.lines().filter(|line| line.contains("epoch=")).count();
    let number = |line: &str, key: &str| -> u64 {
        let mut words = line.split([' ', '"']);
        let word = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    let kept: Result<Vec<String>, String> =
        (0..count).map(|place| cat(&format!("collections/[{place}]"))).collect();
    let kept = kept?;
    let sound = kept.len() >= 8
        && kept.iter().all(|line| LIVE.contains(&number(line, "objects")))
        && kept.last().is_some_and(|line| number(line, "objects") >= LIVE_IN_THE_END)
        && kept.iter().map(|line| number(line, "freed")).sum::<u64>() > 1_000
        && kept.is_sorted_by_key(|line| number(line, "epoch"));
    if sound { Ok(()) } else { Err(format!("{count} accounts: {}", kept.concat())) }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn garbage_in_circles_is_collected_for_ever_across_cuts_at_any_stage() -> Outcome {
    let image = scratch_file("cycles.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cycles.rasm");
    let (name, size) = (image.to_string_lossy(), format!("{MEBIBYTES}M"));
    revenant(&["disk", "create", &name, "--size", &size, "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=250 retain=1 collect_every_ms=100".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut seen = Seen::default();
    for (boot, cut) in CUTS.iter().cycle().enumerate() {
        if seen.swept >= COLLECTIONS && seen.garbage > MEBIBYTES << 20 {
            break;
        }
        let mut running = Running::start(&format!("collector-{boot}"), &machine)?;
        let goal = seen.swept + EACH;
        running.wait_for("collections, and the moment of the cut", LIMIT, |line| {
            let what = seen.line(line);
            !seen.failures.is_empty() || seen.swept >= goal && what == Some(cut)
        })?;
        let (_, rest) = running.cut()?;
        for line in &rest {
            seen.line(line);
        }
        seen.witness.cut();
        if !seen.failures.is_empty() {
            return Err(running.complaint(&seen.failures.join("\n")));
        }
        check(&image)?;
    }
    accounts(&name)?;
    let Seen { witness, swept, objects, garbage, .. } = seen;
    println!("{swept} collections freed {objects} objects of {garbage} bytes of garbage");
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}

/// What a collector that is to stand still all the time would find to do: it begins again a tenth of a second after each end.
const NO_REST: &str = "snapshot_interval_ms=150 retain=1 collect_every_ms=100";

/// Runs until the program has said this; the collections that were begun meanwhile, and how many had come to their end when it said so.
fn begun_until(running: &mut Running, text: &str) -> Result<(u32, u64), String> {
    let (mut begun, mut swept) = (0, None);
    running.wait_for(text, LIMIT, |line| {
        begun += u32::from(line.text.starts_with("collect begins"));
        if line.text.starts_with(text) {
            swept = line.parse().number("sweeps");
        }
        swept.is_some()
    })?;
    Ok((begun, swept.unwrap_or(0)))
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_program_has_the_collector_stand_still_go_on_and_begin() -> Outcome {
    let image = scratch_file("wishes.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wishes.rasm");
    let name = image.to_string_lossy();
    revenant(&["disk", "create", &name, "--size", "192M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = NO_REST.to_owned();
    machine.disks.push(Disk::new(&image));

    let mut running = Running::start("wishes-first", &machine)?;
    begun_until(&mut running, "wishes pauses sweeps=")?;
    // What was begun before that stands still, and nothing else is begun.
    let mut durable = 0;
    let mut begun = 0;
    running.wait_for("snapshots of a pause", LIMIT, |line| {
        durable += u32::from(line.parse().word == "durable");
        begun += u32::from(line.text.starts_with("collect begins"));
        durable == 10
    })?;
    running.cut()?;

    let mut running = Running::start("wishes-second", &machine)?;
    let (resumed, swept) = begun_until(&mut running, "wishes is resumed")?;
    let (paused, still) = begun_until(&mut running, "wishes resumes")?;
    let (_, twice) = begun_until(&mut running, "wishes pauses again")?;
    let (quiet, before) = begun_until(&mut running, "wishes starts")?;
    let (started, done) = begun_until(&mut running, "wishes done")?;
    let seen = format!(
        "begun {begun}, {resumed} and {paused} in the pause, {quiet} in the second, {started} by a wish; ended {swept}, {still}, {twice}, {before}, {done}"
    );
    // A mark of before the cut is taken up, and goes no further; after the wish another may begin.
    let stands = begun <= 1 && resumed <= 1 && paused == 0 && swept == still && quiet <= 1;
    let goes = twice >= 2 && before <= twice + 1 && started >= 1 && done > before;
    if !(stands && goes) {
        return Err(running.complaint(&seen));
    }
    running.cut()?;
    check(&image)
}
