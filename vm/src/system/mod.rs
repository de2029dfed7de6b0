//! The door between programs and whoever runs them (the kernel's loop, the host runner, the tests).
//!
//! **Attempts.** Methods marked *in an attempt* read and write object space, so in the kernel they can meet a page that
//! is not there. The caller wraps each such call in the machine's recovery point. When the page has to wait, the trap
//! handler abandons the call: it never returns, and nothing in object space or in the [`Vm`] has half changed, because
//! every body touches all it needs before it changes anything, allocates nothing from the kernel's heap and holds nothing
//! with a destructor. The caller then reports the page with [`Vm::abandoned`] and goes on with other work; when the page is there it
//! calls [`Vm::page_arrived`]. On the host nothing is ever abandoned, except by tests.
//!
//! The other methods touch only the handle and can be called at any time between attempts.
//!
//! ```text
//!   loop {
//!       for page in arrivals        { vm.page_arrived(page) }
//!       match attempt(|| vm.turn(&mut environment, &attention, limits)) {
//!           Finished(turn)          => requests = vm.take_requests(), ...
//!           Abandoned(page)         => vm.abandoned(page),
//!       }
//!   }
//! ```

mod accounts;
mod activity;
mod again;
mod creation;
mod discards;
mod environment;
mod failure;
mod inspect;
mod lost_found;
mod lost_threads;
mod mark;
mod outcome;
mod round;
pub mod script;
mod steps;
mod sweeping;
#[cfg(test)]
mod tests;
mod vm;
mod waits;
mod wake;

pub use accounts::accounts;
pub use again::{VerifiedAgain, Verifier};
pub use creation::{Creation, Quota};
pub use environment::{Discarded, DiskSpace, Environment, PastRead};
pub use inspect::{NamedWay, class_name, name_way, title_of};
pub use lost_found::{Hanging, Lost};
pub use outcome::{
    CreationError, ExitStatus, InspectError, PageVerdict, Requests, ResumeError, StepOutcome,
    SystemStep, ThreadId, Turn, TurnLimits, WitnessRecord,
};
pub use sweeping::Prospect;
pub use vm::Vm;
