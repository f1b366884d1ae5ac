//! A solver's vectors on a GPU, or those of several in lockstep: each pass one kernel, compiled and bound once, recorded with the
//! operators. Columns of a vector lie one behind the other, so that an operator over a dim in front takes all at once.

mod prepared;

use super::Gpu;
use super::buffer::{Block, GpuBuffer, gpu_buffer};
use super::compiled::{CompiledPlan, Recordable};
use super::faults::checked;
use super::queues::SharedBuffer;
use super::recorded::Beside;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::shader::SUBMISSION;
use crate::tensor::{DType, Tensor};
use crate::vectors::columns::{Columns, Which};
use crate::vectors::{Layout, PARTIALS, SUMS, Scalar, Vector, expect_sums};
use prepared::{Passes, Prepared, QUAD, Vectors};
use std::sync::Arc;

/// Sets of columns whose masks are kept.
const MASKS: usize = 64;

pub(crate) struct GpuSpace {
    gpu: Arc<Gpu>,
    operators: Vec<Arc<CompiledPlan>>,
    columns: usize,
    /// Of one column.
    like: Vec<(Shape, DType)>,
    vectors: Vec<Tensor>,
    /// Where results of operators wait, of which not all columns are wanted.
    spares: Vec<Tensor>,
    scalars: usize,
    /// One is read, the other written, in turn.
    states: [Block; 2],
    /// Which one holds the scalars.
    current: usize,
    params: Block,
    /// The columns that the next pass is for, as the device has it, and where that stands among the parameters.
    which: Which,
    which_at: u64,
    /// Those that were, as it is copied from.
    masks: Vec<(Which, wgpu::Buffer)>,
    passes: Vec<Prepared>,
    /// Sums that the last pass has begun, of each column.
    begun: Vec<usize>,
    recorded: Vec<wgpu::CommandBuffer>,
    /// Open in the encoder, and dropped before it.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: Option<wgpu::CommandEncoder>,
    /// What was recorded and not submitted.
    waiting: Waiting,
    /// What the operators in it use beside vectors.
    beside: Beside,
}

/// How much work waits for its submission.
#[derive(Default)]
struct Waiting {
    dispatches: usize,
    work: u64,
}

/// So much is submitted at once, that the device has something to do while more is recorded: little beside what it may take for a
/// submission (see [`SUBMISSION`]), much beside what a submission costs the host.
const ENOUGH: Waiting = Waiting { dispatches: 512, work: SUBMISSION / 64 };

impl GpuSpace {
    /// Vectors are like these tensors, in so many columns; operators are over them all.
    pub fn new(
        gpu: &Arc<Gpu>,
        operators: Vec<Arc<CompiledPlan>>,
        like: &[(Shape, DType)],
        layout: Layout,
        columns: usize,
    ) -> Result<GpuSpace> {
        let core = &gpu.core;
        let vectors = like.iter().map(|one| vector(gpu, one, columns)).collect::<Result<Vec<_>>>()?;
        let state = || core.alloc(4 * columns as u64 * (layout.scalars as u64 + 1 + SUMS as u64 * PARTIALS));
        let states = [state()?, state()?];
        let zeros = vec![0u8; 4 * columns * (layout.scalars + 1)];
        states.iter().try_for_each(|s| core.write(s, 0, &zeros))?;

        let all = Vectors { gpu, vectors: &vectors, columns, states: &states };
        let Passes { passes, params, which_at } = all.prepare(layout.passes, layout.scalars)?;
        let which = Which::first(columns);
        let mut spares: Vec<Tensor> = Vec::new();
        for plan in operators.iter().filter(|_| columns > 1) {
            let out = &plan.plan().values[plan.plan().output.at()];
            let found = |t: &&Tensor| t.shape().len() == out.len() && (t.dtype() == DType::Complex32) == out.complex;
            let there = spares.iter().any(|t| found(&t));
            if let Some(at) = vectors.iter().position(|t| found(&t)).filter(|_| !there) {
                spares.push(vector(gpu, &like[at], columns)?);
            }
        }
        let mut space = GpuSpace {
            gpu: gpu.clone(),
            operators,
            columns,
            like: like.to_vec(),
            vectors,
            spares,
            scalars: layout.scalars,
            states,
            current: 0,
            params,
            which,
            which_at,
            masks: Vec::new(),
            passes,
            begun: vec![0; columns],
            recorded: Vec::new(),
            pass: None,
            encoder: None,
            waiting: Waiting::default(),
            beside: Beside::default(),
        };
        space.clear()?;
        Ok(space)
    }

