//! The pixels of an image of samples that a scanner measured, and the field of view that it is solved on.
//!
//! Scanners measure a larger field of view than they show. An image of the smaller one is solved on that, unless the object reaches
//! beyond: then it is solved on the encoded one and cut, as what lies outside is in the data too.

use crate::cli::samples::Samples;
use linops::Result;
use linops::app::noncartesian::{field_misfits, fitting_matrix};
use linops::io::ScanInfo;
use ndarray::Axis;
use num_complex::Complex32;

/// The extents that the header asks for, where the trajectory (in cycles per field of view of the image) fits them.
pub fn header_matrix(samples: &Samples) -> Result<Vec<usize>> {
    /// How far beyond the transform takes coordinates.
    const BEYOND: f64 = 1e-3;
    /// What an image of the header's extents resolves of its pixels at least.
    const RESOLVED: f64 = 0.75;
    let fitting = fitting_matrix(samples.trajectory.view())?;
    let Some(info) = &samples.info else { return Ok(fitting) };
    let d = fitting.len();
    let own: Vec<usize> = (3 - d..3).map(|axis| pixels(info, axis)).collect();
    let reach = |axis: usize| {
        samples
            .trajectory
            .index_axis(Axis(samples.trajectory.ndim() - 1), axis)
            .iter()
            .fold(0.0f64, |r, k| r.max(k.abs()))
    };
    let fits = own.iter().zip(&fitting).enumerate().all(|(axis, (own, fitting))| {
        reach(axis) <= *own as f64 * (0.5 + BEYOND) && *fitting as f64 >= RESOLVED * *own as f64
    });
    Ok(if fits { own } else { fitting })
}

/// The header's pixels over the field of view that was read, of one axis (z, y, x).
fn pixels(info: &ScanInfo, axis: usize) -> usize {
    let (n, fov, whole) = (info.encoded_matrix[axis] as f64, info.fov_mm[axis], info.encoded_fov_mm[axis]);
    if fov > 0.0 && whole > 0.0 { (n * fov / whole).round().max(1.0) as usize } else { info.encoded_matrix[axis] }
}

/// The encoded field of view, where it is larger than that of the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Of each axis, how much of it the image has.
    part: Vec<f64>,
    fov_mm: [f64; 3],
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
        let mut fov_mm = info.fov_mm;
        fov_mm[3 - d..].copy_from_slice(&info.encoded_fov_mm[3 - d..]);
        part.iter().any(|part| *part < 1.0).then_some(Encoded { part, fov_mm })
    }

    /// The pixels over it that are as small as those of an image of these extents.
    pub fn matrix(&self, image: &[usize]) -> Vec<usize> {
        /// Of a pixel, that rounding of the fields of view may add.
        const ROUNDING: f64 = 1e-3;
        image.iter().zip(&self.part).map(|(n, part)| (*n as f64 / part - ROUNDING).ceil() as usize).collect()
    }

    /// Whether the object reaches beyond the image, as far as the centre of k-space tells.
    pub fn is_needed(&self, samples: &Samples, device: &linops::Device) -> Result<bool> {
        let mut trajectory = samples.trajectory.clone();
        self.widen(&mut trajectory);
        let misfits = field_misfits(samples.values.view(), trajectory.view(), &self.part, device)?;
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
        if let Some(asked) = asked.filter(|asked| self.matrix(asked) == pixels) {
            return Ok(Some(asked.to_vec()));
        }
        let own = pixels.iter().zip(&self.part).map(|(n, part)| ((*n as f64 * part).round() as usize).max(1));
        Ok(Some(own.collect()))
    }

    /// Solves on it, for a reason: the coordinates become cycles of it, and an image of `matrix` pixels is cut to `image`. Gives what
    /// coil maps are multiplied by, so that values and weights mean the same as of an image that is not cut.
    pub fn take(&self, samples: &mut Samples, matrix: &[usize], image: &[usize], why: &str) -> f32 {
        self.widen(&mut samples.trajectory);
        if let Some(info) = &mut samples.info {
            info.fov_mm = self.fov_mm;
            let mut cut = [1; 3];
            cut[3 - image.len()..].copy_from_slice(image);
            info.cut_to = Some(cut);
        }
        let mm: Vec<String> = self.fov_mm[3 - image.len()..].iter().map(|mm| format!("{mm:.0}")).collect();
        samples.notes.push(format!("solved over the encoded {} mm and cut, as {why}", mm.join(" x ")));
        let count = |extents: &[usize]| extents.iter().map(|n| *n as f64).product::<f64>();
        (count(matrix) / count(image)).sqrt() as f32
    }

    /// An image of the smaller field of view, with zeros around it.
    pub fn padded(image: &ndarray::ArrayD<Complex32>, matrix: &[usize]) -> ndarray::ArrayD<Complex32> {
        let mut whole = ndarray::ArrayD::zeros(matrix);
        let mut middle = whole.view_mut();
        for (axis, (n, to)) in matrix.iter().zip(image.shape()).enumerate() {
            let start = n / 2 - to / 2;
            middle.slice_axis_inplace(Axis(axis), ndarray::Slice::from(start..start + to));
        }
        middle.assign(image);
        whole
    }

    fn widen(&self, trajectory: &mut ndarray::ArrayD<f64>) {
        let last = Axis(trajectory.ndim() - 1);
        for (mut k, part) in trajectory.axis_iter_mut(last).zip(&self.part) {
            k.mapv_inplace(|k| k / part);
        }
    }
}
