//! PNG in: grey, coloured and indexed, 1 to 16 bits, in the units of the file.

use super::super::file::open;
use super::super::format::Probe;
use super::super::raster::{Layout, Raster, expect_claim};
use crate::allocate::{room_for, zeroed};
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn};
use png::{BitDepth, ColorType, Decoder, Limits, Reader, Transformations};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Bytes that Deflate can make of one, at most.
const DEFLATE: u64 = 1032;

/// Bytes that the decoder may take beside the picture: a row, a palette, texts.
const BESIDE: usize = 64 << 20;

/// A file whose header has been read and found to fit its length.
struct Opened {
    reader: Reader<BufReader<File>>,
    layout: Layout,
    /// Bytes of a row in the file.
    row: usize,
    bytes: usize,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened> {
        let (file, length) = open(path)?;
        let mut decoder = Decoder::new_with_limits(BufReader::new(file), Limits { bytes: BESIDE });
        decoder.set_transformations(Transformations::IDENTITY);
        decoder.set_ignore_text_chunk(true);
        let reader = decoder.read_info().map_err(|e| failed(path, e))?;
        let info = reader.info();
        let (width, height) = (info.width as usize, info.height as usize);
        let channels = match info.color_type {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
            _ => 3,
        };
        let row = reader.output_line_size(info.width);
        let claimed = row.and_then(|row| row.checked_mul(height));
        let bytes = expect_claim(path, claimed, length, DEFLATE)?;
        Ok(Opened { layout: Layout { pages: 1, height, width, channels }, row: bytes / height.max(1), bytes, reader })
    }

    /// u1 or u2.
    fn dtype(&self) -> &'static str {
        if self.reader.info().bit_depth == BitDepth::Sixteen { "u2" } else { "u1" }
    }
}

pub(super) fn probe(path: &Path) -> Result<Probe> {
    let opened = Opened::new(path)?;
    let shape = opened.layout.shape(false);
    let held = shape.iter().product::<usize>() as u64 * 4;
    Ok(Probe { shape, dtype: opened.dtype().into(), memory: held.saturating_add(opened.bytes as u64) })
}

pub(super) fn read(path: &Path) -> Result<Raster> {
    let mut opened = Opened::new(path)?;
    let dtype = opened.dtype();
    let mut pixels = zeroed::<u8>(opened.bytes)?;
    opened.reader.next_frame(&mut pixels).map_err(|e| failed(path, e))?;
    let Opened { reader, layout, row, .. } = opened;
    let info = reader.info();
    let mut notes = Vec::new();
    let bits = info.bit_depth as usize;
    let samples = info.color_type.samples();
    if matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba) || info.trns.is_some() {
        notes.push("its transparency (alpha) is left out".into());
    }
    if info.is_animated() {
        notes.push("it is animated; its first picture is taken".into());
    }
    let mut values = room_for(layout.samples().unwrap_or(usize::MAX), &path.display().to_string())?;
    let palette = info.palette.as_deref();
    for line in pixels.chunks_exact(row.max(1)) {
        for x in 0..layout.width {
            match palette.filter(|_| info.color_type == ColorType::Indexed) {
                Some(colours) => {
                    let index = 3 * usize::from(sample(line, x, bits));
                    let colour = colours.get(index..index + 3);
                    let colour = colour.ok_or_else(|| Error::file(path, "has a pixel that is not in its palette"))?;
                    values.extend(colour.iter().map(|&v| f32::from(v)));
                }
                None => values.extend((0..layout.channels).map(|c| f32::from(sample(line, x * samples + c, bits)))),
            }
        }
    }
    let shape = layout.shape(false);
    let values = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| Error::file(path, e.to_string()))?;
    let raster = Raster { values, coloured: layout.channels > 1, dtype, notes };
    // A grey picture with a palette of greys.
    Ok(if palette.is_some() { raster.without_equal_colours() } else { raster })
}

