//! Profiles as a trace that browsers and Perfetto show: the "Trace Event Format", as JSON objects.

use super::{Profile, StepProfile};
use serde::Serialize;
use std::collections::BTreeMap;

/// What one or several profiles show on a time axis; serialised to JSON, it opens in `chrome://tracing` and in Perfetto.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Trace {
    /// The events.
    #[serde(rename = "traceEvents")]
    pub events: Vec<TraceEvent>,
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
}

/// One event of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TraceEvent {
    /// The kernel; of what names a process or a thread, the kind of name.
    pub name: String,
    /// Category.
    pub cat: &'static str,
    /// Phase: "X" of what has a begin and a duration, "M" of names.
    pub ph: &'static str,
    /// Begin in µs.
    pub ts: f64,
    /// Duration in µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dur: Option<f64>,
    /// One for each profile.
    pub pid: usize,
    /// The lane of a GPU, or the thread of the host's pool.
    pub tid: usize,
    /// What else is known.
    pub args: BTreeMap<&'static str, Argument>,
}

/// A value that is shown with an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { events: Vec::new(), unit: "ns" }
    }
}

impl Trace {
    /// Adds the last run of a profile, under a name; profiles stand one below the other, each from 0 on.
    pub fn add(&mut self, name: &str, profile: &Profile) {
        let pid = 1 + self.events.iter().map(|e| e.pid).max().unwrap_or(0);
        let named = |kind: &str, tid: usize, name: String| TraceEvent {
            name: kind.into(),
            cat: "__metadata",
            ph: "M",
            ts: 0.0,
            dur: None,
            pid,
            tid,
            args: BTreeMap::from([("name", Argument::Text(name))]),
        };
        self.events.push(named("process_name", 0, format!("{name} on {}", profile.device)));
        let mut tracks: Vec<usize> = profile.steps.iter().flat_map(|s| &s.spans).map(|t| t.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        self.events.extend(tracks.into_iter().map(|t| named("thread_name", t, format!("track {t}"))));
        let steps = profile.steps.iter().flat_map(|s| s.spans.iter().map(move |t| (s, t)));
        let mut events: Vec<TraceEvent> = steps
            .map(|(step, time)| TraceEvent {
                name: step.kernel.into(),
                cat: "kernel",
                ph: "X",
                ts: 1e6 * time.begin,
                dur: Some(1e6 * time.seconds),
                pid,
                tid: time.track,
                args: arguments(step),
            })
            .collect();
        events.sort_by(|a, b| a.ts.total_cmp(&b.ts));
        self.events.extend(events);
    }
}

fn arguments(step: &StepProfile) -> BTreeMap<&'static str, Argument> {
    let kind = if step.complex { "complex64" } else { "float32" };
    let mut all = BTreeMap::from([
        ("step", Argument::Number(step.step as f64)),
        ("result", Argument::Text(format!("{kind} {:?}", step.extents))),
        ("bytes read", Argument::Number(step.cost.read as f64)),
        ("bytes written", Argument::Number(step.cost.written as f64)),
        ("flop", Argument::Number(step.cost.flops as f64)),
        ("median µs", Argument::Number(1e6 * step.seconds)),
    ]);
    if !step.details.is_empty() {
        all.insert("details", Argument::Text(step.details.clone()));
    }
    all
}
