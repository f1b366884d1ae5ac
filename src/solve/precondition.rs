//! Preconditioners for [`pcg`](super::pcg): Hermitian positive definite linops near the inverse of a normal N + λI.
//!
//! | constructor | near (N + λI)⁻¹ where | costs an iteration |
//! |---|---|---|
//! | [`jacobi`] | N is nearly diagonal: unequal weights | one product an entry |
//! | [`circulant`] | N is Toeplitz: normals of non-uniform transforms | two transforms |
//! | [`chebyshev`] | always: fewer iterations of more applies each | so many N more |

use crate::access::ValueId;
use crate::dim::Shape;
use crate::error::{Result, value_err};
use crate::ir::Builder;
use crate::linop::{FftOptions, Linop, Operator, diagonal as weights, fft};
use crate::run::Device;
use crate::tensor::Tensor;
use ndarray::{ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};
use std::slice;

/// Estimates of a diagonal are at least this part of their mean.
const LEAST_ENTRY: f32 = 1e-3;

/// Eigenvalues of a circulant are at least this part of the largest.
const LEAST_EIGENVALUE: f32 = 1e-3;

/// The division by a diagonal, of this shape: entry by entry 1/(d + λ).
///
/// ```
/// use linops::{Tensor, solve::precondition};
/// let m = precondition::jacobi(&Tensor::from_slice("N=2", &[3.0f32, 1.0])?, 1.0)?;
/// assert_eq!(m.apply(&Tensor::from_slice("N=2", &[8.0f32, 8.0])?)?.to_real_vec()?, [2.0, 4.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; d + λ is not positive and finite somewhere, or not real.
pub fn jacobi(diagonal: &Tensor, lambda: f32) -> Result<Linop> {
    expect_lambda("jacobi", lambda)?;
    let values = diagonal.to(&Device::host())?.to_array()?;
    let inverse = |(at, d): (IxDyn, &Complex32)| -> Result<f32> {
        let sum = d.re + lambda;
        match sum > 0.0 && sum.is_finite() && d.im.abs() <= 1e-3 * sum && (1.0 / sum).is_finite() {
            true => Ok(1.0 / sum),
            false => value_err!(
                "jacobi: the diagonal plus lambda is {sum} + {}i at {:?}; expected positive real numbers",
                d.im,
                ndarray::Dimension::slice(&at)
            ),
        }
    };
    let inverses = values.indexed_iter().map(inverse).collect::<Result<Vec<f32>>>()?;
    weights(diagonal.shape(), &Tensor::from_vec(diagonal.shape(), inverses)?)
}

/// The diagonal of a normal, on a device: exact where `probes` are at least as many as entries, by an apply to each unit vector;
/// else estimated from so many vectors of random signs, the same ones each time.
///
/// Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57:1214 (2007). An estimate is off by about √(Σⱼ|Nᵢⱼ|²/probes), over j ≠ i, and
/// at least a thousandth of the mean, so that [`jacobi`] can divide by it. Where the diagonal is known in closed form that is
/// cheaper: Σ|S|² times the mean of the weights for coil maps S.
///
/// ```
/// use linops::{Device, Tensor, linop, solve::precondition};
/// let a = linop::diagonal("N=3", &Tensor::from_slice("N=3", &[1.0f32, 2.0, 3.0])?)?;
/// let d = precondition::diagonal(&a.n(), 4, &Device::host())?;
/// assert_eq!(d.to_real_vec()?, [1.0, 4.0, 9.0]);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// `probes` is 0, the linop is not square, those of an apply, or what comes out is not finite.
pub fn diagonal(normal: &Linop, probes: usize, device: &Device) -> Result<Tensor> {
    let shape = square("diagonal", normal)?;
    if probes == 0 {
        return value_err!("diagonal: probes is 0; expected at least 1, some tens for an estimate");
    }
    let exact = probes >= shape.len();
    let mut sums = vec![0.0f32; shape.len()];
    let mut signs = Signs::new();
    for k in 0..probes.min(shape.len()) {
        let probe: Vec<Complex32> = match exact {
            true => (0..shape.len()).map(|n| Complex32::from(f32::from(n == k))).collect(),
            false => (0..shape.len()).map(|_| Complex32::from(signs.next())).collect(),
        };
        let image = normal.apply(&Tensor::from_slice(shape, &probe)?.to(device)?)?.to(&Device::host())?.to_vec()?;
        sums.iter_mut().zip(&probe).zip(&image).for_each(|((s, p), i)| *s += p.re * i.re);
    }
    if !exact {
        sums.iter_mut().for_each(|s| *s /= probes as f32);
        let mean = sums.iter().map(|s| f64::from(*s)).sum::<f64>() / sums.len() as f64;
        sums.iter_mut().for_each(|s| *s = s.max(LEAST_ENTRY * mean as f32));
    }
    match sums.iter().position(|s| !s.is_finite()) {
        Some(n) => value_err!("diagonal: entry {n} of the diagonal is {}; the operator gives such values", sums[n]),
        None => Tensor::from_vec(shape, sums),
    }
}

