//! Places of the object tree: what each is called, and what stands below it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::names::{self, NamedSlot, Slot};
use super::threads::{records, registers, threads};
use super::typed::{raw_kinds, raw_text, statics};
use crate::counting::class_of;
use crate::heap::metadata;
use crate::loader::layout::{
    FUNCTION_MODULE, FUNCTION_NAME, MODULE_EXPORTS, MODULE_NAME, MODULE_STATIC_NAMES,
    NAMESPACE_MODULES,
};
use crate::loader::text_of;
use crate::memory::layout::class::{
    ELEMENT_SHIFT, FIELD_NAMES, KIND, KIND_PLAIN, KIND_RAW_ARRAY, KIND_REFERENCE_ARRAY, MODULE,
    NAME, REFERENCE_BITMAP, SLOTS, SUPERCLASS,
};
use crate::memory::layout::object::{BOX_VALUE, CLASS, PAYLOAD, WEAK_TARGET};
use crate::memory::layout::system::root;
use crate::memory::layout::thread::{
    RECORD_FUNCTION, STATE, STATE_DAMAGED, STATE_ENDED, STATE_RUNNABLE, STATE_WAITING,
};
use crate::memory::layout::{GRANULE, area, class};
use crate::memory::{AddressExt, Space};
use crate::object::map::{self, Next};
use crate::object::{array, string, vector};
use crate::system::InspectError;

/// Bytes of a text that a title shows.
const TEXT_MAX: u64 = 200;
/// Bytes of a text that stands for itself.
const WHOLE_TEXT_MAX: u64 = 1 << 16;
/// Entries of a map, or frames, that a search by name looks at.
pub(super) const SEARCHED_MAX: usize = 1 << 20;

/// A place of the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Node {
    /// Where paths begin.
    Root,
    /// The table of threads.
    Threads,
    /// An object, or null.
    Object(ObjectAddress),
    /// Static variables of a module.
    Statics(ObjectAddress),
    /// Frames of a thread, innermost first.
    Frames(ObjectAddress),
    /// The frame with this call record.
    Frame { thread: ObjectAddress, record: ObjectAddress, position: u64 },
    /// A value that is no object.
    Value(String),
}

/// A place and its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) node: Node,
}

/// Children found so far, at most a limit; how many there would be.
pub(super) struct List {
    children: Vec<Child>,
    limit: usize,
    more: usize,
    /// Only this object, and places that are no objects, are of interest.
    wanted: Option<ObjectAddress>,
}

impl List {
    const fn new(limit: usize) -> Self {
        Self { children: Vec::new(), limit, more: 0, wanted: None }
    }

    pub(super) fn push(&mut self, name: impl FnOnce() -> String, node: impl FnOnce() -> Node) {
        if self.children.len() < self.limit {
            let node = node();
            let passed_over = match &node {
                Node::Object(object) => self.wanted.is_some_and(|wanted| wanted != *object),
                Node::Value(_) => self.wanted.is_some(),
                _ => false,
            };
            if !passed_over {
                self.children.push(Child { name: name(), node });
            }
        } else {
            self.more += 1;
        }
    }

    /// Of `length` children, those that still fit; the others are counted. However wrong the length is, it costs nothing.
    pub(super) fn take(&mut self, length: u64) -> core::ops::Range<u64> {
        let room = self.limit.saturating_sub(self.children.len()) as u64;
        let shown = length.min(room);
        let hidden = usize::try_from(length - shown).unwrap_or(usize::MAX);
        self.more = self.more.saturating_add(hidden);
        0..shown
    }

    /// `[0]` and so on: one child for each of `length` elements.
    fn elements(&mut self, length: u64, node: impl Fn(u64) -> Node) {
        for index in self.take(length) {
            self.push(|| format!("[{index}]"), || node(index));
        }
    }

    fn slots(&mut self, space: Space, object: ObjectAddress, slots: &[NamedSlot]) {
        for (name, offset, slot) in slots {
            let place = object.plus(*offset);
            self.push(
                || String::from(*name),
                || match slot {
                    Slot::Reference => Node::Object(ObjectAddress(space.load(place))),
                    Slot::Number => Node::Value(number(space.load(place))),
                    Slot::Half => Node::Value(space.load::<u32>(place).to_string()),
                },
            );
        }
    }
}

pub(super) fn number(word: u64) -> String {
    word.cast_signed().to_string()
}

pub(super) const ROOT: ObjectAddress = ObjectAddress(area::ROOT);

