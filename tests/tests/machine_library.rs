//! A heap several times larger than RAM (samples/library.rasm: 128 MiB on a machine of 64 MiB): the program writes all of it, reads
//! it in cycles and audits what it reads; so it goes on after a cut. Nobody is ever told that there is no frame.

use core::time::Duration;
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{Running, TimedLine, built_machine};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

/// The heap.
const MEBIBYTES: &str = "128";
/// For the heap to be made, or to be read once.
const LIMIT: Duration = Duration::from_secs(120);

/// Pages of one snapshot that were written before its flip because they looked settled: the first that are tried for are 256.
const SETTLED: u64 = 128;

#[test]
#[ignore = "boots QEMU: make test"]
fn what_was_written_early_because_it_looked_settled_is_there_after_a_cut() -> Outcome {
    let image = disk_with("library", "settled.img", "1G", &[MEBIBYTES])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=3000 settling=1".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut witness = Witness::new();
    // Cut when a snapshot is durable that has many such pages.
    let mut running = Running::start("settled-first", &machine)?;
    let (mut kept, mut durable) = (0, false);
    let mut see = |line: &TimedLine| {
        witness.line(&line.text);
        let parsed = line.parse();
        match parsed.word {
            "cleaned" if kept < SETTLED => kept = parsed.number("kept").unwrap_or(0),
            "durable" => durable |= kept >= SETTLED,
            _ => {}
        }
        durable
    };
    running.wait_for("a durable snapshot with settled pages", LIMIT, &mut see)?;
    let (_, rest) = running.cut()?;
    for line in &rest {
        see(line);
    }
    witness.cut();
    check(&image)?;
    // All of the heap is read.
    let mut running = Running::start("settled-second", &machine)?;
    let mut audit = None;
    let mut see = |line: &TimedLine| {
        witness.line(&line.text);
        if line.parse().word == "audit" {
            audit = Some(line.text.clone());
        }
        audit.is_some()
    };
    running.wait_for("a cycle over the heap", LIMIT, &mut see)?;
    running.cut()?;
    match (audit, witness.findings()) {
        (Some(text), []) if text.starts_with("audit library held ") => Ok(()),
        (audit, findings) => Err(format!("{audit:?}; {findings:?}")),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_heap_larger_than_memory_is_read_in_cycles_across_a_cut() -> Outcome {
    let image = disk_with("library", "library.img", "1G", &[MEBIBYTES])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=500".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut witness = Witness::new();
    for name in ["library-first", "library-second"] {
        let mut running = Running::start(name, &machine)?;
        // The first is cut while it reads, a few snapshots after the heap was made; the second reads all that was written before.
        let (mut filled, mut durable_after, mut audits) = (false, 0, 0);
        let mut failures = Vec::new();
        let mut see = |line: &TimedLine| {
            witness.line(&line.text);
            match line.parse().word {
                "library:" => filled = true,
                "durable" => durable_after += u32::from(filled),
                "audit" if line.text.starts_with("audit library held ") => audits += 1,
                "audit" | "out_of_memory" | "abandoned" | "read_only" | "unreadable" => {
                    failures.push(line.text.clone());
                }
                _ => {}
            }
            audits >= 1 || durable_after >= 4 || !failures.is_empty()
        };
        running.wait_for("the heap, or a cycle over it", LIMIT, &mut see)?;
        let (_, rest) = running.cut()?;
        for line in &rest {
            see(line);
        }
        witness.cut();
        if !failures.is_empty() {
            return Err(running.complaint(&failures.join("\n")));
        }
        check(&image)?;
    }
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}
