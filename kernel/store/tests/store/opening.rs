//! Opening: what is taken for the newest state, what a step back leaves behind, and the bugs planted in it. Which disks are
//! refused stands in `refusals`.

use crate::common::{End, Machine, apply, content, formatted, options, pages, request};
use revenant_hal::{BlockIndex, DiskOperation, Epoch, Generation};
use revenant_sim::{Fault, FaultEffect, FaultTarget, Image, KeepAll, SimDiskOptions};
use revenant_store::{
    Access, Epitaph, Failures, OpenFrom, OpenRequest, Planted, Refusal, Store, encode_epitaph,
};

/// A disk with four snapshots: page 1 holds 1, 2, 3, 4.
pub(crate) fn history(seed: u64, blocks: u64) -> (Machine, Store, Vec<Epoch>) {
    let mut machine = formatted(blocks, seed);
    let mut first = request(1);
    first.options = options(4);
    let (mut store, _) = machine.open(first).expect("it opens");
    let mut epochs = Vec::new();
    for number in 1..=4 {
        let changes = pages(&[(1, number), (number + 100, 50)]);
        let End::Committed(epoch, _) = machine.snapshot(&mut store, &changes) else {
            panic!("commit")
        };
        epochs.push(epoch);
    }
    (machine, store, epochs)
}

pub(crate) fn slot_block(store: &Store, generation: Generation) -> BlockIndex {
    store.superblock().layout.slot(generation.0)
}

#[test]
fn a_read_only_opening_needs_no_flush_and_writes_nothing() {
    let (machine, _, epochs) = history(32, 2048);
    let options = SimDiskOptions { flush: false, read_only: true, ..SimDiskOptions::default() };
    let mut machine = Machine::with_options(machine.disk.durable(), options);
    let look = OpenRequest { access: Access::ReadOnly, vm_abi: 99, ..request(2) };
    let (mut store, _) = machine.open(look).expect("it opens");
    assert_eq!(machine.read(&mut store, None, 1), Ok(content(4)));
    assert_eq!(machine.read(&mut store, Some(epochs[1]), 1), Ok(content(2)));
    assert_eq!(machine.snapshot_unreserved(&mut store, &pages(&[(1, 5)])), End::Refused);
    assert_eq!(machine.disk.operation_counts()[1..], [0, 0, 0]);
}

#[test]
fn a_grown_device_still_has_its_store() {
    let (machine, _, _) = history(33, 2048);
    let small = machine.disk.durable();
    let mut grown = Image::new(5000);
    for block in small.written() {
        grown.damage(block, |bytes| *bytes = small.read(block).0);
    }
    let mut machine = Machine::new(grown, 1);
    let (mut store, report) = machine.open(request(2)).expect("it opens");
    assert_eq!(report.tombstones, 0, "all eight slots were found");
    assert_eq!(machine.read(&mut store, None, 1), Ok(content(4)));
}

/// Both copies of a root rot.
fn rot_root(machine: &mut Machine, root: revenant_store::Reference) {
    for block in root.blocks() {
        machine.disk.damage(block, |bytes| bytes[0] ^= 1);
    }
}

/// After every commit, and again when everything of the next one is on the disk but its superblock: the newest slot is
/// lost, and the second newest generation must be whole.
fn second_newest(planted: Planted) -> Result<(), String> {
    let (mut machine, _, _) = history(34, 1024);
    let alone = OpenRequest { options: options(1), ..request(9) };
    let (mut store, _) = machine.open(alone).expect("it opens");
    store.plant(planted);
    let (mut second, mut newest) = (Generation(0), store.generation());
    for round in 0..12u64 {
        // Nearly all that is free is needed: what can be reused is.
        let changes = (0..250).map(|page| (page, round * 1000 + page + 1)).collect();
        for failing in if round == 0 { &[false][..] } else { &[true, false] } {
            let failing = *failing;
            if failing {
                let (operation, effect) = (DiskOperation::Flush, FaultEffect::Fail);
                let target = FaultTarget::Nth(0);
                machine.disk.add_fault(Fault { operation, target, effect });
            }
            let end = machine.snapshot_unreserved(&mut store, &changes);
            if failing != matches!(end, End::Abandoned(_)) {
                return Err(format!("round {round}: {end:?}"));
            }
            if !failing {
                (second, newest) = (newest, store.generation());
            }
            let mut image = machine.disk.visible();
            image.damage(slot_block(&store, newest), |bytes| bytes[77] ^= 8);
            let mut other = Machine::new(image, 1);
            let opened = other.open(request(2));
            let (other_store, report) = opened.map_err(|refusal| refusal.to_string())?;
            if report.generation != second {
                return Err(format!("round {round}: opened {:?}", report.generation));
            }
            assert_eq!(report.tombstones, 1);
            let report = other.check_stepped_back(other_store.superblock().clone());
            if let Some(problem) = report.problems.first() {
                return Err(problem.to_string());
            }
        }
    }
    Ok(())
}

