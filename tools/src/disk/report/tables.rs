//! The tables of a report: classes, the largest objects, snapshots.

use super::Report;
use super::figures::{ClassFigures, object_of};
use super::graph::State;
use super::page::{class_cells, section, table};
use super::pictures;
use super::text::{bytes, count, cut, date, escape, percent};
use revenant_vm::memory::layout::PAGE;
use revenant_vm::{accounts, class_name};

/// Classes that the table names; the others stand in one line.
const CLASSES: usize = 40;
/// Characters that are shown of a class's name.
const NAME_MAX: usize = 100;

/// Bars and figures by class.
pub(super) fn classes(report: &Report<'_>) -> String {
    let mut classes: Vec<(u32, &ClassFigures)> =
        report.figures.classes.iter().map(|(class, figures)| (*class, figures)).collect();
    let weight = |class: &ClassFigures| class.live.bytes + class.garbage.bytes;
    classes.sort_by_key(|(number, class)| (core::cmp::Reverse(weight(class)), *number));
    classes.retain(|(_, class)| class.live.objects + class.garbage.objects > 0);
    let most = classes.first().map_or(0, |(_, class)| weight(class));
    let row = |(number, class): &(u32, &ClassFigures)| {
        let parts =
            [("live", class.live.bytes, "live"), ("garbage", class.garbage.bytes, "garbage")];
        format!(
            "<th scope=\"row\" class=\"name\"><code>{}</code></th><td class=\"bar\">{}</td>{}",
            escape(&cut(&class_name(report.space, *number), NAME_MAX)),
            pictures::bar(&parts, most),
            class_cells(class)
        )
    };
    let mut rows: Vec<String> = classes.iter().take(CLASSES).map(row).collect();
    if let Some(others) = classes.get(CLASSES..).filter(|others| !others.is_empty()) {
        let objects: u64 = others.iter().map(|(_, class)| class.live.objects).sum();
        let live: u64 = others.iter().map(|(_, class)| class.live.bytes).sum();
        let garbage: u64 = others.iter().map(|(_, class)| class.garbage.bytes).sum();
        rows.push(format!(
            "<th scope=\"row\" class=\"name\">{} others</th><td></td><td>{}</td><td>{}</td><td>{}</td><td></td><td></td><td></td><td></td>",
            count(others.len() as u64),
            count(objects),
            bytes(live),
            bytes(garbage)
        ));
    }
    let heads = [
        "-Class",
        "Live and garbage",
        "Live objects",
        "Live bytes",
        "Garbage",
        "References to one",
        "Age in epochs",
        "Pages",
        "These are full",
    ];
    let words = "The first columns are about what takes the memory. References to one: how many lead to a live object, on average. Age: mean and \
                 standard deviation. Pages: those on which a live object of the class lies, and how full of live objects of any class they are.";
    let caption = format!("Classes by bytes; {} have objects", count(classes.len() as u64));
    section("classes", "By class", words, &table(&caption, &heads, &rows))
}

/// The largest objects.
pub(super) fn largest(report: &Report<'_>) -> String {
    let row = |number: &u32| {
        let object = object_of(report.census, *number)?;
        let (path, what) = report.describe(*number);
        let state = match report.traced.states.get(*number as usize) {
            Some(State::Live) => "",
            Some(State::Weak) => "weakly reached",
            Some(State::Waiting) => "counting has it",
            _ => "garbage",
        };
        let path = if path.is_empty() { format!("{:#x}", object.address) } else { path };
        Some(format!(
            "<th scope=\"row\" class=\"name\"><code>{}</code><br><small>{}</small></th><td>{}</td><td>{}</td><td>{state}</td>",
            escape(&path),
            escape(&what),
            bytes(object.bytes),
            count(report.epoch.0.saturating_sub(object.birth))
        ))
    };
    let rows: Vec<String> = report.figures.largest.iter().filter_map(row).collect();
    let heads = ["-Object", "Takes", "Age", "State"];
    let words = "Single objects, without what they refer to.";
    section("largest", "Largest objects", words, &table("Objects by bytes", &heads, &rows))
}

/// What the last collections found, as the kernel keeps it in object space.
pub(super) fn collections(report: &Report<'_>) -> String {
    let accounts = accounts(report.space);
    if accounts.is_empty() {
        let words = "There is no account of a collection in this snapshot.";
        return section("collections", "Collections", words, "");
    }
    let row = |account: &String| {
        let word = |key: &str| {
            let mut words = account.split(' ').filter_map(|word| word.split_once('='));
            words.find(|(found, _)| *found == key).map_or("", |(_, value)| value)
        };
        let number = |key| word(key).parse::<u64>().ok();
        let count = |key| number(key).map_or_else(String::new, count);
        let bytes = |key| number(key).map_or_else(String::new, bytes);
        // Class index, objects, bytes: the first has most bytes.
        let first = word("classes").split(',').next().unwrap_or("").split(':').next();
        let class = first.and_then(|class| class.parse().ok());
        let class = class.map_or_else(String::new, |class| class_name(report.space, class));
        format!(
            "<th scope=\"row\" class=\"name\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            count("epoch"),
            count("objects"),
            bytes("bytes"),
            escape(&cut(word("in_degree"), NAME_MAX)),
            count("freed"),
            bytes("freed_bytes"),
            count("circles"),
            escape(&cut(&class, NAME_MAX))
        )
    };
    let rows: Vec<String> = accounts.iter().map(row).collect();
    let heads = [
        "-Snapshot marked",
        "Live objects",
        "Live bytes",
        "References to one",
        "Freed",
        "Bytes",
        "In circles",
        "Most of them of class",
    ];
    let words = "What the machine itself found and freed, as it keeps it in object space: the last sixteen collections.";
    section(
        "collections",
        "Collections",
        words,
        &table("Collections, the newest last", &heads, &rows),
    )
}

/// Snapshots of the image and what they share.
pub(super) fn snapshots(report: &Report<'_>) -> String {
    let most = report.snapshots.iter().map(|(_, usage)| usage.reached).max().unwrap_or(0) * PAGE;
    let rows: Vec<String> = report
        .snapshots
        .iter()
        .map(|(snapshot, usage)| {
            let alone = usage.alone * PAGE;
            let shared = (usage.reached - usage.alone) * PAGE;
            let parts = [("live", alone, "of its own"), ("system", shared, "shared")];
            let mut words = Vec::new();
            for (is, word) in [
                (snapshot.epoch == report.epoch, "this report"),
                (snapshot.pinned, "pinned"),
                (snapshot.hidden, "hidden"),
            ] {
                words.extend(is.then_some(word));
            }
            format!(
                "<th scope=\"row\" class=\"name\">{}</th><td>{}</td><td class=\"bar\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                snapshot.epoch,
                date(snapshot.wall_time.0 / 1_000_000_000),
                pictures::bar(&parts, most),
                count(snapshot.pages),
                bytes(alone),
                percent(shared, alone + shared),
                words.join(", ")
            )
        })
        .collect();
    let heads =
        ["-Snapshot", "Made", "Own and shared", "Pages", "Of its own", "Shared with others", ""];
    let words = "What stands on the disk for each snapshot, map nodes and second copies included. Deleting one frees what is its own.";
    section("snapshots", "Snapshots", words, &table("Snapshots of this image", &heads, &rows))
}
