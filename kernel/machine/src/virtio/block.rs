//! The virtio block device as a [`Disk`]: asynchronous, interrupt driven, scatter-gather, as deep as its queue.
//!
//! A request's buffers, header and status byte belong to the device from `submit` until the completion. Adjacent buffers
//! are merged into one descriptor. Errors are completions. A device that contradicts itself (a token nobody waits for)
//! is reset, everything in flight ends as failed, and so does everything submitted later.

use super::queue::{self, Queue};
use super::{
    DiscardRange, Header, QUEUE, Wire, dma::KernelMemory, feature, kind, negotiate, reset, status,
};
use crate::frames::{FrameAddresses, FramePool};
use crate::{interrupts, pci};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
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
    queue: Box<dyn Queue>,
    line: Option<u8>,
    geometry: DiskGeometry,
    largest_segment: usize,
    frames: FrameAddresses,
    /// By token.
    in_flight: Vec<Option<InFlight>>,
    /// Completions that need no device: refused requests.
    answered: VecDeque<DiskCompletion>,
    #[expect(clippy::vec_box, reason = "a wire must not move while a device has its address")]
    wires: Vec<Box<Wire>>,
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
        let queue = queue::largest(&mut transport, indirect).ok_or(DiskOpenError::Queue)?;
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
            queue,
            answered: VecDeque::new(),
            wires: Vec::new(),
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
        self.in_flight.iter().flatten().count()
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

    /// The request's chain: header, data, status.
    ///
    /// # Safety
    /// The chain must be dropped before the request's memory is used by anybody else.
    unsafe fn chain<'a>(&self, in_flight: &'a InFlight) -> Chain<'a> {
        let mut chain = Chain {
            inputs: vec![in_flight.wire.header_bytes()],
            outputs: Vec::new(),
            write: in_flight.request.operation == DiskOperation::Write,
        };
        if let DiskOperation::Discard { .. } = in_flight.request.operation {
            chain.inputs.push(in_flight.wire.range_bytes());
        }
        let mut segment: Option<(usize, usize)> = None;
        for buffer in &in_flight.request.buffers {
            let address = match buffer {
                Buffer::Frame(frame) => self.frames.address(*frame),
                Buffer::Owned(page) => page.0.as_ptr().expose_provenance(),
            };
            match &mut segment {
                Some((start, length))
                    if *start + *length == address
                        && *length + PAGE_SIZE <= self.largest_segment =>
                {
                    *length += PAGE_SIZE;
                }
                _ => {
                    let finished = segment.replace((address, PAGE_SIZE));
                    // SAFETY: whole pages that belong to the request.
                    unsafe { chain.push(finished) };
                }
            }
        }
        // SAFETY: as above.
        unsafe { chain.push(segment) };
        let status = (&raw const in_flight.wire.status).cast_mut();
        // SAFETY: one byte of the boxed wire, written by the device alone until the completion.
        chain.outputs.push(unsafe { core::slice::from_raw_parts_mut(status, 1) });
        chain
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
        let in_flight = InFlight { request, wire };
        // SAFETY: the memory that the chain names is kept in `in_flight` until the completion.
        let token = unsafe {
            let mut chain = self.chain(&in_flight);
            self.queue.add(&chain.inputs, &mut chain.outputs)
        };
        match token.and_then(|token| self.in_flight.get_mut(usize::from(token))) {
            Some(slot) => {
                *slot = Some(in_flight);
                Ok(())
            }
            None => {
                self.wires.push(in_flight.wire);
                Err(in_flight.request)
            }
        }
    }

    /// Takes one finished chain out of the queue.
    fn dequeue(&mut self) -> Option<DiskCompletion> {
        let token = self.queue.peek()?;
        let Some(in_flight) = self.in_flight.get_mut(usize::from(token)).and_then(Option::take)
        else {
            self.give_up();
            return None;
        };
        // SAFETY: the same request gives the same chain that `enqueue` handed over.
        let taken = unsafe {
            let mut chain = self.chain(&in_flight);
            self.queue.take(token, &chain.inputs, &mut chain.outputs)
        };
        let InFlight { request, wire } = in_flight;
        // SAFETY: reads the byte that the device wrote, which the compiler has not seen change.
        let answer = unsafe { (&raw const wire.status).read_volatile() };
        self.wires.push(wire);
        if !taken {
            self.give_up();
            return Some(complete(request, Err(DiskError::Failed)));
        }
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
        for slot in &mut self.in_flight {
            if let Some(in_flight) = take(slot) {
                self.answered.push_back(complete(in_flight.request, Err(DiskError::Failed)));
            }
        }
    }
}

/// Buffers in the order of the queue: what the device reads, what it writes.
struct Chain<'a> {
    inputs: Vec<&'a [u8]>,
    outputs: Vec<&'a mut [u8]>,
    write: bool,
}

impl Chain<'_> {
    /// Adds a finished segment to the list that its direction asks for.
    ///
    /// # Safety
    /// The segment is memory in the physical map that nothing else uses while the chain exists.
    unsafe fn push(&mut self, segment: Option<(usize, usize)>) {
        let Some((start, length)) = segment else { return };
        let pointer = core::ptr::with_exposed_provenance_mut::<u8>(start);
        if self.write {
            // SAFETY: the caller's contract.
            self.inputs.push(unsafe { core::slice::from_raw_parts(pointer, length) });
        } else {
            // SAFETY: the caller's contract.
            self.outputs.push(unsafe { core::slice::from_raw_parts_mut(pointer, length) });
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
        self.enqueue(request)?;
        // Each by itself, although one notice for many would be cheaper: a device that gets neighbours together makes one
        // request of them, and a bad sector fails them all, those that were asked for again one by one because of it, too.
        if self.queue.wants_notification() {
            self.transport.notify(QUEUE);
        }
        Ok(())
    }

    fn poll(&mut self) -> Option<DiskCompletion> {
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
