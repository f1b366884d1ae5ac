//! The ladder: which rung is taken, and what the report says.

use crate::rig::{adapter, device_descriptor};
use linops::gpu::Rung;
use linops::gpu::{Choice, GpuOptions};
use linops::internal::queues::{LaneOptions, Lanes};
use linops::{Device, wgpu};

fn open(queues: Option<u32>) -> linops::Result<Lanes> {
    Lanes::open(adapter(), &device_descriptor(), LaneOptions { queues, ..LaneOptions::default() })
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn one_queue_is_the_default_and_says_why() {
    if std::env::var_os("LINOPS_QUEUES").is_none() {
        let r = open(None).unwrap().report().clone();
        assert_eq!((r.rung, r.queues), (Rung::OneQueue, 1));
        assert!(r.reason.contains("not asked for"), "{}", r.reason);
        assert!(r.families[0].flags.contains(&"compute") && r.families[0].queues >= 1, "{r:?}");
        assert_eq!(r.family, Some(0));
    }
    assert!(open(Some(1)).unwrap().report().reason.contains("one queue was asked for"));
    assert!(open(Some(0)).is_err());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_queues_are_taken_where_there_are_several() {
    let lanes = open(Some(3)).unwrap();
    let r = lanes.report();
    match r.families[0].queues {
        1 => {
            assert_eq!((r.rung, lanes.count()), (Rung::OneQueue, 1));
            assert!(r.reason.contains("family 0 has 1 queue"), "{}", r.reason);
        }
        n => assert_eq!((r.rung, lanes.count()), (Rung::HardwareQueues, n.min(3) as usize)),
    }
    let json = serde_json::to_value(r).unwrap();
    assert!(json["rung"] == "one_queue" || json["rung"] == "hardware_queues", "{json}");
    assert!(json["families"][0]["queues"].as_u64() >= Some(1), "{json}");
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn adapters_tell_their_queues() {
    for a in linops::gpu::adapters() {
        assert_eq!(a.queues.rung, Rung::OneQueue);
        assert!(!a.queues.reason.is_empty() && !a.queues.hardware_reason.is_empty());
        if a.backend == "vulkan" {
            assert!(!a.queues.families.is_empty() && a.queues.hardware_queues >= Some(1), "{:?}", a.queues);
        }
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_device_tells_its_lanes() {
    let device = Device::gpu_with(Choice::Any, GpuOptions::default().queues(Some(1))).unwrap();
    let gpu = device.as_gpu().unwrap();
    assert_eq!((gpu.lanes().rung, gpu.lane_count()), (Rung::OneQueue, 1));
    // A caller's own device stays one queue, whatever is asked for elsewhere.
    let (d, q) = pollster::block_on(adapter().request_device(&device_descriptor())).unwrap();
    let own = Device::from_wgpu(adapter(), d, q);
    let report = own.as_gpu().unwrap().lanes().clone();
    assert_eq!(report.rung, Rung::OneQueue);
    assert!(report.reason.contains("caller"), "{}", report.reason);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_the_adapter_has_not_is_refused() {
    let mut desc: wgpu::DeviceDescriptor = device_descriptor();
    desc.required_limits.max_bind_groups = 1000;
    assert!(Lanes::open(adapter(), &desc, LaneOptions { queues: Some(2), ..LaneOptions::default() }).is_err());
    assert!(Lanes::over(&[], &device_descriptor()).is_err());
}
