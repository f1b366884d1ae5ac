//! How far an objective is above its limit, estimated from its fall.
//!
//! The limit is not known; but where the gap falls like a power of the number of iterations, k^−p, as that of gradient methods
//! does on ill-posed problems, the falls D₀ from k/4 to k/2 and D₁ from k/2 to k have the quotient D₀/D₁ = 2^p, and the gap at k is
//! D₁/(2^p − 1) (Aitken, Proc. R. Soc. Edinb. 46:289, 1926, over doublings). Where it falls faster the estimate is on the safe side.

/// The objective at readings, and what they say of its limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fall {
    readings: Vec<(usize, f64)>,
    /// How often in a row the gap was small enough.
    agreed: usize,
}

/// Estimates in a row that have to agree.
const AGREED: usize = 2;

/// So many times the fall over the second half of the iterations is the gap, where it falls like a power as low as k^−0.07.
const STANDS: f64 = 20.0;

/// A gap of this part of the start is as good as none: of a sum of squares, 10⁻⁴ of the data.
const EXACT: f64 = 1e-8;

/// What a fall says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gap {
    /// Too few readings.
    Unknown,
    /// As far above the limit, infinite where that does not show, after a fall over the second half of the iterations.
    Of { above: f64, fell: f64 },
    /// The objective does not fall any more.
    Still,
}

impl Fall {
    /// Begins with the objective of the start.
    pub fn from(start: f64) -> Fall {
        Fall { readings: vec![(0, start)], agreed: 0 }
    }

    fn at(&self, iteration: usize) -> Option<f64> {
        let place = self.readings.binary_search_by_key(&iteration, |(k, _)| *k).ok()?;
        Some(self.readings[place].1)
    }

    /// Takes the objective after so many iterations in, and estimates what it is above its limit.
    pub fn take(&mut self, iteration: usize, objective: f64) -> Gap {
        self.readings.push((iteration, objective));
        if iteration < 8 || !iteration.is_multiple_of(4) {
            return Gap::Unknown;
        }
        let (Some(early), Some(half)) = (self.at(iteration / 4), self.at(iteration / 2)) else { return Gap::Unknown };
        let (before, last) = (early - half, half - objective);
        match () {
            _ if last <= 0.0 => Gap::Still,
            // A square falls to 0 at most.
            _ if last < before => {
                Gap::Of { above: (last * last / (before - last)).min(objective.max(0.0)), fell: last }
            }
            _ => Gap::Of { above: f64::INFINITY, fell: last },
        }
    }

    /// Whether the objective has come to within `tol` of its limit, as [`take`](Fall::take) has it, or has fallen by a small part of
    /// that over the second half of the iterations. Where the data are fitted all but exactly a gap of 10⁻⁸ of the start is none. Two
    /// readings in a row have to say so. Never with a tol of 0.
    pub fn ended(&mut self, gap: Gap, objective: f64, tol: f64) -> bool {
        let small = |gap: f64| tol > 0.0 && gap <= (tol * objective).max(EXACT * self.start());
        match gap {
            Gap::Unknown => return false,
            Gap::Still => self.agreed = if tol > 0.0 { AGREED } else { 0 },
            Gap::Of { above, fell } if small(above.min(STANDS * fell)) => self.agreed += 1,
            Gap::Of { .. } => self.agreed = 0,
        }
        self.agreed >= AGREED
    }

    /// Whether an objective that cannot fall below 0 is so small a part of the start that a gap of it is none.
    #[cfg(feature = "app")]
    pub fn exact(&self, objective: f64) -> bool {
        objective <= EXACT * self.start()
    }

    /// The objective of the start.
    pub fn start(&self) -> f64 {
        self.readings.first().map_or(0.0, |(_, f)| *f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first iteration at which the fall is ended, with the gap that there is then, over the objective.
    fn end(objective: impl Fn(usize) -> f64, limit: f64, tol: f64) -> Option<(usize, f64)> {
        let mut fall = Fall::from(objective(0));
        let ended = (1..=20_000).map(|k| 5 * k).find(|&k| {
            let gap = fall.take(k, objective(k));
            fall.ended(gap, objective(k), tol)
        })?;
        Some((ended, (objective(ended) - limit) / objective(ended)))
    }

    #[test]
    fn powers_and_exponentials_end_where_they_should() {
        for (name, f) in [
            ("1/√k", Box::new(|k: usize| 3.0 + 0.05 / (1.0 + k as f64).sqrt()) as Box<dyn Fn(usize) -> f64>),
            ("1/k", Box::new(|k: usize| 3.0 + 50.0 / (1 + k) as f64)),
            ("1/k²", Box::new(|k: usize| 3.0 + 50.0 / ((1 + k) as f64).powi(2))),
            ("exponential", Box::new(|k: usize| 3.0 + 50.0 * 0.97f64.powi(k as i32))),
        ] {
            let (k, gap) = end(f, 3.0, 1e-3).unwrap();
            assert!(k > 20 && gap < 1.3e-3, "{name}: {gap:.1e} at {k}");
        }
        // One that never stands: a logarithm.
        assert!(end(|k| 30.0 - (1.0 + k as f64).ln(), 0.0, 1e-4).is_none());
    }

    #[test]
    fn nothing_ends_after_a_few_iterations() {
        let mut fall = Fall::from(10.0);
        for k in 1..8 {
            let gap = fall.take(k, 1.0);
            assert!(gap == Gap::Unknown && !fall.ended(gap, 1.0, 0.1));
        }
        // What stands still is at its end.
        let gap = fall.take(8, 1.0);
        assert!(gap == Gap::Still && fall.ended(gap, 1.0, 0.1));
        assert_eq!(fall.start(), 10.0);
    }
}
