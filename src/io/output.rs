//! Output files that appear whole or not at all.
//!
//! An [`Output`] is made before the work starts, so that a wrong name or a folder that cannot be
//! written costs nothing; the data goes to a temporary file beside the target, which is renamed
//! once it is complete.

use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Temporary files that are not in place yet, for a program that has to end at once.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(|e| e.into_inner())
}

/// Removes the temporary files of all outputs that are not written yet: for a handler that is about to end the program,
/// where no `Output` is dropped. From here on no output can be created or written; threads that try wait for the end.
pub fn discard_unfinished() {
    let mut paths = unfinished();
    for path in paths.drain(..) {
        let _ = fs::remove_file(path);
    }
    std::mem::forget(paths);
}

/// A place where a file will be written. Dropped unwritten, it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    force: bool,
    data: Part,
    /// The `.hdr` beside a `.cfl`.
    header: Option<Part>,
}

/// One file: its temporary place and its final one.
#[derive(Debug)]
struct Part {
    target: PathBuf,
    temporary: PathBuf,
}

impl Output {
    /// Checks `path` and reserves a temporary file beside it.
    ///
    /// `allowed` lists the suffixes the caller can write, without dots, out of `npy`, `cfl`, `png`
    /// and others; with `cfl`, the `.hdr` beside it is part of the output and may be named instead.
    /// An existing file is kept unless `force`.
    ///
    /// # Errors
    /// [`Error::File`] when the suffix is not allowed, the folder is missing or not writable, the
    /// path is a folder, or the file exists and `force` is not set.
    pub fn create(path: impl AsRef<Path>, allowed: &[&str], force: bool) -> Result<Output> {
        let path = path.as_ref();
        let suffix = path.extension().map(|s| s.to_string_lossy().to_ascii_lowercase());
        let is_cfl = allowed.contains(&"cfl") && matches!(suffix.as_deref(), Some("cfl" | "hdr"));
        if !is_cfl && !suffix.as_deref().is_some_and(|s| allowed.contains(&s)) {
            let list: Vec<String> = allowed.iter().map(|s| format!(".{s}")).collect();
            let found = suffix.map_or("no suffix".to_string(), |s| format!("suffix .{s}"));
            return Err(Error::file(path, format!("{found}; an output here ends in {}", list.join(" or "))));
        }
        if is_cfl {
            Ok(Output {
                force,
                header: Some(Part::reserve(&path.with_extension("hdr"), force)?),
                data: Part::reserve(&path.with_extension("cfl"), force)?,
            })
        } else {
            Ok(Output { force, header: None, data: Part::reserve(path, force)? })
        }
    }

    /// The file that will appear (of a `.cfl` pair, the `.cfl`).
    pub fn path(&self) -> &Path {
        &self.data.target
    }

    /// Writes the file through `body` and puts it in place.
    ///
    /// # Errors
    /// Those of `body`, and [`Error::File`] when the file cannot be written or renamed, or when
    /// this output is a `.cfl` pair, which [`write_cfl`](super::write_cfl) writes.
    pub fn write(self, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        if self.header.is_some() {
            return Err(Error::file(self.path(), "is a .cfl/.hdr pair; write it with write_cfl"));
        }
        self.data.fill(body)?;
        self.data.publish(self.force)
    }

    /// Writes a pair: `header` to the `.hdr`, the rest through `body`.
    pub(super) fn write_pair(self, header: &str, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let Some(header_part) = &self.header else {
            return Err(Error::file(self.path(), "a BART array needs the suffix .cfl"));
        };
        header_part.fill(|file| file.write_all(header.as_bytes()).map_err(|e| header_part.failed("write", &e)))?;
        self.data.fill(body)?;
        header_part.publish(self.force)?;
        self.data.publish(self.force).inspect_err(|_| {
            // A header without its data would be half an output.
            let _ = fs::remove_file(&header_part.target);
        })
    }
}

