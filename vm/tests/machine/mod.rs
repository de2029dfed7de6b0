//! A program on the host's object space under a deterministic environment: time passes only as the test says.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test file uses its part"
)]

pub mod crowd;
pub mod meeting;

use core::sync::atomic::AtomicBool;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use revenant_bytecode::{assemble, encode};
use revenant_hal::{Epoch, Nanoseconds, ObjectAddress, PageBytes, PageIndex};
use revenant_vm::counting::audit;
use revenant_vm::memory::layout::{area, system::counting};
use revenant_vm::memory::{Attempts, HostSpace, Space};
use revenant_vm::{Creation, DiskSpace, Environment, ExitStatus, PastRead, Turn, TurnLimits, Vm};

/// Where the number of objects freed stands.
const OBJECTS_FREED: ObjectAddress = ObjectAddress(area::COUNTING + counting::OBJECTS_FREED);

/// A world without surprises.
#[derive(Clone, Debug)]
pub struct Calm {
    pub clock: u64,
    pub epoch: u64,
    pub disk: DiskSpace,
    pub read_only: bool,
    /// Groups that may not run.
    pub suspended: BTreeSet<u32>,
    /// Groups that have run.
    pub groups: BTreeSet<u32>,
    /// Memory is being given back, as the machine has said.
    pub freeing: bool,
    /// Objects freed so far, whenever that was said to begin or to end.
    pub freed: Vec<(bool, u64)>,
    /// The snapshots there are.
    pub past: BTreeMap<u64, Rc<Pages>>,
    /// Every commit makes one.
    pub keeps: bool,
    /// A page of a snapshot is not there yet when it is first looked at, and now and then again.
    pub late: bool,
    /// Those that are there.
    pub arrived: BTreeSet<PageIndex>,
    /// Pages that cannot be read in any snapshot.
    pub unreadable: BTreeSet<PageIndex>,
    random: u64,
}

/// The pages of a snapshot that are not zero.
pub type Pages = BTreeMap<PageIndex, PageBytes>;

impl Environment for Calm {
    fn monotonic(&self) -> Nanoseconds {
        Nanoseconds(self.clock)
    }
    fn wall(&self) -> Nanoseconds {
        Nanoseconds(self.clock + 1_000_000_000_000)
    }
    fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }
    fn disk_space(&self) -> DiskSpace {
        self.disk
    }
    fn makes_snapshots(&self) -> bool {
        !self.read_only
    }
    fn is_lost(&self, page: PageIndex) -> bool {
        Attempts::is_lost(page.address().0)
    }
    fn replace_page(&mut self, page: PageIndex) {
        Attempts::replace(page.address().0);
    }
    fn suspends(&self) -> bool {
        !self.suspended.is_empty()
    }
    fn is_suspended(&self, group: u32) -> bool {
        self.suspended.contains(&group)
    }
    fn set_freeing(&mut self, freeing: bool) {
        let freed = Space::get().map_or(0, |space| space.load(OBJECTS_FREED));
        if self.freeing != freeing {
            self.freed.push((freeing, freed));
        }
        self.freeing = freeing;
    }
    fn group_runs(&mut self, group: u32) {
        assert!(!self.freeing, "no thread gives memory back");
        self.groups.insert(group);
    }
    fn snapshot_before(&self, epoch: Epoch) -> Option<(Epoch, Nanoseconds)> {
        let (found, _) = self.past.range(..epoch.0).next_back()?;
        Some((Epoch(*found), Nanoseconds(*found * 1000)))
    }
    fn read_past(&mut self, epoch: Epoch, from: ObjectAddress, into: &mut [u8]) -> PastRead {
        let Some(pages) = self.past.get(&epoch.0).cloned() else { return PastRead::NoSnapshot };
        assert_eq!(from.page(), ObjectAddress(from.0 + into.len() as u64 - 1).page());
        if self.late && !self.arrived.contains(&from.page()) {
            self.arrived.insert(from.page());
            return PastRead::Waits;
        }
        if self.entropy() >> 33 & 0xff == 0 {
            self.arrived.clear(); // other pages have taken their room
        }
        if self.unreadable.contains(&from.page()) {
            return PastRead::Damaged;
        }
        let start = (from.0 % 4096) as usize;
        match pages.get(&from.page()) {
            Some(page) => into.copy_from_slice(&page.0[start..start + into.len()]),
            None => into.fill(0),
        }
        PastRead::Read
    }
    fn entropy(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random
    }
}

