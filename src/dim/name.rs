//! One named dimension.

use super::shape::slip;
use crate::error::{Result, shape_err};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// A named dimension: a base name and an optional index, so that `Nx`, `Nx1`, `Nx2` are three dims of one family.
///
/// The name is held in the `Dim` itself, at most [`Dim::MAX_BYTES`] of it: a `Dim` is copied like a number, and a program
/// that reads names for ever does not grow.
///
/// ```
/// use linops::Dim;
/// let nx: Dim = "Nx".parse()?;
/// let nx1: Dim = "Nx1".parse()?;
/// assert_eq!(nx.next(), nx1);
/// assert_eq!(nx.next_unused(&[nx, nx1]), "Nx2".parse()?);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dim {
    /// UTF-8, and zeros behind it, which no name holds: so names compare as their bytes do.
    base: [u8; Dim::MAX_BYTES],
    index: Option<u32>,
}

impl Dim {
    /// Bytes of UTF-8 that a name has at most, without its index.
    pub const MAX_BYTES: usize = 31;

    /// The name without its index: `Nx` of `Nx1`.
    pub fn base(&self) -> &str {
        let length = self.base.iter().position(|b| *b == 0).unwrap_or(Dim::MAX_BYTES);
        // Only whole names are ever put in, so there is nothing that could fail.
        std::str::from_utf8(&self.base[..length]).unwrap_or_default()
    }

    /// The trailing number of the name, if it has one: 1 of `Nx1`.
    pub fn index(&self) -> Option<u32> {
        self.index
    }

    /// The following dim of the family: `Nx` → `Nx1` → `Nx2`; behind the largest index the family begins again with `Nx`.
    pub fn next(&self) -> Dim {
        Dim { base: self.base, index: self.index.unwrap_or(0).checked_add(1) }
    }

    /// The first dim after this one in its family that `used` does not hold; never this one.
    pub fn next_unused(&self, used: &[Dim]) -> Dim {
        // One look at the list, however long it is; a family has more dims than any list, so the walk ends.
        let family: HashSet<Option<u32>> = used.iter().filter(|d| d.base == self.base).map(|d| d.index).collect();
        let mut dim = self.next();
        while dim == *self || family.contains(&dim.index) {
            dim = dim.next();
        }
        dim
    }
}

/// Dims by blanks: `"C Ny Nx"`. Repeated names are an error.
pub fn parse_dims(text: &str) -> Result<Vec<Dim>> {
    let dims = text.split_whitespace().map(str::parse).collect::<Result<Vec<Dim>>>()?;
    match repeated(&dims) {
        Some(d) => shape_err!("dim {d} stands twice in \"{text}\"; dims of one shape must differ"),
        None => Ok(dims),
    }
}

/// The first dim that has stood before.
pub(super) fn repeated(dims: &[Dim]) -> Option<Dim> {
    // Shapes have a handful of dims, where looking is quicker than hashing; but a file may name thousands.
    if dims.len() <= 16 {
        return dims.iter().enumerate().find(|(i, d)| dims[..*i].contains(d)).map(|(_, d)| *d);
    }
    let mut seen = HashSet::with_capacity(dims.len());
    dims.iter().copied().find(|d| !seen.insert(*d))
}

/// The beginning of what a user wrote, for a message.
fn shown(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

impl FromStr for Dim {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Dim> {
        let base = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &text[base.len()..];
        let starts_right = base.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts_right || !base.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return shape_err!(
                "\"{}\" is not a dim name; expected a letter, then letters, digits or _, as in Nx or Kx1{}",
                shown(text),
                slip(text)
            );
        }
        let mut held = [0; Dim::MAX_BYTES];
        let Some(place) = held.get_mut(..base.len()) else {
            return shape_err!(
                "the dim name \"{}\" has {} bytes, the limit is {}; use a shorter one",
                shown(base),
                base.len(),
                Dim::MAX_BYTES
            );
        };
        place.copy_from_slice(base.as_bytes());
        let index = match digits {
            "" => None,
            d if d.len() > 1 && d.starts_with('0') => {
                return shape_err!(
                    "\"{}\" has an index with a leading zero; write {base}{}",
                    shown(text),
                    shown(d.trim_start_matches('0'))
                );
            }
            d => match d.parse() {
                Ok(i) => Some(i),
                Err(_) => {
                    let (name, most) = (shown(text), u32::MAX);
                    return shape_err!("the index of dim \"{name}\" is too large; the largest is {most}");
                }
            },
        };
        Ok(Dim { base: held, index })
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base())?;
        self.index.map_or(Ok(()), |i| write!(f, "{i}"))
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(s: &str) -> Dim {
        s.parse().unwrap()
    }

    #[test]
    fn trailing_digits_are_the_index() {
        assert_eq!((dim("Nx1").base(), dim("Nx1").index()), ("Nx", Some(1)));
        assert_eq!(dim("Nx").next(), dim("Nx1"));
        assert_eq!(dim("Nx1").next_unused(&[dim("Nx1")]), dim("Nx2"));
        assert_eq!(dim("A0").to_string(), "A0");
        assert_ne!(dim("A0"), dim("A"));
        assert_eq!(dim("N_1").to_string(), "N_1");
        assert_eq!(dim("Nx9").next().to_string(), "Nx10");
    }

    #[test]
    fn the_largest_index_is_not_the_end() {
        let (last, before) = (dim("N4294967295"), dim("N4294967294"));
        assert_eq!((before.next(), last.next()), (last, dim("N")));
        assert_eq!(last.next_unused(&[last]), dim("N"));
        assert_eq!(before.next_unused(&[before, last, dim("N"), dim("N1"), dim("M2")]), dim("N2"));
        // As long as there is a hole, however many there are before it.
        let many: Vec<Dim> = (1..50_000).map(|i| dim(&format!("N{i}"))).collect();
        assert_eq!(last.next_unused(&many), dim("N"));
        assert_eq!(dim("N").next_unused(&many), dim("N50000"));
    }

    #[test]
    fn names_are_held_whole_or_refused() {
        let longest = "é".repeat(15) + "x";
        assert_eq!((dim(&longest).base(), dim(&format!("{longest}7")).index()), (longest.as_str(), Some(7)));
        let error = format!("{longest}y").parse::<Dim>().unwrap_err().to_string();
        assert!(error.contains("32 bytes, the limit is 31"), "{error}");
        let error = "é".repeat(1 << 20).parse::<Dim>().unwrap_err().to_string();
        assert!(error.len() < 250 && error.contains("2097152 bytes"), "{error}");
        // Dims sort by name, then by index, as they always have.
        let sorted = ["A", "A2", "A10", "AB", "B", "a", "é"].map(dim);
        assert!(sorted.is_sorted());
        assert!(size_of::<Dim>() <= 40);
    }

    #[test]
    fn bad_names_are_refused() {
        for bad in ["", "1A", "N x", "N-x", "Nx01", "N99999999999", "...", "(1)", "N="] {
            assert!(bad.parse::<Dim>().is_err(), "{bad}");
        }
        assert!(parse_dims("A B A").unwrap_err().to_string().contains("twice"));
    }
}
