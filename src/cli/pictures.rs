//! Pictures in and out: what the verbs for them share. A picture is an array of rows and columns, with planes in front, and with
//! colours that are no axis of space.

use super::common::expect_bytes;
use super::input::{self, expect_readable, real};
use super::output;
use super::printer::{Printer, count_of, short};
use super::shown::{Bits, Look, UNIT_VOXELS, finite};
use linops::io::{Array, Depth, Format, Output, Reader, Writer, write_raster};
use linops::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use serde_json::{Map, json};
use std::path::{Path, PathBuf};

/// Where a picture goes, and how it is read.
#[derive(clap::Args)]
pub struct PictureArgs {
    /// Where the result goes: .npy, .cfl, .nii, .nii.gz, or .tif in 32-bit floats, .png to look at (see --window), or - for an .npy to
    /// the standard output
    #[arg(long, short, value_name = "FILE", value_parser = output::name())]
    pub output: PathBuf,

    /// Write a .png or .tif of whole numbers in the picture's own units, not by a window; what is outside of their range is clipped
    /// and counted
    #[arg(long, value_name = "BITS")]
    depth: Option<Bits>,

    /// Which axis are colours or other channels, each for itself: a number, from the end if negative, or none [default: as a
    /// .png or .tif says; of a .npy the last of three or more, if it has 3 or 4 entries]
    #[arg(long, value_name = "AXIS", value_parser = channel_axis, allow_hyphen_values = true)]
    channel_axis: Option<ChannelAxis>,

    /// Replace an existing output
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum ChannelAxis {
    None,
    At(isize),
}

fn channel_axis(text: &str) -> Result<ChannelAxis, String> {
    match text {
        "none" => Ok(ChannelAxis::None),
        _ => {
            text.parse().map(ChannelAxis::At).map_err(|_| "expected the number of an axis, such as -1, or none".into())
        }
    }
}

impl PictureArgs {
    /// What shows without a look at any file.
    pub fn check(&self) -> Result<(), String> {
        let whole = Format::of(&self.output).is_some_and(|f| matches!(f.name, "PNG picture" | "TIFF picture"));
        match self.depth {
            Some(_) if !whole => Err("--depth is for .png and .tif; a .npy or .cfl holds floats".into()),
            Some(_) if self.look.window.is_some() || self.look.bits.is_some() => {
                Err("--depth writes values as they are; leave --window and --bits out".into())
            }
            _ => self.look.check(&self.output),
        }
    }
}

/// A picture that was read.
pub struct Image {
    /// Values in the axes of the file, except that channels come first.
    values: ArrayD<f32>,
    /// Where the channels were.
    channels: Option<usize>,
    dtype: String,
    pub notes: Vec<String>,
}

impl Image {
    /// Reads a picture of any format that holds one.
    pub fn read(path: &Path, args: &PictureArgs) -> Result<Image> {
        Image::read_by(path, args.channel_axis, 2)
    }

    /// Reads what goes with a picture of so many axes of space, such as a mask: in an array of no more axes than these none is one of
    /// channels. Channels that are all alike are one.
    pub fn read_beside(path: &Path, space: usize) -> Result<Image> {
        Ok(Image::read_by(path, None, space.max(2))?.without_equal_channels())
    }

    fn read_by(path: &Path, asked: Option<ChannelAxis>, space: usize) -> Result<Image> {
        let reader = Format::reader_of(path, Reader::is_array)?;
        let (values, coloured, dtype, notes) = match reader {
            Reader::Picture(read) => {
                expect_readable(path)?;
                let raster = read(path)?;
                (raster.values, raster.coloured, raster.dtype.to_string(), raster.notes)
            }
            _ => {
                let array = input::read(path)?;
                // Whole numbers of any width come as one type.
                let dtype = if matches!(array, Array::I64(_)) { "integers" } else { array.dtype_name() };
                let dtype = dtype.to_string();
                let values = real(path, array)?;
                let coloured = values.ndim() > space && matches!(values.shape().last(), Some(3 | 4));
                (values, coloured, dtype, Vec::new())
            }
        };
        let axes = values.ndim();
        let channels = match asked {
            None => coloured.then(|| axes - 1),
            Some(ChannelAxis::None) => None,
            Some(ChannelAxis::At(k)) => {
                let at = if k < 0 { k + axes as isize } else { k };
                let fits = usize::try_from(at).ok().filter(|&at| at < axes && axes > 1);
                let wrong = || format!("--channel-axis {k}: the picture has {axes} axes {:?}", values.shape());
                Some(fits.ok_or_else(|| Error::file(path, wrong()))?)
            }
        };
        let values = channels.map_or(values.clone(), |at| moved(values, at, 0));
        Ok(Image { values, channels, dtype, notes })
    }

