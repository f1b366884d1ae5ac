//! `demo` and `recon`.

use crate::harness::{Folder, distance};
use linops::app::conventions::centred_order;
use linops::io::{Array, Output, write_cfl};
use ndarray::{Array2, Axis, s};
use num_complex::Complex32;
use std::fs::File;
use std::io::BufReader;

/// Width and height of a PNG that decodes.
fn picture(folder: &Folder, name: &str) -> (u32, u32) {
    let file = BufReader::new(File::open(folder.path(name)).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.iter().any(|&p| p > 100) && pixels.contains(&0), "{name} is blank");
    (frame.width, frame.height)
}

#[test]
fn demo_reconstructs_the_phantom() {
    let folder = Folder::new();
    let text = folder.good("demo");
    for word in ["device", "iterations", "NRMSE", "demo.png"] {
        assert!(text.contains(word), "{text}");
    }
    let (width, height) = picture(&folder, "demo.png");
    assert!(width >= 4 * 256 && height >= 256);
    // Its own picture is replaced.
    let result = folder.json("demo --device host --lanes 3");
    assert_eq!(result["device"], "host");
    let nrmse = |name: &str| result["nrmse"][name].as_f64().unwrap();
    assert!(nrmse("sense") < 0.08 && nrmse("sense") < 0.3 * nrmse("zero_filled"), "{result}");
    assert_eq!(folder.contents().len(), 1);
}

#[test]
fn demo_reconstructs_spokes() {
    let folder = Folder::new();
    let result = folder.json("demo --radial --device host");
    assert_eq!(result["spokes"], 64);
    picture(&folder, "demo.png");
    let nrmse = |name: &str| result["nrmse"][name].as_f64().unwrap();
    assert!(nrmse("sense") < 0.13 && nrmse("sense") < 0.5 * nrmse("gridded"), "{result}");
}

#[test]
fn demo_keeps_a_picture_that_is_not_its_own() {
    let folder = Folder::new();
    folder.text("demo.png", "mine");
    folder.refused("demo --device host", "--force");
    folder.good("demo --device host --force");
    picture(&folder, "demo.png");
}

#[test]
fn demo_writes_where_it_is_told() {
    let folder = Folder::new();
    folder.misused("demo -o picture.npy --device host", ".png");
    let text = folder.good("demo -o picture.png --device host");
    assert!(text.contains("wrote      picture.png"), "{text}");
    picture(&folder, "picture.png");
    // What was asked for by name is kept, even its own.
    folder.refused("demo -o picture.png --device host", "--force");
    assert_eq!(folder.contents().len(), 1);
}

#[test]
fn numbers_are_short_and_readings_take_a_line() {
    let folder = Folder::new();
    folder.scan();
    let args = "recon kspace.npy --maps maps.npy --tol 0 --iterations 3 --device host";
    let text = folder.good(&format!("{args} -o x.npy"));
    let lambda = text.lines().find(|l| l.starts_with("lambda")).unwrap().split_whitespace().nth(1).unwrap();
    assert!(lambda.len() <= 9 && lambda.parse::<f32>().unwrap() > 0.0, "{text}");
    assert!(text.contains(", tol 0; on host\n"), "{text}");
    let json = folder.good(&format!("{args} -o y.npy --json"));
    let history = json.split("\"history\": [\n").nth(1).unwrap().lines().next().unwrap().trim();
    assert!(
        history.starts_with('[') && history.contains(", ") && history.trim_end_matches(',').ends_with(']'),
        "{json}"
    );
}

