//! The intermediate representation: a linop's forward as a graph of linear primitives, and the passes over it.
//!
//! A [`Program`] is dtype-free and device-free. `transpose` turns it into its adjoint, `simplify` cancels what cancels,
//! [`schedule`](Program::schedule) makes the [`Plan`] that an executor runs. Dim names end here: axes are numbers.

mod access;
mod axis_map;
mod batch;
mod bluestein;
mod builder;
mod constant;
mod display;
mod filter;
mod memory;
mod nufft;
mod op;
mod parallel;
mod plan;
pub mod points;
mod prune;
mod region;
mod schedule;
mod simplify;
mod target;
mod transpose;
mod waves;

pub use access::{Access, AxisIndex, Factor, Load, Validity};
pub use axis_map::AxisMap;
pub use builder::Builder;
pub use constant::{Constant, ConstantData};
pub use filter::{Filter, Spectrum};
pub use memory::{MemoryPlan, size_class};
pub(crate) use nufft::ToeplitzChoice;
pub use nufft::{Accuracy, Nufft, Size};
pub use op::{Contract, IndexList, Inverse, MapAxis, Op};
pub use parallel::{Parallel, Split, ThreadSettings};
pub use plan::{Cost, Kernel, Plan, PlanValue, Post, Step, Store};
pub use points::Points;
pub use region::{Child, Item, Region, Schedule};
pub use schedule::PlanOptions;
pub(crate) use schedule::nonuniform::NONUNIFORM_BLOCK;
#[cfg(feature = "gpu")]
pub(crate) use schedule::nonuniform::{spread_batch, spread_parts};
pub use target::Target;

/// A value of a program: 0 is the input, `i + 1` the result of node `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The program's input.
    pub const INPUT: ValueId = ValueId(0);

    /// Position in lists that start with the input.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// One primitive, applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Of what; all come before this node.
    pub inputs: Vec<ValueId>,
    /// Extents of the result.
    pub extents: Vec<usize>,
}

/// A linear map from one tensor to one tensor, as single-assignment nodes in execution order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub(crate) input: Vec<usize>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) output: ValueId,
}

impl Program {
    /// Extents of the input.
    pub fn input_extents(&self) -> &[usize] {
        &self.input
    }

    /// Extents of the output.
    pub fn output_extents(&self) -> &[usize] {
        self.extents(self.output)
    }

    /// Extents of any value.
    pub fn extents(&self, value: ValueId) -> &[usize] {
        match value.at() {
            0 => &self.input,
            i => &self.nodes[i - 1].extents,
        }
    }

    /// The nodes in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The output value.
    pub fn output(&self) -> ValueId {
        self.output
    }

    /// `next ∘ self`.
    ///
    /// # Errors
    /// The extents between the two differ.
    pub fn then(&self, next: &Program) -> crate::Result<Program> {
        let mut b = Builder::new(&self.input);
        let mid = b.inline(self, ValueId::INPUT)?;
        let out = b.inline(next, mid)?;
        Ok(b.finish(out))
    }

    /// The largest relative error of what is approximated: 0 where nothing is but by rounding.
    pub fn approximation(&self) -> f64 {
        let of = |n: &Node| match &n.op {
            Op::Nufft(n) | Op::NufftAdjoint(n) => n.error(),
            Op::Parallel(p) => p.children.iter().map(Program::approximation).fold(0.0, f64::max),
            _ => 0.0,
        };
        self.nodes.iter().map(of).fold(0.0, f64::max)
    }

    /// Its non-uniform transforms, each once; those of which it has the adjoint alone do not count.
    pub fn transforms(&self) -> Vec<&Nufft> {
        let mut all: Vec<&Nufft> = Vec::new();
        for node in &self.nodes {
            match &node.op {
                Op::Nufft(n) => all.push(n),
                Op::Parallel(p) => all.extend(p.children.iter().flat_map(Program::transforms)),
                _ => {}
            }
        }
        let mut seen = Vec::new();
        all.retain(|n| {
            let new = !seen.contains(&n.address());
            seen.push(n.address());
            new
        });
        all
    }

    /// How often each value is read, the output counted once.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.nodes.len() + 1];
        for v in self.nodes.iter().flat_map(|n| &n.inputs) {
            uses[v.at()] += 1;
        }
        uses[self.output.at()] += 1;
        uses
    }
}
