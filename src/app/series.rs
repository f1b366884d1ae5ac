//! A series of images, each from its own samples: frames of a movie, contrasts, echoes.
//!
//! minimise ½ Σₜ‖W^½(Fₜ S xₜ − yₜ)‖² + Σ λᵢRᵢ(x) over images x (time, …), or over coefficients c (k, …) of a temporal basis Φ with
//! x = Φ c. All frames have the same coil maps, image and number of samples; masks, trajectories and weights are their own.

use super::least_squares::{Asked, Reconstruction, Regularised, minimise, regularised};
use super::regularise::Regularisation;
use super::{Cartesian, NonCartesian};
use crate::convex::ConvexOptions;
use crate::dim::{Shape, join};
use crate::error::{Result, shape_err};
use crate::linop::{self, Linop, NufftOptions};
use crate::run::Device;
use crate::solve::SolveOptions;
use crate::tensor::Tensor;
use ndarray::{ArrayD, ArrayView2, ArrayViewD, Axis, IxDyn, stack};
use num_complex::Complex32;

/// The model of a series.
///
/// ```
/// use linops::{Device, app::{scan, series::Series, recon_options, ScanOptions}};
/// use ndarray::{Axis, stack};
/// let scan = scan(&ScanOptions::default().ny(24).nx(20).coils(3).acceleration(2))?;
/// let masks = stack![Axis(0), scan.mask, scan.mask];
/// let kspace = stack![Axis(0), scan.kspace, scan.kspace];
/// let series = Series::cartesian(scan.maps.view().into_dyn(), masks.view().into_dyn())?;
/// let images = series.solve(kspace.view().into_dyn(), recon_options(), &Device::host())?.image;
/// assert_eq!(images.shape(), [2, 24, 20]);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Series {
    linop: Linop,
    /// Of non-Cartesian frames, which weigh their samples.
    weighing: Vec<NonCartesian>,
    /// The largest diagonal entry of a frame's normal.
    scale: f32,
    /// The norm of the normal, at most, where it is known.
    norm: Option<f64>,
    /// Dims of an image.
    axes: String,
    /// The dim of frames or coefficients.
    front: &'static str,
    /// Dims of the data.
    data: String,
}

impl Series {
    /// Frames on a grid: maps (coil, y, x) or (coil, z, y, x), and a mask for each frame, (time, ky, kx) or (time, kz, ky, kx), or
    /// over the first axes of these only.
    ///
    /// # Errors
    /// As for [`Cartesian::new`], of any frame.
    pub fn cartesian(maps: ArrayViewD<Complex32>, masks: ArrayViewD<f32>) -> Result<Series> {
        let frames = Cartesian::frames(maps, masks)?;
        let scale = frames.iter().fold(0.0f32, |m, f| m.max(f.scale()));
        let linops: Vec<&Linop> = frames.iter().map(Cartesian::linop).collect();
        // Frames are beside each other: the largest norm of one.
        let norm = frames.iter().fold(0.0f64, |m, f| m.max(f.norm()));
        Ok(Series { norm: Some(norm), ..Series::of(&linops, Vec::new(), scale)? })
    }

    /// Frames along trajectories (time, …, D), with weights (time, …), and maps (coil, image…).
    ///
    /// # Errors
    /// As for [`NonCartesian::new`], of any frame.
    pub fn samples(
        maps: ArrayViewD<Complex32>,
        trajectories: ArrayViewD<f64>,
        density: ArrayViewD<f64>,
        options: NufftOptions,
    ) -> Result<Series> {
        if trajectories.ndim() < 3 || density.shape() != &trajectories.shape()[..trajectories.ndim() - 1] {
            return shape_err!(
                "trajectories of shape {:?} with weights of {:?}; expected (time, …, D) and (time, …)",
                trajectories.shape(),
                density.shape()
            );
        }
        let frames = trajectories.axis_iter(Axis(0)).zip(density.axis_iter(Axis(0))).enumerate();
        let frames = frames
            .map(|(t, (k, w))| NonCartesian::new(maps.view(), k, w, options).map_err(|e| e.at(format!("frame {t}"))))
            .collect::<Result<Vec<_>>>()?;
        let scale = frames.iter().fold(0.0f32, |m, f| m.max(f.scale()));
        let linops: Vec<Linop> = frames.iter().map(|f| f.linop().clone()).collect();
        Series::of(&linops.iter().collect::<Vec<_>>(), frames, scale)
    }

