//! The built-in classes: those that exist before any module is loaded.
//!
//! **Numbers are a disk format: rows are only appended.** A built-in class is *plain* (its slots are listed here and bytecode may
//! make, read and extend it), an *array* of one element kind, or *opaque* (its layout belongs to the `vm`; natives make and
//! reach it, nothing extends it). Neighbours: `types` (class references), `native` (signatures), OBJECTS.md (layouts).

use crate::types::{ElementKind, ValueType};

/// What programs may do with a built-in class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinKind {
    /// Ordinary fields, listed by [`Builtin::fields`]; can be made and extended.
    Plain,
    /// An array class.
    Array(ElementKind),
    /// Made and reached by natives only.
    Opaque,
}

macro_rules! define_builtins {
    ($($number:literal $name:ident: $super:ident, $kind:expr, $meaning:literal;)*) => {
        /// A class that every namespace knows without import.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Builtin {
            $(#[doc = $meaning] $name = $number,)*
        }

        impl Builtin {
            /// All of them, by number; entry `i` has number `i + 1`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in assembly.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Its superclass; `Object` names itself.
            #[must_use]
            pub const fn superclass(self) -> Self {
                match self { $(Self::$name => Self::$super,)* }
            }

            /// What programs may do with it.
            #[must_use]
            pub const fn kind(self) -> BuiltinKind {
                match self { $(Self::$name => $kind,)* }
            }
        }
    };
}

use BuiltinKind::{Array, Opaque, Plain};

define_builtins! {
    1 Object: Object, Plain, "Above every class. No fields.";
    2 Class: Object, Opaque, "A class.";
    3 String: Object, Opaque, "Immutable UTF-8 text.";
    4 StringBuilder: Object, Opaque, "Text that grows.";
    5 ByteArray: Object, Array(ElementKind::U8), "Array of bytes.";
    6 ShortArray: Object, Array(ElementKind::I16), "Array of 16-bit integers.";
    7 IntArray: Object, Array(ElementKind::I32), "Array of i32.";
    8 LongArray: Object, Array(ElementKind::I64), "Array of i64.";
    9 FloatArray: Object, Array(ElementKind::F32), "Array of f32.";
    10 DoubleArray: Object, Array(ElementKind::F64), "Array of f64.";
    11 ObjectArray: Object, Array(ElementKind::Reference), "Array of `Object?`.";
    12 StringArray: Object, Array(ElementKind::Reference), "Array of `String?`.";
    13 ByteBuffer: Object, Opaque, "Bytes with a reserved capacity, growing in place; reached by the buffer operations.";
    14 Vector: Object, Opaque, "A list of `Object?` that grows.";
    15 Map: Object, Opaque, "Keys to values in order of insertion. Strings, `Long` and `Double` are keys by value, other objects by identity.";
    16 Long: Object, Opaque, "An i64 as an object.";
    17 Double: Object, Opaque, "An f64 as an object.";
    18 Function: Object, Opaque, "Code.";
    19 Closure: Object, Opaque, "A function with an environment.";
    20 Module: Object, Opaque, "A module instance.";
    21 Namespace: Object, Opaque, "Where imports are resolved.";
    22 Thread: Object, Opaque, "A thread of execution.";
    23 Mutex: Object, Opaque, "A lock, not reentrant.";
    24 Condition: Object, Opaque, "A condition of one lock.";
    25 Semaphore: Object, Opaque, "A counting semaphore.";
    26 WeakReference: Object, Opaque, "A reference that does not keep its object.";
    27 Program: Object, Opaque, "A namespace, a group and a main thread.";
    28 Group: Object, Opaque, "What quotas are for.";
    29 Environment: Object, Opaque, "What `main` is given.";
    30 Console: Object, Opaque, "The right to print and to read.";
    31 RestartEvent: Object, Opaque, "Fires at every restart of the machine.";
    32 Signature: Object, Opaque, "Parameters and results of functions.";
    33 Exception: Object, Plain, "What can be thrown.";
    34 NullReferenceException: Exception, Plain, "An object was needed and there was null.";
    35 IndexOutOfBoundsException: Exception, Plain, "An index or address lies outside.";
    36 InvalidCastException: Exception, Plain, "The object is of another class.";
    37 DivideByZeroException: Exception, Plain, "Division by zero.";
    38 IntegerOverflowException: Exception, Plain, "A quotient does not fit.";
    39 InvalidConversionException: Exception, Plain, "A float does not fit in the integer.";
    40 InvalidArgumentException: Exception, Plain, "A native or an allocation was given what it cannot take.";
    41 UnreachableException: Exception, Plain, "`unreachable` was executed.";
    42 AbstractMethodException: Exception, Plain, "The method called is abstract.";
    43 SignatureMismatchException: Exception, Plain, "The function called has another signature.";
    44 OutOfMemoryException: Exception, Plain, "Object space or a quota is exhausted.";
    45 DiskFullException: Exception, Plain, "The disk has reached its reserve.";
    46 StackOverflowException: Exception, Plain, "A stack of the thread is full.";
    47 DamagedObjectException: Exception, Plain, "A page of the object cannot be read; the code is its page number.";
    48 LockAbandonedException: Exception, Plain, "The lock's last owner ended holding it; the receiver owns it now.";
    49 LockStateException: Exception, Plain, "The thread does not hold the lock, or holds it already.";
    50 InterruptedException: Exception, Plain, "The thread was interrupted.";
    51 ConcurrentChangeException: Exception, Plain, "Another thread changed the object under a long operation.";
    52 StaleHandleException: Exception, Plain, "The handle belongs to an earlier restart generation.";
    53 VerificationException: Exception, Plain, "The code has an operation or a native that this machine does not know, or its verifier refuses the function.";
    54 NotSupportedException: Exception, Plain, "This machine does not have the operation.";
    55 SnapshotFailedException: Exception, Plain, "The snapshot that was waited for was not made.";
}

