//! One file of an output: its temporary place and its final one.

use crate::{Error, Result};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
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
/// where no `Output` is dropped. From here on no output can be created or put in place; threads that try wait for the end.
pub fn discard_unfinished() {
    let mut paths = unfinished();
    for path in paths.drain(..) {
        let _ = fs::remove_file(path);
    }
    std::mem::forget(paths);
}

#[derive(Debug)]
pub(super) struct Part {
    /// As it was asked for.
    target: PathBuf,
    /// What is replaced: the target, or the file that it leads to.
    place: PathBuf,
    temporary: PathBuf,
    /// The temporary file until it is filled. It is not opened again by its name, which may be another file's by then.
    file: Option<File>,
}

impl Part {
    pub(super) fn reserve(target: &Path, force: bool) -> Result<Part> {
        let Some(name) = target.file_name() else {
            return Err(Error::file(target, "has no file name"));
        };
        let existing = target.metadata().ok();
        if let Some(metadata) = existing.as_ref().filter(|m| !m.is_file()) {
            let what = if metadata.is_dir() { "is a folder" } else { "is a pipe or a device" };
            return Err(Error::file(target, format!("{what}; give a file name")));
        }
        refuse_existing(target, force)?;
        // A link that leads to no file is a file of its own.
        let place = existing.as_ref().and_then(|_| target.canonicalize().ok()).unwrap_or_else(|| target.to_path_buf());
        let folder = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Error::file(target, format!("the folder {} does not exist; make it first", folder.display())));
        }
        // So that one that is left by a killed program tells whose it was; a whole name might be too long with what follows.
        let hint: String = name.to_string_lossy().chars().take(40).collect();
        let refused = |e| Error::file(target, format!("cannot write in {}: {e}", folder.display()));
        let mut listed = unfinished();
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let temporary = folder.join(format!(".{hint}.tmp-{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => {
                    listed.push(temporary.clone());
                    if let Some(metadata) = existing {
                        // Where that is not allowed, the file is private at worst.
                        hand_on_mode(&metadata, &file);
                    }
                    return Ok(Part { target: target.to_path_buf(), place, temporary, file: Some(file) });
                }
                // Of a program of the same number on another machine that shares the folder.
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(refused(e)),
            }
        }
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn expect_apart(&self, inputs: &[PathBuf]) -> Result<()> {
        let Some(own) = Identity::of(&self.place) else { return Ok(()) };
        match inputs.iter().find(|input| Identity::of(input).is_some_and(|other| other == own)) {
            None => Ok(()),
            Some(input) => {
                let same = if *input == self.target { String::new() } else { format!(" ({})", input.display()) };
                let message = format!("is an input as well{same}, which would be lost; give another output");
                Err(Error::file(&self.target, message))
            }
        }
    }

    /// Writes all of the file, once.
    pub(super) fn fill(&mut self, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let Some(file) = self.file.take() else { return Err(Error::file(&self.target, "is written already")) };
        let mut buffer = BufWriter::new(file);
        body(&mut buffer)?;
        let file = buffer.into_inner().map_err(|e| self.failed("write", e.error()))?;
        // Without this a full disk could show up only after the rename.
        file.sync_all().map_err(|e| self.failed("write", &e))
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

/// Puts all of them in place, or none.
pub(super) fn publish(parts: &[&Part], force: bool) -> Result<()> {
    // An interrupt waits for this, and then finds all of them in place.
    let mut listed = unfinished();
    for part in parts {
        // Again: the file may have appeared during the work.
        refuse_existing(&part.target, force)?;
    }
    for (done, part) in parts.iter().enumerate() {
        if let Err(e) = fs::rename(&part.temporary, &part.place) {
            // A header without its data would be half an output.
            parts[..done].iter().for_each(|p| drop(fs::remove_file(&p.place)));
            return Err(part.failed("put in place", &e));
        }
        listed.retain(|path| *path != part.temporary);
    }
    Ok(())
}

fn refuse_existing(target: &Path, force: bool) -> Result<()> {
    if !force && target.symlink_metadata().is_ok() {
        return Err(Error::file(target, "exists; use --force to replace it"));
    }
    Ok(())
}

/// Gives a file the mode of the one that it is to replace.
fn hand_on_mode(replaced: &Metadata, file: &File) {
    // Elsewhere there is only a flag against writing, which would be in the way of the rename.
    if cfg!(unix) {
        let _ = file.set_permissions(replaced.permissions());
    }
}

/// What two names of one file have in common.
#[derive(PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device_and_number: (u64, u64),
    #[cfg(not(unix))]
    path: PathBuf,
}

impl Identity {
    /// None where there is no file.
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Identity> {
        use std::os::unix::fs::MetadataExt;
        path.metadata().ok().map(|m| Identity { device_and_number: (m.dev(), m.ino()) })
    }

    /// None where there is no file.
    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Identity> {
        path.canonicalize().ok().map(|path| Identity { path })
    }
}