/// A small generator for schedules; tests print its seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// An object space copied away.
pub struct Snapshot {
    pages: Vec<(PageIndex, PageBytes)>,
    environment: Calm,
    output: String,
}

/// A program under way.
pub struct Machine {
    pub host: HostSpace,
    pub vm: Vm,
    pub environment: Calm,
    pub output: String,
    pub ended: Option<ExitStatus>,
    /// Nanoseconds that pass with each turn.
    pub tick: u64,
    /// Attempts that were ended on purpose.
    pub abandoned: u64,
    /// After the last turn a snapshot became durable that somebody waited for.
    pub committed: bool,
}

impl Machine {
    pub fn new(source: &str, arguments: &[&str]) -> Self {
        let host = HostSpace::take().unwrap();
        let module = assemble(source, "test.rasm").unwrap_or_else(|error| panic!("{error}"));
        let file = encode(&module);
        let disk = DiskSpace::Enough;
        let groups = BTreeSet::new();
        let mut environment = Calm {
            clock: 1_000,
            epoch: 1,
            disk,
            read_only: false,
            suspended: BTreeSet::new(),
            groups,
            freeing: false,
            freed: Vec::new(),
            past: BTreeMap::new(),
            keeps: false,
            late: false,
            arrived: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            random: 1,
        };
        let creation = Creation { modules: &[&file], arguments, epoch: Epoch(1) };
        let vm = Vm::create(&creation, &mut environment).unwrap_or_else(|error| panic!("{error}"));
        let (output, ended) = (String::new(), None);
        Self { host, vm, environment, output, ended, tick: 10_000, abandoned: 0, committed: false }
    }

    /// One turn, undisturbed.
    pub fn turn(&mut self, polls: u32) -> Turn {
        let quiet = AtomicBool::new(false);
        let turn = self.vm.turn(&mut self.environment, &quiet, TurnLimits { polls });
        self.after(turn);
        turn
    }

    /// The last attempt was ended; that also ends what it had said of itself.
    pub fn abandoned(&mut self, page: PageIndex) {
        self.environment.set_freeing(false);
        self.vm.abandoned(page);
    }

    /// One turn whose attempt is ended at every touch, one touch later each time, until it is whole.
    pub fn disturbed_turn(&mut self, polls: u32, first: u64) -> Turn {
        let quiet = AtomicBool::new(false);
        let mut touches = first;
        loop {
            let (vm, environment) = (&mut self.vm, &mut self.environment);
            let turn =
                Attempts::run(touches, || vm.turn(environment, &quiet, TurnLimits { polls }));
            if let Some(turn) = turn {
                self.after(turn);
                return turn;
            }
            self.abandoned += 1;
            self.abandoned(PageIndex(7));
            self.vm.page_arrived(PageIndex(7));
            touches += 1;
        }
    }

    /// One turn whose attempt is ended at a touch; nothing if it was, and time stands still then.
    pub fn turn_ended_at(&mut self, polls: u32, touches: u64) -> Option<Turn> {
        let quiet = AtomicBool::new(false);
        let (vm, environment) = (&mut self.vm, &mut self.environment);
        let turn = Attempts::run(touches, || vm.turn(environment, &quiet, TurnLimits { polls }));
        match turn {
            Some(turn) => self.after(turn),
            None => {
                self.abandoned += 1;
                self.abandoned(PageIndex(7));
                self.vm.page_arrived(PageIndex(7));
            }
        }
        turn
    }

