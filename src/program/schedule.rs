//! From a program to a plan: index maps and pointwise weights are fused into the kernels beside them, transforms are cut
//! into passes, large values into panels; a transform, weights and the transform back become a filter.

mod containers;
mod crop;
mod filter;
pub(super) mod nonuniform;
mod transforms;

use super::bluestein::legalize;
use super::plan::Post;
use super::points::Weights;
use super::prune::prune;
use super::*;
use crate::error::{Error, Result};
use crate::fft;
use transforms::FftAxes;

/// Longest sum that one output element's loop makes; longer ones go in two stages, whose tree depends on the shape alone.
const SUM_STAGE: usize = 1 << 14;

impl Program {
    /// Plans the program for a target, for a complex or a real input.
    ///
    /// The caller simplifies first; what is planned is what stands here.
    ///
    /// # Errors
    /// [`Error::TooBig`] where one line of a transform exceeds the target's binding limit, or a value its largest buffer.
    pub fn schedule(&self, target: &Target, complex_input: bool) -> Result<Plan> {
        self.schedule_with(target, complex_input, &PlanOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`schedule`](Program::schedule).
    pub fn schedule_with(&self, target: &Target, complex_input: bool, options: &PlanOptions) -> Result<Plan> {
        let expanded = nufft::expand(self)?;
        let legal;
        let program = match target {
            Target::Host => &expanded,
            Target::Gpu { max_buffer, max_binding, .. } => {
                // Before anything is made for values that cannot exist.
                fits(&expanded, *max_buffer, *max_binding)?;
                legal = legalize(&prune(&expanded)?)?;
                &legal
            }
        };
        let mut s = Scheduler {
            target: *target,
            options: options.clone(),
            batch: 1,
            spread: false,
            values: vec![],
            steps: vec![],
            bodies: vec![vec![]],
            regions: vec![],
        };
        let input = s.value(program.input.clone(), complex_input);
        let x = Val { load: Load::whole(input, &program.input), complex: complex_input, sole: false };
        let y = s.program(program, x)?;
        let output = s.output(y);
        if let Target::Gpu { max_buffer, .. } = target {
            for v in &s.values {
                if v.bytes() > *max_buffer {
                    let what = format!("a value of extents {:?}", v.extents);
                    return Err(Error::TooBig { what, needed: v.bytes(), limit: *max_buffer });
                }
            }
        }
        if *target == Target::Host {
            s.crop(output);
            s.settle_filters(output);
        }
        let (body, mut regions) = (s.bodies.swap_remove(0), s.regions);
        let waves = waves::waves(&body, &mut regions);
        let memory = memory::assign(target, &s.values, &s.steps, &body, &regions, output);
        Ok(Plan { target: *target, values: s.values, steps: s.steps, body, waves, output, memory, regions })
    }
}

/// What may be chosen when a program is planned. Nothing here changes a result, but `weights` in its last digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PlanOptions {
    /// Sub-linops of a container that are in flight at once, at most.
    pub lanes: Option<usize>,
    /// Hardware queues to distribute sub-linops over; with 0 or 1 they share one.
    pub queues: usize,
    /// Where kernels between grids and points take weights from, wherever both ways are offered; None: the faster one.
    pub weights: Option<Weights>,
}

