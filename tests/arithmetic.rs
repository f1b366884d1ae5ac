//! Arithmetic on tensors against the same in f64, on every device.

mod common;

use common::data::{complex, real, wide};
use common::devices;
use linops::ndarray::{ArrayD, Axis, Slice};
use linops::num_complex::{Complex32, Complex64};
use linops::{DType, Device, Error, Expression, Result, Tensor};

/// What 32-bit numbers and two devices may differ by, of the largest value.
const NEAR: f64 = 2e-6;

fn home(t: &Tensor) -> ArrayD<Complex64> {
    wide(&t.to(&Device::host()).unwrap())
}

fn c64(z: Complex32) -> Complex64 {
    Complex64::new(z.re.into(), z.im.into())
}

/// The largest difference, of the largest value.
fn off(got: &ArrayD<Complex64>, want: &ArrayD<Complex64>) -> f64 {
    assert_eq!(got.shape(), want.shape());
    let most = want.iter().map(|w| w.norm()).fold(0.0, f64::max);
    let error = got.iter().zip(want).map(|(g, w)| (g - w).norm()).fold(0.0, f64::max);
    if most > 0.0 { error / most } else { error }
}

fn shrunk(z: Complex64, t: f64) -> Complex64 {
    let m = z.norm();
    if m <= t { Complex64::default() } else { z * (1.0 - t / m) }
}

fn sign(z: Complex64) -> Complex64 {
    if z.norm() > 0.0 { z / z.norm() } else { z }
}

type Made = Expression;
type Wanted = Box<dyn Fn(Complex64, Complex64) -> Complex64>;

const FACTOR: Complex32 = Complex32::new(0.3, -1.25);

/// Expressions of two tensors, and each value that is wanted; the last say whether they are for real tensors alone.
fn cases(x: &Tensor, y: &Tensor) -> Vec<(&'static str, Made, Wanted)> {
    let ex = || Expression::from(x);
    let both_real = x.dtype() == DType::F32 && y.dtype() == DType::F32;
    let re = |z: f64| Complex64::new(z, 0.0);
    let mut all: Vec<(&'static str, Made, Wanted)> = vec![
        ("x + y", x + y, Box::new(|a, b| a + b)),
        ("x - y", x - y, Box::new(|a, b| a - b)),
        ("x * y", x * y, Box::new(|a, b| a * b)),
        ("x / (y + 3)", x / (y + 3.0), Box::new(|a, b| a / (b + 3.0))),
        ("(y + 3) / (x + 4i)", (y + 3.0) / (x + Complex32::new(0.0, 4.0)), {
            Box::new(|a, b| (b + 3.0) / (a + Complex64::new(0.0, 4.0)))
        }),
        ("-x", -x, Box::new(|a, _| -a)),
        ("2 - x", 2.0 - x, Box::new(|a, _| 2.0 - a)),
        ("x / 8", x.clone() / 8.0, Box::new(|a, _| a / 8.0)),
        ("1 / (y + 2)", 1.0 / (y + 2.0), Box::new(|_, b| 1.0 / (b + 2.0))),
        ("c x - y c", FACTOR * x - y * FACTOR, Box::new(|a, b| c64(FACTOR) * a - b * c64(FACTOR))),
        ("conj", ex().conj(), Box::new(|a, _| a.conj())),
        ("real", ex().real(), Box::new(move |a, _| re(a.re))),
        ("imag", ex().imag(), Box::new(move |a, _| re(a.im))),
        ("abs", ex().abs(), Box::new(move |a, _| re(a.norm()))),
        ("abs_squared", ex().abs_squared(), Box::new(move |a, _| re(a.norm_sqr()))),
        ("sign", ex().sign(), Box::new(|a, _| sign(a))),
        ("complex", ex().complex(), Box::new(|a, _| a)),
        ("sqrt of magnitudes", ex().abs().sqrt(), Box::new(move |a, _| re(a.norm().sqrt()))),
        ("threshold", ex().soft_threshold(0.25), Box::new(|a, _| shrunk(a, 0.25))),
        ("thresholds", ex().soft_threshold(Expression::from(y).abs()), Box::new(|a, b| shrunk(a, b.norm()))),
        ("fused", (x + 0.5 * (x - y)).soft_threshold(0.1) * x.clone(), {
            Box::new(|a, b| shrunk(a + 0.5 * (a - b), 0.1) * a)
        }),
    ];
    if both_real {
        let more: Vec<(&'static str, Made, Wanted)> = vec![
            ("clamp", ex().clamp(-0.5, 0.25), Box::new(move |a, _| re(a.re.clamp(-0.5, 0.25)))),
            ("maximum", ex().maximum(y), Box::new(move |a, b| re(a.re.max(b.re)))),
            ("minimum", ex().minimum(y), Box::new(move |a, b| re(a.re.min(b.re)))),
            ("sqrt", ex().sqrt(), Box::new(move |a, _| re(a.re.max(0.0).sqrt()))),
        ];
        all.extend(more);
    }
    all
}

