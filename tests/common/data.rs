//! Seeded data: the same numbers in every run and on every machine.

use linops::dim::ToShape;
use linops::{Element, Tensor};
use ndarray::{ArrayD, IxDyn};
use num_complex::{Complex32, Complex64};

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): enough for test data, and no dependency.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in -1..1, exact in f32.
    pub fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// A whole number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn tensor<E: Element>(shape: impl ToShape, seed: u64, value: impl Fn(&mut Random) -> E) -> Tensor {
    let (shape, mut random) = (shape.to_shape().unwrap(), Random(seed));
    let values = ArrayD::from_shape_fn(IxDyn(shape.extents()), |_| value(&mut random));
    Tensor::from_host(shape, E::host(values.into_shared())).unwrap()
}

/// A complex tensor: `complex("Ny=4 Nx=3", 1)`.
pub fn complex(shape: impl ToShape, seed: u64) -> Tensor {
    tensor(shape, seed, |r| Complex32::new(r.uniform(), r.uniform()))
}

/// A real tensor.
pub fn real(shape: impl ToShape, seed: u64) -> Tensor {
    tensor(shape, seed, Random::uniform)
}

/// The same values as a complex tensor.
pub fn as_complex(t: &Tensor) -> Tensor {
    Tensor::from_host(t.shape().clone(), Complex32::host(t.to_array().unwrap().into_shared())).unwrap()
}

/// A mask of zeros and ones with at least one 1, of about this density.
pub fn mask(dims: &str, density: f32, seed: u64) -> Tensor {
    let mut values = real(dims, seed).to_real_array().unwrap().mapv(|v| f32::from(v < 2.0 * density - 1.0));
    values.as_slice_mut().unwrap()[0] = 1.0;
    Tensor::from_array(values, dims).unwrap()
}

/// Indices below `extent`, in no order, some of them repeated.
pub fn indices(extents: &[usize], extent: usize, seed: u64) -> ArrayD<i64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(extents), |_| r.below(extent) as i64)
}

/// The values in f64.
pub fn wide(t: &Tensor) -> ArrayD<Complex64> {
    widened(&t.to_array().unwrap())
}

/// An array in f64.
pub fn widened(a: &ArrayD<Complex32>) -> ArrayD<Complex64> {
    a.mapv(|z| Complex64::new(z.re.into(), z.im.into()))
}

/// ‖got - want‖/‖want‖; the plain norm of the difference where want is 0.
pub fn distance(got: &ArrayD<Complex32>, want: &ArrayD<Complex64>) -> f64 {
    assert_eq!(got.shape(), want.shape());
    let norm = |a: &mut dyn Iterator<Item = Complex64>| a.map(|z| z.norm_sqr()).sum::<f64>().sqrt();
    let error = norm(&mut widened(got).iter().zip(want).map(|(g, w)| g - w));
    match norm(&mut want.iter().copied()) {
        0.0 => error,
        n => error / n,
    }
}

/// ⟨x, y⟩, conjugate in y.
pub fn inner(x: &ArrayD<Complex64>, y: &ArrayD<Complex64>) -> Complex64 {
    x.iter().zip(y).map(|(x, y)| x * y.conj()).sum()
}

/// ‖x‖.
pub fn norm(x: &ArrayD<Complex64>) -> f64 {
    inner(x, x).re.sqrt()
}
