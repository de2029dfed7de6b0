//! A program in the language with threads, locks, a condition, permits, a channel and its directory (language.ts beside this file) in the
//! machine, its power cut again and again. The program audits itself; seen from outside, no commit is lost, rounds go on where a
//! snapshot has them, random numbers drawn again are others, and `onRestart` is called once for each start.

use core::time::Duration;
use std::collections::BTreeMap;

use revenant_tests::disks::{check, revenant};
use revenant_tests::harness::{Running, TimedLine, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

/// Boots, each ended by a cut.
const BOOTS: u64 = 6;
/// Rounds of a boot before its cut: the cut comes at another place between two commits each time.
const ROUNDS: u64 = 21;
const LIMIT: Duration = Duration::from_secs(60);

/// What the program said.
#[derive(Default)]
struct Seen {
    /// Random numbers by round, as they were said last.
    rounds: BTreeMap<u64, u64>,
    /// The round that was said last, in this boot.
    last: Option<u64>,
    /// The last of all boots.
    latest: u64,
    committed: u64,
    again: u64,
    back: u64,
    work: u64,
    failures: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &TimedLine, boot: u64) {
        let parsed = line.parse();
        match parsed.word {
            "round" => {
                let number = |key| parsed.number(key).unwrap_or(0);
                self.round(number("number"), number("random"));
                self.work = number("work");
            }
            "committed" => {
                self.committed = self.committed.max(parsed.number("round").unwrap_or(0));
            }
            "back" => {
                self.back += 1;
                // The first start of a disk is one, too, but the program was not there to see it.
                let wanted = [Some(boot + 1), Some(boot)];
                if [parsed.number("restarts"), parsed.number("times")] != wanted {
                    self.failures.push(line.text.clone());
                }
            }
            "thread" | "main_ended" | "unreadable" | "abandoned" | "out_of_memory" => {
                self.failures.push(line.text.clone());
            }
            _ => {}
        }
    }

    /// Within a boot rounds follow each other. What a cut left unsaid may be missing between two boots, but not what was committed.
    fn round(&mut self, number: u64, random: u64) {
        let right = match self.last {
            Some(last) => number == last + 1,
            None => number >= self.committed.max(1) && number <= self.latest + 1,
        };
        if !right {
            let Self { last, committed, latest, .. } = self;
            let what =
                format!("round {number} after {last:?}, {committed} committed, {latest} said");
            self.failures.push(what);
        }
        if let Some(before) = self.rounds.insert(number, random)
            && self.last.is_some()
        {
            self.again += 1;
            if before == random {
                self.failures.push(format!("round {number} drew {random} again"));
            }
        }
        self.last = Some(number);
        self.latest = self.latest.max(number);
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn threads_locks_channels_and_the_directory_of_the_language_go_on_over_cuts() -> Outcome {
    let image = scratch_file("language.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/language.ts");
    let disk = image.to_string_lossy();
    revenant(&["disk", "create", &disk, "--size", "192M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=100".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut seen = Seen::default();
    for boot in 0..BOOTS {
        let mut running = Running::start(&format!("language-{boot}"), &machine)?;
        let goal = seen.latest + ROUNDS;
        running.wait_for("rounds", LIMIT, |line| {
            seen.line(line, boot);
            !seen.failures.is_empty() || seen.latest >= goal
        })?;
        if boot + 1 == BOOTS {
            running.type_text("still here\n")?;
            running.wait_for_text("heard text=still here", LIMIT)?;
        }
        let (_, rest) = running.cut()?;
        rest.iter().for_each(|line| seen.line(line, boot));
        seen.last = None;
        if !seen.failures.is_empty() {
            return Err(running.complaint(&seen.failures.join("\n")));
        }
        check(&image)?;
    }
    let Seen { latest, committed, again, back, work, .. } = seen;
    println!(
        "{latest} rounds, {committed} committed, {again} said again, {back} returns, {work} pieces of work"
    );
    if again > 0 && committed > 0 && back == BOOTS - 1 && work > 0 {
        Ok(())
    } else {
        Err(format!("{again} rounds again, {committed} committed, {back} returns, {work} work"))
    }
}
