//! Output: texts enter the ring whole, the kernel takes batches from it, writers wait for room.
//!
//! A short text enters in one step. A longer one enters in pieces, and from its first piece to its last the writing thread owns
//! the output: nobody else's text comes between. Ownership is persistent; it ends with the last piece, with an exception
//! that is thrown at the print, or with the thread. Whoever moves the drain cursor wakes the next writer: the owner if there is
//! one, else the first in the FIFO. A writer waits only while there is something in the ring or an owner is at work, so
//! that always comes.

use revenant_hal::ObjectAddress;

use super::{
    FOREGROUND, OUTPUT, OUTPUT_APPENDED, OUTPUT_DRAINED, OUTPUT_OWNER, WRITER_HEAD, first_sound,
};
use super::{span, text_of, word};
use crate::dispatch::Worker;
use crate::loader::layout::{CONSOLE_PROGRAM, PROGRAM_NAME};
use crate::memory::layout::class::NAME;
use crate::memory::layout::thread::{
    FLAGS, INDEX, NATIVE_PROGRESS, NATIVE_TAG, PROGRAM, STATE, STATE_WAITING, UNCAUGHT, WAIT_KIND,
};
use crate::memory::{AddressExt, Space};
use crate::natives::{Context, description};
use crate::scheduler::queue::Queue;
use crate::thread::{self, Completion, FLAG_TOLD, NativeResult, Outcome, Wait, WaitKind, at};

/// Bytes that one step appends at most.
const PIECE: u64 = 4096;
/// Longest name that is put before a text.
const NAME_LIMIT: u64 = 64;
/// Bytes of a text that the kernel puts before one of object space.
const LEAD_MAX: usize = 48;
/// Progress of a long print. The first word of the cursor is written by whoever wakes a thread.
const DONE: u64 = NATIVE_PROGRESS + 8;

const WRITERS: Queue = Queue::new(word(WRITER_HEAD));

/// Who may write next, if somebody waits.
fn next_writer(space: Space) -> Option<ObjectAddress> {
    let owner = ObjectAddress(space.load(word(OUTPUT_OWNER)));
    if owner.0 == 0 {
        return first_writer(space);
    }
    let waits = space.load::<u32>(at(owner, STATE)) == STATE_WAITING
        && space.load::<u64>(at(owner, WAIT_KIND)) == WaitKind::ConsoleOutput as u64;
    waits.then_some(owner)
}

/// The first writer that waits.
fn first_writer(space: Space) -> Option<ObjectAddress> {
    first_sound(space, WRITERS, |_| true)
}

/// A text for the ring: bytes of the kernel's, then of object space, then perhaps an end of line.
struct Text<'a> {
    name: (ObjectAddress, u64),
    lead: &'a [u8],
    body: (ObjectAddress, u64),
    ends_line: bool,
}

impl Text<'_> {
    const fn length(&self) -> u64 {
        self.name.1 + self.lead.len() as u64 + self.body.1 + self.ends_line as u64
    }

    fn touch(&self, space: Space, appended: u64) {
        space.touch_read_range(self.name.0, self.name.1);
        space.touch_read_range(self.body.0, self.body.1);
        OUTPUT.touch(space, appended, self.length());
        space.touch_write(word(OUTPUT_APPENDED));
    }

    /// Part of a step that [`Self::touch`] prepared.
    fn append(&self, space: Space, appended: u64) {
        let mut place = appended;
        let mut copy = |(start, bytes): (ObjectAddress, u64)| {
            OUTPUT.append(space, place, start, bytes);
            place += bytes;
        };
        copy(self.name);
        let lead = place;
        place += self.lead.len() as u64;
        for (number, byte) in (lead..).zip(self.lead) {
            space.store(OUTPUT.stretches(number, 1)[0].0, *byte);
        }
        OUTPUT.append(space, place, self.body.0, self.body.1);
        place += self.body.1;
        if self.ends_line {
            space.store(OUTPUT.stretches(place, 1)[0].0, b'\n');
            place += 1;
        }
        space.store(word(OUTPUT_APPENDED), place);
    }
}

