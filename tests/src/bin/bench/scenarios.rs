//! On which machine each measurement runs: memory, disks, the kernel's command line, the program. In the order in which they run.
//!
//! What the names on the command line mean stands in kernel/src/scenario/bench and kernel/src/probe.rs.

/// One run of the machine.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Before the names of its figures.
    pub(crate) prefix: &'static str,
    pub(crate) memory: &'static str,
    /// The kernel's command line, without `rounds`.
    pub(crate) command_line: &'static str,
    pub(crate) rounds: u32,
    pub(crate) rounds_quick: u32,
    /// How often the machine is started; of each figure the median counts.
    pub(crate) boots: u32,
    /// Disks by file name; a file that an earlier scenario of this run has made is used again.
    pub(crate) disks: &'static [&'static str],
    pub(crate) throttled: bool,
    /// MiB/s of disks that are throttled.
    pub(crate) speed: u64,
    /// Instructions are the clock.
    pub(crate) instructions: bool,
    /// A program on a disk of its own, instead of `disks`.
    pub(crate) program: Option<Program>,
    /// The figure that is the time from the program's first instruction to its end, by the host's clock.
    pub(crate) timed: Option<&'static str>,
}

impl Scenario {
    /// The machine's memory in MiB.
    pub(crate) fn mebibytes(&self) -> u32 {
        let (number, unit) = self.memory.split_at(self.memory.len().saturating_sub(1));
        number.parse::<u32>().unwrap_or(0) * if unit == "G" { 1024 } else { 1 }
    }
}

/// MiB/s of a disk that is as slow beside the emulated processor as one of 100 MiB/s beside the processor itself, on which it is some ten times as fast.
const SLOW: u64 = 10;

/// Stands in a program's arguments for the number of rounds.
pub(crate) const ROUNDS: &str = "ROUNDS";

/// A program of samples/bench.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) file: &'static str,
    pub(crate) arguments: &'static [&'static str],
    /// The machine runs until this has come out of its console, then its power is cut; what is measured is the next run.
    pub(crate) ready: Option<&'static str>,
    /// Arguments of further programs of the same file, each in a group of its own.
    pub(crate) beside: &'static [&'static str],
    /// What is measured is measured on a disk of so many MiB/s; all before is not.
    pub(crate) disk: Option<u64>,
}

const PLAIN: Scenario = Scenario {
    name: "",
    prefix: "",
    memory: "1G",
    command_line: "",
    rounds: 25,
    rounds_quick: 3,
    boots: 1,
    disks: &[],
    throttled: false,
    speed: 100,
    instructions: false,
    program: None,
    timed: None,
};

const fn program(
    file: &'static str,
    arguments: &'static [&'static str],
    ready: Option<&'static str>,
) -> Option<Program> {
    Some(Program { file, arguments, ready, beside: &[], disk: None })
}

/// Snapshots are those that the program asks for.
const FLIP: Scenario = Scenario {
    command_line: "bench=flip exit_on_main=1 retain=1 snapshot_interval_ms=3600000",
    rounds: 100,
    ..PLAIN
};

const RESUME: Scenario = Scenario {
    command_line: "bench=resume retain=1",
    rounds: 32,
    rounds_quick: 32,
    boots: 3,
    ..PLAIN
};

/// One of the programs that are measured on the host, too.
const WHOLE: Scenario = Scenario {
    prefix: "machine.",
    memory: "256M",
    command_line: "exit_on_main=1 snapshot_interval_ms=3600000",
    boots: 3,
    ..PLAIN
};

const GRACE: Scenario = Scenario {
    command_line: "bench=grace retain=1 snapshot_interval_ms=60000",
    memory: "256M",
    rounds: 40,
    rounds_quick: 5,
    ..PLAIN
};

