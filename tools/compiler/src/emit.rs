//! Instructions of one function: labels, reachability, distances, lines.
//!
//! Instructions that nothing reaches are not emitted, because the verifier refuses them. Conditional branches reach 32,767 words; one
//! that has to go further becomes a branch over a jump when the function is finished.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use revenant_bytecode::{ClassReference, Handler, Instruction, Line, Opcode, Operand};

/// A place in the code that branches lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label(usize);

/// An instruction before its place is known.
#[derive(Clone, Copy, Debug)]
struct Draft {
    opcode: Opcode,
    fields: [u16; 3],
    literal: Option<u64>,
    label: Option<Label>,
    /// A branch over a jump.
    far: bool,
    line: u32,
}

impl Draft {
    fn words(&self) -> u32 {
        let far = if self.far { 2 } else { 0 };
        1 + u32::from(self.literal.is_some()) + far
    }

    /// Whether its distance has 16 bits only.
    fn is_near(&self) -> bool {
        self.opcode.info().operands.contains(&Operand::Displacement16)
    }
}

/// A handler before places are known: the first instruction of its range and the one after the last.
#[derive(Clone, Copy, Debug)]
struct HandlerDraft {
    start: usize,
    end: usize,
    target: Label,
    class: ClassReference,
    register: u16,
}

/// What a function is made of.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Vec<u64>,
    pub(crate) lines: Vec<Line>,
    pub(crate) handlers: Vec<Handler>,
}

/// The code of a function in the making.
#[derive(Debug, Default)]
pub(crate) struct Emitter {
    drafts: Vec<Draft>,
    /// For each label the instruction it stands before, once it is bound, and whether a branch leads to it.
    labels: Vec<(Option<usize>, bool)>,
    handlers: Vec<HandlerDraft>,
    unreachable: bool,
    line: u32,
}

impl Emitter {
    /// The line of the source from which the next instructions come.
    pub(crate) fn line(&mut self, line: u32) {
        self.line = line;
    }

    pub(crate) fn current_line(&self) -> u32 {
        self.line
    }

