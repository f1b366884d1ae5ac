//! `linops bench --suite`.

use crate::harness::Folder;
use serde_json::Value;

fn devices() -> Vec<&'static str> {
    match cfg!(feature = "gpu") && !std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        true => vec!["host", "gpu"],
        false => vec!["host"],
    }
}

#[test]
fn works_have_times_and_steps() {
    let folder = Folder::new();
    for device in devices() {
        let args = format!("bench --suite --quick --only copy --device {device} -o {device}");
        let told = folder.json(&args);
        let works = told["works"].as_array().unwrap();
        assert!(works.len() > 2 && told["quick"] == true && told["failed"] == serde_json::json!([]), "{told}");
        assert!(told["adapter"].is_object() && told["unix_seconds"].as_u64() > Some(1_700_000_000));
        for w in works {
            for key in ["first_seconds", "latency_seconds", "throughput_seconds", "steps_seconds", "bytes_per_second"] {
                assert!(w[key].as_f64() > Some(0.0), "{key}: {w}");
            }
            assert_eq!(w["host_seconds"].is_null(), device == "host", "{w}");
            let [step] = &w["steps"].as_array().unwrap()[..] else { panic!("{w}") };
            assert_eq!(step["work"], w["name"]);
        }
        assert_eq!(told["gaps"].as_array().unwrap().len(), works.len());
        // The file is what was printed.
        let file: Value =
            serde_json::from_slice(&std::fs::read(folder.path(device).join("suite.json")).unwrap()).unwrap();
        assert_eq!(file, told);
        folder.refused(&args, "exists");
    }
}

/// A transform computes, so that it has a place under the roof; a copy has none. Every element of the picture ends.
#[test]
fn the_roofline_shows_what_computes() {
    let folder = Folder::new();
    for (only, computes) in [("transpose", false), ("wavelet", true)] {
        let told = folder.json(&format!("bench --suite --quick --only {only} --device host -o out --force"));
        let svg = String::from_utf8(std::fs::read(folder.path("out").join("roofline.svg")).unwrap()).unwrap();
        let steps = told["gaps"].as_array().unwrap().iter().filter(|g| g["cost"]["flops"].as_u64() > Some(0)).count();
        assert_eq!((steps > 0, svg.matches("<title>").count()), (computes, steps), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>") && svg.contains("<polyline"), "{svg}");
        for element in ["text", "title", "circle"] {
            let begun = svg.matches(&format!("<{element}")).count();
            let ended = svg.matches(&format!("</{element}>")).count();
            let closed = svg.lines().filter(|l| l.starts_with(&format!("<{element}")) && l.ends_with("/>")).count();
            assert_eq!(begun, ended + closed, "{element} in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn solves_tell_the_time_of_an_iteration() {
    let folder = Folder::new();
    let told = folder.json("bench --suite --quick --only CG --device host");
    for w in told["works"].as_array().unwrap() {
        assert_eq!((&w["iterations"], &w["throughput_seconds"]), (&Value::from(30), &Value::Null), "{w}");
    }
    assert_eq!(told["gaps"], serde_json::json!([]));
}

#[test]
fn options_that_do_not_go_together() {
    let folder = Folder::new();
    folder.text("fft.json", r#"{ "op": "fft", "in": "N=4", "axes": ["N"] }"#);
    folder.misused("bench --quick", "--suite");
    folder.misused("bench --only copy", "--suite");
    folder.misused("bench -o out", "--suite");
    folder.misused("bench fft.json --suite", "--suite");
    folder.misused("bench --suite --runs 3", "--suite");
    folder.misused("bench --suite --force", "--output");
    folder.refused("bench --suite --only nothing --device host", "they begin with: ");
    folder.refused("bench --suite --only copy --device host -o fft.json", "cannot be made a folder");
}
