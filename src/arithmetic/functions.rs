//! Functions of each element.

use super::{Expression, Inner};
use crate::elementwise::{Map, Op, Pair};
use crate::error::{Error, Result, value_err};
use num_complex::Complex32;
use std::cmp::Ordering;
use std::panic::Location;

impl Expression {
    /// With the caller's place in front of an error that has none yet.
    #[track_caller]
    pub(super) fn or_failed(made: Result<Inner>) -> Expression {
        let place = Location::caller();
        Expression(made.map_err(|e| match &e {
            Error::At { at, .. } if at.contains(".rs:") => e,
            _ => e.at(place.to_string()),
        }))
    }

    #[track_caller]
    pub(super) fn mapped(&self, map: Map) -> Expression {
        let made = || {
            let mut inner = self.inner()?.with_room()?;
            inner.computation.map(map, inner.computation.steps().len() - 1);
            Ok(inner)
        };
        Expression::or_failed(made())
    }

    #[track_caller]
    pub(super) fn paired(&self, pair: Pair, other: &Expression) -> Expression {
        let made = || {
            let (mut all, a, b) = Inner::joined(self.inner()?, other.inner()?)?;
            all.computation.pair(pair, a, b);
            Ok(all)
        };
        Expression::or_failed(made())
    }

    /// Whether values are complex, if they can be had.
    fn is_complex(&self) -> bool {
        self.0.as_ref().is_ok_and(|i| i.computation.gives_complex())
    }

    /// What has an order is real.
    fn expect_real(&self, what: &str) -> Result<()> {
        match self.is_complex() {
            false => Ok(()),
            true => value_err!(
                "{what}: complex values have no order, expected real ones; take .real(), .imag() or .abs() first"
            ),
        }
    }

    #[track_caller]
    fn ordered(&self, what: &str, pair: Pair, other: &Expression) -> Expression {
        match self.expect_real(what).and_then(|()| other.expect_real(what)) {
            Ok(()) => self.paired(pair, other),
            Err(e) => Expression::or_failed(Err(e)),
        }
    }

    /// The conjugate; what is real stays.
    #[track_caller]
    pub fn conj(&self) -> Expression {
        self.mapped(Map::Conjugate)
    }

    /// The real part, which is real.
    #[track_caller]
    pub fn real(&self) -> Expression {
        self.mapped(Map::Real)
    }

    /// The imaginary part, which is real; 0 of real values.
    #[track_caller]
    pub fn imag(&self) -> Expression {
        self.mapped(Map::Imaginary)
    }

    /// |x|, which is real.
    #[track_caller]
    pub fn abs(&self) -> Expression {
        self.mapped(Map::Magnitude)
    }

    /// |x|², which is real.
    #[track_caller]
    pub fn abs_squared(&self) -> Expression {
        self.mapped(Map::Square)
    }

    /// x/|x|, and 0 of 0: the sign of what is real, the phase of what is complex as a number of magnitude 1.
    #[track_caller]
    pub fn sign(&self) -> Expression {
        self.mapped(Map::Direction)
    }

    /// √x of real values, and 0 of negative ones.
    #[track_caller]
    pub fn sqrt(&self) -> Expression {
        match self.is_complex() {
            false => self.mapped(Map::Root),
            true => Expression::or_failed(value_err!(
                "sqrt: the values are complex, expected real ones; take .real(), .imag() or .abs() first"
            )),
        }
    }

    /// The same values as complex ones.
    #[track_caller]
    pub fn complex(&self) -> Expression {
        self.mapped(Map::Complex)
    }

    /// x·max(1 − t/|x|, 0): every value nearer to 0 by t, and 0 where it is no larger than t. Of complex values the magnitude is
    /// lessened and the phase stays. It is the proximal operator of t·Σ|x|. `t` is a number, or real values for each element.
    ///
    /// ```
    /// use linops::{Tensor, num_complex::Complex32};
    /// let z = Tensor::from_slice("N=2", &[Complex32::new(3.0, -4.0), Complex32::new(0.0, 1.0)])?;
    /// let want = [Complex32::new(1.8, -2.4), Complex32::new(0.0, 0.0)];
    /// assert!(z.soft_threshold(2.0)?.to_vec()?.iter().zip(want).all(|(z, w)| (z - w).norm() < 1e-6));
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// A threshold that is complex, or a number that is negative or NaN, is an error that the result carries.
    #[track_caller]
    pub fn soft_threshold(&self, t: impl Into<Expression>) -> Expression {
        let t = t.into();
        let number = t.number();
        let checked = match number {
            Some(x) if !(x.re >= 0.0 && x.im == 0.0) => {
                value_err!("soft_threshold: the threshold is {}, expected a real number of at least 0", shown(x))
            }
            _ => t.expect_real("soft_threshold"),
        };
        match checked {
            Ok(()) => self.paired(Pair::Shrunk, &t),
            Err(e) => Expression::or_failed(Err(e)),
        }
    }

    /// The larger of real values and `other`, a number or real values. NaN of this stays, NaN of `other` is never larger.
    #[track_caller]
    pub fn maximum(&self, other: impl Into<Expression>) -> Expression {
        self.ordered("maximum", Pair::Larger, &other.into())
    }

    /// The smaller of real values and `other`, a number or real values. NaN of this stays, NaN of `other` is never smaller.
    #[track_caller]
    pub fn minimum(&self, other: impl Into<Expression>) -> Expression {
        self.ordered("minimum", Pair::Smaller, &other.into())
    }

    /// Real values no smaller than `least` and no larger than `most`, each a number or real values. NaN stays.
    ///
    /// Numbers of which `least` is the larger one are an error that the result carries.
    #[track_caller]
    pub fn clamp(&self, least: impl Into<Expression>, most: impl Into<Expression>) -> Expression {
        let (least, most) = (least.into(), most.into());
        match (least.number(), most.number()) {
            (Some(a), Some(b)) if a.re.partial_cmp(&b.re).is_none_or(Ordering::is_gt) => {
                Expression::or_failed(value_err!(
                    "clamp: the least value is {}, the largest {}; expected the least one first",
                    shown(a),
                    shown(b)
                ))
            }
            _ => self.ordered("clamp", Pair::Larger, &least).ordered("clamp", Pair::Smaller, &most),
        }
    }

    /// The number that an expression is, if it is one.
    fn number(&self) -> Option<Complex32> {
        match self.0.as_ref().ok()?.computation.steps() {
            [step] => match step.op {
                Op::Number(x) => Some(x),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A number without an imaginary part that is 0.
fn shown(x: Complex32) -> String {
    if x.im == 0.0 { x.re.to_string() } else { x.to_string() }
}
