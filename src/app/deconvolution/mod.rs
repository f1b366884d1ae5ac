//! Deconvolution: the scene behind a blurred picture, y = A x + noise with a point-spread function that is known.
//!
//! ```text
//! y[p] = Σⱼ h[j]·x[p − (j − c)]        h the point-spread function (PSF), c its centre
//! ```
//! The picture shows a part of the scene only, and the blur carries light into it from outside. So x is larger than y by what
//! the PSF reaches, and A is the convolution on that canvas, cropped to the picture: what lies outside is unknown, and a part of
//! what is solved for (Bertero and Boccacci, Astron. Astrophys. 437:369, 2005). Other [`Outside`]s make stronger claims.
//!
//! | file | its idea |
//! |---|---|
//! | `psf` | the PSF: where its centre is, what it sums to, what of it is zero |
//! | `blur` | the linop A on its canvas |
//! | `spectrum` | noise and signal from the picture's own spectrum |
//! | `quadratic` | where a quadratic objective begins, and when it is at rest |
//! | `tikhonov` | quadratic penalties: Wiener's filter and plain damping |
//! | `richardson_lucy` | the maximum of the Poisson likelihood |
//! | `misfits` | what an estimate is off by, summed on the host |
//! | `regularised` | the regularisers of all applications |
//! | `doubt`, `psf_doubt` | what speaks against a scene, and against a PSF |

mod blur;
mod counts;
mod doubt;
mod misfits;
mod psf;
mod psf_doubt;
mod quadratic;
mod regularised;
mod richardson_lucy;
mod spectrum;
mod tikhonov;

pub use blur::{Blur, Outside};
pub use counts::are_counts;
pub use doubt::Doubt;
pub use psf::{Psf, PsfCenter};
pub use regularised::RegularisedDeconvolution;
pub use richardson_lucy::RichardsonLucyOptions;
pub use spectrum::{NoiseToSignal, Scene};

use crate::solve::{Reading, Stop};
use ndarray::ArrayD;

/// A deconvolved picture, and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deconvolved {
    /// The scene where the picture is, in the picture's units.
    pub image: ArrayD<f32>,
    /// Iterations done; 0 where none were needed.
    pub iterations: usize,
    /// ‖A x − y‖/‖y‖.
    pub misfit: f64,
    /// Root mean square of A x − y, in the picture's units: to be compared with its noise.
    pub deviation: f64,
    /// What was minimised, at the scene on the whole canvas: ‖A x − y‖² and the penalty of [`Blur::wiener`] and [`Blur::damped`],
    /// ½‖A x − y‖² + Σ λᵢRᵢ(x) of [`Blur::regularised`], and the divergence of [`Blur::richardson_lucy`].
    pub objective: f64,
    /// What was read on the way; of Richardson–Lucy, the change of the likelihood.
    pub history: Vec<Reading>,
    /// Why the solver stopped.
    pub stop: Stop,
    /// Whether it stopped since the misfit had come down to the noise.
    pub at_noise: bool,
}
