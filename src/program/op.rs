//! The primitives that programs are made of.

use super::{AxisMap, Constant, Nufft, Parallel, Points};
use num_complex::Complex64;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// One primitive linear map. Inputs and extents stand in the [`Node`](super::Node) that holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// No input; every value 0.
    Zero,
    /// `y = c·x`.
    Scale(Complex64),
    /// `y = w·x` by elements; axis `k` of the weight runs along axis `axes[k]` of x and is broadcast along the others.
    Mul {
        /// The weight.
        weight: Constant,
        /// The axis of x for each axis of the weight.
        axes: Vec<usize>,
        /// Whether the weight is conjugated.
        conj: bool,
    },
    /// Index map: one entry for each output axis; every input axis is read by exactly one.
    Map(Vec<MapAxis>),
    /// The same values in C order under other extents.
    Reshape,
    /// Sum over these axes (ascending).
    Sum(Vec<usize>),
    /// `y[o, m, i] = x[o, index[m], i]` along `axis`.
    Gather {
        /// The gathered axis.
        axis: usize,
        /// What is gathered.
        index: IndexList,
    },
    /// The transpose of the gather: `y[o, g, i] = Σ_{m: index[m] = g} x[o, m, i]`.
    Scatter {
        /// The scattered axis.
        axis: usize,
        /// Where to.
        index: IndexList,
    },
    /// Non-uniform Fourier transform: the last axes of x are the image's, the last axes of y the samples'. Expanded when it is
    /// scheduled.
    Nufft(Nufft),
    /// Its adjoint.
    NufftAdjoint(Nufft),
    /// From a grid to points: the last axes of x are the grid's, the last axis of y counts the points.
    Interpolate(Points),
    /// The transpose of the interpolation: points spread onto the grid.
    Spread(Points),
    /// Discrete Fourier transform along `axes` (ascending), exp(-2πi kn/N) or its conjugate, times `scale`.
    Fft {
        /// Transformed axes, ascending.
        axes: Vec<usize>,
        /// exp(+2πi kn/N) instead.
        inverse: bool,
        /// Origin at index N/2 on both sides.
        centered: bool,
        /// Factor on the result.
        scale: f64,
    },
    /// `y[labels y] = Σ w[labels w]·x[labels x]`, summed over the labels that y lacks (einsum with a constant).
    Contract(Contract),
    /// Sum of all inputs, from the first on.
    Add,
    /// Independent programs side by side.
    Parallel(Arc<Parallel>),
}

/// One output axis of an index map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapAxis {
    /// Reads this input axis through the map.
    From(usize, AxisMap),
    /// A new axis along which the values repeat.
    New,
}

/// The labels of an einsum with a constant. A label stands for one index; equal labels run together.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// The constant.
    pub weight: Constant,
    /// Whether it is conjugated.
    pub conj: bool,
    /// A label for each axis of the weight.
    pub w: Vec<u32>,
    /// A label for each axis of x.
    pub x: Vec<u32>,
    /// A label for each axis of y.
    pub y: Vec<u32>,
}

/// Indices into an axis, shared by handle, with the lists of the transpose made once.
#[derive(Clone)]
pub struct IndexList(Arc<IndexInner>);

struct IndexInner {
    indices: Arc<Vec<u32>>,
    extent: usize,
    inverse: OnceLock<Inverse>,
}

/// The readers of each index, in rising order: those of `g` are `readers[starts[g]..starts[g + 1]]`.
pub struct Inverse {
    /// Start of each list, and the end of the last.
    pub starts: Arc<Vec<u32>>,
    /// Positions in the index list.
    pub readers: Arc<Vec<u32>>,
}

impl IndexList {
    /// Indices into an axis of this extent; the caller has checked that they are below it.
    pub(crate) fn new(indices: Vec<u32>, extent: usize) -> IndexList {
        debug_assert!(indices.iter().all(|&i| (i as usize) < extent));
        IndexList(Arc::new(IndexInner { indices: Arc::new(indices), extent, inverse: OnceLock::new() }))
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
        self.0.inverse.get_or_init(|| {
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

// Programs key plans; floats hash by their bits, shared data by identity. `PartialEq` on floats differs from that only for
// NaN (never built) and ±0 (a second plan, no harm).
impl Hash for Op {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Op::Zero | Op::Reshape | Op::Add => {}
            Op::Scale(c) => (c.re.to_bits(), c.im.to_bits()).hash(state),
            Op::Mul { weight, axes, conj } => (weight, axes, conj).hash(state),
            Op::Map(axes) => axes.hash(state),
            Op::Sum(axes) => axes.hash(state),
            Op::Gather { axis, index } | Op::Scatter { axis, index } => (axis, index.address()).hash(state),
            Op::Nufft(n) | Op::NufftAdjoint(n) => n.address().hash(state),
            Op::Interpolate(points) | Op::Spread(points) => points.address().hash(state),
            Op::Fft { axes, inverse, centered, scale } => (axes, inverse, centered, scale.to_bits()).hash(state),
            Op::Contract(c) => (&c.weight, c.conj, &c.w, &c.x, &c.y).hash(state),
            Op::Parallel(p) => {
                (&p.feed, &p.join, &p.settings).hash(state);
                p.children.hash(state);
            }
        }
    }
}

impl Eq for Op {}
