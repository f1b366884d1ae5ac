//! The non-uniform Fourier transform as the sum that defines it.

use super::interpolate::Layout;
use super::{Linop, Operator, SavedArray, Saver};
use crate::access::{Constant, ConstantData, ValueId};
use crate::allocate;
use crate::dim::{ToShape, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::primitive::contract::Contract;
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::Complex32;
use std::f64::consts::TAU;

/// y_m = 1/√ΠN · Σ_n x_n exp(−2πi Σ_d k_md (n_d − c_d)/N_d), c = N/2 rounded down: the sum that [`nufft`](super::nufft())
/// approximates, as it is written. For few points, small images, and to measure the other by.
///
/// `locs` is (…, D) with k in cycles per field of view, periodic with N; component d belongs to the d-th dim of `axes`. These
/// dims leave; the sample dims, one for each leading axis of `locs`, come last. `out` names the output dims.
///
/// The exponentials are separable: a table of M×N_d for each axis, made in f64, and one axis is summed after the other, the
/// longest first. So memory for tables grows with M·ΣN, not M·ΠN; with several axes there are values of M times the extents that
/// are left. About 8·M·ΠN operations for each image. The error is that of float32's sums.
///
/// The adjoint is the conjugate transpose, summed over the points; the normal is both.
///
/// [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::linop::{self, NufftOptions};
/// use linops::Tensor;
/// let locs = ndarray::arr2(&[[0.0], [0.25], [-1.5]]).into_dyn();
/// let x = Tensor::from_array(ndarray::array![1.0f32, 2.0, 3.0, 4.0], "N")?;
/// let y = linop::ndft("N=4", &locs, "N", "S")?.apply(&x)?.to_array()?;
/// // k = 0 is the sum over √N.
/// assert!((y[0].re - 5.0).abs() < 1e-6 && y[0].im.abs() < 1e-6);
/// let fast = linop::nufft("N=4", &locs, "N", NufftOptions::default(), "S")?.apply(&x)?.to_array()?;
/// assert!(y.iter().zip(&fast).all(|(a, b)| (a - b).norm() < 1e-3));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names other than 1 to 3 dims of the input, `locs` has another number of components or none, a coordinate is not
/// finite, or the tables do not fit memory.
pub fn ndft(input: impl ToShape, locs: &ArrayD<f64>, axes: &str, out: &str) -> Result<Linop> {
    let input = input.to_shape()?;
    let layout = Layout::new(&input, locs, &parse_dims(axes)?, "ndft")?;
    if let Some(k) = locs.iter().find(|k| !k.is_finite()) {
        return value_err!("ndft: a location is {k}; expected finite cycles per field of view");
    }
    let output = layout.output(out, "ndft")?;
    let tables = (0..layout.grid.len()).map(|d| table(locs, d, layout.grid[d]));
    let tables = tables.collect::<Result<_>>().map_err(|e| e.at("ndft"))?;
    Ok(Linop::of(input, output, Ndft { layout, tables, locs: locs.to_shared() }))
}

/// 1/√N·exp(−2πi k(n − c)/N) along one axis: points × cells.
fn table(locs: &ArrayD<f64>, axis: usize, n: usize) -> Result<Constant> {
    let components = locs.ndim() - 1;
    let along = locs.index_axis(ndarray::Axis(components), axis);
    let points = along.len();
    let Some(len) = points.checked_mul(n) else {
        return shape_err!("{points} points of {n} cells are more factors than can be counted");
    };
    let mut values = allocate::room_for(len, "a table of exponentials")?;
    let by = 1.0 / (n as f64).sqrt();
    for &k in along {
        // k is periodic with N; reduced first, it keeps its digits.
        let k = k - n as f64 * (k / n as f64).round();
        values.extend((0..n).map(|i| {
            let turns = k / n as f64 * (i as f64 - (n / 2) as f64);
            let (sin, cos) = (-TAU * (turns - turns.round())).sin_cos();
            Complex32::new((by * cos) as f32, (by * sin) as f32)
        }));
    }
    Constant::new(vec![points, n], ConstantData::C32(values))
}

#[derive(Debug)]
struct Ndft {
    layout: Layout,
    /// One for each axis of the image.
    tables: Vec<Constant>,
    /// Which cannot be had back from the tables.
    locs: ArcArray<f64, IxDyn>,
}

impl Operator for Ndft {
    fn op(&self) -> &'static str {
        "ndft"
    }

    fn details(&self) -> String {
        let points: usize = self.layout.samples.iter().product();
        format!("{}, {points} points of {:?}", self.layout.names, self.layout.grid)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let Layout { kept, grid, .. } = &self.layout;
        let mut v = self.layout.grid_last(b, x)?;
        // The longest axis first, so that what is made between the sums is small; of equal ones the last.
        let mut order: Vec<usize> = (0..grid.len()).rev().collect();
        order.sort_by_key(|&d| std::cmp::Reverse(grid[d]));
        let batch: Vec<u32> = (0..kept.len() as u32).collect();
        let point = kept.len() as u32;
        let cells = |d: usize| point + 1 + d as u32;
        let mut left: Vec<usize> = (0..grid.len()).collect();
        for (k, d) in order.into_iter().enumerate() {
            let labels = |left: &[usize], points: bool| -> Vec<u32> {
                let points = points.then_some(point);
                batch.iter().copied().chain(points).chain(left.iter().map(|&d| cells(d))).collect()
            };
            let x = labels(&left, k > 0);
            left.retain(|&l| l != d);
            let y = labels(&left, true);
            let weight = self.tables[d].clone();
            v = b.contract(v, Contract { weight, conj: false, w: vec![point, cells(d)], x, y })?;
        }
        self.layout.unflattened(b, v)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.field("locs", SavedArray::Coordinates(self.locs.clone()));
        to.dims("axes", self.layout.axes());
        Ok(())
    }
}
