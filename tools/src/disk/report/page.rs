//! The page of a report: HTML that needs nothing else, neither scripts nor the network.
//!
//! Every picture has words for who cannot see it. Invariant: texts from the image are escaped.

use super::Report;
use super::figures::{Amount, ClassFigures, Holder, object_of};
use super::pictures::{self, LEGEND, Map};
use super::tables;
use super::text::{self, bytes, count, date, escape, percent};
use core::fmt::Write;
use revenant_vm::memory::layout::PAGE;

const STYLE: &str = include_str!("style.css");

/// Writes the page.
pub(super) fn page(report: &Report<'_>) -> String {
    let title = format!("Heap of {}, snapshot {}", escape(&report.image), report.epoch);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    html += &head(report);
    html += &whereabouts(report);
    html += &holders(report);
    html += &tables::classes(report);
    html += &ages(report);
    html += &garbage(report);
    html += &tables::collections(report);
    html += &map(report);
    html += &tables::largest(report);
    html += &fragmentation(report);
    html += &tables::snapshots(report);
    html += &notes(report);
    html + "</main>\n</body>\n</html>\n"
}

fn notes(report: &Report<'_>) -> String {
    let words = "All references of the snapshot were followed, from the system's root page and its tables of threads and classes, and from all \
        frames of threads. An object <em>takes</em> its cell, which may be a little larger than it is, or all pages of its own run that hold \
        something; a part of a cell that lies on a page of zeros takes no memory, and is left out at the top and in the map only. An object \
        <em>keeps</em> what could not be reached without it: its subtree in the dominator tree. A path is a shortest way, which \
        <code>revenant disk cat --object</code> takes too; an ellipsis stands for a part that has no name.";
    let lost = format!(
        "References that lead to no object, which only dead objects may have: {}. Entries of tables that make no sense: {}.",
        count(report.traced.dangling),
        count(report.census.unsound)
    );
    section("notes", "How this was counted", words, &format!("<p>{lost}</p>\n"))
}

fn head(report: &Report<'_>) -> String {
    let figures = &report.figures;
    let garbage = report.garbage();
    let all = report.census.pages.len() as u64 * PAGE;
    let card =
        |figure: String, words: String| format!("<li><b>{figure}</b><span>{words}</span></li>\n");
    let mut html = format!(
        "<header><h1>Heap of {}</h1>\n<p class=\"soft\">Snapshot {} of {}{}</p></header>\n",
        escape(&report.image),
        report.epoch,
        date(report.wall_time.0 / 1_000_000_000),
        if report.newest { ", the newest" } else { "" }
    );
    if report.damaged > 0 {
        let _ = writeln!(
            html,
            "<p class=\"warning\">{} pages cannot be read. What they hold is missing here, and what only they lead to looks like garbage.</p>",
            count(report.damaged)
        );
    }
    html += "<ul class=\"cards\" id=\"cards\">\n";
    html += &card(bytes(all), format!("of memory in {} pages", count(all / PAGE)));
    html += &card(
        bytes(figures.totals.live),
        format!(
            "live: {} objects, {} of all",
            count(figures.live.objects),
            percent(figures.totals.live, all)
        ),
    );
    html += &card(
        bytes(figures.totals.garbage),
        format!(
            "garbage: {} objects, {} of all",
            count(garbage.objects),
            percent(figures.totals.garbage, all)
        ),
    );
    let first = figures.holders.first();
    html += &card(
        first.map_or_else(|| "0 B".to_owned(), |holder| bytes(holder.retained)),
        first.map_or_else(String::new, |holder| {
            let (path, what) = report.describe(holder.node);
            let words = text::cut(&what, 40);
            format!("kept by <code>{}</code> ({})", escape(&text::cut(&path, 40)), escape(&words))
        }),
    );
    html + "</ul>\n"
}

/// A section with its heading.
pub(super) fn section(id: &str, title: &str, words: &str, content: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2>\n<p>{words}</p>\n{content}</section>\n"
    )
}

