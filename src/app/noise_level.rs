//! How noisy a picture is, from its finest diagonal details.
//!
//! White noise has the same deviation in every coefficient of an orthonormal transform, and in the finest diagonal ones of a
//! wavelet transform hardly anything else is to be found. So σ is their median magnitude over that of a normal distribution
//! (Donoho and Johnstone, Biometrika 81:425, 1994), which the few that meet an edge do not move. Texture moves it. So only those places
//! count where the details along one axis alone are small: white noise in these has nothing to do with that in the diagonal ones, and
//! such a choice does not change what is found of it. Where too few details are without gaps, differences of neighbours that are known
//! take their place.

mod brightness;
mod clipped;

use super::neighbours::{self, local_means};
use crate::error::{Error, Result, shape_err};
use crate::linop::Wavelet;
pub(super) use brightness::noise_by_brightness;
use ndarray::{ArrayD, ArrayViewD, Axis, Slice, Zip};

/// Median of |z| of a standard normal z.
const MEDIAN: f64 = 0.674_489_750_196_081_7;

/// The standard deviation of white noise in a picture (row, column) or (plane, row, column), in its units. Samples that are not
/// finite are left out, as are those where `known` is 0, and stretches at the picture's smallest or largest value, which are masked
/// or saturated; where noise is cut off at either, as at 0 in dark places, it is told from the others. 0 where nothing is left to tell from. Texture as fine as the pixels counts as noise where it
/// covers more than half of the picture.
///
/// ```
/// use linops::app::noise_level;
/// let noise = |i: usize| linops::app::noise::Generator::new(i as u64).uniform() as f32 - 0.5;
/// let picture = ndarray::Array2::from_shape_fn((128, 128), |(i, j)| 20.0 * (i / 40) as f32 + noise(128 * i + j));
/// let level = noise_level(picture.into_dyn().view(), None)?;
/// assert!((level - 0.289).abs() < 0.06);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `known` has other extents than the picture.
pub fn noise_level(image: ArrayViewD<f32>, known: Option<ArrayViewD<f32>>) -> Result<f64> {
    Ok(estimated(image, known)?.map_or(0.0, |(sigma, _)| sigma))
}

/// Details that are enough to tell.
const ENOUGH: usize = 32;

/// [`noise_level`], and whether that is the deviation before anything was cut off; None where nothing is left to tell from.
pub(super) fn estimated(image: ArrayViewD<f32>, known: Option<ArrayViewD<f32>>) -> Result<Option<(f64, Told)>> {
    let all = ArrayD::ones(image.raw_dim());
    let known = known.unwrap_or(all.view());
    if known.shape() != image.shape() {
        return shape_err!("noise_level: known has extents {:?}, expected {:?}", known.shape(), image.shape());
    }
    let mut values = of_known(image, known);
    let [least, most] = ends(&values);
    // Sums of the filters round.
    let nothing = 1e-12 * least.abs().max(most.abs());
    let beside = [least, most].into_iter().find_map(|end| beside_emptiness(&values, end));
    let no_more = |sigma: f64| {
        let sigma = beside.map_or(sigma, |beside| beside.min(sigma));
        if sigma <= nothing { 0.0 } else { sigma }
    };
    for end in [least, most] {
        if let Some(rest) = without_cut(&values, end) {
            values = rest;
        } else if let Some(sigma) = clipped::deviation(&values, end) {
            return Ok(Some((no_more(sigma), Told::Given)));
        }
    }
    let details = finest_details(values.view())?;
    let whole = details.values.iter().filter(|d| d.is_finite()).count();
    if whole < ENOUGH.min(details.values.len()) {
        let found = between_gaps(&values);
        return Ok(found.map(|sigma| (no_more(sigma), Told::Estimated)));
    }
    let mut sizes: Vec<(f64, f64)> = Vec::with_capacity(whole);
    let structure = structure(values.view(), &details)?;
    Zip::from(&details.values).and(&structure).and(details.corners(&values)).for_each(|&d, &s, corner| {
        let flat = d.abs() <= nothing && [least, most].contains(corner);
        if d.is_finite() && !flat {
            sizes.push((s, d.abs()));
        }
    });
    if sizes.is_empty() {
        return Ok(Some((0.0, Told::Estimated)));
    }
    let median = median(&mut in_flat_places(sizes));
    Ok(Some((no_more(median / MEDIAN), Told::Estimated)))
}

