//! The virtio block device as a [`Disk`]: asynchronous, interrupt driven, scatter-gather, as deep as its queue.
//!
//! A request's buffers, header and status byte belong to the device from `submit` until the completion. Adjacent buffers
//! are merged into one descriptor. Errors are completions. A device that contradicts itself (a token nobody waits for)
//! is reset, everything in flight ends as failed, and so does everything submitted later.

use super::queue::{Descriptor, Queue};
use super::{
    DiscardRange, Header, QUEUE, Wire, dma::KernelMemory, feature, kind, negotiate, reset, status,
};
use crate::frames::{FrameAddresses, FramePool};
use crate::{interrupts, pci};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::mem::take;
use revenant_hal::{
    Buffer, DiscardLimits, Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation,
    DiskRequest, PAGE_SIZE, SECTORS_PER_BLOCK,
};
use virtio_drivers::transport::pci::bus::DeviceFunction;
use virtio_drivers::transport::pci::{PciTransport, virtio_device_type};
use virtio_drivers::transport::{DeviceType, Transport};

const KNOWN_FEATURES: u64 = feature::SIZE_MAX
    | feature::SEG_MAX
    | feature::READ_ONLY
    | feature::FLUSH
    | feature::DISCARD
    | feature::INDIRECT
    | feature::VERSION_1;
/// Offsets in the device's configuration.
const CAPACITY_LOW: usize = 0;
const CAPACITY_HIGH: usize = 4;
const SIZE_MAX: usize = 8;
const SEG_MAX: usize = 12;
const DISCARD_SECTORS_MAX: usize = 36;
const DISCARD_ALIGNMENT: usize = 44;
/// Header and status take a descriptor each.
const OVERHEAD: usize = 2;
/// Descriptors for which a wire keeps memory when its request is done: those of one segment, and a few more.
const DESCRIPTORS_KEPT: usize = 8;
/// Blocks that one request carries on a device without indirect descriptors: several fit in its queue.
const DIRECT_BLOCKS: usize = 16;

/// Why a disk cannot be used. Nothing was written to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskOpenError {
    /// There is no virtio block device (or not so many).
    NotFound,
    /// Its registers could not be found.
    Transport,
    /// It offers only the interface from before virtio 1.0, or refuses what both sides know.
    Features,
    /// It takes segments of less than a page.
    Segments,
    /// There is no queue, or no memory for it.
    Queue,
}

impl fmt::Display for DiskOpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotFound => "no disk: make one with `revenant disk create` and attach it by -device virtio-blk-pci,drive=...",
            Self::Transport => "the virtio block device's registers cannot be found; attach the disk by virtio-blk-pci",
            Self::Features => "the virtio block device does not speak virtio 1.0; attach the disk by virtio-blk-pci with disable-modern=off",
            Self::Segments => "the virtio block device takes less than a page at a time; attach the disk by virtio-blk-pci as it comes",
            Self::Queue => "the virtio block device has no queue, or there is no memory for it; attach the disk by virtio-blk-pci, or give the machine more memory",
        })
    }
}

/// A request that the device works on.
struct InFlight {
    request: DiskRequest,
    wire: Box<Wire>,
}

/// A virtio block device.
pub struct VirtioDisk {
    transport: PciTransport,
    device: DeviceFunction,
    queue: Queue,
    line: Option<u8>,
    geometry: DiskGeometry,
    largest_segment: usize,
    frames: FrameAddresses,
    /// By the heads of their chains.
    in_flight: Vec<Option<InFlight>>,
    /// How many.
    working: usize,
    /// Completions that need no device: refused requests.
    answered: VecDeque<DiskCompletion>,
    #[expect(clippy::vec_box, reason = "a wire must not move while a device has its address")]
    wires: Vec<Box<Wire>>,
    /// Blocks of the requests that the device was not told of yet, first to end.
    untold: Vec<(u64, u64)>,
    broken: bool,
}

impl VirtioDisk {
    /// Opens the block device with this number, in order of PCI addresses.
    ///
    /// # Errors
    /// Why it cannot be used. The device is left reset.
    pub fn open(number: usize, frames: &FramePool) -> Result<Self, DiskOpenError> {
        let mut left = number;
        let device = pci::find(|device, information| {
            let block = virtio_device_type(information) == Some(DeviceType::Block);
            if block && left == 0 {
                return Some(device);
            }
            left -= usize::from(block);
            None
        });
        let device = device.ok_or(DiskOpenError::NotFound)?;
        pci::enable(device);
        let mut transport = PciTransport::new::<KernelMemory, _>(&mut pci::root(), device)
            .map_err(|_| DiskOpenError::Transport)?;
        let features = negotiate(&mut transport, KNOWN_FEATURES).ok_or(DiskOpenError::Features)?;
        let indirect = features & feature::INDIRECT != 0;
        let queue = Queue::largest(&mut transport, indirect).ok_or(DiskOpenError::Queue)?;
        let (geometry, largest_segment) = geometry(&transport, features, queue.size())?;
        transport.finish_init();
        let line = pci::interrupt_line(device);
        if let Some(line) = line {
            interrupts::open(line);
        }
        Ok(Self {
            transport,
            device,
            line,
            geometry,
            largest_segment,
            frames: frames.addresses(),
            in_flight: (0..queue.size()).map(|_| None).collect(),
            working: 0,
            queue,
            answered: VecDeque::new(),
            wires: Vec::new(),
            untold: Vec::new(),
            broken: false,
        })
    }

