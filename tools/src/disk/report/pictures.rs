//! The pictures of a report: bars, histograms, the map of the space; each an SVG that says in words what it shows.

use super::census::Census;
use super::figures::{Amount, FILLS, Figures, Kind, Totals, Use};
use super::text::{bytes, count, percent};
use core::fmt::Write;
use revenant_hal::PageIndex;
use revenant_vm::memory::layout::{PAGE, area, block};

/// Cells that a map has at most, and those of one of its lines.
const CELLS_MAX: usize = 4096;
const COLUMNS: usize = 64;
/// Pages that are drawn of a hole inside a run.
const GAP_MAX: usize = 64;
/// Length and height of a cell.
const CELL: usize = 10;

/// Classes of the style sheet with the words of legends.
pub(super) const LEGEND: [(&str, &str); 8] = [
    ("live", "live objects"),
    ("large", "live large objects"),
    ("garbage", "garbage: only the collector frees it"),
    ("waiting", "in the hands of counting"),
    ("stack", "stacks of threads"),
    ("system", "the system's tables and metadata"),
    ("unused", "unused: on pages of objects, or free but not yet given back"),
    ("free", "a hole: takes no memory and no disk"),
];

/// Parts of a whole beside each other in a bar of length 1,000: class of the style sheet, amount, words.
pub(super) fn bar(parts: &[(&str, u64, &str)], whole: u64) -> String {
    let words: Vec<String> = parts
        .iter()
        .filter(|(_, amount, _)| *amount > 0)
        .map(|(_, amount, words)| format!("{} {words}", bytes(*amount)))
        .collect();
    let words = words.join(", ");
    let mut svg = format!(
        r#"<svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{words}">"#
    );
    let mut before = 0.0;
    for (class, amount, words) in parts.iter().filter(|(_, amount, _)| *amount > 0) {
        let width = 1000.0 * *amount as f64 / whole.max(1) as f64;
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{before:.2}" width="{width:.2}" height="10"><title>{} {words}</title></rect>"#,
            bytes(*amount)
        );
        before += width;
    }
    svg + "</svg>"
}

/// All bytes of the snapshot's pages by what they are for.
pub(super) fn parts(totals: &Totals) -> [(&'static str, u64, &'static str); 7] {
    [
        ("live", totals.live, "live objects"),
        ("garbage", totals.garbage, "garbage"),
        ("waiting", totals.waiting, "in the hands of counting"),
        ("stack", totals.stacks, "stacks of threads"),
        ("system", totals.system, "tables and metadata"),
        ("unused", totals.unused, "unused on pages of objects"),
        ("unused", totals.free, "free, not yet given back"),
    ]
}

/// One column of a histogram: its label, and the amounts that stand on each other.
pub(super) struct Column {
    pub(super) label: String,
    pub(super) parts: Vec<(&'static str, u64, String)>,
}

/// Columns over labels.
pub(super) fn histogram(columns: &[Column], words: &str) -> String {
    const STEP: f64 = 46.0;
    const HEIGHT: f64 = 150.0;
    let highest = columns.iter().map(|column| column.parts.iter().map(|part| part.1).sum::<u64>());
    let highest = highest.max().unwrap_or(0).max(1) as f64;
    let width = (columns.len() as f64 * STEP).max(8.0 * STEP);
    let mut svg = format!(
        r#"<svg viewBox="0 0 {width:.0} {:.0}" role="img" aria-label="{words}">"#,
        HEIGHT + 24.0
    );
    for (place, column) in columns.iter().enumerate() {
        let left = place as f64 * STEP;
        let mut top = HEIGHT;
        for (class, amount, words) in column.parts.iter().filter(|part| part.1 > 0) {
            // What there is can be seen, however little.
            let height = (HEIGHT * *amount as f64 / highest).max(1.5);
            top -= height;
            let _ = write!(
                svg,
                r#"<rect class="{class}" x="{:.1}" y="{top:.1}" width="{:.1}" height="{height:.1}"><title>{words}</title></rect>"#,
                left + 3.0,
                STEP - 6.0
            );
        }
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
            left + STEP / 2.0,
            HEIGHT + 17.0,
            column.label
        );
    }
    svg + "</svg>"
}

