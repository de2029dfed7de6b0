//! From a module that holds everything an input of a session needs to one that imports what earlier inputs have emitted.
//!
//! What nothing reaches from what is new is left out; what is left keeps its order, imports first, so superclasses still come before the
//! classes below them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    ClassImport, ClassKind, ClassReference, ClassShape, Export, ExportItem, FunctionDefinition,
    FunctionImport, Instruction, Literal, MethodBody, Module, Signature, ValueType, low_half,
};

use crate::lower::{Known, Symbols};

/// The name of the module of an input.
pub(crate) fn module_name(input: u16) -> String {
    format!("input{input}")
}

/// Something with a number that the module holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Item {
    Class(u32),
    Function(u32),
    Signature(u32),
}

/// What is reached, and what has still to be looked at.
struct Reached<'m> {
    module: &'m Module,
    known: &'m Known,
    symbols: &'m Symbols,
    all: BTreeSet<Item>,
    open: Vec<Item>,
}

/// New numbers by old ones.
#[derive(Default)]
struct Numbers {
    classes: BTreeMap<u32, u32>,
    functions: BTreeMap<u32, u32>,
    signatures: BTreeMap<u32, u32>,
}

/// The input that has emitted a class or function.
fn emitted(known: &BTreeMap<String, u16>, symbols: &BTreeMap<u32, String>, at: u32) -> Option<u16> {
    known.get(symbols.get(&at)?).copied()
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Reached<'_> {
    fn reach(&mut self, item: Item) {
        if self.all.insert(item) {
            self.open.push(item);
        }
    }

    fn class(&mut self, class: ClassReference) {
        if class.as_module_index().is_some() {
            self.reach(Item::Class(class.0));
        }
    }

    fn value(&mut self, value: ValueType) {
        if let ValueType::Reference { class, .. } = value {
            self.class(class);
        }
    }

    fn run(&mut self) {
        while let Some(item) = self.open.pop() {
            match item {
                Item::Class(number) => self.look_at_class(number),
                Item::Function(number) => self.look_at_function(number),
                Item::Signature(number) => {
                    let Some(signature) = self.module.signatures.get(place(number)) else {
                        continue;
                    };
                    signature.parameters.iter().for_each(|value| self.value(*value));
                    signature.results.iter().for_each(|value| self.value(*value));
                }
            }
        }
    }

    fn look_at_class(&mut self, number: u32) {
        let Some(class) = self.module.classes.get(place(number)) else { return };
        let shape = &class.shape;
        self.class(shape.superclass);
        shape.interfaces.iter().for_each(|class| self.class(*class));
        let fields = shape.fields.iter().chain(&shape.extension_fields);
        fields.for_each(|field| self.value(field.value));
        shape.methods.iter().for_each(|method| self.reach(Item::Signature(method.signature)));
        if let ClassKind::Array { class, .. } = shape.kind {
            self.class(class);
        }
        if emitted(&self.known.classes, &self.symbols.classes, number).is_some() {
            return;
        }
        for body in &class.bodies {
            if let MethodBody::Function(function) = body {
                self.reach(Item::Function(*function));
            }
        }
    }

    fn look_at_function(&mut self, number: u32) {
        let Some(function) = self.module.functions.get(place(number)) else { return };
        self.reach(Item::Signature(function.signature));
        if emitted(&self.known.functions, &self.symbols.functions, number).is_some() {
            return;
        }
        function.handlers.iter().for_each(|handler| self.class(handler.class));
        for (_, literal, meaning) in literals(function) {
            let number = low_half(literal);
            match meaning {
                Literal::Function => self.reach(Item::Function(number)),
                Literal::Class | Literal::VirtualMethod | Literal::InterfaceMethod => {
                    self.class(ClassReference(number));
                }
                Literal::Signature => self.reach(Item::Signature(number)),
                _ => {}
            }
        }
    }
}

/// The literal words of a function that may name something, with their places.
fn literals(function: &FunctionDefinition) -> Vec<(usize, u64, Literal)> {
    let mut found = Vec::new();
    let mut position = 0;
    while place(position) < function.code.len() {
        let Ok(instruction) = Instruction::decode(&function.code, position) else { break };
        let meaning = instruction.opcode.info().literal;
        found.push((place(position).saturating_add(1), instruction.literal, meaning));
        position = instruction.next();
    }
    found
}

impl Numbers {
    fn of(&mut self, class: ClassReference) -> ClassReference {
        self.classes.get(&class.0).map_or(class, |number| ClassReference(*number))
    }

    fn value(&mut self, value: &mut ValueType) {
        if let ValueType::Reference { class, .. } = value {
            *class = self.of(*class);
        }
    }

    fn signature(&self, number: u32) -> u32 {
        self.signatures.get(&number).copied().unwrap_or_default()
    }

    fn function(&self, number: u32) -> u32 {
        self.functions.get(&number).copied().unwrap_or_default()
    }

    fn shape(&mut self, shape: &mut ClassShape) {
        shape.superclass = self.of(shape.superclass);
        for class in &mut shape.interfaces {
            *class = self.of(*class);
        }
        for field in shape.fields.iter_mut().chain(&mut shape.extension_fields) {
            self.value(&mut field.value);
        }
        for method in &mut shape.methods {
            method.signature = self.signature(method.signature);
        }
        if let ClassKind::Array { class, .. } = &mut shape.kind {
            *class = self.of(*class);
        }
    }

