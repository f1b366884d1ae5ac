//! A plan on a GPU: pipelines, parameters and constants made once, scratch leased for each apply.

use super::Gpu;
use super::buffer::{GpuBuffer, gpu_buffer};
use super::pipelines::Pipeline;
use super::queues::SharedBuffer;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::program::{Constant, ConstantData, Plan, ValueId};
use crate::shader::{Draft, Operand, drafts};
use crate::tensor::{DType, Tensor};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Bytes that one submission moves at most, by the plan's count: well under a driver's watchdog on a slow GPU.
const SUBMIT_BYTES: u64 = 8 << 30;

/// Flops that take as long as moving a byte, at least, on such a GPU.
const FLOPS_PER_BYTE: u64 = 16;

/// Pairs of input and output whose bind groups an instance keeps.
const KEPT_PAIRS: usize = 8;

pub(crate) struct CompiledPlan {
    gpu: Arc<Gpu>,
    plan: Plan,
    dispatches: Vec<Dispatch>,
    params: GpuBuffer,
    idle: Mutex<Vec<Instance>>,
}

/// One dispatch with everything that does not change between applies.
struct Dispatch {
    pipeline: Arc<Pipeline>,
    entries: Vec<Entry>,
    groups: (u32, u32),
    /// Whether the call's input or output is bound.
    external: bool,
    /// Start a new submission before this one.
    cut: bool,
}

struct Entry {
    number: u32,
    from: From,
    offset: u64,
    bytes: u64,
}

enum From {
    Params,
    Input,
    Output,
    Slot(usize),
    Shared(Arc<GpuBuffer>),
}

/// Scratch, and bind groups over it.
struct Instance {
    slots: Vec<GpuBuffer>,
    /// For dispatches that bind nothing of the call.
    own: Vec<Option<wgpu::BindGroup>>,
    /// For the others.
    pairs: VecDeque<Pair>,
}

/// Bind groups for one input and output, known by their buffers' ids.
struct Pair {
    buffers: (u64, u64),
    groups: Vec<Option<wgpu::BindGroup>>,
}

