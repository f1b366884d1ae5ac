//! What nobody reads of a result need not be made.

use crate::access::{AxisIndex, Load, Store, c_strides};
use crate::error::Result;
use crate::plan::Steps;

/// First and end along each axis.
type Extent = (usize, usize);

/// Tells every kernel which box of its result is read; where it stores no more than a box from then on, its readers follow.
pub(super) fn unread_parts(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        let value = step.store.value;
        let own = s.maker(value) == Some(at) && value != s.output;
        if !own {
            continue;
        }
        let extents = s.values[value.at()].extents.clone();
        let Some(read) = read_of(s, value, &extents) else { continue };
        let Some(keep) = s.kernel_mut(at).and_then(|k| k.crop(&extents, &read)) else { continue };
        let mut readers = s.readers(value).to_vec();
        readers.sort_unstable();
        readers.dedup();
        for reader in readers {
            let Some(kernel) = s.kernel_mut(reader) else { continue };
            kernel.loads_mut().iter_mut().filter(|l| l.value == value).for_each(|l| cut_out(l, &extents, &keep));
        }
        let kept: Vec<usize> = keep.iter().map(|k| k.1 - k.0).collect();
        s.redirect(at, Store::whole(value, kept.iter().product()));
        s.values[value.at()].extents = kept;
    }
    Ok(())
}

/// The smallest box of a value that holds all that is read; None where that is not known, or nothing is.
fn read_of(s: &Steps, value: crate::access::ValueId, extents: &[usize]) -> Option<Vec<Extent>> {
    let mut readers = s.readers(value).to_vec();
    readers.sort_unstable();
    readers.dedup();
    let mut all: Option<Vec<Extent>> = None;
    for reader in readers {
        for load in s.get(reader)?.kernel.loads().iter().filter(|l| l.value == value) {
            let read = read_box(load, extents)?;
            all = Some(match all {
                None => read,
                Some(all) => all.iter().zip(&read).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))).collect(),
            });
        }
    }
    all
}

/// The box of a value that a load reads, if it reads each axis of it by an axis of its own in steps of one.
fn read_box(load: &Load, extents: &[usize]) -> Option<Vec<Extent>> {
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
fn cut_out(load: &mut Load, extents: &[usize], keep: &[Extent]) {
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
            *stride = if kept[a] > 1 { new[a] } else { 0 };
        }
    }
    // It is no longer what its changes made of the whole value.
    load.done.clear();
}
