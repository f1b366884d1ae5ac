//! One part of a picture, solved for, and what is said about it.

use super::{Args, Method};
use crate::cli::interrupt::Solving;
use crate::cli::printer::{count_of, decimal, short};
use crate::cli::progress;
use crate::cli::recon::stop_name;
use crate::cli::regularise::{add_facts, describe, ending};
use linops::app::regularise::{Kind, Regulariser, Stated};
use linops::app::{
    Blur, Deconvolved, Denoising, NoiseToSignal, Psf, RichardsonLucyOptions, Scene, are_counts, reliable_noise_level,
};
use linops::convex::{ConvexOptions, Solved};
use linops::solve::{SolveOptions, Stop};
use linops::{Device, Result};
use ndarray::ArrayViewD;
use serde_json::{Map, Value, json};
use std::num::NonZeroUsize;

/// The mean of what is finite.
fn mean_of(part: ArrayViewD<f32>) -> f64 {
    let finite = || part.iter().filter(|v| v.is_finite());
    finite().map(|v| f64::from(*v)).sum::<f64>() / finite().count().max(1) as f64
}

/// One part of the picture.
pub(super) struct Job<'a> {
    pub args: &'a Args,
    pub method: Method,
    pub psf: &'a Psf,
    pub device: &'a Device,
    pub solving: &'a Solving,
}

/// What was taken of the noise, where it was asked for, and with regularisers how it was solved.
#[derive(Default)]
pub(super) struct How {
    pub noise: Option<f64>,
    /// What is found where it is given, and counts: the most of it, and the least.
    pub noise_found: Option<[f64; 2]>,
    /// Whether no weight brings the misfit down to it.
    pub unreached: bool,
    lambda: Option<f32>,
    clipped: usize,
    terms: Vec<Stated>,
    solved: Option<Solved>,
    solves: usize,
}

impl How {
    /// What is found, beside what was given: the least where that is less.
    fn found(&self) -> Option<f64> {
        let [most, least] = self.noise_found?;
        Some(if self.noise.is_some_and(|given| given < least) { least } else { most })
    }

    fn of(noise: f64, noise_found: Option<[f64; 2]>) -> How {
        How { noise: Some(noise), noise_found, solves: 1, ..How::default() }
    }
}

