//! The system pages: root, scheduler, counting, console, statistics.
//!
//! All words are u64 unless said otherwise. "Reference" means a counted reference to an object or null.

/// Root page.
pub mod root {
    /// [`super::super::MAGIC`].
    pub const MAGIC: u64 = 0;
    /// [`super::super::ABI_VERSION`], u32 in a u64.
    pub const ABI: u64 = 8;
    /// Restart generation: how often the machine resumed.
    pub const RESTART_GENERATION: u64 = 16;
    /// Machine clock in nanoseconds as of the last flip; it stands still while the machine is off.
    pub const MACHINE_CLOCK: u64 = 24;
    /// Wall clock minus machine clock in nanoseconds (two's complement), as last set.
    pub const WALL_OFFSET: u64 = 32;
    /// Last epoch that is known to be durable.
    pub const DURABLE_EPOCH: u64 = 40;
    /// Next class index to give out.
    pub const NEXT_CLASS: u64 = 48;
    /// Next thread index that was never used.
    pub const NEXT_THREAD: u64 = 56;
    /// First free thread index below [`NEXT_THREAD`], 0 none; free table entries hold the next one as an odd number.
    pub const FREE_THREAD: u64 = 64;
    /// Next group index.
    pub const NEXT_GROUP: u64 = 72;
    /// Root directory, reference.
    pub const DIRECTORY: u64 = 128;
    /// Namespace of the built-in classes, reference.
    pub const BUILTIN_NAMESPACE: u64 = 136;
    /// Reference array of all programs, reference.
    pub const PROGRAMS: u64 = 144;
    /// The console session's program, reference.
    pub const CONSOLE_SESSION: u64 = 152;
    /// The restart event, reference.
    pub const RESTART_EVENT: u64 = 160;
    /// Group objects by index, a reference array, reference.
    pub const GROUPS: u64 = 168;
    /// Loader's table of interned module identities, a map, reference.
    pub const MODULES: u64 = 176;
    /// References reserved for the loader and the scheduler.
    pub const SPARE_REFERENCES: u64 = 184;
    /// First byte after the references. Every word from [`DIRECTORY`] to here is a counted reference or null.
    pub const REFERENCES_END: u64 = 512;
}

/// Scheduler page. Queue links are raw thread addresses: the thread table's counted reference keeps them alive.
pub mod scheduler {
    /// First runnable thread, 0 none.
    pub const RUN_HEAD: u64 = 0;
    /// Last runnable thread.
    pub const RUN_TAIL: u64 = 8;
    /// Threads in the run queue.
    pub const RUN_COUNT: u64 = 16;
    /// Entries in the timer heap.
    pub const TIMER_COUNT: u64 = 24;
    /// Threads that exist and have not ended.
    pub const THREAD_COUNT: u64 = 32;
    /// Steps of all threads together.
    pub const STEPS: u64 = 40;
    /// First thread that waits in `commit()`, linked by the wait links.
    pub const COMMIT_HEAD: u64 = 48;
    /// Last thread that waits in `commit()`.
    pub const COMMIT_TAIL: u64 = 56;
    /// Random state of deterministic schedules and of programs that ask.
    pub const RANDOM: u64 = 64;
    /// First thread that has ended and left the hot list, linked by the hot link: ready to be forgotten.
    pub const ENDED_HEAD: u64 = 72;
    /// Index of the thread that the round over all threads looks at next, 0 while there is none: after a page of thread objects
    /// was lost. Until it has come to the end, hot threads and ended ones from this index on stand in no list.
    pub const ROUND: u64 = 80;
    /// First byte free for the scheduler's own use; it documents what it adds in OBJECTS.md.
    pub const SPARE: u64 = 128;
}

