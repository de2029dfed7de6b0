//! The golden image of the layout: every number of it, as a text that starts with the number of the format. A change of both a
//! constant and the assertion beside it passes the compiler; it does not pass this. A disk made before the change would be misread.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use super::{ABI_VERSION, block};
use crate::thread::{
    FLAG_ENDING, FLAG_INTERRUPTED, FLAG_TOLD, FLAG_UNWINDING, WaitKind, locks::GRANT,
};

macro_rules! constants {
    ($($group:ident $($path:ident)::+: $($name:ident),+;)*) => {
        /// The constants, a line each.
        fn constants(text: &mut String) {
            $({
                use $($path)::+ as group;
                $(*text += &format!("{}.{} {:#x}\n", stringify!($group), stringify!($name), group::$name);)+
            })*
        }
    };
}

constants! {
        mod crate::memory::layout:
            ABI_VERSION, MAGIC, SLOT, GRANULE, PAGE, BLOCK, BLOCKS;
        area crate::memory::layout::area:
            ROOT, SCHEDULER, COUNTING, RUNS, STATISTICS, CONSOLE, WITNESS, CONSOLE_OUTPUT, CONSOLE_OUTPUT_SIZE,
            CONSOLE_INPUT, CONSOLE_INPUT_SIZE, CLASS_TABLE, CLASS_TABLE_ENTRIES, THREAD_TABLE, THREAD_TABLE_ENTRIES,
            ALLOCATORS, ALLOCATOR_COUNT, BLOCK_TABLE, BATCHES, BATCH_SIZE, TIMER_HEAP, TIMER_HEAP_ENTRIES,
            NOTED_BLOCKS, HELD_TABLE, WEAK_TABLE, EXTENSION_TABLE, TABLE_ARENA, HEAP, END;
        block crate::memory::layout::block:
            ENTRY_SIZE, ENTRY_KIND, ENTRY_ORDER, ENTRY_SIZE_CLASS, ENTRY_STATE, ENTRY_OWNER, ENTRY_PREVIOUS,
            ENTRY_NEXT, KIND_NONE, KIND_FREE, KIND_DIRTY, KIND_SMALL, KIND_LARGE, KIND_STACK, STATE_CURRENT,
            STATE_LISTED, STATE_FULL, ORDERS, HEADER_SIZE, FIRST_GRANULE, GRANULES, HEADER_FREE_CELLS, HEADER_CLASS,
            HEADER_EXTENT, RUNS_CLEAN, RUNS_DIRTY, RUNS_BLOCKS_USED, RUNS_DIRTY_BLOCKS, RUNS_UNKNOWN_PAGES,
            RUNS_REFUSED, RUNS_FRESH, RUNS_FRESH_TOP, RUNS_NOTED, HEADER_NOTED, HEADER_ZERO_PAGES,
            ALLOCATOR_GROUP, ALLOCATOR_QUOTA, ALLOCATOR_USED, ALLOCATOR_REFUSED, ALLOCATOR_CLASSES, ALLOCATOR_CLASS_SIZE, CLASS_CURSOR,
            CLASS_LIMIT, CLASS_CURRENT, CLASS_HEAD, CLASS_TAIL, THREAD_CLASS;
        class crate::memory::layout::class:
            INDEX, KIND, ELEMENT_SHIFT, FLAGS, SUPERCLASS, MODULE, NAME, INSTANCE_SIZE, SLOTS, REFERENCE_BITMAP,
            LONG_BITMAP, SIZE_CLASS, VTABLE_LENGTH, INTERFACES, DEPTH, RECORD_MASK, DISPLAY, DISPLAY_LENGTH,
            DISPLAY_ENTRIES, RECORD_WORDS, FIELD_NAMES, INSTANCES, RESERVED, VTABLE, FIXED_REFERENCES,
            FLAG_INTERFACE, FLAG_ABSTRACT, FLAG_LAYOUT_FROZEN, FLAG_SEALED, KIND_PLAIN, KIND_REFERENCE_ARRAY,
            KIND_RAW_ARRAY, KIND_STRING, KIND_RECORDS, KIND_WEAK, KIND_CLASS, KIND_THREAD, MAP_ENTRIES,
            STRING_BUFFER, FIRST_MODULE_CLASS;
        map crate::memory::layout::map:
            LIVE, END, CHANGES, INDEX_USED, MOVE_CURSOR, COMPACT_FROM, COMPACT_TO, INDEX, OLD_INDEX, SEGMENTS,
            SEGMENT_COUNT, FIRST_SEGMENT, SIZE, REFERENCES, ENTRY_WORDS, ENTRY_STATE, ENTRY_KEY, ENTRY_VALUE,
            ENTRY_LIVE, PLACE_EMPTY, PLACE_DELETED;
        object crate::memory::layout::object:
            CLASS, LENGTH, BIRTH_AND_FLAGS, PAYLOAD, HEADER_SIZE, BIRTH_MASK, FLAGS_SHIFT, FLAG_LARGE, FLAG_WEAK,
            FLAG_EXTENDED, FLAG_FROZEN, LARGE_LENGTH, LARGE_CAPACITY, LARGE_OFFSET, LENGTH_OVERFLOW, SMALL_LIMIT,
            META_START, META_COUNT_ONE, META_COUNT_MASK, META_BATCH_MASK, META_BATCH_SHIFT, META_BATCH_SWEPT, STRING_HASH,
            STRING_BYTES, STRING_HASH_VALID, BUILDER_BUFFER, BUILDER_LENGTH, BUILDER_SIZE, VECTOR_ELEMENTS,
            VECTOR_LENGTH, VECTOR_CHANGES, VECTOR_SIZE, BOX_VALUE, WEAK_TARGET, WEAK_READ, WEAK_SIZE;
        root crate::memory::layout::system::root:
            MAGIC, ABI, RESTART_GENERATION, MACHINE_CLOCK, WALL_OFFSET, DURABLE_EPOCH, NEXT_CLASS, NEXT_THREAD,
            FREE_THREAD, NEXT_GROUP, DIRECTORY, BUILTIN_NAMESPACE, PROGRAMS, CONSOLE_SESSION, RESTART_EVENT, GROUPS,
            MODULES, SPARE_REFERENCES, REFERENCES_END;
        scheduler crate::memory::layout::system::scheduler:
            RUN_HEAD, RUN_TAIL, RUN_COUNT, TIMER_COUNT, THREAD_COUNT, STEPS, COMMIT_HEAD, COMMIT_TAIL, RANDOM,
            ENDED_HEAD, ROUND, SPARE;
        counting crate::memory::layout::system::counting:
            EPOCH, OPEN_NEXT, OPEN_LIMIT, NEW_METADATA, PHASE, CLOSED_NEXT, CLOSED_END, TEARDOWN_OBJECT,
            TEARDOWN_INDEX, TEARDOWN_STAGE, HOT_HEAD, PENDING_HEAD, REQUESTED, BATCH_ENTRIES, KEPT, GRACES,
            OBJECTS_FREED, SLOTS_FROZEN, SLOTS_THAWED, OPEN_LARGE, HELD, WEAK, EXTENSION, SWEEP_NAME,
            SWEEP_EPOCH, SWEEP_BLOCK, SWEEP_GRANULE, SWEEP_OBJECT, SWEEP_STAGE, SWEEP_INDEX, SWEEP_DROPPED,
            SWEEP_PASSED, SWEPT, SWEEPS, GIVEN, PARTED, STUCK, COLLECTED_GIVEN, COLLECTED_PARTED, COLLECTED_STUCK,
            COLLECTED_PAGES, COLLECTED_YIELD, WISH, WISH_PAUSE, WISH_START, WISH_STOP, HELD_BLOCKS,
            HELD_BLOCKS_COUNT, PHASE_IDLE, PHASE_FREEZING, PHASE_FREEING, STAGE_REFERENCES, STAGE_ZERO,
            STAGE_RELEASE;
        table crate::memory::layout::system::table:
            LOG2, ARENA, LIVE, USED, OLD_LOG2, OLD_CURSOR, SIZE, PLACE, REMOVED;
        console crate::memory::layout::system::console:
            OUTPUT_APPENDED, OUTPUT_DRAINED, INPUT_APPENDED, INPUT_TAKEN, INPUT_LOST, READER_HEAD, READER_TAIL,
            WRITER_HEAD, WRITER_TAIL, FOREGROUND, OUTPUT_OWNER, INTERRUPTING, SPARE;
        witness crate::memory::layout::system::witness:
            COUNT, RELEASED, ENTRIES, ENTRY_SIZE, CAPACITY;
        statistics crate::memory::layout::system::statistics:
            BLOCKS_TAKEN, BLOCKS_RETURNED, LARGE_MADE, LARGE_FREED;
        thread crate::memory::layout::thread:
            STATE, FLAGS, POSITION, FRAME, WATERMARK, SCRATCH, STACK, STACK_SIZE, REFERENCE_LIMIT, RAW_LIMIT,
            RECORD_LIMIT, STEPS, INDEX, GROUP_INDEX, GROUP, PROGRAM, WAIT_OBJECT, WAIT_NEXT, WAIT_PREVIOUS,
            WAIT_RESULT, DEADLINE, TIMER_PLACE, COMMIT_EPOCH, HOT_NEXT, PENDING_EXCEPTION, OUT_OF_MEMORY, DISK_FULL,
            STACK_OVERFLOW, UNCAUGHT, EXIT_REFERENCE, EXIT_RAW, JOIN_HEAD, JOIN_TAIL, OWNED_MUTEXES, NAME,
            DAMAGED_PAGE, NATIVE_REFERENCE, NATIVE_PROGRESS, WAIT_QUEUE, WAIT_KIND, NATIVE_TAG, SIZE, REFERENCES,
            STATE_RUNNABLE, STATE_WAITING, STATE_ENDED, STATE_DAMAGED, FLAG_HOT, FLAG_FOREGROUND, RECORD_POSITION,
            RECORD_FUNCTION, RECORD_RAW_BASE, RECORD_REFERENCE_BASE, RECORD_RAW_END, RECORD_REFERENCE_END,
            RECORD_SIZE, STACK_DEFAULT, FRAME_REFERENCES, FRAME_RAWS, MUTEX_OWNER, MUTEX_ABANDONED, MUTEX_HEAD,
            MUTEX_TAIL, MUTEX_NEXT, MUTEX_PREVIOUS, MUTEX_SIZE, CONDITION_MUTEX, CONDITION_HEAD, CONDITION_TAIL,
            CONDITION_SIZE, SEMAPHORE_PERMITS, SEMAPHORE_HEAD, SEMAPHORE_TAIL, SEMAPHORE_SIZE;
        loader crate::loader::layout:
            FUNCTION_CODE, FUNCTION_COUNTS, FUNCTION_RESULTS, FUNCTION_MODULE, FUNCTION_CODE_OBJECT, FUNCTION_NAME,
            FUNCTION_HANDLERS, FUNCTION_SIGNATURE, FUNCTION_LINES, FUNCTION_INDEX, FUNCTION_SIZE,
            FUNCTION_REFERENCES, HANDLER_WORDS, CLOSURE_FUNCTION, CLOSURE_ENVIRONMENT, CLOSURE_SIZE,
            CLOSURE_REFERENCES, MODULE_NAME, MODULE_FUNCTIONS, MODULE_CLASSES, MODULE_STRINGS, MODULE_SIGNATURES,
            MODULE_STATIC_RAWS, MODULE_STATIC_REFERENCES, MODULE_EXPORTS, MODULE_NAMESPACE, MODULE_STATIC_NAMES,
            MODULE_FILE, MODULE_SOURCE, MODULE_VERSION, MODULE_SIZE, MODULE_REFERENCES, SIGNATURE_TEXT,
            SIGNATURE_SIZE, SIGNATURE_REFERENCES, NAMESPACE_MODULES, NAMESPACE_SIZE, NAMESPACE_REFERENCES,
            GROUP_NAME, GROUP_INDEX, GROUP_SIZE, GROUP_REFERENCES, PROGRAM_NAME, PROGRAM_NAMESPACE, PROGRAM_GROUP,
            PROGRAM_MAIN, PROGRAM_ENVIRONMENT, PROGRAM_DIRECTORY, PROGRAM_EXCEPTION, PROGRAM_STATE, PROGRAM_EXIT,
            PROGRAM_SIZE, PROGRAM_REFERENCES, PROGRAM_RUNNING, PROGRAM_RETURNED, PROGRAM_UNCAUGHT, PROGRAM_DAMAGED,
            ENVIRONMENT_ARGUMENTS, ENVIRONMENT_CONSOLE, ENVIRONMENT_DIRECTORY, ENVIRONMENT_RESTART_EVENT,
            ENVIRONMENT_SIZE, ENVIRONMENT_REFERENCES, CONSOLE_PROGRAM, CONSOLE_SIZE, CONSOLE_REFERENCES, EVENT_HEAD,
            EVENT_TAIL, EVENT_SIZE, ROOT_SIGNATURES, ROOT_COLLECTIONS, EXCEPTION_MESSAGE, EXCEPTION_CAUSE, EXCEPTION_TRACE,
            EXCEPTION_CODE, EXCEPTION_SIZE;
}

