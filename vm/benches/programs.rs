//! The interpreter beside Lua 5.4 on the six programs of `samples/bench`, as `metric NAME VALUE UNIT` lines.
//!
//! Counting, graces, confinement and polling are on, and four more threads exist, asleep. Both sides are measured in processor
//! time of the same round, so that other work on the machine does not count; the ratio of a program is the median of the
//! rounds, `vm_vs_lua` the geometric mean.
//! `cargo bench -p revenant-vm --bench programs [-- NAME...]`.
#![expect(clippy::unwrap_used, reason = "a benchmark ends by panicking")]

use core::sync::atomic::AtomicBool;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use revenant_bytecode::{assemble, encode};
use revenant_hal::{Epoch, Nanoseconds};
use revenant_vm::memory::HostSpace;
use revenant_vm::{Creation, DiskSpace, Environment, Turn, TurnLimits, Vm};

const PROGRAMS: [&str; 6] =
    ["fib", "sieve", "nbody", "mandelbrot", "binary_trees", "interface_calls"];
const ROUNDS: usize = 5;

struct Host(Instant);

impl Environment for Host {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(0))
    }
    fn wall(&self) -> Nanoseconds {
        self.monotonic()
    }
    fn epoch(&self) -> Epoch {
        Epoch(1)
    }
    fn disk_space(&self) -> DiskSpace {
        DiskSpace::Enough
    }
    fn entropy(&mut self) -> u64 {
        4
    }
}

/// Seconds of processor time that this process has used so far.
fn own_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap() * 1e-9
}

/// Seconds of processor time of the children that have ended; the system counts hundredths.
fn children_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) * 0.01
}

/// What the program's own `main`, renamed, is called by: four threads that sleep while it runs.
const COMPANY: &str = "
export function main(environment: Environment) -> i64 {
    i64.set left, 4
start:
    null nothing
    closure.new closure, nothing, sleeper
    native thread.spawn(closure, 0) -> thread
    i64.add.imm left, left, -1
    i64.branch.gt_s.imm left, 0, start
    native thread.yield()
    call measured(environment) -> status
    return status
}
function sleeper(closure: Closure) {
    i64.set long, 3600000000000
    native sleep(long)
    return
}
";

fn source(name: &str, folder: &std::path::Path) -> String {
    std::fs::read_to_string(folder.join(name).with_extension("rasm")).unwrap()
}

fn ours(name: &str, folder: &std::path::Path) -> f64 {
    let source = source(name, folder).replacen("export function main(", "function measured(", 1);
    let source = source + COMPANY;
    let file = encode(&assemble(&source, name).unwrap_or_else(|error| panic!("{error}")));
    let _host = HostSpace::take().unwrap();
    let mut environment = Host(Instant::now());
    let creation = Creation { modules: &[&file], arguments: &[], epoch: Epoch(1) };
    let mut vm = Vm::create(&creation, &mut environment).unwrap();
    let quiet = AtomicBool::new(false);
    let start = own_time();
    loop {
        let turn = vm.turn(&mut environment, &quiet, TurnLimits::default());
        if let Some(status) = vm.take_requests().main_ended {
            if std::env::var_os("SHOW").is_some() {
                eprintln!("{name}: {status:?}");
            }
            break;
        }
        assert!(!matches!(turn, Turn::Idle { .. }), "{name} hangs");
    }
    own_time() - start
}

fn lua(name: &str, folder: &std::path::Path) -> f64 {
    let start = children_time();
    let status = Command::new("lua5.4")
        .arg(folder.join(name).with_extension("lua"))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "lua5.4 {name}");
    children_time() - start
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/bench"));
    let chosen: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    let mut product = 1.0;
    let mut count = 0;
    for name in PROGRAMS {
        if !chosen.is_empty() && !chosen.iter().any(|wanted| wanted == name) {
            continue;
        }
        let mut ratios = Vec::new();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let (ours, lua) = (ours(name, &folder), lua(name, &folder));
            times.push(ours);
            ratios.push(ours / lua);
        }
        let ratio = median(ratios);
        println!("metric vm_{name} {:.3} s", median(times));
        println!("metric vm_vs_lua_{name} {ratio:.3} ratio");
        product *= ratio;
        count += 1;
    }
    println!("metric vm_vs_lua {:.3} ratio", f64::powf(product, 1.0 / f64::from(count)));
}
