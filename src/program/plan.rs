//! The plan: what an executor runs, step by step, with every buffer decided.

use super::points::Weights;
use super::{
    Constant, Factor, Filter, IndexList, Item, Load, MemoryPlan, NONUNIFORM_BLOCK, Points, Region, Target, ValueId,
};
use num_complex::Complex64;
use std::collections::HashSet;

/// A scheduled program: immutable, shared by all instances that run it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it was made for.
    pub target: Target,
    /// Stored values; 0 is the input.
    pub values: Vec<PlanValue>,
    /// The kernels, in an order that is right one after the other.
    pub steps: Vec<Step>,
    /// The steps again, with those of containers set apart.
    pub body: Vec<Item>,
    /// The steps that may run together, one set after the other.
    pub waves: Vec<Vec<usize>>,
    /// The value that is the result.
    pub output: ValueId,
    /// Where each value lives.
    pub memory: MemoryPlan,
    /// Containers, and how each was scheduled.
    pub regions: Vec<Region>,
}

/// A stored value: C order, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanValue {
    /// Extents.
    pub extents: Vec<usize>,
    /// Complex (8 bytes an element) or real (4).
    pub complex: bool,
}

/// One kernel launch.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is computed.
    pub kernel: Kernel,
    /// Where the result goes.
    pub store: Store,
}

/// Where the elements of a step's result go: element `i` to `(i / run)·pitch + start + i % run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Store {
    /// The value that is written.
    pub value: ValueId,
    /// Elements in a row.
    pub run: usize,
    /// From one row to the next.
    pub pitch: usize,
    /// The first element.
    pub start: usize,
}

/// The kernels. All read through a [`Load`].
#[derive(Clone, Debug)]
pub enum Kernel {
    /// Zeros.
    Zero {
        /// How many.
        len: usize,
    },
    /// The load, stored.
    Map {
        /// The read.
        load: Load,
    },
    /// The load summed over all axes from `kept` on.
    Reduce {
        /// The read: kept axes first.
        load: Load,
        /// Number of kept axes.
        kept: usize,
        /// Sub-linops side by side in this kernel: what is decided by the number of sums is decided by those of one.
        batch: usize,
    },
    /// The sum of the loads, from the first on.
    Add {
        /// The reads, of equal extents.
        loads: Vec<Load>,
    },
    /// `y[o, m, i] = x[o, index[m], i]`.
    Gather {
        /// The read, of extents (outer, index extent, inner).
        load: Load,
        /// The index.
        index: IndexList,
    },
    /// `y[o, g, i] = Σ x[o, m, i]` over the `m` with `index[m] = g`.
    Scatter {
        /// The read, of extents (outer, indices, inner).
        load: Load,
        /// The index.
        index: IndexList,
    },
    /// From a grid to points.
    Interpolate {
        /// The read, of extents (batch, grid…).
        load: Load,
        /// The points.
        points: Points,
        /// Where their weights come from.
        weights: Weights,
        /// A value that the kernel alone writes and reads.
        work: Option<ValueId>,
    },
    /// From points to a grid.
    Spread {
        /// The read, of extents (batch, points).
        load: Load,
        /// The points.
        points: Points,
        /// Where their weights come from.
        weights: Weights,
        /// A value that the kernel alone writes and reads.
        work: Option<ValueId>,
    },
    /// Fourier transform along axes of the load (host).
    Fft {
        /// The read.
        load: Load,
        /// Transformed axes, ascending.
        axes: Vec<usize>,
        /// Sign and origin.
        inverse: bool,
        /// Origin at N/2.
        centered: bool,
        /// Weights and scalar on the result.
        post: Post,
        /// First and end of what is read of the result, axis by axis; the rest need not be made.
        keep: Vec<(usize, usize)>,
    },
    /// Fourier transform, weights, and the transform back (host).
    Filter {
        /// The read.
        load: Load,
        /// Axes, weights, and what is made of the result.
        filter: Box<Filter>,
        /// Weights and scalar on the result.
        post: Post,
        /// A value that the kernel alone writes and reads; without one it works in its result.
        work: Option<ValueId>,
    },
    /// One pass of a Fourier transform along the middle axis of (outer, n, inner) (GPU).
    FftPass {
        /// The read, of as many elements as (outer, n, inner).
        load: Load,
        /// The pass.
        pass: crate::fft::FftPass,
        /// Outer extent.
        outer: usize,
        /// Inner extent.
        inner: usize,
        /// First pass of its transform: takes direction and origin into account.
        first: bool,
        /// Last pass: direction, origin, and `post`.
        last: bool,
        /// Conjugate transform.
        inverse: bool,
        /// Index of the origin.
        shift: usize,
        /// Weights on the coefficients, where the transform back follows in the same pass.
        middle: Option<Post>,
        /// Weights and scalar on the result, in the last pass.
        post: Post,
        /// First and end of what is stored along the axis.
        keep: (usize, usize),
    },
}

