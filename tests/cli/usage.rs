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
        "check a.json --force",
        "explain a.json --force",
        "explain a.json --for everybody",
        "explain a.json --for rich --device host",
        "explain a.json --language hlsl",
        "explain a.json --kernels k --language glsl",
        "info --force",
        "bench a.json --force",
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

/// What a regulariser is stands in one wording, with the weight that is taken where none is given.
#[test]
fn help_of_regularisers_is_one_text_with_the_default() {
    use linops::app::recon_weight;
    use linops::app::regularise::{Kind, Weight};
    let folder = Folder::new();
    let text = |verb: &str| {
        let help = folder.good(&format!("{verb} --help"));
        let from = help.find("--reg <R[:λ]>").unwrap_or_else(|| panic!("{verb} has no --reg: {help}"));
        let words: Vec<&str> = help[from..].split("--solver").next().unwrap().split_whitespace().collect();
        words.join(" ")
    };
    let recon = text("recon");
    let (Weight::Relative(tv), Weight::Relative(llr)) = (recon_weight(Kind::Tv), recon_weight(Kind::Llr)) else {
        panic!("weights that are not relative")
    };
    assert!(recon.contains(&format!("(recon) {tv}, of llr {llr}, of l2 {llr} times")), "{recon}");
    for verb in ["ct", "deconv", "denoise", "inpaint"] {
        assert_eq!(text(verb), recon, "{verb}");
    }
}

/// Formats that the help of an output names are those that are written.
#[test]
fn help_names_the_formats_that_are_written() {
    let folder = Folder::new();
    for verb in ["recon", "ct", "deconv", "denoise", "inpaint"] {
        let help = folder.good(&format!("{verb} --help"));
        let at = help.find("-o, --output <FILE>").unwrap();
        let text: String = help[at..].lines().take(3).collect();
        for format in linops::io::FORMATS.iter().filter(|f| f.writer.is_some()) {
            assert!(text.contains(&format!(".{}", format.suffixes[0])), "{verb}: {} in {text}", format.suffixes[0]);
        }
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
fn info_heeds_and_tells_settings() {
    let folder = Folder::new();
    let out = folder.command("info --json").env("LINOPS_QUEUES", "2").output().unwrap();
    assert!(out.status.success());
    let info: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(info["settings"]["LINOPS_QUEUES"], "2");
    for adapter in info["adapters"].as_array().unwrap() {
        // Two were asked for: either they are there, or the reason says what is in the way.
        let reason = adapter["queues"]["reason"].as_str().unwrap();
        assert!(!reason.contains("not asked for"), "{adapter}");
    }
    let told = folder.json("info");
    assert!(told["adapters"].as_array().unwrap().iter().all(|a| {
        a["label"].as_str().unwrap().contains(a["name"].as_str().unwrap()) && a["queues"]["rung"] == "one_queue"
    }));
}

#[test]
fn info_writes_a_report() {
    let folder = Folder::new();
    assert!(folder.good("info --report report.txt").contains("report.txt"));
    let text = String::from_utf8(folder.contents()[&folder.path("report.txt")].clone()).unwrap();
    for part in [concat!("linops     ", env!("CARGO_PKG_VERSION")), "host", "features"] {
        assert!(text.contains(part), "no \"{part}\" in {text}");
    }
    if crate::common::gpu().is_some() {
        for part in [
            "driver",
            "self-test",
            "solvers' passes",
            "arithmetic",
            "max_storage_buffer_binding_size",
            "first",
            "passed",
        ] {
            assert!(text.contains(part), "no \"{part}\" in {text}");
        }
        assert!(!text.contains("FAILED"), "{text}");
    }
    folder.refused("info --report report.txt", "--force");
    folder.good("info --report report.txt --force");
    folder.misused("info --report report.png", ".txt");
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
fn an_adapter_that_is_not_there_is_said() {
    let folder = Folder::new();
    folder.scan();
    let run = |device: &str| {
        let mut command = folder.command(&format!("recon kspace.npy --maps maps.npy -o x.npy --force {device}"));
        let out = command.env("LINOPS_ADAPTER", "no such adapter").output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for device in ["", "--device auto"] {
        let (code, message) = run(device);
        assert_eq!((code, message.lines().count()), (Some(0), 1), "{message}");
        assert!(
            message.contains("LINOPS_ADAPTER is \"no such adapter\"") && message.contains("host is used"),
            "{message}"
        );
    }
    assert_eq!(run("--device host"), (Some(0), String::new()));
    assert_eq!(run("--device gpu").0, Some(1));
}

/// Without a desktop session Mesa complains of that, unless it is kept from looking.
#[test]
#[cfg(target_os = "linux")]
fn a_missing_session_is_no_complaint() {
    let folder = Folder::new();
    let info = |set: &[(&str, &str)]| {
        let mut command = folder.command("info --json");
        command.env_remove("XDG_RUNTIME_DIR").env_remove("NODEVICE_SELECT").envs(set.iter().copied());
        let out = command.output().unwrap();
        assert_eq!(out.status.code(), Some(0));
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    let (text, complaint) = info(&[]);
    assert_eq!(complaint, "");
    assert_eq!(info(&[("XDG_RUNTIME_DIR", "nowhere")]), (text.clone(), String::new()));
    assert_eq!(info(&[("NODEVICE_SELECT", "1")]), (text, String::new()));
    // What is wrong is still said, once, and its code is kept.
    let out = folder.command("check missing.json").env_remove("XDG_RUNTIME_DIR").output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "linops: missing.json: no such file\n");
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

#[test]
fn ops_are_listed_and_described() {
    let folder = Folder::new();
    let list = folder.json("list");
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|op| op["op"].as_str().unwrap()).collect();
    assert!(names.len() > 20 && names.contains(&"fft") && names.contains(&"chain"), "{list}");
    let text = folder.good("list");
    for name in names {
        assert!(text.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} in {text}");
        let told = folder.json(&format!("describe {name}"));
        assert_eq!(told["op"], name);
        assert!(told["fields"].as_array().unwrap().iter().any(|f| f["field"] == "in"), "{told}");
        // An example is a linop file.
        folder.text("example.json", told["examples"][0].to_string());
        folder.good("explain example.json --device host");
        let text = folder.good(&format!("describe {name}"));
        assert!(text.contains("example\n  {") && text.lines().all(|line| line.chars().count() < 120), "{text}");
    }
    let told = folder.json("describe fft");
    let field = |name: &str| told["fields"].as_array().unwrap().iter().find(|f| f["field"] == name).unwrap().clone();
    assert_eq!((&field("axes")["needed"], &field("norm")["default"]), (&true.into(), &"ortho".into()));
    assert!(folder.good("list --markdown").starts_with("# Linop files\n"));
    folder.refused("describe ftf", "unknown op \"ftf\"");
    folder.refused("describe digonal", "perhaps \"diagonal\"; there are identity");
}
