//! How strong coil maps are.

use crate::error::{Result, value_err};
use ndarray::{ArrayD, ArrayViewD, Axis};
use num_complex::Complex32;

/// Magnitudes of maps whose squares are numbers in single precision.
const RANGE: [f64; 2] = [1e-18, 1e18];

/// Σ|s|² over the coils, the first axis.
pub(super) fn power(maps: ArrayViewD<Complex32>) -> ArrayD<f64> {
    maps.mapv(|s| f64::from(s.re).powi(2) + f64::from(s.im).powi(2)).sum_axis(Axis(0))
}

/// The largest power of maps that are finite.
///
/// # Errors
/// They are 0 everywhere, or so small or so large that their squares leave the range of f32.
pub(super) fn expect_strength(power: &ArrayD<f64>) -> Result<f32> {
    let strongest = power.iter().fold(0.0f64, |a, &b| a.max(b));
    if strongest == 0.0 {
        return value_err!("the coil maps are 0 everywhere; there is nothing to reconstruct");
    }
    let size = strongest.sqrt();
    if !(RANGE[0]..=RANGE[1]).contains(&size) {
        let [least, most] = RANGE;
        return value_err!(
            "the coil maps have magnitudes up to {size:.1e}, expected {least:e} to {most:e}; scale them so that their sum of squares is \
             near 1"
        );
    }
    Ok(strongest as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_any_usual_size_are_taken() {
        let of = |s: f32| expect_strength(&power(ArrayD::from_elem(vec![2, 3], Complex32::new(0.0, s)).view()));
        assert_eq!(of(1.0).unwrap(), 2.0);
        assert!(of(1e-10).is_ok() && of(1e10).is_ok());
        for (s, says) in [(0.0, "0 everywhere"), (1e-30, "up to 1.4e-30"), (1e30, "up to 1.4e30")] {
            assert!(of(s).unwrap_err().to_string().contains(says), "{s}");
        }
    }
}
