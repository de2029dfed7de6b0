//! The `revenant` command as a person meets it: what it prints, what it refuses, and with which exit codes.

use revenant_tools::disk::{Image, Mode, VM_ABI};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("revenant-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file in the folder");
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Held while this process has an image open, and while it starts another one: between `fork` and `exec` that would have the image open, too,
/// and keep its lock though it was let go of here.
static IMAGES: Mutex<()> = Mutex::new(());

fn revenant(arguments: &[&str]) -> Output {
    start(arguments).wait_with_output().expect("it ends")
}

fn start(arguments: &[&str]) -> Child {
    let _alone = alone();
    let mut command = Command::new(env!("CARGO_BIN_EXE_revenant"));
    let command = command.args(arguments).stdin(Stdio::null());
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    started.expect("the command can be started")
}

/// No other test holds it, or one that has failed did.
fn alone() -> MutexGuard<'static, ()> {
    IMAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the command, which must succeed; its standard output.
#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = revenant(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the command, which must fail; its standard error, one line.
#[track_caller]
fn fails(arguments: &[&str]) -> String {
    let output = revenant(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(errors.lines().count(), 1, "{errors:?}");
    errors
}

/// Runs the command, whose output nobody reads to its end; its standard error.
#[track_caller]
fn hangs_up(arguments: &[&str]) -> String {
    let mut child = start(arguments);
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn sample(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    root.join(name).display().to_string()
}

#[test]
fn a_program_is_assembled_verified_printed_and_run() {
    let folder = Folder::new("commands");
    let module = folder.path("hello.rmod");
    succeeds(&["asm", &sample("hello.rasm"), "-o", &module]);
    assert!(
        succeeds(&["verify", &module])
            .contains("hello version 1: 0 classes, 1 functions, verified")
    );
    let listing = folder.write("again.rasm", &succeeds(&["disasm", &module]));
    let again = folder.path("again.rmod");
    succeeds(&["asm", &listing, "-o", &again]);
    let read = |path: &str| std::fs::read(path).expect("a module");
    assert_eq!(read(&module), read(&again));
    assert_eq!(succeeds(&["run", &module]), "Hello, I shall be back.\n");
}

#[test]
fn errors_name_the_file_the_place_and_what_was_expected() {
    let folder = Folder::new("errors");
    let wrong = folder.write("wrong.rasm", "module wrong version 1\nfunction f() {\nfly x\n}\n");
    assert_eq!(fails(&["asm", &wrong]), format!("{wrong}:3:1: there is no operation `fly`\n"));
    let text = folder.write("text.rmod", "not a module");
    assert!(fails(&["verify", &text]).starts_with(&format!("{text}: not a module: expected")));
    let missing = folder.path("missing.rmod");
    assert!(fails(&["disasm", &missing]).starts_with(&format!("{missing}: No such file")));
    let output = revenant(&["asm"]);
    assert_eq!(output.status.code(), Some(2), "usage errors are told apart");
}

#[test]
fn every_command_explains_itself() {
    for command in ["asm", "disasm", "verify", "run", "disk", "boot"] {
        assert!(succeeds(&[command, "--help"]).contains("Usage:"), "{command}");
    }
    for command in ["create", "info", "check", "cat", "snapshots", "report", "retention", "verify"]
    {
        assert!(succeeds(&["disk", command, "--help"]).contains("Usage:"), "{command}");
    }
}

#[test]
fn a_disk_with_a_program_is_made_listed_and_checked() {
    let folder = Folder::new("disk");
    let image = folder.path("hello.img");
    let program = sample("hello.rasm");
    let create = ["disk", "create", &image, "--size", "32M", "--module", &program, "--arg", "one"];
    succeeds(&create);
    assert_eq!(fails(&create), format!("{image}: exists; --force replaces it\n"));
    let checked = succeeds(&["disk", "check", &image]);
    assert!(checked.contains("problems=0"));
    let info = succeeds(&["disk", "info", &image]);
    let figure = |text: &str, line: &str, key: &str| -> u64 {
        let line = text.lines().find(|found| found.starts_with(line)).expect("the line is there");
        let mut words = line.split_whitespace();
        let found = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        found.and_then(|value| value.parse().ok()).expect("the figure is there")
    };
    let sum = |keys: &[&str]| keys.iter().map(|key| figure(&info, "use", key)).sum::<u64>();
    let reached = sum(&["pages", "map_nodes", "free_space_tree"]);
    assert_eq!(reached, figure(&checked, "checked", "blocks"), "{info}");
    assert_eq!(reached + sum(&["free", "fixed_places"]), figure(&info, "store", "blocks"));
    assert_eq!(sum(&["free"]), figure(&info, "space", "free"), "it was 0 on small disks");
    assert_eq!(figure(&info, "  group=1", "refused"), 0);
    assert!(figure(&info, "  group=1", "used") > 65536, "{info}");
    assert!(figure(&info, "image", "allocated") < figure(&info, "image", "blocks"));
    assert_eq!(succeeds(&["disk", "snapshots", &image]).lines().count(), 1);
    let cat = |path: &str| succeeds(&["disk", "cat", &image, "--object", path]);
    assert!(cat("").contains("programs: ObjectArray of 1"));
    assert!(cat("programs/[0]/environment/arguments").starts_with("StringArray of 1"));
    assert!(cat("programs/[0]/environment/arguments/[0]").starts_with("\"one\""));
    assert!(cat("programs/[0]/namespace/hello").starts_with("Module hello"));
    let nowhere = fails(&["disk", "cat", &image, "--object", "programs/[7]"]);
    assert!(nowhere.contains("\"[7]\" is not there; expected [0]"), "{nowhere}");
    let page = folder.path("hello.html");
    succeeds(&["disk", "report", &image, "-o", &page]);
    let html = std::fs::read_to_string(&page).expect("a page");
    for part in [
        "where",
        "holders",
        "classes",
        "ages",
        "garbage",
        "collections",
        "map",
        "largest",
        "snapshots",
    ] {
        assert!(html.contains(&format!("<section id=\"{part}\"")), "{part}");
    }
    assert!(html.contains("<code>programs/[0]/namespace/hello</code>"), "{html}");
    assert!(html.contains("There is none: something leads to every object."));
    let outside = ["http://", "https://", "<script", "url(", "@import"];
    assert!(outside.iter().all(|word| !html.contains(word)), "it needs nothing else");
    let never = fails(&["disk", "report", &image, "--snapshot", "99", "-o", &page]);
    assert!(never.contains("there is no snapshot 99"), "{never}");
    let nowhere = fails(&["disk", "report", &image, "-o", &folder.path("no/where.html")]);
    assert!(nowhere.contains("no/where.html: No such file"), "{nowhere}");
    let never = fails(&["disk", "cat", &image, "--snapshot", "99"]);
    assert!(never.contains("there is no snapshot 99"), "{never}");
    // A module that cannot be loaded leaves no disk behind.
    let lonely = "module lonely version 1\nimport function f() from nowhere\n\
        export function main(e: Environment) -> i64 {\ncall f()\ni64.set n, 0\nreturn n\n}\n";
    let lonely = folder.write("lonely.rasm", lonely);
    let other = folder.path("other.img");
    let message = fails(&["disk", "create", &other, "--size", "32M", "--module", &lonely]);
    assert!(
        message.starts_with(&format!("{lonely}: ")) && message.contains("nowhere"),
        "{message}"
    );
    assert!(!Path::new(&other).exists());
}

/// Tools kept the last four: to pin one snapshot deleted others.
#[test]
fn a_tool_drops_no_snapshot_and_the_policy_says_which_will_go() {
    let folder = Folder::new("retention");
    let path = folder.path("kept.img");
    let program = sample("hello.rasm");
    let create = ["disk", "create", &path, "--size", "32M", "--module", &program];
    let too_many = fails(&[&create[..], &["--keep-last", "90", "--keep-daily", "11"]].concat());
    assert!(too_many.contains("from 1 to 100 snapshots can be kept"), "{too_many}");
    assert!(!Path::new(&path).exists());
    succeeds(&[&create[..], &["--keep-last", "5", "--keep-daily", "7"]].concat());
    let info = succeeds(&["disk", "info", &path]);
    assert!(info.contains("\nretention last=5 hourly=0 daily=7\n"), "{info}");
    {
        let _alone = alone();
        let mut image = Image::open(Path::new(&path), Mode::Write, VM_ABI).expect("it opens");
        for round in 0..11 {
            let page = revenant_hal::PageBytes([round; 4096]);
            let changed = [(revenant_hal::PageIndex(1 << 33), revenant_store::Copies::One, page)];
            image.snapshot(changed.into_iter()).expect("there is room");
        }
    }
    let listed = succeeds(&["disk", "snapshots", &path]);
    let epochs: Vec<&str> =
        listed.lines().filter_map(|line| line.split(['=', ' ']).nth(1)).collect();
    assert_eq!(epochs.len(), 12, "{listed}");
    succeeds(&["disk", "pin", &path, "--snapshot", epochs[2]]);
    let shown = succeeds(&["disk", "retention", &path, "--last", "3"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!((lines[0], lines.len()), ("retention last=3 hourly=0 daily=7", 13));
    assert!(lines[3].ends_with(" pinned kept_by=pin"), "{shown}");
    assert!(lines[9].ends_with(" goes") && lines[10].ends_with(" kept_by=last"), "{shown}");
    assert!(lines[12].ends_with(" newest kept_by=last,day"), "{shown}");
    assert_eq!(shown, succeeds(&["disk", "retention", &path]), "it stays said");
    let refused = fails(&["disk", "retention", &path, "--last", "0"]);
    assert!(refused.contains("the last one among them"), "{refused}");
    assert!(succeeds(&["disk", "check", &path]).contains("problems=0"));
}

#[test]
fn the_past_is_shown_beside_the_present_and_a_reader_may_hang_up() {
    let folder = Folder::new("past");
    let image = folder.path("hello.img");
    succeeds(&["disk", "create", &image, "--size", "32M", "--module", &sample("hello.rasm")]);
    let cat = |path: &str| succeeds(&["disk", "cat", &image, "--object", path]);
    // The past lies beside the present.
    let snapshots = succeeds(&["disk", "snapshots", &image]);
    let epoch = snapshots.split(['=', ' ']).nth(1).expect("snapshot=N");
    assert_eq!(cat(&format!("/past/{epoch}/programs/[0]")), cat("programs/[0]"));
    assert_eq!(cat(&format!("past/{epoch}")), cat("/"));
    let nowhere = fails(&["disk", "cat", &image, "--object", "past/99/programs"]);
    assert!(nowhere.contains("there is no snapshot 99"), "{nowhere}");
    let nowhere = fails(&["disk", "cat", &image, "--object", "past/yesterday"]);
    assert!(nowhere.contains("\"yesterday\" is no snapshot"), "{nowhere}");
    assert!(
        hangs_up(&["disk", "pages", &image]).is_empty(),
        "a reader that has enough is no fault"
    );
}

#[test]
fn a_disk_whose_code_another_verifier_passed_is_verified_again() {
    let folder = Folder::new("verify");
    let path = folder.path("demo.img");
    succeeds(&["disk", "create", &path, "--size", "32M", "--module", &sample("demo.rasm")]);
    assert!(succeeds(&["disk", "verify", &path]).contains(" refused=0 threads_stopped=0"));
    let listed = succeeds(&["disk", "snapshots", &path]);
    assert_eq!(listed.lines().count(), 1, "nothing to change");
    let epoch = listed.split(['=', ' ']).nth(1).expect("snapshot=N");
    {
        let _alone = alone();
        let mut image = Image::open(Path::new(&path), Mode::Write, VM_ABI).expect("it opens");
        image.store.set_vm_abi(VM_ABI - 1);
        image.commit_requests().expect("room");
    }
    let before = std::fs::read(&path).expect("the image");
    let refusal = fails(&["disk", "pin", &path, "--snapshot", epoch]);
    assert!(refusal.contains("bring it up to date with `revenant disk verify`"), "{refusal}");
    assert!(succeeds(&["disk", "verify", &path, "--dry-run"]).starts_with("verified modules=1 "));
    assert_eq!(before, std::fs::read(&path).expect("the image"), "a dry run writes nothing");
    let said = succeeds(&["disk", "verify", &path]);
    assert!(said.contains(" refused=0 threads_stopped=0\nsnapshot="), "{said}");
    succeeds(&["disk", "pin", &path, "--snapshot", epoch]);
    assert!(succeeds(&["disk", "check", &path]).contains("problems=0"));

    // Another layout of objects is beyond it.
    {
        let _alone = alone();
        Image::create_empty(Path::new(&path), 4096, true, VM_ABI - (1 << 16)).expect("a disk");
    }
    let layout = fails(&["disk", "verify", &path]);
    assert!(layout.contains("its objects have layout"), "{layout}");
}
