//! TIFF in: grey and coloured, whole numbers and floats, strips and tiles, pages of one size.

use super::super::file::open;
use super::super::format::Probe;
use super::super::narrow::Narrowing;
use super::super::png::sample;
use super::super::raster::{Layout, Raster, expect_claim};
use super::hyperstack;
use crate::allocate::room_for;
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult, DecodingSampleType, Limits};
use tiff::tags::{PhotometricInterpretation, PlanarConfiguration, Tag};
use tiff::{ColorType, TiffError};

/// Bytes that LZW or Deflate make of one, at most.
const PACKED: u64 = 1400;

/// More pages than any stack has.
const PAGES: usize = 1 << 20;

type Pages = Decoder<BufReader<File>>;

/// What a page holds.
#[derive(Clone, Debug, PartialEq)]
struct Page {
    height: usize,
    width: usize,
    /// Samples of a pixel in the file, and those that are kept.
    samples: usize,
    channels: usize,
    bits: usize,
    dtype: &'static str,
    planar: bool,
    notes: Vec<String>,
}

/// A file whose directories have been read and found to fit its length.
struct Opened {
    decoder: Pages,
    page: Page,
    /// The directories that hold pages of the picture.
    directories: Vec<usize>,
    notes: Vec<String>,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened> {
        let (file, length) = open(path)?;
        let fail = |e: TiffError| failed(path, e);
        let most = usize::try_from(length.saturating_mul(PACKED)).unwrap_or(usize::MAX);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = most;
        limits.intermediate_buffer_size = most;
        limits.ifd_value_size = usize::try_from(length).unwrap_or(usize::MAX);
        let mut decoder = Decoder::new(BufReader::new(file)).map_err(fail)?.with_limits(limits);
        // What is no text says nothing.
        let description = decoder.get_tag_ascii_string(Tag::ImageDescription).unwrap_or_default();
        let (mut first, mut directories, mut bytes, mut smaller) = (None::<Page>, Vec::new(), Some(0usize), 0);
        for directory in 0..PAGES {
            if directory > 0 {
                if !decoder.more_images() {
                    break;
                }
                decoder.next_image().map_err(fail)?;
            }
            // Bit 0: a smaller copy of another page.
            if decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).map_err(fail)?.unwrap_or(0) & 1 == 1 {
                smaller += 1;
                continue;
            }
            let (page, needs) = Page::of(path, &mut decoder)?;
            bytes = bytes.zip(needs).and_then(|(a, b)| a.checked_add(b));
            // So that a file that names one page a million times ends here.
            let packed = decoder.find_tag_unsigned::<u32>(Tag::Compression).map_err(fail)?.unwrap_or(1) != 1;
            expect_claim(path, bytes, length, if packed || directory > 0 { PACKED } else { 1 })?;
            match &first {
                None => first = Some(page),
                Some(first) if first.same(&page) => {}
                Some(first) => {
                    let message = format!(
                        "page {directory} is {}, page {} is {}; a stack has pages of one size and kind",
                        page.text(),
                        directories.first().copied().unwrap_or(0),
                        first.text()
                    );
                    return Err(Error::file(path, message));
                }
            }
            directories.push(directory);
        }
        let page = first.ok_or_else(|| Error::file(path, "holds no page of full size"))?;
        let mut notes = page.notes.clone();
        if smaller > 0 {
            notes.push(format!("{smaller} smaller copies of its pages are left out"));
        }
        let room_for = usize::try_from(length).unwrap_or(usize::MAX) / bytes.unwrap_or(usize::MAX).max(1);
        notes.extend(hyperstack::note(path, &description, directories.len(), room_for)?);
        Ok(Opened { decoder, page, directories, notes })
    }

    fn layout(&self) -> Layout {
        let Page { height, width, channels, .. } = self.page;
        Layout { pages: self.directories.len(), height, width, channels }
    }
}

