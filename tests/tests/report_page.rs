//! The page of `revenant disk report` in a real browser: the snapshot of a machine that has made garbage in circles, as a reader with a wide
//! window sees it, and one with a narrow window who prefers dark pages. Broken pages are caught by the same checks.

use core::time::Duration;
use revenant_tests::browser::{Seen, View, look};
use revenant_tests::disks::{disk_with, revenant};
use revenant_tests::harness::{Running, built_machine, scratch_file};
use revenant_tools::qemu::{Disk, Firmware};
use std::path::{Path, PathBuf};

type Outcome = Result<(), String>;

/// Sections with a picture.
const PICTURES: [&str; 6] = ["where", "holders", "classes", "ages", "map", "fragmentation"];
const LIGHT: View = View { width: 1100, height: 9000, dark: false };
const DARK: View = View { width: 500, height: 14000, dark: true };
/// The style sheet's colours of live objects and of garbage, light and dark.
const LIVE: [[u8; 3]; 2] = [[0x00, 0x72, 0xb2], [0x3d, 0x9f, 0xdc]];
const GARBAGE: [[u8; 3]; 2] = [[0xd5, 0x5e, 0x00], [0xf0, 0x80, 0x3c]];
const PAPER: [[u8; 3]; 2] = [[0xff; 3], [0x0f, 0x14, 0x19]];

/// Runs tests/cycles.rasm in a machine that never collects, until some snapshots are durable; then the page about the last.
fn page() -> Result<String, String> {
    let image = scratch_file("report.img")?;
    let name = image.to_string_lossy().into_owned();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cycles.rasm");
    revenant(&["disk", "create", &name, "--size", "256M", "--force", "--module", source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=250 collector=0".to_owned();
    machine.disks.push(Disk::new(&image));
    let mut running = Running::start("report", &machine)?;
    for _ in 0..8 {
        running.wait_for_text("durable", Duration::from_secs(60))?;
    }
    running.cut()?;
    page_of(&image)
}

fn page_of(image: &Path) -> Result<String, String> {
    let page = scratch_file("report.html")?;
    revenant(&["disk", "report", &image.to_string_lossy(), "-o", &page.to_string_lossy()])?;
    std::fs::read_to_string(&page).map_err(|error| format!("{}: {error}", page.display()))
}

fn folder() -> Result<PathBuf, String> {
    scratch_file("report-browser")
}

/// What is wrong with a page of garbage in circles, as seen.
fn complaints(seen: &Seen, view: View) -> Vec<String> {
    let mut found = seen.complaints(&PICTURES);
    let scheme = usize::from(view.dark);
    if seen.paper() != Some(PAPER[scheme]) {
        found.push(format!("the background is {:?}", seen.paper()));
    }
    for section in ["where", "classes", "ages", "map"] {
        let fills = seen.fills(section);
        if !fills.contains(&LIVE[scheme]) || !fills.contains(&GARBAGE[scheme]) {
            found.push(format!("{section}: live and garbage are not both there: {fills:?}"));
        }
    }
    found
}

fn require(html: &str, view: View) -> Outcome {
    let found = complaints(&look(html, &folder()?, view)?, view);
    if found.is_empty() { Ok(()) } else { Err(format!("{view:?}:\n{}", found.join("\n"))) }
}

/// A page without any of its pictures.
fn without_pictures(html: &str) -> String {
    let mut parts = html.split("<svg");
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| text + part.split_once("</svg>").map_or(part, |(_, rest)| rest))
}

#[test]
#[ignore = "boots QEMU and starts a browser: make test"]
fn the_page_of_a_heap_shows_what_it_says_in_a_browser() -> Outcome {
    let html = page()?;
    require(&html, LIGHT)?;
    require(&html, DARK)?;
    let covered =
        "<div style=\"position:absolute;inset:0;height:99rem;background:#fff\"></div></main>";
    let planted = [
        ("pictures left out", without_pictures(&html)),
        ("no style sheet", html.replacen("<style>", "<style media=\"none\">", 1)),
        ("a script that fails", html.replacen("</main>", "</main><script>nothing()</script>", 1)),
        ("wider than the window", html.replacen("<h1>", "<h1 style=\"width:2000px\">", 1)),
        ("covered", html.replacen("</main>", covered, 1)),
        ("white bars", html.replacen("</style>", "#where rect{fill:#fff}</style>", 1)),
        ("no dark page in the dark", html.replacen("prefers-color-scheme:dark", "print", 1)),
    ];
    for (what, broken) in planted {
        if broken == html {
            return Err(format!("{what}: the page does not have what this test takes away"));
        }
        let view = if what.contains("dark") { DARK } else { LIGHT };
        let found = complaints(&look(&broken, &folder()?, view)?, view);
        if found.is_empty() {
            return Err(format!("{what}: not caught"));
        }
        println!("{what}: {}", found.join("; "));
    }
    Ok(())
}

#[test]
#[ignore = "starts a browser: make test"]
fn the_page_of_a_fresh_disk_is_whole_too() -> Outcome {
    let image = disk_with("notes", "report-fresh.img", "64M", &[])?;
    let seen = look(&page_of(&image)?, &folder()?, LIGHT)?;
    let found = seen.complaints(&PICTURES);
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}
