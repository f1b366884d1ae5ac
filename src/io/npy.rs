//! NumPy's `.npy` format, versions 1 to 3.
//!
//! The header is parsed and the output written by `ndarray-npy`; the payload is decoded here, so
//! that booleans, both byte orders and Fortran order work and a wrong length is reported in bytes.

use super::{Array, Output};
use crate::{Error, Result};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use ndarray_npy::WriteNpyExt;
use ndarray_npy::npy::header::Header;
use num_complex::{Complex32, Complex64};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const SUPPORTED: &str = "f4, f8, c8, c16, i1, i2, i4, i8, u1, u2, u4, u8 and bool";
/// A header is some 100 bytes; NumPy itself refuses headers above 10 000.
const MAX_HEADER: usize = 10_000;
/// `{`, the shape's `(`, and room for a descriptor; a bound, as the parser recurses.
const MAX_BRACKETS: usize = 64;

/// Reads an `.npy` file into C order.
///
/// Integers become `I64` (`u1` and bool become `U8`); extents of 0 are refused.
///
/// # Errors
/// [`Error::File`] when the file is missing, is no `.npy` file, has another element type, is
/// shorter or longer than its header says, or holds a `u8` integer above `i64::MAX`.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    let fail = |message: String| Error::file(path, message);
    let mut file = open(path)?;
    let length = file.metadata().map_err(|e| fail(e.to_string()))?.len();
    let (header, header_length) = read_header(&mut file, length).map_err(fail)?;
    let element = Element::parse(&header).map_err(fail)?;
    if let Some(axis) = header.shape.iter().position(|&n| n == 0) {
        return Err(fail(format!(
            "extent 0 along axis {axis} of shape {:?}; an array needs at least one element",
            header.shape
        )));
    }
    let expected = header
        .shape
        .iter()
        .try_fold(element.size, |n, &extent| n.checked_mul(extent))
        .filter(|&n| n <= isize::MAX as usize)
        .ok_or_else(|| fail(format!("shape {:?} is too large to address", header.shape)))?;
    let found = length.saturating_sub(header_length as u64);
    if found != expected as u64 {
        let what = if found < expected as u64 { "truncated: " } else { "too long: " };
        return Err(fail(format!(
            "{what}shape {:?} of {} needs {expected} bytes of data, the file has {found}; write it again",
            header.shape, element.name
        )));
    }
    let mut bytes = vec![0; expected];
    file.read_exact(&mut bytes).map_err(|e| fail(format!("cannot read the data: {e}")))?;
    let shape = IxDyn(&header.shape);
    element.decode(&bytes, shape, header.layout.is_fortran()).map_err(fail)
}

/// Writes an array as `.npy` in C order, in its own element type.
///
/// # Errors
/// [`Error::File`] when the file cannot be written; nothing is left behind then.
pub fn write_npy(output: Output, array: &Array) -> Result<()> {
    let path = output.path().to_path_buf();
    output.write(|file| {
        match array {
            Array::F32(a) => a.as_standard_layout().write_npy(file),
            Array::C32(a) => a.as_standard_layout().write_npy(file),
            Array::F64(a) => a.as_standard_layout().write_npy(file),
            Array::C64(a) => a.as_standard_layout().write_npy(file),
            Array::I64(a) => a.as_standard_layout().write_npy(file),
            Array::U8(a) => a.as_standard_layout().write_npy(file),
        }
        .map_err(|e| Error::file(&path, format!("cannot write: {e}")))
    })
}

/// Opens a file for reading, with errors that say what to do.
pub(super) fn open(path: &Path) -> Result<File> {
    if path.is_dir() {
        return Err(Error::file(path, "is a folder; give a file"));
    }
    File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(path, "no such file"),
        _ => Error::file(path, format!("cannot open: {e}")),
    })
}

