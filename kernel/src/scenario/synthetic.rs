//! What built-in tests and measurements share: a disk of their own, and attempts that insist.

use crate::event_loop::EventLoop;
use crate::programs::Programs;
use crate::world::World;
use crate::{log, space};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use revenant_hal::{BlockIndex, Buffer, Disk, DiskOperation, DiskRequest, PageBytes, RequestTag};
use revenant_machine::virtio::VirtioDisk;
use revenant_machine::{attention, cpu};
use revenant_store::StoreId;
use revenant_vm::Turn;

/// The version in a store of these scenarios, so that no kernel takes it for programs.
pub(super) const TEST_ABI: u32 = 0x7465_7374;
/// Blocks looked at before a disk is called empty.
const EMPTY_BLOCKS: u64 = 8;

/// Runs an attempt until its pages are there.
pub(super) fn insist<P: Programs, V>(
    event_loop: &mut EventLoop<P>,
    mut work: impl FnMut() -> V,
) -> V {
    loop {
        attention::take();
        if let Some(value) = event_loop.attempt(|_, _| work()) {
            return value;
        }
        if event_loop.serve_space() == space::Work::Waiting {
            attention::wait();
        }
    }
}

/// Formats a disk whose first blocks are zero.
pub(super) fn format_if_empty(disk: &mut VirtioDisk) -> Result<(), String> {
    for block in 0..EMPTY_BLOCKS {
        let buffers = alloc::vec![Buffer::Owned(Box::new(PageBytes::ZERO))];
        let tag = RequestTag(3 << 56);
        let request =
            DiskRequest { tag, operation: DiskOperation::Read, block: BlockIndex(block), buffers };
        disk.submit(request).map_err(|_| String::from("the disk's queue is full"))?;
        let completion = loop {
            attention::take();
            match disk.poll() {
                Some(completion) => break completion,
                None => attention::wait(),
            }
        };
        let empty = completion.buffers.iter().all(|buffer| match buffer {
            Buffer::Owned(page) => page.0.iter().all(|byte| *byte == 0),
            Buffer::Frame(_) => false,
        });
        if completion.result.is_err() || !empty {
            return Ok(());
        }
    }
    let id = StoreId(u128::from(cpu::random()) << 64 | u128::from(cpu::random()));
    space::format(disk, id, TEST_ABI).map_err(|refusal| format!("{refusal}"))?;
    log!("formatted");
    Ok(())
}

/// No programs: what runs when a measurement does everything itself.
pub(super) struct Nobody;

impl Programs for Nobody {
    fn turn(&mut self, _world: &mut World) -> Turn {
        Turn::Idle { deadline: None }
    }
}
