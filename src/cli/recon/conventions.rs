//! FFT conventions: what is shifted when asked, and what is said when it seems to be needed.

use super::warnings::Warnings;
use linops::app::coils::coil_images;
use linops::app::conventions::{
    Disagreement, centred_image, centred_order, displaced_centre, is_far, lies_across_ends, mask_disagreement,
};
use ndarray::{Array2, Array3, Axis};
use num_complex::Complex32;
use std::str::FromStr;

#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "FFT conventions")]
#[group(skip)]
pub struct Conventions {
    /// What of Cartesian data is in FFT order, with its zero at index 0 instead of n/2, and is shifted: kspace (with its mask), image
    /// (the data are of an image with its origin at index 0), both, mask, maps; of one axis only as kspace:y. Several with commas
    #[arg(long, value_name = "WHAT[:AXIS]", value_delimiter = ',')]
    pub shift: Vec<Shift>,

    /// Conjugate the coil maps that are given
    #[arg(long, requires = "maps")]
    pub conj_maps: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Kspace,
    Image,
    Both,
    Mask,
    Maps,
}

/// What is shifted, and along which of (y, x).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    what: What,
    along: [bool; 2],
}

impl FromStr for Shift {
    type Err = String;

    fn from_str(text: &str) -> Result<Shift, String> {
        let (what, axis) = text.split_once(':').map_or((text, None), |(what, axis)| (what, Some(axis)));
        let what = match what {
            "kspace" => What::Kspace,
            "image" => What::Image,
            "both" => What::Both,
            "mask" => What::Mask,
            "maps" => What::Maps,
            _ => return Err("expected kspace, image, both, mask or maps, with an axis as in kspace:y".into()),
        };
        let along = match axis {
            None => [true; 2],
            Some("y" | "ky") => [true, false],
            Some("x" | "kx") => [false, true],
            Some(_) => return Err("expected the axis y or x, as in kspace:y".into()),
        };
        Ok(Shift { what, along })
    }
}

impl Conventions {
    /// Whether any is asked for.
    pub fn is_asked(&self) -> bool {
        !self.shift.is_empty()
    }

    fn along(&self, whats: &[What]) -> [Vec<Axis>; 2] {
        let asked = |axis: usize| self.shift.iter().any(|s| s.along[axis] && whats.contains(&s.what));
        // Axes of (y, x), and the same behind the coils.
        [(0..2).filter(|a| asked(*a)).map(Axis).collect(), (0..2).filter(|a| asked(*a)).map(|a| Axis(a + 1)).collect()]
    }

    /// Shifts k-space (coil, ky, kx).
    pub fn kspace(&self, kspace: &mut Array3<Complex32>) {
        for axis in &self.along(&[What::Kspace, What::Both])[1] {
            centred_order(kspace, *axis);
        }
        for axis in &self.along(&[What::Image, What::Both])[1] {
            centred_image(kspace.view_mut(), *axis);
        }
    }

    /// Shifts a mask (ky, kx), with the k-space or because it is asked for itself; not where only as it is does it agree with where
    /// the shifted data are.
    pub fn mask(&self, mask: &mut Array2<f32>, data: &Array2<f32>) {
        let mut shifted = mask.clone();
        for axis in &self.along(&[What::Kspace, What::Both, What::Mask])[0] {
            centred_order(&mut shifted, *axis);
        }
        let agrees = |mask: &Array2<f32>| mask_disagreement(mask.view(), data.view()).is_none();
        if agrees(&shifted) || !agrees(mask) {
            *mask = shifted;
        }
    }

    /// Shifts and conjugates maps (coil, y, x).
    pub fn maps(&self, maps: &mut Array3<Complex32>) {
        for axis in &self.along(&[What::Maps])[1] {
            centred_order(maps, *axis);
        }
        if self.conj_maps {
            maps.mapv_inplace(|v| v.conj());
        }
    }
}

/// Warns where the centre of k-space (coil, ky, kx), or of the image, does not seem to be in the middle.
pub fn warn_of_centre(kspace: &Array3<Complex32>, warnings: &Warnings) {
    let (_, ny, nx) = kspace.dim();
    let displaced = displaced_centre(kspace.view().into_dyn());
    let at = displaced.as_ref().map_or([ny / 2, nx / 2], |at| [at[0], at[1]]);
    let far = [is_far(at[0], ny), is_far(at[1], nx)];
    // In FFT order the centre is at index 0, of an image with its origin there as well.
    let first = |d: usize| {
        let n = [ny, nx][d];
        at[d].min(n - at[d]) <= (n / 32).max(2)
    };
    let energy = coil_images(kspace.view())
        .map(|images| images.map_axis(Axis(0), |coils| coils.iter().map(|v| v.norm_sqr()).sum::<f32>()));
    let wrapped = energy.map_or([false; 2], |e| [0, 1].map(|axis| lies_across_ends(e.view(), Axis(axis))));
    let name = |along: [bool; 2]| match along {
        [true, false] => ":y",
        [false, true] => ":x",
        _ => "",
    };
    let ordered = far.iter().any(|f| *f) && (0..2).all(|d| !far[d] || first(d));
    let image = wrapped.iter().any(|w| *w);
    let fix = match (ordered, image) {
        // Who leaves out one shift leaves out both, though of what fills an axis it does not show.
        (true, true) if (0..2).all(|d| far[d] || !wrapped[d]) => format!("give --shift both{}", name(far)),
        (true, true) => format!("give --shift kspace{},image{}", name(far), name(wrapped)),
        (true, false) => format!("give --shift kspace{}", name(far)),
        (false, _) => format!("give --shift image{}", name(wrapped)),
    };
    if far.iter().any(|f| *f) {
        let advice = match ordered {
            true => format!("it seems to be in FFT order: {fix}"),
            false => "are lines numbered from the first one acquired, or of another order?".into(),
        };
        warnings.say(format!(
            "the strongest sample of k-space is at [ky={}, kx={}], far from the centre [{}, {}]; {advice}",
            at[0],
            at[1],
            ny / 2,
            nx / 2
        ));
    } else if image {
        warnings.say(format!(
            "the object lies across the ends of the image: its origin seems to be at index 0 and not in the middle; {fix}"
        ));
    }
}

/// Warns where a mask and the data (both (ky, kx)) disagree.
pub fn warn_of_mask(mask: &Array2<f32>, data: &Array2<f32>, warnings: &Warnings) {
    let Some(found) = mask_disagreement(mask.view(), data.view()) else { return };
    let Disagreement { without_data, without_mask, shifted } = found;
    let ones = mask.iter().filter(|m| **m != 0.0).count();
    let hint = match shifted {
        _ if without_data == ones && without_mask > 0 => "is it 1 where nothing was sampled?",
        [false, false] => "zeros there count as measured",
        [true, false] => "the mask seems to be in FFT order along ky: give --shift mask:y (or use fftshift)",
        [false, true] => "the mask seems to be in FFT order along kx: give --shift mask:x (or use fftshift)",
        [true, true] => "the mask seems to be in FFT order: give --shift mask (or use fftshift)",
    };
    warnings.say(format!(
        "mask and data disagree: {without_data} ones of the mask have no data, {without_mask} locations with data have no mask; {hint}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_named() {
        let read = |text: &str| text.parse::<Shift>();
        assert_eq!(read("both").unwrap(), Shift { what: What::Both, along: [true; 2] });
        assert_eq!(read("kspace:y").unwrap(), Shift { what: What::Kspace, along: [true, false] });
        assert!(read("k").unwrap_err().contains("kspace") && read("mask:z").unwrap_err().contains("y or x"));
    }
}
