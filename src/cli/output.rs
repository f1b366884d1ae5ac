//! Arrays to files, whatever their format.

use super::input;
use super::shown::{PICTURE_DIMS, Shown, Written};
use clap::builder::{PathBufValueParser, TypedValueParser};
use linops::io::{FORMATS, Format, Output, Writer};
use linops::{Error, Result, Shape, Tensor};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether the standard output is taken by data: what is said goes to stderr then.
static STDOUT_IS_DATA: AtomicBool = AtomicBool::new(false);

/// Whether the standard output holds data and no text.
pub fn stdout_is_data() -> bool {
    STDOUT_IS_DATA.load(Ordering::Relaxed)
}

/// Reserves an output before the work. None of the `inputs` may be replaced by it, and one at most may be the standard input.
pub fn reserve(path: &Path, force: bool, inputs: &[Option<&Path>]) -> Result<Output> {
    let inputs: Vec<&Path> = inputs.iter().copied().flatten().collect();
    if inputs.iter().filter(|path| is_standard(path)).count() > 1 {
        return Err(Error::Value(
            "- stands twice: the standard input is one file; write the other one to a file".into(),
        ));
    }
    let output = Output::create(path, &suffixes(), force)?;
    output.expect_apart(&inputs.into_iter().flat_map(input::files).collect::<Vec<_>>())?;
    STDOUT_IS_DATA.store(is_standard(path), Ordering::Relaxed);
    Ok(output)
}

/// Refuses a file that is named for two outputs, however it is spelled.
pub fn expect_different(paths: &[Option<&Path>]) -> Result<()> {
    let paths: Vec<&Path> = paths.iter().copied().flatten().collect();
    // A .cfl is a pair.
    let places: Vec<Vec<PathBuf>> =
        paths.iter().map(|p| input::files(p).iter().map(|f| place_of(f)).collect()).collect();
    match (0..places.len()).find(|&k| places[..k].iter().flatten().any(|other| places[k].contains(other))) {
        Some(k) => Err(Error::file(paths[k], "is named for two outputs; give each a name of its own")),
        None => Ok(()),
    }
}

/// The file that a name leads to, or where it would be made.
fn place_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let new = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(new).unwrap_or_else(|| path.to_path_buf())
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Checks, before the work, that a result of this shape can be written there.
pub fn check_shape(output: &Output, shape: &Shape) -> Result<()> {
    let (what, fits) = match Format::of(output.path()).and_then(|format| format.writer) {
        Some(Writer::Picture(_)) => (PICTURE_DIMS, matches!(shape.rank(), 2 | 3)),
        Some(Writer::Raster(_)) => ("a TIFF has 2 dims, or 3 with its pages", matches!(shape.rank(), 2 | 3)),
        Some(Writer::Volume(_)) => ("a NIfTI volume has 7 dims at most", shape.rank() <= 7),
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

/// Writes a tensor of the host, which must be finite: its magnitude to a PNG, several images as a montage, real values or the
/// magnitude of complex ones to a TIFF, all of it to others.
pub fn write(output: Output, tensor: &Tensor) -> Result<Written> {
    Shown::default().write(output, tensor, None, true)
}
