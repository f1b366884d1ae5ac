//! The normal of a non-uniform transform as a convolution: AᴴWA is a Toeplitz matrix, the crop of a circulant one of twice the
//! size, whatever the points (Fessler et al., IEEE Trans. Signal Process. 53:3393, 2005).

use super::{Mixing, Nufft, Prepared, Size};
use crate::error::Result;
use crate::fft::next_smooth;
use crate::program::{AxisMap, Builder, Constant, ConstantData, Contract, Points, ValueId};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;

/// Cells of the grid that the kernel is made on, at most: 1 GiB in f64.
const MOST_CELLS: usize = 1 << 26;

/// W as the transform sees it: constant along batch axes, or not, and a value for each sample.
pub(crate) struct Inner {
    /// Batch axes along which it changes, ascending.
    pub axes: Vec<usize>,
    /// Their extents.
    pub extents: Vec<usize>,
    /// Values in C order, these axes before the samples.
    pub values: Vec<Complex32>,
}

impl Nufft {
    /// Whether the normal shall be a convolution; decided by cost where the linop does not say.
    pub(crate) fn prefers_toeplitz(&self) -> bool {
        if let Some(choice) = self.0.toeplitz {
            return choice;
        }
        let doubled = self.doubled();
        let cells: f64 = doubled.iter().map(|&n| n as f64).product();
        // Padded rows are zero and cropped ones not wanted: of D passes over the grid 2 − 2^(1−D) are made.
        let d = doubled.len() as i32;
        let passes = (2.0 - 0.5f64.powi(d - 1)) / f64::from(d);
        // Half of what a transform of its own costs: weights and both transforms go through memory together.
        let convolution = cells * (2.2 * cells.log2() * passes + 8.0);
        let making = Size::reaching(self.kernel_tol(), sigma(d as usize), &doubled, false);
        making.is_some_and(|s| s.grid.iter().product::<usize>() <= MOST_CELLS)
            && convolution < self.0.size.cost(self.count())
    }

    /// Extents of the circulant: smooth, and at least twice the image's less one.
    fn doubled(&self) -> Vec<usize> {
        self.0.image.iter().map(|&n| next_smooth((2 * n).saturating_sub(1).max(1))).collect()
    }

    /// What the kernel's own error may be: little of what is allowed to the transform.
    fn kernel_tol(&self) -> f64 {
        (0.1 * self.0.size.error(&self.0.image)).clamp(1e-7, 1e-4)
    }

    /// The same where W mixes batch entries: a matrix for each frequency.
    pub(crate) fn toeplitz_mixing(&self, b: &mut Builder, x: ValueId, m: &Mixing) -> Result<ValueId> {
        let (image, doubled) = (&self.0.image, self.doubled());
        let rank = b.extents(x).len();
        let batch = rank - image.len();
        let spectrum = self.spectrum(&m.inner, &doubled)?;
        let axes: Vec<usize> = (batch..rank).collect();
        let v = self.resized(b, x, image, &doubled)?;
        let v = b.fft(v, &axes, false, false, 1.0)?;
        // Mixed axes of the result have labels of their own.
        let own = |a: usize| if m.inner.axes.contains(&a) { rank + a } else { a } as u32;
        let mixed = m.inner.axes.iter();
        let w = mixed.clone().map(|&a| own(a)).chain(mixed.map(|&a| a as u32)).chain(axes.iter().map(|&a| a as u32));
        let labels = Contract {
            weight: spectrum,
            conj: false,
            w: w.collect(),
            x: (0..rank as u32).collect(),
            y: (0..rank).map(own).collect(),
        };
        let v = b.contract(v, labels)?;
        let v = b.fft(v, &axes, true, false, 1.0)?;
        self.resized(b, v, &doubled, image)
    }

