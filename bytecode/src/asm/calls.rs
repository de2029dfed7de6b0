//! Short forms: calls with arguments and results, `native`, `return` of several values, `i64.set`.
//!
//! A call with arguments moves them into the window, which stands above all named registers, calls, and moves results out. A call
//! without parentheses moves nothing: the program wrote `>n0`, `>r0` itself. Numbers, texts and `null` can be arguments.

use alloc::format;
use alloc::vec::Vec;

use super::AsmError;
use super::classes::split_member;
use super::function::{DraftLiteral, FunctionBuilder, Slot, halves, names_window};
use super::items::Name;
use super::lexer::Kind;
use super::operands::{float32, float64, immediate32, immediate64};
use super::parser::Cursor;
use crate::instruction::low_half;
use crate::native::Native;
use crate::opcode::Opcode;
use crate::types::{Signature, ValueType, WindowSize};

/// What is called: the opcode, field c, the literal, and what it takes and gives.
struct Callee {
    opcode: Opcode,
    c: Slot,
    literal: DraftLiteral,
    signature: Signature,
}

impl FunctionBuilder<'_> {
    /// Takes the rest of a line whose first word is a short form; false if it is none.
    pub(super) fn short_form(
        &mut self,
        word: &Name,
        cursor: &mut Cursor,
    ) -> Result<bool, AsmError> {
        match word.text.as_str() {
            "i64.set" => self.set_i64(cursor)?,
            "return" if !cursor.is_empty() => self.return_values(cursor)?,
            "call" | "call.virtual" | "call.interface" | "call.closure" | "call.indirect"
                if !names_window(cursor.peek()) =>
            {
                let callee = self.callee(word, cursor)?;
                self.call(word, callee, cursor)?;
            }
            "native" => {
                let name = cursor.name("a native operation")?;
                let native = Native::from_name(&name.text).ok_or_else(|| {
                    name.at.error(format!("there is no native operation `{}`", name.text))
                })?;
                let callee = Callee {
                    opcode: Opcode::CallNative,
                    c: Slot::Known(native.number()),
                    literal: DraftLiteral::None,
                    signature: Signature {
                        parameters: native.info().parameters.to_vec(),
                        results: native.info().results.to_vec(),
                    },
                };
                self.call(word, callee, cursor)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn callee(&mut self, word: &Name, cursor: &mut Cursor) -> Result<Callee, AsmError> {
        let name = cursor.name("what to call")?;
        let mut c = Slot::Known(0);
        let (opcode, literal, signature) = match word.text.as_str() {
            "call" => {
                let (index, signature) = self.names.function(&name)?.clone();
                (Opcode::Call, u64::from(index), signature)
            }
            "call.virtual" | "call.interface" => {
                let (class, method) =
                    split_member(&name).ok_or_else(|| name.at.error("expected CLASS.METHOD"))?;
                let (literal, signature) = self.method(&class, &method, name.at)?;
                let is_virtual = word.text == "call.virtual";
                let opcode = if is_virtual { Opcode::CallVirtual } else { Opcode::CallInterface };
                (opcode, literal, signature)
            }
            other => {
                let signature = self.names.named_signature(&name)?.clone();
                let literal = u64::from(self.builder.signature(&signature));
                let is_closure = other == "call.closure";
                if !is_closure {
                    cursor.expect('[')?;
                    c = self.register('r', cursor)?;
                    cursor.expect(']')?;
                }
                let opcode = if is_closure { Opcode::CallClosure } else { Opcode::CallIndirect };
                (opcode, literal, signature)
            }
        };
        Ok(Callee { opcode, c, literal: DraftLiteral::Word(literal), signature })
    }

    /// `(ARGUMENTS) -> RESULTS`, both optional.
    fn call(&mut self, word: &Name, callee: Callee, cursor: &mut Cursor) -> Result<(), AsmError> {
        let Callee { opcode, c, literal, signature } = callee;
        if cursor.accept('(') {
            self.arguments(&signature.parameters, cursor)?;
        }
        self.grow_window(WindowSize::of(&signature.parameters));
        self.grow_window(WindowSize::of(&signature.results));
        let window = [Slot::WindowReference(0), Slot::WindowRaw(0), c];
        self.draft(opcode, window, literal, None);
        if !cursor.accept('>') {
            return Ok(());
        }
        let (mut reference, mut raw) = (0_u16, 0_u16);
        for (index, result) in signature.results.iter().enumerate() {
            if index > 0 {
                cursor.expect(',')?;
            }
            let is_reference = result.is_reference();
            let next = if is_reference { &mut reference } else { &mut raw };
            let number = *next;
            *next = next.saturating_add(1);
            let name = cursor.name("a register, or `_`")?;
            if name.text == "_" {
                continue;
            }
            let file = if is_reference { 'r' } else { 'n' };
            let to = self.named_register(file, &name)?;
            let from = self.window_slot(file, number);
            self.movement(file, to, from);
        }
        if signature.results.is_empty() {
            return Err(word.at.error("the call has no results"));
        }
        Ok(())
    }

    /// Moves arguments into the window, up to the closing parenthesis.
    fn arguments(&mut self, types: &[ValueType], cursor: &mut Cursor) -> Result<(), AsmError> {
        let (mut reference, mut raw) = (0_u16, 0_u16);
        for (index, value) in types.iter().enumerate() {
            if index > 0 {
                cursor.expect(',')?;
            }
            let is_reference = value.is_reference();
            let (file, next) = if is_reference { ('r', &mut reference) } else { ('n', &mut raw) };
            let number = *next;
            *next = next.saturating_add(1);
            let to = self.window_slot(file, number);
            self.argument(*value, file, to, number, cursor)?;
        }
        if cursor.peek().kind != Kind::Mark(')') {
            return Err(cursor.expected(&format!("`)` after {} arguments", types.len())));
        }
        cursor.expect(')')
    }

    fn argument(
        &mut self,
        value: ValueType,
        file: char,
        to: Slot,
        number: u16,
        cursor: &mut Cursor,
    ) -> Result<(), AsmError> {
        let token = cursor.peek().clone();
        if let Kind::Text(text) = &token.kind {
            cursor.take();
            let (low, high) = halves(self.builder.string(text));
            let fields = [to, Slot::Known(low), Slot::Known(high)];
            self.draft(Opcode::StringConst, fields, DraftLiteral::None, None);
            return Ok(());
        }
        let name = cursor.name("an argument: a register, a number, a text or null")?;
        if name.text == "null" && file == 'r' {
            let fields = [to, Slot::Known(0), Slot::Known(0)];
            self.draft(Opcode::Null, fields, DraftLiteral::None, None);
            return Ok(());
        }
        let first = name.text.chars().find(|character| *character != '-');
        if first.is_some_and(|first| first.is_ascii_digit()) && file == 'n' {
            return self.number(value, to, &name);
        }
        let from = self.named_register(file, &name)?;
        // Earlier moves have overwritten the lower registers of the window.
        if let Slot::WindowReference(source) | Slot::WindowRaw(source) = from
            && source < number
        {
            return Err(name
                .at
                .error(format!("`{}` has been overwritten by an argument before it", name.text)));
        }
        self.movement(file, to, from);
        Ok(())
    }

    /// A number into a raw register of the kind.
    fn number(&mut self, value: ValueType, to: Slot, name: &Name) -> Result<(), AsmError> {
        match value {
            ValueType::I64 => self.set_register(to, immediate64(name)?),
            ValueType::F64 => {
                let literal = DraftLiteral::Word(float64(name)?);
                let fields = [to, Slot::Known(0), Slot::Known(0)];
                self.draft(Opcode::F64Const, fields, literal, None);
            }
            ValueType::I32 | ValueType::F32 => {
                let narrow = value == ValueType::I32;
                let opcode = if narrow { Opcode::I32Const } else { Opcode::F32Const };
                let bits = if narrow { immediate32(name, false)? } else { float32(name)? };
                let (low, high) = halves(bits);
                let fields = [to, Slot::Known(low), Slot::Known(high)];
                self.draft(opcode, fields, DraftLiteral::None, None);
            }
            ValueType::Reference { .. } => {}
        }
        Ok(())
    }

    /// `i64.set REGISTER, INTEGER`: the shorter of the two constant forms.
    fn set_i64(&mut self, cursor: &mut Cursor) -> Result<(), AsmError> {
        let to = self.register('n', cursor)?;
        cursor.expect(',')?;
        let value = immediate64(&cursor.name("an integer")?)?;
        self.set_register(to, value);
        Ok(())
    }

    fn set_register(&mut self, to: Slot, value: u64) {
        if i32::try_from(value.cast_signed()).is_ok() {
            let (low, high) = halves(low_half(value));
            let fields = [to, Slot::Known(low), Slot::Known(high)];
            self.draft(Opcode::I64ConstShort, fields, DraftLiteral::None, None);
        } else {
            let fields = [to, Slot::Known(0), Slot::Known(0)];
            self.draft(Opcode::I64Const, fields, DraftLiteral::Word(value), None);
        }
    }

    fn movement(&mut self, file: char, to: Slot, from: Slot) {
        if to != from {
            let opcode = if file == 'r' { Opcode::MoveRef } else { Opcode::MoveRaw };
            self.draft(opcode, [to, from, Slot::Known(0)], DraftLiteral::None, None);
        }
    }

    /// `return X, Y`: one value at once, several by way of the window.
    fn return_values(&mut self, cursor: &mut Cursor) -> Result<(), AsmError> {
        let mut values = Vec::new();
        loop {
            let name = cursor.name("a register")?;
            let file = self
                .file_of(&name)
                .ok_or_else(|| name.at.error(format!("`{}` has no value yet", name.text)))?;
            values.push((file, self.named_register(file, &name)?));
            if !cursor.accept(',') {
                break;
            }
        }
        let zero = Slot::Known(0);
        if let [(file, value)] = values.as_slice() {
            let opcode = if *file == 'r' { Opcode::ReturnRef } else { Opcode::ReturnRaw };
            self.draft(opcode, [*value, zero, zero], DraftLiteral::None, None);
            return Ok(());
        }
        let (mut reference, mut raw) = (0_u16, 0_u16);
        for (file, value) in values {
            let next = if file == 'r' { &mut reference } else { &mut raw };
            let number = *next;
            *next = next.saturating_add(1);
            let to = self.window_slot(file, number);
            self.movement(file, to, value);
        }
        let fields = [Slot::WindowReference(0), Slot::WindowRaw(0), zero];
        self.draft(Opcode::ReturnMany, fields, DraftLiteral::None, None);
        Ok(())
    }
}
