//! Imports: what each class and function index of each module means, across modules, and that it is what the importer expects.
//!
//! Types are compared by identity: a class is the same only if it is the same definition of the same module of this load (or the same
//! built-in class). A name plays no part in it beyond finding the export.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, ClassKind, ClassReference, ClassShape, ExportItem, Field, Method, Module, Signature,
    ValueType,
};

use super::error::LoadError;
use super::unit::{Unit, Units};

/// A class, before it needs an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum ClassId {
    /// A built-in class.
    Builtin(Builtin),
    /// A definition of a module.
    Defined(DefinitionId),
}

/// A class or function definition of a unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DefinitionId {
    /// Place of the unit in the list.
    pub(super) unit: usize,
    /// Number of the definition, imports not counted.
    pub(super) definition: usize,
}

/// The meaning of one unit's index spaces.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// By class index, imports first.
    pub(super) classes: Vec<ClassId>,
    /// By function index, imports first.
    pub(super) functions: Vec<DefinitionId>,
}

impl Resolved {
    /// The class that a reference means. Nothing for references that verified modules do not hold.
    pub(super) fn class(&self, reference: ClassReference) -> Option<ClassId> {
        if let Some(builtin) = reference.as_builtin() {
            return Some(ClassId::Builtin(builtin));
        }
        self.classes.get(reference.as_module_index()?).copied()
    }

    /// The function with this index.
    pub(super) fn function(&self, index: u32) -> Option<DefinitionId> {
        self.functions.get(usize::try_from(index).ok()?).copied()
    }
}

/// Resolves all imports of all units, and compares those of the files.
pub(super) fn resolve(units: &Units<'_>) -> Result<Vec<Resolved>, LoadError> {
    let mut all = Vec::new();
    for (place, unit) in units.list.iter().enumerate() {
        all.push(resolve_unit(units, place, unit)?);
    }
    for (unit, resolved) in units.list.iter().zip(&all) {
        if unit.loaded().is_none() {
            check_unit(units, &all, unit, resolved)?;
        }
    }
    Ok(all)
}

fn resolve_unit(units: &Units<'_>, place: usize, unit: &Unit<'_>) -> Result<Resolved, LoadError> {
    let mut resolved = Resolved::default();
    for import in &unit.module.class_imports {
        let (found, item) = find(units, unit, &import.module, &import.symbol)?;
        let ExportItem::Class(class) = item else {
            return Err(refuse(unit, &import.module, &import.symbol, "is a function, not a class"));
        };
        let definition = class
            .as_module_index()
            .and_then(|index| index.checked_sub(module_of(units, found).class_imports.len()))
            .ok_or_else(|| missing(unit, &import.module, &import.symbol))?;
        resolved.classes.push(ClassId::Defined(DefinitionId { unit: found, definition }));
    }
    for definition in 0..unit.module.classes.len() {
        resolved.classes.push(ClassId::Defined(DefinitionId { unit: place, definition }));
    }
    for import in &unit.module.function_imports {
        let (found, item) = find(units, unit, &import.module, &import.symbol)?;
        let ExportItem::Function(function) = item else {
            return Err(refuse(unit, &import.module, &import.symbol, "is a class, not a function"));
        };
        let definition = usize::try_from(function)
            .ok()
            .and_then(|index| index.checked_sub(module_of(units, found).function_imports.len()))
            .ok_or_else(|| missing(unit, &import.module, &import.symbol))?;
        resolved.functions.push(DefinitionId { unit: found, definition });
    }
    for definition in 0..unit.module.functions.len() {
        resolved.functions.push(DefinitionId { unit: place, definition });
    }
    Ok(resolved)
}

/// The unit and the export that an import names.
fn find(
    units: &Units<'_>,
    unit: &Unit<'_>,
    module: &str,
    symbol: &str,
) -> Result<(usize, ExportItem), LoadError> {
    let Some(place) = units.find(module) else {
        let reason = format!("import {module}.{symbol}: the namespace has no module {module}");
        return Err(unit.refuse(&reason));
    };
    module_of(units, place)
        .exports
        .iter()
        .find(|export| export.name == symbol)
        .map(|export| (place, export.item))
        .ok_or_else(|| missing(unit, module, symbol))
}

fn module_of<'a>(units: &'a Units<'_>, place: usize) -> &'a Module {
    static EMPTY: Module = Module {
        name: String::new(),
        version: 0,
        source: String::new(),
        strings: Vec::new(),
        signatures: Vec::new(),
        class_imports: Vec::new(),
        classes: Vec::new(),
        function_imports: Vec::new(),
        functions: Vec::new(),
        statics: Vec::new(),
        exports: Vec::new(),
    };
    units.list.get(place).map_or(&EMPTY, |unit| &unit.module)
}

fn missing(unit: &Unit<'_>, module: &str, symbol: &str) -> LoadError {
    unit.refuse(&format!("import {module}.{symbol}: module {module} does not export {symbol}"))
}

