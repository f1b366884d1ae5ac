//! Non-Cartesian SENSE: the image that explains k-space samples anywhere best.
//!
//! minimise ‖W^½(N S x − y)‖² + λ‖x‖² with coil sensitivities S, the orthonormal non-uniform Fourier transform N of a trajectory
//! and density compensation W. Pruessmann, Weiger, Börnert and Boesiger, Magn. Reson. Med. 46:638 (2001).

mod calibration;
mod extent;
mod field;
mod units;

pub use calibration::{calibrate_maps, calibration_side, gridded_kspace};
pub use extent::{check_extent, fitting_matrix};
pub use field::{FieldMisfits, field_misfits};
pub use units::{TrajectoryUnits, constant_components, recognised_units};

use super::least_squares::{Asked, Reconstruction, Regularised, adjoint, minimise, regularised};
use super::maps_power::{expect_strength, power};
use super::regularise::Regularisation;
use crate::allocate::expect_room;
use crate::convex::ConvexOptions;
use crate::error::{Error, Result, shape_err, value_err};
use crate::linop::{self, Linop, NufftOptions};
use crate::run::Device;
use crate::solve::SolveOptions;
use crate::tensor::{Tensor, first_where};
use ndarray::{Array1, Array2, ArrayD, ArrayViewD, IxDyn};
use num_complex::Complex32;

/// Dims of the image, the last D of them.
const AXES: [&str; 3] = ["Nz", "Ny", "Nx"];

/// A non-Cartesian parallel-imaging model: y = N S x, weighted by W.
///
/// ```
/// use linops::{Device, app::{density::ramp_density, nrmse, sample_scan, trajectory, NonCartesian, SampleOptions, recon_options}};
/// let k = trajectory::golden_radial(40, 64, 32)?.into_dyn();
/// let scan = sample_scan(k.view(), &SampleOptions::default().ny(32).nx(32).coils(4))?;
/// let w = ramp_density(k.view())?;
/// let model = NonCartesian::new(scan.maps.view().into_dyn(), k.view(), w.view(), Default::default())?;
/// let image = model.solve(scan.kspace.view(), recon_options(), &Device::host())?.image;
/// let image = image.into_dimensionality().expect("two axes");
/// assert!(nrmse(image.view(), scan.reference.view()) < 0.2);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NonCartesian {
    linop: Linop,
    /// Extents of k-space: coils, and the axes of the trajectory but its last.
    extents: Vec<usize>,
    /// W^½ of all samples in a row.
    root: Array1<f32>,
    scale: f32,
}

impl NonCartesian {
    /// The model of sensitivities (coil, image…), a trajectory (…, D) in cycles per field of view, its component d along the
    /// image's axis d, and weights (…), of samples that count as much as their weights say.
    ///
    /// The image has D axes, 1 to 3.
    ///
    /// # Errors
    /// The trajectory has another D than the maps have image axes, or reaches beyond ±N/2 (see [`check_extent`]); the weights
    /// have other extents than the trajectory, are negative or not finite, or 0 everywhere; the maps are not finite, or 0
    /// everywhere; or [`nufft`](linop::nufft) refuses its options.
    pub fn new(
        maps: ArrayViewD<Complex32>,
        trajectory: ArrayViewD<f64>,
        density: ArrayViewD<f64>,
        options: NufftOptions,
    ) -> Result<NonCartesian> {
        let Some((coils, matrix)) = maps.shape().split_first().filter(|(_, matrix)| (1..=3).contains(&matrix.len()))
        else {
            return shape_err!("coil maps of shape {:?}, expected (coil, image…) with 1 to 3 image axes", maps.shape());
        };
        check_extent(trajectory.view(), matrix)?;
        // The maps as they are given, and as the linop keeps them; coordinates and weights, the coordinates twice.
        let bytes = (maps.len() as u64).saturating_mul(2 * 8 + 4);
        expect_room(bytes.saturating_add(8 * (2 * trajectory.len() + density.len()) as u64), "the model of the scan")?;
        let root = root(&trajectory, &density)?;
        let power = power(maps.view());
        if let Some((at, _)) = first_where(&power.view(), |v| !v.is_finite()) {
            return value_err!("the coil maps are NaN or infinite at pixel {at:?}");
        }
        let strongest = expect_strength(&power)?;
        let axes = AXES[3 - matrix.len()..].join(" ");
        let maps_tensor = Tensor::from_array(maps.to_owned(), &format!("C {axes}"))?;
        let s = linop::diagonal(image_dims(matrix), &maps_tensor)?.named("coil maps");
        let n = transform(&[&[*coils], matrix].concat(), trajectory.view(), options)?;
        let w = linop::diagonal(n.output()?, &Tensor::from_array(root.clone(), "K")?)?.named("density");
        let pixels: f64 = matrix.iter().map(|&n| n as f64).product();
        let mean = density.sum() / pixels;
        let extents = [&[*coils], &trajectory.shape()[..trajectory.ndim() - 1]].concat();
        Ok(NonCartesian { linop: linop::chain(vec![s, n, w])?, extents, root, scale: strongest * mean as f32 })
    }

