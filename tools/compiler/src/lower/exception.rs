//! Exceptions: `throw`, `try`, `catch`, `finally`.
//!
//! A `finally` is there once. Whoever leaves the `try` (by its end, an exception, `return`, `break`, `continue`) notes in a register why, and
//! goes on from there when it is done.

use alloc::vec::Vec;

use revenant_bytecode::{Builtin, ClassReference, HANDLERS_NESTED_MAX, Native, Opcode};

use super::Lowering;
use super::expression::Value;
use crate::ast::{Expression, Statement, Try};
use crate::diagnostic::Span;
use crate::emit::Label;
use crate::types::{Referent, Type};

const ERROR: Type = Type::Object(Referent::Class(ClassReference::builtin(Builtin::Exception)));

/// A way out of statements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exit {
    /// Out of the loop or `switch` with this place among the jumps.
    Break(usize),
    Continue(usize),
    /// With the register of the value, if there is one.
    Return(Option<u16>, Span),
}

/// A `finally` block that stands around.
#[derive(Debug)]
pub(super) struct Final {
    begin: Label,
    /// How many loops stand around it.
    depth: usize,
    /// The register that says why, and the one for what is returned.
    why: u16,
    result: u16,
    /// Ways out through it: number `n` is reason `FIRST + n`.
    exits: Vec<Exit>,
}

