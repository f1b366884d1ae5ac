//! How accurate an iterate is, and whether it can become more so in 32-bit numbers.
//!
//! The residual of CG's recurrence goes on falling when that of the iterate does not any more: they part where rounding in N x
//! is as large as what is left (Greenbaum, SIAM J. Matrix Anal. Appl. 18:535, 1997). The recurrence still corrects the iterate
//! along small eigenvalues for a while, which the residual does not show; so it is only at an end once the two are far apart, or
//! once neither has fallen for hundreds of iterations. Few of those say nothing: where eigenvalues lie in groups, residuals stand
//! still between them.

/// Relative rounding of N x in f32, roughly.
const ROUNDING: f64 = 1.2e-7;

/// Residuals up to so many roundings are in the region where rounding decides.
const DECIDED: f64 = 100.0;

/// The recurrence's residual against the iterate's, when the recurrence has nothing more to give.
const PARTED: f64 = 1e-3;

/// Iterations, and as many again, over which a standstill says something.
const STANDSTILL: usize = 250;

/// A residual that is so much larger is not as good.
const AS_GOOD: f64 = 1.25;

/// What is known of the iterates so far.
#[derive(Debug)]
pub(super) struct Accuracy {
    /// The least residual of an iterate, computed from it.
    best: f64,
    /// Whether that is in the region where rounding decides.
    decided: bool,
    /// Least residual of the recurrence up to an iteration, at every check.
    falls: Vec<(usize, f64)>,
}

/// An iterate that was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub iteration: usize,
    /// ‖r‖/‖b‖ of the recurrence, and of the iterate.
    pub recurrence: f64,
    pub residual: f64,
    /// (‖N‖‖x‖ + ‖b‖)/‖b‖: what rounding is relative to.
    pub size: f64,
}

impl Accuracy {
    pub fn new() -> Accuracy {
        Accuracy { best: 1.0, decided: false, falls: vec![(0, 1.0)] }
    }

    /// Takes an iterate in; whether it is the best one so far. While rounding does not decide that is the latest: the energy
    /// norm of the error falls though the residual may rise.
    pub fn take(&mut self, look: Look) -> bool {
        let least = self.falls.last().map_or(1.0, |(_, r)| *r).min(look.recurrence);
        self.falls.push((look.iteration, least));
        let better = !self.decided || look.residual <= AS_GOOD * self.best;
        if better {
            self.best = if self.decided { look.residual.min(self.best) } else { look.residual };
            self.decided |= look.residual <= DECIDED * ROUNDING * look.size;
        }
        better
    }

    /// Whether rounding decides about the best iterate.
    pub fn decided(&self) -> bool {
        self.decided
    }

    /// Whether more iterations give nothing: the recurrence is far below the iterate, or has not fallen for half of many
    /// iterations where rounding decides.
    pub fn attained(&self, look: Look) -> bool {
        let half = self.falls.iter().rev().find(|(k, _)| 2 * k <= look.iteration);
        let half = half.filter(|(k, _)| *k >= STANDSTILL).map(|(_, r)| *r);
        let least = self.falls.last().map_or(1.0, |(_, r)| *r);
        look.recurrence <= PARTED * look.residual || (self.decided && half.is_some_and(|half| least > 0.9 * half))
    }
}
