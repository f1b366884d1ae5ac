//! `linops recon`: an image from multi-coil k-space, Cartesian or not, by CG-SENSE or with other regularisers.

mod along;
mod choice;
mod combine;
mod conventions;
mod density;
mod field;
mod finish;
mod frames;
mod geometry;
mod grid;
mod inside;
mod maps;
mod matrix;
mod noncartesian;
mod report;
mod sampled;
mod series;
mod stack;
mod units;
mod weight;

pub use choice::Args as ScanArgs;
pub use density::Density;
pub use field::{Encoded, any_needs_encoded, expect_size, too_large, widen};
pub use geometry::by;
pub use grid::nonzero;
pub use matrix::{Matrix, header_matrix, matrix};
pub use report::{outcome, percent, stop_name};
pub use units::Order;

use super::arrays::Arrays;
use super::common::Common;
use super::entries::{Role, choose};
use super::input::read_complex;
use super::kspace::{self, Input, read_inputs};
use super::numbers::{from_one, from_zero};
use super::output;
use super::printer::Printer;
use super::regularise::Regularise;
use super::samples::Trajectory;
use super::shown::Shown;
use super::warnings::Warnings;
use linops::app::recon_options;
use linops::app::regularise::{Kind, Regularisation, Regulariser, Weight};
use linops::io::{Format, Reader};
use linops::{Error, Result};
use ndarray::ArrayD;
use num_complex::Complex32;
use report::{Job, Target};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Reconstruct multi-coil k-space, Cartesian or with a trajectory, by CG-SENSE
///
/// Minimises ‖M F S x − y‖² + λ‖x‖² over images x (ny, nx), with coil maps S, the centred orthonormal Fourier transform F, the
/// sampling mask M and the k-space y; or, for non-Cartesian data, ‖W^½(N S x − y)‖² + λ‖x‖² over images of 2 or 3 axes, with the
/// orthonormal non-uniform Fourier transform N and the density compensation W. With --reg it minimises ½‖W^½(A x − y)‖² + Σ λᵢRᵢ(x), with l1-wavelet over
/// images that are 0 where no coil sees anything.
#[derive(clap::Args)]
pub struct Args {
    /// k-space: .npy or .npz (coil, ky, kx), (ky, kx) of one coil or (coil, kz, ky, kx), or see --axes; BART .cfl (x, y, z, coil);
    /// ISMRMRD or fastMRI .h5, .hdf5, .mrd; with a trajectory .npy (coil, …), .cfl (1, sample, spoke, coil) or .h5. - is the standard
    /// input: .npy, .npz or .h5 (a .cfl is two files)
    file: PathBuf,

    /// Where the image goes, (ny, nx) or (nz, ny, nx): .npy, .cfl, .tif, .nii or .nii.gz, .png for the magnitude (of three axes a
    /// montage), or - for an .npy to the standard output
    #[arg(long, short, value_name = "FILE", value_parser = output::name())]
    output: PathBuf,

    /// Coil maps (coil, ny, nx) or (coil, nz, ny, nx), .npy, .npz or .cfl; of Cartesian data also several sets, (coil, set, …) or
    /// BART's (x, y, z, coil, set), for soft SENSE; of a stack also those of each image, (slice, coil, …) [default: estimated from
    /// the centre of k-space]
    #[arg(long, value_name = "FILE")]
    maps: Option<PathBuf>,

    /// Sampling mask (ky, kx), or of lines (ky), of zeros and ones, or (kz, ky, kx), (kz, ky) or another part of these, .npy, .npz, .cfl, .png or .tif
    /// [default: where the data are not zero]
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// Weight λ of ‖x‖², used as it is; it does not depend on the scale of the data [default: of Cartesian data 1e-4 to 0.01, as the
    /// noise of k-space asks for, one for all images of a stack or a series; 0.01 where the noise is not known, and of non-Cartesian
    /// data. Either is multiplied by the largest sum of squares of the maps over the coils, which is 1 for estimated and for whitened
    /// maps; of non-Cartesian data by ΣW / pixels too]
    #[arg(long, value_name = "λ", value_parser = from_zero, allow_hyphen_values = true)]
    lambda: Option<f32>,

    /// Iterations at most [default: 100; with --reg 1000]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    iterations: Option<NonZeroUsize>,

    /// Stop when the relative residual is below; 0 goes on to what 32-bit numbers attain [default: 1e-6]. With --reg: when the
    /// objective is within this part of it of its limit [default: 1e-4]
    #[arg(long, value_name = "TOL", value_parser = from_zero, allow_hyphen_values = true)]
    tol: Option<f32>,

    /// Start from this image instead of from 0: .npy, .npz or .cfl, of the extents that are solved for (those of the image before it
    /// is cut or zero-filled), in the units of the result
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,

