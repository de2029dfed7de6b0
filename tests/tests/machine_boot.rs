//! Boards and firmware on which the machine reaches its kernel, and a machine to which nobody listens. Every test here boots it and is therefore ignored by a plain `cargo test`; `make test` runs them.

use core::time::Duration;
use nix::fcntl::{FcntlArg, fcntl};
use revenant_tests::disks::{check, disk_with};
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine};
use revenant_tools::qemu::{Disk, EXIT_SUCCESS, Firmware};
use std::process::Stdio;
use std::thread;
use std::time::Instant;

type Outcome = Result<(), String>;

#[test]
#[ignore = "boots QEMU: make test"]
fn a_bios_image_reaches_the_kernel() -> Outcome {
    let mut machine = Running::start("boot-bios", &built_machine(Firmware::Bios)?)?;
    machine.wait_for_text("revenant version=", BOOT_LIMIT).map(drop)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_bios_image_reaches_the_kernel_on_the_older_board() -> Outcome {
    let mut description = built_machine(Firmware::Bios)?;
    description.board = "pc".to_owned();
    let mut machine = Running::start("boot-pc", &description)?;
    machine.wait_for_text("revenant version=", BOOT_LIMIT).map(drop)
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_uefi_image_reaches_the_kernel() -> Outcome {
    let mut machine = Running::start("boot-uefi", &built_machine(Firmware::Uefi)?)?;
    machine.wait_for_text("revenant version=", BOOT_LIMIT).map(drop)
}

/// The serial line leads into a pipe that is never read: it takes one page, then nothing. The machine writes its log and its
/// programs' words to it all the same, and stops when it is told to; what it did is on the disk.
#[test]
#[ignore = "boots QEMU: make test"]
fn a_machine_to_which_nobody_listens_stops_in_order() -> Outcome {
    let image = disk_with("demo", "nobody-listens.img", "256M", &[])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=20 exit_after_ms=1500".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut command = machine.command()?;
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let silent = child.stdout.take().ok_or("QEMU has no standard output")?;
    fcntl(&silent, FcntlArg::F_SETPIPE_SZ(4096)).map_err(|error| error.to_string())?;
    let end = Instant::now() + BOOT_LIMIT;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if Instant::now() > end => {
                child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                return Err("the machine waits for a listener for ever".to_owned());
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    };
    if status.code() != Some(EXIT_SUCCESS) {
        return Err(format!("exit code {:?}", status.code()));
    }
    check(&image)
}
