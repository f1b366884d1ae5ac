//! Linear operators with named dims: constructors, checks, composition. One file for each linop.
//!
//! A [`Linop`] is a cheap immutable handle. It states its forward once, as a program of primitives; adjoint and normal are
//! derived from that. Nothing here knows devices.

mod adjoint;
mod algebra;
mod batched;
mod blocks;
mod chain;
mod containers;
mod convolve;
mod dense;
mod diagonal;
mod difference;
mod display;
mod fbp;
mod fft;
mod flip;
mod from_fn;
mod hankel;
mod identity;
mod interpolate;
mod kron;
mod ndft;
mod nesting;
mod nufft;
mod nufft_type3;
mod off_resonance;
mod over;
mod pad;
mod projection;
mod rearrange;
mod reindex;
mod rename;
mod repeat;
mod rfft;
mod roll;
mod sampling;
mod saved;
mod sense;
mod slice;
mod split;
mod stretch;
mod subsample;
mod sum;
mod threadable;
mod tile;
mod trig;
mod warp;
mod wavelet;
mod wgsl;

pub use batched::Batched;
pub use blocks::blocks;
pub use chain::chain;
pub use containers::{add, add_weighted, concat, stack};
pub use convolve::{ConvolveMode, ConvolveOptions, convolve, convolve_kernel};
pub use dense::{dense, subspace};
pub use diagonal::{diagonal, diagonal_to};
pub use difference::{Border, GradientOptions, finite_difference, gradient, laplacian, symmetrised_gradient};
#[cfg(feature = "app")]
pub(crate) use fbp::Coverage;
#[cfg(feature = "io")]
pub(crate) use fbp::back_projection;
pub use fbp::{FbpOptions, RampWindow, fbp};
pub use fft::{FftOptions, Norm, fft};
pub use flip::flip;
pub use from_fn::from_fn;
pub use hankel::hankel;
pub use identity::{identity, scalar, zero};
pub use interpolate::{Boundary, InterpolateOptions, InterpolationKernel, KernelNorm, gridding, interpolate};
pub use kron::kron;
pub use ndft::ndft;
pub use nufft::{NufftNormal, NufftOptions, nufft, nufft_lattice};
pub use nufft_type3::{NufftType3Options, nufft_type3};
pub use off_resonance::{OffResonanceOptions, Segmentation, Segments, off_resonance};
pub use pad::{Align, crop, pad};
pub use projection::{Beam, Geometry, projection};
pub use rearrange::{casorati, moveaxis, rearrange, transpose};
pub use repeat::{repeat, repeat_to};
pub use rfft::{RfftOptions, irfft, rfft};
pub use roll::roll;
pub use sampling::{sampling, sampling_at};
pub use saved::{Saved, SavedArray, SavedValue, Saver};
pub use sense::sense;
pub use slice::{embed, slice};
pub use split::{Cut, Splits, Tiling};
pub(crate) use split::{Piece, Tiles, narrowed};
pub use stretch::{Stretch, ToStretch};
pub use subsample::{downsample, upsample};
pub use sum::{mean, sum};
pub use threadable::{Threadable, Threads};
pub use tile::tile;
pub use trig::{TrigOptions, TrigType, dct, dst};
pub use warp::{WarpKernel, WarpOptions, warp};
#[cfg(feature = "io")]
pub(crate) use wavelet::wavelet_inverse_to;
pub use wavelet::{Wavelet, WaveletBoundary, WaveletOptions, wavelet, wavelet_inverse};
pub use wgsl::{Wgsl, wgsl, wgsl_or};

use crate::access::{Constant, ConstantData, ValueId};
use crate::dim::{Dim, Shape, ToDims, ToShape, join};
use crate::error::{Error, Result};
use crate::ir::{Builder, Program, ThreadSettings};
pub use crate::primitive::closure::Number;
pub use crate::primitive::nufft::Accuracy;
use crate::tensor::{HostArray, Tensor};
use nesting::Nesting;
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What a kind of linop must say. Implement it for linops of your own: the forward as a program is enough.
///
/// The program is written with a [`Builder`]: index maps, weights, sums, transforms, gathers,
/// contractions, other linops' programs ([`Linop::forward`]). Adjoint and normal are derived from it and exact, and it is fused,
/// planned and run on every device like the crate's own. What cannot be said so may be a pair of functions of the host
/// ([`from_fn()`]) or of kernels of a GPU ([`wgsl()`]).
///
/// ```
/// use linops::linop::Operator;
/// use linops::program::{AxisMap, Builder, ValueId};
/// use linops::{Device, Linop, Result, check};
/// use std::sync::Arc;
///
/// /// y[n] = x[n] + x[n − 1], circular.
/// #[derive(Debug)]
/// struct Neighbours;
///
/// impl Operator for Neighbours {
///     fn op(&self) -> &'static str {
///         "neighbours"
///     }
///
///     fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
///         let n = b.extents(x)[0];
///         let before = b.map_axis(x, 0, AxisMap::wrapped(1, -1, n), n)?;
///         b.add(&[x, before])
///     }
/// }
///
/// let a = Linop::new("N=7", "N=7", Arc::new(Neighbours));
/// assert!(check::dot_test(&a, &Device::host(), 1)?.passed());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// The crate knows its own containers by their types, so no name or child of yours is mistaken for one of them.
pub trait Operator: Any + fmt::Debug + Send + Sync {
    /// The field's name for it, as in linop files: "fft".
    fn op(&self) -> &'static str;

