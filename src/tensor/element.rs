//! Element types: those that a tensor holds, and those that it can be made from.

use super::HostArray;
use crate::allocate::collected;
use crate::error::{Result, value_err};
use ndarray::{ArcArray, ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};
use std::fmt;

/// Element types that a tensor holds: `f32` and [`Complex32`].
pub trait Element: ToElement<Element = Self> + Default {
    /// Wraps an array of this type.
    fn host(array: ArcArray<Self, IxDyn>) -> HostArray;
}

impl Element for f32 {
    fn host(array: ArcArray<f32, IxDyn>) -> HostArray {
        HostArray::F32(array)
    }
}

impl Element for Complex32 {
    fn host(array: ArcArray<Complex32, IxDyn>) -> HostArray {
        HostArray::Complex32(array)
    }
}

/// What a tensor can be made from: `f32`, `f64`, integers and `bool` (0 and 1) give real tensors, [`Complex32`] and [`Complex64`]
/// complex ones. Values become the nearest 32-bit numbers, NaN and infinity stay; a finite number beyond their range is an error.
pub trait ToElement: Copy + fmt::Debug + Send + Sync + 'static {
    /// What it becomes.
    type Element: Element;

    /// The nearest element; None beyond the range.
    fn to_element(self) -> Option<Self::Element>;

    /// The elements of an array, which is taken as it is where nothing has to change.
    ///
    /// # Errors
    /// A value beyond the range (it is told with its index), or no memory.
    fn to_elements(array: ArrayD<Self>) -> Result<ArrayD<Self::Element>> {
        let values = narrowed(array.iter().copied(), array.len())?;
        super::in_order(array.shape(), values)
    }
}

/// The elements of so many values.
pub(super) fn narrowed<V: ToElement>(values: impl Iterator<Item = V>, n: usize) -> Result<Vec<V::Element>> {
    let mut beyond = None;
    let one = |(i, v): (usize, V)| {
        v.to_element().unwrap_or_else(|| {
            beyond.get_or_insert((i, v));
            V::Element::default()
        })
    };
    let narrow = collected(values.enumerate().map(one), n)?;
    match beyond {
        None => Ok(narrow),
        Some((i, v)) => value_err!(
            "value {i} in C order is {v:?}, which 32-bit numbers do not reach (3.4e38 at most); scale the values"
        ),
    }
}

/// The nearest `f32`, if a finite number stays finite.
fn narrow(x: f64) -> Option<f32> {
    let y = x as f32;
    (y.is_finite() || !x.is_finite()).then_some(y)
}

impl ToElement for f32 {
    type Element = f32;

    fn to_element(self) -> Option<f32> {
        Some(self)
    }

    fn to_elements(array: ArrayD<f32>) -> Result<ArrayD<f32>> {
        Ok(array)
    }
}

impl ToElement for Complex32 {
    type Element = Complex32;

    fn to_element(self) -> Option<Complex32> {
        Some(self)
    }

    fn to_elements(array: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        Ok(array)
    }
}

impl ToElement for f64 {
    type Element = f32;

    fn to_element(self) -> Option<f32> {
        narrow(self)
    }
}

impl ToElement for Complex64 {
    type Element = Complex32;

    fn to_element(self) -> Option<Complex32> {
        Some(Complex32::new(narrow(self.re)?, narrow(self.im)?))
    }
}

impl ToElement for bool {
    type Element = f32;

    fn to_element(self) -> Option<f32> {
        Some(f32::from(u8::from(self)))
    }
}

macro_rules! integers {
    ($($t:ty)*) => {
        $(
            impl ToElement for $t {
                type Element = f32;

                fn to_element(self) -> Option<f32> {
                    Some(self as f32)
                }
            }
        )*
    };
}

// The largest, 2⁶⁴, is well within the range.
integers! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize }
