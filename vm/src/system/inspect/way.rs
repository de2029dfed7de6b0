//! Ways through references as paths of names: what `revenant disk cat` takes and a report shows.
//!
//! A way of references goes through objects that a path does not name: the elements of a vector, the segments of a map. So each step of
//! a path may pass over a few objects of the way.

use alloc::format;
use alloc::string::String;

use revenant_hal::ObjectAddress;

use super::node::{Node, object_title};
use crate::counting::class_at;
use crate::loader::text_of;
use crate::memory::layout::class::{MODULE, NAME};
use crate::memory::{AddressExt, Space};

/// Objects of a way that one step of a path may pass over: a map's value stands in a segment, a module's in an array.
const PASSED_MAX: usize = 3;

/// A path along a way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedWay {
    /// The names, separated by `/`.
    pub path: String,
    /// Whether the path leads to the end of the way, so that it can be given to `disk cat`. A part that has no name is an ellipsis.
    pub whole: bool,
}

/// Names a way from the root of the object tree along references; the first object is one that the system refers to. Reads only, for the host.
#[must_use]
pub fn name_way(space: Space, way: &[ObjectAddress]) -> NamedWay {
    let (mut node, mut path, mut whole, mut at) = (Node::Root, String::new(), true, 0);
    while let Some(rest) = way.get(at..).filter(|rest| !rest.is_empty()) {
        let named = rest.iter().take(PASSED_MAX).enumerate().find_map(|(passed, object)| {
            node.name_of(space, *object).map(|name| (passed, *object, name))
        });
        let (passed, object, name) = named.unwrap_or_else(|| {
            whole = false;
            (0, rest[0], String::from("\u{2026}"))
        });
        if !path.is_empty() {
            path.push('/');
        }
        path += &name;
        node = Node::Object(object);
        at += passed + 1;
    }
    NamedWay { path, whole }
}

/// What an object is, in one line, as `disk cat` says it; for the host.
#[must_use]
pub fn title_of(space: Space, object: ObjectAddress) -> String {
    object_title(space, object).unwrap_or_else(|_| String::from("damaged"))
}

/// The name of the class with an index, behind that of its module if it has one; for the host.
#[must_use]
pub fn class_name(space: Space, index: u32) -> String {
    let class = class_at(space, index);
    if class.is_null() {
        return format!("class {index}");
    }
    let reference = |object: ObjectAddress, offset| ObjectAddress(space.load(object.plus(offset)));
    let name = text_of(space, reference(class, NAME));
    let module = reference(class, MODULE);
    if module.is_null() {
        return name;
    }
    format!("{}.{name}", text_of(space, reference(module, crate::loader::layout::MODULE_NAME)))
}
