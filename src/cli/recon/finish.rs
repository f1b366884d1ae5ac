//! What becomes of an image after the solve: the missing side of k-space, and a finer grid.

use super::geometry::{self, by, image_dims};
use super::matrix::{Matrix, matrix};
use crate::cli::centre::central;
use crate::cli::warnings::Warnings;
use linops::app::partial_fourier::{Band, one_sided};
use linops::app::{PartialFourier, fill_partial, zero_fill};
use linops::io::ScanInfo;
use linops::{Error, Result, Shape};
use ndarray::{ArrayD, Axis};
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

    /// Zeros around the k-space of the image: pixels (ny,nx) or (nz,ny,nx) of the result, or those of the file's header
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
    /// Pixels of the solve.
    grid: Vec<usize>,
    way: PartialFourier,
    bands: Vec<Band>,
    /// Pixels over the same field of view, where they become more.
    filled: Option<Vec<usize>>,
    /// The central pixels that are kept of those.
    cut: Option<Vec<usize>>,
    sets: Sets,
}

/// What becomes of the images of several sets of maps.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Sets {
    /// There is one.
    #[default]
    One,
    /// The root of the sum of their squares.
    Combined,
    /// (set, image…)
    Each(usize),
    /// BART's (x, y, z, 1, set).
    Bart(usize),
}

impl Finishing {
    /// Whether a finer grid is asked for.
    pub fn fills(&self) -> bool {
        self.zero_fill.is_some()
    }

    /// Sets the pixels of an image that has `grid` of them: what a scan says is cut of it, and the finer grid that is asked for.
    pub fn on_grid(&self, finish: &mut Finish, grid: &[usize], info: Option<&ScanInfo>) -> Result<()> {
        finish.grid = grid.to_vec();
        let axes = 3 - grid.len().min(3)..3;
        let kept = info.and_then(|info| info.cut_to).map(|cut| cut[axes].to_vec());
        let kept_or_all = || kept.clone().unwrap_or_else(|| grid.to_vec());
        let (filled, cut) = match &self.zero_fill {
            None => (None, kept),
            Some(Pixels::Of(matrix)) => {
                let wanted = matrix.for_axes(grid.len(), "--zero-fill", "the image has")?;
                if let Some((n, to)) = kept_or_all().iter().zip(&wanted).find(|(n, to)| to < n) {
                    return Err(Error::Value(format!(
                        "--zero-fill to {wanted:?}, but the image has {n} pixels, more than {to}"
                    )));
                }
                let whole = |((to, n), kept): ((&usize, &usize), &usize)| {
                    ((*to as f64 * *n as f64 / *kept as f64).round() as usize).max(*n)
                };
                let filled: Vec<usize> = wanted.iter().zip(grid).zip(&kept_or_all()).map(whole).collect();
                (Some(filled), kept.map(|_| wanted))
            }
            Some(Pixels::Header) => {
                let Some((whole, recon)) = info.and_then(|info| geometry::asked_for(info, grid.len())) else {
                    let message = "no header says the matrix to zero-fill to; give it, as in --zero-fill 256,192";
                    return Err(Error::Value(message.into()));
                };
                // A smaller matrix is what an image was cropped to, or is not by the reader.
                let finer: Vec<bool> = whole.iter().zip(grid).map(|(to, n)| to >= n).collect();
                let pick = |finer: bool, a: usize, b: usize| if finer { a } else { b };
                let kept = kept_or_all();
                let filled: Vec<usize> = (0..grid.len()).map(|a| pick(finer[a], whole[a], grid[a])).collect();
                let cut: Vec<usize> = (0..grid.len()).map(|a| pick(finer[a], recon[a], kept[a])).collect();
                (Some(filled), Some(cut))
            }
        };
        finish.cut = cut.filter(|cut| cut != filled.as_ref().unwrap_or(&finish.grid));
        finish.filled = filled;
        Ok(())
    }

