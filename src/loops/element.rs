//! Number types of the host executor: f32 and f64, real and complex, behind two small traits.

use crate::allocate::{unset, zeroed};
use crate::dim::Shape;
use crate::error::Result;
use crate::tensor::Tensor;
use bytemuck::Pod;
use num_complex::{Complex, Complex32};
use rustfft::FftNum;
use std::ops::{Add, Mul};

/// The precision that the host computes in: f32, or f64 for the oracle. Constants are f32 in both.
pub trait Real: FftNum + Pod + Default + Elem<Self> {
    /// From a constant.
    fn of(x: f32) -> Self;
    /// From a scalar that was made in f64.
    fn of_f64(x: f64) -> Self;
    /// In f64.
    fn wide(self) -> f64;
    /// self·a + b, rounded once; fast only where the processor has an instruction for it.
    fn fused(self, a: Self, b: Self) -> Self;

    /// to + w·x for eight neighbours, rounded once.
    ///
    /// # Safety
    /// The processor has AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn fused_vector(to: &mut [Self; 8], w: Self, x: &[Self; 8]) {
        for (to, x) in to.iter_mut().zip(x) {
            *to = w.fused(*x, *to);
        }
    }
}

impl Real for f32 {
    #[inline(always)]
    fn fused(self, a: f32, b: f32) -> f32 {
        self.mul_add(a, b)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    unsafe fn fused_vector(to: &mut [f32; 8], w: f32, x: &[f32; 8]) {
        use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps};
        // A loop in its place took three times as long in rows of 5 to 10 vectors (`add_vector` of `primitive/interpolate/taps.rs`).
        // SAFETY: the caller vouches for the features; each pointer has eight values behind it.
        unsafe {
            let sum = _mm256_fmadd_ps(_mm256_set1_ps(w), _mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(to.as_ptr()));
            _mm256_storeu_ps(to.as_mut_ptr(), sum);
        }
    }

    fn of(x: f32) -> f32 {
        x
    }
    fn of_f64(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn fused(self, a: f64, b: f64) -> f64 {
        self.mul_add(a, b)
    }
    fn of(x: f32) -> f64 {
        x.into()
    }
    fn of_f64(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
}

/// An element of a result: real or complex in precision `T`.
pub trait Elem<T>: Copy + Send + Sync + Add<Output = Self> + Mul<T, Output = Self> + 'static {
    /// 0 (named apart from the number traits' own).
    fn null() -> Self;
    /// From a real value.
    fn re(x: T) -> Self;
    /// From a complex value. A real result is made from complex ones only where these are real but for rounding.
    fn complex(x: Complex<T>) -> Self;
    /// Times a complex weight; on a real element only its real part can matter.
    fn times(self, w: Complex<T>) -> Self;
    /// Times the conjugate of a complex weight.
    fn times_conj(self, w: Complex<T>) -> Self;
    /// The elements as complex ones, if they are.
    fn as_complex_mut(x: &mut [Self]) -> Option<&mut [Complex<T>]>;
    /// Reals in one element.
    const LANES: usize;
    /// The elements as reals.
    fn flat(x: &[Self]) -> &[T];
    /// The elements as reals, to be written.
    fn flat_mut(x: &mut [Self]) -> &mut [T];
    /// Borrowed values, if they are of this type.
    fn of_slice<'a>(x: &Slice<'a, T>) -> Option<&'a [Self]>;
}

macro_rules! real_elem {
    ($t:ty) => {
        impl Elem<$t> for $t {
            fn null() -> $t {
                0.0
            }
            fn re(x: $t) -> $t {
                x
            }
            fn complex(x: Complex<$t>) -> $t {
                x.re
            }
            fn times(self, w: Complex<$t>) -> $t {
                self * w.re
            }
            fn times_conj(self, w: Complex<$t>) -> $t {
                self * w.re
            }
            fn as_complex_mut(_: &mut [$t]) -> Option<&mut [Complex<$t>]> {
                None
            }
            const LANES: usize = 1;
            fn flat(x: &[$t]) -> &[$t] {
                x
            }
            fn flat_mut(x: &mut [$t]) -> &mut [$t] {
                x
            }
            fn of_slice<'a>(x: &Slice<'a, $t>) -> Option<&'a [$t]> {
                match x {
                    Slice::Real(x) => Some(x),
                    Slice::Complex(_) => None,
                }
            }
        }
    };
}
real_elem!(f32);
real_elem!(f64);

impl<T: FftNum + Pod> Elem<T> for Complex<T> {
    fn null() -> Self {
        Complex::new(T::zero(), T::zero())
    }
    fn re(x: T) -> Self {
        Complex::new(x, T::zero())
    }
    fn complex(x: Complex<T>) -> Self {
        x
    }
    #[inline(always)]
    fn times(self, w: Complex<T>) -> Self {
        Complex::new(self.re * w.re - self.im * w.im, self.re * w.im + self.im * w.re)
    }
    #[inline(always)]
    fn times_conj(self, w: Complex<T>) -> Self {
        Complex::new(self.re * w.re + self.im * w.im, self.im * w.re - self.re * w.im)
    }
    fn as_complex_mut(x: &mut [Self]) -> Option<&mut [Complex<T>]> {
        Some(x)
    }
    const LANES: usize = 2;
    fn flat(x: &[Self]) -> &[T] {
        bytemuck::cast_slice(x)
    }
    fn flat_mut(x: &mut [Self]) -> &mut [T] {
        bytemuck::cast_slice_mut(x)
    }
    fn of_slice<'a>(x: &Slice<'a, T>) -> Option<&'a [Self]> {
        match x {
            Slice::Real(_) => None,
            Slice::Complex(x) => Some(x),
        }
    }
}

