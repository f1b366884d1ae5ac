//! A kernel of a user's own on a GPU: for each row a dispatch that sets the result to 0, and one of its text as it stands.

use super::CustomKernel;
use crate::error::Result;
use crate::plan::{GpuKernel, Kernel};
use crate::shader::{Binding, Draft, Operand, Stepper, word};

/// The number of the result's binding.
const RESULT: u32 = 1;

impl GpuKernel for CustomKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        self.expect(&s.limits)?;
        let kernel = self.custom.kernel();
        let ends = [Operand::Value(s.sources[0].value), Operand::Value(s.store.value)];
        let groups = self.groups();
        let mut own = [1; 3];
        for (to, from) in own.iter_mut().zip(groups) {
            *to = word("workgroups", usize::try_from(from).unwrap_or(usize::MAX))?;
        }
        let element = if self.text.complex { 8 } else { 4 };
        let draft = |row: usize| {
            let mut bindings = Vec::new();
            let operands = ends.iter().chain(&kernel.constants).cloned();
            for ((k, operand), (_, bytes)) in operands.enumerate().zip(self.sizes()) {
                let apart = [self.apart.0, self.apart.1].get(k).copied().unwrap_or(0);
                let offset = (row * apart) as u64 * element;
                bindings.push(Binding { number: word("a binding", k)?, operand, offset, bytes });
            }
            Ok(Draft {
                name: format!("{} {}", self.name(), self.custom.which()),
                text: self.text.text.clone(),
                params: Vec::new(),
                fft_params: None,
                bindings,
                groups: groups.iter().product(),
                own: Some(own),
            })
        };
        let numbers = self.ends.1 as u64 * element / 4;
        let groups = numbers.div_ceil(64).clamp(1, s.limits.max_groups.into());
        let clear = |own: &Draft| {
            Ok(Draft {
                name: format!("{} clear", self.name()),
                text: include_str!("clear.wgsl").into(),
                bindings: own.bindings.iter().filter(|b| b.number == RESULT).cloned().collect(),
                groups,
                own: Some([word("workgroups", usize::try_from(groups).unwrap_or(usize::MAX))?, 1, 1]),
                ..own.clone()
            })
        };
        let both = |row: usize| {
            let own = draft(row)?;
            Ok([clear(&own)?, own])
        };
        let rows = (0..self.rows).map(both).collect::<Result<Vec<_>>>()?;
        Ok(rows.into_iter().flatten().collect())
    }
}
