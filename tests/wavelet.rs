//! Wavelet transforms against plain loops over the definition, and their inverses: every wavelet, boundary and kind of extent.

mod common;

use common::data::{complex, distance, wide, widened};
use common::{apply_on, devices};
use linops::linop::{self, Wavelet, WaveletBoundary, WaveletOptions};
use linops::{Device, Linop, apply_f64};
use ndarray::{Array1, ArrayD, Axis, IxDyn, Slice, Zip};
use num_complex::Complex64;

use WaveletBoundary::{Periodization, Symmetric, Zero};

const BOUNDARIES: [WaveletBoundary; 3] = [Zero, Periodization, Symmetric];

/// Largest relative l2 error in f32.
const TOLERANCE: f64 = 2e-6;

fn options(name: &str, levels: usize, boundary: WaveletBoundary) -> WaveletOptions {
    WaveletOptions::default().wavelet(name.parse().unwrap()).levels(Some(levels)).boundary(boundary)
}

/// Every wavelet that there is.
fn names() -> Vec<String> {
    let mut all = vec!["haar".to_string()];
    all.extend((1..=20).map(|n| format!("db{n}")));
    all.extend((2..=20).map(|n| format!("sym{n}")));
    all.extend((1..=17).map(|n| format!("coif{n}")));
    for pair in "1.1 1.3 1.5 2.2 2.4 2.6 2.8 3.1 3.3 3.5 3.7 3.9 4.4 5.5 6.8".split(' ') {
        all.extend([format!("bior{pair}"), format!("rbio{pair}")]);
    }
    all
}

type Array = ArrayD<Complex64>;

/// One band of a line.
fn analysed(x: &Array1<Complex64>, filter: &[f64], boundary: WaveletBoundary) -> Array1<Complex64> {
    let (n, taps) = (x.len() as i64, filter.len() as i64);
    let even = n + n % 2;
    let (count, phase) = if boundary == Periodization { (even / 2, taps / 2) } else { ((n + taps - 1) / 2, 1) };
    let sample = |i: i64| match boundary {
        Periodization => x[i.rem_euclid(even).min(n - 1) as usize],
        Symmetric => {
            let i = i.rem_euclid(2 * n);
            x[if i < n { i } else { 2 * n - 1 - i } as usize]
        }
        _ if (0..n).contains(&i) => x[i as usize],
        _ => Complex64::ZERO,
    };
    let one = |m: usize| (0..taps).map(|j| filter[j as usize] * sample(2 * m as i64 + phase - j)).sum();
    Array1::from_shape_fn(count as usize, one)
}

/// A line of `n` samples, of both of its bands.
fn synthesised(bands: [Array1<Complex64>; 2], w: &Wavelet, n: usize, boundary: WaveletBoundary) -> Array1<Complex64> {
    let (taps, m) = (w.taps() as i64, bands[0].len() as i64);
    let mut out = Array1::zeros(n);
    for (band, filter) in bands.iter().zip(w.synthesis()) {
        for (k, c) in band.iter().enumerate() {
            for (j, f) in filter.iter().enumerate() {
                let at = 2 * k as i64 + j as i64;
                let at = match boundary {
                    Periodization => (at + 1 - taps / 2).rem_euclid(2 * m),
                    _ => at + 2 - taps,
                };
                if (0..n as i64).contains(&at) {
                    out[at as usize] += c * *f;
                }
            }
        }
    }
    out
}

fn along(x: &Array, axis: usize, f: impl Fn(&Array1<Complex64>) -> Array1<Complex64>) -> Array {
    let lines: Vec<_> = x.lanes(Axis(axis)).into_iter().map(|l| f(&l.to_owned())).collect();
    let mut shape = x.shape().to_vec();
    shape[axis] = lines[0].len();
    let mut out = Array::zeros(IxDyn(&shape));
    Zip::from(out.lanes_mut(Axis(axis)))
        .and(&ndarray::ArrayD::from_shape_vec(shape_without(x, axis), lines).unwrap())
        .for_each(|mut to, line| to.assign(line));
    out
}

fn shape_without(x: &Array, axis: usize) -> IxDyn {
    IxDyn(&x.shape().iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &n)| n).collect::<Vec<_>>())
}

/// All 2^D bands of one level; bit k says which band along axis k it is.
fn bands(x: &Array, axes: &[usize], w: &Wavelet, boundary: WaveletBoundary) -> Vec<Array> {
    let mut all = vec![x.clone()];
    for (k, &axis) in axes.iter().enumerate() {
        let mut next = vec![Array::zeros(IxDyn(&[0])); 2 << k];
        for (which, x) in all.iter().enumerate() {
            for (high, filter) in w.analysis().iter().enumerate() {
                next[which | high << k] = along(x, axis, |line| analysed(line, filter, boundary));
            }
        }
        all = next;
    }
    all
}

