//! What a device keeps between applies, while its ledger is within the budget.

use super::Ledger;
use lru::LruCache;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things by key, the least recently used given up first. They, and what they share, book their bytes in the ledger.
#[derive(Debug)]
pub(crate) struct Store<K: Eq + Hash, V> {
    ledger: Ledger,
    budget: AtomicU64,
    /// Smaller budgets, each for as long as something runs.
    limits: Mutex<Vec<u64>>,
    entries: Mutex<LruCache<K, Arc<V>>>,
    spares: Spares,
}

/// What stands in the ledger beside a store's things and is kept for them: gives up one that none of them uses, if there is one.
pub(crate) struct Spares(Box<dyn Fn() -> bool + Send + Sync>);

impl Spares {
    pub fn new(give_up: impl Fn() -> bool + Send + Sync + 'static) -> Spares {
        Spares(Box::new(give_up))
    }

    #[cfg(test)]
    pub fn none() -> Spares {
        Spares::new(|| false)
    }
}

impl std::fmt::Debug for Spares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spares")
    }
}

impl<K: Eq + Hash, V> Store<K, V> {
    pub fn new(budget: u64, ledger: Ledger, spares: Spares) -> Store<K, V> {
        let entries = Mutex::new(LruCache::unbounded());
        Store { ledger, budget: AtomicU64::new(budget), limits: Mutex::default(), entries, spares }
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries().get(key).cloned()
    }

    /// Puts a thing in that was made meanwhile; the one that is there already stays.
    pub fn put(&self, key: K, value: Arc<V>) -> Arc<V> {
        {
            let mut entries = self.entries();
            if let Some(there) = entries.get(&key) {
                return there.clone();
            }
            entries.put(key, value.clone());
        }
        self.trim();
        value
    }

    /// Gives up spares, then things, while more is kept than the budget says; what somebody uses stays.
    pub fn trim(&self) {
        // What is put back in front of the others, since it is in use, is not looked at again.
        let mut left = self.entries().len();
        while self.ledger.bytes() > self.most() {
            if (self.spares.0)() {
                continue;
            }
            if left == 0 {
                return;
            }
            left -= 1;
            let mut entries = self.entries();
            match entries.pop_lru() {
                Some((key, value)) if Arc::strong_count(&value) > 1 => {
                    entries.put(key, value);
                }
                // Dropped with nothing locked: it may take others with it.
                given_up => {
                    drop(entries);
                    drop(given_up);
                }
            }
        }
    }

    /// Bytes that may be kept now.
    pub fn most(&self) -> u64 {
        self.limits().iter().copied().fold(self.budget(), u64::min)
    }

    pub fn budget(&self) -> u64 {
        self.budget.load(Ordering::Relaxed)
    }

    pub fn set_budget(&self, bytes: u64) {
        self.budget.store(bytes, Ordering::Relaxed);
        self.trim();
    }

    /// Runs `f`, and keeps no more than so many bytes meanwhile, whatever the budget says and whoever else asks for more. After a
    /// panic of `f`, too, the limit is gone.
    pub fn while_keeping<R>(&self, bytes: u64, f: impl FnOnce() -> R) -> R {
        struct Limit<'s, K: Eq + Hash, V>(&'s Store<K, V>, u64);
        impl<K: Eq + Hash, V> Drop for Limit<'_, K, V> {
            fn drop(&mut self) {
                self.0.trim();
                let mut limits = self.0.limits();
                if let Some(own) = limits.iter().position(|b| *b == self.1) {
                    limits.swap_remove(own);
                }
            }
        }
        self.limits().push(bytes);
        let limit = Limit(self, bytes);
        self.trim();
        let result = f();
        drop(limit);
        result
    }

    /// Gives up all that nobody uses.
    pub fn clear(&self) {
        let given_up: Vec<(K, Arc<V>)> = {
            let mut entries = self.entries();
            let mut all = Vec::with_capacity(entries.len());
            while let Some(entry) = entries.pop_lru() {
                all.push(entry);
            }
            let (used, unused) = all.into_iter().partition(|(_, v)| Arc::strong_count(v) > 1);
            let used: Vec<_> = used;
            for (key, value) in used {
                entries.put(key, value);
            }
            unused
        };
        drop(given_up);
        while (self.spares.0)() {}
    }

    /// How many things are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    fn limits(&self) -> MutexGuard<'_, Vec<u64>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<K, Arc<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
