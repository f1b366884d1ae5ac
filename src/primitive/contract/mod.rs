//! Einsums with a constant: repeat x along the labels it lacks, weigh, sum over the labels that y lacks.
//!
//! It lowers to a `sum` whose read repeats x (stride 0) and weighs it, so that everything around it fuses into the same read and
//! store; matrix products have a kernel of their own, on the host and on GPUs with workgroup memory. Its transpose swaps the labels of x and y and conjugates the
//! weight.
//!
//! | file | holds |
//! |---|---|
//! | `product` | which einsums are matrix products |
//! | `host` | their kernel, and its loops on the host |
//! | `gpu` | its tiles and dispatches |

mod gpu;
mod host;
mod product;

#[cfg(feature = "gpu")]
use super::Variant;
use super::{Sample, sum};
use crate::access::{AxisMap, Constant, ConstantData, MapAxis, ValueId};
use crate::error::{Error, Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::plan::{Kernel, StepKernel, Target};
use crate::primitive::map::MapKernel;
#[cfg(feature = "gpu")]
use crate::shader::GpuLimits;
use host::MatrixKernel;
use product::Product;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// `y[labels y] = Σ w[labels w]·x[labels x]`, summed over the labels that y lacks. A label stands for one index; equal labels
/// run together.
///
/// ```
/// use linops::program::{Constant, ConstantData, Contract};
/// // y[m] = Σₙ w[m, n]·x[n]: a matrix times a vector.
/// let weight = Constant::new(vec![2, 3], ConstantData::F32(vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]))?;
/// let matrix = Contract { weight, conj: false, w: vec![0, 1], x: vec![1], y: vec![0] };
/// # let _ = matrix;
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// The constant.
    pub weight: Constant,
    /// Whether it is conjugated.
    pub conj: bool,
    /// A label for each axis of the weight.
    pub w: Vec<u32>,
    /// A label for each axis of x.
    pub x: Vec<u32>,
    /// A label for each axis of y.
    pub y: Vec<u32>,
}

impl Builder {
    /// Einsum with a constant.
    ///
    /// # Errors
    /// Another number of labels than axes, a label that stands twice at one operand, one of y that neither w nor x has, or one
    /// that runs over different extents.
    pub fn contract(&mut self, x: ValueId, c: Contract) -> Result<ValueId> {
        self.apply(x, c)
    }
}

impl Contract {
    /// The extent of each label.
    fn sizes(&self, input: &[usize]) -> Result<BTreeMap<u32, usize>> {
        let Contract { weight, w, x, y, .. } = self;
        if w.len() != weight.extents().len() || x.len() != input.len() {
            return shape_err!("contraction labels {w:?},{x:?}→{y:?} do not fit {weight:?} and {input:?}");
        }
        for (what, labels) in [("the weight", w), ("x", x), ("y", y)] {
            let twice = labels.iter().enumerate().find(|(k, l)| labels[..*k].contains(l));
            if let Some((_, label)) = twice {
                return shape_err!("label {label} stands twice at {what} ({labels:?}); give each axis a label of its own");
            }
        }
        let mut sizes = BTreeMap::new();
        for (label, n) in w.iter().zip(weight.extents()).chain(x.iter().zip(input)) {
            if *sizes.entry(*label).or_insert(*n) != *n {
                return shape_err!("label {label} runs over {n} and {} values", sizes[label]);
            }
        }
        if let Some(label) = y.iter().find(|l| !sizes.contains_key(l)) {
            return shape_err!("label {label} of y stands neither at the weight ({w:?}) nor at x ({x:?})");
        }
        // What is summed over is an array of all labels, though nobody stores it.
        let all = sizes.values().try_fold(1usize, |n, &e| n.checked_mul(e));
        match all.is_some_and(|n| n <= isize::MAX as usize) {
            true => Ok(sizes),
            false => shape_err!("a contraction over {sizes:?} has more terms than can be counted"),
        }
    }
}

impl Primitive for Contract {
    fn describe(&self) -> String {
        let conj = crate::access::conj_mark(self.conj);
        format!("contract{conj} {:?} {:?},{:?}→{:?}", self.weight, self.w, self.x, self.y)
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (&self.weight, self.conj, &self.w, &self.x, &self.y).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let sizes = self.sizes(input)?;
        Ok(self.y.iter().map(|l| sizes[l]).collect())
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, input: &[usize]) -> Result<ValueId> {
        // Labels that only x has were summed over freely: their transpose repeats.
        let (known, lost): (Vec<u32>, Vec<u32>) = self.x.iter().partition(|l| self.y.contains(l) || self.w.contains(l));
        let swapped = Contract { conj: !self.conj, x: self.y.clone(), y: known, ..self.clone() };
        let v = b.contract(y, swapped)?;
        let new: Vec<(usize, usize)> =
            self.x.iter().enumerate().filter(|(_, l)| lost.contains(l)).map(|(a, _)| (a, input[a])).collect();
        b.repeat(v, &new)
    }

