//! Inputs of a session: each becomes a module of its own, which imports what those before it have made.
//!
//! All inputs are declared again for each new one, in the same order, so that the same things come about; what has been emitted
//! before is known by a symbol, and is not walked again. What an earlier input does is walked once more for the types of its variables
//! alone. Variables of other inputs are reached by functions, because modules export no variables.
//!
//! Every method of a class of a session stands in a table, wherever the class is used: a later input may have it again below.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Field, Opcode, ValueType};

use super::expression::Value;
use super::function::Body;
use super::layout::MethodInfo;
use super::scope::Entity;
use super::{Global, Lowering, Work, closure, index};
use crate::ast::{FileParts, Name, Role, Statement, StatementKind, Variable};
use crate::types::{Referent, Type};

/// What the inputs of a session have emitted so far: the number of the input by symbol.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) functions: BTreeMap<String, u16>,
    pub(crate) classes: BTreeMap<String, u16>,
}

/// What functions and classes of the module that is being made are called in all modules of the session, by number.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    pub(crate) functions: BTreeMap<u32, String>,
    pub(crate) classes: BTreeMap<u32, String>,
}

/// A variable of another input, by the functions that read and write it, once they are asked for.
#[derive(Debug)]
pub(super) struct Foreign {
    symbol: String,
    accessors: [Option<u32>; 2],
}

/// How the functions of a variable are called: that which reads it, and that which writes it.
const ACCESS: [&str; 2] = ["get", "set"];

