//! Where on the detector the axis of rotation is.
//!
//! A line is measured twice where the scan goes on beyond half a turn, and both measurements agree only around the right axis
//! (`opposite`). Over half a turn there are hardly any such lines; there the centres of mass of the views lie on a sinusoid around
//! the axis (`moments`), and views at either end are nearly each other's mirror images (`ends`). What these find is made finer by
//! the spectrum of the sinogram (`wedge`).

mod ends;
mod moments;
mod opposite;
mod wedge;

use super::noise;
use super::truncation::truncated;
use crate::error::{Result, value_err};
use crate::linop::{Beam, Geometry};
use ndarray::{Array2, ArrayView3, Axis};
use std::f64::consts::PI;

/// The axis of rotation, and how it was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Center {
    /// The detector index onto which it falls, with fractions.
    pub index: f64,
    /// What that is from, for people.
    pub method: &'static str,
    /// The standard deviation of the index that the views' own scatter makes likely, where it is known.
    pub deviation: Option<f64>,
    /// Whether it is found to a tenth of a pixel: from lines that are measured twice, or with the spectrum of views that end beside the object,
    /// and without much noise.
    pub fine: bool,
}

/// The axis is looked for so far from the middle, as a part of the detector's width.
pub(crate) const REACH: f64 = 0.15;

/// Views that are half a turn apart are enough from this part of all on.
const ENOUGH: f64 = 0.3;

/// Noise of this part of the largest value is not much: at 0.1 some axes are found half a pixel off.
const QUIET: f64 = 0.03;

/// Slices that are looked at.
const SLICES: usize = 8;

/// Finds the axis from views (slice, angle, detector) that are finite, within 15 % of the detector's width around its middle. The
/// geometry's own centre counts for nothing.
///
/// ```
/// use linops::{app::ct::find_center, linop::Geometry};
/// let angles: Vec<f64> = (0..90).map(|k| f64::from(k) * std::f64::consts::PI / 90.0).collect();
/// // A disk of radius 20 that is 9 pixels off the axis at detector index 45.3.
/// let chord = |a: f64, d: f64| 2.0 * (400.0 - (d - 45.3 - 9.0 * a.cos()).powi(2)).max(0.0).sqrt();
/// let views = ndarray::Array3::from_shape_fn((1, 90, 96), |(_, a, d)| chord(angles[a], d as f64) as f32);
/// let found = find_center(views.view(), &Geometry::parallel(&angles, 96))?;
/// assert!((found.index - 45.3).abs() < 0.05);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The views are those of another scan, or do not tell: they are 0 or alike, or cover too little of a turn.
pub fn find_center(views: ArrayView3<f32>, geometry: &Geometry) -> Result<Center> {
    let (slices, angles, detectors) = views.dim();
    if angles != geometry.angles.len() || detectors != geometry.detectors {
        return value_err!(
            "views of {angles} angles and {detectors} detector pixels; the geometry has {} and {}",
            geometry.angles.len(),
            geometry.detectors
        );
    }
    let lit: Vec<Array2<f64>> = chosen(slices, geometry)
        .into_iter()
        .map(|s| views.index_axis(Axis(0), s).mapv(f64::from))
        .filter(|v| v.iter().any(|x| *x != 0.0) && v.iter().all(|x| x.is_finite()))
        .collect();
    if lit.is_empty() || detectors < 8 {
        return value_err!(
            "the axis cannot be found in views that are 0 or narrower than 8 pixels; give it (--center PIXEL)"
        );
    }
    let smooth: Vec<Array2<f64>> = lit.iter().map(smoothed).collect();
    let circle = opposite::Circle::of(&geometry.angles);
    let seen = circle.seen_twice(geometry);
    if seen >= ENOUGH {
        let index = opposite::find(&smooth, geometry, &circle);
        let what = "lines that are measured twice";
        return index
            .map_or_else(undecided, |index| Ok(Center { index, method: what, deviation: None, fine: quiet(views) }));
    }
    if geometry.beam != Beam::Parallel {
        return value_err!(
            "the axis of a fan or a cone is found from lines that are measured twice, which few of these views have ({:.0} %); give it \
             (--center PIXEL)",
            100.0 * seen
        );
    }
    let mass = if truncated(views, [true; 2]) == 0.0 { moments::find(&lit, &geometry.angles) } else { None };
    let whole = mass.is_some();
    let Some((found, method)) = combined(mass, ends::find(&smooth, &geometry.angles)) else { return undecided() };
    let plain = Center { index: found.index, method, deviation: Some(found.deviation), fine: false };
    if !whole {
        return Ok(plain);
    }
    let radius = lit.iter().filter_map(|view| moments::reach(view, found.index)).fold(0.0, f64::max) + 2.0;
    Ok(match wedge::refine(&lit, &geometry.angles, found.index, radius) {
        Some(index) => {
            let (wa, wb) = (weight(found.deviation), weight(0.0));
            let index = (wa * found.index + wb * index) / (wa + wb);
            let deviation = Some((wa + wb).sqrt().recip());
            Center { index, method: "the spectrum of the sinogram, and centres of mass", deviation, fine: quiet(views) }
        }
        None => plain,
    })
}

