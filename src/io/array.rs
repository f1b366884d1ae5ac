//! An array whose element type is known only when its file has been read.

use super::narrow::Narrowing;
use crate::Result;
use crate::tensor::first_where;
use ndarray::ArrayD;
use num_complex::{Complex32, Complex64};
use std::path::Path;

/// An array from a file, in C order, with the element type the file had.
///
/// Booleans are held as `U8` with the values 0 and 1; integers of any other width as `I64`.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Real, single precision.
    F32(ArrayD<f32>),
    /// Complex, single precision.
    C32(ArrayD<Complex32>),
    /// Real, double precision.
    F64(ArrayD<f64>),
    /// Complex, double precision.
    C64(ArrayD<Complex64>),
    /// Any integer but `u1`.
    I64(ArrayD<i64>),
    /// Bytes, and booleans as 0 and 1.
    U8(ArrayD<u8>),
}

impl Array {
    /// Extents in C order.
    pub fn shape(&self) -> &[usize] {
        match self {
            Array::F32(a) => a.shape(),
            Array::C32(a) => a.shape(),
            Array::F64(a) => a.shape(),
            Array::C64(a) => a.shape(),
            Array::I64(a) => a.shape(),
            Array::U8(a) => a.shape(),
        }
    }

    /// The element type in NumPy's short spelling: `f4`, `c8`, `f8`, `c16`, `i8`, `u1`.
    pub fn dtype_name(&self) -> &'static str {
        match self {
            Array::F32(_) => "f4",
            Array::C32(_) => "c8",
            Array::F64(_) => "f8",
            Array::C64(_) => "c16",
            Array::I64(_) => "i8",
            Array::U8(_) => "u1",
        }
    }

    /// The values as single-precision complex numbers; double precision is narrowed.
    pub fn into_complex(self) -> ArrayD<Complex32> {
        match self {
            Array::F32(a) => a.mapv(Complex32::from),
            Array::C32(a) => a,
            Array::F64(a) => a.mapv(|v| Complex32::from(v as f32)),
            Array::C64(a) => a.mapv(|v| Complex32::new(v.re as f32, v.im as f32)),
            Array::I64(a) => a.mapv(|v| Complex32::from(v as f32)),
            Array::U8(a) => a.mapv(|v| Complex32::from(f32::from(v))),
        }
    }

    /// Gives each value, in C order and as [`into_complex`](Array::into_complex) has it, to `f`, until that fails.
    pub(super) fn try_each_complex<E>(&self, f: &mut dyn FnMut(Complex32) -> Result<(), E>) -> Result<(), E> {
        match self {
            Array::F32(a) => a.iter().try_for_each(|v| f((*v).into())),
            Array::C32(a) => a.iter().try_for_each(|v| f(*v)),
            Array::F64(a) => a.iter().try_for_each(|v| f((*v as f32).into())),
            Array::C64(a) => a.iter().try_for_each(|v| f(Complex32::new(v.re as f32, v.im as f32))),
            Array::I64(a) => a.iter().try_for_each(|v| f((*v as f32).into())),
            Array::U8(a) => a.iter().try_for_each(|v| f(f32::from(*v).into())),
        }
    }

    /// The values in single precision: complex stays complex (`C32`), all else becomes `F32`.
    pub fn into_numeric(self) -> Array {
        match self {
            Array::F64(a) => Array::F32(a.mapv(|v| v as f32)),
            Array::C64(a) => Array::C32(a.mapv(|v| Complex32::new(v.re as f32, v.im as f32))),
            Array::I64(a) => Array::F32(a.mapv(|v| v as f32)),
            Array::U8(a) => Array::F32(a.mapv(f32::from)),
            narrow => narrow,
        }
    }

    /// Checks that single precision holds most of the numbers in double precision that are finite and not 0; a few that are far too large
    /// mark what is not known.
    ///
    /// # Errors
    /// With a value that is out of range, where most are.
    pub fn expect_in_range(&self, path: &Path) -> Result<()> {
        let mut narrowing = Narrowing::default();
        match self {
            Array::F64(a) => a.iter().for_each(|v| narrowing.see(*v)),
            Array::C64(a) => a.iter().for_each(|v| [v.re, v.im].into_iter().for_each(|v| narrowing.see(v))),
            _ => {}
        }
        narrowing.expect_kept(path)
    }

    /// The index, in C order, of the first NaN or infinity; `None` when all values are finite.
    pub fn first_non_finite(&self) -> Option<Vec<usize>> {
        match self {
            Array::F32(a) => first_where(&a.view(), |v| !v.is_finite()).map(|(at, _)| at),
            Array::C32(a) => first_where(&a.view(), |v| !v.is_finite()).map(|(at, _)| at),
            Array::F64(a) => first_where(&a.view(), |v| !v.is_finite()).map(|(at, _)| at),
            Array::C64(a) => first_where(&a.view(), |v| !v.is_finite()).map(|(at, _)| at),
            Array::I64(_) | Array::U8(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    #[test]
    fn narrows_and_names() {
        let a = Array::C64(arr2(&[[Complex64::new(1.5, -2.0)]]).into_dyn());
        assert_eq!((a.dtype_name(), a.shape()), ("c16", &[1, 1][..]));
        assert_eq!(a.into_complex()[[0, 0]], Complex32::new(1.5, -2.0));
        let ints = Array::I64(arr2(&[[-3, 4]]).into_dyn());
        assert_eq!(ints.into_numeric(), Array::F32(arr2(&[[-3., 4.]]).into_dyn()));
    }

    #[test]
    fn finds_the_first_nan() {
        let mut a = ArrayD::<f32>::zeros(vec![2, 3]);
        assert_eq!(Array::F32(a.clone()).first_non_finite(), None);
        a[[1, 2]] = f32::INFINITY;
        a[[1, 0]] = f32::NAN;
        assert_eq!(Array::F32(a).first_non_finite(), Some(vec![1, 0]));
    }
}
