//! A store on an image file, driven to its ends: what the commands of `revenant disk`, the maker of images and the tests
//! share.
//!
//! Invariant: every method returns when the store rests; nothing is in flight between calls.

use super::file_disk::{FileDisk, Mode, OpenError};
use super::frames::HostFrames;
use core::borrow::Borrow;
use revenant_hal::{
    BlockIndex, Epoch, FrameIndex, FrameMemory, Generation, Nanoseconds, PageBytes, PageIndex,
};
use revenant_store::{
    AbandonReason, Access, Check, CheckOutcome, CheckReport, Copies, DamagedBlock, FormatOutcome,
    Formatting, OpenFrom, OpenOutcome, OpenReport, OpenRequest, Opening, PageContent, Refusal,
    RetentionOverride, Ring, RingOutcome, RingReader, SessionId, SnapshotError, StepOutcome, Store,
    StoreEvent, StoreId, StoreOptions, Superblock,
};
use std::io::Read;
use std::path::Path;

/// Frames for pages on their way.
const FRAMES: u32 = 1024;

/// Why something could not be done with an image.
#[derive(Debug)]
pub enum ImageError {
    /// The file cannot be opened.
    Open(OpenError),
    /// The store on it is refused.
    Refused(Refusal),
    /// A snapshot could not be written.
    Abandoned(AbandonReason),
    /// A wish about snapshots was not accepted.
    Snapshot(SnapshotError),
    /// A page cannot be read.
    Damaged(DamagedBlock),
    /// The pages do not fit on the disk.
    Full {
        /// Pages that did fit.
        pages: u64,
    },
    /// No random numbers.
    Random(std::io::Error),
    /// The store stopped without an answer: a defect of this program.
    Stuck,
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Open(error) => error.fmt(formatter),
            Self::Refused(refusal) => refusal.fmt(formatter),
            Self::Abandoned(reason) => write!(formatter, "snapshot not written: {reason}"),
            Self::Snapshot(error) => error.fmt(formatter),
            Self::Damaged(damage) => damage.fmt(formatter),
            Self::Full { pages } => {
                write!(formatter, "disk full after {pages} pages; make a larger one (--size)")
            }
            Self::Random(error) => write!(formatter, "/dev/urandom: {error}"),
            Self::Stuck => formatter.write_str("internal error: the store stopped in the middle"),
        }
    }
}

impl core::error::Error for ImageError {}

/// 128 random bits.
///
/// # Errors
/// The system's source cannot be read.
pub fn random() -> Result<u128, ImageError> {
    let mut bytes = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").map_err(ImageError::Random)?;
    source.read_exact(&mut bytes).map_err(ImageError::Random)?;
    Ok(u128::from_le_bytes(bytes) | 1)
}

/// An image file with the store on it open.
#[derive(Debug)]
pub struct Image {
    disk: FileDisk,
    frames: HostFrames,
    /// The store.
    pub store: Store,
    /// What its opening found.
    pub report: OpenReport,
}

/// What makes up the first snapshot: a page, how often it is stored, its content.
pub type SourcePage<B> = (PageIndex, Copies, B);

impl Image {
    /// Makes an image of `blocks` blocks whose first snapshot holds exactly these pages.
    ///
    /// # Errors
    /// The file exists (without `replace`), the pages do not fit, or the disk fails; the file is then worthless.
    pub fn create<B: Borrow<PageBytes>>(
        path: &Path,
        blocks: u64,
        replace: bool,
        vm_abi: u32,
        source: impl Iterator<Item = SourcePage<B>>,
    ) -> Result<Epoch, ImageError> {
        Self::create_empty(path, blocks, replace, vm_abi)?.snapshot(source)
    }

    /// Makes an image of `blocks` blocks without a snapshot, and opens it: its running epoch will be that of the first.
    ///
    /// # Errors
    /// The file exists (without `replace`), is in use, too small, or the disk fails; what was made of it is removed.
    pub fn create_empty(
        path: &Path,
        blocks: u64,
        replace: bool,
        vm_abi: u32,
    ) -> Result<Self, ImageError> {
        let mut disk = FileDisk::create(path, blocks, replace).map_err(ImageError::Open)?;
        let opened = random()
            .and_then(|id| format(&mut disk, StoreId(id), vm_abi))
            .and_then(|()| Self::open_disk(disk, vm_abi, Access::ReadWrite, OpenFrom::Newest));
        opened.inspect_err(|_| {
            // The file is ours and worthless; that it could not be removed adds nothing to the error.
            let _ = std::fs::remove_file(path);
        })
    }

