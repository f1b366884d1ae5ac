//! Off-resonance during the readout: a field map in the model of the scan, by segments.

use super::{Linop, Operator, SavedArray, Saver, chain, dense, diagonal};
use crate::access::ValueId;
use crate::allocate::{collected, expect_room, room_for};
use crate::dim::{Dim, Shape, join, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::setters::setters;
use crate::tensor::{Element, Tensor};
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Segments, at most: more of them mean that the readout is to be cut.
const MOST_SEGMENTS: usize = 128;

/// Least tolerance: what single precision makes of the weights, and the ridge of the normal equations.
const LEAST_TOL: f64 = 2e-6;

/// Options of [`off_resonance`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct OffResonanceOptions {
    /// How many segments, or how exact (1e-3).
    pub segments: Segments,
    /// What is cut into segments: the readout, by default.
    pub of: Segmentation,
}

setters! { OffResonanceOptions {
    /// With so many segments, or so exact.
    segments: Segments,
    /// With segments of the readout, or of the frequencies.
    of: Segmentation,
} }

/// How many segments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Segments {
    /// So many.
    Count(usize),
    /// The fewest with which exp(−2πi f t) has at most this root-mean-square error, over the field map at any time of the readout
    /// (for segments of the readout; over the times at any frequency for those of the frequencies).
    Tol(f64),
}

impl Default for Segments {
    fn default() -> Segments {
        Segments::Tol(1e-3)
    }
}

/// What is cut into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// The readout: images with the phase of a few times, between which each sample interpolates. Noll et al., IEEE Trans. Med.
    /// Imaging 10:629 (1991); weights of least squares: Sutton, Noll and Fessler, 22:178 (2003).
    #[default]
    Time,
    /// The frequencies: samples with the phase of a few frequencies, between which each pixel interpolates. Man, Pauly and
    /// Macovski, Magn. Reson. Med. 37:785 (1997).
    Frequency,
}

