//! A machine that checks what the verifier promises: every register, field and argument has its kind, at every instruction.
//!
//! Values carry their kinds. Numbers are drawn, not computed: no promise depends on them, and branches go both ways so. References are
//! real: objects with classes and fields, tables of methods, handlers. Whatever contradicts a promise panics. Written apart from the
//! verifier on purpose, subclassing included.

use revenant_bytecode::{
    Builtin, BuiltinKind, ClassKind, ClassReference, ElementKind, FunctionDefinition, Handler,
    Instruction, Module, Signature, ValueType, VerifiedModule,
};

use super::random::Random;

/// A value with its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Undefined,
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    Null,
    Object(usize),
}

/// An object.
pub(crate) struct Object {
    pub(crate) class: ClassReference,
    pub(crate) fields: Vec<Value>,
    pub(crate) extension: Vec<Value>,
    pub(crate) elements: Vec<Value>,
    /// The function of a `Function` or `Closure`.
    pub(crate) function: Option<u32>,
    pub(crate) environment: Value,
}

/// A frame. Windows are copied: to kinds that is the same as overlapping.
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) position: u32,
    pub(crate) references: Vec<Value>,
    pub(crate) raws: Vec<Value>,
}

/// What a call leads to.
pub(crate) enum Callee {
    /// A definition of this module.
    Own(usize),
    /// Something outside, which answers by its signature.
    Outside,
}

/// The machine over one verified module.
pub(crate) struct Machine<'m> {
    /// The verifier's word on frames; none for modules that it refused, which tests of this machine run.
    verified: Option<&'m VerifiedModule>,
    pub(crate) module: &'m Module,
    pub(crate) random: Random,
    pub(crate) heap: Vec<Object>,
    pub(crate) statics: Vec<Value>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) steps: u32,
}

/// Frames until a call throws.
const DEPTH_MAX: usize = 40;

impl<'m> Machine<'m> {
    pub(crate) fn new(module: &'m Module, verified: Option<&'m VerifiedModule>, seed: u64) -> Self {
        let statics = module.statics.iter().map(|variable| zero(variable.value)).collect();
        Self {
            verified,
            module,
            random: Random::new(seed),
            heap: Vec::new(),
            statics,
            frames: Vec::new(),
            steps: 0,
        }
    }

    /// Runs functions of the module until so many instructions were executed.
    pub(crate) fn run(&mut self, instructions: u32) {
        if self.module.functions.is_empty() {
            return;
        }
        while self.steps < instructions {
            if self.frames.is_empty() {
                let function = self.random.below(self.module.functions.len());
                let signature = self.signature_of(function).clone();
                let arguments: Vec<Value> =
                    signature.parameters.iter().map(|value| self.make(*value)).collect();
                self.enter(function, &arguments);
            }
            self.steps += 1;
            self.step();
        }
    }

