//! Kronecker products: linops side by side, each on dims of its own.

use super::{Linop, Operator, Saver};
use crate::access::ValueId;
use crate::dim::{Dim, Shape};
use crate::error::{Result, shape_err};
use crate::ir::{Builder, Op, Program, batched};
use std::cmp::Ordering;
use std::sync::Arc;

/// y = (A₁ ⊗ … ⊗ A_k) x: every linop acts on its own dims, over all others. The input has the dims of their inputs one after the
/// other, the output those of their outputs.
///
/// With A₁ from dim i to p and A₂ from j to q: y[p, q] = Σ_ij A₁[p, i]·A₂[q, j]·x[i, j]. They are applied one after the other,
/// each as one batched program with the dims of the others in front; those first that shrink x most for what they take, which
/// makes the least work in all. The normal is the product of the normals. [`identity`](super::identity) leaves dims as they are,
/// so that a linop may act anywhere: `kron(vec![identity("T=8")?, a, identity("C=3")?])`.
///
/// The adjoint is the product of the adjoints, in the order that is best for it. It costs what its
/// factors cost, each for every index of the others' dims. [Splits](Linop::split) along dims along which
/// the factor that has them does.
///
/// ```
/// use linops::{Tensor, linop};
/// let f = linop::fft("Ny=6", "Ny", Default::default())?.out("Ky")?;
/// let phi = Tensor::from_array(ndarray::Array2::<f32>::ones((20, 3)), "T K")?;
/// let a = linop::kron(vec![f, linop::dense("K=3", &phi, "T")?])?;
/// assert_eq!(a.input()?.to_string(), "Ny=6 K=3");
/// assert_eq!(a.output()?.to_string(), "Ky=6 T=20");
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// No linops, or a dim that is in the inputs or in the outputs of two of them.
#[doc(alias = "kronecker")]
pub fn kron(linops: Vec<Linop>) -> Result<Linop> {
    if linops.is_empty() {
        return shape_err!("kron: needs at least one linop");
    }
    let side = |name: &str, of: fn(&Linop) -> Result<&Shape>| {
        let (mut dims, mut extents): (Vec<Dim>, Vec<usize>) = Default::default();
        for (i, l) in linops.iter().enumerate() {
            for (d, n) in of(l)?.iter() {
                if dims.contains(&d) {
                    let what = l.label();
                    return shape_err!(
                        "kron: dim {d} of the {name} of linops[{i}] ({what}) is in one before; rename it"
                    );
                }
                dims.push(d);
                extents.push(n);
            }
        }
        Shape::new(dims, extents)
    };
    let (input, output) = (side("input", Linop::input)?, side("output", Linop::output)?);
    Ok(Linop::of(input, output, Kron { linops }))
}

#[derive(Debug)]
struct Kron {
    linops: Vec<Linop>,
}

impl Operator for Kron {
    fn op(&self) -> &'static str {
        "kron"
    }

    fn children(&self) -> &[Linop] {
        &self.linops
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let one = |(i, l): (usize, &Linop)| l.program().map_err(|e| e.at(format!("linops[{i}] ({})", l.label())));
        let programs = self.linops.iter().enumerate().map(one).collect::<Result<Vec<_>>>()?;
        let mut extents: Vec<Vec<usize>> = programs.iter().map(|p| p.input_extents().to_vec()).collect();
        // The factors in the order that their axes have now.
        let mut order: Vec<usize> = (0..programs.len()).collect();
        let mut x = x;
        for k in sequence(&programs) {
            if programs[k].nodes().is_empty() {
                continue;
            }
            let mut next: Vec<usize> = order.iter().copied().filter(|f| *f != k).collect();
            let rows = next.iter().flat_map(|f| extents[*f].iter().copied()).collect::<Vec<_>>();
            next.push(k);
            x = permuted(b, x, &order, &next, &extents)?;
            let over = batched(&programs[k], &rows).map_err(|e| e.at(format!("linops[{k}]")))?;
            x = b.inline(&over, x)?;
            extents[k] = programs[k].output_extents().to_vec();
            order = next;
        }
        permuted(b, x, &order, &(0..programs.len()).collect::<Vec<_>>(), &extents)
    }

    fn saved(&self, to: &mut Saver) -> Result<()> {
        to.linops(&self.linops, |_| None)?;
        let made = kron(self.linops.clone())?;
        to.within(made.input()?.clone(), made.output()?.clone());
        Ok(())
    }

    fn normal(&self) -> Option<Result<Linop>> {
        Some(kron(self.linops.iter().map(Linop::n).collect()))
    }
}