impl Page {
    /// The page at which the decoder is, and the bytes of its pixels.
    fn of(path: &Path, decoder: &mut Pages) -> Result<(Page, Option<usize>)> {
        let fail = |e: TiffError| failed(path, e);
        let (width, height) = decoder.dimensions().map_err(fail)?;
        let tag = |decoder: &mut Pages, tag| decoder.find_tag_unsigned::<u16>(tag).map_err(fail);
        let photometric = tag(decoder, Tag::PhotometricInterpretation)?.and_then(PhotometricInterpretation::from_u16);
        if photometric == Some(PhotometricInterpretation::RGBPalette) {
            return Err(Error::file(path, "is a TIFF with a palette, which is not read; save it as grey or RGB"));
        }
        let colour = decoder.colortype().map_err(fail)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(fail)?.unwrap_or_default();
        let samples = usize::from(colour.num_samples()).max(1);
        let mut notes = Vec::new();
        let channels = match colour {
            ColorType::Gray(_) => 1,
            ColorType::GrayA(_) => 1,
            ColorType::RGB(_) | ColorType::RGBA(_) => 3,
            ColorType::Multiband { .. } => {
                samples - extra.iter().filter(|k| matches!(k, 1 | 2)).count().min(samples - 1)
            }
            other => {
                let message = format!("is a TIFF of colours {other:?}, expected grey or RGB; save it so");
                return Err(Error::file(path, message));
            }
        };
        if channels < samples {
            notes.push("its transparency (alpha) is left out".into());
        }
        if photometric == Some(PhotometricInterpretation::WhiteIsZero) {
            notes.push("it has white as 0; its values are turned round, so that black is 0".into());
        }
        let bits = usize::from(colour.bit_depth());
        let layout = decoder.image_buffer_layout().map_err(fail)?;
        let dtype = match (layout.sample_type, bits) {
            (Some(DecodingSampleType::U8), 1 | 2 | 4 | 8) => "u1",
            (Some(DecodingSampleType::I8), 8) => "i1",
            (Some(DecodingSampleType::U16), 16) => "u2",
            (Some(DecodingSampleType::I16), 16) => "i2",
            (Some(DecodingSampleType::U32), 32) => "u4",
            (Some(DecodingSampleType::I32), 32) => "i4",
            (Some(DecodingSampleType::U64), 64) => "u8",
            (Some(DecodingSampleType::I64), 64) => "i8",
            (Some(DecodingSampleType::F16), 16) => "f2",
            (Some(DecodingSampleType::F32), 32) => "f4",
            (Some(DecodingSampleType::F64), 64) => "f8",
            _ => {
                let message = format!("has samples of {bits} bits, expected 1, 2, 4, 8, 16, 32 or 64; save it so");
                return Err(Error::file(path, message));
            }
        };
        if matches!(dtype, "u4" | "i4" | "u8" | "i8" | "f8") {
            notes.push(format!("samples of {bits} bits become the nearest 32-bit floats"));
        }
        let planar =
            tag(decoder, Tag::PlanarConfiguration)? == Some(PlanarConfiguration::Planar.to_u16()) && samples > 1;
        let page =
            Page { height: height as usize, width: width as usize, samples, channels, bits, dtype, planar, notes };
        let bytes =
            page.row_samples().checked_mul(bits).map(|n| n.div_ceil(8)).and_then(|n| n.checked_mul(page.rows()));
        Ok((page, bytes))
    }

    fn same(&self, other: &Page) -> bool {
        let key = |p: &Page| (p.height, p.width, p.samples, p.channels, p.bits, p.dtype);
        key(self) == key(other)
    }

    fn text(&self) -> String {
        format!("{} x {} x {} of {}", self.height, self.width, self.channels, self.dtype)
    }

    /// Samples of a row in memory, and rows: planes stand one behind the other.
    fn row_samples(&self) -> usize {
        if self.planar { self.width } else { self.width.saturating_mul(self.samples) }
    }

    fn rows(&self) -> usize {
        if self.planar { self.height.saturating_mul(self.samples) } else { self.height }
    }

    /// Index of a sample in memory.
    fn at(&self, y: usize, x: usize, c: usize) -> usize {
        match self.planar {
            true => (c * self.height + y) * self.width + x,
            false => (y * self.width + x) * self.samples + c,
        }
    }
}