    /// All vectors are 0 at first: memory of the pool holds what others have left.
    fn clear(&mut self) -> Result<()> {
        let buffers: Vec<wgpu::Buffer> =
            self.vectors.iter().map(|v| Ok(here(v)?.wgpu_buffer().clone())).collect::<Result<_>>()?;
        let encoder = self.encoder()?;
        buffers.iter().for_each(|b| encoder.clear_buffer(b, 0, None));
        Ok(())
    }

    /// The encoder that all is recorded in, begun if there is none, and outside of any pass.
    fn encoder(&mut self) -> Result<&mut wgpu::CommandEncoder> {
        self.pass = None;
        encoder(&self.gpu, &mut self.encoder)
    }

    /// Ends the encoder: what is recorded next comes behind it.
    fn finish(&mut self) -> Result<()> {
        let pass = self.pass.take();
        if let Some(encoder) = self.encoder.take() {
            let finish = || {
                drop(pass);
                encoder.finish()
            };
            self.recorded.push(checked(&self.gpu.core.device, finish)?);
        }
        Ok(())
    }

    /// Copies a column between a tensor of its own and where it lies in a vector; both are on this device.
    fn copy_out(&mut self, (from, start): (&Tensor, u64), (to, at): (&Tensor, u64), bytes: u64) -> Result<()> {
        let (source, target) = (here(from)?.wgpu_buffer().clone(), here(to)?.wgpu_buffer().clone());
        super::buffer::copyable(&source)?;
        self.encoder()?.copy_buffer_to_buffer(&source, start, &target, at, bytes);
        // A caller's tensor may go once this returns, and what is recorded speaks of its buffer.
        self.flush(&[here(from)?.shared()], &[here(to)?.shared()])
    }

    /// Bytes of a column of a vector.
    fn bytes(&self, v: Vector) -> u64 {
        let (shape, dtype) = &self.like[v.0];
        shape.len() as u64 * dtype.bytes()
    }

    /// Copies these columns of values like vector `like`, all in one piece where they are all.
    fn copy_columns(&mut self, from: &Tensor, to: &Tensor, like: Vector, of: Which) -> Result<()> {
        let each = self.bytes(like);
        let (source, target) = (here(from)?.wgpu_buffer().clone(), here(to)?.wgpu_buffer().clone());
        let columns = self.columns;
        let encoder = self.encoder()?;
        if of == Which::first(columns) {
            encoder.copy_buffer_to_buffer(&source, 0, &target, 0, each * columns as u64);
            return Ok(());
        }
        for at in of.iter().map(|c| c as u64 * each) {
            encoder.copy_buffer_to_buffer(&source, at, &target, at, each);
        }
        Ok(())
    }

    /// Tells the device which columns the passes that follow are for.
    fn choose(&mut self, of: Which) -> Result<()> {
        if self.which == of {
            return Ok(());
        }
        let buffer = match self.masks.iter().find(|(which, _)| *which == of) {
            Some((_, buffer)) => buffer.clone(),
            None => {
                let buffer = mask(&self.gpu.core.device, of)?;
                // Which columns there are changes as they end: a few sets.
                if self.masks.len() == MASKS {
                    self.masks.clear();
                }
                self.masks.push((of, buffer.clone()));
                buffer
            }
        };
        let (params, at) = (self.params.shared().on(0).clone(), self.which_at);
        self.encoder()?.copy_buffer_to_buffer(&buffer, 0, &params, at, 4);
        self.which = of;
        Ok(())
    }

