//! TIFF: pictures of whole numbers and floats, several pages as a leading axis.

mod hyperstack;
mod read;
mod write;

pub(super) use write::write;

use super::format::{Format, Reader, Writer};
use super::raster::Depth;

pub(super) const FORMAT: Format = Format {
    name: "TIFF picture",
    suffixes: &["tif", "tiff"],
    companion: None,
    probe: Some(read::probe),
    reader: Some(Reader::Picture(read::read)),
    writer: Some(Writer::Raster(|output, values| write(output, values, false, Depth::Float).map(drop))),
};
