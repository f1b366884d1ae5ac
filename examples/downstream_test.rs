//! How a crate that builds on linops tests its linops, with and without a GPU on the machine.
//!
//! `cargo run --example downstream_test` prints the reports; `cargo test --example downstream_test` runs the tests below,
//! which could stand in any crate.

use linops::check::{dot_test, normal_test};
use linops::ndarray::{Array1, Array3};
use linops::{Device, Linop, Result, Tensor, linop};

/// Parallel imaging with two coils: sensitivities, Fourier transform, every second line.
fn two_coils() -> Result<Linop> {
    let maps = Array3::from_shape_fn((2, 16, 12), |(c, y, _)| {
        let near = y as f32 / 16.0;
        if c == 0 { near } else { 1.0 - near }
    });
    let lines = Array1::from_shape_fn(16, |y| if y % 2 == 0 { 1.0f32 } else { 0.0 });
    let s = linop::diagonal("Ny=16 Nx=12", &Tensor::from_array(maps, "C Ny Nx")?)?;
    let f = linop::fft(s.output()?, "Ny Nx", Default::default())?.out("... Ky Kx")?;
    let m = linop::diagonal(f.output()?, &Tensor::from_array(lines, "Ky")?)?;
    linop::chain([s, f, m])
}

fn main() -> Result<()> {
    let a = two_coils()?;
    println!("{a}");
    println!("{}", dot_test(&a, &Device::host(), 1)?);
    println!("{}", normal_test(&a, &Device::host(), 1)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes_on(device: &Device) {
        let a = two_coils().unwrap();
        for report in [dot_test(&a, device, 1).unwrap(), normal_test(&a, device, 1).unwrap()] {
            // Says which entry is wrong, and by how much.
            assert!(report.passed(), "{report}");
        }
    }

    #[test]
    fn the_adjoint_is_right_on_the_host() {
        passes_on(&Device::host());
    }

    /// lavapipe or WARP: the GPU path on machines without a GPU. Without an adapter this fails with a hint how to install
    /// one; `LINOPS_SKIP_GPU=1` leaves it out.
    #[test]
    #[cfg(feature = "gpu")]
    fn the_adjoint_is_right_on_a_software_gpu() {
        if std::env::var_os("LINOPS_SKIP_GPU").is_some_and(|v| v == "1") {
            eprintln!("left out by LINOPS_SKIP_GPU=1");
            return;
        }
        passes_on(&Device::software().unwrap());
    }
}
