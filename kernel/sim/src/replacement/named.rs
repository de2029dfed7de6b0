//! The policies that have a name, as their authors describe them, with the authors' figures.

use super::queues::Queues;
use super::{Policy, Touch, Trace};
use std::collections::VecDeque;

/// Which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// The page not touched for the longest time goes.
    Lru,
    /// A queue; a page touched since the hand last passed is passed over once (Corbató 1968).
    Clock,
    /// Johnson and Shasha 1994, the full version: a quarter of the frames for pages touched once, and as many names of pages
    /// that left it as half of the frames.
    TwoQ,
    /// Zhang and others 2024: a queue in order of arrival, and a hand that goes from old to new.
    Sieve,
    /// Yang and others 2023: a tenth of the frames on probation, ghosts, and up to three lives in the main queue.
    S3Fifo,
    /// VMS: a resident set in order of arrival for each group, an equal share for each, together four fifths; what leaves it
    /// stands on the list of free pages, and comes back from there without a read.
    Vms,
}

impl Named {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Lru, Self::Clock, Self::TwoQ, Self::Sieve, Self::S3Fifo, Self::Vms];

    /// The name, in a column's width.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lru => "LRU",
            Self::Clock => "CLOCK",
            Self::TwoQ => "2Q",
            Self::Sieve => "SIEVE",
            Self::S3Fifo => "S3-FIFO",
            Self::Vms => "VMS",
        }
    }

    /// The policy for a trace, with so many frames.
    #[must_use]
    pub fn policy(self, trace: &Trace, frames: u32) -> Box<dyn Policy> {
        let pages = trace.pages;
        let one = || Queues::new(pages, 1);
        match self {
            Self::Lru => Box::new(Lru { queues: one(), frames }),
            Self::Clock => Box::new(Clock { queues: one(), touched: Marks::new(pages), frames }),
            Self::TwoQ => Box::new(TwoQ { queues: Queues::new(pages, 3), frames }),
            Self::Sieve => {
                Box::new(Sieve { queues: one(), touched: Marks::new(pages), hand: None, frames })
            }
            Self::S3Fifo => Box::new(S3Fifo {
                queues: Queues::new(pages, 2),
                lives: vec![0; pages as usize],
                ghosts: VecDeque::new(),
                is_ghost: vec![0; pages as usize],
                frames,
            }),
            Self::Vms => {
                let groups = u32::from(trace.groups);
                let share = (frames / 5 * 4 / groups).max(1);
                let queues = Queues::new(pages, usize::from(trace.groups) + 1);
                Box::new(Vms { queues, groups: trace.groups, share, frames })
            }
        }
    }
}

/// A bit a page.
struct Marks(Vec<bool>);

impl Marks {
    fn new(pages: u32) -> Self {
        Self(vec![false; pages as usize])
    }

    fn set(&mut self, page: u32) {
        self.0[page as usize] = true;
    }

    fn take(&mut self, page: u32) -> bool {
        core::mem::take(&mut self.0[page as usize])
    }
}

struct Lru {
    queues: Queues,
    frames: u32,
}

impl Policy for Lru {
    fn touch(&mut self, touch: Touch) -> bool {
        let hit = self.queues.queue_of(touch.page).is_some();
        if hit {
            self.queues.remove(touch.page);
        } else if self.queues.length(0) >= self.frames {
            self.queues.pop_oldest(0);
        }
        self.queues.push_newest(0, touch.page);
        hit
    }
}

struct Clock {
    queues: Queues,
    touched: Marks,
    frames: u32,
}

impl Policy for Clock {
    fn touch(&mut self, touch: Touch) -> bool {
        if self.queues.queue_of(touch.page).is_some() {
            self.touched.set(touch.page);
            return true;
        }
        while self.queues.length(0) >= self.frames {
            let Some(oldest) = self.queues.pop_oldest(0) else { break };
            if self.touched.take(oldest) {
                self.queues.push_newest(0, oldest);
            }
        }
        self.queues.push_newest(0, touch.page);
        false
    }
}

/// Queues: pages touched once, names that left it, the rest.
struct TwoQ {
    queues: Queues,
    frames: u32,
}

impl TwoQ {
    const IN: u8 = 0;
    const OUT: u8 = 1;
    const MAIN: u8 = 2;

    fn make_room(&mut self) {
        let (arrived, main) = (self.queues.length(Self::IN), self.queues.length(Self::MAIN));
        if arrived + main < self.frames {
            return;
        }
        if arrived > self.frames / 4 || main == 0 {
            if let Some(page) = self.queues.pop_oldest(Self::IN) {
                self.queues.push_newest(Self::OUT, page);
            }
            if self.queues.length(Self::OUT) > self.frames / 2 {
                self.queues.pop_oldest(Self::OUT);
            }
        } else {
            self.queues.pop_oldest(Self::MAIN);
        }
    }
}

impl Policy for TwoQ {
    fn touch(&mut self, touch: Touch) -> bool {
        match self.queues.queue_of(touch.page) {
            Some(Self::IN) => true,
            Some(Self::MAIN) => {
                self.queues.remove(touch.page);
                self.queues.push_newest(Self::MAIN, touch.page);
                true
            }
            Some(_) => {
                self.queues.remove(touch.page);
                self.make_room();
                self.queues.push_newest(Self::MAIN, touch.page);
                false
            }
            None => {
                self.make_room();
                self.queues.push_newest(Self::IN, touch.page);
                false
            }
        }
    }
}

struct Sieve {
    queues: Queues,
    touched: Marks,
    hand: Option<u32>,
    frames: u32,
}

