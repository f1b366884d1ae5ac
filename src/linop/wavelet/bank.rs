//! A level as a program: filters along each axis, and what joins a level with the deeper ones.

use super::levels::{Band, Level, Piece, details};
use super::{MOST_AXES, Wavelet, WaveletBoundary};
use crate::access::{AxisMap, Constant, ConstantData, MapAxis, ValueId, identity_axes};
use crate::allocate;
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::convolve::{ConvAxis, Convolve};
use crate::primitive::gather::IndexList;

/// The filters of one direction, as the channels of a convolution.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    /// (channels out, channels in, taps), with none, one and two axes of one tap behind.
    weights: [Constant; MOST_AXES],
    /// Taps of the wavelet, those that are zero for both bands included.
    taps: usize,
    /// Such taps in front, which are left out.
    skipped: usize,
    boundary: WaveletBoundary,
    synthesis: bool,
}

impl Bank {
    /// Whether bands in the banded array may be longer than their coefficients: analysis makes zeros there, or synthesis reads
    /// nothing.
    pub fn pads(boundary: WaveletBoundary, synthesis: bool) -> bool {
        match boundary {
            WaveletBoundary::Zero => true,
            WaveletBoundary::Symmetric => synthesis,
            WaveletBoundary::Periodization => false,
        }
    }

    /// From samples to (low, high).
    pub fn analysis(wavelet: &Wavelet, boundary: WaveletBoundary) -> Result<Bank> {
        Bank::of(wavelet.analysis(), boundary, false)
    }

    /// From (low, high) to samples.
    pub fn synthesis(wavelet: &Wavelet, boundary: WaveletBoundary) -> Result<Bank> {
        Bank::of(wavelet.synthesis(), boundary, true)
    }

    fn of([low, high]: [&[f64]; 2], boundary: WaveletBoundary, synthesis: bool) -> Result<Bank> {
        let used: Vec<usize> = (0..low.len()).filter(|&k| low[k] != 0.0 || high[k] != 0.0).collect();
        let (first, end) = (used.first().map_or(0, |&k| k), used.last().map_or(low.len(), |&k| k + 1));
        let values: Vec<f32> = low[first..end].iter().chain(&high[first..end]).map(|&v| v as f32).collect();
        let (out, within) = if synthesis { (1, 2) } else { (2, 1) };
        let weight = |behind: usize| {
            let extents = [&[out, within, end - first][..], &vec![1; behind]].concat();
            Constant::new(extents, ConstantData::F32(values.clone()))
        };
        let weights = [weight(0)?, weight(1)?, weight(2)?];
        Ok(Bank { weights, taps: low.len(), skipped: first, boundary, synthesis })
    }

    /// The axes of `x` from `axis` on, one of them filtered; those behind it stay apart where `apart` says so, since they are
    /// parts of larger axes.
    pub fn along(&self, b: &mut Builder, x: ValueId, axis: usize, band: &Band, apart: &[usize]) -> Result<ValueId> {
        let x = if self.synthesis { x } else { self.extended(b, x, axis, band)? };
        let e = b.extents(x).to_vec();
        let (n, channels) = if self.synthesis { (band.b, 2) } else { (e[axis], 1) };
        let mut axes = vec![self.axis(band)];
        // Axes behind, in stretches that can be read as one each; the last lies behind all axes of the convolution.
        let mut stretches = vec![1];
        for (k, &n) in e.iter().enumerate().skip(axis + 1) {
            match apart.contains(&k) && stretches.iter().product::<usize>() > 1 {
                true => stretches.push(n),
                false => *stretches.last_mut().unwrap_or(&mut 1) *= n,
            }
        }
        let behind = stretches.pop().unwrap_or(1);
        axes.extend(stretches.iter().map(|&n| ConvAxis {
            stride: 1,
            up: 1,
            step: 1,
            offset: 0,
            extent: n,
            period: None,
        }));
        let x = b.reshape(x, [&e[..axis], &[channels, n], &stretches, &[behind]].concat())?;
        let weight = self.weights[stretches.len()].clone();
        let y = b.convolve(x, Convolve { weight, conj: false, swapped: false, axes })?;
        let made = if self.synthesis { band.n } else { band.banded() };
        b.reshape(y, [&e[..axis], &[made], &e[axis + 1..]].concat())
    }

