//! Scans written as ISMRMRD files.
//!
//! Records have the members of the format's acquisition header (version 1.4). Their variable-length samples lie in global heap
//! collections, which `hdf5-pure` does not write for records of mixed members: here they are the bytes of a data set of their
//! own, `samples`, and the records refer to where it came to lie.

use super::super::Output;
use crate::allocate::expect_room;
use crate::error::shape_err;
use crate::{Error, Result};
use hdf5_pure::{
    CompoundTypeBuilder, Datatype, FileBuilder, make_f32_type, make_u16_type, make_u32_type, make_u64_type,
};
use ndarray::{ArrayD, ArrayViewD, Axis};
use num_complex::Complex32;

/// The name of the group that is written.
const GROUP: &str = "dataset";
/// Bytes of samples that one heap collection holds, about.
const COLLECTION: usize = 16 << 20;
/// Objects that one collection holds at most; they are numbered by 16 bits, from 1.
const OBJECTS: usize = 65_000;

/// A record to write.
struct Line<'a> {
    /// Along ky, and along kz.
    steps: [usize; 2],
    centre: usize,
    /// (coil, sample)
    data: ArrayViewD<'a, Complex32>,
    /// (sample, dim), relative to the encoded matrix.
    trajectory: Option<ArrayD<f32>>,
}

/// Writes Cartesian k-space (coil, ky, kx) or (coil, kz, ky, kx) as an ISMRMRD file (`.h5`): the lines along kx that `sampled`, of
/// the same axes but the coil, is 1 in, with `fov_mm` the field of view along the image's axes.
///
/// # Errors
/// [`Error::Shape`] for other axes, or a line that is sampled in part; [`Error::File`] when the file cannot be written.
pub fn write_ismrmrd(
    output: Output,
    kspace: ArrayViewD<Complex32>,
    sampled: ArrayViewD<f32>,
    fov_mm: &[f64],
) -> Result<()> {
    let (shape, grid) = (kspace.shape(), kspace.shape().get(1..).unwrap_or(&[]));
    if !(3..=4).contains(&shape.len()) || sampled.shape() != grid || fov_mm.len() != grid.len() {
        return shape_err!(
            "k-space of shape {shape:?} with a mask of {:?} and {} fields of view; expected (coil, ky, kx) or (coil, kz, ky, kx)",
            sampled.shape(),
            fov_mm.len()
        );
    }
    let slice = grid.len() == 2;
    let (ny, nx) = (grid[grid.len() - 2], grid[grid.len() - 1]);
    let nz = if slice { 1 } else { grid[0] };
    let mut lines = Vec::new();
    for (kz, ky) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
        let (mut values, mut mask) = (kspace.view(), sampled.view());
        if !slice {
            (values, mask) = (values.index_axis_move(Axis(1), kz), mask.index_axis_move(Axis(0), kz));
        }
        let (data, mask) = (values.index_axis_move(Axis(1), ky), mask.index_axis_move(Axis(0), ky));
        match mask.iter().filter(|v| **v != 0.0).count() {
            0 => continue,
            n if n == nx => lines.push(Line { steps: [ky, kz], centre: nx / 2, data, trajectory: None }),
            n => {
                return shape_err!("line (kz={kz}, ky={ky}) is sampled at {n} of {nx} places; lines are written whole");
            }
        }
    }
    write(output, &header("cartesian", grid, fov_mm), &lines)
}

/// Writes samples (coil, line, sample) with coordinates (line, sample, D) in cycles per field of view, component d along axis d of
/// an image of the extents `matrix`, as an ISMRMRD file (`.h5`). In the file they are relative to the matrix, x first.
///
/// # Errors
/// [`Error::Shape`] for axes that do not fit each other; [`Error::File`] when the file cannot be written.
pub fn write_ismrmrd_samples(
    output: Output,
    kspace: ArrayViewD<Complex32>,
    trajectory: ArrayViewD<f64>,
    matrix: &[usize],
    fov_mm: &[f64],
) -> Result<()> {
    let (shape, d) = (kspace.shape(), matrix.len());
    let fits = shape.len() == 3 && trajectory.shape() == [shape[1], shape[2], d] && fov_mm.len() == d;
    if !fits || !(2..=3).contains(&d) {
        return shape_err!(
            "samples of shape {shape:?} with coordinates of {:?} for an image of {matrix:?}; expected (coil, line, sample) and (line, \
             sample, {d})",
            trajectory.shape()
        );
    }
    let lines: Vec<Line> = (0..shape[1])
        .map(|line| {
            let mut relative = trajectory.index_axis(Axis(0), line).to_owned();
            relative.indexed_iter_mut().for_each(|(at, k)| *k /= matrix[at[1]] as f64);
            relative.invert_axis(Axis(1));
            let trajectory = Some(relative.mapv(|k| k as f32));
            Line { steps: [line, 0], centre: shape[2] / 2, data: kspace.index_axis(Axis(1), line), trajectory }
        })
        .collect();
    write(output, &header("radial", matrix, fov_mm), &lines)
}

