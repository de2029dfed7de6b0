//! Going back on purpose: the word that `disk snapshots` prints rolls the machine back, once. The same boot is the outside
//! witness's proof: to someone who was not told, it is a machine that resumes one snapshot too old, and it must be caught; so
//! must threads that go on from where another run left them. And `safe=1` runs no program. And without being asked, after failures.

use revenant_hal::Epoch;
use revenant_store::{EPITAPH_BLOCK, Epitaph, Failures, StoreId, encode_epitaph};
use revenant_tests::disks::{check, disk_with, revenant};
use revenant_tests::harness::{BOOT_LIMIT, Running, TimedLine, built_machine, scratch_file};
use revenant_tests::witness::{Finding, Witness};
use revenant_tools::qemu::{Disk, EXIT_FAILURE, Firmware, Machine};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

type Outcome = Result<(), String>;

const INTERVAL: &str = "snapshot_interval_ms=150";

/// Boots, shows every line to `see` until so many snapshots are durable, and cuts.
fn run(
    name: &str,
    machine: &Machine,
    durable: u32,
    mut see: impl FnMut(&TimedLine),
) -> Result<Running, String> {
    let mut running = Running::start(&format!("rollback-{name}"), machine)?;
    let mut left = durable;
    running.wait_for("durable snapshots", BOOT_LIMIT, |line| {
        see(line);
        left -= u32::from(line.parse().word == "durable");
        left == 0
    })?;
    let (_, rest) = running.cut()?;
    rest.iter().for_each(see);
    Ok(running)
}

/// The newest snapshot, and the word for the one before it.
fn newest_and_word(image: &Path) -> Result<(u64, u64, String), String> {
    let text = revenant(&["disk", "snapshots", &image.to_string_lossy()])?;
    let entry = |line: &str| {
        let field = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key));
        let epoch: Option<u64> = field("snapshot=")?.parse().ok();
        Some((epoch?, field("rollback=").map(|word| format!("rollback={word}"))))
    };
    let lines: Vec<_> = text.lines().filter_map(entry).collect();
    match lines.as_slice() {
        [.., (before, Some(word)), (newest, None)] => Ok((*newest, *before, word.clone())),
        _ => Err(format!("no snapshot before the newest:\n{text}")),
    }
}

/// What the same word a second time has to come to: a refusal, and every byte as it was.
fn refused_again(image: &Path, machine: &Machine) -> Outcome {
    let read = || fs::read(image).map_err(|error| format!("{}: {error}", image.display()));
    let before = read()?;
    let mut running = Running::start("rollback-again", machine)?;
    let line = running.wait_for("refusal", BOOT_LIMIT, |line| line.parse().word == "refused")?;
    let says = "this rollback was applied already: the restore generation is 1; remove it";
    if !line.text.contains(says) {
        return Err(running.complaint(&format!("the refusal does not say {says:?}")));
    }
    if running.wait_exit(BOOT_LIMIT)? != Some(EXIT_FAILURE) || read()? != before {
        return Err(running.complaint("not refused, or the disk was written to"));
    }
    Ok(())
}

