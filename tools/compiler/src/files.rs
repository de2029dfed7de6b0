//! The files of a program: found from the first one by their imports, and laid one behind the other, so that a place in any of them
//! is one number.
//!
//! What a file imports comes before it, as far as there are no circles: then variables are computed before they are needed. The library
//! is file 0.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::diagnostic::Span;
use crate::parser::imported;
use crate::{LIBRARY, SOURCE_BYTES_MAX};

/// Most files of a program.
const FILES_MAX: usize = 10_000;

/// A file of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it lies, seen from the folder of the first file: `shapes/circle.ts`.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

/// How other files are read: by their path, seen from the folder of the first. A mistake says why there is no such file.
pub type Reader<'r> = dyn FnMut(&str) -> Result<String, String> + 'r;

/// A file at its place among all.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    /// Where it begins and ends in the text of all.
    pub(crate) span: Span,
    /// What its imports lead to, by the path as written: the number of a file, or why there is none.
    pub(crate) targets: BTreeMap<String, Result<u16, String>>,
}

/// All files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) text: String,
    pub(crate) list: Vec<File>,
    /// The number of the first.
    pub(crate) main: u16,
}

/// A file that has been read.
struct Found {
    source: Source,
    imports: Vec<String>,
    /// The next import to look at.
    next: usize,
    targets: BTreeMap<String, Result<usize, String>>,
}

impl Found {
    fn new(source: Source) -> Self {
        let imports = imported(&source.text, 0).into_iter().map(|(path, _)| path).collect();
        Self { source, imports, next: 0, targets: BTreeMap::new() }
    }
}

/// What reading has come to.
struct Search<'r, 'f> {
    read: &'r mut Reader<'f>,
    found: Vec<Found>,
    by_path: BTreeMap<String, usize>,
    /// Files whose imports are being looked at: each imports the next.
    open: Vec<usize>,
    bytes: usize,
}

impl Search<'_, '_> {
    fn add(&mut self, source: Source) -> usize {
        let place = self.found.len();
        self.bytes = self.bytes.saturating_add(source.text.len());
        self.by_path.insert(source.path.clone(), place);
        self.found.push(Found::new(source));
        self.open.push(place);
        place
    }

    /// The file that an import of this one leads to.
    fn target(&mut self, from: usize, written: &str) -> Result<usize, String> {
        let from = self.found.get(from).map_or("", |file| &file.source.path);
        let path = resolve(from, written)?;
        if let Some(place) = self.by_path.get(&path) {
            return Ok(*place);
        }
        if self.found.len() >= FILES_MAX {
            return Err(String::from("the program has too many files"));
        }
        let text = (self.read)(&path)?;
        if self.bytes.saturating_add(text.len()) > SOURCE_BYTES_MAX {
            return Err(String::from("the files are longer than 64 MiB together"));
        }
        Ok(self.add(Source { path, text }))
    }

    /// All files, each behind those that it imports unless they import it.
    fn run(&mut self) -> Vec<usize> {
        let mut order = Vec::new();
        while let Some(at) = self.open.last().copied() {
            let next = self.found.get_mut(at).and_then(|file| {
                file.next += 1;
                file.imports.get(file.next - 1).cloned()
            });
            let Some(written) = next else {
                order.push(at);
                self.open.pop();
                continue;
            };
            let target = self.target(at, &written);
            if let Some(file) = self.found.get_mut(at) {
                file.targets.insert(written, target);
            }
        }
        order
    }
}

impl Files {
    /// Reads all files of a program.
    pub(crate) fn gather(main: Source, read: &mut Reader<'_>) -> Self {
        let (found, by_path, open) = (Vec::new(), BTreeMap::new(), Vec::new());
        let mut search = Search { read, found, by_path, open, bytes: 0 };
        let main = search.add(main);
        let order = search.run();
        let numbers: BTreeMap<usize, u16> = order.iter().copied().zip(1..).collect();
        let number = |place: usize| numbers.get(&place).copied().unwrap_or_default();
        let mut files = Self { text: String::new(), list: Vec::new(), main: number(main) };
        files.add("library.ts", LIBRARY, BTreeMap::new());
        for place in &order {
            let Some(file) = search.found.get(*place) else { continue };
            let targets = file.targets.iter().map(|(written, target)| {
                (written.clone(), target.as_ref().map(|place| number(*place)).map_err(Clone::clone))
            });
            files.add(&file.source.path, &file.source.text, targets.collect());
        }
        files
    }

    /// The inputs of a session, each as a file.
    pub(crate) fn of_inputs(before: &[String], last: &str) -> Self {
        let mut files = Self { text: String::new(), list: Vec::new(), main: 0 };
        files.add("library.ts", LIBRARY, BTreeMap::new());
        for input in before.iter().map(String::as_str).chain([last]) {
            files.main = files.main.saturating_add(1);
            let path = format!("input{}", files.main);
            files.add(&path, input, BTreeMap::new());
        }
        files
    }

    fn add(&mut self, path: &str, text: &str, targets: BTreeMap<String, Result<u16, String>>) {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = place(self.text.len());
        self.text.push_str(text);
        let span = Span { start, end: place(self.text.len()) };
        // Each begins on a line of its own.
        self.text.push('\n');
        self.list.push(File { path: path.into(), span, targets });
    }

    /// The number of the file with this place.
    pub(crate) fn number_of(&self, at: u32) -> u16 {
        let after = self.list.partition_point(|file| file.span.start <= at);
        u16::try_from(after.saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// The text up to the end of a file, and where the file begins.
    pub(crate) fn up_to(&self, file: &File) -> (&str, usize) {
        let place = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        (self.text.get(..place(file.span.end)).unwrap_or_default(), place(file.span.start))
    }

    /// The file's name in stack traces: without folders and ending.
    pub(crate) fn short_name(&self, number: u16) -> &str {
        let path = self.list.get(usize::from(number)).map_or("", |file| &file.path);
        let name = path.rsplit('/').next().unwrap_or(path);
        name.strip_suffix(".ts").unwrap_or(name)
    }
}

/// The path of what a file imports, seen from the folder of the first.
fn resolve(from: &str, written: &str) -> Result<String, String> {
    if !written.starts_with("./") && !written.starts_with("../") {
        return Err(String::from("a path begins with `./` or `../`"));
    }
    if written.ends_with(".ts") || written.ends_with(".js") {
        return Err(String::from("the ending is left out"));
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in written.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    Ok(format!("{}.ts", parts.join("/")))
}
