//! The console: a persistent ring of output with a drain cursor, a persistent queue of input.
//!
//! Both cursors of a ring count bytes for ever; a byte's place is its number modulo the ring's size. Output is appended by one
//! instruction, whole; the kernel copies a batch, sends it, and only then moves the persistent drain cursor over it, so no cut
//! loses a byte; after a restart it goes on from the cursor, so bytes sent after the snapshot come again. Input enters by one step. Neighbours: `system` (drain, input), `natives` (print, read_line).

mod interruption;
mod output;

use revenant_bytecode::Builtin;
use revenant_hal::ObjectAddress;

use crate::dispatch::Worker;
use crate::heap;
use crate::loader::layout::CONSOLE_PROGRAM;
use crate::memory::Space;
use crate::memory::layout::area;
use crate::memory::layout::object::{LENGTH, PAYLOAD, STRING_BYTES};
use crate::memory::layout::system::console::{
    FOREGROUND, INPUT_APPENDED, INPUT_LOST, INPUT_TAKEN, INTERRUPTING, OUTPUT_APPENDED,
    OUTPUT_DRAINED, OUTPUT_OWNER, READER_HEAD, WRITER_HEAD,
};
use crate::memory::layout::thread::{PROGRAM, WAIT_NEXT};
use crate::natives::Context;
use crate::scheduler::queue::Queue;
use crate::thread::{self, Completion, NativeResult, Outcome, Wait, WaitKind};

pub(crate) use interruption::{go_on_interrupting, interrupt_foreground};
pub(crate) use output::{drain, print, release, tell_uncaught};

/// Waiting readers or writers among which one is looked for.
const SEARCHED: usize = 64;

const fn word(offset: u64) -> ObjectAddress {
    ObjectAddress(area::CONSOLE + offset)
}

const READERS: Queue = Queue::new(word(READER_HEAD));

/// A ring: where it lies and how large it is.
#[derive(Clone, Copy)]
struct Ring {
    base: u64,
    size: u64,
}

const OUTPUT: Ring = Ring { base: area::CONSOLE_OUTPUT, size: area::CONSOLE_OUTPUT_SIZE };
const INPUT: Ring = Ring { base: area::CONSOLE_INPUT, size: area::CONSOLE_INPUT_SIZE };

impl Ring {
    /// The at most two stretches of memory that hold `length` bytes from byte number `start`.
    fn stretches(self, start: u64, length: u64) -> [(ObjectAddress, u64); 2] {
        let place = start % self.size;
        let length = length.min(self.size);
        let first = length.min(self.size - place);
        [(ObjectAddress(self.base + place), first), (ObjectAddress(self.base), length - first)]
    }

    fn touch(self, space: Space, start: u64, length: u64) {
        for (address, bytes) in self.stretches(start, length) {
            space.touch_write_range(address, bytes);
        }
    }

    /// Copies from elsewhere in object space into the ring.
    fn append(self, space: Space, start: u64, source: ObjectAddress, length: u64) {
        let mut from = source;
        for (address, bytes) in self.stretches(start, length) {
            space.copy(from, address, bytes);
            from = ObjectAddress(from.0 + bytes);
        }
    }

    fn byte(self, space: Space, number: u64) -> u8 {
        space.load(ObjectAddress(self.base + number % self.size))
    }
}

/// Two cursors of a ring, bounded: the bytes between them are there.
fn span(space: Space, ring: Ring, taken: u64, appended: u64) -> (u64, u64) {
    let appended: u64 = space.load(word(appended));
    let taken: u64 = space.load(word(taken));
    (taken.clamp(appended.saturating_sub(ring.size), appended), appended)
}

/// In the input: the character before it was taken back.
const ERASE: u8 = 0x7f;

/// A string's bytes: where they are and how many.
fn text_of(space: Space, string: u64) -> (ObjectAddress, u64) {
    let length: u32 = space.load(ObjectAddress(string.wrapping_add(LENGTH)));
    (ObjectAddress(string.wrapping_add(STRING_BYTES)), u64::from(length))
}

