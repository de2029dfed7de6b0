//! Memory: what the store takes is bounded by its options whatever programs do, and setting space aside, which happens in
//! page faults, takes none.

use crate::common::{Machine, content, formatted, request};
use allocation_counter::measure;
use revenant_hal::{FrameIndex, FrameMemory, Nanoseconds, PageIndex};
use revenant_store::{
    Copies, OpenRequest, Purpose, Refusal, StepOutcome, Store, StoreEvent, StoreOptions,
};

const NODES: usize = 2000;
/// Pages of one map leaf: pages so far apart need a leaf each.
const SPREAD: u64 = 128;

fn open(machine: &mut Machine, session: u128, options: StoreOptions) -> Result<Store, Refusal> {
    machine.open(OpenRequest { options, ..request(session) }).map(|(store, _)| store)
}

fn few_nodes() -> StoreOptions {
    StoreOptions { changed_nodes: NODES, cached_nodes: 64, ..StoreOptions::default() }
}

/// Makes scattered pages dirty until one has to wait; returns how many there are.
fn dirty_all(store: &mut Store, base: u64) -> u64 {
    (0..)
        .take_while(|number| {
            let page = PageIndex((base + number) * SPREAD);
            store.reserve_first_dirtying(page, Copies::One, Purpose::Program).is_ok()
        })
        .last()
        .map_or(0, |last| last + 1)
}

/// The memory that a store holds, and the most that it held: measured in its own calls, so that the disk's does not count.
#[derive(Default)]
struct Account {
    held: i64,
    most: i64,
}

impl Account {
    fn call<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let mut result = None;
        let taken = measure(|| result = Some(work()));
        self.most = self.most.max(self.held + i64::try_from(taken.bytes_max).expect("small"));
        self.held += taken.bytes_current;
        result.expect("it ran")
    }
}

/// Commits so many scattered pages; returns the most memory that the store took meanwhile.
fn commit(machine: &mut Machine, store: &mut Store, base: u64, pages: u64) -> i64 {
    let mut account = Account::default();
    let epoch = store.running_epoch();
    account.call(|| store.begin_snapshot(epoch, Nanoseconds(0))).expect("it begins");
    let mut free: Vec<FrameIndex> = (0..32).map(FrameIndex).collect();
    let mut next = 0;
    loop {
        while next < pages
            && let Some(frame) = free.pop()
        {
            *machine.frames.bytes_mut(frame) = content(base + next + 1);
            let page = PageIndex((base + next) * SPREAD);
            account.call(|| store.write_page(page, frame, Copies::One));
            next += 1;
        }
        if next == pages {
            store.finish_snapshot();
        }
        match account.call(|| store.next_event()) {
            Some(StoreEvent::PageWritten { frame, .. }) => free.push(frame),
            Some(StoreEvent::Committed { .. }) => return account.most,
            Some(StoreEvent::Report(_)) => {}
            Some(event) => panic!("{event:?}"),
            None => {
                let step = account.call(|| store.step(&mut machine.disk, &mut machine.frames));
                if step != StepOutcome::Again
                    && let Some(completion) = machine.poll()
                {
                    account.call(|| store.complete(completion, &mut machine.frames));
                }
            }
        }
    }
}

/// A page fault reserves: it must not draw on the kernel's heap.
#[test]
fn setting_space_aside_takes_no_memory() {
    let mut machine = formatted(16_384, 71);
    let mut store = open(&mut machine, 1, few_nodes()).expect("it opens");
    let mut accepted = 0;
    let taken = measure(|| accepted = dirty_all(&mut store, 0));
    assert!(accepted > 1500, "{accepted} pages were accepted");
    assert_eq!(taken.count_total, 0, "{taken:?}");
}

/// One page in each of many map leaves: every page costs a node of 4 KiB while its commit is made. Without a bound a program
/// that stores all over a large heap exhausts the kernel's.
#[test]
fn scattered_stores_wait_before_the_map_of_a_commit_outgrows_its_memory() {
    let mut machine = formatted(40_000, 72);
    let mut store = open(&mut machine, 1, few_nodes()).expect("it opens");
    let page = i64::try_from(revenant_hal::PAGE_SIZE).expect("small");
    for round in 0..3u64 {
        let base = round * 100_000;
        assert!(!store.wants_snapshot());
        let dirty = dirty_all(&mut store, base);
        assert!(dirty > NODES as u64 / 2 && dirty < NODES as u64, "round {round}: {dirty} pages");
        assert!(store.wants_snapshot(), "round {round}");
        // The system has nodes of its own.
        let system = PageIndex(u64::from(u32::MAX) - round);
        store
            .reserve_first_dirtying(system, Copies::Two, Purpose::System)
            .expect("the system's share");
        // And so has what gives memory back, however much of it is stored to meanwhile.
        let (changed, gone) = (PageIndex(3 << 30 | round), PageIndex(7 << 29 | round));
        store.reserve_first_dirtying(changed, Copies::One, Purpose::Freeing).expect("its share");
        store.discard(gone).expect("its share");
        let most = commit(&mut machine, &mut store, base, dirty);
        // The nodes once, those on their way to the disk, and small change.
        let bound = page * (i64::try_from(NODES).expect("small") + 512 + 128 + 64);
        assert!(most < bound, "round {round}: {most} bytes, {bound} allowed");
    }
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

/// While a snapshot is being made, its nodes count too; when it has been given up, they are the running epoch's.
#[test]
fn the_frozen_epochs_nodes_count_until_they_are_durable() {
    let mut machine = formatted(40_000, 73);
    let mut store = open(&mut machine, 1, few_nodes()).expect("it opens");
    let dirty = dirty_all(&mut store, 0);
    let epoch = store.running_epoch();
    store.begin_snapshot(epoch, Nanoseconds(0)).expect("it begins");
    assert_eq!(dirty_all(&mut store, 500_000), 0);
    store.abandon_snapshot();
    while !matches!(machine.event(&mut store), Some(StoreEvent::Abandoned { .. })) {}
    assert_eq!(dirty_all(&mut store, 500_000), 0);
    assert!(store.wants_snapshot());
    assert_eq!(dirty_all(&mut store, 0), dirty, "what is charged is charged");
    commit(&mut machine, &mut store, 0, dirty);
    assert!(dirty_all(&mut store, 500_000) > 0);
}

#[test]
fn a_disk_whose_allocator_does_not_fit_into_memory_is_refused() {
    let mut machine = formatted(40_000, 74);
    let writes = machine.disk.operation_counts()[1];
    let small = StoreOptions { memory: 8 * 4096, ..StoreOptions::default() };
    let refusal = open(&mut machine, 1, small).map(drop);
    let (needed, available) = (16 * 4096, 8 * 4096);
    assert_eq!(refusal, Err(Refusal::NotEnoughMemory { needed, available }));
    assert_eq!(machine.disk.operation_counts()[1], writes, "a refused disk is not written to");
    let enough = StoreOptions { memory: needed, ..StoreOptions::default() };
    assert!(open(&mut machine, 2, enough).is_ok());
}
