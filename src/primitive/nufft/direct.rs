//! The sum that the transform is, as it is written: for few points and small images, where it takes less than a grid, or where
//! no grid gives as many digits.

use crate::access::{Constant, ConstantData, ValueId};
use crate::allocate;
use crate::error::{Result, shape_err};
use crate::ir::Builder;
use crate::primitive::contract::Contract;
use num_complex::Complex32;
use std::f64::consts::TAU;

/// 1/√N·exp(−2πi k(n − c)/N) along each axis of the image, points × cells, made in f64; `locs` holds point after point.
pub(crate) fn tables(locs: &[f64], image: &[usize]) -> Result<Vec<Constant>> {
    image.iter().enumerate().map(|(axis, &n)| table(locs.iter().skip(axis).step_by(image.len()), n)).collect()
}

fn table<'k>(along: impl ExactSizeIterator<Item = &'k f64>, n: usize) -> Result<Constant> {
    let points = along.len();
    let Some(len) = points.checked_mul(n) else {
        return shape_err!("{points} points of {n} cells are more factors than can be counted");
    };
    let mut values = allocate::room_for(len, "a table of exponentials")?;
    let by = 1.0 / (n as f64).sqrt();
    for &k in along {
        // k is periodic with N; reduced first, it keeps its digits.
        let k = k - n as f64 * (k / n as f64).round();
        values.extend((0..n).map(|i| {
            let turns = k / n as f64 * (i as f64 - (n / 2) as f64);
            let (sin, cos) = (-TAU * (turns - turns.round())).sin_cos();
            Complex32::new((by * cos) as f32, (by * sin) as f32)
        }));
    }
    Constant::new(vec![points, n], ConstantData::C32(values))
}

/// The sums over the last axes of x, those of the image, one axis after the other; an axis that counts the points comes last.
pub(crate) fn sums(b: &mut Builder, x: ValueId, tables: &[Constant], image: &[usize]) -> Result<ValueId> {
    let kept = b.extents(x).len() - image.len();
    // The longest axis first, so that what is made between the sums is small; of equal ones the last.
    let mut order: Vec<usize> = (0..image.len()).rev().collect();
    order.sort_by_key(|&d| std::cmp::Reverse(image[d]));
    let batch: Vec<u32> = (0..kept as u32).collect();
    let point = kept as u32;
    let cells = |d: usize| point + 1 + d as u32;
    let (mut v, mut left) = (x, (0..image.len()).collect::<Vec<usize>>());
    for (k, d) in order.into_iter().enumerate() {
        let labels = |left: &[usize], points: bool| -> Vec<u32> {
            let points = points.then_some(point);
            batch.iter().copied().chain(points).chain(left.iter().map(|&d| cells(d))).collect()
        };
        let x = labels(&left, k > 0);
        left.retain(|&l| l != d);
        let y = labels(&left, true);
        let weight = tables[d].clone();
        v = b.contract(v, Contract { weight, conj: false, w: vec![point, cells(d)], x, y })?;
    }
    Ok(v)
}
