//! What ADMM sees of itself, and what it makes of it: how far the objective may be from its limit, the penalty, and how exactly the
//! system for x is solved.
//!
//! With duals pᵢ of the terms, s = N x − b + ΣKᵢᴴpᵢ, and any solution x*,
//!
//! ```text
//! F(x) − F(x*)  ≤  Σ (fᵢ(Kᵢ x) + fᵢ*(pᵢ) − Re⟨pᵢ, Kᵢ x⟩)  +  ‖s‖ ‖x − x*‖
//! ```
//!
//! by the convexity of both parts. The first sum is what a penalty that is too low leaves, the second part what one that is too high
//! does: the penalty is chosen so that they are alike. How far x is from x* is not known; it is taken as a part of ‖x‖.

/// ‖x − x*‖ as a part of ‖x‖, by the time that matters: for SENSE, tomography, deconvolution and inpainting with total variation the bound
/// is then between once and three times what is left.
const APART: f64 = 1.0 / 120.0;

/// The two parts may differ by this factor; the penalty changes by no more than `MOST` at once.
const ALIKE: f64 = 1.5;
const MOST: f64 = 4.0;

/// The ratio of the parts goes about as this power of the penalty, turned over.
const POWER: f64 = 0.6;

/// By how much the residual of the system is to fall in an iteration: less is more steps of conjugate gradients, more is fewer.
const FALL: [f64; 2] = [0.02, 0.2];

/// Where the system is preconditioned, what a step or two leave of it is mended by the next iteration: its residual may be such a part of
/// ‖s‖, less is fewer steps, more is more. (Relative errors: Eckstein and Yao, Math. Program. 170:417, 2018.)
const INEXACT: [f64; 2] = [0.2, 0.6];

/// Steps of the first iteration where the system is preconditioned: x begins with what is far away from it.
const BEGIN: usize = 10;

/// What is seen of an iterate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// The sum of the gaps of the terms.
    pub gap: f64,
    /// ‖s‖, where all constraints of x are obeyed.
    pub slope: f64,
    /// ‖s‖ at x as it is: what the slope has more is for what x does not obey, which a higher penalty mends, not a lower one.
    pub own: f64,
    /// ‖x‖.
    pub size: f64,
    /// What is left of the system's residual, which is a part of s.
    pub inexact: f64,
}

impl Doubt {
    /// The part that the slope leaves.
    pub fn rest(&self) -> f64 {
        APART * self.slope * self.size
    }

    /// About how far the objective is from its limit.
    pub fn whole(&self) -> f64 {
        self.gap + self.rest()
    }

    /// The parts that a penalty which is too low leaves, and one that is too high.
    fn parts(&self) -> [f64; 2] {
        let own = self.rest().min(APART * self.own * self.size);
        [self.gap + self.rest() - own, own]
    }
}

/// When the penalty is looked at, and the steps of conjugate gradients.
pub(super) struct Balance {
    next: usize,
    /// Steps of an iteration.
    pub inner: usize,
    most: usize,
    preconditioned: bool,
}

impl Balance {
    /// With so many steps of conjugate gradients at most; of a system that is preconditioned with the fields that it has. Of several, what
    /// a step or two leave is not mended by the next iteration: steps follow the fall of the residual, as without a preconditioner.
    pub fn new(most: usize, preconditioned: Option<usize>) -> Balance {
        let mended = preconditioned == Some(1);
        Balance { next: FIRST, inner: if mended { 1 } else { START.min(most) }, most, preconditioned: mended }
    }

    /// Steps of this iteration.
    pub fn steps(&self, iteration: usize) -> usize {
        if self.preconditioned && iteration == 1 { BEGIN.min(self.most) } else { self.inner }
    }

    /// Whether this iteration is looked at: ever less often, so that the iteration comes to rest.
    pub fn is_due(&self, iteration: usize) -> bool {
        iteration >= self.next
    }

    /// By what factor the penalty is to change after this iteration, if by any. `fall`: the part of the residual that the last steps of
    /// conjugate gradients have left.
    pub fn look(&mut self, iteration: usize, doubt: &Doubt, fall: f64) -> Option<f64> {
        self.next = iteration + FIRST.max(iteration / 4);
        match self.preconditioned {
            true => self.mended(doubt),
            false => self.fell(fall),
        }
        let [low, high] = doubt.parts();
        let ratio = match (low > 0.0, high > 0.0) {
            (true, true) => low / high,
            (true, false) => f64::INFINITY,
            (false, true) => 0.0,
            (false, false) => return None,
        };
        let by = ratio.powf(POWER).clamp(1.0 / MOST, MOST);
        (by.is_finite() && !(1.0 / ALIKE..=ALIKE).contains(&ratio)).then_some(by)
    }

    /// More steps where what they leave is most of s, fewer where it is little of it.
    fn mended(&mut self, doubt: &Doubt) {
        let part = if doubt.own > 0.0 { doubt.inexact / doubt.own } else { 0.0 };
        if part > INEXACT[1] {
            self.inner = (self.inner + 1).min(self.most);
        } else if part < INEXACT[0] && self.inner > 1 {
            self.inner -= 1;
        }
    }

    /// More steps of conjugate gradients where they leave much of the residual, fewer where they leave hardly any.
    pub fn fell(&mut self, fall: f64) {
        if fall > FALL[1] {
            self.inner = (self.inner + 2).min(self.most);
        } else if fall < FALL[0] && self.inner > 1 {
            self.inner -= 1;
        }
    }
}

/// The first look, and the least number of iterations between two.
const FIRST: usize = 3;

/// Steps of conjugate gradients at first.
const START: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_penalty_follows_the_larger_part() {
        let mut balance = Balance::new(12, None);
        let doubt = |gap: f64, rest: f64| {
            let slope = rest / APART;
            Doubt { gap, slope, own: slope, size: 1.0, inexact: 0.0 }
        };
        assert!(!balance.is_due(2) && balance.is_due(3));
        assert_eq!(balance.look(3, &doubt(1.0, 1.2), 0.1), None);
        assert_eq!(balance.look(6, &doubt(1.0, 0.0), 0.1), Some(MOST));
        assert_eq!(balance.look(9, &doubt(0.0, 1.0), 0.1), Some(1.0 / MOST));
        let by = balance.look(40, &doubt(2.0, 1.0), 0.1).unwrap();
        assert!(by > 1.3 && by < 2.0, "{by}");
        assert!(!balance.is_due(49) && balance.is_due(50));
        assert!((doubt(2.0, 1.0).whole() - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_preconditioned_system_is_solved_as_exactly_as_it_matters() {
        let mut balance = Balance::new(3, Some(1));
        assert_eq!((balance.steps(1), balance.steps(2)), (3, 1));
        for (inexact, inner) in [(0.9, 2), (0.9, 3), (0.9, 3), (0.4, 3), (0.1, 2), (0.0, 1), (0.0, 1)] {
            balance.look(3, &Doubt { slope: 1.0, own: 1.0, inexact, ..Doubt::default() }, 0.9);
            assert_eq!(balance.inner, inner, "{inexact}");
        }
    }

    #[test]
    fn steps_follow_the_fall_of_the_residual() {
        let mut balance = Balance::new(7, None);
        for (fall, inner) in [(0.5, 6), (0.5, 7), (0.1, 7), (0.001, 6), (f64::NAN, 6)] {
            balance.look(3, &Doubt::default(), fall);
            assert_eq!(balance.inner, inner, "{fall}");
        }
    }
}
