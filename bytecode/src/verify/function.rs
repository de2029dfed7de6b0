//! The linear pass over one function.
//!
//! The state is carried from instruction to instruction, replaced by the declared types at each block entry, compared with them on each edge.
//! Handlers are compared when their range begins, at block entries inside it, and for each register that changes in it, so the
//! pass stays linear however long ranges are.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::flow::{Flow, Refinement};
use super::hierarchy::Hierarchy;
use super::state::{Register, State};
use super::{Place, VerifyError};
use crate::builtin::Builtin;
use crate::instruction::Instruction;
use crate::module::{
    Block, FunctionDefinition, HANDLERS_NESTED_MAX, Handler, RAW_REGISTERS_MAX,
    REFERENCE_REGISTERS_MAX, RegisterType,
};
use crate::opcode::{Literal, Opcode, Properties};
use crate::types::{ClassReference, ValueType};

/// A reason, and the position if the code is at fault.
struct Fault {
    position: Option<u32>,
    reason: String,
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self { position: None, reason }
    }
}

/// Verifies one function.
pub(crate) fn check(
    hierarchy: &Hierarchy<'_>,
    function: &FunctionDefinition,
) -> Result<(), VerifyError> {
    let run = || {
        let mut pass = Pass::new(hierarchy, function)?;
        pass.run(None)
    };
    run().map(drop).map_err(|fault| VerifyError {
        place: Place::Function {
            name: function.name.clone(),
            position: fault.position,
            line: fault.position.and_then(|position| line_of(function, position)),
        },
        reason: fault.reason,
    })
}

/// The types just before the instruction at `position` of a verified function.
pub(crate) fn types_at(
    hierarchy: &Hierarchy<'_>,
    function: &FunctionDefinition,
    position: u32,
) -> Option<State> {
    let mut pass = Pass::new(hierarchy, function).ok()?;
    pass.run(Some(position)).ok().flatten()
}

/// The source line of a position.
pub(crate) fn line_of(function: &FunctionDefinition, position: u32) -> Option<u32> {
    let after = function.lines.partition_point(|line| line.position <= position);
    function.lines.get(after.checked_sub(1)?).map(|line| line.line)
}

struct Pass<'m> {
    flow: Flow<'m>,
    /// Whether an instruction begins at each position.
    boundaries: Vec<bool>,
    /// Indices of handlers by start of range; the next to become active.
    by_start: Vec<usize>,
    next_handler: usize,
    active: Vec<&'m Handler>,
    next_block: usize,
}

impl<'m> Pass<'m> {
    fn new(hierarchy: &'m Hierarchy<'m>, function: &'m FunctionDefinition) -> Result<Self, Fault> {
        let flow = Flow::new(hierarchy, function)?;
        if function.reference_registers > REFERENCE_REGISTERS_MAX
            || function.raw_registers > RAW_REGISTERS_MAX
        {
            return Err(Fault::from(format!(
                "declares more than {REFERENCE_REGISTERS_MAX} references or {RAW_REGISTERS_MAX} raws"
            )));
        }
        let mut by_start: Vec<usize> = (0..function.handlers.len()).collect();
        by_start.sort_by_key(|index| function.handlers.get(*index).map(|handler| handler.start));
        Ok(Self {
            flow,
            boundaries: boundaries(&function.code)?,
            by_start,
            next_handler: 0,
            active: Vec::new(),
            next_block: 0,
        })
    }

