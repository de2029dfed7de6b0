//! The outside witness: a program whose memory was rolled back cannot testify, so the serial log of every boot is kept
//! outside the machine and compared across the cut.
//!
//! What the kernel prints, and what is required of it:
//!
//! ```text
//!   flip epoch=E steps=K:N,...      snapshot E holds thread K after exactly N steps (read while all threads stand)
//!   durable epoch=E                 a cut from now on may not lose snapshot E
//!   abandoned epoch=E               snapshot E was given up; nothing may ever resume it
//!   -- power cut --
//!   resumed epoch=E                 E = the last durable one, or a newer one that was flipped and not abandoned
//!   first_step thread=K step=N      N = K's counter at that flip + 1; each thread at most once a boot
//!   flip epoch=F steps=K:N,...      F > E; no counter below its last one; moved only if the first step was seen
//! ```
//!
//! A thread's number is its own: an index that is used again comes with another one, and a thread that has ended is not printed any more.
//! A thread that is born after the flip that was resumed starts at step 1. A thread that stands still through a whole boot
//! has no first step, and its counter must not move.
//!
//! Pure: lines in, findings out. `harness` feeds it; the planted lies at the end of this file must each be caught.

use crate::log_line::LogLine;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Counters by thread, at one flip.
type Steps = BTreeMap<u64, u64>;

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The snapshot resumed is older than one that was reported durable.
    LostSnapshot {
        /// What was resumed.
        resumed: u64,
        /// What was durable.
        durable: u64,
    },
    /// The snapshot resumed was never flipped, or was abandoned.
    UnknownSnapshot {
        /// What was resumed.
        resumed: u64,
    },
    /// A thread's first step is not the one after its last: lost, repeated or restarted.
    WrongFirstStep {
        /// The thread.
        thread: u64,
        /// The step it should have taken.
        expected: u64,
        /// The step it took.
        found: u64,
    },
    /// A thread's counter moved without its first step having been reported.
    UnseenStep {
        /// The thread.
        thread: u64,
    },
    /// A thread reported a first step twice in one boot.
    SecondFirstStep {
        /// The thread.
        thread: u64,
    },
    /// A counter went back between two flips of one boot.
    CounterWentBack {
        /// The thread.
        thread: u64,
    },
    /// An epoch was not above the ones before it in the same history.
    EpochWentBack {
        /// The epoch.
        epoch: u64,
    },
    /// A snapshot was reported durable that was never flipped.
    DurableWithoutFlip {
        /// The epoch.
        epoch: u64,
    },
    /// A line that the witness depends on could not be read.
    Malformed {
        /// The line.
        line: String,
    },
    /// A flip, or a first step, before anything was resumed.
    NotResumed {
        /// The line.
        line: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LostSnapshot { resumed, durable } => {
                write!(formatter, "resumed epoch {resumed}, but {durable} had been durable")
            }
            Self::UnknownSnapshot { resumed } => {
                write!(
                    formatter,
                    "resumed epoch {resumed}, which was never flipped or was given up"
                )
            }
            Self::WrongFirstStep { thread, expected, found } => {
                write!(formatter, "thread {thread} went on at step {found}, not at {expected}")
            }
            Self::UnseenStep { thread } => {
                write!(formatter, "thread {thread} moved, but its first step was not reported")
            }
            Self::SecondFirstStep { thread } => {
                write!(formatter, "thread {thread} reported two first steps")
            }
            Self::CounterWentBack { thread } => {
                write!(formatter, "the counter of thread {thread} went back")
            }
            Self::EpochWentBack { epoch } => write!(formatter, "epoch {epoch} is not a new one"),
            Self::DurableWithoutFlip { epoch } => {
                write!(formatter, "epoch {epoch} is durable, but was never flipped")
            }
            Self::Malformed { line } => write!(formatter, "cannot be read: {line}"),
            Self::NotResumed { line } => write!(formatter, "before anything was resumed: {line}"),
        }
    }
}

/// What one boot has shown so far.
#[derive(Debug, Default)]
struct Boot {
    /// The snapshot it started from.
    resumed: Option<u64>,
    /// The counters of that snapshot; none for the first boot of a disk whose first snapshot was made elsewhere.
    start: Option<Steps>,
    /// Threads whose first step was seen.
    stepped: BTreeSet<u64>,
    /// The counters at the last flip of this boot.
    last: Option<Steps>,
}

/// Watches the boots of one disk, in order.
#[derive(Debug, Default)]
pub struct Witness {
    /// Every flip that a resume may still come back to.
    flips: BTreeMap<u64, Steps>,
    /// The newest snapshot that a cut may not lose.
    durable: Option<u64>,
    boot: Boot,
    /// First steps that were compared with a counter, over all boots.
    compared: u64,
    findings: Vec<Finding>,
}

impl Witness {
    /// A witness of a fresh disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power was cut, or the machine was switched off: what follows is another boot.
    pub fn cut(&mut self) {
        self.boot = Boot::default();
    }

