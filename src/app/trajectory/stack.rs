//! Stacks of planar trajectories.

use super::{check, radial};
use crate::Result;
use ndarray::Array4;

/// A stack of stars: [`radial`] spokes in x and y, repeated at each partition, as (partition, spoke, sample, (z, y, x)) in
/// cycles per field of view.
///
/// Partition p lies at z = p − `partitions` / 2 (rounded down), which samples as many slices fully. Glover and Pauly, Magn. Reson. Med.
/// 28:275 (1992), for the star; Peters et al., Magn. Reson. Med. 43:91 (2000), for the stack.
///
/// # Errors
/// [`Error::Value`](crate::Error::Value) for an extent of 0, or more points than memory holds.
pub fn stack_of_stars(partitions: usize, spokes: usize, samples: usize, matrix: usize) -> Result<Array4<f64>> {
    check(&[("partitions", partitions), ("spokes", spokes), ("samples", samples)], matrix)?;
    let star = radial(spokes, samples, matrix)?;
    Ok(Array4::from_shape_fn((partitions, spokes, samples, 3), |(partition, spoke, sample, axis)| match axis {
        0 => partition as f64 - (partitions / 2) as f64,
        axis => star[[spoke, sample, axis - 1]],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_holds_the_star() {
        let k = stack_of_stars(3, 4, 6, 12).unwrap();
        assert_eq!(k.dim(), (3, 4, 6, 3));
        assert_eq!([0, 1, 2].map(|p| k[[p, 1, 2, 0]]), [-1.0, 0.0, 1.0]);
        let star = radial(4, 6, 12).unwrap();
        assert_eq!((k[[2, 3, 1, 1]], k[[0, 3, 1, 2]]), (star[[3, 1, 0]], star[[3, 1, 1]]));
    }
}