    /// Whether the next instruction is reached.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.unreachable
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push((None, false));
        Label(self.labels.len() - 1)
    }

    /// Puts the label here. What branches to it makes the place reached.
    pub(crate) fn bind(&mut self, label: Label) {
        let here = self.drafts.len();
        if let Some((place, used)) = self.labels.get_mut(label.0) {
            *place = Some(here);
            if *used {
                self.unreachable = false;
            }
        }
    }

    /// The number of the next instruction, for the range of a handler.
    pub(crate) fn place(&self) -> usize {
        self.drafts.len()
    }

    /// From `start` to here, exceptions of this class lead to the label, in the register. Handlers of what stands inside come first.
    pub(crate) fn handler(
        &mut self,
        start: usize,
        target: Label,
        class: ClassReference,
        register: u16,
    ) {
        let end = self.drafts.len();
        if start == end {
            return;
        }
        if let Some((_, used)) = self.labels.get_mut(target.0) {
            *used = true;
        }
        self.handlers.push(HandlerDraft { start, end, target, class, register });
    }

    pub(crate) fn emit(&mut self, opcode: Opcode, a: u16, b: u16, c: u16) {
        self.push(opcode, [a, b, c], None, None);
    }

    /// With the 32-bit operand in fields b and c.
    pub(crate) fn emit_wide(&mut self, opcode: Opcode, a: u16, wide: u32) {
        let [b0, b1, c0, c1] = wide.to_le_bytes();
        let (b, c) = (u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
        self.push(opcode, [a, b, c], None, None);
    }

    pub(crate) fn emit_literal(&mut self, opcode: Opcode, fields: [u16; 3], literal: u64) {
        self.push(opcode, fields, Some(literal), None);
    }

    pub(crate) fn branch(&mut self, opcode: Opcode, a: u16, b: u16, to: Label) {
        if self.unreachable {
            return;
        }
        if let Some((_, used)) = self.labels.get_mut(to.0) {
            *used = true;
        }
        self.push(opcode, [a, b, 0], None, Some(to));
    }

    fn push(
        &mut self,
        opcode: Opcode,
        fields: [u16; 3],
        literal: Option<u64>,
        label: Option<Label>,
    ) {
        if self.unreachable {
            return;
        }
        let line = self.line;
        self.drafts.push(Draft { opcode, fields, literal, label, far: false, line });
        self.unreachable = opcode.info().properties.contains(revenant_bytecode::Properties::ENDS);
    }

    /// The words, the line table and the handlers.
    pub(crate) fn finish(mut self) -> Finished {
        let positions = loop {
            let positions = self.positions();
            if !self.stretch(&positions) {
                break positions;
            }
        };
        let mut code = Vec::new();
        let mut lines: BTreeMap<u32, u32> = BTreeMap::new();
        let mut last = 0;
        for (draft, position) in self.drafts.iter().zip(&positions) {
            if draft.line != last {
                last = draft.line;
                lines.insert(*position, last);
            }
            self.encode(draft, *position, &positions, &mut code);
        }
        let lines = lines.into_iter().map(|(position, line)| Line { position, line }).collect();
        let at = |draft: usize| positions.get(draft).copied().unwrap_or_default();
        let handlers = self.handlers.iter().map(|handler| {
            let target = self.labels.get(handler.target.0).and_then(|(place, _)| *place);
            Handler {
                start: at(handler.start),
                end: at(handler.end),
                target: at(target.unwrap_or_default()),
                class: handler.class,
                register: handler.register,
            }
        });
        Finished { code, lines, handlers: handlers.collect() }
    }

    /// Of every instruction, and of the end.
    fn positions(&self) -> Vec<u32> {
        let mut at = 0_u32;
        let mut positions = Vec::with_capacity(self.drafts.len() + 1);
        for draft in &self.drafts {
            positions.push(at);
            at = at.saturating_add(draft.words());
        }
        positions.push(at);
        positions
    }

    /// Makes branches far that have to be; whether there were any.
    fn stretch(&mut self, positions: &[u32]) -> bool {
        let mut stretched = false;
        let labels = &self.labels;
        for (draft, position) in self.drafts.iter_mut().zip(positions) {
            let Some(label) = draft.label else { continue };
            let distance = distance(labels, positions, label, *position);
            if draft.is_near() && !draft.far && i16::try_from(distance).is_err() {
                draft.far = true;
                stretched = true;
            }
        }
        stretched
    }

    fn encode(&self, draft: &Draft, position: u32, positions: &[u32], code: &mut Vec<u64>) {
        let [a, b, c] = draft.fields;
        let Some(label) = draft.label else {
            code.push(Instruction::word(draft.opcode, a, b, c));
            code.extend(draft.literal);
            return;
        };
        if draft.is_near() && !draft.far {
            let distance = distance(&self.labels, positions, label, position);
            let distance = i16::try_from(distance).unwrap_or_default();
            code.push(Instruction::word(draft.opcode, a, b, distance.cast_unsigned()));
            return;
        }
        if draft.far {
            // Taken: over the jump that goes on behind to the jump that goes far.
            code.push(Instruction::word(draft.opcode, a, b, 2));
            code.push(Instruction::word(Opcode::Jump, 0, 2, 0));
            let distance = distance(&self.labels, positions, label, position.saturating_add(2));
            code.push(jump(Opcode::Jump, 0, distance));
            return;
        }
        code.push(jump(draft.opcode, a, distance(&self.labels, positions, label, position)));
    }
}

/// A jump or branch whose distance has 32 bits.
fn jump(opcode: Opcode, a: u16, distance: i64) -> u64 {
    let [b0, b1, c0, c1] = i32::try_from(distance).unwrap_or_default().to_le_bytes();
    Instruction::word(opcode, a, u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]))
}

fn distance(labels: &[(Option<usize>, bool)], positions: &[u32], label: Label, from: u32) -> i64 {
    let draft = labels.get(label.0).and_then(|(place, _)| *place);
    let target = draft.and_then(|draft| positions.get(draft)).copied().unwrap_or_default();
    i64::from(target).saturating_sub(i64::from(from))
}
