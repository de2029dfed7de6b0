//! `revenant disk report`: what fills a snapshot, who holds it, what of it is garbage; as one page for a browser.
//!
//! The snapshot's pages are laid where they stand in object space. Nothing runs and nothing is written to the image; memory is needed
//! for the whole snapshot, and some hundred bytes an object besides. Pages that cannot be read are left out, and the page says so.
//!
//! ```text
//!   census      pages, runs, objects        figures   sums by class, age, page, holder
//!   references  slots and roots             page      the page; tables and pictures, its parts
//!   graph       who leads to whom           text      numbers and names for people
//!   dominators  who keeps whom
//! ```

mod census;
mod dominators;
mod figures;
mod graph;
mod page;
mod pictures;
mod references;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use super::lay::Laid;
use super::usage::{Usage, usage};
use census::Census;
use clap::Args;
use figures::{Amount, Figures, object_of};
use graph::{NONE, Traced};
use revenant_hal::{Epoch, Nanoseconds, ObjectAddress};
use revenant_store::Snapshot;
use revenant_vm::memory::layout::{MAGIC, area};
use revenant_vm::memory::{HostSpace, Space};
use revenant_vm::{class_name, name_way, title_of};
use std::path::PathBuf;

/// Entries of lists of single objects.
const LISTED: usize = 16;
/// Objects of a way that are named; of a longer one the page says how far it goes on.
const WAY_MAX: usize = 12;
/// Pages from which on the work takes so long that it says what it does.
const LONG: usize = 16_384;

/// Makes a page about what fills a snapshot.
#[derive(Args, Debug)]
pub struct ReportArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it; by default the newest
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// The page to write
    #[arg(short, long, value_name = "FILE.html")]
    pub output: PathBuf,
}

/// Everything that a page tells.
struct Report<'a> {
    /// The image's name.
    image: String,
    epoch: Epoch,
    wall_time: Nanoseconds,
    newest: bool,
    /// Pages that could not be read.
    damaged: u64,
    space: Space,
    census: &'a Census,
    traced: &'a Traced,
    figures: Figures,
    snapshots: Vec<(Snapshot, Usage)>,
}

impl Report<'_> {
    /// Objects that nothing leads to.
    fn garbage(&self) -> Amount {
        let found = &self.figures.garbage;
        let kinds = [found.cyclic, found.hanging, found.other];
        Amount {
            objects: kinds.iter().map(|kind| kind.objects).sum(),
            bytes: kinds.iter().map(|kind| kind.bytes).sum(),
        }
    }

    /// The path of a node's object, which is empty if nothing leads to it; and what it is, with its class.
    fn describe(&self, number: u32) -> (String, String) {
        const TITLE_MAX: usize = 80;
        let Some(object) = object_of(self.census, number) else {
            return (String::new(), String::new());
        };
        let class = class_name(self.space, object.class);
        let title = title_of(self.space, ObjectAddress(object.address));
        // A title that begins with the class says it already; one that ends with the address says no more than the class.
        let bare = class.rsplit('.').next().unwrap_or(&class);
        let what = match title {
            title if title.contains(" at 0x") => class,
            title if title.starts_with(bare) && bare == class => title,
            title => format!("{class}: {title}"),
        };
        (self.path(number), text::cut(&what, TITLE_MAX))
    }

    /// The names on a shortest way to a node.
    fn path(&self, number: u32) -> String {
        let mut way = Vec::new();
        let mut next = number;
        while let Some(object) = object_of(self.census, next) {
            way.push(ObjectAddress(object.address));
            next = self.traced.before.get(next as usize).copied().unwrap_or(NONE);
        }
        if next != 0 {
            return String::new();
        }
        way.reverse();
        let named = way.get(..WAY_MAX).unwrap_or(&way);
        let path = name_way(self.space, named).path;
        match way.len() - named.len() {
            0 => path,
            more => format!("{path}/\u{2026} {} more", text::count(more as u64)),
        }
    }
}

/// Runs `revenant disk report`.
///
/// # Errors
/// The image or the snapshot is refused, or the page cannot be written; one line that says why.
pub(super) fn report(arguments: &ReportArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let mut laid = Laid::open(&arguments.image, arguments.snapshot)?;
    let long = laid.pages.len() >= LONG;
    let say = |words: &str| {
        if long {
            eprintln!("{name}: {words}");
        }
    };
    say(&format!("reading {} pages", text::count(laid.pages.len() as u64)));
    let host = HostSpace::take().map_err(|error| error.to_string())?;
    let damaged = laid.lay_what_can_be_read(&host);
    let space = host.space();
    if space.load::<u64>(ObjectAddress(area::ROOT)) != MAGIC {
        return Err(format!("{name}: the root page of snapshot {} cannot be read", laid.epoch));
    }
    say("looking for objects");
    let census = Census::take(space, laid.pages.iter().map(|(page, _)| *page));
    say(&format!(
        "following the references of {} objects",
        text::count(census.objects.len() as u64)
    ));
    let traced = graph::trace(space, &census).map_err(|error| format!("{name}: {error}"))?;
    say("adding up");
    let figures = figures::take(&census, &traced, laid.epoch.0, LISTED);
    let superblock = laid.image.store.superblock().clone();
    let (usage, _) = usage(laid.image.disk(), &superblock);
    let usage = usage.into_iter().map(|(_, usage)| usage);
    let snapshots: Vec<(Snapshot, Usage)> =
        superblock.snapshots.entries().iter().copied().zip(usage).collect();
    let this = snapshots.iter().find(|(snapshot, _)| snapshot.epoch == laid.epoch);
    let file = arguments.image.file_name().unwrap_or(arguments.image.as_os_str());
    let report = Report {
        image: file.to_string_lossy().into_owned(),
        epoch: laid.epoch,
        wall_time: this.map_or(Nanoseconds(0), |(snapshot, _)| snapshot.wall_time),
        newest: laid.epoch == superblock.epoch,
        damaged: damaged.len() as u64,
        space,
        census: &census,
        traced: &traced,
        figures,
        snapshots,
    };
    let output = arguments.output.display();
    std::fs::write(&arguments.output, page::page(&report)).map_err(|e| format!("{output}: {e}"))
}
