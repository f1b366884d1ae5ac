//! Transforms of which only a part is read, as a crop does, need not make the rest.

use super::*;
use crate::program::access::c_strides;

impl Scheduler {
    /// Says of every whole transform which box of its result is read.
    pub(super) fn crop(&mut self, output: ValueId) {
        for i in 0..self.steps.len() {
            let value = self.steps[i].store.value;
            let whole = self.steps[i].store == Store::whole(value, self.values[value.at()].len());
            let written = self.steps.iter().filter(|s| s.store.value == value).count();
            if value == output || !whole || written > 1 {
                continue;
            }
            // Its own extents: a container's result may have others, in the same order.
            let Kernel::Fft { load, .. } = &self.steps[i].kernel else { continue };
            let extents = load.extents.clone();
            let loads = self.steps.iter().flat_map(|s| s.kernel.loads()).filter(|l| l.value == value);
            // The smallest box that holds all that is read.
            let read = loads.map(|l| read_box(l, &extents)).reduce(|a, b| {
                let (a, b) = (a?, b?);
                Some(a.iter().zip(&b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))).collect())
            });
            if let (Some(Some(read)), Kernel::Fft { keep, .. }) = (read, &mut self.steps[i].kernel) {
                *keep = read;
            }
        }
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
