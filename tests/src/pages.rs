//! Where the pages of an image stand, as `revenant disk pages` tells it, and how tests destroy them.

use crate::disks::revenant;
use revenant_tools::qemu::DiskFilter;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One page as `revenant disk pages` lists it.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its number in object space.
    pub number: u64,
    /// Its address.
    pub address: u64,
    /// Where it stands, once or twice.
    pub blocks: Vec<u64>,
    /// What it holds, in words.
    pub holds: String,
}

fn parse(line: &str) -> Option<Page> {
    let (fields, holds) = line.split_once(" holds ")?;
    let field = |key: &str| fields.split(' ').find_map(|word| word.strip_prefix(key));
    Some(Page {
        number: field("page=")?.parse().ok()?,
        address: u64::from_str_radix(field("address=0x")?, 16).ok()?,
        blocks: field("blocks=")?
            .split(',')
            .map(|block| block.parse().ok())
            .collect::<Option<_>>()?,
        holds: holds.to_owned(),
    })
}

/// The pages of an image's live state.
///
/// # Errors
/// The command fails, or says what this does not understand.
pub fn pages(image: &Path) -> Result<Vec<Page>, String> {
    let text = revenant(&["disk", "pages", &image.to_string_lossy()])?;
    text.lines().map(|line| parse(line).ok_or_else(|| format!("what is {line:?}"))).collect()
}

/// The page in the middle of those that hold this.
///
/// # Errors
/// There is none.
pub fn middle(pages: &[Page], holds: &str) -> Result<Page, String> {
    let found: Vec<&Page> = pages.iter().filter(|page| page.holds == holds).collect();
    found.get(found.len() / 2).map(|page| (*page).clone()).ok_or_else(|| format!("no {holds:?}"))
}

/// Overwrites every copy of a page with what is none.
///
/// # Errors
/// The image cannot be written.
pub fn destroy(image: &Path, page: &Page) -> Result<(), String> {
    let file = fs::OpenOptions::new().write(true).open(image).map_err(|error| error.to_string())?;
    for block in &page.blocks {
        file.write_all_at(&[0xa5; 4096], block * 4096).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What the device fails with where a page stands: the block's first sector, at every read.
#[must_use]
pub fn read_error(page: &Page) -> DiskFilter {
    let sectors = page.blocks.iter().map(|block| block * 8).enumerate();
    let rules = sectors.map(|(rule, sector)| {
        format!(
            "inject-error.{rule}.event=none,inject-error.{rule}.iotype=read,inject-error.{rule}.errno=5,inject-error.{rule}.sector={sector}"
        )
    });
    DiskFilter::Fault(rules.collect::<Vec<_>>().join(","))
}
