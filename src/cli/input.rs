//! Arrays from files, by suffix.

use linops::io::{Array, read_cfl, read_npy};
use linops::{Error, HostArray, Result, Shape, Tensor};
use std::path::Path;

/// What a file holds, by its suffix in small letters; a BART base name counts as `cfl`.
pub fn suffix(path: &Path) -> String {
    match path.extension() {
        Some(s) => s.to_string_lossy().to_ascii_lowercase(),
        None if path.file_name().is_some() && path.with_extension("hdr").exists() => "cfl".into(),
        None => String::new(),
    }
}

/// Reads a `.npy` or `.cfl`.
pub fn read_array(path: &Path) -> Result<Array> {
    match suffix(path).as_str() {
        "npy" => read_npy(path),
        "cfl" | "hdr" => Ok(Array::C32(read_cfl(path)?.array)),
        other => Err(unknown(path, other, ".npy or .cfl")),
    }
}

/// The error for a suffix that is not among `known`.
pub fn unknown(path: &Path, suffix: &str, known: &str) -> Error {
    let found = if suffix.is_empty() { "no suffix".into() } else { format!("suffix .{suffix}") };
    Error::file(path, format!("{found}; an input here ends in {known}"))
}

/// Reads the input of a linop, narrowed to single precision; real stays real.
pub fn read_tensor(path: &Path, shape: &Shape, allow_nan: bool) -> Result<Tensor> {
    let array = read_array(path)?.into_numeric();
    if let Some(at) = array.first_non_finite().filter(|_| !allow_nan) {
        return Err(Error::file(
            path,
            format!("NaN or infinity at {at:?} (in single precision); correct the data, or give --allow-nan"),
        ));
    }
    let array = match array {
        Array::F32(a) => HostArray::F32(a.into_shared()),
        other => HostArray::Complex32(other.into_complex().into_shared()),
    };
    // BART drops trailing dims of extent 1, which come first here.
    let missing = shape.rank().saturating_sub(rank(&array));
    let array = match shape.extents().split_at(missing) {
        (ones, rest) if missing > 0 && ones.iter().all(|&n| n == 1) && rest == extents(&array) => {
            reshaped(array, shape.extents())?
        }
        _ => array,
    };
    Tensor::from_host(shape.clone(), array).map_err(|e| Error::file(path, e.to_string()))
}

fn extents(array: &HostArray) -> &[usize] {
    match array {
        HostArray::F32(a) => a.shape(),
        HostArray::Complex32(a) => a.shape(),
    }
}

fn rank(array: &HostArray) -> usize {
    extents(array).len()
}

fn reshaped(array: HostArray, extents: &[usize]) -> Result<HostArray> {
    let failed = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    Ok(match array {
        HostArray::F32(a) => HostArray::F32(a.into_shape_with_order(extents).map_err(failed)?),
        HostArray::Complex32(a) => HostArray::Complex32(a.into_shape_with_order(extents).map_err(failed)?),
    })
}