/// What is multiplied to a result as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Extents that the factors' accesses run over (C order of the result).
    pub extents: Vec<usize>,
    /// Weights.
    pub factors: Vec<Factor>,
    /// Scalar.
    pub scale: Complex64,
}

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

impl PlanValue {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.extents.iter().product()
    }

    /// Never: extents are at least 1.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of one element.
    pub fn element_bytes(&self) -> u64 {
        if self.complex { 8 } else { 4 }
    }

    /// Bytes that the value takes.
    pub fn bytes(&self) -> u64 {
        self.len() as u64 * self.element_bytes()
    }
}

impl Post {
    /// Only a scalar.
    pub fn scalar(extents: &[usize], scale: f64) -> Post {
        Post { extents: extents.to_vec(), factors: Vec::new(), scale: Complex64::new(scale, 0.0) }
    }
}

impl Store {
    /// The whole of a value of `len` elements, in order.
    pub fn whole(value: ValueId, len: usize) -> Store {
        Store { value, run: len, pitch: len, start: 0 }
    }

    /// Whether the elements go to one stretch of the value.
    pub fn is_contiguous(&self, len: usize) -> bool {
        self.run >= len || self.run == self.pitch
    }
}

impl Kernel {
    /// The reads of this kernel.
    pub fn loads(&self) -> &[Load] {
        match self {
            Kernel::Zero { .. } => &[],
            Kernel::Add { loads } => loads,
            Kernel::Map { load }
            | Kernel::Reduce { load, .. }
            | Kernel::Gather { load, .. }
            | Kernel::Scatter { load, .. }
            | Kernel::Interpolate { load, .. }
            | Kernel::Spread { load, .. }
            | Kernel::Fft { load, .. }
            | Kernel::Filter { load, .. }
            | Kernel::FftPass { load, .. } => std::slice::from_ref(load),
        }
    }

    pub(crate) fn loads_mut(&mut self) -> &mut [Load] {
        match self {
            Kernel::Zero { .. } => &mut [],
            Kernel::Add { loads } => loads,
            Kernel::Map { load }
            | Kernel::Reduce { load, .. }
            | Kernel::Gather { load, .. }
            | Kernel::Scatter { load, .. }
            | Kernel::Interpolate { load, .. }
            | Kernel::Spread { load, .. }
            | Kernel::Fft { load, .. }
            | Kernel::Filter { load, .. }
            | Kernel::FftPass { load, .. } => std::slice::from_mut(load),
        }
    }

    /// Number of elements of the result.
    pub fn output_len(&self) -> usize {
        let len = |l: &Load| l.extents.iter().product::<usize>();
        match self {
            Kernel::Zero { len } => *len,
            Kernel::Add { loads } => len(&loads[0]),
            Kernel::Map { load } | Kernel::Fft { load, .. } => len(load),
            Kernel::FftPass { outer, inner, keep, .. } => outer * (keep.1 - keep.0) * inner,
            Kernel::Filter { filter, .. } => filter.kept().iter().product(),
            Kernel::Reduce { load, kept, .. } => load.extents[..*kept].iter().product(),
            Kernel::Gather { load, index } => load.extents[0] * index.indices().len() * load.extents[2],
            Kernel::Scatter { load, index } => load.extents[0] * index.extent() * load.extents[2],
            Kernel::Interpolate { load, points, .. } => load.extents[0] * points.count(),
            Kernel::Spread { load, points, .. } => load.extents[0] * points.grid().iter().product::<usize>(),
        }
    }

