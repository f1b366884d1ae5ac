//! FFT conventions: what is shifted when asked, and what is said when it seems to be needed.

use crate::cli::warnings::Warnings;
use linops::app::axes_doubt::lines_through_centre;
use linops::app::coils::coil_images;
use linops::app::conventions::{
    Disagreement, centred_image, centred_order, displaced_centre, is_far, lies_across_ends, mask_disagreement,
};
use linops::app::maps_doubt::MapsChange;
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, Ix3, Slice};
use num_complex::Complex32;
use std::str::FromStr;

#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "FFT conventions")]
#[group(skip)]
pub struct Conventions {
    /// What of Cartesian data is in FFT order, with its zero at index 0 instead of n/2, and is shifted: kspace (with its mask), image
    /// (the data are of an image with its origin at index 0), both, mask, maps; of one axis only as kspace:y; z, of
    /// volumes, y or x. Several with commas
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

/// What is shifted, and along which of (z, y, x).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    what: What,
    along: [bool; 3],
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
            None => [true; 3],
            Some("z" | "kz") => [true, false, false],
            Some("y" | "ky") => [false, true, false],
            Some("x" | "kx") => [false, false, true],
            Some(_) => return Err("expected the axis z, y or x, as in kspace:y".into()),
        };
        Ok(Shift { what, along })
    }
}

/// A shift of some of the axes of an image, as --shift has it: "kspace", "kspace:y", "kspace:z,kspace:y".
fn named(what: &str, along: &[bool]) -> String {
    if along.iter().all(|is| *is) {
        return what.into();
    }
    let names = &["z", "y", "x"][3 - along.len()..];
    let each = names.iter().zip(along).filter(|(_, is)| **is).map(|(name, _)| format!("{what}:{name}"));
    each.collect::<Vec<_>>().join(",")
}

impl Conventions {
    /// Whether any is asked for.
    pub fn is_asked(&self) -> bool {
        !self.shift.is_empty()
    }

    /// Refuses a shift along z of what has no z.
    pub fn expect_axes(&self, axes: usize) -> Result<()> {
        match axes < 3 && self.shift.iter().any(|s| s.along == [true, false, false]) {
            true => Err(Error::Value("--shift along z is for volumes; a slice has y and x".into())),
            false => Ok(()),
        }
    }

    /// The axes that are shifted of an image of so many, that have `front` axes before them.
    fn along(&self, whats: &[What], axes: usize, front: usize) -> Vec<Axis> {
        let asked = |axis: usize| self.shift.iter().any(|s| s.along[axis] && whats.contains(&s.what));
        (0..axes).filter(|axis| asked(3 - axes + axis)).map(|axis| Axis(axis + front)).collect()
    }

    /// Shifts k-space (coil, image…).
    pub fn kspace(&self, kspace: &mut ArrayD<Complex32>) {
        let axes = kspace.ndim() - 1;
        for axis in self.along(&[What::Kspace, What::Both], axes, 1) {
            centred_order(kspace, axis);
        }
        for axis in self.along(&[What::Image, What::Both], axes, 1) {
            centred_image(kspace.view_mut(), axis);
        }
    }

    /// Shifts a mask, with the k-space or because it is asked for itself; not where only as it is does it agree with where the
    /// shifted data are.
    pub fn mask(&self, mask: &mut ArrayD<f32>, data: &ArrayD<f32>) {
        let mut shifted = mask.clone();
        for axis in self.along(&[What::Kspace, What::Both, What::Mask], mask.ndim(), 0) {
            centred_order(&mut shifted, axis);
        }
        let agrees = |mask: &ArrayD<f32>| mask_disagreement(mask.view(), data.view()).is_none();
        if agrees(&shifted) || !agrees(mask) {
            *mask = shifted;
        }
    }

    /// Shifts and conjugates maps (coil, set, image…).
    pub fn maps(&self, maps: &mut ArrayD<Complex32>) {
        for axis in self.along(&[What::Maps], maps.ndim() - 2, 2) {
            centred_order(maps, axis);
        }
        if self.conj_maps {
            maps.mapv_inplace(|v| v.conj());
        }
    }

