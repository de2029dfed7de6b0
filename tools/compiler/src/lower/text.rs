//! Texts: concatenation, templates, values as texts.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Native, Opcode};

use super::Lowering;
use super::expression::Value;
use super::function::Tops;
use crate::ast::{Binary, Expression, ExpressionKind, Role};
use crate::types::{Referent, Type};

impl<'s> Lowering<'_, 's, '_> {
    /// Calls a native whose arguments stand in the window, and makes room for its results.
    pub(super) fn native(&mut self, native: Native, window: Tops) {
        let number = native as u16;
        self.body.emitter.emit(Opcode::CallNative, window.references, window.raws, number);
        self.body.reserve(window, 2, 2);
    }

    /// Whether an expression is a text, as far as addition has to know.
    pub(super) fn is_text(&mut self, value: &Expression<'s>) -> bool {
        self.type_of(value) == Type::TEXT
    }

    /// `left + right` where one of them is a text.
    pub(super) fn concatenate(&mut self, left: &Expression<'s>, right: &Expression<'s>) -> Value {
        // `a + b + c` is one text of three pieces.
        let (mut next, mut last) = (left, Vec::from([right]));
        while let ExpressionKind::Binary(Binary::Add, first, second) = &next.kind
            && self.is_text(next)
        {
            last.push(second);
            next = first;
        }
        let mut pieces = Vec::new();
        for value in core::iter::once(next).chain(last.into_iter().rev()) {
            match &value.kind {
                ExpressionKind::Text(text) => pieces.push(Piece::Constant(text)),
                ExpressionKind::Template(texts, values) => add_template(texts, values, &mut pieces),
                _ => pieces.push(Piece::Value(value)),
            }
        }
        self.join_pieces(&pieces)
    }

    /// The same where the left side has been evaluated.
    pub(super) fn concatenate_value(&mut self, left: Value, right: &Expression<'s>) -> Value {
        let window = self.body.tops;
        let slot = self.body.allocate(Type::TEXT);
        self.move_to(Type::TEXT, slot, left.register);
        self.join(window, right)
    }

    /// Appends the text of `right` to the text at the beginning of the window.
    fn join(&mut self, window: Tops, right: &Expression<'s>) -> Value {
        self.text_argument(right);
        self.join_values(window)
    }

    fn join_values(&mut self, window: Tops) -> Value {
        self.native(Native::StringConcat, window);
        self.body.tops = window;
        let register = self.body.allocate(Type::TEXT);
        Value { kind: Type::TEXT, register }
    }

    /// A value as a text in the next register.
    pub(super) fn text_argument(&mut self, value: &Expression<'s>) {
        let tops = self.body.tops;
        let found = self.expression(value, None, None);
        self.body.tops = tops;
        self.text_of(found, value);
    }

    fn constant_argument(&mut self, text: &str) {
        let constant = self.string(text);
        let slot = self.body.allocate(Type::TEXT);
        self.body.emitter.emit_wide(Opcode::StringConst, slot, constant);
    }

    /// Makes the text of a value in the next register of references.
    pub(super) fn text_of(&mut self, value: Value, place: &Expression<'s>) {
        let mut window = self.body.tops;
        let native = match value.kind {
            Type::TEXT => {
                let slot = self.body.allocate(Type::TEXT);
                self.move_to(Type::TEXT, slot, value.register);
                return;
            }
            Type::Bool => return self.truth_text(value),
            Type::I32 | Type::U32 | Type::I64 | Type::Enum(_) => Native::StringFromI64,
            Type::U64 => Native::StringFromU64,
            Type::F32 | Type::F64 => Native::StringFromF64,
            Type::Mistake => return,
            Type::Nullable(_) | Type::Null => {
                self.may_be_null(value.kind, place.span);
                return;
            }
            Type::Object(Referent::Class(class)) => return self.object_text(class, value, place),
            Type::Void | Type::Object(_) => {
                let kind = self.show(value.kind);
                self.diagnostics.error(place.span, "this has no text", &kind);
                return;
            }
        };
        let kind = if native == Native::StringFromF64 { Type::F64 } else { Type::I64 };
        window.raws = window.raws.max(value.register);
        self.body.tops = window;
        let slot = self.body.allocate(kind);
        self.convert(value, kind, Some(slot));
        self.native(native, window);
        self.body.tops = window;
        self.body.allocate(Type::TEXT);
    }