/// The operator A of a scan, with the phase that a field map adds during the readout: y_m = Σ_r a_mr exp(−2πi f_r t_m) x_r, where
/// A has the entries a_mr.
///
/// `field` is f in Hz with its dims, which are dims of A's input; `times` is t in seconds from the moment without phase (the echo
/// time of a spin echo, the excitation of a gradient echo), with its dims, which are dims of A's output. Along all other dims both
/// repeat. So A may be a [`nufft`](super::nufft), a Fourier transform with a sampling, or one with coils around it.
///
/// The exponential is a sum of few products, exp(−2πi f t) ≈ Σ_l b_l(t)·c_l(f), so y = Σ_l b_l·A(c_l·x): A
/// [`over`](Linop::over) the segments, as one batched plan. Segments of time have c_l(f) = exp(−2πi f τ_l) at equally spaced τ_l;
/// b_l(t) are those with the least squared error over the histogram of the field, in f64. Segments of frequency exchange t and f.
/// About the bandwidth of the field times the readout, and a few more, are needed: with 4 turns (±100 Hz for 20 ms) the relative
/// error of y is 3e-2 for 6 segments of time, 1e-3 for 8, 4e-5 for 10, 2e-6 for 12.
///
/// The adjoint is the exact transpose, Σ_l c̄_l·Aᴴ(b̄_l·y). It costs A for every segment. The normal is both; around a
/// [`nufft`](super::nufft) it may be a convolution for each pair of segments, where that is cheaper. [Splits](Linop::split)
/// along dims of the output along which A does.
///
/// ```
/// use linops::linop::{self, NufftOptions, OffResonanceOptions, Segments};
/// use ndarray::{Array1, Array2, Array3};
/// let points = Array3::<f64>::from_shape_fn((4, 16, 2), |(r, s, d)| if d == 0 { r as f64 - 2.0 } else { s as f64 - 8.0 });
/// let a = linop::nufft("Ny=16 Nx=16", &points.into_dyn(), "Ny Nx", NufftOptions::default(), "R S")?;
/// let field = Array2::from_shape_fn((16, 16), |(y, _)| 10.0 * y as f64 - 80.0).into_dyn();
/// let times = Array1::from_shape_fn(16, |s| 1e-3 * s as f64).into_dyn();
/// let options = OffResonanceOptions::default().segments(Segments::Count(6));
/// let b = linop::off_resonance(&a, (&field, "Ny Nx"), (&times, "S"), options)?;
/// assert_eq!((b.input()?, b.output()?), (a.input()?, a.output()?));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `field` is not in A's input, one of `times` not in A's output, or has another extent; a value is not finite; there are
/// no segments, more than 128, or more than 128 would be needed.
#[doc(alias = "b0")]
#[doc(alias = "field_map")]
pub fn off_resonance(
    a: &Linop,
    field: (&ArrayD<f64>, &str),
    times: (&ArrayD<f64>, &str),
    options: OffResonanceOptions,
) -> Result<Linop> {
    let (input, output) = (a.input()?.clone(), a.output()?.clone());
    let over_image = named("the field map", "Hz", field, &input, "input")?;
    let over_samples = named("the times", "seconds", times, &output, "output")?;
    let given = Given {
        a: a.clone(),
        field: (field.0.to_shared(), over_image.dims().to_vec()),
        times: (times.0.to_shared(), over_samples.dims().to_vec()),
        options,
    };
    let (field, times) = (Distinct::of(field.0)?, Distinct::of(times.0)?);
    // Interpolated along `fine`, with the least error over the values of `other`.
    let (fine, other) = match options.of {
        Segmentation::Time => (&times, &field),
        Segmentation::Frequency => (&field, &times),
    };
    let fit = Fit::of(fine, other, options.segments)?;
    let count = fit.nodes.len();
    expect_room(16 * (count as u64) * (field.places.len() + times.places.len()) as u64, "the weights of the segments")?;
    let interpolated = fit.weights(&fine.values);
    let at_nodes = |values: &[f64]| -> Vec<Vec<Complex32>> {
        values.iter().map(|v| fit.nodes.iter().map(|node| single(phase(v * node))).collect()).collect()
    };
    let (of_times, of_field) = match options.of {
        Segmentation::Time => (interpolated, at_nodes(&field.values)),
        Segmentation::Frequency => (at_nodes(&times.values), interpolated),
    };
    let used: Vec<Dim> = input.dims().iter().chain(output.dims()).copied().collect();
    let segment = "Segment".parse::<Dim>()?;
    let segment = if used.contains(&segment) { segment.next_unused(&used) } else { segment };
    let c = diagonal(&input, &tensor(segment, &over_image, &field, &of_field)?)?.named("field map");
    let over = a.over(Shape::new(vec![segment], vec![count])?)?;
    let b = dense(over.output()?, &tensor(segment, &over_samples, &times, &of_times)?, &join(output.dims()))?;
    let what = match options.of {
        Segmentation::Time => "time",
        Segmentation::Frequency => "frequency",
    };
    let details = format!("{count} segments of {what}, error {:.0e}", fit.error);
    Ok(Linop::of(input, output, OffResonance { linop: chain(vec![c, over, b.named("segments")])?, given, details }))
}

/// The shape of values under their dims, all of which `of` has.
fn named(what: &str, unit: &str, (values, dims): (&ArrayD<f64>, &str), of: &Shape, side: &str) -> Result<Shape> {
    let dims = parse_dims(dims)?;
    let shape = Shape::new(dims, values.shape().to_vec()).map_err(|e| e.at(format!("off_resonance: {what}")))?;
    for (d, n) in shape.iter() {
        match of.size(d) {
            Some(e) if e == n => {}
            Some(e) => {
                return shape_err!("off_resonance: dim {d} of {what} has extent {n}, expected {e} ({side} {of})");
            }
            None => return shape_err!("off_resonance: dim {d} of {what} is not in the {side} {of}"),
        }
    }
    match values.iter().find(|v| !v.is_finite()) {
        Some(v) => value_err!("off_resonance: {what} holds {v}; expected finite {unit}"),
        None => Ok(shape),
    }
}

/// The distinct values of an array, ascending, and which of them stands at each place: interleaves have the same times.
struct Distinct {
    values: Vec<f64>,
    places: Vec<u32>,
}

impl Distinct {
    fn of(array: &ArrayD<f64>) -> Result<Distinct> {
        if array.len() > u32::MAX as usize {
            return shape_err!("off_resonance: {} values; at most 2^32 - 1", array.len());
        }
        let mut values = collected(array.iter().copied(), array.len())?;
        values.par_sort_unstable_by(f64::total_cmp);
        values.dedup();
        let place = |v: &f64| values.partition_point(|k| k < v) as u32;
        let places = collected(array.iter().map(place), array.len())?;
        Ok(Distinct { values, places })
    }

    /// From the least to the largest.
    fn ends(&self) -> (f64, f64) {
        (self.values[0], self.values[self.values.len() - 1])
    }

