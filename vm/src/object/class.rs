//! Class objects: making them, the class table, the built-in classes.
//!
//! Invariants: a class object's count is stuck, so its index is never used again; the table entry is written last, so a
//! class that can be found is whole.

use revenant_bytecode::{Builtin, BuiltinKind, ElementKind};
use revenant_hal::ObjectAddress;

use crate::counting::{self, class_at};
use crate::heap::{self, AllocationError, Allocator, small};
use crate::memory::layout::system::root;
use crate::memory::layout::{area, block, class, map, object, thread};
use crate::memory::{AddressExt, Space};

/// What a class object is made from. References are borrowed: the new class counts its own.
#[derive(Clone, Copy, Debug)]
pub struct ClassShape {
    /// Kind of its instances, one of `layout::class::KIND_*`.
    pub kind: u8,
    /// Log2 of the element size, for raw arrays.
    pub element_shift: u8,
    /// Class flags.
    pub flags: u16,
    /// Slots of an instance.
    pub slots: u32,
    /// Reference slots, by bit, of the first 64.
    pub references: u64,
    /// Entries of the virtual table; they are null until [`set_virtual`].
    pub virtual_methods: u32,
    /// Words of a record, for arrays of records.
    pub record_words: u32,
    /// Reference words of a record, by bit.
    pub record_references: u32,
}

impl ClassShape {
    /// Plain objects with so many slots, of which those with a bit set are references.
    #[must_use]
    pub const fn plain(slots: u32, references: u64) -> Self {
        Self {
            kind: class::KIND_PLAIN,
            element_shift: 0,
            flags: 0,
            slots,
            references,
            virtual_methods: 0,
            record_words: 0,
            record_references: 0,
        }
    }

    const fn of_bytes(bytes: u64, references: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "sizes of built-in objects are small")]
        Self::plain(((bytes - object::PAYLOAD) / 8) as u32, references)
    }

    const fn of_kind(kind: u8, element_shift: u8) -> Self {
        Self { kind, element_shift, ..Self::plain(0, 0) }
    }
}

/// Makes a class object with an index, below `superclass` (or null), and enters it in the class table. Name, module, interfaces
/// and virtual methods are stored afterwards with the barrier. Steps; an index that has a class already is kept.
///
/// # Errors
/// No memory to be had, or no such index.
pub fn create(
    space: Space,
    allocator: Allocator,
    index: u32,
    superclass: ObjectAddress,
    shape: &ClassShape,
) -> Result<ObjectAddress, AllocationError> {
    if index == 0 || u64::from(index) >= area::CLASS_TABLE_ENTRIES {
        return Err(AllocationError::TooLarge);
    }
    let known = class_at(space, index);
    if !known.is_null() {
        return Ok(known);
    }
    let payload = class::VTABLE - object::PAYLOAD + 8 * u64::from(shape.virtual_methods);
    if payload > object::SMALL_LIMIT - object::HEADER_SIZE {
        return Err(AllocationError::TooLarge);
    }
    let made = heap::allocate_sized(space, allocator, Builtin::Class as u32, 0, payload)?;
    space.end_step();
    fill(space, made, index, superclass, shape);
    counting::store_reference(space, made.plus(class::SUPERCLASS), superclass);
    space.end_step();
    counting::make_immortal(space, made);
    let entry = ObjectAddress(area::CLASS_TABLE + 8 * u64::from(index));
    counting::store_reference(space, entry, made);
    space.end_step();
    Ok(made)
}

/// Writes the raw words of a class object that nobody knows yet.
fn fill(
    space: Space,
    made: ObjectAddress,
    index: u32,
    superclass: ObjectAddress,
    shape: &ClassShape,
) {
    let bytes = object::PAYLOAD + 8 * u64::from(shape.slots);
    let fixed = matches!(shape.kind, class::KIND_PLAIN | class::KIND_THREAD | class::KIND_WEAK);
    let size_class = match shape.kind {
        class::KIND_THREAD => u32::from(block::THREAD_CLASS),
        _ if fixed => small::class_of(bytes),
        _ => u32::MAX,
    };
    let depth =
        if superclass.is_null() { 0 } else { space.load::<u32>(superclass.plus(class::DEPTH)) + 1 };
    let mut display = [0_u32; class::DISPLAY_ENTRIES];
    for (place, entry) in (0_u32..).zip(display.iter_mut()) {
        *entry = match place.cmp(&depth) {
            core::cmp::Ordering::Less => {
                space.load(superclass.plus(class::DISPLAY + 4 * u64::from(place)))
            }
            core::cmp::Ordering::Equal => index,
            core::cmp::Ordering::Greater => 0,
        };
    }
    space.touch_write_range(made, class::VTABLE);
    space.begin_changes();
    space.store(made.plus(class::INDEX), index);
    space.store(made.plus(class::KIND), shape.kind);
    space.store(made.plus(class::ELEMENT_SHIFT), shape.element_shift);
    space.store(made.plus(class::FLAGS), shape.flags);
    space.store(made.plus(class::INSTANCE_SIZE), u32::try_from(bytes).unwrap_or(u32::MAX));
    space.store(made.plus(class::SLOTS), shape.slots);
    space.store(made.plus(class::REFERENCE_BITMAP), shape.references);
    space.store(made.plus(class::SIZE_CLASS), size_class);
    space.store(made.plus(class::VTABLE_LENGTH), shape.virtual_methods);
    space.store(made.plus(class::DEPTH), depth);
    space.store(made.plus(class::RECORD_WORDS), shape.record_words);
    space.store(made.plus(class::RECORD_MASK), shape.record_references);
    for (place, entry) in (0_u64..).zip(display) {
        space.store(made.plus(class::DISPLAY + 4 * place), entry);
    }
    space.end_step();
}

