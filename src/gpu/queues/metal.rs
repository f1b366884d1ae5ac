//! Rung 1 on Metal: every wgpu device of an adapter has a command queue of its own on the one `MTLDevice`; shared events order
//! them.
//!
//! Written against the documented interface and type-checked; not run on a Mac yet.

use super::lane::Lane;
use super::native::{Native, Opened};
use super::open::request;
use super::reaper::Reaper;
use super::shared::out_of_memory;
use crate::error::{Error, Result};
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_metal::{MTLDevice, MTLResourceOptions, MTLSharedEvent};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wgpu_hal as hal;

type Mtl = hal::api::Metal;

/// How long the work before a failed submission may take before its value is given up.
const RELEASE: Duration = Duration::from_secs(10);

fn not_metal() -> Error {
    Error::Device("a lane is not Metal's".into())
}

/// # Errors
/// A device cannot be opened, or no event can be made.
pub(super) fn open(adapter: &wgpu::Adapter, desc: &wgpu::DeviceDescriptor, n: usize) -> Result<Opened> {
    let devices = (0..n).map(|_| request(adapter, desc)).collect::<Result<Vec<_>>>()?;
    let mut events = Vec::with_capacity(n);
    for (device, queue) in &devices {
        // SAFETY: nothing is destroyed through the guards.
        let (device, queue) = unsafe { (device.as_hal::<Mtl>(), queue.as_hal::<Mtl>()) };
        let (Some(device), Some(queue)) = (device, queue) else { return Err(not_metal()) };
        // Without it a wait does not hold back command buffers that share no tracked resource.
        queue.enable_strict_event_sync().map_err(|e| Error::Device(e.to_string()))?;
        let event = device.raw_device().newSharedEvent();
        events.push(event.ok_or_else(|| Error::Device("Metal made no shared event".into()))?);
    }
    Ok(Opened { devices, native: Box::new(Metal { events }) })
}

/// An event per lane that counts its submissions.
struct Metal {
    events: Vec<Retained<ProtocolObject<dyn MTLSharedEvent>>>,
}

// SAFETY: shared events are made to be signalled and waited for from any thread; they are reference-counted atomically.
unsafe impl Send for Metal {}
// SAFETY: as above.
unsafe impl Sync for Metal {}

impl fmt::Debug for Metal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metal").field("lanes", &self.events.len()).finish()
    }
}

impl Native for Metal {
    fn alloc(&self, lanes: &[Lane], desc: &wgpu::BufferDescriptor, _: &Arc<Reaper>) -> Result<Vec<wgpu::Buffer>> {
        let [first, ..] = lanes else { return Ok(Vec::new()) };
        let memory = {
            // SAFETY: nothing is destroyed through the guard.
            let device = unsafe { first.device.as_hal::<Mtl>() }.ok_or_else(not_metal)?;
            let options = MTLResourceOptions::StorageModePrivate;
            device.raw_device().newBufferWithLength_options(desc.size as usize, options)
        };
        let memory = memory.ok_or_else(|| out_of_memory(desc.size))?;
        // Every import holds a reference to the memory: no owner, nothing for the reaper.
        let import = |lane: &Lane| {
            // SAFETY: the memory is of the one Metal device that all lanes are around, of this size, and not mapped; it is
            // cleared by the lanes before anybody else gets it.
            unsafe {
                let alias = hal::metal::Device::buffer_from_raw(memory.clone(), desc.size);
                lane.device.create_buffer_from_hal::<Mtl>(alias, desc)
            }
        };
        Ok(lanes.iter().map(import).collect())
    }

    fn stage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)], value: u64) -> Result<()> {
        // SAFETY: nothing is destroyed through the guard.
        let queue = unsafe { lanes[lane].queue.as_hal::<Mtl>() }.ok_or_else(not_metal)?;
        waits.iter().for_each(|&(other, value)| queue.add_wait_event(self.events[other].clone(), value));
        queue.add_signal_event(self.events[lane].clone(), value);
        Ok(())
    }

    fn unstage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)]) -> bool {
        // SAFETY: nothing is destroyed through the guard.
        let Some(queue) = (unsafe { lanes[lane].queue.as_hal::<Mtl>() }) else { return true };
        let left = queue.remove_signal_event(&self.events[lane]);
        if left {
            for &(other, _) in waits {
                queue.remove_wait_event(&self.events[other]);
            }
        }
        left
    }

    fn release(&self, lane: usize, value: u64) {
        let event = &self.events[lane];
        match event.waitUntilSignaledValue_timeoutMS(value - 1, RELEASE.as_millis() as u64) {
            true => event.setSignaledValue(value),
            false => tracing::error!("the value {value} of lane {lane} could not be signalled"),
        }
    }

    // In strict mode a command buffer learns what it waits for when its encoding begins, which wgpu does in `finish`.
    fn finishes_under_lock(&self) -> bool {
        true
    }
}
