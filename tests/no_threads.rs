//! Where no thread can be started. The tests of this file run themselves again, since the limit is a process'.

use linops::{DType, Device, Error, Result, Tensor, linop};
use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::task::{Context, Poll, Waker};

/// What a future gives that is ready without anybody who wakes.
fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits for a thread that is not there"),
    }
}

#[test]
fn what_waits_on_a_thread_is_an_error() {
    if std::env::var_os("RUST_MIN_STACK").is_none() {
        let test = ["--exact", "what_waits_on_a_thread_is_an_error", "--test-threads=1", "--nocapture"];
        // Stacks that cannot be had: the first one is the test's own thread, which is the main one here.
        let mut again = Command::new(std::env::current_exe().unwrap());
        let out = again.args(test).env("RUST_MIN_STACK", (1u64 << 60).to_string()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(String::from_utf8_lossy(&out.stdout).contains("1 passed"));
        return;
    }
    let x = Tensor::zeros("N=4", DType::Complex32).unwrap();
    let flip = linop::flip("N=4", "N").unwrap();
    let errors = [
        at_once(flip.apply_async(&x)).err(),
        at_once(x.to_async(&Device::host())).err(),
        at_once(Device::host().wait_async()).err(),
    ];
    assert!(errors.iter().all(|e| matches!(e, Some(Error::OutOfMemory(_)))), "{errors:?}");
}
