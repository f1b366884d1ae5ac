//! Units of trajectories: what people write, and what the reach of one says.

use crate::error::{Error, Result, value_err};
use ndarray::{ArrayViewD, Axis};
use std::f64::consts::{PI, TAU};
use std::fmt;
use std::str::FromStr;

/// In which units coordinates in k-space are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrajectoryUnits {
    /// Cycles per field of view, ±N/2: what linops, SigPy and BART compute with.
    Cycles,
    /// Cycles per pixel, ±½.
    Pixel,
    /// Radians per pixel, ±π.
    Radians,
    /// Cycles per metre.
    PerMetre,
    /// Radians per metre.
    RadiansPerMetre,
}

const NAMES: [(TrajectoryUnits, &str, &str); 5] = [
    (TrajectoryUnits::Cycles, "cycles", "cycles per field of view"),
    (TrajectoryUnits::Pixel, "pixel", "cycles per pixel"),
    (TrajectoryUnits::Radians, "rad", "rad per pixel"),
    (TrajectoryUnits::PerMetre, "1/m", "cycles per metre"),
    (TrajectoryUnits::RadiansPerMetre, "rad/m", "rad per metre"),
];

impl fmt::Display for TrajectoryUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(units, ..)| units == self).map_or("", |(_, _, text)| text))
    }
}

impl FromStr for TrajectoryUnits {
    type Err = Error;

    fn from_str(text: &str) -> Result<TrajectoryUnits> {
        match NAMES.iter().find(|(_, name, _)| *name == text) {
            Some((units, ..)) => Ok(*units),
            None => {
                let names: Vec<&str> = NAMES.iter().map(|(_, name, _)| *name).collect();
                value_err!("no units \"{text}\" of trajectories; expected {}", names.join(", "))
            }
        }
    }
}

impl TrajectoryUnits {
    /// What coordinates along each of `d` axes are multiplied by to be in cycles per field of view, for an image of these extents
    /// and a field of view in mm along each axis.
    ///
    /// # Errors
    /// Units per pixel without the image's extents, or per metre without a field of view.
    pub fn factors(self, d: usize, matrix: Option<&[usize]>, fov_mm: Option<&[f64]>) -> Result<Vec<f64>> {
        let pixels = |per: f64| match matrix {
            Some(matrix) => Ok(matrix.iter().map(|n| *n as f64 / per).collect()),
            None => value_err!("a trajectory in {self} needs the extents of the image; give --matrix N"),
        };
        let metres = |per: f64| match fov_mm {
            Some(fov) => Ok(fov.iter().map(|mm| mm / 1000.0 / per).collect()),
            None => value_err!("a trajectory in {self} needs the field of view; give --fov MM"),
        };
        match self {
            TrajectoryUnits::Cycles => Ok(vec![1.0; d]),
            TrajectoryUnits::Pixel => pixels(1.0),
            TrajectoryUnits::Radians => pixels(TAU),
            TrajectoryUnits::PerMetre => metres(1.0),
            TrajectoryUnits::RadiansPerMetre => metres(TAU),
        }
    }
}

/// The units that the reach of a trajectory (…, D) says it is in, where those are plainly not cycles per field of view: ±π is
/// radians per pixel for an image of more than some ten pixels, and what reaches N/2 after multiplication with the field of view is
/// per metre.
pub fn recognised_units(
    trajectory: ArrayViewD<f64>,
    matrix: Option<&[usize]>,
    fov_mm: Option<&[f64]>,
) -> Option<TrajectoryUnits> {
    /// Outer samples may lie a sample or so inside.
    const INSIDE: f64 = 0.94;
    const OUTSIDE: f64 = 1.001;
    let reach = trajectory.iter().fold(0.0f64, |r, k| r.max(k.abs()));
    let near = |r: f64, want: f64| (INSIDE * want..=OUTSIDE * want).contains(&r);
    let half = matrix.and_then(|m| m.iter().max()).map(|n| *n as f64 / 2.0);
    if near(reach, PI) && half.is_none_or(|half| half > 2.0 * PI) {
        return Some(TrajectoryUnits::Radians);
    }
    let (half, fov) = (half?, fov_mm?.iter().fold(0.0f64, |a, b| a.max(*b)) / 1000.0);
    if near(reach, half) {
        return None;
    }
    let scaled = [(TrajectoryUnits::PerMetre, fov), (TrajectoryUnits::RadiansPerMetre, fov / TAU)];
    scaled.into_iter().find(|(_, factor)| near(reach * factor, half)).map(|(units, _)| units)
}

