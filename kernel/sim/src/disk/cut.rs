//! What a power cut makes of the writes that no completed flush covers: fates of sectors, and policies that choose them.

use super::Image;
use crate::Random;
use revenant_hal::{BlockIndex, SECTOR_SIZE, SECTORS_PER_BLOCK};
use std::sync::Arc;

/// How one sector of an outstanding write ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SectorFate {
    /// The write never reached it.
    Old,
    /// The write reached it.
    New,
    /// Bytes that nobody wrote, made from this seed.
    Garbage(u64),
    /// Zeros.
    Zero,
    /// The first so many bytes are new, the rest is old.
    Torn(usize),
}

/// A sector whose fate is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectorAtRisk {
    /// The place of its block write among the outstanding ones, in the order in which the device began them.
    pub write: usize,
    /// The block.
    pub block: BlockIndex,
    /// The sector in the block, below [`SECTORS_PER_BLOCK`].
    pub sector: usize,
}

/// Chooses fates. Every closure of the right shape is a policy.
pub trait CutPolicy {
    /// How this sector ends. Asked once a sector, in order.
    fn fate(&mut self, sector: &SectorAtRisk) -> SectorFate;
}

impl<F: FnMut(&SectorAtRisk) -> SectorFate> CutPolicy for F {
    fn fate(&mut self, sector: &SectorAtRisk) -> SectorFate {
        self(sector)
    }
}

/// Nothing that was not flushed survives.
#[derive(Clone, Copy, Debug)]
pub struct KeepNone;

impl CutPolicy for KeepNone {
    fn fate(&mut self, _sector: &SectorAtRisk) -> SectorFate {
        SectorFate::Old
    }
}

/// Everything survives, as when QEMU is killed.
#[derive(Clone, Copy, Debug)]
pub struct KeepAll;

impl CutPolicy for KeepAll {
    fn fate(&mut self, _sector: &SectorAtRisk) -> SectorFate {
        SectorFate::New
    }
}

/// Some block writes survive whole; each sector of the others ends alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subset {
    /// One element an outstanding block write; writes beyond the end are not kept.
    pub kept: Vec<bool>,
    /// How the sectors of the others end.
    pub otherwise: SectorFate,
}

impl CutPolicy for Subset {
    fn fate(&mut self, sector: &SectorAtRisk) -> SectorFate {
        let kept = self.kept.get(sector.write).copied().unwrap_or(false);
        if kept { SectorFate::New } else { self.otherwise }
    }
}

/// Some block writes survive whole; each sector of the others ends as the seed wills.
#[derive(Clone, Debug)]
pub struct Scattered {
    /// One element an outstanding block write; writes beyond the end are not kept.
    pub kept: Vec<bool>,
    /// How the others end.
    pub otherwise: Seeded,
}

impl CutPolicy for Scattered {
    fn fate(&mut self, sector: &SectorAtRisk) -> SectorFate {
        let kept = self.kept.get(sector.write).copied().unwrap_or(false);
        if kept { SectorFate::New } else { self.otherwise.fate(sector) }
    }
}

/// Each sector ends as the seed wills. The seed also decides whether fates are drawn for sectors or mostly for whole blocks,
/// and whether hardly anything, some, most or nearly all of it survives: a commit of many blocks whose last one survives
/// without one of the first is as likely as its contrary.
#[derive(Clone, Debug)]
pub struct Seeded {
    random: Random,
    whole_blocks: bool,
    survive_percent: u64,
    block_fate: Option<(usize, SectorFate)>,
}

impl Seeded {
    /// A policy; the same seed asks the same fates of the same writes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let whole_blocks = random.one_in(2);
        let survive_percent = [10, 40, 90, 97][random.index(4)];
        Self { random, whole_blocks, survive_percent, block_fate: None }
    }

    fn draw(&mut self) -> SectorFate {
        if self.random.below(100) < self.survive_percent {
            return SectorFate::New;
        }
        match self.random.below(6) {
            0..=2 => SectorFate::Old,
            3 => SectorFate::Garbage(self.random.next_u64()),
            4 => SectorFate::Zero,
            _ => SectorFate::Torn(1 + self.random.index(SECTOR_SIZE - 1)),
        }
    }
}

