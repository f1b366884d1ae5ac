//! Arrays that stand in a linop file themselves.
//!
//! Real ones may be lists of lists: `[[1, 0.5], [0, 2]]`. Any may be `{"dtype": "c8", "shape": [2], "data": [[1, 0], [0, 1]]}`:
//! the values in C order, complex ones as `[re, im]`. That form keeps the type, and so all bits.

use super::fields::kind;
use crate::allocate::room_for;
use crate::io::Array;
use ndarray::{ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};
use serde_json::{Map, Value};

/// The array of a list or an object, or what is wrong with it.
pub(super) fn embedded(value: &Value) -> Result<Array, String> {
    match value {
        Value::Object(map) => typed(map),
        list => nested(list),
    }
}

/// Lists of lists of real numbers: integers if all of them are.
fn nested(value: &Value) -> Result<Array, String> {
    let mut shape = Vec::new();
    let mut first = value;
    while let Value::Array(list) = first {
        shape.push(list.len());
        let Some(next) = list.first() else {
            return Err("holds an empty list; an array has at least one value".into());
        };
        first = next;
    }
    let mut values = Vec::new();
    flatten(value, &shape, &mut values)?;
    match values.iter().map(|v| v.as_i64()).collect::<Option<Vec<i64>>>() {
        Some(integers) => shaped(&shape, integers).map(Array::I64),
        None => shaped(&shape, values.iter().map(|v| real(v)).collect::<Result<Vec<f64>, _>>()?).map(Array::F64),
    }
}

fn flatten<'v>(value: &'v Value, shape: &[usize], out: &mut Vec<&'v Value>) -> Result<(), String> {
    match (value, shape) {
        (Value::Array(list), [n, rest @ ..]) if list.len() == *n => list.iter().try_for_each(|v| flatten(v, rest, out)),
        (Value::Array(list), [n, ..]) => {
            Err(format!("has lists of {n} and of {} values; expected equal ones", list.len()))
        }
        (number, []) if number.is_number() => {
            out.push(number);
            Ok(())
        }
        (other, _) => Err(format!(
            "holds {} where a {} was expected",
            kind(other),
            if shape.is_empty() { "number" } else { "list" }
        )),
    }
}

/// An array with its type.
fn typed(map: &Map<String, Value>) -> Result<Array, String> {
    const FORM: &str = "expected \"dtype\" (f4, f8, c8, c16, i8 or u1), \"shape\" and \"data\" (values in C order, complex ones as [re, im])";
    if map.len() != 3 {
        return Err(format!("has {} fields; {FORM}", map.len()));
    }
    let dtype = map.get("dtype").and_then(Value::as_str).ok_or_else(|| format!("has no \"dtype\"; {FORM}"))?;
    let extent = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let shape = map.get("shape").and_then(Value::as_array);
    let shape = shape.and_then(|list| list.iter().map(extent).collect::<Option<Vec<usize>>>());
    let shape = shape.ok_or_else(|| format!("has no \"shape\" of extents from 1 on; {FORM}"))?;
    let data = map.get("data").and_then(Value::as_array).ok_or_else(|| format!("has no \"data\"; {FORM}"))?;
    match dtype {
        "f4" => values(&shape, data, |v| real(v).map(|x| x as f32)).map(Array::F32),
        "f8" => values(&shape, data, real).map(Array::F64),
        "c8" => values(&shape, data, |v| complex(v).map(|z| Complex32::new(z.re as f32, z.im as f32))).map(Array::C32),
        "c16" => values(&shape, data, complex).map(Array::C64),
        "i8" => {
            values(&shape, data, |v| v.as_i64().ok_or_else(|| format!("{v} is no integer of 64 bits"))).map(Array::I64)
        }
        "u1" => {
            let byte = |v: &Value| v.as_u64().and_then(|n| u8::try_from(n).ok());
            values(&shape, data, |v| byte(v).ok_or_else(|| format!("{v} is no integer from 0 to 255"))).map(Array::U8)
        }
        other => Err(format!("has the dtype \"{other}\"; {FORM}")),
    }
}

fn values<T>(shape: &[usize], data: &[Value], one: impl Fn(&Value) -> Result<T, String>) -> Result<ArrayD<T>, String> {
    let mut all = room_for(data.len(), "an array of a linop file").map_err(|e| e.to_string())?;
    for v in data {
        all.push(one(v)?);
    }
    shaped(shape, all)
}

fn shaped<T>(shape: &[usize], values: Vec<T>) -> Result<ArrayD<T>, String> {
    let count = shape.iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    let given = values.len();
    let wrong = || format!("has {given} values for the shape {shape:?}");
    match count == Some(given) {
        true => ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|_| wrong()),
        false => Err(wrong()),
    }
}

fn real(v: &Value) -> Result<f64, String> {
    v.as_f64().ok_or_else(|| format!("holds {v} where a number was expected"))
}

fn complex(v: &Value) -> Result<Complex64, String> {
    match v.as_array().map(Vec::as_slice) {
        Some([re, im]) => Ok(Complex64::new(real(re)?, real(im)?)),
        _ => real(v).map(Complex64::from).map_err(|_| format!("holds {v} where a number or [re, im] was expected")),
    }
}
