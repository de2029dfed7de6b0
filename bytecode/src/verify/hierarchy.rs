//! Questions about the classes of a module: what stands below what, which field a slot is, which method an index.
//!
//! Construction checks what walking needs: superclasses exist, come before their subclasses (so there is no cycle), are not deeper than the
//! limit. Built-in classes answer from their table.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Budget, Place, VerifyError};
use crate::builtin::{Builtin, BuiltinKind};
use crate::module::{CLASS_DEPTH_MAX, ClassKind, ClassShape, FIELDS_MAX, Module};
use crate::types::{ClassReference, ElementKind, Signature, ValueType};

/// What a subclass needs to know of what stands above it.
#[derive(Clone, Copy, Debug, Default)]
struct Above {
    depth: usize,
    fields: usize,
    extension_fields: usize,
    methods: usize,
}

/// The classes of one module.
#[derive(Debug)]
pub(crate) struct Hierarchy<'m> {
    pub(crate) module: &'m Module,
    pub(crate) budget: &'m Budget,
    /// For each module class, what its superclasses sum up to.
    above: Vec<Above>,
}

impl<'m> Hierarchy<'m> {
    /// Checks the superclasses of all classes.
    pub(crate) fn new(module: &'m Module, budget: &'m Budget) -> Result<Self, VerifyError> {
        let mut hierarchy = Self { module, budget, above: Vec::new() };
        let shapes = (module.class_imports.iter().map(|import| (&import.symbol, &import.shape)))
            .chain(module.classes.iter().map(|class| (&class.name, &class.shape)));
        for (name, shape) in shapes {
            let above = hierarchy
                .check_superclass(shape)
                .map_err(|reason| VerifyError { place: Place::Class(name.clone()), reason })?;
            hierarchy.above.push(above);
        }
        Ok(hierarchy)
    }

    fn check_superclass(&self, shape: &ClassShape) -> Result<Above, String> {
        let superclass = shape.superclass;
        let mut above = if let Some(builtin) = superclass.as_builtin() {
            if builtin.kind() != BuiltinKind::Plain {
                return Err(format!("the built-in class {} cannot be extended", builtin.name()));
            }
            Above { depth: 3, fields: builtin.fields().len(), ..Above::default() }
        } else {
            let index = superclass.as_module_index().filter(|index| *index < self.above.len());
            let (Some(index), Some(upper)) = (index, self.module.shape(superclass)) else {
                return Err(String::from(
                    "the superclass must be built in or stand before the class",
                ));
            };
            if !matches!(upper.kind, ClassKind::Plain | ClassKind::Abstract) {
                return Err(String::from("the superclass is an interface or an array class"));
            }
            let above = self.above.get(index).copied().unwrap_or_default();
            Above {
                depth: above.depth.saturating_add(1),
                fields: above.fields.saturating_add(upper.fields.len()),
                extension_fields: above
                    .extension_fields
                    .saturating_add(upper.extension_fields.len()),
                methods: above.methods.saturating_add(upper.methods.len()),
            }
        };
        if above.depth > CLASS_DEPTH_MAX {
            return Err(format!("more than {CLASS_DEPTH_MAX} classes up to Object"));
        }
        if matches!(shape.kind, ClassKind::Interface | ClassKind::Array { .. }) {
            if superclass != ClassReference::builtin(Builtin::Object) {
                return Err(String::from(
                    "interfaces and array classes stand directly below Object",
                ));
            }
            above.fields = 0;
        }
        let fields = above.fields.saturating_add(shape.fields.len());
        let extension = above.extension_fields.saturating_add(shape.extension_fields.len());
        let methods = above.methods.saturating_add(shape.methods.len());
        if fields.max(extension).max(methods) > FIELDS_MAX {
            return Err(format!("more than {FIELDS_MAX} fields or methods"));
        }
        Ok(above)
    }

    /// Whether the reference names a class, built in or of the module.
    pub(crate) fn exists(&self, class: ClassReference) -> bool {
        class.as_builtin().is_some() || self.module.shape(class).is_some()
    }

    /// The class's name, for messages.
    pub(crate) fn name(&self, class: ClassReference) -> &str {
        if class == ClassReference::NOTHING {
            return "null";
        }
        self.module.class_name(class).unwrap_or("(no class)")
    }

    /// The superclass; none above `Object`.
    pub(crate) fn superclass(&self, class: ClassReference) -> Option<ClassReference> {
        match class.as_builtin() {
            Some(Builtin::Object) => None,
            Some(builtin) => Some(ClassReference::builtin(builtin.superclass())),
            None => self.module.shape(class).map(|shape| shape.superclass),
        }
    }

    /// Whether objects of class `below` can stand where `above` is wanted.
    pub(crate) fn is_below(
        &self,
        below: ClassReference,
        above: ClassReference,
    ) -> Result<bool, String> {
        if below == above
            || below == ClassReference::NOTHING
            || above == ClassReference::builtin(Builtin::Object)
        {
            return Ok(true);
        }
        let mut next = Some(below);
        while let Some(class) = next {
            self.budget.charge(1)?;
            if class == above {
                return Ok(true);
            }
            if let Some(shape) = self.module.shape(class) {
                self.budget.charge(shape.interfaces.len())?;
                if shape.interfaces.contains(&above) {
                    return Ok(true);
                }
            }
            next = self.superclass(class);
        }
        Ok(false)
    }

