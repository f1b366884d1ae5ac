//! A linop that is first applied by several threads at once, each within a pool whose other threads may take up the same.

use linops::ThreadedApply;
use linops::linop::{NufftOptions, Threads, nufft};
use linops::{DType, Tensor};
use ndarray::ArrayD;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn what_is_made_when_it_is_first_applied_may_be_asked_for_meanwhile() {
    let points = if std::env::var("LINOPS_FULL").is_ok_and(|v| v == "1") { 3_000_000 } else { 600_000 };
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        for round in 0..3u64 {
            let locs = ArrayD::from_shape_fn(vec![points, 2], |i| {
                let k = (i[0] as u64 * 2 + i[1] as u64 + round).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                k as f64 / (1 << 24) as f64 * 127.0 - 63.5
            });
            let f = nufft("Y=128 X=128", &locs, "Y X", NufftOptions::default(), "K").unwrap();
            let x = Tensor::zeros("Y=128 X=128", DType::Complex32).unwrap();
            std::thread::scope(|s| {
                for k in 0..4u64 {
                    let (f, x, pool) = (f.clone(), x.clone(), &pool);
                    s.spawn(move || {
                        std::thread::sleep(Duration::from_millis(30 * k));
                        let both = Threads::new(&[f.clone(), 2.0f32 * f]);
                        pool.install(|| both.threaded_apply(&x).unwrap());
                    });
                }
            });
        }
        done.send(()).unwrap();
    });
    assert!(finished.recv_timeout(Duration::from_secs(240)).is_ok(), "the applies wait for each other");
}
