//! A small world for the tests of heap and counting: an object space with built-in classes, a node class, and threads that
//! are nothing but frames. Neighbours: the tests of this folder.
#![allow(dead_code, clippy::allow_attributes, reason = "each test uses a part of it")]

use revenant_bytecode::Builtin;
use revenant_hal::{Epoch, ObjectAddress};
use revenant_vm::counting::audit::{Audit, audit};
use revenant_vm::counting::{self, class_at, frozen, grace};
use revenant_vm::heap::{self, Allocator};
use revenant_vm::memory::layout::system::root;
use revenant_vm::memory::layout::{area, object, thread};
use revenant_vm::memory::{AddressExt, HostSpace, Space};
use revenant_vm::object::class::{self, ClassShape};

/// Class index of nodes: slots 0 and 1 references, slot 2 raw.
pub(crate) const NODE: u32 = 256;

/// An object space for one test.
pub(crate) struct World {
    pub(crate) host: HostSpace,
    pub(crate) space: Space,
    pub(crate) allocator: Allocator,
    pub(crate) node: ObjectAddress,
}

impl World {
    /// An empty object space with built-in classes and the node class; root slot `DIRECTORY` free for the test.
    pub(crate) fn new() -> Self {
        let host = HostSpace::take().unwrap();
        let space = host.space();
        heap::format(space);
        counting::format(space, Epoch(1));
        let allocator = Allocator::of_group(0);
        class::create_builtins(space, allocator, |_| ClassShape::plain(4, 0)).unwrap();
        let above = class_at(space, Builtin::Object as u32);
        let shape = ClassShape::plain(3, 0b011);
        let index = class::next_index(space).unwrap();
        assert_eq!(index, NODE);
        let node = class::create(space, allocator, index, above, &shape).unwrap();
        Self { host, space, allocator, node }
    }

    pub(crate) fn new_node(&self) -> ObjectAddress {
        let made = heap::allocate_plain(self.space, self.allocator, self.node).unwrap();
        self.space.end_step();
        made
    }

    pub(crate) fn field(&self, node: ObjectAddress, slot: u64) -> ObjectAddress {
        let value = ObjectAddress(self.space.load(node.plus(object::PAYLOAD + 8 * slot)));
        self.space.end_step();
        value
    }

    pub(crate) fn set_field(&self, node: ObjectAddress, slot: u64, value: ObjectAddress) {
        counting::store_reference(self.space, node.plus(object::PAYLOAD + 8 * slot), value);
        self.space.end_step();
    }

    pub(crate) fn root_slot(&self, index: u64) -> ObjectAddress {
        ObjectAddress(area::ROOT).plus(root::SPARE_REFERENCES + 8 * index)
    }

    pub(crate) fn root(&self, index: u64) -> ObjectAddress {
        ObjectAddress(self.space.load(self.root_slot(index)))
    }

    pub(crate) fn set_root(&self, index: u64, value: ObjectAddress) {
        counting::store_reference(self.space, self.root_slot(index), value);
        self.space.end_step();
    }

    /// A thread whose first frame has so many reference registers, all null. It is hot from birth.
    pub(crate) fn spawn(&self, registers: u64) -> Thread {
        let class_object = class_at(self.space, Builtin::Thread as u32);
        let made = heap::allocate_plain(self.space, self.allocator, class_object).unwrap();
        self.space.end_step();
        let (stack, size) = heap::runs::take_stack(self.space, thread::STACK_DEFAULT).unwrap();
        let next = ObjectAddress(area::ROOT).plus(root::NEXT_THREAD);
        let index = self.space.load::<u64>(next).max(1);
        self.space.store(next, index + 1);
        let space = self.space;
        let (references, raws, records) = thread::stack_parts(size);
        space.store(made.plus(thread::STACK), stack.0);
        space.store(made.plus(thread::STACK_SIZE), size);
        space.store(made.plus(thread::WATERMARK), stack.0);
        space.store(made.plus(thread::REFERENCE_LIMIT), stack.0 + references);
        space.store(made.plus(thread::RAW_LIMIT), stack.0 + raws);
        space.store(made.plus(thread::RECORD_LIMIT), stack.0 + records);
        space.store(made.plus(thread::STATE), thread::STATE_RUNNABLE);
        space.end_step();
        counting::store_reference(space, ObjectAddress(area::THREAD_TABLE + 8 * index), made);
        space.end_step();
        let spawned = Thread { space, object: made, stack };
        spawned.push(0, registers);
        spawned.run();
        spawned
    }

