//! One opened GPU: a wgpu device with its queue, memory and pipelines.

use super::adapters::{Choice, choose};
use super::buffer::GpuBuffer;
use super::faults::Faults;
use super::pipelines::Pipelines;
use super::pool::{Pool, PoolStats};
use crate::error::{Error, Result};
use crate::fft::KernelShape;
use crate::program::Target;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

/// How long a wait may take before it is an error.
const PATIENCE: Duration = Duration::from_secs(300);

/// Submissions in flight at most: enough to keep a GPU busy, few enough to keep its driver and memory calm.
const IN_FLIGHT: usize = 48;

/// Options that force a poorer device than the adapter is, and checks: for tests and for finding faults.
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
    /// Compile kernels with runtime checks.
    pub checked: bool,
}

/// An opened GPU.
#[derive(Debug)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pool: Pool,
    pub(super) pipelines: Pipelines,
    pub(super) faults: Faults,
    pub(super) max_buffer: u64,
    /// The verdict of the self-test.
    pub(crate) tested: OnceLock<Result<()>>,
    pub(super) constants: Mutex<HashMap<u64, Weak<GpuBuffer>>>,
    name: String,
    target: Target,
    id: u64,
    in_flight: Mutex<VecDeque<wgpu::SubmissionIndex>>,
    /// A caller's device is never waited for outside of an explicit wait.
    throttled: bool,
}

impl Gpu {
    /// Opens an adapter with fixed options. The same adapter gives the same device as long as it works.
    pub(crate) fn open(choice: Choice) -> Result<Arc<Gpu>> {
        static OPEN: OnceLock<Mutex<Vec<Arc<Gpu>>>> = OnceLock::new();
        let adapter = choose(choice)?;
        let name = adapter.get_info().name;
        let mut open = OPEN.get_or_init(Default::default).lock().unwrap_or_else(|e| e.into_inner());
        open.retain(|g| g.faults.check().is_ok());
        if let Some(g) = open.iter().find(|g| g.name == name) {
            return Ok(g.clone());
        }
        let gpu = Gpu::open_adapter(&adapter, GpuOptions::default())?;
        open.push(gpu.clone());
        Ok(gpu)
    }

    /// Opens an adapter with options, as a device of its own.
    pub(crate) fn open_with(choice: Choice, options: GpuOptions) -> Result<Arc<Gpu>> {
        Gpu::open_adapter(&choose(choice)?, options)
    }

    fn open_adapter(adapter: &wgpu::Adapter, options: GpuOptions) -> Result<Arc<Gpu>> {
        let name = adapter.get_info().name;
        let limits = if options.default_limits { wgpu::Limits::default() } else { adapter.limits() };
        let desc = wgpu::DeviceDescriptor {
            label: Some("linops"),
            required_features: wgpu::Features::empty(),
            required_limits: limits,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&desc))
            .map_err(|e| Error::Device(format!("the adapter \"{name}\" cannot be opened: {e}")))?;
        let faults = Faults::listen(&device);
        Ok(Gpu::around(adapter.get_info(), device, queue, faults, options, true))
    }

    /// A GPU around a caller's own device and queue: only the limits that it has, no handler replaced.
    pub(crate) fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Arc<Gpu> {
        Gpu::around(adapter.get_info(), device, queue, Faults::default(), GpuOptions::default(), false)
    }

    fn around(
        info: wgpu::AdapterInfo,
        device: wgpu::Device,
        queue: wgpu::Queue,
        faults: Faults,
        options: GpuOptions,
        throttled: bool,
    ) -> Arc<Gpu> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let l = device.limits();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let natural = if software { KernelShape::Cpu } else { KernelShape::Gpu };
        let binding = l.max_storage_buffer_binding_size.min(options.max_binding.unwrap_or(u64::MAX));
        let target = Target::Gpu {
            max_binding: binding / 4096 * 4096,
            max_buffer: l.max_buffer_size,
            max_storage_buffers: l.max_storage_buffers_per_shader_stage.min(8),
            workgroup_memory: l.max_compute_workgroup_storage_size,
            max_invocations: l.max_compute_invocations_per_workgroup.min(l.max_compute_workgroup_size_x),
            max_groups: l.max_compute_workgroups_per_dimension.min(options.max_groups.unwrap_or(u32::MAX)),
            shape: options.shape.unwrap_or(natural),
        };
        Arc::new(Gpu {
            device,
            queue,
            pool: Pool::default(),
            pipelines: Pipelines::new(options.checked),
            faults,
            max_buffer: l.max_buffer_size,
            tested: OnceLock::new(),
            constants: Mutex::default(),
            name: info.name,
            target,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            in_flight: Mutex::default(),
            throttled,
        })
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wgpu device.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The wgpu queue.
    pub fn wgpu_queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Accounting of device memory.
    pub fn memory(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Number of kernels compiled so far.
    pub fn kernels(&self) -> usize {
        self.pipelines.len()
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Submits, and holds the caller back while too much is in flight.
    pub(super) fn submit(&self, commands: Vec<wgpu::CommandBuffer>) -> Result<()> {
        let index = self.queue.submit(commands);
        if !self.throttled {
            return Ok(());
        }
        let oldest = {
            let mut q = self.in_flight.lock().unwrap_or_else(|e| e.into_inner());
            q.push_back(index);
            (q.len() > IN_FLIGHT).then(|| q.pop_front()).flatten()
        };
        oldest.map_or(Ok(()), |index| self.wait_for(index))
    }

    /// Waits for everything submitted so far.
    pub(crate) fn wait(&self) -> Result<()> {
        let index = self.queue.submit([]);
        self.wait_for(index)?;
        self.faults.check()
    }

    pub(super) fn wait_for(&self, index: wgpu::SubmissionIndex) -> Result<()> {
        let poll = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(PATIENCE) };
        match self.device.poll(poll) {
            Ok(_) => Ok(()),
            Err(e) => Err(match self.faults.check() {
                Err(fault) => fault,
                Ok(()) if matches!(e, wgpu::PollError::Timeout) => Error::Timeout { seconds: PATIENCE.as_secs() },
                Ok(()) => Error::Device(format!("waiting for the device failed: {e}")),
            }),
        }
    }

    /// Workgroups folded into two dimensions.
    pub(super) fn fold(&self, groups: u64) -> Result<(u32, u32)> {
        let Target::Gpu { max_groups, .. } = self.target else { return Ok((groups as u32, 1)) };
        let max = u64::from(max_groups);
        if groups <= max {
            return Ok((groups as u32, 1));
        }
        let rows = groups.div_ceil(max);
        if rows > max {
            return Err(Error::TooBig {
                what: "the workgroups of one dispatch".into(),
                needed: groups,
                limit: max * max,
            });
        }
        Ok((groups.div_ceil(rows) as u32, rows as u32))
    }
}