    /// The linop W^½ N S, from the image ((Nz) Ny) Nx to (C, K), with the samples of the trajectory in a row as K.
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// The largest diagonal entry of the normal Sᴴ Nᴴ W N S: the largest Σ|S|² of all pixels times ΣW/ΠN, which is near 1 for
    /// normalised maps and a full scan with any of the [density compensations](super::density). λ counts relative to it.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// W^½ y, as [`linop`](NonCartesian::linop) gives it: what a solver of one's own takes beside that.
    ///
    /// # Errors
    /// The k-space (coil, …) has other extents than the model.
    pub fn data(&self, kspace: ArrayViewD<Complex32>) -> Result<Tensor> {
        Tensor::from_array(self.weighted(kspace)?, "C K")
    }

    /// The density-compensated adjoint Sᴴ Nᴴ W y.
    ///
    /// # Errors
    /// The k-space (coil, …) has other extents than the model, or the device fails.
    pub fn gridded(&self, kspace: ArrayViewD<Complex32>, device: &Device) -> Result<ArrayD<Complex32>> {
        adjoint(&self.linop, self.weighted(kspace)?.view().into_dyn(), "C K", device)
    }

    /// Minimises the objective by conjugate gradients on a device, from the options' start or x = 0.
    ///
    /// # Errors
    /// The k-space (coil, …) has other extents than the model, or is not finite; λ or tol is negative or not finite; no
    /// iterations; or the device fails.
    pub fn solve(
        &self,
        kspace: ArrayViewD<Complex32>,
        options: SolveOptions,
        device: &Device,
    ) -> Result<Reconstruction<IxDyn>> {
        minimise(&self.linop, self.weighted(kspace)?.view().into_dyn(), "C K", options, device)
    }

    /// Minimises ½‖W^½(N S x − y)‖² + Σ λᵢRᵢ(x) on a device, from `start` or from x = 0. Weights that are not given are those of
    /// [`recon_weight`](super::recon_weight).
    ///
    /// # Errors
    /// The k-space (coil, …) or the start has other extents than the model, or is not finite; a regulariser that an image does
    /// not have; options that make no sense; or the device fails.
    pub fn regularised(
        &self,
        kspace: ArrayViewD<Complex32>,
        regularisation: &Regularisation,
        start: Option<ArrayViewD<Complex32>>,
        options: ConvexOptions,
        device: &Device,
    ) -> Result<Regularised<IxDyn>> {
        let axes = crate::dim::join(self.linop.input()?.dims());
        let asked = Asked { dims: "C K", axes: &axes, series: None, norm: None, scale: self.scale, start };
        let y = self.weighted(kspace)?;
        regularised(&self.linop, y.view().into_dyn(), asked, regularisation, options, device)
    }

    /// W^½ y
    pub(super) fn weighted(&self, kspace: ArrayViewD<Complex32>) -> Result<Array2<Complex32>> {
        expect_room((kspace.len() as u64).saturating_mul(2 * 8), "the weighted k-space")?;
        Ok(flat(kspace, &self.extents)? * &self.root.mapv(Complex32::from))
    }
}

