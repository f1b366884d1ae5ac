//! Ordered dims with extents.

use super::name::repeated;
use super::{Dim, join};
use crate::error::{Result, shape_err};
use std::fmt;
use std::sync::Arc;

/// Distinct dims with extents, in axis order (the last axis is the fastest): `"C=8 Ny=256 Nx=256"`.
///
/// Extents are at least 1, and the elements can be counted in bytes, 16 for each, by `isize` and `usize`.
/// The shape without dims is a scalar with one element.
///
/// ```
/// use linops::Shape;
/// let s: Shape = "C=8 Ny=256 Nx=256".parse()?;
/// assert_eq!(s.len(), 8 * 256 * 256);
/// assert_eq!(s.size("Ny".parse()?), Some(256));
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    // Shared: each value that is made has a shape, and most are clones.
    dims: Arc<[Dim]>,
    extents: Arc<[usize]>,
}

/// What stands behind a dim's `=`.
pub(super) const EXTENT: &str = "a whole number from 1 on that memory can address";

/// What is often behind a text that cannot be read.
pub(super) fn slip(text: &str) -> &'static str {
    match text {
        t if t.contains([',', ';']) => " (dims have blanks between them, no commas)",
        t if t.contains(" =") || t.contains("= ") => " (without blanks around =)",
        _ => "",
    }
}

impl Shape {
    /// Dims and extents side by side.
    ///
    /// # Errors
    /// Different lengths, a dim that stands twice, an extent 0, or more elements than memory can address.
    pub fn new(dims: Vec<Dim>, extents: Vec<usize>) -> Result<Shape> {
        if dims.len() != extents.len() {
            return shape_err!("{} dims ({}) for {} axes {extents:?}", dims.len(), join(&dims), extents.len());
        }
        if let Some(d) = repeated(&dims) {
            return shape_err!("dim {d} stands twice in \"{}\"; dims of one shape must differ", join(&dims));
        }
        if let Some((d, _)) = dims.iter().zip(&extents).find(|(_, extent)| **extent == 0) {
            return shape_err!("dim {d} has extent 0; every extent must be at least 1");
        }
        let bytes = extents.iter().try_fold(32usize, |n, &e| n.checked_mul(e));
        let shape = Shape { dims: dims.into(), extents: extents.into() };
        if bytes.is_none() {
            return shape_err!("the shape {shape} has more elements than memory can address; use smaller extents");
        }
        Ok(shape)
    }

    /// The shape without dims: one element.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// The dims in axis order.
    pub fn dims(&self) -> &[Dim] {
        &self.dims
    }

    /// The extents in axis order.
    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements; 1 for the scalar shape.
    #[allow(clippy::len_without_is_empty)] // a shape is never empty: extents are at least 1
    pub fn len(&self) -> usize {
        self.extents.iter().product()
    }

    /// The axis of a dim.
    pub fn axis(&self, dim: Dim) -> Option<usize> {
        self.dims.iter().position(|d| *d == dim)
    }

    /// The axis of a dim, or an error that lists the dims there are.
    pub fn require(&self, dim: Dim) -> Result<usize> {
        match self.axis(dim) {
            Some(axis) => Ok(axis),
            None => {
                let near = |d: &&Dim| d.base().eq_ignore_ascii_case(dim.base());
                let meant = self.dims.iter().find(near).map_or(String::new(), |d| format!(", perhaps {d} is meant"));
                shape_err!("dim {dim} is not in \"{}\"{meant}; name one of its dims", join(&self.dims))
            }
        }
    }

    /// The extent of a dim.
    pub fn size(&self, dim: Dim) -> Option<usize> {
        self.axis(dim).map(|a| self.extents[a])
    }

