//! Output files that appear whole or not at all.
//!
//! An [`Output`] is made before the work starts, so that a wrong name or a folder that cannot be
//! written costs nothing; the data goes to a temporary file beside the target, which is renamed
//! once it is complete.

mod part;

pub use part::discard_unfinished;

use super::file::is_standard;
use super::format::{Format, named};
use crate::{Error, Result};
use part::{Part, publish};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A place where a file will be written. Dropped unwritten, it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    force: bool,
    path: PathBuf,
    /// None for the standard output.
    data: Option<Part>,
    /// The file beside the data: the `.hdr` of a `.cfl`.
    companion: Option<Part>,
}

impl Output {
    /// Checks `path` and reserves a temporary file beside it.
    ///
    /// `allowed` lists the suffixes the caller can write, without dots; with `cfl`, the `.hdr` beside it is part of the output
    /// and may be named instead. An existing file is kept unless `force`; one that is replaced hands on its mode, and a link
    /// to a file stays a link: the file that it points at is replaced. `-` is the standard output, of which the data may come in
    /// part where writing fails.
    ///
    /// # Errors
    /// [`Error::File`] when the suffix is not allowed, the folder is missing or not writable, the
    /// path is a folder, a pipe or a device, or the file exists and `force` is not set.
    pub fn create(path: impl AsRef<Path>, allowed: &[&str], force: bool) -> Result<Output> {
        let path = path.as_ref();
        let format = Output::format(path, allowed)?;
        let files = match format {
            Some(format) if format.companion.is_some() => format.files(path),
            _ => vec![path.to_path_buf()],
        };
        if is_standard(path) {
            return Ok(Output { force, path: path.to_path_buf(), companion: None, data: None });
        }
        // The companion first: of a pair, it is what tells that there is one.
        let companion = files.get(1).map(|file| Part::reserve(file, force)).transpose()?;
        let data = Some(Part::reserve(&files[0], force)?);
        Ok(Output { force, path: files[0].clone(), companion, data })
    }

    /// The format that a name stands for, if it is one of the table, without a look at any file.
    ///
    /// # Errors
    /// [`Error::File`] when the suffix is none of `allowed`.
    pub fn format(path: &Path, allowed: &[&str]) -> Result<Option<&'static Format>> {
        let suffix = super::format::suffix(path);
        // Only a suffix counts here: a base name would be the name of no file.
        let format = Format::of(path).filter(|f| f.suffixes.contains(&suffix.as_str()));
        let main = format.map_or(suffix.as_str(), |f| f.suffixes[0]);
        if !allowed.contains(&main) && !allowed.contains(&suffix.as_str()) {
            let list = super::format::suffixes(allowed).join(" or ");
            return Err(Error::file(path, format!("{}; an output here ends in {list}", named(path))));
        }
        Ok(format)
    }

    /// The file that will appear (of a `.cfl` pair, the `.cfl`).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that no file that is read would be replaced, by whatever name or link; of a pair, name both its files.
    ///
    /// # Errors
    /// [`Error::File`] when one would; the message names it.
    pub fn expect_apart(&self, inputs: &[PathBuf]) -> Result<()> {
        let parts = [self.data.as_ref(), self.companion.as_ref()];
        parts.into_iter().flatten().try_for_each(|part| part.expect_apart(inputs))
    }

    /// Writes the file through `body` and puts it in place.
    ///
    /// # Errors
    /// Those of `body`, and [`Error::File`] when the file cannot be written or renamed, or when
    /// this output is a `.cfl` pair, which [`write_cfl`](super::write_cfl) writes.
    pub fn write(mut self, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        if self.companion.is_some() {
            return Err(Error::file(self.path(), "is a .cfl/.hdr pair; write it with write_cfl"));
        }
        let Some(data) = &mut self.data else { return standard(body) };
        data.fill(body)?;
        publish(&[&*data], self.force)
    }

    /// Writes a pair: `header` to the `.hdr`, the rest through `body`.
    pub(super) fn write_pair(mut self, header: &str, body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let (Some(companion), Some(data)) = (&mut self.companion, &mut self.data) else {
            return Err(Error::file(self.path(), "a BART array needs the suffix .cfl"));
        };
        companion.fill(|file| {
            let target = data.target();
            file.write_all(header.as_bytes()).map_err(|e| Error::file(target, format!("cannot write: {e}")))
        })?;
        data.fill(body)?;
        publish(&[&*companion, &*data], self.force)
    }
}

