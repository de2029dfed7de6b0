//! The figures of a report: what a traced snapshot amounts to, by class, by age, by page, by holder.
//!
//! Invariant: [`Figures::uses`] says of every byte of every page what it is for, once.

use super::census::{Census, Object};
use super::dominators::{Dominators, dominators};
use super::graph::{Circles, NONE, State, Traced, circles, node};
use revenant_hal::PageIndex;
use revenant_vm::memory::layout::{BLOCK, PAGE, area, block};
use std::collections::BTreeMap;

/// Classes of ages: 0, 1, 2 to 3, 4 to 7 and so on.
pub(super) const AGES: usize = 49;
/// Steps in which the fill of blocks is told.
pub(super) const FILLS: usize = 10;

/// Objects and the bytes that they take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Amount {
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

impl Amount {
    const fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What is known of the objects of a class.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct ClassFigures {
    /// Those that are reached.
    pub(super) live: Amount,
    /// Those that nothing leads to.
    pub(super) garbage: Amount,
    /// References to those that are reached, from wherever.
    pub(super) references: u64,
    age_sum: f64,
    age_squares: f64,
    /// Pages on which one that is reached lies.
    pub(super) pages: u64,
    /// Of the bytes of these, those of objects that are reached, of whatever class.
    pub(super) filled: u64,
}

impl ClassFigures {
    fn ratio(&self, sum: f64) -> f64 {
        if self.live.objects == 0 { 0.0 } else { sum / self.live.objects as f64 }
    }

    /// References to an object, on average.
    pub(super) fn in_degree(&self) -> f64 {
        self.ratio(self.references as f64)
    }

    /// Epochs since an object was made: mean, and standard deviation.
    pub(super) fn age(&self) -> (f64, f64) {
        let mean = self.ratio(self.age_sum);
        (mean, (self.ratio(self.age_squares) - mean * mean).max(0.0).sqrt())
    }

    /// How full its pages are, of 1.
    pub(super) fn fill(&self) -> f64 {
        if self.pages == 0 { 0.0 } else { self.filled as f64 / (self.pages * PAGE) as f64 }
    }
}

/// What a page is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kind {
    /// Tables of the system, and metadata of blocks.
    #[default]
    System,
    /// Small objects.
    Small,
    /// A large object.
    Large,
    /// The stack of a thread.
    Stack,
    /// Nothing: a free run, not yet given back.
    Free,
}

/// What the bytes of a page are for. What is left of a page of objects is unused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Use {
    pub(super) kind: Kind,
    pub(super) live: u64,
    pub(super) waiting: u64,
    pub(super) garbage: u64,
}

/// Where all bytes of a snapshot's pages are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    pub(super) live: u64,
    pub(super) waiting: u64,
    pub(super) garbage: u64,
    /// On pages of small objects, what no object takes.
    pub(super) unused: u64,
    pub(super) free: u64,
    pub(super) stacks: u64,
    pub(super) system: u64,
}

/// What is known of runs that are free, of one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FreeRuns {
    pub(super) clean: u64,
    pub(super) dirty: u64,
    /// Pages of these that hold something still.
    pub(super) pages: u64,
}

/// An object and what it keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    /// Its node.
    pub(super) node: u32,
    /// How far below the first of its kind it stands.
    pub(super) depth: usize,
    pub(super) retained: u64,
    pub(super) objects: u64,
}

/// Garbage by what keeps it from being freed by counting.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Garbage {
    pub(super) circles: u32,
    /// In circles.
    pub(super) cyclic: Amount,
    /// In none, but something in a circle leads to it.
    pub(super) hanging: Amount,
    /// Neither: its count is wrong on purpose (it has stuck), or a thread was lost that held it.
    pub(super) other: Amount,
    /// Members of the largest circle.
    pub(super) largest: u64,
}

/// All figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) live: Amount,
    pub(super) weak: Amount,
    pub(super) waiting: Amount,
    pub(super) garbage: Garbage,
    pub(super) classes: BTreeMap<u32, ClassFigures>,
    /// By age: live, and garbage.
    pub(super) ages: Vec<(Amount, Amount)>,
    /// For each page of the census.
    pub(super) uses: Vec<Use>,
    pub(super) totals: Totals,
    /// Nodes of the largest objects, the largest first.
    pub(super) largest: Vec<u32>,
    pub(super) holders: Vec<Holder>,
    /// Blocks of small objects by how much of them is live.
    pub(super) fills: [u64; FILLS],
    /// Pages of blocks of small objects that were given back or never used.
    pub(super) holes: u64,
    pub(super) free_runs: BTreeMap<u32, FreeRuns>,
}

