//! The verifier: turns a [`Module`] from anywhere into a [`VerifiedModule`] that an interpreter may run without checking kinds.
//!
//! Classes first (`classes`, over the hierarchy), then one linear pass over each function (`function`), whose knowledge of single
//! instructions (`flow`) it shares with the inference of block types (`infer`) that assemblers and compilers use. ISA.md 7 lists
//! what is guaranteed. Work is bounded by [`Budget`]: a module that would cost more than a constant for each of its
//! words is refused.
//!
//! ```text
//!   Module ── hierarchy ── classes ── function (flow over State, block by block) ──> VerifiedModule
//!                                └─── infer (the same flow, to a fixed point) ──> block types for the file
//! ```

mod call;
mod classes;
mod flow;
mod function;
mod hierarchy;
mod infer;
mod operations;
mod state;
mod verdicts;

use alloc::string::String;
use core::cell::Cell;
use core::fmt;

pub use infer::infer_blocks;
pub use state::{RawKind, ReferenceType, State};
pub use verdicts::{Verdicts, verify_each};

use crate::module::Module;
use hierarchy::Hierarchy;

/// Which verifier this is. Raised with every change after which it refuses something that it passed before: code on disks is verified
/// again then (`revenant disk verify`), and not run before that.
pub const VERIFIER_VERSION: u32 = 1;

/// A module that has passed. The only way to one is [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedModule(Module);

impl VerifiedModule {
    /// Its content.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.0
    }

    /// Its content, no longer known to be verified.
    #[must_use]
    pub fn into_module(self) -> Module {
        self.0
    }

    /// Whether an object of class `below` can stand where `above` is wanted.
    #[must_use]
    pub fn is_subclass(&self, below: crate::ClassReference, above: crate::ClassReference) -> bool {
        Hierarchy::new(&self.0, &Budget::unlimited())
            .is_ok_and(|hierarchy| hierarchy.is_below(below, above).unwrap_or(false))
    }

    /// The types of all registers just before the instruction at `position` of the definition `function` (imports are not counted):
    /// what frames that stand there must hold. `None` if no instruction begins there.
    #[must_use]
    pub fn types_at(&self, function: usize, position: u32) -> Option<State> {
        let budget = Budget::unlimited();
        let hierarchy = Hierarchy::new(&self.0, &budget).ok()?;
        function::types_at(&hierarchy, self.0.functions.get(function)?, position)
    }
}

/// Where the verifier stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The module as a whole.
    Module,
    /// A class.
    Class(String),
    /// A function, at a position if the code is at fault.
    Function {
        /// Its name.
        name: String,
        /// The instruction.
        position: Option<u32>,
        /// Its source line, if the line table knows.
        line: Option<u32>,
    },
}

/// Why a module was refused: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Module => formatter.write_str("module")?,
            Place::Class(name) => write!(formatter, "class {name}")?,
            Place::Function { name, position, line } => {
                write!(formatter, "function {name}")?;
                if let Some(position) = position {
                    write!(formatter, ", instruction {position}")?;
                }
                if let Some(line) = line {
                    write!(formatter, " (line {line})")?;
                }
            }
        }
        write!(formatter, ": {}", self.reason)
    }
}

impl core::error::Error for VerifyError {}

/// The steps of work that are left. One step is one comparison of types or one register looked at.
#[derive(Debug)]
pub(crate) struct Budget(Cell<u64>);

/// Steps for each word or declared register of the module.
const STEPS_EACH: u64 = 128;
/// Steps that even an empty module has.
const STEPS_BASE: u64 = 1 << 20;

impl Budget {
    fn for_module(module: &Module) -> Self {
        let size = module.functions.iter().fold(0_usize, |sum, function| {
            let declared = function.blocks.iter().map(|block| block.registers.len()).sum();
            sum.saturating_add(function.code.len()).saturating_add(declared)
        });
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        Self(Cell::new(size.saturating_mul(STEPS_EACH).saturating_add(STEPS_BASE)))
    }

    pub(crate) const fn unlimited() -> Self {
        Self(Cell::new(u64::MAX))
    }

    /// Takes `steps` from what is left.
    pub(crate) fn charge(&self, steps: usize) -> Result<(), String> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        match self.0.get().checked_sub(steps) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err(String::from("too complex: its types take more work than its size allows")),
        }
    }
}

/// Verifies `module`.
///
/// # Errors
/// The first thing that is wrong: function, instruction, reason. Nothing of the module may be used then.
pub fn verify(module: Module) -> Result<VerifiedModule, VerifyError> {
    let budget = Budget::for_module(&module);
    {
        let hierarchy = Hierarchy::new(&module, &budget)?;
        classes::check(&hierarchy)?;
        for function in &module.functions {
            function::check(&hierarchy, function)?;
        }
    }
    Ok(VerifiedModule(module))
}
