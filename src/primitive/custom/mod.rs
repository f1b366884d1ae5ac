//! Kernels of a user's own: a pair of WGSL texts, forward and adjoint.
//!
//! What a text must declare stands in [`shader::own`](crate::shader). On the host there is no version of it, but for a program
//! that the user gives beside it: [`on_host`] puts that in its place before anything is planned.

mod gpu;

use super::Sample;
use super::map::MapKernel;
use crate::access::{AxisMap, Constant, Load, MapAxis, Post, ValueId};
use crate::error::{Error, Result, shape_err, value_err};
use crate::ir::{Builder, Lowered, Lowering, Narrowed, Op, Part, Primitive, Program, Stack, Sweep, batched};
use crate::plan::{Held, Kernel, Scratch, Side, StepKernel, Target, Work};
use crate::shader::{GpuLimits, Holds, Operand, OwnText, own_texts};
use num_complex::Complex64;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// How many workgroups a kernel is dispatched over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Grid {
    /// One invocation for each result, along x.
    #[default]
    PerResult,
    /// So many invocations along x, y, z, rounded up to whole workgroups.
    Invocations([u32; 3]),
    /// So many workgroups.
    Workgroups([u32; 3]),
}

/// A kernel of a user's own with what it binds, accepted by naga.
#[derive(Debug)]
pub(crate) struct OwnKernel {
    /// For real values, complex ones, or both.
    texts: Vec<OwnText>,
    /// Bound from 2 on.
    constants: Vec<Operand>,
    grid: Grid,
}

/// `y = A x` by the one kernel, `Aᴴ y` by the other.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    pair: Arc<Pair>,
    adjoint: bool,
    /// Axes in front: the kernel is dispatched for each of their entries.
    leading: usize,
}

#[derive(Debug)]
struct Pair {
    input: Vec<usize>,
    output: Vec<usize>,
    forward: OwnKernel,
    adjoint: OwnKernel,
    host: Option<Program>,
}

impl OwnKernel {
    /// # Errors
    /// naga's message with the place in the text, or bindings that do not fit what is given.
    pub fn new(name: &str, text: &str, constants: Vec<Operand>, grid: Grid) -> Result<OwnKernel> {
        if let Grid::Invocations(n) | Grid::Workgroups(n) = grid
            && n.contains(&0)
        {
            return value_err!("the {name} kernel is dispatched over {n:?}; each must be 1 or more");
        }
        let holds: Vec<Holds> = constants.iter().map(Holds::of).collect();
        Ok(OwnKernel { texts: own_texts(name, text, &holds)?, constants, grid })
    }

    /// The kinds of values that it takes.
    pub fn values(&self) -> &'static str {
        match &self.texts[..] {
            [one] if one.complex => "complex",
            [_] => "real",
            _ => "real or complex",
        }
    }

    fn weights(&self) -> impl Iterator<Item = &Constant> {
        self.constants.iter().filter_map(|o| match o {
            Operand::Constant(c) => Some(c),
            Operand::List(_) | Operand::Table(_) | Operand::Value(_) => None,
        })
    }

    /// The text for values of this kind: complex ones alone take real values as complex ones.
    fn text(&self, complex: bool) -> Result<&OwnText> {
        let exact = self.texts.iter().find(|t| t.complex == complex);
        match exact.or_else(|| self.texts.iter().find(|t| t.complex)) {
            Some(text) => Ok(text),
            None => value_err!(
                "the kernel's arrays hold f32, and complex values came; write T for the type of their elements, which stands for \
                 f32 and for vec2<f32>"
            ),
        }
    }
}

impl Custom {
    /// Kernels between arrays of these extents; the second must be the adjoint of the first. `host` is what stands for them on
    /// the host.
    ///
    /// # Errors
    /// The program has other extents, or the kernels take different values.
    pub fn new(
        input: &[usize],
        output: &[usize],
        forward: OwnKernel,
        adjoint: OwnKernel,
        host: Option<Program>,
    ) -> Result<Custom> {
        if let Some(p) = host.as_ref().filter(|p| (p.input_extents(), p.output_extents()) != (input, output)) {
            let (from, to) = (p.input_extents(), p.output_extents());
            return shape_err!("what the host does is {from:?} -> {to:?}, the kernels are {input:?} -> {output:?}");
        }
        if forward.values() != adjoint.values() {
            let (a, b) = (forward.values(), adjoint.values());
            return value_err!("the forward kernel takes {a} values, the adjoint {b}; expected the same of both");
        }
        let (input, output) = (input.to_vec(), output.to_vec());
        Ok(Custom { pair: Arc::new(Pair { input, output, forward, adjoint, host }), adjoint: false, leading: 0 })
    }