    /// Walks the code; with `stop_at`, only up to that instruction, and returns the state before it.
    fn run(&mut self, stop_at: Option<u32>) -> Result<Option<State>, Fault> {
        let function = self.flow.function;
        self.check_blocks()?;
        self.check_handlers()?;
        self.check_lines()?;
        let mut state = self.flow.entry()?;
        let mut reachable = true;
        let mut position = 0_u32;
        let length = u32::try_from(function.code.len()).unwrap_or(u32::MAX);
        while position < length {
            let at = |reason| Fault { position: Some(position), reason };
            let entered = self.enter_block(&mut state, position, reachable).map_err(at)?;
            if !entered && !reachable {
                return Err(at(String::from(
                    "nothing falls through to here and it is no block entry",
                )));
            }
            self.update_handlers(&mut state, position, entered).map_err(at)?;
            if stop_at == Some(position) {
                return Ok(Some(state));
            }
            let instruction = Instruction::decode(&function.code, position)
                .map_err(|error| at(format!("{error}")))?;
            self.check_window_against_handlers(&instruction).map_err(at)?;
            let refinement = self.flow.step(&mut state, &instruction).map_err(at)?;
            self.check_branches(&mut state, &instruction, refinement).map_err(at)?;
            reachable = !instruction.opcode.info().properties.contains(Properties::ENDS);
            position = instruction.next();
        }
        if reachable {
            return Err(Fault {
                position: Some(length),
                reason: String::from("the code runs past its end"),
            });
        }
        Ok(None)
    }

    /// Block entries increase, stand on instructions, declare registers in order, each with a type that exists.
    fn check_blocks(&self) -> Result<(), Fault> {
        let mut previous = None;
        for block in &self.flow.function.blocks {
            let at = |reason: String| Fault { position: Some(block.position), reason };
            if previous.is_some_and(|before| before >= block.position) {
                return Err(at(String::from("block entries are not in order")));
            }
            if !self.is_boundary(block.position) {
                return Err(at(String::from(
                    "a block entry is not the beginning of an instruction",
                )));
            }
            previous = Some(block.position);
            self.check_declared(block).map_err(at)?;
        }
        Ok(())
    }

    fn check_declared(&self, block: &Block) -> Result<(), String> {
        let function = self.flow.function;
        let mut before: Option<(bool, u16)> = None;
        for entry in &block.registers {
            let key = (!entry.value.is_reference(), entry.register);
            if before.is_some_and(|before| before >= key) {
                return Err(String::from("declared registers are not in order"));
            }
            before = Some(key);
            let limit = if entry.value.is_reference() {
                function.reference_registers
            } else {
                function.raw_registers
            };
            if entry.register >= limit {
                return Err(format!("declared register {} does not exist", entry.register));
            }
            if let ValueType::Reference { class, .. } = entry.value
                && class != ClassReference::NOTHING
                && !self.flow.hierarchy.exists(class)
            {
                return Err(format!("there is no class {}", class.0));
            }
        }
        Ok(())
    }

    fn check_handlers(&self) -> Result<(), Fault> {
        let exception = ClassReference::builtin(Builtin::Exception);
        let hierarchy = self.flow.hierarchy;
        for handler in &self.flow.function.handlers {
            let at = |reason: String| Fault { position: Some(handler.target), reason };
            if handler.start >= handler.end
                || !self.is_boundary(handler.start)
                || !self.is_boundary_or_end(handler.end)
            {
                return Err(at(String::from("the handler's range is not one of instructions")));
            }
            let known = hierarchy.exists(handler.class);
            if !known || !hierarchy.is_below(handler.class, exception)? {
                return Err(at(String::from("a handler takes Exception or a class below it")));
            }
            let block = self.declared(handler.target).map_err(at)?;
            if handler.register >= self.flow.function.reference_registers {
                return Err(at(format!("the handler's r{} does not exist", handler.register)));
            }
            if let Some(wanted) = find(&block.registers, Register::Reference(handler.register)) {
                let caught = ValueType::Reference { class: handler.class, nullable: false };
                let register = Register::Reference(handler.register);
                self.flow.require_fits("exception", register, caught, wanted).map_err(at)?;
            }
        }
        Ok(())
    }

    fn check_lines(&self) -> Result<(), Fault> {
        let lines = &self.flow.function.lines;
        let ordered = lines.iter().zip(lines.iter().skip(1));
        if ordered.clone().all(|(line, next)| line.position < next.position) {
            Ok(())
        } else {
            Err(Fault::from(String::from("the line table is not in order")))
        }
    }

    fn is_boundary(&self, position: u32) -> bool {
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        self.boundaries.get(index).copied().unwrap_or(false)
    }

