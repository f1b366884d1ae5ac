//! Powers of two that bring data to the middle of the range of 32-bit numbers, and back: they change no digit.

use crate::arithmetic::Expression;
use crate::error::Result;
use crate::tensor::Tensor;

/// The exponent by which 2^−exponent brings the largest magnitude between ½ and 1; 0 of nothing, or of what is not finite.
pub(super) fn exponent<'a>(values: impl IntoIterator<Item = &'a f32>) -> i32 {
    let largest = values.into_iter().fold(0.0f32, |a, v| a.max(v.abs()));
    if largest > 0.0 && largest.is_finite() { largest.log2().floor() as i32 + 1 } else { 0 }
}

/// Data times the power of two that brings the largest between ½ and 1, and its exponent: squares of very small or large numbers
/// leave the range of f32.
pub(super) fn scaled(data: &Tensor) -> Result<(Tensor, i32)> {
    let values = data.to_real_array()?;
    let exponent = exponent(&values);
    let values = values.mapv(|v| times_power(v, -exponent));
    Ok((Tensor::from_array(values, data.shape().dims())?, exponent))
}

/// x·2^exponent on its device, in two steps.
pub(super) fn scaled_by_power(x: &Tensor, exponent: i32) -> Expression {
    let half = exponent / 2;
    x * 2f32.powi(half) * 2f32.powi(exponent - half)
}

/// v·2^exponent, in two steps, as 2^±140 is no normal f32.
pub(super) fn times_power(v: f32, exponent: i32) -> f32 {
    let half = exponent / 2;
    v * 2f32.powi(half) * 2f32.powi(exponent - half)
}