/// In `flip` 100 snapshots of each set, after a round that is not counted; in `flip-busy` some more, for one at which nothing happens to be
/// on its way from the disk is not counted either.
pub(crate) const SCENARIOS: [Scenario; 35] = [
    Scenario {
        name: "flip",
        program: program("samples/bench/flip.rasm", &[ROUNDS, "0", "1", "16", "64", "192"], None),
        ..FLIP
    },
    Scenario {
        name: "flip-instructions",
        prefix: "instructions.",
        rounds: 3,
        rounds_quick: 1,
        instructions: true,
        program: program("samples/bench/flip.rasm", &[ROUNDS, "0", "1", "16", "64", "192"], None),
        ..FLIP
    },
    Scenario {
        name: "flip-busy",
        rounds: 110,
        throttled: true,
        program: program("samples/bench/flip.rasm", &[ROUNDS, "1", "16"], Some("flip: ready")),
        ..FLIP
    },
    Scenario { name: "faults", command_line: "bench=faults", disks: &["faults"], ..PLAIN },
    Scenario {
        name: "faults-instructions",
        prefix: "instructions.",
        command_line: "bench=faults",
        rounds: 3,
        rounds_quick: 1,
        disks: &["faults-instructions"],
        instructions: true,
        ..PLAIN
    },
    Scenario {
        name: "blocks",
        command_line: "bench=blocks pages=131072",
        disks: &["blocks"],
        ..PLAIN
    },
    Scenario {
        name: "prepare",
        command_line: "bench=prepare pages=65536",
        disks: &["stored"],
        ..PLAIN
    },
    Scenario {
        name: "page-in",
        command_line: "bench=page_in pages=65536",
        rounds: 2000,
        rounds_quick: 200,
        disks: &["stored"],
        ..PLAIN
    },
    Scenario {
        name: "bandwidth",
        prefix: "unthrottled.",
        command_line: "bench=bandwidth pages=16384",
        rounds: 5,
        disks: &["bandwidth", "raw"],
        ..PLAIN
    },
    Scenario {
        name: "bandwidth-throttled",
        prefix: "throttled.",
        command_line: "bench=bandwidth pages=16384",
        rounds: 7,
        disks: &["bandwidth-throttled", "raw-throttled"],
        throttled: true,
        ..PLAIN
    },
    Scenario {
        name: "resume-1",
        prefix: "heap_1mib.",
        program: program("samples/bench/deep.rasm", &["1", "500"], Some("deep: ready")),
        ..RESUME
    },
    Scenario {
        name: "resume-512",
        prefix: "heap_512mib.",
        program: program("samples/bench/deep.rasm", &["512", "500"], Some("deep: ready")),
        ..RESUME
    },
    Scenario {
        name: "grace-10",
        prefix: "parked_10.",
        program: program("samples/bench/parked.rasm", &["10"], Some("parked: ready")),
        ..GRACE
    },
    Scenario {
        name: "grace-10000",
        prefix: "parked_10000.",
        program: program("samples/bench/parked.rasm", &["10000"], Some("parked: ready")),
        ..GRACE
    },
    Scenario {
        name: "grace-10-instructions",
        prefix: "instructions.parked_10.",
        program: program("samples/bench/parked.rasm", &["10"], Some("parked: ready")),
        rounds: 8,
        instructions: true,
        ..GRACE
    },
    Scenario {
        name: "grace-10000-instructions",
        prefix: "instructions.parked_10000.",
        program: program("samples/bench/parked.rasm", &["10000"], Some("parked: ready")),
        rounds: 8,
        instructions: true,
        ..GRACE
    },
    Scenario {
        name: "prepare-paging",
        prefix: "paging.",
        command_line: "bench=prepare pages=262144",
        disks: &["paging"],
        ..PLAIN
    },
    Scenario {
        name: "paging-random",
        memory: "256M",
        command_line: "bench=paging_random pages=262144",
        boots: 3,
        disks: &["paging"],
        ..PLAIN
    },
    Scenario {
        name: "paging-random-throttled",
        prefix: "throttled.",
        memory: "64M",
        command_line: "bench=paging_random pages=65536",
        disks: &["paging"],
        throttled: true,
        ..PLAIN
    },
    Scenario {
        name: "paging-scan",
        memory: "256M",
        command_line: "bench=paging_scan pages=262144",
        disks: &["paging"],
        throttled: true,
        ..PLAIN
    },
    Scenario {
        name: "paging-scan-slow",
        prefix: "slow.",
        memory: "256M",
        command_line: "bench=paging_scan pages=16384",
        disks: &["paging"],
        throttled: true,
        speed: SLOW,
        ..PLAIN
    },
    Scenario {
        name: "prepare-tables",
        prefix: "tables.",
        command_line: "bench=prepare_spread pages=65536",
        disks: &["tables"],
        ..PLAIN
    },
    Scenario {
        name: "tables-share",
        memory: "64M",
        command_line: "bench=tables_share pages=65536",
        disks: &["tables"],
        ..PLAIN
    },
    Scenario {
        name: "tables-share-256",
        prefix: "memory_256mib.",
        memory: "256M",
        command_line: "bench=tables_share pages=65536",
        disks: &["tables"],
        ..PLAIN
    },
    Scenario {
        name: "walk",
        memory: "64M",
        command_line: "bench=walk retain=1 exit_on_main=1",
        program: program("samples/bench/walk.rasm", &["256"], Some("walk: ready")),
        ..PLAIN
    },
    Scenario {
        name: "fairness",
        memory: "64M",
        command_line: "retain=1 exit_on_main=1",
        rounds: 6,
        rounds_quick: 2,
        program: Some(Program {
            file: "samples/bench/fair.rasm",
            arguments: &["0", "16", ROUNDS],
            ready: Some("fair: ready"),
            beside: &["1 512"],
            disk: Some(4),
        }),
        ..PLAIN
    },
    Scenario {
        name: "thrash",
        memory: "64M",
        command_line: "retain=1 exit_on_main=1",
        rounds: 15,
        rounds_quick: 5,
        program: Some(Program {
            file: "samples/bench/thrash.rasm",
            arguments: &["0", "8", "32", ROUNDS],
            ready: Some("thrash: ready"),
            beside: &[
                "1 8 32 ROUNDS",
                "2 8 32 ROUNDS",
                "3 8 32 ROUNDS",
                "4 8 32 ROUNDS",
                "5 8 32 ROUNDS",
                "6 8 32 ROUNDS",
                "7 8 32 ROUNDS",
            ],
            disk: Some(100),
        }),
        ..PLAIN
    },
    Scenario {
        name: "idle",
        prefix: "programs.",
        memory: "256M",
        command_line: "bench=idle retain=1 snapshot_interval_ms=100",
        rounds: 20,
        rounds_quick: 5,
        program: program("samples/bench/spin.rasm", &[], None),
        ..PLAIN
    },
    Scenario {
        name: "discard",
        memory: "256M",
        command_line: "bench=discard retain=1 snapshot_interval_ms=3600000",
        rounds: 3,
        rounds_quick: 1,
        program: program("samples/bench/discard.rasm", &[], None),
        ..PLAIN
    },
    Scenario {
        name: "collect-throttled",
        memory: "256M",
        command_line: "retain=1 exit_on_main=1 collector_mib=8",
        rounds: 3,
        rounds_quick: 2,
        program: Some(Program {
            file: "samples/bench/local.rasm",
            arguments: &["1000", ROUNDS, "0"],
            ready: Some("local: ready"),
            beside: &[],
            disk: Some(100),
        }),
        ..PLAIN
    },
    Scenario {
        name: "collect-slow",
        prefix: "slow.",
        memory: "256M",
        command_line: "retain=1 exit_on_main=1 collector_mib=8",
        rounds: 3,
        rounds_quick: 2,
        program: Some(Program {
            file: "samples/bench/local.rasm",
            arguments: &["1000", ROUNDS, "0"],
            ready: Some("local: ready"),
            beside: &[],
            disk: Some(SLOW),
        }),
        ..PLAIN
    },
    Scenario {
        name: "collect-beside",
        prefix: "beside.",
        memory: "256M",
        command_line: "retain=1 exit_on_main=1",
        rounds: 3,
        rounds_quick: 1,
        program: program("samples/bench/local.rasm", &["1000", ROUNDS, "1"], Some("local: ready")),
        ..PLAIN
    },
    Scenario {
        name: "collect-instructions",
        prefix: "instructions.",
        memory: "256M",
        command_line: "retain=1 exit_on_main=1",
        rounds: 1,
        rounds_quick: 1,
        instructions: true,
        program: program("samples/bench/local.rasm", &["100", ROUNDS, "0"], Some("local: ready")),
        ..PLAIN
    },
    Scenario {
        name: "float-sieve",
        program: program("samples/bench/sieve.rasm", &[], None),
        timed: Some("sieve_time"),
        ..WHOLE
    },
    Scenario {
        name: "float-nbody",
        program: program("samples/bench/nbody.rasm", &[], None),
        timed: Some("nbody_time"),
        ..WHOLE
    },
];
