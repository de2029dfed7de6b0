//! What names mean: numbers of classes, functions, statics; slots of fields; places of methods. And the tables that grow by use.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::AsmError;
use super::items::{ClassItem, ClassItemKind, Items, MethodItem, Name, SignatureText, TypeText};
use crate::builtin::Builtin;
use crate::module::{Field, FunctionImport, Module};
use crate::types::{ClassReference, Signature, ValueType};

/// What a class's name leads to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClassNames {
    /// Fields in order of slots, the superclass's first.
    pub(crate) fields: Vec<String>,
    /// The same for extension fields.
    pub(crate) extension_fields: Vec<String>,
    /// Methods in order of the table, the superclass's first.
    pub(crate) methods: Vec<(String, Signature)>,
}

/// All names of a file.
#[derive(Debug, Default)]
pub(crate) struct Names {
    classes: BTreeMap<String, ClassReference>,
    /// For each class number, its item.
    pub(crate) class_order: Vec<usize>,
    /// For each class number, its members.
    pub(crate) members: Vec<ClassNames>,
    functions: BTreeMap<String, (u32, Signature)>,
    statics: BTreeMap<String, u32>,
    signatures: BTreeMap<String, Signature>,
}

/// A module that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) module: Module,
    strings: BTreeMap<String, u32>,
    signatures: BTreeMap<Signature, u32>,
}

/// A position in a list as the file's number.
pub(crate) fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Builder {
    /// The index of a string constant.
    pub(crate) fn string(&mut self, text: &str) -> u32 {
        if let Some(index) = self.strings.get(text) {
            return *index;
        }
        let index = number(self.module.strings.len());
        self.module.strings.push(String::from(text));
        self.strings.insert(String::from(text), index);
        index
    }

    /// The index of a signature.
    pub(crate) fn signature(&mut self, signature: &Signature) -> u32 {
        if let Some(index) = self.signatures.get(signature) {
            return *index;
        }
        let index = number(self.module.signatures.len());
        self.module.signatures.push(signature.clone());
        self.signatures.insert(signature.clone(), index);
        index
    }
}

impl Names {
    /// Gives every name of the file its number.
    pub(crate) fn collect(items: &Items) -> Result<Self, AsmError> {
        let mut names = Self::default();
        names.order_classes(items)?;
        for (name, signature) in &items.signatures {
            let signature = names.signature(signature)?;
            if names.signatures.insert(name.text.clone(), signature).is_some() {
                return Err(twice(name));
            }
        }
        let imports = items.function_imports.iter().map(|item| (&item.name, &item.signature));
        let definitions = items.functions.iter().map(|item| (&item.name, &item.signature));
        for (index, (name, signature)) in imports.chain(definitions).enumerate() {
            let entry = (number(index), names.signature(signature)?);
            if names.functions.insert(name.text.clone(), entry).is_some() {
                return Err(twice(name));
            }
        }
        for (index, (name, _)) in items.statics.iter().enumerate() {
            if names.statics.insert(name.text.clone(), number(index)).is_some() {
                return Err(twice(name));
            }
        }
        for place in 0..names.class_order.len() {
            let members = names.collect_members(items, place)?;
            names.members.push(members);
        }
        Ok(names)
    }

    /// Imports first, then definitions; in each, superclasses before subclasses, otherwise as written.
    fn order_classes(&mut self, items: &Items) -> Result<(), AsmError> {
        let mut by_name = BTreeMap::new();
        for (index, class) in items.classes.iter().enumerate() {
            let taken = Builtin::from_name(&class.name.text).is_some();
            if taken || by_name.insert(class.name.text.as_str(), index).is_some() {
                return Err(twice(&class.name));
            }
        }
        let mut placed = BTreeSet::new();
        for imported in [true, false] {
            for (index, class) in items.classes.iter().enumerate() {
                if class.from.is_some() == imported {
                    self.place_class(items, &by_name, &mut placed, index)?;
                }
            }
        }
        Ok(())
    }

    /// Places a class after all that stand above it.
    fn place_class(
        &mut self,
        items: &Items,
        by_name: &BTreeMap<&str, usize>,
        placed: &mut BTreeSet<usize>,
        index: usize,
    ) -> Result<(), AsmError> {
        let mut chain = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next.filter(|index| !placed.contains(index)) {
            let Some(class) = items.classes.get(index) else { break };
            if chain.contains(&index) {
                return Err(class.name.at.error("the class stands above itself"));
            }
            chain.push(index);
            next = None;
            if let Some(superclass) = &class.superclass {
                next = by_name.get(superclass.text.as_str()).copied();
                if next.is_none() && Builtin::from_name(&superclass.text).is_none() {
                    return Err(unknown(superclass, "class"));
                }
            }
        }
        for index in chain.into_iter().rev() {
            let Some(class) = items.classes.get(index) else { continue };
            placed.insert(index);
            let reference = ClassReference(number(self.class_order.len()));
            self.classes.insert(class.name.text.clone(), reference);
            self.class_order.push(index);
        }
        Ok(())
    }