/// The header and its length in bytes, magic and padding included.
fn read_header(file: &mut File, length: u64) -> Result<(Header, usize), String> {
    const NOT_NPY: &str = "not an .npy file: it does not start with \\x93NUMPY; save it with numpy.save";
    let mut start = vec![0; length.min(12) as usize];
    file.read_exact(&mut start).map_err(|e| e.to_string())?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(NOT_NPY.into());
    }
    let (prefix, body) = match start[6..] {
        [1, _, a, b, ..] => (10, u16::from_le_bytes([a, b]) as usize),
        [2 | 3, _, a, b, c, d] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
        [version, ..] if version == 0 || version > 3 => {
            return Err(format!("is .npy format version {version}; versions 1 to 3 are supported"));
        }
        _ => return Err("truncated: the file ends inside the .npy header".into()),
    };
    if body > MAX_HEADER {
        return Err(format!(
            "the .npy header has {body} bytes, the limit is {MAX_HEADER}; save plain arrays, not records"
        ));
    }
    let total = prefix + body;
    if (total as u64) > length {
        return Err("truncated: the file ends inside the .npy header".into());
    }
    let have = start.len();
    start.resize(total.max(have), 0);
    if total > have {
        file.read_exact(&mut start[have..]).map_err(|e| e.to_string())?;
    }
    let brackets = start[prefix..].iter().filter(|b| b"([{".contains(b)).count();
    if brackets > MAX_BRACKETS {
        return Err(format!("unsupported element type (records); supported are {SUPPORTED}"));
    }
    let header = Header::from_reader(&mut &start[..total]).map_err(|e| format!("damaged .npy header: {e}"))?;
    Ok((header, total))
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
        let Some(text) = header.type_descriptor.as_string() else {
            return Err(format!("unsupported element type (records); supported are {SUPPORTED}"));
        };
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
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            "c8" => (Kind::Complex, 8),
            "c16" => (Kind::Complex, 16),
            _ => return Err(unsupported()),
        };
        Ok(Element { name: name.to_string(), kind, size, big_endian: text.starts_with('>') })
    }

    fn decode(&self, bytes: &[u8], shape: IxDyn, fortran: bool) -> Result<Array, String> {
        let word = |b: &[u8]| self.word(b);
        let f4 = |b: &[u8]| f32::from_bits(word(b) as u32);
        let f8 = |b: &[u8]| f64::from_bits(word(b));
        let unused_bits = 64 - 8 * self.size.min(8) as u32;
        let items = bytes.chunks_exact(self.size);
        Ok(match (self.kind, self.size) {
            (Kind::Bool, _) => Array::U8(arrange(items.map(|b| u8::from(b[0] != 0)).collect(), shape, fortran)?),
            (Kind::Unsigned, 1) => Array::U8(arrange(bytes.to_vec(), shape, fortran)?),
            (Kind::Signed, _) => {
                let widen = |b| (word(b) << unused_bits) as i64 >> unused_bits;
                Array::I64(arrange(items.map(widen).collect(), shape, fortran)?)
            }
            (Kind::Unsigned, _) => {
                let values: Result<Vec<i64>, String> = items
                    .map(|b| {
                        i64::try_from(word(b)).map_err(|_| format!("the value {} is above the largest i64", word(b)))
                    })
                    .collect();
                Array::I64(arrange(values?, shape, fortran)?)
            }
            (Kind::Float, 4) => Array::F32(arrange(items.map(f4).collect(), shape, fortran)?),
            (Kind::Float, _) => Array::F64(arrange(items.map(f8).collect(), shape, fortran)?),
            (Kind::Complex, 8) => {
                Array::C32(arrange(items.map(|b| Complex32::new(f4(&b[..4]), f4(&b[4..]))).collect(), shape, fortran)?)
            }
            (Kind::Complex, _) => {
                Array::C64(arrange(items.map(|b| Complex64::new(f8(&b[..8]), f8(&b[8..]))).collect(), shape, fortran)?)
            }
        })
    }

    /// Up to eight bytes as an unsigned number, in the file's byte order.
    fn word(&self, bytes: &[u8]) -> u64 {
        let push = |word: u64, &byte: &u8| (word << 8) | u64::from(byte);
        if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }
}

/// Values in file order as a C-order array.
fn arrange<T: Clone>(values: Vec<T>, shape: IxDyn, fortran: bool) -> Result<ArrayD<T>, String> {
    let array = ArrayD::from_shape_vec(shape.set_f(fortran), values).map_err(|e| e.to_string())?;
    Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
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
        let half = message(&file(1, &header("<f2", "False", "(2,)"), &[0; 4]));
        assert!(half.contains("'<f2'") && half.contains("c16"), "{half}");
        assert!(message(&file(1, &header("<f4", "False", "(2, 0)"), &[])).contains("extent 0"));
        let huge = header("<c16", "False", "(4294967296, 4294967296)");
        assert!(message(&file(1, &huge, &[])).contains("too large"));
        assert!(message(&file(1, "{'descr': '<f4'}", &[])).contains("damaged"));
        assert!(message(&file(1, &"(".repeat(9000), &[])).contains("records"));
        let overflow = file(1, &header("<u8", "False", "(1,)"), &[0xff; 8]);
        assert!(message(&overflow).contains("above the largest i64"));
        assert!(read_npy("/no/such.npy").unwrap_err().to_string().contains("no such file"));
    }
}
