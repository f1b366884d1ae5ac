//! Real or complex values where a linop is measured or planned.

use linops::explain::Plan;
use linops::{DType, Linop, Result};

/// A linop, its adjoint and its normal by name, with the dtype of what each takes.
pub type Directions = [(&'static str, Linop, DType); 3];

/// For complex values or real ones, of which the adjoint takes what the linop makes.
///
/// # Errors
/// The linop cannot be planned.
pub fn directions(a: &Linop, real: bool, plan: impl Fn(&Linop, DType) -> Result<Plan>) -> Result<Directions> {
    let (input, made) = match real {
        false => (DType::Complex32, DType::Complex32),
        true => {
            let plan = plan(a, DType::F32)?;
            let complex = plan.values[plan.output.at()].complex;
            (DType::F32, if complex { DType::Complex32 } else { DType::F32 })
        }
    };
    Ok([("forward", a.clone(), input), ("adjoint", a.h(), made), ("normal", a.n(), input)])
}
