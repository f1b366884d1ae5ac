//! Before a GPU is trusted: a few known answers of every kernel family, computed there and on the host.
//!
//! A driver that miscompiles a kernel gives wrong images, not errors; it is refused by name. `LINOPS_TRUST_DRIVER=1` is the way
//! past that.

use super::device::{Device, Kind};
use super::spaces::Needs;
use crate::access::ValueId;
use crate::dim::Shape;
use crate::elementwise::Computation;
#[cfg(feature = "gpu")]
use crate::error::Error;
use crate::error::Result;
use crate::ir::{Builder, Program};
use crate::linop::{Linop, Operator};
use crate::loops::Slice;
use crate::primitive::{Sample, samples};
use crate::tensor::{DType, Tensor};
use num_complex::{Complex32, Complex64};
use serde::Serialize;
use std::time::Instant;

/// Relative l2 distance that rounding explains, with room.
const TOLERANCE: f64 = 1e-5;

/// How a family of kernels fares on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SelfTest {
    /// The family.
    pub family: &'static str,
    /// Relative l2 distance from what the host computes, if it ran.
    pub error: Option<f64>,
    /// What is wrong, if anything is.
    pub fault: Option<String>,
    /// Seconds of the first apply, in which its kernels are compiled.
    pub first: f64,
    /// Seconds of the next.
    pub next: f64,
}

impl Device {
    /// Computes a few known answers of every family of kernels on this device. GPUs that are opened by [`Device::gpu`],
    /// [`Device::auto`], by name or as software are tested before they are used; devices that are opened otherwise are when
    /// this is called.
    ///
    /// # Errors
    /// The samples cannot be made. A family that fails is told in the list.
    pub fn self_test(&self) -> Result<Vec<SelfTest>> {
        let all: Vec<SelfTest> = tests(self)?.collect::<Result<_>>()?;
        #[cfg(feature = "gpu")]
        if let (Some(gpu), true) = (self.as_gpu(), all.iter().any(|t| t.fault.is_some())) {
            gpu.distrust();
        }
        Ok(all)
    }
}

/// Whether the user trusts drivers without a test.
#[cfg(feature = "gpu")]
pub(super) fn is_waived() -> bool {
    std::env::var("LINOPS_TRUST_DRIVER").is_ok_and(|v| v == "1")
}

/// # Errors
/// A kernel family gives wrong numbers on this device, or does not run.
#[cfg(feature = "gpu")]
pub(super) fn trust(device: &Device) -> Result<()> {
    for test in tests(device)? {
        let SelfTest { family, fault, .. } = test?;
        if let Some(fault) = fault {
            return Err(Error::Device(format!(
                "the driver of \"{}\" fails the self-test of {family}: {fault}; update the driver or use another device \
                 (LINOPS_TRUST_DRIVER=1 uses it all the same)",
                device.name()
            )));
        }
    }
    Ok(())
}

/// The tests of all families, each run when it is asked for.
fn tests(device: &Device) -> Result<impl Iterator<Item = Result<SelfTest>>> {
    let primitives = samples()?.into_iter().map(|s| test_program(device, s));
    let passes = std::iter::once_with(|| test_passes(device));
    let elements = std::iter::once_with(|| test_elements(device));
    Ok(primitives.chain(passes).chain(elements).chain(std::iter::once_with(|| test_blocks(device))))
}

/// A primitive's kernels.
fn test_program(device: &Device, Sample { family, program }: Sample) -> Result<SelfTest> {
    let a = linop_of(program)?;
    let x = arbitrary(a.input()?)?;
    let run = |device: &Device| -> Result<Vec<Complex64>> {
        let y = a.apply(&x.to(device)?)?.to(&Device::host())?.to_array()?;
        Ok(y.iter().map(|y| Complex64::new(y.re.into(), y.im.into())).collect())
    };
    Ok(compare(family, &run(&Device::host())?, || run(device)))
}

/// The passes that solvers are made of.
fn test_passes(device: &Device) -> Result<SelfTest> {
    use crate::vectors::sample;
    // Of whole quads, and of such that columns begin within one.
    let inputs = [arbitrary(&"A=2049".parse()?)?, arbitrary(&"A=1026".parse()?)?];
    let run = |device: &Device| -> Result<Vec<Complex64>> {
        let mut all = Vec::new();
        for x in &inputs {
            let vectors = vec![(x.shape().clone(), x.dtype()); sample::VECTORS];
            let mut space = device.space(&[], &vectors, sample::layout())?;
            all.extend(sample::run(&mut *space, &x.to(device)?)?);
            let needs = Needs { name: "self-test", operators: Vec::new(), vectors, layout: sample::layout() };
            all.extend(sample::run_together(&mut device.spaces(&needs, 3)?, &x.to(device)?)?);
        }
        Ok(all.into_iter().map(Complex64::from).collect())
    };
    Ok(compare("solvers' passes", &run(&Device::host())?, || run(device)))
}

/// What arithmetic on tensors is made of: values, a sum, and the largest magnitude, of complex values and of real ones.
fn test_elements(device: &Device) -> Result<SelfTest> {
    use crate::elementwise::sample;
    let x = arbitrary(&"A=2049".parse()?)?;
    let real = Tensor::of_values(x.shape().clone(), x.to_vec()?.iter().map(|v| v.re).collect::<Vec<f32>>())?;
    let (all, magnitudes, reals) = (sample::computation(), sample::magnitudes(), sample::real_computation());
    let run = |device: &Device| -> Result<Vec<Complex64>> {
        let mut values = elements(device, &all, &magnitudes, &x)?;
        values.extend(elements(device, &reals, &reals, &real)?);
        Ok(values)
    };
    Ok(compare("arithmetic", &run(&Device::host())?, || run(device)))
}

