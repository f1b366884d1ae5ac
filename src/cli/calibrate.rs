//! `linops calibrate`: coil maps from the centre of k-space, written for later reconstructions.

use super::arrays::Arrays;
use super::centre::central;
use super::coil_maps;
use super::common::Common;
use super::entries::{Role, choose};
use super::grids::read_mask;
use super::input::is_bart;
use super::kspace::{Input, Kspace, finite, not_acquired, read_inputs};
use super::numbers::from_one;
use super::printer::{Printer, complain, count_of};
use super::recon::{
    Density, Encoded, Matrix, ScanArgs, any_needs_encoded, by, expect_size, header_matrix, matrix, nonzero, too_large,
    widen,
};
use super::samples::Trajectory;
use super::{DONE, output, progress};
use clap::builder::{PathBufValueParser, TypedValueParser};
use linops::app::{EspiritOptions, MapSets, WalshOptions, espirit, walsh};
use linops::io::{Output, Whitening};
use linops::linop::{Accuracy, NufftOptions};
use linops::{Device, Error, Result, Shape, Tensor};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use num_complex::Complex32;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

/// Estimate coil maps from the centre of k-space, by ESPIRiT or Walsh's method
///
/// Estimates coil sensitivities from the fully sampled centre of k-space, in 2 or 3 dimensions, for `recon --maps`.
#[derive(clap::Args)]
pub struct Args {
    /// k-space, as recon reads it: .npy or .npz (coil, ky, kx) or (coil, kz, ky, kx), BART .cfl (x, y, z, coil), ISMRMRD or fastMRI
    /// .h5, .hdf5, .mrd; with --traj
    /// (coil, …)
    file: PathBuf,

    /// Where the maps go: .npy (coil, y, x) or (coil, z, y, x), of several sets (coil, set, …), of several slices (slice, coil, …);
    /// BART .cfl (x, y, z, coil, set)
    #[arg(long, short, value_name = "FILE", value_parser = maps_name())]
    output: PathBuf,

    /// espirit (eigenvectors of patches of k-space), or walsh (local covariances of images; faster, less exact at edges)
    #[arg(long, value_name = "METHOD", value_enum, default_value = "espirit")]
    method: Method,

    /// Side of a patch of k-space, of espirit [default: 6, of volumes 4]; side of a neighbourhood of pixels, of walsh [default: 5]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    kernel: Option<NonZeroUsize>,

    /// Centre lines along each axis that are used, 4 to 64 [default: what was fully sampled, up to 24]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    calib_size: Option<NonZeroUsize>,

    /// Singular values below this part of the largest are noise, of espirit [default: 0.02]
    #[arg(long, value_name = "T", value_parser = part, allow_hyphen_values = true)]
    threshold: Option<f64>,

    /// Maps are 0 where the eigenvalue of espirit is below this [default: 0.95], or where walsh explains less of the energy [default: 0]
    #[arg(long, value_name = "C", value_parser = part, allow_hyphen_values = true)]
    crop: Option<f64>,

    /// Sets of maps: 2 where an object is larger than the field of view and folds onto itself [default: 1]
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    sets: Option<NonZeroUsize>,

    /// Where the eigenvalues go, (y, x), (z, y, x) or of several sets (set, …): .npy, .cfl, or .png of one image
    #[arg(long, value_name = "FILE", value_parser = output::name())]
    eigenvalues: Option<PathBuf>,

    /// Sampling mask (ky, kx) of zeros and ones, or (kz, ky, kx), (kz, ky) or another part of these [default: where the data are not zero]
    #[arg(long, value_name = "FILE", conflicts_with = "traj")]
    mask: Option<PathBuf>,

    /// Trajectory in cycles per field of view, as for recon: the maps come from the gridded k-space
    #[arg(long, value_name = "FILE")]
    traj: Option<PathBuf>,

    /// Extents of the maps, with a trajectory [default: those of the header, else 2·⌈max |k|⌉ along each axis]
    #[arg(long, value_name = "N", value_parser = matrix, allow_negative_numbers = true)]
    matrix: Option<Matrix>,

    #[command(flatten)]
    arrays: Arrays,

    #[command(flatten)]
    scan: ScanArgs,

    /// Treat k-space locations that hold NaN or infinity as not acquired
    #[arg(long)]
    allow_nan: bool,

