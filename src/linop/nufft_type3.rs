//! The non-uniform Fourier transform between two sets of points.

use super::interpolate::{flat_locs, sample_extents};
use super::{Linop, Operator, SavedArray, Saver};
use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Dim, Shape, ToShape, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::points::{Footprint, Points, Profile, Window};
use crate::primitive::contract::Contract;
use crate::primitive::nufft::{Accuracy, Convolve, FACTORS, Nufft, grid_above, width_reaching};
use crate::setters::setters;
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};
use std::f64::consts::{PI, TAU};

/// Options of [`nufft_type3`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct NufftType3Options {
    /// Relative l2 error of the result and of the adjoint's: 1e-4, 3e-6 at least.
    pub tol: f64,
    /// Whether the normal has a convolution in its middle (Toeplitz): always, never, or where it is cheaper and as exact.
    pub toeplitz: Option<bool>,
}

setters! { NufftType3Options {
    /// With another tolerance.
    tol: f64,
    /// With a normal that always has a convolution in its middle, or never.
    toeplitz: Option<bool>,
} }

impl Default for NufftType3Options {
    fn default() -> Self {
        NufftType3Options { tol: 1e-4, toeplitz: None }
    }
}

/// The smallest tolerance: what float32 leaves of two interpolations and a transform.
const LEAST_TOL: f64 = 3e-6;

/// Cells of the grid between the two sets, at most.
const MOST_CELLS: f64 = (1u64 << 31) as f64;

/// Pairs of points that are summed directly, at most: 8 MiB of factors.
const MOST_PAIRS: usize = 1 << 20;

/// How much wider than the targets the band is.
const EDGE: f64 = 1.04;

/// Points of either set below which errors are no longer near their mean.
const FEW: usize = 64;

/// y_m = Σ_n c_n exp(−2πi x_n·s_m), from values at points x to values at frequencies s, both anywhere: type 3. Not normalised.
///
/// `sources` (…, D) are the x and `targets` (…, D) the s, with D of 1 to 3; units are each other's inverse. The sources' leading
/// axes are the last dims of the input; they leave, and the targets' come in their place. `out` names the output dims.
///
/// The relative l2 error against the sum is within the tolerance, for random points and values. Values are spread to a grid that
/// is fine enough for the spread of s, with that grid's type 2 transform to s behind, and the kernel's transform divided out
/// (Lee and Greengard, J. Comput. Phys. 206:1, 2005; Barnett, Magland and af Klinteberg, SIAM J. Sci. Comput. 41:C479, 2019).
/// Both sets are centred first, which phases before and behind make good. Few points (below 64 in either set), and what takes no
/// more so, are summed as written, up to a million pairs. Else the cost is that of two kernels for each point and of
/// a Fourier transform whose length along an axis is about 2 to 4 times the product of both sets' widths (the number of turns
/// that exp makes); where points lie in clusters far apart, cut them into several linops and add.
///
/// The adjoint is the exact transpose of that, c_n = Σ_m y_m exp(+2πi x_n·s_m); the normal is both, with a convolution in its
/// middle where that is cheaper, as [`nufft`](super::nufft()) has it, and exact enough: the kernel's transform is divided out
/// twice there, which rounding grows by. [`Linop::nufft_normals`] says which it is.
///
/// [Splits](Linop::split) along the sources, the targets and the dims in front.
///
/// ```
/// use linops::linop::{self, NufftType3Options};
/// use linops::Tensor;
/// let (x, s) = (ndarray::arr2(&[[0.0], [0.3]]).into_dyn(), ndarray::arr2(&[[0.0], [2.5]]).into_dyn());
/// let a = linop::nufft_type3("N=2", &x, &s, NufftType3Options::default(), "M")?;
/// let y = a.apply(&Tensor::from_array(ndarray::array![1.0f32, 2.0], "N")?)?.to_array()?;
/// // 1 + 2 exp(−2πi·0.75) = 1 + 2i.
/// assert!((y[0].re - 3.0).abs() < 1e-3 && (y[1].re - 1.0).abs() < 1e-3 && (y[1].im - 2.0).abs() < 1e-3);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// The last extents of the input are not those of the sources, the sets have other numbers of components than 1 to 3 or none, a
/// coordinate is not finite, the tolerance is out of reach, the product of both sets' widths asks for 2³¹ cells or more, or
/// `toeplitz` asks for a convolution that is not as exact as the tolerance.
pub fn nufft_type3(
    input: impl ToShape,
    sources: &ArrayD<f64>,
    targets: &ArrayD<f64>,
    options: NufftType3Options,
    out: &str,
) -> Result<Linop> {
    build(input.to_shape()?, sources, targets, options, out).map_err(|e| e.at("nufft_type3"))
}

