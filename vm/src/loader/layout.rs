//! Layouts of the objects that the loader makes: functions, closures, modules, signatures, namespaces, and what a program is.
//!
//! Part of the disk format (OBJECTS.md): numbers are only appended. Offsets are bytes from the object's address; every word is
//! 8 bytes. `*_REFERENCES` are the bitmaps of reference slots. Neighbours: `dispatch` reads functions, `program` the rest.

use crate::memory::layout::class::slot;
use crate::memory::layout::object::PAYLOAD;

/// Function: address of its first code word, raw.
pub(crate) const FUNCTION_CODE: u64 = PAYLOAD;
/// Function: registers and arguments, four u16: references, raws, reference arguments, raw arguments.
pub(crate) const FUNCTION_COUNTS: u64 = PAYLOAD + 8;
/// Function: results, two u16: references, raws; then words of code, u32.
pub(crate) const FUNCTION_RESULTS: u64 = PAYLOAD + 16;
/// Function: module instance, reference.
pub(crate) const FUNCTION_MODULE: u64 = PAYLOAD + 24;
/// Function: the code, a `LongArray`, reference.
pub(crate) const FUNCTION_CODE_OBJECT: u64 = PAYLOAD + 32;
/// Function: name, reference.
pub(crate) const FUNCTION_NAME: u64 = PAYLOAD + 40;
/// Function: handler table, a `LongArray` of [`HANDLER_WORDS`] words an entry, or null, reference.
pub(crate) const FUNCTION_HANDLERS: u64 = PAYLOAD + 48;
/// Function: interned signature; equal signatures are the same object; reference.
pub(crate) const FUNCTION_SIGNATURE: u64 = PAYLOAD + 56;
/// Function: source lines, a `LongArray` of position (low half) and line (high half), or null, reference.
pub(crate) const FUNCTION_LINES: u64 = PAYLOAD + 64;
/// Function: its index in its module.
pub(crate) const FUNCTION_INDEX: u64 = PAYLOAD + 72;
/// Bytes of a function.
pub(crate) const FUNCTION_SIZE: u64 = PAYLOAD + 80;
/// Reference slots of a function.
pub(crate) const FUNCTION_REFERENCES: u64 = slot(FUNCTION_MODULE)
    | slot(FUNCTION_CODE_OBJECT)
    | slot(FUNCTION_NAME)
    | slot(FUNCTION_HANDLERS)
    | slot(FUNCTION_SIGNATURE)
    | slot(FUNCTION_LINES);

/// Words of a handler: start and end (u32 each), target and register (u32 each), class object (raw; the module keeps it).
pub(crate) const HANDLER_WORDS: u64 = 3;

/// Closure: function, reference.
pub(crate) const CLOSURE_FUNCTION: u64 = PAYLOAD;
/// Closure: environment or null, reference.
pub(crate) const CLOSURE_ENVIRONMENT: u64 = PAYLOAD + 8;
/// Bytes of a closure.
pub(crate) const CLOSURE_SIZE: u64 = PAYLOAD + 16;
/// Reference slots of a closure.
pub(crate) const CLOSURE_REFERENCES: u64 = slot(CLOSURE_FUNCTION) | slot(CLOSURE_ENVIRONMENT);

