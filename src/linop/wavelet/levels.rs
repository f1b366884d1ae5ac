//! The extents of all levels, and where their bands lie in the packed array.
//!
//! Along one axis a level takes N samples to two bands of M, and a deeper level packs the low one into P ≥ M coefficients:
//!
//! ```text
//! banded   | low: M, to B     | high: M, to B     |   what the filters give, or take
//! packed   | low, packed: P   | high: M |             what the level returns; deeper coefficients stand in the corner
//! ```
//!
//! Bands along one axis that stand beside a deeper level along another leave M..P empty: zero. Where filters give zeros there
//! by themselves, or do not look there, B is P, and both bands are moved as one piece. Otherwise B is M.

use super::{Wavelet, WaveletBoundary};
use crate::access::AxisMap;

/// One level along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Band {
    /// Samples.
    pub n: usize,
    /// Coefficients of either band.
    pub m: usize,
    /// What the deeper levels make of the low band; `m` where there is none.
    pub p: usize,
    /// What either band has in the banded array: `m` or `p`.
    pub b: usize,
}

impl Band {
    pub fn packed(&self) -> usize {
        self.p + self.m
    }

    pub fn banded(&self) -> usize {
        2 * self.b
    }

    fn low(&self) -> Piece {
        Piece { banded: 0, packed: 0, len: self.m }
    }

    fn high(&self) -> Piece {
        Piece { banded: self.b, packed: self.p, len: self.m }
    }

    /// Both bands, in one piece where they lie beside each other.
    fn both(&self) -> Vec<Piece> {
        match self.b == self.p {
            true => vec![Piece { len: self.packed(), ..self.low() }],
            false => vec![self.low(), self.high()],
        }
    }
}

/// A stretch along one axis: where it starts in the banded and in the packed array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    banded: usize,
    packed: usize,
    len: usize,
}

impl Piece {
    /// Reads the stretch out of the banded axis into the packed one, zero elsewhere.
    pub fn packs(&self) -> AxisMap {
        reads(self.banded, self.packed, self.len)
    }

    /// The transpose.
    pub fn unpacks(&self) -> AxisMap {
        reads(self.packed, self.banded, self.len)
    }
}

/// Index `to + k` reads `from + k`, for `k < len`.
fn reads(from: usize, to: usize, len: usize) -> AxisMap {
    let (from, to, len) = (from as i64, to as i64, len as i64);
    AxisMap { num: 1, off: from - to, den: 1, wrap: false, lo: to, hi: to + len }
}

/// One level: a band for each axis that is transformed.
pub(super) type Level = Vec<Band>;

/// The boxes of a level's own coefficients, all but the low band of every axis: a piece for each axis. They do not overlap.
pub(super) fn details(level: &Level) -> Vec<Vec<Piece>> {
    let mut boxes = Vec::new();
    for (k, band) in level.iter().enumerate() {
        // Low along the axes before, high along this one, anything behind.
        let mut own = vec![level[..k].iter().map(Band::low).chain([band.high()]).collect::<Vec<_>>()];
        for behind in &level[k + 1..] {
            let longer = |b: &Vec<Piece>| {
                let b = b.clone();
                behind.both().into_iter().map(move |p| b.iter().copied().chain([p]).collect())
            };
            own = own.iter().flat_map(longer).collect();
        }
        boxes.extend(own);
    }
    boxes
}

/// So many levels of axes of these extents, the finest first; `padded` says that bands may be longer than their coefficients.
pub(super) fn levels(
    extents: &[usize],
    count: usize,
    taps: usize,
    boundary: WaveletBoundary,
    padded: bool,
) -> Vec<Level> {
    let halved = |n: usize| match boundary {
        WaveletBoundary::Zero | WaveletBoundary::Symmetric => (n + taps - 1) / 2,
        WaveletBoundary::Periodization => n.div_ceil(2),
    };
    let mut levels: Vec<Level> = Vec::with_capacity(count);
    let mut extents = extents.to_vec();
    for _ in 0..count {
        let halves: Vec<usize> = extents.iter().map(|&n| halved(n)).collect();
        levels.push(extents.iter().zip(&halves).map(|(&n, &m)| Band { n, m, p: m, b: m }).collect());
        extents = halves;
    }
    for at in (1..count).rev() {
        let deeper: Vec<usize> = levels[at].iter().map(Band::packed).collect();
        for (band, p) in levels[at - 1].iter_mut().zip(deeper) {
            band.p = p;
            band.b = if padded { p } else { band.m };
        }
    }
    levels
}

/// The levels that PyWavelets makes by default: as many as [`Wavelet::max_levels`] gives of every axis.
pub(super) fn usual(extents: &[usize], wavelet: &Wavelet) -> usize {
    extents.iter().map(|&n| wavelet.max_levels(n)).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_extents_are_those_of_pywavelets() {
        let packed = |n: usize, count, taps, boundary| levels(&[n], count, taps, boundary, false)[0][0].packed();
        use WaveletBoundary::{Periodization, Symmetric, Zero};
        assert_eq!((packed(31, 2, 4, Zero), packed(32, 2, 8, Zero), packed(18, 4, 2, Zero)), (37, 45, 21));
        assert_eq!((packed(27, 2, 4, Periodization), packed(32, 3, 4, Periodization)), (28, 32));
        assert_eq!(packed(31, 2, 4, Symmetric), 37);
    }

    #[test]
    fn details_lie_beside_the_corner_and_each_other() {
        for (extents, count, taps) in [(vec![9, 7], 2, 6), (vec![8, 4], 2, 2), (vec![5, 6, 7], 2, 4)] {
            for padded in [false, true] {
                for level in levels(&extents, count, taps, WaveletBoundary::Zero, padded) {
                    let boxes = details(&level);
                    let corner: Vec<Piece> =
                        level.iter().map(|b| Piece { banded: 0, packed: 0, len: b.p.min(b.b) }).collect();
                    let mut all = boxes.clone();
                    all.push(corner);
                    for (i, a) in all.iter().enumerate() {
                        let apart =
                            |(p, q): (&Piece, &Piece)| p.packed + p.len <= q.packed || q.packed + q.len <= p.packed;
                        assert!(all[..i].iter().all(|b| a.iter().zip(b).any(apart)), "{all:?}");
                    }
                    if padded {
                        assert_eq!(boxes.len(), extents.len());
                    } else {
                        let covered: usize = all.iter().map(|b| b.iter().map(|p| p.len).product::<usize>()).sum();
                        assert_eq!(covered, level.iter().map(Band::banded).product::<usize>());
                    }
                }
            }
        }
    }
}
