//! One opened GPU: its lanes, memory and pipelines.

use super::adapters::{Choice, adapter};
use super::buffer::GpuBuffer;
use super::pipelines::{Pipeline, Pipelines};
use super::pool::{Pool, PoolStats};
use super::queues::{LaneCounts, LaneOptions, Lanes, LanesReport, SharedBuffer};
use crate::access::ConstantKey;
use crate::error::{Result, value_err};
use crate::plan::Target;
use crate::points::Weights;
use crate::shader::{GpuLimits, KernelShape};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

/// How long a wait may take before it is an error.
const PATIENCE: Duration = Duration::from_secs(300);

/// Options that force a poorer device than the adapter is, and checks: for tests and for finding faults. And the number of
/// queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GpuOptions {
    /// Storage bindings of at most so many bytes (a multiple of 4096).
    pub max_binding: Option<u64>,
    /// Workgroups along one dimension of a dispatch at most.
    pub max_groups: Option<u32>,
    /// Plan against wgpu's default limits instead of the adapter's.
    pub default_limits: bool,
    /// The kernels' shape, instead of the one that fits the adapter.
    pub shape: Option<KernelShape>,
    /// Where kernels between grids and points take weights from, instead of what is faster.
    pub weights: Option<Weights>,
    /// Compile kernels with runtime checks.
    pub checked: bool,
    /// Hardware queues to use, where the adapter has them; None: what `LINOPS_QUEUES` says, else one.
    pub queues: Option<u32>,
}

/// An opened GPU.
#[derive(Debug)]
pub struct Gpu {
    /// The device of lane 0. First: the compiler looks into wgpu's types where it meets them, and deeper it gives up.
    pub(super) device: wgpu::Device,
    pub(super) pool: Pool,
    pub(super) lanes: Lanes,
    pub(super) max_buffer: u64,
    /// The verdict of the self-test.
    pub(crate) tested: OnceLock<Result<()>>,
    pub(super) constants: Mutex<HashMap<ConstantKey, Weak<GpuBuffer>>>,
    name: String,
    limits: GpuLimits,
    weights: Option<Weights>,
    id: u64,
    /// One set for each lane.
    pipelines: Vec<Pipelines>,
}

/// What records on one lane: everything but shared buffers belongs to it alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct GpuLane<'a> {
    pub device: &'a wgpu::Device,
    pipelines: &'a Pipelines,
}

impl GpuLane<'_> {
    /// The pipeline of a kernel, compiled once for each lane.
    pub fn pipeline(&self, name: &str, text: &str) -> Result<Arc<Pipeline>> {
        self.pipelines.get(self.device, name, text)
    }
}

impl Gpu {
    /// Opens an adapter with fixed options. The same adapter gives the same device as long as it works.
    pub(crate) fn open(choice: Choice) -> Result<Arc<Gpu>> {
        static OPEN: OnceLock<Mutex<Vec<Arc<Gpu>>>> = OnceLock::new();
        let adapter = adapter(choice)?;
        let name = adapter.get_info().name;
        let mut open = OPEN.get_or_init(Default::default).lock().unwrap_or_else(|e| e.into_inner());
        open.retain(|g| g.check().is_ok());
        if let Some(g) = open.iter().find(|g| g.name == name) {
            return Ok(g.clone());
        }
        let gpu = Gpu::open_adapter(&adapter, GpuOptions::default())?;
        open.push(gpu.clone());
        Ok(gpu)
    }

    /// Opens an adapter with options, as a device of its own.
    pub(crate) fn open_with(choice: Choice, options: GpuOptions) -> Result<Arc<Gpu>> {
        Gpu::open_adapter(&adapter(choice)?, options)
    }

    fn open_adapter(adapter: &wgpu::Adapter, options: GpuOptions) -> Result<Arc<Gpu>> {
        let desc = Gpu::descriptor(std::slice::from_ref(adapter), &options);
        let lanes = Lanes::open(adapter, &desc, LaneOptions { queues: options.queues })?;
        Ok(Gpu::around(adapter.get_info(), lanes, options))
    }

    /// A device that spreads containers over several adapters (rung 3): what all of them can do, values through the host.
    pub(crate) fn open_over(choices: &[Choice], options: GpuOptions) -> Result<Arc<Gpu>> {
        let adapters = choices.iter().map(|&c| adapter(c)).collect::<Result<Vec<_>>>()?;
        let Some(first) = adapters.first() else { return value_err!("no adapter is named, expected at least one") };
        let lanes = Lanes::over(&adapters, &Gpu::descriptor(&adapters, &options))?;
        Ok(Gpu::around(first.get_info(), lanes, options))
    }

