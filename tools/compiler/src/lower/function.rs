//! A function's registers and variables: what is in scope, and which registers are free.
//!
//! Registers are handed out like a stack, one for each file: parameters and variables from below, intermediate values above them. A
//! call's window begins at the top, so arguments are computed where the callee finds them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Opcode, RAW_REGISTERS_MAX, REFERENCE_REGISTERS_MAX};

use super::expression::Value;
use super::facts::Facts;
use super::resolve::Bindings;
use super::{Global, Lowering};
use crate::ast::Name;
use crate::diagnostic::Span;
use crate::emit::{Emitter, Label};
use crate::types::Type;

/// Registers in use, of each file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tops {
    pub(super) references: u16,
    pub(super) raws: u16,
}

/// A variable of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local<'s> {
    pub(super) name: &'s str,
    pub(super) kind: Type,
    pub(super) register: u16,
    pub(super) constant: bool,
    /// Whether the register holds a box with the variable in it, because a function without a name shares it.
    pub(super) boxed: bool,
    /// Unlike any other of the function, for what is known about it.
    pub(super) number: u32,
}

/// What `break` and `continue` mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jumps {
    pub(super) end: Label,
    /// None in a `switch`, which `continue` looks through.
    pub(super) again: Option<Label>,
}

/// The function that is being walked.
#[derive(Debug)]
pub(super) struct Body<'s> {
    pub(super) emitter: Emitter,
    pub(super) result: Type,
    pub(super) tops: Tops,
    /// The most that were ever in use.
    pub(super) most: Tops,
    pub(super) locals: Vec<Local<'s>>,
    /// Where the innermost scope begins in `locals`.
    pub(super) scope: usize,
    pub(super) jumps: Vec<Jumps>,
    /// The class that the function belongs to, and the class of `this`, which is in the first register.
    pub(super) class: Option<ClassReference>,
    pub(super) this: Option<ClassReference>,
    pub(super) this_register: u16,
    /// Names of variables that functions without names share with their surroundings while someone assigns to them.
    pub(super) shared: Rc<BTreeSet<&'s str>>,
    /// Whether the type of the result is that of the first value returned.
    pub(super) infers: bool,
    pub(super) bindings: Bindings<'s>,
    /// The number of the file in which the text stands.
    pub(super) file: u16,
    pub(super) constructor: bool,
    pub(super) facts: Facts<'s>,
    pub(super) label_facts: BTreeMap<Label, Facts<'s>>,
    /// Where an index that is out of bounds leads, for each line.
    pub(super) failures: BTreeMap<u32, Label>,
    /// The `finally` blocks that stand around, from outside in.
    pub(super) finals: Vec<super::exception::Final>,
    /// How many handlers cover the place.
    pub(super) handlers: usize,
    /// Where the chains of `?.` that are being walked end.
    pub(super) chains: Vec<Label>,
    pub(super) numbers: u32,
    /// Lists whose parts were looked up before a loop.
    pub(super) hoisted: Vec<super::hoist::Hoisted>,
}

impl Default for Body<'_> {
    fn default() -> Self {
        Self {
            emitter: Emitter::default(),
            result: Type::Void,
            tops: Tops::default(),
            most: Tops::default(),
            locals: Vec::new(),
            scope: 0,
            jumps: Vec::new(),
            class: None,
            this: None,
            this_register: 0,
            shared: Rc::default(),
            infers: false,
            bindings: Bindings::default(),
            file: 0,
            constructor: false,
            facts: Facts::default(),
            label_facts: BTreeMap::new(),
            failures: BTreeMap::new(),
            finals: Vec::new(),
            handlers: 0,
            chains: Vec::new(),
            numbers: 0,
            hoisted: Vec::new(),
        }
    }
}

impl<'s> Body<'s> {
    /// Whether the text is the library's.
    pub(super) const fn is_library(&self) -> bool {
        self.file == 0
    }

    /// Reads types with these bindings, as in this file; what was before is to be given back.
    pub(super) fn enter(&mut self, bindings: Bindings<'s>, file: u16) -> (Bindings<'s>, u16) {
        let outer = core::mem::replace(&mut self.bindings, bindings);
        (outer, core::mem::replace(&mut self.file, file))
    }