/// The name that stands before a text: of a program that is not in the foreground.
fn name_of(space: Space, program: u64) -> (ObjectAddress, u64) {
    let foreground: u64 = space.load(word(FOREGROUND));
    if foreground == 0 || program == 0 || foreground == program {
        return (ObjectAddress(0), 0);
    }
    let (name, length) = text_of(space, space.load(at(ObjectAddress(program), PROGRAM_NAME)));
    (name, length.min(NAME_LIMIT))
}

/// Whether a text of `length` bytes cannot enter now; the thread then waits. The slice is over if so.
fn must_wait(worker: &mut Worker, length: u64) -> bool {
    let space = worker.space;
    let owner: u64 = space.load(word(OUTPUT_OWNER));
    let (drained, appended) = span(space, OUTPUT, OUTPUT_DRAINED, OUTPUT_APPENDED);
    let has_room = OUTPUT.size - (appended - drained) >= length;
    if has_room && (owner == 0 || owner == worker.thread.0) {
        return false;
    }
    let queue = word(WRITER_HEAD).0;
    let wait = Wait::in_queue(WaitKind::ConsoleOutput, queue, ObjectAddress(0));
    thread::park_worker(worker, wait);
    worker.requests.console_output = true;
    true
}

/// Wakes another writer that waits: it may find room too. A step of its own: woken for nothing, it waits again.
fn wake_another(worker: &Worker) {
    let space = worker.space;
    if let Some(other) = first_writer(space).filter(|other| *other != worker.thread) {
        thread::wake_now(space, other, Completion::Again);
    }
    space.end_step();
}

/// `console.print`: the text as a whole, with the program's name before it when it is not in the foreground.
pub(crate) fn print(worker: &mut Worker, context: &Context) -> NativeResult {
    let (space, thread) = (worker.space, worker.thread);
    let (start, length) = text_of(space, context.reference(1));
    let owns = space.load::<u64>(word(OUTPUT_OWNER)) == thread.0;
    let done = if owns { space.load::<u64>(at(thread, DONE)).min(length) } else { 0 };
    let name = if owns {
        (ObjectAddress(0), 0)
    } else {
        name_of(space, worker.load(context.reference(0), CONSOLE_PROGRAM))
    };
    let lead: &[u8] = if name.1 > 0 { b" " } else { b"" };
    let head = name.1 + lead.len() as u64;
    let piece = (length - done).min(PIECE - head);
    let text = Text { name, lead, body: (start.plus(done), piece), ends_line: false };
    if must_wait(worker, text.length()) {
        return Ok(Outcome::Parked);
    }
    let is_last = done + piece == length;
    if is_last {
        wake_another(worker);
    }
    let (_, appended) = span(space, OUTPUT, OUTPUT_DRAINED, OUTPUT_APPENDED);
    text.touch(space, appended);
    thread::touch(space, thread);
    space.begin_changes();
    text.append(space, appended);
    // The tag is what has an exception come here to give the output back.
    let (owner, tag) = if is_last { (0, 0_u64) } else { (thread.0, 1) };
    space.store(word(OUTPUT_OWNER), owner);
    space.store(at(thread, DONE), done + piece);
    space.store(at(thread, NATIVE_TAG), tag);
    worker.requests.console_output = true;
    Ok(if is_last { Outcome::Done } else { Outcome::Again })
}

/// The thread's print is over although it is not complete. Steps.
pub(crate) fn release(space: Space, thread: ObjectAddress) {
    if thread.0 == 0 || space.load::<u64>(word(OUTPUT_OWNER)) != thread.0 {
        return;
    }
    space.end_step();
    let next = first_writer(space).filter(|next| *next != thread);
    let waking = next.map(|next| thread::touch_wake(space, next));
    space.touch_write(word(OUTPUT_OWNER));
    space.begin_changes();
    space.store(word(OUTPUT_OWNER), 0_u64);
    if let Some(waking) = waking {
        thread::wake(space, &waking, Completion::Again);
    }
    space.end_step();
}

