//! Every interleaving of three threads, two objects and a grace, over the real code and real object space.
//!
//! States are explored breadth first and recognised by what matters in them (registers, heap slots, metadata, batches, lists,
//! phase), so the search ends when nothing new is reachable. In every state, whatever a register, the root slot, a
//! field of a living object or the weak reference names must be alive. Then bugs are planted, as drivers that do what a
//! wrong kernel would do, and each must be caught: parked threads not asked, no re-batching when a slot thaws, a frame that
//! runs while it is frozen, a reference handed over without declaring it, a weak read without declaring it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::{HashSet, VecDeque};

use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PageBytes, PageIndex};
use revenant_vm::counting::{self, Table, class_at, frozen, grace};
use revenant_vm::heap::metadata;
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::system::counting as words;
use revenant_vm::memory::layout::{area, object, thread};
use world::{Thread, World};

const NULL: ObjectAddress = ObjectAddress(0);
const THREADS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// The thread is dispatched and does nothing yet.
    Run(usize),
    /// register = root slot
    Load(usize),
    /// register = field of the object in the root slot
    LoadField(usize),
    /// register = weak reference to the first object
    LoadWeak(usize),
    /// root slot = register
    Store(usize),
    /// field of the first object = register, if that is the second object and the first is in the root slot
    StoreField(usize),
    /// register = null
    Drop(usize),
    /// other thread's register = register
    Pass(usize, usize),
    /// root slot = null
    Clear,
    /// field of the object in the root slot = null
    ClearField,
    /// close the open batch
    Close,
    /// the next step of the grace
    Step,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Planted {
    Nothing,
    ParkedThreadsNotAsked,
    NoRebatching,
    FrameFrozenTooHigh,
    PassedWithoutDeclaring,
    WeakReadWithoutDeclaring,
}

struct Explorer {
    world: World,
    threads: Vec<Thread>,
    first: ObjectAddress,
    second: ObjectAddress,
    weak: ObjectAddress,
    pages: Vec<PageIndex>,
    base: Vec<PageBytes>,
    planted: Planted,
}

/// What tells two states apart. Counters, stale entries and removed places do not.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key(Vec<u64>);

/// What differs from the base, in the pages that can change: page, word, value.
type Image = Vec<(u16, u16, [u8; 8])>;

impl Explorer {
    fn new(planted: Planted) -> Self {
        let world = World::new();
        let threads: Vec<Thread> = (0..THREADS).map(|_| world.spawn(1)).collect();
        let (first, second) = (world.new_node(), world.new_node());
        let weak_class = class_at(world.space, Builtin::WeakReference as u32);
        let weak =
            counting::weak_reference(world.space, world.allocator, weak_class, first).unwrap();
        world.set_root(1, weak);
        // Go once through everything, so that every page that can change is there.
        world.set_root(0, first);
        threads[0].set_register(0, second);
        world.settle();
        threads[0].run();
        threads[1].run();
        threads[1].set_register(0, first);
        world.set_root(0, NULL);
        world.settle();
        for each in &threads {
            each.run();
        }
        threads[0].set_register(0, NULL);
        threads[1].set_register(0, NULL);
        threads[2].set_register(0, NULL);
        world.set_root(0, first);
        world.set_field(first, 0, second);
        let touched = world.host.touched();
        let pages = touched
            .iter()
            .flat_map(|range| (range.start.0..range.end.0).map(PageIndex).collect::<Vec<_>>());
        let kept = |page: &PageIndex| {
            let address = page.address().0;
            let constant = (area::CLASS_TABLE..area::BATCHES).contains(&address);
            !constant && address != area::RUNS
        };
        let pages: Vec<PageIndex> = pages.filter(kept).collect();
        let base = pages.iter().map(|page| world.host.page(*page)).collect();
        Self { world, threads, first, second, weak, pages, base, planted }
    }

