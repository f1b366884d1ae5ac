//! Interpolation from a grid to points between its cells, and its adjoint, gridding.

use super::{Linop, Operator, SavedArray, SavedValue, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, called, nameless};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::points::Points;
use crate::points::{Footprint, Profile};
use crate::setters::setters;
use ndarray::{ArcArray, ArrayD, IxDyn};

/// The interpolation kernel K(u), u = distance/(width/2), 0 for |u| > 1.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InterpolationKernel {
    /// I₀(β√(1 − u²)), not normalised.
    KaiserBessel {
        /// Shape: the larger, the narrower.
        beta: f64,
    },
    /// B-splines as SigPy defines them: 1; 1 − |u|; the quadratic one of width 3.
    Spline {
        /// 0, 1 or 2.
        order: u8,
    },
    /// Cubic convolution with a = −1/2 (Keys, IEEE Trans. ASSP 29:1153, 1981), which the default width of 4 fits: values on cells
    /// stay, and polynomials of second degree are interpolated exactly. Its weights add up to 1.
    Cubic,
}

/// How a kernel of one variable is used along several axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelNorm {
    /// The product of K(u_d) along the axes ("norm": 1).
    #[default]
    Product,
    /// K of the 2-norm of u ("norm": 2).
    Radial,
}

/// What lies beyond the ends of a grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Boundary {
    /// Its other end.
    #[default]
    Circular,
    /// Zeros.
    Zero,
}

/// Options of [`interpolate`] and [`gridding`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct InterpolateOptions {
    /// Full width of the kernel in cells, 1 to 64: one for all axes, or one for each.
    pub width: Vec<f64>,
    /// The kernel.
    pub kernel: InterpolationKernel,
    /// How it is used along several axes.
    pub norm: KernelNorm,
    /// What lies beyond the ends of the grid.
    pub boundary: Boundary,
}

setters! { InterpolateOptions {
    /// With a kernel of this width.
    width: Vec<f64>,
    /// With another kernel.
    kernel: InterpolationKernel,
    /// With another use along several axes.
    norm: KernelNorm,
    /// With something else beyond the ends.
    boundary: Boundary,
} }

impl Default for InterpolateOptions {
    fn default() -> Self {
        let kernel = InterpolationKernel::KaiserBessel { beta: 1.0 };
        InterpolateOptions { width: vec![4.0], kernel, norm: KernelNorm::Product, boundary: Boundary::Circular }
    }
}

/// y_m = Σ_n K(n − t_m) x_n for points t in units of grid cells, over all cells with |n_d − t_d| ≤ width/2.
///
/// `locs` is (…, D): component d of a point belongs to the d-th dim of `axes`. These dims leave; the sample dims, one for each
/// leading axis of `locs`, come last. `out` names the output dims; `...`
/// stands for those that stay. Coordinates are prepared in f64; weights are f32.
///
/// The adjoint is [`gridding`]; the normal is both. One pass, of up to Π(⌊width⌋ + 1) cells for each sample.
/// [Splits](Linop::split) along the samples and the dims that stay. O'Sullivan, IEEE Trans. Med. Imaging 4:200 (1985); Jackson
/// et al., IEEE Trans. Med. Imaging 10:473 (1991).
///
/// ```
/// use linops::linop::{self, InterpolateOptions, InterpolationKernel};
/// use linops::Tensor;
/// let locs = ndarray::arr2(&[[0.5], [2.0]]).into_dyn();
/// let linear = InterpolateOptions::default().width(vec![2.0]).kernel(InterpolationKernel::Spline { order: 1 });
/// let a = linop::interpolate("N=4", &locs, "N", &linear, "S")?;
/// let y = a.apply(&Tensor::from_array(ndarray::array![1.0f32, 3.0, 5.0, 7.0], "N")?)?;
/// assert_eq!(y.to_real_array()?.as_slice(), Some(&[2.0f32, 5.0][..]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names other than 1 to 3 dims of the input, `locs` has another number of components or none, a coordinate is not
/// finite, or an option is outside of its domain.
pub fn interpolate(
    input: impl ToShape,
    locs: &ArrayD<f64>,
    axes: impl ToDims,
    options: &InterpolateOptions,
    out: impl ToDims,
) -> Result<Linop> {
    let input = input.to_shape()?;
    let axes = axes.to_dims()?;
    let layout = Layout::new(&input, locs, &axes, "interpolate")?;
    let points = prepare(locs, &layout.grid, options).map_err(|e| e.at("interpolate"))?;
    let output = layout.output(out, "interpolate")?;
    let given = Given::new(locs, options);
    Ok(Linop::of(input, output, Interpolate { layout, points, given }))
}