/// Counting page: what every allocation and every store of a reference touches stands first, in one line of the cache.
pub mod counting {
    /// Running epoch: births get it. The kernel sets it at the flip and at resume.
    pub const EPOCH: u64 = 0;
    /// Address of the next entry of the open batch.
    pub const OPEN_NEXT: u64 = 8;
    /// Address at which an allocation asks for a grace.
    pub const OPEN_LIMIT: u64 = 16;
    /// Metadata byte of a new object: start and the open batch; u8 in a u64.
    pub const NEW_METADATA: u64 = 24;
    /// Phase of the grace: [`PHASE_IDLE`] and friends.
    pub const PHASE: u64 = 32;
    /// Next entry of the closed batch to look at, address.
    pub const CLOSED_NEXT: u64 = 40;
    /// End of the closed batch, address.
    pub const CLOSED_END: u64 = 48;
    /// Object whose parts are being released, or 0.
    pub const TEARDOWN_OBJECT: u64 = 56;
    /// Next part of it: slot or page number.
    pub const TEARDOWN_INDEX: u64 = 64;
    /// What is being released of it.
    pub const TEARDOWN_STAGE: u64 = 72;
    /// First thread that ran since it was last frozen, linked by the thread's hot link; 0 none.
    pub const HOT_HEAD: u64 = 80;
    /// First thread still to be frozen for the grace in progress.
    pub const PENDING_HEAD: u64 = 88;
    /// A grace was asked for (by size, by the snapshot sequence); not 0.
    pub const REQUESTED: u64 = 96;
    /// Entries after which the open batch asks for a grace.
    pub const BATCH_ENTRIES: u64 = 104;
    /// Entries of the closed batch that were kept because a frame held them.
    pub const KEPT: u64 = 112;
    /// Graces finished so far.
    pub const GRACES: u64 = 120;
    /// Objects freed by counting so far.
    pub const OBJECTS_FREED: u64 = 128;
    /// Slots frozen so far.
    pub const SLOTS_FROZEN: u64 = 136;
    /// Slots thawed so far.
    pub const SLOTS_THAWED: u64 = 144;
    /// Bytes of large objects made since the open batch was opened.
    pub const OPEN_LARGE: u64 = 152;
    /// State of the held table ([`super::table`]).
    pub const HELD: u64 = 256;
    /// State of the weak table.
    pub const WEAK: u64 = 320;
    /// State of the extension table. Reserved.
    pub const EXTENSION: u64 = 384;
    /// Name of the mark that the sweep under way follows: four words.
    pub const SWEEP_NAME: u64 = 448;
    /// Epoch of the snapshot that was marked.
    pub const SWEEP_EPOCH: u64 = 480;
    /// Number of the block that the sweep looks at next; 0: no sweep is under way.
    pub const SWEEP_BLOCK: u64 = 488;
    /// First granule of it that was not looked at.
    pub const SWEEP_GRANULE: u64 = 496;
    /// Object that the sweep is releasing part by part, or 0.
    pub const SWEEP_OBJECT: u64 = 504;
    /// What is being released of it: as [`TEARDOWN_STAGE`].
    pub const SWEEP_STAGE: u64 = 512;
    /// Next part of it: as [`TEARDOWN_INDEX`].
    pub const SWEEP_INDEX: u64 = 520;
    /// Epoch of the earliest mark of which a sweep was left unfinished, 0 when no garbage of such a one can be left.
    pub const SWEEP_DROPPED: u64 = 528;
    /// Objects and blocks that the sweep under way has passed over.
    pub const SWEEP_PASSED: u64 = 536;
    /// Objects freed by sweeps so far.
    pub const SWEPT: u64 = 544;
    /// Sweeps finished so far.
    pub const SWEEPS: u64 = 552;
    /// Bytes of memory handed out to objects so far, cells in runs and pages of large ones.
    pub const GIVEN: u64 = 560;
    /// References dropped so far from objects to which others were left: a circle that nothing else reaches may be among those.
    pub const PARTED: u64 = 568;
    /// Counts that have stuck so far, those of what is made immortal not counted.
    pub const STUCK: u64 = 576;
    /// [`GIVEN`] at the flip whose snapshot the last collection has marked.
    pub const COLLECTED_GIVEN: u64 = 584;
    /// [`PARTED`] then.
    pub const COLLECTED_PARTED: u64 = 592;
    /// [`STUCK`] then.
    pub const COLLECTED_STUCK: u64 = 600;
    /// Pages that the last mark has read.
    pub const COLLECTED_PAGES: u64 = 608;
    /// What the collector has learned about how much garbage comes of what is handed out; its own encoding, 0 nothing.
    pub const COLLECTED_YIELD: u64 = 616;
    /// What programs want of the collector: bits ([`WISH_PAUSE`] and friends).
    pub const WISH: u64 = 624;
    /// Keys of the held table by block: u32 each, of the blocks whose number is the index modulo their count.
    pub const HELD_BLOCKS: u64 = 1024;
    /// How many of these there are.
    pub const HELD_BLOCKS_COUNT: u32 = 512;

    /// Wish: nothing is marked or swept until this is taken back.
    pub const WISH_PAUSE: u64 = 1;
    /// Wish: a collection begins as soon as it can.
    pub const WISH_START: u64 = 2;
    /// Wish: the collection under way is given up.
    pub const WISH_STOP: u64 = 4;

    /// No batch is closed.
    pub const PHASE_IDLE: u64 = 0;
    /// A batch is closed; threads are being frozen.
    pub const PHASE_FREEZING: u64 = 1;
    /// Every thread was frozen after the closing; entries are being freed.
    pub const PHASE_FREEING: u64 = 2;

