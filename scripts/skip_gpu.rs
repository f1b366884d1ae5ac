//! Build script: makes known to the tests at compile time what they cannot run on, so that they are reported as ignored rather
//! than passed: `LINOPS_SKIP_GPU=1`, and a missing Vulkan validation layer.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LINOPS_SKIP_GPU");
    println!("cargo::rustc-check-cfg=cfg(skip_gpu)");
    if std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        println!("cargo::rustc-cfg=skip_gpu");
    }
    println!("cargo::rerun-if-env-changed=VK_LAYER_PATH");
    println!("cargo::rustc-check-cfg=cfg(no_validation_layer)");
    if !validation_layer() {
        println!("cargo::rustc-cfg=no_validation_layer");
    }
}

/// Where the Vulkan loader looks for layers.
fn validation_layer() -> bool {
    let named = std::env::var("VK_LAYER_PATH").unwrap_or_default();
    let usual = ["/usr/share", "/usr/local/share", "/etc"].map(|d| format!("{d}/vulkan/explicit_layer.d"));
    let folders = named.split(':').filter(|f| !f.is_empty()).map(String::from).chain(usual).map(PathBuf::from);
    let mut found = false;
    for folder in folders.filter(|f| f.is_dir()) {
        println!("cargo::rerun-if-changed={}", folder.display());
        found |= folder.join("VkLayer_khronos_validation.json").exists();
    }
    found
}