/// Module: name, reference.
pub(crate) const MODULE_NAME: u64 = PAYLOAD;
/// Module: functions by index, imports first, an `ObjectArray`, reference.
pub(crate) const MODULE_FUNCTIONS: u64 = PAYLOAD + 8;
/// Module: classes by index, imports first, an `ObjectArray`, reference.
pub(crate) const MODULE_CLASSES: u64 = PAYLOAD + 16;
/// Module: string constants, an `ObjectArray`, reference.
pub(crate) const MODULE_STRINGS: u64 = PAYLOAD + 24;
/// Module: interned signatures by index, an `ObjectArray`, reference.
pub(crate) const MODULE_SIGNATURES: u64 = PAYLOAD + 32;
/// Module: raw static variables, a `LongArray` indexed by static, reference.
pub(crate) const MODULE_STATIC_RAWS: u64 = PAYLOAD + 40;
/// Module: reference static variables, an `ObjectArray` indexed by static, reference.
pub(crate) const MODULE_STATIC_REFERENCES: u64 = PAYLOAD + 48;
/// Module: exports, an `ObjectArray` of pairs (name, function or class) by increasing name, reference.
pub(crate) const MODULE_EXPORTS: u64 = PAYLOAD + 56;
/// Module: the namespace it was loaded into, reference.
pub(crate) const MODULE_NAMESPACE: u64 = PAYLOAD + 64;
/// Module: names of the static variables, an `ObjectArray`, reference.
pub(crate) const MODULE_STATIC_NAMES: u64 = PAYLOAD + 72;
/// Module: the bytes of its file, a `ByteArray`: what imports are checked against, and what
/// identity is (identical bytes in one namespace are one module); reference.
pub(crate) const MODULE_FILE: u64 = PAYLOAD + 80;
/// Module: name of its source file, for traces, reference.
pub(crate) const MODULE_SOURCE: u64 = PAYLOAD + 88;
/// Module: its version.
pub(crate) const MODULE_VERSION: u64 = PAYLOAD + 96;
/// Bytes of a module.
pub(crate) const MODULE_SIZE: u64 = PAYLOAD + 112;
/// Reference slots of a module.
pub(crate) const MODULE_REFERENCES: u64 = 0b1111_1111_1111;

/// Signature: its canonical text, reference.
pub(crate) const SIGNATURE_TEXT: u64 = PAYLOAD;
/// Bytes of a signature.
pub(crate) const SIGNATURE_SIZE: u64 = PAYLOAD + 16;
/// Reference slots of a signature.
pub(crate) const SIGNATURE_REFERENCES: u64 = slot(SIGNATURE_TEXT);

/// Namespace: an `ObjectArray` of pairs (name, module) by increasing name, replaced as a whole by each load; in the namespace of the
/// built-in classes, of pairs (name, class); reference.
pub(crate) const NAMESPACE_MODULES: u64 = PAYLOAD;
/// Bytes of a namespace.
pub(crate) const NAMESPACE_SIZE: u64 = PAYLOAD + 16;
/// Reference slots of a namespace.
pub(crate) const NAMESPACE_REFERENCES: u64 = slot(NAMESPACE_MODULES);

/// Group: its name, reference.
pub(crate) const GROUP_NAME: u64 = PAYLOAD;
/// Group: its index among the allocator pages.
pub(crate) const GROUP_INDEX: u64 = PAYLOAD + 8;
/// Bytes of a group.
pub(crate) const GROUP_SIZE: u64 = PAYLOAD + 16;
/// Reference slots of a group.
pub(crate) const GROUP_REFERENCES: u64 = slot(GROUP_NAME);

/// Program: name, reference.
pub(crate) const PROGRAM_NAME: u64 = PAYLOAD;
/// Program: namespace, reference.
pub(crate) const PROGRAM_NAMESPACE: u64 = PAYLOAD + 8;
/// Program: group, reference.
pub(crate) const PROGRAM_GROUP: u64 = PAYLOAD + 16;
/// Program: main thread, reference.
pub(crate) const PROGRAM_MAIN: u64 = PAYLOAD + 24;
/// Program: what `main` is given, reference.
pub(crate) const PROGRAM_ENVIRONMENT: u64 = PAYLOAD + 32;
/// Program: own directory, a `Map`, reference.
pub(crate) const PROGRAM_DIRECTORY: u64 = PAYLOAD + 40;
/// Program: uncaught exception of the main thread or null, reference.
pub(crate) const PROGRAM_EXCEPTION: u64 = PAYLOAD + 48;
/// Program: [`PROGRAM_RUNNING`] and friends.
pub(crate) const PROGRAM_STATE: u64 = PAYLOAD + 56;
/// Program: what `main` returned.
pub(crate) const PROGRAM_EXIT: u64 = PAYLOAD + 64;
/// Bytes of a program.
pub(crate) const PROGRAM_SIZE: u64 = PAYLOAD + 80;
/// Reference slots of a program.
pub(crate) const PROGRAM_REFERENCES: u64 = 0b111_1111;
/// State of a program: its main thread has not ended.
pub(crate) const PROGRAM_RUNNING: u64 = 0;
/// State of a program: `main` returned.
pub(crate) const PROGRAM_RETURNED: u64 = 1;
/// State of a program: an exception ended `main`.
pub(crate) const PROGRAM_UNCAUGHT: u64 = 2;
/// State of a program: its main thread could not be read.
pub(crate) const PROGRAM_DAMAGED: u64 = 3;

