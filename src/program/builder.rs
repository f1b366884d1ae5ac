//! Builds programs node by node, checking extents on the way.

use super::{
    AxisMap, Constant, Contract, IndexList, MapAxis, Node, Nufft, Op, Parallel, Points, Program, Split, ValueId,
};
use crate::error::{Result, shape_err};
use num_complex::Complex64;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A program under construction. Every method appends one node (or none where it would do nothing) and returns its value.
pub struct Builder {
    input: Vec<usize>,
    nodes: Vec<Node>,
}

impl Builder {
    /// A program with an input of these extents; its value is [`ValueId::INPUT`].
    pub fn new(input: &[usize]) -> Builder {
        Builder { input: input.to_vec(), nodes: Vec::new() }
    }

    /// The program with this output.
    pub fn finish(self, output: ValueId) -> Program {
        Program { input: self.input, nodes: self.nodes, output }
    }

    /// Extents of a value.
    pub fn extents(&self, value: ValueId) -> &[usize] {
        match value.at() {
            0 => &self.input,
            i => &self.nodes[i - 1].extents,
        }
    }

    pub(crate) fn push(&mut self, op: Op, inputs: Vec<ValueId>, extents: Vec<usize>) -> ValueId {
        self.nodes.push(Node { op, inputs, extents });
        ValueId(self.nodes.len() as u32)
    }

    /// Number of values so far, the input included.
    pub(crate) fn values(&self) -> usize {
        self.nodes.len() + 1
    }

    pub(crate) fn node(&self, value: ValueId) -> Option<&Node> {
        value.at().checked_sub(1).map(|i| &self.nodes[i])
    }

    /// Zeros.
    pub fn zero(&mut self, extents: Vec<usize>) -> ValueId {
        self.push(Op::Zero, vec![], extents)
    }

    /// `c·x`.
    pub fn scale(&mut self, x: ValueId, c: Complex64) -> ValueId {
        // Norms that cancel, as 1/√N twice and N, make 1 but for rounding in f64; f32 does not see the difference.
        if (c - 1.0).norm() < 1e-14 {
            return x;
        }
        let e = self.extents(x).to_vec();
        self.push(Op::Scale(c), vec![x], e)
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
        Ok(self.push(Op::Mul { weight, axes, conj }, vec![x], e))
    }

    /// An index map with one entry for each output axis, of these output extents.
    pub fn map(&mut self, x: ValueId, axes: Vec<MapAxis>, extents: Vec<usize>) -> Result<ValueId> {
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
        Ok(self.push(Op::Map(axes), vec![x], extents))
    }

    /// The identity but for one axis, which is read through `map` and gets the extent `extent`.
    pub fn map_axis(&mut self, x: ValueId, axis: usize, map: AxisMap, extent: usize) -> Result<ValueId> {
        let mut extents = self.extents(x).to_vec();
        let mut axes = identity_axes(&extents);
        axes[axis] = MapAxis::From(axis, map);
        extents[axis] = extent;
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
        let e = self.extents(x);
        if e.iter().product::<usize>() != extents.iter().product::<usize>() {
            return shape_err!("{e:?} cannot be reshaped to {extents:?}");
        }
        if *e == *extents {
            return Ok(x);
        }
        Ok(self.push(Op::Reshape, vec![x], extents))
    }

    /// Sum over axes.
    pub fn sum(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() {
            return Ok(x);
        }
        if axes.iter().any(|&a| a >= e.len()) {
            return shape_err!("sum axes {axes:?} do not fit extents {e:?}");
        }
        let extents = e.iter().enumerate().filter(|(a, _)| !axes.contains(a)).map(|(_, &n)| n).collect();
        Ok(self.push(Op::Sum(axes), vec![x], extents))
    }

    /// `y[o, m, i] = x[o, index[m], i]`.
    pub fn gather(&mut self, x: ValueId, axis: usize, index: IndexList) -> Result<ValueId> {
        let mut e = self.extents(x).to_vec();
        if e.get(axis) != Some(&index.extent()) {
            return shape_err!("an index into extent {} does not fit axis {axis} of {e:?}", index.extent());
        }
        e[axis] = index.indices().len();
        Ok(self.push(Op::Gather { axis, index }, vec![x], e))
    }

    /// The transpose of [`gather`](Builder::gather).
    pub fn scatter(&mut self, x: ValueId, axis: usize, index: IndexList) -> Result<ValueId> {
        let mut e = self.extents(x).to_vec();
        if e.get(axis) != Some(&index.indices().len()) {
            return shape_err!("{} indices do not fit axis {axis} of {e:?}", index.indices().len());
        }
        e[axis] = index.extent();
        Ok(self.push(Op::Scatter { axis, index }, vec![x], e))
    }

    /// Non-uniform Fourier transform of the image that the last axes of x are; its samples' axes come last.
    pub fn nufft(&mut self, x: ValueId, n: Nufft) -> Result<ValueId> {
        let e = self.replaced(x, n.image(), n.samples())?;
        Ok(self.push(Op::Nufft(n), vec![x], e))
    }

