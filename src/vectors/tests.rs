//! Passes on the host and on a GPU beside plain loops in f64.

use super::{Formula, Group, Layout, Map, Measure, Pass, Scalar, Vector};
use crate::dim::Shape;
use crate::run::Device;
use crate::tensor::{DType, Tensor};
use num_complex::{Complex32, Complex64};

const X: Vector = Vector(0);
const Y: Vector = Vector(1);
const W: Vector = Vector(2);

/// Both devices, but a GPU only where tests have one.
fn devices() -> Vec<Device> {
    #[cfg_attr(not(feature = "gpu"), allow(unused_mut))]
    let mut all = vec![Device::host()];
    #[cfg(feature = "gpu")]
    if std::env::var_os("LINOPS_SKIP_GPU").is_none() {
        all.push(Device::software().expect("a software adapter, as other tests of a GPU"));
    }
    all
}

fn values(n: usize, seed: u32) -> Vec<Complex32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| Complex32::new(next(), next())).collect()
}

/// What a map does with the values of one group, of this weight.
fn mapped(map: &Map, group: &[Complex64], weight: f64) -> Vec<Complex64> {
    let size = group.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt();
    let number = |f: &Formula| f.value(&[]);
    match map {
        Map::Shrink(t, _) => group.iter().map(|v| v * (1.0 - number(t) * weight / size).max(0.0)).collect(),
        Map::Ball(t, _) => group.iter().map(|v| v * (number(t) * weight / size).min(1.0)).collect(),
        Map::Root(t, _) => {
            vec![Complex64::new(1.0, 1.0) * ((size * size + number(t).powi(2)).sqrt() / weight); group.len()]
        }
        Map::Clamp(low, high) => {
            let clamped = |v: &Complex64| v.re.clamp(f64::from(*low), f64::from(*high));
            group.iter().map(|v| Complex64::from(clamped(v))).collect()
        }
        // Of two vectors that are the same.
        Map::Over(_, t, _) => group.iter().map(|v| v / (weight * (1.0 + number(t)))).collect(),
    }
}

/// Runs y = map(x), Σ w|y| over groups, and compares. Weights are positive, and the same in both parts of a number.
fn compare(map: &Map, members: usize, inner: usize, complex: bool, weighted: bool) {
    let n = members * inner;
    let real = |v: Vec<Complex32>| v.into_iter().map(|v| Complex32::from(v.re)).collect::<Vec<_>>();
    let x = if complex { values(n, 7) } else { real(values(n, 7)) };
    let w: Vec<Complex32> = values(n, 9).iter().map(|v| Complex32::new(v.re.abs(), v.re.abs())).collect();
    let pass = Pass::new("map")
        .group(Group { members, complex })
        .update(Y, [(Formula::from(1.0), X)])
        .map(map.clone())
        .measure(Measure::Magnitudes(Y, weighted.then_some(W)))
        .dot(X, Y);
    let layout = Layout { scalars: 2, passes: vec![pass, Pass::new("total").totals([Scalar(0), Scalar(1)])] };
    let mut want = vec![Complex64::default(); n];
    let (mut magnitudes, mut dot) = (0.0, 0.0);
    let wide = |v: Complex32| Complex64::new(v.re.into(), v.im.into());
    for i in 0..inner {
        let group: Vec<Complex64> = (0..members).map(|m| wide(x[m * inner + i])).collect();
        let weight = if weighted { f64::from(w[i].re) } else { 1.0 };
        let mut y = mapped(map, &group, weight);
        if !complex {
            y.iter_mut().for_each(|y| y.im = 0.0);
        }
        magnitudes += weight * y.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt();
        for (m, (x, y)) in group.iter().zip(&y).enumerate() {
            want[m * inner + i] = *y;
            dot += (x.conj() * y).re;
        }
    }
    let shape: Shape = format!("N={n}").parse().unwrap();
    let tensor = |v: &[Complex32]| match complex {
        true => Tensor::from_slice(shape.clone(), v).unwrap(),
        false => Tensor::from_slice(shape.clone(), &v.iter().map(|v| v.re).collect::<Vec<_>>()).unwrap(),
    };
    let dtype = if complex { DType::Complex32 } else { DType::F32 };
    for device in devices() {
        let mut space = device.space(&[], &vec![(shape.clone(), dtype); 3], layout.clone()).unwrap();
        space.set(X, &tensor(&x).to(&device).unwrap()).unwrap();
        space.set(W, &tensor(&w).to(&device).unwrap()).unwrap();
        space.pass(0).unwrap();
        space.pass(1).unwrap();
        let s = space.scalars().unwrap();
        let y = space.get(Y).unwrap().to(&Device::host()).unwrap().to_vec().unwrap();
        let size = want.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt().max(1e-6);
        let off = want.iter().zip(&y).map(|(w, y)| (w - wide(*y)).norm_sqr()).sum::<f64>().sqrt();
        let what = format!("{map:?}, {members} x {inner}, complex {complex}, weighted {weighted}, {device}");
        assert!(off < 1e-5 * size, "{what}: {off:e} of {size}");
        assert!((s[0] - magnitudes).abs() <= 2e-5 * magnitudes.max(1e-6), "{what}: {} and {magnitudes}", s[0]);
        assert!((s[1] - dot).abs() <= 2e-5 * dot.abs().max(1.0), "{what}: {} and {dot}", s[1]);
    }
}

