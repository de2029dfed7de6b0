//! Function items to function definitions: registers, labels, handlers, lines, and the plain form of instructions.
//!
//! Each line is turned into drafts, in which only window registers and labels are open; `finish` makes words of them when all
//! registers are known. Calls with arguments stand in `calls`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::classes::split_member;
use super::items::{FunctionItem, Name};
use super::lexer::{At, Kind, Token};
use super::names::{Builder, Names, number};
use super::operands::{
    RegisterText, float32, float64, immediate16, immediate32, immediate64, register, unsigned16,
};
use super::parser::Cursor;
use super::{AsmError, RegisterNames};
use crate::native::Native;
use crate::opcode::{Literal, Opcode, Operand};
use crate::types::{ClassReference, WindowSize};

/// A register field: known, or so far into the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Known(u16),
    WindowReference(u16),
    WindowRaw(u16),
}

/// The literal of a draft.
#[derive(Clone, Debug)]
pub(super) enum DraftLiteral {
    None,
    Word(u64),
    Labels(Vec<Name>),
}

/// An instruction that waits for its window and its labels.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) opcode: Opcode,
    pub(super) fields: [Slot; 3],
    pub(super) literal: DraftLiteral,
    pub(super) label: Option<Name>,
    pub(super) line: u32,
}

/// A handler whose places are labels.
pub(super) struct HandlerText {
    pub(super) class: ClassReference,
    pub(super) register: Slot,
    pub(super) places: [Name; 3],
}

/// One function being assembled.
pub(super) struct FunctionBuilder<'a> {
    pub(super) names: &'a Names,
    pub(super) builder: &'a mut Builder,
    pub(super) drafts: Vec<Draft>,
    /// For each label, the draft that follows it.
    pub(super) labels: BTreeMap<String, usize>,
    named: BTreeMap<String, (char, u16)>,
    pub(super) counts: WindowSize,
    pub(super) window: WindowSize,
    pub(super) declared: Option<WindowSize>,
    pub(super) handlers: Vec<HandlerText>,
    line: u32,
    /// Lines come from `.line`, not from the text.
    explicit_lines: bool,
}

/// Assembles a function into the module; returns the names of its registers.
pub(super) fn define(
    item: &FunctionItem,
    names: &Names,
    builder: &mut Builder,
) -> Result<RegisterNames, AsmError> {
    let signature = names.signature(&item.signature)?;
    let signature_index = builder.signature(&signature);
    let mut function = FunctionBuilder {
        names,
        builder,
        drafts: Vec::new(),
        labels: BTreeMap::new(),
        named: BTreeMap::new(),
        counts: WindowSize::default(),
        window: WindowSize::default(),
        declared: None,
        handlers: Vec::new(),
        line: item.name.at.line,
        explicit_lines: false,
    };
    for ((name, _), value) in item.signature.parameters.iter().zip(&signature.parameters) {
        let file = if value.is_reference() { 'r' } else { 'n' };
        let number = function.new_register(file);
        if let Some(name) = name {
            function.named.insert(name.text.clone(), (file, number));
        }
    }
    for line in &item.lines {
        function.line(Cursor::new(line.clone()))?;
    }
    let register_names = function
        .named
        .iter()
        .map(|(name, (file, number))| (format!("{file}{number}"), name.clone()))
        .collect();
    let definition = function.finish(item, signature_index)?;
    builder.module.functions.push(definition);
    Ok(register_names)
}

