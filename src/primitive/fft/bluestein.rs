//! Rewrites transforms of lengths that no kernel knows: neither smooth nor primes that fit a workgroup (`passes/prime.rs`).
//!
//! Bluestein (IEEE Trans. Audio Electroacoust. 18:451, 1970): with nk = (n² + k² − (k − n)²)/2 a transform of length N is a
//! pointwise chirp, a circular convolution of smooth length M ≥ 2N − 1, and a chirp again. The origin of a centred transform
//! goes into the chirps' phase. All of it is built from primitives that fuse: chirp and padding into the load of the first
//! transform, crop and chirp into the store of the second, and both transforms into one pass where a line fits it.

use super::smooth::next_smooth;
use super::{Fft, passes};
use crate::access::{AxisMap, Constant, ConstantData, ValueId};
use crate::error::Result;
use crate::ir::{Builder, Program};
use crate::shader::GpuLimits;
use num_complex::{Complex32, Complex64};
use std::f64::consts::PI;

/// The program with every transform of a length that has no kernels replaced.
pub(crate) fn legalize(p: &Program, limits: &GpuLimits) -> Result<Program> {
    p.rewritten(&mut |b, node, inputs| {
        let Some(f) = node.op.of_type::<Fft>() else { return Ok(None) };
        let (known, rest): (Vec<usize>, Vec<usize>) =
            f.axes.iter().partition(|a| passes::knows(node.extents[**a], limits));
        if rest.is_empty() {
            return Ok(None);
        }
        let v = b.fft(inputs[0], &known, f.inverse, f.centered, f.scale)?;
        rest.into_iter().try_fold(v, |v, axis| chirped(b, v, axis, f.inverse, f.centered)).map(Some)
    })
}

fn chirped(b: &mut Builder, x: ValueId, axis: usize, inverse: bool, centered: bool) -> Result<ValueId> {
    let n = b.extents(x)[axis];
    let m = next_smooth(2 * n - 1);
    let sign = if inverse { 1.0 } else { -1.0 };
    let c = if centered { (n / 2) as u64 } else { 0 };
    let n64 = n as u64;
    // Phases are taken modulo 2N (squares) and N (products) in integers, so that they are exact before the cosine.
    let square = |k: u64| sign * PI * ((k * k) % (2 * n64)) as f64 / n as f64;
    let origin = |k: u64| -sign * 2.0 * PI * ((c * k) % n64) as f64 / n as f64;
    let constant_phase = sign * 2.0 * PI * ((c * c) % n64) as f64 / n as f64;
    let chirp = |phase: &dyn Fn(u64) -> f64, scale: f64| -> Result<Constant> {
        let values = (0..n64).map(|k| narrow(Complex64::from_polar(scale, phase(k)))).collect();
        Constant::new(vec![n], ConstantData::C32(values))
    };
    let before = chirp(&|k| square(k) + origin(k), 1.0)?;
    let after = chirp(&|k| square(k) + origin(k) + constant_phase, 1.0)?;
    let mut kernel = vec![Complex64::default(); m];
    for k in 0..n64 {
        let v = Complex64::from_polar(1.0 / m as f64, -square(k));
        kernel[k as usize] = v;
        kernel[(m - k as usize) % m] = v;
    }
    rustfft::FftPlanner::new().plan_fft_forward(m).process(&mut kernel);
    let spectrum = Constant::new(vec![m], ConstantData::C32(kernel.into_iter().map(narrow).collect()))?;

    let v = b.mul(x, before, vec![axis], false)?;
    let v = b.map_axis(v, axis, AxisMap::affine(1, 0, 1, n, m), m)?;
    let v = b.fft(v, &[axis], false, false, 1.0)?;
    let v = b.mul(v, spectrum, vec![axis], false)?;
    let v = b.fft(v, &[axis], true, false, 1.0)?;
    let v = b.map_axis(v, axis, AxisMap::affine(1, 0, 1, m, n), n)?;
    b.mul(v, after, vec![axis], false)
}

fn narrow(c: Complex64) -> Complex32 {
    Complex32::new(c.re as f32, c.im as f32)
}