    fn after(&mut self, turn: Turn) {
        self.environment.clock += self.tick;
        let requests = self.vm.take_requests();
        self.ended = self.ended.or(requests.main_ended);
        self.committed = requests.commit.is_some();
        if let Turn::Idle { deadline: Some(deadline) } = turn {
            self.environment.clock = self.environment.clock.max(deadline.0);
        }
        if let Some(epoch) = requests.commit {
            if self.environment.keeps {
                let pages = self.snapshot().pages.into_iter().collect();
                self.environment.past.insert(epoch.0, Rc::new(pages));
                self.environment.epoch = epoch.0 + 1;
            }
            let step = revenant_vm::SystemStep::CommitDurable(epoch);
            while self.vm.system_step(step, &mut self.environment) == revenant_vm::StepOutcome::More
            {
            }
        }
        let mut buffer = [0; 1000];
        let mut count = 0;
        loop {
            count = self.vm.console_drain(count, &mut buffer);
            if count == 0 {
                break;
            }
            self.output.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// Runs until the main program ends, turn by turn as `turn` says.
    pub fn run_by(&mut self, mut turn: impl FnMut(&mut Self) -> Turn) -> ExitStatus {
        for _ in 0..20_000_000_u64 {
            if let Some(status) = self.ended {
                return status;
            }
            let took = turn(self);
            let stuck = took == Turn::Idle { deadline: None } && self.ended.is_none();
            assert!(!stuck, "nothing can run; output so far: {}", self.output);
        }
        panic!("the program does not end; output so far: {}", self.output)
    }

    pub fn run(&mut self, polls: u32) -> ExitStatus {
        self.run_by(|machine| machine.turn(polls))
    }

    /// Lets everything that is over be freed, then checks the whole heap.
    pub fn audit(&mut self) {
        for _ in 0..3 {
            let environment = &mut self.environment;
            let _ = self.vm.system_step(revenant_vm::SystemStep::BeginGrace, environment);
            let step = revenant_vm::SystemStep::ContinueGrace;
            while self.vm.system_step(step, environment) == revenant_vm::StepOutcome::More {}
        }
        let report = audit::audit(self.host.space());
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }

    /// Copies the whole object space away.
    pub fn snapshot(&mut self) -> Snapshot {
        let step = revenant_vm::SystemStep::SaveClock;
        let _ = self.vm.system_step(step, &mut self.environment);
        let mut pages = Vec::new();
        for range in self.host.touched() {
            for page in range.start.0..range.end.0 {
                pages.push((PageIndex(page), self.host.page(PageIndex(page))));
            }
        }
        Snapshot { pages, environment: self.environment.clone(), output: self.output.clone() }
    }

    /// Puts a snapshot back and resumes from it with a new handle.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.host.clear();
        for (page, bytes) in &snapshot.pages {
            self.host.set_page(*page, bytes);
        }
        self.environment = snapshot.environment.clone();
        self.output.clone_from(&snapshot.output);
        self.ended = None;
        self.vm = Vm::resume(&mut self.environment).unwrap();
    }

    /// A digest of every byte of object space that is not zero.
    pub fn digest(&mut self) -> u64 {
        let step = revenant_vm::SystemStep::SaveClock;
        let _ = self.vm.system_step(step, &mut self.environment);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for range in self.host.touched() {
            for page in range.start.0..range.end.0 {
                let bytes = self.host.page(PageIndex(page));
                for (place, byte) in bytes.0.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                    let place = page * 4096 + place as u64;
                    hash = (hash ^ u64::from(*byte) ^ place).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        hash
    }
}

impl Machine {
    /// A new handle on the object space as it is.
    pub fn vm_again(&mut self) -> Vm {
        Vm::resume(&mut self.environment).unwrap()
    }

    /// Puts a snapshot's bytes back without resuming.
    pub fn restore_if_whole(&mut self, snapshot: &Snapshot) {
        self.host.clear();
        for (page, bytes) in &snapshot.pages {
            self.host.set_page(*page, bytes);
        }
        self.environment = snapshot.environment.clone();
        self.ended = None;
    }

    /// Resumes what may be damaged; false if it is refused.
    pub fn resume_damaged(&mut self) -> bool {
        match Vm::resume(&mut self.environment) {
            Ok(vm) => {
                self.vm = vm;
                true
            }
            Err(_) => false,
        }
    }

    /// One turn of what may be damaged.
    pub fn damaged_turn(&mut self, polls: u32) -> Turn {
        let quiet = AtomicBool::new(false);
        let turn = self.vm.turn(&mut self.environment, &quiet, TurnLimits { polls });
        self.environment.clock += self.tick;
        let mut buffer = [0; 1000];
        let count = self.vm.console_drain(0, &mut buffer);
        let _ = self.vm.console_drain(count, &mut buffer);
        turn
    }
}
