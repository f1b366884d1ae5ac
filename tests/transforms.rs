//! Transforms and interpolations against the formulas that define them, in f64.
#![cfg(feature = "io")]

mod common;

use common::data::{Random, complex, distance, real, wide};
use common::{apply_on, devices};
use linops::linop::{
    self, Accuracy, Boundary, ConvolveMode, ConvolveOptions, InterpolateOptions, InterpolationKernel, Norm,
    NufftOptions, NufftType3Options, RfftOptions, TrigOptions, TrigType, WarpKernel, WarpOptions,
};
use linops::{Device, Linop};
use ndarray::{ArrayD, Axis, IxDyn};
use num_complex::Complex64;
use std::f64::consts::{PI, TAU};

/// Points, uniform up to ±`reach` times each of these.
fn points(count: usize, reach: f64, extents: &[f64], seed: u64) -> ArrayD<f64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(&[count, extents.len()]), |i| f64::from(r.uniform()) * reach * extents[i[1]])
}

/// Indices of all elements, in C order.
fn indices_of(extents: &[usize]) -> Vec<Vec<usize>> {
    let len: usize = extents.iter().product();
    let one = |mut i: usize| {
        let mut index = vec![0; extents.len()];
        for a in (0..extents.len()).rev() {
            (index[a], i) = (i % extents[a], i / extents[a]);
        }
        index
    };
    (0..len).map(one).collect()
}

/// y[o, m] = Σ w[o, i, j]·x[i, stride·m + 2 − j] along both axes, zero outside: kernels of 5 × 3 taps with their middle at (2, 1).
fn layer(x: &ArrayD<Complex64>, w: &ArrayD<Complex64>, stride: usize, extents: &[usize]) -> ArrayD<Complex64> {
    let (count, taps, image) = (x.shape()[0], &w.shape()[2..], &x.shape()[1..]);
    ArrayD::from_shape_fn(IxDyn(extents), |m| {
        let at =
            |axis: usize, j: usize| (stride * m[axis + 1] + taps[axis] / 2).checked_sub(j).filter(|n| *n < image[axis]);
        let mut sum = Complex64::default();
        for i in 0..count {
            for (j, k) in (0..taps[0]).flat_map(|j| (0..taps[1]).map(move |k| (j, k))) {
                if let (Some(a), Some(b)) = (at(0, j), at(1, k)) {
                    sum += w[[m[0], i, j, k]] * x[[i, a, b]];
                }
            }
        }
        sum
    })
}

#[test]
fn convolutions_between_many_channels_are_their_sum() {
    let same = linop::ConvolveOptions::default();
    let check = |a: &Linop, x: &linops::Tensor, want: &ArrayD<Complex64>, what: &str| {
        for device in devices() {
            let error = distance(&apply_on(&device, a, x).unwrap(), want);
            assert!(error < 1e-6, "{what} on {}: {error}", device.name());
            let report = linops::check::dot_test(a, &device, 7).unwrap();
            assert!(report.passed(), "{what}: {report}");
        }
    };
    for (stride, out) in [(1, 16), (2, 16), (1, 13), (3, 4)] {
        let taps = format!("O={out} I=16 Y=5 X=3");
        for (x, w) in [
            (real("I=16 Y=23 X=19", 1), real(&taps, 2)),
            (complex("I=16 Y=23 X=19", 3), real(&taps, 4)),
            (complex("I=16 Y=23 X=19", 5), complex(&taps, 6)),
        ] {
            let a = linop::convolve(x.shape(), &w, "Y X", same.stride(stride)).unwrap();
            let want = layer(&wide(&x), &wide(&w), stride, a.output().unwrap().extents());
            check(&a, &x, &want, &format!("{out} channels, stride {stride}"));
        }
    }
    // By the kernel, of data of many channels.
    let (x, w) = (complex("I=16 Y=23 X=19", 7), complex("Y=5 X=3", 8));
    let a = linop::convolve_kernel("Y=5 X=3", &x, "Y X", same.stride(2)).unwrap().out("I Y X").unwrap();
    let (data, taps) = (wide(&x), wide(&w).into_shape_with_order(IxDyn(&[1, 1, 5, 3])).unwrap());
    let one = |c: usize| layer(&data.slice_axis(Axis(0), (c..c + 1).into()).to_owned(), &taps, 2, &[1, 12, 10]);
    let all: Vec<_> = (0..16).map(one).collect();
    let want = ndarray::concatenate(Axis(0), &all.iter().map(|one| one.view()).collect::<Vec<_>>()).unwrap();
    check(&a, &w, &want, "of the kernel");
}

