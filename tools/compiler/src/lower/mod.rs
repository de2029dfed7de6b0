//! The tree to a module: types, scopes, registers and instructions in one walk.
//!
//! `mod` has the module's declarations and tables; `function` a function's registers and variables; `statement`, `expression`, `condition`,
//! `operator`, `call` and `text` walk what their names say. The program's entry, which the system calls, is made here: it keeps the
//! console, computes the module's variables in their order, and calls `main`.

mod array;
mod call;
mod condition;
mod expression;
mod function;
mod kind;
mod library;
mod operator;
mod statement;
mod text;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, Export, ExportItem, Field, FunctionDefinition, Module, Native, Opcode, Signature,
    ValueType,
};

use crate::ast::{Function, Program, TypeName};
use crate::diagnostic::{Diagnostics, Span};
use crate::types::Type;
use function::Body;

/// The static variable that holds the program's console.
const CONSOLE: u32 = 0;

/// What a function looks like from outside.
#[derive(Clone, Debug)]
struct Callee {
    index: u32,
    parameters: Vec<Type>,
    result: Type,
}

/// A variable of the module.
#[derive(Clone, Copy, Debug)]
struct Global {
    index: u32,
    kind: Type,
    constant: bool,
}

struct Lowering<'p, 's, 'd> {
    program: &'p Program<'s>,
    diagnostics: &'d mut Diagnostics,
    /// Where each line of the source begins.
    lines: Vec<u32>,
    functions: BTreeMap<&'s str, Callee>,
    globals: BTreeMap<&'s str, Global>,
    strings: BTreeMap<String, u32>,
    signatures: BTreeMap<Signature, u32>,
    module: Module,
    body: Body<'s>,
}

/// Makes the module; it is of use only if nothing was reported.
pub(crate) fn lower(program: &Program<'_>, source: &str, diagnostics: &mut Diagnostics) -> Module {
    let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    let starts = ends.map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1));
    let mut lowering = Lowering {
        program,
        diagnostics,
        lines: core::iter::once(0).chain(starts).collect(),
        functions: BTreeMap::new(),
        globals: BTreeMap::new(),
        strings: BTreeMap::new(),
        signatures: BTreeMap::new(),
        module: Module { version: 1, ..Module::default() },
        body: Body::default(),
    };
    lowering.declare();
    lowering.module.statics.push(Field {
        name: String::from("console"),
        value: ValueType::nullable(Builtin::Console),
    });
    for function in &program.functions {
        lowering.function(function);
    }
    lowering.entry();
    lowering.module
}

