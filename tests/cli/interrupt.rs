//! Ctrl-C.
#![cfg(unix)]

use crate::harness::Folder;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Starts a solve that would take hours, and waits until it is about to begin.
fn solving(folder: &Folder, extra: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let args =
        format!("recon kspace.npy --maps maps.npy -o x.npy --tol 0 --iterations 100000000 --device host {extra}");
    let mut child = folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("device") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the program ended before the solve");
    }
    std::thread::sleep(Duration::from_millis(300));
    (child, lines)
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn the_image_so_far_is_written() {
    let folder = Folder::new();
    folder.scan();
    let (mut child, _lines) = solving(&folder, "");
    interrupt(&child);
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(100), "{message}");
    assert!(message.starts_with("linops: interrupted") && message.contains("x.npy"), "{message}");
    assert!(folder.read("x.npy").iter().any(|v| v.norm() > 0.1));
    assert_eq!(folder.contents().len(), 4);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let folder = Folder::new();
    folder.scan();
    let (mut child, _lines) = solving(&folder, "");
    interrupt(&child);
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
    assert_eq!(child.wait().unwrap().code(), Some(100));
    // The first may have been served by then; half a file is never there.
    assert!(folder.contents().keys().all(|p| !p.to_string_lossy().contains("tmp-")));
}

#[test]
fn before_the_solve_nothing_is_left() {
    let folder = Folder::new();
    // Reading from a pipe that nobody writes to: an interrupt at a moment that is no solve.
    assert!(Command::new("mkfifo").arg(folder.path("kspace.npy")).status().unwrap().success());
    let mut child = folder.command("recon kspace.npy -o x.npy --device host").stderr(Stdio::piped()).spawn().unwrap();
    let begun = || std::fs::read_dir(folder.path(".")).unwrap().count() > 1;
    while !begun() {
        std::thread::sleep(Duration::from_millis(10));
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(100));
    assert!(folder.contents().is_empty());
}
