//! An object space with a caller in it: a thread object for the cursor, and windows that the tests fill.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use revenant_bytecode::{Builtin, Native, ValueType, assemble, encode};
use revenant_hal::{Epoch, ObjectAddress, PageBytes, PageIndex};

use crate::counting;
use crate::exception::Thrown;
use crate::heap::{self, Allocator};
use crate::loader;
use crate::memory::layout::object::{BOX_VALUE, CLASS, PAYLOAD};
use crate::memory::{AddressExt, Attempts, HostSpace, Space};
use crate::natives::{Context, answers, is_promised, values};
use crate::object::map::{self, Next};
use crate::object::{array, string, vector};
use crate::system::Creation;
use crate::thread::Outcome;

/// A call of a native.
#[derive(Clone, Copy)]
pub(super) struct Case {
    /// The native.
    pub(super) native: Native,
    /// Fills the windows.
    pub(super) arguments: fn(&World<'_>),
    /// What [`World::run`] says.
    pub(super) expected: &'static str,
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} -> {}", self.native.info().name, self.expected)
    }
}

/// Registers of each kind in the windows.
const REGISTERS: u64 = 8;
/// Calls after which a native counts as never done.
const CALLS_MAX: usize = 100_000;

/// The space and the caller.
pub(super) struct World<'h> {
    host: &'h HostSpace,
    /// The token.
    pub(super) space: Space,
    /// Who pays.
    pub(super) allocator: Allocator,
    /// What is called.
    pub(super) case: Case,
    thread: ObjectAddress,
    references: ObjectAddress,
    raws: ObjectAddress,
    went_on: Cell<bool>,
}

const MODULE: &str = "
module program version 1
export function main(environment: Environment) {
    return
}
";

impl<'h> World<'h> {
    /// A fresh space with the case's arguments in place.
    pub(super) fn new(host: &'h HostSpace, case: Case) -> Self {
        host.clear();
        let space = host.space();
        let file = encode(&assemble(MODULE, "test.rasm").unwrap());
        let creation = Creation { modules: &[&file], arguments: &[], epoch: Epoch(1) };
        loader::create(space, &creation).unwrap();
        let allocator = Allocator::of_group(1);
        let longs = counting::class_at(space, Builtin::LongArray as u32);
        let threads = counting::class_at(space, Builtin::Thread as u32);
        let keep = |object: ObjectAddress| {
            space.end_step();
            counting::make_immortal(space, object);
            object
        };
        let window = || keep(array::allocate(space, allocator, longs, REGISTERS).unwrap());
        let (references, raws) = (window(), window());
        let thread = keep(heap::allocate_plain(space, allocator, threads).unwrap());
        let went_on = Cell::new(false);
        let world = Self { host, space, allocator, case, thread, references, raws, went_on };
        (case.arguments)(&world);
        world
    }

    fn context(&self) -> Context {
        Context {
            space: self.space,
            allocator: self.allocator,
            thread: self.thread,
            references: self.references.0 + PAYLOAD,
            raws: self.raws.0 + PAYLOAD,
        }
    }

    /// Sets the references of the window.
    pub(super) fn references(&self, arguments: &[ObjectAddress]) {
        for (place, argument) in (0..).zip(arguments) {
            self.space.store(array::slot(self.references, place), argument.0);
        }
    }

    /// Sets the raws of the window.
    pub(super) fn raws(&self, arguments: &[u64]) {
        for (place, argument) in (0..).zip(arguments) {
            self.space.store(array::slot(self.raws, place), *argument);
        }
    }

    /// One call of the native, as the interpreter makes it.
    fn step(&self) -> Result<Outcome, Thrown> {
        let result = values::call(self.case.native, &self.context());
        self.space.end_step();
        assert!(is_promised(self.case.native, &result), "{:?} answers {result:?}", self.case);
        answers::note(self.case.native, &result);
        if result == Ok(Outcome::Again) {
            self.went_on.set(true);
        }
        if result.is_err() {
            values::abandon(self.space, self.thread);
        }
        result
    }

    /// Calls the native until it is done; the description.
    pub(super) fn run(&self) -> String {
        for _ in 0..CALLS_MAX {
            match self.step() {
                Ok(Outcome::Again) => {}
                result => return self.describe(result),
            }
        }
        String::from("never done")
    }

    /// Whether the native asked to be called again.
    pub(super) fn went_in_steps(&self) -> bool {
        self.went_on.get()
    }

    /// Ends the attempt at a touch; false if the native got through before, in however many calls.
    pub(super) fn run_ended_at(&self, touches: u64) -> bool {
        Attempts::run(touches, || self.run_quietly()).is_none()
    }

    fn run_quietly(&self) {
        for _ in 0..CALLS_MAX {
            if self.step() != Ok(Outcome::Again) {
                return;
            }
        }
    }

