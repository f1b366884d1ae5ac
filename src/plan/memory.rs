//! The buffers of a plan.

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
}

/// The smallest 2^k or 1.5·2^k bytes that hold `bytes`, at least 256: at most a third of a buffer is unused.
pub fn size_class(bytes: u64) -> u64 {
    let power = bytes.max(256).next_power_of_two();
    if power / 4 * 3 >= bytes.max(256) { power / 4 * 3 } else { power }
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
