//! Classes into the module, once their layout is known: shapes, tables of methods, and whether everything that has to be there is.

use alloc::format;
use alloc::vec::Vec;

use revenant_bytecode::{Builtin, ClassKind, ClassReference, Field, Method as TableMethod};

use super::Lowering;
use crate::ast::Name;

impl<'s> Lowering<'_, 's, '_> {
    /// Writes the class into the module.
    pub(super) fn define_class(
        &mut self,
        class: ClassReference,
        fields: Vec<Field>,
        methods: Vec<TableMethod>,
    ) {
        let Some(info) = self.classes.get(&class) else { return };
        let (is_interface, table) = (info.is_interface, info.table.clone());
        let mut tables = Vec::new();
        for interface in info.interfaces.clone() {
            self.lay_out(interface);
            tables.push(self.interface_table(class, interface));
        }
        let place = class.as_module_index().unwrap_or(usize::MAX);
        let (Some(info), Some(definition)) =
            (self.classes.get(&class), self.module.classes.get_mut(place))
        else {
            return;
        };
        let shape = &mut definition.shape;
        shape.kind = match (is_interface, info.is_abstract) {
            (true, _) => ClassKind::Interface,
            (_, true) => ClassKind::Abstract,
            _ => ClassKind::Plain,
        };
        shape.superclass = info.superclass.unwrap_or(ClassReference::builtin(Builtin::Object));
        shape.interfaces.clone_from(&info.interfaces);
        shape.fields = fields;
        shape.methods = methods;
        if !is_interface {
            definition.bodies = table;
            definition.interface_methods = tables;
        }
    }

    /// For each method of the interface its place in the class's table.
    fn interface_table(&mut self, class: ClassReference, interface: ClassReference) -> Vec<u32> {
        let (Some(info), Some(asked)) = (self.classes.get(&class), self.classes.get(&interface))
        else {
            return Vec::new();
        };
        let own = asked.methods.iter().filter_map(|(key, method)| {
            let (_, place) = method.table.filter(|(first, _)| *first == interface)?;
            Some((place, *key, method))
        });
        let mut missing = Vec::new();
        let mut places: Vec<(u32, u32)> = Vec::new();
        for (place, key, wanted) in own {
            let found = info.methods.get(&key).filter(|found| {
                found.callee.parameters == wanted.callee.parameters
                    && found.callee.result == wanted.callee.result
            });
            match found.and_then(|found| found.table) {
                Some((_, found)) => places.push((place, found)),
                None => missing.push(key.1),
            }
        }
        if !info.is_interface
            && let Some(first) = missing.first()
        {
            let tree = self.program.classes.get(info.template).map(|tree| tree.name.span);
            let message = format!("`{}` has no `{first}` as `{}` has it", info.name, asked.name);
            self.diagnostics.error(tree.unwrap_or_default(), message, "does not implement it");
        }
        places.sort_unstable();
        places.into_iter().map(|(_, place)| place).collect()
    }

    /// A class that can be made has every method.
    pub(super) fn check_complete(&mut self, class: ClassReference, name: Name<'s>) {
        let Some(info) = self.classes.get(&class) else { return };
        if info.is_abstract || info.is_interface {
            return;
        }
        let missing = info.methods.iter().find(|(_, method)| method.modifiers.is_abstract);
        if let Some(((_, method), _)) = missing {
            let message = format!("`{}` does not have the abstract `{method}`", info.name);
            let help = "write it, or make the class abstract";
            self.diagnostics.error_with_help(name.span, message, "is not abstract", help);
        }
    }
}
