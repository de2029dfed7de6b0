//! The first object space of a disk: root page, built-in classes, one namespace with the modules of the command line, one program;
//! then further programs, each with a namespace and a group of its own.
//! Their main threads are made by the caller, with what [`Created`] names.

use alloc::string::ToString;
use alloc::vec::Vec;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use super::builtins::make_builtins;
use super::error::LoadError;
use super::layout::{
    CONSOLE_PROGRAM, CONSOLE_SIZE, ENVIRONMENT_ARGUMENTS, ENVIRONMENT_CONSOLE,
    ENVIRONMENT_DIRECTORY, ENVIRONMENT_RESTART_EVENT, ENVIRONMENT_SIZE, EVENT_SIZE,
    FUNCTION_SIGNATURE, GROUP_INDEX, GROUP_NAME, GROUP_SIZE, MODULE_EXPORTS, MODULE_NAME,
    NAMESPACE_MODULES, NAMESPACE_SIZE, PROGRAM_DIRECTORY, PROGRAM_ENVIRONMENT, PROGRAM_GROUP,
    PROGRAM_NAME, PROGRAM_NAMESPACE, PROGRAM_RUNNING, PROGRAM_SIZE, PROGRAM_STATE, SIGNATURE_TEXT,
};
use super::maker::Maker;
use super::text::{elements_of, slot_of, text_of};
use crate::counting;
use crate::heap::{self, AllocationError, Allocator};
use crate::memory::layout::class::FIRST_MODULE_CLASS;
use crate::memory::layout::object::CLASS;
use crate::memory::layout::system::root;
use crate::memory::layout::{ABI_VERSION, MAGIC, area, map};
use crate::memory::{AddressExt, Space};
use crate::system::{Creation, CreationError};

const ROOT: ObjectAddress = ObjectAddress(area::ROOT);

/// Group of the first program; group 0 is the system's.
pub(crate) const PROGRAM_GROUP_INDEX: u32 = 1;

/// The name under which a module exports a program's first function.
const MAIN: &str = "main";

/// What the main thread is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Created {
    /// The program; its main thread is still null.
    pub(crate) program: ObjectAddress,
    /// The program's group.
    pub(crate) group: ObjectAddress,
    /// Index of the group.
    pub(crate) group_index: u32,
    /// What `main` is given.
    pub(crate) environment: ObjectAddress,
    /// The function `main`, of signature (Environment) -> (), (i32) or (i64).
    pub(crate) main: ObjectAddress,
}

/// Makes everything but the main thread, in an object space that is all zero.
///
/// # Errors
/// A module is refused, no module or several export `main`, `main` has another signature, no room.
pub(crate) fn create(space: Space, creation: &Creation<'_>) -> Result<Created, CreationError> {
    heap::format(space);
    counting::format(space, creation.epoch);
    let system = Allocator::of_group(0);
    let group = Allocator::of_group(PROGRAM_GROUP_INDEX);
    group.open(space, PROGRAM_GROUP_INDEX, u64::MAX);
    for (word, value) in [
        (root::NEXT_CLASS, u64::from(FIRST_MODULE_CLASS)),
        (root::NEXT_THREAD, 1),
        (root::NEXT_GROUP, u64::from(PROGRAM_GROUP_INDEX) + 1),
    ] {
        space.store(ROOT.plus(word), value);
    }
    let frame = make_system(space, system).map_err(|_| CreationError::OutOfMemory)?;
    let modules = super::load(space, group, frame.namespace, creation.modules).map_err(refusal)?;
    let main = find_main(space, &modules)?;
    let created = make_program(space, group, &frame, main, creation.arguments)
        .map_err(|_| CreationError::OutOfMemory)?;
    // Last, so that an object space without its magic number was never finished.
    space.store(ROOT.plus(root::ABI), u64::from(ABI_VERSION));
    space.store(ROOT.plus(root::MAGIC), MAGIC);
    Ok(created)
}

