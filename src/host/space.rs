//! A solver's vectors on the host: each pass goes over them once, in place. Scalars and sums are f64.

use super::kept::{HostPlan, host};
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::loops::HostBuf;
use crate::tensor::{DType, HostArray, Tensor};
use crate::vectors::{DOTS, Layout, Pass, Scalar, Space, Vector, expect_dots};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Numbers of one task. The tree of a dot product depends on the length alone.
const CHUNK: usize = 1 << 13;

/// Numbers that are updated before the next vector is looked at: they stay in the nearest cache.
const BLOCK: usize = 512;

/// Sums side by side within a block.
const SUMS: usize = 8;

pub(crate) struct HostSpace {
    operators: Vec<Arc<HostPlan>>,
    vectors: Vec<(Shape, HostBuf<f32>)>,
    scalars: Vec<f64>,
    passes: Vec<Pass>,
    /// The dots of the last pass.
    begun: Vec<f64>,
}

impl HostSpace {
    /// Vectors have these shapes and dtypes.
    pub fn new(operators: Vec<Arc<HostPlan>>, like: &[(Shape, DType)], layout: Layout) -> Result<HostSpace> {
        let vector = |(shape, dtype): &(Shape, DType)| {
            Ok((shape.clone(), HostBuf::zeros(shape.len(), *dtype == DType::Complex32)?))
        };
        let vectors = like.iter().map(vector).collect::<Result<_>>()?;
        Ok(HostSpace {
            operators,
            vectors,
            scalars: vec![0.0; layout.scalars],
            passes: layout.passes,
            begun: Vec::new(),
        })
    }
}

/// A task's part of a vector.
enum Part<'a> {
    Read(&'a [f32]),
    Written(&'a mut [f32]),
}

impl Part<'_> {
    fn values(&self) -> &[f32] {
        match self {
            Part::Read(v) => v,
            Part::Written(v) => v,
        }
    }
}

/// A pass with numbers for formulas, and positions among its vectors.
struct Loop {
    updates: Vec<(usize, Vec<(f32, usize)>)>,
    dots: Vec<(usize, usize)>,
}

impl Loop {
    fn of(pass: &Pass, scalars: &[f64]) -> Loop {
        let vectors = pass.vectors();
        let at = |v: Vector| vectors.iter().position(|(u, _)| *u == v).unwrap_or(0);
        let update = |u: &crate::vectors::Update| {
            let terms = u.terms.iter().map(|(f, v)| (f.value(scalars) as f32, at(*v))).filter(|(c, _)| *c != 0.0);
            (at(u.vector), terms.collect())
        };
        let dots = pass.dots.iter().map(|&(x, y)| (at(x), at(y))).collect();
        Loop { updates: pass.updates.iter().map(update).collect(), dots }
    }

    /// Goes over one task's parts.
    fn run(&self, parts: &mut [Part]) -> [f64; DOTS] {
        let mut dots = [0.0; DOTS];
        let len = parts.first().map_or(0, |p| p.values().len());
        let mut sum = [0.0f32; BLOCK];
        for first in (0..len).step_by(BLOCK) {
            let block = first..len.min(first + BLOCK);
            let sum = &mut sum[..block.len()];
            for (to, terms) in &self.updates {
                sum.fill(0.0);
                for &(c, v) in terms {
                    sum.iter_mut().zip(&parts[v].values()[block.clone()]).for_each(|(s, v)| *s += c * v);
                }
                if let Part::Written(v) = &mut parts[*to] {
                    v[block.clone()].copy_from_slice(sum);
                }
            }
            for (dot, &(x, y)) in dots.iter_mut().zip(&self.dots) {
                *dot += product(&parts[x].values()[block.clone()], &parts[y].values()[block.clone()]);
            }
        }
        dots
    }
}

fn product(x: &[f32], y: &[f32]) -> f64 {
    let mut sums = [0.0f64; SUMS];
    let (mut xs, mut ys) = (x.chunks_exact(SUMS), y.chunks_exact(SUMS));
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        for k in 0..SUMS {
            sums[k] += f64::from(x[k]) * f64::from(y[k]);
        }
    }
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    sums.iter().sum::<f64>() + rest
}

fn numbers(buf: &mut HostBuf<f32>) -> &mut [f32] {
    match buf {
        HostBuf::Real(v) => v,
        HostBuf::Complex(v) => bytemuck::cast_slice_mut(v),
    }
}

impl Space for HostSpace {
    fn set(&mut self, v: Vector, t: &Tensor) -> Result<()> {
        let (shape, values) = &mut self.vectors[v.0];
        shape.expect(t.shape())?;
        match (values, t.host_array()) {
            (HostBuf::Real(to), Some(HostArray::F32(from))) => to.iter_mut().zip(from).for_each(|(y, x)| *y = *x),
            (HostBuf::Complex(to), Some(HostArray::Complex32(from))) => {
                to.iter_mut().zip(from).for_each(|(y, x)| *y = *x);
            }
            _ => {
                let (dtype, place) = (t.dtype(), t.device_name());
                return Err(Error::Device(format!("a vector {shape} came as {dtype} on {place}")));
            }
        }
        Ok(())
    }

    fn get(&mut self, v: Vector) -> Result<Tensor> {
        let (shape, values) = &self.vectors[v.0];
        values.try_clone()?.into_tensor(shape.clone())
    }

    fn set_scalar(&mut self, s: Scalar, value: f32) -> Result<()> {
        self.scalars[s.0] = value.into();
        Ok(())
    }

    fn scalars(&mut self) -> Result<Vec<f64>> {
        Ok(self.scalars.clone())
    }

    fn apply(&mut self, operator: usize, from: Vector, to: Vector) -> Result<()> {
        let plan = self.operators[operator].clone();
        // Its place is taken by the result.
        let buffer = std::mem::replace(&mut self.vectors[to.0].1, HostBuf::Real(Vec::new()));
        let input = self.vectors[from.0].1.as_slice();
        self.vectors[to.0].1 = plan.run_into(host().plans.ledger(), input, buffer, &AtomicBool::new(false))?;
        Ok(())
    }

    fn pass(&mut self, pass: usize) -> Result<()> {
        let pass = &self.passes[pass];
        expect_dots(pass, self.begun.len())?;
        for (total, dot) in pass.totals.iter().zip(&self.begun) {
            self.scalars[total.0] = *dot;
        }
        for (scalar, formula) in &pass.formulas {
            self.scalars[scalar.0] = formula.value(&self.scalars);
        }
        let one = Loop::of(pass, &self.scalars);
        let used = pass.vectors();
        let mut tasks: Vec<Vec<Part>> = Vec::new();
        let mut places: Vec<Option<&mut [f32]>> = self.vectors.iter_mut().map(|(_, v)| Some(numbers(v))).collect();
        for &(v, written) in &used {
            let Some(values) = places[v.0].take() else { continue };
            tasks.resize_with(values.len().div_ceil(CHUNK).max(tasks.len()), Vec::new);
            for (task, part) in tasks.iter_mut().zip(values.chunks_mut(CHUNK)) {
                task.push(if written { Part::Written(part) } else { Part::Read(part) });
            }
        }
        let dots: Vec<[f64; DOTS]> = tasks.par_iter_mut().map(|parts| one.run(parts)).collect();
        let total = |d: usize| dots.iter().map(|all| all[d]).sum();
        self.begun = (0..pass.dots.len()).map(total).collect();
        Ok(())
    }

    fn submit(&mut self) -> Result<()> {
        Ok(())
    }
}
