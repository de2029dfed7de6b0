//! An emulated machine, as a value: what it has, and the `qemu-system-x86_64` command that makes it.
//!
//! Pure but for [`Machine::command`]: nothing is started here. `boot` runs the command for a person, the harness in tests/
//! for a test; both therefore test and use the same machine. Software emulation always: hardware acceleration is neither
//! needed nor assumed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// QEMU's program name.
pub const QEMU: &str = "qemu-system-x86_64";

/// The thread of QEMU that serves the disks.
const DISK_THREAD: &str = "disks";

/// QEMU's exit code when the kernel ended as it should: `isa-debug-exit` turns the kernel's 0x10 into it.
pub const EXIT_SUCCESS: i32 = 33;

/// QEMU's exit code when the kernel reported a failure.
pub const EXIT_FAILURE: i32 = 35;

/// Which firmware starts the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Firmware {
    /// SeaBIOS, built into QEMU.
    #[default]
    Bios,
    /// OVMF, from Debian's package of that name.
    Uefi,
}

/// What stands between the machine and the file of its disk.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum DiskFilter {
    /// Nothing.
    #[default]
    None,
    /// A limit, so that the emulated processor can keep up: bytes and requests a second.
    Throttle {
        /// Bytes a second, read and written together.
        bytes_per_second: u64,
        /// Requests a second.
        requests_per_second: u64,
    },
    /// QEMU's `blkdebug` with the rules given, each as `inject-error.N.key=value` words.
    Fault(String),
    /// QEMU's `blklogwrites`: every write and flush is logged to this file, for replay.
    Log(PathBuf),
}

/// A virtio disk of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The raw image.
    pub image: PathBuf,
    /// The device refuses writes.
    pub read_only: bool,
    /// The device offers FLUSH.
    pub flush: bool,
    /// What the machine discards leaves the image: it shrinks where its file system has holes. Not through a filter.
    pub discard: bool,
    /// The device takes a request's descriptors in a list of their own.
    pub indirect: bool,
    /// The PCI slot, or the next free one.
    pub slot: Option<u8>,
    /// What stands before the file.
    pub filter: DiskFilter,
}

impl Disk {
    /// A writable disk with FLUSH, whose image shrinks.
    #[must_use]
    pub fn new(image: impl Into<PathBuf>) -> Self {
        Self {
            image: image.into(),
            read_only: false,
            flush: true,
            discard: true,
            indirect: true,
            slot: None,
            filter: DiskFilter::None,
        }
    }
}

/// Where the serial console goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Serial {
    /// To QEMU's standard input and output, bare: for a program that reads it.
    #[default]
    Stdio,
    /// The same for a person: Ctrl-C reaches the machine, Ctrl-A X ends QEMU.
    Terminal,
}

/// A kernel that QEMU loads itself, without firmware and boot image: Linux, for comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectKernel {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its first file system.
    pub initrd: PathBuf,
    /// Its command line.
    pub append: String,
}

/// A machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The boot image that belongs to `firmware`. It is never written to.
    pub boot_image: PathBuf,
    /// What starts it.
    pub firmware: Firmware,
    /// QEMU's machine type: `pc` or `q35`.
    pub board: String,
    /// QEMU's CPU model; none for QEMU's own default.
    pub processor: Option<String>,
    /// RAM, in QEMU's notation: `256M`.
    pub memory: String,
    /// The kernel's command line, handed over as fw_cfg `opt/revenant/cmdline`.
    pub command_line: String,
    /// The virtio disks, in order.
    pub disks: Vec<Disk>,
    /// The serial console.
    pub serial: Serial,
    /// A socket for QEMU's machine protocol.
    pub control_socket: Option<PathBuf>,
    /// Instructions are the clock: deterministic, slower. The value is QEMU's `shift`.
    pub instruction_clock: Option<u8>,
    /// Loaded instead of the boot image.
    pub direct_kernel: Option<DirectKernel>,
    /// Stopped before the first instruction, a debugger's server on this TCP port of this host.
    pub debugger_port: Option<u16>,
}

impl Machine {
    /// A `q35` with 256 MiB that boots `boot_image` and has no disk.
    #[must_use]
    pub fn new(boot_image: impl Into<PathBuf>, firmware: Firmware) -> Self {
        Self {
            boot_image: boot_image.into(),
            firmware,
            board: "q35".to_owned(),
            processor: None,
            memory: "256M".to_owned(),
            command_line: String::new(),
            disks: Vec::new(),
            serial: Serial::Stdio,
            control_socket: None,
            instruction_clock: None,
            direct_kernel: None,
            debugger_port: None,
        }
    }

