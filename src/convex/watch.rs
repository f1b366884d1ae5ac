//! When an objective has come to rest.
//!
//! Of a method whose objective falls to its limit at least as fast as 1/k, what is still to come after k iterations is at most
//! what it has fallen by since k/2. So a solve ends when the fall over the last half of its iterations is less than the
//! tolerance: a standstill of a few iterations ends nothing. Methods with a dual variable also have to show that it belongs
//! to the primal one.

/// Iterations before which nothing has come to rest.
const FIRST: usize = 20;

/// An objective above the least one by this factor grows without end.
const GROWN: f64 = 4.0;

/// Readings in a row, each above the one before, that are growth.
const RISES: usize = 4;

/// Of methods that bound what is left: how much more than the tolerance the objective may have fallen by.
pub(super) const CALM: f64 = 10.0;

/// The objective so far.
pub(super) struct Watch {
    /// Whether the objective of a sound method may rise for long.
    wavers: bool,
    /// Iteration and the least objective up to it.
    falls: Vec<(usize, f64)>,
    last: f64,
    rises: usize,
    /// Where the steps were last changed: what fell before says nothing of the rest.
    origin: usize,
}

/// What a reading says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// The least objective so far.
    pub best: bool,
    /// The fall over the last half of the iterations, as a part of the objective.
    pub change: f64,
    /// The objective grows without end, or is none.
    pub grows: bool,
}

impl Watch {
    /// Of a method whose objective falls but for ripples, or of one that `wavers`.
    pub fn new(wavers: bool) -> Watch {
        Watch { wavers, falls: Vec::new(), last: f64::INFINITY, rises: 0, origin: 0 }
    }

    /// Takes a reading in.
    pub fn see(&mut self, iteration: usize, objective: f64) -> Seen {
        if !objective.is_finite() {
            return Seen { best: false, change: f64::INFINITY, grows: true };
        }
        let least = self.least();
        let best = objective < least || self.falls.is_empty();
        self.rises = if objective > self.last { self.rises + 1 } else { 0 };
        self.last = objective;
        let least = least.min(objective);
        let (origin, done) = (self.origin, iteration - self.origin);
        let then = self.falls.iter().rev().find(|(k, _)| *k > origin && 2 * (k - origin) <= done);
        // An iterate above the least objective has not come to rest at it.
        let over = (objective - least).max(0.0);
        let change = match then {
            Some((_, then)) if done >= FIRST => (then - least + over) / least.abs().max(f64::MIN_POSITIVE),
            _ => f64::INFINITY,
        };
        let grows = objective > GROWN * least.abs().max(1e-30) && self.rises >= 1
            || !self.wavers && self.rises >= RISES && objective > 1.01 * least;
        self.falls.push((iteration, least));
        Seen { best, change, grows }
    }

    /// After a smaller step the history says nothing of the rest, but the least objective stays the least.
    pub fn restart(&mut self) {
        self.origin = self.falls.last().map_or(0, |(k, _)| *k);
        self.rises = 0;
        self.last = f64::INFINITY;
    }

    pub fn least(&self) -> f64 {
        self.falls.last().map_or(f64::INFINITY, |(_, f)| *f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_is_a_small_fall_over_half_of_the_iterations() {
        let mut watch = Watch::new(false);
        let mut ended = 0;
        // Towards 1 as 1/k.
        for k in (10..=5000).step_by(10) {
            let seen = watch.see(k, 1.0 + 1.0 / k as f64);
            assert!(!seen.grows);
            if seen.change <= 1e-3 {
                ended = k;
                break;
            }
        }
        assert!((900..=1100).contains(&ended), "{ended}");
    }

    #[test]
    fn a_standstill_is_no_rest_and_growth_is_seen() {
        let mut watch = Watch::new(false);
        watch.see(10, 8.0);
        watch.see(20, 4.0);
        assert!(watch.see(30, 4.0).change > 0.5);
        assert!(watch.see(40, f64::NAN).grows);
        assert!(watch.see(50, 40.0).grows);
        let mut watch = Watch::new(false);
        let grows: Vec<bool> =
            [1.0, 1.1, 1.2, 1.3, 1.4].iter().enumerate().map(|(k, f)| watch.see(10 * k, *f).grows).collect();
        assert_eq!(grows, [false, false, false, false, true]);
    }
}