    fn together(&self, all: &[&dyn Primitive], stack: Stack) -> Option<Arc<dyn Primitive>> {
        let mut weights = Vec::with_capacity(all.len());
        for p in all {
            let d: &Contract = p.of_type()?;
            let alike = (d.conj, &d.w, &d.x, &d.y) == (self.conj, &self.w, &self.x, &self.y);
            (alike && d.weight.is_complex() == self.weight.is_complex()).then(|| weights.push(d.weight.clone()))?;
        }
        let (weight, stacked) = stack(&weights)?;
        let row = self.w.iter().chain(&self.x).chain(&self.y).max().map_or(0, |l| l + 1);
        let front = |labels: &[u32]| -> Vec<u32> { std::iter::once(row).chain(labels.iter().copied()).collect() };
        let w = if stacked { front(&self.w) } else { self.w.clone() };
        Some(Arc::new(Contract { weight, conj: self.conj, w, x: front(&self.x), y: front(&self.y) }))
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        let label = self.y[axis];
        let weight = match self.w.iter().position(|l| *l == label) {
            Some(k) => self.weight.narrowed(k, range)?,
            None => self.weight.clone(),
        };
        let reads = match self.x.iter().position(|l| *l == label) {
            Some(a) => Part::along(a, range, input),
            None => Part::Whole,
        };
        let own = Contract { weight, ..self.clone() };
        Ok(Narrowed::of(reads, move |b, x| b.contract(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        vec![&self.weight]
    }

    fn fold(&self, _: &mut Sweep, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn fits(&self, _: &[usize], _: &Target) -> Result<()> {
        Ok(())
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    /// A fused read with axes for all labels, those of y first, summed over the others.
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let sizes = self.sizes(&x.extents)?;
        if let Some(product) = Product::of(self, &|l| sizes[&l], to.batch()) {
            let (load, turned) = product.read(&x.load());
            let (weight, conj) = (self.weight.clone(), self.conj);
            let kernel = MatrixKernel { load: [load], turned, weight, conj, product };
            if kernel.takes(&kernel.load[0], &to.target()) {
                let extents: Vec<usize> = self.y.iter().map(|l| sizes[l]).collect();
                let kernel = StepKernel::on(kernel, &to.target());
                return Ok(to.step(kernel, &extents, x.complex || self.weight.is_complex()));
            }
        }
        let mut labels = self.y.clone();
        for l in self.w.iter().chain(&self.x) {
            if !labels.contains(l) {
                labels.push(*l);
            }
        }
        let extents: Vec<usize> = labels.iter().map(|l| sizes[l]).collect();
        let axis = |(l, &n): (&u32, &usize)| match self.x.iter().position(|k| k == l) {
            Some(a) => MapAxis::From(a, AxisMap::identity(n)),
            None => MapAxis::New,
        };
        let axes: Vec<MapAxis> = labels.iter().zip(&extents).map(axis).collect();
        let read = x.load().mapped(&axes, &extents);
        let read = read.ok_or_else(|| Error::Shape(format!("{:?} cannot be read by {labels:?}", x.extents)))?;
        let at = |l: &u32| labels.iter().position(|k| k == l).unwrap_or(0);
        let load = read.times(&self.weight, &self.w.iter().map(at).collect::<Vec<_>>(), self.conj);
        let complex = x.complex || self.weight.is_complex();
        if labels.len() == self.y.len() {
            let kernel = StepKernel::on(MapKernel::of(load), &to.target());
            return Ok(to.step(kernel, &extents, complex));
        }
        Ok(sum::lower(to, load, self.y.len(), complex))
    }
}

/// The choices of tiles on a GPU, each with a product of about so many elements.
#[cfg(feature = "gpu")]
pub(crate) fn variants(limits: &GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    gpu::variants(limits, elements)
}

/// What shows that einsums work on a device.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let values = (0..900).map(|i| ((i / 300 + 2 * (i % 300)) % 7) as f32 - 3.0).collect();
    let weight = Constant::new(vec![3, 300], ConstantData::F32(values))?;
    let c = Contract { weight, conj: false, w: vec![0, 1], x: vec![1], y: vec![0] };
    let turned = Contract { x: vec![0], y: vec![1], ..c.clone() };
    // So many results that a GPU is kept busy by tiles.
    let matrix = (0..32 * 8).map(|i| ((i / 8 + 3 * (i % 8)) % 5) as f32 - 2.0).collect();
    let weight = Constant::new(vec![32, 8], ConstantData::F32(matrix))?;
    let product = Contract { weight, conj: false, w: vec![0, 1], x: vec![1, 2], y: vec![0, 2] };
    Ok(vec![
        Sample::of("matrix products", &[8, 2048], |b| b.contract(ValueId::INPUT, product))?,
        Sample::of("einsums", &[300], |b| b.contract(ValueId::INPUT, c))?,
        Sample::of("einsums by columns", &[3], |b| b.contract(ValueId::INPUT, turned))?,
    ])
}
