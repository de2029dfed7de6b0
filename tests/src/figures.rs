//! The figures of `make bench`: lines `metric NAME VALUE UNIT` gathered from machines and host programs, the ratios derived
//! from them, and the table with the bars.
//!
//! Bars are on ratios within one run, or on counts: an absolute time on an emulator says more about the host. A figure that
//! was not measured stands in the table as such; a bar is never passed over in silence. Pure.

use crate::bars::{BESIDE, HOST, PAIRS, Source, TARGETS};
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

/// Nanoseconds in a unit of time, bytes in one of memory; 1 for anything else.
fn scale(unit: &str) -> f64 {
    match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "MiB" => 1_048_576.0,
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
        self.derive_thrash_throughput();
        self.derive_bytes_per_frame();
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

    /// What programs did together over what they did one after the other, in the same time.
    fn derive_thrash_throughput(&mut self) {
        let pages = |start: &str| {
            let figures = self.values.iter().filter(|(name, _)| name.starts_with(start));
            figures.map(|(_, figure)| figure.value).collect::<Vec<_>>()
        };
        let (alone, together) = (pages("thrash_alone."), pages("thrash_together."));
        // One that was not done in time has said nothing, and there is no figure.
        if !alone.is_empty() && alone.len() == together.len() {
            let ratio = together.iter().sum::<f64>() / alone.iter().sum::<f64>();
            self.set_ratio("thrash_throughput", ratio);
        }
    }

    /// What each page in memory takes on the kernel's heap: how much more that is with more memory. Beside it, all of the heap.
    fn derive_bytes_per_frame(&mut self) {
        let value = |name: &str| self.get(name).map(|figure| figure.value);
        let full = |prefix: &str| {
            let kept = value(&format!("{prefix}tables_share.kept"))?;
            Some((kept, value(&format!("{prefix}tables_share.resident"))?))
        };
        if let (Some(small), Some(large)) = (full(""), full("memory_256mib.")) {
            let round = |value: f64| (value * 10.0).round() / 10.0;
            self.set("bytes_per_frame", round((large.0 - small.0) / (large.1 - small.1)), "bytes");
            self.set("heap_per_frame", round(small.0 / small.1), "bytes");
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
    fn what_a_page_takes_is_what_more_memory_adds() {
        let mut figures = Figures::default();
        figures.take_line("", "metric tables_share.kept 1500 bytes");
        figures.take_line("", "metric tables_share.resident 10 pages");
        figures.derive();
        assert!(figures.get("bytes_per_frame").is_none());
        figures.take_line("memory_256mib.", "metric tables_share.kept 3525 bytes");
        figures.take_line("memory_256mib.", "metric tables_share.resident 60 pages");
        figures.derive();
        assert_eq!(figures.get("bytes_per_frame").map(|figure| figure.value), Some(40.5));
        assert_eq!(figures.get("heap_per_frame").map(|figure| figure.value), Some(150.0));
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
