//! What solvers do with vectors, with vectors and scalars on the device: nothing is read back unless asked for. Implemented
//! by the executors' rooms.

use super::Tensor;
use crate::error::Result;

/// A scalar that lives on the device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scalar(pub usize);

/// Operations on vectors of one device. Operations happen in the order they are called; on a GPU they are recorded and
/// submitted together at [`flush`](VectorOps::flush) or [`read`](VectorOps::read).
pub(crate) trait VectorOps {
    /// s = value.
    fn set(&mut self, s: Scalar, value: f32) -> Result<()>;
    /// s = Re⟨x, y⟩.
    fn dot(&mut self, x: &Tensor, y: &Tensor, s: Scalar) -> Result<()>;
    /// c = a/b; 0 where b is not positive or the quotient not finite, so that a broken-down iteration stands still.
    fn divide(&mut self, a: Scalar, b: Scalar, c: Scalar) -> Result<()>;
    /// y += sign·s·x.
    fn axpy(&mut self, sign: f32, s: Scalar, x: &Tensor, y: &mut Tensor) -> Result<()>;
    /// y = x + s·y.
    fn xpay(&mut self, x: &Tensor, s: Scalar, y: &mut Tensor) -> Result<()>;
    /// A copy that shares nothing.
    fn copy(&mut self, x: &Tensor) -> Result<Tensor>;
    /// Submits what was recorded.
    fn flush(&mut self) -> Result<()>;
    /// Waits for a scalar.
    fn read(&mut self, s: Scalar) -> Result<f64>;
}
