//! SIRT and conjugate gradients on the model, until the objective stands.

use super::Ct;
use super::left_out::Said;
use crate::allocate::expect_room;
use crate::app::scale::{scaled, scaled_by_power};
use crate::error::{Result, value_err};
use crate::linop::FbpOptions;
use crate::run::{Device, MemoryUse};
use crate::setters::setters;
use crate::solve::{Fall, Gap, Progress, Reading, Solution, SolveOptions, Stop, cg, sirt};
use crate::tensor::{DType, Tensor};
use ndarray::Array3;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an image is solved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CtMethod {
    /// ½‖R^½(A x − y)‖² by [`sirt`]: slow, and kind to noise if it is stopped early.
    Sirt,
    /// ½‖A x − y‖² by conjugate gradients: fast.
    Cg,
}

/// What is called now and then.
pub(super) type Tell<'a> = Box<dyn FnMut(&mut CtProgress) + 'a>;

/// Options of a solve.
#[non_exhaustive]
pub struct CtOptions<'a> {
    /// Iterations at most; 500 at first.
    pub iterations: usize,
    /// Stop when the objective is within this part of its limit, as estimated from its fall, or fell by no more than a twentieth of
    /// that over the second half of the iterations; where the views are fitted all but exactly, within 10⁻⁸ of its start. 0 goes on.
    /// 1e-4 at first.
    pub tol: f64,
    /// Stop when the root mean square of A x − y has come down to this noise: further iterations fit the noise (discrepancy
    /// principle: Morozov, Soviet Math. Dokl. 7:414, 1966). 0 never stops for that. None at first: [`Ct::noise`] estimates it, and where
    /// a tenth of the views, left out, are told best before, it stops there ([`CtImage::told_best`]), which takes a solve more.
    pub noise: Option<f64>,
    pub(super) progress: Option<Tell<'a>>,
    pub(super) cancel: Option<&'a AtomicBool>,
}

/// What is read on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CtReading {
    /// Iterations done.
    pub iteration: usize,
    /// ‖A x − y‖/‖y‖, weighted by R for SIRT.
    pub misfit: f64,
    /// Whether it is of the solve before, without the views that are left out.
    pub left_out: bool,
}

/// A reading, and a way to the iterate.
pub struct CtProgress<'a> {
    pub(super) reading: CtReading,
    pub(super) iterate: &'a mut dyn FnMut() -> Result<Tensor>,
}

impl CtProgress<'_> {
    /// What was read.
    pub fn reading(&self) -> CtReading {
        self.reading
    }

    /// The iterate so far in the units of the result, a copy on the device: over the input of [`Ct::linop`], of the slices that the
    /// solve takes.
    ///
    /// # Errors
    /// There is no memory for it, or the device fails.
    pub fn iterate(&mut self) -> Result<Tensor> {
        (self.iterate)()
    }
}

impl Default for CtOptions<'_> {
    fn default() -> Self {
        CtOptions { iterations: 500, tol: 1e-4, noise: None, progress: None, cancel: None }
    }
}

setters! { CtOptions<'_> {
    /// With other iterations at most.
    iterations: usize,
    /// With another tolerance.
    tol: f64,
    /// With the noise at which it stops.
    noise: Option<f64>,
} }

