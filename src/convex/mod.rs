//! Convex problems: least squares with regularisers and constraints, on the device that holds the data.
//!
//! ```text
//! minimise over x    F(x) = ½‖A x − y‖² + Σᵢ fᵢ(Kᵢ x)
//! ```
//!
//! with linops A and Kᵢ and [functionals](crate::functional) fᵢ. [`Problem`] states it, and solves it by one of the [`Method`]s; which
//! one, and its steps, follow from the terms unless they are given. All methods have the same objective and the same stop: F
//! stands within a tolerance of its limit ([`Stop`]). A method is its recurrence, as passes over vectors
//! (`crate::vectors`), and on a GPU the iterations between two readings are recorded without a look at any value.
//!
//! The data may be of any scale: inside they are times a power of two, and functionals with them.

mod admm;
mod backtracking;
mod balance;
mod begin;
#[cfg(test)]
mod counts;
mod even;
mod fgp;
mod field;
mod fista;
mod gathered;
mod irls;
mod level;
mod options;
mod pdhg;
mod quadratic;
mod regularise;
#[cfg(feature = "gpu")]
mod samples;
mod scaled;
mod spectrum;
mod split;
mod stage;
mod together;
mod variation;
mod watch;

pub use begin::Begun;
#[cfg(feature = "app")]
pub(crate) use options::Tell;
pub use options::{ConvexOptions, Method, Progress, Reading};
pub use regularise::WaveletPenalty;
#[doc(hidden)]
#[cfg(feature = "gpu")]
pub use samples::kernels;
pub use variation::{tgv, tv};

use crate::dim::{Dim, Shape};
use crate::error::{Result, value_err};
use crate::functional::{Functional, Kind};
use crate::linop::{self, Linop};
use crate::solve::Stop;
use crate::tensor::{DType, Tensor};
use level::Level;
use options::Teller;
use scaled::{largest, times_power, unit_exponent};

/// One term f(K x) of an objective; without K, f(x).
#[derive(Clone, Debug)]
pub(crate) struct Term {
    pub functional: Functional,
    pub linop: Option<Linop>,
    /// KᴴK = K Kᴴ = 1.
    pub orthonormal: bool,
    /// What KᴴK is the normal of, where that is simpler than K.
    pub isometry: Option<Linop>,
    /// A bound of ‖K‖², where one is known.
    pub norm: Option<f64>,
    /// The dims along which K is the differences ahead, none across the border, if it is that.
    pub even: Option<Vec<Dim>>,
    /// Whether KᴴK is 1 for the image that the unknown begins with, and 0 for the rest.
    pub pixels: bool,
    /// Whether it is of x itself.
    pub whole: bool,
    /// Whether it is the same for x and for x + c·1.
    pub blind: bool,
}

impl Term {
    /// f(x), of the whole unknown.
    pub fn of_all(functional: Functional) -> Term {
        Term {
            functional,
            linop: None,
            orthonormal: false,
            isometry: None,
            norm: None,
            even: None,
            pixels: false,
            whole: true,
            blind: false,
        }
    }

    /// f(K x).
    pub fn value(&self, x: &Tensor) -> Result<f64> {
        match &self.linop {
            Some(k) => self.functional.value(&k.apply(x)?),
            None => self.functional.value(x),
        }
    }

    /// KᴴK, from unknowns of this shape.
    pub fn normal(&self, unknown: &Shape) -> Result<Linop> {
        match &self.linop {
            None => linop::identity(unknown.clone()),
            Some(k) => match &self.isometry {
                Some(of) => Ok(of.n()),
                None if self.orthonormal => linop::identity(unknown.clone()),
                None => Ok(k.n()),
            },
        }
    }
}

/// What is known of a term's linop: that K Kᴴ = 1, that KᴴK = 1, a bound of ‖K‖²; and that the term does not see even images.
#[derive(Clone, Copy, Default)]
struct Of {
    onto: bool,
    isometric: bool,
    norm: Option<f64>,
    blind: bool,
}

