//! The numbers that functions of a user's own take, and how they come of a plan's values.

use crate::loops::{Real, Slice, SliceMut};
use num_complex::{Complex, Complex32, Complex64};
use std::any::TypeId;

/// What the functions of [`from_fn`](crate::linop::from_fn()) compute in: `f32`, `f64`, `Complex32` or `Complex64`.
pub trait Number: sealed::Number {}

mod sealed {
    /// How a number is made of its parts, and they of it.
    pub trait Number: bytemuck::Pod + Send + Sync {
        /// Whether it has an imaginary part.
        const COMPLEX: bool;
        /// Its name in listings.
        const NAME: &'static str;
        fn of(re: f64, im: f64) -> Self;
        fn parts(self) -> (f64, f64);
    }
}

macro_rules! real {
    ($t:ty, $name:literal) => {
        impl Number for $t {}
        impl sealed::Number for $t {
            const COMPLEX: bool = false;
            const NAME: &'static str = $name;
            #[inline]
            fn of(re: f64, _: f64) -> $t {
                re as $t
            }
            #[inline]
            fn parts(self) -> (f64, f64) {
                (self.into(), 0.0)
            }
        }
    };
}

macro_rules! complex {
    ($t:ty, $part:ty, $name:literal) => {
        impl Number for $t {}
        impl sealed::Number for $t {
            const COMPLEX: bool = true;
            const NAME: &'static str = $name;
            #[inline]
            fn of(re: f64, im: f64) -> $t {
                Complex::new(re as $part, im as $part)
            }
            #[inline]
            fn parts(self) -> (f64, f64) {
                (self.re.into(), self.im.into())
            }
        }
    };
}

real!(f32, "float32");
real!(f64, "float64");
complex!(Complex32, f32, "complex64");
complex!(Complex64, f64, "complex128");

/// Which part of complex values goes through functions of real ones.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Whole,
    Re,
    Im,
}

/// The values as they stand, if they are of this type.
pub(super) fn view<'a, T: Number, P: Real>(x: &Slice<'a, P>) -> Option<&'a [T]> {
    let same = |of: TypeId| of == TypeId::of::<T>();
    match x {
        Slice::Real(x) if same(TypeId::of::<P>()) => Some(bytemuck::cast_slice(x)),
        Slice::Complex(x) if same(TypeId::of::<Complex<P>>()) => Some(bytemuck::cast_slice(x)),
        _ => None,
    }
}

/// The same, to be written.
pub(super) fn view_mut<'a, T: Number, P: Real>(y: &'a mut SliceMut<P>) -> Option<&'a mut [T]> {
    let same = |of: TypeId| of == TypeId::of::<T>();
    match y {
        SliceMut::Real(y) if same(TypeId::of::<P>()) => Some(bytemuck::cast_slice_mut(y)),
        SliceMut::Complex(y) if same(TypeId::of::<Complex<P>>()) => Some(bytemuck::cast_slice_mut(y)),
        _ => None,
    }
}

/// Converts a part of the values.
pub(super) fn read<T: Number, P: Real>(x: &Slice<P>, part: Part, to: &mut [T]) {
    match x {
        Slice::Real(x) => to.iter_mut().zip(*x).for_each(|(to, &v)| *to = T::of(v.wide(), 0.0)),
        Slice::Complex(x) => to.iter_mut().zip(*x).for_each(|(to, v)| {
            *to = match part {
                Part::Whole => T::of(v.re.wide(), v.im.wide()),
                Part::Re => T::of(v.re.wide(), 0.0),
                Part::Im => T::of(v.im.wide(), 0.0),
            };
        }),
    }
}

/// Converts results into a part of the values; the whole of them sets both parts.
pub(super) fn write<T: Number, P: Real>(from: &[T], part: Part, y: &mut SliceMut<P>) {
    match y {
        SliceMut::Real(y) => y.iter_mut().zip(from).for_each(|(y, v)| *y = P::of_f64(v.parts().0)),
        SliceMut::Complex(y) => y.iter_mut().zip(from).for_each(|(y, v)| {
            let (re, im) = v.parts();
            match part {
                Part::Whole => *y = Complex::new(P::of_f64(re), P::of_f64(im)),
                Part::Re => y.re = P::of_f64(re),
                Part::Im => y.im = P::of_f64(re),
            }
        }),
    }
}
