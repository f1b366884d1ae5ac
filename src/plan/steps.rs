//! A plan under construction: steps that are not fused yet, and who reads and writes which value.
//!
//! Passes change it through the methods here, which keep the lists of readers and writers true. Steps keep their numbers until
//! the plan is finished; those that are removed leave a gap.

use super::{Item, PlanValue, Region, StepKernel, Target};
use crate::access::{Load, Store, ValueId};
use std::collections::HashSet;

/// A step under construction.
#[derive(Debug)]
pub(crate) struct Unfused {
    pub kernel: StepKernel,
    pub store: Store,
    /// The part of the program it belongs to: sub-linops of containers have scopes of their own.
    pub scope: usize,
    /// The list of items that it stands in.
    pub body: usize,
}

/// What a body of items is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// The plan's own, or that of a sub-linop.
    Own,
    /// What joins the result of the sub-linop with this body to the others'.
    JoinOf(usize),
}

/// A plan under construction.
#[derive(Debug)]
pub(crate) struct Steps {
    pub target: Target,
    pub values: Vec<PlanValue>,
    /// None where a step was removed.
    steps: Vec<Option<Unfused>>,
    readers: Vec<Vec<usize>>,
    writers: Vec<Vec<usize>>,
    /// The scope around each scope; the first one's is itself.
    scopes: Vec<usize>,
    pub bodies: Vec<(BodyKind, Vec<Item>)>,
    pub regions: Vec<Region>,
    /// The results of containers.
    joined: HashSet<ValueId>,
    pub output: ValueId,
}

impl Steps {
    /// Nothing but an input.
    pub fn new(target: Target, input: PlanValue) -> Steps {
        let mut steps = Steps {
            target,
            values: Vec::new(),
            steps: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            scopes: vec![0],
            bodies: vec![(BodyKind::Own, Vec::new())],
            regions: Vec::new(),
            joined: HashSet::new(),
            output: ValueId::INPUT,
        };
        steps.value(input.extents, input.complex);
        steps
    }

    /// A new value.
    pub fn value(&mut self, extents: Vec<usize>, complex: bool) -> ValueId {
        self.values.push(PlanValue { extents, complex });
        self.readers.push(Vec::new());
        self.writers.push(Vec::new());
        ValueId::new(self.values.len() - 1)
    }

    /// A new value that a container's results are joined in.
    pub fn joined_value(&mut self, extents: Vec<usize>) -> ValueId {
        let value = self.value(extents, false);
        self.joined.insert(value);
        value
    }

    /// A scope within another.
    pub fn scope(&mut self, within: usize) -> usize {
        self.scopes.push(within);
        self.scopes.len() - 1
    }

    /// Whether a scope lies within another, at any depth.
    pub fn lies_within(&self, scope: usize, outer: usize) -> bool {
        let mut at = scope;
        while at != outer {
            match self.scopes[at] {
                above if above == at => return false,
                above => at = above,
            }
        }
        scope != outer
    }

    /// Appends a step; gives its number.
    pub fn push(&mut self, step: Unfused) -> usize {
        let at = self.steps.len();
        for load in step.kernel.loads() {
            self.readers[load.value.at()].push(at);
        }
        self.writers[step.store.value.at()].push(at);
        self.bodies[step.body].1.push(Item::Step(at));
        self.steps.push(Some(step));
        at
    }

    /// Adds a step right before another one, which writes a value of its own.
    pub fn insert_before(&mut self, before: usize, kernel: StepKernel, value: ValueId) {
        let Some((scope, body)) = self.get(before).map(|s| (s.scope, s.body)) else { return };
        let store = Store::whole(value, kernel.output_len());
        let at = self.push(Unfused { kernel, store, scope, body });
        self.bodies[body].1.pop();
        // The bodies of sub-linops have gone to their regions.
        let children = self.regions.iter_mut().flat_map(|r| &mut r.children);
        let lists = children.flat_map(|c| [&mut c.body, &mut c.join]);
        for items in lists.chain([&mut self.bodies[0].1]) {
            if let Some(place) = items.iter().position(|i| *i == Item::Step(before)) {
                items.insert(place, Item::Step(at));
                return;
            }
        }
    }

