//! Richardson and Lucy's iteration: x ← x·Aᵀ(y/A x)/Aᵀ1, which raises the Poisson likelihood and keeps x from being negative.
//!
//! Richardson, J. Opt. Soc. Am. 62:55 (1972); Lucy, Astron. J. 79:745 (1974); that it raises the likelihood: Shepp and Vardi,
//! IEEE Trans. Med. Imaging 1:113 (1982). Where the canvas is hardly seen, Aᵀ1 is small; there the division by it is that of a
//! sample seen just enough (the normalisation of Bertero and Boccacci, Astron. Astrophys. 437:369, 2005, bounded).

use super::counts::Divergence;
use super::misfits::Picture;
use super::{Blur, Deconvolved};
use crate::app::scale::{exponent, scaled_by_power, times_power};
use crate::arithmetic::Expression;
use crate::error::{Result, value_err};
use crate::run::Device;
use crate::setters::setters;
use crate::solve::{Progress, Reading, Stop, Tell};
use crate::tensor::Tensor;
use ndarray::{ArrayD, ArrayViewD};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of [`Blur::richardson_lucy`].
#[non_exhaustive]
pub struct RichardsonLucyOptions<'a> {
    /// Iterations at most; 100 at first.
    pub iterations: usize,
    /// Stop when an iteration lowers the divergence Σ y ln(y/Ax) − y + Ax by less than this part of it; 1e-3 at first, 0 goes
    /// on to the last iteration.
    pub tol: f32,
    /// Stop at this root mean square σ of the noise: further iterations fit it. Either the divergence has come down to n·g/2, its
    /// expectation for n samples of noise whose variance is g times their brightness, with g = σ²/mean (Bertero et al., Inverse Problems
    /// 26:105004, 2010); or ‖A x − y‖² to nσ² (Morozov, Soviet Math. Dokl. 7:414, 1966), which noise that is as strong where it is dark
    /// comes to first and which counts where the divergence stays above. None at first, which never stops for that.
    pub noise: Option<f64>,
    /// The picture is so much times counts: 1 for counts of photons. It stops by their expectation then, as by `noise`, but sample by
    /// sample, since of few counts it is not ½ (Zanella, Boccacci, Zanni and Bertero, Inverse Problems 25:045010, 2009). None at first.
    pub gain: Option<f64>,
    /// Stop at this part of the expectation already; 1 at first. An estimate takes a part of the noise into x, and leaves less in the
    /// misfit than all of it: see [`NoiseToSignal::left`](super::NoiseToSignal::left).
    pub left: f64,
    /// The scene on the canvas to start from; None at first, which is an even one as bright as the picture. What is 0 stays 0.
    pub start: Option<ArrayD<f32>>,
    progress: Option<Tell<'a>>,
    cancel: Option<&'a AtomicBool>,
}

impl Default for RichardsonLucyOptions<'_> {
    fn default() -> Self {
        RichardsonLucyOptions {
            iterations: 100,
            tol: 1e-3,
            noise: None,
            gain: None,
            left: 1.0,
            start: None,
            progress: None,
            cancel: None,
        }
    }
}

setters! { RichardsonLucyOptions<'_> {
    /// With other iterations at most.
    iterations: usize,
    /// With another tolerance.
    tol: f32,
    /// With the noise at which it stops.
    noise: Option<f64>,
    /// With so much for a count.
    gain: Option<f64>,
    /// With another part of the noise that is left.
    left: f64,
    /// From another scene.
    start: Option<ArrayD<f32>>,
} }

impl<'a> RichardsonLucyOptions<'a> {
    /// Calls this after every reading, with the relative change of the divergence over an iteration as its residual. Its iterate is the
    /// scene on the whole canvas.
    pub fn progress(mut self, progress: impl FnMut(&mut Progress) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops at the next reading once this is set; the iterate so far is returned.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

impl fmt::Debug for RichardsonLucyOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RichardsonLucyOptions")
            .field("iterations", &self.iterations)
            .field("tol", &self.tol)
            .field("noise", &self.noise)
            .field("gain", &self.gain)
            .finish_non_exhaustive()
    }
}

/// Data and estimates below this part of the largest datum are as if so much light were added to both: their quotient is that
/// of two rounding errors.
const DARK: f32 = 1e-6;

/// Iterations that are all read, and how many lie between two readings after them.
const READ: usize = 5;

/// A divergence above its expectation by this factor, where the misfit is that of the noise, is not of noise that grows with light.
const EVEN: f64 = 1.1;

/// What of the canvas is seen less than this part of the best seen sample.
const UNSEEN: f32 = 1e-2;

