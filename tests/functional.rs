//! Proximal operators against their definition, values against sums, on every device.

mod common;

use common::data::{Random, complex, real};
use common::devices;
use linops::convex;
use linops::functional::{
    Functional, Proximal, ball, bounded, boxed, group_l1, l1, l2, l2_squared, locally_low_rank, non_negative, nuclear,
    stacked, weighted_l1,
};
use linops::linop::{self, WaveletBoundary, WaveletOptions};
use linops::{Device, Error, Result, Tensor};
use nalgebra::DMatrix;
use num_complex::{Complex32, Complex64};

/// All functionals, over values "T=3 Y=5 X=7".
fn all() -> Vec<(&'static str, Functional)> {
    let shape = "T=3 Y=5 X=7";
    let weights = Tensor::from_vec(shape, (0..105).map(|i| (i % 4) as f32 * 0.5).collect::<Vec<f32>>()).unwrap();
    let turned = linop::transpose(shape, "X T Y").unwrap();
    vec![
        ("l1", l1(0.7).unwrap()),
        ("weighted l1", weighted_l1(0.6, &weights).unwrap()),
        ("group l1", group_l1(0.8, "T").unwrap()),
        ("group l1 of two dims", group_l1(0.8, "T Y").unwrap()),
        ("l2", l2(1.3).unwrap()),
        ("l2 that takes all", l2(1e3).unwrap()),
        ("l2 squared", l2_squared(0.9).unwrap()),
        ("bounded", bounded(0.5).unwrap()),
        ("ball", ball(2.0).unwrap()),
        ("boxed", boxed(-0.25, 0.5).unwrap()),
        ("non-negative", non_negative()),
        ("boxed from above 0 on", boxed(0.3, f64::INFINITY).unwrap()),
        ("boxed up to below 0", boxed(f64::NEG_INFINITY, -0.2).unwrap()),
        ("nuclear", nuclear(0.8, "T").unwrap()),
        ("tall nuclear", nuclear(0.8, "T Y").unwrap()),
        ("locally low rank", locally_low_rank(0.5, "T", &[2, 3], Some(&[1, 2])).unwrap()),
        ("conjugate of group l1", group_l1(0.8, "T").unwrap().conjugate()),
        ("shifted", l1(0.7).unwrap().shifted(&real(shape, 77))),
        ("scaled", l1(0.7).unwrap().scaled(-2.0).unwrap()),
        ("times", l2(0.5).unwrap().times(2.5).unwrap()),
        ("of another order", group_l1(0.7, "X").unwrap().of_orthonormal(&turned)),
        ("tv", convex::tv(0.2, "Y X").unwrap()),
        ("tv along one dim, that takes all", convex::tv(50.0, "T").unwrap()),
        ("stacked", stacked([(1, l1(0.3).unwrap()), (2, non_negative())])),
    ]
}

/// A series of so many frames and so many of these patterns, with noise, of a size.
fn series(frames: usize, [y, x]: [usize; 2], rank: usize, noise: f32, size: f32, seed: u64) -> Vec<Complex32> {
    let mut random = Random(seed);
    let mut draw = |n: usize| (0..n).map(|_| Complex32::new(random.uniform(), random.uniform())).collect::<Vec<_>>();
    let (courses, patterns, rest) = (draw(frames * rank), draw(rank * y * x), draw(frames * y * x));
    let at = |k: usize| {
        let (t, n) = (k / (y * x), k % (y * x));
        let sum: Complex32 =
            (0..rank).map(|r| courses[t * rank + r] * patterns[r * y * x + n] / (1.0 + r as f32).powi(3)).sum();
        (sum + rest[k] * noise) * size
    };
    (0..frames * y * x).map(at).collect()
}