    fn is_boundary_or_end(&self, position: u32) -> bool {
        usize::try_from(position) == Ok(self.boundaries.len()) || self.is_boundary(position)
    }

    /// The block entry at `position`.
    fn declared(&self, position: u32) -> Result<&'m Block, String> {
        let blocks = &self.flow.function.blocks;
        blocks
            .binary_search_by_key(&position, |block| block.position)
            .ok()
            .and_then(|index| blocks.get(index))
            .ok_or_else(|| format!("the target {position} is not a block entry"))
    }

    /// At a block entry: compares what falls through, then goes on with what is declared. Says whether there was one.
    fn enter_block(
        &mut self,
        state: &mut State,
        position: u32,
        reachable: bool,
    ) -> Result<bool, String> {
        let block = self.flow.function.blocks.get(self.next_block);
        let Some(block) = block.filter(|block| block.position == position) else {
            return Ok(false);
        };
        self.next_block = self.next_block.saturating_add(1);
        if reachable {
            self.check_edge(state, block, None)?;
        }
        let (references, raws) = state.size();
        let registers = references.saturating_add(raws) / REGISTERS_PER_STEP;
        self.flow.hierarchy.budget.charge(registers.saturating_add(block.registers.len()))?;
        state.reset(&block.registers);
        Ok(true)
    }

    /// Every declared register must be defined, at or below its type. The register `excepted` is about to be written.
    fn check_edge(
        &self,
        state: &State,
        block: &Block,
        excepted: Option<u16>,
    ) -> Result<(), String> {
        self.flow.hierarchy.budget.charge(block.registers.len())?;
        for entry in &block.registers {
            if entry.value.is_reference() && excepted == Some(entry.register) {
                continue;
            }
            self.check_register(state, entry, block.position)?;
        }
        Ok(())
    }

    fn check_register(
        &self,
        state: &State,
        entry: &RegisterType,
        target: u32,
    ) -> Result<(), String> {
        let register = register_of(entry);
        let Some(found) = state.value(register) else {
            return Err(format!(
                "{} is not defined on the way to {target}, which declares it",
                register
            ));
        };
        if self.flow.hierarchy.fits(found, entry.value)? {
            return Ok(());
        }
        Err(format!(
            "{} is {} on the way to {target}, which declares {}",
            register,
            self.flow.hierarchy.describe(found),
            self.flow.hierarchy.describe(entry.value)
        ))
    }

    fn check_branches(
        &self,
        state: &mut State,
        instruction: &Instruction,
        refinement: Refinement,
    ) -> Result<(), String> {
        let info = instruction.opcode.info();
        if !info.properties.contains(Properties::BRANCHES) {
            return Ok(());
        }
        if info.literal == Literal::Table {
            for index in 0..instruction.b {
                let target = instruction.table_target(&self.flow.function.code, index);
                let target = target.ok_or("a branch target is outside the code")?;
                self.check_edge(state, self.declared(target)?, None)?;
            }
            return Ok(());
        }
        let target = instruction.target().ok_or("the branch target is outside the code")?;
        let block = self.declared(target)?;
        let Some((register, known)) = refinement else {
            return self.check_edge(state, block, None);
        };
        // On the edge taken the register has another type than where it falls through.
        let passed = state.reference(register);
        state.set_reference(register, known);
        let checked = self.check_edge(state, block, None);
        if let Some(passed) = passed {
            state.set_reference(register, passed);
        }
        checked
    }

    /// Activates and drops handlers, and compares what changed with the active ones.
    fn update_handlers(
        &mut self,
        state: &mut State,
        position: u32,
        entered: bool,
    ) -> Result<(), String> {
        let changed = state.take_changed();
        self.active.retain(|handler| handler.end > position);
        for handler in &self.active {
            let block = self.declared(handler.target)?;
            if entered {
                self.check_edge(state, block, Some(handler.register))?;
                continue;
            }
            self.flow.hierarchy.budget.charge(changed.len())?;
            for register in &changed {
                let excepted = *register == Register::Reference(handler.register);
                if let Some(value) = find(&block.registers, *register).filter(|_| !excepted) {
                    let entry = RegisterType { register: number(*register), value };
                    self.check_register(state, &entry, handler.target)?;
                }
            }
        }
        while let Some(index) = self.by_start.get(self.next_handler).copied() {
            let Some(handler) = self.flow.function.handlers.get(index) else { break };
            if handler.start > position {
                break;
            }
            self.next_handler = self.next_handler.saturating_add(1);
            if self.active.len() >= HANDLERS_NESTED_MAX {
                return Err(format!("more than {HANDLERS_NESTED_MAX} handlers cover it"));
            }
            let block = self.declared(handler.target)?;
            self.check_edge(state, block, Some(handler.register))?;
            self.active.push(handler);
        }
        Ok(())
    }

    /// A call that throws has already lost its window: no active handler may rely on it.
    fn check_window_against_handlers(&self, instruction: &Instruction) -> Result<(), String> {
        if !instruction.opcode.info().properties.contains(Properties::CALLS) {
            return Ok(());
        }
        for handler in &self.active {
            let registers = &self.declared(handler.target)?.registers;
            let references = registers.partition_point(|entry| entry.value.is_reference());
            let (references, raws) = registers.split_at(references);
            // Declared registers increase, so the last of each file decides; the exception's own register is written anyway.
            let lost = |entry: &&RegisterType| {
                entry.register >= instruction.a && entry.register != handler.register
            };
            let last_references = references.iter().rev().take(2);
            let lost_reference = last_references.clone().find(lost).map(register_of);
            let last_raw = raws.last().filter(|entry| entry.register >= instruction.b);
            if let Some(register) = lost_reference.or(last_raw.map(register_of)) {
                return Err(format!(
                    "{} is lost with the call's window, but the handler at {} declares it",
                    register, handler.target
                ));
            }
        }
        Ok(())
    }
}

