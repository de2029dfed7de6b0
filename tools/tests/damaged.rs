//! What the refusal of a damaged disk tells a person to do, done: `disk check` names the older generations that are whole, and
//! with what it prints they are looked at. (The machine goes back by the word it prints in tests/tests/machine_refusals.rs.)

use revenant_hal::{PAGE_SIZE, PageBytes, PageIndex};
use revenant_store::{Copies, Layout, RING_SLOTS};
use revenant_tools::disk::{Image, Mode, VM_ABI};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BLOCKS: u64 = 4096;

/// An image of this test's own, removed at the end.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An image with five snapshots, in generations of their own.
fn image(name: &str) -> Scratch {
    let path = std::env::temp_dir().join(format!("revenant-{name}-{}.img", std::process::id()));
    let page = |round: u64, number: u64| {
        let byte = u8::try_from(round * 16 + number + 1).unwrap_or(1);
        (PageIndex(number), Copies::One, PageBytes([byte; PAGE_SIZE]))
    };
    let mut image = Image::create_empty(&path, BLOCKS, true, VM_ABI).expect("a disk");
    for round in 0..5 {
        image.snapshot((0..9).map(|number| page(round, number))).expect("room");
    }
    Scratch(path)
}

fn overwrite(path: &Path, block: u64) {
    let file = OpenOptions::new().write(true).open(path).expect("the image");
    file.write_all_at(&[0xa5; PAGE_SIZE], block * 4096).expect("written");
}

/// Destroys both copies of the map roots of the two newest snapshots.
fn destroy_newest_roots(path: &Path) {
    let image = Image::open(path, Mode::Read, VM_ABI).expect("it opens");
    let entries = image.store.superblock().snapshots.entries().to_vec();
    drop(image);
    for snapshot in &entries[entries.len() - 2..] {
        snapshot.root.blocks().for_each(|block| overwrite(path, block.0));
    }
}

fn revenant(arguments: &[&str]) -> (Output, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_revenant")).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, text, errors)
}

/// Runs a command that shows what there is and ends with the one line of refusal; both.
#[track_caller]
fn shows_and_refuses(arguments: &[&str]) -> (String, String) {
    let (output, text, errors) = revenant(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    (text, errors)
}

#[test]
fn what_the_refusal_of_a_damaged_disk_says_works() {
    let disk = image("damaged");
    destroy_newest_roots(&disk.0);
    let name = disk.0.display().to_string();
    let before = std::fs::read(&disk.0).expect("the image");
    let (_, refusal) = shows_and_refuses(&["disk", "snapshots", &name]);
    assert!(refusal.contains("`revenant disk check` names older ones that are"), "{refusal}");

    let (ring, again) = shows_and_refuses(&["disk", "info", &name]);
    assert_eq!(again, refusal);
    assert_eq!(ring.matches("  slot=").count(), 8, "{ring}");
    let (text, _) = shows_and_refuses(&["disk", "check", &name]);
    assert_eq!(text.matches(" damaged: block ").count(), 2, "{text}");
    let whole = text.lines().find(|line| line.contains(" whole: ")).expect("a whole generation");
    let number = whole.split(['=', ' ']).nth(3).expect("a number");
    assert!(
        whole.contains(&format!("with `generation={number}@0` on its command line")),
        "{whole}"
    );

    let (output, text, errors) = revenant(&["disk", "info", &name, "--generation", number]);
    assert!(output.status.success(), "{errors}");
    assert!(text.contains(&format!("generation={number} ")) && text.contains(" opened"), "{text}");
    let (output, text, errors) = revenant(&["disk", "check", &name, "--generation", number]);
    assert!(output.status.success() && text.contains("problems=0"), "{text}{errors}");
    let (output, text, _) = revenant(&["disk", "snapshots", &name, "--generation", number]);
    assert!(output.status.success() && text.contains(" newest"), "{text}");
    let (_, refusal) = shows_and_refuses(&["disk", "info", &name, "--generation", "99"]);
    assert!(refusal.contains("generation 99 is not on the disk"), "{refusal}");
    assert!(std::fs::read(&disk.0).expect("the image") == before, "looking has changed the disk");
}

#[test]
fn groups_that_cannot_be_counted_are_not_shown_as_none() {
    let disk = image("groups");
    let name = disk.0.display().to_string();
    let groups =
        |text: &str| text.lines().find(|line| line.starts_with("groups")).map(str::to_owned);
    let (_, text, _) = revenant(&["disk", "info", &name]);
    assert_eq!(groups(&text).as_deref(), Some("groups"));
    // The last content of the root page, wherever it stands.
    let bytes = std::fs::read(&disk.0).expect("the image");
    let blocks = bytes.chunks(PAGE_SIZE).zip(0..);
    let roots: Vec<u64> = blocks
        .filter(|(block, _)| block.iter().all(|byte| *byte == 4 * 16 + 1))
        .map(|(_, number)| number)
        .collect();
    assert!(!roots.is_empty());
    roots.into_iter().for_each(|block| overwrite(&disk.0, block));
    let (output, text, errors) = revenant(&["disk", "info", &name]);
    assert!(output.status.success(), "{errors}");
    assert_eq!(groups(&text).as_deref(), Some("groups: the page that counts them cannot be read"));
}

#[test]
fn a_ring_of_another_version_or_of_nothing_is_shown_with_the_refusal() {
    let disk = image("other-ring");
    let name = disk.0.display().to_string();
    let layout = Layout::new(BLOCKS).expect("large enough");
    let file = OpenOptions::new().write(true).open(&disk.0).expect("the image");
    for slot in 0..RING_SLOTS {
        file.write_all_at(&[7], layout.slot(slot).0 * 4096 + 200).expect("written");
    }
    let (ring, refusal) = shows_and_refuses(&["disk", "info", &name]);
    assert!(
        ring.contains("torn or damaged") && refusal.contains("no superblock is whole"),
        "{ring}"
    );
    for slot in 0..RING_SLOTS {
        overwrite(&disk.0, layout.slot(slot).0);
    }
    let (nothing, refusal) = shows_and_refuses(&["disk", "check", &name]);
    assert!(nothing.is_empty() && refusal.contains("not a Revenant disk"), "{nothing}{refusal}");
}
