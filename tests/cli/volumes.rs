//! What slices have, of volumes too: coils combined or compressed, partial Fourier, a finer grid; maps of a stack of slices.

use crate::harness::{Folder, distance};
use crate::raw_scan::{self, Line};
use linops::app::{ScanOptions, VolumeScanOptions, scan, volume_scan, zero_fill};
use ndarray::{Array4, ArrayD, Axis, s};
use num_complex::{Complex32, Complex64};
use std::f64::consts::TAU;

const REST: &str = "--device host --force";

/// A full scan as `k.npy` and `maps.npy`: k-space and the image.
fn full(folder: &Folder) -> (Array4<Complex32>, ArrayD<Complex32>) {
    let options = VolumeScanOptions::default().matrix([12, 24, 20]).coils(4).acceleration([1, 1]).centre_lines(8);
    let scan = volume_scan(&options.noise(0.0)).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    (scan.kspace, scan.reference.into_dyn())
}

/// √Σ|x|² of the images of k-space, by sums in f64.
fn root_of_squares(kspace: &Array4<Complex32>) -> ArrayD<Complex32> {
    let mut values = kspace.mapv(|v| Complex64::new(v.re.into(), v.im.into()));
    for axis in 1..4 {
        let n = values.len_of(Axis(axis));
        let c = (n / 2) as f64;
        let wave =
            |k: usize, x: usize| Complex64::cis(TAU * (k as f64 - c) * (x as f64 - c) / n as f64) / (n as f64).sqrt();
        for mut lane in values.lanes_mut(Axis(axis)) {
            let line = lane.to_vec();
            (0..n).for_each(|x| lane[x] = (0..n).map(|k| line[k] * wave(k, x)).sum());
        }
    }
    values.map_axis(Axis(0), |c| Complex32::from(c.iter().map(|v| v.norm_sqr()).sum::<f64>().sqrt() as f32)).into_dyn()
}

#[test]
fn coils_of_volumes_are_combined() {
    let folder = Folder::new();
    let (kspace, image) = full(&folder);
    folder.good(&format!("recon k.npy --rss -o r.npy {REST}"));
    let apart = distance(&folder.read("r.npy"), &root_of_squares(&kspace));
    assert!(apart < 1e-5, "{apart}");
    folder.good(&format!("recon k.npy --maps maps.npy --lambda 1e-4 -o x.npy {REST}"));
    assert!(distance(&folder.read("x.npy"), &image) < 0.1);
    for way in ["svd", "gcc"] {
        let text = folder.good(&format!(
            "recon k.npy --maps maps.npy --lambda 1e-4 --compress 3 --compress-by {way} -o y.npy {REST}"
        ));
        assert!(text.contains(&format!("4 coils compressed to 3 by {way}")), "{text}");
        let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
        assert!(apart < 0.05, "{way}: {apart}");
    }
}

#[test]
fn volumes_are_finished() {
    let folder = Folder::new();
    let (mut kspace, _) = full(&folder);
    folder.good(&format!("recon k.npy --maps maps.npy --lambda 1e-4 -o x.npy {REST}"));
    let x = folder.read("x.npy");
    folder.good(&format!("recon k.npy --maps maps.npy --lambda 1e-4 --zero-fill 12,30,25 -o y.npy {REST}"));
    assert!(distance(&folder.read("y.npy"), &zero_fill(x.view(), &[12, 30, 25]).unwrap()) < 1e-5);
    // Lines above the centre's are missing.
    kspace.slice_mut(s![.., .., 18.., ..]).fill(Complex32::default());
    folder.complex("part.npy", &kspace);
    let off = |name: &str| {
        let size = |v: &Complex32| Complex32::from(v.norm());
        distance(&folder.read(name).map(size), &x.map(size))
    };
    let args = format!("recon part.npy --maps maps.npy --lambda 1e-2 -o y.npy {REST}");
    let text = folder.good(&args);
    assert!(text.contains("ky 0 to 17 of 24") && text.lines().count() <= 8, "{text}");
    let zero = off("y.npy");
    folder.good(&format!("{args} --partial-fourier pocs"));
    assert!(off("y.npy") < 0.8 * zero, "{} of {zero}", off("y.npy"));
    // Several sets of maps as well.
    let maps = folder.read("maps.npy");
    let empty = &maps * Complex32::default();
    folder.complex("two.npy", &ndarray::stack![Axis(1), maps, empty]);
    let sets = format!("recon part.npy --maps two.npy --lambda 1e-2 --partial-fourier pocs -o z.npy {REST}");
    folder.good(&sets);
    assert!(off("z.npy") < 0.8 * zero);
    folder.good(&format!("{sets} --all-sets --zero-fill 12,30,20 --compress 3"));
    assert_eq!(folder.read("z.npy").shape(), [2, 12, 30, 20]);
}

