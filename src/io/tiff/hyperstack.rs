//! Stacks of microscopes, as ImageJ writes them: channels, slices and frames are pages of one row, and a description says which.
//!
//! Pages run over channels first, then over slices, then over frames: <https://imagej.net/ij/docs/guide/146-8.html>.

use crate::{Error, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use std::path::Path;

/// How the pages of a file are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hyperstack {
    channels: usize,
    slices: usize,
    frames: usize,
}

impl Hyperstack {
    /// What the description of the first page says of so many pages; None where it is not ImageJ's, or there is one channel and one frame.
    ///
    /// # Errors
    /// It names other pages than there are.
    pub fn told(path: &Path, description: &str, pages: usize) -> Result<Option<Hyperstack>> {
        if !description.starts_with("ImageJ=") {
            return Ok(None);
        }
        let number = |name: &str| {
            let value = description.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            value.and_then(|v| v.trim().parse::<usize>().ok()).unwrap_or(1).max(1)
        };
        let images = number("images");
        if images > 1 && pages == 1 {
            let message = format!(
                "ImageJ has {images} images in it behind one directory, as it writes files of more than 4 GB; save it as an image sequence, or as \
                 .npy"
            );
            return Err(Error::file(path, message));
        }
        let told = Hyperstack { channels: number("channels"), slices: number("slices"), frames: number("frames") };
        let all = told.channels.checked_mul(told.slices).and_then(|n| n.checked_mul(told.frames));
        Ok(Some(told).filter(|told| all == Some(pages) && told.channels.max(told.frames) > 1))
    }

    /// Pages that remain once channels are no pages.
    fn planes(self) -> usize {
        self.slices * self.frames
    }

    /// The shape of pages (page, row, column, colour…) of which channels come last.
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        if self.channels == 1 {
            return shape.to_vec();
        }
        let front = if self.planes() > 1 { vec![self.planes()] } else { Vec::new() };
        let colours: usize = shape[3..].iter().product();
        [front, shape[1..3].to_vec(), vec![self.channels * colours]].concat()
    }

    /// The pages with their channels last.
    pub fn arranged(self, path: &Path, values: ArrayD<f32>) -> Result<ArrayD<f32>> {
        if self.channels == 1 {
            return Ok(values);
        }
        let shape = self.shape(values.shape());
        let apart = [&[self.planes(), self.channels], &values.shape()[1..]].concat();
        let wrong = |e: ndarray::ShapeError| Error::file(path, e.to_string());
        let mut values = values.into_shape_with_order(IxDyn(&apart)).map_err(wrong)?;
        if values.ndim() == 4 {
            values = values.insert_axis(Axis(4));
        }
        // (plane, channel, row, column, colour)
        let turned = values.permuted_axes(IxDyn(&[0, 2, 3, 1, 4])).as_standard_layout().into_owned();
        turned.into_shape_with_order(IxDyn(&shape)).map_err(wrong)
    }

    /// Whether there is more than one channel.
    pub fn has_channels(self) -> bool {
        self.channels > 1
    }

    /// What there is to say.
    pub fn note(self) -> String {
        let Hyperstack { channels, slices, frames } = self;
        let behind = match (frames, slices) {
            (1, _) => "",
            (_, 1) => "; frames are planes one behind the other",
            _ => "; frames stand one behind the other as slices do",
        };
        format!("ImageJ's stack of channels, slices, frames: {channels}, {slices}, {frames}{behind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    #[test]
    fn channels_come_last() {
        let path = Path::new("a.tif");
        let told = |text: &str, pages: usize| Hyperstack::told(path, text, pages);
        let stack = told("ImageJ=1.53c\nimages=12\nchannels=4\nslices=3\nhyperstack=true\nmode=grayscale\n", 12);
        let stack = stack.unwrap().unwrap();
        let pages = Array3::from_shape_fn((12, 2, 5), |(p, y, x)| (100 * p + 10 * y + x) as f32);
        let values = stack.arranged(path, pages.clone().into_dyn()).unwrap();
        assert_eq!((values.shape(), stack.shape(&[12, 2, 5])), (&[3, 2, 5, 4][..], vec![3, 2, 5, 4]));
        assert_eq!(values[[2, 1, 3, 1]], 100.0 * (2.0 * 4.0 + 1.0) + 13.0);
        // One plane, channels of colours.
        let flat = told("ImageJ=1.53c\nimages=2\nchannels=2\n", 2).unwrap().unwrap();
        assert_eq!(flat.shape(&[2, 7, 5]), [7, 5, 2]);
        assert_eq!(flat.shape(&[2, 7, 5, 3]), [7, 5, 6]);
        // Frames alone stay where they are, and slices alone are a volume.
        let frames = told("ImageJ=1.53c\nimages=12\nframes=12\n", 12).unwrap().unwrap();
        assert_eq!(frames.arranged(path, pages.clone().into_dyn()).unwrap(), pages.into_dyn());
        assert_eq!(told("ImageJ=1.53c\nimages=12\nslices=12\n", 12).unwrap(), None);
        // Other descriptions, and pages that are not those that are named.
        assert_eq!(told("a cell, channels=4", 12).unwrap(), None);
        assert_eq!(told("ImageJ=1.53c\nimages=12\nchannels=4\nslices=3\n", 11).unwrap(), None);
        assert_eq!(told("ImageJ=1.53c\nchannels=99999999999\nslices=99999999999\n", 11).unwrap(), None);
        assert!(told("ImageJ=1.53c\nimages=12\nslices=12\n", 1).unwrap_err().to_string().contains("4 GB"));
    }
}
