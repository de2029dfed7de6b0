//! Arithmetic: the types of both sides brought together, immediates, conversions.

use alloc::format;

use revenant_bytecode::{Native, Opcode};

use super::Lowering;
use super::condition::immediate;
use super::expression::Value;
use crate::ast::{Binary, Expression};
use crate::diagnostic::Span;
use crate::types::Type;

/// An operation on integers: of 32 and of 64 bits.
fn integer_operation(operator: Binary, unsigned: bool) -> Option<[Opcode; 2]> {
    use Opcode as O;
    Some(match (operator, unsigned) {
        (Binary::Add, _) => [O::I32Add, O::I64Add],
        (Binary::Subtract, _) => [O::I32Sub, O::I64Sub],
        (Binary::Multiply, _) => [O::I32Mul, O::I64Mul],
        (Binary::Divide, false) => [O::I32DivS, O::I64DivS],
        (Binary::Divide, true) => [O::I32DivU, O::I64DivU],
        (Binary::Remainder, false) => [O::I32RemS, O::I64RemS],
        (Binary::Remainder, true) => [O::I32RemU, O::I64RemU],
        (Binary::And, _) => [O::I32And, O::I64And],
        (Binary::Or, _) => [O::I32Or, O::I64Or],
        (Binary::Xor, _) => [O::I32Xor, O::I64Xor],
        (Binary::ShiftLeft, _) => [O::I32Shl, O::I64Shl],
        (Binary::ShiftRight, false) => [O::I32ShrS, O::I64ShrS],
        (Binary::ShiftRight, true) | (Binary::ShiftRightUnsigned, _) => [O::I32ShrU, O::I64ShrU],
        _ => return None,
    })
}

/// The same with an immediate on the right, and the immediate. Divisions that could throw keep their registers: the verifier
/// refuses an immediate zero.
fn immediate_operation(operator: Binary, unsigned: bool, right: i16) -> Option<([Opcode; 2], i16)> {
    use Opcode as O;
    let opcodes = match (operator, unsigned) {
        (Binary::Add, _) => [O::I32AddImm, O::I64AddImm],
        (Binary::Subtract, _) => {
            return Some(([O::I32AddImm, O::I64AddImm], right.checked_neg()?));
        }
        (Binary::Multiply, _) => [O::I32MulImm, O::I64MulImm],
        (Binary::Divide | Binary::Remainder, _) if matches!(right, 0 | -1) => return None,
        (Binary::Divide | Binary::Remainder, true) if right < 0 => return None,
        (Binary::Divide, false) => [O::I32DivSImm, O::I64DivSImm],
        (Binary::Divide, true) => [O::I32DivUImm, O::I64DivUImm],
        (Binary::Remainder, false) => [O::I32RemSImm, O::I64RemSImm],
        (Binary::Remainder, true) => [O::I32RemUImm, O::I64RemUImm],
        (Binary::And, _) => [O::I32AndImm, O::I64AndImm],
        (Binary::Or, _) => [O::I32OrImm, O::I64OrImm],
        (Binary::Xor, _) => [O::I32XorImm, O::I64XorImm],
        (Binary::ShiftLeft, _) => [O::I32ShlImm, O::I64ShlImm],
        (Binary::ShiftRight, false) => [O::I32ShrSImm, O::I64ShrSImm],
        (Binary::ShiftRight, true) | (Binary::ShiftRightUnsigned, _) => {
            [O::I32ShrUImm, O::I64ShrUImm]
        }
        _ => return None,
    };
    Some((opcodes, right))
}

fn float_operation(operator: Binary) -> Option<[Opcode; 2]> {
    Some(match operator {
        Binary::Add => [Opcode::F32Add, Opcode::F64Add],
        Binary::Subtract => [Opcode::F32Sub, Opcode::F64Sub],
        Binary::Multiply => [Opcode::F32Mul, Opcode::F64Mul],
        Binary::Divide => [Opcode::F32Div, Opcode::F64Div],
        _ => return None,
    })
}

