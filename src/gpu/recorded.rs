//! Recording a compiled plan: bind groups over leased scratch, command buffers by several threads, one submitter.

use super::buffer::{Block, GpuBuffer};
use super::compiled::{CompiledPlan, Dispatch, From, Submission, Through};
use super::core::Core;
use super::faults::checked;
use super::groups::{Call, CallGroups};
use super::ids::new_id;
use super::pipelines::Pipeline;
use super::queues::SharedBuffer;
use crate::error::Result;
use crate::kept::{Booking, Ledger};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Dispatches that are worth a recording thread: about half a millisecond of encoding.
const STRETCH: usize = 1024;

/// What an apply did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Submissions.
    pub submits: usize,
    /// Compute passes.
    pub passes: usize,
    /// Dispatches.
    pub dispatches: usize,
    /// The threads that recorded and finished command buffers, one entry for each buffer.
    pub recorders: Vec<String>,
}

/// Scratch, and bind groups over it.
#[derive(Debug)]
pub(super) struct Instance {
    id: u64,
    core: Arc<Core>,
    slots: Vec<Block>,
    /// For dispatches that bind nothing of the call.
    own: CallGroups,
    _bytes: Booking,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.core.groups.forget_instance(self.id);
    }
}

/// A finished command buffer, its passes, and the thread that made it.
type Finished = (wgpu::CommandBuffer, usize, String);

/// The input and output of a call.
type InOut<'a> = Option<(&'a GpuBuffer, &'a GpuBuffer)>;

/// What a call records: the bind group of each dispatch, and the stretches that threads take.
struct Recording<'a> {
    plan: &'a CompiledPlan,
    groups: Vec<Option<&'a wgpu::BindGroup>>,
    /// Dispatches of a stretch.
    each: usize,
    parallel: bool,
}

impl Instance {
    pub fn new(plan: &CompiledPlan, ledger: &Ledger) -> Result<Instance> {
        let slots = plan.plan().memory.slots.iter().map(|&bytes| plan.core.alloc(bytes)).collect::<Result<Vec<_>>>()?;
        let bytes = ledger.book(slots.iter().map(Block::bytes).sum());
        let mut instance = Instance { id: new_id(), core: plan.core.clone(), slots, own: Vec::new(), _bytes: bytes };
        let own = |d: &Dispatch| (!d.external).then(|| instance.bind(plan, d, None)).transpose();
        instance.own = plan.dispatches.iter().map(own).collect::<Result<_>>()?;
        Ok(instance)
    }

    fn place<'a>(&'a self, plan: &'a CompiledPlan, from: &'a From, call: InOut<'a>) -> &'a SharedBuffer {
        match (from, call) {
            (From::Slot(s), _) => self.slots[*s].shared(),
            (From::Record(r), _) => r.block.shared(),
            (From::Input, Some((x, _))) => x.shared(),
            (From::Output, Some((_, y))) => y.shared(),
            (From::Params, _) | (_, None) => plan.params.shared(),
        }
    }

    fn places<'a>(&'a self, plan: &'a CompiledPlan, list: &'a [From], call: InOut<'a>) -> Vec<&'a SharedBuffer> {
        list.iter().map(|f| self.place(plan, f, call)).collect()
    }

