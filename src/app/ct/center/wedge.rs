//! The axis from the spectrum of the sinogram of parallel rays over half a turn.
//!
//! With its mirror image, half a turn makes a whole one. Around the right axis the two-dimensional spectrum of that, over angle
//! and detector, is 0 but for a double wedge |n| ≤ 2πRk, where R is the radius that holds the object (Edholm, Lewitt and Lindholm, Proc.
//! SPIE 671:8, 1986); so the axis is where the least of it is outside (Vo et al., Opt. Express 22:19078, 2014). All views count, and
//! what is outside are all conditions that parallel views have to fulfil, that of the centres of mass among them.

use super::least_between;
use ndarray::Array2;
use num_complex::Complex64;
use rustfft::FftPlanner;
use std::f64::consts::PI;

/// The wedge is so many frequencies of the angle wider.
const MARGIN: f64 = 2.0;

/// Angles are even up to this part of their step.
const EVEN: f64 = 0.02;

/// The axis within a pixel and a half around a first guess; None where the angles are uneven or cover more or less than half a turn.
pub(super) fn refine(slices: &[Array2<f64>], angles: &[f64], guess: f64, radius: f64) -> Option<f64> {
    let count = half_turn(angles)?;
    let n = slices.first()?.ncols();
    let mut planner = FftPlanner::<f64>::new();
    let (along, around) = (planner.plan_fft_forward(n), planner.plan_fft_forward(2 * count));
    // Spectra along the detector, one frequency behind the other, each over the angles.
    let mut spectra: Vec<(usize, Vec<Complex64>)> = Vec::new();
    for view in slices {
        let mut rows: Vec<Vec<Complex64>> = view
            .rows()
            .into_iter()
            .take(count)
            .map(|row| row.iter().map(|v| Complex64::from(*v)).collect::<Vec<_>>())
            .collect();
        rows.iter_mut().for_each(|row| along.process(row));
        spectra.extend((0..n.div_ceil(2)).map(|k| (k, rows.iter().map(|row| row[k]).collect())));
    }
    // Of high frequencies the wedge leaves nothing outside.
    let edge = |k: usize| 2.0 * PI * k as f64 * radius / n as f64 + MARGIN;
    spectra.retain(|(k, _)| edge(*k) < count as f64);
    let outside = |center: f64| {
        let energy = |(k, values): &(usize, Vec<Complex64>)| {
            let shift = Complex64::cis(2.0 * PI * *k as f64 * center / n as f64);
            let mut turn: Vec<Complex64> = values.iter().map(|v| v * shift).collect();
            // The mirror image around the axis has the conjugate spectrum.
            turn.extend(values.iter().map(|v| (v * shift).conj()));
            around.process(&mut turn);
            let weight = if *k == 0 { 0.5 } else { 1.0 };
            let beyond = |m: usize| m.min(2 * count - m) as f64 > edge(*k);
            let sum: f64 = turn.iter().enumerate().filter(|(m, _)| beyond(*m)).map(|(_, v)| v.norm_sqr()).sum();
            weight * sum
        };
        Some(spectra.iter().map(energy).sum::<f64>())
    };
    const BESIDE: f64 = 1.5;
    least_between(guess - BESIDE, guess + BESIDE, outside)
}

/// The number of views, rising or falling evenly, that make half a turn.
fn half_turn(angles: &[f64]) -> Option<usize> {
    let step = (angles.last()? - angles[0]) / (angles.len() as f64 - 1.0);
    let even = angles.windows(2).all(|w| ((w[1] - w[0]) - step).abs() <= EVEN * step.abs());
    let count = (PI / step.abs()).round();
    // A step more or less than half a turn in a hundred steps is none: where the views end is where they begin again.
    let good = even && count >= 8.0 && (count * step.abs() - PI).abs() <= 0.25 * step.abs();
    (good && count as usize <= angles.len()).then_some(count as usize)
}
