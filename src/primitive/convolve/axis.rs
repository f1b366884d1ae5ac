//! One axis of a convolution: which index of x each tap of each result reads.

use crate::error::{Result, shape_err};

/// Tap `j` of result `m` reads `x[(stride·m + step·j + offset)/up]`, where that is whole and within x; with a `period` the
/// position is taken modulo it first.
///
/// The relation between `m` and the index `n` that it reads, `up·n = stride·m + step·j + offset`, is solved for `n` here and for
/// `m` in the transpose, which therefore is another one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvAxis {
    /// Positions from one result to the next, at least 1.
    pub stride: usize,
    /// Positions from one index of x to the next, at least 1.
    pub up: usize,
    /// Positions from one tap to the next: 1 correlates, −1 convolves.
    pub step: i64,
    /// Position of the first tap of the first result.
    pub offset: i64,
    /// Number of results.
    pub extent: usize,
    /// Positions after which x repeats.
    pub period: Option<usize>,
}

/// Results `m0 + k·dm` that read `n0 + k·dn`, for k below `len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub m0: usize,
    pub n0: usize,
    pub len: usize,
    pub dm: usize,
    pub dn: i64,
}

impl ConvAxis {
    /// An axis of one index and one tap.
    pub(super) const ONE: ConvAxis = ConvAxis { stride: 1, up: 1, step: 1, offset: 0, extent: 1, period: None };

    /// Whether it fits an axis of `input` indices and so many taps.
    pub(crate) fn check(&self, input: usize, taps: usize) -> Result<()> {
        let ConvAxis { stride, up, step, extent, period, .. } = *self;
        if stride == 0 || up == 0 || step.abs() != 1 || extent == 0 {
            return shape_err!("{self:?}: expected a stride, an upsampling and an extent of at least 1, and a step of ±1");
        }
        if let Some(period) = period
            && (up * (input - 1) >= period || stride * (extent - 1) >= period)
        {
            return shape_err!("{self:?}: {input} indices of x and {extent} results must fit the period");
        }
        // Kernels count positions in 32 bits, signed.
        let far = |n: usize, by: usize| (n as i128) * (by as i128);
        let reach = far(extent, stride) + far(input, up) + taps as i128 + i128::from(self.offset).abs();
        match reach < i128::from(i32::MAX) {
            true => Ok(()),
            false => shape_err!(
                "{extent} results by {stride} of {input} indices and {taps} taps are more positions than 31 bits count; use fewer"
            ),
        }
    }

    /// The index of x that tap `j` of result `m` reads.
    pub fn source(&self, m: usize, j: usize, input: usize) -> Option<usize> {
        let mut at = self.stride as i64 * m as i64 + self.step * j as i64 + self.offset;
        // A row asks this for every tap, and divisions are slow.
        if let Some(period) = self.period.filter(|period| !(0..*period as i64).contains(&at)) {
            at = at.rem_euclid(period as i64);
        }
        if self.up > 1 {
            let up = self.up as i64;
            at = if at % up == 0 { at / up } else { -1 };
        }
        (0..input as i64).contains(&at).then_some(at as usize)
    }

    /// Whether one tap gives so many indices of x as they are.
    pub(super) fn is_still(&self, input: usize) -> bool {
        (self.stride, self.up, self.offset, self.extent) == (1, 1, 0, input)
    }

    /// Whole periods that lift the lowest position of so many taps to 0 or above.
    pub(super) fn turns(&self, taps: usize) -> usize {
        let lowest = self.offset + (self.step * (taps as i64 - 1)).min(0);
        let below = (-lowest).max(0) as usize;
        self.period.map_or(0, |period| below.next_multiple_of(period))
    }

    /// The axis of the transpose, which reads results and gives indices of x.
    pub(super) fn transposed(&self, input: usize) -> ConvAxis {
        ConvAxis {
            stride: self.up,
            up: self.stride,
            step: -self.step,
            offset: -self.offset,
            extent: input,
            period: self.period,
        }
    }

    /// All results that tap `j` contributes to, in order.
    pub(super) fn runs(&self, j: usize, input: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        if self.period.is_none() && self.up == 1 {
            // stride·m + at lies in 0..input for one stretch of m.
            let (at, stride) = (self.step * j as i64 + self.offset, self.stride as i64);
            let first = (-at).max(0).div_ceil_by(stride);
            let end = (input as i64 - at).max(0).div_ceil_by(stride).min(self.extent as i64);
            if first < end {
                let n0 = (first * stride + at) as usize;
                runs.push(Run { m0: first as usize, n0, len: (end - first) as usize, dm: 1, dn: stride });
            }
            return runs;
        }
        for m in 0..self.extent {
            let Some(n) = self.source(m, j, input) else { continue };
            if let Some(run) = runs.last_mut() {
                let (dm, dn) = (m - (run.m0 + (run.len - 1) * run.dm), n as i64 - run.last());
                if run.len == 1 || (dm, dn) == (run.dm, run.dn) {
                    *run = Run { dm, dn, len: run.len + 1, ..*run };
                    continue;
                }
            }
            runs.push(Run { m0: m, n0: n, len: 1, dm: 1, dn: 1 });
        }
        runs
    }