    /// Pairs of dim and extent.
    pub fn iter(&self) -> impl Iterator<Item = (Dim, usize)> + '_ {
        self.dims.iter().copied().zip(self.extents.iter().copied())
    }

    /// The same extents under other names.
    ///
    /// # Errors
    /// Another number of names than axes, or a repeated name.
    pub fn renamed(&self, dims: &[Dim]) -> Result<Shape> {
        if dims.len() != self.rank() {
            return shape_err!("\"{}\" names {} dims, the shape {self} has {}", join(dims), dims.len(), self.rank());
        }
        Shape::new(dims.to_vec(), self.extents.to_vec())
    }

    /// Checks that `got` is this shape, dims, order and extents; the error names the first dim that differs.
    pub fn expect(&self, got: &Shape) -> Result<()> {
        if self == got {
            return Ok(());
        }
        if self.dims == got.dims {
            let (dim, want, came) = self
                .iter()
                .zip(got.extents.iter())
                .find_map(|((d, w), &g)| (w != g).then_some((d, w, g)))
                .unwrap_or((self.dims[0], 0, 0));
            return shape_err!("dim {dim} has extent {came}, expected {want} (came {got}, expected {self})");
        }
        let without = |of: &Shape, other: &Shape| -> Vec<Dim> {
            of.dims.iter().filter(|d| other.axis(**d).is_none()).copied().collect()
        };
        let (missing, other) = (without(self, got), without(got, self));
        let (want, came) = (join(&self.dims), join(&got.dims));
        match (&missing[..], &other[..]) {
            ([], []) => shape_err!(
                "the dims are in the order \"{came}\", expected \"{want}\"; put a rearrange by \"{came} -> {want}\" between, or \
                 give the tensor as .permuted(\"{want}\")"
            ),
            (gone, []) => shape_err!("{} missing: the dims are \"{got}\", expected \"{self}\"", are(gone)),
            ([], more) => shape_err!("{} too many: the dims are \"{got}\", expected \"{self}\"", are(more)),
            _ if self.extents == got.extents => shape_err!(
                "the dims are called \"{got}\", expected \"{self}\"; rename a linop's with .out(\"{want}\"), a tensor's with \
                 .renamed(\"{want}\")"
            ),
            (gone, more) => shape_err!(
                "the dims are \"{got}\", expected \"{self}\": {} missing, {} too many; rename or rearrange them",
                are(gone),
                are(more)
            ),
        }
    }

    /// Extents that an array must have; the error names the dim.
    pub fn expect_extents(&self, got: &[usize]) -> Result<()> {
        if got.len() != self.rank() {
            return shape_err!("the array has {} axes {got:?}, expected {} ({self})", got.len(), self.rank());
        }
        for ((dim, want), &came) in self.iter().zip(got) {
            if want != came {
                return shape_err!("dim {dim} has extent {came}, expected {want} (came {got:?}, expected {self})");
            }
        }
        Ok(())
    }
}