/// Says by which exception the worker's thread ends, once. False: the slice is over, it waits for room. Steps.
pub(crate) fn tell_uncaught(worker: &mut Worker) -> bool {
    let (space, thread) = (worker.space, worker.thread);
    let exception = ObjectAddress(space.load(at(thread, UNCAUGHT)));
    if exception.0 == 0 || space.load::<u32>(at(thread, FLAGS)) & FLAG_TOLD != 0 {
        return true;
    }
    let allocator = worker.allocator;
    let context = Context { space, allocator, thread, references: 0, raws: 0 };
    let body = loop {
        match description::advance(&context, exception) {
            Ok(None) => {}
            Ok(Some(length)) => break (description::bytes_of(&context), length),
            // No memory to say more.
            Err(_) => {
                let class = crate::counting::class_of(space, exception);
                let (name, length) = text_of(space, space.load(class.plus(NAME)));
                break (name, length.min(NAME_LIMIT));
            }
        }
    };
    let mut buffer = [0; LEAD_MAX];
    let (_, appended) = span(space, OUTPUT, OUTPUT_DRAINED, OUTPUT_APPENDED);
    let inside_line = appended > 0 && OUTPUT.byte(space, appended - 1) != b'\n';
    let index: u32 = space.load(at(thread, INDEX));
    let lead = lead_of(&mut buffer, inside_line, index);
    let name = name_of(space, space.load(at(thread, PROGRAM)));
    let text = Text { name, lead, body, ends_line: true };
    if must_wait(worker, text.length()) {
        return false;
    }
    wake_another(worker);
    text.touch(space, appended);
    thread::touch(space, thread);
    space.begin_changes();
    text.append(space, appended);
    let flags: u32 = space.load(at(thread, FLAGS));
    space.store(at(thread, FLAGS), flags | FLAG_TOLD);
    space.end_step();
    worker.requests.console_output = true;
    true
}

/// What stands before the description of an exception.
fn lead_of(buffer: &mut [u8; LEAD_MAX], inside_line: bool, index: u32) -> &[u8] {
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        for byte in bytes {
            if let Some(place) = buffer.get_mut(length) {
                *place = *byte;
                length += 1;
            }
        }
    };
    put(if inside_line { b"\nthread " } else { b"thread " });
    let mut divisor = 10_u32.pow(index.checked_ilog10().unwrap_or(0));
    while divisor > 0 {
        // A digit.
        put(&[b'0' + (index / divisor % 10).to_le_bytes()[0]]);
        divisor /= 10;
    }
    put(b" ended by ");
    &buffer[..length]
}

/// The kernel has sent the next `sent` bytes of output and copies those that follow, without moving the cursor over them; how
/// many. Wakes the next writer. One step, after which the buffer counts.
pub(crate) fn drain(space: Space, sent: usize, buffer: &mut [u8]) -> usize {
    let (before, appended) = span(space, OUTPUT, OUTPUT_DRAINED, OUTPUT_APPENDED);
    let drained = before + (appended - before).min(sent as u64);
    let count = (appended - drained).min(buffer.len() as u64);
    let mut filled = 0;
    for (address, bytes) in OUTPUT.stretches(drained, count) {
        let length = usize::try_from(bytes).unwrap_or(0);
        space.read(address, &mut buffer[filled..filled + length]);
        filled += length;
    }
    if drained == before {
        space.end_step();
        return filled;
    }
    space.touch_write(word(OUTPUT_DRAINED));
    let next = next_writer(space).map(|thread| thread::touch_wake(space, thread));
    space.begin_changes();
    space.store(word(OUTPUT_DRAINED), drained);
    if let Some(waking) = next {
        thread::wake(space, &waking, Completion::Again);
    }
    space.end_step();
    filled
}
