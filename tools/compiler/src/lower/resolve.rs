//! Types as they are written, and classes for a choice of types.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, ClassDefinition, ClassKind, ClassReference, ClassShape, ElementKind,
};

use super::layout::ClassInfo;
use super::{Lowering, index};
use crate::ast::{TypeKind, TypeName};
use crate::diagnostic::Span;
use crate::types::{Array, Referent, Type};

/// Most classes of a program: generics that need ever larger types end here.
const CLASSES_MAX: usize = 10_000;

/// What type parameters stand for.
pub(super) type Bindings<'s> = Rc<Vec<(&'s str, Type)>>;

impl<'s> Lowering<'_, 's, '_> {
    /// The type that is written.
    pub(super) fn declared(&mut self, name: &TypeName<'s>) -> Type {
        match &name.kind {
            TypeKind::Mistake => Type::Mistake,
            TypeKind::Named(text, arguments) => self.named(text, arguments, name.span),
            TypeKind::List(element) => {
                let element = self.declared(element);
                self.list_of(element, name.span)
            }
            TypeKind::Nullable(inner) => match self.declared(inner) {
                Type::Object(referent) => Type::Nullable(referent),
                other @ (Type::Nullable(_) | Type::Mistake) => other,
                other => {
                    let message = format!("`{}` is never null", self.show(other));
                    let help = "only references are: texts, arrays, objects, functions";
                    self.diagnostics.error_with_help(name.span, message, "is no reference", help);
                    Type::Mistake
                }
            },
            TypeKind::Function(parameters, result) => {
                let parameters = parameters.iter().map(|kind| self.declared(kind)).collect();
                let result = self.declared(result);
                self.function_type(parameters, result)
            }
        }
    }

