//! Before a GPU is trusted: a few known answers of every kernel family, computed there and on the host.
//!
//! A driver that miscompiles a kernel gives wrong images, not errors; it is refused by name. `LINOPS_TRUST_DRIVER=1` is the way
//! past that.

use super::device::Device;
use crate::error::{Error, Result};
use crate::linop::{self, FftOptions, Linop};
use crate::tensor::Tensor;
use ndarray::{Array1, Array2};
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
    for (family, a) in families()? {
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

/// One linop for each family of kernels, as small as shows it.
fn families() -> Result<Vec<(&'static str, Linop)>> {
    let centred = FftOptions { centered: true, ..Default::default() };
    let weight = Tensor::from_array(Array2::from_shape_fn((3, 300), |(m, n)| ((m + 2 * n) % 7) as f32 - 3.0), "M N")?;
    let index = ndarray::ArrayD::from_shape_fn(ndarray::IxDyn(&[40]), |i| (i[0] as i64 * 7) % 24);
    let sampling = linop::sampling_at("A=2 N=24", &[("N", index)], "A K")?;
    let two = [linop::flip("N=40", "N")?, linop::roll("N=40", &[("N", 3)])?];
    Ok(vec![
        ("index maps", linop::pad("A=3 N=5", "N=8", Default::default())?),
        ("sums", linop::dense("N=300", &weight, "M")?),
        ("sums by columns", linop::dense("N=300", &weight, "M")?.h()),
        ("additions", linop::add(two.to_vec())?),
        ("gathers", sampling.clone()),
        ("scatters", sampling.h()),
        ("transforms", linop::fft("A=2 Ny=48 Nx=35", "Ny Nx", centred)?),
        ("transforms of awkward length", linop::fft("A=2 Nx=17", "Nx", centred)?),
    ])
}
