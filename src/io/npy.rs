//! NumPy's `.npy` format, versions 1 to 3.
//!
//! Read are numbers and booleans of both byte orders and both axis orders; a wrong length is reported in bytes.

mod header;

use super::file::{Source, read_values, source};
use super::format::{Format, Probe, Reader, Writer};
use super::{Array, Output};
use crate::allocate::room_for;
use crate::{Error, Result};
use bytemuck::{NoUninit, cast_slice};
use half::f16;
use header::Header;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use num_complex::{Complex32, Complex64};
use std::io::{Read, Write};
use std::path::Path;

const SUPPORTED: &str = "f2, f4, f8, c8, c16, i1, i2, i4, i8, u1, u2, u4, u8 and bool";

pub(super) const FORMAT: Format = Format {
    name: "NumPy array",
    suffixes: &["npy"],
    companion: None,
    probe: Some(probe),
    reader: Some(Reader::Array(|path| read_npy(path))),
    writer: Some(Writer::Array(write_npy)),
};

/// Reads an `.npy` file into C order; `-` is the standard input.
///
/// Integers become `I64` (`u1` and bool become `U8`), half floats `F32`; extents of 0 are refused.
///
/// # Errors
/// [`Error::File`] when the file is missing, is no `.npy` file, has another element type, is
/// shorter or longer than its header says, or holds a `u8` integer above `i64::MAX`.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    read_from(path, source(path)?)
}

/// Reads an `.npy` file from somewhere; `path` is its name in errors.
pub(super) fn read_from(path: &Path, source: Source) -> Result<Array> {
    let Opened { mut file, header, element, count } = Opened::new(path, source)?;
    element.read(path, &mut *file, count, IxDyn(&header.shape), header.fortran)
}

fn probe(path: &Path) -> Result<Probe> {
    probe_from(path, source(path)?)
}

/// What the header of an `.npy` file says.
pub(super) fn probe_from(path: &Path, source: Source) -> Result<Probe> {
    let Opened { header, element, count, .. } = Opened::new(path, source)?;
    // An array in Fortran order is copied into C order.
    let copies = if header.fortran { 2 } else { 1 };
    let memory = (count as u64).saturating_mul(copies * element.held() as u64);
    Ok(Probe { shape: header.shape, dtype: element.name, memory })
}

/// A file whose header has been read and found to fit its length.
struct Opened {
    /// At the first byte of the data.
    file: Box<dyn Read>,
    header: Header,
    element: Element,
    count: usize,
}

impl Opened {
    fn new(path: &Path, source: Source) -> Result<Opened> {
        let fail = |message: String| Error::file(path, message);
        let Source { reader: mut file, length } = source;
        let (header, header_length) = Header::read(&mut file, length).map_err(fail)?;
        let element = Element::parse(&header).map_err(fail)?;
        if let Some(axis) = header.shape.iter().position(|&n| n == 0) {
            return Err(fail(format!(
                "extent 0 along axis {axis} of shape {:?}; an array needs at least one element",
                header.shape
            )));
        }
        // Held, an element may be wider than in the file.
        let count = header.shape.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
        let count = count.filter(|n| n.checked_mul(16).is_some_and(|bytes| bytes <= isize::MAX as usize));
        let count = count.ok_or_else(|| fail(format!("shape {:?} is too large to address", header.shape)))?;
        let (expected, found) = ((count * element.size) as u64, length.saturating_sub(header_length as u64));
        if found != expected {
            let what = if found < expected { "truncated: " } else { "too long: " };
            return Err(fail(format!(
                "{what}shape {:?} of {} needs {expected} bytes of data, the file has {found}; write it again",
                header.shape, element.name
            )));
        }
        Ok(Opened { file, header, element, count })
    }
}

/// Writes an array as `.npy` in C order, in its own element type.
///
/// # Errors
/// [`Error::File`] when the file cannot be written; nothing is left behind then.
pub fn write_npy(output: Output, array: &Array) -> Result<()> {
    let path = output.path().to_path_buf();
    output.write(|file| {
        match array {
            Array::F32(a) => write(file, a, "f4"),
            Array::C32(a) => write(file, a, "c8"),
            Array::F64(a) => write(file, a, "f8"),
            Array::C64(a) => write(file, a, "c16"),
            Array::I64(a) => write(file, a, "i8"),
            Array::U8(a) => write(file, a, "u1"),
        }
        .map_err(|e| Error::file(&path, format!("cannot write: {e}")))
    })
}

