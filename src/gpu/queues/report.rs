//! What a user is told about queues: of an adapter before it is opened, and of opened lanes.

use super::open::{LaneOptions, MeasuredQueues};
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
    /// What each queue has to do of a container that is spread over them, at least; 0 where that was not measured. In bytes that are
    /// moved, or flops that take as long.
    pub least_work: u64,
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
    Several { queues: u32, least_work: u64, reason: String },
}

impl Found {
    /// Rung 1 with so many queues, or rung 2, before anything is opened: as many as are asked for, else as were measured to be
    /// faster than one.
    pub fn granted(&self, asked: Option<u32>, measured: Option<MeasuredQueues>) -> Granted {
        let one = |reason: &str| Granted::One { reason: reason.into() };
        match (asked, measured) {
            (Some(1), _) => one("one queue was asked for"),
            (Some(n), _) => match self.of(n) {
                0 | 1 => Granted::One { reason: format!("{n} queues were asked for, but {}", self.reason) },
                queues => {
                    Granted::Several { queues, least_work: 0, reason: format!("{queues} of {n} queues asked for") }
                }
            },
            (None, None) => {
                one("several queues were not asked for (LINOPS_QUEUES), nor measured to be faster (linops tune)")
            }
            (None, Some(MeasuredQueues { queues: 0 | 1, .. })) => {
                one("several queues were not asked for (LINOPS_QUEUES), and measured to be no faster (linops tune)")
            }
            (None, Some(MeasuredQueues { queues: n, least_work })) => match self.of(n) {
                0 | 1 => Granted::One { reason: format!("{n} queues were measured to be faster, but {}", self.reason) },
                queues => Granted::Several {
                    queues,
                    least_work,
                    reason: format!(
                        "{n} queues were measured to be faster where each has {least_work} bytes to move or more (linops tune)"
                    ),
                },
            },
        }
    }

    /// Of so many queues those that are there.
    fn of(&self, queues: u32) -> u32 {
        queues.min(self.queues.unwrap_or(u32::MAX)).min(MOST)
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

/// The queues of an adapter, without opening it, and what becomes of them by what was measured.
pub(in crate::gpu) fn outlook(adapter: &wgpu::Adapter, measured: Option<MeasuredQueues>) -> QueuesReport {
    let found = find(adapter);
    let (rung, reason) = match LaneOptions::default().asked().map(|asked| found.granted(asked, measured)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Who asks is heard first; then what was measured; else it is one queue. Each says why.
    #[test]
    fn queues_are_those_asked_for_or_measured() {
        let found = |queues| Found { queues, reason: "family 0 has so many".into(), ..Found::default() };
        let measured = |queues, least_work| Some(MeasuredQueues { queues, least_work });
        for (there, asked, of, queues, least, why) in [
            (Some(4), None, None, 1, 0, "nor measured"),
            (Some(4), None, measured(1, 0), 1, 0, "no faster"),
            (Some(4), None, measured(2, 77), 2, 77, "each has 77 bytes"),
            (Some(4), Some(1), measured(2, 77), 1, 0, "one queue was asked for"),
            (Some(4), Some(3), measured(2, 77), 3, 0, "3 of 3"),
            (Some(1), None, measured(2, 77), 1, 0, "but family 0 has so many"),
            (None, None, measured(4, 5), 4, 5, "measured to be faster"),
        ] {
            let (n, work, reason) = match found(there).granted(asked, of) {
                Granted::One { reason } => (1, 0, reason),
                Granted::Several { queues, least_work, reason } => (queues, least_work, reason),
            };
            assert_eq!((n, work), (queues, least), "{reason}");
            assert!(reason.contains(why), "{reason}");
        }
    }
}
