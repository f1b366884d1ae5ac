//! What host kernels are written with: numbers in two precisions, fused reads as rows, weights, buffers.
//!
//! Work is cut by shape, never by thread count, and every sum has a fixed tree, so results are the same bits for any number of
//! threads.

mod element;
mod entries;
mod reader;
mod taken;
mod widest;

pub use element::{Elem, HostBuf, Real, Slice};
pub(crate) use element::{SliceMut, widen};
pub(crate) use entries::Entries;
pub(crate) use reader::{Reader, Rows, Weights};
pub(crate) use taken::Taken;
pub(crate) use widest::widest;

/// Elements that one task of a pointwise kernel handles.
pub(crate) const CHUNK: usize = 1 << 13;
