//! `revenant disk create`: a disk whose first snapshot holds programs that are ready to run.
//!
//! The virtual machine makes object space on the host, in memory at the same addresses as on the machine; its touched pages become
//! the first snapshot. The kernel has one way to start: it resumes.

use super::file_disk::sync_name;
use super::image::{Image, SourcePage};
use super::{ImageError, KeepArguments, VM_ABI};
use crate::modules::{explain, load_all};
use crate::run::HostEnvironment;
use clap::Args;
use revenant_hal::{PAGE_SIZE_U64, PageBytes, PageIndex};
use revenant_store::{Copies, MINIMUM_BLOCKS};
use revenant_vm::memory::HostSpace;
use revenant_vm::{Creation, Vm};
use std::path::PathBuf;

/// Makes a disk image with programs on it.
#[derive(Args, Clone, Debug, Default)]
pub struct CreateArguments {
    /// The disk image to write
    pub image: PathBuf,
    /// Its size: bytes, or with K, M, G, T
    #[arg(long, default_value = "1G", value_parser = parse_size)]
    pub size: u64,
    /// Modules to load (or texts, which are assembled first); one of them exports `main`
    #[arg(long = "module", value_name = "MODULE", required = true)]
    pub modules: Vec<PathBuf>,
    /// What the program finds as its arguments, once for each
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true)]
    pub arguments: Vec<String>,
    /// A further program, in a group of its own: its modules, separated by commas, then its arguments; once for each. Its group is 2
    /// for the first of them (that of --module is 1), then 3 and so on
    #[arg(long = "program", value_name = "MODULE[,MODULE...] [TEXT...]")]
    pub programs: Vec<String>,
    /// The most that a program may take of object space: bytes, or with K, M, G, T. The first is that of --module, the next are
    /// those of --program in their order; without, there is no limit
    #[arg(long = "quota", value_name = "SIZE", value_parser = parse_size)]
    pub quotas: Vec<u64>,
    /// Which snapshots the disk keeps; `disk retention` changes it
    #[command(flatten)]
    pub keep: KeepArguments,
    /// Replace the image if it exists
    #[arg(long)]
    pub force: bool,
}

/// A program besides the first.
struct Further {
    paths: Vec<PathBuf>,
    files: Vec<Vec<u8>>,
    arguments: Vec<String>,
}

impl Further {
    /// Reads what `--program` says, and its modules.
    fn load(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let modules = words.next().ok_or("--program: expected a module, then arguments")?;
        let paths: Vec<PathBuf> = modules.split(',').map(PathBuf::from).collect();
        let files = load_all(&paths)?;
        Ok(Self { paths, files, arguments: words.map(str::to_owned).collect() })
    }
}

/// Reads a size: a number, perhaps with K, M, G or T (powers of 1,024).
///
/// # Errors
/// What was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || String::from("expected a number of bytes, for example 268435456, 256M or 1G");
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match upper.get(digits.len()..) {
        Some("") => 0,
        Some("K") => 10,
        Some("M") => 20,
        Some("G") => 30,
        Some("T") => 40,
        _ => return Err(expected()),
    };
    let number: u64 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

/// Runs `revenant disk create`.
///
/// # Errors
/// A module is refused, or the image cannot be written; one line that says which and why.
pub(super) fn create(arguments: &CreateArguments) -> Result<(), String> {
    let files = load_all(&arguments.modules)?;
    let further: Result<Vec<_>, _> =
        arguments.programs.iter().map(|text| Further::load(text)).collect();
    let further = further?;
    if arguments.quotas.len() > 1 + further.len() {
        let count = arguments.quotas.len();
        return Err(format!("--quota: {count} for {} programs", 1 + further.len()));
    }
    let name = arguments.image.display();
    if arguments.image.exists() && !arguments.force {
        return Err(format!("{name}: exists; --force replaces it"));
    }
    if arguments.size < MINIMUM_BLOCKS * PAGE_SIZE_U64 {
        let least = (MINIMUM_BLOCKS * PAGE_SIZE_U64) >> 20;
        return Err(format!("--size {}: a disk has at least {least}M", arguments.size));
    }
    let say = |error: ImageError| format!("{name}: {error}");
    let blocks = arguments.size / PAGE_SIZE_U64;
    let mut image =
        Image::create_empty(&arguments.image, blocks, arguments.force, VM_ABI).map_err(say)?;
    let kept = arguments.keep.apply(&mut image).map_err(|error| error.to_string());
    kept.and_then(|()| fill(&mut image, arguments, &files, &further)).inspect_err(|_| {
        // A disk without a program is of no use; that it could not be removed adds nothing to the error.
        let _ = std::fs::remove_file(&arguments.image);
    })?;
    sync_name(&arguments.image).map_err(|error| format!("{name}: {error}"))
}

/// Makes object space in memory and writes it as the first snapshot.
fn fill(
    image: &mut Image,
    arguments: &CreateArguments,
    files: &[Vec<u8>],
    further: &[Further],
) -> Result<(), String> {
    fn slices(files: &[Vec<u8>]) -> Vec<&[u8]> {
        files.iter().map(Vec::as_slice).collect()
    }
    fn texts(arguments: &[String]) -> Vec<&str> {
        arguments.iter().map(String::as_str).collect()
    }
    let (modules, given) = (slices(files), texts(&arguments.arguments));
    let space = HostSpace::take().map_err(|error| error.to_string())?;
    let epoch = image.store.running_epoch();
    let mut environment = HostEnvironment::new(epoch);
    let creation = Creation { modules: &modules, arguments: &given, epoch };
    let mut vm = Vm::create(&creation, &mut environment)
        .map_err(|error| explain(&error, &arguments.modules))?;
    let mut groups = vec![Vm::FIRST_GROUP];
    for program in further {
        let (modules, given) = (slices(&program.files), texts(&program.arguments));
        let creation = Creation { modules: &modules, arguments: &given, epoch };
        let group = vm.add_program(&creation).map_err(|error| explain(&error, &program.paths))?;
        groups.push(group);
    }
    for (group, quota) in groups.into_iter().zip(&arguments.quotas) {
        let used = vm.quota(group).used;
        if used > *quota {
            return Err(format!(
                "--quota {quota}: the program of group {group} has {used} already"
            ));
        }
        vm.set_quota(group, *quota);
    }
    image.snapshot(pages(&space)).map(drop).map_err(|error| error.to_string())
}

/// The pages that hold something; twice those without which nothing runs.
fn pages(space: &HostSpace) -> impl Iterator<Item = SourcePage<PageBytes>> {
    let touched = space.touched().into_iter().flat_map(|range| range.start.0..range.end.0);
    touched.filter_map(move |number| {
        let page = PageIndex(number);
        let bytes = space.page(page);
        // A page that was touched and holds nothing reads back as zeros anyway.
        if bytes.0.iter().all(|byte| *byte == 0) {
            return None;
        }
        Some((page, copies_of(page), bytes))
    })
}

/// How often a page is stored: twice, if nothing runs without it.
pub(super) fn copies_of(page: PageIndex) -> Copies {
    let vital = Vm::wired_pages().iter().any(|range| range.contains(&page))
        || Vm::class_table_pages().contains(&page);
    if vital { Copies::Two } else { Copies::One }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_are_read_with_their_letters() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        for wrong in ["", "M", "1X", "1MM", "-1", "99999999999T"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