fn build(
    input: Shape,
    sources: &ArrayD<f64>,
    targets: &ArrayD<f64>,
    options: NufftType3Options,
    out: &str,
) -> Result<Linop> {
    let d = components("sources", sources)?;
    if components("targets", targets)? != d {
        return shape_err!("the sources {:?} and targets {:?} differ in components", sources.shape(), targets.shape());
    }
    if !(LEAST_TOL..1.0).contains(&options.tol) {
        return value_err!("tol is {}; expected {LEAST_TOL:.0e} (what float32 reaches) to 1", options.tol);
    }
    let samples = sample_extents(sources);
    let kept = match input.rank().checked_sub(samples.len()) {
        Some(kept) if input.extents()[kept..] == *samples => input.extents()[..kept].to_vec(),
        _ => return shape_err!("the sources have extents {samples:?}, expected those of the last dims of {input}"),
    };
    let end = sample_extents(targets).to_vec();
    let extents: Vec<usize> = kept.iter().chain(&end).copied().collect();
    let dims: Vec<Dim> = parse_dims(out)?;
    if dims.len() != extents.len() {
        return shape_err!(
            "out \"{out}\" names {} dims, expected {} of extents {extents:?}",
            dims.len(),
            extents.len()
        );
    }
    let output = Shape::new(dims, extents)?;
    let (x, s) = (flat_locs(sources), flat_locs(targets));
    let between = Between::new(&x, &s, d, options)?;
    let given = Given { sources: sources.to_shared(), targets: targets.to_shared(), options };
    let how = match &between {
        Between::Direct(_) => "summed directly".to_string(),
        Between::Grid(spread) => format!("{:?}", spread.points),
    };
    let details = format!("{} to {} points, {how}", x.len() / d, s.len() / d);
    Ok(Linop::of(input, output, Type3 { kept, end, between, given, details }))
}

/// Components of a set of points.
fn components(what: &str, locs: &ArrayD<f64>) -> Result<usize> {
    let d = locs.shape().last().copied().unwrap_or(0);
    if !(1..=3).contains(&d) || locs.is_empty() {
        return shape_err!("the {what} have extents {:?}; expected points of 1 to 3 components", locs.shape());
    }
    match locs.iter().find(|v| !v.is_finite()) {
        Some(v) => value_err!("a coordinate of the {what} is {v}; expected finite numbers"),
        None => Ok(d),
    }
}

/// A set of points along one axis: its middle, and how far from it they lie.
#[derive(Clone, Copy)]
struct Span {
    middle: f64,
    reach: f64,
}

impl Span {
    fn of(points: &[f64], axis: usize, d: usize) -> Span {
        let along = || points.iter().skip(axis).step_by(d).copied();
        let (low, high) = along().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let middle = 0.5 * low + 0.5 * high;
        Span { middle, reach: (high - middle).max(middle - low) }
    }
}

/// A grid between both sets, for one kernel.
struct Grid {
    sigma: f64,
    width: f64,
    /// Distance of cells, in units of the sources.
    step: Vec<f64>,
    extents: Vec<usize>,
}

