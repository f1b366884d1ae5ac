//! What wgpu does by itself for a chain of dispatches: beside it, an apply shows what this crate adds.

use linops::{Result, wgpu};

const KERNEL: &str = "
@group(0) @binding(0) var<uniform> line: vec4<u32>;
@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> dst: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> src: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> weight: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.x + line.x { dst[id.x] = src[id.x] * weight[id.x] + table[id.x]; }
}";

/// Dispatches with a bind group each, in one pass of one command buffer. They bind as much as a transform with weights does: two
/// stretches of parameters, a table, weights, values and results.
pub struct Bare {
    device: wgpu::Device,
    pipeline: wgpu::ComputePipeline,
    groups: Vec<wgpu::BindGroup>,
}

impl Bare {
    /// On a caller's device, of so many dispatches.
    pub fn new(device: &wgpu::Device, dispatches: usize) -> Bare {
        let source = wgpu::ShaderSource::Wgsl(KERNEL.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let buffer = |usage, size| {
            device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let storage = || buffer(wgpu::BufferUsages::STORAGE, 256);
        let values: Vec<wgpu::Buffer> = (0..=dispatches).map(|_| storage()).collect();
        let params = buffer(wgpu::BufferUsages::UNIFORM, 512);
        let (table, layout) = (storage(), pipeline.get_bind_group_layout(0));
        let group = |pair: &[wgpu::Buffer]| {
            let uniform = |offset| {
                let size = wgpu::BufferSize::new(16);
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &params, offset, size })
            };
            let [dst, src] = [1, 0].map(|k| pair[k].as_entire_binding());
            let weight = storage();
            let entries = [uniform(0), table.as_entire_binding(), uniform(256), dst, src, weight.as_entire_binding()];
            let entries: Vec<wgpu::BindGroupEntry> =
                (0..).zip(entries).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
        };
        let groups = values.windows(2).map(group).collect();
        Bare { device: device.clone(), pipeline, groups }
    }

    /// Records and submits, and does not wait.
    pub fn run(&self, queue: &wgpu::Queue) -> wgpu::SubmissionIndex {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        for group in &self.groups {
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        drop(pass);
        queue.submit([encoder.finish()])
    }
}

/// A linop of so many dispatches on tiny values: transforms, with weights between them that do not commute with them.
pub fn chain(dispatches: usize) -> Result<linops::Linop> {
    use linops::linop::{self, FftOptions};
    let mut chain = linop::identity("N=16")?;
    for k in 0..dispatches {
        let f = linop::fft("N=16", "N", FftOptions::default())?.keep();
        let weights: Vec<f32> = (0..16).map(|n| 1.0 + ((n * (k + 3)) % 7) as f32).collect();
        chain =
            f.compose(&linop::diagonal("N=16", &linops::Tensor::from_slice("N=16", &weights)?)?)?.compose(&chain)?;
    }
    Ok(chain)
}