fn tombstone(planted: Planted) -> Result<(), String> {
    let (mut machine, store, epochs) = history(35, 1024);
    let newest = slot_block(&store, store.generation());
    // Unreadable for a moment: the next boot does not see the newest slot and steps back.
    let (operation, effect) = (DiskOperation::Read, FaultEffect::Fail);
    let target = FaultTarget::Block(newest);
    machine.disk.add_fault(Fault { operation, target, effect });
    let (mut store, report) =
        machine.open_planted(request(2), planted).map_err(|refusal| refusal.to_string())?;
    assert_eq!(report.epoch, epochs[2]);
    machine.disk.clear_faults();
    // The session fills the disk, and the power goes before its first commit is durable.
    let flood = (0..600).map(|page| (page + 200, 9)).collect();
    let target = FaultTarget::Nth(0);
    let operation = DiskOperation::Flush;
    machine.disk.add_fault(Fault { operation, target, effect });
    machine.snapshot_unreserved(&mut store, &flood);
    let mut again = Machine::new(machine.disk.cut_owned(&mut KeepAll), 1);
    let (mut store, report) = again.open(request(3)).map_err(|refusal| refusal.to_string())?;
    if report.epoch != epochs[2] {
        return Err(format!("{} came back from the dead", report.epoch));
    }
    let report = again.check_stepped_back(store.superblock().clone());
    let whole = report.problems.is_empty();
    let good = again.read(&mut store, None, 1) == Ok(content(3));
    if whole && good { Ok(()) } else { Err("the state stepped back to is damaged".into()) }
}

fn step_back(planted: Planted) -> Result<(), String> {
    let (mut machine, store, _) = history(36, 2048);
    let entries = store.snapshots().entries().to_vec();
    for snapshot in &entries[2..] {
        rot_root(&mut machine, snapshot.root);
    }
    match machine.open_planted(request(2), planted) {
        Err(Refusal::Damaged { newest: Some(newest) }) if newest == store.generation() => Ok(()),
        Err(refusal) => Err(refusal.to_string()),
        Ok((_, report)) => Err(format!("opened generation {}", report.generation)),
    }
}

fn highest(planted: Planted) -> Result<(), String> {
    let (mut machine, store, epochs) = history(37, 2048);
    rot_root(&mut machine, store.superblock().root);
    let (mut store, report) =
        machine.open_planted(request(2), planted).map_err(|refusal| refusal.to_string())?;
    if report.damaged != [Generation(report.generation.0 + 1)] || !report.restored {
        return Err("damage was not reported".into());
    }
    assert_eq!((report.epoch, report.restore_generation), (epochs[2], 1));
    let good = machine.read(&mut store, None, 1) == Ok(content(3));
    if good { Ok(()) } else { Err("wrong content".into()) }
}

fn checksums(planted: Planted) -> Result<(), String> {
    let (mut machine, _, _) = history(38, 2048);
    let visible = machine.disk.visible();
    let block = visible.written().find(|block| *visible.read(*block) == content(4));
    machine.disk.damage(block.expect("page 1 is on the disk"), |bytes| bytes[5] ^= 1);
    let (mut store, _) = machine.open_planted(request(2), planted).expect("it opens");
    match machine.read(&mut store, None, 1) {
        Err(damage) if Some(damage.block) == block => Ok(()),
        other => Err(format!("read {:?}", other.is_ok())),
    }
}

fn epochs_grow(planted: Planted) -> Result<(), String> {
    let (mut machine, _, epochs) = history(39, 2048);
    let from = OpenFrom::Rollback { epoch: epochs[0], restore_generation: 0 };
    let (_, report) =
        machine.open_planted(OpenRequest { from, ..request(2) }, planted).expect("it opens");
    if report.running_epoch <= epochs[3] {
        return Err(format!("{} runs again", report.running_epoch));
    }
    Ok(())
}

fn pins(planted: Planted) -> Result<(), String> {
    let (mut machine, mut store, epochs) = history(40, 2048);
    store.plant(planted);
    store.pin(epochs[0]).expect("it exists");
    machine.commit_requests(&mut store);
    let (mut store, _) = machine.open(request(2)).expect("it opens");
    for number in 0..5 {
        machine.snapshot(&mut store, &pages(&[(1, 60 + number)]));
    }
    if store.snapshots().get(epochs[0]).is_none() {
        return Err("a pinned snapshot was deleted".into());
    }
    Ok(())
}

