//! A page that the disk delivers no more, and that nothing else has (MECHANISMS B22, B23, B27): the program gets an exception that names it and goes on,
//! the collector goes on and frees what cannot hang from it, and what does is found in lost+found. When the device works again, everything is there.
//!
//! The program is holder.ts beside this file; the device fails at every read of the page (QEMU's blkdebug).

use core::time::Duration;
use revenant_tests::disks::{check, revenant};
use revenant_tests::harness::{Running, built_machine, scratch_file};
use revenant_tests::pages::{pages, read_error};
use revenant_tools::qemu::{Disk, Firmware};
use std::path::Path;

type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(90);
/// What hangs from the page: a list of so many nodes, the first of which is this.
const LENGTH: u64 = 20;
const FIRST: &str = "value: 1000";
/// The place of the array whose element 300 holds the list.
const HOLDER: &str = "programs/[0]/namespace/holder/statics/fillers/items/[300]";

/// Runs until a line says this, and returns it; an error if one complains before.
fn wait(running: &mut Running, text: &str) -> Result<String, String> {
    let mut found = String::new();
    let mut wrong = Vec::new();
    running.wait_for(text, LIMIT, |line| {
        let word = line.parse().word;
        if ["audit", "abandoned", "main_ended"].contains(&word)
            || line.text.starts_with("collect failed")
        {
            wrong.push(line.text.clone());
        }
        if line.text.contains(text) {
            found.clone_from(&line.text);
        }
        !found.is_empty()
    })?;
    if wrong.is_empty() { Ok(found) } else { Err(running.complaint(&wrong.join("\n"))) }
}

fn cat(image: &Path, path: &str) -> Result<String, String> {
    revenant(&["disk", "cat", &image.to_string_lossy(), "--object", path])
}

/// The address of an object, from the end of the first line of what is said of it.
fn address(text: &str) -> Result<u64, String> {
    let first = text.lines().next().and_then(|line| line.rsplit_once("0x"));
    let digits = first.ok_or_else(|| format!("no address in {text}"))?.1;
    u64::from_str_radix(digits.trim(), 16).map_err(|error| format!("{digits}: {error}"))
}

#[test]
#[ignore = "boots QEMU: make test"]
fn what_hangs_from_a_page_that_is_nowhere_is_found_and_the_collector_goes_on() -> Outcome {
    let image = scratch_file("lost.img")?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/holder.ts");
    let name = image.to_string_lossy();
    revenant(&["disk", "create", &name, "--size", "256M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=200 collector=off".to_owned();
    machine.disks.push(Disk::new(&image));

    let mut running = Running::start("lost-first", &machine)?;
    wait(&mut running, "holder built 20")?;
    wait(&mut running, "holder round 3 list 20")?;
    wait(&mut running, "durable ")?;
    running.cut()?;
    let holder = address(&cat(&image, HOLDER)?)? & !0xFFF;
    let all = pages(&image)?;
    let lost = all.iter().find(|page| page.address == holder).ok_or("the page is not there")?;

    // The device fails: at first use, at every mark.
    let mut failing = machine.clone();
    failing.command_line = "snapshot_interval_ms=200 collect_every_ms=500".to_owned();
    failing.disks = vec![Disk { filter: read_error(lost), ..Disk::new(&image) }];
    let mut running = Running::start("lost-second", &failing)?;
    let thrown = wait(&mut running, "thrown")?;
    if !thrown.contains(&lost.number.to_string()) && !thrown.contains(&format!("{holder:x}")) {
        return Err(running.complaint(&format!("{thrown:?} does not name page {}", lost.number)));
    }
    wait(&mut running, &format!("collect does_without page={} known=false", lost.number))?;
    let recovered = wait(&mut running, "collect recovered")?;
    if !recovered.contains("pages=1 hung=1 refused=0") {
        return Err(running.complaint(&recovered));
    }
    wait(&mut running, "collect swept")?;
    // Garbage is found beside it, again and again; what was found hangs there once.
    let again = wait(&mut running, "collect does_without")?;
    if !again.ends_with("known=true") {
        return Err(running.complaint(&again));
    }
    let swept = wait(&mut running, "collect swept")?;
    let freed = swept.split_once("objects=").and_then(|(_, rest)| rest.split(' ').next());
    if freed.and_then(|count| count.parse().ok()).is_none_or(|count: u64| count < 1000) {
        return Err(running.complaint(&format!("{swept}: a round makes a thousand")));
    }
    wait(&mut running, "durable ")?;
    running.cut()?;
    check_lost_and_found(&image, &recovered)?;

    // It works again.
    let mut running = Running::start("lost-third", &machine)?;
    wait(&mut running, "list 20")?;
    wait(&mut running, "durable ")?;
    running.cut()?;
    check(&image).map(drop)
}

/// The list hangs where the kernel says, whole, with a report beside it.
fn check_lost_and_found(image: &Path, recovered: &str) -> Outcome {
    let place = recovered.rsplit_once("where=").ok_or("it does not say where")?.1.trim();
    let report = cat(image, &format!("{place}/report"))?;
    if !report.contains(&format!("{LENGTH} objects")) {
        return Err(format!("the report says {report}"));
    }
    let mut path = format!("{place}/1");
    let first = cat(image, &path)?;
    if !first.contains(FIRST) {
        return Err(format!("{path} is {first}"));
    }
    for _ in 1..LENGTH {
        path += "/next";
    }
    let last = cat(image, &path)?;
    if last.contains("value: 1019") && last.contains("next: null") {
        return Ok(());
    }
    Err(format!("{path} is {last}"))
}