    /// The picture's axes of space.
    pub fn space(&self) -> &[usize] {
        &self.values.shape()[usize::from(self.channels.is_some())..]
    }

    /// Channels; 1 of a grey picture.
    pub fn channels(&self) -> usize {
        if self.channels.is_some() { self.values.shape()[0] } else { 1 }
    }

    /// All values.
    pub fn values(&self) -> &ArrayD<f32> {
        &self.values
    }

    /// Other values in the place of the picture's, in their order.
    pub fn like(&self, values: ArrayD<f32>) -> Image {
        Image { values, channels: self.channels, dtype: self.dtype.clone(), notes: Vec::new() }
    }

    /// One channel where all are alike.
    fn without_equal_channels(mut self) -> Image {
        let first = self.values.index_axis(Axis(0), 0);
        if self.channels.is_some() && self.values.outer_iter().all(|c| c == first) {
            self.values = first.to_owned();
            self.channels = None;
        }
        self
    }

    /// The index of the first value that is NaN or infinite.
    pub fn first_non_finite(&self) -> Option<Vec<usize>> {
        // A scan with indices takes ten times as long, and nearly always finds nothing.
        if self.values.iter().all(|v| v.is_finite()) {
            return None;
        }
        let (at, _) = self.values.indexed_iter().find(|(_, v)| !v.is_finite())?;
        Some(ndarray::Dimension::slice(&at).to_vec())
    }

    /// The parts that are worked on each for itself: one for each channel, and for each index of the axes in front of the last
    /// `axes`.
    pub fn parts(&self, axes: usize) -> Result<Vec<ArrayD<f32>>> {
        let at = self.values.ndim().saturating_sub(axes);
        let (front, inner) = self.values.shape().split_at(at);
        let rows = [&[front.iter().product()], inner].concat();
        let flat = self.values.to_shape(IxDyn(&rows)).map_err(|e| Error::Shape(e.to_string()))?;
        Ok(flat.outer_iter().map(|part| part.to_owned()).collect())
    }

    /// Which channel a part of [`parts`](Image::parts) belongs to.
    pub fn channel_of(&self, part: usize, parts: usize) -> usize {
        part * self.channels() / parts.max(1)
    }

    /// A picture like this one of such parts, its channels where they were.
    pub fn joined(&self, parts: &[ArrayD<f32>]) -> Result<ArrayD<f32>> {
        let all: Vec<f32> = parts.iter().flatten().copied().collect();
        let values = ArrayD::from_shape_vec(self.values.raw_dim(), all).map_err(|e| Error::Shape(e.to_string()))?;
        Ok(self.channels.map_or(values.clone(), |at| moved(values, 0, at)))
    }

    /// "256 x 256, 3 channels, u1"
    pub fn text(&self) -> String {
        let space: Vec<String> = self.space().iter().map(usize::to_string).collect();
        let channels = self.channels.map(|at| format!(", {} (axis {at})", count_of(self.channels(), "channel")));
        format!("{}{}, {}", space.join(" x "), channels.unwrap_or_default(), self.dtype)
    }

    /// That planes of a picture of three axes are taken for neighbours.
    pub fn as_volume(&self) -> Option<&'static str> {
        (self.space().len() == 3).then_some("a volume; --channel-axis 0 takes each plane for itself")
    }

    /// For programs.
    pub fn facts(&self) -> Map<String, serde_json::Value> {
        Map::from_iter([
            ("extents".into(), json!(self.space())),
            ("channels".into(), json!(self.channels())),
            ("channel_axis".into(), json!(self.channels)),
            ("dtype".into(), json!(self.dtype)),
            ("notes".into(), json!(self.notes)),
        ])
    }

