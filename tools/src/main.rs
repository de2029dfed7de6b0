//! The `revenant` command: a list of subcommands; each stands in a module of its own.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use revenant_tools::boot;
use std::process::ExitCode;

/// Revenant: an operating system whose programs do not notice power cuts.
#[derive(Parser)]
#[command(name = "revenant", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot a disk image in QEMU, with the console on this terminal
    Boot(boot::BootArguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Boot(arguments) => boot::run(&arguments),
    }
}