/// The object's class if it is an object: it starts where it says, and the class table knows its class.
fn class_at(space: Space, object: ObjectAddress) -> Result<ObjectAddress, InspectError> {
    let damaged = InspectError::Damaged { page: object.page() };
    let in_heap =
        object.0 >= area::HEAP && object.0 < area::END && object.0.is_multiple_of(GRANULE);
    if !in_heap || !metadata::load(space, object).starts() {
        return Err(damaged);
    }
    let class = class_of(space, object);
    if class.is_null() { Err(damaged) } else { Ok(class) }
}

fn builtin(space: Space, object: ObjectAddress) -> Option<Builtin> {
    Builtin::from_number(space.load::<u32>(object.plus(CLASS)))
}

pub(super) fn reference(space: Space, object: ObjectAddress, offset: u64) -> ObjectAddress {
    ObjectAddress(space.load(object.plus(offset)))
}

/// The beginning of a string, quoted.
fn quoted(space: Space, text: ObjectAddress, most: u64) -> String {
    let length = string::length(space, text);
    let shown = usize::try_from(length.min(most)).unwrap_or(0);
    let mut bytes = alloc::vec![0; shown];
    space.read(string::byte_address(text, 0), &mut bytes);
    let start = String::from_utf8_lossy(&bytes).into_owned();
    if length > most { format!("{start:?}... ({length} bytes)") } else { format!("{start:?}") }
}

/// A function as traces call it.
fn function_name(space: Space, function: ObjectAddress) -> Result<String, InspectError> {
    class_at(space, function)?;
    let module = reference(space, function, FUNCTION_MODULE);
    class_at(space, module)?;
    let module = text_of(space, reference(space, module, MODULE_NAME));
    Ok(format!("{module}.{}", text_of(space, reference(space, function, FUNCTION_NAME))))
}

impl Node {
    /// What it is, in one line.
    pub(super) fn title(&self, space: Space) -> Result<String, InspectError> {
        match self {
            Self::Root => {
                let generation = space.load::<u64>(ROOT.plus(root::RESTART_GENERATION));
                Ok(format!("object tree, restarted {generation} times"))
            }
            Self::Threads => {
                let ever = space.load::<u64>(ROOT.plus(root::NEXT_THREAD)).saturating_sub(1);
                Ok(format!("table of threads, {ever} places"))
            }
            Self::Object(object) => object_title(space, *object),
            Self::Statics(module) => {
                let names = reference(space, *module, MODULE_STATIC_NAMES);
                Ok(format!("{} static variables", array::length(space, names)))
            }
            Self::Frames(thread) => Ok(format!("{} frames", records(space, *thread).len())),
            Self::Frame { record, position, .. } => {
                let function = reference(space, *record, RECORD_FUNCTION);
                let name = function_name(space, function)?;
                let code = reference(space, function, crate::loader::layout::FUNCTION_CODE);
                Ok(format!("{name}, position {}", position.wrapping_sub(code.0) / 8))
            }
            Self::Value(text) => Ok(text.clone()),
        }
    }

    /// The title of the place that a path leads to: a string is all there.
    pub(super) fn whole_title(&self, space: Space) -> Result<String, InspectError> {
        let title = self.title(space)?;
        Ok(match self {
            Self::Object(object)
                if !object.is_null() && builtin(space, *object) == Some(Builtin::String) =>
            {
                quoted(space, *object, WHOLE_TEXT_MAX)
            }
            _ => title,
        })
    }

    /// The first `limit` children, and how many more there are.
    pub(super) fn children(
        &self,
        space: Space,
        limit: usize,
    ) -> Result<(Vec<Child>, usize), InspectError> {
        let mut list = List::new(limit);
        self.list(space, &mut list)?;
        Ok((list.children, list.more))
    }

    /// The first child that is `wanted`, or leads to it as a place that is no object: the names on the way.
    pub(super) fn name_of(&self, space: Space, wanted: ObjectAddress) -> Option<String> {
        let mut list = List { wanted: Some(wanted), ..List::new(SEARCHED_MAX) };
        self.list(space, &mut list).ok()?;
        let direct = list.children.iter().position(|child| child.node == Self::Object(wanted));
        if let Some(place) = direct {
            return Some(list.children.swap_remove(place).name);
        }
        // Places that are no objects stand at most three deep: a thread's frames, a frame, its registers.
        list.children.iter().find_map(|child| {
            let below = child.node.name_of(space, wanted)?;
            Some(format!("{}/{below}", child.name))
        })
    }

