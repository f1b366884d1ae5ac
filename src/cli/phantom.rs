//! `linops phantom`: simulated measurements as files: a multi-coil scan of the Shepp-Logan head for `recon`, a sinogram for `ct`, a picture
//! for `deconv`.

pub mod microscope;
mod scan;
pub mod tomography;

use super::numbers::from_one;
use super::output;
use super::printer::Printer;
use super::recon::{Matrix, matrix};
use clap::builder::{PathBufValueParser, TypedValueParser};
use linops::io::{Array, Format, Output, Writer};
use linops::{Error, Result};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Simulate a multi-coil MRI scan, a CT scan or a blurred picture, and write it to a file
///
/// Simulates a scan of the Shepp-Logan head by several coils in closed form, the scan of `linops demo`, and writes its k-space;
/// with what it was made of, where that is asked for. --ct and --deconv write what `linops demo` has of these.
#[derive(clap::Args)]
pub struct Args {
    /// Where the k-space goes: .npy (coil, ky, kx), BART .cfl (x, y, z, coil), or ISMRMRD .h5; with --3d (coil, kz, ky, kx); with
    /// --radial (coil, spoke, sample), .cfl (1, sample, spoke, coil); with --ct .npy (view, detector), with --deconv .npy (y, x)
    #[arg(long, short, value_name = "FILE", value_parser = name(&SCANS))]
    output: PathBuf,

    /// Extents of the image, such as 128, 256x192, or with --3d 32x64x64 [default: 256, with --3d 64]
    #[arg(long, value_name = "N", value_parser = matrix, allow_negative_numbers = true)]
    matrix: Option<Matrix>,

    /// Receive coils around the head
    #[arg(long, value_name = "N", value_parser = from_one, default_value = "8", allow_negative_numbers = true)]
    coils: NonZeroUsize,

    /// Every how many-th line is acquired; 1 is a full scan [default: 3, with --3d 2]
    #[arg(long, value_name = "R", value_parser = from_one, conflicts_with = "radial", allow_negative_numbers = true)]
    acceleration: Option<NonZeroUsize>,

    /// Every how many-th partition is acquired, with --3d [default: 1]
    #[arg(long, value_name = "R", value_parser = from_one, requires = "volume", allow_negative_numbers = true)]
    acceleration_z: Option<NonZeroUsize>,

    /// Lines around the centre, with --3d partitions too, that are all acquired [default: 24, or as many as there are]
    #[arg(long, value_name = "N", conflicts_with = "radial", allow_negative_numbers = true)]
    centre_lines: Option<usize>,

    /// Standard deviation of the noise of a sample, as a fraction of the head's brightest value in the image; with --ct of the largest
    /// sum. Of a picture it is that of its counts of light
    #[arg(long, value_name = "σ", default_value = "0.005", value_parser = noise, allow_hyphen_values = true, conflicts_with = "deconv")]
    noise: f64,

    /// So many golden-angle spokes with twice as many samples as columns, instead of lines
    #[arg(long, value_name = "SPOKES", value_parser = from_one, allow_negative_numbers = true)]
    radial: Option<NonZeroUsize>,

    /// A volume with partition encoding instead of a slice
    #[arg(long = "3d", id = "volume", conflicts_with = "radial")]
    volume: bool,

