//! Overlapping patches: a noisy head, of which every 8 × 8 patch keeps its strongest cosine coefficients.
//!
//! Patches are cut by [`linop::blocks`], transformed, thresholded by hand, transformed back, and put together by the adjoint,
//! whose overlaps the diagonal normal counts. `cargo run --example patches` prints errors before and after;
//! `cargo run --example patches -- patches.png` also writes the head, the noisy one, and what the patches make of it.

use linops::app::phantom::shepp_logan_image;
use linops::io::{Output, Window, panels, write_picture};
use linops::linop::{self, FftOptions};
use linops::{Device, Result, Tensor};
use ndarray::{Array2, Ix2};
use num_complex::Complex32;

const N: usize = 160;
const SIZE: usize = 8;
const STRIDE: usize = 2;
const SIGMA: f32 = 0.08;

/// Noise of this deviation, the same in every run: sums of twelve numbers of a linear congruence.
fn noise() -> impl FnMut() -> f32 {
    let mut state = 12345u32;
    move || {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32
        };
        SIGMA * ((0..12).map(|_| next()).sum::<f32>() - 6.0)
    }
}

fn error(image: &Array2<f32>, of: &Array2<f32>) -> f32 {
    (image - of).iter().map(|d| d * d).sum::<f32>().sqrt() / of.iter().map(|v| v * v).sum::<f32>().sqrt()
}

fn main() -> Result<()> {
    let head = shepp_logan_image(N, N);
    let mut noise = noise();
    let noisy = head.mapv(|v| v + noise());
    let device = Device::auto();
    let shape = format!("Y={N} X={N}");

    let patches = linop::blocks(&shape[..], &[("Y", SIZE, STRIDE), ("X", SIZE, STRIDE)], "Q P J I")?;
    let transform = linop::fft(patches.output()?, "J I", FftOptions::default())?;
    println!("{patches}");
    let a = &transform * &patches;

    let x = Tensor::from_array(noisy.clone(), "Y X")?.to(&device)?;
    let spectra = a.apply(&x)?.to(&Device::host())?.to_array()?;
    // The unitary transform leaves the noise as it was: three deviations are noise nearly always.
    let kept = spectra.mapv(|c| if c.norm() > 3.0 * SIGMA { c } else { Complex32::default() });
    println!(
        "{:.1} % of the coefficients are kept",
        100.0 * kept.iter().filter(|c| c.norm() > 0.0).count() as f32 / kept.len() as f32
    );
    let sum = a.h().apply(&Tensor::from_array(kept, "Q P J1 I1")?.to(&device)?)?;
    // How many patches hold each pixel.
    let ones = Tensor::from_array(Array2::<f32>::ones((N, N)), "Y X")?.to(&device)?;
    let counts = patches.n().apply(&ones)?.to(&Device::host())?.to_real_array()?;
    let plane = |t: ndarray::ArrayD<f32>| t.into_dimensionality::<Ix2>().expect("two dims");
    let cleaned = plane(sum.to(&Device::host())?.to_array()?.mapv(|c| c.re) / counts);

    println!("error of the noisy head    {:.3}", error(&noisy, &head));
    println!("error of the cleaned head  {:.3}", error(&cleaned, &head));
    assert!(error(&cleaned, &head) < 0.6 * error(&noisy, &head));
    let Some(path) = std::env::args().nth(1) else { return Ok(()) };
    let shown = [("head", head), ("noisy", noisy), ("patches", cleaned)];
    let items: Vec<_> = shown.into_iter().map(|(name, image)| (name, image, Window::Percentile(100.0))).collect();
    write_picture(Output::create(path, &["png"], true)?, &panels(&items))
}