fn abandoned(planted: Planted) -> Result<(), String> {
    let (mut machine, mut store, _) = history(41, 2048);
    machine.snapshot(&mut store, &pages(&[(1, 70)]));
    store.plant(planted);
    let before = store.space().allocatable;
    for nth in 0..2 {
        let (operation, effect) = (DiskOperation::Write, FaultEffect::Fail);
        machine.disk.add_fault(Fault { operation, target: FaultTarget::Nth(nth), effect });
        let end = machine.snapshot(&mut store, &pages(&[(1, 71), (2, 72)]));
        assert!(matches!(end, End::Abandoned(_)), "{end:?}");
    }
    let lost = before.saturating_sub(store.space().allocatable);
    // Blocks whose writes failed are not used again in this session; nothing else may be missing.
    if lost > 40 {
        return Err(format!("{lost} blocks did not come back"));
    }
    store.plant(Planted::None);
    let end = machine.snapshot(&mut store, &pages(&[(1, 73)]));
    if !matches!(end, End::Committed(..)) {
        return Err(format!("{end:?}"));
    }
    match machine.check(store.superblock().clone()).problems.first() {
        None => Ok(()),
        Some(problem) => Err(problem.to_string()),
    }
}

#[test]
fn planted_bugs_of_opening_and_allocation_are_caught() {
    type Scenario = fn(Planted) -> Result<(), String>;
    let scenarios: [(Planted, Scenario); 9] = [
        (Planted::ReusedOneGenerationEarly, second_newest),
        (Planted::TombstoneOmitted, tombstone),
        (Planted::StepBackByThree, step_back),
        (Planted::HighestSuperblockTrusted, highest),
        (Planted::ChecksumSkipped, checksums),
        (Planted::EpochResetOnRollback, epochs_grow),
        (Planted::PinForgotten, pins),
        (Planted::AbandonedBlocksLeaked, abandoned),
        (Planted::None, abandoned),
    ];
    for (planted, scenario) in scenarios {
        assert_eq!(scenario(Planted::None), Ok(()), "the scenario of {planted:?} without it");
        if planted != Planted::None {
            let violation = scenario(planted);
            println!("{planted:?}: {violation:?}");
            assert!(violation.is_err(), "{planted:?} was not caught");
        }
    }
}

#[test]
fn an_epitaph_is_found_until_the_next_commit_and_only_by_its_own_store() {
    let (mut machine, mut store, epochs) = history(43, 2048);
    let epitaph = Epitaph {
        store: store.id(),
        resumed: epochs[3],
        epoch: store.running_epoch(),
        failures: Failures { count: 2, first: epochs[1] },
        text: "page fault at nowhere".into(),
    };
    let page = encode_epitaph(&epitaph);
    machine.disk.damage(revenant_store::EPITAPH_BLOCK, |bytes| *bytes = page.0);
    let (_, report) = machine.open(request(2)).expect("it opens");
    assert_eq!(report.epitaph, Some(epitaph.clone()));
    let (next, report) = machine.open(request(4)).expect("it opens");
    store = next;
    assert_eq!(report.epitaph, Some(epitaph.clone()), "until a commit shows that life goes on");
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(1, 4)])), End::Committed(..)));
    let (_, report) = machine.open(request(5)).expect("it opens");
    assert_eq!(report.epitaph, None);
    let page = encode_epitaph(&Epitaph { store: revenant_store::StoreId(5), ..epitaph });
    machine.disk.damage(revenant_store::EPITAPH_BLOCK, |bytes| *bytes = page.0);
    let (mut store, report) = machine.open(request(3)).expect("it opens");
    assert_eq!(report.epitaph, None);
    assert_eq!(machine.read(&mut store, None, 1), Ok(content(4)));
}

#[test]
fn after_too_many_failures_the_store_is_read_only_and_says_so() {
    let (mut machine, mut store, _) = history(44, 2048);
    let model = pages(&[(1, 4), (101, 50), (102, 50), (103, 50), (104, 50)]);
    for attempt in 0..3 {
        let (operation, effect) = (DiskOperation::Flush, FaultEffect::Fail);
        let target = FaultTarget::Nth(0);
        machine.disk.add_fault(Fault { operation, target, effect });
        let end = machine.snapshot(&mut store, &pages(&[(1, 5)]));
        assert!(matches!(end, End::Abandoned(_)), "attempt {attempt}: {end:?}");
    }
    let reason = revenant_store::ReadOnlyReason::TooManyFailures(3);
    assert_eq!(store.read_only(), Some(reason));
    assert_eq!(machine.snapshot(&mut store, &pages(&[(1, 5)])), End::Refused);
    assert!(machine.matches(&mut store, None, &apply(&model, &pages(&[]))));
    let (mut store, _) = machine.open(request(2)).expect("it opens");
    assert!(machine.matches(&mut store, None, &model));
}

