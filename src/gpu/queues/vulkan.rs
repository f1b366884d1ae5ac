//! Rung 1 on Vulkan: one native device, a wgpu device around each of its queues, timeline semaphores between them.

use super::lane::Lane;
use super::native::{Native, Opened};
use super::reaper::Reaper;
use super::report::{Found, QueueFamily};
use super::shared::out_of_memory;
use crate::error::{Error, Result};
use ash::vk;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wgpu_hal as hal;

type Vk = hal::api::Vulkan;

/// The family that wgpu itself takes its queue from. Its barriers name graphics stages, which only such a family may be given.
const FAMILY: u32 = 0;

/// How long the work before a failed submission may take before its value is given up.
const RELEASE: Duration = Duration::from_secs(10);

/// Gives the function table to use for a new device.
pub(super) type Hook<'a> = &'a dyn Fn(&ash::Instance, ash::Device) -> ash::Device;

/// The queue families of an adapter, and how many queues of wgpu's family are there with what orders them.
pub(super) fn find(adapter: &wgpu::Adapter) -> Found {
    // SAFETY: nothing is destroyed through the guard, which is dropped at the end.
    let Some(hal_adapter) = (unsafe { adapter.as_hal::<Vk>() }) else {
        return Found { queues: Some(1), reason: "the adapter is not Vulkan's".into(), ..Found::default() };
    };
    let shared = hal_adapter.shared_instance();
    let (instance, physical) = (shared.raw_instance(), hal_adapter.raw_physical_device());
    // SAFETY: the physical device is the adapter's own and lives as long as its instance, which the guard holds.
    let properties = unsafe { instance.get_physical_device_queue_family_properties(physical) };
    let named = [
        (vk::QueueFlags::GRAPHICS, "graphics"),
        (vk::QueueFlags::COMPUTE, "compute"),
        (vk::QueueFlags::TRANSFER, "transfer"),
        (vk::QueueFlags::SPARSE_BINDING, "sparse binding"),
    ];
    let family = |p: &vk::QueueFamilyProperties| QueueFamily {
        flags: named.iter().filter(|(f, _)| p.queue_flags.contains(*f)).map(|(_, n)| *n).collect(),
        queues: p.queue_count,
    };
    let families: Vec<QueueFamily> = properties.iter().map(family).collect();
    let mut found = Found { families, family: Some(FAMILY), queues: Some(1), reason: String::new() };
    let of_wgpu = properties.get(FAMILY as usize).copied().unwrap_or_default();
    // SAFETY: as above.
    let version = unsafe { instance.get_physical_device_properties(physical) }.api_version;
    // The functions of timeline semaphores are in the table of a 1.2 device under the names used here.
    let timeline = shared.instance_api_version() >= vk::API_VERSION_1_2 && version >= vk::API_VERSION_1_2 && {
        let mut timeline = vk::PhysicalDeviceTimelineSemaphoreFeatures::default();
        let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut timeline);
        // SAFETY: as above; instance and device are of Vulkan 1.2, which has this function and this structure.
        unsafe { instance.get_physical_device_features2(physical, &mut features) };
        timeline.timeline_semaphore == vk::TRUE
    };
    found.reason = if !of_wgpu.queue_flags.contains(vk::QueueFlags::COMPUTE) {
        format!("the adapter's family {FAMILY} does not compute")
    } else if of_wgpu.queue_count < 2 {
        format!("the adapter's family {FAMILY} has {} queue", of_wgpu.queue_count)
    } else if !timeline {
        "the driver has no timeline semaphores (Vulkan 1.2)".into()
    } else {
        found.queues = Some(of_wgpu.queue_count);
        format!("the adapter's family {FAMILY} has {} queues", of_wgpu.queue_count)
    };
    found
}

