//! The λ of ‖x‖² where none is given.

use super::Args;
use linops::app::recon_options;

/// Where λ is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Given,
    /// What the noise asks for.
    Noise,
    /// The usual one, as the noise is not known.
    Unknown,
    /// The usual one.
    Usual,
}

impl Origin {
    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Given => "given",
            Origin::Noise => "noise",
            Origin::Unknown | Origin::Usual => "default",
        }
    }

    /// For people, behind the number.
    pub fn mark(self) -> &'static str {
        match self {
            Origin::Given => "",
            Origin::Noise => " (default, by the noise)",
            Origin::Unknown => " (default, as the noise is not known)",
            Origin::Usual => " (default)",
        }
    }
}

/// What is taken where none is given.
#[derive(Clone, Copy)]
pub(super) struct Usual {
    weight: f32,
    from: Origin,
}

/// Along trajectories: a smaller one made images of 48 and 150 spokes of a phantom worse.
impl Default for Usual {
    fn default() -> Usual {
        Usual { weight: recon_options().lambda, from: Origin::Usual }
    }
}

impl Usual {
    /// What the noise asks for, relative to the scale of the model, where it is known.
    pub fn of(by_noise: Option<f32>) -> Usual {
        match by_noise {
            Some(weight) => Usual { weight, from: Origin::Noise },
            None => Usual { from: Origin::Unknown, ..Usual::default() },
        }
    }

    /// Of a model of this scale.
    pub fn times(self, scale: f32) -> Usual {
        Usual { weight: self.weight * scale, ..self }
    }
}

impl Args {
    /// λ, what was given or else the usual one, and where it is from.
    pub(super) fn lambda_or(&self, usual: impl FnOnce() -> Usual) -> (f32, Origin) {
        match self.lambda {
            Some(lambda) => (lambda, Origin::Given),
            None => {
                let Usual { weight, from } = usual();
                (weight, from)
            }
        }
    }

    /// Whether the usual λ is asked for.
    pub(super) fn takes_usual_lambda(&self) -> bool {
        self.lambda.is_none() && !self.regularise.is_asked() && self.solves_samples()
    }
}