impl<'a> CtOptions<'a> {
    /// Calls this now and then.
    pub fn progress(mut self, progress: impl FnMut(&mut CtProgress) + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops soon after this is set; the image so far is returned.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

/// An image, and how it was come by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CtImage {
    /// (slice, row, column)
    pub image: Array3<f32>,
    /// ‖A x − y‖/‖y‖ over the samples that count, where it is known.
    pub misfit: Option<f64>,
    /// Iterations done; 0 of a direct method.
    pub iterations: usize,
    /// Why they ended; None of a direct method.
    pub stop: Option<Stop>,
    /// The noise to which the misfit was to come down, given or estimated; None of a direct method.
    pub noise: Option<f64>,
    /// Whether they ended since the misfit had come down to the noise.
    pub at_noise: bool,
    /// Whether they ended since that many iterations tell views best that were left out for it; more fit what is not the object.
    pub told_best: bool,
    /// Views that are not in it: it was cancelled while some were left out to tell how many iterations are best.
    pub left_out: usize,
    /// Root mean square of A x − y over the samples that count, where it is known: to be compared with the noise.
    pub deviation: Option<f64>,
    /// The last estimate of what the objective is above its limit, as a part of it.
    pub gap: Option<f64>,
    /// By what part of it the objective fell over the second half of the iterations.
    pub fell: Option<f64>,
    /// Iteration and misfit at the readings.
    pub history: Vec<(usize, f64)>,
}

impl CtImage {
    pub(super) fn direct(image: Array3<f32>, misfit: Option<f64>) -> CtImage {
        CtImage {
            image,
            misfit,
            iterations: 0,
            stop: None,
            noise: None,
            at_noise: false,
            told_best: false,
            left_out: 0,
            deviation: None,
            gap: None,
            fell: None,
            history: Vec::new(),
        }
    }
}

/// Iterations between readings.
pub(super) const READ_EVERY: usize = 5;

/// Where noise is to end it, these first ones are all read: conjugate gradients come to the noise in a few.
pub(super) const FIRST: usize = 20;

impl Ct {
    /// Solves for the image on a device, from 0; where views end within the object, from what [`fbp`](Ct::fbp) makes of them, since
    /// they do not tell the brightness. Its [stop](CtImage::stop) says whether the objective has come to its limit, to the noise, or to
    /// where views that were left out are told best (`Converged`), fell no more in 32-bit numbers (`Attained`), or could still fall
    /// (`Iterations`).
    ///
    /// # Errors
    /// tol or the noise is negative or not finite, no iterations; or the device fails.
    pub fn solve(&self, method: CtMethod, mut options: CtOptions, device: &Device) -> Result<CtImage> {
        if !options.tol.is_finite() || options.tol < 0.0 || options.iterations == 0 {
            return value_err!(
                "tol is {}, iterations {}; expected a finite tol from 0 on, and at least 1 iteration",
                options.tol,
                options.iterations
            );
        }
        if let Some(noise) = options.noise.filter(|n| !n.is_finite() || *n < 0.0) {
            return value_err!("the noise is {noise}; expected a finite number from 0 on");
        }
        self.expect_memory(device)?;
        let noise = options.noise.unwrap_or_else(|| self.noise());
        let bound = match options.noise {
            None => match self.told_best(method, noise, &mut options, device)? {
                Said::Best(iterations) => Some(iterations),
                Said::Cancelled(Some(image)) => return Ok(CtImage { noise: Some(noise), ..*image }),
                Said::Cancelled(None) | Said::Nothing => None,
            },
            Some(_) => None,
        };
        let iterations = bound.unwrap_or(options.iterations).min(options.iterations);
        let begun = self.begin(device)?;
        let of_y = Some(begun.noise(noise)).filter(|n| *n > 0.0);
        let watch = Watch::new(self, &begun, method, CtOptions { iterations, ..options }, of_y)?;
        let Solution { x, iterations, mut stop, .. } = self.iterate(method, &begun.y, watch.options())?;
        let own = self.misfit(&self.linop().apply(&x)?, &begun.y)?;
        let misfit = begun.part * own;
        let image = self.of_solution(&begun, &x)?;
        let watch = watch.state.into_inner();
        if stop == Stop::Cancelled
            && let Some(own) = watch.ended
        {
            stop = own;
        }
        let at_noise = stop == Stop::Converged && watch.at_noise;
        if let Some(error) = watch.error {
            return Err(error);
        }
        let told_best = stop == Stop::Iterations && bound == Some(iterations);
        if told_best {
            stop = Stop::Converged;
        }
        Ok(CtImage {
            image,
            misfit: Some(misfit),
            iterations,
            stop: Some(stop),
            noise: Some(noise),
            at_noise,
            told_best,
            left_out: 0,
            deviation: Some(own * begun.size / begun.counted.max(1.0).sqrt()),
            gap: watch.gap,
            fell: watch.fell,
            history: watch.history,
        })
    }

    /// The image that an iterate is, with what it began from.
    pub(super) fn of_solution(&self, begun: &Begun, x: &Tensor) -> Result<Array3<f32>> {
        self.image(&begun.in_units(x)?)
    }

