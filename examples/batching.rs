//! One 2-D SENSE operator over the frames of a series: one plan with the kernels of a single frame.
//!
//! The operator is made for one frame. `over` puts a dim in front of it, `batched` takes whatever dims a tensor has in front.
//! Results are those of frame after frame, bit for bit.
//!
//! `cargo run --release --example batching [-- DEVICE]`

use linops::linop::{self, FftOptions};
use linops::{DType, Device, Linop, Result, Tensor};
use ndarray::{Array2, Array3, ArrayD, Axis};
use num_complex::Complex32;

const FRAMES: usize = 16;

/// Values that look random and are the same in every run.
fn value(seed: usize, at: usize) -> Complex32 {
    let wave = |k: f32| (k * 12.9898 + seed as f32 * 78.233).sin();
    Complex32::new(wave(at as f32), wave(at as f32 + 0.5))
}

/// Eight coils, every third line of 96 by 80 and a centre.
fn sense() -> Result<Linop> {
    let maps = Array3::from_shape_fn((8, 96, 80), |(c, y, x)| value(c, 80 * y + x));
    let mask = Array2::from_shape_fn((96, 80), |(y, _)| f32::from(y % 3 == 0 || (40..56).contains(&y)));
    let f = linop::fft("Ny=96 Nx=80", "Ny Nx", FftOptions::default().centered(true))?.out("Ky Kx")?;
    let one = linop::sampling(f.output()?, &Tensor::from_array(mask, "Ky Kx")?, "S")? * f;
    linop::sense(&Tensor::from_array(maps, "C Ny Nx")?, &one, "C")
}

fn values(y: &Tensor) -> Result<ArrayD<Complex32>> {
    y.to(&Device::host())?.to_array()
}

fn main() -> Result<()> {
    let device = Device::by_name(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    let one = sense()?;
    let frames = one.over(format!("T={FRAMES}"))?;
    println!("device   {}", device.name());
    println!("a frame  {} -> {}", one.input()?, one.output()?);
    println!("all      {} -> {}", frames.input()?, frames.output()?);

    let both =
        [("forward", one.clone(), frames.clone()), ("adjoint", one.h(), frames.h()), ("normal", one.n(), frames.n())];
    for (what, one, all) in both {
        let shape = all.input()?;
        let mut next = 0..;
        let x = ArrayD::from_shape_fn(shape.extents().to_vec(), |_| value(99, next.next().unwrap_or(0)));
        let y = values(&all.apply(&Tensor::from_array(x.clone(), &names(shape))?.to(&device)?)?)?;
        let same = x.axis_iter(Axis(0)).zip(y.axis_iter(Axis(0))).map(|(x, y)| -> Result<bool> {
            let x = Tensor::from_array(x.to_owned(), &names(one.input()?))?.to(&device)?;
            Ok(values(&one.apply(&x)?)? == y)
        });
        let equal = same.collect::<Result<Vec<_>>>()?.into_iter().all(|e| e);
        let kernels = |a: &Linop| Ok::<_, linops::Error>(a.plan(&device, DType::Complex32)?.steps.len());
        let bits = if equal { "equal" } else { "DIFFERENT" };
        println!("{what:<8} {} kernels for one, {} for {FRAMES}; bits {bits}", kernels(&one)?, kernels(&all)?);
        assert!(equal, "frames are what they are alone");
    }

    let any = one.batched();
    for front in ["", "T=3 ", "Nz=2 T=3 "] {
        let x = Tensor::zeros(format!("{front}Ny=96 Nx=80"), DType::Complex32)?.to(&device)?;
        println!("batched  {} -> {}", x.shape(), any.apply(&x)?.shape());
    }
    Ok(())
}

fn names(shape: &linops::Shape) -> String {
    shape.dims().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
