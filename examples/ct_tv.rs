//! Tomography from a quarter of the views: filtered back-projection beside total variation with x ≥ 0.
//!
//! `cargo run --release --example ct_tv` prints both errors; `-- picture.png` also writes the images.

use linops::app::phantom::shepp_logan_image;
use linops::convex::{ConvexOptions, Problem};
use linops::io::{Output, Window, panels, write_picture};
use linops::linop::{self, FbpOptions, Geometry};
use linops::{Device, Result, Tensor};
use ndarray::Array2;

const N: usize = 96;
const VIEWS: usize = 36;

fn main() -> Result<()> {
    let device = Device::auto();
    let truth = shepp_logan_image(N, N).mapv(|v| v.max(0.0));
    let angles: Vec<f64> = (0..VIEWS).map(|k| std::f64::consts::PI * k as f64 / VIEWS as f64).collect();
    let image = format!("Y={N} X={N}");
    let geometry = Geometry::parallel(&angles, 3 * N / 2);
    let a = linop::projection(&image, "Y X", &geometry, "A D")?;
    let y = a.apply(&Tensor::from_array(truth.clone(), "Y X")?.to(&device)?)?;

    let values = |x: &Tensor| -> Result<Array2<f32>> { (&x.to(&Device::host())?).try_into() };
    let error = |x: &Array2<f32>| {
        let off: f32 = (x - &truth).iter().map(|v| v * v).sum();
        (off / truth.iter().map(|v| v * v).sum::<f32>()).sqrt()
    };
    let fbp = linop::fbp(y.shape(), "A D", &image, &geometry, FbpOptions::default())?;
    let fbp = values(&fbp.apply(&y)?)?;

    let problem = Problem::new(&a, &y)?;
    let weight = 2e-4 * problem.scale()?;
    let solved = problem.tv(weight, "Y X")?.non_negative().solve(ConvexOptions::default().tol(1e-3))?;
    let tv = values(&solved.x)?;
    println!(
        "{VIEWS} views: filtered back-projection {:.4}, total variation {:.4} after {} iterations of {}",
        error(&fbp),
        error(&tv),
        solved.iterations,
        solved.method
    );
    assert!(error(&tv) < 0.5 * error(&fbp));
    if let Some(path) = std::env::args().nth(1) {
        let items = [("filtered back-projection", fbp), ("total variation", tv)];
        let items = items.map(|(name, x)| (name, x, Window::Range(0.0, 1.0)));
        write_picture(Output::create(&path, &["png"], true)?, &panels(&items))?;
        println!("wrote {path}");
    }
    Ok(())
}