    /// The first axis of the k-space is time: a series of frames, (time, coil, ky, kx) or (time, coil, kz, ky, kx), or with --traj of
    /// (time, …, D) the samples (time, coil, …); of a scan (.h5) the repetitions, phases, contrasts or sets that are chosen; of a
    /// .cfl BART's dim 5, 10 or 11. The output is (time, y, x) or (time, z, y, x), solved for together; llr goes along time
    #[arg(long)]
    time: bool,

    /// A temporal basis (time, coefficient), or BART's in dims 5 and 6: the output are images of coefficients, (coefficient, y, x)
    #[arg(long, value_name = "FILE", requires = "time")]
    subspace: Option<PathBuf>,

    /// With several sets of maps, write the image of each, (set, …) or BART's (x, y, z, 1, set), instead of the root of the sum of
    /// their squares
    #[arg(long, requires = "maps")]
    all_sets: bool,

    /// Treat k-space locations that hold NaN or infinity as not acquired, and such values of the maps as 0
    #[arg(long)]
    allow_nan: bool,

    /// Replace an existing output
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    arrays: Arrays,

    #[command(flatten)]
    regularise: Regularise,

    #[command(flatten)]
    noncartesian: noncartesian::Args,

    #[command(flatten)]
    scan: choice::Args,

    #[command(flatten)]
    units: units::Units,

    #[command(flatten)]
    conventions: conventions::Conventions,

    #[command(flatten)]
    combine: combine::Combine,

    #[command(flatten)]
    finishing: finish::Finishing,

    #[command(flatten)]
    shown: Shown,

    /// What was chosen of archives.
    #[arg(skip)]
    chosen: Vec<String>,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let defaults = recon_options();
    let iterations = args.iterations.map_or(defaults.iterations, NonZeroUsize::get);
    let tol = args.tol.unwrap_or(defaults.tol);
    let options = || recon_options().iterations(iterations).tol(tol);
    let [traj, dcf] = args.noncartesian.files();
    let inputs = [
        Some(args.file.as_path()),
        args.maps.as_deref(),
        args.mask.as_deref(),
        args.init.as_deref(),
        args.subspace.as_deref(),
        traj,
        dcf,
    ];
    let target = output::reserve(&args.output, args.force, &inputs)?;
    let device = args.common.device()?;
    let warnings = Warnings::default();
    if args.time {
        let job = Job::new(args, Target::File(Box::new(target)), &device, printer, &warnings)?;
        return series::run(job, options());
    }
    let mut inputs =
        read_inputs(&args.file, args.trajectory().as_ref(), &args.arrays, &args.scan.choice(args.combines_coils()))?;
    inputs.warnings().into_iter().for_each(|warning| warnings.say(warning));
    for input in inputs.images.iter_mut().flatten() {
        input.notes().extend(args.chosen.iter().cloned());
    }
    match inputs.axes.is_empty() {
        true => {
            let Some(input) = inputs.images.pop().flatten() else {
                return Err(Error::file(&args.file, "no image of these counters"));
            };
            let job = Job::new(args, Target::File(Box::new(target)), &device, printer, &warnings)?;
            one(job, input, options())
        }
        false => stack::run(args, target, &device, inputs, options, printer, &warnings),
    }
}

/// Reconstructs one image.
fn one(job: Job, input: Input, options: linops::solve::SolveOptions) -> Result<u8> {
    let args = job.args;
    match input {
        Input::Grid(kspace) => {
            args.noncartesian.expect_none(&args.file)?;
            args.units.expect_none(&args.file)?;
            grid::run(job, *kspace, options)
        }
        Input::Samples(samples) => {
            if args.mask.is_some() {
                return Err(Error::file(&args.file, MASKED));
            }
            if let Some(name) = args.for_grids() {
                return Err(Error::file(
                    &args.file,
                    format!("{name} is for Cartesian data, and this has a trajectory"),
                ));
            }
            noncartesian::run(job, *samples, options)
        }
    }
}

/// What is wrong with a mask beside a trajectory.
const MASKED: &str = "--mask is for Cartesian data; with a trajectory, give 0 to samples that do not count by --dcf";

impl Args {
    /// Names the arrays of archives that are plain.
    pub fn choose_entries(&mut self) -> Result<()> {
        let others = [
            (&mut self.maps, Role::Maps),
            (&mut self.mask, Role::Mask),
            (&mut self.noncartesian.traj, Role::Trajectory),
        ];
        let others = others.into_iter().filter_map(|(path, role)| Some((path.as_mut()?, role)));
        for (path, role) in std::iter::once((&mut self.file, Role::Kspace)).chain(others) {
            self.chosen.extend(choose(path, role)?);
        }
        Ok(())
    }

    /// Whether coils are combined as they are, without maps.
    fn combines_coils(&self) -> bool {
        self.combine.rss || (self.noncartesian.gridding_only && self.maps.is_none())
    }