    fn collect_members(&self, items: &Items, place: usize) -> Result<ClassNames, AsmError> {
        let item = self.class_order.get(place).and_then(|index| items.classes.get(*index));
        let Some(class) = item else { return Ok(ClassNames::default()) };
        let mut members = match &class.superclass {
            None => ClassNames::default(),
            Some(superclass) => self.members_of(self.class(superclass)?),
        };
        let texts = |list: &[(Name, TypeText)]| {
            list.iter().map(|(name, _)| name.text.clone()).collect::<Vec<_>>()
        };
        members.fields.extend(texts(&class.fields));
        members.extension_fields.extend(texts(&class.extension_fields));
        for method in &class.methods {
            if let MethodItem::New { name, signature, body, .. } = method {
                let signature = self.method_signature(class, name, signature, body)?;
                members.methods.push((name.text.clone(), signature));
            }
        }
        Ok(members)
    }

    /// The signature of a new method: as written, or its function's, with the class itself as the receiver.
    fn method_signature(
        &self,
        class: &ClassItem,
        name: &Name,
        written: &Option<SignatureText>,
        body: &Option<Name>,
    ) -> Result<Signature, AsmError> {
        let own = ValueType::Reference { class: self.class(&class.name)?, nullable: false };
        match (written, body) {
            (Some(signature), _) => self.signature(signature),
            (None, Some(function)) => {
                let mut signature = self.function(function)?.1.clone();
                if let Some(receiver) = signature.parameters.first_mut() {
                    *receiver = own;
                }
                Ok(signature)
            }
            (None, None) => Err(name.at.error("expected a signature or `= FUNCTION`")),
        }
    }

    /// The members of a class, built in or of the file.
    pub(crate) fn members_of(&self, class: ClassReference) -> ClassNames {
        if let Some(builtin) = class.as_builtin() {
            let fields = builtin.fields().iter().map(|(name, _)| String::from(*name)).collect();
            return ClassNames { fields, ..ClassNames::default() };
        }
        let members = class.as_module_index().and_then(|index| self.members.get(index));
        members.cloned().unwrap_or_default()
    }

    /// The class of this name.
    pub(crate) fn class(&self, name: &Name) -> Result<ClassReference, AsmError> {
        if let Some(builtin) = Builtin::from_name(&name.text) {
            return Ok(ClassReference::builtin(builtin));
        }
        self.classes.get(&name.text).copied().ok_or_else(|| unknown(name, "class"))
    }

    /// The type as written.
    pub(crate) fn value(&self, text: &TypeText) -> Result<ValueType, AsmError> {
        let raw = match text.name.text.as_str() {
            "i32" => ValueType::I32,
            "i64" => ValueType::I64,
            "f32" => ValueType::F32,
            "f64" => ValueType::F64,
            _ => {
                let class = self.class(&text.name)?;
                return Ok(ValueType::Reference { class, nullable: text.nullable });
            }
        };
        if text.nullable {
            return Err(text.name.at.error("a number is never null"));
        }
        Ok(raw)
    }

    /// A signature as written.
    pub(crate) fn signature(&self, text: &SignatureText) -> Result<Signature, AsmError> {
        let mut signature = Signature::default();
        for (_, value) in &text.parameters {
            signature.parameters.push(self.value(value)?);
        }
        for value in &text.results {
            signature.results.push(self.value(value)?);
        }
        Ok(signature)
    }

    /// A signature that has a name.
    pub(crate) fn named_signature(&self, name: &Name) -> Result<&Signature, AsmError> {
        self.signatures.get(&name.text).ok_or_else(|| unknown(name, "signature"))
    }

    /// Number and signature of a function.
    pub(crate) fn function(&self, name: &Name) -> Result<&(u32, Signature), AsmError> {
        self.functions.get(&name.text).ok_or_else(|| unknown(name, "function"))
    }

    /// Number of a static variable.
    pub(crate) fn static_variable(&self, name: &Name) -> Result<u32, AsmError> {
        self.statics.get(&name.text).copied().ok_or_else(|| unknown(name, "static variable"))
    }

    /// The module with everything that needs no code: header, function imports, statics.
    pub(crate) fn start_module(&self, items: &Items, source: &str) -> Result<Builder, AsmError> {
        let mut builder = Builder::default();
        builder.module.name = items.name.as_ref().map(|name| name.text.clone()).unwrap_or_default();
        builder.module.version = items.version;
        builder.module.source = items.source.clone().unwrap_or_else(|| String::from(source));
        for item in &items.function_imports {
            let signature = builder.signature(&self.signature(&item.signature)?);
            builder.module.function_imports.push(FunctionImport {
                module: item.from.clone(),
                symbol: item.name.text.clone(),
                signature,
            });
        }
        for (name, value) in &items.statics {
            let field = Field { name: name.text.clone(), value: self.value(value)? };
            builder.module.statics.push(field);
        }
        Ok(builder)
    }
}

fn twice(name: &Name) -> AsmError {
    name.at.error(format!("the name `{}` is taken", name.text))
}

fn unknown(name: &Name, what: &str) -> AsmError {
    name.at.error(format!("there is no {what} `{}`", name.text))
}

/// Whether the item is an interface.
pub(crate) const fn is_interface(class: &ClassItem) -> bool {
    matches!(class.kind, ClassItemKind::Interface)
}