    fn kernel(&self) -> &OwnKernel {
        if self.adjoint { &self.pair.adjoint } else { &self.pair.forward }
    }

    fn ends(&self) -> (&[usize], &[usize]) {
        let Pair { input, output, .. } = &*self.pair;
        if self.adjoint { (output, input) } else { (input, output) }
    }

    fn which(&self) -> &'static str {
        if self.adjoint { "adjoint" } else { "forward" }
    }
}

impl Primitive for Custom {
    fn describe(&self) -> String {
        format!("{} kernel of one's own", self.which())
    }

    fn same(&self, other: &dyn Primitive) -> bool {
        let same = |c: &Custom| {
            Arc::ptr_eq(&c.pair, &self.pair) && (c.adjoint, c.leading) == (self.adjoint, self.leading)
        };
        other.of_type().is_some_and(same)
    }

    fn key(&self, mut state: &mut dyn Hasher) {
        (Arc::as_ptr(&self.pair) as usize, self.adjoint, self.leading).hash(&mut state);
    }

    fn extents(&self, input: &[usize]) -> Result<Vec<usize>> {
        let (taken, given) = self.ends();
        match input.split_at_checked(self.leading) {
            Some((front, own)) if own == taken => Ok([front, given].concat()),
            _ => shape_err!("a kernel for extents {taken:?} does not take {input:?}"),
        }
    }

    fn transpose(&self, b: &mut Builder, y: ValueId, _: &[usize]) -> Result<ValueId> {
        b.apply(y, Custom { adjoint: !self.adjoint, ..self.clone() })
    }

    /// A kernel of others knows nothing of an axis in front: it runs for each entry.
    fn together(&self, all: &[&dyn Primitive], _: Stack) -> Option<Arc<dyn Primitive>> {
        let moved = Custom { leading: self.leading + 1, ..self.clone() };
        all.iter().all(|p| self.same(*p)).then(|| Arc::new(moved) as Arc<dyn Primitive>)
    }

    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed> {
        if axis >= self.leading {
            return shape_err!("a kernel of one's own makes all of its result; split along a dim in front");
        }
        let own = self.clone();
        Ok(Narrowed::of(Part::along(axis, range, input), move |b, x| b.apply(x, own.clone())))
    }

    fn weights(&self) -> Vec<&Constant> {
        self.kernel().weights().collect()
    }

