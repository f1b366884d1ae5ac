//! `recon --reg`.

use crate::harness::{Folder, distance};

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn recon_minimises_what_it_says() {
    let folder = Folder::new();
    folder.scan();
    let run = |args: &str, out: &str| {
        folder.json(&format!("recon kspace.npy --maps maps.npy --mask mask.npy -o {out} --force {args}"))
    };
    for reg in ["tv:0.005", "l1-wavelet:0.005", "tgv:0.005", "tv"] {
        let host = run(&format!("--reg {reg} --device host"), "h.npy");
        let gpu = run(&format!("--reg {reg} --device gpu"), "g.npy");
        assert_eq!((host["stop"].as_str(), gpu["stop"].as_str()), (Some("converged"), Some("converged")), "{host}");
        let [h, g] = [&host, &gpu].map(|r| r["objective"].as_f64().unwrap());
        assert!((h / g - 1.0).abs() < 2e-4, "{reg}: {h} {g}");
        let [x, y] = ["h.npy", "g.npy"].map(|name| folder.read(name));
        assert!(distance(&y, &x) < 1e-2, "{reg}: {}", distance(&y, &x));
    }
    let two =
        run("--reg tv:0.002 --reg l1-wavelet:0.002 --reg l2:0.01 --wavelet haar --levels 2 --device host", "t.npy");
    assert_eq!(two["regularisers"].as_array().unwrap().len(), 3);
    let spun = run("--reg l1-wavelet:0.002 --cycle-spin 4 --device host", "s.npy");
    assert_eq!(spun["solver"], "admm");
}

#[test]
fn recon_starts_where_it_is_told() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy --mask mask.npy --device host --reg tv:0.005";
    let cold = folder.json(&format!("{args} -o x.npy --tol 1e-5"));
    let warm = folder.json(&format!("{args} -o y.npy --init x.npy"));
    let first = warm["history"][0][1].as_f64().unwrap();
    assert!((first / cold["objective"].as_f64().unwrap() - 1.0).abs() < 1e-2, "{first}");
    folder.refused(&format!("{args} -o z.npy --init kspace.npy"), "number of axes");
    folder.refused(&format!("{args} -o z.npy --init mask2.npy"), "mask2.npy");
}

#[test]
fn wrong_regularisers_are_refused() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy -o x.npy --device host";
    for (more, says) in [
        ("--reg tw", "no regulariser"),
        ("--reg tv:-1", "from 0 on"),
        ("--reg tv:0.1 --solver newton", "no solver"),
        ("--wavelet db4", "--reg"),
        ("--reg tv --init", "value"),
        ("--reg l1-wavelet --wavelet db99", "db99"),
    ] {
        folder.misused(&format!("{args} {more}"), says);
    }
    for (more, says) in [
        ("--reg llr", "series"),
        ("--reg tv --solver fista", "use admm or pdhg"),
        ("--reg l1-wavelet --wavelet bior4.4", "not orthogonal"),
    ] {
        folder.refused(&format!("{args} {more}"), says);
    }
}
