//! The end of a function: all registers are known, so the window begins above them, and drafts become words.
//!
//! Neighbours: `function` makes the drafts, with window registers and labels still open.

use alloc::format;
use alloc::vec::Vec;

use super::AsmError;
use super::function::{Draft, DraftLiteral, FunctionBuilder, Slot, halves};
use super::items::{FunctionItem, Name};
use super::names::number;
use crate::instruction::{Instruction, low_half};
use crate::module::{FunctionDefinition, Handler, Line};
use crate::opcode::Operand;
use crate::types::WindowSize;

impl FunctionBuilder<'_> {
    /// The function's definition.
    pub(super) fn finish(
        self,
        item: &FunctionItem,
        signature: u32,
    ) -> Result<FunctionDefinition, AsmError> {
        let mut positions = Vec::new();
        let mut length = 0_u32;
        for draft in &self.drafts {
            positions.push(length);
            let literals = match &draft.literal {
                DraftLiteral::None => 0,
                DraftLiteral::Word(_) => 1,
                DraftLiteral::Labels(labels) => number(labels.len()),
            };
            length = length.saturating_add(literals).saturating_add(1);
        }
        if self.drafts.is_empty() {
            return Err(item.end.error("the function has no instructions"));
        }
        positions.push(length);
        let place = |name: &Name| {
            let index = self.labels.get(&name.text);
            index
                .and_then(|index| positions.get(*index).copied())
                .ok_or_else(|| name.at.error(format!("there is no label `{}`", name.text)))
        };
        let mut code = Vec::new();
        let mut lines: Vec<Line> = Vec::new();
        for (draft, position) in self.drafts.iter().zip(&positions) {
            // Line 0 says that the line is not known.
            if lines.last().map_or(0, |line| line.line) != draft.line {
                lines.push(Line { position: *position, line: draft.line });
            }
            self.encode(draft, *position, &place, &mut code)?;
        }
        let mut handlers = Vec::new();
        for handler in &self.handlers {
            let [start, end, target] = &handler.places;
            handlers.push(Handler {
                start: place(start)?,
                end: place(end)?,
                target: place(target)?,
                class: handler.class,
                register: self.resolve(handler.register),
            });
        }
        let size = self.declared.unwrap_or(WindowSize {
            references: self.counts.references.saturating_add(self.window.references),
            raws: self.counts.raws.saturating_add(self.window.raws),
        });
        Ok(FunctionDefinition {
            name: item.name.text.clone(),
            signature,
            reference_registers: size.references,
            raw_registers: size.raws,
            code,
            blocks: Vec::new(),
            handlers,
            lines,
        })
    }

    fn resolve(&self, slot: Slot) -> u16 {
        match slot {
            Slot::Known(number) => number,
            Slot::WindowReference(number) => self.counts.references.saturating_add(number),
            Slot::WindowRaw(number) => self.counts.raws.saturating_add(number),
        }
    }

    fn encode(
        &self,
        draft: &Draft,
        position: u32,
        place: &impl Fn(&Name) -> Result<u32, AsmError>,
        code: &mut Vec<u64>,
    ) -> Result<(), AsmError> {
        let [a, mut b, mut c] = draft.fields.map(|slot| self.resolve(slot));
        let distance_to = |name: &Name| {
            place(name).map(|target| i64::from(target).saturating_sub(position.into()))
        };
        if let Some(name) = &draft.label {
            let distance = distance_to(name)?;
            if draft.opcode.info().operands.contains(&Operand::Displacement32) {
                (b, c) = halves(low_half(distance.cast_unsigned()));
            } else {
                let near = i16::try_from(distance).map_err(|_| {
                    name.at.error(
                        "the label is too far for this branch: branch the other way round a jump",
                    )
                })?;
                c = near.cast_unsigned();
            }
        }
        code.push(Instruction::word(draft.opcode, a, b, c));
        match &draft.literal {
            DraftLiteral::None => {}
            DraftLiteral::Word(word) => code.push(*word),
            DraftLiteral::Labels(labels) => {
                for label in labels {
                    code.push(distance_to(label)?.cast_unsigned());
                }
            }
        }
        Ok(())
    }
}
