//! How noise follows brightness: that of photons grows with it, that of speckle is a part of it, and where values were cut off there is
//! less.

use super::{Details, MEDIAN, finest_details, in_flat_places, median, of_known, structure};
use crate::app::neighbours::local_means;
use crate::error::Result;
use ndarray::{ArrayD, ArrayViewD};

/// Steps of brightness that are told apart, at most, and the details of each at least.
const STEPS: usize = 12;
const EACH: usize = 1000;

/// The noise of a step, as a part of that of all.
const PARTS: [f64; 2] = [0.2, 5.0];

/// The noise at each sample as a part of what [`noise_level`](super::noise_level) finds, by the means around it; 1 where too little is
/// known to tell steps of brightness apart. Of each step it is that of its flat places.
pub(in crate::app) fn noise_by_brightness(image: ArrayViewD<f32>, known: ArrayViewD<f32>) -> ArrayD<f64> {
    let values = of_known(image, known);
    // Twice, that noise does not choose the step.
    let means = local_means(&local_means(&values));
    // A picture that is too small for details has no steps either.
    let steps = steps(&values, &means).unwrap_or_default();
    means.mapv(|mean| at(&steps, mean))
}

/// Brightness and relative noise of each step, by brightness.
fn steps(values: &ArrayD<f64>, means: &ArrayD<f64>) -> Result<Vec<[f64; 2]>> {
    let details: Details = finest_details(values.view())?;
    let structure = structure(values.view(), &details)?;
    let places = details.corners(means).into_iter().zip(&structure).zip(&details.values);
    let known = places.filter(|(_, d)| d.is_finite());
    let mut all: Vec<(f64, f64, f64)> = known.map(|((mean, power), d)| (*mean, *power, d.abs())).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = (all.len() / EACH).min(STEPS);
    if count < 2 {
        return Ok(Vec::new());
    }
    let pairs =
        |step: &[(f64, f64, f64)]| in_flat_places(step.iter().map(|(_, power, size)| (*power, *size)).collect());
    let whole = median(&mut pairs(&all)) / MEDIAN;
    if whole <= 0.0 {
        return Ok(Vec::new());
    }
    let mut steps = Vec::new();
    for step in all.chunks(all.len().div_ceil(count)) {
        let mut sizes = pairs(step);
        let noise = median(&mut sizes) / MEDIAN;
        steps.push([step[step.len() / 2].0, (noise / whole).clamp(PARTS[0], PARTS[1])]);
    }
    Ok(steps)
}

/// Between the steps on either side.
fn at(steps: &[[f64; 2]], mean: f64) -> f64 {
    let above = steps.partition_point(|[brightness, _]| *brightness < mean);
    match (above.checked_sub(1).and_then(|k| steps.get(k)), steps.get(above)) {
        (Some([low, less]), Some([high, more])) if high > low => less + (more - less) * (mean - low) / (high - low),
        (Some([_, noise]), _) | (None, Some([_, noise])) => *noise,
        (None, None) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;

    /// The mean of what is told where a slope from 0 to 1 is this bright, of noise that is so much at each brightness.
    fn told(places: [f64; 2], noise: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut generator = Generator::new(3);
        let slope = |i: usize| i as f64 / 255.0;
        let image = ArrayD::from_shape_fn(ndarray::IxDyn(&[256, 256]), |at| {
            let v = slope(at[1]);
            (v + noise(v) * 2f64.sqrt() * generator.complex_normal().re) as f32
        });
        let found = noise_by_brightness(image.view(), ArrayD::ones(image.raw_dim()).view());
        let of = |place: f64| {
            let here = found.indexed_iter().filter(|(at, _)| (slope(at[1]) - place).abs() < 0.03).map(|(_, f)| *f);
            here.clone().sum::<f64>() / here.count() as f64
        };
        places.map(of).to_vec()
    }

    #[test]
    fn noise_is_told_by_brightness() {
        let [low, high] = told([0.2, 0.8], |_| 0.05)[..] else { panic!() };
        assert!((low - 1.0).abs() < 0.1 && (high - 1.0).abs() < 0.1, "{low} {high}");
        let [low, high] = told([0.2, 0.8], |v| 0.05 * v.sqrt())[..] else { panic!() };
        assert!((high / low - 2.0).abs() < 0.25, "{low} {high}");
        let few = ArrayD::<f32>::zeros(ndarray::IxDyn(&[20, 20]));
        assert!(noise_by_brightness(few.view(), few.mapv(|_| 1.0f32).view()).iter().all(|f| *f == 1.0));
    }
}
