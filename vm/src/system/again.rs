//! Verifying again what another verifier has passed: all code of an object space, and what stands in frames at the moment.
//!
//! A function that this verifier refuses is withdrawn: no instruction of it runs any more, whoever enters it or goes on in it gets a
//! `VerificationException`, and its handlers catch nothing. A thread with a frame whose references are not of the classes that the
//! verifier derives for its position is stopped: when its turn comes it is treated like one that cannot be read. All else goes on.
//!
//! For the host, over an object space that lies wholly in memory: nothing here is a step. Neighbours: `revenant disk verify` calls this
//! for a disk that a kernel refuses because another verifier passed its code ([`crate::VERSION`]).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    ClassReference, Instruction, Module, Properties, ReferenceType, State, Verdicts, decode,
};
use revenant_hal::{ObjectAddress, PageIndex};

use super::inspect::records;
use crate::loader::layout::{
    FUNCTION_CODE, FUNCTION_CODE_OBJECT, FUNCTION_HANDLERS, FUNCTION_MODULE, HANDLER_WORDS,
    MODULE_CLASSES, MODULE_FILE, MODULE_FUNCTIONS, PROGRAM_NAMESPACE,
};
use crate::loader::{Table, bytes_of, element_of, elements_of, slot_of};
use crate::memory::layout::area;
use crate::memory::layout::class::{INTERFACES, SUPERCLASS};
use crate::memory::layout::object::{CLASS, LENGTH, PAYLOAD};
use crate::memory::layout::system::root;
use crate::memory::layout::thread::{
    FLAGS, POSITION, RECORD_FUNCTION, RECORD_REFERENCE_BASE, STACK, STATE, STATE_RUNNABLE,
    STATE_WAITING,
};
use crate::memory::{AddressExt, Space};
use crate::thread::{FLAG_ENDING, FLAG_UNWINDING, at};

/// Judges a module: [`revenant_bytecode::verify_each`], or what a test puts in its place.
pub type Verifier<'v> = &'v dyn Fn(Module) -> Verdicts;

/// An opcode that no verifier lets pass.
const WITHDRAWN: u64 = 0xffff;

const ROOT: ObjectAddress = ObjectAddress(area::ROOT);

/// What was found, and what was changed.
#[derive(Debug, Default)]
pub struct VerifiedAgain {
    /// Modules looked at.
    pub modules: usize,
    /// Functions looked at.
    pub functions: usize,
    /// Functions that were refused, each with module, place and reason.
    pub refused: Vec<String>,
    /// Threads that were stopped, by index.
    pub stopped: Vec<u64>,
    /// Pages that have changed.
    pub changed: BTreeSet<PageIndex>,
}

/// Verifies all code and all frames, withdraws and stops what does not pass.
pub(super) fn verify_again(space: Space, verifier: Verifier<'_>) -> VerifiedAgain {
    let mut again = Again {
        space,
        done: VerifiedAgain::default(),
        modules: Vec::new(),
        functions: BTreeMap::new(),
    };
    again.verify_modules(verifier);
    again.verify_frames();
    again.done
}

/// A module and its verdicts.
struct Judged {
    object: ObjectAddress,
    verdicts: Verdicts,
}

struct Again {
    space: Space,
    done: VerifiedAgain,
    modules: Vec<Judged>,
    /// For each function object, its module's place in the list and its own among the module's definitions.
    functions: BTreeMap<ObjectAddress, (usize, usize)>,
}

/// How a frame stands at its position.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// The instruction there comes next.
    Next,
    /// The call before it is under way.
    Called,
    /// An exception was thrown in the instruction there.
    Thrown,
}

impl Again {
    fn store(&mut self, address: ObjectAddress, word: u64) {
        self.space.store(address, word);
        self.done.changed.insert(address.page());
    }

