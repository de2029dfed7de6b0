//! Real programs through power cuts: the demonstration program (samples/demo.rasm, and demo.ts in the language), judged by the outside
//! witness.
//!
//! The disk is made on the host by the same code as `revenant disk create`. Fifty cuts, some of them before the machine has
//! made any progress, some in the middle of a snapshot; then the disk itself is checked block by block.

use core::time::Duration;
use revenant_tests::cuts::{self, Moment, Plan};
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine};
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

/// Cuts, unless the environment's REVENANT_CUTS says otherwise.
const CUTS: u32 = 50;

#[test]
#[ignore = "boots QEMU: make test"]
fn every_thread_goes_on_after_fifty_cuts() -> Outcome {
    let image = disk_with("demo", "programs.img", "512M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=150".to_owned();
    machine.disks.push(Disk::new(&image));
    let plan = Plan {
        name: "programs".to_owned(),
        cuts: std::env::var("REVENANT_CUTS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(CUTS),
        in_snapshot_every: 3,
        early_every: 4,
        run_most: Duration::from_millis(800),
        seed: 0x5eed,
        tell: true,
    };
    let report = cuts::run(&plan, &machine)?;
    println!("{}", report.table());
    let complaints = report.complaints();
    if !complaints.is_empty() {
        return Err(format!("seed {:#x}:\n{}", plan.seed, complaints.join("\n")));
    }
    let writing = |cut: &&cuts::Cut| matches!(cut.moment, Moment::Writing { .. });
    let in_snapshot = report.cuts.iter().filter(writing).count();
    if in_snapshot == 0 {
        return Err("no cut fell into the writing of a snapshot".to_owned());
    }
    check(&image)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn the_demonstration_in_the_language_goes_on_after_cuts_too() -> Outcome {
    let image = disk_with("demo.ts", "programs-language.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=150".to_owned();
    machine.disks.push(Disk::new(&image));
    let plan = Plan {
        name: "programs-language".to_owned(),
        cuts: 8,
        in_snapshot_every: 3,
        early_every: 4,
        run_most: Duration::from_millis(1500),
        seed: 0x75,
        tell: true,
    };
    let report = cuts::run(&plan, &machine)?;
    println!("{}", report.table());
    match report.complaints() {
        complaints if complaints.is_empty() => check(&image),
        complaints => Err(format!("seed {:#x}:\n{}", plan.seed, complaints.join("\n"))),
    }
}

/// The smallest memory that the machine is tried with: 12 MiB of it are left for pages.
#[test]
#[ignore = "boots QEMU: make test"]
fn thirty_two_mebibytes_of_memory_are_enough_for_cuts_too() -> Outcome {
    let image = disk_with("demo", "programs-small.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "32M".to_owned();
    machine.command_line = "snapshot_interval_ms=150".to_owned();
    machine.disks.push(Disk::new(&image));
    let plan = Plan {
        name: "programs-small".to_owned(),
        cuts: 4,
        in_snapshot_every: 2,
        early_every: 4,
        run_most: Duration::from_millis(800),
        seed: 0x32,
        tell: false,
    };
    let report = cuts::run(&plan, &machine)?;
    match report.complaints() {
        complaints if complaints.is_empty() => check(&image),
        complaints => Err(format!("seed {:#x}:\n{}", plan.seed, complaints.join("\n"))),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_program_that_ends_ends_the_machine_with_its_status() -> Outcome {
    let image = disk_with("demo", "ends.img", "512M", &["2000"])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "exit_on_main=1 snapshot_interval_ms=200".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start("programs-ends", &machine)?;
    running.wait_for_text("demo: ended, audits failed: 0", BOOT_LIMIT)?;
    running.wait_success(BOOT_LIMIT)?;
    check(&image)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn programs_go_on_on_another_board_and_by_uefi() -> Outcome {
    let image = disk_with("demo", "programs-move.img", "512M", &[])?;
    let mut first = built_machine(Firmware::Bios)?;
    first.command_line = "snapshot_interval_ms=150".to_owned();
    first.disks.push(Disk::new(&image));
    let mut other = built_machine(Firmware::Uefi)?;
    other.command_line.clone_from(&first.command_line);
    other.memory = "384M".to_owned();
    other.processor = Some("Penryn".to_owned());
    other.disks.push(Disk { slot: Some(0x12), ..Disk::new(&image) });
    let mut witness = revenant_tests::witness::Witness::new();
    for (name, machine) in
        [("moves-programs-1", &first), ("moves-programs-2", &other), ("moves-programs-3", &first)]
    {
        let mut running = Running::start(name, machine)?;
        for _ in 0..3 {
            running.wait_for("durable snapshot", BOOT_LIMIT, |line| {
                witness.line(&line.text);
                line.parse().word == "durable"
            })?;
        }
        let (_, rest) = running.cut()?;
        rest.iter().for_each(|line| witness.line(&line.text));
        witness.cut();
    }
    match witness.findings() {
        [] if witness.compared_steps() > 0 => Ok(()),
        findings => Err(format!("{} steps compared; {findings:?}", witness.compared_steps())),
    }
}

/// Reads the report that Ctrl-T asks for: every group is there, and what it says of memory and disk adds up.
fn expect_report(running: &mut Running) -> Outcome {
    let mut figures = std::collections::BTreeMap::new();
    let mut groups = 0;
    let last = running.wait_for("report", BOOT_LIMIT, |line| {
        if let Some(metric) = line.parse().metric() {
            figures.insert(metric.name.to_owned(), metric.value);
        }
        groups += u32::from(line.text.contains("report group="));
        line.text.contains("report epochs running=")
    })?;
    let of = |name: &str| figures.get(&format!("report.{name}")).copied().unwrap_or(-1.0);
    let sum = |names: &[&str]| names.iter().map(|name| of(&format!("frames.{name}"))).sum::<f64>();
    let frames = sum(&["free", "tables", "filling", "clean", "dirty", "frozen", "writing"]);
    let frames = frames + sum(&["written"]);
    let (copies, total) = (of("frames.old_copies"), of("frames.total"));
    let faults = of("faults.zero_fill") > 0.0 && of("faults.impossible") == 0.0;
    let space = of("space.available") > 0.0 && of("space.free") < of("space.total");
    let others = of("reserves.copies") > 0.0 && of("pages.read") > 0.0 && groups > 0;
    let snapshots = of("snapshots.kept") >= 1.0 && last.parse().number("durable").is_some();
    // Frozen old copies may be counted with either.
    let whole = total > 0.0 && frames <= total && frames + copies >= total;
    if whole && faults && space && others && snapshots {
        Ok(())
    } else {
        Err(running.complaint(&format!("{groups} groups and {figures:?}")))
    }
}

/// A person at the console: what was noted before the plug was pulled is there, nothing has to be started or loaded, and the
/// rest of a line typed after the cut is read by the loop that was waiting before it.
#[test]
#[ignore = "boots QEMU: make test"]
fn what_a_person_noted_is_there_after_the_plug_was_pulled() -> Outcome {
    let image = disk_with("notes", "notes.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "exit_on_main=1 snapshot_interval_ms=60000".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start("notes-1", &machine)?;
    running.wait_for_text("pull the plug whenever you like", BOOT_LIMIT)?;
    for note in ["bread and milk", "日本語 drop 1"] {
        // A Ctrl-T between its letters is the kernel's.
        running.type_text(&note.replacen(' ', " \u{14}", 1))?;
        expect_report(&mut running)?;
        running.wait_for_text("report quota=1 used=", BOOT_LIMIT)?;
        running.type_text("\n")?;
        running.wait_for_text("noted in snapshot", BOOT_LIMIT)?;
    }
    running.cut()?;
    let mut running = Running::start("notes-2", &machine)?;
    running.wait_for_text("-- restarted --", BOOT_LIMIT)?;
    running.type_text("list\ndrop 7\ndrop 1\nlist\nquit\n")?;
    for line in ["1  bread and milk", "2  日本語 drop 1", "drop needs the number", "dropped"] {
        running.wait_for_text(line, BOOT_LIMIT)?;
    }
    running.wait_for_text("1  日本語 drop 1", BOOT_LIMIT)?;
    running.wait_success(BOOT_LIMIT)?;
    check(&image)
}

/// Nobody reads what is typed: the persistent queue, the kernel's and the port's fill up, 4 KiB each, and what comes then is
/// dropped. The log says how much; it said nothing.
#[test]
#[ignore = "boots QEMU: make test"]
fn what_is_typed_and_read_by_nobody_is_said_to_be_lost() -> Outcome {
    // What the driver, the kernel and the persistent queue hold. What comes while the kernel does something else may find the
    // driver's part full before the others are.
    const LOST: u64 = 20_000 - 3 * 4096;
    const EARLY: u64 = 2 * 4096;
    let image = disk_with("hello", "unread.img", "64M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start("programs-unread", &machine)?;
    running.wait_for_text("Hello, I shall be back.", BOOT_LIMIT)?;
    running.type_text(&"x".repeat(20_000))?;
    let mut lost = 0;
    let all = |line: &revenant_tests::harness::TimedLine| {
        if line.parse().word == "console_lost" {
            lost += line.parse().number("bytes").unwrap_or(0);
        }
        lost >= LOST
    };
    running.wait_for("word of all that was lost", Duration::from_secs(30), all)?;
    let fits = (LOST..=LOST + EARLY).contains(&lost);
    if fits { Ok(()) } else { Err(running.complaint(&format!("{lost} lost"))) }
}