    /// Replace existing outputs
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    pub common: Common,

    /// What was chosen of archives.
    #[arg(skip)]
    chosen: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    Espirit,
    Walsh,
}

/// What maps are written as.
const FORMATS: [&str; 2] = ["npy", "cfl"];

fn maps_name() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| Output::format(&path, &FORMATS).map(|_| path.clone()))
}

fn part(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
    number.ok_or_else(|| "expected a number from 0 to 1".into())
}

impl Args {
    /// Names the arrays of archives that are plain.
    pub fn choose_entries(&mut self) -> Result<()> {
        let others = [(&mut self.mask, Role::Mask), (&mut self.traj, Role::Trajectory)];
        let others = others.into_iter().filter_map(|(path, role)| Some((path.as_mut()?, role)));
        for (path, role) in std::iter::once((&mut self.file, Role::Kspace)).chain(others) {
            self.chosen.extend(choose(path, role)?);
        }
        Ok(())
    }

    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        match self.method {
            Method::Walsh if self.threshold.is_some() => Err("--threshold is for --method espirit".into()),
            _ => Ok(()),
        }
    }

    /// The maps of k-space on a grid, of so many lines where none are asked for.
    fn estimate(&self, kspace: ArrayViewD<Complex32>, lines: Option<usize>) -> Result<MapSets> {
        let sets = self.sets.map_or(1, NonZeroUsize::get);
        let calibration = self.calib_size.map(NonZeroUsize::get).or(lines);
        match self.method {
            Method::Espirit => {
                let mut options = EspiritOptions::default().sets(sets).calibration(calibration);
                options = options.kernel(self.kernel.map(NonZeroUsize::get));
                let (threshold, crop) =
                    (self.threshold.unwrap_or(options.threshold), self.crop.unwrap_or(options.crop));
                espirit(kspace, &options.threshold(threshold).crop(crop))
            }
            Method::Walsh => {
                let options = WalshOptions::default().sets(sets).calibration(calibration);
                let window = self.kernel.map_or(options.window, NonZeroUsize::get);
                let crop = self.crop.unwrap_or(options.crop);
                walsh(kspace, &options.window(window).crop(crop))
            }
        }
    }
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let inputs = [Some(args.file.as_path()), args.mask.as_deref(), args.traj.as_deref()];
    let target = output::reserve(&args.output, args.force, &inputs)?;
    output::expect_different(&[Some(args.output.as_path()), args.eigenvalues.as_deref()])?;
    let others = [&inputs[..], &[Some(args.output.as_path())]].concat();
    let values_target =
        args.eigenvalues.as_deref().map(|path| output::reserve(path, args.force, &others)).transpose()?;
    let Read { axes, images } = read(args)?;
    let front: Vec<usize> = axes.iter().map(|(_, values)| values.len()).collect();
    if !front.is_empty() && is_bart(&args.output) {
        let message = "maps of several images are written as .npy; of a .cfl choose one, as in --slice 3";
        return Err(Error::file(&args.output, message));
    }
    let Some(first) = images.iter().flatten().next() else {
        return Err(Error::file(&args.file, "no image of these counters"));
    };
    let (coils, image) = (first.coils(), first.pixels.clone());
    if let Some(other) = images.iter().flatten().find(|other| (other.coils(), &other.pixels) != (coils, &image)) {
        let (a, b) = (&image, &other.pixels);
        return Err(Error::file(&args.file, format!("its images have different extents, {a:?} and {b:?}; choose one")));
    }
    let sets = args.sets.map_or(1, NonZeroUsize::get);
    if let Some(target) = &values_target {
        let extents = if sets == 1 { image.clone() } else { [&[sets], &image[..]].concat() };
        let extents = [front.as_slice(), &extents].concat();
        let dims = linops::dim::parse_dims(&stack_dims(&front, &values_dims(sets, image.len())))?;
        output::check_shape(target, &Shape::new(dims, extents)?)?;
    }
    let wait = progress::spinner("estimating coil maps");
    let start = Instant::now();
    let found: Vec<Option<Result<MapSets>>> =
        images.iter().map(|image| image.as_ref().map(|image| maps(args, image))).collect();
    wait.finish_and_clear();
    let found = whole(args, found)?;
    let seconds = start.elapsed().as_secs_f64();
    printer.field("k-space", format_args!("{}, {}", count_of(coils, "coil"), by(&image)));
    let notes: Vec<String> = images.into_iter().flatten().next().map(|image| image.notes).unwrap_or_default();
    args.chosen.iter().chain(&notes).for_each(|note| printer.field("", note));
    let several: Vec<String> = axes.iter().map(|(name, values)| format!("{} along {name}", values.len())).collect();
    if !several.is_empty() {
        printer.field("images", several.join(", "));
    }
    let supports: Vec<f64> = (0..sets).map(|set| support(&found, set)).collect();
    let said: Vec<String> = supports.iter().map(|part| format!("{:.1} %", 100.0 * part)).collect();
    let method = found.iter().flatten().next().map(|found| found.method.clone()).unwrap_or_default();
    printer.field("maps", &method);
    printer.field("signal", format_args!("in {} of the pixels", said.join(" and ")));
    printer.field("estimated", format_args!("{seconds:.3} s"));
    let values: Vec<Option<ArrayD<f32>>> =
        found.iter().map(|found| found.as_ref().map(|found| without_one(found.eigenvalues.clone(), 0))).collect();
    if front.is_empty() && is_bart(&args.output) {
        if let Some(found) = found.into_iter().flatten().next() {
            output::write(target, &in_bart(found)?)?;
        }
    } else {
        let maps = found.into_iter().map(|found| found.map(|found| without_one(found.maps, 1))).collect();
        let axes = ["Nz", "Ny", "Nx"][3 - image.len()..].join(" ");
        let dims = if sets == 1 { format!("C {axes}") } else { format!("C S {axes}") };
        output::write(target, &Tensor::from_array(stacked(maps, &front)?, stack_dims(&front, &dims).as_str())?)?;
    }
    printer.field("wrote", args.output.display());
    if let (Some(target), Some(path)) = (values_target, &args.eigenvalues) {
        let dims = stack_dims(&front, &values_dims(sets, image.len()));
        output::write(target, &Tensor::from_array(stacked(values, &front)?, dims.as_str())?)?;
        printer.field("wrote", path.display());
    }
    printer.json(&json!({
        "coils": coils,
        "image": image,
        "stack": axes.iter().map(|(name, values)| json!({ "axis": name, "values": values })).collect::<Vec<_>>(),
        "sets": sets,
        "method": method,
        "signal": supports,
        "notes": notes,
        "seconds": seconds,
        "file": args.output.display().to_string(),
        "eigenvalues": args.eigenvalues.as_ref().map(|path| path.display().to_string()),
    }));
    if supports[0] == 0.0 {
        complain("the maps are 0 everywhere; give a smaller --crop");
    }
    Ok(DONE)
}