/// Makes the native device and a wgpu device around each of `n` queues.
///
/// # Errors
/// What is asked for is not there, or a call fails.
pub(super) fn open(
    adapter: &wgpu::Adapter,
    desc: &wgpu::DeviceDescriptor,
    n: usize,
    found: &Found,
    hook: Hook,
) -> Result<Opened> {
    let (features, limits) = (desc.required_features, &desc.required_limits);
    // wgpu checks this for devices of its own making only.
    if !adapter.features().contains(features) || !limits.check_limits(&adapter.limits()) {
        return Err(Error::Device("the adapter has not all features or limits that are asked for".into()));
    }
    // SAFETY: nothing is destroyed through the guard.
    let guard = unsafe { adapter.as_hal::<Vk>() };
    let hal_adapter = guard.ok_or_else(|| Error::Device("the adapter is not Vulkan's".into()))?;
    let instance = hal_adapter.shared_instance().raw_instance();
    let extensions = hal_adapter.required_device_extensions(features);
    let mut enabled = hal_adapter.physical_device_features(&extensions, features);
    let names: Vec<_> = extensions.iter().map(|e| e.as_ptr()).collect();
    // A test's table makes more queues of one.
    let there = found.families.get(FAMILY as usize).map_or(1, |f| f.queues as usize);
    let priorities = vec![1.0f32; n.min(there).max(1)];
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(FAMILY).queue_priorities(&priorities)];
    let info = vk::DeviceCreateInfo::default().queue_create_infos(&queues).enabled_extension_names(&names);
    let info = enabled.add_to_device_create(info);
    // SAFETY: the physical device is of this instance; extensions and features are those that the adapter says it has, the
    // family has so many queues, and everything that `info` points to lives until the call returns.
    let raw = unsafe { instance.create_device(hal_adapter.raw_physical_device(), &info, None) }.map_err(refused)?;
    let mut native = NativeDevice { raw: hook(instance, raw), done: Vec::new(), _adapter: adapter.clone() };
    for _ in 0..n {
        let mut kind =
            vk::SemaphoreTypeCreateInfo::default().semaphore_type(vk::SemaphoreType::TIMELINE).initial_value(0);
        let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
        // SAFETY: the device is live and has the feature: `find` saw it, and wgpu's features turn it on where it is there.
        native.done.push(unsafe { native.raw.create_semaphore(&info, None) }.map_err(refused)?);
    }
    let native = Arc::new(native);
    let lane = |index: usize| {
        let keep = native.clone();
        // SAFETY: the device was made above from this adapter with these extensions and features, and with this queue of this
        // family; each index is used once. The callback holds the device until wgpu has destroyed all that it made of it.
        let open = unsafe {
            hal_adapter.device_from_raw(
                native.raw.clone(),
                Some(Box::new(move || drop(keep))),
                &extensions,
                features,
                limits,
                &desc.memory_hints,
                FAMILY,
                index as u32,
            )
        }
        .map_err(|e| Error::Device(e.to_string()))?;
        // SAFETY: `open` was made from this adapter with the features and limits of `desc`.
        unsafe { adapter.create_device_from_hal(open, desc) }.map_err(|e| Error::Device(e.to_string()))
    };
    let devices = (0..n).map(lane).collect::<Result<Vec<_>>>()?;
    Ok(Opened { devices, native: Box::new(Vulkan(native)) })
}

fn refused(e: vk::Result) -> Error {
    Error::Device(format!("the driver refused a device of several queues: {e}"))
}

/// The one native device, and a semaphore per lane that counts its submissions.
struct NativeDevice {
    raw: ash::Device,
    done: Vec<vk::Semaphore>,
    /// Keeps the instance.
    _adapter: wgpu::Adapter,
}

impl Drop for NativeDevice {
    fn drop(&mut self) {
        // SAFETY: every lane's wgpu device holds this until it has destroyed what it made, after its queue was idle; so this is
        // the last to use the device, and runs once. The semaphores are its own.
        unsafe {
            self.done.iter().for_each(|s| self.raw.destroy_semaphore(*s, None));
            self.raw.destroy_device(None);
        }
    }
}

impl fmt::Debug for NativeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeDevice").field("lanes", &self.done.len()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Vulkan(Arc<NativeDevice>);

fn not_vulkan() -> Error {
    Error::Device("a lane is not Vulkan's".into())
}

