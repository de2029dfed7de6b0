//! Loading from assembly text: what links, what is refused, and that a refused load leaves nothing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, assemble, encode};
use revenant_hal::{Epoch, ObjectAddress};

use super::create::Created;
use super::layout::{
    FUNCTION_CODE, FUNCTION_COUNTS, FUNCTION_MODULE, FUNCTION_SIGNATURE, MODULE_CLASSES,
    MODULE_EXPORTS, MODULE_FUNCTIONS, NAMESPACE_MODULES, NAMESPACE_SIZE, PROGRAM_NAMESPACE,
};
use super::maker::Maker;
use super::text::{element_of, elements_of, slot_of, text_of};
use super::{LoadError, create, load};
use crate::counting::{self, Progress, class_at};
use crate::heap::{AllocationError, Allocator};
use crate::memory::layout::area;
use crate::memory::layout::class::{
    DEPTH, DISPLAY, INDEX, INTERFACES, LONG_BITMAP, NAME, REFERENCE_BITMAP, SLOTS, SUPERCLASS,
    VTABLE,
};
use crate::memory::layout::object::{LENGTH, PAYLOAD};
use crate::memory::layout::system::root;
use crate::memory::{AddressExt, HostSpace, Space};
use crate::system::{Creation, CreationError};

const MAIN: &str = "
module program version 1
export function main(environment: Environment) -> i64 {
    i64.set status, 0
    return status
}
";

const SHAPES: &str = "
module shapes version 3
export interface Scaled {
    method scale(self: Scaled, by: i64) -> i64
}
export abstract class Shape {
    name: String?
    size: i64
    abstract method area(self: Shape) -> i64
    method twice(self: Shape) -> i64 = twice
}
export function twice(self: Shape) -> i64 {
    field.load.raw size, self, Shape.size
    i64.add size, size, size
    return size
}
";

fn file(text: &str) -> Vec<u8> {
    let module = assemble(text, "test.rasm").unwrap_or_else(|error| panic!("{error}\n{text}"));
    encode(&module)
}

