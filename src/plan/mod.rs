//! The plan: what an executor runs, step by step, with every buffer decided. And what it is made of: kernels, targets, costs.
//!
//! Plain data, made by the [planner](crate::planner), run by the [host](crate::host) or by a GPU.
//!
//! A step is a [`Kernel`](kernel) with its reads inside, and a [`Store`]: where its result goes. A kernel says of itself what it
//! reads and what that costs, what may be fused into its reads and its store, whether it may overwrite what it reads. Kernels for
//! one side alone can be made only where the plan is for that side. Values that a container's children make side by side live in
//! a [`Region`]; [`MemoryPlan`] lays the values that never live at the same time over each other.

mod cost;
mod display;
mod kernel;
mod memory;
mod options;
mod region;
mod steps;
mod target;
#[cfg(feature = "gpu")]
mod through;
mod times;
mod uploads;

pub use cost::Cost;
pub(crate) use cost::weight_bytes;
pub(crate) use kernel::GpuKernel;
pub(crate) use kernel::{
    AsAny, Bound, Call, GpuSide, Held, HostKernel, HostLoops, HostSide, Kernel, Place, Scratch, Side, StepKernel, Work,
};
pub use memory::{MemoryPlan, size_class};
pub(crate) use options::LaneLimit;
pub use options::PlanOptions;
pub use region::{Child, Item, Region, Schedule};
pub(crate) use steps::{BodyKind, Steps, Unfused};
pub use target::Target;
#[cfg(feature = "gpu")]
pub(crate) use through::HostStep;
pub(crate) use times::StepTime;
pub use uploads::Uploads;

use crate::access::{Constant, Load, Store, ValueId};
use std::collections::HashSet;

/// A scheduled program: immutable, shared by all instances that run it.
#[derive(Debug)]
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
#[derive(Debug)]
pub struct Step {
    /// What is computed.
    pub(crate) kernel: StepKernel,
    /// Where the result goes.
    pub store: Store,
    /// A value that the kernel alone writes and reads.
    pub scratch: Option<ValueId>,
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

impl Step {
    /// The kernel's name, as in listings.
    pub fn name(&self) -> &'static str {
        self.kernel.name()
    }

    /// What it reads.
    pub fn loads(&self) -> &[Load] {
        self.kernel.loads()
    }

    /// What stands behind the reads in listings.
    pub fn details(&self) -> String {
        self.kernel.details()
    }

    /// Whether the result may overwrite the value that read `which` is of.
    pub fn may_overwrite(&self, which: usize, target: &Target) -> bool {
        self.kernel.may_overwrite(which, target)
    }

    /// Whether the host runs this step of a plan for a GPU.
    pub fn runs_on_host(&self) -> bool {
        self.kernel.through_host().is_some()
    }

    /// Bytes that the host takes for this step of a plan for a GPU; 0 where the host does not run it.
    pub(crate) fn bytes_on_host(&self, plan: &Plan) -> u64 {
        let (Some(kernel), [load]) = (self.kernel.through_host(), self.kernel.loads()) else { return 0 };
        let (x, y) = (&plan.values[load.value.at()], &plan.values[self.store.value.at()]);
        let element = y.element_bytes();
        let taken = kernel.taken(element as usize, x.element_bytes() == element, 1);
        x.bytes() + self.kernel.output_len() as u64 * element + taken.each + taken.shared
    }

    /// The dispatches of a step of a plan for a GPU; none where the host runs it.
    ///
    /// # Errors
    /// [`TooBig`](crate::Error::TooBig) for what the device's bindings cannot hold; the plan is for the host.
    pub fn drafts(&self, plan: &Plan) -> crate::Result<Vec<crate::shader::Draft>> {
        if self.runs_on_host() {
            return Ok(Vec::new());
        }
        let (Some(kernel), Target::Gpu(limits)) = (self.kernel.for_gpu(), plan.target) else {
            return Err(crate::Error::Device("a plan for the host has no kernels".into()));
        };
        let slot = |v: ValueId| plan.memory.slot_of[v.at()];
        let y = self.store.value;
        let source = |l: &Load| {
            let (value, v) = (l.value, &plan.values[l.value.at()]);
            let overwritten = value == y || slot(value).is_some() && slot(value) == slot(y);
            crate::shader::Stored { value, len: v.len(), complex: v.complex, overwritten }
        };
        kernel.drafts(&crate::shader::Stepper {
            limits,
            store: self.store,
            len: kernel.output_len(),
            complex: plan.values[y.at()].complex,
            sources: kernel.loads().iter().map(source).collect(),
            scratch: self.scratch,
        })
    }
}

impl Plan {
    /// The weights of all steps, each once.
    pub fn weights(&self) -> Vec<&Constant> {
        let reads = self.steps.iter().flat_map(|s| s.kernel.loads()).flat_map(|l| &l.factors);
        let results = self.steps.iter().filter_map(|s| s.kernel.post()).flat_map(|p| &p.factors);
        let others = self.steps.iter().flat_map(|s| s.kernel.held()).filter_map(|held| match held {
            Held::Weight(w) => Some(w),
            Held::Data { .. } => None,
        });
        let mut seen = HashSet::new();
        reads.chain(results).map(|f| &f.weight).chain(others).filter(|w| seen.insert(w.key())).collect()
    }

    /// The steps that are of this kind.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |s| s.name() == name)
    }
}