    /// The image's axes padded or cropped at their ends.
    fn resized(&self, b: &mut Builder, x: ValueId, from: &[usize], to: &[usize]) -> Result<ValueId> {
        let batch = b.extents(x).len() - from.len();
        (0..from.len()).try_fold(x, |v, a| b.map_axis(v, batch + a, AxisMap::affine(1, 0, 1, from[a], to[a]), to[a]))
    }

    /// Appends AᴴWA, applied to x whose last axes are the image's.
    pub(crate) fn toeplitz(&self, b: &mut Builder, x: ValueId, w: &Inner) -> Result<ValueId> {
        let (image, doubled) = (&self.0.image, self.doubled());
        let batch = b.extents(x).len() - image.len();
        let spectrum = self.spectrum(w, &doubled)?;
        let axes: Vec<usize> = (batch..batch + image.len()).collect();
        let v = self.resized(b, x, image, &doubled)?;
        let v = b.fft(v, &axes, false, false, 1.0)?;
        let v = b.mul(v, spectrum, w.axes.iter().chain(&axes).copied().collect(), false)?;
        let v = b.fft(v, &axes, true, false, 1.0)?;
        self.resized(b, v, &doubled, image)
    }

    /// The eigenvalues of the circulant, over its size: real where W is real, so that the normal is exactly self-adjoint.
    fn spectrum(&self, w: &Inner, doubled: &[usize]) -> Result<Constant> {
        let image = &self.0.image;
        let d = image.len();
        let count = self.count();
        // p[n] = Σ w exp(2πi k·n/N) for |n| < N is the adjoint onto an image of twice the size, at twice the frequencies.
        let twice: Vec<usize> = image.iter().map(|&n| 2 * n).collect();
        let locs: Vec<f64> = self.0.locs.iter().map(|k| 2.0 * k).collect();
        let size = match Size::reaching(self.kernel_tol(), sigma(d), &twice, false) {
            Some(size) => size,
            None => self.0.size.clone(),
        };
        let made = Prepared::new(&twice, &locs, &size)?;
        let scale: f64 = doubled.iter().map(|&n| 1.0 / n as f64).product::<f64>()
            * twice.iter().map(|&n| (n as f64).sqrt()).product::<f64>()
            / image.iter().map(|&n| n as f64).product::<f64>();
        let mut all: Vec<Complex64> = Vec::new();
        for w in w.values.chunks_exact(count) {
            let grid = spread(&made.points, w);
            let grid = transform(grid, &size.grid, true, true);
            // Crop to twice the image (its middle at N), weigh, and wrap around the origin of the circulant.
            let mut circulant = vec![Complex64::default(); doubled.iter().product()];
            let mut index = vec![0usize; d];
            for _ in 0..twice.iter().product::<usize>() {
                let offset = |a: usize| index[a] as i64 - image[a] as i64;
                // n = -N occurs nowhere in the matrix.
                if (0..d).all(|a| offset(a) > -(image[a] as i64)) {
                    let (mut from, mut to, mut weight) = (0, 0, scale);
                    for a in 0..d {
                        from = from * size.grid[a] + (size.grid[a] / 2) + index[a] - image[a];
                        to = to * doubled[a] + offset(a).rem_euclid(doubled[a] as i64) as usize;
                        weight *= f64::from(made.apodisation[a].get(index[a]).re);
                    }
                    circulant[to] = grid[from] * weight;
                }
                for a in (0..d).rev() {
                    index[a] += 1;
                    if index[a] < twice[a] {
                        break;
                    }
                    index[a] = 0;
                }
            }
            all.extend(transform(circulant, doubled, false, false));
        }
        let extents: Vec<usize> = w.extents.iter().chain(doubled).copied().collect();
        let data = match w.values.iter().all(|w| w.im == 0.0) {
            true => ConstantData::F32(all.iter().map(|c| c.re as f32).collect()),
            false => ConstantData::C32(all.iter().map(|c| Complex32::new(c.re as f32, c.im as f32)).collect()),
        };
        Constant::new(extents, data)
    }
}