    /// Appends the forward, applied to `x`; the extents of `x` are those of the linop's input.
    ///
    /// # Errors
    /// The builder's: extents that do not fit, which a checked linop excludes.
    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId>;

    /// The parameters, for listings: "Ny Nx, centred".
    fn details(&self) -> String {
        String::new()
    }

    /// The linops inside, for listings.
    fn children(&self) -> &[Linop] {
        &[]
    }

    /// The simplified program, where it is kept elsewhere already; None has it made of the forward.
    fn simplified(&self) -> Option<Result<Arc<Program>>> {
        None
    }

    /// The normal as another linop, where there is less to do than the forward and then its transpose; None has it derived.
    fn normal(&self) -> Option<Result<Linop>> {
        None
    }

    /// For containers of independent linops: how they may run.
    fn settings(&self) -> Option<&ThreadSettings> {
        None
    }

    /// The same container with other settings; None for linops without.
    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        let _ = settings;
        None
    }

    /// For containers of independent linops: those, with their settings.
    fn threads(&self) -> Option<Threads> {
        None
    }

    /// The same container of other linops; None for linops without.
    fn with_threads(&self, threads: &Threads) -> Option<Result<Linop>> {
        let _ = threads;
        None
    }

    /// Gives `to` the fields that a linop file has for it, but for `op`, `in`, `out` and `name`. See [`Linop::saved`].
    ///
    /// # Errors
    /// It does not say so, as is the default; or a linop inside cannot be saved.
    fn saved(&self, to: &mut Saver) -> Result<()> {
        let _ = to;
        Err(saved::unsaved(self.op()))
    }
}

/// A linear operator y = A x between tensors of named dims. Cheap to clone; never changes.
///
/// `*` composes (`a * b` applies `b` first), `+` and `-` add, scalars multiply. A mismatch makes a linop that carries the
/// error, which every method that returns `Result` gives back.
///
/// ```
/// use linops::{linop, Tensor};
/// let f = linop::fft("Ny=4 Nx=6", "Ny Nx", Default::default())?.out("Ky Kx")?;
/// let mask = Tensor::from_array(ndarray::Array2::<f32>::ones((4, 6)), "Ky Kx")?;
/// let a = linop::diagonal("Ky=4 Kx=6", &mask)? * f;
/// assert_eq!(a.output()?.to_string(), "Ky=4 Kx=6");
/// let normal = a.n();
/// let y = normal.apply(&Tensor::zeros("Ny=4 Nx=6", linops::DType::Complex32)?)?;
/// assert_eq!(y.shape(), normal.input()?);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone)]
pub struct Linop(Result<Arc<Node>, Arc<Error>>);

/// Lists take linops of their own and by reference.
impl AsRef<Linop> for Linop {
    fn as_ref(&self) -> &Linop {
        self
    }
}

pub(crate) struct Node {
    name: Option<String>,
    input: Shape,
    output: Shape,
    operator: Arc<dyn Operator>,
    programs: Arc<Programs>,
    nesting: Nesting,
}

/// The simplified programs of an operator, made when they are first asked for, and shared by its shallow copies: constants
/// that are made on the way exist once.
#[derive(Default)]
struct Programs {
    forward: OnceLock<Arc<Program>>,
    adjoint: OnceLock<Arc<Program>>,
    normal: OnceLock<Arc<Program>>,
}

impl Linop {
    /// A linop of your own kind. One of a text that is no shape, or around others that are nested too deep, carries an error.
    pub fn new(input: impl ToShape, output: impl ToShape, operator: Arc<dyn Operator>) -> Linop {
        let node = || {
            let (input, output, nesting) = (input.to_shape()?, output.to_shape()?, Nesting::around(&*operator)?);
            Ok(Node { name: None, input, output, operator, programs: Arc::default(), nesting })
        };
        node().map_or_else(Linop::failed, |node| Linop(Ok(Arc::new(node))))
    }

