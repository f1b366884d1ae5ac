//! Synthetic files, written by `hdf5-pure` with a hand-made global heap, read back.

use super::*;
use super::{header, heap, records::flag};
use hdf5_pure::{CompoundTypeBuilder, Datatype, FileBuilder};
use ndarray::Axis;

/// A line to write; `data` is (coil, sample).
#[derive(Clone)]
struct Line {
    flags: u64,
    line: u16,
    slice: u16,
    centre: u16,
    data: Vec<Vec<Complex32>>,
}

const COILS: usize = 2;

/// Coil `c`'s sample at (ky, kx), different everywhere.
fn value(coil: usize, ky: usize, kx: usize) -> Complex32 {
    Complex32::new((ky * 100 + kx) as f32, coil as f32 + 1.0)
}

fn line(ky: usize, nx: usize) -> Line {
    Line {
        flags: 0,
        line: ky as u16,
        slice: 0,
        centre: (nx / 2) as u16,
        data: (0..COILS).map(|c| (0..nx).map(|kx| value(c, ky, kx)).collect()).collect(),
    }
}

fn turned(mut line: Line) -> Line {
    line.flags |= 1 << (flag::REVERSE - 1);
    line.data.iter_mut().for_each(|samples| samples.reverse());
    line
}

fn vlen_f32() -> Datatype {
    Datatype::VariableLength {
        is_string: false,
        padding: None,
        charset: None,
        base_type: Box::new(hdf5_pure::make_f32_type()),
    }
}

/// The members that are read, in a layout of their own: offsets come from the file, not from us.
fn record_type() -> Datatype {
    let idx = CompoundTypeBuilder::new()
        .u16_field("kspace_encode_step_1")
        .u16_field("kspace_encode_step_2")
        .u16_field("slice")
        .u16_field("contrast")
        .u16_field("phase")
        .u16_field("repetition")
        .u16_field("set");
    let head = CompoundTypeBuilder::new()
        .u64_field("flags")
        .u16_field("number_of_samples")
        .u16_field("active_channels")
        .u16_field("discard_pre")
        .u16_field("discard_post")
        .u16_field("center_sample")
        .u16_field("encoding_space_ref")
        .field("idx", idx.build().unwrap());
    CompoundTypeBuilder::new().field("head", head.build().unwrap()).field("data", vlen_f32()).build().unwrap()
}

fn build(xml: &str, lines: &[Line], heap_address: u64) -> Vec<u8> {
    let mut table = Vec::new();
    let mut objects = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let samples = line.data[0].len() as u16;
        table.extend(line.flags.to_le_bytes());
        let head = [samples, line.data.len() as u16, 0, 0, line.centre, 0];
        let idx = [line.line, 0, line.slice, 0, 0, 0, 0];
        table.extend(head.iter().chain(&idx).flat_map(|v| v.to_le_bytes()));
        let values = line.data.iter().flatten();
        let object: Vec<u8> = values.flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect();
        table.extend(heap::reference(object.len() as u32 / 4, heap_address, i as u32 + 1));
        objects.push(object);
    }
    let mut file = FileBuilder::new();
    let mut group = file.create_group("dataset");
    group.create_dataset("xml").with_vlen_strings(&[xml]);
    let data = group.create_dataset("data");
    data.with_raw_data(record_type(), table, lines.len() as u64);
    let group = group.finish();
    file.add_group(group);
    // The heap travels as the bytes of a dataset of its own.
    file.create_dataset("heap").with_u8_data(&heap::collection(&objects));
    file.finish().unwrap()
}

/// The file with the references pointing at where the heap came to lie.
fn write(path: &Path, xml: &str, lines: &[Line]) {
    let draft = build(xml, lines, 0);
    let first = lines[0].data[0][1].re.to_le_bytes();
    let is_ours = |at: &usize| {
        // The xml's own heap collection has the signature too; ours holds the first line.
        draft[*at..].starts_with(b"GCOL\x01") && draft[at + 16 + 16 + 8..].starts_with(&first)
    };
    let at = (0..draft.len() - 44).find(is_ours).unwrap();
    std::fs::write(path, build(xml, lines, at as u64)).unwrap();
}

