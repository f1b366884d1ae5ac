//! Shared memory: what one lane writes, another reads, whoever comes first.

use crate::rig::{self, Kernel, Step, WORDS, healthy, read, usage, words};
use crate::table::Behaviour;
use linops::internal::queues::Lanes;
use linops::wgpu;
use std::sync::{Arc, Mutex};
use wgpu::hal::api::Vulkan;

/// Lane 1 writes sevens into `on1`; what lane 0 then reads from `on0`.
fn sevens(lanes: &Lanes, on0: &wgpu::Buffer, on1: &wgpu::Buffer) -> Vec<u32> {
    let (zero, out) = (words(lanes), words(lanes));
    let copy = |lane: usize, from: &wgpu::Buffer, to: &wgpu::Buffer| {
        let mut encoder = lanes.device(lane).create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(from, 0, to, 0, 4 * WORDS as u64);
        encoder.finish()
    };
    lanes.write(&zero, 0, bytemuck::cast_slice(&[7u32; WORDS])).unwrap();
    let written = lanes.submit(1, vec![copy(1, zero.on(1), on1)], &[&zero], &[], &[]).unwrap();
    lanes.submit(0, vec![copy(0, on0, out.on(0))], &[], &[&out], &[written]).unwrap();
    read(lanes, &out)
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn the_first_use_by_lane_0_does_not_wipe_what_lane_1_wrote() {
    let (lanes, watch) = rig::queues(2, Behaviour::default());
    let shared = words(&lanes);
    assert_eq!(sevens(&lanes, shared.on(0), shared.on(1)), vec![7; WORDS]);

    // The control: a buffer of wgpu's own making, shared behind its back, is cleared at lane 0's first use.
    let desc =
        wgpu::BufferDescriptor { label: None, size: 4 * WORDS as u64, usage: usage(), mapped_at_creation: false };
    let trap = lanes.device(0).create_buffer(&desc);
    let (keep, parked) = (trap.clone(), Arc::new(Mutex::new(Vec::new())));
    let park = parked.clone();
    // SAFETY: the alias destroys nothing and holds the owner; the handle is of the one native device.
    let alias = unsafe {
        let handle = trap.as_hal::<Vulkan>().unwrap().raw_handle();
        let alias = wgpu::hal::vulkan::Buffer::from_raw_externally_owned(
            handle,
            Box::new(move || park.lock().unwrap().push(keep)),
        );
        lanes.device(1).create_buffer_from_hal::<Vulkan>(alias, &desc)
    };
    assert_eq!(sevens(&lanes, &trap, &alias), vec![0; WORDS], "wgpu does not clear any more: the rule may go");
    drop((trap, alias, shared, lanes));
    drop(parked);
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn new_memory_is_clear_on_every_lane() {
    for lanes in [rig::queues(2, Behaviour { chaos: Some(4), no_waits: false }).0, rig::one_queue(), rig::devices(2)] {
        let kernel = Kernel::new(&lanes);
        // Memory that was used before comes back from the driver's or the allocator's lists.
        for round in 0..4 {
            let (a, y) = (words(&lanes), words(&lanes));
            assert_eq!(read(&lanes, &y), vec![0; WORDS]);
            let commands = kernel.record(&lanes, 1, Step { keep: 1, add: 9 + round }, [&a, &a, &y]);
            lanes.submit(1, vec![commands], &[&a, &y], &[&y], &[]).unwrap();
            assert_eq!(read(&lanes, &y), vec![9 + round; WORDS]);
        }
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_does_not_fit_is_refused() {
    for lanes in [rig::queues(2, Behaviour::default()).0, rig::one_queue(), rig::devices(2)] {
        let b = lanes.alloc(10, usage()).unwrap();
        assert_eq!(b.size(), 12);
        for (offset, bytes) in [(0, 16), (12, 4), (2, 4), (0, 3), (u64::MAX - 3, 4)] {
            assert!(lanes.write(&b, offset, &vec![1; bytes]).is_err(), "{bytes} at {offset}");
        }
        assert!(lanes.read::<u8>(&b, 13).is_err());
        lanes.write(&b, 8, &[1, 2, 3, 4]).unwrap();
        assert_eq!(lanes.read::<u8>(&b, 10).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert!(lanes.read::<u8>(&b, 0).unwrap().is_empty());
        lanes.write(&b, 12, &[]).unwrap();
        assert!(matches!(lanes.alloc(u64::MAX / 2, usage()), Err(linops::Error::TooBig { .. })));
    }
}
