//! PNG: pictures in, magnitude images as 8-bit greyscale out, alone or side by side with captions.

mod read;
mod whole;

pub(super) use read::sample;
pub(super) use whole::write_whole;

use super::format::{Format, Reader, Writer};
use super::{Output, Window, font};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use std::path::Path;

pub(super) const FORMAT: Format = Format {
    name: "PNG picture",
    suffixes: &["png"],
    companion: None,
    probe: Some(read::probe),
    reader: Some(Reader::Picture(read::read)),
    writer: Some(Writer::Picture(write_png)),
};

/// An 8-bit greyscale picture, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width · height` values, 0 black.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// A picture of (row, column) values; row 0 is at the top, what is not finite is black.
    pub fn from_image(image: ArrayView2<f32>, window: Window) -> Picture {
        let (black, white) = window.limits(image.into_dyn());
        let scale = if white > black { 255.0 / (white - black) } else { 0.0 };
        let (height, width) = image.dim();
        // A float to integer cast saturates and takes NaN to 0.
        let grey = |v: &f32| ((v - black) * scale).round() as u8;
        let finite = |v: &f32| if v.is_finite() { grey(v) } else { 0 };
        Picture { width, height, pixels: image.iter().map(finite).collect() }
    }

    fn black(width: usize, height: usize) -> Picture {
        Picture { width, height, pixels: vec![0; width * height] }
    }

    /// Every pixel `factor` times in both directions.
    fn enlarged(&self, factor: usize) -> Picture {
        let mut out = Picture::black(self.width * factor, self.height * factor);
        for (i, pixel) in out.pixels.iter_mut().enumerate() {
            let (row, column) = (i / out.width / factor, i % out.width / factor);
            *pixel = self.pixels[row * self.width + column];
        }
        out
    }

    /// Copies `other` with its upper left corner at (x, y); what falls outside is cut.
    fn paste(&mut self, other: &Picture, x: usize, y: usize) {
        let columns = other.width.min(self.width.saturating_sub(x));
        for row in 0..other.height.min(self.height.saturating_sub(y)) {
            let to = (y + row) * self.width + x;
            let from = row * other.width;
            self.pixels[to..to + columns].copy_from_slice(&other.pixels[from..from + columns]);
        }
    }
}

/// Pixels of one character, with the gap to the next.
const ADVANCE: usize = font::WIDTH + 1;
/// Pixels between panels and around captions.
const GAP: usize = 8;
/// Images smaller than this are enlarged until they are not.
const COMFORTABLE: usize = 256;

/// Puts (caption, image, window) panels side by side, captions below.
///
/// Small images are enlarged by a whole factor. A caption wider than its panel is cut.
pub fn panels(items: &[(&str, Array2<f32>, Window)]) -> Picture {
    let images: Vec<Picture> = items
        .iter()
        .map(|(_, image, window)| {
            let larger_side = image.nrows().max(image.ncols()).max(1);
            let factor = COMFORTABLE.div_ceil(larger_side);
            Picture::from_image(image.view(), *window).enlarged(factor)
        })
        .collect();
    let height = images.iter().map(|p| p.height).max().unwrap_or(0);
    let width = images.iter().map(|p| p.width + GAP).sum::<usize>();
    // The font grows with large pictures, so that it stays readable when they are shown small.
    let text_scale = 1 + height / 512;
    let text_height = font::HEIGHT * text_scale;
    let mut sheet = Picture::black(width.saturating_sub(GAP), height + text_height + 2 * GAP);
    let mut x = 0;
    for ((caption, ..), image) in items.iter().zip(&images) {
        sheet.paste(image, x, 0);
        let fits = image.width / (ADVANCE * text_scale);
        let text: String = caption.chars().take(fits).collect();
        let text = caption_picture(&text).enlarged(text_scale);
        let indent = (image.width - text.width) / 2;
        sheet.paste(&text, x + indent, height + GAP);
        x += image.width + GAP;
    }
    sheet
}

fn caption_picture(text: &str) -> Picture {
    let mut picture = Picture::black(text.chars().count() * ADVANCE, font::HEIGHT);
    for (index, character) in text.chars().enumerate() {
        for (row, bits) in font::glyph(character).into_iter().enumerate() {
            for column in 0..font::WIDTH {
                if bits >> (font::WIDTH - 1 - column) & 1 == 1 {
                    picture.pixels[row * picture.width + index * ADVANCE + column] = 255;
                }
            }
        }
    }
    picture
}

/// Writes a (row, column) image as an 8-bit greyscale PNG.
///
/// # Errors
/// [`Error::File`] when the image has no pixel or the file cannot be written.
pub fn write_png(output: Output, image: ArrayView2<f32>, window: Window) -> Result<()> {
    write_picture(output, &Picture::from_image(image, window))
}

/// Writes a picture, such as [`panels`] makes, as an 8-bit greyscale PNG.
///
/// # Errors
/// [`Error::File`] when the picture has no pixel or the file cannot be written.
pub fn write_picture(output: Output, picture: &Picture) -> Result<()> {
    let path = output.path().to_path_buf();
    output.write(|file| {
        let (width, height) = (extent(&path, picture.width)?, extent(&path, picture.height)?);
        let failed = |e: png::EncodingError| Error::file(&path, format!("cannot write: {e}"));
        let mut encoder = png::Encoder::new(file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&picture.pixels).map_err(failed)?;
        writer.finish().map_err(failed)
    })
}

fn extent(path: &Path, pixels: usize) -> Result<u32> {
    // The format's limit is 2³¹ - 1.
    u32::try_from(pixels)
        .ok()
        .filter(|&n| n > 0 && n <= i32::MAX as u32)
        .ok_or_else(|| Error::file(path, format!("a PNG cannot be {pixels} pixels wide or high")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;
    use std::fs::File;
    use std::io::BufReader;

    #[test]
    fn writes_a_png_that_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let image = arr2(&[[0.0, 0.5, 1.0], [2.0, f32::NAN, -1.0]]);
        let output = Output::create(&path, &["png"], false).unwrap();
        write_png(output, image.view(), Window::Range(0.0, 1.0)).unwrap();
        let decoder = png::Decoder::new(BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; 6];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (3, 2));
        assert_eq!(pixels, [0, 128, 255, 255, 0, 0]);
    }

    #[test]
    fn the_window_ignores_a_few_bright_pixels() {
        let mut image = Array2::from_elem((100, 100), 1.0);
        image[[3, 4]] = 1e6;
        let picture = Picture::from_image(image.view(), Window::default());
        assert!(picture.pixels.iter().all(|&p| p == 255));
        let dark = Picture::from_image(Array2::zeros((2, 2)).view(), Window::default());
        assert_eq!(dark.pixels, [0; 4]);
    }

    #[test]
    fn panels_are_enlarged_and_captioned() {
        let image = Array2::from_elem((64, 32), 1.0);
        let window = Window::Range(0.0, 2.0);
        let sheet = panels(&[("a", image.clone(), window), ("B=2", image, window)]);
        assert_eq!((sheet.width, sheet.height), (2 * 128 + 8, 256 + 7 + 16));
        assert_eq!(sheet.pixels[0], 128);
        let text = &sheet.pixels[256 * sheet.width..];
        assert!(text.contains(&255));
        assert!(panels(&[]).pixels.is_empty());
    }

    #[test]
    fn an_empty_picture_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::create(dir.path().join("a.png"), &["png"], false).unwrap();
        assert!(write_picture(output, &panels(&[])).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
