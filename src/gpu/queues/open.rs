//! The ladder: the highest rung that was asked for and is there, with the reason why it is that one.

use super::lane::Lane;
use super::report::{Found, Granted, LanesReport, Rung, find};
use super::{Carrier, Inner, Lanes, exit};
use crate::error::{Error, Result, value_err};
use crate::gpu::faults::Health;
use crate::gpu::ids::new_id;
use serde::Serialize;
use std::sync::Arc;

/// What lanes to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneOptions {
    /// Hardware queues of one GPU to use; fewer where it has fewer. None: what `LINOPS_QUEUES` says, else what was measured, else 1,
    /// which is one ordinary wgpu device.
    pub queues: Option<u32>,
    /// What was measured of this adapter: it says how many where nobody else does. None: nothing was, and it is one.
    pub measured: Option<MeasuredQueues>,
}

/// How many queues of an adapter are worth it, as `linops tune` has measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MeasuredQueues {
    /// So many; 1: several gained nothing.
    pub queues: u32,
    /// From so much work of each queue on: bytes that are moved, or flops that take as long.
    pub least_work: u64,
}

impl LaneOptions {
    /// The number asked for: the option, else the environment.
    pub(super) fn asked(&self) -> Result<Option<u32>> {
        let asked = match (self.queues, std::env::var("LINOPS_QUEUES")) {
            (Some(n), _) => Some(n),
            (None, Ok(text)) if !text.is_empty() => match text.parse() {
                Ok(n) => Some(n),
                Err(_) => return value_err!("LINOPS_QUEUES is \"{text}\", expected a number of queues from 1 on"),
            },
            (None, _) => None,
        };
        match asked {
            Some(0) => value_err!("0 queues were asked for, expected at least 1"),
            other => Ok(other),
        }
    }
}

impl Lanes {
    /// Opens an adapter on the highest rung that is asked for and there: several hardware queues, else one queue. The rung and
    /// the reason are in [`report`](Lanes::report).
    ///
    /// # Errors
    /// The adapter cannot be opened at all, or the number of queues is not one.
    pub fn open(adapter: &wgpu::Adapter, desc: &wgpu::DeviceDescriptor, options: LaneOptions) -> Result<Lanes> {
        let found = find(adapter);
        let reason = match found.granted(options.asked()?, options.measured) {
            Granted::One { reason } => reason,
            Granted::Several { queues, least_work, reason } => {
                match Lanes::open_native(adapter, desc, (queues, least_work), reason, &found) {
                    Ok(lanes) => return Ok(lanes),
                    Err(e) => {
                        tracing::warn!("one queue is used, {queues} were to be: {e}");
                        format!("{queues} queues were to be used, but {e}")
                    }
                }
            }
        };
        let (device, queue) = request(adapter, desc)?;
        let (family, families) = (found.family, found.families);
        let report = LanesReport { rung: Rung::OneQueue, reason, queues: 1, least_work: 0, family, families };
        Ok(Lanes::of(vec![(device, queue)], Carrier::OneQueue, report))
    }

    /// A device on each adapter, which share nothing: rung 3. An adapter may be named twice.
    ///
    /// # Errors
    /// No adapter is given, or one cannot be opened.
    pub fn over(adapters: &[wgpu::Adapter], desc: &wgpu::DeviceDescriptor) -> Result<Lanes> {
        if adapters.is_empty() {
            return value_err!("lanes over no adapter were asked for, expected at least one");
        }
        let devices = adapters.iter().map(|a| request(a, desc)).collect::<Result<Vec<_>>>()?;
        let report = LanesReport {
            rung: Rung::Devices,
            reason: format!("{} devices that share no memory were asked for", devices.len()),
            queues: devices.len(),
            least_work: 0,
            family: None,
            families: Vec::new(),
        };
        Ok(Lanes::of(devices, Carrier::Devices, report))
    }

    /// A caller's own device: rung 2, no handler replaced, no wait outside of an explicit one but for the process' end.
    pub(in crate::gpu) fn around(device: wgpu::Device, queue: wgpu::Queue) -> Lanes {
        let report = LanesReport {
            rung: Rung::OneQueue,
            reason: "the device is the caller's own".into(),
            queues: 1,
            least_work: 0,
            family: None,
            families: Vec::new(),
        };
        Lanes::with(vec![Lane::new(0, device, queue, Health::default())], Carrier::OneQueue, report, false)
    }

