//! Errors that wgpu reports outside of a call: kept until somebody asks.

use crate::error::{Error, Result};
use std::sync::{Arc, Mutex};

/// The first fault of a device; later calls return it.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Error>>>);

impl Faults {
    /// Listens to a device of our own. A caller's device keeps its own handlers.
    pub fn listen(device: &wgpu::Device) -> Faults {
        let faults = Faults::default();
        let f = faults.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| f.note(from_wgpu(e))));
        let f = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                f.note(Error::DeviceLost(message));
            }
        });
        faults
    }

    pub fn note(&self, e: Error) {
        tracing::error!("{e}");
        self.0.lock().unwrap_or_else(|p| p.into_inner()).get_or_insert(e);
    }

    /// The first fault, if there was one; it stays.
    pub fn check(&self) -> Result<()> {
        match &*self.0.lock().unwrap_or_else(|p| p.into_inner()) {
            None => Ok(()),
            Some(e) => Err(e.clone()),
        }
    }
}

pub(super) fn from_wgpu(e: wgpu::Error) -> Error {
    match e {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory("the device refused an allocation".into()),
        other => Error::Device(format!("the device reported: {other}")),
    }
}
