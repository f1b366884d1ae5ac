//! What a device can do at best.

use super::median;
use crate::error::{Error, Result};
use crate::plan::Cost;
use crate::run::Device;
use crate::setters::setters;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Bytes that the smallest and the largest copy move.
const LEAST: u64 = 1 << 12;
const MOST: u64 = 1 << 30;

/// How [`Roof::of`] measures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RoofOptions {
    /// Rounds of each copy: 7.
    pub rounds: usize,
    /// No larger copy is begun once one size has taken this long: 1 s.
    pub patience: Duration,
}

impl Default for RoofOptions {
    fn default() -> RoofOptions {
        RoofOptions { rounds: 7, patience: Duration::from_secs(1) }
    }
}

setters! { RoofOptions {
    /// With so many rounds.
    rounds: usize,
    /// With no larger copy once one size has taken this long.
    patience: Duration,
} }

/// The fastest copy of so many bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CopyTime {
    /// Bytes moved: read and written.
    pub bytes: u64,
    /// Seconds: of each way of copying the median, of these the least.
    pub seconds: f64,
    /// The way of copying.
    pub by: &'static str,
}

/// What a device can do at best, as measured on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Roof {
    /// The device.
    pub device: String,
    /// The fastest copies, by bytes.
    pub copies: Vec<CopyTime>,
    /// Real products and sums a second: the best round of multiply-adds in registers.
    pub flops: f64,
}

impl Roof {
    /// Measures a device: copies that move up to so many bytes (1 GiB at most, and what its memory holds), and multiply-adds.
    ///
    /// # Errors
    /// The device fails, or does not even have memory for the smallest copy.
    pub fn of(device: &Device, bytes: u64, options: &RoofOptions) -> Result<Roof> {
        let mut copies: Vec<CopyTime> = Vec::new();
        let mut moved = LEAST;
        loop {
            let start = Instant::now();
            let fastest = match device.copies(moved / 2, options.rounds.max(1)) {
                Ok(ways) => ways.into_iter().map(|(by, mut s)| (by, median(&mut s))).min_by(|a, b| a.1.total_cmp(&b.1)),
                Err(e) if !copies.is_empty() && is_memory(&e) => break,
                Err(e) => return Err(e),
            };
            copies.extend(fastest.map(|(by, seconds)| CopyTime { bytes: moved, seconds, by }));
            if moved >= bytes.min(MOST) || start.elapsed() > options.patience {
                break;
            }
            moved *= 4;
        }
        // A copy takes no longer than a larger one: what it takes longer by is a disturbance.
        for k in (1..copies.len()).rev() {
            copies[k - 1].seconds = copies[k - 1].seconds.min(copies[k].seconds);
        }
        let flops = device.multiply_adds(options.rounds)?.into_iter().fold(0.0, f64::max);
        Ok(Roof { device: device.name(), copies, flops })
    }

    /// Seconds of a copy that moves so many bytes: between those that were measured along powers, beyond the largest at its rate;
    /// what is smaller than the smallest takes as long as that.
    pub fn copy_seconds(&self, bytes: u64) -> f64 {
        let (Some(first), Some(last)) = (self.copies.first(), self.copies.last()) else { return 0.0 };
        if bytes <= first.bytes {
            return first.seconds;
        }
        let Some(above) = self.copies.iter().position(|c| c.bytes >= bytes) else {
            return last.seconds * (bytes as f64 / last.bytes as f64);
        };
        let (a, b) = (&self.copies[above - 1], &self.copies[above]);
        let part = (bytes as f64 / a.bytes as f64).ln() / (b.bytes as f64 / a.bytes as f64).ln();
        (a.seconds.max(1e-12).ln() * (1.0 - part) + b.seconds.max(1e-12).ln() * part).exp()
    }

    /// Bytes a second of a copy that moves so many bytes.
    pub fn bandwidth(&self, bytes: u64) -> f64 {
        bytes as f64 / self.copy_seconds(bytes).max(1e-12)
    }

    /// Bytes a second of the best of all copies.
    pub fn best_bandwidth(&self) -> f64 {
        self.copies.iter().map(|c| c.bytes as f64 / c.seconds.max(1e-12)).fold(0.0, f64::max)
    }

    /// Seconds that work takes at least: as long as a copy of its bytes, and as long as its flops at the rate of multiply-adds.
    pub fn seconds(&self, cost: &Cost) -> f64 {
        self.copy_seconds(cost.read + cost.written).max(cost.flops as f64 / self.flops.max(1.0))
    }
}

/// Whether there is no memory for it.
fn is_memory(e: &Error) -> bool {
    matches!(e.root(), Error::OutOfMemory(_) | Error::TooBig { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_between_those_that_were_measured() {
        let copy = |bytes, seconds| CopyTime { bytes, seconds, by: "any" };
        let roof = Roof {
            device: "some".into(),
            copies: vec![copy(1 << 12, 1e-6), copy(1 << 14, 1e-6), copy(1 << 16, 4e-6)],
            flops: 1e9,
        };
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-9, "{a} {b}");
        close(roof.copy_seconds(1), 1e-6);
        close(roof.copy_seconds(1 << 13), 1e-6);
        close(roof.copy_seconds(1 << 14), 1e-6);
        close(roof.copy_seconds(1 << 15), 2e-6);
        close(roof.copy_seconds(1 << 16), 4e-6);
        close(roof.copy_seconds(1 << 20), 64e-6);
        close(roof.best_bandwidth(), f64::from(1 << 14) * 1e6);
        // Bound by bytes, and by flops.
        close(roof.seconds(&Cost { read: 1 << 14, written: 1 << 14, flops: 100 }), 2e-6);
        close(roof.seconds(&Cost { read: 1 << 14, written: 1 << 14, flops: 10_000 }), 1e-5);
    }
}
