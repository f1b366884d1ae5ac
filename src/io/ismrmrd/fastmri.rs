//! Files of the fastMRI data set: k-space as one array (slice, coil, row, column) beside an ISMRMRD header.
//!
//! Zbontar et al., "fastMRI: An open dataset and benchmarks for accelerated MRI", arXiv:1811.08839 (2018). Rows are the readout
//! there, columns the phase encoding, and a mask counts columns.

use super::super::narrow::Narrowing;
use super::assemble::cut_to;
use super::choice::{Pick, ScanChoice};
use super::crop::{crop, crop_mask};
use super::header::Header;
use super::info::{ScanInfo, joined};
use super::readout::keep;
use super::select::{count_of, listed};
use super::{CartesianScan, IsmrmrdScan, ScanStack, claim, read_xml};
use crate::allocate::expect_room;
use hdf5_pure::{Dataset, Datatype, DatatypeByteOrder, File};
use ndarray::{Array3, Array4, Axis, s};
use num_complex::Complex32;

/// Whether the file has k-space as an array at its root.
pub(super) fn is_fastmri(file: &File) -> bool {
    file.root().datasets().is_ok_and(|all| all.iter().any(|name| name == "kspace"))
}

/// What the file says of its k-space: slices, coils, rows, columns.
pub(super) fn extents(kspace: &Dataset) -> Result<[usize; 4], String> {
    let shape = kspace.shape().map_err(|e| e.to_string())?;
    let shape: Vec<usize> = shape.iter().filter_map(|n| usize::try_from(*n).ok()).collect();
    match *shape.as_slice() {
        [slices, coils, rows, columns] if !shape.contains(&0) => Ok([slices, coils, rows, columns]),
        [slices, rows, columns] if !shape.contains(&0) => Ok([slices, 1, rows, columns]),
        _ => Err(format!(
            "its dataset 'kspace' has the shape {shape:?}, expected (slice, coil, ky, kx), or (slice, ky, kx) of a single coil"
        )),
    }
}

/// The header beside it, if it says anything of an encoding.
pub(super) fn header(file: &File) -> Option<Header> {
    let text = file.root().dataset("ismrmrd_header").ok()?;
    let xml = read_xml(&text, file.as_bytes().len() as u64).ok()?;
    Header::parse(&xml, 0).ok()
}

pub(super) fn read(file: &File, choice: &ScanChoice) -> Result<ScanStack, String> {
    let unreadable = |e: hdf5_pure::Error| format!("kspace: {e}");
    let kspace = file.root().dataset("kspace").map_err(unreadable)?;
    let [slices, coils, rows, columns] = extents(&kspace)?;
    let others = [
        ("contrast", &choice.contrast),
        ("phase", &choice.phase),
        ("repetition", &choice.repetition),
        ("set", &choice.set),
        ("average", &choice.average),
    ];
    if let Some((name, _)) = others.iter().find(|(_, pick)| !matches!(pick, Pick::Usual | Pick::Only(0))) {
        return Err(format!("a fastMRI file has slices, and no {name} to choose"));
    }
    let wanted = choice.slice.indices(slices, "slice")?;
    let number = Number::of(&kspace.datatype().map_err(unreadable)?)?;
    claim::bytes(&kspace, file.as_bytes().len() as u64).map_err(|e| format!("the dataset 'kspace' {e}"))?;
    let values = [coils, rows, columns].iter().fold(wanted.len() as u64, |n, extent| n.saturating_mul(*extent as u64));
    expect_room(values.saturating_mul(3 * 8), "the slices").map_err(|e| e.to_string())?;
    let mask = mask(file, columns)?;
    let header = header(file);
    let images = wanted.iter().map(|&slice| {
        let raw = kspace.read_raw_rows(slice as u64, 1).map_err(unreadable)?;
        let values = number.values(&raw, coils * rows * columns)?;
        let array = Array4::from_shape_vec((coils, 1, rows, columns), values).map_err(|e| e.to_string())?;
        let of = match slices {
            1 => String::new(),
            _ => format!("read slice {} of {}", listed(&wanted), listed(&(0..slices).collect::<Vec<_>>())),
        };
        Ok(Some(IsmrmrdScan::Cartesian(scan(array, mask.as_deref(), header.as_ref(), slice, of))))
    });
    let images = images.collect::<Result<_, String>>()?;
    let axes = if choice.slice.is_stack() { vec![("slice", wanted)] } else { Vec::new() };
    Ok(ScanStack { axes, images })
}