/// The adjoint of [`interpolate`]: spreads samples, the trailing dims of the input, onto a grid. `to` gives the grid's dims and
/// extents in the order of the components of `locs`; they come last.
///
/// y_n = Σ_m K(n − t_m) x_m, which each cell adds up in an order that the points fix. The adjoint is `interpolate`, the normal both, one after
/// the other. Cost, sources, and dims along which it
/// splits are those of `interpolate`.
///
/// ```
/// use linops::linop::{self, InterpolateOptions, InterpolationKernel};
/// use linops::Tensor;
/// let locs = ndarray::arr2(&[[0.5], [2.0]]).into_dyn();
/// let linear = InterpolateOptions::default().width(vec![2.0]).kernel(InterpolationKernel::Spline { order: 1 });
/// let a = linop::gridding("S=2", &locs, "N=4", &linear)?;
/// let y = a.apply(&Tensor::from_array(ndarray::array![1.0f32, 2.0], "S")?)?;
/// assert_eq!(y.to_real_array()?.as_slice(), Some(&[0.5f32, 0.5, 2.0, 0.0][..]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `interpolate`; the trailing extents of the input are not those of `locs`.
pub fn gridding(
    input: impl ToShape,
    locs: &ArrayD<f64>,
    to: impl ToShape,
    options: &InterpolateOptions,
) -> Result<Linop> {
    let (input, to) = (input.to_shape()?, to.to_shape()?);
    let samples = sample_extents(locs);
    let kept = match input.rank().checked_sub(samples.len()) {
        Some(kept) if input.extents()[kept..] == *samples => kept,
        _ => {
            return shape_err!(
                "gridding: the locations have extents {samples:?}, expected those of the last dims of {input}"
            );
        }
    };
    let dims: Vec<Dim> = input.dims()[..kept].iter().chain(to.dims()).copied().collect();
    let extents: Vec<usize> = input.extents()[..kept].iter().chain(to.extents()).copied().collect();
    let grid = Shape::new(dims, extents).map_err(|e| e.at("gridding"))?;
    let layout = Layout::new(&grid, locs, to.dims(), "gridding")?;
    let points = prepare(locs, &layout.grid, options).map_err(|e| e.at("gridding"))?;
    let given = Given::new(locs, options);
    Ok(Linop::of(input.clone(), grid, Gridding { layout, points, given }))
}

/// Extents of the samples: all axes of the locations but the last.
pub(super) fn sample_extents(locs: &ArrayD<f64>) -> &[usize] {
    &locs.shape()[..locs.ndim().saturating_sub(1)]
}

/// Which axes are the grid, and what comes out.
#[derive(Debug)]
pub(super) struct Layout {
    /// The kept axes, then those of the grid in the order of the locations' components.
    pub order: Vec<usize>,
    /// Extents of the kept axes.
    pub kept: Vec<usize>,
    /// Their dims.
    pub stays: Vec<Dim>,
    /// Extents of the grid.
    pub grid: Vec<usize>,
    /// Extents of the samples.
    pub samples: Vec<usize>,
    /// Names of the grid's dims.
    pub names: String,
}

impl Layout {
    pub fn new(input: &Shape, locs: &ArrayD<f64>, axes: &[Dim], op: &str) -> Result<Layout> {
        if !(1..=3).contains(&axes.len()) {
            return shape_err!("{op}: {} dims are named; expected 1, 2 or 3", axes.len());
        }
        let components = locs.shape().last().copied().unwrap_or(0);
        if locs.ndim() == 0 || components != axes.len() {
            return shape_err!(
                "{op}: the locations have extents {:?}; expected the last one to be {}, one component for each dim of \"{}\"",
                locs.shape(),
                axes.len(),
                crate::dim::join(axes)
            );
        }
        if locs.is_empty() {
            return shape_err!("{op}: the locations have extents {:?}; expected at least one point", locs.shape());
        }
        let at = axes.iter().map(|d| input.require(*d)).collect::<Result<Vec<_>>>().map_err(|e| e.at(op))?;
        let kept: Vec<usize> = (0..input.rank()).filter(|a| !at.contains(a)).collect();
        Ok(Layout {
            order: kept.iter().chain(&at).copied().collect(),
            kept: kept.iter().map(|&a| input.extents()[a]).collect(),
            stays: kept.iter().map(|&a| input.dims()[a]).collect(),
            grid: at.iter().map(|&a| input.extents()[a]).collect(),
            samples: sample_extents(locs).to_vec(),
            names: crate::dim::join(axes),
        })
    }

    /// The grid's axes, in the order of the locations' components.
    pub fn axes(&self) -> &[usize] {
        &self.order[self.kept.len()..]
    }

    /// The output of a linop from the grid to the samples.
    pub fn output(&self, out: impl ToDims, op: &str) -> Result<Shape> {
        let mut axes = called(&self.stays, &self.kept);
        axes.extend(nameless(&self.samples));
        out.to_pattern().and_then(|p| p.name(&axes)).map_err(|e| e.at(format!("{op}: out")))
    }

