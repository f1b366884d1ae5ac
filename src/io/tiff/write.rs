//! TIFF out: uncompressed, a page for each index of the leading axis.

use super::super::Output;
use super::super::raster::{Depth, Layout, whole};
use crate::allocate::{collected, room_for};
use crate::{Error, Result};
use ndarray::{ArrayViewD, Axis};
use std::io::Cursor;
use std::path::Path;
use tiff::TiffError;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float, RGB8, RGB16, RGB32Float};
use tiff::encoder::{TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue};

/// Offsets of a classic TIFF have 32 bits.
const CLASSIC: usize = 4_000_000_000;

/// Writes values (page, row, column), with 3 channels last where `coloured`; returns how many were clipped.
pub(in super::super) fn write(output: Output, values: ArrayViewD<f32>, coloured: bool, depth: Depth) -> Result<usize> {
    let path = output.path().to_path_buf();
    let layout = Layout::of(&path, values.shape(), coloured)?;
    if coloured && layout.channels != 3 {
        let message = format!("a coloured TIFF here has 3 channels, these are {}; write .npy", layout.channels);
        return Err(Error::file(&path, message));
    }
    let bytes = values.len().saturating_mul(depth.largest().map_or(4, |n| if n > 255 { 2 } else { 1 }));
    // What stands around the pixels: a few hundred bytes for each page.
    let file = room_for::<u8>(bytes.saturating_add(layout.pages.saturating_mul(512)), &path.display().to_string())?;
    let pages = Pages { path: &path, layout, values, depth, clipped: 0 };
    let (file, clipped) = match bytes < CLASSIC {
        true => pages.encode::<TiffKindStandard>(Cursor::new(file), |w| TiffEncoder::new(w))?,
        false => pages.encode::<TiffKindBig>(Cursor::new(file), |w| TiffEncoder::new_big(w))?,
    };
    output.write(|to| to.write_all(&file).map_err(|e| Error::file(&path, format!("cannot write: {e}"))))?;
    Ok(clipped)
}

struct Pages<'a> {
    path: &'a Path,
    layout: Layout,
    values: ArrayViewD<'a, f32>,
    depth: Depth,
    clipped: usize,
}

type Encoder<'f, K> = TiffEncoder<&'f mut Cursor<Vec<u8>>, K>;

impl Pages<'_> {
    fn encode<K: TiffKind>(
        mut self,
        mut file: Cursor<Vec<u8>>,
        open: impl for<'f> Fn(&'f mut Cursor<Vec<u8>>) -> tiff::TiffResult<Encoder<'f, K>>,
    ) -> Result<(Vec<u8>, usize)> {
        let values = self.values.clone();
        let mut encoder = open(&mut file).map_err(|e| self.failed(e))?;
        if self.values.ndim() == 2 + usize::from(self.layout.channels > 1) {
            self.page(&mut encoder, values)?;
        } else {
            values.axis_iter(Axis(0)).try_for_each(|page| self.page(&mut encoder, page))?;
        }
        Ok((file.into_inner(), self.clipped))
    }

    fn page<K: TiffKind>(&mut self, to: &mut Encoder<K>, page: ArrayViewD<f32>) -> Result<()> {
        let coloured = self.layout.channels > 1;
        let n = page.len();
        match (self.depth, coloured) {
            (Depth::Float, false) => self.image::<Gray32Float, K>(to, collected(page.iter().copied(), n)?),
            (Depth::Float, true) => self.image::<RGB32Float, K>(to, collected(page.iter().copied(), n)?),
            (Depth::Eight, _) => {
                let all = page.iter().map(|&v| whole(v, 255, &mut self.clipped) as u8);
                let all = collected(all, n)?;
                if coloured { self.image::<RGB8, K>(to, all) } else { self.image::<Gray8, K>(to, all) }
            }
            (Depth::Sixteen, _) => {
                let all = page.iter().map(|&v| whole(v, u16::MAX, &mut self.clipped));
                let all = collected(all, n)?;
                if coloured { self.image::<RGB16, K>(to, all) } else { self.image::<Gray16, K>(to, all) }
            }
        }
    }

    fn image<C: ColorType, K: TiffKind>(&self, to: &mut Encoder<K>, values: Vec<C::Inner>) -> Result<()>
    where
        [C::Inner]: TiffValue,
    {
        let extent = |n: usize| {
            let wrong = || Error::file(self.path, format!("a TIFF cannot be {n} pixels wide or high"));
            u32::try_from(n).ok().filter(|&n| n > 0).ok_or_else(wrong)
        };
        let (width, height) = (extent(self.layout.width)?, extent(self.layout.height)?);
        to.write_image::<C>(width, height, &values).map_err(|e| self.failed(e))
    }

    fn failed(&self, e: TiffError) -> Error {
        Error::file(self.path, format!("cannot write: {e}"))
    }
}