    pub(super) fn leave(&mut self, (bindings, file): (Bindings<'s>, u16)) {
        self.bindings = bindings;
        self.file = file;
    }

    /// A variable of the surroundings, which stands in this register or in the box there.
    pub(super) fn declare_captured(
        &mut self,
        name: &'s str,
        kind: Type,
        register: u16,
        [boxed, constant]: [bool; 2],
    ) {
        let number = self.numbers;
        self.numbers = number.wrapping_add(1);
        self.locals.push(Local { name, kind, register, constant, boxed, number });
    }

    /// A name that has a type as long as someone looks at types only.
    pub(super) fn declare_looked_at(&mut self, name: &'s str, kind: Type) {
        let number = u32::MAX;
        let (register, constant, boxed) = (0, true, false);
        self.locals.push(Local { name, kind, register, constant, boxed, number });
    }

    /// Where an index that is out of bounds leads.
    pub(super) fn failure(&mut self) -> Label {
        let emitter = &mut self.emitter;
        *self.failures.entry(emitter.current_line()).or_insert_with(|| emitter.label())
    }

    /// A register for a value of this type.
    pub(super) fn allocate(&mut self, kind: Type) -> u16 {
        let top = if kind.is_reference() { &mut self.tops.references } else { &mut self.tops.raws };
        let register = *top;
        *top = top.saturating_add(1);
        self.reserve(self.tops, 0, 0);
        register
    }

    /// Sees to it that a window of this size fits above `from`.
    pub(super) fn reserve(&mut self, from: Tops, references: u16, raws: u16) {
        self.most.references = self.most.references.max(from.references.saturating_add(references));
        self.most.raws = self.most.raws.max(from.raws.saturating_add(raws));
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.most.references > REFERENCE_REGISTERS_MAX || self.most.raws > RAW_REGISTERS_MAX
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Local { kind: Type, register: u16, constant: bool, boxed: bool },
    Global(Global),
}

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn declare_local(
        &mut self,
        name: Name<'s>,
        kind: Type,
        register: u16,
        constant: bool,
    ) {
        let scope = self.body.locals.get(self.body.scope..).unwrap_or_default();
        if scope.iter().any(|local| local.name == name.text) {
            let message = format!("there is a `{}` already", name.text);
            self.diagnostics.error(name.span, message, "a second one in the same block");
        }
        if self.names_space(name.text) {
            let message = format!("`{}` is what another file has", name.text);
            let help = "give the variable another name, or the import";
            self.diagnostics.error_with_help(name.span, message, "a second one", help);
        }
        let number = self.body.numbers;
        self.body.numbers = number.wrapping_add(1);
        let boxed = self.body.shared.contains(name.text);
        let register = if boxed { self.boxed(kind, register) } else { register };
        let name = name.text;
        self.body.locals.push(Local { name, kind, register, constant, boxed, number });
    }

    /// Walks something in a scope of its own.
    pub(super) fn in_scope(&mut self, walk: impl FnOnce(&mut Self)) {
        let (tops, outer, locals) = (self.body.tops, self.body.scope, self.body.locals.len());
        self.body.scope = locals;
        walk(self);
        self.body.locals.truncate(locals);
        self.body.scope = outer;
        self.body.tops = tops;
    }

    pub(super) fn find(&mut self, name: &str, span: Span) -> Option<Found> {
        if let Some(local) = self.body.locals.iter().rev().find(|local| local.name == name) {
            let Local { kind, register, constant, boxed, .. } = *local;
            return Some(Found::Local { kind, register, constant, boxed });
        }
        if let Some(global) = self.global(name) {
            return Some(Found::Global(global));
        }
        if super::library::is_known(name) {
            let message = format!("`{name}` belongs to the library and is no value");
            let help = "a function of it is called in one of your own: `(x: i64) => sleep(x)`";
            self.diagnostics.error_with_help(span, message, "not called", help);
        } else if self.names_space(name) {
            let message = format!("`{name}` is what a file has, and no value");
            let help = format!("write `{name}.` and the name of something in it");
            self.diagnostics.error_with_help(span, message, "of what?", help);
        } else if self.function_place(name).is_some() {
            let message = format!("`{name}` is a function and stays the same");
            self.diagnostics.error(span, message, "is no variable");
        } else {
            let message = format!("there is no `{name}` here");
            self.diagnostics.error(span, message, "not known");
        }
        None
    }

    pub(super) fn load_global(&mut self, global: Global) -> Value {
        if self.is_foreign(global) {
            return self.load_foreign(global);
        }
        let target = self.target(global.kind, None);
        let reference = global.kind.is_reference();
        let opcode = if reference { Opcode::StaticLoadRef } else { Opcode::StaticLoadRaw };
        self.body.emitter.emit_wide(opcode, target.register, global.index);
        self.prove(target);
        target
    }

    /// A value in a register of its own, which nothing assigns to.
    pub(super) fn keep(&mut self, value: Value) -> Value {
        let register = self.body.allocate(value.kind);
        self.move_to(value.kind, register, value.register);
        Value { kind: value.kind, register }
    }

    pub(super) fn refuse_uninitialized(&mut self, name: Name<'s>) {
        let message = format!("`{}` has no value to begin with", name.text);
        let help = format!("write `let {}: i32 = 0`, for instance", name.text);
        self.diagnostics.error_with_help(name.span, message, "no value", help);
    }

    pub(super) fn move_to(&mut self, kind: Type, to: u16, from: u16) {
        if to != from {
            let opcode = if kind.is_reference() { Opcode::MoveRef } else { Opcode::MoveRaw };
            self.body.emitter.emit(opcode, to, from, 0);
        }
    }

    pub(super) fn store_global(&mut self, global: Global, register: u16) {
        if self.is_foreign(global) {
            return self.store_foreign(global, register);
        }
        let opcode = if global.kind.is_reference() {
            Opcode::StaticStoreRef
        } else {
            Opcode::StaticStoreRaw
        };
        self.body.emitter.emit_wide(opcode, register, global.index);
    }
}
