//! The passes of a solver over its vectors: pipelines, and what each dispatch goes over and binds.

use super::here;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::gpu::buffer::Block;
use crate::gpu::faults::checked;
use crate::gpu::pipelines::Pipeline;
use crate::tensor::Tensor;
use crate::vectors::columns::Which;
use crate::vectors::{Columned, FIRST_VECTOR, GROUP, PARTIALS, Pass, Unit, Vector, WHICH, kernel};
use std::sync::Arc;

/// Numbers that an invocation handles at least, before there are more workgroups.
const NUMBERS_EACH: u64 = 16;

/// Bytes of a quad: four numbers.
pub(super) const QUAD: u64 = 16;

/// A pass with its pipeline and what its dispatches bind.
pub(super) struct Prepared {
    pub pass: Pass,
    pub pipeline: Arc<Pipeline>,
    pub dispatches: Vec<Dispatch>,
    /// Bytes that it moves.
    pub work: u64,
}

pub(super) struct Dispatch {
    /// By the state that is read.
    pub groups: [wgpu::BindGroup; 2],
    pub workgroups: (u32, u32),
}

/// A stretch of the vectors that one dispatch goes over.
#[derive(Clone, Copy)]
struct Stretch {
    /// First quad, number of numbers of each member of a group, and of all of them.
    quad: u64,
    length: u64,
    bound: u64,
    /// Units of each workgroup, and how many of these there are.
    chunk: u64,
    groups: u64,
    /// Its first partial sum.
    first: u64,
}

/// All passes, and the parameters of their dispatches.
pub(super) struct Passes {
    pub passes: Vec<Prepared>,
    pub params: Block,
    /// Where among them it stands which columns take part.
    pub which_at: u64,
}

/// What passes go over.
pub(super) struct Vectors<'a> {
    pub gpu: &'a Gpu,
    pub vectors: &'a [Tensor],
    pub columns: usize,
    pub states: &'a [Block; 2],
}

