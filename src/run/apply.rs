//! Applying linops to tensors.

use super::compiled::Compiled;
use super::device::Device;
use super::report::ApplyReport;
use crate::allocate::collected;
use crate::error::{Error, Result, caught};
use crate::host::{HostBuf, Slice, host};
use crate::ir::Program;
use crate::linop::{Batched, Linop};
use crate::plan::{Plan, PlanOptions, Target};
use crate::tensor::{DType, HostArray, Tensor};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Linop {
    /// y = A x, on the device that holds x. On a GPU this checks, submits, and returns without waiting.
    ///
    /// Values are not looked at: NaN and infinity go through as float32's arithmetic has them, and come up where a sum on the way is
    /// beyond 3.4e38, even if the result would not be. As A is linear, data near either end of float32 can be scaled by a power of 2
    /// before, and back behind; [`Tensor::max_abs`] tells.
    ///
    /// # Errors
    /// x has other dims or extents than the input (named), the linop carries an error, or the device fails.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.run(x, &AtomicBool::new(false), None)?.0)
    }

    /// [`apply`](Linop::apply), with a report of what was done.
    ///
    /// # Errors
    /// As for `apply`.
    pub fn apply_reported(&self, x: &Tensor) -> Result<(Tensor, ApplyReport)> {
        let mut report = ApplyReport::default();
        let (y, compiled) = self.run(x, &AtomicBool::new(false), Some(&mut report))?;
        report.device = x.device().name();
        report.containers = compiled.plan().regions.clone();
        Ok((y, report))
    }

    /// The program; a user's operator that panics is an error.
    fn lowered(&self) -> Result<Arc<Program>> {
        caught(|| self.program()).map_err(|e| e.at(self.label()))
    }

    /// Applies until done or until `stop` is set; in `report` it says what was submitted.
    pub(super) fn run(
        &self,
        x: &Tensor,
        stop: &AtomicBool,
        report: Option<&mut ApplyReport>,
    ) -> Result<(Tensor, Compiled)> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        let device = x.device();
        let compiled = self.compiled(&device, x.dtype())?;
        let output = self.output()?.clone();
        let y = match &compiled {
            #[cfg(feature = "gpu")]
            Compiled::Gpu(gpu, c) => {
                let (y, done) = c.apply(gpu, x, output).map_err(|e| self.blamed(e))?;
                if let Some(report) = report {
                    report.recorders = done.recorders();
                    (report.submits, report.passes, report.dispatches) = (done.submits, done.passes, done.dispatches);
                }
                y
            }
            Compiled::Host(h) => {
                // Nothing is submitted here.
                let _ = report;
                let x = host_values(x)?;
                let y = h.run(host().plans.ledger(), x.as_slice(), stop).map_err(|e| self.blamed(e))?;
                y.into_tensor(output)?
            }
        };
        Ok((y, compiled))
    }

    /// An error of a user's code, with the linop's name in front where it does not begin with that already.
    fn blamed(&self, e: Error) -> Error {
        let label = self.label();
        match e.root() {
            Error::Panicked(_) if !e.to_string().starts_with(&label) => e.at(label),
            _ => e,
        }
    }

    /// The compiled plan; what panics on the way to it is an error.
    pub(crate) fn compiled(&self, device: &Device, dtype: DType) -> Result<Compiled> {
        let compiled = self.compiled_with(device, dtype, device.plan_options());
        compiled.map_err(|e| self.with_tiles_that_fit(e, device, dtype).at(self.label()))
    }

    /// The same by other options.
    pub(crate) fn compiled_with(&self, device: &Device, dtype: DType, options: PlanOptions) -> Result<Compiled> {
        let program = self.lowered()?;
        caught(|| Compiled::of(&program, device, dtype, options))
    }

    /// What is too big for a device, with the tiles in which it would fit.
    fn with_tiles_that_fit(&self, e: Error, device: &Device, dtype: DType) -> Error {
        let Error::TooBig { what, needed, limit } = e.root().clone() else { return e };
        if what.contains("counts in 32 bits") {
            return e;
        }
        match self.fit(device, dtype, u64::MAX - 1) {
            Ok(fit) if !fit.tiling.levels().is_empty() => {
                let what = format!("{what} (it would fit in tiles: {}, by apply_in_tiles)", fit.how());
                Error::TooBig { what, needed, limit }
            }
            _ => e,
        }
    }

    /// The plan that [`apply`](Linop::apply) runs on a device for inputs of this dtype: printed, it lists the kernels.
    ///
    /// # Errors
    /// As for `apply`, short of running it.
    pub fn plan(&self, device: &Device, dtype: DType) -> Result<Plan> {
        self.planned(&device.target(), dtype, &device.plan_options())
    }

    /// The plan for a target; what panics on the way to it is an error.
    pub(crate) fn planned(&self, target: &Target, dtype: DType, options: &PlanOptions) -> Result<Plan> {
        let program = self.lowered()?;
        let plan = || program.schedule_with(target, dtype == DType::Complex32, options);
        caught(plan).map_err(|e| e.at(self.label()))
    }

    /// Compiles for a device ahead of the first apply.
    ///
    /// # Errors
    /// As for `apply`.
    pub fn prepare(&self, device: &Device, dtype: DType) -> Result<()> {
        self.compiled(device, dtype).map(drop)
    }
}

impl Batched {
    /// y = A x for every index of the dims that x has in front of the linop's input; y has them in front of the output. On the
    /// device that holds x, as [`Linop::apply`].
    ///
    /// # Errors
    /// The last dims of x are not the linop's input; else as for [`Linop::apply`].
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.for_input(x.shape())?.apply(x)
    }
}

/// A host tensor's values in C order: borrowed where they are stored so.
pub(super) enum HostValues<'a> {
    Borrowed(Slice<'a, f32>),
    Owned(HostBuf<f32>),
}

impl HostValues<'_> {
    pub(super) fn as_slice(&self) -> Slice<'_, f32> {
        match self {
            HostValues::Borrowed(s) => *s,
            HostValues::Owned(b) => b.as_slice(),
        }
    }
}

pub(super) fn host_values(x: &Tensor) -> Result<HostValues<'_>> {
    Ok(match x.host_array() {
        Some(HostArray::F32(a)) => match a.as_slice() {
            Some(s) => HostValues::Borrowed(Slice::Real(s)),
            None => HostValues::Owned(HostBuf::Real(collected(a.iter().copied(), a.len())?)),
        },
        Some(HostArray::Complex32(a)) => match a.as_slice() {
            Some(s) => HostValues::Borrowed(Slice::Complex(s)),
            None => HostValues::Owned(HostBuf::Complex(collected(a.iter().copied(), a.len())?)),
        },
        None => {
            let what = format!("the tensor {} is on {}, expected the host", x.shape(), x.device_name());
            return Err(Error::Device(what));
        }
    })
}