/// The bands of the levels, the coarsest first, and where each lies.
fn packed(x: &Array, axes: &[usize], o: &WaveletOptions) -> Array {
    let mut approximation = x.clone();
    let mut details = Vec::new();
    for _ in 0..o.levels.unwrap() {
        let mut all = bands(&approximation, axes, &o.wavelet, o.boundary);
        approximation = all.remove(0);
        details.push(all);
    }
    let mut out = approximation;
    for level in details.into_iter().rev() {
        let corner = out.shape().to_vec();
        let m = level[0].shape().to_vec();
        let mut whole = corner.clone();
        axes.iter().for_each(|&a| whole[a] += m[a]);
        let mut next = Array::zeros(IxDyn(&whole));
        let place = |next: &mut Array, from: Vec<usize>, band: &Array| {
            let mut view = next.view_mut();
            for (a, start) in from.into_iter().enumerate() {
                view.slice_axis_inplace(Axis(a), Slice::from(start..start + band.shape()[a]));
            }
            view.assign(band);
        };
        place(&mut next, vec![0; corner.len()], &out);
        for (i, band) in level.iter().enumerate() {
            let mut from = vec![0; corner.len()];
            for (_, &a) in axes.iter().enumerate().filter(|(k, _)| (i + 1) >> k & 1 == 1) {
                from[a] = corner[a];
            }
            place(&mut next, from, band);
        }
        out = next;
    }
    out
}

fn transforms() -> Vec<(&'static str, &'static str, &'static str, usize)> {
    vec![
        ("N=16", "N", "db2", 2),
        ("N=27", "N", "db3", 3),
        ("N=1", "N", "haar", 2),
        ("N=3", "N", "sym5", 2),
        ("N=13", "N", "bior2.4", 0),
        ("C=3 N=19", "N", "bior4.4", 2),
        ("N=21 C=3", "N", "rbio5.5", 3),
        ("Y=12 X=17", "Y X", "db4", 2),
        ("Y=16 X=8", "X Y", "haar", 3),
        ("C=2 Y=11 T=3 X=9", "Y X", "coif1", 2),
        ("Z=5 Y=6 X=7", "Z Y X", "bior1.3", 2),
        ("Z=4 Y=8 X=8", "Z Y X", "db2", 2),
        ("C=2 Z=3 Y=5 X=4 T=2", "Z Y X", "rbio3.1", 3),
        ("Z=5 A=2 Y=3 B=2 X=6", "Z Y X", "db2", 2),
    ]
}

