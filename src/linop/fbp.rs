//! Filtered back-projection: the direct reconstruction of an image from the projections of it.

mod weights;

#[cfg(feature = "app")]
pub(crate) use weights::Coverage;

use super::projection::{image_rank, order, saved};
use super::{ConvolveOptions, Geometry, Linop, Operator, Saver, chain, convolve, diagonal, slice};
use crate::access::ValueId;
use crate::dim::{Dim, Shape, ToDims, ToShape, join, parse_dims};
use crate::error::{Result, shape_err, value_err};
use crate::ir::Builder;
use crate::primitive::fft::next_smooth;
use crate::primitive::project::Scan;
use crate::setters::setters;
use crate::tensor::Tensor;
use ndarray::{Array1, Array2};
use num_complex::Complex64;
use std::f64::consts::PI;
use weights::{Rays, Weights};

/// The window on the ramp filter, a function of the frequency f from 0 to the highest one, f = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RampWindow {
    /// 1 (Ramachandran and Lakshminarayanan): the sharpest, with the most noise.
    #[default]
    RamLak,
    /// sin(πf/2)/(πf/2).
    SheppLogan,
    /// cos(πf/2).
    Cosine,
    /// 0.54 + 0.46 cos(πf).
    Hamming,
    /// 0.5 + 0.5 cos(πf): the smoothest.
    Hann,
}

impl RampWindow {
    fn at(self, f: f64) -> f64 {
        let half = PI * f / 2.0;
        match self {
            RampWindow::RamLak => 1.0,
            RampWindow::SheppLogan if f == 0.0 => 1.0,
            RampWindow::SheppLogan => half.sin() / half,
            RampWindow::Cosine => half.cos(),
            RampWindow::Hamming => 0.54 + 0.46 * (PI * f).cos(),
            RampWindow::Hann => 0.5 + 0.5 * (PI * f).cos(),
        }
    }
}

/// Options of [`fbp`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FbpOptions {
    /// The window on the ramp.
    pub window: RampWindow,
    /// The frequency at which the window ends, of the highest one: 1, or less for smoother images.
    pub cutoff: f64,
}

setters! { FbpOptions {
    /// With another window.
    window: RampWindow,
    /// With a window that ends earlier.
    cutoff: f64,
} }

impl Default for FbpOptions {
    fn default() -> Self {
        FbpOptions { window: RampWindow::RamLak, cutoff: 1.0 }
    }
}

/// Filtered back-projection, from the views of a scan to an image whose [projection](super::projection()) they are. `axes` names the
/// dims of the views, `"A D"`, or for a cone `"A V U"` (views, rows, columns); `to` gives dims and extents of the image, as
/// `"Ny=256 Nx=256"`, which come last.
///
/// Views are filtered by a ramp, sampled in space so that the mean is right, and padded to twice the length and more; then each pixel
/// samples each view at the place that it falls onto. Rays of a fan or a cone are weighted by the cosine of their angle before, and
/// pixels by their distance from the source behind (Kak and Slaney, Principles of Computerized Tomographic Imaging, 1988, ch. 3;
/// Feldkamp, Davis and Kress, J. Opt. Soc. Am. A 1:612, 1984, for cones). Values are those of the image, whatever the sizes of pixels
/// and the spacing of angles: each view has the weight of the angles that are nearest to it, modulo half a turn for parallel rays
/// and modulo a turn for others. A gap that is more than three times the usual spacing counts as missing data, and is not shared
/// out. Views of a fan or a cone cover the whole turn, or half a turn and the fan's opening in one piece: then rays are weighted as
/// by Parker (Med. Phys. 9:254, 1982). Over a whole turn with the axis off the middle of the detector, the lines that only its
/// longer side reaches count twice (Wang, Med. Phys. 29:1634, 2002).
///
/// It is a linop like others: a convolution and a back-projection. Of real views the image is real.
///
/// The adjoint is the exact transpose: pixels are spread onto the views, which are filtered; it is not the projection. The
/// normal is both, one after the other. The
/// filter is a pass, or Fourier transforms of long detectors; back-projecting is a pass that reads two places (four of a cone)
/// of each view for each pixel. [Splits](Linop::split) along dims of the views and dims that stay.
///
/// ```
/// use linops::linop::{self, FbpOptions, Geometry};
/// let angles: Vec<f64> = (0..90).map(|k| f64::from(k) * std::f64::consts::PI / 90.0).collect();
/// let geometry = Geometry::parallel(&angles, 91);
/// let a = linop::projection("Y=64 X=64", "Y X", &geometry, "A D")?;
/// let b = linop::fbp("A=90 D=91", "A D", "Y=64 X=64", &geometry, FbpOptions::default())?;
/// assert_eq!((&b * &a).output()?.to_string(), "Y=64 X=64");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`projection`](super::projection()); the named dims have not the extents of the geometry; `cutoff` is not above 0 and at
/// most 1; views of a fan or a cone leave lines out.
pub fn fbp(
    input: impl ToShape,
    axes: impl ToDims,
    to: impl ToShape,
    geometry: &Geometry,
    options: FbpOptions,
) -> Result<Linop> {
    let axes = &join(&axes.to_dims().map_err(|e| e.at("fbp"))?);
    let (input, to) = (input.to_shape()?, to.to_shape()?);
    let back = back_projection(&input, axes, &to, geometry).map_err(|e| e.at("fbp"))?;
    if !(options.cutoff > 0.0 && options.cutoff <= 1.0) {
        return value_err!("fbp: cutoff is {}; expected more than 0 and at most 1", options.cutoff);
    }
    let names = parse_dims(axes)?;
    let along = names[names.len() - 1];
    let mut steps = Vec::new();
    let (mut geometry, mut back) = (geometry.clone(), back);
    match Weights::of(&geometry).map_err(|e| e.at("fbp"))?.rays {
        Rays::Alike => {}
        Rays::Each(weights) => steps.push(diagonal(&input, &Tensor::from_array(weights, &join(&[names[0], along]))?)?),
        Rays::Detector { weights, beyond } => {
            steps.push(diagonal(&input, &Tensor::from_array(weights, &along.to_string())?)?);
            let (step, longer) = continued(&input, along, geometry.detectors, beyond)?;
            back = back_projection(&longer, axes, &to, continue_by(&mut geometry, beyond)).map_err(|e| e.at("fbp"))?;
            steps.push(step);
        }
    }
    let shape = back.input()?.clone();
    steps.extend([filtered(&shape, &names, &geometry, options)?, back]);
    Ok(chain(steps)?.named("fbp"))
}

