//! Finds the types at block entries, for assemblers and compilers: what the verifier then only has to check.
//!
//! The same flow as the verifier's, run to a fixed point: each block's entry is the join of all edges into it. Registers that
//! are not defined on every edge, or of different kinds, are left undeclared. Untrusted modules never come here.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::flow::Flow;
use super::function::{line_of, targets};
use super::hierarchy::Hierarchy;
use super::state::{ReferenceType, Register, State};
use super::{Budget, Place, VerifyError};
use crate::instruction::Instruction;
use crate::module::{Block, FunctionDefinition, Handler, Module, RegisterType};
use crate::opcode::Properties;
use crate::types::ValueType;

/// Fills in the block entries of all functions.
///
/// # Errors
/// An instruction that cannot be right whatever the entries, or that nothing reaches.
pub fn infer_blocks(module: &mut Module) -> Result<(), VerifyError> {
    let mut found = Vec::new();
    {
        let budget = Budget::unlimited();
        let hierarchy = Hierarchy::new(module, &budget)?;
        for function in &module.functions {
            found.push(infer_function(&hierarchy, function)?);
        }
    }
    for (function, blocks) in module.functions.iter_mut().zip(found) {
        function.blocks = blocks;
    }
    Ok(())
}

fn infer_function(
    hierarchy: &Hierarchy<'_>,
    function: &FunctionDefinition,
) -> Result<Vec<Block>, VerifyError> {
    let error = |position: Option<u32>, reason: String| VerifyError {
        place: Place::Function {
            name: function.name.clone(),
            position,
            line: position.and_then(|position| line_of(function, position)),
        },
        reason,
    };
    let flow = Flow::new(hierarchy, function).map_err(|reason| error(None, reason))?;
    let mut inference = Inference::new(flow).map_err(|(at, reason)| error(Some(at), reason))?;
    inference.run().map_err(|(at, reason)| error(Some(at), reason))?;
    inference.blocks().map_err(|(at, reason)| error(Some(at), reason))
}

type Fault = (u32, String);

struct Inference<'m> {
    flow: Flow<'m>,
    /// Positions where a block begins.
    starts: BTreeSet<u32>,
    entries: BTreeMap<u32, State>,
    work: BTreeSet<u32>,
}

impl<'m> Inference<'m> {
    fn new(flow: Flow<'m>) -> Result<Self, Fault> {
        let function = flow.function;
        let mut starts: BTreeSet<u32> =
            function.handlers.iter().map(|handler| handler.target).collect();
        let mut position = 0_u32;
        let length = u32::try_from(function.code.len()).unwrap_or(u32::MAX);
        while position < length {
            let instruction = decode(function, position)?;
            for target in targets(&instruction, &function.code) {
                starts.insert(target.ok_or((position, String::from("a target is outside")))?);
            }
            position = instruction.next();
            if instruction.opcode.info().properties.contains(Properties::ENDS) && position < length
            {
                starts.insert(position);
            }
        }
        Ok(Self { flow, starts, entries: BTreeMap::new(), work: BTreeSet::new() })
    }

    fn run(&mut self) -> Result<(), Fault> {
        let entry = self.flow.entry().map_err(|reason| (0, reason))?;
        if self.starts.contains(&0) {
            self.merge(0, &entry)?;
        } else {
            self.walk(0, entry)?;
        }
        while let Some(position) = self.work.pop_first() {
            if let Some(state) = self.entries.get(&position).cloned() {
                self.walk(position, state)?;
            }
        }
        Ok(())
    }

    /// Follows one block from its entry.
    fn walk(&mut self, start: u32, mut state: State) -> Result<(), Fault> {
        let function = self.flow.function;
        let mut position = start;
        loop {
            let at = |reason| (position, reason);
            let instruction = decode(function, position)?;
            for handler in &function.handlers {
                if (handler.start..handler.end).contains(&position) {
                    self.merge_handler(handler, &state, &instruction)?;
                }
            }
            let refinement = self.flow.step(&mut state, &instruction).map_err(at)?;
            state.clear_changed();
            for target in targets(&instruction, &function.code).into_iter().flatten() {
                let mut taken = state.clone();
                if let Some((register, known)) = refinement {
                    taken.set_reference(register, known);
                    taken.clear_changed();
                }
                self.merge(target, &taken)?;
            }
            if instruction.opcode.info().properties.contains(Properties::ENDS) {
                return Ok(());
            }
            position = instruction.next();
            if self.starts.contains(&position) {
                return self.merge(position, &state);
            }
        }
    }

    fn merge_handler(
        &mut self,
        handler: &Handler,
        state: &State,
        instruction: &Instruction,
    ) -> Result<(), Fault> {
        let mut state = state.clone();
        if instruction.opcode.info().properties.contains(Properties::CALLS) {
            state.undefine_from(instruction.a, instruction.b);
        }
        let caught = ReferenceType { class: handler.class, nullable: false };
        state.set_reference(handler.register, caught);
        state.clear_changed();
        self.merge(handler.target, &state)
    }

    /// Joins `state` into the entry at `position`; a change puts the block back to work.
    fn merge(&mut self, position: u32, state: &State) -> Result<(), Fault> {
        let Some(entry) = self.entries.get_mut(&position) else {
            self.entries.insert(position, state.clone());
            self.work.insert(position);
            return Ok(());
        };
        let mut changed = false;
        let known: Vec<RegisterType> = entry.defined().collect();
        for RegisterType { register, value } in known {
            let place = if value.is_reference() {
                Register::Reference(register)
            } else {
                Register::Raw(register)
            };
            let joined = match (value, state.value(place)) {
                (old, Some(new)) if old == new => continue,
                (
                    ValueType::Reference { class: old, nullable: first },
                    Some(ValueType::Reference { class: new, nullable: second }),
                ) => {
                    let join = self.flow.hierarchy.join(old, new);
                    let class = join.map_err(|reason| (position, reason))?;
                    Some(ValueType::Reference { class, nullable: first || second })
                }
                _ => None,
            };
            if joined == Some(value) {
                continue;
            }
            changed = true;
            match joined {
                Some(joined) => {
                    entry.define(register, joined);
                }
                None => entry.undefine(place),
            }
        }
        entry.clear_changed();
        if changed {
            self.work.insert(position);
        }
        Ok(())
    }

    fn blocks(&self) -> Result<Vec<Block>, Fault> {
        let mut blocks = Vec::new();
        for position in &self.starts {
            let Some(state) = self.entries.get(position) else {
                return Err((*position, String::from("nothing reaches this instruction")));
            };
            blocks.push(Block { position: *position, registers: state.defined().collect() });
        }
        Ok(blocks)
    }
}

fn decode(function: &FunctionDefinition, position: u32) -> Result<Instruction, Fault> {
    Instruction::decode(&function.code, position).map_err(|error| {
        let past = usize::try_from(position).is_ok_and(|at| at >= function.code.len());
        let reason = if past {
            String::from("the code runs past its end: a function ends with return, jump or throw")
        } else {
            format!("{error}")
        };
        (position, reason)
    })
}
