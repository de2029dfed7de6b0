//! Programs at random: threads that make nodes, arrays and weak references, link them into circles, hand them over, call and return, so that
//! counts stick and addresses are used again. Neighbours: the tests of sweep and collector that run beside them.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;
use revenant_vm::counting::{self, class_at, frozen};
use revenant_vm::memory::AddressExt;
use revenant_vm::object::array;

use crate::world::{self, Thread, World};

const NULL: ObjectAddress = ObjectAddress(0);
/// Reference registers of a frame.
pub(crate) const REGISTERS: u64 = 6;

/// The programs of a run, and its random numbers.
pub(crate) struct Mutators<'a> {
    world: &'a World,
    threads: Vec<Thread>,
    random: u64,
}

impl<'a> Mutators<'a> {
    /// These threads, whose frames have [`REGISTERS`] references.
    pub(crate) fn new(world: &'a World, threads: &[Thread], seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { world, threads: threads.to_vec(), random }
    }

    /// A random number below the limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    fn length(&self, subject: ObjectAddress) -> u64 {
        let length = array::length(self.world.space, subject);
        self.world.space.end_step();
        length
    }

    fn class(&self, subject: ObjectAddress) -> u32 {
        let class = self.world.space.load(subject);
        self.world.space.end_step();
        class
    }

    fn new_array(&mut self) -> ObjectAddress {
        let length = match self.below(12) {
            0 => 1_600 + self.below(3_000),
            1 => 60 + self.below(300),
            _ => self.below(40),
        };
        let class = class_at(self.world.space, Builtin::ObjectArray as u32);
        self.world.space.end_step();
        let made = array::allocate(self.world.space, self.world.allocator, class, length).unwrap();
        self.world.space.end_step();
        made
    }

    fn set_element(&mut self, subject: ObjectAddress, value: ObjectAddress) {
        let length = self.length(subject);
        if length > 0 {
            // A few of them many times: counts stick.
            let few = if self.below(2) == 0 { 40 } else { 4_000 };
            let index = self.below(length.min(few));
            let _ = array::set_reference(self.world.space, subject, index, value);
            self.world.space.end_step();
        }
    }

    /// One thread does some things.
    pub(crate) fn act(&mut self) {
        let which = usize::try_from(self.below(self.threads.len() as u64)).unwrap();
        let thread = self.threads[which];
        thread.run();
        for _ in 0..=self.below(16) {
            self.do_something(thread);
        }
    }

    fn do_something(&mut self, thread: Thread) {
        let (world, space) = (self.world, self.world.space);
        let (target, source) = (self.below(REGISTERS), self.below(REGISTERS));
        let subject = thread.register(source);
        let class = if subject.is_null() { 0 } else { self.class(subject) };
        match self.below(20) {
            0..=3 => thread.set_register(target, world.new_node()),
            4 => thread.set_register(target, self.new_array()),
            5 => thread.set_register(target, subject),
            6 => thread.set_register(target, NULL),
            7 => world.set_root(target, subject),
            8 => thread.set_register(target, world.root(source)),
            9..=12 if class == world::NODE => {
                let slot = self.below(2);
                world.set_field(subject, slot, thread.register(target));
            }
            13 if class == world::NODE => {
                let slot = self.below(2);
                thread.set_register(target, world.field(subject, slot));
            }
            9..=13 if class == Builtin::ObjectArray as u32 => {
                for _ in 0..=self.below(40) {
                    self.set_element(subject, thread.register(target));
                }
            }
            14 if class == world::NODE => {
                let class = class_at(space, Builtin::WeakReference as u32);
                space.end_step();
                let made = counting::weak_reference(space, world.allocator, class, subject);
                space.end_step();
                thread.set_register(target, made.unwrap());
            }
            15 if class == Builtin::WeakReference as u32 => {
                let read = counting::read_weak(space, subject);
                space.end_step();
                thread.set_register(target, read);
            }
            16 if thread.depth() < 12 => thread.push(2, REGISTERS),
            17 if thread.depth() > 1 => thread.pop(),
            18 if !subject.is_null() => {
                let other = usize::try_from(self.below(self.threads.len() as u64)).unwrap();
                let receiver = self.threads[other];
                receiver.run();
                let base = frozen::frame_base(space, receiver.object);
                space.end_step();
                counting::hand_over(space, base.plus(8 * target), subject);
                space.end_step();
            }
            _ => {}
        }
    }
}
