//! The kernel's command line: words `key=value` separated by blanks, in the fw_cfg file `opt/revenant/cmdline`.
//!
//! | key | value | default | meaning |
//! |---|---|---|---|
//! | `snapshot_interval_ms` | number, at least 10 | 1000 | time from one flip to the next request |
//! | `retain` | number | the disk's | the last so many snapshots are kept, the newest among them (`revenant disk retention` sets what the disk says) |
//! | `retain_hourly`, `retain_daily` | number | the disk's | besides, the newest snapshot of each of the last so many hours, or days, that have one |
//! | `rollback` | `N@R` | none | resume snapshot N, if the store's restore generation is R (`revenant disk snapshots` prints the word) |
//! | `generation` | `G@R` | none | open the older generation G of a damaged disk, if every block it reaches is whole and the store's restore generation is R (`revenant disk check` prints the word) |
//! | `patience` | number | 3 | resumes in a row that ended in a recorded fault, after which the state is given up and what was before them resumed, however far they came; 0: never. A power cut is none |
//! | `working_set` | `G:S:L` | none | group G (`revenant disk create` says which program is which) is promised S MiB of memory and permitted L; either may be left out; once for each group |
//! | `load_control` | 0 or 1 | 1 | groups of programs that need more than memory together take turns |
//! | `cleaner` | 0 or 1 | 1 | when memory is short, modified pages are written before their snapshot |
//! | `settling` | 0 or 1 | 0 | while memory suffices, modified pages that look settled are written before their snapshot |
//! | `collector` | 0 or 1 | 1 | garbage that counting leaves is found when that seems to pay, or a program asks for it; 0: never |
//! | `collect_every_ms` | number | 0 | the exact collector begins again so long after it has ended, whether that pays or not; 0: when it pays |
//! | `collector_mib` | number | an eighth of the kernel's heap, 8 at most | memory that a mark may use |
//! | `safe` | 0 or 1 | 0 | resume, but run no program: only the console |
//! | `quiet` | 0 or 1 | 0 | log only what is wrong |
//! | `exit_on_main` | 0 or 1 | 0 | leave the emulator when the main program ends |
//! | `exit_after_ms` | number | none | stop in order after so long (tests) |
//! | `test` | name | none | run a built-in test instead of programs: `paging`, `virtio`, `panic`, `digest` (over `pages` of heap, `rounds` turns of the disk's programs by a schedule that every machine repeats, then a snapshot) |
//! | `bench` | name | none | run a built-in measurement instead of programs |
//! | `pages` | number | 1024 | pages that a test or measurement uses |
//! | `rounds` | number | 100 | repetitions of a test or measurement |
//!
//! An unknown key or a bad value is reported and the rest is used: a machine that will not start because of a typing
//! mistake helps nobody. `rollback` and `generation` are the exception: one that cannot be read, or both, stop the boot before
//! the disk is touched. Running on from the wrong state would overwrite what was to be gone back to.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The file that holds the command line.
pub const FILE: &str = "opt/revenant/cmdline";
const MIN_INTERVAL_MS: u64 = 10;

/// What the command line asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Milliseconds from one flip to the next request.
    pub snapshot_interval_ms: u64,
    /// The last so many snapshots are kept; none here and in the next two: what the disk says.
    pub retain: Option<u32>,
    /// Hours of which the newest snapshot is kept.
    pub retain_hourly: Option<u32>,
    /// Days of which the newest snapshot is kept.
    pub retain_daily: Option<u32>,
    /// The snapshot to go back to.
    pub rollback: Option<GoBack>,
    /// The generation of a damaged disk to go back to.
    pub generation: Option<GoBack>,
    /// Failed resumes in a row after which their state is given up; 0: never.
    pub patience: u32,
    /// What groups are promised of memory, and permitted.
    pub working_sets: Vec<WorkingSetWish>,
    /// Groups that need more than memory together take turns.
    pub load_control: bool,
    /// Modified pages are written before their snapshot when memory is short.
    pub cleaner: bool,
    /// Pages that look settled are written before their snapshot while memory suffices.
    pub settling: bool,
    /// The exact collector runs.
    pub collector: bool,
    /// Milliseconds from the end of a collection to the next; 0: when it pays.
    pub collect_every_ms: u64,
    /// MiB that a mark may use; none: by the size of memory.
    pub collector_mib: Option<usize>,
    /// Run no program.
    pub safe: bool,
    /// Log only what is wrong.
    pub quiet: bool,
    /// Leave the emulator when the main program ends.
    pub exit_on_main: bool,
    /// Milliseconds after which the machine stops in order.
    pub exit_after_ms: Option<u64>,
    /// The built-in test to run.
    pub test: Option<String>,
    /// The built-in measurement to run.
    pub bench: Option<String>,
    /// Pages that a test or measurement uses.
    pub pages: u64,
    /// Repetitions of a test or measurement.
    pub rounds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            snapshot_interval_ms: 1000,
            retain: None,
            retain_hourly: None,
            retain_daily: None,
            rollback: None,
            generation: None,
            patience: 3,
            working_sets: Vec::new(),
            load_control: true,
            cleaner: true,
            settling: false,
            collector: true,
            collect_every_ms: 0,
            collector_mib: None,
            safe: false,
            quiet: false,
            exit_on_main: false,
            exit_after_ms: None,
            test: None,
            bench: None,
            pages: 1024,
            rounds: 100,
        }
    }
}

