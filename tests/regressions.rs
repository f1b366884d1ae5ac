//! Faults that were found and mended, each with the smallest input that showed it.

mod common;

use common::data::{complex, distance, wide};
use common::{apply_on, devices};
use linops::linop::{self, Align, Operator, Stretch};
use linops::program::{AxisMap, Builder, ValueId};
use linops::solve::{SolveOptions, Stop, cg};
use linops::{DType, Device, Linop, Result, Tensor, apply_f64};
use ndarray::{Array1, Array2, Array3};
use num_complex::Complex32;
use std::sync::Arc;

fn numbers(n: usize) -> Array1<Complex32> {
    Array1::from_shape_fn(n, |k| Complex32::new(k as f32 + 1.0, 0.5 * k as f32))
}

/// On every device, as re of the result.
fn apply(a: &Linop, x: &Tensor) -> Vec<(String, Vec<f32>)> {
    let on = |d: Device| {
        let y = a.apply(&x.to(&d).unwrap()).unwrap().to(&Device::host()).unwrap();
        (d.name(), y.to_array().unwrap().iter().map(|z| z.re).collect())
    };
    devices().into_iter().map(on).collect()
}

#[test]
fn a_rolled_axis_cut_to_one_index_keeps_its_offset() {
    let x = Tensor::from_array(numbers(5), "N").unwrap();
    let a = linop::roll("N=5", &[("N", 2)]).unwrap();
    let one = Stretch { start: Some(0), stop: Some(1), step: None };
    let b = linop::slice("N=5", &[("N", one)]).unwrap();
    for (device, y) in apply(&linop::chain(vec![a, b]).unwrap(), &x) {
        assert_eq!(y, [4.0], "{device}");
    }
}

#[test]
fn a_stack_of_slices_of_a_rolled_axis_feeds_each_its_own() {
    let x = Array2::from_shape_fn((3, 2), |(s, n)| Complex32::from((10 * s + n) as f32));
    let x = Tensor::from_array(x, "S N").unwrap();
    let children: Vec<_> = (0..3).map(|k| linop::scalar("N=2", (k + 1) as f32).unwrap()).collect();
    let stack = linop::stack(children, Some(("S", 0)), Some(("S", 0))).unwrap();
    let a = linop::chain(vec![linop::roll("S=3 N=2", &[("S", 1)]).unwrap(), stack]).unwrap();
    for (device, y) in apply(&a, &x) {
        assert_eq!(y, [20.0, 21.0, 0.0, 2.0, 30.0, 33.0], "{device}");
    }
}

