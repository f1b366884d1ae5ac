//! Algebraic simplification: what cancels is never computed.
//!
//! Local rules over (node, producer) pairs, repeated until nothing changes: scalars fold and move outwards, index maps
//! compose (so crop·pad = I), FᴴF = I also around weights that do not run along an axis, diagonal·diagonal folds, a gather
//! followed by its scatter is a diagonal of counts, zeros spread, containers whose join and feed match merge child by child
//! (so a stacked normal has n terms, not n²).

mod nufft;

use super::builder::is_identity_map;
use super::*;
use crate::error::Result;
use num_complex::{Complex32, Complex64};

impl Program {
    /// An equal program that computes less.
    ///
    /// # Errors
    /// None for a program that was built by [`Builder`]; the `Result` is the builder's.
    pub fn simplify(&self) -> Result<Program> {
        let mut p = self.clone();
        // Every rule removes a node, an axis, or moves a scalar outwards, so this ends; the bound guards against a mistake.
        for _ in 0..4 * self.nodes.len() + 8 {
            let next = sweep(&p)?;
            if next == p {
                break;
            }
            p = next;
        }
        Ok(p)
    }
}

/// One pass over all nodes; dead nodes are left behind.
fn sweep(p: &Program) -> Result<Program> {
    let mut uses = p.uses();
    let live = live(p);
    for (i, node) in p.nodes.iter().enumerate() {
        if !live[i + 1] {
            node.inputs.iter().for_each(|v| uses[v.at()] -= 1);
        }
    }
    let mut s = Sweep { b: Builder::new(&p.input), single: vec![uses[0] == 1] };
    let mut ids = vec![ValueId::INPUT];
    for (i, node) in p.nodes.iter().enumerate() {
        if !live[i + 1] {
            ids.push(ValueId::INPUT);
            continue;
        }
        let inputs: Vec<ValueId> = node.inputs.iter().map(|v| ids[v.at()]).collect();
        let id = s.rewrite(node, inputs)?;
        // Nodes appended on the way have one reader; the result has those of the node it stands for.
        s.single.resize(s.b.values(), true);
        s.single[id.at()] &= uses[i + 1] <= 1;
        ids.push(id);
    }
    let out = s.b.finish(ids[p.output.at()]);
    Ok(prune(out))
}

fn live(p: &Program) -> Vec<bool> {
    let mut live = vec![false; p.nodes.len() + 1];
    live[p.output.at()] = true;
    for (i, node) in p.nodes.iter().enumerate().rev() {
        if live[i + 1] {
            node.inputs.iter().for_each(|v| live[v.at()] = true);
        }
    }
    live
}

/// Drops nodes that the output does not need.
fn prune(p: Program) -> Program {
    let live = live(&p);
    let mut ids = vec![ValueId::INPUT];
    let mut nodes = Vec::new();
    for (i, mut node) in p.nodes.into_iter().enumerate() {
        if live[i + 1] {
            node.inputs.iter_mut().for_each(|v| *v = ids[v.at()]);
            nodes.push(node);
        }
        ids.push(ValueId(nodes.len() as u32));
    }
    Program { input: p.input, nodes, output: ids[p.output.at()] }
}

struct Sweep {
    b: Builder,
    /// Whether a value has one reader, so that its producer may be rewritten into it.
    single: Vec<bool>,
}

impl Sweep {
    /// The producer of a value, if nothing else reads the value.
    fn producer(&self, v: ValueId) -> Option<(Op, Vec<ValueId>, Vec<usize>)> {
        let node = self.b.node(v).filter(|_| self.single[v.at()])?;
        Some((node.op.clone(), node.inputs.clone(), node.extents.clone()))
    }

    fn rewrite(&mut self, node: &Node, inputs: Vec<ValueId>) -> Result<ValueId> {
        let is_zero = |b: &Builder, v: &ValueId| b.node(*v).is_some_and(|n| n.op == Op::Zero);
        if node.op == Op::Add {
            let kept: Vec<ValueId> = inputs.into_iter().filter(|v| !is_zero(&self.b, v)).collect();
            return if kept.is_empty() { Ok(self.b.zero(node.extents.clone())) } else { self.b.add(&kept) };
        }
        let Some(&x) = inputs.first() else { return Ok(self.b.push(node.op.clone(), inputs, node.extents.clone())) };
        if is_zero(&self.b, &x) || node.op == Op::Scale(Complex64::default()) {
            return Ok(self.b.zero(node.extents.clone()));
        }
        if let Some((op, below, extents)) = self.producer(x) {
            // Scalars move outwards, past everything that is linear.
            if let (Op::Scale(c), false) = (&op, matches!(node.op, Op::Scale(_))) {
                let y = self.emit(&node.op, below[0], &node.extents)?;
                return Ok(self.b.scale(y, *c));
            }
            if let Some(y) = self.pair(node, x, &op, &below, &extents)? {
                return Ok(y);
            }
        }
        self.emit(&node.op, x, &node.extents)
    }

