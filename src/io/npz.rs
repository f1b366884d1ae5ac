//! NumPy's `.npz` archives, in: one array of a file, by its name where there are several (`FILE.npz:NAME`).

use super::file::{Source, is_standard, open, standard_input};
use super::format::{Format, Probe, Reader};
use super::{Array, npy};
use crate::allocate::room_for;
use crate::{Error, Result};
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

pub(super) const FORMAT: Format = Format {
    name: "NumPy archive",
    suffixes: &["npz"],
    companion: None,
    probe: Some(probe),
    reader: Some(Reader::Array(read)),
    writer: None,
};

/// Bytes that Deflate can make of one, at most.
const DEFLATE: u64 = 1032;

/// As much of an array as its header may take.
const HEADER: u64 = 1 << 20;

/// The archive, and the array of it that a name stands for.
pub(super) fn split(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    if let Some(name) = text.strip_prefix("-:") {
        return (PathBuf::from("-"), Some(name.to_string()));
    }
    match text.to_ascii_lowercase().rfind(".npz:") {
        Some(at) => (PathBuf::from(&text[..at + 4]), Some(text[at + 5..].to_string())),
        None => (path.to_path_buf(), None),
    }
}

fn read(path: &Path) -> Result<Array> {
    npy::read_from(path, member(path, u64::MAX)?)
}

fn probe(path: &Path) -> Result<Probe> {
    let source = member(path, HEADER)?;
    let bytes = source.length;
    let probe = npy::probe_from(path, source)?;
    // Unpacked first, then decoded.
    Ok(Probe { memory: probe.memory.saturating_add(bytes), ..probe })
}

/// What an archive is read from.
trait Archive: Read + Seek {}
impl<T: Read + Seek> Archive for T {}

/// The arrays of an archive, or of the standard input, by name, with what each says of itself.
///
/// # Errors
/// [`Error::File`] when it cannot be read as an archive, or an array not as one.
pub fn npz_arrays(path: impl AsRef<Path>) -> Result<Vec<(String, Probe)>> {
    let path = path.as_ref();
    let fail = |e: ZipError| Error::file(path, format!("cannot be read as an .npz archive: {e}"));
    let names = ZipArchive::new(archive(path)?).map_err(fail)?;
    let mut names: Vec<String> =
        names.file_names().filter_map(|n| n.strip_suffix(".npy")).map(str::to_string).collect();
    names.sort();
    names.into_iter().map(|name| Ok((name.clone(), probe(&npz_entry(path, &name))?))).collect()
}

/// The name that stands for an array of an archive.
pub fn npz_entry(path: &Path, name: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(":");
    whole.push(name);
    whole.into()
}

fn archive(file: &Path) -> Result<Box<dyn Archive>> {
    Ok(match is_standard(file) {
        true => Box::new(Cursor::new(standard_input()?)),
        false => Box::new(BufReader::new(open(file)?.0)),
    })
}

/// The array's file, unpacked up to a number of bytes.
fn member(path: &Path, most: u64) -> Result<Source> {
    let fail = |message: String| Error::file(path, message);
    let broken = |e: ZipError| fail(format!("cannot be read as an .npz archive: {e}"));
    let (file, name) = split(path);
    let mut archive = ZipArchive::new(archive(&file)?).map_err(broken)?;
    let mut names: Vec<String> =
        archive.file_names().filter_map(|n| n.strip_suffix(".npy")).map(str::to_string).collect();
    names.sort();
    let listed = || names.join(", ");
    let name = match (name, &names[..]) {
        (_, []) => return Err(fail("holds no array".into())),
        (Some(name), _) if names.contains(&name) => name,
        (Some(name), _) => return Err(fail(format!("holds no array \"{name}\"; there are {}", listed()))),
        (None, [one]) => one.clone(),
        (None, [first, ..]) => {
            let example = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let message = format!("holds {} arrays: {}; choose one, as in {example}:{first}", names.len(), listed());
            return Err(fail(message));
        }
    };
    let mut member = archive.by_name(&format!("{name}.npy")).map_err(broken)?;
    let length = member.size();
    if length > member.compressed_size().saturating_mul(DEFLATE).saturating_add(DEFLATE) {
        return Err(fail(format!("claims {length} bytes for \"{name}\", more than can be packed; it is damaged")));
    }
    let now = length.min(most);
    let room = usize::try_from(now).map_err(|_| fail(format!("\"{name}\" is too large to address")))?;
    let mut bytes = room_for::<u8>(room, &path.display().to_string())?;
    // What is longer than it says is damaged; its checksum tells.
    let limit = if now < length { now } else { now.saturating_add(1) };
    (&mut member)
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|e| fail(format!("\"{name}\" cannot be unpacked: {e}")))?;
    let length = if now < length { length } else { bytes.len() as u64 };
    Ok(Source { reader: Box::new(Cursor::new(bytes)), length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Output, read_array, write_npy};
    use ndarray::arr2;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    fn archive(path: &Path, arrays: &[(&str, &Array)], method: zip::CompressionMethod) {
        let dir = tempfile::tempdir().unwrap();
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, array) in arrays {
            let one = dir.path().join("one.npy");
            write_npy(Output::create(&one, &["npy"], true).unwrap(), array).unwrap();
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(&std::fs::read(&one).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    }

    #[test]
    fn arrays_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) =
            (Array::F32(arr2(&[[1.0, 2.0]]).into_dyn()), Array::I64(ndarray::Array1::from_elem(5000, 7).into_dyn()));
        let path = |name: &str| dir.path().join(name);
        for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
            archive(&path("one.npz"), &[("arr_0", &a)], method);
            archive(&path("two.NPZ"), &[("b.x", &b), ("a", &a)], method);
            assert_eq!(read_array(path("one.npz")).unwrap(), a);
            assert_eq!(read_array(path("one.npz:arr_0")).unwrap(), a);
            assert_eq!(read_array(path("two.NPZ:b.x")).unwrap(), b);
            let probe = probe(&path("two.NPZ:b.x")).unwrap();
            assert_eq!((probe.shape, probe.dtype.as_str()), (vec![5000], "i8"));
        }
        let all: Vec<_> = npz_arrays(path("two.NPZ")).unwrap().into_iter().map(|(n, p)| (n, p.shape)).collect();
        assert_eq!(all, [("a".to_string(), vec![1, 2]), ("b.x".to_string(), vec![5000])]);
        assert_eq!(split(Path::new("-:k.s")), (PathBuf::from("-"), Some("k.s".into())));
        let error = |name: &str| read_array(path(name)).unwrap_err().to_string();
        assert!(error("two.NPZ").contains("holds 2 arrays: a, b.x; choose one, as in two.NPZ:a"));
        assert!(error("two.NPZ:c").contains("holds no array \"c\"; there are a, b.x"));
        assert!(error("none.npz:c").contains("no such file"));
        archive(&path("empty.npz"), &[], zip::CompressionMethod::Stored);
        assert!(error("empty.npz").contains("holds no array"));
    }

    #[test]
    fn damaged_archives_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npz");
        let a = Array::F32(ndarray::Array1::from_elem(3000, 1.5).into_dyn());
        archive(&path, &[("a", &a)], zip::CompressionMethod::Deflated);
        let bytes = std::fs::read(&path).unwrap();
        for end in [0, 1, 20, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(read_array(&path).is_err(), "{end}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x55;
            std::fs::write(&path, other).unwrap();
            // Never a panic, and never other values.
            assert!(read_array(&path).is_err() || read_array(&path).unwrap() == a, "{at}");
        }
    }
}
