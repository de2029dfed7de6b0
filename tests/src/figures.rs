//! The figures of `make bench`: lines `metric NAME VALUE UNIT` gathered from machines and host programs, the ratios derived
//! from them, and the table with the bars.
//!
//! Bars are on ratios within one run, or on counts: an absolute time on an emulator says more about the host. A figure that
//! was not measured stands in the table as such; a bar is never passed over in silence. Pure.

use crate::log_line::LogLine;
use std::collections::BTreeMap;

/// A measured value with its unit.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: String,
}

/// Figures by name.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    values: BTreeMap<String, Figure>,
}

/// Which side of the bar is good.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bar {
    /// The value may not be larger.
    AtMost(f64),
    /// The value may not be smaller.
    AtLeast(f64),
}

impl Bar {
    fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtMost(bar) => value <= bar,
            Self::AtLeast(bar) => value >= bar,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::AtMost(bar) => format!("at most {bar}"),
            Self::AtLeast(bar) => format!("at least {bar}"),
        }
    }
}

/// What a barred figure is taken from.
enum Source {
    /// A figure as it was printed.
    Printed(&'static str),
    /// One figure over another, both converted to the same unit.
    Ratio(&'static str, &'static str),
}

/// A figure with a bar.
struct Target {
    name: &'static str,
    source: Source,
    bar: Bar,
    /// Where it was measured: a run of the machine (tests/src/bin/bench/scenarios.rs), whose memory the table shows, or the host.
    place: &'static str,
    /// What it is, for a reader of the table.
    what: &'static str,
}

/// Not in the machine.
const HOST: &str = "host";

const fn printed(
    name: &'static str,
    from: &'static str,
    bar: Bar,
    place: &'static str,
    what: &'static str,
) -> Target {
    Target { name, source: Source::Printed(from), bar, place, what }
}

const fn over(
    name: &'static str,
    (above, below): (&'static str, &'static str),
    bar: Bar,
    place: &'static str,
    what: &'static str,
) -> Target {
    Target { name, source: Source::Ratio(above, below), bar, place, what }
}

/// What the system must reach, in the order of the table.
const TARGETS: [Target; 20] = [
    printed(
        "flip_pause_growth",
        "instructions.flip_pause_growth.192mib",
        Bar::AtMost(1.1),
        "flip-instructions",
        "stop of all threads for a snapshot, 192 MiB changed over 1 MiB, in guest instructions",
    ),
    printed(
        "program_gap_growth",
        "program_gap_growth.192mib",
        Bar::AtMost(3.0),
        "flip",
        "longest gap in a ticking thread, request of a snapshot to 100 ms after its flip, 192 MiB over 1 MiB",
    ),
    printed(
        "flip_pause_copies",
        "flip_pause_copies.192mib",
        Bar::AtMost(2.0),
        "flip",
        "that stop (99th percentile, 192 MiB) over the time to copy 64 pages in the same rounds",
    ),
    printed(
        "flip_pause_busy",
        "flip_pause_busy",
        Bar::AtMost(2.0),
        "flip-busy",
        "that stop with page-ins of 8 threads in flight over the stop without, 16 MiB changed",
    ),
    over(
        "grace_growth",
        ("parked_10000.grace_pause.median", "parked_10.grace_pause.median"),
        Bar::AtMost(1.3),
        "grace-10000",
        "longest step of the counting before a flip, with 10,000 parked threads over with 10",
    ),
    over(
        "resume_growth",
        ("heap_512mib.resume_time", "heap_1mib.resume_time"),
        Bar::AtMost(1.3),
        "resume-512",
        "kernel entry until each of 32 threads has run 1,000 instructions, 512 MiB of heap over 1 MiB",
    ),
    printed(
        "resume_pages",
        "heap_512mib.resume_pages",
        Bar::AtMost(64.0),
        "resume-512",
        "pages read from the disk before the first instruction of a program",
    ),
    printed(
        "snapshot_bandwidth",
        "throttled.snapshot_bandwidth",
        Bar::AtLeast(0.9),
        "bandwidth-throttled",
        "speed of writing a snapshot of 64 MiB over that of the bare driver, on a disk of 100 MiB/s",
    ),
    printed(
        "snapshot_one_page_blocks",
        "snapshot_one_page_blocks",
        Bar::AtMost(16.0),
        "blocks",
        "blocks written for one changed page in a heap of 512 MiB, beyond those of an idle snapshot",
    ),
    printed(
        "idle_snapshot_blocks",
        "programs.idle_snapshot_blocks.max",
        Bar::AtMost(32.0),
        "idle",
        "blocks written for a snapshot in which a thread ran and changed nothing of its own",
    ),
    printed(
        "discard_blocks",
        "discard_blocks",
        Bar::AtMost(0.0),
        "discard",
        "blocks written of 2 GiB taken, used and let go of between two snapshots, over the same unused",
    ),
    printed(
        "entry_to_program_s",
        "heap_512mib.entry_to_program",
        Bar::AtMost(0.5),
        "resume-512",
        "seconds from the kernel's entry to the first instruction of a program",
    ),
    printed(
        "vm_vs_lua",
        "vm_vs_lua",
        Bar::AtMost(0.6),
        HOST,
        "time of six programs in the interpreter over Lua 5.4's, geometric mean; each operation has two users in samples/",
    ),
    printed(
        "float_penalty",
        "float_penalty",
        Bar::AtMost(2.0),
        "float-nbody",
        "how much slower nbody is in the emulated machine than on the host, over the same for sieve",
    ),
    printed(
        "paging_random",
        "paging_random",
        Bar::AtLeast(0.6),
        "paging-random",
        "random page-ins a second with memory full over random reads of the bare driver, 16 at a time",
    ),
    printed(
        "paging_scan",
        "paging_scan",
        Bar::AtLeast(0.8),
        "paging-scan",
        "cold walk over 1 GiB over sequential reads of the bare driver, on a disk of 100 MiB/s",
    ),
    printed(
        "read_dirties",
        "read_dirties",
        Bar::AtMost(0.01),
        "walk",
        "pages made dirty by a program that only reads a heap of four times memory, over pages read",
    ),
    over(
        "fork_vs_flip",
        ("linux_fork_pause_192_mib", "flip_pause.192mib.median"),
        Bar::AtLeast(100.0),
        "flip",
        "Linux's fork() of a process of 192 MiB over our stop with 192 MiB changed",
    ),
    over(
        "fault_copy_vs_linux",
        ("fault_copy.median", "linux_fault_copy"),
        Bar::AtMost(0.5),
        "faults",
        "first store to a page that a snapshot still needs, over Linux's copy on write",
    ),
    over(
        "zero_fill_vs_linux",
        ("fault_zero_fill.median", "linux_fault_zero_fill"),
        Bar::AtMost(0.5),
        "faults",
        "first store to a page that never was, over Linux's",
    ),
];

/// Shown below the bars: the row's name, the figure, what it is. By the clock the emulator's own work on its TLB and the host's caches
/// count, too; in instructions neither does.
const BESIDE: [(&str, &str, &str); 6] = [
    ("flip_pause_growth (clock)", "flip_pause_growth.192mib", "the first figure by the clock"),
    ("grace_growth (instr.)", "grace_growth.instructions", "grace_growth in guest instructions"),
    ("flip_pause (ns)", "flip_pause.192mib.median", "the stop itself, 192 MiB changed, median"),
    (
        "snapshot_slowdown",
        "snapshot_slowdown.192mib",
        "time of a store while a snapshot of 192 MiB is written, over before",
    ),
    (
        "snapshot_latency (ns)",
        "snapshot_latency.192mib.median",
        "flip to durable, 192 MiB, while all is stored to again",
    ),
    (
        "paging_random_when_full",
        "paging_random_when_full",
        "random page-ins a second with memory full over those while it fills",
    ),
];

/// What both systems do in the same machine: the operation, our figure, that of Linux.
const PAIRS: [(&str, &str, &str); 9] = [
    ("stop for a snapshot, 192 MiB", "flip_pause.192mib.median", "linux_fork_pause_192_mib"),
    ("write-protect 192 MiB", "flip_pause.192mib.flip.median", "linux_mprotect_192_mib"),
    ("first store to a new page", "fault_zero_fill.median", "linux_fault_zero_fill"),
    ("copy on write", "fault_copy.median", "linux_fault_copy"),
    ("page in from disk", "fault_page_in.median", "linux_fault_page_in"),
    ("64 copies of a page", "page_copy_64", "linux_copy_64_pages"),
    ("raw write", "unthrottled.raw_write_bandwidth", "linux_raw_write"),
    ("raw 4 KiB reads, one at a time", "unthrottled.raw_read_depth_1", "linux_raw_read_depth_1"),
    ("raw 4 KiB reads, 16 at a time", "unthrottled.raw_read_depth_16", "linux_raw_read_depth_16"),
];

/// Nanoseconds in a unit of time; 1 for anything else.
fn scale(unit: &str) -> f64 {
    match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => 1.0,
    }
}

