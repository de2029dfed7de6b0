//! Looking into the object tree: what `revenant disk cat` prints. Reads only, on the host, over the pages of any snapshot.
//!
//! The tree begins at a root with the names of [`ROOT_NAMES`]; below, objects have the parts that their class says: fields by name,
//! elements as `[index]`, entries of maps by their keys. Whatever damage put there, addresses are confined, indices bounded, and lists cut.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::outcome::InspectError;
use crate::counting::{class_at, class_of, kind_of};
use crate::loader::layout as made;
use crate::loader::text_of;
use crate::memory::layout::system::root;
use crate::memory::layout::{area, class, object, thread};
use crate::memory::{AddressExt, Space};
use crate::object::{array, map, vector};

/// Most parts of one object that are listed.
const LISTED_MAX: usize = 200;
/// Most entries of a map that are searched for a key.
const SEARCHED_MAX: usize = 1 << 20;
/// Most characters of a text that stand in a list.
const TEXT_MAX: usize = 60;

/// What the root shows: references of the root page.
const ROOT_NAMES: [(&str, u64); 7] = [
    ("programs", root::PROGRAMS),
    ("directory", root::DIRECTORY),
    ("groups", root::GROUPS),
    ("builtins", root::BUILTIN_NAMESPACE),
    ("session", root::CONSOLE_SESSION),
    ("restart_event", root::RESTART_EVENT),
    ("modules", root::MODULES),
];

/// A place in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Root,
    Threads,
    Object(ObjectAddress),
    Raw(u64),
}

/// A named part of an object.
type Part = (String, Place);

/// Describes the object at `path`.
///
/// # Errors
/// The path leads nowhere.
pub(super) fn describe(space: Space, path: &str) -> Result<String, InspectError> {
    let mut place = Place::Root;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        place = step(space, place, component)?;
    }
    let mut text = line(space, place);
    text.push('\n');
    let parts = parts(space, place, LISTED_MAX);
    let more = parts.len() >= LISTED_MAX;
    for (name, part) in parts {
        text.push_str(&format!("  {name}: {}\n", line(space, part)));
    }
    if more {
        text.push_str("  ...\n");
    }
    Ok(text)
}

fn step(space: Space, place: Place, component: &str) -> Result<Place, InspectError> {
    let mut known = parts(space, place, SEARCHED_MAX);
    if let Some(found) = known.iter().find(|(name, _)| name == component) {
        return Ok(found.1);
    }
    known.truncate(8);
    let names: Vec<String> = known.into_iter().map(|(name, _)| name).collect();
    let expected = if names.is_empty() {
        String::from("nothing: there are no parts")
    } else {
        format!("{} and so on", names.join(", "))
    };
    Err(InspectError::NotFound { component: component.to_string(), expected })
}

/// A place in one line: class, address, and what it says if that is short.
fn line(space: Space, place: Place) -> String {
    let address = match place {
        Place::Root => return String::from("root of the object tree"),
        Place::Threads => return String::from("all threads"),
        Place::Raw(word) => return raw(word),
        Place::Object(address) if address.is_null() => return String::from("null"),
        Place::Object(address) => address,
    };
    let class_index = space.load::<u32>(address.plus(object::CLASS));
    let class_object = class_at(space, class_index);
    if class_object.is_null() {
        return format!("damaged object at {:#x}: no class {class_index}", address.0);
    }
    let mut text = text_of(space, ObjectAddress(space.load(class_object.plus(class::NAME))));
    if text.is_empty() {
        text = format!("class {class_index}");
    }
    let value = || space.load::<u64>(address.plus(object::BOX_VALUE));
    match builtin(class_index) {
        Some(Builtin::String) => text = format!("{:?}", shorten(&text_of(space, address))),
        Some(Builtin::Long) => text = format!("Long {}", value().cast_signed()),
        Some(Builtin::Double) => text = format!("Double {:?}", f64::from_bits(value())),
        Some(Builtin::Class | Builtin::Function | Builtin::Module | Builtin::Program) => {
            let offset = match builtin(class_index) {
                Some(Builtin::Class) => class::NAME,
                Some(Builtin::Function) => made::FUNCTION_NAME,
                Some(Builtin::Module) => made::MODULE_NAME,
                _ => made::PROGRAM_NAME,
            };
            let name = text_of(space, ObjectAddress(space.load(address.plus(offset))));
            text = format!("{text} {}", shorten(&name));
        }
        Some(Builtin::Vector) => text = format!("Vector of {}", vector::length(space, address)),
        Some(Builtin::Map) => text = format!("Map of {}", map::length(space, address)),
        _ if is_array(kind_of(space, address)) => {
            text = format!("{text} of {}", array::length(space, address));
        }
        _ => {}
    }
    format!("{text} @{:#x}", address.0)
}

