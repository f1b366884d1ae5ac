//! Cartesian SENSE of slices and volumes, with one or several sets of coil maps.
//!
//! minimise ‖M F Σₛ Sₛ xₛ − y‖² + λ‖x‖² with coil sensitivities Sₛ, the centred orthonormal DFT F and the sampling mask M.
//! Pruessmann et al., Magn. Reson. Med. 42:952 (1999); by conjugate gradients: 46:638 (2001); several sets, soft SENSE: Uecker et
//! al., 71:990 (2014).

use super::least_squares::{Asked, Reconstruction, Regularised, adjoint, minimise, regularised};
use super::maps_power::{expect_strength, power};
use super::regularise::Regularisation;
use crate::allocate::expect_room;
use crate::convex::ConvexOptions;
use crate::error::{Error, Result, shape_err, value_err};
use crate::linop::{self, FftOptions, Linop};
use crate::run::Device;
use crate::solve::SolveOptions;
use crate::tensor::{Tensor, first_where};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use num_complex::Complex32;
use std::sync::Arc;

/// Dims of the image, the last ones of them.
const AXES: [&str; 3] = ["Nz", "Ny", "Nx"];
/// Dims of k-space likewise.
const K_AXES: [&str; 3] = ["Kz", "Ky", "Kx"];

/// A Cartesian parallel-imaging model of images of 2 or 3 axes: y = M F Σₛ Sₛ xₛ. [`Sense`](super::Sense) is that of slices.
///
/// ```
/// use linops::{Device, app::{Cartesian, ScanOptions, nrmse, recon_options, scan}};
/// use linops::ndarray::Axis;
/// let scan = scan(&ScanOptions::default().ny(48).nx(40).acceleration(2))?;
/// // The maps, and a second set that has no part in the data.
/// let maps = scan.maps.view().insert_axis(Axis(1));
/// let maps = linops::ndarray::concatenate![Axis(1), maps, &maps * linops::num_complex::Complex32::ZERO];
/// let model = Cartesian::with_sets(maps.view().into_dyn(), scan.mask.view().into_dyn())?;
/// let images = model.solve(scan.kspace.view().into_dyn(), recon_options(), &Device::host())?.image;
/// assert_eq!(images.shape(), [2, 48, 40]);
/// let first = images.index_axis_move(Axis(0), 0).into_dimensionality().expect("two axes");
/// assert!(nrmse(first.view(), scan.reference.view()) < 0.2);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cartesian {
    linop: Linop,
    /// Without the mask.
    unmasked: Linop,
    /// Σ|S|² over the coils, (image…) or (set, image…).
    power: Arc<ArrayD<f32>>,
    /// Dims of k-space, "C Kz Ky Kx".
    kspace: String,
    /// Dims of an image, "Nz Ny Nx".
    image: String,
}

