//! The language as its users meet it: programs with the output they have to have, and mistakes as they are drawn.
//!
//! `language/samples/NAME.input` is what is typed to samples/NAME.ts.
//! `language/run/NAME.ts` runs on the virtual machine of the host and prints `NAME.expected`; `language/mistakes/NAME.ts` does not compile,
//! and what is said stands in `NAME.expected`; `language/sessions/NAME.session` is typed into a session. With `UPDATE_EXPECTED=1` the tests write those files instead; read them then.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language").join(name)
}

fn programs(folder: &Path) -> Vec<PathBuf> {
    files(folder, "ts")
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn compare(program: &Path, found: &str) {
    let expected = program.with_extension("expected");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&expected, found).expect("writing what is expected");
    }
    let text = fs::read_to_string(&expected).expect("what is expected");
    assert_eq!(text, found, "{}", program.display());
}

/// What a program prints, and its exit code as a last line.
fn run(program: &Path) -> String {
    run_with(program, Stdio::null())
}

fn run_with(program: &Path, input: Stdio) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_revenant"))
        .arg("run")
        .arg(program)
        .stdin(input)
        .output()
        .expect("running it");
    let code = output.status.code().expect("an exit code");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}exit code {code}\n")
}

#[test]
fn programs_print_what_they_have_to() {
    for program in programs(&folder("run")) {
        compare(&program, &run(&program));
    }
}

#[test]
fn samples_answer_what_is_typed() {
    let folder = folder("samples");
    for name in ["board", "life", "store"] {
        let typed = folder.join(name).with_extension("input");
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name);
        let input = fs::File::open(&typed).expect("what is typed");
        compare(&typed, &run_with(&sample.with_extension("ts"), input.into()));
    }
}

#[test]
fn the_programs_of_are_we_fast_yet_find_what_is_published() {
    let programs = programs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/awfy"));
    assert_eq!(programs.len(), 14);
    for program in programs {
        let said = run(&program);
        assert!(said.ends_with(" true\nexit code 0\n"), "{}: {said}", program.display());
    }
}

#[test]
fn mistakes_are_drawn_with_their_lines_and_help() {
    for program in programs(&folder("mistakes")) {
        let folder = program.parent().expect("a folder");
        let text = fs::read_to_string(&program).expect("the program");
        let path = program.file_name().expect("a name").to_string_lossy().into_owned();
        let mut read = |path: &str| {
            fs::read_to_string(folder.join(path)).map_err(|_| String::from("it is not there"))
        };
        let main = revenant_compiler::Source { path, text };
        let mistakes = revenant_compiler::compile_files(main, "mistakes", &mut read);
        let mistakes = mistakes.expect_err("mistakes");
        let drawn = revenant_tools::compile::render(&mistakes, Path::new(""));
        compare(&program, &format!("{drawn}\n"));
    }
}

#[test]
fn the_sample_compiles_to_a_file_that_runs() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/hello.ts");
    let module = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hello.rmod");
    let compiled = Command::new(env!("CARGO_BIN_EXE_revenant"))
        .args([Path::new("compile"), &sample, Path::new("-o"), &module])
        .status()
        .expect("compiling it");
    assert!(compiled.success());
    assert_eq!(run(&module), "Hello, I shall be back.\nexit code 0\n");
}

fn session() -> Child {
    Command::new(env!("CARGO_BIN_EXE_revenant"))
        .arg("repl")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting a session")
}

#[test]
fn sessions_answer_as_they_have_to() {
    for script in files(&folder("sessions"), "session") {
        let mut session = session();
        let text = fs::read(&script).expect("the script");
        session.stdin.take().expect("its input").write_all(&text).expect("typing");
        let output = session.wait_with_output().expect("its output");
        assert!(output.status.success(), "{}", script.display());
        compare(&script, &String::from_utf8_lossy(&output.stdout));
    }
}

/// What is made of each input fits what is loaded: a module that the loader refuses ends the session.
#[test]
fn inputs_in_any_order_make_modules_that_fit_together() {
    let all: Vec<&str> = include_str!("language/inputs.txt").lines().collect();
    for seed in 1_u64..=6 {
        let mut state = seed;
        let mut text = String::new();
        for _ in 0..60 {
            // The generator of Knuth's MMIX: enough to choose lines by.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(all[(state >> 33) as usize % all.len()]);
            text.push('\n');
        }
        let mut session = session();
        session.stdin.take().expect("its input").write_all(text.as_bytes()).expect("typing");
        let output = session.wait_with_output().expect("its output");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains("fault"), "seed {seed}:\n{said}");
    }
}

/// Lines are read until one begins so.
fn wait_for(lines: &mut impl Iterator<Item = std::io::Result<String>>, start: &str) {
    let found = lines.map(|line| line.expect("a line")).find(|line| line.starts_with(start));
    assert!(found.is_some(), "the session has ended without {start:?}");
}

#[test]
fn control_c_ends_what_runs_and_not_the_session() {
    let mut session = session();
    let pid = Pid::from_raw(session.id().try_into().expect("a process number"));
    let mut input = session.stdin.take().expect("its input");
    let mut lines = BufReader::new(session.stdout.take().expect("its output")).lines();
    for endless in ["while (true) n++", "sleep(1_000_000_000_000)"] {
        writeln!(input, "let n = 0\nconsole.log(\"runs\"); {endless}").expect("typing");
        wait_for(&mut lines, "runs");
        kill(pid, Signal::SIGINT).expect("Ctrl-C");
        wait_for(&mut lines, "thread ");
    }
    writeln!(input, "n === 0 ? \"alive\" : \"alive \"").expect("typing");
    wait_for(&mut lines, "\"alive");
    drop(input);
    assert!(session.wait().expect("its end").success());
}
