//! Which adapters there are, and which one is meant.

use super::queues::{QueuesReport, outlook};
use crate::error::{Error, Result};
use std::sync::OnceLock;

/// Which adapter to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// A hardware GPU.
    Hardware,
    /// A hardware GPU, else a software adapter; `LINOPS_ADAPTER` overrides this with a part of a name.
    Any,
    /// The first adapter whose name contains this, ignoring case.
    Named(&'a str),
    /// A software adapter.
    Software,
}

/// What is known of an adapter without opening it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AdapterReport {
    /// The name that `gpu:NAME` matches.
    pub name: String,
    /// Discrete, integrated, virtual, CPU.
    pub kind: String,
    /// Vulkan, Metal, DX12.
    pub backend: String,
    /// Driver.
    pub driver: String,
    /// Version and more of the driver.
    pub driver_info: String,
    /// Whether it runs on the CPU.
    pub software: bool,
    /// The limits that plans are made for.
    pub limits: Vec<(String, u64)>,
    /// Optional features of interest, as far as the adapter has them.
    pub features: Vec<String>,
    /// Its queues, and how lanes would be carried.
    pub queues: QueuesReport,
}

fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
        desc.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        // No validation layers by default: kernels are validated by naga and the tests.
        desc.flags = wgpu::InstanceFlags::empty().with_env();
        wgpu::Instance::new(desc)
    })
}

/// Hardware first: discrete, integrated, virtual, then software.
fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// All adapters, best first. Found once: drivers come and go with processes, and each search loads all of them.
pub(super) fn all() -> &'static [wgpu::Adapter] {
    static ALL: OnceLock<Vec<wgpu::Adapter>> = OnceLock::new();
    ALL.get_or_init(|| {
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let mut all = pollster::block_on(instance().enumerate_adapters(backends));
        all.sort_by_key(|a| rank(a.get_info().device_type));
        all
    })
}

/// The adapters of this machine, best first.
pub fn adapters() -> Vec<AdapterReport> {
    all().iter().map(report).collect()
}

fn report(adapter: &wgpu::Adapter) -> AdapterReport {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let of_interest = [
        ("timestamp queries", wgpu::Features::TIMESTAMP_QUERY),
        ("subgroups", wgpu::Features::SUBGROUP),
        ("f16", wgpu::Features::SHADER_F16),
        ("pipeline cache", wgpu::Features::PIPELINE_CACHE),
    ];
    AdapterReport {
        name: info.name,
        kind: format!("{:?}", info.device_type),
        backend: info.backend.to_string(),
        driver: info.driver,
        driver_info: info.driver_info,
        software: info.device_type == wgpu::DeviceType::Cpu,
        limits: vec![
            ("storage binding bytes".into(), limits.max_storage_buffer_binding_size),
            ("buffer bytes".into(), limits.max_buffer_size),
            ("storage buffers per kernel".into(), limits.max_storage_buffers_per_shader_stage.into()),
            ("workgroup memory bytes".into(), limits.max_compute_workgroup_storage_size.into()),
            ("invocations per workgroup".into(), limits.max_compute_invocations_per_workgroup.into()),
            ("workgroups per dimension".into(), limits.max_compute_workgroups_per_dimension.into()),
        ],
        features: of_interest.iter().filter(|(_, f)| features.contains(*f)).map(|(n, _)| n.to_string()).collect(),
        queues: outlook(adapter),
    }
}

/// The adapter that is meant: to open [`Lanes`](super::queues::Lanes) on.
///
/// # Errors
/// There is none; the message lists those there are.
pub fn adapter(choice: Choice) -> Result<wgpu::Adapter> {
    let override_name = std::env::var("LINOPS_ADAPTER").ok().filter(|n| !n.is_empty());
    let choice = match (&override_name, choice) {
        (Some(name), Choice::Any | Choice::Hardware) => Choice::Named(name),
        (_, other) => other,
    };
    let all = all();
    let is_software = |a: &wgpu::Adapter| a.get_info().device_type == wgpu::DeviceType::Cpu;
    let names = all.iter().map(|a| format!("\"{}\"", a.get_info().name)).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|a| match choice {
        Choice::Any => true,
        Choice::Hardware => !is_software(a),
        Choice::Software => is_software(a),
        Choice::Named(part) => a.get_info().name.to_lowercase().contains(&part.to_lowercase()),
    });
    found.cloned().ok_or_else(|| {
        let install = "install a Vulkan driver: for your GPU from its vendor or Mesa, or for software rendering \
                       `apt-get install mesa-vulkan-drivers libvulkan1`; or use the host";
        Error::Device(match choice {
            Choice::Named(part) if !names.is_empty() => format!("no adapter is called \"{part}\"; there are {names}"),
            Choice::Hardware if !names.is_empty() => {
                format!("no hardware GPU, only {names}; ask for it by name, or use the host")
            }
            Choice::Software if !names.is_empty() => format!("no software adapter, only {names}; {install}"),
            _ => format!("no GPU adapter was found; {install}"),
        })
    })
}
