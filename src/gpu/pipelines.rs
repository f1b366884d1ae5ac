//! Compute pipelines by kernel text, compiled once for each device.

use super::faults::from_wgpu;
use crate::error::{Error, Result};
use crate::shader::{Slot, validate};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A pipeline and its layout.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    pub bindings: Vec<(u32, Slot)>,
}

#[derive(Debug, Default)]
pub(super) struct Pipelines {
    by_text: Mutex<HashMap<String, Arc<Pipeline>>>,
    checked: bool,
}

impl Pipelines {
    /// With `checked`, kernels keep the runtime checks of untrusted ones.
    pub fn new(checked: bool) -> Pipelines {
        Pipelines { by_text: Mutex::default(), checked }
    }

    /// How many were compiled.
    pub fn len(&self) -> usize {
        self.by_text.lock().unwrap_or_else(|e| e.into_inner()).len()
    }

    pub fn get(&self, device: &wgpu::Device, name: &str, text: &str) -> Result<Arc<Pipeline>> {
        // Held while compiling: two plans that want the same kernel compile it once.
        let mut by_text = self.by_text.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(p) = by_text.get(text) {
            return Ok(p.clone());
        }
        let p = Arc::new(self.compile(device, name, text)?);
        by_text.insert(text.to_string(), p.clone());
        Ok(p)
    }

    fn compile(&self, device: &wgpu::Device, name: &str, text: &str) -> Result<Pipeline> {
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
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let desc = wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(text.into()) };
        let module = if self.checked {
            device.create_shader_module(desc)
        } else {
            // SAFETY: the text is assembled by our own `shader` room, never by a user. Every index it forms is inside the
            // bound stretch: linear indices are tested against the dispatch's count, fused reads against their validity and
            // window before the access, workgroup memory is indexed below its declared length, and every loop is bounded by a
            // parameter. The tests run the same kernels with the checks on and compare the results bit for bit.
            unsafe { device.create_shader_module_trusted(desc, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                // Our kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: self.checked,
            },
            cache: None,
        });
        match pollster::block_on(scope.pop()) {
            None => Ok(Pipeline { pipeline, layout, bindings: reflected.bindings }),
            Some(e) => Err(Error::Shader { kernel: name.to_string(), message: from_wgpu(e).to_string() }),
        }
    }
}
