//! Looking into the object tree: what `revenant disk cat` prints. Reads only, over whatever object space is mapped: the
//! machine's own, or the pages of any snapshot.
//!
//! A path leads from the root through names of fields, keys of maps and `[index]`, separated by `/`. Besides objects the tree
//! has a few places that are none: the root itself, the table of threads, a module's static variables, a thread's frames.
//!
//! Everything may be damaged: an address that leads to no object is an error that names its page, lengths and depths are
//! bounded, texts are cut.
//!
//! ```text
//!   node   places of the tree and their children        names    slots of built-in classes
//!   typed  kinds of numbers, from modules' files        threads  frames and registers
//!   page   what a page holds                            way      references as paths
//! ```

mod names;
mod node;
mod page;
mod threads;
mod typed;
mod way;

use alloc::format;
use alloc::string::String;

use super::outcome::InspectError;
use crate::memory::Space;
use node::{Child, Node};

pub(in crate::system) use page::describe as describe_page;
pub(in crate::system) use threads::records;
pub use way::{NamedWay, class_name, name_way, title_of};

/// Children of one place that are printed.
const PRINTED_MAX: usize = 200;
/// Names that an error offers.
const OFFERED_MAX: usize = 12;

/// Describes what stands at `path`.
///
/// # Errors
/// The path leads nowhere, or through damage.
pub(super) fn describe(space: Space, path: &str) -> Result<String, InspectError> {
    let mut node = Node::Root;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        node = step(space, node, component)?;
    }
    let mut text = node.whole_title(space)?;
    let (children, more) = node.children(space, PRINTED_MAX)?;
    for child in &children {
        text += &format!("\n  {}: {}", child.name, summary(space, child)?);
    }
    if more > 0 {
        text += &format!("\n  and {more} more");
    }
    Ok(text)
}

fn summary(space: Space, child: &Child) -> Result<String, InspectError> {
    // One broken child must not hide its neighbours.
    match child.node.title(space) {
        Err(InspectError::Damaged { page }) => Ok(format!("damaged, at {page}")),
        other => other,
    }
}

/// The child with this name.
fn step(space: Space, node: Node, component: &str) -> Result<Node, InspectError> {
    if let Some(found) = node.child(space, component)? {
        return Ok(found);
    }
    let (children, more) = node.children(space, OFFERED_MAX)?;
    let mut expected = String::new();
    for child in &children {
        if !expected.is_empty() {
            expected += ", ";
        }
        expected += &child.name;
    }
    if more > 0 {
        expected += ", ...";
    }
    if expected.is_empty() {
        expected = String::from("nothing: there is nothing below");
    }
    Err(InspectError::NotFound { component: String::from(component), expected })
}
