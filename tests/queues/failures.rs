//! A submission that fails poisons its lane; nothing hangs, the others go on.

use crate::rig::{self, Kernel, SOON, Step, WORDS, healthy, read, words};
use crate::table::{Behaviour, Watch};
use linops::gpu::queues::{Lanes, SharedBuffer};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

const STEP: Step = Step { keep: 0, add: 1 };

/// What holds after a submission on lane 1, which was to write `y`, has failed.
fn poisoned(lanes: &Lanes, kernel: &Kernel, y: &SharedBuffer, error: &linops::Error) {
    assert!(error.to_string().contains("lane 1"), "{error}");
    // Everything on that lane, and everything that needs what it was to write.
    let other = words_on(lanes);
    assert!(lanes.submit(1, Vec::new(), &[&other], &[y], &[]).is_err());
    assert!(lanes.read(y, 4).is_err());
    let commands = kernel.record(lanes, 0, STEP, [y, y, &other]);
    let e = lanes.submit(0, vec![commands], &[y], &[&other], &[]).unwrap_err();
    assert!(e.to_string().contains("no values"), "{e}");
    // The others go on, and a buffer that is written anew has values again.
    let commands = kernel.record(lanes, 0, STEP, [&other, &other, y]);
    lanes.submit(0, vec![commands], &[&other], &[y], &[]).unwrap();
    assert_eq!(read(lanes, y), vec![1; WORDS]);
    assert!(lanes.check().is_err());
    assert!(lanes.wait_all(SOON).is_err());
}

/// Allocation refuses once a lane has a fault, so this one was made before.
fn words_on(lanes: &Lanes) -> SharedBuffer {
    SPARE.with(|s| s.borrow_mut().take()).unwrap_or_else(|| words(lanes))
}

thread_local! {
    static SPARE: std::cell::RefCell<Option<SharedBuffer>> = const { std::cell::RefCell::new(None) };
}

fn setting() -> (Lanes, std::sync::Arc<Watch>, Kernel, SharedBuffer) {
    let (lanes, watch) = rig::queues(2, Behaviour { chaos: Some(2), no_waits: false });
    let (kernel, y) = (Kernel::new(&lanes), words(&lanes));
    SPARE.with(|s| *s.borrow_mut() = Some(words(&lanes)));
    (lanes, watch, kernel, y)
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_submission_that_the_driver_refuses_poisons_its_lane() {
    let start = Instant::now();
    let (lanes, watch, kernel, y) = setting();
    // Some work before it, which is done all the same.
    let a = words(&lanes);
    for lane in 0..4 {
        let commands = kernel.record(&lanes, lane, Step { keep: 1, add: 1 }, [&a, &a, &y]);
        lanes.submit(lane, vec![commands], &[&a, &y], &[&y], &[]).unwrap();
    }
    assert_eq!(read(&lanes, &y), vec![4; WORDS]);
    let commands = kernel.record(&lanes, 1, STEP, [&a, &a, &y]);
    watch.fail_next.store(1, SeqCst);
    let e = lanes.submit(1, vec![commands], &[&a], &[&y], &[]).unwrap_err();
    assert_eq!(watch.fail_next.load(SeqCst), usize::MAX, "the failure was met");
    poisoned(&lanes, &kernel, &y, &e);
    drop((kernel, a, y, lanes));
    healthy(&watch);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn an_invalid_command_buffer_poisons_its_lane() {
    let start = Instant::now();
    let (lanes, watch, kernel, y) = setting();
    let mut encoder = lanes.device(1).create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(y.on(1), 0, y.on(1), 0, 1 << 40);
    let invalid = encoder.finish();
    let e = lanes.submit(1, vec![invalid], &[], &[&y], &[]).unwrap_err();
    poisoned(&lanes, &kernel, &y, &e);
    drop((kernel, y, lanes));
    healthy(&watch);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn on_one_queue_an_invalid_command_buffer_is_an_error_too() {
    let lanes = rig::one_queue();
    let y = words(&lanes);
    let mut encoder = lanes.device(0).create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(y.on(0), 0, y.on(0), 0, 1 << 40);
    let invalid = encoder.finish();
    assert!(lanes.submit(0, vec![invalid], &[], &[&y], &[]).is_err());
    assert!(lanes.submit(0, Vec::new(), &[], &[], &[]).is_err());
    assert!(lanes.wait_all(SOON).is_err());
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_recording_that_fails_or_panics_submits_nothing() {
    let (chaotic, watch) = rig::queues(2, Behaviour::default());
    for lanes in [chaotic, rig::one_queue(), rig::devices(2)] {
        let y = words(&lanes);
        let before = lanes.counts(1);
        let failed = |_: &linops::wgpu::Device| Err(linops::Error::Value("nothing to record".into()));
        let e = lanes.submit_with(1, failed, &[], &[&y], &[]).unwrap_err();
        assert!(e.to_string().contains("nothing to record"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lanes.submit_with(1, |_| panic!("on purpose"), &[], &[&y], &[])
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
