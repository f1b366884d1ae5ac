//! The largest singular values of an operator, with their vectors.

use super::basis::Basis;
use super::small::{self, SmallSvd};
use super::{Random, near_one};
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Device;
use crate::setters::setters;
use crate::solve::Stop;
use crate::tensor::{DType, Tensor};
use num_complex::Complex64;

/// Values so far below the largest are rounding.
const NULL: f64 = 1e-6;

/// Random vectors to begin with, beyond those that are asked for.
const BEYOND: usize = 4;

/// Options of [`svd`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SvdOptions {
    /// Stop when each residual is at most this part of the largest value; 1e-4 at first.
    pub tol: f32,
    /// Vectors of the basis at most; 0, as at first, chooses: four times as many as are asked for, and some.
    pub basis: usize,
    /// How often the basis is begun again with the best vectors, at most; 30 at first.
    pub restarts: usize,
    /// Of the random vectors to begin with; 1 at first.
    pub seed: u64,
    /// Of the vectors; complex at first.
    pub dtype: DType,
}

impl Default for SvdOptions {
    fn default() -> Self {
        SvdOptions { tol: 1e-4, basis: 0, restarts: 30, seed: 1, dtype: DType::Complex32 }
    }
}

setters! { SvdOptions {
    /// With another tolerance.
    tol: f32,
    /// With another size of basis.
    basis: usize,
    /// With other restarts at most.
    restarts: usize,
    /// From other random vectors.
    seed: u64,
    /// With vectors of another dtype.
    dtype: DType,
} }

/// Singular values with their vectors: A ≈ Σ σᵢ uᵢ vᵢᴴ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Svd {
    /// σᵢ, the largest first.
    pub values: Vec<f64>,
    /// uᵢ, unit vectors of the operator's output.
    pub left: Vec<Tensor>,
    /// vᵢ, unit vectors of its input.
    pub right: Vec<Tensor>,
    /// ‖Aᴴuᵢ − σᵢ vᵢ‖: a singular value lies so close to σᵢ.
    pub residuals: Vec<f64>,
    /// Applies of A and Aᴴ done.
    pub applies: usize,
    /// [`Stop::Converged`], [`Stop::Iterations`] when all restarts were done, [`Stop::Zero`] for the operator zero.
    pub stop: Stop,
}

/// The `k` largest singular values of an operator with their vectors, on a device; fewer where the rank is less than k: values
/// below a millionth of the largest are rounding, and left out.
///
/// By a band Lanczos method: Golub and Kahan's bidiagonalisation from k + 4 random vectors at once, fully orthogonalised, and begun
/// again with the best vectors (Golub, Luk and Overton, ACM Trans. Math. Software 7:149, 1981; Baglama and Reichel, SIAM J. Sci.
/// Comput. 27:19, 2005). As it begins with a block, values that are there several times are found so often, as by a randomised
/// decomposition (Halko, Martinsson and Tropp, SIAM Review 53:217, 2011). Vectors stay on the device; products of vectors are read
/// after each some. The basis takes memory: its size times an image and data each.
///
/// ```
/// use linops::{DType, Device, Tensor, linop, solve::{svd, SvdOptions}};
/// let a = linop::diagonal("N=6", &Tensor::from_slice("N=6", &[1.0f32, 5.0, 2.0, 5.0, 0.5, 3.0])?)?;
/// let d = svd(&a, 3, &Device::host(), SvdOptions::default().dtype(DType::F32))?;
/// assert!(d.values.iter().zip([5.0, 5.0, 3.0]).all(|(s, want)| (s - want).abs() < 1e-4));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// k is 0 or above the operator's shorter side, options that make no sense, an operator that makes other dtypes of the options', or
/// whose values are not finite; those of an apply, and of memory for the basis.
#[doc(alias = "randomized_svd")]
#[doc(alias = "svds")]
pub fn svd(a: &Linop, k: usize, device: &Device, options: SvdOptions) -> Result<Svd> {
    let (rows, columns) = (a.output()?.len(), a.input()?.len());
    let most = rows.min(columns);
    if k == 0 || k > most {
        return value_err!("svd: {k} values of an operator of {rows} by {columns}; expected 1 to {most}");
    }
    if !(options.tol > 0.0 && options.tol.is_finite()) {
        return value_err!("svd: tol is {}; expected a positive number, such as 1e-4", options.tol);
    }
    if options.basis != 0 && options.basis <= k {
        return value_err!("svd: a basis of {} for {k} values; expected at least {}", options.basis, k + 1);
    }
    let mut random = Random(options.seed);
    let Some((scaled, exponent)) = near_one("svd", a, options.dtype, device, &mut random)? else {
        let (values, left, right, residuals) = Default::default();
        return Ok(Svd { values, left, right, residuals, applies: 1, stop: Stop::Zero });
    };
    let block = (k + BEYOND).min(most);
    let wanted = if options.basis == 0 { 4 * k + 4 * BEYOND } else { options.basis };
    // Beside the best vectors there is room for as many new ones.
    let limit = wanted.max(2 * block).min(columns);
    let mut band = Band {
        adjoint: scaled.h(),
        a: scaled,
        right: Basis::new(a.input()?, options.dtype, device)?,
        left: Basis::new(a.output()?, options.dtype, device)?,
        columns: Vec::new(),
        largest: 0.0,
        applies: 1,
    };
    for _ in 0..block {
        let vector = random.vector(a.input()?, options.dtype, device)?;
        band.offer(&vector, 1e-3)?;
    }
    let mut restarts = 0;
    loop {
        band.grow(limit)?;
        let triples = band.triples(block)?;
        let worst = triples.iter().take(k).map(|t| t.norm).fold(0.0, f64::max);
        let all = triples.len().min(k);
        let largest = triples.first().map_or(0.0, |t| t.value);
        let done = worst <= f64::from(options.tol) * largest || band.whole(columns);
        if done || restarts >= options.restarts {
            let back = f64::from(exponent).exp2();
            let stop = if done { Stop::Converged } else { Stop::Iterations };
            let mut found = Svd {
                values: Vec::new(),
                left: Vec::new(),
                right: Vec::new(),
                residuals: Vec::new(),
                applies: band.applies,
                stop,
            };
            for t in triples.into_iter().take(all) {
                found.values.push(t.value * back);
                found.left.push(t.left);
                found.right.push(t.right);
                found.residuals.push(t.norm * back);
            }
            return Ok(found);
        }
        band.restart(triples, limit)?;
        restarts += 1;
    }
}

