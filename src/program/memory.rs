//! Which buffer each value of a plan lives in: liveness, whole buffers, size classes.

use super::{Kernel, PlanValue, Step, Target, ValueId};

/// The buffers of a plan, apart from its input and output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Buffer of each value; None for the input, the output, and values that are never stored.
    pub slot_of: Vec<Option<usize>>,
    /// Bytes of each buffer (size classes).
    pub slots: Vec<u64>,
}

impl MemoryPlan {
    /// Scratch bytes that one instance of the plan allocates.
    pub fn scratch_bytes(&self) -> u64 {
        self.slots.iter().sum()
    }

    /// A free buffer of the class that holds `bytes`, or a new one.
    fn take(&mut self, free: &mut Vec<usize>, bytes: u64) -> usize {
        let class = size_class(bytes);
        match free.iter().position(|&f| self.slots[f] == class) {
            Some(at) => free.swap_remove(at),
            None => {
                self.slots.push(class);
                self.slots.len() - 1
            }
        }
    }
}

/// The smallest 2^k or 1.5·2^k bytes that hold `bytes`, at least 256: at most a third of a buffer is unused.
pub fn size_class(bytes: u64) -> u64 {
    let power = bytes.max(256).next_power_of_two();
    if power / 4 * 3 >= bytes.max(256) { power / 4 * 3 } else { power }
}

/// Assigns buffers: a value takes over the buffer of a source that dies in the same step where the kernel may overwrite it,
/// else the smallest free buffer of its class, else a new one.
pub(crate) fn assign(target: &Target, values: &[PlanValue], steps: &[Step], output: ValueId) -> MemoryPlan {
    let mut last_read = vec![None; values.len()];
    let mut first_write = vec![None; values.len()];
    for (i, s) in steps.iter().enumerate() {
        for l in s.kernel.loads() {
            last_read[l.value.at()] = Some(i);
        }
        first_write[s.store.value.at()].get_or_insert(i);
    }
    let external = |v: usize| v == 0 || v == output.at();
    let mut plan = MemoryPlan { slot_of: vec![None; values.len()], slots: Vec::new() };
    let mut free: Vec<usize> = Vec::new();
    for (i, s) in steps.iter().enumerate() {
        let y = s.store.value.at();
        // Lives in this step alone; taken before the result's, so that the two differ.
        if let Some(work) = s.kernel.work() {
            plan.slot_of[work.at()] = Some(plan.take(&mut free, values[work.at()].bytes()));
        }
        let mut taken = None;
        if !external(y) && first_write[y] == Some(i) {
            let dies = |v: usize| !external(v) && last_read[v] == Some(i) && v != y;
            let whole = s.store.is_contiguous(s.kernel.output_len()) && s.store.start == 0;
            taken = s.kernel.loads().iter().enumerate().find_map(|(k, l)| {
                let v = l.value.at();
                let same = values[v].bytes() == values[y].bytes() && values[y].len() == s.kernel.output_len();
                // Another load of the same kernel may read that value out of order.
                let alone = s.kernel.loads().iter().filter(|o| o.value == l.value).count() == 1;
                (whole && same && alone && dies(v) && s.kernel.may_overwrite(k, target)).then_some(v)
            });
            let slot = match taken {
                Some(v) => plan.slot_of[v],
                None => Some(plan.take(&mut free, values[y].bytes())),
            };
            plan.slot_of[y] = slot;
        }
        free.extend(s.kernel.work().and_then(|w| plan.slot_of[w.at()]));
        let mut done: Vec<usize> = s.kernel.loads().iter().map(|l| l.value.at()).collect();
        done.sort_unstable();
        done.dedup();
        for v in done {
            if !external(v) && last_read[v] == Some(i) && taken != Some(v) {
                free.extend(plan.slot_of[v]);
            }
        }
        // A value that nobody reads frees its buffer at once.
        if !external(y) && last_read[y].is_none_or(|r| r < i) && !matches!(s.kernel, Kernel::Zero { .. }) {
            free.extend(plan.slot_of[y]);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_at_most_a_third() {
        for bytes in [1, 255, 256, 257, 384, 385, 1000, 1 << 20, (1 << 20) + 1, 3 << 19, 123_456_789] {
            let c = size_class(bytes);
            assert!(c >= bytes && (bytes <= 256 || c - bytes <= c / 3), "{bytes} {c}");
        }
    }
}