/// The instruction that makes a value of the one type one of the other; None if the bits are the same.
fn conversion(from: Type, to: Type) -> Option<Opcode> {
    use Opcode as O;
    use Type::{Bool, F32, F64, I32, I64, U32, U64};
    Some(match (from, to) {
        (I64 | U64, I32 | U32) => O::I32WrapI64,
        (I32 | Type::Enum(_), I64 | U64) => O::I64ExtendI32S,
        (U32 | Bool, I64 | U64) => O::I64ExtendI32U,
        (F32, I32) => O::I32TruncF32S,
        (F32, U32) => O::I32TruncF32U,
        (F64, I32) => O::I32TruncF64S,
        (F64, U32) => O::I32TruncF64U,
        (F32, I64) => O::I64TruncF32S,
        (F32, U64) => O::I64TruncF32U,
        (F64, I64) => O::I64TruncF64S,
        (F64, U64) => O::I64TruncF64U,
        (I32 | Type::Enum(_), F32) => O::F32ConvertI32S,
        (U32 | Bool, F32) => O::F32ConvertI32U,
        (I64, F32) => O::F32ConvertI64S,
        (U64, F32) => O::F32ConvertI64U,
        (I32 | Type::Enum(_), F64) => O::F64ConvertI32S,
        (U32 | Bool, F64) => O::F64ConvertI32U,
        (I64, F64) => O::F64ConvertI64S,
        (U64, F64) => O::F64ConvertI64U,
        (F64, F32) => O::F32DemoteF64,
        (F32, F64) => O::F64PromoteF32,
        _ => return None,
    })
}

impl<'s> Lowering<'_, 's, '_> {
    /// A number as one of another type.
    pub(super) fn convert(&mut self, value: Value, kind: Type, want: Option<u16>) -> Value {
        match conversion(value.kind, kind) {
            Some(opcode) => {
                let target = self.target(kind, want);
                self.body.emitter.emit(opcode, target.register, value.register, 0);
                target
            }
            None => {
                let target = self.target(kind, want);
                self.move_to(kind, target.register, value.register);
                target
            }
        }
    }

    pub(super) fn binary(
        &mut self,
        operator: Binary,
        [left, right]: [&Expression<'s>; 2],
        whole: &Expression<'s>,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        if operator.is_logical() || operator.is_comparison() {
            return self.truth(whole, want);
        }
        self.operate(operator, left, right, whole.span, expected, want)
    }

    /// Evaluates both sides to the type they have in common; literals take the other side's.
    pub(super) fn operands(
        &mut self,
        left: &Expression<'s>,
        right: &Expression<'s>,
        expected: Option<Type>,
    ) -> Option<(Type, [Value; 2])> {
        let hint = if left.is_literal() && !right.is_literal() {
            Some(self.type_of(right))
        } else if left.is_literal() && expected.is_none() {
            Some(super::expression::literal_type(right))
        } else {
            expected
        };
        let mut first = self.expression(left, hint, None);
        if right.assigns() && !left.is_literal() {
            let kept = self.body.allocate(first.kind);
            self.move_to(first.kind, kept, first.register);
            first.register = kept;
        }
        // What is compared with an object may be null, or a text that is.
        let hint = (first.kind != Type::TEXT).then_some(first.kind.or_null());
        let mut second = self.expression(right, hint, None);
        if first.kind == Type::Mistake || second.kind == Type::Mistake {
            return None;
        }
        if first.kind.widens_to(second.kind) {
            first = self.convert(first, second.kind, None);
        } else if second.kind.widens_to(first.kind) {
            second = self.convert(second, first.kind, None);
        }
        if first.kind == second.kind && first.kind != Type::Void {
            return Some((first.kind, [first, second]));
        }
        if self.fits(first.kind, second.kind.or_null()) {
            return Some((second.kind.or_null(), [first, second]));
        }
        if self.fits(second.kind, first.kind.or_null()) {
            return Some((first.kind.or_null(), [first, second]));
        }
        let message = format!(
            "`{}` and `{}` do not go together",
            self.show(first.kind),
            self.show(second.kind)
        );
        let label = format!("left `{}`, right `{}`", self.show(first.kind), self.show(second.kind));
        let span = left.span.to(right.span);
        if first.kind.is_number() && second.kind.is_number() {
            let help = format!("convert one side: `{}(...)`", self.show(first.kind));
            self.diagnostics.error_with_help(span, message, &label, help);
        } else {
            self.diagnostics.error(span, message, &label);
        }
        None
    }