fn made(host: &HostSpace, texts: &[&str]) -> Result<Created, CreationError> {
    let files: Vec<Vec<u8>> = texts.iter().map(|text| file(text)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let creation = Creation { modules: &files, arguments: &["one", "zwei"], epoch: Epoch(1) };
    create(host.space(), &creation)
}

fn namespace(space: Space) -> ObjectAddress {
    let maker = Maker::new(space, Allocator::of_group(0));
    let namespace = maker.plain(Builtin::Namespace, NAMESPACE_SIZE).unwrap();
    // Something must name it, or the next grace frees it.
    counting::make_immortal(space, namespace);
    namespace
}

fn loaded(
    space: Space,
    namespace: ObjectAddress,
    texts: &[&str],
) -> Result<Vec<ObjectAddress>, LoadError> {
    let files: Vec<Vec<u8>> = texts.iter().map(|text| file(text)).collect();
    let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    load(space, Allocator::of_group(1), namespace, &files)
}

fn sound(space: Space) {
    let findings = counting::audit::audit(space).findings;
    assert!(findings.is_empty(), "{findings:#?}");
}

fn settle(space: Space) {
    for _ in 0..8 {
        assert!(counting::close(space));
        while counting::grace::run(space, 1_000).unwrap() != Progress::Idle {}
    }
}

fn class_named(space: Space, module: ObjectAddress, name: &str) -> ObjectAddress {
    elements_of(space, slot_of(space, module, MODULE_CLASSES))
        .into_iter()
        .find(|class| text_of(space, slot_of(space, *class, NAME)) == name)
        .unwrap()
}

fn exported(space: Space, module: ObjectAddress, name: &str) -> ObjectAddress {
    let pairs = elements_of(space, slot_of(space, module, MODULE_EXPORTS));
    let found = pairs.chunks_exact(2).find(|pair| text_of(space, pair[0]) == name);
    found.unwrap()[1]
}

fn index(space: Space, class: ObjectAddress) -> u32 {
    space.load(class.plus(INDEX))
}

#[test]
fn a_program_is_made_with_its_arguments_and_a_sound_heap() {
    let host = HostSpace::take().unwrap();
    let space = host.space();
    let created = made(&host, &[MAIN]).unwrap();
    sound(space);
    settle(space);
    sound(space);
    let arguments = slot_of(space, created.environment, super::layout::ENVIRONMENT_ARGUMENTS);
    let texts: Vec<String> =
        elements_of(space, arguments).into_iter().map(|text| text_of(space, text)).collect();
    assert_eq!(texts, ["one", "zwei"]);
    assert_eq!(space.load::<u64>(created.main.plus(FUNCTION_COUNTS)) >> 32 & 0xffff, 1);
    for builtin in Builtin::ALL {
        let class = class_at(space, *builtin as u32);
        assert_eq!(text_of(space, slot_of(space, class, NAME)), builtin.name());
        assert_eq!(index(space, class), *builtin as u32);
    }
}

#[test]
fn main_is_found_and_checked() {
    let host = HostSpace::take().unwrap();
    assert_eq!(made(&host, &[SHAPES]).unwrap_err(), CreationError::NoMain);
    host.clear();
    let other = MAIN.replace("module program", "module other");
    let error = made(&host, &[MAIN, &other]).unwrap_err().to_string();
    assert_eq!(error, "module 1: other: another module exports main too; a program has one");
    host.clear();
    let wrong = "module m version 1\nexport function main(a: String) {\n return\n}\n";
    let error = made(&host, &[wrong]).unwrap_err().to_string();
    assert!(error.starts_with("module 0: m: main must be a function"), "{error}");
}

const SQUARE: &str = "
module square version 1
import interface Scaled from shapes {
    method scale(self: Scaled, by: i64) -> i64
}
import abstract class Shape from shapes {
    name: String?
    size: i64
    method area(self: Shape) -> i64
    method twice(self: Shape) -> i64
}
import function twice(self: Shape) -> i64 from shapes
export class Square extends Shape implements Scaled {
    corner: Square?
    override area = area
    method scale(self: Square, by: i64) -> i64 = scale
}
function area(self: Square) -> i64 {
    field.load.raw size, self, Shape.size
    i64.mul size, size, size
    return size
}
function scale(self: Square, by: i64) -> i64 {
    call twice(self) -> size
    i64.mul size, size, by
    return size
}
";

/// Virtual tables, interfaces, slots, display and linked code of a class with a superclass in another module.
fn check_square(space: Space, shapes: ObjectAddress, square: ObjectAddress) {
    let class = class_named(space, square, "Square");
    let shape = class_named(space, shapes, "Shape");
    let scaled = class_named(space, shapes, "Scaled");
    assert_eq!(class_named(space, square, "Shape"), shape);
    assert_eq!(slot_of(space, class, SUPERCLASS), shape);
    assert_eq!(space.load::<u32>(class.plus(DEPTH)), 2);
    let display: Vec<u32> = (0..3).map(|at| space.load(class.plus(DISPLAY + at * 4))).collect();
    assert_eq!(display, [1, index(space, shape), index(space, class)]);
    assert_eq!(space.load::<u64>(class.plus(REFERENCE_BITMAP)), 0b101);
    let functions = slot_of(space, square, MODULE_FUNCTIONS);
    let (twice, area, scale) = (
        element_of(space, functions, 0),
        element_of(space, functions, 1),
        element_of(space, functions, 2),
    );
    assert_eq!(twice, exported(space, shapes, "twice"));
    let table: Vec<ObjectAddress> =
        (0..3).map(|at| slot_of(space, class, VTABLE + at * 8)).collect();
    assert_eq!(table, [area, twice, scale]);
    assert_eq!(slot_of(space, shape, VTABLE), ObjectAddress(0));
    let interfaces = elements_of(space, slot_of(space, class, INTERFACES));
    assert_eq!(interfaces[0], scaled);
    assert_eq!(elements_of(space, interfaces[1]), [scale]);
    assert_eq!(slot_of(space, scale, FUNCTION_MODULE), square);
    // `call twice` is the first instruction of `scale`; its literal is the function object.
    let code = space.load::<u64>(scale.plus(FUNCTION_CODE));
    let words: Vec<u64> = (0..6).map(|at| space.load(ObjectAddress(code + at * 8))).collect();
    assert!(words.contains(&twice.0), "{words:x?}");
}

#[test]
fn a_class_extends_and_implements_across_modules_of_one_load() {
    let host = HostSpace::take().unwrap();
    let created = made(&host, &[SQUARE, MAIN, SHAPES]).unwrap();
    let space = host.space();
    let table =
        slot_of(space, slot_of(space, created.program, PROGRAM_NAMESPACE), NAMESPACE_MODULES);
    let pairs = elements_of(space, table);
    let names: Vec<String> = pairs.iter().step_by(2).map(|name| text_of(space, *name)).collect();
    assert_eq!(names, ["program", "shapes", "square"]);
    check_square(space, pairs[3], pairs[5]);
    sound(space);
}

#[test]
fn imports_are_found_in_modules_loaded_before() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let names = namespace(space);
    let shapes = loaded(space, names, &[SHAPES]).unwrap()[0];
    let square = loaded(space, names, &[SQUARE]).unwrap()[0];
    check_square(space, shapes, square);
    // Equal signatures are the same object, across loads.
    let twice = exported(space, shapes, "twice");
    let functions = slot_of(space, square, MODULE_FUNCTIONS);
    let other = element_of(space, functions, 1);
    assert_ne!(
        slot_of(space, twice, FUNCTION_SIGNATURE),
        slot_of(space, other, FUNCTION_SIGNATURE)
    );
    settle(space);
    check_square(space, shapes, square);
    sound(space);
}