    /// Takes one line of the serial log.
    pub fn line(&mut self, text: &str) {
        let line = LogLine::parse(text);
        match line.word {
            "flip" => self.flip(&line, text),
            "durable" => self.durable(&line, text),
            "abandoned" => match line.number("epoch") {
                Some(epoch) => drop(self.flips.remove(&epoch)),
                None => self.malformed(text),
            },
            "resumed" => self.resumed(&line, text),
            "first_step" => self.first_step(&line, text),
            _ => {}
        }
    }

    /// Everything found so far; empty if every promise was kept.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The snapshot that the running boot started from.
    #[must_use]
    pub fn resumed_epoch(&self) -> Option<u64> {
        self.boot.resumed
    }

    /// How many first steps were compared with a counter of a snapshot. A run that compared none has proved nothing.
    #[must_use]
    pub fn compared_steps(&self) -> u64 {
        self.compared
    }

    /// Threads of the snapshot resumed whose first step has not been seen in this boot; none before a resume with known
    /// counters.
    #[must_use]
    pub fn threads_not_seen(&self) -> Option<usize> {
        let start = self.boot.start.as_ref()?;
        Some(start.keys().filter(|thread| !self.boot.stepped.contains(thread)).count())
    }

    fn malformed(&mut self, text: &str) {
        self.findings.push(Finding::Malformed { line: text.to_owned() });
    }

    fn flip(&mut self, line: &LogLine<'_>, text: &str) {
        let (Some(epoch), Some(steps)) = (line.number("epoch"), line.pairs("steps")) else {
            return self.malformed(text);
        };
        let Some(resumed) = self.boot.resumed else {
            return self.findings.push(Finding::NotResumed { line: text.to_owned() });
        };
        let newest = self.flips.last_key_value().map_or(resumed, |(newest, _)| *newest);
        if epoch <= newest.max(resumed) {
            self.findings.push(Finding::EpochWentBack { epoch });
        }
        for (thread, count) in &steps {
            let start = self.boot.start.as_ref().and_then(|start| start.get(thread)).copied();
            let last = self.boot.last.as_ref().and_then(|last| last.get(thread)).copied();
            if last.or(start).is_some_and(|before| *count < before) {
                self.findings.push(Finding::CounterWentBack { thread: *thread });
            }
            // Without counters of the start (first boot of a disk) there is nothing to have moved from.
            let moved = self.boot.start.is_some() && *count > start.unwrap_or(0);
            if moved && !self.boot.stepped.contains(thread) {
                self.findings.push(Finding::UnseenStep { thread: *thread });
            }
        }
        self.boot.last = Some(steps.clone());
        self.flips.insert(epoch, steps);
    }

    fn durable(&mut self, line: &LogLine<'_>, text: &str) {
        let Some(epoch) = line.number("epoch") else {
            return self.malformed(text);
        };
        if self.flips.contains_key(&epoch) {
            self.durable = self.durable.max(Some(epoch));
        } else {
            self.findings.push(Finding::DurableWithoutFlip { epoch });
        }
    }

    fn resumed(&mut self, line: &LogLine<'_>, text: &str) {
        let Some(epoch) = line.number("epoch") else {
            return self.malformed(text);
        };
        if let Some(durable) = self.durable.filter(|durable| epoch < *durable) {
            self.findings.push(Finding::LostSnapshot { resumed: epoch, durable });
        }
        let start = self.flips.get(&epoch).cloned();
        if start.is_none() && self.durable.is_some() && self.durable != Some(epoch) {
            self.findings.push(Finding::UnknownSnapshot { resumed: epoch });
        }
        // What was flipped later never became a snapshot: its epochs may be used again.
        self.flips.retain(|flipped, _| *flipped <= epoch);
        self.durable = Some(epoch);
        self.boot = Boot { resumed: Some(epoch), start, ..Boot::default() };
    }