/// The values of a computation over x and their sum, and the largest of those of another.
fn elements(device: &Device, all: &Computation, magnitudes: &Computation, x: &Tensor) -> Result<Vec<Complex64>> {
    use crate::elementwise::{largest, mapped, summed};
    let n = x.shape().len();
    let wide = |t: Tensor| -> Result<Vec<Complex64>> {
        let values = t.to(&Device::host())?.to_vec()?;
        Ok(values.iter().map(|y| Complex64::new(y.re.into(), y.im.into())).collect())
    };
    let (mut values, sum, most) = match &device.0 {
        Kind::Host => {
            let (complex, real);
            let input = match x.dtype() {
                DType::Complex32 => {
                    complex = x.to_vec()?;
                    Slice::Complex(&complex)
                }
                DType::F32 => {
                    real = x.to_real_vec()?;
                    Slice::Real(&real)
                }
            };
            let inputs = [input];
            let made = mapped(all, &inputs, n)?.into_tensor(x.shape().clone())?;
            (wide(made)?, summed(all, &inputs, n), largest(magnitudes, &inputs, n))
        }
        #[cfg(feature = "gpu")]
        Kind::Gpu(gpu) => {
            let inputs = [x.to(device)?];
            let made = gpu.computed(all, &inputs, x.shape())?;
            (wide(made)?, gpu.summed(all, &inputs, n)?, gpu.largest(magnitudes, &inputs, n)?)
        }
    };
    // The sum is of terms of either sign, so it is told in their mean's size.
    values.extend([sum / (n as f64).sqrt(), most.into()]);
    Ok(values)
}

/// Blocks of low rank: with singular values made less, and their sums.
fn test_blocks(device: &Device) -> Result<SelfTest> {
    use crate::low_rank::{norms, sample, shrunk};
    let [rows, y, x] = sample::SHAPE;
    let v = arbitrary(&format!("A={rows} A1={y} A2={x}").parse()?)?;
    let given = v.to_vec()?.into_iter().zip(sample::degenerate()).map(|(v, of)| of.map_or(v, Complex32::from));
    let degenerate = Tensor::of_values(v.shape().clone(), given.collect::<Vec<_>>())?;
    let run = |device: &Device| -> Result<Vec<Complex64>> {
        let mut all = Vec::new();
        for (blocks, v) in sample::blocks().iter().flat_map(|blocks| [(blocks, &v), (blocks, &degenerate)]) {
            let (values, sums) = match &device.0 {
                #[cfg(feature = "gpu")]
                Kind::Gpu(gpu) if gpu.takes_blocks(blocks, v) => {
                    let v = v.to(device)?;
                    let made = gpu.shrunk_blocks(blocks, &v, sample::LESS)?.to(&Device::host())?.to_vec()?;
                    (made, gpu.block_norms(blocks, &v)?.into_iter().map(f64::from).collect())
                }
                _ => {
                    let values = v.to_vec()?;
                    let mut made = values.clone();
                    shrunk(blocks, &mut made, sample::LESS.into());
                    (made, norms(blocks, &values))
                }
            };
            all.extend(values.iter().map(|y| Complex64::new(y.re.into(), y.im.into())));
            all.extend(sums.into_iter().map(Complex64::from));
        }
        Ok(all)
    };
    Ok(compare("blocks of low rank", &run(&Device::host())?, || run(device)))
}

/// Any fixed values without structure will do.
fn arbitrary(shape: &Shape) -> Result<Tensor> {
    let mut value = 0u32;
    let next = |_| {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Complex32::new((value >> 16) as f32 / 65536.0 - 0.5, (value & 0xffff) as f32 / 65536.0 - 0.5)
    };
    Tensor::of_values(shape.clone(), (0..shape.len()).map(next).collect::<Vec<_>>())
}

/// What runs twice, beside what is wanted.
fn compare(family: &'static str, want: &[Complex64], mut run: impl FnMut() -> Result<Vec<Complex64>>) -> SelfTest {
    let mut timed = || -> Result<(Vec<Complex64>, f64)> {
        let start = Instant::now();
        Ok((run()?, start.elapsed().as_secs_f64()))
    };
    let (got, first, next) = match timed().and_then(|(y, first)| Ok((y, first, timed()?.1))) {
        Ok(all) => all,
        Err(e) => return SelfTest { family, error: None, fault: Some(e.to_string()), first: 0.0, next: 0.0 },
    };
    let norm: f64 = want.iter().map(|w| w.norm_sqr()).sum();
    let distance: f64 = got.iter().zip(want).map(|(g, w)| (g - w).norm_sqr()).sum();
    let error = (distance / if norm > 0.0 { norm } else { 1.0 }).sqrt();
    let wrong = error.is_nan() || error > TOLERANCE;
    let fault = wrong.then(|| format!("a relative error of {error:.1e}, at most {TOLERANCE:.0e} is rounding"));
    SelfTest { family, error: Some(error), fault, first, next }
}

/// A sample's program as a linop.
#[derive(Debug)]
struct Given(Program);

impl Operator for Given {
    fn op(&self) -> &'static str {
        "sample"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        b.inline(&self.0, x)
    }
}

/// A linop that does what a program does; dims are called A, A1, A2 …
fn linop_of(program: Program) -> Result<Linop> {
    let shape = |extents: &[usize]| -> Result<Shape> {
        let dims = (0..extents.len()).map(|a| format!("A{a}").parse()).collect::<Result<Vec<_>>>()?;
        Shape::new(dims, extents.to_vec())
    };
    Ok(Linop::of(shape(program.input_extents())?, shape(program.output_extents())?, Given(program)))
}
