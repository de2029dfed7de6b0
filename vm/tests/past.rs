//! `past.copy` over random graphs: the copy is what the object was, whatever became of it since, and shares nothing with it; also when
//! attempts end at every touch, when pages of the snapshot come late, and when the machine is cut at any turn. And what is refused.
//!
//! The program of `natives/past.rasm` waits while the test builds, and changes, what it copies. The oracle is a text of the graph in order
//! of first meeting, with sharing and cycles, taken when the snapshot is made.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::allow_attributes,
    reason = "tests"
)]

mod machine;

use machine::{Machine, Random};
use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::{class_at, class_of, store_reference};
use revenant_vm::heap::{self, Allocator};
use revenant_vm::memory::layout::object::{BIRTH_AND_FLAGS, BIRTH_MASK, BOX_VALUE, CLASS, PAYLOAD};
use revenant_vm::memory::layout::system::root;
use revenant_vm::memory::layout::{area, class};
use revenant_vm::memory::{AddressExt, Attempts, Space};
use revenant_vm::object::map::{self, Next};
use revenant_vm::object::{array, string, vector};
use revenant_vm::{ExitStatus, Turn};

/// Where a program names its directory (OBJECTS.md 6).
const PROGRAM_DIRECTORY: u64 = PAYLOAD + 40;
const NULL: ObjectAddress = ObjectAddress(0);
const GROUP: Allocator = Allocator::of_group(1);

