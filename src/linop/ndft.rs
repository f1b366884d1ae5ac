//! The non-uniform Fourier transform as the sum that defines it.

use super::interpolate::{Layout, flat_locs};
use super::{Linop, Operator, SavedArray, Saver};
use crate::access::{Constant, ValueId};
use crate::dim::{ToDims, ToShape, join, parse_dims};
use crate::error::{Result, value_err};
use crate::ir::Builder;
use crate::primitive::nufft::{sums, tables};
use ndarray::{ArcArray, ArrayD, IxDyn};

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
pub fn ndft(input: impl ToShape, locs: &ArrayD<f64>, axes: impl ToDims, out: &str) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("ndft"))?);
    let input = input.to_shape()?;
    let layout = Layout::new(&input, locs, &parse_dims(axes)?, "ndft")?;
    if let Some(k) = locs.iter().find(|k| !k.is_finite()) {
        return value_err!("ndft: a location is {k}; expected finite cycles per field of view");
    }
    let output = layout.output(out, "ndft")?;
    let tables = tables(&flat_locs(locs), &layout.grid).map_err(|e| e.at("ndft"))?;
    Ok(Linop::of(input, output, Ndft { layout, tables, locs: locs.to_shared() }))
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
        let x = self.layout.grid_last(b, x)?;
        let v = sums(b, x, &self.tables, &self.layout.grid)?;
        self.layout.unflattened(b, v)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.field("locs", SavedArray::Coordinates(self.locs.clone()));
        to.dims("axes", self.layout.axes());
        Ok(())
    }
}
