//! Tomography: an image from its projections, by filtered back-projection and by conjugate gradients.
//!
//! `cargo run --release --example ct -- [SINOGRAM.npy ANGLES.npy [CENTER]]`
//!
//! The sinogram is (angles, detectors) of −log transmission; angles that reach beyond two turns of radians are degrees. CENTER is the
//! detector index that the axis of rotation falls onto; without it, it is found from two views about half a turn apart, where
//! there are such. Without a sinogram that of a phantom is made. Writes `ct-fbp.png` and `ct-cg.png`, and the values in `.npy`.

use linops::io::{Array, Output, Window, read_npy, write_npy, write_png};
use linops::linop::{self, FbpOptions, Geometry, RampWindow};
use linops::solve::{SolveOptions, cg};
use linops::{Device, Error, Result, Tensor};
use ndarray::{Array2, Ix2};
use std::f64::consts::PI;
use std::time::Instant;

/// Ellipses of Shepp and Logan's head (IEEE Trans. Nucl. Sci. 21:21, 1974) in the contrast of Toft's thesis (1996): value, half axes,
/// centre with y upwards, tilt in degrees; the field of view is 2.
const HEAD: [[f64; 6]; 10] = [
    [1.0, 0.69, 0.92, 0.0, 0.0, 0.0],
    [-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0],
    [-0.2, 0.11, 0.31, 0.22, 0.0, -18.0],
    [-0.2, 0.16, 0.41, -0.22, 0.0, 18.0],
    [0.1, 0.21, 0.25, 0.0, 0.35, 0.0],
    [0.1, 0.046, 0.046, 0.0, 0.1, 0.0],
    [0.1, 0.046, 0.046, 0.0, -0.1, 0.0],
    [0.1, 0.046, 0.023, -0.08, -0.605, 0.0],
    [0.1, 0.023, 0.023, 0.0, -0.606, 0.0],
    [0.1, 0.023, 0.046, 0.06, -0.605, 0.0],
];

/// The head's exact projections onto detector pixels of size 1, its field of view as wide as so many of them.
fn phantom(angles: &[f64], detectors: usize, wide: f64) -> Array2<f32> {
    Array2::from_shape_fn((angles.len(), detectors), |(view, c)| {
        let s = (c as f64 - (detectors as f64 - 1.0) / 2.0) * 2.0 / wide;
        let ray = |&[value, a, b, x, y, tilt]: &[f64; 6]| {
            let (sin, cos) = angles[view].sin_cos();
            let (along, across) = (angles[view] - tilt.to_radians()).sin_cos();
            let reach = (a * across).powi(2) + (b * along).powi(2);
            let off = s - x * cos - y * sin;
            value * 2.0 * a * b * (reach - off * off).max(0.0).sqrt() / reach
        };
        (HEAD.iter().map(ray).sum::<f64>() * wide / 2.0) as f32
    })
}

