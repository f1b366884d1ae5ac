//! A submission that fails leaves nothing to wait for and no values; lanes go on unless their device is lost.

use crate::rig::{self, Kernel, SOON, Step, WORDS, healthy, read, words};
use crate::table::{Behaviour, Watch};
use linops::Error;
use linops::internal::queues::{Lanes, SharedBuffer, Uses};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

const STEP: Step = Step { keep: 0, add: 1 };

/// What holds after a submission on lane 1, which was to write `y`, has failed.
fn nothing_is_left(lanes: &Lanes, kernel: &Kernel, y: &SharedBuffer, other: &SharedBuffer) {
    // What needs what it was to write.
    assert!(lanes.read::<u8>(y, 4).is_err());
    let commands = kernel.record(lanes, 0, STEP, [y, y, other]);
    let e = lanes.submit(0, vec![commands], &[y], &[other], &[]).unwrap_err();
    assert!(e.to_string().contains("no values"), "{e}");
    // The others go on, and a buffer that is written anew has values again.
    let commands = kernel.record(lanes, 0, STEP, [other, other, y]);
    lanes.submit(0, vec![commands], &[other], &[y], &[]).unwrap();
    assert_eq!(read(lanes, y), vec![1; WORDS]);
}

fn setting() -> (Lanes, std::sync::Arc<Watch>, Kernel, [SharedBuffer; 2]) {
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(2), no_waits: false });
    let (kernel, buffers) = (Kernel::new(&lanes), [words(&lanes), words(&lanes)]);
    (lanes, watch, kernel, buffers)
}

/// A command buffer that copies beyond its buffer's end.
fn invalid(device: &linops::wgpu::Device, y: &linops::wgpu::Buffer) -> linops::wgpu::CommandBuffer {
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(y, 0, y, 0, 1 << 40);
    encoder.finish()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_lane_whose_device_is_lost_takes_no_more_work() {
    let start = Instant::now();
    let (lanes, watch, kernel, [y, other]) = setting();
    // Some work before it, which is done all the same.
    let a = words(&lanes);
    for lane in 0..4 {
        let commands = kernel.record(&lanes, lane, Step { keep: 1, add: 1 }, [&a, &a, &y]);
        lanes.submit(lane, vec![commands], &[&a, &y], &[&y], &[]).unwrap();
    }
    assert_eq!(read(&lanes, &y), vec![4; WORDS]);
    // wgpu gives a device up when its driver refuses a submission.
    let commands = kernel.record(&lanes, 1, STEP, [&a, &a, &y]);
    watch.fail_next.store(1, SeqCst);
    let e = lanes.submit(1, vec![commands], &[&a], &[&y], &[]).unwrap_err();
    assert_eq!(watch.fail_next.load(SeqCst), usize::MAX, "the failure was met");
    assert!(matches!(e, Error::DeviceLost(_)), "{e}");
    assert!(lanes.submit(1, Vec::new(), &[&other], &[&y], &[]).is_err());
    nothing_is_left(&lanes, &kernel, &y, &other);
    assert!(matches!(lanes.check(), Err(Error::DeviceLost(_))));
    assert!(lanes.wait_all(SOON).is_err());
    drop((kernel, a, y, other, lanes));
    healthy(&watch);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn after_an_invalid_command_buffer_the_lane_goes_on() {
    let start = Instant::now();
    let (lanes, watch, kernel, [y, other]) = setting();
    for _ in 0..3 {
        let commands = invalid(lanes.device(1), y.on(1));
        let e = lanes.submit(1, vec![commands], &[], &[&y], &[]).unwrap_err();
        assert!(matches!(e, Error::Device(_)), "{e}");
        nothing_is_left(&lanes, &kernel, &y, &other);
        // The lane's own next submissions, and others that wait for them.
        for lane in [1, 0, 1] {
            let commands = kernel.record(&lanes, lane, Step { keep: 1, add: 1 }, [&other, &other, &y]);
            lanes.submit(lane, vec![commands], &[&other, &y], &[&y], &[]).unwrap();
        }
        assert_eq!(read(&lanes, &y), vec![4; WORDS]);
    }
    lanes.check().unwrap();
    lanes.wait_all(SOON).unwrap();
    drop((kernel, y, other, lanes));
    healthy(&watch);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn after_an_invalid_command_buffer_the_only_queue_goes_on() {
    let lanes = rig::one_queue();
    let y = words(&lanes);
    let commands = invalid(lanes.device(0), y.on(0));
    let e = lanes.submit(0, vec![commands], &[], &[&y], &[]).unwrap_err();
    assert!(matches!(e, Error::Device(_)), "{e}");
    lanes.write(&y, 0, bytemuck::cast_slice(&[3u32; WORDS])).unwrap();
    lanes.submit(0, Vec::new(), &[], &[], &[]).unwrap();
    assert_eq!(read(&lanes, &y), vec![3; WORDS]);
    lanes.wait_all(SOON).unwrap();
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_recording_that_fails_or_panics_submits_nothing() {
    let (chaotic, watch) = rig::queues(2, Behaviour::default());
    for lanes in [chaotic, rig::one_queue(), rig::devices(2)] {
        let y = words(&lanes);
        let before = lanes.counts(1);
        let failed = |_: &linops::wgpu::Device| Err(linops::Error::Value("nothing to record".into()));
        let uses = Uses { writes: vec![&y], ..Uses::default() };
        let e = lanes.submit_with(1, failed, &uses).unwrap_err();
        assert!(e.to_string().contains("nothing to record"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lanes.submit_with(1, |_| panic!("on purpose"), &uses)
        }));
        assert!(panicked.is_err());
        assert_eq!(lanes.counts(1), before);
        // Neither lane nor buffer is the worse for it.
        lanes.write(&y, 0, bytemuck::cast_slice(&[3u32; WORDS])).unwrap();
        lanes.submit(1, Vec::new(), &[&y], &[], &[]).unwrap();
        assert_eq!(read(&lanes, &y), vec![3; WORDS]);
    }
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_is_of_other_lanes_is_refused() {
    let (one, _watch) = rig::queues(2, Behaviour::default());
    let two = rig::devices(2);
    let (mine, theirs) = (words(&one), words(&two));
    assert!(one.submit(0, Vec::new(), &[&theirs], &[], &[]).is_err());
    assert!(two.submit(0, Vec::new(), &[], &[&mine], &[]).is_err());
    let ticket = two.submit(1, Vec::new(), &[], &[&theirs], &[]).unwrap();
    assert_eq!(ticket.lane(), 1);
    assert!(one.wait(&ticket, SOON).is_err());
    assert!(one.submit(0, Vec::new(), &[], &[], std::slice::from_ref(&ticket)).is_err());
    two.submit(0, Vec::new(), &[], &[], std::slice::from_ref(&ticket)).unwrap();
    two.wait(&ticket, SOON).unwrap();
}