/// What was found of each image; one without a signal has none, unless none of them has.
fn whole(args: &Args, found: Vec<Option<Result<MapSets>>>) -> Result<Vec<Option<MapSets>>> {
    let any = found.iter().flatten().any(Result::is_ok);
    let mut all = Vec::new();
    for (at, one) in found.into_iter().enumerate() {
        all.push(match one.transpose() {
            Ok(one) => one,
            Err(e) if any => {
                complain(&format!("warning: the maps of image {at} of the stack are left 0: {e}"));
                None
            }
            Err(Error::Value(message)) => {
                let message = message.replace(", or give the coil maps with --maps", "");
                return Err(Error::file(&args.file, message));
            }
            Err(e) => return Err(e),
        });
    }
    Ok(all)
}

/// An array without an axis of which there is one entry.
fn without_one<T: Clone>(values: ArrayD<T>, axis: usize) -> ArrayD<T> {
    if values.len_of(Axis(axis)) == 1 { values.index_axis_move(Axis(axis), 0) } else { values }
}

/// Arrays behind the leading axes `front`, zeros where there is none; without these the only one.
fn stacked<T: Clone + Default>(parts: Vec<Option<ArrayD<T>>>, front: &[usize]) -> Result<ArrayD<T>> {
    let shape = parts.iter().flatten().next().map(|part| part.shape().to_vec()).unwrap_or_default();
    let parts: Vec<ArrayD<T>> = parts
        .into_iter()
        .map(|part| part.unwrap_or_else(|| ArrayD::from_elem(shape.as_slice(), T::default())))
        .collect();
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    let all = ndarray::stack(Axis(0), &views).map_err(|e| Error::Shape(e.to_string()))?;
    all.into_shape_with_order([front, &shape].concat()).map_err(|e| Error::Shape(e.to_string()))
}

