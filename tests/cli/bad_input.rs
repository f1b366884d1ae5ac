//! Bad input: one message that names what is wrong, exit code 1, and no file touched.

use crate::harness::Folder;
use linops::io::{Array, Output, write_cfl};
use ndarray::{Array2, Array3};
use num_complex::Complex32;

#[test]
fn numbers_out_of_range() {
    let folder = Folder::new();
    folder.scan();
    for (args, part) in [
        ("--lambda -1", "'-1' for '--lambda"),
        ("--lambda=-1", "expected a finite number from 0 on"),
        ("--lambda=nan", "'nan' for '--lambda"),
        ("--lambda inf", "'inf' for '--lambda"),
        ("--lambda 1e60", "'1e60' for '--lambda"),
        ("--tol -0.5", "'-0.5' for '--tol"),
        ("--tol nan", "'nan' for '--tol"),
        ("--iterations 0", "expected a whole number from 1 on"),
        ("--iterations -3", "expected a whole number from 1 on"),
        ("--lanes -1", "expected a whole number from 1 on"),
        ("--matrix -8", "expected 1 to 3 extents from 1 on"),
        ("--nufft-tol 1", "expected a number from 5e-7"),
        ("--nufft-tol -1", "expected a number from 5e-7"),
        ("--dcf w.txt", "expected ramp, pipe, voronoi, none, or a file"),
        ("--device cpu", "the CPU is called host"),
        ("--mask m.npy --traj t.npy", "--mask is for Cartesian data"),
    ] {
        folder.misused(&format!("recon kspace.npy -o x.npy {args}"), part);
    }
    folder.misused("bench --runs -1", "expected a whole number from 1 on");
    folder.misused("check a.json --seed -1", "'-1' for '--seed");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new();
    folder.scan();
    let whole = std::fs::read(folder.path("kspace.npy")).unwrap();
    folder.text("short.npy", &whole[..whole.len() - 5]);
    folder.text("header.npy", &whole[..40]);
    folder.text("empty.npy", "");
    folder.text("text.npy", "this is no array");
    folder.text("text.h5", "this is no HDF5 file");
    folder.text("data.cfl", [0; 64]);
    folder.text("data.hdr", "# Dimensions\n2 2 1 3 \n");
    folder.text("lone.cfl", [0; 64]);
    folder.text("k.mat", "");
    for (file, part) in [
        ("missing.npy", "no such file"),
        ("short.npy", "truncated"),
        ("header.npy", "truncated"),
        ("empty.npy", "NUMPY"),
        ("text.npy", "NUMPY"),
        ("text.h5", "HDF5"),
        ("data.cfl", "96 bytes"),
        ("lone.cfl", "lone.hdr"),
        ("k.mat", ".npy, .npz, .cfl, .hdr, .h5, .hdf5 or .mrd"),
        ("missing", "no suffix"),
        (".", "no suffix"),
    ] {
        folder.refused(&format!("recon {file} -o x.npy --device host"), part);
        if file != "missing" && file != "." {
            folder.refused(&format!("recon {file} -o x.npy --device host"), file.split('.').next().unwrap());
        }
    }
}

/// An `.npy` header with this shape, and no data.
fn header(shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '<c8', 'fortran_order': False, 'shape': {shape}, }}");
    while (text.len() + 11) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

#[test]
fn extents_of_zero_or_beyond_memory() {
    let folder = Folder::new();
    folder.text("zero.npy", header("(4, 0, 8)"));
    folder.text("huge.npy", header("(4294967296, 4294967296, 8)"));
    folder.text("large.npy", header("(65536, 65536, 65536)"));
    folder.refused("recon zero.npy -o x.npy --device host", "extent 0");
    folder.refused("recon huge.npy -o x.npy --device host", "too large");
    folder.refused("recon large.npy -o x.npy --device host", "truncated");
}

