//! What programs find without declaring it: natives and operations by name. Signatures are the language's, not the native's.

use revenant_bytecode::{Builtin, ClassReference, Native, Opcode};

use crate::types::{Array, Referent, Type};

/// How a function of the library is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Means {
    Native(Native),
    /// One instruction on the first argument.
    Unary(Opcode),
    /// One instruction on both.
    Binary(Opcode),
    /// What the program was given when it began.
    Environment,
}

/// A function of the library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [Type],
    pub(super) result: Type,
    pub(super) means: Means,
}

const fn native(
    name: &'static str,
    parameters: &'static [Type],
    result: Type,
    native: Native,
) -> Entry {
    Entry { name, parameters, result, means: Means::Native(native) }
}

const fn unary(
    name: &'static str,
    kind: Type,
    parameters: &'static [Type],
    opcode: Opcode,
) -> Entry {
    Entry { name, parameters, result: kind, means: Means::Unary(opcode) }
}

const fn binary(name: &'static str, parameters: &'static [Type], opcode: Opcode) -> Entry {
    Entry { name, parameters, result: Type::F64, means: Means::Binary(opcode) }
}

use Type::{Bool, F64, I32, I64, U32, Void};
const BYTES: Type = Type::Object(Referent::Array(Array::U8));

/// Functions, and functions of `Math`.
const FUNCTIONS: &[Entry] = &[
    native("sleep", &[I64], Void, Native::Sleep),
    native("commit", &[], I64, Native::Commit),
    native("uptime", &[], I64, Native::ClockMonotonic),
    native("now", &[], I64, Native::ClockWall),
    native("restarts", &[], I64, Native::RestartGeneration),
    native("entropy", &[], I64, Native::Entropy),
    native("reportStep", &[I64], Void, Native::WitnessStep),
    native("yieldThread", &[], Void, Native::ThreadYield),
    native("Thread.current", &[], Type::machine(Builtin::Thread), Native::ThreadCurrent),
    native("collector.start", &[], Void, Native::CollectorStart),
    native("collector.pause", &[], Void, Native::CollectorPause),
    native("collector.resume", &[], Void, Native::CollectorResume),
    native("collector.stop", &[], Void, Native::CollectorStop),
    native("collector.sweeps", &[], I64, Native::CollectorSweeps),
    native("past.before", &[I64], I64, Native::PastBefore),
    native("parseInteger", &[Type::TEXT], I64, Native::StringParseI64),
    native("parseFloat", &[Type::TEXT], F64, Native::StringParseF64),
    unary("clz", I32, &[U32], Opcode::I32Clz),
    unary("ctz", I32, &[U32], Opcode::I32Ctz),
    unary("popcnt", I32, &[U32], Opcode::I32Popcnt),
    unary("Math.abs", F64, &[F64], Opcode::F64Abs),
    unary("Math.ceil", F64, &[F64], Opcode::F64Ceil),
    unary("Math.floor", F64, &[F64], Opcode::F64Floor),
    unary("Math.trunc", F64, &[F64], Opcode::F64Trunc),
    unary("Math.sqrt", F64, &[F64], Opcode::F64Sqrt),
    binary("Math.min", &[F64, F64], Opcode::F64Min),
    binary("Math.max", &[F64, F64], Opcode::F64Max),
    native("Math.sin", &[F64], F64, Native::F64Sin),
    native("Math.cos", &[F64], F64, Native::F64Cos),
    native("Math.tan", &[F64], F64, Native::F64Tan),
    native("Math.asin", &[F64], F64, Native::F64Asin),
    native("Math.acos", &[F64], F64, Native::F64Acos),
    native("Math.atan", &[F64], F64, Native::F64Atan),
    native("Math.atan2", &[F64, F64], F64, Native::F64Atan2),
    native("Math.exp", &[F64], F64, Native::F64Exp),
    native("Math.log", &[F64], F64, Native::F64Log),
    native("Math.log2", &[F64], F64, Native::F64Log2),
    native("Math.log10", &[F64], F64, Native::F64Log10),
    native("Math.pow", &[F64, F64], F64, Native::F64Pow),
    native("String.fromCodePoint", &[I32], Type::TEXT, Native::StringFromCharacter),
    native("String.fromBytes", &[BYTES, I64, I64], Type::TEXT, Native::StringFromBytes),
];

/// Methods of texts; the text itself is the first argument.
const TEXT_METHODS: &[Entry] = &[
    native("byteAt", &[I64], I32, Native::StringByte),
    native("slice", &[I64, I64], Type::TEXT, Native::StringSlice),
    native("indexOf", &[Type::TEXT, I64], I64, Native::StringFind),
    native("compare", &[Type::TEXT], I32, Native::StringCompare),
    native("hash", &[], I64, Native::StringHash),
    native("bytes", &[], BYTES, Native::StringToBytes),
];

const MUTEX: Type = Type::machine(Builtin::Mutex);
const WEAK: Type = Type::machine(Builtin::WeakReference);
const OBJECT: Type = Type::machine(Builtin::Object);
const OBJECT_OR_NULL: Type = Type::Nullable(Referent::Machine(Builtin::Object));
const ENVIRONMENT: Type = Type::machine(Builtin::Environment);
const DICTIONARY: Type = Type::machine(Builtin::Map);
const EVENT: Type = Type::machine(Builtin::RestartEvent);

