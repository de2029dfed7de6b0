//! What snapshots did to the programs of samples/bench/flip.rasm: joins the program's lines with the kernel's, by epoch, and makes
//! figures of them, sorted by the size of the set that the program stores over.
//!
//! | line | by | what |
//! |---|---|---|
//! | `flip epoch= dirty= page_ins= pause_ns= flip_ns= grace_ns=` | kernel | the stop, from its first request to the release |
//! | `durable epoch= latency_us=` | kernel | from the flip until no cut can lose it |
//! | `copies pages=64 ns=` | kernel | the yardstick, timed between the rounds |
//! | `round epoch= mib= busy= gap_ns= plain_ns= plain_stores= during_ns= during_stores= number=` | program | what the threads saw |
//!
//! Round 0 is not counted: in it pages come into being, and nothing that runs has run before. Pure.

use crate::log_line::LogLine;
use std::collections::BTreeMap;

const PAGES_PER_MIB: u64 = 256;

/// What the kernel says of a snapshot.
#[derive(Clone, Copy, Debug, Default)]
struct Flip {
    pause: u64,
    flip: u64,
    grace: u64,
    dirty: u64,
    page_ins: u64,
    durable: Option<u64>,
}

/// What the program says of one.
#[derive(Clone, Copy, Debug)]
struct Round {
    epoch: u64,
    mib: u64,
    busy: bool,
    gap: u64,
    /// Thousandths of a nanosecond a store, without a snapshot and during one; none if nothing was stored during it.
    store: Option<(u64, u64)>,
}

/// The lines of one run.
#[derive(Clone, Debug, Default)]
pub struct Flips {
    flips: BTreeMap<u64, Flip>,
    rounds: Vec<Round>,
    copies: Vec<u64>,
}

impl Flips {
    /// Takes a line of the serial log; what is none of the lines above is passed over.
    pub fn line(&mut self, text: &str) {
        let line = LogLine::parse(text);
        match line.word {
            "flip" => drop(self.flip(&line)),
            "durable" => drop(self.durable(&line)),
            "copies" => self.copies.extend(line.number("ns")),
            "round" => self.rounds.extend(round(&line)),
            _ => {}
        }
    }

    fn flip(&mut self, line: &LogLine<'_>) -> Option<()> {
        let flip = Flip {
            pause: line.number("pause_ns")?,
            flip: line.number("flip_ns")?,
            grace: line.number("grace_ns")?,
            dirty: line.number("dirty")?,
            page_ins: line.number("page_ins")?,
            durable: None,
        };
        self.flips.insert(line.number("epoch")?, flip);
        Some(())
    }

    fn durable(&mut self, line: &LogLine<'_>) -> Option<()> {
        let flip = self.flips.get_mut(&line.number("epoch")?)?;
        flip.durable = Some(line.number("latency_us")? * 1000);
        Some(())
    }

    /// The figures as lines `metric NAME VALUE UNIT`; none if the program did not run.
    ///
    /// # Errors
    /// A round whose flip is not in the log or was not what it should have been: part of the set was clean, or, in more than a quarter of
    /// the rounds with readers at work, nothing was on its way from the disk. Figures of something else are no figures.
    pub fn figures(mut self) -> Result<Vec<String>, String> {
        let with_readers = self.rounds.iter().any(|round| round.busy);
        let mut sets: BTreeMap<(u64, bool), Set> = BTreeMap::new();
        let mut not_busy = 0;
        for round in &self.rounds {
            let flip = self.flips.get(&round.epoch).copied();
            let flip =
                flip.ok_or_else(|| format!("no flip of epoch {} in the log", round.epoch))?;
            check(round, &flip)?;
            if round.busy && flip.page_ins == 0 {
                not_busy += 1; // the last came just before
                continue;
            }
            sets.entry((round.mib, round.busy)).or_default().0.push((*round, flip));
        }
        if not_busy * 4 > self.rounds.len() / 2 {
            return Err(format!(
                "at {not_busy} flips of busy rounds nothing was on its way from the disk"
            ));
        }
        let mut lines = Lines::default();
        if sets.is_empty() {
            return Ok(lines.0);
        }
        let copies = rank(&mut self.copies, 500);
        lines.0.push(format!("metric page_copy_64 {copies} ns"));
        // Median of the pause and of the gap in the first set: the smallest, or the quiet one.
        let mut first = None;
        for ((mib, busy), set) in sets {
            let name = match (with_readers, busy) {
                (false, _) => format!("{mib}mib"),
                (true, false) => "quiet".to_owned(),
                (true, true) => "busy".to_owned(),
            };
            let pause = set.stop(&name, &mut lines);
            let (first_pause, first_gap) = *first.get_or_insert((pause.median, set.gap()));
            if with_readers {
                set.distribution(
                    "flip_page_ins",
                    &name,
                    "pages",
                    |_, flip| flip.page_ins,
                    &mut lines,
                );
                if busy {
                    lines.ratio("flip_pause_busy", pause.median, first_pause);
                }
                continue;
            }
            set.programs(&name, &mut lines);
            lines.ratio(&format!("flip_pause_growth.{name}"), pause.median, first_pause);
            lines.ratio(&format!("program_gap_growth.{name}"), set.gap(), first_gap);
            lines.ratio(&format!("flip_pause_copies.{name}"), pause.high, copies);
        }
        Ok(lines.0)
    }
}

