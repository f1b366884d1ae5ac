//! A plan on a GPU: pipelines, parameters and constants made once, scratch leased for each apply.

use super::Gpu;
use super::buffer::{Block, GpuBuffer, gpu_buffer};
use super::core::Core;
use super::pipelines::Pipeline;
use super::recorded::{Beside, Instance, Recorded, by_several};
use super::records::Record;
use super::segments::{Segment, segments};
use crate::access::{Store, ValueId};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::kept::{Booking, Ledger};
use crate::plan::{HostStep, Plan};
use crate::shader::{Draft, Operand, SUBMISSION, work};
use crate::tensor::{DType, Tensor};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of what describes a plan and a dispatch, roughly: they count, so that many small plans are not kept for nothing.
const PLAN: u64 = 4 << 10;
const DISPATCH: u64 = 1 << 10;

/// What is kept of a plan on a GPU. It does not keep the device.
#[derive(Debug)]
pub(crate) struct CompiledPlan {
    pub(super) core: Arc<Core>,
    plan: Plan,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) submissions: Vec<Submission>,
    pub(super) params: Block,
    /// Of an apply, as the time of dispatches is counted.
    pub(super) work: u64,
    idle: Mutex<Vec<Instance>>,
    _bytes: Booking,
}

/// One dispatch with everything that does not change between applies.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub entries: Vec<Entry>,
    pub groups: (u32, u32, u32),
    pub lane: usize,
    /// The step that it is of.
    pub step: usize,
    /// Whether the call's input or output is bound.
    pub external: bool,
    /// Starts a new pass: a wave of several steps, or the first step behind one.
    pub pass: bool,
}

/// How an apply can be recorded among other work, to be submitted with it on one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recordable {
    /// Into the same command buffer.
    Here,
    /// As command buffers of its own: several threads record them.
    Apart,
    /// Not at all: it is more than one submission, or for several lanes.
    Not,
}

/// Dispatches that are submitted together, with what they read and write.
#[derive(Debug)]
pub(super) struct Submission {
    pub lane: usize,
    pub dispatches: Range<usize>,
    pub reads: Vec<From>,
    pub writes: Vec<From>,
    /// What it writes parts of while other lanes write the others, and the container that this is the result of.
    pub parts: Vec<From>,
    pub region: usize,
    /// What the host does once this is submitted and before the next is: it waits for the values that it reads.
    pub then: Vec<Through>,
}

/// A step that the host runs, with what it reads and writes.
#[derive(Debug)]
pub(super) struct Through {
    /// Its place in the plan.
    pub at: usize,
    pub step: HostStep,
    pub input: From,
    pub output: From,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub number: u32,
    pub from: From,
    pub offset: u64,
    pub bytes: u64,
}

/// A buffer of a plan.
#[derive(Clone, Debug)]
pub(super) enum From {
    Params,
    Input,
    Output,
    Slot(usize),
    Record(Arc<Record>),
}