    /// What the object's own `toString` says.
    fn object_text(&mut self, class: ClassReference, value: Value, place: &Expression<'s>) {
        let found = self.method(class, Role::Method, "toString").filter(|found| {
            found.callee.result == Type::TEXT && found.callee.parameters.is_empty()
        });
        if found.is_none() && self.is_exception(class) {
            return self.describe(value);
        }
        let Some(found) = found else {
            let kind = self.show(value.kind);
            let message = format!("`{kind}` has no text");
            let help = "give it a method `toString(): string`";
            self.diagnostics.error_with_help(place.span, message, &kind, help);
            return;
        };
        let window = self.body.tops;
        let slot = self.body.allocate(value.kind);
        self.move_to(value.kind, slot, value.register);
        self.emit_call(class, Role::Method, "toString", &found, window);
        self.body.tops = window;
        self.body.allocate(Type::TEXT);
    }

    fn truth_text(&mut self, value: Value) {
        let emitter = &mut self.body.emitter;
        let (no, end) = (emitter.label(), emitter.label());
        self.body.branch(Opcode::I32BranchEqImm, value.register, 0, no);
        let (yes_text, no_text) = (self.string("true"), self.string("false"));
        let slot = self.body.allocate(Type::TEXT);
        self.body.emitter.emit_wide(Opcode::StringConst, slot, yes_text);
        self.body.branch(Opcode::Jump, 0, 0, end);
        self.body.bind(no);
        self.body.emitter.emit_wide(Opcode::StringConst, slot, no_text);
        self.body.bind(end);
    }

    pub(super) fn template(&mut self, texts: &[String], values: &[Expression<'s>]) -> Value {
        let mut pieces = Vec::new();
        add_template(texts, values, &mut pieces);
        self.join_pieces(&pieces)
    }

    /// The text of all pieces. A number between two texts takes one call; the text itself would take another and memory.
    fn join_pieces(&mut self, pieces: &[Piece<'_, 's>]) -> Value {
        let window = self.body.tops;
        let mut pieces = pieces.iter().peekable();
        let mut started = false;
        while let Some(piece) = pieces.next() {
            let Piece::Value(value) = piece else {
                self.piece(piece);
                if core::mem::replace(&mut started, true) {
                    self.join_values(window);
                }
                continue;
            };
            let tops = self.body.tops;
            let found = self.expression(value, None, None);
            self.body.tops = tops;
            let is_number = matches!(found.kind, Type::I32 | Type::U32 | Type::I64 | Type::Enum(_));
            if !is_number || !started && pieces.peek().is_none() {
                self.text_of(found, value);
                if core::mem::replace(&mut started, true) {
                    self.join_values(window);
                }
                continue;
            }
            let number = self.body.allocate(Type::I64);
            self.convert(found, Type::I64, Some(number));
            if !core::mem::replace(&mut started, true) {
                self.constant_argument("");
            }
            match pieces.next_if(|next| matches!(next, Piece::Constant(_))) {
                Some(next) => self.piece(next),
                None => self.constant_argument(""),
            }
            self.native(Native::StringConcatI64, window);
            self.body.tops = window;
            self.body.allocate(Type::TEXT);
        }
        if !started {
            self.constant_argument("");
        }
        self.body.tops = window;
        let register = self.body.allocate(Type::TEXT);
        Value { kind: Type::TEXT, register }
    }

    /// A piece as a text in the next register.
    fn piece(&mut self, piece: &Piece<'_, 's>) {
        match piece {
            Piece::Constant(text) => self.constant_argument(text),
            Piece::Value(value) => self.text_argument(value),
        }
    }
}

/// A part of a text that is put together.
enum Piece<'e, 's> {
    Constant(&'e str),
    Value(&'e Expression<'s>),
}

/// The pieces of a template, without empty ones.
fn add_template<'e, 's>(
    texts: &'e [String],
    values: &'e [Expression<'s>],
    pieces: &mut Vec<Piece<'e, 's>>,
) {
    let mut values = values.iter();
    for text in texts {
        if !text.is_empty() {
            pieces.push(Piece::Constant(text));
        }
        pieces.extend(values.next().map(Piece::Value));
    }
}
