//! What an estimate of a picture is off by, summed on the host in 64-bit numbers: the divergence of the Poisson likelihood, squares, and
//! what the first is expected to be. The sums are the same for any number of threads.

use super::counts::Divergence;
use crate::error::Result;
use crate::loops::widest;
use crate::tensor::{HostArray, Tensor};
use ndarray::ArrayD;
use rayon::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2};
use std::ops::Range;

/// Samples of one sum, and sums beside each other.
const STRETCH: usize = 4096;
const LANES: usize = 16;

/// A picture in C order, and the light that both it and an estimate have beside what is in them.
pub(super) struct Picture {
    data: Vec<f32>,
    known: Option<Vec<f32>>,
    dark: f32,
    /// Data with the dark's share where they are above 0 and count, else 0.
    lit: Vec<f32>,
    /// 1 where data are 0 and count.
    empty: Vec<f32>,
}

impl Picture {
    pub fn new(data: &ArrayD<f32>, known: Option<&ArrayD<f32>>, dark: f32) -> Picture {
        let data: Vec<f32> = data.iter().copied().collect();
        let known: Option<Vec<f32>> = known.map(|k| k.iter().copied().collect());
        let counts = |i: usize| known.as_ref().is_none_or(|k| k[i] != 0.0);
        let each = || data.iter().enumerate();
        let lit = each().map(|(i, y)| if *y > 0.0 && counts(i) { y + dark } else { 0.0 }).collect();
        let empty = each().map(|(i, y)| f32::from(*y <= 0.0 && counts(i))).collect();
        Picture { data, known, dark, lit, empty }
    }

    /// Σ y ln(y/a) − y + a for an estimate on the host, both with the dark's share; where nothing was seen all of it is too much.
    pub fn divergence(&self, seen: &Tensor) -> Result<f64> {
        let of = |range: Range<usize>, seen: &[f32]| {
            let (lit, empty) = (&self.lit[range.clone()], &self.empty[range]);
            widest(|| {
                let mut sums = [0.0f64; LANES];
                for ((lit, empty), seen) in lit.chunks(LANES).zip(empty.chunks(LANES)).zip(seen.chunks(LANES)) {
                    for (((sum, &lit), &empty), &a) in sums.iter_mut().zip(lit).zip(empty).zip(seen) {
                        let a = a.max(0.0);
                        let light = f64::from(if lit > 0.0 { lit } else { 1.0 });
                        let excess = log_excess(f64::from(a + self.dark) / light);
                        let of_light = if lit > 0.0 { f64::from(lit) * excess } else { 0.0 };
                        *sum += of_light + if empty > 0.0 { f64::from(a) } else { 0.0 };
                    }
                }
                sums.iter().sum()
            })
        };
        Ok(self.summed(seen, of)?.max(0.0))
    }

    /// ‖a − y‖².
    pub fn squares(&self, seen: &Tensor) -> Result<f64> {
        let term = |i: usize, a: f32| (f64::from(a) - f64::from(self.data[i])).powi(2);
        self.summed(seen, |range, seen| self.counted(range, seen).map(|(i, a)| term(i, a)).sum())
    }

    /// What the divergence is to be where the data are so many times counts, of the mean that is seen.
    pub fn expected(&self, seen: &Tensor, gain: f64, each: &Divergence) -> Result<f64> {
        let term = |a: f32| gain * each.of(f64::from(a.max(0.0)) / gain);
        self.summed(seen, |range, seen| self.counted(range, seen).map(|(_, a)| term(a)).sum())
    }

    /// The samples of a stretch that count, by their place.
    fn counted<'a>(&'a self, range: Range<usize>, seen: &'a [f32]) -> impl Iterator<Item = (usize, f32)> + 'a {
        let counts = |i: &usize| self.known.as_ref().is_none_or(|k| k[*i] != 0.0);
        range.zip(seen).filter(move |(i, _)| counts(i)).map(|(i, a)| (i, *a))
    }

