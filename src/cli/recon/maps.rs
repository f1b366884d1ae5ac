//! Coil maps of k-space on a grid: given, estimated, or none.

use super::{Args, ESTIMATING};
use crate::cli::kspace::finite;
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::app::{EspiritOptions, espirit};
use linops::io::Whitening;
use linops::linop::{self, FftOptions};
use linops::{Error, Result, Tensor};
use ndarray::{ArrayD, Axis, Slice};
use num_complex::Complex32;
use std::path::Path;

/// Coil maps, and what they come from.
pub(super) struct Maps {
    /// (coil, set, image…); `None` where only the root of the sum of squares is asked for.
    pub values: Option<ArrayD<Complex32>>,
    pub from: String,
    /// What images of estimated maps are multiplied by: whitened maps are normalised in units of the noise.
    pub shading: Option<ArrayD<f32>>,
}

impl Maps {
    /// Of a file: turned and shifted as is asked for, whitened as k-space is.
    pub fn given(
        args: &Args,
        path: &Path,
        mut values: ArrayD<Complex32>,
        whitening: Option<&Whitening>,
        notes: &mut Vec<String>,
    ) -> Result<Maps> {
        args.conventions.maps(&mut values);
        let bad = finite(path, &mut values, &["coil", "set"], args.allow_nan)?;
        if !bad.is_empty() {
            notes.push(format!("{} of the maps NaN or infinite, set to 0", count_of(bad.len(), "value")));
        }
        if let Some(whitening) = whitening {
            whitening.apply(values.view_mut()).map_err(|e| Error::file(path, e.to_string()))?;
        }
        let whitened = if whitening.is_some() { ", pre-whitened as k-space is" } else { "" };
        let combined = if args.all_sets { "their images one after the other" } else { "their images combined" };
        let sets = match values.len_of(Axis(1)) {
            1 => String::new(),
            sets => format!(", {sets} sets, {combined}"),
        };
        Ok(Maps { values: Some(values), from: format!("from {}{whitened}{sets}", path.display()), shading: None })
    }

    /// Without a file: estimated where there are several coils.
    pub fn found(
        args: &Args,
        kspace: &ArrayD<Complex32>,
        mask: &ArrayD<f32>,
        calibration: Option<ArrayD<Complex32>>,
        whitening: Option<&Whitening>,
    ) -> Result<Maps> {
        let grid = &kspace.shape()[1..];
        if args.combine.rss {
            let from = "none: the root of the sum of squares of the coils".into();
            return Ok(Maps { values: None, from, shading: None });
        }
        if kspace.len_of(Axis(0)) == 1 {
            let ones = ArrayD::from_elem([&[1, 1], grid].concat(), Complex32::from(1.0));
            return Ok(Maps { values: Some(ones), from: "1 everywhere, as there is one coil".into(), shading: None });
        }
        let wait = progress::spinner("estimating coil maps");
        let options = EspiritOptions::default();
        // Reference lines that are not of the image come first.
        let lines = calibration.as_ref().and_then(|lines| espirit(lines.view(), &options).ok());
        let found = lines.map_or_else(|| espirit(kspace.view(), &options), Ok);
        let found = match found {
            // Few partitions: where all of them have the same lines, planes are slices.
            Err(e) => by_planes(kspace, mask)?.ok_or(e),
            found => found.map(|found| (found.maps, found.method)),
        };
        wait.finish_and_clear();
        let (found, method) = found.map_err(|e| e.at(ESTIMATING))?;
        let values = central(found, grid);
        let shading = whitening.map(|w| w.shading(values.index_axis(Axis(1), 0))).transpose()?;
        Ok(Maps { values: Some(values), from: format!("estimated by {method}"), shading })
    }
}

/// Maps (coil, 1, z, y, x) of the planes of k-space (coil, kz, ky, kx) whose partitions have the same lines, and how they were made;
/// `None` of any other, or where no plane has maps. Planes without a signal have none.
fn by_planes(kspace: &ArrayD<Complex32>, mask: &ArrayD<f32>) -> Result<Option<(ArrayD<Complex32>, String)>> {
    let [coils, nz, ny, nx] = *kspace.shape() else { return Ok(None) };
    let first = mask.index_axis(Axis(0), nz / 2);
    let same = |plane: ndarray::ArrayViewD<f32>| plane == first || plane.iter().all(|v| *v == 0.0);
    let acquired: Vec<bool> = mask.axis_iter(Axis(0)).map(|plane| plane.iter().any(|v| *v != 0.0)).collect();
    // Partial Fourier leaves some at an end; gaps fold.
    let gaps = acquired.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1;
    if gaps || !mask.axis_iter(Axis(0)).all(same) {
        return Ok(None);
    }
    let shape = format!("C={coils} Nz={nz} Ny={ny} Nx={nx}");
    let f = linop::fft(shape, "Nz", FftOptions::default().centered(true))?;
    let hybrid = f.h().apply(&Tensor::from_array(kspace.clone(), f.output()?.dims())?)?.to_array()?;
    let mut maps = ArrayD::zeros(vec![coils, 1, nz, ny, nx]);
    let mut made = None;
    for z in 0..nz {
        let plane = hybrid.index_axis(Axis(1), z);
        if let Ok(found) = espirit(plane, &EspiritOptions::default()) {
            maps.index_axis_mut(Axis(2), z).assign(&found.maps);
            made = Some(found.method);
        }
    }
    Ok(made.map(|method| (maps, format!("{method}, of each plane"))))
}

/// The central pixels of maps (coil, set, image…).
fn central(maps: ArrayD<Complex32>, image: &[usize]) -> ArrayD<Complex32> {
    let mut maps = maps;
    for (axis, to) in image.iter().enumerate() {
        let from = maps.len_of(Axis(axis + 2));
        if from > *to {
            let start = from / 2 - to / 2;
            maps = maps.slice_axis(Axis(axis + 2), Slice::from(start..start + to)).to_owned();
        }
    }
    maps
}
