//! The λ of ‖x‖² where none is given.

use super::Args;
use linops::app::recon_options;

/// What is taken then.
pub(super) struct Usual {
    weight: f32,
    /// Why it is that and not the usual one, for people.
    why: &'static str,
}

/// Along trajectories noise asks for no less: what is beyond the reach of the samples is held by λ, and folds little.
impl Default for Usual {
    fn default() -> Usual {
        Usual { weight: recon_options().lambda, why: "" }
    }
}

impl Usual {
    /// What the noise asks for, relative to the scale of the model, where it is known.
    pub fn of(by_noise: Option<f32>) -> Usual {
        match by_noise {
            Some(weight) => Usual { weight, why: "by the noise" },
            None => Usual { why: "as the noise is not known", ..Usual::default() },
        }
    }

    /// The mean over those frames of a series of which it is known.
    pub fn of_frames(by_noise: &[Option<f32>]) -> Usual {
        let known: Vec<f32> = by_noise.iter().flatten().copied().collect();
        match (by_noise.is_empty(), known.is_empty()) {
            (true, _) => Usual::default(),
            (_, true) => Usual::of(None),
            (_, false) => Usual::of(Some(known.iter().sum::<f32>() / known.len() as f32)),
        }
    }

    /// Of a model of this scale.
    pub fn times(self, scale: f32) -> Usual {
        Usual { weight: self.weight * scale, ..self }
    }
}

impl Args {
    /// λ, what was given or else the usual one, and why it is that.
    pub(super) fn lambda_or(&self, usual: impl FnOnce() -> Usual) -> (f32, &'static str) {
        match self.lambda {
            Some(lambda) => (lambda, ""),
            None => {
                let Usual { weight, why } = usual();
                (weight, why)
            }
        }
    }
}
