//! `revenant disk digest`: one number for all that a snapshot holds, to compare snapshots and disks by; and, with `--turns`, for
//! what its programs make of it in so many turns of the schedule that every machine repeats.
//!
//! The number is a sum over pages, so pages of zeros do not matter. It is no cryptographic hash. Nothing is written.

use super::lay::Laid;
use clap::Args;
use core::convert::Infallible;
use revenant_hal::{PageBytes, PageIndex};
use revenant_vm::Vm;
use revenant_vm::memory::HostSpace;
use revenant_vm::script::{Host, Script};
use std::path::PathBuf;

/// Prints one number for everything that a snapshot holds.
#[derive(Args, Debug)]
pub struct DigestArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it; by default the newest
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// First let its programs take so many turns in memory, as a kernel with test=digest rounds=N does
    #[arg(long)]
    pub turns: Option<u64>,
    /// Print a line for every page, too
    #[arg(long)]
    pub pages: bool,
}

/// Runs `revenant disk digest`.
///
/// # Errors
/// The image or the snapshot is refused; one line that says why.
pub(super) fn digest(arguments: &DigestArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let mut laid = Laid::open(&arguments.image, arguments.snapshot)?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    laid.lay(&space).map_err(|error| format!("{name}: {error}"))?;
    if let Some(turns) = arguments.turns {
        let mut script = Script::new(laid.epoch);
        let mut vm = Vm::resume(&mut script).map_err(|error| format!("{name}: {error}"))?;
        let Ok(()) = script.run(&mut vm, turns, &mut Memory);
    }
    let (mut pages, mut sum) = (0_u64, 0_u64);
    for page in space.touched().into_iter().flat_map(|range| range.start.0..range.end.0) {
        let value = page_digest(PageIndex(page), &space.page(PageIndex(page)));
        if value == 0 {
            continue;
        }
        pages += 1;
        sum = sum.wrapping_add(value);
        if arguments.pages {
            println!("page={page} value={value:016x}");
        }
    }
    let turns = arguments.turns.unwrap_or(0);
    println!("digest epoch={} turns={turns} pages={pages} value={sum:016x}", laid.epoch);
    Ok(())
}

/// A page's part of the sum: 0 for a page of zeros, else a number that depends on every byte and on the page's place.
fn page_digest(page: PageIndex, bytes: &PageBytes) -> u64 {
    let mut digest = 0_u64;
    for chunk in bytes.0.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*chunk);
        digest = (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    digest.wrapping_mul(page.0.wrapping_mul(2).wrapping_add(1))
}

/// Object space in memory: every attempt is whole, and what programs print is not of interest.
struct Memory;

impl Host for Memory {
    type Error = Infallible;

    fn whole<V>(&mut self, attempt: impl FnOnce() -> V) -> Result<V, Infallible> {
        Ok(attempt())
    }

    fn print(&mut self, _: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::page_digest;
    use revenant_hal::{PageBytes, PageIndex};

    #[test]
    fn a_digest_depends_on_every_byte_and_on_the_place() {
        assert_eq!(page_digest(PageIndex(5), &PageBytes::ZERO), 0);
        let mut seen = std::collections::BTreeSet::new();
        for place in 0..4096 {
            let mut page = PageBytes::ZERO;
            page.0[place] = 1;
            assert!(seen.insert(page_digest(PageIndex(5), &page)), "byte {place}");
            assert!(seen.insert(page_digest(PageIndex(6), &page)), "byte {place}");
        }
    }
}