/// The rounds over one set.
#[derive(Default)]
struct Set(Vec<(Round, Flip)>);

impl Set {
    fn distribution(
        &self,
        figure: &str,
        name: &str,
        unit: &str,
        value: impl Fn(&Round, &Flip) -> u64,
        lines: &mut Lines,
    ) -> Distribution {
        let mut values: Vec<u64> = self.0.iter().map(|(round, flip)| value(round, flip)).collect();
        lines.distribution(&format!("{figure}.{name}"), &mut values, unit)
    }

    /// The median of the longest gaps.
    fn gap(&self) -> u64 {
        rank(&mut self.0.iter().map(|(round, _)| round.gap).collect::<Vec<u64>>(), 500)
    }

    /// The second stop and its parts, and the longest step of the first; returns the second stop.
    fn stop(&self, name: &str, lines: &mut Lines) -> Distribution {
        self.distribution("flip_dirty", name, "pages", |_, flip| flip.dirty, lines);
        self.distribution("flip_grace", name, "ns", |_, flip| flip.grace, lines);
        let witness = |_: &Round, flip: &Flip| flip.pause.saturating_sub(flip.flip);
        self.distribution("flip_pause", &format!("{name}.witness"), "ns", witness, lines);
        let part = format!("{name}.flip");
        self.distribution("flip_pause", &part, "ns", |_, flip| flip.flip, lines);
        self.distribution("flip_pause", name, "ns", |_, flip| flip.pause, lines)
    }

    /// What programs feel of the snapshot.
    fn programs(&self, name: &str, lines: &mut Lines) {
        self.distribution("program_gap", name, "ns", |round, _| round.gap, lines);
        let latency = |_: &Round, flip: &Flip| flip.durable.unwrap_or(0);
        self.distribution("snapshot_latency", name, "ns", latency, lines);
        let (mut plain, mut during): (Vec<u64>, Vec<u64>) =
            self.0.iter().filter_map(|(round, _)| round.store).unzip();
        if !plain.is_empty() {
            let figure = format!("snapshot_slowdown.{name}");
            lines.ratio(&figure, rank(&mut during, 500), rank(&mut plain, 500));
        }
    }
}

/// A line `round`; none if it is not counted or not whole.
fn round(line: &LogLine<'_>) -> Option<Round> {
    if line.number("number")? == 0 {
        return None;
    }
    let per_store = |time: &str, stores: &str| {
        line.number(time)?.checked_mul(1000)?.checked_div(line.number(stores)?)
    };
    Some(Round {
        epoch: line.number("epoch")?,
        mib: line.number("mib")?,
        busy: line.number("busy")? != 0,
        gap: line.number("gap_ns")?,
        store: per_store("plain_ns", "plain_stores").zip(per_store("during_ns", "during_stores")),
    })
}

/// Whether the round measured what it says.
fn check(round: &Round, flip: &Flip) -> Result<(), String> {
    let pages = round.mib * PAGES_PER_MIB;
    if flip.dirty < pages || flip.dirty > pages + pages / 20 + 4 * PAGES_PER_MIB {
        return Err(format!(
            "{} pages of a set of {pages} were dirty at epoch {}",
            flip.dirty, round.epoch
        ));
    }
    Ok(())
}