#[test]
fn a_padded_roll_reads_inside_of_its_axis() {
    for n in 1..8usize {
        for p in n..3 * n + 1 {
            for shift in -(n as i64)..=n as i64 {
                for flipped in [false, true] {
                    let roll = linop::roll(format!("N={n}"), &[("N", shift)]).unwrap();
                    let mut parts = vec![roll];
                    if flipped {
                        parts.push(linop::flip(format!("N={n}"), "N").unwrap());
                    }
                    parts.push(linop::pad(format!("N={n}"), format!("N={p}"), Align::Center).unwrap());
                    let x = Tensor::from_array(numbers(n), "N").unwrap();
                    let one_by_one = parts.iter().fold(x.clone(), |x, l| l.apply(&x).unwrap());
                    let want: Vec<f32> = one_by_one.to_array().unwrap().iter().map(|z| z.re).collect();
                    for (device, y) in apply(&linop::chain(parts.clone()).unwrap(), &x) {
                        assert_eq!(y, want, "{device}: n {n}, p {p}, shift {shift}, flipped {flipped}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_dim_may_be_subsampled_once() {
    let e = linop::downsample("Nx=8", &[("Nx", 2, 0), ("Nx", 2, 0)]).unwrap_err();
    assert!(e.to_string().contains("twice"), "{e}");
}

#[test]
fn huge_steps_and_factors_take_one_index() {
    let stretch = Stretch { start: Some(0), stop: Some(4), step: Some(1 << 63) };
    assert_eq!(linop::slice("Nx=4", &[("Nx", stretch)]).unwrap().output().unwrap().len(), 1);
    assert_eq!(linop::downsample("Nx=4", &[("Nx", usize::MAX, 1)]).unwrap().output().unwrap().len(), 1);
}

#[test]
fn solvers_find_data_of_any_scale_and_report_overflow() {
    let a =
        linop::diagonal("N=4", &Tensor::from_array(Array1::from(vec![1.0f32, 2.0, 3.0, 4.0]), "N").unwrap()).unwrap();
    for device in devices() {
        for scale in [1.0f32, 1e-24, 1e-30, 1e-37, 1e30, 1e37] {
            let y = numbers(4).mapv(|z| z * scale);
            let want = y.clone();
            let y = Tensor::from_array(y, "N").unwrap().to(&device).unwrap();
            // The normal's own rounding is all that is left after four steps.
            let b = linop::identity("N=4").unwrap().apply(&y).unwrap();
            let identity = linop::identity("N=4").unwrap();
            let r = cg(&identity.n(), &b, SolveOptions::default().iterations(4)).unwrap();
            let x = r.x.to(&Device::host()).unwrap().to_array().unwrap();
            assert_ne!(r.stop, Stop::Zero, "{} at {scale:e}", device.name());
            for (x, w) in x.iter().zip(&want) {
                assert!(((x - w) / scale).norm() < 1e-5, "{} at {scale:e}: {x} {w}", device.name());
            }
        }
        let b = Tensor::from_array(numbers(4), "N").unwrap().to(&device).unwrap();
        let r = cg(&a.n(), &b, SolveOptions::default().lambda(3e38).iterations(20));
        // Either an error, or an image without NaN: never NaN as success.
        if let Ok(r) = r {
            assert!(r.x.to(&Device::host()).unwrap().first_non_finite().is_none(), "{}", device.name());
        }
    }
}

#[derive(Debug)]
struct ReadsOutside(AxisMap);

impl Operator for ReadsOutside {
    fn op(&self) -> &'static str {
        "adjoint" // a name of ours must not confuse anything either
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.map_axis(x, 0, self.0, 4)
    }
}

#[test]
fn an_operator_of_a_users_own_cannot_read_outside_of_its_input() {
    let good = AxisMap::identity(4);
    let bad = [
        AxisMap { off: 1_000_000, ..good },
        AxisMap { off: -1, ..good },
        AxisMap { den: 0, ..good },
        AxisMap { num: 0, ..good },
        AxisMap { num: i64::MAX, ..good },
        AxisMap { hi: 5, ..good },
        AxisMap { lo: -1, ..good },
        AxisMap { wrap: true, num: 2, ..good },
    ];
    let shape: linops::Shape = "N=4".parse().unwrap();
    for map in bad {
        let a = Linop::new(shape.clone(), shape.clone(), Arc::new(ReadsOutside(map)));
        let _ = a.h().h();
        let x = Tensor::zeros("N=4", DType::Complex32).unwrap();
        let e = a.apply(&x).unwrap_err();
        assert!(e.to_string().contains("outside"), "{map:?}: {e}");
    }
}

#[test]
fn products_and_sums_in_a_loop_do_not_nest() {
    let one = linop::scalar("N=3", 1.0).unwrap();
    let mut product = one.clone();
    let mut sum = one.clone();
    for _ in 0..5000 {
        product = &product * &one;
        sum = &sum + &one;
    }
    assert_eq!((product.children().len(), sum.children().len()), (5001, 5001));
    let x = Tensor::from_array(Array1::from(vec![1.0f32, 2.0, 3.0]), "N").unwrap();
    assert_eq!(product.apply(&x).unwrap().to_real_array().unwrap()[[2]], 3.0);
}

#[test]
fn what_never_fits_is_refused_before_anything_is_made() {
    for device in devices().into_iter().filter(|d| !d.is_host()) {
        for shape in ["N=1000000000039", "A=100000000000000 N=64"] {
            let a = linop::fft(shape, "N", Default::default()).unwrap();
            let e = a.plan(&device, DType::Complex32).unwrap_err();
            assert!(matches!(e.root(), linops::Error::TooBig { .. }), "{e}");
        }
    }
}

#[test]
fn handles_of_one_adjoint_share_a_program() {
    let w = Tensor::from_array(Array3::from_elem((2, 3, 4), 2.0f32), "C Y X").unwrap();
    let a = linop::diagonal("Y=3 X=4", &w).unwrap();
    assert!(Arc::ptr_eq(&a.n().program().unwrap(), &a.n().program().unwrap()));
    assert!(Arc::ptr_eq(&a.h().program().unwrap(), &a.h().program().unwrap()));
}

/// Ten times the sum of two, under a name of the crate's own containers.
#[derive(Debug)]
struct Mine(&'static str, Vec<Linop>);

impl Operator for Mine {
    fn op(&self) -> &'static str {
        self.0
    }

    fn children(&self) -> &[Linop] {
        &self.1
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let parts = self.1.iter().map(|l| l.forward(b, x)).collect::<Result<Vec<_>>>()?;
        let sum = b.add(&parts)?;
        b.scale(sum, 10.0.into())
    }
}

#[test]
fn a_users_operator_is_not_taken_for_a_container_of_the_same_name() {
    let id = linop::identity("N=2").unwrap();
    let x = Tensor::from_array(Array1::from(vec![Complex32::from(1.0); 2]), "N").unwrap();
    for name in ["add", "chain", "adjoint", "normal", "concat", "stack"] {
        let children = if name == "adjoint" { vec![id.clone()] } else { vec![id.clone(), id.clone()] };
        let ten = 10.0 * children.len() as f32;
        let mine =
            Linop::new(id.input().unwrap().clone(), id.output().unwrap().clone(), Arc::new(Mine(name, children)));
        let cases = [
            (&mine + &id, ten + 1.0),
            (&id + &mine, ten + 1.0),
            (&mine * &id, ten),
            (&id * &mine, ten),
            (2.0f32 * &mine, 2.0 * ten),
            (-&mine, -ten),
            (mine.h(), ten),
            (mine.h().h(), ten),
            (mine.n(), ten * ten),
        ];
        for (k, (a, want)) in cases.iter().enumerate() {
            for (device, y) in apply(a, &x) {
                assert_eq!(y, [*want; 2], "\"{name}\", case {k} on {device}");
            }
        }
    }
}

#[test]
fn renamed_dims_keep_a_container_whole() {
    let f = linop::fft("N=4", "N", Default::default()).unwrap();
    let chain = linop::chain(vec![f.clone(), f.h()]).unwrap();
    let renamed = chain.out("M").unwrap();
    let back = linop::identity("M=4").unwrap();
    assert_eq!((back * renamed).output().unwrap().to_string(), "M=4");
}

#[test]
fn long_sums_of_prime_length_are_as_accurate_as_others() {
    for n in [1_000_003usize, 999_983, 65_537] {
        let x = Tensor::from_array(Array1::from(vec![0.1f32; n]), "N").unwrap();
        let want = n as f64 * f64::from(0.1f32);
        let a = linop::sum(format!("N={n}"), "N").unwrap();
        for (device, y) in apply(&a, &x) {
            let error = (f64::from(y[0]) - want).abs() / want;
            assert!(error < 2e-6, "{n} on {device}: {error:.1e}");
        }
    }
}

/// Many that are added to one: all of them, and with no more lost than of few.
#[test]
fn scatters_to_few_are_as_accurate_as_others() {
    for n in [65_536usize, 131_072, 1_000_003] {
        let index = Array1::from_shape_fn(n, |m| i64::from(m % 1000 == 7)).into_dyn();
        let a = linop::sampling_at("N=4", &[("N", index)], "S").unwrap().h();
        let x = Tensor::from_array(Array1::from(vec![0.1f32; n]), "S").unwrap();
        let few = (0..n).filter(|m| m % 1000 == 7).count();
        for (device, y) in apply(&a, &x) {
            for (y, count) in y.iter().zip([n - few, few]) {
                let want = count as f64 * f64::from(0.1f32);
                let error = (f64::from(*y) - want).abs() / want;
                assert!(error < 4e-6, "{n} on {device}: {error:.1e}");
            }
        }
    }
}

/// All points at one place.
#[test]
fn coincident_points_are_as_accurate_as_others() {
    use linop::{Accuracy, NufftOptions};
    for n in [3_000usize, 200_003] {
        let locs = ndarray::ArrayD::from_elem(vec![n, 1], 3.25);
        let options = NufftOptions::default().accuracy(Accuracy::Tol(1e-6));
        let a = linop::nufft("X=32", &locs, "X", options, "K").unwrap().h();
        let x = Tensor::from_array(Array1::from(vec![Complex32::new(0.1, 0.0); n]), "K").unwrap();
        let want = linops::apply_f64(&a, &wide(&x)).unwrap();
        for device in common::devices() {
            let error = distance(&common::apply_on(&device, &a, &x).unwrap(), &want);
            assert!(error < 1e-5, "{n} on {}: {error:.1e}", device.name());
        }
    }
}

/// More terms than 32 bits count: what is summed is all of them.
#[test]
fn sums_of_more_terms_than_32_bits_count() {
    for (n, p) in [(65_537usize, 65_539usize)] {
        let weight = Tensor::from_array(Array1::<f32>::ones(p), "P").unwrap();
        let a = linop::dense(format!("N={n}"), &weight, "").unwrap();
        let x = Tensor::from_array(Array1::<f32>::ones(n), "N").unwrap();
        let want = n as f64 * p as f64;
        for (device, y) in apply(&a, &x) {
            assert!((f64::from(y[0]) - want).abs() < 2e-6 * want, "{n} x {p} on {device}: {}", y[0]);
        }
    }
}

#[test]
fn deep_sums_in_code_are_flat_or_an_error() {
    let id = linop::identity("N=2").unwrap();
    let x = Tensor::from_array(numbers(2), "N").unwrap();
    // Brackets to the right, and to the left.
    let mut right = id.clone();
    let mut left = id.clone();
    for _ in 0..3000 {
        right = &id + &right;
        left = &left + &id;
    }
    for a in [right, left] {
        assert_eq!(a.children().len(), 3001);
        for (device, y) in apply(&a, &x) {
            assert!((y[1] - 2.0 * 3001.0).abs() < 1e-2, "{device}: {y:?}");
        }
    }
}

/// What cannot be flat, since each sum has a name, ends with an error; up to there a small stack is enough for all of it.
#[test]
fn what_nests_has_an_end_that_fits_a_small_stack() {
    let run = || {
        let id = linop::identity("N=2").unwrap();
        let x = Tensor::from_array(numbers(2), "N").unwrap();
        let sum = |a: &Linop| (a + &id).named("sum");
        let (mut a, mut depth) = (sum(&id), 1);
        let e = loop {
            let next = sum(&a);
            match next.check() {
                Ok(()) => (a, depth) = (next, depth + 1),
                Err(e) => break e.to_string(),
            }
        };
        assert!(e.contains("within each other more than") && depth > 100, "{e}");
        for a in [a.clone(), a.h(), a.n().h()] {
            for (device, y) in apply(&a, &x) {
                assert!(y[1] > 2.0 * depth as f32, "{device}: {y:?}");
            }
            assert!(a.to_string().lines().count() > depth);
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

/// A real gridding beside a complex sibling, with real data: what the gridding keeps for itself is as large as its results.
#[test]
fn a_real_gridding_beside_a_complex_sibling_has_room() {
    for (points, cells, image) in [(33usize, "X=4", &[4usize][..]), (5000, "Y=32 X=32", &[32, 32])] {
        let d = image.len();
        let locs = ndarray::ArrayD::from_shape_fn(vec![points, d], |i| {
            (i[0] * 7 + i[1] * 3) as f64 * 0.37 % (image[i[1]] - 1) as f64
        });
        let axes = cells.split(' ').map(|c| &c[..1]).collect::<Vec<_>>().join(" ");
        let g = linop::gridding(format!("P={points}"), &locs, cells, &Default::default())
            .unwrap_or_else(|e| panic!("{axes}: {e}"));
        let i = linop::scalar(g.output().unwrap(), Complex32::new(0.0, 1.0)).unwrap();
        let v = Tensor::from_array(Array1::from_shape_fn(points, |k| (k % 5) as f32 - 1.5), "P").unwrap();
        let w = Tensor::from_array(v.to_array().unwrap(), "P").unwrap();
        let stacked = linop::stack(vec![g.clone(), &i * &g], None, Some(("S", 0))).unwrap();
        let added = linop::add(vec![g.clone(), &i * &g]).unwrap();
        for a in [stacked, added] {
            for a in [a.clone(), a.n()] {
                for device in devices() {
                    let on = |x: &Tensor| {
                        let y = a.apply(&x.to(&device).unwrap()).unwrap().to(&Device::host()).unwrap();
                        y.to_array().unwrap()
                    };
                    let (real, complex) = (on(&v), on(&w));
                    let scale = complex.iter().fold(0.0f32, |m, z| m.max(z.norm()));
                    let worst = real.iter().zip(&complex).fold(0.0f32, |m, (r, c)| m.max((r - c).norm()));
                    assert!(worst <= 1e-5 * scale, "{points} points on {}: {worst} of {scale}", device.name());
                }
            }
        }
    }
}

#[test]
fn extents_that_add_up_to_too_much_are_an_error() {
    let part = |n: usize| linop::zero(format!("A={n}"), "B=1").unwrap();
    let mut parts: Vec<Linop> = (0..32).map(|_| part((1 << 59) - 1)).collect();
    parts.push(part(36));
    let e = linop::concat(parts, Some("A"), None).unwrap_err().to_string();
    assert!(e.contains("too much") && e.contains('A'), "{e}");
}

#[test]
fn what_no_memory_holds_is_an_error_on_the_host() {
    let a = linop::pad("N=2", "N=4000000000000", Align::Center).unwrap().out("N").unwrap();
    let f = linop::fft(a.output().unwrap(), "N", Default::default()).unwrap();
    let x = Tensor::from_array(numbers(2), "N").unwrap();
    for a in [a.clone(), f * a] {
        let e = a.apply(&x).unwrap_err();
        assert!(matches!(e.root(), linops::Error::OutOfMemory(_) | linops::Error::TooBig { .. }), "{e}");
    }
}

#[test]
fn normals_within_normals_have_an_end() {
    let w = Tensor::from_array(Array2::from_shape_fn((3, 3), |(i, j)| 0.3 * (i + 2 * j) as f32), "B A").unwrap();
    let mut a = linop::dense("A=3", &w, "B").unwrap().out("A").unwrap();
    let start = std::time::Instant::now();
    let e = (0..46).find_map(|_| {
        a = a.n();
        a.check().err()
    });
    assert!(e.unwrap().to_string().contains("normals lie within each other"));
    assert!(start.elapsed().as_secs() < 5);
}

/// A kernel as wide as it gets on a coarse grid is noise; up to the widest that is taken, wider is better.
#[test]
fn kernels_too_wide_for_their_grid_are_refused() {
    use linop::{Accuracy, NufftOptions, nufft};
    let locs = ndarray::ArrayD::from_shape_fn(vec![200, 2], |i| {
        ((i[0] * 31 + i[1] * 17) as f64 * 0.618).rem_euclid(20.0) - 10.0
    });
    let x = Tensor::from_array(
        Array2::from_shape_fn((20, 20), |(y, x)| Complex32::new((y % 7) as f32 - 3.0, (x % 5) as f32)),
        "Y X",
    )
    .unwrap();
    let at = |accuracy| nufft("Y=20 X=20", &locs, "Y X", NufftOptions::default().accuracy(accuracy), "K");
    let want = linops::apply_f64(
        &at(Accuracy::Tol(5e-7)).unwrap(),
        &x.to_array().unwrap().mapv(|z| num_complex::Complex64::new(z.re.into(), z.im.into())),
    )
    .unwrap();
    for (oversamp, most) in [(1.1, 4e-4), (1.25, 6e-6), (2.0, 1e-6)] {
        let mut widest = 0.0f64;
        for width in [4.0, 6.0, 8.0, 10.0, 14.0, 18.0, 24.0, 28.0, 32.0] {
            match at(Accuracy::Kernel { width, oversamp }) {
                Ok(a) => {
                    widest = width;
                    let y = a.apply(&x).unwrap().to_array().unwrap();
                    let square = |z: Complex32, w: num_complex::Complex64| {
                        (f64::from(z.re) - w.re).powi(2) + (f64::from(z.im) - w.im).powi(2)
                    };
                    let off: f64 = y.iter().zip(&want).map(|(z, w)| square(*z, *w)).sum();
                    let error = (off / want.iter().map(|w| w.norm_sqr()).sum::<f64>()).sqrt();
                    assert!(width < 8.0 || error < most, "width {width} at {oversamp}: {error:.1e}");
                }
                Err(e) => {
                    assert!(e.to_string().contains("loses more digits") && e.to_string().contains("take width"), "{e}");
                    assert!(width > 8.0, "{width} at {oversamp}: {e}");
                }
            }
        }
        assert!((8.0..32.0).contains(&widest), "{oversamp}: {widest}");
    }
}

/// Where one block fits, the stride to the next means nothing, however large it is.
#[test]
fn a_stride_beyond_32_bits_adds_no_block() {
    for stride in [4_294_967_292, 4_294_967_295, 1 << 53] {
        let a = linop::blocks("B=6 N=8", &[("N", 2, stride)], "B Q J").unwrap().h();
        let x = complex(a.input().unwrap(), 1);
        let want = apply_f64(&a, &wide(&x)).unwrap();
        for device in devices() {
            assert_eq!(distance(&apply_on(&device, &a, &x).unwrap(), &want), 0.0, "{stride} on {}", device.name());
        }
    }
}

/// Weights that single precision does not have are refused, not NaN.
#[test]
fn spacings_and_fields_beyond_single_precision_are_errors() {
    for spacing in [1e-46, 1e-30, 1e60, f64::NAN] {
        let options = linop::GradientOptions::default().spacing(Some(vec![spacing]));
        assert!(linop::gradient("N=4", "N", options.clone()).is_err(), "{spacing}");
        assert!(linop::laplacian("N=4", "N", options).is_err(), "{spacing}");
    }
    let f = linop::fft("N=4", "N", Default::default()).unwrap().out("K").unwrap();
    for (far, late) in [(1e160, 1e160), (1e308, 1.0)] {
        let field = ndarray::arr1(&[far, -far, 0.0, 0.0]).into_dyn();
        let times = ndarray::arr1(&[0.0, late, 0.0, 0.0]).into_dyn();
        let a = linop::off_resonance(&f, (&field, "N"), (&times, "K"), Default::default());
        assert!(a.is_err_and(|e| e.to_string().contains("turns of phase")), "{far} {late}");
    }
}
