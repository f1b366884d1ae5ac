//! Dim names, shapes with extents, and patterns with wildcards.
//!
//! A [`Dim`] is a name with an optional index (`Nx`, `Nx1`), a [`Shape`] an ordered list of distinct dims with
//! extents (`"C=8 Ny=256 Nx=256"`), a [`Pattern`] a list of dims in which `...` stands for any dims and `()` or `(1)` for
//! one. Nothing here knows tensors or operators.

mod name;
mod names;
mod pattern;
mod shape;

pub use name::{Dim, parse_dims};
pub use names::ToDims;
pub(crate) use names::{called, nameless};
pub use pattern::{Bindings, Pattern};
pub use shape::{Shape, ToShape};

/// The dims with blanks between them, as the parser reads them.
pub(crate) fn join(dims: &[Dim]) -> String {
    dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(" ")
}