impl Vectors<'_> {
    pub fn prepare(&self, passes: Vec<Pass>, scalars: usize) -> Result<Passes> {
        let core = &self.gpu.core;
        let mut plans = Vec::new();
        let mut words: Vec<u32> = Vec::new();
        for pass in &passes {
            let stretches = self.stretches(pass)?;
            let partials: u64 = stretches.iter().map(|s| s.groups).sum();
            for s in &stretches {
                words.resize(words.len().next_multiple_of(64), 0);
                words.extend(to_words([s.length, s.chunk, s.first, partials])?);
            }
            plans.push(stretches);
        }
        words.resize(words.len().next_multiple_of(64), 0);
        let which_at = 4 * words.len() as u64;
        // At first all.
        words.extend([Which::first(self.columns).0, 0, 0, 0]);
        let params = core.uniforms(&words)?;
        let mut prepared = Vec::new();
        let mut at = 0;
        for (pass, stretches) in passes.into_iter().zip(plans) {
            let (length, unit) = self.numbers(&pass)?;
            let text = kernel(&pass, scalars, unit, Columned::of(self.columns, length, unit))?;
            let pipeline = core.lane(0).pipeline(pass.name, &text, false)?;
            let mut dispatches = Vec::new();
            for s in stretches {
                let bind = |state: usize| self.bind(&pass, &pipeline, s, state, (&params, at, which_at));
                dispatches.push(Dispatch { groups: [bind(0)?, bind(1)?], workgroups: core.limits.fold(s.groups)? });
                at += 256;
            }
            let vectors = pass.vectors().iter().map(|(_, written)| 1 + u64::from(*written)).sum::<u64>();
            let work = vectors * 4 * length * self.columns as u64;
            prepared.push(Prepared { pass, pipeline, dispatches, work });
        }
        Ok(Passes { passes: prepared, params, which_at })
    }

    /// The numbers of each column of a pass's vectors, and what an invocation takes of them.
    fn numbers(&self, pass: &Pass) -> Result<(u64, Unit)> {
        let (vectors, columns) = (self.vectors, self.columns);
        let of = |v: Vector| {
            let t = &vectors[v.0];
            t.shape().len() as u64 * t.dtype().bytes() / 4 / columns as u64
        };
        let lengths: Vec<u64> = pass.vectors().iter().map(|(v, _)| of(*v)).collect();
        let length = lengths.first().copied().unwrap_or(0);
        if lengths.iter().any(|&l| l != length) {
            return Err(Error::Value(format!("the pass {} goes over vectors of {lengths:?} numbers", pass.name)));
        }
        Ok((length, Unit::of(pass, length)))
    }

    /// The stretches that one binding holds each, and the partial sums of each: all together no more than a state holds. Several columns
    /// are in one.
    fn stretches(&self, pass: &Pass) -> Result<Vec<Stretch>> {
        let columns = self.columns;
        let (length, unit) = self.numbers(pass)?;
        if pass.vectors().is_empty() {
            return Ok(vec![Stretch { quad: 0, length: 0, bound: 0, chunk: 0, groups: 1, first: 0 }]);
        }
        let members = pass.group.map_or(1, |g| g.members as u64);
        // Offsets of bindings are multiples of 256.
        let most = (self.gpu.core.limits.max_binding / 256).max(1) * 256 / QUAD;
        let all = length * columns as u64;
        let count = all.div_ceil(4).div_ceil(most).max(1);
        // The members of a group are bound together, as columns are.
        let together = members > 1 || columns > 1;
        if count > PARTIALS || (count > 1 && together) {
            let limit = if together { most * QUAD } else { PARTIALS * most * QUAD };
            return Err(Error::TooBig { what: "a solver's vector".into(), needed: 4 * all, limit });
        }
        let share = PARTIALS / count;
        let mut first = 0;
        let stretch = |at: u64| {
            let quad = at * most;
            let bound = (4 * most).min(all - 4 * quad);
            let own = bound / members / columns as u64;
            let units = own.div_ceil(unit.numbers());
            let groups = own.div_ceil(GROUP * NUMBERS_EACH).clamp(1, share);
            let chunk = units.div_ceil(groups).next_multiple_of(GROUP);
            let groups = units.div_ceil(chunk).max(1);
            let s = Stretch { quad, length: own, bound, chunk, groups, first };
            first += groups;
            s
        };
        Ok((0..count).map(stretch).collect())
    }

    /// For a dispatch over a stretch that reads this state, with its parameters from byte `at` on.
    fn bind(
        &self,
        pass: &Pass,
        pipeline: &Pipeline,
        s: Stretch,
        state: usize,
        (params, at, which_at): (&Block, u64, u64),
    ) -> Result<wgpu::BindGroup> {
        let part = |buffer, offset, size| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) })
        };
        let whole = |block: &'_ Block| (block.shared().on(0).clone(), block.bytes());
        let [before, after] = [whole(&self.states[state]), whole(&self.states[1 - state])];
        let mut entries = vec![
            wgpu::BindGroupEntry { binding: 0, resource: part(params.shared().on(0), at, 16) },
            wgpu::BindGroupEntry { binding: 1, resource: part(&before.0, 0, before.1) },
            wgpu::BindGroupEntry { binding: 2, resource: part(&after.0, 0, after.1) },
            wgpu::BindGroupEntry { binding: WHICH, resource: part(params.shared().on(0), which_at, QUAD) },
        ];
        for (binding, (v, _)) in (FIRST_VECTOR..).zip(pass.vectors()) {
            let buffer = here(&self.vectors[v.0])?.wgpu_buffer();
            let resource = part(buffer, QUAD * s.quad, QUAD * s.bound.div_ceil(4));
            entries.push(wgpu::BindGroupEntry { binding, resource });
        }
        // Only what the kernel declares and naga kept.
        entries.retain(|e| pipeline.bindings.iter().any(|(n, _)| *n == e.binding));
        let desc = wgpu::BindGroupDescriptor { label: Some(pass.name), layout: &pipeline.layout, entries: &entries };
        checked(&self.gpu.core.device, || self.gpu.core.device.create_bind_group(&desc))
    }
}

fn to_words<const N: usize>(numbers: [u64; N]) -> Result<[u32; N]> {
    let mut words = [0; N];
    for (word, number) in words.iter_mut().zip(numbers) {
        *word = u32::try_from(number).map_err(|_| Error::TooBig {
            what: "a vector of a solver".into(),
            needed: number,
            limit: u32::MAX.into(),
        })?;
    }
    Ok(words)
}
