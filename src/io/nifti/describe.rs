//! What a NIfTI-1 volume says of itself.

use crate::io::file::open;
use crate::io::format::suffix;
use crate::{Error, Result};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::Path;

/// The header of a NIfTI-1 volume, `.nii` or `.nii.gz`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NiftiHeader {
    /// Extents in C order: those of the file reversed, x the last.
    pub shape: Vec<usize>,
    /// The element type in NumPy's short spelling; "type 1792" and the like of those that have none.
    pub dtype: String,
    /// Distances of voxels (z, y, x); in mm where the file says so.
    pub voxel: [f64; 3],
    /// Whether these are in mm.
    pub is_mm: bool,
    /// Rows of the matrix that takes (i, j, k, 1), i along x, to RAS coordinates; `None` where the file has no sform.
    pub affine: Option<[[f64; 4]; 3]>,
}

const BYTES: usize = 348;

/// Reads the header of a NIfTI-1 volume, of either order of bytes.
///
/// # Errors
/// [`Error::File`] when the file is missing, or its beginning is no such header.
pub fn nifti_header(path: impl AsRef<Path>) -> Result<NiftiHeader> {
    let path = path.as_ref();
    let fail = |message: String| Error::file(path, message);
    let (file, _) = open(path)?;
    let mut bytes = [0u8; BYTES];
    let packed = suffix(path) == "nii.gz";
    let mut reader: Box<dyn Read> = if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    reader.read_exact(&mut bytes).map_err(|e| fail(format!("cannot read a NIfTI-1 header of {BYTES} bytes: {e}")))?;
    parse(&bytes).map_err(fail)
}

fn parse(bytes: &[u8; BYTES]) -> Result<NiftiHeader, String> {
    let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    let little = match four(0) {
        size if i32::from_le_bytes(size) == BYTES as i32 => true,
        size if i32::from_be_bytes(size) == BYTES as i32 => false,
        size => {
            return Err(format!("is no NIfTI-1 volume: it begins with {}, expected {BYTES}", i32::from_le_bytes(size)));
        }
    };
    if &bytes[344..347] != b"n+1" && &bytes[344..347] != b"ni1" {
        return Err("is no NIfTI-1 volume: its header does not end in n+1".into());
    }
    let word = |at: usize| {
        let two = [bytes[at], bytes[at + 1]];
        if little { i16::from_le_bytes(two) } else { i16::from_be_bytes(two) }
    };
    let float = |at: usize| f64::from(if little { f32::from_le_bytes(four(at)) } else { f32::from_be_bytes(four(at)) });
    let axes = usize::try_from(word(40)).ok().filter(|n| (1..=7).contains(n));
    let axes = axes.ok_or_else(|| format!("says that it has {} axes, expected 1 to 7", word(40)))?;
    let extent = |a: usize| usize::try_from(word(42 + 2 * a)).map_err(|_| "has a negative extent".to_string());
    let shape = (0..axes).rev().map(extent).collect::<Result<Vec<_>, _>>()?;
    let dtype = match word(70) {
        2 => "u1".into(),
        4 => "i2".into(),
        8 => "i4".into(),
        16 => "f4".into(),
        32 => "c8".into(),
        64 => "f8".into(),
        256 => "i1".into(),
        512 => "u2".into(),
        768 => "u4".into(),
        1024 => "i8".into(),
        1280 => "u8".into(),
        1792 => "c16".into(),
        other => format!("type {other}"),
    };
    let affine = (word(254) > 0).then(|| [0, 1, 2].map(|r| [0, 1, 2, 3].map(|c| float(280 + 16 * r + 4 * c))));
    let voxel = [float(88), float(84), float(80)];
    // Of units, the low three bits are of lengths: 2 is mm.
    Ok(NiftiHeader { shape, dtype, voxel, is_mm: bytes[123] & 7 == 2, affine })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Array, Geometry, Output, write_nifti};
    use ndarray::ArrayD;

    #[test]
    fn what_is_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let geometry = Geometry::of_voxels([2.0, 3.0, 4.0], [4, 3, 2]);
        for name in ["a.nii", "a.nii.gz"] {
            let path = dir.path().join(name);
            let output = Output::create(&path, &["nii"], false).unwrap();
            write_nifti(output, &Array::F32(ArrayD::zeros(vec![2, 3, 4])), Some(&geometry)).unwrap();
            let found = nifti_header(&path).unwrap();
            assert_eq!((found.shape, found.dtype.as_str(), found.is_mm), (vec![2, 3, 4], "f4", true));
            assert_eq!((found.voxel, found.affine), ([4.0, 3.0, 2.0], Some(geometry.affine)));
        }
        // The other order of bytes.
        let mut bytes: [u8; BYTES] = std::fs::read(dir.path().join("a.nii")).unwrap()[..BYTES].try_into().unwrap();
        for (at, n) in [(0, 4), (40, 2), (42, 2), (44, 2), (46, 2), (70, 2), (254, 2), (80, 4), (84, 4), (88, 4)] {
            bytes[at..at + n].reverse();
        }
        let found = parse(&bytes).unwrap();
        assert_eq!((found.shape, found.voxel), (vec![2, 3, 4], [4.0, 3.0, 2.0]));
        bytes[40..42].copy_from_slice(&[0, 9]);
        assert!(parse(&bytes).unwrap_err().contains("9 axes"));
        bytes[344] = 0;
        assert!(parse(&bytes).unwrap_err().contains("n+1"));
        std::fs::write(dir.path().join("b.nii"), [0u8; 400]).unwrap();
        assert!(nifti_header(dir.path().join("b.nii")).unwrap_err().to_string().contains("no NIfTI-1"));
        std::fs::write(dir.path().join("c.nii"), [0u8; 40]).unwrap();
        assert!(nifti_header(dir.path().join("c.nii")).unwrap_err().to_string().contains("348 bytes"));
    }
}
