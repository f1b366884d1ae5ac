//! Files in and out of every verb: archives, the standard input and output, volumes; and numbers near the ends of 32-bit floats.

use crate::harness::{Folder, distance};
use linops::io::{Array, read_npy};
use linops::num_complex::Complex32;
use ndarray::{Array2, ArrayD, IxDyn};
use std::io::Write;
use std::process::Stdio;

const HOST: &str = "--device host";

/// Arrays of a folder as an `.npz` archive.
fn archive(folder: &Folder, name: &str, arrays: &[&str]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(folder.path(name)).unwrap());
    for array in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(format!("{array}.npy"), options).unwrap();
        zip.write_all(&std::fs::read(folder.path(&format!("{array}.npy"))).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

/// Runs with a file on the standard input; exit code, standard output and error.
fn piped(folder: &Folder, args: &str, input: &str) -> (i32, Vec<u8>, String) {
    let mut command = folder.command(args);
    command.stdin(Stdio::from(std::fs::File::open(folder.path(input)).unwrap()));
    let out = command.output().unwrap();
    (out.status.code().unwrap_or(-1), out.stdout, String::from_utf8(out.stderr).unwrap())
}

#[test]
fn archives_are_read_by_every_verb() {
    let folder = Folder::new();
    folder.scan();
    archive(&folder, "all.npz", &["kspace", "maps", "mask"]);
    archive(&folder, "k.npz", &["kspace"]);
    folder.good(&format!("recon kspace.npy --maps maps.npy --mask mask.npy --iterations 4 -o x.npy {HOST}"));
    let args = "recon all.npz:kspace --maps all.npz:maps --mask all.npz:mask --iterations 4 -o z.npy";
    folder.good(&format!("{args} {HOST}"));
    assert_eq!(folder.read("x.npy"), folder.read("z.npy"));
    folder.good(&format!("recon k.npz --maps all.npz:maps --iterations 4 -o w.npy {HOST}"));
    // The one that fits is taken, and said.
    let args = "recon all.npz --maps all.npz --mask all.npz --iterations 4 -o own.npy";
    let text = folder.good(&format!("{args} {HOST}"));
    assert!(
        text.contains("k-space is \"kspace\" of kspace, maps, mask") && text.contains("from all.npz:maps"),
        "{text}"
    );
    assert_eq!(folder.read("x.npy"), folder.read("own.npy"));
    std::fs::copy(folder.path("kspace.npy"), folder.path("a.npy")).unwrap();
    std::fs::copy(folder.path("kspace.npy"), folder.path("b.npy")).unwrap();
    archive(&folder, "odd.npz", &["a", "mask"]);
    folder.good(&format!("recon odd.npz --maps maps.npy --mask mask.npy --iterations 4 -o odd.npy {HOST}"));
    assert_eq!(folder.read("x.npy"), folder.read("odd.npy"));
    archive(&folder, "two.npz", &["a", "b"]);
    folder.refused(&format!("recon two.npz -o y.npy {HOST}"), "which of them is the k-space is not plain; choose one");
    let text = folder.good("inspect all.npz");
    assert!(text.contains("kspace     4 x 48 x 40, c8") && text.contains("mask       48 x 40, f4"), "{text}");
    folder.refused(&format!("recon all.npz:x -o y.npy {HOST}"), "holds no array \"x\"");
    folder.refused(&format!("recon mask.npz -o y.npy {HOST}"), "no such file");
    folder.misused(&format!("recon k.npz -o y.npz {HOST}"), "an output here ends in");
    // An archive is an input as a whole.
    folder.text(
        "d.json",
        r#"{ "op": "diagonal", "in": "C=4 Ny=48 Nx=40", "weight": "all.npz:maps", "dims": "C Ny Nx" }"#,
    );
    folder.good(&format!("apply d.json --input all.npz:kspace -o p.npy {HOST}"));
    let (maps, kspace) = (folder.read("maps.npy"), folder.read("kspace.npy"));
    assert!(distance(&folder.read("p.npy"), &(maps * kspace)) < 1e-6);
    // Pictures too.
    folder.real("image.npy", &Array2::from_shape_fn((16, 16), |(y, x)| (y * x) as f32));
    archive(&folder, "image.npz", &["image"]);
    assert_eq!(folder.run(&format!("denoise image.npz --noise 1 --iterations 2 -o d.npy {HOST}")).code, 0);
}

#[test]
fn pipes_are_files() {
    let folder = Folder::new();
    folder.text("double.json", r#"{ "op": "scalar", "in": "N=5", "value": 2 }"#);
    folder.real("x.npy", &ndarray::arr1(&[1f32, 2.0, 3.0, 4.0, 5.0]));
    let (code, out, said) = piped(&folder, &format!("apply double.json --input - -o - {HOST}"), "x.npy");
    assert_eq!(code, 0, "{said}");
    folder.text("y.npy", &out);
    assert_eq!(
        read_npy(folder.path("y.npy")).unwrap(),
        Array::F32(ndarray::arr1(&[2f32, 4.0, 6.0, 8.0, 10.0]).into_dyn())
    );
    // What is said goes to stderr, as JSON too.
    assert!(said.contains("wrote      -"), "{said}");
    let (code, out, said) = piped(&folder, &format!("apply double.json --input - -o - --json {HOST}"), "y.npy");
    assert!(code == 0 && out.starts_with(b"\x93NUMPY"), "{said}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["file"], "-");
    let (code, _, said) = piped(&folder, &format!("apply double.json --input - -o z.npy {HOST}"), "double.json");
    assert!(code == 1 && said.contains("not an .npy file"), "{said}");
    let (code, _, said) = piped(&folder, &format!("recon - --maps - -o z.npy {HOST}"), "x.npy");
    assert!(code == 1 && said.contains("- stands twice"), "{said}");
    let (code, _, said) = piped(&folder, &format!("apply double.json --input - -o z.npy {HOST}"), "x.npy");
    assert!(code == 0 && folder.path("z.npy").exists() && !folder.path("-").exists(), "{said}");
}

#[test]
fn a_scan_comes_through_a_pipe() {
    let folder = Folder::new();
    folder.scan();
    folder.good(&format!("recon kspace.npy --maps maps.npy --iterations 4 -o x.npy {HOST}"));
    let (code, out, said) =
        piped(&folder, &format!("recon - --maps maps.npy --iterations 4 -o - {HOST}"), "kspace.npy");
    assert_eq!(code, 0, "{said}");
    folder.text("z.npy", out);
    assert_eq!(folder.read("x.npy"), folder.read("z.npy"));
    // So do archives and scans.
    archive(&folder, "k.npz", &["kspace", "mask"]);
    let args = format!("recon - --maps maps.npy --iterations 4 --force -o z.npy {HOST}");
    let (code, _, said) = piped(&folder, &args, "k.npz");
    assert_eq!(code, 0, "{said}");
    assert_eq!(folder.read("x.npy"), folder.read("z.npy"));
    folder.good("phantom -o k.h5 --matrix 32 --coils 3");
    folder.good(&format!("recon k.h5 --iterations 4 -o h.npy {HOST}"));
    let (code, _, said) = piped(&folder, &format!("recon - --iterations 4 --force -o z.npy {HOST}"), "k.h5");
    assert_eq!(code, 0, "{said}");
    assert_eq!(folder.read("h.npy"), folder.read("z.npy"));
    let (code, out, said) = piped(&folder, "inspect -", "k.h5");
    assert!(code == 0 && String::from_utf8(out).unwrap().contains("ISMRMRD"), "{said}");
}

/// Header and data of a volume.
fn volume(folder: &Folder, name: &str) -> (Vec<i16>, i16, Vec<f32>) {
    let bytes = std::fs::read(folder.path(name)).unwrap();
    let word = |at: usize| i16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let values = bytes[352..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    ((0..=word(40) as usize).map(|a| word(40 + 2 * a)).collect(), word(70), values)
}

#[test]
fn volumes_are_written() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "Nz=2 Ny=3 Nx=4" }"#);
    let x = ArrayD::from_shape_fn(IxDyn(&[2, 3, 4]), |i| Complex32::new((12 * i[0] + 4 * i[1] + i[2]) as f32, -1.0));
    folder.complex("x.npy", &x);
    folder.real("r.npy", &x.mapv(|v| v.re));
    let text = folder.good(&format!("apply same.json --input x.npy -o x.nii {HOST}"));
    assert!(text.contains("x.nii: voxels of 1 mm, as nothing says"), "{text}");
    let (dim, kind, values) = volume(&folder, "x.nii");
    assert_eq!((dim, kind), (vec![3, 4, 3, 2], 32));
    assert_eq!(values, x.iter().flat_map(|v| [v.re, v.im]).collect::<Vec<_>>());
    folder.good(&format!("apply same.json --input x.npy -o m.nii --part magnitude {HOST}"));
    let (_, kind, values) = volume(&folder, "m.nii");
    assert_eq!((kind, values), (16, x.iter().map(|v| v.norm()).collect::<Vec<_>>()));
    folder.good(&format!("apply same.json --input r.npy -o r.nii {HOST}"));
    assert_eq!(volume(&folder, "r.nii").1, 16);
    folder.good(&format!("apply same.json --input r.npy -o r.nii.gz {HOST}"));
    assert!(std::fs::read(folder.path("r.nii.gz")).unwrap().starts_with(&[0x1f, 0x8b]));
    folder.refused(&format!("recon x.nii -o y.npy {HOST}"), "an input here ends in");
    let text = folder.good("inspect r.nii.gz");
    assert!(text.contains("2 x 3 x 4, f4") && text.contains("1 x 1 x 1 mm"), "{text}");
    assert_eq!(folder.json("inspect x.nii")["dtype"], "c8");
}

#[test]
fn parts_are_written_in_every_format() {
    let folder = Folder::new();
    folder.text("same.json", r#"{ "op": "identity", "in": "Ny=2 Nx=2" }"#);
    let x = ndarray::arr2(&[
        [Complex32::new(3.0, 4.0), Complex32::new(0.0, -2.0)],
        [Complex32::new(-1.0, 0.0), Complex32::default()],
    ]);
    folder.complex("x.npy", &x);
    for (part, want) in [
        ("magnitude", [5.0, 2.0, 1.0, 0.0]),
        ("phase", [4f32.atan2(3.0), -std::f32::consts::FRAC_PI_2, std::f32::consts::PI, 0.0]),
        ("real", [3.0, 0.0, -1.0, 0.0]),
        ("imaginary", [4.0, -2.0, 0.0, 0.0]),
    ] {
        folder.good(&format!("apply same.json --input x.npy -o {part}.npy --part {part} {HOST}"));
        match read_npy(folder.path(&format!("{part}.npy"))).unwrap() {
            Array::F32(got) => assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{part}: {got}"),
            other => panic!("{part} is {}", other.dtype_name()),
        }
        folder.good(&format!("apply same.json --input x.npy -o {part}.tif --part {part} {HOST}"));
        let got = linops::io::read_picture(folder.path(&format!("{part}.tif"))).unwrap().values;
        assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6), "{part}: {got}");
    }
}

#[test]
fn numbers_near_the_end_of_floats() {
    let folder = Folder::new();
    // All points in one cell, of a grid of so many cells that the transform is no direct sum.
    let locs = Array2::from_elem((3000, 2), -8.0f64);
    folder.array("locs.npy", &Array::F64(locs.into_dyn()));
    folder.text(
        "n.json",
        r#"{"op":"nufft","in":"Ny=32 Nx=32","locs":"locs.npy","axes":["Ny","Nx"],"out":"K","tol":1e-4}"#,
    );
    let at = |i: usize| Complex32::new(i as f32 / 3000.0, i as f32 / 3000.0);
    let x = |by: f32| ndarray::Array1::from_shape_fn(3000, |i| at(i) * by);
    folder.complex("one.npy", &x(1.0));
    folder.good(&format!("apply n.json --adjoint --input one.npy -o one_y.npy {HOST}"));
    let one = folder.read("one_y.npy");
    assert!(one.iter().all(|v| v.is_finite()) && one.iter().any(|v| v.norm() > 10.0));
    for by in [3e36f32, 1e-36] {
        folder.complex("x.npy", &x(by));
        folder.good(&format!("apply n.json --adjoint --input x.npy -o y.npy --force {HOST}"));
        let y = folder.read("y.npy").mapv(|v| Complex32::new(v.re / by, v.im / by));
        assert!(distance(&y, &one) < 1e-5, "{by:e}: {}", distance(&y, &one));
    }
    // Where the result does not fit it is said, with what to do.
    folder.complex("x.npy", &x(2e38));
    folder.refused(&format!("apply n.json --adjoint --input x.npy -o w.npy {HOST}"), "scale the input by 1e-");
    // Weights whose product is beyond all floats.
    folder.text(
        "w.json",
        r#"{"op":"chain","linops":[{"op":"scalar","in":"N=3","value":1e30},{"op":"scalar","in":"N=3","value":1e30}]}"#,
    );
    folder.real("r.npy", &ndarray::arr1(&[1f32, 2.0, 3.0]));
    folder.refused(&format!("apply w.json --input r.npy -o w.npy {HOST}"), "though the input is finite");
    // What is not finite before may be so behind.
    folder.text("same.json", r#"{ "op": "identity", "in": "N=3" }"#);
    folder.real("nan.npy", &ndarray::arr1(&[1f32, f32::NAN, 3.0]));
    folder.refused(&format!("apply same.json --input nan.npy -o w.npy {HOST}"), "--allow-nan");
    folder.good(&format!("apply same.json --input nan.npy -o w.npy --allow-nan {HOST}"));
}

#[test]
fn no_verb_writes_what_is_not_finite() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.complex("huge.npy", &scan.kspace.mapv(|v| v * 1e36));
    let out = folder.run(&format!("recon huge.npy --maps maps.npy --iterations 5 -o x.npy {HOST}"));
    match out.code {
        0 => assert!(folder.read("x.npy").iter().all(|v| v.is_finite()), "{}", out.stdout),
        _ => assert!(!folder.path("x.npy").exists() && out.stderr.starts_with("linops: "), "{}", out.stderr),
    }
}
