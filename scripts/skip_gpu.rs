//! Build script: makes `LINOPS_SKIP_GPU=1` known to the tests at compile time, so that tests on a GPU are reported as ignored
//! rather than passed.

fn main() {
    println!("cargo::rerun-if-env-changed=LINOPS_SKIP_GPU");
    println!("cargo::rustc-check-cfg=cfg(skip_gpu)");
    if std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        println!("cargo::rustc-cfg=skip_gpu");
    }
}