    /// Where the device is, for messages and for the emergency path: bus, device, function.
    #[must_use]
    pub fn device(&self) -> DeviceFunction {
        self.device
    }

    /// Requests in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.working
    }

    /// What can be answered without the device.
    fn refusal(&self, request: &DiskRequest) -> Option<DiskError> {
        let count = request.blocks();
        let end = request.block.get().checked_add(count);
        let most = match (request.operation, self.geometry.discard) {
            (DiskOperation::Discard { .. }, limits) => {
                limits.map_or(0, |limits| limits.blocks).into()
            }
            _ => self.geometry.blocks_per_request as u64,
        };
        match request.operation {
            _ if self.broken => Some(DiskError::Failed),
            DiskOperation::Flush if !self.geometry.flush => Some(DiskError::Unsupported),
            DiskOperation::Flush => None,
            DiskOperation::Discard { .. } if most == 0 => Some(DiskError::Unsupported),
            DiskOperation::Write | DiskOperation::Discard { .. } if self.geometry.read_only => {
                Some(DiskError::Unsupported)
            }
            _ if count == 0 || count > most => Some(DiskError::OutOfRange),
            _ if end.is_none_or(|end| end > self.geometry.blocks) => Some(DiskError::OutOfRange),
            _ => None,
        }
    }

    /// Notes the request's descriptors in its wire: header, data, status.
    fn describe(&self, request: &DiskRequest, wire: &mut Wire) {
        let parts = &mut wire.descriptors;
        parts.clear();
        let header = (&raw const wire.header).expose_provenance();
        parts.push(Descriptor::new(header, size_of::<Header>(), false));
        if let DiskOperation::Discard { .. } = request.operation {
            let range = (&raw const wire.range).expose_provenance();
            parts.push(Descriptor::new(range, size_of::<DiscardRange>(), false));
        }
        let reads = request.operation == DiskOperation::Read;
        let mut data = None;
        for buffer in &request.buffers {
            let address = match buffer {
                Buffer::Frame(frame) => self.frames.address(*frame),
                Buffer::Owned(page) => page.0.as_ptr().expose_provenance(),
            };
            let extended =
                |last: &mut Descriptor| last.extend(address, PAGE_SIZE, self.largest_segment);
            if !data.as_mut().is_some_and(extended) {
                parts.extend(data.replace(Descriptor::new(address, PAGE_SIZE, reads)));
            }
        }
        parts.extend(data);
        let status = (&raw mut wire.status).expose_provenance();
        parts.push(Descriptor::new(status, 1, true));
    }

    /// Puts a request into the queue; hands it back if there is no room.
    fn enqueue(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        let mut wire = self.wires.pop().unwrap_or_default();
        let sector = request.block.get() * SECTORS_PER_BLOCK as u64;
        let (kind, sector) = match request.operation {
            DiskOperation::Read => (kind::READ, sector),
            DiskOperation::Write => (kind::WRITE, sector),
            DiskOperation::Flush => (kind::FLUSH, 0),
            DiskOperation::Discard { blocks } => {
                // No flag: what is read afterwards may be anything. `geometry` has seen to it that the number fits.
                let sectors = u64::from(blocks) * SECTORS_PER_BLOCK as u64;
                let sectors = u32::try_from(sectors).unwrap_or(u32::MAX);
                wire.range = DiscardRange { sector, sectors, flags: 0 };
                (kind::DISCARD, 0)
            }
        };
        wire.header = Header { kind, reserved: 0, sector };
        wire.status = status::UNANSWERED;
        self.describe(&request, &mut wire);
        // SAFETY: request and wire are kept in `in_flight` until the completion; the wire is boxed, so it does not move.
        let head = unsafe { self.queue.add(&mut wire) };
        match head.and_then(|head| self.in_flight.get_mut(usize::from(head))) {
            Some(slot) => {
                *slot = Some(InFlight { request, wire });
                self.working += 1;
                Ok(())
            }
            None => {
                self.wires.push(wire);
                Err(request)
            }
        }
    }

    /// Takes one finished chain out of the queue.
    fn dequeue(&mut self) -> Option<DiskCompletion> {
        let head = self.queue.next_done()?;
        let known = self.in_flight.get_mut(usize::from(head)).and_then(take);
        let Some(InFlight { request, mut wire }) = known else {
            self.give_up();
            return None;
        };
        self.queue.release(head);
        self.working -= 1;
        // SAFETY: reads the byte that the device wrote, which the compiler has not seen change.
        let answer = unsafe { (&raw const wire.status).read_volatile() };
        if wire.descriptors.capacity() > DESCRIPTORS_KEPT {
            wire.descriptors = Vec::new();
        }
        self.wires.push(wire);
        let result = match answer {
            status::OK => Ok(()),
            status::UNSUPPORTED => Err(DiskError::Unsupported),
            _ => Err(DiskError::Failed),
        };
        Some(complete(request, result))
    }

    /// Resets a device that contradicts itself; after that it does not touch memory, so buffers can be handed back. One that
    /// does not even reset loses the right to access memory.
    #[cold]
    fn give_up(&mut self) {
        if !reset(&mut self.transport) {
            pci::silence(self.device);
        }
        self.broken = true;
        self.working = 0;
        for slot in &mut self.in_flight {
            if let Some(in_flight) = take(slot) {
                self.answered.push_back(complete(in_flight.request, Err(DiskError::Failed)));
            }
        }
    }
}