fn check(device: &Device) {
    let mut failures = Vec::new();
    let mut below = |what: String, error: f64| {
        if error.is_nan() || error > TOLERANCE {
            failures.push(format!("{what}: {error:.2e}"));
        }
    };
    for (seed, (input, axes, name, levels)) in transforms().into_iter().enumerate() {
        for boundary in BOUNDARIES {
            let o = options(name, levels, boundary);
            let a = linop::wavelet(input, axes, &o).unwrap();
            let x = complex(input, seed as u64);
            let mut at: Vec<usize> =
                axes.split(' ').map(|d| a.input().unwrap().axis(d.parse().unwrap()).unwrap()).collect();
            let want = packed(&wide(&x), &at, &o);
            let got = apply_on(device, &a, &x).unwrap();
            assert_eq!(got.shape(), want.shape(), "{a}");
            below(format!("{a} on {}", device.name()), distance(&got, &want));
            if levels == 1 || at.len() == 1 && levels > 0 {
                // One level of coefficients that no array has.
                let o = options(name, 1, boundary);
                let inverse = linop::wavelet_inverse(input, axes, &o).unwrap();
                let y = complex(inverse.input().unwrap(), seed as u64);
                let axis = at.remove(0);
                let n = x.shape().extents()[axis];
                let want = along(&wide(&y), axis, |line| {
                    let (low, high) = line.view().split_at(Axis(0), line.len() / 2);
                    synthesised([low.to_owned(), high.to_owned()], &o.wavelet, n, boundary)
                });
                below(
                    format!("{inverse} on {}", device.name()),
                    distance(&apply_on(device, &inverse, &y).unwrap(), &want),
                );
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn transforms_are_those_of_the_definition() {
    devices().iter().for_each(check);
}

/// How far A_back A x is from x.
fn returns(back: &Linop, there: &Linop) -> f64 {
    let x = complex(there.input().unwrap(), 5);
    let y = apply_f64(there, &wide(&x)).unwrap();
    let again = apply_f64(back, &y).unwrap();
    let error: f64 = again.iter().zip(&wide(&x)).map(|(a, b)| (a - b).norm_sqr()).sum();
    let size: f64 = wide(&x).iter().map(|b| b.norm_sqr()).sum();
    (error / size).sqrt()
}

#[test]
fn every_wavelet_has_its_inverse() {
    for name in names() {
        for boundary in BOUNDARIES {
            for (shape, axes, levels) in [("N=23", "N", 3), ("Y=7 X=10", "Y X", 2)] {
                let o = options(&name, levels, boundary);
                let there = linop::wavelet(shape, axes, &o).unwrap();
                let back = linop::wavelet_inverse(shape, axes, &o).unwrap();
                assert_eq!(
                    (back.input().unwrap(), back.output().unwrap()),
                    (there.output().unwrap(), there.input().unwrap())
                );
                let error = returns(&back, &there);
                // Filters are f32, and those of bior3.1 amplify.
                assert!(error < 1e-5, "{there}: {error:.2e}");
            }
        }
    }
}

#[test]
fn the_adjoint_of_an_orthogonal_wavelet_undoes_it() {
    for name in names().iter().filter(|n| n.parse::<Wavelet>().unwrap().is_orthogonal()) {
        for (shape, axes, boundary) in
            [("N=23", "N", Zero), ("Y=9 X=7", "Y X", Zero), ("Y=12 X=8", "Y X", Periodization)]
        {
            let a = linop::wavelet(shape, axes, &options(name, 2, boundary)).unwrap();
            let error = returns(&a.h(), &a);
            assert!(error < 1e-6, "{a}: {error:.2e}");
        }
    }
}

#[test]
fn polynomials_have_no_details_inside() {
    // Four vanishing moments: cubics are all approximation but where filters reach the ends.
    let a = linop::wavelet("N=64", "N", &options("db4", 1, Zero)).unwrap();
    let x = ArrayD::from_shape_fn(IxDyn(&[64]), |i| {
        let t = i[0] as f64 / 64.0;
        Complex64::new(1.0 - t + 3.0 * t * t - 2.0 * t * t * t, t * t * t)
    });
    let y = apply_f64(&a, &x).unwrap();
    let inside = y.iter().skip(35 + 4).take(35 - 8);
    assert!(inside.clone().count() == 27 && inside.clone().all(|c| c.norm() < 1e-6), "{y}");
}

#[test]
fn levels_are_as_many_as_pywavelets_makes() {
    let extents = |input: &str, axes: &str, name: &str| {
        let o = WaveletOptions::default().wavelet(name.parse().unwrap());
        linop::wavelet(input, axes, &o).unwrap().output().unwrap().extents().to_vec()
    };
    assert_eq!(extents("Ny=16 Nx=18", "Ny Nx", "haar"), [16, 21]);
    assert_eq!(extents("Ny=16 Nx=18", "Ny Nx", "db2"), [21, 22]);
    assert_eq!(extents("Ny=5 Nx=500", "Ny Nx", "db4"), [5, 500]);
    assert_eq!(
        linop::wavelet("Ny=16 Nx1=18", "Nx1", &Default::default()).unwrap().output().unwrap().to_string(),
        "Ny=16 Nx2=24"
    );
}

#[test]
fn what_does_not_fit_is_said() {
    let o = WaveletOptions::default();
    let told = |a: linops::Result<Linop>| a.unwrap_err().to_string();
    assert!(
        told(linop::wavelet("A=4 B=4 C=4 D=4", "A B C D", &o)).contains("wavelet: 4 dims are named; expected 1 to 3")
    );
    assert!(told(linop::wavelet("A=4", "B", &o)).contains("wavelet: "));
    assert!(told(linop::wavelet_inverse("A=4", "", &o)).contains("wavelet_inverse: "));
    assert!(told(linop::wavelet("A=4", "A", &o.levels(Some(33)))).contains("33 levels; expected at most 32"));
    let deep = linop::wavelet("A=4", "A", &options("haar", 32, Zero)).unwrap();
    assert!(returns(&deep.h(), &deep) < 1e-6);
}

#[test]
fn an_image_keeps_its_energy_on_every_device() {
    let a = linop::wavelet("Y=64 X=48", "Y X", &options("sym4", 3, Periodization)).unwrap();
    let x = complex("Y=64 X=48", 3);
    for device in devices() {
        let y = apply_on(&device, &a, &x).unwrap();
        let energy = |a: &Array| a.iter().map(|z| z.norm_sqr()).sum::<f64>();
        let (got, want) = (energy(&widened(&y)), energy(&wide(&x)));
        assert!((got / want - 1.0).abs() < 1e-6, "{got} {want}");
    }
}