/// The class of ages to which an age belongs.
pub(super) const fn age_class(age: u64) -> usize {
    let class = (u64::BITS - age.leading_zeros()) as usize;
    if class < AGES { class } else { AGES - 1 }
}

/// Takes all figures of a snapshot of an epoch. Lists have at most `most` entries.
pub(super) fn take(census: &Census, traced: &Traced, epoch: u64, most: usize) -> Figures {
    let mut figures = Figures { ages: vec![Default::default(); AGES], ..Figures::default() };
    figures.page_uses(census, traced);
    figures.by_object(census, traced, epoch);
    figures.garbage = garbage(census, traced, &circles(&traced.graph, &traced.states));
    figures.totals = totals(&figures.uses);
    figures.fragmentation(census);
    let mut largest: Vec<usize> = (0..census.objects.len()).collect();
    largest.sort_by_key(|place| (core::cmp::Reverse(census.objects[*place].bytes), *place));
    figures.largest = largest.into_iter().take(most).map(node).collect();
    let tree = dominators(&traced.graph);
    figures.holders = holders(census, &tree, figures.live.bytes, most);
    figures
}

impl Figures {
    /// What each page is for: first what runs say, then what objects take.
    fn page_uses(&mut self, census: &Census, traced: &Traced) {
        self.uses = vec![Use::default(); census.pages.len()];
        // What lies in the heap and in no run is nobody's.
        for place in census.pages_in(area::HEAP, area::END) {
            self.uses[place].kind = Kind::Free;
        }
        for run in &census.runs {
            let kind = match run.kind {
                block::KIND_SMALL => Kind::Small,
                block::KIND_LARGE => Kind::Large,
                block::KIND_STACK => Kind::Stack,
                _ => Kind::Free,
            };
            for place in census.pages_in(run.start, run.end()) {
                let first = PageIndex(census.pages[place]).address().0 == run.start;
                let metadata = first && kind == Kind::Small;
                self.uses[place].kind = if metadata { Kind::System } else { kind };
            }
        }
        for (place, object) in census.objects.iter().enumerate() {
            let state = traced.states[node(place) as usize];
            let (start, end) = census.extent(object);
            for page in census.pages_in(start, end) {
                let address = PageIndex(census.pages[page]).address().0;
                let bytes = end.min(address + PAGE) - start.max(address);
                let found = &mut self.uses[page];
                match state {
                    State::Live | State::Weak => found.live += bytes,
                    State::Waiting => found.waiting += bytes,
                    State::Garbage => found.garbage += bytes,
                }
            }
        }
    }

    fn by_object(&mut self, census: &Census, traced: &Traced, epoch: u64) {
        let degrees = traced.graph.in_degrees();
        // Objects come by address, so a class's last page is enough to count each of its pages once.
        let mut last_page: BTreeMap<u32, usize> = BTreeMap::new();
        for (place, object) in census.objects.iter().enumerate() {
            let number = node(place) as usize;
            let age = epoch.saturating_sub(object.birth);
            let class = self.classes.entry(object.class).or_default();
            let ages = &mut self.ages[age_class(age)];
            match traced.states[number] {
                State::Garbage => {
                    class.garbage.add(object.bytes);
                    ages.1.add(object.bytes);
                    continue;
                }
                State::Waiting => {
                    self.waiting.add(object.bytes);
                    continue;
                }
                State::Weak => self.weak.add(object.bytes),
                State::Live => {}
            }
            self.live.add(object.bytes);
            class.live.add(object.bytes);
            ages.0.add(object.bytes);
            class.references += u64::from(degrees[number]);
            class.age_sum += age as f64;
            class.age_squares += age as f64 * age as f64;
            let (start, end) = census.extent(object);
            let next = last_page.entry(object.class).or_default();
            for page in census.pages_in(start, end) {
                if page >= *next {
                    class.pages += 1;
                    class.filled += self.uses[page].live;
                    *next = page + 1;
                }
            }
        }
    }