    /// How often values occur, at equally spaced centres: the first, the distance, and the shares.
    fn histogram(&self, bins: usize) -> (f64, f64, Vec<f64>) {
        let (low, high) = self.ends();
        let width = (high - low) / bins as f64;
        let share = 1.0 / self.places.len() as f64;
        let mut shares = vec![0.0; if width > 0.0 { bins } else { 1 }];
        let last = shares.len() - 1;
        for &at in &self.places {
            let bin = if width > 0.0 { ((self.values[at as usize] - low) / width) as usize } else { 0 };
            shares[bin.min(last)] += share;
        }
        (low + 0.5 * width, width, shares)
    }
}

/// exp(−2πi·turns).
fn phase(turns: f64) -> Complex64 {
    Complex64::from_polar(1.0, -TAU * (turns - turns.round()))
}

fn single(c: Complex64) -> Complex32 {
    Complex32::new(c.re as f32, c.im as f32)
}

/// The interpolation of exp(−2πi u s) along u between nodes, with the least squared error over a histogram of s.
struct Fit {
    nodes: Vec<f64>,
    /// First bin of s, distance of bins, and the share of each.
    bins: (f64, f64, Vec<f64>),
    /// The Cholesky factor of the normal equations, row after row.
    factor: Vec<Vec<Complex64>>,
    /// The largest root-mean-square error on the way.
    error: f64,
}

impl Fit {
    fn of(u: &Distinct, s: &Distinct, segments: Segments) -> Result<Fit> {
        let ((u0, u1), (s0, s1)) = (u.ends(), s.ends());
        let turns = (u1 - u0) * (s1 - s0);
        // A sixteenth of a turn within a bin, at the most distant u.
        let bins = s.histogram(((16.0 * turns).ceil() as usize).clamp(64, 1 << 12));
        match segments {
            Segments::Count(n) if (1..=MOST_SEGMENTS).contains(&n) => Ok(Fit::with(n, (u0, u1), bins)),
            Segments::Count(n) => value_err!("off_resonance: {n} segments; expected 1 to {MOST_SEGMENTS}"),
            Segments::Tol(tol) if (LEAST_TOL..f64::INFINITY).contains(&tol) => {
                let mut fit = Fit::with(MOST_SEGMENTS, (u0, u1), bins.clone());
                if fit.error > tol {
                    return value_err!(
                        "off_resonance: an error of {tol:e} takes more than {MOST_SEGMENTS} segments, with {turns:.0} turns of \
                         phase between the ends; give a larger tol, a number of segments, or a smaller range of frequencies"
                    );
                }
                // The least number that does, by halves: more of them err less.
                let mut fewer = 0;
                while fit.nodes.len() - fewer > 1 {
                    let middle = Fit::with((fewer + fit.nodes.len()) / 2, (u0, u1), bins.clone());
                    match middle.error <= tol {
                        true => fit = middle,
                        false => fewer = middle.nodes.len(),
                    }
                }
                Ok(fit)
            }
            Segments::Tol(tol) => value_err!("off_resonance: tol is {tol}; expected {LEAST_TOL:e} or more"),
        }
    }

    fn with(count: usize, (low, high): (f64, f64), bins: (f64, f64, Vec<f64>)) -> Fit {
        let step = if count > 1 { (high - low) / (count - 1) as f64 } else { 0.0 };
        let first = if count > 1 { low } else { 0.5 * (low + high) };
        let nodes: Vec<f64> = (0..count).map(|l| first + l as f64 * step).collect();
        // ⟨e_l, e_k⟩ = Σ w exp(−2πi s (u_k − u_l)) depends on k − l alone.
        let gram: Vec<Complex64> = (0..count).map(|d| moment(&bins, d as f64 * step)).collect();
        let mut fit = Fit { nodes, bins, factor: cholesky(&gram), error: 0.0 };
        // Between nodes, where the error is largest.
        let probes = 8 * count;
        let errors = (0..=probes).into_par_iter().map(|i| {
            let u = low + (high - low) * i as f64 / probes as f64;
            let right = fit.right(u);
            let b = fit.solve(right.clone());
            let explained: Complex64 = (0..count)
                .map(|l| {
                    let row: Complex64 =
                        (0..count).map(|k| (if k >= l { gram[k - l] } else { gram[l - k].conj() }) * b[k]).sum();
                    b[l].conj() * (row - 2.0 * right[l])
                })
                .sum();
            (1.0 + explained.re).max(0.0)
        });
        fit.error = errors.reduce(|| 0.0, f64::max).sqrt();
        fit
    }

