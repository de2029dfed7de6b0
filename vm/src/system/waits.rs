//! Who waits for which page, and how many may. Volatile: after a restart everybody asks again.
//!
//! A thread that waits stays runnable in object space and is passed over. After a resume nothing is in memory: there the
//! first thread gets all its pages before the others ask for theirs, so that few pages are read before the first instruction
//! and none of them stands behind those of a hundred other threads, or of memory that is given back.

use alloc::collections::BTreeMap;

use revenant_hal::PageIndex;

use super::activity::Activity;

/// Threads that wait for pages at a time: each is an entry in the kernel's memory. With more, all threads wait for a page to
/// come.
pub(super) const MOST: usize = 1 << 16;
/// How many waits of the first thread after a resume hold the others back: one that loops without getting anywhere must not
/// do so for ever. Its own waits only: a step of the system is tried again with every interrupt until its page has come, and
/// on a slow disk that alone came to more.
const ALONE: u32 = 64;

/// The waits of one machine.
#[derive(Debug)]
pub(super) struct Waits {
    pages: BTreeMap<Activity, PageIndex>,
    /// A thread has executed an instruction.
    has_run: bool,
    /// How often somebody may still wait while no other thread is tried.
    alone: u32,
}

impl Waits {
    /// Nobody waits, and nobody has run.
    pub(super) const fn new() -> Self {
        Self { pages: BTreeMap::new(), has_run: false, alone: ALONE }
    }

    /// A thread has executed an instruction.
    pub(super) const fn note_run(&mut self) {
        self.has_run = true;
        self.alone = 0;
    }

    /// Whether a thread has executed an instruction since the start.
    pub(super) const fn has_run(&self) -> bool {
        self.has_run
    }

    /// `activity` waits for `page`.
    pub(super) fn insert(&mut self, activity: Activity, page: PageIndex) {
        let is_threads = matches!(activity, Activity::Thread(_));
        self.alone = self.alone.saturating_sub(u32::from(is_threads));
        self.pages.insert(activity, page);
    }

    /// Whether `activity` waits.
    pub(super) fn contains(&self, activity: Activity) -> bool {
        self.pages.contains_key(&activity)
    }

    /// Threads that wait.
    pub(super) fn threads(&self) -> usize {
        use Activity::{Judgement, Round, Sweep, System, Timers};
        let others = [System, Timers, Round, Judgement, Sweep];
        self.pages.len() - others.into_iter().filter(|other| self.contains(*other)).count()
    }

    /// Whether the first thread after a resume is to have the disk for itself.
    pub(super) const fn hold_others_back(&self) -> bool {
        self.alone > 0
    }

    /// Whether no further thread is to be tried before a page has come.
    pub(super) fn are_enough(&self) -> bool {
        let most = if self.hold_others_back() { 1 } else { MOST };
        self.threads() >= most
    }

    /// Who waits for `page`: one of them.
    pub(super) fn waiter(&self, page: PageIndex) -> Option<Activity> {
        let mut waits = self.pages.iter();
        waits.find(|(_, waited_for)| **waited_for == page).map(|(activity, _)| *activity)
    }

    /// Whoever waits for `page` may try again.
    pub(super) fn remove_page(&mut self, page: PageIndex) {
        self.pages.retain(|_, waited_for| *waited_for != page);
    }

    /// Everybody may try again. What they waited for was room, on the disk or in memory, which others may be able to give
    /// back: from now on nobody is held back for the first thread's sake.
    pub(super) fn clear(&mut self) {
        self.pages.clear();
        self.alone = 0;
    }
}
