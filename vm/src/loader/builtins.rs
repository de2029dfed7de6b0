//! Class objects: how one is made and filled, and the built-in ones, which exist before any module.

use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, BuiltinKind, ClassKind, ElementKind};
use revenant_hal::ObjectAddress;

use super::layout;
use super::maker::Maker;
use super::plan::{ClassPlan, depth, element_shift};
use crate::heap::{AllocationError, small};
use crate::memory::layout::area;
use crate::memory::layout::block::THREAD_CLASS;
use crate::memory::layout::class::{
    DEPTH, DISPLAY, DISPLAY_LENGTH, FIELD_NAMES, FIRST_MODULE_CLASS, FLAG_ABSTRACT, FLAG_INTERFACE,
    FLAG_LAYOUT_FROZEN, FLAG_SEALED, INDEX, INSTANCE_SIZE, KIND_PLAIN, KIND_RAW_ARRAY,
    KIND_RECORDS, KIND_REFERENCE_ARRAY, KIND_STRING, KIND_THREAD, KIND_WEAK, LONG_BITMAP,
    MAP_ENTRIES, MODULE, NAME, RECORD_WORDS, REFERENCE_BITMAP, SIZE_CLASS, STRING_BUFFER,
    SUPERCLASS, VTABLE, VTABLE_LENGTH,
};
use crate::memory::layout::map;
use crate::memory::layout::object::{HEADER_SIZE, PAYLOAD};
use crate::memory::{AddressExt, Space};
use crate::object::class;

/// What stands in the fixed part of a class object.
#[derive(Clone, Debug)]
pub(super) struct ClassSpec {
    name: String,
    index: u32,
    kind: u8,
    element_shift: u8,
    flags: u16,
    superclass: ObjectAddress,
    module: ObjectAddress,
    /// Bytes of an instance, header included; 0 when instances vary in size.
    size: u64,
    /// For each slot, whether it holds a reference.
    slots: Vec<bool>,
    slot_names: Vec<String>,
    depth: u32,
    /// Class indices from the topmost class down to this one.
    display: Vec<u32>,
    /// Mask and number of words of records.
    records: (u32, u32),
    methods: usize,
}

impl ClassSpec {
    /// Of a class of a module.
    pub(super) fn of_plan(
        plan: &ClassPlan,
        index: u32,
        superclass: ObjectAddress,
        module: ObjectAddress,
        display: Vec<u32>,
    ) -> Self {
        let (kind, element_shift, flags) = match plan.kind {
            ClassKind::Plain => (KIND_PLAIN, 0, 0),
            ClassKind::Abstract => (KIND_PLAIN, 0, FLAG_ABSTRACT),
            ClassKind::Interface => (KIND_PLAIN, 0, FLAG_INTERFACE | FLAG_ABSTRACT),
            ClassKind::Array { element, .. } => (array_kind(element), element_shift(element), 0),
        };
        let is_array = matches!(plan.kind, ClassKind::Array { .. });
        Self {
            name: plan.name.clone(),
            index,
            kind,
            element_shift,
            flags: flags | FLAG_LAYOUT_FROZEN,
            superclass,
            module,
            size: if is_array { 0 } else { HEADER_SIZE + plan.slots.len() as u64 * 8 },
            slots: plan.slots.clone(),
            slot_names: plan.slot_names.clone(),
            depth: plan.depth,
            display,
            records: (0, 0),
            methods: plan.methods.len(),
        }
    }
}

const fn array_kind(element: ElementKind) -> u8 {
    match element {
        ElementKind::Reference => KIND_REFERENCE_ARRAY,
        _ => KIND_RAW_ARRAY,
    }
}

/// A class object with room for `methods` methods, all zero but for its index.
pub(super) fn make_class(
    maker: &mut Maker,
    index: u32,
    methods: usize,
) -> Result<ObjectAddress, AllocationError> {
    let object = maker.class(VTABLE - PAYLOAD + methods as u64 * 8)?;
    maker.space.store(object.plus(INDEX), index);
    Ok(object)
}

