//! Pictures as numbers: PNG and TIFF, read in their own units and written in whole numbers or floats.

use super::format::{Format, Reader, suffix};
use super::{Array, Output, png, tiff};
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayViewD, Axis};
use std::path::Path;

/// A picture from a file.
///
/// Whole numbers keep their units: 255 of an 8-bit file is 255. Alpha and what else is no colour is left out, and said.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Raster {
    /// Values (page, row, column, channel): pages where the file has several, channels where [`coloured`](Raster::coloured).
    pub values: ArrayD<f32>,
    /// Whether the last axis are colours or other channels.
    pub coloured: bool,
    /// The type of the samples in the file, in NumPy's short spelling: `u1`, `u2`, `f4`.
    pub dtype: &'static str,
    /// What there is to say about the file.
    pub notes: Vec<String>,
}

impl Raster {
    /// The picture without its colours where these are equal everywhere: a grey picture that was saved as a coloured one.
    pub fn without_equal_colours(self) -> Raster {
        let Raster { values, coloured, dtype, notes } = self;
        let last = Axis(values.ndim().saturating_sub(1));
        let equal = coloured && values.lanes(last).into_iter().all(|c| c.iter().all(|v| *v == c[0]));
        match equal {
            true => Raster { values: values.index_axis_move(last, 0), coloured: false, dtype, notes },
            false => Raster { values, coloured, dtype, notes },
        }
    }
}

/// How samples are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whole numbers from 0 to 255.
    Eight,
    /// Whole numbers from 0 to 65535.
    Sixteen,
    /// 32-bit floats, which a TIFF takes.
    Float,
}

impl Depth {
    /// The largest whole number; None of floats.
    pub fn largest(self) -> Option<u16> {
        match self {
            Depth::Eight => Some(u16::from(u8::MAX)),
            Depth::Sixteen => Some(u16::MAX),
            Depth::Float => None,
        }
    }
}

/// Reads a picture, PNG or TIFF.
///
/// # Errors
/// [`Error::File`] when the suffix is that of no picture, or the file cannot be read.
pub fn read_picture(path: impl AsRef<Path>) -> Result<Raster> {
    let path = path.as_ref();
    match Format::reader_of(path, |r| matches!(r, Reader::Picture(_)))? {
        Reader::Picture(read) => read(path),
        _ => Err(Error::file(path, "is no picture")),
    }
}

/// Writes values (page, row, column, channel) to a PNG or a TIFF, as they are: whole numbers are the nearest ones. Pages are for
/// a TIFF; channels, where `coloured`, are 3. Returns how many samples were clipped to the range, or were not finite (these
/// become 0).
///
/// # Errors
/// [`Error::File`] when the format cannot hold the axes or the depth, or the file cannot be written.
pub fn write_raster(output: Output, values: ArrayViewD<f32>, coloured: bool, depth: Depth) -> Result<usize> {
    match suffix(output.path()).as_str() {
        "png" => png::write_whole(output, values, coloured, depth),
        "tif" | "tiff" => tiff::write(output, values, coloured, depth),
        _ => Err(Error::file(output.path(), "a picture is written to .png or .tif")),
    }
}

/// Rows and columns, and the pages in front and channels behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub pages: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Layout {
    /// Of an array, whose last axis are channels where `coloured`.
    pub fn of(path: &Path, shape: &[usize], coloured: bool) -> Result<Layout> {
        let (front, channels) = match shape.split_last() {
            Some((&channels, front)) if coloured => (front, channels),
            _ => (shape, 1),
        };
        match *front {
            [height, width] => Ok(Layout { pages: 1, height, width, channels }),
            [pages, height, width] => Ok(Layout { pages, height, width, channels }),
            _ => Err(Error::file(
                path,
                format!("a picture has rows and columns, these are values {shape:?}; write .npy"),
            )),
        }
    }

    /// The shape of a picture that was read.
    pub fn shape(self, several: bool) -> Vec<usize> {
        let front = if several { vec![self.pages] } else { Vec::new() };
        let behind = if self.channels > 1 { vec![self.channels] } else { Vec::new() };
        [front, vec![self.height, self.width], behind].concat()
    }

    pub fn samples(self) -> Option<usize> {
        [self.height, self.width, self.channels].iter().try_fold(self.pages, |n, &k| n.checked_mul(k))
    }
}

/// The nearest whole number up to `largest`; `clipped` counts those that there is none of.
pub(super) fn whole(value: f32, largest: u16, clipped: &mut usize) -> u16 {
    let rounded = value.round();
    if !(0.0..=f32::from(largest)).contains(&rounded) {
        *clipped += 1;
    }
    // A float to integer cast saturates and takes NaN to 0.
    if value.is_finite() { (rounded as u16).min(largest) } else { 0 }
}

