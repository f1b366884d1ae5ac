//! Composition.

use super::{Linop, Operator, Saver, listed};
use crate::access::ValueId;
use crate::error::{Result, shape_err};
use crate::ir::Builder;

/// y = A_k … A_1 x for the linops in the order they are applied.
///
/// It is one program: the adjoint is A_1ᴴ … A_kᴴ, and in the normal what meets in the middle is simplified, outwards:
/// transforms cancel, samplings become masks, weights their squares. Index maps and weights go into the kernels beside them, so
/// the cost is that of what is left. [Splits](Linop::split) along dims along which all of them do, as far as each is needed by
/// the next.
///
/// ```
/// use linops::linop::{self, Align};
/// let padded = linop::pad("N=4", "N=6", Align::Center)?.keep();
/// let back = linop::crop("N=6", "N=4", Align::Center)?.keep();
/// let a = linop::chain([&padded, &back])?;
/// assert_eq!((a.input()?, a.output()?), (padded.input()?, back.output()?));
/// assert!(a.program()?.nodes().is_empty());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// No linops; or the output of one is not the input of the next, dims and extents.
pub fn chain(linops: impl IntoIterator<Item = impl AsRef<Linop>>) -> Result<Linop> {
    let linops = listed(linops);
    for l in &linops {
        l.check()?;
    }
    let (Some(first), Some(last)) = (linops.first(), linops.last()) else {
        return shape_err!("chain: needs at least one linop");
    };
    for (i, pair) in linops.windows(2).enumerate() {
        let (a, b) = (&pair[0], &pair[1]);
        b.input()?.expect(a.output()?).map_err(|e| {
            e.at(format!(
                "chain: linops[{}] ({}) does not take what linops[{i}] ({}) gives",
                i + 1,
                b.label(),
                a.label()
            ))
        })?;
    }
    let (input, output) = (first.input()?.clone(), last.output()?.clone());
    Ok(Linop::of(input, output, Chain { linops }))
}

#[derive(Debug)]
pub(super) struct Chain {
    linops: Vec<Linop>,
}

impl Operator for Chain {
    fn op(&self) -> &'static str {
        "chain"
    }

    fn children(&self) -> &[Linop] {
        &self.linops
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        self.linops
            .iter()
            .enumerate()
            .try_fold(x, |x, (i, l)| l.forward(b, x).map_err(|e| e.at(format!("linops[{i}]"))))
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        let (Some(first), Some(last)) = (self.linops.first(), self.linops.last()) else { return Ok(()) };
        // Each is given what the one before gives, which is its input.
        to.linops(&self.linops, |i| self.linops[i].input().ok().cloned())?;
        to.within(first.input()?.clone(), last.output()?.clone());
        Ok(())
    }
}
