//! A running machine, from outside: its serial log with times, what is typed into it, and its plug.
//!
//! Every wait has a limit; what a test says when a limit passes contains the end of the log and where the whole of it is
//! (build/logs/NAME.log). A machine that is dropped is killed, so that a failed test leaves nothing behind.

use crate::log_line::LogLine;
use core::time::Duration;
use revenant_tools::qemu::{self, Firmware, Machine};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Instant;

/// How long a machine may take from power-on to the kernel's first line, on a slow and busy host.
pub const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// A line of the serial log and when it was complete on this host.
#[derive(Clone, Debug)]
pub struct TimedLine {
    /// When it arrived.
    pub at: Instant,
    /// The text, without its end.
    pub text: String,
}

impl TimedLine {
    /// The line, taken apart.
    #[must_use]
    pub fn parse(&self) -> LogLine<'_> {
        LogLine::parse(&self.text)
    }
}

/// A machine that runs.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    console: Option<ChildStdin>,
    lines: Receiver<TimedLine>,
    log_path: PathBuf,
    tail: VecDeque<String>,
    exit_code: Option<Option<i32>>,
}

/// The repository's root.
#[must_use]
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// A path for a file of one test below build/, whose folder exists.
///
/// # Errors
/// If the folder cannot be made.
pub fn scratch_file(name: &str) -> Result<PathBuf, String> {
    let folder = repository().join("build/scratch");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(name))
}

/// A machine with the image that `make image` made.
///
/// # Errors
/// If there is none.
pub fn built_machine(firmware: Firmware) -> Result<Machine, String> {
    let image = qemu::built_image(&repository(), firmware);
    if image.is_file() {
        Ok(Machine::new(image, firmware))
    } else {
        Err(format!("{}: not built; `make test` builds it, so does `make image`", image.display()))
    }
}

impl Running {
    /// Starts a machine. `name` names its log.
    ///
    /// # Errors
    /// If QEMU cannot be started or the log not be made.
    pub fn start(name: &str, machine: &Machine) -> Result<Self, String> {
        let folder = repository().join("build/logs");
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let log_path = folder.join(format!("{name}.log"));
        let mut log =
            File::create(&log_path).map_err(|error| format!("{}: {error}", log_path.display()))?;
        let shown = writeln!(log, "# {}", machine.shell_line()?);
        shown.map_err(|error| format!("{}: {error}", log_path.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut child = machine
            .command()?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}; `make doctor` tells more", qemu::QEMU))?;
        let console = child.stdin.take();
        let output = child.stdout.take().ok_or("QEMU has no standard output")?;
        let (sender, lines) = channel();
        thread::spawn(move || pump(output, &mut log, &sender));
        Ok(Self {
            name: name.to_owned(),
            child,
            console,
            lines,
            log_path,
            tail: VecDeque::new(),
            exit_code: None,
        })
    }

    /// The next line, or none at the limit or when the machine has ended and everything was read.
    pub fn next_line(&mut self, limit: Duration) -> Option<TimedLine> {
        let line = match self.lines.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        };
        if self.tail.len() == 30 {
            self.tail.pop_front();
        }
        self.tail.push_back(line.text.clone());
        Some(line)
    }

    /// Reads on until a line satisfies `wanted`, which sees every line once.
    ///
    /// # Errors
    /// At the limit, or when the machine ends before: with the end of the log.
    pub fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&TimedLine) -> bool,
    ) -> Result<TimedLine, String> {
        let end = Instant::now() + limit;
        while let Some(line) = self.next_line(end.saturating_duration_since(Instant::now())) {
            if wanted(&line) {
                return Ok(line);
            }
        }
        Err(self.complaint(&format!("no {what} within {} s", limit.as_secs_f32())))
    }

    /// Reads on until a line contains `text`.
    ///
    /// # Errors
    /// As [`Running::wait_for`].
    pub fn wait_for_text(&mut self, text: &str, limit: Duration) -> Result<TimedLine, String> {
        self.wait_for(&format!("line with {text:?}"), limit, |line| line.text.contains(text))
    }

    /// Types into the console.
    ///
    /// # Errors
    /// If the machine has ended.
    pub fn type_text(&mut self, text: &str) -> Result<(), String> {
        let console = self.console.as_mut().ok_or("the console is closed")?;
        console
            .write_all(text.as_bytes())
            .and_then(|()| console.flush())
            .map_err(|error| format!("{}: typing into the console: {error}", self.name))
    }

    /// Pulls the plug: SIGKILL. Returns when it was pulled, and the lines that had still come out.
    ///
    /// # Errors
    /// If the process cannot be killed.
    pub fn cut(&mut self) -> Result<(Instant, Vec<TimedLine>), String> {
        let at = Instant::now();
        self.child.kill().map_err(|error| format!("{}: {error}", self.name))?;
        self.child.wait().map_err(|error| format!("{}: {error}", self.name))?;
        let mut rest = Vec::new();
        while let Some(line) = self.next_line(Duration::from_secs(10)) {
            rest.push(line);
        }
        Ok((at, rest))
    }

    /// Waits until QEMU ends by itself; its exit code. Reads what is left of the log.
    ///
    /// # Errors
    /// At the limit, with the end of the log.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<Option<i32>, String> {
        let end = Instant::now() + limit;
        while self.next_line(end.saturating_duration_since(Instant::now())).is_some() {}
        while Instant::now() < end + Duration::from_secs(1) {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                self.exit_code = Some(status.code());
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(self.complaint(&format!("still running after {} s", limit.as_secs_f32())))
    }

    /// Waits for the end and requires that the kernel called it a success.
    ///
    /// # Errors
    /// As [`Running::wait_exit`], or for another exit code.
    pub fn wait_success(&mut self, limit: Duration) -> Result<(), String> {
        match self.wait_exit(limit)? {
            Some(qemu::EXIT_SUCCESS) => Ok(()),
            other => Err(self.complaint(&format!("ended with exit code {other:?}"))),
        }
    }

    /// A message about this machine, with the end of its log.
    #[must_use]
    pub fn complaint(&self, what: &str) -> String {
        let mut text =
            format!("{}: {what}; the log ({}) ends:\n", self.name, self.log_path.display());
        for line in &self.tail {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.exit_code.is_none() {
            // Failing means that it is gone already.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Carries QEMU's output into the log file, with times, and line by line to the test. Ends with the output.
fn pump(output: impl Read, log: &mut File, sender: &Sender<TimedLine>) {
    let start = Instant::now();
    let mut output = BufReader::new(output);
    let mut pending = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = match output.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        for byte in chunk.iter().take(count) {
            if *byte == b'\n' {
                deliver(&mut pending, start, log, sender);
            } else {
                pending.push(*byte);
            }
        }
    }
    // A line that a cut has torn is not a line; it is only logged.
    if !pending.is_empty() {
        let torn = String::from_utf8_lossy(&pending).into_owned();
        drop(writeln!(log, "{:10.3} {torn} [torn]", start.elapsed().as_secs_f64()));
    }
}

fn deliver(pending: &mut Vec<u8>, start: Instant, log: &mut File, sender: &Sender<TimedLine>) {
    let text = String::from_utf8_lossy(pending).trim_end_matches('\r').to_owned();
    pending.clear();
    let at = Instant::now();
    // Neither a full disk of the host nor a test that stopped listening may stop the machine.
    drop(writeln!(log, "{:10.3} {text}", (at - start).as_secs_f64()));
    drop(sender.send(TimedLine { at, text }));
}
