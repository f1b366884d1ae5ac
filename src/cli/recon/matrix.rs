//! The extents of an image: as an argument, and as the header of a scan asks for them.

use super::field::Encoded;
use crate::cli::samples::Samples;
use linops::app::noncartesian::fitting_matrix;
use linops::io::ScanInfo;
use linops::{Error, Result};
use ndarray::Axis;
use std::path::Path;

/// One extent for all axes, or one each.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix(Vec<usize>);

impl Matrix {
    /// The extents of so many axes; None for another number of them.
    pub fn of_axes(&self, d: usize) -> Option<Vec<usize>> {
        match self.0.as_slice() {
            [n] => Some(vec![*n; d]),
            extents => (extents.len() == d).then(|| extents.to_vec()),
        }
    }

    /// How many extents were given.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Extents of `d` axes; `flag` and `whose` axes they are is for messages. An axis of 1 that there is too many does not count.
    pub fn for_axes(&self, d: usize, flag: &str, whose: &str) -> Result<Vec<usize>> {
        let one = self.0.iter().position(|n| *n == 1);
        match self.0.as_slice() {
            [n] => Ok(vec![*n; d]),
            extents if extents.len() == d => Ok(extents.to_vec()),
            extents if extents.len() == d + 1 && one.is_some() => {
                Ok(extents.iter().enumerate().filter(|(at, _)| Some(*at) != one).map(|(_, n)| *n).collect())
            }
            extents => {
                let message =
                    format!("{flag} has {} extents, expected {d} or one for all: {whose} {d} axes", extents.len());
                Err(Error::Value(message))
            }
        }
    }
}

pub fn matrix(text: &str) -> Result<Matrix, String> {
    let extents: Option<Vec<usize>> = text.split(['x', ',']).map(|n| n.parse().ok().filter(|n| *n > 0)).collect();
    let extents = extents.filter(|e| (1..=3).contains(&e.len()));
    extents.map(Matrix).ok_or_else(|| "expected 1 to 3 extents from 1 on, such as 256, 256x192 or 64x256x256".into())
}

/// The extents of the image of a scan by the maps that are given, (path, pixels), or else as `asked`, and whether the maps are of its
/// encoded field of view; `None` where neither says.
pub(super) fn of_maps_or_asked(
    samples: &Samples,
    encoded: Option<&Encoded>,
    maps: Option<(&Path, &[usize])>,
    asked: Option<&[usize]>,
) -> Result<(Option<Vec<usize>>, bool)> {
    let Some((path, pixels)) = maps else { return Ok((asked.map(<[usize]>::to_vec), false)) };
    let of_encoded = encoded.map(|encoded| encoded.image_of_maps(samples, pixels, asked)).transpose()?.flatten();
    let (is_encoded, image) = (of_encoded.is_some(), of_encoded.unwrap_or_else(|| pixels.to_vec()));
    expect_asked(path, pixels, &image, asked)?;
    Ok((Some(image), is_encoded))
}

/// Refuses coil maps of so many pixels, which make an image of other extents than `asked`.
pub(super) fn expect_asked(path: &Path, pixels: &[usize], image: &[usize], asked: Option<&[usize]>) -> Result<()> {
    match asked.filter(|asked| *asked != image) {
        Some(asked) => {
            Err(Error::file(path, format!("coil maps of {pixels:?} pixels, but --matrix asks for {asked:?}")))
        }
        None => Ok(()),
    }
}

/// The extents that the header of a scan asks for, where the trajectory (in cycles per field of view of the image) fits them; else
/// those that its reach asks for.
pub fn header_matrix(samples: &Samples) -> Result<Vec<usize>> {
    /// How far beyond the transform takes coordinates.
    const BEYOND: f64 = 1e-3;
    /// What an image of the header's extents resolves of its pixels at least.
    const RESOLVED: f64 = 0.75;
    let fitting = fitting_matrix(samples.trajectory.view())?;
    let Some(info) = &samples.info else { return Ok(fitting) };
    let last = Axis(samples.trajectory.ndim() - 1);
    let own: Vec<usize> = (3 - fitting.len()..3).map(|axis| header_pixels(info, axis)).collect();
    let reach = samples.trajectory.axis_iter(last).map(|k| k.iter().fold(0.0f64, |r, k| r.max(k.abs())));
    let fits = own.iter().zip(&fitting).zip(reach).all(|((own, fitting), reach)| {
        reach <= *own as f64 * (0.5 + BEYOND) && *fitting as f64 >= RESOLVED * *own as f64
    });
    Ok(if fits { own } else { fitting })
}

/// The header's pixels over the field of view that was read, of one axis (z, y, x).
fn header_pixels(info: &ScanInfo, axis: usize) -> usize {
    let (n, fov, whole) = (info.encoded_matrix[axis] as f64, info.fov_mm[axis], info.encoded_fov_mm[axis]);
    if fov > 0.0 && whole > 0.0 { (n * fov / whole).round().max(1.0) as usize } else { info.encoded_matrix[axis] }
}
