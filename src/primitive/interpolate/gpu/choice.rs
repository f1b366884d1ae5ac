//! How many footprints a spread stages, and how many batch entries an invocation has: by a model, or as was measured to be faster. The
//! sums of an entry have the same order in all of them.

#[cfg(feature = "gpu")]
use crate::access::ValueId;
#[cfg(feature = "gpu")]
use crate::error::Result;
#[cfg(feature = "gpu")]
use crate::ir::Builder;
use crate::points::Points;
#[cfg(feature = "gpu")]
use crate::points::{Footprint, Profile};
#[cfg(feature = "gpu")]
use crate::primitive::Variant;
use crate::shader::GpuLimits;
#[cfg(feature = "gpu")]
use crate::shader::KernelShape;

use super::{BLOCK, staged};
use crate::primitive::interpolate::BLOCK as COILS;

/// What a spread stages, and batch entries of an invocation: what is tried beside the model's own, which is the first.
const SPREADS: [(usize, usize); 6] = [(32, 8), (32, 4), (32, 2), (16, 8), (16, 4), (8, 8)];
/// Batch entries of an invocation of an interpolation, beside the model's own.
const INTERPOLATIONS: [usize; 3] = [8, 2, 1];

/// What the choice of a kernel is called; None for batches that no choice is made for.
fn what(spreads: bool, rank: usize, batch: usize) -> Option<String> {
    let name = if spreads { "spread" } else { "interpolate" };
    let of = match batch {
        // An interpolation of one entry has no blocks.
        1 if spreads => "alone",
        COILS.. => "of 8 and more",
        _ => return None,
    };
    Some(format!("{name} {rank}d {of}"))
}

/// The place of the candidate that was measured to be the fastest, if it is not the model's own.
fn measured(spreads: bool, points: &Points, batch: usize, limits: &GpuLimits) -> Option<usize> {
    let place = limits.choices.and_then(|c| c.place(&what(spreads, points.grid().len(), batch)?));
    place.and_then(|place| place.checked_sub(1))
}

/// Footprints that a spread stages at a time, if it does, and batch entries of an invocation.
pub(super) fn spread_shape(points: &Points, batch: usize, limits: &GpuLimits) -> (Option<usize>, usize) {
    // Where footprints are staged samples come from workgroup memory, so more of them pay.
    let Some(most) = staged(points, limits) else { return (None, BLOCK) };
    let found = measured(true, points, batch, limits).and_then(|place| SPREADS.get(place));
    // Fewer fit as well.
    let (count, block) = found.copied().filter(|(count, _)| *count <= most).unwrap_or((most, COILS));
    (Some(count), block)
}

/// Batch entries of an invocation of an interpolation.
pub(super) fn interpolation_block(points: &Points, batch: usize, limits: &GpuLimits) -> usize {
    let found = measured(false, points, batch, limits).and_then(|place| INTERPOLATIONS.get(place));
    found.copied().unwrap_or(BLOCK)
}

/// The choices of kernels, each between a grid and about so many samples or cells.
#[cfg(feature = "gpu")]
pub(crate) fn variants(limits: &GpuLimits, elements: usize) -> Result<Vec<Variant>> {
    if limits.shape == KernelShape::Cpu {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for rank in [2, 3] {
        let side = ((elements / COILS).max(64) as f64).powf(1.0 / rank as f64) as usize;
        let grid = vec![side.max(8); rank];
        for (spreads, batch) in [(true, 1), (true, COILS), (false, COILS)] {
            let Some(what) = what(spreads, rank, batch) else { continue };
            let candidates = 1 + if spreads { SPREADS.len() } else { INTERPOLATIONS.len() };
            let grid = grid.clone();
            let program = move || {
                let points = scattered(&grid)?;
                let extents = if spreads { vec![batch, points.count()] } else { [&[batch], &grid[..]].concat() };
                let mut b = Builder::new(&extents);
                let y = match spreads {
                    true => b.spread(ValueId::INPUT, points)?,
                    false => b.interpolate(ValueId::INPUT, points)?,
                };
                b.finish(y)
            };
            all.push(Variant { what, candidates, program: Box::new(program) });
        }
    }
    Ok(all)
}

/// As many points as cells, without order.
#[cfg(feature = "gpu")]
fn scattered(grid: &[usize]) -> Result<Points> {
    let (rank, count) = (grid.len(), grid.iter().product::<usize>());
    let mut state = 1u64;
    let mut next = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31) * n as f64
    };
    let locations: Vec<f64> = (0..count * rank).map(|k| next(grid[k % rank])).collect();
    let (width, profile) = (vec![4.0; rank], vec![Profile::kaiser_bessel(7.0); rank]);
    let footprint = Footprint { width, profile, radial: false, circular: true, closed: false };
    Points::new(&locations, grid, &footprint)
}
