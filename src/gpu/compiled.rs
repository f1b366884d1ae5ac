//! A plan on a GPU: pipelines, parameters and constants made once, scratch leased for each apply.

use super::Gpu;
use super::buffer::{GpuBuffer, gpu_buffer};
use super::pipelines::Pipeline;
use super::recorded::{Instance, Recorded};
use super::segments::segments;
use crate::access::{Constant, ConstantData, Store, ValueId};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::shader::{Operand, SUBMISSION, work};
use crate::tensor::{DType, Tensor};
use std::ops::Range;
use std::sync::{Arc, Mutex};

pub(crate) struct CompiledPlan {
    pub(super) gpu: Arc<Gpu>,
    plan: Plan,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) submissions: Vec<Submission>,
    pub(super) params: GpuBuffer,
    idle: Mutex<Vec<Instance>>,
}

/// One dispatch with everything that does not change between applies.
pub(super) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub entries: Vec<Entry>,
    pub groups: (u32, u32),
    pub lane: usize,
    /// Whether the call's input or output is bound.
    pub external: bool,
    /// Starts a new pass: a wave of several steps, or the first step behind one.
    pub pass: bool,
}

/// Dispatches that are submitted together, with what they read and write.
pub(super) struct Submission {
    pub lane: usize,
    pub dispatches: Range<usize>,
    pub reads: Vec<From>,
    pub writes: Vec<From>,
}

pub(super) struct Entry {
    pub number: u32,
    pub from: From,
    pub offset: u64,
    pub bytes: u64,
}

/// A buffer of a plan.
#[derive(Clone)]
pub(super) enum From {
    Params,
    Input,
    Output,
    Slot(usize),
    Shared(Arc<GpuBuffer>),
}

impl PartialEq for From {
    fn eq(&self, other: &From) -> bool {
        match (self, other) {
            (From::Slot(a), From::Slot(b)) => a == b,
            (From::Shared(a), From::Shared(b)) => Arc::ptr_eq(a, b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl CompiledPlan {
    pub fn new(gpu: &Arc<Gpu>, plan: Plan) -> Result<CompiledPlan> {
        gpu.check()?;
        let mut c = Compiler { gpu, plan: &plan, words: Vec::new(), shared: Vec::new(), dispatches: Vec::new() };
        let mut submissions = Vec::new();
        for segment in segments(&plan, gpu.lane_count()) {
            c.segment(segment.lane, &segment.waves, &mut submissions)?;
        }
        let mut words = c.words;
        words.resize(words.len().next_multiple_of(64).max(64), 0);
        let params = uniform_buffer(gpu, &words)?;
        let dispatches = c.dispatches;
        Ok(CompiledPlan { gpu: gpu.clone(), plan, dispatches, submissions, params, idle: Mutex::default() })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Records and submits; does not wait.
    pub fn apply(&self, x: &Tensor, output: Shape) -> Result<(Tensor, Recorded)> {
        self.gpu.check()?;
        let complex = self.plan.values[self.plan.output.at()].complex;
        let y = self.gpu.tensor(output, if complex { DType::Complex32 } else { DType::F32 })?;
        let copied;
        let x = match gpu_buffer(x) {
            // A caller's own buffer is on lane 0 alone.
            Some(b) if !b.shared().everywhere() => {
                copied = self.gpu.packed(std::slice::from_ref(x), x.shape().clone(), x.dtype())?;
                &copied
            }
            _ => x,
        };
        let (Some(input), Some(out)) = (gpu_buffer(x), gpu_buffer(&y)) else {
            return Err(Error::Device(format!("the tensor {} is not on {}", x.shape(), self.gpu.name())));
        };
        let leased = self.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut instance = match leased {
            Some(i) => i,
            None => Instance::new(self, &self.plan.memory.slots)?,
        };
        let done = instance.run(self, input, out);
        // The next apply that leases this scratch submits later: on the same queue, or ordered by what uses it.
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).push(instance);
        Ok((y, done?))
    }
}

struct Compiler<'a> {
    gpu: &'a Arc<Gpu>,
    plan: &'a Plan,
    /// All uniforms, each from a multiple of 256 bytes on.
    words: Vec<u32>,
    /// Lists and tables, each uploaded once.
    shared: Vec<(Operand, Arc<GpuBuffer>)>,
    dispatches: Vec<Dispatch>,
}

impl Compiler<'_> {
    /// The dispatches of a segment, in one submission or, where they take long, several.
    fn segment(&mut self, lane: usize, waves: &[Vec<usize>], submissions: &mut Vec<Submission>) -> Result<()> {
        let fresh = |at: usize| Submission { lane, dispatches: at..at, reads: vec![From::Params], writes: Vec::new() };
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
                let cost = self.plan.step_cost(step);
                let drafts = step.drafts(self.plan)?;
                let each = work(cost.read + cost.written, cost.flops) / drafts.len().max(1) as u64;
                let dst = place(self.plan, step.store.value);
                // A result that is stored in part, or on top of what it reads, needs what was there.
                let len = step.kernel.output_len();
                let partial = step.store != Store::whole(step.store.value, len);
                let mut reads: Vec<From> = step.kernel.loads().iter().map(|l| place(self.plan, l.value)).collect();
                reads.extend(partial.then(|| dst.clone()));
                let scratch = step.scratch.map(|w| place(self.plan, w));
                for draft in drafts {
                    bytes += each;
                    if bytes > SUBMISSION && !current.dispatches.is_empty() {
                        let at = current.dispatches.end;
                        submissions.push(std::mem::replace(&mut current, fresh(at)));
                        made.clear();
                        bytes = each;
                    }
                    let dispatch = self.dispatch(lane, draft, std::mem::take(&mut pass))?;
                    let shared = dispatch.entries.iter().map(|e| &e.from).filter(|f| matches!(f, From::Shared(_)));
                    for from in shared.chain(reads.iter().filter(|r| !made.contains(r))) {
                        add(&mut current.reads, from);
                    }
                    scratch.iter().chain([&dst]).for_each(|w| add(&mut current.writes, w));
                    self.dispatches.push(dispatch);
                    current.dispatches.end += 1;
                }
                if !partial {
                    add(&mut made, &dst);
                }
            }
        }
        if !current.dispatches.is_empty() {
            submissions.push(current);
        }
        Ok(())
    }

