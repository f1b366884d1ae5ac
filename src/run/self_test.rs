//! Before a GPU is trusted: a few known answers of every kernel family, computed there and on the host.
//!
//! A driver that miscompiles a kernel gives wrong images, not errors; it is refused by name. `LINOPS_TRUST_DRIVER=1` is the way
//! past that.

use super::device::Device;
use crate::access::ValueId;
use crate::dim::Shape;
use crate::error::{Error, Result};
use crate::ir::{Builder, Program};
use crate::linop::{Linop, Operator};
use crate::primitive::{Sample, samples};
use crate::tensor::Tensor;
use ndarray::Array1;
use num_complex::Complex32;

/// Relative l2 distance that rounding explains, with room.
const TOLERANCE: f64 = 1e-5;

/// # Errors
/// A kernel family gives wrong numbers on this device, or does not run.
pub(super) fn self_test(device: &Device) -> Result<()> {
    if std::env::var("LINOPS_TRUST_DRIVER").is_ok_and(|v| v == "1") {
        return Ok(());
    }
    let host = Device::host();
    for Sample { family, program } in samples()? {
        let a = linop_of(program)?;
        let refuse = |what: String| {
            Err(Error::Device(format!(
                "the driver of \"{}\" fails the self-test of {family}: {what}; update the driver or use another device \
                 (LINOPS_TRUST_DRIVER=1 uses it all the same)",
                device.name()
            )))
        };
        let shape = a.input()?.clone();
        let mut value = 0u32;
        let x = Array1::from_shape_fn(shape.len(), |_| {
            // Any fixed sequence without structure will do.
            value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Complex32::new((value >> 16) as f32 / 65536.0 - 0.5, (value & 0xffff) as f32 / 65536.0 - 0.5)
        });
        let flat = x.into_shape_with_order(ndarray::IxDyn(shape.extents()));
        let x = Tensor::from_array(flat.map_err(|e| Error::Shape(e.to_string()))?, &shape.to_string())?;
        let want = a.apply(&x)?.to_array()?;
        let got = match x.to(device).and_then(|x| a.apply(&x)).and_then(|y| y.to(&host)) {
            Ok(y) => y.to_array()?,
            Err(e) => return refuse(e.to_string()),
        };
        let square = |c: Complex32| f64::from(c.norm_sqr());
        let norm: f64 = want.iter().map(|w| square(*w)).sum();
        let distance: f64 = got.iter().zip(&want).map(|(g, w)| square(g - w)).sum();
        let error = (distance / norm).sqrt();
        if error.is_nan() || error > TOLERANCE {
            return refuse(format!("a relative error of {error:.1e}, at most {TOLERANCE:.0e} is rounding"));
        }
    }
    Ok(())
}

/// A sample's program as a linop.
#[derive(Debug)]
struct Given(Program);

impl Operator for Given {
    fn op(&self) -> &'static str {
        "sample"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.inline(&self.0, x)
    }
}

/// A linop that does what a program does; dims are called A, A1, A2 …
pub(crate) fn linop_of(program: Program) -> Result<Linop> {
    let shape = |extents: &[usize]| -> Result<Shape> {
        let dims = (0..extents.len()).map(|a| format!("A{a}").parse()).collect::<Result<Vec<_>>>()?;
        Shape::new(dims, extents.to_vec())
    };
    Ok(Linop::of(shape(program.input_extents())?, shape(program.output_extents())?, Given(program)))
}