/// The axes of the factors in the order `from`, put into the order `to`.
fn permuted(b: &mut Builder, x: ValueId, from: &[usize], to: &[usize], extents: &[Vec<usize>]) -> Result<ValueId> {
    let mut first = vec![0; extents.len()];
    let mut at = 0;
    for &f in from {
        first[f] = at;
        at += extents[f].len();
    }
    let axes: Vec<usize> = to.iter().flat_map(|&f| first[f]..first[f] + extents[f].len()).collect();
    b.permute(x, &axes)
}

/// In which order the factors are applied. Factor i before j takes wᵢ·nⱼ + mᵢ·wⱼ operations for every index of the others, with n
/// values in, m out and w operations; so those with the largest (n − m)/w go first, whatever lies between.
fn sequence(programs: &[Arc<Program>]) -> Vec<usize> {
    let gain = |p: &Program| {
        let values = |e: &[usize]| e.iter().map(|&n| n as f64).product::<f64>();
        (values(p.input_extents()) - values(p.output_extents())) / work(p)
    };
    let gains: Vec<f64> = programs.iter().map(|p| gain(p)).collect();
    let mut order: Vec<usize> = (0..programs.len()).collect();
    order.sort_by(|&i, &j| gains[j].partial_cmp(&gains[i]).unwrap_or(Ordering::Equal));
    order
}

/// About the operations of a program: each node reads its input and its weights, and writes its result.
fn work(p: &Program) -> f64 {
    let count = |e: &[usize]| e.iter().map(|&n| n as f64).product::<f64>();
    let node = |n: &crate::ir::Node| {
        let values = n.inputs.iter().map(|v| count(p.extents(*v))).chain([count(&n.extents)]);
        let weights = match &n.op {
            Op::Mul { weight, .. } => weight.len() as f64,
            Op::Primitive(p) => p.weights().iter().map(|w| w.len() as f64).fold(0.0, f64::max),
            Op::Parallel(par) => par.children.iter().map(work).sum(),
            Op::Zero | Op::Scale(_) | Op::Map(_) | Op::Reshape | Op::Sum(_) | Op::Add => 0.0,
        };
        values.fold(weights, f64::max)
    };
    p.nodes().iter().map(node).sum::<f64>().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linop::{dense, flip};
    use crate::tensor::Tensor;

    fn matrix(rows: usize, columns: usize, dims: &str) -> Linop {
        let w = Tensor::from_array(ndarray::Array2::<f32>::ones((rows, columns)), dims).unwrap();
        let [row, column] = [0, 1].map(|a| dims.split(' ').nth(a).unwrap());
        dense(format!("{column}={columns}"), &w, row).unwrap()
    }

    #[test]
    fn what_shrinks_goes_first() {
        let order = |linops: &[Linop]| sequence(&linops.iter().map(|l| l.program().unwrap()).collect::<Vec<_>>());
        let (grows, shrinks, stays) = (matrix(20, 4, "P A"), matrix(3, 30, "Q B"), flip("C=5", "C").unwrap());
        assert_eq!(order(&[grows.clone(), stays.clone(), shrinks.clone()]), [2, 1, 0]);
        // The adjoint goes the other way, as it must: what grew shrinks.
        assert_eq!(order(&[grows.h(), stays.h(), shrinks.h()]), [0, 1, 2]);
        assert_eq!(order(&[stays.clone(), flip("D=7", "D").unwrap()]), [0, 1]);
    }

    #[test]
    fn dims_that_two_have_are_errors() {
        let message = |linops| kron(linops).unwrap_err().to_string();
        assert!(message(vec![]).contains("at least one"));
        let (a, b) = (matrix(2, 3, "P A"), matrix(2, 4, "P B"));
        assert!(message(vec![a.clone(), b.clone()]).contains("dim P of the output of linops[1]"));
        assert!(kron(vec![a.clone(), b.out("Q").unwrap()]).is_ok());
        assert!(message(vec![a.clone(), a]).contains("dim A of the input"));
    }
}
