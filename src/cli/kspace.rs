//! What `recon` reads: k-space, coil maps and mask, checked against each other.

use super::input::{read_array, suffix, unknown};
use linops::io::{Array as AnyArray, IsmrmrdScan, cfl_kspace, read_ismrmrd, read_npy};
use linops::{Error, Result};
use ndarray::{Array, Array2, Array3, ArrayD, Dimension, Ix2, Ix3};
use num_complex::Complex32;
use std::path::Path;

/// Measured k-space.
pub struct Kspace {
    /// Values (coil, ky, kx).
    pub values: Array3<Complex32>,
    /// 1 where (ky, kx) was acquired, if the file says so.
    pub sampled: Option<Array2<f32>>,
    /// What there is to say about the file.
    pub notes: Vec<String>,
}

/// Reads k-space: `.npy` (coil, ky, kx), `.cfl` (BART x, y, 1, coil), ISMRMRD `.h5`.
pub fn read_kspace(path: &Path) -> Result<Kspace> {
    let plain = |values| Kspace { values, sampled: None, notes: Vec::new() };
    match suffix(path).as_str() {
        "npy" => {
            let array = read_npy(path)?;
            if !matches!(array, AnyArray::C32(_) | AnyArray::C64(_)) {
                let message = format!("k-space of dtype {}, expected complex values (c8 or c16)", array.dtype_name());
                return Err(Error::file(path, message));
            }
            Ok(plain(with_rank::<_, Ix3>(path, array.into_complex(), "k-space", "coil, ky, kx")?))
        }
        "cfl" | "hdr" => Ok(plain(cfl_kspace(path)?)),
        "h5" => {
            let IsmrmrdScan::Cartesian(scan) = read_ismrmrd(path, "dataset")? else {
                return Err(Error::file(path, "is not Cartesian"));
            };
            let notes = vec![scan.summary].into_iter().filter(|s| !s.is_empty()).collect();
            Ok(Kspace { values: scan.kspace, sampled: Some(scan.sampled), notes })
        }
        other => Err(unknown(path, other, ".npy, .cfl or .h5")),
    }
}

/// Reads coil maps (coil, y, x) that fit the k-space.
pub fn read_maps(path: &Path, kspace: &Kspace) -> Result<Array3<Complex32>> {
    let maps = match suffix(path).as_str() {
        "cfl" | "hdr" => cfl_kspace(path)?,
        _ => with_rank::<_, Ix3>(path, read_array(path)?.into_complex(), "coil maps", "coil, y, x")?,
    };
    let (coils, ky, kx) = kspace.values.dim();
    expect(path, "maps", &[("C", coils), ("Ny", ky), ("Nx", kx)], maps.shape())?;
    Ok(maps)
}

/// Reads a mask (ky, kx) of zeros and ones, of any dtype, that fits the k-space.
pub fn read_mask(path: &Path, kspace: &Kspace) -> Result<Array2<f32>> {
    let values = exact(read_array(path)?);
    let mask = with_rank::<_, Ix2>(path, values, "mask", "ky, kx")?;
    let (_, ky, kx) = kspace.values.dim();
    expect(path, "mask", &[("Ky", ky), ("Kx", kx)], mask.shape())?;
    if let Some(((y, x), v)) = mask.indexed_iter().find(|(_, v)| **v != 0.0 && **v != 1.0) {
        let message = format!("the mask is {v} at [ky={y}, kx={x}]; expected 0 (not sampled) or 1 (sampled)");
        return Err(Error::file(path, message));
    }
    Ok(mask.mapv(|v| v as f32))
}

/// Values in f64, so that nothing is rounded to 0 or 1; NaN where there is an imaginary part.
fn exact(array: AnyArray) -> ArrayD<f64> {
    let real = |re: f64, im: f64| if im == 0.0 { re } else { f64::NAN };
    match array {
        AnyArray::F32(a) => a.mapv(f64::from),
        AnyArray::F64(a) => a,
        AnyArray::I64(a) => a.mapv(|v| v as f64),
        AnyArray::U8(a) => a.mapv(f64::from),
        AnyArray::C32(a) => a.mapv(|v| real(v.re.into(), v.im.into())),
        AnyArray::C64(a) => a.mapv(|v| real(v.re, v.im)),
    }
}

fn with_rank<T, D: Dimension>(path: &Path, array: ArrayD<T>, what: &str, dims: &str) -> Result<Array<T, D>> {
    let extents = array.shape().to_vec();
    array.into_dimensionality::<D>().map_err(|_| {
        let n = D::NDIM.unwrap_or(0);
        Error::file(path, format!("{what} with {} axes {extents:?}, expected {n}: ({dims})", extents.len()))
    })
}

fn expect(path: &Path, what: &str, dims: &[(&str, usize)], came: &[usize]) -> Result<()> {
    for ((dim, want), came) in dims.iter().zip(came) {
        if want != came {
            let message = format!("dim {dim} of the {what} has extent {came}, expected {want} from the k-space");
            return Err(Error::file(path, message));
        }
    }
    Ok(())
}

/// Refuses NaN and infinity; or, if they are allowed, makes them 0 and gives their places.
pub fn finite(
    path: &Path,
    values: &mut Array3<Complex32>,
    dims: [&str; 3],
    allow: bool,
) -> Result<Vec<(usize, usize, usize)>> {
    let mut found = Vec::new();
    for ((a, b, c), v) in values.indexed_iter_mut().filter(|(_, v)| !v.is_finite()) {
        if !allow {
            let [x, y, z] = dims;
            let message =
                format!("NaN or infinity at [{x}={a}, {y}={b}, {z}={c}]; correct the data, or give --allow-nan");
            return Err(Error::file(path, message));
        }
        *v = Complex32::default();
        found.push((a, b, c));
    }
    Ok(found)
}
