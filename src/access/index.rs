//! Where the elements of a stored value lie: flat indices, axis by axis.
//!
//! ```text
//! value of extents [3, 4], C order     read through "pad the last axis by one in front, to 6"
//!   0 1 2 3                              . 0 1 2 3 .     base −1, axes 3:stride 4, 6:stride 1 valid in 1..5
//!   4 5 6 7                              . 4 5 6 7 .     index(n0, n1) = −1 + 4·n0 + n1
//!   8 9 …                                . 8 9 … .
//! ```

use super::AxisMap;

/// The part of a flat index that one axis contributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AxisIndex {
    /// `n·stride`.
    Linear {
        /// Elements from one index to the next; 0 repeats.
        stride: i64,
    },
    /// `(n·num + off)/den · stride`, where that is whole.
    Divided {
        /// Numerator step.
        num: i64,
        /// Numerator offset.
        off: i64,
        /// Divisor.
        den: i64,
        /// Elements from one index to the next.
        stride: i64,
    },
    /// `((n·num + off) mod extent)·stride`.
    Wrapped {
        /// Step, ±1.
        num: i64,
        /// Offset; `n·num + off` lies above `-extent` wherever the load is valid.
        off: i64,
        /// The modulus.
        extent: i64,
        /// Elements from one index to the next.
        stride: i64,
    },
}

/// A flat index into a tensor: `base` plus what each axis contributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Index at n = 0 of the linear axes.
    pub base: i64,
    /// One entry for each axis of the load.
    pub axes: Vec<AxisIndex>,
}

/// Where an axis of a load has values; elsewhere the load gives 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    /// First valid index.
    pub lo: i64,
    /// End of the valid indices.
    pub hi: i64,
    /// `(num, off, den)`: only where `n·num + off` is a multiple of `den`.
    pub divisible: Option<(i64, i64, i64)>,
}

/// Strides of a C-order tensor.
pub fn c_strides(extents: &[usize]) -> Vec<i64> {
    let mut strides = vec![1i64; extents.len()];
    for a in (1..extents.len()).rev() {
        strides[a - 1] = strides[a] * extents[a] as i64;
    }
    strides
}

impl AxisIndex {
    /// The contribution at `n`.
    pub fn at(&self, n: i64) -> i64 {
        match *self {
            AxisIndex::Linear { stride } => n * stride,
            AxisIndex::Divided { num, off, den, stride } => (n * num + off).div_euclid(den) * stride,
            AxisIndex::Wrapped { num, off, extent, stride } => (n * num + off).rem_euclid(extent) * stride,
        }
    }

    /// Reads this axis through a map: the new entry, and what is added to the base.
    pub(super) fn through(self, m: &AxisMap, extent: usize) -> Option<(AxisIndex, i64)> {
        use AxisIndex::*;
        let whole = m.num == 1 && m.off == 0 && m.den == 1 && !m.wrap;
        Some(match self {
            Linear { stride: 0 } => (self, 0),
            same if whole => (same, 0),
            Linear { stride } if m.wrap => {
                (Wrapped { num: m.num, off: m.off.rem_euclid(extent as i64), extent: extent as i64, stride }, 0)
            }
            Linear { stride } if m.den > 1 => (Divided { num: m.num, off: m.off, den: m.den, stride }, 0),
            Linear { stride } => (Linear { stride: stride * m.num }, stride * m.off),
            Divided { num, off, den, stride } if m.den == 1 && !m.wrap => {
                (Divided { num: num * m.num, off: num * m.off + off, den, stride }, 0)
            }
            Wrapped { num, off, extent, stride } if m.den == 1 && m.num.abs() == 1 && !m.wrap => {
                (Wrapped { num: num * m.num, off: num * m.off + off, extent, stride }, 0)
            }
            _ => return None,
        })
    }
}

