//! What one instruction asks of the registers and does to their types.
//!
//! The table says which fields are registers and of which kind; what depends on classes and signatures stands in `operations` and
//! `call`. Nothing here knows about blocks: the pass (`function`) and the inference (`infer`) walk.

use alloc::format;
use alloc::string::String;

use super::hierarchy::Hierarchy;
use super::state::{RawKind, ReferenceType, Register, State};
use crate::instruction::Instruction;
use crate::module::FunctionDefinition;
use crate::opcode::{Opcode, Operand, Properties};
use crate::types::{ClassReference, Signature, ValueType};

/// The flow of types through one function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow<'m> {
    pub(crate) hierarchy: &'m Hierarchy<'m>,
    pub(crate) function: &'m FunctionDefinition,
    pub(crate) signature: &'m Signature,
}

/// What a branch makes known of a register on the edge that it takes.
pub(crate) type Refinement = Option<(u16, ReferenceType)>;

impl<'m> Flow<'m> {
    /// The flow of a function whose signature exists.
    pub(crate) fn new(
        hierarchy: &'m Hierarchy<'m>,
        function: &'m FunctionDefinition,
    ) -> Result<Self, String> {
        let signature = hierarchy
            .module
            .signature(function.signature)
            .ok_or_else(|| format!("there is no signature {}", function.signature))?;
        Ok(Self { hierarchy, function, signature })
    }

    /// The types at the function's first instruction: its parameters.
    pub(crate) fn entry(&self) -> Result<State, String> {
        let function = self.function;
        let mut state = State::new(function.reference_registers, function.raw_registers);
        let (mut reference, mut raw) = (0_u16, 0_u16);
        for value in &self.signature.parameters {
            let counter = if value.is_reference() { &mut reference } else { &mut raw };
            if !state.define(*counter, *value) {
                return Err(String::from("the parameters do not fit in the declared registers"));
            }
            *counter = counter.saturating_add(1);
        }
        Ok(state)
    }

    /// Checks the instruction against `state` and makes `state` what holds after it, on the edge that falls through.
    /// Returns what is known on the edge that branches.
    pub(crate) fn step(
        &self,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<Refinement, String> {
        let info = instruction.opcode.info();
        let fields = [instruction.a, instruction.b, instruction.c];
        for (field, operand) in fields.into_iter().zip(info.operands) {
            check_use(state, field, operand)?;
        }
        if info.properties.contains(Properties::CALLS) {
            self.call(state, instruction)?;
        } else if info.properties.contains(Properties::RETURNS) {
            self.check_return(state, instruction)?;
        } else {
            self.operation(state, instruction)?;
        }
        for (field, operand) in fields.into_iter().zip(info.operands) {
            let kind = match operand {
                Operand::DefI32 => RawKind::I32,
                Operand::DefI64 => RawKind::I64,
                Operand::DefF32 => RawKind::F32,
                Operand::DefF64 => RawKind::F64,
                _ => continue,
            };
            Self::define_raw(state, field, kind)?;
        }
        self.refine(state, instruction)
    }

    /// What a null test makes known.
    fn refine(&self, state: &mut State, instruction: &Instruction) -> Result<Refinement, String> {
        let branches_on_null = match instruction.opcode {
            Opcode::BranchNull => true,
            Opcode::BranchNonNull => false,
            _ => return Ok(None),
        };
        let register = instruction.a;
        let known = Self::reference(state, register)?;
        let solid = ReferenceType { nullable: false, ..known };
        // Where it is known not to be null, the other edge is never taken.
        let null = if known.nullable { ReferenceType::NULL } else { known };
        let (taken, passed) = if branches_on_null { (null, solid) } else { (solid, null) };
        state.set_reference(register, passed);
        Ok(Some((register, taken)))
    }

    /// The type of a reference register that is read.
    pub(crate) fn reference(state: &State, register: u16) -> Result<ReferenceType, String> {
        state.reference(register).ok_or_else(|| format!("r{register} is not defined here"))
    }

    /// The kind of a raw register that is read.
    pub(crate) fn raw(state: &State, register: u16) -> Result<RawKind, String> {
        state.raw(register).ok_or_else(|| format!("n{register} is not defined here"))
    }

    /// Defines a reference register.
    pub(crate) fn define_reference(
        state: &mut State,
        register: u16,
        value: ReferenceType,
    ) -> Result<(), String> {
        if state.set_reference(register, value) {
            return Ok(());
        }
        let (count, _) = state.size();
        Err(format!("r{register} does not exist: the function declares {count} references"))
    }

    /// Defines a raw register.
    pub(crate) fn define_raw(
        state: &mut State,
        register: u16,
        kind: RawKind,
    ) -> Result<(), String> {
        if state.set_raw(register, kind) {
            return Ok(());
        }
        let (_, count) = state.size();
        Err(format!("n{register} does not exist: the function declares {count} raws"))
    }

    /// Requires that a reference register holds `class` or below; null is allowed, operations throw on it.
    pub(crate) fn require_class(
        &self,
        state: &State,
        register: u16,
        class: ClassReference,
    ) -> Result<ReferenceType, String> {
        let found = Self::reference(state, register)?;
        if self.hierarchy.is_below(found.class, class)? {
            return Ok(found);
        }
        Err(format!(
            "r{register} is {} here, {} is required",
            self.hierarchy.describe(found.value()),
            self.hierarchy.name(class)
        ))
    }

    /// Requires that a type can stand where another is wanted; `what` and `register` name the place.
    pub(crate) fn require_fits(
        &self,
        what: &str,
        register: Register,
        found: ValueType,
        wanted: ValueType,
    ) -> Result<(), String> {
        if self.hierarchy.fits(found, wanted)? {
            return Ok(());
        }
        Err(format!(
            "{what} {register} is {} here, {} is required",
            self.hierarchy.describe(found),
            self.hierarchy.describe(wanted)
        ))
    }
}

/// Checks one field that is read, as far as the table tells.
fn check_use(state: &State, field: u16, operand: Operand) -> Result<(), String> {
    let wanted = match operand {
        Operand::UseI32 => RawKind::I32,
        Operand::UseI64 => RawKind::I64,
        Operand::UseF32 => RawKind::F32,
        Operand::UseF64 => RawKind::F64,
        Operand::UseRaw | Operand::UpdateRaw => return Flow::raw(state, field).map(drop),
        Operand::UseRef | Operand::UpdateRef => return Flow::reference(state, field).map(drop),
        Operand::UseInteger => {
            return match Flow::raw(state, field)? {
                RawKind::I32 | RawKind::I64 => Ok(()),
                found => Err(format!("n{field} is {found} here, an integer is required")),
            };
        }
        _ => return Ok(()),
    };
    let found = Flow::raw(state, field)?;
    if found == wanted {
        Ok(())
    } else {
        Err(format!("n{field} is {found} here, {wanted} is required"))
    }
}