    /// Appends an op with one input, or nothing where it is the identity.
    fn emit(&mut self, op: &Op, x: ValueId, extents: &[usize]) -> Result<ValueId> {
        match op {
            Op::Scale(c) => Ok(self.b.scale(x, *c)),
            Op::Reshape => self.b.reshape(x, extents.to_vec()),
            Op::Map(axes) if is_identity_map(axes, self.b.extents(x), extents) => Ok(x),
            // The factor of a transform moves outwards like any scalar, to meet that of its inverse.
            Op::Fft { axes, inverse, centered, scale } if *scale != 1.0 => {
                let y = self.b.fft(x, axes, *inverse, *centered, 1.0)?;
                Ok(self.b.scale(y, Complex64::new(*scale, 0.0)))
            }
            Op::Parallel(p) => {
                let children = p.children.iter().map(Program::simplify).collect::<Result<_>>()?;
                self.b.parallel(x, Parallel { children, ..(**p).clone() })
            }
            _ => Ok(self.b.push(op.clone(), vec![x], extents.to_vec())),
        }
    }

    /// Rules for `node` applied to the result of `op` (which nothing else reads).
    fn pair(&mut self, node: &Node, x: ValueId, op: &Op, below: &[ValueId], mid: &[usize]) -> Result<Option<ValueId>> {
        let under = below.first().copied();
        let Some(z) = under else { return Ok(None) };
        match (&node.op, op) {
            (Op::Scale(a), Op::Scale(b)) => Ok(Some(self.b.scale(z, a * b))),
            (Op::Reshape, Op::Reshape) => self.b.reshape(z, node.extents.clone()).map(Some),
            (Op::Map(outer), Op::Map(inner)) => {
                let input = self.b.extents(z).to_vec();
                match compose(outer, inner, &input, mid, &node.extents) {
                    Some(axes) => self.b.map(z, axes, node.extents.clone()).map(Some),
                    None => Ok(None),
                }
            }
            (Op::Sum(axes), Op::Map(map)) => self.sum_of_map(axes, map, z, mid),
            (Op::Mul { .. }, Op::Mul { .. }) => self.mul_mul(&node.op, op, z),
            (Op::Fft { .. }, _) => self.fft_pair(node, x),
            (Op::NufftAdjoint(n), _) => self.nufft_normal(n, x),
            (Op::Scatter { axis, index }, Op::Gather { axis: a, index: i }) if axis == a && index == i => {
                let counts = index.inverse().starts.windows(2).map(|w| (w[1] - w[0]) as f32).collect();
                let w = Constant::new(vec![index.extent()], ConstantData::F32(counts))?;
                self.b.mul(z, w, vec![*axis], false).map(Some)
            }
            (Op::Parallel(outer), Op::Parallel(inner)) if outer.feed == inner.join && outer.feed != Split::Whole => {
                let pairs = inner.children.iter().zip(&outer.children);
                let children = pairs.map(|(a, b)| a.then(b)?.simplify()).collect::<Result<_>>()?;
                let (feed, join) = (inner.feed.clone(), outer.join.clone());
                let settings = inner.settings.both(&outer.settings);
                let p = Parallel { children, feed, join, settings, ..(**inner).clone() };
                self.b.parallel(z, p).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Summing over an axis along which values only repeat is a scalar.
    fn sum_of_map(&mut self, axes: &[usize], map: &[MapAxis], z: ValueId, mid: &[usize]) -> Result<Option<ValueId>> {
        let repeated: Vec<usize> = axes.iter().copied().filter(|&a| map[a] == MapAxis::New).collect();
        if repeated.is_empty() {
            return Ok(None);
        }
        let factor: usize = repeated.iter().map(|&a| mid[a]).product();
        let kept: Vec<usize> = (0..map.len()).filter(|a| !repeated.contains(a)).collect();
        let y = self.b.map(z, kept.iter().map(|&a| map[a]).collect(), kept.iter().map(|&a| mid[a]).collect())?;
        let rest: Vec<usize> = axes.iter().filter_map(|a| kept.iter().position(|k| k == a)).collect();
        let y = self.b.sum(y, &rest)?;
        Ok(Some(self.b.scale(y, Complex64::new(factor as f64, 0.0))))
    }

    /// Two weights become one where the product is no larger than the larger of them.
    fn mul_mul(&mut self, outer: &Op, inner: &Op, z: ValueId) -> Result<Option<ValueId>> {
        let (Op::Mul { weight: w, axes: wa, conj: wc }, Op::Mul { weight: v, axes: va, conj: vc }) = (outer, inner)
        else {
            return Ok(None);
        };
        let (big, big_axes, big_conj, small, small_axes, small_conj) = match w.len() >= v.len() {
            true => (w, wa, wc, v, va, vc),
            false => (v, va, vc, w, wa, wc),
        };
        if !small_axes.iter().all(|a| big_axes.contains(a)) {
            return Ok(None);
        }
        let product = multiply(big, big_axes, *big_conj, small, small_axes, *small_conj)?;
        self.b.mul(z, product, big_axes.clone(), false).map(Some)
    }

    /// A transform after its inverse cancels, axis by axis; weights between the two that do not run along an axis don't
    /// matter for that axis.
    fn fft_pair(&mut self, node: &Node, x: ValueId) -> Result<Option<ValueId>> {
        let Op::Fft { axes, inverse, centered, scale } = &node.op else { return Ok(None) };
        // Walk down through weights to the other transform.
        let (mut at, mut weights) = (x, Vec::new());
        let (z, other, other_scale) = loop {
            match self.producer(at) {
                Some((Op::Mul { weight, axes, conj }, below, _)) => {
                    weights.push((weight, axes, conj));
                    at = below[0];
                }
                Some((Op::Fft { axes, inverse: i, centered: c, scale: s }, below, _))
                    if i != *inverse && c == *centered =>
                {
                    break (below[0], axes, s);
                }
                _ => return Ok(None),
            }
        };
        let cancels = |a: &usize| other.contains(a) && !weights.iter().any(|(_, w, _)| w.contains(a));
        let cancelled: Vec<usize> = axes.iter().copied().filter(cancels).collect();
        if cancelled.is_empty() {
            return Ok(None);
        }
        let n: f64 = cancelled.iter().map(|&a| node.extents[a] as f64).product();
        let left = |from: &[usize]| from.iter().copied().filter(|a| !cancelled.contains(a)).collect::<Vec<_>>();
        let mut v = self.b.fft(z, &left(&other), !inverse, *centered, 1.0)?;
        for (weight, axes, conj) in weights.into_iter().rev() {
            v = self.b.mul(v, weight, axes, conj)?;
        }
        let v = self.b.fft(v, &left(axes), *inverse, *centered, 1.0)?;
        Ok(Some(self.b.scale(v, Complex64::new(scale * other_scale * n, 0.0))))
    }
}

/// `outer` after `inner`, where it is an index map; extents below both, between the two, and of the result.
fn compose(
    outer: &[MapAxis],
    inner: &[MapAxis],
    input: &[usize],
    mid: &[usize],
    output: &[usize],
) -> Option<Vec<MapAxis>> {
    let one = |(a, &out): (&MapAxis, &usize)| match a {
        MapAxis::New => Some(MapAxis::New),
        MapAxis::From(k, m) => match &inner[*k] {
            // Values that repeat do so in any part of them, but not where zeros are read.
            MapAxis::New => (m.is_total(out) || m.wrap).then_some(MapAxis::New),
            // A rolled axis with zeros behind it is no roll.
            MapAxis::From(_, i) if i.wrap && out != mid[*k] => None,
            MapAxis::From(from, i) => Some(MapAxis::From(*from, m.after(i, mid[*k], input[*from])?)),
        },
    };
    outer.iter().zip(output).map(one).collect()
}

/// The product of two weights on the axes of the bigger one.
fn multiply(
    big: &Constant,
    big_axes: &[usize],
    big_conj: bool,
    small: &Constant,
    small_axes: &[usize],
    small_conj: bool,
) -> Result<Constant> {
    let strides = super::access::c_strides(small.extents());
    let steps: Vec<i64> =
        big_axes.iter().map(|a| small_axes.iter().position(|s| s == a).map_or(0, |k| strides[k])).collect();
    let mut index = vec![0usize; big_axes.len()];
    let mut at = 0i64;
    let mut product = Vec::with_capacity(big.len());
    let conj = |c: Complex32, yes: bool| if yes { c.conj() } else { c };
    for i in 0..big.len() {
        product.push(conj(big.get(i), big_conj) * conj(small.get(at as usize), small_conj));
        for a in (0..index.len()).rev() {
            index[a] += 1;
            at += steps[a];
            if index[a] < big.extents()[a] {
                break;
            }
            at -= steps[a] * index[a] as i64;
            index[a] = 0;
        }
    }
    let data = match big.is_complex() || small.is_complex() {
        true => ConstantData::C32(product),
        false => ConstantData::F32(product.into_iter().map(|c| c.re).collect()),
    };
    Constant::new(big.extents().to_vec(), data)
}