impl Access {
    /// C order. An axis of extent 1 has stride 0, here and in every access: equal reads are equal values.
    pub fn c_order(extents: &[usize]) -> Access {
        let stride = |(stride, &n): (i64, &usize)| AxisIndex::Linear { stride: if n == 1 { 0 } else { stride } };
        Access { base: 0, axes: c_strides(extents).into_iter().zip(extents).map(stride).collect() }
    }

    /// The flat index at a point.
    pub fn at(&self, n: &[i64]) -> i64 {
        self.base + self.axes.iter().zip(n).map(|(a, &n)| a.at(n)).sum::<i64>()
    }

    /// The stride of a linear axis.
    pub fn stride(&self, axis: usize) -> Option<i64> {
        match self.axes[axis] {
            AxisIndex::Linear { stride } => Some(stride),
            _ => None,
        }
    }

    /// Smallest and largest flat index over a box of indices, given as `(first, last)` pairs.
    pub fn footprint(&self, ranges: &[(i64, i64)]) -> (i64, i64) {
        self.axes.iter().zip(ranges).fold((self.base, self.base), |(low, high), (axis, &(first, last))| {
            let (a, b) = match *axis {
                AxisIndex::Wrapped { extent, stride, .. } => (0, (extent - 1) * stride),
                _ => (axis.at(first), axis.at(last)),
            };
            (low + a.min(b), high + a.max(b))
        })
    }

    pub(crate) fn permuted(&self, order: &[usize]) -> Access {
        Access { base: self.base, axes: order.iter().map(|&a| self.axes[a]).collect() }
    }
}

impl Validity {
    /// Everywhere.
    pub fn total(extent: usize) -> Validity {
        Validity { lo: 0, hi: extent as i64, divisible: None }
    }

    /// Whether index `n` has a value.
    pub fn holds(&self, n: i64) -> bool {
        n >= self.lo && n < self.hi && self.divisible.is_none_or(|(num, off, den)| (n * num + off) % den == 0)
    }

    /// How many indices below `extent` have a value.
    pub fn count(&self, extent: usize) -> usize {
        match self.divisible {
            None => (self.hi.min(extent as i64) - self.lo.max(0)).max(0) as usize,
            Some(_) => (0..extent as i64).filter(|&n| self.holds(n)).count(),
        }
    }
}

impl Validity {
    pub(super) fn through(&self, m: &AxisMap, input: usize, output: usize) -> Option<Validity> {
        let own = AxisMap { num: 1, off: 0, den: 1, wrap: false, lo: self.lo, hi: self.hi };
        let divisible = (m.den > 1).then_some((m.num, m.off, m.den));
        match self.divisible {
            None if *self == Validity::total(input) => Some(Validity { lo: m.lo, hi: m.hi, divisible }),
            None if m.wrap => None,
            None => {
                let both = m.after(&own, input, input)?;
                Some(Validity { lo: both.lo, hi: both.hi, divisible })
            }
            Some(_) if m.is_identity(input, output) => Some(*self),
            Some((num, off, den)) if m.den == 1 && !m.wrap => {
                let both = m.after(&own, input, input)?;
                Some(Validity { lo: both.lo, hi: both.hi, divisible: Some((num * m.num, num * m.off + off, den)) })
            }
            Some(_) => None,
        }
    }
}

/// The stride with which an access steps through a run of axes as one axis, if it does.
pub(super) fn merged_stride(access: &Access, extents: &[usize], axes: std::ops::Range<usize>) -> Option<i64> {
    let mut next: Option<(i64, i64)> = None;
    for a in axes.rev() {
        let stride = access.stride(a)?;
        if extents[a] == 1 {
            continue;
        }
        next = Some(match next {
            None => (stride, stride * extents[a] as i64),
            Some((inner, expected)) if expected == stride => (inner, expected * extents[a] as i64),
            Some(_) => return None,
        });
    }
    Some(next.map_or(0, |(inner, _)| inner))
}
