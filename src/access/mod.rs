//! How stored values are read: index maps, constants, and the fused read that kernels are given.
//!
//! The lowest room of what computes: it knows neither programs nor plans nor devices. A [`Load`] is what everything above
//! speaks in.

mod axis_map;
mod constant;
mod index;
mod listing;
mod load;
mod store;

pub(crate) use axis_map::identity_axes;
pub use axis_map::{AxisMap, MapAxis};
pub(crate) use constant::Derived;
pub use constant::{Constant, ConstantData, ConstantKey};
pub use index::{Access, AxisIndex, Validity, c_strides};
pub(crate) use listing::{conj_mark, scalar};
pub use load::{Factor, Load};
pub use store::{Post, Store};

/// A value of a program or of a plan: 0 is the input.
///
/// In a program under construction it knows its [builder](crate::program::Builder), which takes no other one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId {
    index: u32,
    /// The builder's number; 0 in what is finished.
    builder: u32,
}

impl ValueId {
    /// The input.
    pub const INPUT: ValueId = ValueId { index: 0, builder: 0 };

    /// A value of what is finished.
    pub(crate) const fn new(index: usize) -> ValueId {
        ValueId { index: index as u32, builder: 0 }
    }

    /// The same value, known to be of a builder.
    pub(crate) fn of(self, builder: u32) -> ValueId {
        ValueId { builder, ..self }
    }

    /// The builder that it is of; 0 for the input and for values of what is finished.
    pub(crate) fn builder(self) -> u32 {
        self.builder
    }

    /// Position in lists that start with the input.
    pub fn at(self) -> usize {
        self.index as usize
    }
}

impl std::fmt::Display for ValueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.index)
    }
}