/// The columns of blocks, and each block in f64 with its singular values less by t: (prox, Σ of the singular values).
fn blocks_in_f64(
    v: &[Complex32],
    frames: usize,
    [y, x]: [usize; 2],
    block: [usize; 2],
    at: [usize; 2],
    t: f64,
) -> (Vec<Complex64>, f64) {
    let mut made = vec![Complex64::default(); v.len()];
    let (mut norm, own) = (0.0, |i: usize, d: usize| (i + block[d] - at[d] % block[d]) / block[d]);
    let mut cells: Vec<(usize, usize)> = (0..y * x).map(|n| (own(n / x, 0), own(n % x, 1))).collect();
    let of = cells.clone();
    cells.sort_unstable();
    cells.dedup();
    for cell in cells {
        let columns: Vec<usize> = (0..y * x).filter(|n| of[*n] == cell).collect();
        let wide = |r: usize, c: usize| {
            Complex64::new(v[r * y * x + columns[c]].re.into(), v[r * y * x + columns[c]].im.into())
        };
        let svd = DMatrix::from_fn(frames, columns.len(), wide).svd(true, true);
        norm += svd.singular_values.iter().sum::<f64>();
        let less = DMatrix::from_diagonal(&svd.singular_values.map(|s| Complex64::from((s - t).max(0.0))));
        let m = svd.u.unwrap() * less * svd.v_t.unwrap();
        for (c, column) in columns.iter().enumerate() {
            (0..frames).for_each(|r| made[r * y * x + column] = m[(r, c)]);
        }
    }
    (made, norm)
}

/// Blocks of every shape: odd and prime extents, more frames than voxels and the reverse, some that no workgroup has room for, of low
/// rank, of full rank, of nothing, of large and of small numbers.
#[test]
fn blocks_of_low_rank_are_those_of_f64() {
    for (frames, extents, block, at, rank, noise, size) in [
        (5, [13, 11], [4, 4], [0, 0], 2, 0.01, 1.0),
        (7, [13, 11], [3, 5], [2, 4], 2, 0.0, 1e-3),
        (28, [16, 16], [8, 8], [4, 4], 3, 1e-3, 1.0),
        (61, [5, 6], [5, 3], [0, 1], 2, 0.1, 1e25),
        (3, [1, 17], [1, 1], [0, 0], 1, 0.5, 1.0),
        (1, [9, 9], [4, 4], [1, 1], 1, 0.0, 1.0),
        (40, [20, 20], [10, 10], [0, 0], 4, 0.01, 1.0),
        (6, [7, 7], [7, 7], [0, 0], 0, 0.0, 1.0),
        (12, [8, 9], [4, 3], [1, 1], 12, 1.0, 1.0),
    ] {
        let v = series(frames, extents, rank, noise, size, 3);
        let what = format!("{frames} frames of {extents:?}, blocks {block:?} from {at:?}, rank {rank}, size {size:e}");
        for (part, complex) in [(0.0, true), (0.02, true), (0.3, true), (0.05, false)] {
            let v: Vec<Complex32> = if complex { v.clone() } else { v.iter().map(|v| v.re.into()).collect() };
            let whole = v.iter().map(|v| f64::from(v.norm()).powi(2)).sum::<f64>().sqrt();
            let t = part * whole;
            let (want, norm) = blocks_in_f64(&v, frames, extents, block, at, t);
            let f = locally_low_rank(1.0, "T", &block, Some(&at)).unwrap();
            let shape = format!("T={frames} Y={} X={}", extents[0], extents[1]);
            let tensor = match complex {
                true => Tensor::from_vec(shape.as_str(), v).unwrap(),
                false => Tensor::from_vec(shape.as_str(), v.iter().map(|v| v.re).collect::<Vec<f32>>()).unwrap(),
            };
            for device in devices() {
                let tensor = tensor.to(&device).unwrap();
                let got = list(&f.prox(&tensor, t).unwrap());
                let wide = |v: &Complex32| Complex64::new(v.re.into(), v.im.into());
                let off = got.iter().zip(&want).map(|(g, w)| (wide(g) - w).norm_sqr()).sum::<f64>().sqrt();
                assert!(off <= 2e-5 * whole, "{what}, less {part}, complex {complex}, {device}: {off:e} of {whole:e}");
                assert_eq!(got, list(&f.prox(&tensor, t).unwrap()), "{what}, {device}: other bits");
                let value = f.value(&tensor).unwrap();
                assert!((value - norm).abs() <= 2e-5 * norm, "{what}, {device}: {value} and {norm}");
            }
        }
    }
}

