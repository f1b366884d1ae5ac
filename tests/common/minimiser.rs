//! Minimisers of convex objectives in f64: what solvers are held against.

use linops::{Device, Linop, Tensor, apply_f64};
use nalgebra::{DMatrix, DVector};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;

pub type Dense = DMatrix<Complex64>;

pub fn dense(a: &Linop) -> Dense {
    let input = a.input().unwrap().extents().to_vec();
    let (columns, rows) = (a.input().unwrap().len(), a.output().unwrap().len());
    let mut m = Dense::zeros(rows, columns);
    for n in 0..columns {
        let mut unit = ArrayD::zeros(IxDyn(&input));
        unit.as_slice_mut().unwrap()[n] = Complex64::from(1.0);
        let y = apply_f64(a, &unit).unwrap();
        m.column_mut(n).iter_mut().zip(&y).for_each(|(m, y)| *m = *y);
    }
    m
}

pub fn vector(t: &Tensor) -> DVector<Complex64> {
    let values = t.to(&Device::host()).unwrap().to_vec().unwrap();
    DVector::from_iterator(values.len(), values.iter().map(|v| Complex64::new(v.re.into(), v.im.into())))
}

/// λ Σ w|K x| with so many members of a group, λ Σ‖blocks of x‖⁎, x ≥ 0, or K x ≥ 0.
pub enum Term {
    L1 { k: Dense, weight: f64, members: usize, weights: Vec<f64> },
    Nuclear { rows: usize, columns: usize, blocks: Vec<Vec<usize>>, weight: f64 },
    NonNegative { n: usize },
    NonNegativeOf { k: Dense },
}

impl Term {
    pub fn l1(k: &Linop, weight: f64, members: usize) -> Term {
        let k = dense(k);
        let weights = vec![1.0; k.nrows()];
        Term::L1 { k, weight, members, weights }
    }

    /// Of x (rows, extents), in blocks of columns from the offset on; those at the borders are smaller.
    pub fn nuclear(rows: usize, extents: [usize; 2], block: [usize; 2], offset: [usize; 2], weight: f64) -> Term {
        let mut blocks = std::collections::BTreeMap::<[usize; 2], Vec<usize>>::new();
        for at in 0..extents[0] * extents[1] {
            let place = [at / extents[1], at % extents[1]];
            let of = [0, 1].map(|a| (place[a] + block[a] - offset[a]) / block[a]);
            blocks.entry(of).or_default().push(at);
        }
        Term::Nuclear { rows, columns: extents[0] * extents[1], blocks: blocks.into_values().collect(), weight }
    }

    pub fn k(&self) -> Dense {
        match self {
            Term::L1 { k, .. } => k.clone(),
            Term::Nuclear { rows, columns, .. } => Dense::identity(rows * columns, rows * columns),
            Term::NonNegative { n } => Dense::identity(*n, *n),
            Term::NonNegativeOf { k } => k.clone(),
        }
    }

    pub fn value(&self, kx: &DVector<Complex64>) -> f64 {
        match self {
            Term::L1 { weight, members, weights, .. } => {
                let inner = kx.len() / members;
                let size = |i: usize| (0..*members).map(|m| kx[m * inner + i].norm_sqr()).sum::<f64>().sqrt();
                weight * (0..inner).map(|i| weights[i] * size(i)).sum::<f64>()
            }
            Term::Nuclear { rows, columns, blocks, weight } => {
                let block = |of: &Vec<usize>| Dense::from_fn(*rows, of.len(), |r, c| kx[r * columns + of[c]]);
                weight * blocks.iter().map(|of| block(of).singular_values().sum()).sum::<f64>()
            }
            Term::NonNegative { .. } | Term::NonNegativeOf { .. } => 0.0,
        }
    }

    pub fn prox(&self, v: &DVector<Complex64>, t: f64) -> DVector<Complex64> {
        match self {
            Term::L1 { weight, members, weights, .. } => {
                let inner = v.len() / members;
                let mut out = v.clone();
                for i in 0..inner {
                    let size = (0..*members).map(|m| v[m * inner + i].norm_sqr()).sum::<f64>().sqrt();
                    let factor = (1.0 - t * weight * weights[i] / size.max(1e-300)).max(0.0);
                    (0..*members).for_each(|m| out[m * inner + i] *= factor);
                }
                out
            }
            Term::Nuclear { rows, columns, blocks, weight } => {
                let mut out = v.clone();
                for of in blocks {
                    let block = Dense::from_fn(*rows, of.len(), |r, c| v[r * columns + of[c]]);
                    let mut svd = block.svd(true, true);
                    svd.singular_values.apply(|s| *s = (*s - t * weight).max(0.0));
                    let block = svd.recompose().expect("both sides");
                    for (c, at) in of.iter().enumerate() {
                        (0..*rows).for_each(|r| out[r * columns + at] = block[(r, c)]);
                    }
                }
                out
            }
            Term::NonNegative { .. } | Term::NonNegativeOf { .. } => v.map(|v| Complex64::from(v.re.max(0.0))),
        }
    }
}

/// ½‖A x − y‖² + terms, minimised: the least objective, and x.
pub fn answer(a: &Linop, y: &Tensor, terms: &[Term], mu: f64) -> (f64, DVector<Complex64>) {
    answer_of(&dense(a), &vector(y), terms, mu)
}

pub fn objective(a: &Dense, y: &DVector<Complex64>, terms: &[Term], mu: f64, x: &DVector<Complex64>) -> f64 {
    let values: f64 = terms.iter().map(|t| t.value(&(t.k() * x))).sum();
    0.5 * (a * x - y).norm_squared() + 0.5 * mu * x.norm_squared() + values
}

/// By alternating directions in f64 with the inverse of the system.
pub fn answer_of(a: &Dense, y: &DVector<Complex64>, terms: &[Term], mu: f64) -> (f64, DVector<Complex64>) {
    let n = a.ncols();
    let rho = 0.5;
    let ks: Vec<Dense> = terms.iter().map(Term::k).collect();
    let mut system = a.adjoint() * a + Dense::identity(n, n) * Complex64::from(mu);
    for k in &ks {
        system += k.adjoint() * k * Complex64::from(rho);
    }
    let inverse = system.try_inverse().expect("a regular system");
    let b = a.adjoint() * y;
    let mut x = DVector::zeros(n);
    let mut z: Vec<DVector<Complex64>> = ks.iter().map(|k| DVector::zeros(k.nrows())).collect();
    let mut u = z.clone();
    for _ in 0..20_000 {
        let mut right = b.clone();
        for ((k, z), u) in ks.iter().zip(&z).zip(&u) {
            right += k.adjoint() * (z - u) * Complex64::from(rho);
        }
        let next = &inverse * right;
        let moved = (&next - &x).norm();
        x = next;
        let mut apart = 0.0;
        for (((k, z), u), term) in ks.iter().zip(&mut z).zip(&mut u).zip(terms) {
            let kx = k * &x;
            *z = term.prox(&(&kx + &*u), 1.0 / rho);
            *u += &kx - &*z;
            apart += (&kx - &*z).norm();
        }
        if moved + apart < 1e-12 * x.norm() {
            break;
        }
    }
    let f = objective(a, y, terms, mu, &x);
    (f, x)
}