    /// Records y = A x.
    fn record(&mut self, plan: &Arc<CompiledPlan>, x: &Tensor, y: &Tensor) -> Result<()> {
        expect(plan, x, y)?;
        // No submission is longer than one of a plan may be.
        if self.waiting.dispatches > 0 && self.waiting.work.saturating_add(plan.work) > SUBMISSION {
            self.send()?;
        }
        match plan.recording() {
            Recordable::Here => {
                let encoder = encoder(&self.gpu, &mut self.encoder)?;
                self.beside.add(plan.record_into(&self.gpu, x, y, encoder, &mut self.pass)?);
            }
            Recordable::Apart => {
                self.finish()?;
                let (commands, beside) = plan.commands(&self.gpu, x, y)?;
                self.recorded.extend(commands);
                self.beside.add(beside);
            }
            Recordable::Not => {
                self.send()?;
                return plan.apply_to(&self.gpu, x, y).map(drop);
            }
        }
        self.waiting.dispatches += plan.dispatches.len();
        self.waiting.work = self.waiting.work.saturating_add(plan.work);
        Ok(())
    }

    /// Submits what was recorded. All vectors are declared as read and written: which ones were is not kept, and a solver's
    /// submissions follow one another in any case. What operators use beside them, they say.
    fn flush(&mut self, reads: &[&SharedBuffer], writes: &[&SharedBuffer]) -> Result<()> {
        self.waiting = Waiting::default();
        self.finish()?;
        let recorded = std::mem::take(&mut self.recorded);
        if recorded.is_empty() {
            return Ok(());
        }
        if !self.gpu.core.lanes.tracked() {
            return self.gpu.core.submit(0, recorded, &[], &[]);
        }
        let beside = std::mem::take(&mut self.beside);
        let own: Vec<&SharedBuffer> = self
            .vectors
            .iter()
            .chain(&self.spares)
            .filter_map(gpu_buffer)
            .map(GpuBuffer::shared)
            .chain(self.states.iter().chain([&self.params]).map(Block::shared))
            .collect();
        let reads = [&own, reads, &beside.reads.iter().collect::<Vec<_>>()].concat();
        let writes = [&own, writes, &beside.writes.iter().collect::<Vec<_>>()].concat();
        self.gpu.core.submit(0, recorded, &reads, &writes)
    }
}

/// The columns that a pass is for, in a buffer.
fn mask(device: &wgpu::Device, of: Which) -> Result<wgpu::Buffer> {
    let desc = wgpu::BufferDescriptor {
        label: Some("linops.columns"),
        size: 4,
        usage: wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    };
    let buffer = checked(device, || device.create_buffer(&desc))?;
    let fault = |e: wgpu::MapRangeError| Error::Device(format!("memory for which columns go on: {e}"));
    buffer.get_mapped_range_mut(..).map_err(fault)?.copy_from_slice(bytemuck::bytes_of(&of.0));
    buffer.unmap();
    Ok(buffer)
}

/// Values of a dtype that an operator does not take or give.
fn expect(plan: &CompiledPlan, x: &Tensor, y: &Tensor) -> Result<()> {
    let plan = plan.plan();
    for (what, value, t) in [("takes", &plan.values[0], x), ("gives", &plan.values[plan.output.at()], y)] {
        if value.complex != (t.dtype() == DType::Complex32) {
            let kind = if value.complex { "complex" } else { "real" };
            return Err(Error::Value(format!("the operator {what} {kind} values, the vectors are {}", t.dtype())));
        }
    }
    Ok(())
}

fn here(t: &Tensor) -> Result<&GpuBuffer> {
    gpu_buffer(t).ok_or_else(|| Error::Device(format!("the vector {} is on {}", t.shape(), t.device_name())))
}

/// So many vectors, one behind the other.
fn vector(gpu: &Arc<Gpu>, (shape, dtype): &(Shape, DType), columns: usize) -> Result<Tensor> {
    let shape = match columns {
        1 => shape.clone(),
        _ => format!("numbers={}", shape.len().saturating_mul(columns)).parse()?,
    };
    // Quads are whole, also the last one.
    let bytes = (shape.len() as u64).saturating_mul(dtype.bytes()).next_multiple_of(QUAD);
    Tensor::from_device(shape, *dtype, Arc::new(gpu.alloc(bytes)?))
}