/// Header and values, in this machine's byte order.
fn write<T: NoUninit>(file: &mut dyn Write, array: &ArrayD<T>, name: &str) -> std::io::Result<()> {
    let order = match (size_of::<T>(), cfg!(target_endian = "little")) {
        (1, _) => '|',
        (_, true) => '<',
        (_, false) => '>',
    };
    let header = Header { descr: format!("{order}{name}"), fortran: false, shape: array.shape().to_vec() };
    file.write_all(&header.to_bytes())?;
    match array.as_slice() {
        Some(values) => file.write_all(cast_slice(values)),
        None => array.iter().try_for_each(|value| file.write_all(bytemuck::bytes_of(value))),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    Complex,
}

/// An element type as the header describes it.
struct Element {
    name: String,
    kind: Kind,
    size: usize,
    big_endian: bool,
}

impl Element {
    fn parse(header: &Header) -> Result<Element, String> {
        let text = header.descr.as_str();
        let unsupported = || format!("unsupported element type '{text}'; supported are {SUPPORTED}");
        let name = text.trim_start_matches(['<', '>', '|', '=']);
        let (kind, size) = match name {
            "b1" | "?" => (Kind::Bool, 1),
            "i1" => (Kind::Signed, 1),
            "i2" => (Kind::Signed, 2),
            "i4" => (Kind::Signed, 4),
            "i8" => (Kind::Signed, 8),
            "u1" => (Kind::Unsigned, 1),
            "u2" => (Kind::Unsigned, 2),
            "u4" => (Kind::Unsigned, 4),
            "u8" => (Kind::Unsigned, 8),
            "f2" => (Kind::Float, 2),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            "c8" => (Kind::Complex, 8),
            "c16" => (Kind::Complex, 16),
            _ => return Err(unsupported()),
        };
        Ok(Element { name: name.to_string(), kind, size, big_endian: text.starts_with('>') })
    }

    /// Bytes of an element once it is read.
    fn held(&self) -> usize {
        match (self.kind, self.size) {
            (Kind::Signed, _) => 8,
            (Kind::Unsigned, size) if size > 1 => 8,
            (Kind::Float, 2) => 4,
            (_, size) => size,
        }
    }

    fn read(&self, path: &Path, file: &mut dyn Read, count: usize, shape: IxDyn, fortran: bool) -> Result<Array> {
        let word = |b: &[u8]| self.word(b);
        let f4 = |b: &[u8]| f32::from_bits(word(b) as u32);
        let f8 = |b: &[u8]| f64::from_bits(word(b));
        let unused_bits = 64 - 8 * self.size.min(8) as u32;
        let mut values = Values { path, file, count, size: self.size, shape, fortran };
        match (self.kind, self.size) {
            (Kind::Bool, _) => values.array(|b| Ok(u8::from(b[0] != 0))).map(Array::U8),
            (Kind::Unsigned, 1) => values.array(|b| Ok(b[0])).map(Array::U8),
            (Kind::Signed, _) => values.array(|b| Ok((word(b) << unused_bits) as i64 >> unused_bits)).map(Array::I64),
            (Kind::Unsigned, _) => {
                let above = |b: &[u8]| format!("the value {} is above the largest i64", word(b));
                values.array(|b| i64::try_from(word(b)).map_err(|_| above(b))).map(Array::I64)
            }
            (Kind::Float, 2) => values.array(|b| Ok(f16::from_bits(word(b) as u16).to_f32())).map(Array::F32),
            (Kind::Float, 4) => values.array(|b| Ok(f4(b))).map(Array::F32),
            (Kind::Float, _) => values.array(|b| Ok(f8(b))).map(Array::F64),
            (Kind::Complex, 8) => values.array(|b| Ok(Complex32::new(f4(&b[..4]), f4(&b[4..])))).map(Array::C32),
            (Kind::Complex, _) => values.array(|b| Ok(Complex64::new(f8(&b[..8]), f8(&b[8..])))).map(Array::C64),
        }
    }

    /// Up to eight bytes as an unsigned number, in the file's byte order.
    fn word(&self, bytes: &[u8]) -> u64 {
        let push = |word: u64, &byte: &u8| (word << 8) | u64::from(byte);
        if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }
}

/// The data of a file, about to be read.
struct Values<'a> {
    path: &'a Path,
    file: &'a mut dyn Read,
    count: usize,
    size: usize,
    shape: IxDyn,
    fortran: bool,
}