/// Fills a class object and enters it in the class table; its references are stored with the others.
pub(super) fn fill_class(
    maker: &mut Maker,
    object: ObjectAddress,
    spec: &ClassSpec,
) -> Result<(), AllocationError> {
    let space = maker.space;
    space.store(object.plus(INDEX + 4), spec.kind);
    space.store(object.plus(INDEX + 5), spec.element_shift);
    space.store(object.plus(INDEX + 6), spec.flags);
    let size_class = match (spec.size, spec.kind) {
        (0, _) => u32::MAX,
        (_, KIND_THREAD) => u32::from(THREAD_CLASS),
        (size, _) => small::class_of(size),
    };
    space.store(object.plus(INSTANCE_SIZE), u32::try_from(spec.size).unwrap_or(0));
    space.store(object.plus(INSTANCE_SIZE + 4), u32::try_from(spec.slots.len()).unwrap_or(0));
    space.store(object.plus(SIZE_CLASS), size_class);
    space.store(object.plus(VTABLE_LENGTH), u32::try_from(spec.methods).unwrap_or(0));
    space.store(object.plus(DEPTH), spec.depth);
    space.store(object.plus(DEPTH + 4), spec.records.0);
    space.store(object.plus(RECORD_WORDS), spec.records.1);
    for (place, above) in (0..DISPLAY_LENGTH).zip(&spec.display) {
        space.store(object.plus(DISPLAY + place * 4), *above);
    }
    let mut bitmap = 0_u64;
    for (place, _) in spec.slots.iter().enumerate().take(64).filter(|(_, reference)| **reference) {
        bitmap |= 1 << place;
    }
    space.store(object.plus(REFERENCE_BITMAP), bitmap);
    if spec.slots.len() > 64 {
        let mut bits = alloc::vec![0_u8; spec.slots.len().div_ceil(8)];
        for (place, _) in spec.slots.iter().enumerate().filter(|(_, reference)| **reference) {
            if let Some(byte) = bits.get_mut(place / 8) {
                *byte |= 1 << (place % 8);
            }
        }
        let bits = maker.bytes(&bits)?;
        maker.refer(object, LONG_BITMAP, bits);
    }
    let name = maker.text(&spec.name)?;
    if !spec.slot_names.is_empty() {
        let mut names = Vec::new();
        for name in &spec.slot_names {
            names.push(maker.text(name)?);
        }
        let names = maker.objects(&names)?;
        maker.refer(object, FIELD_NAMES, names);
    }
    maker.refer(object, NAME, name);
    maker.refer(object, SUPERCLASS, spec.superclass);
    maker.refer(object, MODULE, spec.module);
    maker.refer(ObjectAddress(area::CLASS_TABLE), u64::from(spec.index) * 8, object);
    Ok(())
}

/// The class object with an index, and the index.
pub(super) fn class_entry(space: Space, index: u32) -> (ObjectAddress, u32) {
    let place = ObjectAddress(area::CLASS_TABLE).plus(u64::from(index) * 8);
    (ObjectAddress(space.load(place)), index)
}

/// Makes all built-in classes, named and unnamed, and the table of the named ones: pairs of name and class by increasing name.
pub(super) fn make_builtins(maker: &mut Maker) -> Result<ObjectAddress, AllocationError> {
    let mut objects = alloc::vec![ObjectAddress(0)];
    for builtin in Builtin::ALL {
        objects.push(make_class(maker, *builtin as u32, 0)?);
    }
    let mut named = Vec::new();
    for builtin in Builtin::ALL {
        let object_of = |class: Builtin| objects.get(class as usize).copied();
        let Some(object) = object_of(*builtin) else { continue };
        let superclass = match builtin {
            Builtin::Object => None,
            _ => object_of(builtin.superclass()),
        };
        let spec = builtin_spec(*builtin, superclass.unwrap_or(ObjectAddress(0)));
        fill_class(maker, object, &spec)?;
        named.push((builtin.name(), object));
    }
    let object = objects.get(Builtin::Object as usize).copied().unwrap_or(ObjectAddress(0));
    for spec in unnamed_specs(object) {
        let class = make_class(maker, spec.index, 0)?;
        fill_class(maker, class, &spec)?;
    }
    named.sort_unstable();
    let mut pairs = Vec::new();
    for (name, class) in named {
        pairs.push(maker.text(name)?);
        pairs.push(class);
    }
    maker.objects(&pairs)
}

