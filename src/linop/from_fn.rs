//! Linops of functions: a pair of closures over arrays of the host.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::ToShape;
use crate::error::{Result, value_err};
use crate::ir::Builder;
use crate::primitive::closure::{Closure, Number};
use ndarray::{ArrayView, ArrayViewMut, Dimension};

/// y = f(x) by functions of your own, forward and adjoint, over arrays of the host in C order with the extents of `input` and
/// `output`. The result that a function is given is zeros; it is to be filled, or added to.
///
/// They compute in `f32`, `f64`, `Complex32` or `Complex64`, on as many axes as their arguments say (`ArrayView2`, or `ArrayViewD`
/// for any). A pair of real functions acts on the real and the imaginary part of complex values, one after the other; a pair of
/// complex ones gives complex values for real ones, too. Values of another precision than the functions' are converted: with
/// functions of f32 the f64 of [`apply_f64`](crate::apply_f64) is f32 there.
///
/// The normal is one after the other. [Splits](Linop::split) along dims that [`over`](Linop::over) puts in front, and no
/// others.
///
/// ```
/// use linops::{check, linop, Device};
/// use ndarray::{ArrayView1, ArrayViewMut1};
/// // Running sums, and the running sums from the end.
/// let a = linop::from_fn(
///     "N=5",
///     "N=5",
///     |x: ArrayView1<f32>, mut y: ArrayViewMut1<f32>| {
///         let mut sum = 0.0;
///         y.iter_mut().zip(&x).for_each(|(y, x)| { sum += x; *y = sum; });
///     },
///     |y: ArrayView1<f32>, mut x: ArrayViewMut1<f32>| {
///         let mut sum = 0.0;
///         x.iter_mut().rev().zip(y.iter().rev()).for_each(|(x, y)| { sum += y; *x = sum; });
///     },
/// )?;
/// assert!(check::dot_test(&a, &Device::host(), 1)?.passed());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// That both are linear and the second is the adjoint of the first is yours to see to: [`check::dot_test`](crate::check::dot_test)
/// shows whether it is. They may be called by several threads at once, and by any; the same call should give the same bits.
/// Nothing fuses with them. In a plan for a GPU they are a step that the host runs, listed as "host": what stands before them is
/// submitted and waited for, their input goes to the host and their result back, and the rest follows. So an apply waits.
///
/// # Errors
/// `input` or `output` is no shape, or of another number of axes than the functions take. A function that panics is an error of the apply, [`Error::Panicked`](crate::Error).
pub fn from_fn<T: Number, D: Dimension, E: Dimension>(
    input: impl ToShape,
    output: impl ToShape,
    forward: impl Fn(ArrayView<'_, T, D>, ArrayViewMut<'_, T, E>) + Send + Sync + 'static,
    adjoint: impl Fn(ArrayView<'_, T, E>, ArrayViewMut<'_, T, D>) + Send + Sync + 'static,
) -> Result<Linop> {
    let (input, output) = (input.to_shape()?, output.to_shape()?);
    let closure = Closure::new(input.extents(), output.extents(), forward, adjoint)?;
    Ok(Linop::of(input, output, FromFn { closure }))
}

#[derive(Debug)]
struct FromFn {
    closure: Closure,
}

impl Operator for FromFn {
    fn op(&self) -> &'static str {
        "from_fn"
    }

    fn details(&self) -> String {
        self.closure.number().into()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.apply(x, self.closure.clone())
    }

    fn saved(&self, _: &mut Saver) -> Result<()> {
        value_err!("functions of a program cannot be saved; make this linop after loading, and save those around it")
    }
}