/// What to go back to, and the restore generation for which the wish holds: a forgotten command line does not go back twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GoBack {
    /// The snapshot's epoch, or the generation.
    pub to: u64,
    /// The store's restore generation.
    pub restore_generation: u64,
}

/// What one group is promised of memory, and permitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WorkingSetWish {
    /// Index of the group.
    pub group: u32,
    /// MiB that are not taken for others; none: an equal part.
    pub share: Option<u32>,
    /// MiB beyond which its own pages go first.
    pub limit: Option<u32>,
}

/// Something on the command line that could not be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// No such key.
    UnknownKey(String),
    /// The key exists; the value is not what it takes.
    BadValue(String),
    /// Both `rollback` and `generation`.
    TwoStates,
}

impl Problem {
    /// Whether to stop instead of going on without the word.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::UnknownKey(_) => false,
            Self::BadValue(word) => is_going_back(word),
            Self::TwoStates => true,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(word) => write!(formatter, "command line: no such key: {word}"),
            Self::BadValue(word) if is_going_back(word) => write!(
                formatter,
                "command line: bad value: {word}; expected KEY=NUMBER@NUMBER, as `revenant disk snapshots` or `revenant disk check` prints it"
            ),
            Self::BadValue(word) => write!(formatter, "command line: bad value: {word}"),
            Self::TwoStates => formatter.write_str(
                "command line: rollback and generation name two states to go back to; leave one of them",
            ),
        }
    }
}

/// Reads a command line. What is wrong with it comes beside what could be read.
#[must_use]
pub fn parse(line: &str) -> (Options, Vec<Problem>) {
    let mut options = Options::default();
    let mut problems = Vec::new();
    for word in line.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, "1"));
        match options.set(key, value) {
            Some(true) => {}
            Some(false) => problems.push(Problem::BadValue(word.to_string())),
            None => problems.push(Problem::UnknownKey(word.to_string())),
        }
    }
    if options.rollback.is_some() && options.generation.is_some() {
        problems.push(Problem::TwoStates);
    }
    (options, problems)
}

/// Whether a word is to name an older state.
fn is_going_back(word: &str) -> bool {
    let key = word.split('=').next();
    matches!(key, Some("rollback" | "generation"))
}

impl Options {
    /// None: no such key. False: the value does not fit, and nothing was changed.
    fn set(&mut self, key: &str, value: &str) -> Option<bool> {
        Some(match key {
            "snapshot_interval_ms" => store(
                &mut self.snapshot_interval_ms,
                value.parse().ok().filter(|interval| *interval >= MIN_INTERVAL_MS),
            ),
            "retain" => store(&mut self.retain, value.parse().ok().map(Some)),
            "retain_hourly" => store(&mut self.retain_hourly, value.parse().ok().map(Some)),
            "retain_daily" => store(&mut self.retain_daily, value.parse().ok().map(Some)),
            "rollback" => store(&mut self.rollback, parse_going_back(value).map(Some)),
            "generation" => store(&mut self.generation, parse_going_back(value).map(Some)),
            "patience" => store(&mut self.patience, value.parse().ok()),
            "working_set" => match parse_working_set(value) {
                Some(wish) => {
                    self.working_sets.push(wish);
                    true
                }
                None => false,
            },
            "load_control" => store(&mut self.load_control, parse_switch(value)),
            "cleaner" => store(&mut self.cleaner, parse_switch(value)),
            "settling" => store(&mut self.settling, parse_switch(value)),
            "collector" => store(&mut self.collector, parse_switch(value)),
            "collect_every_ms" => store(&mut self.collect_every_ms, value.parse().ok()),
            "collector_mib" => store(&mut self.collector_mib, value.parse().ok().map(Some)),
            "safe" => store(&mut self.safe, parse_switch(value)),
            "quiet" => store(&mut self.quiet, parse_switch(value)),
            "exit_on_main" => store(&mut self.exit_on_main, parse_switch(value)),
            "exit_after_ms" => store(&mut self.exit_after_ms, value.parse().ok().map(Some)),
            "test" => store(&mut self.test, Some(Some(value.to_string()))),
            "bench" => store(&mut self.bench, Some(Some(value.to_string()))),
            "pages" => store(&mut self.pages, value.parse().ok()),
            "rounds" => store(&mut self.rounds, value.parse().ok()),
            _ => return None,
        })
    }
}

