//! What the demo simulates and reconstructs.

use linops::app::density::ramp_density;
use linops::app::trajectory::golden_radial;
use linops::app::{NonCartesian, Reconstruction, SampleOptions, ScanOptions, Sense, sample_scan, scan};
use linops::linop::NufftOptions;
use linops::solve::SolveOptions;
use linops::{Device, Error, Result};
use ndarray::{Array2, Axis, Ix2};
use num_complex::Complex32;
use serde_json::{Value, json};

/// A simulated scan with its two reconstructions.
pub struct Subject {
    /// The scan for people.
    pub scan: String,
    /// The scan for programs.
    pub facts: Value,
    pub reference: Array2<Complex32>,
    /// What the reconstruction without solving is called.
    pub plain_name: &'static str,
    /// The reconstruction without solving.
    pub plain: Array2<Complex32>,
    /// The reconstruction by SENSE.
    pub solve: Box<Solve>,
}

/// Solves with these options.
type Solve = dyn Fn(SolveOptions) -> Result<Reconstruction>;

/// Every third line of 256 × 256, and those around the centre.
pub fn cartesian(device: &Device) -> Result<Subject> {
    let options = ScanOptions::default();
    let scan = scan(&options)?;
    let sense = Sense::new(scan.maps.view(), scan.mask.view())?;
    let lines = scan.mask.column(0).iter().filter(|v| **v != 0.0).count();
    let (coils, ny, nx) = scan.kspace.dim();
    let plain = sense.zero_filled(scan.kspace.view(), device)?;
    let (kspace, device) = (scan.kspace, device.clone());
    Ok(Subject {
        scan: format!("{coils} coils, {ny} x {nx}, {lines} of {ny} lines, noise {}", options.noise),
        facts: json!({ "coils": coils, "ny": ny, "nx": nx, "lines": lines }),
        reference: scan.reference,
        plain_name: "zero-filled",
        plain,
        solve: Box::new(move |options| sense.solve(kspace.view(), options, &device)),
    })
}

/// Golden-angle spokes, a sixth of what full sampling of 256 × 256 takes.
pub fn radial(device: &Device) -> Result<Subject> {
    const SPOKES: usize = 64;
    let options = SampleOptions::default();
    let SampleOptions { ny, nx, coils, noise, .. } = options;
    let samples = 2 * nx;
    let trajectory = golden_radial(SPOKES, samples, nx)?.into_dyn();
    let scan = sample_scan(trajectory.view(), &options)?;
    let density = ramp_density(trajectory.view())?;
    let maps = scan.maps.view().into_dyn();
    let model = NonCartesian::new(maps, trajectory.view(), density.view(), NufftOptions::default())?;
    let mut plain = flat(model.gridded(scan.kspace.view(), device)?)?;
    let power = scan.maps.map_axis(Axis(0), |s| s.iter().map(|v| v.norm_sqr()).sum::<f32>());
    plain.zip_mut_with(&power, |v, p| *v /= p.max(f32::MIN_POSITIVE));
    let (kspace, device) = (scan.kspace, device.clone());
    Ok(Subject {
        scan: format!("{coils} coils, {ny} x {nx}, {SPOKES} golden-angle spokes of {samples} samples, noise {noise}"),
        facts: json!({ "coils": coils, "ny": ny, "nx": nx, "spokes": SPOKES, "samples": samples }),
        reference: scan.reference,
        plain_name: "gridded",
        plain,
        solve: Box::new(move |options| model.solve(kspace.view(), options, &device)?.with_rank()),
    })
}

fn flat(image: ndarray::ArrayD<Complex32>) -> Result<Array2<Complex32>> {
    image.into_dimensionality::<Ix2>().map_err(|e| Error::Shape(e.to_string()))
}