    fn of(devices: Vec<(wgpu::Device, wgpu::Queue)>, carrier: Carrier, report: LanesReport) -> Lanes {
        let lane = |(k, (device, queue)): (usize, (wgpu::Device, wgpu::Queue))| {
            let health = Health::listen(&device);
            Lane::new(k, device, queue, health)
        };
        Lanes::with(devices.into_iter().enumerate().map(lane).collect(), carrier, report, true)
    }

    fn with(lanes: Vec<Lane>, carrier: Carrier, report: LanesReport, throttled: bool) -> Lanes {
        let inner = Arc::new(Inner {
            lanes,
            carrier,
            report,
            #[cfg(feature = "multi-queue")]
            reaper: Arc::default(),
            id: new_id(),
            throttled,
        });
        exit::watch(&inner);
        Lanes(inner)
    }

    #[cfg(not(feature = "multi-queue"))]
    fn open_native(
        _: &wgpu::Adapter,
        _: &wgpu::DeviceDescriptor,
        _: (u32, u64),
        _: String,
        found: &Found,
    ) -> Result<Lanes> {
        Err(Error::Device(found.reason.clone()))
    }

    #[cfg(feature = "multi-queue")]
    fn open_native(
        adapter: &wgpu::Adapter,
        desc: &wgpu::DeviceDescriptor,
        (queues, least_work): (u32, u64),
        reason: String,
        found: &Found,
    ) -> Result<Lanes> {
        let opened = match adapter.get_info().backend {
            #[cfg(not(target_vendor = "apple"))]
            wgpu::Backend::Vulkan => super::vulkan::open(adapter, desc, queues as usize, found, &|_, raw| raw)?,
            #[cfg(target_vendor = "apple")]
            wgpu::Backend::Metal => super::metal::open(adapter, desc, queues as usize)?,
            #[cfg(windows)]
            wgpu::Backend::Dx12 => super::dx12::open(adapter, desc, queues as usize)?,
            other => return Err(Error::Device(format!("{other} has no rung 1"))),
        };
        Ok(Lanes::natively(opened, reason, least_work, found.clone()))
    }

    #[cfg(feature = "multi-queue")]
    fn natively(opened: super::native::Opened, reason: String, least_work: u64, found: Found) -> Lanes {
        let super::native::Opened { devices, native } = opened;
        let report = LanesReport {
            rung: Rung::HardwareQueues,
            reason,
            queues: devices.len(),
            least_work,
            family: found.family,
            families: found.families,
        };
        Lanes::of(devices, Carrier::Native(native), report)
    }

    /// Rung 1 over a Vulkan device whose functions are replaced: `hook` gets the device that was made and gives the table to
    /// use. With it, a device of one queue can be given as many as a test wants.
    ///
    /// # Errors
    /// The device cannot be made.
    ///
    /// # Safety
    /// The functions of the table do what Vulkan says, `vkGetDeviceQueue` for `queues` queue indices.
    #[doc(hidden)]
    #[cfg(all(feature = "multi-queue", not(target_vendor = "apple")))]
    pub unsafe fn open_through(
        adapter: &wgpu::Adapter,
        desc: &wgpu::DeviceDescriptor,
        queues: usize,
        hook: &dyn Fn(&ash::Instance, ash::Device) -> ash::Device,
    ) -> Result<Lanes> {
        let found = find(adapter);
        let opened = super::vulkan::open(adapter, desc, queues, &found, hook)?;
        Ok(Lanes::natively(opened, "the function table was replaced".into(), 0, found))
    }
}

/// An ordinary wgpu device.
pub(super) fn request(adapter: &wgpu::Adapter, desc: &wgpu::DeviceDescriptor) -> Result<(wgpu::Device, wgpu::Queue)> {
    let name = adapter.get_info().name;
    pollster::block_on(adapter.request_device(desc))
        .map_err(|e| Error::Device(format!("the adapter \"{name}\" cannot be opened: {e}")))
}
