//! Memory of large results on the host that are gone, which serves the next ones.

mod common;

use allocation_counter::measure;
use common::data::complex;
use linops::{Device, Tensor};
use num_complex::Complex32;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is kept, and how much may be, is of the whole process: the tests of this file take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A large result is made in the memory of the one before.
#[test]
fn large_results_on_the_host_take_no_new_memory() {
    let _turn = turn();
    let a = linops::linop::scalar("N=600000", -1.0).unwrap();
    let x = complex("N=600000", 1);
    for _ in 0..3 {
        a.apply(&x).unwrap();
    }
    let taken = || measure(|| drop(a.apply(&x).unwrap())).bytes_total;
    let most = (0..20).map(|_| taken()).max().unwrap();
    assert!(most < 100_000, "{most} bytes");
    // Two at once need two, and what nobody asks for goes in the end.
    let two = || drop([a.apply(&x).unwrap(), a.apply(&x).unwrap()]);
    two();
    assert!(measure(two).bytes_total < 200_000);
    let host = Device::host();
    let kept = host.cached_bytes();
    for _ in 0..200 {
        a.apply(&x).unwrap();
    }
    assert!(host.cached_bytes() <= kept - 4_800_000);
    // What a user brings goes when it is dropped.
    host.clear_cache();
    assert_eq!(host.cached_bytes(), 0);
    for _ in 0..3 {
        drop(Tensor::from_vec("N=600000", vec![Complex32::default(); 600_000]).unwrap());
    }
    assert_eq!(host.cached_bytes(), 0);
    // Nothing is kept beyond the budget; what is too large for it leaves the rest alone.
    let small = linops::linop::scalar("N=200000", -1.0).unwrap();
    let small_x = complex("N=200000", 1);
    host.set_cache_budget(4 << 20);
    small.apply(&small_x).unwrap();
    let kept = host.cached_bytes();
    assert!((1_600_000..4 << 20).contains(&kept), "{kept}");
    a.apply(&x).unwrap();
    assert!((1_600_000..4 << 20).contains(&host.cached_bytes()), "{}", host.cached_bytes());
    host.set_cache_budget(1 << 30);
    host.clear_cache();
}

/// Memory that was used before holds what was there: nothing of it is in a result.
#[test]
fn results_hold_nothing_of_what_was_there() {
    let _turn = turn();
    use linops::linop::{self, Align, FftOptions};
    let n = 1 << 18;
    let long = format!("N={n}");
    let x = complex(&*long, 1);
    let all = [
        linop::zero(&*long, &*long).unwrap(),
        linop::pad("N=200000", &*long, Align::Center).unwrap().keep(),
        linop::sampling(&*long, &common::data::mask(&long, 0.3, 1), "S").unwrap().h(),
        linop::fft(&*long, "N", FftOptions::default()).unwrap().keep(),
        linop::roll(&*long, &[("N", 5)]).unwrap(),
    ];
    for a in all {
        let x = match a.input().unwrap().len() {
            count if count == n => x.clone(),
            count => complex(format!("{}={count}", a.input().unwrap().dims()[0]), 1),
        };
        let want = a.apply(&x).unwrap();
        // As large as the result, and gone before it is made.
        let bad = Tensor::from_vec(&*long, vec![Complex32::new(f32::NAN, f32::NAN); n]).unwrap();
        let poison = || drop(linop::scalar(&*long, -1.0).unwrap().apply(&bad).unwrap());
        for _ in 0..3 {
            poison();
            let y = a.apply(&x).unwrap();
            assert_eq!(y.to_vec().unwrap(), want.to_vec().unwrap(), "{a}");
        }
    }
}
