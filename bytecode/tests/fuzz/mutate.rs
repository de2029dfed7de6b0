//! Mutations: of a module's structure (then encoded again, so checksum and lengths are right), and of its bytes.

use revenant_bytecode::{
    Block, ClassKind, ClassReference, ElementKind, FunctionDefinition, Instruction, Literal,
    MethodBody, Module, OPCODES, Opcode, Operand, ValueType, encode, infer_blocks, reseal,
};

use super::random::Random;

/// A mutated module file.
pub(crate) struct Mutant {
    pub(crate) bytes: Vec<u8>,
    /// Whether the structure was changed rather than bytes.
    pub(crate) structured: bool,
}

/// Makes one from a seed module.
pub(crate) fn mutant(seed: &Module, random: &mut Random) -> Mutant {
    if random.one_in(4) {
        return Mutant { bytes: mutate_bytes(encode(seed), random), structured: false };
    }
    let mut module = seed.clone();
    let count = 1 + random.below(3);
    for _ in 0..count {
        mutate(&mut module, random);
    }
    // Types that fit the new code, as an assembler would declare them; an adversary's do not have to.
    if random.one_in(2) {
        let mut inferred = module.clone();
        if infer_blocks(&mut inferred).is_ok() {
            module = inferred;
        }
    }
    Mutant { bytes: encode(&module), structured: true }
}

