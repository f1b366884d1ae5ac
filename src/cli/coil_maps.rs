//! Coil maps of k-space on a grid: from reference lines, else from the lines of the image, else of each plane.

use linops::app::noncartesian::calibration_side;
use linops::app::{EspiritOptions, MapSets, gridded_kspace};
use linops::linop::{self, FftOptions, NufftOptions};
use linops::{Device, Result, Tensor};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Dimension, RemoveAxis, Slice};
use num_complex::Complex32;

/// Estimates the maps (coil, set, image…) of k-space (coil, …), 0 where it was not acquired, by `one` way of estimating. Reference
/// lines, which may be of a larger field of view, come first.
pub fn on_grid(
    kspace: &ArrayD<Complex32>,
    reference: Option<&ArrayD<Complex32>>,
    one: impl Fn(ArrayViewD<Complex32>) -> Result<MapSets>,
) -> Result<MapSets> {
    let from_lines = reference.and_then(|lines| one(lines.view()).ok());
    let mut found = match from_lines.map_or_else(|| one(kspace.view()), Ok) {
        // Few partitions: where all of them have the same lines, planes are slices.
        Err(e) => by_planes(kspace, &one)?.ok_or(e)?,
        Ok(found) => found,
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

/// The maps of the planes of k-space (coil, kz, ky, kx) whose partitions have the same lines; `None` of any other, or where no plane
/// has maps. Planes without a signal have none.
fn by_planes(
    kspace: &ArrayD<Complex32>,
    one: impl Fn(ArrayViewD<Complex32>) -> Result<MapSets>,
) -> Result<Option<MapSets>> {
    let [coils, nz, ny, nx] = *kspace.shape() else { return Ok(None) };
    let mask = kspace.map_axis(Axis(0), |coils| coils.iter().any(|v| *v != Complex32::default()));
    let first = mask.index_axis(Axis(0), nz / 2);
    let acquired: Vec<bool> = mask.axis_iter(Axis(0)).map(|plane| plane.iter().any(|v| *v)).collect();
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

/// The central pixels of (…, image…).
pub fn central<T: Clone, D: RemoveAxis>(mut values: ndarray::Array<T, D>, image: &[usize]) -> ndarray::Array<T, D> {
    let front = values.ndim() - image.len();
    for (axis, to) in image.iter().enumerate() {
        let from = values.len_of(Axis(front + axis));
        if from > *to {
            let start = from / 2 - to / 2;
            values = values.slice_axis(Axis(front + axis), Slice::from(start..start + to)).to_owned();
        }
    }
    values
}
