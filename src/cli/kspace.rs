//! What `recon` reads of Cartesian data: k-space, coil maps and mask, checked against each other.

use super::grids::{Volume, read_volume};
use super::input::{expect_readable, is_bart, read};
use super::samples::{Samples, read_samples, samples_of};
use linops::io::{Array as AnyArray, Format, IsmrmrdScan, Reader, cfl_kspace};
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

/// The data of a scan.
pub enum Input {
    /// Cartesian.
    Grid(Kspace),
    /// Cartesian, with partition encoding.
    Volume(Volume),
    /// With the coordinates of each sample.
    Samples(Samples),
}

/// The group of an HDF5 file that holds the scan.
pub const GROUP: &str = "dataset";

/// Reads k-space: with a trajectory in a file of its own, as [`read_samples`] does; else an array (coil, ky, kx), BART's (x, y,
/// 1, coil), the same with kz, or a scan, which may bring a trajectory.
pub fn read_input(path: &Path, trajectory: Option<&Path>) -> Result<Input> {
    if let Some(trajectory) = trajectory {
        return Ok(Input::Samples(read_samples(path, trajectory)?));
    }
    if let Some(volume) = read_volume(path)? {
        return Ok(Input::Volume(volume));
    }
    let plain = |values| Input::Grid(Kspace { values, sampled: None, notes: Vec::new() });
    let reader = Format::reader_of(path, holds_kspace)?;
    expect_readable(path)?;
    match reader {
        Reader::Array(read) => {
            let array = complex(path, read(path)?)?;
            Ok(plain(with_rank::<_, Ix3>(path, array, "k-space", "coil, ky, kx")?))
        }
        Reader::Bart(_) => Ok(plain(cfl_kspace(path)?)),
        Reader::Scan(read) => match read(path, GROUP)? {
            IsmrmrdScan::Cartesian(scan) => {
                let notes = vec![scan.summary].into_iter().filter(|s| !s.is_empty()).collect();
                Ok(Input::Grid(Kspace { values: scan.kspace, sampled: Some(scan.sampled), notes }))
            }
            IsmrmrdScan::NonCartesian(scan) => Ok(Input::Samples(samples_of(path, scan, None)?)),
        },
        Reader::Picture(_) => Err(Error::file(path, REAL)),
    }
}

/// Whether a format can hold k-space: a picture has no phase.
pub fn holds_kspace(reader: &Reader) -> bool {
    !matches!(reader, Reader::Picture(_))
}

/// What is wrong with a picture for k-space.
pub const REAL: &str = "is a picture; k-space is complex";

/// The values of k-space, which must be complex.
pub fn complex(path: &Path, array: AnyArray) -> Result<ArrayD<Complex32>> {
    if !matches!(array, AnyArray::C32(_) | AnyArray::C64(_)) {
        let message = format!("k-space of dtype {}, expected complex values (c8 or c16)", array.dtype_name());
        return Err(Error::file(path, message));
    }
    Ok(array.into_complex())
}

/// Reads coil maps (coil, y, x) that fit the k-space.
pub fn read_maps(path: &Path, kspace: &Kspace) -> Result<Array3<Complex32>> {
    let maps = match is_bart(path) {
        true => cfl_kspace(path)?,
        false => with_rank::<_, Ix3>(path, read(path)?.into_complex(), "coil maps", "coil, y, x")?,
    };
    let (coils, ky, kx) = kspace.values.dim();
    expect(path, "maps", &[("C", coils), ("Ny", ky), ("Nx", kx)], maps.shape())?;
    Ok(maps)
}

/// Reads a mask (ky, kx) of zeros and ones, of any dtype, that fits the k-space.
pub fn read_mask(path: &Path, kspace: &Kspace) -> Result<Array2<f32>> {
    let values = exact(read(path)?);
    let mask = with_rank::<_, Ix2>(path, values, "mask", "ky, kx")?;
    let (_, ky, kx) = kspace.values.dim();
    expect(path, "mask", &[("Ky", ky), ("Kx", kx)], mask.shape())?;
    if let Some(((y, x), v)) = mask.indexed_iter().find(|(_, v)| **v != 0.0 && **v != 1.0) {
        let message = format!("the mask is {v:?} at [ky={y}, kx={x}]; expected 0 (not sampled) or 1 (sampled)");
        return Err(Error::file(path, message));
    }
    Ok(mask.mapv(|v| v as f32))
}

/// Values in f64, so that nothing is rounded to 0 or 1; NaN where there is an imaginary part.
pub fn exact(array: AnyArray) -> ArrayD<f64> {
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

/// Refuses NaN and infinity; or, if they are allowed, makes them 0 and gives their places. Axes without a name in `dims` are
/// numbered.
pub fn finite<D: Dimension>(
    path: &Path,
    values: &mut Array<Complex32, D>,
    dims: &[&str],
    allow: bool,
) -> Result<Vec<Vec<usize>>> {
    let mut found = Vec::new();
    let extents = values.shape().to_vec();
    for (index, v) in values.iter_mut().enumerate().filter(|(_, v)| !v.is_finite()) {
        let at = unravel(index, &extents);
        if !allow {
            let name = |axis: usize| dims.get(axis).map_or_else(|| format!("axis {axis}"), |name| name.to_string());
            let place: Vec<String> = at.iter().enumerate().map(|(axis, n)| format!("{}={n}", name(axis))).collect();
            let message = format!("NaN or infinity at [{}]; correct the data, or give --allow-nan", place.join(", "));
            return Err(Error::file(path, message));
        }
        *v = Complex32::default();
        found.push(at);
    }
    Ok(found)
}

/// The place of the `index`-th element in C order.
fn unravel(mut index: usize, extents: &[usize]) -> Vec<usize> {
    let mut at = vec![0; extents.len()];
    for (place, n) in at.iter_mut().zip(extents).rev() {
        *place = index % n;
        index /= n;
    }
    at
}
