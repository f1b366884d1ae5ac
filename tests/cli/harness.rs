//! Folders to run in, files to run on, and what came of it.

use linops::app::{Scan, ScanOptions, scan};
use linops::io::{Array, Output, read_npy, write_npy};
use ndarray::{ArrayD, Dimension};
use num_complex::Complex32;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct Folder(TempDir);

pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn text(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn array(&self, name: &str, array: &Array) {
        write_npy(Output::create(self.path(name), &["npy"], true).unwrap(), array).unwrap();
    }

    pub fn complex<D: Dimension>(&self, name: &str, array: &ndarray::Array<Complex32, D>) {
        self.array(name, &Array::C32(array.to_owned().into_dyn()));
    }

    pub fn real<D: Dimension>(&self, name: &str, array: &ndarray::Array<f32, D>) {
        self.array(name, &Array::F32(array.to_owned().into_dyn()));
    }

    pub fn read(&self, name: &str) -> ArrayD<Complex32> {
        read_npy(self.path(name)).unwrap().into_complex()
    }

    /// A small scan as `kspace.npy`, `maps.npy` and `mask.npy`.
    pub fn scan(&self) -> Scan {
        self.scan_with(&ScanOptions::default().ny(48).nx(40).coils(4).acceleration(2))
    }

    #[cfg(unix)]
    /// A scan whose iterations take long, and many of them.
    pub fn hard_scan(&self) {
        self.scan_with(&ScanOptions::default().ny(640).nx(640).coils(4).acceleration(4));
    }

    fn scan_with(&self, options: &ScanOptions) -> Scan {
        let scan = scan(options).unwrap();
        self.complex("kspace.npy", &scan.kspace);
        self.complex("maps.npy", &scan.maps);
        self.real("mask.npy", &scan.mask);
        scan
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linops"));
        command.args(args.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        // Without it Mesa's window system code complains on stderr.
        command.env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    /// Runs `linops` with arguments separated by blanks, in this folder.
    pub fn run(&self, args: &str) -> Outcome {
        let out = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Outcome { code: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) }
    }

    /// Runs, and expects success with nothing on stderr.
    pub fn good(&self, args: &str) -> String {
        let out = self.run(args);
        assert_eq!((out.code, out.stderr.as_str()), (0, ""), "linops {args}");
        out.stdout
    }

    /// Runs with `--json`, and expects success.
    pub fn json(&self, args: &str) -> serde_json::Value {
        let text = self.good(&format!("{args} --json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("linops {args}: {e}: {text}"))
    }

    /// Runs, and expects success with one warning, which has this part.
    pub fn warned(&self, args: &str, part: &str) -> String {
        let out = self.run(args);
        assert_eq!(out.code, 0, "linops {args}: {}", out.stderr);
        assert!(out.stderr.starts_with("linops: warning: ") && out.stderr.lines().count() == 1, "{}", out.stderr);
        assert!(out.stderr.contains(part), "linops {args}: expected \"{part}\" in: {}", out.stderr);
        out.stdout
    }

    /// Runs, and expects one message with this part, exit code 1, and every file as it was.
    pub fn refused(&self, args: &str, part: &str) {
        let before = self.contents();
        let out = self.run(args);
        assert_eq!((out.code, out.stdout.as_str()), (1, ""), "linops {args}: {}", out.stderr);
        assert!(out.stderr.starts_with("linops: ") && out.stderr.trim_end().lines().count() == 1, "{}", out.stderr);
        assert!(out.stderr.contains(part), "linops {args}: expected \"{part}\" in: {}", out.stderr);
        assert!(self.contents() == before, "linops {args} changed files: {:?}", self.contents().keys());
    }

    /// Runs, and expects exit code 2, a message with this part, and every file as it was.
    pub fn misused(&self, args: &str, part: &str) {
        let before = self.contents();
        let out = self.run(args);
        assert_eq!((out.code, out.stdout.as_str()), (2, ""), "linops {args}: {}", out.stderr);
        assert!(out.stderr.contains(part), "linops {args}: expected \"{part}\" in: {}", out.stderr);
        assert!(self.contents() == before, "linops {args} changed files: {:?}", self.contents().keys());
    }

    /// Names and bytes of all files.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().path());
        entries.filter(|p| p.is_file()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect()
    }
}

/// ‖a − b‖ / ‖b‖
pub fn distance(a: &ArrayD<Complex32>, b: &ArrayD<Complex32>) -> f32 {
    let norm = |a: &ArrayD<Complex32>| a.iter().map(|v| v.norm_sqr()).sum::<f32>().sqrt();
    assert_eq!(a.shape(), b.shape());
    norm(&(a - b)) / norm(b)
}
