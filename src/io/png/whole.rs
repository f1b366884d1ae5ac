//! PNG out in whole numbers, unscaled.

use super::super::Output;
use super::super::raster::{Depth, Layout, whole};
use super::extent;
use crate::allocate::room_for;
use crate::{Error, Result};
use ndarray::ArrayViewD;

/// Writes values (row, column), with 3 channels last where `coloured`; returns how many were clipped.
pub(in super::super) fn write_whole(
    output: Output,
    values: ArrayViewD<f32>,
    coloured: bool,
    depth: Depth,
) -> Result<usize> {
    let path = output.path().to_path_buf();
    let fail = |message: String| Error::file(&path, message);
    let Layout { pages, height, width, channels } = Layout::of(&path, values.shape(), coloured)?;
    if pages > 1 || values.ndim() > 2 + usize::from(coloured) {
        return Err(fail(format!("a PNG has one page, these are {pages}; write .tif or .npy")));
    }
    if coloured && channels != 3 {
        return Err(fail(format!("a coloured PNG has 3 channels, these are {channels}; write .npy")));
    }
    let Some(largest) = depth.largest() else {
        return Err(fail("a PNG has samples of 8 or 16 bits; write .tif or .npy for floats".into()));
    };
    let bytes = if depth == Depth::Eight { 1 } else { 2 };
    let mut pixels = room_for::<u8>(values.len().saturating_mul(bytes), &path.display().to_string())?;
    let mut clipped = 0;
    for &value in values {
        pixels.extend(&whole(value, largest, &mut clipped).to_be_bytes()[2 - bytes..]);
    }
    output.write(|file| {
        let failed = |e: png::EncodingError| Error::file(&path, format!("cannot write: {e}"));
        let mut encoder = png::Encoder::new(file, extent(&path, width)?, extent(&path, height)?);
        encoder.set_color(if coloured { png::ColorType::Rgb } else { png::ColorType::Grayscale });
        encoder.set_depth(if bytes == 1 { png::BitDepth::Eight } else { png::BitDepth::Sixteen });
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&pixels).map_err(failed)?;
        writer.finish().map_err(failed)
    })?;
    Ok(clipped)
}