/// The inverse of the circulant nearest to a Toeplitz normal along all its dims, plus λ: a transform, weights, and the transform
/// back.
///
/// T. Chan, SIAM J. Sci. Stat. Comput. 9:766 (1988); for images from non-uniform samples, Chan and Ng, SIAM Review 38:427 (1996). N is
/// looked at where unit vectors stand in its 2^rank corners, which is all of it where it is Toeplitz: the normal of a
/// [`nufft`](crate::linop::nufft) with weights or without. With coil maps take the normal of the transform alone: M is then good as
/// far as Σ|S|² is even. Eigenvalues below a thousandth of the largest count as so much, so that M is positive in any case.
///
/// ```
/// use linops::linop::{self, FftOptions};
/// use linops::{Device, Tensor, solve::precondition};
/// // A circulant itself: M is its inverse.
/// let f = linop::fft("N=5", "N", FftOptions::default())?;
/// let w = linop::diagonal(f.output()?, &Tensor::from_slice("N1=5", &[1.0f32, 2.0, 3.0, 4.0, 5.0])?.renamed(f.output()?.dims())?)?;
/// let n = f.h() * w * &f;
/// let m = precondition::circulant(&n, 0.0, &Device::host())?;
/// let x = Tensor::from_slice("N=5", &[1.0f32, -1.0, 0.5, 2.0, 0.0])?;
/// let y = (m * n).apply(&x.to_dtype(linops::DType::Complex32)?)?.to_vec()?;
/// assert!(y.iter().zip(x.to_vec()?).all(|(y, x)| (y - x).norm() < 1e-5));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; the linop is not square, of more than 4 dims, or gives no positive eigenvalue; those of an apply.
pub fn circulant(normal: &Linop, lambda: f32, device: &Device) -> Result<Linop> {
    expect_lambda("circulant", lambda)?;
    let shape = square("circulant", normal)?;
    let extents = shape.extents();
    if !(1..=4).contains(&shape.rank()) || shape.len() == 0 {
        return value_err!("circulant: the normal's input is {shape}; expected 1 to 4 dims with entries");
    }
    let mut first = ArrayD::<Complex32>::zeros(extents);
    for corner in 0..1usize << shape.rank() {
        let last = |axis: usize| corner >> axis & 1 == 1;
        let mut unit = ArrayD::<Complex32>::zeros(extents);
        let at: Vec<usize> = extents.iter().enumerate().map(|(a, n)| if last(a) { n - 1 } else { 0 }).collect();
        unit[&at[..]] = Complex32::new(1.0, 0.0);
        let column = normal.apply(&Tensor::from_array(unit, shape.dims())?.to(device)?)?;
        let column = column.to(&Device::host())?.to_array()?;
        // The lag m counts for the n − m pairs of entries so far apart, the lag m − n for the other m.
        for (to, sum) in first.indexed_iter_mut() {
            let to = ndarray::Dimension::slice(&to).to_vec();
            let mut weight = 1.0;
            let mut from = to.clone();
            for (axis, (m, n)) in to.iter().zip(extents).enumerate() {
                let share = *m as f32 / *n as f32;
                weight *= if last(axis) { share } else { 1.0 - share };
                from[axis] = if last(axis) { m.saturating_sub(1) } else { *m };
            }
            *sum += column[&from[..]] * weight;
        }
    }
    let f = fft(shape, shape.dims(), FftOptions::default())?;
    let eigenvalues = f.apply(&Tensor::from_array(first, shape.dims())?)?.to_array()?;
    let eigenvalues = eigenvalues.mapv(|v| v.re * (shape.len() as f32).sqrt());
    let largest = eigenvalues.iter().fold(0.0f32, |a, v| a.max(*v));
    if !(largest > 0.0 && largest.is_finite()) || eigenvalues.iter().any(|v| !v.is_finite()) {
        return value_err!(
            "circulant: the eigenvalues of the nearest circulant go up to {largest}; expected a positive semidefinite normal"
        );
    }
    let inverse = eigenvalues.mapv(|v| 1.0 / (v.max(LEAST_EIGENVALUE * largest) + lambda));
    let w = weights(f.output()?, &Tensor::from_array(inverse, f.output()?.dims())?)?;
    f.h().compose(&w.compose(&f)?)
}