pub(super) fn probe(path: &Path) -> Result<Probe> {
    let opened = Opened::new(path)?;
    let layout = opened.layout();
    let shape = layout.shape(layout.pages > 1);
    let values = layout.samples().unwrap_or(usize::MAX) as u64;
    // And a page as it is in the file.
    let memory = values.saturating_mul(4).saturating_add(values / layout.pages as u64 * 8);
    Ok(Probe { shape, dtype: opened.page.dtype.into(), memory })
}

pub(super) fn read(path: &Path) -> Result<Raster> {
    let mut opened = Opened::new(path)?;
    let layout = opened.layout();
    let mut values = room_for(layout.samples().unwrap_or(usize::MAX), &path.display().to_string())?;
    let mut buffer = DecodingResult::U8(Vec::new());
    let mut narrowing = Narrowing::default();
    for directory in std::mem::take(&mut opened.directories) {
        opened.decoder.seek_to_image(directory).map_err(|e| failed(path, e))?;
        let how = opened.decoder.read_image_to_buffer(&mut buffer).map_err(|e| failed(path, e))?;
        append(path, &opened.page, &buffer, &how, &mut narrowing, &mut values)?;
    }
    narrowing.expect_kept(path)?;
    let shape = layout.shape(layout.pages > 1);
    let values = ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|e| Error::file(path, e.to_string()))?;
    Ok(Raster { values, coloured: layout.channels > 1, dtype: opened.page.dtype, notes: opened.notes })
}

/// Appends a page's values, channels last.
fn append(
    path: &Path,
    page: &Page,
    buffer: &DecodingResult,
    how: &BufferLayoutPreference,
    narrowing: &mut Narrowing,
    to: &mut Vec<f32>,
) -> Result<()> {
    let short = || Error::file(path, "has fewer pixels than it says");
    let mut each = |count: usize, get: &dyn Fn(usize) -> f32| -> Result<()> {
        if count < page.rows().saturating_mul(page.row_samples()) {
            return Err(short());
        }
        for y in 0..page.height {
            for x in 0..page.width {
                to.extend((0..page.channels).map(|c| get(page.at(y, x, c))));
            }
        }
        Ok(())
    };
    match buffer {
        DecodingResult::U8(v) if page.bits < 8 => {
            let (row, n) = (how.row_stride.map_or(0, usize::from), page.row_samples());
            if row == 0 || v.len() < row.saturating_mul(page.rows()) || n.div_ceil(8 / page.bits) > row {
                return Err(short());
            }
            each(usize::MAX, &|i| f32::from(sample(&v[i / n * row..], i % n, page.bits)))
        }
        DecodingResult::U8(v) => each(v.len(), &|i| f32::from(v[i])),
        DecodingResult::I8(v) => each(v.len(), &|i| f32::from(v[i])),
        DecodingResult::U16(v) => each(v.len(), &|i| f32::from(v[i])),
        DecodingResult::I16(v) => each(v.len(), &|i| f32::from(v[i])),
        DecodingResult::U32(v) => each(v.len(), &|i| v[i] as f32),
        DecodingResult::I32(v) => each(v.len(), &|i| v[i] as f32),
        DecodingResult::U64(v) => each(v.len(), &|i| v[i] as f32),
        DecodingResult::I64(v) => each(v.len(), &|i| v[i] as f32),
        DecodingResult::F16(v) => each(v.len(), &|i| v[i].to_f32()),
        DecodingResult::F32(v) => each(v.len(), &|i| v[i]),
        DecodingResult::F64(v) => {
            v.iter().for_each(|v| narrowing.see(*v));
            each(v.len(), &|i| v[i] as f32)
        }
    }
}

