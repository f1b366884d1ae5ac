//! Coils: fewer virtual ones, or all combined without maps.

use crate::cli::numbers::from_one;
use linops::app::Compression;
use linops::{Error, Result};
use ndarray::ArrayViewD;
use num_complex::Complex32;
use std::num::NonZeroUsize;

#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "Coils")]
#[group(skip)]
pub struct Combine {
    /// Reconstruct from N virtual coils, orthonormal combinations of the coils that hold most of the data
    #[arg(long, value_name = "N", value_parser = from_one, allow_negative_numbers = true)]
    pub compress: Option<NonZeroUsize>,

    /// How coils are combined to virtual ones: svd (the same everywhere) or gcc (at each position along the readout) [default: svd]
    #[arg(long, value_name = "WAY", value_enum, requires = "compress")]
    compress_by: Option<Way>,

    /// Root of the sum of squares of the coil images, without maps or a solve
    #[arg(long, conflicts_with_all = ["maps", "lambda", "iterations", "tol", "reg", "non_negative", "init", "compress"])]
    pub rss: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Svd,
    Gcc,
}

impl Combine {
    /// The compression of Cartesian k-space (coil, image…), if one is asked for, and what it says.
    pub fn grid(
        &self,
        kspace: ArrayViewD<Complex32>,
        mask: ArrayViewD<f32>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Compression>> {
        let Some(coils) = self.asked(kspace.shape()[0], notes) else { return Ok(None) };
        let found = match self.compress_by {
            Some(Way::Gcc) => Compression::gcc(kspace.view(), mask, coils),
            _ => Compression::svd(kspace.view(), None, coils),
        };
        self.told(found, kspace.shape()[0], notes)
    }

    /// The compression of samples (coil, …) with weights (…).
    pub fn samples(
        &self,
        kspace: ArrayViewD<Complex32>,
        weights: ArrayViewD<f64>,
        notes: &mut Vec<String>,
    ) -> Result<Option<Compression>> {
        let all = kspace.shape()[0];
        let Some(coils) = self.asked(all, notes) else { return Ok(None) };
        self.check_samples().map_err(Error::Value)?;
        self.told(Compression::svd(kspace, Some(weights), coils), all, notes)
    }

    /// Refuses what samples along a trajectory have not.
    pub fn check_samples(&self) -> std::result::Result<(), String> {
        match self.compress_by {
            Some(Way::Gcc) => {
                Err("--compress-by gcc goes along the readout of Cartesian data; use svd with a trajectory".into())
            }
            _ => Ok(()),
        }
    }

    fn asked(&self, all: usize, notes: &mut Vec<String>) -> Option<usize> {
        let coils = self.compress?.get();
        if coils >= all {
            notes.push(format!("--compress {coils}: there are {all} coils, which stay as they are"));
            return None;
        }
        Some(coils)
    }

    fn told(&self, found: Result<Compression>, all: usize, notes: &mut Vec<String>) -> Result<Option<Compression>> {
        let found = found.map_err(|e| e.at("--compress"))?;
        let way = if self.compress_by == Some(Way::Gcc) { "gcc" } else { "svd" };
        // Rounded down, so that not all of it is said to be there.
        let kept = (found.energy() * 1e4).floor() / 100.0;
        notes.push(format!("{all} coils compressed to {} by {way}, {kept:.2} % of the energy kept", found.coils()));
        Ok(Some(found))
    }
}