/// The value at so many thousandths, by nearest rank; 0 of nothing.
fn rank(values: &mut [u64], thousandths: usize) -> u64 {
    values.sort_unstable();
    let rank = (values.len() * thousandths).div_ceil(1000);
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// Median and 99th percentile.
struct Distribution {
    median: u64,
    high: u64,
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn distribution(&mut self, name: &str, values: &mut [u64], unit: &str) -> Distribution {
        let (median, high) = (rank(values, 500), rank(values, 990));
        for (part, value) in [("median", median), ("p99", high), ("max", rank(values, 1000))] {
            self.0.push(format!("metric {name}.{part} {value} {unit}"));
        }
        Distribution { median, high }
    }

    fn ratio(&mut self, name: &str, above: u64, below: u64) {
        let thousandths = above.saturating_mul(1000) / below.max(1);
        self.0.push(format!(
            "metric {name} {}.{:03} ratio",
            thousandths / 1000,
            thousandths % 1000
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::Flips;

    /// One snapshot: what the kernel says, then the program.
    fn snapshot(flips: &mut Flips, epoch: u64, mib: u64, pause: u64, also: &str) {
        let dirty = mib * 256 + 9;
        flips.line(&format!(
            "flip epoch={epoch} dirty={dirty} page_ins=3 pause_ns={pause} flip_ns=10 grace_ns=5 steps="
        ));
        flips.line(&format!("durable epoch={epoch} generation=7 blocks=9 latency_us=40"));
        flips.line(&format!(
            "round epoch={epoch} mib={mib} gap_ns={pause}0 plain_ns=100 plain_stores=10 during_ns=150 during_stores=10 {also}"
        ));
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|found| found == line)
    }

    #[test]
    fn sizes_are_told_apart_and_the_first_round_does_not_count() {
        let mut flips = Flips::default();
        for (epoch, mib, pause) in
            [(2, 1, 999), (3, 64, 9999), (4, 1, 100), (5, 64, 120), (6, 1, 100), (7, 64, 140)]
        {
            let number = if epoch < 4 { 0 } else { 1 };
            snapshot(&mut flips, epoch, mib, pause, &format!("busy=0 number={number}"));
            flips.line("copies pages=64 ns=70");
        }
        let lines = flips.figures().expect("whole");
        for line in [
            "metric flip_pause.1mib.median 100 ns",
            "metric flip_pause.64mib.max 140 ns",
            "metric flip_pause_growth.64mib 1.200 ratio",
            "metric program_gap_growth.64mib 1.200 ratio",
            "metric flip_pause_copies.64mib 2.000 ratio",
            "metric snapshot_latency.64mib.median 40000 ns",
            "metric snapshot_slowdown.64mib 1.500 ratio",
            "metric page_copy_64 70 ns",
        ] {
            assert!(has(&lines, line), "{line} is not in {lines:#?}");
        }
    }

    #[test]
    fn busy_rounds_are_compared_with_quiet_ones_and_must_be_busy() {
        let mut flips = Flips::default();
        snapshot(&mut flips, 4, 16, 100, "busy=0 number=1");
        snapshot(&mut flips, 5, 16, 150, "busy=1 number=1");
        let lines = flips.clone().figures().expect("whole");
        assert!(has(&lines, "metric flip_pause_busy 1.500 ratio"), "{lines:#?}");
        flips.line("flip epoch=5 dirty=4096 page_ins=0 pause_ns=9 flip_ns=9 grace_ns=0 steps=");
        assert!(flips.figures().is_err_and(|message| message.contains("from the disk")));
    }

    #[test]
    fn a_round_that_measured_something_else_is_an_error() {
        let mut flips = Flips::default();
        snapshot(&mut flips, 4, 64, 100, "busy=0 number=1");
        let mut clean = flips.clone();
        clean.line("flip epoch=4 dirty=300 page_ins=0 pause_ns=9 flip_ns=9 grace_ns=0 steps=");
        assert!(clean.figures().is_err_and(|message| message.contains("were dirty")));
        flips.line("round epoch=9 mib=1 busy=0 gap_ns=1 number=1");
        assert!(flips.figures().is_err_and(|message| message.contains("no flip of epoch 9")));
        assert_eq!(Flips::default().figures(), Ok(Vec::new()));
    }
}