    /// The data as they are solved for on a device.
    pub(super) fn begin(&self, device: &Device) -> Result<Begun> {
        let data = self.data()?;
        let start =
            if self.truncated() > 0.0 { self.direct(FbpOptions::default(), self.canvas(), device).ok() } else { None };
        let (left, part) = match &start {
            Some(x) => self.left(&data, x)?,
            None => (data, 1.0),
        };
        let (y, exponent) = scaled(&left)?;
        Ok(Begun { start, y: y.to(device)?, exponent, part, size: norm(&left)?, counted: self.counted() as f64 })
    }

    /// Iterates by a method, from 0.
    pub(super) fn iterate(&self, method: CtMethod, y: &Tensor, options: SolveOptions) -> Result<Solution> {
        match method {
            CtMethod::Sirt => sirt(self.linop(), y, options),
            CtMethod::Cg => cg(&self.linop().n(), &self.linop().h().apply(y)?, options),
        }
    }

    /// What an image leaves of the data, and how large that is beside them.
    fn left(&self, data: &Tensor, x: &Tensor) -> Result<(Tensor, f64)> {
        let found = self.linop().apply(x)?.to(&Device::host())?.to_real_array()?;
        let data = data.to_real_array()?;
        let left = Tensor::from_array(&data - &found, self.linop().output()?.dims())?;
        let data = Tensor::from_array(data, left.shape().dims())?;
        let part = norm(&left)? / norm(&data)?.max(f64::MIN_POSITIVE);
        Ok((left, part))
    }

    /// Samples that count.
    pub(super) fn counted(&self) -> usize {
        let valid = self.defects().valid.as_ref();
        valid.map_or(self.views().len(), |valid| valid.iter().filter(|v| **v).count())
    }

    /// Checks that there is memory for what the solvers hold.
    fn expect_memory(&self, device: &Device) -> Result<()> {
        let (image, views) = (self.linop().input()?.len() as u64, self.linop().output()?.len() as u64);
        let mut bytes = 4 * (8 * image + 8 * views);
        if device.is_host() {
            let of =
                |a: crate::linop::Linop| -> Result<u64> { Ok(MemoryUse::of(&a.plan(device, DType::F32)?)?.apply()) };
            bytes = bytes.saturating_add(of(self.linop().n())?.max(of(self.linop().h())?));
        }
        expect_room(bytes, "the reconstruction")
    }
}

/// What a solver is given.
pub(super) struct Begun {
    /// The image from which it begins, at the scale of the views; None is 0.
    pub start: Option<Tensor>,
    /// What that leaves of the data, times 2^−exponent.
    pub y: Tensor,
    pub exponent: i32,
    /// How large it is beside all data.
    pub part: f64,
    /// Its norm.
    size: f64,
    /// Samples that count.
    counted: f64,
}

impl Begun {
    /// The misfit that noise of this deviation makes, as a part of ‖y‖.
    pub fn noise(&self, deviation: f64) -> f64 {
        if self.size > 0.0 { deviation * self.counted.sqrt() / self.size } else { 0.0 }
    }

    /// An iterate in the units of the views, with what it began from.
    pub fn in_units(&self, x: &Tensor) -> Result<Tensor> {
        let x = scaled_by_power(x, self.exponent);
        match &self.start {
            Some(start) => (x + &start.to(&self.y.device())?).eval(),
            None => x.eval(),
        }
    }
}

/// Looks at the objective while a solver runs, and ends it.
struct Watch<'a> {
    ct: &'a Ct,
    begun: &'a Begun,
    method: CtMethod,
    iterations: usize,
    tol: f64,
    /// The misfit of the noise, as a part of ‖y‖.
    noise: Option<f64>,
    /// What the solver looks at.
    end: AtomicBool,
    state: RefCell<State<'a>>,
}

struct State<'a> {
    fall: Fall,
    gap: Option<f64>,
    fell: Option<f64>,
    ended: Option<Stop>,
    at_noise: bool,
    error: Option<crate::error::Error>,
    history: Vec<(usize, f64)>,
    progress: Option<Tell<'a>>,
    cancel: Option<&'a AtomicBool>,
}

