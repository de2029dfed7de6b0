//! Pages that cannot be read, by what they hold: an object, a thread's frames, a block's metadata, code, and what nothing runs
//! without. Each is destroyed on the disk, and the machine does what the page's kind asks for, while the others go on.
//!
//! The programs are wounds.rasm beside this file, with a function of many pages, and ghosts.rasm; `revenant disk pages` says which
//! blocks to destroy.

use core::ops::Range;
use core::time::Duration;
use revenant_tests::disks::revenant;
use revenant_tests::harness::{BOOT_LIMIT, Running, TimedLine, built_machine, scratch_file};
use revenant_tests::pages::{Page, destroy, middle, pages, read_error};
use revenant_tools::qemu::{Disk, EXIT_FAILURE, Firmware, Machine};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

type Outcome = Result<(), String>;

/// Instructions of the function whose code is damaged: more than twenty pages of them.
const VAST: usize = 12_000;
const LIMIT: Duration = Duration::from_secs(60);

/// A disk with the program, and a machine for it.
fn machine() -> Result<(PathBuf, Machine), String> {
    let body = "    i64.add.imm number, number, 1\n".repeat(VAST);
    let vast = format!("\nfunction vast(number: i64) -> i64 {{\n{body}    return number\n}}\n");
    machine_with("wounds", &format!("{}{vast}", include_str!("wounds.rasm")))
}

/// A disk with a program of this source, and a machine for it.
fn machine_with(name: &str, text: &str) -> Result<(PathBuf, Machine), String> {
    let source = scratch_file(&format!("{name}.rasm"))?;
    fs::write(&source, text).map_err(|error| format!("{}: {error}", source.display()))?;
    let image = scratch_file(&format!("{name}.img"))?;
    let (source, name) = (source.to_string_lossy(), image.to_string_lossy());
    revenant(&["disk", "create", &name, "--size", "256M", "--force", "--module", &source])?;
    let mut machine = built_machine(Firmware::Bios)?;
    machine.command_line = "snapshot_interval_ms=200".to_owned();
    machine.disks.push(Disk::new(&image));
    Ok((image, machine))
}

/// Runs until every text was said and a snapshot taken after that is durable.
fn run_until(name: &str, machine: &Machine, texts: &[String]) -> Result<Running, String> {
    let mut running = Running::start(name, machine)?;
    let mut left: BTreeSet<&String> = texts.iter().collect();
    let mut flipped = None;
    let wanted = |line: &TimedLine| {
        left.retain(|text| !line.text.contains(text.as_str()));
        let parsed = line.parse();
        match parsed.word {
            "flip" if left.is_empty() && flipped.is_none() => flipped = parsed.number("epoch"),
            "durable" => return flipped.is_some() && parsed.number("epoch") >= flipped,
            _ => {}
        }
        false
    };
    match running.wait_for("what was to be said", LIMIT, wanted) {
        Ok(_) => Ok(running),
        Err(error) => Err(format!("not said: {left:?}\n{error}")),
    }
}

/// The page of the class table that is in use, which was written twice.
fn newest_class_table(pages: &[Page]) -> Result<Page, String> {
    let page = middle(pages, "the class table")?;
    match page.blocks.len() {
        2 => Ok(page),
        copies => Err(format!("the class table stands {copies} times on the disk")),
    }
}

/// Boots, and requires that the kernel gives up for a page that nothing runs without, having said all this before.
fn fails(name: &str, machine: &Machine, before: &[&str]) -> Outcome {
    let mut running = Running::start(name, machine)?;
    for text in before {
        running.wait_for_text(text, BOOT_LIMIT)?;
    }
    running.wait_for_text("nothing runs without it", BOOT_LIMIT)?;
    match running.wait_exit(Duration::from_secs(20))? {
        Some(EXIT_FAILURE) => Ok(()),
        other => Err(running.complaint(&format!("exit code {other:?}"))),
    }
}