    /// ⟨e_l, exp(−2πi u s)⟩ for all nodes.
    fn right(&self, u: f64) -> Vec<Complex64> {
        self.nodes.iter().map(|node| moment(&self.bins, u - node)).collect()
    }

    /// The solution of the normal equations.
    fn solve(&self, mut b: Vec<Complex64>) -> Vec<Complex64> {
        let n = b.len();
        for i in 0..n {
            let known: Complex64 = (0..i).map(|k| self.factor[i][k] * b[k]).sum();
            b[i] = (b[i] - known) / self.factor[i][i];
        }
        for i in (0..n).rev() {
            let known: Complex64 = (i + 1..n).map(|k| self.factor[k][i].conj() * b[k]).sum();
            b[i] = (b[i] - known) / self.factor[i][i];
        }
        b
    }

    /// The weights of all nodes, for each u.
    fn weights(&self, u: &[f64]) -> Vec<Vec<Complex32>> {
        u.par_iter().map(|u| self.solve(self.right(*u)).into_iter().map(single).collect()).collect()
    }
}

/// Σ w exp(−2πi s u) over the bins of s.
fn moment((first, width, shares): &(f64, f64, Vec<f64>), u: f64) -> Complex64 {
    let turn = phase(width * u);
    // Horner's rule; moduli of 1 keep rounding where it is.
    let sum = shares.iter().rev().fold(Complex64::ZERO, |sum, w| sum * turn + w);
    sum * phase(first * u)
}

/// The lower factor of a Hermitian Toeplitz matrix of first row `row`, and of a little more on the diagonal: more segments than
/// the phase needs make it singular.
fn cholesky(row: &[Complex64]) -> Vec<Vec<Complex64>> {
    let n = row.len();
    let ridge = 1e-14 * n as f64;
    let mut factor: Vec<Vec<Complex64>> = Vec::with_capacity(n);
    for i in 0..n {
        let mut l = vec![Complex64::ZERO; i + 1];
        for k in 0..=i {
            let above = if k == i { &l } else { &factor[k] };
            let known: Complex64 = (0..k).map(|m| l[m] * above[m].conj()).sum();
            let entry = row[i - k].conj() - known;
            l[k] = match k == i {
                true => Complex64::from((entry.re + ridge).max(ridge).sqrt()),
                false => entry / factor[k][k],
            };
        }
        factor.push(l);
    }
    factor
}

/// Weights for each distinct value, as a tensor of segments in front of the places.
fn tensor(segment: Dim, over: &Shape, at: &Distinct, weights: &[Vec<Complex32>]) -> Result<Tensor> {
    let count = weights.first().map_or(1, Vec::len);
    let mut values = room_for(count * at.places.len(), "the weights of the segments")?;
    values.extend((0..count).flat_map(|l| at.places.iter().map(move |p| weights[*p as usize][l])));
    let (dims, extents): (Vec<Dim>, Vec<usize>) = std::iter::once((segment, count)).chain(over.iter()).unzip();
    let array = ArrayD::from_shape_vec(IxDyn(&extents), values);
    let array = array.map_err(|e| crate::Error::Shape(format!("off_resonance: {e}")))?;
    Tensor::from_host(Shape::new(dims, extents)?, Complex32::host(array.into_shared()))
}

#[derive(Debug)]
struct OffResonance {
    /// Phases of the segments, the operator over them, weights that are summed over them.
    linop: Linop,
    given: Given,
    details: String,
}

/// What it was made of.
#[derive(Debug)]
struct Given {
    a: Linop,
    field: (ArcArray<f64, IxDyn>, Vec<Dim>),
    times: (ArcArray<f64, IxDyn>, Vec<Dim>),
    options: OffResonanceOptions,
}

impl Operator for OffResonance {
    fn op(&self) -> &'static str {
        "off_resonance"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn children(&self) -> &[Linop] {
        std::slice::from_ref(&self.linop)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.linop.forward(b, x)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let Given { a, field, times, options } = &self.given;
        to.field("field", SavedArray::Coordinates(field.0.clone()));
        to.field("field_dims", join(&field.1));
        to.field("times", SavedArray::Coordinates(times.0.clone()));
        to.field("time_dims", join(&times.1));
        match options.segments {
            Segments::Count(n) => to.field("segments", n),
            Segments::Tol(tol) => to.field("tol", tol),
        }
        to.unless("of", if options.of == Segmentation::Frequency { "frequency" } else { "time" }, "time");
        to.linop(a, Some(a.input()?))?;
        to.within(a.input()?.clone(), a.output()?.clone());
        Ok(())
    }
}
