//! A page that is nowhere to be had: the mark goes on without it, and what it may have led to is hung in lost+found before anything is swept
//! (MECHANISMS B22, B23, B27). A cut in between costs nothing: the mark's region still says what was found, and what hangs is not hung twice.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::{log, space};
use alloc::string::String;
use core::fmt::Write;
use revenant_collector::{Recovered, account};
use revenant_hal::{Clock, Epoch};
use revenant_vm::heap::AllocationError;
use revenant_vm::{Hanging, Lost};

/// What a mark that did without pages has found, and how far that is brought in.
pub(crate) struct Finding {
    epoch: Epoch,
    recovered: Recovered,
    report: String,
    /// Subtrees that were dealt with, and what became of them.
    next: usize,
    hung: u32,
    refused: u32,
    /// Something may hang there another time.
    unfinished: bool,
}

impl Finding {
    /// Of a mark of this snapshot; none if there is nothing to bring in.
    pub(crate) fn new(epoch: Epoch, recovered: Option<Recovered>) -> Option<Self> {
        let recovered = recovered.filter(|recovered| recovered.is_news)?;
        let report = account::recovered(epoch, &recovered);
        Some(Self { epoch, recovered, report, next: 0, hung: 0, refused: 0, unfinished: false })
    }
}

impl<P: Programs> EventLoop<P> {
    /// Has the mark go on without the page that it cannot read; whether there is more to do at once.
    pub(crate) fn do_without_page(&mut self) -> bool {
        let page = self.collection.unreadable;
        let known = self.attempt(|programs, world| programs.knows_lost(page, world)).flatten();
        let Some(known) = known else { return false };
        let known = known.unwrap_or(false);
        let done = space::with(|space| space.do_without_page(known));
        if done {
            log!("collect does_without page={page} known={known}");
        } else {
            log!("collect failed page={page} reason=\"nothing can be marked without it\"");
        }
        self.collection.schedule.did_without(self.world.clock.monotonic(), done);
        true
    }

    /// Brings in what the mark has found, a subtree at a time; whether there is more to do at once, none if all is done.
    pub(crate) fn bring_in_finding(&mut self) -> Option<bool> {
        let mut finding = self.collection.finding.take()?;
        let Finding { epoch, next, .. } = finding;
        let Some(subtree) = finding.recovered.subtrees.get(next).copied() else {
            return self.keep_finding(finding);
        };
        let lost = Lost { epoch, number: next as u64 + 1, root: subtree.root };
        match self.attempt(|programs, world| programs.hang(&lost, world)).flatten() {
            None => {
                self.collection.finding = Some(finding);
                return Some(false);
            }
            Some(Ok(Hanging::Hung | Hanging::There)) => finding.hung += 1,
            Some(Ok(Hanging::Refused)) => {
                finding.refused += 1;
                let _ =
                    write!(finding.report, " What was to be {} stands there no more.", lost.number);
            }
            Some(Err(error)) => {
                finding.refused += 1;
                finding.unfinished |= !matches!(error, AllocationError::Damaged(_));
                let _ = write!(finding.report, " {} cannot hang here: {error}.", lost.number);
                log!("collect not_hung number={} reason=\"{error:?}\"", lost.number);
            }
        }
        finding.next += 1;
        // The next one in the next turn: it may need other pages.
        self.collection.finding = Some(finding);
        Some(true)
    }

    /// The report, and the pages, of which that is not done again. If memory was short it is, by the next mark: what is not hung is not freed.
    fn keep_finding(&mut self, finding: Finding) -> Option<bool> {
        let Finding { epoch, recovered, report, hung, refused, unfinished, .. } = &finding;
        let pages = if *unfinished { &[][..] } else { &recovered.pages };
        let kept = self.attempt(|programs, world| programs.keep_lost(*epoch, pages, report, world));
        match kept.flatten() {
            None => {
                self.collection.finding = Some(finding);
                return Some(false);
            }
            Some(Ok(())) => {}
            Some(Err(error)) => log!("collect unreported reason=\"{error:?}\""),
        }
        log!(
            "collect recovered epoch={epoch} pages={} hung={hung} refused={refused} where=directory/lost+found/{epoch}",
            pages.len()
        );
        Some(true)
    }
}
