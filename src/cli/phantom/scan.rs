//! `linops phantom`: a scan of the head by several coils.

use super::{Args, SCANS, write_array};
use crate::cli::input::is_bart;
use crate::cli::output;
use crate::cli::printer::{Printer, complain, count_of, short};
use crate::cli::{DONE, progress};
use linops::app::trajectory::golden_radial;
use linops::app::{SampleOptions, ScanOptions, VolumeScanOptions, sample_scan, scan, volume_scan};
use linops::io::{Array, Format, Output, Reader, write_ismrmrd, write_ismrmrd_samples};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis};
use num_complex::Complex32;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::Path;

/// The field of view of the file's header.
const FIELD_OF_VIEW_MM: f64 = 240.0;

/// A simulated scan as it is written.
struct Simulated {
    /// (coil, ky, kx), (coil, kz, ky, kx) or (coil, spoke, sample).
    kspace: ArrayD<Complex32>,
    /// (coil, image…)
    maps: ArrayD<Complex32>,
    /// Of lines, with the extents of k-space but the coil.
    mask: Option<ArrayD<f32>>,
    /// Of spokes (spoke, sample, (y, x)), in cycles per field of view.
    trajectory: Option<ArrayD<f64>>,
    reference: ArrayD<Complex32>,
}

impl Args {
    fn simulate(&self) -> Result<Simulated> {
        let (extents, coils) = (self.extents(), self.coils.get());
        let ny = extents[extents.len() - 2];
        let centre = self.centre_lines.unwrap_or(24.min(ny));
        let each = |default: usize| self.acceleration.map_or(default, NonZeroUsize::get);
        if let Some(spokes) = self.radial {
            return self.spokes(spokes.get(), [extents[0], extents[1]]);
        }
        if self.volume {
            let along_z = self.acceleration_z.map_or(1, NonZeroUsize::get);
            let options = VolumeScanOptions::default().matrix([extents[0], extents[1], extents[2]]).coils(coils);
            let options = options.acceleration([along_z, each(2)]).centre_lines(centre).noise(self.noise);
            let scan = volume_scan(&options.seed(self.seed))?;
            let lines = scan.mask.insert_axis(Axis(2)).into_dyn();
            let mask = lines.broadcast(extents.as_slice()).map(|mask| mask.to_owned());
            return Ok(Simulated {
                kspace: scan.kspace.into_dyn(),
                maps: scan.maps.into_dyn(),
                mask,
                trajectory: None,
                reference: scan.reference.into_dyn(),
            });
        }
        let options = ScanOptions::default().ny(extents[0]).nx(extents[1]).coils(coils).acceleration(each(3));
        let scan = scan(&options.centre_lines(centre).noise(self.noise).seed(self.seed))?;
        Ok(Simulated {
            kspace: scan.kspace.into_dyn(),
            maps: scan.maps.into_dyn(),
            mask: Some(scan.mask.into_dyn()),
            trajectory: None,
            reference: scan.reference.into_dyn(),
        })
    }

