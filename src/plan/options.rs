//! What may be chosen when a program is planned.

use crate::points::Weights;

/// Nothing here changes a result, but `weights` in its last digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Sub-linops of a container that are in flight at once, at most.
    pub lanes: Option<usize>,
    /// Hardware queues to distribute sub-linops over; with 0 or 1 they share one.
    pub queues: usize,
    /// Where kernels between grids and points take weights from, wherever both ways are offered; None: the faster one.
    pub weights: Option<Weights>,
}