/// The values of all cases on a device beside the wanted ones.
fn check(device: &Device, x: &Tensor, y: &Tensor) {
    let (a, b) = (home(x), home(y));
    let [dx, dy] = [x, y].map(|t| t.to(device).unwrap());
    for (name, made, wanted) in cases(&dx, &dy) {
        let got = made.eval().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((got.shape(), got.device_name()), (x.shape(), device.name()));
        let want = ndarray::Zip::from(&a).and(&b).map_collect(|a, b| wanted(*a, *b));
        let error = off(&home(&got), &want);
        assert!(error <= NEAR, "{name} of {x:?} and {y:?} on {device}: {error:.1e}");
    }
    for (x, dx, a) in [(x, &dx, &a), (y, &dy, &b)] {
        let total: Complex64 = a.iter().sum();
        let size: f64 = a.iter().map(|z| z.norm()).sum();
        assert!((dx.sum().unwrap() - total).norm() <= NEAR * size, "sum of {x:?} on {device}");
        let square: f64 = a.iter().map(|z| z.norm_sqr()).sum();
        assert!((dx.norm_squared().unwrap() - square).abs() <= NEAR * square);
        assert!((dx.norm().unwrap() - square.sqrt()).abs() <= NEAR * square.sqrt());
        let most = a.iter().map(|z| z.norm()).fold(0.0, f64::max);
        assert!((dx.max_abs().unwrap() - most).abs() <= NEAR * most, "{}", dx.max_abs().unwrap());
        if x.dtype() == DType::F32 {
            assert_eq!(dx.max().unwrap(), a.iter().map(|z| z.re).fold(f64::MIN, f64::max), "{x:?} on {device}");
            assert_eq!(dx.min().unwrap(), a.iter().map(|z| z.re).fold(f64::MAX, f64::min), "{x:?} on {device}");
        }
    }
    let dot: Complex64 = a.iter().zip(&b).map(|(a, b)| a.conj() * b).sum();
    let size: f64 = a.iter().zip(&b).map(|(a, b)| (a.conj() * b).norm()).sum();
    assert!((dx.dot(&dy).unwrap() - dot).norm() <= NEAR * size);
}

fn pairs(dims: &str) -> Vec<(Tensor, Tensor)> {
    vec![
        (real(dims, 1), real(dims, 2)),
        (complex(dims, 3), complex(dims, 4)),
        (complex(dims, 5), real(dims, 6)),
        (real(dims, 7), complex(dims, 8)),
    ]
}

#[test]
fn values_are_those_of_f64() {
    for device in devices() {
        for dims in ["", "N=1", "N=3", "N=255", "N=257", "A=13 B=7 C=11", "N=4099", "A=3 N=30011"] {
            for (x, y) in pairs(dims) {
                check(&device, &x, &y);
            }
        }
    }
}

