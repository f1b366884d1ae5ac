//! Absorption from intensities: −log of what is transmitted (Lambert and Beer).

use crate::error::{Result, shape_err, value_err};
use ndarray::{Array3, ArrayD, ArrayView3, Axis};

/// Absorption, and what had to be done for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Absorption {
    /// −log of the transmission; NaN where the flat field is not above the dark one.
    pub values: Array3<f32>,
    /// Samples that were not above 0, and count as the smallest that is.
    pub clipped: usize,
}

/// Transmission that is above this without a flat field is no part of 1.
const MOST: f64 = 2.0;

/// −log((I − dark)/(flat − dark)) of intensities (slice, angle, detector). `flat` and `dark` are (detector), (slice, detector), or
/// several of those, (frame, …), whose mean is taken; without `flat` the intensities are parts of 1. What is not above 0 is taken for
/// the smallest value that is.
///
/// ```
/// use linops::app::ct::absorption;
/// let counts = ndarray::arr3(&[[[900.0f32, 100.0, 10.0]]]);
/// let flat = ndarray::arr1(&[1010.0f32, 1010.0, 1010.0]).into_dyn();
/// let dark = ndarray::arr1(&[10.0f32]).into_dyn();
/// let found = absorption(counts.view(), Some(&flat), Some(&dark))?;
/// assert!((found.values[[0, 0, 0]] - (1000.0f32 / 890.0).ln()).abs() < 1e-6);
/// assert_eq!((found.clipped, found.values[[0, 0, 2]]), (1, found.values[[0, 0, 1]]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A field has other extents; there is none, and the intensities are no parts of 1; nothing is above 0.
pub fn absorption(
    intensities: ArrayView3<f32>,
    flat: Option<&ArrayD<f32>>,
    dark: Option<&ArrayD<f32>>,
) -> Result<Absorption> {
    let (slices, _, detectors) = intensities.dim();
    let field = |values: Option<&ArrayD<f32>>, name: &str, none: f64| match values {
        Some(values) => frame(values, slices, detectors, name),
        None => Ok(ndarray::Array2::from_elem((slices, detectors), none)),
    };
    let (bright, dark) = (field(flat, "flat field", 1.0)?, field(dark, "dark field", 0.0)?);
    if flat.is_none() {
        let mut finite: Vec<f32> = intensities.iter().copied().filter(|v| v.is_finite()).collect();
        let high = percentile(&mut finite, 0.99);
        if f64::from(high) > MOST {
            return value_err!(
                "the intensities reach {high}; without a flat field (--flat) they are parts of 1. Give the flat field, or its value"
            );
        }
    }
    if !ndarray::Zip::from(&bright).and(&dark).any(|bright, dark| bright > dark) {
        return value_err!(
            "the flat field (--flat) is nowhere above the dark field; expected the intensity without an object"
        );
    }
    let mut values = Array3::from_shape_fn(intensities.dim(), |(s, a, d)| {
        let (dark, bright) = (dark[[s, d]], bright[[s, d]]);
        let part = (f64::from(intensities[[s, a, d]]) - dark) / (bright - dark);
        if bright > dark { part as f32 } else { f32::NAN }
    });
    let least = values.iter().copied().filter(|v| *v > 0.0 && v.is_finite()).fold(f32::INFINITY, f32::min);
    if least == f32::INFINITY {
        return value_err!("no intensity is above 0 (above the dark field); there is nothing to take the logarithm of");
    }
    let mut clipped = 0;
    values.iter_mut().for_each(|v| {
        if *v <= 0.0 {
            clipped += 1;
            *v = least;
        }
        *v = -v.ln();
    });
    Ok(Absorption { values, clipped })
}