impl FunctionBuilder<'_> {
    fn new_register(&mut self, file: char) -> u16 {
        let count = if file == 'r' { &mut self.counts.references } else { &mut self.counts.raws };
        let number = *count;
        *count = count.saturating_add(1);
        number
    }

    fn line(&mut self, mut cursor: Cursor) -> Result<(), AsmError> {
        let at = cursor.peek().at;
        if !self.explicit_lines {
            self.line = at.line;
        }
        if cursor.accept_word(".line") {
            self.explicit_lines = true;
            self.line = cursor.number("a line number")?;
            return cursor.end_line();
        }
        if cursor.accept_word(".registers") {
            let references = cursor.number("a number of reference registers")?;
            let raws = cursor.number("a number of raw registers")?;
            self.declared = Some(WindowSize { references, raws });
            return cursor.end_line();
        }
        if cursor.accept_word("catch") {
            return self.catch(&mut cursor);
        }
        let word = cursor.name("an instruction or a label")?;
        if cursor.accept(':') {
            if self.labels.insert(word.text.clone(), self.drafts.len()).is_some() {
                return Err(word.at.error(format!("the label `{}` stands twice", word.text)));
            }
            return if cursor.is_empty() { Ok(()) } else { self.line(cursor) };
        }
        if self.short_form(&word, &mut cursor)? {
            return cursor.end_line();
        }
        let opcode = Opcode::from_mnemonic(&word.text)
            .ok_or_else(|| word.at.error(format!("there is no operation `{}`", word.text)))?;
        self.plain(opcode, &mut cursor)?;
        cursor.end_line()
    }

    /// `catch CLASS REGISTER from START to END at HANDLER`
    fn catch(&mut self, cursor: &mut Cursor) -> Result<(), AsmError> {
        let class = self.names.class(&cursor.name("a class of exceptions")?)?;
        let register = self.register('r', cursor)?;
        cursor.expect_word("from")?;
        let start = cursor.name("a label")?;
        cursor.expect_word("to")?;
        let end = cursor.name("a label")?;
        cursor.expect_word("at")?;
        let target = cursor.name("a label")?;
        self.handlers.push(HandlerText { class, register, places: [start, end, target] });
        cursor.end_line()
    }

    /// An instruction as the table describes it: fields a, b, c, then the literal.
    fn plain(&mut self, opcode: Opcode, cursor: &mut Cursor) -> Result<(), AsmError> {
        let info = opcode.info();
        let mut fields = [Slot::Known(0); 3];
        let mut label = None;
        let mut first = true;
        for (index, operand) in info.operands.into_iter().enumerate() {
            if matches!(operand, Operand::None | Operand::High | Operand::Count16) {
                continue;
            }
            if !core::mem::take(&mut first) {
                cursor.expect(',')?;
            }
            match operand {
                Operand::Displacement16 | Operand::Displacement32 => {
                    label = Some(cursor.name("a label")?);
                }
                _ => {
                    let (low, high) = self.field(opcode, operand, cursor)?;
                    set(&mut fields, index, low);
                    if let Some(high) = high {
                        set(&mut fields, index.saturating_add(1), Slot::Known(high));
                    }
                }
            }
        }
        let literal = self.literal(info.literal, cursor)?;
        if let DraftLiteral::Labels(labels) = &literal {
            set(&mut fields, 1, Slot::Known(u16::try_from(labels.len()).unwrap_or(u16::MAX)));
        }
        self.draft(opcode, fields, literal, label);
        Ok(())
    }

    /// One field; wide ones give their upper half too.
    fn field(
        &mut self,
        opcode: Opcode,
        operand: Operand,
        cursor: &mut Cursor,
    ) -> Result<(Slot, Option<u16>), AsmError> {
        let wide = match operand {
            Operand::DefRef | Operand::UseRef | Operand::UpdateRef | Operand::WindowRef => {
                return Ok((self.register('r', cursor)?, None));
            }
            Operand::Immediate16 => immediate16(&cursor.name("an integer")?)?.into(),
            Operand::Native => native(&cursor.name("a native operation")?)?.into(),
            Operand::Slot16 => self.slot(opcode, &cursor.name("CLASS.FIELD or a slot")?)?.into(),
            Operand::Immediate32 => {
                immediate32(&cursor.name("an integer")?, opcode != Opcode::I32Const)?
            }
            Operand::Float32 => float32(&cursor.name("a number")?)?,
            Operand::StringIndex => {
                let text = cursor.text()?;
                self.builder.string(&text)
            }
            Operand::StaticIndex => {
                self.names.static_variable(&cursor.name("a static variable")?)?
            }
            Operand::FunctionIndex => self.names.function(&cursor.name("a function")?)?.0,
            _ => return Ok((self.register('n', cursor)?, None)),
        };
        let (low, high) = halves(wide);
        let is_wide = opcode.info().operands.contains(&Operand::High);
        Ok((Slot::Known(low), is_wide.then_some(high)))
    }

    fn literal(&mut self, literal: Literal, cursor: &mut Cursor) -> Result<DraftLiteral, AsmError> {
        if literal == Literal::None {
            return Ok(DraftLiteral::None);
        }
        if literal == Literal::Table {
            let mut labels = Vec::new();
            while cursor.accept(',') {
                labels.push(cursor.name("a label")?);
            }
            return Ok(DraftLiteral::Labels(labels));
        }
        cursor.expect(',')?;
        let word = match literal {
            Literal::F64 => float64(&cursor.name("a number")?)?,
            Literal::Offset => {
                let name = cursor.name("an offset")?;
                immediate32(&name, false)?.into()
            }
            Literal::Function => self.names.function(&cursor.name("a function")?)?.0.into(),
            Literal::Class => self.names.class(&cursor.name("a class")?)?.0.into(),
            Literal::Signature => {
                let signature = if cursor.peek().kind == Kind::Mark('(') {
                    self.names.signature(&cursor.signature()?)?
                } else {
                    self.names.named_signature(&cursor.name("a signature")?)?.clone()
                };
                self.builder.signature(&signature).into()
            }
            Literal::VirtualMethod | Literal::InterfaceMethod => {
                let class = cursor.name("a class")?;
                cursor.expect(',')?;
                let method = cursor.name("a method")?;
                self.method(&class, &method.text, method.at)?.0
            }
            _ => immediate64(&cursor.name("an integer")?)?,
        };
        Ok(DraftLiteral::Word(word))
    }

    /// The literal for a method, by name or number, and its signature.
    pub(super) fn method(
        &self,
        class: &Name,
        method: &str,
        at: At,
    ) -> Result<(u64, crate::types::Signature), AsmError> {
        let reference = self.names.class(class)?;
        let members = self.names.members_of(reference);
        let by_name = members.methods.iter().position(|(name, _)| name == method);
        let place = by_name.or_else(|| method.parse().ok());
        let found = place.and_then(|place| Some((place, members.methods.get(place)?)));
        let Some((place, (_, signature))) = found else {
            return Err(at.error(format!("{} has no method `{method}`", class.text)));
        };
        let word = u64::from(reference.0) | u64::from(number(place)) << 32;
        Ok((word, signature.clone()))
    }

    /// A field's slot, by number or as `Class.field`.
    fn slot(&self, opcode: Opcode, name: &Name) -> Result<u16, AsmError> {
        let Some((class, field)) = split_member(name) else { return unsigned16(name) };
        let members = self.names.members_of(self.names.class(&class)?);
        let extension = matches!(
            opcode,
            Opcode::ExtensionLoadRaw
                | Opcode::ExtensionLoadRef
                | Opcode::ExtensionStoreRaw
                | Opcode::ExtensionStoreRef
        );
        let list = if extension { &members.extension_fields } else { &members.fields };
        // A subclass may use a name of its superclass again; its own is meant.
        let place = list.iter().rposition(|name| *name == field);
        let slot = place.and_then(|place| u16::try_from(place).ok());
        slot.ok_or_else(|| name.at.error(format!("{} has no field `{field}`", class.text)))
    }

    /// Takes a register of the file `r` or `n`.
    pub(super) fn register(&mut self, file: char, cursor: &mut Cursor) -> Result<Slot, AsmError> {
        let name =
            cursor.name(if file == 'r' { "a reference register" } else { "a raw register" })?;
        self.named_register(file, &name)
    }

    /// The register of this name; a new name gets a new register.
    pub(super) fn named_register(&mut self, file: char, name: &Name) -> Result<Slot, AsmError> {
        let wrong = || {
            let wanted = if file == 'r' { "a reference register" } else { "a raw register" };
            name.at.error(format!("expected {wanted}, `{}` is of the other file", name.text))
        };
        match register(name) {
            RegisterText::Window('r', _) | RegisterText::Fixed('r', _) if file != 'r' => {
                Err(wrong())
            }
            RegisterText::Window('n', _) | RegisterText::Fixed('n', _) if file != 'n' => {
                Err(wrong())
            }
            RegisterText::Window(_, number) => Ok(self.window_slot(file, number)),
            RegisterText::Fixed(_, number) => {
                if self.declared.is_none() {
                    let text =
                        "registers have numbers only in functions that begin with `.registers`";
                    return Err(name.at.error(text));
                }
                Ok(Slot::Known(number))
            }
            RegisterText::Named(text) => {
                if let Some((found, number)) = self.named.get(&text) {
                    return if *found == file { Ok(Slot::Known(*number)) } else { Err(wrong()) };
                }
                let first = text.chars().next();
                if self.declared.is_some()
                    || first.is_none_or(|first| !first.is_alphabetic() && first != '_')
                {
                    return Err(name.at.error(format!("`{text}` is not a register")));
                }
                let number = self.new_register(file);
                self.named.insert(text, (file, number));
                Ok(Slot::Known(number))
            }
        }
    }

    /// A register of the window, which grows to hold it.
    pub(super) fn window_slot(&mut self, file: char, number: u16) -> Slot {
        let size = number.saturating_add(1);
        if file == 'r' {
            self.window.references = self.window.references.max(size);
            Slot::WindowReference(number)
        } else {
            self.window.raws = self.window.raws.max(size);
            Slot::WindowRaw(number)
        }
    }

    /// Which file a register that is already known belongs to.
    pub(super) fn file_of(&self, name: &Name) -> Option<char> {
        match register(name) {
            RegisterText::Window(file, _) | RegisterText::Fixed(file, _) => Some(file),
            RegisterText::Named(text) => self.named.get(&text).map(|(file, _)| *file),
        }
    }

    /// Makes the window at least so large.
    pub(super) fn grow_window(&mut self, size: WindowSize) {
        self.window.references = self.window.references.max(size.references);
        self.window.raws = self.window.raws.max(size.raws);
    }

    /// Appends an instruction.
    pub(super) fn draft(
        &mut self,
        opcode: Opcode,
        fields: [Slot; 3],
        literal: DraftLiteral,
        label: Option<Name>,
    ) {
        self.drafts.push(Draft { opcode, fields, literal, label, line: self.line });
    }
}

fn set(fields: &mut [Slot; 3], index: usize, slot: Slot) {
    if let Some(field) = fields.get_mut(index) {
        *field = slot;
    }
}

/// Lower and upper half of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking 16 bits is the purpose")]
pub(super) const fn halves(wide: u32) -> (u16, u16) {
    (wide as u16, (wide >> 16) as u16)
}

/// The number of a native operation, by name or number.
fn native(name: &Name) -> Result<u16, AsmError> {
    match Native::from_name(&name.text) {
        Some(native) => Ok(native.number()),
        None => unsigned16(name)
            .map_err(|_| name.at.error(format!("there is no native operation `{}`", name.text))),
    }
}

/// Whether a token begins a plain call: a register, which names the window.
pub(super) fn names_window(token: &Token) -> bool {
    let Kind::Word(text) = &token.kind else { return false };
    let name = Name { at: token.at, text: text.clone() };
    !matches!(register(&name), RegisterText::Named(_))
}
