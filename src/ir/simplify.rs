//! Algebraic simplification: what cancels is never computed.
//!
//! Local rules over (node, producer) pairs, repeated until nothing changes: scalars fold and move outwards, index maps
//! compose (so crop·pad = I), FᴴF = I also around weights that do not run along an axis, diagonal·diagonal folds, a gather
//! followed by its scatter is a diagonal of counts, zeros spread, containers whose join and feed match merge child by child
//! (so a stacked normal has n terms, not n²).

use super::builder::is_identity_map;
use super::{Builder, Node, Op, Parallel, Program, Split};
use crate::access::{Constant, ConstantData, MapAxis, ValueId, c_strides};
use crate::error::Result;
use num_complex::{Complex32, Complex64};

impl Program {
    /// An equal program that computes less.
    ///
    /// # Errors
    /// None for a program that was built by [`Builder`]; the `Result` is the builder's.
    pub fn simplify(&self) -> Result<Program> {
        Ok(self.simplify_noted()?.0)
    }

    /// The same, with what was decided on the way, each once.
    ///
    /// # Errors
    /// As for [`simplify`](Program::simplify).
    pub(crate) fn simplify_noted(&self) -> Result<(Program, Vec<Note>)> {
        let (mut p, mut notes) = (self.clone(), Vec::new());
        // Every rule removes a node, an axis, or moves a scalar outwards, so this ends; the bound guards against a mistake.
        for _ in 0..4 * self.nodes.len() + 8 {
            let (next, decided) = sweep(&p)?;
            for note in decided {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            if next == p {
                break;
            }
            p = next;
        }
        Ok((p, notes))
    }
}

/// One pass over all nodes; dead nodes are left behind.
fn sweep(p: &Program) -> Result<(Program, Vec<Note>)> {
    let mut uses = p.uses();
    let live = live(p);
    for (i, node) in p.nodes.iter().enumerate() {
        if !live[i + 1] {
            node.inputs.iter().for_each(|v| uses[v.at()] -= 1);
        }
    }
    let mut s = Sweep { b: Builder::new(&p.input), single: vec![uses[0] == 1], notes: Vec::new() };
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
    let out = s.b.finish(ids[p.output.at()])?;
    Ok((without_dead_nodes(out), s.notes))
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
fn without_dead_nodes(p: Program) -> Program {
    let live = live(&p);
    let mut ids = vec![ValueId::INPUT];
    let mut nodes = Vec::new();
    for (i, mut node) in p.nodes.into_iter().enumerate() {
        if live[i + 1] {
            node.inputs.iter_mut().for_each(|v| *v = ids[v.at()]);
            nodes.push(node);
        }
        ids.push(ValueId::new(nodes.len()));
    }
    Program::new(p.input, nodes, ids[p.output.at()])
}

/// One pass under way: the program that is made, and who made what in it.
pub(crate) struct Sweep {
    pub b: Builder,
    /// Whether a value has one reader, so that its producer may be rewritten into it.
    single: Vec<bool>,
    /// What rules have decided.
    pub notes: Vec<Note>,
}

/// A choice that a rule has made, for listings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    /// Of what.
    pub what: String,
    /// Whether the rule was applied.
    pub taken: bool,
    /// Why.
    pub reason: String,
}

impl Sweep {
    /// The producer of a value, if nothing else reads the value.
    pub fn producer(&self, v: ValueId) -> Option<(Op, Vec<ValueId>, Vec<usize>)> {
        // Nodes that a rule has just appended have one reader: the rule.
        let single = self.single.get(v.at()).copied().unwrap_or(true);
        let node = self.b.node(v).filter(|_| single)?;
        Some((node.op.clone(), self.b.inputs(v), node.extents.clone()))
    }

