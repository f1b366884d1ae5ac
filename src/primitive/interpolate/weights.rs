//! Where a kernel between a grid and points takes weights from.

use crate::ir::Lowering;
use crate::plan::Target;
use crate::points::{Points, Weights};

/// A table of weights that no longer stays in a CPU's caches.
const LARGE_TABLE: usize = 16 << 20;
/// Batch entries beside which the weights' own cost shows.
const FEW: usize = 2;

/// Where weights come from, for so many batch entries. Sub-linops side by side decide as each alone does.
pub(super) fn chosen(to: &dyn Lowering, batch: usize, points: &Points, spreads: bool) -> Weights {
    let target = to.target();
    match (points.polynomials(), to.options().weights) {
        (None, _) => Weights::Table,
        // Only what is staged is computed once for all cells.
        _ if spreads && matches!(&target, Target::Gpu(l) if super::gpu::staged(points, l).is_none()) => Weights::Table,
        (_, Some(forced)) => forced,
        _ => favoured(&target, batch.div_ceil(to.batch()), points),
    }
}

/// The better of both ways; the same for an interpolation and its adjoint, so that both have the same weights to the last bit.
///
/// On the host polynomials take 3 ns for a point in 2-D, and some more to pass on what they give. A table that stays in the
/// caches takes less. A larger one takes about as long for few coils (an interpolation reads it once and in order, a spread
/// again for each tile that a footprint touches): there polynomials save its memory, several times that of the points. With
/// many coils a table is small beside the samples, and faster.
///
/// On a GPU each block of the batch reads the records again. In 2-D with 6 taps a table is 48 bytes of a record's 60,
/// fractions are 8 of 20; the 70 multiply-adds that replace 40 bytes are less than what any GPU does while it reads them (5 to
/// 20 for a byte). So polynomials should win for any number of coils.
fn favoured(target: &Target, batch: usize, points: &Points) -> Weights {
    let table = 4 * points.count() * points.stride();
    let polynomials = match target {
        Target::Host => batch <= FEW && table > LARGE_TABLE,
        Target::Gpu(_) => true,
    };
    if polynomials { Weights::Polynomials } else { Weights::Table }
}
