//! Recording a compiled plan: bind groups over leased scratch, command buffers by several threads, one submitter.

use super::buffer::{Block, GpuBuffer};
use super::compiled::{CompiledPlan, Dispatch, From, Submission, Through};
use super::core::Core;
use super::faults::checked;
use super::groups::{Call, CallGroups};
use super::ids::new_id;
use super::pipelines::Pipeline;
use super::queues::{SharedBuffer, Together, Uses};
use crate::error::Result;
use crate::kept::{Booking, Ledger};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use std::thread::Thread;

/// Dispatches that are worth a recording thread: about half a millisecond of encoding.
const STRETCH: usize = 1024;

/// What an apply did.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Submissions.
    pub submits: usize,
    /// Compute passes.
    pub passes: usize,
    /// Dispatches.
    pub dispatches: usize,
    /// The threads that recorded and finished command buffers, one for each buffer; none where the caller recorded all.
    threads: Vec<Thread>,
}

impl Recorded {
    /// The names of the threads that recorded and finished command buffers, one for each buffer.
    pub fn recorders(&self) -> Vec<String> {
        let name = |t: &Thread| t.name().map_or_else(|| format!("{:?}", t.id()), str::to_string);
        match self.threads.is_empty() {
            true => vec![name(&std::thread::current()); self.submits],
            false => self.threads.iter().map(name).collect(),
        }
    }

    fn note(&mut self, (commands, passes, thread): Finished) -> wgpu::CommandBuffer {
        self.passes += passes;
        self.threads.push(thread);
        commands
    }
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

/// What applies that are recorded among other work use beside the buffers of the call.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Parameters, constants, lists and tables.
    pub reads: Vec<SharedBuffer>,
    /// Scratch, of which nothing is read that the apply has not written.
    pub writes: Vec<SharedBuffer>,
}

impl Beside {
    /// Takes in what others use, each buffer once.
    pub fn add(&mut self, other: Beside) {
        for (list, more) in [(&mut self.reads, other.reads), (&mut self.writes, other.writes)] {
            for buffer in more {
                if list.iter().all(|there| there.id() != buffer.id()) {
                    list.push(buffer);
                }
            }
        }
    }
}

/// A finished command buffer, its passes, and the thread that made it.
type Finished = (wgpu::CommandBuffer, usize, Thread);

/// The input and output of a call.
type InOut<'a> = Option<(&'a GpuBuffer, &'a GpuBuffer)>;

/// What a call records: the bind groups of the dispatches, and the stretches that threads take.
struct Recording<'a> {
    plan: &'a CompiledPlan,
    call: &'a CallGroups,
    own: &'a CallGroups,
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
        plan.core.groups.count();
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

    /// What an apply that is recorded among other work uses beside the call's own buffers, where lanes ask for it: any of it may
    /// have been another lane's before.
    pub fn beside(&self, plan: &CompiledPlan) -> Beside {
        if !self.core.lanes.tracked() {
            return Beside::default();
        }
        let read = plan.submissions.iter().flat_map(|s| &s.reads);
        let read = read.filter(|f| matches!(f, From::Params | From::Record(_)));
        Beside {
            reads: read.map(|f| self.place(plan, f, None).clone()).collect(),
            writes: self.slots.iter().map(|s| s.shared().clone()).collect(),
        }
    }

    /// Nothing that scratch holds is needed any more, be it of an apply that failed.
    pub fn renew(&self) {
        if self.core.lanes.tracked() {
            self.slots.iter().for_each(|s| s.shared().renew());
        }
    }

    /// What a submission of this apply reads and writes, where lanes ask for it.
    pub fn used<'a>(
        &'a self,
        plan: &'a CompiledPlan,
        s: &'a Submission,
        call: (&'a GpuBuffer, &'a GpuBuffer),
        apply: u64,
    ) -> Uses<'a> {
        if !plan.core.lanes.tracked() {
            return Uses::default();
        }
        let together = Together { apply, part: s.region };
        let parts = self.places(plan, &s.parts, Some(call));
        Uses {
            reads: self.places(plan, &s.reads, Some(call)),
            writes: self.places(plan, &s.writes, Some(call)),
            parts: parts.into_iter().map(|b| (b, together)).collect(),
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
        let all = 0..plan.dispatches.len();
        let finished = recording.finished(&recording.stretches(&all).collect::<Vec<_>>())?;
        Ok(finished.into_iter().map(|(commands, ..)| commands).collect())
    }

    /// Records one apply into a pass, which ends and begins anew with the plan's own passes.
    pub fn record_into(
        &mut self,
        plan: &CompiledPlan,
        call: (&GpuBuffer, &GpuBuffer),
        encoder: &mut wgpu::CommandEncoder,
        pass: &mut Option<wgpu::ComputePass<'static>>,
    ) -> Result<()> {
        let groups = self.bound(plan, call.0, call.1)?;
        let recording = Recording::new(plan, &groups, &self.own);
        for (k, range) in recording.passes(0..plan.dispatches.len()).enumerate() {
            if k > 0 {
                *pass = None;
            }
            let pass = pass.get_or_insert_with(|| begin(encoder).forget_lifetime());
            recording.encode_pass(pass, range);
        }
        Ok(())
    }

    /// Records and submits one apply: long lists on several threads, which take consecutive stretches and finish them
    /// themselves.
    pub fn run(&mut self, plan: &CompiledPlan, x: &GpuBuffer, y: &GpuBuffer) -> Result<Recorded> {
        let groups = self.bound(plan, x, y)?;
        let recording = Recording::new(plan, &groups, &self.own);
        let lanes = &plan.core.lanes;
        let (late, tracked) = (lanes.finishes_under_lock(), lanes.tracked());
        let ahead = !late && (tracked || recording.parallel);
        let mut finished = match ahead {
            true => {
                let all = plan.submissions.iter().flat_map(|s| recording.stretches(&s.dispatches));
                recording.finished(&all.collect::<Vec<_>>())?
            }
            false => Vec::new(),
        }
        .into_iter();
        let mut recorded = Recorded { dispatches: plan.dispatches.len(), ..Recorded::default() };
        let apply = new_id();
        for s in &plan.submissions {
            let uses = self.used(plan, s, (x, y), apply);
            let stretches = recording.stretches(&s.dispatches);
            if s.dispatches.is_empty() {
                // The host begins.
            } else if ahead {
                let commands = finished.by_ref().take(stretches.len()).map(|f| recorded.note(f)).collect();
                lanes.submit_using(s.lane, commands, &uses, &[])?;
            } else if late {
                let record = |_: &wgpu::Device| {
                    let finished = stretches.map(|r| recording.stretch(&r)).collect::<Result<Vec<_>>>()?;
                    Ok(finished.into_iter().map(|f| recorded.note(f)).collect())
                };
                lanes.submit_with(s.lane, record, &uses)?;
            } else {
                let record = |device: &wgpu::Device| {
                    let (commands, passes) = recording.encode(device, s.dispatches.clone());
                    recorded.passes += passes;
                    commands
                };
                lanes.submit_recorded(s.lane, record)?;
            }
            recorded.submits += usize::from(!s.dispatches.is_empty());
            s.then.iter().try_for_each(|t| self.through_host(plan, t, (x, y)))?;
        }
        Ok(recorded)
    }
}

