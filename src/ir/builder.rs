//! Builds programs node by node, checking extents on the way.

use super::{Node, Op, Parallel, Primitive, Program, Split};
use crate::access::{AxisMap, Constant, MapAxis, ValueId, identity_axes};
use crate::error::{Result, shape_err, value_err};
use num_complex::Complex64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A program under construction. Every method appends one node (or none where it would do nothing) and returns its value.
pub struct Builder {
    input: Vec<usize>,
    nodes: Vec<Node>,
    /// Tells its values from those of other builders.
    number: u32,
}

impl Builder {
    /// A program with an input of these extents; its value is [`ValueId::INPUT`].
    pub(crate) fn new(input: &[usize]) -> Builder {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // After 2³² builders numbers come again; 0 is nobody's.
        let number = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
        Builder { input: input.to_vec(), nodes: Vec::new(), number }
    }

    /// The program with this output.
    ///
    /// # Errors
    /// The value is not of this builder.
    pub(crate) fn finish(self, output: ValueId) -> Result<Program> {
        self.own(output)?;
        Ok(Program::new(self.input, self.nodes, output.of(0)))
    }

    /// Extents of a value; none for a value of another builder, which everything else refuses.
    pub fn extents(&self, value: ValueId) -> &[usize] {
        match value.at() {
            _ if self.own(value).is_err() => &[],
            0 => &self.input,
            i => &self.nodes[i - 1].extents,
        }
    }

    /// Whether a value is of this builder.
    fn own(&self, value: ValueId) -> Result<()> {
        let own = value == ValueId::INPUT || value.builder() == self.number && value.at() <= self.nodes.len();
        match own {
            true => Ok(()),
            false => value_err!("value {value} is not of this builder; use what its own methods have returned"),
        }
    }

    /// Appends a node whose extents are known to be right.
    pub(crate) fn push(&mut self, op: Op, inputs: &[ValueId], extents: Vec<usize>) -> ValueId {
        let inputs = inputs.iter().map(|v| v.of(0)).collect();
        self.nodes.push(Node { op, inputs, extents });
        ValueId::new(self.nodes.len()).of(self.number)
    }

    /// Appends a node; extents of 0 and of more elements than can be counted are errors.
    fn checked(&mut self, op: Op, inputs: &[ValueId], extents: Vec<usize>) -> Result<ValueId> {
        inputs.iter().try_for_each(|v| self.own(*v))?;
        countable(&extents)?;
        Ok(self.push(op, inputs, extents))
    }

    /// Appends a primitive, applied to x.
    ///
    /// # Errors
    /// It does not take such an input.
    pub(crate) fn apply(&mut self, x: ValueId, primitive: impl Primitive) -> Result<ValueId> {
        self.own(x)?;
        let extents = primitive.extents(self.extents(x))?;
        self.checked(Op::Primitive(Arc::new(primitive)), &[x], extents)
    }

    /// Number of values so far, the input included.
    pub(crate) fn values(&self) -> usize {
        self.nodes.len() + 1
    }

    pub(crate) fn node(&self, value: ValueId) -> Option<&Node> {
        value.at().checked_sub(1).map(|i| &self.nodes[i])
    }

    /// The inputs of a node of this builder.
    pub(crate) fn inputs(&self, value: ValueId) -> Vec<ValueId> {
        let inputs = self.node(value).map_or(&[][..], |n| &n.inputs);
        inputs.iter().map(|v| if *v == ValueId::INPUT { *v } else { v.of(self.number) }).collect()
    }

    /// Zeros.
    ///
    /// # Errors
    /// An extent is 0, or they are more elements than can be counted.
    pub fn zero(&mut self, extents: Vec<usize>) -> Result<ValueId> {
        self.checked(Op::Zero, &[], extents)
    }

    /// `c·x`.
    ///
    /// # Errors
    /// The value is not of this builder, or the scalar is not finite.
    pub fn scale(&mut self, x: ValueId, c: Complex64) -> Result<ValueId> {
        if !c.is_finite() {
            return value_err!("the scalar {c} is not finite");
        }
        self.own(x)?;
        // Norms that cancel, as 1/√N twice and N, make 1 but for rounding in f64; f32 does not see the difference.
        if (c - 1.0).norm() < 1e-14 {
            return Ok(x);
        }
        let e = self.extents(x).to_vec();
        self.checked(Op::Scale(c), &[x], e)
    }