/// `dim C is`, `dims C T are`.
fn are(dims: &[Dim]) -> String {
    match dims {
        [one] => format!("dim {one} is"),
        many => format!("dims {} are", join(many)),
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (d, e)) in self.iter().enumerate() {
            write!(f, "{}{d}={e}", if i > 0 { " " } else { "" })?;
        }
        if self.dims.is_empty() { f.write_str("(scalar)") } else { Ok(()) }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Shape {
    type Err = crate::Error;

    /// Reads `"C=8 Ny=256 Nx=256"`: every dim has an extent.
    fn from_str(text: &str) -> Result<Shape> {
        let (mut dims, mut extents) = (Vec::new(), Vec::new());
        for token in text.split_whitespace() {
            let Some((name, extent)) = token.split_once('=') else {
                let slip = slip(text);
                return shape_err!("\"{token}\" in \"{text}\" has no extent; expected a form like Ny=256{slip}");
            };
            dims.push(name.parse()?);
            match extent.parse() {
                Ok(e) => extents.push(e),
                Err(_) => {
                    let slip = slip(text);
                    return shape_err!("the extent of {name} is \"{extent}\"; expected {EXTENT}{slip}");
                }
            }
        }
        Shape::new(dims, extents)
    }
}

/// What is taken as a shape: a [`Shape`], text such as `"Ny=256 Nx=256"`, or a list such as `[("Ny", ny), ("Nx", nx)]`; each by
/// reference, too.
///
/// ```
/// use linops::linop;
/// let (ny, nx) = (4, 6);
/// assert_eq!(linop::identity([("Ny", ny), ("Nx", nx)])?.input()?, linop::identity("Ny=4 Nx=6")?.input()?);
/// assert_eq!(linop::rearrange("Ny=4 Nx=6", "Ny Nx -> Nx Ny", &[])?.output()?.to_string(), "Nx=6 Ny=4");
/// # Ok::<(), linops::Error>(())
/// ```
pub trait ToShape {
    /// The shape, or why it is none.
    fn to_shape(&self) -> Result<Shape>;
}

impl ToShape for Shape {
    fn to_shape(&self) -> Result<Shape> {
        Ok(self.clone())
    }
}

impl ToShape for str {
    fn to_shape(&self) -> Result<Shape> {
        self.parse()
    }
}

impl ToShape for String {
    fn to_shape(&self) -> Result<Shape> {
        self.parse()
    }
}

/// Dims with their extents: `[("Ny", ny), ("Nx", nx)]`.
impl ToShape for [(&str, usize)] {
    fn to_shape(&self) -> Result<Shape> {
        let dims = self.iter().map(|(d, _)| d.parse()).collect::<Result<_>>()?;
        Shape::new(dims, self.iter().map(|(_, n)| *n).collect())
    }
}

impl<const N: usize> ToShape for [(&str, usize); N] {
    fn to_shape(&self) -> Result<Shape> {
        self[..].to_shape()
    }
}

impl ToShape for Vec<(&str, usize)> {
    fn to_shape(&self) -> Result<Shape> {
        self[..].to_shape()
    }
}

impl<T: ToShape + ?Sized> ToShape for &T {
    fn to_shape(&self) -> Result<Shape> {
        (**self).to_shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let s: Shape = "C=8 Ny=4 Nx=3".parse().unwrap();
        assert_eq!(s.to_string(), "C=8 Ny=4 Nx=3");
        assert_eq!((s.rank(), s.len()), (3, 96));
        assert_eq!("".parse::<Shape>().unwrap().len(), 1);
    }

    #[test]
    fn bad_shapes_name_the_dim() {
        for (text, part) in [
            ("C=0", "dim C has extent 0"),
            ("C", "no extent"),
            ("C=x", "\"x\""),
            ("C=4, D=3", "no commas"),
            ("C = 4", "without blanks around ="),
            ("C=-1", "\"-1\""),
            ("C=2 C=3", "twice"),
            ("A=4294967296 B=4294967296 C=4294967296", "address"),
            ("A=576460752303423488", "address"),
            ("A=18446744073709551616", "address"),
            ("A=340282366920938463463374607431768211456", "address"),
        ] {
            let e = text.parse::<Shape>().unwrap_err().to_string();
            assert!(e.contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn the_largest_shapes_are_shapes() {
        // 2⁵⁹ − 1: nothing of this size can be held, but a linop may be simplified away.
        let s: Shape = "A=576460752303423487".parse().unwrap();
        assert_eq!(s.len().checked_mul(16).map(isize::try_from), Some(Ok(isize::MAX - 15)));
        let many: Vec<String> = (0..20_000).map(|i| format!("A{i}=1")).collect();
        assert_eq!(many.join(" ").parse::<Shape>().unwrap().rank(), 20_000);
        assert!(
            (many.join(" ") + " A7=1").parse::<Shape>().unwrap_err().to_string().starts_with("dim A7 stands twice")
        );
    }

    #[test]
    fn a_mismatch_names_the_first_dim() {
        let want: Shape = "C=8 Ny=4".parse().unwrap();
        let e = |t: &str| want.expect(&t.parse().unwrap()).unwrap_err().to_string();
        assert!(e("C=8 Ny=5").contains("dim Ny has extent 5, expected 4"));
        assert!(e("Ny=4 C=8").contains("order"));
        assert!(e("C=8 Nz=4").contains("expected \"C=8 Ny=4\""));
        assert!(e("C=8 Nz=4").contains("rename a linop's with .out(\"C Ny\")"));
        assert!(e("Ny=4 C=8").contains("by \"Ny C -> C Ny\""));
        assert!(e("C=8 Nz=5").contains("dim Ny is missing, dim Nz is too many"));
        assert_eq!(e("Ny=4"), "dim C is missing: the dims are \"Ny=4\", expected \"C=8 Ny=4\"");
        assert_eq!(
            e("A=1 B=1 C=8 Ny=4"),
            "dims A B are too many: the dims are \"A=1 B=1 C=8 Ny=4\", expected \"C=8 Ny=4\""
        );
        assert!(want.require("ny".parse().unwrap()).unwrap_err().to_string().contains(", perhaps Ny is meant"));
        assert!(want.expect_extents(&[8]).is_err());
        assert!(want.expect_extents(&[8, 3]).unwrap_err().to_string().contains("Ny"));
    }
}