/// What the library's own classes are made of; programs cannot name these.
const INTERNAL: &[Entry] = &[
    native("weakNew", &[OBJECT], WEAK, Native::WeakNew),
    native("weakGet", &[WEAK], OBJECT_OR_NULL, Native::WeakGet),
    Entry {
        name: "programEnvironment",
        parameters: &[],
        result: ENVIRONMENT,
        means: Means::Environment,
    },
    native("directoryOf", &[ENVIRONMENT], DICTIONARY, Native::EnvironmentDirectory),
    native("restartEventOf", &[ENVIRONMENT], EVENT, Native::EnvironmentRestartEvent),
    native("restartWait", &[EVENT, I64], I64, Native::RestartWait),
    native("pastCopy", &[OBJECT, I64], OBJECT, Native::PastCopy),
    native("dictionaryGet", &[DICTIONARY, OBJECT], OBJECT_OR_NULL, Native::MapGet),
    native("dictionaryHas", &[DICTIONARY, OBJECT], Bool, Native::MapContains),
    native("dictionarySet", &[DICTIONARY, OBJECT, OBJECT], Void, Native::MapSet),
    native("dictionaryRemove", &[DICTIONARY, OBJECT], Bool, Native::MapRemove),
    // One native: the key at or after a cursor, and the next cursor.
    native("dictionaryKey", &[DICTIONARY, I64], OBJECT_OR_NULL, Native::MapNext),
    native("dictionaryNext", &[DICTIONARY, I64], I64, Native::MapNext),
];

/// Constructors of the machine's objects.
const CONSTRUCTORS: &[(Builtin, Entry)] = &[
    (Builtin::Mutex, native("Mutex", &[], MUTEX, Native::MutexNew)),
    (
        Builtin::Condition,
        native("Condition", &[MUTEX], Type::machine(Builtin::Condition), Native::ConditionNew),
    ),
    (
        Builtin::Semaphore,
        native("Semaphore", &[I64], Type::machine(Builtin::Semaphore), Native::SemaphoreNew),
    ),
    (BUILDER, native("StringBuilder", &[], Type::machine(BUILDER), Native::BuilderNew)),
];

const BUILDER: Builtin = Builtin::StringBuilder;

/// How a thread ended.
const ENDED: Type = Type::Nullable(Referent::Class(ClassReference::builtin(Builtin::Exception)));

/// Methods of the machine's objects; the object itself is the first argument.
const METHODS: &[(Builtin, Entry)] = &[
    (Builtin::Thread, native("join", &[], ENDED, Native::ThreadJoin)),
    (Builtin::Thread, native("interrupt", &[], Void, Native::ThreadInterrupt)),
    (Builtin::Mutex, native("lock", &[], Void, Native::MutexLock)),
    (Builtin::Mutex, native("lockFor", &[I64], Bool, Native::MutexLockFor)),
    (Builtin::Mutex, native("tryLock", &[], Bool, Native::MutexTryLock)),
    (Builtin::Mutex, native("unlock", &[], Void, Native::MutexUnlock)),
    (Builtin::Condition, native("wait", &[], Void, Native::ConditionWait)),
    (Builtin::Condition, native("waitFor", &[I64], Bool, Native::ConditionWaitFor)),
    (Builtin::Condition, native("notify", &[], Void, Native::ConditionNotifyOne)),
    (Builtin::Condition, native("notifyAll", &[], Void, Native::ConditionNotifyAll)),
    (Builtin::Semaphore, native("acquire", &[], Void, Native::SemaphoreAcquire)),
    (Builtin::Semaphore, native("release", &[I64], Void, Native::SemaphoreRelease)),
    (BUILDER, native("append", &[Type::TEXT], Void, Native::BuilderAppend)),
    (BUILDER, native("appendInteger", &[I64], Void, Native::BuilderAppendI64)),
    (BUILDER, native("appendNumber", &[F64], Void, Native::BuilderAppendF64)),
    (BUILDER, native("appendFixed", &[F64, I32], Void, Native::BuilderAppendFixed)),
    (BUILDER, native("appendCodePoint", &[I32], Void, Native::BuilderAppendCharacter)),
    (BUILDER, native("length", &[], I64, Native::BuilderLength)),
    (BUILDER, native("clear", &[], Void, Native::BuilderClear)),
    (BUILDER, native("toString", &[], Type::TEXT, Native::BuilderToString)),
];

fn of(list: &[(Builtin, Entry)], class: Builtin, name: &str) -> Option<Entry> {
    let mut entries = list.iter().filter(|(owner, _)| *owner == class);
    entries.find(|(_, entry)| entry.name == name).map(|(_, entry)| *entry)
}

pub(super) fn machine_constructor(class: Builtin) -> Option<Entry> {
    of(CONSTRUCTORS, class, class.name())
}

pub(super) fn machine_method(class: Builtin, name: &str) -> Option<Entry> {
    of(METHODS, class, name)
}

/// Classes of the machine that only the library names.
pub(super) fn internal_class(name: &str) -> Option<Builtin> {
    match name {
        "Weak" => Some(Builtin::WeakReference),
        "Dictionary" => Some(Builtin::Map),
        _ => None,
    }
}

pub(super) fn internal(name: &str) -> Option<Entry> {
    INTERNAL.iter().find(|entry| entry.name == name).copied()
}

pub(super) fn function(name: &str) -> Option<Entry> {
    FUNCTIONS.iter().find(|entry| entry.name == name).copied()
}

pub(super) fn text_method(name: &str) -> Option<Entry> {
    TEXT_METHODS.iter().find(|entry| entry.name == name).copied()
}

/// Whether a name belongs to the library, so that programs cannot take it.
pub(super) fn is_known(name: &str) -> bool {
    let number = Type::named(name).is_some_and(Type::is_number);
    number || matches!(name, "console" | "Math" | "String") || function(name).is_some()
}