/// The density-compensated adjoint of each coil on its own, Nᴴ W y: k-space (coil, …) to images (coil, image…).
///
/// # Errors
/// Extents that do not fit each other; weights or coordinates that [`NonCartesian::new`] refuses; or the device fails.
pub fn grid_coils(
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    density: ArrayViewD<f64>,
    matrix: &[usize],
    options: NufftOptions,
    device: &Device,
) -> Result<ArrayD<Complex32>> {
    check_extent(trajectory.view(), matrix)?;
    let root = root(&trajectory, &density)?;
    let coils = kspace.shape().first().copied().unwrap_or(0);
    let extents = [&[coils], &trajectory.shape()[..trajectory.ndim() - 1]].concat();
    expect_room((kspace.len() + 2 * trajectory.len()) as u64 * 16, "the weighted k-space")?;
    let weighted = flat(kspace, &extents)? * &root.mapv(|w| Complex32::from(w * w));
    let n = transform(&[&[coils], matrix].concat(), trajectory, options)?;
    adjoint(&n, weighted.view().into_dyn(), "C K", device)
}

/// "Ny=256 Nx=256"
fn image_dims(matrix: &[usize]) -> String {
    let names = AXES[3 - matrix.len()..].iter().zip(matrix);
    names.map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" ")
}

/// N for images (coil, image…) to samples (coil, K).
fn transform(extents: &[usize], trajectory: ArrayViewD<f64>, options: NufftOptions) -> Result<Linop> {
    let (coils, matrix) = (extents[0], &extents[1..]);
    let samples = trajectory.len() / matrix.len();
    let locs = trajectory.as_standard_layout().into_owned().into_shape_with_order(IxDyn(&[samples, matrix.len()]));
    let locs = locs.map_err(|e| Error::Shape(e.to_string()))?;
    let input = format!("C={coils} {}", image_dims(matrix));
    linop::nufft(input, &locs, AXES[3 - matrix.len()..].join(" "), options, "C K")
}

/// W^½ in a row.
fn root(trajectory: &ArrayViewD<f64>, density: &ArrayViewD<f64>) -> Result<Array1<f32>> {
    let samples = &trajectory.shape()[..trajectory.ndim() - 1];
    if density.shape() != samples {
        return shape_err!(
            "density compensation of shape {:?}, expected {samples:?} from the trajectory",
            density.shape()
        );
    }
    if let Some((at, w)) = first_where(&density.view(), |w| !w.is_finite() || *w < 0.0) {
        return value_err!("the density compensation is {w:?} at {at:?}, expected a finite number from 0 on");
    }
    if density.iter().all(|w| *w == 0.0) {
        return value_err!("the density compensation is 0 everywhere; at least one sample must count");
    }
    Ok(density.iter().map(|w| w.sqrt() as f32).collect())
}