/// Σⱼ k[j] x[first + stride·p − j] along all axes, around the period where there is one.
fn convolved(
    x: &ArrayD<Complex64>,
    k: &ArrayD<Complex64>,
    first: &[usize],
    stride: usize,
    around: bool,
    y: &[usize],
) -> ArrayD<Complex64> {
    ArrayD::from_shape_fn(IxDyn(y), |p| {
        let at = |j: &IxDyn| -> Option<Vec<usize>> {
            let axes = (0..y.len()).map(|a| {
                let (n, extent) = ((first[a] + stride * p[a]) as i64 - j[a] as i64, x.shape()[a] as i64);
                let n = if around { n.rem_euclid(extent) } else { n };
                (0..extent).contains(&n).then_some(n as usize)
            });
            axes.collect()
        };
        k.indexed_iter().filter_map(|(j, w)| at(&j).map(|n| w * x[&n[..]])).sum()
    })
}

/// All modes, a stride, and a period.
fn convolve_modes() -> [ConvolveOptions; 5] {
    let plain = ConvolveOptions::default();
    [
        plain,
        plain.mode(ConvolveMode::Full),
        plain.mode(ConvolveMode::Valid),
        plain.stride(3),
        plain.boundary(Boundary::Circular),
    ]
}

/// On every device the sum that defines it, with an exact adjoint.
fn check_convolution(x: &linops::Tensor, k: &linops::Tensor, axes: &str, options: ConvolveOptions) -> Linop {
    let a = linop::convolve(x.shape(), k, axes, options).unwrap();
    let first: Vec<usize> = match options.mode {
        ConvolveMode::Same => k.shape().extents().iter().map(|k| k / 2).collect(),
        ConvolveMode::Full => vec![0; k.shape().rank()],
        _ => k.shape().extents().iter().map(|k| k - 1).collect(),
    };
    let around = options.boundary == Boundary::Circular;
    // A dim that is not convolved along numbers images, each of which is convolved.
    let batch = x.shape().dims().iter().position(|d| !axes.split(' ').any(|axis| axis == d.to_string()));
    let mut extents = a.output().unwrap().extents().to_vec();
    batch.map(|axis| extents.remove(axis));
    let of = |x: &ArrayD<Complex64>| convolved(x, &wide(k), &first, options.stride, around, &extents);
    let want = match batch {
        Some(axis) => {
            let all: Vec<_> = wide(x).axis_iter(Axis(axis)).map(|x| of(&x.to_owned())).collect();
            let views: Vec<_> = all.iter().map(|one| one.view()).collect();
            ndarray::stack(Axis(axis), &views).unwrap()
        }
        None => of(&wide(x)),
    };
    let real = [x, k].iter().all(|t| t.dtype() == linops::DType::F32);
    for device in devices() {
        let y = a.apply(&x.to(&device).unwrap()).unwrap();
        assert_eq!(y.dtype() == linops::DType::F32, real);
        let error = distance(&y.to(&Device::host()).unwrap().to_array().unwrap(), &want);
        assert!(error < 1e-6, "{}, {options:?} on {}: {error}", x.shape(), device.name());
        let report = linops::check::dot_test(&a, &device, 7).unwrap();
        assert!(report.passed(), "{}, {options:?}: {report}", x.shape());
    }
    a
}

#[test]
fn real_convolutions_of_many_taps_are_their_sum() {
    let plain = ConvolveOptions::default();
    for (extents, taps, axes) in [
        ("X=811", "X=190", "X"),
        ("X=512", "X=127", "X"),
        ("X=338", "X=170", "X"),
        ("Y=61 X=90", "Y=17 X=22", "Y X"),
        ("Y=60 X=75", "Y=12 X=31", "Y X"),
        ("Z=18 Y=15 X=20", "Z=7 Y=8 X=6", "Z Y X"),
    ] {
        let (x, k) = (real(extents, 1), real(taps, 2));
        for options in convolve_modes() {
            check_convolution(&x, &k, axes, options);
        }
    }
    // Around circles whose halves are odd, and short.
    for n in [2, 4, 32, 34, 36, 38, 66, 130] {
        let circular = ConvolveOptions::default().boundary(linop::Boundary::Circular);
        check_convolution(&real(format!("X={n}"), 3), &real("X=75", 4), "X", circular);
    }
    // Between channels, of several at once, and with a dim behind, where lines are not in one piece.
    let k = real("O=3 I=2 X=65", 3);
    for x in [real("B=2 I=2 X=300", 4), real("I=2 X=300 B=2", 4)] {
        let a = linop::convolve(x.shape(), &k, "X", plain).unwrap();
        // Complex values go by whole spectra.
        let complex = linops::Tensor::from_array(x.to_array().unwrap(), x.shape().dims()).unwrap();
        let (y, want) = (apply_on(&Device::host(), &a, &x).unwrap(), apply_on(&Device::host(), &a, &complex).unwrap());
        assert!(distance(&y, &want.mapv(|v| Complex64::new(v.re.into(), v.im.into()))) < 1e-6);
    }
}

