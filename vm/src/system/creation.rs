//! Making programs: the first object space of a disk, further programs on it, and what each may take of object space.
//!
//! Host only in practice, and never in an attempt: a creation that fails leaves an object space that is to be thrown away.
//! Neighbours: `loader` makes modules, groups and programs; `life` their main threads.

use core::sync::atomic::AtomicBool;

use crate::console;
use crate::heap::Allocator;
use crate::loader;
use crate::memory::Space;
use crate::memory::layout::{area, system::root};
use crate::thread::life;

use revenant_hal::ObjectAddress;

use super::environment::Environment;
use super::outcome::CreationError;
use super::vm::Vm;

/// What the first object space of a disk is made from (`revenant disk create`, `revenant run`).
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// Encoded modules, in the order of the command line. They are loaded into one namespace; exactly one exports `main`.
    pub modules: &'a [&'a [u8]],
    /// What `main` finds as its arguments.
    pub arguments: &'a [&'a str],
    /// The epoch of everything made now; the first snapshot carries it.
    pub epoch: revenant_hal::Epoch,
}

/// What a group has of object space, and what it may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Bytes taken: whole blocks, and payloads of large objects.
    pub used: u64,
    /// Bytes that it may take; all ones: without limit.
    pub limit: u64,
    /// Allocations refused so far for the sake of the limit; each has thrown an exception.
    pub refused: u64,
}

impl Vm {
    /// The group of the program that [`Vm::create`] makes. Group 0 is the system's.
    pub const FIRST_GROUP: u32 = loader::PROGRAM_GROUP_INDEX;

    /// Makes the initial object space: built-in classes, the root, one program from `creation`, its main thread runnable
    /// at its first instruction. Object space must be mapped and empty. Host only in practice; never in an attempt.
    ///
    /// # Errors
    /// A module that does not decode, verify or link; no `main`; no room. Object space is then to be thrown away.
    pub fn create(
        creation: &Creation<'_>,
        environment: &mut dyn Environment,
    ) -> Result<Self, CreationError> {
        let space = Space::get().ok_or(CreationError::OutOfMemory)?;
        let made = loader::create(space, creation)?;
        start(space, &made)?;
        console::set_foreground(space, made.program);
        Ok(Self::over(space, environment))
    }

    /// Adds another program to an initial object space, in a group and a namespace of its own; its main thread is runnable.
    /// The group's index. Host only; never in an attempt.
    ///
    /// # Errors
    /// As [`Vm::create`].
    pub fn add_program(&mut self, creation: &Creation<'_>) -> Result<u32, CreationError> {
        let space = self.worker.space;
        let made = loader::add_program(space, creation)?;
        start(space, &made)?;
        Ok(made.group_index)
    }

    /// Loads modules beside those of the first program, which has ended, and begins it again at the `main` that they export: what a
    /// session does with each of its inputs. Host only; never in an attempt.
    ///
    /// # Errors
    /// As [`Vm::create`]; a module that is refused changes nothing.
    pub fn go_on(
        &mut self,
        modules: &[&[u8]],
        environment: &mut dyn Environment,
    ) -> Result<(), CreationError> {
        let quiet = AtomicBool::new(false);
        self.enter(environment, &quiet);
        let space = self.worker.space;
        let started = loader::go_on(space, modules).and_then(|made| start(space, &made));
        self.leave();
        self.reopen_main();
        started
    }

    /// Limits what a group may take of object space, in bytes. At the limit its allocations throw. Host only.
    pub fn set_quota(&mut self, group: u32, bytes: u64) {
        Allocator::of_group(group).set_quota(self.worker.space, bytes);
    }

    /// What a group has of object space. *In an attempt*, which touches one page.
    #[must_use]
    pub fn quota(&self, group: u32) -> Quota {
        let (allocator, space) = (Allocator::of_group(group), self.worker.space);
        Quota {
            used: allocator.used(space),
            limit: allocator.quota(space),
            refused: allocator.refused(space),
        }
    }

    /// How many groups there are, that of the system included. *In an attempt*, which touches one page.
    #[must_use]
    pub fn groups(&self) -> u32 {
        let next: u64 = self.worker.space.load(ObjectAddress(area::ROOT + root::NEXT_GROUP));
        next.min(area::ALLOCATOR_COUNT) as u32
    }
}

/// Makes the main thread of a program.
fn start(space: Space, made: &loader::Created) -> Result<(), CreationError> {
    let (program, group) = (made.program, made.group);
    life::first_thread(space, program, group, made.group_index, made.main, made.environment)
        .map(drop)
        .map_err(|_| CreationError::OutOfMemory)
}
