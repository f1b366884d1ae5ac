//! The blur as a linop: from a canvas to the picture.

use super::Psf;
use crate::error::{Error, Result, shape_err, value_err};
use crate::linop::{self, Boundary, ConvolveMode, ConvolveOptions, Linop};
use crate::tensor::{Tensor, first_where};
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};

/// What is said of the scene outside of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outside {
    /// Nothing: it is solved for as far as the PSF reaches.
    #[default]
    Unknown,
    /// It is the picture again.
    Periodic,
    /// It is dark.
    Zero,
    /// It is the mirrored picture, the outermost samples twice.
    Mirror,
}

/// Dims of a picture, the last of them.
const AXES: [&str; 3] = ["Nz", "Ny", "Nx"];

/// A blur, y = A x, of a canvas x that holds the picture's part of the scene.
///
/// ```
/// use linops::app::{Blur, Outside, Psf, PsfCenter};
/// let psf = Psf::new(ndarray::Array2::<f32>::ones((5, 4)).into_dyn().view(), PsfCenter::Half, false)?;
/// let blur = Blur::new(&psf, &[64, 48], None, Outside::Unknown)?;
/// assert_eq!(blur.linop().input()?.to_string(), "Ny=68 Nx=51");
/// assert_eq!(blur.linop().output()?.to_string(), "Ny=64 Nx=48");
/// # Ok::<(), linops::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Blur {
    pub(super) linop: Linop,
    pub(super) psf: Psf,
    pub(super) extents: Vec<usize>,
    /// Where the picture begins in the canvas.
    pub(super) first: Vec<usize>,
    pub(super) outside: Outside,
    /// 1 where the picture counts; None if it does everywhere.
    pub(super) known: Option<ArrayD<f32>>,
}

impl Blur {
    /// The blur of pictures of these extents by a PSF of as many axes. It may be longer than the picture. `known`, if given, is 1
    /// where a sample of the picture counts and 0 where it does not.
    ///
    /// # Errors
    /// Another number of axes, other extents of `known`, or nothing that is known.
    pub fn new(psf: &Psf, extents: &[usize], known: Option<ArrayViewD<f32>>, outside: Outside) -> Result<Blur> {
        if psf.values().ndim() != extents.len() {
            let (came, want) = (psf.values().ndim(), extents.len());
            return shape_err!("the point-spread function has {came} axes, expected {want} as the picture {extents:?}");
        }
        if known.as_ref().is_some_and(|k| k.iter().all(|v| *v == 0.0)) {
            return value_err!("nothing of the picture is known: no sample counts, or none is finite");
        }
        let axes = dims(extents.len());
        let names: Vec<&str> = axes.split(' ').collect();
        let shape = |extents: &[usize]| -> String {
            names.iter().zip(extents).map(|(d, n)| format!("{d}={n}")).collect::<Vec<_>>().join(" ")
        };
        let reach: Vec<usize> = psf.values().shape().iter().map(|k| k - 1).collect();
        let canvas: Vec<usize> = extents.iter().zip(&reach).map(|(n, r)| n + r).collect();
        // Result p of "valid" reads the canvas up to p + k − 1, with tap 0; tap c there is the picture's own sample.
        let first: Vec<usize> = reach.iter().zip(psf.center()).map(|(r, c)| r - c).collect();
        let kernel = Tensor::from_array(psf.values().clone(), axes.as_str())?;
        let valid = ConvolveOptions::default().mode(ConvolveMode::Valid);
        let convolved = |canvas: &[usize]| linop::convolve(shape(canvas), &kernel, &axes, valid)?.out(axes.as_str());
        let (mut chain, first) = match outside {
            Outside::Unknown => (vec![convolved(&canvas)?], first),
            Outside::Periodic => {
                let kernel = Tensor::from_array(wrapped(psf, extents), axes.as_str())?;
                let circular = ConvolveOptions::default().boundary(Boundary::Circular);
                let a = linop::convolve(shape(extents), &kernel, &axes, circular)?.out(axes.as_str())?;
                (vec![a], vec![0; extents.len()])
            }
            Outside::Zero => {
                let ranges: Vec<_> =
                    names.iter().zip(first.iter().zip(extents)).map(|(d, (&f, &n))| (*d, f..f + n)).collect();
                let pad = linop::embed(shape(extents), &ranges, shape(&canvas))?.out(axes.as_str())?;
                (vec![pad, convolved(&canvas)?], vec![0; extents.len()])
            }
            Outside::Mirror => {
                let mut all = Vec::new();
                let mut now = extents.to_vec();
                for (axis, name) in names.iter().enumerate() {
                    let n = extents[axis] as i64;
                    let index = (0..canvas[axis] as i64).map(|q| mirrored(q - first[axis] as i64, n)).collect();
                    let index = ArrayD::from_shape_vec(IxDyn(&[canvas[axis]]), index)
                        .map_err(|e| Error::Shape(e.to_string()))?;
                    // The sampled dim comes last.
                    let others = names.iter().filter(|d| *d != name);
                    let out: Vec<&str> = others.chain([name]).copied().collect();
                    let sampled = linop::sampling_at(shape(&now), &[(name, index)], out.join(" "))?;
                    now[axis] = canvas[axis];
                    let back = linop::transpose(sampled.output()?, axes.as_str())?;
                    all.extend([sampled, back]);
                }
                all.push(convolved(&canvas)?);
                (all, vec![0; extents.len()])
            }
        };
        let known = known.map(|k| k.to_owned()).filter(|k| k.iter().any(|v| *v != 1.0));
        if let Some(known) = &known {
            let weights = Tensor::from_array(known.clone(), shape(extents).as_str())?;
            chain.push(linop::diagonal(shape(extents), &weights)?);
        }
        let linop = linop::chain(chain)?.named("blur");
        Ok(Blur { linop, psf: psf.clone(), extents: extents.to_vec(), first, outside, known })
    }

