//! What is submitted and in which order, and what old failures leave.

use super::segments::segments;
use super::{Choice, Gpu, GpuOptions};
use crate::linop::{self, FftOptions, Linop};
use crate::plan::{Plan, PlanOptions, Target};
use crate::run::Device;
use crate::shader::{GpuLimits, KernelShape};
use crate::solve::{SolveOptions, cg};
use crate::tensor::Tensor;
use std::sync::Arc;

const SHAPE: &str = "Y=8 X=12";

fn chain(k: i64) -> Linop {
    let fft = || linop::fft(SHAPE, "Y X", FftOptions::default()).unwrap().out("Y X").unwrap();
    fft() * linop::roll(SHAPE, &[("Y", k), ("X", k + 1)]).unwrap() * fft()
}

fn planned(a: &Linop, target: &Target, queues: usize) -> Plan {
    let options = PlanOptions { queues, ..PlanOptions::default() };
    a.program().unwrap().schedule_with(target, true, &options).unwrap()
}

/// Where lanes have copies of what they read, the others begin before lane 0 has work that a copy from it would wait for.
#[test]
fn lanes_with_copies_begin_before_the_first_one() {
    let target = Target::Gpu(GpuLimits::poorest(KernelShape::Gpu));
    let all = || (1..=6).map(chain).collect::<Vec<_>>();
    let lanes = |a: &Linop, shared: bool| -> Vec<usize> {
        segments(&planned(a, &target, 3), 3, shared).iter().map(|s| s.lane).collect()
    };
    let sum = linop::add(all()).unwrap();
    assert_eq!(lanes(&sum, true), [0, 1, 2, 0]);
    assert_eq!(lanes(&sum, false), [1, 2, 0, 0]);
    // What is stored in place has a round of its own there.
    let rows = linop::concat(all(), None, Some("Y")).unwrap();
    assert_eq!(lanes(&rows, true), [0, 1, 2]);
    assert_eq!(lanes(&rows, false), [1, 2, 0, 1, 2, 0]);
}

fn two_lanes() -> Arc<Gpu> {
    Gpu::open_over(&[Choice::Any, Choice::Any], GpuOptions::default()).unwrap()
}

/// Another device on the same adapter is opened by its place; what is of no one adapter has no queues that could be measured.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn an_adapter_is_opened_again_by_its_place() {
    let one = Gpu::open_with(Choice::Any, GpuOptions::default()).unwrap();
    let again = one.again(GpuOptions::default()).unwrap();
    assert_eq!(again.name(), one.name());
    assert!(again.hardware_queues() >= 1);
    let over = two_lanes();
    assert_eq!(over.hardware_queues(), 1);
    assert!(over.queues_file().is_none());
    let e = over.again(GpuOptions::default()).unwrap_err().to_string();
    assert!(e.contains("not the device of one adapter"), "{e}");
}

/// A submission on lane 1 that fails, and was to write these buffers.
fn fail(gpu: &Gpu, writes: &[&super::queues::SharedBuffer]) {
    let y = writes[0].on(1);
    let mut encoder = gpu.core.lanes.device(1).create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(y, 0, y, 0, 1 << 40);
    assert!(gpu.core.submit(1, vec![encoder.finish()], &[], writes).is_err());
}

fn values() -> Tensor {
    let value = |k: usize| num_complex::Complex32::new((k * 7 % 13) as f32 - 6.0, (k * 5 % 11) as f32 - 5.0);
    Tensor::of_values(SHAPE.parse().unwrap(), (0..96).map(value).collect()).unwrap()
}

/// Memory of the pool that something failed in before is as good as any other.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn solvers_do_not_meet_old_failures() {
    let gpu = two_lanes();
    let device = Device(crate::run::Kind::Gpu(gpu.clone()));
    let a = (chain(1) * linop::diagonal(SHAPE, &values()).unwrap()).n();
    let solved = |rhs: &Tensor| cg(&a, rhs, SolveOptions::default().iterations(3)).unwrap().x;
    let want = solved(&values()).to(&Device::host()).unwrap().to_vec().unwrap();
    let rhs = values().to(&device).unwrap();
    let blocks: Vec<_> = (0..24).map(|_| gpu.core.alloc(96 * 8).unwrap()).collect();
    fail(&gpu, &blocks.iter().map(|b| b.shared()).collect::<Vec<_>>());
    drop(blocks);
    let close = |x: &Tensor| {
        let x = x.to(&Device::host()).unwrap().to_vec().unwrap();
        let scale = want.iter().map(|v| v.norm()).fold(0.0, f32::max);
        x.iter().zip(&want).all(|(a, b)| (a - b).norm() < 1e-4 * scale)
    };
    assert!(close(&solved(&rhs)), "over memory of the pool");
}