impl<'p, 's> Lowering<'p, 's, '_> {
    /// A type, unlike any other of the session.
    fn symbol(&self, kind: Type) -> String {
        match kind {
            Type::Enum(number) => match self.enums.get(usize::from(number)) {
                Some(known) => format!("{}@{}", known.name, known.file),
                None => String::new(),
            },
            Type::Nullable(referent) => format!("{}?", self.symbol(Type::Object(referent))),
            Type::Object(Referent::Class(class) | Referent::Raw(class, _)) => {
                self.class_symbol(class)
            }
            Type::Object(Referent::Machine(class)) => class.name().into(),
            Type::Object(Referent::Function(place)) => {
                let Some((parameters, result)) = self.function_types.get(usize::from(place)) else {
                    return String::new();
                };
                let list: Vec<String> = parameters.iter().map(|kind| self.symbol(*kind)).collect();
                format!("({})=>{}", list.join(","), self.symbol(*result))
            }
            _ => kind.simple_name().into(),
        }
    }

    pub(super) fn class_symbol(&self, class: ClassReference) -> String {
        match class.as_builtin() {
            Some(builtin) => builtin.name().into(),
            None => self.symbols.classes.get(&class.0).cloned().unwrap_or_default(),
        }
    }

    /// A symbol for what stands in a file under a name, with these types.
    fn instance_symbol(&self, name: &str, file: u16, arguments: &[Type]) -> String {
        if arguments.is_empty() {
            return format!("{name}@{file}");
        }
        let list: Vec<String> = arguments.iter().map(|kind| self.symbol(*kind)).collect();
        format!("{name}@{file}<{}>", list.join(","))
    }

    pub(super) fn name_class(
        &mut self,
        class: ClassReference,
        name: &str,
        file: u16,
        arguments: &[Type],
    ) {
        if self.known.is_some() {
            let symbol = self.instance_symbol(name, file, arguments);
            self.symbols.classes.insert(class.0, symbol);
        }
    }

    pub(super) fn name_array(&mut self, class: ClassReference, element: ClassReference) {
        if self.known.is_some() {
            let symbol = format!("{}[]", self.class_symbol(element));
            self.symbols.classes.insert(class.0, symbol);
        }
    }

    pub(super) fn name_function(&mut self, number: u32, name: &str, file: u16, types: &[Type]) {
        // What shows values knows the classes of its own input.
        if self.known.is_some() && !(file == 0 && name.starts_with("Session_")) {
            let symbol = self.instance_symbol(name, file, types);
            self.symbols.functions.insert(number, symbol);
        }
    }

    pub(super) fn name_method(
        &mut self,
        number: u32,
        class: ClassReference,
        role: Role,
        name: &str,
    ) {
        if self.known.is_some() {
            let word = match role {
                Role::Method => "",
                Role::Getter => "get ",
                Role::Setter => "set ",
                Role::Constructor => "new ",
            };
            let symbol = format!("{}.{word}{name}", self.class_symbol(class));
            self.symbols.functions.insert(number, symbol);
        }
    }

    /// Whether an earlier input has emitted the function. Then its signature is all that the module needs.
    pub(super) fn is_emitted(&mut self, work: &Work<'p, 's>) -> bool {
        let symbol = self.symbols.functions.get(&work.callee.index);
        let known = self.known.zip(symbol);
        if known.is_none_or(|(known, symbol)| !known.functions.contains_key(symbol)) {
            return false;
        }
        let class = |class| Type::Object(Referent::Class(class));
        let this = work.class.filter(|_| !work.is_static).map(class);
        let parameters = this.iter().chain(&work.callee.parameters).filter_map(|kind| kind.value());
        let result = match work.class {
            Some(made) if work.constructs.is_some() => class(made),
            _ => work.callee.result,
        };
        let parameters = parameters.collect();
        let signature = self.signature(parameters, result.value().into_iter().collect());
        self.set_signature(work.callee.index, signature);
        true
    }

    /// The library's methods stand in no table, and what has emitted its classes cannot be changed.
    pub(super) fn refuse_library_override(&mut self, above: &MethodInfo, name: Name<'s>) {
        let owner = self.classes.get(&above.owner).and_then(|info| {
            let tree = self.program.classes.get(info.template)?;
            (tree.file == 0).then(|| info.name.clone())
        });
        if let (Some(owner), true) = (owner, self.known.is_some()) {
            let message = format!("in a session `{owner}` keeps its own `{}`", name.text);
            let help = "give the method another name, or write a program";
            self.diagnostics.error_with_help(name.span, message, "a second one", help);
        }
    }

    /// Lays out the classes that nothing has asked for members; whether there were any.
    pub(super) fn lay_out_rest(&mut self) -> bool {
        let rest = self.classes.iter().filter(|(_, info)| !info.laid_out);
        let rest: Vec<ClassReference> = rest.map(|(class, _)| *class).collect();
        for class in &rest {
            self.lay_out(*class);
        }
        !rest.is_empty()
    }

    fn set_signature(&mut self, function: u32, signature: u32) {
        let place = usize::try_from(function).unwrap_or(usize::MAX);
        if let Some(function) = self.module.functions.get_mut(place) {
            function.signature = signature;
        }
    }

    /// Whether a variable belongs to another input of the session.
    pub(super) fn is_foreign(&self, global: Global) -> bool {
        self.known.is_some() && global.file != self.files.main
    }

    /// A variable of an input: in the module, if it is the last; else what stands for it.
    pub(super) fn session_variable(&mut self, name: &str, kind: Type, constant: bool) -> Global {
        let file = self.body.file;
        let symbol = format!("{name}@{file}");
        if file == self.files.main {
            let place = index(self.module.statics.len());
            self.module.statics.push(Field { name: name.into(), value: kind.stored() });
            let global = Global { index: place, kind, constant, file };
            self.own_variables.push((symbol, global));
            return global;
        }
        let place = index(self.foreign.len());
        self.foreign.push(Foreign { symbol, accessors: [None, None] });
        Global { index: place, kind, constant, file }
    }

    /// Calls the function that reads or writes a variable of another input.
    fn call_accessor(&mut self, global: Global, way: usize) {
        let window = self.body.tops;
        let place = usize::try_from(global.index).unwrap_or(usize::MAX);
        let known = self.foreign.get(place).and_then(|foreign| *foreign.accessors.get(way)?);
        let function = known.unwrap_or_else(|| {
            let made = self.reserve_function();
            let value: Vec<ValueType> = global.kind.value().into_iter().collect();
            let signature = match way {
                0 => self.signature(Vec::new(), value),
                _ => self.signature(value, Vec::new()),
            };
            self.set_signature(made, signature);
            if let Some(foreign) = self.foreign.get_mut(place) {
                let word = ACCESS.get(way).unwrap_or(&"");
                self.symbols.functions.insert(made, format!("{word} {}", foreign.symbol));
                if let Some(slot) = foreign.accessors.get_mut(way) {
                    *slot = Some(made);
                }
            }
            made
        });
        let fields = [window.references, window.raws, 0];
        self.body.emitter.emit_literal(Opcode::Call, fields, function.into());
    }

    pub(super) fn load_foreign(&mut self, global: Global) -> Value {
        self.call_accessor(global, 0);
        self.result(global.kind)
    }

    pub(super) fn store_foreign(&mut self, global: Global, register: u16) {
        let window = self.body.tops;
        let slot = self.body.allocate(global.kind);
        self.move_to(global.kind, slot, register);
        self.body.tops = window;
        self.call_accessor(global, 1);
    }

    /// The functions by which later inputs reach the variables of this one.
    fn accessors(&mut self) {
        for (symbol, global) in core::mem::take(&mut self.own_variables) {
            for (way, word) in ACCESS.iter().enumerate() {
                let place = self.reserve_function();
                self.symbols.functions.insert(place, format!("{word} {symbol}"));
                self.body = Body { file: 0, ..Body::default() };
                let value: Vec<ValueType> = global.kind.value().into_iter().collect();
                let (parameters, results) = if way == 0 {
                    let found = self.load_global(global);
                    let reference = global.kind.is_reference();
                    let opcode = if reference { Opcode::ReturnRef } else { Opcode::ReturnRaw };
                    self.body.emitter.emit(opcode, found.register, 0, 0);
                    (Vec::new(), value)
                } else {
                    let register = self.body.allocate(global.kind);
                    self.store_global(global, register);
                    self.body.emitter.emit(Opcode::Return, 0, 0, 0);
                    (value, Vec::new())
                };
                self.finish(place, word, parameters, results, Default::default());
            }
        }
    }

    /// Walks what the inputs do: the last for its code, those before it for the types of their variables.
    pub(super) fn inputs(&mut self, parts: &[FileParts<'s>]) {
        for (part, file) in parts.iter().zip(0..) {
            if file == self.files.main {
                self.last_input(part);
            } else if file != 0 {
                self.body = self.input_body(part, file);
                for (place, statement) in part.statements.iter().enumerate() {
                    self.input_statement(statement, place + 1 == part.statements.len());
                }
                self.body = Body::default();
                // Nothing of its code is used.
                self.strings.clear();
                self.module.strings.clear();
            }
        }
        self.accessors();
    }

    fn input_body(&self, part: &FileParts<'s>, file: u16) -> Body<'s> {
        let mut body = Body { file, ..Body::default() };
        if part.lambdas {
            body.shared = closure::shared(&part.statements).into();
        }
        body
    }

    fn last_input(&mut self, part: &FileParts<'s>) {
        let place = self.reserve_function();
        self.body = self.input_body(part, self.files.main);
        self.begin_entry();
        for (place, statement) in part.statements.iter().enumerate() {
            self.input_statement(statement, place + 1 == part.statements.len());
        }
        self.body.emitter.emit(Opcode::Return, 0, 0, 0);
        self.finish_entry(place, Vec::new());
    }

    fn input_statement(&mut self, statement: &Statement<'s>, last: bool) {
        match &statement.kind {
            StatementKind::Variables(list) => {
                self.mark_line(statement.span);
                list.iter().for_each(|variable| self.input_variable(variable));
            }
            StatementKind::Expression(value) if last && self.body.file == self.files.main => {
                self.mark_line(statement.span);
                self.show_value(value);
            }
            StatementKind::Expression(value) if last => {
                self.expression(value, None, None);
            }
            _ => self.statements(core::slice::from_ref(statement)),
        }
    }

    fn input_variable(&mut self, variable: &Variable<'s>) {
        let Some(value) = &variable.value else {
            self.refuse_uninitialized(variable.name);
            return;
        };
        let tops = self.body.tops;
        let name = variable.name;
        let (global, value) = match &variable.declared {
            Some(declared) => {
                // A function may call itself by the name of the variable.
                let kind = self.declared(declared);
                let global = self.session_variable(name.text, kind, variable.constant);
                self.define(self.body.file, name, Entity::Global(global));
                (global, self.coerced(value, kind, None))
            }
            None => {
                let found = self.expression(value, None, None);
                if matches!(found.kind, Type::Void | Type::Null) {
                    let message = format!("the type of `{}` is not to be seen", name.text);
                    let help = "write it: `let node: Node | null = null`";
                    self.diagnostics.error_with_help(name.span, message, "of what?", help);
                    return;
                }
                let global = self.session_variable(name.text, found.kind, variable.constant);
                self.define(self.body.file, name, Entity::Global(global));
                (global, found)
            }
        };
        if !self.is_foreign(global) {
            self.store_global(global, value.register);
        }
        self.body.tops = tops;
    }
}
