//! The Revenant kernel: this file is the boot, read from top to bottom, one call and its reason a line.
//!
//! The binary only wires: hardware is in `revenant-machine`, policy in `revenant-store`, `revenant-pager` and
//! `revenant-vm`. It has one way to start: to resume the snapshot on its disk.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod collection;
mod console;
#[cfg(target_os = "none")]
mod disk;
#[cfg(target_os = "none")]
mod event_loop;
#[cfg(target_os = "none")]
mod last_words;
#[cfg(target_os = "none")]
mod load;
#[cfg(target_os = "none")]
mod log;
#[cfg(target_os = "none")]
mod lost_found;
#[cfg(target_os = "none")]
mod probe;
#[cfg(target_os = "none")]
mod programs;
#[cfg(target_os = "none")]
mod report;
#[cfg(target_os = "none")]
mod resume;
#[cfg(target_os = "none")]
mod scenario;
#[cfg(target_os = "none")]
mod snapshot;
#[cfg(target_os = "none")]
mod space;
#[cfg(target_os = "none")]
mod world;

#[cfg(target_os = "none")]
revenant_machine::entry_point!(kernel_main);

#[cfg(target_os = "none")]
fn kernel_main(mut handover: revenant_machine::boot::Handover) -> ! {
    use revenant_machine::{clock, command_line, cpu, descriptors, exit, frames, fw_cfg, heap};
    use revenant_machine::{interrupts, serial};

    let entered = cpu::timestamp(); // what the time to the first program instruction is counted from
    serial::initialise(); // first of all: everything that fails later can say why
    log!("revenant version={}", env!("CARGO_PKG_VERSION"));
    heap::initialise(&mut handover); // before anything allocates
    descriptors::initialise(); // from here on a fault is a message instead of a reset
    let clock = clock::MachineClock::calibrate(); // while interrupts are off and cannot disturb it
    clock::start_ticking();
    interrupts::initialise(); // every line has a handler now
    serial::enable_interrupts(); // the log no longer waits for the wire
    cpu::enable_interrupts();
    let line = fw_cfg::read_text(command_line::FILE).unwrap_or_default();
    let (options, problems) = command_line::parse(&line);
    for problem in &problems {
        if problem.is_fatal() {
            log!("refused {problem}"); // a state to go back to is not guessed, and no disk touched
            exit::exit(exit::ExitCode::Failure)
        }
        log!("{problem}"); // a typing mistake is said and passed over
    }
    if options.quiet {
        log::be_quiet(); // a person reads along, no program
    }
    let (frames, tables) = frames::take_all(handover); // what is left of RAM belongs to the pager
    let machine = scenario::Machine { clock, entered, options, frames, tables };
    let outcome = scenario::run(machine);
    exit::exit(outcome)
}

/// There is no kernel on the host; this keeps `cargo check --workspace` whole.
#[cfg(not(target_os = "none"))]
fn main() {}
