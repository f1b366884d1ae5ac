//! An orthonormal basis that grows, on a device: vectors made orthogonal to it, and combinations of its vectors.
//!
//! Passes know vectors by number, so those of a basis are copied into four slots, some at a time; so the kernels are the same for
//! any size of basis. Coefficients of passes are real: beside a complex vector v stands i·v, whose products are the imaginary
//! parts.

use crate::dim::Shape;
use crate::error::Result;
use crate::linop::scalar;
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use crate::vectors::{Formula, Layout, Pass, Scalar, Space, Vector};
use num_complex::{Complex32, Complex64};

const WORK: Vector = Vector(0);
const SLOTS: [Vector; 4] = [Vector(1), Vector(2), Vector(3), Vector(4)];

/// Products with the slots, or coefficients of them.
const C: [Scalar; 4] = [Scalar(0), Scalar(1), Scalar(2), Scalar(3)];
const SQUARE: Scalar = Scalar(4);
const NORM: Scalar = Scalar(5);

const PRODUCTS: usize = 0;
const REMOVE: usize = 1;
const ADD: usize = 2;
const MEASURE: usize = 3;
const UNIT: usize = 4;
const EMPTY: usize = 5;
const CLEAR: usize = 6;

/// Rounds of orthogonalisation: two are enough for what is not lost in rounding (Giraud and others, Numer. Math. 101:87, 2005),
/// and a third for the rest.
const ROUNDS: usize = 3;

/// A round that leaves more than this of the norm was the last one.
const KEPT: f64 = 0.7;

pub(super) fn layout(complex: bool) -> Layout {
    let one = || Formula::from(1.0);
    let slots = |sign: f32| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|k| (C[k] * sign, SLOTS[k]));
        [(one(), WORK), a, b, c, d]
    };
    let clear = |from: usize| SLOTS[from..].iter().fold(Pass::new("basis_clear"), |p, s| p.update(*s, []));
    let passes = vec![
        SLOTS.iter().fold(Pass::new("basis_products"), |p, s| p.dot(WORK, *s)),
        Pass::new("basis_remove").totals(C).update(WORK, slots(-1.0)),
        Pass::new("basis_add").update(WORK, slots(1.0)),
        Pass::new("basis_measure").dot(WORK, WORK),
        Pass::new("basis_unit")
            .totals([SQUARE])
            .formula(NORM, Formula::from(SQUARE).root())
            .update(WORK, [(one() / NORM, WORK)]),
        Pass::new("basis_empty").update(WORK, []),
        clear(if complex { 2 } else { 1 }),
    ];
    Layout { scalars: 8, passes }
}

pub(super) struct Basis {
    space: Box<dyn Space>,
    complex: bool,
    pub vectors: Vec<Tensor>,
}

impl Basis {
    pub fn new(shape: &Shape, dtype: DType, device: &Device) -> Result<Basis> {
        let complex = dtype == DType::Complex32;
        let turn = if complex { vec![scalar(shape, Complex32::new(0.0, 1.0))?] } else { Vec::new() };
        let turn: Vec<_> = turn.iter().collect();
        let space = device.space(&turn, &vec![(shape.clone(), dtype); 5], layout(complex))?;
        Ok(Basis { space, complex, vectors: Vec::new() })
    }

    /// Vectors that the slots hold at a time.
    fn at_a_time(&self) -> usize {
        if self.complex { 2 } else { 4 }
    }

    /// Puts some vectors, at least one, into the slots.
    fn fill(&mut self, vectors: &[Tensor]) -> Result<()> {
        if vectors.len() < self.at_a_time() {
            // All but the first, or the first pair; some of them are filled again.
            self.space.pass(CLEAR)?;
        }
        for (k, v) in vectors.iter().enumerate() {
            if self.complex {
                self.space.set(SLOTS[2 * k], v)?;
                self.space.apply(0, SLOTS[2 * k], SLOTS[2 * k + 1])?;
            } else {
                self.space.set(SLOTS[k], v)?;
            }
        }
        Ok(())
    }

    /// The norm of the work vector, which becomes a unit vector.
    fn unit(&mut self) -> Result<f64> {
        self.space.pass(MEASURE)?;
        self.space.pass(UNIT)?;
        Ok(self.space.scalars()?[NORM.0])
    }

    /// Takes a vector apart: its coefficients in the basis, and the norm of the rest, whose direction becomes the work vector.
    /// Where less than `least` is left of it that is 0.
    pub fn take(&mut self, vector: &Tensor, least: f64) -> Result<(Vec<Complex64>, f64)> {
        self.space.set(WORK, vector)?;
        let mut norm = self.unit()?;
        let mut coefficients = vec![Complex64::default(); self.vectors.len()];
        for _ in 0..ROUNDS {
            if norm <= least {
                return Ok((coefficients, 0.0));
            }
            if self.vectors.is_empty() {
                break;
            }
            let vectors = self.vectors.clone();
            let some = self.at_a_time();
            for (group, to) in vectors.chunks(some).zip(coefficients.chunks_mut(some)) {
                self.fill(group)?;
                self.space.pass(PRODUCTS)?;
                self.space.pass(REMOVE)?;
                let s = self.space.scalars()?;
                for (k, to) in to.iter_mut().enumerate() {
                    *to += norm * self.number(&s, k);
                }
            }
            let left = self.unit()?;
            norm *= left;
            if left > KEPT {
                break;
            }
        }
        Ok((coefficients, if norm <= least { 0.0 } else { norm }))
    }

    /// The coefficient of the k-th vector in the slots.
    fn number(&self, scalars: &[f64], k: usize) -> Complex64 {
        match self.complex {
            true => Complex64::new(scalars[C[2 * k].0], scalars[C[2 * k + 1].0]),
            false => scalars[C[k].0].into(),
        }
    }

    /// Adds the work vector to the basis.
    pub fn push(&mut self) -> Result<()> {
        self.vectors.push(self.space.get(WORK)?);
        Ok(())
    }

    /// Σ cₖ vₖ of any vectors.
    pub fn combination(&mut self, vectors: &[Tensor], coefficients: &[Complex64]) -> Result<Tensor> {
        self.space.pass(EMPTY)?;
        self.add(vectors, coefficients)?;
        self.space.get(WORK)
    }

    /// `vector` − c v, and its norm.
    pub fn difference(&mut self, vector: &Tensor, c: f64, v: &Tensor) -> Result<(Tensor, f64)> {
        self.space.set(WORK, vector)?;
        self.add(std::slice::from_ref(v), &[Complex64::from(-c)])?;
        let difference = self.space.get(WORK)?;
        Ok((difference, self.unit()?))
    }

    fn add(&mut self, vectors: &[Tensor], coefficients: &[Complex64]) -> Result<()> {
        let some = self.at_a_time();
        for (group, c) in vectors.chunks(some).zip(coefficients.chunks(some)) {
            self.fill(group)?;
            let mut numbers = [0.0f32; 4];
            for (k, c) in c.iter().enumerate() {
                if self.complex {
                    (numbers[2 * k], numbers[2 * k + 1]) = (c.re as f32, c.im as f32);
                } else {
                    numbers[k] = c.re as f32;
                }
            }
            for (scalar, number) in C.into_iter().zip(numbers) {
                self.space.set_scalar(scalar, number)?;
            }
            self.space.pass(ADD)?;
        }
        Ok(())
    }
}
