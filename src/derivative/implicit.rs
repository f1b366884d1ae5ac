//! Solutions as functions of what they solve.

use super::as_dtype;
use crate::error::Result;
use crate::linop::Linop;
use crate::solve::{Solution, SolveOptions, Stop, Tikhonov, cg};
use crate::tensor::Tensor;

/// Gradients of a loss with regard to what x = (N + λI)⁻¹b is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SolveGradient {
    /// With regard to b.
    pub b: Tensor,
    /// With regard to λ.
    pub lambda: f64,
    /// How the solve ended: gradients are as accurate as it was.
    pub stop: Stop,
}

/// Gradients of a loss with regard to what x = (AᴴA + λI)⁻¹Aᴴy is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeastSquaresGradient {
    /// With regard to y.
    pub y: Tensor,
    /// With regard to λ.
    pub lambda: f64,
    /// How the solve ended: gradients are as accurate as it was.
    pub stop: Stop,
    /// Inputs of A, each with the gradient of the loss with regard to what A makes of it.
    terms: [(Tensor, Tensor); 2],
}

/// Gradients of a loss with regard to what the minimiser x of ‖A x − y‖² + Σ λᵢ‖Lᵢ x‖² is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TikhonovGradient {
    /// With regard to y.
    pub y: Tensor,
    /// With regard to each λᵢ.
    pub lambdas: Vec<f64>,
    /// How the solve ended: gradients are as accurate as it was.
    pub stop: Stop,
}

/// Gradients through x = (N + λI)⁻¹b, where the gradient with regard to x is `g`: with w = (N + λI)⁻¹g, one more solve, they are w with
/// regard to b and −Re⟨w, x⟩ with regard to λ, which is the options'.
///
/// With regard to a parameter θ of N it is that of −Re⟨w, N(θ)x⟩: of N's derivative at x, vjp of −w.
///
/// Implicit differentiation: Christianson, Optim. Methods Softw. 3:311 (1994).
///
/// ```
/// use linops::{Tensor, derivative::solve_vjp, linop, solve::{SolveOptions, cg}};
/// let n = linop::diagonal("N=2", &Tensor::from_slice("N=2", &[1.0, 3.0])?)?;
/// let options = || SolveOptions::default().lambda(1.0);
/// let x = cg(&n, &Tensor::from_slice("N=2", &[2.0, 4.0])?, options())?.x;
/// // L = Σ x, x = b/(n + λ).
/// let gradient = solve_vjp(&n, &x, &Tensor::from_slice("N=2", &[1.0, 1.0])?, options())?;
/// assert!((gradient.lambda + 0.5 + 0.25).abs() < 1e-5);
/// assert!((gradient.b.to_real_vec()?[1] - 0.25).abs() < 1e-6);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`cg`]; x and g differ in shape or device.
pub fn solve_vjp(normal: &Linop, x: &Tensor, g: &Tensor, options: SolveOptions) -> Result<SolveGradient> {
    solve_vjp_by(x, g, |g| cg(normal, g, options)).map_err(|e| e.at("solve_vjp"))
}

/// The same by another solver of (N + λI)w = g: [`pcg`](crate::solve::pcg) with the preconditioner that x was found by,
/// [`minres`](crate::solve::minres) where N is Hermitian and not definite.
///
/// ```
/// use linops::{Tensor, derivative::solve_vjp_by, linop, solve::{SolveOptions, minres}};
/// // Not definite: conjugate gradients refuse it.
/// let n = linop::diagonal("N=2", &Tensor::from_slice("N=2", &[-1.0, 3.0])?)?;
/// let x = minres(&n, &Tensor::from_slice("N=2", &[2.0, 3.0])?, SolveOptions::default())?.x;
/// let g = Tensor::from_slice("N=2", &[1.0, 1.0])?;
/// let gradient = solve_vjp_by(&x, &g, |g| minres(&n, g, SolveOptions::default()))?;
/// // L = Σ b/n.
/// let of_b = gradient.b.to_real_vec()?;
/// assert!((of_b[0] + 1.0).abs() < 1e-5 && (of_b[1] - 1.0 / 3.0).abs() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// Those of the solver; x and g, or what it finds, differ in shape or device.
pub fn solve_vjp_by(x: &Tensor, g: &Tensor, solve: impl FnOnce(&Tensor) -> Result<Solution>) -> Result<SolveGradient> {
    x.shape().expect(g.shape()).map_err(|e| e.at("the gradient with regard to x"))?;
    let solution = solve(&as_dtype(g.clone(), x.dtype())?)?;
    let lambda = -solution.x.dot(x)?.re;
    Ok(SolveGradient { b: solution.x, lambda, stop: solution.stop })
}