    pub(crate) fn of(input: Shape, output: Shape, operator: impl Operator + 'static) -> Linop {
        Linop::new(input, output, Arc::new(operator))
    }

    /// A linop that carries an error.
    pub(crate) fn failed(error: Error) -> Linop {
        Linop(Err(Arc::new(error)))
    }

    pub(crate) fn node(&self) -> Result<&Node> {
        self.0.as_deref().map_err(|e| (**e).clone())
    }

    /// The operator, if it is of this type.
    fn of_type<T: Operator>(&self) -> Option<&T> {
        let operator: &dyn Any = &*self.0.as_ref().ok()?.operator;
        operator.downcast_ref()
    }

    /// The linop of which this is the normal, if it is one.
    pub(crate) fn inside_normal(&self) -> Option<&Linop> {
        self.of_type::<adjoint::Normal>().and_then(|_| self.children().first())
    }

    /// The error that a mismatch in `*`, `+` or `-` left, if any.
    pub fn check(&self) -> Result<()> {
        self.node().map(|_| ())
    }

    /// Dims and extents of x.
    pub fn input(&self) -> Result<&Shape> {
        Ok(&self.node()?.input)
    }

    /// Dims and extents of y.
    pub fn output(&self) -> Result<&Shape> {
        Ok(&self.node()?.output)
    }

    /// The extent of a dim, looked up in the input, then in the output.
    ///
    /// # Errors
    /// The dim is in neither.
    pub fn size(&self, dim: &str) -> Result<usize> {
        let (node, dim) = (self.node()?, dim.parse::<Dim>()?);
        node.input.size(dim).or(node.output.size(dim)).ok_or_else(|| {
            Error::Shape(format!("dim {dim} is neither in the input {} nor in the output {}", node.input, node.output))
        })
    }

    /// The same linop under a label, shown in listings and errors.
    pub fn named(&self, name: impl Into<String>) -> Linop {
        let name = Some(name.into());
        self.rebuilt(|n| Node { name, ..n })
    }

    /// The same container with other settings for how its sub-linops run; other linops stay as they are.
    pub fn with_settings(&self, settings: ThreadSettings) -> Linop {
        self.rebuilt(|n| match n.operator.with_settings(settings) {
            Some(operator) => Node { operator, programs: Arc::default(), ..n },
            None => n,
        })
    }

    /// How the sub-linops of a container may run; None for linops that are no containers of independent ones.
    pub fn settings(&self) -> Option<&ThreadSettings> {
        self.0.as_ref().ok()?.operator.settings()
    }

    /// The independent sub-linops of an add, concat, stack, an adjoint of one, or a container of your own; None for other
    /// linops.
    pub fn threads(&self) -> Option<Threads> {
        self.0.as_ref().ok()?.operator.threads()
    }

    /// The same container of other linops and settings, under the same name.
    ///
    /// # Errors
    /// The linops do not fit each other, or this is no container of independent linops.
    pub fn with_threads(&self, threads: &Threads) -> Result<Linop> {
        let node = self.node()?;
        let built = node.operator.with_threads(threads).unwrap_or_else(|| {
            let what = format!("{} holds no independent sub-linops; add, concat and stack do", self.label());
            Err(Error::Shape(what))
        });
        let built = built.map_err(|e| e.at(self.label()))?;
        // Dims that were renamed stay so, where the same dims would be there without.
        let before = node.operator.threads().and_then(|t| node.operator.with_threads(&t)).transpose()?;
        let before = before.as_ref().unwrap_or(&built);
        let kept = |named: &Shape, old: &Shape, new: &Shape| if old == new { named.clone() } else { new.clone() };
        let input = kept(&node.input, before.input()?, built.input()?);
        let output = kept(&node.output, before.output()?, built.output()?);
        let name = node.name.clone();
        Ok(built.rebuilt(|n| Node { name, input, output, ..n }))
    }

    /// The same linop under an identity of its own; the data of its tensors are shared.
    pub fn shallow_copy(&self) -> Linop {
        self.rebuilt(|n| n)
    }

    /// Whether both are handles to one linop.
    pub fn same(&self, other: &Linop) -> bool {
        matches!((&self.0, &other.0), (Ok(a), Ok(b)) if Arc::ptr_eq(a, b))
    }

