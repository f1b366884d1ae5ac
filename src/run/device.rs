//! The devices that a user picks from.

use crate::error::{Error, Result};
#[cfg(feature = "gpu")]
use crate::gpu::Gpu;
use crate::host::host;
use crate::plan::{LaneLimit, PlanOptions, Target};
use crate::tensor::Tensor;
use std::fmt;
#[cfg(feature = "gpu")]
use std::sync::Arc;

/// Where tensors live and linops run: the host, or one GPU. Cheap to clone.
#[derive(Clone)]
pub struct Device(pub(crate) Kind);

/// The name alone: `Device(host)`.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({self})")
    }
}

/// The [`name`](Device::name).
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[derive(Clone)]
pub(crate) enum Kind {
    Host,
    #[cfg(feature = "gpu")]
    Gpu(Arc<Gpu>),
}

#[cfg(not(feature = "gpu"))]
fn no_gpu() -> Error {
    Error::Device("this build has no GPU support; build with the feature \"gpu\"".into())
}

impl Device {
    /// The CPU of this machine, without any driver.
    pub fn host() -> Device {
        Device(Kind::Host)
    }

    /// A hardware GPU if there is one that works, else the host. Never a software adapter.
    pub fn auto() -> Device {
        #[cfg(feature = "gpu")]
        match Device::trusted(crate::gpu::Choice::Hardware) {
            Ok(device) => return device,
            // None there is the common case; one that is there and refused is worth a word.
            Err(e) => tracing::info!("the host is used: {e}"),
        }
        Device::host()
    }

    /// A GPU: a hardware one if there is one, else a software adapter.
    ///
    /// # Errors
    /// There is no adapter (the message says how to install one), or it cannot be opened.
    pub fn gpu() -> Result<Device> {
        #[cfg(feature = "gpu")]
        return Device::trusted(crate::gpu::Choice::Any);
        #[cfg(not(feature = "gpu"))]
        Err(no_gpu())
    }

    /// The first adapter whose name contains `name`, ignoring case.
    ///
    /// # Errors
    /// No adapter is called so (the message lists those there are), or it cannot be opened.
    pub fn gpu_named(name: &str) -> Result<Device> {
        #[cfg(feature = "gpu")]
        return Device::trusted(crate::gpu::Choice::Named(name));
        #[cfg(not(feature = "gpu"))]
        {
            let _ = name;
            Err(no_gpu())
        }
    }

    /// A software adapter (lavapipe, WARP) with fixed options: for tests on machines without a GPU.
    ///
    /// # Errors
    /// No software adapter is installed, or it cannot be opened.
    pub fn software() -> Result<Device> {
        #[cfg(feature = "gpu")]
        return Device::trusted(crate::gpu::Choice::Software);
        #[cfg(not(feature = "gpu"))]
        Err(no_gpu())
    }

    /// Opens an adapter and tests it, once.
    #[cfg(feature = "gpu")]
    fn trusted(choice: crate::gpu::Choice) -> Result<Device> {
        let gpu = Gpu::open(choice)?;
        let device = Device(Kind::Gpu(gpu.clone()));
        if !super::self_test::is_waived() {
            gpu.tested(|| super::self_test::trust(&device))?;
        }
        Ok(device)
    }

    /// A GPU as a device of its own, with options that force a poorer one or checks.
    ///
    /// # Errors
    /// As for [`gpu_named`](Device::gpu_named).
    #[cfg(feature = "gpu")]
    pub fn gpu_with(choice: crate::gpu::Choice, options: crate::gpu::GpuOptions) -> Result<Device> {
        Ok(Device(Kind::Gpu(Gpu::open_with(choice, options)?)))
    }

    /// Several adapters as one device: the sub-linops of containers go to them in turn, values go through the host, and all
    /// else runs on the first. An adapter may be named twice.
    ///
    /// # Errors
    /// As for [`gpu_named`](Device::gpu_named); none is named.
    #[cfg(feature = "gpu")]
    pub fn gpus(choices: &[crate::gpu::Choice]) -> Result<Device> {
        Ok(Device(Kind::Gpu(Gpu::open_over(choices, crate::gpu::GpuOptions::default())?)))
    }

    /// A device around a caller's own wgpu device and queue. Only the limits that it was created with are used, and none of
    /// its handlers is replaced.
    #[cfg(feature = "gpu")]
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Device {
        Device(Kind::Gpu(Gpu::from_wgpu(adapter, device, queue)))
    }

    /// A GPU over lanes that were opened by hand: other rungs than [`gpu_with`](Device::gpu_with) opens. `adapter` is the one of
    /// lane 0.
    #[doc(hidden)]
    #[cfg(feature = "gpu")]
    pub fn over_lanes(
        adapter: &wgpu::Adapter,
        lanes: crate::gpu::queues::Lanes,
        options: crate::gpu::GpuOptions,
    ) -> Device {
        let info = adapter.get_info();
        Device(Kind::Gpu(Gpu::around(info.name.clone(), &info, lanes, options)))
    }

    /// The opened GPU, if this is one: its wgpu device and queue, memory accounting.
    #[cfg(feature = "gpu")]
    pub fn as_gpu(&self) -> Option<&Gpu> {
        match &self.0 {
            Kind::Gpu(g) => Some(g),
            Kind::Host => None,
        }
    }