    fn of(frames: &[&Linop], weighing: Vec<NonCartesian>, scale: f32) -> Result<Series> {
        let Some(first) = frames.first() else { return shape_err!("the series has no frames") };
        let axes = join(first.input()?.dims());
        let linop = linop::stack(frames, Some(("T", 0)), Some(("T", 0)))?;
        let data = join(linop.output()?.dims());
        Ok(Series { linop, weighing, scale, norm: None, axes, front: "T", data })
    }

    /// With images of a temporal basis (time, k): the unknown are coefficients (k, …).
    ///
    /// # Errors
    /// The basis has another number of frames, or values that are not finite.
    pub fn with_subspace(self, basis: ArrayView2<Complex32>) -> Result<Series> {
        let frames = self.linop.input()?.extents()[0];
        if basis.nrows() != frames {
            return shape_err!("the basis has {} rows, the series {frames} frames; expected (time, k)", basis.nrows());
        }
        let basis_tensor = Tensor::from_array(basis, "T B")?;
        let mut input = self.linop.input()?.clone();
        input = Shape::new(
            [&["B".parse()?], &input.dims()[1..]].concat(),
            [&[basis.ncols()], &input.extents()[1..]].concat(),
        )?;
        let phi = linop::subspace(input, &basis_tensor)?;
        Ok(Series { linop: &self.linop * &phi, norm: None, front: "B", ..self })
    }

    /// The linop, from images (T, …), or coefficients (B, …), to the data.
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// The largest diagonal entry of a frame's normal; λ counts relative to it.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Minimises ‖·‖² + λ‖x‖² by conjugate gradients, over all frames at once.
    ///
    /// # Errors
    /// The k-space (time, coil, …) has other extents than the model, or is not finite; λ or tol is negative or not finite; no
    /// iterations; or the device fails.
    pub fn solve(
        &self,
        kspace: ArrayViewD<Complex32>,
        options: SolveOptions,
        device: &Device,
    ) -> Result<Reconstruction<IxDyn>> {
        minimise(&self.linop, self.weighted(kspace)?.view(), &self.data, options, device)
    }

    /// Minimises the regularised objective: `llr` goes along the frames or coefficients, all others along the axes of an image.
    ///
    /// # Errors
    /// As for [`Cartesian::regularised`].
    pub fn regularised(
        &self,
        kspace: ArrayViewD<Complex32>,
        regularisation: &Regularisation,
        start: Option<ArrayViewD<Complex32>>,
        options: ConvexOptions,
        device: &Device,
    ) -> Result<Regularised<IxDyn>> {
        let asked = Asked {
            dims: &self.data,
            axes: &self.axes,
            series: Some(self.front),
            norm: self.norm,
            scale: self.scale,
            start,
        };
        regularised(&self.linop, self.weighted(kspace)?.view(), asked, regularisation, options, device)
    }

    /// The data as the linop has them.
    fn weighted(&self, kspace: ArrayViewD<Complex32>) -> Result<ArrayD<Complex32>> {
        if self.weighing.is_empty() {
            return Ok(kspace.to_owned());
        }
        let frames = self.linop.output()?.extents()[0];
        if kspace.shape().first() != Some(&frames) {
            return shape_err!("k-space of shape {:?} for {frames} frames; expected (time, coil, …)", kspace.shape());
        }
        let weighted = kspace.axis_iter(Axis(0)).zip(&self.weighing).map(|(y, frame)| frame.weighted(y));
        let weighted = weighted.collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = weighted.iter().map(|y| y.view()).collect();
        let all = stack(Axis(0), &views).map_err(|e| crate::Error::Shape(e.to_string()))?;
        Ok(all.into_dyn())
    }
}