impl<'a> Watch<'a> {
    fn new(
        ct: &'a Ct,
        begun: &'a Begun,
        method: CtMethod,
        options: CtOptions<'a>,
        noise: Option<f64>,
    ) -> Result<Watch<'a>> {
        let CtOptions { iterations, tol, progress, cancel, .. } = options;
        // Objectives are relative to that of the start: squares of misfits.
        let state = State {
            fall: Fall::from(1.0),
            gap: None,
            fell: None,
            ended: None,
            at_noise: false,
            error: None,
            history: Vec::new(),
            progress,
            cancel,
        };
        let (end, state) = (AtomicBool::new(false), RefCell::new(state));
        Ok(Watch { ct, begun, method, iterations, tol, noise, end, state })
    }

    fn options(&self) -> SolveOptions<'_> {
        // What ends it is the objective, which is looked at here.
        let every = if self.noise.is_some() { 1 } else { READ_EVERY };
        let options = SolveOptions::default().iterations(self.iterations).tol(0.0).check_every(every);
        options.progress(|p| self.read(p)).cancel(&self.end)
    }

    fn read(&self, progress: &mut Progress) {
        let reading = progress.reading();
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.cancel.is_some_and(|c| c.load(Ordering::Relaxed)) {
            self.end.store(true, Ordering::Relaxed);
        }
        let k = reading.iteration;
        if k > FIRST && !k.is_multiple_of(READ_EVERY) && k != self.iterations {
            return;
        }
        let misfit = match self.objective(reading, progress) {
            Ok(misfit) => misfit,
            Err(e) => {
                state.error = Some(e);
                return self.end.store(true, Ordering::Relaxed);
            }
        };
        let part = self.begun.part * misfit;
        state.history.push((k, part));
        if let Some(tell) = &mut state.progress {
            let reading = CtReading { iteration: k, misfit: part, left_out: false };
            tell(&mut CtProgress { reading, iterate: &mut || self.begun.in_units(&progress.iterate()?) });
        }
        match self.reaches_noise(misfit, progress) {
            Ok(false) => {}
            Ok(true) => {
                if state.ended.is_none() && !self.end.load(Ordering::Relaxed) {
                    (state.ended, state.at_noise) = (Some(Stop::Converged), true);
                }
                return self.end.store(true, Ordering::Relaxed);
            }
            Err(e) => {
                state.error = Some(e);
                return self.end.store(true, Ordering::Relaxed);
            }
        }
        if !k.is_multiple_of(READ_EVERY) {
            return;
        }
        let objective = misfit * misfit;
        let gap = state.fall.take(reading.iteration, objective);
        let part = |of: f64| Some(of / objective.max(f64::MIN_POSITIVE)).filter(|part| part.is_finite());
        (state.gap, state.fell) = match gap {
            Gap::Unknown => (state.gap, state.fell),
            Gap::Of { above, fell } => (part(above), part(fell)),
            Gap::Still => (Some(0.0), Some(0.0)),
        };
        if state.fall.ended(gap, objective, self.tol) && state.ended.is_none() && !self.end.load(Ordering::Relaxed) {
            state.ended = Some(if gap == Gap::Still { Stop::Attained } else { Stop::Converged });
            self.end.store(true, Ordering::Relaxed);
        }
    }

    /// Whether what is left of the data is no more than the noise. The misfit of SIRT is weighted, which this is not.
    fn reaches_noise(&self, misfit: f64, progress: &mut Progress) -> Result<bool> {
        let Some(noise) = self.noise else { return Ok(false) };
        let plain = match self.method {
            CtMethod::Cg => misfit,
            CtMethod::Sirt => self.ct.misfit(&self.ct.linop().apply(&progress.iterate()?)?, &self.begun.y)?,
        };
        Ok(plain <= noise)
    }

    /// The misfit that a reading means. SIRT's reading is it; of conjugate gradients it is that of the iterate.
    fn objective(&self, reading: Reading, progress: &mut Progress) -> Result<f64> {
        match self.method {
            CtMethod::Sirt => Ok(reading.residual),
            CtMethod::Cg => self.ct.misfit(&self.ct.linop().apply(&progress.iterate()?)?, &self.begun.y),
        }
    }
}

/// ‖y‖, in 64-bit numbers.
fn norm(y: &Tensor) -> Result<f64> {
    Ok(y.to(&Device::host())?.to_real_vec()?.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt())
}