    /// Checks, before the work, that a picture like this one can be written there.
    pub fn expect_writable(&self, target: &Output) -> Result<()> {
        let axes = self.space().len();
        let wrong = match Format::of(target.path()).and_then(|f| f.writer) {
            Some(Writer::Picture(_)) if axes != 2 => Some(format!("a PNG has 2 axes of space, the picture {axes}")),
            Some(Writer::Raster(_)) if !matches!(axes, 2 | 3) => {
                Some(format!("a TIFF has 2 axes of space, or 3 with its pages, the picture {axes}"))
            }
            Some(Writer::Picture(_) | Writer::Raster(_)) if !matches!(self.channels(), 1 | 3) => {
                Some(format!("a coloured picture has 3 channels, this one {}", self.channels()))
            }
            _ => None,
        };
        wrong.map_or(Ok(()), |what| Err(Error::file(target.path(), format!("{what}; write .npy"))))
    }

    /// Writes a picture like this one, says what was clipped or how it is shown, and tells programs.
    pub fn write(
        &self,
        target: Output,
        values: ArrayD<f32>,
        args: &PictureArgs,
        printer: &Printer,
        facts: &mut Map<String, serde_json::Value>,
    ) -> Result<()> {
        let path = args.output.display().to_string();
        expect_bytes((values.len() as u64).saturating_mul(12), || path.clone())?;
        let mut shown_as = String::new();
        let writer = Format::of(target.path()).and_then(|f| f.writer);
        finite(&Array::F32(values.clone()))?;
        // Null of what is no picture to look at.
        facts.insert("shown".into(), serde_json::Value::Null);
        let depth = args.depth.map(Bits::depth);
        let coloured = self.channels.filter(|_| self.channels() > 1);
        let last = |values: ArrayD<f32>| match self.channels {
            Some(at) if self.channels() > 1 => {
                let end = values.ndim() - 1;
                moved(values, at, end)
            }
            Some(at) => values.index_axis_move(Axis(at), 0),
            None => values,
        };
        match (writer, depth) {
            (Some(Writer::Array(write)), _) => write(target, &Array::F32(values))?,
            (Some(Writer::Volume(write)), _) => {
                write(target, &Array::F32(values), None)?;
                shown_as = format!(": {UNIT_VOXELS}");
            }
            (Some(Writer::Raster(_)), None) => {
                write_raster(target, last(values).view(), coloured.is_some(), Depth::Float)?;
            }
            (Some(Writer::Picture(_)), None) => {
                let window = args.look.window.unwrap_or_default();
                // The channels in front: rows and columns are the last axes.
                let planes = self.channels.map_or(values.clone(), |at| moved(values.clone(), at, 0));
                let (black, white) = window.limits(planes.view());
                let shown = args.look.samples(&values, (black, white));
                write_raster(target, last(shown).view(), coloured.is_some(), args.look.depth())?;
                shown_as = format!(": from {} (black) to {} (white), {window}", short(black), short(white));
                facts.insert("shown".into(), json!({ "part": "real", "black": black, "white": white }));
            }
            (Some(Writer::Picture(_) | Writer::Raster(_)), Some(depth)) => {
                let count = values.len();
                let clipped = write_raster(target, last(values).view(), coloured.is_some(), depth)?;
                let most = depth.largest().unwrap_or(u16::MAX);
                printer.field("clipped", format_args!("{clipped} of {count} samples to 0 … {most}"));
                facts.insert("clipped".into(), json!(clipped));
            }
            (None, _) => return Err(Error::file(&args.output, "is of a format that is not written")),
        }
        printer.field("wrote", format_args!("{path}{shown_as}"));
        facts.insert("file".into(), json!(path));
        Ok(())
    }
}

/// The array with axis `from` at place `to`, in C order.
fn moved(values: ArrayD<f32>, from: usize, to: usize) -> ArrayD<f32> {
    let mut order: Vec<usize> = (0..values.ndim()).filter(|a| *a != from).collect();
    order.insert(to, from);
    let values = values.permuted_axes(IxDyn(&order));
    if values.is_standard_layout() { values } else { values.as_standard_layout().into_owned() }
}