/// A number whose kind object space does not tell.
fn raw(word: u64) -> String {
    let float = f64::from_bits(word);
    // What looks like a float of ordinary size is shown as one too.
    if float.is_finite() && float.abs() > 1e-30 && float.abs() < 1e30 {
        format!("{} (as f64 {float:?})", word.cast_signed())
    } else {
        format!("{}", word.cast_signed())
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_MAX).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

fn builtin(class_index: u32) -> Option<Builtin> {
    Builtin::from_number(class_index)
}

const fn is_array(kind: u8) -> bool {
    matches!(kind, class::KIND_REFERENCE_ARRAY | class::KIND_RAW_ARRAY)
}

/// The first `limit` parts of a place.
fn parts(space: Space, place: Place, limit: usize) -> Vec<Part> {
    match place {
        Place::Raw(_) => Vec::new(),
        Place::Root => {
            let word = |offset| space.load::<u64>(ObjectAddress(area::ROOT + offset));
            let mut parts: Vec<Part> = ROOT_NAMES
                .iter()
                .map(|(name, offset)| (*name, Place::Object(ObjectAddress(word(*offset)))))
                .map(|(name, place)| (String::from(name), place))
                .collect();
            parts.push((String::from("threads"), Place::Threads));
            let clock = Place::Raw(word(root::MACHINE_CLOCK));
            let restarts = Place::Raw(word(root::RESTART_GENERATION));
            parts.push((String::from("machine_clock"), clock));
            parts.push((String::from("restart_generation"), restarts));
            parts
        }
        Place::Threads => threads(space, limit),
        Place::Object(address) if address.is_null() => Vec::new(),
        Place::Object(address) => object_parts(space, address, limit),
    }
}

fn threads(space: Space, limit: usize) -> Vec<Part> {
    let count = space.load::<u64>(ObjectAddress(area::ROOT + root::NEXT_THREAD));
    (1..count.min(area::THREAD_TABLE_ENTRIES))
        .map(|index| (index, space.load::<u64>(ObjectAddress(area::THREAD_TABLE + 8 * index))))
        // Free entries hold the next free one as an odd number.
        .filter(|(_, word)| word & 1 == 0 && *word != 0)
        .map(|(index, word)| (format!("[{index}]"), Place::Object(ObjectAddress(word))))
        .take(limit)
        .collect()
}

fn object_parts(space: Space, address: ObjectAddress, limit: usize) -> Vec<Part> {
    let class_index = space.load::<u32>(address.plus(object::CLASS));
    let reference = |offset: u64| Place::Object(ObjectAddress(space.load(address.plus(offset))));
    let word = |offset: u64| Place::Raw(space.load(address.plus(offset)));
    let named = |list: &[(&str, Place)]| {
        list.iter().map(|(name, place)| (String::from(*name), *place)).collect::<Vec<_>>()
    };
    match builtin(class_index) {
        Some(Builtin::Map) => map_parts(space, address, limit),
        Some(Builtin::Vector) => {
            let elements = ObjectAddress(space.load(address.plus(object::VECTOR_ELEMENTS)));
            elements_of(space, elements, vector::length(space, address), limit)
        }
        Some(Builtin::Program) => named(&[
            ("namespace", reference(made::PROGRAM_NAMESPACE)),
            ("group", reference(made::PROGRAM_GROUP)),
            ("main", reference(made::PROGRAM_MAIN)),
            ("environment", reference(made::PROGRAM_ENVIRONMENT)),
            ("directory", reference(made::PROGRAM_DIRECTORY)),
            ("exception", reference(made::PROGRAM_EXCEPTION)),
            ("state", word(made::PROGRAM_STATE)),
            ("exit", word(made::PROGRAM_EXIT)),
        ]),
        Some(Builtin::Environment) => named(&[
            ("arguments", reference(made::ENVIRONMENT_ARGUMENTS)),
            ("console", reference(made::ENVIRONMENT_CONSOLE)),
            ("directory", reference(made::ENVIRONMENT_DIRECTORY)),
            ("restart_event", reference(made::ENVIRONMENT_RESTART_EVENT)),
        ]),
        Some(Builtin::Namespace) => {
            let modules = ObjectAddress(space.load(address.plus(made::NAMESPACE_MODULES)));
            by_name(space, elements_of(space, modules, u64::MAX, limit))
        }
        Some(Builtin::Module) => named(&[
            ("functions", reference(made::MODULE_FUNCTIONS)),
            ("classes", reference(made::MODULE_CLASSES)),
            ("strings", reference(made::MODULE_STRINGS)),
            ("exports", reference(made::MODULE_EXPORTS)),
            ("static_names", reference(made::MODULE_STATIC_NAMES)),
            ("static_raws", reference(made::MODULE_STATIC_RAWS)),
            ("static_references", reference(made::MODULE_STATIC_REFERENCES)),
            ("version", word(made::MODULE_VERSION)),
        ]),
        Some(Builtin::Closure) => named(&[
            ("function", reference(made::CLOSURE_FUNCTION)),
            ("environment", reference(made::CLOSURE_ENVIRONMENT)),
        ]),
        Some(Builtin::Thread) => named(&[
            ("program", reference(thread::PROGRAM)),
            ("group", reference(thread::GROUP)),
            ("waits_for", reference(thread::WAIT_OBJECT)),
            ("uncaught", reference(thread::UNCAUGHT)),
            ("steps", word(thread::STEPS)),
            ("deadline", word(thread::DEADLINE)),
            ("state", Place::Raw(space.load::<u32>(address.plus(thread::STATE)).into())),
        ]),
        _ if is_array(kind_of(space, address)) => elements_of(space, address, u64::MAX, limit),
        _ => fields(space, address, limit),
    }
}

/// The elements of an array, at most as many as are in use.
fn elements_of(space: Space, array: ObjectAddress, used: u64, limit: usize) -> Vec<Part> {
    if array.is_null() {
        return Vec::new();
    }
    let count = array::length(space, array).min(used).min(limit as u64);
    let references = kind_of(space, array) == class::KIND_REFERENCE_ARRAY;
    let shift = space.load::<u8>(class_of(space, array).plus(class::ELEMENT_SHIFT)).min(3);
    let element = |index: u64| {
        if references {
            return Place::Object(ObjectAddress(
                space.load(array.plus(object::PAYLOAD + 8 * index)),
            ));
        }
        let mut bytes = [0; 8];
        let width = 1_usize << shift;
        if let Some(bytes) = bytes.get_mut(..width) {
            space.read(array.plus(object::PAYLOAD + (index << shift)), bytes);
        }
        Place::Raw(u64::from_le_bytes(bytes))
    };
    (0..count).map(|index| (format!("[{index}]"), element(index))).collect()
}

/// Elements that are pairs of a text and an object, by the texts; others as they are.
fn by_name(space: Space, elements: Vec<Part>) -> Vec<Part> {
    let name = |place| match place {
        Place::Object(text) if !text.is_null() => {
            let class_index = space.load::<u32>(text.plus(object::CLASS));
            (builtin(class_index) == Some(Builtin::String)).then(|| text_of(space, text))
        }
        _ => None,
    };
    let pairs: Option<Vec<Part>> = elements
        .chunks(2)
        .map(|pair| match pair {
            [(_, first), (_, second)] => name(*first).map(|name| (name, *second)),
            _ => None,
        })
        .collect();
    pairs.unwrap_or(elements)
}

/// Entries by their keys: texts as they are, numbers in decimal, others by address.
fn map_parts(space: Space, address: ObjectAddress, limit: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut cursor = 0;
    while parts.len() < limit {
        match map::next(space, address, cursor) {
            map::Next::Entry { key, value, cursor: next } => {
                cursor = next;
                let number = || space.load::<u64>(key.plus(object::BOX_VALUE));
                let name = match builtin(space.load(key.plus(object::CLASS))) {
                    Some(Builtin::String) => text_of(space, key),
                    Some(Builtin::Long) => format!("{}", number().cast_signed()),
                    Some(Builtin::Double) => format!("{:?}", f64::from_bits(number())),
                    _ => format!("@{:#x}", key.0),
                };
                parts.push((name, Place::Object(value)));
            }
            map::Next::GoOn(next) => cursor = next,
            map::Next::End => break,
        }
    }
    parts
}

/// The fields of an object whose class names them; of others the slots by number.
fn fields(space: Space, address: ObjectAddress, limit: usize) -> Vec<Part> {
    let class_object = class_of(space, address);
    if class_object.is_null() || kind_of(space, address) != class::KIND_PLAIN {
        return Vec::new();
    }
    let names = ObjectAddress(space.load(class_object.plus(class::FIELD_NAMES)));
    let name_count = if names.is_null() { 0 } else { array::length(space, names) };
    let bitmap = space.load::<u64>(class_object.plus(class::REFERENCE_BITMAP));
    let slots = u64::from(space.load::<u32>(class_object.plus(class::SLOTS)));
    let count = slots.min(64).min(limit as u64);
    (0..count)
        .map(|slot| {
            let word = space.load::<u64>(address.plus(object::PAYLOAD + 8 * slot));
            let is_reference = bitmap >> slot & 1 != 0;
            let place =
                if is_reference { Place::Object(ObjectAddress(word)) } else { Place::Raw(word) };
            let name = if slot < name_count {
                text_of(space, array::reference(space, names, slot))
            } else {
                format!("slot {slot}")
            };
            (name, place)
        })
        .collect()
}
