//! Mixed work on a heap of 4 GiB in 64 MiB of memory (samples/mixed.rasm): four programs in groups of their own jump about, make lists and
//! let go of them, and read a table from end to end, while the power is cut now and then. Each checks by content what it holds;
//! the outside witness checks that every thread went on where its snapshot stood; and in the end the disk is read block by block.
//!
//! The short form is part of `make test`; `make long` runs for half an hour. REVENANT_CUTS says how many cuts it makes, each after a
//! minute on average.

use core::time::Duration;
use revenant_tests::cuts::{self, Plan};
use revenant_tests::disks::{check, disk_with_several};
use revenant_tests::harness::built_machine;
use revenant_tools::qemu::{Disk, Firmware};
use std::time::Instant;

type Outcome = Result<(), String>;

/// What the programs do, by their arguments (see the sample); and how they are cut.
struct Mix {
    size: &'static str,
    first: &'static [&'static str],
    beside: &'static [&'static str],
    plan: Plan,
}

fn run(mix: &Mix) -> Outcome {
    let name = &mix.plan.name;
    let image =
        disk_with_several("mixed", &format!("{name}.img"), mix.size, mix.first, mix.beside)?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.memory = "64M".to_owned();
    machine.command_line = "snapshot_interval_ms=1000 retain=2".to_owned();
    machine.disks.push(Disk::new(&image));
    let start = Instant::now();
    let report = cuts::run(&mix.plan, &machine)?;
    println!("{}", report.table());
    println!("{name}: {} audits held in {:.0?}", report.audits_held, start.elapsed());
    match report.complaints().as_slice() {
        [] if report.auditors.len() < 3 => {
            Err(format!("of jumps, lists and walk only {:?} came to an audit", report.auditors))
        }
        [] => check(&image),
        complaints => Err(format!("seed {:#x}:\n{}", mix.plan.seed, complaints.join("\n"))),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn mixed_work_in_more_memory_than_there_is_goes_on_through_cuts() -> Outcome {
    run(&Mix {
        size: "4G",
        first: &["0", "4096", "500"],
        beside: &["1 1500", "2 48", "0 256 200"],
        plan: Plan {
            name: "mixed".to_owned(),
            cuts: 3,
            in_snapshot_every: 2,
            early_every: 0,
            run_most: Duration::from_secs(3),
            seed: 0x4096,
            tell: false,
        },
    })
}

#[test]
#[ignore = "half an hour: make long"]
fn half_an_hour_of_mixed_work_in_more_memory_than_there_is() -> Outcome {
    let cuts = std::env::var("REVENANT_CUTS").ok().and_then(|text| text.parse().ok());
    run(&Mix {
        size: "10G",
        first: &["0", "4096", "4000"],
        beside: &["1 12000", "2 160", "0 1024 2000"],
        plan: Plan {
            name: "mixed-long".to_owned(),
            cuts: cuts.unwrap_or(34),
            in_snapshot_every: 3,
            early_every: 7,
            run_most: Duration::from_secs(100),
            seed: 0x4_0960,
            tell: true,
        },
    })
}
