//! Non-uniform transforms in primitives, for scheduling.

use crate::error::Result;
use crate::program::{Builder, Nufft, Op, Parallel, Program, ValueId};

/// The program with every non-uniform transform expanded.
pub(crate) fn expand(p: &Program) -> Result<Program> {
    let whole = |op: &Op| matches!(op, Op::Nufft(_) | Op::NufftAdjoint(_) | Op::Parallel(_));
    if !p.nodes().iter().any(|n| whole(&n.op)) {
        return Ok(p.clone());
    }
    let mut b = Builder::new(p.input_extents());
    let mut ids = vec![ValueId::INPUT];
    for node in p.nodes() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|v| ids[v.at()]).collect();
        let id = match &node.op {
            Op::Nufft(n) => n.forward(&mut b, inputs[0])?,
            Op::NufftAdjoint(n) => {
                let adjoint = forward(n, &node.extents)?.transpose()?;
                b.inline(&adjoint, inputs[0])?
            }
            Op::Parallel(par) => {
                let children = par.children.iter().map(expand).collect::<Result<_>>()?;
                b.parallel(inputs[0], Parallel { children, ..(**par).clone() })?
            }
            op => b.push(op.clone(), inputs, node.extents.clone()),
        };
        ids.push(id);
    }
    Ok(b.finish(ids[p.output().at()]))
}

/// The forward for an input of these extents.
fn forward(n: &Nufft, extents: &[usize]) -> Result<Program> {
    let mut b = Builder::new(extents);
    let y = n.forward(&mut b, ValueId::INPUT)?;
    Ok(b.finish(y))
}
