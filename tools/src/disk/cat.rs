//! `revenant disk cat`: looks into the object tree of any snapshot of a disk.
//!
//! The snapshot's pages are laid where they stand in object space, and the virtual machine reads them like its own. Nothing runs and
//! nothing is written. Memory is needed for the whole snapshot.

use super::lay::Laid;
use crate::run::HostEnvironment;
use clap::Args;
use revenant_hal::Epoch;
use revenant_vm::Vm;
use revenant_vm::memory::HostSpace;
use std::path::PathBuf;

/// Prints an object of a snapshot.
#[derive(Args, Debug)]
pub struct CatArguments {
    /// The disk image
    pub image: PathBuf,
    /// The snapshot's epoch, as `disk snapshots` lists it; by default the newest
    #[arg(long)]
    pub snapshot: Option<u64>,
    /// Names, fields and `[index]`, separated by `/`; by default the root. `past/N/...` leads into snapshot N
    #[arg(long, default_value = "")]
    pub object: String,
}

/// Runs `revenant disk cat`.
///
/// # Errors
/// The image, the snapshot or the path is refused; one line that says why.
pub(super) fn cat(arguments: &CatArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let (snapshot, object) = place(arguments).map_err(|error| format!("{name}: {error}"))?;
    let mut laid = Laid::open(&arguments.image, snapshot)?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    laid.lay(&space).map_err(|error| format!("{name}: {error}"))?;
    let mut environment = HostEnvironment::new(Epoch(laid.epoch.0.saturating_add(1)));
    let vm = Vm::resume(&mut environment).map_err(|error| format!("{name}: {error}"))?;
    let text = vm.inspect(object).map_err(|error| format!("{name}: {error}"))?;
    println!("{}", text.trim_end());
    Ok(())
}

/// The snapshot and the path in it: the past lies beside the present.
fn place(arguments: &CatArguments) -> Result<(Option<u64>, &str), String> {
    let object = arguments.object.trim_start_matches('/');
    let (first, rest) = object.split_once('/').unwrap_or((object, ""));
    if first != "past" {
        return Ok((arguments.snapshot, object));
    }
    if arguments.snapshot.is_some() {
        return Err("either --snapshot or a path that begins with past".to_owned());
    }
    let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let epoch = number.parse().map_err(|_| {
        format!("{number:?} is no snapshot: past/N/..., where N is one that `revenant disk snapshots` lists")
    })?;
    Ok((Some(epoch), rest))
}