/// The header: the encoded matrix is the reconstructed one.
fn header(trajectory: &str, matrix: &[usize], fov_mm: &[f64]) -> String {
    // x first; a slice has the thickness of a pixel.
    let extent = |axis: usize| matrix.iter().rev().nth(axis).copied().unwrap_or(1);
    let fov =
        |axis: usize| fov_mm.iter().rev().nth(axis).copied().unwrap_or(fov_mm[fov_mm.len() - 1] / extent(0) as f64);
    let space = format!(
        "<matrixSize><x>{}</x><y>{}</y><z>{}</z></matrixSize><fieldOfView_mm><x>{}</x><y>{}</y><z>{}</z></fieldOfView_mm>",
        extent(0),
        extent(1),
        extent(2),
        fov(0),
        fov(1),
        fov(2)
    );
    let limit = |name: &str, n: usize| {
        let last = n.saturating_sub(1);
        format!("<{name}><minimum>0</minimum><maximum>{last}</maximum><center>{}</center></{name}>", n / 2)
    };
    let limits = match trajectory {
        "cartesian" => {
            let steps = [limit("kspace_encoding_step_1", extent(1)), limit("kspace_encoding_step_2", extent(2))];
            format!("<encodingLimits>{}</encodingLimits>", steps.concat())
        }
        _ => "<encodingLimits></encodingLimits>".into(),
    };
    format!(
        "<?xml version=\"1.0\"?>\n<ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\"><experimentalConditions>\
         <H1resonanceFrequency_Hz>128000000</H1resonanceFrequency_Hz></experimentalConditions><encoding><encodedSpace>{space}\
         </encodedSpace><reconSpace>{space}</reconSpace>{limits}<trajectory>{trajectory}</trajectory></encoding></ismrmrdHeader>"
    )
}

fn write(output: Output, xml: &str, lines: &[Line]) -> Result<()> {
    let path = output.path().to_path_buf();
    let failed = |e: String| Error::file(&path, format!("cannot write: {e}"));
    let numbers = lines.iter().flat_map(|line| line.data.shape().iter().chain(&line.steps));
    if let Some(n) = numbers.copied().find(|n| *n > usize::from(u16::MAX)) {
        return Err(failed(format!("{n} samples, coils or lines; the format has at most 65535 of each")));
    }
    let bytes: usize = lines.iter().map(|line| 8 * line.data.len()).sum();
    // The samples, twice in a draft, and what is written.
    expect_room((bytes as u64).saturating_mul(4), "the file of a scan")?;
    let heap = Heap::of(lines);
    let record = record().map_err(|e| failed(e.to_string()))?;
    let build = |address: u64| -> Result<Vec<u8>> {
        let mut file = FileBuilder::new();
        let mut group = file.create_group(GROUP);
        group.create_dataset("xml").with_vlen_strings(&[xml]);
        let table = heap.table(lines, address);
        group.create_dataset("data").with_raw_data(record.clone(), table, lines.len() as u64);
        let group = group.finish();
        file.add_group(group);
        file.create_dataset("samples").with_u8_data(&heap.bytes);
        file.finish().map_err(|e| failed(e.to_string()))
    };
    // Addresses are numbers of a fixed length: the file with those that are right has the same places as one with others.
    let draft = build(0)?;
    let first = &heap.bytes[..heap.bytes.len().min(64)];
    let Some(address) = draft.windows(first.len().max(1)).position(|bytes| bytes == first) else {
        return Err(failed("its samples are not where they were put".into()));
    };
    drop(draft);
    let file = build(address as u64)?;
    if !file[address..].starts_with(&heap.bytes) {
        return Err(failed("its samples are not where they were put".into()));
    }
    output.write(|to| to.write_all(&file).map_err(|e| failed(e.to_string())))
}

/// Where an object lies: its collection's offset in the heap, its number, and how many f32 it has.
struct Place {
    collection: u64,
    number: u32,
    count: u32,
}