/// Gradients through the least-squares solution x = (AᴴA + λI)⁻¹Aᴴy, where the gradient with regard to x is `g`. With
/// w = (AᴴA + λI)⁻¹g, one more solve, they are A·w with regard to y and −Re⟨w, x⟩ with regard to λ, which is the options';
/// [`through`](LeastSquaresGradient::through) gives those with regard to what A is made of. `a` may hold square roots of weights.
///
/// ```
/// use linops::{DType, Tensor, derivative, linop, solve::{SolveOptions, cg}};
/// let (w, y) = (Tensor::from_slice("N=2", &[1.0, 2.0])?, Tensor::from_slice("N=2", &[3.0, 8.0])?);
/// let a = linop::diagonal("N=2", &w)?;
/// let x = cg(&a.n(), &a.h().apply(&y)?, SolveOptions::default())?.x;
/// let g = Tensor::from_slice("N=2", &[1.0, 1.0])?;
/// let gradient = derivative::least_squares_vjp(&a, &y, &x, &g, SolveOptions::default())?;
/// // L = Σ x, x = y/w, and so ∂L/∂w = −y/w².
/// let of_w = gradient.through(|input, g| derivative::of_diagonal(w.shape(), input)?.vjp(g, DType::F32))?;
/// assert!(of_w.to_real_vec()?.iter().zip([-3.0, -2.0]).all(|(g, want)| (g - want).abs() < 1e-4));
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`cg`]; y is not what A gives, x not what it takes, g not of x's shape.
pub fn least_squares_vjp(
    a: &Linop,
    y: &Tensor,
    x: &Tensor,
    g: &Tensor,
    options: SolveOptions,
) -> Result<LeastSquaresGradient> {
    let solved = solve_vjp(&a.n(), x, g, options)?;
    let of_y = a.apply(&solved.b)?;
    let misfit = (y - a.apply(x)?).eval()?;
    // Re⟨w, dAᴴ(y − A x)⟩ − Re⟨w, Aᴴ dA x⟩, for a change dA of A.
    let terms = [(solved.b, misfit), (x.clone(), (-&of_y).eval()?)];
    Ok(LeastSquaresGradient { y: as_dtype(of_y, y.dtype())?, lambda: solved.lambda, stop: solved.stop, terms })
}

/// Gradients through the minimiser x of ‖A x − y‖² + Σ λᵢ‖Lᵢ x‖², where the gradient with regard to x is `g`: with
/// w = (AᴴA + Σ λᵢLᵢᴴLᵢ)⁻¹g, one more solve, they are A·w with regard to y and −Re⟨Lᵢ w, Lᵢ x⟩ with regard to λᵢ. The options' λ is one
/// more of the identity, as it was for x.
///
/// ```
/// use linops::derivative::tikhonov_vjp;
/// use linops::solve::{SolveOptions, Tikhonov, cg};
/// use linops::{Tensor, linop};
/// // x = y/(1 + 4λ) for A = 1 and L = 2.
/// let a = linop::identity("N=1")?;
/// let problem = Tikhonov::new(&a).term(0.25, &(&a * 2.0));
/// let y = Tensor::from_slice("N=1", &[6.0f32])?;
/// let x = cg(&problem.normal()?, &problem.rhs(&y)?, SolveOptions::default())?.x;
/// let g = Tensor::from_slice("N=1", &[1.0f32])?;
/// let gradient = tikhonov_vjp(&problem, &x, &g, SolveOptions::default())?;
/// assert!((gradient.lambdas[0] + 4.0 * 6.0 / 4.0).abs() < 1e-4 && (gradient.y.to_real_vec()?[0] - 0.5).abs() < 1e-5);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for [`cg`] and [`Tikhonov::normal`]; x and g differ in shape or device.
pub fn tikhonov_vjp(problem: &Tikhonov, x: &Tensor, g: &Tensor, options: SolveOptions) -> Result<TikhonovGradient> {
    let SolveGradient { b: w, stop, .. } =
        solve_vjp(&problem.normal()?, x, g, options).map_err(|e| e.at("tikhonov_vjp"))?;
    let (a, terms) = problem.parts();
    let slope = |(_, l): &(f32, Linop)| Ok(-l.apply(&w)?.dot(&l.apply(x)?)?.re);
    Ok(TikhonovGradient { y: a.apply(&w)?, lambdas: terms.iter().map(slope).collect::<Result<_>>()?, stop })
}

impl LeastSquaresGradient {
    /// The gradient with regard to what A is made of. The function gets an input of A and the gradient with regard to what A makes
    /// of it, and gives that with regard to the parameter, such as `|x, g| of_diagonal(w.shape(), x)?.vjp(g, dtype)`; it is called twice,
    /// and the sum is what is returned. If y is made by A as well, its part comes by the chain rule from `y`.
    ///
    /// # Errors
    /// Those of the function, or its results differ in shape or device.
    pub fn through(&self, mut vjp: impl FnMut(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let [first, second] = &self.terms;
        (vjp(&first.0, &first.1)? + vjp(&second.0, &second.1)?).eval()
    }
}