    fn list(&self, space: Space, list: &mut List) -> Result<(), InspectError> {
        match self {
            Self::Root => {
                list.push(|| String::from("threads"), || Self::Threads);
                list.slots(space, ROOT, names::ROOT);
            }
            Self::Threads => threads(space, list),
            Self::Object(object) => object_children(space, *object, list)?,
            Self::Statics(module) => statics(space, *module, list),
            Self::Frames(thread) => {
                let thread = *thread;
                for (depth, (record, position)) in records(space, thread).into_iter().enumerate() {
                    let frame = || Self::Frame { thread, record, position };
                    list.push(|| format!("[{depth}]"), frame);
                }
            }
            Self::Frame { thread, record, .. } => registers(space, *thread, *record, list),
            Self::Value(_) => {}
        }
        Ok(())
    }

    /// The child with this name.
    pub(super) fn child(&self, space: Space, name: &str) -> Result<Option<Self>, InspectError> {
        if let (Some(index), Self::Object(object)) = (index_of(name), self)
            && let Some(element) = element(space, *object, index)?
        {
            return Ok(Some(element));
        }
        let (children, _) = self.children(space, SEARCHED_MAX)?;
        Ok(children.into_iter().find(|child| child.name == name).map(|child| child.node))
    }
}

/// `[12]` as a number.
fn index_of(name: &str) -> Option<u64> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// An element of an array or vector, without going through those before it.
fn element(space: Space, object: ObjectAddress, index: u64) -> Result<Option<Node>, InspectError> {
    if object.is_null() {
        return Ok(None);
    }
    let class = class_at(space, object)?;
    if builtin(space, object) == Some(Builtin::Vector) {
        return Ok(vector::get(space, object, index).map(Node::Object));
    }
    let inside = index < array_length(space, object, class);
    Ok(inside.then(|| array_element(space, object, class, index)))
}

/// Elements of an array; 0 for what is no array.
fn array_length(space: Space, object: ObjectAddress, class: ObjectAddress) -> u64 {
    match space.load::<u8>(class.plus(KIND)) {
        KIND_REFERENCE_ARRAY | KIND_RAW_ARRAY => array::length(space, object),
        _ => 0,
    }
}

fn array_element(space: Space, object: ObjectAddress, class: ObjectAddress, index: u64) -> Node {
    if space.load::<u8>(class.plus(KIND)) == KIND_REFERENCE_ARRAY {
        return Node::Object(ObjectAddress(space.load(array::slot(object, index))));
    }
    let shift = space.load::<u8>(class.plus(ELEMENT_SHIFT)) & 3;
    let place = object.plus(PAYLOAD + (index << shift));
    let floats = matches!(builtin(space, object), Some(Builtin::FloatArray | Builtin::DoubleArray));
    Node::Value(match shift {
        0 => space.load::<u8>(place).to_string(),
        1 => space.load::<u16>(place).cast_signed().to_string(),
        2 if floats => f32::from_bits(space.load(place)).to_string(),
        2 => space.load::<u32>(place).cast_signed().to_string(),
        _ if floats => f64::from_bits(space.load(place)).to_string(),
        _ => number(space.load(place)),
    })
}

pub(super) fn object_title(space: Space, object: ObjectAddress) -> Result<String, InspectError> {
    if object.is_null() {
        return Ok(String::from("null"));
    }
    let class = class_at(space, object)?;
    let name = text_of(space, reference(space, class, NAME));
    let value = space.load::<u64>(object.plus(BOX_VALUE));
    Ok(match builtin(space, object) {
        Some(Builtin::String) => quoted(space, object, TEXT_MAX),
        Some(Builtin::Long) => format!("Long {}", number(value)),
        Some(Builtin::Double) => format!("Double {}", f64::from_bits(value)),
        Some(Builtin::Vector) => format!("Vector of {}", vector::length(space, object)),
        Some(Builtin::Map) => format!("Map of {}", map::length(space, object)),
        Some(Builtin::StringBuilder) => {
            format!("StringBuilder of {} bytes", string::builder_length(space, object))
        }
        Some(Builtin::Function) => format!("Function {}", function_name(space, object)?),
        Some(Builtin::Class) => {
            format!("Class {}", text_of(space, reference(space, object, NAME)))
        }
        Some(Builtin::Module) => {
            format!("Module {}", text_of(space, reference(space, object, MODULE_NAME)))
        }
        Some(Builtin::Thread) => {
            let state = match space.load::<u32>(object.plus(STATE)) {
                STATE_RUNNABLE => "runnable",
                STATE_WAITING => "waiting",
                STATE_ENDED => "ended",
                STATE_DAMAGED => "damaged",
                _ => "in no known state",
            };
            format!("Thread, {state}")
        }
        _ => match space.load::<u8>(class.plus(KIND)) {
            KIND_REFERENCE_ARRAY | KIND_RAW_ARRAY => {
                format!("{name} of {}", array::length(space, object))
            }
            _ => format!("{name} at {:#x}", object.0),
        },
    })
}

