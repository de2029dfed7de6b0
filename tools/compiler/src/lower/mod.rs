//! The tree to a module: types, scopes, registers and instructions in one walk of each function.
//!
//! First all names of the files are declared; then functions are walked, each from a list of work to which walking adds what it
//! needs: a generic function or class is walked once for each choice of its types, and only then (so nothing is boxed).
//!
//! `mod` has the module's tables and its entry, which the system calls; `declare` the names of the files, `scope` what they mean in each; `resolve` types and
//! classes as they are written; `layout` what stands where in an object; `function` registers and variables; `facts` what is known at a
//! place; `session` the inputs of a session, `inspect` what it prints of a value; the others walk what their names say.

mod access;
mod array;
mod assign;
mod call;
mod closure;
mod condition;
mod declare;
mod define;
mod exception;
mod expression;
mod facts;
mod function;
mod hoist;
mod infer;
mod inspect;
mod kind;
mod layout;
mod library;
mod list;
mod machine;
mod named;
mod null;
mod object;
mod operator;
mod resolve;
mod scope;
mod session;
mod statement;
mod text;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, ClassReference, Export, ExportItem, Field, FunctionDefinition, Module, Native, Opcode,
    Signature, ValueType,
};

use crate::ast::{FileParts, Function, Name, Program, TypeName, Variable};
use crate::diagnostic::{Diagnostics, Span};
use crate::emit::Finished;
use crate::files::Files;
use crate::types::Type;
use function::Body;
use layout::ClassInfo;
use resolve::Bindings;
pub(crate) use session::{Known, Symbols};

/// The static variable that holds the program's console.
const CONSOLE: u32 = 0;
/// The one that holds what it was given when it began.
const ENVIRONMENT: u32 = 1;

/// What a function looks like from outside.
#[derive(Clone, Debug)]
struct Callee {
    index: u32,
    parameters: Vec<Type>,
    result: Type,
}

/// A variable of the module, or a static one of a class.
#[derive(Clone, Copy, Debug)]
struct Global {
    index: u32,
    kind: Type,
    constant: bool,
    /// The number of the file that declares it, the only one that may assign to it.
    file: u16,
}

/// A function that is still to be walked.
#[derive(Debug)]
struct Work<'p, 's> {
    function: &'p Function<'s>,
    name: String,
    callee: Callee,
    bindings: Bindings<'s>,
    /// The class whose method it is.
    class: Option<ClassReference>,
    is_static: bool,
    /// For constructors: parameters that are fields as well.
    constructs: Option<&'p crate::ast::Class<'s>>,
}

