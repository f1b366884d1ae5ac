//! The adjoint of a program: every node reversed, fan-out turned into sums and sums into fan-out.

use super::{Builder, Node, Op, Parallel, Program};
use crate::access::{MapAxis, ValueId};
use crate::error::Result;

impl Program {
    /// The conjugate transpose. Exact by construction: each primitive's own transpose, in reverse order.
    pub fn transpose(&self) -> Result<Program> {
        let mut b = Builder::new(self.output_extents());
        // What has flowed back to each value so far.
        let mut back: Vec<Vec<ValueId>> = vec![Vec::new(); self.nodes.len() + 1];
        back[self.output.at()].push(ValueId::INPUT);
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let flows = std::mem::take(&mut back[i + 1]);
            if flows.is_empty() || node.op == Op::Zero {
                continue;
            }
            let y = b.add(&flows)?;
            if node.op == Op::Add {
                for v in &node.inputs {
                    back[v.at()].push(y);
                }
                continue;
            }
            let x = node.inputs[0];
            let v = transpose_node(&mut b, node, self.extents(x), y)?;
            back[x.at()].push(v);
        }
        let out = match &back[0][..] {
            [] => b.zero(self.input.clone())?,
            // Contributions arrived last reader first; add them in program order.
            flows => b.add(&flows.iter().rev().copied().collect::<Vec<_>>())?,
        };
        b.finish(out)
    }
}

/// Appends the transpose of a node with one input of extents `input`, applied to `y`.
fn transpose_node(b: &mut Builder, node: &Node, input: &[usize], y: ValueId) -> Result<ValueId> {
    match &node.op {
        Op::Zero | Op::Add => unreachable!("handled by the caller: they have no single input"),
        Op::Scale(c) => b.scale(y, c.conj()),
        Op::Mul { weight, axes, conj } => b.mul(y, weight.clone(), axes.clone(), !conj),
        Op::Map(axes) => {
            let new: Vec<usize> =
                axes.iter().enumerate().filter(|(_, a)| **a == MapAxis::New).map(|(k, _)| k).collect();
            let y = b.sum(y, &new)?;
            // Axis `from` of the input is read by the `at`-th remaining output axis.
            let mut back = vec![MapAxis::New; input.len()];
            let kept = axes.iter().enumerate().filter_map(|(k, a)| match a {
                MapAxis::From(from, m) => Some((k, *from, m)),
                MapAxis::New => None,
            });
            for (at, (k, from, m)) in kept.enumerate() {
                back[from] = MapAxis::From(at, m.transpose(input[from], node.extents[k]));
            }
            b.map(y, back, input.to_vec())
        }
        Op::Reshape => b.reshape(y, input.to_vec()),
        Op::Sum(axes) => b.repeat(y, &axes.iter().map(|&a| (a, input[a])).collect::<Vec<_>>()),
        Op::Parallel(p) => {
            let children = p.children.iter().map(Program::transpose).collect::<Result<_>>()?;
            let (feed, join) = (p.join.clone(), p.feed.clone());
            b.parallel(y, Parallel { children, feed, join, ..(**p).clone() })
        }
        Op::Primitive(p) => p.transpose(b, y, input),
    }
}
