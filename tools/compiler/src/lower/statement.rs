//! Statements to instructions: branches, loops with their test below, `switch`, and what each scope declares.

use alloc::format;

use revenant_bytecode::Opcode;

use super::Lowering;
use super::exception::Exit;
use super::function::Jumps;
use crate::ast::{Case, Expression, ExpressionKind, For, Statement, StatementKind, Variable};
use crate::diagnostic::Span;
use crate::types::Type;

impl<'s> Lowering<'_, 's, '_> {
    pub(super) fn statements(&mut self, list: &[Statement<'s>]) {
        for statement in list {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Statement<'s>) {
        self.mark_line(statement.span);
        match &statement.kind {
            StatementKind::Empty => {}
            StatementKind::Block(list) => self.in_scope(|this| this.statements(list)),
            StatementKind::Variables(list) => {
                for variable in list {
                    self.local(variable);
                }
            }
            StatementKind::Expression(value) => self.effect(value),
            StatementKind::If(condition, then, other) => {
                self.branch(condition, then, other.as_deref())
            }
            StatementKind::While(condition, body) => self.while_loop(condition, body),
            StatementKind::DoWhile(body, condition) => self.do_loop(body, condition),
            StatementKind::For(parts) => self.in_scope(|this| this.for_loop(parts)),
            StatementKind::ForOf(parts) => self.in_scope(|this| this.for_of(parts)),
            StatementKind::Switch(subject, cases) => {
                self.in_scope(|this| this.switch(subject, cases))
            }
            StatementKind::Return(value) => self.return_value(value.as_ref(), statement.span),
            StatementKind::Break => self.jump(statement.span, true),
            StatementKind::Continue => self.jump(statement.span, false),
            StatementKind::Throw(value) => self.throw(value),
            StatementKind::Try(parts) => self.attempt(parts, statement.span),
        }
    }

    fn local(&mut self, variable: &Variable<'s>) {
        let Some(value) = &variable.value else {
            self.refuse_uninitialized(variable.name);
            let kind = variable.declared.as_ref().map_or(Type::Mistake, |name| self.declared(name));
            let register = self.body.allocate(kind);
            self.declare_local(variable.name, kind, register, false);
            return;
        };
        let tops = self.body.tops;
        let mut given = None;
        let value = match &variable.declared {
            Some(declared) => {
                let kind = self.declared(declared);
                let (value, found) = self.coerced_from(value, kind, None);
                given = Some(found);
                value
            }
            None => self.expression(value, None, None),
        };
        if value.kind == Type::Void {
            let message =
                format!("`{}` would have no value: what stands here has none", variable.name.text);
            self.diagnostics.error(variable.name.span, message, "is void");
        }
        self.body.tops = tops;
        let mut kind = value.kind;
        if kind == Type::Null {
            let message = format!("the type of `{}` is not to be seen", variable.name.text);
            let help = "write it: `let node: Node | null = null`";
            self.diagnostics.error_with_help(variable.name.span, message, "null of what?", help);
            kind = Type::Mistake;
        }
        let register = self.body.allocate(kind);
        self.move_to(kind, register, value.register);
        self.declare_local(variable.name, kind, register, variable.constant);
        if let Some(given) = given {
            let place = Expression {
                span: variable.name.span,
                kind: ExpressionKind::Name(variable.name.text),
            };
            self.learn_assigned(&place, kind, given);
        }
    }

    /// Evaluates for what it does; the value is not wanted.
    pub(super) fn effect(&mut self, value: &Expression<'s>) {
        let tops = self.body.tops;
        match &value.kind {
            ExpressionKind::Update(operator, target, _) => {
                self.update(*operator, target, false, value.span);
            }
            ExpressionKind::Call(..)
            | ExpressionKind::Assign(..)
            | ExpressionKind::New(..)
            | ExpressionKind::Mistake => {
                self.expression(value, None, None);
            }
            ExpressionKind::Chain(inner) if matches!(inner.kind, ExpressionKind::Call(..)) => {
                self.chain_effect(inner);
            }
            _ => {
                self.expression(value, None, None);
                let message = "this computes a value that nothing uses";
                self.diagnostics.error_with_help(
                    value.span,
                    message,
                    "no effect",
                    "leave it out, or assign it",
                );
            }
        }
        self.body.tops = tops;
    }

    fn branch(
        &mut self,
        condition: &Expression<'s>,
        then: &Statement<'s>,
        other: Option<&Statement<'s>>,
    ) {
        let otherwise = self.body.emitter.label();
        self.condition(condition, false, otherwise);
        self.in_scope(|this| this.statement(then));
        let Some(other) = other else {
            self.body.bind(otherwise);
            return;
        };
        let end = self.body.emitter.label();
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(otherwise);
        self.in_scope(|this| this.statement(other));
        self.body.bind(end);
    }

    /// The body of a loop. Its condition is tested below, so that a round has one branch.
    pub(super) fn round(&mut self, body: &Statement<'s>, jumps: Jumps) {
        self.body.jumps.push(jumps);
        self.in_scope(|this| this.statement(body));
        self.body.jumps.pop();
    }

    fn while_loop(&mut self, condition: &Expression<'s>, body: &Statement<'s>) {
        let emitter = &mut self.body.emitter;
        let (top, again, end) = (emitter.label(), emitter.label(), emitter.label());
        self.forget_assigned(core::iter::once(condition), &[body]);
        let (tops, at_hand) = (self.body.tops, self.hoist(core::iter::once(condition), body));
        self.condition(condition, false, end);
        self.body.bind(top);
        self.round(body, Jumps { end, again: Some(again) });
        self.body.bind(again);
        self.mark_line(condition.span);
        self.condition(condition, true, top);
        self.body.hoisted.truncate(at_hand);
        self.body.tops = tops;
        self.body.bind(end);
    }

    fn do_loop(&mut self, body: &Statement<'s>, condition: &Expression<'s>) {
        let emitter = &mut self.body.emitter;
        let (top, again, end) = (emitter.label(), emitter.label(), emitter.label());
        self.forget_assigned(core::iter::once(condition), &[body]);
        let (tops, at_hand) = (self.body.tops, self.hoist(core::iter::once(condition), body));
        self.body.bind(top);
        self.round(body, Jumps { end, again: Some(again) });
        self.body.bind(again);
        self.mark_line(condition.span);
        self.condition(condition, true, top);
        self.body.hoisted.truncate(at_hand);
        self.body.tops = tops;
        self.body.bind(end);
    }

    fn for_loop(&mut self, parts: &For<'s>) {
        self.statement(&parts.start);
        let emitter = &mut self.body.emitter;
        let (top, again, end) = (emitter.label(), emitter.label(), emitter.label());
        self.forget_assigned(parts.condition.iter().chain(&parts.step), &[&parts.body]);
        let at_hand = self.hoist(parts.condition.iter().chain(&parts.step), &parts.body);
        if let Some(condition) = &parts.condition {
            self.condition(condition, false, end);
        }
        self.body.bind(top);
        self.round(&parts.body, Jumps { end, again: Some(again) });
        self.body.bind(again);
        self.fresh_boxes(&parts.start);
        if let Some(step) = &parts.step {
            self.mark_line(step.span);
            self.effect(step);
        }
        match &parts.condition {
            Some(condition) => self.condition(condition, true, top),
            None => self.body.branch(Opcode::Jump, 0, 0, top),
        }
        self.body.hoisted.truncate(at_hand);
        self.body.bind(end);
    }

    /// Tests in the order of the cases, then the bodies in the same order, each falling into the next.
    fn switch(&mut self, subject: &Expression<'s>, cases: &[Case<'s>]) {
        let value = self.expression(subject, None, None);
        let tops = self.body.tops;
        let register = self.body.allocate(value.kind);
        self.move_to(value.kind, register, value.register);
        let held = super::expression::Value { kind: value.kind, register };
        let end = self.body.emitter.label();
        let mut default = end;
        let mut labels = alloc::vec::Vec::new();
        for case in cases {
            let label = self.body.emitter.label();
            labels.push(label);
            match &case.value {
                Some(value) => self.branch_if_equal(held, value, label),
                None if default == end => default = label,
                None => {
                    let message = "this `switch` has two defaults";
                    self.diagnostics.error(subject.span, message, "here");
                }
            }
        }
        self.body.branch(Opcode::Jump, 0, 0, default);
        self.body.jumps.push(Jumps { end, again: None });
        for (case, label) in cases.iter().zip(labels) {
            self.body.bind(label);
            self.in_scope(|this| this.statements(&case.body));
        }
        self.body.jumps.pop();
        self.body.bind(end);
        self.body.tops = tops;
    }

    fn jump(&mut self, span: Span, end: bool) {
        let place = if end {
            self.body.jumps.len().checked_sub(1)
        } else {
            self.body.jumps.iter().rposition(|jumps| jumps.again.is_some())
        };
        match place {
            Some(place) => self.leave(if end { Exit::Break(place) } else { Exit::Continue(place) }),
            None => {
                self.diagnostics.error(span, "this stands in no loop", "where should it go on?")
            }
        }
    }

    pub(super) fn return_value(&mut self, value: Option<&Expression<'s>>, span: Span) {
        let expected = self.body.result;
        let tops = self.body.tops;
        match value {
            None if self.body.constructor || matches!(expected, Type::Void | Type::Mistake) => {
                self.leave(Exit::Return(None, span));
            }
            None => {
                let message =
                    format!("this function returns a value of type `{}`", self.show(expected));
                self.diagnostics.error(span, message, "returns none");
            }
            Some(value) if self.body.infers => {
                let value = self.expression(value, None, None);
                self.body.infers = false;
                self.body.result = value.kind;
                let register = Some(value.register).filter(|_| value.kind != Type::Void);
                self.leave(Exit::Return(register, span));
            }
            Some(value) if expected == Type::Void => {
                let message = "this function returns nothing";
                let help = "declare the type of its result: `function f(): i32`";
                self.diagnostics.error_with_help(value.span, message, "returns a value", help);
            }
            Some(value) => {
                let value = self.coerced(value, expected, None);
                self.leave(Exit::Return(Some(value.register), span));
            }
        }
        self.body.tops = tops;
    }
}