impl Blur {
    /// Raises the likelihood of a picture of Poisson noise, from an even scene. The image is nowhere negative; data below 0 count
    /// as 0, and so do negative samples of the PSF.
    ///
    /// ```
    /// use linops::app::{Blur, Outside, Psf, PsfCenter, RichardsonLucyOptions};
    /// use linops::Device;
    /// let psf = Psf::new(ndarray::arr1(&[1.0f32, 2.0, 1.0]).into_dyn().view(), PsfCenter::Half, false)?;
    /// let blur = Blur::new(&psf, &[5], None, Outside::Unknown)?;
    /// let seen = ndarray::arr1(&[0.0f32, 1.0, 2.0, 1.0, 0.0]).into_dyn();
    /// let options = RichardsonLucyOptions::default().iterations(500).tol(0.0);
    /// let point = blur.richardson_lucy(seen.view(), options, &Device::host())?.image;
    /// assert!((point[2] - 4.0).abs() < 0.1 && point[1] < 0.1);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// The picture has other extents or is not finite, tol or noise make no sense, or the device fails.
    pub fn richardson_lucy(
        &self,
        image: ArrayViewD<f32>,
        mut options: RichardsonLucyOptions,
        device: &Device,
    ) -> Result<Deconvolved> {
        let RichardsonLucyOptions { iterations, tol, noise, gain, left, .. } = options;
        if iterations == 0 {
            return value_err!("the number of iterations is 0; expected at least 1");
        }
        if !(tol >= 0.0 && noise.is_none_or(|n| n >= 0.0) && left > 0.0) {
            return value_err!("tol is {tol}, the noise {noise:?}, of it left {left}; expected numbers from 0 on");
        }
        if let Some(gain) = gain.filter(|g| !(*g > 0.0 && g.is_finite())) {
            return value_err!("the gain is {gain}; expected a finite number above 0");
        }
        if self.psf.negative() > 0.0 {
            let known = self.known.as_ref().map(|k| k.view());
            let blur = Blur::new(&self.psf.without_negative(), &self.extents, known, self.outside)?;
            return blur.richardson_lucy(image, options, device);
        }
        let y = self.data(image)?;
        let data = y.to_real_array()?;
        let exponent = exponent(&data);
        if exponent != 0 {
            // Products of light and its back-projection leave the range of 32 bits else.
            let unit = |a: ArrayD<f32>| a.mapv(|v| times_power(v, -exponent));
            let power = 2f64.powi(exponent);
            options.noise = noise.map(|n| n / power);
            options.gain = gain.map(|g| g / power);
            options.start = options.start.take().map(unit);
            if let Some(mut told) = options.progress.take() {
                let in_units = move |x: Tensor| scaled_by_power(&x, exponent).eval();
                options.progress = Some(Box::new(move |p| p.retold(&mut told, &in_units)));
            }
            let mut result = self.richardson_lucy(unit(data).view(), options, device)?;
            result.image.mapv_inplace(|v| times_power(v, exponent));
            result.deviation *= power;
            result.objective *= power;
            return match result.image.iter().all(|v| v.is_finite()) {
                true => Ok(result),
                false => value_err!(
                    "the scene is too bright for 32-bit numbers; scale the picture, or the point-spread function"
                ),
            };
        }
        let counts = data.mapv(|v| v.max(0.0));
        let largest = counts.iter().fold(0.0f32, |a, &b| a.max(b));
        let canvas = self.linop.input()?.clone();
        if largest == 0.0 {
            let zero = Tensor::zeros(canvas, crate::DType::F32)?.to(device)?;
            return self.deconvolved(&y, &zero, 0, Vec::new(), Stop::Zero);
        }
        let mean = counts.iter().map(|&v| f64::from(v)).sum::<f64>() / self.counted().max(1) as f64;
        let square = noise.map(|n| left * self.counted() as f64 * n * n);
        let least = square.map(|square| 0.5 * square / mean);
        let counts_of = gain.map(|gain| (gain, Divergence::new()));
        let dark = largest * DARK;
        let picture = Picture::new(&data, self.known.as_ref(), dark);
        let step = Step::new(self, counts, dark, device)?;
        let mut x = match options.start.take() {
            None => step.first(&canvas, device)?,
            Some(start) if start.iter().all(|v| v.is_finite() && *v >= 0.0) => {
                let start = Tensor::from_array(start, canvas.dims())?;
                canvas.expect(start.shape()).map_err(|e| e.at("richardson_lucy: the start"))?;
                start.to(device)?
            }
            Some(_) => return value_err!("richardson_lucy: the start holds values below 0 or not finite"),
        };
        let mut history: Vec<Reading> = Vec::new();
        // The last reading: after which iteration, and the divergence.
        let mut before = (0, f64::INFINITY);
        let mut k = 0;
        let (stop, at_noise, divergence) = loop {
            let blurred = self.linop.apply(&x)?;
            if k <= READ || k.is_multiple_of(READ) || k == iterations {
                let seen = blurred.to(&Device::host())?;
                let divergence = picture.divergence(&seen)?;
                let least = match &counts_of {
                    Some((gain, each)) => Some(left * picture.expected(&seen, *gain, each)?),
                    None => least,
                };
                if k > 0 {
                    let fall = if before.1 > 0.0 { ((before.1 - divergence) / before.1).abs() } else { 0.0 };
                    let change = fall / (k - before.0) as f64;
                    let reading = Reading { iteration: k, of: iterations, residual: change, true_residual: None };
                    history.push(reading);
                    if let Some(progress) = &mut options.progress {
                        Progress::tell(reading, &mut || Ok(x.clone()), progress);
                    }
                    let fits = least.is_some_and(|least| least > 0.0 && divergence <= least);
                    // Noise that is none of light leaves more divergence where it is dark than that expects.
                    let even = counts_of.is_none() && least.is_some_and(|least| divergence > EVEN * least);
                    let square = square.filter(|square| *square > 0.0 && even);
                    let quiet = match square {
                        Some(square) if !fits => picture.squares(&seen)? <= square,
                        _ => false,
                    };
                    if fits || quiet {
                        break (Stop::Converged, true, divergence);
                    }
                    if divergence == 0.0 || change < f64::from(tol) {
                        break (Stop::Converged, false, divergence);
                    }
                }
                if options.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
                    break (Stop::Cancelled, false, divergence);
                }
                before = (k, divergence);
            }
            if k == iterations {
                break (Stop::Iterations, false, before.1);
            }
            x = step.next(self, &x, &blurred)?;
            k += 1;
        };
        let mut result = self.deconvolved(&y, &x, k, history, stop)?;
        result.objective = divergence;
        result.at_noise = at_noise;
        Ok(result)
    }
}

