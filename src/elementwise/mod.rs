//! Values of several tensors combined element by element: what arithmetic on tensors is made of.
//!
//! A [`Computation`] is a list of steps, each of which makes one number of earlier ones. It is computed in one way over memory,
//! on the host by blocks that stay in the nearest cache, on a GPU by one kernel, and its last step is stored, summed, or the
//! largest of its values is looked for. Numbers that a user gives are parameters of the kernel: other step sizes make no other
//! kernels.
//!
//! Sums have a tree that the length alone fixes. A GPU adds in f32 in up to [`PARTIALS`] parts, which the host adds in f64.

#[cfg(feature = "gpu")]
mod boxes;
mod host;
#[cfg(feature = "gpu")]
mod kernel;
pub(crate) mod sample;

#[cfg(feature = "gpu")]
pub(crate) use boxes::{Axis, Copied, boxes};
pub(crate) use host::{largest, mapped, summed};
#[cfg(feature = "gpu")]
pub(crate) use kernel::{AHEAD, FIRST_INPUT, GROUP, HEADER, PARTIALS, Reads, copying, kernel, largest_of, unit};

use num_complex::Complex32;

/// Tensors of one computation, at most: with the result and the numbers they are the 8 bindings that every GPU has.
pub(crate) const INPUTS: usize = 6;

/// Steps of one computation, at most.
pub(crate) const STEPS: usize = 48;

/// What is done to one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    /// −x.
    Negative,
    /// x̄.
    Conjugate,
    Real,
    Imaginary,
    /// |x|.
    Magnitude,
    /// |x|².
    Square,
    /// x/|x|, 0 of 0.
    Direction,
    /// √x, 0 of what is negative.
    Root,
    /// x + 0i.
    Complex,
}

/// What is made of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    Sum,
    Difference,
    Product,
    Quotient,
    /// The second where it is larger, else the first, which so may be NaN.
    Larger,
    /// The second where it is smaller, else the first.
    Smaller,
    /// The first with its magnitude less by the second, 0 where that is negative.
    Shrunk,
}

/// What makes a step's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    /// An element of a tensor, by number.
    Input(usize),
    Number(Complex32),
    Map(Map, usize),
    Pair(Pair, usize, usize),
}

/// One step: its value is complex, or real.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    pub op: Op,
    pub complex: bool,
}

/// What becomes of the values of the last step.
#[cfg(feature = "gpu")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Stored,
    Summed,
    /// The largest; NaN if there is one. Of real values.
    Largest,
}

/// Steps in their order; the last one is the result.
#[derive(Clone, Debug, Default)]
pub(crate) struct Computation {
    steps: Vec<Step>,
    /// Whether each tensor is complex.
    inputs: Vec<bool>,
}

impl Computation {
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether each tensor is complex.
    #[cfg(feature = "gpu")]
    pub fn inputs(&self) -> &[bool] {
        &self.inputs
    }

    /// Whether a step's value is complex.
    pub fn is_complex(&self, step: usize) -> bool {
        self.steps.get(step).is_some_and(|s| s.complex)
    }

    /// Whether the result is complex.
    pub fn gives_complex(&self) -> bool {
        self.steps.last().is_some_and(|s| s.complex)
    }

    /// A tensor's elements, as a step.
    pub fn input(&mut self, complex: bool) -> usize {
        self.inputs.push(complex);
        self.step(Op::Input(self.inputs.len() - 1), complex)
    }

    /// A number of the user's.
    pub fn number(&mut self, value: Complex32, complex: bool) -> usize {
        // A step of its own even where an equal one is there: the kernel's text must not depend on values.
        self.steps.push(Step { op: Op::Number(value), complex });
        self.steps.len() - 1
    }

    /// What is done to a step's value.
    pub fn map(&mut self, map: Map, of: usize) -> usize {
        let complex = self.is_complex(of);
        match (map, complex) {
            (Map::Conjugate | Map::Real, false) | (Map::Complex, true) => of,
            (Map::Imaginary, false) => self.number(Complex32::default(), false),
            (Map::Negative | Map::Conjugate | Map::Direction | Map::Root, _) => self.step(Op::Map(map, of), complex),
            (Map::Complex, false) => self.step(Op::Map(map, of), true),
            (Map::Real | Map::Imaginary | Map::Magnitude | Map::Square, _) => self.step(Op::Map(map, of), false),
        }
    }

    /// What is made of two steps' values.
    pub fn pair(&mut self, pair: Pair, a: usize, b: usize) -> usize {
        let complex = match pair {
            Pair::Larger | Pair::Smaller => false,
            Pair::Shrunk => self.is_complex(a),
            Pair::Sum | Pair::Difference | Pair::Product | Pair::Quotient => self.is_complex(a) || self.is_complex(b),
        };
        // A real number scales a complex one; in a sum it becomes one.
        let both = complex && matches!(pair, Pair::Sum | Pair::Difference);
        let alike = |c: &mut Self, v: usize, both: bool| if both { c.map(Map::Complex, v) } else { v };
        let a = alike(self, a, both || complex && pair == Pair::Quotient && !self.is_complex(a));
        let b = alike(self, b, both);
        self.step(Op::Pair(pair, a, b), complex)
    }

    /// The numbers as words of a kernel, in the order of their steps.
    #[cfg(feature = "gpu")]
    pub fn words(&self) -> impl Iterator<Item = u32> + '_ {
        self.steps.iter().flat_map(|s| match (s.op, s.complex) {
            (Op::Number(x), true) => vec![x.re.to_bits(), x.im.to_bits()],
            (Op::Number(x), false) => vec![x.re.to_bits()],
            _ => Vec::new(),
        })
    }

    /// Appends another computation whose inputs are these inputs of this one; where its result is.
    pub fn append(&mut self, other: &Computation, inputs: &[usize]) -> usize {
        let mut at: Vec<usize> = Vec::with_capacity(other.steps.len());
        for step in &other.steps {
            let op = match step.op {
                Op::Input(k) => Op::Input(inputs[k]),
                Op::Number(value) => {
                    at.push(self.number(value, step.complex));
                    continue;
                }
                Op::Map(map, a) => Op::Map(map, at[a]),
                Op::Pair(pair, a, b) => Op::Pair(pair, at[a], at[b]),
            };
            at.push(self.step(op, step.complex));
        }
        at.last().copied().unwrap_or(0)
    }

    /// A place for a tensor that [`append`](Computation::append) speaks of.
    pub fn room(&mut self, complex: bool) -> usize {
        self.inputs.push(complex);
        self.inputs.len() - 1
    }

    /// A step that is there already is not made again.
    fn step(&mut self, op: Op, complex: bool) -> usize {
        let step = Step { op, complex };
        self.steps.iter().position(|s| *s == step).unwrap_or_else(|| {
            self.steps.push(step);
            self.steps.len() - 1
        })
    }
}
