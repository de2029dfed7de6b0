//! Kinds of numbers in fields and static variables: object space does not know them, the file that a module keeps does.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, Module, ValueType, decode};
use revenant_hal::ObjectAddress;

use super::names::EXCEPTION_SLOTS;
use super::node::{List, Node, number, reference};
use crate::loader::layout::{
    MODULE_CLASSES, MODULE_FILE, MODULE_STATIC_NAMES, MODULE_STATIC_RAWS, MODULE_STATIC_REFERENCES,
};
use crate::loader::{bytes_of, text_of};
use crate::memory::layout::class::{self, MODULE, SUPERCLASS};
use crate::memory::{AddressExt, Space};
use crate::object::array;

/// Classes of a module that are searched.
const CLASSES_MAX: u64 = 1 << 16;

/// A number as what it is.
pub(super) fn raw_text(kind: Option<ValueType>, word: u64) -> String {
    let [b0, b1, b2, b3, ..] = word.to_le_bytes();
    let low = u32::from_le_bytes([b0, b1, b2, b3]);
    match kind {
        Some(ValueType::I32) => low.cast_signed().to_string(),
        Some(ValueType::F32) => f32::from_bits(low).to_string(),
        Some(ValueType::F64) => f64::from_bits(word).to_string(),
        _ => number(word),
    }
}

/// The module of an object, read back from the file that it keeps.
fn module_of(space: Space, module: ObjectAddress) -> Option<Module> {
    if module.is_null() {
        return None;
    }
    decode(&bytes_of(space, reference(space, module, MODULE_FILE))).ok()
}

/// Types of a class's slots, as far as modules know them.
pub(super) fn raw_kinds(space: Space, class: ObjectAddress) -> Vec<ValueType> {
    let mut kinds = Vec::new();
    let mut next = class;
    // Own fields last: from the class upwards, each superclass's before.
    for _ in 0..revenant_bytecode::CLASS_DEPTH_MAX {
        let instance = reference(space, next, MODULE);
        let Some(module) = module_of(space, instance) else { break };
        let table = reference(space, instance, MODULE_CLASSES);
        let place = (0..array::length(space, table).min(CLASSES_MAX))
            .find(|place| array::reference(space, table, *place) == next);
        let definition = place
            .and_then(|place| usize::try_from(place).ok())
            .and_then(|place| place.checked_sub(module.class_imports.len()))
            .and_then(|place| module.classes.get(place));
        let Some(definition) = definition else { break };
        let own = definition.shape.fields.iter().map(|field| field.value);
        kinds = own.chain(kinds).collect();
        next = reference(space, next, SUPERCLASS);
        if next.is_null() {
            break;
        }
    }
    let is_exception =
        builtin_index(space, next).is_some_and(|builtin| builtin.is_below(Builtin::Exception));
    if is_exception {
        let fields = revenant_bytecode::EXCEPTION_FIELDS.iter().map(|(_, value)| *value);
        kinds = fields.take(EXCEPTION_SLOTS).chain(kinds).collect();
    }
    kinds
}

fn builtin_index(space: Space, class: ObjectAddress) -> Option<Builtin> {
    Builtin::from_number(space.load::<u32>(class.plus(class::INDEX)))
}

pub(super) fn statics(space: Space, module: ObjectAddress, list: &mut List) {
    let names = reference(space, module, MODULE_STATIC_NAMES);
    let raws = reference(space, module, MODULE_STATIC_RAWS);
    let references = reference(space, module, MODULE_STATIC_REFERENCES);
    let decoded = module_of(space, module);
    for index in list.take(array::length(space, names)) {
        let kind = decoded
            .as_ref()
            .and_then(|module| module.statics.get(usize::try_from(index).ok()?))
            .map(|field| field.value);
        list.push(
            || text_of(space, array::reference(space, names, index)),
            || {
                if kind.is_some_and(ValueType::is_reference) {
                    Node::Object(array::reference(space, references, index))
                } else {
                    Node::Value(raw_text(kind, space.load(array::slot(raws, index))))
                }
            },
        );
    }
}
