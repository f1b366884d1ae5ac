//! Arithmetic on tensors, on the device that holds them: what algorithms of a user's own are written in.
//!
//! ```
//! use linops::Tensor;
//! let x = Tensor::from_slice("N=3", &[1.0, -4.0, 2.0])?;
//! let y = Tensor::from_slice("N=3", &[0.5, 0.5, 0.5])?;
//! let z = (&x + 2.0 * (&x - &y)).soft_threshold(1.0).eval()?;
//! assert_eq!(z.to_real_vec()?, [1.0, -12.0, 4.0]);
//! assert_eq!((&x - &y).norm_squared()?, 22.75);
//! # Ok::<(), linops::Error>(())
//! ```
//!
//! Operators and functions of tensors give an [`Expression`], which computes nothing yet; [`eval`](Expression::eval) makes a tensor
//! of it in one way over memory, one kernel on a GPU, however much is in it. Sums, norms and products of expressions do the same
//! without making a tensor. So an expression costs the bytes of its tensors and of its result.

mod dtype;
mod functions;
mod operators;
mod part;
mod reductions;
mod tensor;

use crate::allocate::collected;
use crate::dim::Shape;
use crate::elementwise::{Computation, INPUTS, STEPS, mapped};
use crate::error::{Error, Result, value_err};
use crate::loops::{HostBuf, Slice};
#[cfg(feature = "gpu")]
use crate::run::Kind;
use crate::tensor::{HostArray, Tensor};
use num_complex::Complex32;
use std::fmt;

/// Tensors and numbers combined element by element, not yet computed.
///
/// All tensors of an expression have the same dims in the same order and are on the same device; real ones become complex where
/// they meet complex ones. An expression that cannot be carries the error, with its place in the caller's source, to where it is
/// evaluated, as [`Linop`](crate::Linop)s do.
///
/// | | |
/// |---|---|
/// | `a + b`, `a - b`, `a * b`, `a / b`, `-a` | of tensors, expressions, `f32` and `Complex32`, by value or by reference; `*` and `/` are by elements |
/// | [`conj`](Expression::conj), [`real`](Expression::real), [`imag`](Expression::imag), [`abs`](Expression::abs), [`abs_squared`](Expression::abs_squared), [`sign`](Expression::sign), [`sqrt`](Expression::sqrt) | of each element |
/// | [`soft_threshold`](Expression::soft_threshold), [`clamp`](Expression::clamp), [`maximum`](Expression::maximum), [`minimum`](Expression::minimum) | of each element and bounds |
/// | [`eval`](Expression::eval) | the tensor |
/// | [`dot`](Expression::dot), [`norm`](Expression::norm), [`norm_squared`](Expression::norm_squared), [`sum`](Expression::sum), [`max_abs`](Expression::max_abs), [`max`](Expression::max), [`min`](Expression::min) | one number, without a tensor of all |
///
/// What an expression holds of tensors it shares. One of more than 6 tensors or 48 steps is computed in parts, as it is written.
///
/// Values are of 32 bits. A device makes what it makes of divisions by 0 and of what overflows: infinity or NaN.
///
/// ```
/// use linops::{Expression, Tensor};
/// let x = Tensor::from_slice("N=2", &[3.0, 1.0])?;
/// let wrong = &x + &Tensor::from_slice("M=2", &[1.0, 1.0])?;
/// // Nothing fails before it is asked for.
/// let error = (2.0 * wrong).eval().unwrap_err().to_string();
/// assert!(error.contains(".renamed(\"N\")"), "{error}");
/// // A tensor as an expression, for functions that tensors have not.
/// assert_eq!(Expression::from(&x).maximum(2.0).eval()?.to_real_vec()?, [3.0, 2.0]);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "an expression computes nothing before it is evaluated"]
pub struct Expression(Result<Inner>);

/// What an expression is, if it can be.
#[derive(Clone)]
struct Inner {
    computation: Computation,
    tensors: Vec<Tensor>,
    /// None of numbers alone.
    shape: Option<Shape>,
}

/// One line: shape, dtype and steps, or the error.
impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(inner) => {
                let kind = if inner.computation.gives_complex() { "complex64" } else { "float32" };
                let shape = inner.shape.as_ref().map_or("numbers".into(), Shape::to_string);
                write!(f, "Expression({shape} {kind}, {} steps)", inner.computation.steps().len())
            }
            Err(e) => write!(f, "Expression({e})"),
        }
    }
}

impl From<Tensor> for Expression {
    fn from(t: Tensor) -> Expression {
        let mut computation = Computation::default();
        computation.input(t.dtype() == crate::DType::Complex32);
        Expression(Ok(Inner { computation, shape: Some(t.shape().clone()), tensors: vec![t] }))
    }
}

