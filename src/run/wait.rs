//! Waiting without blocking the caller: the blocking wait, on a thread of its own, as a future.

use super::device::Device;
use crate::error::Result;
use crate::tensor::Tensor;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

impl Tensor {
    /// [`to`](Tensor::to) for async callers; works under any executor.
    pub fn to_async(&self, device: &Device) -> impl Future<Output = Result<Tensor>> + Send + use<> {
        let (tensor, device) = (self.clone(), device.clone());
        on_thread(move || tensor.to(&device))
    }
}

impl Device {
    /// [`wait`](Device::wait) for async callers; works under any executor.
    pub fn wait_async(&self) -> impl Future<Output = Result<()>> + Send + use<> {
        let device = self.clone();
        on_thread(move || device.wait())
    }
}

struct State<T> {
    result: Option<T>,
    waker: Option<Waker>,
}

struct OnThread<T>(Arc<Mutex<State<T>>>);

fn on_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> OnThread<T> {
    let state = Arc::new(Mutex::new(State { result: None, waker: None }));
    let shared = state.clone();
    std::thread::spawn(move || {
        let result = f();
        let mut s = shared.lock().unwrap_or_else(|e| e.into_inner());
        s.result = Some(result);
        if let Some(waker) = s.waker.take() {
            waker.wake();
        }
    });
    OnThread(state)
}

impl<T> Future for OnThread<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut s = self.0.lock().unwrap_or_else(|e| e.into_inner());
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
        let mut future = Box::pin(on_thread(move || gate.recv().map(|()| 7)));
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
