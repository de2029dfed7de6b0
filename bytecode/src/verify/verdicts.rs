//! A verdict on each function of a module by itself: for code that an earlier verifier has passed and that programs run.
//!
//! One function that is refused does not condemn the others; what is wrong with the classes condemns all.

use alloc::vec;
use alloc::vec::Vec;

use super::hierarchy::Hierarchy;
use super::{Budget, State, VerifyError, classes, function};
use crate::module::Module;

/// A module, and what the verifier says of each of its functions.
#[derive(Debug)]
pub struct Verdicts {
    module: Module,
    /// For each definition, why it was refused.
    refusals: Vec<Option<VerifyError>>,
}

/// Verifies each function of `module`.
#[must_use]
pub fn verify_each(module: Module) -> Verdicts {
    let budget = Budget::for_module(&module);
    let sound = Hierarchy::new(&module, &budget).and_then(|hierarchy| {
        classes::check(&hierarchy)?;
        let each = module.functions.iter().map(|one| function::check(&hierarchy, one).err());
        Ok(each.collect())
    });
    let refusals = sound.unwrap_or_else(|error| vec![Some(error); module.functions.len()]);
    Verdicts { module, refusals }
}

impl Verdicts {
    /// The module.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.module
    }

    /// Why the definition `function` (imports are not counted) was refused; `None` if it passed.
    #[must_use]
    pub fn refusal(&self, function: usize) -> Option<&VerifyError> {
        self.refusals.get(function)?.as_ref()
    }

    /// Refuses one more function.
    pub fn refuse(&mut self, function: usize, error: VerifyError) {
        if let Some(refusal) = self.refusals.get_mut(function) {
            *refusal = Some(error);
        }
    }

    /// The types of all registers just before the instruction at `position` of the definition `function`: what frames that stand there
    /// must hold. `None` if the function was refused, or if no instruction begins there.
    #[must_use]
    pub fn types_at(&self, function: usize, position: u32) -> Option<State> {
        let definition = self.module.functions.get(function)?;
        if self.refusal(function).is_some() {
            return None;
        }
        let budget = Budget::unlimited();
        let hierarchy = Hierarchy::new(&self.module, &budget).ok()?;
        function::types_at(&hierarchy, definition, position)
    }
}
