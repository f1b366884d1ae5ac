//! Raw data from ISMRMRD (`.h5`) files: 2-D Cartesian, and non-Cartesian with its trajectory.
//!
//! Format: Inati et al., "ISMRM Raw data format: A proposed standard for MRI raw datasets",
//! Magn. Reson. Med. 77:411 (2017). The file is opened by `hdf5-pure`; [`heap`] resolves the
//! variable-length samples, [`header`] the XML; [`assemble`] puts the lines of a Cartesian scan in place, and [`trajectory`]
//! gathers those of any other.

mod assemble;
mod header;
mod heap;
mod records;
mod trajectory;
mod xml;

#[cfg(test)]
mod tests;

use crate::{Error, Result};
use hdf5_pure::File;
use heap::GlobalHeap;
use ndarray::{Array2, Array3};
use num_complex::Complex32;
use std::path::Path;
pub use trajectory::NonCartesianScan;

/// One 2-D image's worth of Cartesian multi-coil k-space.
///
/// The DFT convention is the centred one: the k-space centre is at index `N / 2` of both axes.
#[derive(Debug, Clone, PartialEq)]
pub struct CartesianScan {
    /// k-space (coil, ky, kx), in the file's own scale; 0 where `sampled` is 0.
    pub kspace: Array3<Complex32>,
    /// 1 where a sample (ky, kx) was acquired, else 0.
    pub sampled: Array2<f32>,
    /// What was read, averaged, skipped, cropped: a line or two for the user.
    pub summary: String,
    /// The header's encoded matrix (y, x), oversampling included.
    pub encoded_matrix: [usize; 2],
    /// The header's reconstructed matrix (y, x).
    pub recon_matrix: [usize; 2],
    /// Field of view (y, x) of `kspace` in mm; 0 where the header does not say.
    pub fov_mm: [f64; 2],
}

/// What an ISMRMRD file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum IsmrmrdScan {
    /// The header calls its trajectory `cartesian`.
    Cartesian(CartesianScan),
    /// The header calls it anything else.
    NonCartesian(NonCartesianScan),
}

/// Reads a scan from the group `group` (usually `dataset`) of an ISMRMRD file.
///
/// Noise, calibration-only, navigator and other non-imaging lines are skipped; of several slices, contrasts, phases,
/// repetitions and sets the first is read; the summary says so. Noise is not pre-whitened. Of a Cartesian scan, reversed lines
/// are turned, repeated lines averaged, and readout oversampling is removed; of any other, the lines stay as they were
/// acquired.
///
/// # Errors
/// [`Error::File`] when the file is missing, is no HDF5 or no ISMRMRD file, is damaged, is 3-D Cartesian, or holds no imaging
/// line.
pub fn read_ismrmrd(path: impl AsRef<Path>, group: &str) -> Result<IsmrmrdScan> {
    let path = path.as_ref();
    let fail = |message: String| Error::file(path, message);
    // Before hdf5-pure, for the messages about missing files and folders.
    drop(super::npy::open(path)?);
    let file = File::open(path).map_err(|e| fail(format!("not a readable HDF5 file: {e}")))?;
    let root = file.group(group).map_err(|_| fail(no_group(&file, group)))?;
    let dataset = |name: &str| {
        root.dataset(name).map_err(|e| fail(format!("group '{group}' is no ISMRMRD data, no '{name}': {e}")))
    };
    let unreadable = |name: &'static str| move |e: hdf5_pure::Error| fail(format!("{name}: {e}"));
    let xml = dataset("xml")?.read_string().map_err(unreadable("xml"))?;
    let header = header::Header::parse(&xml.concat()).map_err(fail)?;
    let table = dataset("data")?;
    let datatype = table.datatype().map_err(unreadable("data"))?;
    let raw = table.read_raw().map_err(unreadable("data"))?;
    let superblock = file.superblock();
    let mut heap = GlobalHeap::new(
        file.as_bytes(),
        superblock.base_address.get(),
        usize::from(superblock.offset_size),
        usize::from(superblock.length_size),
    );
    let lines = records::acquisitions(&datatype, &raw, &mut heap, !header.is_cartesian()).map_err(fail)?;
    let scan = if header.is_cartesian() {
        assemble::assemble(&header, &lines).map(IsmrmrdScan::Cartesian)
    } else {
        trajectory::gather(&header, &lines).map(IsmrmrdScan::NonCartesian)
    };
    scan.map_err(fail)
}

fn no_group(file: &File, group: &str) -> String {
    let found = match file.root().groups() {
        Ok(groups) if !groups.is_empty() => format!("the file has {}", groups.join(", ")),
        _ => "the file has no groups".to_string(),
    };
    format!("no group '{group}'; {found}")
}
