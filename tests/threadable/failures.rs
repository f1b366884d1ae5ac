//! A sub-linop that fails or panics: one error that names it, and everything goes on afterwards.

use crate::common::data::complex;
use crate::common::devices;
use crate::sets::{SHAPE, alike};
use linops::linop::{self, Operator};
use linops::program::{Builder, ValueId};
use linops::{Error, Linop, Result, Threadable, ThreadedApply};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

#[derive(Debug)]
struct Broken {
    panics: bool,
}

impl Operator for Broken {
    fn op(&self) -> &'static str {
        "broken"
    }

    fn forward(&self, _: &mut Builder, _: ValueId) -> Result<ValueId> {
        match self.panics {
            true => panic!("out of luck"),
            false => Err(Error::Value("no luck".into())),
        }
    }
}

fn broken(panics: bool) -> Linop {
    let shape: linops::Shape = SHAPE.parse().unwrap();
    Linop::new(shape.clone(), shape, Arc::new(Broken { panics })).named("the bad one")
}

#[test]
fn one_error_names_the_sub_linop_and_the_device_goes_on() {
    for panics in [false, true] {
        let mut linops = alike(6);
        linops[3] = broken(panics);
        let sound = linop::add(alike(6)).unwrap();
        for device in devices() {
            let x = complex(SHAPE, 1).to(&device).unwrap();
            let inner = linop::add(linops.clone()).unwrap();
            let outer = linop::add(vec![sound.clone(), inner.clone()]).unwrap();
            let all = [
                (inner.clone(), vec!["linops[3]", "the bad one"]),
                (inner.h(), vec!["linops[3]", "the bad one"]),
                (inner.n(), vec!["linops[3]", "the bad one"]),
                (outer, vec!["linops[1]", "linops[3]", "the bad one"]),
            ];
            for (a, names) in all {
                let e = a.apply(&x).unwrap_err();
                let text = e.to_string();
                assert!(names.iter().all(|n| text.contains(n)), "{text}");
                let want = if panics { "out of luck" } else { "no luck" };
                assert!(text.contains(want), "{text}");
            }
            let threads = linop::Threads::new(&linops);
            for e in [threads.threaded_apply(&x).unwrap_err(), threads.threaded_apply_sum_reduce(&x).unwrap_err()] {
                assert!(e.to_string().contains("linops[3] (the bad one)"), "{e}");
            }
            assert!(sound.apply(&x).is_ok());
            device.wait().unwrap();
        }
    }
}

#[test]
fn counts_that_differ_are_both_named() {
    let threads = linop::Threads::new(&alike(3));
    let x = complex(SHAPE, 1);
    for count in [0, 2, 4] {
        let xs = vec![x.clone(); count];
        for e in [threads.threaded_apply(&xs).unwrap_err(), threads.threaded_apply_sum_reduce(&xs).unwrap_err()] {
            let text = e.to_string();
            assert!(text.contains(&format!("{count} inputs")) && text.contains("3 sub-linops"), "{text}");
        }
    }
    let none = linop::Threads::default();
    assert_eq!(none.num_workers(), 0);
    assert!(none.threaded_apply(&x).unwrap_err().to_string().contains("no sub-linops"));
    assert!(none.threaded_apply_sum_reduce(&x).unwrap_err().to_string().contains("no sub-linops"));
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let threads = linop::Threads::new(&alike(3));
    let (good, bad) = (complex(SHAPE, 1), complex("Y=3 X=10", 1));
    let xs = vec![good.clone(), bad.clone(), good];
    for e in [threads.threaded_apply(&xs).unwrap_err(), threads.threaded_apply_sum_reduce(&xs).unwrap_err()] {
        let text = e.to_string();
        assert!(text.contains("linops[1] (coil 1)") && text.contains("Y=3") && text.contains("12"), "{text}");
    }
}

#[test]
fn what_is_dropped_or_cancelled_in_flight_leaves_nothing_behind() {
    let a = linop::add(alike(32)).unwrap().n();
    for device in devices() {
        let x = complex(SHAPE, 1).to(&device).unwrap();
        let want = a.apply(&x).unwrap().to(&linops::Device::host()).unwrap().to_array().unwrap();
        for _ in 0..20 {
            drop(a.apply(&x).unwrap());
            let mut future = Box::pin(a.apply_async(&x));
            let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(future);
        }
        device.wait().unwrap();
        let again = a.apply(&x).unwrap().to(&linops::Device::host()).unwrap().to_array().unwrap();
        assert_eq!(want, again);
    }
}

#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_failure_leaks_nothing() {
    let options = linops::gpu::GpuOptions::default();
    let Some(device) = crate::common::gpu_with(options) else { return };
    let x = complex(SHAPE, 1).to(&device).unwrap();
    let sound = linop::add(alike(6)).unwrap();
    drop(sound.apply(&x).unwrap());
    let held = device.as_gpu().unwrap().memory();
    for panics in [false, true] {
        let mut linops = alike(6);
        linops[3] = broken(panics);
        for _ in 0..10 {
            let threads = linop::Threads::new(&linops);
            assert!(linop::add(linops.clone()).unwrap().apply(&x).is_err());
            assert!(threads.threaded_apply_sum_reduce(&x).is_err());
        }
        drop(sound.apply(&x).unwrap());
        let now = device.as_gpu().unwrap().memory();
        assert_eq!((now.in_use, now.peak, now.idle), (held.in_use, held.peak, held.idle));
    }
}
