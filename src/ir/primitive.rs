//! What a primitive says of itself, once: its algebra here, its kernels through [`Lowering`].
//!
//! There are no defaults: a primitive that leaves something out does not compile, and no pass has an arm that stands for those
//! it does not know.

use super::{Builder, Narrowed, Program, Sweep};
use crate::access::{Constant, Load, Store, ValueId};
use crate::error::Result;
use crate::plan::{AsAny, PlanOptions, StepKernel, Target};
use std::fmt;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::Arc;

/// A linear map that is no [core map](super::Op), free of dtype and device.
pub(crate) trait Primitive: AsAny + fmt::Debug + Send + Sync {
    /// The primitive and its parameters, as in listings.
    fn describe(&self) -> String;
    /// Whether both are the same map.
    fn same(&self, other: &dyn Primitive) -> bool;
    /// What equal ones have in common, and few others.
    fn key(&self, state: &mut dyn Hasher);
    /// Extents of the result for an input of these extents.
    ///
    /// # Errors
    /// It does not take such an input.
    fn extents(&self, input: &[usize]) -> Result<Vec<usize>>;
    /// Appends the conjugate transpose, applied to `y`; the forward's input has the extents `input`.
    ///
    /// # Errors
    /// The builder's.
    fn transpose(&self, b: &mut Builder, y: ValueId, input: &[usize]) -> Result<ValueId>;
    /// The primitive that does for all rows along a new axis in front what these (itself first) do for one each; None where they
    /// differ in more than their weights.
    fn together(&self, all: &[&dyn Primitive], stack: Stack) -> Option<Arc<dyn Primitive>>;
    /// What makes entries `range` of an axis of its result, for an input of these extents, and the part of that which it reads.
    ///
    /// # Errors
    /// Every entry reads everything; the message says why.
    fn narrow(&self, input: &[usize], axis: usize, range: &Range<usize>) -> Result<Narrowed>;
    /// Its weights.
    fn weights(&self) -> Vec<&Constant>;
    /// Appends something that does the same as the primitive applied to `x`, and is less; None where there is nothing less.
    ///
    /// # Errors
    /// The builder's.
    fn fold(&self, s: &mut Sweep, x: ValueId) -> Result<Option<ValueId>>;
    /// Appends what it is made of, if it is made of other primitives.
    ///
    /// # Errors
    /// What it is made of cannot be made.
    fn expand(&self, b: &mut Builder, x: ValueId) -> Result<Option<ValueId>>;
    /// Whether a device can run it for an input of these extents.
    ///
    /// # Errors
    /// It cannot, whatever is free on the device.
    fn fits(&self, input: &[usize], target: &Target) -> Result<()>;
    /// The largest relative error of what it approximates; 0 where it rounds only.
    fn approximation(&self) -> f64;
    /// Appends its steps to a plan.
    ///
    /// # Errors
    /// The target cannot run them.
    fn lower(&self, to: &mut dyn Lowering, x: &Lowered) -> Result<Lowered>;
}

impl dyn Primitive {
    /// The primitive, if it is of this type.
    pub fn of_type<P: Primitive>(&self) -> Option<&P> {
        self.as_any().downcast_ref()
    }
}

/// What makes one weight of several, and says whether it has an axis for them.
pub(crate) type Stack<'a> = &'a dyn Fn(&[Constant]) -> Option<(Constant, bool)>;

/// A plan under construction, as primitives see it. Steps are appended as they come; what fuses is found later.
pub(crate) trait Lowering {
    /// What is planned for.
    fn target(&self) -> Target;
    /// What may be chosen.
    fn options(&self) -> &PlanOptions;
    /// Sub-linops side by side in the kernels that are made now: what is decided by a number is decided by that of one.
    fn batch(&self) -> usize;
    /// A value without a step that writes it.
    fn value(&mut self, extents: &[usize], complex: bool) -> Lowered;
    /// Appends a step that writes a new value of these extents.
    fn step(&mut self, kernel: StepKernel, extents: &[usize], complex: bool) -> Lowered;
    /// Whether the target can run a program.
    fn can_make(&self, p: &Program) -> bool;
    /// Appends the steps of a program, applied to x: what a primitive is made of where that depends on x's dtype or on a number that
    /// only a plan knows. (What does not is an [expansion](Primitive::expand).)
    ///
    /// # Errors
    /// The target cannot run it.
    fn program(&mut self, p: &Program, x: &Lowered) -> Result<Lowered>;
    /// Appends a step that writes a part of a value.
    fn part(&mut self, kernel: StepKernel, store: Store);
}

/// A value of a plan under construction.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub value: ValueId,
    pub extents: Vec<usize>,
    pub complex: bool,
}

impl Lowered {
    /// A plain read of it.
    pub fn load(&self) -> Load {
        Load::whole(self.value, &self.extents)
    }
}