/// The polynomial of this degree in N + λI that is nearest to its inverse for eigenvalues between `from` and `to`, as one linop.
///
/// Johnson, Micchelli and Paul, SIAM J. Numer. Anal. 20:362 (1983), by Chebyshev's polynomials. It applies N `degree` times. `to` is a
/// bound of the eigenvalues of N + λI, from above: the [`upper`](super::NormBound) of [`operator_norm`](super::operator_norm) of
/// N, plus λ. Beyond it M may be negative. `from` may lie within the eigenvalues; below it M stays positive, and is less good. Where
/// inner products are what limits a device, or one M serves many iterations, it pays; it does not lower the number of N's applies.
///
/// ```
/// use linops::{Tensor, linop, solve::precondition};
/// let n = linop::diagonal("N=3", &Tensor::from_slice("N=3", &[1.0f32, 2.0, 4.0])?)?;
/// let m = precondition::chebyshev(&n, 0.0, [0.9, 4.1], 8)?;
/// let y = (m * n).apply(&Tensor::from_slice("N=3", &[1.0f32, 1.0, 1.0])?)?.to_real_vec()?;
/// assert!(y.iter().all(|y| (y - 1.0).abs() < 1e-2));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// λ is negative or not finite; not 0 < from < to; a degree of 0 or above 32; the linop is not square.
pub fn chebyshev(normal: &Linop, lambda: f32, [from, to]: [f32; 2], degree: usize) -> Result<Linop> {
    expect_lambda("chebyshev", lambda)?;
    let shape = square("chebyshev", normal)?.clone();
    if !(from > 0.0 && from < to && to.is_finite()) {
        return value_err!("chebyshev: eigenvalues from {from} to {to}; expected 0 < from < to");
    }
    if !(1..=32).contains(&degree) {
        return value_err!("chebyshev: the degree is {degree}; expected 1 to 32");
    }
    let bounds = [f64::from(from), f64::from(to)];
    let polynomial = Chebyshev { normal: normal.clone(), lambda: lambda.into(), bounds, degree };
    let linop = Linop::of(shape.clone(), shape, polynomial);
    linop.check()?;
    Ok(linop)
}

#[derive(Debug)]
struct Chebyshev {
    normal: Linop,
    lambda: f64,
    bounds: [f64; 2],
    degree: usize,
}

impl Operator for Chebyshev {
    fn op(&self) -> &'static str {
        "chebyshev"
    }

    fn details(&self) -> String {
        format!("degree {}, {:.3e} to {:.3e}", self.degree, self.bounds[0], self.bounds[1])
    }

    fn children(&self) -> &[Linop] {
        slice::from_ref(&self.normal)
    }

    /// Chebyshev's iteration for (N + λI) z = x from z = 0 (Saad, Iterative Methods for Sparse Linear Systems, 2003, §12.3.2).
    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let [from, to] = self.bounds;
        let (middle, half) = ((to + from) / 2.0, (to - from) / 2.0);
        let scaled = |b: &mut Builder, v, c: f64| b.scale(v, Complex64::from(c));
        let mut rho = half / middle;
        let mut residual = x;
        let mut step = scaled(b, x, 1.0 / middle)?;
        let mut steps = vec![step];
        for _ in 0..self.degree {
            let image = self.normal.forward(b, step)?;
            let mut parts = vec![residual, scaled(b, image, -1.0)?];
            if self.lambda > 0.0 {
                parts.push(scaled(b, step, -self.lambda)?);
            }
            residual = b.add(&parts)?;
            let next = 1.0 / (2.0 * middle / half - rho);
            let parts = [scaled(b, step, next * rho)?, scaled(b, residual, 2.0 * next / half)?];
            step = b.add(&parts)?;
            rho = next;
            steps.push(step);
        }
        b.add(&steps)
    }
}

/// Signs from a shift register (Marsaglia, J. Stat. Softw. 8:14, 2003), the same ones each time.
pub(crate) struct Signs(u64);

impl Signs {
    pub(crate) fn new() -> Signs {
        Signs(1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if self.0 >> 40 & 1 == 1 { 1.0 } else { -1.0 }
    }
}

fn expect_lambda(what: &str, lambda: f32) -> Result<()> {
    match lambda.is_finite() && lambda >= 0.0 {
        true => Ok(()),
        false => value_err!("{what}: lambda is {lambda}; expected a finite number from 0 on"),
    }
}

/// The shape that a square linop takes and gives.
fn square<'a>(what: &str, normal: &'a Linop) -> Result<&'a Shape> {
    let shape = normal.input()?;
    shape.expect(normal.output()?).map_err(|e| e.at(format!("{what}: the output of the normal")))?;
    Ok(shape)
}
