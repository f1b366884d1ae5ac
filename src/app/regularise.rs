//! Regularisation as the applications share it: by name and weight, one objective for all of them.
//!
//! ```text
//! ½‖A x − y‖² + Σ λᵢ Rᵢ(x)
//! ```
//!
//! | name | R(x) | a weight without more counts |
//! |---|---|---|
//! | `l2` | ½‖x‖² | as it is |
//! | `l1-wavelet` | Σ\|detail coefficients\| of an orthonormal periodic transform | relative to max\|Aᴴy\| |
//! | `tv` | Σ √Σ\|∂ᵢx\|² | relative to max\|Aᴴy\| |
//! | `tgv` | min over v of Σ\|∇x − v\| + 2 Σ\|E v\| | relative to max\|Aᴴy\| |
//! | `llr` | the mean of Σ‖blocks‖⁎ over two positions of the blocks | relative to max\|Aᴴy\| |
//!
//! Relative weights mean the same image, scaled, for data of any scale, and about the same smoothness for any number of samples.

use crate::convex::{Problem, WaveletPenalty};
use crate::dim::Shape;
use crate::error::{Error, Result, value_err};
use std::fmt;
use std::str::FromStr;

/// A kind of regulariser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// ½‖x‖².
    L2,
    /// The l1 norm of wavelet details.
    L1Wavelet,
    /// Total variation.
    Tv,
    /// Second-order total generalised variation.
    Tgv,
    /// Locally low rank along the dims of a series.
    Llr,
}

/// Names of the kinds.
const KINDS: [(Kind, &str); 5] =
    [(Kind::L2, "l2"), (Kind::L1Wavelet, "l1-wavelet"), (Kind::Tv, "tv"), (Kind::Tgv, "tgv"), (Kind::Llr, "llr")];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS.iter().find(|(k, _)| k == self).map_or("", |(_, name)| name))
    }
}

/// A weight λ.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Weight {
    /// As it is.
    Absolute(f64),
    /// Times max|Aᴴy|.
    Relative(f64),
}

/// A regulariser by name, with its weight where one is given: `tv`, `tv:0.01`, `l1-wavelet:0.002`. A weight with an `=`, as in
/// `tv:=12.5`, is absolute.
///
/// ```
/// use linops::app::regularise::{Kind, Regulariser, Weight};
/// let r: Regulariser = "tv:0.01".parse()?;
/// assert_eq!((r.kind, r.weight), (Kind::Tv, Some(Weight::Relative(0.01))));
/// assert!("tv:-1".parse::<Regulariser>().is_err());
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Regulariser {
    /// Which.
    pub kind: Kind,
    /// How much; None is the application's default.
    pub weight: Option<Weight>,
}

impl Regulariser {
    /// One of this kind.
    pub fn new(kind: Kind, weight: Option<Weight>) -> Regulariser {
        Regulariser { kind, weight }
    }
}

impl FromStr for Regulariser {
    type Err = Error;

    fn from_str(text: &str) -> Result<Regulariser> {
        let (name, weight) = match text.split_once(':') {
            Some((name, weight)) => (name, Some(weight)),
            None => (text, None),
        };
        let Some((kind, _)) = KINDS.into_iter().find(|(_, n)| *n == name) else {
            let names: Vec<&str> = KINDS.iter().map(|(_, n)| *n).collect();
            return value_err!("no regulariser \"{name}\"; expected {}, with a weight as in tv:0.01", names.join(", "));
        };
        let number = |text: &str| match text.parse::<f64>() {
            Ok(w) if w.is_finite() && w >= 0.0 => Ok(w),
            _ => value_err!("the weight \"{text}\" of {name}; expected a number from 0 on, as in {name}:0.01"),
        };
        let weight = match weight {
            None => None,
            Some(text) => Some(match text.strip_prefix('=') {
                Some(text) => Weight::Absolute(number(text)?),
                None if kind == Kind::L2 => Weight::Absolute(number(text)?),
                None => Weight::Relative(number(text)?),
            }),
        };
        Ok(Regulariser { kind, weight })
    }
}

/// All regularisation of a reconstruction.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Regularisation {
    /// The terms, in order.
    pub terms: Vec<Regulariser>,
    /// What `l1-wavelet` is over.
    pub wavelet: WaveletPenalty,
    /// The extent of a block of `llr` along each dim that is not of the series; 8 where it is None.
    pub block: Option<usize>,
    /// Whether x is real and not negative.
    pub non_negative: bool,
}