/// What does not change from one iteration to the next.
struct Step {
    dark: f32,
    /// Σ of all light.
    sum: f64,
    /// Light with the dark's share, on the device.
    light: Tensor,
    /// 1/Aᵀ1, bounded, and what the bound adds to Aᵀ(y/A x), on the device.
    inverse: Tensor,
    added: Tensor,
    /// ΣAᵀ1.
    seen: f64,
}

impl Step {
    fn new(blur: &Blur, counts: ArrayD<f32>, dark: f32, device: &Device) -> Result<Step> {
        let ones = Tensor::from_array(ArrayD::<f32>::ones(counts.raw_dim()), blur.linop.output()?.clone().dims())?;
        let seen = blur.linop.h().apply(&ones.to(device)?)?.to(&Device::host())?.to_real_array()?;
        let least = UNSEEN * seen.iter().fold(0.0f32, |a, &b| a.max(b));
        let canvas = blur.linop.input()?.dims();
        let on_device = |a: ArrayD<f32>, dims: &[crate::Dim]| Tensor::from_array(a, dims)?.to(device);
        let inverse = on_device(seen.mapv(|s| 1.0 / s.max(least)), canvas)?;
        let added = on_device(seen.mapv(|s| (least - s.max(0.0)).max(0.0)), canvas)?;
        let light = counts.mapv(|y| if y > 0.0 { y + dark } else { 0.0 });
        let light = on_device(light, blur.linop.output()?.dims())?;
        let seen = seen.iter().map(|&v| f64::from(v.max(0.0))).sum();
        let sum = counts.iter().map(|&v| f64::from(v)).sum();
        Ok(Step { dark, sum, light, inverse, added, seen })
    }

    /// An even scene as bright as the data.
    fn first(&self, canvas: &crate::Shape, device: &Device) -> Result<Tensor> {
        let even = ArrayD::from_elem(canvas.extents(), (self.sum / self.seen) as f32);
        Tensor::from_array(even, canvas.dims())?.to(device)
    }

    fn next(&self, blur: &Blur, x: &Tensor, blurred: &Tensor) -> Result<Tensor> {
        // Transforms leave rounding errors where there is no light.
        let estimate = Expression::from(blurred).maximum(0.0f32) + self.dark;
        let back = blur.linop.h().apply(&(&self.light / estimate).eval()?)?;
        let factor = (Expression::from(&back).maximum(0.0f32) + &self.added) * &self.inverse;
        (x * factor).eval()
    }
}
