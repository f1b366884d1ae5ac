//! Vector arithmetic for solvers on the host.

use crate::error::{Error, Result};
use crate::tensor::vectors::{Scalar, VectorOps};
use crate::tensor::{HostArray, Tensor};
use num_complex::Complex32;
use rayon::prelude::*;

/// Terms of one partial sum: the tree of a dot product depends on the length alone.
const CHUNK: usize = 1 << 12;

/// Scalars are f64 here: sums of f32 products are made in f64.
pub(crate) struct HostVectors {
    scalars: Vec<f64>,
}

impl HostVectors {
    pub fn new(scalars: usize) -> HostVectors {
        HostVectors { scalars: vec![0.0; scalars] }
    }
}

fn complex(t: &Tensor) -> Result<&[Complex32]> {
    match t.host_array() {
        Some(HostArray::Complex32(a)) => {
            a.as_slice().ok_or_else(|| Error::Shape("a solver's vector must be in C order".into()))
        }
        _ => Err(Error::Device(format!(
            "the vector {} is {} on {}, expected complex64 on the host",
            t.shape(),
            t.dtype(),
            t.device_name()
        ))),
    }
}

/// `f(y, x)` for every element.
fn update(y: &mut Tensor, x: &Tensor, f: impl Fn(Complex32, Complex32) -> Complex32 + Sync) -> Result<()> {
    let mut out = complex(y)?.to_vec();
    let x = complex(x)?;
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*y, *x));
    });
    let shape = y.shape().clone();
    let array = ndarray::ArcArray::from_shape_vec(ndarray::IxDyn(shape.extents()), out);
    *y = Tensor::from_host(shape, HostArray::Complex32(array.map_err(|e| Error::Shape(e.to_string()))?))?;
    Ok(())
}

impl VectorOps for HostVectors {
    fn set(&mut self, s: Scalar, value: f32) -> Result<()> {
        self.scalars[s.0] = value.into();
        Ok(())
    }

    fn dot(&mut self, x: &Tensor, y: &Tensor, s: Scalar) -> Result<()> {
        let (x, y) = (complex(x)?, complex(y)?);
        let part = |(x, y): (&[Complex32], &[Complex32])| -> f64 {
            x.iter().zip(y).map(|(x, y)| f64::from(x.re) * f64::from(y.re) + f64::from(x.im) * f64::from(y.im)).sum()
        };
        let parts: Vec<f64> = x.par_chunks(CHUNK).zip(y.par_chunks(CHUNK)).map(part).collect();
        self.scalars[s.0] = parts.iter().sum();
        Ok(())
    }

    fn divide(&mut self, a: Scalar, b: Scalar, c: Scalar) -> Result<()> {
        let (a, b) = (self.scalars[a.0], self.scalars[b.0]);
        let q = a / b;
        self.scalars[c.0] = if b > 0.0 && q.is_finite() { q } else { 0.0 };
        Ok(())
    }

    fn axpy(&mut self, sign: f32, s: Scalar, x: &Tensor, y: &mut Tensor) -> Result<()> {
        let c = sign * self.scalars[s.0] as f32;
        if c == 0.0 {
            return Ok(());
        }
        update(y, x, |y, x| y + x * c)
    }

    fn xpay(&mut self, x: &Tensor, s: Scalar, y: &mut Tensor) -> Result<()> {
        let c = self.scalars[s.0] as f32;
        if c == 0.0 {
            *y = x.clone();
            return Ok(());
        }
        update(y, x, |y, x| x + y * c)
    }

    fn copy(&mut self, x: &Tensor) -> Result<Tensor> {
        // Host updates replace the values, so sharing them is a copy.
        Ok(x.clone())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn read(&mut self, s: Scalar) -> Result<f64> {
        Ok(self.scalars[s.0])
    }
}
