//! Cartesian scans with partitions, plane by plane.

use super::kspace::Kspace;
use linops::io::CartesianScan;
use linops::{Error, Result};
use ndarray::{Array2, Array3, Array4, Axis, Ix3, Ix4};
use num_complex::Complex32;
use std::path::Path;

/// The planes of k-space (coil, kz, ky, kx), transformed along kz: of scans that have the same lines in every partition that
/// was acquired, which are all of them but for those of a partial Fourier scan.
///
/// # Errors
/// The partitions have other lines than each other: then planes fold into each other.
pub fn planes(path: &Path, scan: CartesianScan) -> Result<Vec<Kspace>> {
    let CartesianScan { kspace, sampled, calibration, info, .. } = scan;
    let shaped = |e: ndarray::ShapeError| Error::file(path, e.to_string());
    let kspace: Array4<Complex32> = kspace.into_dimensionality::<Ix4>().map_err(shaped)?;
    let sampled: Array3<f32> = sampled.into_dimensionality::<Ix3>().map_err(shaped)?;
    let calibration = calibration.map(|lines| lines.into_dimensionality::<Ix4>().map_err(shaped)).transpose()?;
    let mask = common_mask(path, &sampled)?;
    let kspace = along_z(kspace)?;
    let calibration = calibration.map(along_z).transpose()?;
    let n = kspace.len_of(Axis(1));
    let plane = |z: usize| Kspace {
        values: kspace.index_axis(Axis(1), z).to_owned(),
        sampled: Some(mask.clone()),
        calibration: calibration.as_ref().map(|lines| lines.index_axis(Axis(1), z).to_owned()),
        info: Some(info.clone()),
        plane: Some((z, n)),
        notes: Vec::new(),
    };
    Ok((0..n).map(plane).collect())
}

/// The mask (ky, kx) that all acquired partitions have.
fn common_mask(path: &Path, sampled: &Array3<f32>) -> Result<Array2<f32>> {
    let mut acquired = sampled.axis_iter(Axis(0)).enumerate().filter(|(_, plane)| plane.iter().any(|v| *v > 0.0));
    let Some((first, mask)) = acquired.next() else {
        return Err(Error::file(path, "no partition was acquired"));
    };
    let mut last = first;
    let mut gaps = false;
    for (z, plane) in acquired {
        gaps |= z != last + 1;
        last = z;
        if plane != mask {
            let message = format!(
                "partitions {first} and {z} have other lines than each other: an undersampled scan of three axes; give the coil maps \
                 (coil, z, y, x) with --maps"
            );
            return Err(Error::file(path, message));
        }
    }
    let n = sampled.len_of(Axis(0));
    if gaps || !(first <= n / 2 && last >= n / 2) {
        let message = "partitions are missing between others: an undersampled scan of three axes; give the coil maps (coil, z, y, x) \
                       with --maps";
        return Err(Error::file(path, message));
    }
    Ok(mask.to_owned())
}

/// The inverse centred orthonormal DFT along kz.
fn along_z(kspace: Array4<Complex32>) -> Result<Array4<Complex32>> {
    use linops::{Tensor, linop};
    let (coils, nz, ny, nx) = kspace.dim();
    let f =
        linop::fft(format!("C={coils} Nz={nz} Ny={ny} Nx={nx}"), "Nz", linop::FftOptions::default().centered(true))?;
    let y = Tensor::from_array(kspace, f.output()?.dims().to_vec())?;
    let x = f.h().apply(&y)?.to_array()?;
    x.into_dimensionality::<Ix4>().map_err(|e| Error::Shape(e.to_string()))
}