impl Cartesian {
    /// The model of sensitivities (coil, y, x) or (coil, z, y, x) and a mask of zeros and ones: (ky, kx) or (kz, ky, kx), or over
    /// the first axes of these only, as (kz, ky) where readouts are whole.
    ///
    /// # Errors
    /// The mask has other extents than the maps, is not 0 or 1 somewhere, or is 0 everywhere; the maps are not finite, or 0
    /// everywhere, or have other axes.
    pub fn new(maps: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Result<Cartesian> {
        match maps.ndim() {
            3 | 4 => Cartesian::build(maps, false, mask),
            _ => shape_err!("coil maps of shape {:?}, expected (coil, y, x) or (coil, z, y, x)", maps.shape()),
        }
    }

    /// The same with several sets of maps (coil, set, y, x) or (coil, set, z, y, x), each with an image of its own: (set, image…).
    ///
    /// # Errors
    /// Those of [`Cartesian::new`].
    pub fn with_sets(maps: ArrayViewD<Complex32>, mask: ArrayViewD<f32>) -> Result<Cartesian> {
        match maps.ndim() {
            4 | 5 => Cartesian::build(maps, true, mask),
            _ => {
                shape_err!("coil maps of shape {:?}, expected (coil, set, y, x) or (coil, set, z, y, x)", maps.shape())
            }
        }
    }

    /// Models that differ in their masks (time, …) alone: the maps (coil, image…) are the same values of all.
    ///
    /// # Errors
    /// Those of [`Cartesian::new`], of any mask; or there is none.
    pub(super) fn frames(maps: ArrayViewD<Complex32>, masks: ArrayViewD<f32>) -> Result<Vec<Cartesian>> {
        let mut of = masks.outer_iter().enumerate();
        let Some((_, mask)) = of.next() else { return shape_err!("the series has no frames") };
        let at = |t: usize| move |e: Error| e.at(format!("frame {t}"));
        let first = Cartesian::new(maps, mask).map_err(at(0))?;
        let rest = of.map(|(t, mask)| first.with_mask(mask).map_err(at(t)));
        std::iter::once(Ok(first.clone())).chain(rest).collect()
    }

    /// The same with another mask.
    fn with_mask(&self, mask: ArrayViewD<f32>) -> Result<Cartesian> {
        let k_axes: Vec<&str> = self.kspace.split(' ').skip(1).collect();
        let extents = &self.unmasked.output()?.extents()[1..];
        expect_mask(&mask, &k_axes, extents)?;
        let mask = Tensor::from_array(mask.to_owned(), &k_axes[..mask.ndim()].join(" "))?;
        let m = linop::diagonal(self.unmasked.output()?, &mask)?.named("mask");
        Ok(Cartesian { linop: linop::chain(vec![self.unmasked.clone(), m])?, ..self.clone() })
    }

    fn build(maps: ArrayViewD<Complex32>, sets: bool, mask: ArrayViewD<f32>) -> Result<Cartesian> {
        let extents = &maps.shape()[1 + usize::from(sets)..];
        let (axes, k_axes) = (&AXES[3 - extents.len()..], &K_AXES[3 - extents.len()..]);
        expect_mask(&mask, k_axes, extents)?;
        let power = power(maps.view());
        if let Some((at, _)) = first_where(&power.view(), |v| !v.is_finite()) {
            let names = axes.iter().map(|name| name[1..].to_string());
            let place: Vec<String> =
                names.zip(&at[usize::from(sets)..]).map(|(name, i)| format!("{name}={i}")).collect();
            return value_err!("the coil maps are NaN or infinite at [{}]", place.join(", "));
        }
        expect_strength(&power)?;
        // The maps as they are given, and as the linop keeps them.
        expect_room((maps.len() as u64).saturating_mul(2 * 8), "the model of the scan")?;
        let (image, kspace) = (axes.join(" "), format!("C {}", k_axes.join(" ")));
        let sized: Vec<String> = axes.iter().zip(extents).map(|(name, n)| format!("{name}={n}")).collect();
        let sized = sized.join(" ");
        let front = if sets { "C S" } else { "C" };
        let maps = Tensor::from_array(maps.to_owned(), &format!("{front} {image}"))?;
        let centred = || FftOptions::default().centered(true);
        let unmasked = if sets {
            let f = linop::fft(sized, image.as_str(), centred())?.out(k_axes.join(" "))?;
            linop::sense(&maps, &f, "C")?
        } else {
            let s = linop::diagonal(sized, &maps)?.named("coil maps");
            let f = linop::fft(s.output()?, image.as_str(), centred())?.out(kspace.as_str())?;
            linop::chain(vec![s, f])?
        };
        Cartesian { linop: unmasked.clone(), unmasked, power: Arc::new(power.mapv(|p| p as f32)), kspace, image }
            .with_mask(mask)
    }

    /// The linop, from ((S), (Nz), Ny, Nx) to (C, (Kz), Ky, Kx).
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// The largest Σ|S|² of all pixels and sets, the normal's largest diagonal entry but for the mask: 1 for estimated maps. λ
    /// counts relative to it.
    pub fn scale(&self) -> f32 {
        self.power.iter().fold(0.0, |a, &b| a.max(b))
    }

    /// ‖AᴴA‖, at most: of one set the largest Σ|S|² of all pixels, as F and the mask lengthen nothing; of several the sum over them.
    pub(super) fn norm(&self) -> f64 {
        let largest = |power: ArrayViewD<f32>| f64::from(power.iter().fold(0.0f32, |a, &b| a.max(b)));
        match self.power.ndim() == self.image.split(' ').count() {
            true => largest(self.power.view()),
            false => self.power.outer_iter().map(largest).sum(),
        }
    }

    /// The images without any solving: SᴴFᴴM y, divided by Σ|S|² where that is not 0.
    ///
    /// # Errors
    /// The k-space (coil, …) has other extents than the model, or the device fails.
    pub fn zero_filled(&self, kspace: ArrayViewD<Complex32>, device: &Device) -> Result<ArrayD<Complex32>> {
        let mut image = adjoint(&self.linop, kspace, &self.kspace, device)?;
        image.zip_mut_with(&*self.power, |v, &p| {
            if p > 0.0 {
                *v /= p;
            }
        });
        Ok(image)
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
        minimise(&self.linop, kspace, &self.kspace, options, device)
    }

    /// Minimises ½‖M F S x − y‖² + Σ λᵢRᵢ(x) on a device, from `start` or from x = 0; differences and wavelets go along the axes
    /// of an image, and the images of several sets add up. Weights that are not given are those of
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
        let asked = Asked {
            dims: &self.kspace,
            axes: &self.image,
            series: None,
            norm: Some(self.norm()),
            scale: self.scale(),
            start,
        };
        regularised(&self.linop, kspace, asked, regularisation, options, device)
    }
}

