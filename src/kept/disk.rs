//! What is kept between processes: files in the user's cache folder, each whole or not there, with a hash of its contents.
//!
//! Nothing here is an error: a folder that cannot be written keeps nothing, and a file that is not what was written (cut off,
//! changed, of something else, or one that others may write) is as good as none. Two processes may write the same file: each
//! writes its own beside it and renames it, so that a reader has the one or the other.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What a file begins with.
const MAGIC: [u8; 8] = *b"linops1\n";

/// Bytes of contents at most: what grows beyond is given up and begins anew.
pub(crate) const MOST: u64 = 64 << 20;

/// Files of a kind that are kept at most; those that were written longest ago go.
const FILES: usize = 32;

/// What the names of kept files end in, and of those that are being written.
const SUFFIX: &str = "linops-kept";
const PART: &str = "linops-part";

/// A part that nobody writes any more: its process has ended in between.
const STALE: Duration = Duration::from_secs(3600);

/// The 64-bit FNV-1a hash (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same wherever and whenever it is built.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// Contents that were read from a file of this user, with the hash that they were written with.
#[derive(Debug)]
pub(crate) struct Kept(Vec<u8>);

impl Kept {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A folder of kept files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// The one that `LINOPS_CACHE_DIR` names, else `linops` in the cache folder that the system has for this user; None where it
    /// has none.
    pub fn of_user() -> Option<Folder> {
        use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
        let named = std::env::var_os("LINOPS_CACHE_DIR").filter(|name| !name.is_empty());
        let path = match named {
            Some(path) => PathBuf::from(path),
            None => choose_native_strategy().ok()?.cache_dir().join("linops"),
        };
        // What is opened later is the same folder, wherever the process is by then.
        std::path::absolute(path).ok().map(Folder)
    }

    /// A folder of a test's own.
    #[cfg(test)]
    pub fn at(path: PathBuf) -> Folder {
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.{SUFFIX}"))
    }

    /// The contents that were written under this name for this key.
    pub fn read(&self, name: &str, key: &str) -> Option<Kept> {
        let path = self.file(name);
        let found = open_own(&path).and_then(|file| contents(file, key));
        if let Err(e) = &found
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::info!("{} is not used: {e}", path.display());
        }
        found.ok().map(Kept)
    }

    /// Replaces the contents under this name. Contents beyond [`MOST`] leave nothing.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, name: &str, key: &str, contents: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if contents.len() as u64 > MOST {
            return fs::remove_file(self.file(name));
        }
        make_private(&self.0)?;
        let own = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let part = self.0.join(format!("{name}.{own}.{PART}"));
        let key_bytes = u32::try_from(key.len()).map_err(|_| io::Error::other("a key of 4 GiB"))?;
        let written = create_private(&part).and_then(|mut file| {
            file.write_all(&MAGIC)?;
            file.write_all(&key_bytes.to_le_bytes())?;
            file.write_all(key.as_bytes())?;
            file.write_all(&(contents.len() as u64).to_le_bytes())?;
            file.write_all(&fnv(contents).to_le_bytes())?;
            file.write_all(contents)
        });
        // What a crash of the system leaves of it is told by the hash.
        let placed = written.and_then(|()| fs::rename(&part, self.file(name)));
        if placed.is_err() {
            let _ = fs::remove_file(&part);
        }
        self.tidy(name.split('-').next().unwrap_or(name));
        placed
    }

    /// Takes away parts that nobody writes any more, and the oldest files of a kind where there are too many. What has another
    /// name is somebody else's.
    fn tidy(&self, kind: &str) {
        let Ok(entries) = fs::read_dir(&self.0) else { return };
        let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let Ok(written) = entry.metadata().and_then(|m| m.modified()) else { continue };
            let path = entry.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some(SUFFIX) if entry.file_name().to_str().is_some_and(|n| n.starts_with(kind)) => {
                    kept.push((written, path))
                }
                Some(PART) if written.elapsed().is_ok_and(|age| age > STALE) => drop(fs::remove_file(path)),
                _ => {}
            }
        }
        kept.sort();
        let surplus = kept.len().saturating_sub(FILES);
        kept.iter().take(surplus).for_each(|(_, path)| drop(fs::remove_file(path)));
    }
}

/// Opens a file that this user alone may write.
fn open_own(path: &Path) -> io::Result<File> {
    // A pipe would be waited for.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    if !is_own(&about) {
        return Err(io::Error::other("others than this user may write it"));
    }
    Ok(file)
}