/// Oversampling of the grid that the kernel is made on.
fn sigma(axes: usize) -> f64 {
    if axes == 3 { 1.5 } else { 2.0 }
}

/// Samples on the grid, in f64: tile by tile, each by one task and in the order of its points.
fn spread(points: &Points, w: &[Complex32]) -> Vec<Complex64> {
    let (d, tiles, taps) = (points.grid().len(), points.tiles(), points.taps());
    let three = |v: &[usize]| -> [usize; 3] { std::array::from_fn(|a| if a + d < 3 { 1 } else { v[a + d - 3] }) };
    let (grid, tile, taps3) = (three(points.grid()), three(tiles.extents()), three(taps));
    let sum = |t: usize| {
        let mut cells = vec![Complex64::default(); tile.iter().product()];
        for e in tiles.entries(t) {
            let sample = w[points.order()[e.point as usize] as usize];
            let sample = Complex64::new(sample.re.into(), sample.im.into());
            let weights = &points.weights()[e.point as usize * points.stride()..][..points.stride()];
            let along = |a: usize| -> Vec<(usize, f64)> {
                if a + d < 3 {
                    return vec![(0, 1.0)];
                }
                let own = a + d - 3;
                let at = taps[..own].iter().sum::<usize>();
                let cell = |j: usize| {
                    let i = i64::from(e.first[own]) + j as i64;
                    (0..tile[a] as i64).contains(&i).then(|| (i as usize, f64::from(weights[at + j])))
                };
                (0..taps3[a]).filter_map(cell).collect()
            };
            let (first, second, last) = (along(0), along(1), along(2));
            for &(i, u) in &first {
                for &(j, v) in &second {
                    for &(k, w) in &last {
                        cells[(i * tile[1] + j) * tile[2] + k] += sample * (u * v * w);
                    }
                }
            }
        }
        cells
    };
    let sums: Vec<Vec<Complex64>> = (0..tiles.len()).into_par_iter().map(sum).collect();
    let mut out = vec![Complex64::default(); grid.iter().product()];
    for (t, cells) in sums.iter().enumerate() {
        let origin = three_origin(&tiles.origin(t), d);
        let n: [usize; 3] = std::array::from_fn(|a| tile[a].min(grid[a] - origin[a]));
        for i in 0..n[0] {
            for j in 0..n[1] {
                let to = ((origin[0] + i) * grid[1] + origin[1] + j) * grid[2] + origin[2];
                let from = (i * tile[1] + j) * tile[2];
                out[to..to + n[2]].copy_from_slice(&cells[from..from + n[2]]);
            }
        }
    }
    out
}

fn three_origin(origin: &[usize; 3], d: usize) -> [usize; 3] {
    std::array::from_fn(|a| if a + d < 3 { 0 } else { origin[a + d - 3] })
}

/// The unnormalised DFT along all axes, centred or not.
fn transform(mut x: Vec<Complex64>, extents: &[usize], inverse: bool, centred: bool) -> Vec<Complex64> {
    let mut planner = rustfft::FftPlanner::new();
    let direction = if inverse { rustfft::FftDirection::Inverse } else { rustfft::FftDirection::Forward };
    for (a, &n) in extents.iter().enumerate() {
        let inner: usize = extents[a + 1..].iter().product();
        let fft = planner.plan_fft(n, direction);
        let shift = if centred { n / 2 } else { 0 };
        // Lines of one axis, several together, then back: every axis once.
        let lines: Vec<usize> = (0..x.len() / n).map(|l| l / inner * n * inner + l % inner).collect();
        let done: Vec<Vec<Complex64>> = lines
            .par_iter()
            .map(|&first| {
                let mut line: Vec<Complex64> = (0..n).map(|k| x[first + (k + shift) % n * inner]).collect();
                fft.process(&mut line);
                line
            })
            .collect();
        for (first, line) in lines.iter().zip(&done) {
            line.iter().enumerate().for_each(|(k, v)| x[first + (k + shift) % n * inner] = *v);
        }
    }
    x
}
