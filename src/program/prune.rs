//! Transforms along several axes, taken apart where that leaves work undone: an axis is padded right before its own transform
//! and cropped right after, so that lines of zeros are never transformed and lines that nobody wants never made.
//!
//! The last axis of a transform is the first of its inverse, so that what happens between the two meets lines that lie in the
//! same place, and both become one pass.

use super::*;
use crate::error::Result;
use std::collections::HashMap;

/// The program with its transforms taken apart so.
pub(crate) fn prune(p: &Program) -> Result<Program> {
    let plan = Pruned::of(p);
    if plan.transforms.is_empty() && !p.nodes.iter().any(|n| matches!(n.op, Op::Parallel(_))) {
        return Ok(p.clone());
    }
    let mut b = Builder::new(&p.input);
    let mut ids = vec![ValueId::INPUT];
    for (i, node) in p.nodes.iter().enumerate() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|v| ids[v.at()]).collect();
        let id = match &node.op {
            Op::Fft { inverse, centered, scale, .. } if plan.transforms.contains_key(&i) => {
                let parts = &plan.transforms[&i];
                let mut v = inputs[0];
                for (k, part) in parts.iter().enumerate() {
                    if let Some(pad) = part.pad {
                        v = b.map_axis(v, part.axis, pad, part.n)?;
                    }
                    let scale = if k + 1 == parts.len() { *scale } else { 1.0 };
                    v = b.fft(v, &[part.axis], *inverse, *centered, scale)?;
                    if let Some((crop, kept)) = part.crop {
                        v = b.map_axis(v, part.axis, crop, kept)?;
                    }
                }
                v
            }
            Op::Map(axes) if plan.moved.contains_key(&i) => {
                let (mut axes, mut extents) = (axes.clone(), node.extents.clone());
                for &k in &plan.moved[&i] {
                    if let MapAxis::From(from, _) = axes[k] {
                        extents[k] = b.extents(inputs[0])[from];
                        axes[k] = MapAxis::From(from, AxisMap::identity(extents[k]));
                    }
                }
                b.map(inputs[0], axes, extents)?
            }
            Op::Parallel(par) => {
                let children = par.children.iter().map(prune).collect::<Result<_>>()?;
                b.parallel(inputs[0], Parallel { children, ..(**par).clone() })?
            }
            op => b.push(op.clone(), inputs, node.extents.clone()),
        };
        ids.push(id);
    }
    Ok(b.finish(ids[p.output.at()]))
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
struct Pruned {
    /// The axes of transforms, in order.
    transforms: HashMap<usize, Vec<Part>>,
    /// The axes of index maps that went to a transform.
    moved: HashMap<usize, Vec<usize>>,
}

impl Pruned {
    fn of(p: &Program) -> Pruned {
        let uses = p.uses();
        let mut all = Pruned::default();
        // The only reader of a value.
        let mut reader: HashMap<usize, usize> = HashMap::new();
        for (i, node) in p.nodes.iter().enumerate() {
            node.inputs.iter().filter(|v| uses[v.at()] == 1).for_each(|v| {
                reader.insert(v.at(), i);
            });
        }
        for (i, node) in p.nodes.iter().enumerate() {
            let Op::Fft { axes, .. } = &node.op else { continue };
            if axes.len() < 2 {
                continue;
            }
            let part = |&axis: &usize| Part { axis, n: node.extents[axis], pad: None, crop: None };
            let mut parts: Vec<Part> = axes.iter().map(part).collect();
            let (mut padded, mut cropped) = (false, false);
            let x = node.inputs[0];
            if let (Some(m), 1) = (x.at().checked_sub(1), uses[x.at()])
                && let Op::Map(map) = &p.nodes[m].op
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
                && let Op::Map(map) = &p.nodes[m].op
            {
                for part in &mut parts {
                    let own = |a: &MapAxis| matches!(a, MapAxis::From(from, _) if *from == part.axis);
                    let Some(k) = map.iter().position(own) else { continue };
                    let kept = p.nodes[m].extents[k];
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
    let Op::Fft { axes, inverse, centered, .. } = &node.op else { return false };
    let mut at = node.inputs[0];
    while let (Some(i), 1) = (at.at().checked_sub(1), uses[at.at()]) {
        match &p.nodes[i].op {
            Op::Mul { .. } | Op::Scale(_) => at = p.nodes[i].inputs[0],
            Op::Fft { axes: a, inverse: i, centered: c, .. } => return a == axes && i != inverse && c == centered,
            _ => return false,
        }
    }
    false
}