impl Grid {
    /// Cells so fine that the targets lie in the inner 1/σ of their band, and so many that no footprint meets an end.
    fn new(x: &[Span], s: &[Span], sigma: f64, width: f64) -> Result<Grid> {
        let (mut step, mut extents, mut cells) = (Vec::new(), Vec::new(), 1.0);
        for (x, s) in x.iter().zip(s) {
            // A quarter of a turn at least, so that points that coincide have a scale too.
            let band = match (x.reach > 0.0, s.reach > 0.0) {
                (true, _) => s.reach.max(0.25 / x.reach),
                (false, true) => s.reach,
                (false, false) => 1.0,
            };
            // The very edge of the band, where a kernel is worst by far, is left free: on a lattice many targets lie at the ends.
            let h = 0.5 / (sigma * band * EDGE);
            let least = 2.0 * x.reach / h + width + 2.0;
            cells *= least;
            if !(cells < MOST_CELLS && h.is_normal()) {
                return value_err!(
                    "the sources reach {:.3e} from their middle and the targets {:.3e}: their product asks for {least:.3e} cells; \
                     expected fewer than 2^31 in all, take clusters that lie far apart one by one",
                    x.reach,
                    s.reach
                );
            }
            step.push(h);
            extents.push(grid_above((least.ceil() as usize).max(2 * width as usize)));
        }
        Ok(Grid { sigma, width, step, extents })
    }

    /// Grids for the kernels that are exact enough: half of the error by either interpolation, squared sums being less.
    fn candidates(x: &[Span], s: &[Span], tol: f64) -> Result<Vec<Grid>> {
        let widths =
            FACTORS.iter().filter_map(|&sigma| Some((sigma, width_reaching(0.5 * tol, sigma, x.len(), true)?)));
        widths.map(|(sigma, width)| Grid::new(x, s, sigma, width)).collect()
    }

    /// What exp makes from a cell to the next at a target, seen from the targets' middle.
    fn turns(&self, axis: usize, s: f64, ss: &[Span]) -> f64 {
        (s - ss[axis].middle) * self.step[axis]
    }

    /// Nominal operations: footprints, and the transform of a grid that is finer again.
    fn cost(&self, points: usize) -> f64 {
        let cells: f64 = self.extents.iter().map(|&n| 1.5 * n as f64).product();
        cells * (4.0 * cells.log2() + 20.0) + points as f64 * (2.0 * self.width.powi(self.extents.len() as i32) + 30.0)
    }
}

/// What lies between the two sets.
#[derive(Debug)]
enum Between {
    /// The factor of each pair, targets × sources.
    Direct(Constant),
    Grid(Spread),
}

/// The way by a grid.
#[derive(Debug)]
struct Spread {
    /// On what is spread: the targets' middle at the sources.
    before: Constant,
    points: Points,
    nufft: Nufft,
    /// On the result: the sources' middle at the targets, over the kernel's transform.
    after: Constant,
}

impl Between {
    fn new(x: &[f64], s: &[f64], d: usize, options: NufftType3Options) -> Result<Between> {
        let spans = |points: &[f64]| (0..d).map(|a| Span::of(points, a, d)).collect::<Vec<_>>();
        let (xs, ss) = (spans(x), spans(s));
        let (sources, targets) = (x.len() / d, s.len() / d);
        let pairs = sources.checked_mul(targets).filter(|n| *n <= MOST_PAIRS && options.toeplitz != Some(true));
        // As exact as f64 has the turns.
        let most = |points: &[f64]| points.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let digits = TAU * most(x) * most(s) * d as f64 * f64::EPSILON;
        let direct = pairs.filter(|_| digits <= 0.1 * options.tol);
        if direct.is_some() && sources.min(targets) < FEW {
            return factors(x, s, d).map(Between::Direct);
        }
        let grids = Grid::candidates(&xs, &ss, options.tol)?;
        let cheapest = grids.iter().map(|g| g.cost(sources + targets)).fold(f64::INFINITY, f64::min);
        if direct.is_some_and(|pairs| 8.0 * pairs as f64 <= cheapest) {
            return factors(x, s, d).map(Between::Direct);
        }
        Spread::new((x, &xs), (s, &ss), grids, options).map(Between::Grid)
    }
}