    fn fold(&self, _: &mut Sweep, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    fn expand(&self, _: &mut Builder, _: ValueId) -> Result<Option<ValueId>> {
        Ok(None)
    }

    /// What depends on the values' kind is looked at when it is lowered.
    fn fits(&self, _: &[usize], target: &Target) -> Result<()> {
        match target {
            Target::Host => Err(Error::Device(
                "a kernel of one's own runs on a GPU only; use one (--device gpu), or give what stands for it on the host".into(),
            )),
            Target::Gpu(_) => Ok(()),
        }
    }

    fn approximation(&self) -> f64 {
        0.0
    }

    /// One step, whatever stands in front: a dispatch for each entry, which binds its own stretch of x and of y. Stretches begin
    /// where bindings may, for which entries of other lengths are put further apart.
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered> {
        let extents = self.extents(&x.extents)?;
        let (kernel, Side::Gpu(gpu)) = (self.kernel(), to.target().side()) else {
            return self.fits(&x.extents, &to.target()).map(|()| x.clone());
        };
        let text = kernel.text(x.complex)?.clone();
        let complex = text.complex;
        let rows: usize = x.extents[..self.leading].iter().product();
        if rows > MOST_ROWS {
            return value_err!(
                "a kernel of one's own over {rows} entries of dims in front, for each of which it is dispatched; at most {MOST_ROWS}: \
                 write the kernel for these dims too, or apply it in tiles along them"
            );
        }
        let (taken, given) = self.ends();
        let (n, len): (usize, usize) = (taken.iter().product(), given.iter().product());
        let apart = |n: usize| if rows == 1 { n } else { n.next_multiple_of(OFFSET / if complex { 8 } else { 4 }) };
        let between = |load: Load, have: usize, want: usize| {
            let axes = [MapAxis::From(0, AxisMap::identity(rows)), MapAxis::From(1, AxisMap::affine(1, 0, 1, have, want))];
            let load = load.reshaped(&[rows, have]).and_then(|l| l.mapped(&axes, &[rows, want]));
            load.ok_or_else(|| Error::Shape(format!("{:?} has no rows of {taken:?}", x.extents)))
        };
        // Real values for a kernel of complex ones are widened.
        let x = match (complex, apart(n)) == (x.complex, n) {
            true => x.clone(),
            false => {
                let copied = MapKernel::of(between(x.load(), n, apart(n))?);
                to.step(StepKernel::on(copied, &to.target()), &[rows, apart(n)], complex)
            }
        };
        let ends = (n, len);
        let apart = (apart(n), apart(len));
        let kernel = CustomKernel { load: x.load(), custom: self.clone(), text, rows, ends, apart };
        kernel.expect(&gpu.limits)?;
        let made = if apart.1 == len { extents.clone() } else { vec![rows, apart.1] };
        let y = to.step(gpu.own(kernel), &made, complex);
        if apart.1 == len {
            return Ok(y);
        }
        let rows = between(y.load(), apart.1, len)?.reshaped(&extents);
        let together = rows.ok_or_else(|| Error::Shape(format!("{extents:?} has no rows of {given:?}")))?;
        Ok(to.step(StepKernel::on(MapKernel::of(together), &to.target()), &extents, complex))
    }
}

/// Entries of dims in front that one step makes.
const MOST_ROWS: usize = 4096;

/// Bytes of which the beginning of a binding is a multiple, on every device.
const OFFSET: usize = 256;

/// Reads its whole input as it is stored, and stores its whole result; row by row, where there are several.
#[derive(Clone, Debug)]
struct CustomKernel {
    load: Load,
    custom: Custom,
    text: OwnText,
    rows: usize,
    /// Elements of a row of the input and of the result.
    ends: (usize, usize),
    /// From the beginning of one row to that of the next.
    apart: (usize, usize),
}

impl CustomKernel {
    /// Workgroups along x, y, z.
    fn groups(&self) -> [u64; 3] {
        let size = self.text.workgroup.map(u64::from);
        let invocations = |n: [u64; 3]| std::array::from_fn(|k| n[k].div_ceil(size[k].max(1)));
        match self.custom.kernel().grid {
            Grid::PerResult => [(self.ends.1 as u64).div_ceil(size.iter().product::<u64>().max(1)), 1, 1],
            Grid::Invocations(n) => invocations(n.map(u64::from)),
            Grid::Workgroups(n) => n.map(u64::from),
        }
    }

    /// What a dispatch binds, by number.
    fn sizes(&self) -> impl Iterator<Item = (String, u64)> {
        let element = if self.text.complex { 8 } else { 4 };
        let bytes = |o: &Operand| match o {
            Operand::Constant(c) => c.bytes(),
            other => other.table_bytes(),
        };
        let constants = self.custom.kernel().constants.iter().enumerate();
        let constants = constants.map(move |(k, o)| (format!("constant {k}"), bytes(o)));
        let ends = [("the input", self.ends.0), ("the result", self.ends.1)];
        ends.map(|(what, n)| (what.to_string(), n as u64 * element)).into_iter().chain(constants)
    }