/// What a changed layout asks for.
const ADVICE: &str = "The layout of object space is a disk format. What was there has changed: raise ABI_VERSION \
    (vm/src/memory/layout/mod.rs), say in its comment what was different, correct OBJECTS.md, run this test with REVENANT_BLESS=1 \
    and commit vm/golden/layout.txt. Disks of the old number are refused then, instead of being misread.";

fn layout() -> String {
    let mut text = format!("ABI version {ABI_VERSION}\n");
    constants(&mut text);
    text += &format!("block.SIZE_CLASSES {:?}\n", block::SIZE_CLASSES);
    for number in 0..32 {
        if let Some(kind) = WaitKind::from_number(number) {
            text += &format!("wait.{kind:?} {:#x}\n", kind as u64);
        }
    }
    let flags = [FLAG_UNWINDING, FLAG_ENDING, FLAG_INTERRUPTED, FLAG_TOLD];
    text += &format!("thread.flags {flags:x?}\nthread.GRANT {GRANT:#x}\n");
    text
}

/// Constants of the same number are only added; all others need a new number.
#[test]
fn the_layout_is_that_of_its_number() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/layout.txt");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let text = layout();
    let lines: BTreeSet<&str> = text.lines().collect();
    let same_number = golden.lines().next() == text.lines().next();
    let changed: alloc::vec::Vec<_> =
        golden.lines().filter(|line| same_number && !lines.contains(line)).collect();
    assert!(changed.is_empty(), "{ADVICE}\nNo longer so: {changed:#?}");
    if std::env::var_os("REVENANT_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    } else {
        assert!(
            text == golden,
            "New constants, or a new number: run with REVENANT_BLESS=1 and commit {path}"
        );
    }
}

/// No constant is forgotten above.
#[test]
fn every_constant_of_the_layout_is_in_the_image() {
    let sources = [
        include_str!("mod.rs"),
        include_str!("block.rs"),
        include_str!("class.rs"),
        include_str!("map.rs"),
        include_str!("object.rs"),
        include_str!("system.rs"),
        include_str!("thread.rs"),
        include_str!("../../loader/layout.rs"),
    ];
    let text = layout();
    let names: BTreeSet<&str> =
        text.lines().filter_map(|line| line.split([' ', '.']).nth(1)).collect();
    for line in sources.into_iter().flat_map(str::lines) {
        let line = line.trim_start();
        let constant = line.strip_prefix("pub const ").or(line.strip_prefix("pub(crate) const "));
        let Some((name, _)) = constant.and_then(|rest| rest.split_once(": ")) else { continue };
        let is_listed = name.contains('(') || name == "ABI_VERSION" || names.contains(name);
        assert!(is_listed, "{name} is not in vm/src/memory/layout/golden.rs");
    }
}
