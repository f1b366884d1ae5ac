//! What a user is told about queues: of an adapter before it is opened, and of opened lanes.

use super::open::LaneOptions;
use serde::Serialize;

/// What carries the lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rung {
    /// Several queues of one GPU over shared buffers.
    HardwareQueues,
    /// One queue.
    OneQueue,
    /// Several devices, data through the host.
    Devices,
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Rung::HardwareQueues => "hardware queues",
            Rung::OneQueue => "one queue",
            Rung::Devices => "several devices",
        })
    }
}

/// A family of alike queues of an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueueFamily {
    /// What its queues can do: graphics, compute, transfer, sparse binding.
    pub flags: Vec<&'static str>,
    /// How many queues it has.
    pub queues: u32,
}

/// Opened lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LanesReport {
    /// What carries them.
    pub rung: Rung,
    /// Why it is that rung, and so many queues.
    pub reason: String,
    /// Queues in use.
    pub queues: usize,
    /// The family of these queues, where known (Vulkan).
    pub family: Option<u32>,
    /// All families of the adapter in their order, where known (Vulkan).
    pub families: Vec<QueueFamily>,
}

/// The queues of an adapter that is not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QueuesReport {
    /// The rung that a device is opened on now.
    pub rung: Rung,
    /// Why.
    pub reason: String,
    /// How many queues rung 1 could use; 1: there is no rung 1; None: as many as are asked for.
    pub hardware_queues: Option<u32>,
    /// Why so many.
    pub hardware_reason: String,
    /// The family that wgpu takes its queue from, where known (Vulkan).
    pub family: Option<u32>,
    /// All families in their order, where known (Vulkan).
    pub families: Vec<QueueFamily>,
}

/// What a lane has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneCounts {
    /// Submissions.
    pub submits: u64,
    /// Command buffers in them.
    pub commands: u64,
    /// Waits for other lanes that its submissions carried.
    pub waits: u64,
}

/// More queues than this are not opened: each costs its own pipelines and bind groups.
const MOST: u32 = 16;

/// What an adapter gives of the queues that were asked for, and why.
pub(super) enum Granted {
    One { reason: String },
    Several { queues: u32, reason: String },
}

impl Found {
    /// Rung 1 with so many queues, or rung 2, before anything is opened.
    pub fn granted(&self, asked: Option<u32>) -> Granted {
        match asked {
            None => Granted::One { reason: "several queues were not asked for (LINOPS_QUEUES)".into() },
            Some(1) => Granted::One { reason: "one queue was asked for".into() },
            Some(n) => match n.min(self.queues.unwrap_or(u32::MAX)).min(MOST) {
                0 | 1 => Granted::One { reason: format!("{n} queues were asked for, but {}", self.reason) },
                queues => Granted::Several { queues, reason: format!("{queues} of {n} queues asked for") },
            },
        }
    }
}

/// What rung 1 finds on an adapter.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub families: Vec<QueueFamily>,
    pub family: Option<u32>,
    /// Queues that can be had; None: as many as are asked for.
    pub queues: Option<u32>,
    /// Why so many.
    pub reason: String,
}

/// The queues of an adapter, without opening it.
pub(in crate::gpu) fn outlook(adapter: &wgpu::Adapter) -> QueuesReport {
    let found = find(adapter);
    let (rung, reason) = match LaneOptions::default().asked().map(|asked| found.granted(asked)) {
        Ok(Granted::Several { reason, .. }) => (Rung::HardwareQueues, reason),
        Ok(Granted::One { reason }) => (Rung::OneQueue, reason),
        Err(e) => (Rung::OneQueue, e.to_string()),
    };
    QueuesReport {
        rung,
        reason,
        hardware_queues: found.queues,
        hardware_reason: found.reason,
        family: found.family,
        families: found.families,
    }
}

#[cfg(feature = "multi-queue")]
pub(super) fn find(adapter: &wgpu::Adapter) -> Found {
    match adapter.get_info().backend {
        #[cfg(not(target_vendor = "apple"))]
        wgpu::Backend::Vulkan => super::vulkan::find(adapter),
        #[cfg(target_vendor = "apple")]
        wgpu::Backend::Metal => {
            Found { reason: "Metal makes as many queues as are asked for".into(), ..Found::default() }
        }
        #[cfg(windows)]
        wgpu::Backend::Dx12 => {
            Found { reason: "DX12 makes as many queues as are asked for".into(), ..Found::default() }
        }
        other => Found {
            queues: Some(1),
            reason: format!("several queues on {other} are not supported"),
            ..Found::default()
        },
    }
}

#[cfg(not(feature = "multi-queue"))]
pub(super) fn find(_: &wgpu::Adapter) -> Found {
    let reason = "this build has no support for several queues; build with the feature \"multi-queue\"".into();
    Found { queues: Some(1), reason, ..Found::default() }
}
