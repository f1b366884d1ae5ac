//! An operator of your own, of two WGSL kernels for a GPU, with a linop of functions for the host beside them.
//!
//! Here a shear, y[r, c] = x[r, (c − r) mod N], whose adjoint shears back. `T` stands for `f32` and for `vec2<f32>`.
//!
//! `cargo run --example own_kernel [-- DEVICE]`

use linops::linop::{self, Wgsl};
use linops::{DType, Device, Result, check};
use ndarray::{ArrayView2, ArrayViewMut2};

const SHEAR: &str = "
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= 48u || id.y >= 32u) { return; }
    y[id.y * 48u + id.x] = x[id.y * 48u + (id.x + SIGN * id.y) % 48u];
}";

// A sign of 47 is one of −1, around 48 columns.
fn shear(x: ArrayView2<f32>, mut y: ArrayViewMut2<f32>, sign: usize) {
    y.indexed_iter_mut().for_each(|((r, c), y)| *y = x[[r, (c + sign * r) % 48]]);
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let kernel = |sign: &str| Wgsl::new(SHEAR.replace("SIGN", sign)).invocations([48, 32, 1]);
    let host = linop::from_fn(
        "R=32 C=48",
        "R=32 C=48",
        |x: ArrayView2<f32>, y: ArrayViewMut2<f32>| shear(x, y, 47),
        |y: ArrayView2<f32>, x: ArrayViewMut2<f32>| shear(y, x, 1),
    )?;
    let a = linop::wgsl_or(&kernel("47u"), &kernel("1u"), &host)?;
    print!("{}", a.n().plan(&device, DType::Complex32)?);
    let report = check::dot_test(&a, &device, 1)?;
    println!("{report}");
    assert!(report.passed());
    Ok(())
}