    fn code(&mut self, function: &mut FunctionDefinition) {
        function.signature = self.signature(function.signature);
        for handler in &mut function.handlers {
            handler.class = self.of(handler.class);
        }
        for (at, literal, meaning) in literals(function) {
            let number = low_half(literal);
            let new = match meaning {
                Literal::Function => self.function(number),
                Literal::Class | Literal::VirtualMethod | Literal::InterfaceMethod => {
                    self.of(ClassReference(number)).0
                }
                Literal::Signature => self.signature(number),
                _ => continue,
            };
            if let Some(word) = function.code.get_mut(at) {
                *word = literal - u64::from(number) + u64::from(new);
            }
        }
    }
}

/// The module with imports, and the symbols that it exports.
pub(crate) fn detach(mut module: Module, known: &Known, symbols: &Symbols) -> Module {
    let (all, open) = (BTreeSet::new(), Vec::new());
    let mut reached = Reached { module: &module, known, symbols, all, open };
    for export in &module.exports {
        if let ExportItem::Function(number) = export.item {
            reached.reach(Item::Function(number));
        }
    }
    module.statics.iter().for_each(|field| reached.value(field.value));
    for (number, symbol) in &symbols.functions {
        if !known.functions.contains_key(symbol) {
            reached.reach(Item::Function(*number));
        }
    }
    for (number, symbol) in &symbols.classes {
        if !known.classes.contains_key(symbol) {
            reached.reach(Item::Class(*number));
        }
    }
    reached.run();
    let all = reached.all;
    let mut numbers = Numbers::default();
    let signatures = signatures(&mut module, &all, &mut numbers);
    number_definitions(&all, known, symbols, &mut numbers);
    module.signatures = signatures;
    for signature in &mut module.signatures {
        signature.parameters.iter_mut().for_each(|value| numbers.value(value));
        signature.results.iter_mut().for_each(|value| numbers.value(value));
    }
    module.statics.iter_mut().for_each(|field| numbers.value(&mut field.value));
    for export in &mut module.exports {
        if let ExportItem::Function(number) = &mut export.item {
            *number = numbers.function(*number);
        }
    }
    move_classes(&mut module, known, symbols, &all, &mut numbers);
    move_functions(&mut module, known, symbols, &all, &mut numbers);
    module
}

fn signatures(module: &mut Module, all: &BTreeSet<Item>, numbers: &mut Numbers) -> Vec<Signature> {
    let mut kept = Vec::new();
    for (old, signature) in (0..).zip(core::mem::take(&mut module.signatures)) {
        if all.contains(&Item::Signature(old)) {
            numbers.signatures.insert(old, count(&kept));
            kept.push(signature);
        }
    }
    kept
}

fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// Imports first, then definitions, each in their order.
fn number_definitions(
    all: &BTreeSet<Item>,
    known: &Known,
    symbols: &Symbols,
    numbers: &mut Numbers,
) {
    for imports in [true, false] {
        for item in all {
            match *item {
                Item::Class(old) => {
                    let import = emitted(&known.classes, &symbols.classes, old).is_some();
                    if import == imports {
                        let new = u32::try_from(numbers.classes.len()).unwrap_or(u32::MAX);
                        numbers.classes.insert(old, new);
                    }
                }
                Item::Function(old) => {
                    let import = emitted(&known.functions, &symbols.functions, old).is_some();
                    if import == imports {
                        let new = u32::try_from(numbers.functions.len()).unwrap_or(u32::MAX);
                        numbers.functions.insert(old, new);
                    }
                }
                Item::Signature(_) => {}
            }
        }
    }
}

fn move_classes(
    module: &mut Module,
    known: &Known,
    symbols: &Symbols,
    all: &BTreeSet<Item>,
    numbers: &mut Numbers,
) {
    for (old, mut class) in (0..).zip(core::mem::take(&mut module.classes)) {
        if !all.contains(&Item::Class(old)) {
            continue;
        }
        numbers.shape(&mut class.shape);
        let symbol = symbols.classes.get(&old).cloned();
        if let Some(input) = emitted(&known.classes, &symbols.classes, old) {
            let (module_name, symbol) = (module_name(input), symbol.unwrap_or_default());
            let shape = class.shape;
            module.class_imports.push(ClassImport { module: module_name, symbol, shape });
            continue;
        }
        for body in &mut class.bodies {
            if let MethodBody::Function(function) = body {
                *function = numbers.function(*function);
            }
        }
        if let Some(name) = symbol {
            let item = ExportItem::Class(numbers.of(ClassReference(old)));
            module.exports.push(Export { name, item });
        }
        module.classes.push(class);
    }
}

fn move_functions(
    module: &mut Module,
    known: &Known,
    symbols: &Symbols,
    all: &BTreeSet<Item>,
    numbers: &mut Numbers,
) {
    for (old, mut function) in (0..).zip(core::mem::take(&mut module.functions)) {
        if !all.contains(&Item::Function(old)) {
            continue;
        }
        let symbol = symbols.functions.get(&old).cloned();
        if let Some(input) = emitted(&known.functions, &symbols.functions, old) {
            let signature = numbers.signature(function.signature);
            let (module_name, symbol) = (module_name(input), symbol.unwrap_or_default());
            let import = FunctionImport { module: module_name, symbol, signature };
            module.function_imports.push(import);
            continue;
        }
        numbers.code(&mut function);
        if let Some(name) = symbol {
            let item = ExportItem::Function(numbers.function(old));
            module.exports.push(Export { name, item });
        }
        module.functions.push(function);
    }
}
