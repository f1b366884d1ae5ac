//! Executes plans on the CPU: f32 for use, f64 as the oracle of the tests.
//!
//! Work is cut by shape, never by thread count, and every sum has a fixed tree, so results are the same bits for any number
//! of threads. Rayon's current pool is used.

mod element;
mod fft;
mod gather;
mod interpolate;
mod load;
mod reduce;
mod taps;
mod vectors;

pub use element::{HostBuf, Real, Slice};
pub(crate) use vectors::HostVectors;

use crate::error::{Result, shape_err};
use crate::program::{Kernel, Plan, Store};
use element::{Elem, SliceMut};
use fft::AxisPlans;
use load::{Reader, Weights};
use rayon::prelude::*;

/// Elements that one task of a pointwise kernel handles.
const CHUNK: usize = 1 << 13;

/// Scratch and prepared transforms for one plan: what an apply needs for itself alone.
pub struct HostInstance<T: Real> {
    slots: Vec<Vec<T>>,
    transforms: Vec<Option<AxisPlans<T>>>,
}

impl<T: Real> HostInstance<T> {
    /// Allocates what the plan needs.
    pub fn new(plan: &Plan) -> HostInstance<T> {
        let slots = plan.memory.slots.iter().map(|&bytes| vec![T::zero(); bytes as usize / 4]).collect();
        let transforms = plan.steps.iter().map(|s| match &s.kernel {
            Kernel::Fft { load, axes, inverse, centered, keep, .. } => {
                Some(AxisPlans::new(load, axes, *inverse, *centered, keep))
            }
            _ => None,
        });
        HostInstance { slots, transforms: transforms.collect() }
    }

    /// Runs the plan on an input in C order.
    ///
    /// # Errors
    /// The input has another length or dtype than the plan's.
    pub fn run(&mut self, plan: &Plan, input: Slice<T>) -> Result<HostBuf<T>> {
        let want = &plan.values[0];
        if input.len() != want.len() || input.is_complex() != want.complex {
            return shape_err!(
                "the plan takes {} {} values, {} {} came",
                want.len(),
                if want.complex { "complex" } else { "real" },
                input.len(),
                if input.is_complex() { "complex" } else { "real" }
            );
        }
        let out = &plan.values[plan.output.at()];
        let mut output = HostBuf::zeros(out.len(), out.complex);
        for (step, transforms) in plan.steps.iter().zip(&self.transforms) {
            let y = step.store.value;
            let slot = plan.memory.slot_of[y.at()];
            // The written buffer is taken out, so that the others can be read beside it.
            let mut taken = slot.map(|s| std::mem::take(&mut self.slots[s]));
            let dst = match &mut taken {
                Some(raw) => SliceMut::of(raw, plan.values[y.at()].len(), plan.values[y.at()].complex),
                None => output.as_mut(),
            };
            let work = step.kernel.work().and_then(|w| plan.memory.slot_of[w.at()]);
            let mut own = work.map(|w| std::mem::take(&mut self.slots[w])).unwrap_or_default();
            let sources: Vec<Option<Slice<T>>> = step
                .kernel
                .loads()
                .iter()
                .map(|l| match plan.memory.slot_of[l.value.at()] {
                    Some(s) if Some(s) == slot => None,
                    Some(s) => {
                        let v = &plan.values[l.value.at()];
                        Some(Slice::of(&self.slots[s], v.len(), v.complex))
                    }
                    None => Some(input),
                })
                .collect();
            match dst {
                SliceMut::Real(d) => run_step(&step.kernel, &step.store, transforms.as_ref(), &sources, &mut own, d),
                SliceMut::Complex(d) => run_step(&step.kernel, &step.store, transforms.as_ref(), &sources, &mut own, d),
            }
            if let Some(w) = work {
                self.slots[w] = own;
            }
            if let (Some(s), Some(raw)) = (slot, taken) {
                self.slots[s] = raw;
            }
        }
        Ok(output)
    }
}

fn run_step<T: Real, E: Elem<T>>(
    kernel: &Kernel,
    store: &Store,
    transforms: Option<&AxisPlans<T>>,
    sources: &[Option<Slice<T>>],
    work: &mut [T],
    dst: &mut [E],
) {
    let len = kernel.output_len();
    if let (Kernel::Map { load }, false) = (kernel, store.is_contiguous(len)) {
        let reader = Reader::new(load, sources[0]);
        let rows = dst.par_chunks_mut(store.pitch).take(len / store.run).enumerate();
        rows.for_each(|(r, row)| reader.read(r * store.run, &mut row[store.start..store.start + store.run]));
        return;
    }
    let dst = &mut dst[store.start..store.start + len];
    match kernel {
        Kernel::Zero { .. } => dst.par_chunks_mut(CHUNK).for_each(|d| d.fill(E::null())),
        Kernel::Map { load } => {
            let reader = Reader::new(load, sources[0]);
            dst.par_chunks_mut(CHUNK).enumerate().for_each(|(c, d)| reader.read(c * CHUNK, d));
        }
        Kernel::Add { loads } => {
            let readers: Vec<Reader<T>> = loads.iter().zip(sources).map(|(l, s)| Reader::new(l, *s)).collect();
            dst.par_chunks_mut(CHUNK).enumerate().for_each_init(
                || vec![E::null(); CHUNK],
                |term, (c, d)| {
                    readers[0].read(c * CHUNK, d);
                    for r in &readers[1..] {
                        let term = &mut term[..d.len()];
                        r.read(c * CHUNK, term);
                        d.iter_mut().zip(term.iter()).for_each(|(d, t)| *d = *d + *t);
                    }
                },
            );
        }
        Kernel::Reduce { load, kept } => reduce::run(load, *kept, sources[0], dst),
        Kernel::Gather { load, index } => gather::gather(load, index, sources[0], dst),
        Kernel::Scatter { load, index } => gather::scatter(load, index, sources[0], dst),
        Kernel::Interpolate { load, points, .. } => interpolate::interpolate(load, points, sources[0], work, dst),
        Kernel::Spread { load, points, .. } => interpolate::spread(load, points, sources[0], work, dst),
        Kernel::Fft { load, post, .. } => {
            let reader = Reader::new(load, sources[0]);
            let post = Weights::new(&post.extents, &post.factors, post.scale);
            if let (Some(t), Some(d)) = (transforms, E::as_complex_mut(dst)) {
                t.run(&reader, &post, d);
            }
        }
        Kernel::FftPass { .. } => unreachable!("plans for the host hold whole transforms"),
    }
}
