//! The centred, orthonormal DFT along one axis, on the host.

use ndarray::parallel::prelude::*;
use ndarray::{ArrayViewMut, Axis, Dimension, RemoveAxis};
use num_complex::Complex;
use rustfft::{FftNum, FftPlanner};

/// Transforms along `axis` in place: y\[k\] = 1/√N Σ x\[n\] exp(∓2πi (k−c)(n−c)/N), c = N / 2
/// rounded down; the inverse has the plus sign.
pub(crate) fn centred_dft<T, D>(mut data: ArrayViewMut<Complex<T>, D>, axis: Axis, inverse: bool)
where
    T: FftNum,
    D: Dimension + RemoveAxis,
{
    let length = data.len_of(axis);
    let Some(scale) = T::from_f64((length as f64).sqrt().recip()) else {
        return;
    };
    let mut planner = FftPlanner::new();
    let fft = if inverse { planner.plan_fft_inverse(length) } else { planner.plan_fft_forward(length) };
    let centre = length / 2;
    let transform = |lane: &mut ArrayViewMut<Complex<T>, ndarray::Ix1>,
                     line: &mut Vec<Complex<T>>,
                     scratch: &mut Vec<Complex<T>>| {
        line.clear();
        line.extend(lane.iter().skip(centre).chain(lane.iter().take(centre)));
        fft.process_with_scratch(line, scratch);
        for (k, value) in line.iter().enumerate() {
            lane[(k + centre) % length] = value * scale;
        }
    };
    let buffers =
        || (Vec::with_capacity(length), vec![Complex::new(T::zero(), T::zero()); fft.get_inplace_scratch_len()]);
    data.lanes_mut(axis).into_iter().collect::<Vec<_>>().into_par_iter().for_each_init(
        buffers,
        |(line, scratch), mut lane| {
            transform(&mut lane, line, scratch);
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use num_complex::Complex64;
    use std::f64::consts::TAU;

    #[test]
    fn agrees_with_the_sum() {
        for n in [1, 2, 5, 8] {
            let x = Array2::from_shape_fn((2, n), |(i, j)| Complex64::new((i + j * j) as f64, j as f64));
            let mut y = x.clone();
            centred_dft(y.view_mut(), Axis(1), false);
            let c = (n / 2) as f64;
            for ((i, k), value) in y.indexed_iter() {
                let expected: Complex64 = (0..n)
                    .map(|m| {
                        let phase = -TAU * (k as f64 - c) * (m as f64 - c) / n as f64;
                        x[[i, m]] * Complex64::cis(phase) / (n as f64).sqrt()
                    })
                    .sum();
                assert!((value - expected).norm() < 1e-12);
            }
            centred_dft(y.view_mut(), Axis(1), true);
            assert!((&y - &x).iter().all(|d| d.norm() < 1e-12));
        }
    }
}
