//! Which adapters there are, and which one is meant.

use super::queues::{QueuesReport, outlook};
use super::tuned::measured;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Which adapter to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice<'a> {
    /// A hardware GPU.
    Hardware,
    /// A hardware GPU, else a software adapter; `LINOPS_ADAPTER` overrides this with a part of a name.
    Any,
    /// The first adapter whose label (see [`AdapterReport::label`]) contains this, ignoring case; with `#2` behind it the second
    /// such one.
    Named(&'a str),
    /// A software adapter.
    Software,
}

/// What is known of an adapter without opening it.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct AdapterReport {
    /// The adapter's name.
    pub name: String,
    /// What `gpu:NAME` matches a part of: name and backend, as "NVIDIA L4 (vulkan)", and `#2` on the second of equal ones.
    pub label: String,
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
    labelled().into_iter().map(|(label, adapter)| report(label, adapter)).collect()
}

/// All adapters with labels that tell them apart.
fn labelled() -> Vec<(String, &'static wgpu::Adapter)> {
    let infos: Vec<wgpu::AdapterInfo> = all().iter().map(wgpu::Adapter::get_info).collect();
    labels(infos.iter().map(|i| format!("{} ({})", i.name, i.backend))).into_iter().zip(all()).collect()
}

/// Equal names get a number from the second one on.
fn labels(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    names
        .map(|name| {
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            if *count == 1 { name } else { format!("{name} #{count}") }
        })
        .collect()
}

/// The index of the adapter that a part of a label means: the n-th one that contains it, for `part#n`.
fn named(labels: &[String], part: &str) -> Option<usize> {
    let (text, nth) = match part.rsplit_once('#') {
        Some((text, n)) if n.parse::<usize>().is_ok_and(|n| n > 0) => (text.trim_end(), n.parse().unwrap_or(1)),
        _ => (part, 1),
    };
    let text = text.to_lowercase();
    let matches = labels.iter().enumerate().filter(|(_, l)| l.to_lowercase().contains(&text));
    matches.map(|(at, _)| at).nth(nth - 1)
}

fn report(label: String, adapter: &wgpu::Adapter) -> AdapterReport {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let of_interest = [
        ("timestamp queries", wgpu::Features::TIMESTAMP_QUERY),
        ("subgroups", wgpu::Features::SUBGROUP),
        ("f16", wgpu::Features::SHADER_F16),
        ("pipeline cache", wgpu::Features::PIPELINE_CACHE),
    ];
    AdapterReport {
        name: info.name,
        label,
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
        queues: outlook(adapter, measured(&adapter.get_info(), None)),
    }
}

/// An adapter that was asked for.
pub(super) struct Found {
    /// Its place among all, which tells it from equal ones.
    pub index: usize,
    /// Its name; its label where others have the same name.
    pub label: String,
    pub adapter: wgpu::Adapter,
}

/// The adapter at a place among all: what opens one again, as names may be parts of others.
///
/// # Errors
/// There is none.
pub(super) fn at(index: usize) -> Result<Found> {
    let names = || all().iter().map(|a| a.get_info().name);
    let labels: Vec<String> = labelled().into_iter().map(|(label, _)| label).collect();
    let adapter = all().get(index).ok_or_else(|| Error::Device(format!("there is no adapter {index} any more")))?;
    Ok(Found { index, label: called(&names().collect::<Vec<_>>(), &labels, index), adapter: adapter.clone() })
}

/// What a device on an adapter is called: its name, or its label where others have the same name.
fn called(names: &[String], labels: &[String], index: usize) -> String {
    let alone = names.iter().filter(|n| **n == names[index]).count() == 1;
    if alone { names[index].clone() } else { labels[index].clone() }
}

/// The adapter that is meant.
///
/// # Errors
/// There is none; the message lists those there are.
pub(super) fn find(choice: Choice) -> Result<Found> {
    let override_name = std::env::var("LINOPS_ADAPTER").ok().filter(|n| !n.is_empty());
    let choice = match (&override_name, choice) {
        (Some(name), Choice::Any | Choice::Hardware) => Choice::Named(name),
        (_, other) => other,
    };
    let all = all();
    let labels: Vec<String> = labelled().into_iter().map(|(label, _)| label).collect();
    let is_software = |a: &wgpu::Adapter| a.get_info().device_type == wgpu::DeviceType::Cpu;
    let names = labels.iter().map(|l| format!("\"{l}\"")).collect::<Vec<_>>().join(", ");
    let found = match choice {
        Choice::Any => (!all.is_empty()).then_some(0),
        Choice::Hardware => all.iter().position(|a| !is_software(a)),
        Choice::Software => all.iter().position(is_software),
        Choice::Named(part) => named(&labels, part),
    };
    if let Some(index) = found {
        return at(index);
    }
    let install = "install a Vulkan driver: for your GPU from its vendor or Mesa, or for software rendering \
                   `apt-get install mesa-vulkan-drivers libvulkan1`; or use the host";
    Err(Error::Device(match choice {
        Choice::Named(part) if !names.is_empty() => format!("no adapter is called \"{part}\"; there are {names}"),
        Choice::Hardware if !names.is_empty() => {
            format!("no hardware GPU, only {names}; ask for it by name, or use the host")
        }
        Choice::Software if !names.is_empty() => format!("no software adapter, only {names}; {install}"),
        _ => format!("no GPU adapter was found; {install}"),
    }))
}

/// The wgpu adapter that is meant: to open a device of your own on, for [`Device::from_wgpu`](crate::Device::from_wgpu).
///
/// # Errors
/// There is none; the message lists those there are.
pub fn adapter(choice: Choice) -> Result<wgpu::Adapter> {
    Ok(find(choice)?.adapter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device is called may be a part of another's name, so it is opened again by its place.
    #[test]
    fn a_name_may_be_a_part_of_another() {
        let names = ["NVIDIA L40S".to_string(), "NVIDIA L4".to_string()];
        let labels = labels(names.iter().map(|n| format!("{n} (vulkan)")));
        let name = called(&names, &labels, 1);
        assert_eq!((&name[..], named(&labels, &name)), ("NVIDIA L4", Some(0)));
    }

    #[test]
    fn equal_adapters_are_told_apart() {
        let names = ["L4 (vulkan)", "L4 (vulkan)", "L4 (dx12)", "llvmpipe (vulkan)"];
        let labels = labels(names.iter().map(|n| n.to_string()));
        assert_eq!(labels, ["L4 (vulkan)", "L4 (vulkan) #2", "L4 (dx12)", "llvmpipe (vulkan)"]);
        let at = |part| named(&labels, part);
        assert_eq!(
            [at("l4"), at("L4#1"), at("L4#2"), at("L4 #3"), at("L4#4")],
            [Some(0), Some(0), Some(1), Some(2), None]
        );
        assert_eq!(
            [at("L4 (vulkan)#2"), at("dx12"), at("llvm"), at("#2"), at("amd")],
            [Some(1), Some(2), Some(3), Some(1), None]
        );
    }
}
