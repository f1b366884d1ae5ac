//! Numbers that tell things apart.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that nothing else has.
pub(super) fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
