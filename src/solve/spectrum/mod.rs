//! What is known of an operator's spectrum: its norm within bounds, its condition, its largest singular values with their vectors,
//! an eigenpair by power iteration.

mod basis;
mod bidiagonal;
mod norm;
mod power;
mod small;
mod svd;

pub use norm::{Condition, NormBound, NormOptions, condition, operator_norm};
pub use power::{Power, power_iteration};
pub use svd::{Svd, SvdOptions, svd};

use crate::dim::Shape;
use crate::error::{Result, value_err};
use crate::linop::Linop;
use crate::run::Device;
use crate::tensor::{DType, Tensor};
#[cfg(feature = "gpu")]
use crate::vectors::Layout;
use num_complex::Complex32;

/// Singular values of a small matrix by columns, the largest first, and its singular vectors from the right.
#[cfg(feature = "app")]
pub(crate) fn small_svd(columns: Vec<Vec<num_complex::Complex64>>) -> (Vec<f64>, Vec<Vec<num_complex::Complex64>>) {
    let found = small::svd(columns);
    (found.values, found.right)
}

/// What the methods need of a space.
#[cfg(feature = "gpu")]
pub(super) fn layouts() -> [Layout; 4] {
    [bidiagonal::layout(), power::layout(), basis::layout(false), basis::layout(true)]
}

/// Numbers that look normal, the same for a seed: sums of uniform ones of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    /// A vector of about the norm 1, on a device.
    fn vector(&mut self, shape: &Shape, dtype: DType, device: &Device) -> Result<Tensor> {
        let (n, per_root) = (shape.len(), 1.0 / (shape.len().max(1) as f64).sqrt());
        let mut number = || (self.normal() * per_root) as f32;
        let vector = match dtype {
            DType::F32 => Tensor::from_vec(shape, (0..n).map(|_| number()).collect::<Vec<f32>>())?,
            DType::Complex32 => {
                Tensor::from_vec(shape, (0..n).map(|_| Complex32::new(number(), number())).collect::<Vec<_>>())?
            }
        };
        vector.to(device)
    }
}

/// An operator times a power of two that brings its values near 1, with the exponent that takes results back; None where it is
/// zero, as far as a random vector shows.
fn near_one(what: &str, a: &Linop, dtype: DType, device: &Device, random: &mut Random) -> Result<Option<(Linop, i32)>> {
    let image = a.apply(&random.vector(a.input()?, dtype, device)?)?;
    if image.dtype() != dtype {
        return value_err!(
            "{what}: the operator makes {} of {dtype}; choose the dtype {}",
            image.dtype(),
            image.dtype()
        );
    }
    let values = image.to(&Device::host())?.to_vec()?;
    let norm = values.iter().map(|v| f64::from(v.re).powi(2) + f64::from(v.im).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() {
        return value_err!("{what}: the operator gives NaN, infinite or overflowing values");
    }
    if norm == 0.0 {
        return Ok(None);
    }
    if (1e-6..1e6).contains(&norm) {
        return Ok(Some((a.clone(), 0)));
    }
    let exponent = (norm.log2().round() as i32).clamp(-126, 126);
    Ok(Some((a.scaled((-exponent as f32).exp2())?, exponent)))
}