fn mutate_bytes(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = random.next().to_le_bytes()[0],
            2 => bytes.insert(place, random.next().to_le_bytes()[0]),
            3 => {
                let end = (place + random.below(40)).min(bytes.len());
                bytes.drain(place..end);
            }
            _ => {
                let end = (place + random.below(40)).min(bytes.len());
                let copy = bytes[place..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    if !random.one_in(4) {
        reseal(&mut bytes);
    }
    bytes
}

fn mutate(module: &mut Module, random: &mut Random) {
    match random.below(16) {
        0..=9 if !module.functions.is_empty() => {
            let index = random.below(module.functions.len());
            let signatures = module.signatures.len();
            let mut function = module.functions[index].clone();
            mutate_function(&mut function, module, signatures, random);
            module.functions[index] = function;
        }
        10 | 11 if !module.classes.is_empty() => mutate_class(module, random),
        12 if !module.signatures.is_empty() => {
            let value = random_type(module, random);
            let index = random.below(module.signatures.len());
            let signature = &mut module.signatures[index];
            let list =
                if random.one_in(2) { &mut signature.parameters } else { &mut signature.results };
            match random.below(3) {
                0 => list.push(value),
                1 => drop(list.pop()),
                _ if !list.is_empty() => {
                    let place = random.below(list.len());
                    list[place] = value;
                }
                _ => {}
            }
        }
        13 if !module.statics.is_empty() => {
            let value = random_type(module, random);
            let index = random.below(module.statics.len());
            module.statics[index].value = value;
        }
        14 if !module.functions.is_empty() => {
            let copy = random.pick(&module.functions).clone();
            module.functions.push(copy);
        }
        _ => {
            module.version = module.version.wrapping_add(1);
            module.strings.push(String::from("more"));
        }
    }
}

fn random_class(module: &Module, random: &mut Random) -> ClassReference {
    let own = module.class_imports.len() + module.classes.len();
    if random.one_in(3) || own == 0 {
        let number = u32::try_from(random.below(60)).unwrap();
        return ClassReference(ClassReference::BUILTIN_BASE + number);
    }
    ClassReference(u32::try_from(random.below(own + 1)).unwrap())
}

fn random_type(module: &Module, random: &mut Random) -> ValueType {
    match random.below(6) {
        0 => ValueType::I32,
        1 => ValueType::I64,
        2 => ValueType::F32,
        3 => ValueType::F64,
        _ => ValueType::Reference {
            class: random_class(module, random),
            nullable: !random.one_in(3),
        },
    }
}

fn mutate_class(module: &mut Module, random: &mut Random) {
    let class = random_class(module, random);
    let value = random_type(module, random);
    let index = random.below(module.classes.len());
    let functions = module.function_imports.len() + module.functions.len();
    let target = &mut module.classes[index];
    match random.below(9) {
        0 => target.shape.superclass = class,
        1 => target.shape.interfaces.push(class),
        2 => drop(target.shape.interfaces.pop()),
        3 => {
            let kinds = [
                ClassKind::Plain,
                ClassKind::Abstract,
                ClassKind::Interface,
                ClassKind::Array { element: ElementKind::Reference, class },
            ];
            target.shape.kind = *random.pick(&kinds);
        }
        4 if !target.shape.fields.is_empty() => {
            let place = random.below(target.shape.fields.len());
            target.shape.fields[place].value = value;
        }
        5 if !target.bodies.is_empty() => {
            let place = random.below(target.bodies.len());
            let function =
                MethodBody::Function(u32::try_from(random.below(functions + 1)).unwrap());
            let bodies = [MethodBody::Inherited, MethodBody::Abstract, function];
            target.bodies[place] = *random.pick(&bodies);
        }
        6 => drop(target.bodies.pop()),
        7 => {
            if let Some(place) = target.interface_methods.iter_mut().flatten().next() {
                *place = u32::from(random.small16());
            }
        }
        _ => drop(target.shape.methods.pop()),
    }
}

/// The positions of a function's instructions.
fn positions(function: &FunctionDefinition) -> Vec<u32> {
    let mut positions = Vec::new();
    let mut position = 0;
    while let Ok(instruction) = Instruction::decode(&function.code, position) {
        positions.push(position);
        position = instruction.next();
    }
    positions
}

fn mutate_function(
    function: &mut FunctionDefinition,
    module: &Module,
    signatures: usize,
    random: &mut Random,
) {
    let positions = positions(function);
    if positions.is_empty() || random.one_in(6) {
        return mutate_declarations(function, module, signatures, random);
    }
    let position = *random.pick(&positions);
    let Ok(found) = Instruction::decode(&function.code, position) else { return };
    let place = usize::try_from(position).unwrap();
    let info = found.opcode.info();
    let mut fields = [found.a, found.b, found.c];
    let mut opcode = found.opcode;
    match random.below(8) {
        // Another operation with the same operands.
        0 | 1 => {
            let alike: Vec<Opcode> = OPCODES
                .iter()
                .filter(|other| other.operands == info.operands && other.literal == info.literal)
                .map(|other| other.opcode)
                .collect();
            opcode = *random.pick(&alike);
        }
        // Another value in one field that has a meaning.
        2..=4 => {
            let field = random.below(3);
            match info.operands[field] {
                Operand::None | Operand::Count16 => {}
                Operand::High => fields[field] = 0,
                Operand::Displacement16 | Operand::Displacement32 => {
                    fields[field] = fields[field].wrapping_add(random.small16()).wrapping_sub(6);
                }
                _ => fields[field] = random.small16(),
            }
        }
        // The literal.
        5 if !matches!(info.literal, Literal::None | Literal::Table) => {
            function.code[place + 1] = random.small64();
        }
        // Any instruction instead of this one.
        6 if found.length == 1 => {
            let fitting: Vec<Opcode> = OPCODES
                .iter()
                .filter(|other| other.literal == Literal::None)
                .map(|other| other.opcode)
                .collect();
            opcode = *random.pick(&fitting);
            for (field, operand) in fields.iter_mut().zip(opcode.info().operands) {
                *field = if operand == Operand::None { 0 } else { random.small16() };
            }
        }
        // None.
        6 => {
            let length = usize::try_from(found.length).unwrap();
            let nop = Instruction::word(Opcode::Nop, 0, 0, 0);
            function.code[place..place + length].fill(nop);
            return;
        }
        _ => {
            function.code[place] ^= 1 << random.below(64);
            return;
        }
    }
    function.code[place] = Instruction::word(opcode, fields[0], fields[1], fields[2]);
}

fn mutate_declarations(
    function: &mut FunctionDefinition,
    module: &Module,
    signatures: usize,
    random: &mut Random,
) {
    let value = random_type(module, random);
    match random.below(8) {
        0 => function.reference_registers = random.small16(),
        1 => function.raw_registers = random.small16(),
        2 => function.signature = u32::try_from(random.below(signatures + 1)).unwrap(),
        3 | 4 if !function.blocks.is_empty() => {
            let index = random.below(function.blocks.len());
            mutate_block(&mut function.blocks[index], value, random);
        }
        5 | 6 if !function.handlers.is_empty() => {
            let index = random.below(function.handlers.len());
            let handler = &mut function.handlers[index];
            match random.below(5) {
                0 => handler.start = handler.start.wrapping_add(random.small16().into()),
                1 => handler.end = u32::from(random.small16()),
                2 => handler.class = random_class(module, random),
                3 => handler.register = random.small16(),
                _ => {
                    let copy = *handler;
                    function.handlers.push(copy);
                }
            }
        }
        _ => drop(function.lines.pop()),
    }
}

fn mutate_block(block: &mut Block, value: ValueType, random: &mut Random) {
    if block.registers.is_empty() || random.one_in(4) {
        block.position = block.position.wrapping_add(random.small16().into());
        return;
    }
    let place = random.below(block.registers.len());
    match random.below(3) {
        0 => drop(block.registers.remove(place)),
        1 => block.registers[place].value = value,
        _ => block.registers[place].register = random.small16(),
    }
}