/// Sample number `index` of a row, of so many bits each, the first in the highest bits.
pub(in super::super) fn sample(row: &[u8], index: usize, bits: usize) -> u16 {
    match bits {
        16 => u16::from_be_bytes([row[2 * index], row[2 * index + 1]]),
        8 => u16::from(row[index]),
        _ => {
            let bit = index * bits;
            u16::from(row[bit / 8] >> (8 - bits - bit % 8)) & ((1 << bits) - 1)
        }
    }
}

fn failed(path: &Path, e: png::DecodingError) -> Error {
    Error::file(path, format!("cannot be read as a PNG: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of rows of bytes.
    fn written(
        colour: ColorType,
        bits: BitDepth,
        width: u32,
        height: u32,
        palette: Option<&[u8]>,
        data: &[u8],
    ) -> Raster {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let mut encoder = png::Encoder::new(File::create(&path).unwrap(), width, height);
        encoder.set_color(colour);
        encoder.set_depth(bits);
        if let Some(palette) = palette {
            encoder.set_palette(palette.to_vec());
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        let raster = read(&path).unwrap();
        assert_eq!(probe(&path).unwrap().dtype, raster.dtype);
        raster
    }

    fn list(raster: &Raster) -> Vec<f32> {
        raster.values.iter().copied().collect()
    }

    #[test]
    fn every_kind_is_read() {
        let grey = written(ColorType::Grayscale, BitDepth::Sixteen, 2, 1, None, &[1, 0, 255, 255]);
        assert_eq!((list(&grey), grey.values.shape(), grey.coloured), (vec![256.0, 65535.0], &[1, 2][..], false));
        let bits = written(ColorType::Grayscale, BitDepth::One, 10, 1, None, &[0b1010_0000, 0b0100_0000]);
        assert_eq!(list(&bits), [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let alpha = written(ColorType::GrayscaleAlpha, BitDepth::Eight, 2, 1, None, &[7, 9, 8, 10]);
        assert_eq!((list(&alpha), alpha.notes.len()), (vec![7.0, 8.0], 1));
        let rgba = written(ColorType::Rgba, BitDepth::Eight, 1, 2, None, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((list(&rgba), rgba.values.shape()), (vec![1.0, 2.0, 3.0, 5.0, 6.0, 7.0], &[2, 1, 3][..]));
        assert!(rgba.coloured && rgba.notes[0].contains("alpha"));
        let indexed = written(ColorType::Indexed, BitDepth::Four, 3, 1, Some(&[9, 8, 7, 6, 5, 4]), &[0x10, 0x10]);
        assert_eq!(list(&indexed), [6.0, 5.0, 4.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0]);
        let greys = written(ColorType::Indexed, BitDepth::Eight, 2, 1, Some(&[9, 9, 9, 3, 3, 3]), &[1, 0]);
        assert_eq!((list(&greys), greys.coloured), (vec![3.0, 9.0], false));
    }

    #[test]
    fn claims_are_compared_with_the_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.png");
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
        encoder.set_color(ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[1, 2, 3, 4]).unwrap();
        writer.finish().unwrap();
        for (what, change) in [("cut off", None), ("huge", Some(0x8000u32))] {
            let mut bytes = bytes.clone();
            match change {
                None => bytes.truncate(bytes.len() - 20),
                Some(width) => {
                    bytes[16..20].copy_from_slice(&width.to_be_bytes());
                    bytes[20..24].copy_from_slice(&width.to_be_bytes());
                    let sum = crc(&bytes[12..29]);
                    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
                }
            }
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(if what == "huge" { "claims" } else { "cannot be read" }), "{what}: {error}");
        }
        std::fs::write(&path, "no picture").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("cannot be read as a PNG"));
    }

    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |sum, &b| {
            (0..8).fold(sum ^ u32::from(b), |s, _| if s & 1 == 1 { s >> 1 ^ 0xedb8_8320 } else { s >> 1 })
        })
    }
}
