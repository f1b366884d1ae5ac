//! Random graphs of work over lanes, against the same work done one step after the other on the host.

use crate::rig::{self, Kernel, Step, WORDS, healthy, read, words};
use crate::table::Behaviour;
use linops::gpu::Rung;
use linops::internal::queues::{Lanes, SharedBuffer};
use std::sync::atomic::Ordering::SeqCst;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

/// Runs a random graph on lanes and on the host; the buffers that differ, with where.
fn differences(lanes: &Lanes, kernel: &Kernel, seed: u64, steps: usize) -> Vec<String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let buffers: Vec<SharedBuffer> = (0..7).map(|_| words(lanes)).collect();
    let mut model = vec![vec![0u32; WORDS]; buffers.len()];
    let mut wrong = Vec::new();
    for (k, (b, m)) in buffers.iter().zip(&mut model).enumerate() {
        m.iter_mut().enumerate().for_each(|(i, v)| *v = (i * (k + 3)) as u32 ^ seed as u32);
        lanes.write(b, 0, bytemuck::cast_slice(m)).unwrap();
    }
    for step in 0..steps {
        let lane = random.below(lanes.count().max(2));
        let y = random.below(buffers.len());
        let (a, b) = ((y + 1 + random.below(6)) % 7, (y + 1 + random.below(6)) % 7);
        match random.below(12) {
            0 => {
                // A part of a buffer, from the host.
                let at = random.below(WORDS - 10);
                let values: Vec<u32> = (0..10).map(|i| (seed as u32).wrapping_mul(7) + i + step as u32).collect();
                lanes.write(&buffers[y], 4 * at as u64, bytemuck::cast_slice(&values)).unwrap();
                model[y][at..at + 10].copy_from_slice(&values);
            }
            1 => {
                if read(lanes, &buffers[y]) != model[y] {
                    wrong.push(format!("seed {seed}: buffer {y} read after step {step}"));
                }
            }
            kind => {
                // Overwritten, or added to: then what it was is read, too.
                let add = step as u32 * 1001;
                let op = if kind < 6 { Step { keep: 0, add } } else { Step { keep: 3, add } };
                let commands = kernel.record(lanes, lane, op, [&buffers[a], &buffers[b], &buffers[y]]);
                let reads: &[&SharedBuffer] = match op.keep {
                    0 => &[&buffers[a], &buffers[b]],
                    _ => &[&buffers[b], &buffers[y], &buffers[a]],
                };
                lanes.submit(lane, vec![commands], reads, &[&buffers[y]], &[]).unwrap();
                let next = (0..WORDS).map(|i| op.of(model[y][i], model[a][i], model[b][i]));
                model[y] = next.collect();
            }
        }
    }
    for (k, (b, m)) in buffers.iter().zip(&model).enumerate() {
        if read(lanes, b) != *m {
            wrong.push(format!("seed {seed}: buffer {k} at the end"));
        }
    }
    wrong
}

fn sweep(lanes: &Lanes, seeds: std::ops::Range<u64>) -> Vec<String> {
    let kernel = Kernel::new(lanes);
    seeds.flat_map(|seed| differences(lanes, &kernel, seed, 80)).collect()
}

fn seeds() -> std::ops::Range<u64> {
    0..if crate::full() { 400 } else { 12 }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_queues_do_what_one_after_the_other_does() {
    for n in [2, 3, 4] {
        for chaos in [None, Some(n as u64)] {
            let (lanes, watch) = rig::queues(n, Behaviour { chaos, no_waits: false });
            assert_eq!((lanes.report().rung, lanes.count()), (Rung::HardwareQueues, n));
            assert_eq!(sweep(&lanes, seeds()), [""; 0]);
            let staged: u64 = (0..n).map(|k| lanes.counts(k).waits).sum();
            assert!(staged > 100, "{staged} waits between lanes");
            assert_eq!(watch.waits.load(SeqCst) as u64, staged);
            drop(lanes);
            healthy(&watch);
        }
    }
}

/// The mutation: what the test above would see if the library forgot its waits.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn without_the_waits_results_are_wrong() {
    let (lanes, watch) = rig::queues(3, Behaviour { chaos: Some(1), no_waits: true });
    let kernel = Kernel::new(&lanes);
    let found = (0..40).find(|&seed| !differences(&lanes, &kernel, seed, 80).is_empty());
    assert!(found.is_some(), "40 graphs without waits came out right: the test above proves nothing");
    drop((kernel, lanes));
    healthy(&watch);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn one_queue_does_the_same() {
    let lanes = rig::one_queue();
    assert_eq!((lanes.report().rung, lanes.count()), (Rung::OneQueue, 1));
    assert_eq!(sweep(&lanes, seeds()), [""; 0]);
    assert_eq!(lanes.counts(0).waits, 0);
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_devices_do_the_same() {
    let lanes = rig::devices(2);
    assert_eq!((lanes.report().rung, lanes.count()), (Rung::Devices, 2));
    assert_eq!(sweep(&lanes, 0..seeds().end / 3), [""; 0]);
}

/// Threads that submit on different lanes at once and share buffers: no deadlock, nothing lost. Sums of words commute.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn threads_share_buffers_between_lanes() {
    let (chaotic, watch) = rig::queues(3, Behaviour { chaos: Some(5), no_waits: false });
    for lanes in [chaotic, rig::one_queue(), rig::devices(2)] {
        let kernel = Kernel::new(&lanes);
        let all: Vec<SharedBuffer> = (0..6).map(|_| words(&lanes)).collect();
        let (sums, terms) = all.split_at(2);
        for (k, t) in terms.iter().enumerate() {
            lanes.write(t, 0, bytemuck::cast_slice(&vec![k as u32 + 1; WORDS])).unwrap();
        }
        std::thread::scope(|s| {
            for thread in 0..4 {
                let (lanes, kernel) = (&lanes, &kernel);
                s.spawn(move || {
                    for round in 0..25 {
                        let (a, y) = (&terms[thread], &sums[(thread + round) % 2]);
                        let lane = thread + round;
                        let commands = kernel.record(lanes, lane, Step { keep: 1, add: 0 }, [a, a, y]);
                        lanes.submit(lane, vec![commands], &[y, a], &[y], &[]).unwrap();
                    }
                });
            }
        });
        let total: u32 = (1..=4u32).map(|k| 6 * k).sum::<u32>();
        let of = |which: usize| -> u32 {
            (0..4).map(|t| (0..25).filter(|r| (t + r) % 2 == which).count() as u32 * 6 * (t as u32 + 1)).sum()
        };
        assert_eq!(of(0) + of(1), 25 * total);
        for (k, y) in sums.iter().enumerate() {
            assert_eq!(read(&lanes, y), vec![of(k); WORDS]);
        }
    }
    healthy(&watch);
}
