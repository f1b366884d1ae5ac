//! The eigenvalues of the circulant that a Toeplitz normal is a crop of.
//!
//! p[n] = Σ w exp(2πi k·n/N) for |n| < N, wrapped around the origin of an array of at least twice the size, transformed. p is
//! made block by block: each is the adjoint of a transform onto a small image, with the samples turned by the block's offset.
//! So what exists at the same time is the result and a grid that is no larger than it. For real w only half of p is made
//! (p[−n] = p[n]*), and the last transform gives real values in place.

use super::{Nufft, Prepared, Size};
use crate::access::ConstantData;
use crate::error::{Error, Result};
use crate::allocate::zeroed;
use crate::points::Points;
use crate::primitive::fft::transform;
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;
use std::f64::consts::PI;

/// Bytes of a block's grid that are always allowed.
const SMALL: usize = 8 << 20;

/// Makes eigenvalues for weights of the samples of a transform.
pub(super) struct Circulant<'a> {
    nufft: &'a Nufft,
    /// Extents of the circulant.
    doubled: &'a [usize],
    /// Extents of a block.
    block: Vec<usize>,
    size: Size,
    made: Prepared,
}

impl<'a> Circulant<'a> {
    /// # Errors
    /// The points cannot be prepared for a block.
    pub fn new(nufft: &'a Nufft, doubled: &'a [usize]) -> Result<Circulant<'a>> {
        let image = nufft.image();
        let kept = 4 * doubled.iter().product::<usize>();
        let of = |block: &[usize]| {
            let size = Size::reaching(nufft.kernel_tol(), sigma(image.len()), block, false);
            size.ok_or_else(|| Error::Value(format!("no kernel is as exact as {:e}", nufft.kernel_tol())))
        };
        // All offsets at once, along the last axis the positive ones.
        let mut block: Vec<usize> = image.iter().map(|&n| 2 * n).collect();
        if let Some(last) = block.last_mut() {
            *last = last.div_ceil(2);
        }
        let bytes = |size: &Size| 16 * size.grid.iter().product::<usize>();
        let mut size = of(&block)?;
        while bytes(&size) > SMALL.max(kept / 2) {
            // The longest axis in two.
            let Some(longest) = block.iter_mut().max().filter(|n| **n > 16) else { break };
            *longest = longest.div_ceil(2);
            size = of(&block)?;
        }
        let locs = nufft.0.locs.iter().enumerate().map(|(i, k)| {
            let a = i % image.len();
            k * block[a] as f64 / image[a] as f64
        });
        let made = Prepared::new(&block, &locs.collect::<Vec<_>>(), &size)?;
        Ok(Circulant { nufft, doubled, block, size, made })
    }

    /// The eigenvalues for one weight a sample, over the circulant's size. Real ones need real weights.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn eigenvalues(&self, w: &[Complex32], real: bool) -> Result<ConstantData> {
        let (image, d) = (self.nufft.image(), self.doubled.len());
        let last = self.doubled[d - 1];
        // What is held of a line: for real results the first half and the middle.
        let held = if real { last / 2 + 1 } else { last };
        let lines: usize = self.doubled[..d - 1].iter().product();
        let mut p: Vec<Complex32> = zeroed(lines * held)?;
        // Offsets -(N-1) ..= N-1; n = -N occurs nowhere in the matrix.
        let first = |a: usize| if real && a + 1 == d { 0 } else { 1 - image[a] as i64 };
        let starts: Vec<Vec<i64>> =
            (0..d).map(|a| (first(a)..image[a] as i64).step_by(self.block[a]).collect()).collect();
        for k in 0..starts.iter().map(Vec::len).product::<usize>() {
            let mut rest = k;
            let start: Vec<i64> = (0..d)
                .map(|a| {
                    let n = starts[a].len();
                    let at = rest % n;
                    rest /= n;
                    starts[a][at]
                })
                .collect();
            self.add_block(w, &start, held, &mut p)?;
        }
        // Along all axes but the last, then line by line.
        let extents: Vec<usize> = self.doubled[..d - 1].iter().copied().chain([held]).collect();
        transform(&mut p, &extents, &(0..d - 1).collect::<Vec<_>>(), false, false);
        let fft = rustfft::FftPlanner::new().plan_fft_forward(last);
        if !real {
            p.par_chunks_mut(last).for_each_init(|| vec![Complex32::default(); fft.get_inplace_scratch_len()], |s, l| {
                fft.process_with_scratch(l, s);
            });
            return Ok(ConstantData::C32(p));
        }
        let workspace = || (vec![Complex32::default(); last], vec![Complex32::default(); fft.get_inplace_scratch_len()]);
        p.par_chunks_mut(held).for_each_init(workspace, |(line, scratch), half| {
            line[..held].copy_from_slice(half);
            (1..=(last - 1) / 2).for_each(|k| line[last - k] = half[k].conj());
            fft.process_with_scratch(line, scratch);
            let reals: &mut [f32] = bytemuck::cast_slice_mut(half);
            reals.iter_mut().zip(line.iter()).for_each(|(r, v)| *r = v.re);
        });
        // Line after line without the gaps.
        let mut reals: Vec<f32> = bytemuck::allocation::cast_vec(p);
        (1..lines).for_each(|l| reals.copy_within(2 * held * l..2 * held * l + last, last * l));
        reals.truncate(last * lines);
        reals.shrink_to_fit();
        Ok(ConstantData::F32(reals))
    }

    /// Adds p[n] for the n of the block that starts at `start` to their places in the circulant.
    fn add_block(&self, w: &[Complex32], start: &[i64], held: usize, p: &mut [Complex32]) -> Result<()> {
        let (image, block, d) = (self.nufft.image(), &self.block, self.doubled.len());
        // The middle of the block's image is where its own transform has the origin.
        let origin: Vec<f64> = (0..d).map(|a| (start[a] + (block[a] / 2) as i64) as f64 / image[a] as f64).collect();
        let turned = |m: usize| {
            let k = &self.nufft.0.locs[m * d..(m + 1) * d];
            let turns: f64 = k.iter().zip(&origin).map(|(k, o)| k * o).sum();
            let (sin, cos) = (2.0 * PI * (turns - turns.round())).sin_cos();
            Complex64::new(w[m].re.into(), w[m].im.into()) * Complex64::new(cos, sin)
        };
        let mut grid = spread(&self.made.points, turned)?;
        let axes: Vec<usize> = (0..d).collect();
        transform(&mut grid, &self.size.grid, &axes, true, true);
        // Both transforms are orthonormal over the image, the circulant's are without a factor; and the block's own norm.
        let scale: f64 = (0..d).map(|a| (block[a] as f64).sqrt() / (image[a] * self.doubled[a]) as f64).product();
        let mut index = vec![0usize; d];
        for _ in 0..block.iter().product::<usize>() {
            let offset = |a: usize| start[a] + index[a] as i64;
            if (0..d).all(|a| offset(a) < image[a] as i64) {
                let (mut from, mut to, mut weight) = (0, 0, scale);
                for a in 0..d {
                    from = from * self.size.grid[a] + self.size.grid[a] / 2 + index[a] - block[a] / 2;
                    let at = offset(a).rem_euclid(self.doubled[a] as i64) as usize;
                    to = to * if a + 1 == d { held } else { self.doubled[a] } + at;
                    weight *= f64::from(self.made.apodisation[a].get(index[a]).re);
                }
                let v = grid[from] * weight;
                p[to] = Complex32::new(v.re as f32, v.im as f32);
            }
            for a in (0..d).rev() {
                index[a] += 1;
                if index[a] < block[a] {
                    break;
                }
                index[a] = 0;
            }
        }
        Ok(())
    }
}