fn begin(encoder: &mut wgpu::CommandEncoder) -> wgpu::ComputePass<'_> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default())
}

/// Whether so many dispatches are recorded by several threads.
pub(super) fn by_several(dispatches: usize) -> bool {
    dispatches >= 2 * STRETCH && rayon::current_num_threads() > 1
}

impl<'a> Recording<'a> {
    fn new(plan: &'a CompiledPlan, call: &'a CallGroups, own: &'a CallGroups) -> Recording<'a> {
        let count = plan.dispatches.len();
        let parallel = by_several(count);
        let threads = if parallel { (count / STRETCH).min(rayon::current_num_threads()) } else { 1 };
        Recording { plan, call, own, each: count.div_ceil(threads).max(1), parallel }
    }

    fn stretches(&self, r: &Range<usize>) -> impl ExactSizeIterator<Item = Range<usize>> + use<> {
        let (each, end) = (self.each, r.end);
        r.clone().step_by(each).map(move |at| at..end.min(at + each))
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
        let (commands, passes) = checked(device, || self.encode(device, range.clone()))?;
        Ok((commands, passes, std::thread::current()))
    }

    fn encode(&self, device: &wgpu::Device, range: Range<usize>) -> (wgpu::CommandBuffer, usize) {
        // Without a label: wgpu would copy it twice.
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let passes = self.passes(range).map(|r| self.encode_pass(&mut begin(&mut encoder), r)).count();
        (encoder.finish(), passes)
    }

    /// The dispatches of each pass.
    fn passes(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut rest = range;
        std::iter::from_fn(move || {
            let (at, end) = (rest.start, rest.end);
            let behind = self.plan.dispatches.get(at + 1..end)?;
            rest.start = behind.iter().position(|d| d.pass).map_or(end, |n| at + 1 + n);
            Some(at..rest.start)
        })
    }

    fn encode_pass(&self, pass: &mut wgpu::ComputePass, range: Range<usize>) {
        self.plan.core.dispatched(range.len());
        let mut current: Option<&Arc<Pipeline>> = None;
        for (at, d) in range.clone().zip(&self.plan.dispatches[range]) {
            if !current.is_some_and(|c| Arc::ptr_eq(c, &d.pipeline)) {
                pass.set_pipeline(&d.pipeline.pipeline);
                current = Some(&d.pipeline);
            }
            pass.set_bind_group(0, self.call[at].as_ref().or(self.own[at].as_ref()), &[]);
            pass.dispatch_workgroups(d.groups.0, d.groups.1, d.groups.2);
        }
    }
}
