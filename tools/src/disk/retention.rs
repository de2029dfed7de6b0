//! `revenant disk retention`: which snapshots a disk keeps without being asked to, shown and set; and why each one stays.

use super::{Image, ImageError, Mode, VM_ABI, snapshot_line};
use clap::Args;
use revenant_store::{KeptBy, Retention, RetentionOverride, Snapshot, Superblock};
use std::path::PathBuf;
use std::process::ExitCode;

/// The policy of a disk in the making.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct KeepArguments {
    /// Keep the last so many snapshots [default: 8]
    #[arg(long = "keep-last", value_name = "N")]
    last: Option<u32>,
    /// Besides, the newest of each of the last so many hours that have one [default: 0]
    #[arg(long = "keep-hourly", value_name = "N")]
    hourly: Option<u32>,
    /// Besides, the newest of each of the last so many days that have one [default: 0]
    #[arg(long = "keep-daily", value_name = "N")]
    daily: Option<u32>,
}

/// Shows or sets which snapshots a disk keeps. What is kept no longer goes when the machine makes its next snapshots.
#[derive(Args, Debug)]
pub struct RetentionArguments {
    /// The disk image
    pub image: PathBuf,
    /// Keep the last so many snapshots, the newest among them
    #[arg(long, value_name = "N")]
    last: Option<u32>,
    /// Besides, the newest of each of the last so many hours that have one
    #[arg(long, value_name = "N")]
    hourly: Option<u32>,
    /// Besides, the newest of each of the last so many days that have one
    #[arg(long, value_name = "N")]
    daily: Option<u32>,
}

impl KeepArguments {
    /// Writes down what was said; the next snapshot makes it durable.
    pub(super) fn apply(self, image: &mut Image) -> Result<(), ImageError> {
        set(image, RetentionOverride { last: self.last, hourly: self.hourly, daily: self.daily })
    }
}

fn set(image: &mut Image, by: RetentionOverride) -> Result<(), ImageError> {
    if by == RetentionOverride::default() {
        return Ok(());
    }
    let policy = image.store.retention().overridden(by);
    image.store.set_retention(policy).map_err(ImageError::Snapshot)
}

/// Runs `revenant disk retention`.
pub(super) fn retention(arguments: &RetentionArguments) -> Result<ExitCode, ImageError> {
    let RetentionArguments { last, hourly, daily, .. } = *arguments;
    let by = RetentionOverride { last, hourly, daily };
    let changes = by != RetentionOverride::default();
    let mode = if changes { Mode::Write } else { Mode::Read };
    let mut image = Image::open(&arguments.image, mode, VM_ABI)?;
    if changes {
        set(&mut image, by)?;
        image.commit_requests()?;
    }
    let superblock = image.store.superblock();
    println!("{}", policy_line(superblock));
    for snapshot in superblock.snapshots.entries() {
        println!("{}", snapshot_line(snapshot, superblock));
    }
    Ok(ExitCode::SUCCESS)
}

/// The policy that stands in a store.
pub(super) fn policy_line(superblock: &Superblock) -> String {
    let Retention { last, hourly, daily } = superblock.retention.unwrap_or(Retention::DEFAULT);
    let whose = if superblock.retention.is_none() { " default" } else { "" };
    format!("retention last={last} hourly={hourly} daily={daily}{whose}")
}

/// Why a snapshot stays, or that it is about to go.
pub(super) fn reasons(snapshot: &Snapshot, superblock: &Superblock) -> String {
    let policy = superblock.retention.unwrap_or(Retention::DEFAULT);
    let kept = superblock.snapshots.kept_by(superblock.epoch, policy);
    let KeptBy { last, hour, day } = kept.get(&snapshot.epoch).copied().unwrap_or_default();
    let line = superblock.snapshots.line(superblock.epoch);
    let collector = superblock.collector_pin.is_some_and(|pin| pin.epoch == snapshot.epoch);
    let reasons = [
        (snapshot.pinned, "pin"),
        (collector, "collector"),
        (last, "last"),
        (hour, "hour"),
        (day, "day"),
        (snapshot.hidden, "children"),
        (!line.contains(&snapshot.epoch), "branch"),
    ];
    let held: Vec<&str> = reasons.iter().filter(|(holds, _)| *holds).map(|(_, by)| *by).collect();
    if held.is_empty() { "goes".into() } else { format!("kept_by={}", held.join(",")) }
}
