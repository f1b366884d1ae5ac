//! What single precision holds of numbers in double precision.

use crate::{Error, Result};
use std::path::Path;

/// What was lost of numbers that were narrowed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Narrowing {
    all: usize,
    out: usize,
    one: f64,
}

impl Narrowing {
    /// The number in single precision.
    pub fn of(&mut self, v: f64) -> f32 {
        self.see(v);
        v as f32
    }

    pub fn see(&mut self, v: f64) {
        if v.is_finite() && v != 0.0 {
            self.all += 1;
            if !(f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&v.abs()) {
                (self.out, self.one) = (self.out + 1, v);
            }
        }
    }

    /// What is wrong, if most of the numbers that are finite and not 0 are out of range. A few that are far too large mark what is not
    /// known.
    pub fn message(&self) -> Option<String> {
        (2 * self.out > self.all).then(|| {
            format!(
                "holds values such as {:.3e}, and 32-bit numbers have magnitudes of {:.1e} to {:.1e}; take the values times a power of \
                 ten that brings them there",
                self.one,
                f32::MIN_POSITIVE,
                f32::MAX
            )
        })
    }

    /// Checks that most of the numbers of a file are there.
    pub fn expect_kept(&self, path: &Path) -> Result<()> {
        self.message().map_or(Ok(()), |message| Err(Error::file(path, message)))
    }
}
