//! Constant tensors of a program: weights, masks, maps, chirps.

use crate::allocate::collected;
use crate::error::{Result, shape_err};
use crate::kept::Shared;
use num_complex::Complex32;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// A constant tensor in C order, shared by handle. Two handles are equal when they are the same tensor (by id), which is
/// what keys plans and device copies.
#[derive(Clone)]
pub struct Constant(Arc<Inner>);

struct Inner {
    key: ConstantKey,
    extents: Vec<usize>,
    complex: bool,
    data: OnceLock<ConstantData>,
    /// Makes the data; gone when they are there.
    make: Mutex<Option<Make>>,
}

type Make = Arc<dyn Fn() -> Result<ConstantData> + Send + Sync>;

/// What tells constants apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConstantKey {
    /// A tensor of its own.
    One(u64),
    /// The same tensors behind each other are the same constant, whoever stacked them.
    Stacked(Vec<u64>),
}

/// Constants that are made of others, found by what they are made of as long as somebody has them: a plan that is made again
/// shares them with the one before.
pub(crate) struct Derived<K>(LazyLock<Shared<K, Inner>>);

impl<K: Eq + Hash> Derived<K> {
    /// None yet.
    pub const fn new() -> Derived<K> {
        Derived(LazyLock::new(Shared::default))
    }

    /// The constant of a key, made now if nobody has it.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or(&self, key: K, make: impl FnOnce() -> Result<Constant>) -> Result<Constant> {
        if let Some(there) = self.0.get(&key) {
            return Ok(Constant(there));
        }
        let made = make()?;
        Ok(Constant(self.0.put(key, made.0)))
    }
}

/// The numbers of a [`Constant`].
#[derive(Clone, Debug)]
pub enum ConstantData {
    /// Real.
    F32(Vec<f32>),
    /// Complex.
    C32(Vec<Complex32>),
    /// Constants of one dtype and of equal extents, one after the other: not copied before they are on a device.
    Stacked(Vec<Constant>),
}

impl Constant {
    /// A constant of these extents.
    ///
    /// # Errors
    /// The number of values is not the product of the extents.
    pub fn new(extents: Vec<usize>, data: ConstantData) -> Result<Constant> {
        if let ConstantData::Stacked(parts) = &data {
            return Constant::stacked(parts);
        }
        let len = data.len();
        if len != extents.iter().product::<usize>() || len == 0 {
            return shape_err!("a constant of extents {extents:?} came with {len} values");
        }
        Ok(Constant::of(extents, data))
    }

    fn of(extents: Vec<usize>, data: ConstantData) -> Constant {
        let complex = data.is_complex();
        Constant(Arc::new(Inner {
            key: ConstantKey::next(),
            extents,
            complex,
            data: data.into(),
            make: Mutex::default(),
        }))
    }

    /// A constant whose values are made when a plan that reads them is prepared to run: plans can be made and told of without
    /// them. `make` must give as many as the extents hold, complex or not as said.
    pub(crate) fn deferred(
        extents: Vec<usize>,
        complex: bool,
        make: impl Fn() -> Result<ConstantData> + Send + Sync + 'static,
    ) -> Constant {
        let make = Mutex::new(Some(Arc::new(make) as Make));
        Constant(Arc::new(Inner { key: ConstantKey::next(), extents, complex, data: OnceLock::new(), make }))
    }