impl From<&Tensor> for Expression {
    fn from(t: &Tensor) -> Expression {
        t.clone().into()
    }
}

impl From<&Expression> for Expression {
    fn from(e: &Expression) -> Expression {
        e.clone()
    }
}

/// A number, of every element.
impl From<f32> for Expression {
    fn from(x: f32) -> Expression {
        Expression::of_number(x.into(), false)
    }
}

/// A complex number, of every element.
impl From<Complex32> for Expression {
    fn from(x: Complex32) -> Expression {
        Expression::of_number(x, true)
    }
}

impl Expression {
    fn of_number(x: Complex32, complex: bool) -> Expression {
        let mut computation = Computation::default();
        computation.number(x, complex);
        Expression(Ok(Inner { computation, tensors: Vec::new(), shape: None }))
    }

    fn inner(&self) -> Result<&Inner> {
        self.0.as_ref().map_err(Clone::clone)
    }

    /// The values, as a new tensor on the device of the expression's tensors: on a GPU this submits one kernel, and returns without
    /// waiting.
    ///
    /// # Errors
    /// What the expression carries (dims, extents or devices that differ, a real value that had to be); there is no tensor in it; or
    /// the device fails.
    pub fn eval(&self) -> Result<Tensor> {
        self.inner()?.eval()
    }
}

impl Inner {
    fn eval(&self) -> Result<Tensor> {
        let shape = self.shape()?;
        match &self.tensors[0].device().0 {
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => gpu.computed(&self.computation, &self.tensors, shape),
            _ => on_host(&self.tensors, |inputs| {
                mapped(&self.computation, inputs, shape.len())?.into_tensor(shape.clone())
            }),
        }
    }

    fn shape(&self) -> Result<&Shape> {
        match &self.shape {
            Some(shape) => Ok(shape),
            None => {
                value_err!("the expression has numbers only, expected a tensor in it; make one by Tensor::from_slice")
            }
        }
    }

    /// With other tensors behind its own: where each of them is.
    fn take(&mut self, tensors: &[Tensor]) -> Vec<usize> {
        let place = |t: &Tensor| {
            let same = self.tensors.iter().position(|own| is_same(own, t));
            same.unwrap_or_else(|| {
                self.tensors.push(t.clone());
                self.computation.room(t.dtype() == crate::DType::Complex32)
            })
        };
        tensors.iter().map(place).collect()
    }

    /// Two expressions as one; the steps that their results are.
    fn joined(a: &Inner, b: &Inner) -> Result<(Inner, usize, usize)> {
        let shape = match (&a.shape, &b.shape) {
            (Some(own), Some(other)) => {
                own.expect(other)?;
                Some(own.clone())
            }
            (own, other) => own.clone().or(other.clone()),
        };
        if let (Some(x), Some(y)) = (a.tensors.first(), b.tensors.first())
            && !x.device().same(&y.device())
        {
            let (here, there) = (x.device_name(), y.device_name());
            return Err(Error::Device(format!(
                "a tensor {} on {here} met one on {there}; move one of them with .to(&device)",
                x.shape()
            )));
        }
        let parts = Inner::within_bounds(a, b)?;
        let (a, b) = parts.as_ref().map_or((a, b), |(a, b)| (a, b));
        let mut all = a.clone();
        all.shape = shape;
        let first = a.computation.steps().len() - 1;
        let inputs = all.take(&b.tensors);
        let second = all.computation.append(&b.computation, &inputs);
        Ok((all, first, second))
    }

    /// The expression, computed if it has no room for another step.
    fn with_room(&self) -> Result<Inner> {
        match self.computation.steps().len() < STEPS || self.tensors.is_empty() {
            true => Ok(self.clone()),
            false => Expression::from(self.eval()?).0,
        }
    }

    /// The two with the longer one computed, or both, if they are too much for one computation.
    fn within_bounds(a: &Inner, b: &Inner) -> Result<Option<(Inner, Inner)>> {
        let steps = |i: &Inner| i.computation.steps().len();
        // Of a step there may come two more: the values as complex ones, and what is made of them.
        let fits = |a: &Inner, b: &Inner| {
            let more = b.tensors.iter().filter(|t| !a.tensors.iter().any(|own| is_same(own, t))).count();
            a.tensors.len() + more <= INPUTS && steps(a) + steps(b) + 3 <= STEPS
        };
        if fits(a, b) {
            return Ok(None);
        }
        let done = |i: &Inner| -> Result<Inner> {
            match i.tensors.is_empty() {
                true => Ok(i.clone()),
                false => Expression::from(i.eval()?).0,
            }
        };
        let (first, second) = if steps(a) >= steps(b) { (done(a)?, b.clone()) } else { (a.clone(), done(b)?) };
        Ok(Some(match fits(&first, &second) {
            true => (first, second),
            false => (done(&first)?, done(&second)?),
        }))
    }
}