/// Refuses a mask that is none of these extents.
fn expect_mask(mask: &ArrayViewD<f32>, k_axes: &[&str], extents: &[usize]) -> Result<()> {
    if mask.ndim() == 0 || mask.ndim() > extents.len() {
        return shape_err!("a mask with {} axes, expected ({})", mask.ndim(), k_axes.join(", "));
    }
    for ((dim, came), want) in k_axes.iter().zip(mask.shape()).zip(extents) {
        if came != want {
            return shape_err!("dim {dim} of the mask has extent {came}, expected {want} from the maps");
        }
    }
    if let Some((at, v)) = first_where(&mask.view(), |v| *v != 0.0 && *v != 1.0) {
        return value_err!("the mask is {v:?} at {at:?}; expected 0 (not sampled) or 1 (sampled)");
    }
    match mask.iter().all(|v| *v == 0.0) {
        true => value_err!("the mask is 0 everywhere; at least one k-space location must be sampled"),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::noise::Generator;
    use crate::app::{ScanOptions, nrmse, recon_options, scan};
    use ndarray::{Array2, Array4, Axis, Ix2};
    use num_complex::Complex64;
    use std::f64::consts::TAU;

    fn random(shape: &[usize], seed: u64) -> ArrayD<Complex32> {
        let mut noise = Generator::new(seed);
        ArrayD::from_shape_simple_fn(shape, || {
            let v = noise.complex_normal();
            Complex32::new(v.re as f32, v.im as f32)
        })
    }

    /// Σₙ exp(−2πi (k − c)(n − c)/N)/√N as a matrix, in f64.
    fn dft(n: usize) -> Array2<Complex64> {
        let c = (n / 2) as f64;
        let turn = |k: usize, m: usize| -TAU * (k as f64 - c) * (m as f64 - c) / n as f64;
        Array2::from_shape_fn((n, n), |(k, m)| Complex64::cis(turn(k, m)) / (n as f64).sqrt())
    }

    #[test]
    fn volumes_and_sets_agree_with_sums() {
        let (coils, sets, extents) = (2, 2, [3, 4, 5]);
        let maps = random(&[&[coils, sets], &extents[..]].concat(), 1);
        // (kz, ky): whole readouts.
        let mask = Array2::from_shape_fn((3, 4), |(z, y)| f32::from((z + y) % 2 == 0));
        let model = Cartesian::with_sets(maps.view(), mask.view().into_dyn()).unwrap();
        let x = random(&[&[sets], &extents[..]].concat(), 2);
        let y = model.linop().apply(&Tensor::from_array(x.clone(), "S Nz Ny Nx").unwrap()).unwrap();
        let y = y.to_array().unwrap();
        assert_eq!(y.shape(), [coils, 3, 4, 5]);
        let f = extents.map(dft);
        let wide = |v: Complex32| Complex64::new(v.re.into(), v.im.into());
        for (at, v) in y.indexed_iter() {
            let (c, k) = (at[0], [at[1], at[2], at[3]]);
            let mut want = Complex64::ZERO;
            for (place, m) in maps.index_axis(Axis(0), c).indexed_iter() {
                let n = [place[1], place[2], place[3]];
                let weight: Complex64 = (0..3).map(|axis| f[axis][[k[axis], n[axis]]]).product();
                want += weight * wide(*m) * wide(x[&place]);
            }
            want *= f64::from(mask[[k[0], k[1]]]);
            assert!((wide(*v) - want).norm() < 1e-5, "{at:?}: {v} and {want}");
        }
    }

    #[test]
    fn a_volume_is_found_again() {
        let (coils, nz, ny, nx) = (4, 6, 16, 12);
        // Smooth maps, a random image, every second line along ky.
        let maps = Array4::from_shape_fn((coils, nz, ny, nx), |(c, z, y, x)| {
            let a = [0.0f32, 1.6, 3.2, 4.8][c];
            let (u, v, w) = (y as f32 / ny as f32 - 0.5, x as f32 / nx as f32 - 0.5, z as f32 / nz as f32);
            Complex32::from_polar((-(u - 0.5 * a.sin()).powi(2) * 3.0 - (v - 0.5 * a.cos()).powi(2) * 3.0).exp(), a * w)
        });
        let mask = Array2::from_shape_fn((nz, ny), |(_, y)| f32::from(y % 2 == 0));
        let model = Cartesian::new(maps.view().into_dyn(), mask.view().into_dyn()).unwrap();
        let image = random(&[nz, ny, nx], 7);
        let y = model.linop().apply(&Tensor::from_array(image.clone(), "Nz Ny Nx").unwrap()).unwrap();
        let y = y.to_array().unwrap();
        let options = || recon_options().lambda(1e-7).iterations(300).tol(1e-6);
        let found = model.solve(y.view(), options(), &Device::host()).unwrap();
        let norm = |a: &ArrayD<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        let error = norm(&(found.image - &image)) / norm(&image);
        assert!(error < 0.02, "{error}");
    }

    #[test]
    fn two_halves_of_a_set_are_the_set() {
        // Each set is half the maps: with one image for both, y is that of the whole maps.
        let scan = scan(&ScanOptions::default().ny(24).nx(20).coils(3).acceleration(2).noise(0.0)).unwrap();
        let half = scan.maps.view().insert_axis(Axis(1)).mapv(|v| v * 0.5);
        let maps = ndarray::concatenate![Axis(1), half, half];
        let model = Cartesian::with_sets(maps.view().into_dyn(), scan.mask.view().into_dyn()).unwrap();
        let one = Cartesian::new(scan.maps.view().into_dyn(), scan.mask.view().into_dyn()).unwrap();
        let y = scan.kspace.view().into_dyn();
        // Of two equal unknowns, λ counts half of that of their sum.
        let found = model.solve(y.view(), recon_options().lambda(5e-3), &Device::host()).unwrap().image;
        let want = one.solve(y, recon_options().lambda(1e-2), &Device::host()).unwrap().image;
        let mean = found.mean_axis(Axis(0)).unwrap().into_dimensionality::<Ix2>().unwrap();
        let want = want.into_dimensionality::<Ix2>().unwrap();
        assert!(nrmse(mean.view(), want.view()) < 1e-4);
    }

    #[test]
    fn bad_models_are_errors() {
        let maps = random(&[2, 3, 4, 5], 3);
        let message = |maps: &ArrayD<Complex32>, mask: &[usize]| {
            Cartesian::new(maps.view(), ArrayD::ones(mask).view()).unwrap_err().to_string()
        };
        assert!(message(&maps, &[3, 5]).contains("dim Ky of the mask has extent 5, expected 4"));
        assert!(message(&maps, &[2, 3, 4, 5]).contains("a mask with 4 axes, expected (Kz, Ky, Kx)"));
        assert!(message(&random(&[3, 4], 1), &[3]).contains("expected (coil, y, x) or (coil, z, y, x)"));
        let mut broken = maps.clone();
        broken[[1, 2, 0, 4]] = Complex32::new(f32::NAN, 0.0);
        assert!(message(&broken, &[3]).contains("[z=2, y=0, x=4]"));
        let e = Cartesian::with_sets(random(&[2, 3, 4], 1).view(), ArrayD::ones(vec![3]).view()).unwrap_err();
        assert!(e.to_string().contains("(coil, set, y, x)"));
    }
}
