//! The planner: from a program to a plan, by a list of passes.
//!
//! ```text
//! program ─▶ PROGRAM_PASSES ─▶ lower ─▶ steps, nothing fused ─▶ STEP_PASSES ─▶ finish: waves, memory ─▶ plan
//! ```
//!
//! Program passes rewrite the graph for a target. Lowering makes one step or more of each node, in order, and keeps the
//! sub-linops of containers apart. Step passes fuse: reads first, then filters, what nobody reads, weights on results, places of
//! results. Each is a function over [`Steps`] that counts uses and can be tested alone. A pass that chooses layouts would come
//! before the reads are fused, one that chooses among tuned variants after the last.

mod bindings;
mod containers;
mod crop;
mod finish;
mod fuse;
mod key;
mod lower;
mod memory;
mod queues;
mod waves;

pub(crate) use key::PlanKey;
#[cfg(feature = "gpu")]
pub(crate) use queues::queue_share;

use crate::error::{Error, Result};
use crate::ir::{Op, Program};
use crate::plan::{Plan, PlanOptions, Steps, Target};
use crate::primitive::{custom, fft};

/// A pass over a program, for a target.
type ProgramPass = fn(&Program, &Target) -> Result<Program>;

/// A pass over steps.
type StepPass = fn(&mut Steps) -> Result<()>;

/// What is done to a program before it is lowered, in order.
const PROGRAM_PASSES: &[(&str, ProgramPass)] = &[
    ("on the host something stands for kernels of one's own", own_on_host),
    ("composite primitives are expanded", expand),
    ("what a device cannot run is refused before anything is made for it", fits),
    ("transforms go axis by axis where that leaves work undone", split_axes),
    ("transforms of awkward length are convolutions", legalize),
    ("transforms that a filter is made of know of each other", find_pairs),
    ("and what that has made larger is looked at again", fits),
];

/// What is done to steps before they are a plan, in order.
const STEP_PASSES: &[(&str, StepPass)] = &[
    ("index maps and weights go into the reads behind them", fuse::into_reads),
    ("a transform, weights and the transform back become a filter", fft::find_filters),
    ("what nobody reads of a transform is not made", crop::unread_parts),
    ("weights on a result go into its store", fuse::into_stores),
    ("a transform adds up what it makes, along an outer axis", fft::into_transforms),
    ("results of sub-linops are stored where they are joined", fuse::into_places),
    ("sums of more terms than a kernel binds are cut", bindings::cut_sums),
];

impl Program {
    /// Plans the program for a target, for a complex or a real input.
    ///
    /// The caller simplifies first; what is planned is what stands here.
    ///
    /// # Errors
    /// [`Error::TooBig`] where one line of a transform exceeds the target's binding limit, or a value its largest buffer.
    pub fn schedule(&self, target: &Target, complex_input: bool) -> Result<Plan> {
        self.schedule_with(target, complex_input, &PlanOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As for [`schedule`](Program::schedule).
    pub fn schedule_with(&self, target: &Target, complex_input: bool, options: &PlanOptions) -> Result<Plan> {
        let program = ready(self, target)?;
        let mut steps = lower::lower(&program, target, complex_input, options)?;
        for (_, pass) in STEP_PASSES {
            pass(&mut steps)?;
        }
        let mut plan = finish::finish(steps)?;
        queues::spread(&mut plan, options);
        Ok(plan)
    }
}

/// The program after all program passes.
fn ready(p: &Program, target: &Target) -> Result<Program> {
    PROGRAM_PASSES.iter().try_fold(p.clone(), |p, (_, pass)| pass(&p, target))
}

fn own_on_host(p: &Program, target: &Target) -> Result<Program> {
    match target {
        Target::Host => custom::on_host(p),
        Target::Gpu(_) => Ok(p.clone()),
    }
}

/// The program with every composite primitive expanded.
fn expand(p: &Program, _: &Target) -> Result<Program> {
    p.rewritten(&mut |b, node, inputs| match (&node.op, inputs) {
        (Op::Primitive(primitive), [x]) => primitive.expand(b, *x),
        _ => Ok(None),
    })
}

/// Whether all values fit a buffer and every primitive's own needs are met. Linear indices of kernels are 32 bits wide.
fn fits(p: &Program, target: &Target) -> Result<Program> {
    check(p, target)?;
    Ok(p.clone())
}

fn check(p: &Program, target: &Target) -> Result<()> {
    let most = match target {
        Target::Host => return Ok(()),
        Target::Gpu(limits) => limits.max_buffer.min(4 * u64::from(u32::MAX)),
    };
    let bytes = |extents: &[usize]| extents.iter().try_fold(4u64, |n, &e| n.checked_mul(e as u64)).unwrap_or(u64::MAX);
    for extents in std::iter::once(p.input_extents()).chain(p.nodes().iter().map(|n| &n.extents[..])) {
        if bytes(extents) > most {
            let what = format!("a value of extents {extents:?}");
            return Err(Error::TooBig { what, needed: bytes(extents), limit: most });
        }
    }
    for node in p.nodes() {
        match &node.op {
            Op::Parallel(par) => par.children.iter().try_for_each(|c| check(c, target))?,
            Op::Primitive(primitive) => primitive.fits(p.extents(node.inputs[0]), target)?,
            Op::Zero | Op::Scale(_) | Op::Mul { .. } | Op::Map(_) | Op::Reshape | Op::Sum(_) | Op::Add => {}
        }
    }
    Ok(())
}

fn split_axes(p: &Program, target: &Target) -> Result<Program> {
    match target {
        Target::Host => Ok(p.clone()),
        Target::Gpu(_) => fft::split_axes(p),
    }
}

fn legalize(p: &Program, target: &Target) -> Result<Program> {
    match target {
        Target::Host => Ok(p.clone()),
        Target::Gpu(limits) => fft::legalize(p, limits),
    }
}

fn find_pairs(p: &Program, target: &Target) -> Result<Program> {
    match target {
        Target::Host => Ok(p.clone()),
        Target::Gpu(_) => fft::find_pairs(p),
    }
}

#[cfg(test)]
mod tests;