    fn first_step(&mut self, line: &LogLine<'_>, text: &str) {
        let (Some(thread), Some(found)) = (line.number("thread"), line.number("step")) else {
            return self.malformed(text);
        };
        if self.boot.resumed.is_none() {
            return self.findings.push(Finding::NotResumed { line: text.to_owned() });
        }
        if !self.boot.stepped.insert(thread) {
            self.findings.push(Finding::SecondFirstStep { thread });
        }
        let Some(start) = &self.boot.start else {
            return;
        };
        let expected = start.get(&thread).copied().unwrap_or(0) + 1;
        self.compared += u64::from(start.contains_key(&thread));
        if found != expected {
            self.findings.push(Finding::WrongFirstStep { thread, expected, found });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history: lines, with `--` for a cut.
    fn watch(history: &str) -> Witness {
        let mut witness = Witness::new();
        for line in history.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line == "--" { witness.cut() } else { witness.line(line) }
        }
        witness
    }

    const FIRST_BOOT: &str = "
        resumed epoch=1 generation=1
        first_step thread=0 step=1
        flip epoch=2 dirty=3 steps=0:10,1:5
        durable epoch=2 generation=2 blocks=9 latency_us=800
        flip epoch=3 dirty=3 steps=0:20,1:6,2:1
        durable epoch=3 generation=3 blocks=9 latency_us=800
        flip epoch=4 dirty=3 steps=0:30,1:7,2:9
        --";

    fn after_the_cut(rest: &str) -> Vec<Finding> {
        watch(&format!("{FIRST_BOOT}\n{rest}")).findings().to_vec()
    }

    #[test]
    fn the_last_durable_snapshot_or_the_one_in_the_making_may_be_resumed() {
        assert_eq!(
            after_the_cut(
                "resumed epoch=3
                 first_step thread=0 step=21
                 first_step thread=1 step=7
                 flip epoch=4 dirty=1 steps=0:50,1:8,2:1"
            ),
            []
        );
        assert_eq!(
            after_the_cut(
                "resumed epoch=4
                 first_step thread=2 step=10
                 first_step thread=3 step=1
                 flip epoch=5 dirty=1 steps=0:30,1:7,2:10,3:4"
            ),
            []
        );
    }

    #[test]
    fn planted_one_snapshot_too_old_is_caught() {
        let findings = after_the_cut("resumed epoch=2");
        assert_eq!(findings, [Finding::LostSnapshot { resumed: 2, durable: 3 }]);
    }

    #[test]
    fn planted_a_restarted_a_repeated_and_a_lost_step_are_caught() {
        for wrong in [1, 20, 22] {
            let findings =
                after_the_cut(&format!("resumed epoch=3\nfirst_step thread=0 step={wrong}"));
            let expected = Finding::WrongFirstStep { thread: 0, expected: 21, found: wrong };
            assert_eq!(findings, [expected]);
        }
    }

    #[test]
    fn planted_a_snapshot_that_was_given_up_or_never_was_is_caught() {
        let findings = after_the_cut("resumed epoch=9");
        assert_eq!(findings, [Finding::UnknownSnapshot { resumed: 9 }]);
        let history = FIRST_BOOT.replace("--", "abandoned epoch=4\n--\nresumed epoch=4");
        assert_eq!(watch(&history).findings(), [Finding::UnknownSnapshot { resumed: 4 }]);
    }

    #[test]
    fn planted_a_thread_that_moves_unseen_or_backwards_is_caught() {
        let findings = after_the_cut("resumed epoch=3\nflip epoch=4 steps=0:21,1:6,2:1");
        assert_eq!(findings, [Finding::UnseenStep { thread: 0 }]);
        let findings = after_the_cut("resumed epoch=3\nflip epoch=4 steps=0:19,1:6,2:1");
        assert_eq!(findings, [Finding::CounterWentBack { thread: 0 }]);
        let findings = after_the_cut("resumed epoch=3\nflip epoch=3 steps=0:20,1:6,2:1");
        assert_eq!(findings, [Finding::EpochWentBack { epoch: 3 }]);
        let findings = after_the_cut(
            "resumed epoch=3\nfirst_step thread=0 step=21\nfirst_step thread=0 step=21",
        );
        assert_eq!(findings, [Finding::SecondFirstStep { thread: 0 }]);
    }

    #[test]
    fn a_snapshot_lost_with_its_epoch_reused_is_compared_with_its_new_counters() {
        let findings = after_the_cut(
            "resumed epoch=3
             first_step thread=0 step=21
             flip epoch=4 steps=0:99,1:6,2:1
             durable epoch=4
             --
             resumed epoch=4
             first_step thread=0 step=100",
        );
        assert_eq!(findings, []);
    }

    #[test]
    fn lines_that_cannot_be_read_are_findings_not_silence() {
        for line in
            ["flip epoch=x steps=", "flip epoch=7", "durable", "resumed", "first_step step=1"]
        {
            assert!(matches!(after_the_cut(line)[..], [Finding::Malformed { .. }]), "{line}");
        }
        assert!(matches!(
            after_the_cut("flip epoch=7 steps=0:1")[..],
            [Finding::NotResumed { .. }]
        ));
        assert_eq!(
            watch("resumed epoch=1\ndurable epoch=2").findings(),
            [Finding::DurableWithoutFlip { epoch: 2 }]
        );
    }

    #[test]
    fn the_count_of_comparisons_tells_a_run_that_proved_nothing() {
        let witness = watch("resumed epoch=1\nfirst_step thread=0 step=1");
        assert_eq!(witness.compared_steps(), 0);
        let witness = watch(&format!("{FIRST_BOOT}\nresumed epoch=3\nfirst_step thread=0 step=21"));
        assert_eq!((witness.compared_steps(), witness.threads_not_seen()), (1, Some(2)));
    }
}