/// A convex problem ½‖A x − y‖² + Σ fᵢ(Kᵢ x).
///
/// ```
/// use linops::{convex::{ConvexOptions, Problem}, functional::l1, linop, Tensor};
/// // The lasso: of three numbers only the large one stays, less the weight.
/// let a = linop::identity("N=3")?;
/// let y = Tensor::from_slice("N=3", &[0.1f32, 3.0, -0.2])?;
/// let x = Problem::new(&a, &y)?.term(l1(0.5)?).solve(ConvexOptions::default())?.x;
/// for (x, want) in x.to_real_vec()?.iter().zip([0.0, 2.5, 0.0]) {
///     assert!((x - want).abs() < 1e-5);
/// }
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    /// From the unknown of the solver.
    a: Linop,
    y: Tensor,
    terms: Vec<Term>,
    start: Option<Tensor>,
    /// From the unknown of the solver to x, where they differ.
    image: Option<Linop>,
    /// Whether that only leaves out: its entries are 0 and 1.
    selects: bool,
    /// The dims of total generalised variation, where the unknown is an image and a field.
    bent: Option<Vec<Dim>>,
    /// Where the duals of the terms begin.
    duals: Option<Vec<Tensor>>,
    /// By what factor x may be farther from the solution than its size tells.
    farther: f64,
}

/// What a convex solver returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Solved {
    /// The iterate of the least objective, on the device of the data.
    pub x: Tensor,
    /// F(x), and its part ½‖A x − y‖².
    pub objective: f64,
    /// ½‖A x − y‖².
    pub data_term: f64,
    /// ‖A x − y‖/‖y‖.
    pub misfit: f64,
    /// Iterations done; of ADMM those of its outer loop.
    pub iterations: usize,
    /// By which method.
    pub method: Method,
    /// How often a step was halved since it was too long.
    pub halved: usize,
    /// What was read on the way.
    pub history: Vec<Reading>,
    /// Why it stopped.
    pub stop: Stop,
    /// Where it began.
    pub begun: Begun,
    /// The duals of the terms of other linops, in order, from [`Method::Fgp`]; of other methods none.
    pub duals: Vec<Tensor>,
}

impl Problem {
    /// ½‖A x − y‖², over x of A's input. Weights of the data, W^½, belong into A and y.
    ///
    /// # Errors
    /// y has not the shape of A's output, or A carries an error.
    pub fn new(a: &Linop, y: &Tensor) -> Result<Problem> {
        a.output()?.expect(y.shape()).map_err(|e| e.at("y"))?;
        Ok(Problem {
            a: a.clone(),
            y: y.clone(),
            terms: Vec::new(),
            start: None,
            image: None,
            selects: true,
            bent: None,
            duals: None,
            farther: 1.0,
        })
    }

    /// With + f(x).
    pub fn term(self, functional: Functional) -> Problem {
        self.with(functional, None, Of::default())
    }

    /// With + f(K x).
    pub fn term_of(self, functional: Functional, linop: &Linop) -> Problem {
        self.with(functional, Some(linop), Of::default())
    }

    /// With + f(K x), where KᴴK = K Kᴴ = 1, which is not looked at: methods may then use the prox of f between K and Kᴴ.
    pub fn term_of_orthonormal(self, functional: Functional, linop: &Linop) -> Problem {
        self.with(functional, Some(linop), Of { onto: true, isometric: true, norm: Some(1.0), ..Of::default() })
    }

    fn with(mut self, functional: Functional, linop: Option<&Linop>, of: Of) -> Problem {
        // What is said of x is said of the part of the unknown that x is.
        let whole = linop.is_none();
        let (linop, isometry) = match (&self.image, linop) {
            (Some(image), Some(k)) => (Some(k * image), Some(image)),
            (Some(image), None) => (Some(image.clone()), Some(image)),
            (None, k) => (k.cloned(), None),
        };
        let isometry = isometry.filter(|_| of.isometric).cloned();
        // A part of the unknown is no longer than the whole.
        let norm = of.norm.or((whole && self.bent.is_some()).then_some(1.0));
        let orthonormal = of.onto && self.image.is_none();
        let pixels = self.bent.is_some() && (of.isometric || whole);
        self.terms.push(Term {
            functional,
            linop,
            orthonormal,
            isometry,
            norm,
            even: None,
            pixels,
            whole,
            blind: of.blind,
        });
        self
    }

