//! What the weight by the noise gains over a fixed one, on scans whose image is known.

use super::noise_weight;
use crate::Device;
use crate::app::noise::Generator;
use crate::app::{Cartesian, Scan, ScanOptions, recon_options, scan};
use ndarray::{Array1, Array2, Axis};
use num_complex::Complex32;
use rayon::prelude::*;

/// Lines that are acquired, of 64: so many around the centre, and of the others every `acceleration`-th or as many by chance.
fn lines(acceleration: usize, random: bool) -> Array1<f32> {
    let mut generator = Generator::new(3);
    Array1::from_shape_fn(64, |ky| {
        let other =
            if random { generator.uniform() < 1.0 / acceleration as f64 } else { ky.is_multiple_of(acceleration) };
        f32::from(other || ky.abs_diff(32) < 6)
    })
}

/// Relative errors of the image by the weight that the noise asks for, and by 0.01.
fn errors(scan: &Scan, acceleration: usize, random: bool, noise: f64) -> [f64; 2] {
    let mut generator = Generator::new(7);
    let noisy = scan.kspace.mapv(|v| {
        let n = generator.complex_normal() * noise;
        v + Complex32::new(n.re as f32, n.im as f32)
    });
    let mask = Array2::from_shape_fn((64, 64), {
        let lines = lines(acceleration, random);
        move |at| lines[at.0]
    });
    let kspace = (&noisy * &mask.mapv(Complex32::from).insert_axis(Axis(0))).into_dyn();
    let mask = mask.into_dyn();
    let model = Cartesian::new(scan.maps.view().into_dyn(), mask.view()).unwrap();
    let usual = noise_weight(kspace.view(), mask.view()).unwrap();
    [usual, 0.01].map(|weight| {
        let options = recon_options().iterations(40).tol(1e-4).lambda(weight * model.scale());
        let found = model.solve(kspace.view(), options, &Device::host()).unwrap();
        let pairs = found.image.iter().zip(&scan.reference);
        let (off, all) = pairs.fold((0.0, 0.0), |(off, all), (a, b)| (off + (a - b).norm_sqr(), all + b.norm_sqr()));
        f64::from(off / all).sqrt()
    })
}

#[test]
fn the_weight_by_the_noise_is_no_worse_than_a_fixed_one() {
    let whole = scan(&ScanOptions::default().ny(64).nx(64).coils(4).acceleration(1).noise(0.0)).unwrap();
    let noises = [0.0, 0.005, 0.02, 0.05, 0.15];
    let all = [1, 2, 4].into_iter().flat_map(|r| [false, true].map(|random| (r, random)));
    let cases: Vec<_> = all.flat_map(|(r, random)| noises.map(|noise| (r, random, noise))).collect();
    let found: Vec<_> = cases.par_iter().map(|&(r, random, noise)| errors(&whole, r, random, noise)).collect();
    for ((r, random, noise), [usual, fixed]) in cases.into_iter().zip(found) {
        let said = format!("R {r}, random {random}, noise {noise}: {usual:.4} beside {fixed:.4}");
        println!("{said}");
        assert!(usual <= 1.02 * fixed, "{said}");
        if r == 4 && !random && noise == 0.0 {
            assert!(usual < 0.75 * fixed, "{said}");
        }
    }
}