/// A NaN is not lost on its way: an error where values come by the host, else NaN in its block.
#[test]
fn nan_in_a_block_is_seen() {
    let mut values = vec![1.0f32; 2 * 4 * 4];
    values[5] = f32::NAN;
    let v = Tensor::from_vec("T=2 Y=4 X=4", values).unwrap();
    let f = locally_low_rank(1.0, "T", &[2, 2], Some(&[0, 0])).unwrap();
    for device in devices() {
        let v = v.to(&device).unwrap();
        match f.prox(&v, 0.1) {
            Err(e) => assert!(e.to_string().contains("NaN"), "{e}"),
            Ok(p) => assert!(list(&p)[5].re.is_nan(), "{device}"),
        }
    }
}

/// Both kinds of values on every device.
fn values() -> Vec<Tensor> {
    let both = [complex("T=3 Y=5 X=7", 5), real("T=3 Y=5 X=7", 6)];
    let on = |device: Device| both.clone().map(|v| v.to(&device).unwrap());
    devices().into_iter().flat_map(on).collect()
}

fn list(t: &Tensor) -> Vec<Complex32> {
    t.to(&Device::host()).unwrap().to_vec().unwrap()
}

fn like(t: &Tensor, values: Vec<Complex32>) -> Tensor {
    let shape = t.shape().clone();
    let made = match t.dtype() {
        linops::DType::F32 => Tensor::from_vec(shape, values.iter().map(|v| v.re).collect::<Vec<f32>>()),
        _ => Tensor::from_vec(shape, values),
    };
    made.unwrap().to(&t.device()).unwrap()
}

fn distance(a: &[Complex32], b: &[Complex32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).norm_sqr())).sum()
}

#[test]
fn a_prox_is_the_least_of_its_neighbours() {
    let mut random = Random(3);
    for (name, f) in all() {
        for v in values() {
            for step in [0.4, 1.7] {
                let p = f.prox(&v, step).unwrap();
                assert_eq!((p.shape(), p.dtype(), p.device_name()), (v.shape(), v.dtype(), v.device_name()), "{name}");
                let (p, v_list) = (list(&p), list(&v));
                let energy =
                    |u: &[Complex32]| step * f.value(&like(&v, u.to_vec())).unwrap() + 0.5 * distance(u, &v_list);
                let least = energy(&p);
                assert!(least.is_finite(), "{name}: the prox violates the constraint");
                for size in [1e-1f32, 1e-2] {
                    for _ in 0..4 {
                        let near: Vec<Complex32> =
                            p.iter().map(|p| p + Complex32::new(random.uniform(), random.uniform()) * size).collect();
                        let near = list(&like(&v, near));
                        assert!(energy(&near) >= least * (1.0 - 3e-6), "{name} at {step}: {} < {least}", energy(&near));
                    }
                    // Towards v and back from it, where the energy is flattest.
                    for towards in [size, -size] {
                        let near: Vec<Complex32> = p.iter().zip(&v_list).map(|(p, v)| p + (v - p) * towards).collect();
                        assert!(energy(&near) >= least * (1.0 - 3e-6), "{name} at {step}: {} < {least}", energy(&near));
                    }
                }
            }
        }
    }
}

#[test]
fn moreau_takes_a_vector_apart() {
    for (name, f) in all() {
        for v in values() {
            let t = 0.8;
            let p = list(&f.prox(&v, t).unwrap());
            // v = prox(v, t) + t·prox*(v/t, 1/t).
            let scaled: Vec<Complex32> = list(&v).iter().map(|v| v / t as f32).collect();
            let q = list(&f.conjugate().prox(&like(&v, scaled), 1.0 / t).unwrap());
            let sum: Vec<Complex32> = p.iter().zip(&q).map(|(p, q)| p + q * t as f32).collect();
            let off = distance(&sum, &list(&v)).sqrt();
            assert!(off < 1e-4, "{name}: {off}");
        }
    }
}

