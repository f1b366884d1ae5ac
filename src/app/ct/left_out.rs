//! After how many iterations an image tells views best that it was not made from.
//!
//! Iterates come near the object first and fit the noise later. Where the noise is not known well, since neighbours share it or the
//! model is off by more than it, the misfit does not say when to stop. Views that were left out do: what they are off by falls as long
//! as the image comes nearer to the object, and rises with what is fitted of the noise (cross-validation: Stone, J. R. Stat. Soc. B
//! 36:111, 1974; to end iterations Coakley, IEEE Trans. Nucl. Sci. 38:9, 1991).

use super::solve::{Begun, CtProgress, CtReading, FIRST, READ_EVERY};
use super::{Ct, CtImage, CtMethod, CtOptions};
use crate::error::{Error, Result};
use crate::fourier::centred_dft;
use crate::linop::{Geometry, Linop};
use crate::run::Device;
use crate::solve::{Progress, Solution, SolveOptions, Stop};
use crate::tensor::Tensor;
use ndarray::{Array3, ArrayD, ArrayView1, Axis};
use num_complex::Complex64;
use std::sync::atomic::{AtomicBool, Ordering};

/// One view of so many is left out.
const ONE_OF: usize = 10;

/// With fewer views none can be spared.
const FEWEST: usize = 8;

/// Of a stack so many slices tell it for all.
const SLICES: usize = 3;

/// So many times as many iterations, and a few more, are no better.
const LONGER: f64 = 1.5;
const MORE: usize = 5;

/// What falls to no less than this part over half of the iterations falls no more.
const STANDS: f64 = 0.999;

/// A view that is off by so many times the median of all holds a sample that is wrong, and tells nothing.
const APART: f64 = 30.0;

/// It is looked for up to so many times the iterations that come down to the noise, and a few more.
const BEYOND: usize = 2;

/// What the views that were left out say.
pub(super) enum Said {
    /// So many iterations tell them best.
    Best(usize),
    /// They are told better by more than were looked at, or none can be spared.
    Nothing,
    /// It was cancelled; what the image of the other views was by then, if it is one of all slices.
    Cancelled(Option<Box<CtImage>>),
}

impl Ct {
    /// The iterations by which views that are left out are told best, up to `most`, and not far beyond the noise. What is told on the way,
    /// and what cancels it, is that of the options.
    pub(super) fn told_best(
        &self,
        method: CtMethod,
        noise: f64,
        options: &mut CtOptions,
        device: &Device,
    ) -> Result<Said> {
        let Some((kept, rest)) = self.parted()? else { return Ok(Said::Nothing) };
        let begun = kept.begin(device)?;
        let rest = rest.of(&kept, &begun, device)?;
        let noise = begun.noise(noise);
        let CtOptions { iterations, cancel, progress, .. } = options;
        let cancelled = || cancel.is_some_and(|c| c.load(Ordering::Relaxed));
        let end = AtomicBool::new(false);
        let mut found = (Readings::default(), None);
        let read = |solver: &mut Progress| {
            let (readings, error) = &mut found;
            let mut look = || -> Result<bool> {
                let reading = solver.reading();
                let k = reading.iteration;
                if cancelled() {
                    return Ok(true);
                }
                if !(k.is_multiple_of(READ_EVERY) || k <= FIRST && method == CtMethod::Cg) {
                    return Ok(false);
                }
                let x = solver.iterate()?;
                let plain = || -> Result<f64> { kept.misfit(&kept.linop().apply(&x)?, &begun.y) };
                let unknown = noise > 0.0 && readings.at_noise.is_none();
                let plain = if unknown || progress.is_some() && method == CtMethod::Cg { Some(plain()?) } else { None };
                if unknown && plain.is_some_and(|misfit| misfit <= noise) {
                    readings.at_noise = Some(k);
                }
                if let Some(tell) = progress {
                    let misfit = if method == CtMethod::Sirt { reading.residual } else { plain.unwrap_or(f64::NAN) };
                    let reading = CtReading { iteration: k, misfit: begun.part * misfit, left_out: true };
                    tell(&mut CtProgress { reading, iterate: &mut || begun.in_units(&x) });
                }
                Ok(readings.take(k, rest.off(&x)?) || cancelled())
            };
            match look() {
                Ok(false) => return,
                Ok(true) => {}
                Err(e) => *error = Some(e),
            }
            end.store(true, Ordering::Relaxed);
        };
        // Of conjugate gradients each of the first iterations may be the last one.
        let every = if method == CtMethod::Sirt { READ_EVERY } else { 1 };
        let solver = SolveOptions::default().iterations(*iterations).tol(0.0).check_every(every);
        let solution = kept.iterate(method, &begun.y, solver.progress(read).cancel(&end))?;
        match found {
            (_, Some(error)) => Err(error),
            _ if cancelled() && kept.extents() == self.extents() => {
                let Solution { x, iterations, .. } = solution;
                let misfit = begun.part * kept.misfit(&kept.linop().apply(&x)?, &begun.y)?;
                let image = CtImage::direct(kept.of_solution(&begun, &x)?, Some(misfit));
                let left_out = self.geometry().angles.len() - kept.geometry().angles.len();
                let image = CtImage { iterations, stop: Some(Stop::Cancelled), left_out, ..image };
                Ok(Said::Cancelled(Some(Box::new(image))))
            }
            _ if cancelled() => Ok(Said::Cancelled(None)),
            (readings, None) => Ok(readings.best().map_or(Said::Nothing, Said::Best)),
        }
    }