    fn rewrite(&mut self, node: &Node, inputs: Vec<ValueId>) -> Result<ValueId> {
        let is_zero = |b: &Builder, v: &ValueId| b.node(*v).is_some_and(|n| n.op == Op::Zero);
        if node.op == Op::Add {
            let kept: Vec<ValueId> = inputs.into_iter().filter(|v| !is_zero(&self.b, v)).collect();
            return if kept.is_empty() { self.b.zero(node.extents.clone()) } else { self.b.add(&kept) };
        }
        let Some(&x) = inputs.first() else { return Ok(self.b.push(node.op.clone(), &inputs, node.extents.clone())) };
        if is_zero(&self.b, &x) || node.op == Op::Scale(Complex64::default()) {
            return self.b.zero(node.extents.clone());
        }
        if let Some((op, below, extents)) = self.producer(x) {
            // Scalars move outwards, past everything that is linear.
            if let (Op::Scale(c), false) = (&op, matches!(node.op, Op::Scale(_))) {
                let y = self.emit(&node.op, below[0], &node.extents)?;
                return self.b.scale(y, *c);
            }
            if let Some(y) = self.pair(node, &op, &below, &extents)? {
                return Ok(y);
            }
        }
        if let Op::Primitive(p) = &node.op
            && let Some(y) = p.fold(self, x)?
        {
            return Ok(y);
        }
        self.emit(&node.op, x, &node.extents)
    }

    /// Sub-linops of a container.
    fn simplified(&mut self, programs: impl Iterator<Item = Result<Program>>) -> Result<Vec<Program>> {
        let mut all = Vec::new();
        for p in programs {
            let (p, notes) = p?.simplify_noted()?;
            self.notes.extend(notes);
            all.push(p);
        }
        Ok(all)
    }

    /// Appends an op with one input, or nothing where it is the identity.
    fn emit(&mut self, op: &Op, x: ValueId, extents: &[usize]) -> Result<ValueId> {
        match op {
            Op::Scale(c) => self.b.scale(x, *c),
            Op::Reshape => self.b.reshape(x, extents.to_vec()),
            Op::Map(axes) if is_identity_map(axes, self.b.extents(x), extents) => Ok(x),
            Op::Parallel(p) => {
                let children = self.simplified(p.children.iter().map(|c| Ok(c.clone())))?;
                self.b.parallel(x, Parallel { children, ..(**p).clone() })
            }
            Op::Zero | Op::Mul { .. } | Op::Map(_) | Op::Sum(_) | Op::Add | Op::Primitive(_) => {
                Ok(self.b.push(op.clone(), &[x], extents.to_vec()))
            }
        }
    }

    /// Rules for `node` applied to the result of `op` (which nothing else reads).
    fn pair(&mut self, node: &Node, op: &Op, below: &[ValueId], mid: &[usize]) -> Result<Option<ValueId>> {
        let under = below.first().copied();
        let Some(z) = under else { return Ok(None) };
        // Rules of primitives are their own: see `Primitive::fold`.
        match &node.op {
            Op::Scale(a) => {
                let Op::Scale(b) = op else { return Ok(None) };
                self.b.scale(z, a * b).map(Some)
            }
            Op::Reshape if *op == Op::Reshape => self.b.reshape(z, node.extents.clone()).map(Some),
            Op::Map(outer) => {
                let Op::Map(inner) = op else { return Ok(None) };
                let input = self.b.extents(z).to_vec();
                match compose(outer, inner, &input, mid, &node.extents) {
                    Some(axes) => self.b.map(z, axes, node.extents.clone()).map(Some),
                    None => Ok(None),
                }
            }
            Op::Sum(axes) => {
                let Op::Map(map) = op else { return Ok(None) };
                self.sum_of_map(axes, map, z, mid)
            }
            Op::Mul { .. } => self.mul_mul(&node.op, op, z),
            Op::Parallel(outer) => {
                let Op::Parallel(inner) = op else { return Ok(None) };
                if outer.feed != inner.join || outer.feed == Split::Whole {
                    return Ok(None);
                }
                let pairs = inner.children.iter().zip(&outer.children);
                let children = self.simplified(pairs.map(|(a, b)| a.then(b)))?;
                let (feed, join) = (inner.feed.clone(), outer.join.clone());
                let settings = inner.settings.both(&outer.settings);
                let p = Parallel { children, feed, join, settings, ..(**inner).clone() };
                self.b.parallel(z, p).map(Some)
            }
            Op::Zero | Op::Reshape | Op::Add | Op::Primitive(_) => Ok(None),
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
        self.b.scale(y, Complex64::new(factor as f64, 0.0)).map(Some)
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
pub(crate) fn multiply(
    big: &Constant,
    big_axes: &[usize],
    big_conj: bool,
    small: &Constant,
    small_axes: &[usize],
    small_conj: bool,
) -> Result<Constant> {
    let strides = c_strides(small.extents());
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
