//! `make bench`: runs the kernel's measurements in QEMU, takes figures from elsewhere besides, prints all of them as lines
//! `metric NAME VALUE UNIT` and the table with the bars.
//!
//!     bench [--quick] [--only SCENARIO]... [METRICS_FILE...]
//!
//! The measurements themselves are in the kernel (kernel/src/scenario/bench); this says on which machine each runs. Files hold
//! lines of the same kind from the host's benches and from Linux (scripts/bench.sh).
#![forbid(unsafe_code)]

use clap::Parser;
use core::time::Duration;
use revenant_tests::figures::Figures;
use revenant_tests::harness::{Running, built_machine, repository, scratch_file};
use revenant_tools::disk::{self, CreateArguments, DiskCommand};
use revenant_tools::qemu::{Disk, DiskFilter, Firmware};
use std::collections::BTreeSet;
use std::fs::{File, read_to_string};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures the machine in QEMU and prints one table.
#[derive(Parser)]
struct Arguments {
    /// Fewer repetitions: to see that everything works
    #[arg(long)]
    quick: bool,
    /// Only these measurements
    #[arg(long)]
    only: Vec<String>,
    /// Files with further lines `metric NAME VALUE UNIT`
    metrics: Vec<PathBuf>,
}

/// One run of the machine.
struct Scenario {
    name: &'static str,
    /// Before the names of its figures.
    prefix: &'static str,
    memory: &'static str,
    /// The kernel's command line, without `rounds`.
    command_line: &'static str,
    rounds: u32,
    rounds_quick: u32,
    /// Disks by file name; a file that an earlier scenario of this run has made is used again.
    disks: &'static [&'static str],
    throttled: bool,
    /// Instructions are the clock.
    instructions: bool,
    /// A program of samples/bench on a disk of its own, instead of `disks`.
    program: Option<&'static str>,
}

/// A limit far above what a run takes: a machine that hangs must end some time.
const LIMIT: Duration = Duration::from_secs(1800);
/// Bytes of each disk; sparse files.
const DISK_BYTES: u64 = 4 << 30;
const THROTTLE: DiskFilter =
    DiskFilter::Throttle { bytes_per_second: 100 << 20, requests_per_second: 4000 };

const PLAIN: Scenario = Scenario {
    name: "",
    prefix: "",
    memory: "1G",
    command_line: "",
    rounds: 25,
    rounds_quick: 3,
    disks: &[],
    throttled: false,
    instructions: false,
    program: None,
};

/// 100 snapshots and more in `flip`: four sizes, 25 rounds.
const SCENARIOS: [Scenario; 10] = [
    Scenario { name: "flip", command_line: "bench=flip", disks: &["flip"], ..PLAIN },
    Scenario {
        name: "flip-instructions",
        prefix: "instructions.",
        command_line: "bench=flip",
        rounds: 3,
        rounds_quick: 1,
        disks: &["flip-instructions"],
        instructions: true,
        ..PLAIN
    },
    Scenario { name: "faults", command_line: "bench=faults", disks: &["faults"], ..PLAIN },
    Scenario {
        name: "blocks",
        command_line: "bench=blocks pages=131072",
        disks: &["blocks"],
        ..PLAIN
    },
    Scenario {
        name: "prepare",
        command_line: "bench=prepare pages=65536",
        disks: &["stored"],
        ..PLAIN
    },
    Scenario {
        name: "page-in",
        command_line: "bench=page_in pages=65536",
        rounds: 2000,
        rounds_quick: 200,
        disks: &["stored"],
        ..PLAIN
    },
    Scenario {
        name: "flip-busy",
        command_line: "bench=flip_busy pages=65536",
        disks: &["stored"],
        ..PLAIN
    },
    Scenario {
        name: "bandwidth",
        prefix: "unthrottled.",
        command_line: "bench=bandwidth pages=16384",
        rounds: 5,
        disks: &["bandwidth", "raw"],
        ..PLAIN
    },
    Scenario {
        name: "bandwidth-throttled",
        prefix: "throttled.",
        command_line: "bench=bandwidth pages=16384",
        rounds: 5,
        disks: &["bandwidth-throttled", "raw-throttled"],
        throttled: true,
        ..PLAIN
    },
    Scenario {
        name: "float",
        prefix: "machine.",
        memory: "256M",
        command_line: "exit_on_main=1",
        program: Some("samples/bench/float.rasm"),
        ..PLAIN
    },
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    let mut fresh = BTreeSet::new();
    let mut failed = 0;
    for scenario in &SCENARIOS {
        let wanted =
            arguments.only.is_empty() || arguments.only.iter().any(|name| name == scenario.name);
        if wanted && let Err(message) = run(scenario, arguments.quick, &mut fresh, &mut figures) {
            eprintln!("bench: {message}");
            failed += 1;
        }
    }
    for path in &arguments.metrics {
        match read_to_string(path) {
            Ok(text) => text.lines().for_each(|line| {
                figures.take_line("", line);
            }),
            Err(error) => eprintln!("bench: {}: {error}", path.display()),
        }
    }
    figures.derive();
    println!("{}\n{}", figures.lines(), figures.table());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(
    scenario: &Scenario,
    quick: bool,
    fresh: &mut BTreeSet<&'static str>,
    figures: &mut Figures,
) -> Result<(), String> {
    let rounds = if quick { scenario.rounds_quick } else { scenario.rounds };
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = scenario.memory.to_owned();
    machine.command_line = format!("{} rounds={rounds}", scenario.command_line);
    machine.instruction_clock = scenario.instructions.then_some(0);
    for name in scenario.disks {
        let image = scratch_file(&format!("bench-{name}.img"))?;
        if fresh.insert(name) {
            File::create(&image)
                .and_then(|file| file.set_len(DISK_BYTES))
                .map_err(|error| format!("{}: {error}", image.display()))?;
        }
        let mut disk = Disk::new(image);
        if scenario.throttled {
            disk.filter = THROTTLE;
        }
        machine.disks.push(disk);
    }
    if let Some(program) = scenario.program {
        machine.disks.push(Disk::new(disk_with(program, scenario.name)?));
    }
    eprintln!("bench: {} ({}, {})", scenario.name, machine.memory, machine.command_line);
    let mut running = Running::start(&format!("bench-{}", scenario.name), &machine)?;
    while let Some(line) = running.next_line(LIMIT) {
        figures.take_line(scenario.prefix, &line.text);
    }
    running.wait_success(Duration::from_secs(10))
}

/// A fresh disk with a program on it.
fn disk_with(program: &str, name: &str) -> Result<PathBuf, String> {
    let image = scratch_file(&format!("bench-{name}.img"))?;
    let create = CreateArguments {
        image: image.clone(),
        size: 256 << 20,
        modules: vec![repository().join(program)],
        arguments: Vec::new(),
        force: true,
    };
    if disk::run(&DiskCommand::Create(create)) == ExitCode::SUCCESS {
        Ok(image)
    } else {
        Err(format!("{}: not made", image.display()))
    }
}