    /// Over x that are 0 where this is 0: for parts of an image that A does not see, and no term holds.
    ///
    /// ```
    /// use linops::{convex::{ConvexOptions, Problem, WaveletPenalty}, linop, Tensor};
    /// let seen = Tensor::from_slice("N=4", &[1.0f32, 1.0, 0.0, 0.0])?;
    /// let a = linop::diagonal("N=4", &seen)?;
    /// let y = Tensor::from_slice("N=4", &[2.0f32, 2.0, 0.0, 0.0])?;
    /// let problem = Problem::new(&a, &y)?.supported(&seen)?.l1_wavelet(0.1, "N", &WaveletPenalty::default())?;
    /// let x = problem.solve(ConvexOptions::default())?.x.to_real_vec()?;
    /// assert!(x[2] == 0.0 && x[3] == 0.0 && x[0] > 1.8);
    /// # Ok::<(), linops::Error>(())
    /// ```
    ///
    /// # Errors
    /// It has dims that x has not, or there are terms or a start already.
    pub fn supported(self, support: &Tensor) -> Result<Problem> {
        if self.image.is_some() || self.start.is_some() || !self.terms.is_empty() {
            return value_err!("supported: say it once, and before the terms and the start");
        }
        let image = linop::diagonal(self.shape()?.clone(), support)?.named("support");
        let a = &self.a * &image;
        a.check()?;
        let selects = (support * support - support).eval()?.max_abs()? == 0.0;
        Ok(Problem { a, image: Some(image), selects, ..self })
    }

    /// From another x than 0.
    ///
    /// # Errors
    /// It has not the shape of A's input.
    pub fn start(mut self, x: &Tensor) -> Result<Problem> {
        self.shape()?.expect(x.shape()).map_err(|e| e.at("the start"))?;
        self.start = Some(x.clone());
        Ok(self)
    }

    /// From the [`duals`](Solved::duals) of a solve before, which [`Method::Fgp`] begins with; other methods have no use for them. Of a
    /// solve with other weights take them times the ratio of the weights.
    pub fn duals(mut self, duals: Vec<Tensor>) -> Problem {
        self.duals = Some(duals);
        self
    }

    /// The shape of x.
    ///
    /// # Errors
    /// A carries an error.
    pub fn shape(&self) -> Result<&Shape> {
        match &self.image {
            Some(image) => image.output(),
            None => self.a.input(),
        }
    }

    /// A and y, of the solver's unknown.
    pub(crate) fn data(&self) -> (&Linop, &Tensor) {
        (&self.a, &self.y)
    }

    pub(crate) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether the unknown is more than x.
    pub(crate) fn has_field(&self) -> bool {
        self.bent.is_some()
    }

    /// What x is times, where it is 0 outside of a support.
    pub(crate) fn support(&self) -> Option<&Linop> {
        self.image.as_ref().filter(|_| self.bent.is_none())
    }

    /// Whether x is entries of the solver's unknown.
    pub(crate) fn selects(&self) -> bool {
        self.selects
    }

    /// max|Aᴴy|: from this weight on an l1 norm of x makes x = 0. Weights are often given relative to it.
    ///
    /// # Errors
    /// The device fails.
    pub fn scale(&self) -> Result<f64> {
        // Of data near either end of f32 sums would leave it.
        let exponent = unit_exponent(largest(&self.y)?);
        let b = self.a.h().apply(&times_power(&self.y, exponent)?)?;
        let b = match &self.image {
            Some(image) => image.apply(&b)?,
            None => b,
        };
        Ok(largest(&b)? * f64::from(-exponent).exp2())
    }

