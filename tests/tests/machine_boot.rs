//! Boards and firmware on which the machine reaches its kernel. Every test here boots it and is therefore ignored by a plain `cargo test`; `make test` runs them.

use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine};
use revenant_tools::qemu::Firmware;

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
