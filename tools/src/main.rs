//! The `revenant` command: a list of subcommands; each stands in a module of its own.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use revenant_tools::{boot, compile, disk, modules, repl, run};
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
    /// Compile a program of the language (LANGUAGE.md) into a module
    Compile(compile::CompileArguments),
    /// Assemble a text into a module
    Asm(modules::AsmArguments),
    /// Print a module as text
    Disasm(modules::DisasmArguments),
    /// Check modules as a loader would
    Verify(modules::VerifyArguments),
    /// Run a program on this machine, without persistence
    Run(run::RunArguments),
    /// Type programs and see what they do, without persistence
    Repl(repl::ReplArguments),
    /// Look into disk images, check and change them
    #[command(subcommand)]
    Disk(disk::DiskCommand),
    /// Boot a disk image in QEMU, with the console on this terminal
    Boot(boot::BootArguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Compile(arguments) => compile::compile_file(&arguments),
        Command::Asm(arguments) => modules::asm(&arguments),
        Command::Disasm(arguments) => modules::disasm(&arguments),
        Command::Verify(arguments) => modules::verify_files(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Repl(arguments) => repl::repl(&arguments),
        Command::Disk(command) => {
            // Its reader may have enough. (A machine that is being run would end, too, when QEMU closes a socket.)
            sigpipe::reset();
            disk::run(&command)
        }
        Command::Boot(arguments) => boot::run(&arguments),
    }
}
