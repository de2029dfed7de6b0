//! `revenant repl`: a session in the language on this machine, without persistence.
//!
//! Lines come in, the compiler's session makes a module of each input, and the virtual machine loads it beside those before it and runs it.
//! What is here is the terminal alone: editing, history, Ctrl-C. Without a terminal the lines are printed behind their prompts, so what a
//! script prints reads like a session.

use crate::compile::render;
use crate::modules::finish;
use crate::run::{Console, HostEnvironment, INTERRUPT, Runner};
use clap::Args;
use core::sync::atomic::{AtomicBool, Ordering};
use nix::sys::signal::{SigSet, Signal};
use revenant_bytecode::encode;
use revenant_compiler::Session;
use revenant_hal::Epoch;
use revenant_vm::memory::HostSpace;
use revenant_vm::{Creation, Vm};
use rustyline::error::ReadlineError;
use rustyline::{Config, Editor, history::MemHistory};
use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

/// What stands before an input, and before further lines of it.
const PROMPTS: [&str; 2] = ["> ", ". "];

/// Reads programs line by line, and runs what it reads.
#[derive(Args, Debug)]
pub struct ReplArguments {}

/// Runs `revenant repl`.
#[must_use]
pub fn repl(_: &ReplArguments) -> ExitCode {
    finish(run())
}

/// Where lines come from.
enum Lines {
    Terminal(Box<Editor<(), MemHistory>>),
    Script(io::StdinLock<'static>),
}

/// What became of the attempt to read a line.
enum Line {
    Text(String),
    /// Ctrl-C.
    Interrupted,
    End,
}

impl Lines {
    fn open() -> Result<Self, String> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Script(io::stdin().lock()));
        }
        let editor = Editor::with_history(Config::default(), MemHistory::new());
        editor.map(|editor| Self::Terminal(Box::new(editor))).map_err(|error| error.to_string())
    }

    fn read(&mut self, prompt: &str) -> Result<Line, String> {
        match self {
            Self::Terminal(editor) => match editor.readline(prompt) {
                Ok(text) => Ok(Line::Text(text)),
                Err(ReadlineError::Interrupted) => Ok(Line::Interrupted),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(format!("the terminal: {error}")),
            },
            Self::Script(input) => {
                let mut text = String::new();
                let count = input.read_line(&mut text);
                match count.map_err(|error| format!("standard input: {error}"))? {
                    0 => Ok(Line::End),
                    _ => {
                        let text = text.trim_end_matches(['\n', '\r']);
                        println!("{prompt}{text}");
                        Ok(Line::Text(text.into()))
                    }
                }
            }
        }
    }

    /// An input: as many lines as its brackets need. None at the end.
    fn input(&mut self) -> Result<Option<String>, String> {
        let mut text = String::new();
        loop {
            let prompt = PROMPTS[usize::from(!text.is_empty())];
            match self.read(prompt)? {
                Line::End => return Ok(None),
                Line::Interrupted => text.clear(),
                Line::Text(line) => {
                    text.push_str(&line);
                    if !Session::is_open(&text) {
                        break;
                    }
                    text.push('\n');
                }
            }
        }
        if let Self::Terminal(editor) = self {
            // A history that is full or refuses an empty line is no reason to stop.
            let _ = editor.add_history_entry(&*text);
        }
        Ok(Some(text))
    }
}

/// The console of what runs: the same lines, and Ctrl-C.
struct Terminal {
    lines: Lines,
    interrupted: Arc<AtomicBool>,
}

impl Console for Terminal {
    fn interrupted(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    fn line(&mut self) -> Result<Vec<u8>, String> {
        Ok(match self.lines.read("")? {
            Line::Text(text) => (text + "\n").into_bytes(),
            Line::Interrupted => vec![INTERRUPT],
            Line::End => {
                return Err(String::from("every thread waits for ever, and the input has ended"));
            }
        })
    }
}

fn run() -> Result<(), String> {
    let interrupted = Arc::new(AtomicBool::new(false));
    notice_interruptions(interrupted.clone())?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    let mut session = Session::new();
    let mut terminal = Terminal { lines: Lines::open()?, interrupted };
    let mut runner: Option<Runner> = None;
    while let Some(input) = terminal.lines.input()? {
        let module = match session.compile(&input) {
            Ok(module) => encode(module.module()),
            Err(mistakes) => {
                println!("{}", render(&mistakes, Path::new("")));
                continue;
            }
        };
        terminal.interrupted.store(false, Ordering::Relaxed);
        match &mut runner {
            Some(runner) => runner.go_on(&[&module])?,
            None => runner = Some(begin(&module)?),
        }
        if let Some(runner) = &mut runner {
            runner.until_the_end(&mut terminal)?;
        }
    }
    drop(space);
    Ok(())
}

fn begin(module: &[u8]) -> Result<Runner, String> {
    let mut environment = HostEnvironment::new(Epoch(1));
    let creation = Creation { modules: &[module], arguments: &[], epoch: Epoch(1) };
    let vm = Vm::create(&creation, &mut environment).map_err(|error| error.to_string())?;
    Ok(Runner::new(vm, environment))
}

/// Has a thread wait for Ctrl-C, in place of a handler. While a line is edited the terminal sends none.
fn notice_interruptions(interrupted: Arc<AtomicBool>) -> Result<(), String> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(|error| format!("Ctrl-C: {error}"))?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            interrupted.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}
