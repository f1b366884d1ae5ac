//! How few coefficients of a wavelet transform make an image: the Shepp–Logan head of the largest 5 % of them.
//!
//! `cargo run --example wavelet` prints the peak signal-to-noise ratio for several wavelets, and for the largest 5 % of the
//! pixels; `cargo run --example wavelet -- head.png` also writes the head, its coefficients, and what the
//! largest of them make.

use linops::app::phantom::shepp_logan_image;
use linops::io::{Output, Window, panels, write_picture};
use linops::linop::{self, WaveletBoundary, WaveletOptions};
use linops::{Device, Result, Tensor};
use ndarray::{Array2, Ix2};

const N: usize = 256;
/// The part of the numbers that is kept.
const KEPT: f64 = 0.05;

/// The values of largest magnitude, as many as `count`; the others are 0.
fn largest(values: &Array2<f32>, count: usize) -> Array2<f32> {
    let mut sorted: Vec<f32> = values.iter().map(|v| v.abs()).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let least = sorted[count - 1];
    values.mapv(|v| if v.abs() >= least { v } else { 0.0 })
}

/// 10 log10(peak²/mean squared error), in dB.
fn psnr(image: &Array2<f32>, of: &Array2<f32>) -> f64 {
    let square: f64 = image.iter().zip(of).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let peak = of.iter().fold(0f32, |m, v| m.max(*v));
    10.0 * (f64::from(peak).powi(2) * of.len() as f64 / square).log10()
}

fn main() -> Result<()> {
    let head = shepp_logan_image(N, N);
    let device = Device::auto();
    let x = Tensor::from_array(head.clone(), "Ny Nx")?.to(&device)?;
    let count = (KEPT * (N * N) as f64) as usize;
    let plane = |t: &Tensor| -> Result<Array2<f32>> {
        let array = t.to(&Device::host())?.to_real_array()?;
        Ok(array.into_dimensionality::<Ix2>().expect("two dims"))
    };
    println!("the largest {:.0} % of {N} x {N} numbers", 100.0 * KEPT);
    println!("pixels   {:5.1} dB", psnr(&largest(&head, count), &head));
    let mut shown = Vec::new();
    for name in ["haar", "db2", "db4", "sym8", "coif2", "bior4.4"] {
        let options =
            WaveletOptions::default().wavelet(name.parse()?).levels(Some(5)).boundary(WaveletBoundary::Periodization);
        let w = linop::wavelet(format!("Ny={N} Nx={N}"), "Ny Nx", &options)?;
        let inverse = linop::wavelet_inverse(format!("Ny={N} Nx={N}"), "Ny Nx", &options)?;
        let coefficients = plane(&w.apply(&x)?)?;
        let kept = Tensor::from_array(largest(&coefficients, count), "Ny1 Nx1")?.to(&device)?;
        let image = plane(&inverse.apply(&kept)?)?;
        println!("{name:8} {:5.1} dB", psnr(&image, &head));
        if name == "db2" {
            shown = vec![(coefficients.mapv(|c| c.abs().sqrt()), 99.0), (image, 100.0)];
        }
    }
    let Some(path) = std::env::args().nth(1) else { return Ok(()) };
    shown.insert(0, (head, 100.0));
    let names = ["head", "coefficients", "largest"];
    let items: Vec<_> =
        names.into_iter().zip(shown).map(|(name, (image, white))| (name, image, Window::Percentile(white))).collect();
    write_picture(Output::create(path, &["png"], true)?, &panels(&items))
}
