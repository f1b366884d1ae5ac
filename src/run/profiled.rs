//! One apply with the time of each step, and what a device can do at best.

use super::apply::host_values;
use super::compiled::Compiled;
use super::device::{Device, Kind};
use crate::error::Result;
use crate::host::{host, roof};
use crate::linop::Linop;
use crate::plan::StepTime;
use crate::tensor::Tensor;
use std::sync::atomic::AtomicBool;

/// The times of one apply's steps.
pub(crate) struct StepTimes {
    pub times: Vec<StepTime>,
    /// Whether a GPU's own clock told them.
    pub by_gpu: bool,
}

impl Linop {
    /// Applies to x, on the device that holds it, and waits; tells when each step of the plan ran.
    ///
    /// # Errors
    /// As for [`apply`](Linop::apply).
    pub(crate) fn step_times(&self, x: &Tensor) -> Result<StepTimes> {
        self.input()?.expect(x.shape()).map_err(|e| e.at(format!("{}: input", self.label())))?;
        match self.compiled(&x.device(), x.dtype())? {
            Compiled::Host(h) => {
                let x = host_values(x)?;
                let (_, times) = h.profiled(host().plans.ledger(), x.as_slice(), &AtomicBool::new(false))?;
                Ok(StepTimes { times, by_gpu: false })
            }
            #[cfg(feature = "gpu")]
            Compiled::Gpu(gpu, plan) => {
                let y = plan.output(&gpu, self.output()?.clone())?;
                let done = plan.profiled(&gpu, x, &y)?;
                Ok(StepTimes { times: done.times, by_gpu: done.by_device })
            }
        }
    }
}

impl Device {
    /// Seconds of copies of so many bytes each way, a multiple of 256, in `rounds` of each way of copying, by name.
    ///
    /// # Errors
    /// There is no memory for them, or the device fails.
    pub(crate) fn copies(&self, bytes: u64, rounds: usize) -> Result<Vec<(&'static str, Vec<f64>)>> {
        match &self.0 {
            Kind::Host => roof::copies(bytes, rounds),
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => gpu.copies(bytes, rounds),
        }
    }

    /// Real products and sums a second, in each of `rounds`.
    ///
    /// # Errors
    /// The device fails.
    pub(crate) fn multiply_adds(&self, rounds: usize) -> Result<Vec<f64>> {
        match &self.0 {
            Kind::Host => Ok(roof::multiply_adds(rounds)),
            #[cfg(feature = "gpu")]
            Kind::Gpu(gpu) => gpu.multiply_adds(rounds),
        }
    }
}
