//! Several tensors as one: what lets a list of inputs be planned like a single one.

use crate::access::ValueId;
use crate::allocate::room_for;
use crate::dim::Shape;
use crate::error::Result;
use crate::ir::{Builder, Split};
use crate::linop::{Linop, Operator, Threadable, Threads};
use crate::run::Device;
use crate::tensor::{DType, HostArray, Tensor};
use num_complex::Complex32;

/// The sum of sub-linops of one input, or of slices of a packed one.
#[derive(Debug)]
pub(super) struct Summed {
    threads: Threads,
    each: bool,
}

impl Summed {
    /// All read one input.
    pub fn of_one(threads: &Threads) -> Result<Linop> {
        Summed::linop(threads, threads.linops()[0].input()?.clone(), false)
    }

    /// Each reads its part of a packed input.
    pub fn of_each(threads: &Threads) -> Result<Linop> {
        let lengths = lengths(threads)?;
        Summed::linop(threads, flat(lengths.iter().sum())?, true)
    }

    fn linop(threads: &Threads, input: Shape, each: bool) -> Result<Linop> {
        let output = threads.linops()[0].output()?.clone();
        Ok(Linop::of(input, output, Summed { threads: threads.clone(), each }))
    }
}

fn lengths(threads: &Threads) -> Result<Vec<usize>> {
    threads.linops().iter().map(|l| Ok(l.input()?.len())).collect()
}

impl Operator for Summed {
    fn op(&self) -> &'static str {
        "sum_reduce"
    }

    fn children(&self) -> &[Linop] {
        self.threads.linops()
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        if !self.each {
            return self.threads.parallel(b, x, self.op(), Split::Whole, Split::Whole);
        }
        let feed = Split::Slices { axis: 0, extents: lengths(&self.threads)? };
        let flat = |l: &Linop| -> Result<Linop> {
            Ok(Linop::of(flat(l.input()?.len())?, l.output()?.clone(), Flat(l.clone())).named(l.label()))
        };
        let linops = self.threads.linops().iter().map(flat).collect::<Result<Vec<_>>>()?;
        let threads = Threads::with_settings(&linops, self.threads.settings().clone());
        threads.parallel(b, x, self.op(), feed, Split::Whole)
    }
}

/// A linop whose input is one dim.
#[derive(Debug)]
struct Flat(Linop);

impl Operator for Flat {
    fn op(&self) -> &'static str {
        "flat"
    }

    fn forward(&self, b: &mut Builder, x: ValueId) -> Result<ValueId> {
        let x = b.reshape(x, self.0.input()?.extents().to_vec())?;
        b.inline(&*self.0.program()?, x)
    }
}

/// A shape of one dim.
pub(super) fn flat(len: usize) -> Result<Shape> {
    Shape::new(vec!["N".parse()?], vec![len])
}

/// Whether tensors can be packed: all on one device.
pub(super) fn together(xs: &[Tensor]) -> bool {
    xs.first().is_none_or(|first| xs.iter().all(|x| x.device().same(&first.device())))
}

/// Tensors of one device side by side, in one dim; complex if one of them is.
pub(super) fn pack(xs: &[Tensor]) -> Result<Tensor> {
    let shape = flat(xs.iter().map(|x| x.shape().len()).sum())?;
    let complex = xs.iter().any(|x| x.dtype() == DType::Complex32);
    let device = xs.first().map_or(Device::host(), Tensor::device);
    #[cfg(feature = "gpu")]
    if let crate::run::Kind::Gpu(gpu) = &device.0 {
        let dtype = if complex { DType::Complex32 } else { DType::F32 };
        if xs.iter().all(|x| x.dtype() == dtype) {
            return gpu.packed(xs, shape, dtype);
        }
    }
    // Mixed dtypes are rare enough to go through the host.
    let host = xs.iter().map(|x| x.to(&Device::host())).collect::<Result<Vec<_>>>()?;
    let parts = host.iter().filter_map(Tensor::host_array);
    let n = shape.len();
    let packed = match complex {
        true => {
            let mut all = room_for::<Complex32>(n, PACKED)?;
            parts.for_each(|x| match x {
                HostArray::F32(a) => all.extend(a.iter().map(|&v| Complex32::from(v))),
                HostArray::Complex32(a) => all.extend(a.iter()),
            });
            Tensor::of_values(shape, all)?
        }
        false => {
            let mut all = room_for::<f32>(n, PACKED)?;
            parts.for_each(|x| {
                if let HostArray::F32(a) = x {
                    all.extend(a.iter());
                }
            });
            Tensor::of_values(shape, all)?
        }
    };
    packed.to(&device)
}

/// What messages call them.
const PACKED: &str = "a pack of tensors";
