//! Bugs planted on purpose: each is one that a pager could really have, and a test shows that it is caught.

/// Which bug the pager has. Anything but `None` is for tests alone.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Planted {
    /// No bug.
    #[default]
    None,
    /// A new table claims that its parent is protected already, and is linked with W.
    TableRebuiltUnderStaleParent,
    /// W is set above a table without looking at its stamp.
    StampIgnoredAtPushDown,
    /// The flip leaves the TLB as it is.
    TlbFlushOmittedAtFlip,
    /// The writer takes pages of the running epoch, which programs can store to.
    UnprotectedPageWritten,
    /// The cleaner takes pages that programs can store to.
    UnprotectedPageCleaned,
    /// The cleaner takes pages that wait for the writer of the snapshot in the making.
    FrozenPageCleaned,
    /// A page that was to be cleaned and could not be written counts as clean.
    UnwrittenPageTakenForClean,
    /// A page under a device write is made writable in place.
    CopyOmittedWhileWriting,
    /// The old copy of a page is forgotten instead of written.
    SplitCopyDropped,
    /// The epoch advances only after programs have run again.
    EpochAdvancedLate,
    /// The pages that were dirty at the flip are forgotten.
    DirtyListLost,
    /// Pages of an abandoned snapshot count as clean.
    AbandonedPagesForgotten,
    /// The TLB keeps leading to the old copy.
    InvalidateOmittedAtCopy,
    /// A page is let go while a device writes it.
    WritingPageEvicted,
    /// A page is let go that was stored to in the running epoch.
    DirtyPageEvicted,
    /// A page is let go that waits for the writer.
    FrozenPageEvicted,
    /// The TLB keeps leading to pages that were let go.
    FlushOmittedAtEviction,
    /// A frame that was released counts as one that holds zeros.
    ReleasedFrameTakenForZeros,
    /// A page that could not be read is taken for one that was never written.
    ReadErrorAsZeros,
    /// A frame is freed that waits for the writer or is being written, because its page was discarded.
    FrozenFrameDiscarded,
    /// The store is not told of a discard: what it holds comes back.
    DiscardNotNoted,
    /// The TLB keeps leading to discarded pages.
    FlushOmittedAtDiscard,
    /// What was on its way from the disk when its page was discarded arrives as it was.
    DiscardedPageArrives,
    /// The TLB keeps leading to what went with a table that held little.
    FlushOmittedAtThinning,
    /// A table that held little goes with a page that was stored to in the running epoch.
    DirtyPageThinnedOut,
    /// Whoever needs a frame is let have one when there is none: the reserve is off by one.
    ReserveOffByOne,
    /// Pages of a group within its share are taken for others.
    SharesIgnored,
}