    /// F(x), in passes over x.
    ///
    /// # Errors
    /// x has another shape, or the device fails.
    pub fn objective(&self, x: &Tensor) -> Result<f64> {
        if self.image.is_some() {
            return value_err!("the objective of a problem with variables beside x is known to its solver alone");
        }
        self.value(x)
    }

    /// ½‖A x − y‖².
    fn data_term(&self, x: &Tensor) -> Result<f64> {
        let residual = crate::functional::combined(&[(1.0, &self.a.apply(x)?), (-1.0, &self.y)])?;
        Ok(0.5 * crate::functional::squared_norm(&residual)?)
    }

    /// F of the solver's unknown.
    fn value(&self, x: &Tensor) -> Result<f64> {
        let mut sum = self.data_term(x)?;
        for term in &self.terms {
            sum += term.value(x)?;
        }
        Ok(sum)
    }

    /// Minimises F, from the [`start`](Problem::start) or from 0, on the device that holds y. A start whose objective is above that of 0
    /// is scaled, or left ([`Solved::begun`]), unless there are constraints or functionals of one's own.
    ///
    /// # Errors
    /// Options that make no sense, a method that cannot have these terms, data that are not finite, or the device fails. An
    /// objective that does not come to rest is no error but a [`Stop`].
    pub fn solve(&self, options: ConvexOptions) -> Result<Solved> {
        options.check()?;
        let (own, begun) = begin::chosen(self)?;
        let Some((problem, unit)) = own.scaled()? else { return self.nothing() };
        let (problem, strength) = problem.strengthened()?;
        // The steps of the primal-dual method are chosen by the size of the data.
        let (problem, level) = match problem.method(options.method)? {
            Method::Pdhg => (problem, None),
            _ => Level::taken(problem)?,
        };
        let rest = match &level {
            None if strength == 0 => Some((problem.clone(), 0)),
            None => problem.scaled()?,
            Some(level) => problem.scaled()?.filter(|_| options.tol == 0.0 || !level.is_all()),
        };
        let even_alone = rest.is_none();
        let (problem, finer) = rest.unwrap_or((problem, 0));
        let problem = problem.lifted()?;
        let exponent = unit + finer;
        let factor = |exponent: i32| (-2.0 * f64::from(exponent)).exp2();
        let unscale = |x: Tensor| -> Result<Tensor> {
            let x = times_power(&x, -finer)?;
            let x = self.image.as_ref().map_or(Ok(x.clone()), |image| image.apply(&x))?;
            times_power(&level.as_ref().map_or(Ok(x.clone()), |level| level.added(&x))?, -unit - strength)
        };
        let norm = options.norm.map(|norm| norm * factor(strength)).and_then(|norm| problem.norm_of_squares(norm));
        let factors = [factor(exponent), level.as_ref().map_or(1.0, Level::slope)];
        let mut teller = Teller::new(options.norm(norm), factors, &unscale);
        let method = match problem.method(teller.options().method)? {
            Method::Cg if teller.options().method.is_none() && teller.options().backtracking => Method::Fista,
            method => method,
        };
        let even = match method {
            _ if even_alone => Some(Level::solved(&problem, method)?),
            _ if teller.options().tol > 0.0 => even::solve(&problem, method)?,
            _ => None,
        };
        let problem = if problem.wants_together(method) { problem.together() } else { problem };
        let solved = match (even, method) {
            (Some(solved), _) => solved,
            (None, Method::Cg) => quadratic::solve(&problem, &mut teller)?,
            (None, method) if teller.options().backtracking => backtracking::solve(&problem, method, &mut teller)?,
            (None, Method::Ista | Method::Fista | Method::Pogm) => fista::solve(&problem, method, &mut teller)?,
            (None, Method::Admm) => admm::solve(&problem, &mut teller)?,
            (None, Method::Pdhg) => pdhg::solve(&problem, &mut teller)?,
            (None, Method::Fgp) => fgp::solve(&problem, &mut teller)?,
            (None, Method::Irls) => irls::solve(&problem, &mut teller)?,
        };
        let factor = teller.factor();
        let duals = solved.duals.iter().map(|p| times_power(p, strength - exponent)).collect::<Result<_>>()?;
        Ok(Solved {
            duals,
            begun,
            x: unscale(solved.x)?,
            objective: factor * solved.objective,
            data_term: factor * solved.data_term,
            misfit: level.as_ref().map_or(1.0, Level::left) * solved.misfit,
            history: teller.history,
            ..solved
        })
    }