struct Lowering<'p, 's, 'd> {
    program: &'p Program<'s>,
    diagnostics: &'d mut Diagnostics,
    /// Where each line of the source begins.
    lines: Vec<u32>,
    files: &'p Files,
    /// What names mean, for each file.
    scopes: Vec<scope::Scope<'s>>,
    functions: BTreeMap<(usize, Vec<Type>), Callee>,
    /// Instances by the place of the class in the tree and its types.
    class_instances: BTreeMap<(usize, Vec<Type>), ClassReference>,
    classes: BTreeMap<ClassReference, ClassInfo<'s>>,
    /// Of every class of the tree: which of its methods some class below it has, too.
    overridden: alloc::collections::BTreeSet<(usize, crate::ast::Role, &'s str)>,
    /// Names of the methods of interfaces: wherever they are, they stand in tables.
    interface_methods: alloc::collections::BTreeSet<(crate::ast::Role, &'s str)>,
    enums: Vec<declare::EnumInfo<'s>>,
    /// Types of the elements of machine arrays, and the arrays' classes by the class of the element.
    elements: Vec<Type>,
    array_classes: BTreeMap<ClassReference, ClassReference>,
    function_types: Vec<(Vec<Type>, Type)>,
    /// By the number of a function the one through which it is called as a value.
    wrappers: BTreeMap<u32, u32>,
    /// Variables with what computes them, and where they are.
    initial: Vec<(Global, &'p Variable<'s>)>,
    strings: BTreeMap<String, u32>,
    signatures: BTreeMap<Signature, u32>,
    module: Module,
    work: Vec<Work<'p, 's>>,
    body: Body<'s>,
    /// In a session, what its inputs have emitted; then what things are called in it, and its variables.
    known: Option<&'p Known>,
    symbols: Symbols,
    foreign: Vec<session::Foreign>,
    own_variables: Vec<(String, Global)>,
    /// Classes whose objects are to be shown, and the functions that do.
    shown: BTreeMap<(ClassReference, bool), u32>,
    to_show: Vec<(ClassReference, bool, u32)>,
}

/// Makes the module; it is of use only if nothing was reported.
pub(crate) fn lower<'p, 's>(
    program: &'p Program<'s>,
    parts: &[FileParts<'s>],
    files: &'p Files,
    diagnostics: &mut Diagnostics,
) -> Module {
    let mut lowering = Lowering::new(program, files, diagnostics);
    if lowering.declare(parts) {
        lowering.walk_functions();
        lowering.entry();
        lowering.walk_functions();
    }
    lowering.module
}

/// The same for the last input of a session, as if no other had been emitted: with what everything in it is called.
pub(crate) fn lower_input<'p, 's>(
    program: &'p Program<'s>,
    parts: &[FileParts<'s>],
    files: &'p Files,
    known: &'p Known,
    diagnostics: &mut Diagnostics,
) -> (Module, Symbols) {
    let mut lowering = Lowering::new(program, files, diagnostics);
    lowering.known = Some(known);
    lowering.declare(parts);
    lowering.inputs(parts);
    lowering.walk_functions();
    // Other inputs see the whole of what this one only mentions.
    while lowering.lay_out_rest() {
        lowering.walk_functions();
    }
    (lowering.module, lowering.symbols)
}

impl<'p, 's, 'd> Lowering<'p, 's, 'd> {
    fn new(program: &'p Program<'s>, files: &'p Files, diagnostics: &'d mut Diagnostics) -> Self {
        let ends = files.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = ends.map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1));
        let capability =
            |name, class| Field { name: String::from(name), value: ValueType::nullable(class) };
        let console = capability("console", Builtin::Console);
        let environment = capability("environment", Builtin::Environment);
        Self {
            program,
            diagnostics,
            lines: core::iter::once(0).chain(starts).collect(),
            files,
            scopes: files.list.iter().map(|_| scope::Scope::default()).collect(),
            functions: BTreeMap::new(),
            class_instances: BTreeMap::new(),
            classes: BTreeMap::new(),
            overridden: Default::default(),
            interface_methods: Default::default(),
            enums: Vec::new(),
            elements: Vec::new(),
            array_classes: BTreeMap::new(),
            function_types: Vec::new(),
            wrappers: BTreeMap::new(),
            initial: Vec::new(),
            strings: BTreeMap::new(),
            signatures: BTreeMap::new(),
            module: Module {
                version: 1,
                statics: Vec::from([console, environment]),
                ..Module::default()
            },
            work: Vec::new(),
            body: Body::default(),
            known: None,
            symbols: Symbols::default(),
            foreign: Vec::new(),
            own_variables: Vec::new(),
            shown: BTreeMap::new(),
            to_show: Vec::new(),
        }
    }
}

/// An index of a list that the module format limits far below 2^32.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl<'p, 's> Lowering<'p, 's, '_> {
    fn walk_functions(&mut self) {
        loop {
            if let Some(work) = self.work.pop() {
                if !self.is_emitted(&work) {
                    self.function(&work);
                }
            } else if let Some((class, exactly, place)) = self.to_show.pop() {
                self.showing_function(class, exactly, place);
            } else {
                return;
            }
        }
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
        if self.body.is_library() {
            return;
        }
        // Lines are counted in the text of all files; those of a file begin with 1.
        let line = |at: u32| self.lines.partition_point(|start| *start <= at);
        let file = self.files.list.get(usize::from(self.body.file));
        let before = file.map_or(0, |file| line(file.span.start).saturating_sub(1));
        self.body.emitter.line(index(line(span.start).saturating_sub(before)));
    }

    /// What a function is called in stack traces: with the name of its file, if that is not the program's first.
    fn traced(&self, name: &str) -> String {
        let file = self.body.file;
        if file == self.files.main || self.body.is_library() {
            return name.into();
        }
        alloc::format!("{}.{name}", self.files.short_name(file))
    }

    /// A place among the functions for one that will be walked.
    fn reserve_function(&mut self) -> u32 {
        self.module.functions.push(FunctionDefinition {
            name: String::new(),
            signature: 0,
            reference_registers: 0,
            raw_registers: 0,
            code: Vec::new(),
            blocks: Vec::new(),
            handlers: Vec::new(),
            lines: Vec::new(),
        });
        index(self.module.functions.len()).saturating_sub(1)
    }

    fn function(&mut self, work: &Work<'p, 's>) {
        let (function, callee) = (work.function, &work.callee);
        self.body = Body {
            result: callee.result,
            class: work.class,
            bindings: work.bindings.clone(),
            file: function.file,
            constructor: work.constructs.is_some(),
            ..Body::default()
        };
        if function.lambdas {
            self.body.shared = closure::shared(&function.body).into();
        }
        self.mark_line(function.name.span);
        let mut machine = Vec::new();
        if let Some(class) = work.class.filter(|_| !work.is_static) {
            let this = Type::Object(crate::types::Referent::Class(class));
            self.body.allocate(this);
            self.body.this = Some(class);
            machine.extend(this.value());
        }
        self.parameters(&function.parameters, &callee.parameters);
        // A constructor that nobody wrote has no names for what it hands on.
        for kind in callee.parameters.iter().skip(function.parameters.len()) {
            self.body.allocate(*kind);
        }
        machine.extend(callee.parameters.iter().filter_map(|kind| kind.value()));
        if let Some(class) = work.constructs {
            self.constructor_body(class, function, &callee.parameters);
        } else {
            self.statements(&function.body);
        }
        self.function_end(callee.result, function.end, &alloc::format!("`{}`", work.name));
        let result = if work.constructs.is_some() {
            work.class.map(|class| Type::Object(crate::types::Referent::Class(class)))
        } else {
            Some(callee.result)
        };
        let results = result.and_then(Type::value).into_iter().collect();
        self.finish(callee.index, &work.name, machine, results, function.name.span);
    }

    /// Parameters stand in the first registers; those that are shared move into their boxes after that.
    fn parameters(&mut self, names: &[(Name<'s>, Option<TypeName<'s>>)], kinds: &[Type]) {
        let mut registers = Vec::new();
        for ((name, _), kind) in names.iter().zip(kinds) {
            if *kind == Type::Void {
                self.diagnostics.error(name.span, "a parameter cannot be `void`", "has no value");
            }
            registers.push((*name, *kind, self.body.allocate(*kind)));
        }
        for (name, kind, register) in registers {
            self.declare_local(name, kind, register, false);
        }
    }

    /// The way out of a function's last brace.
    fn function_end(&mut self, result: Type, end: Span, name: &str) {
        if !self.body.emitter.is_reachable() {
            return;
        }
        self.mark_line(end);
        if self.body.constructor {
            self.constructor_end(end);
        } else if result == Type::Void {
            self.body.emitter.emit(Opcode::Return, 0, 0, 0);
        } else {
            if result != Type::Mistake {
                let message = alloc::format!("{name} does not return a value on every path");
                self.diagnostics.error(end, message, "reached without a `return`");
            }
            self.body.emitter.emit(Opcode::Unreachable, 0, 0, 0);
        }
    }

    /// Puts the function that was walked into the module.
    fn finish(
        &mut self,
        place: u32,
        name: &str,
        parameters: Vec<ValueType>,
        results: Vec<ValueType>,
        span: Span,
    ) {
        self.failures();
        let name = self.traced(name);
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
        let Finished { code, lines, handlers } = body.emitter.finish();
        let made = FunctionDefinition {
            name,
            signature,
            reference_registers: body.most.references,
            raw_registers: body.most.raws,
            code,
            blocks: Vec::new(),
            handlers,
            lines,
        };
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(reserved) = self.module.functions.get_mut(place) {
            *reserved = made;
        }
    }

    /// The function that the system calls.
    fn entry(&mut self) {
        let place = self.reserve_function();
        self.body = Body { file: self.files.main, ..Body::default() };
        let window = self.begin_entry();
        let results = self.call_main(window);
        self.body.reserve(window, 0, u16::from(!results.is_empty()));
        self.finish_entry(place, results);
    }

    /// Notes the console, and computes variables. Where calls have their windows then.
    fn begin_entry(&mut self) -> function::Tops {
        let environment = self.body.allocate(Type::TEXT);
        self.body.emitter.emit_wide(Opcode::StaticStoreRef, environment, ENVIRONMENT);
        let window = self.body.tops;
        let slot = self.body.allocate(Type::TEXT);
        self.body.emitter.emit(Opcode::MoveRef, slot, environment, 0);
        self.native(Native::EnvironmentConsole, window);
        self.body.emitter.emit_wide(Opcode::StaticStoreRef, slot, CONSOLE);
        self.body.tops = window;
        let mut initial = core::mem::take(&mut self.initial);
        initial.sort_by_key(|(_, variable)| variable.name.span.start);
        for (global, variable) in initial {
            self.body.file = global.file;
            self.initialize(global, variable);
        }
        self.body.file = self.files.main;
        window
    }

    fn finish_entry(&mut self, place: u32, results: Vec<ValueType>) {
        let environment = Vec::from([ValueType::object(Builtin::Environment)]);
        self.finish(place, "start", environment, results, Span::default());
        let item = ExportItem::Function(place);
        self.module.exports.push(Export { name: String::from("main"), item });
    }

    /// Calls `main`, hands back what it returns; the types of that.
    fn call_main(&mut self, window: function::Tops) -> Vec<ValueType> {
        let program = self.program;
        let main = self.function_place("main");
        let found = main.and_then(|place| {
            let callee = self.functions.get(&(place, Vec::new())).cloned();
            program.functions.get(place).zip(callee)
        });
        let Some((main, callee)) = found else {
            let help = "a program begins at `export function main(): void { ... }`";
            let message = "there is no function `main`";
            self.diagnostics.error_with_help(Span::default(), message, "", help);
            return Vec::new();
        };
        if !main.exported || !callee.parameters.is_empty() {
            let help = "write `export function main(): void`";
            let message = "`main` is exported and takes nothing";
            self.diagnostics.error_with_help(main.name.span, message, "is not so", help);
        }
        self.mark_line(main.name.span);
        let emitter = &mut self.body.emitter;
        emitter.emit_literal(
            Opcode::Call,
            [window.references, window.raws, 0],
            callee.index.into(),
        );
        match callee.result {
            Type::Void | Type::Mistake => emitter.emit(Opcode::Return, 0, 0, 0),
            Type::I32 | Type::I64 => emitter.emit(Opcode::ReturnRaw, window.raws, 0, 0),
            _ => {
                let help = "the value is the program's exit code";
                let message = "`main` returns `void`, `i32` or `i64`";
                self.diagnostics.error_with_help(main.name.span, message, "returns another", help);
            }
        }
        callee.result.value().into_iter().collect()
    }

    /// Computes a variable of the module.
    fn initialize(&mut self, global: Global, variable: &Variable<'s>) {
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
