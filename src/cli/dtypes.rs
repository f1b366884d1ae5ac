//! Real or complex values where a linop is measured or planned.

use linops::{DType, Device, Linop, Result};

/// A linop, its adjoint and its normal by name, with the dtype of what each takes.
pub type Directions = [(&'static str, Linop, DType); 3];

/// For complex values or real ones, of which the adjoint takes what the linop makes.
///
/// # Errors
/// The linop cannot be planned.
pub fn directions(a: &Linop, real: bool) -> Result<Directions> {
    let (input, made) = match real {
        false => (DType::Complex32, DType::Complex32),
        true => {
            // The same on every device, and the host has room for every plan.
            let plan = a.plan(&Device::host(), DType::F32)?;
            let complex = plan.values[plan.output.at()].complex;
            (DType::F32, if complex { DType::Complex32 } else { DType::F32 })
        }
    };
    Ok([("forward", a.clone(), input), ("adjoint", a.h(), made), ("normal", a.n(), input)])
}