/// Whether two tensors are the same values in the same memory.
fn is_same(a: &Tensor, b: &Tensor) -> bool {
    let host = match (a.host_array(), b.host_array()) {
        (Some(HostArray::F32(a)), Some(HostArray::F32(b))) => a.as_ptr() == b.as_ptr() && a.strides() == b.strides(),
        (Some(HostArray::Complex32(a)), Some(HostArray::Complex32(b))) => {
            a.as_ptr() == b.as_ptr() && a.strides() == b.strides()
        }
        _ => false,
    };
    let device = match (a.device_buffer(), b.device_buffer()) {
        (Some(a), Some(b)) => std::sync::Arc::ptr_eq(a, b),
        _ => false,
    };
    (host || device) && a.dtype() == b.dtype() && a.shape() == b.shape()
}

/// With the tensors' values in C order.
fn on_host<R>(tensors: &[Tensor], f: impl FnOnce(&[Slice<f32>]) -> Result<R>) -> Result<R> {
    let copied = |t: &Tensor| -> Result<Option<HostBuf<f32>>> {
        Ok(match t.host_array() {
            Some(HostArray::F32(a)) if a.as_slice().is_none() => {
                Some(HostBuf::Real(collected(a.iter().copied(), a.len())?))
            }
            Some(HostArray::Complex32(a)) if a.as_slice().is_none() => {
                Some(HostBuf::Complex(collected(a.iter().copied(), a.len())?))
            }
            _ => None,
        })
    };
    let copies = tensors.iter().map(copied).collect::<Result<Vec<_>>>()?;
    let mut slices = Vec::with_capacity(tensors.len());
    for (t, copy) in tensors.iter().zip(&copies) {
        slices.push(match (copy, t.host_array()) {
            (Some(copy), _) => copy.as_slice(),
            (None, Some(HostArray::F32(a))) => Slice::Real(a.as_slice().unwrap_or_default()),
            (None, Some(HostArray::Complex32(a))) => Slice::Complex(a.as_slice().unwrap_or_default()),
            (None, None) => {
                let (shape, place) = (t.shape(), t.device_name());
                return Err(Error::Device(format!("the tensor {shape} is on {place}, expected the host")));
            }
        });
    }
    f(&slices)
}

/// The kernels of arithmetic on a GPU, as name and WGSL: every step of every dtype, each ending, and copies of parts. Expressions
/// of a user's have others, of the same lines.
///
/// # Errors
/// One cannot be written.
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub fn kernels() -> Result<Vec<(String, String)>> {
    use crate::elementwise::{Ending, Reads, copying, kernel, sample};
    let named = |name: &str, text: Result<String>| Ok((name.to_string(), text?));
    let real = |c: &Computation| {
        let mut c = c.clone();
        c.map(crate::elementwise::Map::Real, c.steps().len() - 1);
        c
    };
    let (all, magnitudes) = (sample::computation(), sample::magnitudes());
    let mut many = Computation::default();
    let inputs: Vec<usize> = (0..INPUTS).map(|k| many.input(k % 2 == 0)).collect();
    inputs.into_iter().reduce(|a, b| many.pair(crate::elementwise::Pair::Sum, a, b));
    let mut reals = Computation::default();
    let inputs: Vec<usize> = (0..INPUTS).map(|_| reals.input(false)).collect();
    inputs.into_iter().reduce(|a, b| reals.pair(crate::elementwise::Pair::Product, a, b));
    let written = [
        ("stored", &all, Ending::Stored),
        ("stored, real", &real(&all), Ending::Stored),
        ("stored, of many", &many, Ending::Stored),
        ("stored, of many real ones", &reals, Ending::Stored),
        ("summed", &all, Ending::Summed),
        ("summed, real", &magnitudes, Ending::Summed),
        ("summed, of many real ones", &reals, Ending::Summed),
        ("largest", &magnitudes, Ending::Largest),
        ("largest, of many real ones", &reals, Ending::Largest),
    ];
    let written = written.into_iter().flat_map(|(name, c, ending)| {
        [(Reads::Units, ""), (Reads::Elements, ", one by one")]
            .map(|(reads, how)| named(&format!("{name}{how}"), kernel(c, ending, reads)))
    });
    written.chain([named("copy", copying())]).collect()
}