    fn rebuilt(&self, f: impl FnOnce(Node) -> Node) -> Linop {
        match &self.0 {
            Err(e) => Linop(Err(e.clone())),
            Ok(n) => Linop(Ok(Arc::new(f(Node {
                name: n.name.clone(),
                input: n.input.clone(),
                output: n.output.clone(),
                operator: n.operator.clone(),
                programs: n.programs.clone(),
                nesting: n.nesting,
            })))),
        }
    }

    /// The linop's name, or else its op: what errors call it.
    pub fn label(&self) -> String {
        match &self.0 {
            Ok(n) => n.name.clone().unwrap_or_else(|| n.operator.op().to_string()),
            Err(_) => "error".into(),
        }
    }

    /// The op as in linop files: "fft", "chain".
    pub fn op(&self) -> &'static str {
        self.0.as_ref().map_or("error", |n| n.operator.op())
    }

    /// The linops inside a container.
    pub fn children(&self) -> &[Linop] {
        self.0.as_ref().map_or(&[], |n| n.operator.children())
    }

    /// The forward as a simplified program, made once.
    pub fn program(&self) -> Result<Arc<Program>> {
        let node = self.node()?;
        if let Some(p) = node.programs.forward.get() {
            return Ok(p.clone());
        }
        if let Some(p) = node.operator.simplified() {
            let p = p?;
            return Ok(node.programs.forward.get_or_init(|| p).clone());
        }
        let mut b = Builder::new(node.input.extents());
        let y = self.forward(&mut b, ValueId::INPUT)?;
        if b.extents(y) != node.output.extents() {
            return Err(Error::Shape(format!(
                "the program of {} gives extents {:?}, the linop says {}",
                self.label(),
                b.extents(y),
                node.output
            )));
        }
        let p = Arc::new(b.finish(y)?.simplify()?);
        Ok(node.programs.forward.get_or_init(|| p).clone())
    }

    /// The adjoint as a simplified program, made once for all handles `a.h()`.
    fn adjoint_program(&self) -> Result<Arc<Program>> {
        let node = self.node()?;
        if let Some(p) = node.programs.adjoint.get() {
            return Ok(p.clone());
        }
        let p = Arc::new(self.program()?.transpose()?.simplify()?);
        Ok(node.programs.adjoint.get_or_init(|| p).clone())
    }

    /// The normal as a simplified program, made once for all handles `a.n()`.
    fn normal_program(&self) -> Result<Arc<Program>> {
        let node = self.node()?;
        if let Some(p) = node.programs.normal.get() {
            return Ok(p.clone());
        }
        let p = match node.operator.normal() {
            Some(normal) => normal?.program()?,
            None => {
                let forward = self.program()?;
                Arc::new(forward.then(&forward.transpose()?)?.simplify()?)
            }
        };
        Ok(node.programs.normal.get_or_init(|| p).clone())
    }

    /// Appends the forward to a program.
    pub fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.node()?.operator.forward(b, x).map_err(|e| e.at(self.label()))
    }
}

/// A host tensor's values as a constant of a program.
pub(crate) fn constant(t: &Tensor) -> Result<Constant> {
    let Some(array) = t.host_array() else {
        return Err(Error::Device(format!(
            "the weight {} is on {}; linops are built from host tensors, move it with .to(&Device::host())",
            t.shape(),
            t.device_name()
        )));
    };
    let data = match array {
        HostArray::F32(a) => ConstantData::F32(a.iter().copied().collect()),
        HostArray::Complex32(a) => ConstantData::C32(a.iter().copied().collect()),
    };
    Constant::new(t.shape().extents().to_vec(), data)
}

/// The linops of a list.
fn listed(linops: impl IntoIterator<Item = impl AsRef<Linop>>) -> Vec<Linop> {
    linops.into_iter().map(|l| l.as_ref().clone()).collect()
}

/// The input dims, with these axes renamed to the next unused name: what a linop that transforms axes gives by default.
pub(crate) fn advance(input: &Shape, axes: &[usize]) -> Vec<Dim> {
    let mut dims = input.dims().to_vec();
    let mut used = dims.clone();
    for &a in axes {
        dims[a] = dims[a].next_unused(&used);
        used.push(dims[a]);
    }
    dims
}

/// Axes of the dims in `"Ny Nx"`.
pub(crate) fn axes_of(input: &Shape, dims: impl ToDims) -> Result<Vec<usize>> {
    let dims = dims.to_dims()?;
    if dims.is_empty() {
        return Err(Error::Shape(format!("no dims are named; name at least one of \"{}\"", join(input.dims()))));
    }
    dims.into_iter().map(|d| input.require(d)).collect()
}