#[test]
fn maps_and_magnitudes_are_what_they_say() {
    for complex in [true, false] {
        for (members, inner) in [(1, 1), (1, 4099), (2, 4096), (2, 2049), (3, 1025), (5, 1), (6, 20_000)] {
            for weighted in [false, true] {
                let weights = weighted.then_some(W);
                compare(&Map::Shrink(Formula::from(0.6), weights), members, inner, complex, weighted);
                compare(&Map::Ball(Formula::from(0.6), weights), members, inner, complex, weighted);
                compare(&Map::Root(Formula::from(0.6), weights), members, inner, complex, weighted);
            }
            compare(&Map::Clamp(-0.25, 0.5), members, inner, complex, false);
            if members == 1 {
                compare(&Map::Over(W, Formula::from(0.5), W), members, inner, complex, true);
            }
        }
    }
}

#[test]
fn nothing_divided_by_nothing_is_nothing() {
    let over = Map::Over(X, Formula::from(-1.0), W);
    let pass = Pass::new("over").update(Y, [(Formula::from(1.0), X)]).map(over).dot(Y, Y);
    let layout = Layout { scalars: 1, passes: vec![pass, Pass::new("total").totals([Scalar(0)])] };
    for device in devices() {
        let shape: Shape = "N=3".parse().unwrap();
        let mut space = device.space(&[], &vec![(shape.clone(), DType::F32); 3], layout.clone()).unwrap();
        for (v, values) in [(X, [2.0f32, 0.0, 3.0]), (W, [1.0, 0.0, 4.0])] {
            space.set(v, &Tensor::from_slice(shape.clone(), &values).unwrap().to(&device).unwrap()).unwrap();
        }
        space.pass(0).unwrap();
        space.pass(1).unwrap();
        assert_eq!(space.scalars().unwrap(), [4.0]);
    }
}

#[test]
fn nothing_is_shrunk_to_nothing() {
    let pass = Pass::new("zero")
        .group(Group { members: 2, complex: true })
        .update(Y, [(Formula::from(1.0), X)])
        .map(Map::Shrink(Formula::from(0.0), None))
        .measure(Measure::Magnitudes(Y, None));
    let layout = Layout { scalars: 1, passes: vec![pass, Pass::new("total").totals([Scalar(0)])] };
    for device in devices() {
        let shape: Shape = "N=6".parse().unwrap();
        let mut space = device.space(&[], &vec![(shape.clone(), DType::Complex32); 2], layout.clone()).unwrap();
        space.set(X, &Tensor::zeros(shape, DType::Complex32).unwrap().to(&device).unwrap()).unwrap();
        space.pass(0).unwrap();
        space.pass(1).unwrap();
        assert_eq!(space.scalars().unwrap(), [0.0]);
        assert!(space.get(Y).unwrap().to(&Device::host()).unwrap().to_vec().unwrap().iter().all(|v| v.norm() == 0.0));
    }
}
