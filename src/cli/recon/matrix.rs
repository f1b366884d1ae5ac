//! Extents as an argument.

use linops::{Error, Result};

/// One extent for all axes, or one each.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix(Vec<usize>);

impl Matrix {
    /// The extents of so many axes; None for another number of them.
    pub fn of_axes(&self, d: usize) -> Option<Vec<usize>> {
        match self.0.as_slice() {
            [n] => Some(vec![*n; d]),
            extents => (extents.len() == d).then(|| extents.to_vec()),
        }
    }

    /// How many extents were given.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Extents of `d` axes; `flag` and `whose` axes they are is for messages. An axis of 1 that there is too many does not count.
    pub fn for_axes(&self, d: usize, flag: &str, whose: &str) -> Result<Vec<usize>> {
        let one = self.0.iter().position(|n| *n == 1);
        match self.0.as_slice() {
            [n] => Ok(vec![*n; d]),
            extents if extents.len() == d => Ok(extents.to_vec()),
            extents if extents.len() == d + 1 && one.is_some() => {
                Ok(extents.iter().enumerate().filter(|(at, _)| Some(*at) != one).map(|(_, n)| *n).collect())
            }
            extents => {
                let message =
                    format!("{flag} has {} extents, expected {d} or one for all: {whose} {d} axes", extents.len());
                Err(Error::Value(message))
            }
        }
    }
}

pub fn matrix(text: &str) -> Result<Matrix, String> {
    let extents: Option<Vec<usize>> = text.split(['x', ',']).map(|n| n.parse().ok().filter(|n| *n > 0)).collect();
    let extents = extents.filter(|e| (1..=3).contains(&e.len()));
    extents.map(Matrix).ok_or_else(|| "expected 1 to 3 extents from 1 on, such as 256, 256x192 or 64x256x256".into())
}
