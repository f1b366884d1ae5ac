//! Twiddle factors between the stages: the table on the host, and the WGSL that reads it.
//!
//! A butterfly of radix `r` after `done` finished points multiplies input `q` by `w^(kq)`, `w = exp(-2πi/(done·r))`,
//! `k < done`. Only about `2√r` of the `r - 1` powers are stored, as `q = hi·b + lo`; the others cost one complex multiply,
//! which is cheaper than a memory access and adds one rounding.

use std::f64::consts::TAU;

use super::butterfly::Code;

/// Powers below this are read one by one from the low half of a two-level table, see [`two_level`] and `workgroup.wgsl`.
const LOW: usize = 512;

/// The base `b` of `q = hi·b + lo`.
fn base(radix: usize) -> usize {
    (1..=radix).find(|b| b * b >= radix).unwrap_or(1)
}

/// The powers in the table, in slot order: `1..b`, then the multiples of `b`.
fn stored(radix: usize) -> Vec<usize> {
    let b = base(radix).max(2);
    (1..radix).filter(|q| *q < b || q.is_multiple_of(b)).collect()
}

/// The table of one stage: `w^(kq)` at `slot·done + k`, so that neighbouring `k` read neighbouring elements.
pub(super) fn table(done: usize, radix: usize) -> Vec<[f32; 2]> {
    let n = done * radix;
    stored(radix).iter().flat_map(|&q| (0..done).map(move |k| root(k * q, n))).collect()
}

/// The number of elements of [`table`].
pub(super) fn table_len(done: usize, radix: usize) -> usize {
    stored(radix).len() * done
}

/// The table for all powers of `exp(-2πi/n)`: [`LOW`] powers, then every `LOW`-th one; a product of two gives any.
pub(super) fn two_level(n: usize) -> Vec<[f32; 2]> {
    let low = (0..LOW).map(|e| root(e, n));
    low.chain((0..n.div_ceil(LOW)).map(|e| root(e * LOW, n))).collect()
}

/// Multiplies `x[q]` by `w^(kq)`; `slot` gives the WGSL index of a slot.
pub(super) fn apply(code: &mut Code, x: &[String], slot: impl Fn(usize) -> String) -> Vec<String> {
    let radix = x.len();
    let mut powers = vec![String::new(); radix];
    for (s, q) in stored(radix).into_iter().enumerate() {
        powers[q] = code.bind(&format!("twiddle[{}]", slot(s)));
    }
    let b = base(radix).max(2);
    for q in 1..radix {
        if powers[q].is_empty() {
            powers[q] = code.bind(&format!("fft_mul({}, {})", powers[q - q % b], powers[q % b]));
        }
    }
    let rest = (1..radix).map(|q| code.bind(&format!("fft_mul({}, {})", x[q], powers[q]))).collect::<Vec<_>>();
    x.first().cloned().into_iter().chain(rest).collect()
}

/// `exp(-2πi e/n)`, the angle reduced to an eighth of a turn in integers so that the symmetric values agree exactly.
pub(super) fn root(e: usize, n: usize) -> [f32; 2] {
    let (e, n) = (8 * (e % n) as u128, n as u128);
    let (octant, rest) = (e / n, (e % n) as f64 / n as f64);
    let odd = octant % 2 == 1;
    let angle = TAU / 8.0 * if odd { 1.0 - rest } else { rest };
    let (sin, cos) = angle.sin_cos();
    let (cos, sin) = (cos as f32, sin as f32);
    // The point at the positive angle, then mirrored below the real axis.
    let [x, y] = match octant {
        0 => [cos, sin],
        1 => [sin, cos],
        2 => [-sin, cos],
        3 => [-cos, sin],
        4 => [-cos, -sin],
        5 => [-sin, -cos],
        6 => [sin, -cos],
        _ => [cos, -sin],
    };
    [x, -y]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_rounded_f64() {
        for n in 1..200 {
            for e in 0..2 * n {
                let (sin, cos) = (-TAU * (e % n) as f64 / n as f64).sin_cos();
                let [x, y] = root(e, n);
                assert!((f64::from(x) - cos).abs() < 6e-8 && (f64::from(y) - sin).abs() < 6e-8, "{e}/{n}");
            }
        }
        assert_eq!(root(1, 4), [0.0, -1.0]);
        assert_eq!(root(2, 4), [-1.0, 0.0]);
    }

    #[test]
    fn powers_come_from_the_stored_ones() {
        for radix in 2..=64 {
            let (list, b) = (stored(radix), base(radix).max(2));
            for q in 1..radix {
                let parts = [q - q % b, q % b];
                assert!(parts.iter().all(|p| *p == 0 || list.contains(p)), "{q} of {radix}");
            }
            assert_eq!(table(3, radix).len(), table_len(3, radix));
        }
        assert_eq!(stored(16), [1, 2, 3, 4, 8, 12]);
        assert_eq!(table(4, 2)[3], root(3, 8));
    }

    #[test]
    fn two_levels_reach_every_power() {
        for n in [1, 511, 512, 513, 131_072] {
            assert_eq!(two_level(n).len(), LOW + n.div_ceil(LOW));
        }
        assert_eq!(two_level(4096)[LOW + 3], root(3 * LOW, 4096));
    }
}
