//! Linops that hold independent sub-linops, and how many of them may run at once.

use super::Linop;
use crate::access::ValueId;
use crate::error::{Result, caught};
use crate::ir::{Builder, Parallel, Program, Split, ThreadSettings};
use std::sync::OnceLock;

/// What holds independent sub-linops: add, concat, stack, block-diagonal, and any type of your own.
///
/// A type of your own keeps a [`Threads`] and hands it out; as an [`Operator`](super::Operator) it lowers to one node by
/// [`Threads::parallel`]. What it can then do is in [`ThreadedApply`](crate::ThreadedApply).
pub trait Threadable {
    /// The sub-linops and their settings.
    fn threads(&self) -> &Threads;

    /// The same, to be changed.
    fn threads_mut(&mut self) -> &mut Threads;

    /// The sub-linops.
    fn linops(&self) -> &[Linop] {
        &self.threads().linops
    }

    /// Replaces the sub-linops by shallow copies of these: each has its own identity, scratch and input, while the data of
    /// tensors stay shared. So the same linop may stand in the list twice.
    fn set_linops(&mut self, linops: &[Linop]) {
        *self.threads_mut() = Threads::with_settings(linops, self.settings().clone());
    }

    /// How the sub-linops may run.
    fn settings(&self) -> &ThreadSettings {
        &self.threads().settings
    }

    /// Replaces the settings. They never change a result.
    fn set_settings(&mut self, settings: ThreadSettings) {
        let threads = self.threads_mut();
        threads.settings = settings;
        threads.sums = Default::default();
    }

    /// Whether sub-linops may run at the same time; true by default.
    fn threaded(&self) -> bool {
        self.settings().threaded
    }

    /// Sub-linops in flight at once, at most; by default as many as there are.
    fn num_workers(&self) -> usize {
        self.settings().num_workers.map_or(self.linops().len(), |n| n.max(1))
    }
}

/// Independent sub-linops with their settings.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    linops: Vec<Linop>,
    settings: ThreadSettings,
    /// Their sums as linops, of one input and of one each: made when they are first asked for.
    sums: [OnceLock<Linop>; 2],
}

impl Threads {
    /// Shallow copies of these linops, with default settings.
    pub fn new(linops: &[Linop]) -> Threads {
        Threads::with_settings(linops, ThreadSettings::default())
    }

    /// Shallow copies of these linops.
    pub fn with_settings(linops: &[Linop], settings: ThreadSettings) -> Threads {
        Threads { linops: linops.iter().map(Linop::shallow_copy).collect(), settings, sums: Default::default() }
    }

    /// The adjoints of the sub-linops, with the same settings.
    pub fn h(&self) -> Threads {
        let linops = self.linops.iter().map(Linop::h).collect();
        Threads { linops, settings: self.settings.clone(), sums: Default::default() }
    }

    pub(crate) fn sum_of_one(&self, make: impl FnOnce(&Threads) -> Result<Linop>) -> Result<&Linop> {
        self.sum(0, make)
    }

    pub(crate) fn sum_of_each(&self, make: impl FnOnce(&Threads) -> Result<Linop>) -> Result<&Linop> {
        self.sum(1, make)
    }

    fn sum(&self, which: usize, make: impl FnOnce(&Threads) -> Result<Linop>) -> Result<&Linop> {
        if let Some(known) = self.sums[which].get() {
            return Ok(known);
        }
        let made = make(self)?;
        Ok(self.sums[which].get_or_init(|| made))
    }

    /// Appends the node that runs all sub-linops on `x`: `feed` says what each reads, `join` what becomes of their results.
    ///
    /// # Errors
    /// A sub-linop carries an error, panics as it is lowered, or does not fit its slice; the message names it by index and
    /// label.
    pub fn parallel(&self, b: &mut Builder, x: ValueId, label: &str, feed: Split, join: Split) -> Result<ValueId> {
        let mut children = Vec::with_capacity(self.linops.len());
        for (i, l) in self.linops.iter().enumerate() {
            let p = caught(|| l.program()).map_err(|e| e.at(format!("linops[{i}] ({})", l.label())))?;
            children.push((*p).clone());
        }
        self.parallel_of(b, x, label, feed, join, children)
    }

    /// The same for programs made from the sub-linops'.
    pub(super) fn parallel_of(
        &self,
        b: &mut Builder,
        x: ValueId,
        label: &str,
        feed: Split,
        join: Split,
        children: Vec<Program>,
    ) -> Result<ValueId> {
        let names = self.linops.iter().map(Linop::label).collect();
        let (settings, label) = (self.settings.clone(), label.into());
        b.parallel(x, Parallel { children, feed, join, settings, label, names })
    }
}

impl Threadable for Threads {
    fn threads(&self) -> &Threads {
        self
    }

    fn threads_mut(&mut self) -> &mut Threads {
        self
    }
}
