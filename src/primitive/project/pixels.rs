//! Pixels as they fall onto the detector: the other model, whose back-projection samples views at the places of pixels.

use super::scan::{Form, Scan, VIEW};

/// Bits behind the point of D, and those that its parts have more.
const D: i32 = 22;
const MORE: i32 = 14;
/// Bits behind the point of N, so that N/D has 16.
const N: i32 = D + 16;

/// How pixels fall onto one view.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// N, less the detector's whole middle times D, in 2⁻³⁸.
    n: [i64; 3],
    /// D in 2⁻³⁶.
    d: [i64; 3],
    /// The detector's whole middle.
    pub middle: i32,
    /// The weight of what is sampled from it.
    pub share: f32,
    /// The forms around the middle of the image: what columns and rows add to N and D, and N there.
    rough: [f64; 5],
}

fn fixed(f: &Form, bits: i32) -> [i64; 3] {
    f.map(|v| (v * 2f64.powi(bits)).round() as i64)
}

impl View {
    pub fn new(scan: &Scan, view: usize) -> View {
        let (n, d) = scan.forms(view);
        let (center, _) = scan.geometry().centers();
        let middle = center.round();
        let n: Form = std::array::from_fn(|k| n[k] - middle * d[k]);
        // Around the middle of the image, where D is 1.
        let rough = [n[1], n[2], d[1], d[2], center - middle];
        View { n: fixed(&n, N), d: fixed(&d, D + MORE), middle: middle as i32, share: scan.shares()[view], rough }
    }

    /// D of a pixel in 2⁻²².
    #[inline(always)]
    pub fn depth(&self, i: i64, j: i64) -> i64 {
        (self.d[0] + self.d[1] * i + self.d[2] * j + (1 << (MORE - 1))) >> MORE
    }

    /// The detector index that a pixel falls onto, in 2⁻¹⁶.
    #[inline(always)]
    pub fn index(&self, i: i64, j: i64, depth: i64) -> i64 {
        let n = self.n[0] + self.n[1] * i + self.n[2] * j;
        quotient(n, depth) + (i64::from(self.middle) << 16)
    }

    /// The weight of a pixel: 1/D² of the view's share.
    #[inline(always)]
    pub fn weight(&self, depth: i64) -> f32 {
        let d = depth as f32 * (1.0 / (1 << D) as f32);
        self.share / (d * d)
    }

    /// The view as kernels read it.
    pub fn words(&self) -> [u32; VIEW] {
        let mut words = [0; VIEW];
        for (w, r) in words.iter_mut().zip(self.rough) {
            *w = (r as f32).to_bits();
        }
        words[5] = self.share.to_bits();
        words[6] = self.middle as u32;
        for k in 0..3 {
            // Of N the lowest bits are enough.
            words[7 + k] = self.n[k] as u32;
            words[10 + 2 * k] = (self.d[k] >> MORE) as u32;
            words[11 + 2 * k] = (self.d[k] & ((1 << MORE) - 1)) as u32;
        }
        words
    }
}

/// N/D, rounded down.
#[inline(always)]
fn quotient(n: i64, d: i64) -> i64 {
    if d == 1 << D { n >> D } else { n.div_euclid(d) }
}

/// How slices fall onto the rows of a cone's detector: row = middle + n(z)/D.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    n: [i64; 2],
    /// D times so much is the part of the row that is not whole.
    rest: i64,
    /// The detector's whole middle row.
    pub middle: i32,
    /// Rows that a slice spans at the axis; the slice in the plane of the source; the row there less the whole middle.
    pub rough: [f64; 3],
}

impl Row {
    pub fn new(scan: &Scan) -> Row {
        let [slice, row, q] = scan.slices_per_row();
        let (middle, g) = (row.round(), 1.0 / q);
        let fixed = |v: f64, bits: i32| (v * 2f64.powi(bits)).round() as i64;
        Row {
            n: [fixed(-slice * g, N), fixed(g, N)],
            rest: fixed(row - middle, 16),
            middle: middle as i32,
            rough: [g, slice, row - middle],
        }
    }

    /// The row that a slice falls onto, in 2⁻¹⁶.
    #[inline(always)]
    pub fn index(&self, z: i64, depth: i64) -> i64 {
        quotient(self.n[0] + self.n[1] * z, depth) + self.rest + (i64::from(self.middle) << 16)
    }

    /// What is added to kernels' parameters: n as far as 32 bits go, and what is added to the quotient.
    pub fn words(&self) -> [i64; 3] {
        [self.n[0], self.n[1], self.rest + (i64::from(self.middle) << 16)]
    }
}
