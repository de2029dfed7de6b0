//! A page that cannot be read, by what it holds: an object, a thread, a block's metadata, or what nothing runs without.

use revenant_bytecode::Builtin;
use revenant_hal::{ObjectAddress, PageIndex};

use crate::counting::grace::{self, Skipped};
use crate::counting::{self, class_at};
use crate::heap;
use crate::heap::runs::{BlockNumber, run_of};
use crate::loader::layout::EXCEPTION_CODE;
use crate::memory::Space;
use crate::memory::layout::block::{KIND_LARGE, KIND_SMALL, KIND_STACK};
use crate::memory::layout::thread::{
    FLAGS, INDEX, PENDING_EXCEPTION, STATE, STATE_DAMAGED, WAIT_RESULT,
};
use crate::memory::layout::{BLOCK, area};
use crate::scheduler::timers;
use crate::sweep;
use crate::thread::{
    FLAG_ENDING, FLAG_TOLD, FLAG_UNWINDING, at, life, park_damaged, release_others, touch,
};

use super::activity::Activity;
use super::outcome::{PageVerdict, ThreadId};
use super::vm::Vm;
use super::{lost_threads, round};

/// Deals with whoever waited for the page. An attempt like any other: it may end at a page that is missing and is then made again
/// from the beginning, so the waiter is forgotten only by the caller, once there is a verdict, and what is done is not done twice.
pub(super) fn judge(vm: &mut Vm, page: PageIndex) -> PageVerdict {
    let space = vm.worker.space;
    let place = page.address();
    if place.0 < area::HEAP {
        return PageVerdict::StepBack;
    }
    if vm.lost.has(page) {
        return lost_threads::judge(vm, page);
    }
    let Some(activity) = vm.waiting.waiter(page) else {
        return PageVerdict::Unused;
    };
    if lost_threads::holds_threads(space, place) {
        return lost_threads::judge(vm, page);
    }
    let kind = run_of(space, BlockNumber::of(place)).map(|(_, entry)| entry.kind);
    let first_of_block = place.0.is_multiple_of(BLOCK);
    let thread = match activity {
        Activity::Thread(thread) => thread,
        Activity::Timers => return judge_timer(space),
        Activity::Round => {
            round::skip(space);
            return PageVerdict::BlockStuck;
        }
        Activity::System => return judge_system(vm, place),
        Activity::Sweep => {
            sweep::skip(space, place);
            return PageVerdict::BlockStuck;
        }
        Activity::Account => {
            vm.account_damaged = Some(place);
            return PageVerdict::BlockStuck;
        }
        Activity::Judgement => return PageVerdict::StepBack,
    };
    let thread = ObjectAddress(thread);
    let index = ThreadId(u64::from(space.load::<u32>(at(thread, INDEX))));
    let flags: u32 = space.load(at(thread, FLAGS));
    if flags & FLAG_ENDING != 0 && flags & FLAG_TOLD == 0 {
        // It may have been reading what it would say on the console: it ends without a word, if that is all that is damaged.
        space.touch_write(at(thread, FLAGS));
        space.store(at(thread, FLAGS), flags | FLAG_TOLD);
        space.end_step();
        return PageVerdict::Thrown(index);
    }
    if flags & (FLAG_UNWINDING | FLAG_ENDING) != 0 {
        // It is dealing with a throw already and met damage in its code or its handlers: another throw would meet it again.
        park(space, thread);
        release_others(space, thread);
        return PageVerdict::ThreadDamaged(index);
    }
    if kind == Some(KIND_STACK) {
        park(space, thread);
        // Its object can be read: the others get what it held.
        release_others(space, thread);
        return PageVerdict::ThreadDamaged(index);
    }
    if first_of_block && matches!(kind, Some(KIND_SMALL | KIND_LARGE)) {
        throw_damaged(vm, thread, page);
        return PageVerdict::BlockStuck;
    }
    let flags: u32 = space.load(at(thread, FLAGS));
    if flags & (FLAG_UNWINDING | FLAG_ENDING) != 0 {
        // What it needs to hear of the damage is itself damaged.
        park(space, thread);
        release_others(space, thread);
        return PageVerdict::ThreadDamaged(index);
    }
    throw_damaged(vm, thread, page);
    PageVerdict::Thrown(index)
}

/// Somebody's time has come, and what it waits for is in the way: it waits on, without a deadline, and holds nobody up.
fn judge_timer(space: Space) -> PageVerdict {
    if timers::first(space).is_none() {
        return PageVerdict::StepBack;
    }
    space.end_step();
    timers::drop_first(space);
    space.end_step();
    PageVerdict::BlockStuck
}

/// The scheduler's own work met the page. A grace passes over what needs it; nothing else can.
fn judge_system(vm: &mut Vm, place: ObjectAddress) -> PageVerdict {
    let space = vm.worker.space;
    if place.0.is_multiple_of(BLOCK) && life::forget_ended(space, place) {
        return PageVerdict::BlockStuck;
    }
    let skipped = match vm.releasing.get() {
        // The attempt before this one has passed over this thread already.
        Activity::Thread(thread) => Skipped::Thread(ObjectAddress(thread)),
        _ => grace::skip(space),
    };
    let verdict = match skipped {
        Skipped::Nothing => return PageVerdict::StepBack,
        Skipped::Object => PageVerdict::BlockStuck,
        Skipped::Thread(thread) => {
            vm.releasing.set(Activity::Thread(thread.0));
            let index: u32 = space.load(at(thread, INDEX));
            release_others(space, thread);
            PageVerdict::ThreadDamaged(ThreadId(u64::from(index)))
        }
    };
    vm.releasing.set(Activity::System);
    verdict
}

/// Parks the thread as damaged, once.
fn park(space: Space, thread: ObjectAddress) {
    if space.load::<u32>(at(thread, STATE)) == STATE_DAMAGED {
        crate::console::release(space, thread);
    } else {
        park_damaged(space, thread);
    }
}

/// The thread finds an exception that names the page at the instruction where it stopped. Steps.
fn throw_damaged(vm: &Vm, thread: ObjectAddress, page: PageIndex) {
    let (space, allocator) = (vm.worker.space, vm.worker.allocator);
    let class = class_at(space, Builtin::DamagedObjectException as u32);
    let made = heap::allocate_plain(space, allocator, class);
    space.end_step();
    let Ok(exception) = made else {
        park_damaged(space, thread);
        return;
    };
    space.touch_write(at(exception, EXCEPTION_CODE));
    space.store(at(exception, EXCEPTION_CODE), page.0);
    space.end_step();
    counting::store_reference(space, at(thread, PENDING_EXCEPTION), exception);
    space.end_step();
    touch(space, thread);
    space.begin_changes();
    let flags: u32 = space.load(at(thread, FLAGS));
    space.store(at(thread, FLAGS), flags | FLAG_UNWINDING);
    space.store(at(thread, WAIT_RESULT), 0_u64);
    space.end_step();
}
