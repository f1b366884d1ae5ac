//! Containers in a plan: which steps are whose, and how many sub-linops are in flight.

use crate::access::ValueId;
use std::ops::Range;

/// A part of a plan's body: a step, or a container whose sub-linops may run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Index of a step.
    Step(usize),
    /// Index of a region.
    Region(usize),
}

/// How a container's sub-linops run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// One after the other.
    Sequential,
    /// As tasks on the host's thread pool.
    Tasks,
    /// In waves on one queue: the next kernels of all sub-linops in flight together.
    Waves,
    /// On several hardware queues.
    Queues,
    /// Sub-linops of one structure in one dispatch for each kernel.
    Batched,
}

/// A container in the plan.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Region {
    /// Label of the container.
    pub label: String,
    /// How its sub-linops run.
    pub schedule: Schedule,
    /// Why so.
    pub reason: String,
    /// Number of sub-linops.
    pub linops: usize,
    /// Number of waves, from the first kernel of a sub-linop to the last of the join.
    pub waves: usize,
    /// Sub-linops that are in flight at once.
    pub in_flight: usize,
    /// The value that the sub-linops' results are joined in.
    #[serde(skip)]
    pub result: ValueId,
    /// Whether every sub-linop owns one stretch of the result, so that they may store at the same time.
    #[serde(skip)]
    pub disjoint: bool,
    /// Whether the results are added, in the order of the sub-linops.
    #[serde(skip)]
    pub ordered: bool,
    /// The sub-linops; none where they are batched, as their steps stand in the body around.
    #[serde(skip)]
    pub children: Vec<Child>,
}

/// One sub-linop of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its label.
    pub name: String,
    /// Its steps.
    pub body: Vec<Item>,
    /// What joins its result to the others', with those of the sub-linops before it that have no join of their own.
    pub join: Vec<Item>,
    /// How many that are, its own with them; 0 where a later one joins it.
    pub joins: usize,
    /// The elements of the result that it owns, where the region's are disjoint.
    pub stretch: Range<usize>,
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Schedule::Sequential => "sequential",
            Schedule::Tasks => "tasks",
            Schedule::Waves => "waves",
            Schedule::Queues => "queues",
            Schedule::Batched => "batched",
        })
    }
}
