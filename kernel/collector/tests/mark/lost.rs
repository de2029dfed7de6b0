//! Marks that do without pages which are nowhere to be had: nothing that such a page may lead to counts as garbage, what is younger than it does,
//! and what hangs from it alone is found, in one piece, however often the power goes meanwhile (MECHANISMS B22, B23, B27).

use crate::exact::TIGHT;
use crate::graphs::{expected, pages, random_world};
use crate::heaps::nodes;
use crate::rig::{Driven, Rig};
use crate::tracer::trace;
use crate::world::World;
use revenant_collector::{Mark, MarkOutcome, PlantedMark, Recovered, RegionError, Subtree};
use revenant_hal::{DiskOperation, OBJECT_SPACE_BASE, ObjectAddress, PageBytes, PageIndex};
use revenant_sim::{CutPolicy, Fault, FaultEffect, FaultTarget, KeepAll, KeepNone, Seeded};
use revenant_vm::counting;
use revenant_vm::memory::AddressExt;
use revenant_vm::memory::layout::{PAGE, object};
use std::collections::BTreeMap;

fn page_of(address: ObjectAddress) -> PageIndex {
    PageIndex((address.0 - OBJECT_SPACE_BASE) / PAGE)
}

/// From now on a page with this content cannot be read; whether one was written.
fn lose(rig: &mut Rig, bytes: &PageBytes) -> bool {
    let Some(block) = rig.block_with(bytes) else { return false };
    let target = FaultTarget::Block(block);
    let (operation, effect) = (DiskOperation::Read, FaultEffect::Fail);
    rig.disk.add_fault(Fault { operation, target, effect });
    true
}

/// A whole mark, which does without what it cannot have; how it ended, or that the power went.
fn run(rig: &mut Rig, planted: PlantedMark, known: bool) -> (Driven, Mark) {
    let mut mark = rig.begin(TIGHT, planted);
    loop {
        match rig.drive(&mut mark) {
            Driven::Ended(MarkOutcome::Incomplete { .. }) if mark.tolerate(known) => {}
            Driven::Ended(MarkOutcome::Failed(RegionError::Damaged)) => {
                mark = rig.begin(TIGHT, planted).anew();
            }
            ended => return (ended, mark),
        }
    }
}

type Marks = BTreeMap<u32, [u64; 64]>;

/// The marks of all these blocks.
fn marks(rig: &mut Rig, mark: Mark, blocks: &Marks) -> Marks {
    let mut verdict = mark.into_verdict(rig.store.superblock()).expect("complete");
    blocks.keys().map(|block| (*block, rig.marks(&mut verdict, *block).unwrap())).collect()
}

fn is_marked(marks: &Marks, address: ObjectAddress) -> bool {
    let granule = usize::try_from(address.0 % (1 << 16) / 16).unwrap();
    marks[&crate::graphs::block_of(address.0)][granule / 64] >> (granule % 64) & 1 != 0
}

/// Objects that are alive, and not marked or marked as garbage to be.
fn wronged(reached: &BTreeMap<u64, bool>, marks: &Marks) -> usize {
    let wronged = |(address, weak): &(&u64, &bool)| {
        let behind = ObjectAddress(**address + 16);
        let strong = is_marked(marks, ObjectAddress(**address));
        !strong || (!**weak && is_marked(marks, behind))
    };
    reached.iter().filter(wronged).count()
}

