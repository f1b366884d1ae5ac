//! Linops written as linop files, with their arrays in the file or beside it.

use super::{LinopFile, Loader, MAX_DEPTH, Place, parsed};
use crate::error::{Error, Result, shape_err};
use crate::io::format::{FORMATS, Format};
use crate::io::{Array, Output, write_npy};
use crate::linop::{Linop, Saved, SavedArray, SavedValue};
use crate::setters::setters;
use serde_json::{Map, Number, Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Options of [`Linop::save`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveOptions {
    /// Arrays stand in the file itself, instead of in files beside it.
    pub embed: bool,
    /// Files that exist are replaced.
    pub force: bool,
}

setters! { SaveOptions {
    /// With arrays in the file itself, or not.
    embed: bool,
    /// With files replaced, or not.
    force: bool,
} }

impl Linop {
    /// The linop of a linop file's text; arrays are found relative to `folder`.
    ///
    /// ```
    /// use linops::Linop;
    /// let a = Linop::from_json(r#"{ "op": "diagonal", "weight": [1, 0.5], "dims": "N" }"#, ".")?;
    /// assert_eq!(a.to_json()?, "{ \"op\": \"diagonal\", \"in\": \"N=2\", \"weight\": [1.0, 0.5], \"dims\": \"N\" }\n");
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Linop::from_file`].
    pub fn from_json(text: &str, folder: impl AsRef<Path>) -> Result<Linop> {
        let value = parsed(text).map_err(Error::Value)?;
        Loader::new(folder.as_ref()).linop(&value, None, &Place::default())
    }

    /// The linop as the text of a linop file, with its arrays in it. [`Linop::from_json`] makes the same linop of it: equal
    /// results, bit for bit. Large arrays are better saved beside the file, by [`Linop::save`].
    ///
    /// # Errors
    /// Those of [`Linop::saved`]; a weight is not finite; or linops are nested deeper than files may have it.
    pub fn to_json(&self) -> Result<String> {
        let value = object(&self.saved()?, &mut |_, array| embedded(array), 0)?;
        Ok(text(&value))
    }

    /// Writes the linop as a linop file: to `path` if it ends in `.json`, else as `linop.json` into the folder of that name, which
    /// is made. Arrays go into `.npy` files beside it, one that several linops share into one. Gives the files written, the
    /// linop file first.
    ///
    /// # Errors
    /// Those of [`Linop::to_json`]; a file exists and is not to be replaced, or cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, options: SaveOptions) -> Result<Vec<PathBuf>> {
        save(self, false, path.as_ref(), options, &[])
    }
}

impl LinopFile {
    /// [`Linop::save`], where nothing that was read may be replaced, and an `in` that begins with `...` still does.
    ///
    /// # Errors
    /// Those of [`Linop::save`]; a file to write is one that was read.
    pub fn save(&self, path: impl AsRef<Path>, options: SaveOptions) -> Result<Vec<PathBuf>> {
        save(&self.linop, self.any_in_front, path.as_ref(), options, &self.files)
    }
}

fn save(
    linop: &Linop,
    any_in_front: bool,
    path: &Path,
    options: SaveOptions,
    read: &[PathBuf],
) -> Result<Vec<PathBuf>> {
    let mut saved = linop.saved()?;
    if any_in_front {
        saved.fields.retain(|(field, _)| field != "in");
        saved.fields.insert(1, ("in".into(), format!("... {}", linop.input()?).into()));
    }
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let suffix = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let of = |f: &&Format| suffix.as_deref().is_some_and(|s| f.suffixes.contains(&s) || f.companion == Some(s));
    if let Some(format) = FORMATS.iter().find(of) {
        let what = format!(
            "has the suffix of {}; a linop goes into a file that ends in .json, or into a folder of another name",
            format.name
        );
        return Err(Error::file(path, what));
    }
    let (folder, file, prefix) = match is_file {
        true => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            (path.parent().unwrap_or(Path::new("")), path.to_path_buf(), format!("{stem}-"))
        }
        false => (path, path.join("linop.json"), String::new()),
    };
    // All that can be wrong with the linop is found before there is a file.
    let mut arrays = Arrays { prefix, named: Vec::new() };
    let value = match options.embed {
        true => object(&saved, &mut |_, array| embedded(array), 0)?,
        false => object(&saved, &mut |field, array| arrays.named(field, array), 0)?,
    };
    if !is_file {
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, format!("cannot be made a folder: {e}")))?;
    }
    let reserved = |path: &Path, suffix| {
        let output = Output::create(path, &[suffix], options.force)?;
        output.expect_apart(read).map(|()| output)
    };
    let target = reserved(&file, "json")?;
    let outputs =
        arrays.named.iter().map(|(name, _)| reserved(&folder.join(name), "npy")).collect::<Result<Vec<_>>>()?;
    let mut files = vec![file.clone()];
    for (output, (name, array)) in outputs.into_iter().zip(&arrays.named) {
        write_npy(output, &typed(array))?;
        files.push(folder.join(name));
    }
    let failed = |e: std::io::Error| Error::file(&file, format!("cannot write: {e}"));
    target.write(|out| out.write_all(text(&value).as_bytes()).map_err(failed))?;
    Ok(files)
}

/// The arrays that go into files.
struct Arrays<'a> {
    prefix: String,
    named: Vec<(String, &'a SavedArray)>,
}

impl<'a> Arrays<'a> {
    /// The name of the file of an array: that of the field, with a number where there are more of them. The same values have one.
    fn named(&mut self, field: &str, array: &'a SavedArray) -> Result<Value> {
        expect_finite(array)?;
        if let Some((name, _)) = self.named.iter().find(|(_, other)| same(other, array)) {
            return Ok(name.as_str().into());
        }
        let name = |n: usize| match n {
            0 => format!("{}{field}.npy", self.prefix),
            n => format!("{}{field}-{n}.npy", self.prefix),
        };
        let free = (0..).map(name).find(|name| self.named.iter().all(|(other, _)| other != name)).unwrap_or_default();
        self.named.push((free.clone(), array));
        Ok(free.into())
    }
}

/// Whether the bits are the same.
fn same(a: &SavedArray, b: &SavedArray) -> bool {
    fn equal<T>(a: &[usize], b: &[usize], x: impl Iterator<Item = T>, y: impl Iterator<Item = T>) -> bool
    where
        T: PartialEq,
    {
        a == b && x.eq(y)
    }
    match (a, b) {
        (SavedArray::Real(a), SavedArray::Real(b)) => {
            equal(a.shape(), b.shape(), a.iter().map(|v| v.to_bits()), b.iter().map(|v| v.to_bits()))
        }
        (SavedArray::Complex(a), SavedArray::Complex(b)) => {
            let bits = |v: &num_complex::Complex32| (v.re.to_bits(), v.im.to_bits());
            equal(a.shape(), b.shape(), a.iter().map(bits), b.iter().map(bits))
        }
        (SavedArray::Coordinates(a), SavedArray::Coordinates(b)) => {
            equal(a.shape(), b.shape(), a.iter().map(|v| v.to_bits()), b.iter().map(|v| v.to_bits()))
        }
        (SavedArray::Indices(a), SavedArray::Indices(b)) => a == b,
        (SavedArray::Mask(a), SavedArray::Mask(b)) => a == b,
        _ => false,
    }
}

fn typed(array: &SavedArray) -> Array {
    match array {
        SavedArray::Real(a) => Array::F32(a.clone()),
        SavedArray::Complex(a) => Array::C32(a.clone()),
        SavedArray::Coordinates(a) => Array::F64(a.to_owned()),
        SavedArray::Indices(a) => Array::I64(a.clone()),
        SavedArray::Mask(a) => Array::U8(a.clone()),
    }
}

fn expect_finite(array: &SavedArray) -> Result<()> {
    let bad = match array {
        SavedArray::Real(a) => a.iter().any(|v| !v.is_finite()),
        SavedArray::Complex(a) => a.iter().any(|v| !v.is_finite()),
        SavedArray::Coordinates(a) => a.iter().any(|v| !v.is_finite()),
        SavedArray::Indices(_) | SavedArray::Mask(_) => false,
    };
    match bad {
        true => Err(Error::Value("an array holds NaN or infinity; linop files have finite numbers".into())),
        false => Ok(()),
    }
}

/// An array as it stands in a file: real values as lists of lists, complex ones with their type.
fn embedded(array: &SavedArray) -> Result<Value> {
    expect_finite(array)?;
    Ok(match array {
        SavedArray::Real(a) => nested(a.shape(), &mut a.iter().map(|&v| decimal(v))),
        SavedArray::Coordinates(a) => nested(a.shape(), &mut a.iter().map(|&v| number(v))),
        SavedArray::Indices(a) => nested(a.shape(), &mut a.iter().map(|&v| v.into())),
        SavedArray::Mask(a) => nested(a.shape(), &mut a.iter().map(|&v| v.into())),
        SavedArray::Complex(a) => {
            let data: Vec<Value> = a.iter().map(|z| vec![decimal(z.re), decimal(z.im)].into()).collect();
            json!({ "dtype": "c8", "shape": a.shape(), "data": data })
        }
    })
}

fn nested(shape: &[usize], values: &mut dyn Iterator<Item = Value>) -> Value {
    match shape {
        [] => values.next().unwrap_or_default(),
        [n, rest @ ..] => (0..*n).map(|_| nested(rest, values)).collect(),
    }
}

fn number(v: f64) -> Value {
    Number::from_f64(v).map_or(Value::Null, Value::Number)
}

/// A number of single precision by its shortest decimals, as long as they are read as the same.
fn decimal(v: f32) -> Value {
    let short = v.to_string().parse::<f64>().ok().filter(|d| (*d as f32).to_bits() == v.to_bits());
    number(short.unwrap_or(v.into()))
}

/// What becomes of an array: the value of its field.
type Put<'a, 'f> = dyn FnMut(&str, &'a SavedArray) -> Result<Value> + 'f;

/// The JSON object of a linop.
fn object<'a>(saved: &'a Saved, put: &mut Put<'a, '_>, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return shape_err!("linops are nested more than {MAX_DEPTH} deep; a linop file has them at most so");
    }
    map(&saved.fields, put, depth)
}

fn map<'a>(fields: &'a [(String, SavedValue)], put: &mut Put<'a, '_>, depth: usize) -> Result<Value> {
    let mut map = Map::new();
    for (name, v) in fields {
        map.insert(name.clone(), value(name, v, put, depth)?);
    }
    Ok(Value::Object(map))
}

fn value<'a>(field: &str, v: &'a SavedValue, put: &mut Put<'a, '_>, depth: usize) -> Result<Value> {
    Ok(match v {
        SavedValue::Null => Value::Null,
        SavedValue::Flag(v) => (*v).into(),
        SavedValue::Integer(v) => (*v).into(),
        SavedValue::Number(v) if v.is_finite() => number(*v),
        SavedValue::Number(v) => return Err(Error::Value(format!("{field} is {v}; linop files have finite numbers"))),
        SavedValue::Text(text) => text.as_str().into(),
        SavedValue::List(list) => list.iter().map(|v| value(field, v, put, depth)).collect::<Result<Vec<_>>>()?.into(),
        SavedValue::Map(fields) => map(fields, put, depth)?,
        SavedValue::Array(array) => put(field, array).map_err(|e| e.at(field))?,
        SavedValue::Linop(saved) => object(saved, put, depth + 1)?,
    })
}

/// JSON with each linop on a line of its own.
fn text(value: &Value) -> String {
    let mut out = String::new();
    write_object(&mut out, value, 0);
    out.push('\n');
    out
}

fn is_linop(value: &Value) -> bool {
    value.get("op").is_some()
}

// Writing to a string cannot fail.
fn write_object(out: &mut String, value: &Value, depth: usize) {
    let Value::Object(map) = value else {
        let _ = write!(out, "{}", Spaced(value));
        return;
    };
    out.push('{');
    for (i, (key, v)) in map.iter().enumerate() {
        let _ = write!(out, "{} {}: ", if i > 0 { "," } else { "" }, Value::from(key.as_str()));
        match v {
            Value::Array(list) if list.iter().any(is_linop) => {
                out.push('[');
                for (i, linop) in list.iter().enumerate() {
                    let _ = write!(out, "{}\n{:indent$}", if i > 0 { "," } else { "" }, "", indent = 2 * (depth + 1));
                    write_object(out, linop, depth + 1);
                }
                out.push_str(" ]");
            }
            Value::Object(_) if is_linop(v) => {
                let _ = write!(out, "\n{:indent$}", "", indent = 2 * (depth + 1));
                write_object(out, v, depth + 1);
            }
            other => drop(write!(out, "{}", Spaced(other))),
        }
    }
    out.push_str(" }");
}

/// A value on one line, with blanks.
struct Spaced<'a>(&'a Value);

impl std::fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Array(list) => {
                f.write_str("[")?;
                for (i, v) in list.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { ", " } else { "" }, Spaced(v))?;
                }
                f.write_str("]")
            }
            Value::Object(map) if !map.is_empty() => {
                for (i, (key, v)) in map.iter().enumerate() {
                    write!(f, "{} {}: {}", if i > 0 { "," } else { "{" }, Value::from(key.as_str()), Spaced(v))?;
                }
                f.write_str(" }")
            }
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayD;

    #[test]
    fn numbers_are_read_as_they_were() {
        let singles = [0.1f32, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, 16_777_217.0, 1.0 / 3.0, -7.25e-30];
        let real = SavedArray::Real(ArrayD::from_shape_vec(vec![2, 4], singles.to_vec()).unwrap());
        let read = |array: &SavedArray| super::super::embedded::embedded(&embedded(array).unwrap()).unwrap();
        let through = |array: &SavedArray| {
            let json = text(&embedded(array).unwrap());
            super::super::embedded::embedded(&parsed(&json).unwrap()).unwrap()
        };
        let Array::F32(back) = through(&real).into_numeric() else { panic!() };
        assert_eq!(back.mapv(f32::to_bits).into_raw_vec_and_offset().0, singles.map(f32::to_bits));
        assert_eq!(read(&real), through(&real));
        let doubles = [0.1, 1e-308, std::f64::consts::PI, 123_456_789.123_456_78, -0.0, 9_007_199_254_740_993.0];
        let locs = ArrayD::from_shape_vec(vec![6, 1], doubles.to_vec()).unwrap();
        let Array::F64(back) = through(&SavedArray::Coordinates(locs.into_shared())) else { panic!() };
        assert_eq!(back.mapv(f64::to_bits).into_raw_vec_and_offset().0, doubles.map(f64::to_bits));
    }
}
