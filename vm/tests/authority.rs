//! References are capabilities: who is given nothing can reach nothing.
//!
//! A thread without arguments has what natives give without being given anything, and what those give in turn. The closure
//! over the table of natives must not contain anything that carries authority; and code has no way to make such an object
//! or to turn a number into a reference.

use std::collections::BTreeSet;

use revenant_bytecode::{Builtin, NATIVES, ValueType, assemble, verify};

/// Classes whose objects carry authority or lead to other programs.
const AUTHORITY: [Builtin; 9] = [
    Builtin::Environment,
    Builtin::Console,
    Builtin::RestartEvent,
    Builtin::Program,
    Builtin::Group,
    Builtin::Namespace,
    Builtin::Module,
    Builtin::Class,
    Builtin::Signature,
];

fn class(value: ValueType) -> Option<Builtin> {
    match value {
        ValueType::Reference { class, .. } => class.as_builtin(),
        _ => None,
    }
}

/// Classes of the objects that code without any reference can come to hold.
fn reachable() -> BTreeSet<Builtin> {
    // What instructions make or name: objects and arrays of its own, its own functions, closures, constants.
    let mut held = BTreeSet::from([
        Builtin::Object,
        Builtin::String,
        Builtin::Function,
        Builtin::Closure,
        Builtin::ByteBuffer,
        Builtin::Exception,
    ]);
    let builtins = Builtin::ALL.iter().copied();
    held.extend(builtins.filter(|class| class.element().is_some()));
    loop {
        let before = held.len();
        for info in NATIVES {
            let has = |wanted: Builtin| held.iter().any(|class| class.is_below(wanted));
            if info.parameters.iter().filter_map(|value| class(*value)).all(has) {
                held.extend(info.results.iter().filter_map(|value| class(*value)));
            }
        }
        if held.len() == before {
            return held;
        }
    }
}

#[test]
fn natives_give_nothing_with_authority_to_who_has_nothing() {
    let held = reachable();
    assert!(held.contains(&Builtin::Map) && held.contains(&Builtin::Thread), "the closure works");
    for class in AUTHORITY {
        assert!(!held.contains(&class), "{} can be had for nothing", class.name());
    }
}

#[test]
fn a_planted_native_would_be_caught() {
    // The same closure with an environment at hand finds the console: so it would see a native that gave one away.
    let gives = |from: Builtin, to: Builtin| {
        NATIVES.iter().any(|info| {
            info.parameters.iter().filter_map(|value| class(*value)).all(|class| class == from)
                && info.results.iter().any(|value| class(*value) == Some(to))
        })
    };
    assert!(gives(Builtin::Environment, Builtin::Console));
    assert!(gives(Builtin::Environment, Builtin::RestartEvent));
}

fn refused(body: &str) -> String {
    let text =
        format!("module hostile version 1\nexport function main() {{\n{body}\n return\n}}\n");
    match assemble(&text, "hostile.rasm") {
        Err(error) => error.to_string(),
        Ok(module) => match verify(module) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("the verifier passes:\n{text}"),
        },
    }
}

#[test]
fn code_cannot_make_what_carries_authority_or_forge_a_reference() {
    for class in AUTHORITY.into_iter().chain([Builtin::Thread, Builtin::Closure, Builtin::String]) {
        let error = refused(&format!(" object.new forged, {}", class.name()));
        assert!(!error.is_empty(), "{}", class.name());
    }
    // A number is not a reference, and an object of one class is not of another.
    refused(" i64.set n, 17592186044416\n null_check r, n");
    refused(" native vector.new(0) -> list\n native console.print(list, \"hello\")");
    refused(" native builder.new() -> text\n native environment.console(text) -> console");
}
