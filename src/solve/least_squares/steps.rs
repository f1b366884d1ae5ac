//! The passes that the methods share.

use super::{BEST, LAMBDA, MISFIT, Q, S, SCALE, SCALES, TT, U, W, X, XT, XX, Y, YQ};
use crate::solve::scale::scaling;
use crate::vectors::{Formula, Pass};

/// A shared pass, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Zero,
    ScaleData,
    DataNorm,
    KeepData,
    ScaleAdjoint,
    AdjointNorm,
    ScaleStart,
    KeepStart,
    Resume,
    LookData,
    Look,
    Looked,
    Keep,
    ScaleOut,
    ScaleBest,
}

impl Step {
    /// In their order.
    pub const ALL: [Step; 15] = [
        Step::Zero,
        Step::ScaleData,
        Step::DataNorm,
        Step::KeepData,
        Step::ScaleAdjoint,
        Step::AdjointNorm,
        Step::ScaleStart,
        Step::KeepStart,
        Step::Resume,
        Step::LookData,
        Step::Look,
        Step::Looked,
        Step::Keep,
        Step::ScaleOut,
        Step::ScaleBest,
    ];

    pub fn pass(self) -> Pass {
        let one = || Formula::from(1.0);
        match self {
            Step::Zero => Pass::new("least_squares_zero").update(X, []).update(BEST, []),
            Step::ScaleData => scaling(Y, U, SCALES),
            Step::DataNorm => Pass::new("least_squares_norm").totals([MISFIT]),
            Step::KeepData => Pass::new("least_squares_data").update(Y, [(one(), U)]),
            Step::ScaleAdjoint => scaling(S, W, SCALES),
            Step::AdjointNorm => Pass::new("least_squares_adjoint").totals([TT]),
            Step::ScaleStart => scaling(X, S, SCALES),
            Step::KeepStart => Pass::new("least_squares_start").update(X, [(one(), S)]).update(BEST, [(one(), S)]),
            // A look has left y − A x there.
            Step::Resume => Pass::new("least_squares_resume").update(U, [(one(), Q)]),
            Step::LookData => Pass::new("least_squares_misfit")
                .update(Q, [(one(), Y), (-Formula::from(SCALE), Q)])
                .dot(Q, Q)
                .dot(Y, Q),
            Step::Look => Pass::new("least_squares_look")
                .totals([MISFIT, YQ])
                .update(S, [(SCALE.into(), S), (-LAMBDA, X)])
                .dot(S, S)
                .dot(X, X)
                .dot(X, S),
            Step::Looked => Pass::new("least_squares_looked").totals([TT, XX, XT]),
            Step::Keep => Pass::new("least_squares_keep").update(BEST, [(one(), X)]),
            Step::ScaleOut => scaling(X, S, SCALES),
            Step::ScaleBest => scaling(BEST, S, SCALES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_listed_in_their_order() {
        for (k, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, k);
        }
    }
}