/// Kernels that are products are convolved with along one axis after the other, where that takes fewer operations.
#[test]
fn convolutions_with_a_product_go_axis_by_axis() {
    let kernel = |shape: &str, weight: fn(f64, usize, usize) -> Complex64| {
        let extents: Vec<usize> = shape.split(' ').map(|d| d.split_once('=').unwrap().1.parse().unwrap()).collect();
        let each = |at: IxDyn| -> Complex64 {
            let axes = (0..extents.len()).map(|a| weight(at[a] as f64 - 0.45 * extents[a] as f64, at[a], a));
            axes.product()
        };
        ArrayD::from_shape_fn(IxDyn(&extents), each)
    };
    let gauss: fn(f64, usize, usize) -> Complex64 = |d, _, a| (-0.05 * (a + 1) as f64 * d * d).exp().into();
    // A wave of one axis, with a gap in another.
    let wave: fn(f64, usize, usize) -> Complex64 =
        |d, j, a| if a == 0 && j == 2 { Complex64::default() } else { Complex64::from_polar(0.3 + 0.05 * d.abs(), d) };
    for (extents, taps, axes) in [
        ("C=2 Y=41 X=39", "Y=9 X=13", "Y X"),
        ("Y=40 C=2 X=37", "Y=11 X=8", "Y X"),
        ("Z=13 Y=16 X=19", "Z=5 Y=7 X=6", "Z Y X"),
        ("Z=12 Y=30 X=31", "Z=1 Y=9 X=10", "Z Y X"),
    ] {
        let real_kernel = linops::Tensor::from_array(kernel(taps, gauss).mapv(|v| v.re as f32), axes).unwrap();
        let complex_kernel = kernel(taps, wave).mapv(|v| num_complex::Complex32::new(v.re as f32, v.im as f32));
        let complex_kernel = linops::Tensor::from_array(complex_kernel, axes).unwrap();
        for options in convolve_modes() {
            for (x, k) in [
                (real(extents, 1), &real_kernel),
                (complex(extents, 2), &real_kernel),
                (complex(extents, 3), &complex_kernel),
            ] {
                let a = check_convolution(&x, k, axes, options);
                for a in [&a, &a.h()].into_iter().filter(|_| options == ConvolveOptions::default()) {
                    let plan = a.program().unwrap().schedule(&linops::internal::Target::Host, true).unwrap();
                    let names: Vec<&str> = plan.steps.iter().map(|s| s.name()).collect();
                    // One pass for each axis with taps; values beside a batch may be put in order.
                    let count = names.iter().filter(|n| **n == "convolve").count();
                    let want = k.shape().extents().iter().filter(|taps| **taps > 1).count();
                    assert_eq!(count, want, "{extents} with {taps}: {names:?}");
                    assert!(names.iter().all(|n| ["convolve", "map"].contains(n)), "{names:?}");
                }
            }
        }
    }
    // Of nine taps one pass is less.
    let ones = linops::Tensor::from_array(ArrayD::<f32>::ones(IxDyn(&[3, 3])), "Y X").unwrap();
    let a = linop::convolve("Y=40 X=40", &ones, "Y X", ConvolveOptions::default()).unwrap();
    let plan = a.program().unwrap().schedule(&linops::internal::Target::Host, true).unwrap();
    assert_eq!(plan.steps.len(), 1);
}

#[test]
fn ndft_is_its_sum() {
    // Points beyond the band are periodic.
    for (shape, axes, image) in
        [("N=13", "N", vec![13]), ("Y=8 X=5", "Y X", vec![8, 5]), ("Z=3 Y=6 X=4", "Z Y X", vec![3, 6, 4])]
    {
        let locs = points(17, 1.7, &image.iter().map(|&n| n as f64).collect::<Vec<_>>(), 1);
        let x = complex(shape, 2);
        let scale = 1.0 / (wide(&x).len() as f64).sqrt();
        let all = indices_of(&image);
        let want = ArrayD::from_shape_fn(IxDyn(&[17]), |m| {
            let term = |(n, x): (&Vec<usize>, &Complex64)| {
                let turns = |d: usize| locs[[m[0], d]] * (n[d] as f64 - (image[d] / 2) as f64) / image[d] as f64;
                x * Complex64::from_polar(scale, -TAU * (0..image.len()).map(turns).sum::<f64>())
            };
            all.iter().zip(&wide(&x)).map(term).sum::<Complex64>()
        });
        let a = linop::ndft(shape, &locs, axes, "S").unwrap();
        for device in devices() {
            assert!(distance(&apply_on(&device, &a, &x).unwrap(), &want) < 1e-6, "{shape} on {}", device.name());
        }
    }
}

#[test]
fn ndft_and_nufft_agree_within_the_tolerance() {
    for (shape, axes, image) in [("N=64", "N", vec![64.0]), ("Y=20 X=23", "Y X", vec![20.0, 23.0])] {
        let locs = points(300, 0.5, &image, 3);
        let x = complex(shape, 4);
        let want = linop::ndft(shape, &locs, axes, "S").unwrap();
        let want = linops::apply_f64(&want, &wide(&x)).unwrap();
        for tol in [1e-3, 1e-5] {
            let options = NufftOptions::default().accuracy(Accuracy::Tol(tol));
            let a = linop::nufft(shape, &locs, axes, options, "S").unwrap();
            let error = distance(&apply_on(&Device::host(), &a, &x).unwrap(), &want);
            assert!(error < tol, "{shape}: {error:.1e} > {tol:.0e}");
        }
    }
}

