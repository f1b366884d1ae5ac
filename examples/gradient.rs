//! Total variation by its gradient: a noisy head made smooth by 200 steps down ½‖x − y‖² + λ Σ √(|∇x|² + ε²).
//!
//! The gradient and its adjoint are one pass over memory each. `cargo run --example gradient` prints the objective on its way;
//! `cargo run --example gradient -- tv.png` also writes the noisy head, the smooth one, and the strength of its edges.

use linops::app::phantom::shepp_logan_image;
use linops::io::{Output, Window, panels, write_picture};
use linops::linop::{self, GradientOptions};
use linops::{Device, Result, Tensor};
use ndarray::{Array2, Array3, Axis};

const N: usize = 160;
const LAMBDA: f32 = 0.08;
const EPSILON: f32 = 0.02;

fn main() -> Result<()> {
    let head = shepp_logan_image(N, N);
    let mut state = 1u32;
    let noisy = head.mapv(|v| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        v + 0.3 * ((state >> 8) as f32 / (1u32 << 24) as f32 - 0.5)
    });
    let device = Device::auto();
    let d = linop::gradient(format!("Y={N} X={N}"), "Y X", GradientOptions::default())?;
    println!("{d}{}", d.n().plan(&device, linops::DType::F32)?);

    let strength =
        |g: &Array3<f32>| g.map_axis(Axis(0), |g| (g.iter().map(|v| v * v).sum::<f32>() + EPSILON * EPSILON).sqrt());
    let field = |x: &Array2<f32>| -> Result<Array3<f32>> {
        (&d.apply(&Tensor::from_array(x.clone(), "Y X")?.to(&device)?)?.to(&Device::host())?).try_into()
    };
    // The objective's gradient changes by at most 1 + 8λ/ε.
    let step = 1.0 / (1.0 + 8.0 * LAMBDA / EPSILON);
    let (mut x, mut first, mut last) = (noisy.clone(), f32::NAN, f32::NAN);
    for iteration in 0..=200 {
        let g = field(&x)?;
        let edges = strength(&g);
        let misfit: f32 = (&x - &noisy).iter().map(|v| v * v).sum();
        last = 0.5 * misfit + LAMBDA * edges.sum();
        if iteration == 0 {
            first = last;
        }
        if iteration % 50 == 0 {
            println!("iteration {iteration:3}: objective {last:.2}");
        }
        let direction = Tensor::from_array(&g / &edges.insert_axis(Axis(0)), "D Y X")?.to(&device)?;
        let down: Array2<f32> = (&d.h().apply(&direction)?.to(&Device::host())?).try_into()?;
        x = &x - &(step * (&x - &noisy + LAMBDA * down));
    }
    assert!(last < 0.7 * first, "the objective falls");
    let Some(path) = std::env::args().nth(1) else { return Ok(()) };
    let edges = strength(&field(&x)?);
    let shown = [("noisy", noisy), ("total variation", x), ("edges", edges)];
    let items: Vec<_> = shown.into_iter().map(|(name, image)| (name, image, Window::Percentile(99.5))).collect();
    write_picture(Output::create(path, &["png"], true)?, &panels(&items))
}
