//! How one axis of an index map reads the axis below it.

/// Output index `n` reads input index `(n·num + off) / den`, where that is whole and `lo ≤ n < hi`; elsewhere the value is 0.
/// With `wrap` the index is taken modulo the input extent (then `num` is ±1, `den` is 1 and every `n` is valid).
///
/// An axis map never reads an input twice, so its transpose is an axis map again. Slices, strides, padding, cropping, flips
/// and rolls are all of this form, and most compositions of them are too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AxisMap {
    /// Step through the input for one step of the output; not 0.
    pub num: i64,
    /// Offset before the division.
    pub off: i64,
    /// Divisor, at least 1; more than 1 spreads the input out (embed, upsample).
    pub den: i64,
    /// Whether the index is taken modulo the input extent.
    pub wrap: bool,
    /// First valid output index.
    pub lo: i64,
    /// End of the valid output indices.
    pub hi: i64,
}

impl AxisMap {
    /// Reads every index as it is.
    pub fn identity(extent: usize) -> AxisMap {
        AxisMap { num: 1, off: 0, den: 1, wrap: false, lo: 0, hi: extent as i64 }
    }

    /// Output index `n` reads `(n·num + off)/den` of an input of extent `input`, for an output of extent `output`.
    pub fn affine(num: i64, off: i64, den: i64, input: usize, output: usize) -> AxisMap {
        let mut m = AxisMap { num, off, den, wrap: false, lo: 0, hi: output as i64 };
        m.clip(input as i64);
        m
    }

    /// `y[n] = x[(±n + off) mod extent]`.
    pub fn wrapped(num: i64, off: i64, extent: usize) -> AxisMap {
        let e = extent as i64;
        let (off, wrap) = (off.rem_euclid(e), extent > 1);
        if num == 1 && off == 0 || !wrap {
            return AxisMap::identity(extent);
        }
        AxisMap { num, off, den: 1, wrap, lo: 0, hi: e }
    }

    /// Whether the output is the input, index for index.
    pub fn is_identity(&self, input: usize, output: usize) -> bool {
        *self == AxisMap::identity(output) && input == output
    }

    /// Whether every output index reads an input.
    pub fn is_total(&self, output: usize) -> bool {
        self.den == 1 && self.lo == 0 && self.hi == output as i64
    }

    /// Whether every index that it reads exists: what kernels without bounds checks rely on.
    pub(crate) fn stays_inside(&self, input: usize, output: usize) -> bool {
        let (input, output) = (input as i128, output as i128);
        let (num, off, den) = (i128::from(self.num), i128::from(self.off), i128::from(self.den));
        let (lo, hi) = (i128::from(self.lo), i128::from(self.hi));
        if num == 0 || den < 1 || lo < 0 || hi > output {
            return false;
        }
        if self.wrap {
            return num.abs() == 1 && den == 1 && off.abs() <= input;
        }
        let inside = |n: i128| (0..input * den).contains(&(n * num + off));
        lo >= hi || (inside(lo) && inside(hi - 1))
    }

    /// The input index that `n` reads, if any.
    pub fn at(&self, n: i64, input: usize) -> Option<i64> {
        if n < self.lo || n >= self.hi {
            return None;
        }
        let i = n * self.num + self.off;
        if self.wrap {
            return Some(i.rem_euclid(input as i64));
        }
        (i % self.den == 0).then_some(i / self.den)
    }

    /// The map that reads `self` after `inner`: output `n` reads `inner` at `self(n)`. `mid` and `input` are the extents
    /// between the two and below both. None where the composition is not an axis map.
    pub fn after(&self, inner: &AxisMap, mid: usize, input: usize) -> Option<AxisMap> {
        if inner.is_identity(input, mid) {
            return Some(*self);
        }
        if *self == AxisMap::identity(mid) {
            return Some(*inner);
        }
        if inner.wrap {
            // A total, unit-step read of a rolled axis stays one only if it covers whole turns; keep to equal extents.
            let unit = self.den == 1 && self.num.abs() == 1 && self.wrap && mid == input;
            return unit.then(|| AxisMap::wrapped(self.num * inner.num, self.off * inner.num + inner.off, input));
        }
        if self.wrap || (self.den > 1 && inner.num.abs() != 1) {
            return None;
        }
        let mut m = AxisMap {
            num: self.num * inner.num,
            off: self.off * inner.num + inner.off * self.den,
            den: self.den * inner.den,
            wrap: false,
            lo: self.lo,
            hi: self.hi,
        };
        // The middle index must lie in what `inner` allows …
        m.clip_to(self, inner.lo, inner.hi);
        // … and the input index in the input.
        m.clip(input as i64);
        Some(m)
    }

