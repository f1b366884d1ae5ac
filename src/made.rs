//! What is made when it is first asked for, and kept.
//!
//! Nothing parallel may run while a once-cell or a mutex is held: a thread of rayon's pool that waits takes up other work,
//! which may ask for the same thing and would then wait for itself. So what is asked for is made outside of the cell. Two
//! threads may make it at once; the first one's is kept.

use crate::error::Result;
use std::sync::OnceLock;

/// A value that is made once it is asked for.
pub(crate) struct Made<T>(OnceLock<T>);

impl<T> Made<T> {
    /// Nothing yet.
    pub const fn new() -> Made<T> {
        Made(OnceLock::new())
    }

    /// The value, made now if it is not there.
    pub fn get_or(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.0.get() {
            return value;
        }
        let value = make();
        // Another thread's is as good.
        self.0.get_or_init(|| value)
    }

    /// The same where making it may fail; what fails is not kept.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_try(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if let Some(value) = self.0.get() {
            return Ok(value);
        }
        let value = make()?;
        Ok(self.0.get_or_init(|| value))
    }
}

impl<T> Default for Made<T> {
    fn default() -> Made<T> {
        Made::new()
    }
}