    /// Whether a GPU can run it: a kernel of others cannot be cut into windows.
    fn expect(&self, limits: &GpuLimits) -> Result<()> {
        let which = self.custom.which();
        for (what, bytes) in self.sizes() {
            if bytes > limits.max_binding {
                let what = format!("{what} of the {which} kernel of one's own, which is bound whole,");
                return Err(Error::TooBig { what, needed: bytes, limit: limits.max_binding });
            }
        }
        let (buffers, most) = (self.sizes().count(), limits.max_storage_buffers as usize);
        if buffers > most {
            return value_err!("the {which} kernel binds {buffers} buffers, the device has {most} for one kernel");
        }
        let invocations: u64 = self.text.workgroup.iter().map(|&n| u64::from(n)).product();
        if invocations > u64::from(limits.max_invocations) {
            return value_err!(
                "a workgroup of the {which} kernel has {invocations} invocations, the device takes {}",
                limits.max_invocations
            );
        }
        for (axis, (&n, &most)) in ["x", "y", "z"].iter().zip(self.text.workgroup.iter().zip(&limits.max_workgroup)) {
            if n > most {
                return value_err!(
                    "a workgroup of the {which} kernel has {n} invocations along {axis}, the device takes {most} there"
                );
            }
        }
        if self.text.memory > u64::from(limits.workgroup_memory) {
            return value_err!(
                "the {which} kernel has {} bytes in var<workgroup>, the device has {} for a workgroup",
                self.text.memory,
                limits.workgroup_memory
            );
        }
        let groups = self.groups();
        if let Some(axis) = groups.iter().position(|&n| n > u64::from(limits.max_groups)) {
            return value_err!(
                "the {which} kernel needs {} workgroups along {}, the device takes {}; use larger ones, or spread them over x, y and \
                 z by invocations or workgroups",
                groups[axis],
                ["x", "y", "z"][axis],
                limits.max_groups
            );
        }
        Ok(())
    }
}

impl Kernel for CustomKernel {
    fn name(&self) -> &'static str {
        "custom"
    }

    fn details(&self) -> String {
        let rows = if self.rows > 1 { format!(", {} times", self.rows) } else { String::new() };
        format!(", {} kernel over {:?} workgroups{rows}", self.custom.which(), self.groups())
    }

    fn loads(&self) -> &[Load] {
        std::slice::from_ref(&self.load)
    }

    fn loads_mut(&mut self) -> &mut [Load] {
        std::slice::from_mut(&mut self.load)
    }

    fn output_len(&self) -> usize {
        self.rows * self.apart.1
    }

    /// What it computes nobody knows.
    fn work(&self) -> Work {
        Work { flops: 0, read: self.sizes().skip(2).map(|(_, bytes)| bytes).sum() }
    }

    fn held(&self) -> Vec<Held<'_>> {
        self.custom.kernel().weights().map(Held::Weight).collect()
    }

    fn takes(&self, _: &Load, _: &Target) -> bool {
        false
    }

    fn absorb(&mut self, _: &Load, _: bool, _: &Target) -> bool {
        false
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

/// The program with what stands for kernels of one's own on the host in their place, where it is given.
pub(crate) fn on_host(p: &Program) -> Result<Program> {
    p.rewritten(&mut |b, node, inputs| {
        let (Op::Primitive(primitive), [x]) = (&node.op, inputs) else { return Ok(None) };
        let Some((custom, host)) = primitive.of_type::<Custom>().and_then(|c| Some((c, c.pair.host.as_ref()?))) else {
            return Ok(None);
        };
        let program = if custom.adjoint { host.transpose()?.simplify()? } else { host.clone() };
        // It may hold such kernels itself.
        let program = on_host(&program)?;
        let front = b.extents(*x)[..custom.leading].to_vec();
        b.inline(&batched(&program, &front)?, *x).map(Some)
    })
}

/// What shows that a kernel of others runs, with its checks, on values of both kinds.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    const TURN: &str = "
        @group(0) @binding(0) var<storage, read> x: array<T>;
        @group(0) @binding(1) var<storage, read_write> y: array<T>;

        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            if (id.x < arrayLength(&y)) {
                y[id.x] = 2.0 * x[arrayLength(&x) - 1u - id.x];
            }
        }";
    if !cfg!(feature = "gpu") {
        return Ok(Vec::new());
    }
    let mut b = Builder::new(&[90]);
    let turned = b.map_axis(ValueId::INPUT, 0, AxisMap::affine(-1, 89, 1, 90, 90), 90)?;
    let host = b.scale(turned, Complex64::new(2.0, 0.0))?;
    let host = b.finish(host)?;
    let kernel = || OwnKernel::new("sample", TURN, Vec::new(), Grid::PerResult);
    let turned = Custom::new(&[90], &[90], kernel()?, kernel()?, Some(host))?;
    Ok(vec![Sample::of("kernels of a user's own", &[90], |b| b.apply(ValueId::INPUT, turned))?])
}
