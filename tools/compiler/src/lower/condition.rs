//! Conditions to branches: comparisons that branch by themselves, `&&`, `||` and `!` without a truth value in between.

use alloc::format;

use revenant_bytecode::{Native, Opcode};

use super::Lowering;
use super::expression::{Value, integer};
use crate::ast::{Binary, Expression, ExpressionKind, Unary};
use crate::emit::Label;
use crate::types::{Referent, Type};

/// A comparison of integers that branches: of 32 and of 64 bits; operands to be exchanged first.
fn integer_branch(operator: Binary, unsigned: bool) -> ([Opcode; 2], bool) {
    use Opcode as O;
    match (operator, unsigned) {
        (Binary::Equal, _) => ([O::I32BranchEq, O::I64BranchEq], false),
        (Binary::NotEqual, _) => ([O::I32BranchNe, O::I64BranchNe], false),
        (Binary::Less, false) => ([O::I32BranchLtS, O::I64BranchLtS], false),
        (Binary::Less, true) => ([O::I32BranchLtU, O::I64BranchLtU], false),
        (Binary::Greater, false) => ([O::I32BranchLtS, O::I64BranchLtS], true),
        (Binary::Greater, true) => ([O::I32BranchLtU, O::I64BranchLtU], true),
        (Binary::LessEqual, false) => ([O::I32BranchLeS, O::I64BranchLeS], false),
        (Binary::LessEqual, true) => ([O::I32BranchLeU, O::I64BranchLeU], false),
        (_, false) => ([O::I32BranchLeS, O::I64BranchLeS], true),
        (_, true) => ([O::I32BranchLeU, O::I64BranchLeU], true),
    }
}

/// The same with an immediate on the right.
fn immediate_branch(operator: Binary, unsigned: bool) -> [Opcode; 2] {
    use Opcode as O;
    match (operator, unsigned) {
        (Binary::Equal, _) => [O::I32BranchEqImm, O::I64BranchEqImm],
        (Binary::NotEqual, _) => [O::I32BranchNeImm, O::I64BranchNeImm],
        (Binary::Less, false) => [O::I32BranchLtSImm, O::I64BranchLtSImm],
        (Binary::Less, true) => [O::I32BranchLtUImm, O::I64BranchLtUImm],
        (Binary::Greater, false) => [O::I32BranchGtSImm, O::I64BranchGtSImm],
        (Binary::Greater, true) => [O::I32BranchGtUImm, O::I64BranchGtUImm],
        (Binary::LessEqual, false) => [O::I32BranchLeSImm, O::I64BranchLeSImm],
        (Binary::LessEqual, true) => [O::I32BranchLeUImm, O::I64BranchLeUImm],
        (_, false) => [O::I32BranchGeSImm, O::I64BranchGeSImm],
        (_, true) => [O::I32BranchGeUImm, O::I64BranchGeUImm],
    }
}

/// A comparison of floats that branches if it holds (`when`) or if it does not, which NaN makes another.
fn float_branch(operator: Binary, when: bool) -> ([Opcode; 2], bool) {
    use Opcode as O;
    let exchange = matches!(operator, Binary::Greater | Binary::GreaterEqual);
    let opcodes = match (operator, when) {
        (Binary::Equal, true) | (Binary::NotEqual, false) => [O::F32BranchEq, O::F64BranchEq],
        (Binary::Equal, false) | (Binary::NotEqual, true) => [O::F32BranchNe, O::F64BranchNe],
        (Binary::Less | Binary::Greater, true) => [O::F32BranchLt, O::F64BranchLt],
        (Binary::Less | Binary::Greater, false) => [O::F32BranchNotLt, O::F64BranchNotLt],
        (_, true) => [O::F32BranchLe, O::F64BranchLe],
        (_, false) => [O::F32BranchNotLe, O::F64BranchNotLe],
    };
    (opcodes, exchange)
}

