//! An operator of your own, of primitives: the forward alone is written; exact adjoint and normal, and every device, follow.
//!
//! Here the difference of neighbours along a circular axis, y[n] = x[n] − x[n − 1], whose index map goes into the kernel's read.
//!
//! `cargo run --example own_operator [-- DEVICE]`

use linops::linop::Operator;
use linops::program::{AxisMap, Builder, ValueId};
use linops::{DType, Device, Linop, Result, check};
use num_complex::Complex64;

#[derive(Debug)]
struct Difference {
    axis: usize,
}

impl Operator for Difference {
    fn op(&self) -> &'static str {
        "difference"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let extent = b.extents(x)[self.axis];
        let before = b.map_axis(x, self.axis, AxisMap::wrapped(1, -1, extent), extent)?;
        let minus = b.scale(before, Complex64::new(-1.0, 0.0))?;
        b.add(&[x, minus])
    }
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let image: linops::dim::Shape = "Ny=32 Nx=48".parse()?;
    let a = Linop::new(image.clone(), image, std::sync::Arc::new(Difference { axis: 1 }));
    print!("{}", a.n().plan(&device, DType::F32)?);
    let report = check::dot_test(&a, &device, 1)?;
    println!("{report}");
    assert!(report.passed());
    Ok(())
}