    /// A CT scan of the head instead: its sinogram by so many views over half a turn, on a detector as wide as the image
    #[arg(long, value_name = "VIEWS", value_parser = from_one, allow_negative_numbers = true,
          conflicts_with_all = ["coils", "acceleration", "acceleration_z", "centre_lines", "radial", "volume", "maps", "mask", "traj"])]
    ct: Option<NonZeroUsize>,

    /// Where the angles of the views go, in degrees: .npy
    #[arg(long, value_name = "FILE", value_parser = name(&["npy"]))]
    angles: Option<PathBuf>,

    /// A microscope's picture of cells instead, behind an Airy disk and in counts of light
    #[arg(long,
          conflicts_with_all = ["coils", "acceleration", "acceleration_z", "centre_lines", "radial", "volume", "maps", "mask", "traj", "ct"])]
    deconv: bool,

    /// Where the point spread function goes, with its centre in the middle
    #[arg(long, value_name = "FILE", value_parser = output::name())]
    psf: Option<PathBuf>,

    /// Another seed gives other noise
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,

    /// Where the coil maps go, (coil, y, x) or (coil, z, y, x): .npy or .cfl
    #[arg(long, value_name = "FILE", value_parser = name(&ARRAYS))]
    maps: Option<PathBuf>,

    /// Where the sampling mask goes, (ky, kx) or (kz, ky, kx): .npy or .cfl
    #[arg(long, value_name = "FILE", value_parser = name(&ARRAYS), conflicts_with = "radial")]
    mask: Option<PathBuf>,

    /// Where the trajectory of the spokes goes: .npy (spoke, sample, 2), or BART .cfl (3, sample, spoke)
    #[arg(long, value_name = "FILE", value_parser = name(&ARRAYS), requires = "radial")]
    traj: Option<PathBuf>,

    /// Where the image goes that a full scan with one uniform coil and no noise gives, that of the head, or the cells: .npy, .cfl, or
    /// .png of a slice
    #[arg(long, value_name = "FILE", value_parser = output::name())]
    reference: Option<PathBuf>,

    /// Replace existing outputs
    #[arg(long)]
    force: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What scans and arrays are written as.
const SCANS: [&str; 3] = ["npy", "cfl", "h5"];
const ARRAYS: [&str; 2] = ["npy", "cfl"];
fn name(suffixes: &'static [&'static str]) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| Output::format(&path, suffixes).map(|_| path.clone()))
}

fn noise(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    number.ok_or_else(|| "expected a fraction from 0 on, such as 0.01".into())
}

impl Args {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        let d = if self.volume { 3 } else { 2 };
        for (name, given, mode, with) in [
            ("--angles", self.angles.is_some(), "--ct", self.ct.is_some()),
            ("--psf", self.psf.is_some(), "--deconv", self.deconv),
        ] {
            if given && !with {
                return Err(format!("{name} is of {mode}, which is not asked for"));
            }
        }
        let plain = self.ct.is_some() || self.deconv;
        if plain && Format::of(&self.output).is_none_or(|f| f.suffixes[0] != "npy") {
            return Err(format!("{}: a sinogram or a picture is written as .npy", self.output.display()));
        }
        let extents = self.extents();
        if self.ct.is_some() && extents[0] != extents[1] {
            return Err(format!("--matrix {}x{}: the image of a CT scan is square", extents[0], extents[1]));
        }
        match &self.matrix {
            Some(matrix) => matrix
                .of_axes(d)
                .map(|_| ())
                .ok_or_else(|| format!("--matrix has {} extents, expected {d} or one for all", matrix.count())),
            None => Ok(()),
        }
    }

    fn extents(&self) -> Vec<usize> {
        let (d, n) = if self.volume { (3, 64) } else { (2, 256) };
        self.matrix.as_ref().and_then(|matrix| matrix.of_axes(d)).unwrap_or_else(|| vec![n; d])
    }
    /// The output of a sinogram or a picture, what goes beside it, and the reference.
    fn reserved(&self, beside: Option<&Path>) -> Result<(Output, [Option<Output>; 2])> {
        let paths = [Some(self.output.as_path()), beside, self.reference.as_deref()];
        output::expect_different(&paths)?;
        let target = output::reserve(&self.output, self.force, &[])?;
        let other = |k: usize| paths[k].map(|path| output::reserve(path, self.force, &paths[..k])).transpose();
        Ok((target, [other(1)?, other(2)?]))
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    match args.ct {
        Some(views) => tomography::run(args, views.get(), printer),
        None if args.deconv => microscope::run(args, printer),
        None => scan::run(args, printer),
    }
}

fn write_array(target: Output, array: Array) -> Result<()> {
    match Format::of(target.path()).and_then(|format| format.writer) {
        Some(Writer::Array(write)) => write(target, &array),
        _ => Err(Error::file(target.path(), "is of a format that holds no array")),
    }
}