/// The comparison that holds where this one does not; of integers.
fn opposite(operator: Binary) -> Binary {
    match operator {
        Binary::Equal => Binary::NotEqual,
        Binary::NotEqual => Binary::Equal,
        Binary::Less => Binary::GreaterEqual,
        Binary::GreaterEqual => Binary::Less,
        Binary::Greater => Binary::LessEqual,
        _ => Binary::Greater,
    }
}

fn pick([narrow, wide]: [Opcode; 2], kind: Type) -> Opcode {
    if kind.is_wide() { wide } else { narrow }
}

fn is_null(value: &Expression<'_>) -> bool {
    matches!(value.kind, ExpressionKind::Null)
}

/// An integer literal that an instruction of this type holds as its immediate.
pub(super) fn immediate(value: &Expression<'_>) -> Option<i16> {
    i16::try_from(integer(value)?).ok()
}

impl<'s> Lowering<'_, 's, '_> {
    /// Branches to `to` if the condition is `when`, else goes on.
    pub(super) fn condition(&mut self, value: &Expression<'s>, when: bool, to: Label) {
        let tops = self.body.tops;
        match &value.kind {
            ExpressionKind::Bool(truth) => {
                if *truth == when {
                    self.body.branch(Opcode::Jump, 0, 0, to);
                }
            }
            ExpressionKind::Unary(Unary::Not, inner) => self.condition(inner, !when, to),
            ExpressionKind::Binary(operator, left, right) if operator.is_logical() => {
                // `a && b` goes away as soon as one is false, `a || b` as soon as one is true.
                let decisive = *operator == Binary::LogicalOr;
                if let Some(truth) = self.decided(left) {
                    if truth != decisive {
                        self.condition(right, when, to);
                    } else if decisive == when {
                        self.body.branch(Opcode::Jump, 0, 0, to);
                    }
                } else if decisive == when {
                    self.condition(left, when, to);
                    self.condition(right, when, to);
                } else {
                    let past = self.body.emitter.label();
                    self.condition(left, decisive, past);
                    self.condition(right, when, to);
                    self.body.bind(past);
                }
            }
            ExpressionKind::InstanceOf(inner, class) => {
                self.instance_of(inner, class, when, to);
            }
            ExpressionKind::Binary(operator @ (Binary::Equal | Binary::NotEqual), left, right)
                if is_null(left) || is_null(right) =>
            {
                let value = if is_null(left) { right } else { left };
                self.compare_null(value, (*operator == Binary::Equal) == when, to);
            }
            ExpressionKind::Binary(operator, left, right) if operator.is_comparison() => {
                self.compare(*operator, left, right, when, to);
            }
            _ => match self.decided(value) {
                Some(truth) if truth == when => self.body.branch(Opcode::Jump, 0, 0, to),
                Some(_) => {}
                None => {
                    let truth = self.coerced(value, Type::Bool, None);
                    self.branch_on(truth.register, when, to);
                }
            },
        }
        self.body.tops = tops;
    }

    /// What a condition of the library comes to by the types that it is compiled for: whether keys are to be compared without a look at their hashes.
    fn decided(&mut self, value: &Expression<'s>) -> Option<bool> {
        let ExpressionKind::Call(callee, arguments) = &value.kind else { return None };
        match (&callee.kind, arguments.as_slice()) {
            (ExpressionKind::Name("isQuickToCompare"), [key]) if self.body.is_library() => {
                Some(self.type_of(key).without_null() != Type::TEXT)
            }
            _ => None,
        }
    }

    fn branch_on(&mut self, register: u16, when: bool, to: Label) {
        let opcode = if when { Opcode::I32BranchNeImm } else { Opcode::I32BranchEqImm };
        self.body.branch(opcode, register, 0, to);
    }

    /// A condition as a value.
    pub(super) fn truth(&mut self, value: &Expression<'s>, want: Option<u16>) -> Value {
        let emitter = &mut self.body.emitter;
        let (no, end) = (emitter.label(), emitter.label());
        self.condition(value, false, no);
        let target = self.target(Type::Bool, want);
        self.body.emitter.emit_wide(Opcode::I32Const, target.register, 1);
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(no);
        self.body.emitter.emit_wide(Opcode::I32Const, target.register, 0);
        self.body.bind(end);
        target
    }

