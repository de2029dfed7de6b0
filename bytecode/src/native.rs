//! The native operations: what `call.native` can call, by number, with signatures.
//!
//! **Numbers and signatures are a disk format: rows are only appended.** The `vm` implements them; here stands what the
//! verifier needs, and what each promises about stops ([`NativeKind`]), exceptions and restarts. The `vm` asserts at each call that its
//! answer is one of that kind, and its tests that what it throws stands in its row; section 9 of ISA.md is written from here. No native
//! calls bytecode.
//!
//! Times are nanoseconds, lengths and positions of strings are bytes.

use crate::builtin::Builtin;
use crate::types::ValueType;

/// How a native behaves when it cannot finish at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeKind {
    /// Happens wholly or, with an exception, not at all.
    Step,
    /// Goes in steps, each of which leaves valid objects, with its progress in the thread: other threads run between two of them, and
    /// a restart goes on in the middle. If another thread changes the object in a way that it cannot go on from, it throws.
    Stepped,
    /// May park the thread; whoever ends the wait says what comes of it, and the native is not executed again. What it does besides
    /// waiting is a step (`console.print` of a long text: several).
    Waits,
}

/// What any native may throw besides what its row says: there is no room for what it makes; a page cannot be read; damage put
/// null where the verifier excludes it.
pub const THROWN_BY_ALL: [Builtin; 4] = [
    Builtin::OutOfMemoryException,
    Builtin::DiskFullException,
    Builtin::DamagedObjectException,
    Builtin::NullReferenceException,
];

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct NativeInfo {
    /// The operation.
    pub native: Native,
    /// Its name in assembly.
    pub name: &'static str,
    /// Types of the arguments.
    pub parameters: &'static [ValueType],
    /// Types of the results.
    pub results: &'static [ValueType],
    /// How it stops.
    pub kind: NativeKind,
    /// What it does, in one line.
    pub meaning: &'static str,
    /// What it throws because of its arguments or of other threads, beside [`THROWN_BY_ALL`].
    pub throws: &'static [Builtin],
    /// What a restart does to it that its kind does not say; empty if nothing.
    pub over_restart: &'static str,
}

impl NativeInfo {
    /// Whether the native may throw an exception of this class.
    #[must_use]
    pub fn may_throw(&self, class: Builtin) -> bool {
        let interrupted = class == Builtin::InterruptedException && self.kind != NativeKind::Step;
        interrupted || THROWN_BY_ALL.contains(&class) || self.throws.contains(&class)
    }
}

/// The class as a type that is never null.
const fn r(class: Builtin) -> ValueType {
    ValueType::object(class)
}

/// The class as a type that may be null.
const fn n(class: Builtin) -> ValueType {
    ValueType::nullable(class)
}

macro_rules! define_natives {
    ($($number:literal $name:ident $text:literal ($($parameter:expr),*) -> ($($result:expr),*) $kind:ident
        $meaning:literal $(throws $($thrown:ident),+)? $(restart $restart:literal)?;)*) => {
        /// The native operations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Native {
            $(#[doc = concat!("`", $text, "`: ", $meaning)] $name = $number,)*
        }

        /// Every native by number; entry `i` has number `i + 1`.
        pub static NATIVES: &[NativeInfo] = &[
            $(NativeInfo {
                native: Native::$name,
                name: $text,
                parameters: &[$($parameter),*],
                results: &[$($result),*],
                kind: NativeKind::$kind,
                meaning: $meaning,
                throws: &[$($(Builtin::$thrown),+)?],
                over_restart: concat!($($restart)?),
            },)*
        ];

        /// Their numbers as written in the table, which the tests compare with their places.
        #[cfg(test)]
        const NUMBERS: &[u16] = &[$($number,)*];
    };
}

use Builtin::{
    ByteArray, ByteBuffer, Closure, Condition, Console, Double, Environment, Exception, Long, Map,
    Mutex, Object, RestartEvent, Semaphore, String, StringArray, StringBuilder, Thread, Vector,
    WeakReference,
};
use ValueType::{F64, I32, I64};