    /// What is to be tried where maps changed so explain the data better; an image has so many axes.
    pub fn fix(&self, change: MapsChange, axes: usize) -> String {
        let shifts_maps = !self.along(&[What::Maps], axes, 0).is_empty();
        match () {
            () if change.conjugated && self.conj_maps => "; leave --conj-maps out".into(),
            () if change.conjugated => "; try --conj-maps".into(),
            () if change.is_shifted() && shifts_maps => "; leave --shift maps out".into(),
            () if change.is_shifted() => {
                let along = &change.shifted[3 - axes..];
                format!("; try --shift {}, or --shift {}", named("maps", along), named("image", along))
            }
            () => String::new(),
        }
    }
}

/// What shows of the conventions of k-space.
pub struct Seen {
    extents: Vec<usize>,
    /// The strongest sample, where that is far from the middle.
    displaced: Option<Vec<usize>>,
    /// Along which axes the object lies across the ends of the image.
    wrapped: Vec<bool>,
}

/// Of a volume so many samples along each axis are looked at: coarse, but enough to see where an object lies.
const COARSE: usize = 64;

impl Seen {
    /// Of k-space (coil, image…).
    pub fn of(kspace: &ArrayD<Complex32>) -> Seen {
        let extents = kspace.shape()[1..].to_vec();
        let displaced = displaced_centre(kspace.view());
        let mut low = kspace.view();
        let mut ordered;
        if extents.len() > 2 {
            if let Some(at) = &displaced {
                ordered = kspace.clone();
                (0..3).filter(|a| is_far(at[*a], extents[*a])).for_each(|a| centred_order(&mut ordered, Axis(a + 1)));
                low = ordered.view();
            }
            for (axis, n) in extents.iter().enumerate().filter(|(_, n)| **n > COARSE) {
                let start = n / 2 - COARSE / 2;
                low.slice_axis_inplace(Axis(axis + 1), Slice::from(start..start + COARSE));
            }
        }
        let energy = coil_images(low)
            .map(|images| images.map_axis(Axis(0), |coils| coils.iter().map(|v| v.norm_sqr()).sum::<f32>()));
        let axes = 0..extents.len();
        let wrapped = match energy {
            Ok(energy) => axes.map(|axis| lies_across_ends(energy.view(), Axis(axis))).collect(),
            Err(_) => axes.map(|_| false).collect(),
        };
        Seen { extents, displaced, wrapped }
    }

    fn is_wrapped(&self) -> bool {
        self.wrapped.contains(&true)
    }

    /// Whether all is in the middle.
    fn is_centred(&self) -> bool {
        self.displaced.is_none() && !self.is_wrapped()
    }

    fn far(&self) -> Vec<bool> {
        let at = self.displaced.as_ref();
        self.extents.iter().enumerate().map(|(axis, n)| at.is_some_and(|at| is_far(at[axis], *n))).collect()
    }

    /// The shift that brings all to the middle; `None` where k-space is in no order that is known.
    fn shift(&self) -> Option<String> {
        let far = self.far();
        let first = |axis: usize| {
            let (n, at) = (self.extents[axis], self.displaced.as_ref().map_or(0, |at| at[axis]));
            // In FFT order the centre is at index 0, of an image with its origin there as well.
            at.min(n - at) <= (n / 32).max(2)
        };
        let axes = 0..self.extents.len();
        match (self.displaced.is_some(), self.is_wrapped()) {
            (true, _) if !axes.clone().all(|axis| !far[axis] || first(axis)) => None,
            // Who leaves out one shift leaves out both, though of what fills an axis it does not show.
            (true, true) if axes.clone().all(|axis| far[axis] || !self.wrapped[axis]) => Some(named("both", &far)),
            (true, true) => Some(format!("{},{}", named("kspace", &far), named("image", &self.wrapped))),
            (true, false) => Some(named("kspace", &far)),
            (false, _) => Some(named("image", &self.wrapped)),
        }
    }

