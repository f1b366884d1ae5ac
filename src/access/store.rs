//! Where the results of a kernel go, and what is multiplied to them on the way.

use super::{Factor, ValueId};
use num_complex::Complex64;

/// Where the elements of a result go: element `i` to `(i / run)·pitch + start + i % run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// The value that is written.
    pub value: ValueId,
    /// Elements in a row.
    pub run: usize,
    /// From one row to the next.
    pub pitch: usize,
    /// The first element.
    pub start: usize,
}

impl Store {
    /// The whole of a value of `len` elements, in order.
    pub fn whole(value: ValueId, len: usize) -> Store {
        Store { value, run: len, pitch: len, start: 0 }
    }

    /// Whether the elements go to one stretch of the value.
    pub fn is_contiguous(&self, len: usize) -> bool {
        self.run >= len || self.run == self.pitch
    }
}

/// What is multiplied to a result as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Extents that the factors' accesses run over (C order of the result).
    pub extents: Vec<usize>,
    /// Weights.
    pub factors: Vec<Factor>,
    /// Scalar.
    pub scale: Complex64,
}

impl Post {
    /// Only a scalar.
    pub fn scalar(extents: &[usize], scale: f64) -> Post {
        Post { extents: extents.to_vec(), factors: Vec::new(), scale: Complex64::new(scale, 0.0) }
    }
}
