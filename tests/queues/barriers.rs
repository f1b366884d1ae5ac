//! What overlaps on one queue: barriers, counted in the function table. One barrier per wave, none inside.

use crate::rig::{self, Kernel, Step, dispatch, words};
use crate::table::{Behaviour, barriers_in};
use linops::internal::queues::{Lanes, SharedBuffer};

const STEP: Step = Step { keep: 1, add: 1 };

/// Barriers of the second of two equal submissions, in which each wave is a pass with a dispatch for each listed buffer.
fn barriers(lanes: &Lanes, waves: &[Vec<&SharedBuffer>], source: &SharedBuffer) -> usize {
    let kernel = Kernel::new(lanes);
    let run = || {
        let bound: Vec<Vec<_>> = waves
            .iter()
            .map(|w| w.iter().map(|y| kernel.bound(lanes, 0, STEP, [source, source, y])).collect())
            .collect();
        // The parameters of the kernel are uploads of their own; out of the way before anything is counted.
        lanes.submit(0, Vec::new(), &[], &[], &[]).unwrap();
        let (counted, ()) = barriers_in(|| {
            let mut encoder = lanes.device(0).create_command_encoder(&Default::default());
            for wave in &bound {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                wave.iter().for_each(|(pipeline, group)| dispatch(&mut pass, pipeline, group));
            }
            let all: Vec<&SharedBuffer> = waves.iter().flatten().copied().collect();
            let reads: Vec<&SharedBuffer> = all.iter().copied().chain([source]).collect();
            lanes.submit(0, vec![encoder.finish()], &reads, &all, &[]).unwrap();
        });
        counted
    };
    run();
    run()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_wave_in_one_pass_has_one_barrier() {
    let (lanes, _watch) = rig::queues(1, Behaviour::default());
    let source = words(&lanes);
    let ys: Vec<SharedBuffer> = (0..8).map(|_| words(&lanes)).collect();
    let all: Vec<&SharedBuffer> = ys.iter().collect();
    // Eight independent dispatches: one, before the pass.
    let uniforms = barriers(&lanes, &[vec![]], &source);
    let count = |waves: &[Vec<&SharedBuffer>]| barriers(&lanes, waves, &source) - uniforms;
    let one = count(std::slice::from_ref(&all));
    let four = count(&vec![all.clone(); 4]);
    let chain = count(&[vec![all[0]; 8]]);
    // Two chains whose steps alternate in one pass: a barrier between almost any two.
    let interleaved = count(&[vec![all[0], all[1], all[0], all[1], all[0], all[1], all[0], all[1]]]);
    eprintln!(
        "barriers: one wave {one}, four waves {four}, a chain of eight {chain}, two chains interleaved {interleaved}"
    );
    assert!(one <= 2, "{one} barriers for one wave of eight");
    assert_eq!(four - one, 3, "one barrier for each further wave");
    assert!(chain >= 7 && interleaved >= 6, "the counter sees barriers inside of a pass: {chain}, {interleaved}");
}