/// The dims of what stands behind so many leading axes.
fn stack_dims(front: &[usize], dims: &str) -> String {
    let leading: Vec<String> = (0..front.len()).map(|n| format!("Axis{n}")).collect();
    [leading.join(" "), dims.into()].join(" ").trim_start().to_string()
}

fn values_dims(sets: usize, axes: usize) -> String {
    let front = if sets == 1 { "" } else { "S " };
    format!("{front}{}", ["Nz", "Ny", "Nx"][3 - axes..].join(" "))
}

/// The part of the pixels where a set is not 0.
fn support(found: &[Option<MapSets>], set: usize) -> f64 {
    let (mut some, mut all) = (0, 0);
    for found in found.iter().flatten() {
        let power = found.maps.index_axis(Axis(1), set).mapv(|v| v.norm_sqr()).sum_axis(Axis(0));
        some += power.iter().filter(|v| **v > 0.0).count();
        all += power.len();
    }
    some as f64 / all.max(1) as f64
}

/// The maps as BART has them, (x, y, z, coil, set).
fn in_bart(found: MapSets) -> Result<Tensor> {
    let mut maps = found.maps;
    while maps.ndim() < 5 {
        maps = maps.insert_axis(Axis(2));
    }
    let maps = maps.permuted_axes(IxDyn(&[1, 0, 2, 3, 4])).as_standard_layout().into_owned();
    Tensor::from_array(maps, "S C Nz Ny Nx")
}

