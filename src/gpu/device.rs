//! One opened GPU: its core, and what is kept for its plans.

use super::adapters::{self, Choice, Found, find};
use super::compiled::CompiledPlan;
use super::core::Core;
use super::driver_cache::{self, DriverCache};
use super::groups::Groups;
use super::passed::PassedFile;
use super::pipelines::Pipelines;
use super::pool::{Pool, PoolStats};
use super::queues::{LaneCounts, LaneOptions, LaneQueue, Lanes, LanesReport, outlook};
use super::tuned::{QueuesFile, TunedFile, measured};
use crate::error::{Result, value_err};
use crate::kept::{Ledger, Spares, Store};
use crate::plan::{LaneLimit, Target};
use crate::planner::PlanKey;
use crate::points::Weights;
use crate::setters::setters;
use crate::shader::{GpuLimits, KernelShape};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are kept between applies, at first.
const BUDGET: u64 = 1 << 30;

/// Options that force a poorer device than the adapter is, and checks: for tests and for finding faults. And the number of
/// queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct GpuOptions {
    /// Storage bindings of at most so many bytes (a multiple of 4096).
    pub max_binding: Option<u64>,
    /// Buffers of at most so many bytes (a multiple of 4096).
    pub max_buffer: Option<u64>,
    /// Workgroups along one dimension of a dispatch at most.
    pub max_groups: Option<u32>,
    /// Workgroups that keep the device busy, instead of what is taken for its kind: see [`GpuLimits::fill`].
    pub fill: Option<u64>,
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
    /// Whether compiled kernels are kept on disk for the next process; None: as [`set_disk_cache`](super::set_disk_cache) says.
    pub disk_cache: Option<bool>,
}

setters! { GpuOptions {
    /// With bindings of at most so many bytes.
    max_binding: Option<u64>,
    /// With buffers of at most so many bytes.
    max_buffer: Option<u64>,
    /// With at most so many workgroups along one dimension of a dispatch.
    max_groups: Option<u32>,
    /// With so many workgroups as keep the device busy.
    fill: Option<u64>,
    /// With wgpu's default limits, or not.
    default_limits: bool,
    /// With kernels of this shape.
    shape: Option<KernelShape>,
    /// With weights from there.
    weights: Option<Weights>,
    /// With runtime checks, or not.
    checked: bool,
    /// With so many hardware queues, where there are some.
    queues: Option<u32>,
    /// With compiled kernels kept on disk, or not.
    disk_cache: Option<bool>,
} }

/// An opened GPU. Those that are opened by name, as software or as the best one stay open and are given out again; all others
/// end with the last tensor on them and the last [`Device`](crate::Device) that is them.
pub struct Gpu {
    /// What is kept for plans, which lean on the core alone: they go with the device.
    pub(crate) plans: Store<PlanKey, CompiledPlan>,
    pub(super) core: Arc<Core>,
    /// The place of its adapter among all; None of a caller's own device, and of one over several adapters.
    adapter: Option<usize>,
    pub(crate) lane_limit: LaneLimit,
    /// The verdict of the self-test, and where it is kept for the next process.
    tested: Mutex<Option<Result<()>>>,
    pub(super) passed: Option<PassedFile>,
    weights: Option<Weights>,
    queues: Option<QueuesFile>,
    tuned: Option<TunedFile>,
}

/// The name alone.
impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.name())
    }
}

