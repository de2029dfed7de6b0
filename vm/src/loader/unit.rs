//! The modules of a load: the files to be loaded, verified, and the modules of the namespace that they name.
//!
//! A loaded module is read back from the file that it keeps, so that both kinds answer the same questions: what a class looks
//! like, what a function takes. Invariant: [`Units`] is closed under imports, as far as the namespace knows the names.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use revenant_bytecode::{Module, decode, verify};
use revenant_hal::ObjectAddress;

use super::error::LoadError;
use super::layout::{MODULE_FILE, NAMESPACE_MODULES};
use super::text::{bytes_of, elements_of, slot_of, text_of};
use crate::memory::Space;

/// A module of this load.
#[derive(Debug)]
pub(super) struct Unit<'f> {
    /// What it says.
    pub(super) module: Module,
    /// Where it comes from.
    pub(super) origin: Origin<'f>,
}

/// Where a unit comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'f> {
    /// A file to be loaded.
    File {
        /// Which of the files, from 0.
        index: usize,
        /// Its bytes.
        bytes: &'f [u8],
    },
    /// The module is loaded already.
    Loaded(ObjectAddress),
}

impl Unit<'_> {
    /// The module object, if there is one already.
    pub(super) const fn loaded(&self) -> Option<ObjectAddress> {
        match self.origin {
            Origin::Loaded(module) => Some(module),
            Origin::File { .. } => None,
        }
    }

    /// A refusal that names the file and the module.
    pub(super) fn refuse(&self, reason: &str) -> LoadError {
        let index = match self.origin {
            Origin::File { index, .. } => index,
            Origin::Loaded(_) => 0,
        };
        LoadError::Module { index, reason: format!("{}: {reason}", self.module.name) }
    }
}

/// All modules that a load has to know.
#[derive(Debug)]
pub(super) struct Units<'f> {
    /// The modules; those to be loaded first.
    pub(super) list: Vec<Unit<'f>>,
    /// Place in the list by name.
    by_name: BTreeMap<String, usize>,
    /// For each file, its place in the list.
    pub(super) files: Vec<usize>,
}

impl<'f> Units<'f> {
    /// Decodes and verifies the files, finds what the namespace has of them already, and adds what they import from it.
    pub(super) fn gather(
        space: Space,
        namespace: ObjectAddress,
        files: &[&'f [u8]],
    ) -> Result<Self, LoadError> {
        let table = Table::of(space, namespace);
        let mut units = Self { list: Vec::new(), by_name: BTreeMap::new(), files: Vec::new() };
        for (index, bytes) in files.iter().enumerate() {
            let refuse = |reason| LoadError::Module { index, reason };
            let module = decode(bytes).map_err(|error| refuse(error.to_string()))?;
            let name = module.name.clone();
            let verified =
                verify(module).map_err(|error| refuse(format!("{name}: {error}")))?.into_module();
            if let Some(place) = units.same(space, &table, &name, bytes) {
                let place = place.ok_or_else(|| {
                    refuse(format!("{name}: the name is taken by another module"))
                })?;
                let place = match place {
                    Same::Unit(place) => place,
                    Same::Loaded(module) => units.add(verified, Origin::Loaded(module)),
                };
                units.files.push(place);
                continue;
            }
            let place = units.add(verified, Origin::File { index, bytes });
            units.files.push(place);
        }
        units.close(space, &table);
        Ok(units)
    }

    fn add(&mut self, module: Module, origin: Origin<'f>) -> usize {
        let place = self.list.len();
        self.by_name.insert(module.name.clone(), place);
        self.list.push(Unit { module, origin });
        place
    }

    /// Whether the name is taken: by a module with the same bytes (which then is this one), or by another (`Some(None)`).
    fn same(&self, space: Space, table: &Table, name: &str, bytes: &[u8]) -> Option<Option<Same>> {
        if let Some(place) = self.by_name.get(name) {
            let same = match self.list.get(*place).map(|unit| unit.origin) {
                Some(Origin::File { bytes: other, .. }) => other == bytes,
                Some(Origin::Loaded(module)) => file_of(space, module) == bytes,
                None => false,
            };
            return Some(same.then_some(Same::Unit(*place)));
        }
        let module = table.module(name)?;
        Some((file_of(space, module) == bytes).then_some(Same::Loaded(module)))
    }

    /// Adds the loaded modules that the list imports, until it names no more.
    fn close(&mut self, space: Space, table: &Table) {
        let mut next = 0;
        while let Some(unit) = self.list.get(next) {
            let classes = unit.module.class_imports.iter().map(|import| &import.module);
            let functions = unit.module.function_imports.iter().map(|import| &import.module);
            let names: Vec<String> = classes.chain(functions).cloned().collect();
            for name in names {
                if self.by_name.contains_key(&name) {
                    continue;
                }
                let Some(module) = table.module(&name) else { continue };
                // What was verified once decodes again, unless the disk lied; then the import finds nothing.
                if let Ok(decoded) = decode(&file_of(space, module)) {
                    self.add(decoded, Origin::Loaded(module));
                }
            }
            next += 1;
        }
    }

    /// The place of the module with this name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

/// What already has a name.
enum Same {
    /// A unit of this load.
    Unit(usize),
    /// A module of the namespace.
    Loaded(ObjectAddress),
}

/// The modules of a namespace by name.
pub(crate) struct Table(BTreeMap<String, ObjectAddress>);

impl Table {
    /// Reads the table.
    pub(crate) fn of(space: Space, namespace: ObjectAddress) -> Self {
        let elements = elements_of(space, slot_of(space, namespace, NAMESPACE_MODULES));
        let mut table = BTreeMap::new();
        for pair in elements.chunks_exact(2) {
            if let [name, module] = pair {
                table.insert(text_of(space, *name), *module);
            }
        }
        Self(table)
    }

    /// All of them, by increasing name.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (&str, ObjectAddress)> {
        self.0.iter().map(|(name, module)| (name.as_str(), *module))
    }

    /// The module with this name.
    pub(super) fn module(&self, name: &str) -> Option<ObjectAddress> {
        self.0.get(name).copied()
    }
}

fn file_of(space: Space, module: ObjectAddress) -> Vec<u8> {
    bytes_of(space, slot_of(space, module, MODULE_FILE))
}
