//! Partial Fourier against images that were made in f64, with a smooth phase.
#![cfg(feature = "app")]

use linops::app::partial_fourier::one_sided;
use linops::app::{PartialFourier, fill_partial};
use ndarray::{Array2, Axis};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

/// Ellipses with soft edges and a phase of low order.
fn truth(ny: usize, nx: usize) -> Array2<Complex64> {
    Array2::from_shape_fn((ny, nx), |(y, x)| {
        let (y, x) = ((y as f64 - (ny / 2) as f64) / ny as f64, (x as f64 - (nx / 2) as f64) / nx as f64);
        let inside = |cy: f64, cx: f64, ry: f64, rx: f64| {
            let r = (((y - cy) / ry).powi(2) + ((x - cx) / rx).powi(2)).sqrt();
            1.0 / (1.0 + (200.0 * (r - 1.0)).exp())
        };
        let size =
            inside(0.0, 0.0, 0.38, 0.3) - 0.5 * inside(0.05, -0.02, 0.2, 0.15) + 0.7 * inside(-0.2, 0.1, 0.08, 0.06);
        size * Complex64::cis(0.4 + 1.3 * y - 0.9 * x + 2.0 * y * x + 1.5 * x * x)
    })
}

/// The centred orthonormal DFT by its sum.
fn dft(values: &Array2<Complex64>, sign: f64) -> Array2<Complex64> {
    let mut values = values.clone();
    for axis in [0, 1] {
        let n = values.len_of(Axis(axis));
        let c = (n / 2) as f64;
        let wave = Array2::from_shape_fn((n, n), |(k, m)| {
            Complex64::cis(sign * TAU * (k as f64 - c) * (m as f64 - c) / n as f64) / (n as f64).sqrt()
        });
        values = if axis == 0 { wave.dot(&values) } else { values.dot(&wave.t()) };
    }
    values
}

fn error(found: &Array2<Complex32>, want: &Array2<Complex64>) -> f64 {
    let square = |v: Complex64| v.norm_sqr();
    let apart: f64 = found.iter().zip(want).map(|(a, b)| square(Complex64::new(a.re.into(), a.im.into()) - b)).sum();
    (apart / want.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
}

/// Errors of zeros, homodyne and POCS where k-space is there for `ky`, `kx`.
fn errors(ny: usize, nx: usize, there: impl Fn(usize, usize) -> bool, ways: &[PartialFourier]) -> Vec<f64> {
    let want = truth(ny, nx);
    let mut kspace = dft(&want, -1.0);
    let mask = Array2::from_shape_fn((ny, nx), |(y, x)| f32::from(there(y, x)));
    kspace.indexed_iter_mut().filter(|((y, x), _)| !there(*y, *x)).for_each(|(_, v)| *v = Complex64::default());
    let zero = dft(&kspace, 1.0).mapv(|v| Complex32::new(v.re as f32, v.im as f32));
    let bands = one_sided(mask.view());
    assert!(!bands.is_empty());
    ways.iter().map(|way| error(&fill_partial(zero.view(), &bands, *way).unwrap(), &want)).collect()
}

#[test]
fn the_phase_gives_the_other_side() {
    let ways = [PartialFourier::Zero, PartialFourier::Homodyne, PartialFourier::Pocs];
    for (name, found) in [
        ("lines above", errors(64, 40, |y, _| y >= 22, &ways)),
        ("lines below", errors(64, 40, |y, _| y < 43, &ways)),
        ("odd", errors(61, 40, |y, _| y >= 20, &ways)),
        ("samples", errors(40, 64, |_, x| x >= 22, &ways)),
    ] {
        let [zero, homodyne, pocs] = found[..] else { panic!("three ways") };
        assert!(zero > 0.05, "{name}: {zero}");
        assert!(homodyne < 0.5 * zero && pocs < 0.4 * zero, "{name}: {zero} {homodyne} {pocs}");
    }
    // Along both axes, which only POCS does.
    let ways = [PartialFourier::Zero, PartialFourier::Pocs];
    let found = errors(64, 64, |y, x| y >= 22 && x < 44, &ways);
    assert!(found[1] < 0.6 * found[0], "{found:?}");
}

#[test]
fn what_was_acquired_stays() {
    let kspace = dft(&truth(48, 32), -1.0);
    let mask = Array2::from_shape_fn((48, 32), |(y, _)| f32::from(y >= 16));
    let narrow = |a: Array2<Complex64>| a.mapv(|v| Complex32::new(v.re as f32, v.im as f32));
    let zero = narrow(dft(&(&kspace * &mask.mapv(|m| Complex64::from(f64::from(m)))), 1.0));
    let filled = fill_partial(zero.view(), &one_sided(mask.view()), PartialFourier::Pocs).unwrap();
    let after = dft(&filled.mapv(|v| Complex64::new(v.re.into(), v.im.into())), -1.0);
    let largest = kspace.iter().fold(0.0f64, |a, v| a.max(v.norm()));
    for ((at, a), b) in after.indexed_iter().zip(&kspace) {
        assert!(at.0 < 16 || (a - b).norm() < 1e-5 * largest, "{at:?}");
    }
}