/// Adds a program, in a group of its own, to an object space that [`create`] has made.
///
/// # Errors
/// As [`create`]; object space is then to be thrown away.
pub(crate) fn add(space: Space, creation: &Creation<'_>) -> Result<Created, CreationError> {
    let next: u64 = space.load(ROOT.plus(root::NEXT_GROUP));
    let index = u32::try_from(next).ok().filter(|index| u64::from(*index) < area::ALLOCATOR_COUNT);
    let index = index.ok_or(CreationError::OutOfMemory)?;
    let allocator = Allocator::of_group(index);
    allocator.open(space, index, u64::MAX);
    space.store(ROOT.plus(root::NEXT_GROUP), next + 1);
    let frame = make_frame(space, allocator, index).map_err(|_| CreationError::OutOfMemory)?;
    let modules =
        super::load(space, allocator, frame.namespace, creation.modules).map_err(refusal)?;
    let main = find_main(space, &modules)?;
    let created = make_program(space, allocator, &frame, main, creation.arguments)
        .map_err(|_| CreationError::OutOfMemory)?;
    Ok(created)
}

/// Loads further modules beside those of the first program, and names what its next main thread is made from.
///
/// # Errors
/// As [`create`]; nothing of the modules is loaded then.
pub(crate) fn go_on(space: Space, modules: &[&[u8]]) -> Result<Created, CreationError> {
    let programs = elements_of(space, slot_of(space, ROOT, root::PROGRAMS));
    let program = programs.first().copied().ok_or(CreationError::NoMain)?;
    let namespace = slot_of(space, program, PROGRAM_NAMESPACE);
    let allocator = Allocator::of_group(PROGRAM_GROUP_INDEX);
    let modules = super::load(space, allocator, namespace, modules).map_err(refusal)?;
    let main = find_main(space, &modules)?;
    space.store(program.plus(PROGRAM_STATE), PROGRAM_RUNNING);
    Ok(Created {
        program,
        group: slot_of(space, program, PROGRAM_GROUP),
        group_index: PROGRAM_GROUP_INDEX,
        environment: slot_of(space, program, PROGRAM_ENVIRONMENT),
        main,
    })
}

/// Group and namespace of a further program.
fn make_frame(space: Space, allocator: Allocator, index: u32) -> Result<Frame, AllocationError> {
    let mut maker = Maker::new(space, allocator);
    let namespace = maker.plain(Builtin::Namespace, NAMESPACE_SIZE)?;
    let group = maker.plain(Builtin::Group, GROUP_SIZE)?;
    maker.word(group, GROUP_INDEX, u64::from(index));
    let name = maker.text(&["program ", &index.to_string()].concat())?;
    let groups = maker.objects(&with(space, root::GROUPS, group))?;
    maker.refer(group, GROUP_NAME, name);
    maker.refer(ROOT, root::GROUPS, groups);
    maker.publish();
    Ok(Frame { namespace, event: slot_of(space, ROOT, root::RESTART_EVENT), group, index })
}

/// What the array that a word of the root names would hold with one more; a missing array holds nothing.
fn with(space: Space, word: u64, object: ObjectAddress) -> Vec<ObjectAddress> {
    let array = slot_of(space, ROOT, word);
    let mut elements = if array.0 == 0 { Vec::new() } else { elements_of(space, array) };
    elements.push(object);
    elements
}

fn refusal(error: LoadError) -> CreationError {
    match error {
        LoadError::Module { index, reason } => CreationError::Module { index, reason },
        LoadError::Memory(_) => CreationError::OutOfMemory,
    }
}

/// What stands before a program.
struct Frame {
    namespace: ObjectAddress,
    event: ObjectAddress,
    group: ObjectAddress,
    /// Index of the group.
    index: u32,
}

fn make_system(space: Space, allocator: Allocator) -> Result<Frame, AllocationError> {
    let mut maker = Maker::new(space, allocator);
    let classes = make_builtins(&mut maker)?;
    let builtins = maker.plain(Builtin::Namespace, NAMESPACE_SIZE)?;
    let namespace = maker.plain(Builtin::Namespace, NAMESPACE_SIZE)?;
    let event = maker.plain(Builtin::RestartEvent, EVENT_SIZE)?;
    let directory = maker.plain(Builtin::Map, map::SIZE)?;
    let mut groups = Vec::new();
    for (index, name) in (0_u64..).zip(["system", "program"]) {
        let group = maker.plain(Builtin::Group, GROUP_SIZE)?;
        maker.word(group, GROUP_INDEX, index);
        let name = maker.text(name)?;
        maker.refer(group, GROUP_NAME, name);
        groups.push(group);
    }
    let group_table = maker.objects(&groups)?;
    maker.refer(builtins, NAMESPACE_MODULES, classes);
    maker.refer(ROOT, root::BUILTIN_NAMESPACE, builtins);
    maker.refer(ROOT, root::RESTART_EVENT, event);
    maker.refer(ROOT, root::DIRECTORY, directory);
    maker.refer(ROOT, root::GROUPS, group_table);
    maker.publish();
    let group = groups.get(PROGRAM_GROUP_INDEX as usize).copied().unwrap_or(ObjectAddress(0));
    Ok(Frame { namespace, event, group, index: PROGRAM_GROUP_INDEX })
}

