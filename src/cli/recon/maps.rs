//! Coil maps of k-space on a grid: given, estimated, or none.

use super::{Args, ESTIMATING};
use crate::cli::coil_maps;
use crate::cli::kspace::finite;
use crate::cli::printer::count_of;
use crate::cli::progress;
use linops::io::Whitening;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis};
use num_complex::Complex32;
use std::path::Path;

/// Coil maps, and what they come from.
pub(super) struct Maps {
    /// (coil, set, image…); `None` where only the root of the sum of squares is asked for.
    pub values: Option<ArrayD<Complex32>>,
    pub from: String,
    /// What images of estimated maps are multiplied by: whitened maps are normalised in units of the noise.
    pub shading: Option<Shading>,
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
        let mut shading = None;
        if let Some(whitening) = whitening {
            whitening.apply(values.view_mut()).map_err(|e| Error::file(path, e.to_string()))?;
            shading = Some(Shading::Even(evened(&mut values)));
        }
        let whitened = if whitening.is_some() { ", pre-whitened as k-space is" } else { "" };
        let combined = if args.all_sets { "their images one after the other" } else { "their images combined" };
        let sets = match values.len_of(Axis(1)) {
            1 => String::new(),
            sets => format!(", {sets} sets, {combined}"),
        };
        Ok(Maps { values: Some(values), from: format!("from {}{whitened}{sets}", path.display()), shading })
    }

    /// Without a file: estimated where there are several coils.
    pub fn found(
        args: &Args,
        kspace: &ArrayD<Complex32>,
        mask: &ArrayD<f32>,
        reference: Option<ArrayD<Complex32>>,
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
        let found = coil_maps::on_grid(kspace, mask, reference.as_ref(), args.mask.is_some(), |lines| {
            coil_maps::usual(lines, None)
        });
        wait.finish_and_clear();
        let found = found.map_err(|e| e.at(ESTIMATING))?;
        let shading = whitening.map(|w| w.shading(found.maps.index_axis(Axis(1), 0))).transpose()?.map(Shading::At);
        Ok(Maps { values: Some(found.maps), from: format!("estimated by {}", found.method), shading })
    }
}

/// Makes the mean sum of squares over the coils of whitened maps (coil, …, image…) 1 where they are not 0: they are in units of the noise,
/// in which a weight would mean something else. Gives what an image of them is multiplied by then.
pub(super) fn evened(maps: &mut ArrayD<Complex32>) -> f32 {
    let power = maps.map_axis(Axis(0), |coils| coils.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>());
    let (count, sum) = power.iter().filter(|p| **p > 0.0).fold((0usize, 0.0f64), |(n, sum), p| (n + 1, sum + p));
    if count == 0 {
        return 1.0;
    }
    let less = (count as f64 / sum).sqrt() as f32;
    maps.mapv_inplace(|v| v * less);
    less
}

/// What an image is multiplied by after the solve.
pub(super) enum Shading {
    Even(f32),
    At(ArrayD<f32>),
}

impl Shading {
    /// What an image was before it was shaded; 0 where nothing is left of it.
    pub fn undo(&self, image: &mut ArrayD<Complex32>) {
        let less = |v: Complex32, s: f32| if s == 0.0 { Complex32::default() } else { v / s };
        match self {
            Shading::Even(s) => image.mapv_inplace(|v| less(v, *s)),
            Shading::At(shading) => image.zip_mut_with(shading, |v, s| *v = less(*v, *s)),
        }
    }

    pub fn shade(&self, image: &mut ArrayD<Complex32>) {
        match self {
            Shading::Even(s) => image.mapv_inplace(|v| v * *s),
            Shading::At(shading) => image.zip_mut_with(shading, |v, s| *v *= *s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shaded_is_found_again() {
        let image = ArrayD::from_shape_fn(vec![2, 3], |at| Complex32::new(1.0 + at[1] as f32, at[0] as f32));
        let at = ArrayD::from_shape_fn(vec![2, 3], |at| 0.5 * at[1] as f32);
        for shading in [Shading::Even(0.25), Shading::At(at.clone())] {
            let mut turned = image.clone();
            shading.shade(&mut turned);
            shading.undo(&mut turned);
            for (at_, v) in turned.indexed_iter() {
                let lost = matches!(shading, Shading::At(_)) && at[&at_] == 0.0;
                assert_eq!(*v, if lost { Complex32::default() } else { image[&at_] });
            }
        }
    }
}
