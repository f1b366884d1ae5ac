//! Arguments, help, `info`, and standard streams.

use crate::harness::Folder;

#[test]
fn wrong_usage_is_2() {
    let folder = Folder::new();
    for args in [
        "",
        "nonsense",
        "recon",
        "recon k.npy",
        "recon k.npy -o x.npy --nonsense",
        "recon k.npy -o x.npy --lambda abc",
        "recon k.npy -o x.npy --iterations -3",
        "recon k.npy -o x.npy --device tpu",
        "recon k.npy -o x.npy --device gpu:",
        "recon k.npy -o x.npy --lanes 0",
        "apply a.json --input x.npy",
        "apply a.json --input x.npy --output y.npy --adjoint --normal",
        "check",
        "bench a.json --runs 0",
    ] {
        let out = folder.run(args);
        assert_eq!((out.code, out.stdout.as_str()), (2, ""), "linops {args}");
        assert!(!out.stderr.is_empty(), "linops {args}");
    }
}

#[test]
fn help_and_version_are_0() {
    let folder = Folder::new();
    for args in ["--help", "--version", "recon --help", "apply --help"] {
        assert!(!folder.good(args).is_empty(), "linops {args}");
    }
}

#[test]
fn info_lists_host_and_features() {
    let folder = Folder::new();
    assert!(folder.good("info").contains("host"));
    let info = folder.json("info");
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    assert!(info["host"]["cores"].as_u64().unwrap() >= 1);
    assert!(info["adapters"].is_array());
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_is_no_panic() {
    let folder = Folder::new();
    for args in ["info", "--help", "info --json"] {
        let mut command = folder.command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let out = out.wait_with_output().unwrap();
        assert_eq!((out.status.code(), out.stderr.as_slice()), (Some(0), &b""[..]), "linops {args}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_on_stdout_is_an_error() {
    let folder = Folder::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = folder.command("info").stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let out = out.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("stdout"));
}

#[test]
#[cfg(target_os = "linux")]
fn no_adapter_says_what_to_do() {
    let folder = Folder::new();
    folder.scan();
    let out = folder
        .command("recon kspace.npy -o x.npy --device gpu")
        .env("VK_DRIVER_FILES", "/nonexistent.json")
        .env("VK_ICD_FILENAMES", "/nonexistent.json")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!((out.status.code(), out.stdout.len()), (Some(1), 0), "{message}");
    let part = if cfg!(feature = "gpu") { "install" } else { "feature \"gpu\"" };
    assert!(message.contains(part), "{message}");
    assert!(!folder.path("x.npy").exists());
}