fn store<T>(place: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *place = value;
            true
        }
        None => false,
    }
}

fn parse_switch(value: &str) -> Option<bool> {
    match value {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    }
}

fn parse_going_back(value: &str) -> Option<GoBack> {
    let (to, restore_generation) = value.split_once('@')?;
    Some(GoBack { to: to.parse().ok()?, restore_generation: restore_generation.parse().ok()? })
}

fn parse_working_set(value: &str) -> Option<WorkingSetWish> {
    let mut parts = value.split(':');
    let group = parts.next()?.parse().ok()?;
    let mut size = || match parts.next() {
        None | Some("") => Some(None),
        Some(text) => text.parse().ok().map(Some),
    };
    let (share, limit) = (size()?, size()?);
    parts.next().is_none().then_some(WorkingSetWish { group, share, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_the_rest_keeps_its_default() {
        let (options, problems) =
            parse(" snapshot_interval_ms=50  rollback=12@3 safe exit_on_main=1 test=paging ");
        assert_eq!(problems, []);
        assert_eq!(options.snapshot_interval_ms, 50);
        assert_eq!(options.rollback, Some(GoBack { to: 12, restore_generation: 3 }));
        let (options_of_years, _) = parse("retain=3 retain_hourly=24 retain_daily=7 patience=0");
        let kept = (options_of_years.retain, options_of_years.retain_hourly);
        assert_eq!((kept, options_of_years.retain_daily), ((Some(3), Some(24)), Some(7)));
        assert_eq!((options_of_years.patience, options.patience), (0, 3));
        let (options_of_damaged, problems) = parse("generation=40@2");
        assert_eq!(
            (options_of_damaged.generation, problems.len()),
            (Some(GoBack { to: 40, restore_generation: 2 }), 0)
        );
        assert!(options.safe && options.exit_on_main);
        assert_eq!((options.test.as_deref(), options.bench), (Some("paging"), None));
        assert_eq!((options.retain, options.retain_daily), (None, None));
    }

    #[test]
    fn a_group_is_promised_and_permitted_what_the_word_says() {
        let (options, problems) = parse("working_set=1:16 working_set=2:8:32 working_set=3::40");
        assert_eq!(problems, []);
        let wishes = options.working_sets.iter();
        let wishes: Vec<_> = wishes.map(|wish| (wish.group, wish.share, wish.limit)).collect();
        let expected = [(1, Some(16), None), (2, Some(8), Some(32)), (3, None, Some(40))];
        assert_eq!(wishes, expected);
        for line in ["working_set=", "working_set=1:x", "working_set=1:2:3:4", "working_set=:1"] {
            let (options, problems) = parse(line);
            assert_eq!((options.working_sets.len(), problems.len()), (0, 1), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_only_a_bad_wish_to_go_back_is_fatal() {
        let (options, problems) = parse("snapshot_interval_ms=1 retian=3 safe=yes rollback=12");
        assert_eq!(options, Options::default());
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "command line: bad value: snapshot_interval_ms=1",
                "command line: no such key: retian=3",
                "command line: bad value: safe=yes",
                "command line: bad value: rollback=12; expected KEY=NUMBER@NUMBER, as `revenant disk snapshots` or `revenant disk check` prints it",
            ]
        );
        assert_eq!(problems.iter().filter(|problem| problem.is_fatal()).count(), 1);
        for line in ["rollback", "generation=7", "generation=x@1", "rollback=3@0 generation=5@0"] {
            let (_, problems) = parse(line);
            assert!(problems.len() == 1 && problems[0].is_fatal(), "{line}");
        }
    }
}
