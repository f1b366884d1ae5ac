//! BART's `.cfl`/`.hdr` pairs: complex64 in column-major order, and a text file with the dims.
//!
//! BART's first dim is the fastest, so its dims (x, y, z, coil, …) read as the C-order array
//! (…, coil, z, y, x): the bytes are the same.
//! Format: BART toolbox, `doc/` and `src/misc/io.c`, <https://mrirecon.github.io/bart/>.

use super::file::{open, read_text, read_values};
use super::format::{Format, Probe, Reader, Writer, appended};
use super::{Array, Output};
use crate::{Error, Result};
use ndarray::{Array3, ArrayD, IxDyn};
use num_complex::Complex32;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What BART calls its dims, in order; later ones are named by number.
const DIM_NAMES: [&str; 11] = [
    "read",
    "phase 1",
    "phase 2",
    "coil",
    "maps",
    "echo",
    "coefficient",
    "coefficient 2",
    "iteration",
    "cshift",
    "time",
];
const MAX_DIMS: usize = 16;
/// A header is a few lines; those that BART writes hold the commands that made the data as well.
const LONGEST_HEADER: u64 = 1 << 20;

pub(super) const FORMAT: Format = Format {
    name: "BART array",
    suffixes: &["cfl", "hdr"],
    companion: Some("hdr"),
    probe: Some(probe),
    reader: Some(Reader::Bart(|path| read_cfl(path))),
    writer: Some(Writer::Array(write_cfl)),
};

/// A BART array.
#[derive(Debug, Clone, PartialEq)]
pub struct Cfl {
    /// All dims as the header has them: BART order, first the fastest, trailing ones included.
    pub dims: Vec<usize>,
    /// The values in C order: the dims reversed, without BART's trailing singletons.
    pub array: ArrayD<Complex32>,
}

/// Reads a pair; `path` is the base name, the `.cfl` or the `.hdr`.
///
/// # Errors
/// [`Error::File`] when either file is missing, the header has no dims, or the data's length does
/// not fit them.
pub fn read_cfl(path: impl AsRef<Path>) -> Result<Cfl> {
    let Opened { dims, cfl, mut file, count } = Opened::new(path.as_ref())?;
    let values = read_values(&cfl, &mut file, count, size_of::<Complex32>(), |b| {
        let part = |i: usize| f32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        Ok(Complex32::new(part(0), part(4)))
    })?;
    let array = ArrayD::from_shape_vec(IxDyn(&c_shape(&dims)), values).map_err(|e| Error::file(&cfl, e.to_string()))?;
    Ok(Cfl { dims, array })
}

fn probe(path: &Path) -> Result<Probe> {
    let Opened { dims, count, .. } = Opened::new(path)?;
    let memory = (count * size_of::<Complex32>()) as u64;
    Ok(Probe { shape: c_shape(&dims), dtype: "c8".into(), memory })
}

/// A pair whose header has been read and found to fit the data's length.
struct Opened {
    dims: Vec<usize>,
    cfl: PathBuf,
    file: File,
    count: usize,
}

impl Opened {
    fn new(path: &Path) -> Result<Opened> {
        let [cfl, hdr] = pair(path);
        let text = read_text(&hdr, LONGEST_HEADER, "a BART header")?;
        let dims = parse_header(&text).map_err(|message| Error::file(&hdr, message))?;
        let (file, found) = open(&cfl)?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count
            .filter(|n| n.checked_mul(size_of::<Complex32>()).is_some_and(|bytes| bytes <= isize::MAX as usize))
            .ok_or_else(|| Error::file(&hdr, format!("dims {dims:?} are too large to address")))?;
        let expected = (count * size_of::<Complex32>()) as u64;
        if found != expected {
            return Err(Error::file(
                &cfl,
                format!("dims {dims:?} of its .hdr need {expected} bytes, the file has {found}; write it again"),
            ));
        }
        Ok(Opened { dims, cfl, file, count })
    }
}

/// Reads 2-D multi-coil k-space, BART dims (x, y, 1, coil), as (coil, ky, kx).
///
/// # Errors
/// Those of [`read_cfl`] and of [`Cfl::into_kspace`].
pub fn cfl_kspace(path: impl AsRef<Path>) -> Result<Array3<Complex32>> {
    let path = path.as_ref();
    read_cfl(path)?.into_kspace(path)
}

impl Cfl {
    /// 2-D multi-coil k-space (coil, ky, kx) of BART dims (x, y, 1, coil); or of (1, y, z, coil), as (coil, kz, ky), and of (x, 1, z,
    /// coil), as (coil, kz, kx). `path` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] when all of the first three dims are more than 1, or one beyond the coils is.
    pub fn into_kspace(self, path: &Path) -> Result<Array3<Complex32>> {
        let Cfl { dims, array } = self;
        let extent = |index: usize| dims.get(index).copied().unwrap_or(1);
        let volume = (0..3).all(|index| extent(index) != 1);
        let further = (4..dims.len()).find(|index| extent(*index) != 1);
        if let Some(index) = volume.then_some(2).or(further) {
            let (name, extent) = (DIM_NAMES.get(index).copied().unwrap_or("further"), extent(index));
            return Err(Error::file(
                &pair(path)[0],
                format!(
                    "BART dim {index} ({name}) is {extent}, expected 1: 2-D k-space is (x, y, 1, coil), or (1, y, z, coil); \
                     reconstruct each of the {extent} by itself, from `bart slice {index} K`, or say by --coil-axis D that the \
                     coils are along another dim"
                ),
            ));
        }
        let [ky, kx] = match [extent(0), extent(1), extent(2)] {
            [x, y, 1] => [y, x],
            [1, y, z] => [z, y],
            [x, _, z] => [z, x],
        };
        array.into_shape_with_order((extent(3), ky, kx)).map_err(|e| Error::file(path, e.to_string()))
    }
}

