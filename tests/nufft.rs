//! Non-uniform transforms against the sums that define them.

mod common;

use common::data::{Random, complex, distance, wide};
use linops::linop::{self, Accuracy, NufftOptions};
use linops::{Device, Linop};
use ndarray::{ArrayD, IxDyn};
use num_complex::Complex64;
use std::f64::consts::TAU;

/// Random points in -N/2..N/2 along each axis.
fn random_points(count: usize, image: &[usize], seed: u64) -> ArrayD<f64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(&[count, image.len()]), |i| {
        (f64::from(r.uniform()) + f64::from(r.uniform()) * 1e-7) * 0.5 * image[i[1]] as f64
    })
}

/// y_m = 1/√ΠN Σ x_n exp(-2πi k·(n - c)/N), as it is written; one axis after the other's phases are separable.
fn exact(x: &ArrayD<Complex64>, locs: &ArrayD<f64>) -> ArrayD<Complex64> {
    let image = x.shape().to_vec();
    let scale = 1.0 / (x.len() as f64).sqrt();
    let point = |m: usize| -> Complex64 {
        // Sums along the last axis first.
        let mut v: Vec<Complex64> = x.iter().copied().collect();
        for a in (0..image.len()).rev() {
            let n = image[a];
            let k = locs[[m, a]] / n as f64;
            let phases: Vec<Complex64> = (0..n)
                .map(|i| {
                    let turns = k * (i as f64 - (n / 2) as f64);
                    Complex64::from_polar(1.0, -TAU * (turns - turns.round()))
                })
                .collect();
            v = v.chunks_exact(n).map(|row| row.iter().zip(&phases).map(|(x, p)| x * p).sum()).collect();
        }
        v[0] * scale
    };
    use rayon::prelude::*;
    let count = locs.shape()[0];
    ArrayD::from_shape_vec(IxDyn(&[count]), (0..count).into_par_iter().map(point).collect()).unwrap()
}

fn dims(image: &[usize]) -> (String, String) {
    let names = ["Nz", "Ny", "Nx"];
    let names = &names[3 - image.len()..];
    (names.iter().zip(image).map(|(d, n)| format!("{d}={n}")).collect::<Vec<_>>().join(" "), names.join(" "))
}

fn made(image: &[usize], locs: &ArrayD<f64>, accuracy: Accuracy) -> Linop {
    let (shape, axes) = dims(image);
    linop::nufft(shape, locs, &axes, NufftOptions { accuracy, toeplitz: None }, "K").unwrap()
}

/// The error that a kernel of this width should have.
fn law(width: f64, sigma: f64, axes: usize) -> f64 {
    let t = 0.18 * 1.4f64.powi(axes as i32 - 1);
    t * (-(width - 1.0) * std::f64::consts::PI * (1.0 - 1.0 / sigma).sqrt()).exp()
}

#[test]
fn scan() {
    for (image, count) in [(vec![64], 3000), (vec![32, 32], 3000), (vec![16, 16, 16], 3000), (vec![22, 18], 100)] {
        let locs = random_points(count, &image, 1);
        let (shape, _) = dims(&image);
        let x = complex(&shape, 2);
        let want = exact(&wide(&x), &locs);
        for tol in [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 5e-7] {
            let a = made(&image, &locs, Accuracy::Tol(tol));
            let y = distance(&common::apply_on(&Device::host(), &a, &x).unwrap(), &want);
            println!("{image:?} tol {tol:.0e}: {y:.1e} {:.2} {a}", y / tol);
        }
        for sigma in [1.25, 1.5, 2.0] {
            let mut line = format!("{image:?} {sigma}:");
            for width in 2..10 {
                let a = made(&image, &locs, Accuracy::Kernel { width: width as f64, oversamp: sigma });
                let y = linops::apply_f64(&a, &wide(&x)).unwrap();
                let e64 = (&y - &want).iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt()
                    / want.iter().map(|z| z.norm_sqr()).sum::<f64>().sqrt();
                let e32 = distance(&common::apply_on(&Device::host(), &a, &x).unwrap(), &want);
                let l = law(width as f64, sigma, image.len());
                line += &format!(" w{width} {e32:.1e} ({:.2}, f64 {:.2})", e32 / l, e64 / l);
            }
            println!("{line}");
        }
    }
}