/// [`noise_level`] where it is that of all noise: None where much was cut off and what is left tells too little, and where there is none.
///
/// ```
/// use linops::app::{noise_level, reliable_noise_level};
/// let noise = |i: usize| linops::app::noise::Generator::new(i as u64).uniform() as f32 - 0.5;
/// let picture = ndarray::Array2::from_shape_fn((96, 96), |(i, j)| noise(96 * i + j)).into_dyn();
/// assert_eq!(reliable_noise_level(picture.view(), None)?, Some(noise_level(picture.view(), None)?));
/// assert_eq!(reliable_noise_level((&picture * 0.0).view(), None)?, None);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`noise_level`].
pub fn reliable_noise_level(image: ArrayViewD<f32>, known: Option<ArrayViewD<f32>>) -> Result<Option<f64>> {
    let all = ArrayD::ones(image.raw_dim());
    let known = known.unwrap_or(all.view());
    let Some((sigma, told)) = estimated(image.view(), Some(known.view()))?.filter(|(sigma, _)| *sigma > 0.0) else {
        return Ok(None);
    };
    let values = of_known(image, known);
    let short = |end: f64| cut_off(&values, end).is_some() && without_cut(&values, end).is_none();
    let less = told == Told::Estimated && ends(&values).into_iter().any(short);
    Ok((!less).then_some(sigma))
}

/// The values, NaN where nothing is known.
fn of_known(image: ArrayViewD<f32>, known: ArrayViewD<f32>) -> ArrayD<f64> {
    let mut values = image.mapv(|v| if v.is_finite() { f64::from(v) } else { f64::NAN });
    values.zip_mut_with(&known, |v, k| *v = if *k == 0.0 { f64::NAN } else { *v });
    values
}

/// The smallest and the largest of the values that are known.
fn ends(values: &ArrayD<f64>) -> [f64; 2] {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (least, most) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    [least, most]
}

/// So many samples at the smallest or the largest value, as a part of all, are noise that was cut off there, or a mask.
const CUT: f64 = 0.005;

/// Samples that are at this end of the picture's values, where these are many.
fn cut_off(values: &ArrayD<f64>, end: f64) -> Option<ArrayD<f64>> {
    let (count, all) = values
        .iter()
        .fold((0usize, 0usize), |(count, all), v| (count + usize::from(*v == end), all + usize::from(v.is_finite())));
    let cut = |v: f64| if v.is_finite() { f64::from(u8::from(v == end)) } else { f64::NAN };
    // One sample is the smallest of any.
    (count > 1 && count as f64 > CUT * all as f64).then(|| values.mapv(cut))
}

/// The values without the places where much is at this end of them, where noise was cut off there and enough is left to tell from.
/// Elsewhere the few samples that were cut are part of the noise: without them it would look less.
fn without_cut(values: &ArrayD<f64>, end: f64) -> Option<ArrayD<f64>> {
    /// Of the samples near by; half of them where there is nothing but noise.
    const MUCH: f64 = 0.3;
    let cut = cut_off(values, end)?;
    let mut rest = values.clone();
    rest.zip_mut_with(&local_means(&cut), |v, part| *v = if *part > MUCH { f64::NAN } else { *v });
    let left = finest_details(rest.view()).ok()?.values.iter().filter(|d| d.is_finite()).count();
    (left >= MANY).then_some(rest)
}