    fn fragmentation(&mut self, census: &Census) {
        for run in &census.runs {
            let pages = census.pages_in(run.start, run.end());
            match run.kind {
                block::KIND_SMALL => {
                    let live: u64 = self.uses[pages.clone()].iter().map(|found| found.live).sum();
                    let room = BLOCK - PAGE;
                    let step = usize::try_from(live * FILLS as u64 / room).unwrap_or(FILLS);
                    self.fills[step.min(FILLS - 1)] += 1;
                    self.holes += BLOCK / PAGE - pages.len() as u64;
                }
                block::KIND_FREE | block::KIND_DIRTY => {
                    let found = self.free_runs.entry(run.order).or_default();
                    let clean = run.kind == block::KIND_FREE;
                    *if clean { &mut found.clean } else { &mut found.dirty } += 1;
                    found.pages += pages.len() as u64;
                }
                _ => {}
            }
        }
    }
}

fn totals(uses: &[Use]) -> Totals {
    let mut totals = Totals::default();
    for found in uses {
        totals.live += found.live;
        totals.waiting += found.waiting;
        totals.garbage += found.garbage;
        let rest = PAGE.saturating_sub(found.live + found.waiting + found.garbage);
        match found.kind {
            Kind::System => totals.system += rest,
            Kind::Stack => totals.stacks += rest,
            Kind::Free => totals.free += rest,
            Kind::Small | Kind::Large => totals.unused += rest,
        }
    }
    totals
}

fn garbage(census: &Census, traced: &Traced, circles: &Circles) -> Garbage {
    let mut found = Garbage { circles: circles.count, ..Garbage::default() };
    let mut members = vec![0_u64; circles.count as usize];
    // What circles lead to, found by a walk from all of them.
    let mut hanging = vec![false; traced.states.len()];
    let mut stack: Vec<u32> = Vec::new();
    for (number, circle) in (0_u32..).zip(&circles.of) {
        if *circle != NONE {
            members[*circle as usize] += 1;
            hanging[number as usize] = true;
            stack.push(number);
        }
    }
    while let Some(number) = stack.pop() {
        for target in traced.graph.of(number) {
            let place = *target as usize;
            if traced.states[place] == State::Garbage && !hanging[place] {
                hanging[place] = true;
                stack.push(*target);
            }
        }
    }
    for (place, object) in census.objects.iter().enumerate() {
        let number = node(place) as usize;
        if traced.states[number] == State::Garbage {
            let kind = match (circles.of[number] != NONE, hanging[number]) {
                (true, _) => &mut found.cyclic,
                (false, true) => &mut found.hanging,
                (false, false) => &mut found.other,
            };
            kind.add(object.bytes);
        }
    }
    found.largest = members.into_iter().max().unwrap_or(0);
    found
}

/// The object of a node.
pub(super) fn object_of(census: &Census, number: u32) -> Option<&Object> {
    (number as usize).checked_sub(1).and_then(|place| census.objects.get(place))
}

/// The biggest subtrees of the dominator tree, each before what is below it: at most four below one, at most five deep. What keeps less
/// than a hundredth of what is live (a thousandth, if nothing is above it) is left out, but for the first few.
fn holders(census: &Census, tree: &Dominators, live: u64, most: usize) -> Vec<Holder> {
    const DEEPEST: usize = 5;
    const BELOW: usize = 4;
    const FIRST: usize = 4;
    let bytes = |number: u32| object_of(census, number).map_or(0, |object| object.bytes);
    let retained = tree.retained(bytes);
    let objects = tree.retained(|_| 1);
    // Children of those that are big enough to be shown; the others' are of no interest.
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for number in &tree.order {
        let above = tree.above[*number as usize];
        if above != NONE && (above == 0 || retained[*number as usize] >= live / 100) {
            children.entry(above).or_default().push(*number);
        }
    }
    for list in children.values_mut() {
        list.sort_by_key(|number| (core::cmp::Reverse(retained[*number as usize]), *number));
        list.truncate(most);
    }
    let enough =
        |place: usize, number: u32| place < FIRST || retained[number as usize] >= live / 1000;
    if let Some(list) = children.get_mut(&0) {
        list.truncate((0..).zip(&*list).take_while(|(place, top)| enough(*place, **top)).count());
    }
    let mut found = Vec::new();
    let below = |number: u32, count: usize| {
        let list = children.get(&number).map_or(&[][..], Vec::as_slice);
        list.iter().take(count).rev().copied()
    };
    let mut stack: Vec<(u32, usize)> = below(0, most).map(|number| (number, 0)).collect();
    while let Some((number, depth)) = stack.pop() {
        let place = number as usize;
        found.push(Holder {
            node: number,
            depth,
            retained: retained[place],
            objects: objects[place],
        });
        if depth + 1 < DEEPEST {
            stack.extend(below(number, BELOW).map(|number| (number, depth + 1)));
        }
    }
    found
}