/// Whose values are told to 1e-4, by many small passes: the neighbours on the host alone.
#[test]
fn total_generalised_variation_has_a_prox() {
    // And by how much the energy is below that of v, which a weaker step lowers less.
    let all = [linops::DType::Complex32, linops::DType::F32].map(|t| [(t, 0.2, 1.0, 0.9), (t, 0.15, 0.6, 0.97)]);
    for (dtype, weight, step, below) in all.into_iter().flatten() {
        has_a_prox(&convex::tgv(weight, "Y X").unwrap(), dtype, step, below);
    }
}

fn has_a_prox(f: &Functional, dtype: linops::DType, step: f64, below: f64) {
    let mut random = Random(4);
    let mut first: Option<(Vec<Complex32>, f64)> = None;
    // Another step is no other pass of a GPU.
    for v in values().into_iter().filter(|v| v.dtype() == dtype && (step == 1.0 || v.device().is_host())) {
        let p = f.prox(&v, step).unwrap();
        let (p, v_list, value) = (list(&p), list(&v), f.value(&p).unwrap());
        let (want, of_host) = first.get_or_insert_with(|| (p.clone(), value));
        assert!(distance(&p, want) < 1e-4 * distance(&p, &vec![Complex32::default(); p.len()]));
        assert!((value - *of_host).abs() < 3e-4 * value, "{value} and {of_host}");
        if !v.device().is_host() {
            continue;
        }
        let energy = |u: &[Complex32]| step * f.value(&like(&v, u.to_vec())).unwrap() + 0.5 * distance(u, &v_list);
        let least = energy(&p);
        assert!(least < below * energy(&v_list), "{least} of {}", energy(&v_list));
        let near: Vec<Complex32> =
            p.iter().map(|p| p + Complex32::new(random.uniform(), random.uniform()) * 0.3).collect();
        let near = list(&like(&v, near));
        assert!(energy(&near) >= least * (1.0 - 1e-4), "{} < {least}", energy(&near));
        for towards in [0.3f32, -0.3] {
            let near: Vec<Complex32> = p.iter().zip(&v_list).map(|(p, v)| p + (v - p) * towards).collect();
            assert!(energy(&near) >= least * (1.0 - 1e-4), "{} < {least}", energy(&near));
        }
    }
}

/// f(p) + f*(q) = Re⟨p, q⟩ where q = v − p is a subgradient at p = prox(v), and more than that elsewhere: what a conjugate is.
#[test]
fn values_of_conjugates_are_the_most_that_there_is() {
    let product = |a: &Tensor, b: &Tensor| a.dot(b).unwrap().re;
    let mut known = 0;
    for (name, f) in all() {
        for v in values() {
            let conjugate = f.conjugate();
            let p = f.prox(&v, 1.0).unwrap();
            let q = (&v - &p).eval().unwrap();
            let Ok(of_q) = conjugate.value(&q) else { continue };
            known += 1;
            let (both, size) = (f.value(&p).unwrap() + of_q, product(&v, &v));
            assert!((both - product(&p, &q)).abs() <= 2e-5 * size, "{name}: {both} and {}", product(&p, &q));
            for factor in [0.5f32, 0.9, 1.1, 3.0] {
                let near = (&q * factor).eval().unwrap();
                let most = conjugate.value(&near).unwrap() - product(&p, &near);
                assert!(most + f.value(&p).unwrap() >= -2e-5 * size, "{name} at {factor}: {most}");
            }
        }
    }
    // All but what is shifted, stacked with a constraint, or a total variation.
    assert!(known >= 20 * values().len(), "{known}");
}