#[test]
fn views_count_as_they_are() {
    for (x, y) in pairs("A=31 B=17") {
        let [x, y] = [x, y].map(|t| t.permuted("B A").unwrap());
        assert_ne!(x.strides(), [31, 1]);
        check(&Device::host(), &x, &y);
        let part = |t: &Tensor| t.slice(&[("B", (1, 16, 3))]).unwrap();
        check(&Device::host(), &part(&x), &part(&y));
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn beyond_one_binding_values_are_the_same() {
    use linops::gpu::GpuOptions;
    let options = GpuOptions::default();
    for options in [options.max_binding(Some(1 << 14)), options.max_groups(Some(7)), options.default_limits(true)] {
        let Some(device) = common::gpu_with(options) else { return };
        let most = if options.max_groups.is_some() { 40_000 } else { 300_001 };
        for (x, y) in pairs(&format!("N={most}")) {
            check(&device, &x, &y);
        }
        for dims in ["A=61 B=83 C=7", "A=2 N=17011", "N=30011 A=2"] {
            check_slices(&device, dims);
        }
    }
}

/// Ranges for the dims of a shape, by a seed.
fn ranges(dims: &str, seed: usize) -> Vec<(&str, (usize, usize, usize))> {
    let mut all = Vec::new();
    for (k, dim) in dims.split_whitespace().enumerate() {
        let (name, n) = dim.split_once('=').unwrap();
        let n: usize = n.parse().unwrap();
        match (seed + k) % 4 {
            0 => {}
            1 => all.push((name, (n / 3, n, 1))),
            2 => all.push((name, (n / 2, n / 2 + 1, 1))),
            _ => all.push((name, (usize::from(n > 1), n, 3))),
        }
    }
    all
}

fn check_slices(device: &Device, dims: &str) {
    for (x, y) in [(real(dims, 1), real(dims, 2)), (complex(dims, 3), complex(dims, 4))] {
        for seed in 0..4 {
            let ranges = ranges(dims, seed);
            let mut view = x.to_array().unwrap();
            for (dim, (start, stop, step)) in &ranges {
                let axis = x.shape().axis(dim.parse().unwrap()).unwrap();
                view.slice_axis_inplace(Axis(axis), Slice::new(*start as isize, Some(*stop as isize), *step as isize));
            }
            let [dx, dy] = [&x, &y].map(|t| t.to(device).unwrap());
            let part = dx.slice(&ranges).unwrap();
            assert_eq!(part.dtype(), x.dtype());
            assert_eq!(part.to(&Device::host()).unwrap().to_array().unwrap(), view, "{dims} {ranges:?} on {device}");
            let put = dy.with_slice(&ranges, &part).unwrap();
            let mut want = y.to_array().unwrap();
            let mut place = want.view_mut();
            for (dim, (start, stop, step)) in &ranges {
                let axis = x.shape().axis(dim.parse().unwrap()).unwrap();
                place.slice_axis_inplace(Axis(axis), Slice::new(*start as isize, Some(*stop as isize), *step as isize));
            }
            place.assign(&view);
            assert_eq!(put.to(&Device::host()).unwrap().to_array().unwrap(), want, "{dims} {ranges:?} on {device}");
            // What it was made of is as it was.
            assert_eq!(dy.to(&Device::host()).unwrap().to_array().unwrap(), y.to_array().unwrap());
        }
    }
}

#[test]
fn parts_are_taken_and_put_back() {
    for device in devices() {
        for dims in ["N=1", "N=17", "A=5 B=7", "A=3 B=4 C=5 D=6", "A=1 B=1 N=1009"] {
            check_slices(&device, dims);
        }
    }
}

#[test]
fn values_of_any_size_have_norms() {
    for device in devices() {
        for scale in [1e-44f32, 1e-30, 1e-20, 1.0, 1e20, 3e37] {
            let values = vec![scale; 1000];
            let x = Tensor::from_slice("N=1000", &values).unwrap().to(&device).unwrap();
            let want = f64::from(scale) * 1000f64.sqrt();
            let norm = x.norm().unwrap();
            // A GPU may take numbers below 1e-38 for 0.
            let flushed = scale < 1e-38 && norm == 0.0;
            assert!(flushed || (norm - want).abs() <= 1e-5 * want, "{scale:e} on {device}: {norm:e}, {want:e}");
            if scale >= 1e-38 {
                assert!((x.max_abs().unwrap() - f64::from(scale)).abs() <= 1e-6 * f64::from(scale));
                let z = Tensor::from_slice("N=2", &[Complex32::new(scale, scale); 2]).unwrap().to(&device).unwrap();
                let abs = z.abs().unwrap().to(&Device::host()).unwrap().to_real_vec().unwrap()[0];
                assert!(
                    (f64::from(abs) / f64::from(scale) - 2f64.sqrt()).abs() < 1e-5,
                    "{scale:e} on {device}: {abs:e}"
                );
            }
        }
        assert_eq!(Tensor::zeros("N=70", DType::Complex32).unwrap().to(&device).unwrap().norm().unwrap(), 0.0);
    }
}

#[test]
fn what_is_no_number_is_not_lost() {
    for device in devices() {
        for at in [0, 1, 500, 4098] {
            let mut values = vec![1f32; 4099];
            values[at] = f32::NAN;
            let x = Tensor::from_slice("N=4099", &values).unwrap().to(&device).unwrap();
            for number in [x.max(), x.min(), x.max_abs(), x.norm(), x.sum().map(|s| s.re)] {
                assert!(number.unwrap().is_nan(), "NaN at {at} on {device}");
            }
            let kept = x.clamp(-2.0, 2.0).unwrap().soft_threshold(0.5).unwrap();
            let kept = kept.to(&Device::host()).unwrap().first_non_finite();
            assert_eq!(kept, Some(vec![at]), "{device}");
        }
        let x = Tensor::from_slice("N=3", &[f32::INFINITY, -1.0, 2.0]).unwrap().to(&device).unwrap();
        assert_eq!((x.max().unwrap(), x.min().unwrap(), x.max_abs().unwrap()), (f64::INFINITY, -1.0, f64::INFINITY));
        assert!(!x.all_finite().unwrap());
        // Real values as complex ones, with infinity among them.
        let z = x.to_dtype(DType::Complex32).unwrap().to(&Device::host()).unwrap().to_vec().unwrap();
        assert_eq!(z[0], Complex32::new(f32::INFINITY, 0.0), "{device}");
    }
}

#[test]
fn whether_all_is_finite_is_known_on_the_device() {
    for device in devices() {
        let place = |values: &[Complex32]| Tensor::from_slice("N=4099", values).unwrap().to(&device).unwrap();
        // Both parts at the end of what there is are numbers yet.
        let largest = vec![Complex32::new(f32::MAX, -f32::MAX); 4099];
        assert!(place(&largest).all_finite().unwrap(), "{device}");
        for at in [0, 1, 500, 4098] {
            for (re, im) in [(f32::NAN, 1.0), (1.0, f32::NAN), (f32::INFINITY, 0.0), (0.0, f32::NEG_INFINITY)] {
                let mut values = largest.clone();
                values[at] = Complex32::new(re, im);
                assert!(!place(&values).all_finite().unwrap(), "{re} {im} at {at} on {device}");
            }
        }
        let real = |values: &[f32]| Tensor::from_slice("N=3", values).unwrap().to(&device).unwrap();
        assert!(real(&[f32::MAX, -f32::MAX, 0.0]).all_finite().unwrap());
        assert!(!real(&[1.0, f32::NAN, 0.0]).all_finite().unwrap());
    }
}

fn message<T>(made: Result<T>) -> String {
    made.err().expect("an error").to_string()
}

#[test]
fn what_cannot_be_says_what_to_do() {
    let x = real("Ny=4 Nx=6", 1);
    for (other, parts) in [
        ("Nx=6 Ny=4", vec![".permuted(\"Ny Nx\")"]),
        ("Ny=4 Nx=5", vec!["dim Nx has extent 5, expected 6"]),
        ("Ny=4", vec!["dim Nx is missing"]),
        ("A=4 B=6", vec![".renamed(\"Ny Nx\")"]),
    ] {
        let message = message((&x + &real(other, 2)).eval());
        assert!(parts.iter().all(|p| message.contains(p)), "{message}");
        assert!(message.contains("tests/arithmetic.rs:"), "{message}");
    }
    // The first place is told, however much is done with what failed.
    let wrong = &x - &real("A=2", 1);
    let place = message(wrong.eval());
    assert_eq!(message(((wrong * &x).abs() + 1.0).soft_threshold(2.0).norm()), place);
    let z = complex("Ny=4 Nx=6", 3);
    for (made, part) in [
        (Expression::from(&z).maximum(0.0), "maximum: complex values have no order"),
        (Expression::from(&x).minimum(&z), "minimum: complex values have no order"),
        (Expression::from(&z).sqrt(), "sqrt: the values are complex"),
        (Expression::from(&x).soft_threshold(-1.0), "the threshold is -1, expected"),
        (Expression::from(&x).soft_threshold(f32::NAN), "the threshold is NaN, expected"),
        (Expression::from(&x).soft_threshold(&z), "soft_threshold: complex"),
        (Expression::from(&x).clamp(2.0, 1.0), "clamp: the least value is 2, the largest 1"),
        (Expression::from(1.0) + 2.0, "numbers only"),
    ] {
        let message = message(made.eval());
        assert!(message.contains(part), "{message}");
    }
    assert!(message(z.max()).contains("no order"));
    assert!(message(x.slice(&[("Nz", 0..1)])).contains("dim Nz is not in"));
    assert!(message(x.slice(&[("Nx", 4..9)])).contains("does not fit extent 6"));
    assert!(message(x.slice(&[("Nx", 0..1), ("Nx", 2..3)])).contains("two ranges"));
    let part = real("Ny=1 Nx=6", 1);
    assert!(message(x.with_slice(&[("Ny", 0..2)], &part)).contains("dim Ny has extent 1, expected 2"));
    assert!(message(z.with_slice(&[("Ny", 0..1)], &part)).contains("the part is float32, expected complex64"));
    if let Some(device) = common::gpu() {
        let there = x.to(&device).unwrap();
        for made in [(&there + &x).eval(), x.with_slice(&[("Ny", ..)], &there)] {
            assert!(
                matches!(made.as_ref().unwrap_err().root(), Error::Device(m) if m.contains(".to(&device)")),
                "{made:?}"
            );
        }
    }
}

#[test]
fn long_expressions_are_computed_in_parts() {
    for device in devices() {
        let tensors: Vec<Tensor> = (0..23).map(|k| real("N=37", k).to(&device).unwrap()).collect();
        let sum = tensors.iter().map(Expression::from).reduce(|a, b| a + b).unwrap().eval().unwrap();
        let want = tensors.iter().map(home).reduce(|a, b| a + b).unwrap();
        assert!(off(&home(&sum), &want) < NEAR);
        // Two long ones at once.
        let product = |range: std::ops::Range<usize>| tensors[range].iter().map(Expression::from).reduce(|a, b| a + b);
        let both = product(0..6).unwrap() * product(6..12).unwrap();
        let half = |range: std::ops::Range<usize>| tensors[range].iter().map(home).reduce(|a, b| a + b).unwrap();
        assert!(off(&home(&both.eval().unwrap()), &(half(0..6) * half(6..12))) < NEAR);
        let mut deep = Expression::from(&tensors[0]);
        for _ in 0..300 {
            deep = deep * 0.5 + &tensors[1];
        }
        assert!(off(&home(&deep.eval().unwrap()), &(home(&tensors[1]) * Complex64::new(2.0, 0.0))) < NEAR);
        let turned = (0..101).fold(Expression::from(&tensors[0]), |e, _| -e);
        assert_eq!(home(&turned.eval().unwrap()), -home(&tensors[0]));
        // What stands twice is one.
        let once = &tensors[0] * &tensors[1];
        assert_eq!(format!("{:?}", &once * &once), "Expression(N=37 float32, 4 steps)");
    }
}

#[test]
fn bits_are_the_same_each_time() {
    let (x, y) = (complex("A=77 N=3001", 1), complex("A=77 N=3001", 2));
    for device in devices() {
        let [x, y] = [&x, &y].map(|t| t.to(&device).unwrap());
        let run = || {
            let values = (&x * &y - 0.3 * &x).soft_threshold(0.2).eval().unwrap();
            let dot = x.dot(&y).unwrap();
            let values = common::bits(&values.to(&Device::host()).unwrap().to_array().unwrap());
            (values, [dot.re, dot.im, (&x - &y).norm().unwrap(), x.max_abs().unwrap()].map(f64::to_bits))
        };
        let first = run();
        assert!((0..3).all(|_| run() == first), "{device}");
        if device.is_host() {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert!(pool.install(run) == first);
            }
        }
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn runtime_checks_change_no_bit() {
    for binding in [None, Some(1 << 14)] {
        let run = |checked: bool| {
            let options = linops::gpu::GpuOptions::default().checked(checked).max_binding(binding);
            let device = common::gpu_with(options)?;
            let [x, y] = [1, 2].map(|seed| complex("A=7 N=1501", seed).to(&device).unwrap());
            let values = (&x / (&y + 2.0) - 0.3 * x.sign().unwrap()).soft_threshold(y.abs().unwrap());
            let part = values.eval().unwrap().slice(&[("N", (3, 1400, 7))]).unwrap();
            let put = y.with_slice(&[("N", (0, 1396, 7))], &part).unwrap();
            let numbers = [x.dot(&y).unwrap().im, values.norm().unwrap(), values.max_abs().unwrap()];
            Some((common::bits(&put.to(&Device::host()).unwrap().to_array().unwrap()), numbers.map(f64::to_bits)))
        };
        let checked = run(true);
        assert!(checked == run(false), "bindings of {binding:?}");
    }
}

/// Sub-linops run on either device; what arithmetic reads of them comes to the first one.
#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn several_adapters_are_one_device() {
    use linops::gpu::Choice;
    use linops::linop;
    if common::gpu().is_none() {
        return;
    }
    let device = Device::gpus(&[Choice::Any, Choice::Any]).unwrap();
    for (x, y) in pairs("N=4099") {
        check(&device, &x, &y);
    }
    check_slices(&device, "A=13 B=17 C=5");
    let parts = [1, 2, 3].map(|seed| linop::diagonal("N=500", &real("N=500", seed)).unwrap());
    let a = linop::stack(parts, None, Some(("S", 0))).unwrap();
    let x = real("N=500", 4);
    let there = a.apply(&x.to(&device).unwrap()).unwrap();
    let twice = (&there + 1.0 * there.clone()).eval().unwrap();
    let want = home(&a.apply(&x).unwrap()) * Complex64::new(2.0, 0.0);
    assert!(off(&home(&twice), &want) < NEAR);
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn an_expression_is_one_submission_and_takes_no_new_memory() {
    let Some(device) = common::gpu_with(linops::gpu::GpuOptions::default()) else { return };
    let gpu = device.as_gpu().unwrap();
    let [x, y] = [1, 2].map(|seed| complex("A=33 N=500", seed).to(&device).unwrap());
    let mut z = x.clone();
    let mut step = |k: usize| {
        let before = gpu.lane_counts(0).submits;
        z = (&z + 0.1 * k as f32 * (&x - &y).conj()).soft_threshold(0.01).eval().unwrap();
        z = z.with_slice(&[("N", 1..9)], &y.slice(&[("N", 0..8)]).unwrap()).unwrap();
        (gpu.lane_counts(0).submits - before, gpu.memory().made, gpu.kernels())
    };
    step(0);
    let warm = step(1);
    // The expression, the slice, the copy and what replaces a part of it.
    assert_eq!(warm.0, 4);
    assert!((2..20).all(|k| step(k) == warm));
}

/// a·x + y of complex and real values on every device, against f64; and what does not go together.
#[test]
fn axpy_is_what_it_says() {
    for device in devices() {
        for (x, y) in [
            (real("A=5 B=7", 1), real("A=5 B=7", 2)),
            (complex("A=5 B=7", 3), complex("A=5 B=7", 4)),
            (complex("A=5 B=7", 5), real("A=5 B=7", 6)),
        ] {
            let a = Complex32::new(0.5, if x.dtype() == DType::Complex32 { -1.5 } else { 0.0 });
            let z = y.to(&device).unwrap().axpy(a, &x.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap();
            for ((z, x), y) in z.to_vec().unwrap().iter().zip(x.to_vec().unwrap()).zip(y.to_vec().unwrap()) {
                let [a, x, y, z] = [a, x, y, *z].map(|v| Complex64::new(v.re.into(), v.im.into()));
                assert!((a * x + y - z).norm() < 1e-6);
            }
        }
        let x = real("A=5 B=7", 1).to(&device).unwrap();
        let wrong = real("A=7 B=5", 1).to(&device).unwrap();
        assert!(x.axpy(1.0, &wrong).unwrap_err().to_string().contains("A=7 B=5"));
    }
}

/// A caller's buffer that ends within 16 bytes is read one by one, of a longer one what is behind the tensor goes nowhere: the same bits as
/// of memory of the pool.
#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn buffers_that_end_anywhere_give_the_same_bits() {
    let Some(device) = common::gpu() else { return };
    let gpu = device.as_gpu().unwrap();
    for n in [1usize, 3, 255, 1025, 4099] {
        let (x, y) = (complex(format!("N={n}"), 1), real(format!("N={n}"), 2));
        let [pooled, weights] = [&x, &y].map(|t| t.to(&device).unwrap());
        let own = |t: &Tensor, bytes: usize, more: usize| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
            let size = (n * bytes) as u64;
            let whole = size + more as u64;
            let desc = wgpu::BufferDescriptor { label: None, size: whole, usage, mapped_at_creation: false };
            let buffer = gpu.wgpu_device().create_buffer(&desc);
            gpu.wgpu_queue().unwrap().write_buffer(&buffer, 0, &vec![0x7f; whole as usize]);
            let to = Tensor::from_wgpu(&device, buffer, t.shape(), t.dtype()).unwrap();
            let mut encoder = gpu.wgpu_device().create_command_encoder(&Default::default());
            let from = t.to(&device).unwrap();
            encoder.copy_buffer_to_buffer(from.wgpu_buffer().unwrap(), 0, to.wgpu_buffer().unwrap(), 0, size);
            gpu.wgpu_queue().unwrap().submit([encoder.finish()]);
            to
        };
        let list = |t: Tensor| t.to(&Device::host()).unwrap().to_vec().unwrap();
        let made = |x: &Tensor, y: &Tensor| (list((x * y + x).eval().unwrap()), x.dot(x).unwrap(), y.max().unwrap());
        let squares = |y: &Tensor| (list((y * y).eval().unwrap()), y.dot(y).unwrap());
        for more in [0, 4, 64] {
            let (callers, callers_weights) = (own(&x, 8, more), own(&y, 4, more));
            assert_eq!(made(&callers, &callers_weights), made(&pooled, &weights), "{n} and {more} bytes");
            assert_eq!(squares(&callers_weights), squares(&weights), "{n} and {more} bytes");
        }
    }
}
