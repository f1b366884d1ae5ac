//! The pass over a plan's steps that lets the last pass of a transform add up what it makes, along an outer axis: coils.
//!
//! A workgroup makes the terms of its sums one after the other and keeps the sums in registers, so that terms are neither stored
//! nor read again. It adds them in their order, as the kernel of sums does. Where too few workgroups would be left, each adds up
//! a part of the terms, and a sum of the parts stays.

use super::gpu::PassKernel;
use super::host::FilterKernel;
use super::passes::{Folded, Lines};
use crate::access::{Access, AxisIndex, Factor, Load, Post, Store, ValueId};
use crate::error::Result;
use crate::plan::{GpuSide, Side, Steps};
use crate::primitive::sum::SumKernel;
use crate::shader::GpuLimits;

/// Moves sums into the transforms in front of them: on a GPU into passes, on the host into filters.
pub(crate) fn into_transforms(s: &mut Steps) -> Result<()> {
    let gpu = match s.target.side() {
        Side::Gpu(gpu) => gpu,
        Side::Host(host) => {
            for at in 0..s.end() {
                let Some((maker, kernel)) = filtered(s, at) else { continue };
                let Some(store) = s.get(at).map(|step| step.store) else { continue };
                s.remove(at);
                s.replace(maker, host.kernel(kernel));
                s.redirect(maker, store);
            }
            return Ok(());
        }
    };
    for at in 0..s.end() {
        let Some((maker, found)) = find(s, at, gpu) else { continue };
        let Some(store) = s.get(at).map(|step| step.store) else { continue };
        match found.parts {
            None => {
                s.remove(at);
                s.replace(maker, gpu.kernel(found.pass));
                s.redirect(maker, store);
            }
            Some(sum) => {
                let value = s.value(sum.extents.clone(), true);
                s.replace(maker, gpu.kernel(found.pass));
                s.redirect(maker, Store::whole(value, s.values[value.at()].len()));
                s.replace(at, gpu.kernel(sum.of(value)));
            }
        }
    }
    Ok(())
}

/// A transform that adds up, and the sum of its parts where there are several.
struct Found {
    pass: PassKernel,
    parts: Option<PartSum>,
}

/// The sum over the axis `axis` of (front, parts, behind).
struct PartSum {
    extents: Vec<usize>,
    axis: usize,
    like: SumKernel,
}

impl PartSum {
    /// The sum over the parts in a value.
    fn of(&self, value: ValueId) -> SumKernel {
        let kept: Vec<usize> = (0..self.extents.len()).filter(|a| *a != self.axis).collect();
        let order = [kept.as_slice(), &[self.axis]].concat();
        self.like.again(Load::whole(value, &self.extents).permuted(&order), kept.len())
    }
}

/// A sum of few terms of what one step makes for it alone: both steps, and what is summed.
fn behind(s: &Steps, at: usize) -> Option<(&SumKernel, usize, Over)> {
    let step = s.get(at)?;
    let sum = step.kernel.of_type::<SumKernel>()?;
    let (load, kept, _) = sum.in_one_loop()?;
    let maker = s.maker(load.value).filter(|_| s.uses(load.value) == 1 && s.maker(step.store.value) == Some(at))?;
    s.get(maker).filter(|m| m.scope == step.scope && m.body == step.body)?;
    let complex = s.values[step.store.value.at()].complex && s.values[load.value.at()].complex;
    if !complex {
        return None;
    }
    Some((sum, maker, Over::new(load, kept, s.values[load.value.at()].len())?))
}

/// A filter of the host with the sum behind it.
fn filtered(s: &Steps, at: usize) -> Option<(usize, FilterKernel)> {
    let (sum, maker, over) = behind(s, at)?;
    let filter = s.get(maker)?.kernel.of_type::<FilterKernel>()?;
    let block = filter.block();
    let blocks = over.behind.is_multiple_of(block).then_some(over.behind / block)?;
    let folded = Folded { terms: over.terms, behind: blocks };
    let (load, ..) = sum.in_one_loop()?;
    Some((maker, filter.summed(folded, &over.extents, &over.factors, load.scale)?))
}

