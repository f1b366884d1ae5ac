//! Discrete wavelet transforms, and their inverses.
//!
//! | file | holds |
//! |---|---|
//! | `family.rs`, `filters/` | wavelets by name, their filters |
//! | `levels.rs` | extents of all levels, and where bands lie in the packed array |
//! | `bank.rs` | a level as a program |
//!
//! A level is one convolution with two channels for each axis, whose results lie beside each other as the packed array has
//! them, and one sum that puts what the deeper levels make of the low bands into the corner.

mod bank;
mod family;
mod filters;
mod levels;

pub use family::Wavelet;

use super::{Linop, Operator, Saver, advance, axes_of};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::setters::setters;
use bank::{Bank, corner, pack, unpack};
use levels::{Band, Level, levels, usual};

/// Most axes that are transformed.
const MOST_AXES: usize = 3;
/// Most levels: beyond, every axis that memory holds has one sample or is all boundary.
const MOST_LEVELS: usize = 32;

/// What lies beyond the ends of an axis that is transformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaveletBoundary {
    /// Zeros. L taps make ⌊(N + L − 1)/2⌋ coefficients of N samples.
    #[default]
    Zero,
    /// The other end; ⌈N/2⌉ coefficients. An odd axis repeats its last sample first.
    Periodization,
    /// Its mirror image about the edge, which repeats the sample there; as many coefficients as with zeros.
    Symmetric,
}

/// Options of [`wavelet()`] and [`wavelet_inverse`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct WaveletOptions {
    /// The wavelet, "db4" if nothing is said.
    pub wavelet: Wavelet,
    /// Number of levels, 0 to 32. None is the least of [`Wavelet::max_levels`] over the axes; more are possible.
    pub levels: Option<usize>,
    /// What lies beyond the ends.
    pub boundary: WaveletBoundary,
}

setters! { WaveletOptions {
    /// With another wavelet.
    wavelet: Wavelet,
    /// With so many levels, or as many as are usual.
    levels: Option<usize>,
    /// With something else beyond the ends.
    boundary: WaveletBoundary,
} }

/// The discrete wavelet transform along the one to three dims in `axes`: Mallat's cascade of filters.
///
/// A level takes N samples along an axis to two bands of M coefficients, low and high, by filters f of L taps:
///
/// ```text
/// y[m] = Σ_j f[j]·x[2m + 1 − j]              zero, symmetric      M = ⌊(N + L − 1)/2⌋
/// y[m] = Σ_j f[j]·x[(2m + L/2 − j) mod 2M]   periodization        M = ⌈N/2⌉
/// ```
///
/// and so along all axes; the next level transforms what is low along all. Bands are packed into one array: the coarsest
/// approximation in the corner, behind it along each axis the coarsest details, then finer ones. Between bands that do not
/// touch it is zero. Conventions, phases and packing are those of PyWavelets' `wavedecn` and `coeffs_to_array`. The output dims
/// get the next unused name.
///
/// Mallat, IEEE Trans. Pattern Anal. 11:674 (1989); Daubechies, Ten Lectures on Wavelets (SIAM, 1992).
///
/// The adjoint is the exact transpose. With an orthogonal wavelet it undoes the transform: on any extents where the boundary
/// is `Zero`, and where all extents are halved without rest where it is `Periodization`. Otherwise [`wavelet_inverse`] does.
///
/// The normal is both. A level is one pass for each axis, of L products for each coefficient, and each level but the deepest
/// one pass that packs; along D axes a level has 2^D times less to do than the one before. [Splits](Linop::split) along dims
/// that are not transformed, and those of the coefficients, whose parts read all of x.
///
/// ```
/// use linops::linop::{self, WaveletOptions};
/// use linops::Tensor;
/// let haar = WaveletOptions::default().wavelet("haar".parse()?).levels(Some(1));
/// let w = linop::wavelet("N=4", "N", &haar)?;
/// let y = w.apply(&Tensor::from_array(ndarray::array![1.0f32, 3.0, 5.0, 5.0], "N")?)?;
/// let s = 2f32.sqrt();
/// for (y, want) in y.to_real_array()?.iter().zip([2.0 * s, 5.0 * s, -s, 0.0]) {
///     assert!((y - want).abs() < 1e-6);
/// }
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `axes` names other than 1 to 3 dims, or one that is not in the input; more than 32 levels.
pub fn wavelet(input: impl ToShape, axes: impl ToDims, options: &WaveletOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("wavelet"))?);
    let input = input.to_shape()?;
    let named = axes_of(&input, axes).map_err(|e| e.at("wavelet"))?;
    let transform = Transform::new(&input, named, &same, options, "wavelet")?;
    let output = transform.packed(&input)?;
    let bank = Bank::analysis(&options.wavelet, options.boundary)?;
    Ok(Linop::of(input, output, Analysis { transform, bank }))
}

