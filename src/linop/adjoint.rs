//! Adjoint and normal of any linop, derived from its program.

use super::{Linop, Operator, Saver, Threads};
use crate::access::ValueId;
use crate::error::Result;
use crate::ir::{Builder, Program, ThreadSettings};
use std::slice;
use std::sync::Arc;

impl Linop {
    /// The adjoint Aᴴ. The adjoint of an adjoint is the linop itself.
    pub fn h(&self) -> Linop {
        let Ok(node) = self.node() else { return self.clone() };
        if let Some(adjoint) = self.of_type::<Adjoint>() {
            // Dims may have been renamed on the way.
            let (input, output) = (node.output.clone(), node.input.clone());
            return adjoint.linop.rebuilt(|n| super::Node { input, output, ..n });
        }
        Linop::of(node.output.clone(), node.input.clone(), Adjoint { linop: self.clone() })
    }

    /// The normal AᴴA, in the dims of the input. Never more than one term for each sub-linop of a stacked container.
    pub fn n(&self) -> Linop {
        let Ok(node) = self.node() else { return self.clone() };
        Linop::of(node.input.clone(), node.input.clone(), Normal { linop: self.clone() })
    }
}

#[derive(Debug)]
pub(super) struct Adjoint {
    linop: Linop,
}

impl Operator for Adjoint {
    fn op(&self) -> &'static str {
        "adjoint"
    }

    fn children(&self) -> &[Linop] {
        slice::from_ref(&self.linop)
    }

    fn settings(&self) -> Option<&ThreadSettings> {
        self.linop.settings()
    }

    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        self.linop.settings()?;
        Some(Arc::new(Adjoint { linop: self.linop.with_settings(settings) }))
    }

    fn threads(&self) -> Option<Threads> {
        self.linop.threads().map(|t| t.h())
    }

    fn with_threads(&self, threads: &Threads) -> Option<Result<Linop>> {
        self.linop.threads()?;
        Some(self.linop.with_threads(&threads.h()).map(|l| l.h()))
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let p = self.linop.adjoint_program()?;
        b.inline(&p, x)
    }

    fn simplified(&self) -> Option<Result<Arc<Program>>> {
        Some(self.linop.adjoint_program())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.linop(&self.linop, None)?;
        to.says_input();
        to.within(self.linop.output()?.clone(), self.linop.input()?.clone());
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Normal {
    linop: Linop,
}

impl Operator for Normal {
    fn op(&self) -> &'static str {
        "normal"
    }

    fn children(&self) -> &[Linop] {
        slice::from_ref(&self.linop)
    }

    fn settings(&self) -> Option<&ThreadSettings> {
        self.linop.settings()
    }

    fn with_settings(&self, settings: ThreadSettings) -> Option<Arc<dyn Operator>> {
        self.linop.settings()?;
        Some(Arc::new(Normal { linop: self.linop.with_settings(settings) }))
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let p = self.linop.normal_program()?;
        b.inline(&p, x)
    }

    fn simplified(&self) -> Option<Result<Arc<Program>>> {
        Some(self.linop.normal_program())
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let input = self.linop.input()?;
        to.linop(&self.linop, Some(input))?;
        to.within(input.clone(), input.clone());
        Ok(())
    }
}
