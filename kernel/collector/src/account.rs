//! The account of a collection as a text of `key=value` words: for the log, and for object space, where it is kept.
//!
//! | words | say |
//! |---|---|
//! | `epoch`, `taken_up` | the snapshot; 1 if the mark went on after a start: what follows about reading and freeing is since then |
//! | `objects`, `bytes`, `in_degree`, `stuck` | what lives: objects, what they take, references to one, counts that have stuck |
//! | `sizes` | objects by bytes of their cell |
//! | `large`, `large_bytes`, `pages`, `blocks`, `fills` | large objects; pages on which small ones live; blocks, and small ones by tenths of fill |
//! | `pages_read`, `partitions` | what the mark has done |
//! | `freed`, `freed_bytes`, `circles`, `unstuck`, `left`, `weak_cleared`, `passed_over`, `classes` | what the sweep has freed, and why; by class index, objects and bytes |

use crate::api::MarkStatistics;
use crate::recovery::{Recovered, Subtree};
use crate::survivors::Survivors;
use alloc::{string::String, vec::Vec};
use core::fmt::Write;
use revenant_hal::{Epoch, OBJECT_SPACE_BASE};
use revenant_vm::memory::layout::{GRANULE, PAGE, block};
use revenant_vm::sweep::Statistics;

/// Classes that are named.
const CLASSES: usize = 16;

/// Writes a word; a text in memory takes all.
macro_rules! word {
    ($text:expr, $($word:tt)*) => {{
        let _ = write!($text, $($word)*);
    }};
}

/// What a complete mark says. Of a mark that an older kernel began, which did not count, there are its own figures only.
#[must_use]
pub fn marked(epoch: Epoch, mark: &MarkStatistics, survivors: Option<&Survivors>) -> String {
    let mut text = String::new();
    word!(text, "epoch={epoch} taken_up={}", u8::from(mark.taken_up));
    if let Some(found) = survivors {
        let degree = found.in_degree_hundredths();
        let stuck = found.stuck();
        word!(text, " objects={} bytes={}", found.objects(), found.bytes());
        word!(text, " in_degree={}.{:02} stuck={stuck} sizes=", degree / 100, degree % 100);
        let cells = block::SIZE_CLASSES.iter().map(|granules| u64::from(*granules) * GRANULE);
        let sizes = found.sizes.iter().zip(cells).filter(|(size, _)| size.objects > 0);
        for (place, (size, cell)) in sizes.enumerate() {
            word!(text, "{}{cell}:{}", if place == 0 { "" } else { "," }, size.objects);
        }
        let large = found.sizes.last().map_or(0, |size| size.objects);
        word!(text, " large={large} large_bytes={}", found.large_bytes);
        word!(text, " pages={} blocks={} fills=", found.pages, found.blocks);
        for (place, blocks) in found.fills.iter().enumerate() {
            word!(text, "{}{blocks}", if place == 0 { "" } else { "," });
        }
    }
    word!(text, " pages_read={} partitions={}", mark.pages_read, mark.partitions);
    text
}

/// The report that is hung beside what was found in a snapshot of which pages are lost.
#[must_use]
pub fn recovered(epoch: Epoch, recovered: &Recovered) -> String {
    let mut text = String::new();
    word!(text, "Snapshot {epoch}: the disk could not deliver");
    for (place, page) in recovered.pages.iter().enumerate() {
        let address = OBJECT_SPACE_BASE.saturating_add(page.0 * PAGE);
        let comma = if place == 0 { "" } else { "," };
        word!(text, "{comma} page {} at {address:#x}", page.0);
    }
    word!(text, ". Objects there throw an exception that names it.");
    if recovered.subtrees.is_empty() {
        word!(text, " Nothing was found that only they may have led to.");
    }
    for (place, subtree) in recovered.subtrees.iter().enumerate() {
        let lead = if place == 0 { " Found, and hung here:" } else { ";" };
        let Subtree { root, objects } = subtree;
        word!(text, "{lead} {}: {objects} objects from {:#x}", place + 1, root.0);
    }
    text
}

/// The same with what the sweep has done since.
#[must_use]
pub fn swept(marked: &str, sweep: &Statistics) -> String {
    let mut text = String::from(marked);
    let Statistics { circles, stuck, left, weak_cleared, passed_over, by_class, .. } = sweep;
    let bytes = circles.bytes + stuck.bytes + left.bytes;
    word!(text, " freed={} freed_bytes={bytes} circles={}", sweep.objects(), circles.objects);
    word!(text, " unstuck={} left={}", stuck.objects, left.objects);
    word!(text, " weak_cleared={weak_cleared} passed_over={passed_over} classes=");
    let mut classes: Vec<_> = by_class.iter().collect();
    classes.sort_by_key(|(class, freed)| (core::cmp::Reverse(freed.bytes), **class));
    for (place, (class, freed)) in classes.iter().take(CLASSES).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        word!(text, "{comma}{class}:{}:{}", freed.objects, freed.bytes);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{marked, swept};
    use crate::api::MarkStatistics;
    use crate::survivors::{SIZES, Survivors};
    use revenant_hal::Epoch;
    use revenant_vm::sweep::{ByClass, Statistics};

    #[test]
    fn an_account_says_what_lives_and_what_was_freed() {
        let mut survivors = Survivors::default();
        survivors.object(0, 2, false);
        survivors.object(0, 1, false);
        survivors.object(1, 31, true);
        survivors.block(7, 1);
        survivors.object(SIZES - 1, 0, false);
        survivors.large(20_000);
        let mark = MarkStatistics { pages_read: 9, partitions: 2, ..MarkStatistics::default() };
        let text = marked(Epoch(41), &mark, Some(&survivors));
        assert_eq!(
            text,
            "epoch=41 taken_up=0 objects=4 bytes=20112 in_degree=1.00 stuck=1 sizes=32:2,48:1 large=1 large_bytes=20000 pages=1 blocks=2 \
             fills=1,0,0,0,0,0,0,0,0,0 pages_read=9 partitions=2"
        );
        assert_eq!(marked(Epoch(1), &mark, None), "epoch=1 taken_up=0 pages_read=9 partitions=2");
        let circles = ByClass { objects: 20, bytes: 900 };
        let left = ByClass { objects: 1, bytes: 100 };
        let mut sweep = Statistics { circles, left, ..Statistics::default() };
        for class in 0..20 {
            let bytes = if class == 7 { 810 } else { 10 };
            sweep.by_class.insert(class, ByClass { objects: 1, bytes });
        }
        let text = swept("epoch=41", &sweep);
        assert!(text.starts_with(
            "epoch=41 freed=20 freed_bytes=1000 circles=20 unstuck=0 left=1 weak_cleared=0 passed_over=0 classes=7:1:810,0:1:10,"
        ), "{text}");
        assert_eq!(text.matches(',').count(), 15, "{text}");
    }

    #[test]
    fn the_longest_account_fits_where_accounts_are_kept() {
        let mut survivors = Survivors::default();
        for size in &mut survivors.sizes {
            (size.objects, size.references) = (u64::MAX >> 12, u64::MAX >> 20);
        }
        survivors.fills = [u32::MAX; 10];
        let mut sweep = Statistics::default();
        for class in 0..40 {
            sweep.by_class.insert(u32::MAX - class, ByClass { objects: 1 << 50, bytes: 1 << 56 });
        }
        let text = marked(Epoch(u64::MAX), &MarkStatistics::default(), Some(&survivors));
        assert!(swept(&text, &sweep).len() < 4096);
    }
}