/// exp(−2πi x·s) of each pair, targets × sources.
fn factors(x: &[f64], s: &[f64], d: usize) -> Result<Constant> {
    let pairs = s.chunks_exact(d).flat_map(|s| x.chunks_exact(d).map(move |x| (x, s)));
    let value = |(x, s): (&[f64], &[f64])| {
        let turns: f64 = x.iter().zip(s).map(|(x, s)| x * s).map(|t| t - t.round()).sum();
        let (sin, cos) = (-TAU * turns).sin_cos();
        Complex32::new(cos as f32, sin as f32)
    };
    let extents = vec![s.len() / d, x.len() / d];
    let values = crate::allocate::collected(pairs.map(value), extents.iter().product())?;
    Constant::new(extents, ConstantData::C32(values))
}

/// The kernel of a grid, where its targets are.
struct Kernel {
    window: Window,
    /// Its transform at each target.
    at: Vec<f64>,
    /// How much errors of what comes behind grow when it is divided out, in the mean square over the targets: against what the
    /// kernel leaves of them at these, or of errors that lie all over the band.
    growth: f64,
}

impl Kernel {
    fn new(grid: &Grid, s: &[f64], ss: &[Span]) -> Kernel {
        let window = Window::new(grid.width, grid.sigma);
        let transform = |turns: f64| 0.5 * grid.width * window.transform(PI * grid.width * turns);
        let product = |s: &[f64]| s.iter().enumerate().map(|(a, s)| transform(grid.turns(a, *s, ss))).product::<f64>();
        let at: Vec<f64> = s.chunks_exact(ss.len()).map(product).collect();
        let mean = |square: &dyn Fn(&f64) -> f64| at.iter().map(square).sum::<f64>() / at.len() as f64;
        let modes = (0..32).map(|i| transform(0.5 / grid.sigma * (f64::from(i) + 0.5) / 32.0).powi(2));
        let band = (modes.sum::<f64>() / 32.0).powi(ss.len() as i32);
        let growth = (mean(&|v| v * v).max(band) * mean(&|v| 1.0 / (v * v))).sqrt();
        Kernel { window, at, growth }
    }

    /// The tolerance of the transform behind, which may be below what there is.
    fn behind(&self, tol: f64) -> f64 {
        0.8 * tol / self.growth
    }
}

impl Spread {
    fn new(
        (x, xs): (&[f64], &[Span]),
        (s, ss): (&[f64], &[Span]),
        mut grids: Vec<Grid>,
        options: NufftType3Options,
    ) -> Result<Spread> {
        let (tol, d) = (options.tol, xs.len());
        let points = (x.len() + s.len()) / d;
        grids.sort_by(|a, b| a.cost(points).total_cmp(&b.cost(points)));
        // The cheapest behind which a transform is exact enough; if there is none, the one where least is missing.
        let mut best: Option<(Grid, Kernel)> = None;
        for grid in grids {
            let kernel = Kernel::new(&grid, s, ss);
            let enough = kernel.behind(tol) >= Accuracy::LEAST_TOL;
            if enough || best.as_ref().is_none_or(|(_, b)| kernel.growth < b.growth) {
                best = Some((grid, kernel));
            }
            if enough {
                break;
            }
        }
        let Some((grid, kernel)) = best else { return value_err!("no kernel reaches tol {tol}; use a larger one") };
        let footprint = Footprint {
            width: vec![grid.width; d],
            profile: vec![Profile::window(&kernel.window); d],
            radial: false,
            circular: true,
            closed: false,
        };
        let cell = |(i, x): (usize, &f64)| (x - xs[i % d].middle) / grid.step[i % d] + (grid.extents[i % d] / 2) as f64;
        let cells: Vec<f64> = x.iter().enumerate().map(cell).collect();
        let points = Points::new(&cells, &grid.extents, &footprint)?;
        let frequency = |(i, s): (usize, &f64)| grid.turns(i % d, *s, ss) * grid.extents[i % d] as f64;
        let locs = s.iter().enumerate().map(frequency).collect();
        let accuracy = Accuracy::Tol(kernel.behind(tol).max(Accuracy::LEAST_TOL));
        let convolve = kernel.convolve(options)?;
        let nufft = Nufft::new(&grid.extents, &[s.len() / d], locs, accuracy, convolve)?;
        let whole: f64 = grid.extents.iter().map(|&n| (n as f64).sqrt()).product();
        let before = phases(x.chunks_exact(d), |_, x| {
            let turns = x.iter().zip(xs).zip(ss).map(|((x, own), other)| (x - own.middle) * other.middle);
            Complex64::from_polar(1.0, -TAU * turns.map(|t| t - t.round()).sum::<f64>())
        })?;
        let after = phases(s.chunks_exact(d), |m, s| {
            let phase = s.iter().zip(xs).map(|(s, other)| s * other.middle).map(|t| t - t.round()).sum::<f64>();
            Complex64::from_polar(whole / kernel.at[m], -TAU * phase)
        })?;
        Ok(Spread { before, points, nufft, after })
    }
}

