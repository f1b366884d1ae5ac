//! The non-uniform Fourier transform.

use super::interpolate::{Layout, flat_locs};
use super::{Align, FftOptions, Linop, Operator, SavedArray, Saver, chain, fft, pad, sampling_at, scalar};
use crate::access::ValueId;
use crate::dim::{Shape, ToDims, ToShape};
use crate::error::{Error, Result, value_err};
use crate::ir::Builder;
use crate::primitive::nufft::{Accuracy, Nufft, transforms};
use crate::setters::setters;
use ndarray::ArrayD;

/// Options of [`nufft`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct NufftOptions {
    /// A tolerance (1e-4), or width of the kernel and oversampling of the grid.
    pub accuracy: Accuracy,
    /// Whether the normal is a convolution on a grid of twice the size (Toeplitz): always, never, or where it is cheaper.
    pub toeplitz: Option<bool>,
}

setters! { NufftOptions {
    /// With another accuracy.
    accuracy: Accuracy,
    /// With a normal that is always a convolution, or never.
    toeplitz: Option<bool>,
} }

/// y_m = 1/√ΠN · Σ_n x_n exp(−2πi Σ_d k_md (n_d − c_d)/N_d), c = N/2 rounded down: type 2. The adjoint is type 1.
///
/// `locs` is (…, D) with k in cycles per field of view, −N/2 to N/2 and periodic beyond; component d belongs to the d-th dim of
/// `axes`. These dims leave; the sample dims, one for each leading axis of `locs`, come last. `out` names the output dims; `...` stands
/// for those that stay: `"... S"`.
///
/// With `Accuracy::Tol` the relative l2 error against this sum is within the tolerance, for random points and data, rounding of
/// float32 included; the plan chooses kernel width and grid by cost. Few points (below 64, or an image of fewer cells) and what takes
/// no more so are summed as written, as [`ndft`](super::ndft()) does, up to a million products: the error relative to a result of few
/// numbers may else be many times its mean. Coordinates are prepared in f64, so the error does not grow with N. The kernel is the
/// one of the given width with the least l2 error; the grid is the next one from ⌊oversamp·N⌋ on with factors 2, 3 and 5.
///
/// Sums of values near 3.4e38 overflow within, even where the result would not: scale such data down, which linops let you do on
/// either side (`linops apply` does it).
///
/// The normal AᴴA, also with weights between the two and linops around them, needs no points where a convolution is cheaper.
///
/// Forward and adjoint cost a Fourier transform of the oversampled grid and width^D cells for each sample; the convolution of a
/// normal costs transforms of 2N there and back, whatever the number of samples. [`Linop::nufft_normals`] says which it is.
/// [Splits](Linop::split) along the samples and the dims that stay. Dutt and Rokhlin, SIAM J. Sci. Comput. 14:1368 (1993);
/// Fessler and Sutton, IEEE Trans. Signal Process. 51:560 (2003); the normal: Fessler et al., IEEE Trans. Signal Process.
/// 53:3393 (2005).
///
/// ```
/// use linops::linop::{self, NufftOptions};
/// use linops::Tensor;
/// let locs = ndarray::arr2(&[[0.0], [0.5], [-1.0]]).into_dyn();
/// let a = linop::nufft("N=4", &locs, "N", NufftOptions::default().toeplitz(Some(true)), "S")?;
/// let y = a.apply(&Tensor::from_array(ndarray::array![1.0f32, 2.0, 3.0, 4.0], "N")?)?.to_array()?;
/// // k = 0 is the sum over √N.
/// assert!((y[0] - 5.0).norm() < 1e-3);
/// assert!(a.nufft_normals()?[0].toeplitz);
/// assert!(a.splits_along("S").is_ok() && a.splits_along("N").is_err());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names other than 1 to 3 dims of the input, `locs` has another number of components or none, a coordinate is not
/// finite, or an option is outside of its domain.
pub fn nufft(
    input: impl ToShape,
    locs: &ArrayD<f64>,
    axes: impl ToDims,
    options: NufftOptions,
    out: impl ToDims,
) -> Result<Linop> {
    let input = input.to_shape()?;
    let layout = Layout::new(&input, locs, &axes.to_dims()?, "nufft")?;
    let nufft = Nufft::new(&layout.grid, &layout.samples, flat_locs(locs), options.accuracy, options.toeplitz);
    let nufft = nufft.map_err(|e| e.at("nufft"))?;
    let output = layout.output(out, "nufft")?;
    Ok(Linop::of(input, output, Operation { layout, nufft, options }))
}