impl Columns for GpuSpace {
    fn set(&mut self, column: usize, v: Vector, t: &Tensor) -> Result<()> {
        let (to, bytes) = (self.vectors[v.0].clone(), self.bytes(v));
        self.copy_out((t, 0), (&to, column as u64 * bytes), bytes)
    }

    fn get(&mut self, column: usize, v: Vector) -> Result<Tensor> {
        let (from, bytes) = (self.vectors[v.0].clone(), self.bytes(v));
        let (shape, dtype) = self.like[v.0].clone();
        let out = self.gpu.tensor(shape, dtype)?;
        self.copy_out((&from, column as u64 * bytes), (&out, 0), bytes)?;
        Ok(out)
    }

    fn copy(&mut self, from: Vector, to: Vector, of: Which) -> Result<()> {
        let (source, target) = (self.vectors[from.0].clone(), self.vectors[to.0].clone());
        self.copy_columns(&source, &target, from, of)
    }

    fn set_scalar(&mut self, column: usize, s: Scalar, value: f32) -> Result<()> {
        // Ordered on the queue, so what was recorded before must go first.
        self.send()?;
        let at = 4 * (column * (self.scalars + 1) + s.0) as u64;
        self.gpu.core.write(&self.states[self.current], at, bytemuck::bytes_of(&value))
    }

    fn scalars(&mut self) -> Result<Vec<Vec<f64>>> {
        self.send()?;
        let each = self.scalars + 1;
        let all: Vec<f32> = self.gpu.core.read(&self.states[self.current], self.columns * each - 1)?;
        Ok(all.chunks(each).map(|own| own.iter().take(self.scalars).map(|&s| f64::from(s)).collect()).collect())
    }

    fn apply(&mut self, operator: usize, from: Vector, to: Vector, of: Which, kept: Which) -> Result<()> {
        let plan = self.operators[operator].clone();
        let (x, y) = (self.vectors[from.0].clone(), self.vectors[to.0].clone());
        if kept == Which::default() {
            return self.record(&plan, &x, &y);
        }
        // The others have something there: theirs stays, and what was made for them is left.
        let spare = self.spares.iter().find(|t| t.dtype() == y.dtype() && t.shape() == y.shape()).cloned();
        let Some(spare) = spare else {
            return Err(Error::Value(format!(
                "an operator of a solver gives {}, of which no room was made",
                y.shape()
            )));
        };
        self.record(&plan, &x, &spare)?;
        self.copy_columns(&spare, &y, to, of)?;
        Ok(())
    }

    fn pass(&mut self, pass: usize, of: Which) -> Result<()> {
        for column in of.iter() {
            expect_sums(&self.passes[pass].pass, self.begun[column])?;
            self.begun[column] = self.passes[pass].pass.sums.len();
        }
        self.choose(of)?;
        let (prepared, state) = (&self.passes[pass], self.current);
        let encoder = encoder(&self.gpu, &mut self.encoder)?;
        let begin = || encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
        let recording = self.pass.get_or_insert_with(begin);
        recording.set_pipeline(&prepared.pipeline.pipeline);
        for d in &prepared.dispatches {
            recording.set_bind_group(0, &d.groups[state], &[]);
            recording.dispatch_workgroups(d.workgroups.0, d.workgroups.1, self.columns as u32);
        }
        self.current = 1 - state;
        self.gpu.core.dispatched(prepared.dispatches.len());
        self.waiting.dispatches += prepared.dispatches.len();
        self.waiting.work = self.waiting.work.saturating_add(prepared.work);
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        match self.waiting.dispatches >= ENOUGH.dispatches || self.waiting.work >= ENOUGH.work {
            true => self.send(),
            false => Ok(()),
        }
    }

    fn send(&mut self) -> Result<()> {
        self.flush(&[], &[])
    }
}

/// Begins an encoder if there is none.
fn encoder<'a>(gpu: &Gpu, encoder: &'a mut Option<wgpu::CommandEncoder>) -> Result<&'a mut wgpu::CommandEncoder> {
    let device = &gpu.core.device;
    let desc = wgpu::CommandEncoderDescriptor { label: Some("linops.vectors") };
    let new = match encoder.take() {
        Some(there) => there,
        None => checked(device, || device.create_command_encoder(&desc))?,
    };
    Ok(encoder.insert(new))
}
