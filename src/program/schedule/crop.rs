//! Transforms of which only a part is read, as a crop does, need not make the rest.

use super::*;
use crate::program::access::c_strides;

impl Scheduler {
    /// Says of every whole transform which box of its result is read.
    pub(super) fn crop(&mut self, output: ValueId) {
        for i in 0..self.steps.len() {
            if !matches!(self.steps[i].kernel, Kernel::Fft { .. }) {
                continue;
            }
            if let (Some(read), Kernel::Fft { keep, .. }) = (self.read_of(i, output), &mut self.steps[i].kernel) {
                *keep = read;
            }
        }
    }

    /// The smallest box of a step's result, within the extents of its read, that holds all that is read; None where that
    /// is not known.
    pub(super) fn read_of(&self, i: usize, output: ValueId) -> Option<Vec<(usize, usize)>> {
        let value = self.steps[i].store.value;
        let whole = self.steps[i].store == Store::whole(value, self.values[value.at()].len());
        let written = self.steps.iter().filter(|s| s.store.value == value).count();
        if value == output || !whole || written > 1 {
            return None;
        }
        // Its own extents: a container's result may have others, in the same order.
        let extents = &self.steps[i].kernel.loads().first()?.extents;
        let loads = self.steps.iter().flat_map(|s| s.kernel.loads()).filter(|l| l.value == value);
        let boxes = loads.map(|l| read_box(l, extents));
        let both = |a: Option<Vec<(usize, usize)>>, b: Option<Vec<(usize, usize)>>| {
            Some(a?.iter().zip(&b?).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))).collect())
        };
        boxes.reduce(both)?
    }
}

/// The box of a value that a load reads, if it reads each axis of it by an axis of its own in steps of one.
fn read_box(load: &Load, extents: &[usize]) -> Option<Vec<(usize, usize)>> {
    let strides = c_strides(extents);
    let mut base = load.source.base;
    let mut found = 0;
    let mut ranges = Vec::with_capacity(extents.len());
    for (&stride, &extent) in strides.iter().zip(extents) {
        let offset = base / stride;
        base -= offset * stride;
        let mut own = (0..load.extents.len()).filter(|&a| load.source.axes[a] == AxisIndex::Linear { stride });
        let first = usize::try_from(offset).ok()?;
        if extent == 1 {
            ranges.push((0, 1));
            continue;
        }
        let end = match (own.next(), own.next()) {
            (Some(a), None) => {
                found += 1;
                first + load.extents[a]
            }
            (None, _) => first + 1,
            _ => return None,
        };
        if end > extent {
            return None;
        }
        ranges.push((first, end));
    }
    let moving = load.source.axes.iter().filter(|a| !matches!(a, AxisIndex::Linear { stride: 0 })).count();
    (base == 0 && found == moving && load.is_total()).then_some(ranges)
}

/// A load whose box is known, of a value of which only `keep` is stored from now on.
pub(super) fn cut_out(load: &mut Load, extents: &[usize], keep: &[(usize, usize)]) {
    let kept: Vec<usize> = keep.iter().map(|k| k.1 - k.0).collect();
    let (old, new) = (c_strides(extents), c_strides(&kept));
    let mut rest = load.source.base;
    let mut base = 0;
    for (a, &stride) in old.iter().enumerate() {
        base += (rest / stride - keep[a].0 as i64) * new[a];
        rest %= stride;
    }
    load.source.base = base;
    for axis in &mut load.source.axes {
        let AxisIndex::Linear { stride } = axis else { continue };
        if let Some(a) = (0..old.len()).find(|&a| extents[a] > 1 && old[a] == *stride) {
            *stride = new[a];
        }
    }
}
