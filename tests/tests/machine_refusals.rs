//! Disks that the machine must not use: one line says which and what to do, and not a byte of them changes.

use core::time::Duration;
use revenant_store::{FORMAT_VERSION, Layout, RING_SLOTS};
use revenant_tests::disks::{check, disk_with, revenant};
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine, scratch_file};
use revenant_tests::log_line::LogLine;
use revenant_tools::disk::{FileDisk, Image, ImageError, Mode, VM_ABI, read_ring};
use revenant_tools::qemu::{Disk, EXIT_FAILURE, Firmware, Machine};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

type Outcome = Result<(), String>;

/// Boots the machine and requires one line of refusal, its last, that says all of this; and an untouched disk.
fn refused(name: &str, machine: &Machine, says: &[&str]) -> Outcome {
    let before =
        machine.disks.iter().map(|disk| state(&disk.image)).collect::<Result<Vec<_>, _>>()?;
    let mut running = Running::start(&format!("refused-{name}"), machine)?;
    let line = running.wait_for("refusal", BOOT_LIMIT, |line| line.parse().word == "refused")?;
    if let Some(text) = says.iter().find(|text| !line.text.contains(**text)) {
        return Err(running.complaint(&format!("the refusal does not say {text:?}")));
    }
    if let Some(more) = running.next_line(Duration::from_secs(20)) {
        return Err(running.complaint(&format!("after the refusal: {:?}", more.text)));
    }
    match running.wait_exit(Duration::from_secs(20))? {
        Some(EXIT_FAILURE) => {}
        other => return Err(running.complaint(&format!("exit code {other:?}"))),
    }
    let after =
        machine.disks.iter().map(|disk| state(&disk.image)).collect::<Result<Vec<_>, _>>()?;
    if after == before { Ok(()) } else { Err(running.complaint("the disk was written to")) }
}

/// A machine with this disk.
fn with(disk: Disk) -> Result<Machine, String> {
    let mut machine = built_machine(Firmware::Bios)?;
    machine.disks.push(disk);
    Ok(machine)
}

/// What must stay as it is: every byte, or of a disk too large to read the time of its last change.
fn state(path: &Path) -> Result<(u64, i64, i64), String> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let metadata = fs::metadata(path).map_err(say)?;
    if metadata.len() > 1 << 30 {
        return Ok((metadata.blocks(), metadata.mtime(), metadata.mtime_nsec()));
    }
    let content = fs::read(path).map_err(say)?;
    Ok((xxhash_rust::xxh3::xxh3_64(&content), 0, 0))
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

/// Makes every superblock one of another version of the format, whole by its checksum.
fn set_version(path: &Path, version: u32) -> Outcome {
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
        header[8..12].copy_from_slice(&version.to_le_bytes());
        header[24..32].fill(0);
        let checksum = xxhash_rust::xxh3::xxh3_64(&header);
        header[24..32].copy_from_slice(&checksum.to_le_bytes());
        file.write_all_at(&header, place).map_err(read)?;
        found += 1;
    }
    if found >= 2 { Ok(()) } else { Err(format!("{found} superblocks found")) }
}

