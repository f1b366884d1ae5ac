//! The file formats in one table: how a file is known by its suffix, who reads it, who writes it, who looks into it.
//!
//! Another format is one file with its functions and its [`Format`], and one row in [`FORMATS`]; whoever goes through the
//! table has it then: linop files, the command line, and the messages that list what can be read.

use super::file::{is_standard, standard_input};
use super::raster::{Raster, as_array};
use super::{Array, Cfl, Geometry, Output, ScanChoice, ScanStack, Window};
use super::{cfl, ismrmrd, nifti, npy, npz, png, tiff};
use crate::{Error, Result};
use ndarray::{ArrayView2, ArrayViewD};
use std::path::{Path, PathBuf};

/// All that are known.
pub const FORMATS: &[Format] =
    &[npy::FORMAT, npz::FORMAT, cfl::FORMAT, ismrmrd::FORMAT, png::FORMAT, tiff::FORMAT, nifti::FORMAT];

/// A file format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// The suffixes of its files, in small letters and without dots; the first is that of the data.
    pub suffixes: &'static [&'static str],
    /// The suffix of the file that lies beside the data, of the same base name.
    pub companion: Option<&'static str>,
    /// Says what a file holds, from its header alone.
    pub probe: Option<fn(&Path) -> Result<Probe>>,
    /// How it is read.
    pub reader: Option<Reader>,
    /// How it is written.
    pub writer: Option<Writer>,
}

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// Extents in C order; none where only reading tells.
    pub shape: Vec<usize>,
    /// The element type in NumPy's short spelling.
    pub dtype: String,
    /// Bytes of memory that reading takes at most.
    pub memory: u64,
}

/// How a format is read, by what its axes mean.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    /// An array, whose axes mean what its user says.
    Array(fn(&Path) -> Result<Array>),
    /// An array whose axes have BART's meanings.
    Bart(fn(&Path) -> Result<Cfl>),
    /// A measured scan: the images of a choice.
    Scan(fn(&Path, &ScanChoice) -> Result<ScanStack>),
    /// A picture of one or several pages, grey or coloured.
    Picture(fn(&Path) -> Result<Raster>),
}

/// How a format is written.
#[derive(Clone, Copy, Debug)]
pub enum Writer {
    /// Any array.
    Array(fn(Output, &Array) -> Result<()>),
    /// A real image (row, column).
    Picture(fn(Output, ArrayView2<f32>, Window) -> Result<()>),
    /// Any array as a volume, its axes reversed, with where it lies if that is known.
    Volume(fn(Output, &Array, Option<&Geometry>) -> Result<()>),
    /// Real images (row, column), or several of them, with all digits.
    Raster(fn(Output, ArrayViewD<f32>) -> Result<()>),
}

impl Reader {
    /// Whether it gives an array.
    pub fn is_array(&self) -> bool {
        matches!(self, Reader::Array(_) | Reader::Bart(_) | Reader::Picture(_))
    }
}

impl Format {
    /// The format of a file, by its suffix in any case; `-`, the standard input or output, is `.npy`. A name beside which lies the companion of a format, as BART's base
    /// names have it, is of that format.
    pub fn of(path: &Path) -> Option<&'static Format> {
        let suffix = suffix(path);
        let by_suffix = FORMATS.iter().find(|f| f.suffixes.contains(&suffix.as_str()));
        by_suffix.or_else(|| {
            let beside =
                |f: &&Format| f.companion.is_some_and(|c| path.file_name().is_some() && appended(path, c).exists());
            FORMATS.iter().find(beside)
        })
    }

    /// The format of a file that is read: as [`Format::of`], but the standard input, which is read for it, is told by its first bytes,
    /// `.npy` where they are no other's.
    pub fn of_input(path: &Path) -> Option<&'static Format> {
        if !is_standard(path) {
            return Format::of(path);
        }
        let begins = |with: &[u8]| standard_input().is_ok_and(|bytes| bytes.starts_with(with));
        Some(match () {
            () if begins(b"PK") => &npz::FORMAT,
            () if begins(b"\x89HDF") => &ismrmrd::FORMAT,
            () => &npy::FORMAT,
        })
    }

    /// The files that a name stands for: itself, or of a pair both, the data first.
    pub fn files(&self, path: &Path) -> Vec<PathBuf> {
        let Some(companion) = self.companion else { return vec![npz::split(path).0] };
        [self.suffixes[0], companion].map(|suffix| appended(&self.base(path), suffix)).to_vec()
    }

    /// The name without the suffix of this format.
    pub(super) fn base(&self, path: &Path) -> PathBuf {
        match self.suffixes.contains(&suffix(path).as_str()) {
            true => path.with_extension(""),
            false => path.to_path_buf(),
        }
    }

    /// How a file is read, if its format is one of those that `wanted` says.
    ///
    /// # Errors
    /// It is none of them; the message lists their suffixes.
    pub fn reader_of(path: &Path, wanted: impl Fn(&Reader) -> bool) -> Result<Reader> {
        match Format::of_input(path).and_then(|f| f.reader).filter(&wanted) {
            Some(reader) => Ok(reader),
            None => {
                let known = FORMATS.iter().filter(|f| f.reader.is_some_and(|r| wanted(&r)));
                Err(Error::file(path, format!("{}; an input here ends in {}", named(path), list(known))))
            }
        }
    }
}

