//! What stands where in an object: fields in slots, methods as functions and, where some class below has them again or an
//! interface asks for them, in a table.
//!
//! A call of a method that no class below has is a call of its function: all classes of a program are known.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use revenant_bytecode::{
    Builtin, CLASS_DEPTH_MAX, ClassReference, FIELDS_MAX, Field, Method as TableMethod, MethodBody,
    ValueType,
};

use super::resolve::Bindings;
use super::{Callee, Global, Lowering, Work, index};
use crate::ast::{Access, Class, Method, Modifiers, Name, Role, Variable};
use crate::types::{Referent, Type};

/// A class of the program or the library, for one choice of types.
#[derive(Debug)]
pub(super) struct ClassInfo<'s> {
    pub(super) name: String,
    /// Its place in the tree.
    pub(super) template: usize,
    pub(super) arguments: Vec<Type>,
    pub(super) bindings: Bindings<'s>,
    pub(super) superclass: Option<ClassReference>,
    /// Without those of the superclass.
    pub(super) interfaces: Vec<ClassReference>,
    pub(super) is_interface: bool,
    pub(super) is_abstract: bool,
    pub(super) laid_out: bool,
    pub(super) fields: BTreeMap<&'s str, FieldInfo>,
    pub(super) methods: BTreeMap<(Role, &'s str), MethodInfo>,
    slots: u16,
    pub(super) depth: usize,
    pub(super) table: Vec<MethodBody>,
}

/// Where a field is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Slot(u16),
    Static(Global),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct FieldInfo {
    pub(super) kind: Type,
    pub(super) place: Place,
    pub(super) owner: ClassReference,
    pub(super) modifiers: Modifiers,
}

#[derive(Clone, Debug)]
pub(super) struct MethodInfo {
    /// Its index is of the function in the class that has the body; `u32::MAX` if none has or it was never used.
    pub(super) callee: Callee,
    /// The class that has the body.
    pub(super) owner: ClassReference,
    pub(super) modifiers: Modifiers,
    /// The class that has it first, and its place in the table.
    pub(super) table: Option<(ClassReference, u32)>,
    /// Whether a class below has it again.
    pub(super) overridden: bool,
}

impl<'s> ClassInfo<'s> {
    pub(super) fn new(
        name: String,
        template: usize,
        arguments: Vec<Type>,
        bindings: Bindings<'s>,
    ) -> Self {
        Self {
            name,
            template,
            arguments,
            bindings,
            superclass: None,
            interfaces: Vec::new(),
            is_interface: false,
            is_abstract: false,
            laid_out: false,
            fields: BTreeMap::new(),
            methods: BTreeMap::new(),
            slots: 0,
            depth: 1,
            table: Vec::new(),
        }
    }
}

