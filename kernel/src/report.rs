//! What a person sees who presses Ctrl-T: the state of memory and disk, a line `report GROUP KEY=VALUE ...` for each group, and
//! every figure as `metric report.GROUP.KEY VALUE UNIT` (the latter only in a log that is not quiet).
//!
//! Nothing here waits or takes more than a walk over counters; the machine goes on. What groups have of object space follows, a line
//! for each, when its page is there.
//!
//! Neighbours: `console` sees the key, `space` hands out what store and pager count.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::{detail, disk, log, space};
use core::fmt;
use revenant_hal::Epoch;
use revenant_machine::heap;
use revenant_pager::{FrameCounts, Gauges, Statistics};
use revenant_store::{EarlyStatistics, Space};
use revenant_vm::Quota;

/// Ctrl-T, which asks for the state of things on other systems, too.
pub(crate) const KEY: u8 = 0x14;

/// All that is reported, taken at one moment.
pub(crate) struct State {
    pub(crate) frames: FrameCounts,
    pub(crate) gauges: Gauges,
    pub(crate) counters: Statistics,
    pub(crate) early: EarlyStatistics,
    pub(crate) space: Space,
    pub(crate) trimmed: u64,
    pub(crate) running: Epoch,
    pub(crate) durable: Epoch,
    pub(crate) generation: u64,
    pub(crate) snapshots: usize,
    pub(crate) pinned: usize,
    /// Requests that the disk works on.
    pub(crate) requests: usize,
    /// Nodes of the page map in RAM.
    pub(crate) map_nodes: usize,
}

/// ` key=value` for each.
struct Figures<'a>(&'a [(&'a str, u64)]);

impl fmt::Display for Figures<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(key, value)| write!(formatter, " {key}={value}"))
    }
}

/// Figures of one unit.
fn print(name: &str, unit: &str, figures: &[(&str, u64)]) {
    log!("report {name}{}", Figures(figures));
    for (key, value) in figures {
        detail!("metric report.{name}.{key} {value} {unit}");
    }
}

impl<P: Programs> EventLoop<P> {
    /// Prints the report.
    pub(crate) fn report(&self) {
        let state = space::with(|space| space.state());
        print_memory(&state);
        print_paging(&state);
        print_cleaner(&state);
        print_disk(&state);
    }

    /// Prints what a group has of object space, if its page is there; the group whose turn is next.
    pub(crate) fn report_quota(&mut self, group: u32) -> Option<u32> {
        let found = self.attempt(|programs, _| (programs.groups(), programs.quota(group)));
        let Some((groups, Quota { used, limit, refused })) = found else { return Some(group) };
        if group >= groups {
            return None;
        }
        if limit == u64::MAX {
            log!("report quota={group} used={used} limit=none refused={refused}");
        } else {
            log!("report quota={group} used={used} limit={limit} refused={refused}");
        }
        Some(group + 1)
    }
}

/// Who has the frames, and what is kept back.
fn print_memory(state: &State) {
    let State { frames, gauges, .. } = state;
    let list = |count: u32| u64::from(count);
    print(
        "frames",
        "frames",
        &[
            ("total", list(frames.total)),
            ("free", list(frames.free)),
            ("tables", list(frames.tables)),
            ("filling", list(frames.filling)),
            ("clean", list(frames.clean)),
            ("dirty", list(frames.dirty)),
            ("frozen", list(frames.frozen)),
            ("writing", list(frames.writing)),
            ("written", list(frames.written)),
            ("cleaning", list(frames.cleaning)),
            ("old_copies", list(frames.split)),
        ],
    );
    print(
        "lists",
        "pages",
        &[
            ("replaceable", list(gauges.replaceable)),
            ("ahead_untouched", list(gauges.ahead)),
            ("coming", gauges.coming as u64),
            ("unreadable", gauges.unreadable as u64),
        ],
    );
    print(
        "reserves",
        "frames",
        &[
            ("tables", list(gauges.table_reserve)),
            ("copies", list(gauges.copy_reserve)),
            ("page_ins", list(gauges.free_reserve)),
        ],
    );
    for set in &gauges.working_sets {
        log!(
            "report group={} resident={} share={} returned={} suspended={}",
            set.group.index(),
            set.resident,
            set.share,
            set.returned,
            u8::from(set.suspended)
        );
    }
    let map = state.map_nodes * disk::NODE_BYTES;
    let heap = [
        ("size", heap::size_bytes() as u64),
        ("used", heap::used_bytes() as u64),
        ("page_map", map as u64),
    ];
    print("kernel_heap", "bytes", &heap);
}

/// What was asked of the pager since the start.
fn print_paging(state: &State) {
    let counters = &state.counters;
    print(
        "faults",
        "faults",
        &[
            ("zero_fill", counters.faults_zero_fill),
            ("make_writable", counters.faults_make_writable),
            ("copy", counters.faults_copy),
            ("page_in", counters.faults_page_in),
            ("waiting", counters.faults_waiting),
            ("spurious", counters.faults_spurious),
            ("impossible", counters.faults_impossible),
        ],
    );
    print(
        "pages",
        "pages",
        &[
            ("read", counters.pages_read),
            ("read_ahead", counters.pages_read_ahead),
            ("read_ahead_hits", counters.read_ahead_hits),
            ("read_ahead_wasted", counters.read_ahead_wasted),
            ("evicted", counters.pages_evicted),
            ("discarded", counters.pages_discarded),
            ("dirtied_freeing", counters.dirtied_freeing),
            ("written", counters.pages_written),
            ("thinned_out", counters.pages_thinned_out),
            ("tables_freed", counters.tables_freed),
        ],
    );
}

/// Pages written before their flip: what was written and still unchanged at it was worth writing.
fn print_cleaner(state: &State) {
    let State { early, counters, .. } = state;
    print(
        "cleaner",
        "pages",
        &[
            ("given", counters.pages_cleaned),
            ("given_meanwhile", counters.pages_cleaned_meanwhile),
            ("written", early.written),
            ("not_written", counters.pages_not_cleaned),
            ("kept", early.kept),
            ("changed", early.changed),
            ("settled", counters.pages_settled),
            ("settled_in_vain", counters.pages_settled_in_vain),
        ],
    );
    let decided = early.kept + early.changed;
    if let Some(percent) = (100 * early.kept).checked_div(decided) {
        print("cleaner_hits", "percent", &[("rate", percent)]);
    }
    let kept = counters.pages_settled - counters.pages_settled_in_vain;
    if let Some(percent) = (100 * kept).checked_div(counters.pages_settled) {
        print("settling_hits", "percent", &[("rate", percent)]);
    }
}

/// Space, snapshots.
fn print_disk(state: &State) {
    let space = &state.space;
    print(
        "space",
        "blocks",
        &[
            ("total", space.total),
            ("free", space.allocatable),
            ("quarantined", space.quarantined),
            ("reserved_for_dirty_pages", space.charged),
            ("pool", space.pool),
            ("available", space.available),
            ("discarded", state.trimmed),
        ],
    );
    print(
        "snapshots",
        "snapshots",
        &[
            ("kept", state.snapshots as u64),
            ("pinned", state.pinned as u64),
            ("taken", state.counters.flips),
            ("durable", state.counters.commits),
            ("abandoned", state.counters.abandoned),
        ],
    );
    log!(
        "report epochs running={} durable={} generation={} disk_requests={}",
        state.running,
        state.durable,
        state.generation,
        state.requests
    );
}
