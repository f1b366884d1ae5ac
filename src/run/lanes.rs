//! How many sub-linops of a container may be in flight, for the whole process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 0: not set.
static LANES: AtomicUsize = AtomicUsize::new(0);

/// Lets at most so many sub-linops of a container be in flight, whatever their settings say; None leaves it to the settings.
/// Until this is called the environment variable `LINOPS_LANES` says it. Never changes a result.
pub fn set_lanes(lanes: Option<usize>) {
    LANES.store(lanes.map_or(usize::MAX, |n| n.max(1)), Ordering::Relaxed);
}

/// The limit that [`set_lanes`] or `LINOPS_LANES` sets, if any.
pub fn lanes() -> Option<usize> {
    static FROM_ENVIRONMENT: OnceLock<Option<usize>> = OnceLock::new();
    match LANES.load(Ordering::Relaxed) {
        0 => *FROM_ENVIRONMENT.get_or_init(|| match std::env::var("LINOPS_LANES").ok()?.parse() {
            Ok(n) if n > 0 => Some(n),
            _ => {
                tracing::warn!("LINOPS_LANES is not a number from 1 on and is ignored");
                None
            }
        }),
        usize::MAX => None,
        n => Some(n),
    }
}
