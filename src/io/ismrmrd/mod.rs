//! Raw data from HDF5 files: ISMRMRD, Cartesian of two and three axes, and non-Cartesian with its trajectory; fastMRI.
//!
//! Format: Inati et al., "ISMRM Raw data format: A proposed standard for MRI raw datasets",
//! Magn. Reson. Med. 77:411 (2017). The file is opened by `hdf5-pure`, [`claim`] compares what it says of its datasets with
//! its length before they are read; [`heap`] resolves the variable-length samples, [`header`] the XML. [`select`] sorts the
//! lines by flags and counters; [`assemble`] puts those of a Cartesian image in place, on the grid that [`readout`] and
//! [`centre`] find, and [`trajectory`] gathers those of any other. [`contents`] lists what there is without any of that.

mod assemble;
mod centre;
mod choice;
mod claim;
mod contents;
mod crop;
mod epi;
mod fastmri;
mod header;
mod header_units;
mod heap;
mod info;
mod readout;
mod records;
mod select;
mod trajectory;
mod whiten;
mod write;
mod xml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod tests;

use super::file::{read_bytes, source};
use super::format::{Format, Probe, Reader};
use crate::allocate::expect_room;
use crate::{Error, Result};
pub use choice::{Pick, ScanChoice};
pub use contents::{Contents, Counter, EncodingContents, NoiseContents, scan_contents};
use hdf5_pure::{Dataset, Datatype, File, VlenStringReadOptions};
use header::Header;
use heap::GlobalHeap;
pub use info::{Placement, ScanInfo};
use ndarray::ArrayD;
use num_complex::Complex32;
use records::{Acquisition, IMAGE_COUNTERS};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
pub use trajectory::NonCartesianScan;
pub use whiten::Whitening;
pub use write::{write_ismrmrd, write_ismrmrd_samples};

pub(super) const FORMAT: Format = Format {
    name: "ISMRMRD raw data",
    suffixes: &["h5", "hdf5", "mrd"],
    companion: None,
    probe: Some(probe),
    reader: Some(Reader::Scan(|path, choice| read_ismrmrd_stack(path, choice))),
    writer: None,
};

/// Headers have some kilobytes; the largest are those with the whole protocol in their user parameters.
const LONGEST_XML: usize = 16 << 20;

/// One image's worth of Cartesian multi-coil k-space, of two or three axes.
///
/// The DFT convention is the centred one: the k-space centre is at index `N / 2` of all axes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CartesianScan {
    /// k-space (coil, ky, kx) or (coil, kz, ky, kx), in the file's own scale or pre-whitened; 0 where `sampled` is 0.
    pub kspace: ArrayD<Complex32>,
    /// 1 where a sample (ky, kx) or (kz, ky, kx) was acquired, else 0.
    pub sampled: ArrayD<f32>,
    /// k-space to estimate coil maps from, where there is better than `kspace`: of reference lines that are not part of it, and of
    /// the encoded lines and columns where those of `kspace` are cut to fewer. The central pixels of its maps are those of the
    /// image.
    pub calibration: Option<ArrayD<Complex32>>,
    /// What else is known.
    pub info: ScanInfo,
}

/// What an HDF5 file holds of an image.
#[derive(Debug, Clone, PartialEq)]
pub enum IsmrmrdScan {
    /// Its lines lie on a grid: the header calls its trajectory `cartesian`, or `epi` and the lines have no coordinates.
    Cartesian(CartesianScan),
    /// The header calls it anything else.
    NonCartesian(NonCartesianScan),
}

impl IsmrmrdScan {
    /// What is known of it beside its samples.
    pub fn info(&self) -> &ScanInfo {
        match self {
            IsmrmrdScan::Cartesian(scan) => &scan.info,
            IsmrmrdScan::NonCartesian(scan) => &scan.info,
        }
    }
}