fn object_children(
    space: Space,
    object: ObjectAddress,
    list: &mut List,
) -> Result<(), InspectError> {
    if object.is_null() {
        return Ok(());
    }
    let class = class_at(space, object)?;
    let builtin = builtin(space, object);
    if let Some(builtin) = builtin {
        list.slots(space, object, names::slots(builtin));
    }
    match builtin {
        Some(Builtin::Vector) => {
            let length = vector::length(space, object);
            list.elements(length, |index| {
                Node::Object(vector::get(space, object, index).unwrap_or(ObjectAddress(0)))
            });
        }
        Some(Builtin::Map) => entries(space, object, list),
        Some(Builtin::Namespace) => pairs(space, reference(space, object, NAMESPACE_MODULES), list),
        Some(Builtin::Module) => {
            list.push(|| String::from("statics"), || Node::Statics(object));
            pairs(space, reference(space, object, MODULE_EXPORTS), list);
        }
        Some(Builtin::Thread) => list.push(|| String::from("frames"), || Node::Frames(object)),
        Some(Builtin::WeakReference) => {
            let target = reference(space, object, WEAK_TARGET);
            list.push(|| String::from("target"), || Node::Object(target));
        }
        Some(Builtin::Class) => class_children(space, object, list),
        _ => {
            let length = array_length(space, object, class);
            list.elements(length, |index| array_element(space, object, class, index));
            if space.load::<u8>(class.plus(KIND)) == KIND_PLAIN {
                fields(space, object, class, list);
            }
        }
    }
    Ok(())
}

fn class_children(space: Space, object: ObjectAddress, list: &mut List) {
    for (name, offset) in [("superclass", SUPERCLASS), ("module", MODULE), ("fields", FIELD_NAMES)]
    {
        list.push(|| String::from(name), || Node::Object(reference(space, object, offset)));
    }
    let index = space.load::<u32>(object.plus(class::INDEX));
    list.push(|| String::from("index"), || Node::Value(index.to_string()));
}

/// Pairs of name and object in one array.
fn pairs(space: Space, table: ObjectAddress, list: &mut List) {
    if table.is_null() {
        return;
    }
    for pair in list.take(array::length(space, table) / 2) {
        let name = array::reference(space, table, pair * 2);
        let object = array::reference(space, table, pair * 2 + 1);
        list.push(|| text_of(space, name), || Node::Object(object));
    }
}

/// Entries of a map; texts and numbers as keys are their names, other keys their titles.
fn entries(space: Space, object: ObjectAddress, list: &mut List) {
    let mut cursor = 0;
    // Each round passes an entry or several hundred deleted ones.
    for _ in 0..SEARCHED_MAX {
        match map::next(space, object, cursor) {
            Next::End => return,
            Next::GoOn(next) => cursor = next,
            Next::Entry { key, value, cursor: next } => {
                cursor = next;
                list.push(|| key_name(space, key), || Node::Object(value));
            }
        }
    }
}

fn key_name(space: Space, key: ObjectAddress) -> String {
    if class_at(space, key).is_err() {
        return String::from("(damaged key)");
    }
    let value = space.load::<u64>(key.plus(BOX_VALUE));
    match builtin(space, key) {
        Some(Builtin::String) => text_of(space, key),
        Some(Builtin::Long) => number(value),
        Some(Builtin::Double) => f64::from_bits(value).to_string(),
        _ => object_title(space, key).unwrap_or_default(),
    }
}

/// Fields of a plain object, by the names in its class and, for numbers, the kinds in its module's file.
fn fields(space: Space, object: ObjectAddress, class: ObjectAddress, list: &mut List) {
    let names = reference(space, class, FIELD_NAMES);
    if names.is_null() {
        return;
    }
    let kinds = raw_kinds(space, class);
    let bitmap = space.load::<u64>(class.plus(REFERENCE_BITMAP));
    let long = reference(space, class, class::LONG_BITMAP);
    for slot in list.take(u64::from(space.load::<u32>(class.plus(SLOTS)))) {
        let is_reference = if long.is_null() {
            slot < 64 && bitmap >> slot & 1 == 1
        } else {
            space.load::<u8>(long.plus(PAYLOAD + slot / 8)) >> (slot % 8) & 1 == 1
        };
        let word = space.load::<u64>(object.plus(PAYLOAD + slot * 8));
        let name = array::reference(space, names, slot);
        let kind = usize::try_from(slot).ok().and_then(|slot| kinds.get(slot)).copied();
        list.push(
            || text_of(space, name),
            || {
                if is_reference {
                    Node::Object(ObjectAddress(word))
                } else {
                    Node::Value(raw_text(kind, word))
                }
            },
        );
    }
}