    pub(crate) fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a frame")
    }

    pub(crate) fn definition(&self, function: usize) -> &'m FunctionDefinition {
        &self.module.functions[function]
    }

    pub(crate) fn signature_of(&self, function: usize) -> &'m Signature {
        self.module.signature(self.definition(function).signature).expect("a signature")
    }

    /// Enters a definition with arguments, which must be what its signature says.
    pub(crate) fn enter(&mut self, function: usize, arguments: &[Value]) {
        let definition = self.definition(function);
        let signature = self.signature_of(function);
        assert_eq!(arguments.len(), signature.parameters.len());
        let mut references = vec![Value::Undefined; definition.reference_registers.into()];
        let mut raws = vec![Value::Undefined; definition.raw_registers.into()];
        let (mut next_reference, mut next_raw) = (0, 0);
        for (value, wanted) in arguments.iter().zip(&signature.parameters) {
            self.assert_is(*value, *wanted, "argument");
            if wanted.is_reference() {
                references[next_reference] = *value;
                next_reference += 1;
            } else {
                raws[next_raw] = *value;
                next_raw += 1;
            }
        }
        self.frames.push(Frame { function, position: 0, references, raws });
    }

    /// Before an instruction: declared types hold, what is not declared is undefined.
    pub(crate) fn check_block(&mut self) {
        let (function, position) = (self.frame().function, self.frame().position);
        let definition = self.definition(function);
        if let Ok(index) = definition.blocks.binary_search_by_key(&position, |block| block.position)
        {
            let frame = self.frame();
            let mut references = vec![Value::Undefined; frame.references.len()];
            let mut raws = vec![Value::Undefined; frame.raws.len()];
            for entry in &definition.blocks[index].registers {
                let register = usize::from(entry.register);
                let frame = self.frames.last().expect("a frame");
                let list = if entry.value.is_reference() { &frame.references } else { &frame.raws };
                let value = list[register];
                self.assert_is(value, entry.value, "declared register");
                let list = if entry.value.is_reference() { &mut references } else { &mut raws };
                list[register] = value;
            }
            let frame = self.frame();
            frame.references = references;
            frame.raws = raws;
        }
        if self.random.one_in(400) {
            self.check_types_at(function, position);
        }
    }

    /// What the verifier says of any instruction must hold for a frame that stands there.
    fn check_types_at(&self, function: usize, position: u32) {
        let Some(verified) = self.verified else { return };
        let state = verified.types_at(function, position).expect("an instruction");
        let frame = self.frames.last().expect("a frame");
        for (register, value) in (0_u16..).zip(&frame.references) {
            if let Some(known) = state.reference(register) {
                self.assert_is(*value, known.value(), "reference at a position");
            }
        }
        for (register, value) in (0_u16..).zip(&frame.raws) {
            if let Some(known) = state.raw(register) {
                self.assert_is(*value, known.value(), "raw at a position");
            }
        }
    }

    /// The value must be of the type.
    pub(crate) fn assert_is(&self, value: Value, wanted: ValueType, what: &str) {
        let good = match (value, wanted) {
            (Value::I32(_), ValueType::I32)
            | (Value::I64(_), ValueType::I64)
            | (Value::F32(_), ValueType::F32)
            | (Value::F64(_), ValueType::F64) => true,
            (Value::Null, ValueType::Reference { nullable, .. }) => nullable,
            (Value::Object(object), ValueType::Reference { class, .. }) => {
                self.is_below(self.heap[object].class, class)
            }
            _ => false,
        };
        assert!(good, "{what}: {value:?} is not {wanted:?}");
    }

    /// Subclassing, straight from the shapes.
    pub(crate) fn is_below(&self, below: ClassReference, above: ClassReference) -> bool {
        if below == above || above == ClassReference::builtin(Builtin::Object) {
            return true;
        }
        if let Some(builtin) = below.as_builtin() {
            let upper = builtin.superclass();
            return upper != builtin && self.is_below(ClassReference::builtin(upper), above);
        }
        let shape = self.module.shape(below).expect("a class");
        shape.interfaces.iter().any(|interface| self.is_below(*interface, above))
            || self.is_below(shape.superclass, above)
    }

    /// A value of the type; references are null now and then, where they may be.
    pub(crate) fn make(&mut self, wanted: ValueType) -> Value {
        let bits = self.random.small64();
        let low = u32::try_from(bits & 0xffff_ffff).expect("32 bits");
        match wanted {
            ValueType::I32 => Value::I32(low),
            ValueType::I64 => Value::I64(bits),
            ValueType::F32 => Value::F32(low),
            ValueType::F64 => Value::F64(bits),
            ValueType::Reference { nullable: true, .. } if self.random.one_in(3) => Value::Null,
            ValueType::Reference { class, .. } => self.make_object(class),
        }
    }

    /// An object of the class or, if the class has none, of one below it.
    pub(crate) fn make_object(&mut self, class: ClassReference) -> Value {
        let mut class = class;
        let has_objects = |class: ClassReference| {
            self.module.shape(class).is_none_or(|shape| {
                matches!(shape.kind, ClassKind::Plain | ClassKind::Array { .. })
            })
        };
        if !has_objects(class) {
            let imports = self.module.class_imports.len();
            let own = (imports..imports + self.module.classes.len())
                .map(|index| ClassReference(u32::try_from(index).expect("few classes")))
                .find(|below| has_objects(*below) && self.is_below(*below, class));
            class = own.unwrap_or(class);
        }
        let length = self.random.below(6);
        self.new_object(class, length)
    }

    /// A new object: all zero and null.
    pub(crate) fn new_object(&mut self, class: ClassReference, length: usize) -> Value {
        let fields = self.all_fields(class, false).into_iter().map(zero).collect();
        let extension = self.all_fields(class, true).into_iter().map(zero).collect();
        let elements = match self.element(class) {
            Some((_, value)) => vec![zero(value); length],
            None => Vec::new(),
        };
        let mut object =
            Object { class, fields, extension, elements, function: None, environment: Value::Null };
        let is_closure = class == ClassReference::builtin(Builtin::Closure);
        if is_closure || class == ClassReference::builtin(Builtin::Function) {
            let closure = ValueType::object(Builtin::Closure);
            let fitting: Vec<u32> = (0_u32..)
                .take(self.module.function_imports.len() + self.module.functions.len())
                .filter(|function| {
                    let signature = self.module.function_signature(*function).expect("a function");
                    !is_closure || signature.parameters.first() == Some(&closure)
                })
                .collect();
            if !fitting.is_empty() {
                object.function = Some(*self.random.pick(&fitting));
            }
        }
        self.heap.push(object);
        Value::Object(self.heap.len() - 1)
    }

    /// Types of the fields, the superclass's first.
    pub(crate) fn all_fields(&self, class: ClassReference, extension: bool) -> Vec<ValueType> {
        if let Some(builtin) = class.as_builtin() {
            let own = builtin.fields().iter().map(|(_, value)| *value);
            return if extension { Vec::new() } else { own.collect() };
        }
        let shape = self.module.shape(class).expect("a class");
        let mut all = self.all_fields(shape.superclass, extension);
        let own = if extension { &shape.extension_fields } else { &shape.fields };
        all.extend(own.iter().map(|field| field.value));
        all
    }

    /// Kind and type of an array class's elements.
    pub(crate) fn element(&self, class: ClassReference) -> Option<(ElementKind, ValueType)> {
        if let Some(builtin) = class.as_builtin() {
            let BuiltinKind::Array(kind) = builtin.kind() else { return None };
            return Some((kind, builtin.element().expect("an array")));
        }
        let ClassKind::Array { element, class } = self.module.shape(class)?.kind else {
            return None;
        };
        let value = match element {
            ElementKind::U8 | ElementKind::I16 | ElementKind::I32 => ValueType::I32,
            ElementKind::I64 => ValueType::I64,
            ElementKind::F32 => ValueType::F32,
            ElementKind::F64 => ValueType::F64,
            ElementKind::Reference => ValueType::Reference { class, nullable: true },
        };
        Some((element, value))
    }

    /// Throws: frames are left until a handler takes the exception.
    pub(crate) fn throw(&mut self, exception: Value) {
        let Value::Object(object) = exception else { panic!("{exception:?} was thrown") };
        let class = self.heap[object].class;
        assert!(self.is_below(class, ClassReference::builtin(Builtin::Exception)));
        while let Some(frame) = self.frames.last() {
            let position = frame.position;
            let handlers = &self.definition(frame.function).handlers;
            let takes = |handler: &&Handler| {
                (handler.start..handler.end).contains(&position)
                    && self.is_below(class, handler.class)
            };
            if let Some(handler) = handlers.iter().find(takes).copied() {
                let frame = self.frame();
                frame.references[usize::from(handler.register)] = exception;
                frame.position = handler.target;
                return;
            }
            self.frames.pop();
        }
    }

    /// Throws one of the exceptions that operations throw.
    pub(crate) fn throw_any(&mut self) {
        let first = Builtin::Exception as usize;
        let count = Builtin::ALL.len() - first + 1;
        let class = Builtin::ALL[first - 1 + self.random.below(count)];
        let exception = self.new_object(ClassReference::builtin(class), 0);
        self.throw(exception);
    }

    /// Calls with arguments from the window; results come back there.
    pub(crate) fn call(
        &mut self,
        instruction: &Instruction,
        callee: &Callee,
        signature: &Signature,
    ) {
        let (a, b) = (usize::from(instruction.a), usize::from(instruction.b));
        let frame = self.frames.last_mut().expect("a frame");
        let (mut reference, mut raw) = (a, b);
        let mut arguments = Vec::new();
        for wanted in &signature.parameters {
            if wanted.is_reference() {
                arguments.push(frame.references[reference]);
                reference += 1;
            } else {
                arguments.push(frame.raws[raw]);
                raw += 1;
            }
        }
        frame.references[a..].fill(Value::Undefined);
        frame.raws[b..].fill(Value::Undefined);
        for (value, wanted) in arguments.iter().zip(&signature.parameters) {
            self.assert_is(*value, *wanted, "argument in the window");
        }
        if self.frames.len() >= DEPTH_MAX || self.random.one_in(30) {
            return self.throw_any();
        }
        match callee {
            Callee::Own(function) => self.enter(*function, &arguments),
            Callee::Outside => {
                let results: Vec<Value> =
                    signature.results.iter().map(|value| self.make(*value)).collect();
                self.give_results(instruction, &results);
            }
        }
    }

    /// Puts results where a call's window begins, and goes on after the call.
    pub(crate) fn give_results(&mut self, call: &Instruction, results: &[Value]) {
        let frame = self.frame();
        let (mut reference, mut raw) = (usize::from(call.a), usize::from(call.b));
        for value in results {
            if matches!(value, Value::Null | Value::Object(_)) {
                frame.references[reference] = *value;
                reference += 1;
            } else {
                frame.raws[raw] = *value;
                raw += 1;
            }
        }
        frame.position = call.next();
    }

    /// What stands at a place of the table of an object's class.
    pub(crate) fn virtual_method(&self, class: ClassReference, place: usize) -> Callee {
        use revenant_bytecode::MethodBody;
        let mut class = class;
        loop {
            let Some(index) = class.as_module_index() else { return Callee::Outside };
            let Some(own) = index.checked_sub(self.module.class_imports.len()) else {
                return Callee::Outside;
            };
            let definition = &self.module.classes[own];
            match definition.bodies.get(place) {
                Some(MethodBody::Function(function)) => return self.function(*function),
                Some(MethodBody::Inherited) => class = definition.shape.superclass,
                // Only objects that stand for unknown subclasses of abstract classes come here.
                Some(MethodBody::Abstract) | None => {
                    assert!(definition.shape.kind != ClassKind::Plain, "an abstract method");
                    return Callee::Outside;
                }
            }
        }
    }

    /// The method of an interface for an object of a class.
    pub(crate) fn interface_method(
        &self,
        class: ClassReference,
        interface: ClassReference,
        method: usize,
    ) -> Callee {
        let mut next = class;
        while let Some(index) = next.as_module_index() {
            let Some(own) = index.checked_sub(self.module.class_imports.len()) else {
                return Callee::Outside;
            };
            let definition = &self.module.classes[own];
            let found = definition.shape.interfaces.iter().position(|other| *other == interface);
            if let Some(places) = found.and_then(|found| definition.interface_methods.get(found)) {
                let place = usize::try_from(places[method]).expect("a place");
                return self.virtual_method(class, place);
            }
            next = definition.shape.superclass;
        }
        Callee::Outside
    }

    /// The function of a number.
    pub(crate) fn function(&self, number: u32) -> Callee {
        let index = usize::try_from(number).expect("a function");
        match index.checked_sub(self.module.function_imports.len()) {
            Some(own) => {
                assert!(own < self.module.functions.len());
                Callee::Own(own)
            }
            None => Callee::Outside,
        }
    }
}

/// The first value of a variable.
pub(crate) fn zero(value: ValueType) -> Value {
    match value {
        ValueType::I32 => Value::I32(0),
        ValueType::I64 => Value::I64(0),
        ValueType::F32 => Value::F32(0),
        ValueType::F64 => Value::F64(0),
        ValueType::Reference { .. } => Value::Null,
    }
}
