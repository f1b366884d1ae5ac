//! A blurred, noisy picture with flat pieces: Wiener's filter beside total variation, both with what lies outside unknown.
//!
//! `cargo run --release --example tv_deconvolution` prints both errors; `-- picture.png` also writes the images.

use linops::app::noise::Generator;
use linops::app::regularise::{Kind, Regularisation, Regulariser};
use linops::app::{Blur, Denoising, NoiseToSignal, Outside, Psf, PsfCenter, Scene};
use linops::io::{Output, Window, panels, write_picture};
use linops::solve::SolveOptions;
use linops::{Device, Result, Tensor};
use ndarray::{Array2, Ix2};

const N: usize = 80;
const NOISE: f64 = 2.0;

/// Bright pieces on a dark ground, which go on outside of the picture.
fn scene(canvas: usize) -> Array2<f32> {
    Array2::from_shape_fn((canvas, canvas), |(y, x)| {
        let (y, x) = (y as f32, x as f32);
        let disk = (y - 35.0).powi(2) + (x - 30.0).powi(2) < 20.0f32.powi(2);
        let bars = x > 52.0 && (y / 7.0).floor() % 2.0 == 0.0;
        20.0 + 100.0 * f32::from(u8::from(disk)) + 60.0 * f32::from(u8::from(bars))
    })
}

fn main() -> Result<()> {
    let device = Device::auto();
    let taps = Array2::from_shape_fn((11, 11), |(i, j)| {
        (-((i as f32 - 5.0).powi(2) + (j as f32 - 5.0).powi(2)) / (2.0 * 2.2f32.powi(2))).exp()
    });
    let psf = Psf::new(taps.into_dyn().view(), PsfCenter::Half, false)?;
    let blur = Blur::new(&psf, &[N, N], None, Outside::Unknown)?;

    // The picture sees a part of the scene, and light from beyond it.
    let scene = scene(blur.linop().input()?.extents()[0]);
    let truth = blur.cropped(scene.view().into_dyn())?;
    let seen = blur.linop().apply(&Tensor::from_array(scene, "Ny Nx")?)?.to_real_array()?;
    let mut random = Generator::new(4);
    let picture = seen.mapv(|v| v + (NOISE * std::f64::consts::SQRT_2 * random.complex_normal().re) as f32);

    let ratio = NoiseToSignal::of(picture.view(), &psf, Scene::Natural)?.ratio as f32;
    let wiener =
        blur.wiener(picture.view(), SolveOptions::default().lambda(ratio).iterations(500).tol(1e-4), &device)?;
    // The weight is the one by which the misfit is that of the noise.
    let terms = Regularisation::default().terms(vec![Regulariser::new(Kind::Tv, None)]);
    let task = Denoising::default().regularisation(terms).noise(Some(NOISE));
    let tv = blur.regularised(picture.view(), task, &device)?;

    let error = |image: &ndarray::ArrayD<f32>| {
        let off: f32 = (image - &truth).iter().map(|v| v * v).sum();
        (off / truth.iter().map(|v| v * v).sum::<f32>()).sqrt()
    };
    let [blurred, filtered, flat] = [&picture, &wiener.image, &tv.deconvolved.image].map(error);
    println!(
        "errors: blurred {blurred:.4}, Wiener {filtered:.4}, total variation {flat:.4} (lambda {:.3}, {} solves by {})",
        tv.terms[0].absolute, tv.solves, tv.solved.method
    );
    assert!(filtered < 0.9 * blurred && flat < 0.6 * filtered);
    assert!((tv.deconvolved.deviation / NOISE - 1.0).abs() < 0.05);
    if let Some(path) = std::env::args().nth(1) {
        let shown = [("blurred", &picture), ("Wiener", &wiener.image), ("total variation", &tv.deconvolved.image)];
        let mut items = Vec::new();
        for (name, x) in shown {
            let x = x.clone().into_dimensionality::<Ix2>().map_err(|e| linops::Error::Shape(e.to_string()))?;
            items.push((name, x, Window::Range(0.0, 160.0)));
        }
        write_picture(Output::create(&path, &["png"], true)?, &panels(&items))?;
        println!("wrote {path}");
    }
    Ok(())
}