/// Several images of a file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScanStack {
    /// The counters of which several values were asked for, with the values: the leading axes. None for a single image.
    pub axes: Vec<(&'static str, Vec<usize>)>,
    /// The images, the last of the axes fastest; `None` where the file has none for these counters.
    pub images: Vec<Option<IsmrmrdScan>>,
}

/// Reads one image's worth of a scan from an ISMRMRD file or a fastMRI one.
///
/// Without a choice it is the first there is: slice, contrast, phase, repetition and set; averages are averaged. Reference lines
/// of parallel imaging belong to the image where they are embedded, else they stand in `calibration`; navigators and dummies are
/// skipped; k-space is pre-whitened where the file has a noise scan. Of a Cartesian scan, reversed lines are turned, repeated
/// lines averaged, and oversampling, a ratio of fields of view, is removed; of any other, the lines stay as they were acquired.
/// The summary says what was done, and the warnings what may be wrong.
///
/// ```no_run
/// use linops::io::{IsmrmrdScan, Pick, ScanChoice, read_ismrmrd};
/// let choice = ScanChoice::default().slice(Pick::Only(3));
/// let IsmrmrdScan::Cartesian(scan) = read_ismrmrd("scan.h5", &choice)? else { return Ok(()) };
/// println!("{}, {:?} mm", scan.info.summary, scan.info.fov_mm);
/// # Ok::<(), linops::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`] when the file is missing, is no HDF5 or holds no scan, is damaged, holds no imaging line, or not the one that
/// is asked for; when several groups hold scans and none is named; when the choice is one of several images.
pub fn read_ismrmrd(path: impl AsRef<Path>, choice: &ScanChoice) -> Result<IsmrmrdScan> {
    let path = path.as_ref();
    if let Some(index) = choice.picks().iter().position(|pick| pick.is_stack()) {
        let message = format!("several of {} are asked for; read_ismrmrd_stack reads them", IMAGE_COUNTERS[index]);
        return Err(Error::file(path, message));
    }
    let first = read_ismrmrd_stack(path, choice)?.images.into_iter().flatten().next();
    first.ok_or_else(|| Error::file(path, "no image of these counters"))
}

/// Reads all images of a choice, as [`read_ismrmrd`] reads one.
///
/// # Errors
/// Those of [`read_ismrmrd`]; memory for all of them together is not there.
pub fn read_ismrmrd_stack(path: impl AsRef<Path>, choice: &ScanChoice) -> Result<ScanStack> {
    let path = path.as_ref();
    with_file(path, |file| match fastmri::is_fastmri(file) {
        true => fastmri::read(file, choice).map_err(|e| Error::file(path, e)),
        false => with_lines(path, file, choice, |header, lines| stack(header, lines, choice)),
    })
}

/// Opens a file.
fn with_file<R>(path: &Path, read: impl FnOnce(&File) -> Result<R>) -> Result<R> {
    let bytes = read_bytes(path)?;
    contained(path, || {
        let file = File::from_bytes(bytes).map_err(|e| Error::file(path, format!("not a readable HDF5 file: {e}")))?;
        read(&file)
    })
}

/// A panic of the reader crate as what it means: a file that it did not expect.
fn contained<R>(path: &Path, read: impl FnOnce() -> Result<R>) -> Result<R> {
    // What is half-read is dropped.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::file(path, "damaged: the HDF5 reader gave up on it")))
}

/// Reads header and lines of an ISMRMRD group.
fn with_lines<R>(
    path: &Path,
    file: &File,
    choice: &ScanChoice,
    work: impl FnOnce(&Header, &[Acquisition]) -> Result<R, String>,
) -> Result<R> {
    let fail = |message: String| Error::file(path, message);
    let group = &group_of(file, choice).map_err(fail)?;
    let root = file.group(group).map_err(|_| fail(no_group(file, group)))?;
    let dataset = |name: &str| {
        root.dataset(name).map_err(|e| fail(format!("group '{group}' is no ISMRMRD data, no '{name}': {e}")))
    };
    let length = file.as_bytes().len() as u64;
    let xml = read_xml(&dataset("xml")?, length).map_err(|e| fail(format!("xml: {e}")))?;
    let header = Header::parse(&xml, choice.encoding).map_err(fail)?;
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
    work(&header, &lines).map_err(fail)
}