/// Live objects and garbage by how many epochs ago they were made.
pub(super) fn ages(ages: &[(Amount, Amount)]) -> String {
    let used = ages.iter().rposition(|(live, dead)| live.objects + dead.objects > 0);
    let columns: Vec<Column> = ages
        .iter()
        .take(used.map_or(1, |last| last + 1))
        .enumerate()
        .map(|(class, (live, dead))| {
            let label = match class {
                0 | 1 => class.to_string(),
                2 => "2\u{2013}3".to_owned(),
                _ => format!("{}+", short(1 << (class - 1))),
            };
            let part = |class, amount: &Amount, what| {
                let words = format!("{} in {} {what}", bytes(amount.bytes), count(amount.objects));
                (class, amount.bytes, words)
            };
            let parts =
                vec![part("live", live, "live objects"), part("garbage", dead, "dead objects")];
            Column { label, parts }
        })
        .collect();
    histogram(&columns, "Bytes of objects by age in epochs; the table below has the figures")
}

/// A power of two in few characters.
pub(super) fn short(number: u64) -> String {
    match number {
        0..1024 => number.to_string(),
        1024..0x10_0000 => format!("{}k", number >> 10),
        0x10_0000..0x4000_0000 => format!("{}M", number >> 20),
        _ => format!("{}G", number >> 30),
    }
}

/// Blocks of small objects by how full of live objects they are.
pub(super) fn fills(fills: &[u64; FILLS]) -> String {
    let all: u64 = fills.iter().sum();
    let columns: Vec<Column> = (0..)
        .zip(fills)
        .map(|(step, blocks)| {
            let words = format!("{} blocks ({} of all)", count(*blocks), percent(*blocks, all));
            Column {
                label: format!("{}%+", step * 100 / FILLS),
                parts: vec![("live", *blocks, words)],
            }
        })
        .collect();
    histogram(&columns, "Blocks of small objects by how much of them live objects take")
}

/// What the pages of a cell are for, in bytes: as [`LEGEND`].
type Cell = [u64; LEGEND.len()];

/// The space as cells in the order of addresses: what was never used is left out, and so is what lies
/// behind the last page in use of a run; of a long hole only a part is drawn.
pub(super) struct Map {
    cells: Vec<Cell>,
    /// Pages of a cell.
    pub(super) pages: usize,
}

impl Map {
    /// Draws the map of a snapshot.
    pub(super) fn of(census: &Census, figures: &Figures) -> Self {
        let mut pages: Vec<Option<Use>> = Vec::new();
        let below = census.pages_in(area::ROOT, area::HEAP);
        pages.extend(below.map(|place| figures.uses.get(place).copied()));
        for run in &census.runs {
            let present = census.pages_in(run.start, run.end());
            let (mut place, mut address) = (present.start, run.start);
            if present.is_empty() {
                continue;
            }
            let small = run.kind == block::KIND_SMALL;
            let mut gap = 0;
            while place < present.end || small && address < run.end() {
                let next = census.pages.get(place).filter(|_| place < present.end);
                let next = next.map_or(run.end(), |page| PageIndex(*page).address().0);
                if next == address {
                    pages.push(figures.uses.get(place).copied());
                    (place, gap) = (place + 1, 0);
                } else if gap == GAP_MAX {
                    address = next;
                    continue;
                } else {
                    pages.push(None);
                    gap += 1;
                }
                address += PAGE;
            }
        }
        let each = pages.len().div_ceil(CELLS_MAX).next_power_of_two();
        let cells = pages.chunks(each).map(cell).collect();
        Self { cells, pages: each }
    }