/// The axis of rotation, from the two views that are nearest to half a turn apart, and so nearly each other's mirror images. Where
/// they miss it by a step, so do their neighbours by two, and what that shifts is taken off.
fn center(sinogram: &Array2<f32>, angles: &[f64]) -> Option<f64> {
    let off = |&(a, b): &(usize, usize)| ((angles[a] - angles[b]).abs() - PI).abs();
    let pairs = (1..angles.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let (a, b) = pairs.min_by(|p, q| off(p).total_cmp(&off(q))).filter(|pair| off(pair) < 0.02)?;
    let axis = mirrored(sinogram, a, b)?;
    let (near, far) = (off(&(a, b)), off(&(a - 1, b)));
    match mirrored(sinogram, a - 1, b).filter(|_| near > 1e-3 && far > 1.5 * near) {
        Some(next) => Some(axis + (axis - next) * near / (far - near)),
        None => Some(axis),
    }
}

/// The axis around which two views are each other's mirror images: where their difference is least.
fn mirrored(sinogram: &Array2<f32>, a: usize, b: usize) -> Option<f64> {
    let (a, b, n) = (sinogram.row(a), sinogram.row(b), sinogram.ncols());
    // Twice the axis is `sum`: detector c of the one is detector sum − c of the other.
    let difference = |sum: usize| {
        let (first, end) = (sum.saturating_sub(n - 1), n.min(sum + 1));
        (first..end).map(|c| f64::from(a[c] - b[sum - c]).powi(2)).sum::<f64>() / (end - first) as f64
    };
    let best = (n / 2 + 1..3 * n / 2).min_by(|&p, &q| difference(p).total_cmp(&difference(q)))?;
    let [before, at, behind] = [best - 1, best, best + 1].map(difference);
    let curve = before - 2.0 * at + behind;
    let shift = if curve > 0.0 { 0.5 * (before - behind) / curve } else { 0.0 };
    Some((best as f64 + shift) / 2.0)
}

fn read(path: &str) -> Result<Array> {
    Ok(read_npy(path)?.into_numeric())
}

/// The sinogram, its angles in radians, and the axis of rotation.
fn data(arguments: &[String]) -> Result<(Array2<f32>, Vec<f64>, Option<f64>)> {
    let [sinogram, angles, rest @ ..] = arguments else {
        let angles: Vec<f64> = (0..180).map(|k| f64::from(k) * PI / 180.0).collect();
        return Ok((phantom(&angles, 257, 240.0), angles, None));
    };
    let (Array::F32(values), Array::F32(list)) = (read(sinogram)?, read(angles)?) else {
        return Err(Error::Value("expected real numbers in both files".into()));
    };
    let values = values.into_dimensionality::<Ix2>().map_err(|e| Error::Shape(format!("{sinogram}: {e}")))?;
    let far = list.iter().any(|a| f64::from(a.abs()) > 4.0 * PI);
    let angles: Vec<f64> = list.iter().map(|&a| if far { f64::from(a).to_radians() } else { a.into() }).collect();
    if values.nrows() != angles.len() {
        return Err(Error::Shape(format!("{} rows and {} angles", values.nrows(), angles.len())));
    }
    println!("angles   {} in {}", angles.len(), if far { "degrees" } else { "radians" });
    let given =
        rest.first().map(|c| c.parse().map_err(|_| Error::Value(format!("the centre is \"{c}\"")))).transpose()?;
    let center = given.or_else(|| center(&values, &angles));
    Ok((values, angles, center))
}

fn write(name: &str, image: &Tensor) -> Result<()> {
    let values = image.to(&Device::host())?.to_array()?.mapv(|v| v.re);
    let wrong = |e: ndarray::ShapeError| Error::Shape(e.to_string());
    let picture = values.view().into_dimensionality::<Ix2>().map_err(wrong)?;
    let (png, npy) = (format!("{name}.png"), format!("{name}.npy"));
    write_png(Output::create(&png, &["png"], true)?, picture, Window::default())?;
    write_npy(Output::create(&npy, &["npy"], true)?, &Array::F32(values.clone()))?;
    println!("written  {png}, {npy}");
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (sinogram, angles, center) = data(&arguments)?;
    let detectors = sinogram.ncols();
    let geometry = Geometry::parallel(&angles, detectors).center(center);
    println!("axis     {}", center.unwrap_or((detectors as f64 - 1.0) / 2.0));
    let device = Device::by_name(&std::env::var("LINOPS_DEVICE").unwrap_or_else(|_| "auto".into()))?;
    println!("device   {}", device.name());
    let y = Tensor::from_array(sinogram, "A D")?.to(&device)?;
    let image = format!("Y={detectors} X={detectors}");

    let start = Instant::now();
    let options = FbpOptions::default().window(RampWindow::SheppLogan);
    let fbp = linop::fbp(y.shape(), "A D", &image, &geometry, options)?.apply(&y)?;
    write("ct-fbp", &fbp)?;
    println!("fbp      {:.2} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let a = linop::projection(&image, "Y X", &geometry, "A D")?;
    let solution = cg(&a.n(), &a.h().apply(&y)?, SolveOptions::default().iterations(20).tol(0.0))?;
    write("ct-cg", &solution.x)?;
    println!(
        "cg       {:.2} s, {} iterations: {:?}",
        start.elapsed().as_secs_f64(),
        solution.iterations,
        solution.stop
    );
    Ok(())
}