impl<'p, 's> Lowering<'p, 's, '_> {
    /// Gives fields and methods of a class their places, once.
    pub(super) fn lay_out(&mut self, class: ClassReference) {
        let Some(info) = self.classes.get_mut(&class) else { return };
        if core::mem::replace(&mut info.laid_out, true) {
            return;
        }
        let (place, superclass, bindings) = (info.template, info.superclass, info.bindings.clone());
        let Some(tree) = self.program.classes.get(place) else { return };
        let outer = self.body.enter(bindings, tree.file);
        if let Some(upper) = superclass {
            self.inherit(class, upper, tree);
        }
        let mut fields = Vec::new();
        for field in &tree.fields {
            fields.extend(self.lay_out_field(class, &field.variable, field.modifiers));
        }
        let constructor = tree.methods.iter().find(|method| method.role == Role::Constructor);
        for (parameter, modifiers) in constructor.iter().flat_map(|method| &method.properties) {
            let Some((name, declared)) =
                constructor.and_then(|constructor| constructor.function.parameters.get(*parameter))
            else {
                continue;
            };
            let kind = declared.as_ref().map_or(Type::Mistake, |declared| self.declared(declared));
            fields.extend(self.place_field(class, *name, kind, *modifiers));
        }
        let mut table = Vec::new();
        for method in &tree.methods {
            table.extend(self.lay_out_method(class, tree, method));
        }
        self.body.leave(outer);
        self.define_class(class, fields, table);
        self.check_complete(class, tree.name);
    }

    /// Takes over what the superclass has.
    fn inherit(&mut self, class: ClassReference, upper: ClassReference, tree: &Class<'s>) {
        self.lay_out(upper);
        let (fields, methods, slots, depth, table) = match self.classes.get(&upper) {
            Some(above) => {
                let mut methods = above.methods.clone();
                methods.remove(&(Role::Constructor, "constructor"));
                let table = above.table.iter().map(|_| MethodBody::Inherited).collect();
                (above.fields.clone(), methods, above.slots, above.depth + 1, table)
            }
            None => (exception_fields(), BTreeMap::new(), 4, 3, Vec::new()),
        };
        if depth >= CLASS_DEPTH_MAX - 2 {
            self.diagnostics.error(tree.name.span, "too many classes stand above this one", "here");
        }
        if let Some(info) = self.classes.get_mut(&class) {
            info.fields = fields;
            info.methods = methods;
            info.slots = slots;
            info.depth = depth;
            info.table = table;
        }
    }

    fn lay_out_field(
        &mut self,
        class: ClassReference,
        variable: &'p Variable<'s>,
        modifiers: Modifiers,
    ) -> Option<Field> {
        let kind = self.variable_type(variable);
        if !modifiers.is_static {
            return self.place_field(class, variable.name, kind, modifiers);
        }
        self.check_free(class, variable.name)?;
        let info = self.classes.get(&class)?;
        if !info.arguments.is_empty() {
            let help = "write a variable of the module";
            let message = "a generic class has no static fields";
            self.diagnostics.error_with_help(variable.name.span, message, "here", help);
            return None;
        }
        let name = format!("{}.{}", info.name, variable.name.text);
        let global = self.static_variable(variable, kind, name);
        let place = Place::Static(global);
        let field = FieldInfo { kind, place, owner: class, modifiers };
        self.classes.get_mut(&class)?.fields.insert(variable.name.text, field);
        None
    }

    fn check_free(&mut self, class: ClassReference, name: Name<'s>) -> Option<()> {
        let info = self.classes.get(&class)?;
        let method = [Role::Method, Role::Getter, Role::Setter]
            .iter()
            .any(|role| info.methods.contains_key(&(*role, name.text)));
        if method || info.fields.contains_key(name.text) {
            let message = format!("`{}` has a `{}` already", info.name, name.text);
            self.diagnostics.error(name.span, message, "a second one");
            return None;
        }
        Some(())
    }

    fn place_field(
        &mut self,
        class: ClassReference,
        name: Name<'s>,
        kind: Type,
        modifiers: Modifiers,
    ) -> Option<Field> {
        if kind == Type::Void {
            self.diagnostics.error(name.span, "a field cannot be `void`", "has no value");
        }
        self.check_free(class, name)?;
        let info = self.classes.get_mut(&class)?;
        let place = Place::Slot(info.slots);
        info.slots = info.slots.saturating_add(1);
        info.fields.insert(name.text, FieldInfo { kind, place, owner: class, modifiers });
        if usize::from(info.slots) > FIELDS_MAX {
            self.diagnostics.error(name.span, "this class has too many fields", "one too many");
        }
        Some(Field { name: name.text.into(), value: kind.stored() })
    }

    /// A method: its types, its function if it has a body, its place in the table if it needs one.
    fn lay_out_method(
        &mut self,
        class: ClassReference,
        tree: &'p Class<'s>,
        method: &'p Method<'s>,
    ) -> Option<TableMethod> {
        let (role, name) = (method.role, method.function.name);
        let key = (role, name.text);
        let (mut parameters, mut result) = self.signature_of(&method.function);
        if method.implicit
            && let Some(upper) = self.classes.get(&class)?.superclass
        {
            parameters = self.constructor_parameters(upper);
        }
        if role == Role::Getter && (result == Type::Void || !parameters.is_empty())
            || role == Role::Setter && parameters.len() != 1
        {
            let message = "a getter takes nothing and returns a value, a setter takes one";
            self.diagnostics.error(name.span, message, "does not");
            return None;
        }
        if role == Role::Setter {
            result = Type::Void;
        }
        let modifiers = method.modifiers;
        if modifiers.is_abstract && !tree.is_abstract && !tree.is_interface {
            let message = "only an abstract class has abstract methods";
            let help = format!("write `abstract class {}`", tree.name.text);
            self.diagnostics.error_with_help(name.span, message, "here", help);
        }
        let info = self.classes.get(&class)?;
        let own = format!("{}.{}", info.name, name.text);
        let (template, above) = (info.template, info.methods.get(&key).cloned());
        let twice = above.as_ref().is_some_and(|above| above.owner == class);
        if info.fields.contains_key(name.text) || twice {
            let message = format!("`{}` has a `{}` already", info.name, name.text);
            self.diagnostics.error(name.span, message, "a second one");
            return None;
        }
        if let Some(above) = &above {
            self.check_override(above, &parameters, result, modifiers, name);
            self.refuse_library_override(above, name);
        }
        // What a later input of a session has below is not known yet; its interfaces are none of the library's.
        let session = self.known.is_some();
        let open = session && tree.file != 0;
        let again = !session && self.overridden.contains(&(template, role, name.text));
        let overridden = open || again;
        let asked = self.known.is_none() && self.interface_methods.contains(&key);
        let wanted = modifiers.is_abstract
            || overridden
            || asked
            || above.as_ref().is_some_and(|above| above.table.is_some());
        let tabled = wanted && !modifiers.is_static && role != Role::Constructor;
        let callee = Callee { index: u32::MAX, parameters, result };
        let mut made = MethodInfo { callee, owner: class, modifiers, table: None, overridden };
        let lazy = tree.file == 0 && !tabled;
        if !modifiers.is_abstract && !lazy {
            made.callee.index = self.reserve_function();
            self.queue_method(class, method, &made.callee, &own);
        }
        let body = match made.callee.index {
            u32::MAX => MethodBody::Abstract,
            function => MethodBody::Function(function),
        };
        let mut new = None;
        if tabled {
            made.table = above.and_then(|above| above.table);
            new = self.place_in_table(class, &mut made, body, name.text);
        }
        self.classes.get_mut(&class)?.methods.insert(key, made);
        new
    }

    /// What the constructor of a class takes.
    pub(super) fn constructor_parameters(&mut self, class: ClassReference) -> Vec<Type> {
        if class.as_builtin().is_some() {
            return Vec::from([Type::TEXT]);
        }
        let found = self.method(class, Role::Constructor, "constructor");
        found.map(|found| found.callee.parameters).unwrap_or_default()
    }

    /// Puts the body in the table: at its old place, or at a new one, which has to be declared.
    fn place_in_table(
        &mut self,
        class: ClassReference,
        made: &mut MethodInfo,
        body: MethodBody,
        name: &str,
    ) -> Option<TableMethod> {
        let table = &mut self.classes.get_mut(&class)?.table;
        if let Some((_, place)) = made.table {
            *table.get_mut(usize::try_from(place).ok()?)? = body;
            return None;
        }
        made.table = Some((class, index(table.len())));
        table.push(body);
        let mut parameters = Vec::from([ValueType::Reference { class, nullable: false }]);
        parameters.extend(made.callee.parameters.iter().filter_map(|kind| kind.value()));
        let results = made.callee.result.value().into_iter().collect();
        let signature = self.signature(parameters, results);
        Some(TableMethod { name: name.into(), signature })
    }

    fn check_override(
        &mut self,
        above: &MethodInfo,
        parameters: &[Type],
        result: Type,
        modifiers: Modifiers,
        name: Name<'s>,
    ) {
        let alike = above.callee.parameters == parameters && above.callee.result == result;
        if !alike || above.modifiers.is_static != modifiers.is_static {
            let list: Vec<String> =
                above.callee.parameters.iter().map(|kind| self.show(*kind)).collect();
            let list = list.join(", ");
            let message = format!(
                "`{}` has other types in the class above: ({list}) => {}",
                name.text,
                self.show(above.callee.result)
            );
            self.diagnostics.error(name.span, message, "has to have the same");
        }
        if above.modifiers.access == Access::Private {
            let message = format!("`{}` is private in the class above", name.text);
            self.diagnostics.error(name.span, message, "a second one");
        }
    }

    fn queue_method(
        &mut self,
        class: ClassReference,
        method: &'p Method<'s>,
        callee: &Callee,
        name: &str,
    ) {
        self.name_method(callee.index, class, method.role, method.function.name.text);
        let Some(info) = self.classes.get(&class) else { return };
        let constructs = (method.role == Role::Constructor)
            .then(|| self.program.classes.get(info.template))
            .flatten();
        self.work.push(Work {
            function: &method.function,
            name: name.into(),
            callee: callee.clone(),
            bindings: info.bindings.clone(),
            class: Some(class),
            is_static: method.modifiers.is_static,
            constructs,
        });
    }

    /// A method's function; those of the library are made when they are asked for.
    pub(super) fn method_function(
        &mut self,
        class: ClassReference,
        role: Role,
        name: &str,
    ) -> Option<u32> {
        let info = self.classes.get(&class)?;
        let found = info.methods.get(&(role, name))?;
        if found.callee.index != u32::MAX {
            return Some(found.callee.index);
        }
        if found.owner != class {
            let owner = found.owner;
            return self.method_function(owner, role, name);
        }
        if found.modifiers.is_abstract {
            return None;
        }
        let mut callee = found.callee.clone();
        let own = format!("{}.{name}", info.name);
        let tree = self.program.classes.get(info.template)?;
        let mut methods = tree.methods.iter();
        let method = methods.find(|m| m.role == role && m.function.name.text == name)?;
        callee.index = self.reserve_function();
        self.queue_method(class, method, &callee, &own);
        let key = (role, method.function.name.text);
        self.classes.get_mut(&class)?.methods.get_mut(&key)?.callee.index = callee.index;
        Some(callee.index)
    }
}

