//! Compute pipelines by kernel text, compiled once for each device.

use super::driver_cache::DriverCache;
use super::faults::checked;
use crate::error::{Error, Result};
use crate::kept::{Booking, Kept, Ledger};
use crate::shader::{Slot, validate};
use lru::LruCache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A pipeline and its layout.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    pub bindings: Vec<(u32, Slot)>,
    _bytes: Booking,
}

/// Bytes that a driver keeps for a kernel, roughly: nobody can ask. Lavapipe takes some 0.4 MB for the kernels of a transform.
const BYTES: u64 = 128 << 10;

/// Pipelines by kernel text. Only structure is in a text, so a program that runs for long comes to an end of new ones; those
/// that were not asked for lately are given up all the same, once no plan uses them.
#[derive(Debug)]
pub(super) struct Pipelines {
    by_text: Mutex<LruCache<Key, Arc<Place>>>,
    checked: bool,
    ledger: Ledger,
    /// What the driver keeps between processes.
    on_disk: Option<Arc<DriverCache>>,
}

/// A text, and whether it is a user's own: such a one is never trusted, even if it is letter by letter one of ours.
type Key = (String, bool);

/// Where a pipeline stands once it is compiled. Who compiles it holds the lock, so that others wait for it instead of
/// compiling it again; other kernels are compiled meanwhile.
type Place = Mutex<Option<Arc<Pipeline>>>;

/// Pipelines that are kept although no plan uses them, at most.
const KEPT: usize = 512;

impl Pipelines {
    /// With `checked`, kernels keep the runtime checks of untrusted ones.
    pub fn new(checked: bool, ledger: Ledger, on_disk: Option<Arc<DriverCache>>) -> Pipelines {
        Pipelines { by_text: Mutex::new(LruCache::unbounded()), checked, ledger, on_disk }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    pub fn get(&self, device: &wgpu::Device, name: &str, text: &str, own: bool) -> Result<Arc<Pipeline>> {
        let key = (text.to_string(), own);
        let place = {
            let mut all = self.all();
            match all.get(&key) {
                Some(place) => place.clone(),
                None => {
                    let place = Arc::default();
                    all.put(key, Arc::clone(&place));
                    place
                }
            }
        };
        let mut there = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = &*there {
            return Ok(pipeline.clone());
        }
        let pipeline = Arc::new(self.compile(device, name, text, own)?);
        *there = Some(pipeline.clone());
        drop(there);
        while self.len() > KEPT && self.give_up() {}
        Ok(pipeline)
    }

    /// Gives up the pipeline that was asked for longest ago among those that no plan uses; whether there was one.
    pub fn give_up(&self) -> bool {
        let mut all = self.all();
        for _ in 0..all.len() {
            let Some((text, place)) = all.pop_lru() else { break };
            let used = match place.try_lock() {
                Ok(there) => there.as_ref().is_some_and(|p| Arc::strong_count(p) > 1),
                Err(_) => true,
            };
            if !used {
                // Dropped with nothing locked.
                drop(all);
                drop(place);
                return true;
            }
            all.put(text, place);
        }
        false
    }

    fn all(&self) -> MutexGuard<'_, LruCache<Key, Arc<Place>>> {
        self.by_text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn compile(&self, device: &wgpu::Device, name: &str, text: &str, own: bool) -> Result<Pipeline> {
        let reflected = validate(name, text)?;
        let label = format!("linops.{name}");
        let entries: Vec<wgpu::BindGroupLayoutEntry> = reflected
            .bindings
            .iter()
            .map(|&(binding, slot)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match slot {
                        Slot::Uniform => wgpu::BufferBindingType::Uniform,
                        Slot::Read => wgpu::BufferBindingType::Storage { read_only: true },
                        Slot::Write => wgpu::BufferBindingType::Storage { read_only: false },
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let checked_kernel = self.checked || own;
        let on_disk = self.on_disk.as_deref();
        let make = || make(device, &label, text, &entries, checked_kernel, on_disk.map(DriverCache::get));
        match checked(device, make) {
            Ok((pipeline, layout)) => {
                on_disk.inspect(|c| c.note());
                let bytes = self.ledger.book(BYTES + text.len() as u64);
                Ok(Pipeline { pipeline, layout, bindings: reflected.bindings, _bytes: bytes })
            }
            Err(Error::Device(message)) => Err(Error::Shader { kernel: name.to_string(), message }),
            Err(e) => Err(e),
        }
    }
}

/// Compiles a kernel, with the runtime checks of untrusted ones or without.
fn make(
    device: &wgpu::Device,
    label: &str,
    text: &str,
    entries: &[wgpu::BindGroupLayoutEntry],
    checked: bool,
    cache: Option<&wgpu::PipelineCache>,
) -> (wgpu::ComputePipeline, wgpu::BindGroupLayout) {
    let label = Some(label);
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let desc = wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(text.into()) };
    let module = if checked {
        device.create_shader_module(desc)
    } else {
        // SAFETY: the text is assembled by our own rooms (`shader`, `vectors`, `elementwise`), never by a user (whose kernels are checked), or stands in `roof` as a whole. Every index it forms is inside the
        // bound stretch: linear indices are tested against the dispatch's count, fused reads against their validity and
        // window before the access, workgroup memory is indexed below its declared length, and every loop is bounded by a
        // parameter. The tests run the same kernels with the checks on and compare the results bit for bit.
        unsafe { device.create_shader_module_trusted(desc, wgpu::ShaderRuntimeChecks::unchecked()) }
    };
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &[],
            // Our kernels write workgroup memory before they read it.
            zero_initialize_workgroup_memory: checked,
        },
        cache,
    });
    (pipeline, layout)
}

/// A cache of the driver's, with what an earlier process had in its own.
pub(super) fn driver_cache(device: &wgpu::Device, data: Option<&Kept>) -> wgpu::PipelineCache {
    let label = Some("linops");
    let desc = wgpu::PipelineCacheDescriptor { label, data: data.map(Kept::bytes), fallback: true };
    // SAFETY: the data must be what `get_data` gave for such a device. `Kept` is only made of a file that `driver_cache.rs` has
    // written with what `get_data` gave: under a key of adapter, driver and version, with length and hash, which were compared
    // when it was read, so that it is neither cut off nor damaged nor another device's. The file is this user's own and nobody
    // else may write it; who can write it all the same can change this program too. Beyond that wgpu compares the identity that
    // the driver gives its caches, and with `fallback` begins an empty one where they differ.
    unsafe { device.create_pipeline_cache(&desc) }
}
