//! The adjoint of a program: every node reversed, fan-out turned into sums and sums into fan-out.

use super::{Builder, Contract, MapAxis, Node, Op, Parallel, Program, ValueId};
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
            [] => b.zero(self.input.clone()),
            // Contributions arrived last reader first; add them in program order.
            flows => b.add(&flows.iter().rev().copied().collect::<Vec<_>>())?,
        };
        Ok(b.finish(out))
    }
}

/// Appends the transpose of a node with one input of extents `input`, applied to `y`.
fn transpose_node(b: &mut Builder, node: &Node, input: &[usize], y: ValueId) -> Result<ValueId> {
    match &node.op {
        Op::Zero | Op::Add => unreachable!("handled by the caller: they have no single input"),
        Op::Scale(c) => Ok(b.scale(y, c.conj())),
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
        Op::Gather { axis, index } => b.scatter(y, *axis, index.clone()),
        Op::Scatter { axis, index } => b.gather(y, *axis, index.clone()),
        Op::Nufft(n) => b.nufft_adjoint(y, n.clone()),
        Op::NufftAdjoint(n) => b.nufft(y, n.clone()),
        Op::Interpolate(points) => b.spread(y, points.clone()),
        Op::Spread(points) => b.interpolate(y, points.clone()),
        Op::Fft { axes, inverse, centered, scale } => b.fft(y, axes, !inverse, *centered, *scale),
        Op::Contract(c) => {
            // Labels that only x has were summed over freely: their transpose repeats.
            let (known, lost): (Vec<u32>, Vec<u32>) = c.x.iter().partition(|l| c.y.contains(l) || c.w.contains(l));
            let swapped =
                Contract { weight: c.weight.clone(), conj: !c.conj, w: c.w.clone(), x: c.y.clone(), y: known };
            let v = b.contract(y, swapped)?;
            let new: Vec<(usize, usize)> =
                c.x.iter().enumerate().filter(|(_, l)| lost.contains(l)).map(|(a, _)| (a, input[a])).collect();
            b.repeat(v, &new)
        }
        Op::Parallel(p) => {
            let children = p.children.iter().map(Program::transpose).collect::<Result<_>>()?;
            let (feed, join) = (p.join.clone(), p.feed.clone());
            b.parallel(y, Parallel { children, feed, join, ..(**p).clone() })
        }
    }
}