/// k-space (coil, …) with these extents as (coil, K).
fn flat(kspace: ArrayViewD<Complex32>, extents: &[usize]) -> Result<Array2<Complex32>> {
    if kspace.shape() != extents {
        return shape_err!(
            "k-space of shape {:?}, expected {extents:?} from the maps and the trajectory",
            kspace.shape()
        );
    }
    let shape = (extents[0], extents[1..].iter().product::<usize>());
    let flat = kspace.as_standard_layout().into_owned().into_shape_with_order(shape);
    flat.map_err(|e| Error::Shape(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::density::ramp_density;
    use crate::app::{SampleOptions, SampledScan, nrmse, recon_options, sample_scan, trajectory};
    use ndarray::{Array3, Axis, s};

    const N: usize = 48;

    fn small(noise: f64) -> (SampledScan, ArrayD<f64>, ArrayD<f64>) {
        let k = trajectory::golden_radial(24, 2 * N, N).unwrap().into_dyn();
        let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(noise).seed(5);
        let w = ramp_density(k.view()).unwrap();
        (sample_scan(k.view(), &options).unwrap(), k, w)
    }

    fn model(scan: &SampledScan, k: &ArrayD<f64>, w: &ArrayD<f64>, toeplitz: Option<bool>) -> NonCartesian {
        let options = NufftOptions::default().toeplitz(toeplitz);
        NonCartesian::new(scan.maps.view().into_dyn(), k.view(), w.view(), options).unwrap()
    }

    fn error(image: ArrayD<Complex32>, scan: &SampledScan) -> f64 {
        nrmse(image.into_dimensionality().unwrap().view(), scan.reference.view())
    }

    #[test]
    fn the_minimiser_has_no_gradient() {
        let (scan, k, w) = small(0.01);
        let model = model(&scan, &k, &w, Some(false));
        let options = || recon_options().lambda(0.05);
        let x = model.solve(scan.kspace.view(), options(), &Device::host()).unwrap().image;
        let image = Tensor::from_array(x.clone(), "Ny Nx").unwrap();
        let b = model.gridded(scan.kspace.view(), &Device::host()).unwrap();
        let gradient = model.linop().n().apply(&image).unwrap().to_array().unwrap() + x * 0.05 - &b;
        let norm = |a: &ArrayD<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        assert!(norm(&gradient) < 1e-5 * norm(&b), "{}", norm(&gradient) / norm(&b));
    }

    #[test]
    fn sense_beats_gridding() {
        let (scan, k, w) = small(0.005);
        for toeplitz in [Some(false), Some(true)] {
            let model = model(&scan, &k, &w, toeplitz);
            let options = || recon_options().lambda(1e-3);
            let found = model.solve(scan.kspace.view(), options(), &Device::host()).unwrap().image;
            let gridded = model.gridded(scan.kspace.view(), &Device::host()).unwrap();
            let power = scan.maps.mapv(|s| Complex32::from(s.norm_sqr())).sum_axis(Axis(0)).into_dyn();
            let (found, gridded) = (error(found, &scan), error(gridded / power, &scan));
            assert!(found < 0.25 && found < 0.7 * gridded, "{found} {gridded}");
        }
    }

    #[test]
    fn gridding_a_full_scan_gives_the_image() {
        let k = trajectory::radial(76, N, N).unwrap().into_dyn();
        let options = SampleOptions::default().ny(N).nx(N).coils(3).noise(0.0).seed(1);
        let scan = sample_scan(k.view(), &options).unwrap();
        let w = ramp_density(k.view()).unwrap();
        let nufft = NufftOptions::default();
        let images = grid_coils(scan.kspace.view(), k.view(), w.view(), &[N, N], nufft, &Device::host()).unwrap();
        assert_eq!(images.shape(), [3, N, N]);
        let power = scan.maps.mapv(|s| s.norm_sqr()).sum_axis(Axis(0));
        let together = model(&scan, &k, &w, None).gridded(scan.kspace.view(), &Device::host()).unwrap();
        let by_hand = (images * scan.maps.mapv(|s| s.conj()).into_dyn()).sum_axis(Axis(0));
        assert!((&by_hand - &together).iter().all(|d| d.norm() < 1e-4));
        let image = together / power.mapv(Complex32::from).into_dyn();
        // The corners of k-space are not in the disc.
        let error = error(image, &scan);
        assert!(error < 0.25, "{error}");
    }

    #[test]
    fn bad_models_are_errors() {
        let (scan, k, w) = small(0.0);
        let maps = scan.maps.clone().into_dyn();
        let message = |maps: &ArrayD<Complex32>, k: &ArrayD<f64>, w: &ArrayD<f64>| {
            NonCartesian::new(maps.view(), k.view(), w.view(), Default::default()).unwrap_err().to_string()
        };
        assert!(message(&maps, &k, &w.slice(s![1.., ..]).to_owned().into_dyn()).contains("expected [24, 96]"));
        assert!(message(&maps, &k, &-&w).contains("expected a finite number from 0 on"));
        assert!(message(&maps, &k, &(&w * 0.0)).contains("0 everywhere"));
        assert!(message(&(&maps * Complex32::default()), &k, &w).contains("maps are 0"));
        assert!(message(&Array3::zeros((2, 8, 8)).into_dyn(), &k, &w).contains("beyond"));
        assert!(message(&ArrayD::zeros(vec![2, N, N, N]), &k, &w).contains("3"));
        let model = model(&scan, &k, &w, None);
        let short = scan.kspace.slice(s![..3, .., ..]).to_owned().into_dyn();
        let refused = model.solve(short.view(), recon_options(), &Device::host()).unwrap_err().to_string();
        assert!(refused.contains("expected [4, 24, 96]"), "{refused}");
        let none = recon_options().iterations(0);
        assert!(model.solve(scan.kspace.view(), none, &Device::host()).is_err());
    }
}
