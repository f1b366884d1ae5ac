//! Keeping every f-th sample, and the adjoint.

use super::Linop;
use super::reindex::{Said, reindex};
use crate::access::AxisMap;
use crate::dim::{Shape, ToShape};
use crate::error::{Result, shape_err};

/// `y[n] = x[n·f + s]` for `(dim, f, s)`, of extent ⌈(N − s)/f⌉. These dims get the next unused name, or
/// [keep](Linop::keep) theirs.
///
/// The adjoint is [`upsample`]; the normal makes zeros of what is left out. An index map: what follows reads x by it, without a
/// pass of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::downsample("N=5", &[("N", 2, 1)])?;
/// let x = Tensor::from_array(ndarray::arr1(&[1f32, 2.0, 3.0, 4.0, 5.0]), "N")?;
/// assert_eq!(a.apply(&x)?.to_real_array()?, ndarray::arr1(&[2f32, 4.0]).into_dyn());
/// assert_eq!(a.n().apply(&x)?.to_real_array()?, ndarray::arr1(&[0f32, 2.0, 0.0, 4.0, 0.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// A dim is not in the input, a factor is 0, or a shift is not below the extent.
pub fn downsample(input: impl ToShape, factors: &[(&str, usize, usize)]) -> Result<Linop> {
    let input = input.to_shape()?;
    build(
        "downsample",
        &input,
        factors,
        |a, f, s| {
            let n = input.extents()[a];
            let count = (n - s).div_ceil(f);
            Ok((AxisMap::affine(f as i64, s as i64, 1, n, count), count))
        },
        |a| input.extents()[a],
    )
}

/// The adjoint of [`downsample`] into the extents `to`: `y[n·f + s] = x[n]`, zero elsewhere. These dims, too, get the
/// next unused name, or [keep](Linop::keep) theirs.
///
/// The normal is the identity. An index map, without a pass of its own. [Splits](Linop::split) along every dim.
///
/// ```
/// use linops::{Tensor, linop};
/// let a = linop::upsample("N=2", &[("N", 2, 1)], "N=5")?;
/// let y = a.apply(&Tensor::from_array(ndarray::arr1(&[1f32, 2.0]), "N")?)?;
/// assert_eq!(y.to_real_array()?, ndarray::arr1(&[0f32, 1.0, 0.0, 2.0, 0.0]).into_dyn());
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// As for `downsample`; or x has another extent than ⌈(P − s)/f⌉.
pub fn upsample(input: impl ToShape, factors: &[(&str, usize, usize)], to: impl ToShape) -> Result<Linop> {
    let (input, to) = (input.to_shape()?, to.to_shape()?);
    for (dim, ..) in factors {
        if to.size(dim.parse()?).is_none() {
            return shape_err!("upsample: \"to\" lacks dim {dim}; give its new extent");
        }
    }
    if let Some(d) = to.dims().iter().find(|d| !factors.iter().any(|(f, ..)| *f == d.to_string())) {
        return shape_err!("upsample: \"to\" names dim {d}, which has no factor; give it one");
    }
    let wide = |a: usize| to.size(input.dims()[a]).unwrap_or(1);
    build(
        "upsample",
        &input,
        factors,
        |a, f, s| {
            let (n, p) = (input.extents()[a], wide(a));
            let count = (p - s).div_ceil(f);
            if count != n {
                let d = input.dims()[a];
                return shape_err!(
                    "upsample: dim {d} has extent {n}, expected {count} to fill {p} by steps of {f} from {s} on"
                );
            }
            Ok((AxisMap::affine(f as i64, s as i64, 1, p, n).transpose(p, n), p))
        },
        wide,
    )
}

fn build(
    op: &'static str,
    input: &Shape,
    factors: &[(&str, usize, usize)],
    map: impl Fn(usize, usize, usize) -> Result<(AxisMap, usize)>,
    wide: impl Fn(usize) -> usize,
) -> Result<Linop> {
    let mut maps = Vec::new();
    for &(dim, f, s) in factors {
        let a = input.require(dim.parse()?).map_err(|e| e.at(op))?;
        if f == 0 || s >= wide(a) {
            return shape_err!(
                "{op}: factor {f} and shift {s} of dim {dim}; expected a factor ≥ 1 and a shift below {}",
                wide(a)
            );
        }
        // A factor beyond the extent keeps one sample, like a factor of the extent.
        let (m, extent) = map(a, f.min(wide(a)), s)?;
        maps.push((a, m, extent));
    }
    let details = factors.iter().map(|(d, f, s)| format!("{d}/{f}+{s}")).collect::<Vec<_>>().join(" ");
    let mut said = vec![Said::Each("factors", factors.iter().map(|f| f.1.into()).collect())];
    if factors.iter().any(|f| f.2 != 0) {
        said.push(Said::Each("shifts", factors.iter().map(|f| f.2.into()).collect()));
    }
    if op == "upsample" {
        said.push(Said::Each("to", maps.iter().map(|m| m.2.into()).collect()));
    }
    reindex(op, "factors", input.clone(), maps, details, said)
}
