//! Parts of a buffer that lanes write side by side: none waits for the others, whoever comes behind waits for all.

use crate::rig::{self, WORDS, healthy, read, words};
use crate::table::Behaviour;
use linops::internal::queues::{Lanes, SharedBuffer, Together, Uses};

/// Clears a part of a buffer on a lane, beside others.
fn clear(lanes: &Lanes, lane: usize, y: &SharedBuffer, (part, parts): (usize, usize), together: Together) {
    let mut encoder = lanes.device(lane).create_command_encoder(&Default::default());
    let each = WORDS / parts;
    encoder.clear_buffer(y.on(lane), 4 * (part * each) as u64, Some(4 * each as u64));
    let uses = Uses { parts: vec![(y, together)], ..Uses::default() };
    lanes.submit_using(lane, vec![encoder.finish()], &uses, &[]).unwrap();
}

fn waits(lanes: &Lanes) -> Vec<u64> {
    (0..lanes.count()).map(|k| lanes.counts(k).waits).collect()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn writers_of_parts_wait_for_what_was_before_alone() {
    let (lanes, watch) = rig::queues(3, Behaviour { chaos: Some(1), no_waits: false });
    let y = words(&lanes);
    let together = |apply| Together { apply, part: 0 };
    assert_eq!(waits(&lanes), [0, 0, 0]);
    // Lane 0 has cleared it when it was made.
    (0..3).for_each(|lane| clear(&lanes, lane, &y, (lane, 4), together(1)));
    assert_eq!(waits(&lanes), [0, 1, 1]);
    // Others come behind all of them.
    clear(&lanes, 1, &y, (3, 4), together(2));
    assert_eq!(waits(&lanes), [0, 3, 1]);
    clear(&lanes, 2, &y, (2, 4), together(2));
    assert_eq!(waits(&lanes), [0, 3, 3]);
    // A reader waits for both; the next writer of a part for the reader, and for what was before.
    lanes.submit(0, Vec::new(), &[&y], &[], &[]).unwrap();
    assert_eq!(waits(&lanes), [2, 3, 3]);
    clear(&lanes, 1, &y, (0, 4), together(2));
    assert_eq!(waits(&lanes), [2, 5, 3]);
    lanes.wait_all(rig::SOON).unwrap();
    drop((y, lanes));
    healthy(&watch);
}

/// A round of each: ones, cleared by all lanes, read.
fn rounds(lanes: &Lanes, count: u64) -> usize {
    let y = words(lanes);
    let parts = lanes.count();
    let cleared = WORDS / parts * parts;
    let wrong = |apply| {
        lanes.write(&y, 0, bytemuck::cast_slice(&[1u32; WORDS])).unwrap();
        (0..parts).for_each(|lane| clear(lanes, lane, &y, (lane, parts), Together { apply, part: 7 }));
        read(lanes, &y)[..cleared].iter().any(|v| *v != 0)
    };
    (0..count).filter(|apply| wrong(*apply)).count()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn what_lanes_have_written_together_is_read() {
    let (lanes, watch) = rig::queues(3, Behaviour { chaos: Some(2), no_waits: false });
    assert_eq!(rounds(&lanes, 30), 0);
    drop(lanes);
    healthy(&watch);
    assert_eq!(rounds(&rig::one_queue(), 3), 0);
    assert_eq!(rounds(&rig::devices(2), 3), 0);
    // And the test could fail.
    let (lanes, _watch) = rig::queues(3, Behaviour { chaos: Some(2), no_waits: true });
    assert!(rounds(&lanes, 60) > 0);
}

/// A part that failed leaves no values, until all are written anew.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_part_that_failed_is_told() {
    let (lanes, watch) = rig::queues(2, Behaviour::default());
    let y = words(&lanes);
    let together = Together { apply: 1, part: 0 };
    clear(&lanes, 0, &y, (0, 2), together);
    let mut encoder = lanes.device(1).create_command_encoder(&Default::default());
    encoder.clear_buffer(y.on(1), 0, Some(1 << 40));
    let uses = Uses { parts: vec![(&y, together)], ..Uses::default() };
    assert!(lanes.submit_using(1, vec![encoder.finish()], &uses, &[]).is_err());
    clear(&lanes, 0, &y, (1, 2), together);
    let e = lanes.read::<u32>(&y, WORDS).unwrap_err();
    assert!(e.to_string().contains("no values"), "{e}");
    (0..2).for_each(|lane| clear(&lanes, lane, &y, (lane, 2), Together { apply: 2, part: 0 }));
    assert_eq!(read(&lanes, &y), vec![0; WORDS]);
    lanes.wait_all(rig::SOON).unwrap();
    drop((y, lanes));
    healthy(&watch);
}
