//! A full disk (samples/glutton.rasm on 96 MiB): allocation throws, stores wait, the rest go on, snapshots go on becoming durable,
//! and a cut at the fullest moment loses nothing.
//!
//! The disk holds the overwritten 16 MiB three times (the live state and the two newest snapshots) and the 16 MiB that only
//! stores may have. On 64 MiB nothing would be left for allocation as long as the other thread overwrites.

use core::time::Duration;
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{BOOT_LIMIT, Running, TimedLine, built_machine};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(120);
/// Ctrl-T.
const REPORT_KEY: &str = "\u{14}";

/// What a boot has shown.
#[derive(Default)]
struct Seen {
    /// Allocation was refused and the program got over it so often.
    rounds: u32,
    /// Stores had to wait since the last round.
    waited: bool,
    /// Snapshots that became durable after stores had waited.
    durable_after: u32,
    failures: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &TimedLine) {
        let text = line.text.as_str();
        match line.parse().word {
            "disk_space" => self.waited |= line.parse().field("state") == Some("Full"),
            "durable" => self.durable_after += u32::from(self.waited),
            "abandoned" | "read_only" | "refused" => self.failures.push(text.to_owned()),
            "audit" if text.contains(" failed ") => self.failures.push(text.to_owned()),
            "audit" if text.starts_with("audit glutton") => self.rounds += 1,
            _ => {}
        }
    }

    fn is_enough(&self) -> bool {
        self.rounds >= 2 && self.durable_after >= 2 || !self.failures.is_empty()
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_full_disk_refuses_waits_goes_on_and_loses_nothing() -> Outcome {
    let image = disk_with("glutton", "full.img", "96M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=300".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut witness = Witness::new();
    for name in ["full-first", "full-second"] {
        let mut running = Running::start(name, &machine)?;
        let mut seen = Seen::default();
        let mut see = |line: &TimedLine| {
            witness.line(&line.text);
            seen.line(line);
            seen.is_enough()
        };
        running.wait_for("refusals, waits and snapshots of a full disk", LIMIT, &mut see)?;
        // What is let go of has room of its own: the kernel knows when it is freeing.
        running.type_text(REPORT_KEY)?;
        let report = running.wait_for("a report of pages", BOOT_LIMIT, |line| {
            see(line);
            line.text.starts_with("report pages ")
        })?;
        if report.parse().number("dirtied_freeing").is_none_or(|pages| pages == 0) {
            return Err(running.complaint(&report.text));
        }
        let (_, rest) = running.cut()?;
        for line in &rest {
            see(line);
        }
        witness.cut();
        if !seen.failures.is_empty() {
            return Err(running.complaint(&seen.failures.join("\n")));
        }
        check(&image)?;
    }
    let mut running = Running::start("full-third", &machine)?;
    let mut see = |line: &TimedLine| {
        witness.line(&line.text);
        line.parse().word == "durable" && witness.threads_not_seen() == Some(0)
    };
    running.wait_for("first step of both threads, and a durable snapshot", BOOT_LIMIT, &mut see)?;
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}
