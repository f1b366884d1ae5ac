//! A sum of vectors within a pass that binds others too.

use super::stage::Draft;
use crate::vectors::{Formula, Pass, Vector};

/// Vectors that a pass binds, on the poorest device: of its 8 storage buffers two hold scalars.
const BOUND: usize = 6;

/// Vectors of one length whose sum goes into a pass that binds others too: the first ones as terms of it, as many as it has room for,
/// and what is left gathered in the last of these before.
pub(super) struct Gathered {
    /// Passes that gather.
    pub before: Vec<usize>,
    /// The terms.
    pub terms: Vec<Vector>,
}

impl Gathered {
    pub fn draft(draft: &mut Draft, vectors: &[Vector], bound: usize) -> Gathered {
        let room = BOUND.saturating_sub(bound).max(1).min(vectors.len());
        let (terms, rest) = vectors.split_at(room);
        let one = || Formula::from(1.0f32);
        let mut before = Vec::new();
        if let Some(last) = terms.last() {
            for part in rest.chunks(BOUND - 1) {
                let all =
                    part.iter().fold(Pass::new("gather").update(*last, [(one(), *last)]), |p, v| p.term(one(), *v));
                before.push(draft.pass(all));
            }
        }
        Gathered { before, terms: terms.to_vec() }
    }

    /// Adds its terms, with this factor, to the last update of a pass.
    pub fn add_to(&self, pass: Pass, factor: &Formula) -> Pass {
        self.terms.iter().fold(pass, |pass, v| pass.term(factor.clone(), *v))
    }
}
