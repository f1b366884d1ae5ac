//! `recon` of an ISMRMRD file that brings its trajectory.

use crate::harness::{Folder, distance};
use crate::raw_scan::{Line, written};
use linops::app::trajectory::golden_radial;
use linops::app::{SampleOptions, sample_scan};
use linops::io::Array;
use ndarray::{ArrayD, Axis};
use num_complex::Complex32;

const N: usize = 32;

const HEADER: &str = "<ismrmrdHeader><encoding>\
    <encodedSpace><matrixSize><x>32</x><y>32</y><z>1</z></matrixSize></encodedSpace>\
    <reconSpace><matrixSize><x>32</x><y>32</y><z>1</z></matrixSize></reconSpace>\
    <trajectory>radial</trajectory></encoding></ismrmrdHeader>";

/// A header of radial lines: encoded and reconstructed matrix and mm.
fn header(encoded: (usize, f64), recon: (usize, f64)) -> String {
    let space = |name: &str, (n, mm): (usize, f64)| {
        format!(
            "<{name}><matrixSize><x>{n}</x><y>{n}</y><z>1</z></matrixSize>\
             <fieldOfView_mm><x>{mm}</x><y>{mm}</y><z>5</z></fieldOfView_mm></{name}>"
        )
    };
    let spaces = space("encodedSpace", encoded) + &space("reconSpace", recon);
    format!("<ismrmrdHeader><encoding>{spaces}<trajectory>radial</trajectory></encoding></ismrmrdHeader>")
}

/// Scans of the head over a field of view of N pixels, of which the header encodes `encoded` and shows `recon`.
fn head(folder: &Folder, spokes_of: usize, encoded: (usize, f64), recon: (usize, f64)) {
    let trajectory = golden_radial(spokes_of, 2 * N, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.002).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    written(folder, "scan.h5", &header(encoded, recon), "dataset", &spokes(&scan.kspace, &trajectory));
}

/// The distance of magnitudes after the best scale, which is given as well.
fn off(a: &ArrayD<Complex32>, truth: &ArrayD<Complex32>) -> (f32, f32) {
    let [a, truth] = [a, truth].map(|x| x.mapv(|v| Complex32::from(v.norm())));
    let product: f32 = a.iter().zip(&truth).map(|(a, b)| a.re * b.re).sum();
    let scale = product / a.iter().map(|a| a.re * a.re).sum::<f32>();
    (distance(&a.mapv(|v| v * scale), &truth), scale)
}

/// Spokes of k-space (coil, line, sample) and coordinates (line, sample, (y, x)): x first, within ±0.5.
fn spokes(kspace: &ArrayD<Complex32>, trajectory: &ArrayD<f64>) -> Vec<Line> {
    let spoke = |line: usize| {
        let relative = |sample: usize, axis: usize| (trajectory[[line, sample, axis]] / N as f64) as f32;
        let points = (0..kspace.shape()[2]).map(|s| [relative(s, 1), relative(s, 0)]);
        let data = kspace.index_axis(Axis(1), line).outer_iter().map(|coil| coil.iter().copied().collect()).collect();
        Line { line: line as u16, trajectory: points.collect(), data, ..Line::default() }
    };
    (0..kspace.shape()[1]).map(spoke).collect()
}