/// Whether all values fit a buffer, and all lines of transforms (padded for a chirp where need be) a binding. Linear indices
/// of kernels are 32 bits wide.
fn fits(p: &Program, max_buffer: u64, max_binding: u64) -> Result<()> {
    let bytes = |extents: &[usize]| extents.iter().try_fold(4u64, |n, &e| n.checked_mul(e as u64)).unwrap_or(u64::MAX);
    let most = max_buffer.min(4 * u64::from(u32::MAX));
    for extents in std::iter::once(&p.input).chain(p.nodes.iter().map(|n| &n.extents)) {
        if bytes(extents) > most {
            let what = format!("a value of extents {extents:?}");
            return Err(Error::TooBig { what, needed: bytes(extents), limit: most });
        }
    }
    for node in &p.nodes {
        match &node.op {
            Op::Parallel(par) => par.children.iter().try_for_each(|c| fits(c, max_buffer, max_binding))?,
            Op::Fft { axes, .. } => {
                for &a in axes {
                    let n = node.extents[a] as u64;
                    let line = 8 * if fft::is_smooth(node.extents[a]) { n } else { 2 * n };
                    if line > max_binding {
                        let what = format!("one line of a transform of length {n}");
                        return Err(Error::TooBig { what, needed: line, limit: max_binding });
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

struct Scheduler {
    target: Target,
    options: PlanOptions,
    /// Sub-linops side by side in the kernels that are made now.
    batch: usize,
    /// Within a container that is spread over queues.
    spread: bool,
    values: Vec<PlanValue>,
    steps: Vec<Step>,
    /// The body under way, within those of the containers around it.
    bodies: Vec<Vec<Item>>,
    regions: Vec<Region>,
}

/// A program value on its way: a fused read of a stored one.
#[derive(Clone)]
struct Val {
    load: Load,
    complex: bool,
    /// Whether nothing else reads the stored value.
    sole: bool,
}

impl Scheduler {
    fn value(&mut self, extents: Vec<usize>, complex: bool) -> ValueId {
        self.values.push(PlanValue { extents, complex });
        ValueId(self.values.len() as u32 - 1)
    }

    /// Appends a step to the body under way.
    fn push(&mut self, step: Step) {
        let item = Item::Step(self.steps.len());
        self.steps.push(step);
        self.bodies.last_mut().expect("the plan's own body is there to the end").push(item);
    }

    /// Appends a step that writes a new value.
    fn step(&mut self, kernel: Kernel, extents: &[usize], complex: bool) -> Val {
        let value = self.value(extents.to_vec(), complex);
        self.push(Step { store: Store::whole(value, kernel.output_len()), kernel });
        Val { load: Load::whole(value, extents), complex, sole: true }
    }

    /// The step that made what is read in order here, if it is the last one and nothing else reads its result.
    fn just_made(&mut self, x: &Val) -> Option<&mut Step> {
        let (value, extents) = (x.load.value, &x.load.extents);
        let whole = x.sole && x.load.is_in_order() && self.values[value.at()].extents == *extents;
        let last = Item::Step(self.steps.len().checked_sub(1)?);
        let own = self.bodies.last().is_some_and(|b| b.last() == Some(&last));
        let store = Store::whole(value, extents.iter().product());
        self.steps.last_mut().filter(|s| whole && own && s.store == store)
    }

    /// The value as a stored one, in C order.
    fn stored(&mut self, v: Val) -> Val {
        if v.load.is_plain() {
            return v;
        }
        if let Some(fused) = self.fuse_into_store(&v) {
            return fused;
        }
        let extents = v.load.extents.clone();
        self.step(Kernel::Map { load: v.load }, &extents, v.complex)
    }

    /// Weights on a transform's result go into its store, a scalar on any other kernel's result into its reads, if nothing
    /// else reads the result.
    fn fuse_into_store(&mut self, v: &Val) -> Option<Val> {
        let in_order = v.load.source == Access::c_order(&v.load.extents) && v.load.is_total();
        if !v.sole || !in_order {
            return None;
        }
        let room = self.target.max_factors();
        let len = v.load.extents.iter().product();
        let limit = self.target.max_binding() / 8;
        if v.load.factors.iter().any(|f| f.weight.len() as u64 >= limit) {
            return None;
        }
        let step = self.steps.last_mut().filter(|s| s.store == Store::whole(v.load.value, len))?;
        let middle = match &step.kernel {
            Kernel::FftPass { middle: Some(middle), .. } => middle.factors.len(),
            _ => 0,
        };
        let loads = middle + step.kernel.loads().iter().map(|l| l.factors.len()).sum::<usize>();
        if let Kernel::Map { .. }
        | Kernel::Reduce { .. }
        | Kernel::Add { .. }
        | Kernel::Gather { .. }
        | Kernel::Scatter { .. }
        | Kernel::Interpolate { .. }
        | Kernel::Spread { .. } = &step.kernel
        {
            let widens = v.load.scale.im != 0.0 && !self.values[v.load.value.at()].complex;
            if !v.load.factors.is_empty() || widens {
                return None;
            }
            step.kernel.loads_mut().iter_mut().for_each(|l| l.scale *= v.load.scale);
            return Some(Val { load: Load::whole(v.load.value, &v.load.extents), complex: v.complex, sole: true });
        }
        let (Kernel::Fft { post, .. } | Kernel::Filter { post, .. } | Kernel::FftPass { post, last: true, .. }) =
            &mut step.kernel
        else {
            return None;
        };
        if !post.factors.is_empty() || loads + v.load.factors.len() > room {
            return None;
        }
        *post =
            Post { extents: v.load.extents.clone(), factors: v.load.factors.clone(), scale: post.scale * v.load.scale };
        Some(Val { load: Load::whole(v.load.value, &v.load.extents), complex: true, sole: true })
    }

    /// The program's result in a buffer of its own.
    fn output(&mut self, v: Val) -> ValueId {
        let v = self.stored(v);
        // A plain read may be of the first rows only.
        let whole = self.values[v.load.value.at()].len() == v.load.extents.iter().product::<usize>();
        if whole && v.load.value != ValueId::INPUT {
            return v.load.value;
        }
        let extents = v.load.extents.clone();
        self.step(Kernel::Map { load: v.load }, &extents, v.complex).load.value
    }

    fn program(&mut self, p: &Program, input: Val) -> Result<Val> {
        let uses = p.uses();
        let mut vals: Vec<Val> = vec![input];
        // Several readers: weights are applied once, and the value is kept from being overwritten.
        let share = |s: &mut Self, v: Val, n: usize| match n {
            0 | 1 => v,
            _ if v.load.factors.is_empty() => Val { sole: false, ..v },
            _ => Val { sole: false, ..s.stored(v) },
        };
        vals[0] = share(self, vals[0].clone(), uses[0]);
        for (i, node) in p.nodes.iter().enumerate() {
            let inputs = node.inputs.iter().map(|v| vals[v.at()].clone()).collect();
            let v = self.node(node, inputs)?;
            let v = share(self, v, uses[i + 1]);
            vals.push(v);
        }
        Ok(vals.swap_remove(p.output.at()))
    }

    fn node(&mut self, node: &Node, mut inputs: Vec<Val>) -> Result<Val> {
        let extents = &node.extents;
        if node.op == Op::Zero {
            let len = extents.iter().product();
            // Zeros have no dtype of their own: they take the input's.
            let complex = self.values[ValueId::INPUT.at()].complex;
            return Ok(self.step(Kernel::Zero { len }, extents, complex));
        }
        if node.op == Op::Add {
            return Ok(self.add(inputs, extents));
        }
        let x = inputs.swap_remove(0);
        Ok(match &node.op {
            Op::Zero | Op::Add => unreachable!("handled above"),
            Op::Nufft(_) | Op::NufftAdjoint(_) => unreachable!("expanded before"),
            Op::Scale(c) => {
                let mut x = x;
                x.load.scale *= c;
                x.complex |= c.im != 0.0;
                x
            }
            Op::Mul { weight, axes, conj } => {
                let x = if x.load.factors.len() >= self.target.max_factors() { self.stored(x) } else { x };
                let complex = x.complex || weight.is_complex();
                Val { load: x.load.times(weight, axes, *conj), complex, sole: x.sole }
            }
            Op::Map(axes) => match self.crop_pass(&x, axes) {
                Some((x, axes)) => self.through(x, |l| l.mapped(&axes, extents))?,
                None => self.through(x, |l| l.mapped(axes, extents))?,
            },
            Op::Reshape => self.through(x, |l| l.reshaped(extents))?,
            Op::Sum(axes) => {
                let kept: Vec<usize> = (0..x.load.extents.len()).filter(|a| !axes.contains(a)).collect();
                let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
                let load = x.load.permuted(&order);
                self.reduce(load, kept.len(), extents, x.complex)
            }
            Op::Contract(c) => self.contract(x, c, extents),
            Op::Gather { axis, index } => {
                let load = self.three_axes(x.clone(), *axis)?;
                self.step(Kernel::Gather { load, index: index.clone() }, extents, x.complex)
            }
            Op::Scatter { axis, index } => {
                let load = self.three_axes(x.clone(), *axis)?;
                self.step(Kernel::Scatter { load, index: index.clone() }, extents, x.complex)
            }
            Op::Interpolate(points) => self.interpolate(x, points, extents)?,
            Op::Spread(points) => self.spread(x, points, extents)?,
            Op::Fft { axes, inverse, centered, scale } => match self.target.fft_limits() {
                None => {
                    if let Some(filtered) = self.filter(&x, &node.op)? {
                        return Ok(filtered);
                    }
                    let post = Post::scalar(extents, *scale);
                    let (axes, inverse, centered) = (axes.clone(), *inverse, *centered);
                    let keep = extents.iter().map(|&n| (0, n)).collect();
                    self.step(Kernel::Fft { load: x.load, axes, inverse, centered, post, keep }, extents, true)
                }
                Some(limits) => {
                    let call = FftAxes { axes, inverse: *inverse, centered: *centered, scale: *scale, limits };
                    match self.filter_pass(&x, &call) {
                        Some(filtered) => filtered,
                        None => self.fft(x, &call)?,
                    }
                }
            },
            Op::Parallel(p) => self.parallel(x, p, extents)?,
        })
    }

    /// Applies a change of indices to a load, storing the value first where the load cannot express it.
    fn through(&mut self, x: Val, f: impl Fn(&Load) -> Option<Load>) -> Result<Val> {
        if let Some(load) = f(&x.load) {
            return Ok(Val { load, ..x });
        }
        let x = self.stored(x);
        match f(&x.load) {
            Some(load) => Ok(Val { load, ..x }),
            None => Err(Error::Shape(format!("an index change of {:?} cannot be planned", x.load.extents))),
        }
    }

    /// The load under extents (outer, axis, inner).
    fn three_axes(&mut self, x: Val, axis: usize) -> Result<Load> {
        let e = x.load.extents.clone();
        let three = [e[..axis].iter().product(), e[axis], e[axis + 1..].iter().product()];
        Ok(self.through(x, |l| l.reshaped(&three))?.load)
    }

    fn reduce(&mut self, load: Load, kept: usize, extents: &[usize], complex: bool) -> Val {
        let terms: usize = load.extents[kept..].iter().product();
        let widest = load.extents[kept..].iter().copied().enumerate().max_by_key(|&(_, n)| n);
        if let (true, Some((at, n))) = (terms > SUM_STAGE, widest) {
            // Cut the longest summed axis into about √terms pieces that divide it, and sum the pieces first.
            let target = (terms as f64).sqrt() as usize;
            let pieces = (2..=target.min(n)).rev().find(|p| n % p == 0);
            if let Some(pieces) = pieces {
                let axis = kept + at;
                let mut split = load.extents.clone();
                split.splice(axis..=axis, [pieces, n / pieces]);
                if let Some(l) = load.reshaped(&split) {
                    let mut order: Vec<usize> = (0..kept).chain([axis]).collect();
                    order.extend((kept..split.len()).filter(|a| *a != axis));
                    let mut part: Vec<usize> = extents.to_vec();
                    part.push(pieces);
                    let first = self.reduce(l.permuted(&order), kept + 1, &part, complex);
                    return self.reduce(first.load, extents.len(), extents, complex);
                }
            }
        }
        self.step(Kernel::Reduce { load, kept, batch: self.batch }, extents, complex)
    }

    /// An einsum with a constant: repeat x along the labels it lacks, weight, sum over the labels that y lacks.
    fn contract(&mut self, x: Val, c: &Contract, extents: &[usize]) -> Val {
        let x = if x.load.factors.len() >= self.target.max_factors() { self.stored(x) } else { x };
        let mut labels = c.y.clone();
        labels.extend(c.w.iter().chain(&c.x).filter(|l| !c.y.contains(l)));
        let mut seen = Vec::new();
        labels.retain(|l| {
            let new = !seen.contains(l);
            seen.push(*l);
            new
        });
        let size = |l: &u32| match c.x.iter().position(|k| k == l) {
            Some(a) => x.load.extents[a],
            None => c.w.iter().position(|k| k == l).map_or(1, |a| c.weight.extents()[a]),
        };
        let sizes: Vec<usize> = labels.iter().map(size).collect();
        let axes: Vec<MapAxis> = labels
            .iter()
            .zip(&sizes)
            .map(|(l, &n)| match c.x.iter().position(|k| k == l) {
                Some(a) => MapAxis::From(a, AxisMap::identity(n)),
                None => MapAxis::New,
            })
            .collect();
        let at = |l: &u32| labels.iter().position(|k| k == l).unwrap_or(0);
        let complex = x.complex || c.weight.is_complex();
        let plain = |l: &Load| l.mapped(&axes, &sizes);
        let load = match plain(&x.load) {
            Some(l) => l,
            None => {
                let stored = self.stored(x.clone());
                plain(&stored.load).unwrap_or(stored.load)
            }
        };
        let load = load.times(&c.weight, &c.w.iter().map(at).collect::<Vec<_>>(), c.conj);
        if labels.len() == c.y.len() {
            return Val { load, complex, sole: x.sole };
        }
        self.reduce(load, c.y.len(), extents, complex)
    }

    /// A left fold, in groups of as many terms as one kernel binds.
    fn add(&mut self, terms: Vec<Val>, extents: &[usize]) -> Val {
        let room = self.target.max_factors();
        let complex = terms.iter().any(|t| t.complex);
        let mut group: Vec<Load> = Vec::new();
        let mut bound = 0;
        for t in terms {
            let needs = 1 + t.load.factors.len();
            let t = if needs > 1 && needs + 1 > room { self.stored(t) } else { t };
            let needs = 1 + t.load.factors.len();
            if group.len() > 1 && bound + needs > room {
                let acc = self.step(Kernel::Add { loads: std::mem::take(&mut group) }, extents, complex);
                group.push(acc.load);
                bound = 1;
            }
            bound += needs;
            group.push(t.load);
        }
        self.step(Kernel::Add { loads: group }, extents, complex)
    }
}