#[test]
fn modules_import_one_another_in_a_circle() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let ping = "
module ping version 1
import function pong(n: i64) -> i64 from pong
export function ping(n: i64) -> i64 {
    call pong(n) -> n
    return n
}
";
    let pong = ping.replace("pong", "?").replace("ping", "pong").replace('?', "ping");
    let names = namespace(space);
    let modules = loaded(space, names, &[ping, &pong]).unwrap();
    for (module, other) in [(0, 1), (1, 0)] {
        let functions = slot_of(space, modules[module], MODULE_FUNCTIONS);
        assert_eq!(element_of(space, functions, 0), {
            let functions = slot_of(space, modules[other], MODULE_FUNCTIONS);
            element_of(space, functions, 1)
        });
    }
    let signature = |module: usize| {
        let functions = slot_of(space, modules[module], MODULE_FUNCTIONS);
        slot_of(space, element_of(space, functions, 1), FUNCTION_SIGNATURE)
    };
    assert_eq!(signature(0), signature(1));
    // Alone, either is refused.
    let error = loaded(space, namespace(space), &[ping]).unwrap_err().to_string();
    assert_eq!(error, "module 0: ping: import pong.pong: the namespace has no module pong");
    sound(space);
}

#[test]
fn identical_bytes_are_the_same_module_and_other_bytes_of_that_name_are_refused() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let names = namespace(space);
    let first = loaded(space, names, &[SHAPES, SHAPES]).unwrap();
    assert_eq!(first[0], first[1]);
    let next_class = space.load::<u64>(ObjectAddress(area::ROOT).plus(root::NEXT_CLASS));
    assert_eq!(loaded(space, names, &[SHAPES]).unwrap(), [first[0]]);
    assert_eq!(space.load::<u64>(ObjectAddress(area::ROOT).plus(root::NEXT_CLASS)), next_class);
    let other = SHAPES.replace("version 3", "version 4");
    let error = loaded(space, names, &[&other]).unwrap_err().to_string();
    assert_eq!(error, "module 0: shapes: the name is taken by another module");
    let error = loaded(space, namespace(space), &[SHAPES, &other]).unwrap_err().to_string();
    assert_eq!(error, "module 1: shapes: the name is taken by another module");
}

#[test]
fn equal_names_in_other_namespaces_are_other_classes() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let first = loaded(space, namespace(space), &[SHAPES, SQUARE]).unwrap();
    let second = loaded(space, namespace(space), &[SHAPES, SQUARE]).unwrap();
    for (module, name) in [(0, "Shape"), (0, "Scaled"), (1, "Square")] {
        let one = class_named(space, first[module], name);
        let two = class_named(space, second[module], name);
        assert_ne!(one, two);
        assert_ne!(index(space, one), index(space, two));
    }
    check_square(space, second[0], second[1]);
    sound(space);
}

/// What a load that is refused must not change.
fn visible(space: Space, namespace: ObjectAddress) -> (u64, u64, Vec<ObjectAddress>, u64) {
    let next = space.load::<u64>(ObjectAddress(area::ROOT).plus(root::NEXT_CLASS));
    let entry = class_at(space, u32::try_from(next).unwrap()).0;
    let table = elements_of(space, slot_of(space, namespace, NAMESPACE_MODULES));
    (
        next,
        entry,
        table,
        slot_of(space, ObjectAddress(area::ROOT), super::layout::ROOT_SIGNATURES).0,
    )
}

