//! `make bench`: runs the kernel's measurements in QEMU, takes figures from elsewhere besides, prints all of them as lines
//! `metric NAME VALUE UNIT` and the table with the bars.
//!
//!     bench [--quick] [--only SCENARIO]... [METRICS_FILE...]
//!
//! The measurements themselves are in the kernel (kernel/src/scenario/bench, kernel/src/probe.rs), or made here of what the log says;
//! `scenarios` says on which machine each runs. Files hold lines of the same kind from the host's benches and from Linux (scripts/bench.sh). A measurement that
//! fails is said, its figures stand in the table as not measured, and the others go on.
#![forbid(unsafe_code)]

mod scenarios;

use clap::Parser;
use core::time::Duration;
use revenant_tests::collections::Collections;
use revenant_tests::cuts::BACKGROUND;
use revenant_tests::figures::Figures;
use revenant_tests::flips::Flips;
use revenant_tests::harness::{Running, built_machine, repository, scratch_file};
use revenant_tools::disk::{self, CreateArguments, DiskCommand};
use revenant_tools::qemu::{Disk, DiskFilter, Firmware, Machine};
use scenarios::{Program, ROUNDS, SCENARIOS, Scenario};
use std::collections::BTreeSet;
use std::fs::{File, read_to_string};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

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

/// A limit far above what a run takes: a machine that hangs must end some time.
const LIMIT: Duration = Duration::from_secs(1800);
/// Bytes of each disk; sparse files.
const DISK_BYTES: u64 = 4 << 30;
/// Of throttled disks, in a second.
const REQUESTS: u64 = 4000;
/// For programs: page-ins queue up, so that at any moment some are on their way.
const FEW_REQUESTS: DiskFilter =
    DiskFilter::Throttle { bytes_per_second: 100 << 20, requests_per_second: 100 };

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut figures = Figures::default();
    let mut fresh = BTreeSet::new();
    let mut failed = Vec::new();
    let wanted = |scenario: &&Scenario| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == scenario.name)
    };
    let count = SCENARIOS.iter().filter(wanted).count();
    for (number, scenario) in SCENARIOS.iter().filter(wanted).enumerate() {
        let start = Instant::now();
        eprintln!("bench: {}/{count} {} ...", number + 1, scenario.name);
        if let Err(message) = run(scenario, arguments.quick, &mut fresh, &mut figures) {
            eprintln!("bench: {message}");
            failed.push(scenario.name);
        }
        eprintln!("bench: {}/{count} {} took {:.0?}", number + 1, scenario.name, start.elapsed());
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
    println!("{}\n{}\n{}", figures.lines(), figures.side_by_side(), figures.table());
    for name in &failed {
        println!("FAILED {name}: build/logs/bench-{name}.log");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
            let bytes_per_second = scenario.speed << 20;
            disk.filter = DiskFilter::Throttle { bytes_per_second, requests_per_second: REQUESTS };
        }
        machine.disks.push(disk);
    }
    if let Some(program) = &scenario.program {
        let mut disk = Disk::new(disk_with(program, scenario.name, rounds)?);
        if scenario.throttled {
            disk.filter = FEW_REQUESTS;
        }
        machine.disks.push(disk);
        if let Some(line) = program.ready {
            run_until(line, scenario.name, &machine)?;
        }
        if let (Some(mebibytes), Some(disk)) = (program.disk, machine.disks.last_mut()) {
            let bytes_per_second = mebibytes << 20;
            disk.filter = DiskFilter::Throttle { bytes_per_second, requests_per_second: REQUESTS };
        }
    }
    let boots = if quick { 1 } else { scenario.boots };
    let runs: Result<Vec<Figures>, String> = (0..boots).map(|_| boot(scenario, &machine)).collect();
    figures.take_medians(&runs?);
    figures.set(&format!("{}.ram", scenario.name), f64::from(scenario.mebibytes()), "MiB");
    Ok(())
}

/// One run of the machine, and what it has measured.
fn boot(scenario: &Scenario, machine: &Machine) -> Result<Figures, String> {
    let (mut figures, mut flips) = (Figures::default(), Flips::default());
    let mut collections = Collections::default();
    let mut started = None;
    let mut running = Running::start(&format!("bench-{}", scenario.name), machine)?;
    while let Some(line) = running.next_line(LIMIT) {
        let text = line.text.strip_prefix(BACKGROUND).unwrap_or(&line.text);
        figures.take_line(scenario.prefix, text);
        flips.line(&line.text);
        collections.line(&line.text);
        match (line.parse().word, scenario.timed, started) {
            ("running", ..) => started = Some(line.at),
            ("main_ended", Some(name), Some(started)) => {
                let seconds = line.at.duration_since(started).as_secs_f64();
                figures.set(&format!("{}{name}", scenario.prefix), seconds, "s");
            }
            _ => {}
        }
    }
    running.wait_success(Duration::from_secs(10))?;
    for line in flips.figures()? {
        figures.take_line(scenario.prefix, &line);
    }
    collections.figures(scenario.prefix, &mut figures);
    Ok(figures)
}

/// Lets the machine run on its disk, without what is to be measured, until a line has come; then pulls the plug.
fn run_until(line: &str, name: &str, machine: &Machine) -> Result<(), String> {
    let mut machine = machine.clone();
    machine.command_line = "retain=1 snapshot_interval_ms=1000".to_owned();
    let mut running = Running::start(&format!("bench-{name}-before"), &machine)?;
    running.wait_for_text(line, LIMIT)?;
    running.cut().map(|_| ())
}

/// A fresh disk with a program on it, and those beside it.
fn disk_with(program: &Program, name: &str, rounds: u32) -> Result<PathBuf, String> {
    let image = scratch_file(&format!("bench-{name}.img"))?;
    let argument = |text: &&str| text.replace(ROUNDS, &rounds.to_string());
    let create = CreateArguments {
        image: image.clone(),
        size: DISK_BYTES,
        modules: vec![repository().join(program.file)],
        arguments: program.arguments.iter().map(argument).collect(),
        programs: program
            .beside
            .iter()
            .map(|text| format!("{} {}", repository().join(program.file).display(), argument(text)))
            .collect(),
        force: true,
        ..CreateArguments::default()
    };
    if disk::run(&DiskCommand::Create(create)) == ExitCode::SUCCESS {
        Ok(image)
    } else {
        Err(format!("{}: not made", image.display()))
    }
}
