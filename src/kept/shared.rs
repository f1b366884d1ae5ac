//! Things that several others have a handle to, found by a key as long as one of them lives.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Things by key; the last handle to one takes it away.
#[derive(Debug)]
pub(crate) struct Shared<K, V>(Mutex<State<K, V>>);

#[derive(Debug)]
struct State<K, V> {
    by_key: HashMap<K, Weak<V>>,
    /// So many entries when the dead ones were last taken out.
    swept: usize,
}

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Shared(Mutex::new(State { by_key: HashMap::new(), swept: 0 }))
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_key.get(key)?.upgrade()
    }

    /// Puts a thing in that was made meanwhile; the one that is there already stays.
    pub fn put(&self, key: K, value: Arc<V>) -> Arc<V> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = state.by_key.get(&key).and_then(Weak::upgrade) {
            return there;
        }
        if state.by_key.len() > 2 * state.swept + 64 {
            state.by_key.retain(|_, v| v.strong_count() > 0);
            state.swept = state.by_key.len();
        }
        state.by_key.insert(key, Arc::downgrade(&value));
        value
    }
}