define_natives! {
    1 EnvironmentArguments "environment.arguments" (r(Environment)) -> (r(StringArray)) Step "The program's arguments." restart "The same object.";
    2 EnvironmentConsole "environment.console" (r(Environment)) -> (r(Console)) Step "The program's console." restart "The same object.";
    3 EnvironmentDirectory "environment.directory" (r(Environment)) -> (r(Map)) Step "The program's own directory, from names to objects; it is what the object tree shows." restart "The same object.";
    4 EnvironmentRestartEvent "environment.restart_event" (r(Environment)) -> (r(RestartEvent)) Step "The event of restarts." restart "The same object.";
    5 ConsolePrint "console.print" (r(Console), r(String)) -> () Waits "Appends the text to the console's output as a whole; waits while the ring is too full." restart "What the snapshot holds of the text is sent, the rest is appended; what was sent after the snapshot comes again.";
    6 ConsoleReadLine "console.read_line" (r(Console)) -> (r(String)) Waits "The next line of input, without its end." restart "Goes on waiting. Input that came after the snapshot is lost.";
    7 ClockMonotonic "clock.monotonic" () -> (I64) Step "The persistent machine clock: never goes back, stands still while the machine is off." restart "Goes on from the snapshot, never behind what the resumed program has read; the time off is not in it.";
    8 ClockWall "clock.wall" () -> (I64) Step "Time since 1970-01-01 UTC; may jump." restart "Jumps by the time the machine was off.";
    9 RestartGeneration "restart.generation" () -> (I64) Step "How often the machine has restarted." restart "Has grown.";
    10 RestartWait "restart.wait" (r(RestartEvent), I64) -> (I64) Waits "Returns the restart generation once it differs from the one given." restart "Returns: this is what it waits for.";
    11 Commit "commit" () -> (I64) Waits "Returns, with its epoch, when a snapshot that contains this call is durable; throws if that one could not be made." throws SnapshotFailedException restart "Returns if the resumed snapshot contains the call, else has not been called.";
    12 EpochCurrent "epoch.current" () -> (I64) Step "The open epoch." restart "Goes on after the resumed snapshot's.";
    13 Entropy "entropy" () -> (I64) Step "64 unpredictable bits where the machine has them." restart "What was drawn after the snapshot is drawn anew, and differs.";
    14 WitnessStep "witness.step" (I64) -> () Step "Reports the thread's step number to the outside witness." restart "The report stands in the snapshot; the next must be its successor.";
    15 ThreadSpawn "thread.spawn" (r(Closure), I64) -> (r(Thread)) Stepped "A new thread that calls the closure, of signature (Closure) -> (), on stacks of so many bytes in all (0: the default)." throws InvalidArgumentException, SignatureMismatchException, StackOverflowException;
    16 ThreadCurrent "thread.current" () -> (r(Thread)) Step "The calling thread.";
    17 ThreadJoin "thread.join" (r(Thread)) -> (n(Exception)) Waits "Waits for the thread's end; returns the exception that ended it, or null." throws InvalidArgumentException restart "Goes on waiting.";
    18 ThreadYield "thread.yield" () -> () Step "Lets other threads run.";
    19 ThreadInterrupt "thread.interrupt" (r(Thread)) -> () Step "Throws `InterruptedException` in the thread at its next poll, or out of its wait; in the caller itself, at its next instruction.";
    20 Sleep "sleep" (I64) -> () Waits "Parks the thread for so long by the machine clock." restart "The time off is not slept.";
    21 SleepUntil "sleep.until" (I64) -> () Waits "Parks the thread until this time of the machine clock." restart "The time off is not slept.";
    22 SleepUntilWall "sleep.until_wall" (I64) -> () Waits "Parks the thread until this wall time." restart "The time off counts; it may wake a second late.";
    23 MutexNew "mutex.new" () -> (r(Mutex)) Step "A lock.";
    24 MutexLock "mutex.lock" (r(Mutex)) -> () Waits "Takes the lock, first come first served." throws LockStateException, LockAbandonedException restart "Goes on waiting, at its place in the queue.";
    25 MutexLockFor "mutex.lock_for" (r(Mutex), I64) -> (I32) Waits "Takes the lock; 0 if it was not to be had in so long." throws LockStateException, LockAbandonedException restart "Goes on waiting; the time off does not count.";
    26 MutexTryLock "mutex.try_lock" (r(Mutex)) -> (I32) Step "Takes the lock if it is free; whether it did." throws LockStateException, LockAbandonedException;
    27 MutexUnlock "mutex.unlock" (r(Mutex)) -> () Step "Gives the lock to the first waiter." throws LockStateException;
    28 ConditionNew "condition.new" (r(Mutex)) -> (r(Condition)) Step "A condition of the lock.";
    29 ConditionWait "condition.wait" (r(Condition)) -> () Waits "Lets go of the lock, waits to be notified, and owns the lock again." throws LockStateException, LockAbandonedException restart "Goes on waiting, at its place in the queue.";
    30 ConditionWaitFor "condition.wait_for" (r(Condition), I64) -> (I32) Waits "The same for so long at most; whether it was notified." throws LockStateException, LockAbandonedException restart "Goes on waiting; the time off does not count.";
    31 ConditionNotifyOne "condition.notify_one" (r(Condition)) -> () Step "Moves the first waiter to the lock's queue." throws LockStateException;
    32 ConditionNotifyAll "condition.notify_all" (r(Condition)) -> () Stepped "Moves all waiters to the lock's queue." throws LockStateException;
    33 SemaphoreNew "semaphore.new" (I64) -> (r(Semaphore)) Step "A semaphore with so many permits." throws InvalidArgumentException;
    34 SemaphoreAcquire "semaphore.acquire" (r(Semaphore)) -> () Waits "Takes a permit." restart "Goes on waiting, at its place in the queue.";
    35 SemaphoreRelease "semaphore.release" (r(Semaphore), I64) -> () Stepped "Gives permits." throws InvalidArgumentException;
    36 StringLength "string.length" (r(String)) -> (I64) Step "Bytes of the text.";
    37 StringByte "string.byte" (r(String), I64) -> (I32) Step "The byte at a position." throws IndexOutOfBoundsException;
    38 StringCharacter "string.character" (r(String), I64) -> (I32, I64) Step "The code point that begins at a position, and the position after it." throws IndexOutOfBoundsException, InvalidArgumentException;
    39 StringEquals "string.equals" (n(String), n(String)) -> (I32) Stepped "Whether the texts are equal, or both null.";
    40 StringCompare "string.compare" (r(String), r(String)) -> (I32) Stepped "-1, 0 or 1: order by bytes.";
    41 StringHash "string.hash" (r(String)) -> (I64) Stepped "A hash of the text, the same for ever.";
    42 StringConcat "string.concat" (r(String), r(String)) -> (r(String)) Stepped "The first followed by the second." throws InvalidArgumentException;
    43 StringSlice "string.slice" (r(String), I64, I64) -> (r(String)) Stepped "From a start to an end, both on boundaries of characters." throws IndexOutOfBoundsException, InvalidArgumentException;
    44 StringFind "string.find" (r(String), r(String), I64) -> (I64) Stepped "Where the second stands in the first at or after a position; -1 if nowhere.";
    45 StringFromI64 "string.from_i64" (I64) -> (r(String)) Step "The number in decimal.";
    46 StringFromU64 "string.from_u64" (I64) -> (r(String)) Step "The number, unsigned, in decimal.";
    47 StringFromF64 "string.from_f64" (F64) -> (r(String)) Step "The shortest decimal that reads back as the number.";
    48 StringFromCharacter "string.from_character" (I32) -> (r(String)) Step "The text of one code point." throws InvalidArgumentException;
    49 StringFromBytes "string.from_bytes" (r(ByteArray), I64, I64) -> (r(String)) Stepped "UTF-8 from a start, so many bytes; throws if it is not." throws IndexOutOfBoundsException, InvalidArgumentException;
    50 StringToBytes "string.to_bytes" (r(String)) -> (r(ByteArray)) Stepped "The bytes of the text." throws InvalidArgumentException;
    51 StringParseI64 "string.parse_i64" (r(String)) -> (I64) Step "The decimal number; throws if there is none." throws InvalidArgumentException;
    52 StringParseF64 "string.parse_f64" (r(String)) -> (F64) Step "The decimal number; throws if there is none." throws InvalidArgumentException;
    53 BuilderNew "builder.new" () -> (r(StringBuilder)) Step "An empty builder.";
    54 BuilderAppend "builder.append" (r(StringBuilder), r(String)) -> () Stepped "Appends text." throws InvalidArgumentException, ConcurrentChangeException;
    55 BuilderAppendI64 "builder.append_i64" (r(StringBuilder), I64) -> () Step "Appends a number in decimal." throws InvalidArgumentException;
    56 BuilderAppendF64 "builder.append_f64" (r(StringBuilder), F64) -> () Step "Appends the shortest decimal that reads back as the number." throws InvalidArgumentException;
    57 BuilderAppendFixed "builder.append_fixed" (r(StringBuilder), F64, I32) -> () Step "Appends a number with so many decimals." throws InvalidArgumentException;
    58 BuilderAppendCharacter "builder.append_character" (r(StringBuilder), I32) -> () Step "Appends one code point." throws InvalidArgumentException;
    59 BuilderLength "builder.length" (r(StringBuilder)) -> (I64) Step "Bytes so far.";
    60 BuilderClear "builder.clear" (r(StringBuilder)) -> () Step "Makes it empty.";
    61 BuilderToString "builder.to_string" (r(StringBuilder)) -> (r(String)) Stepped "The text so far." throws InvalidArgumentException, ConcurrentChangeException;
    62 VectorNew "vector.new" (I64) -> (r(Vector)) Step "An empty vector with room for so many." throws InvalidArgumentException;
    63 VectorLength "vector.length" (r(Vector)) -> (I64) Step "Number of elements.";
    64 VectorGet "vector.get" (r(Vector), I64) -> (n(Object)) Step "The element at an index." throws IndexOutOfBoundsException;
    65 VectorSet "vector.set" (r(Vector), n(Object), I64) -> () Step "Replaces the element at an index." throws IndexOutOfBoundsException;
    66 VectorPush "vector.push" (r(Vector), n(Object)) -> () Step "Appends an element." throws InvalidArgumentException;
    67 VectorPop "vector.pop" (r(Vector)) -> (n(Object)) Step "Removes and returns the last element; throws if there is none." throws IndexOutOfBoundsException;
    68 VectorInsert "vector.insert" (r(Vector), n(Object), I64) -> () Stepped "Inserts an element before an index." throws IndexOutOfBoundsException, InvalidArgumentException, ConcurrentChangeException;
    69 VectorRemove "vector.remove" (r(Vector), I64) -> (n(Object)) Stepped "Removes the element at an index, keeping order." throws IndexOutOfBoundsException, ConcurrentChangeException;
    70 VectorClear "vector.clear" (r(Vector)) -> () Step "Removes all.";
    71 MapNew "map.new" () -> (r(Map)) Step "An empty map.";
    72 MapLength "map.length" (r(Map)) -> (I64) Step "Number of keys.";
    73 MapGet "map.get" (r(Map), r(Object)) -> (n(Object)) Stepped "The value of a key, or null." throws ConcurrentChangeException;
    74 MapContains "map.contains" (r(Map), r(Object)) -> (I32) Stepped "Whether the key is there." throws ConcurrentChangeException;
    75 MapSet "map.set" (r(Map), r(Object), n(Object)) -> () Stepped "Sets the value of a key." throws InvalidArgumentException, ConcurrentChangeException;
    76 MapRemove "map.remove" (r(Map), r(Object)) -> (I32) Stepped "Removes a key; whether it was there." throws ConcurrentChangeException;
    77 MapClear "map.clear" (r(Map)) -> () Step "Removes all.";
    78 MapNext "map.next" (r(Map), I64) -> (n(Object), n(Object), I64) Stepped "Key and value at or after a cursor (0 at first), and the next cursor; -1 and nulls at the end.";
    79 LongNew "long.new" (I64) -> (r(Long)) Step "The number as an object.";
    80 LongValue "long.value" (r(Long)) -> (I64) Step "The number.";
    81 DoubleNew "double.new" (F64) -> (r(Double)) Step "The number as an object.";
    82 DoubleValue "double.value" (r(Double)) -> (F64) Step "The number.";
    83 ArrayCopy "array.copy" (r(Object), r(Object), I64, I64, I64) -> () Stepped "From the first array to the second, of the same class: start in the first, start in the second, count. Overlap is right." throws IndexOutOfBoundsException, InvalidArgumentException;
    84 ArrayFill "array.fill" (r(Object), I64, I64, I64) -> () Stepped "Sets raw elements: start, count, value (its low bits)." throws IndexOutOfBoundsException, InvalidArgumentException;
    85 ArrayCompare "array.compare" (r(ByteArray), r(ByteArray)) -> (I32) Stepped "-1, 0 or 1: order by bytes.";
    86 BufferGrow "buffer.grow" (r(ByteBuffer), I64) -> (I64) Step "Adds so many zero bytes; the old length, or -1 if its capacity does not allow." throws InvalidArgumentException;
    87 BufferCopy "buffer.copy" (r(ByteBuffer), r(ByteBuffer), I64, I64, I64) -> () Stepped "From the first to the second: start in the first, start in the second, count. Overlap is right." throws IndexOutOfBoundsException;
    88 BufferFill "buffer.fill" (r(ByteBuffer), I64, I64, I32) -> () Stepped "Sets bytes: start, count, value." throws IndexOutOfBoundsException;
    89 ObjectHash "object.hash" (r(Object)) -> (I64) Step "A number that is the object's own for its life.";
    90 ObjectClassName "object.class_name" (r(Object)) -> (r(String)) Step "The name of the object's class.";
    91 WeakNew "weak.new" (r(Object)) -> (r(WeakReference)) Step "A weak reference to the object.";
    92 WeakGet "weak.get" (r(WeakReference)) -> (n(Object)) Step "The object, or null once it is gone.";
    93 ExceptionDescribe "exception.describe" (r(Exception)) -> (r(String)) Stepped "Class, message, causes and trace as text.";
    94 F64Sin "f64.sin" (F64) -> (F64) Step "Sine.";
    95 F64Cos "f64.cos" (F64) -> (F64) Step "Cosine.";
    96 F64Tan "f64.tan" (F64) -> (F64) Step "Tangent.";
    97 F64Asin "f64.asin" (F64) -> (F64) Step "Inverse sine.";
    98 F64Acos "f64.acos" (F64) -> (F64) Step "Inverse cosine.";
    99 F64Atan "f64.atan" (F64) -> (F64) Step "Inverse tangent.";
    100 F64Atan2 "f64.atan2" (F64, F64) -> (F64) Step "Angle of the point (second, first).";
    101 F64Exp "f64.exp" (F64) -> (F64) Step "e to the power.";
    102 F64Log "f64.log" (F64) -> (F64) Step "Natural logarithm.";
    103 F64Log2 "f64.log2" (F64) -> (F64) Step "Logarithm to base 2.";
    104 F64Log10 "f64.log10" (F64) -> (F64) Step "Logarithm to base 10.";
    105 F64Pow "f64.pow" (F64, F64) -> (F64) Step "The first to the power of the second.";
    106 F64Rem "f64.rem" (F64, F64) -> (F64) Step "Remainder of the division, sign of the first.";
    107 CollectorStart "collector.start" () -> () Step "Has the exact collector begin as soon as it can, also if it was paused." restart "What was asked for stays.";
    108 CollectorPause "collector.pause" () -> () Step "Has the exact collector stand still." restart "It stays paused.";
    109 CollectorResume "collector.resume" () -> () Step "Has the exact collector go on after a pause." restart "What was asked for stays.";
    110 CollectorStop "collector.stop" () -> () Step "Has the exact collector give up what it has begun." restart "What was asked for stays.";
    111 CollectorSweeps "collector.sweeps" () -> (I64) Step "How many collections have come to their end.";
    112 PastBefore "past.before" (I64) -> (I64, I64) Step "The newest snapshot that is kept of those older than this epoch, and its wall time; -1 and 0 if there is none." restart "Snapshots may have been made and deleted.";
    113 PastCopy "past.copy" (r(Object), I64) -> (r(Object)) Waits "A new object: what this object was in the snapshot of this epoch, with all that it led to (OBJECTS.md 9)." throws InvalidArgumentException, InvalidCastException, NotSupportedException restart "Goes on where it was; throws if the snapshot is no longer kept.";
    114 StringConcatI64 "string.concat_i64" (r(String), r(String), I64) -> (r(String)) Stepped "The first, the number in decimal, and the second." throws InvalidArgumentException;
}