/// Writes to the standard output. A reader that has gone, as in `linops … | head`, is no error.
fn standard(body: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout());
    body(&mut out)?;
    match out.flush() {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Error::file("standard output", format!("cannot write: {e}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
        assert!(message("b", true).contains("no suffix"));
        assert!(message("c.npy", true).contains("folder"));
        assert!(Output::create(dir.path().join("a.npy"), &["npy"], true).is_ok());
        // A name as long as the system allows.
        let long = "a".repeat(251) + ".npy";
        Output::create(dir.path().join(&long), &["npy"], false).unwrap().write(hello).unwrap();
        assert!(names(dir.path()).contains(&long));
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

    #[test]
    fn inputs_are_known_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        for name in ["a.npy", "b.npy", "x.hdr", "x.cfl"] {
            fs::write(path(name), name).unwrap();
        }
        let output = |name: &str| Output::create(path(name), &["npy", "cfl"], true).unwrap();
        let inputs = [path("b.npy"), path("a.npy"), path("missing.npy")];
        assert!(output("c.npy").expect_apart(&inputs).is_ok());
        let error = output("folder/../a.npy").expect_apart(&inputs).unwrap_err().to_string();
        assert!(error.contains("a.npy: is an input as well") && error.contains("another output"), "{error}");
        // Either file of a pair, whichever is named.
        assert!(output("x.cfl").expect_apart(&[path("x.hdr")]).is_err());
        assert!(output("x.hdr").expect_apart(&[path("x.cfl")]).is_err());
        assert!(output("x.cfl").expect_apart(&inputs).is_ok());
        assert_eq!(names(dir.path()), ["a.npy", "b.npy", "folder", "x.cfl", "x.hdr"]);
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        #[test]
        fn links_lead_to_inputs_too() {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name);
            fs::write(path("a.npy"), "a").unwrap();
            fs::hard_link(path("a.npy"), path("hard.npy")).unwrap();
            symlink("a.npy", path("soft.npy")).unwrap();
            symlink("soft.npy", path("softer.npy")).unwrap();
            for (output, input) in
                [("hard.npy", "a.npy"), ("softer.npy", "a.npy"), ("a.npy", "softer.npy"), ("soft.npy", "hard.npy")]
            {
                let output = Output::create(path(output), &["npy"], true).unwrap();
                assert!(output.expect_apart(&[path(input)]).is_err());
            }
        }

        #[test]
        fn a_replaced_file_hands_on_its_mode() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.npy");
            for mode in [0o600, 0o400, 0o664] {
                let _ = fs::remove_file(&path);
                fs::write(&path, "x").unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                let output = Output::create(&path, &["npy"], true).unwrap();
                // Nobody is to read on the way what nobody may read at the end.
                let temporary = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap());
                assert!(temporary.into_iter().all(|m| m.mode() & 0o777 == mode));
                output.write(hello).unwrap();
                assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
                assert_eq!(fs::read(&path).unwrap(), b"hello");
            }
        }

        #[test]
        fn a_link_stays_a_link() {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name);
            fs::create_dir(path("there")).unwrap();
            fs::write(path("there/a.npy"), "x").unwrap();
            symlink("there/a.npy", path("a.npy")).unwrap();
            assert!(Output::create(path("a.npy"), &["npy"], false).is_err());
            Output::create(path("a.npy"), &["npy"], true).unwrap().write(hello).unwrap();
            assert!(path("a.npy").symlink_metadata().unwrap().is_symlink());
            assert_eq!(fs::read(path("there/a.npy")).unwrap(), b"hello");
            assert_eq!(names(&path("there")), ["a.npy"]);
            // One to nothing is replaced: there is no file that could be.
            symlink("nowhere", path("b.npy")).unwrap();
            Output::create(path("b.npy"), &["npy"], true).unwrap().write(hello).unwrap();
            assert_eq!(fs::read(path("b.npy")).unwrap(), b"hello");
        }

        #[test]
        fn what_is_no_file_is_not_replaced() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.npy");
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            let error = Output::create(&path, &["npy"], true).unwrap_err().to_string();
            assert!(error.contains("pipe or a device"), "{error}");
        }

        #[test]
        fn the_temporary_is_not_opened_again() {
            let dir = tempfile::tempdir().unwrap();
            let (path, victim) = (dir.path().join("a.npy"), dir.path().join("victim"));
            fs::write(&victim, "mine").unwrap();
            let output = Output::create(&path, &["npy"], false).unwrap();
            let temporary = names(dir.path()).into_iter().find(|n| n.contains("tmp-")).unwrap();
            fs::remove_file(dir.path().join(&temporary)).unwrap();
            symlink("victim", dir.path().join(&temporary)).unwrap();
            let _ = output.write(hello);
            assert_eq!(fs::read(&victim).unwrap(), b"mine");
        }
    }
}