impl CompiledPlan {
    pub fn new(gpu: &Arc<Gpu>, plan: Plan) -> Result<CompiledPlan> {
        gpu.check()?;
        let mut all: Vec<(Draft, u64)> = Vec::new();
        for step in &plan.steps {
            let cost = plan.step_cost(step);
            let made = drafts(&plan, step)?;
            let work = (cost.read + cost.written).max(cost.flops / FLOPS_PER_BYTE);
            let each = work / made.len().max(1) as u64;
            all.extend(made.into_iter().map(|d| (d, each)));
        }
        let mut words: Vec<u32> = Vec::new();
        let mut uniform = |data: &[u32]| {
            words.resize(words.len().next_multiple_of(64), 0);
            let at = 4 * words.len() as u64;
            words.extend(data);
            (at, 4 * data.len() as u64)
        };
        let mut shared = Shared { gpu, lists: Vec::new() };
        let mut dispatches = Vec::with_capacity(all.len());
        let mut bytes = 0;
        for (draft, cost) in &all {
            let pipeline = gpu.lane(0).pipeline(&draft.name, &draft.text)?;
            let mut entries = Vec::new();
            let (offset, size) = uniform(&draft.params);
            entries.push(Entry { number: 2, from: From::Params, offset, bytes: size });
            if let Some(p) = &draft.fft_params {
                let (offset, size) = uniform(p);
                entries.push(Entry { number: 0, from: From::Params, offset, bytes: size });
            }
            for b in &draft.bindings {
                let from = match &b.operand {
                    Operand::Value(v) => place(&plan, *v),
                    other => From::Shared(shared.buffer(other)?),
                };
                entries.push(Entry { number: b.number, from, offset: b.offset, bytes: b.bytes });
            }
            // Only what the kernel declares and naga kept.
            entries.retain(|e| pipeline.bindings.iter().any(|(n, _)| *n == e.number));
            let external = entries.iter().any(|e| matches!(e.from, From::Input | From::Output));
            bytes += cost;
            let cut = bytes > SUBMIT_BYTES;
            if cut {
                bytes = *cost;
            }
            dispatches.push(Dispatch { pipeline, entries, groups: gpu.fold(draft.groups)?, external, cut });
        }
        words.resize(words.len().next_multiple_of(64).max(64), 0);
        let params = uniform_buffer(gpu, &words)?;
        Ok(CompiledPlan { gpu: gpu.clone(), plan, dispatches, params, idle: Mutex::default() })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Records and submits; does not wait.
    pub fn apply(&self, x: &Tensor, output: Shape) -> Result<Tensor> {
        self.gpu.check()?;
        let complex = self.plan.values[self.plan.output.at()].complex;
        let y = self.gpu.tensor(output, if complex { DType::Complex32 } else { DType::F32 })?;
        let (Some(input), Some(out)) = (gpu_buffer(x), gpu_buffer(&y)) else {
            return Err(Error::Device(format!("the tensor {} is not on {}", x.shape(), self.gpu.name())));
        };
        let leased = self.idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
        let mut instance = match leased {
            Some(i) => i,
            None => self.instance()?,
        };
        let commands = self.record(&mut instance, input, out);
        let done = self.submit(commands, &instance, input, out);
        // The next apply that leases this scratch submits later, on the same queue.
        self.idle.lock().unwrap_or_else(|e| e.into_inner()).push(instance);
        done?;
        Ok(y)
    }

    fn submit(
        &self,
        commands: Vec<wgpu::CommandBuffer>,
        instance: &Instance,
        x: &GpuBuffer,
        y: &GpuBuffer,
    ) -> Result<()> {
        if !self.gpu.lanes.tracked() {
            return self.gpu.submit(0, commands, &[], &[]);
        }
        let entries = self.dispatches.iter().flat_map(|d| &d.entries);
        let shared = entries.filter_map(|e| match &e.from {
            From::Shared(b) => Some(b.shared()),
            _ => None,
        });
        let reads: Vec<&SharedBuffer> = [self.params.shared(), x.shared()].into_iter().chain(shared).collect();
        // Scratch may hold what another lane still reads for the plan that had the memory before.
        let writes: Vec<&SharedBuffer> = instance.slots.iter().chain([y]).map(GpuBuffer::shared).collect();
        self.gpu.submit(0, commands, &reads, &writes)
    }

    fn instance(&self) -> Result<Instance> {
        let slots: Vec<GpuBuffer> =
            self.plan.memory.slots.iter().map(|&bytes| self.gpu.alloc(bytes)).collect::<Result<_>>()?;
        let own = |d: &Dispatch| (!d.external).then(|| self.bind(d, &slots, None));
        Ok(Instance { own: self.dispatches.iter().map(own).collect(), slots, pairs: VecDeque::new() })
    }

    fn bind(&self, d: &Dispatch, slots: &[GpuBuffer], call: Option<(&GpuBuffer, &GpuBuffer)>) -> wgpu::BindGroup {
        let buffer = |from: &From| -> wgpu::Buffer {
            match (from, call) {
                (From::Slot(s), _) => slots[*s].wgpu_buffer().clone(),
                (From::Shared(b), _) => b.wgpu_buffer().clone(),
                (From::Input, Some((x, _))) => x.wgpu_buffer().clone(),
                (From::Output, Some((_, y))) => y.wgpu_buffer().clone(),
                (From::Params, _) | (_, None) => self.params.wgpu_buffer().clone(),
            }
        };
        let buffers: Vec<wgpu::Buffer> = d.entries.iter().map(|e| buffer(&e.from)).collect();
        let entries: Vec<wgpu::BindGroupEntry> = d
            .entries
            .iter()
            .zip(&buffers)
            .map(|(e, buffer)| wgpu::BindGroupEntry {
                binding: e.number,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset: e.offset,
                    size: wgpu::BufferSize::new(e.bytes),
                }),
            })
            .collect();
        let layout = &d.pipeline.layout;
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("linops"),
            layout,
            entries: &entries,
        })
    }

    fn record(&self, instance: &mut Instance, x: &GpuBuffer, y: &GpuBuffer) -> Vec<wgpu::CommandBuffer> {
        let key = (x.id(), y.id());
        if !instance.pairs.iter().any(|p| p.buffers == key) {
            let groups = self.dispatches.iter();
            let groups = groups.map(|d| d.external.then(|| self.bind(d, &instance.slots, Some((x, y))))).collect();
            instance.pairs.push_front(Pair { buffers: key, groups });
            instance.pairs.truncate(KEPT_PAIRS);
        }
        let empty = Vec::new();
        let call = instance.pairs.iter().find(|p| p.buffers == key).map_or(&empty, |p| &p.groups);
        let mut commands = Vec::new();
        let mut from = 0;
        while from < self.dispatches.len() {
            let rest = self.dispatches[from + 1..].iter().position(|d| d.cut);
            let end = rest.map_or(self.dispatches.len(), |n| from + 1 + n);
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("linops") });
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                let mut current: Option<&Arc<Pipeline>> = None;
                let groups = call.iter().zip(&instance.own).map(|(call, own)| call.as_ref().or(own.as_ref()));
                for (d, group) in self.dispatches.iter().zip(groups).take(end).skip(from) {
                    if !current.is_some_and(|c| Arc::ptr_eq(c, &d.pipeline)) {
                        pass.set_pipeline(&d.pipeline.pipeline);
                        current = Some(&d.pipeline);
                    }
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(d.groups.0, d.groups.1, 1);
                }
            }
            commands.push(encoder.finish());
            from = end;
        }
        commands
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