#[test]
fn dtypes_ranks_and_extents() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.real("real.npy", &scan.kspace.mapv(|v| v.re));
    folder.complex("flat.npy", &scan.reference);
    folder.complex("line.npy", &scan.reference.row(3).to_owned());
    folder.complex("three.npy", &scan.maps.slice(ndarray::s![..3, .., ..]).to_owned());
    folder.complex("low.npy", &scan.maps.slice(ndarray::s![.., ..40, ..]).to_owned());
    folder.real("narrow.npy", &Array2::<f32>::ones((48, 39)));
    folder.real("halves.npy", &Array2::<f32>::from_elem((48, 40), 0.5));
    folder.array("nearly.npy", &Array::F64(Array2::from_elem((48, 40), 1.0 + 1e-12).into_dyn()));
    folder.real("zeros.npy", &Array2::<f32>::zeros((48, 40)));
    for (args, part) in [
        ("real.npy", "dtype f4, expected complex"),
        ("line.npy", "1 axes [40], expected (coil, ky, kx)"),
        ("kspace.npy --maps flat.npy", "expected 3: (coil, y, x)"),
        ("kspace.npy --maps three.npy", "dim C of the maps has extent 3, expected 4"),
        ("kspace.npy --maps low.npy", "dim Ny of the maps has extent 40, expected 48"),
        ("kspace.npy --mask maps.npy", "a mask of [4, 48, 40], expected (ky, kx)"),
        ("kspace.npy --mask narrow.npy", "a mask of [48, 39], expected (ky, kx) with [48, 40]"),
        ("kspace.npy --mask halves.npy", "0.5 at [ky=0, kx=0]"),
        ("kspace.npy --mask nearly.npy", "expected 0 (not sampled) or 1"),
        ("kspace.npy --mask zeros.npy", "0 everywhere"),
        ("kspace.npy --mask missing.npy", "no such file"),
    ] {
        folder.refused(&format!("recon {args} -o x.npy --device host"), part);
    }
}

#[test]
fn values_that_are_not_finite() {
    let folder = Folder::new();
    let scan = folder.scan();
    let with = |array: &Array3<Complex32>, v: f32| {
        let mut array = array.clone();
        array[[2, 20, 7]].im = v;
        array
    };
    folder.complex("nan.npy", &with(&scan.kspace, f32::NAN));
    folder.complex("inf.npy", &with(&scan.kspace, f32::INFINITY));
    folder.complex("nanmaps.npy", &with(&scan.maps, f32::NAN));
    folder.refused(
        "recon nan.npy --maps maps.npy -o x.npy --device host",
        "nan.npy: NaN or infinity at [coil=2, ky=20, kx=7]",
    );
    folder.refused("recon inf.npy -o x.npy --device host", "--allow-nan");
    folder.refused("recon kspace.npy --maps nanmaps.npy -o x.npy --device host", "nanmaps.npy: NaN");
    folder.text("i.json", r#"{ "op": "identity", "in": "C=4 Y=48 X=40" }"#);
    folder.refused("apply i.json --input nan.npy --output y.npy --device host", "[2, 20, 7]");
    folder.good("apply i.json --input nan.npy --output y.npy --device host --allow-nan");
}

#[test]
fn data_without_a_calibration_centre() {
    let folder = Folder::new();
    let mut scan = folder.scan();
    scan.kspace.slice_mut(ndarray::s![.., 22..26, ..]).fill(Complex32::default());
    folder.complex("hole.npy", &scan.kspace);
    folder.refused("recon hole.npy -o x.npy --device host", "--maps");
    folder.complex("zero.npy", &Array3::zeros((4, 48, 40)));
    folder.refused("recon zero.npy -o x.npy --device host", "0 everywhere");
}

#[test]
fn outputs_are_checked_before_anything_is_read() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.npy")).unwrap();
    folder.text("there.npy", "mine");
    for (output, part) in [("missing/x.npy", "missing"), ("folder.npy", "folder"), ("there.npy", "--force")] {
        folder.refused(&format!("recon missing.npy -o {output}"), part);
        folder.refused(&format!("apply missing.json --input missing.npy --output {output}"), part);
    }
    for (output, part) in [("x.jpg", "suffix .jpg"), ("x", "no suffix")] {
        folder.misused(&format!("recon missing.npy -o {output}"), part);
        folder.misused(&format!("apply missing.json --input missing.npy --output {output}"), part);
    }
    let pair = Output::create(folder.path("pair.cfl"), &["cfl"], false).unwrap();
    write_cfl(pair, &Array::F32(Array2::ones((2, 2)).into_dyn())).unwrap();
    std::fs::remove_file(folder.path("pair.cfl")).unwrap();
    folder.refused("recon missing.npy -o pair.cfl", "pair.hdr");
}