    /// The map from input index to the output index that reads it.
    pub fn transpose(&self, input: usize, output: usize) -> AxisMap {
        if self.wrap {
            return AxisMap::wrapped(self.num, -self.num * self.off, input);
        }
        let s = self.num.signum();
        let mut m = AxisMap {
            num: self.den * s,
            off: -self.off * s,
            den: self.num.abs(),
            wrap: false,
            lo: 0,
            hi: input as i64,
        };
        m.clip_to(&m.clone(), self.lo, self.hi.min(output as i64));
        m
    }

    /// Narrows `lo..hi` to where the index read is in `0..extent`.
    fn clip(&mut self, extent: i64) {
        let me = *self;
        self.clip_to(&me, 0, extent);
    }

    /// Narrows `lo..hi` to where `by` reads an index in `first..end`.
    fn clip_to(&mut self, by: &AxisMap, first: i64, end: i64) {
        // first ≤ (n·num + off)/den ≤ end − 1, all whole, so multiply out; division by num rounds inwards.
        let (low, high) = (first * by.den - by.off, (end - 1) * by.den - by.off);
        let (lo, hi) = if by.num > 0 {
            (div_ceil(low, by.num), low_div(high, by.num) + 1)
        } else {
            (div_ceil(-high, -by.num), low_div(-low, -by.num) + 1)
        };
        self.lo = self.lo.max(lo);
        self.hi = self.hi.min(hi).max(self.lo);
    }
}

/// One output axis of an index map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapAxis {
    /// Reads this input axis through the map.
    From(usize, AxisMap),
    /// A new axis along which the values repeat.
    New,
}

/// One identity entry for each axis.
pub(crate) fn identity_axes(extents: &[usize]) -> Vec<MapAxis> {
    extents.iter().enumerate().map(|(a, &n)| MapAxis::From(a, AxisMap::identity(n))).collect()
}

fn low_div(a: i64, b: i64) -> i64 {
    a.div_euclid(b)
}

fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything a small axis can do: slices, pads, flips, strides, rolls.
    fn some() -> Vec<(AxisMap, usize, usize)> {
        let mut out = vec![];
        for input in 1..7usize {
            out.push((AxisMap::identity(input), input, input));
            for off in -3..4 {
                for (num, den) in [(1, 1), (-1, 1), (2, 1), (3, 1), (1, 2), (1, 3), (-2, 1), (2, 3)] {
                    for output in [1, 3, 5, 8] {
                        out.push((AxisMap::affine(num, off, den, input, output), input, output));
                    }
                }
                out.push((AxisMap::wrapped(1, off, input), input, input));
                out.push((AxisMap::wrapped(-1, off, input), input, input));
            }
        }
        out
    }

    #[test]
    fn the_transpose_reads_back() {
        for (m, input, output) in some() {
            let t = m.transpose(input, output);
            for n in 0..output as i64 {
                if let Some(i) = m.at(n, input) {
                    assert!((0..input as i64).contains(&i), "{m:?} {n} {i}");
                    assert_eq!(t.at(i, output), Some(n), "{m:?} {t:?} n={n} i={i}");
                }
            }
            for i in 0..input as i64 {
                if let Some(n) = t.at(i, output) {
                    assert_eq!(m.at(n, input), Some(i), "{m:?} {t:?} n={n} i={i}");
                }
            }
        }
    }

    #[test]
    fn compositions_read_through() {
        let all = some();
        let mut composed = 0;
        for (inner, input, mid) in &all {
            for (outer, mid2, output) in &all {
                if mid != mid2 {
                    continue;
                }
                let Some(both) = outer.after(inner, *mid, *input) else { continue };
                composed += 1;
                for n in 0..*output as i64 {
                    let want = outer.at(n, *mid).and_then(|j| inner.at(j, *input));
                    assert_eq!(both.at(n, *input), want, "{outer:?} after {inner:?} = {both:?} at {n}");
                }
            }
        }
        assert!(composed > 1000);
    }
}
