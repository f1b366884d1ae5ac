//! `linops phantom --ct`: the head as CT measures it, as a sinogram that `ct` reads.

use super::{Args, write_array};
use crate::cli::DONE;
use crate::cli::common::expect_bytes;
use crate::cli::output;
use crate::cli::printer::{Printer, count_of, short};
use linops::Result;
use linops::app::noise::Generator;
use linops::app::{shepp_logan_projections, shepp_logan_tomogram};
use linops::io::Array;
use linops::linop::Geometry;
use ndarray::{Array2, ArrayD};
use serde_json::json;

/// A simulated scan of parallel rays over half a turn.
pub struct Views {
    /// (view, detector), in values of the image times pixels.
    pub sinogram: Array2<f32>,
    pub geometry: Geometry,
}

impl Views {
    /// So many views of the Shepp-Logan head, on a detector of `size` pixels, with noise of this part of the largest sum.
    pub fn of(views: usize, size: usize, noise: f64, seed: u64) -> Result<Views> {
        let values = (views.saturating_mul(size)).max(size.saturating_mul(size)) as u64;
        expect_bytes(values.saturating_mul(12), || {
            format!("a sinogram of {views} views and an image of {size} x {size}")
        })?;
        let angles: Vec<f64> = degrees(views).into_iter().map(f64::to_radians).collect();
        let geometry = Geometry::parallel(&angles, size);
        let exact = shepp_logan_projections(&geometry, size as f64)?;
        let most = exact.iter().copied().fold(0.0, f64::max);
        let mut random = Generator::new(seed);
        // A circular number of variance 1 has 1/2 for each part.
        let sinogram = exact.mapv(|v| (v + noise * most * 2f64.sqrt() * random.complex_normal().re) as f32);
        Ok(Views { sinogram, geometry })
    }
}

fn degrees(views: usize) -> Vec<f64> {
    (0..views).map(|k| k as f64 * 180.0 / views as f64).collect()
}

pub(super) fn run(args: &Args, views: usize, printer: &Printer) -> Result<u8> {
    let size = args.extents()[0];
    let (target, [angles, reference]) = args.reserved(args.angles.as_deref())?;
    let found = Views::of(views, size, args.noise, args.seed)?;
    printer.field(
        "scan",
        format_args!(
            "{} over half a turn, a detector of {size} pixels, noise {} of the largest sum",
            count_of(views, "view"),
            short(args.noise)
        ),
    );
    if let Some(target) = angles {
        let path = target.path().to_path_buf();
        write_array(target, Array::F64(ArrayD::from_shape_vec(vec![views], degrees(views)).unwrap_or_default()))?;
        printer.field("angles", path.display());
    }
    if let Some(target) = reference {
        let path = target.path().to_path_buf();
        output::write(target, &linops::Tensor::from_array(shepp_logan_tomogram(size), "Ny Nx")?)?;
        printer.field("reference", path.display());
    }
    write_array(target, Array::F32(found.sinogram.into_dyn()))?;
    printer.field("wrote", args.output.display());
    printer.json(&json!({
        "views": views,
        "detectors": size,
        "noise": args.noise,
        "seed": args.seed,
        "file": args.output.display().to_string(),
    }));
    Ok(DONE)
}