impl Kernel {
    /// Whether the normal may be a convolution. What it multiplies by is the square of what divides the kernel's transform out, so
    /// its own errors grow by the square, too.
    fn convolve(&self, options: NufftType3Options) -> Result<Convolve> {
        let error = self.growth * self.growth * Accuracy::LEAST_TOL;
        match options.toeplitz {
            Some(true) if error > options.tol => value_err!(
                "toeplitz: the convolution in the normal would have an error of {error:.0e}, more than tol {:.0e}: the kernel's \
                 transform is divided out twice; take a tol of {error:.0e}, or leave toeplitz out",
                options.tol
            ),
            None if error > options.tol => Ok(Convolve::Inexact(error)),
            asked => Ok(asked.into()),
        }
    }
}

/// One number for each point.
fn phases<'p>(
    points: impl ExactSizeIterator<Item = &'p [f64]>,
    value: impl Fn(usize, &[f64]) -> Complex64,
) -> Result<Constant> {
    let n = points.len();
    let narrow = |c: Complex64| Complex32::new(c.re as f32, c.im as f32);
    let values = crate::allocate::collected(points.enumerate().map(|(k, p)| narrow(value(k, p))), n)?;
    Constant::new(vec![n], ConstantData::C32(values))
}

#[derive(Debug)]
struct Type3 {
    kept: Vec<usize>,
    /// Extents of the targets.
    end: Vec<usize>,
    between: Between,
    given: Given,
    details: String,
}

/// What lies between was made of: points cannot be had back from it.
#[derive(Debug)]
struct Given {
    sources: ArcArray<f64, IxDyn>,
    targets: ArcArray<f64, IxDyn>,
    options: NufftType3Options,
}

impl Operator for Type3 {
    fn op(&self) -> &'static str {
        "nufft_type3"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let (batch, kept) = (self.kept.len(), self.kept.iter().copied());
        let sources = b.extents(x)[batch..].iter().product();
        let v = b.reshape(x, kept.clone().chain([sources]).collect())?;
        let v = match &self.between {
            Between::Direct(weight) => {
                let (source, target) = (batch as u32, batch as u32 + 1);
                let with = |last: u32| (0..batch as u32).chain([last]).collect();
                let (w, x, y) = (vec![target, source], with(source), with(target));
                b.contract(v, Contract { weight: weight.clone(), conj: false, w, x, y })?
            }
            Between::Grid(Spread { before, points, nufft, after }) => {
                let v = b.mul(v, before.clone(), vec![batch], false)?;
                let v = b.spread(v, points.clone())?;
                let v = b.nufft(v, nufft.clone())?;
                b.mul(v, after.clone(), vec![batch], false)?
            }
        };
        b.reshape(v, kept.chain(self.end.iter().copied()).collect())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let Given { sources, targets, options } = &self.given;
        to.field("sources", SavedArray::Coordinates(sources.clone()));
        to.field("targets", SavedArray::Coordinates(targets.clone()));
        to.field("tol", options.tol);
        if let Some(always) = options.toeplitz {
            to.field("toeplitz", always);
        }
        Ok(())
    }
}