/// Writes an array as a pair: C-order axes become BART's dims reversed, padded to 16 with ones.
///
/// Real data becomes complex, double precision is narrowed.
///
/// # Errors
/// [`Error::File`] when there are more than 16 axes or the files cannot be written; neither file is
/// left behind then.
pub fn write_cfl(output: Output, array: &Array) -> Result<()> {
    let path = output.path().to_path_buf();
    let shape = array.shape();
    if shape.len() > MAX_DIMS {
        return Err(Error::file(&path, format!("the array has {} axes, BART has {MAX_DIMS} dims", shape.len())));
    }
    let mut header = String::from("# Dimensions\n");
    for extent in shape.iter().rev().chain([1; MAX_DIMS].iter()).take(MAX_DIMS) {
        let _ = write!(header, "{extent} ");
    }
    header.push('\n');
    output.write_pair(&header, |file| {
        let mut one = |value: Complex32| {
            file.write_all(&value.re.to_le_bytes()).and_then(|()| file.write_all(&value.im.to_le_bytes()))
        };
        array.try_each_complex(&mut one).map_err(|e| Error::file(&path, format!("cannot write: {e}")))
    })
}

/// The `.cfl` and the `.hdr` of a base name or of either file.
fn pair(path: &Path) -> [PathBuf; 2] {
    let base = FORMAT.base(path);
    ["cfl", "hdr"].map(|suffix| appended(&base, suffix))
}

fn parse_header(text: &str) -> Result<Vec<usize>, String> {
    let mut lines = text.lines().map(str::trim);
    if !lines.any(|line| line.eq_ignore_ascii_case("# Dimensions")) {
        return Err("not a BART header: no line '# Dimensions'".into());
    }
    let line = lines.find(|line| !line.is_empty()).unwrap_or("");
    let dims: Vec<usize> = line
        .split_whitespace()
        .map(|word| match word.parse() {
            Ok(0) => Err(format!("extent 0 in the dims '{line}'")),
            Ok(extent) => Ok(extent),
            Err(_) => Err(format!("expected extents after '# Dimensions', found '{word}'")),
        })
        .collect::<Result<_, _>>()?;
    if dims.is_empty() || dims.len() > MAX_DIMS {
        return Err(format!("expected 1 to {MAX_DIMS} dims after '# Dimensions', found {}", dims.len()));
    }
    Ok(dims)
}

/// BART's dims as C-order extents, without the trailing singletons.
fn c_shape(dims: &[usize]) -> Vec<usize> {
    let used = dims.iter().rposition(|&d| d != 1).map_or(1, |last| last + 1);
    dims[..used].iter().rev().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sample() -> Array {
        let values = (0..24).map(|i| Complex32::new(i as f32, -1.0)).collect();
        Array::C32(ArrayD::from_shape_vec(vec![2, 1, 4, 3], values).unwrap())
    }

    #[test]
    fn round_trip_by_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("k.space");
        let file = dir.path().join("k.space.cfl");
        write_cfl(Output::create(&file, &["cfl"], false).unwrap(), &sample()).unwrap();
        for name in [base, file.clone(), file.with_extension("hdr")] {
            let back = read_cfl(name).unwrap();
            assert_eq!(&back.dims[..5], &[3, 4, 1, 2, 1]);
            assert_eq!(Array::C32(back.array), sample());
        }
        assert_eq!(cfl_kspace(&file).unwrap().dim(), (2, 4, 3));
    }

    #[test]
    fn the_first_dim_is_the_fastest() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.hdr"), "# Dimensions\n2 3 1 1\n").unwrap();
        let bytes: Vec<u8> = (0..6u8).flat_map(|i| [f32::from(i).to_le_bytes(), [0; 4]].concat()).collect();
        fs::write(dir.path().join("a.cfl"), bytes).unwrap();
        let a = read_cfl(dir.path().join("a")).unwrap().array;
        assert_eq!(a.shape(), &[3, 2]);
        assert_eq!(a[[1, 0]].re, 2.0);
    }

    #[test]
    fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.cfl");
        let message = |header: &str, bytes: usize| {
            fs::write(dir.path().join("a.hdr"), header).unwrap();
            fs::write(&path, vec![0; bytes]).unwrap();
            cfl_kspace(&path).unwrap_err().to_string()
        };
        assert!(message("# Dimensions\n2 2 1 1\n", 31).contains("need 32 bytes, the file has 31"));
        assert!(message("2 2\n", 32).contains("'# Dimensions'"));
        assert!(message("# Dimensions\n2 x\n", 32).contains("'x'"));
        assert!(message("# Dimensions\n2 0\n", 0).contains("extent 0"));
        assert!(message("# Dimensions\n", 0).contains("found 0"));
        assert!(message("# Dimensions\n2 2 2 1\n", 64).contains("BART dim 2 (phase 2) is 2"));
        let huge = format!("# Dimensions\n{} {}\n", u64::MAX, 2);
        assert!(message(&huge, 0).contains("too large"));
        fs::remove_file(dir.path().join("a.hdr")).unwrap();
        let missing = read_cfl(&path).unwrap_err().to_string();
        assert!(missing.contains("a.hdr: no such file"), "{missing}");
    }
}
