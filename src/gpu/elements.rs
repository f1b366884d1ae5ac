//! Computations by elements, and copies of boxes, on a GPU: one kernel, its parameters in memory of the pool.

use super::Gpu;
use super::buffer::{Block, GpuBuffer, gpu_buffer};
use super::faults::checked;
use super::pipelines::Pipeline;
use super::queues::SharedBuffer;
use crate::dim::Shape;
use crate::elementwise::{
    AHEAD, Computation, Copied, Ending, FIRST_INPUT, GROUP, HEADER, PARTIALS, Reads, boxes, copying, kernel,
    largest_of, unit,
};
use crate::error::{Error, Result};
use crate::shader::{WORK, word};
use crate::tensor::{DType, Tensor};
use num_complex::{Complex32, Complex64};
use std::sync::Arc;

/// Words that an invocation copies at least, before there are more workgroups.
const EACH: u64 = 4;

/// What offsets of bindings are multiples of, in bytes and in words.
const ALIGN: u64 = 256;
const ALIGN_WORDS: u64 = ALIGN / 4;

/// A dispatch: its parameters, and what it binds from number 1 on as (tensor, first byte, bytes).
pub(super) struct Dispatch<'a> {
    pub words: Vec<u32>,
    pub bound: Vec<(&'a GpuBuffer, u64, u64)>,
    pub groups: u64,
}

/// A stretch of the elements that one dispatch goes over.
struct Stretch {
    first: u64,
    length: u64,
    /// Elements of each workgroup, and how many of these there are.
    chunk: u64,
    groups: u64,
}

impl Gpu {
    /// The values of a computation as a new tensor. Does not wait.
    pub(crate) fn computed(self: &Arc<Self>, c: &Computation, inputs: &[Tensor], shape: &Shape) -> Result<Tensor> {
        let dtype = if c.gives_complex() { DType::Complex32 } else { DType::F32 };
        let out = self.tensor(shape.clone(), dtype)?;
        let stretches = self.stretches(c, shape.len() as u64, u64::MAX)?;
        self.go_over(c, Ending::Stored, inputs, here(&out)?, dtype.bytes(), &stretches)?;
        Ok(out)
    }

    /// The sum of the values of a computation. Waits.
    pub(crate) fn summed(self: &Arc<Self>, c: &Computation, inputs: &[Tensor], n: usize) -> Result<Complex64> {
        Ok(match c.gives_complex() {
            true => {
                let parts: Vec<Complex32> = self.parts(c, Ending::Summed, inputs, n)?;
                parts.into_iter().map(|p| Complex64::new(p.re.into(), p.im.into())).sum()
            }
            false => {
                let parts: Vec<f32> = self.parts(c, Ending::Summed, inputs, n)?;
                parts.into_iter().map(f64::from).sum::<f64>().into()
            }
        })
    }

    /// The largest value of a computation, NaN if there is one. Waits.
    pub(crate) fn largest(self: &Arc<Self>, c: &Computation, inputs: &[Tensor], n: usize) -> Result<f64> {
        Ok(largest_of(&self.parts(c, Ending::Largest, inputs, n)?))
    }

    /// The partial results of a sum, or of a search.
    fn parts<T: bytemuck::Pod>(
        self: &Arc<Self>,
        c: &Computation,
        ending: Ending,
        inputs: &[Tensor],
        n: usize,
    ) -> Result<Vec<T>> {
        let stretches = self.stretches(c, n as u64, PARTIALS)?;
        let count: u64 = stretches.iter().map(|s| s.groups).sum();
        let bytes = size_of::<T>() as u64;
        let out = self.alloc(count * bytes)?;
        self.go_over(c, ending, inputs, &out, bytes, &stretches)?;
        self.core.read(out.block(), count as usize)
    }

