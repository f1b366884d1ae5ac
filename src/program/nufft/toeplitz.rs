//! The normal of a non-uniform transform as a convolution: AᴴWA is a Toeplitz matrix, the crop of a circulant one of twice the
//! size, whatever the points (Fessler et al., IEEE Trans. Signal Process. 53:3393, 2005).
//!
//! What is held of it is half of what a complex kernel takes. For real weights p[−n] = p[n]*, so the eigenvalues are real, and
//! for a general trajectory they have no further symmetry. Where W mixes batch entries there is a Hermitian matrix for each
//! frequency, held [by its diagonals](super::hermitian).

use super::{Mixing, Nufft, Prepared, Size, hermitian};
use crate::error::Result;
use crate::fft::next_smooth;
use crate::program::{AxisMap, Builder, Constant, ConstantData, Contract, Points, ValueId};
use num_complex::{Complex32, Complex64};
use rayon::prelude::*;

/// Cells of the grid that the kernel is made on, at most: 1 GiB in f64.
const MOST_CELLS: usize = 1 << 26;

/// Whether the normal of a transform shall be a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ToeplitzChoice {
    /// The linop says so.
    Asked(bool),
    /// The convolution takes so many times the operations of the pair of transforms.
    Compared(f64),
    /// Its kernel takes too much memory to make.
    TooLarge,
}

impl ToeplitzChoice {
    pub fn is_convolution(self) -> bool {
        match self {
            ToeplitzChoice::Asked(choice) => choice,
            ToeplitzChoice::Compared(ratio) => ratio < 1.0,
            ToeplitzChoice::TooLarge => false,
        }
    }
}

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
    /// Whether the normal shall be a convolution, and why.
    pub(crate) fn toeplitz_choice(&self) -> ToeplitzChoice {
        if let Some(choice) = self.0.toeplitz {
            return ToeplitzChoice::Asked(choice);
        }
        let doubled = self.doubled();
        let making = Size::reaching(self.kernel_tol(), sigma(doubled.len()), &doubled, false);
        if making.is_none_or(|s| s.grid.iter().product::<usize>() > MOST_CELLS) {
            return ToeplitzChoice::TooLarge;
        }
        let cells: f64 = doubled.iter().map(|&n| n as f64).product();
        // Padded rows are zero and cropped ones not wanted: of D passes over the grid 2 − 2^(1−D) are made.
        let d = doubled.len() as i32;
        let passes = (2.0 - 0.5f64.powi(d - 1)) / f64::from(d);
        // Half of what a transform of its own costs: weights and both transforms go through memory together.
        let convolution = cells * (2.2 * cells.log2() * passes + 8.0);
        ToeplitzChoice::Compared(convolution / self.0.size.cost(self.count()))
    }

    /// Extents of the circulant: smooth, and at least twice the image's less one.
    pub(crate) fn doubled(&self) -> Vec<usize> {
        self.0.image.iter().map(|&n| next_smooth((2 * n).saturating_sub(1).max(1))).collect()
    }

    /// What the kernel's own error may be: little of what is allowed to the transform.
    fn kernel_tol(&self) -> f64 {
        (0.1 * self.0.size.error(&self.0.image)).clamp(1e-7, 1e-4)
    }

    /// The same where W mixes batch entries: a matrix for each frequency.
    pub(crate) fn toeplitz_mixing(&self, b: &mut Builder, x: ValueId, m: &Mixing) -> Result<ValueId> {
        if m.inner.axes.is_empty() {
            return self.toeplitz(b, x, &m.inner);
        }
        let (image, doubled) = (&self.0.image, self.doubled());
        let rank = b.extents(x).len();
        let batch = rank - image.len();
        let mixed = &m.inner.axes;
        let halves = m.inner.is_hermitian();
        // One axis that is mixed: several as one, in front of the image's.
        let apart: Vec<usize> = (0..batch).filter(|a| !mixed.contains(a)).collect();
        let order: Vec<usize> = apart.iter().chain(mixed).copied().chain(batch..rank).collect();
        let joined = halves && mixed.len() > 1;
        let mut v = x;
        if joined {
            v = b.permute(v, &order)?;
            let extents = b.extents(v);
            let one = std::iter::once(m.inner.order());
            let extents = extents[..apart.len()].iter().copied().chain(one).chain(image.iter().copied()).collect();
            v = b.reshape(v, extents)?;
        }
        let last = b.extents(v).len() - image.len();
        let axes: Vec<usize> = (last..last + image.len()).collect();
        v = self.resized(b, v, image, &doubled)?;
        v = b.fft(v, &axes, false, false, 1.0)?;
        v = if halves {
            let axis = if joined { apart.len() } else { mixed[0] };
            hermitian::apply(b, v, &self.diagonals(&m.inner, &doubled)?, axis, last)?
        } else {
            // Mixed axes of the result have labels of their own.
            let own = |a: usize| if mixed.contains(&a) { rank + a } else { a } as u32;
            let w = mixed.iter().map(|&a| own(a)).chain(mixed.iter().chain(&axes).map(|&a| a as u32));
            let labels = Contract {
                weight: self.spectrum(&m.inner, &doubled)?,
                conj: false,
                w: w.collect(),
                x: (0..rank as u32).collect(),
                y: (0..rank).map(own).collect(),
            };
            b.contract(v, labels)?
        };
        v = b.fft(v, &axes, true, false, 1.0)?;
        v = self.resized(b, v, &doubled, image)?;
        if joined {
            let extents = order.iter().map(|&a| b.extents(x)[a]).collect();
            v = b.reshape(v, extents)?;
            let back: Vec<usize> = (0..rank).filter_map(|a| order.iter().position(|&o| o == a)).collect();
            v = b.permute(v, &back)?;
        }
        Ok(v)
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
        let circulant = Circulant::new(self, doubled)?;
        let all: Vec<Complex64> = w.values.chunks_exact(self.count()).flat_map(|w| circulant.spectrum(w)).collect();
        let extents = w.extents.iter().chain(doubled).copied().collect();
        constant(extents, &all, w.values.iter().all(|w| w.im == 0.0))
    }

    /// The same for a Hermitian W, diagonal by diagonal: what is below the main one are conjugates.
    fn diagonals(&self, w: &Inner, doubled: &[usize]) -> Result<Vec<Constant>> {
        let circulant = Circulant::new(self, doubled)?;
        let real = w.values.iter().all(|w| w.im == 0.0);
        let diagonal = |d: usize| {
            let rows = w.diagonal(d);
            let extents = std::iter::once(rows.len()).chain(doubled.iter().copied()).collect();
            let row = |(below, w): (bool, Vec<Complex32>)| {
                let spectrum = circulant.spectrum(&w).into_iter();
                spectrum.map(move |v| if below { v.conj() } else { v })
            };
            let all: Vec<Complex64> = rows.into_iter().flat_map(row).collect();
            constant(extents, &all, real || d == 0)
        };
        (0..=w.order() / 2).map(diagonal).collect()
    }
}