/// The inverse of [`wavelet()`] with the same arguments: it takes packed coefficients to arrays of the shape `output`.
///
/// `wavelet_inverse(s, a, o) * wavelet(s, a, o)` is the identity but for rounding, for every wavelet, boundary and extent.
/// Coefficients that no array has are taken as PyWavelets' `waverecn` takes them.
///
/// ```text
/// x[n] = Σ_{b, j} g_b[j]·y_b[(n + L − 2 − j)/2]           zero, symmetric; where the index is whole
/// x[n] = Σ_{b, j} g_b[j]·y_b[(n + L/2 − 1 − j)/2 mod M]   periodization
/// ```
///
/// The adjoint is its transpose, of an orthogonal wavelet mostly the transform; the normal is both, one after the other. The cost
/// is that of [`wavelet()`], for the adjoint too.
/// [Splits](Linop::split) along dims that are not transformed, and those of the coefficients.
///
/// ```
/// use linops::linop::{self, WaveletOptions};
/// use linops::Tensor;
/// let cdf97 = WaveletOptions::default().wavelet("bior4.4".parse()?).levels(Some(2));
/// let (w, inverse) = (linop::wavelet("N=21", "N", &cdf97)?, linop::wavelet_inverse("N=21", "N", &cdf97)?);
/// let x = ndarray::Array1::from_shape_fn(21, |n| (n * n % 7) as f32);
/// let back = (inverse * w).apply(&Tensor::from_array(x.clone(), "N")?)?;
/// assert!(back.to_real_array()?.iter().zip(&x).all(|(b, x)| (b - x).abs() < 1e-4));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`wavelet()`].
pub fn wavelet_inverse(output: impl ToShape, axes: impl ToDims, options: &WaveletOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("wavelet_inverse"))?);
    let output = output.to_shape()?;
    let named = axes_of(&output, axes).map_err(|e| e.at(INVERSE))?;
    let transform = Transform::new(&output, named, &advance, options, INVERSE)?;
    let input = transform.packed(&output)?;
    let bank = Bank::synthesis(&options.wavelet, options.boundary)?;
    Ok(Linop::of(input, output, Synthesis { transform, bank }))
}

/// The same from coefficients under these names, of samples of the extents `to` along `axes`; these get the next unused name.
#[cfg(feature = "io")]
pub(crate) fn wavelet_inverse_to(input: Shape, axes: &str, to: &Shape, options: &WaveletOptions) -> Result<Linop> {
    let named = axes_of(&input, axes).map_err(|e| e.at(INVERSE))?;
    let mut extents = input.extents().to_vec();
    for &a in &named {
        let d = input.dims()[a];
        let Some(n) = to.size(d) else { return shape_err!("{INVERSE}: \"to\" lacks dim {d}; give its new extent") };
        extents[a] = n;
    }
    if let Some(d) = to.dims().iter().find(|d| named.iter().all(|&a| input.dims()[a] != **d)) {
        return shape_err!("{INVERSE}: \"to\" names dim {d}, which is not in \"{axes}\"");
    }
    let samples = Shape::new(input.dims().to_vec(), extents.clone())?;
    let output = Shape::new(advance(&input, &named), extents)?;
    let transform = Transform::new(&samples, named, &same, options, INVERSE)?;
    let packed = transform.packed(&samples)?;
    if packed.extents() != input.extents() {
        return shape_err!(
            "{INVERSE}: the coefficients of {to} have extents {:?}, the input is {input}",
            packed.extents()
        );
    }
    let bank = Bank::synthesis(&options.wavelet, options.boundary)?;
    Ok(Linop::of(input, output, Synthesis { transform, bank }))
}

const INVERSE: &str = "wavelet_inverse";

fn same(input: &Shape, _: &[usize]) -> Vec<Dim> {
    input.dims().to_vec()
}

impl WaveletBoundary {
    fn name(self) -> &'static str {
        match self {
            WaveletBoundary::Zero => "zero",
            WaveletBoundary::Periodization => "periodization",
            WaveletBoundary::Symmetric => "symmetric",
        }
    }
}

/// What both directions have in common.
#[derive(Debug)]
struct Transform {
    /// Ascending.
    axes: Vec<usize>,
    /// The same as they were named.
    named: Vec<usize>,
    options: WaveletOptions,
    /// The finest first.
    levels: Vec<Level>,
    details: String,
}

