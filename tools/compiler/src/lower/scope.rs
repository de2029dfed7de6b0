//! What a name means in a file: what the file declares, what it imports, then the library.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;

use super::{Global, Lowering};
use crate::ast::{FileParts, Import, Name};
use crate::diagnostic::Span;
use crate::types::Type;

/// What is declared at the top of a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entity {
    /// A function or class, by its place in the tree.
    Function(usize),
    Class(usize),
    /// An enum, by its number.
    Enum(u16),
    Global(Global),
}

/// What a name of a file stands for.
#[derive(Clone, Copy, Debug)]
enum Meaning<'s> {
    Own(Entity),
    /// What another file calls so.
    Imported(u16, &'s str),
    /// All that another file has.
    Space(u16),
}

/// The names of a file.
#[derive(Debug, Default)]
pub(super) struct Scope<'s> {
    /// With the places where they are declared.
    names: BTreeMap<&'s str, (Meaning<'s>, Span)>,
    exports: BTreeSet<&'s str>,
}

impl<'s> Lowering<'_, 's, '_> {
    /// What a name means in the file that is being walked.
    pub(super) fn entity(&self, name: &str) -> Option<Entity> {
        self.entity_in(self.body.file, name)
    }

    /// What a name means in this file.
    pub(super) fn entity_in(&self, file: u16, name: &str) -> Option<Entity> {
        if let Some((space, member)) = name.split_once('.') {
            let (meaning, _) = self.meaning(file, space.trim_end())?;
            let Meaning::Space(other) = meaning else { return None };
            let member = member.trim_start();
            let scope = self.scopes.get(usize::from(other))?;
            return scope.exports.contains(member).then(|| self.own(other, member))?;
        }
        if let Some((meaning, _)) = self.meaning(file, name) {
            return match meaning {
                Meaning::Own(entity) => Some(entity),
                Meaning::Imported(other, name) => self.own(other, name),
                Meaning::Space(_) => None,
            };
        }
        self.own(0, name)
    }

    fn meaning(&self, file: u16, name: &str) -> Option<(Meaning<'s>, Span)> {
        let own = |file: u16| self.scopes.get(usize::from(file))?.names.get(name).copied();
        if self.known.is_none() || file == 0 {
            return own(file);
        }
        // An input of a session sees what those before it have declared, the newest first.
        (1..=file).rev().find_map(own)
    }

    /// What the file itself declares under the name.
    fn own(&self, file: u16, name: &str) -> Option<Entity> {
        match self.meaning(file, name)? {
            (Meaning::Own(entity), _) => Some(entity),
            _ => None,
        }
    }

    pub(super) fn class_place(&self, name: &str) -> Option<usize> {
        class(self.entity(name))
    }

    pub(super) fn library_class(&self, name: &str) -> Option<usize> {
        class(self.own(0, name))
    }

    pub(super) fn library_function(&self, name: &str) -> Option<usize> {
        match self.own(0, name) {
            Some(Entity::Function(place)) => Some(place),
            _ => None,
        }
    }

    /// Whether the library's class of this name is at this place of the tree.
    pub(super) fn is_library_class(&self, name: &str, template: usize) -> bool {
        self.library_class(name) == Some(template)
    }

    pub(super) fn function_place(&self, name: &str) -> Option<usize> {
        match self.entity(name) {
            Some(Entity::Function(place)) => Some(place),
            _ => None,
        }
    }

    pub(super) fn enum_number(&self, name: &str) -> Option<u16> {
        match self.entity(name) {
            Some(Entity::Enum(number)) => Some(number),
            _ => None,
        }
    }

    pub(super) fn global(&self, name: &str) -> Option<Global> {
        match self.entity(name) {
            Some(Entity::Global(global)) => Some(global),
            _ => None,
        }
    }

    /// Whether the name stands for all that another file has.
    pub(super) fn names_space(&self, name: &str) -> bool {
        matches!(self.meaning(self.body.file, name), Some((Meaning::Space(_), _)))
    }

    /// Gives a name of a file its meaning, if it has none.
    pub(super) fn define(&mut self, file: u16, name: Name<'s>, entity: Entity) -> bool {
        self.bind(file, name, Meaning::Own(entity))
    }

    fn bind(&mut self, file: u16, name: Name<'s>, meaning: Meaning<'s>) -> bool {
        let text = name.text;
        let scope = self.scopes.get(usize::from(file));
        let first = scope.and_then(|scope| scope.names.get(text)).map(|(_, span)| *span);
        let known = super::library::is_known(text) || Type::named(text).is_some();
        let library = file != 0 && self.own(0, text).is_some();
        if first.is_some() || known || library {
            let message = format!("there is a `{text}` already");
            self.diagnostics.error(name.span, message, "a second one");
            if let Some(first) = first {
                self.diagnostics.also(name.span, first, "the first one");
            }
            return false;
        }
        if let Some(scope) = self.scopes.get_mut(usize::from(file)) {
            scope.names.insert(text, (meaning, name.span));
        }
        true
    }

    /// What the files import and export, once all but variables is declared; whether everything was there.
    pub(super) fn import_all(&mut self, parts: &[FileParts<'s>]) -> bool {
        for (scope, part) in self.scopes.iter_mut().zip(parts) {
            scope.exports = part.exports.iter().map(|name| name.text).collect();
        }
        let mut found = true;
        for (part, file) in parts.iter().zip(0..) {
            for import in &part.imports {
                found &= self.import(file, import);
            }
        }
        found
    }

    fn import(&mut self, file: u16, import: &Import<'s>) -> bool {
        let target = self.files.list.get(usize::from(file));
        let target = target.and_then(|file| file.targets.get(&import.path)).cloned();
        let other = match target {
            Some(Ok(other)) => other,
            Some(Err(reason)) => {
                let message = format!("`{}` cannot be imported: {reason}", import.path);
                self.diagnostics.error(import.span, message, "imported here");
                return false;
            }
            None => return false,
        };
        if let Some(space) = import.space {
            self.bind(file, space, Meaning::Space(other));
        }
        let mut found = true;
        for (there, here) in &import.names {
            let exported = self.scopes.get(usize::from(other));
            if exported.is_some_and(|scope| scope.exports.contains(there.text)) {
                self.bind(file, *here, Meaning::Imported(other, there.text));
                continue;
            }
            self.refuse_import(*there, other, &import.path);
            found = false;
        }
        found
    }

    fn refuse_import(&mut self, name: Name<'s>, other: u16, path: &str) {
        let text = name.text;
        let variable = self.program.variables.iter().map(|variable| variable.name);
        let mut variable = variable.filter(|name| name.text == text).map(|name| name.span);
        let declared = self.own(other, text).and_then(|_| self.meaning(other, text));
        let declared = declared
            .map(|(_, span)| span)
            .or_else(|| variable.find(|span| self.files.number_of(span.start) == other));
        match declared {
            Some(declared) => {
                let message = format!("`{path}` does not export `{text}`");
                let help = format!("write `export` before `{text}` there");
                self.diagnostics.error_with_help(name.span, message, "imported here", help);
                self.diagnostics.also(name.span, declared, "declared without `export`");
            }
            None => {
                let message = format!("`{path}` has no `{text}`");
                self.diagnostics.error(name.span, message, "not known there");
            }
        }
    }
}

fn class(entity: Option<Entity>) -> Option<usize> {
    match entity {
        Some(Entity::Class(place)) => Some(place),
        _ => None,
    }
}
