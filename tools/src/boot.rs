//! `revenant boot IMAGE`: the machine for a person, on this terminal.
//!
//! IMAGE is the disk that persists (`revenant disk create`). The boot images come from `make image`. The console is the
//! serial line: what is typed goes to the machine, Ctrl-A X pulls its plug, which is a fine thing to do to it.

use crate::disk::{FileDisk, Mode};
use crate::qemu::{self, Disk, DiskFilter, Firmware, Machine, Serial};
use clap::Args;
use core::time::Duration;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::thread;
use std::time::Instant;

/// Boots a disk image in QEMU.
#[derive(Args, Debug)]
pub struct BootArguments {
    /// The disk that persists, made by `revenant disk create`
    pub image: PathBuf,
    /// RAM of the machine, in QEMU's notation
    #[arg(long, default_value = "256M")]
    pub memory: String,
    /// The kernel's command line, for example `snapshot_interval_ms=100`
    #[arg(long, default_value = "")]
    pub cmdline: String,
    /// Start by UEFI firmware instead of BIOS
    #[arg(long)]
    pub uefi: bool,
    /// QEMU's CPU model
    #[arg(long)]
    pub cpu: Option<String>,
    /// QEMU's machine type: pc or q35
    #[arg(long, default_value = "q35")]
    pub machine: String,
    /// Pull the plug (SIGKILL) after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub kill_after: Option<f64>,
    /// Limit the disk to BYTES a second
    #[arg(long, value_name = "BYTES")]
    pub throttle: Option<u64>,
    /// Wait for a debugger on this port of this host
    #[arg(long, value_name = "PORT")]
    pub gdb: Option<u16>,
    /// Print the QEMU command instead of running it
    #[arg(long)]
    pub dry_run: bool,
    /// The boot image; by default the one that `make image` makes
    #[arg(long, value_name = "FILE")]
    pub boot_image: Option<PathBuf>,
}

impl BootArguments {
    /// The machine that these arguments describe.
    ///
    /// # Errors
    /// If the disk or the boot image is not there: one line that says what to do.
    pub fn machine(&self) -> Result<Machine, String> {
        let firmware = if self.uefi { Firmware::Uefi } else { Firmware::Bios };
        let boot_image = match &self.boot_image {
            Some(path) => path.clone(),
            None => find_boot_image(firmware)?,
        };
        for (file, remedy) in [
            (&self.image, "make one with `revenant disk create`"),
            (&boot_image, "run `make image`"),
        ] {
            if !file.exists() {
                return Err(format!("{}: no such file; {remedy}", file.display()));
            }
            if file.is_dir() {
                return Err(format!("{}: a directory; {remedy}", file.display()));
            }
        }
        let mut disk = Disk::new(&self.image);
        if let Some(bytes_per_second) = self.throttle {
            disk.filter = DiskFilter::Throttle { bytes_per_second, requests_per_second: 4000 };
        }
        let mut machine = Machine::new(boot_image, firmware);
        machine.board.clone_from(&self.machine);
        machine.processor.clone_from(&self.cpu);
        machine.memory.clone_from(&self.memory);
        machine.command_line.clone_from(&self.cmdline);
        machine.disks.push(disk);
        machine.serial = Serial::Terminal;
        machine.debugger_port = self.gdb;
        Ok(machine)
    }
}

/// Runs the command. The exit code is 0 if the kernel ended as it should or the plug was pulled as asked.
#[must_use]
pub fn run(arguments: &BootArguments) -> ExitCode {
    match boot(arguments) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("revenant boot: {message}");
            ExitCode::FAILURE
        }
    }
}

fn boot(arguments: &BootArguments) -> Result<ExitCode, String> {
    let machine = arguments.machine()?;
    if arguments.dry_run {
        println!("{}", machine.shell_line()?);
        return Ok(ExitCode::SUCCESS);
    }
    // QEMU would say it too, in two lines and in its own words. The lock is let go of again: QEMU takes it for itself.
    FileDisk::open(&arguments.image, Mode::Write)
        .map_err(|error| format!("{}: {error}", arguments.image.display()))?;
    let mut child = machine.command()?.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("{} is not installed; run `make setup`", qemu::QEMU)
        }
        _ => format!("{}: {error}", qemu::QEMU),
    })?;
    end_with_us(&child)?;
    let status = match arguments.kill_after {
        None => child.wait().map_err(|error| error.to_string())?.code(),
        Some(seconds) => {
            let limit = Duration::try_from_secs_f64(seconds)
                .map_err(|_| format!("--kill-after {seconds}: not a number of seconds"))?;
            match wait_or_kill(&mut child, limit)? {
                Some(code) => code,
                None => {
                    eprintln!("\nrevenant boot: power cut after {seconds} s");
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    };
    Ok(match status {
        Some(0 | qemu::EXIT_SUCCESS) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Whoever ends this command ends the machine: one that went on alone would keep the disk from everybody else.
fn end_with_us(child: &Child) -> Result<(), String> {
    let process = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    // Only now: QEMU would have inherited the mask, and could not be ended by these signals any more.
    let signals = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT].into_iter().collect::<SigSet>();
    signals.thread_block().map_err(|error| error.to_string())?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            let _gone = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    });
    Ok(())
}

/// The exit code, or none if the limit came first and the child was killed.
fn wait_or_kill(child: &mut Child, limit: Duration) -> Result<Option<Option<i32>>, String> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Some(status.code()));
        }
        let now = Instant::now();
        if now >= end {
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Ok(None);
        }
        thread::sleep((end - now).min(Duration::from_millis(10)));
    }
}

/// The built image, in the current directory's repository or in the one that this program was built in.
fn find_boot_image(firmware: Firmware) -> Result<PathBuf, String> {
    let built_in = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut roots: Vec<PathBuf> = std::env::current_dir()
        .map(|directory| directory.ancestors().map(PathBuf::from).collect())
        .unwrap_or_default();
    roots.push(built_in);
    roots
        .iter()
        .map(|root| qemu::built_image(root, firmware))
        .find(|path| path.is_file())
        .ok_or_else(|| "no boot image found; run `make image`".to_owned())
}
