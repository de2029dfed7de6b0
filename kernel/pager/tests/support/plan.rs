//! What a run should look like: how much memory, which pages, how short the reserves, how often a flip or a cut.

use revenant_hal::PageIndex;
use revenant_pager::{PagerOptions, WiredRange};
use revenant_sim::Random;
use revenant_store::Copies;
use std::collections::BTreeSet;

/// What the run should look like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Frames in the pool.
    pub(crate) frames: u32,
    /// Entries in the TLB.
    pub(crate) tlb: usize,
    /// Programs.
    pub(crate) programs: usize,
    /// Pages that programs use.
    pub(crate) pages: Vec<PageIndex>,
    /// The pager's options.
    pub(crate) options: PagerOptions,
    /// Wired ranges.
    pub(crate) wired: Vec<WiredRange>,
    /// Whether walks are read ahead for.
    pub(crate) reads_ahead: bool,
    /// Whether modified pages are written before their flip when frames are short.
    pub(crate) cleans: bool,
    /// Whether settled pages are written before their flip while they are not.
    pub(crate) settles: bool,
    /// One flip in so many steps, if possible.
    pub(crate) flip_one_in: u64,
    /// One discard of a few pages in so many steps; 0 for none.
    pub(crate) discard_one_in: u64,
    /// One cut in so many steps; 0 for none.
    pub(crate) cut_one_in: u64,
}

impl Plan {
    /// No programs, no pages, nothing by chance.
    pub(crate) fn bare() -> Self {
        Self {
            frames: 64,
            tlb: 8,
            programs: 0,
            pages: Vec::new(),
            options: PagerOptions::default(),
            wired: Vec::new(),
            reads_ahead: false,
            cleans: false,
            settles: false,
            flip_one_in: 0,
            discard_one_in: 0,
            cut_one_in: 0,
        }
    }

    /// Pages in several leaf tables and under several top entries, more frames than needed.
    pub(crate) fn roomy(random: &mut Random) -> Self {
        let mut pages = Vec::new();
        for region in 0..6u64 {
            let base = match region {
                0 => 0,
                1 => 500,           // crosses a table of pages
                2 => 512 * 512 - 8, // crosses the table above
                3 => (1 << 27) - 8, // crosses a top entry
                4 => random.below(1 << 32) & !0x3f,
                _ => (1 << 32) - 20, // the end of object space
            };
            pages.extend((0..20).map(|offset| PageIndex(base + offset)));
        }
        // One page a table, so that tables come into being all the time.
        pages.extend((1..40).map(|table| PageIndex(table * 512 + 7)));
        let pages = pages.into_iter().filter(|page| page.0 < 1 << 32);
        let pages: BTreeSet<_> = pages.collect();
        let options = PagerOptions {
            table_reserve: 16,
            copy_reserve: 16,
            writes_in_flight: 16,
            write_batch: 8,
            free_reserve: 8,
            eviction_batch: 8,
        };
        Self {
            frames: 400,
            tlb: 24,
            programs: 4,
            pages: pages.into_iter().collect(),
            options,
            wired: Vec::new(),
            reads_ahead: random.one_in(2),
            cleans: true,
            settles: true,
            flip_one_in: 60,
            discard_one_in: 25,
            cut_one_in: 1500,
        }
    }
}

impl Plan {
    /// Tables that all pages together need.
    pub(crate) fn tables(&self) -> usize {
        let tables = [9, 18, 27].map(|shift| {
            self.pages.iter().map(|page| page.0 >> shift).collect::<BTreeSet<_>>().len()
        });
        tables.iter().sum()
    }

    /// As [`Plan::roomy`], but with frames for a part of the pages only.
    pub(crate) fn short_of_memory(random: &mut Random) -> Self {
        let frames = 70 + u32::try_from(random.below(70)).unwrap_or(0);
        let roomy = Self::roomy(random);
        let options = PagerOptions { table_reserve: 3, copy_reserve: 4, ..roomy.options };
        Self { frames, options, ..roomy }
    }

    /// Frames for a part of the pages, reserves at their minimum, and few flips: what is to go is written before them.
    pub(crate) fn of_the_cleaner(random: &mut Random) -> Self {
        let plan = Self::short_of_memory(random);
        let options = PagerOptions {
            copy_reserve: u32::try_from(random.below(3)).unwrap_or(0),
            free_reserve: u32::try_from(random.below(6)).unwrap_or(0),
            eviction_batch: 1 + u32::try_from(random.below(8)).unwrap_or(0),
            ..plan.options
        };
        Self { cut_one_in: 0, flip_one_in: 400, discard_one_in: 150, options, ..plan }
    }

    /// The same with a snapshot in the making nearly all the time.
    pub(crate) fn of_the_busy_cleaner(random: &mut Random) -> Self {
        Self { flip_one_in: 12, ..Self::of_the_cleaner(random) }
    }

    /// As [`Plan::roomy`], but with a seed's own shortage: of frames, of reserves, of room in the TLB; and with a range of the
    /// system that is stored twice.
    pub(crate) fn by_seed(random: &mut Random) -> Self {
        let mut plan = Self::roomy(random);
        plan.tlb = 1 + random.index(32);
        if random.one_in(2) {
            let first = plan.pages[random.index(plan.pages.len())];
            let resident = random.one_in(2);
            plan.wired.push(WiredRange { first, count: 12, copies: Copies::Two, resident });
            plan.pages.extend((0..12).map(|offset| PageIndex(first.0 + offset)));
            plan.pages.retain(|page| page.0 < 1 << 32);
            plan.wired.retain(|range| range.first.0 + range.count <= 1 << 32);
        }
        if random.one_in(3) {
            let short = Self::short_of_memory(random);
            (plan.frames, plan.options) = (short.frames + 12, short.options); // 12 may be wired
        } else if random.one_in(2) {
            let copy_reserve = u32::try_from(random.below(4)).unwrap_or(0);
            plan.options = PagerOptions {
                table_reserve: 3,
                copy_reserve,
                writes_in_flight: 1 + u32::try_from(random.below(20)).unwrap_or(0),
                write_batch: 1 + u32::try_from(random.below(20)).unwrap_or(0),
                free_reserve: u32::try_from(random.below(6)).unwrap_or(0),
                eviction_batch: 1 + u32::try_from(random.below(6)).unwrap_or(0),
            };
            let pages: BTreeSet<_> = plan.pages.iter().map(|page| page.0).collect();
            let needed = pages.len() + plan.tables() + 12 + 3;
            plan.frames = u32::try_from(needed).unwrap_or(u32::MAX)
                + copy_reserve
                + u32::try_from(random.below(12)).unwrap_or(0);
        }
        plan
    }
}