    /// Runs a whole grace, and more until nothing at zero is left that could be freed.
    pub(crate) fn settle(&self) {
        for _ in 0..10_000 {
            let freed = self.freed();
            grace::close(self.space);
            assert_eq!(grace::run(self.space, u64::MAX).unwrap(), grace::Progress::Idle);
            if self.freed() == freed {
                return;
            }
        }
        panic!("a grace frees something for ever");
    }

    pub(crate) fn freed(&self) -> u64 {
        use revenant_vm::memory::layout::system::counting::OBJECTS_FREED;
        self.space.load(ObjectAddress(area::COUNTING).plus(OBJECTS_FREED))
    }

    pub(crate) fn audit(&self) -> Audit {
        let report = audit(self.space);
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        report
    }

    pub(crate) fn nodes(&self) -> u64 {
        self.audit().objects.get(&NODE).copied().unwrap_or(0)
    }
}

/// A thread that is nothing but frames.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    pub(crate) space: Space,
    pub(crate) object: ObjectAddress,
    pub(crate) stack: ObjectAddress,
}

impl Thread {
    fn record(&self) -> ObjectAddress {
        ObjectAddress(self.space.load(self.object.plus(thread::FRAME)))
    }

    /// Enters a frame with `registers` references whose base is `offset` registers above the caller's base; registers above
    /// the overlap are nulled.
    pub(crate) fn push(&self, offset: u64, registers: u64) {
        let (_, raws, _) = thread::stack_parts(thread::STACK_DEFAULT);
        let record = self.record();
        let (next, base, caller_end) = if record.is_null() {
            (self.stack.plus(raws), 0, 0)
        } else {
            let base = self.space.load::<u32>(record.plus(thread::RECORD_REFERENCE_BASE));
            let end = self.space.load::<u32>(record.plus(thread::RECORD_REFERENCE_END));
            (record.plus(thread::RECORD_SIZE), u64::from(base) + 8 * offset, u64::from(end))
        };
        let end = (base + 8 * registers).max(caller_end);
        for slot in (caller_end.max(base)..end).step_by(8) {
            self.space.store(self.stack.plus(slot), 0_u64);
        }
        let word = |value: u64| u32::try_from(value).unwrap();
        self.space.store(next.plus(thread::RECORD_REFERENCE_BASE), word(base));
        self.space.store(next.plus(thread::RECORD_REFERENCE_END), word(end));
        self.space.store(self.object.plus(thread::FRAME), next.0);
        self.space.end_step();
    }

    /// Returns to the caller's frame, which thaws.
    pub(crate) fn pop(&self) {
        let caller = self.record().minus(thread::RECORD_SIZE);
        let base = self.space.load::<u32>(caller.plus(thread::RECORD_REFERENCE_BASE));
        self.space.end_step();
        frozen::thaw(self.space, self.object, self.stack.plus(u64::from(base))).unwrap();
        self.space.store(self.object.plus(thread::FRAME), caller.0);
        self.space.end_step();
    }

    pub(crate) fn depth(&self) -> u64 {
        let (_, raws, _) = thread::stack_parts(thread::STACK_DEFAULT);
        (self.record().0 - self.stack.0 - raws) / thread::RECORD_SIZE + 1
    }

    /// What dispatch does before the thread executes anything.
    pub(crate) fn run(&self) {
        self.space.end_step();
        frozen::prepare_to_run(self.space, self.object).unwrap();
    }

    pub(crate) fn register(&self, index: u64) -> ObjectAddress {
        let base = frozen::frame_base(self.space, self.object);
        let value = ObjectAddress(self.space.load(base.plus(8 * index)));
        self.space.end_step();
        value
    }

    pub(crate) fn set_register(&self, index: u64, value: ObjectAddress) {
        let base = frozen::frame_base(self.space, self.object);
        let watermark = self.space.load::<u64>(self.object.plus(thread::WATERMARK));
        assert!(watermark <= base.0, "a frozen frame is written to");
        self.space.store(base.plus(8 * index), value.0);
        self.space.end_step();
    }

    /// Every reference in its frames, by slot number.
    pub(crate) fn slots(&self) -> Vec<ObjectAddress> {
        let end = frozen::scan_end(self.space, self.object);
        let slots = (self.stack.0..end.0).step_by(8);
        slots.map(|slot| ObjectAddress(self.space.load(ObjectAddress(slot)))).collect()
    }
}
