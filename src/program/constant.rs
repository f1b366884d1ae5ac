//! Constant tensors of a program: weights, masks, maps, chirps.

use crate::error::{Result, shape_err};
use num_complex::Complex32;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A constant tensor in C order, shared by handle. Two handles are equal when they are the same tensor (by id), which is
/// what keys plans and device copies.
#[derive(Clone)]
pub struct Constant(Arc<Inner>);

struct Inner {
    id: u64,
    extents: Vec<usize>,
    data: ConstantData,
}

/// The numbers of a [`Constant`].
#[derive(Clone, Debug)]
pub enum ConstantData {
    /// Real.
    F32(Vec<f32>),
    /// Complex.
    C32(Vec<Complex32>),
}

impl Constant {
    /// A constant of these extents.
    ///
    /// # Errors
    /// The number of values is not the product of the extents.
    pub fn new(extents: Vec<usize>, data: ConstantData) -> Result<Constant> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let len = match &data {
            ConstantData::F32(d) => d.len(),
            ConstantData::C32(d) => d.len(),
        };
        if len != extents.iter().product::<usize>() {
            return shape_err!("a constant of extents {extents:?} came with {len} values");
        }
        Ok(Constant(Arc::new(Inner { id: NEXT.fetch_add(1, Ordering::Relaxed), extents, data })))
    }

    /// The identity of this tensor, unique in the process.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Extents in axis order.
    pub fn extents(&self) -> &[usize] {
        &self.0.extents
    }

    /// The values in C order.
    pub fn data(&self) -> &ConstantData {
        &self.0.data
    }

    /// Whether the values are complex.
    pub fn is_complex(&self) -> bool {
        matches!(self.0.data, ConstantData::C32(_))
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

    /// One value, as complex.
    pub fn get(&self, index: usize) -> Complex32 {
        match &self.0.data {
            ConstantData::F32(d) => Complex32::new(d[index], 0.0),
            ConstantData::C32(d) => d[index],
        }
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Constant {}

impl Hash for Constant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", if self.is_complex() { "c32" } else { "f32" }, self.0.extents)
    }
}