/// The only export `main`, if it is a main function.
fn find_main(space: Space, modules: &[ObjectAddress]) -> Result<ObjectAddress, CreationError> {
    let mut found = None;
    for (index, module) in modules.iter().enumerate() {
        let refuse = |reason: &str| {
            let name = text_of(space, slot_of(space, *module, MODULE_NAME));
            Err(CreationError::Module { index, reason: name + ": " + reason })
        };
        for pair in elements_of(space, slot_of(space, *module, MODULE_EXPORTS)).chunks_exact(2) {
            let [name, object] = pair else { continue };
            if text_of(space, *name) != MAIN || found == Some(*object) {
                continue;
            }
            if found.is_some() {
                return refuse("another module exports main too; a program has one");
            }
            if !is_main(space, *object) {
                return refuse(
                    "main must be a function of (Environment) that returns nothing, an i32 or an i64",
                );
            }
            found = Some(*object);
        }
    }
    found.ok_or(CreationError::NoMain)
}

fn is_main(space: Space, object: ObjectAddress) -> bool {
    if space.load::<u32>(object.plus(CLASS)) != Builtin::Function as u32 {
        return false;
    }
    let signature = slot_of(space, object, FUNCTION_SIGNATURE);
    let text = text_of(space, slot_of(space, signature, SIGNATURE_TEXT));
    let class = (Builtin::Environment as u32).to_string();
    ["", "?"].iter().any(|nullable| {
        ["()", "(i32,)", "(i64,)"]
            .iter()
            .any(|results| text == ["(#", &class, nullable, ",)", results].concat())
    })
}

fn make_program(
    space: Space,
    allocator: Allocator,
    frame: &Frame,
    main: ObjectAddress,
    arguments: &[&str],
) -> Result<Created, AllocationError> {
    let mut maker = Maker::new(space, allocator);
    let program = maker.plain(Builtin::Program, PROGRAM_SIZE)?;
    let environment = maker.plain(Builtin::Environment, ENVIRONMENT_SIZE)?;
    let console = maker.plain(Builtin::Console, CONSOLE_SIZE)?;
    let directory = maker.plain(Builtin::Map, map::SIZE)?;
    let name = maker.text("main")?;
    let mut texts = Vec::new();
    for argument in arguments {
        texts.push(maker.text(argument)?);
    }
    let arguments = maker.objects_of(Builtin::StringArray, &texts)?;
    let programs = maker.objects(&with(space, root::PROGRAMS, program))?;
    maker.refer(console, CONSOLE_PROGRAM, program);
    maker.refer(environment, ENVIRONMENT_ARGUMENTS, arguments);
    maker.refer(environment, ENVIRONMENT_CONSOLE, console);
    maker.refer(environment, ENVIRONMENT_DIRECTORY, directory);
    maker.refer(environment, ENVIRONMENT_RESTART_EVENT, frame.event);
    maker.refer(program, PROGRAM_NAME, name);
    maker.refer(program, PROGRAM_NAMESPACE, frame.namespace);
    maker.refer(program, PROGRAM_GROUP, frame.group);
    maker.refer(program, PROGRAM_ENVIRONMENT, environment);
    maker.refer(program, PROGRAM_DIRECTORY, directory);
    maker.word(program, PROGRAM_STATE, PROGRAM_RUNNING);
    maker.refer(ROOT, root::PROGRAMS, programs);
    maker.publish();
    let group = frame.group;
    Ok(Created { program, group, group_index: frame.index, environment, main })
}