/// A table that scrolls by itself on a narrow page. Columns whose head begins with `-` are texts.
pub(super) fn table(caption: &str, heads: &[&str], rows: &[String]) -> String {
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption>{caption}</caption>\n<thead><tr>"
    );
    for head in heads {
        let _ = match head.strip_prefix('-') {
            Some(head) => write!(html, "<th scope=\"col\" class=\"name\">{head}</th>"),
            None => write!(html, "<th scope=\"col\">{head}</th>"),
        };
    }
    html += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let _ = writeln!(html, "<tr>{row}</tr>");
    }
    html + "</tbody></table></div>\n"
}

fn whereabouts(report: &Report<'_>) -> String {
    let parts = pictures::parts(&report.figures.totals);
    let all: u64 = parts.iter().map(|part| part.1).sum();
    let rows: Vec<String> = parts
        .iter()
        .map(|(class, amount, words)| {
            format!(
                "<th scope=\"row\" class=\"name\">{}{words}</th><td>{}</td><td>{}</td>",
                "",
                bytes(*amount),
                percent(*amount, all)
            )
            .replacen("name\">", &format!("name\">{} ", swatch(class)), 1)
        })
        .collect();
    let picture = format!("<figure>{}</figure>\n", pictures::bar(&parts, all));
    let table =
        table("Every byte of the snapshot's pages, once", &["-What for", "Bytes", "Part"], &rows);
    section(
        "where",
        "Where the memory is",
        "What the pages of this snapshot are used for.",
        &(picture + &table),
    )
}

/// A small square of a colour, for legends.
fn swatch(class: &str) -> String {
    format!(
        "<svg class=\"swatch\" style=\"display:inline-block;width:.8rem;height:.8rem\" viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"1\" height=\"1\"/></svg>"
    )
}

fn holders(report: &Report<'_>) -> String {
    let live = report.figures.live.bytes;
    let row = |holder: &Holder| {
        let (path, what) = report.describe(holder.node);
        let own = object_of(report.census, holder.node).map_or(0, |object| object.bytes);
        let indent = "<span aria-hidden=\"true\">\u{2514}\u{2009}</span>";
        format!(
            "<th scope=\"row\" class=\"name\" style=\"padding-left:{:.1}rem\">{}<code>{}</code><br><small>{}</small></th>\
             <td class=\"bar\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            0.6 + holder.depth as f64 * 1.1,
            if holder.depth > 0 { indent } else { "" },
            escape(&path),
            escape(&what),
            pictures::bar(&[("live", holder.retained, "kept")], live),
            bytes(holder.retained),
            percent(holder.retained, live),
            count(holder.objects),
            bytes(own)
        )
    };
    let rows: Vec<String> = report.figures.holders.iter().map(row).collect();
    let words = "What each of these objects keeps in memory: everything that could not be reached without it. Indented: what it keeps most of that by.";
    let heads = ["-Object", "Part of what is live", "Keeps", "Part", "Objects", "Takes itself"];
    section(
        "holders",
        "Who holds the memory",
        words,
        &table("The biggest retained subtrees", &heads, &rows),
    )
}

fn ages(report: &Report<'_>) -> String {
    let ages = &report.figures.ages;
    let used = ages.iter().rposition(|(live, dead)| live.objects + dead.objects > 0);
    let rows: Vec<String> = ages
        .iter()
        .take(used.map_or(0, |last| last + 1))
        .enumerate()
        .map(|(class, (live, dead))| {
            let from = if class == 0 { 0 } else { 1_u64 << (class - 1) };
            let to = (1_u64 << class) - 1;
            let span =
                if from == to { count(from) } else { format!("{} to {}", count(from), count(to)) };
            let cells = |amount: &Amount| {
                format!("<td>{}</td><td>{}</td>", count(amount.objects), bytes(amount.bytes))
            };
            format!("<th scope=\"row\" class=\"name\">{span}</th>{}{}", cells(live), cells(dead))
        })
        .collect();
    let picture = format!("<figure>{}</figure>\n", pictures::ages(ages));
    let heads = ["-Epochs", "Live objects", "Bytes", "Dead objects", "Bytes"];
    let words = "How many epochs ago objects were made: bytes of live ones, with garbage of the same age on top. The time between two snapshots is an epoch.";
    section("ages", "Age", words, &(picture + &table("Objects by age", &heads, &rows)))
}