fn constant(extents: Vec<usize>, values: &[Complex64], real: bool) -> Result<Constant> {
    let data = match real {
        true => ConstantData::F32(values.iter().map(|c| c.re as f32).collect()),
        false => ConstantData::C32(values.iter().map(|c| Complex32::new(c.re as f32, c.im as f32)).collect()),
    };
    Constant::new(extents, data)
}

/// Makes the eigenvalues of circulants for weights of the samples of a transform.
struct Circulant<'a> {
    image: &'a [usize],
    doubled: &'a [usize],
    twice: Vec<usize>,
    size: Size,
    made: Prepared,
    scale: f64,
}

impl<'a> Circulant<'a> {
    /// p[n] = Σ w exp(2πi k·n/N) for |n| < N is the adjoint onto an image of twice the size, at twice the frequencies.
    fn new(n: &'a Nufft, doubled: &'a [usize]) -> Result<Circulant<'a>> {
        let image = &n.0.image;
        let twice: Vec<usize> = image.iter().map(|&n| 2 * n).collect();
        let locs: Vec<f64> = n.0.locs.iter().map(|k| 2.0 * k).collect();
        let size = match Size::reaching(n.kernel_tol(), sigma(image.len()), &twice, false) {
            Some(size) => size,
            None => n.0.size.clone(),
        };
        let made = Prepared::new(&twice, &locs, &size)?;
        let scale: f64 = doubled.iter().map(|&n| 1.0 / n as f64).product::<f64>()
            * twice.iter().map(|&n| (n as f64).sqrt()).product::<f64>()
            / image.iter().map(|&n| n as f64).product::<f64>();
        Ok(Circulant { image, doubled, twice, size, made, scale })
    }

    /// The eigenvalues for one weight a sample, over the circulant's size.
    fn spectrum(&self, w: &[Complex32]) -> Vec<Complex64> {
        let Circulant { image, doubled, twice, size, made, scale } = self;
        let d = image.len();
        let grid = transform(spread(&made.points, w), &size.grid, true, true);
        // Crop to twice the image (its middle at N), weigh, and wrap around the origin of the circulant.
        let mut circulant = vec![Complex64::default(); doubled.iter().product()];
        let mut index = vec![0usize; d];
        for _ in 0..twice.iter().product::<usize>() {
            let offset = |a: usize| index[a] as i64 - image[a] as i64;
            // n = -N occurs nowhere in the matrix.
            if (0..d).all(|a| offset(a) > -(image[a] as i64)) {
                let (mut from, mut to, mut weight) = (0, 0, *scale);
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
        transform(circulant, doubled, false, false)
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
