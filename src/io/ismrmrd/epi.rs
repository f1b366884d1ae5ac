//! Readouts there and back: the phase between them.
//!
//! Lines of the two directions differ by a constant phase and by a small shift of k-space, which is a slope of phase across the
//! image: the ghost at half the field of view. Both are found from a few lines without phase encoding. Bruder et al., Magn.
//! Reson. Med. 23:311 (1992); the slope by the autocorrelation of Ahn and Cho, IEEE Trans. Med. Imaging 6:32 (1987).

use super::assemble::row;
use super::readout;
use super::records::{Acquisition, flag};
use crate::fourier::centred_dft;
use ndarray::{Array2, Axis};
use num_complex::{Complex32, Complex64};

/// The phase of a reversed line against a forward one: constant + slope · (x − c), in rad and rad per pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Phase {
    pub constant: f64,
    pub slope: f64,
}

impl Phase {
    /// From phase-correction lines of both directions; `None` where one is missing, or they are 0. The readout has `n` samples.
    pub(super) fn find(navigators: &[&Acquisition], encoded: usize, n: usize) -> Option<Phase> {
        let channels = navigators.first()?.channels;
        if navigators.iter().any(|line| line.channels != channels) {
            return None;
        }
        let mean = |reverse: bool| -> Option<Array2<Complex32>> {
            let mut lines = navigators.iter().filter(|line| line.has(flag::REVERSE) == reverse);
            let mut sum = row(lines.next()?, encoded, n);
            lines.for_each(|line| sum += &row(line, encoded, n));
            centred_dft(sum.view_mut(), Axis(1), true);
            Some(sum)
        };
        let (forward, back) = (mean(false)?, mean(true)?);
        let wide = |v: Complex32| Complex64::new(v.re.into(), v.im.into());
        let across: Vec<Complex64> =
            (0..n).map(|x| (0..channels).map(|c| wide(back[[c, x]]) * wide(forward[[c, x]]).conj()).sum()).collect();
        let turn: Complex64 = across.windows(2).map(|pair| pair[1] * pair[0].conj()).sum();
        let slope = turn.arg();
        let centre = (n / 2) as f64;
        let flat: Complex64 =
            across.iter().enumerate().map(|(x, v)| v * Complex64::cis(-slope * (x as f64 - centre))).sum();
        (flat.norm() > 0.0 && flat.is_finite()).then(|| Phase { constant: flat.arg(), slope })
    }

    /// Takes the phase from a reversed line (channel, kx).
    pub(super) fn remove(&self, line: &mut Array2<Complex32>) {
        centred_dft(line.view_mut(), Axis(1), true);
        let centre = (line.ncols() / 2) as f64;
        for (x, mut column) in line.axis_iter_mut(Axis(1)).enumerate() {
            let turn = Complex64::cis(-self.constant - self.slope * (x as f64 - centre));
            let turn = Complex32::new(turn.re as f32, turn.im as f32);
            column.mapv_inplace(|v| v * turn);
        }
        centred_dft(line.view_mut(), Axis(1), false);
    }

    /// For the user: in degrees, and the shift of k-space in samples.
    pub(super) fn said(&self, n: usize) -> String {
        let shift = -self.slope * n as f64 / std::f64::consts::TAU;
        format!("{:.0}° and {shift:.2} samples", self.constant.to_degrees())
    }
}

/// Adds the place of the readout's centre; see [`readout::centre`].
pub(super) fn offset(line: &Acquisition, encoded: usize, n: usize) -> isize {
    (n / 2) as isize - readout::centre(line, encoded) as isize
}
