//! Queues of any size behind one type: the size of `virtio-drivers`' queue is a constant of its type, the size of the
//! device's is found at run time.

use super::QUEUE;
use super::dma::KernelMemory;
use alloc::boxed::Box;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::Transport;
use virtio_drivers::transport::pci::PciTransport;

/// What the driver uses of a queue.
pub(super) trait Queue: Send {
    /// Descriptors; with indirect ones, requests.
    fn size(&self) -> usize;

    /// Hands a chain of buffers to the device; none if there is no room.
    ///
    /// # Safety
    /// The buffers stay valid and untouched until [`Queue::take`] has returned their token.
    unsafe fn add<'a>(&mut self, inputs: &[&'a [u8]], outputs: &mut [&'a mut [u8]]) -> Option<u16>;

    /// The token of a chain that the device is done with.
    fn peek(&self) -> Option<u16>;

    /// Takes the chain that [`Queue::peek`] named; false if the device contradicts itself.
    ///
    /// # Safety
    /// The buffers are those that were handed over when `add` returned this token.
    unsafe fn take<'a>(
        &mut self,
        token: u16,
        inputs: &'a [&'a [u8]],
        outputs: &'a mut [&'a mut [u8]],
    ) -> bool;

    /// Whether the device wants to be told of new chains.
    fn wants_notification(&self) -> bool;
}

impl<const SIZE: usize> Queue for VirtQueue<KernelMemory, SIZE> {
    fn size(&self) -> usize {
        SIZE
    }

    unsafe fn add<'a>(&mut self, inputs: &[&'a [u8]], outputs: &mut [&'a mut [u8]]) -> Option<u16> {
        // SAFETY: the contract is the same.
        unsafe { Self::add(self, inputs, outputs) }.ok()
    }

    fn peek(&self) -> Option<u16> {
        self.peek_used()
    }

    unsafe fn take<'a>(
        &mut self,
        token: u16,
        inputs: &'a [&'a [u8]],
        outputs: &'a mut [&'a mut [u8]],
    ) -> bool {
        // SAFETY: the contract is the same.
        unsafe { self.pop_used(token, inputs, outputs) }.is_ok()
    }

    fn wants_notification(&self) -> bool {
        self.should_notify()
    }
}

/// The largest queue that the device and we know, up to 1024. None if there is no memory or no queue.
pub(super) fn largest(transport: &mut PciTransport, indirect: bool) -> Option<Box<dyn Queue>> {
    match transport.max_queue_size(QUEUE) {
        1024.. => sized::<1024>(transport, indirect),
        512.. => sized::<512>(transport, indirect),
        256.. => sized::<256>(transport, indirect),
        128.. => sized::<128>(transport, indirect),
        64.. => sized::<64>(transport, indirect),
        32.. => sized::<32>(transport, indirect),
        16.. => sized::<16>(transport, indirect),
        8.. => sized::<8>(transport, indirect),
        4.. => sized::<4>(transport, indirect),
        _ => None,
    }
}

fn sized<const SIZE: usize>(
    transport: &mut PciTransport,
    indirect: bool,
) -> Option<Box<dyn Queue>> {
    let queue = VirtQueue::<KernelMemory, SIZE>::new(transport, QUEUE, indirect, false).ok()?;
    Some(Box::new(queue))
}
