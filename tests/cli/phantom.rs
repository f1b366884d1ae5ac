//! `phantom`: simulated scans as files, which give the same picture in all formats.

use crate::harness::{Folder, distance};
use linops::io::read_cfl;
use ndarray::s;

#[test]
fn a_slice_is_the_same_in_all_formats() {
    let folder = Folder::new();
    let options = "--matrix 48x40 --coils 4 --acceleration 2 --noise 0.001 --seed 7";
    for suffix in ["npy", "cfl", "h5"] {
        let facts = folder.json(&format!("phantom -o k.{suffix} {options}"));
        assert_eq!((facts["kspace"][1].as_u64(), &facts["sampled"]), (Some(48), &"36 of 48 lines".into()), "{facts}");
        folder.good(&format!("recon k.{suffix} -o {suffix}.npy --device host"));
    }
    assert_eq!(&read_cfl(folder.path("k")).unwrap().dims[..5], &[40, 48, 1, 4, 1]);
    for other in ["cfl", "h5"] {
        let apart = distance(&folder.read(&format!("{other}.npy")), &folder.read("npy.npy"));
        assert!(apart < 1e-5, "{other}: {apart}");
    }
    // By what it was made of, it is the reference.
    folder.good(&format!("phantom -o again.npy {options} --maps m.npy --mask mask.npy --reference r.npy"));
    assert_eq!(folder.read("again.npy"), folder.read("k.npy"));
    folder.good("recon k.npy --maps m.npy --mask mask.npy --lambda 1e-4 -o x.npy --device host");
    let error = distance(&folder.read("x.npy"), &folder.read("r.npy"));
    assert!(error < 0.12, "{error}");
    folder.good(&format!("phantom -o b.cfl {options} --maps bm.cfl --mask bmask.cfl --reference r.png"));
    folder.good("recon b.cfl --maps bm.cfl --mask bmask.cfl --lambda 1e-4 -o y.npy --device host");
    assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-5);
    // Another seed, other noise.
    folder.good("phantom -o other.npy --matrix 48x40 --coils 4 --acceleration 2 --noise 0.001 --seed 8");
    assert!(folder.read("other.npy") != folder.read("k.npy"));
}

/// A sinogram and a picture are what `ct` and `deconv` read, and come back as what they were made of.
#[test]
fn sinograms_and_pictures_come_back() {
    let folder = Folder::new();
    folder.good("phantom --ct 90 --matrix 96 --noise 0.001 -o s.npy --angles a.npy --reference r.npy");
    let facts = folder.json("ct s.npy --angles a.npy --reg tv -o x.npy --device host");
    assert_eq!(facts["center"], 47.5, "{facts}");
    let off = distance(&folder.read("x.npy"), &folder.read("r.npy"));
    // With the axis half a pixel off it is 0.5.
    assert!(off < 0.2, "{off}");
    folder.good("phantom --deconv --matrix 96x80 -o p.npy --psf h.npy --reference c.npy");
    let before = distance(&folder.read("p.npy"), &folder.read("c.npy"));
    folder.json("deconv p.npy --psf h.npy -o d.npy --device host");
    let after = distance(&folder.read("d.npy"), &folder.read("c.npy"));
    assert!(folder.read("p.npy").shape() == [96, 80] && after < 0.9 * before, "{after} of {before}");
    folder.misused("phantom --ct 9 --matrix 30x40 -o y.npy", "is square");
    folder.misused("phantom --ct 9 -o y.h5", "written as .npy");
    folder.misused("phantom --deconv --noise 0.1 -o y.npy", "cannot be used with");
    folder.misused("phantom --angles b.npy -o y.npy", "--ct");
    folder.misused("phantom --deconv --angles b.npy -o y.npy", "--angles is of --ct");
    folder.misused("phantom --ct 9 --psf b.npy -o y.npy", "--psf is of --deconv");
    for mode in ["--deconv --matrix 1000000x1000000", "--ct 1000000000 --matrix 1000000"] {
        let out = folder.run(&format!("phantom {mode} -o y.npy"));
        assert!(out.code == 1 && out.stderr.contains("memory"), "{mode}: {} {}", out.code, out.stderr);
    }
    let out = folder.command("phantom --ct 5 --matrix 16 -o -").output().unwrap();
    assert!(out.stdout.starts_with(b"\x93NUMPY"), "{:?}", &out.stdout[..6]);
}