/// A linop file's linop, with these arrays beside it.
fn from_file(json: &str, arrays: &[(&str, &ArrayD<f64>)]) -> linops::Result<Linop> {
    let folder = tempfile::tempdir().unwrap();
    for (name, values) in arrays {
        ndarray_npy(&folder.path().join(name), values);
    }
    let path = folder.path().join("linop.json");
    std::fs::write(&path, json).unwrap();
    Linop::from_file(&path)
}

/// An f8 array in NumPy's format, version 1.
fn ndarray_npy(path: &std::path::Path, values: &ArrayD<f64>) {
    let extents: String = values.shape().iter().map(|n| format!("{n},")).collect();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({extents}), }}");
    let header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// The same linop, written by hand and in a file.
fn same(file: &Linop, built: &Linop) {
    assert_eq!((file.input().unwrap(), file.output().unwrap()), (built.input().unwrap(), built.output().unwrap()));
    let x = complex(built.input().unwrap(), 5);
    let y = |a: &Linop| common::bits(&apply_on(&Device::host(), a, &x).unwrap());
    assert_eq!(y(file), y(built));
}

#[test]
fn files_name_ndft() {
    let locs = points(5, 0.5, &[6.0, 5.0], 6);
    let json = r#"{ "op": "ndft", "in": "C=2 Y=6 X=5", "axes": ["Y", "X"], "locs": "k.npy", "out": "C S" }"#;
    same(&from_file(json, &[("k.npy", &locs)]).unwrap(), &linop::ndft("C=2 Y=6 X=5", &locs, "Y X", "C S").unwrap());
}

/// What SciPy's documentation says of type II and IV, unnormalised.
fn cosine(kind: TrigType, k: usize, i: usize, n: usize) -> f64 {
    let (k, i, n) = (k as f64, i as f64, n as f64);
    match kind {
        TrigType::II => 2.0 * (PI * k * (2.0 * i + 1.0) / (2.0 * n)).cos(),
        _ => 2.0 * (PI * (2.0 * k + 1.0) * (2.0 * i + 1.0) / (4.0 * n)).cos(),
    }
}

#[test]
fn long_cosine_transforms_are_their_sums() {
    // Of even, odd, prime and twice prime length.
    for n in [33, 64, 100, 1009, 1024, 2 * 1021, 3375] {
        for kind in [TrigType::II, TrigType::IV] {
            let a = linop::dct(format!("N={n}"), "N", TrigOptions::default().kind(kind).norm(Norm::Backward)).unwrap();
            for x in [real(a.input().unwrap(), 1), complex(a.input().unwrap(), 2)] {
                let w = wide(&x);
                let want = |k: usize| w.iter().enumerate().map(|(i, x)| x * cosine(kind, k, i, n)).sum::<Complex64>();
                let want = ArrayD::from_shape_fn(IxDyn(&[n]), |k| want(k[0]));
                for device in devices() {
                    let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
                    assert!(error < 1e-6, "{kind:?} of {n}, {} on {}: {error:.1e}", x.dtype(), device.name());
                }
            }
        }
    }
}

#[test]
fn orthonormal_cosine_transforms_cancel() {
    let nodes = |a: &Linop| a.program().unwrap().nodes().len();
    for options in [TrigType::I, TrigType::II, TrigType::III, TrigType::IV].map(|k| TrigOptions::default().kind(k)) {
        for a in [linop::dct("Y=40 X=7", "Y X", options).unwrap(), linop::dst("Y=40 X=7", "X Y", options).unwrap()] {
            assert_eq!((nodes(&a), nodes(&a.n()), nodes(&(&a * a.h()).out("Y X").unwrap())), (2, 0, 0));
            // Weights along one dim leave that dim's transforms.
            let a = a.out("Y X").unwrap();
            for (dim, extent) in [("Y", 40), ("X", 7)] {
                let lines = linop::diagonal("Y=40 X=7", &real(format!("{dim}={extent}"), 3)).unwrap();
                assert_eq!(nodes(&(a.h() * lines * &a)), 3);
            }
        }
    }
    // An inverse is one for every norm.
    for norm in [Norm::Ortho, Norm::Backward, Norm::Forward] {
        let options = TrigOptions::default().kind(TrigType::I).norm(norm);
        let there = linop::dct("N=50", "N", options).unwrap();
        let back = linop::dct(there.output().unwrap(), "N1", options.inverse(true)).unwrap();
        let x = real("N=50", 4);
        assert!(distance(&apply_on(&Device::host(), &(back * there), &x).unwrap(), &wide(&x)) < 1e-6);
    }
}