    /// Runs until the attempt ends at a touch; the description if it got through.
    pub(super) fn run_until(&self, touches: u64) -> Option<String> {
        loop {
            match Attempts::run(touches, || self.step())? {
                Ok(Outcome::Again) => {}
                result => return Some(self.describe(result)),
            }
        }
    }

    /// The exact checker finds nothing.
    pub(super) fn sound(&self) {
        self.space.end_step();
        let findings = counting::audit::audit(self.space).findings;
        assert!(findings.is_empty(), "{:?}: {findings:#?}", self.case);
    }

    /// Every page that was touched.
    pub(super) fn save(&self) -> Vec<(PageIndex, PageBytes)> {
        let pages = self.host.touched().into_iter().flat_map(|range| range.start.0..range.end.0);
        pages.map(|page| (PageIndex(page), self.host.page(PageIndex(page)))).collect()
    }

    /// Puts a saved space back.
    pub(super) fn restore(&self, pages: &[(PageIndex, PageBytes)]) {
        self.host.clear();
        for (page, bytes) in pages {
            self.host.set_page(*page, bytes);
        }
    }

    /// The results, or what was thrown; then the arguments that still stand behind the results.
    fn describe(&self, result: Result<Outcome, Thrown>) -> String {
        let info = self.case.native.info();
        match result {
            Ok(Outcome::Done) => {}
            Ok(other) => return format!("{other:?}"),
            Err(Thrown::New(class, 0)) => return class.name().to_string(),
            Err(thrown) => return format!("{thrown:?}"),
        }
        if self.case.native == Native::ObjectHash {
            let hash = self.space.load::<u64>(array::slot(self.raws, 0));
            let own = self.space.load::<u64>(array::slot(self.references, 0));
            assert_eq!(hash, own >> 4);
            return String::from("(its address)");
        }
        let (mut references, mut raws) = (0, 0);
        let mut words = Vec::new();
        for result in info.results {
            if result.is_reference() {
                let slot = array::slot(self.references, references);
                words.push(self.text(ObjectAddress(self.space.load(slot)), 0));
                references += 1;
                continue;
            }
            let raw = self.space.load::<u64>(array::slot(self.raws, raws));
            words.push(match result {
                ValueType::I32 => u32::try_from(raw).unwrap().cast_signed().to_string(),
                ValueType::F64 => f64::from_bits(raw).to_string(),
                _ => raw.cast_signed().to_string(),
            });
            raws += 1;
        }
        for place in references..REGISTERS {
            let argument = self.space.load::<u64>(array::slot(self.references, place));
            if argument != 0 {
                words.push(format!("[{}]", self.text(ObjectAddress(argument), 0)));
            }
        }
        words.join(" ")
    }

    /// An object by its content.
    pub(super) fn text(&self, object: ObjectAddress, depth: u32) -> String {
        if object.is_null() {
            return String::from("null");
        }
        if depth > 3 {
            return String::from("...");
        }
        let space = self.space;
        let index = space.load::<u32>(object.plus(CLASS));
        let class = Builtin::from_number(index);
        let items = |items: Vec<String>| shorten(items.join(" "));
        match class {
            Some(Builtin::String) => shorten(format!("{:?}", text_of(space, object))),
            Some(Builtin::StringBuilder) => {
                let made = string::builder_text(space, self.allocator, object).unwrap();
                space.end_step();
                format!("builder {}", self.text(made, depth))
            }
            Some(Builtin::Long) => space.load::<u64>(object.plus(BOX_VALUE)).to_string(),
            Some(Builtin::Double) => {
                format!("{:?}", f64::from_bits(space.load(object.plus(BOX_VALUE))))
            }
            Some(Builtin::ByteArray | Builtin::ByteBuffer) => items(
                (0..array::length(space, object))
                    .map(|at| space.load::<u8>(object.plus(PAYLOAD + at)).to_string())
                    .collect(),
            ),
            Some(Builtin::LongArray) => items(
                (0..array::length(space, object))
                    .map(|at| space.load::<u64>(array::slot(object, at)).to_string())
                    .collect(),
            ),
            Some(Builtin::ObjectArray) => items(
                (0..array::length(space, object))
                    .map(|at| self.text(array::reference(space, object, at), depth + 1))
                    .collect(),
            ),
            Some(Builtin::Vector) => items(
                (0..vector::length(space, object))
                    .map(|at| self.text(vector::get(space, object, at).unwrap(), depth + 1))
                    .collect(),
            ),
            Some(Builtin::Map) => self.entries(object, depth),
            Some(other) => other.name().to_string(),
            None => format!("class {index}"),
        }
    }

    fn entries(&self, object: ObjectAddress, depth: u32) -> String {
        let (mut cursor, mut words) = (0, Vec::new());
        loop {
            match map::next(self.space, object, cursor) {
                Next::GoOn(next) => cursor = next,
                Next::End => break,
                Next::Entry { key, value, cursor: next } => {
                    cursor = next;
                    let (key, value) = (self.text(key, depth + 1), self.text(value, depth + 1));
                    words.push(format!("{key}:{value}"));
                }
            }
        }
        shorten(format!("{{{}}}", words.join(" ")))
    }
}