/// The images that maps are made of.
struct Read {
    /// The leading axes of several, with what their indices stand for.
    axes: Vec<(&'static str, Vec<usize>)>,
    images: Vec<Option<Image>>,
}

/// What the maps of an image are estimated from, and what there is to say about it.
struct Image {
    data: Data,
    /// Of the maps.
    pixels: Vec<usize>,
    whitening: Option<Whitening>,
    notes: Vec<String>,
}

enum Data {
    /// k-space (coil, …), 0 where it was not acquired, and what is better to estimate from.
    Grid { kspace: ArrayD<Complex32>, mask: ArrayD<f32>, reference: Option<ArrayD<Complex32>> },
    /// Samples (coil, …) along a trajectory with their weights, over so many pixels, of which the maps may keep the central ones.
    Samples {
        kspace: ArrayD<Complex32>,
        trajectory: ArrayD<f64>,
        weights: ArrayD<f64>,
        matrix: Vec<usize>,
        device: Device,
    },
}

impl Image {
    fn coils(&self) -> usize {
        let (Data::Grid { kspace, .. } | Data::Samples { kspace, .. }) = &self.data;
        kspace.len_of(Axis(0))
    }
}

/// The maps of an image as its coils measure: a reconstruction whitens maps as it does k-space.
fn maps(args: &Args, image: &Image) -> Result<MapSets> {
    let mut found = match &image.data {
        Data::Grid { kspace, mask, reference } => {
            let one = |lines: ArrayViewD<Complex32>| args.estimate(lines, None);
            coil_maps::on_grid(kspace, mask, reference.as_ref(), args.mask.is_some(), one)?
        }
        Data::Samples { kspace, trajectory, weights, matrix, device } => {
            let nufft = NufftOptions::default().accuracy(Accuracy::Tol(1e-4));
            let (kspace, trajectory, weights) = (kspace.view(), trajectory.view(), weights.view());
            let one = |lines: ArrayViewD<Complex32>, side| args.estimate(lines, side);
            coil_maps::of_samples(kspace, trajectory, weights, matrix, nufft, device, one)?
        }
    };
    found.maps = central(found.maps, &image.pixels);
    found.eigenvalues = central(found.eigenvalues, &image.pixels);
    if let Some(whitening) = &image.whitening {
        found.maps = whitening.measured_maps(found.maps)?;
    }
    Ok(found)
}

fn read(args: &Args) -> Result<Read> {
    let trajectory = args.traj.as_deref().map(|path| Trajectory { path, order: None });
    let choice = args.scan.choice(false);
    let inputs = read_inputs(&args.file, trajectory.as_ref(), &args.arrays, &choice)?;
    inputs.warnings().iter().for_each(|warning| complain(&format!("warning: {warning}")));
    let device = args.common.device()?;
    let samples = inputs.images.iter().flatten().filter_map(|input| match input {
        Input::Samples(samples) => Some(&**samples),
        Input::Grid(_) => None,
    });
    let encoded = any_needs_encoded(samples, &device)?;
    let one = |input: Input| image(args, input, encoded, &device);
    let images = inputs.images.into_iter().map(|input| input.map(one).transpose());
    Ok(Read { axes: inputs.axes, images: images.collect::<Result<_>>()? })
}

fn image(args: &Args, input: Input, encoded: bool, device: &Device) -> Result<Image> {
    let allow = args.allow_nan;
    let whitening = input.info().and_then(|info| info.whitening.clone());
    match input {
        Input::Grid(mut scan) => {
            if args.matrix.is_some() {
                return Err(Error::file(&args.file, "--matrix is for data with a trajectory, and this is Cartesian"));
            }
            let mut said = Vec::new();
            let mask = args.mask.as_ref().map(|path| read_mask(path, &scan, &mut said)).transpose()?;
            let names = scan.names();
            let bad = finite(&args.file, &mut scan.values, &names, allow)?;
            not_acquired(&mut scan.values, &bad);
            if !bad.is_empty() {
                said.push(format!(
                    "{} NaN or infinite; their locations count as not acquired",
                    count_of(bad.len(), "value")
                ));
            }
            let reference = scan.reference(&args.file, allow)?;
            let Kspace { values, sampled, mut notes, info, .. } = *scan;
            notes.extend(info.map(|info| info.summary).into_iter().chain(said));
            let there = nonzero(&values);
            let (kspace, mask) = match (mask, sampled) {
                (Some(mask), _) => (values * &mask.mapv(Complex32::from), mask),
                (None, Some(sampled)) if bad.is_empty() => (values, sampled),
                (None, _) => (values, there),
            };
            let pixels = kspace.shape()[1..].to_vec();
            Ok(Image { data: Data::Grid { kspace, mask, reference }, pixels, whitening, notes })
        }
        Input::Samples(mut scan) => {
            if args.mask.is_some() {
                return Err(Error::file(&args.file, "--mask is for Cartesian data, and this has a trajectory"));
            }
            let bad = finite(&args.file, &mut scan.values, &["coil"], allow)?;
            let d = scan.trajectory.len_of(Axis(scan.trajectory.ndim() - 1));
            let in_trajectory = |e: Error| Error::file(args.traj.as_ref().unwrap_or(&args.file), e.to_string());
            let asked = args
                .matrix
                .as_ref()
                .map(|matrix| matrix.for_axes(d, "--matrix", "the trajectory has coordinates for an image of"));
            let asked = asked.transpose()?;
            let mut pixels = match &asked {
                Some(asked) => asked.clone(),
                None => header_matrix(&scan).map_err(in_trajectory)?,
            };
            let mut matrix = pixels.clone();
            if let Some(whole) = Encoded::of(&scan).filter(|_| encoded).map(|whole| whole.matrix(&pixels)) {
                if expect_size(scan.values.len_of(Axis(0)), &whole).is_err() {
                    complain(&format!("warning: {}", too_large(&whole)));
                } else {
                    widen(&mut scan, &whole, &pixels, "the object is larger than the image");
                    matrix = whole;
                    // Of an image that is asked for, the maps have its pixels.
                    if asked.is_none() {
                        scan.notes.push("so are the maps, of which recon cuts the image".into());
                        pixels.clone_from(&matrix);
                    }
                }
            }
            let mut weights = Density::Pipe.weights(scan.trajectory.view(), &matrix, device)?;
            for at in &bad {
                weights[IxDyn(&at[1..])] = 0.0;
            }
            let mut notes = scan.notes;
            notes.extend(scan.info.map(|info| info.summary));
            notes.push(format!("gridded; the trajectory is {}", scan.units));
            let (kspace, trajectory, device) = (scan.values, scan.trajectory, device.clone());
            let data = Data::Samples { kspace, trajectory, weights, matrix, device };
            Ok(Image { data, pixels, whitening, notes })
        }
    }
}
