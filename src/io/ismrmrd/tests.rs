//! Synthetic files, written by `hdf5-pure` with a hand-made global heap, read back.

use super::*;
use super::{header, heap, records::flag};
use hdf5_pure::{CompoundTypeBuilder, DatasetBuilder, Datatype, FileBuilder};
use ndarray::Axis;

/// A line to write; `data` is (coil, sample).
#[derive(Clone)]
pub(super) struct Line {
    pub flags: u64,
    pub line: u16,
    pub partition: u16,
    pub centre: u16,
    /// Slice, contrast, phase, repetition, set, average.
    pub counters: [u16; 6],
    /// Dwell time in µs.
    pub sample_time: f32,
    pub discard: [u16; 2],
    pub data: Vec<Vec<Complex32>>,
    /// (sample, dim)
    pub trajectory: Vec<Vec<f32>>,
}

impl Default for Line {
    fn default() -> Self {
        Line {
            flags: 0,
            line: 0,
            partition: 0,
            centre: 0,
            counters: [0; 6],
            sample_time: 0.0,
            discard: [0; 2],
            data: Vec::new(),
            trajectory: Vec::new(),
        }
    }
}

const COILS: usize = 2;

/// Coil `c`'s sample at (ky, kx), different everywhere.
fn value(coil: usize, ky: usize, kx: usize) -> Complex32 {
    Complex32::new((ky * 100 + kx) as f32, coil as f32 + 1.0)
}

pub(super) fn line(ky: usize, nx: usize) -> Line {
    Line {
        line: ky as u16,
        centre: (nx / 2) as u16,
        data: (0..COILS).map(|c| (0..nx).map(|kx| value(c, ky, kx)).collect()).collect(),
        ..Line::default()
    }
}

/// A line of a non-Cartesian scan.
pub(super) fn along(number: usize, trajectory: &[&[f32]]) -> Line {
    Line { trajectory: trajectory.iter().map(|k| k.to_vec()).collect(), ..line(number, trajectory.len()) }
}

pub(super) fn turned(mut line: Line) -> Line {
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
pub(super) fn record_type() -> Datatype {
    let idx = CompoundTypeBuilder::new()
        .u16_field("kspace_encode_step_1")
        .u16_field("kspace_encode_step_2")
        .u16_field("slice")
        .u16_field("contrast")
        .u16_field("phase")
        .u16_field("repetition")
        .u16_field("set")
        .u16_field("average");
    let head = CompoundTypeBuilder::new()
        .u64_field("flags")
        .u16_field("number_of_samples")
        .u16_field("active_channels")
        .u16_field("discard_pre")
        .u16_field("discard_post")
        .u16_field("center_sample")
        .u16_field("encoding_space_ref")
        .u16_field("trajectory_dimensions")
        .f32_field("sample_time_us")
        .field("idx", idx.build().unwrap());
    let record = CompoundTypeBuilder::new().field("head", head.build().unwrap());
    record.field("traj", vlen_f32()).field("data", vlen_f32()).build().unwrap()
}

/// How a file is stored.
#[derive(Clone, Copy)]
pub(super) struct Storage {
    /// Of the table of records.
    pub table: fn(&mut DatasetBuilder),
    /// Whether all records point at the values of the first.
    pub shared: bool,
}

/// As plainly as can be.
pub(super) const PLAIN: Storage = Storage { table: |_| (), shared: false };

fn build(xml: &str, lines: &[Line], heap_address: u64, storage: Storage) -> Vec<u8> {
    let mut table = Vec::new();
    let mut objects = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let samples = line.data[0].len() as u16;
        table.extend(line.flags.to_le_bytes());
        let dims = line.trajectory.first().map_or(0, Vec::len) as u16;
        let [pre, post] = line.discard;
        let head = [samples, line.data.len() as u16, pre, post, line.centre, 0, dims];
        table.extend(head.iter().flat_map(|v| v.to_le_bytes()));
        table.extend(line.sample_time.to_le_bytes());
        let idx = [&[line.line, line.partition], &line.counters[..]].concat();
        table.extend(idx.iter().flat_map(|v| v.to_le_bytes()));
        let values = line.data.iter().flatten();
        let data: Vec<u8> = values.flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect();
        let trajectory: Vec<u8> = line.trajectory.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
        let first = if storage.shared { 1 } else { 2 * i + 1 };
        for (object, index) in [(&trajectory, first + 1), (&data, first)] {
            table.extend(heap::reference(object.len() as u32 / 4, heap_address, index as u32));
        }
        if first > objects.len() {
            objects.extend([data, trajectory]);
        }
    }
    let mut file = FileBuilder::new();
    let mut group = file.create_group("dataset");
    group.create_dataset("xml").with_vlen_strings(&[xml]);
    let data = group.create_dataset("data");
    data.with_raw_data(record_type(), table, lines.len() as u64);
    (storage.table)(data);
    let group = group.finish();
    file.add_group(group);
    // The heap travels as the bytes of a dataset of its own.
    file.create_dataset("heap").with_u8_data(&heap::collection(&objects));
    file.finish().unwrap()
}

