//! Memory that was taken, used and let go of between two snapshots is not written, and takes no place on the disk: 2 GiB of it in a
//! machine of 96 MiB with a disk of 256 MiB (samples/bench/discard.rasm).

use core::time::Duration;
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{Running, TimedLine, built_machine};
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(240);
/// Blocks that a snapshot of a machine may write of which nothing but a few objects is left.
const MOST_BLOCKS: u64 = 400;
/// Snapshots: the first after the start, one after a pass without use, one with, and one more of each.
const SNAPSHOTS: usize = 5;

#[test]
#[ignore = "boots QEMU: make test"]
fn memory_let_go_of_before_a_snapshot_is_not_written() -> Outcome {
    let image = disk_with("bench/discard", "discard.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "96M".to_owned();
    machine.command_line = "snapshot_interval_ms=3600000 retain=1".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start("discard", &machine)?;
    let mut blocks = Vec::new();
    let mut refusals = Vec::new();
    running.wait_for("snapshots of every pass", LIMIT, |line: &TimedLine| {
        let parsed = line.parse();
        match parsed.word {
            "durable" => blocks.extend(parsed.number("blocks")),
            "abandoned" | "read_only" | "refused" | "disk_space" => {
                refusals.push(line.text.clone())
            }
            _ => {}
        }
        blocks.len() >= SNAPSHOTS || !refusals.is_empty()
    })?;
    println!("blocks written by {SNAPSHOTS} snapshots: {blocks:?}");
    if !refusals.is_empty() || blocks.iter().skip(1).any(|count| *count > MOST_BLOCKS) {
        return Err(running.complaint(&format!("{blocks:?} blocks written; {refusals:?}")));
    }
    running.cut()?;
    check(&image)
}