    /// The model of most views, and the others; None where none can be spared.
    fn parted(&self) -> Result<Option<(Ct, Rest)>> {
        let geometry = self.geometry();
        let count = geometry.angles.len();
        // Those of which nothing is left tell nothing.
        let seen = |view: &usize| {
            let valid = self.defects().valid.as_ref().map(|valid| valid.index_axis(Axis(1), *view));
            match valid {
                Some(valid) => valid.iter().any(|v| *v),
                None => self.views().index_axis(Axis(1), *view).iter().any(|v| v.is_finite()),
            }
        };
        let mut live: Vec<usize> = (0..count).filter(seen).collect();
        if live.len() < FEWEST || geometry.detectors < 2 {
            return Ok(None);
        }
        // Evenly over all angles, none of the outermost.
        live.sort_by(|a, b| geometry.angles[*a].total_cmp(&geometry.angles[*b]));
        let held = (live.len() / ONE_OF).max(2);
        let held: Vec<usize> = (0..held).map(|k| live[(2 * k + 1) * live.len() / (2 * held)]).collect();
        let kept: Vec<usize> = (0..count).filter(|view| !held.contains(view)).collect();
        let [slices, rows, columns] = self.extents();
        let all = self.views().len_of(Axis(0));
        let which: Vec<usize> = match self.canvas_is_volume() {
            true => (0..all).collect(),
            false => {
                let some = all.min(SLICES);
                (0..some).map(|k| (2 * k + 1) * all / (2 * some)).collect()
            }
        };
        let part = |views: &[usize]| -> (Geometry, Array3<f32>) {
            let angles: Vec<f64> = views.iter().map(|v| geometry.angles[*v]).collect();
            let mut values = self.views().select(Axis(0), &which).select(Axis(1), views);
            if let Some(valid) = &self.defects().valid {
                let valid = valid.select(Axis(0), &which).select(Axis(1), views);
                values.zip_mut_with(&valid, |v, valid| *v = if *valid { *v } else { f32::NAN });
            }
            (Geometry { angles, ..geometry.clone() }, values)
        };
        let slices = if self.canvas_is_volume() { slices } else { which.len() };
        let (seen, values) = part(&kept);
        // Slices of which nothing is left tell nothing.
        let blank = |values: &Array3<f32>| values.outer_iter().any(|slice| !slice.iter().any(|v| v.is_finite()));
        if blank(&values) {
            return Ok(None);
        }
        let kept = match Ct::new(values, &seen, [slices, rows, columns]) {
            Ok(kept) => kept,
            // What there is no room for is not asked.
            Err(e) if matches!(e.root(), Error::OutOfMemory(_) | Error::TooBig { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        let (geometry, views) = part(&held);
        Ok(Some((kept, Rest { geometry, views })))
    }
}

/// Views that were left out, NaN where they are defective.
struct Rest {
    geometry: Geometry,
    views: Array3<f32>,
}

impl Rest {
    fn of(self, kept: &Ct, begun: &Begun, device: &Device) -> Result<Told> {
        let linop = kept.projection(&self.geometry)?;
        let mut y = kept.turned(self.views.view()).into_dyn();
        if let Some(start) = &begun.start {
            y = y - linop.apply(&start.to(device)?)?.to(&Device::host())?.to_real_array()?;
        }
        let scale = 2f64.powi(-begun.exponent);
        Ok(Told { linop, y: y.mapv(|v| f64::from(v) * scale), views: Axis(if kept.is_cone() { 0 } else { 1 }) })
    }
}

/// What views that were left out are compared with.
struct Told {
    linop: Linop,
    /// In the units of the solver's data.
    y: ArrayD<f64>,
    /// The axis of the views; slices or rows are another.
    views: Axis,
}

impl Told {
    /// What the image x is off by, as each view tells it: Σ|k| |F(A x − y)|² with the transform F along the detector. A line of the image's
    /// transform is that of a view, and has |k| times its weight there (Parseval, in polar coordinates).
    fn off(&self, x: &Tensor) -> Result<Vec<f64>> {
        let found = self.linop.apply(x)?.to(&Device::host())?.to_real_array()?;
        let mut off = self.y.mapv(|y| Complex64::new(-y, 0.0));
        off.zip_mut_with(&found, |y, z| *y = if y.re.is_nan() { Complex64::ZERO } else { *y + f64::from(*z) });
        let along = Axis(off.ndim() - 1);
        centred_dft(off.view_mut(), along, false);
        let middle = off.len_of(along) / 2;
        let of = |lane: ArrayView1<Complex64>| -> f64 {
            lane.iter().enumerate().map(|(k, v)| k.abs_diff(middle) as f64 * v.norm_sqr()).sum()
        };
        let lines = off.map_axis(along, of);
        Ok(lines.axis_iter(self.views).map(|view| view.sum()).collect())
    }
}

/// What an image was off by at readings, as each view tells it.
#[derive(Default)]
struct Readings {
    all: Vec<(usize, Vec<f64>)>,
    /// The iterations that came down to the noise.
    at_noise: Option<usize>,
}

impl Readings {
    fn least(&self) -> Option<&(usize, Vec<f64>)> {
        let finite = self.all.iter().filter(|(_, off)| mean(off).is_finite());
        finite.min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)))
    }

