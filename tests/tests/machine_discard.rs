//! Memory that was taken, used and let go of between two snapshots is not written, and takes no place on the disk: 2 GiB of it in a
//! machine of 96 MiB with a disk of 256 MiB (samples/bench/discard.rasm); and 4 MiB of small objects of which two in each
//! block stay (samples/bench/sparse.rasm).

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

/// Blocks that a snapshot of a machine may write of which one small object in 1,000 is left, of 125,000: each stays with its page
/// and that of its block's metadata, and there is a table of them all. When pages of blocks in use were not discarded, it
/// wrote 1,540, and 700 since then.
const MOST_SPARSE: u64 = 900;

#[test]
#[ignore = "boots QEMU: make test"]
fn memory_let_go_of_before_a_snapshot_is_not_written() -> Outcome {
    few_blocks_are_written("discard", MOST_BLOCKS)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn pages_of_small_objects_let_go_of_are_not_written() -> Outcome {
    few_blocks_are_written("sparse", MOST_SPARSE)
}

/// Runs a program of samples/bench for some snapshots, of which all but the first may write so many blocks.
fn few_blocks_are_written(program: &str, most: u64) -> Outcome {
    let image = disk_with(&format!("bench/{program}"), &format!("{program}.img"), "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "96M".to_owned();
    machine.command_line = "snapshot_interval_ms=3600000 retain=1".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start(program, &machine)?;
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
    if !refusals.is_empty() || blocks.iter().skip(1).any(|count| *count > most) {
        return Err(running.complaint(&format!("{blocks:?} blocks written; {refusals:?}")));
    }
    running.cut()?;
    check(&image)
}