    /// The stretches that one binding holds each, of no more workgroups than these all together.
    fn stretches(&self, c: &Computation, n: u64, groups: u64) -> Result<Vec<Stretch>> {
        let moved: u64 = 8 + c.inputs().iter().map(|complex| 4 + 4 * u64::from(*complex)).sum::<u64>();
        let most = (self.core.limits.max_binding / 8).min(WORK / moved) / ALIGN_WORDS * ALIGN_WORDS;
        // Workgroups of a dispatch are folded into two dimensions, of which no device has less than this.
        let folded = u64::from(self.core.limits.max_groups).pow(2);
        let count = n.div_ceil(most.max(ALIGN_WORDS));
        let share = (groups / count).min(folded);
        if share == 0 {
            let limit = groups.saturating_mul(most).saturating_mul(8);
            return Err(Error::TooBig { what: "a sum over a tensor".into(), needed: 8 * n, limit });
        }
        // What a workgroup reads at once.
        let each = GROUP * (AHEAD * unit(c)) as u64;
        let stretch = |k: u64| {
            let first = k * most;
            let length = most.min(n - first);
            let groups = length.div_ceil(each).clamp(1, share);
            let chunk = length.div_ceil(groups).next_multiple_of(GROUP);
            Stretch { first, length, chunk, groups: length.div_ceil(chunk) }
        };
        Ok((0..count).map(stretch).collect())
    }

    fn go_over(
        self: &Arc<Self>,
        c: &Computation,
        ending: Ending,
        inputs: &[Tensor],
        out: &GpuBuffer,
        bytes: u64,
        stretches: &[Stretch],
    ) -> Result<()> {
        let inputs = inputs.iter().map(|t| Ok((here(t)?, t.dtype().bytes()))).collect::<Result<Vec<_>>>()?;
        // Stretches begin at multiples of units, so only the last may end within one. What a new tensor's memory has behind it is nobody's;
        // what a caller's has is read, and goes nowhere.
        let end = stretches.iter().map(|s| s.first + s.length).max().unwrap_or(0).next_multiple_of(unit(c) as u64);
        let mut operands = inputs.iter().copied().chain((ending == Ending::Stored).then_some((out, bytes)));
        let reads = match operands.all(|(t, bytes)| end * bytes <= t.block().bytes()) {
            true => Reads::Units,
            false => Reads::Elements,
        };
        let pipeline = self.core.lane(0).pipeline("elements", &kernel(c, ending, reads)?, false)?;
        let partials: u64 = stretches.iter().map(|s| s.groups).sum();
        let mut part = 0;
        let mut dispatches = Vec::with_capacity(stretches.len());
        for s in stretches {
            let mut words = vec![to_word(s.length)?, to_word(s.chunk)?, to_word(part)?, 0];
            debug_assert_eq!(words.len(), HEADER);
            words.extend(c.words());
            let length = match reads {
                Reads::Units => s.length.next_multiple_of(unit(c) as u64),
                Reads::Elements => s.length,
            };
            let result = match ending {
                Ending::Stored => (out, s.first * bytes, length * bytes),
                Ending::Summed | Ending::Largest => (out, 0, bytes * partials),
            };
            let mut bound = vec![result];
            bound.extend(inputs.iter().map(|(t, bytes)| (*t, s.first * bytes, length * bytes)));
            dispatches.push(Dispatch { words, bound, groups: s.groups });
            part += s.groups;
        }
        let reads: Vec<&SharedBuffer> = inputs.iter().map(|(t, _)| t.shared()).collect();
        self.dispatch("linops.elements", &pipeline, &dispatches, &reads, out.shared())
    }

    /// Copies boxes of values, whose places are counted in words of four bytes, from one tensor into another. Does not wait.
    pub(crate) fn copy_box(self: &Arc<Self>, from: &Tensor, to: &Tensor, copied: &Copied) -> Result<()> {
        let (source, target) = (here(from)?, here(to)?);
        let pipeline = self.core.lane(0).pipeline("elements.copy", &copying()?, false)?;
        // A binding begins up to so many words before what is wanted of it.
        let most = (self.core.limits.max_binding / 4).min(WORK / 8).saturating_sub(ALIGN_WORDS).max(1);
        let mut dispatches = Vec::new();
        for b in boxes(copied, most) {
            let (first_read, first_written) = (b.from % ALIGN_WORDS, b.to % ALIGN_WORDS);
            let count = b.count();
            let groups = count.div_ceil(GROUP * EACH).clamp(1, u64::from(self.core.limits.max_groups).pow(2));
            let chunk = count.div_ceil(groups).next_multiple_of(GROUP);
            let axes = to_word(b.axes.len() as u64)?;
            let mut words = vec![to_word(count)?, to_word(chunk)?, axes, to_word(first_read)?, to_word(first_written)?];
            for a in &b.axes {
                words.extend([to_word(a.extent)?, to_word(a.from)?, to_word(a.to)?]);
            }
            let bound = vec![
                (target, 4 * (b.to - first_written), 4 * (first_written + b.written())),
                (source, 4 * (b.from - first_read), 4 * (first_read + b.read())),
            ];
            dispatches.push(Dispatch { words, bound, groups: count.div_ceil(chunk) });
        }
        // What is written only in part is read as well.
        self.dispatch("linops.copy", &pipeline, &dispatches, &[source.shared(), target.shared()], target.shared())
    }