/// Where the centre is all there is, no line is left out, and that is said.
#[test]
fn an_acceleration_that_leaves_nothing_out_is_said() {
    let folder = Folder::new();
    let args = "phantom -o k.npy --3d --matrix 8x16x12 --coils 2 --acceleration 2 --force";
    folder.warned(args, "give fewer --centre-lines");
    folder.good(&format!("{args} --centre-lines 6"));
    folder.good("phantom -o k.npy --matrix 16 --coils 2 --acceleration 1 --force");
}

#[test]
fn spokes_are_the_same_in_all_formats() {
    let folder = Folder::new();
    let options = "--radial 24 --matrix 30 --coils 3";
    folder.good(&format!("phantom -o k.npy --traj t.npy {options} --maps m.npy"));
    folder.good(&format!("phantom -o k.cfl --traj t.cfl {options}"));
    folder.good(&format!("phantom -o k.h5 {options}"));
    assert_eq!(folder.read("k.npy").shape(), [3, 24, 60]);
    assert_eq!(&read_cfl(folder.path("k")).unwrap().dims[..4], &[1, 60, 24, 3]);
    assert_eq!(&read_cfl(folder.path("t")).unwrap().dims[..3], &[3, 60, 24]);
    for (name, traj) in [("npy", "--traj t.npy"), ("cfl", "--traj t.cfl"), ("h5", "")] {
        folder.good(&format!("recon k.{name} {traj} --maps m.npy -o {name}.npy --device host"));
    }
    for other in ["cfl", "h5"] {
        let apart = distance(&folder.read(&format!("{other}.npy")), &folder.read("npy.npy"));
        assert!(apart < 1e-5, "{other}: {apart}");
    }
}

#[test]
fn a_volume_is_the_same_in_all_formats() {
    let folder = Folder::new();
    let options = "--3d --matrix 10x20x18 --coils 3 --acceleration 2 --centre-lines 8";
    folder.good(&format!("phantom -o k.npy {options} --maps m.npy --mask mask.npy --reference r.npy"));
    folder.good(&format!("phantom -o k.cfl {options} --maps m.cfl --mask mask.cfl"));
    folder.good(&format!("phantom -o k.h5 {options}"));
    assert_eq!(
        (folder.read("k.npy").shape(), folder.read("mask.npy").shape()),
        (&[3, 10, 20, 18][..], &[10, 20, 18][..])
    );
    assert_eq!(&read_cfl(folder.path("k")).unwrap().dims[..5], &[18, 20, 10, 3, 1]);
    assert!(folder.contents()[&folder.path("k.h5")].starts_with(b"\x89HDF"));
    let rest = "--lambda 1e-3 --device host";
    folder.good(&format!("recon k.npy --maps m.npy --mask mask.npy {rest} -o x.npy"));
    folder.good(&format!("recon k.cfl --maps m.cfl --mask mask.cfl {rest} -o y.npy"));
    assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-5);
    let error = distance(&folder.read("x.npy"), &folder.read("r.npy"));
    assert!(error < 0.25, "{error}");
    // Every second partition.
    folder.good(&format!("phantom -o z.npy {options} --acceleration-z 2 --mask z_mask.npy"));
    let mask = folder.read("z_mask.npy");
    assert!(
        mask.slice(s![0, .., ..]).iter().all(|v| v.re == 0.0) && mask.slice(s![1, 0, ..]).iter().all(|v| v.re == 1.0)
    );
}

#[test]
fn what_makes_no_scan_is_refused() {
    let folder = Folder::new();
    folder.misused("phantom -o k.png", ".npy or .cfl or .hdr or .h5 or .hdf5 or .mrd");
    folder.misused("phantom -o k.npy --matrix 4x4x4", "--matrix has 3 extents, expected 2");
    folder.misused("phantom -o k.npy --traj t.npy", "--radial");
    folder.misused("phantom -o k.npy --radial 3 --3d", "cannot be used with");
    folder.misused("phantom -o k.npy --acceleration-z 2", "--3d");
    folder.misused("phantom -o k.npy --noise -1", "from 0 on");
    folder.refused("phantom -o k.npy --matrix 16 --centre-lines 17", "only 16 lines");
    folder.refused("phantom -o k.npy --matrix 16 --maps k.npy", "named for two outputs");
    folder.refused("phantom -o k.npy --matrix 16 --maps ./k.npy", "named for two outputs");
    folder.refused("phantom -o k.cfl --matrix 16 --maps k.hdr --force", "named for two outputs");
    folder.good("phantom -o k.npy --matrix 16");
    folder.refused("phantom -o k.npy --matrix 16", "--force");
}