/// `console.read_line`: the bytes up to the next end of line, if the program is in the foreground; else waits.
pub(crate) fn read_line(worker: &mut Worker, context: &Context) -> NativeResult {
    let space = worker.space;
    let program = worker.load(context.reference(0), CONSOLE_PROGRAM);
    let foreground: u64 = space.load(word(FOREGROUND));
    let (taken, appended) = span(space, INPUT, INPUT_TAKEN, INPUT_APPENDED);
    let end = (taken..appended).find(|number| INPUT.byte(space, *number) == b'\n');
    let full = appended - taken == INPUT.size;
    let may_read = foreground == 0 || foreground == program;
    let line = match end {
        Some(end) if may_read => end - taken,
        None if full && may_read => appended - taken,
        _ => {
            let queue = word(READER_HEAD).0;
            let wait = Wait::in_queue(WaitKind::ConsoleInput, queue, ObjectAddress(0));
            thread::park_worker(worker, wait);
            return Ok(Outcome::Parked);
        }
    };
    let rest = appended - taken - line - u64::from(end.is_some());
    if rest > 0
        && let Some(other) = next_reader(space)
    {
        // Whoever waits for the next line. A step of its own: woken for nothing, a reader waits again.
        thread::wake_now(space, other, Completion::Again);
    }
    let mut bytes = [0_u8; 4096];
    let length = usize::try_from(line).unwrap_or(0).min(bytes.len());
    for (number, byte) in (taken..).zip(bytes.iter_mut().take(length)) {
        *byte = INPUT.byte(space, number);
    }
    let text = printable(&mut bytes[..length]);
    let count = text.len() as u64;
    let payload = STRING_BYTES - PAYLOAD + count;
    let class = Builtin::String as u32;
    let string = heap::allocate_sized(space, context.allocator, class, count, payload)?;
    space.end_step();
    space.touch_write_range(ObjectAddress(string.0 + STRING_BYTES), count);
    space.touch_write(word(INPUT_TAKEN));
    context.touch_results();
    space.begin_changes();
    space.write(ObjectAddress(string.0 + STRING_BYTES), text);
    space.store(word(INPUT_TAKEN), taken + line + u64::from(end.is_some()));
    context.set_reference(0, string.0);
    Ok(Outcome::Done)
}

/// The line as a person meant it: without a carriage return at its end and without what was taken back (byte 0x7f erases the
/// character before it); what is not UTF-8 becomes question marks, so that it is a string.
fn printable(bytes: &mut [u8]) -> &[u8] {
    let mut length = 0;
    for index in 0..bytes.len() {
        if bytes[index] == ERASE {
            while length > 0 {
                length -= 1;
                if bytes[length] & 0xc0 != 0x80 {
                    break; // its first byte
                }
            }
        } else {
            bytes[length] = bytes[index];
            length += 1;
        }
    }
    length -= usize::from(length > 0 && bytes[length - 1] == b'\r');
    let bytes = &mut bytes[..length];
    while let Err(error) = core::str::from_utf8(bytes) {
        bytes[error.valid_up_to()] = b'?';
    }
    bytes
}

/// The first waiting reader of the program in the foreground, if there is one among the first readers that wait.
fn next_reader(space: Space) -> Option<ObjectAddress> {
    let foreground: u64 = space.load(word(FOREGROUND));
    first_sound(space, READERS, |thread| {
        foreground == 0 || space.load::<u64>(thread::at(thread, PROGRAM)) == foreground
    })
}

/// The first of those who wait that is meant and can be woken, if there is one among the first few.
fn first_sound(
    space: Space,
    queue: Queue,
    is_meant: impl Fn(ObjectAddress) -> bool,
) -> Option<ObjectAddress> {
    let mut next = queue.first(space);
    for _ in 0..SEARCHED {
        let thread = next?;
        if !thread::is_damaged(space, thread) && is_meant(thread) {
            return Some(thread);
        }
        let after: u64 = space.load(thread::at(thread, WAIT_NEXT));
        next = (after != 0).then_some(ObjectAddress(after));
    }
    None
}

/// Counts bytes of input that are dropped. One step.
pub(crate) fn lose(space: Space, bytes: usize) {
    let lost: u64 = space.load_for_change(word(INPUT_LOST));
    space.begin_changes();
    space.store(word(INPUT_LOST), lost.wrapping_add(bytes as u64));
    space.end_step();
}

/// The kernel enters input; how many bytes found room, the others it keeps. Wakes the next reader. One step.
pub(crate) fn enter(space: Space, bytes: &[u8]) -> usize {
    let (taken, appended) = span(space, INPUT, INPUT_TAKEN, INPUT_APPENDED);
    let room = INPUT.size - (appended - taken);
    let count = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
    if count == 0 {
        return 0;
    }
    INPUT.touch(space, appended, count as u64);
    space.touch_write(word(INPUT_APPENDED));
    let next = next_reader(space).map(|thread| thread::touch_wake(space, thread));
    space.begin_changes();
    for (number, byte) in (appended..).zip(&bytes[..count]) {
        space.store(INPUT.stretches(number, 1)[0].0, *byte);
    }
    space.store(word(INPUT_APPENDED), appended + count as u64);
    if let Some(waking) = next {
        thread::wake(space, &waking, Completion::Again);
    }
    space.end_step();
    count
}

/// The program in the foreground, or 0.
pub(crate) fn foreground(space: Space) -> u64 {
    space.load(word(FOREGROUND))
}

/// Puts a program in the foreground. One step.
pub(crate) fn set_foreground(space: Space, program: ObjectAddress) {
    space.touch_write(word(FOREGROUND));
    space.begin_changes();
    space.store(word(FOREGROUND), program.0);
    space.end_step();
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_line_is_read_as_it_was_meant() {
        let read = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            String::from_utf8(printable(&mut bytes).to_vec()).unwrap()
        };
        assert_eq!(read("milk\r"), "milk");
        assert_eq!(read("milc\u{7f}k, \u{65e5}\u{7f}x"), "milk, x");
        assert_eq!(read("a\u{7f}\u{7f}\u{7f}b\u{7f}"), "");
        let mut bytes = [b'a', 0xff, b'b'];
        assert_eq!(printable(&mut bytes), b"a?b");
    }
}