    fn bind(&self, plan: &CompiledPlan, d: &Dispatch, call: InOut) -> Result<wgpu::BindGroup> {
        let entries: Vec<wgpu::BindGroupEntry> = d
            .entries
            .iter()
            .map(|e| wgpu::BindGroupEntry {
                binding: e.number,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: self.place(plan, &e.from, call).on(d.lane),
                    offset: e.offset,
                    size: wgpu::BufferSize::new(e.bytes),
                }),
            })
            .collect();
        let desc = wgpu::BindGroupDescriptor { label: Some("linops"), layout: &d.pipeline.layout, entries: &entries };
        let device = plan.core.lane(d.lane).device;
        checked(device, || device.create_bind_group(&desc))
    }

    /// The bind groups of a call's own dispatches.
    fn bound(&self, plan: &CompiledPlan, x: &GpuBuffer, y: &GpuBuffer) -> Result<Arc<CallGroups>> {
        let call = Call { instance: self.id, input: x.id(), output: y.id() };
        if let Some(groups) = self.core.groups.get(&call) {
            return Ok(groups);
        }
        let bind = |d: &Dispatch| d.external.then(|| self.bind(plan, d, Some((x, y)))).transpose();
        let groups = Arc::new(plan.dispatches.iter().map(bind).collect::<Result<CallGroups>>()?);
        self.core.groups.put(call, groups.clone());
        Ok(groups)
    }

    /// The bind groups of a call's dispatches, and of those that bind nothing of it.
    pub fn all_bound(
        &self,
        plan: &CompiledPlan,
        x: &GpuBuffer,
        y: &GpuBuffer,
    ) -> Result<(Arc<CallGroups>, &CallGroups)> {
        Ok((self.bound(plan, x, y)?, &self.own))
    }

    /// What a submission reads and writes, where lanes ask for it.
    pub fn used<'a>(
        &'a self,
        plan: &'a CompiledPlan,
        s: &'a Submission,
        call: (&'a GpuBuffer, &'a GpuBuffer),
    ) -> (Vec<&'a SharedBuffer>, Vec<&'a SharedBuffer>) {
        match plan.core.lanes.tracked() {
            true => (self.places(plan, &s.reads, Some(call)), self.places(plan, &s.writes, Some(call))),
            false => Default::default(),
        }
    }

    /// A step that the host runs: waits for what it reads, and brings the result back.
    pub fn through_host(&self, plan: &CompiledPlan, t: &Through, call: (&GpuBuffer, &GpuBuffer)) -> Result<()> {
        let lanes = &plan.core.lanes;
        let read = lanes.read(self.place(plan, &t.input, Some(call)), t.step.reads())?;
        let result = t.step.run(&read)?;
        lanes.write(self.place(plan, &t.output, Some(call)), t.step.offset(), bytemuck::cast_slice(&result))
    }

    /// The command buffers of one apply, to be submitted together.
    pub fn record(&mut self, plan: &CompiledPlan, x: &GpuBuffer, y: &GpuBuffer) -> Result<Vec<wgpu::CommandBuffer>> {
        let groups = self.bound(plan, x, y)?;
        let recording = Recording::new(plan, &groups, &self.own);
        let finished = recording.finished(&recording.stretches(&(0..plan.dispatches.len())))?;
        Ok(finished.into_iter().map(|(commands, ..)| commands).collect())
    }

    /// Records and submits one apply: long lists on several threads, which take consecutive stretches and finish them
    /// themselves.
    pub fn run(&mut self, plan: &CompiledPlan, x: &GpuBuffer, y: &GpuBuffer) -> Result<Recorded> {
        let groups = self.bound(plan, x, y)?;
        let recording = Recording::new(plan, &groups, &self.own);
        let lanes = &plan.core.lanes;
        let late = lanes.finishes_under_lock();
        let mut finished = match late {
            true => Vec::new(),
            false => {
                let all = plan.submissions.iter().flat_map(|s| recording.stretches(&s.dispatches));
                recording.finished(&all.collect::<Vec<_>>())?
            }
        }
        .into_iter();
        let mut recorded = Recorded { dispatches: plan.dispatches.len(), ..Recorded::default() };
        for s in &plan.submissions {
            let (reads, writes) = self.used(plan, s, (x, y));
            let stretches = recording.stretches(&s.dispatches);
            if stretches.is_empty() {
                // The host begins.
            } else if late {
                let record = |_: &wgpu::Device| {
                    let finished = stretches.iter().map(|r| recording.stretch(r)).collect::<Result<Vec<_>>>()?;
                    Ok(finished.into_iter().map(|f| recorded.note(f)).collect())
                };
                lanes.submit_with(s.lane, record, &reads, &writes, &[])?;
            } else {
                let commands = finished.by_ref().take(stretches.len()).map(|f| recorded.note(f)).collect();
                lanes.submit(s.lane, commands, &reads, &writes, &[])?;
            }
            recorded.submits += usize::from(!stretches.is_empty());
            s.then.iter().try_for_each(|t| self.through_host(plan, t, (x, y)))?;
        }
        Ok(recorded)
    }
}

impl Recorded {
    fn note(&mut self, (commands, passes, thread): Finished) -> wgpu::CommandBuffer {
        self.passes += passes;
        self.recorders.push(thread);
        commands
    }
}

impl<'a> Recording<'a> {
    fn new(plan: &'a CompiledPlan, call: &'a CallGroups, own: &'a CallGroups) -> Recording<'a> {
        let groups = call.iter().zip(own).map(|(call, own)| call.as_ref().or(own.as_ref())).collect();
        let threads = (plan.dispatches.len() / STRETCH).clamp(1, rayon::current_num_threads());
        let each = plan.dispatches.len().div_ceil(threads).max(1);
        Recording { plan, groups, each, parallel: threads > 1 }
    }

    fn stretches(&self, r: &Range<usize>) -> Vec<Range<usize>> {
        r.clone().step_by(self.each).map(|at| at..r.end.min(at + self.each)).collect()
    }

    fn finished(&self, stretches: &[Range<usize>]) -> Result<Vec<Finished>> {
        match self.parallel {
            true => stretches.par_iter().with_max_len(1).map(|r| self.stretch(r)).collect(),
            false => stretches.iter().map(|r| self.stretch(r)).collect(),
        }
    }

    /// Records and finishes one stretch of the dispatches.
    fn stretch(&self, range: &Range<usize>) -> Result<Finished> {
        let device = self.plan.core.lane(self.plan.dispatches[range.start].lane).device;
        let (commands, passes) = checked(device, || self.encode(device, range))?;
        let thread = std::thread::current();
        let name = thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_string);
        Ok((commands, passes, name))
    }

    fn encode(&self, device: &wgpu::Device, range: &Range<usize>) -> (wgpu::CommandBuffer, usize) {
        let dispatches = &self.plan.dispatches;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("linops") });
        let (mut at, mut passes) = (range.start, 0);
        while at < range.end {
            let next = dispatches[at + 1..range.end].iter().position(|d| d.pass);
            let end = next.map_or(range.end, |n| at + 1 + n);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let mut current: Option<&Arc<Pipeline>> = None;
            for (d, group) in dispatches[at..end].iter().zip(&self.groups[at..end]) {
                if !current.is_some_and(|c| Arc::ptr_eq(c, &d.pipeline)) {
                    pass.set_pipeline(&d.pipeline.pipeline);
                    current = Some(&d.pipeline);
                }
                pass.set_bind_group(0, *group, &[]);
                pass.dispatch_workgroups(d.groups.0, d.groups.1, d.groups.2);
            }
            passes += 1;
            at = end;
        }
        (encoder.finish(), passes)
    }
}