    fn verify_modules(&mut self, verifier: Verifier<'_>) {
        let space = self.space;
        let programs = elements_of(space, slot_of(space, ROOT, root::PROGRAMS));
        let namespaces: BTreeSet<ObjectAddress> =
            programs.iter().map(|program| slot_of(space, *program, PROGRAM_NAMESPACE)).collect();
        let mut seen = BTreeSet::new();
        for namespace in namespaces {
            for (name, object) in Table::of(space, namespace).modules() {
                if seen.insert(object) {
                    self.verify_module(name, object, verifier);
                }
            }
        }
    }

    fn verify_module(&mut self, name: &str, object: ObjectAddress, verifier: Verifier<'_>) {
        let space = self.space;
        self.done.modules += 1;
        let functions = elements_of(space, slot_of(space, object, MODULE_FUNCTIONS));
        let decoded = decode(&bytes_of(space, slot_of(space, object, MODULE_FILE)));
        let verdicts = match decoded {
            Ok(module) => verifier(module),
            Err(error) => {
                self.done.refused.push(format!("{name}: {error}"));
                let own = |one: &ObjectAddress| slot_of(space, *one, FUNCTION_MODULE) == object;
                functions.into_iter().filter(own).for_each(|function| self.withdraw(function));
                return; // and threads with frames in it are stopped
            }
        };
        // Imports are verified where they are defined.
        let imported = verdicts.module().function_imports.len();
        for (index, function) in functions.into_iter().skip(imported).enumerate() {
            self.done.functions += 1;
            self.functions.insert(function, (self.modules.len(), index));
            if let Some(error) = verdicts.refusal(index) {
                self.done.refused.push(format!("{name}: {error}"));
                self.withdraw(function);
            }
        }
        self.modules.push(Judged { object, verdicts });
    }

    /// Takes the operation out of every word of the code. The fields stay: who waits in a native of this function gets its result, in
    /// the registers that it named, before the next instruction throws.
    fn withdraw(&mut self, function: ObjectAddress) {
        let space = self.space;
        let code = slot_of(space, function, FUNCTION_CODE_OBJECT);
        for word in 0..u64::from(space.load::<u32>(code.plus(LENGTH))) {
            let place = code.plus(PAYLOAD + word * 8);
            self.store(place, space.load::<u64>(place) | WITHDRAWN);
        }
        let handlers = slot_of(space, function, FUNCTION_HANDLERS);
        if handlers.is_null() {
            return;
        }
        let length = u64::from(space.load::<u32>(handlers.plus(LENGTH)));
        for handler in 0..length / HANDLER_WORDS {
            // From 0 to 0: covers nothing.
            self.store(handlers.plus(PAYLOAD + handler * HANDLER_WORDS * 8), 0);
        }
    }

    fn verify_frames(&mut self) {
        let space = self.space;
        let next = space.load::<u64>(ROOT.plus(root::NEXT_THREAD));
        for index in 1..next.min(area::THREAD_TABLE_ENTRIES) {
            let entry: u64 = space.load(ObjectAddress(area::THREAD_TABLE + index * 8));
            // Odd words link free places.
            if entry == 0 || entry & 1 != 0 {
                continue;
            }
            let thread = ObjectAddress(entry);
            let state: u32 = space.load(at(thread, STATE));
            if matches!(state, STATE_RUNNABLE | STATE_WAITING) && !self.fits(thread) {
                // No code stands there: its next turn finds that, and parks it as damaged.
                self.store(at(thread, POSITION), 0);
                self.done.stopped.push(index);
            }
        }
    }

    /// Whether all frames of a thread hold what the verifier says.
    fn fits(&self, thread: ObjectAddress) -> bool {
        let flags: u32 = self.space.load(at(thread, FLAGS));
        if flags & FLAG_ENDING != 0 {
            return true; // no code of its own runs any more
        }
        let stack = slot_of(self.space, thread, STACK);
        let mut rest = if flags & FLAG_UNWINDING == 0 { Rest::Next } else { Rest::Thrown };
        for (record, position) in records(self.space, thread) {
            if !self.frame_fits(stack, record, position, rest) {
                return false;
            }
            rest = Rest::Called;
        }
        true
    }

