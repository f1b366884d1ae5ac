//! Raw data from ISMRMRD (`.h5`) files: 2-D Cartesian, and non-Cartesian with its trajectory.
//!
//! Format: Inati et al., "ISMRM Raw data format: A proposed standard for MRI raw datasets",
//! Magn. Reson. Med. 77:411 (2017). The file is opened by `hdf5-pure`, [`claim`] compares what it says of its datasets with
//! its length before they are read; [`heap`] resolves the variable-length samples, [`header`] the XML; [`assemble`] puts the
//! lines of a Cartesian scan in place, and [`trajectory`] gathers those of any other.

mod assemble;
mod claim;
mod header;
mod heap;
mod records;
mod trajectory;
mod write;
mod xml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use super::file::{open, read_bytes};
use super::format::{Format, Probe, Reader};
use crate::allocate::expect_room;
use crate::{Error, Result};
use hdf5_pure::{Dataset, Datatype, File, VlenStringReadOptions};
use heap::GlobalHeap;
use ndarray::{Array2, Array3};
use num_complex::Complex32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
pub use trajectory::NonCartesianScan;
pub use write::{write_ismrmrd, write_ismrmrd_samples};

pub(super) const FORMAT: Format = Format {
    name: "ISMRMRD raw data",
    suffixes: &["h5"],
    companion: None,
    probe: Some(probe),
    reader: Some(Reader::Scan(|path, group| read_ismrmrd(path, group))),
    writer: None,
};

/// Headers have some kilobytes; the largest are those with the whole protocol in their user parameters.
const LONGEST_XML: usize = 16 << 20;

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
    let bytes = read_bytes(path)?;
    contained(path, || {
        let file = File::from_bytes(bytes).map_err(|e| Error::file(path, format!("not a readable HDF5 file: {e}")))?;
        read(path, &file, group)
    })
}

/// A panic of the reader crate as what it means: a file that it did not expect.
fn contained<R>(path: &Path, read: impl FnOnce() -> Result<R>) -> Result<R> {
    // What is half-read is dropped.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::file(path, "damaged: the HDF5 reader gave up on it")))
}

fn read(path: &Path, file: &File, group: &str) -> Result<IsmrmrdScan> {
    let fail = |message: String| Error::file(path, message);
    let root = file.group(group).map_err(|_| fail(no_group(file, group)))?;
    let dataset = |name: &str| {
        root.dataset(name).map_err(|e| fail(format!("group '{group}' is no ISMRMRD data, no '{name}': {e}")))
    };
    let length = file.as_bytes().len() as u64;
    let xml = read_xml(&dataset("xml")?, length).map_err(|e| fail(format!("xml: {e}")))?;
    let header = header::Header::parse(&xml).map_err(fail)?;
    let superblock = file.superblock();
    let mut heap = GlobalHeap::new(
        file.as_bytes(),
        superblock.base_address.get(),
        usize::from(superblock.offset_size),
        usize::from(superblock.length_size),
    );
    let unreadable = |e: hdf5_pure::Error| fail(format!("data: {e}"));
    let table = dataset("data")?;
    let datatype = table.datatype().map_err(unreadable)?;
    let layout = records::Layout::of(&datatype, heap.reference_size(), !header.is_cartesian()).map_err(fail)?;
    let bytes = claim::bytes(&table, length).map_err(|e| fail(format!("the table 'data' {e}")))?;
    // The table, and what is made of its records.
    expect_room(bytes.saturating_mul(3), &path.display().to_string())?;
    let raw = table.read_raw().map_err(unreadable)?;
    let lines = layout.acquisitions(&raw, &mut heap).map_err(fail)?;
    let scan = if header.is_cartesian() {
        assemble::assemble(&header, &lines).map(IsmrmrdScan::Cartesian)
    } else {
        trajectory::gather(&header, &lines).map(IsmrmrdScan::NonCartesian)
    };
    scan.map_err(fail)
}

fn read_xml(xml: &Dataset, length: u64) -> Result<String, String> {
    let unreadable = |e: hdf5_pure::Error| e.to_string();
    let bytes = claim::bytes(xml, length)?;
    if bytes > LONGEST_XML as u64 {
        return Err(format!("{bytes} bytes, expected a header of at most {LONGEST_XML}"));
    }
    let texts = match xml.datatype().map_err(unreadable)? {
        Datatype::VariableLength { is_string: true, .. } => {
            let options = VlenStringReadOptions::new().with_max_elements(1024).with_max_payload_bytes(LONGEST_XML);
            xml.read_vlen_strings(options)
        }
        // A text of fixed length lies in the dataset itself.
        _ => xml.read_string(),
    };
    Ok(texts.map_err(unreadable)?.concat())
}

/// Little is known without reading: the length of the file is what bounds all.
fn probe(path: &Path) -> Result<Probe> {
    let (_, length) = open(path)?;
    Ok(Probe { shape: Vec::new(), dtype: "c8".into(), memory: length.saturating_mul(4) })
}

fn no_group(file: &File, group: &str) -> String {
    let found = match file.root().groups() {
        Ok(groups) if !groups.is_empty() => format!("the file has {}", groups.join(", ")),
        _ => "the file has no groups".to_string(),
    };
    format!("no group '{group}'; {found}")
}