    /// `w·x`, axis `k` of the weight along axis `axes[k]` of x.
    pub fn mul(&mut self, x: ValueId, weight: Constant, axes: Vec<usize>, conj: bool) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let fits = axes.len() == weight.extents().len()
            && axes.iter().zip(weight.extents()).all(|(&a, &w)| e.get(a) == Some(&w))
            && axes.iter().enumerate().all(|(i, a)| !axes[..i].contains(a));
        if !fits {
            return shape_err!("a weight {weight:?} does not fit axes {axes:?} of extents {e:?}");
        }
        self.checked(Op::Mul { weight, axes, conj }, &[x], e)
    }

    /// An index map with one entry for each output axis, of these output extents.
    pub fn map(&mut self, x: ValueId, axes: Vec<MapAxis>, extents: Vec<usize>) -> Result<ValueId> {
        self.own(x)?;
        let e = self.extents(x);
        let mut read = vec![false; e.len()];
        for (a, &extent) in axes.iter().zip(&extents) {
            if let MapAxis::From(from, m) = a {
                match read.get_mut(*from) {
                    Some(r) if !*r => *r = true,
                    _ => return shape_err!("an index map reads axis {from} of extents {e:?} twice or not at all"),
                }
                if !m.stays_inside(e[*from], extent) {
                    return shape_err!("the axis map {m:?} reads outside of extent {} for {extent} results", e[*from]);
                }
            }
        }
        if axes.len() != extents.len() || read.contains(&false) {
            return shape_err!("an index map of {} axes does not fit extents {e:?} → {extents:?}", axes.len());
        }
        if is_identity_map(&axes, e, &extents) {
            return Ok(x);
        }
        self.checked(Op::Map(axes), &[x], extents)
    }

    /// The identity but for one axis, which is read through `map` and gets the extent `extent`.
    pub fn map_axis(&mut self, x: ValueId, axis: usize, map: AxisMap, extent: usize) -> Result<ValueId> {
        let mut extents = self.extents(x).to_vec();
        let mut axes = identity_axes(&extents);
        let (Some(own), Some(n)) = (axes.get_mut(axis), extents.get_mut(axis)) else {
            return shape_err!("axis {axis} is not one of the {} axes of extents {extents:?}", extents.len());
        };
        (*own, *n) = (MapAxis::From(axis, map), extent);
        self.map(x, axes, extents)
    }

    /// Output axis `k` is input axis `order[k]`.
    pub fn permute(&mut self, x: ValueId, order: &[usize]) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        if order.iter().any(|&a| a >= e.len()) {
            return shape_err!("the order {order:?} does not fit extents {e:?}");
        }
        let axes = order.iter().map(|&a| MapAxis::From(a, AxisMap::identity(e[a]))).collect();
        self.map(x, axes, order.iter().map(|&a| e[a]).collect())
    }

    /// Repeats x along new axes: `new` holds positions in the output (ascending) and extents.
    pub fn repeat(&mut self, x: ValueId, new: &[(usize, usize)]) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let (mut axes, mut extents) = (identity_axes(&e), e);
        for &(at, extent) in new {
            if at > axes.len() {
                return shape_err!("a new axis at {at} does not fit {} axes", axes.len());
            }
            axes.insert(at, MapAxis::New);
            extents.insert(at, extent);
        }
        self.map(x, axes, extents)
    }

    /// The same values under other extents, both in C order.
    pub fn reshape(&mut self, x: ValueId, extents: Vec<usize>) -> Result<ValueId> {
        self.own(x)?;
        countable(&extents)?;
        let e = self.extents(x);
        if e.iter().product::<usize>() != extents.iter().product::<usize>() {
            return shape_err!("{e:?} cannot be reshaped to {extents:?}");
        }
        if *e == *extents {
            return Ok(x);
        }
        self.checked(Op::Reshape, &[x], extents)
    }

    /// Sum over axes.
    pub fn sum(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        self.own(x)?;
        let e = self.extents(x).to_vec();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        if let Some(twice) = axes.windows(2).find(|w| w[0] == w[1]) {
            return shape_err!("axis {} is summed over twice", twice[0]);
        }
        if axes.is_empty() {
            return Ok(x);
        }
        if axes.iter().any(|&a| a >= e.len()) {
            return shape_err!("sum axes {axes:?} do not fit extents {e:?}");
        }
        let extents = e.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, &n)| n).collect();
        self.checked(Op::Sum(axes), &[x], extents)
    }

    /// Sum of values of equal extents, from the first on.
    pub fn add(&mut self, values: &[ValueId]) -> Result<ValueId> {
        match values {
            [] => shape_err!("a sum needs at least one value"),
            [one] => self.own(*one).map(|()| *one),
            [first, ..] => {
                values.iter().try_for_each(|v| self.own(*v))?;
                let e = self.extents(*first).to_vec();
                if let Some(v) = values.iter().find(|v| self.extents(**v) != e) {
                    return shape_err!("a sum of extents {e:?} and {:?}", self.extents(*v));
                }
                self.checked(Op::Add, values, e)
            }
        }
    }

    /// Independent children; extents of feed and join are checked.
    pub(crate) fn parallel(&mut self, x: ValueId, p: Parallel) -> Result<ValueId> {
        self.own(x)?;
        let e = self.extents(x).to_vec();
        let want = split_extents(&p.feed, &e, p.children.len())?;
        for (i, (child, want)) in p.children.iter().zip(&want).enumerate() {
            if child.input_extents() != want {
                return shape_err!("child {i} takes {:?}, it is fed {want:?}", child.input_extents());
            }
        }
        let out = joined_extents(&p)?;
        self.checked(Op::Parallel(Arc::new(p)), &[x], out)
    }

    /// Appends a whole program, applied to x.
    pub(crate) fn inline(&mut self, p: &Program, x: ValueId) -> Result<ValueId> {
        self.own(x)?;
        if self.extents(x) != p.input_extents() {
            return shape_err!("a program that takes {:?} was given {:?}", p.input_extents(), self.extents(x));
        }
        let mut ids = vec![x];
        for n in &p.nodes {
            let inputs: Vec<ValueId> = n.inputs.iter().map(|v| ids[v.at()]).collect();
            ids.push(self.push(n.op.clone(), &inputs, n.extents.clone()));
        }
        Ok(ids[p.output.at()])
    }
}