#[test]
fn each_slice_has_its_maps() {
    let folder = Folder::new();
    let scan = scan(&ScanOptions::default().ny(32).nx(28).coils(3).acceleration(1).noise(0.001)).unwrap();
    let half = scan.kspace.mapv(|v| v * 0.5);
    folder.complex("one.npy", &scan.kspace);
    folder.complex("k.npy", &ndarray::stack![Axis(0), scan.kspace, half, &half * Complex32::default()]);
    let out = folder.run("calibrate k.npy --slice all -o m.npy --eigenvalues e.npy --device host");
    assert!(out.code == 0 && out.stderr.contains("the maps of image 2 of the stack are left 0"), "{}", out.stderr);
    folder.good(&format!("calibrate one.npy -o one_m.npy {REST}"));
    let maps = folder.read("m.npy");
    assert_eq!((maps.shape(), folder.read("e.npy").shape()), (&[3, 3, 32, 28][..], &[3, 32, 28][..]));
    assert_eq!(maps.index_axis(Axis(0), 0), folder.read("one_m.npy").view());
    // They are of their slices.
    folder.good(&format!("recon one.npy --maps one_m.npy -o x.npy {REST}"));
    folder.good(&format!("recon k.npy --slice 0:2 --maps one_m.npy -o s.npy {REST}"));
    assert_eq!(folder.read("s.npy").index_axis(Axis(0), 0), folder.read("x.npy").view());
    let two = maps.slice(s![..2, .., .., ..]).to_owned();
    folder.complex("two.npy", &two);
    folder.good(&format!("recon k.npy --slice 0:2 --maps two.npy -o s.npy {REST}"));
    assert_eq!(folder.read("s.npy").index_axis(Axis(0), 0), folder.read("x.npy").view());
    folder.refused(&format!("calibrate k.npy --slice all -o m.cfl {REST}"), "of a .cfl choose one");
}

const NY: usize = 48;
const NX: usize = 32;

fn header(recon: [usize; 2]) -> String {
    let space = |name: &str, [ny, nx]: [usize; 2], fov: usize| {
        format!(
            "<{name}><matrixSize><x>{nx}</x><y>{ny}</y><z>1</z></matrixSize>\
             <fieldOfView_mm><x>240</x><y>{fov}</y><z>5</z></fieldOfView_mm></{name}>"
        )
    };
    format!(
        "<ismrmrdHeader><encoding>{}{}<encodingLimits><kspace_encoding_step_1><center>24</center></kspace_encoding_step_1>\
         </encodingLimits><trajectory>cartesian</trajectory></encoding></ismrmrdHeader>",
        space("encodedSpace", [NY, NX], 360),
        space("reconSpace", recon, 270)
    )
}

#[test]
fn phase_oversampling_is_cut_from_the_image_where_lines_are_missing() {
    let folder = Folder::new();
    let options = ScanOptions::default().ny(NY).nx(NX).coils(4).acceleration(2).centre_lines(16).noise(0.0);
    let scan = scan(&options).unwrap();
    let lines: Vec<Line> = (0..NY)
        .filter(|ky| scan.mask[[*ky, 0]] != 0.0)
        .map(|ky| {
            let data = scan.kspace.index_axis(Axis(1), ky).rows().into_iter().map(|row| row.to_vec()).collect();
            Line { line: ky as u16, data, ..Line::default() }
        })
        .collect();
    raw_scan::written(&folder, "scan.h5", &header([36, NX]), "dataset", &lines);
    raw_scan::written(&folder, "fine.h5", &header([72, 2 * NX]), "dataset", &lines);
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    // The whole field of view, by the same lines.
    folder.good(&format!("recon k.npy -o whole.npy {REST}"));
    let whole = folder.read("whole.npy");
    let facts = folder.json(&format!("recon scan.h5 -o x.npy {REST}"));
    assert_eq!(facts["fov_mm"], serde_json::json!([5.0, 270.0, 240.0]));
    assert_eq!(facts["voxel_mm"], serde_json::json!([5.0, 7.5, 7.5]));
    let central = whole.slice(s![6..42, ..]).to_owned().into_dyn();
    assert!(distance(&folder.read("x.npy"), &central) < 1e-5);
    let text = folder.good(&format!("recon scan.h5 -o x.nii {REST}"));
    assert!(text.contains("36 x 32, 270 x 240 mm, pixels of 7.5 x 7.5 mm"), "{text}");
    let shape = folder.json("inspect x.nii");
    assert_eq!(
        (&shape["shape"], &shape["voxel"]),
        (&serde_json::json!([1, 36, 32]), &serde_json::json!([5.0, 7.5, 7.5]))
    );
    // Finer, by the header or as asked for; pre-computed maps are of the whole.
    let fine = zero_fill(whole.view(), &[96, 64]).unwrap().slice(s![12..84, ..]).to_owned().into_dyn();
    for args in ["recon fine.h5 --zero-fill", "recon scan.h5 --zero-fill 72,64"] {
        folder.good(&format!("{args} -o y.npy {REST}"));
        assert!(distance(&folder.read("y.npy"), &fine) < 1e-5, "{args}");
    }
    folder.good(&format!("recon scan.h5 --maps maps.npy -o y.npy {REST}"));
    assert_eq!(folder.read("y.npy").shape(), [36, NX]);
    folder.complex("cut.npy", &scan.maps.slice(s![.., 6..42, ..]).to_owned());
    let part = "expected 48 from the k-space of the encoded field of view, of which the image keeps 36 x 32";
    folder.refused(&format!("recon scan.h5 --maps cut.npy -o z.npy {REST}"), part);
    folder.good(&format!("recon scan.h5 --rss -o y.npy {REST}"));
    assert_eq!(folder.read("y.npy").shape(), [36, NX]);
}