    /// The value that the kernel needs for itself.
    pub fn work(&self) -> Option<ValueId> {
        match self {
            Kernel::Interpolate { work, .. } | Kernel::Spread { work, .. } | Kernel::Filter { work, .. } => *work,
            _ => None,
        }
    }

    /// What is multiplied to the result.
    pub fn post(&self) -> Option<&Post> {
        match self {
            Kernel::Fft { post, .. } | Kernel::Filter { post, .. } | Kernel::FftPass { post, last: true, .. } => {
                Some(post)
            }
            _ => None,
        }
    }

    /// A short name for listings.
    pub fn name(&self) -> &'static str {
        match self {
            Kernel::Zero { .. } => "zero",
            Kernel::Map { .. } => "map",
            Kernel::Reduce { .. } => "reduce",
            Kernel::Add { .. } => "add",
            Kernel::Gather { .. } => "gather",
            Kernel::Scatter { .. } => "scatter",
            Kernel::Interpolate { .. } => "interpolate",
            Kernel::Spread { .. } => "spread",
            Kernel::Fft { .. } => "fft",
            Kernel::Filter { .. } => "filter",
            Kernel::FftPass { .. } => "fft pass",
        }
    }

    /// Whether the result may overwrite the value that load `which` reads: every element is read only to make itself (or,
    /// in a transform, by the workgroup or task that has read its lines whole). On the host a map gains nothing there, and
    /// an addition reads the overwritten term first.
    pub fn may_overwrite(&self, which: usize, target: &Target) -> bool {
        match self {
            Kernel::Map { .. } if *target == Target::Host => false,
            Kernel::Add { .. } if *target == Target::Host && which > 0 => false,
            Kernel::Map { load } => load.is_in_order() && in_one_window(load, target),
            Kernel::Add { loads } => loads[which].is_in_order() && in_one_window(&loads[which], target),
            Kernel::Fft { load, .. } => load.is_in_order(),
            Kernel::Filter { load, work, .. } => load.is_in_order() && work.is_none(),
            Kernel::FftPass { load, pass, .. } => load.is_in_order() && pass.in_place(),
            _ => false,
        }
    }
}

/// Whether the weights of an in-order read are bound whole for every stretch of results. A read that needs several
/// dispatches must not overwrite its source in the first of them.
fn in_one_window(load: &Load, target: &Target) -> bool {
    let room = (target.max_binding() / 8).saturating_sub(64);
    load.factors.iter().all(|f| f.weight.len() as u64 <= room || f.access == super::Access::c_order(&load.extents))
}

