//! Debian's stock Linux in the machine that Revenant is measured in: boots it with tests/linux_probe/probe.c as its init and
//! prints what the probe measured, as lines `metric NAME VALUE UNIT`.
//!
//!     bench_linux KERNEL PROBE DISK [MODULE...]
//!
//! The initial file system holds the probe as /init, a console device and the modules in the order given. The disk is
//! overwritten. scripts/bench-linux.sh brings the parts.
#![forbid(unsafe_code)]

use core::time::Duration;
use revenant_tests::harness::{Running, scratch_file};
use revenant_tools::qemu::{DirectKernel, Disk, Firmware, Machine};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Linux boots in about four seconds here and the probe takes twenty; a busy host may need several times that.
const LIMIT: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench_linux: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), String> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [kernel, probe, disk, modules @ ..] = arguments.as_slice() else {
        return Err("usage: bench_linux KERNEL PROBE DISK [MODULE...]".to_owned());
    };
    let initrd = scratch_file("linux.cpio")?;
    std::fs::write(&initrd, initial_files(probe, modules)?)
        .map_err(|error| format!("{}: {error}", initrd.display()))?;
    let mut machine = Machine::new("", Firmware::Bios);
    machine.memory = "1G".to_owned(); // as in the scenarios that it is compared with (bench/scenarios.rs)
    machine.direct_kernel = Some(DirectKernel {
        kernel: kernel.clone(),
        initrd,
        append: "console=ttyS0 quiet panic=-1".to_owned(),
    });
    machine.disks.push(Disk::new(disk));
    let mut running = Running::start("bench-linux", &machine)?;
    running.wait_for("end of the probe", LIMIT, |line| {
        if line.text.starts_with("metric ") {
            println!("{}", line.text);
        }
        line.text.starts_with("probe: done")
    })?;
    running.wait_exit(Duration::from_secs(20)).map(|_| ())
}

fn initial_files(probe: &Path, modules: &[PathBuf]) -> Result<Vec<u8>, String> {
    const DIRECTORY: u32 = 0o040_755;
    const PROGRAM: u32 = 0o100_755;
    const CONSOLE: u32 = 0o020_600;
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let mut archive = Archive::default();
    for folder in ["dev", "modules"] {
        archive.add(folder, DIRECTORY, (0, 0), &[])?;
    }
    archive.add("dev/console", CONSOLE, (5, 1), &[])?;
    for (index, module) in modules.iter().enumerate() {
        archive.add(&format!("modules/{index}.ko"), PROGRAM, (0, 0), &read(module)?)?;
    }
    archive.add("init", PROGRAM, (0, 0), &read(probe)?)?;
    archive.add("TRAILER!!!", 0, (0, 0), &[])?;
    Ok(archive.bytes)
}

/// A cpio archive of the kind ("newc") that Linux unpacks at boot.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    files: u32,
}

impl Archive {
    fn add(
        &mut self,
        name: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> Result<(), String> {
        let too_long = |_| format!("{name}: too large for the archive");
        let size = u32::try_from(content.len()).map_err(too_long)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_long)?;
        self.files += 1;
        let header = [self.files, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for number in header {
            self.bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(content);
        self.align();
        Ok(())
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
