//! What all methods share: the space of a problem while it is drafted, the objective as passes, and ‖AᴴA‖.

use super::begin::Begun;
use super::options::Reading;
use super::{Method, Problem, Solved, Term, dtype};
use crate::dim::Shape;
use crate::error::{Result, value_err};
use crate::functional::{Functional, Kind, alike};
use crate::linop::{self, Linop};
use crate::run::Device;
use crate::solve::Stop;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Layout, Map, Measure, Pass, Scalar, Space, Vector};

/// A space that is being thought out.
#[derive(Default)]
pub(super) struct Draft {
    vectors: Vec<(Shape, DType)>,
    /// What vectors are set to at first.
    values: Vec<(Vector, Tensor)>,
    scalars: usize,
    passes: Vec<Pass>,
    operators: Vec<Linop>,
}

impl Draft {
    pub fn vector(&mut self, shape: &Shape, dtype: DType) -> Vector {
        self.vectors.push((shape.clone(), dtype));
        Vector(self.vectors.len() - 1)
    }

    /// A vector with these values.
    pub fn given(&mut self, t: &Tensor) -> Vector {
        let v = self.vector(t.shape(), t.dtype());
        self.values.push((v, t.clone()));
        v
    }

    pub fn scalar(&mut self) -> Scalar {
        self.scalars += 1;
        Scalar(self.scalars - 1)
    }

    pub fn pass(&mut self, pass: Pass) -> usize {
        self.passes.push(pass);
        self.passes.len() - 1
    }

    pub fn operator(&mut self, linop: &Linop) -> usize {
        self.operators.push(linop.clone());
        self.operators.len() - 1
    }

    pub fn space(self, device: &Device) -> Result<Box<dyn Space>> {
        let layout = Layout { scalars: self.scalars, passes: self.passes };
        let operators: Vec<&Linop> = self.operators.iter().collect();
        let mut space = device.space(&operators, &self.vectors, layout)?;
        for (v, t) in &self.values {
            space.set(*v, &t.to(device)?)?;
        }
        Ok(space)
    }
}

/// Whether a term goes into the normal: λ/2 ‖K x‖².
pub(super) fn is_smooth(term: &Term) -> bool {
    matches!(term.functional.0, Kind::Squared { .. })
}

/// Whether a term's prox in x is known.
pub(super) fn has_prox(term: &Term) -> bool {
    term.linop.is_none() || term.orthonormal
}

/// The smooth part, ½⟨x, N x⟩ + ½μ‖x‖² − Re⟨x, b⟩ + ½‖y‖², in a draft.
pub(super) struct Smooth {
    /// N, with the squares of linops in it.
    pub normal: usize,
    pub linop: Linop,
    /// The squares of x itself.
    pub mu: f64,
    /// Aᴴy.
    pub b: Vector,
    size: f64,
    pub shape: Shape,
    pub dtype: DType,
}

impl Problem {
    /// AᴴA with the squares of linops in it, and the sum of the weights of those of x itself.
    pub(super) fn smooth(&self) -> Result<(Linop, f64)> {
        let mut mu = 0.0;
        let mut normals = vec![self.a.n()];
        for term in self.terms.iter().filter(|t| is_smooth(t)) {
            let Kind::Squared { weight } = term.functional.0 else { continue };
            match &term.linop {
                Some(_) if weight == 0.0 => {}
                #[allow(clippy::cast_possible_truncation)]
                Some(k) => normals.push(k.n() * weight as f32),
                None => mu += weight,
            }
        }
        let normal = match normals.as_slice() {
            [only] => only.clone(),
            _ => linop::add(normals)?,
        };
        Ok((normal, mu))
    }
}

impl Smooth {
    pub fn draft(draft: &mut Draft, problem: &Problem) -> Result<Smooth> {
        let (linop, mu) = problem.smooth()?;
        let b = problem.a.h().apply(&problem.y)?;
        let (shape, dtype) = (problem.a.input()?.clone(), dtype(problem));
        if b.dtype() != dtype {
            return value_err!(
                "the adjoint of {dtype} data is {}; give data of that type (Tensor::to_dtype)",
                b.dtype()
            );
        }
        let size = crate::functional::squared_norm(&b)?.sqrt();
        let normal = draft.operator(&linop);
        Ok(Smooth { normal, linop, mu, b: draft.given(&b), size, shape, dtype })
    }

    /// A length as a part of ‖b‖; None of no data.
    pub fn part(&self, length: f64) -> Option<f64> {
        (self.size > 0.0).then(|| length / self.size)
    }