/// The deviation of what is not at this end of values of which many are, together: little in much emptiness, whose outline may look as noise.
/// The lines of a drawing have structure of their own, so it is no less than the noise; where many of their samples are alike, there is none.
fn beside_emptiness(values: &ArrayD<f64>, end: f64) -> Option<f64> {
    /// Of all.
    const MOSTLY: f64 = 0.3;
    let cut = cut_off(values, end)?;
    let empty = cut.iter().filter(|c| **c == 1.0).count() as f64;
    let all = cut.iter().filter(|c| c.is_finite()).count() as f64;
    if empty <= MOSTLY * all || !clipped::is_shape(&cut, empty / all) {
        return None;
    }
    let rest = values.mapv(|v| if v == end { f64::NAN } else { v });
    if equal_neighbours(&rest) > ALIKE { Some(0.0) } else { between_gaps(&rest) }
}

/// Neighbours that are the same number, as a part of those that are known: with noise of a step or more that numbers are rounded to they are fewer.
const ALIKE: f64 = 0.3;

fn equal_neighbours(values: &ArrayD<f64>) -> f64 {
    let (mut equal, mut pairs) = (0usize, 0usize);
    for axis in (0..values.ndim()).map(Axis).filter(|axis| values.len_of(*axis) > 1) {
        let (here, next) = (values.slice_axis(axis, Slice::from(..-1)), values.slice_axis(axis, Slice::from(1..)));
        Zip::from(&here).and(&next).for_each(|a, b| {
            pairs += usize::from(a.is_finite() && b.is_finite());
            equal += usize::from(a == b);
        });
    }
    equal as f64 / pairs.max(1) as f64
}

/// What a deviation is that of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The noise before anything was cut off: it was given, or told from what was cut.
    Given,
    /// What is left of it where nothing else was to be told from.
    Estimated,
}

/// The root mean square of white noise over a whole picture as a part of its deviation, where it was cut off at the picture's smallest
/// or largest value: of values of the mean μ and the deviation σ, a part Φ(−μ/σ) is, and the others have less variance. 1 where
/// nothing was cut off.
pub(super) fn left_of_noise(image: ArrayViewD<f32>, known: ArrayViewD<f32>, told: Told) -> f64 {
    let values = of_known(image, known);
    let ends = ends(&values);
    let counted = values.mapv(|v| f64::from(u8::from(v.is_finite())));
    let mut left = counted.clone();
    for end in ends {
        // What was estimated with the cut samples is the deviation of all.
        if let Some(cut) = cut_off(&values, end)
            && (told == Told::Given || without_cut(&values, end).is_some())
        {
            left.zip_mut_with(&local_means(&cut), |left, part| *left *= clipped::variance_left(*part));
        }
    }
    let left = left.sum() / counted.sum().max(1.0);
    if left > 0.0 { left.sqrt() } else { 1.0 }
}

/// Details of so many places are enough to leave some out.
const MANY: usize = 400;

/// Places that count, as a part of all: fewer would be those of the least noise, where it is not the same everywhere.
const FLAT: f64 = 0.5;

/// The sizes of those with the least structure, of pairs of structure and size.
fn in_flat_places(mut sizes: Vec<(f64, f64)>) -> Vec<f64> {
    if sizes.len() >= MANY {
        let count = (FLAT * sizes.len() as f64) as usize;
        sizes.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0));
        sizes.truncate(count);
    }
    sizes.into_iter().map(|(_, size)| size).collect()
}

/// The power of the finest details along all axes but one, around each of the diagonal ones; the same everywhere for a line.
fn structure(values: ArrayViewD<f64>, details: &Details) -> Result<ArrayD<f64>> {
    let mut power = ArrayD::<f64>::zeros(details.values.raw_dim());
    let long: Vec<usize> = (0..values.ndim()).filter(|axis| details.strides[*axis] > 1).collect();
    if long.len() < 2 {
        return Ok(power);
    }
    for axis in long {
        power += &filtered(values.view(), Some(axis))?.values.mapv(|d| d * d);
    }
    Ok(local_means(&power))
}