    /// The device by the name that the command line takes: `auto`, `gpu`, `gpu:NAME`, `host`, or several adapters
    /// `gpu:NAME,gpu:NAME` (see [`gpus`](Device::gpus)).
    ///
    /// # Errors
    /// Another name, or the device cannot be opened.
    pub fn by_name(name: &str) -> Result<Device> {
        #[cfg(feature = "gpu")]
        if name.contains(',') {
            let parts: Vec<Option<&str>> = name.split(',').map(|n| n.strip_prefix("gpu:")).collect();
            let choices = parts.iter().map(|p| p.filter(|n| !n.is_empty()).map(crate::gpu::Choice::Named));
            return match choices.collect::<Option<Vec<_>>>() {
                Some(all) => Device::gpus(&all),
                None => Err(Error::Device(format!("\"{name}\" is no list of devices; expected gpu:NAME,gpu:NAME"))),
            };
        }
        match name {
            "auto" => Ok(Device::auto()),
            "gpu" => Device::gpu(),
            "host" => Ok(Device::host()),
            _ => match name.strip_prefix("gpu:") {
                Some(part) if !part.is_empty() => Device::gpu_named(part),
                _ => Err(Error::Device(format!("no device \"{name}\"; expected auto, gpu, gpu:NAME or host"))),
            },
        }
    }

    /// "host", or the adapter's name.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Host => "host".into(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.name().to_string(),
        }
    }

    /// Whether this is the host.
    pub fn is_host(&self) -> bool {
        matches!(self.0, Kind::Host)
    }

    /// What plans for this device are made for.
    pub fn target(&self) -> Target {
        match &self.0 {
            Kind::Host => Target::Host,
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.target(),
        }
    }

    /// What plans for this device may choose.
    pub(crate) fn plan_options(&self) -> PlanOptions {
        let (queues, queue_work, weights) = match &self.0 {
            Kind::Host => (1, 0, None),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => (g.lane_count(), g.lanes().least_work, g.weights()),
        };
        PlanOptions { lanes: self.lanes(), queues, queue_work, weights, alike: 0 }
    }

    fn lane_limit(&self) -> &LaneLimit {
        match &self.0 {
            Kind::Host => &host().lane_limit,
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => &g.lane_limit,
        }
    }

    /// Lets at most so many sub-linops of a container be in flight on this device, whatever their settings say; None leaves it
    /// to the settings. Until this is called the environment variable `LINOPS_LANES` says it. Never changes a result.
    pub fn set_lanes(&self, lanes: Option<usize>) {
        self.lane_limit().set(lanes);
    }

    /// The limit that [`set_lanes`](Device::set_lanes) or `LINOPS_LANES` sets, if any.
    pub fn lanes(&self) -> Option<usize> {
        self.lane_limit().get()
    }

    /// How many bytes may be kept for plans between applies.
    pub fn cache_budget(&self) -> u64 {
        match &self.0 {
            Kind::Host => host().plans.budget(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.plans.budget(),
        }
    }

    /// Sets how many bytes may be kept for plans between applies (1 GiB at first): tables, weights, scratch, and on a GPU compiled
    /// kernels by estimate. What was used longest ago goes first; a plan that runs is always kept.
    pub fn set_cache_budget(&self, bytes: u64) {
        match &self.0 {
            Kind::Host => host().plans.set_budget(bytes),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.plans.set_budget(bytes),
        }
    }

    /// Runs `f`, and keeps no more than so many bytes for plans meanwhile.
    pub(super) fn while_keeping<R>(&self, bytes: u64, f: impl FnOnce() -> R) -> R {
        match &self.0 {
            Kind::Host => host().plans.while_keeping(bytes, f),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.plans.while_keeping(bytes, f),
        }
    }

    /// Bytes that are kept for plans between applies.
    pub fn cached_bytes(&self) -> u64 {
        match &self.0 {
            Kind::Host => host().plans.ledger().bytes(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.plans.ledger().bytes(),
        }
    }

    /// Gives up what is kept for plans that do not run, and on a GPU all idle memory.
    pub fn clear_cache(&self) {
        match &self.0 {
            Kind::Host => host().plans.clear(),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.clear(),
        }
    }

    /// Waits until everything submitted so far is done. On the host nothing is ever pending.
    ///
    /// # Errors
    /// The device was lost, or did not answer in time.
    pub fn wait(&self) -> Result<()> {
        match &self.0 {
            Kind::Host => Ok(()),
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.wait(),
        }
    }

    pub(crate) fn same(&self, other: &Device) -> bool {
        match (&self.0, &other.0) {
            (Kind::Host, Kind::Host) => true,
            #[cfg(feature = "gpu")]
            (Kind::Gpu(a), Kind::Gpu(b)) => Arc::ptr_eq(a, b),
            #[cfg(feature = "gpu")]
            _ => false,
        }
    }
}

impl Tensor {
    /// The device that holds the values.
    pub fn device(&self) -> Device {
        #[cfg(feature = "gpu")]
        if let Some(b) = self.device_buffer().and_then(|b| b.as_any().downcast_ref::<crate::gpu::GpuBuffer>()) {
            return Device(Kind::Gpu(b.gpu().clone()));
        }
        Device::host()
    }

    /// The same tensor on a device; the values are shared where they are there already, else copied. To the host this
    /// waits for the device.
    ///
    /// # Errors
    /// The device has not enough memory, was lost, or did not answer in time.
    pub fn to(&self, device: &Device) -> Result<Tensor> {
        if self.device().same(device) {
            return Ok(self.clone());
        }
        match &device.0 {
            Kind::Host => match self.device().0 {
                Kind::Host => Ok(self.clone()),
                #[cfg(feature = "gpu")]
                Kind::Gpu(g) => g.download(self),
            },
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => g.upload(&self.to(&Device::host())?),
        }
    }
}