/// The non-uniform transform at the nearest points of a lattice: pad to ⌊oversamp·N⌋, centred FFT, [`sampling_at`]. Scaled as
/// [`nufft`], which it equals where all k·oversamp are whole.
///
/// The adjoint is the exact transpose. In the normal how often each cell is sampled stands between the transform and its
/// inverse: it has no points. Costs a Fourier transform of the padded grid, and a read for each sample. [Splits](Linop::split)
/// along the dims that stay.
///
/// ```
/// use linops::{Tensor, linop};
/// let locs = ndarray::arr2(&[[0.5], [-1.0]]).into_dyn();
/// let x = Tensor::from_array(ndarray::array![1.0f32, 2.0, 3.0, 4.0], "N")?;
/// let y = linop::nufft_lattice("N=4", &locs, "N", 2.0, "S")?.apply(&x)?.to_array()?;
/// // With whole k·oversamp nothing is approximated.
/// let sum = linop::ndft("N=4", &locs, "N", "S")?.apply(&x)?.to_array()?;
/// assert!(y.iter().zip(&sum).all(|(a, b)| (a - b).norm() < 1e-5));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `nufft`; `oversamp` is not in 1..=8.
pub fn nufft_lattice(
    input: impl ToShape,
    locs: &ArrayD<f64>,
    axes: impl ToDims,
    oversamp: f64,
    out: impl ToDims,
) -> Result<Linop> {
    let input = input.to_shape()?;
    let dims = axes.to_dims()?;
    let layout = Layout::new(&input, locs, &dims, "nufft_lattice")?;
    if !(1.0..=8.0).contains(&oversamp) {
        return value_err!("nufft_lattice: oversamp is {oversamp}; expected 1 to 8");
    }
    if let Some(k) = locs.iter().find(|k| !k.is_finite()) {
        return value_err!("nufft_lattice: a location is {k}; expected finite cycles per field of view");
    }
    let grid: Vec<usize> = layout.grid.iter().map(|&n| (oversamp * n as f64 + 1e-9) as usize).collect();
    let to = Shape::new(dims.clone(), grid.clone())?;
    let padded = pad(&input, to, Align::Center)?;
    let padded = padded.keep();
    let transform = fft(padded.output()?, &dims, FftOptions::default().centered(true))?;
    let transform = transform.keep();
    let ratio: f64 = layout.grid.iter().zip(&grid).map(|(&n, &p)| p as f64 / n as f64).product();
    let scaled = scalar(transform.output()?, ratio.sqrt() as f32)?;
    let nearest = |a: usize| -> ArrayD<i64> {
        let (n, p) = (layout.grid[a] as f64, grid[a]);
        let cell = |k: &f64| ((k - n * (k / n).round()) * p as f64 / n).round() as i64 + (p / 2) as i64;
        locs.index_axis(ndarray::Axis(locs.ndim() - 1), a).mapv(|k| cell(&k).rem_euclid(p as i64))
    };
    let names: Vec<String> = dims.iter().map(ToString::to_string).collect();
    let indices: Vec<(&str, ArrayD<i64>)> = names.iter().enumerate().map(|(a, d)| (d.as_str(), nearest(a))).collect();
    let sampled = sampling_at(scaled.output()?, &indices, out)?;
    chain(vec![padded, transform, scaled, sampled])
}

/// How the normal of a non-uniform transform is computed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NufftNormal {
    /// The transform: points, image, kernel.
    pub transform: String,
    /// Whether the normal is a convolution (Toeplitz); else the transform and its adjoint.
    pub toeplitz: bool,
    /// Why so.
    pub reason: String,
}

impl std::fmt::Display for NufftNormal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.toeplitz { "a convolution (Toeplitz)" } else { "transform and adjoint" };
        write!(f, "{what}: {}", self.reason)
    }
}

impl Linop {
    /// How the normal AᴴA computes that of each non-uniform transform in A, and why: the choice that
    /// [`NufftOptions::toeplitz`] leaves open.
    ///
    /// # Errors
    /// The linop carries an error.
    pub fn nufft_normals(&self) -> Result<Vec<NufftNormal>> {
        let forward = self.program()?;
        let (_, notes) = forward.then(&forward.transpose()?)?.simplify_noted()?;
        let of = |n: &Nufft| {
            let transform = format!("{n:?}");
            let note = notes.iter().find(|note| note.what == transform);
            let reason = match note {
                Some(note) => note.reason.clone(),
                None => "what stands between the two is no weight or mixture of batch entries".into(),
            };
            NufftNormal { toeplitz: note.is_some_and(|n| n.taken), transform, reason }
        };
        Ok(transforms(&forward).iter().map(of).collect())
    }
}

#[derive(Debug)]
struct Operation {
    layout: Layout,
    nufft: Nufft,
    options: NufftOptions,
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

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (axes, mut extents) = (self.layout.axes(), self.layout.samples.clone());
        extents.push(axes.len());
        let locs = ArrayD::from_shape_vec(extents, self.nufft.locs().to_vec());
        to.field("locs", SavedArray::Coordinates(locs.map_err(|e| Error::Shape(e.to_string()))?.into_shared()));
        to.dims("axes", axes);
        match self.options.accuracy {
            Accuracy::Tol(tol) => to.field("tol", tol),
            Accuracy::Kernel { width, oversamp } => {
                to.field("width", width);
                to.field("oversamp", oversamp);
            }
        }
        if let Some(always) = self.options.toeplitz {
            to.field("toeplitz", always);
        }
        Ok(())
    }
}