fn median(sizes: &mut [f64]) -> f64 {
    let middle = sizes.len() / 2;
    *sizes.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// From second and fourth differences along the axes, and from those of differences across two, where all samples that one reads are
/// known. They have the deviation of one sample for white noise; a picture adds to them, to each another part: so it is the least.
fn between_gaps(values: &ArrayD<f64>) -> Option<f64> {
    let along = |taps: &[f64]| -> Vec<f64> {
        let axes = 0..values.ndim();
        axes.flat_map(|axis| scaled(&neighbours::filtered(values, axis, taps, 1), taps)).collect()
    };
    let step = |a: &ArrayD<f64>, axis: usize| neighbours::filtered(a, axis, &[-1.0, 1.0], 1);
    let mut across = Vec::new();
    for first in 0..values.ndim() {
        for second in first + 1..values.ndim() {
            across.extend(scaled(&step(&step(values, first), second), &[1.0; 4]));
        }
    }
    let all = [along(&[1.0, -2.0, 1.0]), along(&[1.0, -4.0, 6.0, -4.0, 1.0]), across];
    let found = all.into_iter().filter(|sizes| sizes.len() >= ENOUGH).map(|mut sizes| median(&mut sizes) / MEDIAN);
    found.min_by(f64::total_cmp)
}

/// Magnitudes of sums with these taps, of the deviation of one sample; without those that read a gap.
fn scaled(sums: &ArrayD<f64>, taps: &[f64]) -> Vec<f64> {
    let norm = taps.iter().map(|t| t * t).sum::<f64>().sqrt();
    sums.iter().filter(|d| d.is_finite()).map(|d| d.abs() / norm).collect()
}

/// The finest diagonal coefficients of a picture; NaN where a sample that they read is.
pub(super) struct Details {
    pub values: ArrayD<f64>,
    /// Samples from one coefficient to the next, along each axis.
    pub strides: Vec<usize>,
    /// Samples that one reads.
    pub taps: usize,
}

impl Details {
    /// The first sample that each reads.
    fn corners<'a>(&self, image: &'a ArrayD<f64>) -> ArrayViewD<'a, f64> {
        image.slice_each_axis(|axis| {
            let (step, count) = (self.strides[axis.axis.index()], self.values.shape()[axis.axis.index()]);
            Slice::new(0, Some(((count - 1) * step + 1) as isize), step as isize)
        })
    }
}

/// Highpass filtered along every axis, without what would read beyond the ends. By db2, which does not see slopes.
pub(super) fn finest_details(image: ArrayViewD<f64>) -> Result<Details> {
    filtered(image, None)
}