impl Policy for Sieve {
    fn touch(&mut self, touch: Touch) -> bool {
        if self.queues.queue_of(touch.page).is_some() {
            self.touched.set(touch.page);
            return true;
        }
        if self.queues.length(0) >= self.frames {
            let mut at = self.hand.or_else(|| self.queues.oldest(0));
            while let Some(page) = at
                && self.touched.take(page)
            {
                at = self.queues.newer(page).or_else(|| self.queues.oldest(0));
            }
            if let Some(page) = at {
                self.hand = self.queues.newer(page);
                self.queues.remove(page);
            }
        }
        self.queues.push_newest(0, touch.page);
        false
    }
}

struct S3Fifo {
    queues: Queues,
    lives: Vec<u8>,
    ghosts: VecDeque<u32>,
    /// How often a page stands among the ghosts.
    is_ghost: Vec<u8>,
    frames: u32,
}

impl S3Fifo {
    const SMALL: u8 = 0;
    const MAIN: u8 = 1;

    fn make_room(&mut self) {
        while self.queues.length(Self::SMALL) + self.queues.length(Self::MAIN) >= self.frames {
            let small = self.queues.length(Self::SMALL);
            if small >= (self.frames / 10).max(1) || self.queues.length(Self::MAIN) == 0 {
                self.leave_small();
            } else {
                self.leave_main();
            }
        }
    }

    fn leave_small(&mut self) {
        let Some(page) = self.queues.pop_oldest(Self::SMALL) else { return };
        if self.lives[page as usize] > 1 {
            self.lives[page as usize] = 0;
            self.queues.push_newest(Self::MAIN, page);
            return;
        }
        self.ghosts.push_back(page);
        self.is_ghost[page as usize] += 1;
        if self.ghosts.len() > self.frames as usize / 10 * 9
            && let Some(old) = self.ghosts.pop_front()
        {
            self.is_ghost[old as usize] -= 1;
        }
    }

    fn leave_main(&mut self) {
        let Some(page) = self.queues.pop_oldest(Self::MAIN) else { return };
        if self.lives[page as usize] > 0 {
            self.lives[page as usize] -= 1;
            self.queues.push_newest(Self::MAIN, page);
        }
    }
}

impl Policy for S3Fifo {
    fn touch(&mut self, touch: Touch) -> bool {
        let lives = &mut self.lives[touch.page as usize];
        if self.queues.queue_of(touch.page).is_some() {
            *lives = (*lives + 1).min(3);
            return true;
        }
        *lives = 0;
        let ghost = self.is_ghost[touch.page as usize] > 0;
        self.make_room();
        self.queues.push_newest(if ghost { Self::MAIN } else { Self::SMALL }, touch.page);
        false
    }
}

/// Queues: the groups' resident sets, then the free list.
struct Vms {
    queues: Queues,
    groups: u8,
    share: u32,
    frames: u32,
}

impl Policy for Vms {
    fn touch(&mut self, touch: Touch) -> bool {
        let free = self.groups;
        let hit = match self.queues.queue_of(touch.page) {
            Some(queue) if queue != free => return true,
            Some(_) => {
                self.queues.remove(touch.page);
                true
            }
            None => false,
        };
        if self.queues.length(touch.group) >= self.share
            && let Some(page) = self.queues.pop_oldest(touch.group)
        {
            self.queues.push_newest(free, page);
        }
        let resident: u32 = (0..=free).map(|queue| self.queues.length(queue)).sum();
        if resident >= self.frames {
            let victim = self.queues.pop_oldest(free);
            assert!(victim.is_some(), "the shares leave a fifth for the free list");
        }
        self.queues.push_newest(touch.group, touch.page);
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replacement::{fewest_misses, misses};

    fn trace(pages: &[u64]) -> Trace {
        Trace::new("by hand", pages.iter().map(|page| (0, *page)))
    }

    fn count(named: Named, trace: &Trace, frames: u32) -> u64 {
        misses(&mut *named.policy(trace, frames), trace)
    }

    #[test]
    fn on_the_textbooks_example_each_has_the_textbooks_misses() {
        let trace = trace(&[7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]);
        assert_eq!(fewest_misses(&trace, 3), 9);
        assert_eq!(count(Named::Lru, &trace, 3), 12);
        let fifo = trace.touches.len() as u64; // nobody misses more often than always
        assert!(Named::ALL.iter().all(|named| count(*named, &trace, 3) <= fifo));
    }

    #[test]
    fn nobody_beats_the_limit_and_with_a_frame_for_each_page_all_reach_it() {
        let mut random = crate::Random::new(5);
        let pages: Vec<u64> =
            (0..4000).map(|_| random.below(1 + random.clone().below(90))).collect();
        let trace = trace(&pages);
        for frames in [10, 25, 60] {
            let least = fewest_misses(&trace, frames);
            for named in Named::ALL {
                assert!(count(named, &trace, frames) >= least, "{named:?} with {frames} frames");
            }
        }
        assert_eq!(fewest_misses(&trace, trace.pages), u64::from(trace.pages));
        for named in [Named::Lru, Named::Clock, Named::Sieve] {
            assert_eq!(count(named, &trace, trace.pages), u64::from(trace.pages));
        }
    }

    #[test]
    fn a_cycle_larger_than_memory_never_hits_in_the_order_of_touches() {
        let pages: Vec<u64> = (0..1000).map(|place| place % 20).collect();
        let trace = trace(&pages);
        assert_eq!(count(Named::Lru, &trace, 19), 1000);
        assert_eq!(fewest_misses(&trace, 20), 20);
        assert!(fewest_misses(&trace, 19) < 100);
    }
}