    /// ‖AᴴA‖ and what squares of linops add to it in the solver's normal, at most; None where one of them is not known.
    fn norm_of_squares(&self, norm: f64) -> Option<f64> {
        self.terms.iter().try_fold(norm, |sum, term| match (&term.functional.0, &term.linop) {
            (Kind::Squared { weight }, Some(_)) if *weight > 0.0 => Some(sum + weight * term.norm?),
            _ => Some(sum),
        })
    }

    /// Terms that are no squares.
    fn hard(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|t| !stage::is_smooth(t))
    }

    /// Whether the steps of FISTA have a formula for the prox of all terms.
    fn has_one_prox(&self) -> bool {
        self.hard().count() <= 1 && self.hard().all(stage::has_prox)
    }

    /// Whether a method takes the terms as one functional, whose prox is solved.
    fn wants_together(&self, method: Method) -> bool {
        // Beside a field a prox is as hard as the problem itself.
        let image = self.bent.is_none();
        matches!(method, Method::Ista | Method::Fista) && !self.has_one_prox() && image && fgp::takes(self)
    }

    /// The method that is asked for, or that suits the terms: conjugate gradients for squares, one prox for the steps of FISTA, a dual where
    /// AᴴA = 1, else ADMM.
    fn method(&self, asked: Option<Method>) -> Result<Method> {
        let one = self.has_one_prox();
        match asked {
            None if self.hard().count() == 0 => Ok(Method::Cg),
            None if one => Ok(Method::Fista),
            None => Ok(if fgp::suits(self)? { Method::Fgp } else { Method::Admm }),
            Some(m @ (Method::Ista | Method::Fista | Method::Pogm)) if !one && !self.wants_together(m) => {
                let hard = self.hard().count();
                value_err!(
                    "{m} takes one functional of x or of an orthonormal transform of x, the objective has {}; use {}",
                    if hard == 1 { "one of another linop".into() } else { format!("{hard}") },
                    match fgp::takes(self) {
                        true if self.bent.is_none() => "fista, admm or pdhg",
                        true => "admm or pdhg",
                        false => "admm",
                    }
                )
            }
            Some(Method::Cg) if self.hard().count() > 0 => {
                value_err!("cg takes a data term and squares alone, the objective has other terms; use admm")
            }
            Some(Method::Fgp) if !fgp::suits(self)? => value_err!("{}", fgp::TAKES),
            Some(m) => Ok(m),
        }
    }

    /// With the start as the solver's unknown has it.
    fn lifted(mut self) -> Result<Problem> {
        if let (Some(image), Some(x)) = (&self.image, &self.start) {
            self.start = Some(image.h().apply(x)?);
        }
        Ok(self)
    }

    /// What solves a problem whose data are 0: 0, where the terms allow it.
    fn nothing(&self) -> Result<Solved> {
        let x = Tensor::zeros(self.shape()?.clone(), self.y.dtype())?.to(&self.y.device())?;
        let mut objective = 0.0;
        for term in &self.terms {
            objective += term.value(&Tensor::zeros(self.a.input()?.clone(), self.y.dtype())?.to(&self.y.device())?)?;
        }
        if !objective.is_finite() {
            return value_err!("the data are 0, and 0 violates a constraint; give a start to solve from");
        }
        let looked = stage::Looked { data: 0.0, objective, misfit: 0.0 };
        Ok(looked.solved(x, self.method(None)?, 0, Stop::Zero))
    }
}

/// The element type of a problem's vectors.
fn dtype(problem: &Problem) -> DType {
    problem.y.dtype()
}
