//! What is to be said of a scene, and of the scenes of many parts together.

use super::job::{How, Job};
use super::{Args, Center, Method};
use crate::cli::printer::{count_of, not_at_rest, short};
use crate::cli::warnings::{less_noise_than_found, more_noise_than_found};
use linops::app::{Deconvolved, Doubt, Outside, Psf};
use linops::solve::Stop;
use linops::{Error, Result};
use ndarray::ArrayViewD;

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Rest,
    MoreNoise,
    LessNoise,
    Scene,
}

/// Remarks about parts: of each kind the first, and of how many more it is true.
#[derive(Default)]
pub(super) struct Remarks(Vec<(About, String, usize)>);

impl Remarks {
    fn take(&mut self, about: About, text: Option<String>) {
        let Some(text) = text else { return };
        match self.0.iter_mut().find(|(of, ..)| *of == about) {
            Some((.., more)) => *more += 1,
            None => self.0.push((about, text, 0)),
        }
    }

    pub fn texts(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(_, text, more)| match more {
            0 => text,
            more => format!("{text} (and the like of {})", count_of(more, "more part")),
        })
    }
}

/// What looks wrong with a PSF.
pub(super) fn of_psf(args: &Args, psf: &Psf) -> Vec<String> {
    /// Of its sum.
    const MUCH: f64 = 0.1;
    let mut said = Vec::new();
    // Around its largest sample one in FFT order is right where it goes on from the other ends.
    let goes_on = matches!(args.psf_center, Center::Peak) && args.outside() == Outside::Periodic;
    let in_fft_order = psf.is_in_fft_order();
    if in_fft_order && !goes_on {
        said.push(
            "the PSF's light lies around its first sample and the other ends of its axes, as Fourier transforms have it: move it to its \
             centre (fftshift)"
                .into(),
        );
    }
    if let Some(at) = psf.off_centre().filter(|_| !in_fft_order) {
        let listed = |of: &[f64]| of.iter().map(|v| short(*v)).collect::<Vec<_>>().join(", ");
        // In the file's indices.
        let center = psf.given_center();
        let cut = center.iter().zip(psf.center()).map(|(given, c)| given - *c as f64);
        let at: Vec<f64> = at.iter().zip(cut).map(|(at, cut)| at + cut).collect();
        said.push(format!(
            "the PSF's light lies around [{}] of it, far from its centre at [{}]: the scene is moved by that; --psf-center centroid or peak \
             leaves it where it is",
            listed(&at),
            listed(center)
        ));
    }
    let background = psf.background();
    if background > MUCH {
        said.push(format!(
            "{:.0} % of the PSF's sum is an even background: subtract it, unless the blur has it",
            100.0 * background
        ));
    }
    said
}

/// A scene is no nearer to the picture than this, in units of its noise, where no weight that holds noise back brings it down to that.
const NEAR: f64 = 1.25;

/// A scene that was solved for, and what it is from.
pub(super) struct Scene<'a> {
    pub job: &'a Job<'a>,
    pub result: &'a Deconvolved,
    pub how: &'a How,
    /// Its name among several.
    pub part: Option<&'a str>,
}

impl Scene<'_> {
    /// That the noise was given as more or as less than is found.
    fn noise(&self) -> [Option<String>; 2] {
        let given = self.how.noise.zip(self.how.noise_found);
        [
            given.and_then(|(given, [most, _])| more_noise_than_found(given, most)),
            given.and_then(|(given, [_, least])| less_noise_than_found(given, least)),
        ]
    }

    /// Whether a weight was asked for, by number: what comes of it is what was asked for.
    fn is_weighed(&self) -> bool {
        let args = self.job.args;
        match self.job.method {
            Method::Rl => args.iterations.is_some(),
            Method::Regularised => args.regularise.has_all_weights(),
            Method::Wiener | Method::Cg => args.lambda.is_some(),
        }
    }

    /// What speaks against it: of the noise that there is, and of a misfit where it is as near as it gets.
    pub fn doubt(&self, picture: ArrayViewD<f32>) -> Option<Doubt> {
        let Scene { job, result, how, .. } = self;
        if result.stop == Stop::Cancelled {
            return None;
        }
        let given = how.noise.filter(|_| job.args.noise.is_none());
        let noise = how.noise_found.map(|[most, _]| most).or(given).unwrap_or(f64::INFINITY);
        let doubt = result.doubt(picture, job.psf, noise);
        let rests = !matches!(result.stop, Stop::Iterations) && !self.is_weighed();
        let above = result.deviation / how.noise.unwrap_or(f64::INFINITY);
        match doubt {
            Some(Doubt::Unexplained(_)) if !rests || self.noise()[0].is_some() => None,
            None if how.unreached && above > NEAR => Some(Doubt::Unexplained(above)),
            doubt => doubt,
        }
    }

    /// Amplified noise is no result, unless it was asked for by number.
    pub fn expect_scene(&self, doubt: Option<Doubt>) -> Result<()> {
        let Some(Doubt::Amplified(contrast)) = doubt.filter(|_| !self.is_weighed()) else { return Ok(()) };
        let [_, less] = self.noise();
        let cause = match less {
            Some(less) => format!("{less}: give more --noise, or leave it out"),
            None => {
                let weights = match self.job.method {
                    Method::Regularised => "a weight, as in --reg tv:0.01",
                    Method::Rl => "--iterations",
                    Method::Wiener | Method::Cg => "--lambda",
                };
                format!(
                    "a point-spread function that is wider than what blurred the picture does so; check its width and its pixels, or give \
                     {weights}"
                )
            }
        };
        let part = self.part.map(|part| format!("{part}: ")).unwrap_or_default();
        let message = format!("{part}{}; nothing was written: {cause}", amplified(self.result, contrast));
        Err(Error::file(&self.job.args.image, message))
    }

    /// What is to be said of it. The iterations of rl are what holds noise back: their end is no fault.
    pub fn say(&self, doubt: Option<Doubt>, remarks: &mut Remarks) {
        let [more, less] = self.noise();
        // More iterations would amplify more.
        let unfinished = not_at_rest(self.result.stop).filter(|_| self.job.method != Method::Rl && less.is_none());
        let doubt = match doubt {
            Some(Doubt::Amplified(contrast)) => Some(amplified(self.result, contrast)),
            Some(Doubt::Contrast(contrast)) => Some(format!(
                "the scene has {contrast:.1} times the contrast of the picture: if it has no texture as fine as the blur, the PSF is wider than \
                 what blurred the picture"
            )),
            Some(Doubt::Unexplained(times)) if less.is_none() => Some(format!(
                "the scene explains the picture to {} only, {times:.1} times its noise: check the PSF, its centre (--psf-center), and what lies \
                 outside of the picture (--boundary)",
                short(self.result.deviation)
            )),
            _ => None,
        };
        remarks.take(About::Rest, unfinished);
        remarks.take(About::MoreNoise, more);
        remarks.take(About::LessNoise, less);
        remarks.take(About::Scene, doubt);
    }
}

/// That a scene is amplified noise.
fn amplified(result: &Deconvolved, contrast: f64) -> String {
    let ends = result.image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    format!(
        "the scene has {contrast:.0} times the contrast of the picture, from {} to {}: it is noise that was amplified",
        short(ends.0),
        short(ends.1)
    )
}
