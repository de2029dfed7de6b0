//! Programs that read the past in the machine: past.rasm beside this file copies what its list was out of snapshots, round after round,
//! beside the exact collector, and the power is cut in the middle, again and again. No list is ever wrong, and the disk stays sound.

use core::time::Duration;
use revenant_tests::disks::{check, revenant};
use revenant_tests::harness::{Running, TimedLine, built_machine, scratch_file};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

/// Boots, each ended by a cut but for the moment after so many rounds.
const BOOTS: u64 = 8;
const ROUNDS: u64 = 12;
/// For the rounds of one boot.
const LIMIT: Duration = Duration::from_secs(120);

/// What the boots have seen together.
#[derive(Default)]
struct Seen {
    witness: Witness,
    round: u64,
    swept: u32,
    failures: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &TimedLine) {
        self.witness.line(&line.text);
        let parsed = line.parse();
        match parsed.word {
            "past" => self.round = parsed.number("round").unwrap_or(0),
            "collect" if line.text.starts_with("collect swept") => self.swept += 1,
            "audit" | "main_ended" | "unreadable" | "abandoned" | "out_of_memory" => {
                self.failures.push(line.text.clone());
            }
            _ => {}
        }
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn what_was_is_brought_back_across_cuts_and_beside_the_collector() -> Outcome {
    let image = scratch_file("past.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/past.rasm");
    let name = image.to_string_lossy();
    revenant(&["disk", "create", &name, "--size", "192M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=100 collect_every_ms=300".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut seen = Seen::default();
    for boot in 0..BOOTS {
        let mut running = Running::start(&format!("past-{boot}"), &machine)?;
        let goal = seen.round + ROUNDS + boot;
        running.wait_for("rounds", LIMIT, |line| {
            seen.line(line);
            !seen.failures.is_empty() || seen.round >= goal
        })?;
        let (_, rest) = running.cut()?;
        rest.iter().for_each(|line| seen.line(line));
        seen.witness.cut();
        if !seen.failures.is_empty() {
            return Err(running.complaint(&seen.failures.join("\n")));
        }
        check(&image)?;
    }
    let Seen { witness, round, swept, .. } = seen;
    println!("{round} rounds, {swept} sweeps");
    match witness.findings() {
        [] if witness.compared_steps() > 0 && swept > 0 => Ok(()),
        found => Err(format!("{} steps, {swept} sweeps; {found:?}", witness.compared_steps())),
    }
}
