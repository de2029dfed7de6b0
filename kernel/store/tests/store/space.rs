//! Space: what was reserved can always be committed; a full disk gives everything back when pages are discarded, with
//! the power cut throughout.

use crate::common::{
    End, FRAMES, Machine, Pages, apply, content, copies, formatted, formatted_with, options, pages,
    request, telling,
};
use revenant_hal::{Epoch, FrameIndex, FrameMemory, PageIndex};
use revenant_sim::{DiskLog, KeepAll, KeepNone, Random, Seeded, SimDiskOptions};
use revenant_store::{Copies, OpenRequest, Purpose, SpaceState, Store, StoreEvent};

fn opened(machine: &mut Machine, session: u128, last: u32) -> Store {
    let request = OpenRequest { options: options(last), ..request(session) };
    machine.open(request).expect("it opens").0
}

/// Writes a reserved page before its flip; false if there is no room for that.
fn clean(machine: &mut Machine, store: &mut Store, page: u64, number: u64) -> bool {
    let (index, frame) = (PageIndex(page), FrameIndex(FRAMES));
    *machine.frames.bytes_mut(frame) = content(number);
    if copies(index) == Copies::Two || !store.write_early(index, frame) {
        return false;
    }
    loop {
        match machine.event(store) {
            Some(StoreEvent::PageWritten { .. }) => return true,
            None => panic!("page {page} never got to the disk"),
            Some(_) => {}
        }
    }
}

/// Random epochs on a small disk, as many pages as can be reserved, some written before their flip, and again: no commit may
/// find the disk full, and none leaves a charge behind.
#[test]
fn whatever_was_reserved_can_be_committed() {
    for seed in 0..40u32 {
        let (last, seed) = (1 + seed % 4, u64::from(seed));
        let mut random = Random::new(seed);
        let discard_blocks = [0, 40][random.index(2)];
        let options = SimDiskOptions { seed, discard_blocks, ..SimDiskOptions::default() };
        let mut machine = formatted_with(1024 + random.below(600), options);
        let mut store = machine.open(telling(u128::from(seed) + 1, last)).expect("it opens").0;
        let (mut refusals, mut cleaned, mut model) = (0, 0, Pages::new());
        for round in 0..25u64 {
            let (mut changes, mut early) = (Pages::new(), Pages::new());
            let wanted = random.below(250);
            let spread = [1, 1, 7, 129, 20_000][random.index(5)];
            let base = random.below(40) * 50;
            for step in 0..wanted {
                let page = base + step * spread;
                if changes.contains_key(&page) {
                    continue;
                }
                let index = PageIndex(page);
                let purpose = if random.one_in(4) { Purpose::Freeing } else { Purpose::Program };
                let reserved = if random.one_in(5) {
                    store.discard(index).map(|()| 0)
                } else {
                    let number = round * 1000 + step + 1;
                    store.reserve_first_dirtying(index, copies(index), purpose).map(|()| number)
                };
                match reserved {
                    Ok(number)
                        if number > 0
                            && random.one_in(4)
                            && clean(&mut machine, &mut store, page, number) =>
                    {
                        early.insert(page, number);
                    }
                    Ok(number) => {
                        changes.insert(page, number);
                    }
                    Err(_) => {
                        refusals += 1;
                        break;
                    }
                }
            }
            for (page, number) in early.clone().into_iter().filter(|(page, _)| page % 3 == 0) {
                let index = PageIndex(page);
                let (copies, purpose) = (copies(index), Purpose::Program);
                let again = store.reserve_first_dirtying(index, copies, purpose).is_ok();
                if again && !(random.one_in(2) && clean(&mut machine, &mut store, page, number)) {
                    changes.insert(page, number + 500);
                }
            }
            let end = machine.snapshot_unreserved(&mut store, &changes);
            assert!(matches!(end, End::Committed(..)), "seed {seed}, round {round}: {end:?}");
            assert_eq!(store.space().charged, 0, "seed {seed}, round {round}");
            model = apply(&apply(&model, &early), &changes);
            cleaned += early.len();
            machine.rest(&mut store, random.below(60));
        }
        assert!(cleaned > 0, "seed {seed}: nothing was written before a flip");
        let problems = machine.check(store.superblock().clone()).problems;
        assert_eq!(problems, [], "seed {seed}");
        assert!(machine.matches(&mut store, None, &model), "seed {seed}");
        assert!(refusals > 0 || seed % 3 != 0, "seed {seed}: the disk was never short");
    }
}

