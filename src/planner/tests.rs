//! Each pass by itself, on steps that were lowered from small programs.

use super::*;
use crate::access::{AxisMap, Constant, ConstantData, ValueId};
use crate::ir::Builder;
use crate::shader::{GpuLimits, KernelShape};
use num_complex::Complex64;

const X: ValueId = ValueId::INPUT;

fn weight(n: usize) -> Constant {
    Constant::new(vec![n], ConstantData::F32((0..n).map(|i| i as f32).collect())).unwrap()
}

fn lowered(input: &[usize], target: Target, f: impl FnOnce(&mut Builder) -> Result<ValueId>) -> Steps {
    let mut b = Builder::new(input);
    let y = f(&mut b).unwrap();
    lower::lower(&b.finish(y).unwrap(), &target, true, &PlanOptions::default()).unwrap()
}

fn gpu() -> Target {
    Target::Gpu(GpuLimits::poorest(KernelShape::Gpu))
}

/// The names of the steps that are left.
fn names(s: &Steps) -> Vec<&'static str> {
    (0..s.end()).filter_map(|at| s.get(at)).map(|step| step.kernel.name()).collect()
}

#[test]
fn nothing_is_fused_before_the_passes() {
    let s = lowered(&[4, 6], Target::Host, |b| {
        let y = b.mul(X, weight(6), vec![1], false)?;
        let y = b.map_axis(y, 1, AxisMap::affine(1, -1, 1, 6, 8), 8)?;
        let y = b.scale(y, Complex64::new(2.0, 0.0))?;
        b.sum(y, &[0])
    });
    assert_eq!(names(&s), ["map", "map", "map", "reduce"]);
}

#[test]
fn weights_and_moves_go_into_reads() {
    let mut s = lowered(&[4, 6], Target::Host, |b| {
        let y = b.mul(X, weight(6), vec![1], false)?;
        let y = b.map_axis(y, 1, AxisMap::affine(1, -1, 1, 6, 8), 8)?;
        b.sum(y, &[0])
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["reduce"]);
    let load = &s.get(s.end() - 1).unwrap().kernel.loads()[0];
    assert_eq!((load.value, load.factors.len()), (X, 1));
}

#[test]
fn a_weight_with_two_readers_is_applied_once() {
    let two = |b: &mut Builder, y: ValueId| {
        let sums = [b.sum(y, &[0])?, b.sum(y, &[0])?];
        b.add(&sums)
    };
    let mut s = lowered(&[4, 6], Target::Host, |b| {
        let y = b.mul(X, weight(6), vec![1], false)?;
        two(b, y)
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["map", "reduce", "reduce", "add"]);
    // What only moves is read by both as it is.
    let mut s = lowered(&[4, 6], Target::Host, |b| {
        let y = b.map_axis(X, 1, AxisMap::affine(-1, 5, 1, 6, 6), 6)?;
        two(b, y)
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["reduce", "reduce", "add"]);
}

#[test]
fn what_one_read_cannot_express_is_stored() {
    let mut s = lowered(&[6], Target::Host, |b| {
        let y = b.map_axis(X, 0, AxisMap::affine(1, -1, 1, 6, 8), 8)?;
        let y = b.map_axis(y, 0, AxisMap::wrapped(1, 3, 8), 8)?;
        b.sum(y, &[])
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["map", "map"]);
}

#[test]
fn a_transform_weights_and_the_way_back_are_a_filter() {
    for target in [Target::Host, gpu()] {
        let mut s = lowered(&[3, 48], target, |b| {
            let y = b.fft(X, &[1], false, true, 1.0)?;
            let y = b.mul(y, weight(48), vec![1], false)?;
            b.fft(y, &[1], true, true, 1.0)
        });
        fuse::into_reads(&mut s).unwrap();
        let before = names(&s).len();
        fft::find_filters(&mut s).unwrap();
        assert_eq!((before, names(&s).len()), (2, 1), "{target:?}");
    }
}

#[test]
fn lines_that_nobody_reads_are_not_stored() {
    let mut s = lowered(&[3, 48], gpu(), |b| {
        let y = b.fft(X, &[1], false, false, 1.0)?;
        let y = b.map_axis(y, 1, AxisMap::affine(1, 5, 1, 48, 20), 20)?;
        b.sum(y, &[0])
    });
    fuse::into_reads(&mut s).unwrap();
    crop::unread_parts(&mut s).unwrap();
    let fft = s.get(0).unwrap();
    assert_eq!(fft.kernel.output_len(), 60);
    assert_eq!(s.values[fft.store.value.at()].extents, [3, 20]);
}

#[test]
fn weights_on_a_result_go_into_its_store() {
    let mut s = lowered(&[3, 48], Target::Host, |b| {
        let y = b.fft(X, &[1], false, false, 1.0)?;
        b.mul(y, weight(48), vec![1], false)
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["fft", "map"]);
    fuse::into_stores(&mut s).unwrap();
    assert_eq!(names(&s), ["fft"]);
    assert_eq!(s.get(0).unwrap().store.value, s.output);
    assert_eq!(s.get(0).unwrap().kernel.post().unwrap().factors.len(), 1);
}

#[test]
fn long_sums_are_cut_to_what_a_kernel_binds() {
    let mut s = lowered(&[6], gpu(), |b| {
        let terms = (1..=7).map(|k| b.map_axis(X, 0, AxisMap::wrapped(1, k, 6), 6)).collect::<Result<Vec<_>>>()?;
        b.add(&terms)
    });
    fuse::into_reads(&mut s).unwrap();
    assert_eq!(names(&s), ["add"]);
    bindings::cut_sums(&mut s).unwrap();
    let plan = finish::finish(s).unwrap();
    // 6 operands a kernel: 6 terms, then one and the sum so far.
    let terms: Vec<usize> = plan.steps.iter().map(|s| s.kernel.loads().len()).collect();
    assert_eq!(terms, [6, 2]);
}