/// The program up to where it waits for the test.
struct Bench {
    machine: Machine,
    space: Space,
    random: Random,
    directory: ObjectAddress,
    node: ObjectAddress,
    nodes: ObjectAddress,
    made: Vec<ObjectAddress>,
    objects: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut machine = Machine::new(include_str!("natives/past.rasm"), &[]);
        machine.environment.keeps = true;
        let space = machine.host.space();
        wait(&mut machine);
        let random = Random(seed * 2 + 1);
        let mut bench = Self {
            machine,
            space,
            random,
            directory: NULL,
            node: NULL,
            nodes: NULL,
            made: vec![],
            objects: 40,
        };
        bench.find();
        bench
    }

    /// Where things are; again after a resume.
    fn find(&mut self) {
        let root = ObjectAddress(area::ROOT);
        let programs = ObjectAddress(self.space.load(root.plus(root::PROGRAMS)));
        let program = array::reference(self.space, programs, 0);
        self.directory = ObjectAddress(self.space.load(program.plus(PROGRAM_DIRECTORY)));
        self.node = class_of(self.space, self.at("node"));
        self.nodes = class_of(self.space, self.at("nodes"));
    }

    fn at(&self, name: &str) -> ObjectAddress {
        let mut cursor = 0;
        while let Next::Entry { key, value, cursor: next } =
            map::next(self.space, self.directory, cursor)
        {
            let mut text = vec![0; usize::try_from(string::length(self.space, key)).unwrap()];
            self.space.read(string::byte_address(key, 0), &mut text);
            if text == name.as_bytes() {
                return value;
            }
            cursor = next;
        }
        panic!("{name} is not in the directory")
    }

    fn text(&self, text: &str) -> ObjectAddress {
        string::from_bytes(self.space, GROUP, text.as_bytes()).unwrap()
    }

    fn put(&self, name: &str, value: ObjectAddress) {
        map::set(self.space, GROUP, self.directory, self.text(name), value).unwrap();
        self.space.end_step();
    }

    fn builtin(&self, class: Builtin) -> ObjectAddress {
        heap::allocate_plain(self.space, GROUP, class_at(self.space, class as u32)).unwrap()
    }

    fn boxed(&self, class: Builtin, value: u64) -> ObjectAddress {
        let made = self.builtin(class);
        self.space.store(made.plus(BOX_VALUE), value);
        made
    }

    /// A new object of a random kind; what it refers to is among those made before it and null.
    fn make(&mut self) {
        let (space, length) = (self.space, self.random.below(40));
        let made = match self.random.below(9) {
            0 => {
                let text = "a text ".repeat(usize::try_from(self.random.below(400)).unwrap());
                self.text(&text)
            }
            1 => self.boxed(Builtin::Long, self.random.0),
            2 => self.boxed(Builtin::Double, self.random.0),
            3 => {
                let kinds = [Builtin::ByteArray, Builtin::IntArray, Builtin::DoubleArray];
                let kind = kinds[self.random.below(3) as usize];
                let length = length * self.random.below(60);
                let class_object = class_at(space, kind as u32);
                let made = array::allocate(space, GROUP, class_object, length).unwrap();
                let bytes = length << array::element_shift(space, class_object);
                for byte in 0..bytes {
                    space.store(made.plus(PAYLOAD + byte), (self.random.next() & 0xff) as u8);
                }
                made
            }
            4 => {
                array::allocate(space, GROUP, class_at(space, Builtin::ObjectArray as u32), length)
                    .unwrap()
            }
            5 => array::allocate(space, GROUP, self.nodes, length).unwrap(),
            6 => vector::allocate(space, GROUP, length).unwrap(),
            7 => map::allocate(space, GROUP).unwrap(),
            _ => {
                let made = heap::allocate_plain(space, GROUP, self.node).unwrap();
                space.store(made.plus(PAYLOAD + 16), self.random.0);
                space.store(made.plus(PAYLOAD + 24), self.random.next());
                made
            }
        };
        space.end_step();
        self.made.push(made);
    }

    fn any(&mut self) -> ObjectAddress {
        match self.random.below(self.made.len() as u64 + 1) {
            0 => ObjectAddress(0),
            place => self.made[usize::try_from(place).unwrap() - 1],
        }
    }

    /// A random change of a random object.
    fn change(&mut self) {
        let (subject, value, other) = (self.any(), self.any(), self.any());
        if subject.is_null() {
            return;
        }
        let space = self.space;
        let index = space.load::<u32>(subject.plus(CLASS));
        let place = self.random.below(40);
        match Builtin::from_number(index) {
            Some(Builtin::Vector) if place < 25 => {
                vector::push(space, GROUP, subject, value).unwrap();
            }
            Some(Builtin::Vector) => {
                vector::pop(space, subject);
            }
            Some(Builtin::Map) if !value.is_null() && !self.is_long(value) => {
                if place < 30 {
                    map::set(space, GROUP, subject, value, other).unwrap();
                } else {
                    map::remove(space, subject, value);
                }
            }
            Some(Builtin::ObjectArray) => {
                array::set_reference(space, subject, place, value);
            }
            Some(Builtin::ByteArray | Builtin::IntArray | Builtin::DoubleArray)
                if place < array::length(space, subject) =>
            {
                space.store(subject.plus(PAYLOAD + place), (self.random.next() & 0xff) as u8);
            }
            None if class_at(space, index) == self.nodes => {
                let fits = value.is_null() || class_of(space, value) == self.node;
                array::set_reference(space, subject, place, if fits { value } else { NULL });
            }
            None => store_reference(space, subject.plus(PAYLOAD + 8 * (place % 2)), value),
            _ => {}
        }
        space.end_step();
    }

    fn is_long(&self, key: ObjectAddress) -> bool {
        let text = self.space.load::<u32>(key.plus(CLASS)) == Builtin::String as u32;
        text && string::length(self.space, key) > string::ONE_STEP
    }

    fn build(&mut self) {
        self.made.push(self.at("node"));
        for _ in 0..self.objects {
            self.make();
        }
        for _ in 0..10 * self.objects {
            self.change();
        }
        let top = vector::allocate(self.space, GROUP, 0).unwrap();
        self.put("root", top);
        for object in self.made.clone() {
            vector::push(self.space, GROUP, top, object).unwrap();
            self.space.end_step();
        }
        self.made.push(top);
    }

    /// Builds, has the snapshot made, and changes; the text of what was.
    fn past(&mut self) -> String {
        self.build();
        let was = self.dump(self.at("root"), 0);
        type_line(&mut self.machine, "\n");
        wait(&mut self.machine);
        for _ in 0..300 {
            self.change();
        }
        was
    }

    /// Has the copy made by these turns; how the program ended.
    fn copy(&mut self, turn: impl FnMut(&mut Machine) -> Turn) -> ExitStatus {
        type_line(&mut self.machine, "0\n");
        self.machine.run_by(turn)
    }

    /// The graph below an object as text; every object of it was born in epoch `from` or later.
    fn dump(&self, object: ObjectAddress, from: u64) -> String {
        let (mut seen, mut out) = (vec![object], String::new());
        let mut next = 0;
        while let Some(object) = seen.get(next).copied() {
            next += 1;
            let birth = self.space.load::<u64>(object.plus(BIRTH_AND_FLAGS)) & BIRTH_MASK;
            assert!(birth >= from, "{object:?} was born in epoch {birth}");
            let mut name = |target: ObjectAddress| {
                if target.is_null() {
                    return String::from("null");
                }
                let known = seen.iter().position(|known| *known == target);
                let place = known.unwrap_or(seen.len());
                if known.is_none() {
                    seen.push(target);
                }
                format!("#{place}")
            };
            out += &self.line(object, &mut name);
        }
        out
    }

    fn line(&self, object: ObjectAddress, name: &mut dyn FnMut(ObjectAddress) -> String) -> String {
        let space = self.space;
        let index = space.load::<u32>(object.plus(CLASS));
        let class_object = class_at(space, index);
        let length = array::length(space, object);
        let kind = space.load::<u8>(class_object.plus(class::KIND));
        let mut line = format!("class {index}:");
        match Builtin::from_number(index) {
            Some(Builtin::String) => {
                for byte in 0..length {
                    let byte = space.load::<u8>(string::byte_address(object, byte));
                    line.push(char::from(byte));
                }
            }
            Some(Builtin::Vector) => {
                for place in 0..vector::length(space, object) {
                    line += &name(vector::get(space, object, place).unwrap());
                }
            }
            Some(Builtin::Map) => {
                let mut cursor = 0;
                while let Next::Entry { key, value, cursor: next } =
                    map::next(space, object, cursor)
                {
                    line += &format!("{}={} ", name(key), name(value));
                    // It is found by its key, too.
                    assert_eq!(map::get(space, object, key), Some(value));
                    cursor = next;
                }
            }
            _ if kind == class::KIND_REFERENCE_ARRAY => {
                for place in 0..length {
                    line += &name(array::reference(space, object, place));
                }
            }
            _ if kind == class::KIND_RAW_ARRAY => {
                for byte in 0..length << array::element_shift(space, class_object) {
                    line += &format!("{:x}", space.load::<u8>(object.plus(PAYLOAD + byte)));
                }
            }
            Some(_) => line += &space.load::<u64>(object.plus(BOX_VALUE)).to_string(),
            None => {
                for slot in 0..2 {
                    line += &name(ObjectAddress(space.load(object.plus(PAYLOAD + 8 * slot))));
                }
                line += &format!("{}", space.load::<u64>(object.plus(PAYLOAD + 16)));
            }
        }
        line + "\n"
    }

    /// The copy is what was, is new, and the heap is sound.
    fn compare(&mut self, was: &str, context: &str) {
        self.find();
        let epoch = self.machine.environment.epoch;
        let is = self.dump(self.at("copy"), epoch);
        let differs = was.lines().zip(is.lines()).find(|(was, is)| was != is);
        assert!(was == is, "{context}: {differs:?}");
        self.machine.audit();
    }

    /// The class of what the copy has thrown.
    fn thrown(&mut self) -> Builtin {
        self.find();
        let class = self.space.load::<u32>(self.at("copy").plus(CLASS));
        self.machine.audit();
        Builtin::from_number(class).unwrap()
    }
}