    /// One more than the number of the last step.
    pub fn end(&self) -> usize {
        self.steps.len()
    }

    pub fn get(&self, at: usize) -> Option<&Unfused> {
        self.steps[at].as_ref()
    }

    /// The kernel of a step that is there, to be changed in anything but the values it reads.
    pub fn kernel_mut(&mut self, at: usize) -> Option<&mut StepKernel> {
        self.steps[at].as_mut().map(|s| &mut s.kernel)
    }

    /// The steps that read a value, once for each read.
    pub fn readers(&self, value: ValueId) -> &[usize] {
        &self.readers[value.at()]
    }

    /// Times that a value is read, the output counted once.
    pub fn uses(&self, value: ValueId) -> usize {
        self.readers(value).len() + usize::from(value == self.output)
    }

    /// The only step that writes a value, if it writes it whole and in order. The results of containers are joined, not made:
    /// nothing fuses with them, however many sub-linops were joined at once.
    pub fn maker(&self, value: ValueId) -> Option<usize> {
        let [at] = self.writers[value.at()][..] else { return None };
        if self.joined.contains(&value) {
            return None;
        }
        let step = self.get(at)?;
        let whole = Store::whole(value, self.values[value.at()].len());
        (step.store == whole && step.kernel.output_len() == whole.run).then_some(at)
    }

    /// The maker of the value that a load reads, if the load reads all of it in order, and nothing else does.
    pub fn maker_for(&self, load: &Load) -> Option<usize> {
        let own = self.uses(load.value) == 1 && load.reads_each_once(self.values[load.value.at()].len());
        self.maker(load.value).filter(|_| own)
    }

    /// Removes a step.
    pub fn remove(&mut self, at: usize) -> Option<Unfused> {
        let step = self.steps[at].take()?;
        for load in step.kernel.loads() {
            drop_one(&mut self.readers[load.value.at()], at);
        }
        drop_one(&mut self.writers[step.store.value.at()], at);
        Some(step)
    }

    /// Puts another kernel in the place of a step's.
    pub fn replace(&mut self, at: usize, kernel: StepKernel) {
        let Some(step) = &mut self.steps[at] else { return };
        for load in step.kernel.loads() {
            drop_one(&mut self.readers[load.value.at()], at);
        }
        for load in kernel.loads() {
            self.readers[load.value.at()].push(at);
        }
        step.kernel = kernel;
    }

    /// Lets a step read through another load.
    pub fn replace_load(&mut self, at: usize, which: usize, load: Load) {
        let Some(step) = &mut self.steps[at] else { return };
        let own = &mut step.kernel.loads_mut()[which];
        drop_one(&mut self.readers[own.value.at()], at);
        self.readers[load.value.at()].push(at);
        *own = load;
    }

    /// Lets a step write elsewhere.
    pub fn redirect(&mut self, at: usize, store: Store) {
        let Some(step) = &mut self.steps[at] else { return };
        drop_one(&mut self.writers[step.store.value.at()], at);
        self.writers[store.value.at()].push(at);
        step.store = store;
    }

    /// Takes all steps out, by number.
    pub fn take_steps(&mut self) -> Vec<Option<Unfused>> {
        std::mem::take(&mut self.steps)
    }

    /// Whether a step stands where it may write what this one's join would: in the same body, or in the body that is joined.
    pub fn may_store_for(&self, maker: usize, join: usize) -> bool {
        let (Some(maker), Some(join)) = (self.get(maker), self.get(join)) else { return false };
        maker.body == join.body || self.bodies[join.body].0 == BodyKind::JoinOf(maker.body)
    }
}

/// Removes one entry for a step.
fn drop_one(list: &mut Vec<usize>, step: usize) {
    if let Some(at) = list.iter().position(|s| *s == step) {
        list.swap_remove(at);
    }
}