    /// Opens the store on an image. Reading needs no particular version of the virtual machine.
    ///
    /// # Errors
    /// The file or the store is refused.
    pub fn open(path: &Path, mode: Mode, vm_abi: u32) -> Result<Self, ImageError> {
        let access = match mode {
            Mode::Read => Access::ReadOnly,
            Mode::Write => Access::ReadWrite,
        };
        let disk = FileDisk::open(path, mode).map_err(ImageError::Open)?;
        Self::open_disk(disk, vm_abi, access, OpenFrom::Newest)
    }

    /// Opens an older generation for reading, after every block that it reaches was found whole.
    ///
    /// # Errors
    /// The file or the store is refused, or the generation is not there, or not whole.
    pub fn open_generation(path: &Path, generation: Generation) -> Result<Self, ImageError> {
        let disk = FileDisk::open(path, Mode::Read).map_err(ImageError::Open)?;
        let from = OpenFrom::Generation { generation, restore_generation: None };
        Self::open_disk(disk, 0, Access::ReadOnly, from)
    }

    fn open_disk(
        mut disk: FileDisk,
        vm_abi: u32,
        access: Access,
        from: OpenFrom,
    ) -> Result<Self, ImageError> {
        let mut frames = HostFrames::new(FRAMES);
        // A tool drops nothing but what it is told to: the policy is the machine's business.
        let options = StoreOptions {
            retention: RetentionOverride::KEEP_ALL,
            cached_nodes: 1 << 16,
            ..StoreOptions::default()
        };
        let session = SessionId(random()?);
        let mut opening = Opening::new(OpenRequest { session, vm_abi, access, from, options });
        loop {
            match opening.step(&mut disk) {
                OpenOutcome::Opened(store, report) => {
                    return Ok(Self { disk, frames, store: *store, report: *report });
                }
                OpenOutcome::Refused(refusal) => return Err(ImageError::Refused(refusal)),
                OpenOutcome::Again => {}
                OpenOutcome::Waiting => {
                    turn(&mut disk, &mut frames, |done, _| opening.complete(done))
                }
            }
        }
    }

    /// Goes on until the store has something to tell, or rests.
    fn event(&mut self) -> Option<StoreEvent> {
        loop {
            if let Some(event) = self.store.next_event() {
                return Some(event);
            }
            match self.store.step(&mut self.disk, &mut self.frames) {
                StepOutcome::Again => {}
                StepOutcome::Idle => return self.store.next_event(),
                StepOutcome::Waiting => {
                    let store = &mut self.store;
                    turn(&mut self.disk, &mut self.frames, |done, frames| {
                        store.complete(done, frames);
                    });
                }
            }
        }
    }

    /// Makes a snapshot in which these pages are changed.
    ///
    /// # Errors
    /// The pages do not fit, or the disk fails.
    pub fn snapshot<B: Borrow<PageBytes>>(
        &mut self,
        source: impl Iterator<Item = SourcePage<B>>,
    ) -> Result<Epoch, ImageError> {
        let epoch = self.store.running_epoch();
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let wall = wall.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
        self.store.begin_snapshot(epoch, Nanoseconds(wall)).map_err(ImageError::Snapshot)?;
        let mut free: Vec<FrameIndex> = (0..FRAMES).map(FrameIndex).collect();
        let mut source = source.fuse();
        let mut pages: u64 = 0;
        let mut pending = source.next();
        loop {
            while let Some((page, copies, bytes)) = pending.take() {
                let Some(frame) = free.pop() else {
                    pending = Some((page, copies, bytes));
                    break;
                };
                if pages.is_multiple_of(u64::from(FRAMES))
                    && self.store.space().available < 4096.min(self.store.space().total / 16)
                {
                    return Err(ImageError::Full { pages });
                }
                self.frames.bytes_mut(frame).0 = bytes.borrow().0;
                self.store.write_page(page, frame, copies);
                pages += 1;
                pending = source.next();
            }
            if pending.is_none() {
                self.store.finish_snapshot();
            }
            match self.event() {
                Some(StoreEvent::PageWritten { frame, .. }) => free.push(frame),
                Some(StoreEvent::Committed { epoch, .. }) => return Ok(epoch),
                Some(StoreEvent::Abandoned { reason: AbandonReason::NoSpace, .. }) => {
                    return Err(ImageError::Full { pages });
                }
                Some(StoreEvent::Abandoned { reason, .. }) => {
                    return Err(ImageError::Abandoned(reason));
                }
                Some(_) => {}
                None => return Err(ImageError::Stuck),
            }
        }
    }

