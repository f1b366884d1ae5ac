//! Folders to run in, files to run on, and what came of it.

use linops::app::{Scan, ScanOptions, scan};
use linops::io::{Array, Output, read_npy, write_npy};
use ndarray::{Array2, ArrayD, Dimension};
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

/// Two blobs of light on a pedestal, in counts.
pub fn scene() -> ArrayD<f32> {
    let blob = |i: usize, j: usize, y: f32, x: f32| (-((i as f32 - y).powi(2) + (j as f32 - x).powi(2)) / 12.0).exp();
    Array2::from_shape_fn((32, 36), |(i, j)| 20.0 + 200.0 * blob(i, j, 9.0, 11.0) + 150.0 * blob(i, j, 20.0, 25.0))
        .into_dyn()
}

/// Noise that is the same each time, of a deviation of about 0.29.
pub fn speckle(i: usize) -> f32 {
    linops::app::noise::Generator::new(i as u64).uniform() as f32 - 0.5
}

/// The values of a file of real ones.
pub fn real(folder: &Folder, name: &str) -> ArrayD<f32> {
    match read_npy(folder.path(name)).unwrap() {
        Array::F32(values) => values,
        other => panic!("{name} is {}", other.dtype_name()),
    }
}

/// The largest difference.
pub fn far(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    (a - b).iter().fold(0.0f32, |m, v| m.max(v.abs()))
}