impl Job<'_> {
    pub fn solve(&self, part: ArrayViewD<f32>) -> Result<(Deconvolved, How)> {
        let args = self.args;
        let known = part.iter().any(|v| !v.is_finite()).then(|| part.mapv(|v| f32::from(v.is_finite())));
        let blur = Blur::new(self.psf, part.shape(), known.as_ref().map(|k| k.view()), args.outside())?;
        let most = |default: usize| args.iterations.map_or(default, NonZeroUsize::get);
        if self.method == Method::Rl && args.iterations.is_some() {
            // Whatever the noise is, so many are done.
            let options = RichardsonLucyOptions::default().iterations(most(0)).tol(args.tol.unwrap_or(0.0));
            return self.richardson_lucy(&blur, part, options, args.noise.map(f64::from));
        }
        let found = NoiseToSignal::of(part.view(), self.psf, Scene::Natural)?;
        let noise = args.noise.map_or(found.noise, f64::from);
        let weighed = args.lambda.is_some() || self.method == Method::Regularised && args.regularise.has_all_weights();
        let noise_found = match args.noise.filter(|_| !weighed) {
            // Where samples are not known the other is told too small.
            Some(_) => {
                let level = reliable_noise_level(part.view(), None).ok().flatten();
                level.map(|level| [level.max(found.noise), level.min(found.noise)])
            }
            None => None,
        };
        // Of the same signal with another noise.
        let ratio = match args.noise {
            Some(_) if found.noise > 0.0 => found.ratio * (noise / found.noise).powi(2),
            _ => found.ratio,
        };
        if self.method == Method::Rl {
            let counts = args.noise.is_none() && are_counts(part.view()).unwrap_or(false);
            let options = RichardsonLucyOptions::default()
                .tol(args.tol.unwrap_or(1e-3))
                .noise(Some(noise))
                .gain(counts.then_some(1.0))
                // Half-way between all of the noise, and what the best linear estimate leaves.
                .left(0.5 * (1.0 + found.left));
            let noise = if counts { mean_of(part.view()).sqrt() } else { noise };
            let (result, how) = self.richardson_lucy(&blur, part, options, Some(noise))?;
            return Ok((result, How { noise_found, ..how }));
        }
        if self.method == Method::Regularised {
            let iterations = most(1000);
            let bar = progress::iterations(iterations);
            let task = Denoising::default()
                .regularisation(args.regularise.regularisation(&[Regulariser::new(Kind::Tv, None)]))
                .noise(Some(noise))
                .method(args.regularise.options(ConvexOptions::default()).method)
                .iterations(iterations)
                .tol(args.tol.map_or(1e-4, f64::from))
                .progress(|p| progress::objective(&bar, p.reading()))
                .cancel(self.solving.stop());
            let found = blur.regularised(part.view(), task, self.device)?;
            bar.finish_and_clear();
            let how = How {
                terms: found.terms,
                solved: Some(found.solved),
                solves: found.solves,
                unreached: found.unreached,
                ..How::of(noise, noise_found)
            };
            return Ok((found.deconvolved, how));
        }
        let point = self.psf.is_point();
        // Of a point nothing is blurred, so there is nothing to hold back.
        let lambda = match args.lambda {
            Some(lambda) => lambda,
            None if point => 0.0,
            None if self.method == Method::Cg => NoiseToSignal::damping(ratio, self.psf, part.shape())? as f32,
            None => ratio as f32,
        };
        let iterations = most(1000);
        let bar = progress::iterations(iterations);
        let options = SolveOptions::default()
            .lambda(lambda)
            .iterations(iterations)
            .tol(args.tol.unwrap_or(1e-4))
            .progress(|p| progress::reading(&bar, p.reading()))
            .cancel(self.solving.stop());
        let result = match self.method {
            Method::Cg => blur.damped(part, options, self.device)?,
            _ => blur.wiener(part, options, self.device)?,
        };
        bar.finish_and_clear();
        Ok((result, How { lambda: Some(lambda), ..How::of(noise, noise_found) }))
    }

    fn richardson_lucy(
        &self,
        blur: &Blur,
        part: ArrayViewD<f32>,
        options: RichardsonLucyOptions,
        noise: Option<f64>,
    ) -> Result<(Deconvolved, How)> {
        let bar = progress::iterations(options.iterations);
        let options = options.progress(|p| progress::reading(&bar, p.reading())).cancel(self.solving.stop());
        let result = blur.richardson_lucy(part.view(), options, self.device)?;
        bar.finish_and_clear();
        let clipped = part.iter().filter(|v| **v < 0.0).count();
        Ok((result, How { clipped, noise, solves: 1, ..How::default() }))
    }

    /// Iterations at most, and the tolerance.
    fn limits(&self) -> (usize, f64) {
        let Args { iterations, tol, .. } = self.args;
        let (most, near) = match self.method {
            Method::Rl if iterations.is_some() => (100, 0.0),
            Method::Rl => (100, 1e-3),
            _ => (1000, 1e-4),
        };
        (iterations.map_or(most, NonZeroUsize::get), tol.map_or(near, decimal))
    }

    pub fn outcome(&self, result: &Deconvolved, how: &How) -> String {
        let why = match result.stop {
            _ if result.at_noise => "the misfit is that of the noise".into(),
            Stop::Cancelled => "interrupted".into(),
            Stop::Zero => "the picture is zero, and so is the scene".into(),
            stop => how.solved.as_ref().map_or_else(|| stop.to_string(), ending),
        };
        let why = match (self.method, result.stop, how.noise) {
            (Method::Rl, Stop::Iterations, Some(noise)) if noise > 0.0 && self.args.iterations.is_none() => {
                format!("{why}, the misfit is {} times the noise", short(result.deviation / noise))
            }
            _ => why,
        };
        let why = if how.unreached {
            format!("{why}; a weight that brings the misfit down to the noise would not hold noise back")
        } else {
            why
        };
        let from = if self.args.noise.is_some() { "given" } else { "estimated" };
        let lambda = how.lambda.map(|l| format!(", lambda {}", short(l))).unwrap_or_default();
        let terms: String = how.terms.iter().map(|t| format!("; {}", describe(t))).collect();
        let solves = if how.solves > 1 { format!(", {} solves for the weight", how.solves) } else { String::new() };
        let what = if self.method == Method::Rl { "divergence" } else { "objective" };
        let objective = format!("; {what} {}", short(result.objective));
        let clipped = match how.clipped {
            0 => String::new(),
            n => format!(", {} below 0 taken for 0", count_of(n, "sample")),
        };
        let noise = how.noise.map(|noise| format!(", noise {} ({from})", short(noise))).unwrap_or_default();
        let by = how.solved.as_ref().map(|s| format!(" of {}", s.method)).unwrap_or_default();
        format!(
            "{}{by} ({why}){solves}; misfit {:.2} %, {} rms{noise}{lambda}{clipped}{terms}{objective}",
            count_of(result.iterations, "iteration"),
            100.0 * result.misfit,
            short(result.deviation)
        )
    }

    pub fn facts(&self, result: &Deconvolved, how: &How) -> Value {
        let (most, tol) = self.limits();
        let mut facts = Map::from_iter([
            ("tol".into(), json!(tol)),
            ("max_iterations".into(), json!(most)),
            ("iterations".into(), json!(result.iterations)),
            ("stop".into(), json!(if result.at_noise { "noise" } else { stop_name(result.stop) })),
            ("misfit".into(), json!(result.misfit)),
            ("deviation".into(), json!(result.deviation)),
            ("objective".into(), json!(result.objective)),
            ("noise".into(), json!(how.noise)),
            ("noise_found".into(), json!(how.found())),
            ("noise_reached".into(), json!(how.solved.is_some().then_some(!how.unreached))),
            ("lambda".into(), json!(how.lambda.map(decimal))),
            ("negative".into(), json!(how.clipped)),
            ("solves".into(), json!(how.solves)),
            ("history".into(), result.history.iter().map(|p| json!([p.iteration, p.residual])).collect()),
        ]);
        if let Some(solved) = &how.solved {
            add_facts(&mut facts, &how.terms, Some(solved));
        }
        Value::Object(facts)
    }
}