#[test]
fn a_file_with_its_trajectory_is_all_it_takes() {
    let folder = Folder::new();
    let trajectory = golden_radial(24, 48, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.005).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    written(&folder, "scan.h5", HEADER, "dataset", &spokes(&scan.kspace, &trajectory));

    let text = folder.good("recon scan.h5 -o x.npy --device host");
    for part in ["24 lines of 48 samples", "(x, y) within ±0.5", "encoded matrix 32 x 32", "ESPIRiT", "pipe"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    // The same from arrays.
    folder.complex("k.npy", &scan.kspace);
    folder.array("traj.npy", &Array::F64(trajectory));
    folder.good("recon k.npy --traj traj.npy -o y.npy --device host");
    let apart = distance(&folder.read("x.npy"), &folder.read("y.npy"));
    assert!(apart < 1e-3, "{apart}");
    // Its trajectory gives way to one that is named.
    let text = folder.good("recon scan.h5 --traj traj.npy -o z.npy --device host");
    assert!(text.contains("in the order of the image's axes"), "{text}");
    folder.refused("recon scan.h5 --mask x.npy -o w.npy --device host", "--mask is for Cartesian data");
}

/// An image of a smaller field of view than the object has is solved on the encoded one, and cut.
#[test]
fn objects_beyond_the_image_do_not_fold_into_it() {
    let folder = Folder::new();
    head(&folder, 60, (N, 240.0), (N, 240.0));
    folder.good("recon scan.h5 -o all.npy --device host");
    head(&folder, 60, (N, 240.0), (N / 2, 120.0));
    let middle = ndarray::Slice::from(N / 4..3 * N / 4);
    let truth = folder.read("all.npy").slice_axis(Axis(0), middle).slice_axis(Axis(1), middle).to_owned();
    let facts = folder.json("recon scan.h5 -o x.npy --device host");
    assert_eq!((&facts["matrix"], &facts["image"]), (&serde_json::json!([N, N]), &serde_json::json!([16, 16])));
    assert_eq!(
        (&facts["fov_mm"], &facts["voxel_mm"]),
        (&serde_json::json!([5.0, 120.0, 120.0]), &serde_json::json!([5.0, 7.5, 7.5]))
    );
    assert!(facts["notes"].to_string().contains("solved on 32 x 32 over 240 x 240 mm and cut"), "{facts}");
    let x = folder.read("x.npy");
    let (apart, scale) = off(&x, &truth);
    assert!(apart < 0.02, "{apart}");
    // A volume of slices has the size of what is kept.
    folder.good("recon scan.h5 --slice all -o x.nii --device host");
    let volume = folder.json("inspect x.nii");
    assert_eq!(
        (&volume["shape"], &volume["voxel"]),
        (&serde_json::json!([1, 16, 16]), &serde_json::json!([5.0, 7.5, 7.5]))
    );
    // The same with the maps that calibrate writes, with half of them, which is warned of, and from an image to start with.
    let told = folder.good("calibrate scan.h5 -o m.npy --device host");
    assert!(told.contains("solved on 32 x 32 over") && folder.read("m.npy").shape() == [4, N, N], "{told}");
    folder.good("recon scan.h5 --maps m.npy -o y.npy --device host");
    let again = off(&folder.read("y.npy"), &x);
    assert!(again.0 < 0.02 && (again.1 - 1.0).abs() < 0.02, "{again:?}");
    folder.good("calibrate scan.h5 --matrix 16 -o small.npy --device host");
    assert_eq!(folder.read("small.npy").shape(), [4, 16, 16]);
    folder.warned("recon scan.h5 --maps small.npy -o z.npy --device host", "larger than the field of view of the maps");
    let folded = off(&folder.read("z.npy"), &truth).0;
    assert!(folded > 0.1, "{folded}");
    folder.good("recon scan.h5 --maps m.npy --reg l2:1e-3 --init x.npy -o w.npy --device host");
    folder.good("recon scan.h5 --maps m.npy --reg l2:1e-3 -o v.npy --device host");
    assert!(distance(&folder.read("w.npy"), &folder.read("v.npy")) < 0.02);

    // In the scale of the orthonormal transform of the image, on a quarter of the pixels.
    assert!((scale - 2.0).abs() < 0.02, "{scale}");

    // What fits is solved on the field of view of the image.
    let whole = folder.read("all.npy");
    head(&folder, 60, (2 * N, 480.0), (N, 240.0));
    let facts = folder.json("recon scan.h5 -o x.npy --force --device host");
    assert_eq!((&facts["matrix"], &facts["image"]), (&serde_json::json!([N, N]), &serde_json::json!([N, N])));
    let apart = distance(&folder.read("x.npy"), &whole);
    assert!(apart < 1e-3, "{apart}");
}

#[test]
fn the_header_says_how_many_pixels() {
    let folder = Folder::new();
    for (encoded, recon, image) in [(31, 31, 31), (32, 31, 32), (33, 33, 33), (32, 64, 32)] {
        head(&folder, 40, (encoded, 240.0), (recon, 240.0));
        let facts = folder.json("recon scan.h5 -o x.npy --force --device host");
        assert_eq!(facts["image"], serde_json::json!([image, image]), "{encoded} {recon}");
        let told = facts["notes"].to_string().contains(&format!("the header's image has {recon} x {recon}"));
        assert_eq!(told, image != recon, "{facts}");
    }
    head(&folder, 40, (32, 240.0), (64, 240.0));
    folder.good("recon scan.h5 -o x.npy --force --device host");
    let told = folder.good("recon scan.h5 --zero-fill -o fine.npy --device host");
    assert!(told.contains("zero-filled to 64 x 64") && told.contains("pixels of 3.75 x 3.75 mm"), "{told}");
    let (coarse, fine) = (folder.read("x.npy"), folder.read("fine.npy"));
    assert_eq!(fine.shape(), [64, 64]);
    let every = fine
        .slice_axis(Axis(0), ndarray::Slice::new(0, None, 2))
        .slice_axis(Axis(1), ndarray::Slice::new(0, None, 2))
        .to_owned();
    assert!(distance(&every, &coarse) < 1e-4);
}

/// Maps of all slices are found by each of them.
#[test]
fn slices_of_spokes_have_their_maps() {
    let folder = Folder::new();
    let trajectory = golden_radial(40, 2 * N, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.002).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    let slice = |n: u16| {
        let kspace = scan.kspace.mapv(|v| v * (1.0 + f32::from(n)));
        spokes(&kspace, &trajectory).into_iter().map(move |line| Line { slice: n, ..line })
    };
    let lines: Vec<Line> = (0..2).flat_map(slice).collect();
    written(&folder, "scan.h5", &header((N, 240.0), (N, 240.0)), "dataset", &lines);
    folder.good("calibrate scan.h5 --slice all -o m.npy --device host");
    assert_eq!(folder.read("m.npy").shape(), [2, 4, N, N]);
    folder.good("recon scan.h5 --slice all -o x.npy --device host");
    folder.good("recon scan.h5 --slice all --maps m.npy -o y.npy --device host");
    let apart = distance(&folder.read("y.npy"), &folder.read("x.npy"));
    assert!(apart < 1e-3, "{apart}");
}

/// What it did takes eight lines, whatever is asked for.
#[test]
fn eight_lines_say_it() {
    let folder = Folder::new();
    head(&folder, 40, (32, 240.0), (64, 240.0));
    for more in [
        "",
        "--zero-fill",
        "--reg tv",
        "--reg tv --reg l1-wavelet --zero-fill --bits 16",
        "--rss",
        "--compress 3 --reg l2:0.01",
    ] {
        let text = folder.good(&format!("recon scan.h5 {more} -o x.png --force --device host"));
        assert!(text.lines().count() <= 8, "{more}: {text}");
    }
}

/// Repetitions along spokes of their own are frames; one has fewer spokes, another shorter ones.
#[test]
fn repetitions_along_spokes_are_frames_of_a_series() {
    let folder = Folder::new();
    let all = golden_radial(72, 2 * N, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.002).seed(2);
    let scan = sample_scan(all.view(), &options).unwrap();
    folder.complex("maps.npy", &scan.maps);
    let whole = spokes(&scan.kspace, &all);
    // The first and the last samples of a spoke are left out of the shorter ones.
    let shorter = |line: &Line, by: usize| {
        let (samples, mut line) = (line.trajectory.len(), line.clone());
        line.trajectory = line.trajectory[by..samples - by].to_vec();
        line.data = line.data.iter().map(|row| row[by..samples - by].to_vec()).collect();
        line
    };
    let frame = |t: usize, from: usize, to: usize, by: usize| {
        let lines = whole[from..to].iter().enumerate();
        lines.map(|(k, line)| Line { line: k as u16, repetition: t as u16, ..shorter(line, by) }).collect::<Vec<Line>>()
    };
    let frames = [frame(0, 0, 24, 0), frame(1, 24, 48, 0), frame(2, 48, 66, 4)];
    written(&folder, "scan.h5", &header((N, 240.0), (N, 240.0)), "dataset", &frames.concat());
    let rest = "--maps maps.npy --lambda 0.01 --tol 1e-6 --device host --force";
    let text = folder.good(&format!("recon scan.h5 --repetition all --time {rest} -o series.npy"));
    for part in ["3 frames by repetition", "1008 to 1536 samples each", "3 frames of 32 x 32, 240 x 240 mm"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    let series = folder.read("series.npy");
    assert_eq!(series.shape(), [3, N, N]);
    for t in 0..3 {
        folder.good(&format!("recon scan.h5 --repetition {t} {rest} -o one.npy"));
        let apart = distance(&series.index_axis(Axis(0), t).to_owned(), &folder.read("one.npy"));
        assert!(apart < 2e-3, "{t}: {apart}");
    }
    // Weights from a file count for the samples that a frame has, and for no others.
    folder.real("ones.npy", &ArrayD::<f32>::ones(vec![3, 24, 2 * N]));
    for (dcf, image) in [("none", "plain.npy"), ("ones.npy", "ones-image.npy")] {
        folder.good(&format!("recon scan.h5 --repetition all --time --dcf {dcf} {rest} -o {image}"));
    }
    let apart = distance(&folder.read("ones-image.npy"), &folder.read("plain.npy"));
    assert!(apart < 1e-5, "{apart}");
    // The same from arrays, where all frames have as many samples.
    let part =
        |a: &ArrayD<Complex32>, t: usize| a.slice_axis(Axis(1), ndarray::Slice::from(24 * t..24 * (t + 1))).to_owned();
    let both = [part(&scan.kspace, 0), part(&scan.kspace, 1)];
    folder.complex("k.npy", &ndarray::stack(Axis(0), &[both[0].view(), both[1].view()]).unwrap());
    let split = all.slice_axis(Axis(0), ndarray::Slice::from(..48)).to_owned();
    folder.array("traj.npy", &Array::F64(split.into_shape_with_order(vec![2, 24, 2 * N, 2]).unwrap()));
    for reg in ["", "--reg llr:0.01"] {
        let rest = format!("--maps maps.npy {reg} --tol 1e-5 --device host --force");
        folder.good(&format!("recon scan.h5 --repetition 0:2 --time {rest} -o x.npy"));
        folder.good(&format!("recon k.npy --traj traj.npy --time {rest} -o y.npy"));
        let apart = distance(&folder.read("x.npy"), &folder.read("y.npy"));
        assert!(apart < 1e-3, "{reg}: {apart}");
    }
    // Maps of all frames together.
    let facts = folder.json("recon scan.h5 --repetition all --time --device host -o own.npy");
    assert!(facts["maps"].to_string().contains("estimated from all frames"), "{facts}");
    assert_eq!(facts["lambda_from"], "default");
    let apart = off(&folder.read("own.npy").index_axis(Axis(0), 1).to_owned(), &scan.reference.clone().into_dyn()).0;
    assert!(apart < 0.3, "{apart}");
    // An object beyond the image is solved on the encoded field of view, all frames alike, and cut.
    written(&folder, "part.h5", &header((N, 240.0), (N / 2, 120.0)), "dataset", &frames.concat());
    let text = folder.good("recon part.h5 --repetition all --time --device host -o part.npy");
    assert!(text.contains("solved on 32 x 32 over 240 x 240 mm and cut"), "{text}");
    assert_eq!(folder.read("part.npy").shape(), [3, N / 2, N / 2]);
    folder.good("recon part.h5 --repetition 1 --device host -o one.npy --force");
    let apart = off(&folder.read("part.npy").index_axis(Axis(0), 1).to_owned(), &folder.read("one.npy")).0;
    assert!(apart < 0.1, "{apart}");
    // What is not for it is refused.
    folder.misused("recon scan.h5 --repetition all --time --traj traj.npy -o z.npy", "as they were acquired");
    folder
        .refused("recon scan.h5 --repetition all --time --traj-units rad -o z.npy --device host", "told by its header");
}
