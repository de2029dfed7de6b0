//! A full disk as programs meet it: an allocation that needs what the disk has no room for throws; what was let go of can
//! be taken again although the disk is still full.

mod machine;

use machine::Machine;
use revenant_vm::{DiskSpace, ExitStatus, Turn};

/// Takes cells until that is refused, lets go, waits, and takes nine tenths as many; again and again until that works. Returns
/// how often it tried, or 1,000 if it never did.
const SOURCE: &str = "
module full version 1
class Cell {
    next: Cell?
    a: i64
    b: i64
    c: i64
}
function eat(most: i64) -> i64 {
    null list
    i64.set count, 0
start:
    i64.branch.le_s most, count, full
    object.new cell, Cell
    field.store.ref list, cell, Cell.next
    move.ref list, cell
    i64.add.imm count, count, 1
    jump start
end:
full:
    return count
    catch DiskFullException problem from start to end at full
}
export function main(environment: Environment) -> i64 {
    i64.set most, 1000000000
    call eat(most) -> taken
    i64.set nine, 9
    i64.set ten, 10
    i64.mul most, taken, nine
    i64.div_s most, most, ten
    i64.set tries, 0
    i64.set nap, 1000000
again:
    i64.add.imm tries, tries, 1
    native sleep(nap)
    call eat(most) -> got
    i64.branch.eq got, most, done
    i64.branch.lt_s.imm tries, 1000, again
done:
    return tries
}
";

#[test]
fn what_was_let_go_of_can_be_taken_again_while_the_disk_is_full() {
    let mut machine = Machine::new(SOURCE, &[]);
    for _ in 0..2000 {
        assert!(matches!(machine.turn(1000), Turn::Ran(_) | Turn::Scheduled));
    }
    assert_eq!(machine.ended, None, "there is room: nothing is refused");
    machine.environment.disk = DiskSpace::Reserve;
    let status = machine.run_by(|machine| {
        let turn = machine.turn(1000);
        let step = revenant_vm::SystemStep::BeginGrace;
        let _ = machine.vm.system_step(step, &mut machine.environment);
        turn
    });
    assert!(matches!(status, ExitStatus::Returned(1..100)), "{status:?}; {}", machine.output);
    machine.audit();
}

/// On a full disk freeing may use room that programs may not: so it says when it begins and when it ends, and frees
/// nothing at any other time.
#[test]
fn memory_is_given_back_only_where_the_machine_has_said_so() {
    let mut machine = Machine::new(SOURCE, &[]);
    for _ in 0..400 {
        assert!(matches!(machine.turn(1000), Turn::Ran(_) | Turn::Scheduled));
    }
    machine.environment.disk = DiskSpace::Reserve;
    let _ = machine.run_by(|machine| {
        let turn = machine.turn(1000);
        assert!(!machine.environment.freeing, "a turn ends what it began");
        let step = revenant_vm::SystemStep::BeginGrace;
        let _ = machine.vm.system_step(step, &mut machine.environment);
        turn
    });
    let told = &machine.environment.freed;
    let (mut inside, mut outside) = (0, 0);
    for pair in told.windows(2) {
        let freed = pair[1].1 - pair[0].1;
        if pair[0].0 { inside += freed } else { outside += freed }
    }
    assert!(inside > 10_000 && outside == 0, "{inside} freed inside, {outside} outside");
}