    /// Warns where the centre of k-space, or of the image, does not seem to be in the middle, of what was `shifted` in `after`; and
    /// where arrays hold no lines of a grid.
    pub fn warn(&self, after: Option<&Seen>, array: bool, kspace: &ArrayD<Complex32>, warnings: &Warnings) {
        let lines = kspace.view().into_dimensionality::<Ix3>().ok().filter(|_| array);
        if let Some(axis) = lines.and_then(lines_through_centre) {
            let axes = if axis == 2 { "(coil, spoke, sample)" } else { "(coil, sample, spoke)" };
            return warnings.say_cause(format!(
                "all lines along axis {axis} of the k-space hold about the same energy and pass the centre of k-space, as the spokes of \
                 a radial scan {axes} do; this is read as a Cartesian scan: give the trajectory by --traj"
            ));
        }
        match after {
            Some(after) if after.is_centred() => {}
            Some(_) if self.is_centred() => warnings.say_cause(
                "before --shift the centre of k-space and the object were in the middle, behind it they are not: the data are \
                 centred already; leave --shift out"
                    .into(),
            ),
            Some(_) => match self.shift() {
                Some(shift) => {
                    warnings.say_cause(format!("what --shift says does not bring all to the middle; give --shift {shift}"));
                }
                None => self.warn_of_place(warnings),
            },
            None if !self.is_centred() => self.warn_of_place(warnings),
            None => {}
        }
    }

    fn warn_of_place(&self, warnings: &Warnings) {
        let fix = self.shift();
        let Some(at) = &self.displaced else {
            let fix = fix.map_or(String::new(), |shift| format!("; give --shift {shift}"));
            return warnings.say_cause(format!(
                "the object lies across the ends of the image: its origin seems to be at index 0 and not in the middle{fix}"
            ));
        };
        let advice = match fix {
            Some(shift) => format!("it seems to be in FFT order: give --shift {shift}"),
            None => "are lines numbered from the first one acquired, or of another order?".into(),
        };
        let names = &["kz", "ky", "kx"][3 - at.len()..];
        let place: Vec<String> = names.iter().zip(at).map(|(name, n)| format!("{name}={n}")).collect();
        let centre: Vec<String> = self.extents.iter().map(|n| (n / 2).to_string()).collect();
        warnings.say_cause(format!(
            "the strongest sample of k-space is at [{}], far from the centre [{}]; {advice}",
            place.join(", "),
            centre.join(", ")
        ));
    }
}

/// Warns where a mask and the data disagree.
pub fn warn_of_mask(mask: &ArrayD<f32>, data: &ArrayD<f32>, warnings: &Warnings) {
    let Some(found) = mask_disagreement(mask.view(), data.view()) else { return };
    let Disagreement { without_data, without_mask, shifted } = found;
    let ones = mask.iter().filter(|m| **m != 0.0).count();
    let names = &["kz", "ky", "kx"][3 - shifted.len()..];
    let along: Vec<&str> = names.iter().zip(&shifted).filter(|(_, is)| **is).map(|(name, _)| *name).collect();
    let hint = match along.len() {
        _ if without_data == ones && without_mask > 0 => "is it 1 where nothing was sampled?".into(),
        0 => "zeros there count as measured".into(),
        n => {
            let of = if n == shifted.len() { String::new() } else { format!(" along {}", along.join(" and ")) };
            format!("the mask seems to be in FFT order{of}: give --shift {} (or use fftshift)", named("mask", &shifted))
        }
    };
    warnings.say_cause(format!(
        "mask and data disagree: {without_data} ones of the mask have no data, {without_mask} locations with data have no mask; {hint}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_named() {
        let read = |text: &str| text.parse::<Shift>();
        assert_eq!(read("both").unwrap(), Shift { what: What::Both, along: [true; 3] });
        assert_eq!(read("kspace:y").unwrap(), Shift { what: What::Kspace, along: [false, true, false] });
        assert!(read("k").unwrap_err().contains("kspace") && read("mask:w").unwrap_err().contains("y or x"));
        assert_eq!(
            (named("both", &[true, true]), named("mask", &[true, false, true])),
            ("both".into(), "mask:z,mask:x".into())
        );
    }
}