#[test]
fn a_refused_load_says_why_and_leaves_nothing() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let names = namespace(space);
    let before = visible(space, names);
    let refusals = [
        ("    size: i64\n", "    size: f64\n", "has other fields"),
        ("    size: i64\n", "", "has other fields"),
        ("    size: i64\n", "    length: i64\n", "has other fields"),
        ("name: String?\n", "name: Object?\n", "has other fields"),
        (
            "export abstract class Shape {",
            "export class Base {\n}\nexport abstract class Shape extends Base {",
            "has another superclass",
        ),
        (
            "method area(self: Shape) -> i64",
            "method surface(self: Shape) -> i64",
            "has other methods",
        ),
        (
            "scale(self: Scaled, by: i64)",
            "scale(self: Scaled, by: i64, n: i64)",
            "has other methods",
        ),
        ("export function twice", "function twice", "module shapes does not export twice"),
        ("export interface", "interface", "module shapes does not export Scaled"),
    ];
    for (old, new, expected) in refusals {
        let changed = SHAPES.replacen(old, new, 1);
        let changed = if old.contains("size") || old.contains("name") {
            let (start, _) = changed.split_once("export function").unwrap();
            String::from(start)
                + "export function twice(self: Shape) -> i64 {\n i64.set n, 1\n return n\n}\n"
        } else {
            changed
        };
        let error = loaded(space, names, &[&changed, SQUARE]).unwrap_err().to_string();
        assert!(error.starts_with("module 1: square: import shapes."), "{error}");
        assert!(error.ends_with(expected), "{error}, not {expected}");
        assert_eq!(visible(space, names), before);
    }
    let error = loaded(space, names, &[SHAPES, &SQUARE.replace("twice", "Scaled")]);
    assert!(error.is_err());
    let mut bytes = file(SHAPES);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let error = load(space, Allocator::of_group(1), names, &[&bytes]).unwrap_err().to_string();
    assert!(error.contains("checksum"), "{error}");
    assert_eq!(visible(space, names), before);
    sound(space);
}

#[test]
fn a_circle_of_superclasses_is_refused() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let egg = "
module egg version 1
import class Hen from hen {
}
export class Egg extends Hen {
}
";
    let hen = "
module hen version 1
import class Egg from egg {
}
export class Hen extends Egg {
}
";
    // Each module is fine by itself, because each believes the other's class to stand directly below Object.
    let error = loaded(space, namespace(space), &[egg, hen]).unwrap_err().to_string();
    assert!(error.contains("has another superclass"), "{error}");
}

#[test]
fn running_out_of_memory_anywhere_leaves_nothing() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let names = namespace(space);
    let before = visible(space, names);
    let group = Allocator::of_group(1);
    let wide = wide_class();
    settle(space);
    let objects = counting::audit::audit(space).objects;
    // Blocks that are open already serve small objects, so the failure comes where the first new block is needed.
    let mut failed = 0;
    for blocks in 0..64 {
        group.set_quota(space, group.used(space) + blocks * 65_536);
        match loaded(space, names, &[SHAPES, SQUARE, &wide]) {
            Ok(_) => break,
            Err(error) => assert_eq!(error, LoadError::Memory(AllocationError::Quota)),
        }
        failed += 1;
        assert_eq!(visible(space, names), before);
        group.set_quota(space, u64::MAX);
        settle(space);
        sound(space);
        assert_eq!(counting::audit::audit(space).objects, objects);
    }
    assert!(failed > 0, "the quota was never met");
    assert_ne!(visible(space, names), before);
    sound(space);
}

/// A module with a class of many fields and a long list of strings.
fn wide_class() -> String {
    let mut text = String::from("module wide version 1\nexport class Wide {\n");
    for field in 0..200 {
        let value = if field % 3 == 0 { "String?" } else { "i64" };
        text += &alloc::format!("    field{field}: {value}\n");
    }
    text + "}\n"
}

#[test]
fn more_than_64_slots_have_a_long_bitmap() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let module = loaded(space, namespace(space), &[&wide_class()]).unwrap()[0];
    let class = class_named(space, module, "Wide");
    assert_eq!(space.load::<u32>(class.plus(SLOTS)), 200);
    let bits = slot_of(space, class, LONG_BITMAP);
    assert_eq!(space.load::<u32>(bits.plus(LENGTH)), 25);
    for slot in 0..200_u64 {
        let byte = space.load::<u8>(bits.plus(PAYLOAD + slot / 8));
        assert_eq!(byte >> (slot % 8) & 1 == 1, slot % 3 == 0);
    }
    let first = space.load::<u64>(class.plus(REFERENCE_BITMAP));
    assert_eq!(first & 0b1111, 0b1001);
    let object = crate::heap::allocate_plain(space, Allocator::of_group(0), class);
    assert!(object.is_ok());
    space.end_step();
    sound(space);
}

#[test]
fn a_class_too_wide_for_an_object_is_refused() {
    let host = HostSpace::take().unwrap();
    made(&host, &[MAIN]).unwrap();
    let space = host.space();
    let mut text = String::from("module wide version 1\nexport class Wide {\n");
    for field in 0..1_600 {
        text += &alloc::format!("    field{field}: i64\n");
    }
    let error = loaded(space, namespace(space), &[&(text + "}\n")]).unwrap_err().to_string();
    assert_eq!(error, "module 0: wide: class Wide: has 1600 slots, an object at most 1534");
}
