//! Square roots of scalars, of the formulas that there are.

use crate::vectors::{Formula, Pass, Scalar};

/// Powers of four that bring any normal number between ¼ and 4: 2^64, 2^32, … 2^2.
const STEPS: std::ops::Range<i32> = 0..6;

/// Newton's steps from the mean of 1 and a number between ¼ and 4: f64 is exact after as many.
const NEWTON: usize = 5;

/// Adds to a pass: `root` = √`of`, and 0 where that is not positive. By powers of four, which are exact, and Newton's steps;
/// `spare` are overwritten.
pub(super) fn root(pass: Pass, of: Scalar, root: Scalar, [rest, mean]: [Scalar; 2]) -> Pass {
    let mut pass = pass.formula(rest, of).formula(root, 1.0);
    for k in STEPS.rev() {
        let half = ((1 << k) as f32).exp2();
        for (half, square) in [(half, half * half), (1.0 / half, 1.0 / (half * half))] {
            let beyond = || if half > 1.0 { rest - square } else { -Formula::from(rest) + square };
            pass = pass
                .formula(root, beyond().if_positive(root * half, root))
                .formula(rest, beyond().if_positive(rest * (1.0 / square), rest));
        }
    }
    pass = pass.formula(mean, (rest + 1.0) * 0.5);
    for _ in 0..NEWTON {
        pass = pass.formula(mean, (mean + rest / mean) * 0.5);
    }
    pass.formula(root, Formula::from(of).if_positive(root * mean, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_those_of_any_number() {
        let [of, to, a, b] = [0, 1, 2, 3].map(Scalar);
        let pass = root(Pass::new("root"), of, to, [a, b]);
        for x in [1.0, 2.0, 4.0, 0.25, 3e37, 1.2e-37, 7e-9, 123456.789, 0.0, -1.0, -3e20, f64::NAN] {
            let mut scalars = [x, 0.0, 0.0, 0.0];
            for (scalar, formula) in &pass.formulas {
                scalars[scalar.0] = formula.value(&scalars);
            }
            let want = if x > 0.0 { x.sqrt() } else { 0.0 };
            assert!((scalars[1] - want).abs() <= 1e-14 * want, "√{x} is not {}", scalars[1]);
        }
    }
}