/// Fills until nothing more can be reserved; history is dropped on the way, allocation refused before stores wait. `seen` is
/// shown every commit.
fn fill(
    machine: &mut Machine,
    store: &mut Store,
    model: &mut Pages,
    mut seen: impl FnMut(&mut Machine, &Store, &Pages),
) -> Vec<SpaceState> {
    let mut states = Vec::new();
    let mut page = 0;
    for _ in 0..400 {
        let mut changes = Pages::new();
        while changes.len() < FRAMES as usize / 2 {
            let index = PageIndex(page);
            if store.reserve_first_dirtying(index, copies(index), Purpose::Program).is_err() {
                break;
            }
            changes.insert(page, page + 7);
            page += 1;
        }
        let full = changes.is_empty();
        let end = machine.snapshot_unreserved(store, &changes);
        assert!(matches!(end, End::Committed(..)), "{end:?}");
        *model = apply(model, &changes);
        seen(machine, store, model);
        if states.last() != Some(&store.space_state()) {
            states.push(store.space_state());
        }
        if full && store.space().quarantined < 40 {
            return states;
        }
    }
    panic!("the disk never filled: {:?}", store.space());
}

#[test]
fn a_full_disk_drops_history_then_refuses_and_gives_half_back() {
    let mut machine = formatted(1500, 61);
    let mut store = opened(&mut machine, 1, 8);
    let mut model = Pages::new();
    let states = fill(&mut machine, &mut store, &mut model, |_, _, _| ());
    assert_eq!(states.first(), Some(&SpaceState::Plenty));
    assert!(states.contains(&SpaceState::Short) && states.contains(&SpaceState::Full));
    assert!(states.last() >= Some(&SpaceState::AllocationRefused), "{states:?}");
    assert_eq!(store.snapshots().entries().len(), 1, "all unpinned history was dropped");
    assert!(model.len() > 700, "{} pages fit", model.len());
    // The system goes on, out of its pool: forty idle snapshots with a page of its own in each.
    for round in 0..40 {
        let index = PageIndex(900_000);
        let reserved = store.reserve_first_dirtying(index, copies(index), Purpose::System);
        assert_eq!(reserved, Ok(()), "round {round}: {:?}", store.space());
        let change = pages(&[(900_000, 90 + round)]);
        assert!(matches!(machine.snapshot_unreserved(&mut store, &change), End::Committed(..)));
        model = apply(&model, &change);
    }
    let half: Pages = model.keys().take(model.len() / 2).map(|page| (*page, 0)).collect();
    assert!(matches!(machine.snapshot(&mut store, &half), End::Committed(..)));
    model = apply(&model, &half);
    for _ in 0..3 {
        assert!(matches!(machine.snapshot(&mut store, &Pages::new()), End::Committed(..)));
    }
    assert!(store.space().available > 350, "{:?}", store.space());
    assert_eq!(store.space_state(), SpaceState::Plenty);
    assert!(machine.matches(&mut store, None, &model));
    assert_eq!(machine.check(store.superblock().clone()).problems, []);
}

/// What a disk was told: its log, the state after each commit in it, and the pinned snapshot.
struct FullDisk {
    log: DiskLog,
    /// Length of the log, newest epoch, content.
    states: Vec<(usize, Epoch, Pages)>,
    pinned: Epoch,
    old: Pages,
}