/// Resumes without running anything: no first step, and at every flip the counters of the snapshot resumed.
fn safe(machine: &Machine, witness: &mut Witness) -> Outcome {
    let mut counters: Vec<Option<BTreeMap<u64, u64>>> = Vec::new();
    let mut steps = 0;
    let running = run("safe", machine, 3, |line| {
        witness.line(&line.text);
        match line.parse().word {
            "flip" => counters.push(line.parse().pairs("steps")),
            "first_step" => steps += 1,
            _ => {}
        }
    })?;
    let still = counters.iter().all(|count| count.is_some() && *count == counters[0]);
    match (still, steps) {
        (true, 0) => Ok(()),
        _ => Err(running.complaint(&format!("safe, and {steps} threads ran: {counters:?}"))),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_rollback_happens_once_and_the_outside_witness_tells_it_from_a_resume() -> Outcome {
    let image = disk_with("demo", "rollback.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = INTERVAL.to_owned();
    machine.disks.push(Disk::new(&image));
    let mut nobody_told = Witness::new();
    run("first", &machine, 4, |line| nobody_told.line(&line.text))?;
    nobody_told.cut();
    let (newest, before, word) = newest_and_word(&image)?;

    machine.command_line = format!("{word} {INTERVAL}");
    let mut told = Witness::new();
    let (mut resumed, mut opened, mut audits) = (None, String::new(), 0);
    let running = run("second", &machine, 3, |line| {
        nobody_told.line(&line.text);
        told.line(&line.text);
        match line.parse().word {
            "resumed" => resumed = line.parse().number("epoch"),
            "opened" => opened.clone_from(&line.text),
            "audit" => audits += u32::from(line.text.contains(" held")),
            _ => {}
        }
    })?;
    told.cut();
    if resumed != Some(before) || !opened.contains("restore_generation=1 restored=1") {
        return Err(running.complaint(&format!("{word}: resumed {resumed:?}: {opened}")));
    }
    // Planted by the machine itself: one snapshot too old. Its threads stand exactly where that snapshot has them.
    match nobody_told.findings() {
        [Finding::LostSnapshot { resumed, durable }]
            if (*resumed, *durable) == (before, newest) && nobody_told.compared_steps() > 0 => {}
        findings => return Err(running.complaint(&format!("the witness says {findings:?}"))),
    }
    check(&image)?;
    refused_again(&image, &machine)?;

    machine.command_line = format!("safe=1 {INTERVAL}");
    safe(&machine, &mut told)?;
    told.cut();
    machine.command_line = INTERVAL.to_owned();
    let running = run("last", &machine, 3, |line| {
        told.line(&line.text);
        audits += u32::from(line.text.starts_with("audit ") && line.text.contains(" held"));
    })?;
    match told.findings() {
        [] if told.compared_steps() > 0 && audits > 0 => check(&image),
        findings => Err(running.complaint(&format!("{audits} audits; {findings:?}"))),
    }
}

/// A state that fails again and again, however far it comes each time, is given up after three failures in a row. The last words
/// are written by the test: a kernel that fails on purpose would be another kernel.
#[test]
#[ignore = "boots QEMU: make test"]
fn after_three_failures_in_a_row_the_machine_goes_back_to_before_the_first() -> Outcome {
    let image = disk_with("demo", "failures.img", "256M", &[])?;
    // Its own policy, so that what the test goes back to is still there; the command line says nothing.
    revenant(&["disk", "retention", &image.to_string_lossy(), "--last", "64"])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = INTERVAL.to_owned();
    machine.disks.push(Disk::new(&image));
    run("healthy", &machine, 6, |_| {})?;
    let (newest, first, _) = newest_and_word(&image)?;
    for (count, patience) in [(2, ""), (3, "patience=4"), (3, "")] {
        fail(&image, count, first)?;
        machine.command_line = format!("{patience} {INTERVAL}");
        let (mut resumed, mut back, mut kept) = (0, None, None);
        let running = run(&format!("failed-{count}{patience}"), &machine, 3, |line| {
            let parsed = line.parse();
            match parsed.word {
                "resumed" => resumed = parsed.number("epoch").unwrap_or(0),
                "step_back" => back = parsed.number("first"),
                "retention" => kept = parsed.number("last"),
                _ => {}
            }
        })?;
        let given_up = count == 3 && patience.is_empty();
        let as_expected = if given_up {
            resumed < first && back == Some(first)
        } else {
            resumed >= newest && back.is_none()
        };
        if !as_expected || kept != Some(64) {
            return Err(running.complaint(&format!(
                "{count} failures since {first}: resumed {resumed}, {back:?}; kept {kept:?}"
            )));
        }
        check(&image)?;
    }
    Ok(())
}

/// Leaves the words of a kernel that failed, which had resumed the newest snapshot but one.
fn fail(image: &Path, count: u32, first: u64) -> Outcome {
    let info = revenant(&["disk", "info", &image.to_string_lossy()])?;
    let id = info.split_whitespace().find_map(|word| word.strip_prefix("id="));
    let id = id.and_then(|id| u128::from_str_radix(id, 16).ok()).ok_or("the store has no id")?;
    let (newest, before, _) = newest_and_word(image)?;
    let epitaph = Epitaph {
        store: StoreId(id),
        resumed: Epoch(before),
        epoch: Epoch(newest + 1),
        failures: Failures { count, first: Epoch(first) },
        text: "written by a test".to_owned(),
    };
    let page = encode_epitaph(&epitaph);
    let file = fs::File::options().write(true).open(image).map_err(|error| error.to_string())?;
    let place = EPITAPH_BLOCK.get() * page.0.len() as u64;
    file.write_all_at(&page.0, place).map_err(|error| error.to_string())
}

/// Planted by machines themselves: threads that do not go on where their snapshot had them. Two runs of one disk take
/// snapshots with the same epochs; the second run's stands in for the first one's.
#[test]
#[ignore = "boots QEMU: make test"]
fn threads_that_go_on_from_another_runs_snapshot_are_caught() -> Outcome {
    let image = disk_with("demo", "another-run.img", "256M", &[])?;
    let fresh = scratch_file("another-run-fresh.img")?;
    fs::copy(&image, &fresh).map_err(|error| error.to_string())?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = INTERVAL.to_owned();
    machine.disks.push(Disk::new(&image));
    let mut witness = Witness::new();
    let mut durable = Vec::new();
    run("one", &machine, 4, |line| {
        // What came out after the fourth is not part of this history.
        if durable.len() < 4 {
            witness.line(&line.text);
        }
        if line.parse().word == "durable" {
            durable.extend(line.parse().number("epoch"));
        }
    })?;
    witness.cut();
    let durable = *durable.get(3).ok_or("no epochs")?;

    machine.disks = vec![Disk::new(&fresh)];
    machine.command_line = "snapshot_interval_ms=40".to_owned();
    run("other", &machine, 6, |_| ())?;
    let (newest, ..) = newest_and_word(&fresh)?;
    machine.command_line = INTERVAL.to_owned();
    if newest != durable {
        machine.command_line = format!("rollback={durable}@0 {INTERVAL}");
    }
    let running = run("swapped", &machine, 2, |line| witness.line(&line.text))?;
    let restarted = |finding: &Finding| matches!(finding, Finding::WrongFirstStep { expected, found, .. } if found < expected);
    if witness.findings().iter().any(restarted) {
        return Ok(());
    }
    Err(running.complaint(&format!("not caught: {:?}", witness.findings())))
}
