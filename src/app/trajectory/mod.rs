//! Where non-Cartesian scans sample k-space: one function for each kind of trajectory.
//!
//! Coordinates are in cycles per field of view, f64, with the last axis of the array over the image axes in their order:
//! (y, x) or (z, y, x). `matrix` is the number of pixels N along each side of the image, and a trajectory reaches from −N/2
//! to N/2: the pixel is the field of view divided by N. The axis before the last runs in time within a readout.

mod curve;
mod koosh;
mod radial;
mod spiral;
mod stack;

pub use curve::{lissajous, rosette};
pub use koosh::koosh_ball;
pub use radial::{golden_radial, radial};
pub use spiral::spiral;
pub use stack::stack_of_stars;

use crate::Result;
use crate::error::value_err;

/// Refuses extents of 0, and more coordinates than any scan has.
fn check(extents: &[(&str, usize)], matrix: usize) -> Result<()> {
    for (name, extent) in extents.iter().chain([&("matrix", matrix)]) {
        if *extent == 0 {
            return value_err!("{name} is 0, expected at least 1");
        }
    }
    let points = extents.iter().try_fold(3usize, |n, (_, extent)| n.checked_mul(*extent));
    if points.is_none_or(|n| n > 1 << 31) {
        let sizes: Vec<String> = extents.iter().map(|(name, extent)| format!("{extent} {name}")).collect();
        return value_err!("a trajectory of {} is too large; use fewer", sizes.join(" x "));
    }
    Ok(())
}

/// Refuses what is not a positive number.
fn check_positive(name: &str, value: f64) -> Result<()> {
    if !value.is_finite() || value <= 0.0 {
        return value_err!("{name} is {value}, expected a number above 0");
    }
    Ok(())
}

/// The signed radius of sample `i` of a diametral readout: sample n / 2 is the centre.
fn radius(i: usize, samples: usize, matrix: usize) -> f64 {
    (i as f64 - (samples / 2) as f64) * matrix as f64 / samples as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_scan_has_is_an_error() {
        let text = |e: crate::Error| e.to_string();
        assert!(text(radial(0, 8, 8).unwrap_err()).contains("spokes is 0"));
        assert!(text(golden_radial(8, 0, 8).unwrap_err()).contains("samples is 0"));
        assert!(text(koosh_ball(8, 8, 0).unwrap_err()).contains("matrix is 0"));
        assert!(text(stack_of_stars(usize::MAX, 8, 8, 8).unwrap_err()).contains("too large"));
        assert!(text(spiral(1, 8, 8, f64::NAN).unwrap_err()).contains("turns is NaN"));
        assert!(text(rosette(8, 8, [1.0, -1.0]).unwrap_err()).contains("-1"));
        assert!(text(lissajous(8, 8, [0.0, 1.0]).unwrap_err()).contains("is 0"));
    }
}