/// The file with the references pointing at where the heap came to lie.
pub(super) fn file(xml: &str, lines: &[Line], storage: Storage) -> Vec<u8> {
    let draft = build(xml, lines, 0, storage);
    let first: Vec<u8> =
        lines[0].data[0].iter().take(2).flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect();
    let is_ours = |at: &usize| {
        // The xml's own heap collection has the signature too; ours holds the first line.
        draft[*at..].starts_with(b"GCOL\x01") && draft[at + 16 + 16..].starts_with(&first)
    };
    let at = (0..draft.len() - 44).find(is_ours).unwrap();
    build(xml, lines, at as u64, storage)
}

fn write(path: &Path, xml: &str, lines: &[Line]) {
    std::fs::write(path, file(xml, lines, PLAIN)).unwrap();
}

pub(super) fn stacked(xml: &str, lines: &[Line], choice: &ScanChoice) -> Result<ScanStack> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scan.h5");
    write(&path, xml, lines);
    read_ismrmrd_stack(&path, choice)
}

fn read(xml: &str, lines: &[Line]) -> Result<IsmrmrdScan> {
    let found = stacked(xml, lines, &ScanChoice::default())?;
    Ok(found.images.into_iter().flatten().next().unwrap())
}

pub(super) fn scan(xml: &str, lines: &[Line]) -> Result<CartesianScan> {
    match read(xml, lines)? {
        IsmrmrdScan::Cartesian(scan) => Ok(scan),
        IsmrmrdScan::NonCartesian(other) => panic!("not Cartesian: {}", other.info.summary),
    }
}

pub(super) fn curved(xml: &str, lines: &[Line]) -> Result<NonCartesianScan> {
    match read(&xml.replace("cartesian", "Radial"), lines)? {
        IsmrmrdScan::NonCartesian(scan) => Ok(scan),
        IsmrmrdScan::Cartesian(other) => panic!("Cartesian: {}", other.info.summary),
    }
}

#[test]
fn lines_land_at_their_place() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let mut lines: Vec<Line> = (0..4).map(|ky| line(ky, 6)).collect();
    lines[3] = turned(lines[3].clone());
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.kspace.shape(), [COILS, 4, 6]);
    for (at, v) in scan.kspace.indexed_iter() {
        assert_eq!(*v, value(at[0], at[1], at[2]), "{at:?}");
    }
    assert!(scan.sampled.iter().all(|&s| s == 1.0));
    assert_eq!(scan.info.fov_mm, [2.0, 8.0, 12.0]);
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
    other_slice.counters[0] = 1;
    lines.push(other_slice);
    let scan = scan(&xml, &lines).unwrap();
    assert_eq!(scan.sampled.sum_axis(Axis(1)).into_raw_vec_and_offset().0, [0., 0., 6., 6.]);
    assert_eq!(scan.kspace[[0, 3, 0]], value(0, 1, 0) + 1.0);
    assert_eq!(scan.kspace[[1, 2, 5]], value(1, 0, 5));
    for part in ["2 of 4 ky", "up to 2 times", "skipped 1 of 7", "read slice 0 of 0 to 1", "1 reference line"] {
        assert!(scan.info.summary.contains(part), "{part}: {}", scan.info.summary);
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
    assert_eq!(scan.sampled.index_axis(Axis(0), 1).iter().copied().collect::<Vec<_>>(), [0., 0., 1., 1., 1., 1.]);
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
    assert_eq!(scan.kspace.shape(), [COILS, 2, 4]);
    let expected = 2f32.sqrt();
    assert!(scan.kspace.iter().all(|v| (v - expected).norm() < 1e-6));
    assert_eq!(scan.info.fov_mm, [2.0, 4.0, 8.0]);
    assert!(scan.info.summary.contains("8 to 4"));
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
    let message =
        |group: &str| read_ismrmrd(&path, &ScanChoice::default().group(Some(group.into()))).unwrap_err().to_string();
    assert!(message("dataset").contains("no such file"));
    std::fs::write(&path, "no hdf5").unwrap();
    assert!(message("dataset").contains("HDF5"));
    write(&path, &xml, &[line(0, 6)]);
    assert!(message("other").contains("the file has dataset"));
}