    pub fn vector(&self, draft: &mut Draft) -> Vector {
        draft.vector(&self.shape, self.dtype)
    }
}

/// A term that is no square, in a draft.
#[derive(Clone)]
pub(super) struct Stated {
    pub functional: Functional,
    /// K and Kᴴ.
    pub linop: Option<[usize; 2]>,
    pub shape: Shape,
    pub dtype: DType,
    /// The vector of weights of an l1 norm.
    pub weights: Option<Vector>,
}

impl Stated {
    /// All terms of a problem that are no squares.
    pub fn draft(draft: &mut Draft, problem: &Problem) -> Result<Vec<Stated>> {
        let hard = problem.terms.iter().filter(|t| !is_smooth(t));
        hard.map(|term| {
            let (shape, linop) = match &term.linop {
                Some(k) => (k.output()?.clone(), Some([draft.operator(k), draft.operator(&k.h())])),
                None => (problem.a.input()?.clone(), None),
            };
            let dtype = dtype(problem);
            // Looked at here, where an error has the term's name.
            term.functional.group_of(&shape, dtype)?;
            let weights = match &term.functional.0 {
                Kind::L1 { weights: Some(w), .. } => {
                    shape.expect(w.shape()).map_err(|e| e.at("the weights of an l1 norm"))?;
                    Some(draft.given(&if dtype == DType::Complex32 { alike(w)? } else { w.clone() }))
                }
                _ => None,
            };
            Ok(Stated { functional: term.functional.clone(), linop, shape, dtype, weights })
        })
        .collect()
    }

    pub fn vector(&self, draft: &mut Draft) -> Vector {
        draft.vector(&self.shape, self.dtype)
    }

    /// The prox as what a pass does; None where the functional is called between passes.
    pub fn map(&self, step: Formula) -> Option<Map> {
        self.functional.map(step, self.weights)
    }

    /// The prox of the conjugate, whose step does not matter to constraints, as what a pass does.
    pub fn dual_map(&self) -> Option<Map> {
        match &self.functional.0 {
            Kind::L1 { weight, .. } => Some(Map::Ball((*weight).into(), self.weights)),
            _ => None,
        }
    }

    /// A pass with this functional's groups.
    pub fn pass(&self, name: &'static str) -> Result<Pass> {
        Ok(Pass::new(name).group(self.functional.group_of(&self.shape, self.dtype)?))
    }
}

/// f(K x) + f*(p) − Re⟨p, K x⟩ of an l1 norm, whose f*(p) is 0, or of a constraint that K x obeys: 0 where p belongs to x, and never
/// negative. None for what has no such gap.
pub(super) struct Gap {
    /// Of an l1 norm; None of a constraint, whose f*(p) is Re⟨p, z⟩ at the point z that p belongs to.
    weight: Option<f64>,
    begun: usize,
    taken: usize,
    product: Scalar,
    other: Scalar,
}

impl Gap {
    /// With the dual in p and K x in t; of constraints also what p belongs to.
    pub fn draft(draft: &mut Draft, term: &Stated, p: Vector, t: Vector, z: Option<Vector>) -> Result<Option<Gap>> {
        let pass = term.pass("gap")?.dot(p, t);
        let (pass, weight) = match (&term.functional.0, z) {
            (Kind::L1 { weight, .. }, _) => (pass.measure(Measure::Magnitudes(t, term.weights)), Some(*weight)),
            (Kind::Bound { .. } | Kind::Box { .. }, Some(z)) => (pass.dot(p, z), None),
            _ => return Ok(None),
        };
        let [product, other] = std::array::from_fn(|_| draft.scalar());
        let begun = draft.pass(pass);
        let taken = draft.pass(Pass::new("gap taken").totals([product, other]));
        Ok(Some(Gap { weight, begun, taken, product, other }))
    }

    /// Where the dual is `factor` times p.
    pub fn read(&self, space: &mut dyn Space, factor: f64) -> Result<f64> {
        space.pass(self.begun)?;
        space.pass(self.taken)?;
        let scalars = space.scalars()?;
        let other = self.weight.unwrap_or(factor) * scalars[self.other.0];
        Ok((other - factor * scalars[self.product.0]).max(0.0))
    }
}

/// Smaller gaps, as parts of the objective, are rounding.
pub(super) const LEAST_GAP: f64 = 1e-5;

/// How a solve ends whose gap is within the tolerance, or where nearer would be rounding.
pub(super) fn within(gap: f64, tol: f64) -> Stop {
    if gap <= tol { Stop::Converged } else { Stop::Attained }
}