    /// The arguments of QEMU.
    ///
    /// # Errors
    /// If the firmware is not installed: one line with the command that installs it.
    pub fn arguments(&self) -> Result<Vec<OsString>, String> {
        let mut line = Arguments::default();
        line.pair("-machine", &self.board).pair("-accel", "tcg").pair("-m", &self.memory);
        line.pair("-smp", "1");
        if let Some(model) = &self.processor {
            line.pair("-cpu", model);
        }
        if self.firmware == Firmware::Uefi {
            line.pair("-bios", path_text(&find_uefi_firmware()?));
        }
        line.pair("-display", "none").flag("-no-reboot").flag("-nodefaults").pair("-vga", "std");
        let serial = if self.serial == Serial::Terminal { "mon:stdio" } else { "stdio" };
        line.pair("-serial", serial);
        line.pair("-device", "isa-debug-exit,iobase=0xf4,iosize=4");
        match &self.direct_kernel {
            None => self.boot_arguments(&mut line),
            Some(direct) => {
                line.pair("-kernel", &direct.kernel).pair("-initrd", &direct.initrd);
                line.pair("-append", &direct.append);
            }
        }
        if !self.disks.is_empty() {
            // Not served by QEMU's main loop, which holds a lock meanwhile that the processor needs for each notice and interrupt:
            // it made half of the page-ins a second of many programs. Nor by a thread that looks for work all the time, which it takes
            // from the others' processors: a quarter of the page-ins on a host with two.
            line.pair("-object", format!("iothread,id={DISK_THREAD},poll-max-ns=0"));
        }
        for (index, disk) in self.disks.iter().enumerate() {
            disk_arguments(&mut line, index, disk);
        }
        if !self.command_line.is_empty() {
            let text = escape(&self.command_line);
            line.pair("-fw_cfg", format!("name=opt/revenant/cmdline,string={text}"));
        }
        if let Some(socket) = &self.control_socket {
            let socket = escape(&path_text(socket));
            line.pair("-qmp", format!("unix:{socket},server=on,wait=off"));
        }
        if let Some(shift) = self.instruction_clock {
            line.pair("-icount", format!("shift={shift},sleep=off"));
        }
        if let Some(port) = self.debugger_port {
            line.flag("-S").pair("-gdb", format!("tcp:127.0.0.1:{port}"));
        }
        Ok(line.words)
    }

    /// The boot medium.
    fn boot_arguments(&self, line: &mut Arguments) {
        // The boot medium is an IDE disk, so that the kernel's only virtio disks are those that persist. IDE disks cannot be
        // read-only: what the loader might write goes to a temporary file.
        let boot = escape(&path_text(&self.boot_image));
        line.pair("-drive", format!("if=none,id=boot,format=raw,snapshot=on,file={boot}"));
        // A `pc` has only the old IDE, which firmware reads byte by byte: ten seconds of boot.
        let bus = if self.board.starts_with("q35") {
            "ide.0"
        } else {
            line.pair("-device", "ahci,id=ahci");
            "ahci.0"
        };
        line.pair("-device", format!("ide-hd,bus={bus},drive=boot,bootindex=0"));
    }

    /// The command that starts it.
    ///
    /// # Errors
    /// As [`Machine::arguments`].
    pub fn command(&self) -> Result<Command, String> {
        let mut command = Command::new(QEMU);
        command.args(self.arguments()?);
        Ok(command)
    }

    /// The command as one line for a shell.
    ///
    /// # Errors
    /// As [`Machine::arguments`].
    pub fn shell_line(&self) -> Result<String, String> {
        let mut line = QEMU.to_owned();
        for word in self.arguments()? {
            line.push(' ');
            line.push_str(&quote(&word.to_string_lossy()));
        }
        Ok(line)
    }
}

/// The image that `make image` makes for a firmware, below a repository's root.
#[must_use]
pub fn built_image(root: &Path, firmware: Firmware) -> PathBuf {
    root.join(match firmware {
        Firmware::Bios => "build/revenant-bios.img",
        Firmware::Uefi => "build/revenant-uefi.img",
    })
}

/// Builds a list of arguments.
#[derive(Default)]
struct Arguments {
    words: Vec<OsString>,
}

impl Arguments {
    fn flag(&mut self, word: impl Into<OsString>) -> &mut Self {
        self.words.push(word.into());
        self
    }

