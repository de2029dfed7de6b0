//! Code in its linked form (ISA.md 2), handler tables, line tables.
//!
//! Only literal words change, so positions and distances are those of the file: a function's literal is the function object, a
//! class's the class object, a signature's the interned signature; the class of an interface call is its class index in object
//! space. A virtual call's method number is its place in every table below, so its literal stays as it is.

use alloc::vec::Vec;

use revenant_bytecode::{FunctionDefinition, Instruction, Literal, high_half, low_half};
use revenant_hal::ObjectAddress;

/// What the indices of one module lead to in object space.
#[derive(Debug)]
pub(super) struct Links {
    /// Function objects by function index.
    pub(super) functions: Vec<ObjectAddress>,
    /// Class objects and class indices by class index of the module.
    pub(super) classes: Vec<(ObjectAddress, u32)>,
    /// Class objects and class indices of the built-in classes by number; entry 0 is none.
    pub(super) builtins: Vec<(ObjectAddress, u32)>,
    /// Interned signatures by signature index.
    pub(super) signatures: Vec<ObjectAddress>,
}

impl Links {
    /// The class object and class index that a class reference means.
    pub(super) fn class(&self, reference: u32) -> Option<(ObjectAddress, u32)> {
        let reference = revenant_bytecode::ClassReference(reference);
        match reference.as_builtin() {
            Some(builtin) => self.builtins.get(builtin as usize).copied(),
            None => self.classes.get(reference.as_module_index()?).copied(),
        }
    }

    fn function(&self, index: u32) -> Option<ObjectAddress> {
        self.functions.get(index as usize).copied()
    }

    fn signature(&self, index: u32) -> Option<ObjectAddress> {
        self.signatures.get(index as usize).copied()
    }

    /// The code of a function in its linked form. Nothing for code that no verifier has passed.
    pub(super) fn code(&self, function: &FunctionDefinition) -> Option<Vec<u64>> {
        let mut linked = function.code.clone();
        let mut position = 0;
        while (position as usize) < linked.len() {
            let instruction = Instruction::decode(&function.code, position).ok()?;
            let literal = instruction.literal;
            let resolved = match instruction.opcode.info().literal {
                Literal::Function => self.function(low_half(literal))?.0,
                Literal::Class => self.class(low_half(literal))?.0.0,
                Literal::Signature => self.signature(low_half(literal))?.0,
                Literal::InterfaceMethod => {
                    let (_, index) = self.class(low_half(literal))?;
                    u64::from(index) | u64::from(high_half(literal)) << 32
                }
                Literal::VirtualMethod
                | Literal::None
                | Literal::I64
                | Literal::F64
                | Literal::Raw
                | Literal::Offset
                | Literal::Table => {
                    position = instruction.next();
                    continue;
                }
            };
            *linked.get_mut(position as usize + 1)? = resolved;
            position = instruction.next();
        }
        Some(linked)
    }

    /// The handler table of a function.
    pub(super) fn handlers(&self, function: &FunctionDefinition) -> Option<Vec<u64>> {
        let mut words = Vec::new();
        for handler in &function.handlers {
            let (class, _) = self.class(handler.class.0)?;
            words.push(u64::from(handler.start) | u64::from(handler.end) << 32);
            words.push(u64::from(handler.target) | u64::from(handler.register) << 32);
            words.push(class.0);
        }
        Some(words)
    }

    /// The line table of a function.
    pub(super) fn lines(function: &FunctionDefinition) -> Vec<u64> {
        let word =
            |line: &revenant_bytecode::Line| u64::from(line.position) | u64::from(line.line) << 32;
        function.lines.iter().map(word).collect()
    }
}
