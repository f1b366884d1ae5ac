//! What a GPU can do at best: how fast its memory copies, by the best of several kernels, and how fast it multiplies and adds.

use super::Gpu;
use super::buffer::Block;
use super::faults::checked;
use super::queues::Uses;
use super::timed::{Pass, Ticks};
use crate::error::Result;
use std::sync::Arc;

/// Kernels that copy: what they are called, the type of what an invocation moves at a time, and how many of these.
const COPIES: [(&str, &str, u64, u64); 5] = [
    ("8 bytes a lane", "vec2<f32>", 8, 1),
    ("8 bytes a lane, 4 each", "vec2<f32>", 8, 4),
    ("16 bytes a lane", "vec4<f32>", 16, 1),
    ("16 bytes a lane, 4 each", "vec4<f32>", 16, 4),
    ("16 bytes a lane, 16 each", "vec4<f32>", 16, 16),
];

/// Invocations of a workgroup.
const GROUP: u64 = 256;

/// Real products and sums of an invocation of `fma.wgsl`: 512 rounds of 8 chains of 4 numbers.
const FLOPS: u64 = 512 * 8 * 4 * 2;

/// The text of a copy.
fn copy_text(value: &str, each: u64) -> String {
    format!("alias Value = {value};\nconst EACH = {each}u;\n{}", include_str!("copy.wgsl"))
}

/// All kernels that roofs are measured by, as name and text.
pub fn kernels() -> Vec<(String, String)> {
    let copies = COPIES.iter().map(|(name, value, _, each)| (format!("copy, {name}"), copy_text(value, *each)));
    copies.chain([("fma".to_string(), include_str!("fma.wgsl").to_string())]).collect()
}

impl Gpu {
    /// Seconds of copies of so many bytes each way, a multiple of 256, in `rounds` of each kernel, by name.
    ///
    /// # Errors
    /// There is no memory for them, or the device fails.
    pub(crate) fn copies(self: &Arc<Self>, bytes: u64, rounds: usize) -> Result<Vec<(&'static str, Vec<f64>)>> {
        let core = &self.core;
        let (from, to) = (core.alloc(bytes)?, core.alloc(bytes)?);
        let ticks = Ticks::new(core, true);
        let period = ticks.period()?;
        let uses = Uses { reads: vec![from.shared()], writes: vec![to.shared()], parts: Vec::new() };
        let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); COPIES.len()];
        let prepared = COPIES
            .iter()
            .map(|(_, value, wide, each)| {
                let groups = core.limits.fold(bytes.div_ceil(wide * GROUP * each))?;
                Ok((self.bound(&copy_text(value, *each), &from, &to, bytes)?, groups))
            })
            .collect::<Result<Vec<_>>>()?;
        for round in 0..=rounds {
            for (((pipeline, group), groups), seconds) in prepared.iter().zip(&mut seconds) {
                let record = |pass: &mut wgpu::ComputePass| {
                    pass.set_pipeline(pipeline);
                    pass.set_bind_group(0, group, &[]);
                    pass.dispatch_workgroups(groups.0, groups.1, 1);
                };
                // The first of two is warmed up by nobody.
                let spans = ticks.run(0, &[&record as Pass, &record], &uses)?;
                if round > 0 {
                    seconds.push((spans[1][1] - spans[1][0]) as f64 * period);
                }
            }
        }
        Ok(COPIES.iter().zip(seconds).map(|((name, ..), s)| (*name, s)).collect())
    }

    /// Real products and sums a second, as many as multiply-adds reach without memory, in each of `rounds`.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn multiply_adds(self: &Arc<Self>, rounds: usize) -> Result<Vec<f64>> {
        /// Long enough that starting it does not count, short for every driver.
        const LONG: f64 = 4e-3;
        const BYTES: u64 = 4096;
        let core = &self.core;
        let (from, to) = (core.alloc(BYTES)?, core.alloc(BYTES)?);
        let factors: Vec<f32> = (0..1024).map(|k| 0.5 + 1e-4 * k as f32).collect();
        core.write(&from, 0, bytemuck::cast_slice(&factors))?;
        let (pipeline, group) = self.bound(include_str!("fma.wgsl"), &from, &to, BYTES)?;
        let ticks = Ticks::new(core, true);
        let period = ticks.period()?;
        let uses = Uses { reads: vec![from.shared()], writes: vec![to.shared()], parts: Vec::new() };
        let run = |groups: u32| -> Result<f64> {
            let record = |pass: &mut wgpu::ComputePass| {
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(groups, 1, 1);
            };
            let spans = ticks.run(0, &[&record as Pass], &uses)?;
            Ok((spans[0][1] - spans[0][0]) as f64 * period)
        };
        let mut groups = 16;
        run(groups)?;
        while run(groups)? < LONG && groups < core.limits.max_groups / 2 {
            groups *= 2;
        }
        let flops = (u64::from(groups) * GROUP * FLOPS) as f64;
        (0..rounds.max(1)).map(|_| Ok(flops / run(groups)?.max(1e-12))).collect()
    }

    fn bound(
        &self,
        text: &str,
        from: &Block,
        to: &Block,
        bytes: u64,
    ) -> Result<(wgpu::ComputePipeline, wgpu::BindGroup)> {
        let pipeline = self.core.lane(0).pipeline("roof", text, false)?;
        let size = wgpu::BufferSize::new(bytes);
        let [x, y] = [from, to].map(|block| {
            let binding = wgpu::BufferBinding { buffer: block.shared().on(0), offset: 0, size };
            wgpu::BindingResource::Buffer(binding)
        });
        let entries =
            [wgpu::BindGroupEntry { binding: 0, resource: x }, wgpu::BindGroupEntry { binding: 1, resource: y }];
        let desc =
            wgpu::BindGroupDescriptor { label: Some("linops.roof"), layout: &pipeline.layout, entries: &entries };
        let group = checked(&self.core.device, || self.core.device.create_bind_group(&desc))?;
        Ok((pipeline.pipeline.clone(), group))
    }
}
