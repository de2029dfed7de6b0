//! Whole programs on damaged object spaces: a thread may die, the host may not, nor may it be held up.

mod machine;

use machine::meeting::MEETING;
use machine::{Machine, Random};

/// How many images are damaged: as the environment says, for long runs.
fn images_to_damage(usual: u64) -> u64 {
    std::env::var("REVENANT_DAMAGE").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Random words in heap, frames and thread objects: a thread may die, the host may not.
#[test]
fn damaged_images_never_crash_the_host() {
    let images = images_to_damage(10_000);
    let seed = 0x5eed_0001;
    let mut machine = Machine::new(MEETING, &[]);
    for _ in 0..60 {
        let _ = machine.turn(5);
    }
    let snapshot = machine.snapshot();
    let mut resumed = 0;
    for image in 0..images {
        let mut random = Random(seed + image);
        machine.restore_if_whole(&snapshot);
        let ranges = machine.host.touched();
        let pages: Vec<_> = ranges.iter().flat_map(|range| range.start.0..range.end.0).collect();
        for _ in 0..=random.below(30) {
            let page = pages[usize::try_from(random.below(pages.len() as u64)).unwrap()];
            let word = page * 4096 + random.below(512) * 8 + (1 << 44);
            let value = match random.below(4) {
                0 => random.next(),
                1 => random.below(1 << 20),
                2 => (1 << 44) + random.below(1 << 44),
                _ => (1 << 44) + (1 << 40) + random.below(1 << 22),
            };
            machine.host.space().store(revenant_hal::ObjectAddress(word), value);
        }
        if !machine.resume_damaged() {
            continue;
        }
        resumed += 1;
        for _ in 0..300 {
            let _ = machine.damaged_turn(40);
        }
    }
    assert!(resumed > images / 4, "only {resumed} of {images} damaged images were resumed");
}
