//! What the boot loader hands over, reduced to what the kernel uses: the usable physical memory.
//!
//! Invariant: the regions of a [`Handover`] are whole frames, disjoint, ascending, and used by nothing else: not by the
//! kernel image, its stack, the page tables or the loader.

pub use bootloader_api::BootInfo as BootInformation;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use revenant_hal::PAGE_SIZE_U64;

/// At most this many separate pieces of memory are used; a PC has two or three.
pub const MAX_REGIONS: usize = 8;
/// Memory below this is left alone: real-mode leftovers, BIOS data, the screen.
const LOW_MEMORY_END: u64 = 0x10_0000;

/// A piece of physical memory, whole frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhysicalRegion {
    /// First byte; a multiple of the page size.
    pub start: u64,
    /// Frames in it.
    pub frames: u64,
}

impl PhysicalRegion {
    /// The first byte behind it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.start + self.frames * PAGE_SIZE_U64
    }
}

/// What the kernel gets from the boot loader.
#[derive(Debug)]
pub struct Handover {
    regions: [PhysicalRegion; MAX_REGIONS],
    count: usize,
}

impl Handover {
    /// Reads the loader's information, once.
    #[must_use]
    pub fn take(information: &'static mut BootInformation) -> Self {
        let (regions, count) = usable_regions(&information.memory_regions);
        Self { regions, count }
    }

    /// The usable memory.
    #[must_use]
    pub fn regions(&self) -> &[PhysicalRegion] {
        self.regions.get(..self.count).unwrap_or(&[])
    }

    /// Bytes of usable memory.
    #[must_use]
    pub fn usable_bytes(&self) -> u64 {
        self.regions().iter().map(|region| region.frames * PAGE_SIZE_U64).sum()
    }

    /// Takes `frames` contiguous frames from the beginning of the largest region, or nothing if it has fewer. Not from its end:
    /// firmware has run there, and an emulator keeps its translations of a page's code until all of it is overwritten. Until then
    /// each store to such a page costs it a search for what the store hits.
    pub fn take_frames(&mut self, frames: u64) -> Option<PhysicalRegion> {
        let used = self.regions.get_mut(..self.count)?;
        let largest = used.iter_mut().max_by_key(|region| region.frames)?;
        if largest.frames < frames {
            return None;
        }
        let taken = PhysicalRegion { start: largest.start, frames };
        largest.start = taken.end();
        largest.frames -= frames;
        Some(taken)
    }
}

/// The usable regions above low memory, trimmed to whole frames, neighbours joined; the largest ones if there are more
/// than [`MAX_REGIONS`], in ascending order.
fn usable_regions(map: &[MemoryRegion]) -> ([PhysicalRegion; MAX_REGIONS], usize) {
    let mut regions = [PhysicalRegion::default(); MAX_REGIONS];
    let mut count = 0;
    for piece in map.iter().filter(|piece| piece.kind == MemoryRegionKind::Usable) {
        let start = piece.start.max(LOW_MEMORY_END).next_multiple_of(PAGE_SIZE_U64);
        let frames = (piece.end / PAGE_SIZE_U64).saturating_sub(start / PAGE_SIZE_U64);
        if frames == 0 {
            continue;
        }
        let region = PhysicalRegion { start, frames };
        match regions[..count].iter_mut().find(|known| known.end() == start) {
            Some(neighbour) => neighbour.frames += frames,
            None if count < MAX_REGIONS => {
                regions[count] = region;
                count += 1;
            }
            None => {
                if let Some(smallest) = regions.iter_mut().min_by_key(|known| known.frames)
                    && smallest.frames < frames
                {
                    *smallest = region;
                }
            }
        }
    }
    regions[..count].sort_unstable_by_key(|region| region.start);
    (regions, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(start: u64, end: u64) -> MemoryRegion {
        MemoryRegion { start, end, kind: MemoryRegionKind::Usable }
    }

    #[test]
    fn low_and_used_memory_is_left_out_and_neighbours_are_joined() {
        let used =
            MemoryRegion { start: 0x20_0000, end: 0x40_0000, kind: MemoryRegionKind::Bootloader };
        let map = [
            usable(0x1000, 0x9f000),
            usable(0xf_f000, 0x20_0000),
            used,
            usable(0x40_0000, 0x80_0000),
            usable(0x80_0000, 0xc0_0800),
        ];
        let (regions, count) = usable_regions(&map);
        assert_eq!(
            &regions[..count],
            &[
                PhysicalRegion { start: 0x10_0000, frames: 0x100 },
                PhysicalRegion { start: 0x40_0000, frames: 0x800 },
            ]
        );
    }

    #[test]
    fn frames_are_taken_from_the_beginning_of_the_largest_region() {
        let map = [usable(0x10_0000, 0x20_0000), usable(0x40_0000, 0x80_0000)];
        let (regions, count) = usable_regions(&map);
        let mut handover = Handover { regions, count };
        assert_eq!(handover.take_frames(0x401), None);
        let taken = handover.take_frames(0x100).unwrap();
        assert_eq!(taken, PhysicalRegion { start: 0x40_0000, frames: 0x100 });
        assert_eq!(
            handover.regions(),
            &[
                PhysicalRegion { start: 0x10_0000, frames: 0x100 },
                PhysicalRegion { start: 0x50_0000, frames: 0x300 },
            ]
        );
        assert_eq!(handover.usable_bytes(), 0x40_0000);
    }

    #[test]
    fn of_too_many_regions_the_largest_stay() {
        let map: Vec<_> = (0..12u64)
            .map(|index| {
                usable(0x100_0000 * (index + 1), 0x100_0000 * (index + 1) + 0x1000 * (index + 1))
            })
            .collect();
        let (regions, count) = usable_regions(&map);
        assert_eq!(count, MAX_REGIONS);
        assert_eq!(regions.map(|region| region.frames), [5, 6, 7, 8, 9, 10, 11, 12]);
    }
}