/// A V = Q R, and V made of Aᴴ Q.
struct Band {
    a: Linop,
    adjoint: Linop,
    right: Basis,
    left: Basis,
    /// Of R, for the vectors of V that A was applied to.
    columns: Vec<Vec<Complex64>>,
    /// The largest norm of a column.
    largest: f64,
    applies: usize,
}

/// An approximate singular value with its vectors.
struct Triple {
    value: f64,
    left: Tensor,
    right: Tensor,
    /// Aᴴu − σ v, and its norm.
    residual: Tensor,
    norm: f64,
}

impl Band {
    /// Adds the direction of a vector to V, if there is one.
    fn offer(&mut self, vector: &Tensor, least: f64) -> Result<()> {
        let (_, norm) = self.right.take(vector, least)?;
        if norm > 0.0 { self.right.push() } else { Ok(()) }
    }

    /// Applies A to what V has, and Aᴴ to what comes, until V has so many vectors or nothing new comes.
    fn grow(&mut self, limit: usize) -> Result<()> {
        while self.columns.len() < self.right.vectors.len() {
            let image = self.a.apply(&self.right.vectors[self.columns.len()])?;
            self.applies += 1;
            let (mut column, norm) = self.left.take(&image, NULL * self.largest)?;
            let size = (column.iter().map(Complex64::norm_sqr).sum::<f64>() + norm * norm).sqrt();
            if !size.is_finite() {
                return value_err!("svd: the operator gives NaN, infinite or overflowing values");
            }
            self.largest = self.largest.max(size);
            if norm > NULL * self.largest {
                self.left.push()?;
                column.push(norm.into());
                if self.right.vectors.len() < limit {
                    let next = self.adjoint.apply(&self.left.vectors[self.left.vectors.len() - 1])?;
                    self.applies += 1;
                    self.offer(&next, NULL * self.largest)?;
                }
            }
            self.columns.push(column);
        }
        Ok(())
    }

    /// Whether V is all that there is.
    fn whole(&self, columns: usize) -> bool {
        self.right.vectors.len() >= columns
    }

    /// The best so many triples that V and Q have.
    fn triples(&mut self, count: usize) -> Result<Vec<Triple>> {
        let rows = self.left.vectors.len();
        let padded = self.columns.iter().map(|c| {
            let mut c = c.clone();
            c.resize(rows, Complex64::default());
            c
        });
        let SmallSvd { values, left, right } = small::svd(padded.collect());
        let largest = values.first().copied().unwrap_or(0.0);
        let mut triples = Vec::new();
        for ((value, x), y) in values.into_iter().zip(left).zip(right).take(count) {
            if value <= NULL * largest || value == 0.0 {
                break;
            }
            let u = self.left.combination(&self.left.vectors.clone(), &x)?;
            let v = self.right.combination(&self.right.vectors.clone(), &y)?;
            let image = self.adjoint.apply(&u)?;
            self.applies += 1;
            let (residual, norm) = self.right.difference(&image, value, &v)?;
            triples.push(Triple { value, left: u, right: v, residual, norm });
        }
        Ok(triples)
    }

    /// Begins again from triples: V and Q are theirs, R is the diagonal of their values, and what comes next are their residuals.
    fn restart(&mut self, triples: Vec<Triple>, limit: usize) -> Result<()> {
        self.right.vectors = triples.iter().map(|t| t.right.clone()).collect();
        self.left.vectors = triples.iter().map(|t| t.left.clone()).collect();
        self.columns = triples
            .iter()
            .enumerate()
            .map(|(n, t)| {
                let mut c = vec![Complex64::default(); n + 1];
                c[n] = t.value.into();
                c
            })
            .collect();
        for t in &triples {
            if self.right.vectors.len() < limit {
                self.offer(&t.residual, NULL * self.largest)?;
            }
        }
        Ok(())
    }
}
