//! The epitaph: what a panicking kernel leaves on the disk it ran from. The next boot prints it.
//!
//! Nothing is written before the store has accepted the disk: [`accept_disk`] is what arms this. The means to write were
//! set aside then; the text is put together in memory of the panic's own.

use crate::log;
use alloc::string::String;
use core::fmt;
use revenant_hal::Epoch;
use revenant_machine::cell::ExclusiveCell;
use revenant_machine::panic;
use revenant_machine::serial;
use revenant_machine::virtio::{EmergencyDisk, VirtioDisk};
use revenant_store::{EPITAPH_BLOCK, Epitaph, Failures, OpenReport, StoreId, encode_epitaph};

struct Prepared {
    disk: EmergencyDisk,
    store: StoreId,
    resumed: Epoch,
    running: Epoch,
    failures: Failures,
}

static PREPARED: ExclusiveCell<Option<Prepared>> = ExclusiveCell::new(None);

/// From here on a panic writes to this disk. `stepped_back`: the state was left that the failures before belong to.
pub(crate) fn accept_disk(disk: &VirtioDisk, report: &OpenReport, stepped_back: bool) {
    let disk = EmergencyDisk::prepare(disk.device());
    let (store, resumed, running) = (report.store, report.epoch, report.running_epoch);
    let failures = Epitaph::next_failure(report.epitaph.as_ref(), stepped_back, resumed);
    PREPARED
        .with(|prepared| *prepared = Some(Prepared { disk, store, resumed, running, failures }));
    panic::set_last_words(write);
}

/// The disk is left alone again: the machine stops in order.
pub(crate) fn release_disk() {
    PREPARED.with(|prepared| *prepared = None);
}

/// The epoch that an epitaph would name.
pub(crate) fn set_running(epoch: Epoch) {
    PREPARED.with(|prepared| {
        if let Some(prepared) = prepared {
            prepared.running = epoch;
        }
    });
}

/// Called by the panic.
fn write(message: fmt::Arguments<'_>) {
    let outcome = PREPARED.try_with(|prepared| {
        let prepared = prepared.as_mut()?;
        let mut text = String::with_capacity(4096);
        let _full = fmt::write(&mut text, format_args!("{message}\nlast lines:\n"));
        log::append_kept(&mut text);
        let epitaph = Epitaph {
            store: prepared.store,
            resumed: prepared.resumed,
            epoch: prepared.running,
            failures: prepared.failures,
            text,
        };
        prepared.disk.page_mut().0.copy_from_slice(&encode_epitaph(&epitaph).0);
        Some(prepared.disk.write(EPITAPH_BLOCK))
    });
    match outcome.flatten() {
        Some(Ok(())) => serial::write_line(format_args!("epitaph written")),
        Some(Err(error)) => serial::write_line(format_args!("epitaph lost: {error:?}")),
        None => {}
    }
}
