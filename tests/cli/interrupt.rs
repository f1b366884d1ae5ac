//! Ctrl-C, SIGTERM and SIGHUP.
#![cfg(unix)]

use crate::harness::Folder;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Starts a solve that would take minutes, and waits until it is about to begin.
fn solving(folder: &Folder, extra: &str) -> (Child, BufReader<ChildStdout>) {
    begun(folder.command(&format!("{SOLVE} {extra}")))
}

const SOLVE: &str = "recon kspace.npy --maps maps.npy -o x.npy --tol 0 --lambda 0 --iterations 1000000 --device host";

fn begun(mut command: Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !["device", "lambda"].iter().any(|word| line.starts_with(word)) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the program ended before the solve");
    }
    std::thread::sleep(Duration::from_millis(300));
    (child, lines)
}

fn send(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn the_image_so_far_is_written() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = Folder::new();
        folder.hard_scan();
        let (mut child, _lines) = solving(&folder, "");
        send(signal, &child);
        written(&folder, &mut child);
    }
}

/// The image so far is there, and nothing else has come.
fn written(folder: &Folder, child: &mut Child) {
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(100), "{message}");
    assert!(message.starts_with("linops: interrupted") && message.contains("x.npy"), "{message}");
    assert!(folder.read("x.npy").iter().any(|v| v.norm() > 0.1));
    assert_eq!(folder.contents().len(), 4);
}

#[test]
#[cfg(target_os = "linux")]
fn nohup_is_heard() {
    let folder = Folder::new();
    folder.hard_scan();
    let program = folder.command("").get_program().to_owned();
    let mut command = Command::new("nohup");
    command.arg(program).args(SOLVE.split_whitespace()).current_dir(folder.path("."));
    let (mut child, _lines) = begun(command);
    send("-HUP", &child);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "SIGHUP ended what nohup had started");
    send("-TERM", &child);
    written(&folder, &mut child);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let folder = Folder::new();
    folder.hard_scan();
    let (mut child, _lines) = solving(&folder, "");
    send("-INT", &child);
    std::thread::sleep(Duration::from_millis(1100));
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    assert_eq!(child.wait().unwrap().code(), Some(100));
    // The first may have been served by then; half a file is never there.
    assert!(folder.contents().keys().all(|p| !p.to_string_lossy().contains("tmp-")));
}

/// Batch systems send a signal to the program and again to its group.
#[test]
fn two_at_once_are_one() {
    let folder = Folder::new();
    folder.hard_scan();
    let (mut child, _lines) = solving(&folder, "");
    send("-TERM", &child);
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    written(&folder, &mut child);
}

#[test]
fn before_the_solve_nothing_is_left() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = Folder::new();
        // A moment that is no solve: an apply that takes minutes.
        let fft = r#"{ "op": "fft", "in": "N=1048576", "axes": ["N"], "out": "N" }"#;
        folder.text("long.json", format!(r#"{{ "op": "chain", "linops": [{}] }}"#, vec![fft; 3000].join(", ")));
        folder.real("x.npy", &ndarray::Array1::<f32>::ones(1 << 20));
        let before = folder.contents();
        let mut command = folder.command("apply long.json --input x.npy -o y.cfl --device host");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        while folder.contents().len() < before.len() + 2 {
            assert_eq!(child.try_wait().unwrap(), None, "the program ended before the signal");
            std::thread::sleep(Duration::from_millis(10));
        }
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(100));
        assert!(folder.contents() == before, "{signal}: {:?}", folder.contents().keys());
    }
}

/// Pictures and views are solved for with the same care.
#[test]
fn the_picture_so_far_is_written() {
    let folder = Folder::new();
    let picture = ndarray::Array2::from_shape_fn((144, 144), |(i, j)| {
        ((i / 40 + j / 30) % 3) as f32 + ((7 * i + 13 * j) % 11) as f32 / 20.0
    });
    folder.real("y.npy", &picture);
    folder.real("psf.npy", &ndarray::Array2::<f32>::from_shape_fn((9, 9), |(i, j)| 1.0 / (1 + i + j % 5) as f32));
    folder.real("mask.npy", &picture.mapv(|v| f32::from(u8::from(v > 0.4))));
    folder.real("angles.npy", &ndarray::Array1::from_shape_fn(144, |a| 1.25 * a as f32));
    let long = "--tol 0 --iterations 1000000 -o x.npy --device host --force";
    for verb in [
        "deconv y.npy --psf psf.npy --method cg --lambda 0",
        "deconv y.npy --psf psf.npy --reg tv:0.001",
        "denoise y.npy --reg tv:0.01",
        "inpaint y.npy --mask mask.npy --reg l1-wavelet:0.01",
        "ct y.npy --order angle,detector --angles angles.npy --method sirt --noise 0",
        "ct y.npy --order angle,detector --angles angles.npy --reg tv:0.001",
    ] {
        let _ = std::fs::remove_file(folder.path("x.npy"));
        let (mut child, _lines) = begun(folder.command(&format!("{verb} {long}")));
        send("-INT", &child);
        let mut message = String::new();
        child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(100), "{verb}: {message}");
        assert!(message.contains("interrupted") && message.contains("x.npy"), "{verb}: {message}");
        assert!(folder.read("x.npy").iter().any(|v| v.norm() > 1e-6), "{verb}");
    }
}
