//! A disk image as a [`Disk`]: plain positioned reads and writes, `fdatasync` as FLUSH, and the lock by which QEMU keeps
//! two users off one image.
//!
//! Requests are carried out in [`FileDisk::turn`], in the order of submission; only there are frames touched.
//!
//! Invariants: an image that is open for writing cannot be opened by QEMU or by another of these tools, and the other way
//! round; readers share; a file opened for reading is never written to.

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use revenant_hal::{
    BlockIndex, Buffer, Disk, DiskCompletion, DiskError, DiskGeometry, DiskOperation, DiskRequest,
    FrameMemory, PAGE_SIZE, PAGE_SIZE_U64,
};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What an image is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Reading, beside other readers.
    Read,
    /// Reading and writing, alone.
    Write,
}

/// Why an image could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The file system says no.
    File(std::io::Error),
    /// QEMU or another tool has it.
    InUse,
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::File(error) => error.fmt(formatter),
            Self::InUse => formatter.write_str(
                "in use by QEMU or another `revenant disk` command; stop that one first",
            ),
        }
    }
}

/// An image file, or a block device.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    mode: Mode,
    blocks: u64,
    requests: VecDeque<DiskRequest>,
    completions: VecDeque<DiskCompletion>,
}

/// Makes a new file's name durable: its content is by its own flushes, but the name stands in the directory.
///
/// # Errors
/// The directory cannot be opened or flushed.
pub(super) fn sync_name(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Requests that may be waiting; nothing is gained from more.
const QUEUE_DEPTH: usize = 16;
/// One MiB a request.
const BLOCKS_PER_REQUEST: usize = 256;

impl FileDisk {
    /// Opens an image and takes QEMU's lock on it.
    ///
    /// # Errors
    /// The file cannot be opened, or somebody else has it.
    pub fn open(path: &Path, mode: Mode) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(mode == Mode::Write).open(path);
        Self::from_file(file.map_err(OpenError::File)?, mode)
    }

    /// Creates an image of `blocks` blocks of zeros, sparse. An existing file is an error unless `replace` is set.
    ///
    /// # Errors
    /// The file exists, cannot be made, or is in use.
    pub fn create(path: &Path, blocks: u64, replace: bool) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).create_new(!replace);
        let file = options.open(path).map_err(OpenError::File)?;
        lock(&file, Mode::Write)?;
        // Cut only when it is ours: nobody may lose a disk that is running.
        file.set_len(0).map_err(OpenError::File)?;
        file.set_len(blocks * PAGE_SIZE_U64).map_err(OpenError::File)?;
        Self::from_file(file, Mode::Write)
    }

    fn from_file(mut file: File, mode: Mode) -> Result<Self, OpenError> {
        lock(&file, mode)?;
        let length = file.seek(SeekFrom::End(0)).map_err(OpenError::File)?;
        Ok(Self {
            file,
            mode,
            blocks: length / PAGE_SIZE_U64,
            requests: VecDeque::new(),
            completions: VecDeque::new(),
        })
    }

    /// Carries out the oldest request.
    pub fn turn(&mut self, frames: &mut impl FrameMemory) {
        let Some(mut request) = self.requests.pop_front() else { return };
        let result = match request.operation {
            DiskOperation::Read => self.read(request.block, &mut request.buffers, frames),
            DiskOperation::Write if self.mode == Mode::Read => Err(DiskError::Unsupported),
            DiskOperation::Write => self.write(request.block, &request.buffers, frames),
            DiskOperation::Flush => self.file.sync_data().map_err(|_| DiskError::Failed),
            DiskOperation::Discard { .. } => Err(DiskError::Unsupported),
        };
        let DiskRequest { tag, operation, block, buffers } = request;
        self.completions.push_back(DiskCompletion { tag, operation, block, buffers, result });
    }

    fn range(&self, block: BlockIndex, buffers: &[Buffer]) -> Result<(u64, usize), DiskError> {
        let end = block.0.checked_add(buffers.len() as u64).ok_or(DiskError::OutOfRange)?;
        if end > self.blocks || buffers.len() > BLOCKS_PER_REQUEST {
            return Err(DiskError::OutOfRange);
        }
        Ok((block.0 * PAGE_SIZE_U64, buffers.len() * PAGE_SIZE))
    }

    fn read(
        &self,
        block: BlockIndex,
        buffers: &mut [Buffer],
        frames: &mut impl FrameMemory,
    ) -> Result<(), DiskError> {
        let (offset, length) = self.range(block, buffers)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|_| DiskError::Failed)?;
        for (buffer, page) in buffers.iter_mut().zip(bytes.as_chunks::<PAGE_SIZE>().0) {
            match buffer {
                Buffer::Owned(target) => target.0 = *page,
                Buffer::Frame(frame) => frames.bytes_mut(*frame).0 = *page,
            }
        }
        Ok(())
    }

    fn write(
        &self,
        block: BlockIndex,
        buffers: &[Buffer],
        frames: &impl FrameMemory,
    ) -> Result<(), DiskError> {
        let (offset, length) = self.range(block, buffers)?;
        let mut bytes = Vec::with_capacity(length);
        for buffer in buffers {
            bytes.extend_from_slice(match buffer {
                Buffer::Owned(page) => &page.0,
                Buffer::Frame(frame) => &frames.bytes(*frame).0,
            });
        }
        self.file.write_all_at(&bytes, offset).map_err(|_| DiskError::Failed)
    }
}