#[test]
fn whichever_page_is_lost_nothing_alive_counts_as_garbage() {
    let (mut without, mut impossible, mut untouched, mut caught) = (0, 0, 0, 0);
    for seed in [30, 31, 32] {
        let world = random_world(seed, 400);
        let reached = trace(world.space);
        let wanted = expected(&world, &reached);
        let heap = pages(&world);
        for planted in [PlantedMark::None, PlantedMark::SuspectsForgotten] {
            for (page, bytes) in &heap {
                let mut rig = Rig::new(8_192, 9);
                let epoch = rig.commit(&heap);
                rig.pin(Some(epoch));
                rig.rest();
                if !lose(&mut rig, bytes) {
                    continue;
                }
                let (ended, mark) = run(&mut rig, planted, false);
                match ended {
                    Driven::Ended(MarkOutcome::Complete) => {}
                    Driven::Ended(MarkOutcome::Incomplete { .. }) => {
                        assert!(mark.into_verdict(rig.store.superblock()).is_none());
                        impossible += 1;
                        continue;
                    }
                    other => panic!("{page:?}: {other:?}"),
                }
                let recovered = mark.recovered();
                let found = marks(&mut rig, mark, &wanted);
                let wronged = wronged(&reached, &found);
                if planted != PlantedMark::None {
                    caught += u32::from(wronged > 0);
                    continue;
                }
                assert_eq!(wronged, 0, "seed {seed}, {page:?}");
                match recovered {
                    Some(recovered) => {
                        assert!(!recovered.pages.is_empty());
                        without += 1;
                    }
                    None => {
                        assert_eq!(found, wanted, "the page has nothing to do with it");
                        untouched += 1;
                    }
                }
            }
        }
    }
    println!("{without} pages done without, {impossible} cannot be, {untouched} not needed");
    assert!(without > 20 && impossible > 20, "{without}, {impossible}");
    assert!(caught > 10, "the planted bug is one that the assertions above catch");
}

/// A node that holds a list of ten, backwards in memory; by others on its page a circle of nine and a list of seven.
struct Hanging {
    world: World,
    holder: ObjectAddress,
    list: ObjectAddress,
    circle: ObjectAddress,
    short: ObjectAddress,
    all: Vec<ObjectAddress>,
}

fn hanging() -> Hanging {
    let mut all = Vec::new();
    let world = nodes(600, |world, made| {
        let chain = |order: &[usize]| {
            for pair in order.windows(2) {
                world.set_field(made[pair[0]], 0, made[pair[1]]);
            }
        };
        chain(&(300..310).rev().collect::<Vec<_>>());
        chain(&(320..329).chain([320]).collect::<Vec<_>>());
        chain(&(340..347).collect::<Vec<_>>());
        // Suspects beside it, so that there is a checkpoint now and then.
        (360..600).step_by(2).for_each(|first| chain(&[first, first + 1, first]));
        for (holder, target) in [(0, 309), (1, 324), (2, 340)] {
            world.set_field(made[holder], 0, made[target]);
            world.set_field(made[holder], 1, made[holder + 1]);
        }
        all = made.to_vec();
    });
    assert_ne!(page_of(all[2]), page_of(all[300]), "what hangs from the page stands elsewhere");
    let (holder, list, circle, short) = (all[0], all[309], all[320], all[340]);
    Hanging { world, holder, list, circle, short, all }
}

impl Hanging {
    /// A disk with the heap, of which the holders' page cannot be read.
    fn rig(&self) -> Rig {
        let mut rig = Rig::new(4_096, 9);
        let epoch = rig.commit(&pages(&self.world));
        rig.pin(Some(epoch));
        rig.rest();
        assert!(lose(&mut rig, &self.world.host.page(page_of(self.holder))));
        rig
    }

    fn wanted(&self) -> Recovered {
        let tree = |root, objects| Subtree { root, objects };
        Recovered {
            pages: vec![page_of(self.holder)],
            subtrees: vec![tree(self.list, 10), tree(self.circle, 9)],
            is_news: true,
        }
    }
}

#[test]
fn what_hangs_from_a_lost_page_is_found_in_one_piece() {
    let hanging = hanging();
    let blocks = expected(&hanging.world, &trace(hanging.world.space));
    for known in [false, true] {
        let mut rig = hanging.rig();
        let (ended, mark) = run(&mut rig, PlantedMark::None, known);
        assert!(matches!(ended, Driven::Ended(MarkOutcome::Complete)), "{ended:?}");
        let mut wanted = hanging.wanted();
        if known {
            wanted.subtrees.clear();
            wanted.is_news = false;
        }
        assert_eq!(mark.recovered(), Some(wanted));
        let marks = marks(&mut rig, mark, &blocks);
        for place in (300..310).chain(320..329).chain(340..347) {
            assert!(is_marked(&marks, hanging.all[place]), "object {place} stays");
        }
        assert!(is_marked(&marks, hanging.short));
    }
}