    /// The picture: neighbours of one colour and strength are one rectangle.
    pub(super) fn svg(&self) -> String {
        let rows = self.cells.len().div_ceil(COLUMNS).max(1);
        let mut svg = format!(
            r#"<svg viewBox="0 0 {} {}" role="img" shape-rendering="crispEdges" aria-label="Map of the space: {} cells of {} in the order of addresses">"#,
            COLUMNS * CELL,
            rows * CELL,
            count(self.cells.len() as u64),
            bytes(self.pages as u64 * PAGE)
        );
        for (row, line) in self.cells.chunks(COLUMNS).enumerate() {
            let mut start = 0;
            for alike in line.chunk_by(|left, right| look(left) == look(right)) {
                let (kind, quarter) = alike.first().map_or((0, 0), look);
                if let Some((class, words)) = LEGEND.get(kind) {
                    let opacity = match quarter {
                        4 => String::new(),
                        quarter => format!(r#" opacity="{}""#, 0.25 * f64::from(quarter)),
                    };
                    let _ = write!(
                        svg,
                        r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{CELL}"{opacity}><title>{words}</title></rect>"#,
                        start * CELL,
                        row * CELL,
                        alike.len() * CELL
                    );
                }
                start += alike.len();
            }
        }
        svg + "</svg>"
    }
}

/// What the pages of one cell are for.
fn cell(pages: &[Option<Use>]) -> Cell {
    let mut cell = Cell::default();
    for page in pages {
        let [live, large, garbage, waiting, stack, system, unused, hole] = &mut cell;
        let Some(found) = page else {
            *hole += PAGE;
            continue;
        };
        *if found.kind == Kind::Large { large } else { live } += found.live;
        *garbage += found.garbage;
        *waiting += found.waiting;
        let rest = PAGE.saturating_sub(found.live + found.garbage + found.waiting);
        *match found.kind {
            Kind::Stack => stack,
            Kind::System => system,
            _ => unused,
        } += rest;
    }
    cell
}

/// What takes most of a cell, and how many quarters of it, at least one. What is unused or a hole shows only where less than a quarter is
/// in use.
fn look(cell: &Cell) -> (usize, u8) {
    let all: u64 = cell.iter().sum();
    let [.., unused, hole] = *cell;
    let used = all - unused - hole;
    if used * 4 < all {
        let hole_is_most = hole >= unused;
        return (if hole_is_most { LEGEND.len() - 1 } else { LEGEND.len() - 2 }, 4);
    }
    let most = (0..LEGEND.len() - 2).rev().max_by_key(|kind| cell[*kind]).unwrap_or(0);
    let quarters = (cell[most] * 4).div_ceil(all.max(1)).clamp(1, 4);
    (most, u8::try_from(quarters).unwrap_or(4))
}

#[cfg(test)]
mod tests {
    use super::{bar, look, short};

    #[test]
    fn a_cell_looks_like_what_takes_most_of_it() {
        assert_eq!(look(&[4096, 0, 0, 0, 0, 0, 0, 0]), (0, 4));
        assert_eq!(look(&[1000, 0, 2000, 0, 0, 0, 1096, 0]), (2, 2));
        assert_eq!(look(&[100, 0, 0, 0, 0, 0, 3996, 0]), (6, 4));
        assert_eq!(look(&[0, 0, 0, 0, 0, 0, 0, 4096]), (7, 4));
        assert_eq!(look(&[2000, 0, 0, 0, 0, 0, 2096, 0]), (0, 2));
    }

    #[test]
    fn parts_of_a_bar_stand_beside_each_other_and_fill_it() {
        let drawn = bar(&[("live", 3, "a"), ("waiting", 0, "b"), ("garbage", 1, "c")], 4);
        assert!(drawn.contains(r#"class="live" x="0.00" width="750.00""#), "{drawn}");
        assert!(drawn.contains(r#"class="garbage" x="750.00" width="250.00""#), "{drawn}");
        assert!(!drawn.contains("waiting") && drawn.contains(r#"aria-label="3 B a, 1 B c""#));
        assert_eq!([short(4), short(2048), short(1 << 21)], ["4", "2k", "2M"]);
    }
}
