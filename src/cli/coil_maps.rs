//! Coil maps of a scan, as `recon` and `calibrate` estimate them: of k-space on a grid, and of samples along a trajectory.

use super::centre::central;
use linops::app::noncartesian::calibration_side;
use linops::app::{EspiritOptions, MapSets, gridded_kspace};
use linops::linop::{self, FftOptions, NufftOptions};
use linops::{Device, Result, Tensor};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Dimension};
use num_complex::Complex32;

/// Estimates the maps (coil, set, image…) of k-space (coil, …) and its mask of what was acquired, by `one` way of estimating. Reference
/// lines, which may be of a larger field of view, come first, but where a mask was `given`: that says which lines are good.
pub fn on_grid(
    kspace: &ArrayD<Complex32>,
    mask: &ArrayD<f32>,
    reference: Option<&ArrayD<Complex32>>,
    given: bool,
    one: impl Fn(ArrayViewD<Complex32>) -> Result<MapSets>,
) -> Result<MapSets> {
    let from_reference = || reference.map(|lines| one(lines.view()));
    let first = if given { None } else { from_reference() };
    let mut found = match first {
        Some(Ok(found)) => found,
        first => match one(kspace.view()) {
            // Few partitions: where all of them have the same lines, planes are slices.
            Err(e) => match by_planes(kspace, mask, &one)? {
                Some(found) => found,
                None => from_reference().filter(|_| given).and_then(Result::ok).ok_or(e)?,
            },
            Ok(mut found) => {
                if let Some(Err(e)) = first {
                    found.method = format!("{} (not of the reference lines: {e})", found.method);
                }
                found
            }
        },
    };
    let image = &kspace.shape()[1..];
    found.maps = central(found.maps, image);
    found.eigenvalues = central(found.eigenvalues, image);
    Ok(found)
}

/// Estimates the maps of samples (coil, …) along a trajectory (…, D), from as much of the centre of their gridded k-space as they
/// cover, unless the options say how much.
pub fn of_samples(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    weights: ArrayViewD<f64>,
    matrix: &[usize],
    nufft: NufftOptions,
    device: &Device,
    one: impl Fn(ArrayViewD<Complex32>, Option<usize>) -> Result<MapSets>,
) -> Result<MapSets> {
    let side = calibration_side(trajectory.view())?;
    let gridded = gridded_kspace(kspace, trajectory, weights, matrix, nufft, device)?;
    let smallest = matrix.iter().fold(side, |side, n| side.min(*n));
    let mut found = one(gridded.view(), Some(smallest))?;
    found.method = format!("{} of the gridded k-space", found.method);
    Ok(found)
}

/// ESPIRiT as a reconstruction takes it, from so many lines.
pub fn usual(kspace: ArrayViewD<Complex32>, lines: Option<usize>) -> Result<MapSets> {
    linops::app::espirit(kspace, &EspiritOptions::default().calibration(lines))
}

/// The maps of the planes of k-space (coil, kz, ky, kx) and its mask, whose partitions have the same lines; `None` of any other, or where no plane
/// has maps. Planes without a signal have none.
fn by_planes(
    kspace: &ArrayD<Complex32>,
    mask: &ArrayD<f32>,
    one: impl Fn(ArrayViewD<Complex32>) -> Result<MapSets>,
) -> Result<Option<MapSets>> {
    let [coils, nz, ny, nx] = *kspace.shape() else { return Ok(None) };
    let first = mask.index_axis(Axis(0), nz / 2);
    let acquired: Vec<bool> = mask.axis_iter(Axis(0)).map(|plane| plane.iter().any(|v| *v != 0.0)).collect();
    let same = mask.axis_iter(Axis(0)).zip(&acquired).all(|(plane, any)| plane == first || !any);
    // Partial Fourier leaves some at an end; gaps fold.
    let gaps = acquired.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1;
    if gaps || !same {
        return Ok(None);
    }
    let shape = format!("C={coils} Nz={nz} Ny={ny} Nx={nx}");
    let f = linop::fft(shape, "Nz", FftOptions::default().centered(true))?;
    let hybrid = f.h().apply(&Tensor::from_array(kspace.clone(), f.output()?.dims())?)?.to_array()?;
    let mut made: Option<MapSets> = None;
    for z in 0..nz {
        let Ok(plane) = one(hybrid.index_axis(Axis(1), z)) else { continue };
        let all = made.get_or_insert_with(|| {
            let mut all = plane.clone();
            all.maps = over_planes(plane.maps.view(), 2, nz);
            all.eigenvalues = over_planes(plane.eigenvalues.view(), 1, nz);
            all.method = format!("{}, of each plane", plane.method);
            all
        });
        all.maps.index_axis_mut(Axis(2), z).assign(&plane.maps);
        all.eigenvalues.index_axis_mut(Axis(1), z).assign(&plane.eigenvalues);
    }
    Ok(made)
}

/// Zeros of `nz` planes like this one, as a new axis.
fn over_planes<T: Clone + Default, D: Dimension>(plane: ArrayView<T, D>, axis: usize, nz: usize) -> ArrayD<T> {
    let mut shape = plane.shape().to_vec();
    shape.insert(axis, nz);
    ArrayD::from_elem(shape, T::default())
}