fn failed(path: &Path, e: TiffError) -> Error {
    Error::file(path, format!("cannot be read as a TIFF: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiff::encoder::colortype::{Gray8, Gray32, Gray64Float, GrayI16, RGB16, RGBA8};
    use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};

    type ToMemory<'a> = TiffEncoder<std::io::Cursor<&'a mut Vec<u8>>>;

    fn file(compression: Compression, write: impl Fn(&mut ToMemory)) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut TiffEncoder::new(std::io::Cursor::new(&mut bytes)).unwrap().with_compression(compression));
        bytes
    }

    fn of(bytes: &[u8]) -> Result<Raster> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tif");
        std::fs::write(&path, bytes).unwrap();
        let raster = read(&path)?;
        assert_eq!(probe(&path)?.shape, raster.values.shape());
        Ok(raster)
    }

    #[test]
    fn kinds_and_compressions_are_read() {
        let list = |r: &Raster| r.values.iter().copied().collect::<Vec<f32>>();
        for compression in [
            Compression::Uncompressed,
            Compression::Lzw,
            Compression::Deflate(DeflateLevel::Fast),
            Compression::Packbits,
        ] {
            let signed = of(&file(compression, |t| t.write_image::<GrayI16>(2, 1, &[-5, 300]).unwrap())).unwrap();
            assert_eq!((list(&signed), signed.dtype, signed.coloured), (vec![-5.0, 300.0], "i2", false));
            let colours = of(&file(compression, |t| t.write_image::<RGB16>(1, 1, &[1, 2, 60000]).unwrap())).unwrap();
            assert_eq!((list(&colours), colours.values.shape()), (vec![1.0, 2.0, 60000.0], &[1, 1, 3][..]));
            let alpha = |t: &mut ToMemory| t.write_image::<RGBA8>(2, 1, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
            let alpha = of(&file(compression, alpha)).unwrap();
            assert_eq!(list(&alpha), [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]);
            assert!(alpha.coloured && alpha.notes[0].contains("alpha"));
            let wide = of(&file(compression, |t| t.write_image::<Gray64Float>(1, 2, &[0.1, -1e30]).unwrap())).unwrap();
            assert_eq!((list(&wide), wide.dtype), (vec![0.1, -1e30], "f8"));
            let counts = of(&file(compression, |t| t.write_image::<Gray32>(1, 1, &[1 << 20]).unwrap())).unwrap();
            assert_eq!((list(&counts), counts.notes.len()), (vec![1048576.0], 1));
        }
    }

    #[test]
    fn values_that_single_precision_does_not_hold_are_refused() {
        let of =
            |values: &[f64; 3]| of(&file(Compression::Lzw, |t| t.write_image::<Gray64Float>(3, 1, values).unwrap()));
        for values in [[1e200, 0.0, -1e200], [1e-60, 2e-60, 0.5]] {
            let error = of(&values).unwrap_err().to_string();
            assert!(error.contains("a.tif") && error.contains("32-bit numbers have magnitudes"), "{error}");
        }
        // One of three is a mark.
        assert_eq!(of(&[1.0, 2.0, 1e300]).unwrap().values[[0, 1]], 2.0);
    }

    #[test]
    fn pages_are_of_one_size() {
        let pages = |second: u32| {
            file(Compression::Lzw, |t| {
                t.write_image::<Gray8>(2, 2, &[1, 2, 3, 4]).unwrap();
                t.write_image::<Gray8>(2, second, &[5, 6, 7, 8, 9, 10][..2 * second as usize]).unwrap();
            })
        };
        let stack = of(&pages(2)).unwrap();
        assert_eq!((stack.values.shape(), stack.values[[1, 0, 1]]), (&[2, 2, 2][..], 6.0));
        assert!(of(&pages(3)).unwrap_err().to_string().contains("page 1 is 3 x 2 x 1 of u1, page 0 is 2 x 2"));
    }

    #[test]
    fn damaged_files_are_errors() {
        let good = file(Compression::Uncompressed, |t| t.write_image::<Gray8>(64, 64, &[7; 4096]).unwrap());
        assert!(of(&good).is_ok());
        for cut in [0, 1, 7, 100, good.len() - 4096, good.len() - 1] {
            assert!(of(&good[..cut]).unwrap_err().to_string().contains("a.tif: "), "{cut}");
        }
        // The entries of the width and the length, by their tags.
        let mut huge = good;
        for tag in [256u16, 257, 278] {
            let entry = huge.windows(4).position(|w| w[..2] == tag.to_le_bytes() && w[2..] == [4, 0]).unwrap();
            huge[entry + 8..entry + 12].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
        }
        let error = of(&huge).unwrap_err().to_string();
        assert!(error.contains("claims") || error.contains("cannot be read"), "{error}");
    }
}
