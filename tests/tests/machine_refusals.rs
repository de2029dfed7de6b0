//! Disks that the machine must not use: one line says which and what to do, and not a byte of them changes.

use core::time::Duration;
use revenant_store::{FORMAT_VERSION, Layout, RING_SLOTS};
use revenant_tests::disks::revenant;
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, EXIT_FAILURE, Firmware};
use std::fs;
use std::os::unix::fs::FileExt;
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

/// A disk of the kernel's own paging test: a good store, but of another virtual machine. While it is in use, nobody else gets it.
fn store_of_the_paging_test() -> Result<PathBuf, String> {
    let path = scratch_file("refused-store.img")?;
    fs::File::create(&path)
        .and_then(|file| file.set_len(128 << 20))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "test=paging pages=64 snapshot_interval_ms=50".to_owned();
    machine.disks.push(Disk::new(&path));
    let mut running = Running::start("refused-store-made", &machine)?;
    running.wait_for("durable snapshot", BOOT_LIMIT, |line| line.parse().word == "durable")?;
    let name = path.to_string_lossy();
    for command in [
        &["boot", &name] as &[&str],
        &["disk", "check", &name],
        &["disk", "create", &name, "--force", "--module", "samples/hello.rasm"],
    ] {
        let said = revenant(command).err().unwrap_or_default();
        if said.trim_end().lines().count() != 1 || !said.contains("in use by QEMU") {
            return Err(running.complaint(&format!("{command:?} beside it: {said:?}")));
        }
    }
    // Nobody cut the file off or wrote to it: the machine goes on, and so does the disk.
    running.wait_for("later snapshot", BOOT_LIMIT, |line| line.parse().word == "durable")?;
    running.cut()?;
    Ok(path)
}

/// Makes every superblock one of the format that comes after ours, whole by its checksum.
fn make_newer(path: &Path) -> Outcome {
    let read = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = fs::OpenOptions::new().read(true).write(true).open(path).map_err(read)?;
    let blocks = file.metadata().map_err(read)?.len() / 4096;
    let layout = Layout::new(blocks).ok_or("no store has this size")?;
    let mut found = 0;
    for slot in 0..RING_SLOTS {
        let mut header = [0; 4096];
        let place = layout.slot(slot).0 * 4096;
        file.read_exact_at(&mut header, place).map_err(read)?;
        let length: [u8; 4] = header[16..20].try_into().unwrap_or_default();
        if u32::from_le_bytes(length) != 4096 {
            continue; // never written
        }
        header[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        header[24..32].fill(0);
        let checksum = xxhash_rust::xxh3::xxh3_64(&header);
        header[24..32].copy_from_slice(&checksum.to_le_bytes());
        file.write_all_at(&header, place).map_err(read)?;
        found += 1;
    }
    if found >= 2 { Ok(()) } else { Err(format!("{found} superblocks found")) }
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
fn a_good_disk_in_use_or_of_another_kind_or_version_or_with_half_of_it_missing() -> Outcome {
    let path = store_of_the_paging_test()?;
    let disk = || Disk::new(&path);
    refused("other-vm", disk(), "virtual machine")?;
    refused("read-only", Disk { read_only: true, ..disk() }, "read-only")?;
    refused("without-flush", Disk { flush: false, ..disk() }, "FLUSH")?;
    let open = || fs::OpenOptions::new().write(true).open(&path);
    open().and_then(|file| file.set_len(64 << 20)).map_err(|error| error.to_string())?;
    refused("half", disk(), "too small")?;
    open().and_then(|file| file.set_len(128 << 20)).map_err(|error| error.to_string())?;
    make_newer(&path)?;
    let newer = format!("disk format {} is newer than this system knows", FORMAT_VERSION + 1);
    refused("newer", disk(), &newer)
}
