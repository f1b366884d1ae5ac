//! Programs: a linop's forward as a graph of linear maps, and the passes over it that know no device.
//!
//! A [`Program`] is dtype-free and device-free. `transpose` turns it into its adjoint, `simplify` cancels what cancels. Dim
//! names end here: axes are numbers. A few core maps are known to all passes; everything else is a
//! [`Primitive`](primitive::Primitive) and speaks for itself. The [planner](crate::planner) makes a plan of a program.

mod batch;
mod builder;
mod display;
mod narrow;
mod op;
mod parallel;
mod primitive;
mod simplify;
mod transpose;

pub(crate) use batch::{batch_size, batched, together};
pub use builder::Builder;
pub(crate) use builder::split_extents;
pub(crate) use narrow::{Narrowed, Part, slice};
pub(crate) use op::Op;
pub use parallel::{Parallel, Split, ThreadSettings};
pub(crate) use primitive::{Lowered, Lowering, Primitive, Stack};
pub(crate) use simplify::{Note, Sweep, multiply};

use crate::access::ValueId;
use crate::error::Result;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// One map, applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What is computed.
    pub(crate) op: Op,
    /// Of what; all come before this node.
    pub inputs: Vec<ValueId>,
    /// Extents of the result.
    pub extents: Vec<usize>,
}

impl Node {
    /// What is computed, with its parameters, as in listings.
    pub fn describe(&self) -> String {
        display::describe(&self.op)
    }

    /// The sub-linops, if it is a container.
    pub fn children(&self) -> &[Program] {
        match &self.op {
            Op::Parallel(p) => &p.children,
            Op::Zero
            | Op::Scale(_)
            | Op::Mul { .. }
            | Op::Map(_)
            | Op::Reshape
            | Op::Sum(_)
            | Op::Add
            | Op::Primitive(_) => &[],
        }
    }
}

/// A linear map from one tensor to one tensor, as single-assignment nodes in execution order.
#[derive(Clone, Debug)]
pub struct Program {
    input: Vec<usize>,
    nodes: Vec<Node>,
    output: ValueId,
    fingerprint: OnceLock<u64>,
}

impl PartialEq for Program {
    fn eq(&self, other: &Program) -> bool {
        (&self.input, self.output, &self.nodes) == (&other.input, other.output, &other.nodes)
    }
}

impl Eq for Program {}

impl Hash for Program {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.input, self.output, &self.nodes).hash(state);
    }
}

impl Program {
    /// The nodes must come after those that they read.
    fn new(input: Vec<usize>, nodes: Vec<Node>, output: ValueId) -> Program {
        Program { input, nodes, output, fingerprint: OnceLock::new() }
    }

    /// A hash of the whole program, made once.
    pub(crate) fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| BuildHasherDefault::<DefaultHasher>::new().hash_one(self))
    }

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
    pub fn then(&self, next: &Program) -> Result<Program> {
        let mut b = Builder::new(&self.input);
        let mid = b.inline(self, ValueId::INPUT)?;
        let out = b.inline(next, mid)?;
        b.finish(out)
    }

    /// The largest relative error of what is approximated: 0 where nothing is but by rounding.
    pub fn approximation(&self) -> f64 {
        let mut most: f64 = 0.0;
        self.visit(&mut |n| {
            if let Op::Primitive(p) = &n.op {
                most = most.max(p.approximation());
            }
        });
        most
    }

    /// Calls `f` for all nodes, those of containers' sub-linops included.
    pub(crate) fn visit<'p>(&'p self, f: &mut impl FnMut(&'p Node)) {
        for node in &self.nodes {
            f(node);
            if let Op::Parallel(p) = &node.op {
                p.children.iter().for_each(|c| c.visit(f));
            }
        }
    }

    /// Bytes of all weights and, as complex numbers, of all values: what programs are compared by before they are planned.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |extents: &[usize]| 8 * extents.iter().map(|&n| n as u64).product::<u64>();
        let mut bytes = of(&self.input);
        self.visit(&mut |node| {
            bytes += of(&node.extents);
            bytes += match &node.op {
                Op::Mul { weight, .. } => weight.bytes(),
                Op::Primitive(p) => p.weights().iter().map(|w| w.bytes()).sum(),
                Op::Zero | Op::Scale(_) | Op::Map(_) | Op::Reshape | Op::Sum(_) | Op::Add | Op::Parallel(_) => 0,
            };
        });
        bytes
    }

    /// The program with every node replaced by what `f` appends for it, given the node's inputs in the new program; where it
    /// appends nothing the node stays. Containers' sub-linops are rewritten likewise.
    ///
    /// # Errors
    /// Those of `f`.
    pub(crate) fn rewritten(
        &self,
        f: &mut impl FnMut(&mut Builder, &Node, &[ValueId]) -> Result<Option<ValueId>>,
    ) -> Result<Program> {
        let mut b = Builder::new(&self.input);
        let mut ids = vec![ValueId::INPUT];
        for node in &self.nodes {
            let inputs: Vec<ValueId> = node.inputs.iter().map(|v| ids[v.at()]).collect();
            let id = match (f(&mut b, node, &inputs)?, &node.op) {
                (Some(id), _) => id,
                (None, Op::Parallel(p)) => {
                    let children = p.children.iter().map(|c| c.rewritten(f)).collect::<Result<_>>()?;
                    b.parallel(inputs[0], Parallel { children, ..(**p).clone() })?
                }
                (None, op) => b.push(op.clone(), &inputs, node.extents.clone()),
            };
            ids.push(id);
        }
        b.finish(ids[self.output.at()])
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