    fn dispatch(&mut self, lane: usize, draft: crate::shader::Draft, pass: bool) -> Result<Dispatch> {
        let pipeline = self.gpu.lane(lane).pipeline(&draft.name, &draft.text)?;
        let mut entries = Vec::new();
        let (offset, bytes) = self.uniform(&draft.params);
        entries.push(Entry { number: 2, from: From::Params, offset, bytes });
        if let Some(p) = &draft.fft_params {
            let (offset, bytes) = self.uniform(p);
            entries.push(Entry { number: 0, from: From::Params, offset, bytes });
        }
        for b in &draft.bindings {
            let from = match &b.operand {
                Operand::Value(v) => place(self.plan, *v),
                Operand::Constant(c) => From::Shared(constant(self.gpu, c)?),
                list => From::Shared(self.list(list)?),
            };
            entries.push(Entry { number: b.number, from, offset: b.offset, bytes: b.bytes });
        }
        // Only what the kernel declares and naga kept.
        entries.retain(|e| pipeline.bindings.iter().any(|(n, _)| *n == e.number));
        let external = entries.iter().any(|e| matches!(e.from, From::Input | From::Output));
        Ok(Dispatch { pipeline, entries, groups: self.gpu.limits().fold(draft.groups)?, lane, external, pass })
    }

    fn uniform(&mut self, data: &[u32]) -> (u64, u64) {
        self.words.resize(self.words.len().next_multiple_of(64), 0);
        let at = 4 * self.words.len() as u64;
        self.words.extend(data);
        (at, 4 * data.len() as u64)
    }

    fn list(&mut self, operand: &Operand) -> Result<Arc<GpuBuffer>> {
        if let Some((_, b)) = self.shared.iter().find(|(o, _)| o == operand) {
            return Ok(b.clone());
        }
        let buffer = Arc::new(self.gpu.alloc(operand.table_bytes())?);
        match operand {
            Operand::List(l) => self.gpu.write(&buffer, bytemuck::cast_slice(&l.words()))?,
            Operand::Table(t) => self.gpu.write(&buffer, bytemuck::cast_slice(t))?,
            Operand::Value(_) | Operand::Constant(_) => {}
        }
        self.shared.push((operand.clone(), buffer.clone()));
        Ok(buffer)
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

fn uniform_buffer(gpu: &Arc<Gpu>, words: &[u32]) -> Result<GpuBuffer> {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = GpuBuffer::outside_pool(gpu, gpu.lanes.alloc(4 * words.len() as u64, usage)?);
    gpu.write(&buffer, bytemuck::cast_slice(words))?;
    Ok(buffer)
}

/// A constant's copy on the device: one for all plans that use it.
fn constant(gpu: &Arc<Gpu>, c: &Constant) -> Result<Arc<GpuBuffer>> {
    let mut all = gpu.constants.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(b) = all.get(c.key()).and_then(std::sync::Weak::upgrade) {
        return Ok(b);
    }
    all.retain(|_, b| b.strong_count() > 0);
    let buffer = Arc::new(gpu.alloc(c.bytes())?);
    let mut at = 0;
    for part in c.parts() {
        match part.data() {
            ConstantData::F32(v) => gpu.write_at(&buffer, at, bytemuck::cast_slice(v))?,
            ConstantData::C32(v) => gpu.write_at(&buffer, at, bytemuck::cast_slice(v))?,
            ConstantData::Stacked(_) => {}
        }
        at += part.bytes();
    }
    all.insert(c.key().clone(), Arc::downgrade(&buffer));
    Ok(buffer)
}
