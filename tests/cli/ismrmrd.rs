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
