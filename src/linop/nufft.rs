//! The non-uniform Fourier transform.

use super::interpolate::{Layout, flat_locs};
use super::{Linop, Operator};
use crate::dim::{ToShape, parse_dims};
use crate::error::Result;
use crate::program::{Accuracy, Builder, Nufft, ValueId};
use ndarray::ArrayD;

/// Options of [`nufft`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NufftOptions {
    /// A tolerance (1e-4), or width of the kernel and oversampling of the grid.
    pub accuracy: Accuracy,
    /// Whether the normal is a convolution on a grid of twice the size (Toeplitz): always, never, or where it is cheaper.
    pub toeplitz: Option<bool>,
}

/// y_m = 1/√ΠN · Σ_n x_n exp(−2πi Σ_d k_md (n_d − c_d)/N_d), c = N/2 rounded down: type 2. The adjoint is type 1.
///
/// `locs` is (…, D) with k in cycles per field of view, −N/2 to N/2 and periodic beyond; component d belongs to the d-th dim of
/// `axes`. These dims leave; the sample dims, one for each leading axis of `locs`, come last. `out` names the output dims.
///
/// With `Accuracy::Tol` the relative l2 error against this sum is about the tolerance, for random points and data; the plan
/// chooses kernel width and grid by cost. Coordinates are prepared in f64, so the error does not grow with N. The kernel is the
/// prolate spheroidal function of the given width; the grid is the next one from ⌊oversamp·N⌋ on with factors 2, 3 and 5.
///
/// The normal AᴴA, also with weights between the two and linops around them, needs no points where a convolution is cheaper.
///
/// # Errors
/// `axes` names other than 1 to 3 dims of the input, `locs` has another number of components or none, a coordinate is not
/// finite, or an option is outside of its domain.
pub fn nufft(input: impl ToShape, locs: &ArrayD<f64>, axes: &str, options: NufftOptions, out: &str) -> Result<Linop> {
    let input = input.to_shape()?;
    let layout = Layout::new(&input, locs, &parse_dims(axes)?, "nufft")?;
    let nufft = Nufft::new(&layout.grid, &layout.samples, flat_locs(locs), options.accuracy, options.toeplitz);
    let nufft = nufft.map_err(|e| e.at("nufft"))?;
    let output = layout.output(out, "nufft")?;
    Ok(Linop::of(input, output, Operation { layout, nufft }))
}

#[derive(Debug)]
struct Operation {
    layout: Layout,
    nufft: Nufft,
}

impl Operator for Operation {
    fn op(&self) -> &'static str {
        "nufft"
    }

    fn details(&self) -> String {
        format!("{}, {:?}", self.layout.names, self.nufft)
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = self.layout.grid_last(b, x)?;
        b.nufft(x, self.nufft.clone())
    }
}
