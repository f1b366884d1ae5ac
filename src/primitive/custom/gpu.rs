//! A kernel of a user's own on a GPU: one dispatch of its text as it stands.

use super::CustomKernel;
use crate::error::Result;
use crate::plan::{GpuKernel, Kernel};
use crate::shader::{Binding, Draft, Operand, Stepper, word};

impl GpuKernel for CustomKernel {
    fn drafts(&self, s: &Stepper) -> Result<Vec<Draft>> {
        self.expect(&s.limits)?;
        let constants = self.custom.kernel().constants.iter().cloned();
        let ends = [Operand::Value(s.sources[0].value), Operand::Value(s.store.value)];
        let mut bindings = Vec::new();
        for ((k, operand), (_, bytes)) in ends.into_iter().chain(constants).enumerate().zip(self.sizes()) {
            bindings.push(Binding { number: word("a binding", k)?, operand, offset: 0, bytes });
        }
        let groups = self.groups();
        let mut own = [1; 3];
        for (to, from) in own.iter_mut().zip(groups) {
            *to = word("workgroups", usize::try_from(from).unwrap_or(usize::MAX))?;
        }
        Ok(vec![Draft {
            name: format!("{} {}", self.name(), self.custom.which()),
            text: self.text.text.clone(),
            params: Vec::new(),
            fft_params: None,
            bindings,
            groups: groups.iter().product(),
            own: Some(own),
        }])
    }
}