#[test]
fn linop_files() {
    let folder = Folder::new();
    folder.real("x.npy", &ndarray::Array1::<f32>::ones(4));
    let deep = format!("{}{}", r#"{"op":"adjoint","linop":"#.repeat(5000), "1".to_string() + &"}".repeat(5000));
    let nested =
        format!("{}{}{}", r#"{"op":"adjoint","linop":"#.repeat(60), r#"{"op":"identity","in":"N=4"}"#, "}".repeat(60));
    let normals =
        format!("{}{}{}", r#"{"op":"normal","linop":"#.repeat(20), r#"{"op":"identity","in":"N=4"}"#, "}".repeat(20));
    let dims: Vec<String> = (0..2000).map(|i| format!("N{i}=1")).collect();
    let wide = format!(r#"{{ "op": "flip", "in": "{}", "axes": ["N0"] }}"#, dims.join(" "));
    for (text, part) in [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "op"),
        (r#"{ "in": "N=4" }"#, "op"),
        (r#"{ "op": "seislet", "in": "N=4" }"#, "there are identity, zero"),
        (r#"{ "op": "nuftt", "in": "N=4" }"#, "perhaps \"nufft\""),
        (r#"{ "op": "identity", "in": "N=4", "in": "N=5" }"#, "in stands twice"),
        (r#"{ "op": "pad", "in": "N=4", "to": { "N": 8, "N": 9 } }"#, "to.N stands twice"),
        (r#"{ "op": "sampling", "in": "N=4" }"#, "out: is missing; expected the names of the output's dims"),
        (r#"{ "op": "identity", "in": "N=4", "colour": 1 }"#, "colour"),
        (r#"{ "op": "identity", "in": "N=0" }"#, "extent 0"),
        (r#"{ "op": "identity", "in": "A=99999999999 B=99999999999" }"#, "memory"),
        (r#"{ "op": "diagonal", "in": "N=4", "weight": "missing.npy", "dims": "N" }"#, "missing.npy"),
        (r#"{ "op": "diagonal", "in": "N=5", "weight": "x.npy", "dims": "N" }"#, "dim N"),
        (r#"{ "op": "chain", "in": "N=4", "linops": [] }"#, "linops"),
        (r#"{ "op": "chain", "in": "N=4", "linops": [{ "op": "fft", "axes": ["M"] }] }"#, "linops[0]"),
        (deep.as_str(), "nested"),
        (nested.as_str(), "nested"),
        (normals.as_str(), "more than 8 normals"),
        (wide.as_str(), "at most 1024"),
    ] {
        folder.text("bad.json", text);
        for verb in ["check", "explain", "bench", "apply --input x.npy --output y.npy"] {
            folder.refused(&format!("{verb} --device host bad.json"), part);
        }
    }
    folder.text("good.json", r#"{ "op": "identity", "in": "N=5" }"#);
    folder.refused("apply good.json --input x.npy --output y.npy --device host", "dim N has extent 4, expected 5");
    folder.text("cube.json", r#"{ "op": "identity", "in": "A=2 B=2 C=1 D=1" }"#);
    folder.refused("apply cube.json --input x.npy --output y.png --device host", "2 dims");
    folder.refused("check missing.json", "missing.json");
}

#[test]
fn a_linop_beyond_memory_is_an_error() {
    let folder = Folder::new();
    folder.text("vast.json", r#"{ "op": "scalar", "value": 2, "in": "A=1000000 B=1000000000" }"#);
    folder.refused("check vast.json --device host", "memory");
    folder.refused("bench vast.json --device host", "memory");
}