impl Figures {
    /// Takes a line if it is a metric; says whether it was. A later value of the same name replaces an earlier one.
    pub fn take_line(&mut self, prefix: &str, text: &str) -> bool {
        let Some(metric) = LogLine::parse(text).metric() else { return false };
        let figure = Figure { value: metric.value, unit: metric.unit.to_owned() };
        self.values.insert(format!("{prefix}{}", metric.name), figure);
        true
    }

    /// Adds a figure.
    pub fn set(&mut self, name: &str, value: f64, unit: &str) {
        self.values.insert(name.to_owned(), Figure { value, unit: unit.to_owned() });
    }

    /// Adds the figures of several runs of one measurement: of each name the median.
    pub fn take_medians(&mut self, runs: &[Self]) {
        let mut all: BTreeMap<&String, Vec<&Figure>> = BTreeMap::new();
        for (name, figure) in runs.iter().flat_map(|run| &run.values) {
            all.entry(name).or_default().push(figure);
        }
        for (name, mut figures) in all {
            figures.sort_by(|left, right| left.value.total_cmp(&right.value));
            if let Some(figure) = figures.get((figures.len() - 1) / 2) {
                self.values.insert(name.clone(), (*figure).clone());
            }
        }
    }

    /// A figure by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.values.get(name)
    }

    /// Every figure as a line `metric NAME VALUE UNIT`.
    #[must_use]
    pub fn lines(&self) -> String {
        let line = |(name, figure): (&String, &Figure)| {
            format!("metric {name} {} {}\n", figure.value, figure.unit)
        };
        self.values.iter().map(line).collect()
    }

    /// Computes the figures that are ratios of others.
    pub fn derive(&mut self) {
        self.derive_float_penalty();
        for target in &TARGETS {
            if let Source::Ratio(above, below) = target.source {
                self.derive_ratio(target.name, above, below);
            }
        }
        self.derive_ratio(
            "grace_growth.instructions",
            "instructions.parked_10000.grace_pause.median",
            "instructions.parked_10.grace_pause.median",
        );
    }

    /// `name` is `above` over `below`, if both were measured.
    fn derive_ratio(&mut self, name: &str, above: &str, below: &str) {
        if let (Some(above), Some(below)) = (self.get(above), self.get(below)) {
            let value = above.value * scale(&above.unit) / (below.value * scale(&below.unit));
            self.set_ratio(name, value);
        }
    }

    fn set_ratio(&mut self, name: &str, value: f64) {
        let figure = Figure { value: (value * 1000.0).round() / 1000.0, unit: "ratio".to_owned() };
        self.values.insert(name.to_owned(), figure);
    }

    /// How much more floating point slows down from the host to the machine than integers do: the same two programs in both places.
    fn derive_float_penalty(&mut self) {
        let slower = |program: &str| {
            let time = |name: String| self.get(&name).map(|time| time.value * scale(&time.unit));
            Some(time(format!("machine.{program}_time"))? / time(format!("vm_{program}"))?)
        };
        if let (Some(nbody), Some(sieve)) = (slower("nbody"), slower("sieve")) {
            self.set_ratio("float_penalty", nbody / sieve);
        }
    }

    /// Both systems side by side; empty unless Linux was measured.
    #[must_use]
    pub fn side_by_side(&self) -> String {
        let show = |name: &str| {
            self.get(name).map_or_else(|| "-".to_owned(), |f| format!("{} {}", f.value, f.unit))
        };
        if PAIRS.iter().all(|(_, _, linux)| self.get(linux).is_none()) {
            return String::new();
        }
        let mut text = format!("{:<30} {:>20} {:>20}\n", "operation", "Revenant", "Linux");
        for (operation, ours, linux) in PAIRS {
            text.push_str(&format!("{operation:<30} {:>20} {:>20}\n", show(ours), show(linux)));
        }
        text
    }

    /// The table of figures with bars.
    #[must_use]
    pub fn table(&self) -> String {
        let row = |figure: &str, value: &str, bar: &str, verdict: &str, ram: &str, what: &str| {
            format!("{figure:<26} {value:>12}  {bar:<14} {verdict:<12} {ram:>8}  {what}\n")
        };
        let mut text = row("figure", "value", "bar", "verdict", "RAM", "what it is");
        for target in &TARGETS {
            let name = match target.source {
                Source::Printed(name) => name,
                Source::Ratio(..) => target.name,
            };
            let (value, verdict) = match self.get(name) {
                None => ("-".to_owned(), "not measured"),
                Some(figure) if target.bar.is_reached(figure.value) => {
                    (format!("{}", figure.value), "reached")
                }
                Some(figure) => (format!("{}", figure.value), "MISSED"),
            };
            let bar = target.bar.describe();
            let ram = match self.get(&format!("{}.ram", target.place)) {
                Some(ram) => format!("{} MiB", ram.value),
                None if target.place == HOST => HOST.to_owned(),
                None => "-".to_owned(),
            };
            text.push_str(&row(target.name, &value, &bar, verdict, &ram, target.what));
        }
        for (name, figure, what) in BESIDE {
            if let Some(figure) = self.get(figure) {
                text.push_str(&row(name, &figure.value.to_string(), "no bar", "", "", what));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_different_units_are_compared_in_one() {
        let mut figures = Figures::default();
        assert!(figures.take_line("", "metric linux_fork_pause_192_mib 22000 us"));
        assert!(figures.take_line("", "metric flip_pause.192mib.median 20000 ns"));
        assert!(!figures.take_line("", "flip epoch=1"));
        figures.derive();
        assert_eq!(figures.get("fork_vs_flip").map(|figure| figure.value), Some(1100.0));
    }

    #[test]
    fn of_several_runs_the_median_counts() {
        let run = |value: u32| {
            let mut figures = Figures::default();
            figures.take_line("heap.", &format!("metric resume_time {value} ns"));
            figures
        };
        let mut figures = Figures::default();
        figures.take_medians(&[run(900), run(100), run(300)]);
        assert_eq!(figures.get("heap.resume_time").map(|figure| figure.value), Some(300.0));
    }

    #[test]
    fn both_systems_stand_side_by_side_once_linux_was_measured() {
        let mut figures = Figures::default();
        figures.take_line("", "metric fault_copy.median 7000 ns");
        assert_eq!(figures.side_by_side(), "");
        figures.take_line("", "metric linux_fault_copy 22.7 us");
        let table = figures.side_by_side();
        let line = table.lines().find(|line| line.starts_with("copy on write")).unwrap_or_default();
        assert!(line.contains("7000 ns") && line.ends_with("22.7 us"), "{table}");
        assert!(table.contains(" - "), "what is missing is shown as missing: {table}");
    }

    #[test]
    fn the_float_penalty_is_a_ratio_of_slow_downs() {
        let mut figures = Figures::default();
        for line in
            ["metric vm_sieve 0.1 s", "metric vm_nbody 0.2 s", "metric machine.sieve_time 1 s"]
        {
            assert!(figures.take_line("", line));
        }
        figures.derive();
        assert!(figures.get("float_penalty").is_none());
        figures.take_line("machine.", "metric nbody_time 3000 ms");
        figures.derive();
        assert_eq!(figures.get("float_penalty").map(|figure| figure.value), Some(1.5));
    }

    #[test]
    fn a_bar_is_reached_missed_or_not_measured_and_says_so() {
        let mut figures = Figures::default();
        figures.take_line("instructions.", "metric flip_pause_growth.192mib 1.2 ratio");
        figures.take_line("throttled.", "metric snapshot_bandwidth 0.95 ratio");
        let table = figures.table();
        let verdict = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(&format!("{name} ")));
            let verdicts = ["MISSED", "reached", "not measured"];
            verdicts.into_iter().find(|verdict| line.is_some_and(|line| line.contains(verdict)))
        };
        assert_eq!(verdict("flip_pause_growth"), Some("MISSED"));
        assert_eq!(verdict("snapshot_bandwidth"), Some("reached"));
        assert_eq!(verdict("resume_pages"), Some("not measured"));
        assert!(!table.contains("512 MiB  stop of all"), "{table}");
        figures.set("flip-instructions.ram", 512.0, "MiB");
        assert!(figures.table().contains("512 MiB  stop of all"), "each shows its memory");
    }
}
