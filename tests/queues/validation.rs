//! Khronos' validation layer has nothing to say about several lanes, and would be heard if it had.
//!
//! The layer writes to standard output in a format of its own, so tests of this file run others of this binary with the layer
//! on and read what it wrote.

use std::process::Command;

/// Runs tests of this binary with the layer on; what was printed, and whether they passed.
fn run(mode: &str, filters: &[&str]) -> (String, bool) {
    let exe = std::env::current_exe().unwrap();
    let out = Command::new(exe)
        .args(filters)
        .args(["--nocapture", "--test-threads=1"])
        .env("LINOPS_VALIDATION", mode)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(!text.contains("running 0 tests"), "{text}");
    (text.into_owned(), out.status.success())
}

fn complaints(text: &str) -> Vec<&str> {
    let of_layer = |l: &&str| {
        let l = l.to_lowercase();
        l.contains("vuid") || l.contains("validation error") || l.contains("validation warning")
    };
    text.lines().filter(of_layer).collect()
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
#[cfg_attr(no_validation_layer, ignore = "the Vulkan validation layer is not installed (vulkan-validationlayers)")]
fn the_layer_finds_nothing() {
    let filters = ["drops::", "memory::", "failures::", "threads_share_buffers", "gpu::"];
    let (text, passed) = run("on", &filters);
    assert!(passed, "{text}");
    assert_eq!(complaints(&text), [""; 0]);
}

/// The control: with one bad call in it, the same run is not clean.
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
#[cfg_attr(no_validation_layer, ignore = "the Vulkan validation layer is not installed (vulkan-validationlayers)")]
fn the_layer_is_on_and_heard() {
    let (text, _) = run("bad", &["drops::clones"]);
    let found = complaints(&text);
    assert!(found.iter().any(|l| l.contains("VUID-VkBufferCreateInfo-size-00912")), "{text}");
}