fn wait(machine: &mut Machine) {
    while machine.turn(1000) != (Turn::Idle { deadline: None }) {}
}

fn type_line(machine: &mut Machine, line: &str) {
    assert_eq!(machine.vm.console_input(line.as_bytes()), line.len());
}

#[test]
fn a_copy_is_what_was() {
    for seed in 1..12 {
        let mut bench = Bench::new(seed);
        let was = bench.past();
        bench.machine.environment.late = seed % 2 == 1;
        Attempts::check(true);
        let ended = bench.copy(|machine| machine.turn(100));
        Attempts::check(false);
        let violations = Attempts::take_violations();
        assert!(violations.is_empty(), "seed {seed}: {}", violations[0]);
        let newest = bench.machine.environment.past.keys().next_back().copied().unwrap();
        assert_eq!(ended, ExitStatus::Returned(newest - 1), "seed {seed}");
        bench.compare(&was, &format!("seed {seed}"));
    }
}

#[test]
fn attempts_that_end_anywhere_change_nothing_of_it() {
    for seed in 1..4 {
        let mut bench = Bench::new(seed);
        bench.objects = 9;
        let was = bench.past();
        bench.machine.environment.late = seed % 2 == 1;
        bench.copy(|machine| machine.disturbed_turn(1, 0));
        assert!(bench.machine.abandoned > 300, "{} attempts", bench.machine.abandoned);
        bench.compare(&was, &format!("seed {seed}"));
    }
}

