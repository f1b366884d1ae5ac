//! What a run leaves on disk for the next one.

use crate::harness::Folder;
use std::path::{Path, PathBuf};

const RUN: &str = "bench fft.json --runs 1 --device gpu";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.text("fft.json", r#"{ "op": "fft", "in": "C=2 N=12", "axes": ["N"] }"#);
    folder
}

/// Runs with a cache folder, and expects success with nothing on stderr.
fn run(folder: &Folder, args: &str, cache: &Path) {
    let out = folder.command(args).env("LINOPS_CACHE_DIR", cache).output().unwrap();
    assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""), "linops {args}");
}

/// Those of compiled kernels.
fn files(cache: &Path) -> Vec<PathBuf> {
    files_of(cache, "pipelines-")
}

fn files_of(cache: &Path, kind: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(cache).map_or(Vec::new(), |all| all.map(|e| e.unwrap().path()).collect());
    all.into_iter().filter(|p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(kind)).collect()
}

/// Whether the driver of the adapter that is used has a cache to keep.
fn has_cache() -> bool {
    linops::gpu::adapters()[0].features.iter().any(|f| f == "pipeline cache")
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_run_leaves_a_file_and_the_next_one_takes_it() {
    let folder = folder();
    let cache = folder.path("cache");
    run(&folder, RUN, &cache);
    assert_eq!(files(&cache).len(), usize::from(has_cache()), "{:?}", files(&cache));
    run(&folder, RUN, &cache);
    assert_eq!(files(&cache).len(), usize::from(has_cache()), "{:?}", files(&cache));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_file_that_is_none_is_harmless_and_replaced() {
    let folder = folder();
    let cache = folder.path("cache");
    run(&folder, RUN, &cache);
    let [file] = &files(&cache)[..] else {
        assert!(!has_cache());
        return;
    };
    let good = std::fs::read(file).unwrap();
    for broken in [&b""[..], b"nothing of the kind", &good[..good.len() / 2], &[&good[..], &[0; 100]].concat()] {
        std::fs::write(file, broken).unwrap();
        run(&folder, RUN, &cache);
        let now = std::fs::read(file).unwrap();
        assert!(now != broken && now.starts_with(&good[..good.len().min(8)]), "{} bytes stayed", broken.len());
    }
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_folder_that_cannot_be_made_is_harmless() {
    let folder = folder();
    run(&folder, RUN, &folder.path("fft.json").join("below"));
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn without_a_cache_there_is_no_file() {
    let folder = folder();
    let cache = folder.path("cache");
    run(&folder, &format!("{RUN} --no-cache"), &cache);
    assert!(!cache.exists());
}

/// Several runs at once leave one file that is whole: the next run keeps it as it is, or replaces it by another whole one.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn runs_at_once_leave_one_whole_file() {
    let folder = folder();
    let cache = folder.path("cache");
    let mut all: Vec<_> = (0..3)
        .map(|_| {
            folder.command(RUN).env("LINOPS_CACHE_DIR", &cache).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    assert!(all.iter_mut().all(|c| c.wait().unwrap().success()));
    assert_eq!(files(&cache).len(), usize::from(has_cache()), "{:?}", files(&cache));
    run(&folder, RUN, &cache);
}

/// A driver that has passed its self-test is not tested again, unless it failed or nothing is kept.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_driver_is_tested_once() {
    let folder = folder();
    let cache = folder.path("cache");
    let run = |cache: &Path| {
        let begin = std::time::Instant::now();
        run(&folder, RUN, cache);
        begin.elapsed()
    };
    let first = run(&cache);
    let [file] = &files_of(&cache, "tested-")[..] else { panic!("{:?}", files_of(&cache, "tested-")) };
    let written = || std::fs::metadata(file).unwrap().modified().unwrap();
    let (then, again) = (written(), run(&cache));
    assert_eq!(written(), then);
    // On a software adapter that is most of the time.
    println!("{first:?}, then {again:?}");
    std::fs::write(file, b"nothing of the kind").unwrap();
    run(&cache);
    assert!(written() > then && std::fs::metadata(file).unwrap().len() > 60);
}
