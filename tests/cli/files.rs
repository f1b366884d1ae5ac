//! Which files are read and replaced: inputs are kept, and nothing waits for a pipe or reads a device.

use crate::harness::Folder;
use linops::io::{Array, Output, write_cfl};
use ndarray::{Array1, Array2, Axis};

/// A Cartesian scan, also as BART's pair, a radial one, and a linop file with arrays.
fn folder() -> Folder {
    let folder = Folder::new();
    let scan = folder.scan();
    let pair = Output::create(folder.path("k.cfl"), &["cfl"], false).unwrap();
    write_cfl(pair, &Array::C32(scan.kspace.insert_axis(Axis(1)).into_dyn())).unwrap();
    folder.real("traj.npy", &Array2::<f32>::zeros((6, 2)));
    folder.real("dcf.npy", &Array1::<f32>::ones(6));
    folder.complex("samples.npy", &Array2::ones((2, 6)));
    folder.real("weight.npy", &Array1::<f32>::ones(6));
    folder.real("locs.npy", &Array2::<f32>::ones((6, 1)));
    folder.real("x.npy", &Array1::<f32>::ones(6));
    folder.text(
        "a.json",
        r#"{ "op": "chain", "linops": [
             { "op": "diagonal", "weight": "weight.npy", "dims": "N" },
             { "op": "interpolate", "in": "N=6", "locs": "locs.npy", "axes": ["N"], "out": "P" } ] }"#,
    );
    folder
}

#[test]
fn no_input_is_replaced() {
    let folder = folder();
    for args in [
        "recon kspace.npy -o kspace.npy",
        "recon kspace.npy -o ./kspace.npy",
        "recon kspace.npy --maps maps.npy -o maps.npy",
        "recon kspace.npy --mask mask.npy -o mask.npy",
        "recon k.cfl -o k.cfl",
        "recon k.hdr -o k.cfl",
        "recon k -o k.hdr",
        "recon samples.npy --traj traj.npy -o traj.npy",
        "recon samples.npy --traj traj.npy --dcf dcf.npy -o dcf.npy",
        "apply a.json --input x.npy -o x.npy",
        "apply a.json --input x.npy -o weight.npy",
        "apply a.json --input x.npy -o locs.npy",
    ] {
        folder.refused(&format!("{args} --force --device host"), "is an input as well");
    }
    // One that is not, is.
    folder.text("old.npy", "old");
    folder.good("recon kspace.npy --maps maps.npy -o old.npy --force --device host");
    assert_eq!(folder.read("old.npy").shape(), [48, 40]);
}

#[test]
#[cfg(unix)]
fn no_input_is_replaced_through_a_link() {
    let folder = folder();
    std::os::unix::fs::symlink("kspace.npy", folder.path("soft.npy")).unwrap();
    std::os::unix::fs::symlink("a.json", folder.path("json.npy")).unwrap();
    std::fs::hard_link(folder.path("maps.npy"), folder.path("hard.npy")).unwrap();
    for args in [
        "recon kspace.npy -o soft.npy",
        "recon soft.npy -o kspace.npy",
        "recon kspace.npy --maps hard.npy -o maps.npy",
        "apply a.json --input x.npy -o json.npy",
    ] {
        folder.refused(&format!("{args} --force --device host"), "is an input as well");
    }
}

#[test]
#[cfg(unix)]
fn pipes_and_devices_are_no_files() {
    let folder = folder();
    for name in ["pipe.npy", "pipe.json", "pipe.h5", "pipe.hdr"] {
        assert!(std::process::Command::new("mkfifo").arg(folder.path(name)).status().unwrap().success());
    }
    for name in ["zero.npy", "zero.json", "zero.h5", "zero.hdr"] {
        std::os::unix::fs::symlink("/dev/zero", folder.path(name)).unwrap();
    }
    for kind in ["pipe", "zero"] {
        for args in [
            format!("recon {kind}.npy -o y.npy"),
            format!("recon {kind}.h5 -o y.npy"),
            format!("recon {kind} -o y.npy"),
            format!("recon kspace.npy --maps {kind}.npy -o y.npy"),
            format!("recon kspace.npy -o {kind}.npy --force"),
            format!("apply {kind}.json --input x.npy -o y.npy"),
            format!("apply a.json --input {kind}.npy -o y.npy"),
            format!("check {kind}.json"),
        ] {
            folder.refused(&format!("{args} --device host"), "is a pipe or a device");
        }
    }
}

#[test]
#[cfg(unix)]
fn a_replaced_file_keeps_its_mode() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = folder();
    folder.text("y.npy", "old");
    std::fs::set_permissions(folder.path("y.npy"), std::fs::Permissions::from_mode(0o600)).unwrap();
    folder.good("recon kspace.npy --maps maps.npy -o y.npy --force --device host");
    assert_eq!(std::fs::metadata(folder.path("y.npy")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn names_as_long_as_the_system_allows() {
    let folder = folder();
    let name = "y".repeat(251) + ".npy";
    folder.good(&format!("recon kspace.npy --maps maps.npy -o {name} --device host"));
    assert!(folder.path(&name).exists());
}

/// Too little memory is a message, wherever it ends.
#[test]
#[cfg(target_os = "linux")]
fn too_little_memory_is_an_error() {
    use linops::app::{ScanOptions, scan};
    let folder = folder();
    let options = ScanOptions::default().ny(192).nx(192).coils(8).acceleration(2);
    let large = scan(&options).unwrap();
    folder.complex("large.npy", &large.kspace);
    folder.complex("given.npy", &large.maps);
    let program = folder.command("").get_program().to_owned();
    let mut refused = 0;
    for args in ["large.npy --maps given.npy --iterations 5 -o y.npy", "kspace.npy --iterations 5 -o y.png"] {
        let limited = |megabytes: u64| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes << 10)]).arg(&program);
            command
        };
        // The program itself must fit and be loaded by the system, with room for its threads and for what is said of errors.
        let fits = |megabytes: &u64| limited(*megabytes).arg("--version").output().unwrap().status.success();
        let least = (24..).step_by(8).find(fits).unwrap() + 24;
        for megabytes in (least..least + 100).step_by(8) {
            let out = limited(megabytes)
                .arg("recon")
                .args(args.split_whitespace())
                .args(["--force", "--device", "host"])
                .current_dir(folder.path("."))
                .output()
                .unwrap();
            let message = String::from_utf8_lossy(&out.stderr).into_owned();
            match out.status.code() {
                Some(0) => {}
                Some(1) => assert!(message.starts_with("linops: ") && message.lines().count() == 1, "{message}"),
                code => panic!("{megabytes} MB: {code:?} {message}"),
            }
            refused += usize::from(!out.status.success());
        }
    }
    assert!(refused > 1, "all of them were enough");
}

#[test]
fn absurd_numbers_of_threads_are_errors() {
    let folder = folder();
    for threads in ["4294967296", "20000", "99999999999999999999999999"] {
        let mut command = folder.command("recon kspace.npy -o y.npy --device host");
        let out = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{message}");
        assert!(message.contains("RAYON_NUM_THREADS is") && message.contains("from 1 to"), "{message}");
    }
}