/// A snapshot is pinned, then the disk filled. Recorded: the last rounds of filling, the deletion of that snapshot, discarding
/// half, and going on.
fn record_full_disk() -> FullDisk {
    let mut machine = formatted(1024, 62);
    let mut store = opened(&mut machine, 1, 3);
    let old: Pages = (0..60).map(|page| (page, page + 3000)).collect();
    assert!(matches!(machine.snapshot(&mut store, &old), End::Committed(..)));
    let pinned = store.durable_epoch();
    store.pin(pinned).expect("it exists");
    assert!(matches!(machine.commit_requests(&mut store), End::Committed(..)));
    let mut model = old.clone();
    let mut states = Vec::new();
    fill(&mut machine, &mut store, &mut model, |machine, store, model| {
        if states.is_empty() && store.space_state() < SpaceState::AllocationRefused {
            return;
        }
        if states.is_empty() {
            machine.disk.start_log();
        }
        states.push((machine.disk.log_length(), store.durable_epoch(), model.clone()));
    });
    assert!(states.len() > 3, "{} rounds on a disk that was nearly full", states.len());
    let before = store.space().available;
    store.unpin(pinned).and_then(|()| store.delete(pinned)).expect("it was pinned");
    assert!(matches!(machine.commit_requests(&mut store), End::Committed(..)));
    states.push((machine.disk.log_length(), store.durable_epoch(), model.clone()));
    let halves: Vec<u64> = model.keys().copied().collect();
    for part in halves.chunks(halves.len() / 4).take(2) {
        let gone: Pages = part.iter().map(|page| (*page, 0)).collect();
        assert!(matches!(machine.snapshot(&mut store, &gone), End::Committed(..)));
        model = apply(&model, &gone);
        states.push((machine.disk.log_length(), store.durable_epoch(), model.clone()));
    }
    for round in 0..4u64 {
        let again: Pages = halves.iter().take(20).map(|page| (*page, 5000 + round)).collect();
        assert!(matches!(machine.snapshot_unreserved(&mut store, &again), End::Committed(..)));
        model = apply(&model, &again);
        states.push((machine.disk.log_length(), store.durable_epoch(), model.clone()));
    }
    assert!(store.space().available > before + 50, "{:?}", store.space());
    let log = machine.disk.take_log().expect("recorded");
    FullDisk { log, states, pinned, old }
}

/// The same with cuts, and with a pinned snapshot that is older than everything else: every step is cut at every entry.
#[test]
fn a_full_disk_survives_cuts_at_every_write_of_its_last_filling_and_its_emptying() {
    let FullDisk { log, states, pinned, old } = record_full_disk();
    let mut replay = log.replay();
    let (mut cuts, mut kept) = (0u64, 0);
    loop {
        let done = states.iter().rposition(|(at, ..)| *at <= replay.position()).unwrap_or(0);
        let allowed: Vec<Epoch> = states[done..].iter().take(2).map(|state| state.1).collect();
        let images = [
            replay.cut(&mut KeepNone),
            replay.cut(&mut KeepAll),
            replay.cut(&mut Seeded::new(cuts)),
        ];
        for image in images {
            cuts += 1;
            let mut machine = Machine::new(image, 1);
            let mut store = opened(&mut machine, 9, 3);
            let epoch = store.durable_epoch();
            assert!(allowed.contains(&epoch), "entry {}: {epoch}", replay.position());
            assert_eq!(machine.check(store.superblock().clone()).problems, []);
            if cuts.is_multiple_of(40) {
                let state = states.iter().find(|state| state.1 == epoch).expect("known");
                assert!(machine.matches(&mut store, None, &state.2));
                if store.snapshots().get(pinned).is_some() {
                    kept += 1;
                    assert!(machine.matches(&mut store, Some(pinned), &old));
                }
            }
        }
        if !replay.step() {
            break;
        }
    }
    println!("{cuts} cuts of a disk that was full, {kept} with the pinned snapshot looked at");
    assert!(kept > 0 && kept < cuts / 40);
}
