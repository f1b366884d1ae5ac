//! Parameter words of a kernel: their values, and the WGSL that reads them.

use super::limits::word;
use crate::error::{Error, Result};

/// Words in the order in which the text asks for them. The text depends only on how many there are.
#[derive(Default)]
pub(crate) struct Words {
    values: Vec<u32>,
    /// The first value that has more than 32 bits.
    refused: Option<Error>,
}

impl Words {
    fn push(&mut self, value: u32) -> String {
        let at = self.values.len();
        self.values.push(value);
        format!("p.w[{}].{}", at / 4, ["x", "y", "z", "w"][at % 4])
    }

    /// A count, extent or divisor; gives the expression that reads it. One that has more than 32 bits is an error in the end.
    pub fn count(&mut self, value: usize) -> String {
        let value = word("an extent", value).unwrap_or_else(|e| {
            self.refused.get_or_insert(e);
            0
        });
        self.push(value)
    }

    /// A summand or factor of a flat index. Index arithmetic is modulo 2³², where a sum of such terms is right as long as the
    /// index itself has 32 bits, which windows and chunks see to.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn term(&mut self, value: i64) -> String {
        self.push(value as u32)
    }

    /// A number.
    pub fn f32(&mut self, value: f32) -> String {
        let word = self.push(value.to_bits());
        format!("bitcast<f32>({word})")
    }

    /// Number of vec4 in the params struct.
    pub fn vectors(&self) -> usize {
        self.values.len().div_ceil(4).max(1)
    }

    /// All values, filled up to whole vec4.
    ///
    /// # Errors
    /// One of them had more than 32 bits.
    pub fn finish(mut self) -> Result<Vec<u32>> {
        if let Some(e) = self.refused {
            return Err(e);
        }
        let whole = 4 * self.vectors();
        self.values.resize(whole, 0);
        Ok(self.values)
    }
}