    fn named(&mut self, text: &'s str, arguments: &[TypeName<'s>], span: Span) -> Type {
        if let Some((_, bound)) = self.body.bindings.iter().find(|(name, _)| *name == text) {
            return *bound;
        }
        if let Some(kind) = Type::named(text) {
            return kind;
        }
        if let Some(number) = self.enum_number(text) {
            return Type::Enum(number);
        }
        if text == "Anything" && self.body.is_library() {
            return Type::ANYTHING;
        }
        if text == "RawArray" && self.body.is_library() {
            let element = arguments.first().map_or(Type::Mistake, |name| self.declared(name));
            return self.raw_array(element);
        }
        if let Some(class) = super::library::internal_class(text).filter(|_| self.body.is_library())
        {
            return Type::machine(class);
        }
        if let Some(builtin) = exception(text) {
            return Type::Object(Referent::Class(ClassReference::builtin(builtin)));
        }
        let Some(place) = self.class_place(text) else {
            let help = "there are bool, i32, u32, i64, u64, f32, f64 (number), string, Int32Array and its like, `T[]` and classes";
            let message = format!("there is no type `{text}`");
            self.diagnostics.error_with_help(span, message, "not known", help);
            return Type::Mistake;
        };
        let arguments: Vec<Type> = arguments.iter().map(|name| self.declared(name)).collect();
        let wanted = self.program.classes.get(place).map_or(0, |class| class.generics.len());
        if wanted != arguments.len() {
            let message = format!("`{text}` takes {wanted} types, found {}", arguments.len());
            self.diagnostics.error(span, message, "here");
            return Type::Mistake;
        }
        if arguments.contains(&Type::Mistake) || arguments.contains(&Type::Void) {
            return Type::Mistake;
        }
        if !self.may_be_weak(place, &arguments, span) {
            return Type::Mistake;
        }
        let class = self.instantiate(place, arguments, span);
        if class == ClassReference::builtin(Builtin::Object) {
            self.diagnostics.error(span, "this class stands above itself", "a circle");
            return Type::Mistake;
        }
        Type::Object(Referent::Class(class))
    }

    /// The class of the tree at this place with these types; made if it is new.
    pub(super) fn instantiate(
        &mut self,
        place: usize,
        arguments: Vec<Type>,
        span: Span,
    ) -> ClassReference {
        let object = ClassReference::builtin(Builtin::Object);
        let key = (place, arguments);
        if let Some(known) = self.class_instances.get(&key) {
            return *known;
        }
        let Some(class) = self.program.classes.get(place) else { return object };
        if self.module.classes.len() >= CLASSES_MAX {
            self.diagnostics.error(span, "this needs too many classes", "ever larger types?");
            return object;
        }
        let pairs = class.generics.iter().map(|name| name.text).zip(key.1.iter().copied());
        let bindings: Bindings<'s> = Bindings::new(pairs.collect());
        let mut name = String::from(class.name.text);
        if !key.1.is_empty() {
            let list: Vec<String> = key.1.iter().map(|kind| self.show(*kind)).collect();
            name = format!("{name}<{}>", list.join(", "));
        }
        // Superclasses come first; a circle is broken where it is noticed.
        self.class_instances.insert(key.clone(), object);
        let outer = self.body.enter(bindings.clone(), class.file);
        let superclass = class.superclass.as_ref().map(|upper| {
            let found = self.declared(upper);
            self.check_superclass(found, upper.span)
        });
        self.body.leave(outer);
        let mut info = ClassInfo::new(name, place, key.1.clone(), bindings.clone());
        info.superclass = superclass.filter(|upper| *upper != object);
        info.is_interface = class.is_interface;
        info.is_abstract = class.is_abstract;
        let reference = self.reserve_class(&info.name);
        self.name_class(reference, class.name.text, class.file, &key.1);
        self.class_instances.insert(key, reference);
        self.classes.insert(reference, info);
        let outer = self.body.enter(bindings, class.file);
        let named: Vec<(Type, Span)> =
            class.interfaces.iter().map(|name| (self.declared(name), name.span)).collect();
        self.body.leave(outer);
        let interfaces = self.interfaces(superclass, &named);
        if let Some(info) = self.classes.get_mut(&reference) {
            info.interfaces = interfaces;
        }
        reference
    }

    /// A weak reference leads to an object.
    pub(super) fn may_be_weak(&mut self, place: usize, arguments: &[Type], span: Span) -> bool {
        let right = !self.is_library_class("WeakRef", place)
            || matches!(arguments, [Type::Object(_)])
            || arguments.contains(&Type::Mistake);
        if !right && let Some(kind) = arguments.first() {
            let message =
                format!("a weak reference leads to an object, not to `{}`", self.show(*kind));
            self.diagnostics.error(span, message, "leads to none");
        }
        right
    }

    /// A place in the module for a class that is laid out later.
    pub(super) fn reserve_class(&mut self, name: &str) -> ClassReference {
        let reference = ClassReference(index(self.module.classes.len()));
        self.module.classes.push(ClassDefinition {
            name: name.into(),
            shape: ClassShape {
                kind: ClassKind::Plain,
                superclass: ClassReference::builtin(Builtin::Object),
                interfaces: Vec::new(),
                fields: Vec::new(),
                extension_fields: Vec::new(),
                methods: Vec::new(),
            },
            bodies: Vec::new(),
            interface_methods: Vec::new(),
        });
        reference
    }

    fn check_superclass(&mut self, found: Type, span: Span) -> ClassReference {
        let object = ClassReference::builtin(Builtin::Object);
        let Type::Object(Referent::Class(class)) = found else {
            if found != Type::Mistake {
                self.diagnostics.error(span, "only classes have subclasses", "is no class");
            }
            return object;
        };
        if self.classes.get(&class).is_some_and(|info| info.is_interface) {
            let help = "write `implements`";
            self.diagnostics.error_with_help(span, "this is an interface", "not a class", help);
            return object;
        }
        class
    }

    /// All interfaces of a class: those named and what stands above them, without what its superclass has.
    fn interfaces(
        &mut self,
        superclass: Option<ClassReference>,
        named: &[(Type, Span)],
    ) -> Vec<ClassReference> {
        let mut list: Vec<ClassReference> = Vec::new();
        for (kind, span) in named {
            let Type::Object(Referent::Class(class)) = *kind else { continue };
            let above = match self.classes.get(&class) {
                Some(found) if found.is_interface => found.interfaces.clone(),
                _ => {
                    let help = "write `extends` for a class";
                    let message = "only interfaces are implemented";
                    self.diagnostics.error_with_help(*span, message, "is none", help);
                    continue;
                }
            };
            for class in above.into_iter().chain([class]) {
                let inherited = superclass.is_some_and(|upper| self.is_below(upper, class));
                if !inherited && !list.contains(&class) {
                    list.push(class);
                }
            }
        }
        list
    }

    /// Whether the first class is the second or below it, or implements it.
    pub(super) fn is_below(&self, class: ClassReference, above: ClassReference) -> bool {
        let mut next = Some(class);
        while let Some(class) = next {
            if class == above {
                return true;
            }
            if let Some(builtin) = class.as_builtin() {
                return above.as_builtin().is_some_and(|above| builtin.is_below(above));
            }
            let Some(info) = self.classes.get(&class) else { return false };
            if info.interfaces.contains(&above) {
                return true;
            }
            next = info.superclass;
        }
        false
    }

    /// `T[]`.
    pub(super) fn list_of(&mut self, element: Type, span: Span) -> Type {
        let Some(place) = self.library_class("Array") else { return Type::Mistake };
        match element {
            Type::Mistake => Type::Mistake,
            Type::Void | Type::Null => {
                let message = format!("there are no arrays of `{}`", self.show(element));
                self.diagnostics.error(span, message, "here");
                Type::Mistake
            }
            _ => {
                let class = self.instantiate(place, Vec::from([element]), span);
                Type::Object(Referent::Class(class))
            }
        }
    }

    /// The element's type, if it is a `T[]`.
    pub(super) fn list_element(&self, kind: Type) -> Option<Type> {
        let Type::Object(Referent::Class(class)) = kind else { return None };
        let info = self.classes.get(&class)?;
        let is_list = self.is_library_class("Array", info.template);
        info.arguments.first().copied().filter(|_| is_list)
    }

    /// An array of the machine for elements of this type.
    pub(super) fn raw_array(&mut self, element: Type) -> Type {
        let known = self.elements.iter().position(|known| *known == element);
        let place = known.unwrap_or_else(|| {
            self.elements.push(element);
            self.elements.len() - 1
        });
        let class = match element {
            Type::Bool => ClassReference::builtin(Builtin::ByteArray),
            Type::I64 | Type::U64 => ClassReference::builtin(Builtin::LongArray),
            Type::F32 => ClassReference::builtin(Builtin::FloatArray),
            Type::F64 => ClassReference::builtin(Builtin::DoubleArray),
            _ => match element.referent() {
                Some(referent) => self.array_class(referent.class()),
                None => ClassReference::builtin(Builtin::IntArray),
            },
        };
        Type::Object(Referent::Raw(class, u16::try_from(place).unwrap_or(u16::MAX)))
    }

    /// The class of arrays whose elements are of this class.
    fn array_class(&mut self, element: ClassReference) -> ClassReference {
        if element == ClassReference::builtin(Builtin::String) {
            return ClassReference::builtin(Builtin::StringArray);
        }
        if let Some(known) = self.array_classes.get(&element) {
            return *known;
        }
        let made = self.reserve_class("array");
        if let Some(definition) = self.module.classes.last_mut() {
            let element = ElementKind::Reference;
            definition.shape.kind = ClassKind::Array { element, class: ClassReference(0) };
        }
        if let Some(definition) = self.module.classes.last_mut()
            && let ClassKind::Array { class, .. } = &mut definition.shape.kind
        {
            *class = element;
        }
        self.name_array(made, element);
        self.array_classes.insert(element, made);
        made
    }

    pub(super) fn function_type(&mut self, parameters: Vec<Type>, result: Type) -> Type {
        if parameters.contains(&Type::Mistake) || result == Type::Mistake {
            return Type::Mistake;
        }
        let wanted = (parameters, result);
        let known = self.function_types.iter().position(|known| *known == wanted);
        let place = known.unwrap_or_else(|| {
            self.function_types.push(wanted);
            self.function_types.len() - 1
        });
        Type::Object(Referent::Function(u16::try_from(place).unwrap_or(u16::MAX)))
    }

    /// A type as people write it.
    pub(super) fn show(&self, kind: Type) -> String {
        match kind {
            Type::Enum(place) => {
                self.enums.get(usize::from(place)).map_or("enum", |known| known.name).into()
            }
            Type::Nullable(referent) => format!("{} | null", self.show(Type::Object(referent))),
            Type::Object(Referent::Class(class)) => match self.list_element(kind) {
                Some(element @ Type::Nullable(_)) => format!("({})[]", self.show(element)),
                Some(element) => format!("{}[]", self.show(element)),
                None => match class.as_builtin() {
                    Some(Builtin::Exception) => String::from("Error"),
                    Some(builtin) => String::from(builtin.name()),
                    None => self.classes.get(&class).map_or("object", |info| &info.name).into(),
                },
            },
            Type::Object(Referent::Raw(..)) => String::from("RawArray"),
            Type::Object(Referent::Function(place)) => {
                let Some((parameters, result)) = self.function_types.get(usize::from(place)) else {
                    return String::from("function");
                };
                let list: Vec<String> = parameters.iter().map(|kind| self.show(*kind)).collect();
                format!("({}) => {}", list.join(", "), self.show(*result))
            }
            _ => kind.simple_name().into(),
        }
    }
}

/// The machine's class of exceptions with this name in the language.
pub(super) fn exception(name: &str) -> Option<Builtin> {
    if name == "Error" {
        return Some(Builtin::Exception);
    }
    Builtin::from_name(name)
        .filter(|class| class.is_below(Builtin::Exception) && *class != Builtin::Exception)
}

/// The instructions that load and store an element of a machine array, by what it holds.
pub(super) fn raw_access(element: Type) -> (revenant_bytecode::Opcode, revenant_bytecode::Opcode) {
    use revenant_bytecode::Opcode as O;
    match element {
        Type::Bool => Array::U8.access(),
        Type::I64 | Type::U64 => Array::I64.access(),
        Type::F32 => Array::F32.access(),
        Type::F64 => Array::F64.access(),
        _ if element.is_reference() => (O::ArrayLoadRef, O::ArrayStoreRef),
        _ => Array::I32.access(),
    }
}