    fn compare(
        &mut self,
        operator: Binary,
        left: &Expression<'s>,
        right: &Expression<'s>,
        when: bool,
        to: Label,
    ) {
        // An immediate spares a register; the type is the left side's.
        if let Some(small) = immediate(right)
            && !left.is_literal()
        {
            let found = self.expression(left, None, None);
            if found.kind.is_integer() && (small >= 0 || !found.kind.is_unsigned()) {
                let operator = if when { operator } else { opposite(operator) };
                let opcode = pick(immediate_branch(operator, found.kind.is_unsigned()), found.kind);
                self.body.branch(opcode, found.register, small.cast_unsigned(), to);
                return;
            }
            let tops = self.body.tops;
            let other = self.coerced(right, found.kind, None);
            self.body.tops = tops;
            self.compare_values(operator, [found, other], left, when, to);
            return;
        }
        let Some((kind, [left_value, right_value])) = self.operands(left, right, None) else {
            return;
        };
        let values = [left_value, right_value].map(|value| Value { kind, ..value });
        self.compare_values(operator, values, left, when, to);
    }

    /// For the cases of a `switch`.
    pub(super) fn branch_if_equal(&mut self, value: Value, case: &Expression<'s>, to: Label) {
        let tops = self.body.tops;
        let other = self.coerced(case, value.kind, None);
        let value = Value { kind: other.kind, ..value };
        self.compare_values(Binary::Equal, [value, other], case, true, to);
        self.body.tops = tops;
    }

    fn compare_values(
        &mut self,
        operator: Binary,
        [left, right]: [Value; 2],
        place: &Expression<'s>,
        when: bool,
        to: Label,
    ) {
        let equality = matches!(operator, Binary::Equal | Binary::NotEqual);
        let (opcodes, exchange) = match left.kind {
            Type::TEXT => return self.compare_texts(operator, [left, right], when, to),
            Type::Nullable(Referent::Text) if equality => {
                return self.compare_texts(operator, [left, right], when, to);
            }
            Type::Object(_) | Type::Nullable(_) if equality => {
                let equal = (operator == Binary::Equal) == when;
                let opcode = if equal { Opcode::RefBranchEq } else { Opcode::RefBranchNe };
                self.body.branch(opcode, left.register, right.register, to);
                return;
            }
            Type::F32 | Type::F64 => float_branch(operator, when),
            Type::Bool if !equality => {
                let message = "truth values have no order";
                self.diagnostics.error(place.span, message, "is `bool`");
                return;
            }
            Type::Void | Type::Null | Type::Object(_) | Type::Nullable(_) => {
                let message = format!("`{}` has no order to compare by", self.show(left.kind));
                self.diagnostics.error(place.span, message, "here");
                return;
            }
            kind => {
                let operator = if when { operator } else { opposite(operator) };
                integer_branch(operator, kind.is_unsigned())
            }
        };
        let (a, b) = if exchange { (right, left) } else { (left, right) };
        self.body.branch(pick(opcodes, left.kind), a.register, b.register, to);
    }

    fn compare_texts(
        &mut self,
        operator: Binary,
        [left, right]: [Value; 2],
        when: bool,
        to: Label,
    ) {
        let window = self.body.tops;
        for value in [left, right] {
            let slot = self.body.allocate(Type::TEXT);
            self.move_to(Type::TEXT, slot, value.register);
        }
        let equality = matches!(operator, Binary::Equal | Binary::NotEqual);
        self.native(if equality { Native::StringEquals } else { Native::StringCompare }, window);
        self.body.tops = window;
        if equality {
            let equal = operator == Binary::Equal;
            self.branch_on(window.raws, when == equal, to);
        } else {
            let operator = if when { operator } else { opposite(operator) };
            let opcode = pick(immediate_branch(operator, false), Type::I32);
            self.body.branch(opcode, window.raws, 0, to);
        }
    }
}
