//! `revenant disk pages`: what each page of a snapshot holds, and the blocks of the disk where it stands. It tells a person what
//! was lost when a kernel says `unreadable page=P block=B`.
//!
//! Nothing runs and nothing is written. Memory is needed for the whole snapshot.

use super::lay::Laid;
use crate::run::HostEnvironment;
use clap::Args;
use revenant_hal::{Epoch, PageIndex};
use revenant_vm::Vm;
use revenant_vm::memory::HostSpace;
use std::path::PathBuf;

/// Lists the pages of a snapshot.
#[derive(Args, Debug)]
pub struct PagesArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it; by default the newest
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// Only this page, by its number as the kernel's log has it
    #[arg(long)]
    pub page: Option<u64>,
}

/// Runs `revenant disk pages`.
///
/// # Errors
/// The image or the snapshot is refused, or the page is not stored; one line that says why.
pub(super) fn pages(arguments: &PagesArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let mut laid = Laid::open(&arguments.image, arguments.snapshot)?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    let damaged = laid.lay_what_can_be_read(&space);
    let mut environment = HostEnvironment::new(Epoch(laid.epoch.0.saturating_add(1)));
    let vm = Vm::resume(&mut environment).map_err(|error| format!("{name}: {error}"))?;
    let wanted = |page: PageIndex| arguments.page.is_none_or(|wanted| wanted == page.0);
    let mut found = false;
    for (page, reference) in laid.pages.iter().filter(|(page, _)| wanted(*page)) {
        found = true;
        let blocks: Vec<String> = reference.blocks().map(|block| block.to_string()).collect();
        println!(
            "page={page} address={:#x} blocks={}{} holds {}",
            page.address().0,
            blocks.join(","),
            if damaged.contains(page) { " unreadable" } else { "" },
            vm.inspect_page(*page)
        );
    }
    match arguments.page {
        Some(page) if !found => {
            let holds = vm.inspect_page(PageIndex(page));
            Err(format!("{name}: page {page} is not stored: it is zeros ({holds})"))
        }
        _ => Ok(()),
    }
}
