//! What is known about variables and fields at a place of the code: narrower types, and which fields a constructor has set.
//!
//! Facts follow the flow: a branch carries them to its label, where they meet what other branches bring, and only what all agree on
//! stays. Nothing that the machine relies on depends on them: registers have the declared types, and a narrowed value is checked
//! where it matters. So a fact about a field that someone else changes meanwhile is an exception at worst.

use alloc::vec::Vec;

use super::Lowering;
use super::expression::Value;
use super::function::{Body, Local};
use crate::ast::{Expression, ExpressionKind, Statement, StatementKind};
use crate::emit::Label;
use crate::types::Type;
use revenant_bytecode::Opcode;

/// Most facts at one place: more are forgotten, so that meeting takes bounded time.
const FACTS_MAX: usize = 24;

/// What a fact is about: a variable, or a field reached from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'s> {
    root: Root<'s>,
    members: Vec<&'s str>,
}

impl<'s> Local<'s> {
    /// The path of the variable itself.
    fn path(&self) -> Path<'s> {
        Path { root: Root::Local(self.name, self.number), members: Vec::new() }
    }
}

impl Path<'_> {
    /// Whether the other goes on from here.
    fn leads_to(&self, other: &Self) -> bool {
        self.root == other.root
            && self.members.len() < other.members.len()
            && other.members.starts_with(&self.members)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root<'s> {
    This,
    /// By its number: names are hidden by others.
    Local(&'s str, u32),
    Global(&'s str),
}

/// What something is assigned to: fields by their name alone, of whatever object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Assigned<'s> {
    Variable(&'s str),
    Field(&'s str),
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'s> {
    known: Vec<(Path<'s>, Type)>,
    /// Fields of `this` that have been set.
    set: Vec<&'s str>,
}

impl<'s> Facts<'s> {
    fn meet(&mut self, other: &Self) {
        self.known.retain(|fact| other.known.contains(fact));
        self.set.retain(|field| other.set.contains(field));
    }

    pub(super) fn is_set(&self, field: &str) -> bool {
        self.set.contains(&field)
    }
}

/// What a loop assigns to: names of variables and of members.
fn assigned<'s>(value: &Expression<'s>, names: &mut Vec<Assigned<'s>>) {
    if let ExpressionKind::Assign(_, target, _) | ExpressionKind::Update(_, target, _) = &value.kind
    {
        match &target.kind {
            ExpressionKind::Name(name) => names.push(Assigned::Variable(name)),
            ExpressionKind::Member(_, name) => names.push(Assigned::Field(name.text)),
            _ => {}
        }
    }
    value.children(|child| assigned(child, names));
}

/// Visits every expression of a statement and of those inside it.
pub(super) fn each_expression<'s>(
    statement: &Statement<'s>,
    visit: &mut dyn FnMut(&Expression<'s>),
) {
    use StatementKind as S;
    let all = |list: &[Statement<'s>], visit: &mut dyn FnMut(&Expression<'s>)| {
        list.iter().for_each(|statement| each_expression(statement, visit));
    };
    match &statement.kind {
        S::Variables(list) => list.iter().filter_map(|v| v.value.as_ref()).for_each(visit),
        S::Expression(value) | S::Throw(value) | S::Return(Some(value)) => visit(value),
        S::If(condition, then, other) => {
            visit(condition);
            each_expression(then, visit);
            other.iter().for_each(|other| each_expression(other, visit));
        }
        S::While(condition, body) | S::DoWhile(body, condition) => {
            visit(condition);
            each_expression(body, visit);
        }
        S::For(parts) => {
            each_expression(&parts.start, visit);
            parts.condition.iter().chain(&parts.step).for_each(&mut *visit);
            each_expression(&parts.body, visit);
        }
        S::ForOf(parts) => {
            visit(&parts.values);
            each_expression(&parts.body, visit);
        }
        S::Switch(subject, cases) => {
            visit(subject);
            for case in cases {
                case.value.iter().for_each(&mut *visit);
                all(&case.body, visit);
            }
        }
        S::Block(list) => all(list, visit),
        S::Try(parts) => {
            all(&parts.body, visit);
            if let Some((_, handler)) = &parts.handler {
                all(handler, visit);
            }
            if let Some(last) = &parts.last {
                all(last, visit);
            }
        }
        S::Return(None) | S::Break | S::Continue | S::Empty => {}
    }
}

impl<'s> Body<'s> {
    /// A branch, which takes along what is known.
    pub(super) fn branch(&mut self, opcode: Opcode, a: u16, b: u16, to: Label) {
        if self.emitter.is_reachable() {
            let facts = core::mem::take(&mut self.facts);
            self.bring(to, &facts);
            self.facts = facts;
        }
        self.emitter.branch(opcode, a, b, to);
    }

    fn bring(&mut self, to: Label, facts: &Facts<'s>) {
        match self.label_facts.get_mut(&to) {
            Some(known) => known.meet(facts),
            None => {
                self.label_facts.insert(to, facts.clone());
            }
        }
    }

    /// A branch on one register, on whose way something more is known.
    pub(super) fn branch_knowing(
        &mut self,
        opcode: Opcode,
        register: u16,
        to: Label,
        more: Option<(Path<'s>, Type)>,
    ) {
        if self.emitter.is_reachable() {
            let before = self.facts.clone();
            if let Some((path, kind)) = more {
                self.learn(path, kind);
            }
            let facts = core::mem::replace(&mut self.facts, before);
            self.bring(to, &facts);
        }
        self.emitter.branch(opcode, register, 0, to);
    }

    pub(super) fn bind(&mut self, label: Label) {
        let reached = self.emitter.is_reachable();
        self.emitter.bind(label);
        if let Some(brought) = self.label_facts.remove(&label) {
            if reached {
                self.facts.meet(&brought);
            } else {
                self.facts = brought;
            }
        }
    }

    pub(super) fn learn(&mut self, path: Path<'s>, kind: Type) {
        self.facts.known.retain(|(known, _)| *known != path);
        if self.facts.known.len() < FACTS_MAX {
            self.facts.known.push((path, kind));
        }
    }

    pub(super) fn unlearn(&mut self, path: &Path<'s>) {
        self.facts.known.retain(|(known, _)| known != path);
    }

    /// The narrower type that something has here.
    pub(super) fn known(&self, path: &Path<'s>) -> Option<Type> {
        self.fact(path).filter(|kind| *kind != Type::Null)
    }

    /// Whether the machine knows of a variable's register that it is null, and so nothing about its class.
    pub(super) fn is_null(&self, path: &Path<'s>) -> bool {
        self.fact(path) == Some(Type::Null)
    }

    fn fact(&self, path: &Path<'s>) -> Option<Type> {
        self.facts.known.iter().find(|(known, _)| known == path).map(|(_, kind)| *kind)
    }

    /// A branch to `to` if the register is null (`when`), or if it is not. `variable` is the path of the variable whose register
    /// it is, if it is one's; `more` what is known where it is not null.
    pub(super) fn branch_null(
        &mut self,
        register: u16,
        when: bool,
        to: Label,
        variable: Option<Path<'s>>,
        more: Option<(Path<'s>, Type)>,
    ) {
        let null = variable.map(|path| (path, Type::Null));
        let (opcode, taken, passed) = if when {
            (Opcode::BranchNull, null, more)
        } else {
            (Opcode::BranchNonNull, more, null)
        };
        self.branch_knowing(opcode, register, to, taken);
        if let Some((path, kind)) = passed {
            self.learn(path, kind);
        }
    }

    /// Whether there is room for two more facts.
    fn has_room(&self) -> bool {
        self.facts.known.len() + 2 <= FACTS_MAX
    }

    /// Something is assigned to: what was known about it, and about what was reached through it, is no more.
    /// What leads to the place itself (`to`) stays.
    pub(super) fn forget(&mut self, what: Assigned<'s>, to: Option<&Path<'s>>) {
        self.facts.known.retain(|(path, _)| {
            if to.is_some_and(|to| path.leads_to(to)) {
                return true;
            }
            match (what, path.root) {
                (Assigned::Field(name), _) => !path.members.contains(&name),
                (Assigned::Variable(_), Root::This) => true,
                (Assigned::Variable(name), Root::Local(root, _) | Root::Global(root)) => {
                    root != name
                }
            }
        });
    }

    pub(super) fn set(&mut self, field: &'s str) {
        if !self.facts.set.contains(&field) {
            self.facts.set.push(field);
        }
    }
}

impl<'s> Lowering<'_, 's, '_> {
    /// Forgets what the loop assigns to, as a later round finds it.
    pub(super) fn forget_assigned<'e>(
        &mut self,
        parts: impl Iterator<Item = &'e Expression<'s>>,
        bodies: &[&Statement<'s>],
    ) where
        's: 'e,
    {
        if self.body.facts.known.is_empty() {
            return;
        }
        let mut names = Vec::new();
        parts.for_each(|value| assigned(value, &mut names));
        for body in bodies {
            each_expression(body, &mut |value| assigned(value, &mut names));
        }
        for what in names {
            let locals = self.body.locals.iter().rev();
            let named =
                |local: &&Local<'s>| matches!(what, Assigned::Variable(name) if local.name == name);
            if let Some(local) = locals.clone().find(named).copied()
                && self.body.is_null(&local.path())
            {
                self.restore(local.register, local.kind);
            }
            self.body.forget(what, None);
        }
    }

    /// Tells the machine the class of a register again, of which it knows that it is null.
    pub(super) fn restore(&mut self, register: u16, kind: Type) {
        if let Some(referent) = kind.referent() {
            let class = referent.class().0.into();
            self.body.emitter.emit_literal(Opcode::Cast, [register, register, 0], class);
        }
    }

    /// Forgets of every variable that it is null, before code whose middle can be left.
    pub(super) fn restore_nulls(&mut self) {
        for local in self.body.locals.clone() {
            if self.body.is_null(&local.path()) {
                self.restore(local.register, local.kind);
                self.body.unlearn(&local.path());
            }
        }
    }

    /// The register to test for null, and the path of the variable whose own it is. The machine forgets the class of what is
    /// null; a fact notes that, and where there is no room for it a copy is tested.
    pub(super) fn tested(
        &mut self,
        value: &Expression<'s>,
        found: Value,
    ) -> (u16, Option<Path<'s>>) {
        let ExpressionKind::Name(name) = value.kind else { return (found.register, None) };
        let local = self.body.locals.iter().rev().find(|local| local.name == name);
        match local.filter(|local| local.register == found.register && !local.boxed).copied() {
            None => (found.register, None),
            Some(local) if self.body.has_room() => (found.register, Some(local.path())),
            Some(_) => (self.keep(found).register, None),
        }
    }

    /// After an assignment to `target`: it has what it was given, as long as that is not null.
    pub(super) fn learn_assigned(&mut self, target: &Expression<'s>, declared: Type, given: Type) {
        if let (Type::Nullable(_), Type::Object(_)) = (declared, given)
            && let Some(path) = self.path(target)
        {
            self.body.learn(path, declared.without_null());
        }
    }

    /// The path of an expression that facts can be about.
    pub(super) fn path(&self, value: &Expression<'s>) -> Option<Path<'s>> {
        match &value.kind {
            ExpressionKind::This => Some(Path { root: Root::This, members: Vec::new() }),
            ExpressionKind::Name(name) => {
                let local = self.body.locals.iter().rev().find(|local| local.name == *name);
                let root = match local {
                    Some(local) => return Some(local.path()),
                    None => {
                        self.global(name)?;
                        Root::Global(name)
                    }
                };
                Some(Path { root, members: Vec::new() })
            }
            ExpressionKind::Member(object, name) => {
                let mut path = self.path(object)?;
                path.members.push(name.text);
                Some(path)
            }
            ExpressionKind::NonNull(inner) | ExpressionKind::Optional(inner) => self.path(inner),
            _ => None,
        }
    }
}