/// Reasons to come to a `finally`.
const ENDED: u32 = 0;
const THROWN: u16 = 1;
const FIRST: u16 = 2;

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn throw(&mut self, value: &Expression<'s>) {
        let tops = self.body.tops;
        let value = self.coerced(value, ERROR, None);
        self.body.emitter.emit(Opcode::Throw, value.register, 0, 0);
        self.body.tops = tops;
    }

    pub(super) fn attempt(&mut self, parts: &Try<'s>, span: Span) {
        self.body.handlers += 2;
        if self.body.handlers > HANDLERS_NESTED_MAX {
            let help = "make a part of it a function";
            let message = "too many `try` stand in each other";
            self.diagnostics.error_with_help(span, message, "one too many", help);
        }
        self.in_scope(|this| {
            this.restore_nulls();
            match &parts.last {
                Some(last) => this.attempt_finally(parts, last),
                None => this.attempt_catch(parts),
            }
        });
        self.body.handlers -= 2;
    }

    /// `try` and `catch`, without what comes last.
    fn attempt_catch(&mut self, parts: &Try<'s>) {
        let caught = self.body.allocate(ERROR);
        let (handle, end) = (self.body.emitter.label(), self.body.emitter.label());
        let before = self.body.facts.clone();
        let start = self.body.emitter.place();
        self.covered(|this| this.in_scope(|this| this.statements(&parts.body)));
        let Some((name, handler)) = &parts.handler else { return };
        let class = ClassReference::builtin(Builtin::Exception);
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.emitter.handler(start, handle, class, caught);
        self.body.bind(handle);
        // Anything that the body assigns to may have been assigned to, or not yet.
        self.body.facts = before;
        self.forget_assigned(core::iter::empty(), &parts.body.iter().collect::<Vec<_>>());
        self.in_scope(|this| {
            if let Some(name) = name {
                this.declare_local(*name, ERROR, caught, true);
            }
            this.statements(handler);
        });
        self.body.bind(end);
    }

    /// Walks what a handler covers. Indices that are out of bounds there are noticed there, and not at the end of the function.
    fn covered(&mut self, walk: impl FnOnce(&mut Self)) {
        let outer = core::mem::take(&mut self.body.failures);
        walk(self);
        if !self.body.failures.is_empty() {
            let past = self.body.emitter.label();
            let facts = self.body.facts.clone();
            let reached = self.body.emitter.is_reachable();
            let line = self.body.emitter.current_line();
            self.body.emitter.branch(Opcode::Jump, 0, 0, past);
            self.failures();
            self.body.emitter.line(line);
            if reached {
                self.body.emitter.bind(past);
            }
            self.body.facts = facts;
        }
        self.body.failures = outer;
    }

    fn attempt_finally(&mut self, parts: &Try<'s>, last: &[Statement<'s>]) {
        let result = self.body.result;
        let why = self.body.allocate(Type::I32);
        let thrown = self.body.allocate(ERROR);
        let kept = match result.value() {
            Some(_) => self.empty(Some(result), None).register,
            None => 0,
        };
        let emitter = &mut self.body.emitter;
        emitter.emit_wide(Opcode::I32Const, why, ENDED);
        emitter.emit(Opcode::Null, thrown, 0, 0);
        let (begin, handle) = (emitter.label(), emitter.label());
        let before = self.body.facts.clone();
        let depth = self.body.jumps.len();
        let exits = Vec::new();
        self.body.finals.push(Final { begin, depth, why, result: kept, exits });
        let start = self.body.emitter.place();
        self.covered(|this| this.attempt_catch(parts));
        let ends = self.body.emitter.is_reachable();
        self.body.branch(Opcode::Jump, 0, 0, begin);
        let class = ClassReference::builtin(Builtin::Exception);
        self.body.emitter.handler(start, handle, class, thrown);
        let exits = self.body.finals.pop().map(|last| last.exits).unwrap_or_default();
        self.body.bind(handle);
        self.body.facts = before;
        let handler = parts.handler.iter().flat_map(|(_, handler)| handler);
        let walked: Vec<&Statement<'s>> = parts.body.iter().chain(handler).collect();
        self.forget_assigned(core::iter::empty(), &walked);
        self.body.emitter.emit_wide(Opcode::I32Const, why, THROWN.into());
        self.body.bind(begin);
        self.in_scope(|this| this.statements(last));
        let past = self.body.emitter.label();
        if ends || !exits.is_empty() {
            self.body.branch(Opcode::I32BranchNeImm, why, THROWN, past);
        }
        self.body.emitter.emit(Opcode::Throw, thrown, 0, 0);
        self.body.bind(past);
        let mut left = exits.len();
        for (reason, exit) in (FIRST..).zip(exits) {
            left -= 1;
            let past = self.body.emitter.label();
            // Where the end is never reached, the last of the reasons is the only one that is left.
            if ends || left > 0 {
                self.body.branch(Opcode::I32BranchNeImm, why, reason, past);
            }
            if let Exit::Return(Some(_), _) = exit {
                self.prove(Value { kind: result, register: kept });
            }
            self.leave(exit);
            self.body.bind(past);
        }
    }

    /// Goes a way out, through the innermost `finally` that it crosses.
    pub(super) fn leave(&mut self, exit: Exit) {
        let crossed = self.body.finals.last_mut().filter(|last| match exit {
            Exit::Break(place) | Exit::Continue(place) => place < last.depth,
            Exit::Return(..) => true,
        });
        let Some(last) = crossed else { return self.leave_directly(exit) };
        let reason = u32::try_from(last.exits.len()).unwrap_or(u32::MAX);
        let (why, begin, kept) = (last.why, last.begin, last.result);
        last.exits.push(match exit {
            Exit::Return(Some(_), span) => Exit::Return(Some(kept), span),
            other => other,
        });
        if let Exit::Return(Some(register), _) = exit {
            self.move_to(self.body.result, kept, register);
        }
        let reason = reason.saturating_add(FIRST.into());
        self.body.emitter.emit_wide(Opcode::I32Const, why, reason);
        self.body.branch(Opcode::Jump, 0, 0, begin);
    }

    fn leave_directly(&mut self, exit: Exit) {
        let jumps = |place: usize| self.body.jumps.get(place).copied();
        match exit {
            Exit::Break(place) => {
                if let Some(jumps) = jumps(place) {
                    self.body.branch(Opcode::Jump, 0, 0, jumps.end);
                }
            }
            Exit::Continue(place) => {
                if let Some(again) = jumps(place).and_then(|jumps| jumps.again) {
                    self.body.branch(Opcode::Jump, 0, 0, again);
                }
            }
            Exit::Return(_, span) if self.body.constructor => self.constructor_end(span),
            Exit::Return(None, _) => self.body.emitter.emit(Opcode::Return, 0, 0, 0),
            Exit::Return(Some(register), _) => {
                let reference = self.body.result.is_reference();
                let opcode = if reference { Opcode::ReturnRef } else { Opcode::ReturnRaw };
                self.body.emitter.emit(opcode, register, 0, 0);
            }
        }
    }

    /// Class, message, causes and trace of an exception, as a text in the next register.
    pub(super) fn describe(&mut self, value: Value) {
        let window = self.body.tops;
        let slot = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::NullCheck, slot, value.register, 0);
        self.native(Native::ExceptionDescribe, window);
    }

    /// The message of an exception: the machine's own have none.
    pub(super) fn message(&mut self, object: u16, want: Option<u16>) -> Value {
        let target = self.target(Type::TEXT, want);
        let there = self.body.emitter.label();
        let empty = self.string("");
        self.body.emitter.emit(Opcode::FieldLoadRef, target.register, object, 0);
        self.body.branch(Opcode::BranchNonNull, target.register, 0, there);
        self.body.emitter.emit_wide(Opcode::StringConst, target.register, empty);
        self.body.bind(there);
        target
    }

    pub(super) fn is_exception(&self, class: ClassReference) -> bool {
        self.is_below(class, ClassReference::builtin(Builtin::Exception))
    }
}