    /// A copy of a tensor that nothing else holds. Does not wait.
    pub(crate) fn copy_of(self: &Arc<Self>, t: &Tensor) -> Result<Tensor> {
        self.packed(std::slice::from_ref(t), t.shape().clone(), t.dtype())
    }

    /// Runs these, one behind the other. Does not wait.
    pub(super) fn dispatch(
        self: &Arc<Self>,
        label: &str,
        pipeline: &Pipeline,
        dispatches: &[Dispatch],
        reads: &[&SharedBuffer],
        writes: &SharedBuffer,
    ) -> Result<()> {
        self.check()?;
        let mut words: Vec<u32> = Vec::new();
        let mut places = Vec::with_capacity(dispatches.len());
        for d in dispatches {
            words.resize(words.len().next_multiple_of(ALIGN_WORDS as usize), 0);
            places.push((4 * words.len() as u64, 4 * d.words.len() as u64));
            words.extend(&d.words);
        }
        let params = self.core.alloc(4 * words.len() as u64)?;
        self.core.write(&params, 0, bytemuck::cast_slice(&words))?;
        let folded = dispatches.iter().map(|d| self.core.limits.fold(d.groups)).collect::<Result<Vec<_>>>()?;
        let device = &self.core.device;
        let commands = checked(device, || {
            let desc = wgpu::CommandEncoderDescriptor { label: Some(label) };
            let mut encoder = device.create_command_encoder(&desc);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline.pipeline);
            for ((d, place), (x, y)) in dispatches.iter().zip(places).zip(folded) {
                pass.set_bind_group(0, &bind(device, pipeline, &params, place, d), &[]);
                pass.dispatch_workgroups(x, y, 1);
            }
            drop(pass);
            encoder.finish()
        })?;
        self.core.dispatched(dispatches.len());
        let reads = [reads, &[params.shared()]].concat();
        self.core.submit(0, vec![commands], &reads, &[writes])
    }
}

fn bind(
    device: &wgpu::Device,
    pipeline: &Pipeline,
    params: &Block,
    place: (u64, u64),
    d: &Dispatch,
) -> wgpu::BindGroup {
    let (offset, bytes) = place;
    let results = FIRST_INPUT - 1;
    let bound = (results..).zip(&d.bound).map(|(number, (t, offset, bytes))| (number, t.shared(), *offset, *bytes));
    let all = std::iter::once((0, params.shared(), offset, bytes)).chain(bound);
    // Only what the kernel declares and naga kept.
    let kept = all.filter(|(number, ..)| pipeline.bindings.iter().any(|(n, _)| n == number));
    let entries: Vec<wgpu::BindGroupEntry> = kept
        .map(|(binding, buffer, offset, bytes)| wgpu::BindGroupEntry {
            binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: buffer.on(0),
                offset,
                size: wgpu::BufferSize::new(bytes),
            }),
        })
        .collect();
    let desc =
        wgpu::BindGroupDescriptor { label: Some("linops.elements"), layout: &pipeline.layout, entries: &entries };
    device.create_bind_group(&desc)
}

pub(super) fn here(t: &Tensor) -> Result<&GpuBuffer> {
    gpu_buffer(t).ok_or_else(|| Error::Device(format!("the tensor {} is on {}", t.shape(), t.device_name())))
}

fn to_word(number: u64) -> Result<u32> {
    word("a number", usize::try_from(number).unwrap_or(usize::MAX))
}
