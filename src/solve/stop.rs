//! Why a solver stopped.

use std::fmt;

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The residual of the iterate, computed from it, is at most the tolerance.
    Converged,
    /// All iterations were done.
    Iterations,
    /// The residual of the iterate does not fall any more, though the recurrence does: the accuracy that f32 arithmetic attains
    /// for this operator. The iterate is as good as it gets. Of [`convex`](crate::convex) solves: the bound of what is left does not fall.
    Attained,
    /// The operator is not what the method needs; the iterate is the best one from before that showed.
    Breakdown(Breakdown),
    /// The caller asked to stop.
    Cancelled,
    /// b = 0, so x = 0.
    Zero,
    /// The equations have no solution; x leaves the least residual that there is.
    LeastResidual,
}

/// How an operator is not Hermitian positive definite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breakdown {
    /// ⟨p, N p⟩ ≤ 0 for a direction p that is in the data: N is indefinite, or singular on b.
    NotPositive,
    /// The iterates do not lower the energy as they would for a Hermitian N, or ⟨N x, t⟩ is not ⟨x, N t⟩ for some of them.
    NotHermitian,
    /// ⟨r, M r⟩ ≤ 0 for a residual r: the preconditioner M is not positive definite.
    Preconditioner,
    /// ⟨A x, q⟩ is not ⟨x, Aᴴq⟩ for the iterate x and its misfit q: what is given as Aᴴ is not the adjoint of A.
    NotAdjoint,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Converged => "converged",
            Stop::Iterations => "all iterations done",
            Stop::Attained => "as accurate as 32-bit numbers allow",
            Stop::Breakdown(Breakdown::NotPositive) => {
                "broken down: the operator is not positive definite on these data"
            }
            Stop::Breakdown(Breakdown::NotHermitian) => "broken down: the operator is not Hermitian",
            Stop::Breakdown(Breakdown::Preconditioner) => "broken down: the preconditioner is not positive definite",
            Stop::Breakdown(Breakdown::NotAdjoint) => "broken down: the adjoint is not that of the operator",
            Stop::Cancelled => "cancelled",
            Stop::Zero => "the right-hand side is zero",
            Stop::LeastResidual => "the equations have no solution; this leaves the least residual",
        })
    }
}
