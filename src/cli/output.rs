//! Arrays to files, whatever their format.

use super::common::expect_bytes;
use super::input;
use clap::builder::{PathBufValueParser, TypedValueParser};
use linops::io::{Array, FORMATS, Format, Output, Window, Writer};
use linops::{Error, HostArray, Result, Shape, Tensor};
use ndarray::{ArrayD, Ix2};
use std::path::{Path, PathBuf};

/// What is written here.
fn suffixes() -> Vec<&'static str> {
    FORMATS.iter().filter(|f| f.writer.is_some()).map(|f| f.suffixes[0]).collect()
}

/// The name of an output, as an argument: its suffix is one of those that are written.
pub fn name() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| Output::format(&path, &suffixes()).map(|_| path.clone()))
}

/// The name of an output of one format, as an argument.
pub fn name_of(suffix: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| Output::format(&path, &[suffix]).map(|_| path.clone()))
}

/// Reserves an output before the work. None of the `inputs` may be replaced by it.
pub fn reserve(path: &Path, force: bool, inputs: &[Option<&Path>]) -> Result<Output> {
    let output = Output::create(path, &suffixes(), force)?;
    output.expect_apart(&inputs.iter().copied().flatten().flat_map(input::files).collect::<Vec<_>>())?;
    Ok(output)
}

/// Refuses a name that is given for two outputs.
pub fn expect_different(paths: &[Option<&Path>]) -> Result<()> {
    let paths: Vec<&Path> = paths.iter().copied().flatten().collect();
    let twice = paths.iter().enumerate().find(|(index, path)| paths[..*index].contains(path));
    match twice {
        Some((_, path)) => Err(Error::file(path, "is named for two outputs; give each a name of its own")),
        None => Ok(()),
    }
}

fn writer(output: &Output) -> Option<Writer> {
    Format::of(output.path()).and_then(|format| format.writer)
}

/// Checks, before the work, that a result of this shape can be written there.
pub fn check_shape(output: &Output, shape: &Shape) -> Result<()> {
    let (what, fits) = match writer(output) {
        Some(Writer::Picture(_)) => ("a picture has 2 dims", shape.rank() == 2),
        Some(Writer::Raster(_)) => ("a TIFF has 2 dims, or 3 with its pages", matches!(shape.rank(), 2 | 3)),
        _ => return Ok(()),
    };
    match fits {
        true => Ok(()),
        false => {
            let message = format!("{what}, the result has {} ({shape}); write .npy or .cfl", shape.rank());
            Err(Error::file(output.path(), message))
        }
    }
}

/// Writes a tensor of the host: its magnitude to a PNG, real values or the magnitude of complex ones to a TIFF, all of it to
/// others.
pub fn write(output: Output, tensor: &Tensor) -> Result<()> {
    // A copy, and for a picture its magnitude, as often again for the window, and its pixels.
    expect_bytes((tensor.shape().len() as u64).saturating_mul(8 + 8 + 4 + 1), || output.path().display().to_string())?;
    let array = match tensor.host_array() {
        Some(HostArray::F32(_)) => Array::F32(tensor.to_real_array()?),
        _ => Array::C32(tensor.to_array()?),
    };
    match writer(&output) {
        Some(Writer::Array(write)) => write(output, &array),
        Some(Writer::Picture(write)) => {
            let magnitude: ArrayD<f32> = match array {
                Array::F32(a) => a.mapv(f32::abs),
                other => other.into_complex().mapv(|v| v.norm()),
            };
            let magnitude =
                magnitude.into_dimensionality::<Ix2>().map_err(|e| Error::file(output.path(), e.to_string()))?;
            write(output, magnitude.view(), Window::default())
        }
        Some(Writer::Raster(write)) => match array {
            Array::F32(a) => write(output, a.view()),
            other => write(output, other.into_complex().mapv(|v| v.norm()).view()),
        },
        None => Err(Error::file(output.path(), "is of a format that is not written")),
    }
}