/// What exceptions have for programs to see.
fn exception_fields<'s>() -> BTreeMap<&'s str, FieldInfo> {
    let modifiers =
        Modifiers { access: Access::Public, is_static: false, is_abstract: false, readonly: false };
    let owner = ClassReference::builtin(Builtin::Exception);
    let message =
        FieldInfo { kind: Type::Object(Referent::Text), place: Place::Slot(0), owner, modifiers };
    BTreeMap::from([("message", message)])
}

impl<'s> Lowering<'_, 's, '_> {
    /// A field of a class, which is laid out if it was not.
    pub(super) fn field(&mut self, class: ClassReference, name: &str) -> Option<FieldInfo> {
        if class.as_builtin().is_some() {
            return exception_fields().get(name).copied();
        }
        self.lay_out(class);
        self.classes.get(&class)?.fields.get(name).copied()
    }

    /// A method of a class or an interface, or of what stands above an interface.
    pub(super) fn method(
        &mut self,
        class: ClassReference,
        role: Role,
        name: &str,
    ) -> Option<MethodInfo> {
        self.lay_out(class);
        let info = self.classes.get(&class)?;
        if let Some(found) = info.methods.get(&(role, name)) {
            return Some(found.clone());
        }
        if !info.is_interface && !info.is_abstract {
            return None;
        }
        let above: Vec<ClassReference> =
            info.interfaces.iter().copied().chain(info.superclass).collect();
        above.into_iter().find_map(|above| self.method(above, role, name))
    }
}