/// Gives out the next class index for a module's class. One step.
///
/// # Errors
/// All indices are in use.
pub fn next_index(space: Space) -> Result<u32, AllocationError> {
    let word = ObjectAddress(area::ROOT).plus(root::NEXT_CLASS);
    let index = space.load_for_change::<u64>(word).max(u64::from(class::FIRST_MODULE_CLASS));
    if index >= area::CLASS_TABLE_ENTRIES {
        return Err(AllocationError::Exhausted);
    }
    space.begin_changes();
    space.store(word, index + 1);
    space.end_step();
    u32::try_from(index).map_err(|_| AllocationError::Exhausted)
}

/// Sets entry `place` of the virtual table; false beyond its end. One step, changes last.
pub fn set_virtual(
    space: Space,
    class_object: ObjectAddress,
    place: u32,
    function: ObjectAddress,
) -> bool {
    let inside = place < space.load::<u32>(class_object.plus(class::VTABLE_LENGTH));
    if inside {
        let slot = class_object.plus(class::VTABLE + 8 * u64::from(place));
        counting::store_reference(space, slot, function);
    }
    inside
}

/// Shape of a built-in class whose layout is this crate's objects'; `None` for those whose layout is the loader's.
#[must_use]
pub fn builtin_shape(builtin: Builtin) -> Option<ClassShape> {
    let sealed = match builtin {
        Builtin::Object | Builtin::WeakReference => ClassShape::plain(0, 0),
        Builtin::Class => ClassShape::of_kind(class::KIND_CLASS, 0),
        Builtin::String => ClassShape::of_kind(class::KIND_STRING, 0),
        Builtin::ByteBuffer => ClassShape::of_kind(class::KIND_RAW_ARRAY, 0),
        Builtin::StringBuilder => ClassShape::of_bytes(object::BUILDER_SIZE, 1),
        Builtin::Vector => ClassShape::of_bytes(object::VECTOR_SIZE, 1),
        Builtin::Map => ClassShape::of_bytes(map::SIZE, map::REFERENCES),
        Builtin::Long | Builtin::Double => ClassShape::plain(1, 0),
        Builtin::Thread => ClassShape::of_bytes(thread::SIZE, thread::REFERENCES),
        Builtin::Mutex => ClassShape::of_bytes(thread::MUTEX_SIZE, 0),
        Builtin::Condition => ClassShape::of_bytes(thread::CONDITION_SIZE, 1),
        Builtin::Semaphore => ClassShape::of_bytes(thread::SEMAPHORE_SIZE, 0),
        _ => match builtin.kind() {
            BuiltinKind::Array(kind) => return Some(array_shape(kind)),
            BuiltinKind::Plain if builtin.is_below(Builtin::Exception) => {
                return Some(ClassShape::plain(4, 0b0111));
            }
            BuiltinKind::Plain | BuiltinKind::Opaque => return None,
        },
    };
    let kind = match builtin {
        Builtin::WeakReference => class::KIND_WEAK,
        Builtin::Thread => class::KIND_THREAD,
        _ => sealed.kind,
    };
    let slots = match builtin {
        Builtin::WeakReference => 2,
        _ => sealed.slots,
    };
    let flags = if matches!(builtin, Builtin::Object) { 0 } else { class::FLAG_SEALED };
    Some(ClassShape { kind, slots, flags, ..sealed })
}

const fn array_shape(kind: ElementKind) -> ClassShape {
    match kind {
        ElementKind::Reference => ClassShape::of_kind(class::KIND_REFERENCE_ARRAY, 3),
        ElementKind::U8 => ClassShape::of_kind(class::KIND_RAW_ARRAY, 0),
        ElementKind::I16 => ClassShape::of_kind(class::KIND_RAW_ARRAY, 1),
        ElementKind::I32 | ElementKind::F32 => ClassShape::of_kind(class::KIND_RAW_ARRAY, 2),
        ElementKind::I64 | ElementKind::F64 => ClassShape::of_kind(class::KIND_RAW_ARRAY, 3),
    }
}

/// Makes every built-in class: with this crate's shape or, where it has none, with the one `others` gives. Steps.
///
/// # Errors
/// No memory to be had.
pub fn create_builtins(
    space: Space,
    allocator: Allocator,
    others: impl Fn(Builtin) -> ClassShape,
) -> Result<(), AllocationError> {
    for builtin in Builtin::ALL.iter().copied() {
        let shape = builtin_shape(builtin).unwrap_or_else(|| others(builtin));
        let above = if builtin as u32 == Builtin::Object as u32 {
            ObjectAddress(0)
        } else {
            class_at(space, builtin.superclass() as u32)
        };
        create(space, allocator, builtin as u32, above, &shape)?;
    }
    let above = class_at(space, Builtin::Object as u32);
    let records = ClassShape {
        record_words: 3,
        record_references: 0b110,
        ..ClassShape::of_kind(class::KIND_RECORDS, 3)
    };
    create(space, allocator, class::MAP_ENTRIES, above, &records)?;
    let buffer = ClassShape::of_kind(class::KIND_STRING, 0);
    create(space, allocator, class::STRING_BUFFER, above, &buffer)?;
    Ok(())
}
