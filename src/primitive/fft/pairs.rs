//! Transforms with weights and the way back behind them, found in a program for a GPU.
//!
//! The two become one pass, a filter, where a line fits a workgroup, and then nothing between them is stored. So each has to know of
//! the other when its passes are chosen: a narrow tile of strided lines moves less than the wide passes of both would.

use super::Fft;
use crate::error::Result;
use crate::ir::{Op, Parallel, Program};
use std::collections::HashSet;

/// The program whose transforms know whether they stand in such a pair.
pub(crate) fn find_pairs(p: &Program) -> Result<Program> {
    let pairs = pairs(p);
    let mut at = 0;
    p.rewritten(&mut |b, node, inputs| {
        let i = at;
        at += 1;
        match (&node.op, node.op.of_type::<Fft>()) {
            (Op::Parallel(p), _) => {
                let children = p.children.iter().map(find_pairs).collect::<Result<_>>()?;
                b.parallel(inputs[0], Parallel { children, ..(**p).clone() }).map(Some)
            }
            (_, Some(f)) if pairs.contains(&i) => b.apply(inputs[0], Fft { paired: true, ..f.clone() }).map(Some),
            _ => Ok(None),
        }
    })
}

/// The nodes of all pairs.
fn pairs(p: &Program) -> HashSet<usize> {
    let uses = p.uses();
    let mut all = HashSet::new();
    for (i, node) in p.nodes().iter().enumerate() {
        let Some(back) = node.op.of_type::<Fft>().filter(|f| f.axes.len() == 1) else { continue };
        let mut at = node.inputs[0];
        while let (Some(below), 1) = (at.at().checked_sub(1), uses[at.at()]) {
            let found = &p.nodes()[below];
            if let Op::Mul { .. } | Op::Scale(_) = &found.op {
                at = found.inputs[0];
                continue;
            }
            let there = found.op.of_type::<Fft>();
            if there.is_some_and(|f| f.axes == back.axes && f.inverse != back.inverse && f.centered == back.centered) {
                all.extend([i, below]);
            }
            break;
        }
    }
    all
}
