//! Arrays to files, by suffix.

use linops::io::{Array, Output, Window, write_cfl, write_npy, write_png};
use linops::{Error, HostArray, Result, Shape, Tensor};
use ndarray::{ArrayD, Ix2};
use std::path::Path;

/// What can be written.
const SUFFIXES: [&str; 3] = ["npy", "cfl", "png"];

/// Reserves an output before the work.
pub fn reserve(path: &Path, force: bool) -> Result<Output> {
    Output::create(path, &SUFFIXES, force)
}

/// Whether this output is a picture, which has two dims.
fn is_png(output: &Output) -> bool {
    output.path().extension().is_some_and(|s| s.eq_ignore_ascii_case("png"))
}

/// Checks, before the work, that a result of this shape can be written there.
pub fn check_shape(output: &Output, shape: &Shape) -> Result<()> {
    if is_png(output) && shape.rank() != 2 {
        let message = format!("a picture has 2 dims, the result has {} ({shape}); write .npy or .cfl", shape.rank());
        return Err(Error::file(output.path(), message));
    }
    Ok(())
}

/// Writes a tensor of the host: its magnitude to a `.png`, all of it to the others.
pub fn write(output: Output, tensor: &Tensor) -> Result<()> {
    let array = match tensor.host_array() {
        Some(HostArray::F32(_)) => Array::F32(tensor.to_real_array()?),
        _ => Array::C32(tensor.to_array()?),
    };
    if is_png(&output) {
        let magnitude: ArrayD<f32> = array.into_complex().mapv(|v| v.norm());
        let magnitude =
            magnitude.into_dimensionality::<Ix2>().map_err(|e| Error::file(output.path(), e.to_string()))?;
        return write_png(output, magnitude.view(), Window::default());
    }
    match output.path().extension() {
        Some(s) if s.eq_ignore_ascii_case("npy") => write_npy(output, &array),
        _ => write_cfl(output, &array),
    }
}
