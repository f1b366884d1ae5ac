//! Transforms along several axes, taken apart where that leaves work undone: an axis is padded right before its own transform
//! and cropped right after, so that lines of zeros are never transformed and lines that nobody wants never made.
//!
//! The last axis of a transform is the first of its inverse, so that what happens between the two meets lines that lie in the
//! same place, and both become one pass.

use super::Fft;
use crate::access::{AxisMap, MapAxis};
use crate::error::Result;
use crate::ir::{Node, Op, Parallel, Program};
use std::collections::HashMap;

/// The program with its transforms taken apart so.
pub(crate) fn split_axes(p: &Program) -> Result<Program> {
    let plan = Split::of(p);
    let mut at = 0;
    p.rewritten(&mut |b, node, inputs| {
        let i = at;
        at += 1;
        match &node.op {
            Op::Primitive(_) => {
                let (Some(f), Some(parts)) = (node.op.of_type::<Fft>(), plan.transforms.get(&i)) else {
                    return Ok(None);
                };
                let mut v = inputs[0];
                for (k, part) in parts.iter().enumerate() {
                    if let Some(pad) = part.pad {
                        v = b.map_axis(v, part.axis, pad, part.n)?;
                    }
                    let scale = if k + 1 == parts.len() { f.scale } else { 1.0 };
                    v = b.fft(v, &[part.axis], f.inverse, f.centered, scale)?;
                    if let Some((crop, kept)) = part.crop {
                        v = b.map_axis(v, part.axis, crop, kept)?;
                    }
                }
                Ok(Some(v))
            }
            Op::Map(axes) => {
                let Some(moved) = plan.moved.get(&i) else { return Ok(None) };
                let (mut axes, mut extents) = (axes.clone(), node.extents.clone());
                for &k in moved {
                    if let MapAxis::From(from, _) = axes[k] {
                        extents[k] = b.extents(inputs[0])[from];
                        axes[k] = MapAxis::From(from, AxisMap::identity(extents[k]));
                    }
                }
                b.map(inputs[0], axes, extents).map(Some)
            }
            Op::Parallel(p) => {
                let children = p.children.iter().map(split_axes).collect::<Result<_>>()?;
                b.parallel(inputs[0], Parallel { children, ..(**p).clone() }).map(Some)
            }
            Op::Zero | Op::Scale(_) | Op::Mul { .. } | Op::Reshape | Op::Sum(_) | Op::Add => Ok(None),
        }
    })
}

/// One axis of a transform.
struct Part {
    axis: usize,
    n: usize,
    pad: Option<AxisMap>,
    crop: Option<(AxisMap, usize)>,
}

/// What becomes of each node.
#[derive(Default)]
struct Split {
    /// The axes of transforms, in order.
    transforms: HashMap<usize, Vec<Part>>,
    /// The axes of index maps that went to a transform.
    moved: HashMap<usize, Vec<usize>>,
}

impl Split {
    fn of(p: &Program) -> Split {
        let uses = p.uses();
        let mut all = Split::default();
        // The only reader of a value.
        let mut reader: HashMap<usize, usize> = HashMap::new();
        for (i, node) in p.nodes().iter().enumerate() {
            node.inputs.iter().filter(|v| uses[v.at()] == 1).for_each(|v| {
                reader.insert(v.at(), i);
            });
        }
        for (i, node) in p.nodes().iter().enumerate() {
            let Some(Fft { axes, .. }) = node.op.of_type() else { continue };
            if axes.len() < 2 {
                continue;
            }
            let part = |&axis: &usize| Part { axis, n: node.extents[axis], pad: None, crop: None };
            let mut parts: Vec<Part> = axes.iter().map(part).collect();
            let (mut padded, mut cropped) = (false, false);
            let x = node.inputs[0];
            if let (Some(m), 1) = (x.at().checked_sub(1), uses[x.at()])
                && let Op::Map(map) = &p.nodes()[m].op
            {
                for part in &mut parts {
                    if let MapAxis::From(_, by) = map[part.axis]
                        && is_unit(&by)
                        && !by.is_total(part.n)
                    {
                        part.pad = Some(by);
                        padded = true;
                        all.moved.entry(m).or_default().push(part.axis);
                    }
                }
            }
            if let Some(&m) = reader.get(&(i + 1))
                && let Op::Map(map) = &p.nodes()[m].op
            {
                for part in &mut parts {
                    let own = |a: &MapAxis| matches!(a, MapAxis::From(from, _) if *from == part.axis);
                    let Some(k) = map.iter().position(own) else { continue };
                    let kept = p.nodes()[m].extents[k];
                    if let MapAxis::From(_, by) = map[k]
                        && is_unit(&by)
                        && by.is_total(kept)
                        && kept < part.n
                    {
                        part.crop = Some((by, kept));
                        cropped = true;
                        all.moved.entry(m).or_default().push(k);
                    }
                }
            }
            let mirrored = is_mirrored(p, &uses, node);
            if !padded && !cropped && !mirrored {
                continue;
            }
            // Outermost first where it is the way back, innermost first else.
            if !cropped && !mirrored {
                parts.reverse();
            }
            all.transforms.insert(i, parts);
        }
        all
    }
}

/// Whether an axis is moved, padded or cropped, and no more.
fn is_unit(m: &AxisMap) -> bool {
    m.num == 1 && m.den == 1 && !m.wrap
}

/// Whether a transform takes back another one but for weights.
fn is_mirrored(p: &Program, uses: &[usize], node: &Node) -> bool {
    let Some(f) = node.op.of_type::<Fft>() else { return false };
    let mut at = node.inputs[0];
    while let (Some(i), 1) = (at.at().checked_sub(1), uses[at.at()]) {
        let below = &p.nodes()[i];
        if let Op::Mul { .. } | Op::Scale(_) = &below.op {
            at = below.inputs[0];
            continue;
        }
        return below.op.of_type::<Fft>().is_some_and(|o| {
            o.axes == f.axes && o.inverse != f.inverse && o.centered == f.centered
        });
    }
    false
}
