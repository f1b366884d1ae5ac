//! The field of view that a scan of samples is solved on.
//!
//! Scanners measure a larger field of view than they show. An image of the smaller one is solved on that, unless the object reaches
//! beyond: then it is solved on the encoded one and cut, as what lies outside is in the data too.

use super::geometry::by;
use super::matrix::header_matrix;
use crate::cli::samples::Samples;
use linops::app::noncartesian::field_misfits;
use linops::{Device, Error, Result};
use ndarray::Axis;

/// The encoded field of view, where it is larger than that of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Of each axis, how much of it the image has.
    part: Vec<f64>,
}

/// What changes with the field of view that is solved on, so that values and weights mean the same as of an image that is not cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// Of coil maps.
    pub maps: f32,
    /// Of weights that were made for the larger field of view.
    pub density: f64,
}

impl Encoded {
    /// That of a scan; `None` where the image has all of it.
    pub fn of(samples: &Samples) -> Option<Encoded> {
        let info = samples.info.as_ref()?;
        let d = samples.trajectory.len_of(Axis(samples.trajectory.ndim() - 1));
        let part = |axis: usize| match (info.fov_mm[axis], info.encoded_fov_mm[axis]) {
            (fov, whole) if fov > 0.0 && whole > fov => fov / whole,
            _ => 1.0,
        };
        let part: Vec<f64> = (3 - d..3).map(part).collect();
        part.iter().any(|part| *part < 1.0).then_some(Encoded { part })
    }

    /// As many pixels as those of an image of these extents as it takes to hold it.
    pub fn matrix(&self, image: &[usize]) -> Vec<usize> {
        /// Of a pixel, that rounding of the fields of view may add.
        const ROUNDING: f64 = 1e-3;
        image.iter().zip(&self.part).map(|(n, part)| (*n as f64 / part - ROUNDING).ceil() as usize).collect()
    }

    /// Whether the object of a scan reaches beyond the image, as far as the centre of k-space tells.
    pub fn is_needed(&self, samples: &Samples, device: &Device) -> Result<bool> {
        let misfits = field_misfits(samples.values.view(), samples.trajectory.view(), &self.part, device)?;
        Ok(misfits.reaches_beyond())
    }

    /// The extents of the image, where coil maps of so many pixels are maps of it: those of the header's encoded pixels, or of what
    /// `asked` extents make of them. `None` of any other, which are maps of the image.
    pub fn image_of_maps(
        &self,
        samples: &Samples,
        pixels: &[usize],
        asked: Option<&[usize]>,
    ) -> Result<Option<Vec<usize>>> {
        let Some(info) = &samples.info else { return Ok(None) };
        let image = header_matrix(samples)?;
        let encoded = &info.encoded_matrix[3 - image.len()..];
        if pixels == image || asked == Some(pixels) || (pixels != encoded && pixels != self.matrix(&image)) {
            return Ok(None);
        }
        if let Some(fits) = asked.into_iter().chain([&image[..]]).find(|image| self.matrix(image) == pixels) {
            return Ok(Some(fits.to_vec()));
        }
        let own = pixels.iter().zip(&self.part).map(|(n, part)| ((*n as f64 * part).round() as usize).max(1));
        Ok(Some(own.collect()))
    }
}

/// Solves on `matrix` pixels, of which the central `image` are kept, for a reason: the coordinates become cycles of the larger field of
/// view.
pub fn widen(samples: &mut Samples, matrix: &[usize], image: &[usize], why: &str) -> Scales {
    let more: Vec<f64> = matrix.iter().zip(image).map(|(n, own)| *n as f64 / *own as f64).collect();
    let last = Axis(samples.trajectory.ndim() - 1);
    for (mut k, more) in samples.trajectory.axis_iter_mut(last).zip(&more) {
        k.mapv_inplace(|k| k * more);
    }
    let mut over = String::new();
    if let Some(info) = &mut samples.info {
        let mut cut = [1; 3];
        cut[3 - image.len()..].copy_from_slice(image);
        info.cut_to = Some(cut);
        info.fov_mm[3 - image.len()..].iter_mut().zip(&more).for_each(|(mm, more)| *mm *= more);
        let mm: Vec<String> = info.fov_mm[3 - image.len()..].iter().map(|mm| format!("{mm:.0}")).collect();
        over = format!(" over {} mm", mm.join(" x "));
    }
    samples.notes.push(format!("solved on {}{over} and cut, as {why}", by(matrix)));
    let more: f64 = more.iter().product();
    Scales { maps: more.sqrt() as f32, density: 1.0 / more }
}

/// Whether any of the scans of a stack needs the encoded field of view: all of them are solved on the same.
pub fn any_needs_encoded<'a>(scans: impl Iterator<Item = &'a Samples>, device: &Device) -> Result<bool> {
    for samples in scans {
        if let Some(encoded) = Encoded::of(samples)
            && encoded.is_needed(samples, device)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses images that are likelier a slip of the keyboard.
pub fn expect_size(coils: usize, matrix: &[usize]) -> Result<()> {
    let values = matrix.iter().try_fold(coils, |n, extent| n.checked_mul(*extent));
    match values.filter(|n| *n <= 1 << 31) {
        Some(_) => Ok(()),
        None => {
            Err(Error::Value(format!("{coils} coils of {matrix:?} pixels are too many values; use a smaller --matrix")))
        }
    }
}

/// What there is to say where the encoded field of view would be needed and has too many pixels.
pub fn too_large(matrix: &[usize]) -> String {
    format!(
        "the object is larger than the image, but the encoded {} pixels are too many: what lies outside folds into the image",
        by(matrix)
    )
}
