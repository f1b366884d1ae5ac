//! Fused reads: how a kernel's input is made from a stored value without being stored itself.
//!
//! Index maps, pointwise weights and scalars between two kernels collapse into the [`Load`] of the second: at index `n` it
//! gives `scale · Π factorⱼ[…n…] · x[…n…]`, or 0 outside of its validity. The host loops and the shader assembly both read
//! this one description.

use super::{AxisMap, Constant, MapAxis, ValueId};
use num_complex::Complex64;

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

/// A pointwise weight of a load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Factor {
    /// The weight.
    pub weight: Constant,
    /// Whether it is conjugated.
    pub conj: bool,
    /// Where it is read.
    pub access: Access,
}

/// A fused read, see the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The stored value that is read.
    pub value: ValueId,
    /// Extents of what the load gives.
    pub extents: Vec<usize>,
    /// Validity, axis by axis.
    pub valid: Vec<Validity>,
    /// Where the value is read.
    pub source: Access,
    /// Pointwise weights.
    pub factors: Vec<Factor>,
    /// Scalar factor.
    pub scale: Complex64,
}

/// Strides of a C-order tensor.
pub(crate) fn c_strides(extents: &[usize]) -> Vec<i64> {
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
    fn through(self, m: &AxisMap, extent: usize) -> Option<(AxisIndex, i64)> {
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

    fn permuted(&self, order: &[usize]) -> Access {
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
}

impl Load {
    /// A plain read of a whole value.
    pub fn whole(value: ValueId, extents: &[usize]) -> Load {
        Load {
            value,
            extents: extents.to_vec(),
            valid: extents.iter().map(|&n| Validity::total(n)).collect(),
            source: Access::c_order(extents),
            factors: Vec::new(),
            scale: Complex64::new(1.0, 0.0),
        }
    }

    /// Whether it reads the value as it is stored, element for element.
    pub fn is_plain(&self) -> bool {
        self.factors.is_empty() && self.scale == Complex64::new(1.0, 0.0) && self.is_in_order()
    }

    /// Whether element `n` of the load comes from element `n` of the value (weights aside).
    pub fn is_in_order(&self) -> bool {
        self.source == Access::c_order(&self.extents) && self.is_total()
    }

    /// Whether it has a value everywhere.
    pub fn is_total(&self) -> bool {
        self.valid.iter().zip(&self.extents).all(|(v, &n)| *v == Validity::total(n))
    }

    fn accesses(&self) -> impl Iterator<Item = &Access> {
        std::iter::once(&self.source).chain(self.factors.iter().map(|f| &f.access))
    }

    fn with_accesses(&self, f: impl Fn(&Access) -> Option<Access>) -> Option<(Access, Vec<Factor>)> {
        let source = f(&self.source)?;
        let factor = |x: &Factor| Some(Factor { weight: x.weight.clone(), conj: x.conj, access: f(&x.access)? });
        Some((source, self.factors.iter().map(factor).collect::<Option<_>>()?))
    }

    /// The load times a weight whose axis `k` runs along axis `axes[k]`.
    pub fn times(mut self, weight: &Constant, axes: &[usize], conj: bool) -> Load {
        let mut entries = vec![AxisIndex::Linear { stride: 0 }; self.extents.len()];
        for (&a, stride) in axes.iter().zip(c_strides(weight.extents())) {
            entries[a] = AxisIndex::Linear { stride };
        }
        let access = Access { base: 0, axes: entries };
        self.factors.push(Factor { weight: weight.clone(), conj, access });
        self
    }

    /// The load seen through an index map; None where that cannot be expressed and the load must be stored first.
    pub fn mapped(&self, axes: &[MapAxis], extents: &[usize]) -> Option<Load> {
        let through = |access: &Access| {
            let mut out = Access { base: access.base, axes: Vec::with_capacity(axes.len()) };
            for (a, &extent) in axes.iter().zip(extents) {
                let (mut axis, base) = match a {
                    MapAxis::New => (AxisIndex::Linear { stride: 0 }, 0),
                    MapAxis::From(from, m) => access.axes[*from].through(m, self.extents[*from])?,
                };
                out.base += base;
                if extent == 1 {
                    // One index is a constant, wherever it reads.
                    out.base += axis.at(0);
                    axis = AxisIndex::Linear { stride: 0 };
                }
                out.axes.push(axis);
            }
            Some(out)
        };
        let (source, factors) = self.with_accesses(through)?;
        let valid = axes.iter().zip(extents).map(|(a, &extent)| match a {
            MapAxis::New => Some(Validity::total(extent)),
            MapAxis::From(from, m) => self.valid[*from].through(m, self.extents[*from], extent),
        });
        let valid = valid.collect::<Option<_>>()?;
        Some(Load { value: self.value, extents: extents.to_vec(), valid, source, factors, scale: self.scale })
    }

    /// The load under other extents (C order kept); None where merged axes do not lie in one another.
    pub fn reshaped(&self, extents: &[usize]) -> Option<Load> {
        let groups = matching_groups(&self.extents, extents)?;
        for (old, new) in &groups {
            let trivial = old.len() == 1 && new.len() == 1;
            if !trivial && old.clone().any(|a| self.valid[a] != Validity::total(self.extents[a])) {
                return None;
            }
        }
        let regroup = |access: &Access| {
            let mut axes = Vec::with_capacity(extents.len());
            for (old, new) in &groups {
                if old.len() == 1 && new.len() == 1 {
                    axes.push(access.axes[old.start]);
                    continue;
                }
                let mut stride = merged_stride(access, &self.extents, old.clone())?;
                let mut part = Vec::new();
                for a in new.clone().rev() {
                    part.push(AxisIndex::Linear { stride: if extents[a] == 1 { 0 } else { stride } });
                    stride *= extents[a] as i64;
                }
                axes.extend(part.into_iter().rev());
            }
            Some(Access { base: access.base, axes })
        };
        let (source, factors) = self.with_accesses(regroup)?;
        let mut valid = Vec::with_capacity(extents.len());
        for (old, new) in &groups {
            match old.len() == 1 && new.len() == 1 {
                true => valid.push(self.valid[old.start]),
                false => valid.extend(new.clone().map(|a| Validity::total(extents[a]))),
            }
        }
        Some(Load { value: self.value, extents: extents.to_vec(), valid, source, factors, scale: self.scale })
    }

    /// Axis `k` of the result is axis `order[k]` of this.
    pub fn permuted(&self, order: &[usize]) -> Load {
        let factor = |f: &Factor| Factor { weight: f.weight.clone(), conj: f.conj, access: f.access.permuted(order) };
        Load {
            value: self.value,
            extents: order.iter().map(|&a| self.extents[a]).collect(),
            valid: order.iter().map(|&a| self.valid[a]).collect(),
            source: self.source.permuted(order),
            factors: self.factors.iter().map(factor).collect(),
            scale: self.scale,
        }
    }

    /// The same read with as few axes as possible: axes that all accesses step through as one are merged, those of extent 1
    /// dropped. Linear (C-order) indices stay the same.
    pub fn collapsed(&self) -> Load {
        self.collapsed_around(0).0
    }

    /// The same, but no axis before `mark` is merged with one behind it; also gives the mark's new place.
    pub fn collapsed_around(&self, mark: usize) -> (Load, usize) {
        let mut out = self.clone();
        let mut mark = mark;
        let mut a = 0;
        while a < out.extents.len() {
            let constant = out.extents[a] == 1 && out.valid[a] == Validity::total(1);
            if constant && out.accesses().all(|x| matches!(x.axes[a], AxisIndex::Linear { .. })) {
                out.drop_axis(a);
                mark -= usize::from(mark > a);
                continue;
            }
            let whole = |k: usize| out.valid[k] == Validity::total(out.extents[k]);
            let merges = a + 1 < out.extents.len()
                && mark != a + 1
                && whole(a)
                && whole(a + 1)
                && out.accesses().all(|x| merged_stride(x, &out.extents, a..a + 2).is_some());
            if merges {
                let n = out.extents[a] * out.extents[a + 1];
                let extents = out.extents.clone();
                let merge = |x: &mut Access| {
                    if let Some(stride) = merged_stride(x, &extents, a..a + 2) {
                        x.axes[a + 1] = AxisIndex::Linear { stride };
                    }
                };
                merge(&mut out.source);
                out.factors.iter_mut().for_each(|f| merge(&mut f.access));
                out.drop_axis(a);
                out.extents[a] = n;
                out.valid[a] = Validity::total(n);
                mark -= usize::from(mark > a);
                continue;
            }
            a += 1;
        }
        (out, mark)
    }

    fn drop_axis(&mut self, a: usize) {
        self.extents.remove(a);
        self.valid.remove(a);
        self.source.axes.remove(a);
        for f in &mut self.factors {
            f.access.axes.remove(a);
        }
    }
}

impl Validity {
    fn through(&self, m: &AxisMap, input: usize, output: usize) -> Option<Validity> {
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
fn merged_stride(access: &Access, extents: &[usize], axes: std::ops::Range<usize>) -> Option<i64> {
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

/// Runs of old and new axes with equal products, finest first.
#[allow(clippy::type_complexity)]
fn matching_groups(old: &[usize], new: &[usize]) -> Option<Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>> {
    let (mut i, mut j, mut groups) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        let (i0, j0) = (i, j);
        let (mut p, mut q) = (1, 1);
        if i < old.len() {
            p = old[i];
            i += 1;
        }
        if j < new.len() {
            q = new[j];
            j += 1;
        }
        while p != q {
            if p < q {
                p *= *old.get(i)?;
                i += 1;
            } else {
                q *= *new.get(j)?;
                j += 1;
            }
        }
        groups.push((i0..i, j0..j));
    }
    Some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(load: &Load, x: &[i64]) -> Vec<i64> {
        let total: usize = load.extents.iter().product();
        let strides = c_strides(&load.extents);
        (0..total as i64)
            .map(|lin| {
                let n: Vec<i64> = strides.iter().zip(&load.extents).map(|(s, &e)| lin / s % e as i64).collect();
                let valid = load.valid.iter().zip(&n).all(|(v, &n)| v.holds(n));
                if valid { x[load.source.at(&n) as usize] } else { 0 }
            })
            .collect()
    }

    #[test]
    fn maps_and_reshapes_read_through() {
        let x: Vec<i64> = (1..=24).collect();
        let load = Load::whole(ValueId::INPUT, &[2, 3, 4]);
        // Pad the last axis by one in front, flip the first, put a new axis in between.
        let axes = [
            MapAxis::From(0, AxisMap::affine(-1, 1, 1, 2, 2)),
            MapAxis::New,
            MapAxis::From(1, AxisMap::wrapped(1, 1, 3)),
            MapAxis::From(2, AxisMap::affine(1, -1, 1, 4, 6)),
        ];
        let l = load.mapped(&axes, &[2, 2, 3, 6]).unwrap();
        let got = read(&l, &x);
        assert_eq!(&got[..6], &[0, 17, 18, 19, 20, 0]);
        assert_eq!(got.len(), 72);
        // Collapsing keeps every linear index.
        assert_eq!(read(&l.collapsed(), &x), got);
        let whole = load.collapsed();
        assert_eq!(whole.extents, [24]);
        assert_eq!(load.collapsed_around(1).0.extents, [2, 12]);
        // Permuted axes cannot merge, split ones can.
        let p = load.permuted(&[2, 0, 1]);
        assert!(p.reshaped(&[24]).is_none());
        let s = p.reshaped(&[2, 2, 6]).unwrap();
        assert_eq!(read(&s, &x), read(&p, &x));
        assert_eq!(load.reshaped(&[4, 6]).map(|l| read(&l, &x)), Some(x.clone()));
        assert_eq!(load.reshaped(&[2, 1, 12, 1]).map(|l| read(&l, &x)), Some(x.clone()));
        assert_eq!(load.reshaped(&[1, 24, 1]).map(|l| read(&l.collapsed(), &x)), Some(x));
    }
}
