//! The same programs in f64: what tests compare with.

use crate::allocate::collected;
use crate::error::{Error, Result};
use crate::host::{HostBuf, HostInstance};
use crate::linop::Linop;
use crate::plan::Target;
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::sync::atomic::AtomicBool;

/// y = A x on the host in f64 (weights stay f32), as the reference for results in f32.
///
/// # Errors
/// x has other extents than the linop's input, or the linop carries an error.
pub fn apply_f64(linop: &Linop, x: &ArrayD<Complex64>) -> Result<ArrayD<Complex64>> {
    linop.input()?.expect_extents(x.shape())?;
    let plan = linop.program()?.schedule(&Target::Host, true)?;
    let x = HostBuf::Complex(collected(x.iter().copied(), x.len())?);
    let y = HostInstance::<f64>::new(&plan)?.run(&plan, x.as_slice(), &AtomicBool::new(false))?;
    ArrayD::from_shape_vec(IxDyn(linop.output()?.extents()), y.to_complex()).map_err(|e| Error::Shape(e.to_string()))
}