/// Of real values: rows, a transform of half the length and rows on a GPU, one step on the host.
fn expect_steps(a: &Linop, lengths: &[usize]) {
    let of = |plan: &linops::explain::Plan| -> (Vec<&str>, Vec<usize>) {
        (plan.steps.iter().map(|s| s.name()).collect(), plan.values.iter().map(|v| v.len()).collect())
    };
    let plan = a.plan_for(&linops::explain::Target::rich(), linops::DType::F32).unwrap();
    let (names, values) = of(&plan);
    assert_eq!((names[0], names[names.len() - 1]), ("rows", "rows"));
    assert_eq!(values, lengths);
    let plan = a.plan(&Device::host(), linops::DType::F32).unwrap();
    assert_eq!(of(&plan), (vec!["real transform"], vec![lengths[0], lengths[lengths.len() - 1]]));
}

#[test]
fn transforms_of_reals_are_of_half_the_length() {
    let a = linop::dct("B=3 N=96", "N", TrigOptions::default()).unwrap();
    expect_steps(&a, &[3 * 96, 3 * 48, 3 * 48, 3 * 96]);
    let short = linop::dct("B=3 N=32", "N", TrigOptions::default()).unwrap();
    assert_eq!(short.plan(&Device::host(), linops::DType::F32).unwrap().steps.len(), 1);
}

