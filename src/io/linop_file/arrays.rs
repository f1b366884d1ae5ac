//! The arrays that a linop file names.

use super::Loader;
use super::fields::Fields;
use crate::allocate::expect_room;
use crate::dim::{Shape, parse_dims};
use crate::error::{Result, shape_err};
use crate::io::{Array, Format, read_array};
use crate::tensor::{HostArray, Tensor};
use ndarray::ArrayD;
use serde_json::Value;

impl Loader {
    pub(super) fn array(&self, f: &Fields, field: &str, value: &Value) -> Result<Array> {
        let Some(name) = value.as_str() else {
            return Err(f.wrong(field, format!("is {value}; expected the path of an array file")));
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
        let value = f.get(field).ok_or_else(|| f.wrong(field, "is missing; expected the path of an array file"))?;
        let array = self.array(f, field, value)?;
        if let (Array::F64(a), "mask") = (&array, field)
            && let Some(v) = a.iter().find(|v| **v != 0.0 && **v != 1.0)
        {
            // Narrowed, a value close to 1 would pass for it.
            return Err(f.wrong(field, format!("{value} holds {v:?}; expected only 0 and 1")));
        }
        let array = array.into_numeric();
        if let Some(at) = array.first_non_finite() {
            return Err(f.wrong(
                field,
                format!("{value} holds NaN, infinity or more than float32 can at {at:?}; expected finite numbers"),
            ));
        }
        let dims = f.need_text("dims", "the names of its axes, as in \"C Ny Nx\"")?;
        let tensor = || {
            let dims = parse_dims(&dims)?;
            let extents = array.shape().to_vec();
            if dims.len() != extents.len() {
                return shape_err!("{value} has {} axes {extents:?}, \"dims\" names {}", extents.len(), dims.len());
            }
            let shape = Shape::new(dims, extents)?;
            let array = match array {
                Array::C32(a) => HostArray::Complex32(a.into_shared()),
                Array::F32(a) => HostArray::F32(a.into_shared()),
                other => return shape_err!("{value} has dtype {}; expected numbers", other.dtype_name()),
            };
            Tensor::from_host(shape, array)
        };
        tensor().map_err(|e| f.at(field, e))
    }

    /// Coordinates: kept in f64 until the plan is made.
    pub(super) fn locs(&self, f: &Fields) -> Result<ArrayD<f64>> {
        let value = f.get("locs").ok_or_else(|| f.wrong("locs", "is missing; expected the path of an array (…, D)"))?;
        match self.array(f, "locs", value)? {
            Array::F64(a) => Ok(a),
            Array::F32(a) => Ok(a.mapv(f64::from)),
            Array::I64(a) => Ok(a.mapv(|v| v as f64)),
            other => Err(f.wrong("locs", format!("{value} has dtype {}; expected real numbers", other.dtype_name()))),
        }
    }

    /// Whole numbers.
    pub(super) fn indices(&self, f: &Fields, field: &str, value: &Value) -> Result<ArrayD<i64>> {
        match self.array(f, field, value)? {
            Array::I64(a) => Ok(a),
            Array::U8(a) => Ok(a.mapv(i64::from)),
            other => Err(f.wrong(field, format!("{value} has dtype {}; expected integers", other.dtype_name()))),
        }
    }
}
