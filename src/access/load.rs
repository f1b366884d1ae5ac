//! Fused reads: how a kernel's input is made from a stored value without being stored itself.
//!
//! Index maps, pointwise weights and scalars between two kernels collapse into the [`Load`] of the second: at index `n` it
//! gives `scale · Π factorⱼ[…n…] · x[…n…]`, or 0 outside of its validity. The host loops and the shader assembly both read
//! this one description. A read also knows the changes it was made by, so that it can be moved [onto](Load::onto) the read
//! that its value is made by: that is what fusion is.
//!
//! ```text
//! mapped     x[n]         → x[3 − n]        flip, roll, pad, crop, stride; also new axes (stride 0)
//! reshaped   (2, 12)      → (2, 3, 4)       same C order; merging needs axes that lie in one another
//! permuted   (c, y, x)    → (y, x, c)
//! collapsed  (2, 3, 4), C order → (24)      as few axes as all accesses can step through
//! ```

use super::index::{AxisIndex, c_strides, merged_stride};
use super::{Access, Constant, MapAxis, Validity, ValueId};
use num_complex::Complex64;

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
    /// What has been done to the plain read of the value, in order: the same can be done to another read. Kept as long as a
    /// plan is made.
    pub done: Vec<Change>,
}

/// One change of a read.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Through an index map, to these extents.
    Mapped(Vec<MapAxis>, Vec<usize>),
    /// Other extents in C order.
    Reshaped(Vec<usize>),
    /// Axes in another order.
    Permuted(Vec<usize>),
    /// Times a weight along these axes, or its conjugate.
    Weighted(Constant, Vec<usize>, bool),
    /// Times a scalar.
    Scaled(Complex64),
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
            scale: Complex64::ONE,
            done: Vec::new(),
        }
    }

    /// What this read would be of a value that is itself read through `below`; None where that cannot be expressed, and the
    /// value must be stored.
    pub fn onto(&self, below: &Load) -> Option<Load> {
        self.done.iter().try_fold(below.clone(), |load, change| load.changed(change))
    }

    fn changed(&self, change: &Change) -> Option<Load> {
        Some(match change {
            Change::Mapped(axes, extents) => self.mapped(axes, extents)?,
            Change::Reshaped(extents) => self.reshaped(extents)?,
            Change::Permuted(order) => self.permuted(order),
            Change::Weighted(weight, axes, conj) => self.clone().times(weight, axes, *conj),
            Change::Scaled(c) => self.clone().scaled(*c),
        })
    }

    /// Whether values are only moved, repeated, or left out.
    pub fn only_moves(&self) -> bool {
        self.factors.is_empty() && self.scale == Complex64::ONE
    }

    /// Whether element `n` comes from element `n` of a value that it reads whole.
    pub fn reads_each_once(&self, len: usize) -> bool {
        self.is_in_order() && self.extents.iter().product::<usize>() == len
    }

    /// The longest stretch that it touches, of its value or of a weight, in elements.
    pub fn span(&self) -> usize {
        let ranges: Vec<(i64, i64)> = self.valid.iter().map(|v| (v.lo, (v.hi - 1).max(v.lo))).collect();
        let length = |a: &Access| {
            let (low, high) = a.footprint(&ranges);
            usize::try_from(high - low + 1).unwrap_or(usize::MAX)
        };
        self.accesses().map(length).max().unwrap_or(0)
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.extents.iter().product()
    }

    /// Whether it reads the value as it is stored, element for element.
    pub fn is_plain(&self) -> bool {
        self.only_moves() && self.is_in_order()
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
        self.done.push(Change::Weighted(weight.clone(), axes.to_vec(), conj));
        self
    }

    /// The load times a scalar.
    pub fn scaled(mut self, c: Complex64) -> Load {
        self.scale *= c;
        self.done.push(Change::Scaled(c));
        self
    }

    fn and_done(&self, change: Change) -> Vec<Change> {
        self.done.iter().cloned().chain([change]).collect()
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
        let done = self.and_done(Change::Mapped(axes.to_vec(), extents.to_vec()));
        Some(Load { value: self.value, extents: extents.to_vec(), valid, source, factors, scale: self.scale, done })
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
        let done = self.and_done(Change::Reshaped(extents.to_vec()));
        Some(Load { value: self.value, extents: extents.to_vec(), valid, source, factors, scale: self.scale, done })
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
            done: self.and_done(Change::Permuted(order.to_vec())),
        }
    }

    /// The same read with as few axes as possible: axes that all accesses step through as one are merged, those of extent 1
    /// dropped. Linear (C-order) indices stay the same.
    pub fn collapsed(&self) -> Load {
        self.collapsed_around(0).0
    }

    /// The same, but no axis before `mark` is merged with one behind it; also gives the mark's new place.
    pub fn collapsed_around(&self, mark: usize) -> (Load, usize) {
        let mut out = Load { done: Vec::new(), ..self.clone() };
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
    use super::super::AxisMap;
    use super::super::index::c_strides;
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

    #[test]
    fn a_read_can_be_moved_onto_another() {
        let x: Vec<i64> = (1..=24).collect();
        let flipped = [
            MapAxis::From(0, AxisMap::affine(-1, 1, 1, 2, 2)),
            MapAxis::From(1, AxisMap::identity(3)),
            MapAxis::From(2, AxisMap::affine(1, -1, 1, 4, 6)),
        ];
        let below = Load::whole(ValueId::INPUT, &[2, 3, 4]).mapped(&flipped, &[2, 3, 6]).unwrap();
        let above = Load::whole(ValueId::new(1), &[2, 3, 6]).permuted(&[2, 0, 1]);
        let both = above.onto(&below).unwrap();
        assert_eq!(both.value, ValueId::INPUT);
        // As if what is below had been stored.
        assert_eq!(read(&both, &x), read(&above, &read(&below, &x)));
        // An axis that is turned around does not merge with another.
        let whole = Load::whole(ValueId::new(1), &[2, 3, 6]);
        assert!(whole.reshaped(&[2, 3, 2, 3]).unwrap().onto(&Load::whole(ValueId::INPUT, &[2, 3, 6])).is_some());
        assert!(whole.reshaped(&[6, 6]).unwrap().onto(&below).is_none());
    }
}