/// The same, lowpass filtered along one axis.
fn filtered(image: ArrayViewD<f64>, lowpass_along: Option<usize>) -> Result<Details> {
    let wavelet: Wavelet = "db2".parse()?;
    let [lowpass, highpass] = wavelet.analysis();
    let mut values = image.to_owned();
    let mut strides = Vec::new();
    for axis in 0..image.ndim() {
        let n = values.shape()[axis];
        if n < highpass.len() {
            // Too short to have details.
            strides.push(1);
            continue;
        }
        strides.push(2);
        let taps = if lowpass_along == Some(axis) { lowpass } else { highpass };
        values = neighbours::filtered(&values, axis, taps, 2);
    }
    if strides.iter().all(|s| *s == 1) {
        return Err(Error::Value(format!(
            "a picture of {:?} has no details to tell its noise from; give the noise",
            image.shape()
        )));
    }
    Ok(Details { values, strides, taps: highpass.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use ndarray::Array2;
    use std::f64::consts::TAU;

    /// Edges, a slope, and noise of deviation 3.
    fn noisy(seed: u64) -> ArrayD<f32> {
        let mut generator = Generator::new(seed);
        let clean = |i: usize, j: usize| 100.0 * ((i / 30 + j / 50) % 2) as f64 + 0.7 * i as f64;
        Array2::from_shape_fn((150, 170), |(i, j)| {
            (clean(i, j) + 3.0 * 2f64.sqrt() * generator.complex_normal().re) as f32
        })
        .into_dyn()
    }

    #[test]
    fn the_level_is_found_and_scales() {
        let image = noisy(1);
        let level = noise_level(image.view(), None).unwrap();
        assert!((level / 3.0 - 1.0).abs() < 0.05, "{level}");
        for scale in [1e-6, 255.0, 1e6] {
            let scaled = noise_level(image.mapv(|v| v * scale).view(), None).unwrap();
            assert!((scaled / f64::from(scale) / level - 1.0).abs() < 1e-4, "{scale}");
        }
    }

    /// The one smallest sample of a short line is no cut.
    #[test]
    fn lines_have_a_level_too() {
        for n in [60, 150, 500] {
            let mut generator = Generator::new(n as u64);
            let line = Array2::from_shape_fn((1, n), |(_, i)| {
                (20.0 + 0.1 * i as f64 + 2.0 * 2f64.sqrt() * generator.complex_normal().re) as f32
            });
            let line = line.index_axis_move(ndarray::Axis(0), 0).into_dyn();
            let level = reliable_noise_level(line.view(), None).unwrap();
            assert!(level.is_some_and(|level| (1.0..3.5).contains(&level)), "{n}: {level:?}");
        }
    }

    /// Rapid stripes and checks over nearly half of the picture are no noise.
    #[test]
    fn texture_is_no_noise() {
        for part in [0.0, 0.25, 0.45] {
            let mut generator = Generator::new(11);
            let image = Array2::from_shape_fn((200, 200), |(i, j)| {
                let (y, x) = (i as f64, j as f64);
                let fine = (2.2 * x + 0.4 * y).sin() + (1.9 * y - 0.8 * x).sin() + (2.6 * (x + y)).cos();
                let texture = if x < 200.0 * part { 30.0 * fine } else { 0.0 };
                (80.0 + texture + 5.0 * 2f64.sqrt() * generator.complex_normal().re) as f32
            });
            let level = noise_level(image.into_dyn().view(), None).unwrap();
            assert!((level / 5.0 - 1.0).abs() < 0.06, "{part}: {level}");
        }
    }

    #[test]
    fn what_is_missing_or_masked_does_not_count() {
        let mut image = noisy(2);
        let mut known = ArrayD::<f32>::ones(image.raw_dim());
        for (at, v) in image.indexed_iter_mut() {
            match (at[0], at[1]) {
                (i, _) if i < 80 => *v = -1000.0,
                (_, j) if j % 23 == 0 => *v = f32::NAN,
                (_, j) if j % 17 == 0 => (*v, known[&at]) = (1e9, 0.0),
                _ => {}
            }
        }
        let level = noise_level(image.view(), Some(known.view())).unwrap();
        assert!((level / 3.0 - 1.0).abs() < 0.1, "{level}");
        assert!(noise_level(image.view(), Some(ArrayD::ones(vec![2, 2]).view())).is_err());
    }

    /// Where half or more of the samples are missing at random, no detail is without a gap.
    #[test]
    fn gaps_everywhere_leave_neighbours_to_tell_from() {
        let image = noisy(4);
        for part in [0.7, 0.5, 0.3] {
            let mut generator = Generator::new(7);
            let known = image.mapv(|_| f32::from(generator.uniform() < part));
            let level = noise_level(image.view(), Some(known.view())).unwrap();
            assert!((level / 3.0 - 1.0).abs() < 0.15, "{part}: {level}");
            let scaled = noise_level((&image * 255.0).view(), Some(known.view())).unwrap();
            assert!((scaled / 255.0 / level - 1.0).abs() < 1e-4);
        }
        let mut few = ArrayD::<f32>::zeros(image.raw_dim());
        few.iter_mut().step_by(7).for_each(|k| *k = 1.0);
        assert_eq!(estimated(image.view(), Some(few.view())).unwrap(), None);
    }

    /// Half of the noise of a dark background is cut off at 0: the others tell its deviation, and what is left of it is known.
    #[test]
    fn noise_that_is_cut_off_is_told_from_the_rest() {
        let scene = |i: usize, j: usize| if (i / 24 + j / 24).is_multiple_of(4) { 120.0 } else { 0.0 };
        let mut generator = Generator::new(9);
        let mut off = 0.0;
        let image = Array2::from_shape_fn((192, 192), |(i, j)| {
            let noisy = scene(i, j) + 15.0 * 2f64.sqrt() * generator.complex_normal().re;
            let kept = noisy.max(0.0);
            off += (kept - if scene(i, j) > 0.0 { 120.0 } else { 15.0 / TAU.sqrt() }).powi(2);
            kept as f32
        })
        .into_dyn();
        let level = noise_level(image.view(), None).unwrap();
        assert!((level / 15.0 - 1.0).abs() < 0.1, "{level}");
        let rms = (off / image.len() as f64).sqrt();
        let whole = ArrayD::ones(image.raw_dim());
        let left = left_of_noise(image.view(), whole.view(), Told::Estimated);
        assert!((left * 15.0 / rms - 1.0).abs() < 0.06, "{left} of 15, {rms}");
        let bright = noisy(3);
        assert_eq!(left_of_noise(bright.view(), ArrayD::ones(bright.raw_dim()).view(), Told::Given), 1.0);
        // The same at the other end, and where hardly anything else is: what is given is that of all noise.
        let upside = image.mapv(|v| 255.0 - v);
        let level = noise_level(upside.view(), None).unwrap();
        assert!((level / 15.0 - 1.0).abs() < 0.1, "{level}");
        let other = left_of_noise(upside.view(), whole.view(), Told::Estimated);
        assert!((other - left).abs() < 1e-6, "{other} {left}");
        let dark = image.mapv(|v| if v > 60.0 { 0.0 } else { v });
        let left = left_of_noise(dark.view(), whole.view(), Told::Given);
        assert!(left < 0.62 && left_of_noise(dark.view(), whole.view(), Told::Estimated) == 1.0, "{left}");
        assert!((clipped::variance_left(0.5) - (0.5 - 1.0 / TAU)).abs() < 1e-4 && clipped::variance_left(1e-6) > 0.99);
    }

    /// A few threads in an empty volume: their outline is no noise.
    #[test]
    fn little_in_much_emptiness_is_no_noise() {
        let threads = |noise: f64| {
            let mut generator = Generator::new(12);
            let mut volume = ArrayD::<f32>::zeros(vec![24, 48, 48]);
            for thread in 0..40usize {
                let (level, along) = (100.0 + 20.0 * thread as f64, thread % 3);
                let start = [(5 * thread) % 24, (11 * thread) % 48, (17 * thread) % 48];
                for k in 0..volume.shape()[along] {
                    let mut at = start;
                    at[along] = k;
                    volume[&at[..]] = (level + noise * 2f64.sqrt() * generator.complex_normal().re) as f32;
                }
            }
            noise_level(volume.view(), None).unwrap()
        };
        assert_eq!(threads(0.0), 0.0);
        assert!((0.0..6.0).contains(&threads(5.0)), "{}", threads(5.0));
    }

    /// Strokes of a pen, which are all structure: on dark paper as on white.
    #[test]
    fn drawings_have_no_more_noise_than_their_negatives() {
        let stroke = |i: usize, j: usize, k: usize| {
            let (y, x) = (i as f64 - 14.0 * k as f64, j as f64);
            let across = (y - 0.3 * x + 20.0 * (x / 25.0 + k as f64).sin()).abs();
            200.0 * (2.5 - across).clamp(0.0, 1.0)
        };
        let drawing =
            Array2::from_shape_fn((128, 128), |(i, j)| (0..9).map(|k| stroke(i, j, k)).fold(0.0f64, f64::max) as f32)
                .into_dyn();
        let [white, black] = [drawing.mapv(|v| 200.0 - v), drawing].map(|d| noise_level(d.view(), None).unwrap());
        assert!(black == 0.0 && white < 6.0, "{black} {white}");
    }

    #[test]
    fn what_has_no_noise_has_none() {
        let steps = Array2::from_shape_fn((64, 64), |(i, j)| (i / 16 + j / 16) as f32).into_dyn();
        assert_eq!(noise_level(steps.view(), None).unwrap(), 0.0);
        assert_eq!(noise_level(ArrayD::zeros(vec![20, 20]).view(), None).unwrap(), 0.0);
        assert!(
            noise_level(ArrayD::zeros(vec![2, 3]).view(), None).unwrap_err().to_string().contains("give the noise")
        );
    }
}