/// F in passes.
pub(super) struct Objective {
    a: usize,
    x: Vector,
    r: Vector,
    misfit: usize,
    data: Scalar,
    values: Vec<Value>,
    end: usize,
    /// ½μ‖x‖² and squares of linops.
    squares: Scalar,
    mu: f64,
    more: Vec<(Functional, Linop)>,
    size: f64,
}

struct Value {
    operator: Option<usize>,
    /// K x.
    at: Vector,
    by: Measured,
}

enum Measured {
    /// A weight and the sum that it is of.
    Sum(f64, Scalar, usize),
    /// A constraint, which x obeys as the method makes it.
    Obeyed,
    Called(Functional),
}

/// An objective that was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    pub data: f64,
    pub objective: f64,
    pub misfit: f64,
}

impl Looked {
    /// What is told of it, at iteration k of so many at most.
    pub fn reading(&self, (iteration, of): (usize, usize), change: f64) -> Reading {
        let Looked { objective, data, .. } = *self;
        Reading { iteration, of, objective, data_term: data, change, gap: None, residual: None }
    }

    /// What comes of an iterate that was looked at.
    pub fn solved(self, x: Tensor, method: Method, iterations: usize, stop: Stop) -> Solved {
        Solved {
            x,
            objective: self.objective,
            data_term: self.data,
            misfit: self.misfit,
            iterations,
            method,
            halved: 0,
            history: Vec::new(),
            stop,
            begun: Begun::Zero,
            duals: Vec::new(),
        }
    }
}

impl Objective {
    /// Of the vector x; `scratch` are vectors for the Kᵢ x, where they have other shapes.
    pub fn draft(
        draft: &mut Draft,
        problem: &Problem,
        smooth: &Smooth,
        terms: &[Stated],
        x: Vector,
        scratch: &[Option<Vector>],
    ) -> Result<Objective> {
        let a = draft.operator(&problem.a);
        let y = draft.given(&problem.y);
        let r = draft.vector(problem.y.shape(), problem.y.dtype());
        let misfit = Pass::new("misfit").update(r, [(Formula::from(1.0f32), r), (Formula::from(-1.0f32), y)]).dot(r, r);
        let misfit = draft.pass(misfit);
        let (data, squares) = (draft.scalar(), draft.scalar());
        let mut pending = data;
        let mut values = Vec::new();
        for (term, scratch) in terms.iter().zip(scratch) {
            let at = scratch.unwrap_or(x);
            let by = match &term.functional.0 {
                Kind::L1 { weight, .. } => {
                    let sum = draft.scalar();
                    let pass = term.pass("value")?.totals([pending]).measure(Measure::Magnitudes(at, term.weights));
                    pending = sum;
                    Measured::Sum(*weight, sum, draft.pass(pass))
                }
                Kind::Bound { .. } | Kind::Box { .. } => Measured::Obeyed,
                Kind::Squared { .. } | Kind::Own(_) => Measured::Called(term.functional.clone()),
            };
            values.push(Value { operator: term.linop.map(|[k, _]| k), at, by });
        }
        let last = draft.pass(Pass::new("squares").totals([pending]).dot(x, x));
        let end = draft.pass(Pass::new("total").totals([squares]));
        values.push(Value { operator: None, at: x, by: Measured::Sum(0.5 * smooth.mu, squares, last) });
        let more = problem.terms.iter().filter(|t| is_smooth(t));
        let more = more.filter_map(|t| t.linop.clone().map(|k| (t.functional.clone(), k))).collect();
        let size = crate::functional::squared_norm(&problem.y)?.sqrt();
        Ok(Objective { a, x, r, misfit, data, values, end, squares, mu: smooth.mu, more, size })
    }

    /// Computes it from x.
    pub fn look(&self, space: &mut dyn Space) -> Result<Looked> {
        self.look_with(space).map(|(looked, _)| looked)
    }

    /// The same, and all scalars: what was summed before comes with it, in one reading of the device.
    pub fn look_with(&self, space: &mut dyn Space) -> Result<(Looked, Vec<f64>)> {
        space.apply(self.a, self.x, self.r)?;
        space.pass(self.misfit)?;
        let mut called = 0.0;
        for value in &self.values {
            if let Some(k) = value.operator
                && !matches!(value.by, Measured::Obeyed)
            {
                space.apply(k, self.x, value.at)?;
            }
            match &value.by {
                Measured::Sum(_, _, pass) => space.pass(*pass)?,
                Measured::Obeyed => {}
                Measured::Called(functional) => called += functional.value(&space.get(value.at)?)?,
            }
        }
        space.pass(self.end)?;
        let scalars = space.scalars()?;
        let sum = |v: &Value| match v.by {
            Measured::Sum(weight, sum, _) => weight * scalars[sum.0],
            _ => 0.0,
        };
        let mut rest: f64 = called + self.values.iter().map(sum).sum::<f64>();
        for (functional, k) in &self.more {
            rest += functional.value(&k.apply(&space.get(self.x)?)?)?;
        }
        debug_assert!(self.mu == 0.0 || scalars[self.squares.0] >= 0.0);
        let data = 0.5 * scalars[self.data.0];
        let misfit = if self.size > 0.0 { (2.0 * data).sqrt() / self.size } else { 0.0 };
        Ok((Looked { data, objective: data + rest, misfit }, scalars))
    }
}

