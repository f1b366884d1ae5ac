//! What may be chosen when a program is planned.

use crate::points::Weights;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nothing here changes a result, but `weights` in its last digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Sub-linops of a container that are in flight at once, at most.
    pub lanes: Option<usize>,
    /// Hardware queues to distribute sub-linops over; with 0 or 1 they share one.
    pub queues: usize,
    /// Sub-linops share one queue all the same where a queue has less of them to do, in bytes that are moved, or flops that take as
    /// long.
    pub queue_work: u64,
    /// Where kernels between grids and points take weights from, wherever both ways are offered; None: the faster one.
    pub weights: Option<Weights>,
    /// Entries along an axis in front that are planned as one of them is alone, so that each has the bits of one; 0 and 1: there is
    /// none.
    pub alike: usize,
}

/// How many sub-linops of a container may be in flight on a device, whatever their settings say.
#[derive(Debug, Default)]
pub(crate) struct LaneLimit(AtomicUsize);

/// Not set: the environment says it.
const UNSET: usize = 0;

impl LaneLimit {
    /// None leaves it to the settings. Until this is called `LINOPS_LANES` says it.
    pub fn set(&self, lanes: Option<usize>) {
        self.0.store(lanes.map_or(usize::MAX, |n| n.max(1)), Ordering::Relaxed);
    }

    pub fn get(&self) -> Option<usize> {
        match self.0.load(Ordering::Relaxed) {
            UNSET => from_environment(),
            usize::MAX => None,
            n => Some(n),
        }
    }
}

fn from_environment() -> Option<usize> {
    static SAID: OnceLock<Option<usize>> = OnceLock::new();
    *SAID.get_or_init(|| match std::env::var("LINOPS_LANES").ok()?.parse() {
        Ok(n) if n > 0 => Some(n),
        _ => {
            tracing::warn!("LINOPS_LANES is not a number from 1 on and is ignored");
            None
        }
    })
}
