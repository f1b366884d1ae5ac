//! Errors of wgpu: those of a call go to the caller who made it; only the loss of a device is for good.

use crate::error::{Error, Result};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

/// Whether a device is lost, and why.
#[derive(Clone, Debug, Default)]
pub(super) struct Health(Arc<OnceLock<Error>>);

impl Health {
    /// Listens to a device of our own. A caller's device keeps its own handlers; its loss shows when it is waited for.
    pub fn listen(device: &wgpu::Device) -> Health {
        let health = Health::default();
        // What this crate does is done in error scopes. What arrives here comes from a user's own calls on the device.
        device.on_uncaptured_error(Arc::new(|e: wgpu::Error| tracing::error!("{}", from_wgpu(e))));
        let lost = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                lost.lose(message);
            }
        });
        health
    }

    /// The device is lost. The first reason stays.
    pub fn lose(&self, message: impl Into<String>) -> Error {
        self.0
            .get_or_init(|| {
                let e = Error::DeviceLost(message.into());
                tracing::error!("{e}");
                e
            })
            .clone()
    }

    /// # Errors
    /// The device is lost.
    pub fn check(&self) -> Result<()> {
        self.0.get().map_or(Ok(()), |e| Err(e.clone()))
    }
}

/// Calls wgpu and says what it reports of these calls. On a device that is lost nothing is reported.
pub(super) fn reported<T>(device: &wgpu::Device, calls: impl FnOnce() -> T) -> (T, Option<Error>) {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [Validation, OutOfMemory, Internal].map(|filter| device.push_error_scope(filter));
    let value = calls();
    // Scopes are popped in reverse.
    let errors = scopes.into_iter().rev().filter_map(|scope| told(scope.pop()));
    let error = errors.map(from_wgpu).reduce(|first, next| if is_memory(&next) { next } else { first });
    (value, error)
}

/// What a scope tells. Where wgpu is native it knows at once, and a waker would be one more allocation.
fn told(scope: impl Future<Output = Option<wgpu::Error>>) -> Option<wgpu::Error> {
    let mut scope = std::pin::pin!(scope);
    match scope.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(error) => error,
        Poll::Pending => pollster::block_on(scope),
    }
}

/// Calls wgpu.
///
/// # Errors
/// What it reports of these calls.
pub(super) fn checked<T>(device: &wgpu::Device, calls: impl FnOnce() -> T) -> Result<T> {
    match reported(device, calls) {
        (value, None) => Ok(value),
        (_, Some(e)) => Err(e),
    }
}

fn is_memory(e: &Error) -> bool {
    matches!(e, Error::OutOfMemory(_))
}

fn from_wgpu(e: wgpu::Error) -> Error {
    match e {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory("the device refused an allocation".into()),
        other => Error::Device(format!("the device reported: {other}")),
    }
}