    /// Whether samples along a trajectory are solved for, and not only gridded.
    fn solves_samples(&self) -> bool {
        !self.noncartesian.gridding_only && !self.combine.rss
    }

    /// The trajectory in a file of its own.
    fn trajectory(&self) -> Option<Trajectory<'_>> {
        self.noncartesian.traj.as_deref().map(|path| Trajectory { path, order: self.units.traj_order })
    }

    /// What is asked for that only a grid has.
    fn for_grids(&self) -> Option<&'static str> {
        let asked =
            [("--shift", self.conventions.is_asked()), ("--partial-fourier", self.finishing.partial_fourier.is_some())];
        asked.into_iter().find(|(_, is)| *is).map(|(name, _)| name)
    }

    /// The regularisers, with --lambda as one of them.
    fn regularisation(&self) -> Regularisation {
        let mut asked = self.regularise.regularisation(&[]);
        if let Some(lambda) = self.lambda {
            asked.terms.push(Regulariser::new(Kind::L2, Some(Weight::Absolute(lambda.into()))));
        }
        asked
    }

    /// The image to start from.
    fn start(&self) -> Result<Option<ArrayD<Complex32>>> {
        let Some(path) = &self.init else { return Ok(None) };
        let mut start = read_complex(path)?;
        kspace::finite(path, &mut start, &["y", "x"], false)?;
        Ok(Some(start))
    }

    fn wrong_start(&self, came: &[usize], expected: &[usize]) -> Error {
        let message = format!("an image of {came:?} to start from, expected {expected:?}");
        match &self.init {
            Some(path) => Error::file(path, message),
            None => Error::Value(message),
        }
    }

    /// What is asked for that a series has not.
    fn of_one_image(&self) -> Option<&'static str> {
        let of_one = [
            ("--rss", self.combine.rss),
            ("--compress", self.combine.compress.is_some()),
            ("--conj-maps", self.conventions.conj_maps),
            ("--coil-axis", self.arrays.coil_axis.is_some()),
            ("--axes", self.arrays.axes.is_some()),
            ("--gridding-only", self.noncartesian.gridding_only),
        ];
        of_one.into_iter().find(|(_, is)| *is).map(|(name, _)| name).or(self.for_grids())
    }

    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        self.shown.check(&self.output)?;
        let has_trajectory = self.noncartesian.traj.is_some();
        if has_trajectory && self.mask.is_some() {
            return Err(MASKED.into());
        }
        if let Some(name) = self.of_one_image().filter(|_| self.time) {
            return Err(format!("{name} is for one image; leave --time out"));
        }
        if has_trajectory {
            if let Some(name) = self.for_grids() {
                return Err(format!("{name} is for Cartesian data; leave it or --traj out"));
            }
            self.combine.check_samples()?;
        }
        // The standard input may be of any format.
        let format = Format::of(&self.file).filter(|_| self.file.as_os_str() != "-");
        match format.and_then(|format| format.reader) {
            Some(Reader::Scan(_)) => {
                if self.time && !self.scan.several() {
                    return Err(
                        "--time needs the frames of a scan: its repetitions, phases, contrasts or sets, as in \
                                --repetition all, --phase all"
                            .into(),
                    );
                }
                if self.time && (has_trajectory || self.mask.is_some()) {
                    return Err(frames::ACQUIRED.into());
                }
                if let Some(name) = self.arrays.given() {
                    return Err(format!("{name} is for arrays; the axes of a scan are known"));
                }
            }
            Some(reader) => {
                if let Some(name) = self.scan.of_scans() {
                    return Err(format!(
                        "{name} is for scans of HDF5 files (.h5, .mrd); {} is an array",
                        self.file.display()
                    ));
                }
                let plain = self.time && !matches!(reader, Reader::Bart(_));
                if let Some(name) = self.scan.frames().filter(|_| plain) {
                    return Err(format!(
                        "{name} chooses frames of a scan (.h5, .mrd); those of an array, {}, are along its first axis: --time takes all of \
                         them",
                        self.file.display()
                    ));
                }
                if matches!(reader, Reader::Bart(_)) && self.arrays.axes.is_some() {
                    return Err("--axes is for .npy and .npz; the dims of BART's files have their meanings".into());
                }
                let name = self.noncartesian.given().or(self.units.given());
                if let Some(name) = name.filter(|_| !has_trajectory) {
                    return Err(format!(
                        "{name} is for non-Cartesian data, and {} is an array without a trajectory; give that with --traj",
                        self.file.display()
                    ));
                }
            }
            None => {}
        }
        self.regularise.check(self.time)
    }
}

/// " (default)" for what was not given.
fn default_mark(given: bool) -> &'static str {
    if given { "" } else { " (default)" }
}

/// Where an error in the estimation of maps happened.
const ESTIMATING: &str = "estimating coil maps (give them by --maps)";
