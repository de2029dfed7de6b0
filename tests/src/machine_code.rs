//! Reads a disassembly and judges the interpreter's handlers (vm/src/dispatch/tail.rs): Rust does not promise that a call in tail
//! position becomes a jump, nor that a handler keeps its state in registers, so what the compiler made is looked at. Pure.
//!
//! A handler leaves by an indirect jump to the next one, or by a jump to the way out for what is slow, and in no other way:
//! a `ret` would mean that handlers pile up on the stack. An ordinary call, or a push, is work on the hot path.

use std::collections::{BTreeMap, BTreeSet};

/// What all handlers' names contain, and what that of the way out ends with.
const HANDLERS: &str = "::dispatch::tail::handlers::";
const WAY_OUT: &str = "::dispatch::tail::leave";

/// Instructions by function, of those that matter here.
#[derive(Clone, Debug, Default)]
pub struct Disassembly {
    functions: BTreeMap<String, Vec<String>>,
}

/// What a handler may do although handlers in general may not.
#[derive(Clone, Debug, Default)]
pub struct Exceptions<'a> {
    /// These always take the way out.
    pub slow: &'a [&'a str],
    /// These call something and come back.
    pub calling: &'a [&'a str],
    /// So many save registers on the stack.
    pub pushing: usize,
    /// None of these does.
    pub never_pushing: &'a [&'a str],
}

impl Disassembly {
    /// Takes the output of `objdump --disassemble --demangle --no-show-raw-insn` apart.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = None;
        for line in text.lines() {
            if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <"))
            {
                let wanted = name.contains(HANDLERS) || name.ends_with(WAY_OUT);
                current = wanted.then(|| functions.entry(name.to_owned()).or_default());
            } else if let (Some(instructions), Some((_, code))) =
                (&mut current, line.split_once(":\t"))
            {
                instructions.push(code.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        Self { functions }
    }

    /// How many handlers there are.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.functions.keys().filter(|name| name.contains(HANDLERS)).count()
    }

    /// Everything that is not as it should be, a line each; empty if all is well.
    #[must_use]
    pub fn findings(&self, exceptions: &Exceptions<'_>) -> Vec<String> {
        let mut findings = Vec::new();
        let mut pushing = BTreeSet::new();
        let mut way_out = false;
        for (name, instructions) in &self.functions {
            let Some((_, operation)) = name.split_once(HANDLERS) else {
                way_out |= instructions.iter().any(|code| is_indirect(code));
                continue;
            };
            let mut complain = |what: &str| findings.push(format!("{operation} {what}"));
            if instructions.iter().any(|code| code.starts_with("ret")) {
                complain("returns: its last call is no jump");
            }
            if !instructions.iter().any(|code| is_indirect(code))
                && !exceptions.slow.contains(&operation)
            {
                complain("has no indirect jump of its own");
            }
            let calls = instructions.iter().any(|code| code.starts_with("call"));
            if calls && !exceptions.calling.contains(&operation) {
                complain("calls and comes back");
            }
            if let Some(code) = instructions.iter().find(|code| leaves_elsewhere(code, name)) {
                complain(&format!("leaves elsewhere: {code}"));
            }
            if instructions.iter().any(|code| code.starts_with("push")) {
                pushing.insert(operation);
            }
        }
        for operation in exceptions.never_pushing {
            if pushing.contains(operation) {
                findings.push(format!("{operation} saves registers on the stack"));
            }
        }
        if pushing.len() > exceptions.pushing {
            let count = pushing.len();
            findings.push(format!("{count} handlers save registers on the stack: {pushing:?}"));
        }
        if !way_out {
            findings.push("the way out does not jump back to a handler".to_owned());
        }
        findings
    }
}

fn is_indirect(code: &str) -> bool {
    code.starts_with("jmp *")
}

/// Whether an instruction jumps out of its function, to something that is not the way out.
fn leaves_elsewhere(code: &str, function: &str) -> bool {
    if !code.starts_with('j') || is_indirect(code) {
        return false;
    }
    let target = code.split_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    let target =
        target.map_or(code, |target| target.rsplit_once('+').map_or(target, |(name, _)| name));
    target != function && !target.ends_with(WAY_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
0000000000001000 <vm::dispatch::tail::leave>:
    1000:\tcall   2000 <vm::dispatch::interpret::slow>
    1005:\tjmp    *0x100(,%rax,8)
    100c:\tret

0000000000001100 <vm::dispatch::tail::handlers::Add>:
    1100:\tadd    %rax,%rdx
    1103:\tjb     1110 <vm::dispatch::tail::handlers::Add+0x10>
    1105:\tjmp    *0x100(,%rax,8)
    1110:\tjmp    1000 <vm::dispatch::tail::leave>

0000000000001200 <vm::dispatch::tail::handlers::Throw>:
    1200:\tjmp    1000 <vm::dispatch::tail::leave>

0000000000001300 <other>:
    1300:\tpush   %rbx
    1301:\tret
";

    fn findings(text: &str) -> Vec<String> {
        let exceptions = Exceptions { slow: &["Throw"], ..Exceptions::default() };
        Disassembly::parse(text).findings(&exceptions)
    }

    #[test]
    fn handlers_that_only_jump_are_well() {
        assert_eq!(Disassembly::parse(GOOD).handlers(), 2);
        assert_eq!(findings(GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_way_to_spoil_a_handler_is_found() {
        for (good, bad, word) in [
            (
                "1105:\tjmp    *0x100(,%rax,8)",
                "1105:\tcall   *0x100(,%rax,8)\n    1106:\tret",
                "Add returns",
            ),
            ("1105:\tjmp    *0x100(,%rax,8)", "1105:\tnop", "Add has no indirect jump"),
            ("1100:\tadd    %rax,%rdx", "1100:\tcall   2000 <libm>", "Add calls"),
            ("1100:\tadd    %rax,%rdx", "1100:\tpush   %rbx", "1 handlers save"),
            (
                "1110:\tjmp    1000 <vm::dispatch::tail::leave>",
                "1110:\tjmp    1300 <other>",
                "Add leaves elsewhere",
            ),
            ("1005:\tjmp    *0x100(,%rax,8)", "1005:\tnop", "the way out"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            let found = findings(&GOOD.replace(good, bad));
            assert!(found.iter().any(|line| line.starts_with(word)), "{word}: {found:?}");
        }
    }
}