#[test]
fn what_is_younger_than_the_lost_page_is_garbage_all_the_same() {
    let hanging = hanging();
    let world = &hanging.world;
    let ring = |length: usize| {
        let made: Vec<_> = (0..length).map(|_| world.new_node()).collect();
        world.set_root(5, made[0]);
        for (place, node) in made.iter().enumerate() {
            world.set_field(*node, 0, made[(place + 1) % length]);
        }
        world.settle();
        world.set_root(5, ObjectAddress(0));
        world.settle();
        made
    };
    let old = ring(12);
    let before = pages(world);
    let mut rig = Rig::new(4_096, 9);
    let first = rig.commit(&before);
    counting::set_epoch(world.space, rig.store.running_epoch());
    let young = ring(12);
    let changed: Vec<_> = pages(world).into_iter().filter(|page| !before.contains(page)).collect();
    assert!(changed.iter().all(|(page, _)| *page != page_of(hanging.holder)));
    let second = rig.commit(&changed);
    rig.pin(Some(second));
    rig.rest();
    assert!(lose(&mut rig, &world.host.page(page_of(hanging.holder))));
    let birth = |node: ObjectAddress| {
        world.space.load::<u64>(node.plus(object::BIRTH_AND_FLAGS)) & object::BIRTH_MASK
    };
    assert!(birth(old[0]) <= first.0 && birth(young[0]) == second.0);
    let (ended, mark) = run(&mut rig, PlantedMark::None, false);
    assert!(matches!(ended, Driven::Ended(MarkOutcome::Complete)), "{ended:?}");
    let roots: Vec<_> = mark.recovered().unwrap().subtrees.iter().map(|tree| tree.root).collect();
    assert_eq!(roots.len(), 3, "the two that hang there, and one that may have");
    assert!(roots.contains(&old[0]));
    let marks = marks(&mut rig, mark, &expected(world, &trace(world.space)));
    assert!(old.iter().all(|node| is_marked(&marks, *node)), "the page may have led to it");
    assert!(young.iter().all(|node| !is_marked(&marks, *node)), "it cannot have led to it");
}

#[test]
fn cut_after_every_write_the_same_is_found() {
    let hanging = hanging();
    let blocks = expected(&hanging.world, &trace(hanging.world.space));
    let mut rig = hanging.rig();
    let image = rig.disk.durable();
    let (_, mark) = run(&mut rig, PlantedMark::None, false);
    let wanted = marks(&mut rig, mark, &blocks);
    let bytes = hanging.world.host.page(page_of(hanging.holder));
    let mut cuts = 0;
    for writes in 1.. {
        let policies: [Box<dyn CutPolicy>; 3] =
            [Box::new(KeepNone), Box::new(KeepAll), Box::new(Seeded::new(writes))];
        let mut ended = false;
        for mut policy in policies {
            let mut rig = Rig::on(image.clone(), 50);
            rig.rest();
            assert!(lose(&mut rig, &bytes));
            rig.cut_after = Some(rig.disk.operation_counts()[1] + writes);
            let (driven, _) = run(&mut rig, PlantedMark::None, false);
            if !matches!(driven, Driven::Cut) {
                ended = true;
                break;
            }
            let mut rig = Rig::on(rig.cut(&mut *policy), 51);
            rig.rest();
            assert!(lose(&mut rig, &bytes));
            let (driven, mark) = run(&mut rig, PlantedMark::None, false);
            assert!(matches!(driven, Driven::Ended(MarkOutcome::Complete)), "{driven:?}");
            let mut recovered = mark.recovered().expect("the page is still lost");
            // What was looked at since the last checkpoint is looked at and counted again.
            for (tree, wanted) in recovered.subtrees.iter_mut().zip(hanging.wanted().subtrees) {
                assert!((wanted.objects..2 * wanted.objects).contains(&tree.objects));
                tree.objects = wanted.objects;
            }
            assert_eq!(recovered, hanging.wanted(), "cut after write {writes}");
            assert_eq!(marks(&mut rig, mark, &blocks), wanted, "cut after write {writes}");
            cuts += 1;
        }
        if ended {
            break;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 20, "{cuts} cuts");
}
