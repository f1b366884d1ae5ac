//! Parameter words of a kernel: their values, and the WGSL that reads them.

/// Words in the order in which the text asks for them. The text depends only on how many there are.
#[derive(Default)]
pub(super) struct Words {
    values: Vec<u32>,
}

impl Words {
    /// A new word; gives the expression that reads it.
    pub fn u32(&mut self, value: u32) -> String {
        let at = self.values.len();
        self.values.push(value);
        format!("p.w[{}].{}", at / 4, ["x", "y", "z", "w"][at % 4])
    }

    /// A signed value; index arithmetic wraps, so it is added and multiplied as unsigned.
    pub fn signed(&mut self, value: i64) -> String {
        self.u32(value as u32)
    }

    pub fn f32(&mut self, value: f32) -> String {
        let word = self.u32(value.to_bits());
        format!("bitcast<f32>({word})")
    }

    /// Number of vec4 in the params struct.
    pub fn vectors(&self) -> usize {
        self.values.len().div_ceil(4).max(1)
    }

    /// All values, filled up to whole vec4.
    pub fn finish(mut self) -> Vec<u32> {
        let whole = 4 * self.vectors();
        self.values.resize(whole, 0);
        self.values
    }
}
