//! `revenant disk verify`: verifies all code of a disk again, and brings it up to date for this version of the virtual machine if nothing
//! but the verifier is another.
//!
//! A kernel runs no code that its verifier has not passed: it refuses a disk of another one. This command looks at every function and
//! at what the frames of all threads hold, and makes a snapshot in which what does not pass cannot run. Memory is needed for the whole
//! snapshot; older snapshots stay as they are.

use super::create::copies_of;
use super::image::{Image, ImageError};
use super::lay::Laid;
use super::{Mode, VM_ABI};
use crate::run::HostEnvironment;
use clap::Args;
use revenant_bytecode::verify_each;
use revenant_hal::Epoch;
use revenant_vm::memory::HostSpace;
use revenant_vm::{VerifiedAgain, Vm};
use std::path::{Path, PathBuf};

/// Verifies what is on a disk again.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// The disk image
    pub image: PathBuf,
    /// Only say what would change
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs `revenant disk verify`.
///
/// # Errors
/// The image is refused, its objects have another layout, or it cannot be written; one line that says why.
pub(super) fn verify(arguments: &VerifyArguments) -> Result<(), String> {
    let name = arguments.image.display();
    let say = |error: ImageError| format!("{name}: {error}");
    let found = version(&arguments.image).map_err(say)?;
    if found >> 16 != VM_ABI >> 16 {
        return Err(format!(
            "{name}: its objects have layout {}, this system's have {}; use the version that made it",
            found >> 16,
            VM_ABI >> 16
        ));
    }
    let mode = if arguments.dry_run { Mode::Read } else { Mode::Write };
    let mut laid = Laid::open_as(&arguments.image, None, mode, found)?;
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    laid.lay(&space).map_err(say)?;
    let mut environment = HostEnvironment::new(Epoch(laid.epoch.0.saturating_add(1)));
    let mut vm = Vm::resume(&mut environment).map_err(|error| format!("{name}: {error}"))?;
    let done = vm.verify_again(&verify_each);
    tell(&done);
    if arguments.dry_run || (done.changed.is_empty() && found == VM_ABI) {
        return Ok(());
    }
    let changed = done.changed.iter().map(|page| (*page, copies_of(*page), space.page(*page)));
    laid.image.store.set_vm_abi(VM_ABI);
    let epoch = laid.image.snapshot(changed).map_err(say)?;
    println!("snapshot={epoch} vm={}.{}", VM_ABI >> 16, VM_ABI & 0xffff);
    Ok(())
}

/// What the disk was made for.
fn version(image: &Path) -> Result<u32, ImageError> {
    Ok(Image::open(image, Mode::Read, VM_ABI)?.store.superblock().vm_abi)
}

fn tell(done: &VerifiedAgain) {
    println!(
        "verified modules={} functions={} refused={} threads_stopped={}",
        done.modules,
        done.functions,
        done.refused.len(),
        done.stopped.len()
    );
    for refusal in &done.refused {
        println!("  refused: module {refusal}");
    }
    for thread in &done.stopped {
        println!("  thread {thread} stops: its frames do not hold what its code needs");
    }
}