#[test]
fn wavelets_shrink_between_transforms() {
    let options = WaveletOptions::default().levels(Some(2)).boundary(WaveletBoundary::Periodization);
    let w = linop::wavelet("Y=8 X=16", "Y X", &options).unwrap();
    let f = l1(0.3).unwrap().of_orthonormal(&w);
    for device in devices() {
        let v = complex("Y=8 X=16", 4).to(&device).unwrap();
        let p = f.prox(&v, 1.0).unwrap();
        let before = list(&w.apply(&v).unwrap());
        for (c, b) in list(&w.apply(&p).unwrap()).iter().zip(&before) {
            let want = b * (1.0 - 0.3 / b.norm()).max(0.0);
            assert!((c - want).norm() < 1e-5, "{c} {want}");
        }
    }
}

#[test]
fn random_shifts_leave_no_edges_and_repeat() {
    let f = || locally_low_rank(0.6, "T", &[4, 4], None).unwrap();
    let v = complex("T=3 Y=9 X=8", 12);
    let draw = |f: &Functional| (0..3).map(|_| list(&f.prox(&v, 1.0).unwrap())).collect::<Vec<_>>();
    let (one, two) = (draw(&f()), draw(&f()));
    assert_eq!(one, two);
    assert_ne!(one[0], one[1]);
    // Each is the prox with blocks from one of the places where they may begin, and not always the same one.
    let at =
        |y: usize, x: usize| list(&locally_low_rank(0.6, "T", &[4, 4], Some(&[y, x])).unwrap().prox(&v, 1.0).unwrap());
    let all: Vec<Vec<Complex32>> = (0..16).map(|k| at(k / 4, k % 4)).collect();
    let drawn: Vec<usize> =
        one.iter().map(|p| all.iter().position(|q| q == p).expect("blocks from somewhere")).collect();
    assert!(drawn.iter().any(|k| *k != drawn[0]), "{drawn:?}");
}

#[test]
fn one_of_a_users_own() {
    /// 0 where the mean is 0.
    struct ZeroMean;
    impl Proximal for ZeroMean {
        fn name(&self) -> String {
            "zero mean".into()
        }
        fn value(&self, v: &Tensor) -> Result<f64> {
            let mean: Complex32 = list(v).iter().sum();
            Ok(if mean.norm() < 1e-4 { 0.0 } else { f64::INFINITY })
        }
        fn prox(&self, v: &Tensor, _: f64) -> Result<Tensor> {
            let values = list(v);
            let mean = values.iter().sum::<Complex32>() / values.len() as f32;
            Ok(like(v, values.iter().map(|v| v - mean).collect()))
        }
    }
    for v in values() {
        let f = Functional::own(ZeroMean);
        assert!(f.value(&v).unwrap().is_infinite());
        assert_eq!(f.value(&f.prox(&v, 1.0).unwrap()).unwrap(), 0.0);
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let v = complex("Y=4 X=4", 1);
    let says = |r: std::result::Result<Tensor, Error>, what: &str| {
        let e = r.unwrap_err().to_string();
        assert!(e.contains(what), "{e}");
    };
    assert!(l1(-1.0).unwrap_err().to_string().contains("the weight is -1"));
    assert!(boxed(1.0, 0.0).unwrap_err().to_string().contains("from 1 to 0"));
    assert!(locally_low_rank(1.0, "T", &[0], None).is_err());
    says(l1(1.0).unwrap().prox(&v, -1.0), "the step");
    says(group_l1(1.0, "X").unwrap().prox(&v, 1.0), "must stand in front");
    says(nuclear(1.0, "X").unwrap().prox(&v, 1.0), "must stand in front");
    says(stacked([(3, l1(1.0).unwrap())]).prox(&v, 1.0), "3 entries of the first dim");
    let nan = Tensor::from_slice("T=2 N=1", &[f32::NAN, 1.0]).unwrap();
    says(nuclear(1.0, "T").unwrap().prox(&nan, 1.0), "NaN");
    assert!(weighted_l1(1.0, &Tensor::from_slice("N=1", &[-1.0f32]).unwrap()).is_err());
}