#[test]
fn without_a_whole_centre_the_noise_sets_the_weight() {
    let folder = Folder::new();
    let options = ScanOptions::default().ny(60).nx(48).coils(6).acceleration(3).centre_lines(0).noise(0.002);
    let scan = scan(&options).unwrap();
    folder.complex("k.npy", &scan.kspace);
    folder.complex("maps.npy", &scan.maps);
    let error = |args: &str| {
        let facts = folder.json(&format!("recon k.npy --maps maps.npy -o x.npy {REST} {args}"));
        (distance(&folder.read("x.npy"), &scan.reference.clone().into_dyn()), facts["lambda"].as_f64().unwrap())
    };
    let (usual, large) = (error(""), error("--lambda 0.01"));
    assert!(usual.1 < 2e-3 && usual.0 < 0.8 * large.0, "{usual:?} {large:?}");
    // A weight that is given stays what it is.
    let whole = folder.scan();
    assert!(whole.mask.sum() > 0.0);
    let facts = folder.json(&format!("recon kspace.npy -o x.npy {REST} --lambda 0.01"));
    assert_eq!(facts["lambda"], 0.01);
    // With one likewise: folding of much undersampling with little noise is hindered by 0.01, much noise asks for that.
    let error = |noise: f64, args: &str| {
        let options = ScanOptions::default().ny(96).nx(96).coils(8).acceleration(4).noise(noise);
        let scan = linops::app::scan(&options).unwrap();
        folder.complex("k.npy", &scan.kspace);
        let facts = folder.json(&format!("recon k.npy --maps maps96.npy -o x.npy {REST} {args}"));
        (distance(&folder.read("x.npy"), &scan.reference.into_dyn()), facts)
    };
    let options = ScanOptions::default().ny(96).nx(96).coils(8);
    folder.complex("maps96.npy", &linops::app::scan(&options).unwrap().maps);
    let scale = folder.read("maps96.npy").map_axis(ndarray::Axis(0), |c| c.iter().map(|v| v.norm_sqr()).sum::<f32>());
    let most = f64::from(scale.iter().fold(0.0f32, |m, v| m.max(*v)) * 0.01);
    let ((usual, facts), (large, _)) = (error(5e-4, ""), error(5e-4, &format!("--lambda {most}")));
    assert!(usual < 0.8 * large, "{usual} {large}");
    assert!(facts["lambda"].as_f64().unwrap() < 0.05 * most && facts["lambda_from"] == "noise", "{facts}");
    let (_, facts) = error(0.1, "");
    assert!((facts["lambda"].as_f64().unwrap() / most - 1.0).abs() < 1e-3, "{facts} {most}");
    let (_, facts) = error(0.1, "--lambda 0.01");
    assert_eq!((&facts["lambda"], &facts["lambda_from"]), (&serde_json::json!(0.01), &serde_json::json!("given")));
}

