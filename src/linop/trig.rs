//! Discrete cosine and sine transforms.

use super::{Linop, Norm, Operator, Saver, advance, axes_of};
use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Shape, ToDims, ToShape, join};
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::real_fft::Trig;
pub use crate::primitive::real_fft::TrigType;
use crate::setters::setters;
use num_complex::Complex64;

/// Options of [`dct`] and [`dst`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TrigOptions {
    /// Which transform: II by default.
    pub kind: TrigType,
    /// Normalisation.
    pub norm: Norm,
    /// The inverse of the transform of this type.
    pub inverse: bool,
}

setters! { TrigOptions {
    /// With a transform of another type.
    kind: TrigType,
    /// With another normalisation.
    norm: Norm,
    /// The inverse, or not.
    inverse: bool,
} }

/// The discrete cosine transform along the dims in `axes`, of any length. Real tensors stay real. The output dims get the next
/// unused name.
///
/// | type | y_k, as SciPy's `norm="backward"` has it |
/// |---|---|
/// | I | x_0 + (−1)^k x_{N−1} + 2 Σ_{0<n<N−1} x_n cos(πkn/(N − 1)), N at least 2 |
/// | II | 2 Σ_n x_n cos(πk(2n + 1)/2N) |
/// | III | x_0 + 2 Σ_{n>0} x_n cos(π(2k + 1)n/2N) |
/// | IV | 2 Σ_n x_n cos(π(2k + 1)(2n + 1)/4N) |
///
/// With `Norm::Ortho` (the default) the matrix is orthonormal: the adjoint is the inverse, and normals fold to the identity, also
/// around weights that do not run along a transformed dim. With `Backward` y is as in the table and the inverse divides by 2N
/// (2N − 2 for type I); `Forward` divides forward instead, `None` never: its inverse is the transform of type III for type II,
/// and so on. The adjoint is the transpose, whatever the norm.
///
/// Lines of up to 32 values are multiplied by the matrix: 2N operations for each value, in one kernel. Longer ones go through a
/// complex Fourier transform of N/2 (N − 1 for type I; N for an odd N) between two kernels that move and turn values, as in
/// Makhoul (IEEE Trans. ASSP 28:27, 1980): three passes over memory. Complex values take two such transforms, or one of N. The
/// relative l2 error is that of [`fft`](super::fft()).
///
/// [Splits](Linop::split) along all dims but those of `axes`.
///
/// ```
/// use linops::linop::{self, TrigOptions};
/// use linops::Tensor;
/// let a = linop::dct("N=4", "N", TrigOptions::default())?;
/// let x = Tensor::from_array(ndarray::array![1.0f32, 1.0, 1.0, 1.0], "N")?;
/// let y = a.apply(&x)?.to_real_array()?;
/// assert!((y[0] - 2.0).abs() < 1e-6 && y.iter().skip(1).all(|v| v.abs() < 1e-6));
/// assert_eq!(a.n().program()?.nodes().len(), 0);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input, or has extent 1 for type I.
pub fn dct(input: impl ToShape, axes: impl ToDims, options: TrigOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("dct"))?);
    transform(input.to_shape()?, axes, options, false).map_err(|e| e.at("dct"))
}

/// The discrete sine transform along the dims in `axes`, of any length. Real tensors stay real. The output dims get the next
/// unused name.
///
/// | type | y_k, as SciPy's `norm="backward"` has it |
/// |---|---|
/// | I | 2 Σ_n x_n sin(π(k + 1)(n + 1)/(N + 1)) |
/// | II | 2 Σ_n x_n sin(π(k + 1)(2n + 1)/2N) |
/// | III | (−1)^k x_{N−1} + 2 Σ_{n<N−1} x_n sin(π(2k + 1)(n + 1)/2N) |
/// | IV | 2 Σ_n x_n sin(π(2k + 1)(2n + 1)/4N) |
///
/// Norms, adjoint, normal and cost are those of [`dct`]; the inverse of type I divides by 2N + 2, and its Fourier transform has
/// length N + 1.
///
/// It splits as `dct` does.
///
/// ```
/// use linops::linop::{self, TrigOptions, TrigType};
/// use linops::Tensor;
/// // The second difference with zeros beyond both ends is diagonal for type I.
/// let a = linop::dst("N=3", "N", TrigOptions::default().kind(TrigType::I))?;
/// let x = Tensor::from_array(ndarray::array![0.5f32, 0.5f32.sqrt(), 0.5], "N")?;
/// let y = a.apply(&x)?.to_real_array()?;
/// assert!((y[0] - 1.0).abs() < 1e-6 && y[1].abs() < 1e-6 && y[2].abs() < 1e-6);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim of `axes` is not in the input.
pub fn dst(input: impl ToShape, axes: impl ToDims, options: TrigOptions) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("dst"))?);
    transform(input.to_shape()?, axes, options, true).map_err(|e| e.at("dst"))
}