impl Values<'_> {
    /// The values as an array in C order.
    fn array<T: Clone>(&mut self, decode: impl FnMut(&[u8]) -> Result<T, String>) -> Result<ArrayD<T>> {
        let fail = |e: ndarray::ShapeError| Error::file(self.path, e.to_string());
        let values = read_values(self.path, self.file, self.count, self.size, decode)?;
        let array = ArrayD::from_shape_vec(self.shape.clone().set_f(self.fortran), values).map_err(fail)?;
        if array.is_standard_layout() {
            return Ok(array);
        }
        let mut turned = room_for(self.count, &self.path.display().to_string())?;
        turned.extend(array.iter().cloned());
        ArrayD::from_shape_vec(self.shape.clone(), turned).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;

    fn file(version: u8, header: &str, payload: &[u8]) -> Vec<u8> {
        let text = format!("{header}\n");
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.as_bytes());
        bytes.extend(payload);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Array> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        read_npy(&path)
    }

    fn message(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    fn header(descr: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}")
    }

    #[test]
    fn writes_what_it_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let c = arr2(&[[Complex32::new(1.0, -1.0), Complex32::new(0.0, 2.0)]]).into_dyn();
        for array in [
            Array::C32(c.clone()),
            Array::F32(c.mapv(|v| v.re)),
            Array::C64(c.mapv(|v| Complex64::new(v.re.into(), v.im.into()))),
            Array::I64(c.mapv(|v| v.im as i64)),
            Array::U8(c.mapv(|v| v.re as u8)),
        ] {
            let output = Output::create(&path, &["npy"], true).unwrap();
            write_npy(output, &array).unwrap();
            assert_eq!(read_npy(&path).unwrap(), array);
        }
    }

    #[test]
    fn reads_orders_versions_and_small_types() {
        let values = [1u8, 2, 3, 4, 5, 6];
        let fortran = read(&file(2, &header("|u1", "True", "(2, 3)"), &values)).unwrap();
        assert_eq!(fortran, Array::U8(arr2(&[[1, 3, 5], [2, 4, 6]]).into_dyn()));
        let big = read(&file(3, &header(">i2", "False", "(2,)"), &[0xff, 0xfe, 1, 0])).unwrap();
        assert_eq!(big, Array::I64(ndarray::arr1(&[-2, 256]).into_dyn()));
        let truth = read(&file(1, &header("|b1", "False", "(2, 1)"), &[1, 0])).unwrap();
        assert_eq!(truth, Array::U8(arr2(&[[1], [0]]).into_dyn()));
        let halves = [0x3e00u16, 0xc000, 0x0001].map(u16::to_be_bytes).concat();
        let half = read(&file(1, &header(">f2", "False", "(3,)"), &halves)).unwrap();
        assert_eq!(half, Array::F32(ndarray::arr1(&[1.5, -2.0, 2f32.powi(-24)]).into_dyn()));
        let scalar = read(&file(1, &header("<f4", "False", "()"), &1.5f32.to_le_bytes())).unwrap();
        assert_eq!(scalar.shape(), &[0usize; 0]);
    }

    #[test]
    fn says_what_is_wrong() {
        let good = header("<f4", "False", "(2, 3)");
        assert!(message(b"PK\x03\x04 this is a zip").contains("not an .npy file"));
        assert!(message(b"").contains("not an .npy file"));
        assert!(message(&file(1, &good, &[0; 20])).contains("needs 24 bytes of data, the file has 20"));
        assert!(message(&file(1, &good, &[0; 25])).contains("too long"));
        assert!(message(&file(1, &good, &[])[..30]).contains("inside the .npy header"));
        assert!(message(&file(9, &good, &[])).contains("version 9"));
        let long = message(&file(1, &header("<f16", "False", "(2,)"), &[0; 32]));
        assert!(long.contains("'<f16'") && long.contains("c16"), "{long}");
        assert!(message(&file(1, &header("<f4", "False", "(2, 0)"), &[])).contains("extent 0"));
        let huge = header("<c16", "False", "(4294967296, 4294967296)");
        assert!(message(&file(1, &huge, &[])).contains("too large"));
        assert!(message(&file(1, "{'descr': '<f4'}", &[])).contains("damaged"));
        assert!(message(&file(1, &"(".repeat(9000), &[])).contains("damaged"));
        let records = file(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", &[0; 8]);
        assert!(message(&records).contains("records"));
        let overflow = file(1, &header("<u8", "False", "(1,)"), &[0xff; 8]);
        assert!(message(&overflow).contains("above the largest i64"));
        assert!(read_npy("/no/such.npy").unwrap_err().to_string().contains("no such file"));
    }
}
