//! Index lists, with those of the transpose.

use crate::error::{Result, shape_err, value_err};
use crate::kept::Made;
use std::sync::Arc;

/// Indices into an axis, shared by handle, with the lists of the transpose made once.
#[derive(Clone)]
pub struct IndexList(Arc<IndexInner>);

struct IndexInner {
    indices: Arc<Vec<u32>>,
    extent: usize,
    inverse: Made<Inverse>,
}

/// The readers of each index, in rising order: those of `g` are `readers[starts[g]..starts[g + 1]]`.
pub struct Inverse {
    /// Start of each list, and the end of the last.
    pub starts: Arc<Vec<u32>>,
    /// Positions in the index list.
    pub readers: Arc<Vec<u32>>,
}

impl IndexList {
    /// Indices into an axis of this extent. Kernels read by them without a check, so it is made here.
    ///
    /// # Errors
    /// There are none, one is not below the extent, or they are more than 32 bits count.
    pub fn new(indices: Vec<u32>, extent: usize) -> Result<IndexList> {
        if let Some(at) = indices.iter().position(|&i| i as usize >= extent) {
            return value_err!("index {} at position {at} is not below the extent {extent}", indices[at]);
        }
        if indices.is_empty() || u32::try_from(indices.len()).is_err() {
            return shape_err!("a list of {} indices; expected 1 to 2^32 - 1", indices.len());
        }
        Ok(IndexList(Arc::new(IndexInner { indices: Arc::new(indices), extent, inverse: Made::new() })))
    }

    /// The indices.
    pub fn indices(&self) -> &Arc<Vec<u32>> {
        &self.0.indices
    }

    /// The extent of the axis they point into.
    pub fn extent(&self) -> usize {
        self.0.extent
    }

    /// The lists that the transpose reads: a counting sort, stable, so the order of every sum is fixed.
    pub fn inverse(&self) -> &Inverse {
        self.0.inverse.get_or(|| {
            let mut starts = vec![0u32; self.0.extent + 1];
            for &i in self.0.indices.iter() {
                starts[i as usize + 1] += 1;
            }
            for g in 0..self.0.extent {
                starts[g + 1] += starts[g];
            }
            let mut next = starts.clone();
            let mut readers = vec![0u32; self.0.indices.len()];
            for (m, &i) in self.0.indices.iter().enumerate() {
                readers[next[i as usize] as usize] = m as u32;
                next[i as usize] += 1;
            }
            Inverse { starts: Arc::new(starts), readers: Arc::new(readers) }
        })
    }

    /// Bytes of the list, and of its transpose where a kernel scatters.
    pub(super) fn bytes(&self, scatters: bool) -> u64 {
        let list = self.indices().len();
        let words = if scatters { list + self.extent() + 1 + list } else { list };
        (size_of::<u32>() * words) as u64
    }

    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl PartialEq for IndexList {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl std::fmt::Debug for IndexList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.0.indices.len(), self.0.extent)
    }
}
