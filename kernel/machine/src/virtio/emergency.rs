//! One polled write after a panic.
//!
//! Nothing of the running driver is trusted: the device is reset, which ends all transfers in flight (to the store that
//! is a power cut), and set up again with a small queue. All memory was set aside when the disk was accepted; nothing
//! here allocates, waits without a bound or can panic on what the device does.

use super::dma::{device_pointer, translate};
use super::{Header, QUEUE, Wire, feature, kind, negotiate, status};
use crate::cell::ExclusiveCell;
use crate::{clock, memory, pci};
use alloc::boxed::Box;
use core::ptr::NonNull;
use core::time::Duration;
use revenant_hal::{BlockIndex, PAGE_SIZE, PageBytes, SECTORS_PER_BLOCK};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::pci::bus::DeviceFunction;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Descriptors of the queue: header, data, status, rounded up.
const QUEUE_SIZE: usize = 4;
/// Pages for the queue's two parts.
const QUEUE_PAGES: usize = 2;
/// A device that has not answered after this long will not.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pages for the queue, handed out once each.
static POOL: ExclusiveCell<[Option<NonNullPage>; QUEUE_PAGES]> = ExclusiveCell::new([None, None]);

struct NonNullPage(NonNull<u8>);

// SAFETY: a page of the heap that was leaked for this purpose; reachable from anywhere.
unsafe impl Send for NonNullPage {}

/// Why the last words could not be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmergencyError {
    /// The device could not be set up again.
    SetUp,
    /// The device reported an error.
    Failed,
    /// The device did not answer in time.
    Timeout,
}

/// The means to write one block of a disk when nothing else works any more.
pub struct EmergencyDisk {
    device: DeviceFunction,
    wire: Box<Wire>,
    page: Box<PageBytes>,
}

impl EmergencyDisk {
    /// Sets memory aside. Call it when the disk was accepted: before that, nothing may be written to it.
    #[must_use]
    pub fn prepare(device: DeviceFunction) -> Self {
        POOL.with(|pool| {
            for page in pool {
                // Without memory there will be no last words; that is all.
                *page = memory::leaked_page().map(NonNullPage);
            }
        });
        let wire = Box::new(Wire::default());
        Self { device, wire, page: Box::new(PageBytes::ZERO) }
    }

    /// The block's content, to be filled before [`Self::write`].
    pub fn page_mut(&mut self) -> &mut PageBytes {
        &mut self.page
    }

    /// Resets the device, writes the page to `block` and flushes. Whatever was in flight is lost. Once only.
    ///
    /// # Errors
    /// What went wrong; nothing more can be done then.
    pub fn write(&mut self, block: BlockIndex) -> Result<(), EmergencyError> {
        let mut transport = PciTransport::new::<SetAside, _>(&mut pci::root(), self.device)
            .map_err(|_| EmergencyError::SetUp)?;
        let known = feature::VERSION_1 | feature::FLUSH;
        let features = negotiate(&mut transport, known).ok_or(EmergencyError::SetUp)?;
        let mut queue = VirtQueue::<SetAside, QUEUE_SIZE>::new(&mut transport, QUEUE, false, false)
            .map_err(|_| EmergencyError::SetUp)?;
        transport.finish_init();
        let sector = block.get() * SECTORS_PER_BLOCK as u64;
        let result = self.request(&mut transport, &mut queue, kind::WRITE, sector).and_then(|()| {
            match features & feature::FLUSH {
                0 => Ok(()),
                _ => self.request(&mut transport, &mut queue, kind::FLUSH, 0),
            }
        });
        core::mem::forget(queue); // its memory was set aside, not allocated
        result
    }

    fn request(
        &mut self,
        transport: &mut PciTransport,
        queue: &mut VirtQueue<SetAside, QUEUE_SIZE>,
        kind: u32,
        sector: u64,
    ) -> Result<(), EmergencyError> {
        self.wire.header = Header { kind, reserved: 0, sector };
        self.wire.status = status::UNANSWERED;
        let answer = &raw mut self.wire.status;
        let header = self.wire.header_bytes();
        // SAFETY: one byte of the boxed wire, apart from the header.
        let status = unsafe { core::slice::from_raw_parts_mut(answer, 1) };
        let both: [&[u8]; 2] = [header, &self.page.0];
        let inputs = if kind == kind::WRITE { &both[..] } else { &both[..1] };
        // SAFETY: everything in the chain is boxed and stays until the machine stops.
        let token = unsafe { queue.add(inputs, &mut [&mut *status]) };
        let token = token.map_err(|_| EmergencyError::SetUp)?;
        transport.notify(QUEUE);
        let start = clock::coarse_now();
        while !queue.can_pop() {
            if clock::coarse_now().saturating_sub(start) > PATIENCE {
                return Err(EmergencyError::Timeout);
            }
            core::hint::spin_loop();
        }
        // SAFETY: the chain that was added above.
        let taken = unsafe { queue.pop_used(token, inputs, &mut [&mut *status]) };
        // SAFETY: reads the byte that the device wrote.
        let answer = unsafe { answer.read_volatile() };
        if taken.is_ok() && answer == status::OK { Ok(()) } else { Err(EmergencyError::Failed) }
    }
}

/// Memory that was set aside, as `virtio-drivers` sees it.
struct SetAside;

// SAFETY: 1. queue memory is a leaked, page-aligned page of the heap, handed out once and zeroed; 2. device registers were
// mapped when the running driver was set up; 3. buffers are translated as the running driver's are.
unsafe impl Hal for SetAside {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let page = POOL.try_with(|pool| pool.iter_mut().find_map(Option::take)).flatten();
        match page {
            Some(NonNullPage(page)) if pages == 1 => {
                // SAFETY: a whole page that nothing else uses.
                unsafe { page.write_bytes(0, PAGE_SIZE) };
                (translate(NonNull::slice_from_raw_parts(page, PAGE_SIZE)), page)
            }
            _ => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_physical: PhysAddr, _pointer: NonNull<u8>, _pages: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(physical: PhysAddr, size: usize) -> NonNull<u8> {
        memory::map_device(physical, size as u64);
        device_pointer(physical)
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        translate(buffer)
    }

    unsafe fn unshare(_physical: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}
