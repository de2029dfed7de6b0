//! Disks that the machine must not use: one line says which and what to do, and not a byte of them changes.

use core::time::Duration;
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, EXIT_FAILURE, Firmware};
use std::fs;
use std::path::{Path, PathBuf};

type Outcome = Result<(), String>;

/// Boots with the disk given and requires a refusal that says `reason`, and an untouched disk.
fn refused(name: &str, disk: Disk, reason: &str) -> Outcome {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let before = read(&disk.image)?;
    let image = disk.image.clone();
    let mut machine = built_machine(Firmware::Bios)?;
    machine.disks.push(disk);
    let mut running = Running::start(&format!("refused-{name}"), &machine)?;
    let line = running.wait_for("refusal", BOOT_LIMIT, |line| line.parse().word == "refused")?;
    if !line.text.contains(reason) {
        return Err(running.complaint(&format!("the refusal does not say {reason:?}")));
    }
    match running.wait_exit(Duration::from_secs(20))? {
        Some(EXIT_FAILURE) => {}
        other => return Err(running.complaint(&format!("exit code {other:?}"))),
    }
    if read(&image)? == before { Ok(()) } else { Err(running.complaint("the disk was written to")) }
}

/// A disk with somebody else's data.
fn foreign_disk(name: &str, bytes: usize) -> Result<PathBuf, String> {
    let path = scratch_file(&format!("refused-{name}.img"))?;
    let content: Vec<u8> = (0_u32..)
        .map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .take(bytes)
        .collect();
    fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// A disk of the kernel's own paging test: a good store, but of another virtual machine.
fn store_of_the_paging_test(name: &str) -> Result<PathBuf, String> {
    let path = scratch_file(&format!("refused-{name}.img"))?;
    fs::File::create(&path)
        .and_then(|file| file.set_len(128 << 20))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line =
        "test=paging pages=64 snapshot_interval_ms=50 exit_after_ms=300".to_owned();
    machine.disks.push(Disk::new(&path));
    Running::start(&format!("refused-{name}-made"), &machine)?.wait_success(BOOT_LIMIT)?;
    Ok(path)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_disk_that_is_not_ours() -> Outcome {
    let path = foreign_disk("foreign", 64 << 20)?;
    refused("foreign", Disk::new(path), "not a Revenant disk")
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_machine_without_a_disk() -> Outcome {
    let mut running = Running::start("refused-none", &built_machine(Firmware::Bios)?)?;
    running.wait_for("refusal", BOOT_LIMIT, |line| line.parse().word == "refused")?;
    match running.wait_exit(Duration::from_secs(20))? {
        Some(EXIT_FAILURE) => Ok(()),
        other => Err(running.complaint(&format!("exit code {other:?}"))),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_read_only_disk_and_one_without_flush() -> Outcome {
    let path = store_of_the_paging_test("device")?;
    let read_only = Disk { read_only: true, ..Disk::new(&path) };
    refused("read-only", read_only, "read-only")?;
    refused("without-flush", Disk { flush: false, ..Disk::new(&path) }, "FLUSH")
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_disk_of_another_virtual_machine_and_half_a_disk() -> Outcome {
    let path = store_of_the_paging_test("store")?;
    refused("other-vm", Disk::new(&path), "virtual machine")?;
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(64 << 20))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    refused("half", Disk::new(&path), "too small")
}
