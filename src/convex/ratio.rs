//! The ratio of PDHG's dual step to its primal one, from what the steps leave of both conditions of the solution.
//!
//! ```text
//! left of x:  ‖(x − x')/τ − N (x − x') − ΣKᵢᴴ(pᵢ − pᵢ')‖        left of the duals:  √Σ‖(pᵢ − pᵢ')/σ − Kᵢ(x − x')‖²
//! ```
//!
//! Where one of the two is much larger its step becomes longer, by ever less, so that the iteration comes to rest (Goldstein, Li, Yuan,
//! Esser and Baraniuk, arXiv:1305.0546, 2013). Both are taken in the units of the data.

use crate::error::Result;
use crate::functional::{combined, squared_norm};
use crate::linop::Linop;
use crate::tensor::Tensor;

/// How much the ratio changes at first, what that is times after each change, and from which quotient of the two on.
const CHANGE: f64 = 0.5;
const FADES: f64 = 0.95;
const ALIKE: f64 = 2.0;

/// The norm of the differences of two dims: what a dual residual is worth is told of theirs.
const DIFFERENCES: f64 = 8.0;

/// An iterate.
pub(super) struct Point<'a> {
    pub x: Tensor,
    /// Kᵢ and pᵢ.
    pub duals: Vec<(Option<&'a Linop>, Tensor)>,
}

impl Point<'_> {
    /// What a step of τ and σ from here has left of both conditions.
    pub fn left(&self, after: &Point, normal: &Linop, [tau, sigma]: [f64; 2]) -> Result<[f64; 2]> {
        let moved = combined(&[(1.0, &self.x), (-1.0, &after.x)])?;
        let mut primal = combined(&[(1.0 / tau, &moved), (-1.0, &normal.apply(&moved)?)])?;
        let mut dual = 0.0;
        for ((k, p), (_, next)) in self.duals.iter().zip(&after.duals) {
            let turned = combined(&[(1.0, p), (-1.0, next)])?;
            let (back, there) = match k {
                Some(k) => (k.h().apply(&turned)?, k.apply(&moved)?),
                None => (turned.clone(), moved.clone()),
            };
            primal = combined(&[(1.0, &primal), (-1.0, &back)])?;
            dual += squared_norm(&combined(&[(1.0 / sigma, &turned), (-1.0, &there)])?)?;
        }
        Ok([squared_norm(&primal)?.sqrt(), dual.sqrt()])
    }
}

/// How the ratio changes.
pub(super) struct Ratio {
    change: f64,
}

impl Ratio {
    pub fn new() -> Ratio {
        Ratio { change: CHANGE }
    }

    /// By what the ratio of the dual step to the primal one is to be times, if by anything; with ‖N‖ and ‖ΣKᴴK‖.
    pub fn look(&mut self, [primal, dual]: [f64; 2], norm: f64, dual_norm: f64) -> Option<f64> {
        let dual = dual * norm * (DIFFERENCES / dual_norm).sqrt();
        let by = match () {
            _ if primal > ALIKE * dual => 1.0 - self.change,
            _ if dual > ALIKE * primal => 1.0 / (1.0 - self.change),
            _ => return None,
        };
        self.change *= FADES;
        Some(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_rest_gets_the_longer_step() {
        let mut ratio = Ratio::new();
        assert_eq!(ratio.look([1.0, 1.5], 1.0, 8.0), None);
        assert_eq!(ratio.look([3.0, 1.0], 1.0, 8.0), Some(0.5));
        let by = ratio.look([1.0, 3.0], 1.0, 8.0).unwrap();
        assert!(by > 1.5 && by < 2.0, "{by}");
        // The same rest of data and differences of other units.
        assert_eq!(ratio.look([3.0e3, 2.0e-3], 1e6, 8.0), None);
        assert_eq!(ratio.look([3.0, 2e2], 1.0, 8e4), None);
    }
}
