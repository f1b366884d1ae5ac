//! File formats: `.npy`, BART `.cfl`/`.hdr`, ISMRMRD `.h5`, `.png` and `.tif` in, and all of these out.
//!
//! Every size that a file claims is checked against the file's length before memory is taken, memory of such a size is asked
//! for in a way that may be refused, and an output is put in place only when it is complete ([`Output`]). Which formats there
//! are stands in one table, [`FORMATS`].

mod array;
mod cfl;
mod file;
mod font;
mod format;
mod ismrmrd;
mod linop_file;
mod npy;
mod output;
mod png;
mod raster;
mod tiff;

pub use array::Array;
pub use cfl::{Cfl, cfl_kspace, read_cfl, write_cfl};
pub use format::{FORMATS, Format, Probe, Reader, Writer, read_array};
pub use ismrmrd::{CartesianScan, IsmrmrdScan, NonCartesianScan, read_ismrmrd};
pub use ismrmrd::{write_ismrmrd, write_ismrmrd_samples};
pub use linop_file::{COMMON_FIELDS, FieldDefault, FileField, FileOp, LinopFile, SaveOptions, linop_files_page};
pub use npy::{read_npy, write_npy};
pub use output::{Output, discard_unfinished};
pub use png::{Picture, Window, panels, write_picture, write_png};
pub use raster::{Depth, Raster, read_picture, write_raster};
