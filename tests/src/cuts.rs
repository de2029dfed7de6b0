//! Runs one disk through boot after boot, cutting its power each time, under the eyes of the outside witness.
//!
//! Every cut is of one of three kinds: at a random moment after the machine has made progress (a snapshot of this boot is
//! durable and a program has audited itself), at a random moment from the resume on, or while a snapshot is being written,
//! which is after its `flip` line and before its `durable` line. What a cut did is known only at the next boot, so a row of the table is complete
//! then; a last boot completes the last row. All randomness comes from one printed seed (the machine's own timing is not
//! repeatable; the seed repeats the schedule).
//!
//! Programs say `audit NAME held` and `audit NAME failed` when they check themselves; before lines of programs other than the first
//! stands `main`. Neighbours: `harness` runs the machine,
//! `witness` judges its log; the demo and the kill tests call [`run`].

use crate::harness::{BOOT_LIMIT, Running, TimedLine};
use crate::log_line::LogLine;
use crate::witness::{Finding, Witness};
use core::time::Duration;
use revenant_tools::qemu::Machine;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What the console puts before lines of programs other than the first.
pub const BACKGROUND: &str = "main ";

/// What to do to a disk.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names the logs.
    pub name: String,
    /// How often to cut.
    pub cuts: u32,
    /// Every so many cuts, one is made while a snapshot is being written; 0 for never.
    pub in_snapshot_every: u32,
    /// Every so many cuts, one is made without waiting for progress; 0 for never.
    pub early_every: u32,
    /// How long a boot goes on at most from its progress, or from its `resumed` line if the cut is an early one.
    pub run_most: Duration,
    /// Where the randomness comes from.
    pub seed: u64,
    /// Tell every step on standard output.
    pub tell: bool,
}

/// When a cut was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Whenever.
    Random,
    /// After the flip of this epoch and before it was durable.
    Writing {
        /// The epoch.
        epoch: u64,
    },
}

/// What one cut did.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Milliseconds from the resume to the cut.
    pub ran_ms: u64,
    /// When.
    pub moment: Moment,
    /// The snapshot resumed after it.
    pub resumed: u64,
    /// Milliseconds from the flip of that snapshot to the cut: work that was done again. None if the flip was in an
    /// earlier boot or on the host.
    pub lost_ms: Option<u64>,
    /// Threads whose first step was compared with their counter.
    pub threads: u64,
    /// Audits that held in the boot after the cut.
    pub audits_held: u64,
}

/// What a whole run showed.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cuts, in order.
    pub cuts: Vec<Cut>,
    /// Promises broken.
    pub findings: Vec<Finding>,
    /// Audits that failed, as printed.
    pub audits_failed: Vec<String>,
    /// What the kernel says only when it cannot go on as it should.
    pub failures: Vec<String>,
    /// Audits that held, over all boots.
    pub audits_held: u64,
    /// Who held one.
    pub auditors: BTreeSet<String>,
    /// First steps compared, over all boots.
    pub compared_steps: u64,
}

impl Report {
    /// Why the run is no success; empty if it is one. A run that proved nothing is none.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        complaints.extend(self.audits_failed.iter().map(|line| format!("audit failed: {line}")));
        complaints.extend(self.failures.iter().cloned());
        if self.compared_steps == 0 {
            complaints.push("no thread's first step was ever compared with a snapshot".to_owned());
        }
        if self.audits_held == 0 {
            complaints.push("no program ever audited itself".to_owned());
        }
        complaints
    }

    /// The table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from(
            " cut  when                                  snapshot resumed  work lost  threads went on  audits held\n",
        );
        for (index, cut) in self.cuts.iter().enumerate() {
            let when = match cut.moment {
                Moment::Random => format!("after {} ms", cut.ran_ms),
                Moment::Writing { epoch } => {
                    format!("after {} ms, writing snapshot {epoch}", cut.ran_ms)
                }
            };
            let lost = cut.lost_ms.map_or_else(|| "-".to_owned(), |lost| format!("{lost} ms"));
            text.push_str(&format!(
                "{:>4}  {when:<36}  {:>16}  {lost:>9}  {:>15}  {:>11}\n",
                index + 1,
                cut.resumed,
                cut.threads,
                cut.audits_held
            ));
        }
        text
    }
}

/// Small, seedable, good enough to choose moments (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed; 0 is as good as any.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }

    /// A time between two others.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.below(span + 1))
    }
}

/// Everything known while the boots go by.
struct Run<'plan> {
    plan: &'plan Plan,
    witness: Witness,
    report: Report,
    random: Random,
    /// When each epoch was flipped, this boot and the last.
    flips: BTreeMap<u64, Instant>,
    /// The newest flip that is not durable yet, in this boot.
    writing: Option<u64>,
    /// Audits held in this boot.
    audits: u64,
}