impl Gpu {
    /// Opens an adapter with fixed options. The same adapter gives the same device as long as it works.
    pub(crate) fn open(choice: Choice) -> Result<Arc<Gpu>> {
        static OPEN: Mutex<Vec<(usize, Arc<Gpu>)>> = Mutex::new(Vec::new());
        let found = find(choice)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, g)| g.check().is_ok());
        if let Some((_, g)) = open.iter().find(|(index, _)| *index == found.index) {
            return Ok(g.clone());
        }
        // What was measured of its queues is for those who ask for nothing.
        let gpu = Gpu::open_adapter(&found, GpuOptions::default(), true)?;
        open.push((found.index, gpu.clone()));
        Ok(gpu)
    }

    /// The verdict of a test of the device, made once; not where this program has seen it pass already, and that is kept on disk.
    ///
    /// # Errors
    /// It has failed.
    pub(crate) fn tested(&self, test: impl FnOnce() -> Result<()>) -> Result<()> {
        let verdict = || self.tested.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = &*verdict() {
            return verdict.clone();
        }
        let own = match &self.passed {
            Some(passed) if passed.is_kept() => Ok(()),
            // It runs kernels, so nothing is locked meanwhile; two threads may test at once.
            passed => test().inspect(|()| passed.iter().for_each(PassedFile::keep)),
        };
        verdict().get_or_insert(own).clone()
    }

    /// A later test has failed: what is kept on disk is not true any more.
    pub(crate) fn distrust(&self) {
        self.passed.iter().for_each(PassedFile::forget);
    }

    /// Opens an adapter with options, as a device of its own.
    pub(crate) fn open_with(choice: Choice, options: GpuOptions) -> Result<Arc<Gpu>> {
        Gpu::open_adapter(&find(choice)?, options, false)
    }

    /// With as many queues as the options say, else as were measured to be worth it, if that is heard.
    fn open_adapter(found: &Found, options: GpuOptions, by_measure: bool) -> Result<Arc<Gpu>> {
        let desc = Gpu::descriptor(std::slice::from_ref(&found.adapter), &options);
        let info = found.adapter.get_info();
        let measured = by_measure.then(|| measured(&info, options.disk_cache)).flatten();
        let lanes = Lanes::open(&found.adapter, &desc, LaneOptions { queues: options.queues, measured })?;
        Ok(Gpu::of_adapter(Some(found.index), found.label.clone(), &info, lanes, options))
    }

    /// A device that spreads containers over several adapters (rung 3): what all of them can do, values through the host.
    pub(crate) fn open_over(choices: &[Choice], options: GpuOptions) -> Result<Arc<Gpu>> {
        let found = choices.iter().map(|&c| find(c)).collect::<Result<Vec<_>>>()?;
        let Some(first) = found.first() else { return value_err!("no adapter is named, expected at least one") };
        let adapters: Vec<wgpu::Adapter> = found.iter().map(|f| f.adapter.clone()).collect();
        let lanes = Lanes::over(&adapters, &Gpu::descriptor(&adapters, &options))?;
        Ok(Gpu::around(first.label.clone(), &first.adapter.get_info(), lanes, options))
    }

    /// What is asked of adapters: the limits that all of them have.
    pub(crate) fn descriptor(adapters: &[wgpu::Adapter], options: &GpuOptions) -> wgpu::DeviceDescriptor<'static> {
        let limits = adapters.iter().map(wgpu::Adapter::limits).reduce(|a, b| a.or_worse_values_from(&b));
        let limits = if options.default_limits { None } else { limits };
        wgpu::DeviceDescriptor {
            label: Some("linops"),
            required_features: features(adapters, options),
            required_limits: limits.unwrap_or_default(),
            ..Default::default()
        }
    }

    /// A GPU around a caller's own device and queue: only the limits that it has, no handler replaced.
    pub(crate) fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Arc<Gpu> {
        let info = adapter.get_info();
        // Nothing is kept of a caller's device that they have not asked for.
        let options = GpuOptions::default().disk_cache(Some(false));
        Gpu::around(info.name.clone(), &info, Lanes::around(device, queue), options)
    }

    pub(crate) fn around(name: String, info: &wgpu::AdapterInfo, lanes: Lanes, options: GpuOptions) -> Arc<Gpu> {
        Gpu::of_adapter(None, name, info, lanes, options)
    }

    fn of_adapter(
        adapter: Option<usize>,
        name: String,
        info: &wgpu::AdapterInfo,
        lanes: Lanes,
        options: GpuOptions,
    ) -> Arc<Gpu> {
        let device = lanes.device(0).clone();
        let l = device.limits();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let natural = if software { KernelShape::Cpu } else { KernelShape::Gpu };
        let binding = l.max_storage_buffer_binding_size.min(options.max_binding.unwrap_or(u64::MAX));
        let most = options.max_buffer.map_or(l.max_buffer_size, |most| (most / 4096 * 4096).min(l.max_buffer_size));
        let shape = options.shape.unwrap_or(natural);
        let limits = GpuLimits {
            max_binding: binding / 4096 * 4096,
            max_buffer: most,
            max_storage_buffers: l.max_storage_buffers_per_shader_stage.min(8),
            workgroup_memory: l.max_compute_workgroup_storage_size,
            max_invocations: l.max_compute_invocations_per_workgroup.min(l.max_compute_workgroup_size_x),
            max_workgroup: [
                l.max_compute_workgroup_size_x,
                l.max_compute_workgroup_size_y,
                l.max_compute_workgroup_size_z,
            ],
            max_groups: l.max_compute_workgroups_per_dimension.min(options.max_groups.unwrap_or(u32::MAX)),
            fill: options.fill.unwrap_or(shape.fill()),
            shape,
            choices: None,
        };
        let folder = driver_cache::folder(options.disk_cache);
        let tuned = folder.as_ref().map(|folder| TunedFile::of(info, &limits, folder));
        let limits = GpuLimits { choices: tuned.as_ref().and_then(TunedFile::read), ..limits };
        let passed = folder.as_ref().and_then(|folder| PassedFile::of(info, &limits, folder));
        let ledger = Ledger::default();
        let devices = (0..lanes.count()).map(|lane| lanes.device(lane));
        let on_disk = match &folder {
            Some(folder) => DriverCache::of(devices, folder),
            None => devices.map(|_| None).collect(),
        };
        let pipelines: Arc<[Pipelines]> =
            on_disk.into_iter().map(|c| Pipelines::new(options.checked, ledger.clone(), c)).collect();
        let spares = pipelines.clone();
        let core = Core {
            device,
            name,
            limits,
            groups: Groups::default(),
            records: Default::default(),
            callers: Default::default(),
            pool: Pool::new(limits.max_buffer),
            pipelines,
            lanes,
            dispatches: AtomicU64::default(),
        };
        Arc::new(Gpu {
            plans: Store::new(BUDGET, ledger, Spares::new(move || spares.iter().any(Pipelines::give_up))),
            core: Arc::new(core),
            adapter,
            lane_limit: LaneLimit::default(),
            tested: Mutex::default(),
            passed,
            weights: options.weights,
            queues: folder.as_ref().filter(|_| adapter.is_some()).map(|folder| QueuesFile::of(info, folder)),
            tuned,
        })
    }

    /// Where the choices that were measured on this device are kept; None where nothing is kept.
    pub(crate) fn tuned_file(&self) -> Option<&TunedFile> {
        self.tuned.as_ref()
    }

    /// Where it is kept how many queues are worth it; None where nothing is kept, and where it is not the device of one adapter.
    pub(crate) fn queues_file(&self) -> Option<&QueuesFile> {
        self.queues.as_ref()
    }

    /// How many queues of this device's adapter can be opened: as many as 4; 1 of a caller's own device, and of one over several
    /// adapters.
    pub(crate) fn hardware_queues(&self) -> u32 {
        let found = self.adapter.and_then(|index| adapters::at(index).ok());
        found.map_or(1, |f| outlook(&f.adapter, None).hardware_queues.unwrap_or(4).min(4))
    }

    /// Opens the same adapter once more, with options, as a device of its own.
    ///
    /// # Errors
    /// It cannot be opened, or this is a caller's own device or one over several adapters.
    pub(crate) fn again(&self, options: GpuOptions) -> Result<Arc<Gpu>> {
        match self.adapter {
            Some(index) => Gpu::open_adapter(&adapters::at(index)?, options, false),
            None => Err(crate::error::Error::Device(format!("{} is not the device of one adapter", self.name()))),
        }
    }

    pub(crate) fn weights(&self) -> Option<Weights> {
        self.weights
    }

    /// The adapter's name; of several equal ones with its number, as `gpu:NAME` takes it.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The wgpu device, of lane 0 where there are several.
    pub fn wgpu_device(&self) -> &wgpu::Device {
        &self.core.device
    }

    /// The wgpu queue, of lane 0 where there are several, for submissions of your own. Nothing else is submitted on the lane
    /// while the guard lives: do not call this crate on the same thread meanwhile.
    ///
    /// # Errors
    /// The lane takes no more work.
    pub fn wgpu_queue(&self) -> Result<LaneQueue<'_>> {
        self.core.lanes.queue(0)
    }

    /// What carries the lanes, and why.
    pub fn lanes(&self) -> &LanesReport {
        self.core.lanes.report()
    }

    /// How many lanes work may be spread over: hardware queues in use.
    pub fn lane_count(&self) -> usize {
        self.core.lanes.count()
    }

    /// Submissions of a lane, command buffers in them, and its waits for others, so far.
    pub fn lane_counts(&self, lane: usize) -> LaneCounts {
        self.core.lanes.counts(lane)
    }

    /// Dispatches of applies, solvers and arithmetic that were recorded so far.
    pub fn dispatches(&self) -> u64 {
        self.core.dispatches.load(Ordering::Relaxed)
    }

    /// Accounting of device memory.
    pub fn memory(&self) -> PoolStats {
        self.core.pool.stats()
    }

    /// Bind groups made for plans so far; a loop in which this grows binds other tensors at every turn.
    pub fn bind_groups(&self) -> u64 {
        self.core.groups.made()
    }

    /// Number of compiled kernels that are kept.
    pub fn kernels(&self) -> usize {
        self.core.pipelines.iter().map(Pipelines::len).max().unwrap_or(0)
    }

    pub(crate) fn target(&self) -> Target {
        Target::Gpu(self.core.limits)
    }

    /// Gives up what is kept for plans that nobody uses, and all idle memory.
    pub(crate) fn clear(&self) {
        self.plans.clear();
        self.core.trim();
    }

    /// # Errors
    /// The device is lost.
    pub(super) fn check(&self) -> Result<()> {
        self.core.lanes.check()
    }

    /// Waits for everything submitted so far.
    pub(crate) fn wait(&self) -> Result<()> {
        self.core.wait()
    }
}

/// What is used beside the defaults where all of these adapters have it: it changes no kernel.
fn features(adapters: &[wgpu::Adapter], options: &GpuOptions) -> wgpu::Features {
    if options.default_limits {
        return wgpu::Features::empty();
    }
    let used = wgpu::Features::PIPELINE_CACHE | wgpu::Features::TIMESTAMP_QUERY;
    adapters.iter().map(wgpu::Adapter::features).fold(used, |all, has| all & has)
}
