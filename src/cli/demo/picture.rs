//! The demo's picture: a PNG that says who made it, so that the next demo may replace it and nothing else.

use linops::io::{Output, Picture};
use linops::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

const KEYWORD: &str = "Software";
const MARK: &str = "linops demo";

/// Reserves the output. An earlier picture of the demo is replaced, any other file only by force.
pub fn reserve(path: &Path, force: bool) -> Result<Output> {
    Output::create(path, &["png"], force || is_ours(path))
}

fn is_ours(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
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
