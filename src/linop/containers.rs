//! Containers of independent linops: add, concat, stack. All three lower to one `parallel` node.

use super::{Linop, Operator, Saver, Threadable, Threads, chain, listed, scalar};
use crate::access::ValueId;
use crate::dim::{Dim, Shape};
use crate::error::{Result, caught, shape_err};
use crate::ir::{Builder, Split, ThreadSettings};
use num_complex::Complex32;
use std::sync::Arc;

/// y = Σ A_i x, a left fold in the order given. Linops are taken as a vector, an array, a slice or an iterator, of their own or by
/// reference.
///
/// The adjoint adds the adjoints. The normal is the sum, then the sum of the adjoints: 2n applications, not n². The cost is
/// that of all of them, and of adding their results in their order. [Splits](Linop::split) along dims along which all of them
/// do.
///
/// ```
/// use linops::{DType, Tensor, linop};
/// let (a, b) = (linop::flip("N=8", "N")?, linop::roll("N=8", &[("N", 3)])?);
/// let sums = [linop::add([&a, &b])?, linop::add(vec![a.clone(), b.clone()])?, linop::add(&[a, b])?];
/// assert_eq!(linop::add(sums.iter().map(|s| s.h()))?.children().len(), 3);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// No linops, or shapes that differ.
pub fn add(linops: impl IntoIterator<Item = impl AsRef<Linop>>) -> Result<Linop> {
    let linops = listed(linops);
    let Some(first) = linops.first() else { return shape_err!("add: needs at least one linop") };
    let (input, output) = (first.input()?.clone(), first.output()?.clone());
    for (i, l) in linops.iter().enumerate() {
        let at = |e: crate::Error| e.at(format!("add: linops[{i}] ({}) and linops[0] differ", l.label()));
        input.expect(l.input()?).map_err(at)?;
        output.expect(l.output()?).map_err(at)?;
    }
    let (feed, join, dims) = (Split::Whole, Split::Whole, [None, None]);
    let threads = Threads::new(&linops);
    Ok(Linop::of(input, output, Container { kind: Kind::Add, threads, feed, join, inner: None, dims }))
}

/// y = Σ w_i A_i x, for weights that are real or complex.
///
/// The adjoint has the conjugate weights; the rest is as for [`add`].
///
/// ```
/// use linops::{Tensor, linop};
/// let (a, b) = (linop::identity("N=2")?, linop::flip("N=2", "N")?);
/// let odd = linop::add_weighted([&a, &b], &[0.5, -0.5])?;
/// let y = odd.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 5.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[-2f32, 2.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`add`]; another number of weights than linops, or a weight that is not finite.
pub fn add_weighted<W: Copy + Into<Complex32>>(
    linops: impl IntoIterator<Item = impl AsRef<Linop>>,
    weights: &[W],
) -> Result<Linop> {
    let linops = listed(linops);
    if weights.len() != linops.len() {
        return shape_err!("add: {} weights for {} linops; give one each", weights.len(), linops.len());
    }
    let weighted = |(l, w): (&Linop, &W)| match (*w).into() {
        w if w == Complex32::new(1.0, 0.0) => Ok(l.clone()),
        w => chain([l, &scalar(l.output()?, w)?]),
    };
    add(linops.iter().zip(weights).map(weighted).collect::<Result<Vec<_>>>()?)
}

/// Joins linops along existing dims: with `in_dim` alone y = Σ A_i x_i over slices of x (other libraries' hstack), with `out_dim`
/// alone the outputs side by side (vstack), with both a block diagonal (block_diag).
///
/// The adjoint joins the other way. The normal has that of each sub-linop, simplified: summed, or along the diagonal; with
/// `in_dim` alone it is the sum, then all adjoints of it. Results are stored where they belong, mostly without a pass that
/// joins. [Splits](Linop::split) along the joined dim, where a part has only the linops with entries in it, and dims along
/// which all of them split.
///
/// ```
/// use linops::{Tensor, linop};
/// let (a, b) = (linop::identity("N=2")?, linop::flip("N=2", "N")?);
/// let both = linop::concat([&a, &b], None, Some("N"))?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?;
/// assert_eq!(both.apply(&x)?.to_real_array()?, ndarray::arr1(&[1f32, 2.0, 2.0, 1.0]).into_dyn());
/// assert_eq!(both.n().apply(&x)?.to_real_array()?, ndarray::arr1(&[2f32, 4.0]).into_dyn());
/// let diagonal = linop::concat([&a, &b], Some("N"), Some("N"))?;
/// assert_eq!(diagonal.input()?.to_string(), "N=4");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Neither dim is given, there are no linops, or shapes differ in more than the joined dim.
#[doc(alias = "block_diag")]
#[doc(alias = "hstack")]
#[doc(alias = "vstack")]
pub fn concat(
    linops: impl IntoIterator<Item = impl AsRef<Linop>>,
    in_dim: Option<&str>,
    out_dim: Option<&str>,
) -> Result<Linop> {
    let linops = listed(linops);
    if in_dim.is_none() && out_dim.is_none() {
        return shape_err!("concat: needs in_dim or out_dim; to sum linops of one input use add");
    }
    let inputs = linops.iter().map(|l| l.input().cloned()).collect::<Result<Vec<_>>>()?;
    let outputs = linops.iter().map(|l| l.output().cloned()).collect::<Result<Vec<_>>>()?;
    let (input, feed) = join_side(&inputs, in_dim, "input")?;
    let (output, join) = join_side(&outputs, out_dim, "output")?;
    let dims = [in_dim, out_dim].map(|d| d.map(|d| (d.to_string(), 0)));
    let threads = Threads::new(&linops);
    Ok(Linop::of(input, output, Container { kind: Kind::Concat, threads, feed, join, inner: None, dims }))
}

