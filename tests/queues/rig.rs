//! What the tests of lanes stand on: an adapter, lanes on every rung, and a kernel over words.

use crate::table::{self, Behaviour, Watch};
use linops::internal::queues::{LaneOptions, Lanes, SharedBuffer};
use linops::wgpu;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub const SOON: Duration = Duration::from_secs(30);

/// Words of a test buffer.
pub const WORDS: usize = 1000;

/// A Vulkan adapter; with `LINOPS_VALIDATION` set its instance has the validation layer on.
pub fn adapter() -> &'static wgpu::Adapter {
    static ADAPTER: OnceLock<wgpu::Adapter> = OnceLock::new();
    ADAPTER.get_or_init(another_adapter)
}

/// An adapter of an instance of its own.
pub fn another_adapter() -> wgpu::Adapter {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
    desc.backends = wgpu::Backends::VULKAN;
    desc.flags = match std::env::var("LINOPS_VALIDATION") {
        // Not DEBUG: old layers then complain of every shader's source language.
        Ok(_) => wgpu::InstanceFlags::VALIDATION,
        Err(_) => wgpu::InstanceFlags::empty(),
    };
    let instance = wgpu::Instance::new(desc);
    let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    all.into_iter().next().expect("a Vulkan adapter (or set LINOPS_SKIP_GPU=1 to leave GPU tests out)")
}

pub fn device_descriptor() -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor { required_limits: adapter().limits(), ..Default::default() }
}

pub fn one_queue() -> Lanes {
    Lanes::open(adapter(), &device_descriptor(), LaneOptions { queues: Some(1), ..LaneOptions::default() }).unwrap()
}

pub fn devices(n: usize) -> Lanes {
    Lanes::over(&vec![adapter().clone(); n], &device_descriptor()).unwrap()
}

/// Virtual queues; what they have seen is looked at when the rig is dropped.
pub fn queues(n: usize, behaviour: Behaviour) -> (Lanes, Arc<Watch>) {
    table::lanes(adapter(), n, behaviour)
}

pub fn healthy(watch: &Watch) {
    assert_eq!(watch.stuck.load(SeqCst), 0, "a value did not come");
    // The last owner may be dropped on a thread of its own.
    let begin = Instant::now();
    while watch.destroyed.load(SeqCst) == 0 && begin.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(watch.destroyed.load(SeqCst), 1, "the native device is destroyed once");
}

pub fn usage() -> wgpu::BufferUsages {
    wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST
}

pub fn words(lanes: &Lanes) -> SharedBuffer {
    lanes.alloc(4 * WORDS as u64, usage()).unwrap()
}

pub fn read(lanes: &Lanes, buffer: &SharedBuffer) -> Vec<u32> {
    lanes.read(buffer, WORDS).unwrap()
}

/// One step on words: `y = keep * y + 5 * a + b + add`.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub keep: u32,
    pub add: u32,
}

impl Step {
    pub fn of(self, y: u32, a: u32, b: u32) -> u32 {
        self.keep.wrapping_mul(y).wrapping_add(a.wrapping_mul(5)).wrapping_add(b).wrapping_add(self.add)
    }
}

const TEXT: &str = "
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> b: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> p: vec4<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i < p.z { y[i] = p.x * y[i] + 5u * a[i] + b[i] + p.y; }
}";

/// The kernel, compiled for every lane.
pub struct Kernel(Vec<wgpu::ComputePipeline>);

impl Kernel {
    pub fn new(lanes: &Lanes) -> Kernel {
        let compile = |lane| {
            let device = lanes.device(lane);
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: None,
                source: wgpu::ShaderSource::Wgsl(TEXT.into()),
            });
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            })
        };
        Kernel((0..lanes.count()).map(compile).collect())
    }

    /// The pipeline of a lane and what it binds: two to read, one to write.
    pub fn bound(
        &self,
        lanes: &Lanes,
        lane: usize,
        step: Step,
        [a, b, y]: [&SharedBuffer; 3],
    ) -> (&wgpu::ComputePipeline, wgpu::BindGroup) {
        let pipeline = &self.0[lane % self.0.len()];
        let device = lanes.device(lane);
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        let values = [step.keep, step.add, WORDS as u32, 0];
        uniform.get_mapped_range_mut(..).unwrap().copy_from_slice(bytemuck::cast_slice(&values));
        uniform.unmap();
        let all = [a.on(lane), b.on(lane), y.on(lane), &uniform];
        let entries: Vec<wgpu::BindGroupEntry> = (0..)
            .zip(all)
            .map(|(binding, b)| wgpu::BindGroupEntry { binding, resource: b.as_entire_binding() })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        (pipeline, group)
    }

    /// One dispatch in a command buffer of its own.
    pub fn record(&self, lanes: &Lanes, lane: usize, step: Step, buffers: [&SharedBuffer; 3]) -> wgpu::CommandBuffer {
        let (pipeline, group) = self.bound(lanes, lane, step, buffers);
        let mut encoder = lanes.device(lane).create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            dispatch(&mut pass, pipeline, &group);
        }
        encoder.finish()
    }
}

pub fn dispatch(pass: &mut wgpu::ComputePass, pipeline: &wgpu::ComputePipeline, group: &wgpu::BindGroup) {
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.dispatch_workgroups((WORDS as u32).div_ceil(64), 1, 1);
}