#[test]
fn what_cosine_transforms_do_not_take_is_said() {
    let error = |a: linops::Result<Linop>| a.unwrap_err().to_string();
    let first = TrigOptions::default().kind(TrigType::I);
    assert!(error(linop::dct("N=1", "N", first)).contains("dct: dim N has extent 1; expected at least 2 for type I"));
    assert!(linop::dst("N=1", "N", first).is_ok());
    assert!(error(linop::dst("N=4", "M", first)).starts_with("dst: "));
    let five = from_file(r#"{ "op": "dct", "in": "N=4", "axes": ["N"], "type": 5 }"#, &[]);
    assert!(error(five).contains("type: is 5; expected 1, 2, 3 or 4"));
}

/// Keys' kernel with a = −1/2, and the linear one.
fn kernel_at(kernel: WarpKernel, distance: f64) -> f64 {
    let s = distance.abs();
    match kernel {
        WarpKernel::Linear => (1.0 - s).max(0.0),
        _ if s < 1.0 => 1.5 * s.powi(3) - 2.5 * s.powi(2) + 1.0,
        _ if s < 2.0 => -0.5 * s.powi(3) + 2.5 * s.powi(2) - 4.0 * s + 2.0,
        _ => 0.0,
    }
}

#[test]
fn warps_are_their_sums() {
    let field =
        ArrayD::from_shape_fn(IxDyn(&[2, 7, 9]), |i| ((i[0] * 5 + i[1] * 3 + i[2] * 7) % 11) as f64 * 0.37 - 2.0);
    let x = complex("B=2 Y=7 X=9", 1);
    let w = wide(&x);
    for kernel in [WarpKernel::Linear, WarpKernel::Cubic] {
        for boundary in [Boundary::Zero, Boundary::Circular] {
            let want = ArrayD::from_shape_fn(IxDyn(&[2, 7, 9]), |n| {
                let at = |d: usize| n[d + 1] as f64 + field[[d, n[1], n[2]]];
                let mut sum = Complex64::default();
                // The image and, around it, itself again or zeros.
                for (j, k) in (-14i32..21).flat_map(|j| (-18i32..27).map(move |k| (j, k))) {
                    let inside = (0..7).contains(&j) && (0..9).contains(&k);
                    if inside || boundary == Boundary::Circular {
                        let by = kernel_at(kernel, f64::from(j) - at(0)) * kernel_at(kernel, f64::from(k) - at(1));
                        sum += by * w[[n[0], j.rem_euclid(7) as usize, k.rem_euclid(9) as usize]];
                    }
                }
                sum
            });
            let options = WarpOptions::default().kernel(kernel).boundary(boundary);
            let a = linop::warp("B=2 Y=7 X=9", "Y X", &field, options).unwrap();
            assert_eq!(a.input().unwrap(), a.output().unwrap());
            for device in devices() {
                let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
                assert!(error < 1e-6, "{kernel:?}, {boundary:?} on {}: {error:.1e}", device.name());
            }
        }
    }
    // No motion is the identity.
    let still = linop::warp("B=2 Y=7 X=9", "X Y", &ArrayD::zeros(IxDyn(&[2, 9, 7])), WarpOptions::default()).unwrap();
    assert!(distance(&apply_on(&Device::host(), &still, &x).unwrap(), &w) == 0.0);
}

#[test]
fn cubic_convolution_is_exact_for_parabolas() {
    let parabola = |t: f64| 0.5 * t * t - 3.0 * t + 2.0;
    let x = linops::Tensor::from_array(ndarray::Array1::from_shape_fn(20, |n| parabola(n as f64) as f32), "N").unwrap();
    let locs = ArrayD::from_shape_fn(IxDyn(&[30, 1]), |i| 1.5 + 0.5 * i[0] as f64 + 0.01 * (i[0] % 7) as f64);
    let options = InterpolateOptions::default().kernel(InterpolationKernel::Cubic).boundary(Boundary::Zero);
    let y = linop::interpolate("N=20", &locs, "N", &options, "S").unwrap().apply(&x).unwrap().to_real_array().unwrap();
    for (y, t) in y.iter().zip(&locs) {
        assert!((f64::from(*y) - parabola(*t)).abs() < 2e-4, "{y} at {t}");
    }
}

#[test]
fn what_warps_do_not_take_is_said() {
    let warp = |field: &[usize], u: f64| {
        let field = ArrayD::from_elem(IxDyn(field), u);
        linop::warp("Y=4 X=5", "X Y", &field, WarpOptions::default()).unwrap_err().to_string()
    };
    assert!(warp(&[2, 4, 5], 0.0).contains("expected [2, 5, 4]: a component for each of \"X Y\", then these dims"));
    assert!(warp(&[2, 5, 4], f64::NAN).contains("a displacement is NaN"));
    let field = ArrayD::from_elem(IxDyn(&[2, 4, 5]), 0.3);
    let json = r#"{ "op": "warp", "in": "C=2 Y=4 X=5", "axes": ["Y", "X"], "displacement": "u.npy", "kernel": "cubic", "boundary": "circular" }"#;
    let options = WarpOptions::default().kernel(WarpKernel::Cubic).boundary(Boundary::Circular);
    let built = linop::warp("C=2 Y=4 X=5", "Y X", &field, options).unwrap();
    same(&from_file(json, &[("u.npy", &field)]).unwrap(), &built);
}

/// Σ c_n exp(−2πi x_n·s_m), or with `adjoint` the same the other way.
fn between(c: &ArrayD<Complex64>, x: &ArrayD<f64>, s: &ArrayD<f64>, adjoint: bool) -> ArrayD<Complex64> {
    let sign = if adjoint { TAU } else { -TAU };
    let d = x.shape()[1];
    ArrayD::from_shape_fn(IxDyn(&[s.shape()[0]]), |m| {
        let turns = |n: usize| (0..d).map(|a| x[[n, a]] * s[[m[0], a]]).sum::<f64>();
        c.iter().enumerate().map(|(n, c)| c * Complex64::from_polar(1.0, sign * turns(n))).sum()
    })
}

/// Points, uniform within ±`reach` about a middle.
fn cloud(count: usize, d: usize, middle: f64, reach: f64, seed: u64) -> ArrayD<f64> {
    let mut r = Random(seed);
    ArrayD::from_shape_fn(IxDyn(&[count, d]), |i| middle * (1.0 + i[1] as f64) + reach * f64::from(r.uniform()))
}

#[test]
fn type_3_is_its_sum_within_the_tolerance() {
    let mut worst: Vec<String> = Vec::new();
    for (d, reach) in [(1, 40.0), (1, 0.02), (2, 6.0), (3, 1.5)] {
        // Away from the origin on both sides.
        let (x, s) = (cloud(400, d, 3.0, reach, 1), cloud(300, d, -2.0, 1.7, 2));
        let (c, u) = (complex("N=400", 3), complex("M=300", 4));
        let (want, back) = (between(&wide(&c), &x, &s, false), between(&wide(&u), &s, &x, true));
        for tol in [1e-2, 1e-3, 1e-4, 1e-5, 3e-6] {
            let a = linop::nufft_type3("N=400", &x, &s, NufftType3Options::default().tol(tol), "M").unwrap();
            for device in devices() {
                let errors = [
                    distance(&apply_on(&device, &a, &c).unwrap(), &want),
                    distance(&apply_on(&device, &a.h(), &u).unwrap(), &back),
                ];
                for (error, what) in errors.into_iter().zip(["forward", "adjoint"]) {
                    if error > tol {
                        worst.push(format!(
                            "{d}-D, reach {reach}, tol {tol:.0e}, {what} on {}: {error:.1e}",
                            device.name()
                        ));
                    }
                }
            }
        }
    }
    assert!(worst.is_empty(), "{}", worst.join("\n"));
}

#[test]
fn normals_of_type_3_are_within_the_tolerance() {
    let (x, s, c) = (cloud(400, 2, 3.0, 6.0, 1), cloud(300, 2, -2.0, 1.7, 2), complex("N=400", 3));
    let want = between(&between(&wide(&c), &x, &s, false), &s, &x, true);
    for toeplitz in [Some(false), Some(true), None] {
        let options = NufftType3Options::default().toeplitz(toeplitz);
        let a = linop::nufft_type3("N=400", &x, &s, options, "M").unwrap();
        let error = distance(&apply_on(&Device::host(), &a.n(), &c).unwrap(), &want);
        assert!(error < 3.0 * options.tol, "{toeplitz:?}: {error:.1e}");
    }
}

/// Points of a lattice, many of them at the ends of the band, where the kernel's transform is least.
fn lattice(n: usize, d: usize) -> ArrayD<f64> {
    let count = n.pow(d as u32);
    ArrayD::from_shape_fn(IxDyn(&[count, d]), |i| ((i[0] / n.pow((d - 1 - i[1]) as u32)) % n) as f64 - n as f64 / 2.0)
}

/// What the convolution in the middle multiplies by is large at the ends, and its rounding grows by the square.
#[test]
fn type_3_onto_a_lattice_is_within_the_tolerance_with_its_normal() {
    for (d, n, tols) in [(2, 20, &[1e-3, 1e-4, 1e-5][..]), (3, 6, &[1e-4, 1e-5])] {
        let (x, s, c) = (cloud(400, d, 1.0, 1.0, 1), lattice(n, d), complex("N=400", 3));
        let want = between(&wide(&c), &x, &s, false);
        let twice = between(&want, &s, &x, true);
        for &tol in tols {
            let a = linop::nufft_type3("N=400", &x, &s, NufftType3Options::default().tol(tol), "M").unwrap();
            let forward = distance(&apply_on(&Device::host(), &a, &c).unwrap(), &want);
            let normal = distance(&apply_on(&Device::host(), &a.n(), &c).unwrap(), &twice);
            assert!(forward <= tol && normal <= 2.0 * tol, "{d}-D, tol {tol:.0e}: {forward:.1e}, {normal:.1e}");
        }
    }
    let asked = NufftType3Options::default().toeplitz(Some(true));
    let error = linop::nufft_type3("N=400", &cloud(400, 3, 1.0, 1.0, 1), &lattice(6, 3), asked, "M").unwrap_err();
    assert!(error.to_string().contains("divided out twice"), "{error}");
    let pair =
        linop::nufft_type3("N=4000", &cloud(4000, 3, 1.0, 1.0, 1), &lattice(6, 3), NufftType3Options::default(), "M");
    let normals = pair.unwrap().nufft_normals().unwrap();
    assert!(!normals[0].toeplitz && normals[0].reason.contains("would have an error"), "{normals:?}");
}

/// Relative to a result of few numbers the error of a kernel may be many times its mean, so these are summed; whatever lies
/// between the two sets, then, nothing of its size is made.
#[test]
fn few_points_of_type_3_are_summed() {
    let (host, c) = (Device::host(), complex("N=9", 3));
    for (d, seed) in [(1, 1), (2, 2), (3, 3), (3, 4)] {
        let (x, s) = (cloud(9, d, 0.0, 2.0, seed), cloud(2, d, 1.0, 7.0, seed + 10));
        let a = linop::nufft_type3("N=9", &x, &s, NufftType3Options::default(), "M").unwrap();
        let error = distance(&apply_on(&host, &a, &c).unwrap(), &between(&wide(&c), &x, &s, false));
        assert!(error < 1e-6, "{d}-D: {error:.1e}");
    }
    let far = |b: f64| ndarray::arr2(&[[0.0], [b]]).into_dyn();
    let a = linop::nufft_type3("N=2", &far(1e4), &far(1e3), NufftType3Options::default(), "M").unwrap();
    let peak = linops::MemoryUse::of(&a.n().plan(&host, linops::DType::Complex32).unwrap()).unwrap().peak();
    assert!(peak < 1 << 20, "{peak} bytes");
}

#[test]
fn type_3_takes_points_that_coincide() {
    let one = |v: f64, n: usize| ArrayD::from_elem(IxDyn(&[n, 1]), v);
    for (x, s) in
        [(one(1.5, 3), one(0.25, 4)), (cloud(3, 1, 0.0, 2.0, 5), one(0.0, 4)), (one(0.0, 3), cloud(4, 1, 1.0, 2.0, 6))]
    {
        let c = complex("N=3", 7);
        let a = linop::nufft_type3("N=3", &x, &s, NufftType3Options::default(), "M").unwrap();
        let error = distance(&apply_on(&Device::host(), &a, &c).unwrap(), &between(&wide(&c), &x, &s, false));
        assert!(error < 3e-4, "{error:.1e}");
    }
}

#[test]
fn what_type_3_does_not_take_is_said() {
    let (x, s) = (cloud(5, 2, 0.0, 1.0, 1), cloud(6, 2, 0.0, 1.0, 2));
    let error = |x: &ArrayD<f64>, s: &ArrayD<f64>, tol: f64| {
        let options = NufftType3Options::default().tol(tol);
        linop::nufft_type3("C=2 N=5", x, s, options, "C M").unwrap_err().to_string()
    };
    assert!(error(&x, &s, 1e-7).contains("tol is 1e-7") || error(&x, &s, 1e-7).contains("tol is 0.0000001"));
    assert!(error(&s, &x, 1e-4).contains("expected those of the last dims of C=2 N=5"));
    assert!(error(&x, &cloud(6, 3, 0.0, 1.0, 2), 1e-4).contains("differ in components"));
    assert!(error(&x, &(s.clone() * 1e12), 1e-4).contains("expected fewer than 2^31"));
    assert!(error(&(x.clone() * f64::INFINITY), &s, 1e-4).contains("expected finite numbers"));
    let json = r#"{ "op": "nufft_type3", "in": "C=2 N=5", "sources": "x.npy", "targets": "s.npy", "out": "C M" }"#;
    let built = linop::nufft_type3("C=2 N=5", &x, &s, NufftType3Options::default(), "C M").unwrap();
    same(&from_file(json, &[("x.npy", &x), ("s.npy", &s)]).unwrap(), &built);
}

#[test]
fn half_transforms_are_half_of_the_transform() {
    // Even, odd, prime, twice prime, beyond one pass.
    for n in [1, 2, 3, 4, 30, 31, 35, 2 * 17, 2 * 101, 4096, 6000] {
        let a = linop::rfft(format!("B=2 N={n}"), "N", RfftOptions::default()).unwrap();
        let whole = linop::fft(format!("B=2 N={n}"), "N", linop::FftOptions::default()).unwrap();
        for x in [real(a.input().unwrap(), 1), complex(a.input().unwrap(), 2)] {
            let want = linops::apply_f64(&whole, &wide(&x)).unwrap();
            let want = want.slice_axis(ndarray::Axis(1), (0..n / 2 + 1).into()).to_owned();
            for device in devices() {
                let error = distance(&apply_on(&device, &a, &x).unwrap(), &want);
                assert!(error < 2e-6, "{n}, {} on {}: {error:.1e}", x.dtype(), device.name());
            }
        }
    }
}

/// On the host pairs are made block after block, and the last block again.
#[test]
fn half_transforms_of_real_lines_of_any_length() {
    for n in 2..140 {
        let x = real(format!("B=2 N={n}"), 4);
        let whole = linop::fft(x.shape(), "N", linop::FftOptions::default()).unwrap();
        let want = linops::apply_f64(&whole, &wide(&x)).unwrap();
        let want = want.slice_axis(ndarray::Axis(1), (0..n / 2 + 1).into()).to_owned();
        let a = linop::rfft(x.shape(), "N", RfftOptions::default()).unwrap();
        assert!(distance(&apply_on(&Device::host(), &a, &x).unwrap(), &want) < 1e-6, "{n}");
    }
}

/// The real parts.
fn real_part(a: &Linop, x: &linops::Tensor) -> ArrayD<num_complex::Complex32> {
    apply_on(&Device::host(), a, x).unwrap().mapv(|z| num_complex::Complex32::new(z.re, 0.0))
}

#[test]
fn half_transforms_come_back_and_keep_norms() {
    for (shape, axes, n) in [("Y=6 X=10", "Y X", 10), ("Y=6 X=9", "Y X", 9), ("Y=5 X=34", "X", 34)] {
        for norm in [Norm::Ortho, Norm::Backward, Norm::Forward] {
            for isometric in [false, true] {
                let options = RfftOptions::default().norm(norm).isometric(isometric);
                let a = linop::rfft(shape, axes, options).unwrap();
                let renamed = axes.split(' ').map(|d| format!("{d}1")).collect::<Vec<_>>().join(" ");
                let back = linop::irfft(a.output().unwrap(), &renamed, n, options).unwrap().out("Y X").unwrap();
                let x = real(shape, 3);
                assert!(distance(&real_part(&(back * &a), &x), &wide(&x)) < 1e-6, "{shape} {norm:?} {isometric}");
                if isometric && norm == Norm::Ortho {
                    let y = common::data::widened(&apply_on(&Device::host(), &a, &x).unwrap());
                    assert!((common::data::norm(&y) / common::data::norm(&wide(&x)) - 1.0).abs() < 1e-6);
                    assert!(distance(&real_part(&a.n(), &x), &wide(&x)) < 1e-6);
                }
            }
        }
    }
}

#[test]
fn half_transforms_of_reals_take_half() {
    let a = linop::rfft("B=3 N=96", "N", RfftOptions::default()).unwrap();
    expect_steps(&a, &[3 * 96, 3 * 48, 3 * 48, 3 * 49]);
    let error = linop::irfft("K=5", "K", 10, RfftOptions::default()).unwrap_err().to_string();
    assert!(error.contains("dim K has extent 5; expected 6"), "{error}");
    let json =
        r#"{ "op": "irfft", "in": "Y=4 X=5", "axes": ["Y", "X"], "length": 8, "isometric": true, "norm": "backward" }"#;
    let options = RfftOptions::default().norm(Norm::Backward).isometric(true);
    same(&from_file(json, &[]).unwrap(), &linop::irfft("Y=4 X=5", "Y X", 8, options).unwrap());
}