/// An index of a list that the module format limits far below 2^32.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl<'s> Lowering<'_, 's, '_> {
    fn declare(&mut self) {
        let program = self.program;
        for (place, function) in program.functions.iter().enumerate() {
            let parameters = function.parameters.iter().map(|(name, declared)| match declared {
                Some(declared) => self.declared(declared),
                None => {
                    let help = format!("write `{}: i32`, for instance", name.text);
                    let message = format!("parameter `{}` has no type", name.text);
                    self.diagnostics.error_with_help(name.span, message, "needs one", help);
                    Type::Mistake
                }
            });
            let parameters = parameters.collect();
            let result =
                function.result.as_ref().map_or(Type::Void, |declared| self.declared(declared));
            let callee = Callee { index: index(place), parameters, result };
            if library::is_known(function.name.text)
                || self.functions.insert(function.name.text, callee).is_some()
            {
                let message = format!("there is a `{}` already", function.name.text);
                self.diagnostics.error(function.name.span, message, "a second one");
            }
        }
        for (place, variable) in program.variables.iter().enumerate() {
            let kind = self.variable_type(variable);
            let global = Global { index: index(place + 1), kind, constant: variable.constant };
            let name = variable.name.text;
            if self.functions.contains_key(name) || self.globals.insert(name, global).is_some() {
                let message = format!("there is a `{name}` already");
                self.diagnostics.error(variable.name.span, message, "a second one");
            }
        }
    }

    /// The type of a variable of the module: declared, or to be seen from its value.
    fn variable_type(&mut self, variable: &crate::ast::Variable<'s>) -> Type {
        use crate::ast::ExpressionKind;
        if let Some(declared) = &variable.declared {
            return self.declared(declared);
        }
        match variable.value.as_ref() {
            Some(value) if value.is_literal() => expression::literal_type(value),
            Some(value) => match value.kind {
                ExpressionKind::Text(_) | ExpressionKind::Template(..) => Type::Text,
                ExpressionKind::Bool(_) => Type::Bool,
                ExpressionKind::Mistake => Type::Mistake,
                _ => {
                    let message =
                        format!("`{}` needs a type: other functions read it", variable.name.text);
                    let help = format!("write `{}: i32`, for instance", variable.name.text);
                    self.diagnostics.error_with_help(variable.name.span, message, "no type", help);
                    Type::Mistake
                }
            },
            None => Type::Mistake,
        }
    }

    fn declared(&mut self, name: &TypeName<'s>) -> Type {
        Type::named(name.name).unwrap_or_else(|| {
            let help = "there are bool, i32, u32, i64, u64, f32, f64 (number), string, Int32Array and its like";
            let message = format!("there is no type `{}`", name.name);
            self.diagnostics.error_with_help(name.span, message, "not known", help);
            Type::Mistake
        })
    }

    /// The number of a signature.
    fn signature(&mut self, parameters: Vec<ValueType>, results: Vec<ValueType>) -> u32 {
        let next = index(self.module.signatures.len());
        let signature = Signature { parameters, results };
        let module = &mut self.module;
        *self.signatures.entry(signature).or_insert_with_key(|signature| {
            module.signatures.push(signature.clone());
            next
        })
    }

    /// The number of a string constant.
    fn string(&mut self, text: &str) -> u32 {
        if let Some(known) = self.strings.get(text) {
            return *known;
        }
        let next = index(self.module.strings.len());
        self.module.strings.push(text.into());
        self.strings.insert(text.into(), next);
        next
    }

    fn mark_line(&mut self, span: Span) {
        let line = self.lines.partition_point(|start| *start <= span.start);
        self.body.emitter.line(index(line));
    }

    fn function(&mut self, function: &Function<'s>) {
        let Some(callee) = self.functions.get(function.name.text).cloned() else { return };
        self.body = Body { result: callee.result, ..Body::default() };
        self.mark_line(function.name.span);
        for ((name, _), kind) in function.parameters.iter().zip(&callee.parameters) {
            if *kind == Type::Void {
                self.diagnostics.error(name.span, "a parameter cannot be `void`", "has no value");
            }
            let register = self.body.allocate(*kind);
            self.declare_local(*name, *kind, register, false);
        }
        self.statements(&function.body);
        if self.body.emitter.is_reachable() {
            self.mark_line(function.end);
            if callee.result == Type::Void {
                self.body.emitter.emit(Opcode::Return, 0, 0, 0);
            } else {
                if callee.result != Type::Mistake {
                    let message =
                        format!("`{}` does not return a value on every path", function.name.text);
                    self.diagnostics.error(function.end, message, "reached without a `return`");
                }
                self.body.emitter.emit(Opcode::Unreachable, 0, 0, 0);
            }
        }
        let parameters = callee.parameters.iter().filter_map(|kind| kind.value()).collect();
        let results = callee.result.value().into_iter().collect();
        self.finish(function.name.text, parameters, results, function.name.span);
    }

    /// Puts the function that was walked into the module.
    fn finish(
        &mut self,
        name: &str,
        parameters: Vec<ValueType>,
        results: Vec<ValueType>,
        span: Span,
    ) {
        let body = core::mem::take(&mut self.body);
        if body.is_too_large() {
            let help = "make parts of it functions of their own";
            self.diagnostics.error_with_help(
                span,
                "this function has too many variables",
                "",
                help,
            );
        }
        let signature = self.signature(parameters, results);
        let (code, lines) = body.emitter.finish();
        self.module.functions.push(FunctionDefinition {
            name: name.into(),
            signature,
            reference_registers: body.most.references,
            raw_registers: body.most.raws,
            code,
            blocks: Vec::new(),
            handlers: Vec::new(),
            lines,
        });
    }

    /// The function that the system calls.
    fn entry(&mut self) {
        let program = self.program;
        self.body = Body::default();
        let environment = self.body.allocate(Type::Text);
        let window = self.body.tops;
        let slot = self.body.allocate(Type::Text);
        self.body.emitter.emit(Opcode::MoveRef, slot, environment, 0);
        self.native(Native::EnvironmentConsole, window);
        self.body.emitter.emit_wide(Opcode::StaticStoreRef, slot, CONSOLE);
        self.body.tops = window;
        for variable in &program.variables {
            self.initialize(variable);
        }
        let Some(main) = program.functions.iter().find(|function| function.name.text == "main")
        else {
            let help = "a program begins at `export function main(): void { ... }`";
            self.diagnostics.error_with_help(
                Span::default(),
                "there is no function `main`",
                "",
                help,
            );
            return;
        };
        let Some(callee) = self.functions.get("main").cloned() else { return };
        if !main.exported || !callee.parameters.is_empty() {
            let help = "write `export function main(): void`";
            let message = "`main` is exported and takes nothing";
            self.diagnostics.error_with_help(main.name.span, message, "is not so", help);
        }
        let emitter = &mut self.body.emitter;
        emitter.emit_literal(
            Opcode::Call,
            [window.references, window.raws, 0],
            callee.index.into(),
        );
        let results: Vec<ValueType> = callee.result.value().into_iter().collect();
        match callee.result {
            Type::Void | Type::Mistake => emitter.emit(Opcode::Return, 0, 0, 0),
            Type::I32 | Type::I64 => emitter.emit(Opcode::ReturnRaw, window.raws, 0, 0),
            _ => {
                let help = "the value is the program's exit code";
                let message = "`main` returns `void`, `i32` or `i64`";
                self.diagnostics.error_with_help(main.name.span, message, "returns another", help);
            }
        }
        self.body.reserve(window, 0, u16::from(!results.is_empty()));
        self.finish(
            "start",
            Vec::from([ValueType::object(Builtin::Environment)]),
            results,
            main.name.span,
        );
        let function = index(self.module.functions.len()).saturating_sub(1);
        let item = ExportItem::Function(function);
        self.module.exports.push(Export { name: String::from("main"), item });
    }

    /// Computes a variable of the module.
    fn initialize(&mut self, variable: &crate::ast::Variable<'s>) {
        let Some(global) = self.globals.get(variable.name.text).copied() else { return };
        self.module
            .statics
            .push(Field { name: variable.name.text.into(), value: global.kind.stored() });
        self.mark_line(variable.name.span);
        let Some(value) = &variable.value else {
            self.refuse_uninitialized(variable.name);
            return;
        };
        let tops = self.body.tops;
        let value = self.coerced(value, global.kind, None);
        self.store_global(global, value.register);
        self.body.tops = tops;
    }
}
