//! Waiting without blocking the caller: the blocking wait, on a thread of its own, as a future.

use super::device::Device;
use crate::error::{Error, Result, caught};
use crate::linop::Linop;
use crate::tensor::Tensor;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

impl Linop {
    /// [`apply`](Linop::apply) for async callers, on a thread of its own; works under any executor. Dropping the future
    /// cancels: on the host no kernel is begun any more, and what had begun ends by itself. On a GPU what is submitted runs
    /// to its end, and nobody waits for it.
    pub fn apply_async(&self, x: &Tensor) -> impl Future<Output = Result<Tensor>> + Send + use<> {
        let (linop, x) = (self.clone(), x.clone());
        on_thread(move |stop| Ok(linop.run(&x, stop, None)?.0))
    }
}

impl Tensor {
    /// [`to`](Tensor::to) for async callers; works under any executor.
    pub fn to_async(&self, device: &Device) -> impl Future<Output = Result<Tensor>> + Send + use<> {
        let (tensor, device) = (self.clone(), device.clone());
        on_thread(move |_| tensor.to(&device))
    }
}

impl Device {
    /// [`wait`](Device::wait) for async callers; works under any executor.
    pub fn wait_async(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        let device = self.clone();
        on_thread(move |_| device.wait())
    }
}

struct State<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

struct Shared<T>(Mutex<State<T>>);

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn complete(&self, result: T) {
        let mut state = self.state();
        state.result = Some(result);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

struct OnThread<T> {
    state: Arc<Shared<Result<T>>>,
    /// Set when nobody waits any more.
    stop: Arc<AtomicBool>,
}

fn on_thread<T: Send + 'static>(f: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static) -> OnThread<T> {
    let state = Arc::new(Shared(Mutex::new(State { result: None, waker: None })));
    let stop = Arc::new(AtomicBool::new(false));
    let (shared, stopped) = (state.clone(), stop.clone());
    let work = move || shared.complete(caught(|| f(&stopped)));
    if let Err(e) = std::thread::Builder::new().name("linops wait".into()).spawn(work) {
        state.complete(Err(Error::OutOfMemory(format!("no thread could be started to wait on: {e}"))));
    }
    OnThread { state, stop }
}

impl<T> Drop for OnThread<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl<T> Future for OnThread<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut s = self.state.state();
        match s.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                s.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::task::Wake;

    struct Signal(mpsc::Sender<()>);

    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_future_wakes_its_caller_once_it_is_ready() {
        let (go, gate) = mpsc::channel();
        let (woken, wakes) = mpsc::channel();
        let waker = Arc::new(Signal(woken)).into();
        let mut cx = Context::from_waker(&waker);
        let mut future = Box::pin(on_thread(move |_| Ok(gate.recv().map_or(0, |()| 7))));
        assert!(future.as_mut().poll(&mut cx).is_pending());
        go.send(()).unwrap();
        wakes.recv().unwrap();
        assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(7))));
    }

    #[test]
    fn linops_tensors_and_devices_cross_threads() {
        fn check<T: Send + Sync>() {}
        check::<crate::Linop>();
        check::<Tensor>();
        check::<Device>();
    }
}