impl Part {
    fn reserve(target: &Path, force: bool) -> Result<Part> {
        let Some(name) = target.file_name() else {
            return Err(Error::file(target, "has no file name"));
        };
        if target.is_dir() {
            return Err(Error::file(target, "is a folder; give a file name"));
        }
        refuse_existing(target, force)?;
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Error::file(target, format!("the folder {} does not exist; make it first", folder.display())));
        }
        let temporary = folder.join(format!(
            ".{}.tmp-{}-{}",
            name.to_string_lossy(),
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let mut listed = unfinished();
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|e| Error::file(target, format!("cannot write in {}: {e}", folder.display())))?;
        listed.push(temporary.clone());
        Ok(Part { target: target.to_path_buf(), temporary })
    }

    fn fill(&self, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let file = {
            let _not_discarded = unfinished();
            File::create(&self.temporary)
        };
        let file = file.map_err(|e| self.failed("write", &e))?;
        let mut buffer = BufWriter::new(file);
        body(&mut buffer)?;
        let file = buffer.into_inner().map_err(|e| self.failed("write", e.error()))?;
        // Without this a full disk could show up only after the rename.
        file.sync_all().map_err(|e| self.failed("write", &e))
    }

    fn publish(&self, force: bool) -> Result<()> {
        // Again: the file may have appeared during the work.
        refuse_existing(&self.target, force)?;
        fs::rename(&self.temporary, &self.target).map_err(|e| self.failed("put in place", &e))
    }

    fn failed(&self, verb: &str, error: &std::io::Error) -> Error {
        Error::file(&self.target, format!("cannot {verb}: {error}"))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        unfinished().retain(|path| *path != self.temporary);
        // Already renamed after success; nothing can be done about a failure here.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn refuse_existing(target: &Path, force: bool) -> Result<()> {
    if !force && target.symlink_metadata().is_ok() {
        return Err(Error::file(target, "exists; use --force to replace it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn hello(file: &mut dyn Write) -> Result<()> {
        file.write_all(b"hello").map_err(|e| Error::Value(e.to_string()))
    }

    #[test]
    fn appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        drop(Output::create(&path, &["npy"], false).unwrap());
        assert!(names(dir.path()).is_empty());
        let failing = Output::create(&path, &["npy"], false).unwrap();
        let broken = failing.write(|file| {
            hello(file)?;
            Err(Error::Value("stopped half-way".into()))
        });
        assert_eq!(broken, Err(Error::Value("stopped half-way".into())));
        assert!(names(dir.path()).is_empty());
        let output = Output::create(&path, &["npy"], false).unwrap();
        output.write(hello).unwrap();
        assert_eq!(names(dir.path()), ["a.npy"]);
    }

    #[test]
    fn refuses_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let message =
            |name: &str, force| Output::create(dir.path().join(name), &["npy", "cfl"], force).unwrap_err().to_string();
        assert!(message("a.txt", false).contains(".npy or .cfl"));
        assert!(message("a", false).contains("no suffix"));
        assert!(message("no/a.npy", false).contains("does not exist"));
        fs::write(dir.path().join("a.npy"), "x").unwrap();
        fs::write(dir.path().join("b.hdr"), "x").unwrap();
        fs::create_dir(dir.path().join("c.npy")).unwrap();
        assert!(message("a.npy", false).contains("--force"));
        assert!(message("b.cfl", false).contains("b.hdr: exists"));
        assert!(message("c.npy", true).contains("folder"));
        assert!(Output::create(dir.path().join("a.npy"), &["npy"], true).is_ok());
    }

    #[test]
    fn a_pair_comes_together() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::create(dir.path().join("x.hdr"), &["cfl"], false).unwrap();
        // Someone makes the data file meanwhile: the header must not stay behind.
        fs::write(dir.path().join("x.cfl"), "mine").unwrap();
        assert!(output.write_pair("h", hello).is_err());
        assert_eq!(names(dir.path()), ["x.cfl"]);
        assert_eq!(fs::read(dir.path().join("x.cfl")).unwrap(), b"mine");
        let output = Output::create(dir.path().join("x"), &["cfl"], true);
        assert!(output.is_err());
        let output = Output::create(dir.path().join("x.cfl"), &["cfl"], true).unwrap();
        output.write_pair("h", hello).unwrap();
        assert_eq!(names(dir.path()), ["x.cfl", "x.hdr"]);
    }
}
