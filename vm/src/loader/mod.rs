//! From module files to classes, functions and code in object space; namespaces; the first object space of a disk.
//!
//! A load takes a set of module files and an explicit namespace. Everything that can be refused is refused before anything is
//! allocated; then all objects are made, each without references to another; then, when nothing can fail any more, the
//! references are stored and the namespace gets its new table in one store. So a load happens wholly or not at all, and what a
//! failed one has made is free cells again after the next grace.
//!
//! ```text
//!   unit      files -> verified modules, and the loaded ones that they name        (refusals)
//!   resolve   imports -> functions and classes, shapes compared                    (refusals)
//!   plan      layouts: slots, virtual tables, interfaces, in order of superclasses (refusals)
//!   build     objects, by maker; link: code in its linked form                     (out of memory)
//!   create    the first object space: builtins, root, one program; further programs
//! ```
//!
//! Identity: a class is its class object. Loading the same bytes into the same namespace again yields the same module; another
//! file under a name that is taken is refused; equal names in other namespaces are other modules with other classes.
//!
//! Neighbours: `revenant_bytecode` decodes and verifies, `dispatch` runs what stands here. Not for use in an attempt: loading
//! is done by the host, or by a detached native that begins again when it was stopped.

mod build;
mod builtins;
mod create;
mod error;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "numbers of the disk format whose readers are not all there yet")
)]
pub(crate) mod layout;
mod link;
mod maker;
mod plan;
mod resolve;
mod text;
mod unit;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use revenant_hal::ObjectAddress;

use crate::heap::Allocator;
use crate::memory::Space;

pub(crate) use create::{Created, PROGRAM_GROUP_INDEX, add as add_program, create, go_on};
pub(crate) use error::LoadError;
pub(crate) use text::{bytes_of, element_of, elements_of, slot_of, text_of};
pub(crate) use unit::Table;

/// Loads module files into a namespace; the modules, in the order of the files.
///
/// # Errors
/// A file that does not decode or verify, an import that finds nothing or something else, a name that is taken, no memory.
/// Nothing of any of the files is loaded then.
pub(crate) fn load(
    space: Space,
    allocator: Allocator,
    namespace: ObjectAddress,
    files: &[&[u8]],
) -> Result<Vec<ObjectAddress>, LoadError> {
    let units = unit::Units::gather(space, namespace, files)?;
    let resolved = resolve::resolve(&units)?;
    let plans = plan::plan(&units, &resolved)?;
    build::build(space, allocator, namespace, &units, &resolved, &plans)
}
