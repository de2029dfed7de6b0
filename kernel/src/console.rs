//! The console between the serial port and the programs: what is typed goes in, what they say goes out.
//!
//! Input that programs have not taken yet stands here; so does output on its way to the wire, whose drain cursor moves only
//! over what has left the machine: what a cut keeps from leaving comes again.
//!
//! Neighbours: the event loop calls this in every pass; `typing` (in the machine) makes lines of what is typed.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::{log, report};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use revenant_hal::{Clock, Nanoseconds};
use revenant_machine::attempt::{self, SliceEnd};
use revenant_machine::serial;
use revenant_machine::typing::Typing;

/// Bytes moved at a time.
const CONSOLE_BYTES: usize = 4096;
/// How long a machine that is to stop waits for somebody to take what its programs have said; after that they say it at the
/// next start.
const LISTENER_PATIENCE: u64 = 3_000_000_000;

/// Both directions. All of it is volatile.
pub(crate) struct Console {
    typing: Typing,
    /// Input that programs have not taken.
    input: VecDeque<u8>,
    /// Bytes of input that were dropped because nobody read them, since that was last said.
    lost: u64,
    /// How many those were at the last look.
    lost_before: u64,
    /// The key for a report was pressed.
    wants_report: bool,
    /// The group whose quota is to be reported next: what it has stands in object space, and may have to come from the disk.
    group_due: Option<u32>,
    /// There is output to take, or output on its way.
    pub(crate) has_output: bool,
    /// When the end of the machine waits for it no longer.
    until: Option<Nanoseconds>,
    /// Bytes of the batch on its way.
    batch: usize,
    /// Where it ends in the port's stream; `None` when it has left.
    end: Option<serial::Place>,
    buffer: Box<[u8; CONSOLE_BYTES]>,
}

impl Console {
    /// After a start there may be output of before.
    pub(crate) fn new() -> Self {
        Self {
            typing: Typing::default(),
            input: VecDeque::new(),
            lost: 0,
            lost_before: 0,
            wants_report: false,
            group_due: None,
            has_output: true,
            until: None,
            batch: 0,
            end: None,
            buffer: Box::new([0; CONSOLE_BYTES]),
        }
    }

    /// The machine is to stop: whoever listens has had time enough some seconds after `now`.
    pub(crate) fn end_at(&mut self, now: Nanoseconds) {
        self.until = Some(Nanoseconds(now.0 + LISTENER_PATIENCE));
    }

    /// Programs have dropped so many bytes of input.
    pub(crate) fn input_lost(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// Says what input was lost, once no more is being lost: a flood is told of in one line.
    fn tell_of_loss(&mut self) {
        self.lost += serial::take_lost_input();
        if self.lost > 0 && self.lost == self.lost_before {
            log!("console_lost bytes={} typed, and read by no program in time", self.lost);
            self.lost = 0;
        }
        self.lost_before = self.lost;
    }

    /// Takes what was typed, as far as there is room, and shows it.
    fn take_typed(&mut self) {
        while self.input.len() < CONSOLE_BYTES
            && let Some(byte) = serial::read_byte()
        {
            if byte == report::KEY {
                self.wants_report = true;
                continue;
            }
            let typed = self.typing.take(byte, |text| {
                if serial::room() > text.len() {
                    serial::write_text(text);
                }
            });
            self.input.extend(typed);
        }
    }
}

impl<P: Programs> EventLoop<P> {
    /// Moves console bytes.
    pub(crate) fn serve_console(&mut self) {
        self.console.take_typed();
        if core::mem::take(&mut self.console.wants_report) {
            self.report();
            self.console.group_due = Some(0);
        }
        if let Some(group) = self.console.group_due {
            self.console.group_due = self.report_quota(group);
        }
        while !self.console.input.is_empty() {
            let mut input = core::mem::take(&mut self.console.input);
            input.make_contiguous();
            let taken = self.attempt(|programs, _| programs.console_input(input.as_slices().0));
            let taken = taken.unwrap_or(0).min(input.len());
            input.drain(..taken);
            self.console.input = input;
            if taken == 0 {
                break; // no room, or a page is missing
            }
        }
        self.console.tell_of_loss();
        self.serve_output();
    }

    /// Sends the next batch of output once the one before has left. The interrupt that tells so raises attention.
    fn serve_output(&mut self) {
        let on_its_way = self.console.end.is_some_and(|end| !serial::has_sent(end));
        // Before the restart is announced, nothing is sent: the mark comes first.
        let waits = self.console.has_output && !self.announcing();
        if !waits || on_its_way || serial::room() < CONSOLE_BYTES {
            return;
        }
        let (programs, console) = (&mut self.programs, &mut self.console);
        let sent = console.batch;
        let taken = attempt::enter_slice(|| programs.console_drain(sent, &mut console.buffer[..]));
        match taken {
            SliceEnd::FaultEnded { page, write } => self.blocked(page, write),
            SliceEnd::Finished(count) => {
                let console = &mut self.console;
                console.batch = count;
                console.has_output = count > 0;
                let text = console.buffer.get(..count).unwrap_or_default();
                console.end = console.has_output.then(|| serial::write_text(text));
            }
        }
    }

    /// Whether the end of the machine has to wait for output.
    pub(crate) fn output_waits(&self) -> bool {
        let now = self.world.clock.monotonic();
        self.console.has_output && self.console.until.is_none_or(|until| now < until)
    }
}