fn builtin_spec(builtin: Builtin, superclass: ObjectAddress) -> ClassSpec {
    let (kind, shift, size, references) = builtin_shape(builtin);
    let slots = size.saturating_sub(HEADER_SIZE) / 8;
    let mut display = alloc::vec![builtin as u32];
    let mut class = builtin;
    while class != Builtin::Object {
        class = class.superclass();
        display.push(class as u32);
    }
    display.reverse();
    let sealed = if builtin.kind() == BuiltinKind::Opaque { FLAG_SEALED } else { 0 };
    ClassSpec {
        name: String::from(builtin.name()),
        index: builtin as u32,
        kind,
        element_shift: shift,
        flags: sealed | FLAG_LAYOUT_FROZEN,
        superclass,
        module: ObjectAddress(0),
        size,
        slots: (0..slots).map(|slot| slot < 64 && references >> slot & 1 == 1).collect(),
        slot_names: builtin.fields().iter().map(|(name, _)| String::from(*name)).collect(),
        depth: depth(builtin),
        display,
        records: (0, 0),
        methods: 0,
    }
}

/// Kind, element shift, bytes of an instance (0 if they vary), reference slots: the layouts of `object::class`, and those of the
/// objects that the loader makes.
fn builtin_shape(builtin: Builtin) -> (u8, u8, u64, u64) {
    if let Some(shape) = class::builtin_shape(builtin) {
        let fixed = matches!(shape.kind, KIND_PLAIN | KIND_THREAD | KIND_WEAK);
        let size = if fixed { HEADER_SIZE + 8 * u64::from(shape.slots) } else { 0 };
        return (shape.kind, shape.element_shift, size, shape.references);
    }
    let (size, references) = match builtin {
        Builtin::Function => (layout::FUNCTION_SIZE, layout::FUNCTION_REFERENCES),
        Builtin::Closure => (layout::CLOSURE_SIZE, layout::CLOSURE_REFERENCES),
        Builtin::Module => (layout::MODULE_SIZE, layout::MODULE_REFERENCES),
        Builtin::Namespace => (layout::NAMESPACE_SIZE, layout::NAMESPACE_REFERENCES),
        Builtin::Program => (layout::PROGRAM_SIZE, layout::PROGRAM_REFERENCES),
        Builtin::Group => (layout::GROUP_SIZE, layout::GROUP_REFERENCES),
        Builtin::Environment => (layout::ENVIRONMENT_SIZE, layout::ENVIRONMENT_REFERENCES),
        Builtin::Console => (layout::CONSOLE_SIZE, layout::CONSOLE_REFERENCES),
        Builtin::RestartEvent => (layout::EVENT_SIZE, 0),
        Builtin::Signature => (layout::SIGNATURE_SIZE, layout::SIGNATURE_REFERENCES),
        _ => (HEADER_SIZE, 0),
    };
    (KIND_PLAIN, 0, size, references)
}

/// The classes that only this crate uses.
fn unnamed_specs(object: ObjectAddress) -> [ClassSpec; 2] {
    let spec = |name: &str, index, kind, records| ClassSpec {
        name: String::from(name),
        index,
        kind,
        element_shift: 0,
        flags: FLAG_SEALED | FLAG_LAYOUT_FROZEN,
        superclass: object,
        module: ObjectAddress(0),
        size: 0,
        slots: Vec::new(),
        slot_names: Vec::new(),
        depth: 1,
        display: alloc::vec![Builtin::Object as u32, index],
        records,
        methods: 0,
    };
    let words = u32::try_from(map::ENTRY_WORDS).unwrap_or(0);
    [
        spec("MapEntries", MAP_ENTRIES, KIND_RECORDS, (0b110, words)),
        spec("StringBuffer", STRING_BUFFER, KIND_STRING, (0, 0)),
    ]
}

const _: () = assert!(STRING_BUFFER < FIRST_MODULE_CLASS);
const _: () = assert!((Builtin::SnapshotFailedException as u32) < MAP_ENTRIES);
