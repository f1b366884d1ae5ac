//! Rung 1 on DX12: every wgpu device of an adapter has a command queue of its own on the one `ID3D12Device`; fences order them.
//!
//! Written against the documented interface and type-checked; not run on Windows yet.

use super::lane::Lane;
use super::native::{Native, Opened};
use super::open::request;
use super::reaper::Reaper;
use super::shared::out_of_memory;
use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wgpu_hal as hal;
use windows::Win32::Graphics::Direct3D12::{
    D3D12_FENCE_FLAG_NONE, D3D12_HEAP_FLAG_NONE, D3D12_HEAP_PROPERTIES, D3D12_HEAP_TYPE_DEFAULT, D3D12_RESOURCE_DESC,
    D3D12_RESOURCE_DIMENSION_BUFFER, D3D12_RESOURCE_FLAG_ALLOW_UNORDERED_ACCESS, D3D12_RESOURCE_STATE_COMMON,
    D3D12_TEXTURE_LAYOUT_ROW_MAJOR, ID3D12Fence, ID3D12Resource,
};
use windows::Win32::Graphics::Dxgi::Common::DXGI_SAMPLE_DESC;

type Dx = hal::api::Dx12;

/// How long the work before a failed submission may take before its value is given up.
const RELEASE: Duration = Duration::from_secs(10);

fn not_dx12() -> Error {
    Error::Device("a lane is not DX12's".into())
}

/// # Errors
/// A device cannot be opened, or no fence can be made.
pub(super) fn open(adapter: &wgpu::Adapter, desc: &wgpu::DeviceDescriptor, n: usize) -> Result<Opened> {
    let devices = (0..n).map(|_| request(adapter, desc)).collect::<Result<Vec<_>>>()?;
    let fence = |device: &wgpu::Device| {
        // SAFETY: nothing is destroyed through the guard.
        let device = unsafe { device.as_hal::<Dx>() }.ok_or_else(not_dx12)?;
        // SAFETY: the device is live while the guard is held.
        unsafe { device.raw_device().CreateFence::<ID3D12Fence>(0, D3D12_FENCE_FLAG_NONE) }
            .map_err(|e| Error::Device(format!("no fence between queues could be made: {e}")))
    };
    let fences = devices.iter().map(|(device, _)| fence(device)).collect::<Result<Vec<_>>>()?;
    Ok(Opened { devices, native: Box::new(Dx12 { fences }) })
}

/// A fence per lane that counts its submissions.
struct Dx12 {
    fences: Vec<ID3D12Fence>,
}

// SAFETY: D3D12 fences may be used from any thread, and COM counts their references atomically.
unsafe impl Send for Dx12 {}
// SAFETY: as above.
unsafe impl Sync for Dx12 {}

impl fmt::Debug for Dx12 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dx12").field("lanes", &self.fences.len()).finish()
    }
}

impl Native for Dx12 {
    /// Whether a resource may be an unordered access view of two queues at once has not been seen on a machine yet.
    fn writes_together(&self) -> bool {
        false
    }

    fn alloc(&self, lanes: &[Lane], desc: &wgpu::BufferDescriptor, _: &Arc<Reaper>) -> Result<Vec<wgpu::Buffer>> {
        let [first, ..] = lanes else { return Ok(Vec::new()) };
        // A resource with memory of its own. hal would take a part of a heap of lane 0, and give the part to somebody else while
        // another lane still uses it.
        let heap = D3D12_HEAP_PROPERTIES { Type: D3D12_HEAP_TYPE_DEFAULT, ..Default::default() };
        let resource = D3D12_RESOURCE_DESC {
            Dimension: D3D12_RESOURCE_DIMENSION_BUFFER,
            // Uniform bindings are whole blocks of 256.
            Width: desc.size.next_multiple_of(256),
            Height: 1,
            DepthOrArraySize: 1,
            MipLevels: 1,
            SampleDesc: DXGI_SAMPLE_DESC { Count: 1, Quality: 0 },
            Layout: D3D12_TEXTURE_LAYOUT_ROW_MAJOR,
            Flags: D3D12_RESOURCE_FLAG_ALLOW_UNORDERED_ACCESS,
            ..Default::default()
        };
        let mut memory: Option<ID3D12Resource> = None;
        {
            // SAFETY: nothing is destroyed through the guard.
            let device = unsafe { first.device.as_hal::<Dx>() }.ok_or_else(not_dx12)?;
            // SAFETY: the device is live while the guard is held, and the descriptions live until the call returns.
            let made = unsafe {
                device.raw_device().CreateCommittedResource(
                    &heap,
                    D3D12_HEAP_FLAG_NONE,
                    &resource,
                    D3D12_RESOURCE_STATE_COMMON,
                    None,
                    &mut memory,
                )
            };
            made.map_err(|_| out_of_memory(desc.size))?;
        }
        let memory = memory.ok_or_else(|| out_of_memory(desc.size))?;
        // Every import holds a reference to the memory: no owner, nothing for the reaper.
        let import = |lane: &Lane| {
            // SAFETY: the memory is of the one D3D12 device that all lanes are around and is as `desc` says; it is cleared by
            // the lanes before anybody else gets it.
            unsafe {
                let alias = hal::dx12::Device::buffer_from_raw(memory.clone(), desc.size);
                lane.device.create_buffer_from_hal::<Dx>(alias, desc)
            }
        };
        Ok(lanes.iter().map(import).collect())
    }

    fn stage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)], value: u64) -> Result<()> {
        // SAFETY: nothing is destroyed through the guard.
        let queue = unsafe { lanes[lane].queue.as_hal::<Dx>() }.ok_or_else(not_dx12)?;
        waits.iter().for_each(|&(other, value)| queue.add_wait_fence(self.fences[other].clone(), value));
        queue.add_signal_fence(self.fences[lane].clone(), value);
        Ok(())
    }

    fn unstage(&self, lanes: &[Lane], lane: usize, waits: &[(usize, u64)]) -> bool {
        // SAFETY: nothing is destroyed through the guard.
        let Some(queue) = (unsafe { lanes[lane].queue.as_hal::<Dx>() }) else { return true };
        let left = queue.remove_signal_fence(&self.fences[lane]);
        if left {
            for &(other, _) in waits {
                queue.remove_wait_fence(&self.fences[other]);
            }
        }
        left
    }

    fn release(&self, lane: usize, value: u64) {
        let (fence, start) = (&self.fences[lane], Instant::now());
        // SAFETY: the fence is live. Nothing will signal `value`, whose submission was not made.
        unsafe {
            while fence.GetCompletedValue() < value - 1 && start.elapsed() < RELEASE {
                std::thread::sleep(Duration::from_millis(1));
            }
            if fence.GetCompletedValue() < value - 1 || fence.Signal(value).is_err() {
                tracing::error!("the value {value} of lane {lane} could not be signalled");
            }
        }
    }
}
