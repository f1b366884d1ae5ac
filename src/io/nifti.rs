//! NIfTI-1 volumes, out: `.nii`, and packed as `.nii.gz`.
//!
//! Real values are float32, complex ones complex64 (data type 32). The axes are an array's reversed, so that the last is NIfTI's
//! first, x: an image (y, x) and a volume (z, y, x) become x, y, z. The affine is written both ways, as sform and, where its axes
//! are at right angles, as qform. Cox et al., "A (sort of) new image data format standard: NIfTI-1", HBM 2004; `nifti1.h`.

mod describe;

use super::format::{Format, Writer, suffix};
use super::{Array, Geometry, Output};
use crate::{Error, Result};
pub use describe::{NiftiHeader, nifti_header};
use flate2::Compression;
use flate2::write::GzEncoder;
use ndarray::ArrayD;
use std::io::Write;

pub(super) const FORMAT: Format = Format {
    name: "NIfTI volume",
    suffixes: &["nii", "nii.gz"],
    companion: None,
    probe: None,
    reader: None,
    writer: Some(Writer::Volume(write_nifti)),
};

/// Bytes of the header with the four that say that no extension follows.
const BEFORE_DATA: usize = 352;
const MOST_AXES: usize = 7;

/// Writes an array (…, z, y, x) as a NIfTI-1 volume, `.nii` or `.nii.gz`, with its place in the scanner if that is known; else
/// voxels are 1 mm and the volume says that it lies nowhere.
///
/// Real arrays are written as float32, complex ones as complex64.
///
/// # Errors
/// [`Error::File`] when there are more than 7 axes, one is longer than 32767, or the file cannot be written.
pub fn write_nifti(output: Output, array: &Array, geometry: Option<&Geometry>) -> Result<()> {
    let path = output.path().to_path_buf();
    let complex = matches!(array, Array::C32(_) | Array::C64(_));
    let header = header(array.shape(), complex, geometry).map_err(|message| Error::file(&path, message))?;
    let failed = |e: std::io::Error| Error::file(&path, format!("cannot write: {e}"));
    let packed = suffix(&path) == "nii.gz";
    output.write(|file| {
        let body = |to: &mut dyn Write| {
            to.write_all(&header)?;
            match array {
                Array::F32(a) => values(to, a),
                Array::C32(a) => values(to, a),
                other => other.try_each_complex(&mut |v| {
                    to.write_all(&v.re.to_le_bytes())?;
                    if complex { to.write_all(&v.im.to_le_bytes()) } else { Ok(()) }
                }),
            }
        };
        if !packed {
            return body(file).map_err(failed);
        }
        let mut packer = GzEncoder::new(file, Compression::default());
        body(&mut packer).map_err(failed)?;
        packer.finish().map(drop).map_err(failed)
    })
}

/// Values in the order of bytes that the header is in.
fn values<T: bytemuck::NoUninit>(to: &mut dyn Write, array: &ArrayD<T>) -> std::io::Result<()> {
    match array.as_slice() {
        Some(values) if cfg!(target_endian = "little") => to.write_all(bytemuck::cast_slice(values)),
        _ => array.iter().try_for_each(|v| {
            let mut bytes = bytemuck::bytes_of(v).to_vec();
            if cfg!(target_endian = "big") {
                bytes.chunks_mut(4).for_each(<[u8]>::reverse);
            }
            to.write_all(&bytes)
        }),
    }
}