/// The shape that shapes make along `dim` (all equal without), and how it splits into them.
fn join_side(shapes: &[Shape], dim: Option<&str>, side: &str) -> Result<(Shape, Split)> {
    let Some(first) = shapes.first() else { return shape_err!("concat: needs at least one linop") };
    let Some(dim) = dim else {
        for (i, s) in shapes.iter().enumerate() {
            first.expect(s).map_err(|e| e.at(format!("concat: the {side} of linops[{i}]")))?;
        }
        return Ok((first.clone(), Split::Whole));
    };
    let dim: Dim = dim.parse()?;
    let axis = first.require(dim).map_err(|e| e.at(format!("concat: the {side} of linops[0]")))?;
    let mut extents = Vec::new();
    for (i, s) in shapes.iter().enumerate() {
        let at = |e: crate::Error| e.at(format!("concat: the {side} of linops[{i}]"));
        let n = s.size(dim).ok_or_else(|| at(crate::Error::Shape(format!("dim {dim} is not in {s}"))))?;
        let mut want = first.extents().to_vec();
        want[axis] = n;
        Shape::new(first.dims().to_vec(), want)?.expect(s).map_err(at)?;
        extents.push(n);
    }
    let mut whole = first.extents().to_vec();
    let sum = extents.iter().try_fold(0usize, |sum, n| sum.checked_add(*n));
    whole[axis] =
        sum.ok_or_else(|| crate::Error::Shape(format!("concat: the {side}s' extents of {dim} add up to too much")))?;
    Ok((Shape::new(first.dims().to_vec(), whole)?, Split::Slices { axis, extents }))
}

/// Joins linops of equal shapes along new dims: a position in the input, in the output, or both. `(dim, position)`.
///
/// Adjoint, normal and cost are those of [`concat`]. [Splits](Linop::split) along the new dims, and dims along which all of
/// them split.
///
/// ```
/// use linops::{Tensor, linop};
/// let (a, b) = (linop::identity("N=2")?, linop::flip("N=2", "N")?);
/// let both = linop::stack([&a, &b], None, Some(("T", 0)))?;
/// assert_eq!(both.output()?.to_string(), "T=2 N=2");
/// let y = both.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr2(&[[1f32, 2.0], [2.0, 1.0]]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Neither dim is given, there are no linops, shapes differ, or a position is beyond the number of dims.
#[doc(alias = "block_diag")]
pub fn stack(
    linops: impl IntoIterator<Item = impl AsRef<Linop>>,
    in_dim: Option<(&str, usize)>,
    out_dim: Option<(&str, usize)>,
) -> Result<Linop> {
    let linops = listed(linops);
    if in_dim.is_none() && out_dim.is_none() {
        return shape_err!("stack: needs in_dim or out_dim; to sum linops of one input use add");
    }
    let Some(first) = linops.first() else { return shape_err!("stack: needs at least one linop") };
    let (input, output) = (first.input()?.clone(), first.output()?.clone());
    for (i, l) in linops.iter().enumerate() {
        input.expect(l.input()?).map_err(|e| e.at(format!("stack: the input of linops[{i}]")))?;
        output.expect(l.output()?).map_err(|e| e.at(format!("stack: the output of linops[{i}]")))?;
    }
    let count = linops.len();
    let (whole_in, feed) = stack_side(&input, in_dim, count, "in")?;
    let (whole_out, join) = stack_side(&output, out_dim, count, "out")?;
    let inner = Some((input.extents().to_vec(), output.extents().to_vec()));
    let dims = [in_dim, out_dim].map(|d| d.map(|(d, at)| (d.to_string(), at)));
    let threads = Threads::new(&linops);
    Ok(Linop::of(whole_in, whole_out, Container { kind: Kind::Stack, threads, feed, join, inner, dims }))
}