    fn save(&self) -> Image {
        let mut image = Image::new();
        for (number, (page, base)) in (0..).zip(self.pages.iter().zip(&self.base)) {
            let bytes = self.world.host.page(*page);
            if bytes == *base {
                continue;
            }
            let words = bytes.0.as_chunks::<8>().0.iter().zip(base.0.as_chunks::<8>().0);
            let changed = (0..).zip(words).filter(|(_, (now, before))| now != before);
            image.extend(changed.map(|(word, (now, _))| (number, word, *now)));
        }
        image
    }

    fn restore(&self, image: &Image) {
        for (page, bytes) in self.pages.iter().zip(&self.base) {
            self.world.host.set_page(*page, bytes);
        }
        for (page, word, bytes) in image {
            let address = self.pages[usize::from(*page)].address().plus(8 * u64::from(*word));
            self.world.space.store_bytes(address, *bytes);
        }
    }

    fn word(&self, address: ObjectAddress) -> u64 {
        self.world.space.load(address)
    }

    fn counting_word(&self, offset: u64) -> u64 {
        self.word(ObjectAddress(area::COUNTING).plus(offset))
    }

    fn is_alive(&self, node: ObjectAddress) -> bool {
        metadata::load(self.world.space, node).starts()
    }

    fn run(&self, which: usize) {
        let runner = self.threads[which];
        match self.planted {
            Planted::NoRebatching => {
                let nodes = [self.first, self.second];
                let before = nodes.map(|node| metadata::load(self.world.space, node));
                let next = self.counting_word(words::OPEN_NEXT);
                runner.run();
                for (node, metadata_before) in nodes.into_iter().zip(before) {
                    metadata::store(self.world.space, node, metadata_before);
                }
                self.world.space.store(ObjectAddress(area::COUNTING).plus(words::OPEN_NEXT), next);
            }
            Planted::FrameFrozenTooHigh => {
                // The frame is taken for one that runs although its slot is still counted as frozen.
                if !frozen::is_hot(self.world.space, runner.object) {
                    let mark = runner.object.plus(thread::WATERMARK);
                    let watermark = self.word(mark);
                    self.world.space.store(mark, runner.stack.0);
                    runner.run();
                    self.world.space.store(mark, watermark);
                }
            }
            _ => runner.run(),
        }
    }

    fn register(&self, which: usize) -> ObjectAddress {
        self.threads[which].register(0)
    }

    fn set_register(&self, which: usize, value: ObjectAddress) {
        if self.planted == Planted::FrameFrozenTooHigh {
            self.world.space.store(self.threads[which].stack, value.0);
        } else {
            self.threads[which].set_register(0, value);
        }
    }

    /// Does an action; false when it cannot be done in this state.
    fn act(&self, action: Action) -> bool {
        let (world, root) = (&self.world, self.world.root(0));
        match action {
            Action::Run(which) => self.run(which),
            Action::Load(which) => {
                self.run(which);
                self.set_register(which, world.root(0));
            }
            Action::LoadField(which) if !root.is_null() => {
                self.run(which);
                self.set_register(which, world.field(root, 0));
            }
            Action::LoadWeak(which) => {
                self.run(which);
                let target = if self.planted == Planted::WeakReadWithoutDeclaring {
                    ObjectAddress(self.word(self.weak.plus(object::WEAK_TARGET)))
                } else {
                    counting::read_weak(world.space, self.weak)
                };
                world.space.end_step();
                self.set_register(which, target);
            }
            Action::Store(which) => {
                self.run(which);
                world.set_root(0, self.register(which));
            }
            Action::StoreField(which)
                if root == self.first && self.register(which) == self.second =>
            {
                self.run(which);
                world.set_field(self.first, 0, self.second);
            }
            Action::Drop(which) if !self.register(which).is_null() => {
                self.run(which);
                self.set_register(which, NULL);
            }
            Action::Pass(from, to) if !self.register(from).is_null() => {
                self.run(from);
                self.run(to);
                let value = self.register(from);
                if self.planted == Planted::PassedWithoutDeclaring {
                    self.set_register(to, value);
                } else {
                    counting::hand_over(world.space, self.threads[to].stack, value);
                    world.space.end_step();
                }
            }
            Action::Clear if !root.is_null() => world.set_root(0, NULL),
            Action::ClearField if !root.is_null() => world.set_field(root, 0, NULL),
            Action::Close => return grace::close(world.space),
            Action::Step if self.counting_word(words::PHASE) != words::PHASE_IDLE => self.step(),
            _ => return false,
        }
        true
    }

