//! What an apply did.

use crate::plan::Region;

/// What an apply did: for listings and tests.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ApplyReport {
    /// The device.
    pub device: String,
    /// Containers, and how each was run.
    pub containers: Vec<Region>,
    /// Submissions to a GPU.
    pub submits: usize,
    /// Compute passes on a GPU.
    pub passes: usize,
    /// Dispatches on a GPU.
    pub dispatches: usize,
    /// The threads that recorded and finished command buffers, one entry for each buffer.
    pub recorders: Vec<String>,
}