impl Native for Vulkan {
    fn alloc(&self, lanes: &[Lane], desc: &wgpu::BufferDescriptor, reaper: &Arc<Reaper>) -> Result<Vec<wgpu::Buffer>> {
        let [first, others @ ..] = lanes else { return Ok(Vec::new()) };
        let native = hal::BufferDescriptor {
            label: desc.label,
            size: desc.size,
            usage: native_usage(desc.usage),
            memory_flags: hal::MemoryFlags::empty(),
        };
        let made = {
            // SAFETY: nothing is destroyed through the guard, which is dropped before the device is used otherwise.
            let device = unsafe { first.device.as_hal::<Vk>() }.ok_or_else(not_vulkan)?;
            // SAFETY: the size is not 0 and within the device's limits (`alloc` of the lanes sees to it), usages are plain.
            unsafe { hal::Device::create_buffer(&*device, &native) }
        };
        let made = made.map_err(|e| match e {
            hal::DeviceError::OutOfMemory => out_of_memory(desc.size),
            other => Error::Device(format!("the device reported: {other}")),
        })?;
        // SAFETY: the handle is not destroyed through this copy; aliases made of it destroy nothing.
        let handle = unsafe { made.raw_handle() };
        // SAFETY: made by this very device, as `desc` says. "Initialised" is kept by the lanes, which clear it before anybody
        // else gets it.
        let owner = unsafe { first.device.create_buffer_from_hal::<Vk>(made, desc) };
        let mut all = vec![owner.clone()];
        for lane in others {
            let (keep, reaper) = (owner.clone(), reaper.clone());
            // SAFETY: the owner lives in the callback until wgpu has dropped the alias, which is after the lane's last use.
            let alias =
                unsafe { hal::vulkan::Buffer::from_raw_externally_owned(handle, Box::new(move || reaper.put(keep))) };
            // SAFETY: the handle is of the one native device that all lanes are around, and is as `desc` says.
            all.push(unsafe { lane.device.create_buffer_from_hal::<Vk>(alias, desc) });
        }
        Ok(all)
    }

    fn stage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)], value: u64) -> Result<()> {
        // SAFETY: nothing is destroyed through the guard.
        let queue = unsafe { lanes[lane].queue.as_hal::<Vk>() }.ok_or_else(not_vulkan)?;
        for &(other, value) in waits {
            queue.add_wait_semaphore(self.0.done[other], Some(value), vk::PipelineStageFlags::ALL_COMMANDS);
        }
        queue.add_signal_semaphore(self.0.done[lane], Some(value));
        Ok(())
    }

    fn unstage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)]) -> bool {
        // SAFETY: nothing is destroyed through the guard.
        let Some(queue) = (unsafe { lanes[lane].queue.as_hal::<Vk>() }) else { return true };
        let left = queue.remove_signal_semaphore(self.0.done[lane]);
        if left {
            for &(other, _) in waits {
                queue.remove_wait_semaphore(self.0.done[other]);
            }
        }
        left
    }

    fn release(&self, lane: usize, value: u64) {
        let (raw, done) = (&self.0.raw, self.0.done[lane]);
        let before = [value - 1];
        let semaphores = [done];
        let wait = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&before);
        // SAFETY: the device and its semaphore are live. Nothing will signal `value`, whose submission was not made, and what
        // comes before is done, so that it is above the current value and below no pending one.
        let released = unsafe {
            raw.wait_semaphores(&wait, RELEASE.as_nanos() as u64)
                .and_then(|()| raw.signal_semaphore(&vk::SemaphoreSignalInfo::default().semaphore(done).value(value)))
        };
        if let Err(e) = released {
            tracing::error!("the value {value} of lane {lane} could not be signalled: {e}");
        }
    }
}

/// What hal is told of the usages that shared buffers have.
fn native_usage(usage: wgpu::BufferUsages) -> wgpu::BufferUses {
    let pairs = [
        (wgpu::BufferUsages::STORAGE, wgpu::BufferUses::STORAGE_READ_ONLY | wgpu::BufferUses::STORAGE_READ_WRITE),
        (wgpu::BufferUsages::UNIFORM, wgpu::BufferUses::UNIFORM),
        (wgpu::BufferUsages::COPY_SRC, wgpu::BufferUses::COPY_SRC),
        (wgpu::BufferUsages::COPY_DST, wgpu::BufferUses::COPY_DST),
        (wgpu::BufferUsages::INDIRECT, wgpu::BufferUses::INDIRECT),
        (wgpu::BufferUsages::QUERY_RESOLVE, wgpu::BufferUses::QUERY_RESOLVE),
    ];
    pairs.iter().filter(|(u, _)| usage.contains(*u)).fold(wgpu::BufferUses::empty(), |all, (_, u)| all | *u)
}