impl Native {
    /// The native with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        NATIVES.get(index).map(|info| info.native)
    }

    /// The native with this name in assembly, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NATIVES.iter().find(|info| info.name == name).map(|info| info.native)
    }

    /// Its number, the disk format.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Its row of the table.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "numbers are dense from 1, which the tests hold"
    )]
    pub fn info(self) -> &'static NativeInfo {
        &NATIVES[usize::from(self.number()) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::{NATIVES, NUMBERS, Native, NativeInfo, NativeKind};
    use crate::golden::{compare, compare_reference};
    use crate::types::ValueType;
    use alloc::{borrow::ToOwned, collections::BTreeSet, format, string::String, vec::Vec};

    #[test]
    fn numbers_are_dense_and_names_unique() {
        let mut names = BTreeSet::new();
        for (index, info) in NATIVES.iter().enumerate() {
            assert_eq!(usize::from(NUMBERS[index]), index + 1, "{}", info.name);
            assert_eq!(usize::from(info.native.number()), index + 1, "{}", info.name);
            assert!(names.insert(info.name), "{} stands twice", info.name);
            assert_eq!(Native::from_name(info.name), Some(info.native));
        }
        assert_eq!(Native::from_number(0), None);
    }

    #[test]
    fn the_table_only_grows() {
        let mut text = String::new();
        for (number, info) in NUMBERS.iter().zip(NATIVES) {
            text += &format!("{number} {} {:?} {:?}\n", info.name, info.parameters, info.results);
        }
        compare("natives.txt", &text);
    }
    fn type_word(value: &ValueType) -> String {
        match value {
            ValueType::I32 => "i32".into(),
            ValueType::I64 => "i64".into(),
            ValueType::F32 => "f32".into(),
            ValueType::F64 => "f64".into(),
            ValueType::Reference { class, nullable } => {
                let mark = if *nullable { "?" } else { "" };
                format!("{}{mark}", class.as_builtin().unwrap().name())
            }
        }
    }

    fn row(info: &NativeInfo) -> String {
        let types = |list: &[ValueType]| list.iter().map(type_word).collect::<Vec<_>>().join(", ");
        let kind = match info.kind {
            NativeKind::Step => "step",
            NativeKind::Stepped => "stepped",
            NativeKind::Waits => "waits",
        };
        let thrown: Vec<_> =
            info.throws.iter().map(|class| class.name().trim_end_matches("Exception")).collect();
        let thrown = if thrown.is_empty() { "-".to_owned() } else { thrown.join(", ") };
        let restart = if info.over_restart.is_empty() { "-" } else { info.over_restart };
        let (number, name, meaning) = (info.native.number(), info.name, info.meaning);
        let (parameters, results) = (types(info.parameters), types(info.results));
        format!(
            "| {number} | `{name}` | ({parameters}) -> ({results}) | {kind} | {thrown} | {meaning} | {restart} |\n"
        )
    }

    /// Section 9 of ISA.md is the table in words; it is written from here, and must say the same.
    #[test]
    fn the_reference_lists_every_native() {
        let mut table = String::from(
            "| number | native | signature | kind | throws | meaning | over a restart |\n|---|---|---|---|---|---|---|\n",
        );
        for info in NATIVES {
            table += &row(info);
        }
        compare_reference(&table);
    }

    /// A program that waits has to know how it goes on.
    #[test]
    fn every_wait_says_what_a_restart_does() {
        for info in NATIVES.iter().filter(|info| info.kind == NativeKind::Waits) {
            assert!(!info.over_restart.is_empty(), "{}", info.name);
        }
    }
}