/// Slices of unequal signal with the same noise: what is left of aliasing and of noise is weighed alike in all.
#[test]
fn a_stack_has_one_weight() {
    let folder = Folder::new();
    let of = |noise: f64, seed: u64| {
        scan(&ScanOptions::default().ny(60).nx(48).coils(4).acceleration(3).centre_lines(16).noise(noise).seed(seed))
            .unwrap()
    };
    let bright = of(0.003, 1);
    // The same with half of the signal.
    let dim = of(0.003, 2).kspace - of(0.0, 2).kspace.mapv(|v| v * 0.5);
    folder.complex("maps.npy", &bright.maps);
    folder.complex("stack.npy", &ndarray::stack![Axis(0), bright.kspace, dim]);
    let both = format!("recon stack.npy --axes slice,coil,ky,kx --maps maps.npy -o x.npy {REST}");
    let alone = |slice: usize| folder.json(&format!("{both} --slice {slice}"))["lambda"].as_f64().unwrap();
    let (least, most) = (alone(0), alone(1));
    assert!(most > 2.0 * least, "{least} {most}");
    let facts = folder.json(&both);
    let images = facts["images"].as_array().unwrap();
    let lambda = images[0]["lambda"].as_f64().unwrap();
    assert_eq!(images[1]["lambda"], images[0]["lambda"], "{facts}");
    assert_eq!((images.len(), &images[1]["lambda_from"]), (2, &serde_json::json!("noise")));
    assert!(lambda > 1.2 * least && lambda < 0.8 * most, "{least} {lambda} {most}");
    let text = folder.good(&both);
    assert!(text.lines().any(|line| line.starts_with("lambda") && line.contains("by the noise")), "{text}");
    // Frames likewise.
    let facts = folder.json(&format!("recon stack.npy --time --maps maps.npy -o x.npy {REST}"));
    assert_eq!((&facts["lambda"], &facts["lambda_from"]), (&images[0]["lambda"], &serde_json::json!("noise")));
}

/// A mask along some axes of a volume is the whole one that repeats it.
#[test]
fn masks_of_volumes_are_along_what_they_fit() {
    let folder = Folder::new();
    full(&folder);
    let ones = |of: &dyn Fn(usize, usize, usize) -> bool| {
        ArrayD::from_shape_fn(vec![12, 24, 20], |at| f32::from(of(at[0], at[1], at[2])))
    };
    let (z, y, x) = (|z: usize| z % 3 != 1, |y: usize| y.is_multiple_of(2), |x: usize| x % 4 != 3);
    let run = |name: &str, out: &str| {
        folder.good(&format!("recon k.npy --maps maps.npy --mask {name} --lambda 1e-3 --iterations 5 -o {out} {REST}"))
    };
    let cases: [(&str, ArrayD<f32>, ArrayD<f32>); 5] = [
        ("kz, ky", ones(&|i, j, _| z(i) && y(j)), ones(&|i, j, _| z(i) && y(j)).index_axis(Axis(2), 0).to_owned()),
        ("ky, kx", ones(&|_, j, k| y(j) && x(k)), ones(&|_, j, k| y(j) && x(k)).index_axis(Axis(0), 0).to_owned()),
        ("kz, kx", ones(&|i, _, k| z(i) && x(k)), ones(&|i, _, k| z(i) && x(k)).index_axis(Axis(1), 0).to_owned()),
        ("ky", ones(&|_, j, _| y(j)), ArrayD::from_shape_fn(vec![24], |at| f32::from(y(at[0])))),
        ("kx", ones(&|_, _, k| x(k)), ArrayD::from_shape_fn(vec![20], |at| f32::from(x(at[0])))),
    ];
    for (axes, whole, part) in cases {
        folder.real("whole.npy", &whole);
        folder.real("part.npy", &part);
        run("whole.npy", "x.npy");
        let text = run("part.npy", "y.npy");
        assert!(text.contains(&format!("the mask is along {axes}")), "{axes}: {text}");
        assert_eq!(folder.read("y.npy"), folder.read("x.npy"), "{axes}");
    }
    // An extent of 1 repeats.
    folder.real("row.npy", &ArrayD::from_shape_fn(vec![1, 24], |at| f32::from(y(at[1]))));
    folder.real("line.npy", &ArrayD::from_shape_fn(vec![24], |at| f32::from(y(at[0]))));
    run("row.npy", "x.npy");
    run("line.npy", "y.npy");
    assert_eq!(folder.read("y.npy"), folder.read("x.npy"));
    // Three axes say what they are along; what fits none, or two, is refused.
    folder.real("turned.npy", &ArrayD::<f32>::ones(vec![1, 12, 24]));
    let refused = |name: &str, message: &str| {
        folder.refused(&format!("recon k.npy --maps maps.npy --mask {name} -o z.npy {REST}"), message);
    };
    refused("turned.npy", "expected (kz, ky, kx) with [12, 24, 20]");
    folder.real("other.npy", &ArrayD::<f32>::ones(vec![12, 23]));
    refused("other.npy", "or one of (kz, ky), (ky, kx), (kz, kx)");
    let cube = volume_scan(&VolumeScanOptions::default().matrix([12, 24, 12]).coils(2).centre_lines(8)).unwrap();
    folder.complex("cube.npy", &cube.kspace);
    folder.real("short.npy", &ArrayD::<f32>::ones(vec![12]));
    folder.refused(&format!("recon cube.npy --mask short.npy -o z.npy {REST}"), "which fits (kz) and (kx)");
}