    /// Sets what is done about the missing side, by the mask of what was acquired, and says so.
    pub fn by_mask(&self, finish: &mut Finish, mask: &ArrayD<f32>, notes: &mut Vec<String>, warnings: &Warnings) {
        finish.bands = one_sided(mask.view());
        finish.way = self.partial_fourier.unwrap_or_default();
        for band in &finish.bands {
            let [first, last] = band.acquired;
            let axis = ["kz", "ky", "kx"][3 - mask.ndim() + band.axis];
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
    /// Says what becomes of the images of so many sets.
    pub fn show_sets(&mut self, sets: usize, all: bool, bart: bool) {
        self.sets = match (sets, all, bart) {
            (1, ..) => Sets::One,
            (_, false, _) => Sets::Combined,
            (sets, true, false) => Sets::Each(sets),
            (sets, true, true) => Sets::Bart(sets),
        };
    }

    /// The pixels over the whole field of view of k-space.
    pub fn pixels(&self) -> Vec<usize> {
        self.filled.clone().unwrap_or_else(|| self.grid.clone())
    }

    /// The same of an image with these extents, of whatever kind.
    pub fn whole(&self, image: &[usize]) -> Vec<usize> {
        Some(self.pixels()).filter(|n| n.len() == image.len()).unwrap_or_else(|| image.to_vec())
    }

    /// The pixels of those that an image has in the end.
    pub fn kept(&self) -> Vec<usize> {
        self.cut.clone().unwrap_or_else(|| self.pixels())
    }

    /// The dims of what is written.
    pub fn dims(&self) -> String {
        let axes = image_dims(self.grid.len()).to_string();
        match self.sets {
            Sets::One | Sets::Combined => axes,
            Sets::Each(_) => format!("S {axes}"),
            Sets::Bart(_) => "S C Nz Ny Nx".into(),
        }
    }

    /// The shape of what is written.
    pub fn shape(&self) -> Result<Shape> {
        let (image, ones) = (self.kept(), vec![1; 3 - self.grid.len()]);
        let extents = match self.sets {
            Sets::One | Sets::Combined => image,
            Sets::Each(sets) => [vec![sets], image].concat(),
            Sets::Bart(sets) => [vec![sets, 1], ones, image].concat(),
        };
        Shape::new(linops::dim::parse_dims(&self.dims())?, extents)
    }

    /// The missing side filled, of one image.
    pub fn side(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        if self.way == PartialFourier::Zero || self.bands.is_empty() {
            return Ok(image);
        }
        fill_partial(image.view(), &self.bands, self.way).map_err(|e| e.at("--partial-fourier"))
    }

    /// On the grid that is asked for.
    pub fn grid(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        let image = match &self.filled {
            Some(extents) => zero_fill(image.view(), extents)?,
            None => image,
        };
        Ok(central(image, self.cut.as_deref().unwrap_or_default()))
    }

    /// All of it, of an image, or (set, image…).
    pub fn apply(&self, image: ArrayD<Complex32>) -> Result<ArrayD<Complex32>> {
        if self.sets == Sets::One {
            return self.grid(self.side(image)?);
        }
        let sides = image.outer_iter().map(|image| self.side(image.to_owned())).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = sides.iter().map(|image| image.view()).collect();
        let images = self.grid(ndarray::stack(Axis(0), &views).map_err(|e| Error::Shape(e.to_string()))?)?;
        let images = match self.sets {
            Sets::Combined => images.map_axis(Axis(0), |sets| {
                Complex32::from(sets.iter().map(|v| f64::from(v.norm()).powi(2)).sum::<f64>().sqrt() as f32)
            }),
            _ => images,
        };
        let extents = self.shape()?.extents().to_vec();
        images.into_shape_with_order(extents).map_err(|e| Error::Shape(e.to_string()))
    }

    /// "; zero-filled to 64 x 64, of it the central 48 x 48: the header's field of view", where that is asked for.
    pub fn said(&self) -> String {
        let cut = self.cut.as_ref().map(|cut| format!(", of it the central {}: the header's field of view", by(cut)));
        let filled = self.filled.as_ref().map(|extents| format!("; zero-filled to {}", by(extents)));
        filled.map_or_else(String::new, |filled| filled + &cut.unwrap_or_default())
    }

    /// What was done, for programs.
    pub fn facts(&self, facts: &mut Map<String, Value>) {
        if !self.bands.is_empty() {
            facts.insert("partial_fourier".into(), json!(self.way.to_string()));
        }
        if let Some(extents) = &self.filled {
            facts.insert("zero_filled".into(), json!(extents));
        }
    }
}
