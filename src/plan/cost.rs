//! What a plan costs.

use super::{Plan, Step};
use crate::access::{Access, AxisIndex, Factor, Load};
use num_complex::Complex64;

/// Bytes and flops of a step or a plan. Bytes are distinct elements read and written once each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cost {
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    /// Real additions and multiplications.
    pub flops: u64,
}

impl std::ops::Add for Cost {
    type Output = Cost;

    fn add(self, o: Cost) -> Cost {
        Cost { read: self.read + o.read, written: self.written + o.written, flops: self.flops + o.flops }
    }
}

impl Plan {
    /// Bytes and flops of one step.
    pub fn step_cost(&self, step: &Step) -> Cost {
        let len = step.kernel.output_len() as u64;
        let mut cost = Cost { written: len * self.values[step.store.value.at()].element_bytes(), ..Cost::default() };
        for l in step.kernel.loads() {
            let valid = read(l);
            let elements: u64 = valid.iter().map(|&n| n as u64).product();
            cost.read += distinct(&l.source, &valid) * self.values[l.value.at()].element_bytes();
            cost.read += l.factors.iter().map(|f| weight_bytes(f, &valid)).sum::<u64>();
            let scaled = u64::from(l.scale != Complex64::ONE);
            cost.flops += elements * (6 * l.factors.len() as u64 + 2 * scaled);
        }
        if let Some(post) = step.kernel.post() {
            let read = |f: &&Factor| !step.kernel.loads().iter().any(|l| reads(l, f, &post.extents));
            cost.read += post.factors.iter().filter(read).map(|f| weight_bytes(f, &post.extents)).sum::<u64>();
            cost.flops += len * (2 + 6 * post.factors.len() as u64);
        }
        if let Some(scratch) = step.scratch {
            cost.read += self.values[scratch.at()].bytes();
            cost.written += self.values[scratch.at()].bytes();
        }
        let work = step.kernel.work();
        Cost { read: cost.read + work.read, flops: cost.flops + work.flops, ..cost }
    }

    /// Bytes and flops of the whole plan.
    pub fn cost(&self) -> Cost {
        self.steps.iter().map(|s| self.step_cost(s)).fold(Cost::default(), |a, b| a + b)
    }
}

/// Along each axis, how many indices are read: what a load pads with zeros is not.
fn read(l: &Load) -> Vec<usize> {
    l.valid.iter().zip(&l.extents).map(|(v, &n)| v.count(n)).collect()
}

/// Whether a load reads the same elements of a weight.
fn reads(l: &Load, f: &Factor, extents: &[usize]) -> bool {
    let moving = |access: &Access, extents: &[usize]| -> Vec<(usize, AxisIndex)> {
        let all = extents.iter().copied().zip(access.axes.iter().copied());
        all.filter(|(n, axis)| *n > 1 && *axis != AxisIndex::Linear { stride: 0 }).collect()
    };
    let same = |own: &Factor| {
        let bases = own.access.base == f.access.base;
        own.weight == f.weight && bases && moving(&own.access, &l.extents) == moving(&f.access, extents)
    };
    l.is_total() && l.factors.iter().any(same)
}

/// Bytes of a weight that are read over a box of these extents.
pub(crate) fn weight_bytes(f: &Factor, extents: &[usize]) -> u64 {
    distinct(&f.access, extents) * if f.weight.is_complex() { 8 } else { 4 }
}

/// Distinct elements that an access touches.
fn distinct(access: &Access, extents: &[usize]) -> u64 {
    let moves = |a: &usize| !matches!(access.axes[*a], AxisIndex::Linear { stride: 0 });
    (0..extents.len()).filter(moves).map(|a| extents[a] as u64).product()
}
