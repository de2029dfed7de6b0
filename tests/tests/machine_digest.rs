//! One image, so many turns of one schedule, on the host and in the machine: the same bits in object space.
//!
//! The kernel's `test=digest` runs the turns of samples/medley.rasm from the disk and makes their outcome a snapshot; `revenant
//! disk digest` makes the same of the snapshot before in the memory of the host. Two processors, two back ends of the interpreter,
//! two ways to have memory: any difference in any bit is a failure.

use core::time::Duration;
use revenant_tests::disks::{check, disk_with, revenant};
use revenant_tests::harness::{BOOT_LIMIT, Running, built_machine};
use revenant_tests::log_line::LogLine;
use revenant_tools::qemu::{Disk, Firmware};

type Outcome = Result<(), String>;

const TURNS: u64 = 60_000;
/// Pages of the heap that the program reaches in so many turns, and some more.
const PAGES: u64 = 2048;

/// What `revenant disk digest` says with these options.
fn digest(image: &str, options: &[&str]) -> Result<String, String> {
    let text = revenant(&[&["disk", "digest", image], options].concat())?;
    let value = LogLine::parse(&text).field("value").map(str::to_owned);
    value.ok_or_else(|| format!("no digest in {text:?}"))
}

#[test]
#[ignore = "boots QEMU: make test"]
fn the_machine_and_the_host_make_the_same_bits_of_one_image() -> Outcome {
    let path = disk_with("medley", "digest.img", "256M", &[])?;
    let image = path.to_string_lossy().into_owned();
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = format!("test=digest rounds={TURNS} pages={PAGES}");
    machine.disks.push(Disk::new(&path));
    let mut running = Running::start("digest", &machine)?;
    let wanted = |line: &revenant_tests::harness::TimedLine| line.parse().word == "digest";
    let line = running.wait_for("digest line", BOOT_LIMIT, wanted)?;
    running.wait_success(Duration::from_secs(20))?;
    let number = |key| line.parse().number(key).ok_or_else(|| format!("no {key}: {}", line.text));
    let (resumed, epoch) = (number("resumed")?.to_string(), number("epoch")?.to_string());
    let turned =
        |turns: u64| digest(&image, &["--snapshot", &resumed, "--turns", &turns.to_string()]);
    let (machine, host) = (digest(&image, &["--snapshot", &epoch])?, turned(TURNS)?);
    if machine != host {
        return Err(running.complaint(&format!("the machine made {machine}, the host {host}")));
    }
    // A digest that one turn does not change would prove nothing.
    if host == turned(TURNS - 1)? {
        return Err("one turn more or less makes no difference".to_owned());
    }
    check(&path)
}