#[test]
fn a_format_that_was_cut_is_refused_or_whole() {
    let mut machine = Machine::new(Image::new(1024), 45);
    machine.disk.start_log();
    machine.format().expect("a fresh disk is formatted");
    let log = machine.disk.take_log().expect("recorded");
    let mut replay = log.replay();
    let (mut whole, mut seed) = (0, 0);
    loop {
        for _ in 0..8 {
            seed += 1;
            let image = replay.cut(&mut revenant_sim::Seeded::new(seed));
            let mut machine = Machine::new(image, seed);
            match machine.open(request(2)) {
                Ok((store, report)) => {
                    whole += 1;
                    assert_eq!((report.epoch, report.generation), (Epoch(0), Generation(1)));
                    assert_eq!(machine.check(store.superblock().clone()).problems, []);
                }
                Err(Refusal::NotOurs | Refusal::Damaged { newest: None }) => {}
                Err(other) => panic!("entry {}, seed {seed}: {other}", replay.position()),
            }
        }
        if !replay.step() {
            break;
        }
    }
    assert!(whole >= 8);
}

/// Checksums keep rot out, not malice: a superblock that verifies may name anything. Nothing may panic, and what cannot
/// be true is an error.
#[test]
fn references_that_verify_and_lie_do_no_harm() {
    let (machine, store, _) = history(46, 2048);
    let image = machine.disk.durable();
    let (first, end) = store.superblock().layout.data_area();
    for seed in 0..300u64 {
        let mut random = revenant_sim::Random::new(seed);
        let mut image = image.clone();
        let mut superblock = store.superblock().clone();
        let mut lie = |image: &mut Image, old: revenant_store::Reference| {
            let mut node = revenant_store::Node::default();
            for slot in 0..128 {
                let mut reference = old;
                reference.block = BlockIndex(random.below(end + 40));
                reference.mirror = BlockIndex(random.below(3) * random.below(1 << 40));
                if random.one_in(2) {
                    reference.birth = Epoch(random.next_u64());
                }
                if !random.one_in(3) {
                    // True for the block that it points at, whatever that is.
                    let block = BlockIndex(reference.block.0.min(2047));
                    reference.checksum = revenant_store::checksum(image.read(block));
                }
                node.set(slot, reference);
            }
            let block = BlockIndex(first + random.below(end - first));
            image.damage(block, |bytes| *bytes = node.0.0);
            let checksum = revenant_store::checksum(&node.0);
            revenant_store::Reference { block, mirror: BlockIndex(0), checksum, ..old }
        };
        if seed % 3 != 0 {
            superblock.free_root = lie(&mut image, superblock.free_root);
        }
        if seed % 3 != 1 {
            superblock.root = lie(&mut image, superblock.root);
            let epoch = superblock.epoch;
            let live = superblock.snapshots.get_mut(epoch).expect("the live snapshot");
            live.root = superblock.root;
        }
        superblock.generation = Generation(superblock.generation.0 + 1);
        let slot = superblock.layout.slot(superblock.generation.0);
        for (offset, page) in (0..).zip(superblock.encode()) {
            image.damage(BlockIndex(slot.0 + offset), |bytes| *bytes = page.0);
        }
        let mut machine = Machine::new(image, seed);
        let Ok((mut store, _)) = machine.open(request(2)) else { continue };
        for page in [0, 1, 2, 127, 16_384, 1 << 31] {
            // Anything but a panic: the lies may even name whole pages.
            let _ = machine.read(&mut store, None, page);
        }
        for number in 0..4 {
            machine.snapshot_unreserved(&mut store, &pages(&[(1, 90 + number), (40, 8)]));
        }
        let report = machine.check_stepped_back(store.superblock().clone());
        assert!(!report.problems.is_empty() || report.nodes > 0, "seed {seed}");
    }
}

#[test]
fn a_free_space_tree_of_two_levels() {
    // 17 GiB: 132 bitmaps, so two levels of nodes.
    let mut machine = formatted(4_300_000, 47);
    let (mut store, _) = machine.open(request(1)).expect("it opens");
    let model = pages(&[(1, 1), (1000, 2)]);
    for _ in 0..5 {
        assert!(matches!(machine.snapshot(&mut store, &model), End::Committed(..)));
    }
    let (mut store, report) = machine.open(request(77)).expect("it opens");
    assert!(report.blocks_read < 40);
    assert!(matches!(machine.snapshot(&mut store, &pages(&[(3, 3)])), End::Committed(..)));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
    assert!(machine.matches(&mut store, None, &apply(&model, &pages(&[(3, 3)]))));
}
