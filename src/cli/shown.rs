//! How a result is written: which part of it, and for a picture by which window.

use super::common::expect_bytes;
use super::printer::{Printer, decimal, short};
use clap::ValueEnum;
use linops::io::{
    Array, Depth, Format, Geometry, Output, PHASE_WINDOW, Window, Writer, montage, phase_colours, write_raster,
};
use linops::{Error, HostArray, Result, Tensor};
use ndarray::{Array2, ArrayD, Axis, Ix2, Ix3};
use num_complex::Complex32;
use serde_json::{Value, json};
use std::fmt::Display;
use std::path::Path;

/// Options of how a result is written.
#[derive(clap::Args, Default)]
pub struct Shown {
    /// Write this part of complex values, in every format: the magnitude, the phase in radians, the real or the imaginary part
    /// [default: all of them; a .png or .tif has the magnitude]. In a .png phases are colours round the circle, red at 0, green at
    /// 2π/3, blue at −2π/3; real and imaginary parts are grey at 0
    #[arg(long, value_name = "PART")]
    part: Option<Part>,

    #[command(flatten)]
    pub look: Look,
}

/// Options of how a .png shows values.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct Look {
    /// What is black and white in a .png: lo:hi, max (from 0 to the largest value), or a percentile of the object, which is what
    /// Otsu's threshold leaves of the image [default: p99.5]. Parts of both signs have −white as black
    #[arg(long, value_name = "WINDOW", allow_hyphen_values = true)]
    pub window: Option<Window>,

    /// Bits of a .png's samples: 8 or 16 [default: 8]
    #[arg(long, value_name = "BITS")]
    pub bits: Option<Bits>,
}

/// What was written, for people and for programs.
#[derive(Default)]
pub struct Written {
    shown: Option<String>,
    /// Part, black and white of a picture; null of what is no picture.
    pub facts: Value,
}

impl Written {
    /// Says where it is, and how a picture shows its values.
    pub fn say(&self, printer: &Printer, place: impl Display) {
        match &self.shown {
            Some(shown) => printer.field("wrote", format_args!("{place}: {shown}")),
            None => printer.field("wrote", place),
        }
    }
}

/// Bits of a sample.
#[derive(Clone, Copy, ValueEnum)]
pub enum Bits {
    /// From 0 to 255
    #[value(name = "8")]
    Eight,
    /// From 0 to 65535
    #[value(name = "16")]
    Sixteen,
}

impl Bits {
    /// As files have it.
    pub fn depth(self) -> Depth {
        match self {
            Bits::Eight => Depth::Eight,
            Bits::Sixteen => Depth::Sixteen,
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Magnitude,
    Phase,
    Real,
    Imaginary,
}

impl Part {
    fn of(self, array: Array) -> ArrayD<f32> {
        let real = |v: Complex32| match self {
            Part::Magnitude => v.norm(),
            Part::Phase => v.arg(),
            Part::Real => v.re,
            Part::Imaginary => v.im,
        };
        array.into_complex().mapv(real)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_string()).unwrap_or_default()
    }
}

impl Look {
    /// Refuses what a file of this name has no use for; without a look at any file.
    pub fn check(&self, output: &Path) -> Result<(), String> {
        let picture = matches!(Format::of(output).and_then(|f| f.writer), Some(Writer::Picture(_)));
        match (picture, self.window.is_some(), self.bits.is_some()) {
            (false, true, _) => Err("--window is for .png; other formats hold the values as they are".into()),
            (false, _, true) => Err("--bits is for .png; other formats hold the values as they are".into()),
            _ => Ok(()),
        }
    }

    /// The largest sample.
    fn largest(&self) -> f32 {
        f32::from(self.depth().largest().unwrap_or(u16::MAX))
    }

    /// The samples' depth.
    pub fn depth(&self) -> Depth {
        self.bits.unwrap_or(Bits::Eight).depth()
    }

    /// Values as samples of a picture; what is not finite is black.
    pub fn samples(&self, values: &ArrayD<f32>, (black, white): (f32, f32)) -> ArrayD<f32> {
        let most = self.largest();
        let (black, range) = (f64::from(black), f64::from(white) - f64::from(black));
        // In f64, as a window may be as wide as f32 is.
        let scale = if range > 0.0 { f64::from(most) / range } else { 0.0 };
        let shown = |v: f32| ((f64::from(v) - black) * scale).clamp(0.0, f64::from(most)) as f32;
        values.mapv(|v| if v.is_finite() { shown(v) } else { 0.0 })
    }
}

impl Shown {
    /// Of real values, of which a window that is given may have negative ones; else those are dark.
    pub fn real(look: Look) -> Shown {
        let part = matches!(look.window, Some(Window::Range(..))).then_some(Part::Real);
        Shown { part, look }
    }

    /// What shows without a look at any file.
    pub fn check(&self, output: &Path) -> Result<(), String> {
        if self.part == Some(Part::Phase) && self.look.window.is_some() {
            return Err("--window is for grey; phases are shown from −π to π".into());
        }
        self.look.check(output)
    }