fn garbage(report: &Report<'_>) -> String {
    let found = &report.figures.garbage;
    let all = report.garbage();
    if all.objects == 0 {
        return section(
            "garbage",
            "Garbage",
            "There is none: something leads to every object.",
            "",
        );
    }
    let kinds = [
        ("in circles", found.cyclic),
        ("in no circle, but something in a circle leads to it", found.hanging),
        ("neither: its count has stuck, or a thread was lost that held it", found.other),
    ];
    let rows: Vec<String> = kinds
        .iter()
        .map(|(words, amount)| {
            format!(
                "<th scope=\"row\" class=\"name\">{words}</th><td>{}</td><td>{}</td><td>{}</td>",
                count(amount.objects),
                bytes(amount.bytes),
                percent(amount.bytes, all.bytes)
            )
        })
        .collect();
    let words = format!(
        "{} objects that nothing leads to take {}. Counting references does not free them; the collector will. There are {} circles; the largest has {} objects.",
        count(all.objects),
        bytes(all.bytes),
        count(u64::from(found.circles)),
        count(found.largest)
    );
    let table = table("Garbage by what keeps it", &["-What", "Objects", "Bytes", "Part"], &rows);
    section("garbage", "Garbage", &words, &table)
}

fn map(report: &Report<'_>) -> String {
    let map = Map::of(report.census, &report.figures);
    let mut legend = "<ul class=\"legend\">\n".to_owned();
    for (class, words) in LEGEND {
        let _ = writeln!(legend, "<li>{}{words}</li>", swatch(class));
    }
    legend += "</ul>\n";
    let words = format!(
        "Pages in the order of their addresses, from the left to the right and downwards; a cell is {} ({} {}). The colour says what takes most of a \
         cell, its strength how many quarters of the cell that is. What was never used is left out.",
        bytes(map.pages as u64 * PAGE),
        count(map.pages as u64),
        if map.pages == 1 { "page" } else { "pages" }
    );
    let picture = format!("{legend}<figure>{}</figure>\n", map.svg());
    section("map", "Map of the space", &words, &picture)
}

fn fragmentation(report: &Report<'_>) -> String {
    let figures = &report.figures;
    let blocks: u64 = figures.fills.iter().sum();
    let mut content =
        format!("<figure id=\"fills\">{}</figure>\n", pictures::fills(&figures.fills));
    let rows: Vec<String> = figures
        .free_runs
        .iter()
        .map(|(order, runs)| {
            format!(
                "<th scope=\"row\" class=\"name\">{}</th><td>{}</td><td>{}</td><td>{}</td>",
                bytes(65_536 << order),
                count(runs.clean),
                count(runs.dirty),
                bytes(runs.pages * PAGE)
            )
        })
        .collect();
    let heads = ["-Length of the run", "All zeros", "To be given back", "Memory they take still"];
    content += &table("Free runs of blocks, address space once used", &heads, &rows);
    let words = format!(
        "{} blocks of 64 KiB hold small objects. On their pages {} are in no object ({} of what such blocks take); {} of their pages ({}) are \
         holes, which take neither memory nor disk. Below: blocks by how much of each is live.",
        count(blocks),
        bytes(figures.totals.unused),
        percent(figures.totals.unused, blocks * 65_536 - figures.holes * PAGE),
        count(figures.holes),
        bytes(figures.holes * PAGE)
    );
    section("fragmentation", "Fragmentation", &words, &content)
}

/// The cells of a class's figures, from the number of objects on.
pub(super) fn class_cells(class: &ClassFigures) -> String {
    let (age, spread) = class.age();
    format!(
        "<td>{}</td><td>{}</td><td>{}</td><td>{:.1}</td><td>{age:.1}\u{a0}\u{b1}\u{a0}{spread:.1}</td><td>{}</td><td>{:.0}\u{a0}%</td>",
        count(class.live.objects),
        bytes(class.live.bytes),
        bytes(class.garbage.bytes),
        class.in_degree(),
        count(class.pages),
        100.0 * class.fill()
    )
}
