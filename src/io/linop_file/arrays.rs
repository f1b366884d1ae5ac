//! The arrays that a linop file names or holds.

use super::Loader;
use super::embedded::embedded;
use super::fields::Fields;
use crate::allocate::expect_room;
use crate::dim::{Shape, join, parse_dims};
use crate::error::{Result, shape_err};
use crate::io::{Array, Format, read_array};
use crate::tensor::{HostArray, Tensor};
use ndarray::ArrayD;
use serde_json::Value;

/// What an array's value may be, for messages.
const EXPECTED: &str = "expected the path of an array file, a list of numbers, or {\"dtype\", \"shape\", \"data\"}";

impl Loader {
    pub(super) fn array(&self, f: &Fields, field: &str, value: &Value) -> Result<Array> {
        let name = match value {
            Value::String(name) => name,
            Value::Array(_) | Value::Object(_) => return embedded(value).map_err(|e| f.wrong(field, e)),
            other => return Err(f.wrong(field, format!("is {other}; {EXPECTED}"))),
        };
        let path = self.folder.join(name);
        let array = read_array(&path).map_err(|e| f.at(field, e))?;
        self.files.borrow_mut().extend(Format::of(&path).map_or_else(Vec::new, |format| format.files(&path)));
        // In the type that the caller wants, and as the linop keeps it.
        let values: u64 = array.shape().iter().map(|n| *n as u64).product();
        expect_room(values.saturating_mul(16), name).map_err(|e| f.at(field, e))?;
        Ok(array)
    }

    /// A weight: numbers under the dims that `dims` names.
    pub(super) fn weight(&self, f: &Fields, field: &str) -> Result<Tensor> {
        let dims = f.need_text("dims", "the names of its axes, as in \"C Ny Nx\"")?;
        self.named(f, field, &dims)
    }

    /// Numbers whose axes have these names.
    pub(super) fn named(&self, f: &Fields, field: &str, dims: &str) -> Result<Tensor> {
        let value = f.get(field).ok_or_else(|| f.wrong(field, format!("is missing; {EXPECTED}")))?;
        let array = self.array(f, field, value)?;
        if let (Array::F64(a), "mask") = (&array, field)
            && let Some(v) = a.iter().find(|v| **v != 0.0 && **v != 1.0)
        {
            // Narrowed, a value close to 1 would pass for it.
            return Err(f.wrong(field, format!("{} holds {v:?}; expected only 0 and 1", called(value))));
        }
        let array = array.into_numeric();
        if let Some(at) = array.first_non_finite() {
            return Err(f.wrong(
                field,
                format!(
                    "{} holds NaN, infinity or more than float32 can at {at:?}; expected finite numbers",
                    called(value)
                ),
            ));
        }
        let tensor = || {
            let names = parse_dims(dims)?;
            let (dims, extents) = (names, array.shape().to_vec());
            if dims.len() != extents.len() {
                return shape_err!(
                    "{} has {} axes {extents:?}; expected {}, \"{}\"",
                    called(value),
                    extents.len(),
                    dims.len(),
                    join(&dims)
                );
            }
            let shape = Shape::new(dims, extents)?;
            let array = match array {
                Array::C32(a) => HostArray::Complex32(a.into_shared()),
                Array::F32(a) => HostArray::F32(a.into_shared()),
                other => return shape_err!("{} has dtype {}; expected numbers", called(value), other.dtype_name()),
            };
            Tensor::from_host(shape, array)
        };
        tensor().map_err(|e| f.at(field, e))
    }

    /// Locations, point by point.
    pub(super) fn locs(&self, f: &Fields) -> Result<ArrayD<f64>> {
        self.wide(f, "locs", "an array (…, D)")
    }

    /// Real numbers that are kept in f64.
    pub(super) fn wide(&self, f: &Fields, field: &str, expected: &str) -> Result<ArrayD<f64>> {
        let value = f.get(field).ok_or_else(|| f.wrong(field, format!("is missing; expected {expected}")))?;
        match self.array(f, field, value)? {
            Array::F64(a) => Ok(a),
            Array::F32(a) => Ok(a.mapv(f64::from)),
            Array::I64(a) => Ok(a.mapv(|v| v as f64)),
            other => {
                let what = format!("{} has dtype {}; expected real numbers", called(value), other.dtype_name());
                Err(f.wrong(field, what))
            }
        }
    }

    /// Whole numbers.
    pub(super) fn indices(&self, f: &Fields, field: &str, value: &Value) -> Result<ArrayD<i64>> {
        match self.array(f, field, value)? {
            Array::I64(a) => Ok(a),
            Array::U8(a) => Ok(a.mapv(i64::from)),
            other => {
                let what = format!("{} has dtype {}; expected integers", called(value), other.dtype_name());
                Err(f.wrong(field, what))
            }
        }
    }
}

/// What messages call an array.
pub(super) fn called(value: &Value) -> String {
    if value.is_string() { value.to_string() } else { "the array".into() }
}