/// A long text by its size and hash.
fn shorten(text: String) -> String {
    if text.len() < 100 {
        return text;
    }
    let hash = text
        .bytes()
        .fold(5381_u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
    format!("<{} bytes, {hash:08x}>", text.len())
}

/// The text of a string, which must be UTF-8.
pub(super) fn text_of(space: Space, text: ObjectAddress) -> String {
    let mut bytes = alloc::vec![0; usize::try_from(string::length(space, text)).unwrap()];
    space.read(string::byte_address(text, 0), &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Makers of arguments. What they make is kept by nothing but the window, so no grace may run in a case.
impl World<'_> {
    /// A string.
    pub(super) fn string(&self, text: &str) -> ObjectAddress {
        let made = string::from_bytes(self.space, self.allocator, text.as_bytes()).unwrap();
        self.space.end_step();
        made
    }

    /// A boxed integer.
    pub(super) fn long(&self, value: u64) -> ObjectAddress {
        self.boxed(Builtin::Long, value)
    }

    /// A boxed float.
    pub(super) fn double(&self, value: f64) -> ObjectAddress {
        self.boxed(Builtin::Double, value.to_bits())
    }

    fn boxed(&self, class: Builtin, word: u64) -> ObjectAddress {
        let made = self.plain(class);
        self.space.store(made.plus(BOX_VALUE), word);
        self.space.end_step();
        made
    }

    /// An object of a class of fixed size.
    pub(super) fn plain(&self, class: Builtin) -> ObjectAddress {
        let class = counting::class_at(self.space, class as u32);
        let made = heap::allocate_plain(self.space, self.allocator, class).unwrap();
        self.space.end_step();
        made
    }

    /// An array of zeros or nulls.
    pub(super) fn array(&self, class: Builtin, length: u64) -> ObjectAddress {
        let class = counting::class_at(self.space, class as u32);
        let made = array::allocate(self.space, self.allocator, class, length).unwrap();
        self.space.end_step();
        made
    }

    /// A byte array.
    pub(super) fn bytes(&self, bytes: &[u8]) -> ObjectAddress {
        let made = self.array(Builtin::ByteArray, bytes.len() as u64);
        self.space.write(made.plus(PAYLOAD), bytes);
        self.space.end_step();
        made
    }

    /// A long array.
    pub(super) fn longs(&self, words: &[u64]) -> ObjectAddress {
        let made = self.array(Builtin::LongArray, words.len() as u64);
        for (place, word) in (0..).zip(words) {
            self.space.store(array::slot(made, place), *word);
        }
        self.space.end_step();
        made
    }

    /// An object array.
    pub(super) fn objects(&self, elements: &[ObjectAddress]) -> ObjectAddress {
        let made = self.array(Builtin::ObjectArray, elements.len() as u64);
        for (place, element) in (0..).zip(elements) {
            self.refer(array::slot(made, place), *element);
        }
        made
    }

    /// Stores a reference in the heap.
    pub(super) fn refer(&self, slot: ObjectAddress, value: ObjectAddress) {
        counting::store_reference(self.space, slot, value);
        self.space.end_step();
    }

    /// A byte buffer.
    pub(super) fn buffer(&self, length: u64, capacity: u64) -> ObjectAddress {
        let class = Builtin::ByteBuffer as u32;
        let made =
            array::allocate_buffer(self.space, self.allocator, class, length, capacity).unwrap();
        self.space.end_step();
        made
    }

    /// A builder with a text.
    pub(super) fn builder(&self, text: &str) -> ObjectAddress {
        let made = string::new_builder(self.space, self.allocator).unwrap();
        self.space.end_step();
        string::append(self.space, self.allocator, made, text.as_bytes()).unwrap();
        self.space.end_step();
        made
    }

    /// A vector of longs.
    pub(super) fn vector(&self, elements: impl IntoIterator<Item = u64>) -> ObjectAddress {
        let made = vector::allocate(self.space, self.allocator, 0).unwrap();
        self.space.end_step();
        for element in elements {
            let element = self.long(element);
            vector::push(self.space, self.allocator, made, element).unwrap();
            self.space.end_step();
        }
        made
    }

    /// A map of longs to longs.
    pub(super) fn map(&self, entries: impl IntoIterator<Item = (u64, u64)>) -> ObjectAddress {
        let made = map::allocate(self.space, self.allocator).unwrap();
        self.space.end_step();
        for (key, value) in entries {
            let (key, value) = (self.long(key), self.long(value));
            map::set(self.space, self.allocator, made, key, value).unwrap();
            self.space.end_step();
        }
        made
    }
}