/// Reads an array of any format that holds one, in C order; an array of BART's has its dims reversed, a picture those that
/// [`Raster`] tells.
///
/// # Errors
/// [`Error::File`] when the suffix is that of no such format, or the file cannot be read.
pub fn read_array(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    match Format::reader_of(path, Reader::is_array)? {
        Reader::Array(read) => read(path),
        Reader::Bart(read) => read(path).map(|cfl| Array::C32(cfl.array)),
        Reader::Picture(read) => read(path).map(as_array),
        Reader::Scan(_) => Err(Error::file(path, "is a scan and no array")),
    }
}

/// The suffix in small letters and without its dot; empty if there is none.
pub(super) fn suffix(path: &Path) -> String {
    let name = path.to_string_lossy().to_ascii_lowercase();
    let special = [
        (is_standard(path), "npy"),
        (name.contains(".npz:") || name.starts_with("-:"), "npz"),
        (name.ends_with(".nii.gz"), "nii.gz"),
    ];
    match special.iter().find(|(it, _)| *it) {
        Some((_, suffix)) => (*suffix).to_string(),
        None => path.extension().map(|s| s.to_string_lossy().to_ascii_lowercase()).unwrap_or_default(),
    }
}

/// "suffix .txt"
pub(super) fn named(path: &Path) -> String {
    match suffix(path) {
        none if none.is_empty() => "no suffix".into(),
        some => format!("suffix .{some}"),
    }
}

/// The suffixes of formats that are named by their first one, and others as they are, each with its dot.
pub(super) fn suffixes(named: &[&str]) -> Vec<String> {
    let all = |name: &&str| {
        FORMATS
            .iter()
            .find(|f| f.suffixes[0] == *name)
            .map_or(vec![name.to_string()], |f| f.suffixes.iter().map(ToString::to_string).collect())
    };
    named.iter().flat_map(all).map(|suffix| format!(".{suffix}")).collect()
}

/// ".npy, .cfl or .h5"
fn list<'a>(formats: impl Iterator<Item = &'a Format>) -> String {
    let all: Vec<String> = formats.flat_map(|f| f.suffixes).map(|suffix| format!(".{suffix}")).collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

/// A suffix behind a base name, which may hold dots itself.
pub(super) fn appended(base: &Path, suffix: &str) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_name_one_format_each() {
        let all: Vec<&str> = FORMATS.iter().flat_map(|f| f.suffixes).copied().collect();
        for (i, suffix) in all.iter().enumerate() {
            assert!(!all[..i].contains(suffix) && *suffix == suffix.to_ascii_lowercase(), "{suffix}");
        }
        for format in FORMATS {
            assert!(format.companion.is_none_or(|c| format.suffixes.contains(&c)), "{}", format.name);
            assert_eq!(format.reader.is_some(), format.probe.is_some(), "{}", format.name);
        }
    }

    #[test]
    fn names_tell_the_format() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["k.hdr", "k.b.hdr"] {
            std::fs::write(path(name), "").unwrap();
        }
        let name = |file: &str| Format::of(&path(file)).map(|f| f.suffixes[0]);
        assert_eq!(
            (name("a.npy"), name("a.NPY"), name("a.hdr"), name("a.h5")),
            (Some("npy"), Some("npy"), Some("cfl"), Some("h5"))
        );
        assert_eq!((name("a.npz:b.c"), name("a.nii.GZ"), name("a.gz")), (Some("npz"), Some("nii"), None));
        assert_eq!(Format::of(Path::new("-")).map(|f| f.suffixes[0]), Some("npy"));
        assert_eq!(Format::of(&path("a.npz:b")).unwrap().files(&path("a.npz:b")), [path("a.npz")]);
        assert_eq!((name("k"), name("k.b"), name("k.c"), name("a")), (Some("cfl"), Some("cfl"), None, None));
        let cfl = Format::of(&path("a.cfl")).unwrap();
        for name in ["a.b", "a.b.cfl", "a.b.hdr"] {
            assert_eq!(cfl.files(&path(name)), [path("a.b.cfl"), path("a.b.hdr")]);
        }
        assert_eq!(Format::of(&path("a.npy")).unwrap().files(&path("a.npy")), [path("a.npy")]);
    }

    #[test]
    fn says_what_can_be_read() {
        let error = |name: &str| read_array(name).unwrap_err().to_string();
        assert_eq!(
            error("a.txt"),
            "a.txt: suffix .txt; an input here ends in .npy, .npz, .cfl, .hdr, .png, .tif or .tiff"
        );
        assert_eq!(error("a"), "a: no suffix; an input here ends in .npy, .npz, .cfl, .hdr, .png, .tif or .tiff");
        let any = Format::reader_of(Path::new("a.gif"), |_| true).unwrap_err().to_string();
        assert!(any.ends_with("ends in .npy, .npz, .cfl, .hdr, .h5, .hdf5, .mrd, .png, .tif or .tiff"), "{any}");
    }
}