    fn pair(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.flag(option).flag(value)
    }
}

/// The block graph of one disk, bottom up: file, filter, raw format, device.
fn disk_arguments(line: &mut Arguments, index: usize, disk: &Disk) {
    let read_only = if disk.read_only { "on" } else { "off" };
    let discard = if disk.discard { "unmap" } else { "ignore" };
    let image = escape(&path_text(&disk.image));
    line.pair(
        "-blockdev",
        format!(
            "driver=file,node-name=file{index},filename={image},read-only={read_only},discard={discard}"
        ),
    );
    let mut top = format!("file{index}");
    match &disk.filter {
        DiskFilter::None => {}
        DiskFilter::Throttle { bytes_per_second, requests_per_second } => {
            line.pair(
                "-object",
                format!(
                    "throttle-group,id=limit{index},x-bps-total={bytes_per_second},x-iops-total={requests_per_second}"
                ),
            );
            line.pair(
                "-blockdev",
                format!(
                    "driver=throttle,node-name=throttle{index},throttle-group=limit{index},file={top},read-only={read_only}"
                ),
            );
            top = format!("throttle{index}");
        }
        DiskFilter::Fault(rules) => {
            line.pair(
                "-blockdev",
                format!("driver=blkdebug,node-name=fault{index},image={top},{rules}"),
            );
            top = format!("fault{index}");
        }
        DiskFilter::Log(log) => {
            let log = escape(&path_text(log));
            line.pair("-blockdev", format!("driver=file,node-name=logfile{index},filename={log}"));
            line.pair(
                "-blockdev",
                format!("driver=blklogwrites,node-name=log{index},file={top},log=logfile{index}"),
            );
            top = format!("log{index}");
        }
    }
    line.pair(
        "-blockdev",
        format!(
            "driver=raw,node-name=disk{index},file={top},read-only={read_only},discard={discard}"
        ),
    );
    let mut device =
        format!("virtio-blk-pci,drive=disk{index},num-queues=1,iothread={DISK_THREAD}");
    if let Some(slot) = disk.slot {
        device.push_str(&format!(",addr={slot:#x}"));
    }
    if !disk.indirect {
        device.push_str(",indirect_desc=off");
    }
    if !disk.flush {
        device.push_str(",write-cache=off,config-wce=off,x-enable-wce-if-config-wce=off");
    }
    line.pair("-device", device);
}

/// Where Debian and others put the firmware.
fn find_uefi_firmware() -> Result<PathBuf, String> {
    ["/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd", "/usr/share/edk2/x64/OVMF.4m.fd"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .ok_or_else(|| {
            "UEFI firmware not found; install it: apt-get install -y --no-install-recommends ovmf"
                .to_owned()
        })
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A comma ends a value for QEMU unless it is doubled.
fn escape(text: &str) -> String {
    text.replace(',', ",,")
}

/// A word for a POSIX shell.
fn quote(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_with_commas_quotes_and_spaces_survives_qemu_and_the_shell() {
        let mut machine = Machine::new("boot.img", Firmware::Bios);
        machine.command_line = "title='a,b' snapshot_interval_ms=50".to_owned();
        let line = machine.shell_line().expect("BIOS needs no file");
        assert!(
            line.contains(
                r"'name=opt/revenant/cmdline,string=title='\''a,,b'\'' snapshot_interval_ms=50'"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_filter_stands_between_the_file_and_the_format() {
        let mut machine = Machine::new("boot.img", Firmware::Bios);
        let mut disk = Disk::new("data.img");
        disk.filter = DiskFilter::Throttle { bytes_per_second: 100, requests_per_second: 4 };
        disk.slot = Some(9);
        machine.disks.push(disk);
        let line = machine.shell_line().expect("BIOS needs no file");
        assert!(line.contains("throttle-group=limit0,file=file0"), "{line}");
        assert!(line.contains("driver=raw,node-name=disk0,file=throttle0"), "{line}");
        assert!(line.contains("drive=disk0,num-queues=1,iothread=disks,addr=0x9"), "{line}");
    }

    #[test]
    fn a_device_without_flush_says_so_in_every_way_qemu_knows() {
        let mut machine = Machine::new("boot.img", Firmware::Bios);
        let mut disk = Disk::new("data.img");
        disk.flush = false;
        machine.disks.push(disk);
        let line = machine.shell_line().expect("BIOS needs no file");
        assert!(line.contains("x-enable-wce-if-config-wce=off"), "{line}");
    }
}
