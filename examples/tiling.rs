//! A 3-D SENSE operator that takes more memory than there shall be: tiles that keep within 16 MiB, with the values of the whole.
//!
//! `cargo run --release --example tiling [-- DEVICE]`

use linops::linop::{self, FftOptions, Tiling};
use linops::{DType, Device, MemoryUse, Result, Tensor};
use ndarray::{Array2, Array4};
use num_complex::Complex32;

const BUDGET: u64 = 16 << 20;

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let (c, z, y, x) = (12, 24, 64, 64);
    let maps = Array4::from_shape_fn((c, z, y, x), |(c, z, y, x)| {
        Complex32::from_polar(1.0 / (1.0 + c as f32), 0.01 * (c * y) as f32 - 0.02 * (z + x) as f32)
    });
    let lines = Array2::from_shape_fn((z, y), |(z, y)| f32::from((z + y) % 3 == 0));
    let s = linop::diagonal([("Z", z), ("Y", y), ("X", x)], &Tensor::from_array(maps, "C Z Y X")?)?;
    let f = linop::fft(s.output()?, "Z Y X", FftOptions::default().centered(true))?.out("C Kz Ky Kx")?;
    let a = linop::diagonal(f.output()?, &Tensor::from_array(lines, "Kz Ky")?)? * f * s;

    println!("device  {}", device.name());
    for (what, a) in [("forward", a.clone()), ("adjoint", a.h()), ("normal", a.n())] {
        let whole = MemoryUse::of(&a.plan(&device, DType::Complex32)?)?.peak();
        let fit = a.fit(&device, DType::Complex32, BUDGET)?;
        println!("{what}: whole {:.1} MiB; {}, {:.1} MiB", mib(whole), fit.how(), mib(fit.peak));
        let shape = a.input()?;
        let values = (0..shape.len()).map(|i| Complex32::new((i % 7) as f32 - 3.0, (i % 5) as f32));
        let x = Tensor::from_vec(shape, values.collect())?;
        let (want, got) = (a.apply(&x.to(&device)?)?.to(&Device::host())?, a.apply_within(&x, &device, BUDGET)?);
        let (want, got) = (want.to_array()?, got.to_array()?);
        let norm = |v: &ndarray::ArrayD<Complex32>| v.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
        let error = norm(&(&want - &got)) / norm(&want);
        println!("        relative difference {error:.1e}");
        assert!(error < 1e-6);
    }
    // Tiles can also be chosen by hand, and be on several devices.
    let tiling = Tiling::chunks("C", 5).then(Tiling::tiles("Z", 2));
    match a.tiled(&tiling) {
        Ok(_) => println!("{tiling}: works"),
        Err(e) => println!("{tiling}: {e}"),
    }
    let coils = a.tiled(&Tiling::chunks("C", 5))?;
    println!("\n{coils}");
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