    /// The transpose of [`nufft`](Builder::nufft).
    pub fn nufft_adjoint(&mut self, x: ValueId, n: Nufft) -> Result<ValueId> {
        let e = self.replaced(x, n.samples(), n.image())?;
        Ok(self.push(Op::NufftAdjoint(n), vec![x], e))
    }

    /// The extents of x with the last ones, which must be these, replaced.
    fn replaced(&self, x: ValueId, last: &[usize], by: &[usize]) -> Result<Vec<usize>> {
        let e = self.extents(x);
        match e.strip_suffix(last) {
            Some(batch) => Ok(batch.iter().chain(by).copied().collect()),
            None => shape_err!("{last:?} are not the last of the extents {e:?}"),
        }
    }

    /// Interpolates the grid that the last axes of x are; they leave, and one that counts the points comes last.
    pub fn interpolate(&mut self, x: ValueId, points: Points) -> Result<ValueId> {
        let e = self.replaced(x, points.grid(), &[points.count()])?;
        Ok(self.push(Op::Interpolate(points), vec![x], e))
    }

    /// The transpose of [`interpolate`](Builder::interpolate).
    pub fn spread(&mut self, x: ValueId, points: Points) -> Result<ValueId> {
        let e = self.replaced(x, &[points.count()], points.grid())?;
        Ok(self.push(Op::Spread(points), vec![x], e))
    }

    /// Discrete Fourier transform along axes, times `scale`.
    pub fn fft(&mut self, x: ValueId, axes: &[usize], inverse: bool, centered: bool, scale: f64) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        if axes.windows(2).any(|w| w[0] == w[1]) || axes.iter().any(|&a| a >= e.len()) {
            return shape_err!("fft axes {axes:?} do not fit extents {e:?}");
        }
        // A transform of length 1 is the identity.
        axes.retain(|&a| e[a] > 1);
        if axes.is_empty() {
            return Ok(self.scale(x, Complex64::new(scale, 0.0)));
        }
        Ok(self.push(Op::Fft { axes, inverse, centered, scale }, vec![x], e))
    }

    /// Einsum with a constant.
    pub fn contract(&mut self, x: ValueId, c: Contract) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let mut sizes = BTreeMap::new();
        let sides = c.w.iter().zip(c.weight.extents()).chain(c.x.iter().zip(&e));
        let lengths_fit = c.w.len() == c.weight.extents().len() && c.x.len() == e.len();
        for (label, n) in sides {
            if *sizes.entry(*label).or_insert(*n) != *n {
                return shape_err!("label {label} runs over {n} and {} values", sizes[label]);
            }
        }
        let extents: Option<Vec<usize>> = c.y.iter().map(|l| sizes.get(l).copied()).collect();
        match extents {
            Some(extents) if lengths_fit => Ok(self.push(Op::Contract(c), vec![x], extents)),
            _ => shape_err!("contraction labels {:?},{:?}→{:?} do not fit {:?} and {e:?}", c.w, c.x, c.y, c.weight),
        }
    }

    /// Sum of values of equal extents, from the first on.
    pub fn add(&mut self, values: &[ValueId]) -> Result<ValueId> {
        match values {
            [] => shape_err!("a sum needs at least one value"),
            [one] => Ok(*one),
            [first, ..] => {
                let e = self.extents(*first).to_vec();
                if let Some(v) = values.iter().find(|v| self.extents(**v) != e) {
                    return shape_err!("a sum of extents {e:?} and {:?}", self.extents(*v));
                }
                Ok(self.push(Op::Add, values.to_vec(), e))
            }
        }
    }

    /// Independent children; extents of feed and join are checked.
    pub fn parallel(&mut self, x: ValueId, p: Parallel) -> Result<ValueId> {
        let e = self.extents(x).to_vec();
        let want = split_extents(&p.feed, &e, p.children.len())?;
        for (i, (child, want)) in p.children.iter().zip(&want).enumerate() {
            if child.input_extents() != want {
                return shape_err!("child {i} takes {:?}, it is fed {want:?}", child.input_extents());
            }
        }
        let out = joined_extents(&p)?;
        Ok(self.push(Op::Parallel(Arc::new(p)), vec![x], out))
    }

    /// Appends a whole program, applied to x.
    pub fn inline(&mut self, p: &Program, x: ValueId) -> Result<ValueId> {
        if self.extents(x) != p.input_extents() {
            return shape_err!("a program that takes {:?} was given {:?}", p.input_extents(), self.extents(x));
        }
        let mut ids = vec![x];
        for n in &p.nodes {
            let inputs = n.inputs.iter().map(|v| ids[v.at()]).collect();
            ids.push(self.push(n.op.clone(), inputs, n.extents.clone()));
        }
        Ok(ids[p.output.at()])
    }
}

/// One identity entry for each axis.
pub(crate) fn identity_axes(extents: &[usize]) -> Vec<MapAxis> {
    extents.iter().enumerate().map(|(a, &n)| MapAxis::From(a, AxisMap::identity(n))).collect()
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
            if extents.len() != children || e.get(*axis) != Some(&extents.iter().sum()) {
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
            Some(n) => *n = extents.iter().sum(),
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