/// The mean of the frames of a field, for each slice and detector pixel.
fn frame(values: &ArrayD<f32>, slices: usize, detectors: usize, name: &str) -> Result<ndarray::Array2<f64>> {
    let wrong = || {
        shape_err!(
            "a {name} of shape {:?}; expected ({detectors}), ({slices}, {detectors}), or several of those, (frame, …)",
            values.shape()
        )
    };
    let wide = values.mapv(f64::from);
    let mean = |a: ArrayD<f64>| a.mean_axis(Axis(0)).unwrap_or(a);
    let one = match *values.shape() {
        [] | [1] => wide,
        [n] if n == detectors => wide,
        [rows, n] if n == detectors && (rows == slices && slices > 1) => wide,
        [_, n] if n == detectors => mean(wide),
        [_, rows, n] if n == detectors && rows == slices => mean(wide),
        _ => return wrong(),
    };
    let all = one.broadcast((slices, detectors)).map(|a| a.to_owned());
    all.map_or_else(wrong, Ok)
}

/// The value that this part of all are below.
fn percentile(values: &mut [f32], part: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = (part * (values.len() - 1) as f64).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

/// Whether views look like transmission and not like its −log: what is at the ends of the detector, where the object is not,
/// is near the maximum instead of the minimum.
///
/// ```
/// use linops::app::ct::looks_like_transmission;
/// let shadow = ndarray::Array3::from_shape_fn((1, 8, 40), |(_, _, d)| if d > 10 && d < 30 { 0.2f32 } else { 1.0 });
/// assert!(looks_like_transmission(shadow.view()));
/// assert!(!looks_like_transmission(shadow.mapv(|v| -v.ln()).view()));
/// ```
pub fn looks_like_transmission(views: ArrayView3<f32>) -> bool {
    let n = views.len_of(Axis(2));
    let edge = (n / 32).max(1);
    let (mut all, mut ends, mut middle) = (Vec::new(), Vec::new(), Vec::new());
    for ((_, _, d), v) in views.indexed_iter().filter(|(_, v)| v.is_finite()) {
        all.push(*v);
        if d < edge || d + edge >= n {
            ends.push(*v);
        } else if d > n / 3 && d < n - n / 3 {
            middle.push(*v);
        }
    }
    if ends.is_empty() || middle.is_empty() {
        return false;
    }
    let (low, high) = (percentile(&mut all, 0.01), percentile(&mut all, 0.99));
    let (ends, middle) = (percentile(&mut ends, 0.5), percentile(&mut middle, 0.5));
    low > 0.0 && high > low && (ends - low) > 0.75 * (high - low) && middle < ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, Array3};

    #[test]
    fn fields_are_of_any_rank() {
        let counts = Array3::from_elem((2, 3, 4), 50.0f32);
        let of = |flat: ArrayD<f32>| absorption(counts.view(), Some(&flat), None).map(|a| a.values[[1, 2, 3]]);
        let want = (100.0f32 / 50.0).ln();
        for flat in [
            Array1::from_elem(1, 100.0).into_dyn(),
            Array1::from_elem(4, 100.0).into_dyn(),
            Array2::from_elem((2, 4), 100.0).into_dyn(),
            Array2::from_shape_fn((5, 4), |(k, _)| 98.0 + k as f32).into_dyn(),
            Array3::from_elem((7, 2, 4), 100.0).into_dyn(),
        ] {
            let shape = flat.shape().to_vec();
            assert!((of(flat).unwrap() - want).abs() < 1e-6, "{shape:?}");
        }
        assert!(of(Array1::zeros(5).into_dyn()).unwrap_err().to_string().contains("(4), (2, 4)"));
    }

    #[test]
    fn what_has_no_logarithm_is_told() {
        let counts = Array3::from_shape_fn((1, 2, 3), |(_, a, d)| [[400.0, 0.0, 30.0], [-5.0, 200.0, 30.0]][a][d]);
        assert!(absorption(counts.view(), None, None).unwrap_err().to_string().contains("--flat"));
        let flat = ndarray::arr1(&[400.0f32, 400.0, 0.0]).into_dyn();
        let found = absorption(counts.view(), Some(&flat), None).unwrap();
        assert_eq!(found.clipped, 2);
        let least = -(0.5f32).ln();
        assert_eq!((found.values[[0, 0, 1]], found.values[[0, 1, 0]]), (least, least));
        assert!(found.values[[0, 0, 2]].is_nan() && found.values[[0, 0, 0]] == 0.0);
        assert!(absorption(Array3::zeros((1, 2, 3)).view(), None, None).is_err());
    }
}
