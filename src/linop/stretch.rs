//! Ranges of indices, in the ways that a caller may write them.

use crate::error::{Result, shape_err};
use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
use std::str::FromStr;

/// Indices start, start + step, … below stop. None is the default: 0, the extent, 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// First index.
    pub start: Option<usize>,
    /// End, exclusive.
    pub stop: Option<usize>,
    /// Step, at least 1.
    pub step: Option<usize>,
}

impl Stretch {
    /// (start, count, step) within an extent.
    pub(crate) fn resolve(&self, op: &str, dim: impl fmt::Display, extent: usize) -> Result<(usize, usize, usize)> {
        let (start, stop, step) = (self.start.unwrap_or(0), self.stop.unwrap_or(extent), self.step.unwrap_or(1));
        if start >= stop || stop > extent || step == 0 {
            return shape_err!(
                "{op}: the range {start}..{stop} step {step} of dim {dim} does not fit extent {extent}; \
                 expected 0 ≤ start < stop ≤ {extent} and step ≥ 1"
            );
        }
        // A step beyond the extent takes one index, like a step of the extent.
        let step = step.min(extent);
        Ok((start, (stop - start).div_ceil(step), step))
    }
}

/// `1..6:2`, as listings show it and text gives it.
impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<usize>| n.map_or(String::new(), |n| n.to_string());
        write!(f, "{}..{}", number(self.start), number(self.stop))?;
        self.step.map_or(Ok(()), |s| write!(f, ":{s}"))
    }
}

impl FromStr for Stretch {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Stretch> {
        let number = |part: &str| match part.trim() {
            "" => Some(None),
            digits => digits.parse().ok().map(Some),
        };
        let read = || {
            let (ends, step) = text.split_once(':').unwrap_or((text, ""));
            let (start, stop) = ends.split_once("..")?;
            Some(Stretch { start: number(start)?, stop: number(stop)?, step: number(step)? })
        };
        read().ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            crate::Error::Shape(format!(
                "\"{shown}\" is no range of indices; expected a form like 1..6, ..6, 1.. or 1..6:2"
            ))
        })
    }
}

/// What is taken as a range of indices: `2..7`, `2..=6`, `..7`, `2..`, `..`, `(start, stop)`, `(start, stop, step)`, text such as
/// `"2..7"` or `"..7:2"`, or a [`Stretch`].
///
/// The ranges of one list are of one kind; where they are not, text is:
///
/// ```
/// use linops::linop;
/// let a = linop::slice("Ny=10 Nx=9", &[("Ny", 2..7), ("Nx", 0..9)])?;
/// assert_eq!(a.output()?.to_string(), "Ny1=5 Nx1=9");
/// let b = linop::slice("Ny=10 Nx=9", &[("Ny", "2..7"), ("Nx", "..:2")])?.keep();
/// assert_eq!(b.output()?.to_string(), "Ny=5 Nx=5");
/// assert_eq!(linop::slice("N=10", &[("N", (1, 10, 3))])?.output()?.len(), 3);
/// # Ok::<(), linops::Error>(())
/// ```
pub trait ToStretch {
    /// The range.
    ///
    /// # Errors
    /// A text that is none.
    fn to_stretch(&self) -> Result<Stretch>;
}

macro_rules! ranges {
    ($($range:ty: |$r:ident| ($start:expr, $stop:expr, $step:expr),)*) => {
        $(
            impl From<$range> for Stretch {
                fn from($r: $range) -> Stretch {
                    Stretch { start: $start, stop: $stop, step: $step }
                }
            }

            impl ToStretch for $range {
                fn to_stretch(&self) -> Result<Stretch> {
                    Ok(self.clone().into())
                }
            }
        )*
    };
}

ranges! {
    Range<usize>: |r| (Some(r.start), Some(r.end), None),
    RangeFrom<usize>: |r| (Some(r.start), None, None),
    RangeTo<usize>: |r| (None, Some(r.end), None),
    RangeFull: |_r| (None, None, None),
    // Nothing has as many elements that the end could be beyond the largest number.
    RangeInclusive<usize>: |r| (Some(*r.start()), Some(r.end().saturating_add(1)), None),
    RangeToInclusive<usize>: |r| (None, Some(r.end.saturating_add(1)), None),
    (usize, usize): |r| (Some(r.0), Some(r.1), None),
    (usize, usize, usize): |r| (Some(r.0), Some(r.1), Some(r.2)),
}

impl ToStretch for Stretch {
    fn to_stretch(&self) -> Result<Stretch> {
        Ok(*self)
    }
}

impl ToStretch for str {
    fn to_stretch(&self) -> Result<Stretch> {
        self.parse()
    }
}

impl ToStretch for String {
    fn to_stretch(&self) -> Result<Stretch> {
        self.parse()
    }
}

impl<T: ToStretch + ?Sized> ToStretch for &T {
    fn to_stretch(&self) -> Result<Stretch> {
        (**self).to_stretch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_shown() {
        for (text, start, stop, step) in [
            ("1..6", Some(1), Some(6), None),
            ("..", None, None, None),
            (" 2.. ", Some(2), None, None),
            ("..6:2", None, Some(6), Some(2)),
            ("..:3", None, None, Some(3)),
        ] {
            let want = Stretch { start, stop, step };
            assert_eq!(text.parse::<Stretch>().unwrap(), want, "{text}");
            assert_eq!(want.to_string(), text.trim());
        }
        for bad in ["", "5", "1:6", "a..", "-1..3", "1..6:x", "1...6", "..=6"] {
            let e = bad.parse::<Stretch>().unwrap_err().to_string();
            assert!(e.contains("expected a form like 1..6"), "{e}");
        }
        assert_eq!((2..=6).to_stretch().unwrap(), Stretch::from(2..7));
        assert_eq!((..=6).to_stretch().unwrap(), Stretch::from(..7));
        assert_eq!((2, 9, 3).to_stretch().unwrap(), "2..9:3".parse().unwrap());
    }
}
