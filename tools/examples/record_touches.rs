//! Records which pages of object space a program touches, for the traces by which page replacement is chosen
//! (`kernel/pager/tests/traces`; the form of the file is described in `revenant_sim::replacement`).
//!
//! ```text
//! scripts/host-cargo run -p revenant-tools --example record_touches -- OUT AFTER KEPT samples/medley.rasm [ARGUMENTS]
//! ```
//!
//! The program runs on the host to its end, or to touch number `AFTER` if that comes first; the last `KEPT` of what was
//! recorded are written. Registers and code
//! are reached without the layer that records: their few pages are in use all the time.

use revenant_sim::replacement::Recording;
use revenant_tools::run::{RunArguments, run};
use revenant_vm::memory::Attempts;
use std::path::PathBuf;
use std::process::ExitCode;

fn record(
    out: &str,
    after: u64,
    kept: usize,
    module: &str,
    arguments: Vec<String>,
) -> Result<(), String> {
    let module = PathBuf::from(module);
    Attempts::record();
    let arguments = RunArguments { module, with: Vec::new(), arguments };
    let code = Attempts::run(after, || run(&arguments));
    let pages = Attempts::take_recorded();
    let pages = &pages[pages.len().saturating_sub(kept)..];
    let numbers: Result<Vec<u32>, _> =
        pages.iter().map(|page| u32::try_from(page & 0xffff_ffff)).collect();
    let mut numbers = numbers.map_err(|error| error.to_string())?;
    numbers.dedup();
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let bytes = Recording(numbers.clone()).encode();
    println!(
        "{out}: {} touches of {} pages in {} bytes; the program ended with {code:?}",
        numbers.len(),
        distinct.len(),
        bytes.len()
    );
    std::fs::write(out, bytes).map_err(|error| format!("{out}: {error}"))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (out, after, kept) = (arguments.next(), arguments.next(), arguments.next());
    let after = after.and_then(|text| text.parse().ok());
    let kept = kept.and_then(|text| text.parse().ok());
    let (Some(out), Some(after), Some(kept), Some(module)) = (out, after, kept, arguments.next())
    else {
        eprintln!("record_touches OUT AFTER KEPT PROGRAM [ARGUMENTS]");
        return ExitCode::FAILURE;
    };
    match record(&out, after, kept, &module, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("record_touches: {text}");
            ExitCode::FAILURE
        }
    }
}