    /// An operation that is neither comparison nor logical.
    pub(super) fn operate(
        &mut self,
        operator: Binary,
        left: &Expression<'s>,
        right: &Expression<'s>,
        span: Span,
        expected: Option<Type>,
        want: Option<u16>,
    ) -> Value {
        let tops = self.body.tops;
        // Bits are of integers: there, literals do not become floats because one is expected.
        let bits = float_operation(operator).is_none()
            && !matches!(operator, Binary::Remainder | Binary::Power);
        let expected = expected.filter(|kind| kind.is_number() && !(bits && kind.is_float()));
        if let Some(small) = immediate(right)
            && !left.is_literal()
        {
            let value = self.expression(left, expected, None);
            let found = value.kind.is_integer().then(|| {
                immediate_operation(operator, value.kind.is_unsigned(), small)
                    .filter(|_| small >= 0 || !value.kind.is_unsigned())
            });
            if let Some(Some(([narrow, wide], small))) = found {
                self.body.tops = tops;
                let target = self.target(value.kind, want);
                let opcode = if value.kind.is_wide() { wide } else { narrow };
                let immediate = small.cast_unsigned();
                self.body.emitter.emit(opcode, target.register, value.register, immediate);
                return target;
            }
            return self.operate_on_left(operator, value, left, right, span, tops, want);
        }
        if operator == Binary::Add && (self.is_text(left) || self.is_text(right)) {
            return self.concatenate(left, right);
        }
        let Some((kind, values)) = self.operands(left, right, expected) else {
            return Value::MISTAKE;
        };
        self.body.tops = tops;
        self.operation(operator, kind, values, span, want)
    }

    /// Goes on where the left side stands in a register already and the right is a literal.
    #[expect(clippy::too_many_arguments, reason = "one operation's parts")]
    fn operate_on_left(
        &mut self,
        operator: Binary,
        value: Value,
        left: &Expression<'s>,
        right: &Expression<'s>,
        span: Span,
        tops: super::function::Tops,
        want: Option<u16>,
    ) -> Value {
        if value.kind == Type::TEXT && operator == Binary::Add {
            self.body.tops = tops;
            return self.concatenate_value(value, right);
        }
        if value.kind == Type::Mistake {
            return value;
        }
        if !value.kind.is_number() {
            let message =
                format!("this operator does not take a value of type `{}`", self.show(value.kind));
            self.diagnostics.error(left.span.to(right.span), message, "here");
            return Value::MISTAKE;
        }
        let other = self.coerced(right, value.kind, None);
        self.body.tops = tops;
        self.operation(operator, value.kind, [value, other], span, want)
    }

    /// The operation itself, with both sides in registers.
    pub(super) fn operation(
        &mut self,
        operator: Binary,
        kind: Type,
        [left, right]: [Value; 2],
        span: Span,
        want: Option<u16>,
    ) -> Value {
        let opcodes = if kind.is_integer() {
            integer_operation(operator, kind.is_unsigned())
        } else if kind.is_float() {
            float_operation(operator)
        } else {
            None
        };
        if let Some([narrow, wide]) = opcodes {
            let target = self.target(kind, want);
            let opcode = if kind.is_wide() { wide } else { narrow };
            self.body.emitter.emit(opcode, target.register, left.register, right.register);
            return target;
        }
        let native = match operator {
            Binary::Remainder if kind == Type::F64 => Native::F64Rem,
            Binary::Power if kind == Type::F64 => Native::F64Pow,
            _ => {
                let message =
                    format!("this operator does not take values of type `{}`", self.show(kind));
                self.diagnostics.error(span, message, "here");
                return Value::MISTAKE;
            }
        };
        // Behind both operands: one of them may stand in the register where the window would begin.
        let busy = left.register.max(right.register).saturating_add(1).max(self.body.tops.raws);
        let window = super::function::Tops { raws: busy, ..self.body.tops };
        let tops = core::mem::replace(&mut self.body.tops, window);
        for value in [left, right] {
            let slot = self.body.allocate(kind);
            self.move_to(kind, slot, value.register);
        }
        self.native(native, window);
        self.body.tops = tops;
        let target = self.target(kind, want);
        self.move_to(kind, target.register, window.raws);
        target
    }
}