    /// Makes wishes about snapshots durable.
    ///
    /// # Errors
    /// The store is read-only, or the disk fails.
    pub fn commit_requests(&mut self) -> Result<(), ImageError> {
        self.store.commit_requests().map_err(ImageError::Snapshot)?;
        loop {
            match self.event() {
                Some(StoreEvent::Committed { .. }) => return Ok(()),
                Some(StoreEvent::Abandoned { reason, .. }) => {
                    return Err(ImageError::Abandoned(reason));
                }
                Some(_) => {}
                None => return Err(ImageError::Stuck),
            }
        }
    }

    /// Reads a page of a snapshot, or of the live state; none for a page of zeros.
    ///
    /// # Errors
    /// No such snapshot, or the page is damaged.
    pub fn read_page(
        &mut self,
        snapshot: Option<Epoch>,
        page: PageIndex,
    ) -> Result<Option<PageBytes>, ImageError> {
        let frame = FrameIndex(0);
        match snapshot {
            None => self.store.read_page(page, frame),
            Some(epoch) => {
                self.store.read_snapshot_page(epoch, page, frame).map_err(ImageError::Snapshot)?
            }
        }
        loop {
            match self.event() {
                Some(StoreEvent::PageRead { result: Ok(PageContent::Zero), .. }) => {
                    return Ok(None);
                }
                Some(StoreEvent::PageRead { result: Ok(PageContent::Stored), .. }) => {
                    return Ok(Some(self.frames.bytes(frame).clone()));
                }
                Some(StoreEvent::PageRead { result: Err(damage), .. }) => {
                    return Err(ImageError::Damaged(damage));
                }
                Some(_) => {}
                None => return Err(ImageError::Stuck),
            }
        }
    }

    /// Reads blocks as they stand, for tools that look at nodes.
    pub(super) fn disk(&mut self) -> &mut FileDisk {
        &mut self.disk
    }
}

/// One request of the file, and its completion.
fn turn(
    disk: &mut FileDisk,
    frames: &mut HostFrames,
    mut complete: impl FnMut(revenant_hal::DiskCompletion, &mut HostFrames),
) {
    disk.turn(frames);
    while let Some(completion) = revenant_hal::Disk::poll(disk) {
        complete(completion, frames);
    }
}

/// Formats a disk.
///
/// # Errors
/// The disk is too small, or fails.
pub fn format(disk: &mut FileDisk, store: StoreId, vm_abi: u32) -> Result<(), ImageError> {
    let mut formatting = Formatting::new(store, vm_abi);
    let mut frames = HostFrames::new(0);
    loop {
        match formatting.step(disk) {
            FormatOutcome::Formatted => return Ok(()),
            FormatOutcome::Refused(refusal) => return Err(ImageError::Refused(refusal)),
            FormatOutcome::Again => {}
            FormatOutcome::Waiting => turn(disk, &mut frames, |done, _| formatting.complete(done)),
        }
    }
}

/// Reads the superblock ring as it stands.
///
/// # Errors
/// The disk is too small to hold one.
pub fn read_ring(disk: &mut FileDisk) -> Result<Ring, ImageError> {
    let mut reader = RingReader::new();
    let mut frames = HostFrames::new(0);
    loop {
        match reader.step(disk) {
            RingOutcome::Read(ring) => return Ok(ring),
            RingOutcome::Refused(refusal) => return Err(ImageError::Refused(refusal)),
            RingOutcome::Again => {}
            RingOutcome::Waiting => turn(disk, &mut frames, |done, _| reader.complete(done)),
        }
    }
}