impl Plan {
    /// Bytes and flops of one step.
    pub fn step_cost(&self, step: &Step) -> Cost {
        let len = step.kernel.output_len() as u64;
        let loads = step.kernel.loads();
        let weights = |f: &Factor, e: &[usize]| distinct(&f.access, e) * if f.weight.is_complex() { 8 } else { 4 };
        // What a load pads with zeros is not read.
        let read = |l: &Load| -> Vec<usize> { l.valid.iter().zip(&l.extents).map(|(v, &n)| v.count(n)).collect() };
        let mut cost = Cost { written: len * self.values[step.store.value.at()].element_bytes(), ..Cost::default() };
        for l in loads {
            let valid = read(l);
            let elements: u64 = valid.iter().map(|&n| n as u64).product();
            cost.read += distinct(&l.source, &valid) * self.values[l.value.at()].element_bytes();
            cost.read += l.factors.iter().map(|f| weights(f, &valid)).sum::<u64>();
            let scaled = u64::from(l.scale != Complex64::new(1.0, 0.0));
            cost.flops += elements * (6 * l.factors.len() as u64 + 2 * scaled);
        }
        cost.flops += match &step.kernel {
            Kernel::Reduce { load, .. } | Kernel::Scatter { load, .. } => {
                2 * load.extents.iter().map(|&n| n as u64).product::<u64>()
            }
            Kernel::Add { loads } => 2 * len * (loads.len() as u64 - 1),
            Kernel::Fft { load, axes, .. } => {
                let n: f64 = axes.iter().map(|&a| load.extents[a] as f64).product();
                (5.0 * n.log2() * len as f64) as u64
            }
            Kernel::Filter { load, filter, .. } => filter.flops(load),
            Kernel::FftPass { pass, outer, inner, .. } => pass.flops(*outer as u64, *inner as u64),
            Kernel::Interpolate { load, points, .. } | Kernel::Spread { load, points, .. } => {
                4 * (load.extents[0] * points.count() * points.taps().iter().product::<usize>()) as u64
            }
            Kernel::Zero { .. } | Kernel::Map { .. } | Kernel::Gather { .. } => 0,
        };
        if let Kernel::Interpolate { load, points, weights, .. } | Kernel::Spread { load, points, weights, .. } =
            &step.kernel
        {
            cost.read += points.read_bytes(*weights);
            if let (Weights::Polynomials, Some(p)) = (weights, points.polynomials()) {
                // Once for each block of the batch.
                let each: usize = p.pieces.iter().map(|p| 2 * p.terms() * p.taps()).sum();
                cost.flops += (load.extents[0].div_ceil(NONUNIFORM_BLOCK) * points.count() * each) as u64;
            }
        }
        if let Some(work) = step.kernel.work() {
            cost.read += self.values[work.at()].bytes();
            cost.written += self.values[work.at()].bytes();
        }
        if let Kernel::Filter { filter, .. } = &step.kernel {
            let table = &filter.spectrum.table;
            cost.read += table.len() as u64 * if table.is_complex() { 8 } else { 4 };
        }
        if let Kernel::Fft { post, .. } | Kernel::Filter { post, .. } | Kernel::FftPass { post, last: true, .. } =
            &step.kernel
        {
            cost.read += post.factors.iter().map(|f| weights(f, &post.extents)).sum::<u64>();
            cost.flops += len * (2 + 6 * post.factors.len() as u64);
        }
        if let Kernel::FftPass { middle: Some(middle), load, .. } = &step.kernel {
            cost.read += middle.factors.iter().map(|f| weights(f, &middle.extents)).sum::<u64>();
            cost.flops += load.extents.iter().map(|&n| n as u64).product::<u64>() * 6 * middle.factors.len() as u64;
        }
        if let Kernel::Gather { index, .. } | Kernel::Scatter { index, .. } = &step.kernel {
            cost.read += 4 * index.indices().len() as u64;
        }
        cost
    }

    /// The weights of all steps, each once.
    pub fn weights(&self) -> Vec<&Constant> {
        let reads = self.steps.iter().flat_map(|s| s.kernel.loads()).flat_map(|l| &l.factors);
        let results = self.steps.iter().filter_map(|s| s.kernel.post()).flat_map(|p| &p.factors);
        let mut seen = HashSet::new();
        reads.chain(results).map(|f| &f.weight).filter(|w| seen.insert(w.id())).collect()
    }

    /// Bytes and flops of the whole plan.
    pub fn cost(&self) -> Cost {
        self.steps.iter().map(|s| self.step_cost(s)).fold(Cost::default(), |a, b| a + b)
    }
}

/// Distinct elements that an access touches.
fn distinct(access: &super::Access, extents: &[usize]) -> u64 {
    let moves = |a: &usize| !matches!(access.axes[*a], super::AxisIndex::Linear { stride: 0 });
    (0..extents.len()).filter(moves).map(|a| extents[a] as u64).product()
}
