//! `linops tune`.

use crate::harness::Folder;

#[test]
fn the_host_has_nothing_to_tune() {
    Folder::new().refused("tune --device host", "choose a GPU");
}

/// Software adapters have kernels without tiles: there is nothing to choose, and that is said.
#[cfg(feature = "gpu")]
#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn a_device_without_choices_says_so() {
    let adapter = &linops::gpu::adapters()[0];
    if !adapter.software {
        return;
    }
    let folder = Folder::new();
    let run = |args: &str| {
        let out = folder.command(args).env("LINOPS_CACHE_DIR", folder.path("cache")).output().unwrap();
        assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""), "{args}");
        String::from_utf8(out.stdout).unwrap()
    };
    let told = run("tune --device gpu --rounds 1 --elements 64");
    assert!(told.contains("no choices that could be tuned"), "{told}");
    assert!(run("tune --device gpu --reset").contains("nothing was measured"));
    folder.refused("tune --device gpu --no-cache", "LINOPS_CACHE_DIR");
}

#[test]
fn options_that_do_not_go_together() {
    let folder = Folder::new();
    folder.misused("tune --reset --rounds 3", "--reset");
    folder.misused("tune --rounds 0", "from 1 on");
    folder.misused("tune --elements many", "from 1 on");
}