/// Checks everything that a superblock reaches; `progress` is told blocks read and their total.
pub fn check(
    disk: &mut FileDisk,
    superblock: Superblock,
    mut progress: impl FnMut(u64, u64),
) -> CheckReport {
    let mut check = Check::new(superblock);
    let mut frames = HostFrames::new(0);
    loop {
        match check.step(disk) {
            CheckOutcome::Done(report) => return report,
            CheckOutcome::Again => {}
            CheckOutcome::Waiting => turn(disk, &mut frames, |done, _| check.complete(done)),
        }
        let (done, total) = check.progress();
        progress(done, total);
    }
}

/// A block as it stands.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read_block(disk: &mut FileDisk, block: BlockIndex) -> Option<Box<PageBytes>> {
    use revenant_hal::{Buffer, Disk, DiskOperation, DiskRequest, RequestTag};
    let request = DiskRequest {
        tag: RequestTag(0),
        operation: DiskOperation::Read,
        block,
        buffers: vec![Buffer::Owned(Box::new(PageBytes::ZERO))],
    };
    disk.submit(request).ok()?;
    disk.turn(&mut HostFrames::new(0));
    let completion = disk.poll()?;
    completion.result.ok()?;
    completion.buffers.into_iter().next().and_then(|buffer| match buffer {
        Buffer::Owned(page) => Some(page),
        Buffer::Frame(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u8) -> PageBytes {
        PageBytes([number; revenant_hal::PAGE_SIZE])
    }

    #[test]
    fn an_image_made_from_pages_holds_them_in_its_snapshot_and_checks_clean() {
        let path = std::env::temp_dir().join(format!("revenant-image-{}.img", std::process::id()));
        let source = (0..3000u64).map(|n| {
            let copies = if n == 0 { Copies::Two } else { Copies::One };
            (PageIndex(n * 3), copies, page(u8::try_from(n % 251).unwrap_or(0) + 1))
        });
        let epoch = Image::create(&path, 16_384, true, 1, source).unwrap();
        let mut image = Image::open(&path, Mode::Write, 1).unwrap();
        assert_eq!(image.report.epoch, epoch);
        let changed = [(PageIndex(3), Copies::One, page(9)), (PageIndex(4), Copies::One, page(8))];
        let second = image.snapshot(changed.into_iter()).unwrap();
        assert_eq!(image.read_page(None, PageIndex(3)).unwrap(), Some(page(9)));
        assert_eq!(image.read_page(Some(epoch), PageIndex(3)).unwrap(), Some(page(2)));
        assert_eq!(image.read_page(Some(epoch), PageIndex(4)).unwrap(), None);
        let superblock = image.store.superblock().clone();
        let report = check(image.disk(), superblock.clone(), |_, _| {});
        assert_eq!((report.problems.len(), report.pages), (0, 3002));
        let (usage, kinds) = super::super::usage::usage(image.disk(), &superblock);
        // 3,000 pages and the two that replaced or joined them; and nothing that the check has not seen.
        assert!((3003..3006).contains(&kinds.pages), "{kinds:?}");
        assert_eq!(
            kinds.pages + kinds.nodes + report.free_space_blocks,
            report.reached,
            "{kinds:?}"
        );
        assert_eq!(usage.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [epoch, second]);
        // Page 3 was replaced: old and new block are held alone; so is the path to them.
        assert!(usage.iter().all(|(_, usage)| (10..14).contains(&usage.alone)), "{usage:?}");
        drop(image);
        assert!(matches!(
            Image::create(&path, 1023, true, 1, [(PageIndex(0), Copies::One, page(1))].into_iter()),
            Err(ImageError::Refused(Refusal::TooSmall { .. }))
        ));
        assert!(!path.exists(), "a file that could not become a disk is not left behind");
        let many = (0..2000).map(|n| (PageIndex(n), Copies::One, page(1)));
        let full = Image::create(&path, 1024, true, 1, many);
        assert!(matches!(full, Err(ImageError::Full { .. })), "{full:?}");
        std::fs::remove_file(&path).unwrap();
    }
}
