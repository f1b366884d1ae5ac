//! How the scan was made: rays, distances and sizes.

use super::views::Views;
use linops::app::ct::Ct;
use linops::linop::Geometry;
use std::num::NonZeroUsize;

#[derive(clap::Args)]
#[command(next_help_heading = "Geometry")]
#[group(skip)]
pub struct Args {
    /// parallel (slices of a stack are reconstructed each alike), fan (a flat line detector), or cone (a flat panel, on a circle)
    /// [default: parallel]
    #[arg(long, value_name = "RAYS", value_enum)]
    geometry: Option<Rays>,

    /// Distance from the source to the axis of rotation (SOD, DSO), in the unit of --pixel-size
    #[arg(long, value_name = "LENGTH", visible_alias = "dso", value_parser = length, allow_hyphen_values = true)]
    sod: Option<f64>,

    /// Distance from the source to the detector (SDD, DSD), in the unit of --pixel-size
    #[arg(long, value_name = "LENGTH", visible_alias = "dsd", value_parser = length, allow_hyphen_values = true)]
    sdd: Option<f64>,

    /// Size of a detector pixel, such as 0.1 for 0.1 mm; values of the image are per this unit [default: 1, so that lengths are in
    /// detector pixels]
    #[arg(long, value_name = "LENGTH", value_parser = length, allow_hyphen_values = true)]
    pixel_size: Option<f64>,

    /// Size of an image pixel [default: that of a detector pixel at the axis: --pixel-size, times SOD/SDD]
    #[arg(long, value_name = "LENGTH", value_parser = length, allow_hyphen_values = true)]
    image_pixel: Option<f64>,

    /// Detector row that the source of a cone faces, from 0, with fractions [default: (n − 1)/2]
    #[arg(long, value_name = "ROW", allow_hyphen_values = true)]
    row_center: Option<f64>,

    /// Slices of the image of a cone [default: the rows of the detector]
    #[arg(long, value_name = "N", value_parser = crate::cli::numbers::from_one, allow_negative_numbers = true)]
    slices: Option<NonZeroUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rays {
    Parallel,
    Fan,
    Cone,
}

fn length(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
    number.ok_or_else(|| "expected a length above 0, such as 541.0".into())
}

impl Args {
    pub fn check(&self) -> Result<(), String> {
        let given = [("--sod", self.sod.is_some()), ("--sdd", self.sdd.is_some())];
        let cone = [("--row-center", self.row_center.is_some()), ("--slices", self.slices.is_some())];
        let refuse = |list: &[(&str, bool)], what: &str| match list.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(format!("{name} {what}")),
            None => Ok(()),
        };
        match self.rays() {
            Rays::Parallel => refuse(&given, "is for --geometry fan or cone; parallel rays have no source")?,
            _ if given.iter().any(|(_, given)| !given) => {
                return Err(
                    "a fan or a cone needs --sod and --sdd: from the source to the axis, and to the detector".into()
                );
            }
            _ => {}
        }
        if let (Some(sod), Some(sdd)) = (self.sod, self.sdd)
            && sdd < sod
        {
            return Err(format!("--sdd is {sdd}, less than --sod {sod}; the detector is behind the axis"));
        }
        if self.rays() != Rays::Cone {
            refuse(&cone, "is for --geometry cone")?;
        }
        Ok(())
    }

    pub fn rays(&self) -> Rays {
        self.geometry.unwrap_or(Rays::Parallel)
    }

    /// The geometry of views, with the axis in the middle.
    pub fn geometry(&self, angles: &[f64], views: &Views) -> Geometry {
        let (rows, _, detectors) = views.values.dim();
        let (sod, sdd) = (self.sod.unwrap_or(1.0), self.sdd.unwrap_or(1.0));
        let own = match self.rays() {
            Rays::Parallel => Geometry::parallel(angles, detectors),
            Rays::Fan => Geometry::fan(angles, detectors, sod, sdd - sod),
            Rays::Cone => Geometry::cone(angles, rows, detectors, sod, sdd - sod).row_center(self.row_center),
        };
        let pitch = self.pixel_size.unwrap_or(1.0);
        let at_axis = if self.rays() == Rays::Parallel { pitch } else { pitch * sod / sdd };
        own.detector_size(pitch).pixel_size(self.image_pixel.unwrap_or(at_axis))
    }

    /// Slices, rows and columns of the image.
    pub fn image(&self, geometry: &Geometry, views: &Views, size: Option<usize>) -> [usize; 3] {
        let n = size.unwrap_or_else(|| Ct::fitting_size(geometry));
        let slices = self.slices.map_or(views.values.len_of(ndarray::Axis(0)), NonZeroUsize::get);
        [slices, n, n]
    }

    /// The rays in words.
    pub fn describe(&self, geometry: &Geometry) -> String {
        let name = match self.rays() {
            Rays::Parallel => "parallel rays".to_string(),
            Rays::Fan => format!(
                "fan, source {} from the axis, {} from the detector",
                self.sod.unwrap_or(0.0),
                self.sdd.unwrap_or(0.0)
            ),
            Rays::Cone => format!(
                "cone, source {} from the axis, {} from the detector",
                self.sod.unwrap_or(0.0),
                self.sdd.unwrap_or(0.0)
            ),
        };
        match geometry.detector_size == 1.0 && geometry.pixel_size == 1.0 {
            true => name,
            false => format!(
                "{name}; pixels of the detector {}, of the image {}",
                crate::cli::printer::short(geometry.detector_size),
                crate::cli::printer::short(geometry.pixel_size)
            ),
        }
    }
}