    fn step(&self) {
        let pending = ObjectAddress(self.counting_word(words::PENDING_HEAD));
        let freezing = self.counting_word(words::PHASE) == words::PHASE_FREEZING;
        if self.planted == Planted::ParkedThreadsNotAsked && freezing && !pending.is_null() {
            // The last thread is parked: it is let go without being asked.
            if pending == self.threads[THREADS - 1].object {
                let next = self.word(pending.plus(thread::HOT_NEXT));
                let flags = self.world.space.load::<u32>(pending.plus(thread::FLAGS));
                let list = ObjectAddress(area::COUNTING).plus(words::PENDING_HEAD);
                self.world.space.store(list, next);
                self.world.space.store(pending.plus(thread::FLAGS), flags & !thread::FLAG_HOT);
                return;
            }
        }
        // A thread is frozen in one go: with one register, nothing can happen between its slot and its leaving the list
        // that could not happen before or after.
        loop {
            let _ = grace::step(self.world.space).unwrap();
            let first = self.counting_word(words::PENDING_HEAD);
            if !freezing || pending.is_null() || first != pending.0 {
                return;
            }
        }
    }

    fn actions() -> Vec<Action> {
        let mut actions = vec![Action::Clear, Action::ClearField, Action::Close, Action::Step];
        for which in 0..THREADS {
            actions.extend([
                Action::Run(which),
                Action::Load(which),
                Action::LoadField(which),
                Action::LoadWeak(which),
                Action::Store(which),
                Action::StoreField(which),
                Action::Drop(which),
                Action::Pass(which, (which + 1) % THREADS),
                Action::Pass(which, (which + 2) % THREADS),
            ]);
        }
        actions
    }

    /// What names something dead, if anything does.
    fn dangling(&self) -> Option<String> {
        let named = |what: String, node: ObjectAddress| {
            (!node.is_null() && !self.is_alive(node)).then(|| format!("{what} names a dead object"))
        };
        let field = |node: ObjectAddress| {
            if self.is_alive(node) { self.world.field(node, 0) } else { NULL }
        };
        (0..THREADS)
            .find_map(|which| named(format!("register {which}"), self.register(which)))
            .or_else(|| named("the root slot".into(), self.world.root(0)))
            .or_else(|| named("the first object's field".into(), field(self.first)))
            .or_else(|| {
                let target = ObjectAddress(self.word(self.weak.plus(object::WEAK_TARGET)));
                named("the weak reference".into(), target)
            })
    }

    fn key(&self) -> Key {
        let space = self.world.space;
        let fresh = metadata::Metadata(self.counting_word(words::NEW_METADATA).to_le_bytes()[0]);
        let mut key = Vec::new();
        // Threads are alike, so states that differ by their names only are one: each is known by its place in a list.
        let mut threads: Vec<[u64; 4]> = self
            .threads
            .iter()
            .map(|which| {
                let (list, place) = self.place_in_lists(which.object);
                let frozen = self.word(which.object.plus(thread::WATERMARK)) > which.stack.0;
                [list, place, u64::from(frozen), self.word(which.stack)]
            })
            .collect();
        threads.sort_unstable();
        key.extend(threads.into_iter().flatten());
        key.extend([self.world.root(0).0, self.word(self.weak.plus(object::WEAK_TARGET))]);
        for node in [self.first, self.second] {
            let found = metadata::load(space, node);
            // Which of the two batches is open does not matter, only whether the object stands in it.
            let batch = match found.batch() {
                0 => 0,
                batch if batch == fresh.batch() => 1,
                _ => 2,
            };
            key.push(u64::from(found.with_batch(batch).0));
            key.push(if found.starts() { self.world.field(node, 0).0 } else { 0 });
            let held = Table::held().find(space, node.0);
            key.push(held.map_or(0, |entry| Table::held().value(space, entry)));
        }
        for word in
            [words::PHASE, words::TEARDOWN_OBJECT, words::TEARDOWN_INDEX, words::TEARDOWN_STAGE]
        {
            key.push(self.counting_word(word));
        }
        key.push(u64::MAX);
        let open = area::BATCHES + u64::from(fresh.batch() - 1) * area::BATCH_SIZE;
        self.push_entries(&mut key, open, self.counting_word(words::OPEN_NEXT));
        key.push(u64::MAX);
        if self.counting_word(words::PHASE) != words::PHASE_IDLE {
            let next = self.counting_word(words::CLOSED_NEXT);
            self.push_entries(&mut key, next, self.counting_word(words::CLOSED_END));
        }
        Key(key)
    }