    /// Makes the values, if they are not there.
    ///
    /// # Errors
    /// Those of what makes them; there is no memory for them.
    pub(crate) fn ready(&self) -> Result<()> {
        if let Some(data) = self.0.data.get() {
            return match data {
                ConstantData::Stacked(parts) => parts.iter().try_for_each(Constant::ready),
                ConstantData::F32(_) | ConstantData::C32(_) => Ok(()),
            };
        }
        let make = self.0.make.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Where several make it at once, the first one's stays.
        let Some(make) = make else { return Ok(()) };
        let data = make()?;
        if data.len() != self.len() || data.is_complex() != self.0.complex {
            return shape_err!("a constant of extents {:?} was made with {} values", self.extents(), data.len());
        }
        let _ = self.0.data.set(data);
        *self.0.make.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// Constants of one dtype and of equal extents behind an axis in front. Equal parts give equal constants, so that plans
    /// share the copy on a device.
    ///
    /// # Errors
    /// There are none, or they differ in extents or dtype.
    pub fn stacked(parts: &[Constant]) -> Result<Constant> {
        let Some(first) = parts.first() else { return shape_err!("no constants to stack") };
        let (extents, complex) = (first.extents(), first.is_complex());
        if let Some(p) = parts.iter().find(|p| p.extents() != extents || p.is_complex() != complex) {
            return shape_err!("constants to stack differ: {first:?} and {p:?}");
        }
        // Flat, so that a stack of stacks has one key.
        let flat: Vec<Constant> = parts.iter().flat_map(Constant::parts).cloned().collect();
        let ids = |c: &Constant| match &c.0.key {
            ConstantKey::One(id) => vec![*id],
            ConstantKey::Stacked(ids) => ids.clone(),
        };
        let key = ConstantKey::Stacked(flat.iter().flat_map(ids).collect());
        let extents = std::iter::once(parts.len()).chain(extents.iter().copied()).collect();
        let data = ConstantData::Stacked(flat).into();
        Ok(Constant(Arc::new(Inner { key, extents, complex, data, make: Mutex::default() })))
    }

    /// The constants that this one is stacked from, or itself alone.
    pub fn parts(&self) -> &[Constant] {
        match self.0.data.get() {
            Some(ConstantData::Stacked(parts)) => parts,
            _ => std::slice::from_ref(self),
        }
    }

    /// The identity of this tensor: what caches are keyed by.
    pub fn key(&self) -> &ConstantKey {
        &self.0.key
    }

    /// Extents in axis order.
    pub fn extents(&self) -> &[usize] {
        &self.0.extents
    }

    /// The values in C order.
    ///
    /// # Panics
    /// They have yet to be made, and cannot be: a plan that is prepared to run has made its own, or is none.
    pub fn data(&self) -> &ConstantData {
        if let Some(data) = self.0.data.get() {
            return data;
        }
        if let Err(e) = self.ready() {
            panic!("{e}");
        }
        self.0.data.wait()
    }

    /// Whether the values are complex.
    pub fn is_complex(&self) -> bool {
        self.0.complex
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.extents.iter().product()
    }

    /// Never true for a checked constant: extents are at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> u64 {
        self.len() as u64 * if self.is_complex() { 8 } else { 4 }
    }

    /// The same values without the axes along which they don't change, and which axes are left: a mask of whole lines
    /// loses the axis along the lines, so that a transform along it can cancel.
    pub fn without_constant_axes(&self) -> (Constant, Vec<usize>) {
        let extents = self.extents();
        let changes = |axis: usize| {
            let inner: usize = extents[axis + 1..].iter().product();
            let line = extents[axis] * inner;
            // A value differs from the one before it along the axis; NaN differs from itself and so always does.
            let differs = |i: usize| i % line >= inner && self.get(i) != self.get(i - inner);
            (0..self.len()).any(differs)
        };
        let kept: Vec<usize> = (0..extents.len()).filter(|&a| changes(a)).collect();
        if kept.len() == extents.len() {
            return (self.clone(), kept);
        }
        let strides = super::c_strides(extents);
        let reduced: Vec<usize> = kept.iter().map(|&a| extents[a]).collect();
        let own = super::c_strides(&reduced);
        let source = |i: usize| -> usize {
            let at = |k: usize| (i as i64 / own[k]) % reduced[k] as i64 * strides[kept[k]];
            (0..kept.len()).map(at).sum::<i64>() as usize
        };
        let len: usize = reduced.iter().product();
        let data = match self.data() {
            ConstantData::F32(d) => ConstantData::F32((0..len).map(|i| d[source(i)]).collect()),
            ConstantData::C32(d) => ConstantData::C32((0..len).map(|i| d[source(i)]).collect()),
            ConstantData::Stacked(_) => return (self.clone(), (0..extents.len()).collect()),
        };
        (Constant::of(reduced, data), kept)
    }

