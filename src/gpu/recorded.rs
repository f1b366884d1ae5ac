//! Recording a compiled plan: bind groups over leased scratch, command buffers by several threads, one submitter.

use super::buffer::GpuBuffer;
use super::compiled::{CompiledPlan, Dispatch, From};
use super::pipelines::Pipeline;
use super::queues::SharedBuffer;
use crate::error::Result;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Dispatches that are worth a recording thread: about half a millisecond of encoding.
const STRETCH: usize = 1024;

/// Pairs of input and output whose bind groups an instance keeps.
const KEPT_PAIRS: usize = 8;

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
pub(super) struct Instance {
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

/// A finished command buffer, its passes, and the thread that made it.
type Finished = (wgpu::CommandBuffer, usize, String);

/// The input and output of a call.
type Call<'a> = Option<(&'a GpuBuffer, &'a GpuBuffer)>;

impl Instance {
    pub fn new(plan: &CompiledPlan, slots: &[u64]) -> Result<Instance> {
        let slots: Vec<GpuBuffer> = slots.iter().map(|&bytes| plan.gpu.alloc(bytes)).collect::<Result<_>>()?;
        let mut instance = Instance { slots, own: Vec::new(), pairs: VecDeque::new() };
        let own = |d: &Dispatch| (!d.external).then(|| instance.bind(plan, d, None));
        instance.own = plan.dispatches.iter().map(own).collect();
        Ok(instance)
    }

    fn place<'a>(&'a self, plan: &'a CompiledPlan, from: &'a From, call: Call<'a>) -> &'a SharedBuffer {
        let buffer = match (from, call) {
            (From::Slot(s), _) => &self.slots[*s],
            (From::Shared(b), _) => b,
            (From::Input, Some((x, _))) => x,
            (From::Output, Some((_, y))) => y,
            (From::Params, _) | (_, None) => &plan.params,
        };
        buffer.shared()
    }

    fn places<'a>(&'a self, plan: &'a CompiledPlan, list: &'a [From], call: Call<'a>) -> Vec<&'a SharedBuffer> {
        list.iter().map(|f| self.place(plan, f, call)).collect()
    }

    fn bind(&self, plan: &CompiledPlan, d: &Dispatch, call: Call) -> wgpu::BindGroup {
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
        plan.gpu.lane(d.lane).device.create_bind_group(&desc)
    }

    /// Records and submits one apply: long lists on several threads, which take consecutive stretches and finish them
    /// themselves.
    pub fn run(&mut self, plan: &CompiledPlan, x: &GpuBuffer, y: &GpuBuffer) -> Result<Recorded> {
        let (key, call) = ((x.id(), y.id()), Some((x, y)));
        if !self.pairs.iter().any(|p| p.buffers == key) {
            let groups = plan.dispatches.iter().map(|d| d.external.then(|| self.bind(plan, d, call))).collect();
            self.pairs.push_front(Pair { buffers: key, groups });
            self.pairs.truncate(KEPT_PAIRS);
        }
        let empty = Vec::new();
        let pair = self.pairs.iter().find(|p| p.buffers == key).map_or(&empty, |p| &p.groups);
        let groups: Vec<Option<&wgpu::BindGroup>> =
            pair.iter().zip(&self.own).map(|(call, own)| call.as_ref().or(own.as_ref())).collect();

        let threads = (plan.dispatches.len() / STRETCH).clamp(1, rayon::current_num_threads());
        let each = plan.dispatches.len().div_ceil(threads).max(1);
        let stretches = |r: &Range<usize>| -> Vec<Range<usize>> {
            r.clone().step_by(each).map(|at| at..r.end.min(at + each)).collect()
        };
        let lanes = &plan.gpu.lanes;
        let late = lanes.finishes_under_lock();
        let all: Vec<Range<usize>> = plan.submissions.iter().flat_map(|s| stretches(&s.dispatches)).collect();
        let finish = |r: &Range<usize>| stretch(plan, r.clone(), &groups);
        let finished: Vec<Finished> = match late {
            true => Vec::new(),
            false if threads == 1 => all.iter().map(finish).collect(),
            false => all.par_iter().with_max_len(1).map(finish).collect(),
        };
        let mut finished = finished.into_iter();
        let mut recorded = Recorded { dispatches: plan.dispatches.len(), ..Recorded::default() };
        for s in &plan.submissions {
            let mut take = |all: &mut dyn Iterator<Item = Finished>| -> Vec<wgpu::CommandBuffer> {
                all.map(|(buffer, passes, thread)| {
                    recorded.passes += passes;
                    recorded.recorders.push(thread);
                    buffer
                })
                .collect()
            };
            let (reads, writes) = match lanes.tracked() {
                true => (self.places(plan, &s.reads, call), self.places(plan, &s.writes, call)),
                false => Default::default(),
            };
            if late {
                let record = |_: &wgpu::Device| Ok(take(&mut stretches(&s.dispatches).iter().map(finish)));
                lanes.submit_with(s.lane, record, &reads, &writes, &[])?;
            } else {
                let commands = take(&mut finished.by_ref().take(stretches(&s.dispatches).len()));
                lanes.submit(s.lane, commands, &reads, &writes, &[])?;
            }
            recorded.submits += 1;
        }
        Ok(recorded)
    }
}

/// Records and finishes one stretch of the dispatches.
fn stretch(plan: &CompiledPlan, range: Range<usize>, groups: &[Option<&wgpu::BindGroup>]) -> Finished {
    let device = plan.gpu.lane(plan.dispatches[range.start].lane).device;
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("linops") });
    let (mut at, mut passes) = (range.start, 0);
    while at < range.end {
        let next = plan.dispatches[at + 1..range.end].iter().position(|d| d.pass);
        let end = next.map_or(range.end, |n| at + 1 + n);
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let mut current: Option<&Arc<Pipeline>> = None;
        for (d, group) in plan.dispatches[at..end].iter().zip(&groups[at..end]) {
            if !current.is_some_and(|c| Arc::ptr_eq(c, &d.pipeline)) {
                pass.set_pipeline(&d.pipeline.pipeline);
                current = Some(&d.pipeline);
            }
            pass.set_bind_group(0, *group, &[]);
            pass.dispatch_workgroups(d.groups.0, d.groups.1, 1);
        }
        passes += 1;
        at = end;
    }
    let thread = std::thread::current();
    let name = thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_string);
    (encoder.finish(), passes, name)
}
