//! Checks of everything in a module that is not code: types, class shapes, method tables, interfaces, exports.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::hierarchy::Hierarchy;
use super::{Place, VerifyError};
use crate::module::{
    ClassDefinition, ClassKind, ClassShape, ExportItem, Field, MethodBody, RAW_REGISTERS_MAX,
    REFERENCE_REGISTERS_MAX,
};
use crate::types::{ClassReference, ElementKind, Signature, ValueType, WindowSize};

/// Checks the module but for its code.
pub(crate) fn check(hierarchy: &Hierarchy<'_>) -> Result<(), VerifyError> {
    let module = hierarchy.module;
    let in_module = |reason| VerifyError { place: Place::Module, reason };
    check_signatures(hierarchy).map_err(in_module)?;
    check_fields(hierarchy, &module.statics).map_err(in_module)?;
    for import in &module.function_imports {
        if module.signature(import.signature).is_none() {
            return Err(in_module(format!(
                "import {}: there is no signature {}",
                import.symbol, import.signature
            )));
        }
    }
    check_exports(hierarchy).map_err(in_module)?;
    let import_count = module.class_imports.len();
    let shapes = (module.class_imports.iter().map(|import| (&import.symbol, &import.shape)))
        .chain(module.classes.iter().map(|class| (&class.name, &class.shape)));
    for (index, (name, shape)) in shapes.enumerate() {
        let at = |reason| VerifyError { place: Place::Class(name.clone()), reason };
        let class = reference(index).map_err(at)?;
        check_shape(hierarchy, class, shape).map_err(at)?;
    }
    // Whether each definition's table has a place without a function; superclasses come first.
    let mut abstract_tables: Vec<Vec<bool>> = Vec::new();
    for (index, class) in module.classes.iter().enumerate() {
        let at = |reason| VerifyError { place: Place::Class(class.name.clone()), reason };
        let own = reference(index.saturating_add(import_count)).map_err(at)?;
        let table = check_bodies(hierarchy, own, class, &abstract_tables).map_err(at)?;
        check_interfaces(hierarchy, own, class).map_err(at)?;
        abstract_tables.push(table);
    }
    Ok(())
}

fn reference(index: usize) -> Result<ClassReference, String> {
    u32::try_from(index)
        .ok()
        .filter(|number| *number < ClassReference::BUILTIN_BASE)
        .map(ClassReference)
        .ok_or_else(|| String::from("the module has too many classes"))
}

fn check_type(hierarchy: &Hierarchy<'_>, value: ValueType) -> Result<(), String> {
    match value {
        ValueType::Reference { class, .. } if !hierarchy.exists(class) => {
            Err(format!("there is no class {}", class.0))
        }
        _ => Ok(()),
    }
}

fn check_signatures(hierarchy: &Hierarchy<'_>) -> Result<(), String> {
    for (index, signature) in hierarchy.module.signatures.iter().enumerate() {
        for list in [&signature.parameters, &signature.results] {
            let fits = list.len() <= usize::from(RAW_REGISTERS_MAX);
            let size = WindowSize::of(list);
            if !fits || size.references > REFERENCE_REGISTERS_MAX {
                return Err(format!("signature {index} does not fit in the registers of a frame"));
            }
            for value in list {
                check_type(hierarchy, *value).map_err(|why| format!("signature {index}: {why}"))?;
            }
        }
    }
    Ok(())
}

fn check_fields(hierarchy: &Hierarchy<'_>, fields: &[Field]) -> Result<(), String> {
    for field in fields {
        check_type(hierarchy, field.value).map_err(|why| format!("{}: {why}", field.name))?;
        if let ValueType::Reference { nullable: false, .. } = field.value {
            return Err(format!(
                "{}: a variable begins as null, its type must allow it",
                field.name
            ));
        }
    }
    Ok(())
}

fn check_exports(hierarchy: &Hierarchy<'_>) -> Result<(), String> {
    let module = hierarchy.module;
    let mut names = BTreeSet::new();
    for export in &module.exports {
        if !names.insert(&export.name) {
            return Err(format!("{} is exported twice", export.name));
        }
        let (index, imports, definitions) = match export.item {
            ExportItem::Function(function) => (
                usize::try_from(function).ok(),
                module.function_imports.len(),
                module.functions.len(),
            ),
            ExportItem::Class(class) => {
                (class.as_module_index(), module.class_imports.len(), module.classes.len())
            }
        };
        let definition = index.and_then(|index| index.checked_sub(imports));
        if definition.is_none_or(|definition| definition >= definitions) {
            return Err(format!("export {} names no definition of this module", export.name));
        }
    }
    Ok(())
}

