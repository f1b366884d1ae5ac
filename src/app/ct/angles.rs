//! The angles of a scan: their unit, and what part of the circle they leave out.

use crate::error::{Result, value_err};
use crate::linop::Coverage;
use std::f64::consts::PI;

/// The unit of angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AngleUnit {
    /// 360 to a turn.
    Degrees,
    /// 2π to a turn.
    Radians,
}

impl AngleUnit {
    /// The unit that these numbers are likely in: radians, where all lie within a turn of those, span more than one, and are not
    /// whole; else degrees, as CT has them.
    ///
    /// ```
    /// use linops::app::ct::AngleUnit;
    /// let degrees: Vec<f64> = (0..180).map(f64::from).collect();
    /// let radians: Vec<f64> = degrees.iter().map(|a| a.to_radians()).collect();
    /// assert_eq!(AngleUnit::told_by(&degrees), AngleUnit::Degrees);
    /// assert_eq!(AngleUnit::told_by(&radians), AngleUnit::Radians);
    /// ```
    pub fn told_by(angles: &[f64]) -> AngleUnit {
        let (low, high) = angles.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), a| (l.min(*a), h.max(*a)));
        let within = low >= -2.0 * PI - 1e-3 && high <= 2.0 * PI + 1e-3;
        match within && high - low > 1.0 && angles.iter().any(|a| a.fract().abs() > 1e-6) {
            true => AngleUnit::Radians,
            false => AngleUnit::Degrees,
        }
    }

    /// Numbers in this unit, in radians.
    pub fn radians(self, angles: &[f64]) -> Vec<f64> {
        angles.iter().map(|a| if self == AngleUnit::Degrees { a.to_radians() } else { *a }).collect()
    }
}

/// What the angles of a scan are like.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Angles {
    /// The usual distance of neighbours, in radians.
    pub spacing: f64,
    /// What no view is near to, in radians, of the circle: half a turn for parallel rays, a turn for others. 0 where nothing is missing.
    pub missing: f64,
    /// Whether views differ in what they count by more than a tenth.
    pub uneven: bool,
}

impl Angles {
    /// Looks at angles in radians; those of parallel rays count modulo half a turn.
    ///
    /// # Errors
    /// There are none, or one is not finite.
    pub fn of(angles: &[f64], parallel: bool) -> Result<Angles> {
        if angles.is_empty() {
            return value_err!("there are no angles; expected one for each view");
        }
        if let Some(at) = angles.iter().position(|a| !a.is_finite()) {
            return value_err!("angle {at} is {}; expected a finite number", angles[at]);
        }
        let coverage = Coverage::of(angles, if parallel { PI } else { 2.0 * PI });
        let inner: Vec<f64> = coverage.shares.iter().copied().filter(|s| *s > 0.75 * coverage.usual).collect();
        let uneven = inner.iter().any(|s| (s / coverage.usual - 1.0).abs() > 0.1);
        Ok(Angles { spacing: coverage.usual, missing: coverage.missing, uneven })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_shows_by_the_reach() {
        for (angles, unit) in [
            (vec![0.0, 1.0, 2.0, 3.0, 4.0], AngleUnit::Degrees),
            (vec![0.0, 0.5, 1.0, 1.5, 2.5], AngleUnit::Radians),
            (vec![-3.1, -1.0, 0.4, 3.1], AngleUnit::Radians),
            (vec![0.0, 0.25, 0.5], AngleUnit::Degrees),
            (vec![0.0, 22.5, 45.0], AngleUnit::Degrees),
            (vec![1.5], AngleUnit::Degrees),
        ] {
            assert_eq!(AngleUnit::told_by(&angles), unit, "{angles:?}");
        }
    }

    #[test]
    fn a_missing_wedge_shows() {
        let turn = |count: usize, step: f64| (0..count).map(|k| (k as f64 * step).to_radians()).collect::<Vec<_>>();
        assert_eq!(Angles::of(&turn(180, 1.0), true).unwrap().missing, 0.0);
        assert_eq!(Angles::of(&turn(360, 1.0), true).unwrap().missing, 0.0);
        let wedge = Angles::of(&turn(121, 1.0), true).unwrap();
        assert!((wedge.missing.to_degrees() - 59.0).abs() < 1e-6 && !wedge.uneven, "{wedge:?}");
        assert!((Angles::of(&turn(180, 1.0), false).unwrap().missing.to_degrees() - 180.0).abs() < 1e-6);
        let mut angles = turn(90, 1.0);
        angles.extend(turn(45, 2.0).iter().map(|a| a + 0.5 * PI));
        assert!(Angles::of(&angles, true).unwrap().uneven);
        assert!(Angles::of(&[], true).is_err() && Angles::of(&[f64::NAN], true).is_err());
    }
}