/// Boots `machine` and cuts its power as planned, then boots it once more.
///
/// # Errors
/// If the machine cannot be run at all, or ends by itself: with the end of its log. What the witness finds is in the report.
pub fn run(plan: &Plan, machine: &Machine) -> Result<Report, String> {
    let mut run = Run {
        plan,
        witness: Witness::new(),
        report: Report::default(),
        random: Random::new(plan.seed),
        flips: BTreeMap::new(),
        writing: None,
        audits: 0,
    };
    let mut last_cut: Option<(u64, Moment, Instant)> = None;
    for boot in 0..=plan.cuts {
        let mut running = Running::start(&format!("{}-{boot}", plan.name), machine)?;
        let resumed_at = run.wait_resumed(&mut running)?;
        let lost_ms = last_cut.and_then(|(_, _, at)| run.lost_ms(at));
        run.flips.clear();
        let compared_before = run.witness.compared_steps();
        let is_due = |every: u32| every > 0 && (boot + 1) % every == 0 && boot < plan.cuts;
        if !is_due(plan.early_every) {
            run.read_until_progress(&mut running)?;
        }
        let length = run.random.between(Duration::ZERO, plan.run_most);
        run.read_until(&mut running, Instant::now() + length)?;
        if is_due(plan.in_snapshot_every) {
            run.read_into_snapshot(&mut running)?;
        }
        let (cut_at, rest) = running.cut()?;
        rest.iter().for_each(|line| run.take(line));
        let resumed = run.witness.resumed_epoch().unwrap_or(0);
        if let Some((ran_ms, moment, _)) = last_cut {
            let cut = Cut {
                ran_ms,
                moment,
                resumed,
                lost_ms,
                threads: run.witness.compared_steps() - compared_before,
                audits_held: run.audits,
            };
            run.tell(&format!("cut {boot}: resumed snapshot {resumed}"));
            run.report.cuts.push(cut);
        }
        let moment = run.writing.map_or(Moment::Random, |epoch| Moment::Writing { epoch });
        last_cut = Some((milliseconds(cut_at - resumed_at), moment, cut_at));
        run.end_boot();
    }
    run.report.findings = run.witness.findings().to_vec();
    run.report.compared_steps = run.witness.compared_steps();
    Ok(run.report)
}

impl Run<'_> {
    /// Takes note of one line.
    fn take(&mut self, line: &TimedLine) {
        self.witness.line(&line.text);
        let audit = line.text.strip_prefix(BACKGROUND).filter(|text| text.starts_with("audit "));
        let text = audit.unwrap_or(&line.text);
        let parsed = LogLine::parse(text);
        match (parsed.word, parsed.number("epoch")) {
            ("flip", Some(epoch)) => {
                self.flips.insert(epoch, line.at);
                self.writing = Some(epoch);
            }
            ("durable" | "abandoned", Some(epoch)) if self.writing == Some(epoch) => {
                self.writing = None;
            }
            ("audit", None) if text.contains(" held") => {
                self.audits += 1;
                self.report.audits_held += 1;
                self.report.auditors.extend(text.split(' ').nth(1).map(str::to_owned));
            }
            ("audit", None) if text.contains(" failed") => {
                self.report.audits_failed.push(text.to_owned());
            }
            ("out_of_memory" | "read_only" | "abandoned" | "unreadable" | "main_ended", _) => {
                self.report.failures.push(text.to_owned());
            }
            _ => {}
        }
    }

    fn wait_resumed(&mut self, running: &mut Running) -> Result<Instant, String> {
        let line = running.wait_for("resumed line", BOOT_LIMIT, |line| {
            self.take(line);
            line.parse().word == "resumed"
        })?;
        Ok(line.at)
    }

    /// Takes lines until a snapshot of this boot is durable and a program has audited itself.
    fn read_until_progress(&mut self, running: &mut Running) -> Result<(), String> {
        let mut durable = false;
        running.wait_for("durable snapshot and an audit", BOOT_LIMIT, |line| {
            self.take(line);
            durable |= line.parse().word == "durable";
            durable && self.audits > 0
        })?;
        Ok(())
    }

    /// Takes lines until a moment. A machine that ends before is an error.
    fn read_until(&mut self, running: &mut Running, end: Instant) -> Result<(), String> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match running.next_line(left) {
                Some(line) => self.take(&line),
                None if Instant::now() >= end => return Ok(()),
                None => return Err(running.complaint("ended by itself")),
            }
        }
    }

    /// Takes lines until a snapshot has just begun to be written, then a little more. Up to ten tries: a snapshot that is
    /// durable within the little more was too quick.
    fn read_into_snapshot(&mut self, running: &mut Running) -> Result<(), String> {
        for _ in 0..10 {
            let flip = running.wait_for("flip line", BOOT_LIMIT, |line| {
                self.take(line);
                line.parse().word == "flip"
            })?;
            let delay = Duration::from_micros(self.random.below(2000));
            self.read_until(running, flip.at + delay)?;
            if self.writing.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// From the flip of the snapshot that this boot resumed to the cut before it.
    fn lost_ms(&self, cut_at: Instant) -> Option<u64> {
        let flipped_at = self.flips.get(&self.witness.resumed_epoch()?)?;
        Some(milliseconds(cut_at.saturating_duration_since(*flipped_at)))
    }

    fn end_boot(&mut self) {
        self.witness.cut();
        self.writing = None;
        self.audits = 0;
    }

    fn tell(&self, text: &str) {
        if self.plan.tell {
            println!("{text}");
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_proved_nothing_is_no_success() {
        assert_eq!(Report::default().complaints().len(), 2);
        let report = Report { compared_steps: 1, audits_held: 1, ..Report::default() };
        assert!(report.complaints().is_empty());
        let failed = Report { audits_failed: vec!["audit bank failed".to_owned()], ..report };
        assert_eq!(failed.complaints().len(), 1);
        let failed = Report { failures: vec!["read_only".to_owned()], ..failed };
        assert_eq!(failed.complaints().len(), 2);
    }

    #[test]
    fn random_times_keep_their_bounds_and_repeat_by_seed() {
        let (least, most) = (Duration::from_millis(3), Duration::from_millis(4));
        let draw = |seed| -> Vec<Duration> {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.between(least, most)).collect()
        };
        assert!(draw(1).iter().all(|time| (least..=most).contains(time)));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(Random::new(0).between(least, least), least);
    }
}
