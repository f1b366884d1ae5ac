//! `--dcf`: a file, or a way to make the weights.

use crate::cli::input::read;
use crate::cli::progress;
use linops::app::density::{pipe_density, ramp_density, voronoi_density};
use linops::io::{Format, Reader};
use linops::{Device, Error, Result};
use ndarray::{ArrayD, ArrayViewD};
use std::path::{Path, PathBuf};

/// Where the density compensation comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Density {
    Ramp,
    Pipe,
    Voronoi,
    None,
    File(PathBuf),
}

/// Iterations of Pipe and Menon's method.
const ITERATIONS: usize = 30;

impl Density {
    /// A word, or else a path.
    pub fn parse(text: &str) -> Result<Density, String> {
        Ok(match text {
            "ramp" => Density::Ramp,
            "pipe" => Density::Pipe,
            "voronoi" => Density::Voronoi,
            "none" => Density::None,
            path => match Format::reader_of(path.as_ref(), Reader::is_array) {
                Ok(_) => Density::File(path.into()),
                Err(e) => return Err(format!("expected ramp, pipe, voronoi, none, or a file; {e}")),
            },
        })
    }

    /// How the weights are made, for people.
    pub fn describe(&self) -> String {
        match self {
            Density::Ramp => "ramp: equal angles between straight spokes through the centre".into(),
            Density::Pipe => format!("pipe: {ITERATIONS} iterations of Pipe and Menon's method"),
            Density::Voronoi => "voronoi: areas of the samples' cells".into(),
            Density::None => "none: all samples count alike".into(),
            Density::File(path) => format!("from {}", path.display()),
        }
    }

    /// The weights of a trajectory (…, D), without its last axis.
    pub fn weights(&self, trajectory: ArrayViewD<f64>, matrix: &[usize], device: &Device) -> Result<ArrayD<f64>> {
        let samples = &trajectory.shape()[..trajectory.ndim() - 1];
        let wait = progress::spinner("density compensation");
        let weights = match self {
            Density::Ramp => ramp_density(trajectory.view()),
            Density::Pipe => pipe_density(trajectory.view(), matrix, ITERATIONS, device),
            Density::Voronoi => voronoi_density(trajectory.view()),
            Density::None => Ok(ArrayD::ones(samples)),
            Density::File(path) => from_file(path, samples),
        };
        wait.finish_and_clear();
        weights.map_err(|e| e.at("--dcf"))
    }
}

/// Weights of these extents; axes of extent 1, which BART adds, do not count.
fn from_file(path: &Path, samples: &[usize]) -> Result<ArrayD<f64>> {
    let array = crate::cli::kspace::exact(read(path)?);
    let without_ones = |extents: &[usize]| extents.iter().copied().filter(|n| *n != 1).collect::<Vec<_>>();
    if without_ones(array.shape()) != without_ones(samples) {
        let message = format!(
            "density compensation of shape {:?}, expected {samples:?}: one weight for each sample of the trajectory",
            array.shape()
        );
        return Err(Error::file(path, message));
    }
    if let Some((index, w)) = array.iter().enumerate().find(|(_, w)| !w.is_finite() || **w < 0.0) {
        let came = if w.is_nan() { "NaN or not real".into() } else { format!("{w:?}") };
        let message = format!("the weight of sample {index} is {came}; expected a real, finite number from 0 on");
        return Err(Error::file(path, message));
    }
    if array.iter().all(|w| *w == 0.0) {
        return Err(Error::file(path, "the weights are 0 everywhere; at least one sample must count"));
    }
    let weights = array.into_shape_with_order(samples);
    weights.map_err(|e| Error::file(path, e.to_string()))
}
