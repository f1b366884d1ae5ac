//! `linops tune`: which kernels are the fastest on a GPU, measured there and kept for later runs.

use super::DONE;
use super::common::Common;
use super::numbers::from_one;
use super::printer::{Printer, count_of};
use super::progress;
use linops::Result;
use linops::tune::{Chosen, OnQueues, QueuesTuned, SumTimes, TuneOptions};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

#[derive(clap::Args)]
pub struct Args {
    /// Forget what was measured
    #[arg(long, conflicts_with_all = ["rounds", "elements", "only"])]
    reset: bool,

    /// Measure only choices whose name has this part, such as "strided"; others stay as they were
    #[arg(long, value_name = "PART")]
    only: Option<String>,

    /// Rounds, in each of which every candidate runs once
    #[arg(long, value_name = "N", default_value = "9", value_parser = from_one, allow_negative_numbers = true)]
    rounds: NonZeroUsize,

    /// Complex elements of what is timed
    #[arg(long, value_name = "N", default_value = "4194304", value_parser = from_one, allow_negative_numbers = true)]
    elements: NonZeroUsize,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let device = args.common.device()?;
    if args.reset {
        let there = device.untune()?;
        printer.line(match there {
            true => "what was measured is forgotten",
            false => "nothing was measured on this device, or it is not kept",
        });
        printer.json(&json!({ "device": device.name(), "forgotten": there }));
        return Ok(DONE);
    }
    let wait = progress::spinner("measuring");
    let options =
        TuneOptions::default().rounds(args.rounds.get()).elements(args.elements.get()).only(args.only.clone());
    let tuned = device.tune(&options, |c| wait.set_message(c.what.clone()))?;
    wait.finish_and_clear();
    printer.line(format_args!("on {}", tuned.device));
    let faster = tuned.choices.iter().filter(|c| c.taken > 0).count();
    for c in &tuned.choices {
        printer.line(line(c));
    }
    match (tuned.choices.is_empty(), &tuned.queues) {
        (true, None) => printer.line("plans for this device have no choices that could be tuned"),
        (true, Some(_)) => {}
        _ => printer.line(format_args!(
            "{} measured, {faster} faster than what the planner takes",
            count_of(tuned.choices.len(), "choice")
        )),
    }
    if let Some(q) = &tuned.queues {
        lines(q).iter().for_each(|line| printer.line(line));
    }
    let anything = !tuned.choices.is_empty() || tuned.queues.is_some();
    if let Some(folder) = tuned.folder.as_ref().filter(|_| anything) {
        printer.line(format_args!("kept in {} for devices that are opened from now on", folder.display()));
    }
    printer.json(&json!({
        "device": tuned.device,
        "folder": tuned.folder,
        "choices": tuned.choices.iter().map(value).collect::<Vec<_>>(),
        "queues": tuned.queues,
    }));
    Ok(DONE)
}

fn line(c: &Chosen) -> String {
    let own = c.seconds.first().copied().flatten().unwrap_or(0.0);
    let run = c.seconds.iter().flatten().count();
    let taken = match c.taken {
        0 => "the planner's own".to_string(),
        place => format!("candidate {place}, {:.2} x as fast", c.gain()),
    };
    format!("{:<32} {:>10.1} µs  {taken} (of {run})", c.what, 1e6 * own)
}

/// What was measured of several queues, and what follows.
fn lines(q: &QueuesTuned) -> Vec<String> {
    let one = |s: &SumTimes| {
        let on = |q: &OnQueues| match q.seconds {
            Some(t) => format!("{} queues {:.1} µs (all else × {:.2})", q.queues, 1e6 * t, s.cost(q)),
            None => format!("{} queues gave other bits", q.queues),
        };
        let several: Vec<String> = s.several.iter().map(on).collect();
        let name = format!("queues, sum over {} elements", s.elements);
        format!("{name:<32} {:>10.1} µs  {}", 1e6 * s.one_queue, several.join(", "))
    };
    let mut lines: Vec<String> = q.sums.iter().map(one).collect();
    lines.push(match q.queues {
        0 | 1 => "several queues gain nothing, or slow down all else; one is used".to_string(),
        n => format!("{n} queues are used for containers that have {} bytes to move on each, or more", q.least_work),
    });
    lines
}

fn value(c: &Chosen) -> Value {
    json!({ "what": c.what, "seconds": c.seconds, "taken": c.taken, "gain": c.gain() })
}