    /// The first that is as good as the least, within the standard error of that over the views (Breiman, Friedman, Olshen and Stone,
    /// Classification and Regression Trees, 1984, §3.4.3). It ends early: what views differ by anyway counts as error, and of phantoms
    /// that is nearer to the object than the least itself, or than what differs from it view by view. Of two views nobody knows an error.
    fn first(&self) -> Option<usize> {
        let (_, least) = self.least()?;
        let (telling, best) = (telling(least), mean(least));
        let count = telling.len() as f64;
        let spread = telling.iter().map(|o| (o - best).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let error = if count > 2.0 { (spread / count).sqrt() } else { 0.0 };
        self.all.iter().find(|(_, off)| mean(off) <= best + error).map(|(k, _)| *k)
    }

    /// Takes a reading in; whether the best is long ago, or the noise.
    fn take(&mut self, k: usize, off: Vec<f64>) -> bool {
        let now = mean(&off);
        self.all.push((k, off));
        let half = self.all.iter().rev().find(|(at, _)| *at >= FIRST && 2 * at <= k);
        let stands = half.is_some_and(|(_, then)| now >= STANDS * mean(then));
        self.least().is_some_and(|(best, _)| past(*best, k))
            || self.at_noise.is_some_and(|at| k >= BEYOND * at + MORE)
            || stands
    }

    /// The best, if it is not the last.
    fn best(&self) -> Option<usize> {
        let (last, ..) = self.all.last()?;
        self.first().filter(|best| best < last)
    }
}

/// What views are off by, but for those that are off by far more than others.
fn telling(off: &[f64]) -> Vec<f64> {
    let mut sorted = off.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(off.len() / 2).copied().unwrap_or_default();
    off.iter().copied().filter(|v| v.is_nan() || *v <= APART * median).collect()
}

/// The mean of what telling views are off by.
fn mean(off: &[f64]) -> f64 {
    let telling = telling(off);
    telling.iter().sum::<f64>() / telling.len() as f64
}

fn past(best: usize, k: usize) -> bool {
    k as f64 >= LONGER * best as f64 + MORE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_known_some_iterations_later() {
        let of = |off: &dyn Fn(usize) -> f64, spread: f64| {
            let mut readings = Readings::default();
            let views = |k: usize| vec![off(k) - spread, off(k), off(k) + spread];
            let end = (1..=100).find(|k| readings.take(*k, views(*k)));
            (end, readings.best())
        };
        // 1/k + k/100 is the least at 10, and at 6 by less than 0.04 more.
        assert_eq!(of(&|k| 1.0 / k as f64 + k as f64 / 100.0, 0.0), (Some(20), Some(10)));
        assert_eq!(of(&|k| 1.0 / k as f64 + k as f64 / 100.0, 0.04 * 3f64.sqrt()), (Some(20), Some(6)));
        assert_eq!(of(&|k| 1.0 / k as f64, 0.0), (None, None));
        assert_eq!(of(&|_| 0.0, 0.0).1, Some(1));
    }

    #[test]
    fn a_view_that_is_wrong_tells_nothing() {
        let best = |wrong: f64| {
            let mut readings = Readings::default();
            let off = |k: usize, view: f64| (1.0 / k as f64 + k as f64 / 100.0) * (1.0 + 0.1 * view);
            let views = |k: usize| -> Vec<f64> { (0..8).map(|v| off(k, v.into())).chain([wrong * k as f64]).collect() };
            (1..=100).find(|k| readings.take(*k, views(*k)));
            readings.best()
        };
        assert_eq!(best(1e3), best(1e9));
        assert!(best(1e3).is_some_and(|k| k > 3), "{:?}", best(1e3));
    }
}
