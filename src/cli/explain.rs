//! `linops explain`: what a linop file says, and what runs for it.

use super::DONE;
use super::common::{Common, bytes, count};
use super::printer::{Printer, count_of};
use linops::internal::{Plan, PlanValue, Step};
use linops::{DType, Error, Linop, MemoryUse, Result};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// The linop file (.json)
    file: PathBuf,

    /// Print the text of each kernel
    #[arg(long)]
    wgsl: bool,

    #[command(flatten)]
    pub common: Common,
}

pub fn run(args: &Args, printer: &Printer) -> Result<u8> {
    let linop = Linop::from_file(&args.file)?;
    let device = args.common.device()?;
    if args.wgsl && device.is_host() {
        return Err(Error::Device("the host runs no WGSL; choose a GPU by --device gpu".into()));
    }
    let directions = [("forward", linop.clone()), ("adjoint", linop.h()), ("normal", linop.n())];
    printer.line(&linop);
    printer.line(format_args!("\ndevice {}", device.name()));
    let (mut plans, mut texts) = (serde_json::Map::new(), Vec::new());
    let mut containers = Value::Null;
    let normals = linop.nufft_normals()?;
    for (name, linop) in &directions {
        let plan = linop.plan(&device, DType::Complex32)?;
        printer.line(format_args!("\n{name}: {} -> {}", linop.input()?, linop.output()?));
        for step in &plan.steps {
            printer.line(format_args!("  {}", step_line(&plan, step)));
        }
        let memory = MemoryUse::of(&plan)?;
        printer.line(format_args!("  {}", totals(&plan)));
        printer.line(format_args!("  {}", memory_line(&plan, &memory)));
        if *name == "normal" {
            for n in &normals {
                printer.line(format_args!("  normal of {}: {n}", n.transform));
            }
        }
        for region in &plan.regions {
            printer.line(format_args!(
                "  container {} of {}: {}, {} in flight, {} ({})",
                region.label,
                count_of(region.linops, "linop"),
                region.schedule,
                region.in_flight,
                count_of(region.waves, "wave"),
                region.reason
            ));
        }
        if args.wgsl {
            for (kernel, text) in kernels(&plan)? {
                let shown = json!({ "kernel": kernel, "text": text });
                if !texts.contains(&shown) {
                    printer.line(format_args!("\n// {name}: {kernel}\n{text}"));
                    texts.push(shown);
                }
            }
        }
        if containers.is_null() {
            containers = json!(plan.regions);
        }
        plans.insert(name.to_string(), value(&plan, &memory));
    }
    printer.json(&json!({
        "linop": linop.to_string(),
        "input": linop.input()?.to_string(),
        "output": linop.output()?.to_string(),
        "device": device.name(),
        "containers": containers,
        "plans": plans,
        "nufft_normals": normals,
        "wgsl": texts,
    }));
    Ok(DONE)
}

/// One kernel: what, result, bytes and flops.
fn step_line(plan: &Plan, step: &Step) -> String {
    let (cost, y) = (plan.step_cost(step), &plan.values[step.store.value.at()]);
    format!(
        "{:<9} -> {:<24} read {:>9}  write {:>9}  {:>8} flop",
        step.name(),
        format!("{} {:?}", dtype(y), y.extents),
        bytes(cost.read),
        bytes(cost.written),
        count(cost.flops)
    )
}

fn totals(plan: &Plan) -> String {
    let cost = plan.cost();
    format!(
        "{}, read {}, write {}, {} flop",
        count_of(plan.steps.len(), "kernel"),
        bytes(cost.read),
        bytes(cost.written),
        count(cost.flops)
    )
}

/// What the memory is for, and how much it is at most.
fn memory_line(plan: &Plan, m: &MemoryUse) -> String {
    let mut line = format!(
        "memory at most {}: input {}, output {}, scratch {} in {}, constants {}, tables {}",
        bytes(m.peak()),
        bytes(m.input),
        bytes(m.output),
        bytes(m.scratch),
        count_of(plan.memory.slots.len(), "buffer"),
        bytes(m.constants),
        bytes(m.tables)
    );
    if m.tasks.threads > 0 {
        let (threads, all) = (m.tasks.threads, bytes(m.tasks.bytes()));
        line += &format!(", tasks {all} ({threads} x {}, {} shared)", bytes(m.tasks.each), bytes(m.tasks.shared));
    }
    line
}

fn value(plan: &Plan, memory: &MemoryUse) -> Value {
    let steps = plan.steps.iter().map(|s| {
        let y = &plan.values[s.store.value.at()];
        json!({ "kernel": s.name(), "extents": y.extents, "dtype": dtype(y), "cost": plan.step_cost(s) })
    });
    json!({
        "steps": steps.collect::<Vec<_>>(),
        "cost": plan.cost(),
        "memory": memory,
        "peak_bytes": memory.peak(),
        "containers": plan.regions,
    })
}

fn dtype(value: &PlanValue) -> &'static str {
    if value.complex { "complex64" } else { "float32" }
}

/// The WGSL of a plan's kernels by name, each once.
#[cfg(feature = "gpu")]
fn kernels(plan: &Plan) -> Result<Vec<(String, String)>> {
    let mut all: Vec<(String, String)> = Vec::new();
    for step in &plan.steps {
        for draft in step.drafts(plan)? {
            if !all.iter().any(|(_, text)| *text == draft.text) {
                all.push((draft.name, draft.text));
            }
        }
    }
    Ok(all)
}

/// There are none without GPU support.
#[cfg(not(feature = "gpu"))]
fn kernels(_: &Plan) -> Result<Vec<(String, String)>> {
    Ok(Vec::new())
}