/// A disk without a program, of so many blocks and for this version of the virtual machine.
fn empty_disk(name: &str, blocks: u64, vm_abi: u32) -> Result<PathBuf, String> {
    let path = scratch_file(name)?;
    Image::create_empty(&path, blocks, true, vm_abi)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// A disk on which the demonstration has run until five snapshots were durable; then what the map roots of the two newest
/// generations stand in is overwritten.
fn damaged_disk() -> Result<PathBuf, String> {
    let path = disk_with("demo", "refused-damaged.img", "256M", &[])?;
    let mut machine = with(Disk::new(&path))?;
    machine.command_line = "snapshot_interval_ms=100".to_owned();
    let mut running = Running::start("refused-damaged-made", &machine)?;
    for _ in 0..5 {
        running.wait_for("durable snapshot", BOOT_LIMIT, |line| line.parse().word == "durable")?;
    }
    running.cut()?;
    let say = |error: String| format!("{}: {error}", path.display());
    let mut disk = FileDisk::open(&path, Mode::Read).map_err(|error| say(error.to_string()))?;
    let ring = read_ring(&mut disk).map_err(|error| say(error.to_string()))?;
    let file = fs::OpenOptions::new().write(true).open(&path);
    let file = file.map_err(|error| say(error.to_string()))?;
    for superblock in ring.superblocks().into_iter().take(2) {
        for block in superblock.root.blocks() {
            file.write_all_at(&[0xa5; 4096], block.0 * 4096)
                .map_err(|error| say(error.to_string()))?;
        }
    }
    Ok(path)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_disk_that_is_not_ours_or_too_small_for_one() -> Outcome {
    let path = foreign_disk("foreign", 64 << 20)?;
    let makes_one = "make one with `revenant disk create`";
    refused("foreign", &with(Disk::new(path))?, &["not a Revenant disk", makes_one])?;
    let path = foreign_disk("tiny", 100 * 4096)?;
    let says = ["disk too small: 100 blocks of 4 KiB, 1024 needed", "attach a larger one"];
    refused("tiny", &with(Disk::new(path))?, &says)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_machine_without_a_disk() -> Outcome {
    let says = ["no disk", "make one with `revenant disk create`", "virtio-blk-pci"];
    refused("none", &built_machine(Firmware::Bios)?, &says)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_good_disk_in_use_or_of_another_kind_or_version_or_with_half_of_it_missing() -> Outcome {
    let path = store_of_the_paging_test()?;
    let disk = || Disk::new(&path);
    refused("other-vm", &with(disk())?, &["virtual machine", "use a newer system"])?;
    let says = ["read-only", "attach it with permission to write"];
    refused("read-only", &with(Disk { read_only: true, ..disk() })?, &says)?;
    let says = ["without FLUSH", "attach it with a write-back cache"];
    refused("without-flush", &with(Disk { flush: false, ..disk() })?, &says)?;
    let open = || fs::OpenOptions::new().write(true).open(&path);
    open().and_then(|file| file.set_len(64 << 20)).map_err(|error| error.to_string())?;
    refused("half", &with(disk())?, &["too small", "or the whole image"])?;
    open().and_then(|file| file.set_len(128 << 20)).map_err(|error| error.to_string())?;
    set_version(&path, FORMAT_VERSION + 1)?;
    let newer = format!("disk format {} is newer than this system knows", FORMAT_VERSION + 1);
    refused("newer", &with(disk())?, &[&newer, "use a newer system"])?;
    set_version(&path, 1)?;
    let says = ["disk format 1 is older", "open it with the version that made it"];
    refused("older", &with(disk())?, &says)
}

/// A disk whose code an older verifier has passed: refused until it is verified again, then its program goes on.
fn verified_by_another() -> Outcome {
    let path = disk_with("demo", "refused-verifier.img", "64M", &[])?;
    let say = |error: ImageError| format!("{}: {error}", path.display());
    let mut image = Image::open(&path, Mode::Write, VM_ABI).map_err(say)?;
    image.store.set_vm_abi(VM_ABI - 1);
    image.commit_requests().map_err(say)?;
    drop(image);
    let machine = with(Disk::new(&path))?;
    refused("verifier", &machine, &["older", "bring it up to date with `revenant disk verify`"])?;
    revenant(&["disk", "verify", &path.to_string_lossy()])?;
    let mut running = Running::start("refused-verified", &machine)?;
    running.wait_for("durable snapshot", BOOT_LIMIT, |line| line.parse().word == "durable")?;
    running.cut().map(drop)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn another_virtual_machine_too_much_disk_and_words_that_name_nothing() -> Outcome {
    let path = empty_disk("refused-vm-older.img", 4096, VM_ABI - 1)?;
    let says = ["virtual machine", "older than this system runs", "use the version that made it"];
    refused("vm-older", &with(Disk::new(path))?, &says)?;
    verified_by_another()?;
    let path = empty_disk("refused-vm-newer.img", 4096, VM_ABI + 1)?;
    let says = ["virtual machine", "newer than this system", "use a newer system"];
    refused("vm-newer", &with(Disk::new(path))?, &says)?;
    let path = empty_disk("refused-large.img", 1 << 24, VM_ABI)?; // 64 GiB, nearly all of it holes
    let mut small = with(Disk::new(&path))?;
    small.memory = "64M".to_owned();
    let large = refused("large", &small, &["disk too large for this machine", "more memory"]);
    fs::remove_file(&path).map_err(|error| error.to_string())?;
    large?;
    let mut machine = with(Disk::new(disk_with("hello", "refused-words.img", "64M", &[])?))?;
    for (name, word, says) in [
        ("snapshot", "rollback=999@0", ["snapshot 999 is not on the disk", "`revenant disk info`"]),
        ("generation", "generation=999@0", ["generation 999 is not on", "`revenant disk info`"]),
        ("applied", "rollback=1@7", ["was applied already", "remove it from the command line"]),
        ("bad-word", "rollback=12", ["bad value: rollback=12", "`revenant disk snapshots`"]),
        ("two", "rollback=1@0 generation=1@0", ["two states", "leave one of them"]),
    ] {
        machine.command_line = word.to_owned();
        refused(name, &machine, &says)?;
    }
    Ok(())
}

/// What the line says is done: `disk check` names a generation that is whole and the word for it; the machine goes back to it
/// and on from it; the same word does not go back again.
#[test]
#[ignore = "boots QEMU: make test"]
fn a_damaged_disk_goes_on_from_an_older_generation_on_request() -> Outcome {
    let path = damaged_disk()?;
    let mut machine = with(Disk::new(&path))?;
    let says = ["disk damaged: generation ", "`revenant disk check` names older ones"];
    refused("damaged", &machine, &says)?;
    let Err(text) = revenant(&["disk", "check", &path.to_string_lossy()]) else {
        return Err("nothing found wrong".to_owned());
    };
    let whole = text.lines().find(|line| line.contains(" whole: ")).ok_or(text.as_str())?;
    let epoch = LogLine::parse(whole.trim()).number("epoch");
    let word = whole.split('`').find(|word| word.starts_with("generation=")).ok_or(whole)?;
    machine.command_line = format!("{word} snapshot_interval_ms=100");
    let mut running = Running::start("refused-damaged-back", &machine)?;
    let resumed = running.wait_for("resume", BOOT_LIMIT, |line| line.parse().word == "resumed")?;
    if resumed.parse().number("epoch") != epoch || epoch.is_none() {
        return Err(running.complaint(&format!("not what {word} names, epoch {epoch:?}")));
    }
    running.wait_for("durable snapshot", BOOT_LIMIT, |line| line.parse().word == "durable")?;
    running.wait_for("audit", BOOT_LIMIT, |line| line.text.starts_with("audit "))?;
    running.cut()?;
    check(&path)?;
    let says = ["was applied already", "remove it from the command line"];
    refused("damaged-again", &machine, &says)
}