    fn frame_fits(
        &self,
        stack: ObjectAddress,
        record: ObjectAddress,
        position: u64,
        rest: Rest,
    ) -> bool {
        let function = slot_of(self.space, record, RECORD_FUNCTION);
        let Some((module, index)) = self.functions.get(&function).copied() else { return false };
        let Some(module) = self.modules.get(module) else { return false };
        if module.verdicts.refusal(index).is_some() {
            return true; // its next instruction throws
        }
        let code: u64 = self.space.load(function.plus(FUNCTION_CODE));
        let state = word_of(position, code)
            .and_then(|position| state_of(&module.verdicts, index, position, rest));
        let base: u32 = self.space.load(record.plus(RECORD_REFERENCE_BASE));
        let registers = stack.plus(u64::from(base));
        state.is_some_and(|state| self.holds(module.object, registers, &state))
    }

    /// Whether the reference registers that stand there have the types.
    fn holds(&self, module: ObjectAddress, registers: ObjectAddress, state: &State) -> bool {
        let (references, _) = state.size();
        (0_u16..).take(references).all(|register| {
            let Some(wanted) = state.reference(register) else { return true };
            let found: u64 = self.space.load(registers.plus(u64::from(register) * 8));
            self.is_of(module, ObjectAddress(found), wanted)
        })
    }

    fn is_of(&self, module: ObjectAddress, object: ObjectAddress, wanted: ReferenceType) -> bool {
        if object.is_null() {
            return wanted.nullable;
        }
        let Some(wanted) = self.class_object(module, wanted.class) else { return false };
        let index: u32 = self.space.load(object.plus(CLASS));
        let mut class = class_at(self.space, index);
        // The bound is for damaged hierarchies.
        for _ in 0..=revenant_bytecode::CLASS_DEPTH_MAX {
            if class == wanted {
                return true;
            }
            if class.is_null() {
                return false;
            }
            let pairs = elements_of(self.space, slot_of(self.space, class, INTERFACES));
            if pairs.iter().step_by(2).any(|interface| *interface == wanted) {
                return true;
            }
            class = slot_of(self.space, class, SUPERCLASS);
        }
        false
    }

    /// The class object that a module means; none for the class that no object has.
    fn class_object(&self, module: ObjectAddress, class: ClassReference) -> Option<ObjectAddress> {
        if let Some(builtin) = class.as_builtin() {
            return Some(class_at(self.space, builtin as u32));
        }
        let index = u64::try_from(class.as_module_index()?).ok()?;
        Some(element_of(self.space, slot_of(self.space, module, MODULE_CLASSES), index))
    }
}

fn class_at(space: Space, index: u32) -> ObjectAddress {
    let index = u64::from(index) % area::CLASS_TABLE_ENTRIES;
    ObjectAddress(space.load(ObjectAddress(area::CLASS_TABLE + index * 8)))
}

/// The place in its function's code that an address is.
fn word_of(address: u64, code: u64) -> Option<u32> {
    let offset = address.checked_sub(code).filter(|offset| offset.is_multiple_of(8))?;
    u32::try_from(offset / 8).ok()
}

/// What a frame that stands at a position holds.
fn state_of(verdicts: &Verdicts, function: usize, position: u32, rest: Rest) -> Option<State> {
    let wanted = match rest {
        Rest::Next => return verdicts.types_at(function, position),
        Rest::Called => position.checked_sub(1)?,
        Rest::Thrown => position,
    };
    let code = &verdicts.module().functions.get(function)?.code;
    let mut instruction = Instruction::decode(code, 0).ok()?;
    while instruction.next() <= wanted {
        instruction = Instruction::decode(code, instruction.next()).ok()?;
    }
    let calls = instruction.opcode.info().properties.contains(Properties::CALLS);
    let mut state = verdicts.types_at(function, instruction.position)?;
    if calls {
        // The callee has the window.
        state.undefine_from(instruction.a, instruction.b);
    }
    (calls || rest == Rest::Thrown).then_some(state)
}
