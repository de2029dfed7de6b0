//! `revenant-boot KERNEL BIOS_IMAGE UEFI_IMAGE`: makes two bootable disk images of one kernel ELF.
//!
//! The images are the boot medium only; they are never written to by the machine. What persists is another disk, made by
//! `revenant disk create`. An image appears under its name only when it is complete: it is made beside its place and
//! renamed, so that a machine that runs from the older file keeps that file.
//!
//! Neighbours: the kernel (kernel/src) is built before and handed in as a file; `scripts/image.sh` calls this.
#![forbid(unsafe_code)]

use bootloader::{BootConfig, DiskImageBuilder};
use bootloader_boot_config::LevelFilter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [kernel, bios, uefi] = arguments.as_slice() else {
        eprintln!("usage: revenant-boot KERNEL BIOS_IMAGE UEFI_IMAGE");
        return ExitCode::FAILURE;
    };
    match make_images(kernel, bios, uefi) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("revenant-boot: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Makes both images, each whole or not at all.
fn make_images(kernel: &Path, bios: &Path, uefi: &Path) -> Result<(), String> {
    if !kernel.is_file() {
        return Err(format!("{}: no such kernel", kernel.display()));
    }
    // Only what goes wrong, and only on the serial line, where the kernel speaks: painting letters takes a second of each
    // boot under emulation.
    let mut configuration = BootConfig::default();
    configuration.log_level = LevelFilter::Warn;
    configuration.frame_buffer_logging = false;
    let mut builder = DiskImageBuilder::new(kernel.to_path_buf());
    builder.set_boot_config(&configuration);
    publish(bios, |path| builder.create_bios_image(path).map_err(|error| format!("{error:#}")))?;
    publish(uefi, |path| builder.create_uefi_image(path).map_err(|error| format!("{error:#}")))
}

/// Lets `make` write beside `target`, then renames.
fn publish(target: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let partial = target.with_extension(format!("part{}", std::process::id()));
    make(&partial).map_err(|error| format!("{}: {error}", target.display()))?;
    std::fs::rename(&partial, target).map_err(|error| format!("{}: {error}", target.display()))
}