/// Zeros before and behind along the detector.
fn continued(input: &Shape, along: Dim, n: usize, [before, behind]: [usize; 2]) -> Result<(Linop, Shape)> {
    let extent = |(d, e): (Dim, usize)| if d == along { before + n + behind } else { e };
    let longer = Shape::new(input.dims().to_vec(), input.iter().map(extent).collect())?;
    let part = slice(longer.clone(), &[(along.to_string().as_str(), before..before + n)])?.keep();
    Ok((part.h(), longer))
}

/// The geometry of a detector that goes on so far before and behind.
fn continue_by(g: &mut Geometry, [before, behind]: [usize; 2]) -> &Geometry {
    let (center, _) = g.centers();
    g.center = Some(center + before as f64);
    g.detectors += before + behind;
    g
}

/// The last step of [`fbp`]: each pixel samples each view at the place that it falls onto, weighted by the view's share of the turn.
pub(crate) fn back_projection(input: &Shape, axes: &str, to: &Shape, geometry: &Geometry) -> Result<Linop> {
    let order = order(input, &parse_dims(axes)?, geometry, BACK)?;
    let extents: Vec<usize> = order.iter().map(|&a| input.extents()[a]).collect();
    let kept = order.len() - image_rank(geometry);
    if extents[kept..] != geometry.data()[..] {
        return shape_err!("{BACK}: \"{axes}\" has extents {:?}, the geometry {:?}", &extents[kept..], geometry.data());
    }
    let views = Weights::of(geometry).map_err(|e| e.at(BACK))?.views;
    let scan = Scan::weighted(geometry, to.extents(), views).map_err(|e| e.at(BACK))?;
    let image = order[..kept].iter().map(|&a| input.dims()[a]).chain(to.dims().iter().copied()).collect();
    let all: Vec<usize> = extents[..kept].iter().chain(to.extents()).copied().collect();
    let output = Shape::new(image, all).map_err(|e| e.at(BACK))?;
    let details = format!("{axes}, {scan:?}");
    Ok(Linop::of(input.clone(), output, Sampled { order, kept, scan, details }))
}

const BACK: &str = "back_projection";

/// The filter along the detector, from and to the same dims.
fn filtered(input: &Shape, names: &[Dim], g: &Geometry, options: FbpOptions) -> Result<Linop> {
    let (n, along) = (g.detectors, names[names.len() - 1]);
    let same = join(input.dims());
    let long = next_smooth(2 * n);
    let mut steps = Vec::new();
    if let Some(weights) = cosines(g) {
        let dims = join(&names[if g.is_volume() { 1 } else { 0 }..]);
        let weights = match g.is_volume() {
            true => Tensor::from_array(weights, &dims)?,
            false => Tensor::from_array(weights.row(0).to_owned(), &along.to_string())?,
        };
        steps.push(diagonal(input, &weights)?);
    }
    let taps = Tensor::from_array(taps(&ramp(g, long, options), n), &along.to_string())?;
    steps.push(convolve(input, &taps, along.to_string(), ConvolveOptions::default())?.out(&same)?);
    chain(steps)
}

