//! One named dimension.

use crate::error::{Result, shape_err};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{OnceLock, RwLock};

/// A named dimension: a base name and an optional index, so that `Nx`, `Nx1`, `Nx2` are three dims of one family.
///
/// Names are interned: a `Dim` is two words, and comparing two is comparing numbers.
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
    base: &'static str,
    index: Option<u32>,
}

impl Dim {
    /// The name without its index: `Nx` of `Nx1`.
    pub fn base(&self) -> &'static str {
        self.base
    }

    /// The trailing number of the name, if it has one: 1 of `Nx1`.
    pub fn index(&self) -> Option<u32> {
        self.index
    }

    /// The following dim of the family: `Nx` → `Nx1` → `Nx2`.
    pub fn next(&self) -> Dim {
        Dim { base: self.base, index: Some(self.index.unwrap_or(0).saturating_add(1)) }
    }

    /// The first dim after this one in its family that `used` does not hold; never this one.
    pub fn next_unused(&self, used: &[Dim]) -> Dim {
        let mut dim = self.next();
        while used.contains(&dim) {
            dim = dim.next();
        }
        dim
    }
}

/// Dims by blanks: `"C Ny Nx"`. Repeated names are an error.
pub fn parse_dims(text: &str) -> Result<Vec<Dim>> {
    let dims = text.split_whitespace().map(str::parse).collect::<Result<Vec<Dim>>>()?;
    for (i, d) in dims.iter().enumerate() {
        if dims[..i].contains(d) {
            return shape_err!("dim {d} stands twice in \"{text}\"; dims of one shape must differ");
        }
    }
    Ok(dims)
}

/// Interns a base name, so that a `Dim` is `Copy` and each name is stored once.
fn intern(name: &str) -> &'static str {
    static NAMES: OnceLock<RwLock<HashSet<&'static str>>> = OnceLock::new();
    let names = NAMES.get_or_init(Default::default);
    // A poisoned lock still holds a whole table: inserting is the only write.
    if let Some(base) = names.read().unwrap_or_else(|e| e.into_inner()).get(name) {
        return base;
    }
    let mut names = names.write().unwrap_or_else(|e| e.into_inner());
    if let Some(base) = names.get(name) {
        return base;
    }
    let base: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(base);
    base
}

impl FromStr for Dim {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Dim> {
        let base = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &text[base.len()..];
        let starts_right = base.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !starts_right || !base.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return shape_err!(
                "\"{text}\" is not a dim name; expected a letter, then letters, digits or _, as in Nx or Kx1"
            );
        }
        let index = match digits {
            "" => None,
            d if d.len() > 1 && d.starts_with('0') => {
                return shape_err!(
                    "\"{text}\" has an index with a leading zero; write {base}{}",
                    d.trim_start_matches('0')
                );
            }
            d => match d.parse() {
                Ok(i) => Some(i),
                Err(_) => return shape_err!("the index of dim \"{text}\" is too large"),
            },
        };
        Ok(Dim { base: intern(base), index })
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
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
    fn bad_names_are_refused() {
        for bad in ["", "1A", "N x", "N-x", "Nx01", "N99999999999", "...", "(1)", "N="] {
            assert!(bad.parse::<Dim>().is_err(), "{bad}");
        }
        assert!(parse_dims("A B A").unwrap_err().to_string().contains("twice"));
    }
}
