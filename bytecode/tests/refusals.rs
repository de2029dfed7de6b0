//! What the verifier, the decoder and the assembler refuse, each with the reason that a person is shown.
#![expect(clippy::unwrap_used, reason = "a test")]

use revenant_bytecode::{
    Builtin, ClassKind, ClassReference, DecodeError, HEADER_BYTES, Instruction, MethodBody, Module,
    Opcode, Place, ValueType, assemble, decode, encode, reseal, verify,
};

/// A module with these items.
fn module(items: &str) -> Module {
    let text = format!("module test version 1\n{items}");
    assemble(&text, "test.rasm").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A module with one function `f` of this signature and body.
fn function(signature: &str, body: &str) -> Module {
    module(&format!("function f{signature} {{\n{body}\n}}\n"))
}

/// Why the assembler refuses the items, which have types that cannot be right.
fn refused_by_assembler(items: &str) -> String {
    let text = format!("module test version 1\n{items}");
    assemble(&text, "test.rasm").unwrap_err().to_string()
}

/// Why the verifier refuses a module.
fn refused(module: Module) -> String {
    verify(module).unwrap_err().to_string()
}

#[track_caller]
fn assert_says(message: &str, words: &str) {
    assert!(message.contains(words), "{message:?} does not say {words:?}");
}

#[test]
fn a_register_must_be_defined_and_of_the_kind() {
    let message = refused_by_assembler("function f(x: f64) -> i64 {\ni64.add y, x, x\nreturn y\n}");
    assert_says(&message, "3: function f, instruction 0 (line 3): n0 is f64 here, i64 is required");
    assert_says(&message, "(n0 is `x`)");
    let message = refused_by_assembler("function f() -> i64 {\ni64.add y, x, x\nreturn y\n}");
    assert_says(&message, "is not defined here");
    let message = refused_by_assembler(
        "function f(n: i64) -> i64 {\ni64.branch.eq.imm n, 0, out\ni64.set y, 1\nout:\nreturn y\n}",
    );
    assert_says(&message, "n1 is not defined here (n1 is `y`)");
}

#[test]
fn raws_and_references_do_not_mix() {
    let message = refused_by_assembler("function f(o: Object) -> i64 {\nreturn.raw o\n}");
    assert_says(&message, "`o` is of the other file");
    let mut module = function("(o: Object) -> Object", "return o");
    module.functions[0].code[0] = Instruction::word(Opcode::ReturnRaw, 0, 0, 0);
    assert_says(&refused(module), "n0 is not defined here");
}

#[test]
fn nullability_is_checked_where_it_matters() {
    let message = refused_by_assembler("function f(o: Object?) -> Object {\nreturn o\n}");
    assert_says(&message, "result r0 is Object? here, Object is required");
    let body = "branch.nonnull o, good\nstring.const s, \"none\"\nreturn s\ngood:\nreturn o";
    verify(function("(o: Object?) -> Object", body)).unwrap();
}

#[test]
fn classes_are_checked_at_fields_and_calls() {
    let message = refused_by_assembler(
        "class A {\nx: i64\n}\nclass B {\n}\nfunction f(b: B) -> i64 {\nfield.load.raw x, b, A.x\nreturn x\n}",
    );
    assert_says(&message, "B has no slot 0");
    let message = refused_by_assembler(
        "class A {\n}\nfunction g(a: A) {\nreturn\n}\nfunction f(o: Object) {\ncall g(o)\nreturn\n}",
    );
    assert_says(&message, "argument r1 is Object here, A is required");
}

#[test]
fn a_window_is_lost_after_the_call() {
    let body = "i64.set >n0, 1\ni64.set >n1, 2\ncall f\nreturn >n1";
    let message = refused_by_assembler(&format!("function f() -> i64 {{\n{body}\n}}"));
    assert_says(&message, "is not defined here");
}

#[test]
fn a_window_must_fit_in_the_frame() {
    let mut module = function("() -> i64", "call f\nreturn >n0");
    module.functions[0].raw_registers = 0;
    assert_says(&refused(module), "the window ends at");
}

#[test]
fn code_must_end_and_be_reached() {
    let message = refused_by_assembler("function f() {\nnop\n}");
    assert_says(&message, "the code runs past its end");
    let message = refused_by_assembler("function f() {\nreturn\nnop\nreturn\n}");
    assert_says(&message, "nothing reaches this instruction");
    let mut module = function("()", "return\nend:");
    module.functions[0].code.push(Instruction::word(Opcode::Return, 0, 0, 0));
    assert_says(&refused(module), "no block entry");
    let mut module = function("()", "return");
    module.functions[0].code.clear();
    assert_says(&refused(module), "has no code");
}

#[test]
fn words_must_be_instructions() {
    let mut module = function("()", "nop\nreturn");
    module.functions[0].code[0] = 0;
    assert_says(&refused(module), "instruction 0 (line 3): there is no opcode 0");
    let mut module = function("()", "nop\nreturn");
    module.functions[0].code[0] |= 1 << 48;
    assert_says(&refused(module), "an unused field of nop is not zero");
    let mut module = function("()", "nop\nreturn");
    module.functions[0].code[1] = Instruction::word(Opcode::I64Const, 0, 0, 0);
    assert_says(&refused(module), "run past the code's end");
}

#[test]
fn branches_go_to_block_entries() {
    let body = "again:\ni64.const n, 5\njump again";
    let mut module = function("()", body);
    module.functions[0].code[2] = Instruction::word(Opcode::Jump, 0, u16::MAX, u16::MAX);
    assert_says(&refused(module), "the target 1 is not a block entry");
    let mut module = function("()", body);
    module.functions[0].blocks[0].position = 1;
    assert_says(&refused(module), "a block entry is not the beginning of an instruction");
    let mut module = function("()", body);
    module.functions[0].code[2] = Instruction::word(Opcode::Jump, 0, 0, 0x8000);
    assert_says(&refused(module), "outside the code");
}

#[test]
fn declared_types_must_hold_on_every_edge() {
    let body = "i64.set n, 1\nagain:\ni64.add.imm n, n, 1\njump again";
    let mut module = function("()", body);
    module.functions[0].blocks[0].registers[0].value = ValueType::F64;
    assert_says(&refused(module), "n0 is i64 on the way to 1, which declares f64");
    let mut module = function("()", body);
    module.functions[0].blocks[0].registers[0].register = 9;
    assert_says(&refused(module), "declared register 9 does not exist");
    let mut module = function("()", body);
    let twice = module.functions[0].blocks[0].registers[0];
    module.functions[0].blocks[0].registers.push(twice);
    assert_says(&refused(module), "declared registers are not in order");
}

const CATCHING: &str = "i64.set n, 1\nstart:\ncall g(n) -> n\nend:\nreturn n\nhandler:\ni64.set n, 2\nreturn n\n\
    catch Exception e from start to end at handler";

fn catching() -> Module {
    module(&format!(
        "function g(n: i64) -> i64 {{\nreturn n\n}}\nfunction f() -> i64 {{\n{CATCHING}\n}}"
    ))
}

#[test]
fn handlers_are_checked() {
    verify(catching()).unwrap();
    let mut module = catching();
    module.functions[1].handlers[0].class = ClassReference::builtin(Builtin::String);
    assert_says(&refused(module), "a handler takes Exception or a class below it");
    let mut module = catching();
    module.functions[1].handlers[0].end = module.functions[1].handlers[0].start;
    assert_says(&refused(module), "the handler's range is not one of instructions");
    let mut module = catching();
    module.functions[1].handlers[0].start += 2;
    assert_says(&refused(module), "the handler's range is not one of instructions");
    let mut module = catching();
    module.functions[1].handlers = vec![module.functions[1].handlers[0]; 17];
    assert_says(&refused(module), "more than 16 handlers cover it");
}

#[test]
fn a_handler_cannot_rely_on_the_window_of_a_call_that_threw() {
    let mut module = catching();
    let target = module.functions[1].handlers[0].target;
    let registers = &mut module.functions[1]
        .blocks
        .iter_mut()
        .find(|block| block.position == target)
        .unwrap()
        .registers;
    // n1 is the window of the call, and holds its argument when the call begins.
    let n1 = revenant_bytecode::RegisterType { register: 1, value: ValueType::I64 };
    registers.push(n1);
    // The range begins before the argument is there, so the handler is refused either way; only its reason differs.
    assert_says(&refused(module.clone()), "n1 is not defined on the way to");
    module.functions[1].handlers[0].start += 1;
    assert_says(&refused(module), "n1 is lost with the call's window");
}

#[test]
fn divisions_by_immediates_never_throw() {
    let message = refused_by_assembler("function f(n: i64) {\ni64.div_s.imm n, n, -1\nreturn\n}");
    assert_says(&message, "division by the immediate -1");
    let message = refused_by_assembler("function f(n: i64) {\ni64.rem_u.imm n, n, 0\nreturn\n}");
    assert_says(&message, "division by the immediate 0");
}

#[test]
fn closures_and_natives_need_their_signatures() {
    let message = refused_by_assembler(
        "function g(n: i64) {\nreturn\n}\nfunction f() {\nnull e\nclosure.new c, e, g\nreturn\n}",
    );
    assert_says(&message, "takes the Closure as its first parameter");
    let mut module = function("()", "native thread.yield()\nreturn");
    module.functions[0].code[0] = Instruction::word(Opcode::CallNative, 0, 0, 60_000);
    assert_says(&refused(module), "there is no native 60000");
}

const SHAPES: &str = "interface Shape {\nmethod area(Shape) -> i64\n}\nabstract class Figure {\nabstract method area(Figure) -> i64\n}\n\
    class Square extends Figure implements Shape {\noverride area = area\n}\nfunction area(s: Square) -> i64 {\ni64.set n, 1\nreturn n\n}\n";

#[test]
fn method_tables_are_checked() {
    verify(module(SHAPES)).unwrap();
    let square = |change: fn(&mut Module)| {
        let mut module = module(SHAPES);
        change(&mut module);
        refused(module)
    };
    assert_says(
        &square(|m| m.classes[2].bodies[0] = MethodBody::Inherited),
        "is abstract, the class is not",
    );
    assert_says(
        &square(|m| m.classes[2].bodies[0] = MethodBody::Function(9)),
        "there is no function 9",
    );
    assert_says(&square(|m| m.classes[2].bodies.clear()), "has 0 places, the class has 1 methods");
    assert_says(&square(|m| m.classes[2].interface_methods[0][0] = 3), "has another signature");
    assert_says(
        &square(|m| m.classes[2].interface_methods.clear()),
        "one table of methods for each interface",
    );
    assert_says(
        &square(|m| m.classes[1].shape.superclass = ClassReference(2)),
        "the superclass must be built in or stand before the class",
    );
    assert_says(
        &square(|m| m.classes[1].shape.superclass = ClassReference::builtin(Builtin::String)),
        "the built-in class String cannot be extended",
    );
    assert_says(
        &square(|m| m.classes[2].shape.interfaces[0] = ClassReference(1)),
        "Figure is not an interface",
    );
    assert_says(
        &square(|m| m.classes[1].shape.kind = ClassKind::Plain),
        "is abstract, the class is not",
    );
    // A function for a subclass in the table of its superclass would be given objects that it does not expect.
    assert_says(
        &square(|m| m.classes[1].bodies[0] = MethodBody::Function(0)),
        "area has another signature",
    );
}

#[test]
fn abstract_classes_and_arrays_are_not_made_by_object_new() {
    let text = "abstract class A {\n}\nfunction f() {\nobject.new a, A\nreturn\n}";
    assert_says(&refused_by_assembler(text), "objects of A cannot be made");
    let text = "function f() {\nobject.new a, String\nreturn\n}";
    assert_says(&refused_by_assembler(text), "objects of String cannot be made");
    let text = "class A {\n}\nfunction f(n: i64) {\narray.new a, n, A\nreturn\n}";
    assert_says(&refused_by_assembler(text), "A is not an array class");
}

#[test]
fn variables_begin_as_null_and_say_so() {
    let mut module = module("static last: Object?\nfunction f() {\nreturn\n}");
    module.statics[0].value = ValueType::object(Builtin::Object);
    assert_says(&refused(module), "its type must allow it");
}

#[test]
fn exports_name_definitions_once() {
    let mut twice = module("export function f() {\nreturn\n}");
    twice.exports.push(twice.exports[0].clone());
    let error = verify(twice).unwrap_err();
    assert_eq!(error.place, Place::Module);
    assert_says(&error.reason, "f is exported twice");
}

/// A module whose checking would be quadratic is refused by its budget, not checked for minutes.
#[test]
fn verification_does_not_blow_up() {
    let mut body = String::new();
    for register in 0..4000 {
        body += &format!("i64.set x{register}, 0\n");
    }
    body += "again:\n";
    for _ in 0..4000 {
        body += "i64.branch.eq.imm x0, 1, again\n";
    }
    body += "return\n";
    let module = function("()", &body);
    let started = std::time::Instant::now();
    assert_says(&refused(module), "too complex");
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn files_are_refused_with_the_offset_and_what_was_expected() {
    let good = encode(&function("()", "return"));
    decode(&good).unwrap();
    assert_eq!(decode(b"#!/bin/sh"), Err(DecodeError::NotAModule));
    let mut version = good.clone();
    version[8] = 9;
    assert_eq!(decode(&version), Err(DecodeError::Version { found: 9 }));
    let mut damaged = good.clone();
    damaged[HEADER_BYTES + 9] ^= 1;
    assert_eq!(decode(&damaged), Err(DecodeError::Checksum));
    let mut cut = good.clone();
    cut.pop();
    assert!(matches!(decode(&cut), Err(DecodeError::Length { .. })));
    reseal(&mut cut);
    assert!(matches!(decode(&cut), Err(DecodeError::Truncated { .. })));
    let mut more = good;
    more.push(0);
    reseal(&mut more);
    assert_says(&decode(&more).unwrap_err().to_string(), "expected the end of the file");
}

#[test]
fn the_assembler_names_line_and_column() {
    let error = |items: &str| refused_by_assembler(items);
    assert_says(&error("class A {\nx: i99\n}"), "3:4: there is no class `i99`");
    assert_says(&error("function f() {\nfly n\n}"), "3:1: there is no operation `fly`");
    assert_says(
        &error("function f() {\ni64.set n, 1x\n}"),
        "3:12: expected an integer, found `1x`",
    );
    assert_says(&error("function f() {\njump away\n}"), "3:6: there is no label `away`");
    assert_says(
        &error("function f() {\ni64.add.imm n, n\n}"),
        "expected `,`, found the end of the line",
    );
    assert_says(
        &error("function f() {\ni64.add.imm n, n, 40000\n}"),
        "40000 is not between -32768 and 32767",
    );
    assert_says(&error("function f() {\nreturn"), "expected `}` at the end of the function");
    assert_says(&error("function f() {\nstring.const s, \"x\n}"), "has no closing");
    assert_says(&error("class A extends B {\n}"), "2:17: there is no class `B`");
    assert_says(&error("class A extends B {\n}\nclass B extends A {\n}"), "stands above itself");
    assert_says(&error("wibble"), "expected module, source, import");
    assert_says(
        &error(
            "function g(a: i64, b: i64) {\nreturn\n}\nfunction f() {\ni64.set >n0, 1\ni64.set >n1, 2\ncall g(>n1, >n0)\nreturn\n}",
        ),
        "`>n0` has been overwritten",
    );
}