impl Disk for FileDisk {
    fn geometry(&self) -> DiskGeometry {
        DiskGeometry {
            blocks: self.blocks,
            queue_depth: QUEUE_DEPTH,
            blocks_per_request: BLOCKS_PER_REQUEST,
            read_only: self.mode == Mode::Read,
            flush: true,
            discard: None,
        }
    }

    fn submit(&mut self, request: DiskRequest) -> Result<(), DiskRequest> {
        if self.requests.len() + self.completions.len() >= QUEUE_DEPTH {
            return Err(request);
        }
        self.requests.push_back(request);
        Ok(())
    }

    fn poll(&mut self) -> Option<DiskCompletion> {
        self.completions.pop_front()
    }
}

// QEMU's convention (block/file-posix.c): a shared lock on byte 100+p says "I use permission p", one on byte 200+p says "I
// do not share permission p"; whoever comes probes the opposite bytes.
const USES: i64 = 100;
const UNSHARES: i64 = 200;
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// Takes the lock on an image as QEMU would, until the file is closed.
fn lock(file: &File, mode: Mode) -> Result<(), OpenError> {
    let (uses, unshares): (&[i64], &[i64]) = match mode {
        Mode::Read => (&[CONSISTENT_READ], &[WRITE, RESIZE]),
        Mode::Write => (&[CONSISTENT_READ, WRITE, RESIZE], &[WRITE, RESIZE]),
    };
    for byte in uses.iter().map(|p| USES + p).chain(unshares.iter().map(|p| UNSHARES + p)) {
        let wanted = byte_lock(libc::F_RDLCK, byte);
        fcntl(file, FcntlArg::F_OFD_SETLK(&wanted)).map_err(|_| OpenError::InUse)?;
    }
    for byte in uses.iter().map(|p| UNSHARES + p).chain(unshares.iter().map(|p| USES + p)) {
        let mut probe = byte_lock(libc::F_WRLCK, byte);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut probe)).map_err(|_| OpenError::InUse)?;
        if i32::from(probe.l_type) != libc::F_UNLCK {
            return Err(OpenError::InUse);
        }
    }
    Ok(())
}

fn byte_lock(kind: i32, byte: i64) -> libc::flock {
    libc::flock {
        l_type: i16::try_from(kind).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_alone_and_readers_share() {
        let path = std::env::temp_dir().join(format!("revenant-lock-{}.img", std::process::id()));
        let writer = FileDisk::create(&path, 1024, true).unwrap();
        assert!(matches!(FileDisk::open(&path, Mode::Write), Err(OpenError::InUse)));
        assert!(matches!(FileDisk::open(&path, Mode::Read), Err(OpenError::InUse)));
        assert!(matches!(FileDisk::create(&path, 1024, true), Err(OpenError::InUse)));
        drop(writer);
        let reader = FileDisk::open(&path, Mode::Read).unwrap();
        let other = FileDisk::open(&path, Mode::Read).unwrap();
        assert!(matches!(FileDisk::open(&path, Mode::Write), Err(OpenError::InUse)));
        drop((reader, other));
        assert!(matches!(FileDisk::create(&path, 1024, false), Err(OpenError::File(_))));
        FileDisk::open(&path, Mode::Write).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