#[test]
#[cfg_attr(skip_gpu, ignore = "LINOPS_SKIP_GPU=1")]
fn recon_solves_with_given_maps_and_mask() {
    let folder = Folder::new();
    let scan = folder.scan();
    let args = "recon kspace.npy --maps maps.npy --mask mask.npy --lambda 0.001 -o x.npy";
    let text = folder.good(&format!("{args} --device host"));
    assert!(
        text.contains("100 (default)") && text.contains("1e-6 (default)") && !text.contains("0.001 (default)"),
        "{text}"
    );
    let image = folder.read("x.npy");
    assert!(distance(&image, &scan.reference.clone().into_dyn()) < 0.15);
    // Kept unless forced.
    folder.refused(args, "--force");
    let result = folder.json(&format!("{args} --force --device host --lanes 2"));
    assert_eq!(result["stop"], "converged");
    assert_eq!(folder.read("x.npy"), image);
    let Some(gpu) = crate::common::gpu() else { return };
    let result = folder.json(&format!("{args} --force --device gpu"));
    assert_eq!(result["device"], gpu.name());
    assert!(distance(&folder.read("x.npy"), &image) < 1e-4);
}

#[test]
fn formats_and_mask_dtypes_agree() {
    let folder = Folder::new();
    let scan = folder.scan();
    let rest = "--maps maps.npy --lambda 0.01 --device host --force";
    folder.good(&format!("recon kspace.npy {rest} -o x.npy"));
    let image = folder.read("x.npy");
    // BART pairs, in and out; the mask is that of the zeros.
    let output = |name: &str| Output::create(folder.path(name), &["cfl"], true).unwrap();
    write_cfl(output("k.cfl"), &Array::C32(scan.kspace.clone().insert_axis(ndarray::Axis(1)).into_dyn())).unwrap();
    write_cfl(output("mask.cfl"), &Array::F32(scan.mask.clone().into_dyn())).unwrap();
    folder.good(&format!("recon k.cfl {rest} --mask mask.cfl -o y.npy"));
    assert_eq!(folder.read("y.npy"), image);
    folder.good(&format!("recon k {rest} -o z.cfl"));
    assert_eq!(linops::io::read_cfl(folder.path("z")).unwrap().array, image);
    folder.array("bytes.npy", &Array::U8(scan.mask.mapv(|v| v as u8).into_dyn()));
    folder.array("ints.npy", &Array::I64(scan.mask.mapv(|v| v as i64).into_dyn()));
    for mask in ["bytes", "ints"] {
        folder.good(&format!("recon kspace.npy {rest} --mask {mask}.npy -o y.npy"));
        assert_eq!(folder.read("y.npy"), image, "{mask}");
    }
    let wide = scan.kspace.mapv(|v| num_complex::Complex64::new(v.re.into(), v.im.into()));
    folder.array("wide.npy", &Array::C64(wide.into_dyn()));
    folder.good(&format!("recon wide.npy {rest} -o y.npy"));
    assert_eq!(folder.read("y.npy"), image);
    folder.good(&format!("recon kspace.npy {rest} -o x.png"));
    assert_eq!(picture(&folder, "x.png"), (40, 48));
}

#[test]
fn only_file_and_output_are_needed() {
    let folder = Folder::new();
    folder.scan();
    let text = folder.good("recon kspace.npy -o x.npy --device host");
    assert!(text.contains("ESPIRiT") && text.contains("(default, by the noise)"), "{text}");
    assert_eq!(folder.read("x.npy").shape(), [48, 40]);
}

#[test]
fn tol_0_goes_on_to_what_f32_attains() {
    let folder = Folder::new();
    folder.scan();
    for tol in ["0", "1e-30"] {
        let solve = format!("recon kspace.npy --maps maps.npy -o x.npy --tol {tol} --force --device host --iterations");
        let result = folder.json(&format!("{solve} 100000"));
        assert_eq!(result["stop"], "attained");
        assert!(result["iterations"].as_u64().unwrap() < 1000, "{result}");
        assert!(result["residual"].as_f64().unwrap() < 1e-6, "{result}");
        let result = folder.json(&format!("{solve} 7"));
        assert_eq!((&result["iterations"], &result["stop"]), (&7.into(), &"iterations".into()));
    }
}

