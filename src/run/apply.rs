//! Applying linops to tensors.

use super::cache::{Compiled, compiled};
use super::device::Device;
use super::report::ApplyReport;
use crate::error::{Error, Result, caught};
use crate::host::{HostBuf, HostInstance, Slice};
use crate::ir::Program;
use crate::linop::Linop;
use crate::plan::Plan;
use crate::tensor::{DType, HostArray, Tensor};
use ndarray::{ArcArray, IxDyn};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Linop {
    /// y = A x, on the device that holds x. On a GPU this checks, submits, and returns without waiting.
    ///
    /// # Errors
    /// x has other dims or extents than the input (named), the linop carries an error, or the device fails.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.run(x, &AtomicBool::new(false))?.0)
    }

    /// [`apply`](Linop::apply), with a report of what was done.
    ///
    /// # Errors
    /// As for `apply`.
    pub fn apply_reported(&self, x: &Tensor) -> Result<(Tensor, ApplyReport)> {
        let (y, compiled, mut report) = self.run(x, &AtomicBool::new(false))?;
        report.device = x.device().name();
        report.containers = compiled.plan().regions.clone();
        Ok((y, report))
    }

    /// The program; a user's operator that panics is an error.
    fn lowered(&self) -> Result<Arc<Program>> {
        caught(|| self.program()).map_err(|e| e.at(self.label()))
    }

    /// Applies until done or until `stop` is set.
    pub(super) fn run(&self, x: &Tensor, stop: &AtomicBool) -> Result<(Tensor, Arc<Compiled>, ApplyReport)> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        let device = x.device();
        let program = self.lowered()?;
        let compiled = compiled(&program, &device, x.dtype())?;
        let output = self.output()?.clone();
        let (y, report) = match &*compiled {
            Compiled::Host { plan, idle } => {
                // Leased: two applies never share an instance.
                let leased = idle.lock().unwrap_or_else(|e| e.into_inner()).pop();
                let mut instance = leased.map_or_else(|| HostInstance::new(plan), Ok)?;
                let y = host_values(x).and_then(|x| instance.run(plan, x.as_slice(), stop));
                idle.lock().unwrap_or_else(|e| e.into_inner()).push(instance);
                let y = y?;
                let extents = IxDyn(output.extents());
                let shaped = |e: ndarray::ShapeError| Error::Shape(e.to_string());
                let array = match y {
                    HostBuf::Real(v) => HostArray::F32(ArcArray::from_shape_vec(extents, v).map_err(shaped)?),
                    HostBuf::Complex(v) => HostArray::Complex32(ArcArray::from_shape_vec(extents, v).map_err(shaped)?),
                };
                (Tensor::from_host(output, array)?, ApplyReport::default())
            }
            #[cfg(feature = "gpu")]
            Compiled::Gpu(c) => {
                let (y, done) = c.apply(x, output)?;
                let (submits, passes, dispatches) = (done.submits, done.passes, done.dispatches);
                (y, ApplyReport { submits, passes, dispatches, recorders: done.recorders, ..ApplyReport::default() })
            }
        };
        Ok((y, compiled, report))
    }

    /// The plan that [`apply`](Linop::apply) runs on a device for inputs of this dtype: printed, it lists the kernels.
    ///
    /// # Errors
    /// As for `apply`, short of running it.
    pub fn plan(&self, device: &Device, dtype: DType) -> Result<Plan> {
        self.lowered()?.schedule_with(&device.target(), dtype == DType::Complex32, &device.plan_options())
    }

    /// Compiles for a device ahead of the first apply.
    ///
    /// # Errors
    /// As for `apply`.
    pub fn prepare(&self, device: &Device, dtype: DType) -> Result<()> {
        let c: Arc<Compiled> = compiled(&self.lowered()?, device, dtype)?;
        debug_assert_eq!(c.plan().values[0].extents, self.input()?.extents());
        Ok(())
    }
}

/// A host tensor's values in C order: borrowed where they are stored so.
enum HostValues<'a> {
    Borrowed(Slice<'a, f32>),
    Owned(HostBuf<f32>),
}

impl HostValues<'_> {
    fn as_slice(&self) -> Slice<'_, f32> {
        match self {
            HostValues::Borrowed(s) => *s,
            HostValues::Owned(b) => b.as_slice(),
        }
    }
}

fn host_values(x: &Tensor) -> Result<HostValues<'_>> {
    Ok(match x.host_array() {
        Some(HostArray::F32(a)) => match a.as_slice() {
            Some(s) => HostValues::Borrowed(Slice::Real(s)),
            None => HostValues::Owned(HostBuf::Real(a.iter().copied().collect())),
        },
        Some(HostArray::Complex32(a)) => match a.as_slice() {
            Some(s) => HostValues::Borrowed(Slice::Complex(s)),
            None => HostValues::Owned(HostBuf::Complex(a.iter().copied().collect())),
        },
        None => {
            let what = format!("the tensor {} is on {}, expected the host", x.shape(), x.device_name());
            return Err(Error::Device(what));
        }
    })
}
