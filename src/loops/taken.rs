//! What kernels take of memory while they run.
//!
//! No task of a kernel that holds a buffer waits for other tasks: a thread that waits takes up others' work, and would hold
//! one more buffer for each level. So a thread holds the buffers of one task at a time, and their sum is bounded by the number
//! of threads, whatever runs side by side.

/// What is taken while kernels run, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// By each thread, at most.
    pub each: u64,
    /// By the kernels that run at the same time, at most.
    pub shared: u64,
}

impl Taken {
    /// Of two that do not run at the same time.
    pub fn or(self, other: Taken) -> Taken {
        Taken { each: self.each.max(other.each), shared: self.shared.max(other.shared) }
    }
}