/// One slice, its oversampling removed by the header's fields of view.
fn scan(
    mut kspace: Array4<Complex32>,
    mask: Option<&[bool]>,
    header: Option<&Header>,
    slice: usize,
    note: String,
) -> CartesianScan {
    let (coils, _, rows, columns) = kspace.dim();
    let mut notes: Vec<String> = Some(note).filter(|n| !n.is_empty()).into_iter().collect();
    let mut sampled = Array3::from_shape_fn((1, rows, columns), |(_, row, column)| {
        let acquired = mask.is_none_or(|m| m[column]);
        f32::from(acquired && kspace.slice(s![.., 0, row, column]).iter().any(|v| *v != Complex32::default()))
    });
    let mut calibration: Option<Array4<Complex32>> = None;
    let mut left: [Option<usize>; 3] = [None; 3];
    let mut info = ScanInfo { counters: vec![("slice", slice)], ..ScanInfo::default() };
    if let Some(header) = header {
        // Which of the header's axes (x, y) are rows and columns: x, the readout, are rows, unless only columns fit.
        let turned = header.encoded[0] != rows && header.encoded[0] == columns;
        let axes = if turned { [1, 0] } else { [0, 1] };
        let pair = |of: &[f64; 3]| [of[2], of[axes[0]], of[axes[1]]];
        let sizes = |of: &[usize; 3]| [of[2], of[axes[0]], of[axes[1]]];
        info.encoded_matrix = sizes(&header.encoded);
        info.recon_matrix = sizes(&header.recon);
        info.encoded_fov_mm = pair(&header.encoded_fov);
        info.recon_fov_mm = pair(&header.recon_fov);
        info.fov_mm = info.encoded_fov_mm;
        let ways = if turned { ["phase", "readout"] } else { ["readout", "phase"] };
        for (axis, n) in [(1, rows), (2, columns)] {
            let (wide, narrow) = (info.encoded_fov_mm[axis], info.recon_fov_mm[axis]);
            let to = if wide > 0.0 && narrow > 0.0 { keep(n, wide, narrow, n) } else { n };
            let what = ways[axis - 1];
            let all = sampled.axis_iter(Axis(axis)).all(|line| line.iter().any(|v| *v > 0.0));
            if to < n && !all {
                left[axis] = Some(to);
                notes.push(format!("{what} oversampling, {n} of {to}, is cut from the image, as lines are missing"));
            } else if to < n {
                calibration.get_or_insert_with(|| kspace.clone());
                kspace = crop(kspace, axis, to);
                sampled = crop_mask(sampled, axis, to);
                info.fov_mm[axis] = wide * to as f64 / n as f64;
                notes.push(format!("{what} oversampling removed: {n} to {to}"));
            }
        }
    }
    kspace *= &sampled.mapv(Complex32::from);
    let (_, _, rows, columns) = kspace.dim();
    info.cut_to = cut_to(left, [1, rows, columns]);
    let acquired = sampled.index_axis(Axis(0), 0).columns().into_iter().filter(|c| c.iter().any(|v| *v > 0.0)).count();
    info.summary =
        joined(format!("{}, {acquired} of {columns} columns, {rows} rows (fastMRI)", count_of(coils, "coil")), &notes);
    CartesianScan {
        kspace: kspace.slice_move(s![.., 0, .., ..]).into_dyn(),
        sampled: sampled.slice_move(s![0, .., ..]).into_dyn(),
        calibration: calibration.map(|lines| lines.slice_move(s![.., 0, .., ..]).into_dyn()),
        info,
    }
}

/// Which columns were acquired, where the file says.
fn mask(file: &File, columns: usize) -> Result<Option<Vec<bool>>, String> {
    let Ok(mask) = file.root().dataset("mask") else { return Ok(None) };
    let unreadable = |e: hdf5_pure::Error| format!("mask: {e}");
    claim::bytes(&mask, file.as_bytes().len() as u64).map_err(|e| format!("the dataset 'mask' {e}"))?;
    let values: Vec<bool> = match mask.element_size().map_err(unreadable)? {
        1 => mask.read_raw().map_err(unreadable)?.iter().map(|v| *v != 0).collect(),
        _ => mask.read_f64().map_err(unreadable)?.iter().map(|v| *v != 0.0).collect(),
    };
    match values.len() == columns {
        true => Ok(Some(values)),
        false => Err(format!("its mask has {} values, expected one for each of {columns} columns", values.len())),
    }
}

/// How a complex number lies in the file.
struct Number {
    size: usize,
    parts: [usize; 2],
    double: bool,
}

impl Number {
    fn of(datatype: &Datatype) -> Result<Number, String> {
        let wrong = || "its dataset 'kspace' does not hold complex numbers of 32 or 64 bits".to_string();
        let Datatype::Compound { members, .. } = datatype else { return Err(wrong()) };
        let [re, im] = members.as_slice() else { return Err(wrong()) };
        let float = |datatype: &Datatype| match datatype {
            Datatype::FloatingPoint { size, byte_order: DatatypeByteOrder::LittleEndian, .. } => Some(*size),
            _ => None,
        };
        let size =
            float(&re.datatype).filter(|n| [4, 8].contains(n) && float(&im.datatype) == Some(*n)).ok_or_else(wrong)?;
        let parts = [re.byte_offset as usize, im.byte_offset as usize];
        let whole = datatype.type_size() as usize;
        if parts.iter().any(|at| at + size as usize > whole) {
            return Err(wrong());
        }
        Ok(Number { size: whole, parts, double: size == 8 })
    }

    fn values(&self, bytes: &[u8], n: usize) -> Result<Vec<Complex32>, String> {
        if bytes.len() != n.saturating_mul(self.size) {
            return Err(format!(
                "its dataset 'kspace' has {} bytes for a slice, expected {}",
                bytes.len(),
                n * self.size
            ));
        }
        let mut narrowing = Narrowing::default();
        let mut part = |number: &[u8], at: usize| match self.double {
            true => narrowing.of(f64::from_bits(super::heap::little_endian(&number[at..at + 8]))),
            false => f32::from_bits(super::heap::little_endian(&number[at..at + 4]) as u32),
        };
        let values = bytes
            .chunks_exact(self.size)
            .map(|b| Complex32::new(part(b, self.parts[0]), part(b, self.parts[1])))
            .collect();
        narrowing.message().map_or(Ok(values), Err)
    }
}
