//! `linops phantom --deconv`: cells as a microscope sees them, as a picture that `deconv` reads.

use super::{Args, write_array};
use crate::cli::DONE;
use crate::cli::common::expect_bytes;
use crate::cli::output;
use crate::cli::printer::{Printer, short};
use linops::Result;
use linops::app::{Blur, Outside, Psf, PsfCenter, airy_psf, cells_image, photons};
use linops::io::Array;
use ndarray::{Array2, ArrayD, Ix2, s};
use serde_json::json;

/// Pixels of the scene around those that are seen: it goes on beyond the picture.
const MARGIN: usize = 24;
/// The dark ring of a point, in pixels, and the extent of its picture.
pub const RING: f64 = 5.0;
const REACH: usize = 33;
/// Counts of a pixel of brightness 1.
pub const COUNTS: f32 = 200.0;

/// A picture and what it is of.
pub struct Seen {
    /// Counts of light.
    pub picture: Array2<f32>,
    pub scene: Array2<f32>,
    pub psf: Array2<f32>,
}

impl Seen {
    /// Cells on a field of so many pixels behind an Airy disk, in counts of light with their noise.
    pub fn of([ny, nx]: [usize; 2], seed: u64) -> Result<Seen> {
        let [h, w] = [ny, nx].map(|n| n.saturating_add(2 * MARGIN));
        // The scene, its light and what convolving it takes.
        expect_bytes((h.saturating_mul(w) as u64).saturating_mul(40), || format!("a picture of {ny} x {nx}"))?;
        let scene = cells_image(h, w, seed) * COUNTS;
        let psf = airy_psf(REACH, RING)?;
        let lens = Blur::new(&Psf::new(psf.view().into_dyn(), PsfCenter::Half, false)?, &[h, w], None, Outside::Zero)?;
        let light = linops::Tensor::from_array(scene.clone(), "Ny Nx")?;
        let light = two(lens.linop().apply(&light)?.to_real_array()?)?;
        let part = s![MARGIN..MARGIN + ny, MARGIN..MARGIN + nx];
        let picture = photons(&light, seed.wrapping_add(1)).slice(part).to_owned();
        Ok(Seen { picture, scene: scene.slice(part).to_owned(), psf })
    }
}

pub fn two(values: ArrayD<f32>) -> Result<Array2<f32>> {
    values.into_dimensionality::<Ix2>().map_err(|e| linops::Error::Shape(e.to_string()))
}

pub(super) fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let extents = args.extents();
    let (target, [psf, reference]) = args.reserved(args.psf.as_deref())?;
    let seen = Seen::of([extents[0], extents[1]], args.seed)?;
    printer.field(
        "picture",
        format_args!(
            "{} x {}, {} counts, Airy disk with its ring at {RING} pixels",
            extents[0],
            extents[1],
            short(COUNTS)
        ),
    );
    for (name, target, values) in [("psf", psf, seen.psf), ("reference", reference, seen.scene)] {
        if let Some(target) = target {
            let path = target.path().to_path_buf();
            output::write(target, &linops::Tensor::from_array(values, "Ny Nx")?)?;
            printer.field(name, path.display());
        }
    }
    write_array(target, Array::F32(seen.picture.into_dyn()))?;
    printer.field("wrote", args.output.display());
    printer.json(&json!({
        "matrix": extents,
        "counts": COUNTS,
        "seed": args.seed,
        "file": args.output.display().to_string(),
    }));
    Ok(DONE)
}
