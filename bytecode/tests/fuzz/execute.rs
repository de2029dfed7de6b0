//! One instruction of the checking machine: operands by the table, the rest by the operation.

use revenant_bytecode::{
    Builtin, ClassReference, ElementKind, Instruction, Literal, Native, Opcode, OpcodeInfo,
    Operand, Properties, Signature, ValueType, high_half, low_half,
};

use super::machine::{Callee, Machine, Value};

impl Machine<'_> {
    /// Executes the next instruction.
    pub(crate) fn step(&mut self) {
        self.check_block();
        let (function, position) = (self.frame().function, self.frame().position);
        let code = &self.definition(function).code;
        let instruction = Instruction::decode(code, position).expect("an instruction");
        let info = instruction.opcode.info();
        self.check_uses(&instruction, info);
        if info.properties.contains(Properties::CALLS) {
            return self.execute_call(&instruction);
        }
        if info.properties.contains(Properties::RETURNS) {
            return self.execute_return(&instruction);
        }
        if instruction.opcode == Opcode::Throw {
            return match self.reference(instruction.a) {
                Value::Null => self.throw_any(),
                exception => self.throw(exception),
            };
        }
        let throws = info.properties.contains(Properties::THROWS);
        if instruction.opcode == Opcode::Unreachable || (throws && self.random.one_in(25)) {
            return self.throw_any();
        }
        if info.properties.contains(Properties::BRANCHES) {
            return self.execute_branch(&instruction);
        }
        if !self.execute_operation(&instruction) {
            return self.throw_any();
        }
        for (field, operand) in
            [instruction.a, instruction.b, instruction.c].into_iter().zip(info.operands)
        {
            let kind = match operand {
                Operand::DefI32 => ValueType::I32,
                Operand::DefI64 => ValueType::I64,
                Operand::DefF32 => ValueType::F32,
                Operand::DefF64 => ValueType::F64,
                _ => continue,
            };
            let value = self.make(kind);
            self.frame().raws[usize::from(field)] = value;
        }
        self.frame().position = instruction.next();
    }

    fn reference(&mut self, register: u16) -> Value {
        let value = self.frame().references[usize::from(register)];
        assert!(matches!(value, Value::Null | Value::Object(_)), "r{register} holds {value:?}");
        value
    }

    fn raw(&mut self, register: u16) -> Value {
        self.frame().raws[usize::from(register)]
    }

    /// Every register that the table says is read holds its kind.
    fn check_uses(&mut self, instruction: &Instruction, info: &OpcodeInfo) {
        let fields = [instruction.a, instruction.b, instruction.c];
        for (field, operand) in fields.into_iter().zip(info.operands) {
            let good = match operand {
                Operand::UseI32 => matches!(self.raw(field), Value::I32(_)),
                Operand::UseI64 => matches!(self.raw(field), Value::I64(_)),
                Operand::UseF32 => matches!(self.raw(field), Value::F32(_)),
                Operand::UseF64 => matches!(self.raw(field), Value::F64(_)),
                Operand::UseInteger => matches!(self.raw(field), Value::I32(_) | Value::I64(_)),
                Operand::UseRaw | Operand::UpdateRaw => matches!(
                    self.raw(field),
                    Value::I32(_) | Value::I64(_) | Value::F32(_) | Value::F64(_)
                ),
                Operand::UseRef | Operand::UpdateRef => {
                    self.reference(field);
                    true
                }
                _ => true,
            };
            assert!(good, "{}: {operand:?} n{field} holds {:?}", info.mnemonic, self.raw(field));
        }
    }

    fn execute_branch(&mut self, instruction: &Instruction) {
        let (a, b) = (instruction.a, instruction.b);
        let taken = match instruction.opcode {
            Opcode::Jump => true,
            Opcode::BranchNull => self.reference(a) == Value::Null,
            Opcode::BranchNonNull => self.reference(a) != Value::Null,
            Opcode::RefBranchEq => self.reference(a) == self.reference(b),
            Opcode::RefBranchNe => self.reference(a) != self.reference(b),
            _ => self.random.one_in(2),
        };
        let function = self.frame().function;
        let code = &self.definition(function).code;
        let mut target = instruction.target();
        if instruction.opcode == Opcode::JumpTable {
            let index = u16::try_from(self.random.below(usize::from(b) + 1)).expect("16 bits");
            target = Some(instruction.next());
            if index < b {
                target = instruction.table_target(code, index);
            }
        }
        let next = if taken || instruction.opcode == Opcode::JumpTable {
            target.expect("a target")
        } else {
            instruction.next()
        };
        self.frame().position = next;
    }

    fn execute_return(&mut self, instruction: &Instruction) {
        let function = self.frame().function;
        let signature = self.signature_of(function);
        let (mut reference, mut raw) = (instruction.a, instruction.b);
        if instruction.opcode == Opcode::ReturnRaw {
            raw = instruction.a;
        }
        let mut results = Vec::new();
        for wanted in &signature.results {
            let value = if wanted.is_reference() {
                reference += 1;
                self.reference(reference - 1)
            } else {
                raw += 1;
                self.raw(raw - 1)
            };
            self.assert_is(value, *wanted, "result");
            results.push(value);
        }
        let count = match instruction.opcode {
            Opcode::Return => 0,
            Opcode::ReturnRaw | Opcode::ReturnRef => 1,
            _ => results.len(),
        };
        assert_eq!(count, results.len());
        self.frames.pop();
        if self.frames.is_empty() {
            return;
        }
        let (function, position) = (self.frame().function, self.frame().position);
        let call = Instruction::decode(&self.definition(function).code, position).expect("a call");
        self.give_results(&call, &results);
    }

    fn execute_call(&mut self, instruction: &Instruction) {
        let (low, high) = (low_half(instruction.literal), high_half(instruction.literal));
        let method = usize::try_from(high).expect("a method");
        match instruction.opcode {
            Opcode::Call => {
                let signature = self.module.function_signature(low).expect("a function").clone();
                self.call(instruction, &self.function(low), &signature);
            }
            Opcode::CallNative => {
                let info = Native::from_number(instruction.c).expect("a native").info();
                let signature = Signature {
                    parameters: info.parameters.to_vec(),
                    results: info.results.to_vec(),
                };
                self.call(instruction, &Callee::Outside, &signature);
            }
            Opcode::CallVirtual | Opcode::CallInterface => {
                let Value::Object(receiver) = self.reference(instruction.a) else {
                    return self.throw_from_call(instruction);
                };
                let declaring = ClassReference(low);
                let class = self.heap[receiver].class;
                assert!(self.is_below(class, declaring));
                let signature = self.method_signature(declaring, method);
                let callee = if instruction.opcode == Opcode::CallVirtual {
                    self.virtual_method(class, method)
                } else {
                    self.interface_method(class, declaring, method)
                };
                self.call(instruction, &callee, &signature);
            }
            _ => {
                let closure = instruction.opcode == Opcode::CallClosure;
                let register = if closure { instruction.a } else { instruction.c };
                let Value::Object(object) = self.reference(register) else {
                    return self.throw_from_call(instruction);
                };
                let class = if closure { Builtin::Closure } else { Builtin::Function };
                assert!(self.heap[object].class == ClassReference::builtin(class));
                let wanted = self.module.signature(low).expect("a signature");
                let function = self.heap[object].function;
                let found = function.and_then(|number| self.module.function_signature(number));
                match function {
                    Some(number) if found == Some(wanted) => {
                        self.call(instruction, &self.function(number), &wanted.clone());
                    }
                    _ => self.throw_from_call(instruction),
                }
            }
        }
    }

    /// A call that throws has lost its window.
    fn throw_from_call(&mut self, instruction: &Instruction) {
        let frame = self.frame();
        frame.references[usize::from(instruction.a)..].fill(Value::Undefined);
        frame.raws[usize::from(instruction.b)..].fill(Value::Undefined);
        self.throw_any();
    }

    /// The signature of a method of the declaring class's table.
    fn method_signature(&self, class: ClassReference, place: usize) -> Signature {
        let mut shapes = Vec::new();
        let mut class = class;
        while let Some(shape) = self.module.shape(class) {
            shapes.push(shape);
            class = shape.superclass;
        }
        let methods: Vec<u32> = shapes
            .iter()
            .rev()
            .flat_map(|shape| shape.methods.iter().map(|method| method.signature))
            .collect();
        self.module.signature(methods[place]).expect("a signature").clone()
    }

    /// What neither falls under calls nor branches; false if it throws.
    fn execute_operation(&mut self, instruction: &Instruction) -> bool {
        use Opcode as O;
        let (a, b, c) = (instruction.a, instruction.b, instruction.c);
        let class = ClassReference(low_half(instruction.literal));
        match instruction.opcode {
            O::MoveRaw => self.frame().raws[usize::from(a)] = self.raw(b),
            O::MoveRawIf => {
                let (kept, moved) = (self.raw(a), self.raw(b));
                let alike = core::mem::discriminant(&kept) == core::mem::discriminant(&moved);
                assert!(alike, "{kept:?} and {moved:?}");
            }
            O::MoveRef => self.set_reference(a, b),
            O::MoveRefIf if self.random.one_in(2) => self.set_reference(a, b),
            O::Null => self.frame().references[usize::from(a)] = Value::Null,
            O::NullCheck => {
                if self.reference(b) == Value::Null {
                    return false;
                }
                self.set_reference(a, b);
            }
            O::Cast => {
                if let Value::Object(object) = self.reference(b)
                    && !self.is_below(self.heap[object].class, class)
                {
                    return false;
                }
                self.set_reference(a, b);
            }
            O::StringConst => self.new_into(a, ClassReference::builtin(Builtin::String)),
            O::ObjectNew => self.new_into(a, class),
            O::BufferNew => self.new_into(a, ClassReference::builtin(Builtin::ByteBuffer)),
            O::ArrayNew => {
                let Value::I64(length) = self.raw(b) else { panic!("no length") };
                if length > 16 {
                    return false;
                }
                let value = self.new_object(class, usize::try_from(length).expect("small"));
                self.frame().references[usize::from(a)] = value;
            }
            O::FunctionConst | O::ClosureNew => self.new_function(instruction),
            O::ClosureEnvironment => {
                let Value::Object(object) = self.reference(b) else { return false };
                assert!(self.heap[object].class == ClassReference::builtin(Builtin::Closure));
                let value = self.heap[object].environment;
                self.frame().references[usize::from(a)] = value;
            }
            O::StaticLoadRaw | O::StaticLoadRef | O::StaticStoreRaw | O::StaticStoreRef => {
                let index = usize::try_from(instruction.wide()).expect("an index");
                let wanted = self.module.statics[index].value;
                let mut variable = self.statics[index];
                self.variable(instruction, &mut variable, wanted);
                self.statics[index] = variable;
            }
            _ => return self.execute_memory(instruction, c),
        }
        true
    }

    /// Fields, arrays, buffers; false if it throws.
    fn execute_memory(&mut self, instruction: &Instruction, c: u16) -> bool {
        let info = instruction.opcode.info();
        let mnemonic = info.mnemonic;
        let is_field = mnemonic.starts_with("field.") || mnemonic.starts_with("extension.");
        let is_array = mnemonic.starts_with("array.");
        let is_buffer =
            info.literal == Literal::Offset || instruction.opcode == Opcode::BufferLength;
        if !is_field && !is_array && !is_buffer {
            return true;
        }
        let Value::Object(object) = self.reference(instruction.b) else { return false };
        if is_buffer {
            let buffer = ClassReference::builtin(Builtin::ByteBuffer);
            assert!(self.heap[object].class == buffer, "{mnemonic} of another class");
            return true;
        }
        if is_field {
            let extension = mnemonic.starts_with("extension.");
            let slot = usize::from(c);
            let wanted = self.all_fields(self.heap[object].class, extension)[slot];
            let stored = &self.heap[object];
            let mut value = if extension { stored.extension[slot] } else { stored.fields[slot] };
            self.variable(instruction, &mut value, wanted);
            let stored = &mut self.heap[object];
            let list = if extension { &mut stored.extension } else { &mut stored.fields };
            list[slot] = value;
            return true;
        }
        let element = self.element(self.heap[object].class);
        let (kind, wanted) = element.expect("an array class");
        if instruction.opcode == Opcode::ArrayLength {
            return true;
        }
        assert!(mnemonic.ends_with(suffix(kind)), "{mnemonic} of an array of {kind:?}");
        let index = match self.raw(c) {
            Value::I32(index) => u64::from(index),
            Value::I64(index) => index,
            other => panic!("index {other:?}"),
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(mut value) = self.heap[object].elements.get(index).copied() else { return false };
        self.variable(instruction, &mut value, wanted);
        self.heap[object].elements[index] = value;
        true
    }

    /// Loads from or stores to a variable of a known type.
    fn variable(&mut self, instruction: &Instruction, variable: &mut Value, wanted: ValueType) {
        let a = usize::from(instruction.a);
        let mnemonic = instruction.opcode.info().mnemonic;
        let reference = wanted.is_reference();
        if mnemonic.contains("load") {
            self.assert_is(*variable, wanted, "variable");
            let frame = self.frame();
            let list = if reference { &mut frame.references } else { &mut frame.raws };
            list[a] = *variable;
        } else {
            let frame = self.frame();
            let list = if reference { &frame.references } else { &frame.raws };
            let value = list[a];
            self.assert_is(value, wanted, "stored value");
            *variable = value;
        }
    }

    fn set_reference(&mut self, to: u16, from: u16) {
        let value = self.reference(from);
        self.frame().references[usize::from(to)] = value;
    }

    fn new_into(&mut self, register: u16, class: ClassReference) {
        let value = self.new_object(class, 0);
        self.frame().references[usize::from(register)] = value;
    }

    fn new_function(&mut self, instruction: &Instruction) {
        let closure = instruction.opcode == Opcode::ClosureNew;
        let class = if closure { Builtin::Closure } else { Builtin::Function };
        let number = if closure { low_half(instruction.literal) } else { instruction.wide() };
        let environment = if closure { self.reference(instruction.b) } else { Value::Null };
        let value = self.new_object(ClassReference::builtin(class), 0);
        let Value::Object(object) = value else { return };
        self.heap[object].function = Some(number);
        self.heap[object].environment = environment;
        self.frame().references[usize::from(instruction.a)] = value;
    }
}

/// The end of the names of operations on arrays of a kind.
fn suffix(kind: ElementKind) -> &'static str {
    match kind {
        ElementKind::U8 => "u8",
        ElementKind::I16 => "i16",
        ElementKind::I32 => "i32",
        ElementKind::I64 => "i64",
        ElementKind::F32 => "f32",
        ElementKind::F64 => "f64",
        ElementKind::Reference => "ref",
    }
}