/// Whether extents are those of a value: none is 0, and the number of elements can be counted.
fn countable(extents: &[usize]) -> Result<()> {
    let len = extents.iter().try_fold(1usize, |n, &e| n.checked_mul(e));
    match len {
        Some(n) if n > 0 && n <= isize::MAX as usize => Ok(()),
        Some(0) => shape_err!("extents {extents:?} have a 0; expected at least 1 along every axis"),
        _ => shape_err!("extents {extents:?} have more elements than can be counted"),
    }
}

pub(crate) fn is_identity_map(axes: &[MapAxis], input: &[usize], output: &[usize]) -> bool {
    axes.len() == input.len()
        && axes.iter().enumerate().all(|(k, a)| match a {
            MapAxis::From(from, m) => *from == k && m.is_identity(input[k], output[k]),
            MapAxis::New => false,
        })
}

/// The extents that each child sees of a value that is split this way.
pub(crate) fn split_extents(split: &Split, e: &[usize], children: usize) -> Result<Vec<Vec<usize>>> {
    match split {
        Split::Whole => Ok(vec![e.to_vec(); children]),
        Split::Slices { axis, extents } => {
            if extents.len() != children || e.get(*axis).copied() != total(extents) {
                return shape_err!(
                    "slices {extents:?} of axis {axis} do not fit extents {e:?} and {children} children"
                );
            }
            let slice = |n: &usize| {
                let mut e = e.to_vec();
                e[*axis] = *n;
                e
            };
            Ok(extents.iter().map(slice).collect())
        }
    }
}

fn joined_extents(p: &Parallel) -> Result<Vec<usize>> {
    let Some(first) = p.children.first() else { return shape_err!("a container needs at least one linop") };
    let mut out = first.output_extents().to_vec();
    if let Split::Slices { axis, extents } = &p.join {
        match out.get_mut(*axis) {
            Some(n) => match total(extents) {
                Some(total) => *n = total,
                None => return shape_err!("the extents {extents:?} add up to more than can be counted"),
            },
            None => return shape_err!("join axis {axis} does not fit extents {out:?}"),
        }
    }
    let want = split_extents(&p.join, &out, p.children.len())?;
    for (i, (child, want)) in p.children.iter().zip(&want).enumerate() {
        if child.output_extents() != want {
            return shape_err!("child {i} gives {:?}, the join expects {want:?}", child.output_extents());
        }
    }
    Ok(out)
}

/// The sum of extents, where it can be counted.
fn total(extents: &[usize]) -> Option<usize> {
    extents.iter().try_fold(0usize, |n, &e| n.checked_add(e))
}