    /// Writes a tensor of the host.
    ///
    /// # Errors
    /// It holds NaN or infinity and `expect_finite`; the format cannot hold it; the file cannot be written.
    pub fn write(
        &self,
        output: Output,
        tensor: &Tensor,
        geometry: Option<&Geometry>,
        expect_finite: bool,
    ) -> Result<Written> {
        // A copy, and for a picture its magnitude, as often again for the window, and its pixels.
        expect_bytes((tensor.shape().len() as u64).saturating_mul(8 + 8 + 8 + 4), || {
            output.path().display().to_string()
        })?;
        let array = match tensor.host_array() {
            Some(HostArray::F32(_)) => Array::F32(tensor.to_real_array()?),
            _ => Array::C32(tensor.to_array()?),
        };
        if expect_finite {
            finite(&array)?;
        }
        let real = matches!(array, Array::F32(_));
        // Pages and frames are no slices of a volume.
        let frames = tensor.shape().dims().first().is_some_and(|d| matches!(d.to_string().as_str(), "T" | "B"));
        match Format::of(output.path()).and_then(|f| f.writer) {
            Some(Writer::Array(write)) => write(output, &self.taken(array))?,
            Some(Writer::Volume(write)) => {
                let array = self.taken(array);
                write(output, &if frames && array.shape().len() == 3 { apart(array) } else { array }, geometry)?;
                let shown = geometry.is_none().then(|| UNIT_VOXELS.to_string());
                return Ok(Written { shown, ..Written::default() });
            }
            Some(Writer::Raster(write)) => {
                let part = self.part.unwrap_or(if real { Part::Real } else { Part::Magnitude });
                write(output, part.of(array).view())?;
            }
            Some(Writer::Picture(_)) => return self.picture(output, array),
            None => return Err(Error::file(output.path(), "is of a format that is not written")),
        }
        Ok(Written::default())
    }

    /// The part that was asked for, or all.
    fn taken(&self, array: Array) -> Array {
        match self.part {
            Some(part) => Array::F32(part.of(array)),
            None => array,
        }
    }

    fn picture(&self, output: Output, array: Array) -> Result<Written> {
        let part = self.part.unwrap_or(Part::Magnitude);
        // 0 has no phase.
        let nothing = (part == Part::Phase).then(|| array.clone().into_complex().mapv(|v| v == Complex32::default()));
        let mut values = part.of(array);
        if let Some(nothing) = nothing {
            values.zip_mut_with(&nothing, |v, nothing| *v = if *nothing { f32::NAN } else { *v });
        }
        let window = self.look.window.unwrap_or_default();
        let ((black, white), how) = match part {
            Part::Phase => (PHASE_WINDOW, "round the circle of colours".to_string()),
            Part::Magnitude => (window.limits(values.view()), window.to_string()),
            Part::Real | Part::Imaginary => (window.symmetric(values.view()), window.to_string()),
        };
        let sheet = match part {
            Part::Phase => {
                let colours = phase_colours(values.view()) * self.look.largest();
                let planes = colours.axis_iter(Axis(colours.ndim() - 1)).map(|c| sheet(&output, c.to_owned()));
                let planes = planes.collect::<Result<Vec<_>>>()?;
                let views: Vec<_> = planes.iter().map(|p| p.view()).collect();
                ndarray::stack(Axis(2), &views).map_err(|e| Error::Shape(e.to_string()))?.into_dyn()
            }
            _ => sheet(&output, self.look.samples(&values, (black, white)))?.into_dyn(),
        };
        write_raster(output, sheet.view(), part == Part::Phase, self.look.depth())?;
        let (low, high) = if part == Part::Phase { ("", "") } else { (" (black)", " (white)") };
        let name = part.name();
        let shown = format!("{name} from {}{low} to {}{high}, {how}", short(black), short(white));
        Ok(Written {
            shown: Some(shown),
            facts: json!({ "part": name, "black": decimal(black), "white": decimal(white) }),
        })
    }
}

/// One image, or several as a montage.
fn sheet(output: &Output, samples: ArrayD<f32>) -> Result<Array2<f32>> {
    let rank = samples.ndim();
    let one = |s: ArrayD<f32>| s.into_dimensionality::<Ix2>().ok();
    let several = |s: ArrayD<f32>| s.into_dimensionality::<Ix3>().ok().map(|s| montage(s.view()));
    let sheet = if rank == 3 { several(samples) } else { one(samples) };
    sheet.ok_or_else(|| Error::file(output.path(), format!("{PICTURE_DIMS}, the result has {rank}; write .npy")))
}

/// What there is to say of a volume whose geometry nobody tells.
pub const UNIT_VOXELS: &str = "voxels of 1 mm, as nothing says how large they are";

/// What a picture holds.
pub const PICTURE_DIMS: &str = "a picture has 2 dims, or 3 with several images";

/// Frames (time, y, x) as (time, 1, y, x): time is no axis of space.
fn apart(array: Array) -> Array {
    match array {
        Array::F32(a) => Array::F32(a.insert_axis(Axis(1))),
        other => Array::C32(other.into_complex().insert_axis(Axis(1))),
    }
}

/// Refuses a result that holds NaN or infinity.
pub fn finite(array: &Array) -> Result<()> {
    let Some(at) = array.first_non_finite() else { return Ok(()) };
    Err(Error::Value(format!(
        "the result is NaN or infinite at {at:?}, though the input is finite: values beyond 3.4e38, the largest of 32-bit floats, \
         came up on the way; scale the input, or the weights, down by a power of 2 or 10"
    )))
}
