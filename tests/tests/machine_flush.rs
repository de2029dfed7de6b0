//! Flushes that fail. What was written before one may be anywhere or nowhere, so it is never simply repeated: the snapshot is
//! given up, its pages are written again elsewhere with the next; and when none succeeds any more the machine says so, writes
//! nothing more, and the disk is that of the last snapshot reported durable.

use core::fmt::Write as _;
use core::time::Duration;
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine};
use revenant_tests::witness::Witness;
use revenant_tools::qemu::{Disk, DiskFilter, Firmware};

type Outcome = Result<(), String>;

/// The flush that fails first: one belongs to the opening, then each snapshot makes two. This one stands before the fourth
/// snapshot's superblock.
const FIRST_TO_FAIL: u32 = 8;
const LIMIT: Duration = Duration::from_secs(60);

/// Rules for QEMU's `blkdebug`: a state that counts flushes, and a failure in the last.
fn failing_flushes(once: bool) -> DiskFilter {
    let mut rules = String::new();
    for flush in 1..FIRST_TO_FAIL {
        let place = flush - 1;
        write!(
            rules,
            "set-state.{place}.event=flush_to_disk,set-state.{place}.state={flush},set-state.{place}.new_state={},",
            flush + 1
        )
        .expect("a text grows");
    }
    let once = if once { "on" } else { "off" };
    write!(
        rules,
        "inject-error.0.event=flush_to_disk,inject-error.0.state={FIRST_TO_FAIL},inject-error.0.iotype=flush,inject-error.0.once={once}"
    )
    .expect("a text grows");
    DiskFilter::Fault(rules)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_snapshot_whose_flush_failed_is_given_up_and_the_next_one_has_everything() -> Outcome {
    let image = disk_with("demo", "flush-once.img", "256M", &["3000"])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "exit_on_main=1 snapshot_interval_ms=200".to_owned();
    machine.disks.push(Disk { filter: failing_flushes(true), ..Disk::new(&image) });
    let mut running = Running::start("flush-once", &machine)?;
    let abandoned = running
        .wait_for("the snapshot is given up", LIMIT, |line| line.parse().word == "abandoned")?;
    let next =
        running.wait_for("a later snapshot", LIMIT, |line| line.parse().word == "durable")?;
    let (given_up, kept) = (abandoned.parse().number("epoch"), next.parse().number("epoch"));
    if given_up.is_none() || kept <= given_up {
        return Err(running.complaint(&format!("{} came after {}", next.text, abandoned.text)));
    }
    running.wait_for_text("demo: ended, audits failed: 0", LIMIT)?;
    running.wait_success(BOOT_LIMIT)?;
    check(&image)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_disk_that_flushes_no_more_is_left_as_the_last_snapshot_made_it() -> Outcome {
    let image = disk_with("demo", "flush-never.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=200".to_owned();
    machine.disks.push(Disk { filter: failing_flushes(false), ..Disk::new(&image) });
    let mut witness = Witness::new();
    let mut running = Running::start("flush-never-1", &machine)?;
    running.wait_for("the machine gives the disk up", LIMIT, |line| {
        witness.line(&line.text);
        line.parse().word == "read_only"
    })?;
    // Programs go on, without snapshots.
    running.wait_for_text("audit", LIMIT)?;
    let (_, rest) = running.cut()?;
    rest.iter().for_each(|line| witness.line(&line.text));
    witness.cut();
    check(&image)?;
    machine.disks = vec![Disk::new(&image)];
    let mut running = Running::start("flush-never-2", &machine)?;
    running.wait_for("every thread goes on", BOOT_LIMIT, |line| {
        witness.line(&line.text);
        line.parse().word == "durable" && witness.threads_not_seen() == Some(0)
    })?;
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}

/// Who asks for a snapshot on such a disk is told that there is none; it once waited for ever.
#[test]
#[ignore = "boots QEMU: make test"]
fn a_program_that_commits_on_a_disk_that_takes_no_more_is_told() -> Outcome {
    let image = disk_with("notes", "flush-notes.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=200".to_owned();
    machine.disks.push(Disk { filter: failing_flushes(false), ..Disk::new(&image) });
    let mut running = Running::start("flush-notes", &machine)?;
    running.wait_for_text("notes: write", LIMIT)?;
    running.wait_for("the machine gives the disk up", LIMIT, |line| {
        line.parse().word == "read_only"
    })?;
    running.type_text("lost\n")?;
    running.wait_for_text("noted, but the disk does not keep it", LIMIT)?;
    running.type_text("list\n")?;
    running.wait_for_text("1  lost", LIMIT)?;
    running.cut()?;
    check(&image)
}