impl Nufft {
    /// What the kernel's own error may be: little of what is allowed to the transform.
    fn kernel_tol(&self) -> f64 {
        (0.1 * self.error()).clamp(1e-7, 1e-4)
    }
}

/// Oversampling of the grids that p is made on.
fn sigma(axes: usize) -> f64 {
    if axes == 3 { 1.5 } else { 2.0 }
}

/// Samples on the grid, in f64: tile by tile, each by one task and in the order of its points.
fn spread(points: &Points, sample: impl Fn(usize) -> Complex64 + Sync) -> Result<Vec<Complex64>> {
    let (d, tiles, taps) = (points.grid().len(), points.tiles(), points.taps());
    let three = |v: &[usize]| -> [usize; 3] { std::array::from_fn(|a| if a + d < 3 { 1 } else { v[a + d - 3] }) };
    let (grid, tile, taps3) = (three(points.grid()), three(tiles.extents()), three(taps));
    let mut out: Vec<Complex64> = zeroed(grid.iter().product())?;
    // A large table of weights is not made for this alone.
    let large = 4 * points.count() * points.stride() > SMALL;
    let polynomials = points.polynomials().filter(|_| large);
    // The weights of a point, tap after tap.
    let weigh = |p: usize, weights: &mut Vec<f64>| {
        weights.clear();
        let Some(polynomials) = &polynomials else {
            weights.extend(points.weights()[p * points.stride()..][..points.stride()].iter().map(|w| f64::from(*w)));
            return;
        };
        for (pieces, s) in polynomials.pieces.iter().zip(&polynomials.fractions[p * d..]) {
            let s = f64::from(*s);
            let tap = |j: usize| (0..pieces.terms()).rev().fold(0.0, |sum, k| sum * s + pieces.coefficient(k, j));
            weights.extend((0..pieces.taps()).map(tap));
        }
    };
    let sum = |t: usize, cells: &mut [Complex64], weights: &mut Vec<f64>| {
        for e in tiles.entries(t) {
            let sample = sample(points.order()[e.point as usize] as usize);
            weigh(e.point as usize, weights);
            // First and end of the taps inside along each axis, and where their weights begin.
            let along: [(i64, usize, usize, usize); 3] = std::array::from_fn(|a| {
                if a + d < 3 {
                    return (0, 0, 1, usize::MAX);
                }
                let (own, first) = (a + d - 3, i64::from(e.first[a + d - 3]));
                let begin = taps[..own].iter().sum();
                let low = (-first).max(0) as usize;
                let high = (tile[a] as i64 - first).clamp(0, taps3[a] as i64) as usize;
                (first, low.min(high), high, begin)
            });
            let weight = |a: usize, j: usize| if along[a].3 == usize::MAX { 1.0 } else { weights[along[a].3 + j] };
            for i in along[0].1..along[0].2 {
                let u = weight(0, i);
                for j in along[1].1..along[1].2 {
                    let v = sample * (u * weight(1, j));
                    let row = ((along[0].0 + i as i64) as usize * tile[1] + (along[1].0 + j as i64) as usize) * tile[2];
                    for k in along[2].1..along[2].2 {
                        cells[row + (along[2].0 + k as i64) as usize] += v * weight(2, k);
                    }
                }
            }
        }
    };
    // Some tiles at a time: their sums are held until they are stored.
    let cells: usize = tile.iter().product();
    let together = (4 * rayon::current_num_threads()).min(tiles.len());
    let mut sums = vec![Complex64::default(); together * cells];
    for first in (0..tiles.len()).step_by(together) {
        let here = together.min(tiles.len() - first);
        let sums = &mut sums[..here * cells];
        sums.par_chunks_mut(cells).enumerate().for_each_init(Vec::new, |weights, (k, cells)| {
            cells.fill(Complex64::default());
            sum(first + k, cells, weights);
        });
        for (k, cells) in sums.chunks_exact(cells).enumerate() {
            let origin = tiles.origin(first + k);
            let origin: [usize; 3] = std::array::from_fn(|a| if a + d < 3 { 0 } else { origin[a + d - 3] });
            let n: [usize; 3] = std::array::from_fn(|a| tile[a].min(grid[a] - origin[a]));
            for i in 0..n[0] {
                for j in 0..n[1] {
                    let to = ((origin[0] + i) * grid[1] + origin[1] + j) * grid[2] + origin[2];
                    let from = (i * tile[1] + j) * tile[2];
                    out[to..to + n[2]].copy_from_slice(&cells[from..from + n[2]]);
                }
            }
        }
    }
    Ok(out)
}
