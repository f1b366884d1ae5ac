//! One step of the Stockham chain, and where its elements lie.
//!
//! `N = r₁·r₂·…`: a step of radix `r` finds `done` = the product of the radices before it. Line `j < N/r` takes the elements
//! `j + q·N/r`, multiplies them by `w^(kq)` with `k = j mod done` and `w = exp(-2πi/(done·r))`, and puts its DFT at
//! `(j - k)·r + k + q·done`. The result of the last step is in natural order (Van Loan 1992, section 1.7). The same rule
//! serves a butterfly in registers, a stage in workgroup memory, and a whole pass over the array.

/// A step of a length-`n` DFT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Step {
    /// The whole length.
    pub(super) n: usize,
    /// The radix of this step.
    pub(super) radix: usize,
    /// The product of the radices before.
    pub(super) done: usize,
}

impl Step {
    /// The chain of steps for the radices in order.
    pub(super) fn chain(radices: &[usize]) -> Vec<Step> {
        let n = radices.iter().product();
        let before = radices.iter().scan(1, |done, r| {
            *done *= r;
            Some(*done / r)
        });
        radices.iter().zip(before).map(|(&radix, done)| Step { n, radix, done }).collect()
    }

    /// Whether nothing comes before, so that there are no twiddles and the input may be shifted.
    pub(super) fn first(&self) -> bool {
        self.done == 1
    }

    /// Whether nothing comes after, so that the result is scaled and may be shifted.
    pub(super) fn last(&self) -> bool {
        self.done * self.radix == self.n
    }

    /// The number of lines, `n / radix`.
    pub(super) fn lines(&self) -> usize {
        self.n / self.radix
    }

    /// The part of the kernel's key that says whether it begins and ends the transform.
    pub(super) fn role(&self) -> &'static str {
        match (self.first(), self.last()) {
            (true, true) => "only",
            (true, false) => "first",
            (false, false) => "middle",
            (false, true) => "last",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of the module's documentation, with naive small DFTs.
    fn transform(x: &[[f64; 2]], radices: &[usize]) -> Vec<[f64; 2]> {
        let dft = |x: &[[f64; 2]]| -> Vec<[f64; 2]> {
            let n = x.len();
            let term = |k: usize, j: usize| {
                let (s, c) = (-std::f64::consts::TAU * ((j * k) % n) as f64 / n as f64).sin_cos();
                [x[j][0] * c - x[j][1] * s, x[j][0] * s + x[j][1] * c]
            };
            let sum = |k| (0..n).map(|j| term(k, j)).fold([0.0, 0.0], |a, b| [a[0] + b[0], a[1] + b[1]]);
            (0..n).map(sum).collect()
        };
        if radices.is_empty() {
            return dft(x);
        }
        let mut x = x.to_vec();
        for step in Step::chain(radices) {
            let mut y = x.clone();
            for j in 0..step.lines() {
                let k = j % step.done;
                let line: Vec<[f64; 2]> = (0..step.radix)
                    .map(|q| {
                        let angle = -std::f64::consts::TAU * (k * q) as f64 / (step.done * step.radix) as f64;
                        let ((s, c), v) = (angle.sin_cos(), x[j + q * step.lines()]);
                        [v[0] * c - v[1] * s, v[0] * s + v[1] * c]
                    })
                    .collect();
                for (q, v) in dft(&line).into_iter().enumerate() {
                    y[(j - k) * step.radix + k + q * step.done] = v;
                }
            }
            x = y;
        }
        x
    }

    #[test]
    fn the_chain_is_a_dft() {
        let x: Vec<[f64; 2]> = (0..120).map(|n| [f64::from(n * n % 17), f64::from(n % 5)]).collect();
        let want = transform(&x, &[]);
        for radices in [&[120][..], &[10, 12], &[2, 3, 4, 5], &[5, 1, 24]] {
            let got = transform(&x, radices);
            let worst = got.iter().zip(&want).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).fold(0.0, f64::max);
            assert!(worst < 1e-9, "{radices:?}: {worst}");
        }
    }
}
