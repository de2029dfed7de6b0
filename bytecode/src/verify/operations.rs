//! Operations whose types depend on classes, fields, elements or constants of the module.

use alloc::format;
use alloc::string::String;

use super::flow::Flow;
use super::state::{RawKind, ReferenceType, Register, State};
use crate::builtin::Builtin;
use crate::instruction::{Instruction, low_half};
use crate::opcode::{Literal, Opcode};
use crate::types::{ClassReference, ElementKind, ValueType};

impl Flow<'_> {
    /// Checks and applies what the table does not say by itself.
    pub(crate) fn operation(
        &self,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<(), String> {
        use Opcode as O;
        let (a, b) = (instruction.a, instruction.b);
        match instruction.opcode {
            O::MoveRaw | O::MoveRawIf | O::MoveRef | O::MoveRefIf | O::Null | O::NullCheck => {
                self.movement(state, instruction)
            }
            O::I32DivSImm
            | O::I32DivUImm
            | O::I32RemSImm
            | O::I32RemUImm
            | O::I64DivSImm
            | O::I64DivUImm
            | O::I64RemSImm
            | O::I64RemUImm => check_divisor(instruction),
            O::StringConst | O::FunctionConst | O::ClosureNew | O::ClosureEnvironment => {
                self.constant(state, instruction)
            }
            O::Throw => {
                self.require_class(state, a, ClassReference::builtin(Builtin::Exception)).map(drop)
            }
            O::InstanceOf | O::Cast | O::ObjectNew | O::ArrayNew => {
                self.by_class(state, instruction)
            }
            O::FieldLoadRaw
            | O::FieldLoadRef
            | O::FieldStoreRaw
            | O::FieldStoreRef
            | O::ExtensionLoadRaw
            | O::ExtensionLoadRef
            | O::ExtensionStoreRaw
            | O::ExtensionStoreRef
            | O::StaticLoadRaw
            | O::StaticLoadRef
            | O::StaticStoreRaw
            | O::StaticStoreRef => self.variable(state, instruction),
            O::ArrayLength => {
                let class = Self::reference(state, b)?.class;
                self.hierarchy.element(class).map(drop).ok_or_else(|| {
                    format!("r{b} is {} here, an array is required", self.hierarchy.name(class))
                })
            }
            O::BufferNew => {
                Self::define_reference(state, a, ReferenceType::builtin(Builtin::ByteBuffer))
            }
            O::BufferLength => self.buffer(state, b),
            _ if instruction.opcode.info().literal == Literal::Offset => self.buffer(state, b),
            _ => match element_kind(instruction.opcode) {
                Some(kind) => self.element(state, instruction, kind),
                None => Ok(()),
            },
        }
    }

    fn buffer(&self, state: &State, register: u16) -> Result<(), String> {
        let class = ClassReference::builtin(Builtin::ByteBuffer);
        self.require_class(state, register, class).map(drop)
    }

    fn movement(&self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        let (a, b) = (instruction.a, instruction.b);
        match instruction.opcode {
            Opcode::MoveRaw => {
                let kind = Self::raw(state, b)?;
                Self::define_raw(state, a, kind)
            }
            Opcode::MoveRawIf => {
                let (kept, moved) = (Self::raw(state, a)?, Self::raw(state, b)?);
                if kept == moved {
                    Ok(())
                } else {
                    Err(format!("n{a} is {kept} and n{b} is {moved}; they must be alike"))
                }
            }
            Opcode::MoveRef => {
                let value = Self::reference(state, b)?;
                Self::define_reference(state, a, value)
            }
            Opcode::MoveRefIf => {
                let (kept, moved) = (Self::reference(state, a)?, Self::reference(state, b)?);
                let class = self.hierarchy.join(kept.class, moved.class)?;
                let nullable = kept.nullable || moved.nullable;
                Self::define_reference(state, a, ReferenceType { class, nullable })
            }
            Opcode::Null => Self::define_reference(state, a, ReferenceType::NULL),
            _ => {
                let value = Self::reference(state, b)?;
                Self::define_reference(state, a, ReferenceType { nullable: false, ..value })
            }
        }
    }

    fn constant(&self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        let module = self.hierarchy.module;
        let class = match instruction.opcode {
            Opcode::StringConst => {
                let index = usize::try_from(instruction.wide()).unwrap_or(usize::MAX);
                if module.strings.get(index).is_none() {
                    return Err(format!("there is no string {index}"));
                }
                ReferenceType::builtin(Builtin::String)
            }
            Opcode::FunctionConst => {
                let index = instruction.wide();
                if module.function_signature(index).is_none() {
                    return Err(format!("there is no function {index}"));
                }
                ReferenceType::builtin(Builtin::Function)
            }
            Opcode::ClosureNew => {
                let index = low_half(instruction.literal);
                let signature = module
                    .function_signature(index)
                    .ok_or_else(|| format!("there is no function {index}"))?;
                if signature.parameters.first() != Some(&ValueType::object(Builtin::Closure)) {
                    return Err(String::from(
                        "a closure's function takes the Closure as its first parameter",
                    ));
                }
                ReferenceType::builtin(Builtin::Closure)
            }
            _ => {
                let class = ClassReference::builtin(Builtin::Closure);
                self.require_class(state, instruction.b, class)?;
                ReferenceType { nullable: true, ..ReferenceType::builtin(Builtin::Object) }
            }
        };
        Self::define_reference(state, instruction.a, class)
    }

    fn by_class(&self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        let class = ClassReference(low_half(instruction.literal));
        let number = class.0;
        if !self.hierarchy.exists(class) {
            return Err(format!("there is no class {number}"));
        }
        let name = self.hierarchy.name(class);
        let nullable = match instruction.opcode {
            Opcode::InstanceOf => return Ok(()),
            Opcode::Cast => Self::reference(state, instruction.b)?.nullable,
            Opcode::ObjectNew if !self.hierarchy.is_constructible(class) => {
                return Err(format!("objects of {name} cannot be made by object.new"));
            }
            Opcode::ArrayNew if self.hierarchy.element(class).is_none() => {
                return Err(format!("{name} is not an array class"));
            }
            _ => false,
        };
        Self::define_reference(state, instruction.a, ReferenceType { class, nullable })
    }

    /// Fields, extension fields and static variables.
    fn variable(&self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        use Opcode as O;
        let (a, b, c) = (instruction.a, instruction.b, instruction.c);
        let opcode = instruction.opcode;
        let value = if matches!(
            opcode,
            O::StaticLoadRaw | O::StaticLoadRef | O::StaticStoreRaw | O::StaticStoreRef
        ) {
            let index = usize::try_from(instruction.wide()).unwrap_or(usize::MAX);
            let variable = self.hierarchy.module.statics.get(index);
            variable.ok_or_else(|| format!("there is no static variable {index}"))?.value
        } else {
            let class = Self::reference(state, b)?.class;
            let extension = matches!(
                opcode,
                O::ExtensionLoadRaw
                    | O::ExtensionLoadRef
                    | O::ExtensionStoreRaw
                    | O::ExtensionStoreRef
            );
            let found = if extension {
                self.hierarchy.extension_field(class, c)
            } else {
                self.hierarchy.field(class, c)
            };
            found.ok_or_else(|| format!("{} has no slot {c}", self.hierarchy.name(class)))?
        };
        let wants_reference = matches!(
            opcode,
            O::FieldLoadRef
                | O::FieldStoreRef
                | O::ExtensionLoadRef
                | O::ExtensionStoreRef
                | O::StaticLoadRef
                | O::StaticStoreRef
        );
        if value.is_reference() != wants_reference {
            return Err(format!(
                "the variable is {}, which is the other file of registers",
                self.hierarchy.describe(value)
            ));
        }
        match opcode {
            O::FieldStoreRaw | O::ExtensionStoreRaw | O::StaticStoreRaw => {
                let found = Self::raw(state, a)?.value();
                self.require_fits("value", Register::Raw(a), found, value)
            }
            O::FieldStoreRef | O::ExtensionStoreRef | O::StaticStoreRef => {
                let found = Self::reference(state, a)?.value();
                self.require_fits("value", Register::Reference(a), found, value)
            }
            O::ExtensionLoadRaw if is_narrow(value) && instruction.literal >> 32 != 0 => {
                Err(String::from("the default of a 32-bit field must have a zero upper half"))
            }
            _ => define_value(state, a, value),
        }
    }

    /// Array loads and stores. Raw kinds are the table's; here the array's class is checked.
    fn element(
        &self,
        state: &mut State,
        instruction: &Instruction,
        kind: ElementKind,
    ) -> Result<(), String> {
        let array = instruction.b;
        let class = Self::reference(state, array)?.class;
        let value = match self.hierarchy.element(class) {
            Some((found, value)) if found == kind => value,
            _ => {
                return Err(format!(
                    "r{array} is {} here, an array of {kind:?} is required",
                    self.hierarchy.name(class)
                ));
            }
        };
        match instruction.opcode {
            Opcode::ArrayLoadRef => define_value(state, instruction.a, value),
            Opcode::ArrayStoreRef => {
                let found = Self::reference(state, instruction.a)?.value();
                let register = Register::Reference(instruction.a);
                self.require_fits("value", register, found, value)
            }
            _ => Ok(()),
        }
    }
}