fn quiet(views: ArrayView3<f32>) -> bool {
    let largest = views.iter().fold(0.0f32, |a, v| a.max(v.abs()));
    noise::deviation(views) <= QUIET * f64::from(largest)
}

/// The weight of an estimate with this scatter, which is the least that it is off: edges that are sharper than a pixel move each of
/// them by some hundredths of one, and not alike.
fn weight(deviation: f64) -> f64 {
    const SHARP: f64 = 0.05;
    1.0 / (deviation * deviation + SHARP * SHARP)
}

/// What centres of mass and mirror images say together.
fn combined(mass: Option<Estimate>, ends: Option<Estimate>) -> Option<(Estimate, &'static str)> {
    let (by_mass, by_ends) = ("centres of mass", "views half a turn apart");
    let (a, b) = match (mass, ends) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.map(|a| (a, by_mass)).or(b.map(|b| (b, by_ends))),
    };
    // Mass is misled by a background that is not 0; mirror images by nothing but noise.
    if (a.index - b.index).abs() > 0.5 + 4.0 * (a.deviation + b.deviation) {
        return Some((b, by_ends));
    }
    let (wa, wb) = (weight(a.deviation), weight(b.deviation));
    let index = (wa * a.index + wb * b.index) / (wa + wb);
    Some((Estimate { index, deviation: (wa + wb).sqrt().recip() }, "centres of mass, and views half a turn apart"))
}

fn undecided() -> Result<Center> {
    value_err!(
        "the views do not tell where the axis is: they cover too little of a turn, or are all alike; give it (--center PIXEL)"
    )
}

/// An estimate and its standard deviation.
#[derive(Clone, Copy, Debug)]
struct Estimate {
    index: f64,
    deviation: f64,
}

/// Slices to look at: some that are spread over all; of a cone the rows in the plane of the source, where rays are those of a fan.
fn chosen(slices: usize, geometry: &Geometry) -> Vec<usize> {
    if let Beam::Cone { .. } = geometry.beam {
        let (_, row) = geometry.centers();
        return vec![(row.round().max(0.0) as usize).min(slices - 1)];
    }
    let count = slices.min(SLICES);
    (0..count).map(|k| (2 * k + 1) * slices / (2 * count)).collect()
}

/// The width of the smoothing, in detector pixels: after it a view can be read between its samples.
const WIDTH: f64 = 1.5;

/// Rows smoothed by a Gaussian.
fn smoothed(view: &Array2<f64>) -> Array2<f64> {
    let reach = (4.0 * WIDTH).ceil() as isize;
    let taps: Vec<f64> = (-reach..=reach).map(|k| (-0.5 * (k as f64 / WIDTH).powi(2)).exp()).collect();
    let sum: f64 = taps.iter().sum();
    let n = view.ncols() as isize;
    Array2::from_shape_fn(view.dim(), |(a, d)| {
        let at = |k: usize| view[[a, (d as isize + k as isize - reach).clamp(0, n - 1) as usize]];
        taps.iter().enumerate().map(|(k, t)| t * at(k)).sum::<f64>() / sum
    })
}

/// A row at a place between its samples, by a cubic through the four around it (Catmull and Rom, 1974); None outside.
fn read(row: &[f64], at: f64) -> Option<f64> {
    let n = row.len() as isize;
    if !(0.0..=(n - 1) as f64).contains(&at) {
        return None;
    }
    let first = (at.floor() as isize).min(n - 2).max(0);
    let t = at - first as f64;
    let [a, b, c, d] = [-1, 0, 1, 2].map(|k| row[(first + k).clamp(0, n - 1) as usize]);
    Some(b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))))
}

/// Places are looked at in steps of so many pixels at first.
const STEP: f64 = 0.5;

/// Scores, parts of the energy, that are no more than this are those of views that are alike: 32-bit numbers were rounded.
const ROUNDING: f64 = 1e-12;

/// What a score is at several places between two.
fn scores(from: f64, to: f64, score: impl Fn(f64) -> Option<f64>) -> Vec<(f64, f64)> {
    let steps = ((to - from) / STEP).ceil().max(1.0) as usize;
    let places = (0..=steps).map(|k| from + (to - from) * k as f64 / steps as f64);
    places.filter_map(|c| Some((c, score(c)?))).filter(|(_, s)| s.is_finite()).collect()
}

