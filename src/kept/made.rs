//! A value that is computed outside of any lock, once or by two at once; the first one stays.

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
