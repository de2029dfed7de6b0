//! A module as assembly text. Assembling the text gives the same module, if an assembler made it (a module may hold what
//! assembly has no words for: tables in another order, unused constants, interface methods under other names).
//!
//! Reads unverified modules too: what names nothing is written as its number.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::instruction::{Instruction, high_half, low_half};
use crate::module::{
    ClassDefinition, ClassKind, ClassShape, ExportItem, Field, FunctionDefinition, MethodBody,
    Module,
};
use crate::native::Native;
use crate::opcode::{Literal, Opcode, Operand, Properties};
use crate::types::{ClassReference, ElementKind, Signature, ValueType};

/// The module as text in the language of ASSEMBLY.md.
#[must_use]
pub fn disassemble(module: &Module) -> String {
    let mut writer = Writer { module, out: String::new() };
    writer.module();
    writer.out
}

/// Whether the assembler would read the text as one plain word and as a name.
fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    let rest = characters.all(|next| next.is_alphanumeric() || matches!(next, '_' | '.' | '$'));
    let is_register = name.strip_prefix(['r', 'n']).is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_keyword = matches!(name, "extension" | "method" | "override" | "abstract" | "catch");
    first && rest && !is_register && !is_keyword
}

/// The name as the assembler reads it: plain or in backticks.
fn name(text: &str) -> String {
    if is_plain(text) { String::from(text) } else { format!("`{}`", escape(text)) }
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' | '`' => {
                out.push('\\');
                out.push(character);
            }
            other if other.is_control() => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(other)));
            }
            other => out.push(other),
        }
    }
    out
}

struct Writer<'m> {
    module: &'m Module,
    out: String,
}

impl Writer<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn module(&mut self) {
        let module = self.module;
        self.line(&format!("module {} version {}", name(&module.name), module.version));
        self.line(&format!("source \"{}\"", escape(&module.source)));
        for import in &module.class_imports {
            let from = format!(" from {}", name(&import.module));
            self.out.push('\n');
            self.class(&import.symbol, &import.shape, None, "import ", &from);
        }
        for (index, class) in module.classes.iter().enumerate() {
            let index = index.saturating_add(module.class_imports.len());
            let exported = module.exports.iter().any(|export| match export.item {
                ExportItem::Class(class) => class.as_module_index() == Some(index),
                ExportItem::Function(_) => false,
            });
            self.out.push('\n');
            let prefix = if exported { "export " } else { "" };
            self.class(&class.name, &class.shape, Some(class), prefix, "");
        }
        if !module.statics.is_empty() {
            self.out.push('\n');
        }
        for variable in &module.statics {
            self.line(&format!("static {}", self.field(variable)));
        }
        if !module.function_imports.is_empty() {
            self.out.push('\n');
        }
        for import in &module.function_imports {
            let signature = self.signature_text(import.signature);
            let symbol = name(&import.symbol);
            self.line(&format!(
                "import function {symbol}{signature} from {}",
                name(&import.module)
            ));
        }
        for (index, function) in module.functions.iter().enumerate() {
            let index = index.saturating_add(module.function_imports.len());
            let exported = module.exports.iter().any(|export| match export.item {
                ExportItem::Function(function) => usize::try_from(function) == Ok(index),
                ExportItem::Class(_) => false,
            });
            self.out.push('\n');
            self.function(function, exported);
        }
    }

    fn class_name(&self, class: ClassReference) -> String {
        match self.module.class_name(class) {
            Some(text) => name(text),
            None => format!("`class {}`", class.0),
        }
    }

    fn value(&self, value: ValueType) -> String {
        match value {
            ValueType::I32 => String::from("i32"),
            ValueType::I64 => String::from("i64"),
            ValueType::F32 => String::from("f32"),
            ValueType::F64 => String::from("f64"),
            ValueType::Reference { class, nullable } => {
                format!("{}{}", self.class_name(class), if nullable { "?" } else { "" })
            }
        }
    }

    fn field(&self, field: &Field) -> String {
        format!("{}: {}", name(&field.name), self.value(field.value))
    }

    fn signature_text(&self, index: u32) -> String {
        match self.module.signature(index) {
            Some(signature) => self.signature(signature),
            None => format!("`signature {index}`"),
        }
    }

    fn signature(&self, signature: &Signature) -> String {
        let list = |types: &[ValueType]| {
            types.iter().map(|value| self.value(*value)).collect::<Vec<_>>().join(", ")
        };
        let parameters = list(&signature.parameters);
        match signature.results.as_slice() {
            [] => format!("({parameters})"),
            [result] => format!("({parameters}) -> {}", self.value(*result)),
            results => format!("({parameters}) -> ({})", list(results)),
        }
    }

    fn class(
        &mut self,
        text: &str,
        shape: &ClassShape,
        definition: Option<&ClassDefinition>,
        prefix: &str,
        from: &str,
    ) {
        let text = name(text);
        let keyword = match shape.kind {
            ClassKind::Plain => "class",
            ClassKind::Abstract => "abstract class",
            ClassKind::Interface => "interface",
            ClassKind::Array { element, class } => {
                let element = self.element(element, class);
                return self.line(&format!("{prefix}array {text} of {element}{from}"));
            }
        };
        let mut head = format!("{prefix}{keyword} {text}");
        if shape.superclass != ClassReference::builtin(crate::Builtin::Object) {
            head.push_str(&format!(" extends {}", self.class_name(shape.superclass)));
        }
        let interfaces: Vec<String> =
            shape.interfaces.iter().map(|class| self.class_name(*class)).collect();
        if !interfaces.is_empty() {
            head.push_str(&format!(" implements {}", interfaces.join(", ")));
        }
        self.line(&format!("{head}{from} {{"));
        for field in &shape.fields {
            self.line(&format!("    {}", self.field(field)));
        }
        for field in &shape.extension_fields {
            self.line(&format!("    extension {}", self.field(field)));
        }
        self.methods(shape, definition);
        self.line("}");
    }

    fn element(&self, element: ElementKind, class: ClassReference) -> String {
        match element {
            ElementKind::U8 => String::from("u8"),
            ElementKind::I16 => String::from("i16"),
            ElementKind::I32 => String::from("i32"),
            ElementKind::I64 => String::from("i64"),
            ElementKind::F32 => String::from("f32"),
            ElementKind::F64 => String::from("f64"),
            ElementKind::Reference => self.class_name(class),
        }
    }

    fn methods(&mut self, shape: &ClassShape, definition: Option<&ClassDefinition>) {
        let bodies = definition.map_or(&[][..], |definition| &definition.bodies);
        let inherited = bodies.len().saturating_sub(shape.methods.len());
        let names = self.inherited_names(shape.superclass);
        let function = |index: u32| name(self.module.function_name(index).unwrap_or_default());
        let mut lines = Vec::new();
        for (body, method) in bodies.iter().take(inherited).zip(&names) {
            match body {
                MethodBody::Inherited => {}
                MethodBody::Abstract => {
                    lines.push(format!("    abstract override {}", name(method)))
                }
                MethodBody::Function(index) => {
                    lines.push(format!("    override {} = {}", name(method), function(*index)));
                }
            }
        }
        for (index, method) in shape.methods.iter().enumerate() {
            let signature = self.signature_text(method.signature);
            let head = format!("method {}{signature}", name(&method.name));
            lines.push(match bodies.get(inherited.saturating_add(index)) {
                Some(MethodBody::Function(index)) => format!("    {head} = {}", function(*index)),
                Some(_) => format!("    abstract {head}"),
                None => format!("    {head}"),
            });
        }
        for line in lines {
            self.line(&line);
        }
    }

    /// Names of the methods of a class, its superclass's first.
    fn inherited_names(&self, class: ClassReference) -> Vec<String> {
        let mut levels = Vec::new();
        let mut class = class;
        while let Some(shape) = self.module.shape(class) {
            levels.push(shape);
            if levels.len() > crate::module::CLASS_DEPTH_MAX {
                break;
            }
            class = shape.superclass;
        }
        let methods = levels.iter().rev().flat_map(|shape| &shape.methods);
        methods.map(|method| method.name.clone()).collect()
    }

    fn function(&mut self, function: &FunctionDefinition, exported: bool) {
        let prefix = if exported { "export " } else { "" };
        let signature = self.signature_text(function.signature);
        self.line(&format!("{prefix}function {}{signature} {{", name(&function.name)));
        let (references, raws) = (function.reference_registers, function.raw_registers);
        self.line(&format!("    .registers {references} {raws}"));
        for handler in &function.handlers {
            let class = self.class_name(handler.class);
            self.line(&format!(
                "    catch {class} r{} from L{} to L{} at L{}",
                handler.register, handler.start, handler.end, handler.target
            ));
        }
        let labels = labels(function);
        let lines: BTreeMap<u32, u32> =
            function.lines.iter().map(|line| (line.position, line.line)).collect();
        if !lines.contains_key(&0) {
            self.line("    .line 0");
        }
        let length = u32::try_from(function.code.len()).unwrap_or(u32::MAX);
        let mut position = 0_u32;
        while position < length {
            if labels.contains(&position) {
                self.line(&format!("L{position}:"));
            }
            if let Some(line) = lines.get(&position) {
                self.line(&format!("    .line {line}"));
            }
            let Ok(instruction) = Instruction::decode(&function.code, position) else {
                self.line(&format!("    ; {position}: not an instruction"));
                break;
            };
            let text = self.instruction(&instruction, &function.code);
            self.line(&format!("    {text}"));
            position = instruction.next();
        }
        if labels.contains(&length) {
            self.line(&format!("L{length}:"));
        }
        self.line("}");
    }

    fn instruction(&self, instruction: &Instruction, code: &[u64]) -> String {
        let info = instruction.opcode.info();
        let mut operands = Vec::new();
        let fields = [instruction.a, instruction.b, instruction.c];
        for (field, operand) in fields.into_iter().zip(info.operands) {
            if !matches!(operand, Operand::None | Operand::High | Operand::Count16) {
                operands.push(self.operand(instruction, field, operand));
            }
        }
        let literal = instruction.literal;
        let low = low_half(literal);
        match info.literal {
            Literal::None => {}
            Literal::I64 => operands.push(format!("{}", literal.cast_signed())),
            Literal::Raw => operands.push(format!("{literal:#x}")),
            Literal::F64 => operands.push(float64(literal)),
            Literal::Offset => operands.push(format!("{low}")),
            Literal::Function => {
                operands.push(name(self.module.function_name(low).unwrap_or_default()));
            }
            Literal::Class => operands.push(self.class_name(ClassReference(low))),
            Literal::Signature => operands.push(self.signature_text(low)),
            Literal::VirtualMethod | Literal::InterfaceMethod => {
                operands.push(self.class_name(ClassReference(low)));
                operands.push(format!("{}", high_half(literal)));
            }
            Literal::Table => {
                for index in 0..instruction.b {
                    let target = instruction.table_target(code, index).unwrap_or(u32::MAX);
                    operands.push(format!("L{target}"));
                }
            }
        }
        let mut text = String::from(info.mnemonic);
        if !operands.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, " {}", operands.join(", "));
        }
        text
    }

    fn operand(&self, instruction: &Instruction, field: u16, operand: Operand) -> String {
        let wide = instruction.wide();
        let index = usize::try_from(wide).unwrap_or(usize::MAX);
        match operand {
            Operand::DefRef | Operand::UseRef | Operand::UpdateRef | Operand::WindowRef => {
                format!("r{field}")
            }
            Operand::Immediate16 => format!("{}", Instruction::signed(field)),
            Operand::Slot16 => format!("{field}"),
            Operand::Native => match Native::from_number(field) {
                Some(native) => String::from(native.info().name),
                None => format!("{field}"),
            },
            Operand::Displacement16 | Operand::Displacement32 => {
                format!("L{}", instruction.target().unwrap_or(u32::MAX))
            }
            Operand::Immediate32 => format!("{}", wide.cast_signed()),
            Operand::Float32 => float32(wide),
            Operand::StringIndex => match self.module.strings.get(index) {
                Some(text) => format!("\"{}\"", escape(text)),
                None => format!("`string {wide}`"),
            },
            Operand::StaticIndex => match self.module.statics.get(index) {
                Some(variable) => name(&variable.name),
                None => format!("`static {wide}`"),
            },
            Operand::FunctionIndex => name(self.module.function_name(wide).unwrap_or_default()),
            _ => format!("n{field}"),
        }
    }
}

/// Positions that something names.
fn labels(function: &FunctionDefinition) -> BTreeSet<u32> {
    let mut labels = BTreeSet::new();
    for handler in &function.handlers {
        labels.extend([handler.start, handler.end, handler.target]);
    }
    let mut position = 0_u32;
    while let Ok(instruction) = Instruction::decode(&function.code, position) {
        if instruction.opcode == Opcode::JumpTable {
            labels.extend(
                (0..instruction.b)
                    .filter_map(|index| instruction.table_target(&function.code, index)),
            );
        } else if instruction.opcode.info().properties.contains(Properties::BRANCHES) {
            labels.extend(instruction.target());
        }
        position = instruction.next();
    }
    labels
}

/// An f64 that reads back with the same bits.
fn float64(bits: u64) -> String {
    let value = f64::from_bits(bits);
    if value.is_nan() { format!("bits.{bits:x}") } else { format!("{value:?}") }
}

/// An f32 that reads back with the same bits.
fn float32(bits: u32) -> String {
    let value = f32::from_bits(bits);
    if value.is_nan() { format!("bits.{bits:x}") } else { format!("{value:?}") }
}
