//! Stacks of microscopes, as ImageJ writes them: channels, slices and frames are pages of one row, and a description says which.
//!
//! Pages run over channels first, then over slices, then over frames: <https://imagej.net/ij/docs/guide/146-8.html>. They are read as pages:
//! programs name any leading axis channels.

use crate::{Error, Result};
use std::path::Path;

/// What there is to say of so many pages with this description; None where it is not ImageJ's, or pages are of one kind.
///
/// # Errors
/// It names more images than there are pages, and the file has room for them: they stand behind the one directory that it has.
pub(super) fn note(path: &Path, description: &str, pages: usize, room_for: usize) -> Result<Option<String>> {
    if !description.starts_with("ImageJ=") {
        return Ok(None);
    }
    let number = |name: &str| {
        let value = description.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
        value.and_then(|v| v.trim().parse::<usize>().ok()).unwrap_or(1).max(1)
    };
    let images = number("images");
    if pages == 1 && images > 1 && images <= room_for {
        let message = format!(
            "ImageJ has {images} images in it behind one directory, as it writes files of more than 4 GB; save it as an image sequence, or as \
             .npy"
        );
        return Err(Error::file(path, message));
    }
    let of = ["channels", "slices", "frames"].map(number);
    let several = of.iter().filter(|n| **n > 1).count() > 1;
    let all = of.iter().try_fold(1usize, |n, k| n.checked_mul(*k));
    Ok((several && all == Some(pages)).then(|| {
        let [channels, slices, frames] = of;
        format!(
            "ImageJ's stack of {channels} channels, {slices} slices and {frames} frames: its {pages} pages are taken for planes of one volume; save \
             each channel and frame for itself, or all as .npy"
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_kinds_are_told() {
        let told = |text: &str, pages, room| note(Path::new("a.tif"), text, pages, room);
        let hyperstack = "ImageJ=1.53c\nimages=12\nchannels=4\nslices=3\nhyperstack=true\nmode=grayscale\n";
        let text = told(hyperstack, 12, 12).unwrap().unwrap();
        assert!(text.contains("4 channels, 3 slices and 1 frames: its 12 pages"), "{text}");
        for (one, pages) in [
            ("ImageJ=1.53c\nimages=12\nchannels=12\n", 12),
            ("ImageJ=1.53c\nimages=12\nslices=12\n", 12),
            ("a cell, channels=4", 12),
            (hyperstack, 11),
            ("ImageJ=1.53c\nchannels=99999999999\nslices=99999999999\n", 11),
            ("ImageJ=1.53c\nchannels=-3\nslices=\n", 2),
        ] {
            assert_eq!(told(one, pages, pages).unwrap(), None, "{one}");
        }
        // A page that was saved anew, and a file with all that is behind it.
        assert_eq!(told("ImageJ=1.53c\nimages=12\nslices=12\n", 1, 1).unwrap(), None);
        assert!(told("ImageJ=1.53c\nimages=12\nslices=12\n", 1, 12).unwrap_err().to_string().contains("4 GB"));
    }
}