#[test]
fn a_cut_at_any_turn_changes_nothing_of_it() {
    for seed in 1..4 {
        let mut bench = Bench::new(seed);
        let was = bench.past();
        bench.machine.environment.late = true;
        let mut turns = vec![];
        bench.copy(|machine| {
            turns.push(machine.snapshot());
            machine.turn(9)
        });
        bench.compare(&was, &format!("seed {seed}"));
        assert!(turns.len() > 20, "{} turns", turns.len());
        for (number, turn) in turns.iter().enumerate().step_by(5) {
            bench.machine.restore(turn);
            bench.machine.run(9);
            bench.compare(&was, &format!("seed {seed}, cut before turn {number}"));
        }
    }
}

#[test]
fn an_object_that_was_not_born_yet_is_refused() {
    let mut bench = Bench::new(7);
    bench.past();
    // Whatever stood at its place then.
    bench.put("root", bench.boxed(Builtin::Long, 1));
    assert_eq!(bench.copy(|machine| machine.turn(100)), ExitStatus::Returned(-7_i64 as u64));
    assert_eq!(bench.thrown(), Builtin::InvalidArgumentException);
}

#[test]
fn a_snapshot_that_is_not_there_is_refused() {
    let mut bench = Bench::new(8);
    bench.past();
    type_line(&mut bench.machine, "1\n");
    bench.machine.run(100);
    assert_eq!(bench.thrown(), Builtin::InvalidArgumentException);
}

#[test]
fn a_snapshot_that_is_deleted_meanwhile_ends_the_copy() {
    let mut bench = Bench::new(9);
    bench.past();
    let mut turns = 0;
    bench.copy(|machine| {
        turns += 1;
        if turns == 3 {
            machine.environment.past.clear();
        }
        machine.turn(1)
    });
    assert_eq!(bench.thrown(), Builtin::InvalidArgumentException);
}

#[test]
fn what_cannot_be_copied_is_refused() {
    for class in [Builtin::Mutex, Builtin::WeakReference, Builtin::Semaphore, Builtin::Closure] {
        let mut bench = Bench::new(10);
        bench.make();
        let (root, odd) = (vector::allocate(bench.space, GROUP, 1).unwrap(), bench.builtin(class));
        bench.put("root", root);
        vector::push(bench.space, GROUP, root, odd).unwrap();
        bench.space.end_step();
        type_line(&mut bench.machine, "\n");
        wait(&mut bench.machine);
        bench.copy(|machine| machine.turn(100));
        assert_eq!(bench.thrown(), Builtin::NotSupportedException, "{class:?}");
    }
}

/// Changes a word of the newest snapshot.
fn tamper(bench: &mut Bench, place: ObjectAddress, value: u64) {
    let mut last = bench.machine.environment.past.last_entry().unwrap();
    let pages = std::rc::Rc::get_mut(last.get_mut()).unwrap();
    let start = (place.0 % 4096) as usize;
    let page = pages.get_mut(&place.page()).unwrap();
    page.0[start..start + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn another_branch_s_class_and_damage_are_refused() {
    let seeds = 11..15;
    for seed in seeds {
        let mut bench = Bench::new(seed);
        bench.past();
        let node = bench.node;
        let index = bench.space.load::<u32>(node.plus(class::INDEX));
        let entry = ObjectAddress(area::CLASS_TABLE + 8 * u64::from(index));
        let expected = match seed {
            11 => {
                let other = bench.nodes.0;
                tamper(&mut bench, entry, other);
                Builtin::InvalidCastException
            }
            12 => {
                // The same place, but born at another time.
                tamper(&mut bench, node.plus(BIRTH_AND_FLAGS), 77);
                Builtin::InvalidCastException
            }
            13 => {
                let root = bench.at("root");
                bench.machine.environment.unreadable.insert(root.page());
                Builtin::DamagedObjectException
            }
            _ => {
                // An element that is no object.
                let root = bench.at("root");
                let elements = ObjectAddress(bench.space.load(root.plus(PAYLOAD)));
                tamper(&mut bench, elements.plus(PAYLOAD), elements.0 + 16);
                Builtin::DamagedObjectException
            }
        };
        bench.copy(|machine| machine.turn(100));
        assert_eq!(bench.thrown(), expected, "seed {seed}");
    }
}