    fn spokes(&self, spokes: usize, [ny, nx]: [usize; 2]) -> Result<Simulated> {
        let n = ny.min(nx);
        let mut trajectory = golden_radial(spokes, 2 * n, n)?.into_dyn();
        for (at, k) in trajectory.indexed_iter_mut() {
            *k = held(*k, if at[2] == 0 { ny } else { nx });
        }
        let options = SampleOptions::default().ny(ny).nx(nx).coils(self.coils.get()).noise(self.noise).seed(self.seed);
        let scan = sample_scan(trajectory.view(), &options)?;
        Ok(Simulated {
            kspace: scan.kspace,
            maps: scan.maps.into_dyn(),
            mask: None,
            trajectory: Some(trajectory),
            reference: scan.reference.into_dyn(),
        })
    }
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let extents = args.extents();
    // Of the scan itself it is not one of the array formats alone.
    let reserve = |path: Option<&Path>, others: &[Option<&Path>]| match (path, others) {
        (None, _) => Ok(None),
        (Some(path), []) => Output::create(path, &SCANS, args.force).map(Some),
        (Some(path), others) => output::reserve(path, args.force, others).map(Some),
    };
    let paths = [Some(args.output.as_path()), args.maps.as_deref(), args.mask.as_deref(), args.traj.as_deref()];
    let paths = [&paths[..], &[args.reference.as_deref()]].concat();
    output::expect_different(&paths)?;
    let mut targets = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        targets.push(reserve(*path, &paths[..index])?);
    }
    let [kspace, maps, mask, trajectory, reference] = &mut targets[..] else {
        return Err(Error::Value("five outputs were expected".into()));
    };
    if let Some(target) = &reference {
        let dims = linops::dim::parse_dims(if args.volume { "Nz Ny Nx" } else { "Ny Nx" })?;
        output::check_shape(target, &linops::Shape::new(dims, extents.clone())?)?;
    }
    let wait = progress::spinner("simulating the scan");
    let simulated = args.simulate();
    wait.finish_and_clear();
    let simulated = simulated?;
    let by = |extents: &[usize]| extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let sampled = match (&simulated.mask, args.radial) {
        (Some(mask), _) => {
            let lines = mask.index_axis(Axis(mask.ndim() - 1), 0);
            format!("{} of {} lines", lines.iter().filter(|v| **v != 0.0).count(), lines.len())
        }
        (None, spokes) => {
            let samples = simulated.kspace.shape()[2];
            format!("{} of {samples} samples", count_of(spokes.map_or(0, NonZeroUsize::get), "golden-angle spoke"))
        }
    };
    let asked = [args.acceleration, args.acceleration_z].iter().flatten().any(|r| r.get() > 1);
    if asked && simulated.mask.as_ref().is_some_and(|mask| mask.iter().all(|v| *v != 0.0)) {
        complain(
            "warning: the lines around the centre are all lines, so that --acceleration leaves none out; give fewer --centre-lines",
        );
    }
    let coils = args.coils.get();
    printer.field(
        "scan",
        format_args!("{}, {}, {sampled}, noise {}", count_of(coils, "coil"), by(&extents), short(args.noise)),
    );

    let take = |target: &mut Option<Output>| target.take();
    let facts = json!({
        "coils": coils,
        "matrix": extents,
        "kspace": simulated.kspace.shape(),
        "sampled": sampled,
        "noise": args.noise,
        "seed": args.seed,
        "file": args.output.display().to_string(),
    });
    if let Some(target) = take(mask) {
        let path = target.path().to_path_buf();
        write_array(target, Array::F32(simulated.mask.clone().unwrap_or_default()))?;
        printer.field("mask", path.display());
    }
    if let (Some(target), Some(k)) = (take(trajectory), &simulated.trajectory) {
        let path = target.path().to_path_buf();
        let array = if is_bart(&path) { Array::C32(bart_trajectory(k)) } else { Array::F64(k.clone()) };
        write_array(target, array)?;
        printer.field("trajectory", path.display());
    }
    if let Some(target) = take(maps) {
        let path = target.path().to_path_buf();
        let maps = simulated.maps.clone();
        // BART's (x, y, z, coil).
        let maps = if is_bart(&path) && !args.volume { maps.insert_axis(Axis(1)) } else { maps };
        write_array(target, Array::C32(maps))?;
        printer.field("maps", path.display());
    }
    if let Some(target) = take(reference) {
        let path = target.path().to_path_buf();
        let dims = if args.volume { "Nz Ny Nx" } else { "Ny Nx" };
        output::write(target, &linops::Tensor::from_array(simulated.reference.clone(), dims)?)?;
        printer.field("reference", path.display());
    }
    if let Some(target) = take(kspace) {
        write_scan(target, simulated, &extents)?;
    }
    printer.field("wrote", args.output.display());
    printer.json(&facts);
    Ok(DONE)
}

/// The nearest place along an axis of this extent that all formats hold without rounding: some have it in cycles per field of view,
/// others relative to the matrix, in single precision.
fn held(k: f64, extent: usize) -> f64 {
    let odd = extent >> extent.trailing_zeros().min(usize::BITS - 1);
    // Of the 24 bits of a mantissa, those that the product with the extent takes are left out.
    let steps = f64::from(25u32.saturating_sub(usize::BITS - odd.leading_zeros())).exp2();
    (k / extent as f64 * steps).round() / steps * extent as f64
}

/// k-space as its format has it.
fn write_scan(target: Output, scan: Simulated, extents: &[usize]) -> Result<()> {
    if matches!(Format::of(target.path()).and_then(|format| format.reader), Some(Reader::Scan(_))) {
        let fov: Vec<f64> = extents.iter().map(|_| FIELD_OF_VIEW_MM).collect();
        return match (&scan.mask, &scan.trajectory) {
            (Some(mask), _) => write_ismrmrd(target, scan.kspace.view(), mask.view(), &fov),
            (None, Some(k)) => write_ismrmrd_samples(target, scan.kspace.view(), k.view(), extents, &fov),
            (None, None) => Err(Error::file(target.path(), "a scan without a mask and without a trajectory")),
        };
    }
    let bart = is_bart(target.path());
    let kspace = match (bart, &scan.trajectory) {
        // (1, sample, spoke, coil)
        (true, Some(_)) => scan.kspace.insert_axis(Axis(3)),
        // (x, y, 1, coil)
        (true, None) if extents.len() == 2 => scan.kspace.insert_axis(Axis(1)),
        _ => scan.kspace,
    };
    write_array(target, Array::C32(kspace))
}

/// Coordinates (spoke, sample, (y, x)) as BART has them, (3, sample, spoke) in the order x, y, z.
fn bart_trajectory(k: &ArrayD<f64>) -> ArrayD<Complex32> {
    let shape = [k.shape()[0], k.shape()[1], 3];
    ArrayD::from_shape_fn(shape.as_slice(), |at| match at[2] {
        axis @ 0..=1 => Complex32::from(k[[at[0], at[1], 1 - axis]] as f32),
        _ => Complex32::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_held_by_all_formats() {
        for extent in [1, 48, 63, 250, 256, 257, 511] {
            for i in 0..500 {
                let asked = (i as f64 / 499.0 - 0.5) * extent as f64 * (0.1 * i as f64).cos();
                let k = held(asked, extent);
                assert!((k - asked).abs() < 5e-3, "{extent}: {asked} {k}");
                assert_eq!(f64::from(k as f32), k, "{extent}");
                assert_eq!(f64::from((k / extent as f64) as f32) * extent as f64, k, "{extent}");
            }
        }
    }
}
