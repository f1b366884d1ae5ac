//! File formats: `.npy`, `.npz`, BART `.cfl`/`.hdr`, ISMRMRD and fastMRI `.h5`, `.png` and `.tif` in, and `.npy`, `.cfl`, ISMRMRD `.h5`,
//! `.png`, `.tif`, `.nii` out; `-` is an `.npy` file from the standard input, or to the standard output.
//!
//! Every size that a file claims is checked against the file's length before memory is taken, memory of such a size is asked
//! for in a way that may be refused, and an output is put in place only when it is complete ([`Output`]). Which formats there
//! are stands in one table, [`FORMATS`].

mod array;
mod cfl;
mod file;
mod font;
mod format;
mod geometry;
mod ismrmrd;
mod linop_file;
mod montage;
mod narrow;
mod nifti;
mod npy;
mod npz;
mod output;
mod png;
mod raster;
mod shown;
mod tiff;

pub use array::Array;
pub use cfl::{Cfl, cfl_kspace, read_cfl, write_cfl};
pub use format::{FORMATS, Format, Probe, Reader, Writer, read_array};
pub use geometry::Geometry;
pub use ismrmrd::{
    CartesianScan, Contents, Counter, EncodingContents, IsmrmrdScan, NoiseContents, NonCartesianScan, Pick, Placement,
    ScanChoice, ScanInfo, ScanStack, Whitening, read_ismrmrd, read_ismrmrd_stack, scan_contents, write_ismrmrd,
    write_ismrmrd_samples,
};
pub use linop_file::{COMMON_FIELDS, FieldDefault, FileField, FileOp, LinopFile, SaveOptions, linop_files_page};
pub use montage::{montage, montage_columns};
pub use nifti::{NiftiHeader, nifti_header, write_nifti};
pub use npy::{read_npy, write_npy};
pub use npz::{npz_arrays, npz_entry};
pub use output::{Output, discard_unfinished};
pub use png::{Picture, panels, write_picture, write_png};
pub use raster::{Depth, Raster, read_picture, write_raster};
pub use shown::{PHASE_WINDOW, Window, phase_colours};
