//! `recon` of an ISMRMRD file that brings its trajectory.

use crate::harness::{Folder, distance};
use hdf5_pure::{CompoundTypeBuilder, Datatype, FileBuilder};
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

/// Variable-length f32, of which a record holds a reference: count, heap address, object.
fn vlen() -> Datatype {
    let base_type = Box::new(hdf5_pure::make_f32_type());
    Datatype::VariableLength { is_string: false, padding: None, charset: None, base_type }
}

fn record() -> Datatype {
    let names = ["kspace_encode_step_1", "kspace_encode_step_2", "slice", "contrast", "phase", "repetition", "set"];
    let idx = names.iter().fold(CompoundTypeBuilder::new(), |idx, name| idx.u16_field(name)).build().unwrap();
    let names = [
        "number_of_samples",
        "active_channels",
        "trajectory_dimensions",
        "discard_pre",
        "discard_post",
        "center_sample",
        "encoding_space_ref",
    ];
    let head = CompoundTypeBuilder::new().u64_field("flags");
    let head = names.iter().fold(head, |head, name| head.u16_field(name)).field("idx", idx).build().unwrap();
    let record = CompoundTypeBuilder::new().field("head", head);
    record.field("traj", vlen()).field("data", vlen()).build().unwrap()
}

/// An HDF5 global heap collection of these objects, numbered from 1.
fn heap(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        body.extend((i as u16 + 1).to_le_bytes());
        body.extend([1, 0, 0, 0, 0, 0]);
        body.extend((object.len() as u64).to_le_bytes());
        body.extend(object);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    body.extend([0; 16]);
    [&b"GCOL\x01\0\0\0"[..], &(16 + body.len() as u64).to_le_bytes(), &body].concat()
}

/// A file of k-space (coil, line, sample) and coordinates (line, sample, (y, x)); its heap is at `address`.
fn build(kspace: &ArrayD<Complex32>, trajectory: &ArrayD<f64>, address: u64) -> (Vec<u8>, Vec<u8>) {
    let (coils, lines, samples) = (kspace.shape()[0], kspace.shape()[1], kspace.shape()[2]);
    let (mut table, mut objects) = (Vec::new(), Vec::new());
    for line in 0..lines {
        table.extend(0u64.to_le_bytes());
        let head = [samples, coils, 2, 0, 0, samples / 2, 0, line, 0, 0, 0, 0, 0, 0];
        table.extend(head.iter().flat_map(|v| (*v as u16).to_le_bytes()));
        // x first, within ±0.5.
        let relative = |sample: usize, axis: usize| (trajectory[[line, sample, axis]] / N as f64) as f32;
        let points = (0..samples).flat_map(|s| [relative(s, 1), relative(s, 0)]).flat_map(f32::to_le_bytes);
        let data = kspace.index_axis(Axis(1), line);
        let values = data.iter().flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat());
        for object in [points.collect::<Vec<u8>>(), values.collect()] {
            table.extend((object.len() as u32 / 4).to_le_bytes());
            table.extend(address.to_le_bytes());
            objects.push(object);
            table.extend((objects.len() as u32).to_le_bytes());
        }
    }
    let heap = heap(&objects);
    let mut file = FileBuilder::new();
    let mut group = file.create_group("dataset");
    group.create_dataset("xml").with_vlen_strings(&[HEADER]);
    group.create_dataset("data").with_raw_data(record(), table, lines as u64);
    let group = group.finish();
    file.add_group(group);
    file.create_dataset("heap").with_u8_data(&heap);
    (file.finish().unwrap(), heap)
}

#[test]
fn a_file_with_its_trajectory_is_all_it_takes() {
    let folder = Folder::new();
    let trajectory = golden_radial(24, 48, N).unwrap().into_dyn();
    let options = SampleOptions::default().ny(N).nx(N).coils(4).noise(0.005).seed(2);
    let scan = sample_scan(trajectory.view(), &options).unwrap();
    // The references point at where the heap came to lie.
    let (draft, heap) = build(&scan.kspace, &trajectory, 0);
    let at = draft.windows(64).position(|bytes| bytes == &heap[..64]).unwrap();
    folder.text("scan.h5", build(&scan.kspace, &trajectory, at as u64).0);

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
