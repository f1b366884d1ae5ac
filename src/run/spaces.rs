//! The vectors of solvers on a device, of one or of several in lockstep.

use super::compiled::Compiled;
use super::device::{Device, Kind};
use super::memory::MemoryUse;
use crate::dim::{Dim, Shape};
use crate::error::{Error, Result};
use crate::host::HostSpace;
use crate::linop::Linop;
use crate::plan::{PlanOptions, Target};
use crate::shader::KernelShape;
use crate::tensor::DType;
use crate::vectors::columns::{COLUMNS, Columns, Make, alone, lockstep};
use crate::vectors::{Layout, Space};

/// What solvers of one kind need of a device: operators, vectors of these shapes and dtypes, scalars and passes.
#[derive(Clone)]
pub(crate) struct Needs {
    /// Whose, for messages.
    pub name: &'static str,
    pub operators: Vec<Linop>,
    pub vectors: Vec<(Shape, DType)>,
    pub layout: Layout,
}

/// What columns may take of what a device keeps: one part in so many.
const SHARE: u64 = 2;

/// Bytes of a few columns that fill a GPU and stay in its cache: more of them in one dispatch bring nothing. Of a software adapter, that
/// stay in a core's: on lavapipe columns of 2 MiB took 1.5 times as long together as one after the other, those of 0.1 MiB 0.7 times.
const FILLED: u64 = 16 << 20;
const FILLED_CPU: u64 = 1 << 20;

impl Device {
    /// A solver's vectors, of these shapes and dtypes, with operators that go from one to another of them.
    ///
    /// # Errors
    /// There is not enough memory, or an operator cannot be compiled.
    pub(crate) fn space(
        &self,
        operators: &[&Linop],
        vectors: &[(Shape, DType)],
        layout: Layout,
    ) -> Result<Box<dyn Space>> {
        let operators = operators.iter().map(|a| (*a).clone()).collect();
        let needs = Needs { name: "a solver", operators, vectors: vectors.to_vec(), layout };
        Ok(alone(needs.columns(self, 1)?, &needs.layout))
    }

    /// The vectors of so many solvers: as many of them in lockstep as a device has room for.
    ///
    /// # Errors
    /// As for [`space`](Device::space).
    pub(crate) fn spaces(&self, needs: &Needs, count: usize) -> Result<Vec<Box<dyn Space>>> {
        let mut all = Vec::new();
        let most = needs.width(self, count)?;
        while all.len() < count {
            let width = most.min(count - all.len());
            let columns = needs.columns(self, width)?;
            // On the host each column is by itself, and those that have ended cost nothing.
            let make = (width > 1 && !self.is_host()).then(|| {
                let (needs, device) = (needs.clone(), self.clone());
                Box::new(move |width| needs.columns(&device, width)) as Make
            });
            all.extend(lockstep(columns, (width, needs.vectors.len()), &needs.layout, make));
        }
        Ok(all)
    }
}

impl Needs {
    fn dtype(&self) -> DType {
        self.vectors.first().map_or(DType::Complex32, |(_, dtype)| *dtype)
    }

    /// The operator of so many columns, and how it is planned: each column has the bits that it has alone.
    fn over(&self, a: &Linop, device: &Device, width: usize) -> Result<(Linop, PlanOptions)> {
        let options = device.plan_options();
        match width {
            1 => Ok((a.clone(), options)),
            _ => Ok((a.over(front(a, width)?)?, PlanOptions { alike: width, ..options })),
        }
    }

    /// Columns that go together, of so many.
    fn width(&self, device: &Device, count: usize) -> Result<usize> {
        let mut width = count.min(COLUMNS);
        let Target::Gpu(limits) = device.target() else { return Ok(width) };
        let filled = if limits.shape == KernelShape::Cpu { FILLED_CPU } else { FILLED };
        let most = filled.min(device.cache_budget() / SHARE);
        while width > 1 {
            match self.taken(device, width) {
                Ok(bytes) if bytes <= most => break,
                Ok(_) => {}
                Err(e) if matches!(e.root(), Error::TooBig { .. }) => {}
                Err(e) => return Err(e),
            }
            width = width.div_ceil(2);
        }
        Ok(width)
    }

    /// Bytes of the vectors of so many columns, and of what operators hold meanwhile.
    fn taken(&self, device: &Device, width: usize) -> Result<u64> {
        let bytes = |(shape, dtype): &(Shape, DType)| (shape.len() as u64).saturating_mul(dtype.bytes());
        let mut taken = self.vectors.iter().map(bytes).fold(0u64, u64::saturating_add).saturating_mul(width as u64);
        for a in &self.operators {
            let (over, options) = self.over(a, device, width)?;
            let plan = over.planned(&device.target(), self.dtype(), &options)?;
            let memory = MemoryUse::of(&plan)?;
            // What it gives may have to wait beside the vectors.
            taken = taken.saturating_add(memory.scratch).saturating_add(memory.output);
        }
        Ok(taken)
    }

    /// So many columns.
    fn columns(&self, device: &Device, width: usize) -> Result<Box<dyn Columns>> {
        let plans = |width: usize| {
            let compiled = self.operators.iter().map(|a| {
                let (over, options) = self.over(a, device, width)?;
                match width {
                    1 => over.compiled(device, self.dtype()),
                    _ => over.compiled_with(device, self.dtype(), options).map_err(|e| e.at(a.label())),
                }
            });
            compiled.collect::<Result<Vec<_>>>()
        };
        match &device.0 {
            Kind::Host => {
                let plans = plans(1)?.into_iter().filter_map(Compiled::into_host).collect();
                Ok(Box::new(HostSpace::new(plans, &self.vectors, self.layout.clone(), width)?))
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => {
                let plans = plans(width)?.into_iter().filter_map(Compiled::into_gpu).collect();
                Ok(Box::new(crate::gpu::GpuSpace::new(g, plans, &self.vectors, self.layout.clone(), width)?))
            }
        }
    }
}

/// A dim for the columns, which the linop does not have.
fn front(a: &Linop, width: usize) -> Result<Shape> {
    let used: Vec<Dim> = a.input()?.dims().iter().chain(a.output()?.dims()).copied().collect();
    let mut dim: Dim = "column".parse()?;
    while used.contains(&dim) {
        dim = dim.next_unused(&used);
    }
    Shape::new(vec![dim], vec![width])
}