impl Transform {
    /// `shown` gives the dims of x, for listings.
    fn new(
        samples: &Shape,
        named: Vec<usize>,
        shown: &dyn Fn(&Shape, &[usize]) -> Vec<Dim>,
        options: &WaveletOptions,
        op: &str,
    ) -> Result<Transform> {
        if named.len() > MOST_AXES {
            return shape_err!("{op}: {} dims are named; expected 1 to {MOST_AXES}", named.len());
        }
        let mut axes = named.clone();
        axes.sort_unstable();
        let extents: Vec<usize> = axes.iter().map(|&a| samples.extents()[a]).collect();
        let count = options.levels.unwrap_or_else(|| usual(&extents, &options.wavelet));
        if count > MOST_LEVELS {
            return shape_err!("{op}: {count} levels; expected at most {MOST_LEVELS}");
        }
        let shown = shown(samples, &named);
        let names: Vec<String> = named.iter().map(|&a| shown[a].to_string()).collect();
        let boundary = options.boundary.name();
        let plural = if count == 1 { "" } else { "s" };
        let details = format!("{}, {}, {count} level{plural}, {boundary}", options.wavelet, names.join(" "));
        // Fewer pieces for a few more coefficients: of three axes they would else be more than a kernel adds up at once.
        let padded = extents.len() == MOST_AXES && Bank::pads(options.boundary, op == INVERSE);
        let levels = levels(&extents, count, options.wavelet.taps(), options.boundary, padded);
        Ok(Transform { axes, named, options: options.clone(), levels, details })
    }

    /// The fields of a linop file, but for the extents of samples.
    fn saved(&self, to: &mut Saver) {
        to.field("wavelet", self.options.wavelet.name());
        to.dims("axes", &self.named);
        to.field("levels", self.levels.len());
        to.unless("boundary", self.options.boundary.name(), "zero");
    }

    /// The shape of the coefficients.
    fn packed(&self, samples: &Shape) -> Result<Shape> {
        let mut extents = samples.extents().to_vec();
        for (k, &a) in self.axes.iter().enumerate() {
            extents[a] = self.levels.first().map_or(extents[a], |level| level[k].packed());
        }
        Shape::new(advance(samples, &self.axes), extents)
    }

    /// The filters of one level along all axes. The first of them reads a part of a larger array.
    fn filtered(&self, b: &mut Builder, x: ValueId, level: &Level, bank: &Bank) -> Result<ValueId> {
        self.axes.iter().zip(level).enumerate().try_fold(x, |x, (k, (&axis, band))| {
            let apart = if k == 0 { &self.axes[..] } else { &[] };
            bank.along(b, x, axis, band, apart)
        })
    }
}

#[derive(Debug)]
struct Analysis {
    transform: Transform,
    bank: Bank,
}

impl Analysis {
    fn levels(&self, b: &mut Builder, x: ValueId, levels: &[Level]) -> Result<ValueId> {
        let axes = &self.transform.axes;
        let Some((level, deeper)) = levels.split_first() else { return Ok(x) };
        let banded = self.transform.filtered(b, x, level, &self.bank)?;
        if deeper.is_empty() {
            return Ok(banded);
        }
        let low = corner(b, banded, axes, &extents(level, |band| band.m))?;
        let deeper = self.levels(b, low, deeper)?;
        pack(b, axes, level, banded, deeper)
    }
}

impl Operator for Analysis {
    fn op(&self) -> &'static str {
        "wavelet"
    }

    fn details(&self) -> String {
        self.transform.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.levels(b, x, &self.transform.levels)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        self.transform.saved(to);
        to.makes(self.transform.packed(to.input())?);
        Ok(())
    }
}

#[derive(Debug)]
struct Synthesis {
    transform: Transform,
    bank: Bank,
}

impl Synthesis {
    fn levels(&self, b: &mut Builder, y: ValueId, levels: &[Level]) -> Result<ValueId> {
        let axes = &self.transform.axes;
        let Some((level, deeper)) = levels.split_first() else { return Ok(y) };
        let banded = if deeper.is_empty() {
            y
        } else {
            let low = corner(b, y, axes, &extents(level, |band| band.p))?;
            let low = self.levels(b, low, deeper)?;
            unpack(b, axes, level, y, low)?
        };
        self.transform.filtered(b, banded, level, &self.bank)
    }
}

impl Operator for Synthesis {
    fn op(&self) -> &'static str {
        "wavelet_inverse"
    }

    fn details(&self) -> String {
        self.transform.details.clone()
    }

    fn forward(&self, b: &mut Builder, y: ValueId) -> Result<ValueId> {
        self.levels(b, y, &self.transform.levels)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        self.transform.saved(to);
        let (input, extents) = (to.input(), to.output().extents());
        to.by_dim("to", self.transform.named.iter().map(|&a| (a, extents[a])));
        to.makes(Shape::new(advance(input, &self.transform.named), extents.to_vec())?);
        Ok(())
    }
}

fn extents(level: &Level, of: impl Fn(&Band) -> usize) -> Vec<usize> {
    level.iter().map(of).collect()
}
