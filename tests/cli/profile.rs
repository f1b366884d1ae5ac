//! `linops explain --profile`.

use crate::harness::Folder;
use serde_json::Value;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.text("fft.json", r#"{ "op": "fft", "in": "C=3 Y=20 X=34", "axes": ["Y", "X"], "centered": true }"#);
    folder
}

fn devices() -> Vec<&'static str> {
    match cfg!(feature = "gpu") && !std::env::var("LINOPS_SKIP_GPU").is_ok_and(|v| v == "1") {
        true => vec!["host", "gpu"],
        false => vec!["host"],
    }
}

/// The steps of a profile are those of the plan, the most time lost first, with figures that go together.
#[test]
fn each_step_has_its_time() {
    let folder = folder();
    for device in devices() {
        let told = folder.json(&format!("explain fft.json --profile --runs 3 --device {device}"));
        let peak = told["roof"]["flops"].as_f64().unwrap();
        assert!(peak > 1e6 && told["roof"]["copies"].as_array().unwrap().len() > 1, "{told}");
        for direction in ["forward", "adjoint", "normal"] {
            let plan = &told["plans"][direction];
            let profile = &plan["profile"];
            let steps = profile["steps"].as_array().unwrap();
            assert_eq!((steps.len(), &profile["runs"]), (plan["steps"].as_array().unwrap().len(), &Value::from(3)));
            let number = |v: &Value, key: &str| v[key].as_f64().unwrap();
            for s in steps {
                let seconds = number(s, "seconds");
                assert!(seconds > 0.0, "{s}");
                let cost = &s["cost"];
                let bytes = number(cost, "read") + number(cost, "written");
                assert!((number(s, "bytes_per_second") * seconds / bytes - 1.0).abs() < 1e-6, "{s}");
                assert!((number(s, "lost_seconds") - (seconds - number(s, "least_seconds")).max(0.0)).abs() < 1e-12);
                assert!((number(s, "of_peak") * peak * seconds - number(cost, "flops")).abs() < 1.0, "{s}");
                let listed = &plan["steps"][s["step"].as_u64().unwrap() as usize];
                assert_eq!((&listed["kernel"], &listed["cost"]), (&s["kernel"], cost));
            }
            assert!(steps.is_sorted_by(|a, b| number(a, "lost_seconds") >= number(b, "lost_seconds")), "{profile}");
            let sum: f64 = steps.iter().map(|s| number(s, "seconds")).sum();
            assert!((sum / number(profile, "steps_seconds") - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn text_has_a_line_for_each_step() {
    let folder = folder();
    let told = folder.good("explain fft.json --profile --runs 1 --device host");
    assert_eq!(told.matches("profile: apply and wait").count(), 3, "{told}");
    assert!(told.contains("% copy") && told.contains("at best: copies"), "{told}");
}

#[test]
fn a_trace_is_what_browsers_read() {
    let folder = folder();
    let args = "explain fft.json --profile --runs 2 --device host --trace t.json";
    folder.good(args);
    let trace: Value = serde_json::from_slice(&folder.contents()[&folder.path("t.json")]).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |ph: &str| events.iter().filter(|e| e["ph"] == ph).collect::<Vec<_>>();
    let processes: Vec<&str> =
        of("M").iter().filter(|e| e["name"] == "process_name").map(|e| e["args"]["name"].as_str().unwrap()).collect();
    assert_eq!(processes, ["forward on host", "adjoint on host", "normal on host"]);
    let told = folder.json("explain fft.json --device host");
    let steps: usize =
        ["forward", "adjoint", "normal"].iter().map(|d| told["plans"][d]["steps"].as_array().unwrap().len()).sum();
    assert_eq!(of("X").len(), steps);
    for e in of("X") {
        assert!(e["dur"].as_f64() > Some(0.0) && e["ts"].as_f64() >= Some(0.0) && e["args"]["bytes read"].is_number());
    }
    folder.refused(args, "exists");
    folder.good(&format!("{args} --force"));
}

#[test]
fn options_that_do_not_go_together() {
    let folder = folder();
    folder.misused("explain fft.json --trace t.json", "--profile");
    folder.misused("explain fft.json --runs 3", "--profile");
    folder.misused("explain fft.json --profile --for rich", "--for");
    folder.misused("explain fft.json --profile --memory-budget 1M", "--memory-budget");
    folder.misused("explain fft.json --profile --trace t.txt", "json");
    folder.misused("explain fft.json --profile --runs 0", "from 1 on");
}

/// A trace is no linop file, though both end in .json.
#[test]
fn a_trace_replaces_no_input() {
    let folder = Folder::new();
    let text = r#"{ "op": "roll", "in": "N=6", "shifts": { "N": 1 } }"#;
    folder.text("a.json", text);
    folder.refused("explain a.json --profile --trace a.json --force --device host", "is an input as well");
    assert_eq!(std::fs::read_to_string(folder.path("a.json")).unwrap(), text);
}