    /// The least class above both that is one of them or a superclass of the first.
    pub(crate) fn join(
        &self,
        first: ClassReference,
        second: ClassReference,
    ) -> Result<ClassReference, String> {
        if self.is_below(first, second)? {
            return Ok(second);
        }
        let mut next = Some(first);
        while let Some(class) = next {
            if self.is_below(second, class)? {
                return Ok(class);
            }
            next = self.superclass(class);
        }
        Ok(ClassReference::builtin(Builtin::Object))
    }

    /// Calls `find` with the shapes from the class upwards and what stands above each, until it answers.
    fn search<T>(
        &self,
        class: ClassReference,
        find: impl Fn(&'m ClassShape, Above) -> Option<T>,
    ) -> Option<T> {
        let mut class = class;
        loop {
            let shape = self.module.shape(class)?;
            let above = self.above.get(class.as_module_index()?).copied()?;
            if let Some(found) = find(shape, above) {
                return Some(found);
            }
            class = shape.superclass;
        }
    }

    /// The built-in class that the class is or extends.
    fn builtin_root(&self, class: ClassReference) -> Option<Builtin> {
        let mut next = Some(class);
        while let Some(class) = next {
            if let Some(builtin) = class.as_builtin() {
                return Some(builtin);
            }
            next = self.superclass(class);
        }
        None
    }

    /// The type of a field slot.
    pub(crate) fn field(&self, class: ClassReference, slot: u16) -> Option<ValueType> {
        let slot = usize::from(slot);
        let builtin = self.builtin_root(class)?;
        if let Some((_, value)) = builtin.fields().get(slot) {
            return self.has_fields(class).then_some(*value);
        }
        self.search(class, |shape, above| {
            shape.fields.get(slot.checked_sub(above.fields)?).map(|field| field.value)
        })
    }

    fn has_fields(&self, class: ClassReference) -> bool {
        self.module
            .shape(class)
            .is_none_or(|shape| matches!(shape.kind, ClassKind::Plain | ClassKind::Abstract))
    }

    /// The type of an extension slot.
    pub(crate) fn extension_field(&self, class: ClassReference, slot: u16) -> Option<ValueType> {
        let slot = usize::from(slot);
        self.search(class, |shape, above| {
            let index = slot.checked_sub(above.extension_fields)?;
            shape.extension_fields.get(index).map(|field| field.value)
        })
    }

    /// How many virtual methods the class's table has.
    pub(crate) fn method_count(&self, class: ClassReference) -> usize {
        let own = self.module.shape(class).map_or(0, |shape| shape.methods.len());
        self.inherited_methods(class).saturating_add(own)
    }

    /// How many of them come from superclasses.
    pub(crate) fn inherited_methods(&self, class: ClassReference) -> usize {
        let index = class.as_module_index();
        index.and_then(|index| self.above.get(index)).map_or(0, |above| above.methods)
    }

    /// The signature of a virtual method, or of an interface's.
    pub(crate) fn method(&self, class: ClassReference, index: u32) -> Option<&'m Signature> {
        let index = usize::try_from(index).ok()?;
        let signature = self.search(class, |shape, above| {
            shape.methods.get(index.checked_sub(above.methods)?).map(|method| method.signature)
        })?;
        self.module.signature(signature)
    }

    /// Whether the class is an interface.
    pub(crate) fn is_interface(&self, class: ClassReference) -> bool {
        self.module.shape(class).is_some_and(|shape| shape.kind == ClassKind::Interface)
    }

    /// Kind and type of the elements, for array classes.
    pub(crate) fn element(&self, class: ClassReference) -> Option<(ElementKind, ValueType)> {
        if let Some(builtin) = class.as_builtin() {
            let BuiltinKind::Array(kind) = builtin.kind() else { return None };
            return builtin.element().map(|value| (kind, value));
        }
        let ClassKind::Array { element, class } = self.module.shape(class)?.kind else {
            return None;
        };
        let value = match element {
            ElementKind::U8 | ElementKind::I16 | ElementKind::I32 => ValueType::I32,
            ElementKind::I64 => ValueType::I64,
            ElementKind::F32 => ValueType::F32,
            ElementKind::F64 => ValueType::F64,
            ElementKind::Reference => ValueType::Reference { class, nullable: true },
        };
        Some((element, value))
    }

    /// Whether `object.new` can make objects of it.
    pub(crate) fn is_constructible(&self, class: ClassReference) -> bool {
        match class.as_builtin() {
            Some(builtin) => builtin.kind() == BuiltinKind::Plain,
            None => self.module.shape(class).is_some_and(|shape| shape.kind == ClassKind::Plain),
        }
    }

    /// The type in words, as assembly writes it.
    pub(crate) fn describe(&self, value: ValueType) -> String {
        match value {
            ValueType::I32 => String::from("i32"),
            ValueType::I64 => String::from("i64"),
            ValueType::F32 => String::from("f32"),
            ValueType::F64 => String::from("f64"),
            ValueType::Reference { class, nullable } => {
                format!("{}{}", self.name(class), if nullable { "?" } else { "" })
            }
        }
    }

    /// Whether a value of type `below` can stand where `above` is wanted.
    pub(crate) fn fits(&self, below: ValueType, above: ValueType) -> Result<bool, String> {
        match (below, above) {
            (
                ValueType::Reference { class: lower, nullable },
                ValueType::Reference { class: upper, nullable: may_be_null },
            ) => Ok((may_be_null || !nullable) && self.is_below(lower, upper)?),
            (lower, upper) => Ok(lower == upper),
        }
    }
}
