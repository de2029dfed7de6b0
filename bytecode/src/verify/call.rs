//! Calls and returns: windows, arguments, results.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::flow::Flow;
use super::state::{ReferenceType, Register, State};
use crate::builtin::Builtin;
use crate::instruction::{Instruction, high_half, low_half};
use crate::native::Native;
use crate::opcode::Opcode;
use crate::types::{ClassReference, Signature, ValueType, WindowSize};

impl Flow<'_> {
    /// Checks a call and leaves the results in the window.
    pub(crate) fn call(&self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        if instruction.opcode == Opcode::CallNative {
            let native = Native::from_number(instruction.c)
                .ok_or_else(|| format!("there is no native {}", instruction.c))?
                .info();
            return self.window(state, instruction, native.parameters, native.results);
        }
        let signature = self.callee(state, instruction)?;
        self.window(state, instruction, &signature.parameters, &signature.results)
    }

    fn callee(&self, state: &State, instruction: &Instruction) -> Result<&Signature, String> {
        let module = self.hierarchy.module;
        let (low, high) = (low_half(instruction.literal), high_half(instruction.literal));
        let receiver = instruction.a;
        match instruction.opcode {
            Opcode::CallVirtual | Opcode::CallInterface => {
                let class = ClassReference(low);
                let wants_interface = instruction.opcode == Opcode::CallInterface;
                if self.hierarchy.is_interface(class) != wants_interface {
                    let word = if wants_interface { "an interface" } else { "a class" };
                    return Err(format!("{} is not {word}", self.hierarchy.name(class)));
                }
                let signature = self.hierarchy.method(class, high).ok_or_else(|| {
                    format!("{} has no method {high}", self.hierarchy.name(class))
                })?;
                self.require_class(state, receiver, class)?;
                Ok(signature)
            }
            Opcode::CallClosure | Opcode::CallIndirect => {
                let signature =
                    module.signature(low).ok_or_else(|| format!("there is no signature {low}"))?;
                if instruction.opcode == Opcode::CallClosure {
                    let first = signature.parameters.first();
                    if first != Some(&ValueType::object(Builtin::Closure)) {
                        return Err(String::from(
                            "the signature's first parameter must be the Closure",
                        ));
                    }
                } else {
                    let class = ClassReference::builtin(Builtin::Function);
                    self.require_class(state, instruction.c, class)?;
                }
                Ok(signature)
            }
            _ => {
                module.function_signature(low).ok_or_else(|| format!("there is no function {low}"))
            }
        }
    }

    /// Checks that arguments stand in the window, then defines the results there and nothing above.
    fn window(
        &self,
        state: &mut State,
        instruction: &Instruction,
        parameters: &[ValueType],
        results: &[ValueType],
    ) -> Result<(), String> {
        let (first_reference, first_raw) = (instruction.a, instruction.b);
        self.check_window_fits(state, instruction, WindowSize::of(parameters))?;
        self.check_window_fits(state, instruction, WindowSize::of(results))?;
        self.hierarchy.budget.charge(parameters.len().saturating_add(results.len()))?;
        // A null receiver throws at run time: its parameter does not have to be proved non-null.
        let null_receiver = matches!(
            instruction.opcode,
            Opcode::CallVirtual | Opcode::CallInterface | Opcode::CallClosure
        );
        let (mut reference, mut raw) = (first_reference, first_raw);
        for wanted in parameters {
            if let ValueType::Reference { class, nullable } = *wanted {
                let found = Self::reference(state, reference)?;
                let nullable = nullable || (null_receiver && reference == first_reference);
                let wanted = ValueType::Reference { class, nullable };
                self.require_fits(
                    "argument",
                    Register::Reference(reference),
                    found.value(),
                    wanted,
                )?;
                reference = reference.saturating_add(1);
            } else {
                let found = Self::raw(state, raw)?;
                self.require_fits("argument", Register::Raw(raw), found.value(), *wanted)?;
                raw = raw.saturating_add(1);
            }
        }
        let (references, raws) = state.size();
        let above = references.saturating_sub(usize::from(first_reference));
        self.hierarchy.budget.charge(
            above.saturating_add(raws.saturating_sub(usize::from(first_raw))) / UNDEFINE_PER_STEP,
        )?;
        state.undefine_from(first_reference, first_raw);
        let (mut reference, mut raw) = (first_reference, first_raw);
        for result in results {
            let register = if result.is_reference() { &mut reference } else { &mut raw };
            state.define(*register, *result);
            *register = register.saturating_add(1);
        }
        Ok(())
    }

    fn check_window_fits(
        &self,
        state: &State,
        instruction: &Instruction,
        size: WindowSize,
    ) -> Result<(), String> {
        let (references, raws) = state.size();
        let reference_end = usize::from(instruction.a).saturating_add(size.references.into());
        let raw_end = usize::from(instruction.b).saturating_add(size.raws.into());
        if reference_end > references || raw_end > raws {
            return Err(format!(
                "the window ends at r{reference_end}, n{raw_end}; the function declares {references} references, {raws} raws"
            ));
        }
        Ok(())
    }

    /// Checks a return against the function's results.
    pub(crate) fn check_return(
        &self,
        state: &State,
        instruction: &Instruction,
    ) -> Result<(), String> {
        let (a, b) = (instruction.a, instruction.b);
        let results = self.signature.results.as_slice();
        let reference = |register| Self::reference(state, register).map(ReferenceType::value);
        let raw = |register| Self::raw(state, register).map(super::RawKind::value);
        let mut found = Vec::new();
        match instruction.opcode {
            Opcode::Return => {}
            Opcode::ReturnRaw => found.push((a, raw(a)?)),
            Opcode::ReturnRef => found.push((a, reference(a)?)),
            _ => {
                self.hierarchy.budget.charge(results.len())?;
                let (mut next_reference, mut next_raw) = (a, b);
                for result in results {
                    let is_reference = result.is_reference();
                    let next = if is_reference { &mut next_reference } else { &mut next_raw };
                    let value = if is_reference { reference(*next)? } else { raw(*next)? };
                    found.push((*next, value));
                    *next = next.saturating_add(1);
                }
            }
        }
        if found.len() != results.len() {
            return Err(format!(
                "returns {} results, the signature has {}",
                found.len(),
                results.len()
            ));
        }
        for ((register, value), wanted) in found.into_iter().zip(results) {
            let register = if value.is_reference() {
                Register::Reference(register)
            } else {
                Register::Raw(register)
            };
            self.require_fits("result", register, value, *wanted)?;
        }
        Ok(())
    }
}

/// Registers that one step of the budget pays to make undefined: it is a fill of memory.
const UNDEFINE_PER_STEP: usize = 16;