fn refuse(unit: &Unit<'_>, module: &str, symbol: &str, why: &str) -> LoadError {
    unit.refuse(&format!("import {module}.{symbol}: {why}"))
}

/// Compares each import of a unit with what it found.
fn check_unit(
    units: &Units<'_>,
    all: &[Resolved],
    unit: &Unit<'_>,
    own: &Resolved,
) -> Result<(), LoadError> {
    for (import, found) in unit.module.class_imports.iter().zip(&own.classes) {
        let ClassId::Defined(id) = found else { continue };
        let comparison = Comparison::new(units, all, (&unit.module, own), id.unit);
        let definition = module_of(units, id.unit).classes.get(id.definition);
        let difference = definition
            .ok_or("is not there")
            .and_then(|definition| comparison.shapes(&import.shape, &definition.shape));
        if let Err(what) = difference {
            return Err(refuse(unit, &import.module, &import.symbol, what));
        }
    }
    for (import, found) in unit.module.function_imports.iter().zip(&own.functions) {
        let comparison = Comparison::new(units, all, (&unit.module, own), found.unit);
        let module = module_of(units, found.unit);
        let exported = module
            .functions
            .get(found.definition)
            .and_then(|function| module.signature(function.signature));
        let same = match (unit.module.signature(import.signature), exported) {
            (Some(wanted), Some(exported)) => comparison.signatures(wanted, exported),
            _ => false,
        };
        if !same {
            return Err(refuse(unit, &import.module, &import.symbol, "has another signature"));
        }
    }
    Ok(())
}

/// Compares what one module says with what another says, each in its own indices.
struct Comparison<'a> {
    ours: &'a Resolved,
    our_module: &'a Module,
    theirs: Option<&'a Resolved>,
    their_module: &'a Module,
}

impl<'a> Comparison<'a> {
    fn new(
        units: &'a Units<'_>,
        all: &'a [Resolved],
        (our_module, ours): (&'a Module, &'a Resolved),
        theirs: usize,
    ) -> Self {
        let their_module = module_of(units, theirs);
        Self { ours, our_module, theirs: all.get(theirs), their_module }
    }

    fn classes(&self, ours: ClassReference, theirs: ClassReference) -> bool {
        let theirs = self.theirs.and_then(|resolved| resolved.class(theirs));
        theirs.is_some() && self.ours.class(ours) == theirs
    }

    fn types(&self, ours: ValueType, theirs: ValueType) -> bool {
        match (ours, theirs) {
            (
                ValueType::Reference { class, nullable },
                ValueType::Reference { class: their_class, nullable: their_nullable },
            ) => nullable == their_nullable && self.classes(class, their_class),
            _ => ours == theirs,
        }
    }

    fn type_lists(&self, ours: &[ValueType], theirs: &[ValueType]) -> bool {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| self.types(*a, *b))
    }

    fn signatures(&self, ours: &Signature, theirs: &Signature) -> bool {
        self.type_lists(&ours.parameters, &theirs.parameters)
            && self.type_lists(&ours.results, &theirs.results)
    }

    fn fields(&self, ours: &[Field], theirs: &[Field]) -> bool {
        ours.len() == theirs.len()
            && ours
                .iter()
                .zip(theirs)
                .all(|(a, b)| a.name == b.name && self.types(a.value, b.value))
    }

    fn methods(&self, ours: &[Method], theirs: &[Method]) -> bool {
        let same = |(a, b): (&Method, &Method)| {
            let signatures =
                (self.our_module.signature(a.signature), self.their_module.signature(b.signature));
            match signatures {
                (Some(ours), Some(theirs)) => a.name == b.name && self.signatures(ours, theirs),
                _ => false,
            }
        };
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
    }

    fn kinds(&self, ours: ClassKind, theirs: ClassKind) -> bool {
        match (ours, theirs) {
            (
                ClassKind::Array { element, class },
                ClassKind::Array { element: their_element, class: their_class },
            ) => element == their_element && self.classes(class, their_class),
            _ => ours == theirs,
        }
    }

    /// What differs, if anything does.
    fn shapes(&self, ours: &ClassShape, theirs: &ClassShape) -> Result<(), &'static str> {
        if !self.kinds(ours.kind, theirs.kind) {
            return Err("is a class of another kind");
        }
        if !self.classes(ours.superclass, theirs.superclass) {
            return Err("has another superclass");
        }
        let has = |interface: &ClassReference| {
            ours.interfaces.iter().any(|other| self.classes(*other, *interface))
        };
        if ours.interfaces.len() != theirs.interfaces.len() || !theirs.interfaces.iter().all(has) {
            return Err("implements other interfaces");
        }
        if !self.fields(&ours.fields, &theirs.fields)
            || !self.fields(&ours.extension_fields, &theirs.extension_fields)
        {
            return Err("has other fields");
        }
        if !self.methods(&ours.methods, &theirs.methods) {
            return Err("has other methods");
        }
        Ok(())
    }
}