impl PartialEq for From {
    fn eq(&self, other: &From) -> bool {
        match (self, other) {
            (From::Slot(a), From::Slot(b)) => a == b,
            (From::Record(a), From::Record(b)) => Arc::ptr_eq(a, b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl CompiledPlan {
    pub fn new(gpu: &Gpu, plan: Plan) -> Result<CompiledPlan> {
        gpu.check()?;
        let core = &gpu.core;
        let segments = segments(&plan, core.lanes.count(), core.lanes.shares());
        let drafts = plan.steps.iter().map(|s| s.drafts(&plan)).collect::<Result<Vec<_>>>()?;
        let lanes = segments.iter().flat_map(|s| s.waves.iter().flatten().map(|&step| (s.lane, step)));
        compile(core, lanes.flat_map(|(lane, step)| drafts[step].iter().map(move |d| (lane, d))))?;
        let ledger = gpu.plans.ledger();
        let mut c = Compiler { core, ledger, plan: &plan, words: Vec::new(), dispatches: Vec::new() };
        let mut submissions = Vec::new();
        for segment in segments {
            c.segment(&segment, &drafts, &mut submissions)?;
        }
        let mut words = c.words;
        words.resize(words.len().next_multiple_of(64).max(64), 0);
        let (params, dispatches) = (core.uniforms(&words)?, c.dispatches);
        let bytes = ledger.book(params.bytes() + PLAN + DISPATCH * dispatches.len() as u64);
        let idle = Mutex::default();
        let cost = plan.cost();
        let work = work(cost.read + cost.written, cost.flops);
        Ok(CompiledPlan { core: core.clone(), plan, dispatches, submissions, params, work, idle, _bytes: bytes })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Records and submits; does not wait.
    pub fn apply(&self, gpu: &Arc<Gpu>, x: &Tensor, output: Shape) -> Result<(Tensor, Recorded)> {
        let y = self.output(gpu, output)?;
        let done = self.apply_to(gpu, x, &y)?;
        Ok((y, done))
    }

    /// A tensor for a result, with undefined values.
    pub fn output(&self, gpu: &Arc<Gpu>, shape: Shape) -> Result<Tensor> {
        let complex = self.plan.values[self.plan.output.at()].complex;
        gpu.tensor(shape, if complex { DType::Complex32 } else { DType::F32 })
    }

    /// [`apply`](CompiledPlan::apply) into a tensor of the result's shape and dtype.
    pub fn apply_to(&self, gpu: &Arc<Gpu>, x: &Tensor, y: &Tensor) -> Result<Recorded> {
        gpu.check()?;
        let copied = self.copied(gpu, x)?;
        let (input, out) = (self.here(copied.as_ref().unwrap_or(x))?, self.here(y)?);
        self.leased(gpu.plans.ledger(), |instance| instance.run(self, input, out))
    }

    /// How an apply is recorded among other work of lane 0.
    pub(super) fn recording(&self) -> Recordable {
        let waits = self.submissions.iter().any(|s| !s.then.is_empty());
        match () {
            _ if waits || self.submissions.len() > 1 || !self.on_first_lane() => Recordable::Not,
            _ if by_several(self.dispatches.len()) => Recordable::Apart,
            _ => Recordable::Here,
        }
    }

    /// Whether all of it is for lane 0.
    pub(super) fn on_first_lane(&self) -> bool {
        self.submissions.iter().all(|s| s.lane == 0)
    }

    /// The command buffers of an apply that is [`Recordable`], and what it uses beside x and y.
    pub(super) fn commands(
        &self,
        gpu: &Arc<Gpu>,
        x: &Tensor,
        y: &Tensor,
    ) -> Result<(Vec<wgpu::CommandBuffer>, Beside)> {
        let (input, out) = (self.here(x)?, self.here(y)?);
        self.leased(gpu.plans.ledger(), |instance| {
            let commands = instance.record(self, input, out)?;
            Ok((commands, instance.beside(self)))
        })
    }

    /// Records an apply that is [`Recordable::Here`], in a pass that it leaves open; gives what it uses beside x and y.
    pub(super) fn record_into(
        &self,
        gpu: &Arc<Gpu>,
        x: &Tensor,
        y: &Tensor,
        encoder: &mut wgpu::CommandEncoder,
        pass: &mut Option<wgpu::ComputePass<'static>>,
    ) -> Result<Beside> {
        let call = (self.here(x)?, self.here(y)?);
        self.leased(gpu.plans.ledger(), |instance| {
            instance.record_into(self, call, encoder, pass)?;
            Ok(instance.beside(self))
        })
    }

    /// A copy of what not all lanes see: a caller's own buffer is on lane 0 alone.
    pub(super) fn copied(&self, gpu: &Arc<Gpu>, x: &Tensor) -> Result<Option<Tensor>> {
        let alone = gpu_buffer(x).is_some_and(|b| !b.shared().everywhere());
        alone.then(|| gpu.packed(std::slice::from_ref(x), x.shape().clone(), x.dtype())).transpose()
    }

    pub(super) fn here<'a>(&self, t: &'a Tensor) -> Result<&'a GpuBuffer> {
        gpu_buffer(t).ok_or_else(|| Error::Device(format!("the tensor {} is not on {}", t.shape(), self.core.name)))
    }

    /// With scratch of its own. Whoever leases it next submits later: on the same queue, or ordered by what uses it.
    pub(super) fn leased<T>(&self, ledger: &Ledger, f: impl FnOnce(&mut Instance) -> Result<T>) -> Result<T> {
        let leased = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut instance = match leased {
            Some(instance) => instance,
            None => Instance::new(self, ledger)?,
        };
        instance.renew();
        let done = f(&mut instance);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        done
    }
}

/// Compiles the kernels of a plan side by side, those that are not there yet.
fn compile<'a>(core: &Core, drafts: impl Iterator<Item = (usize, &'a Draft)>) -> Result<()> {
    let key = |lane: usize, d: &'a Draft| (lane, &d.text[..], d.own.is_some());
    let kernels: BTreeMap<(usize, &str, bool), &str> = drafts.map(|(lane, d)| (key(lane, d), &d.name[..])).collect();
    let kernels: Vec<((usize, &str, bool), &str)> = kernels.into_iter().collect();
    kernels.par_iter().try_for_each(|&((lane, text, own), name)| core.lane(lane).pipeline(name, text, own).map(drop))
}

struct Compiler<'a> {
    core: &'a Arc<Core>,
    ledger: &'a Ledger,
    plan: &'a Plan,
    /// All uniforms, each from a multiple of 256 bytes on.
    words: Vec<u32>,
    dispatches: Vec<Dispatch>,
}

