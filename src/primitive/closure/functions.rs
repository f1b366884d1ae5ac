//! A pair of functions, whatever they compute in, applied to a plan's values.

use super::number::{Number, Part, read, view, view_mut, write};
use crate::allocate::zeroed;
use crate::error::{Error, Result, caught};
use crate::loops::{Real, Slice, SliceMut};
use ndarray::{ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension, IxDyn};
use std::borrow::Cow;

/// What is called: the input, and the result, which is zeros before.
pub(super) type Function<T> = Box<dyn Fn(ArrayViewD<'_, T>, ArrayViewMutD<'_, T>) -> Result<()> + Send + Sync>;

/// A function of arrays of so many axes.
pub(super) fn boxed<T: Number, D: Dimension, E: Dimension>(
    f: impl Fn(ArrayView<'_, T, D>, ArrayViewMut<'_, T, E>) + Send + Sync + 'static,
) -> Function<T> {
    Box::new(move |x, y| {
        let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
        f(x.into_dimensionality().map_err(wrong)?, y.into_dimensionality().map_err(wrong)?);
        Ok(())
    })
}

/// Forward and adjoint between arrays of these extents.
pub(super) struct Functions<T> {
    pub input: Vec<usize>,
    pub output: Vec<usize>,
    pub forward: Function<T>,
    pub adjoint: Function<T>,
}

/// Functions of any numbers.
pub(super) trait Pair: Send + Sync {
    /// Whether results are complex whatever comes.
    fn complex(&self) -> bool;
    /// What they compute in, as listings call it.
    fn number(&self) -> &'static str;
    /// Bytes of copies for an input and a result of 32-bit numbers, complex or not.
    fn copies(&self, adjoint: bool, complex_input: bool, complex_result: bool) -> u64;
    /// One of them, in f32.
    fn run32(&self, adjoint: bool, x: Slice<f32>, y: SliceMut<f32>) -> Result<()>;
    /// The same for values of f64.
    fn run64(&self, adjoint: bool, x: Slice<f64>, y: SliceMut<f64>) -> Result<()>;
}

impl<T: Number> Functions<T> {
    /// Extents of what goes in and comes out.
    fn ends(&self, adjoint: bool) -> (&[usize], &[usize]) {
        if adjoint { (&self.output, &self.input) } else { (&self.input, &self.output) }
    }

    /// Values as they stand where they are of this type, else copies; complex values through functions of real ones part by
    /// part.
    fn run<P: Real>(&self, adjoint: bool, x: Slice<P>, mut y: SliceMut<P>) -> Result<()> {
        let (from, to) = self.ends(adjoint);
        let (taken, given) = (from.iter().product(), to.iter().product());
        let parts: &[Part] = if T::COMPLEX || !x.is_complex() { &[Part::Whole] } else { &[Part::Re, Part::Im] };
        for &part in parts {
            let source = match view::<T, P>(&x) {
                Some(x) => Cow::Borrowed(x),
                None => {
                    let mut copy = zeroed::<T>(taken)?;
                    read(&x, part, &mut copy);
                    Cow::Owned(copy)
                }
            };
            if let Some(y) = view_mut::<T, P>(&mut y) {
                y.fill(T::zeroed());
                self.call(adjoint, &source, y)?;
                continue;
            }
            let mut result = zeroed::<T>(given)?;
            self.call(adjoint, &source, &mut result)?;
            write(&result, part, &mut y);
        }
        Ok(())
    }

    fn call(&self, adjoint: bool, x: &[T], y: &mut [T]) -> Result<()> {
        let (from, to) = self.ends(adjoint);
        let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
        let x = ArrayViewD::from_shape(IxDyn(from), x).map_err(wrong)?;
        let y = ArrayViewMutD::from_shape(IxDyn(to), y).map_err(wrong)?;
        let (function, name) =
            if adjoint { (&self.adjoint, "the adjoint") } else { (&self.forward, "the forward") };
        caught(|| function(x, y)).map_err(|e| e.at(name))
    }
}

impl<T: Number> Pair for Functions<T> {
    fn complex(&self) -> bool {
        T::COMPLEX
    }

    fn number(&self) -> &'static str {
        T::NAME
    }

    fn copies(&self, adjoint: bool, complex_input: bool, complex_result: bool) -> u64 {
        let (from, to) = self.ends(adjoint);
        let same = |complex: bool| complex == T::COMPLEX && size_of::<T>() == if complex { 8 } else { 4 };
        let bytes = |e: &[usize], complex: bool| {
            let n: usize = e.iter().product();
            if same(complex) { 0 } else { (n * size_of::<T>()) as u64 }
        };
        bytes(from, complex_input) + bytes(to, complex_result)
    }

    fn run32(&self, adjoint: bool, x: Slice<f32>, y: SliceMut<f32>) -> Result<()> {
        self.run(adjoint, x, y)
    }

    fn run64(&self, adjoint: bool, x: Slice<f64>, y: SliceMut<f64>) -> Result<()> {
        self.run(adjoint, x, y)
    }
}