/// The images of a choice.
fn stack(header: &Header, lines: &[Acquisition], choice: &ScanChoice) -> Result<ScanStack, String> {
    let select::Selection { axes, images, noise, mut notes } = select::select(header, lines, choice)?;
    let mut warnings = Vec::new();
    let first = images.iter().flatten().next().map(|image| image.imaging[0]);
    let whitening = first.and_then(|line| whitened(header, &noise, line, choice, &mut notes, &mut warnings));
    let images = images.into_iter().map(|image| {
        let Some(image) = image else { return Ok(None) };
        let (notes, warnings) = (notes.clone(), warnings.clone());
        let on_a_grid = header.may_be_a_grid() && image.imaging.iter().all(|line| line.trajectory_dims == 0);
        let mut scan = if header.is_cartesian() || on_a_grid {
            assemble::assemble(header, &image, whitening.as_ref(), notes, warnings).map(IsmrmrdScan::Cartesian)
        } else {
            trajectory::gather(header, &image, whitening.as_ref(), notes, warnings).map(IsmrmrdScan::NonCartesian)
        }?;
        let (IsmrmrdScan::Cartesian(CartesianScan { info, .. })
        | IsmrmrdScan::NonCartesian(NonCartesianScan { info, .. })) = &mut scan;
        info.whitening = whitening.clone();
        Ok(Some(scan))
    });
    let images = images.collect::<Result<_, String>>()?;
    Ok(ScanStack {
        axes: axes.into_iter().map(|(counter, values)| (IMAGE_COUNTERS[counter], values)).collect(),
        images,
    })
}

/// The whitening of lines like `line`, if there is noise to find it from and it is asked for.
fn whitened(
    header: &Header,
    noise: &[&Acquisition],
    line: &Acquisition,
    choice: &ScanChoice,
    notes: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> Option<Whitening> {
    if noise.is_empty() {
        return None;
    }
    if !choice.whiten {
        notes.push("noise scan not used".into());
        return None;
    }
    match whiten::whitening(noise, line, header.noise_bandwidth) {
        Ok((whitening, note)) => {
            notes.push(note);
            Some(whitening)
        }
        Err(why) => {
            warnings.push(format!("not pre-whitened: the noise scan cannot be used, {why}"));
            None
        }
    }
}

/// Whether a group holds ISMRMRD data.
fn holds_scan(file: &File, group: &str) -> bool {
    let datasets = file.group(group).and_then(|g| g.datasets()).unwrap_or_default();
    ["xml", "data"].iter().all(|name| datasets.iter().any(|d| d == name))
}

/// The groups of the file that hold ISMRMRD data.
fn groups(file: &File) -> Vec<String> {
    let mut all = file.root().groups().unwrap_or_default();
    all.sort();
    all.into_iter().filter(|group| holds_scan(file, group)).collect()
}

/// The group that is asked for, or the only one.
fn group_of(file: &File, choice: &ScanChoice) -> Result<String, String> {
    if let Some(group) = &choice.group {
        return Ok(group.clone());
    }
    match groups(file).as_slice() {
        [] => Ok("dataset".into()),
        [only] => Ok(only.clone()),
        several => Err(format!("the groups {} hold scans; name one of them (--group)", several.join(", "))),
    }
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
    let length = source(path)?.length;
    Ok(Probe { shape: Vec::new(), dtype: "c8".into(), memory: length.saturating_mul(4) })
}

fn no_group(file: &File, group: &str) -> String {
    let found = match file.root().groups() {
        Ok(groups) if !groups.is_empty() => format!("the file has {}", groups.join(", ")),
        _ => "the file has no groups".to_string(),
    };
    format!("no group '{group}'; {found}")
}