/// Environment: arguments, a `StringArray`, reference.
pub(crate) const ENVIRONMENT_ARGUMENTS: u64 = PAYLOAD;
/// Environment: console capability, reference.
pub(crate) const ENVIRONMENT_CONSOLE: u64 = PAYLOAD + 8;
/// Environment: the program's directory, reference.
pub(crate) const ENVIRONMENT_DIRECTORY: u64 = PAYLOAD + 16;
/// Environment: the restart event, reference.
pub(crate) const ENVIRONMENT_RESTART_EVENT: u64 = PAYLOAD + 24;
/// Bytes of an environment.
pub(crate) const ENVIRONMENT_SIZE: u64 = PAYLOAD + 32;
/// Reference slots of an environment.
pub(crate) const ENVIRONMENT_REFERENCES: u64 = 0b1111;

/// Console capability: the program that prints through it, reference.
pub(crate) const CONSOLE_PROGRAM: u64 = PAYLOAD;
/// Bytes of a console capability.
pub(crate) const CONSOLE_SIZE: u64 = PAYLOAD + 16;
/// Reference slots of a console capability.
pub(crate) const CONSOLE_REFERENCES: u64 = slot(CONSOLE_PROGRAM);

/// Restart event: first waiting thread, raw.
pub(crate) const EVENT_HEAD: u64 = PAYLOAD;
/// Restart event: last waiting thread, raw.
pub(crate) const EVENT_TAIL: u64 = PAYLOAD + 8;
/// Bytes of a restart event.
pub(crate) const EVENT_SIZE: u64 = PAYLOAD + 16;

/// Root page: all interned signatures, an `ObjectArray` by increasing text, replaced as a whole; reference.
pub(crate) const ROOT_SIGNATURES: u64 = crate::memory::layout::system::root::SPARE_REFERENCES;
/// Root page: accounts of the last collections, an `ObjectArray` of strings, the newest last, replaced as a whole; null before the first; reference.
pub(crate) const ROOT_COLLECTIONS: u64 = ROOT_SIGNATURES + 8;

/// Exception: message or null, reference.
pub(crate) const EXCEPTION_MESSAGE: u64 = PAYLOAD;
/// Exception: cause or null, reference.
pub(crate) const EXCEPTION_CAUSE: u64 = PAYLOAD + 8;
/// Exception: trace or null, a `LongArray` of pairs, innermost frame first: function, address of its instruction (raw; modules keep
/// both); reference.
pub(crate) const EXCEPTION_TRACE: u64 = PAYLOAD + 16;
/// Exception: a number that says more.
pub(crate) const EXCEPTION_CODE: u64 = PAYLOAD + 24;
/// Bytes of an exception.
pub(crate) const EXCEPTION_SIZE: u64 = PAYLOAD + 32;

const _: () = assert!(MODULE_SOURCE == PAYLOAD + 11 * 8);
const _: () = assert!(PROGRAM_EXCEPTION == PAYLOAD + 6 * 8);