/// Slots of `Exception`, which its subclasses have first.
pub const EXCEPTION_FIELDS: [(&str, ValueType); 4] = [
    ("message", ValueType::nullable(Builtin::String)),
    ("cause", ValueType::nullable(Builtin::Exception)),
    ("trace", ValueType::nullable(Builtin::LongArray)),
    ("code", ValueType::I64),
];

impl Builtin {
    /// The built-in class with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// The built-in class with this name in assembly, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.name() == name)
    }

    /// Names and types of its slots, for plain classes; none for the others.
    #[must_use]
    pub fn fields(self) -> &'static [(&'static str, ValueType)] {
        if self.is_below(Self::Exception) { &EXCEPTION_FIELDS } else { &[] }
    }

    /// Whether this class is `above` or one of its subclasses.
    #[must_use]
    pub fn is_below(self, above: Self) -> bool {
        let mut class = self;
        loop {
            if class == above {
                return true;
            }
            if class == Self::Object {
                return false;
            }
            class = class.superclass();
        }
    }

    /// The type of the elements, for array classes.
    #[must_use]
    pub fn element(self) -> Option<ValueType> {
        let Array(kind) = self.kind() else { return None };
        Some(match kind {
            ElementKind::U8 | ElementKind::I16 | ElementKind::I32 => ValueType::I32,
            ElementKind::I64 => ValueType::I64,
            ElementKind::F32 => ValueType::F32,
            ElementKind::F64 => ValueType::F64,
            ElementKind::Reference if self == Self::StringArray => {
                ValueType::nullable(Self::String)
            }
            ElementKind::Reference => ValueType::nullable(Self::Object),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Builtin;
    use alloc::{format, string::String};

    #[test]
    fn the_table_only_grows() {
        let mut text = String::new();
        for class in Builtin::ALL {
            text += &format!(
                "{} {} {} {:?} {:?}\n",
                *class as u32,
                class.name(),
                class.superclass().name(),
                class.kind(),
                class.fields()
            );
        }
        crate::golden::compare("builtins.txt", &text);
    }

    #[test]
    fn numbers_are_dense_and_superclasses_come_first() {
        for (index, class) in Builtin::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index + 1);
            assert_eq!(Builtin::from_name(class.name()), Some(*class));
            assert!(class.superclass() as u32 <= *class as u32);
        }
        assert_eq!(Builtin::from_number(0), None);
    }
}
