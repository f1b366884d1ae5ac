//! Rays as Joseph's method walks them.
//!
//! A ray of the plane is walked along the axis that it runs along more: at step k, a column or a row of the image, it lies at
//! u(k) = u₀ + k·du of the other axis, |du| ≤ 1, between two pixels that share its value linearly. (P. M. Joseph, IEEE Trans. Med.
//! Imaging 1:192, 1982.) A ray of a cone has a shadow in that plane; at step k the ray of detector row r is at slice
//! z = p(k) + r·q(k), both linear in k, between two slices.

use super::scan::{Scan, at};
use rayon::prelude::*;

/// One pixel as positions have it: they are whole numbers of 2⁻¹⁶.
pub(super) const ONE: i64 = 1 << 16;

/// A position that is linear in k: start in 2⁻¹⁶, slope in 2⁻³⁰.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub start: i32,
    pub slope: i32,
}

impl Line {
    fn new(start: f64, slope: f64) -> Line {
        Line { start: (start * ONE as f64).round() as i32, slope: (slope * f64::from(1 << 30)).round() as i32 }
    }

    /// The position at step k, rounded once.
    #[inline(always)]
    pub fn at(self, k: i32) -> i32 {
        self.start.wrapping_add(((i64::from(k) * i64::from(self.slope) + (1 << 13)) >> 14) as i32)
    }

    /// The positions at step k and those that follow, each as [`at`](Line::at) has it.
    #[inline(always)]
    pub fn from(self, k: i32) -> impl Iterator<Item = i32> {
        let slope = i64::from(self.slope);
        let mut at = i64::from(k) * slope + (1 << 13);
        std::iter::repeat_with(move || {
            let position = self.start.wrapping_add((at >> 14) as i32);
            at += slope;
            position
        })
    }
}

/// Slices that a detector row spans, linear in k: start in 2⁻²⁸, slope in 2⁻³³.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span {
    pub start: i32,
    pub slope: i32,
}

impl Span {
    fn new(start: f64, slope: f64) -> Span {
        let scaled = |v: f64, bits: i32| (v * 2f64.powi(bits)).round() as i32;
        Span { start: scaled(start, 28), slope: scaled(slope, 33) }
    }

    /// Slices in 2⁻²⁸ at step k.
    #[inline(always)]
    pub fn at(self, k: i32) -> i32 {
        let whole = (k.wrapping_mul(self.slope >> 14)).wrapping_shl(9);
        self.start.wrapping_add(whole).wrapping_add(k.wrapping_mul(self.slope & 0x3fff) >> 5)
    }
}

/// So many rows of so many slices each.
#[inline(always)]
pub(super) fn rows_of(row: i32, span: i32) -> i32 {
    ((i64::from(row) * i64::from(span) + (1 << 11)) >> 12) as i32
}

/// A ray of the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ray {
    /// Where it lies along the other axis.
    pub u: Line,
    /// The steps at which it touches the image: from the first on, before the end.
    pub steps: (i32, i32),
    /// Whether steps are columns, and it lies between rows; else the other way round.
    pub along_x: bool,
    /// Length of a step.
    pub length: f32,
    /// The slice of row 0.
    pub p: Line,
    /// Slices of a row.
    pub q: Span,
}

impl Ray {
    /// The ray of a detector index; one that misses the image has no steps.
    pub fn new(scan: &Scan, view: usize, detector: usize) -> Ray {
        let ([_, ny, nx], c) = (scan.image(), detector as f64);
        let (n, d) = scan.forms(view);
        let [gamma, alpha, beta] = [0, 1, 2].map(|k| n[k] - c * d[k]);
        let along_x = alpha.abs() < beta.abs();
        let (u0, du, count, width) = match along_x {
            true => (-gamma / beta, -alpha / beta, nx, ny),
            false => (-gamma / alpha, -beta / alpha, ny, nx),
        };
        // Where u is between -1 and the width; a step more on either side.
        let ends = [(-1.0 - u0) / du, (width as f64 - u0) / du];
        let whole = du.abs() < 1e-12;
        let (low, high) = if whole { (0.0, count as f64) } else { (ends[0].min(ends[1]), ends[0].max(ends[1])) };
        let first = (low.floor() - 1.0).clamp(0.0, count as f64) as i32;
        let end = (high.ceil() + 2.0).clamp(0.0, count as f64) as i32;
        if first >= end || u0.abs() > 32_700.0 {
            return Ray::default();
        }
        let u = Line::new(u0, du);
        let touches = |k: &i32| (-ONE + 1..width as i64 * ONE).contains(&i64::from(u.at(*k)));
        let (Some(first), Some(last)) = ((first..end).find(touches), (first..end).rev().find(touches)) else {
            return Ray::default();
        };
        let p = scan.geometry().pixel_size;
        let mut ray = Ray {
            u,
            steps: (first, last + 1),
            along_x,
            length: (p * (1.0 + du * du).sqrt()) as f32,
            ..Ray::default()
        };
        if scan.geometry().is_volume() {
            let [slice, row, q] = scan.slices_per_row();
            // D at step 0, and what a step adds.
            let (d0, d1) = match along_x {
                true => (at(&d, 0.0, u0), d[1] + d[2] * du),
                false => (at(&d, u0, 0.0), d[2] + d[1] * du),
            };
            ray.p = Line::new(slice - row * q * d0, -row * q * d1);
            ray.q = Span::new(q * d0, q * d1);
        }
        ray
    }

    /// The ray as kernels read it.
    fn words(&self) -> [u32; 8] {
        let steps = self.steps.0 | self.steps.1 << 15 | i32::from(self.along_x) << 30;
        let Ray { u, p, q, .. } = *self;
        [u.start, u.slope, steps, self.length.to_bits() as i32, p.start, p.slope, q.start, q.slope].map(|w| w as u32)
    }

    /// The ray of these words.
    #[inline(always)]
    pub fn of(words: &[u32]) -> Ray {
        let w = |k: usize| words[k] as i32;
        Ray {
            u: Line { start: w(0), slope: w(1) },
            steps: (w(2) & 0x7fff, (w(2) >> 15) & 0x7fff),
            along_x: w(2) >> 30 != 0,
            length: f32::from_bits(words[3]),
            ..match words.len() {
                4 => Ray::default(),
                _ => Ray { p: Line { start: w(4), slope: w(5) }, q: Span { start: w(6), slope: w(7) }, ..Ray::default() },
            }
        }
    }
}

/// The words of all rays, view by view.
pub(super) fn rays(scan: &Scan) -> Vec<u32> {
    let (views, detectors, each) = (scan.geometry().angles.len(), scan.geometry().detectors, scan.ray_words());
    let mut words = vec![0; views * detectors * each];
    words.par_chunks_mut(detectors * each).enumerate().for_each(|(view, words)| {
        for (c, words) in words.chunks_exact_mut(each).enumerate() {
            words.copy_from_slice(&Ray::new(scan, view, c).words()[..each]);
        }
    });
    words
}