/// Those of three coordinates (…, 3) that are the same for all samples, within 1e-4 of how far the others reach: a trajectory with
/// one lies in a plane. Empty where all are, or where there are not three.
pub fn constant_components(trajectory: ArrayViewD<f64>) -> Vec<usize> {
    const FLAT: f64 = 1e-4;
    let Some(last) = trajectory.ndim().checked_sub(1).map(Axis) else { return Vec::new() };
    if trajectory.len_of(last) != 3 || trajectory.is_empty() {
        return Vec::new();
    }
    let spread: Vec<f64> = trajectory
        .axis_iter(last)
        .map(|k| {
            let (low, high) = k.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            high - low
        })
        .collect();
    let most = spread.iter().fold(0.0f64, |a, b| a.max(*b));
    (0..3).filter(|axis| most > 0.0 && spread[*axis] <= FLAT * most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, arr2};

    fn points(reach: f64) -> ArrayD<f64> {
        arr2(&[[-reach, 0.3 * reach], [0.0, 0.9 * reach]]).into_dyn()
    }

    #[test]
    fn units_lead_to_cycles() {
        let of = |text: &str| text.parse::<TrajectoryUnits>().unwrap();
        let factors = |text: &str| of(text).factors(2, Some(&[48, 64]), Some(&[300.0, 200.0])).unwrap();
        assert_eq!(factors("cycles"), [1.0, 1.0]);
        assert_eq!(factors("pixel"), [48.0, 64.0]);
        assert!((factors("rad")[1] * PI - 32.0).abs() < 1e-12);
        assert!((factors("1/m")[0] * 80.0 - 24.0).abs() < 1e-12);
        assert!((factors("rad/m")[0] * 80.0 * TAU - 24.0).abs() < 1e-9);
        assert!(of("rad").factors(2, None, None).unwrap_err().to_string().contains("--matrix"));
        assert!(of("1/m").factors(2, None, None).unwrap_err().to_string().contains("--fov"));
        assert!("hz".parse::<TrajectoryUnits>().unwrap_err().to_string().contains("rad/m"));
    }

    #[test]
    fn the_reach_tells_units() {
        let seen = |reach: f64, matrix: Option<&[usize]>, fov: Option<&[f64]>| {
            recognised_units(points(reach).view(), matrix, fov)
        };
        assert_eq!(seen(PI, Some(&[48, 48]), None), Some(TrajectoryUnits::Radians));
        assert_eq!(seen(3.0, None, None), Some(TrajectoryUnits::Radians));
        assert_eq!(seen(PI, Some(&[8, 8]), None), None);
        assert_eq!(seen(24.0, Some(&[48, 48]), None), None);
        assert_eq!(seen(24.0, Some(&[48, 48]), Some(&[1000.0, 1000.0])), None);
        assert_eq!(seen(80.0, Some(&[48, 48]), Some(&[300.0, 300.0])), Some(TrajectoryUnits::PerMetre));
        assert_eq!(seen(80.0 * TAU, Some(&[48, 48]), Some(&[300.0])), Some(TrajectoryUnits::RadiansPerMetre));
        assert_eq!(seen(80.0, Some(&[48, 48]), None), None);
    }

    #[test]
    fn planes_have_a_constant_component() {
        let k = |z: f64, axis: usize| {
            ArrayD::from_shape_fn(
                vec![5, 3],
                |i| if i[1] == axis { 2.0 + z * i[0] as f64 } else { (i[0] + i[1]) as f64 },
            )
        };
        for axis in 0..3 {
            assert_eq!(constant_components(k(0.0, axis).view()), [axis]);
            assert_eq!(constant_components(k(1e-7, axis).view()), [axis]);
            assert!(constant_components(k(0.1, axis).view()).is_empty());
        }
        assert!(constant_components(ArrayD::zeros(vec![5, 3]).view()).is_empty());
        assert!(constant_components(points(1.0).view()).is_empty());
    }
}