    /// Teardown: references of the object are being released.
    pub const STAGE_REFERENCES: u64 = 0;
    /// Teardown: pages of a large object are being zeroed.
    pub const STAGE_ZERO: u64 = 1;
    /// Teardown: memory is given back.
    pub const STAGE_RELEASE: u64 = 2;
}

/// State of a side table: an open-addressed table from addresses to words in one of two arenas.
pub mod table {
    /// Log2 of the places in use, u64; 0 while the table was never used.
    pub const LOG2: u64 = 0;
    /// Arena in use, 0 or 1.
    pub const ARENA: u64 = 8;
    /// Live entries.
    pub const LIVE: u64 = 16;
    /// Places of the arena in use that are not empty.
    pub const USED: u64 = 24;
    /// Log2 of the places of the arena being left, 0 when none is.
    pub const OLD_LOG2: u64 = 32;
    /// Place of it from which it still counts; those before are zero.
    pub const OLD_CURSOR: u64 = 40;
    /// Bytes of the state.
    pub const SIZE: u64 = 64;
    /// Bytes of a place: key u64, value u64.
    pub const PLACE: u64 = 16;
    /// Key of a place whose entry was removed.
    pub const REMOVED: u64 = 1;
}

/// Console page.
pub mod console {
    /// Bytes ever appended to the output ring; the place is this modulo the ring's size.
    pub const OUTPUT_APPENDED: u64 = 0;
    /// Bytes ever sent by the kernel.
    pub const OUTPUT_DRAINED: u64 = 8;
    /// Bytes ever entered in the input queue.
    pub const INPUT_APPENDED: u64 = 16;
    /// Bytes ever taken by readers.
    pub const INPUT_TAKEN: u64 = 24;
    /// Input bytes that were lost for want of space.
    pub const INPUT_LOST: u64 = 32;
    /// First thread that waits to read, linked by the wait links.
    pub const READER_HEAD: u64 = 40;
    /// Last thread that waits to read.
    pub const READER_TAIL: u64 = 48;
    /// First thread that waits for room in the output ring.
    pub const WRITER_HEAD: u64 = 56;
    /// Last thread that waits for room in the output ring.
    pub const WRITER_TAIL: u64 = 64;
    /// Program in the foreground, raw address (programs are kept by the root's list).
    pub const FOREGROUND: u64 = 72;
    /// Thread whose long text is entering the output ring, raw address; 0 none.
    pub const OUTPUT_OWNER: u64 = 80;
    /// Index of the thread that a Ctrl-C looks at next; 0 when none is under way.
    pub const INTERRUPTING: u64 = 88;
    /// First byte free for the console's own use.
    pub const SPARE: u64 = 128;
}

/// Witness page: which thread reported which step last. The kernel reads it in the stop: one page, whatever the number of
/// threads.
pub mod witness {
    /// Entries that were ever in use at the same time.
    pub const COUNT: u64 = 0;
    /// Entries given back so far.
    pub const RELEASED: u64 = 8;
    /// First entry.
    pub const ENTRIES: u64 = 16;
    /// Bytes of an entry: number of the thread (its index, and from bit 24 on the entries that were given back before it took this
    /// one; 0: free), step.
    pub const ENTRY_SIZE: u64 = 16;
    /// Entries that the page holds; a thread that finds none free is not witnessed.
    pub const CAPACITY: u64 = 255;
}

/// Statistics, on the page of runs behind what it is for (a step that takes or gives a run counts it, and touches one page for
/// both): words that only grow, for reports; nothing depends on them.
pub mod statistics {
    /// Small blocks taken.
    pub const BLOCKS_TAKEN: u64 = 520;
    /// Small blocks given back.
    pub const BLOCKS_RETURNED: u64 = 528;
    /// Large objects made.
    pub const LARGE_MADE: u64 = 536;
    /// Large objects freed.
    pub const LARGE_FREED: u64 = 544;
}

const _: () = assert!(root::SPARE_REFERENCES < root::REFERENCES_END);
const _: () = assert!(counting::SLOTS_THAWED < counting::HELD);
const _: () = assert!(counting::HELD + table::SIZE == counting::WEAK);
const _: () = assert!(counting::WEAK + table::SIZE == counting::EXTENSION);
const _: () = assert!(counting::EXTENSION + table::SIZE <= counting::SWEEP_NAME);
const _: () = assert!(counting::SWEEPS < counting::GIVEN && counting::WISH < counting::HELD_BLOCKS);
const _: () = assert!(counting::HELD_BLOCKS + counting::HELD_BLOCKS_COUNT as u64 * 4 <= 4096);