#[test]
#[ignore = "boots QEMU: make test"]
fn a_page_that_is_lost_costs_what_it_held_and_no_more() -> Outcome {
    let (image, machine) = machine()?;
    let ready =
        ["reader", "diver", "keeper", "caller", "main"].map(|who| format!("wound {who}: ready"));
    run_until("wounds-first", &machine, &ready)?.cut()?;

    let all = pages(&image)?;
    let object = middle(&all, "large object: LongArray of 16384")?;
    let unreadable = all.iter().find(|page| page.number == object.number + 5).ok_or("no page")?;
    let frames = middle(&all, "stack of thread 3: calls")?;
    // The code and the table of lines have one length; the code was made first.
    let arrays: Vec<Page> = all
        .iter()
        .filter(|page| page.holds == "large object: LongArray of 12001")
        .cloned()
        .collect();
    let code = arrays.get(5).ok_or("no code of that length")?;
    let cat = ["disk", "cat", &image.to_string_lossy(), "--object", "programs/[0]/directory/kept"]
        .map(str::to_owned);
    let kept = revenant(&cat.iter().map(String::as_str).collect::<Vec<_>>())?;
    let kept = kept.lines().next().and_then(|line| line.rsplit_once("0x")).ok_or("no object")?.1;
    let kept = u64::from_str_radix(kept.trim(), 16).map_err(|error| format!("{kept}: {error}"))?;
    let metadata = all.iter().find(|page| page.address == kept & !0xffff).ok_or("no metadata")?;
    for page in [&object, &frames, code, metadata] {
        destroy(&image, page)?;
    }
    // What stands twice on the disk costs nothing as long as one copy is whole.
    for page in all.iter().filter(|page| page.blocks.len() == 2) {
        destroy(&image, &Page { blocks: page.blocks[..1].to_vec(), ..page.clone() })?;
    }
    let mut failing = machine.clone();
    failing.disks = vec![Disk { filter: read_error(unreadable), ..Disk::new(&image) }];
    let thrown = |who: &str, page: &Page| {
        format!("wound {who}: DamagedObjectException page={}", page.number)
    };
    let expected = [
        thrown("reader", &object),
        thrown("reader", unreadable),
        "wound reader: read the rest".to_owned(),
        format!("page_failed page={} verdict=ThreadDamaged(ThreadId(3))", frames.number),
        "wound main: DamagedObjectException".to_owned(),
        thrown("keeper", metadata),
        format!("page_failed page={} verdict=BlockStuck", metadata.number),
        "wound keeper: goes on".to_owned(),
        thrown("caller", code),
        "wound caller: goes on".to_owned(),
        "wound steady: goes on".to_owned(),
    ];
    run_until("wounds-second", &failing, &expected)?.cut()?;

    // What nothing runs without: the snapshot is given up, and the one before it resumed.
    destroy(&image, &middle(&pages(&image)?, "the root page")?)?;
    fails("wounds-third", &machine, &[])?;
    let steps = ["step_back failed=", "resumed epoch=", "wound steady: goes on"].map(str::to_owned);
    run_until("wounds-fourth", &machine, &steps)?.cut()?;

    let newest = pages(&image)?;
    destroy(&image, &middle(&newest, "the run queue and the timers' heads")?)?;
    fails("wounds-fifth", &machine, &[])?;
    // Every snapshot has this one. There is nothing to go back to, and no boot does more than say so.
    destroy(&image, &newest_class_table(&newest)?)?;
    fails("wounds-sixth", &machine, &["step_back failed="])
}

/// The page with the objects of these threads and of no others.
fn page_of_threads(image: &Path, pages: &[Page], threads: Range<u64>) -> Result<Page, String> {
    let table = middle(pages, "the thread table")?;
    let mut entries = [0; 4096];
    let file = fs::File::open(image).map_err(|error| error.to_string())?;
    let block = table.blocks.first().ok_or("no block")?;
    file.read_exact_at(&mut entries, block * 4096).map_err(|error| error.to_string())?;
    let entries: Vec<u64> =
        entries.as_chunks().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect();
    let on_page = |page: &Page| -> Vec<u64> {
        let is_there = |(_, object): &(u64, &u64)| **object & !0xfff == page.address;
        (0..).zip(&entries).filter(is_there).map(|(index, _)| index).collect()
    };
    let found = pages.iter().find(|page| on_page(page) == threads.clone().collect::<Vec<_>>());
    found.filter(|page| page.holds == "thread objects").cloned().ok_or("no such page".to_owned())
}

/// A page of thread objects that stand in lists with others: those threads are lost, the others get what they wait for, and after
/// the next snapshot a restart knows nothing of it any more.
#[test]
#[ignore = "boots QEMU: make test"]
fn a_lost_page_of_threads_costs_those_threads() -> Outcome {
    let (image, machine) = machine_with("ghosts", include_str!("ghosts.rasm"))?;
    let ready = ["ghosts main: ready", "ghosts steady: goes on"].map(str::to_owned);
    run_until("ghosts-first", &machine, &ready)?.cut()?;

    let lost = page_of_threads(&image, &pages(&image)?, 9..17)?;
    destroy(&image, &lost)?;
    let damaged = (9..17).map(|thread| {
        format!("page_failed page={} verdict=ThreadDamaged(ThreadId({thread}))", lost.number)
    });
    let said = [
        "ghosts waiter: the lock was abandoned",
        "ghosts waiter: had the lock",
        "ghosts main: the ghost is damaged",
        "ghosts steady: goes on",
    ];
    let expected: Vec<String> = damaged.chain(said.map(str::to_owned)).collect();
    run_until("ghosts-second", &machine, &expected)?.cut()?;

    let mut running = Running::start("ghosts-third", &machine)?;
    let mut failed = false;
    let goes_on = |line: &TimedLine| {
        failed |= line.text.contains("page_failed") || line.text.contains("step_back");
        line.text.contains("ghosts steady: goes on")
    };
    running.wait_for("what goes on", LIMIT, goes_on)?;
    if failed {
        return Err(running.complaint("the page is lost again"));
    }
    running.cut().map(drop)
}
