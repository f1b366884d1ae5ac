//! The structured node: independent programs side by side, and how many of them may run at once.

use super::Program;

/// How the input of a parallel node reaches its children, and how their outputs make its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Feed: every child takes the whole input. Join: the outputs are added, a left fold in index order.
    Whole,
    /// Children own consecutive slices of this axis, of these extents.
    Slices {
        /// The cut axis.
        axis: usize,
        /// Extents of the slices.
        extents: Vec<usize>,
    },
}

/// Independent children, one feed, one join. Add, concat, stack and block-diagonal lower to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallel {
    /// The children.
    pub children: Vec<Program>,
    /// How the input is fed.
    pub feed: Split,
    /// How the outputs are joined.
    pub join: Split,
    /// How many may run at once.
    pub settings: ThreadSettings,
    /// The container's label.
    pub label: String,
    /// The children's labels, for reports and errors.
    pub names: Vec<String>,
}

/// How a container may run its sub-linops. Decides when and where they run, never what is computed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ThreadSettings {
    /// Whether sub-linops may run at the same time.
    #[serde(default = "yes")]
    pub threaded: bool,
    /// At most so many at once; None is one for each sub-linop.
    #[serde(default)]
    pub num_workers: Option<usize>,
}

fn yes() -> bool {
    true
}

impl Default for ThreadSettings {
    fn default() -> Self {
        ThreadSettings { threaded: true, num_workers: None }
    }
}

impl ThreadSettings {
    /// What both allow.
    pub(crate) fn both(&self, other: &ThreadSettings) -> ThreadSettings {
        let num_workers = self.num_workers.into_iter().chain(other.num_workers).min();
        ThreadSettings { threaded: self.threaded && other.threaded, num_workers }
    }

    /// How many of `linops` sub-linops may be in flight, where a device has so many lanes (None: any number).
    pub fn in_flight(&self, linops: usize, lanes: Option<usize>) -> usize {
        let most = if self.threaded { self.num_workers.unwrap_or(linops) } else { 1 };
        most.min(lanes.unwrap_or(linops)).clamp(1, linops.max(1))
    }
}
