//! Functions of a user's own: a pair of closures over arrays of the host, forward and adjoint.
//!
//! `number.rs` converts, `functions.rs` calls, here is what they are as a primitive. In a plan for a GPU the step is one that the
//! host runs: its values go there and back ([`GpuSide::through_host`](crate::plan::GpuSide)).

mod functions;
mod number;

pub use number::Number;

use super::Sample;
use crate::access::{Constant, Load, Post, ValueId, scalar};
use crate::error::{Error, Result, shape_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Part, Primitive, Stack, Sweep};
use crate::loops::{Real, Slice, SliceMut, Taken};
use crate::plan::{Bound, Call, Held, HostKernel, Kernel, Scratch, Side, Target, Work};
use functions::{Functions, Pair, boxed};
use ndarray::{ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2, Dimension};
use num_complex::{Complex, Complex64};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// `y = f(x)`, or the adjoint of that, for each index of `leading` axes in front.
#[derive(Clone)]
pub(crate) struct Closure {
    functions: Arc<Shared>,
    adjoint: bool,
    leading: usize,
}

struct Shared {
    input: Vec<usize>,
    output: Vec<usize>,
    pair: Box<dyn Pair>,
}

impl Closure {
    /// Two functions between arrays of these extents. The second must be the adjoint of the first: a dot test shows it.
    ///
    /// # Errors
    /// They take arrays of other numbers of axes.
    pub fn new<T: Number, D: Dimension, E: Dimension>(
        input: &[usize],
        output: &[usize],
        forward: impl Fn(ArrayView<'_, T, D>, ArrayViewMut<'_, T, E>) + Send + Sync + 'static,
        adjoint: impl Fn(ArrayView<'_, T, E>, ArrayViewMut<'_, T, D>) + Send + Sync + 'static,
    ) -> Result<Closure> {
        for (what, extents, axes) in [("input", input, D::NDIM), ("output", output, E::NDIM)] {
            if let Some(axes) = axes.filter(|n| *n != extents.len()) {
                return shape_err!(
                    "the functions take arrays of {axes} axes for the {what}, which has {}; give them ArrayView{} or ArrayViewD",
                    extents.len(),
                    extents.len()
                );
            }
        }
        let (input, output) = (input.to_vec(), output.to_vec());
        let (forward, adjoint) = (boxed(forward), boxed(adjoint));
        let pair = Box::new(Functions { input: input.clone(), output: output.clone(), forward, adjoint });
        Ok(Closure { functions: Arc::new(Shared { input, output, pair }), adjoint: false, leading: 0 })
    }

    /// Whether results are complex whatever comes.
    pub fn complex(&self) -> bool {
        self.functions.pair.complex()
    }

    /// What they compute in, as listings call it.
    pub fn number(&self) -> &'static str {
        self.functions.pair.number()
    }

    /// Extents of one input and one result.
    fn ends(&self) -> (&[usize], &[usize]) {
        let Shared { input, output, .. } = &*self.functions;
        if self.adjoint { (output, input) } else { (input, output) }
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.functions) as usize
    }

    /// Calls the function for each input.
    fn run<P: Real>(
        &self,
        x: Slice<P>,
        y: SliceMut<P>,
        call: impl Fn(&dyn Pair, Slice<P>, SliceMut<P>) -> Result<()>,
    ) -> Result<()> {
        let (taken, given) = self.ends();
        let (taken, given) = (taken.iter().product::<usize>(), given.iter().product::<usize>());
        let mut rest = y;
        for k in 0..x.len() / taken {
            let part = match x {
                Slice::Real(x) => Slice::Real(&x[k * taken..][..taken]),
                Slice::Complex(x) => Slice::Complex(&x[k * taken..][..taken]),
            };
            let own;
            (own, rest) = rest.split_at(given);
            call(&*self.functions.pair, part, own)?;
        }
        Ok(())
    }
}

impl PartialEq for Closure {
    fn eq(&self, other: &Closure) -> bool {
        (self.address(), self.adjoint, self.leading) == (other.address(), other.adjoint, other.leading)
    }
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.adjoint { "adjoint" } else { "forward" };
        write!(f, "{which} of functions in {}", self.number())
    }
}