/// Registers that one step of the budget pays to make undefined: it is a fill of memory.
const REGISTERS_PER_STEP: usize = 16;

/// Decodes all instructions and notes where each begins.
fn boundaries(code: &[u64]) -> Result<Vec<bool>, Fault> {
    let mut boundaries = vec![false; code.len()];
    let length =
        u32::try_from(code.len()).map_err(|_| Fault::from(String::from("the code is too long")))?;
    if length == 0 {
        return Err(Fault::from(String::from("the function has no code")));
    }
    let mut position = 0_u32;
    while position < length {
        let instruction = Instruction::decode(code, position)
            .map_err(|error| Fault { position: Some(position), reason: format!("{error}") })?;
        let index = usize::try_from(position).unwrap_or(usize::MAX);
        if let Some(boundary) = boundaries.get_mut(index) {
            *boundary = true;
        }
        position = instruction.next();
    }
    Ok(boundaries)
}

/// The declared type of a register, in a list in order.
fn find(declared: &[RegisterType], register: Register) -> Option<ValueType> {
    let key = (matches!(register, Register::Raw(_)), number(register));
    declared
        .binary_search_by_key(&key, |entry| (!entry.value.is_reference(), entry.register))
        .ok()
        .and_then(|index| declared.get(index))
        .map(|entry| entry.value)
}

const fn register_of(entry: &RegisterType) -> Register {
    if entry.value.is_reference() {
        Register::Reference(entry.register)
    } else {
        Register::Raw(entry.register)
    }
}

const fn number(register: Register) -> u16 {
    match register {
        Register::Reference(number) | Register::Raw(number) => number,
    }
}

/// Whether the opcode moves execution to a target that must be declared; used by the inference too.
pub(crate) fn targets(instruction: &Instruction, code: &[u64]) -> Vec<Option<u32>> {
    if instruction.opcode == Opcode::JumpTable {
        return (0..instruction.b).map(|index| instruction.table_target(code, index)).collect();
    }
    if instruction.opcode.info().properties.contains(Properties::BRANCHES) {
        return vec![instruction.target()];
    }
    Vec::new()
}
