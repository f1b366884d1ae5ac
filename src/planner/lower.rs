//! From nodes to steps, one after the other, with nothing fused: an index map or a weight is a step of its own.

use super::containers;
use crate::access::{Store, ValueId};
use crate::error::{Error, Result};
use crate::ir::{Lowered, Lowering, Node, Op, Program};
use crate::plan::{PlanOptions, PlanValue, StepKernel, Steps, Target, Unfused};
use crate::primitive::map::MapKernel;
use crate::primitive::sum;
use num_complex::Complex64;

/// The steps of a program for a complex or a real input.
pub(super) fn lower(p: &Program, target: &Target, complex: bool, options: &PlanOptions) -> Result<Steps> {
    let input = PlanValue { extents: p.input_extents().to_vec(), complex };
    let steps = Steps::new(*target, input.clone());
    let mut l = Lowerer { steps, options: options.clone(), batch: options.alike.max(1), scope: 0, body: 0 };
    let x = Lowered { value: ValueId::INPUT, extents: input.extents, complex };
    let y = l.nodes(p, x)?;
    // The input itself is nobody's to give away.
    let y = if y.value == ValueId::INPUT { l.map(MapKernel::of(y.load()), &y.extents, y.complex) } else { y };
    l.steps.output = y.value;
    Ok(l.steps)
}

/// Steps on their way, and where in the program they are.
pub(super) struct Lowerer {
    pub steps: Steps,
    pub options: PlanOptions,
    /// Sub-linops side by side in the kernels that are made now.
    pub batch: usize,
    /// The sub-linop under way.
    pub scope: usize,
    /// The list of items under way.
    pub body: usize,
}

impl Lowering for Lowerer {
    fn target(&self) -> Target {
        self.steps.target
    }

    fn options(&self) -> &PlanOptions {
        &self.options
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn value(&mut self, extents: &[usize], complex: bool) -> Lowered {
        let value = self.steps.value(extents.to_vec(), complex);
        Lowered { value, extents: extents.to_vec(), complex }
    }

    fn step(&mut self, kernel: StepKernel, extents: &[usize], complex: bool) -> Lowered {
        let made = self.value(extents, complex);
        let store = Store::whole(made.value, kernel.output_len());
        self.part(kernel, store);
        made
    }

    fn can_make(&self, p: &Program) -> bool {
        super::ready(p, &self.steps.target).is_ok()
    }

    fn program(&mut self, p: &Program, x: &Lowered) -> Result<Lowered> {
        let ready = super::ready(p, &self.steps.target)?;
        self.nodes(&ready, x.clone())
    }

    fn part(&mut self, kernel: StepKernel, store: Store) {
        self.steps.push(Unfused { kernel, store, scope: self.scope, body: self.body });
    }
}

impl Lowerer {
    /// Appends a pointwise step that writes a new value.
    pub fn map(&mut self, kernel: MapKernel, extents: &[usize], complex: bool) -> Lowered {
        let kernel = self.pointwise(kernel);
        self.step(kernel, extents, complex)
    }

    /// A pointwise kernel for the target.
    pub fn pointwise(&self, kernel: MapKernel) -> StepKernel {
        StepKernel::on(kernel, &self.steps.target)
    }

    /// Appends the steps of a program that has passed all program passes, applied to x.
    pub fn nodes(&mut self, p: &Program, x: Lowered) -> Result<Lowered> {
        let mut values = vec![x];
        for node in p.nodes() {
            let inputs: Vec<Lowered> = node.inputs.iter().map(|v| values[v.at()].clone()).collect();
            let y = self.node(node, &inputs)?;
            values.push(y);
        }
        Ok(values.swap_remove(p.output().at()))
    }

    fn node(&mut self, node: &Node, inputs: &[Lowered]) -> Result<Lowered> {
        let extents = &node.extents;
        let Some(x) = inputs.first() else {
            // Zeros have no dtype of their own: they take the input's.
            let complex = self.steps.values[ValueId::INPUT.at()].complex;
            return Ok(self.map(MapKernel::zeros(extents.iter().product()), extents, complex));
        };
        let cannot = || Error::Shape(format!("{:?} cannot be read as {extents:?}", x.extents));
        let (load, complex) = match &node.op {
            Op::Zero => return Err(Error::Shape("zeros have no input".into())),
            Op::Add => {
                let complex = inputs.iter().any(|t| t.complex);
                let loads = inputs.iter().map(Lowered::load).collect();
                return Ok(self.map(MapKernel::sum(loads), extents, complex));
            }
            Op::Sum(axes) => {
                let kept: Vec<usize> = (0..x.extents.len()).filter(|a| !axes.contains(a)).collect();
                let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
                return Ok(sum::lower(self, x.load().permuted(&order), kept.len(), x.complex));
            }
            Op::Parallel(p) => return containers::lower(self, x.clone(), p, extents),
            Op::Primitive(p) => return p.lower(self, x),
            Op::Scale(c) => (x.load().scaled(*c), x.complex || c.im != 0.0),
            Op::Mul { weight, axes, conj } => (x.load().times(weight, axes, *conj), x.complex || weight.is_complex()),
            Op::Map(axes) => (x.load().mapped(axes, extents).ok_or_else(cannot)?, x.complex),
            Op::Reshape => (x.load().reshaped(extents).ok_or_else(cannot)?, x.complex),
        };
        debug_assert!(complex || load.scale == Complex64::new(load.scale.re, 0.0));
        Ok(self.map(MapKernel::of(load), extents, complex))
    }
}