/// A tensor's values in C order, on the host.
#[derive(Clone, Debug, PartialEq)]
pub enum HostBuf<T> {
    /// Real values.
    Real(Vec<T>),
    /// Complex values.
    Complex(Vec<Complex<T>>),
}

impl HostBuf<f32> {
    /// The values as a tensor of this shape.
    ///
    /// # Errors
    /// The shape has another number of elements.
    pub(crate) fn into_tensor(self, shape: Shape) -> Result<Tensor> {
        match self {
            HostBuf::Real(v) => Tensor::of_result(shape, v),
            HostBuf::Complex(v) => Tensor::of_result(shape, v),
        }
    }
}

impl<T: Real> HostBuf<T> {
    /// Zeros.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn zeros(len: usize, complex: bool) -> Result<HostBuf<T>> {
        Ok(match complex {
            true => HostBuf::Complex(zeroed(len)?),
            false => HostBuf::Real(zeroed(len)?),
        })
    }

    /// Values of any kind, all of which are to be written.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(crate) fn unset(len: usize, complex: bool) -> Result<HostBuf<T>> {
        Ok(match complex {
            true => HostBuf::Complex(unset(len)?),
            false => HostBuf::Real(unset(len)?),
        })
    }

    /// A copy.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn try_clone(&self) -> Result<HostBuf<T>> {
        let mut copy = HostBuf::unset(self.len(), self.is_complex())?;
        match (&mut copy, self) {
            (HostBuf::Real(to), HostBuf::Real(from)) => to.copy_from_slice(from),
            (HostBuf::Complex(to), HostBuf::Complex(from)) => to.copy_from_slice(from),
            _ => {}
        }
        Ok(copy)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            HostBuf::Real(v) => v.len(),
            HostBuf::Complex(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the values are complex.
    pub fn is_complex(&self) -> bool {
        matches!(self, HostBuf::Complex(_))
    }

    /// All values as complex ones.
    pub fn to_complex(&self) -> Vec<Complex<T>> {
        match self {
            HostBuf::Real(v) => v.iter().map(|&x| Complex::new(x, T::zero())).collect(),
            HostBuf::Complex(v) => v.clone(),
        }
    }

    /// The values, borrowed.
    pub fn as_slice(&self) -> Slice<'_, T> {
        match self {
            HostBuf::Real(v) => Slice::Real(v),
            HostBuf::Complex(v) => Slice::Complex(v),
        }
    }

    pub(crate) fn as_mut(&mut self) -> SliceMut<'_, T> {
        match self {
            HostBuf::Real(v) => SliceMut::Real(v),
            HostBuf::Complex(v) => SliceMut::Complex(v),
        }
    }
}

/// Borrowed values in C order.
#[derive(Clone, Copy, Debug)]
pub enum Slice<'a, T> {
    /// Real values.
    Real(&'a [T]),
    /// Complex values.
    Complex(&'a [Complex<T>]),
}

/// Values to be written.
pub(crate) enum SliceMut<'a, T> {
    Real(&'a mut [T]),
    Complex(&'a mut [Complex<T>]),
}

impl<'a, T: Real> Slice<'a, T> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Slice::Real(v) => v.len(),
            Slice::Complex(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the values are complex.
    pub fn is_complex(&self) -> bool {
        matches!(self, Slice::Complex(_))
    }

    /// The first `len` elements of a scratch buffer.
    pub(crate) fn of(raw: &'a [T], len: usize, complex: bool) -> Slice<'a, T> {
        match complex {
            true => Slice::Complex(bytemuck::cast_slice(&raw[..2 * len])),
            false => Slice::Real(&raw[..len]),
        }
    }
}

impl<'a, T: Real> SliceMut<'a, T> {
    /// The same for a shorter time.
    pub fn reborrow(&mut self) -> SliceMut<'_, T> {
        match self {
            SliceMut::Real(v) => SliceMut::Real(v),
            SliceMut::Complex(v) => SliceMut::Complex(v),
        }
    }

    /// The first `at` elements, and the rest.
    pub fn split_at(self, at: usize) -> (SliceMut<'a, T>, SliceMut<'a, T>) {
        match self {
            SliceMut::Real(v) => {
                let (a, b) = v.split_at_mut(at);
                (SliceMut::Real(a), SliceMut::Real(b))
            }
            SliceMut::Complex(v) => {
                let (a, b) = v.split_at_mut(at);
                (SliceMut::Complex(a), SliceMut::Complex(b))
            }
        }
    }

    /// The first `len` elements of a scratch buffer.
    pub fn of(raw: &'a mut [T], len: usize, complex: bool) -> SliceMut<'a, T> {
        match complex {
            true => SliceMut::Complex(bytemuck::cast_slice_mut(&mut raw[..2 * len])),
            false => SliceMut::Real(&mut raw[..len]),
        }
    }
}

/// A constant's value in precision `T`.
pub(crate) fn widen<T: Real>(c: Complex32) -> Complex<T> {
    Complex::new(T::of(c.re), T::of(c.im))
}
