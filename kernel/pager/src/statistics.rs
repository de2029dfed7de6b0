//! What the pager counts. Plain numbers since the resume; the kernel prints them, benchmarks take differences.

/// Counters since the resume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Accesses that the tables permitted already.
    pub faults_spurious: u64,
    /// Pages that came into being as zeros.
    pub faults_zero_fill: u64,
    /// Pages made writable in place.
    pub faults_make_writable: u64,
    /// Pages copied.
    pub faults_copy: u64,
    /// Faults that began or joined a page-in.
    pub faults_page_in: u64,
    /// Faults that had to wait for a frame, space, a write or room.
    pub faults_waiting: u64,
    /// Accesses that cannot be served.
    pub faults_impossible: u64,
    /// Tables protected by push-down.
    pub tables_protected: u64,
    /// Pages read.
    pub pages_read: u64,
    /// Of these and of those under way, read before somebody missed them.
    pub pages_read_ahead: u64,
    /// Of these, known to have been touched since.
    pub read_ahead_hits: u64,
    /// Of these, gone untouched. The rest is resident and was not looked at yet.
    pub read_ahead_wasted: u64,
    /// Pages let go for their frames.
    pub pages_evicted: u64,
    /// Of these, with a page table that led to few.
    pub pages_thinned_out: u64,
    /// Groups suspended.
    pub suspensions: u64,
    /// Pages read because their group had them when it was suspended; in `pages_read`, too.
    pub pages_brought_back: u64,
    /// Pages discarded, resident or not.
    pub pages_discarded: u64,
    /// Page tables given back because nothing was left in them.
    pub tables_freed: u64,
    /// Pages for whose change disk space was set aside as freeing's ([`crate::Pager::set_freeing`]).
    pub dirtied_freeing: u64,
    /// Pages found unreadable.
    pub pages_unreadable: u64,
    /// Pages given to the store by the writer.
    pub pages_written: u64,
    /// Of these, old copies.
    pub copies_written: u64,
    /// Pages given to the store before their flip.
    pub pages_cleaned: u64,
    /// Of these, while the snapshot before was in the making.
    pub pages_cleaned_meanwhile: u64,
    /// Of these, because they looked settled.
    pub pages_settled: u64,
    /// Of these, changed before the flip after all.
    pub pages_settled_in_vain: u64,
    /// Of all, not written after all.
    pub pages_not_cleaned: u64,
    /// Flips.
    pub flips: u64,
    /// Snapshots that became durable.
    pub commits: u64,
    /// Snapshots that were given up.
    pub abandoned: u64,
}