fn define_value(state: &mut State, register: u16, value: ValueType) -> Result<(), String> {
    match (RawKind::of(value), ReferenceType::of(value)) {
        (_, Some(reference)) => Flow::define_reference(state, register, reference),
        (Some(kind), None) => Flow::define_raw(state, register, kind),
        (None, None) => Ok(()),
    }
}

const fn is_narrow(value: ValueType) -> bool {
    matches!(value, ValueType::I32 | ValueType::F32)
}

/// Immediate divisors never throw at run time.
fn check_divisor(instruction: &Instruction) -> Result<(), String> {
    let divisor = Instruction::signed(instruction.c);
    let signed_division = matches!(instruction.opcode, Opcode::I32DivSImm | Opcode::I64DivSImm);
    if divisor == 0 || (divisor == -1 && signed_division) {
        return Err(format!("division by the immediate {divisor}"));
    }
    Ok(())
}

/// Which arrays an array operation reaches.
const fn element_kind(opcode: Opcode) -> Option<ElementKind> {
    Some(match opcode {
        Opcode::ArrayLoadU8 | Opcode::ArrayStoreU8 => ElementKind::U8,
        Opcode::ArrayLoadI16 | Opcode::ArrayStoreI16 => ElementKind::I16,
        Opcode::ArrayLoadI32 | Opcode::ArrayStoreI32 => ElementKind::I32,
        Opcode::ArrayLoadI64 | Opcode::ArrayStoreI64 => ElementKind::I64,
        Opcode::ArrayLoadF32 | Opcode::ArrayStoreF32 => ElementKind::F32,
        Opcode::ArrayLoadF64 | Opcode::ArrayStoreF64 => ElementKind::F64,
        Opcode::ArrayLoadRef | Opcode::ArrayStoreRef => ElementKind::Reference,
        _ => return None,
    })
}