    /// Which list a thread stands in (0 none, 1 hot, 2 pending), and at which place.
    fn place_in_lists(&self, thread_object: ObjectAddress) -> (u64, u64) {
        for (list, head) in [(1, words::HOT_HEAD), (2, words::PENDING_HEAD)] {
            let mut next = self.counting_word(head);
            let mut place = 0;
            while next != 0 {
                if next == thread_object.0 {
                    return (list, place);
                }
                next = self.word(ObjectAddress(next).plus(thread::HOT_NEXT));
                place += 1;
            }
        }
        (0, 0)
    }

    fn push_entries(&self, key: &mut Vec<u64>, start: u64, end: u64) {
        key.extend((start..end).step_by(8).map(|place| self.word(ObjectAddress(place))));
    }

    /// Explores until nothing new is reachable, `limit` states were seen, or something dangles: states seen, and the way to
    /// the failure.
    fn explore(&self, limit: usize) -> (usize, Option<(String, Vec<Action>)>) {
        let actions = Self::actions();
        let mut seen = HashSet::from([self.key()]);
        let mut queue = VecDeque::from([(self.save(), Vec::new())]);
        while let Some((image, path)) = queue.pop_front() {
            let mut changed = true;
            for action in &actions {
                if changed {
                    self.restore(&image);
                }
                changed = self.act(*action);
                if !changed {
                    continue;
                }
                self.world.space.end_step();
                let mut path = path.clone();
                path.push(*action);
                if let Some(finding) = self.dangling() {
                    return (seen.len(), Some((finding, path)));
                }
                if seen.len() < limit && seen.insert(self.key()) {
                    if seen.len().is_multiple_of(997) && self.planted == Planted::Nothing {
                        self.world.audit();
                    }
                    queue.push_back((self.save(), path));
                }
            }
        }
        (seen.len(), None)
    }
}

#[test]
fn no_interleaving_frees_what_is_held() {
    let explorer = Explorer::new(Planted::Nothing);
    let limit = std::env::var("REVENANT_STATES").ok().and_then(|text| text.parse().ok());
    let (states, failure) = explorer.explore(limit.unwrap_or(usize::MAX));
    println!("{states} states, {} pages each", explorer.pages.len());
    assert_eq!(failure, None);
}

#[test]
fn every_planted_bug_is_caught() {
    for planted in [
        Planted::ParkedThreadsNotAsked,
        Planted::NoRebatching,
        Planted::FrameFrozenTooHigh,
        Planted::PassedWithoutDeclaring,
        Planted::WeakReadWithoutDeclaring,
    ] {
        let explorer = Explorer::new(planted);
        // From a state in which every thread is parked and frozen: the ways to the failures are shorter.
        explorer.world.settle();
        let (states, failure) = explorer.explore(usize::MAX);
        let (finding, path) =
            failure.unwrap_or_else(|| panic!("{planted:?} is not caught in {states} states"));
        println!("{planted:?}: after {states} states, {finding}: {path:?}");
    }
}
