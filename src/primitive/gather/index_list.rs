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
    levels: Made<Vec<IndexList>>,
}

/// Readers of one index that are added one after the other: more of them are added in parts, so that a sum of many neither loses
/// digits nor keeps one invocation busy while others wait.
const LONG: usize = 256;

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
        Ok(IndexList(Arc::new(IndexInner { indices: Arc::new(indices), extent, inverse: Made::new(), levels: Made::new() })))
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

    /// The lists by which a scatter adds, one after the other: this one, where no index has many readers. Else the first adds
    /// the readers to parts of `LONG`, and the others these parts.
    pub(super) fn levels(&self) -> Vec<IndexList> {
        let levels = self.0.levels.get_or(|| {
            let (mut levels, mut rest) = (Vec::new(), None);
            while let Some((parts, of)) = rest.as_ref().unwrap_or(self).parts() {
                levels.push(parts);
                rest = Some(of);
            }
            levels.extend(rest);
            levels
        });
        // This one itself is not kept in itself.
        if levels.is_empty() { vec![self.clone()] } else { levels.clone() }
    }

    /// The part that each reader is added to, and the index that each part belongs to; None where no index has many readers.
    fn parts(&self) -> Option<(IndexList, IndexList)> {
        let mut counts = vec![0usize; self.0.extent];
        self.0.indices.iter().for_each(|&i| counts[i as usize] += 1);
        if counts.iter().all(|&n| n <= LONG) {
            return None;
        }
        // The first part of each index; there are no more parts than readers.
        let mut owners = Vec::new();
        let mut first = Vec::with_capacity(counts.len());
        for (i, n) in counts.iter().enumerate() {
            first.push(owners.len());
            owners.resize(owners.len() + n.div_ceil(LONG), i as u32);
        }
        counts.fill(0);
        let part = |&i: &u32| {
            let i = i as usize;
            counts[i] += 1;
            (first[i] + (counts[i] - 1) / LONG) as u32
        };
        let indices = self.0.indices.iter().map(part).collect();
        let list = |indices, extent| IndexList::new(indices, extent).ok();
        Some((list(indices, owners.len())?, list(owners, self.0.extent)?))
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
