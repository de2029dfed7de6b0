//! Pages that rot on the disk while the machine has them in memory (B22, B24, B25). Nobody would know before the next start, which is too late:
//! the collector reads them in its snapshot, frees nothing on the word of that mark, has them written anew, and marks again.
//!
//! The program is cycles.rasm beside this file, which looks at every live object in each round.

use core::time::Duration;
use revenant_tests::disks::{check, revenant};
use revenant_tests::harness::{Running, built_machine, scratch_file};
use revenant_tests::pages::{Page, destroy, pages};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, Firmware};
use std::collections::BTreeSet;

type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(90);
/// Pages that are destroyed.
const DESTROYED: usize = 3;
/// No collection begins earlier after a start: until then the program has looked at all that it has.
const QUIET: &str = "collect_every_ms=4000";

/// What the boots have seen together.
#[derive(Default)]
struct Seen {
    witness: Witness,
    /// Pages written anew for the collector.
    rewritten: BTreeSet<u64>,
}

/// Runs until so many lines say this; an error if one complains.
fn wait(running: &mut Running, seen: &mut Seen, text: &str, mut count: u32) -> Outcome {
    let mut wrong = Vec::new();
    running.wait_for(text, LIMIT, |line| {
        seen.witness.line(&line.text);
        let parsed = line.parse();
        let word = parsed.word;
        if line.text.starts_with("collect rewrites") {
            seen.rewritten.extend(parsed.number("page"));
        }
        if ["audit", "page_failed", "impossible", "main_ended"].contains(&word)
            || line.text.starts_with("collect failed")
        {
            wrong.push(line.text.clone());
        }
        count -= u32::from(line.text.contains(text));
        count == 0
    })?;
    if wrong.is_empty() { Ok(()) } else { Err(running.complaint(&wrong.join("\n"))) }
}

/// Pages of nodes that are alive from the beginning and that no round has come to yet: of the first in the heap some from the middle.
fn old_nodes(all: &[Page]) -> Vec<Page> {
    let nodes = all.iter().filter(|page| page.holds == "small objects of size class 1");
    nodes.skip(4).step_by(3).take(DESTROYED).cloned().collect()
}

#[test]
#[ignore = "boots QEMU: make test"]
fn what_rots_on_the_disk_is_written_anew_from_memory_and_the_collection_goes_on() -> Outcome {
    let image = scratch_file("unreadable.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cycles.rasm");
    let name = image.to_string_lossy();
    revenant(&["disk", "create", &name, "--size", "256M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = format!("snapshot_interval_ms=200 retain=1 {QUIET}");
    machine.disks.push(Disk::new(&image));
    let mut seen = Seen::default();

    let mut running = Running::start("unreadable-first", &machine)?;
    wait(&mut running, &mut seen, "cycles bytes=", 2)?;
    wait(&mut running, &mut seen, "durable ", 2)?;
    running.cut()?;
    seen.witness.cut();
    let rotten = old_nodes(&pages(&image)?);
    if rotten.len() < DESTROYED {
        return Err(format!("the nodes stand on {} pages only", rotten.len()));
    }

    let mut running = Running::start("unreadable-second", &machine)?;
    wait(&mut running, &mut seen, "cycles bytes=", 3)?;
    for page in &rotten {
        destroy(&image, page)?;
    }
    // Each costs a mark that is given up.
    wait(&mut running, &mut seen, "collect swept", 1)?;
    wait(&mut running, &mut seen, "durable ", 2)?;
    running.cut()?;
    seen.witness.cut();
    let wanted: BTreeSet<u64> = rotten.iter().map(|page| page.number).collect();
    if seen.rewritten != wanted {
        return Err(running.complaint(&format!("{:?} for {wanted:?}", seen.rewritten)));
    }
    for page in pages(&image)? {
        let old = rotten.iter().find(|rotten| rotten.number == page.number);
        if old.is_some_and(|old| old.blocks == page.blocks) {
            return Err(format!("page {} stands where it stood", page.number));
        }
    }

    // What was in memory only is all there.
    let mut running = Running::start("unreadable-third", &machine)?;
    wait(&mut running, &mut seen, "cycles bytes=", 3)?;
    wait(&mut running, &mut seen, "collect swept", 1)?;
    wait(&mut running, &mut seen, "durable ", 12)?;
    running.cut()?;
    check(&image)?;
    let witness = seen.witness;
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}