impl Compiler<'_> {
    /// The dispatches of a segment, in one submission or, where they take long, several.
    fn segment(&mut self, segment: &Segment, drafts: &[Vec<Draft>], submissions: &mut Vec<Submission>) -> Result<()> {
        let Segment { lane, ref waves, parts } = *segment;
        let region = parts.map_or(0, |p| p.region);
        let fresh = |at: usize| {
            let (reads, writes, parts, then) = (vec![From::Params], Vec::new(), Vec::new(), Vec::new());
            Submission { lane, dispatches: at..at, reads, writes, parts, region, then }
        };
        let mut current = fresh(self.dispatches.len());
        // What this submission has written whole is not read from elsewhere.
        let mut made: Vec<From> = Vec::new();
        let (mut bytes, mut wide) = (0, true);
        for wave in waves {
            // What lies in one pass and touches different buffers may overlap; a barrier stands between two passes at most.
            let mut pass = wide || wave.len() > 1;
            wide = wave.len() > 1;
            for &at in wave {
                let step = &self.plan.steps[at];
                if let Some(step) = step.host_step(self.plan) {
                    let (input, output) = (place(self.plan, step.input), place(self.plan, step.store.value));
                    // Behind the kernels of its wave, which do not need it.
                    current.then.push(Through { at, step, input, output });
                    continue;
                }
                let cost = self.plan.step_cost(step);
                let drafts = &drafts[at];
                let each = work(cost.read + cost.written, cost.flops) / drafts.len().max(1) as u64;
                let dst = place(self.plan, step.store.value);
                // A result that is stored in part, or on top of what it reads, needs what was there.
                let len = step.kernel.output_len();
                let partial = step.store != Store::whole(step.store.value, len);
                // Beside other lanes, it needs only that nobody else stores there.
                let part = partial && parts.is_some_and(|p| p.value == step.store.value);
                let mut reads: Vec<From> = step.kernel.loads().iter().map(|l| place(self.plan, l.value)).collect();
                reads.extend((partial && !part).then(|| dst.clone()));
                let scratch = step.scratch.map(|w| place(self.plan, w));
                for draft in drafts {
                    bytes += each;
                    if bytes > SUBMISSION && !current.dispatches.is_empty() {
                        let at = current.dispatches.end;
                        let mut next = fresh(at);
                        next.then = std::mem::take(&mut current.then);
                        submissions.push(std::mem::replace(&mut current, next));
                        made.clear();
                        bytes = each;
                    }
                    let dispatch = self.dispatch(lane, at, draft, std::mem::take(&mut pass))?;
                    let shared = dispatch.entries.iter().map(|e| &e.from).filter(|f| matches!(f, From::Record(_)));
                    for from in shared.chain(reads.iter().filter(|r| !made.contains(r))) {
                        add(&mut current.reads, from);
                    }
                    scratch.iter().for_each(|w| add(&mut current.writes, w));
                    add(if part { &mut current.parts } else { &mut current.writes }, &dst);
                    self.dispatches.push(dispatch);
                    current.dispatches.end += 1;
                }
                if !partial {
                    add(&mut made, &dst);
                }
            }
            if !current.then.is_empty() {
                let next = fresh(current.dispatches.end);
                submissions.push(std::mem::replace(&mut current, next));
                made.clear();
                (bytes, wide) = (0, true);
            }
        }
        if !current.dispatches.is_empty() {
            submissions.push(current);
        }
        Ok(())
    }

    fn dispatch(&mut self, lane: usize, step: usize, draft: &Draft, pass: bool) -> Result<Dispatch> {
        let pipeline = self.core.lane(lane).pipeline(&draft.name, &draft.text, draft.own.is_some())?;
        let mut entries = Vec::new();
        if draft.own.is_none() {
            let (offset, bytes) = self.uniform(&draft.params);
            entries.push(Entry { number: 2, from: From::Params, offset, bytes });
        }
        if let Some(p) = &draft.fft_params {
            let (offset, bytes) = self.uniform(p);
            entries.push(Entry { number: 0, from: From::Params, offset, bytes });
        }
        for b in &draft.bindings {
            let from = match &b.operand {
                Operand::Value(v) => place(self.plan, *v),
                other => From::Record(self.core.records.of(self.core, other, self.ledger)?),
            };
            entries.push(Entry { number: b.number, from, offset: b.offset, bytes: b.bytes });
        }
        // Only what the kernel declares and naga kept.
        entries.retain(|e| pipeline.bindings.iter().any(|(n, _)| *n == e.number));
        let external = entries.iter().any(|e| matches!(e.from, From::Input | From::Output));
        let groups = match draft.own {
            Some([x, y, z]) => (x, y, z),
            None => {
                let (x, y) = self.core.limits.fold(draft.groups)?;
                (x, y, 1)
            }
        };
        Ok(Dispatch { pipeline, entries, groups, lane, step, external, pass })
    }

    fn uniform(&mut self, data: &[u32]) -> (u64, u64) {
        self.words.resize(self.words.len().next_multiple_of(64), 0);
        let at = 4 * self.words.len() as u64;
        self.words.extend(data);
        (at, 4 * data.len() as u64)
    }
}

fn add(list: &mut Vec<From>, from: &From) {
    if !list.contains(from) {
        list.push(from.clone());
    }
}

fn place(plan: &Plan, v: ValueId) -> From {
    match plan.memory.slot_of[v.at()] {
        Some(slot) => From::Slot(slot),
        None if v == ValueId::INPUT => From::Input,
        None => From::Output,
    }
}
