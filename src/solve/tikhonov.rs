//! Regularisation by operators: ‖A x − y‖² + Σ λ‖L x‖².

use super::SolveOptions;
use crate::dim::Shape;
use crate::error::{Result, value_err};
use crate::linop::{Linop, add_weighted, concat, identity, rearrange, repeat, zero};
use crate::tensor::Tensor;

/// The problem ‖A x − y‖² + Σᵢ λᵢ‖Lᵢ x‖², as what solvers take: normal equations, (AᴴA + Σ λᵢ LᵢᴴLᵢ) x = Aᴴy, for
/// [`cg`](super::cg()), [`pcg`](super::pcg) and [`minres`](super::minres()); or stacked, A above the √λᵢ Lᵢ and y above zeros, for
/// [`cgls`](super::cgls()), [`lsqr`](super::lsqr()) and [`lsmr`](super::lsmr()).
///
/// Tikhonov, Soviet Math. Dokl. 4:1035 (1963). The normal equations are the cheaper where AᴴA has a form of its own, as a convolution
/// for non-uniform transforms; stacked, half as many digits are lost where the problem is ill-conditioned.
///
/// ```
/// use linops::linop::{self, GradientOptions};
/// use linops::solve::{SolveOptions, Tikhonov, cg, lsmr};
/// use linops::Tensor;
/// // A smooth signal from two of its eight values.
/// let a = linop::sampling("X=8", &Tensor::from_slice("X=8", &[0f32, 0., 1., 0., 0., 1., 0., 0.])?, "S")?;
/// let y = Tensor::from_slice("S=2", &[1.0f32, 4.0])?;
/// let smooth = Tikhonov::new(&a).term(1e-3, &linop::gradient("X=8", "X", GradientOptions::default())?);
/// let options = || SolveOptions::default().tol(1e-6);
/// let one = cg(&smooth.normal()?, &smooth.rhs(&y)?, options())?.x.to_real_vec()?;
/// let other = lsmr(&smooth.stacked()?, &smooth.stacked_data(&y)?, options())?.x.to_real_vec()?;
/// assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-3));
/// assert!((one[3] - 2.0).abs() < 0.02 && (one[4] - 3.0).abs() < 0.02);
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tikhonov {
    a: Linop,
    terms: Vec<(f32, Linop)>,
}

impl Tikhonov {
    /// ‖A x − y‖² alone.
    pub fn new(a: &Linop) -> Tikhonov {
        Tikhonov { a: a.clone(), terms: Vec::new() }
    }

    /// With another λ‖L x‖².
    #[must_use]
    pub fn term(mut self, lambda: f32, l: &Linop) -> Tikhonov {
        self.terms.push((lambda, l.clone()));
        self
    }

    /// AᴴA + Σ λᵢ LᵢᴴLᵢ.
    ///
    /// # Errors
    /// A λ negative or not finite, or an L that takes something else than A.
    pub fn normal(&self) -> Result<Linop> {
        self.check()?;
        let mut normals = vec![self.a.n()];
        normals.extend(self.terms.iter().map(|(_, l)| l.n()));
        let weights: Vec<f32> = [1.0].into_iter().chain(self.terms.iter().map(|t| t.0)).collect();
        add_weighted(normals, &weights)
    }

    /// Aᴴy, on the device of y.
    ///
    /// # Errors
    /// Those of an apply.
    pub fn rhs(&self, y: &Tensor) -> Result<Tensor> {
        self.a.h().apply(y)
    }

    /// A above √λ₁ L₁ above √λ₂ L₂ …, their results flat, one after the other, along a dim `Row`.
    ///
    /// # Errors
    /// Those of [`normal`](Tikhonov::normal).
    pub fn stacked(&self) -> Result<Linop> {
        self.check()?;
        let mut parts = vec![flat(self.a.output()?)?.compose(&self.a)?];
        for (lambda, l) in &self.terms {
            parts.push(flat(l.output()?)?.compose(&l.scaled(lambda.sqrt())?)?);
        }
        concat(parts, None, Some("Row"))
    }

    /// y above zeros, as [`stacked`](Tikhonov::stacked) gives them, on the device of y.
    ///
    /// # Errors
    /// Those of an apply.
    pub fn stacked_data(&self, y: &Tensor) -> Result<Tensor> {
        let shape = self.a.output()?;
        let mut parts = vec![flat(shape)?];
        for (_, l) in &self.terms {
            parts.push(zero(shape, format!("Row={}", l.output()?.len()))?);
        }
        concat(parts, None, Some("Row"))?.apply(y)
    }

    /// A, and the terms λ and L.
    pub(crate) fn parts(&self) -> (&Linop, &[(f32, Linop)]) {
        (&self.a, &self.terms)
    }

    fn check(&self) -> Result<()> {
        let input = self.a.input()?;
        for (n, (lambda, l)) in self.terms.iter().enumerate() {
            if !lambda.is_finite() || *lambda < 0.0 {
                return value_err!("tikhonov: lambda of term {n} is {lambda}; expected a finite number from 0 on");
            }
            input.expect(l.input()?).map_err(|e| e.at(format!("tikhonov: the input of term {n}")))?;
        }
        Ok(())
    }
}

/// All dims as one.
fn flat(shape: &Shape) -> Result<Linop> {
    if shape.rank() == 0 {
        return repeat(shape, "Row=1");
    }
    let names = shape.dims().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    rearrange(shape, &format!("{names} -> ({names})"), "")?.out("Row")
}

/// For a method that takes damping or a start, not both: A above √λ·I and its data, where there are both.
pub(super) fn damped_start(
    solver: &str,
    a: &Linop,
    y: &Tensor,
    options: &SolveOptions,
) -> Result<Option<(Linop, Tensor)>> {
    if options.start.is_none() || options.lambda == 0.0 {
        return Ok(None);
    }
    options.check(solver)?;
    a.output()?.expect(y.shape()).map_err(|e| e.at(format!("{solver}: y")))?;
    let both = Tikhonov::new(a).term(options.lambda, &identity(a.input()?)?);
    Ok(Some((both.stacked()?, both.stacked_data(y)?)))
}
