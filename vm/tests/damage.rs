//! Confinement: object spaces with random words in heap, block metadata, side tables, frames and thread objects are
//! used as if they were sound. Operations may fail and threads may be taken out of service; nothing may panic, hang or
//! leave object space. `REVENANT_DAMAGE=10000` is the long form; each image is made from its number alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PageBytes, PageIndex};
use revenant_vm::counting::{self, class_at, frozen, grace};
use revenant_vm::heap;
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::{area, object};
use revenant_vm::object::{array, map, string, vector};
use world::{Thread, World};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

struct Scene {
    world: World,
    threads: Vec<Thread>,
    map: ObjectAddress,
    vector: ObjectAddress,
    builder: ObjectAddress,
    texts: Vec<ObjectAddress>,
    pages: Vec<(PageIndex, PageBytes)>,
    targets: Vec<usize>,
}

fn scene() -> Scene {
    let world = World::new();
    let (space, allocator) = (world.space, world.allocator);
    counting::set_batch_entries(space, 200);
    let threads: Vec<Thread> = (0..4).map(|_| world.spawn(4)).collect();
    let map = map::allocate(space, allocator).unwrap();
    space.end_step();
    world.set_root(0, map);
    let vector = vector::allocate(space, allocator, 4).unwrap();
    space.end_step();
    world.set_root(1, vector);
    let builder = string::new_builder(space, allocator).unwrap();
    space.end_step();
    world.set_root(2, builder);
    let mut texts = Vec::new();
    for number in 0..100 {
        let text = format!("entry {number}");
        let key = string::from_bytes(space, allocator, text.as_bytes()).unwrap();
        let node = world.new_node();
        map::set(space, allocator, map, key, node).unwrap();
        space.end_step();
        vector::push(space, allocator, vector, node).unwrap();
        space.end_step();
        string::append(space, allocator, builder, text.as_bytes()).unwrap();
        space.end_step();
        texts.push(key);
    }
    let longs = class_at(space, Builtin::LongArray as u32);
    world.set_root(3, array::allocate(space, allocator, longs, 5_000).unwrap());
    for (which, thread) in (0..).zip(&threads) {
        for _ in 0..10 {
            thread.push(2, 4);
            thread.set_register(which, world.new_node());
        }
    }
    grace::close(space);
    let _ = grace::run(space, 100).unwrap();
    let touched = world.host.touched();
    let pages: Vec<(PageIndex, PageBytes)> = touched
        .iter()
        .flat_map(|range| (range.start.0..range.end.0).map(PageIndex))
        .map(|page| (page, world.host.page(page)))
        .collect();
    // Heap blocks with their metadata, thread objects and frames, block table, allocators, batches, held table: all but the
    // few system pages and the class table, whose loss means a step back to an older snapshot.
    let targets = (0..pages.len())
        .filter(|page| {
            let address = pages[*page].0.address().0;
            address >= area::ALLOCATORS
        })
        .collect();
    Scene { world, threads, map, vector, builder, texts, pages, targets }
}

impl Scene {
    fn restore(&self) {
        self.world.host.clear();
        for (page, bytes) in &self.pages {
            self.world.host.set_page(*page, bytes);
        }
    }

    /// Random words, near misses and bit flips, mostly where something stands.
    fn damage(&self, random: &mut Random) {
        for _ in 0..=random.below(30) {
            let target =
                self.targets[usize::try_from(random.below(self.targets.len() as u64)).unwrap()];
            let (page, bytes) = &self.pages[target];
            let full: Vec<u64> = (0..512)
                .filter(|word| bytes.0[word * 8..word * 8 + 8].iter().any(|byte| *byte != 0))
                .map(|word| word as u64)
                .collect();
            let word = if full.is_empty() || random.below(8) == 0 {
                random.below(512)
            } else {
                full[usize::try_from(random.below(full.len() as u64)).unwrap()]
            };
            let address = page.address().plus(word * 8);
            let old = self.world.space.load::<u64>(address);
            let new = match random.below(6) {
                0 => random.next(),
                1 => old ^ 1 << random.below(64),
                2 => old.wrapping_add(8 * random.below(64)),
                3 => area::HEAP + random.below(1 << 21),
                4 => u64::MAX - random.below(16),
                _ => random.below(1 << 16),
            };
            self.world.space.store(address, new);
        }
    }

    /// A little of everything; errors are as good as successes.
    fn live(&self, random: &mut Random) {
        let (space, allocator) = (self.world.space, self.world.allocator);
        for _ in 0..60 {
            let thread = self.threads[usize::try_from(random.below(4)).unwrap()];
            let text = self.texts[usize::try_from(random.below(100)).unwrap()];
            if frozen::prepare_to_run(space, thread.object).is_ok() {
                let base = frozen::frame_base(space, thread.object);
                let node = ObjectAddress(space.load(base.plus(8 * random.below(4))));
                let field = node.plus(object::PAYLOAD + 8 * random.below(2));
                match random.below(10) {
                    0 => counting::store_reference(space, field, self.world.root(3)),
                    1 => counting::store_reference(space, self.world.root_slot(4), node),
                    2 => either(map::set(space, allocator, self.map, node, text)),
                    3 => either(map::remove(space, self.map, node)),
                    4 => either(vector::push(space, allocator, self.vector, node)),
                    5 => either(vector::pop(space, self.vector)),
                    6 => space.store(base.plus(8 * random.below(4)), vector_entry(self, random)),
                    7 => either(map::get(space, self.map, text)),
                    8 => either(string::append(space, allocator, self.builder, b"more")),
                    _ => either(heap::allocate_plain(space, allocator, self.world.node)),
                }
                space.end_step();
            }
            either(array::allocate(space, allocator, class_at(space, 10), random.below(4_000)));
            space.end_step();
            if random.below(4) == 0 {
                grace::close(space);
            }
            either(grace::run(space, 300));
            space.end_step();
        }
    }
}

/// A success is as good as an error.
fn either<T>(_: T) {}

fn vector_entry(scene: &Scene, random: &mut Random) -> u64 {
    vector::get(scene.world.space, scene.vector, random.below(120)).map_or(0, |entry| entry.0)
}

#[test]
fn damaged_object_spaces_do_no_harm() {
    let images: u64 =
        std::env::var("REVENANT_DAMAGE").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let scene = scene();
    let mut refused = 0;
    for image in 0..images {
        scene.restore();
        let mut random = Random(image.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        scene.damage(&mut random);
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            let mut random = Random(image + 1);
            scene.live(&mut random);
        }));
        assert!(outcome.is_ok(), "image {image} panics");
        let sound = scene
            .threads
            .iter()
            .filter(|thread| frozen::check_thread(scene.world.space, thread.object).is_ok());
        refused += u64::from(sound.count() < 4);
    }
    println!("{images} damaged images, threads refused in {refused}");
}
