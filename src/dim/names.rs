//! What a caller may write for a list of dims.

use super::{Dim, Pattern, Shape};
use crate::error::Result;

/// What is taken as a list of dims: text such as `"C Ny Nx"`, a [`Dim`], a [`Shape`] (its dims), or an array, slice or vector of
/// any of these.
///
/// ```
/// use linops::{Dim, linop};
/// let dims: Vec<Dim> = linops::dim::parse_dims("Ny Nx")?;
/// for a in [linop::flip("Ny=4 Nx=6", "Ny Nx")?, linop::flip("Ny=4 Nx=6", ["Ny", "Nx"])?, linop::flip("Ny=4 Nx=6", &dims)?] {
///     assert!(a.to_string().starts_with("flip (Ny Nx)"));
/// }
/// # Ok::<(), linops::Error>(())
/// ```
pub trait ToDims {
    /// What was written, with its extents and wildcards.
    ///
    /// # Errors
    /// It is no pattern, or a dim stands twice.
    fn to_pattern(&self) -> Result<Pattern>;

    /// The dims, where only names are expected.
    ///
    /// # Errors
    /// As for [`to_pattern`](ToDims::to_pattern); or there are extents or wildcards.
    fn to_dims(&self) -> Result<Vec<Dim>> {
        self.to_pattern()?.dims()
    }
}

impl ToDims for str {
    fn to_pattern(&self) -> Result<Pattern> {
        self.parse()
    }
}

impl ToDims for String {
    fn to_pattern(&self) -> Result<Pattern> {
        self.parse()
    }
}

impl ToDims for Dim {
    fn to_pattern(&self) -> Result<Pattern> {
        Pattern::of(&[(*self, None)])
    }
}

impl ToDims for Shape {
    fn to_pattern(&self) -> Result<Pattern> {
        let dims: Vec<_> = self.iter().map(|(d, n)| (d, Some(n))).collect();
        Pattern::of(&dims)
    }

    fn to_dims(&self) -> Result<Vec<Dim>> {
        Ok(self.dims().to_vec())
    }
}

impl<T: ToDims> ToDims for [T] {
    fn to_pattern(&self) -> Result<Pattern> {
        Pattern::joined(self.iter().map(T::to_pattern))
    }
}

impl<T: ToDims, const N: usize> ToDims for [T; N] {
    fn to_pattern(&self) -> Result<Pattern> {
        self[..].to_pattern()
    }
}

impl<T: ToDims> ToDims for Vec<T> {
    fn to_pattern(&self) -> Result<Pattern> {
        self[..].to_pattern()
    }
}

impl<T: ToDims + ?Sized> ToDims for &T {
    fn to_pattern(&self) -> Result<Pattern> {
        (**self).to_pattern()
    }

    fn to_dims(&self) -> Result<Vec<Dim>> {
        (**self).to_dims()
    }
}

/// An axis to be named: what it is called so far, if it has a name, and its extent.
pub(crate) type Unnamed = (Option<Dim>, usize);

/// The axes of a shape under these names.
pub(crate) fn called(dims: &[Dim], extents: &[usize]) -> Vec<Unnamed> {
    dims.iter().map(|d| Some(*d)).zip(extents.iter().copied()).collect()
}

/// Axes that have no name yet.
pub(crate) fn nameless(extents: &[usize]) -> Vec<Unnamed> {
    extents.iter().map(|n| (None, *n)).collect()
}

/// Axes as messages show them: `: C=8 ?=100`, or ` of extents [8, 100]`.
pub(super) fn show(axes: &[Unnamed]) -> String {
    if axes.iter().all(|(d, _)| d.is_none()) {
        return format!(" of extents {:?}", axes.iter().map(|(_, n)| *n).collect::<Vec<_>>());
    }
    let one = |(d, n): &Unnamed| format!(" {}={n}", d.map_or("?".into(), |d| d.to_string()));
    format!(":{}", axes.iter().map(one).collect::<String>())
}