    /// The kept axes with all samples as one axis behind them.
    fn flat(&self) -> Vec<usize> {
        let count = self.samples.iter().product();
        self.kept.iter().copied().chain([count]).collect()
    }

    /// x with the grid's axes last.
    pub fn grid_last(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.permute(x, &self.order)
    }

    /// The result under the samples' extents.
    pub fn unflattened(&self, b: &mut Builder, y: ValueId) -> Result<ValueId> {
        b.reshape(y, self.kept.iter().chain(&self.samples).copied().collect())
    }
}

/// The locations' values, point after point.
pub(super) fn flat_locs(locs: &ArrayD<f64>) -> Vec<f64> {
    locs.iter().copied().collect()
}

fn prepare(locs: &ArrayD<f64>, grid: &[usize], options: &InterpolateOptions) -> Result<Points> {
    let d = grid.len();
    let width = match options.width.len() {
        1 => vec![options.width[0]; d],
        n if n == d => options.width.clone(),
        n => return shape_err!("{n} widths for {d} dims; give one, or one for each"),
    };
    let profile = match options.kernel {
        InterpolationKernel::KaiserBessel { beta } if !(0.0..=80.0).contains(&beta) => {
            return value_err!("beta is {beta}; expected 0 to 80 (its kernel would not fit float32)");
        }
        InterpolationKernel::KaiserBessel { beta } => Profile::kaiser_bessel(beta),
        InterpolationKernel::Spline { order } if order > 2 => {
            return value_err!("a spline of order {order}; expected 0, 1 or 2");
        }
        InterpolationKernel::Spline { order } => Profile::Spline(order),
        InterpolationKernel::Cubic => Profile::Cubic,
    };
    let (radial, circular) = (options.norm == KernelNorm::Radial, options.boundary == Boundary::Circular);
    let footprint = Footprint { width, profile: vec![profile; d], radial, circular, closed: true };
    Points::new(&flat_locs(locs), grid, &footprint)
}

/// What the points were made of: coordinates cannot be had back from them.
#[derive(Debug)]
struct Given {
    locs: ArcArray<f64, IxDyn>,
    options: InterpolateOptions,
}

impl Given {
    fn new(locs: &ArrayD<f64>, options: &InterpolateOptions) -> Given {
        Given { locs: locs.to_shared(), options: options.clone() }
    }

    fn saved(&self, to: &mut Saver) {
        let InterpolateOptions { width, kernel, norm, boundary } = &self.options;
        to.field("locs", SavedArray::Coordinates(self.locs.clone()));
        match &width[..] {
            _ if *kernel == InterpolationKernel::Cubic => {}
            [one] => to.field("width", *one),
            many => to.field("width", many.iter().map(|&w| w.into()).collect::<Vec<SavedValue>>()),
        }
        match *kernel {
            InterpolationKernel::KaiserBessel { beta } => to.field("beta", beta),
            InterpolationKernel::Spline { order } => {
                to.field("kernel", "spline");
                to.field("order", usize::from(order));
            }
            InterpolationKernel::Cubic => to.field("kernel", "cubic"),
        }
        to.unless("norm", if *norm == KernelNorm::Radial { 2usize } else { 1 }, 1);
        to.unless("boundary", if *boundary == Boundary::Zero { "zero" } else { "circular" }, "circular");
    }
}

#[derive(Debug)]
struct Interpolate {
    layout: Layout,
    points: Points,
    given: Given,
}

impl Operator for Interpolate {
    fn op(&self) -> &'static str {
        "interpolate"
    }

    fn details(&self) -> String {
        format!("{}, {:?}", self.layout.names, self.points)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = self.layout.grid_last(b, x)?;
        let y = b.interpolate(x, self.points.clone())?;
        self.layout.unflattened(b, y)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", self.layout.axes());
        self.given.saved(to);
        Ok(())
    }
}

#[derive(Debug)]
struct Gridding {
    layout: Layout,
    points: Points,
    given: Given,
}

impl Operator for Gridding {
    fn op(&self) -> &'static str {
        "gridding"
    }

    fn details(&self) -> String {
        format!("{}, {:?}", self.layout.names, self.points)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.reshape(x, self.layout.flat())?;
        // The grid's dims are the last ones already, in the order of the components.
        b.spread(x, self.points.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (input, output, kept) = (to.input(), to.output(), self.layout.kept.len());
        let names = to.unused(&output.dims()[kept..]);
        let grid = Shape::new(names.clone(), self.layout.grid.clone())?;
        to.field("axes", names.iter().map(|d| d.to_string().into()).collect::<Vec<SavedValue>>());
        to.extents("to", &grid);
        self.given.saved(to);
        let dims: Vec<Dim> = input.dims()[..kept].iter().chain(&names).copied().collect();
        to.makes(output.renamed(&dims)?);
        Ok(())
    }
}