fn contents(mut file: File, key: &str) -> io::Result<Vec<u8>> {
    let wrong = |what: &str| io::Error::other(what.to_string());
    let mut whole = Vec::new();
    let most = MOST + key.len() as u64 + 64;
    (&mut file).take(most).read_to_end(&mut whole)?;
    let mut rest = &whole[..];
    let mut next = |n: usize| -> io::Result<&[u8]> {
        let (taken, left) = rest.split_at_checked(n).ok_or_else(|| wrong("it is cut off"))?;
        rest = left;
        Ok(taken)
    };
    if next(MAGIC.len())? != MAGIC {
        return Err(wrong("it is of something else"));
    }
    let key_bytes = u32::from_le_bytes(fixed(next(4)?));
    if key_bytes as usize != key.len() || next(key.len())? != key.as_bytes() {
        return Err(wrong("it is of another device, driver or version"));
    }
    let (length, hash) = (u64::from_le_bytes(fixed(next(8)?)), u64::from_le_bytes(fixed(next(8)?)));
    if rest.len() as u64 != length || fnv(rest) != hash {
        return Err(wrong("its contents are not what was written"));
    }
    let start = whole.len() - rest.len();
    whole.drain(..start);
    Ok(whole)
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    all.copy_from_slice(bytes);
    all
}

#[cfg(unix)]
fn is_own(about: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    about.mode() & 0o022 == 0 && about.uid() == rustix::process::geteuid().as_raw()
}

/// Folders below a user's own are that user's.
#[cfg(not(unix))]
fn is_own(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder(temporary.path().join("of/this"));
        (temporary, folder)
    }

    #[test]
    fn what_is_written_is_read_for_its_key_alone() {
        let (_temporary, folder) = folder();
        assert!(folder.read("a", "key").is_none());
        for contents in [&b"one"[..], b"", &[7; 100_000]] {
            folder.write("a", "key", contents).unwrap();
            assert_eq!(folder.read("a", "key").unwrap().bytes(), contents);
            assert!(folder.read("a", "kex").is_none() && folder.read("a", "key2").is_none());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a part was left");
    }

    /// Every byte counts, and so does the length.
    #[test]
    fn a_file_that_was_changed_is_none() {
        let (_temporary, folder) = folder();
        folder.write("a", "key", b"contents").unwrap();
        let path = folder.file("a");
        let good = fs::read(&path).unwrap();
        for k in 0..good.len() {
            let mut changed = good.clone();
            changed[k] ^= 0x10;
            fs::write(&path, changed).unwrap();
            assert!(folder.read("a", "key").is_none(), "byte {k}");
            fs::write(&path, &good[..k]).unwrap();
            assert!(folder.read("a", "key").is_none(), "cut off at {k}");
        }
        fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(folder.read("a", "key").is_none());
        fs::write(&path, &good).unwrap();
        assert_eq!(folder.read("a", "key").unwrap().bytes(), b"contents");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_none() {
        use std::os::unix::fs::PermissionsExt;
        let (_temporary, folder) = folder();
        folder.write("a", "key", b"contents").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.file("a"))), (0o700, 0o600));
        fs::set_permissions(folder.file("a"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(folder.read("a", "key").is_none());
    }

    #[test]
    fn files_and_bytes_are_bounded() {
        let (_temporary, folder) = folder();
        for k in 0..FILES + 8 {
            folder.write(&format!("f-{k}"), "key", b"contents").unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES);
        // Those of another kind do not make room, and what is somebody else's stays, however old.
        folder.write("g-1", "key", b"contents").unwrap();
        let others = ["download.part", "notes.kept", "f-1.part"].map(|name| folder.path().join(name));
        for other in &others {
            let file = File::create(other).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + STALE).unwrap();
        }
        folder.write("f-0", "key", b"contents").unwrap();
        assert!(folder.read("g-1", "key").is_some() && others.iter().all(|other| other.exists()));
        folder.write("large", "key", b"contents").unwrap();
        folder.write("large", "key", &vec![0; MOST as usize + 1]).unwrap();
        assert!(folder.read("large", "key").is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_of_writing_alone() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("file"), b"").unwrap();
        let folder = Folder(temporary.path().join("file/below"));
        assert!(folder.write("a", "key", b"contents").is_err());
        assert!(folder.read("a", "key").is_none());
    }

    #[test]
    fn processes_that_write_at_once_leave_one_whole_file() {
        let (_temporary, folder) = folder();
        std::thread::scope(|scope| {
            for k in 0..4u8 {
                let folder = &folder;
                scope.spawn(move || {
                    for _ in 0..20 {
                        folder.write("a", "key", &vec![k; 5000]).unwrap();
                        let read = folder.read("a", "key").unwrap();
                        assert!(read.bytes().len() == 5000 && read.bytes().windows(2).all(|w| w[0] == w[1]));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
