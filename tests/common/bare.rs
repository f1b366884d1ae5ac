//! What wgpu does by itself for a chain of dispatches: beside it, an apply shows what this crate adds.

use linops::{Result, wgpu};

const KERNEL: &str = "
@group(0) @binding(0) var<storage, read_write> dst: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> src: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> params: vec4<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.x { dst[id.x] = -src[id.x]; }
}";

/// Dispatches with a bind group each, in one pass of one command buffer.
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
        let buffer = |usage| {
            let desc = wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false };
            device.create_buffer(&desc)
        };
        let storage: Vec<wgpu::Buffer> = (0..=dispatches).map(|_| buffer(wgpu::BufferUsages::STORAGE)).collect();
        let params = buffer(wgpu::BufferUsages::UNIFORM);
        let layout = pipeline.get_bind_group_layout(0);
        let group = |pair: &[wgpu::Buffer]| {
            let [src, dst] = pair else { unreachable!("a window of two") };
            let entries = [dst, src, &params].map(wgpu::Buffer::as_entire_binding);
            let entries: Vec<wgpu::BindGroupEntry> = (0..)
                .zip(entries)
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries })
        };
        let groups = storage.windows(2).map(group).collect();
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
        chain = f.compose(&linop::diagonal("N=16", &linops::Tensor::from_slice("N=16", &weights)?)?)?.compose(&chain)?;
    }
    Ok(chain)
}