impl Primitive for Closure {
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        other.of_type() == Some(self)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (self.address(), self.adjoint, self.leading).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (taken, given) = self.ends();
        match input.split_at_checked(self.leading) {
            Some((front, own)) if own == taken => Ok([front, given].concat()),
            _ => shape_err!("functions of extents {taken:?} do not take {input:?}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Closure { adjoint: !self.adjoint, ..self.clone() })
    }

    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = Closure { leading: self.leading + 1, ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        if axis >= self.leading {
            return shape_err!("functions of one's own are given whole arrays; split along a dim in front");
        }
        let own = self.clone();
        Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        Vec::new()
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

    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let extents = self.extents(&x.extents)?;
        let complex = x.complex || self.complex();
        let kernel = |on_gpu| ClosureKernel {
            load: x.load(),
            closure: self.clone(),
            scale: Complex64::ONE,
            len: extents.iter().product(),
            on_gpu,
        };
        let kernel = match to.target().side() {
            Side::Host(host) => host.kernel(kernel(false)),
            Side::Gpu(gpu) => gpu.through_host(kernel(true)),
        };
        Ok(to.step(kernel, &extents, complex))
    }
}

/// Reads the whole input as it is stored: nothing goes into its read.
#[derive(Clone, Debug)]
struct ClosureKernel {
    load: Load,
    closure: Closure,
    /// What is multiplied to the results.
    scale: Complex64,
    len: usize,
    /// In a plan for a GPU.
    on_gpu: bool,
}

impl Kernel for ClosureKernel {
    fn name(&self) -> &'static str {
        if self.on_gpu { "host" } else { "closure" }
    }

    fn details(&self) -> String {
        let scale = if self.scale == Complex64::ONE { String::new() } else { format!("·{}", scalar(self.scale)) };
        format!("{scale}, {:?}", self.closure)
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.len
    }

    /// What functions of others do nobody knows.
    fn work(&self) -> Work {
        Work::default()
    }

    fn held(&self) -> Vec<Held<'_>> {
        Vec::new()
    }

    fn takes(&self, _: &Load, _: &Target) -> bool {
        false
    }

    fn absorb(&mut self, after: &Load, complex: bool, _: &Target) -> bool {
        let taken = after.factors.is_empty() && (after.scale.im == 0.0 || complex);
        if taken {
            self.scale *= after.scale;
        }
        taken
    }

    fn crop(&mut self, _: &[usize], _: &[(usize, usize)]) -> Option<Vec<(usize, usize)>> {
        None
    }

    fn scratch(&self, _: bool, _: &Target) -> Option<Scratch> {
        None
    }

    fn post(&self) -> Option<&Post> {
        None
    }

    fn may_overwrite(&self, _: usize, _: &Target) -> bool {
        false
    }
}

impl HostKernel for ClosureKernel {
    fn bind32(&self) -> Box<dyn Bound<f32>> {
        Box::new(self.clone())
    }

    fn bind64(&self) -> Box<dyn Bound<f64>> {
        Box::new(self.clone())
    }

    /// Copies, where the functions compute in other numbers than the plan.
    fn taken(&self, element: usize, same: bool, _: usize) -> Taken {
        let complex = element == 8;
        let shared = self.closure.functions.pair.copies(self.closure.adjoint, complex == same, complex);
        Taken { each: 0, shared }
    }

    fn table_bytes(&self) -> u64 {
        0
    }
}

impl ClosureKernel {
    fn run_in<P: Real>(
        &self,
        call: Call<P>,
        f: impl Fn(&dyn Pair, Slice<P>, SliceMut<P>) -> Result<()>,
    ) -> Result<()> {
        let Call { sources: [Some(x)], store, dst, .. } = call else {
            return Err(Error::Shape("functions read one value".into()));
        };
        let (_, from) = dst.split_at(store.start);
        let (mut y, _) = from.split_at(self.len);
        self.closure.run(*x, y.reborrow(), f)?;
        let (re, im) = (P::of_f64(self.scale.re), P::of_f64(self.scale.im));
        match y {
            _ if self.scale == Complex64::ONE => {}
            SliceMut::Real(y) => y.iter_mut().for_each(|y| *y = *y * re),
            SliceMut::Complex(y) => y.iter_mut().for_each(|y| *y = *y * Complex::new(re, im)),
        }
        Ok(())
    }
}

impl Bound<f32> for ClosureKernel {
    fn run(&self, call: Call<f32>) -> Result<()> {
        let adjoint = self.closure.adjoint;
        self.run_in(call, |pair, x, y| pair.run32(adjoint, x, y))
    }
}

impl Bound<f64> for ClosureKernel {
    fn run(&self, call: Call<f64>) -> Result<()> {
        let adjoint = self.closure.adjoint;
        self.run_in(call, |pair, x, y| pair.run64(adjoint, x, y))
    }
}

/// What shows that values go to functions of the host and back.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let turn = |x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>| y.assign(&x.t());
    let turned = Closure::new(&[6, 7], &[7, 6], turn, turn)?;
    Ok(vec![Sample::of("functions of the host", &[6, 7], |b| b.apply(ValueId::INPUT, turned))?])
}
