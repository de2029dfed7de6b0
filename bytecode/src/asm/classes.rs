//! Class items to class imports and definitions: shapes, tables of methods, tables of interfaces.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::AsmError;
use super::items::{ClassItem, ClassItemKind, Items, MethodItem, Name, TypeText};
use super::names::{Builder, Names, is_interface, number};
use crate::builtin::Builtin;
use crate::module::{
    ClassDefinition, ClassImport, ClassKind, ClassShape, Export, ExportItem, Field, Method,
    MethodBody,
};
use crate::types::{ClassReference, ElementKind, ValueType};

/// Puts all classes, and the exports of classes and functions, into the module.
pub(crate) fn define(items: &Items, names: &Names, builder: &mut Builder) -> Result<(), AsmError> {
    for (index, item) in names.class_order.iter().enumerate() {
        let Some(class) = items.classes.get(*item) else { continue };
        let shape = shape(class, names, builder)?;
        if let Some(module) = &class.from {
            builder.module.class_imports.push(ClassImport {
                module: module.clone(),
                symbol: class.name.text.clone(),
                shape,
            });
            continue;
        }
        let definition = ClassDefinition {
            name: class.name.text.clone(),
            bodies: bodies(class, names)?,
            interface_methods: interface_methods(class, &shape, names)?,
            shape,
        };
        builder.module.classes.push(definition);
        if class.exported {
            let item = ExportItem::Class(ClassReference(number(index)));
            builder.module.exports.push(Export { name: class.name.text.clone(), item });
        }
    }
    for function in items.functions.iter().filter(|function| function.exported) {
        let item = ExportItem::Function(names.function(&function.name)?.0);
        builder.module.exports.push(Export { name: function.name.text.clone(), item });
    }
    Ok(())
}

fn shape(class: &ClassItem, names: &Names, builder: &mut Builder) -> Result<ClassShape, AsmError> {
    let superclass = match &class.superclass {
        Some(superclass) => names.class(superclass)?,
        None => ClassReference::builtin(Builtin::Object),
    };
    let kind = match &class.kind {
        ClassItemKind::Plain => ClassKind::Plain,
        ClassItemKind::Abstract => ClassKind::Abstract,
        ClassItemKind::Interface => ClassKind::Interface,
        ClassItemKind::Array(element) => array_kind(element, names)?,
    };
    let mut interfaces = Vec::new();
    for interface in &class.interfaces {
        interfaces.push(names.class(interface)?);
    }
    let members = names.members_of(names.class(&class.name)?);
    let own_methods = class.methods.iter().filter(|item| matches!(item, MethodItem::New { .. }));
    let first = members.methods.len().saturating_sub(own_methods.count());
    let mut methods = Vec::new();
    for (name, signature) in members.methods.iter().skip(first) {
        methods.push(Method { name: name.clone(), signature: builder.signature(signature) });
    }
    Ok(ClassShape {
        kind,
        superclass,
        interfaces,
        fields: fields(&class.fields, names)?,
        extension_fields: fields(&class.extension_fields, names)?,
        methods,
    })
}

fn fields(list: &[(Name, TypeText)], names: &Names) -> Result<Vec<Field>, AsmError> {
    let mut fields = Vec::new();
    for (name, value) in list {
        fields.push(Field { name: name.text.clone(), value: names.value(value)? });
    }
    Ok(fields)
}

fn array_kind(element: &TypeText, names: &Names) -> Result<ClassKind, AsmError> {
    let object = ClassReference::builtin(Builtin::Object);
    let narrow = match element.name.text.as_str() {
        "u8" => Some(ElementKind::U8),
        "i16" => Some(ElementKind::I16),
        _ => None,
    };
    if let Some(element) = narrow {
        return Ok(ClassKind::Array { element, class: object });
    }
    Ok(match names.value(element)? {
        ValueType::I32 => ClassKind::Array { element: ElementKind::I32, class: object },
        ValueType::I64 => ClassKind::Array { element: ElementKind::I64, class: object },
        ValueType::F32 => ClassKind::Array { element: ElementKind::F32, class: object },
        ValueType::F64 => ClassKind::Array { element: ElementKind::F64, class: object },
        ValueType::Reference { class, .. } => {
            ClassKind::Array { element: ElementKind::Reference, class }
        }
    })
}

/// The table of virtual methods: what the superclass has, with overrides, then the new ones.
fn bodies(class: &ClassItem, names: &Names) -> Result<Vec<MethodBody>, AsmError> {
    if is_interface(class) {
        return Ok(Vec::new());
    }
    let members = names.members_of(names.class(&class.name)?);
    let mut bodies = Vec::new();
    bodies.resize(members.methods.len(), MethodBody::Inherited);
    let is_new = |item: &&MethodItem| matches!(item, MethodItem::New { .. });
    let new_count = class.methods.iter().filter(is_new).count();
    let inherited = members.methods.len().saturating_sub(new_count);
    let mut next_new = inherited;
    for item in &class.methods {
        let (place, body) = match item {
            MethodItem::New { name, body, is_abstract, .. } => {
                if body.is_none() && !is_abstract {
                    return Err(name
                        .at
                        .error("expected `= FUNCTION`, or `abstract` before `method`"));
                }
                let place = next_new;
                next_new = next_new.saturating_add(1);
                (place, body)
            }
            MethodItem::Override { name, body } => {
                let inherited = members.methods.iter().take(inherited);
                let place = inherited.enumerate().find(|(_, (text, _))| *text == name.text);
                let Some((place, _)) = place else {
                    return Err(name
                        .at
                        .error(format!("the superclass has no method `{}`", name.text)));
                };
                (place, body)
            }
        };
        let body = match body {
            None => MethodBody::Abstract,
            Some(function) => MethodBody::Function(names.function(function)?.0),
        };
        if let Some(entry) = bodies.get_mut(place) {
            *entry = body;
        }
    }
    Ok(bodies)
}

/// For each interface, where its methods stand in the class's table: found by name.
fn interface_methods(
    class: &ClassItem,
    shape: &ClassShape,
    names: &Names,
) -> Result<Vec<Vec<u32>>, AsmError> {
    let mut tables = Vec::new();
    if is_interface(class) {
        return Ok(tables);
    }
    let members = names.members_of(names.class(&class.name)?);
    for (name, interface) in class.interfaces.iter().zip(&shape.interfaces) {
        let mut places = Vec::new();
        for (wanted, _) in &names.members_of(*interface).methods {
            let found = members.methods.iter().position(|(method, _)| method == wanted);
            let Some(place) = found else {
                let text = format!("the class has no method `{wanted}`, which the interface wants");
                return Err(name.at.error(text));
            };
            places.push(number(place));
        }
        tables.push(places);
    }
    Ok(tables)
}

/// The name of a member given as `Class.member`: the class's part and the member's.
pub(crate) fn split_member(name: &Name) -> Option<(Name, String)> {
    let (class, member) = name.text.rsplit_once('.')?;
    Some((Name { at: name.at, text: String::from(class) }, String::from(member)))
}