    fn summed(&self, seen: &Tensor, of: impl Fn(Range<usize>, &[f32]) -> f64 + Sync) -> Result<f64> {
        let copied;
        let values = match seen.host_array() {
            Some(HostArray::F32(a)) if a.as_slice().is_some() => a.as_slice().unwrap_or_default(),
            _ => {
                copied = seen.to_real_vec()?;
                &copied
            }
        };
        let stretches = values.par_chunks(STRETCH).enumerate();
        let sums: Vec<f64> = stretches.map(|(n, a)| of(n * STRETCH..n * STRETCH + a.len(), a)).collect();
        Ok(sums.iter().sum())
    }
}

/// x − 1 − ln x for a normal x above 0, as exact near 1 as elsewhere, without branches.
///
/// With x = m·2ᵉ, m between √½ and √2, and s = (m − 1)/(m + 1): ln x = e ln 2 + 2(s + s³/3 + s⁵/5 + …), and m − 1 − 2s = (m − 1)·s.
#[inline(always)]
fn log_excess(x: f64) -> f64 {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    /// 2⁵², whose last digits are whole numbers, and an offset that keeps these above 0.
    const WHOLE: u64 = 0x4330_0000_0000_0000;
    const OFFSET: i64 = 4096;
    let bits = x.to_bits() as i64;
    let e = (bits - FRAC_1_SQRT_2.to_bits() as i64) >> MANTISSA;
    let m = f64::from_bits((bits - (e << MANTISSA)) as u64);
    let exponent = f64::from_bits(WHOLE | (e + OFFSET) as u64) - (f64::from_bits(WHOLE) + OFFSET as f64);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    // 1/21, …, 1/5, 1/3: the next is 10⁻¹⁷ of the first.
    let mut series = 1.0 / 21.0;
    for k in (1..10).rev() {
        series = series * q + 1.0 / f64::from(2 * k + 1);
    }
    (x - m) + (m - 1.0) * s - exponent * LN_2 - 2.0 * s * q * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn excesses_are_those_of_the_logarithm() {
        for k in -400..400 {
            let x = (0.1 * f64::from(k)).exp();
            let want = x - 1.0 - x.ln();
            assert!((log_excess(x) - want).abs() <= 4e-16 * (x + 1.0 + x.ln().abs()), "{x}");
        }
        // Near 1 as well: r²/2 − r³/3 + r⁴/4.
        for r in [1e-12, -1e-9, 1e-6, -1e-5, 1e-4f64] {
            let want = r * r * (0.5 - r / 3.0 + r * r / 4.0);
            let got = log_excess(1.0 + r);
            assert!((got / want - 1.0).abs() < 1e-9 + 4e-16 / r.abs(), "{r}: {got} {want}");
        }
        assert_eq!(log_excess(1.0), 0.0);
    }

    /// Against the definitions, with gaps and zeros, over more than a stretch and not a whole number of lanes.
    #[test]
    fn sums_are_those_of_their_definition() {
        let (n, dark) = (STRETCH + 1037, 1e-3f32);
        let y =
            ArrayD::from_shape_fn(IxDyn(&[n]), |i| [0.0f32, 3.0, 0.5, 80.0][i[0] % 4] * (1.0 + i[0] as f32 / n as f32));
        let known = ArrayD::from_shape_fn(IxDyn(&[n]), |i| f32::from(i[0] % 7 != 3));
        let seen = ArrayD::from_shape_fn(IxDyn(&[n]), |i| [0.2f32, 2.9, -0.1, 90.0, 1e-4][i[0] % 5]);
        let tensor = Tensor::from_array(seen.clone(), "N").unwrap();
        for known in [None, Some(&known)] {
            let picture = Picture::new(&y, known, dark);
            let (mut divergence, mut squares) = (0.0, 0.0);
            for i in (0..n).filter(|i| known.is_none_or(|k| k[[*i]] != 0.0)) {
                let (y, a) = (f64::from(y[[i]]), f64::from(seen[[i]].max(0.0)));
                let (light, estimate) = (f64::from(y as f32 + dark), f64::from(a as f32 + dark));
                divergence += if y > 0.0 { light * (light / estimate).ln() - light + estimate } else { a };
                squares += (f64::from(seen[[i]]) - y).powi(2);
            }
            let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
            assert!(close(picture.divergence(&tensor).unwrap(), divergence));
            assert!(close(picture.squares(&tensor).unwrap(), squares));
        }
    }
}