fn transform(input: Shape, axes: &str, options: TrigOptions, sine: bool) -> Result<Linop> {
    let axes = axes_of(&input, axes)?;
    let output = input.renamed(&advance(&input, &axes))?;
    let trig = Trig { kind: options.kind, sine };
    if let Some(&a) = axes.iter().find(|&&a| trig.period(input.extents()[a]) == 0) {
        return shape_err!("dim {} has extent 1; expected at least 2 for type I", input.dims()[a]);
    }
    let mut details = axes.iter().map(|&a| input.dims()[a].to_string()).collect::<Vec<_>>().join(" ");
    details += &format!(", type {:?}", options.kind);
    if options.inverse {
        details += ", inverse";
    }
    details += options.norm.described();
    // The inverse is the transpose of the orthonormal matrix.
    let made = if options.inverse { trig.transposed() } else { trig };
    let along = axes.iter().map(|&axis| Along::new(made, axis, input.extents()[axis], options));
    let along = along.collect::<Result<_>>()?;
    Ok(Linop::of(input, output, Transform { along, sine, options, details }))
}

/// The transform along one axis: weights, the orthonormal one, weights and a scalar.
#[derive(Debug)]
struct Along {
    trig: Trig,
    axis: usize,
    before: Option<Constant>,
    after: Option<Constant>,
    scale: f64,
}

impl Along {
    fn new(trig: Trig, axis: usize, n: usize, options: TrigOptions) -> Result<Along> {
        if options.norm == Norm::Ortho {
            return Ok(Along { trig, axis, before: None, after: None, scale: 1.0 });
        }
        // In the sums all entries of x count alike, but those at the ends half, and every result does.
        let weights = |w: &dyn Fn(usize) -> f64| -> Result<Option<Constant>> {
            match (0..n).all(|i| w(i) == 1.0) {
                true => Ok(None),
                false => Constant::new(vec![n], ConstantData::F32((0..n).map(|i| w(i) as f32).collect())).map(Some),
            }
        };
        let before = weights(&|i| trig.end_of_input(i, n))?;
        let after = weights(&|k| 1.0 / trig.transposed().end_of_input(k, n))?;
        let whole = 2.0 * trig.period(n) as f64;
        let divides = match options.norm {
            Norm::Backward => options.inverse,
            Norm::Forward => !options.inverse,
            Norm::Ortho | Norm::None => false,
        };
        let scale = whole.sqrt() / if divides { whole } else { 1.0 };
        Ok(Along { trig, axis, before, after, scale })
    }

    fn forward(&self, b: &mut Builder, mut v: ValueId) -> Result<ValueId> {
        if let Some(w) = &self.before {
            v = b.mul(v, w.clone(), vec![self.axis], false)?;
        }
        v = b.trig(v, self.trig, self.axis)?;
        if let Some(w) = &self.after {
            v = b.mul(v, w.clone(), vec![self.axis], false)?;
        }
        b.scale(v, Complex64::new(self.scale, 0.0))
    }
}

#[derive(Debug)]
struct Transform {
    along: Vec<Along>,
    sine: bool,
    options: TrigOptions,
    details: String,
}

impl Operator for Transform {
    fn op(&self) -> &'static str {
        if self.sine { "dst" } else { "dct" }
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.along.iter().try_fold(x, |v, along| along.forward(b, v))
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let axes: Vec<usize> = self.along.iter().map(|along| along.axis).collect();
        to.dims("axes", &axes);
        let kind: usize = match self.options.kind {
            TrigType::I => 1,
            TrigType::II => 2,
            TrigType::III => 3,
            TrigType::IV => 4,
        };
        to.unless("type", kind, 2);
        to.unless("norm", self.options.norm.name(), "ortho");
        to.unless("inverse", self.options.inverse, false);
        to.makes(to.input().renamed(&advance(to.input(), &axes))?);
        Ok(())
    }
}
