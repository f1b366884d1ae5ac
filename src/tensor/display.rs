//! Tensors as text.

use super::{Held, HostArray, Storage, Tensor};
use std::fmt;

/// Shape, dtype and device in a line, then the values: the first and the last along each axis where they are many, all with
/// `{:#}`, so many digits with `{:.3}`. Of a tensor on a GPU the line alone: showing it does not move it.
///
/// ```
/// let x = linops::Tensor::from_slice("Ny=2 Nx=3", &[0.5, 1.0, 1.5, 2.0, 2.5, 3.0])?;
/// assert_eq!(x.to_string(), "Ny=2 Nx=3 float32 on host\n[[0.5, 1, 1.5],\n [2, 2.5, 3]]");
/// assert_eq!(format!("{x:?}"), "Tensor(Ny=2 Nx=3 float32 on host)");
/// # Ok::<(), linops::Error>(())
/// ```
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f)?;
        match &self.storage {
            Storage::Host(Held { values: HostArray::F32(a), .. }) => {
                f.write_str("\n")?;
                fmt::Display::fmt(a, f)
            }
            Storage::Host(Held { values: HostArray::Complex32(a), .. }) => {
                f.write_str("\n")?;
                fmt::Display::fmt(a, f)
            }
            Storage::Device(_) => f.write_str(" (.to(&Device::host())? shows the values)"),
        }
    }
}

/// One line: shape, dtype and device.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tensor(")?;
        self.line(f)?;
        f.write_str(")")
    }
}

impl Tensor {
    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {}", self.shape, self.dtype, self.device_name())
    }
}

/// One line: dtype and extents.
impl fmt::Debug for HostArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostArray({} {:?})", self.dtype(), self.extents())
    }
}