    /// Entries `range` of an axis.
    ///
    /// # Errors
    /// They are none, or there is no memory for them.
    pub(crate) fn narrowed(&self, axis: usize, range: &Range<usize>) -> Result<Constant> {
        let mut extents = self.extents().to_vec();
        let inner: usize = extents[axis + 1..].iter().product();
        let (line, first, len) = (extents[axis] * inner, range.start * inner, range.len() * inner);
        extents[axis] = range.len();
        let at = (0..self.len()).step_by(line).flat_map(|r| r + first..r + first + len);
        let count = self.len() / line * len;
        let data = match self.data() {
            ConstantData::F32(d) => ConstantData::F32(collected(at.map(|i| d[i]), count)?),
            ConstantData::C32(d) => ConstantData::C32(collected(at.map(|i| d[i]), count)?),
            ConstantData::Stacked(_) => match self.is_complex() {
                true => ConstantData::C32(collected(at.map(|i| self.get(i)), count)?),
                false => ConstantData::F32(collected(at.map(|i| self.get(i).re), count)?),
            },
        };
        Constant::new(extents, data)
    }

    /// One value, as complex.
    pub fn get(&self, index: usize) -> Complex32 {
        match self.data() {
            ConstantData::F32(d) => Complex32::new(d[index], 0.0),
            ConstantData::C32(d) => d[index],
            ConstantData::Stacked(parts) => {
                let len = self.len() / parts.len();
                parts[index / len].get(index % len)
            }
        }
    }
}

impl ConstantKey {
    fn next() -> ConstantKey {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ConstantKey::One(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl ConstantData {
    /// Number of values.
    fn len(&self) -> usize {
        match self {
            ConstantData::F32(d) => d.len(),
            ConstantData::C32(d) => d.len(),
            ConstantData::Stacked(parts) => parts.iter().map(Constant::len).sum(),
        }
    }

    fn is_complex(&self) -> bool {
        match self {
            ConstantData::F32(_) => false,
            ConstantData::C32(_) => true,
            ConstantData::Stacked(parts) => parts.iter().all(Constant::is_complex),
        }
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", if self.is_complex() { "c32" } else { "f32" }, self.0.extents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_without_change_are_dropped() {
        let lines: Vec<f32> = (0..2 * 3 * 4).map(|i| ((i / 4) % 3) as f32).collect();
        let c = Constant::new(vec![2, 3, 4], ConstantData::F32(lines)).unwrap();
        let (reduced, kept) = c.without_constant_axes();
        assert_eq!((reduced.extents(), &kept[..]), (&[3][..], &[1][..]));
        assert_eq!((0..3).map(|i| reduced.get(i).re).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        let ones = Constant::new(vec![2, 2], ConstantData::C32(vec![Complex32::new(0.0, 1.0); 4])).unwrap();
        let (one, none) = ones.without_constant_axes();
        assert_eq!((one.len(), one.get(0), none.len()), (1, Complex32::new(0.0, 1.0), 0));
        let all = Constant::new(vec![2, 2], ConstantData::F32(vec![1.0, 2.0, 3.0, 4.0])).unwrap();
        assert_eq!(all.without_constant_axes().0, all);
    }

    #[test]
    fn stacks_of_the_same_constants_are_the_same() {
        let one = |v: f32| Constant::new(vec![2], ConstantData::F32(vec![v, -v])).unwrap();
        let (a, b) = (one(1.0), one(2.0));
        let stack = Constant::stacked(&[a.clone(), b.clone(), a.clone()]).unwrap();
        assert_eq!(stack, Constant::stacked(&[a.clone(), b.clone(), a.clone()]).unwrap());
        assert_ne!(stack, Constant::stacked(&[a.clone(), a.clone(), b.clone()]).unwrap());
        assert_eq!((0..6).map(|i| stack.get(i).re).collect::<Vec<_>>(), [1.0, -1.0, 2.0, -2.0, 1.0, -1.0]);
        let twice = Constant::stacked(&[stack.clone(), stack.clone()]).unwrap();
        assert_eq!((twice.extents(), twice.parts().len(), twice.get(9).re), (&[2, 3, 2][..], 6, -2.0));
    }
}