/// Checks what a file claims against its length: compressed by what is read here, `most` bytes at most come of one.
pub(super) fn expect_claim(path: &Path, claimed: Option<usize>, length: u64, most: u64) -> Result<usize> {
    let bound = length.saturating_mul(most);
    match claimed {
        Some(bytes) if bytes as u64 <= bound && bytes <= isize::MAX as usize / 16 => Ok(bytes),
        claimed => {
            let claimed = claimed.map_or_else(|| "more bytes than can be addressed".into(), |n| format!("{n} bytes"));
            Err(Error::file(
                path,
                format!("claims {claimed} of pixels, but has {length} bytes; it is damaged or cut off"),
            ))
        }
    }
}

/// The picture as an array whose axes mean what its user says.
pub(super) fn as_array(raster: Raster) -> Array {
    Array::F32(raster.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, ArrayD, IxDyn};

    fn round_trip(name: &str, values: &ArrayD<f32>, coloured: bool, depth: Depth) -> (Raster, usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let output = Output::create(&path, &["png", "tif"], false).unwrap();
        let clipped = write_raster(output, values.view(), coloured, depth).unwrap();
        (read_picture(&path).unwrap(), clipped)
    }

    #[test]
    fn whole_numbers_keep_their_units() {
        for (name, depth, dtype, most) in [
            ("a.png", Depth::Eight, "u1", 255),
            ("a.png", Depth::Sixteen, "u2", 65535),
            ("a.tif", Depth::Sixteen, "u2", 65535),
            ("b.tiff", Depth::Eight, "u1", 255),
        ] {
            for coloured in [false, true] {
                let shape = if coloured { vec![5, 7, 3] } else { vec![5, 7] };
                let n: usize = shape.iter().product();
                let values =
                    ArrayD::from_shape_vec(IxDyn(&shape), (0..n).map(|i| (i * most / (n - 1)) as f32).collect())
                        .unwrap();
                let (read, clipped) = round_trip(name, &values, coloured, depth);
                assert_eq!((read.dtype, read.coloured, clipped), (dtype, coloured, 0), "{name}");
                assert_eq!(read.values, values, "{name} {depth:?}");
            }
        }
    }

    #[test]
    fn floats_and_pages_go_through_a_tiff() {
        let values = Array3::from_shape_fn((3, 4, 5), |(k, i, j)| (k as f32 - 1.0) * 1e-3 + (i * j) as f32).into_dyn();
        let (read, clipped) = round_trip("a.tif", &values, false, Depth::Float);
        assert_eq!((read.values, read.dtype, read.coloured, clipped), (values, "f4", false, 0));
        let colours = ArrayD::from_shape_fn(IxDyn(&[2, 4, 5, 3]), |i| i[0] as f32 - i[3] as f32 / 3.0);
        let (read, _) = round_trip("a.tif", &colours, true, Depth::Float);
        assert_eq!((read.values, read.coloured), (colours, true));
    }

    #[test]
    fn what_is_clipped_is_counted() {
        let values = ndarray::arr2(&[[-1.0, 0.4, 255.4], [300.0, f32::NAN, f32::INFINITY]]).into_dyn();
        let (read, clipped) = round_trip("a.png", &values, false, Depth::Eight);
        assert_eq!((read.values, clipped), (ndarray::arr2(&[[0.0, 0.0, 255.0], [255.0, 0.0, 0.0]]).into_dyn(), 4));
    }

    #[test]
    fn equal_colours_are_one() {
        let grey = ndarray::arr2(&[[1.0f32, 2.0], [3.0, 4.0]]);
        let coloured = ArrayD::from_shape_fn(IxDyn(&[2, 2, 3]), |i| grey[[i[0], i[1]]]);
        let raster = Raster { values: coloured, coloured: true, dtype: "u1", notes: Vec::new() };
        let mut other = raster.clone();
        other.values[[1, 1, 2]] = 0.0;
        let one = raster.without_equal_colours();
        assert_eq!((one.values, one.coloured), (grey.into_dyn(), false));
        assert!(other.without_equal_colours().coloured);
    }

    #[test]
    fn axes_that_a_picture_lacks_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = |name: &str, shape: &[usize], coloured, depth| {
            let output = Output::create(dir.path().join(name), &["png", "tif"], false).unwrap();
            write_raster(output, ArrayD::zeros(shape).view(), coloured, depth).unwrap_err().to_string()
        };
        assert!(wrong("a.png", &[2, 3, 4], false, Depth::Eight).contains("one page"));
        assert!(wrong("a.png", &[3, 4], false, Depth::Float).contains("8 or 16 bits"));
        assert!(wrong("a.png", &[3, 4, 2], true, Depth::Eight).contains("3 channels"));
        assert!(wrong("a.tif", &[2, 2, 3, 4], false, Depth::Float).contains("rows and columns"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