fn stack_side(shape: &Shape, dim: Option<(&str, usize)>, count: usize, side: &str) -> Result<(Shape, Split)> {
    let Some((dim, position)) = dim else { return Ok((shape.clone(), Split::Whole)) };
    if position > shape.rank() {
        return shape_err!("stack: {side}_position is {position}, expected at most {} ({shape})", shape.rank());
    }
    let (mut dims, mut extents) = (shape.dims().to_vec(), shape.extents().to_vec());
    dims.insert(position, dim.parse()?);
    extents.insert(position, count);
    Ok((Shape::new(dims, extents)?, Split::Slices { axis: position, extents: vec![1; count] }))
}

/// What a container is made of.
#[derive(Clone, Debug)]
pub(super) struct Container {
    kind: Kind,
    threads: Threads,
    feed: Split,
    join: Split,
    /// For a stack: the extents of a sub-linop, which its slice of extent 1 is reshaped to and from.
    inner: Option<(Vec<usize>, Vec<usize>)>,
    /// The dims that concat and stack were given, input then output, with the position of new ones.
    dims: [Option<(String, usize)>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Add,
    Concat,
    Stack,
}

impl Container {
    /// Whether it is an add.
    pub fn is_sum(&self) -> bool {
        self.kind == Kind::Add
    }
}

impl Operator for Container {
    fn op(&self) -> &'static str {
        match self.kind {
            Kind::Add => "add",
            Kind::Concat => "concat",
            Kind::Stack => "stack",
        }
    }

    fn children(&self) -> &[Linop] {
        self.threads.linops()
    }

    fn threads(&self) -> Option<Threads> {
        Some(self.threads.clone())
    }

    fn with_threads(&self, threads: &Threads) -> Option<Result<Linop>> {
        let linops = threads.linops().to_vec();
        let [input, output] = self.dims.each_ref().map(|d| d.as_ref().map(|(dim, at)| (&dim[..], *at)));
        let built = match self.kind {
            Kind::Add => add(linops),
            Kind::Concat => concat(linops, input.map(|d| d.0), output.map(|d| d.0)),
            Kind::Stack => stack(linops, input, output),
        };
        Some(built.map(|l| l.with_settings(threads.settings().clone())))
    }

    fn settings(&self) -> Option<&ThreadSettings> {
        Some(self.threads.settings())
    }

    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        let mut c = self.clone();
        c.threads.set_settings(settings);
        Some(Arc::new(c))
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let (feed, join) = (self.feed.clone(), self.join.clone());
        let Some((input, output)) = &self.inner else {
            return self.threads.parallel(b, x, self.op(), feed, join);
        };
        let mut children = Vec::with_capacity(self.children().len());
        for (i, l) in self.children().iter().enumerate() {
            let p = caught(|| l.program()).map_err(|e| e.at(format!("linops[{i}] ({})", l.label())))?;
            // A stacked slice keeps its axis, of extent 1.
            let with_axis = |split: &Split, extents: &[usize]| {
                let mut e = extents.to_vec();
                if let Split::Slices { axis, .. } = split {
                    e.insert(*axis, 1);
                }
                e
            };
            let mut c = Builder::new(&with_axis(&self.feed, input));
            let v = c.reshape(ValueId::INPUT, input.clone())?;
            let v = c.inline(&p, v)?;
            let v = c.reshape(v, with_axis(&self.join, output))?;
            children.push(c.finish(v)?);
        }
        self.threads.parallel_of(b, x, self.op(), feed, join, children)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let [input, output] = &self.dims;
        for (field, dim) in [("in_dim", input), ("out_dim", output)] {
            if let Some((dim, _)) = dim {
                to.field(field, dim.as_str());
            }
        }
        for (field, dim) in [("in_position", input), ("out_position", output)] {
            to.unless(field, dim.as_ref().map_or(0, |(_, at)| *at), 0);
        }
        let settings = self.threads.settings();
        to.unless("threaded", settings.threaded, true);
        if let Some(n) = settings.num_workers {
            to.field("num_workers", n.max(1));
        }
        // Sub-linops of slices state their own inputs; all others take one that is known.
        let own = self.kind == Kind::Concat && input.is_some();
        to.linops(self.children(), |i| self.children()[i].input().ok().filter(|_| !own).cloned())?;
        if let Some(made) = self.with_threads(&self.threads) {
            let made = made?;
            to.within(made.input()?.clone(), made.output()?.clone());
        }
        Ok(())
    }
}
