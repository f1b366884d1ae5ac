//! Bytes that are kept, told by what keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that a device keeps between applies. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<AtomicU64>);

/// Bytes that stand in a ledger until this is dropped.
#[derive(Debug)]
pub(crate) struct Booking {
    ledger: Ledger,
    bytes: u64,
}

impl Ledger {
    /// Of bytes that others count as well.
    pub fn of(bytes: Arc<AtomicU64>) -> Ledger {
        Ledger(bytes)
    }

    pub fn book(&self, bytes: u64) -> Booking {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Booking { ledger: self.clone(), bytes }
    }

    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