/// Constants and tables, each uploaded once.
struct Shared<'a> {
    gpu: &'a Arc<Gpu>,
    lists: Vec<(Operand, Arc<GpuBuffer>)>,
}

impl Shared<'_> {
    fn buffer(&mut self, operand: &Operand) -> Result<Arc<GpuBuffer>> {
        if let Operand::Constant(c) = operand {
            return constant(self.gpu, c);
        }
        let same = |o: &Operand| match (o, operand) {
            // Lists are shared by handle and may be long; tables are made anew and are short.
            (Operand::List(a), Operand::List(b)) => Arc::ptr_eq(a, b),
            (a, b) => a == b,
        };
        if let Some((_, b)) = self.lists.iter().find(|(o, _)| same(o)) {
            return Ok(b.clone());
        }
        let bytes: &[u8] = match operand {
            Operand::List(l) => bytemuck::cast_slice(l),
            Operand::Table(t) => bytemuck::cast_slice(t),
            Operand::Value(_) | Operand::Constant(_) => &[],
        };
        let buffer = Arc::new(self.gpu.alloc(bytes.len() as u64)?);
        self.gpu.write(&buffer, bytes)?;
        self.lists.push((operand.clone(), buffer.clone()));
        Ok(buffer)
    }
}

/// A constant's copy on the device: one for all plans that use it.
fn constant(gpu: &Arc<Gpu>, c: &Constant) -> Result<Arc<GpuBuffer>> {
    let mut all = gpu.constants.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(b) = all.get(&c.id()).and_then(std::sync::Weak::upgrade) {
        return Ok(b);
    }
    all.retain(|_, b| b.strong_count() > 0);
    let buffer = Arc::new(gpu.alloc(c.bytes())?);
    match c.data() {
        ConstantData::F32(v) => gpu.write(&buffer, bytemuck::cast_slice(v))?,
        ConstantData::C32(v) => gpu.write(&buffer, bytemuck::cast_slice(v))?,
    }
    all.insert(c.id(), Arc::downgrade(&buffer));
    Ok(buffer)
}
