//! Files to read: regular ones only, so that each has a length that bounds whatever it claims of itself; and the standard input,
//! which is read to its end first.

use crate::allocate::room_for;
use crate::{Error, Result};
use std::fs::{File, Metadata};
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::OnceLock;

/// Bytes that are decoded at a time.
const BLOCK: usize = 64 << 10;

/// Opens a regular file and gives its length, with errors that say what to do.
///
/// A pipe or a device may wait for ever, or never end.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(path, "no such file"),
        _ => Error::file(path, format!("cannot open: {e}")),
    };
    // Before it is opened, as opening a pipe waits for its writer; and again, as it may have been replaced.
    expect_regular(path, &path.metadata().map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    expect_regular(path, &metadata)?;
    Ok((file, metadata.len()))
}

fn expect_regular(path: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let what =
        if metadata.is_dir() { "is a folder; give a file" } else { "is a pipe or a device; copy it to a file first" };
    Err(Error::file(path, what))
}

/// Bytes to read, and how many there are.
pub(super) struct Source {
    pub reader: Box<dyn Read>,
    pub length: u64,
}

/// A name that stands for the standard input or output.
pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A regular file, or for `-` the standard input.
pub(super) fn source(path: &Path) -> Result<Source> {
    if is_standard(path) {
        let bytes = standard_input()?;
        return Ok(Source { reader: Box::new(bytes), length: bytes.len() as u64 });
    }
    let (file, length) = open(path)?;
    Ok(Source { reader: Box::new(file), length })
}

/// All of the standard input, which is read once.
pub(super) fn standard_input() -> Result<&'static [u8]> {
    static INPUT: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    if INPUT.get().is_none() {
        let read = read_standard_input();
        // Another thread may have been first, and has all of it then.
        let _ = INPUT.set(read);
    }
    match INPUT.get() {
        Some(Ok(bytes)) => Ok(bytes),
        Some(Err(message)) => Err(Error::file("standard input", message.clone())),
        None => Err(Error::file("standard input", "cannot be read")),
    }
}

fn read_standard_input() -> Result<Vec<u8>, String> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        return Err("is a terminal; give a file, or pipe an .npy, .npz or .h5 file in".into());
    }
    let (mut all, mut block) = (Vec::new(), vec![0; BLOCK]);
    loop {
        let n = input.read(&mut block).map_err(|e| format!("cannot be read: {e}"))?;
        if n == 0 {
            return Ok(all);
        }
        all.try_reserve(n).map_err(|_| "is longer than memory; write it to a file".to_string())?;
        all.extend_from_slice(&block[..n]);
    }
}

/// The text of a file of at most `limit` bytes.
pub(super) fn read_text(path: &Path, limit: u64, what: &str) -> Result<String> {
    let (file, length) = open(path)?;
    if length > limit {
        return Err(Error::file(path, format!("has {length} bytes; {what} has at most {limit}")));
    }
    let mut text = String::new();
    // It may still grow.
    file.take(limit).read_to_string(&mut text).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => Error::file(path, "is no text: it is not UTF-8"),
        _ => Error::file(path, format!("cannot be read: {e}")),
    })?;
    Ok(text)
}

/// All bytes of a file, or for `-` of the standard input.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if is_standard(path) {
        let bytes = standard_input()?;
        let mut all = room_for(bytes.len(), "standard input")?;
        all.extend_from_slice(bytes);
        return Ok(all);
    }
    let (file, length) = open(path)?;
    let length = usize::try_from(length).map_err(|_| Error::file(path, "is too long to address"))?;
    let mut bytes = room_for(length, &path.display().to_string())?;
    file.take(length as u64).read_to_end(&mut bytes).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    Ok(bytes)
}

/// `count` values of `size` bytes each, decoded one by one.
pub(super) fn read_values<T>(
    path: &Path,
    file: &mut dyn Read,
    count: usize,
    size: usize,
    mut decode: impl FnMut(&[u8]) -> Result<T, String>,
) -> Result<Vec<T>> {
    let fail = |message: String| Error::file(path, message);
    let mut values = room_for(count, &path.display().to_string())?;
    let per_block = (BLOCK / size).max(1);
    let mut block = vec![0; per_block * size];
    while values.len() < count {
        let now = per_block.min(count - values.len());
        let bytes = &mut block[..now * size];
        file.read_exact(bytes).map_err(|e| fail(format!("cannot read the data: {e}")))?;
        for item in bytes.chunks_exact(size) {
            values.push(decode(item).map_err(fail)?);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_over_block_borders() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let n = BLOCK / 3 + 7;
        let bytes: Vec<u8> = (0..3 * n).map(|i| i as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        let (mut file, length) = open(&path).unwrap();
        assert_eq!(length, 3 * n as u64);
        let values = read_values(&path, &mut file, n, 3, |b| Ok(b[0])).unwrap();
        assert_eq!(values, (0..n).map(|i| (3 * i) as u8).collect::<Vec<_>>());
    }

    #[test]
    fn texts_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_text(&path, 4, "a word").unwrap(), "four");
        assert!(read_text(&path, 3, "a word").unwrap_err().to_string().contains("has 4 bytes; a word has at most 3"));
        assert!(read_text(dir.path(), 3, "a word").unwrap_err().to_string().contains("folder"));
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(read_text(&path, 4, "a word").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    #[cfg(unix)]
    fn what_has_no_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe, link] {
            assert!(open(&path).unwrap_err().to_string().contains("is a pipe or a device"));
        }
    }
}