    fn axis(&self, band: &Band) -> ConvAxis {
        let (taps, skipped) = (self.taps as i64, self.skipped as i64);
        let periodic = self.boundary == WaveletBoundary::Periodization;
        let period = periodic.then_some(2 * band.m);
        let axis = ConvAxis { stride: 1, up: 1, step: -1, offset: 0, extent: band.n, period };
        match (self.synthesis, self.boundary) {
            // y[m] = Σ f[j]·x[2m + 1 − j], which is zero from M on
            (false, WaveletBoundary::Zero) => ConvAxis { stride: 2, offset: 1 - skipped, extent: band.b, ..axis },
            // The same, with L − 2 samples in front.
            (false, WaveletBoundary::Symmetric) => {
                ConvAxis { stride: 2, offset: taps - 1 - skipped, extent: band.m, ..axis }
            }
            // y[m] = Σ f[j]·x[(2m + L/2 − j) mod 2M]
            (false, WaveletBoundary::Periodization) => {
                ConvAxis { stride: 2, offset: taps / 2 - skipped, extent: band.m, ..axis }
            }
            // x[n] = Σ f[j]·y[(n + L − 2 − j)/2], where that is whole; it is below M
            (true, WaveletBoundary::Zero | WaveletBoundary::Symmetric) => {
                ConvAxis { up: 2, offset: taps - 2 - skipped, ..axis }
            }
            (true, WaveletBoundary::Periodization) => ConvAxis { up: 2, offset: taps / 2 - 1 - skipped, ..axis },
        }
    }

    /// x with the samples beside it that the boundary makes of its own.
    fn extended(&self, b: &mut Builder, x: ValueId, axis: usize, band: &Band) -> Result<ValueId> {
        let n = band.n as i64;
        let (first, end) = match self.boundary {
            WaveletBoundary::Zero => return Ok(x),
            // Odd extents repeat the last sample.
            WaveletBoundary::Periodization => (0, 2 * band.m as i64),
            WaveletBoundary::Symmetric => (2 - self.taps as i64, 2 * band.m as i64),
        };
        if (first, end) == (0, n) {
            return Ok(x);
        }
        if u32::try_from(end - first).is_err() {
            return shape_err!(
                "extent {n} is too large to be made longer: that takes a list of more than 2^32 indices"
            );
        }
        let mirrored = |i: i64| {
            let i = i.rem_euclid(2 * n);
            i.min(2 * n - 1 - i) as u32
        };
        let indices = allocate::collected((first..end).map(mirrored), (end - first) as usize)?;
        b.gather(x, axis, IndexList::new(indices, band.n)?)
    }
}

/// The axes that are transformed.
pub(super) type Axes = [usize];

/// A level's packed coefficients, of its banded ones and of what deeper levels have made of the low ones.
pub(super) fn pack(b: &mut Builder, axes: &Axes, level: &Level, banded: ValueId, deeper: ValueId) -> Result<ValueId> {
    let packed: Vec<usize> = level.iter().map(Band::packed).collect();
    let corner: Vec<AxisMap> = level.iter().map(|band| AxisMap::affine(1, 0, 1, band.p, band.packed())).collect();
    let mut terms = vec![through(b, deeper, axes, &corner, &packed)?];
    for pieces in details(level) {
        let maps: Vec<AxisMap> = pieces.iter().map(Piece::packs).collect();
        terms.push(through(b, banded, axes, &maps, &packed)?);
    }
    b.add(&terms)
}

/// The banded coefficients, of a level's packed ones and of the low ones that were made of the deeper levels.
pub(super) fn unpack(b: &mut Builder, axes: &Axes, level: &Level, packed: ValueId, low: ValueId) -> Result<ValueId> {
    let banded: Vec<usize> = level.iter().map(Band::banded).collect();
    let corner: Vec<AxisMap> = level.iter().map(|band| AxisMap::affine(1, 0, 1, band.m, band.banded())).collect();
    let mut terms = vec![through(b, low, axes, &corner, &banded)?];
    for pieces in details(level) {
        let maps: Vec<AxisMap> = pieces.iter().map(Piece::unpacks).collect();
        terms.push(through(b, packed, axes, &maps, &banded)?);
    }
    b.add(&terms)
}

/// The first so many indices of each axis.
pub(super) fn corner(b: &mut Builder, x: ValueId, axes: &Axes, to: &[usize]) -> Result<ValueId> {
    let maps: Vec<AxisMap> = axes.iter().zip(to).map(|(&a, &n)| AxisMap::affine(1, 0, 1, b.extents(x)[a], n)).collect();
    through(b, x, axes, &maps, to)
}

/// These axes read through their maps, to these extents.
fn through(b: &mut Builder, x: ValueId, axes: &Axes, maps: &[AxisMap], to: &[usize]) -> Result<ValueId> {
    let mut extents = b.extents(x).to_vec();
    let mut entries = identity_axes(&extents);
    for ((&a, &map), &n) in axes.iter().zip(maps).zip(to) {
        (entries[a], extents[a]) = (MapAxis::From(a, map), n);
    }
    b.map(x, entries, extents)
}
