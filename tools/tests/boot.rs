//! `revenant boot` and the emulator that it starts, here a script in its place: they end together.

use core::time::Duration;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Instant;

/// What /proc says of a process, or nothing if it is gone.
fn status(process: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    (!text.contains("State:\tZ")).then_some(text)
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match look() {
            Some(found) => return found,
            None if Instant::now() > end => panic!("no {what}"),
            None => sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn a_command_that_is_ended_takes_the_machine_with_it() {
    let folder = std::env::temp_dir().join(format!("revenant-boot-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = |name: &str| folder.join(name);
    let pid = file("pid");
    let script =
        format!("#!/bin/sh\necho $$ >{0}.part\nmv {0}.part {0}\nexec sleep 60\n", pid.display());
    fs::write(file("qemu-system-x86_64"), script).unwrap();
    fs::set_permissions(file("qemu-system-x86_64"), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["disk.img", "boot.img"] {
        fs::write(file(name), [0; 4096]).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let read_pid = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<i32>().ok();
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_revenant"))
            .args(["boot".as_ref(), file("disk.img").as_os_str(), "--boot-image".as_ref()])
            .arg(file("boot.img"))
            .env("PATH", &path)
            .spawn()
            .unwrap();
        let machine = wait_for("process of the machine", || read_pid(&pid));
        let state = status(machine).unwrap();
        assert!(state.contains("SigBlk:\t0000000000000000"), "it can be ended by itself: {state}");
        // Until it is listening for signals, the command would go alone.
        let process = i32::try_from(command.id()).unwrap();
        let listens = |state: String| state.contains("Threads:\t2").then_some(());
        wait_for("listening thread", || status(process).and_then(listens));
        kill(Pid::from_raw(process), signal).unwrap();
        wait_for("end of the machine", || status(machine).is_none().then_some(()));
        assert!(!command.wait().unwrap().success());
        fs::remove_file(&pid).unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}
