//! The demo's picture: a PNG that says who made it, so that the next demo may replace it and nothing else.

use linops::io::{Output, Picture};
use linops::{Error, Result};
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

const KEYWORD: &str = "Software";
const MARK: &str = "linops demo";

/// Reserves the output.
pub fn reserve(path: &Path, force: bool) -> Result<Output> {
    Output::create(path, &["png"], force)
}

/// Whether there is an earlier picture of the demo.
pub fn is_ours(path: &Path) -> bool {
    // Only a file can be: to open a pipe would mean to wait for its writer.
    let Ok(file) =
        path.metadata().and_then(|m| if m.is_file() { File::open(path) } else { Err(ErrorKind::Other.into()) })
    else {
        return false;
    };
    let Ok(reader) = png::Decoder::new(BufReader::new(file)).read_info() else { return false };
    reader.info().uncompressed_latin1_text.iter().any(|t| t.keyword == KEYWORD && t.text == MARK)
}

/// Writes the picture with the mark.
pub fn write(output: Output, picture: &Picture) -> Result<()> {
    let path = output.path().to_path_buf();
    output.write(|file| {
        let failed = |e: png::EncodingError| Error::file(&path, format!("cannot write: {e}"));
        let mut encoder = png::Encoder::new(file, picture.width as u32, picture.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.add_text_chunk(KEYWORD.into(), MARK.into()).map_err(failed)?;
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&picture.pixels).map_err(failed)?;
        writer.finish().map_err(failed)
    })
}
