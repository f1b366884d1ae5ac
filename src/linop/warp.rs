//! Images moved by a field of displacements.

use super::interpolate::Boundary;
use super::{Linop, Operator, SavedArray, Saver, axes_of};
use crate::access::ValueId;
use crate::allocate;
use crate::dim::{ToDims, ToShape, join};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::points::{Footprint, Points, Profile};
use crate::setters::setters;
use ndarray::{ArcArray, ArrayD, IxDyn};

/// How values between cells are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarpKernel {
    /// Of the two cells beside a point, along each axis.
    #[default]
    Linear,
    /// Of four cells: cubic convolution with a = −1/2.
    Cubic,
}

/// Options of [`warp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WarpOptions {
    /// How values between cells are made.
    pub kernel: WarpKernel,
    /// What lies beyond the ends of the image: zeros by default.
    pub boundary: Boundary,
}

setters! { WarpOptions {
    /// With another kernel.
    kernel: WarpKernel,
    /// With something else beyond the ends.
    boundary: Boundary,
} }

impl Default for WarpOptions {
    fn default() -> Self {
        WarpOptions { kernel: WarpKernel::Linear, boundary: Boundary::Zero }
    }
}

/// `y[n] = x(n + u[n])`: the image along the 1 to 3 dims in `axes`, moved by a field of displacements in cells. Dims and extents
/// stay; the other dims are a batch that is moved alike.
///
/// `displacement` is (D, …): component d belongs to the d-th dim of `axes`, and its other axes are these dims in their order. x
/// between cells is x(t) = Σ_n Π_d w(n_d − t_d) x_n with w(s) = 1 − |s| (linear), or cubic convolution with a = −1/2 (Keys, IEEE
/// Trans. ASSP 29:1153, 1981), which is exact for polynomials of second degree. Coordinates are prepared in f64.
///
/// Each value is of 2^D or 4^D cells. The adjoint is the exact transpose: every value is spread to the cells that it was made of,
/// which undoes no motion; the normal is both.
///
/// One pass each way. [Splits](Linop::split) along dims of the batch, and the first one of `axes`.
///
/// ```
/// use linops::linop::{self, WarpOptions};
/// use linops::Tensor;
/// // Half a cell to the right; beyond the end lie zeros.
/// let u = ndarray::Array2::from_elem((1, 4), 0.5).into_dyn();
/// let a = linop::warp("N=4", "N", &u, WarpOptions::default())?;
/// let y = a.apply(&Tensor::from_array(ndarray::array![2.0f32, 4.0, 6.0, 8.0], "N")?)?;
/// assert_eq!(y.to_real_array()?.as_slice(), Some(&[3.0f32, 5.0, 7.0, 4.0][..]));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names other than 1 to 3 dims of the input, the field has other extents, or a displacement is not finite.
pub fn warp(input: impl ToShape, axes: impl ToDims, displacement: &ArrayD<f64>, options: WarpOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("warp"))?);
    let input = input.to_shape()?;
    let at = axes_of(&input, axes).map_err(|e| e.at("warp"))?;
    let d = at.len();
    if !(1..=3).contains(&d) {
        return shape_err!("warp: {d} dims are named; expected 1, 2 or 3");
    }
    let grid: Vec<usize> = at.iter().map(|&a| input.extents()[a]).collect();
    let expected: Vec<usize> = std::iter::once(d).chain(grid.iter().copied()).collect();
    if displacement.shape() != expected {
        return shape_err!(
            "warp: the displacements have extents {:?}; expected {expected:?}: a component for each of \"{axes}\", then these dims",
            displacement.shape()
        );
    }
    if let Some(u) = displacement.iter().find(|u| !u.is_finite()) {
        return value_err!("warp: a displacement is {u}; expected finite numbers of cells");
    }
    let count: usize = grid.iter().product();
    let mut locs = allocate::zeroed::<f64>(count * d).map_err(|e| e.at("warp"))?;
    for (e, u) in displacement.iter().enumerate() {
        let (axis, m) = (e / count, e % count);
        let inner: usize = grid[axis + 1..].iter().product();
        locs[m * d + axis] = (m / inner % grid[axis]) as f64 + u;
    }
    let (width, profile) = match options.kernel {
        WarpKernel::Linear => (2.0, Profile::Spline(1)),
        WarpKernel::Cubic => (4.0, Profile::Cubic),
    };
    let circular = options.boundary == Boundary::Circular;
    // Cells at the very edge of the kernel have no weight.
    let footprint =
        Footprint { width: vec![width; d], profile: vec![profile; d], radial: false, circular, closed: false };
    let points = Points::new(&locs, &grid, &footprint).map_err(|e| e.at("warp"))?;
    let kept = (0..input.rank()).filter(|a| !at.contains(a));
    let order = kept.chain(at.iter().copied()).collect();
    let names: Vec<_> = at.iter().map(|&a| input.dims()[a]).collect();
    let end = if circular { "circular" } else { "zero" };
    let details = format!("{}, {:?}, {end}", join(&names), options.kernel);
    Ok(Linop::of(
        input.clone(),
        input,
        Warp { order, grid, points, displacement: displacement.to_shared(), options, details },
    ))
}

#[derive(Debug)]
struct Warp {
    /// The batch, then the image's axes.
    order: Vec<usize>,
    grid: Vec<usize>,
    points: Points,
    /// Which cannot be had back from the points.
    displacement: ArcArray<f64, IxDyn>,
    options: WarpOptions,
    details: String,
}

impl Operator for Warp {
    fn op(&self) -> &'static str {
        "warp"
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let v = b.permute(x, &self.order)?;
        let mut extents = b.extents(v).to_vec();
        let v = b.interpolate(v, self.points.clone())?;
        let batch = extents.len() - self.grid.len();
        extents[batch..].copy_from_slice(&self.grid);
        let v = b.reshape(v, extents)?;
        let back: Vec<usize> =
            (0..self.order.len()).map(|a| self.order.iter().position(|o| *o == a).unwrap_or(a)).collect();
        b.permute(v, &back)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.order[self.order.len() - self.grid.len()..]);
        to.field("displacement", SavedArray::Coordinates(self.displacement.clone()));
        to.unless("kernel", if self.options.kernel == WarpKernel::Cubic { "cubic" } else { "linear" }, "linear");
        let boundary = if self.options.boundary == Boundary::Circular { "circular" } else { "zero" };
        to.unless("boundary", boundary, "zero");
        to.makes(to.input().clone());
        Ok(())
    }
}
