//! Names of the slots of built-in classes, for people. The layouts are `loader::layout` and `memory::layout`.

use revenant_bytecode::{Builtin, EXCEPTION_FIELDS};

use crate::loader::layout as loader;
use crate::memory::layout::system::root;
use crate::memory::layout::{object, thread};

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    /// A counted reference.
    Reference,
    /// A number.
    Number,
    /// A 32-bit number.
    Half,
}

use Slot::{Half, Number, Reference};

/// A named slot: name, offset, content.
pub(super) type NamedSlot = (&'static str, u64, Slot);

/// References and numbers of the root page that are worth a look.
pub(super) const ROOT: &[NamedSlot] = &[
    ("programs", root::PROGRAMS, Reference),
    ("directory", root::DIRECTORY, Reference),
    ("builtin", root::BUILTIN_NAMESPACE, Reference),
    ("groups", root::GROUPS, Reference),
    ("console_session", root::CONSOLE_SESSION, Reference),
    ("restart_event", root::RESTART_EVENT, Reference),
    ("signatures", loader::ROOT_SIGNATURES, Reference),
    ("collections", loader::ROOT_COLLECTIONS, Reference),
    ("restart_generation", root::RESTART_GENERATION, Number),
    ("machine_clock", root::MACHINE_CLOCK, Number),
];

/// The slots of a built-in class with fixed layout; none for those that have their own way of being shown.
pub(super) const fn slots(class: Builtin) -> &'static [NamedSlot] {
    match class {
        Builtin::Long | Builtin::Double => &[("value", object::BOX_VALUE, Number)],
        Builtin::Function => &[
            ("name", loader::FUNCTION_NAME, Reference),
            ("module", loader::FUNCTION_MODULE, Reference),
            ("signature", loader::FUNCTION_SIGNATURE, Reference),
            ("code", loader::FUNCTION_CODE_OBJECT, Reference),
            ("handlers", loader::FUNCTION_HANDLERS, Reference),
            ("lines", loader::FUNCTION_LINES, Reference),
            ("index", loader::FUNCTION_INDEX, Number),
        ],
        Builtin::Closure => &[
            ("function", loader::CLOSURE_FUNCTION, Reference),
            ("environment", loader::CLOSURE_ENVIRONMENT, Reference),
        ],
        Builtin::Module => &[
            ("name", loader::MODULE_NAME, Reference),
            ("version", loader::MODULE_VERSION, Number),
            ("functions", loader::MODULE_FUNCTIONS, Reference),
            ("classes", loader::MODULE_CLASSES, Reference),
            ("strings", loader::MODULE_STRINGS, Reference),
            ("signatures", loader::MODULE_SIGNATURES, Reference),
            ("namespace", loader::MODULE_NAMESPACE, Reference),
            ("file", loader::MODULE_FILE, Reference),
            ("source", loader::MODULE_SOURCE, Reference),
        ],
        Builtin::Signature => &[("text", loader::SIGNATURE_TEXT, Reference)],
        Builtin::Group => {
            &[("name", loader::GROUP_NAME, Reference), ("index", loader::GROUP_INDEX, Number)]
        }
        Builtin::Program => &[
            ("name", loader::PROGRAM_NAME, Reference),
            ("directory", loader::PROGRAM_DIRECTORY, Reference),
            ("namespace", loader::PROGRAM_NAMESPACE, Reference),
            ("group", loader::PROGRAM_GROUP, Reference),
            ("main", loader::PROGRAM_MAIN, Reference),
            ("environment", loader::PROGRAM_ENVIRONMENT, Reference),
            ("exception", loader::PROGRAM_EXCEPTION, Reference),
            ("state", loader::PROGRAM_STATE, Number),
            ("exit", loader::PROGRAM_EXIT, Number),
        ],
        Builtin::Environment => &[
            ("arguments", loader::ENVIRONMENT_ARGUMENTS, Reference),
            ("console", loader::ENVIRONMENT_CONSOLE, Reference),
            ("directory", loader::ENVIRONMENT_DIRECTORY, Reference),
            ("restart_event", loader::ENVIRONMENT_RESTART_EVENT, Reference),
        ],
        Builtin::Console => &[("program", loader::CONSOLE_PROGRAM, Reference)],
        Builtin::Thread => &[
            ("name", thread::NAME, Reference),
            ("program", thread::PROGRAM, Reference),
            ("state", thread::STATE, Half),
            ("index", thread::INDEX, Half),
            ("steps", thread::STEPS, Number),
            ("stack_bytes", thread::STACK_SIZE, Number),
            ("waits_for", thread::WAIT_OBJECT, Reference),
            ("deadline", thread::DEADLINE, Number),
            ("pending_exception", thread::PENDING_EXCEPTION, Reference),
            ("uncaught", thread::UNCAUGHT, Reference),
        ],
        Builtin::Condition => &[("mutex", thread::CONDITION_MUTEX, Reference)],
        Builtin::Semaphore => &[("permits", thread::SEMAPHORE_PERMITS, Number)],
        _ => &[],
    }
}

/// Number of the fields of `Exception`, which every exception class begins with.
pub(super) const EXCEPTION_SLOTS: usize = EXCEPTION_FIELDS.len();
