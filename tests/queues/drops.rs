//! Ends: whatever is dropped first, with work still queued, the native device is destroyed once and last.

use crate::rig::{self, Kernel, SOON, Step, healthy, read, words};
use crate::table::Behaviour;
use linops::internal::queues::{Lanes, SharedBuffer};
use linops::wgpu;
use std::any::Any;
use std::sync::atomic::Ordering::SeqCst;

/// All orders of 0..n.
fn orders(n: usize) -> Vec<Vec<usize>> {
    match n {
        0 => vec![vec![]],
        n => orders(n - 1)
            .into_iter()
            .flat_map(|o| (0..n).map(move |at| [&o[..at], &[n - 1], &o[at..]].concat()))
            .collect(),
    }
}

fn busy(lanes: &Lanes, kernel: &Kernel, a: &SharedBuffer, y: &SharedBuffer) {
    for k in 0..6 {
        let (from, to) = if k % 2 == 0 { (a, y) } else { (y, a) };
        let commands = kernel.record(lanes, k, Step { keep: 1, add: 1 }, [from, from, to]);
        lanes.submit(k, vec![commands], &[from, to], &[to], &[]).unwrap();
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn in_any_order_the_native_device_is_destroyed_once() {
    assert_eq!(orders(4).len(), 24);
    for order in orders(4) {
        let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(3), no_waits: false });
        let kernel = Kernel::new(&lanes);
        let (a, y) = (words(&lanes), words(&lanes));
        busy(&lanes, &kernel, &a, &y);
        drop(kernel);
        // Work is still queued. A user may hold a lane's wgpu device longer than the lanes.
        let device: wgpu::Device = lanes.device(1).clone();
        let mut all: Vec<Option<Box<dyn Any>>> =
            vec![Some(Box::new(lanes)), Some(Box::new(a)), Some(Box::new(y)), Some(Box::new(device))];
        for (k, at) in order.iter().enumerate() {
            assert_eq!(watch.destroyed.load(SeqCst), 0, "{order:?}, before drop {k}");
            all[*at] = None;
        }
        healthy(&watch);
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn buffers_come_and_go_while_lanes_work() {
    let (lanes, watch) = rig::queues(3, Behaviour { chaos: Some(9), no_waits: false });
    let kernel = Kernel::new(&lanes);
    let keep = words(&lanes);
    for round in 0..30u32 {
        let gone = words(&lanes);
        let lane = round as usize;
        lanes.write(&gone, 0, bytemuck::cast_slice(&[round; rig::WORDS])).unwrap();
        let commands = kernel.record(&lanes, lane, Step { keep: 1, add: 0 }, [&gone, &gone, &keep]);
        lanes.submit(lane, vec![commands], &[&gone, &keep], &[&keep], &[]).unwrap();
        // Dropped while the lane may not have begun.
    }
    assert_eq!(read(&lanes, &keep), vec![6 * (0..30).sum::<u32>(); rig::WORDS]);
    lanes.wait_all(SOON).unwrap();
    drop((kernel, keep, lanes));
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn the_instance_may_go_before_the_lanes() {
    let (lanes, watch) = {
        let adapter = rig::another_adapter();
        crate::table::lanes(&adapter, 2, Behaviour { chaos: Some(7), no_waits: false })
    };
    let kernel = Kernel::new(&lanes);
    let (a, y) = (words(&lanes), words(&lanes));
    busy(&lanes, &kernel, &a, &y);
    drop((kernel, lanes, a, y));
    healthy(&watch);
}

/// A bind group of a lane holds its alias longer than lanes and buffer live.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_bind_group_may_be_the_last() {
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(5), no_waits: false });
    let kernel = Kernel::new(&lanes);
    let (a, y) = (words(&lanes), words(&lanes));
    busy(&lanes, &kernel, &a, &y);
    let (_, group) = kernel.bound(&lanes, 1, Step { keep: 1, add: 1 }, [&a, &a, &y]);
    drop((kernel, lanes, a, y));
    assert_eq!(watch.destroyed.load(SeqCst), 0);
    drop(group);
    // Owners that nobody is left to reap are dropped on a thread of their own.
    let start = std::time::Instant::now();
    while watch.destroyed.load(SeqCst) == 0 && start.elapsed() < SOON {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn clones_of_lanes_and_buffers_are_the_same_ones() {
    let (lanes, watch) = rig::queues(2, Behaviour::default());
    let (twin, a) = (lanes.clone(), words(&lanes));
    let b = a.clone();
    drop(lanes);
    twin.write(&b, 0, bytemuck::cast_slice(&[7u32; rig::WORDS])).unwrap();
    assert_eq!(read(&twin, &a), vec![7; rig::WORDS]);
    drop((twin, a));
    assert_eq!(watch.destroyed.load(SeqCst), 0);
    drop(b);
    healthy(&watch);
}
