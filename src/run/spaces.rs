//! The vectors of solvers on a device, of one or of several in lockstep.

use super::compiled::Compiled;
use super::device::{Device, Kind};
use super::memory::MemoryUse;
use crate::dim::{Dim, Shape};
use crate::error::{Error, Result};
use crate::host::HostSpace;
use crate::linop::Linop;
use crate::plan::Target;
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
        let mut most = COLUMNS;
        while all.len() < count {
            let mut width = most.min(count - all.len());
            let columns = loop {
                match needs.columns(self, width) {
                    Ok(columns) => break columns,
                    Err(_) if width > 1 => width = width.div_ceil(2),
                    Err(e) => return Err(e),
                }
            };
            most = width;
            // On the host each column is by itself, and those that have ended cost nothing.
            let make = (width > 1 && !matches!(self.0, Kind::Host)).then(|| {
                let (needs, device) = (needs.clone(), self.clone());
                Box::new(move |width| needs.columns(&device, width)) as Make
            });
            all.extend(lockstep(columns, (width, needs.vectors.len()), &needs.layout, make));
        }
        Ok(all)
    }
}

impl Needs {
    /// So many columns, unless they would take too much of the device.
    fn columns(&self, device: &Device, width: usize) -> Result<Box<dyn Columns>> {
        let dtype = self.vectors.first().map_or(DType::Complex32, |(_, dtype)| *dtype);
        let batched = width > 1 && !matches!(device.0, Kind::Host);
        let compiled = |a: &Linop| match batched {
            true => a.over(front(a, width)?)?.compiled(device, dtype),
            false => a.compiled(device, dtype),
        };
        let vectors = self.vectors.iter().map(|(shape, dtype)| shape.len() as u64 * dtype.bytes()).sum::<u64>();
        let most = match device.target() {
            Target::Host => u64::MAX,
            Target::Gpu(limits) if limits.shape == KernelShape::Cpu => FILLED_CPU,
            Target::Gpu(_) => FILLED,
        };
        let most = most.min(device.cache_budget() / SHARE);
        let mut needed = vectors.saturating_mul(width as u64);
        let mut plans = Vec::new();
        for a in &self.operators {
            if width > 1 && needed > most {
                break;
            }
            let plan = compiled(a)?;
            if batched {
                needed = needed.saturating_add(MemoryUse::of(plan.plan())?.scratch);
            }
            plans.push(plan);
        }
        if width > 1 && needed > most {
            return Err(Error::TooBig { what: "what solvers in lockstep take".into(), needed, limit: most });
        }
        match &device.0 {
            Kind::Host => {
                let plans = plans.into_iter().filter_map(Compiled::into_host).collect();
                Ok(Box::new(HostSpace::new(plans, &self.vectors, self.layout.clone(), width)?))
            }
            #[cfg(feature = "gpu")]
            Kind::Gpu(g) => {
                let plans = plans.into_iter().filter_map(Compiled::into_gpu).collect();
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