/// Global heap collections, one after the other.
struct Heap {
    bytes: Vec<u8>,
    /// Coordinates and samples of each line.
    places: Vec<[Place; 2]>,
}

impl Heap {
    fn of(lines: &[Line]) -> Heap {
        let mut heap = Heap { bytes: Vec::new(), places: Vec::with_capacity(lines.len()) };
        let (mut open, mut objects) = (Vec::new(), 0usize);
        for line in lines {
            let mut place = |object: Vec<u8>, heap: &Heap| {
                objects += 1;
                open.extend((objects as u16).to_le_bytes());
                // One reference, and four reserved bytes.
                open.extend([1, 0, 0, 0, 0, 0]);
                open.extend((object.len() as u64).to_le_bytes());
                open.extend(&object);
                open.resize(open.len().next_multiple_of(8), 0);
                let (number, count) = (objects as u32, (object.len() / 4) as u32);
                Place { collection: heap.bytes.len() as u64, number, count }
            };
            let coordinates = line.trajectory.iter().flatten().flat_map(|k| k.to_le_bytes()).collect::<Vec<u8>>();
            // Of no coordinates there is no object.
            let coordinates = match coordinates.is_empty() {
                true => Place { collection: 0, number: 0, count: 0 },
                false => place(coordinates, &heap),
            };
            let values = line.data.iter().flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat());
            let values = place(values.collect(), &heap);
            heap.places.push([coordinates, values]);
            if open.len() >= COLLECTION || objects + 2 > OBJECTS {
                heap.close(&mut open);
                objects = 0;
            }
        }
        if !open.is_empty() {
            heap.close(&mut open);
        }
        heap
    }

    fn close(&mut self, open: &mut Vec<u8>) {
        // What is free is object 0, of its own 16 bytes.
        open.extend([0; 8]);
        open.extend(16u64.to_le_bytes());
        self.bytes.extend(b"GCOL\x01\0\0\0");
        self.bytes.extend((16 + open.len() as u64).to_le_bytes());
        self.bytes.append(open);
    }

    /// All records, with references into a heap at this address.
    fn table(&self, lines: &[Line], address: u64) -> Vec<u8> {
        let mut table = Vec::new();
        let mut dimensions = 0;
        for (counter, (line, places)) in lines.iter().zip(&self.places).enumerate() {
            let (coils, samples) = (line.data.shape()[0] as u16, line.data.shape()[1] as u16);
            if let Some(trajectory) = &line.trajectory {
                dimensions = trajectory.shape()[1] as u16;
            }
            let u16s = |table: &mut Vec<u8>, values: &[u16]| table.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            let f32s = |table: &mut Vec<u8>, values: &[f32]| table.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            // Version, flags, measurement, counter, time stamps.
            u16s(&mut table, &[1]);
            table.extend(0u64.to_le_bytes());
            table.extend(0u32.to_le_bytes());
            table.extend((counter as u32).to_le_bytes());
            table.extend([0; 4 * 4]);
            u16s(&mut table, &[samples, coils, coils]);
            table.extend([0; 8 * 16]);
            u16s(&mut table, &[0, 0, line.centre as u16, 0, dimensions]);
            f32s(&mut table, &[5.0]);
            // Position; directions of readout, phase and slice; the table.
            f32s(&mut table, &[0., 0., 0., 1., 0., 0., 0., 1., 0., 0., 0., 1., 0., 0., 0.]);
            u16s(&mut table, &[line.steps[0] as u16, line.steps[1] as u16]);
            table.extend([0; 2 * (7 + 8)]);
            table.extend([0; 4 * 8 + 4 * 8]);
            for place in places {
                table.extend(place.count.to_le_bytes());
                let at = if place.count == 0 { 0 } else { address + place.collection };
                table.extend(at.to_le_bytes());
                table.extend(place.number.to_le_bytes());
            }
        }
        table
    }
}

