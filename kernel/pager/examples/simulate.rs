//! `make sim SEED=n`: the whole core below the virtual machine on simulated hardware, by seed.
//!
//!     simulate SEED [STEPS]
//!
//! Prints what happened, or the failure with the seed that repeats it; exit status 1 on failure.

#[expect(dead_code, reason = "the support module serves several test targets")]
#[path = "../tests/support/mod.rs"]
mod support;

use revenant_hal::DiskOperation;
use revenant_sim::{Fault, FaultEffect, FaultTarget};
use std::process::ExitCode;
use support::real_store::Troubles;
use support::simulation::simulate;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(seed)), Ok(steps)) = (arguments.next(), arguments.next().unwrap_or(Ok(20_000)))
    else {
        eprintln!("usage: simulate SEED [STEPS]");
        return ExitCode::from(2);
    };
    // Every third seed has a disk that fails now and then.
    let fault = |operation, one_in| Fault {
        operation,
        target: FaultTarget::OneIn(one_in),
        effect: FaultEffect::Fail,
    };
    let faults = if seed % 3 == 0 {
        vec![fault(DiskOperation::Write, 300), fault(DiskOperation::Flush, 20)]
    } else {
        Vec::new()
    };
    let troubles = Troubles { faults, cut_opening_one_in: 3, ..Troubles::default() };
    match simulate(seed, &troubles, steps, 1000) {
        Ok(tally) => {
            println!("seed {seed}: {steps} steps, every resume equal to its flip");
            println!("{tally:#?}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("seed {seed} FAILED: {text}");
            eprintln!("again with: make sim SEED={seed}");
            ExitCode::FAILURE
        }
    }
}
