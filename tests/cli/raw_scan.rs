//! ISMRMRD files of any lines, flags and counters, which the library's own writer does not make.

use crate::harness::Folder;
use hdf5_pure::{CompoundTypeBuilder, Datatype, FileBuilder};
use num_complex::Complex32;

/// A line of k-space.
#[derive(Clone, Default)]
pub struct Line {
    pub flags: u64,
    pub line: u16,
    pub partition: u16,
    pub slice: u16,
    pub repetition: u16,
    /// Coordinates of the samples, one behind the other; none of a Cartesian line.
    pub trajectory: Vec<[f32; 2]>,
    /// (coil, sample)
    pub data: Vec<Vec<Complex32>>,
}

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
    CompoundTypeBuilder::new().field("head", head).field("traj", vlen()).field("data", vlen()).build().unwrap()
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

/// A file of these lines; its heap is at `address`. Gives the heap as well.
fn build(xml: &str, group: &str, lines: &[Line], address: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut objects) = (Vec::new(), Vec::new());
    for line in lines {
        let samples = line.data[0].len() as u16;
        let dims = if line.trajectory.is_empty() { 0 } else { 2 };
        table.extend(line.flags.to_le_bytes());
        let head = [samples, line.data.len() as u16, dims, 0, 0, samples / 2, 0];
        let idx = [line.line, line.partition, line.slice, 0, 0, line.repetition, 0];
        table.extend(head.iter().chain(&idx).flat_map(|v| v.to_le_bytes()));
        let points: Vec<u8> = line.trajectory.iter().flatten().flat_map(|k| k.to_le_bytes()).collect();
        let values = line.data.iter().flatten();
        let data: Vec<u8> = values.flat_map(|v| [v.re.to_le_bytes(), v.im.to_le_bytes()].concat()).collect();
        for object in [points, data] {
            if object.is_empty() {
                table.extend([0; 16]);
                continue;
            }
            table.extend((object.len() as u32 / 4).to_le_bytes());
            table.extend(address.to_le_bytes());
            objects.push(object);
            table.extend((objects.len() as u32).to_le_bytes());
        }
    }
    let heap = heap(&objects);
    let mut file = FileBuilder::new();
    let mut inside = file.create_group(group);
    inside.create_dataset("xml").with_vlen_strings(&[xml]);
    inside.create_dataset("data").with_raw_data(record(), table, lines.len() as u64);
    let inside = inside.finish();
    file.add_group(inside);
    file.create_dataset("heap").with_u8_data(&heap);
    (file.finish().unwrap(), heap)
}

/// Writes them; the references point at where the heap came to lie.
pub fn written(folder: &Folder, name: &str, xml: &str, group: &str, lines: &[Line]) {
    let (draft, heap) = build(xml, group, lines, 0);
    let at = draft.windows(64).position(|bytes| bytes == &heap[..64]).unwrap();
    folder.text(name, build(xml, group, lines, at as u64).0);
}