fn scan(xml: &str, lines: &[Line]) -> Result<CartesianScan> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scan.h5");
    write(&path, xml, lines);
    read_ismrmrd(&path, "dataset")
}

#[test]
fn lines_land_at_their_place() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let mut lines: Vec<Line> = (0..4).map(|ky| line(ky, 6)).collect();
    lines[3] = turned(lines[3].clone());
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.kspace.dim(), (COILS, 4, 6));
    for ((c, ky, kx), v) in scan.kspace.indexed_iter() {
        assert_eq!(*v, value(c, ky, kx), "{c} {ky} {kx}");
    }
    assert!(scan.sampled.iter().all(|&s| s == 1.0));
    assert_eq!(scan.fov_mm, [8.0, 12.0]);
}

#[test]
fn partial_repeated_and_foreign_lines() {
    // Partial Fourier: step 0 is the centre, so lines 0 and 1 are rows 2 and 3.
    let xml = header::sample([6, 4, 1], [6, 4, 1], 0);
    let mut lines = vec![line(0, 6), line(1, 6), line(1, 6)];
    lines[2].data[0][0] += 2.0;
    for f in [flag::NOISE, flag::CALIBRATION, 23] {
        let mut other = line(0, 6);
        other.flags = 1 << (f - 1);
        lines.push(other);
    }
    let mut other_slice = line(0, 6);
    other_slice.slice = 1;
    lines.push(other_slice);
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.sampled.sum_axis(Axis(1)).to_vec(), [0., 0., 6., 6.]);
    assert_eq!(scan.kspace[[0, 3, 0]], value(0, 1, 0) + 1.0);
    assert_eq!(scan.kspace[[1, 2, 5]], value(1, 0, 5));
    for part in ["2 of 4 ky", "up to 2 times", "skipped 3 of 7", "slice 0 of 0 to 1"] {
        assert!(scan.summary.contains(part), "{part}: {}", scan.summary);
    }
}

#[test]
fn partial_echo_is_masked() {
    let xml = header::sample([6, 2, 1], [6, 2, 1], 1);
    let mut lines = vec![line(0, 6), line(1, 6)];
    for samples in &mut lines[1].data {
        samples.drain(..2);
    }
    lines[1].centre = 1;
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.sampled.row(1).to_vec(), [0., 0., 1., 1., 1., 1.]);
    assert_eq!(scan.kspace[[0, 1, 3]], value(0, 1, 3));
}

#[test]
fn oversampling_is_removed() {
    // A constant spectrum is a point at the image centre; it stays one, with the ortho scale.
    let xml = header::sample([8, 2, 1], [4, 2, 1], 1);
    let lines: Vec<Line> = (0..2)
        .map(|ky| {
            let mut line = line(ky, 8);
            line.data = vec![vec![Complex32::ONE; 8]; COILS];
            line
        })
        .collect();
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.kspace.dim(), (COILS, 2, 4));
    let expected = 2f32.sqrt();
    assert!(scan.kspace.iter().all(|v| (v - expected).norm() < 1e-6));
    assert_eq!(scan.fov_mm, [4.0, 8.0]);
    assert!(scan.summary.contains("8 to 4"));
}

#[test]
fn says_what_is_wrong() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let error = |lines: &[Line]| scan(&xml, lines).unwrap_err().to_string();
    let mut noise = line(0, 6);
    noise.flags = 1 << (flag::NOISE - 1);
    assert!(error(&[noise]).contains("none of its 1"));
    assert!(error(&[line(9, 6)]).contains("outside the 4 lines"));
    let mut other = line(1, 6);
    other.data.pop();
    assert!(error(&[line(0, 6), other]).contains("channels"));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.h5");
    let message = |group: &str| read_ismrmrd(&path, group).unwrap_err().to_string();
    assert!(message("dataset").contains("no such file"));
    std::fs::write(&path, "no hdf5").unwrap();
    assert!(message("dataset").contains("HDF5"));
    write(&path, &xml, &[line(0, 6)]);
    assert!(message("other").contains("the file has dataset"));
}