#[test]
fn relative_coordinates_are_scaled_and_turned_round() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let lines =
        [along(0, &[&[-0.5, 0.25], &[0.0, 0.0], &[0.5, -0.25]]), along(1, &[&[0.1, 0.2], &[0.0, 0.0], &[0.3, 0.5]])];
    let scan = curved(&xml, &lines).unwrap();
    assert_eq!(scan.kspace.dim(), (COILS, 2, 3));
    assert_eq!(scan.kspace[[1, 1, 2]], value(1, 1, 2));
    let k = scan.trajectory.unwrap();
    assert_eq!(k.dim(), (2, 3, 2));
    // (y, x), and x times 6, y times 4.
    assert_eq!((k[[0, 0, 0]], k[[0, 0, 1]], k[[0, 2, 1]]), (1.0, -3.0, 3.0));
    assert!((k[[1, 0, 0]] - 0.8).abs() < 1e-6 && (k[[1, 0, 1]] - 0.6).abs() < 1e-6);
    assert_eq!((scan.kind.as_str(), scan.units.contains("encoded matrix 4 x 6")), ("radial", true));
}

#[test]
fn other_coordinates_are_cycles() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    // The third is not needed for a slice; samples may be discarded; the file's line order stays.
    let mut lines =
        [along(3, &[&[-3.0, 1.5, 9.0], &[0.5, 0.5, 9.0]]), along(1, &[&[2.0, 0.25, 9.0], &[0.0, 0.0, 9.0]])];
    lines[1].flags = 1 << (flag::REVERSE - 1);
    let scan = curved(&xml, &lines).unwrap();
    let k = scan.trajectory.unwrap();
    assert_eq!((k[[0, 0, 0]], k[[0, 0, 1]], k[[1, 0, 1]]), (1.5, -3.0, 2.0));
    assert_eq!(scan.kspace[[0, 1, 0]], value(0, 1, 0));
    assert!(scan.units.contains("cycles") && scan.info.summary.contains("2 of 3"), "{}", scan.info.summary);
}

#[test]
fn a_stack_takes_z_from_the_partition() {
    let xml = header::sample([8, 8, 4], [8, 8, 4], 4);
    let mut lines = [along(0, &[&[-0.5, 0.0], &[0.5, 0.0]]), along(0, &[&[-0.5, 0.0], &[0.5, 0.0]])];
    lines[1].partition = 3;
    let k = curved(&xml, &lines).unwrap().trajectory.unwrap();
    assert_eq!(k.dim(), (2, 2, 3));
    assert_eq!((k[[0, 0, 0]], k[[1, 1, 0]], k[[1, 1, 2]]), (-2.0, 1.0, 4.0));
    // With all three given, they are taken as they are.
    let full = along(0, &[&[-0.5, 0.0, 0.5], &[0.5, 0.0, 0.25]]);
    let k = curved(&xml, &[full]).unwrap().trajectory.unwrap();
    assert_eq!((k[[0, 0, 0]], k[[0, 1, 0]], k[[0, 0, 2]]), (2.0, 1.0, -4.0));
}

#[test]
fn says_what_is_wrong_with_a_trajectory() {
    let xml = header::sample([6, 4, 1], [6, 4, 1], 2);
    let error = |lines: &[Line]| curved(&xml, lines).unwrap_err().to_string();
    let good = along(0, &[&[0.5, 0.0], &[0.0, 0.0]]);
    assert_eq!(curved(&xml, &[line(0, 2)]).unwrap().trajectory, None);
    assert!(error(&[good.clone(), line(1, 2)]).contains("a line has 0 trajectory dimensions, the first has 2"));
    assert!(error(&[good.clone(), line(1, 3)]).contains("a line has 3 samples, the first has 2"));
    assert!(error(&[along(0, &[&[0.5, f32::NAN], &[0.0, 0.0]])]).contains("NaN or infinite at line 0, sample 0"));
    assert!(error(&[along(0, &[&[0.5], &[0.0]])]).contains("has 1 dimension"));
    let mut short = good;
    short.trajectory.pop();
    assert!(error(&[short]).contains("needs 4 numbers, it has 2"));
}