/// `nifti_1_header`, little-endian, and that no extension follows.
fn header(shape: &[usize], complex: bool, geometry: Option<&Geometry>) -> Result<[u8; BEFORE_DATA], String> {
    if shape.len() > MOST_AXES {
        return Err(format!("the array has {} axes, a NIfTI volume {MOST_AXES} at most; write .npy", shape.len()));
    }
    let mut h = [0u8; BEFORE_DATA];
    let mut put = |at: usize, bytes: &[u8]| h[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    // dim: how many, then the extents; three at least, so that a picture is a slice.
    put(40, &(shape.len().max(3) as i16).to_le_bytes());
    for a in 0..MOST_AXES {
        let n = if a < shape.len() { shape[shape.len() - 1 - a] } else { 1 };
        let n = i16::try_from(n).map_err(|_| format!("an axis has {n} elements, in a NIfTI volume 32767 at most"))?;
        put(42 + 2 * a, &n.to_le_bytes());
    }
    let (kind, bits) = if complex { (32i16, 64i16) } else { (16, 32) };
    put(70, &kind.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let quaternion = geometry.and_then(Geometry::quaternion);
    let hand = quaternion.map_or(1.0, |(_, hand)| hand);
    let voxel = geometry.map_or([1.0; 3], |g| g.voxel_mm);
    let steps = [hand, voxel[0], voxel[1], voxel[2], 1.0, 1.0, 1.0, 1.0];
    steps.iter().enumerate().for_each(|(a, v)| put(76 + 4 * a, &(*v as f32).to_le_bytes()));
    put(108, &(BEFORE_DATA as f32).to_le_bytes());
    // A slope of 1; lengths are mm, times s.
    put(112, &1f32.to_le_bytes());
    put(123, &[2 | 8]);
    put(148, b"linops");
    if let Some(g) = geometry {
        // 1: coordinates of the scanner.
        if let Some((quaternion, _)) = quaternion {
            put(252, &1i16.to_le_bytes());
            quaternion.iter().enumerate().for_each(|(a, v)| put(256 + 4 * a, &(*v as f32).to_le_bytes()));
            g.affine.iter().enumerate().for_each(|(a, row)| put(268 + 4 * a, &(row[3] as f32).to_le_bytes()));
        }
        put(254, &1i16.to_le_bytes());
        for (r, row) in g.affine.iter().enumerate() {
            row.iter().enumerate().for_each(|(c, v)| put(280 + 16 * r + 4 * c, &(*v as f32).to_le_bytes()));
        }
    }
    put(344, b"n+1\0");
    Ok(h)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, IxDyn};
    use num_complex::Complex32;
    use std::io::Read;

    fn word(bytes: &[u8], at: usize) -> i16 {
        i16::from_le_bytes([bytes[at], bytes[at + 1]])
    }

    fn float(bytes: &[u8], at: usize) -> f32 {
        f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn volumes_are_what_the_header_says() {
        let dir = tempfile::tempdir().unwrap();
        let real = Array3::from_shape_fn((2, 3, 4), |(z, y, x)| (100 * z + 10 * y + x) as f32).into_dyn();
        let geometry =
            Geometry::from_lps([1.0, 2.0, 3.0], [[1., 0., 0.], [0., 0., -1.], [0., 1., 0.]], [2., 3., 4.], [4, 3, 2]);
        for (name, array) in
            [("a.nii", Array::F32(real.clone())), ("b.nii.gz", Array::C32(real.mapv(|v| Complex32::new(v, -v))))]
        {
            let path = dir.path().join(name);
            write_nifti(Output::create(&path, &["nii"], false).unwrap(), &array, Some(&geometry)).unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            if name.ends_with("gz") {
                let packed = std::mem::take(&mut bytes);
                flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
            }
            let complex = matches!(array, Array::C32(_));
            assert_eq!(bytes.len(), BEFORE_DATA + 24 * if complex { 8 } else { 4 });
            assert_eq!((0..5).map(|a| word(&bytes, 40 + 2 * a)).collect::<Vec<_>>(), [3, 4, 3, 2, 1]);
            assert_eq!((word(&bytes, 70), word(&bytes, 72)), if complex { (32, 64) } else { (16, 32) });
            assert_eq!((word(&bytes, 252), word(&bytes, 254), &bytes[344..348]), (1, 1, &b"n+1\0"[..]));
            assert_eq!([80, 84, 88].map(|at| float(&bytes, at)), [2.0, 3.0, 4.0]);
            for (r, row) in geometry.affine.iter().enumerate() {
                for (c, v) in row.iter().enumerate() {
                    assert_eq!(float(&bytes, 280 + 16 * r + 4 * c), *v as f32);
                }
            }
            // x is the fastest.
            let at = |k: usize| BEFORE_DATA + k * if complex { 8 } else { 4 };
            assert_eq!((float(&bytes, at(1)), float(&bytes, at(4)), float(&bytes, at(12))), (1.0, 10.0, 100.0));
            if complex {
                assert_eq!(float(&bytes, at(1) + 4), -1.0);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.nii");
        let array = Array::F64(ArrayD::from_elem(IxDyn(&[5, 6]), 2.5));
        write_nifti(Output::create(&path, &["nii"], false).unwrap(), &array, None).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((bytes.len(), word(&bytes, 252), word(&bytes, 254)), (BEFORE_DATA + 120, 0, 0));
        assert_eq!((float(&bytes, BEFORE_DATA), word(&bytes, 40), word(&bytes, 46)), (2.5, 3, 1));
        let wrong = |shape: &[usize]| {
            let output = Output::create(dir.path().join("b.nii"), &["nii"], false).unwrap();
            write_nifti(output, &Array::U8(ArrayD::zeros(IxDyn(shape))), None).unwrap_err().to_string()
        };
        assert!(wrong(&[1; 8]).contains("7 at most") && wrong(&[40_000]).contains("32767 at most"));
    }
}
