//! What becomes of an image after the solve: the missing side of k-space, and a finer grid.

use super::noncartesian::{Matrix, matrix};
use super::warnings::Warnings;
use crate::cli::printer::Printer;
use linops::app::partial_fourier::{Band, one_sided};
use linops::app::{PartialFourier, fill_partial, zero_fill};
use linops::{Error, Result};
use ndarray::{Array2, ArrayD, Axis, Ix2, Slice};
use num_complex::Complex32;
use serde_json::{Map, Value, json};

#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "After the solve")]
#[group(skip)]
pub struct Finishing {
    /// The side of Cartesian k-space that was not acquired: zero (as the solve leaves it), homodyne or pocs, which fill it by the phase
    /// of the symmetric centre [default: zero]
    #[arg(long, value_name = "WAY", value_parser = |t: &str| t.parse::<PartialFourier>().map_err(|e| e.to_string()))]
    pub partial_fourier: Option<PartialFourier>,

    /// Zeros around the k-space of the image: pixels (ny,nx) of the result, or those of the file's header
    #[arg(long, value_name = "NY,NX", num_args = 0..=1, default_missing_value = "header", value_parser = pixels)]
    zero_fill: Option<Pixels>,
}

/// Extents, or those that the header has.
#[derive(Debug, Clone, PartialEq)]
enum Pixels {
    Header,
    Of(Matrix),
}

fn pixels(text: &str) -> Result<Pixels, String> {
    if text == "header" { Ok(Pixels::Header) } else { matrix(text).map(Pixels::Of) }
}

/// What is done to an image.
#[derive(Debug, Default, Clone)]
pub struct Finish {
    way: PartialFourier,
    bands: Vec<Band>,
    extents: Option<Vec<usize>>,
    /// The central pixels that are kept of that.
    cut: Option<Vec<usize>>,
}

impl Finishing {
    /// Whether another grid is asked for.
    pub fn fills(&self) -> bool {
        self.zero_fill.is_some()
    }

    /// Keeps the central pixels (y, x) of an image that is filled to the header's pixels, where those are of a smaller field of view.
    pub fn cut_to(&self, finish: &mut Finish, pixels: &[usize]) {
        let wider = finish.extents.as_ref().is_some_and(|n| n.iter().zip(pixels).any(|(n, to)| n > to));
        if self.zero_fill == Some(Pixels::Header) && wider {
            finish.cut = Some(pixels.to_vec());
        }
    }

    /// Sets the grid of an image of these extents; `header` are the pixels that the file asks for.
    pub fn on_grid(&self, finish: &mut Finish, extents: &[usize], header: Option<&[usize]>) -> Result<()> {
        let wanted = match (&self.zero_fill, header) {
            (None, _) => return Ok(()),
            (Some(Pixels::Of(matrix)), _) => matrix.for_axes(extents.len(), "--zero-fill", "the image has")?,
            (Some(Pixels::Header), Some(header)) => {
                // A smaller matrix is what an image was cropped to, or is not by the reader.
                extents.iter().zip(header).map(|(n, to)| *n.max(to)).collect()
            }
            (Some(Pixels::Header), None) => {
                let message = "no header says the matrix to zero-fill to; give it, as in --zero-fill 256,192";
                return Err(Error::Value(message.into()));
            }
        };
        if let Some((n, to)) = extents.iter().zip(&wanted).find(|(n, to)| to < n) {
            return Err(Error::Value(format!(
                "--zero-fill to {wanted:?}, but the image has {n} pixels, more than {to}"
            )));
        }
        finish.extents = Some(wanted);
        Ok(())
    }

    /// Sets what is done about the missing side, by the mask (ky, kx) of what was acquired, and says so.
    pub fn by_mask(&self, finish: &mut Finish, mask: &Array2<f32>, notes: &mut Vec<String>, warnings: &Warnings) {
        finish.bands = one_sided(mask.view());
        finish.way = self.partial_fourier.unwrap_or_default();
        for band in &finish.bands {
            let [first, last] = band.acquired;
            let axis = ["ky", "kx"][band.axis];
            let way = match self.partial_fourier {
                None => "zero; --partial-fourier pocs or homodyne fills it".to_string(),
                Some(way) => way.to_string(),
            };
            notes.push(format!("partial Fourier: {axis} {first} to {last} of {}, the rest by {way}", band.extent));
        }
        if finish.bands.is_empty() && finish.way != PartialFourier::Zero {
            warnings.say(format!(
                "--partial-fourier {}: both sides of k-space were acquired, nothing is filled",
                finish.way
            ));
        }
    }
}

impl Finish {
    /// The missing side filled, of one image (y, x).
    pub fn side(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        if self.way == PartialFourier::Zero || self.bands.is_empty() {
            return Ok(image);
        }
        let image = image.into_dimensionality::<Ix2>().map_err(|e| Error::Shape(e.to_string()))?;
        Ok(fill_partial(image.view(), &self.bands, self.way).map_err(|e| e.at("--partial-fourier"))?.into_dyn())
    }

    /// The pixels over the whole field of view of an image that has these extents in the end.
    pub fn whole(&self, image: &[usize]) -> Vec<usize> {
        self.extents.clone().filter(|n| n.len() == image.len()).unwrap_or_else(|| image.to_vec())
    }

    /// On the grid that is asked for.
    pub fn grid(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        let mut image = match &self.extents {
            Some(extents) => zero_fill(image.view(), extents)?,
            None => image,
        };
        for (axis, to) in self.cut.iter().flatten().enumerate() {
            let n = image.len_of(Axis(axis));
            let to = (*to).min(n);
            image = image.slice_axis(Axis(axis), Slice::from(n / 2 - to / 2..n / 2 - to / 2 + to)).to_owned();
        }
        Ok(image)
    }

    /// All of it.
    pub fn apply(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        self.grid(self.side(image)?)
    }

    /// What was done, for people and for programs.
    pub fn describe(&self, printer: &Printer, facts: &mut Map<String, Value>) {
        if !self.bands.is_empty() {
            facts.insert("partial_fourier".into(), json!(self.way.to_string()));
        }
        if let Some(extents) = &self.extents {
            let by: Vec<String> = extents.iter().map(usize::to_string).collect();
            let cut = self.cut.as_ref().map(|cut| cut.iter().map(usize::to_string).collect::<Vec<_>>().join(" x "));
            let cut = cut.map_or(String::new(), |cut| format!(", of it the central {cut}: the header's field of view"));
            printer.field("zero-fill", format_args!("to {}{cut}", by.join(" x ")));
            facts.insert("zero_filled".into(), json!(extents));
        }
    }
}
