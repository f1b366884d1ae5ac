//! Fusion: what stands between two kernels goes into the reads of the second or the store of the first.

use crate::access::{Load, Store};
use crate::error::Result;
use crate::plan::{Steps, Unfused};
use crate::primitive::map::MapKernel;

/// The read of a step that only reads: what can go into the reads behind it.
fn view(step: &Unfused) -> Option<&Load> {
    step.kernel.of_type::<MapKernel>().and_then(MapKernel::view)
}

/// Lets kernels read through index maps, weights and scalars instead of their stored results. Weights that several kernels
/// read are applied once. What cannot be expressed as one read, or not be bound by its reader, stays stored.
pub(super) fn into_reads(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        let Some(load) = view(step).cloned() else { continue };
        let (value, scope) = (step.store.value, step.scope);
        if s.maker(value) != Some(at) || value == s.output && s.readers(value).is_empty() {
            continue;
        }
        if s.uses(value) > 1 && !load.factors.is_empty() {
            continue;
        }
        let mut readers = s.readers(value).to_vec();
        readers.sort_unstable();
        readers.dedup();
        for reader in readers {
            move_into(s, &load, value, scope, reader);
        }
        if s.uses(value) == 0 {
            s.remove(at);
        }
    }
    Ok(())
}

/// Moves a view into the reads of one step that are of its value.
fn move_into(s: &mut Steps, view: &Load, value: crate::access::ValueId, scope: usize, reader: usize) {
    let Some(step) = s.get(reader) else { return };
    // Nothing but moves crosses a container's edge: inwards of whole values only, as weights inside would leave a padded zero
    // that is read as it is, and make -0 of one that is stored.
    let allowed = if step.scope == scope {
        true
    } else if s.lies_within(step.scope, scope) {
        view.only_moves() && view.is_total()
    } else {
        view.only_moves()
    };
    if !allowed {
        return;
    }
    let moved = |(which, load): (usize, &Load)| {
        let moved = if load.value == value { load.onto(view) } else { None };
        moved.filter(|l| step.kernel.takes(l, &s.target)).map(|l| (which, l))
    };
    let all: Vec<(usize, Load)> = step.kernel.loads().iter().enumerate().filter_map(moved).collect();
    for (which, load) in all {
        s.replace_load(reader, which, load);
    }
}

/// Weights on a transform's result go into its store, a scalar on any other kernel's result into its reads, if nothing else
/// reads the result.
pub(super) fn into_stores(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        let Some(load) = view(step).filter(|l| !l.only_moves()).cloned() else { continue };
        let (y, scope) = (step.store, step.scope);
        let Some(maker) = s.maker_for(&load) else { continue };
        let same = s.get(maker).is_some_and(|m| m.scope == scope && m.body == step.body);
        let bindable = s.target.bindable();
        // A weight that is cut into windows is not bound beside others.
        let bound = load.factors.iter().all(|f| f.weight.len() < bindable);
        if !same || !bound || s.maker(y.value) != Some(at) {
            continue;
        }
        let (complex, target) = (s.values[load.value.at()].complex, s.target);
        if s.kernel_mut(maker).is_some_and(|k| k.absorb(&load, complex, &target)) {
            s.remove(at);
            s.redirect(maker, y);
        }
    }
    Ok(())
}

/// The last kernel of a sub-linop stores where its result is joined, if that is one stretch.
pub(super) fn into_places(s: &mut Steps) -> Result<()> {
    for at in 0..s.end() {
        let Some(step) = s.get(at) else { continue };
        let Some(load) = view(step).filter(|l| l.is_plain()).cloned() else { continue };
        let (store, len): (Store, usize) = (step.store, step.kernel.output_len());
        let Some(maker) = s.maker_for(&load) else { continue };
        let anywhere = s.get(maker).is_some_and(|m| m.kernel.stores_anywhere());
        if !anywhere || !store.is_contiguous(len) || !s.may_store_for(maker, at) {
            continue;
        }
        s.remove(at);
        s.redirect(maker, store);
    }
    Ok(())
}