fn find(s: &Steps, at: usize, gpu: GpuSide) -> Option<(usize, Found)> {
    let (sum, maker, over) = behind(s, at)?;
    let (load, _, batch) = sum.in_one_loop()?;
    let pass = s.get(maker)?.kernel.of_type::<PassKernel>()?;
    if !pass.last || pass.folded.is_some() || !pass.post.factors.is_empty() {
        return None;
    }
    let block = (pass.keep.1 - pass.keep.0) * pass.inner;
    let behind = over.behind.is_multiple_of(block).then_some(over.behind / block)?;
    let bindable = s.target.bindable();
    let bound = pass.load.factors.len() + pass.factors() + over.factors.len();
    if bound > s.target.max_factors() || over.factors.iter().any(|f| f.weight.len() >= bindable) {
        return None;
    }
    let folding = pass.pass.folding()?;
    // Counted by the tile that the model would take: what was measured to be faster changes no sum.
    let model = GpuLimits { choices: None, ..gpu.limits };
    let counted = pass.pass.by_model(pass.inner, &model);
    // As for one of several alike sub-linops in one kernel, so that all of them are cut alike.
    let busy = |terms: &usize| {
        let lines = Lines { outer: pass.outer / batch, inner: pass.inner, folded: Some(Folded { terms: *terms, behind }) };
        counted.groups(lines) >= gpu.limits.fill
    };
    let terms = (2..=over.terms).rev().filter(|n| over.terms.is_multiple_of(*n)).find(busy)?;
    let post = Post {
        extents: over.extents.clone(),
        factors: over.factors.clone(),
        scale: pass.post.scale * load.scale,
    };
    let parts = over.terms / terms;
    let parts = (parts > 1).then(|| {
        let mut extents = over.extents.clone();
        extents.splice(over.summed.clone(), [parts]);
        PartSum { extents, axis: over.summed.start, like: sum.clone() }
    });
    let pass = PassKernel { pass: folding, post, folded: Some(Folded { terms, behind }), ..pass.clone() };
    Some((maker, Found { pass, parts }))
}

/// A sum over axes of a stored value that lie side by side.
struct Over {
    /// Extents of the value in its own order, by the axes of the read.
    extents: Vec<usize>,
    /// Which of them are summed over.
    summed: std::ops::Range<usize>,
    terms: usize,
    /// Elements behind the summed axes.
    behind: usize,
    /// The weights over these extents.
    factors: Vec<Factor>,
}

impl Over {
    /// Of a read of each of `len` elements once, summed over its axes from `kept` on; None where results or terms are in another
    /// order than their elements.
    fn new(load: &Load, kept: usize, len: usize) -> Option<Over> {
        if load.source.base != 0 || !load.is_total() || load.count() != len {
            return None;
        }
        let stride = |a: usize| match load.source.axes[a] {
            AxisIndex::Linear { stride } if stride > 0 => Some(stride),
            _ => None,
        };
        let long = |range: std::ops::Range<usize>| range.filter(|&a| load.extents[a] > 1).collect::<Vec<_>>();
        let (results, terms) = (long(0..kept), long(kept..load.extents.len()));
        let falling = |axes: &[usize]| axes.windows(2).all(|w| stride(w[0]) > stride(w[1]));
        let mut axes: Vec<usize> = results.iter().chain(&terms).copied().collect();
        let strides = axes.iter().map(|&a| stride(a)).collect::<Option<Vec<_>>>()?;
        if terms.is_empty() || !falling(&results) || !falling(&terms) {
            return None;
        }
        let by = |a: &usize| std::cmp::Reverse(axes.iter().position(|b| a == b).map(|k| strides[k]));
        let mut sorted = axes.clone();
        sorted.sort_by_key(by);
        axes = sorted;
        let extents: Vec<usize> = axes.iter().map(|&a| load.extents[a]).collect();
        let own = Access::c_order(&extents);
        if axes.iter().zip(&own.axes).any(|(&a, own)| load.source.axes[a] != *own) {
            return None;
        }
        let first = axes.iter().position(|a| terms.contains(a))?;
        let summed = first..first + terms.len();
        if axes[summed.clone()].iter().any(|a| !terms.contains(a)) {
            return None;
        }
        let over = |f: &Factor| Factor {
            weight: f.weight.clone(),
            conj: f.conj,
            // An axis of extent 1 adds what it has at 0.
            access: Access {
                base: f.access.base + (0..load.extents.len()).filter(|a| !axes.contains(a)).map(|a| f.access.axes[a].at(0)).sum::<i64>(),
                axes: axes.iter().map(|&a| f.access.axes[a]).collect(),
            },
        };
        Some(Over {
            terms: extents[summed.clone()].iter().product(),
            behind: extents[summed.end..].iter().product(),
            factors: load.factors.iter().map(over).collect(),
            extents,
            summed,
        })
    }
}