/// The type of a record.
fn record() -> std::result::Result<Datatype, hdf5_pure::FormatError> {
    let array = |base: Datatype, n: u32| Datatype::Array { base_type: Box::new(base), dimensions: vec![n] };
    let vlen = || Datatype::VariableLength {
        is_string: false,
        padding: None,
        charset: None,
        base_type: Box::new(make_f32_type()),
    };
    let counters = [
        "kspace_encode_step_1",
        "kspace_encode_step_2",
        "average",
        "slice",
        "contrast",
        "phase",
        "repetition",
        "set",
        "segment",
    ];
    let idx = counters.iter().fold(CompoundTypeBuilder::new(), |idx, name| idx.u16_field(name));
    let idx = idx.field("user", array(make_u16_type(), 8)).build()?;
    let head = CompoundTypeBuilder::new()
        .u16_field("version")
        .u64_field("flags")
        .u32_field("measurement_uid")
        .u32_field("scan_counter")
        .u32_field("acquisition_time_stamp")
        .field("physiology_time_stamp", array(make_u32_type(), 3))
        .u16_field("number_of_samples")
        .u16_field("available_channels")
        .u16_field("active_channels")
        .field("channel_mask", array(make_u64_type(), 16));
    let places = ["discard_pre", "discard_post", "center_sample", "encoding_space_ref", "trajectory_dimensions"];
    let head = places.iter().fold(head, |head, name| head.u16_field(name)).f32_field("sample_time_us");
    let vectors = ["position", "read_dir", "phase_dir", "slice_dir", "patient_table_position"];
    let head = vectors.iter().fold(head, |head, name| head.field(name, array(make_f32_type(), 3)));
    let head = head
        .field("idx", idx)
        .field("user_int", array(hdf5_pure::make_i32_type(), 8))
        .field("user_float", array(make_f32_type(), 8))
        .build()?;
    CompoundTypeBuilder::new().field("head", head).field("traj", vlen()).field("data", vlen()).build()
}

#[cfg(test)]
mod tests {
    use super::super::{IsmrmrdScan, ScanChoice, read_ismrmrd};
    use super::*;
    use ndarray::{Array2, Array3};

    fn value(c: usize, y: usize, x: usize) -> Complex32 {
        Complex32::new((100 * y + x) as f32, c as f32 + 0.25)
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.h5");
        let output = || Output::create(&path, &["h5"], true).unwrap();
        // The lines of even ky.
        let mask = Array2::from_shape_fn((2_000, 8), |(y, _)| f32::from(y % 2 == 0));
        let kspace = Array3::from_shape_fn((3, mask.nrows(), 8), |(c, y, x)| value(c, y, x) * mask[[y, x]]);
        write_ismrmrd(output(), kspace.view().into_dyn(), mask.view().into_dyn(), &[240.0, 120.0]).unwrap();
        let IsmrmrdScan::Cartesian(scan) = read_ismrmrd(&path, &ScanChoice::default()).unwrap() else {
            panic!("not Cartesian")
        };
        assert!(scan.kspace == kspace.into_dyn() && scan.sampled == mask.into_dyn());
        let k = ArrayD::from_shape_fn(vec![5, 6, 2], |at| {
            (at[0] as f64 - 2.0) * (at[1] as f64 - 3.0) / (1.0 + at[2] as f64)
        });
        let samples = Array3::from_shape_fn((2, 5, 6), |(c, y, x)| value(c, y, x));
        write_ismrmrd_samples(output(), samples.view().into_dyn(), k.view(), &[16, 32], &[200.0, 200.0]).unwrap();
        let IsmrmrdScan::NonCartesian(scan) = read_ismrmrd(&path, &ScanChoice::default()).unwrap() else {
            panic!("Cartesian")
        };
        assert!(scan.kspace == samples);
        let found = scan.trajectory.unwrap().into_dyn();
        assert!((&found - &k).iter().all(|d| d.abs() < 1e-6), "{found}");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.h5");
        let output = || Output::create(&path, &["h5"], true).unwrap();
        let k = ArrayD::<Complex32>::zeros(vec![2, 4, 4]);
        let mut mask = ArrayD::ones(vec![4, 4]);
        mask[[1, 2]] = 0.0;
        let e = write_ismrmrd(output(), k.view(), mask.view(), &[1.0, 1.0]).unwrap_err().to_string();
        assert!(e.contains("line (kz=0, ky=1) is sampled at 3 of 4"), "{e}");
        let e = write_ismrmrd(output(), k.view(), mask.view(), &[1.0]).unwrap_err().to_string();
        assert!(e.contains("1 fields of view"), "{e}");
        let long = ArrayD::zeros(vec![1, 1, 70_000]);
        let e = write_ismrmrd(output(), long.view(), ArrayD::ones(vec![1, 70_000]).view(), &[1.0, 1.0]).unwrap_err();
        assert!(e.to_string().contains("at most 65535"), "{e}");
        let e = write_ismrmrd_samples(output(), k.view(), ArrayD::zeros(vec![4, 5, 2]).view(), &[4, 4], &[1.0, 1.0]);
        assert!(e.unwrap_err().to_string().contains("(coil, line, sample)"));
        assert!(!path.exists());
    }
}