    /// What is asked of adapters: the limits that all of them have.
    pub(crate) fn descriptor(adapters: &[wgpu::Adapter], options: &GpuOptions) -> wgpu::DeviceDescriptor<'static> {
        let limits = adapters.iter().map(wgpu::Adapter::limits).reduce(|a, b| a.or_worse_values_from(&b));
        let limits = if options.default_limits { None } else { limits };
        wgpu::DeviceDescriptor {
            label: Some("linops"),
            required_features: wgpu::Features::empty(),
            required_limits: limits.unwrap_or_default(),
            ..Default::default()
        }
    }

    /// A GPU around a caller's own device and queue: only the limits that it has, no handler replaced.
    pub(crate) fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Arc<Gpu> {
        Gpu::around(adapter.get_info(), Lanes::around(device, queue), GpuOptions::default())
    }

    pub(crate) fn around(info: wgpu::AdapterInfo, lanes: Lanes, options: GpuOptions) -> Arc<Gpu> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let device = lanes.device(0).clone();
        let l = device.limits();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let natural = if software { KernelShape::Cpu } else { KernelShape::Gpu };
        let binding = l.max_storage_buffer_binding_size.min(options.max_binding.unwrap_or(u64::MAX));
        let limits = GpuLimits {
            max_binding: binding / 4096 * 4096,
            max_buffer: l.max_buffer_size,
            max_storage_buffers: l.max_storage_buffers_per_shader_stage.min(8),
            workgroup_memory: l.max_compute_workgroup_storage_size,
            max_invocations: l.max_compute_invocations_per_workgroup.min(l.max_compute_workgroup_size_x),
            max_groups: l.max_compute_workgroups_per_dimension.min(options.max_groups.unwrap_or(u32::MAX)),
            shape: options.shape.unwrap_or(natural),
        };
        Arc::new(Gpu {
            pool: Pool::default(),
            pipelines: (0..lanes.count()).map(|_| Pipelines::new(options.checked)).collect(),
            lanes,
            device,
            max_buffer: l.max_buffer_size,
            tested: OnceLock::new(),
            constants: Mutex::default(),
            name: info.name,
            limits,
            weights: options.weights,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    pub(crate) fn weights(&self) -> Option<Weights> {
        self.weights
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wgpu device, of lane 0 where there are several.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The wgpu queue, of lane 0 where there are several. With several hardware queues this crate's threads must not submit
    /// at the same time: semaphores that are staged for their submission would go with yours.
    pub fn wgpu_queue(&self) -> &wgpu::Queue {
        self.lanes.queue(0)
    }

    /// What carries the lanes, and why.
    pub fn lanes(&self) -> &LanesReport {
        self.lanes.report()
    }

    /// How many lanes work may be spread over: hardware queues in use.
    pub fn lane_count(&self) -> usize {
        self.lanes.count()
    }

    /// Submissions of a lane, and its waits for others, so far.
    pub fn lane_counts(&self, lane: usize) -> LaneCounts {
        self.lanes.counts(lane)
    }

    /// Accounting of device memory.
    pub fn memory(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Number of kernels compiled so far.
    pub fn kernels(&self) -> usize {
        self.pipelines.iter().map(Pipelines::len).max().unwrap_or(0)
    }

    pub(crate) fn target(&self) -> Target {
        Target::Gpu(self.limits)
    }

    pub(super) fn limits(&self) -> &GpuLimits {
        &self.limits
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn lane(&self, lane: usize) -> GpuLane<'_> {
        GpuLane { device: self.lanes.device(lane), pipelines: &self.pipelines[lane % self.pipelines.len()] }
    }

    /// The first fault of the device, if there was one.
    pub(super) fn check(&self) -> Result<()> {
        self.lanes.check()
    }

    /// Submits on a lane what reads and writes these buffers, and holds the caller back while too much is in flight.
    pub(super) fn submit(
        &self,
        lane: usize,
        commands: Vec<wgpu::CommandBuffer>,
        reads: &[&SharedBuffer],
        writes: &[&SharedBuffer],
    ) -> Result<()> {
        self.lanes.submit(lane, commands, reads, writes, &[]).map(drop)
    }

    /// Waits for everything submitted so far.
    pub(crate) fn wait(&self) -> Result<()> {
        self.lanes.wait_all(PATIENCE)
    }
}