/// The filter in space, 2n − 1 samples of it with the middle in their middle: what samples of one view reach of each other.
fn taps(spectrum: &Array1<f32>, n: usize) -> Array1<f32> {
    let long = spectrum.len();
    let mut samples: Vec<Complex64> = spectrum.iter().map(|h| Complex64::new(f64::from(*h), 0.0)).collect();
    rustfft::FftPlanner::new().plan_fft_inverse(long).process(&mut samples);
    #[allow(clippy::cast_possible_truncation)]
    Array1::from_shape_fn(2 * n - 1, |j| (samples[(j + 1).abs_diff(n)].re / long as f64) as f32)
}

/// Size of a detector pixel at the axis of rotation.
fn pitch(g: &Geometry) -> f64 {
    g.detector_size * g.distances().map_or(1.0, |(r, behind)| r / (r + behind))
}

/// The spectrum of the ramp filter: of samples in space, so that what the mean loses by padding is no more than it must.
///
/// h[0] = 1/(4d²), h[n] = −1/(πnd)² for odd n and 0 for even ones, times d for the sum over samples.
fn ramp(g: &Geometry, long: usize, options: FbpOptions) -> Array1<f32> {
    let d = pitch(g);
    let sample = |n: usize| match n.min(long - n) {
        0 => 0.25 / d,
        n if n % 2 == 1 => -1.0 / (PI * PI * (n * n) as f64 * d),
        _ => 0.0,
    };
    let mut spectrum: Vec<Complex64> = (0..long).map(|n| Complex64::new(sample(n), 0.0)).collect();
    rustfft::FftPlanner::new().plan_fft_forward(long).process(&mut spectrum);
    let window = |k: usize| {
        let f = 2.0 * k.min(long - k) as f64 / (long as f64 * options.cutoff);
        if f <= 1.0 { options.window.at(f) } else { 0.0 }
    };
    // Real, since the samples are even.
    spectrum.iter().enumerate().map(|(k, h)| (h.re * window(k)) as f32).collect()
}

/// The cosine of each ray's angle to that through the axis, (rows, detectors); None for parallel rays.
fn cosines(g: &Geometry) -> Option<Array2<f32>> {
    let (r, behind) = g.distances()?;
    let (center, row_center) = g.centers();
    let (row_size, _) = g.heights();
    let away = r + behind;
    Some(Array2::from_shape_fn((g.rows, g.detectors), |(row, c)| {
        let v = if g.is_volume() { (row as f64 - row_center) * row_size } else { 0.0 };
        let u = (c as f64 - center) * g.detector_size;
        (away / (away * away + u * u + v * v).sqrt()) as f32
    }))
}

/// Pixels sample the views.
#[derive(Debug)]
struct Sampled {
    /// The kept axes, then those of the views.
    order: Vec<usize>,
    /// How many are kept.
    kept: usize,
    scan: Scan,
    details: String,
}

impl Operator for Sampled {
    fn op(&self) -> &'static str {
        BACK
    }

    fn details(&self) -> String {
        self.details.clone()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.permute(x, &self.order)?;
        b.sample_views(x, self.scan.clone())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.dims("axes", &self.order[self.kept..]);
        let output = to.output();
        let names = to.unused(&output.dims()[self.kept..]);
        to.extents("to", &Shape::new(names.clone(), output.extents()[self.kept..].to_vec())?);
        saved(self.scan.geometry(), to)?;
        let kept = self.order[..self.kept].iter().map(|&a| to.input().dims()[a]);
        to.makes(output.renamed(&kept.chain(names).collect::<Vec<_>>())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_is_that_of_its_frequency() {
        let g = Geometry::parallel(&[0.0], 200).detector_size(0.5);
        let h = ramp(&g, 512, FbpOptions::default());
        for k in [5, 100, 256] {
            // |f| in cycles per length: k/(512·0.5).
            let want = k as f32 / 256.0;
            assert!((h[k] - want).abs() < 2e-3 && (h[512 - k] - h[k]).abs() < 1e-6 || k == 256, "{k}: {} {want}", h[k]);
        }
        assert!(h[0] > 0.0 && h[0] < 2e-3);
        let hann = ramp(&g, 512, FbpOptions::default().window(RampWindow::Hann).cutoff(0.5));
        assert!((hann[64] / h[64] - 0.5).abs() < 1e-6 && hann[129] == 0.0);
        let half = |w| ramp(&g, 512, FbpOptions::default().window(w))[128] / h[128];
        assert!((half(RampWindow::Cosine) - 0.5f32.sqrt()).abs() < 1e-6);
        assert!((half(RampWindow::Hamming) - 0.54).abs() < 1e-6);
        assert!((half(RampWindow::SheppLogan) - 4.0 * 0.5f32.sqrt() / PI as f32).abs() < 1e-6);
    }
}
