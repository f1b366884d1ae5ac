//! When the steps of one apply ran.

/// One step of an apply; a step whose dispatches are submitted apart from each other has several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepTime {
    /// Its place in the plan.
    pub step: usize,
    /// Dispatches on a GPU.
    pub dispatches: usize,
    /// Seconds from the apply's first step on.
    pub begin: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// The lane, or the thread of the host's pool, that ran it.
    pub track: usize,
}
