//! What `make bench` holds figures against: the bars, what stands beside them, and what Linux does in the same machine. Only tables;
//! `figures` fills them.

/// Which side of the bar is good.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Bar {
    /// The value may not be larger.
    AtMost(f64),
    /// The value may not be smaller.
    AtLeast(f64),
}

impl Bar {
    pub(crate) fn is_reached(self, value: f64) -> bool {
        match self {
            Self::AtMost(bar) => value <= bar,
            Self::AtLeast(bar) => value >= bar,
        }
    }

    pub(crate) fn describe(self) -> String {
        match self {
            Self::AtMost(bar) => format!("at most {bar}"),
            Self::AtLeast(bar) => format!("at least {bar}"),
        }
    }
}

/// What a barred figure is taken from.
pub(crate) enum Source {
    /// A figure as it was printed.
    Printed(&'static str),
    /// One figure over another, both converted to the same unit.
    Ratio(&'static str, &'static str),
}

/// A figure with a bar.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) bar: Bar,
    /// Where it was measured: a run of the machine (tests/src/bin/bench/scenarios.rs), whose memory the table shows, or the host.
    pub(crate) place: &'static str,
    /// What it is, for a reader of the table.
    pub(crate) what: &'static str,
}

/// Not in the machine.
pub(crate) const HOST: &str = "host";

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
pub(crate) const TARGETS: [Target; 40] = [
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
        "awfy_vs_lua",
        "awfy_vs_lua",
        Bar::AtMost(0.65),
        HOST,
        "time of the programs of Are We Fast Yet in the language (samples/awfy) over the same in Lua 5.4, geometric mean",
    ),
    printed(
        "awfy_vs_lua_worst",
        "awfy_vs_lua_worst",
        Bar::AtMost(1.2),
        HOST,
        "the same for the program that comes off worst",
    ),
    printed(
        "awfy_vs_node_jitless",
        "awfy_vs_node_jitless",
        Bar::AtMost(0.8),
        HOST,
        "time of these programs over that of the same sources, stripped of types, on node --jitless, geometric mean",
    ),
    printed(
        "strings_vs_lua",
        "strings_vs_lua",
        Bar::AtMost(1.0),
        HOST,
        "building and joining strings in the language over the same in Lua 5.4",
    ),
    printed(
        "map_vs_lua",
        "map_vs_lua",
        Bar::AtMost(1.0),
        HOST,
        "a map of a million integers in the language over Lua's table",
    ),
    printed(
        "json_vs_lua",
        "json_vs_lua",
        Bar::AtMost(1.0),
        HOST,
        "JSON read and written by the library over a reader and writer in Lua",
    ),
    printed(
        "interface_call",
        "interface_call",
        Bar::AtMost(2.0),
        HOST,
        "a loop of calls through an interface over the same loop of direct calls",
    ),
    printed(
        "compile_lines_per_s",
        "compile_lines_per_s",
        Bar::AtLeast(100_000.0),
        HOST,
        "lines that the compiler of the language gets through in a second, all programs of samples/awfy forty times as one source",
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
        "random page-ins of 64 readers a second with memory full over random reads of the bare driver at its best depth up to 64",
    ),
    printed(
        "paging_scan",
        "paging_scan",
        Bar::AtLeast(0.8),
        "paging-scan",
        "cold walk over 1 GiB over sequential reads of the bare driver, on a disk of 100 MiB/s",
    ),
    over(
        "tables_share",
        ("tables_share.taken", "tables-share.ram"),
        Bar::AtMost(0.125),
        "tables-share",
        "most that page tables and map nodes take, over memory, while 16 readers jump about in 4 GiB and memory is full",
    ),
    printed(
        "bytes_per_frame",
        "bytes_per_frame",
        Bar::AtMost(64.0),
        "tables-share",
        "what a page in memory takes on the kernel's heap, map nodes apart: heap over pages, 256 MiB less 64 MiB, both full",
    ),
    printed(
        "read_dirties",
        "read_dirties",
        Bar::AtMost(0.01),
        "walk",
        "pages made dirty by a program that only reads a heap of four times memory, over pages read",
    ),
    printed(
        "fairness_slowdown",
        "fairness_slowdown",
        Bar::AtMost(1.3),
        "fairness",
        "a program whose set fits its share, beside one that walks over 8 times memory on a disk of 4 MiB/s, over alone",
    ),
    printed(
        "thrash_throughput",
        "thrash_throughput",
        Bar::AtLeast(0.8),
        "thrash",
        "what 8 programs that need half of memory each do at once over what they do one after the other",
    ),
    printed(
        "collector_reserve",
        "collector_reserve",
        Bar::AtMost(2.0),
        HOST,
        "disk set aside for marks, percent of the largest heap that it can hold; the worst of disks from 64 MiB to 64 TiB",
    ),
    printed(
        "mark_reads_local",
        "mark_reads_local",
        Bar::AtMost(1.6),
        HOST,
        "pages that a mark reads over pages of the heap, nine of ten references at most 100 objects away, memory for it 5 % of the heap",
    ),
    printed(
        "mark_reads_list",
        "mark_reads_list",
        Bar::AtMost(1.05),
        HOST,
        "pages that a mark reads over objects, a list of 60,000 that stand anywhere",
    ),
    printed(
        "mark_lost_partitions",
        "mark_lost_partitions",
        Bar::AtMost(64.0),
        HOST,
        "partitions that a kill would have made a mark do again, at the worst moment",
    ),
    printed(
        "snapshot_delete_growth",
        "snapshot_delete_growth",
        Bar::AtMost(1.3),
        HOST,
        "time for each block freed to delete a snapshot with an eighth of the heap changed, heap of 512 MiB over 16 MiB",
    ),
    over(
        "mark_bandwidth",
        ("slow.mark.heap", "slow.paging_scan.raw"),
        Bar::AtLeast(0.5),
        "collect-slow",
        "pages of heap that a mark gets through, nine of ten references local, over sequential reads of the bare driver, on a disk of 10 MiB/s: beside the emulated processor as slow as one of 100 MiB/s beside the processor itself",
    ),
    printed(
        "mark_slowdown",
        "beside.mark_slowdown",
        Bar::AtMost(1.15),
        "collect-beside",
        "a program that walks over its heap and stores, beside a whole collection, over alone",
    ),
    over(
        "sweep_stop",
        ("instructions.sweep_stop.longest", "instructions.sweep_stop.flip"),
        Bar::AtMost(2.0),
        "collect-instructions",
        "longest stop for a slice of a sweep over the longest for a snapshot in the same run, in guest instructions",
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
pub(crate) const BESIDE: [(&str, &str, &str); 11] = [
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
    (
        "paging_random (throttled)",
        "throttled.paging_random",
        "the same on a disk of 4,000 requests a second, with which the emulated processor keeps up",
    ),
    (
        "mark (pages/s)",
        "mark.read",
        "pages of the snapshot that a mark reads a second, disk of 100 MiB/s, which delivers 25,600: the emulated processor is the bound",
    ),
    ("mark of heap (pages/s)", "mark.heap", "pages of heap that it gets through meanwhile"),
    (
        "sweep_stop (ns)",
        "beside.sweep_stop.longest",
        "longest stop for a slice of a sweep by the clock",
    ),
    (
        "heap_per_frame (64 MiB)",
        "heap_per_frame",
        "the kernel's heap but for map nodes over pages in memory, what it always takes and all",
    ),
];

/// What both systems do in the same machine: the operation, our figure, that of Linux.
pub(crate) const PAIRS: [(&str, &str, &str); 9] = [
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