fn complete(request: DiskRequest, result: Result<(), DiskError>) -> DiskCompletion {
    let DiskRequest { tag, operation, block, buffers } = request;
    DiskCompletion { tag, operation, block, buffers, result }
}

/// What the device says about itself, and the largest segment it takes.
fn geometry(
    transport: &PciTransport,
    features: u64,
    queue_size: usize,
) -> Result<(DiskGeometry, usize), DiskOpenError> {
    let word =
        |offset| transport.read_config_space::<u32>(offset).map_err(|_| DiskOpenError::Transport);
    let sectors = u64::from(word(CAPACITY_HIGH)?) << 32 | u64::from(word(CAPACITY_LOW)?);
    let largest_segment = match features & feature::SIZE_MAX {
        0 => usize::MAX,
        _ => word(SIZE_MAX)? as usize,
    };
    if largest_segment < PAGE_SIZE {
        return Err(DiskOpenError::Segments);
    }
    let segments = match features & feature::SEG_MAX {
        0 => queue_size,
        _ => word(SEG_MAX)? as usize,
    };
    let indirect = features & feature::INDIRECT != 0;
    let room = queue_size - OVERHEAD;
    let room = if indirect { room } else { room.min(DIRECT_BLOCKS) };
    let blocks_per_request = segments.min(room).max(1);
    let discard = match features & feature::DISCARD {
        0 => None,
        _ => {
            let count = |blocks: usize| u32::try_from(blocks).unwrap_or(u32::MAX);
            let blocks = count(word(DISCARD_SECTORS_MAX)? as usize / SECTORS_PER_BLOCK);
            let alignment =
                count((word(DISCARD_ALIGNMENT)? as usize).div_ceil(SECTORS_PER_BLOCK)).max(1);
            (blocks > 0).then_some(DiscardLimits { blocks, alignment })
        }
    };
    Ok((
        DiskGeometry {
            blocks: sectors / SECTORS_PER_BLOCK as u64,
            queue_depth: if indirect {
                queue_size
            } else {
                (queue_size / (blocks_per_request + OVERHEAD)).max(1)
            },
            blocks_per_request,
            read_only: features & feature::READ_ONLY != 0,
            flush: features & feature::FLUSH != 0,
            discard,
        },
        largest_segment,
    ))
}

impl Disk for VirtioDisk {
    fn geometry(&self) -> DiskGeometry {
        self.geometry
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if let Some(error) = self.refusal(&request) {
            self.answered.push_back(complete(request, Err(error)));
            return Ok(());
        }
        let (first, end) = (request.block.get(), request.block.get() + request.blocks());
        // A device that gets neighbours together makes one request of them, and a bad sector fails them all.
        if self.untold.iter().any(|(other, behind)| *behind == first || end == *other) {
            self.start();
        }
        if let Err(request) = self.enqueue(request) {
            self.start(); // or nobody would make room
            return Err(request);
        }
        self.untold.push((first, end));
        Ok(())
    }

    /// One notice for many requests: each is an exit to the host.
    fn start(&mut self) {
        if !self.untold.is_empty() {
            self.untold.clear();
            if self.queue.wants_notification() {
                self.transport.notify(QUEUE);
            }
        }
    }

    fn poll(&mut self) -> Option<DiskCompletion> {
        self.start();
        if let Some(line) = self.line
            && interrupts::is_pending(line)
        {
            // Taken back before the queue is looked at: what completes after this look asks again.
            let _cause = self.transport.ack_interrupt();
            interrupts::reopen(line);
        }
        if let Some(completion) = self.answered.pop_front() {
            return Some(completion);
        }
        if self.broken { None } else { self.dequeue().or_else(|| self.answered.pop_front()) }
    }
}