    /// The same without a period, if no tap of results `first..end` wraps.
    pub(super) fn unwrapped(&self, first: usize, end: usize, taps: usize) -> ConvAxis {
        let Some(period) = self.period else { return *self };
        let tap = self.step * (taps as i64 - 1);
        let low = (self.stride * first) as i64 + self.offset + tap.min(0);
        let high = (self.stride * (end - 1)) as i64 + self.offset + tap.max(0);
        let inside = low >= 0 && high < period as i64;
        ConvAxis { period: self.period.filter(|_| !inside), ..*self }
    }

    /// First and end of the indices of x that results `first..end` read through any of so many taps; all where they wrap.
    pub(super) fn reach(&self, first: usize, end: usize, taps: usize, input: usize) -> (usize, usize) {
        if self.period.is_some() {
            return (0, input);
        }
        let (stride, up) = (self.stride as i64, self.up as i64);
        let tap = self.step * (taps as i64 - 1);
        let low = stride * first as i64 + self.offset + tap.min(0);
        let high = stride * (end as i64 - 1) + self.offset + tap.max(0);
        let first = low.max(0).div_ceil_by(up).min(input as i64);
        let end = (high.div_euclid(up) + 1).clamp(first, input as i64);
        (first as usize, end as usize)
    }
}

impl Run {
    fn last(&self) -> i64 {
        self.n0 as i64 + (self.len as i64 - 1) * self.dn
    }

    /// So many of its pairs, from pair k on.
    pub fn part(&self, k: usize, len: usize) -> Run {
        let n0 = (self.n0 as i64 + k as i64 * self.dn).max(0) as usize;
        Run { m0: self.m0 + k * self.dm, n0, len, ..*self }
    }

    /// The part of it whose results lie in `first..end`.
    pub fn within(&self, first: usize, end: usize) -> Run {
        let skipped = first.saturating_sub(self.m0).div_ceil(self.dm).min(self.len);
        let stop = end.saturating_sub(self.m0).div_ceil(self.dm).min(self.len);
        let n0 = (self.n0 as i64 + skipped as i64 * self.dn).max(0) as usize;
        Run { m0: self.m0 + skipped * self.dm, n0, len: stop.saturating_sub(skipped), ..*self }
    }
}

/// Division that rounds up.
trait DivCeil {
    fn div_ceil_by(self, by: Self) -> Self;
}

impl DivCeil for i64 {
    fn div_ceil_by(self, by: i64) -> i64 {
        -(-self).div_euclid(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<(ConvAxis, usize, usize)> {
        let mut all = vec![];
        for (input, extent, taps) in [(7, 7, 3), (5, 9, 4), (9, 4, 2), (1, 1, 1), (6, 2, 8), (3, 11, 5)] {
            for (stride, up, step, offset) in
                [(1, 1, -1, 2), (2, 1, -1, 3), (1, 2, 1, -3), (3, 1, 1, 0), (2, 3, -1, 1), (1, 1, 1, -20)]
            {
                let axis = ConvAxis { stride, up, step, offset, extent, period: None };
                all.push((axis, input, taps));
                let period = (up * input).max(stride * extent);
                all.push((ConvAxis { period: Some(period), ..axis }, input, taps));
            }
        }
        all
    }

    #[test]
    fn the_transpose_reads_back() {
        for (axis, input, taps) in some() {
            axis.check(input, taps).unwrap();
            let t = axis.transposed(input);
            for j in 0..taps {
                for m in 0..axis.extent {
                    for n in 0..input {
                        let there = axis.source(m, j, input) == Some(n);
                        assert_eq!(there, t.source(n, j, axis.extent) == Some(m), "{axis:?} m {m} n {n} j {j}");
                    }
                }
            }
        }
    }

    #[test]
    fn runs_and_reach_hold_what_is_read() {
        for (axis, input, taps) in some() {
            for j in 0..taps {
                let want: Vec<_> =
                    (0..axis.extent).filter_map(|m| axis.source(m, j, input).map(|n| (m, n as i64))).collect();
                for (first, end) in [(0, axis.extent), (1, axis.extent), (0, axis.extent / 2), (2, 3)] {
                    let within = |m: &usize| (first..end).contains(m);
                    let mut got = vec![];
                    for run in axis.runs(j, input) {
                        let run = run.within(first, end);
                        got.extend((0..run.len).map(|k| (run.m0 + k * run.dm, run.n0 as i64 + k as i64 * run.dn)));
                    }
                    let want: Vec<_> = want.iter().copied().filter(|(m, _)| within(m)).collect();
                    assert_eq!(got, want, "{axis:?} tap {j} results {first}..{end}");
                }
                let (low, high) = axis.reach(0, axis.extent, taps, input);
                assert!(want.iter().all(|(_, n)| (low as i64..high as i64).contains(n)), "{axis:?}");
            }
        }
    }
}