fn check_shape(
    hierarchy: &Hierarchy<'_>,
    class: ClassReference,
    shape: &ClassShape,
) -> Result<(), String> {
    check_fields(hierarchy, &shape.fields)?;
    check_fields(hierarchy, &shape.extension_fields)?;
    match shape.kind {
        ClassKind::Plain | ClassKind::Abstract => {}
        ClassKind::Interface => {
            if !shape.fields.is_empty() || !shape.extension_fields.is_empty() {
                return Err(String::from("an interface has no fields"));
            }
        }
        ClassKind::Array { element, class } => {
            let others = shape.fields.len() | shape.extension_fields.len();
            if (others | shape.methods.len() | shape.interfaces.len()) != 0 {
                return Err(String::from("an array class has no fields, methods or interfaces"));
            }
            let object = ClassReference::builtin(crate::Builtin::Object);
            if !hierarchy.exists(class) || (element != ElementKind::Reference && class != object) {
                return Err(String::from("the class of the elements is wrong"));
            }
        }
    }
    for method in &shape.methods {
        let signature = hierarchy.module.signature(method.signature).ok_or_else(|| {
            format!("{}: there is no signature {}", method.name, method.signature)
        })?;
        let receiver = ValueType::Reference { class, nullable: false };
        if signature.parameters.first() != Some(&receiver) {
            return Err(format!(
                "{}: the first parameter must be {}",
                method.name,
                hierarchy.describe(receiver)
            ));
        }
    }
    for interface in &shape.interfaces {
        if !hierarchy.is_interface(*interface) {
            return Err(format!("{} is not an interface", hierarchy.name(*interface)));
        }
        // What stands above the interface must be named too, so that one look at the list tells.
        let above = hierarchy.module.shape(*interface).map_or(&[][..], |shape| &shape.interfaces);
        for upper in above {
            if !hierarchy.is_below(class, *upper)? {
                return Err(format!(
                    "{} stands above {} and must be listed too",
                    hierarchy.name(*upper),
                    hierarchy.name(*interface)
                ));
            }
        }
    }
    Ok(())
}

/// Whether two signatures differ at most in the receiver.
fn same_but_receiver(
    hierarchy: &Hierarchy<'_>,
    first: &Signature,
    second: &Signature,
) -> Result<bool, String> {
    hierarchy.budget.charge(first.parameters.len().saturating_add(first.results.len()))?;
    Ok(first.results == second.results
        && first.parameters.len() == second.parameters.len()
        && first.parameters.iter().skip(1).eq(second.parameters.iter().skip(1)))
}

/// Checks the table of virtual methods; says which places have no function.
fn check_bodies(
    hierarchy: &Hierarchy<'_>,
    own: ClassReference,
    class: &ClassDefinition,
    tables: &[Vec<bool>],
) -> Result<Vec<bool>, String> {
    let has_table = matches!(class.shape.kind, ClassKind::Plain | ClassKind::Abstract);
    let count = if has_table { hierarchy.method_count(own) } else { 0 };
    if class.bodies.len() != count {
        return Err(format!(
            "the table of methods has {} places, the class has {count} methods",
            class.bodies.len()
        ));
    }
    let inherited_count = hierarchy.inherited_methods(own);
    let upper = class
        .shape
        .superclass
        .as_module_index()
        .and_then(|index| index.checked_sub(hierarchy.module.class_imports.len()))
        .and_then(|index| tables.get(index));
    let mut table = Vec::new();
    for (place, body) in class.bodies.iter().enumerate() {
        hierarchy.budget.charge(1)?;
        let is_abstract = match body {
            MethodBody::Abstract => true,
            MethodBody::Inherited if place < inherited_count => {
                upper.and_then(|upper| upper.get(place)).copied().unwrap_or(false)
            }
            MethodBody::Inherited => {
                return Err(format!("method {place} is new and cannot be inherited"));
            }
            MethodBody::Function(function) => {
                check_body(hierarchy, own, place, *function)?;
                false
            }
        };
        if is_abstract && class.shape.kind != ClassKind::Abstract {
            return Err(format!("method {place} is abstract, the class is not"));
        }
        table.push(is_abstract);
    }
    Ok(table)
}

fn check_body(
    hierarchy: &Hierarchy<'_>,
    own: ClassReference,
    place: usize,
    function: u32,
) -> Result<(), String> {
    let index = u32::try_from(place).unwrap_or(u32::MAX);
    let declared = hierarchy.method(own, index).ok_or("the table is longer than the methods")?;
    let found = hierarchy
        .module
        .function_signature(function)
        .ok_or_else(|| format!("method {place}: there is no function {function}"))?;
    let receiver = found.parameters.first().copied();
    let own = ValueType::Reference { class: own, nullable: false };
    let takes_own = match receiver {
        Some(receiver) => hierarchy.fits(own, receiver)?,
        None => false,
    };
    if takes_own && same_but_receiver(hierarchy, declared, found)? {
        return Ok(());
    }
    let name = hierarchy.module.function_name(function).unwrap_or_default();
    Err(format!("method {place}: {name} has another signature"))
}

/// Checks that every method of every interface leads to a place in the table.
fn check_interfaces(
    hierarchy: &Hierarchy<'_>,
    own: ClassReference,
    class: &ClassDefinition,
) -> Result<(), String> {
    let has_tables = matches!(class.shape.kind, ClassKind::Plain | ClassKind::Abstract);
    let interfaces = if has_tables { class.shape.interfaces.as_slice() } else { &[] };
    if class.interface_methods.len() != interfaces.len() {
        return Err(String::from("there must be one table of methods for each interface"));
    }
    for (interface, places) in interfaces.iter().zip(&class.interface_methods) {
        let name = hierarchy.name(*interface);
        let count = hierarchy.method_count(*interface);
        if places.len() != count {
            return Err(format!("{name} has {count} methods, the table {}", places.len()));
        }
        for (number, place) in (0_u32..).zip(places) {
            hierarchy.budget.charge(1)?;
            let wanted = hierarchy.method(*interface, number);
            let found = hierarchy.method(own, *place);
            let alike = match (wanted, found) {
                (Some(wanted), Some(found)) => same_but_receiver(hierarchy, wanted, found)?,
                _ => false,
            };
            if !alike {
                return Err(format!(
                    "method {number} of {name} leads to method {place}, which has another signature"
                ));
            }
        }
    }
    Ok(())
}