/// ‖N + μ‖ by power iteration, from above by a margin.
pub(super) struct Norm {
    normal: usize,
    v: Vector,
    w: Vector,
    square: Scalar,
    measure: usize,
    turn: usize,
}

/// Power iterations between two looks, and looks at most.
const POWERS: usize = 12;
const LOOKS: usize = 5;

/// What is found is below the norm, by so much at most where it has come to rest; more is seen as the objective grows.
const MARGIN: f64 = 1.02;

impl Norm {
    /// With two vectors of the domain that are free until the method begins.
    pub fn draft(draft: &mut Draft, normal: usize, v: Vector, w: Vector) -> Norm {
        let square = draft.scalar();
        let measure = draft.pass(Pass::new("power").dot(w, w));
        let one = Formula::from(1.0f32);
        let turn = draft.pass(Pass::new("turn").totals([square]).update(v, [(one / Formula::from(square).root(), w)]));
        Norm { normal, v, w, square, measure, turn }
    }

    pub fn find(&self, space: &mut dyn Space, shape: &Shape, dtype: DType, device: &Device, mu: f64) -> Result<f64> {
        space.set(self.v, &start(shape, dtype)?.to(device)?)?;
        let mut found = 0.0f64;
        for _ in 0..LOOKS {
            for _ in 0..POWERS {
                space.apply(self.normal, self.v, self.w)?;
                space.pass(self.measure)?;
                space.pass(self.turn)?;
                space.submit()?;
            }
            let next = space.scalars()?[self.square.0].sqrt();
            if !next.is_finite() {
                return value_err!("the linop gives values that are not finite");
            }
            let rest = (next - found).abs() <= 2e-3 * next;
            found = next;
            if rest {
                break;
            }
        }
        match found + mu {
            0.0 => Ok(1.0), // nothing depends on x
            norm => Ok(MARGIN * norm),
        }
    }
}

/// A bound of ‖ΣKᴴK + ones‖ over terms of linops and so many of x itself: of what is known of the terms, else by power iteration.
pub(super) fn penalty_norm<'a>(
    terms: impl Iterator<Item = &'a Term>,
    ones: usize,
    dtype: DType,
    device: &Device,
) -> Result<f64> {
    let mut sum = ones as f64;
    let mut unknown = Vec::new();
    for term in terms {
        match (term.norm, &term.linop) {
            (Some(norm), _) => sum += norm,
            (None, Some(k)) => unknown.push(k.n()),
            (None, None) => sum += 1.0,
        }
    }
    if unknown.is_empty() {
        return Ok(sum);
    }
    let normal = if unknown.len() == 1 { unknown.remove(0) } else { linop::add(unknown)? };
    let shape = normal.input()?.clone();
    let mut draft = Draft::default();
    let operator = draft.operator(&normal);
    let [v, w] = std::array::from_fn(|_| draft.vector(&shape, dtype));
    let norm = Norm::draft(&mut draft, operator, v, w);
    norm.find(&mut *draft.space(device)?, &shape, dtype, device, sum)
}

/// A vector with a part in every direction, the same every time, of norm 1.
fn start(shape: &Shape, dtype: DType) -> Result<Tensor> {
    let n = shape.len();
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let scale = 1.0 / (n as f32).sqrt();
    match dtype {
        DType::F32 => Tensor::from_vec(shape.clone(), (0..n).map(|_| scale * draw()).collect::<Vec<f32>>()),
        DType::Complex32 => {
            let values = (0..n).map(|_| num_complex::Complex32::new(draw(), draw()) * scale);
            Tensor::from_vec(shape.clone(), values.collect::<Vec<_>>())
        }
    }
}

impl Draft {
    /// The passes, for those who look at kernels.
    #[cfg(feature = "gpu")]
    pub fn layout(self) -> Layout {
        Layout { scalars: self.scalars, passes: self.passes }
    }
}