/// A term as it went into the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stated {
    /// Which.
    pub kind: Kind,
    /// λ as it stands in the objective.
    pub absolute: f64,
    /// λ relative to max|Aᴴy|.
    pub relative: f64,
    /// Whether the application has chosen it.
    pub default: bool,
    /// Levels and shifts of `l1-wavelet`, which are at most those that the extents allow.
    pub wavelet: Option<[usize; 2]>,
}

crate::setters::setters! { Regularisation {
    /// With these terms.
    terms: Vec<Regulariser>,
    /// With other wavelets.
    wavelet: WaveletPenalty,
    /// With other blocks.
    block: Option<usize>,
    /// With x real and not negative.
    non_negative: bool,
} }

impl Regularisation {
    /// Whether there is nothing to regularise.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && !self.non_negative
    }

    /// Adds all terms to a problem whose data term stands: over the dims in `axes` of x, and `llr` along those in `series`, which
    /// `llr` needs. `default` gives the weights that are not given.
    ///
    /// # Errors
    /// A term that x has not the dims for, `llr` without a series, or the device fails.
    pub fn add(
        &self,
        mut problem: Problem,
        axes: &str,
        series: Option<&str>,
        default: &dyn Fn(Kind) -> Weight,
    ) -> Result<(Problem, Vec<Stated>)> {
        let scale = if self.terms.is_empty() { 1.0 } else { problem.scale()? };
        let mut stated = Vec::new();
        // A field of tgv is told of first: what comes behind knows of it.
        let mut terms = self.terms.clone();
        terms.sort_by_key(|t| t.kind != Kind::Tgv);
        for term in terms {
            let given = term.weight.unwrap_or_else(|| default(term.kind));
            let absolute = match given {
                Weight::Absolute(w) => w,
                Weight::Relative(w) => w * scale,
            };
            problem = match term.kind {
                Kind::L2 => problem.l2(absolute)?,
                Kind::L1Wavelet => problem.l1_wavelet(absolute, axes, &self.wavelet)?,
                Kind::Tv => problem.tv(absolute, axes)?,
                Kind::Tgv => problem.tgv(absolute, axes)?,
                Kind::Llr => {
                    let Some(series) = series else {
                        return value_err!(
                            "llr is for a series of images (frames, contrasts); this is one image: use tv or l1-wavelet"
                        );
                    };
                    let front = crate::dim::parse_dims(series)?.len();
                    let shape = problem.shape()?;
                    let behind = shape.rank().saturating_sub(front);
                    let block = vec![self.block.unwrap_or(BLOCK); behind];
                    problem.llr(absolute, series, &block)?
                }
            };
            let relative = if scale > 0.0 { absolute / scale } else { 0.0 };
            let wavelet = match term.kind {
                Kind::L1Wavelet => {
                    let WaveletPenalty { levels, shifts, .. } = self.wavelet.over(&extents(problem.shape()?, axes)?);
                    Some([levels, shifts])
                }
                _ => None,
            };
            stated.push(Stated { kind: term.kind, absolute, relative, default: term.weight.is_none(), wavelet });
        }
        if self.non_negative {
            problem = problem.non_negative();
        }
        Ok((problem, stated))
    }
}

/// The extents of some dims.
fn extents(shape: &Shape, axes: &str) -> Result<Vec<usize>> {
    crate::dim::parse_dims(axes)?.into_iter().map(|d| Ok(shape.extents()[shape.require(d)?])).collect()
}

/// Extents of the blocks of `llr`.
const BLOCK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_weights_are_read() {
        let read = |text: &str| text.parse::<Regulariser>();
        assert_eq!(read("l2:0.5").unwrap().weight, Some(Weight::Absolute(0.5)));
        assert_eq!(read("tgv").unwrap(), Regulariser { kind: Kind::Tgv, weight: None });
        assert_eq!(read("llr:=3").unwrap().weight, Some(Weight::Absolute(3.0)));
        for (text, says) in [("tw", "no regulariser \"tw\""), ("tv:", "the weight \"\" of tv"), ("tv:nan", "from 0 on")]
        {
            let e = read(text).unwrap_err().to_string();
            assert!(e.contains(says), "{e}");
        }
    }
}