/// Where a score is least between two places: steps of half a pixel, then a search around the best.
fn least(from: f64, to: f64, score: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    let scored = scores(from, to, &score);
    let (best, low) = scored.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    // All alike: nothing tells.
    let high = scored.iter().fold(f64::NEG_INFINITY, |h, s| h.max(s.1));
    if high <= ROUNDING || high - low <= 1e-9 * high.abs() {
        return None;
    }
    least_between(best - STEP, best + STEP, score)
}

/// The same of a score over so many detector pixels, where it is less than elsewhere by more than chance: mirror images of an object
/// differ where the axis is not, those of noise alone differ everywhere, by more or less.
fn clearly_least(from: f64, to: f64, pixels: usize, score: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    /// The least of the scores of noise is so many of their deviations below the usual one, at most.
    const CHANCE: f64 = 5.0;
    let mut all: Vec<f64> = scores(from, to, &score).into_iter().map(|(_, s)| s).collect();
    all.sort_by(f64::total_cmp);
    let (low, usual) = (*all.first()?, *all.get(all.len() / 2)?);
    // A smoothed pixel shares its noise with as many as have the same energy, 2√π widths of the Gaussian.
    let independent = (pixels as f64 / (2.0 * PI.sqrt() * WIDTH)).max(1.0);
    let chance = (CHANCE * (2.0 / independent).sqrt()).exp();
    if usual < chance * low { None } else { least(from, to, score) }
}

/// Where a score is least between two places, where it has one valley, by golden sections.
fn least_between(from: f64, to: f64, score: impl Fn(f64) -> Option<f64>) -> Option<f64> {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (from, to);
    let value = |c: f64| score(c).unwrap_or(f64::INFINITY);
    let (mut p, mut q) = (b - ratio * (b - a), a + ratio * (b - a));
    let (mut vp, mut vq) = (value(p), value(q));
    while b - a > 2e-3 {
        if vp < vq {
            (b, q, vq) = (q, p, vp);
            p = b - ratio * (b - a);
            vp = value(p);
        } else {
            (a, p, vp) = (p, q, vq);
            q = a + ratio * (b - a);
            vq = value(q);
        }
    }
    let found = 0.5 * (a + b);
    // At either end there is none between.
    (found - from > 4e-3 && to - found > 4e-3).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use ndarray::Array3;

    #[test]
    fn rows_are_read_between_samples() {
        let row: Vec<f64> = (0..20).map(|k| (0.3 * f64::from(k)).sin()).collect();
        for k in 10..180 {
            let at = f64::from(k) * 0.1;
            let error = (read(&row, at).unwrap() - (0.3 * at).sin()).abs();
            assert!(error < 3e-3 || !(1.0..18.0).contains(&at), "{at}: {error}");
        }
        assert!(read(&row, -0.1).is_none() && read(&row, 19.01).is_none());
        assert!((read(&row, 19.0).unwrap() - row[19]).abs() < 1e-12);
    }

    #[test]
    fn the_least_is_found() {
        let at = least(0.0, 40.0, |c| Some((c - 17.3).powi(2) - 40.0 * (-(c - 31.2f64).powi(2)).exp() * 9.0)).unwrap();
        assert!((at - 31.2).abs() < 0.1, "{at}");
        assert!(least(0.0, 4.0, |_| Some(3.0)).is_none());
    }

    /// Views that are alike but for rounding or noise say nothing, over half a turn and over a whole one; a faint disk in the noise does.
    #[test]
    fn views_without_an_object_have_no_axis() {
        for (turn, seed) in [(PI, 1), (2.0 * PI, 2), (PI, 3), (2.0 * PI, 4), (PI, 5), (2.0 * PI, 6)] {
            let angles: Vec<f64> = (0..60).map(|k| f64::from(k) * turn / 60.0).collect();
            let geometry = Geometry::parallel(&angles, 64);
            let found = |noise: f64, disk: f64| {
                let mut generator = Generator::new(seed);
                let chord = |a: usize, d: usize| {
                    2.0 * (225.0 - (d as f64 - 34.3 - 6.0 * angles[a].cos()).powi(2)).max(0.0).sqrt()
                };
                let views = Array3::from_shape_fn((1, 60, 64), |(_, a, d)| {
                    (0.1 + disk * chord(a, d) + noise * 2f64.sqrt() * generator.complex_normal().re) as f32
                });
                find_center(views.view(), &geometry)
            };
            for noise in [0.0, 1e-3, 0.1] {
                let error = found(noise, 0.0).unwrap_err().to_string();
                assert!(error.contains("do not tell where the axis is"), "{turn} {noise}: {error}");
            }
            let index = found(0.1, 0.03).unwrap().index;
            assert!((index - 34.3).abs() < 1.0, "{turn}: {index}");
        }
    }
}