impl CutPolicy for Seeded {
    fn fate(&mut self, sector: &SectorAtRisk) -> SectorFate {
        if !self.whole_blocks || self.random.one_in(64) {
            return self.draw();
        }
        match self.block_fate {
            Some((write, fate)) if write == sector.write => fate,
            _ => {
                let fate = self.draw();
                self.block_fate = Some((sector.write, fate));
                fate
            }
        }
    }
}

/// Every subset of `count` block writes kept, the others ending as told. Panics above 20 writes: sample instead.
pub fn every_subset(count: usize, otherwise: SectorFate) -> impl Iterator<Item = Subset> {
    assert!(count <= 20, "2^{count} subsets are too many to try");
    (0..1u64 << count).map(move |mask| Subset {
        kept: (0..count).map(|write| mask >> write & 1 == 1).collect(),
        otherwise,
    })
}

/// The cuts worth trying when `count` block writes are outstanding: every subset up to `exhaustive` writes; above it none,
/// all, all but each one, each one alone (up to `samples` of either), and `samples` drawn by seed.
#[must_use]
pub fn cuts_to_try(count: usize, exhaustive: usize, samples: usize, seed: u64) -> Vec<Subset> {
    let otherwise = SectorFate::Old;
    if count <= exhaustive {
        return every_subset(count, otherwise).collect();
    }
    let subset =
        |kept: &dyn Fn(usize) -> bool| Subset { kept: (0..count).map(kept).collect(), otherwise };
    let mut cuts = vec![subset(&|_| false), subset(&|_| true)];
    let stride = count.div_ceil(samples.max(1));
    for one in (0..count).step_by(stride) {
        cuts.push(subset(&|write| write != one));
        cuts.push(subset(&|write| write == one));
    }
    let mut random = Random::new(seed);
    for _ in 0..samples {
        let kept = (0..count).map(|_| random.one_in(2)).collect();
        cuts.push(Subset { kept, otherwise });
    }
    cuts
}

/// Applies one block write to an image, sector by sector.
pub(super) fn settle(
    image: &mut Image,
    write: usize,
    block: BlockIndex,
    page: &Arc<revenant_hal::PageBytes>,
    policy: &mut dyn CutPolicy,
) {
    let fates: [SectorFate; SECTORS_PER_BLOCK] =
        core::array::from_fn(|sector| policy.fate(&SectorAtRisk { write, block, sector }));
    if fates.iter().all(|fate| *fate == SectorFate::Old) {
        return;
    }
    if fates.iter().all(|fate| *fate == SectorFate::New) {
        image.write(block, page.clone());
        return;
    }
    image.damage(block, |bytes| {
        for (sector, fate) in fates.into_iter().enumerate() {
            let range = sector * SECTOR_SIZE..(sector + 1) * SECTOR_SIZE;
            let (target, source) = (&mut bytes[range.clone()], &page.0[range]);
            match fate {
                SectorFate::Old => {}
                SectorFate::New => target.copy_from_slice(source),
                SectorFate::Garbage(seed) => Random::new(seed).fill(target),
                SectorFate::Zero => target.fill(0),
                SectorFate::Torn(bytes) => target[..bytes].copy_from_slice(&source[..bytes]),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_is_every_subset_once() {
        let all: Vec<_> = every_subset(3, SectorFate::Old).map(|subset| subset.kept).collect();
        assert_eq!(all.len(), 8);
        assert!((0..8).all(|i| (0..i).all(|j| all[i] != all[j])));
        assert_eq!(cuts_to_try(3, 3, 5, 1).len(), 8);
        assert!(cuts_to_try(40, 12, 5, 1).iter().any(|cut| cut.kept == [true; 40]));
    }
}