#[test]
fn the_misfit_and_the_residual_are_those_of_the_image() {
    let folder = Folder::new();
    // Fully sampled, so that the recurrence comes to nothing at once; what is said is of the image all the same.
    let scan = folder.scan();
    let (mask, maps) = (ndarray::Array2::<f32>::ones(scan.mask.dim()), scan.maps.view());
    folder.real("mask.npy", &mask);
    let solve = "recon kspace.npy --maps maps.npy --mask mask.npy -o x.npy --device host";
    let text = folder.warned(solve, "ones of the mask have no data");
    assert!(text.contains("misfit") && text.contains("residual"), "{text}");
    let text = folder.warned(&format!("{solve} --force --json"), "ones of the mask have no data");
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    let residual = result["residual"].as_f64().unwrap();
    assert!((1e-10..1e-6).contains(&residual), "{result}");
    let x = folder.read("x.npy").into_dimensionality::<ndarray::Ix2>().unwrap();
    let sense = linops::app::Sense::new(maps, mask.view()).unwrap();
    let y = sense.linop().apply(&linops::Tensor::from_array(x, "Ny Nx").unwrap()).unwrap().to_array().unwrap();
    let norm =
        |a: &ndarray::ArrayD<num_complex::Complex32>| a.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>().sqrt();
    let kspace = scan.kspace.into_dyn();
    let want = norm(&(&y - &kspace)) / norm(&kspace);
    assert!((result["misfit"].as_f64().unwrap() - want).abs() < 1e-5, "{want} and {result}");
}

#[test]
fn nan_counts_as_not_acquired_if_allowed() {
    let folder = Folder::new();
    let mut scan = folder.scan();
    scan.kspace[[1, 24, 3]] = Complex32::new(f32::NAN, 0.0);
    folder.complex("nan.npy", &scan.kspace);
    scan.kspace.slice_mut(s![.., 24, 3]).fill(Complex32::default());
    folder.complex("zero.npy", &scan.kspace);
    let rest = "--maps maps.npy --device host";
    let text = folder.good(&format!("recon nan.npy -o x.npy --allow-nan {rest}"));
    assert!(text.contains("1 value NaN"), "{text}");
    folder.good(&format!("recon zero.npy -o y.npy {rest}"));
    assert_eq!(folder.read("x.npy"), folder.read("y.npy"));
}

/// What is dropped lies where it lies in k-space as it is shifted, and so does the mask.
#[test]
fn nan_is_dropped_where_the_shift_brings_it() {
    let folder = Folder::new();
    let mut scan = folder.scan();
    let rest = "--maps maps.npy --mask mask.npy --lambda 0.001 --allow-nan --device host --force";
    scan.kspace[[1, 24, 3]] = Complex32::new(f32::NAN, 0.0);
    folder.complex("nan.npy", &scan.kspace);
    folder.good(&format!("recon nan.npy -o x.npy {rest}"));
    let mut kspace = scan.kspace.clone().into_dyn();
    let mut mask = scan.mask.clone().into_dyn();
    (0..2).for_each(|axis| {
        centred_order(&mut kspace, Axis(axis + 1));
        centred_order(&mut mask, Axis(axis));
    });
    folder.complex("turned.npy", &kspace);
    folder.real("turned_mask.npy", &mask);
    // The extents are even: the same shift goes there and back.
    for (files, shift) in [("nan.npy --mask turned_mask.npy", "mask"), ("turned.npy --mask turned_mask.npy", "kspace")]
    {
        let rest = rest.replace("--mask mask.npy ", "");
        folder.good(&format!("recon {files} --shift {shift} -o y.npy {rest}"));
        assert!(distance(&folder.read("y.npy"), &folder.read("x.npy")) < 1e-6, "{files}");
    }
}

#[test]
fn data_of_zeros_give_an_image_of_zeros() {
    let folder = Folder::new();
    let scan = folder.scan();
    folder.complex("zero.npy", &(&scan.kspace * Complex32::default()));
    folder.real("ones.npy", &Array2::ones((48, 40)));
    let result = folder.json("recon zero.npy --maps maps.npy --mask ones.npy -o x.npy --device host");
    assert_eq!(result["stop"], "zero");
    assert!(folder.read("x.npy").iter().all(|v| v.norm() == 0.0));
}