    /// The linop, from the canvas to the picture, both `Ny Nx` or `Nz Ny Nx`; what is not known of the picture is 0.
    pub fn linop(&self) -> &Linop {
        &self.linop
    }

    /// The picture's part of the canvas.
    ///
    /// # Errors
    /// The array has other extents than the canvas.
    pub fn cropped(&self, canvas: ArrayViewD<f32>) -> Result<ArrayD<f32>> {
        let expected = self.linop.input()?;
        if canvas.shape() != expected.extents() {
            return shape_err!("a canvas of extents {:?}, expected {expected}", canvas.shape());
        }
        let mut part = canvas;
        for (axis, (&f, &n)) in self.first.iter().zip(&self.extents).enumerate() {
            part.slice_axis_inplace(Axis(axis), Slice::from(f..f + n));
        }
        Ok(part.to_owned())
    }

    /// The picture as a tensor of the host, 0 where it does not count.
    pub(super) fn data(&self, image: ArrayViewD<f32>) -> Result<Tensor> {
        if image.shape() != self.extents {
            return shape_err!("a picture of extents {:?}, the blur expects {:?}", image.shape(), self.extents);
        }
        let mut image = image.to_owned();
        if let Some(known) = &self.known {
            image.zip_mut_with(known, |v, k| *v = if *k == 0.0 { 0.0 } else { *v });
        }
        if let Some((at, v)) = first_where(&image.view(), |v| !v.is_finite()) {
            return Err(Error::Value(format!(
                "the picture is {v} at {at:?}; correct it, or leave it out as not known"
            )));
        }
        Tensor::from_array(image, dims(self.extents.len()).as_str())
    }

    /// The mean of the samples that count; 0 where none does.
    pub(super) fn mean(&self, image: &ArrayD<f32>) -> f64 {
        let counts = |at: &IxDyn| self.known.as_ref().is_none_or(|k| k[at] != 0.0);
        let sum: f64 = image.indexed_iter().filter(|(at, _)| counts(at)).map(|(_, v)| f64::from(*v)).sum();
        sum / self.counted().max(1) as f64
    }

    /// Σ|y − c|² over what counts of y.
    pub(super) fn squares(&self, image: &ArrayD<f32>, c: f64) -> f64 {
        let counts = |at: &IxDyn| self.known.as_ref().is_none_or(|k| k[at] != 0.0);
        image.indexed_iter().filter(|(at, _)| counts(at)).map(|(_, v)| (f64::from(*v) - c).powi(2)).sum()
    }

    /// The standard deviation of what counts.
    pub(super) fn deviation(&self, image: &ArrayD<f32>) -> f64 {
        (self.squares(image, self.mean(image)) / self.counted().max(1) as f64).sqrt()
    }

    /// Samples that count.
    pub(super) fn counted(&self) -> usize {
        let all: usize = self.extents.iter().product();
        self.known.as_ref().map_or(all, |k| k.iter().filter(|v| **v != 0.0).count())
    }
}

/// "Ny Nx" for two axes.
pub(super) fn dims(axes: usize) -> String {
    AXES[3 - axes.clamp(1, 3)..].join(" ")
}

/// The taps on a period of the picture, with the centre at sample n/2.
pub(super) fn wrapped(psf: &Psf, extents: &[usize]) -> ArrayD<f32> {
    let mut taps = ArrayD::<f32>::zeros(IxDyn(extents));
    for (at, v) in psf.values().indexed_iter() {
        let place = ndarray::Dimension::slice(&at).iter().zip(psf.center()).zip(extents);
        let place: Vec<usize> =
            place.map(|((&j, &c), &n)| (j as i64 - c as i64 + (n / 2) as i64).rem_euclid(n as i64) as usize).collect();
        taps[&place[..]] += v;
    }
    taps
}

/// The sample of n that stands at position p where the picture goes on mirrored.
fn mirrored(p: i64, n: i64) -> i64 {
    let q = p.rem_euclid(2 * n);
    if q < n { q } else { 2 * n - 1 - q }
}
