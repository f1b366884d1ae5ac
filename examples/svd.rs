//! The singular values of a parallel-imaging scan: what a mask leaves of an image, before any reconstruction.
//!
//! A head is seen by four coils, and every row of k-space is measured, every second, or every third one. The operator from image to
//! samples has as many singular values as the image has pixels. The largest tell how much of it comes through; the smallest,
//! by the condition, what a reconstruction has to amplify, and so which regularisation it needs.
//! `cargo run --example svd` prints both, and the pattern that comes through strongest.

use linops::app::scan::{ScanOptions, scan};
use linops::linop::{self, FftOptions};
use linops::solve::{NormOptions, SvdOptions, condition, operator_norm, svd};
use linops::{Device, Linop, Result, Tensor};
use ndarray::Array2;
use num_complex::Complex32;

const N: usize = 24;
const COILS: usize = 4;
const VALUES: usize = 6;

/// Coil maps, transform, and every n-th row.
fn encoding(maps: &Tensor, every: usize) -> Result<Linop> {
    let f = linop::fft(format!("Y={N} X={N}"), "Y X", FftOptions::default().centered(true))?.out("Ky Kx")?;
    let mask = Array2::from_shape_fn((N, N), |(y, _)| f32::from(u8::from(y % every == 0)));
    let mask = linop::sampling(f.output()?, &Tensor::from_array(mask, "Ky Kx")?, "S")?;
    linop::sense(maps, &(mask * f), "C")
}

fn main() -> Result<()> {
    let device = Device::host();
    let head = scan(&ScanOptions::default().ny(N).nx(N).coils(COILS).acceleration(1).centre_lines(0))?;
    // Maps whose squares sum to 1 everywhere.
    let size = head.maps.mapv(|m| m.norm_sqr()).sum_axis(ndarray::Axis(0)).mapv(|s| s.sqrt().max(1e-6));
    let maps = Tensor::from_array(&head.maps / &size.mapv(Complex32::from), "C Y X")?;

    println!("{COILS} coils, {N} × {N} pixels\n");
    println!("rows      ‖A‖ within         largest singular values{:22}condition at least", "");
    let mut conditions = Vec::new();
    for every in [1, 2, 3] {
        let a = encoding(&maps, every)?;
        let norm = operator_norm(&a, &device, NormOptions::default())?;
        let d = svd(&a, VALUES, &device, SvdOptions::default())?;
        let condition = condition(&a, &device, NormOptions::default().iterations(60))?;
        let values = d.values.iter().map(|s| format!("{s:.4}")).collect::<Vec<_>>().join(" ");
        println!("1 of {every}    {:.3} to {:.3}     {values}     {:.1}", norm.lower, norm.upper, condition.number());
        // The norm is the largest value, and each triple is what it says.
        assert!(norm.lower <= d.values[0] * 1.001 && d.values[0] <= norm.upper * 1.001);
        assert!(d.residuals.iter().all(|r| *r <= 1e-3 * d.values[0]));
        conditions.push(condition.number());
    }
    // With all rows the maps make an isometry: all values are 1. With fewer rows aliases have to be told apart by the coils.
    assert!(conditions[0] < 1.01 && conditions[2] > conditions[1] && conditions[1] > 1.2);

    // The strongest right singular vector with every third row: it lies on the three pixels of one column that alias onto each
    // other, as all of them do: nothing mixes other pixels.
    let d = svd(&encoding(&maps, 3)?, 1, &device, SvdOptions::default())?;
    let v = d.right[0].to_array()?;
    println!("\nthe strongest pattern of every third row, |v₁|, lies on pixels that alias onto each other:");
    let most = v.iter().fold(0.0f32, |a, z| a.max(z.norm()));
    for y in (0..N).step_by(2) {
        let shade = |x| b" .:-=+*#%@"[(9.0 * v[[y, x]].norm() / most).round() as usize] as char;
        println!("    {}", (0..N).map(shade).collect::<String>());
    }
    Ok(())
}
