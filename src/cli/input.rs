//! Arrays from files, whatever their format.

use super::common::expect_bytes;
use linops::io::{Array, Format, Reader, read_array};
use linops::{Dim, Error, HostArray, Linop, Result, Shape, Tensor};
use ndarray::ArrayD;
use num_complex::Complex32;
use std::path::{Path, PathBuf};

/// Whether the axes of a file have BART's meanings.
pub fn is_bart(path: &Path) -> bool {
    matches!(Format::of_input(path).and_then(|f| f.reader), Some(Reader::Bart(_)))
}

/// The files that a name stands for: itself, or both of a pair.
pub fn files(path: &Path) -> Vec<PathBuf> {
    Format::of(path).map_or_else(|| vec![path.to_path_buf()], |format| format.files(path))
}

/// Reads an array, if there is memory for it.
pub fn read(path: &Path) -> Result<Array> {
    expect_readable(path)?;
    read_array(path)
}

/// Complex values, such as maps, or real ones as such.
pub fn read_complex(path: &Path) -> Result<ArrayD<Complex32>> {
    let array = read(path)?;
    array.expect_in_range(path)?;
    Ok(array.into_complex())
}

/// Real values in single precision, or complex ones, as BART has them all, whose imaginary parts are 0.
pub fn real(path: &Path, array: Array) -> Result<ArrayD<f32>> {
    array.expect_in_range(path)?;
    match array.into_numeric() {
        Array::F32(values) => Ok(values),
        other => {
            let name = other.dtype_name();
            let values = other.into_complex();
            match values.iter().any(|v| v.im != 0.0 && v.is_finite()) {
                true => Err(Error::file(
                    path,
                    format!("holds complex values ({name}), expected real ones; take their magnitude or real part"),
                )),
                false => Ok(values.mapv(|v| if v.is_finite() { v.re } else { f32::NAN })),
            }
        }
    }
}

/// Checks that a file can be held, and once more in the widest type that it may be turned into.
pub fn expect_readable(path: &Path) -> Result<()> {
    let Some(probe) = Format::of_input(path).and_then(|f| f.probe) else { return Ok(()) };
    let held = probe(path)?;
    let values = held.shape.iter().fold(1u64, |n, extent| n.saturating_mul(*extent as u64));
    expect_bytes(held.memory.saturating_add(values.saturating_mul(16)), || path.display().to_string())
}

/// Reads the input of a linop, narrowed to single precision; real stays real.
pub fn read_tensor(path: &Path, shape: &Shape, allow_nan: bool) -> Result<Tensor> {
    let array = read(path)?;
    array.expect_in_range(path)?;
    let array = array.into_numeric();
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

/// The linop over the dims that a file's array has in front of the linop's input, called B, B1, …
pub fn over_front(linop: &Linop, path: &Path) -> Result<Linop> {
    let Some(probe) = Format::of_input(path).and_then(|f| f.probe) else { return Ok(linop.clone()) };
    let (extents, input) = (probe(path)?.shape, linop.input()?);
    let front = &extents[..extents.len().saturating_sub(input.rank())];
    let (mut used, mut dims) = ([input.dims(), linop.output()?.dims()].concat(), Vec::new());
    for _ in front {
        let first = "B".parse::<Dim>()?;
        dims.push(if used.contains(&first) { first.next_unused(&used) } else { first });
        used.extend(dims.last());
    }
    linop.over(Shape::new(dims, front.to_vec())?)
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
